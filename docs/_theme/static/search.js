// The search of the site: opens the dialogue, asks pagefind's index, shows what it finds.

const root = new URL(document.documentElement.dataset.content_root, location.href);
const dialog = document.querySelector("dialog.search");
const input = dialog.querySelector(".search-input");
const note = dialog.querySelector(".search-note");
const list = dialog.querySelector(".search-results");
const LONGEST = 12; // results that are shown
const ENOUGH = 4; // results below which pages with some of the words are shown too
const SMALL = new Set(
  ("a an and are be can do does for from how i in is it my of on or the to what when which why with " +
    "的 了 吗 呢 和 与 在 是 有 我 怎么 怎样 如何 什么 为什么 哪 哪个 哪些 请问 一下").split(" "),
);
let index = null;
let asked = 0;

/** The index, loaded at first use; null where pages are read from a disk. */
async function opened() {
  if (index === null) {
    index = await import(new URL("pagefind/pagefind.js", root));
    await index.options({ excerptLength: 24, ranking: { termFrequency: 0.6, pageLength: 0.4 } });
    await index.init();
  }
  return index;
}

/** Words of a question, apart where the language writes them together, small words left out. */
function wordsOf(question) {
  const chinese = new Intl.Segmenter("zh", { granularity: "word" });
  const apart = question.replace(
    /\p{Script=Han}+/gu,
    (run) => ` ${[...chinese.segment(run)].map((part) => part.segment).join(" ")} `,
  );
  const words = apart.split(/[\s?？。，,!！]+/u).filter((word) => word !== "");
  const telling = words.filter((word) => !SMALL.has(word.toLowerCase()));
  return telling.length ? telling : words;
}

/** Pages for all words; where those are few, also pages for some, rare words counting more. */
async function found(question) {
  const pages = await opened();
  const words = wordsOf(question);
  const all = (await pages.search(words.join(" "))).results;
  if (all.length >= ENOUGH || words.length === 1) return all;
  const scores = new Map(all.map((result) => [result.id, { result, score: Infinity }]));
  for (const word of words) {
    const some = (await pages.search(word)).results;
    for (const result of some) {
      const before = scores.get(result.id) ?? { result, score: 0 };
      before.score += 1 / Math.sqrt(some.length);
      scores.set(result.id, before);
    }
  }
  return [...scores.values()].sort((one, two) => two.score - one.score).map(({ result }) => result);
}

function shown(result) {
  const item = document.createElement("li");
  const parts = result.sub_results.filter((part) => part.url !== result.url).slice(0, 2);
  for (const [kind, part] of [["page", result], ...parts.map((found) => ["part", found])]) {
    const link = document.createElement("a");
    link.className = `search-${kind}`;
    link.href = part.url;
    const title = document.createElement("strong");
    title.textContent = (part.title ?? part.meta.title).replace(/[#¶]$/, "");
    const text = document.createElement("span");
    text.innerHTML = part.excerpt; // made by pagefind: text and <mark> only
    link.append(title, text);
    item.append(link);
  }
  return item;
}

async function search() {
  const mine = ++asked;
  const question = input.value.trim();
  if (question === "") {
    note.textContent = "";
    list.replaceChildren();
    return;
  }
  let pages;
  try {
    pages = await found(question);
  } catch {
    note.textContent = note.dataset.served;
    return;
  }
  const results = await Promise.all(pages.slice(0, LONGEST).map((result) => result.data()));
  if (mine !== asked) return; // the question has changed since
  note.textContent = results.length ? note.dataset.found.replace("{n}", pages.length) : note.dataset.none;
  list.replaceChildren(...results.map(shown));
}

function open() {
  dialog.showModal();
  input.select();
}

for (const button of document.querySelectorAll(".search-open")) button.addEventListener("click", open);
input.addEventListener("input", search);
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("a")) dialog.close();
});
dialog.querySelector("form").addEventListener("submit", (event) => {
  const first = list.querySelector("a");
  if (event.submitter === null || document.activeElement === input) {
    event.preventDefault();
    if (first) location.href = first.href;
  }
});
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if ((event.key === "/" && !typing) || (event.key === "k" && (event.ctrlKey || event.metaKey))) {
    event.preventDefault();
    open();
  }
});
const parameter = new URLSearchParams(location.search).get("q");
if (parameter) {
  input.value = parameter;
  open();
  search();
}
