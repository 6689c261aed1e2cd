// Colours of classes, and of maps. Every map palette grows in lightness, so that it needs no hue.

export const PALETTES = ["model", "okabe", "tol", "ordered"];

const FIXED = {
  okabe: ["#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"],
  tol: ["#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499"],
};
// Of cividis (Nuñez, Anderton and Renslow, 2018), every eighth; between them colours are mixed.
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
// From blue over white to orange, for values of both signs.
const DIVERGING = ["#08519c", "#6baed6", "#f7f7f7", "#fdae6b", "#a63603"];

function parts(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

function mixed(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  const [a, b] = [parts(stops[low]), parts(stops[low + 1])];
  return a.map((value, i) => Math.round(value + (b[i] - value) * (place - low)));
}

function turned(number) {
  const hue = (number * 0.618034) % 1;
  const lightness = [0.35, 0.55, 0.75][number % 3];
  const span = 0.65 * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((n) => {
    const k = (n + hue * 12) % 12;
    return Math.round(255 * (lightness - span * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}

export function classColours(classes, palette) {
  if (palette === "model") return classes.map((one) => one.color);
  if (palette === "ordered") {
    return classes.map((_, i) => mixed(CIVIDIS, classes.length < 2 ? 1 : i / (classes.length - 1)));
  }
  const fixed = FIXED[palette].map(parts);
  return classes.map((_, i) => fixed[i] || turned(i));
}

export function cssColour([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}

function packed([red, green, blue], alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// Colour of each class number as one number; hidden classes and numbers without class are clear.
export function classTable(colours, shown, size) {
  const table = new Uint32Array(size);
  colours.forEach((colour, k) => {
    if (shown[k]) table[k] = packed(colour, 255);
  });
  return table;
}

function ramp(stops, alpha) {
  return Uint32Array.from({ length: 256 }, (_, i) => packed(mixed(stops, i / 255), alpha(i / 255)));
}

export const MAP_TABLE = ramp(CIVIDIS, () => 255);
export const SIGNED_TABLE = ramp(DIVERGING, () => 255);
