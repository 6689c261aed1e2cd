import { askerOf } from "./asking.js";
import { classColours, PALETTES } from "./colours.js";
import { listenToControls } from "./controls.js";
import { EditedMask } from "./editing.js";
import { drawKeys } from "./keys.js";
import { drawPictures } from "./legend.js";
import { drawOverlay } from "./overlay.js";
import { made } from "./readings.js";
import { drawClassesOf, drawMarksOf, drawPixelOf } from "./shown.js";
import { stageOf } from "./stage.js";
import { startTheme } from "./theme.js";
import { firstLanguage, setLanguage, word } from "./words.js";

function elementOf(id) {
  return document.getElementById(id);
}

// The whole page, whatever `source` its answers come from.
export async function start(source) {
  setLanguage(firstLanguage());
  startTheme();
  try {
    const description = await source.describe();
    new Page(source, description, await source.pictures()).begin();
  } catch (error) {
    elementOf("message").textContent = error.message;
    elementOf("message").hidden = false;
  }
}

class Page {
  constructor(source, description, pictures) {
    this.source = source;
    this.description = description;
    this.pictures = pictures;
    this.stage = stageOf();
    this.palette = "model";
    this.colours = classColours(description.classes, "model");
    this.shown = description.classes.map(() => true);
    this.chosen = 0;
    this.view = "mask";
    this.borders = false;
    this.split = 0.5;
    this.opened = null;
    this.current = null;
    this.edited = null;
    this.erasing = false;
    this.brushSize = 15;
    this.brushAt = null;
    this.forget();
    this.ask = askerOf(source, description.runs.length, {
      onStart: () => this.say(word("asking")),
      onAnswer: (id, at, pixels) => this.answered(id, at, pixels),
      onError: (id, error) => this.opened && this.opened.id === id && this.warn(error.message),
    });
  }

  forget() {
    this.at = null;
    this.pixels = [];
    this.layer = null;
    this.classMaps = new Map();
  }

  begin() {
    const { task, runs, limits, canSave, accepts } = this.description;
    elementOf("runs").textContent = runs.map((run) => `${run.name}: ${run.arch}, ${run.backbone}`).join(" | ");
    document.title = `${runs.map((run) => run.name).join(" | ")} – pixelwise`;
    elementOf("file").accept = accepts;
    const words = { keypoints: ["view_points", "points"], regression: ["view_values", "bands"], multilabel: ["view_mask", "labels"] };
    const [first, title] = words[task] || ["view_mask", "classes"];
    elementOf("views").querySelector("[data-view=mask]").dataset.word = first;
    elementOf("classes-title").dataset.word = title;
    for (const button of elementOf("views").children) {
      if (button.dataset.view === "class") button.hidden = task === "regression";
      if (button.dataset.view === "edit") button.hidden = !canSave;
    }
    if (runs.length > 1) {
      elementOf("compare-tools").hidden = false;
      elementOf("left-run").textContent = runs[0].name;
      elementOf("right-run").textContent = runs[1].name;
    }
    elementOf("limits").replaceChildren(...limits.map((text) => made("li", { text })));
    listenToControls(this);
    this.translate();
    if (this.pictures.length) this.open({ index: this.pictures[0].index });
  }

  translate() {
    setLanguage(document.documentElement.lang);
    drawKeys(elementOf("keys"));
    const options = PALETTES.map((name) => made("option", { value: name, text: word(`palette_${name}`) }));
    elementOf("palette").replaceChildren(...options);
    elementOf("palette").value = this.palette;
    this.drawClasses();
    drawPictures(elementOf("pictures"), this.pictures, this.current, (what) => this.open(what));
    this.drawPixel();
  }

  async open(what) {
    if (this.edited && !this.edited.saved && !window.confirm(word("unsaved"))) return;
    const most = this.description.maxBytes;
    if (what instanceof Blob && what.size > most) {
      const bytes = (what.size / 2 ** 20).toFixed(0);
      this.warn(word("too_large", { name: what.name, bytes, most: (most / 2 ** 20).toFixed(0) }));
      return;
    }
    if (this.opening) this.opening.abort();
    const opening = new AbortController();
    this.opening = opening;
    elementOf("busy").textContent = word("opening");
    elementOf("busy").hidden = false;
    this.warn("");
    try {
      const opened = await this.source.open(what, { signal: opening.signal });
      if (this.opening === opening) this.show(opened, what instanceof Blob ? null : what.index);
    } catch (error) {
      if (this.opening === opening) this.warn(error.message);
    } finally {
      if (this.opening === opening) {
        this.opening = null;
        elementOf("busy").hidden = true;
      }
    }
  }

  show(opened, index) {
    this.opened = opened;
    this.current = index;
    this.forget();
    const { mask } = opened.answers[0];
    this.edited = this.description.canSave && mask ? new EditedMask(mask, opened.width, opened.height) : null;
    this.stage.show(opened, Number(elementOf("zoom").value));
    elementOf("notes").replaceChildren(...opened.notes.map((text) => made("li", { text })));
    drawPictures(elementOf("pictures"), this.pictures, index, (what) => this.open(what));
    this.say(`${opened.name}: ${opened.width} × ${opened.height}`);
    this.setView(this.view === "look" ? "mask" : this.view);
    this.drawPixel();
  }

  setView(name) {
    const button = elementOf("views").querySelector(`[data-view=${name}]`);
    if (!this.opened || button.hidden || (name === "edit" && !this.edited)) return;
    this.view = name;
    for (const one of elementOf("views").children) one.setAttribute("aria-checked", `${one === button}`);
    elementOf("edit-tools").hidden = name !== "edit";
    document.body.classList.toggle("editing", name === "edit");
    if (name === "class") this.fetchClassMaps();
    this.draw();
  }

  async fetchClassMaps() {
    const { opened, chosen } = this;
    try {
      for (let run = 0; run < this.description.runs.length; run++) {
        const key = `${run}:${chosen}`;
        if (this.classMaps.has(key)) continue;
        const { map } = await this.source.classMap(opened.id, chosen, { run });
        if (this.opened !== opened) return;
        this.classMaps.set(key, map);
      }
      this.draw();
    } catch (error) {
      this.warn(error.message);
    }
  }

  choose(k) {
    this.chosen = k;
    this.erasing = false;
    this.drawClasses();
    if (this.opened && this.view === "class") this.fetchClassMaps();
    if (this.opened) this.draw();
  }

  showAll(on) {
    this.shown.fill(on);
    this.drawClasses();
    if (this.opened) this.draw();
  }

  point(at, { ask = true } = {}) {
    this.at = at;
    this.drawMarks();
    if (ask) this.ask(this.opened.id, at);
  }

  answered(id, at, pixels) {
    if (!this.opened || this.opened.id !== id) return;
    this.pixels = pixels;
    const first = pixels[0].layers.findIndex((one) => one.map);
    if (this.layer === null && first >= 0) this.layer = { run: 0, index: first };
    this.say(this.nameAt(at));
    this.drawPixel();
    if (this.view === "look") this.draw();
    this.drawMarks();
  }

  layerShown() {
    return this.layer && this.pixels[this.layer.run] ? this.pixels[this.layer.run].layers[this.layer.index] : null;
  }

  setLayer(layer) {
    this.layer = layer;
    this.drawPixel();
    this.setView("look");
  }

  stepLayer(step) {
    const all = this.pixels.flatMap((pixel, run) => pixel.layers.map((one, index) => ({ run, index, map: one.map })));
    const able = all.filter((one) => one.map);
    if (!able.length) return;
    const now = able.findIndex((one) => this.layer && one.run === this.layer.run && one.index === this.layer.index);
    const { run, index } = able[(now + step + able.length) % able.length];
    this.setLayer({ run, index });
  }

  move(rows, columns) {
    if (!this.opened) return;
    const { height, width } = this.opened;
    const from = this.at || { row: height >> 1, column: width >> 1 };
    const to = (value, most) => Math.min(Math.max(value, 0), most - 1);
    const at = { row: to(from.row + rows, height), column: to(from.column + columns, width) };
    this.stage.reveal(at);
    this.point(at, { ask: this.view !== "edit" });
    if (this.view === "edit") this.say(this.nameAt(at));
  }

  enter() {
    if (!this.opened || !this.at) return;
    if (this.view === "edit") this.changeMask(() => (this.edited.begin(), this.paint(this.at, this.at), this.edited.end(), true));
    else this.point(this.at);
  }

  nameAt(at) {
    const place = word("pixel_at", at);
    const run = this.opened.answers.length > 1 && at.column >= this.split * this.opened.width ? 1 : 0;
    const { mask } = this.opened.answers[run];
    const value = this.view === "edit" ? this.edited.mask : mask;
    if (!value) return place;
    const number = value[at.row * this.opened.width + at.column];
    const name = number === this.description.none ? word("nothing") : this.description.classes[number].name;
    return `${place}: ${name}`;
  }

  paint(from, to) {
    const value = this.erasing ? this.description.none : this.chosen;
    const area = this.edited.line(from, to, this.brushSize, value);
    if (this.borders) area.left -= 1, area.top -= 1;
    drawOverlay(this, this.stage.overlayContext, area);
  }

  changeMask(change) {
    if (this.view !== "edit" || !change()) return;
    this.draw();
    this.say(word("edited", { count: this.edited.changed }));
  }

  undo() {
    this.changeMask(() => this.edited.undo());
  }

  redo() {
    this.changeMask(() => this.edited.redo());
  }

  erase() {
    this.erasing = !this.erasing;
    this.drawClasses();
  }

  setBrush(size) {
    this.brushSize = Math.min(Math.max(Math.round(size), 1), 100);
    elementOf("brush-size").value = this.brushSize;
    elementOf("brush-size-shown").textContent = this.brushSize;
    this.drawMarks();
  }

  async save() {
    const { opened, edited } = this;
    this.say(word("saving"));
    elementOf("save").disabled = true;
    try {
      const sent = edited.mask.slice();
      const files = await this.source.save(opened.id, sent);
      edited.saved = edited.mask.every((value, i) => value === sent[i]);
      this.say(word("saved", files));
    } catch (error) {
      this.warn(error.message);
    } finally {
      elementOf("save").disabled = false;
    }
  }

  draw() {
    if (!this.opened) return;
    drawOverlay(this, this.stage.overlayContext);
    this.drawOpacity();
    this.drawMarks();
  }

  drawOpacity() {
    this.stage.overlay.style.opacity = Number(elementOf("opacity").value) / 100;
  }

  drawMarks() {
    if (this.opened) drawMarksOf(this);
  }

  drawClasses() {
    drawClassesOf(this);
  }

  drawPixel() {
    drawPixelOf(this);
  }

  say(text) {
    elementOf("status").textContent = text;
  }

  warn(text) {
    elementOf("message").textContent = text;
    elementOf("message").hidden = !text;
  }
}
