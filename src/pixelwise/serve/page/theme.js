import { remember, remembered } from "./words.js";

// Light or dark: as the system has it, until somebody chooses.

const KEPT_THEME = "pixelwise-theme";
const THEMES = ["system", "light", "dark"];

export function startTheme() {
  let theme = THEMES.includes(remembered(KEPT_THEME)) ? remembered(KEPT_THEME) : "system";
  const set = () => {
    document.documentElement.dataset.theme = theme;
  };
  set();
  document.getElementById("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    remember(KEPT_THEME, theme);
    set();
  });
}
