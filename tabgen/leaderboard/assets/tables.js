// Tables that sort by a click, or the Enter key, on a column's name: the best comes to the top first.
"use strict";

const tabgenTables = (() => {
  // A number if the text begins with one ("+0.12 … 0.3", "3/0/5", "12 of 14", "≤ 8"); dashes sort last.
  function valueOf(cell) {
    const text = cell.dataset.value ?? cell.textContent.trim().replace(/^[≤≥] /, "");
    const number = /^[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?/.exec(text);
    return text === "–" || text === "" || text === "nan" ? null : number ? Number(number[0].replaceAll(",", "")) : text.toLowerCase();
  }

  function compare(a, b, sign) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a < b ? -sign : a > b ? sign : 0;
  }

  function sortBy(header) {
    const row = header.parentElement, table = row.closest("table"), column = [...row.children].indexOf(header);
    const rows = [...table.tBodies[0].rows], names = column === 0;
    const first = header.dataset.first ?? "ascending";
    const direction = header.ariaSort ? (header.ariaSort === "ascending" ? "descending" : "ascending") : first;
    for (const other of row.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const key = (line) => (names ? line.cells[0].textContent.trim().toLowerCase() : valueOf(line.cells[column]));
    rows.sort((a, b) => compare(key(a), key(b), sign));
    table.tBodies[0].append(...rows);
  }

  document.addEventListener("click", (event) => {
    const header = event.target.closest("table.sortable thead th");
    if (header && event.target.closest("button")) sortBy(header);
  });

  return { sortBy };
})();
