// Mouse, pen and finger on the picture: ask about a pixel, or paint.

export function listenToPointer(page) {
  const { board, pixelAt } = page.stage;
  const follow = document.getElementById("follow");
  let last = null;

  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || page.view !== "edit") return;
    const at = pixelAt(event);
    if (!at) return;
    event.preventDefault();
    page.stage.stage.focus({ preventScroll: true });
    try {
      board.setPointerCapture(event.pointerId);
    } catch {
      // A pointer that has gone meanwhile.
    }
    page.edited.begin();
    page.paint(at, at);
    page.brushAt = last = at;
    page.drawMarks();
  });

  board.addEventListener("pointermove", (event) => {
    const at = pixelAt(event);
    if (page.view === "edit") {
      page.brushAt = at;
      if (last && at) {
        page.paint(last, at);
        last = at;
      }
      page.drawMarks();
    } else if (at && event.pointerType === "mouse") {
      if (follow.checked) page.point(at);
      else page.say(page.nameAt(at));
    }
  });

  for (const kind of ["pointerup", "pointercancel"]) {
    board.addEventListener(kind, () => {
      if (!last) return;
      last = null;
      page.changeMask(() => (page.edited.end(), true));
    });
  }

  board.addEventListener("pointerleave", () => {
    page.brushAt = null;
    if (page.view === "edit" && !last) page.drawMarks();
  });

  board.addEventListener("click", (event) => {
    const at = pixelAt(event);
    if (!at || page.view === "edit") return;
    page.stage.stage.focus({ preventScroll: true });
    page.point(at);
  });
}
