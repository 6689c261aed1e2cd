import { classTable } from "./colours.js";
import { asBytes, drawMap, paintBytes, paintLabels, paintMask, rangeOf } from "./painting.js";

// What lies over the picture, by the view: a mask, labels, values, a probability or a layer's map.

// The part of the picture that each run has: all of it, or left and right of the slider.
function shares(page, whole) {
  const { opened, split } = page;
  if (opened.answers.length < 2) return [[0, whole]];
  const column = Math.round(split * opened.width);
  return [
    [0, { ...whole, right: Math.min(whole.right, column) }],
    [1, { ...whole, left: Math.max(whole.left, column) }],
  ];
}

function paintAnswer(page, context, run, area) {
  const { opened, description, colours, shown, chosen } = page;
  const answer = opened.answers[run];
  if (answer.mask) {
    const table = classTable(colours, shown, description.none + 1);
    paintMask(context, answer.mask, opened, area, table, description.none, page.borders);
  } else if (answer.labels) {
    paintLabels(context, answer.labels, opened, area, classTable(colours, shown, colours.length));
  } else if (answer.values) {
    const values = answer.values[chosen];
    const known = values.filter((value) => !Number.isNaN(value));
    paintBytes(context, asBytes(values, rangeOf(known)), opened, area);
  }
}

export function drawOverlay(page, context, area = null) {
  const { opened, view } = page;
  const whole = { left: 0, top: 0, right: opened.width, bottom: opened.height };
  if (view === "edit") {
    const table = classTable(page.colours, page.colours.map(() => true), page.description.none + 1);
    paintMask(context, page.edited.mask, opened, area || whole, table, page.description.none, page.borders);
    return;
  }
  context.clearRect(0, 0, opened.width, opened.height);
  if (view === "look") {
    const layer = page.layerShown();
    if (layer && layer.map) drawMap(context, layer, opened);
    return;
  }
  for (const [run, part] of shares(page, whole)) {
    if (view === "class") {
      const bytes = page.classMaps.get(`${run}:${page.chosen}`);
      if (bytes) paintBytes(context, bytes, opened, part);
    } else {
      paintAnswer(page, context, run, part);
    }
  }
}
