// The cross, circles, points and brush over the picture: lines that stay thin at any zoom.

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// A dark line below a light one shows on every picture.
function twice(svg, name, attributes, kind) {
  svg.append(shape(name, { ...attributes, class: `${kind} dark` }));
  svg.append(shape(name, { ...attributes, class: `${kind} light` }));
}

export function drawMarks(svg, { size, at, layer, points, colours, brush, split }) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  const unit = Math.max(size.width, size.height) / 100;
  if (split !== null) {
    twice(svg, "path", { d: `M${split} 0V${size.height}` }, "split");
  }
  if (at) {
    const x = at.column + 0.5, y = at.row + 0.5, gap = 0.7 * unit, end = 2.4 * unit;
    const arms = [[-1, 0], [1, 0], [0, -1], [0, 1]].map(
      ([a, b]) => `M${x + a * gap} ${y + b * gap}L${x + a * end} ${y + b * end}`,
    );
    twice(svg, "path", { d: arms.join("") }, "cross");
    for (const [radius, kind] of layer ? [[layer.radius50, "half"], [layer.radius90, "most"]] : []) {
      if (radius) twice(svg, "circle", { cx: x, cy: y, r: radius }, kind);
    }
  }
  for (const [k, point] of (points || []).entries()) {
    if (!point || point.row === null) continue;
    const place = { cx: point.column + 0.5, cy: point.row + 0.5, r: 0.9 * unit };
    const dot = shape("circle", { ...place, class: "point" });
    dot.style.fill = colours[k];
    svg.append(dot);
  }
  if (brush) {
    twice(svg, "circle", { cx: brush.column + 0.5, cy: brush.row + 0.5, r: brush.size / 2 }, "brush");
  }
}
