"use strict";
// Searches in tables; without it they are read, and searched by the browser's own means.
for (const box of document.querySelectorAll(".search")) {
  const rows = Array.from(document.getElementById(box.dataset.rows).tBodies[0].rows, (row) => ({
    row,
    text: row.textContent.toLowerCase(),
  }));
  const input = box.querySelector("input");
  const output = box.querySelector("output");
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { row, text } of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    output.textContent = words.length ? `${shown} of ${rows.length}` : "";
  };
  input.addEventListener("input", filter);
  box.hidden = false;
  // A browser may keep what was typed when the page is loaded again.
  filter();
}
