// Filters the table of layers by words and by what its columns say. Words come from the table, so
// they are in the language of the page.
(() => {
  "use strict";
  const CHOSEN = [3, 5, 6]; // columns with few different cells
  const LABELLED = [3, 4, 5, 6]; // columns that need their heading where the table is narrow

  const text = (cell) => cell.textContent.replace(/\s+/g, " ").trim();

  function begin() {
    const table = document.querySelector("table.overview");
    if (!table) return;
    const headings = [...table.tHead.rows[0].cells].map(text);
    const rows = [...table.tBodies[0].rows];
    for (const row of rows) {
      for (const column of LABELLED) row.cells[column].dataset.label = headings[column];
    }
    const controls = document.createElement("form");
    controls.className = "gallery-filter";
    controls.setAttribute("role", "search");
    const words = document.createElement("input");
    words.type = "search";
    words.placeholder = headings[1];
    words.setAttribute("aria-label", headings[1]);
    const choices = CHOSEN.map((column) => {
      const choice = document.createElement("select");
      choice.setAttribute("aria-label", headings[column]);
      const seen = [...new Set(rows.map((row) => text(row.cells[column])))].filter(Boolean).sort();
      choice.append(new Option(headings[column], ""), ...seen.map((one) => new Option(one, one)));
      return choice;
    });
    const count = document.createElement("output");
    controls.append(words, ...choices, count);

    function show() {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const all = text(row).toLowerCase();
        const fits =
          wanted.every((word) => all.includes(word)) &&
          choices.every(
            (choice, place) => !choice.value || text(row.cells[CHOSEN[place]]) === choice.value,
          );
        row.hidden = !fits;
        if (fits) shown += 1;
      }
      count.textContent = `${shown} / ${rows.length}`;
    }
    controls.addEventListener("input", show);
    controls.addEventListener("submit", (event) => event.preventDefault());
    const wrapper = table.closest(".table-wrapper") || table;
    wrapper.before(controls);
    show();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
