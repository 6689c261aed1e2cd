import { cssColour } from "./colours.js";
import { drawMap, rangeOf } from "./painting.js";
import { word } from "./words.js";

// What is said of the pixel: bars of probabilities, values, and a card for each layer.

const SHOWN = 8;

export function made(name, { text, kind, ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

export function shortNumber(value) {
  if (value === null || value === undefined) return "–";
  return Number(value.toPrecision(3)).toString();
}

export function percent(share) {
  return share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}

function bar(name, colour, share, text, chosen) {
  const fill = made("span", { kind: "fill" });
  fill.style.width = `${100 * share}%`;
  fill.style.background = colour;
  const row = made("li", { kind: chosen ? "bar chosen" : "bar" });
  row.append(
    made("span", { kind: "name", text: name }),
    made("span", { kind: "track" }, fill),
    made("span", { kind: "number", text }),
  );
  return row;
}

function probabilities(pixel, classes, colours) {
  const order = pixel.probabilities.map((share, k) => [share, k]).sort((a, b) => b[0] - a[0]);
  const one = ([share, k]) =>
    bar(classes[k].name, cssColour(colours[k]), share, percent(share), k === pixel.classIndex);
  const found = [made("ul", { kind: "bars" }, ...order.slice(0, SHOWN).map(one))];
  if (order.length > SHOWN) {
    const rest = made("ul", { kind: "bars" }, ...order.slice(SHOWN).map(one));
    const title = made("summary", { text: word("more", { count: order.length - SHOWN }) });
    found.push(made("details", {}, title, rest));
  }
  return found;
}

function valuesOf(pixel, classes, units) {
  const rows = pixel.values.map((value, k) => {
    const unit = units[k] ? ` ${units[k]}` : "";
    const text = value === null ? word("no_data") : `${shortNumber(value)}${unit}`;
    return made("li", {}, made("span", { kind: "name", text: classes[k].name }), made("b", { text }));
  });
  return made("ul", { kind: "values" }, ...rows);
}

function told(layer) {
  if (layer.note) return [layer.note];
  if (layer.kind === "channel") {
    const [low, high] = rangeOf(layer.channel);
    const values = { count: layer.channel.length, low: shortNumber(low), high: shortNumber(high) };
    return [word("kind_channel", values)];
  }
  const lines = [`${word(`kind_${layer.kind}`)}, ${layer.height} × ${layer.width}`];
  if (layer.radius50 !== null) {
    const [half, most] = [layer.radius50, layer.radius90].map((one) => Math.round(one));
    lines.push(word("reach", { half, most }));
  }
  const [low, high] = rangeOf(layer.map);
  const mean = layer.map.reduce((sum, one) => sum + one, 0) / layer.map.length;
  if (layer.kind === "pixel" && mean > 0) {
    lines.push(word("relative", { low: shortNumber(low / mean), high: shortNumber(high / mean) }));
    if (low > 0 && high < 1.1 * low) lines.push(word("uniform"));
  } else {
    lines.push(word("range", { low: shortNumber(low), high: shortNumber(high) }));
  }
  return lines;
}

function thumbnail(layer, opened) {
  const canvas = made("canvas", { "aria-hidden": "true" });
  const scale = Math.min(1, 96 / Math.max(opened.width, opened.height));
  canvas.width = Math.max(1, Math.round(opened.width * scale));
  canvas.height = Math.max(1, Math.round(opened.height * scale));
  drawMap(canvas.getContext("2d"), layer, opened, scale);
  return canvas;
}

function strip(layer) {
  const canvas = made("canvas", { "aria-hidden": "true" });
  canvas.width = Math.min(96, layer.channel.length);
  canvas.height = 48;
  const context = canvas.getContext("2d");
  const [low, high] = rangeOf(layer.channel);
  const bottom = Math.min(0, low), span = Math.max(high, 0) - bottom || 1;
  context.fillStyle = "#8a8678";
  for (let x = 0; x < canvas.width; x++) {
    const value = layer.channel[Math.floor((x * layer.channel.length) / canvas.width)];
    const tall = (48 * (value - bottom)) / span;
    context.fillRect(x, 48 - tall, 1, Math.max(1, tall));
  }
  return canvas;
}

function card(layer, opened, chosen, onChoose) {
  const lines = made("span", { kind: "lines" });
  lines.append(made("b", { text: layer.name }), made("span", { kind: "key", text: layer.key }));
  for (const line of told(layer)) lines.append(made("span", { text: line }));
  if (!layer.map) {
    const picture = layer.channel ? [strip(layer)] : [];
    return made("div", { kind: "layer" }, ...picture, lines);
  }
  const label = word("show_layer", { name: layer.name });
  const button = made("button", { kind: "layer", type: "button", "aria-pressed": `${chosen}`, title: label });
  button.append(thumbnail(layer, opened), lines);
  button.addEventListener("click", onChoose);
  return button;
}

export function drawReadings(area, { pixels, opened, description, colours, layer, onLayer }) {
  const found = [];
  for (const [run, pixel] of pixels.entries()) {
    if (!pixel) continue;
    if (pixels.length > 1) found.push(made("h3", { text: description.runs[run].name }));
    if (description.task === "keypoints") found.push(...pointRows(opened.answers[run], description, colours));
    else if (pixel.values) found.push(valuesOf(pixel, description.classes, description.units));
    else if (pixel.probabilities.length) found.push(...probabilities(pixel, description.classes, colours));
    else found.push(made("p", { text: word("no_data") }));
    found.push(made("h4", { text: word("layers") }));
    if (!pixel.layers.length) found.push(made("p", { kind: "faint", text: word("no_layers") }));
    for (const [index, one] of pixel.layers.entries()) {
      const chosen = layer !== null && layer.run === run && layer.index === index;
      found.push(card(one, opened, chosen, () => onLayer({ run, index })));
    }
    const count = pixel.milliseconds.toFixed(0);
    found.push(made("p", { kind: "faint", text: word("milliseconds", { count }) }));
  }
  area.replaceChildren(...found);
}

function pointRows(answer, description, colours) {
  const rows = answer.points.map((point, k) => {
    const { name } = description.classes[k];
    if (point.row === null) return made("li", {}, made("span", { kind: "name", text: name }), word("not_found"));
    const place = `${point.row.toFixed(1)}, ${point.column.toFixed(1)}`;
    return bar(`${name} (${place})`, cssColour(colours[k]), Math.min(1, point.confidence), percent(point.confidence), false);
  });
  return [made("ul", { kind: "bars" }, ...rows), made("p", { kind: "faint", text: word("confidence") })];
}
