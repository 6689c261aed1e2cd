import { ENGLISH } from "./words_en.js";
import { CHINESE } from "./words_zh.js";

const LANGUAGES = { en: ENGLISH, zh: CHINESE };
const KEPT = "pixelwise-language";
let language = "en";

// What a browser keeps may be switched off, as for pages from a disk.
export function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Then the choice lasts as long as the page.
  }
}

export function firstLanguage() {
  const kept = remembered(KEPT);
  if (kept in LANGUAGES) return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function word(key, values = {}) {
  return LANGUAGES[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function otherLanguage() {
  return language === "en" ? "zh" : "en";
}

export function setLanguage(chosen, { keep = false } = {}) {
  language = chosen;
  if (keep) remember(KEPT, chosen);
  document.documentElement.lang = chosen;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = word(element.dataset.word);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    const label = word(element.dataset.label);
    element.setAttribute("aria-label", label);
    if (element.tagName === "BUTTON") element.title = label;
  }
  const button = document.getElementById("language");
  button.textContent = LANGUAGES[otherLanguage()].language;
  button.lang = otherLanguage();
}
