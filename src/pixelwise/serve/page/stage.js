// The picture on the screen: its size, and which pixel a pointer is on.

export function stageOf() {
  const byId = (id) => document.getElementById(id);
  const stage = byId("stage"), board = byId("board");
  const picture = byId("picture"), overlay = byId("overlay"), marks = byId("marks");
  let size = null;

  function fit(zoom) {
    if (!size) return;
    const wide = stage.clientWidth / size.width, high = stage.clientHeight / size.height;
    const scale = Math.min(wide, high) * zoom;
    board.style.width = `${size.width * scale}px`;
    board.style.height = `${size.height * scale}px`;
    board.classList.toggle("cells", scale >= 2);
  }

  function show(opened, zoom) {
    size = { width: opened.width, height: opened.height };
    for (const canvas of [picture, overlay]) {
      canvas.width = size.width;
      canvas.height = size.height;
    }
    picture.getContext("2d").drawImage(opened.image, 0, 0);
    byId("empty").hidden = true;
    board.hidden = false;
    fit(zoom);
  }

  function pixelAt(event) {
    const area = board.getBoundingClientRect();
    const column = Math.floor(((event.clientX - area.left) / area.width) * size.width);
    const row = Math.floor(((event.clientY - area.top) / area.height) * size.height);
    const inside = row >= 0 && column >= 0 && row < size.height && column < size.width;
    return inside ? { row, column } : null;
  }

  // Scroll so that a pixel is to be seen when the picture is larger than the stage.
  function reveal(at) {
    const area = board.getBoundingClientRect(), own = stage.getBoundingClientRect();
    const x = area.left + ((at.column + 0.5) / size.width) * area.width;
    const y = area.top + ((at.row + 0.5) / size.height) * area.height;
    const edge = 24;
    if (x < own.left + edge) stage.scrollLeft -= own.left + edge - x;
    if (x > own.right - edge) stage.scrollLeft += x - own.right + edge;
    if (y < own.top + edge) stage.scrollTop -= own.top + edge - y;
    if (y > own.bottom - edge) stage.scrollTop += y - own.bottom + edge;
  }

  return { stage, board, marks, overlay, overlayContext: overlay.getContext("2d"), fit, show, pixelAt, reveal };
}
