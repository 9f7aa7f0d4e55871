// Charts as SVG, as wide as their place: points with the methods' own markers, lines, and a name wherever there is room.
// Colours of axes and text are the style sheet's, so that a chart is dark where the page is. Names become text nodes.
"use strict";

const tabgenCharts = (() => {
  const MARGIN = { left: 52, right: 14, top: 12, bottom: 44 }, APART = 9, LETTER = 6.6;

  function node(name, attributes = {}, ...content) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
    made.append(...content);
    return made;
  }

  function mark(look, attributes = {}) {
    const colour = look.colour ? { fill: look.colour } : { class: "ink" };
    return node("path", { d: look.shape, ...colour, ...attributes });
  }

  // A marker for text and tables.
  const icon = (look) =>
    node("svg", { class: "mark", viewBox: "-6 -6 12 12", width: 12, height: 12, "aria-hidden": "true" }, mark(look));

  // Where a few values dwarf the rest, an axis is linear up to a typical size and logarithmic beyond.
  function symmetric(values) {
    const sizes = values.map(Math.abs).filter((size) => size > 0).sort((a, b) => a - b);
    const typical = sizes[sizes.length >> 1];
    if (!sizes.length || sizes.at(-1) <= 12 * typical) return null;
    const decade = 10 ** Math.floor(Math.log10(typical));
    return [1, 2, 5, 10].map((step) => step * decade).find((size) => size >= typical);
  }

  function scale(values, log, from, to) {
    const linear = log ? null : symmetric(values);
    const bend = log
      ? Math.log10
      : linear
        ? (v) => (Math.abs(v) <= linear ? v / linear : Math.sign(v) * (1 + Math.log10(Math.abs(v) / linear)))
        : (v) => v;
    let low = Math.min(...values.map(bend)), high = Math.max(...values.map(bend));
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    low -= room;
    high += room;
    const place = (value) => from + ((bend(value) - low) / (high - low)) * (to - from);
    return { place, linear, ticks: ticks(low, high, log, linear, Math.abs(to - from)), low, high };
  }

  function ticks(low, high, log, linear, pixels) {
    if (log || linear) {
      const digits = log && high - low < 1 ? [1, 1.5, 2, 3, 4, 5, 7] : [1, 2, 5];
      const steps = digits.flatMap((digit) => Array.from({ length: 12 }, (_, e) => Number((digit * 10 ** (e - 4)).toPrecision(6))));
      const sizes = steps.filter((size) => log || size >= linear).sort((a, b) => a - b);
      const bend = (size) => (log ? Math.log10(size) : 1 + Math.log10(size / linear));
      const all = log ? sizes : [...sizes.map((size) => -size), 0, ...sizes];
      const inside = all.filter((v) => {
        const at = log || v > 0 ? bend(Math.abs(v)) : v < 0 ? -bend(-v) : 0;
        return at >= low && at <= high;
      });
      return inside.length * 45 <= pixels ? inside : inside.filter((v) => /^-?(0|0?\.?0*10*)$/.test(String(v)));
    }
    const rough = (high - low) / Math.max(3, Math.floor(pixels / 60)), decade = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((digit) => digit * decade).find((size) => size >= rough);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(8)));
  }

  // Points that would hide each other are moved aside, as far as they have to.
  function apart(points) {
    const placed = [];
    for (const point of points) {
      let move = 0, tries = 0;
      while (tries < 40 && placed.some((p) => Math.hypot(p.px - point.px - move, p.py - point.py) < APART)) {
        tries++;
        move = (tries % 2 ? 1 : -1) * Math.ceil(tries / 2) * APART;
      }
      point.px += move;
      placed.push(point);
    }
  }

  // A name goes beside its point where nothing is in the way; the others have theirs on hovering, and in the tables.
  function names(points, width, height) {
    const taken = points.map((p) => [p.px - 6, p.py - 6, p.px + 6, p.py + 6]), found = [];
    const free = (box) =>
      box[0] >= MARGIN.left && box[2] <= width && box[1] >= 0 && box[3] <= height - MARGIN.bottom &&
      !taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
    for (const point of points.filter((p) => p.label)) {
      const long = point.label.length * LETTER;
      for (const [anchor, x, y] of [["start", 9, 4], ["end", -9, 4], ["middle", 0, -10], ["middle", 0, 18]]) {
        const left = point.px + x - (anchor === "end" ? long : anchor === "middle" ? long / 2 : 0);
        const box = [left, point.py + y - 11, left + long, point.py + y + 2];
        if (!free(box)) continue;
        taken.push(box);
        found.push(node("text", { x: point.px + x, y: point.py + y, "text-anchor": anchor }, point.label));
        break;
      }
    }
    return found;
  }

  // points: {x, y, look, label, tip, page}; lines: {points: [[x, y], ...], colour, steps}; x and y: {title, log, values, show}.
  function draw(place, { points, lines = [], x, y, title }) {
    if (!points.length) {
      place.replaceChildren("Nothing to draw.");
      return;
    }
    const width = Math.max(300, Math.floor(place.clientWidth)), height = Math.round(Math.min(460, Math.max(300, width * 0.6)));
    const across = scale(points.map((p) => p.x), x.log, MARGIN.left, width - MARGIN.right);
    const up = scale([...points.map((p) => p.y), ...(y.zero ? [0] : [])], false, height - MARGIN.bottom, MARGIN.top);
    const right = width - MARGIN.right, floor = height - MARGIN.bottom;
    const parts = [node("title", {}, title)];
    for (const value of x.values ?? across.ticks) {
      const at = across.place(value);
      parts.push(node("line", { class: "grid", x1: at, x2: at, y1: MARGIN.top, y2: floor }));
      parts.push(node("text", { x: at, y: floor + 16, "text-anchor": "middle" }, x.show ? x.show(value) : String(value)));
    }
    for (const value of up.ticks) {
      const at = up.place(value);
      parts.push(node("line", { class: value === 0 ? "zero" : "grid", x1: MARGIN.left, x2: right, y1: at, y2: at }));
      parts.push(node("text", { x: MARGIN.left - 6, y: at + 4, "text-anchor": "end" }, String(value)));
    }
    const bent = up.linear ? `, logarithmic beyond ±${up.linear}` : "";
    parts.push(node("text", { class: "axis", x: (MARGIN.left + right) / 2, y: height - 6, "text-anchor": "middle" }, x.title));
    const turned = `rotate(-90 12 ${(MARGIN.top + floor) / 2})`;
    parts.push(
      node("text", { class: "axis", x: 12, y: (MARGIN.top + floor) / 2, "text-anchor": "middle", transform: turned }, y.title + bent),
    );
    for (const line of lines) {
      const corners = line.points.map(([a, b]) => [across.place(a), up.place(b)]);
      const steps = corners.map(([a, b], i) => (i && line.steps ? `H${a}V${b}` : `${i ? "L" : "M"}${a},${b}`)).join("");
      parts.push(node("path", { class: line.colour ? "line" : "line plain", d: steps, stroke: line.colour || null }));
    }
    for (const point of points) Object.assign(point, { px: across.place(point.x), py: up.place(point.y) });
    apart(points);
    for (const point of points) {
      const shown = node("g", { transform: `translate(${point.px} ${point.py})` }, mark(point.look), node("title", {}, point.tip));
      parts.push(point.page ? node("a", { href: point.page, "aria-label": point.tip }, shown) : shown);
    }
    parts.push(...names(points, width, height));
    const size = { viewBox: `0 0 ${width} ${height}`, width, height };
    place.replaceChildren(node("svg", { ...size, role: points[0].page ? "group" : "img", "aria-label": title }, ...parts));
  }

  return { draw, icon, node };
})();
