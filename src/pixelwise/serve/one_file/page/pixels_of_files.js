// A picture file as numbers: bands one after the other, and what the page draws.

export async function pictureOf(file, mostPixels) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  let image;
  try {
    image = await createImageBitmap(file, options);
  } catch {
    throw new Error(`${file.name || "picture"}: is no picture that this browser can read; choose a PNG or JPEG`);
  }
  const notes = [];
  const { width, height } = image;
  if (width * height > mostPixels) {
    const scale = Math.sqrt(mostPixels / (width * height));
    const size = { resizeWidth: Math.max(1, Math.floor(width * scale)), resizeHeight: Math.max(1, Math.floor(height * scale)) };
    const large = image;
    image = await createImageBitmap(large, { ...size, resizeQuality: "high" });
    large.close();
    notes.push(`shrunk from ${width} × ${height} to ${image.width} × ${image.height}, as browsers are slow`);
  }
  return { image, notes };
}

export function bandsOf(image, bands) {
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const colours = context.getImageData(0, 0, width, height).data;
  const count = width * height;
  const values = new Float32Array(bands * count);
  for (let i = 0; i < count; i++) {
    const [red, green, blue] = [colours[4 * i], colours[4 * i + 1], colours[4 * i + 2]];
    if (bands === 1) {
      // As Pillow makes grey of colours.
      values[i] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
    } else {
      values[i] = red;
      values[count + i] = green;
      values[2 * count + i] = blue;
    }
  }
  return values;
}
