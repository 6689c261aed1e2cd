import { made } from "./readings.js";
import { word } from "./words.js";

// The keyboard: what each key does, and the table of the help.

const HELP = [
  [["←", "→", "↑", "↓"], "key_arrows"],
  [["Enter"], "key_enter"],
  [["+", "−"], "key_opacity"],
  [["m", "p", "l", "b"], "key_views"],
  [[",", "."], "key_layers"],
  [["1", "…", "9"], "key_classes"],
  [["[", "]"], "key_brush"],
  [["e"], "key_erase"],
  [["z", "y"], "key_undo"],
  [["?"], "key_help"],
];
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export function drawKeys(table) {
  const rows = HELP.map(([keys, what]) => {
    const cells = keys.map((key) => made("kbd", { text: key }));
    return made("tr", {}, made("th", { scope: "row" }, ...cells), made("td", { text: word(what) }));
  });
  table.replaceChildren(made("tbody", {}, ...rows));
}

// `actions` has a function for everything that a key does.
export function listenToKeys(actions) {
  const plain = {
    "+": () => actions.opacity(5),
    "=": () => actions.opacity(5),
    "-": () => actions.opacity(-5),
    "[": () => actions.brush(-1),
    "]": () => actions.brush(1),
    z: actions.undo,
    y: actions.redo,
    Z: actions.redo,
    e: actions.erase,
    "?": actions.help,
    m: () => actions.view("mask"),
    p: () => actions.view("class"),
    l: () => actions.view("look"),
    b: () => actions.view("edit"),
    ",": () => actions.layer(-1),
    ".": () => actions.layer(1),
  };
  document.addEventListener("keydown", (event) => {
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (document.getElementById("help").open || event.altKey || event.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() !== "z" || inField) return;
      (event.shiftKey ? actions.redo : actions.undo)();
      event.preventDefault();
      return;
    }
    if (inField) return;
    const onStage = event.target.id === "stage" || event.target === document.body;
    if (event.key in ARROWS && onStage) {
      const step = event.shiftKey ? 10 : 1;
      actions.move(...ARROWS[event.key].map((one) => one * step));
    } else if ((event.key === "Enter" || event.key === " ") && onStage) {
      actions.enter();
    } else if (/^[1-9]$/.test(event.key)) {
      actions.choose(Number(event.key) - 1);
    } else if (event.key in plain) {
      plain[event.key]();
    } else {
      return;
    }
    event.preventDefault();
  });
}
