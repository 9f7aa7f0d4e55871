// The overview: filters choose a pool of cells, and everything shown is computed again for that pool.
// Names come from strangers: they become text nodes, never markup.
"use strict";

const tabgenBoard = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.getElementById("filters");
  const firstPolicy = data.boards[0].policy;

  const choices = () => Object.fromEntries(new FormData(form));

  const cellsOf = (board, chosen) => tabgenStatistics.cellsOf(board, data.datasets, chosen);

  function element(name, content, attributes = {}) {
    const node = document.createElement(name);
    node.append(...[content].flat());
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return node;
  }

  const link = (text, page) => element("a", text, { href: page });
  const number = (value, digits = 3) => (value === null ? "–" : tabgenStatistics.fixed(value, digits));
  const signed = (value, digits = 3) => (value === null ? "–" : (value >= 0 ? "+" : "") + number(value, digits));
  const range = (ends, show) => (ends === null ? "–" : `${show(ends[0])} … ${show(ends[1])}`);

  function marked(record, policy) {
    if (record.cells_ok === record.cells) return record.method;
    const madeUp = { worst: ", ranked last", baseline: ", scored as zero-shot" };
    return `${record.method} [${record.cells_ok}/${record.cells} cells${record.imputed ? madeUp[policy] : ""}]`;
  }

  function body(id, rows) {
    document.getElementById(id).tBodies[0].replaceChildren(...rows);
  }

  function headings(id, names, sortable) {
    const cells = names.map((name) =>
      element("th", sortable ? element("button", name, { type: "button" }) : name, { scope: "col" }),
    );
    document.getElementById(id).tHead.rows[0].replaceChildren(...cells);
  }

  function row(heading, cells) {
    return element("tr", [element("th", heading, { scope: "row" }), ...cells]);
  }

  function showSentences(sentences) {
    const items = (folded) => sentences.filter((s) => s[1] === folded).map((s) => element("li", s[0]));
    const quiet = items(true), list = document.getElementById("unclaimed");
    document.getElementById("verdicts").replaceChildren(...items(false));
    list.replaceChildren(...quiet);
    list.parentElement.hidden = quiet.length === 0;
    document.getElementById("unclaimed-title").textContent =
      `${quiet.length} comparisons in which no difference can be claimed`;
  }

  // Possible ranks and ties were judged for the whole board when it was built; of another pool they say nothing.
  function showRanking(board, result, policy, sets) {
    document.getElementById("sets-note").hidden = sets !== null;
    for (const header of document.querySelectorAll("#ranking th")) header.removeAttribute("aria-sort");
    const lines = result.records.map((r) =>
      row(
        link(marked(r, policy), board.about[r.method].page),
        [
          number(r.mean_rank, 2),
          sets?.[r.method] ? `${sets[r.method][0]} … ${sets[r.method][1]}` : "–",
          sets?.[r.method]?.[2] ?? "–",
          range(r.mean_rank_interval, (value) => number(value, 2)),
          signed(r.median_gain),
          range(r.median_gain_interval, signed),
          number(r.spread_iqr),
          number(r.spread_sd),
          r.against_real === null ? "–" : r.against_real.join("/"),
          signed(r.optimism),
          number(r.seconds, 1),
        ].map((text) => element("td", text)),
      ),
    );
    body("ranking", lines);
  }

  function showGains(result) {
    headings("gains", ["dataset", ...result.methods], true);
    const lines = result.datasets.map((name, i) => {
      const best = Math.max(...result.matrix[i]);
      const cells = result.matrix[i].map((value) => element("td", signed(value), value === best ? { class: "best" } : {}));
      return row(link(name, data.datasets[name].page), cells);
    });
    body("gains", lines);
  }

  function showDuels(result) {
    headings("duels", ["row against column", ...result.methods], false);
    const lines = result.methods.map((name, a) =>
      row(
        name,
        result.duels[a].map(([wins, ties, losses], b) =>
          element("td", a === b ? "–" : `${wins}/${ties}/${losses}`, wins > losses ? { class: "best" } : {}),
        ),
      ),
    );
    body("duels", lines);
  }

  function showFigures(board, whole) {
    const list = document.getElementById("figure-list");
    list.hidden = !whole;
    document.getElementById("figures-note").hidden = whole;
    if (!whole || list.dataset.board === board.name) return;
    list.dataset.board = board.name;
    list.replaceChildren(
      ...board.figures.map(({ file, title, text }) =>
        element("figure", [element("img", [], { src: file, alt: text, loading: "lazy" }), element("figcaption", title)]),
      ),
    );
  }

  function show() {
    const chosen = choices(), board = data.boards[Number(chosen.board)];
    const cells = cellsOf(board, chosen), state = document.getElementById("state");
    const filtered = ["suite", "size", "mixing", "licence"].some((name) => chosen[name]) || chosen.policy !== firstPolicy;
    if (cells === null || cells.length === 0) {
      state.textContent = cells === null ? `This comparison has no ${chosen.metric}.` : "No cell is left: widen the filters.";
      for (const id of ["ranking", "gains", "duels"]) body(id, []);
      showSentences([]);
      showFigures(board, false);
      return null;
    }
    const result = tabgenStatistics.summarise(cells, chosen.policy, data.constants, board);
    const sentences = filtered ? result.sentences : board.sentences[chosen.metric];
    showSentences(sentences);
    showRanking(board, result, chosen.policy, filtered ? null : board.sets[chosen.metric]);
    showGains(result);
    showDuels(result);
    showFigures(board, !filtered && chosen.metric === Object.keys(board.gains)[0]);
    const pool = `${result.methods.length} methods on ${result.datasets.length} datasets, ${tabgenStatistics.thousands(cells.length)} cells`;
    state.textContent = filtered
      ? `Recomputed in this page for what the filters leave: ${pool}, by ${chosen.metric}. Practical equality and possible ranks are not judged here.`
      : `${board.title}: ${pool}, by ${chosen.metric}.`;
    return result;
  }

  function reset() {
    form.elements.policy.value = firstPolicy;
    show();
  }

  form.hidden = false;
  form.elements.policy.value = firstPolicy;
  form.addEventListener("change", show);
  form.addEventListener("reset", () => setTimeout(reset));
  form.addEventListener("submit", (event) => event.preventDefault());
  if (form.elements.board.value !== "0") show();
  // Once the page is quiet, compute what it shows already: the first filter then finds warm code and random numbers.
  (window.requestIdleCallback ?? setTimeout)(() => {
    const cells = cellsOf(data.boards[0], choices());
    if (cells?.length) tabgenStatistics.summarise(cells, firstPolicy, data.constants, data.boards[0]);
  });
  return { show };
})();
