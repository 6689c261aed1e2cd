// Answers from the network that stands in this page, run by ONNX Runtime Web.
import { bandsOf, pictureOf } from "./pixels_of_files.js";
import { radiiOf } from "./radii.js";
import { unpackedPart } from "./unpacking.js";

// Lets the page draw, and a question be withdrawn, before the browser is busy.
async function pause(signal) {
  await new Promise((go) => setTimeout(go, 20));
  if (signal && signal.aborted) throw new DOMException("withdrawn", "AbortError");
}

export class OnnxSource {
  constructor(told) {
    this.told = told;
    this.ready = null;
    this.opened = null;
    this.count = 0;
    this.files = new Map();
    this.last = Promise.resolve();
  }

  async describe() {
    return this.told.description;
  }

  async pictures() {
    return this.told.pictures;
  }

  // Of a picture in this page, its file, which is unpacked once.
  async fileOf({ index }) {
    if (!this.files.has(index)) {
      const { name } = this.told.pictures[index];
      this.files.set(index, new File([await unpackedPart(`picture${index}`)], name));
    }
    return this.files.get(index);
  }

  // One after the other: the runtime does one thing at a time.
  inTurn(action) {
    const done = this.last.then(action);
    this.last = done.catch(() => {});
    return done;
  }

  async begin() {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = await unpackedPart("runtime");
    ort.env.logLevel = "error";
    const session = async (part) => part && ort.InferenceSession.create(await unpackedPart(part), { executionProviders: ["wasm"] });
    this.network = await session(this.told.network);
    this.layers = [];
    for (const layer of this.told.layers) {
      this.layers.push({ ...layer, prepare: await session(layer.prepare), look: await session(layer.look) });
    }
  }

  async open(what, { signal } = {}) {
    return this.inTurn(async () => {
      await pause(signal);
      this.ready ||= this.begin();
      await this.ready;
      const file = what instanceof Blob ? what : await this.fileOf(what);
      const { image, notes } = await pictureOf(file, this.told.mostPixels);
      await pause(signal);
      const { width, height } = image;
      const values = bandsOf(image, this.told.bands);
      const given = new ort.Tensor("float32", values, [1, this.told.bands, height, width]);
      const found = await this.run(this.network, { image: given });
      const handed = [];
      for (const [number, layer] of this.layers.entries()) handed.push(await this.prepared(layer, number, found));
      const opened = { id: `${++this.count}`, width, height, handed, probabilities: found.probabilities.data, maps: new Map() };
      this.opened = { ...opened, answer: found.answer ? found.answer.data : null };
      return { id: opened.id, name: file.name || "picture", width, height, image, notes, answers: [this.answer()] };
    });
  }

  async run(session, values) {
    try {
      return await session.run(values);
    } catch (error) {
      throw new Error(`the network cannot run on this picture (${String(error.message || error).split("\n")[0].slice(0, 160)}); choose a smaller one`);
    }
  }

  async prepared(layer, number, found) {
    const values = {};
    for (let i = 0; i < layer.inputs; i++) values[`input${i}`] = found[`layer${number}_${i}`];
    if (layer.prepare) {
      const given = Object.fromEntries(layer.prepare.inputNames.map((name) => [name, values[name]]));
      Object.assign(values, await this.run(layer.prepare, given));
    }
    const [, , height, width] = found[`layer${number}_0`].dims;
    return { height, width, values: Object.fromEntries(layer.handed.map((name) => [name, values[name]])) };
  }

  answer() {
    const { answer, probabilities } = this.opened;
    const nothing = { mask: null, labels: null, points: null, values: null };
    if (answer) return { ...nothing, mask: Uint8Array.from(answer) };
    const count = this.opened.width * this.opened.height;
    const labels = this.told.thresholds.map(Math.fround).map((threshold, k) =>
      Uint8Array.from({ length: count }, (_, i) => Number(probabilities[k * count + i] >= threshold)));
    return { ...nothing, labels };
  }

  known(id) {
    if (!this.opened || this.opened.id !== id) throw new Error("this picture is no longer kept; open it again");
    return this.opened;
  }

  async pixel(id, row, column, { signal } = {}) {
    return this.inTurn(async () => {
      await pause(signal);
      const { width, height, probabilities, answer } = this.known(id);
      const start = performance.now();
      const layers = [];
      for (const number of this.layers.keys()) layers.push(await this.look(number, row, column));
      const place = row * width + column;
      return {
        row,
        column,
        classIndex: answer ? answer[place] : null,
        probabilities: this.told.description.classes.map((_, k) => probabilities[k * width * height + place]),
        values: null,
        milliseconds: performance.now() - start,
        layers,
      };
    });
  }

  async look(number, row, column) {
    const layer = this.layers[number];
    const { width, height, handed, maps } = this.opened;
    const { values, height: rows, width: columns } = handed[number];
    const step = this.told.multiple;
    const covers = [height, width].map((side) => Math.ceil(side / step) * step);
    const at = [[row, rows, covers[0]], [column, columns, covers[1]]].map(([place, cells, area]) =>
      Math.min(Math.floor(((2 * place + 1) * cells) / (2 * area)), cells - 1));
    const key = layer.placed ? `${number},${at}` : `${number}`;
    if (!maps.has(key)) {
      const given = { ...values };
      if (layer.placed) {
        given.row = new ort.Tensor("int64", BigInt64Array.of(BigInt(at[0])), []);
        given.column = new ort.Tensor("int64", BigInt64Array.of(BigInt(at[1])), []);
      }
      if (maps.size > 200) maps.clear();
      maps.set(key, await this.run(layer.look, given));
    }
    const found = maps.get(key);
    const map = found.map ? Float32Array.from(found.map.data) : null;
    const [mapRows, mapColumns] = found.map ? found.map.dims : [rows, columns];
    const own = layer.kind === "pixel" && map;
    const [radius50, radius90] = own ? radiiOf(map, mapRows, mapColumns, row, column, covers) : [null, null];
    const channel = found.channel ? Float32Array.from(found.channel.data) : null;
    return { name: layer.name, key: layer.key, kind: layer.kind, at, height: mapRows, width: mapColumns, covers, map, channel, radius50, radius90, note: null };
  }

  async classMap(id, k) {
    const { width, height, probabilities } = this.known(id);
    const count = width * height;
    return { map: Uint8Array.from({ length: count }, (_, i) => Math.round(255 * probabilities[k * count + i])) };
  }
}
