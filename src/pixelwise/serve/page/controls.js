import { classColours } from "./colours.js";
import { listenToPictures } from "./incoming.js";
import { listenToKeys } from "./keys.js";
import { listenToPointer } from "./pointer.js";
import { otherLanguage, setLanguage } from "./words.js";

// Buttons, sliders, switches and keys: what each of them does to the page.

function controlOf(id) {
  return document.getElementById(id);
}

export function listenToControls(page) {
  const on = (id, kind, action) => controlOf(id).addEventListener(kind, action);
  on("language", "click", () => {
    setLanguage(otherLanguage(), { keep: true });
    page.translate();
  });
  on("help-button", "click", () => controlOf("help").showModal());
  on("help-close", "click", () => controlOf("help").close());
  on("opacity", "input", () => page.drawOpacity());
  on("zoom", "change", () => page.stage.fit(Number(controlOf("zoom").value)));
  on("palette", "change", () => {
    page.palette = controlOf("palette").value;
    page.colours = classColours(page.description.classes, page.palette);
    page.drawClasses();
    page.draw();
    page.drawPixel();
  });
  on("borders", "change", () => {
    page.borders = controlOf("borders").checked;
    page.draw();
  });
  on("split", "input", () => {
    page.split = Number(controlOf("split").value) / 100;
    page.draw();
  });
  on("all-on", "click", () => page.showAll(true));
  on("all-off", "click", () => page.showAll(false));
  on("brush-size", "input", () => page.setBrush(Number(controlOf("brush-size").value)));
  on("erase", "click", () => page.erase());
  on("undo", "click", () => page.undo());
  on("redo", "click", () => page.redo());
  on("reset", "click", () => page.changeMask(() => (page.edited.reset(), true)));
  on("save", "click", () => page.save());
  controlOf("views").addEventListener("click", (event) => {
    if (event.target.dataset.view) page.setView(event.target.dataset.view);
  });
  new ResizeObserver(() => page.stage.fit(Number(controlOf("zoom").value))).observe(page.stage.stage);
  window.addEventListener("beforeunload", (event) => {
    if (page.edited && !page.edited.saved) event.preventDefault();
  });
  listenToPictures((file) => page.open(file));
  listenToPointer(page);
  listenToKeys({
    move: (rows, columns) => page.move(rows, columns),
    enter: () => page.enter(),
    opacity: (step) => {
      controlOf("opacity").value = Number(controlOf("opacity").value) + step;
      page.drawOpacity();
    },
    brush: (step) => page.setBrush(page.brushSize + step * Math.max(1, Math.round(page.brushSize / 8))),
    undo: () => page.undo(),
    redo: () => page.redo(),
    erase: () => page.view === "edit" && page.erase(),
    choose: (k) => k < page.description.classes.length && page.choose(k),
    view: (name) => page.setView(name),
    layer: (step) => page.stepLayer(step),
    help: () => controlOf("help").showModal(),
  });
}
