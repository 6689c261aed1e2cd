import { cssColour } from "./colours.js";
import { made } from "./readings.js";
import { word } from "./words.js";

// The classes: colour, shown or not, and the chosen one.

export function drawLegend(list, { classes, colours, shown, chosen, onShow, onChoose }) {
  const rows = classes.map(({ name }, k) => {
    const box = made("input", { type: "checkbox", "aria-label": word("show_class", { name }) });
    box.checked = shown[k];
    box.addEventListener("change", () => onShow(k, box.checked));
    const swatch = made("span", { kind: "swatch", "aria-hidden": "true" });
    swatch.style.background = cssColour(colours[k]);
    const label = made("span", { kind: "name", text: name });
    const button = made("button", {
      type: "button",
      kind: "class",
      "aria-pressed": `${k === chosen}`,
      title: word("choose_class", { name }),
    });
    button.append(swatch, label);
    if (k < 9) button.append(made("kbd", { text: `${k + 1}` }));
    button.addEventListener("click", () => onChoose(k));
    return made("li", {}, box, button);
  });
  list.replaceChildren(...rows);
}

export function drawPictures(list, pictures, current, onOpen) {
  const rows = pictures.map(({ index, name }) => {
    const button = made("button", { type: "button", text: name, title: name });
    if (index === current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => onOpen({ index }));
    return made("li", {}, button);
  });
  list.replaceChildren(...rows);
}
