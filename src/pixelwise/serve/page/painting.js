import { MAP_TABLE, SIGNED_TABLE } from "./colours.js";

// Numbers into pixels of a canvas.

const STRIPE = 0xff7f7f7f;

export function within(rectangle, width, height) {
  const left = Math.max(0, rectangle.left), top = Math.max(0, rectangle.top);
  const right = Math.min(width, rectangle.right), bottom = Math.min(height, rectangle.bottom);
  return { left, top, right, bottom, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}

// A mask in the colours of `table`; pixels of value `none` are striped, borders are white.
export function paintMask(context, mask, size, area, table, none, borders) {
  const { left, top, right, bottom, width, height } = within(area, size.width, size.height);
  if (!width || !height) return;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  let place = 0;
  for (let row = top; row < bottom; row++) {
    const start = row * size.width, below = row + 1 < size.height ? size.width : 0;
    for (let column = left; column < right; column++, place++) {
      const value = mask[start + column];
      if (value === none) {
        pixels[place] = ((row + column) >> 2) & 1 ? STRIPE : 0;
      } else {
        pixels[place] = table[value];
      }
      if (borders) {
        const across = column + 1 < size.width ? 1 : 0;
        if (mask[start + column + across] !== value || mask[start + column + below] !== value) {
          pixels[place] = 0xffffffff;
        }
      }
    }
  }
  context.putImageData(image, left, top);
}

// Several labels per pixel: their colours in stripes where they overlap.
export function paintLabels(context, labels, size, area, table) {
  const { left, top, right, bottom, width, height } = within(area, size.width, size.height);
  if (!width || !height) return;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const found = [];
  let place = 0;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++, place++) {
      const index = row * size.width + column;
      found.length = 0;
      for (let k = 0; k < labels.length; k++) {
        if (labels[k][index] && table[k]) found.push(table[k]);
      }
      if (found.length) pixels[place] = found[((row + column) >> 2) % found.length];
    }
  }
  context.putImageData(image, left, top);
}

// Bytes 0..255 in the colours of maps.
export function paintBytes(context, bytes, size, area) {
  const { left, top, right, bottom, width, height } = within(area, size.width, size.height);
  if (!width || !height) return;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  let place = 0;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++, place++) {
      pixels[place] = MAP_TABLE[bytes[row * size.width + column]];
    }
  }
  context.putImageData(image, left, top);
}

export function rangeOf(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 0];
}

// Numbers scaled to bytes: from 0 (or the lowest) to the largest; NaN is 0.
export function asBytes(values, [low, high]) {
  const factor = high > low ? 255 / (high - low) : 0;
  return Uint8Array.from(values, (value) => (value - low) * factor || 0);
}

// A layer's map on a canvas of its own, one pixel per cell.
export function mapCanvas(layer) {
  const canvas = document.createElement("canvas");
  canvas.width = layer.width;
  canvas.height = layer.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(layer.width, layer.height);
  const pixels = new Uint32Array(image.data.buffer);
  const [low, high] = rangeOf(layer.map);
  const signed = low < 0;
  const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const table = signed ? SIGNED_TABLE : MAP_TABLE;
  for (let i = 0; i < pixels.length; i++) {
    const share = signed ? (layer.map[i] / most + 1) / 2 : layer.map[i] / most;
    pixels[i] = table[Math.round(255 * share)];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// That map over the part of the picture that it covers.
export function drawMap(context, layer, size, scale = 1) {
  const [rows, columns] = layer.covers;
  context.imageSmoothingEnabled = false;
  context.drawImage(mapCanvas(layer), 0, 0, columns * scale, rows * scale);
}
