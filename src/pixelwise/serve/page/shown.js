import { cssColour } from "./colours.js";
import { drawLegend } from "./legend.js";
import { drawMarks } from "./marks.js";
import { drawReadings } from "./readings.js";
import { word } from "./words.js";

// What the page has found, onto the screen: marks, classes, and what is said of the pixel.

function placeOf(id) {
  return document.getElementById(id);
}

export function drawMarksOf(page) {
  const two = page.opened.answers.length > 1 && (page.view === "mask" || page.view === "class");
  const brush = page.view === "edit" ? page.brushAt || page.at : null;
  drawMarks(page.stage.marks, {
    size: page.opened,
    at: page.at,
    layer: page.view === "look" ? page.layerShown() : null,
    points: page.opened.answers[0].points && page.opened.answers[0].points.map((one, k) => (page.shown[k] ? one : null)),
    colours: page.colours.map(cssColour),
    brush: brush && { ...brush, size: page.brushSize },
    split: two ? Math.round(page.split * page.opened.width) : null,
  });
}

export function drawClassesOf(page) {
  const { classes } = page.description;
  drawLegend(placeOf("classes"), {
    classes,
    colours: page.colours,
    shown: page.shown,
    chosen: page.chosen,
    onShow: (k, on) => {
      page.shown[k] = on;
      if (page.opened) page.draw();
    },
    onChoose: (k) => page.choose(k),
  });
  placeOf("erase").setAttribute("aria-pressed", `${page.erasing}`);
  placeOf("brush-class").textContent = page.erasing ? word("nothing") : classes[page.chosen].name;
}

export function drawPixelOf(page) {
  const asked = page.pixels.length > 0;
  placeOf("pixel-hint").hidden = asked;
  placeOf("pixel-title").textContent = asked ? word("pixel_at", page.pixels[0]) : word("pixel");
  if (!asked) {
    placeOf("answers").replaceChildren();
    return;
  }
  drawReadings(placeOf("answers"), {
    pixels: page.pixels,
    opened: page.opened,
    description: page.description,
    colours: page.colours,
    layer: page.layer,
    onLayer: (layer) => page.setLayer(layer),
  });
}
