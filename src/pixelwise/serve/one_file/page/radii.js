// How far a pixel looks: the radius around it that holds a share of a map's weight.

const SHARES_OF_RADII = [0.5, 0.9];

export function radiiOf(map, height, width, row, column, covers) {
  const count = height * width;
  const distances = new Float64Array(count);
  let whole = 0;
  for (let i = 0; i < height; i++) {
    const down = ((i + 0.5) * covers[0]) / height - (row + 0.5);
    for (let j = 0; j < width; j++) {
      const across = ((j + 0.5) * covers[1]) / width - (column + 0.5);
      distances[i * width + j] = Math.hypot(down, across);
      whole += Math.abs(map[i * width + j]);
    }
  }
  if (!(whole > 0 && whole < Infinity)) return [null, null];
  const order = Uint32Array.from(distances.keys()).sort((a, b) => distances[a] - distances[b]);
  const found = [];
  let sum = 0;
  for (const place of order) {
    sum += Math.abs(map[place]);
    while (found.length < 2 && sum >= SHARES_OF_RADII[found.length] * whole) found.push(distances[place]);
  }
  while (found.length < 2) found.push(distances[order[count - 1]]);
  return found;
}
