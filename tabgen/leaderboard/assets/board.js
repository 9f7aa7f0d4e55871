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
    const cells = names.map((name, i) =>
      sortable
        ? element("th", element("button", name, { type: "button" }), { scope: "col", "data-first": i ? "descending" : "ascending" })
        : element("th", name, { scope: "col" }),
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

  // Possible ranks on a line from the first to the last, with a tick at the mean rank.
  function span([low, high], at, last) {
    const step = 100 / last, { node } = tabgenCharts;
    return node(
      "svg",
      { class: "span", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      node("rect", { class: "track", x: 0, y: 4.5, width: 100, height: 1 }),
      node("rect", { class: "reach", x: (low - 1) * step, y: 2, width: (high - low + 1) * step, height: 6 }),
      node("rect", { class: "tick", x: (at - 0.5) * step - 0.6, y: 0, width: 1.2, height: 10 }),
    );
  }

  // An interval on a scale that holds zero, cut off where it leaves it.
  function whisker([low, high], at, [least, most]) {
    const place = (value) => Math.min(100, Math.max(0, ((value - least) / (most - least)) * 100)), { node } = tabgenCharts;
    return node(
      "svg",
      { class: "whisker", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      node("rect", { class: "axis", x: place(0) - 0.4, y: 0, width: 0.8, height: 10 }),
      node("rect", { class: "reach", x: place(low), y: 3.5, width: Math.max(place(high) - place(low), 0.6), height: 3 }),
      node("rect", { class: "tick", x: place(at) - 1, y: 1, width: 2, height: 8 }),
    );
  }

  function worth(found) {
    if (found === null) return "–";
    return (found.below > 0.5 ? "≤ " : found.above > 0.5 ? "≥ " : "") + number(100 * found.share, 0);
  }

  // Possible ranks and ties were judged for the whole board when it was built; of another pool they say nothing.
  function showRanking(board, result, policy, sets) {
    document.getElementById("sets-note").hidden = sets !== null;
    for (const header of document.querySelectorAll("#ranking th")) header.removeAttribute("aria-sort");
    const sound = result.records.filter((r) => r.median_gain_interval && board.about[r.method].kind !== "control");
    const ends = [0, ...sound.flatMap((r) => r.median_gain_interval)], reach = [Math.min(...ends), Math.max(...ends)];
    const cell = (content, attributes) => element("td", content, attributes);
    const more = (content) => cell(content, { class: "more" });
    const lines = result.records.map((r) => {
      const about = board.about[r.method], set = sets?.[r.method], claim = result.claims[r.method];
      const scaled = r.median_gain_interval && reach[1] > reach[0];
      const drawn = scaled ? [" ", whisker(r.median_gain_interval, r.median_gain, reach)] : [];
      const name = [tabgenCharts.icon(about.look), "\u00a0", link(marked(r, policy), about.page), " "];
      return row(
        [...name, element("span", about.kind, { class: "kind", title: data.kinds[about.kind] })],
        [
          cell(set ? [span(set, r.mean_rank, result.methods.length), ` ${set[0]} … ${set[1]}`] : "–"),
          cell(set?.[2] ?? "–", { class: "ties" }),
          claim
            ? cell([claim[0] + " ", element("small", tabgenStatistics.sayP(claim[1]))], {
                class: claim[0],
                "data-value": (1 - claim[1]) * (claim[0] === "higher" ? 1 : -1),
              })
            : cell("–"),
          cell(worth(r.worth)),
          cell([signed(r.median_gain), ...drawn]),
          cell(range(r.median_gain_interval, signed)),
          cell(number(r.mean_rank, 2)),
          cell(number(r.seconds, 1)),
          more(range(r.mean_rank_interval, (value) => number(value, 2))),
          more(range(r.worth?.interval ?? null, (value) => number(100 * value, 0))),
          more(number(r.spread_iqr)),
          more(number(r.spread_sd)),
          more(r.against_real === null ? "–" : r.against_real.join("/")),
          more(signed(r.optimism)),
        ],
      );
    });
    body("ranking", lines);
  }

  // Positions of the ranked methods in the matrix, the best first.
  const orderOf = (result) =>
    result.records.filter((r) => r.mean_rank !== null).map((r) => result.methods.indexOf(r.method));

  function showGains(result) {
    const order = orderOf(result);
    headings("gains", ["dataset", ...order.map((at) => result.methods[at])], true);
    const lines = result.datasets.map((name, i) => {
      const best = Math.max(...result.matrix[i]);
      const cells = order.map((at) => result.matrix[i][at]).map((value) => element("td", signed(value), value === best ? { class: "best" } : {}));
      return row(link(name, data.datasets[name].page), cells);
    });
    body("gains", lines);
  }

  function showDuels(result) {
    const order = orderOf(result);
    headings("duels", ["row against column", ...order.map((at) => result.methods[at])], false);
    const lines = order.map((a) =>
      row(
        result.methods[a],
        order.map((b) => {
          const [wins, ties, losses] = result.duels[a][b];
          return element("td", a === b ? "–" : `${wins}/${ties}/${losses}`, wins > losses ? { class: "best" } : {});
        }),
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
      ...board.figures.map(({ file, narrow, title, text }) => {
        const small = element("source", [], { media: "(max-width: 40rem)", srcset: narrow });
        const picture = element("picture", [small, element("img", [], { src: file, alt: text, loading: "lazy" })]);
        return element("figure", [picture, element("figcaption", title)]);
      }),
    );
  }

  function showAnswer(board, metric, sentences) {
    document.getElementById("headline").replaceChildren(...sentences.map((sentence) => element("p", sentence)));
    const told = board.facts[metric].map(([name, value]) => element("div", [element("dt", name), element("dd", value)]));
    document.getElementById("facts").replaceChildren(...told);
  }

  // Lines of the ranking and of the list of generators whose name or type does not hold the words are not shown.
  function search() {
    const words = form.elements.search.value.trim().toLowerCase();
    for (const line of document.querySelectorAll("#ranking tbody tr, #generator-list tbody tr")) {
      line.hidden = !line.textContent.toLowerCase().includes(words);
    }
  }

  function options(select, names, empty) {
    const kept = select.value, all = names.map((name) => element("option", name, { value: name }));
    select.replaceChildren(...(empty ? [element("option", empty, { value: "" })] : []), ...all);
    if (names.includes(kept)) select.value = kept;
  }

  function showCost(board, result, metric) {
    const measured = result.records.some((r) => r.worth !== null);
    const known = result.records.filter((r) => (measured ? r.worth : r.median_gain) !== null && r.seconds !== null);
    const points = known.map((r) => {
      const y = measured ? 100 * r.worth.share : r.median_gain, { look, page } = board.about[r.method];
      return { x: Math.max(r.seconds, 1e-3), y, look, page, label: r.method, tip: `${r.method}: ${number(y, 2)}, ${number(r.seconds, 1)} s` };
    });
    let best = -Infinity;
    const front = points
      .filter((p) => board.about[p.label].kind !== "control")
      .sort((a, b) => a.x - b.x || b.y - a.y)
      .filter((p) => p.y > best && ((best = p.y), true))
      .map((p) => [p.x, p.y]);
    tabgenCharts.draw(document.getElementById("cost"), {
      points,
      lines: front.length > 1 ? [{ points: front, steps: true }] : [],
      x: { title: "seconds a cell (median)", log: true },
      y: { title: measured ? "worth, % of the real rows" : `median gain in ${spaced(metric)}, %` },
      title: `${measured ? "Worth" : "Median gain"} of every method against seconds a cell`,
    });
  }

  function showExplorer(board, result, metric) {
    const explored = document.getElementById("explored"), beside = document.getElementById("beside");
    const ranked = result.records.filter((r) => r.mean_rank !== null).map((r) => r.method);
    const makers = ranked.filter((name) => !["baseline", "control"].includes(board.about[name].kind));
    options(explored, [...makers, ...ranked.filter((name) => !makers.includes(name))]);
    options(beside, ranked, "nothing");
    const property = document.getElementById("property"), what = property.selectedOptions[0].textContent;
    const chosen = [...new Set([explored.value, beside.value])].filter((name) => ranked.includes(name));
    const known = result.datasets.filter((name) => data.datasets[name][property.value] !== null);
    const points = chosen.flatMap((method) =>
      known.map((dataset) => {
        const y = result.matrix[result.datasets.indexOf(dataset)][result.methods.indexOf(method)];
        const { page, [property.value]: x } = data.datasets[dataset];
        return { x, y, page, look: board.about[method].look, tip: `${dataset}, ${method}: ${signed(y)} % at ${number(x, x % 1 ? 2 : 0)} ${what}` };
      }),
    );
    tabgenCharts.draw(document.getElementById("explorer"), {
      points,
      x: { title: what, log: ["rows", "features"].includes(property.value) },
      y: { title: `gain in ${spaced(metric)}, %`, zero: true },
      title: `Gain of ${chosen.join(" and ")} on each dataset against ${what}`,
    });
    const unknown = result.datasets.length - known.length;
    document.getElementById("explorer-note").replaceChildren(
      ...chosen.flatMap((name) => [tabgenCharts.icon(board.about[name].look), ` ${name}  `]),
      unknown ? `${unknown} datasets are not shown: it is not known of them.` : "",
    );
  }

  function showHistory(board, cells, policy, metric) {
    const place = document.getElementById("history");
    place.hidden = board.dates.length < 2;
    if (place.hidden) return;
    const days = board.dates.map((day) => Date.parse(day)), then = tabgenStatistics.history(cells, policy, board);
    const drawn = (name) => board.about[name].kind !== "control" && then.some((day) => name in day);
    const methods = board.methods.filter(drawn);
    const seen = (name) => days.flatMap((day, i) => (name in then[i] ? [[day, then[i][name]]] : []));
    const last = (name, at) => at === seen(name).length - 1;
    tabgenCharts.draw(document.getElementById("history-chart"), {
      points: methods.flatMap((name) =>
        seen(name).map(([x, y], i) => ({
          x, y, look: board.about[name].look, label: last(name, i) ? name : "",
          tip: `${name}, ${new Date(x).toISOString().slice(0, 10)}: ${signed(y)} %`,
        })),
      ),
      lines: methods.map((name) => ({ points: seen(name), colour: board.about[name].look.colour })),
      x: { title: "day (UTC)", values: days, show: (day) => new Date(day).toISOString().slice(2, 10) },
      y: { title: `median gain in ${spaced(metric)}, %`, zero: true },
      title: "Median gain of every method by day",
    });
  }

  const spaced = (name) => name.replaceAll("_", " ");
  let shown = null;

  function showCharts() {
    if (shown === null) return;
    const { board, result, cells, policy, metric } = shown;
    document.getElementById("charts").hidden = false;
    showCost(board, result, metric);
    showExplorer(board, result, metric);
    showHistory(board, cells, policy, metric);
  }

  // The filters are in the address, so that a view can be sent: a comparison by its title, which outlives new rows.
  const nameOf = (board) => board.title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const defaults = () => ({ board: "0", metric: data.metrics[0], suite: "", size: "", mixing: "", licence: "", policy: firstPolicy, search: "" });

  function remember(chosen) {
    const unusual = Object.entries(chosen).filter(([name, value]) => value !== defaults()[name]);
    const told = unusual.map(([name, value]) => [name, name === "board" ? nameOf(data.boards[Number(value)]) : value]);
    const query = new URLSearchParams(told).toString();
    history.replaceState(null, "", `${location.pathname}${query ? `?${query}` : ""}${location.hash}`);
  }

  function recall() {
    const asked = new URLSearchParams(location.search);
    for (const [name, usual] of Object.entries(defaults())) {
      const field = form.elements[name], told = asked.get(name);
      const at = data.boards.findIndex((board) => nameOf(board) === told);
      field.value = told === null ? usual : name !== "board" ? told : at < 0 ? usual : String(at);
      if (field.value === "" && usual !== "") field.value = usual; // nothing that can be chosen
      if (told !== null && ["suite", "size", "mixing", "licence", "policy"].includes(name)) form.querySelector("details").open = true;
    }
    return [...asked.keys()].some((name) => name in defaults());
  }

  function show() {
    const chosen = choices(), board = data.boards[Number(chosen.board)];
    remember(chosen);
    const cells = cellsOf(board, chosen), state = document.getElementById("state");
    const filtered = ["suite", "size", "mixing", "licence"].some((name) => chosen[name]) || chosen.policy !== firstPolicy;
    if (cells === null || cells.length === 0) {
      state.textContent = cells === null ? `This comparison has no ${chosen.metric}.` : "No cell is left: widen the filters.";
      for (const id of ["ranking", "gains", "duels"]) body(id, []);
      showSentences([]);
      document.getElementById("headline").replaceChildren();
      document.getElementById("charts").hidden = true;
      shown = null;
      showFigures(board, false);
      return null;
    }
    const result = tabgenStatistics.summarise(cells, chosen.policy, data.constants, board);
    const sentences = filtered ? result.sentences : board.sentences[chosen.metric];
    showSentences(sentences);
    showAnswer(board, chosen.metric, tabgenStatistics.headline(result, board.about));
    showRanking(board, result, chosen.policy, filtered ? null : board.sets[chosen.metric]);
    showGains(result);
    showDuels(result);
    showFigures(board, !filtered && chosen.metric === Object.keys(board.gains)[0]);
    shown = { board, result, cells, policy: chosen.policy, metric: chosen.metric };
    showCharts();
    search();
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
  const everything = document.getElementById("all-columns");
  everything.parentElement.hidden = false;
  everything.addEventListener("change", () => document.getElementById("ranking").classList.toggle("all", everything.checked));
  const asked = recall();
  form.addEventListener("change", (event) => event.target.name !== "search" && show());
  form.addEventListener("input", (event) => {
    if (event.target.name !== "search") return;
    search();
    remember(choices());
  });
  form.addEventListener("reset", () => setTimeout(reset));
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["explored", "beside", "property"]) document.getElementById(id).addEventListener("change", showCharts);
  let waiting = 0, width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(showCharts, 150);
  });
  if (asked) show();
  else {
    // What was built is shown already; charts are drawn once the page is quiet, and the first filter finds warm code.
    (window.requestIdleCallback ?? setTimeout)(() => {
      const chosen = choices(), board = data.boards[0], cells = cellsOf(board, chosen);
      if (!cells?.length || shown !== null) return;
      const result = tabgenStatistics.summarise(cells, firstPolicy, data.constants, board);
      shown = { board, result, cells, policy: firstPolicy, metric: chosen.metric };
      showCharts();
    });
  }
  return { show };
})();
