// The statistics of tabgen/statistics, for the pool that the filters leave. Pure functions: cells in, numbers out.
// Medians, intervals, ranks, p-values and sentences equal Python's: tests hold them to it, in a bare engine and in a browser.
"use strict";

const tabgenStatistics = (() => {
  const REFERENCES = ["real", "zero-shot"];
  const FEWEST_DATASETS = 5, FEW_DATASETS = 10, EXACT_DATASETS = 100, ENUMERATED_DATASETS = 12;
  const RESAMPLES = 2000, FLIPS = 9999, DECIMALS = 6, LEAST_COVERAGE = 0.8;
  const shared = {
    REFERENCES, FEWEST_DATASETS, FEW_DATASETS, EXACT_DATASETS, ENUMERATED_DATASETS, RESAMPLES, FLIPS, DECIMALS, LEAST_COVERAGE,
  };

  function methodStays(about, chosen) {
    if (about.baseline) return true;
    return (!chosen.mixing || about.mixing === chosen.mixing) && (!chosen.licence || about.licence === chosen.licence);
  }

  function datasetStays(about, chosen) {
    return (!chosen.suite || about.suites.includes(chosen.suite)) && (!chosen.size || String(about.size) === chosen.size);
  }

  // The cells of a board that the filters leave, as `summarise` takes them; null where the board lacks the metric.
  function cellsOf(board, datasetsKnown, chosen) {
    if (!board.gains[chosen.metric]) return null;
    const [gain, optimism] = board.gains[chosen.metric], cells = [];
    const methods = board.methods.map((name) => methodStays(board.about[name], chosen));
    const datasets = board.datasets.map((name) => datasetStays(datasetsKnown[name], chosen));
    for (let i = 0; i < gain.length; i++) {
      if (!methods[board.method[i]] || !datasets[board.dataset[i]]) continue;
      cells.push({
        dataset: board.datasets[board.dataset[i]],
        method: board.methods[board.method[i]],
        fold: board.fold[i],
        seed: board.seed[i],
        ok: board.ok[i] === 1,
        gain: gain[i],
        optimism: optimism[i],
        seconds: board.seconds[i],
        worth: board.worth && board.worth[0][i] !== null ? board.worth.map((values) => values[i]) : null,
        date: board.date[i],
      });
    }
    return cells;
  }

  // numpy's generator: PCG64 (O'Neill 2014), seeded by Python; the halves of its 64-bit outputs, low half first.
  // 128-bit numbers are 8 limbs of 16 bits: products of limbs, and their sums, are exact in a double.
  function words(seedState) {
    const limbs = (number) => Array.from({ length: 8 }, (_, i) => Number((BigInt(number) >> BigInt(16 * i)) & 0xffffn));
    const multiplier = limbs("0x2360ed051fc65da44385df649fccf645"), increment = limbs(seedState.increment);
    let state = limbs(seedState.state), spare = limbs(0), kept = -1;
    return () => {
      if (kept >= 0) {
        const word = kept;
        kept = -1;
        return word;
      }
      let carry = 0;
      for (let i = 0; i < 8; i++) {
        let sum = carry + increment[i];
        for (let j = 0; j <= i; j++) sum += state[j] * multiplier[i - j];
        spare[i] = sum & 0xffff;
        carry = Math.floor(sum / 65536);
      }
      [state, spare] = [spare, state];
      let low = (state[0] ^ state[4]) | ((state[1] ^ state[5]) << 16);
      let high = (state[2] ^ state[6]) | ((state[3] ^ state[7]) << 16);
      let turn = state[7] >> 10;
      if (turn >= 32) {
        [low, high] = [high, low];
        turn -= 32;
      }
      const turned = turn ? (low >>> turn) | (high << (32 - turn)) : low;
      kept = (turn ? (high >>> turn) | (low << (32 - turn)) : high) >>> 0;
      return turned >>> 0;
    };
  }

  const cache = new Map();
  function cached(key, make) {
    if (!cache.has(key)) cache.set(key, make());
    return cache.get(key);
  }

  // How often each dataset is in each bootstrap resample: Generator.integers(0, n), by Lemire's method.
  function resampleCounts(n, seedState) {
    return cached(`counts ${n}`, () => {
      const draw32 = words(seedState), counts = new Uint16Array(RESAMPLES * n);
      const threshold = 2 ** 32 % n;
      for (let row = 0; row < RESAMPLES; row++) {
        for (let draw = 0; draw < n; draw++) {
          let product, leftover;
          do {
            product = draw32() * n;
            leftover = product % 2 ** 32;
          } while (leftover < threshold);
          counts[row * n + Math.floor(product / 2 ** 32)]++;
        }
      }
      return counts;
    });
  }

  // Signs of Generator.integers(0, 2, dtype=int8): the top bit of each byte.
  function randomSigns(n, seedState) {
    return cached(`signs ${n}`, () => {
      const draw32 = words(seedState), signs = new Int8Array(FLIPS * n);
      let word = 0;
      for (let position = 0; position < signs.length; position++) {
        word = position % 4 ? word >>> 8 : draw32();
        signs[position] = word & 0x80 ? -1 : 1;
      }
      return signs;
    });
  }

  function round6(value) {
    const scaled = value * 10 ** DECIMALS, near = Math.round(scaled);
    const even = Math.abs(scaled - Math.trunc(scaled)) === 0.5 && near % 2 ? near - 1 : near;
    return even / 10 ** DECIMALS + 0;
  }

  const quantile = (values, share) => quantileOfSorted(Float64Array.from(values).sort(), share);

  function quantileOfSorted(sorted, share) {
    const place = share * (sorted.length - 1), below = Math.floor(place);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
  }

  // numpy's way: half the sum of the two in the middle, to the last bit, since sentences round it.
  function median(values) {
    if (!values.length) return null;
    const sorted = Float64Array.from(values).sort(), last = sorted.length - 1;
    return (sorted[last >> 1] + sorted[(last + 1) >> 1]) / 2;
  }

  function mean(values) {
    let sum = 0;
    for (const value of values) sum += value;
    return sum / values.length;
  }

  function deviation(values) {
    const centre = mean(values);
    return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
  }

  // Mean ranks of ties, 1 = smallest.
  function ranksOf(values) {
    const order = values.map((_, position) => position).sort((a, b) => values[a] - values[b]);
    const ranks = new Array(values.length);
    for (let start = 0; start < order.length; ) {
      let end = start;
      while (end < order.length && values[order[end]] === values[order[start]]) end++;
      for (let place = start; place < end; place++) ranks[order[place]] = (start + 1 + end) / 2;
      start = end;
    }
    return ranks;
  }

  function interval(replicates, alpha) {
    replicates.sort();
    return [quantileOfSorted(replicates, alpha / 2), quantileOfSorted(replicates, 1 - alpha / 2)];
  }

  function medianInterval(column, counts, alpha) {
    const n = column.length;
    if (n < 2) return null;
    const order = column.map((_, position) => position).sort((a, b) => column[a] - column[b]);
    const first = (n - 1) >> 1, second = n >> 1;
    const replicates = new Float64Array(RESAMPLES);
    for (let row = 0; row < RESAMPLES; row++) {
      let seen = 0, place = -1, low = NaN;
      while (seen <= second) {
        seen += counts[row * n + order[++place]];
        if (Number.isNaN(low) && seen > first) low = column[order[place]];
      }
      replicates[row] = (low + column[order[place]]) / 2;
    }
    return interval(replicates, alpha);
  }

  function meanInterval(column, counts, alpha) {
    const n = column.length;
    if (n < 2) return null;
    const replicates = new Float64Array(RESAMPLES);
    for (let row = 0; row < RESAMPLES; row++) {
      let sum = 0;
      for (let place = 0; place < n; place++) sum += counts[row * n + place] * column[place];
      replicates[row] = sum / n;
    }
    return interval(replicates, alpha);
  }

  function logGamma(x) {
    const g = [
      676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
      -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
    ];
    let sum = 0.9999999999998099;
    g.forEach((coefficient, i) => (sum += coefficient / (x + i)));
    const t = x + 6.5;
    return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
  }

  // Regularised incomplete beta function, by its continued fraction (Lentz's method).
  function incompleteBeta(x, a, b) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
    const tiny = 1e-300;
    const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
    let d = 1 / (1 - ((a + b) * x) / (a + 1) || tiny), c = 1, fraction = d;
    for (let m = 1; m < 1000; m++) {
      for (const term of [
        (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
        (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
      ]) {
        d = 1 / (1 + term * d || tiny);
        c = 1 + term / c || tiny;
        fraction *= c * d;
      }
      if (Math.abs(c * d - 1) < 1e-15) break;
    }
    return front * fraction;
  }

  // Friedman with tie correction, Iman and Davenport's F, and the sign-flip p-value; null where there is none.
  function omnibus(ranks, seedState) {
    const n = ranks.length, k = n ? ranks[0].length : 0;
    if (k < 3 || n < 2) return null;
    const result = { datasets: n, methods: k, chi2: 0, f: 0, f_p: 1, flip_p: 1, p: 1 };
    const centred = Float64Array.from(ranks.flat(), (rank) => rank - (k + 1) / 2);
    if (centred.every((rank) => rank === 0)) return result;
    const sums = new Float64Array(k);
    // Squared column sums, each dataset's ranks turned round where its sign is -1.
    const between = (signs, start) => {
      sums.fill(0);
      for (let row = 0, cell = 0; row < n; row++) {
        if (signs[start + row] > 0) for (let column = 0; column < k; column++) sums[column] += centred[cell++];
        else for (let column = 0; column < k; column++) sums[column] -= centred[cell++];
      }
      let total = 0;
      for (let column = 0; column < k; column++) total += sums[column] * sums[column];
      return total;
    };
    const observed = between(new Int8Array(n).fill(1), 0);
    let ties = 0;
    for (const row of ranks) {
      const sizes = new Map();
      row.forEach((rank) => sizes.set(rank, (sizes.get(rank) || 0) + 1));
      sizes.forEach((size) => (ties += size ** 3 - size));
    }
    result.chi2 = ((12 / (k * n * (k + 1))) * observed) / (1 - ties / (k * (k * k - 1) * n));
    const left = n * (k - 1) - result.chi2;
    result.f = left <= 1e-9 ? Infinity : ((n - 1) * result.chi2) / left;
    const d1 = k - 1, d2 = (k - 1) * (n - 1);
    const tail = left <= 1e-9 ? 0 : incompleteBeta(d2 / (d2 + d1 * result.f), d2 / 2, d1 / 2);
    result.f_p = Math.max(tail, Math.exp(-(n - 1) * logGamma(k + 1)));
    let reached = 0;
    if (n <= ENUMERATED_DATASETS) {
      const all = 2 ** (n - 1), signs = new Int8Array(n);
      for (let flip = 0; flip < all; flip++) {
        for (let row = 0; row < n; row++) signs[row] = (flip >> row) & 1 ? -1 : 1;
        reached += between(signs, 0) >= observed - 1e-9;
      }
      result.flip_p = reached / all;
    } else {
      const signs = randomSigns(n, seedState);
      for (let flip = 0; flip < FLIPS; flip++) reached += between(signs, flip * n) >= observed - 1e-9;
      result.flip_p = (1 + reached) / (1 + FLIPS);
    }
    result.p = Math.max(result.f_p, result.flip_p);
    return result;
  }

  // Wilcoxon's signed-rank test, exact, zeros by Pratt's rule.
  function signedRank(differences) {
    const ranks = ranksOf(differences.map(Math.abs));
    let plus = 0, minus = 0;
    const doubled = [];
    differences.forEach((difference, i) => {
      if (difference > 0) plus += ranks[i];
      if (difference < 0) minus += ranks[i];
      if (difference !== 0) doubled.push(Math.round(2 * ranks[i]));
    });
    if (!doubled.length) return { plus, minus, p: 1 };
    let probability = new Float64Array(doubled.reduce((sum, rank) => sum + rank, 0) + 1);
    probability[0] = 1;
    let reach = 0;
    for (const rank of doubled) {
      reach += rank;
      for (let sum = reach; sum >= 0; sum--) {
        probability[sum] = 0.5 * (probability[sum] + (sum >= rank ? probability[sum - rank] : 0));
      }
    }
    let tail = 0;
    for (let sum = probability.length - 1; sum >= Math.round(2 * Math.max(plus, minus)); sum--) tail += probability[sum];
    return { plus, minus, p: Math.min(1, 2 * tail) };
  }

  function holm(raw) {
    const order = raw.map((_, i) => i).sort((a, b) => raw[a] - raw[b] || a - b), adjusted = new Array(raw.length);
    let most = 0;
    order.forEach((i, step) => {
      most = Math.max(most, (raw.length - step) * raw[i]);
      adjusted[i] = Math.min(1, most);
    });
    return adjusted;
  }

  function plannedPairs(methods, references) {
    const present = references.filter((name) => methods.includes(name)), pairs = [];
    present.forEach((reference, position) => {
      const later = present.slice(position + 1);
      for (const method of methods) {
        if (method !== reference && !later.includes(method)) pairs.push([method, reference]);
      }
    });
    if (pairs.length) return pairs;
    methods.forEach((method, i) => methods.slice(i + 1).forEach((other) => pairs.push([method, other])));
    return pairs;
  }

  const entry = (map, key, make) => map.get(key) ?? map.set(key, make()).get(key);
  const enough = (covered, due) => covered > 0 && due - covered <= Math.max(1, (1 - LEAST_COVERAGE) * due + 1e-9);

  // The grid of tabgen.statistics.coverage: datasets, covering methods, the folds due by dataset, the seeds by method.
  function gridOf(cells) {
    const ran = new Map(), names = new Set();
    for (const cell of cells) {
      entry(ran, cell.dataset, () => new Set()).add(cell.method);
      names.add(cell.method);
    }
    const all = [...ran.keys()].sort(), everybody = [...names].sort(), seen = new Set();
    const baseline = (method) => REFERENCES.includes(method), voices = everybody.some((method) => !baseline(method));
    let best = null;
    for (const inside of [all, ...everybody.map((method) => all.filter((dataset) => ran.get(dataset).has(method)))]) {
      const key = all.map((dataset) => (inside.includes(dataset) ? "1" : "0")).join("");
      if (seen.has(key)) continue;
      seen.add(key);
      const covers = (method) => inside.filter((dataset) => ran.get(dataset).has(method)).length;
      const covering = everybody.filter((method) => enough(covers(method), inside.length));
      const heard = covering.filter((method) => !baseline(method));
      const pairs = (heard.length ? heard : covering).reduce((sum, m) => sum + 2 * covers(m) - inside.length, 0);
      const worth = heard.length || !voices ? pairs : 0;
      const better =
        best === null ||
        worth > best.worth ||
        (worth === best.worth &&
          (inside.length > best.datasets.length || (inside.length === best.datasets.length && key > best.key)));
      if (better) best = { worth, key, datasets: inside, methods: covering, heard: heard.length ? heard : covering };
    }
    const onGrid = cells.filter((cell) => best.datasets.includes(cell.dataset));
    const due = (some, within, what, counted) => {
      const groups = new Map();
      for (const cell of some) {
        const group = entry(groups, cell[within], () => ({ everyone: new Set(), each: new Map() }));
        group.everyone.add(cell[counted]);
        entry(group.each, cell[what], () => new Set()).add(cell[counted]);
      }
      return new Map(
        [...groups].map(([name, { everyone, each }]) => [
          name,
          new Set([...each].filter(([, who]) => 2 * who.size >= everyone.size).map(([value]) => value)),
        ]),
      );
    };
    const folds = due(onGrid.filter((cell) => best.heard.includes(cell.method)), "dataset", "fold", "method");
    const seeds = due(cells, "method", "seed", "dataset");
    due(onGrid, "method", "seed", "dataset").forEach((values, method) => seeds.set(method, values));
    for (const [method, values] of seeds) {
      if (!values.size) cells.forEach((cell) => cell.method === method && values.add(cell.seed));
    }
    const holds = (cell) => Boolean(folds.get(cell.dataset)?.has(cell.fold) && seeds.get(cell.method).has(cell.seed));
    return { ...best, all, everybody, folds, seeds, holds };
  }

  // One mean per dataset and method (seeds within a fold, then folds), and what the policy left out or made up.
  function datasetMeans(cells, policy) {
    const grid = gridOf(cells), { everybody, folds, seeds } = grid, all = grid.datasets, groups = new Map();
    const newGroup = () => ({ size: 0, ok: 0, sum: 0, byFold: new Map() });
    for (const cell of cells.filter(grid.holds)) {
      const group = entry(entry(groups, cell.dataset, () => new Map()), cell.method, newGroup);
      group.size++;
      if (cell.gain === null) continue;
      group.ok++;
      group.sum += cell.gain;
      entry(group.byFold, cell.fold, () => []).push(cell.gain);
    }
    const incomplete = [], complete = (dataset, method) => groups.get(dataset).get(method).complete;
    for (const dataset of all) {
      for (const method of everybody) {
        const group = entry(entry(groups, dataset, () => new Map()), method, newGroup);
        group.due = (folds.get(dataset)?.size ?? 0) * seeds.get(method).size;
        group.complete = group.ok === group.due && group.size === group.due;
        if (group.complete) {
          group.mean = mean([...group.byFold.values()].map(mean));
        } else {
          const { due, ok, size } = group;
          incomplete.push({ dataset, method, missing: due - ok, absent: Math.max(0, due - size) });
        }
      }
    }
    const finished = policy === "complete", coverage = new Map();
    for (const method of everybody) {
      const counts = (dataset) => (finished ? complete(dataset, method) : groups.get(dataset).get(method).size > 0);
      coverage.set(method, all.filter(counts).length);
    }
    const due = finished ? Math.max(...grid.heard.map((method) => coverage.get(method))) : all.length;
    const ranked = (method) => grid.methods.includes(method) && enough(coverage.get(method), due);
    const methods = everybody.filter(ranked), excluded = everybody.filter((method) => !ranked(method));
    let datasets = all, dropped = [], lowest = 0;
    if (finished) {
      dropped = all.filter((dataset) => !methods.length || !methods.every((method) => complete(dataset, method)));
      datasets = all.filter((dataset) => !dropped.includes(dataset));
    }
    for (const dataset of all) {
      for (const method of methods) {
        if (complete(dataset, method)) lowest = Math.min(lowest, groups.get(dataset).get(method).mean);
      }
    }
    const value = (dataset, method) => {
      const group = groups.get(dataset).get(method);
      if (group.complete) return round6(group.mean);
      return round6(policy === "worst" ? lowest - 1 : group.sum / group.due);
    };
    const outside = grid.all.filter((dataset) => !all.includes(dataset));
    const matrix = datasets.map((dataset) => methods.map((method) => value(dataset, method)));
    return { matrix, datasets, methods, all, everybody, excluded, dropped, incomplete, outside, coverage, due, grid };
  }

  function missingSentences(means, policy, references) {
    const found = [];
    if (means.excluded.length) {
      const did = policy === "complete" ? "finish" : "run on";
      const told = means.excluded.map((method) => `${method} (${means.coverage.get(method)})`).join(", ");
      found.push(
        `Incomplete, and beside the ranking, with the datasets they ${did}: ${told}. To be ranked a method has to ` +
          `${did} ${Math.round(LEAST_COVERAGE * 100)}% of ${means.due} datasets, or all but one.`,
      );
    }
    if (means.outside.length) {
      const shown = means.outside.slice(0, 3).join(", ") + (means.outside.length > 3 ? ", ..." : "");
      found.push(
        "Outside the grid of this board, since too few of its methods were run there: " +
          `${means.outside.length} of ${means.all.length + means.outside.length} datasets (${shown}).`,
      );
    }
    if (means.dropped.length) {
      const blamed = new Set(means.incomplete.map((pair) => pair.method));
      means.excluded.forEach((method) => blamed.delete(method));
      const whose = blamed.size ? ` (${[...blamed].sort().join(", ")})` : "";
      found.push(
        `${means.dropped.length} of ${means.all.length} datasets are left out, because on them cells are missing, ` +
          `failed or have no such score${whose}; policies 'worst' and 'baseline' keep them.`,
      );
    }
    const madeUp = means.incomplete.filter((pair) => !means.excluded.includes(pair.method));
    if (policy !== "complete" && madeUp.length) {
      const cells = madeUp.reduce((sum, pair) => sum + pair.missing, 0);
      const names = [...new Set(madeUp.map((pair) => pair.method))].sort().join(", ");
      const action = policy === "worst" ? "ranked last" : "scored as zero-shot";
      found.push(
        `Policy '${policy}': ${cells} cells of ${names} are missing, failed or have no such score and are ${action}; ` +
          "these values are made up.",
      );
    }
    const absent = references.filter((name) => !means.methods.includes(name));
    if (absent.length) found.push(`No comparison with ${absent.join(" and ")}: not in the pool.`);
    return found;
  }

  // toFixed with a true half rounded to the even digit, as Python does: exact p-values and mean ranks are such halves.
  function fixed(value, digits) {
    const size = Math.abs(value), up = size.toFixed(digits);
    if ((size * 2 ** (digits + 1)) % 2 !== 1 || Number(up.at(-1)) % 2 === 0) return value.toFixed(digits);
    return (value < 0 ? "-" : "") + (Number(up) - 10 ** -digits).toFixed(digits);
  }

  // Two significant digits, as Python's ".2g" for what is between 0.0001 and 1.
  const twoDigits = (value) => Number(fixed(value, 1 - Math.floor(Math.log10(value))));
  const sayP = (p) => (p < 0.001 ? "p < 0.001" : `p = ${fixed(p, 3)}`);
  const signed = (value, digits) => (value < 0 || Object.is(value, -0) ? "" : "+") + fixed(value, digits);
  // toLocaleString would do it too, after loading its language data for a tenth of a second.
  const thousands = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

  function comparisonsOf(means, references) {
    const pairs = plannedPairs(means.methods, references);
    if (!means.datasets.length) return [];
    const compared = pairs.map(([method, reference]) => {
      const a = means.methods.indexOf(method), b = means.methods.indexOf(reference);
      const differences = means.matrix.map((row) => round6(row[a] - row[b]));
      const test = signedRank(differences);
      return {
        method,
        reference,
        wins: differences.filter((d) => d > 0).length,
        ties: differences.filter((d) => d === 0).length,
        losses: differences.filter((d) => d < 0).length,
        median: median(differences),
        higher: test.plus > test.minus,
        p: test.p,
      };
    });
    holm(compared.map((comparison) => comparison.p)).forEach((p, i) => (compared[i].p_adjusted = p));
    return compared;
  }

  // The sentences of tabgen.statistics.verdicts, without the one on practical equality, which needs a simulation.
  // A comparison comes as [sentence, claims]: one that claims nothing may be folded away, one that claims a difference
  // is left out where the controls fail.
  function verdicts(means, test, comparisons, alpha) {
    const n = means.datasets.length, k = means.methods.length;
    if (k < 2) return [`No verdict: a comparison needs at least 2 methods, this pool has ${k}.`];
    if (n < FEWEST_DATASETS) {
      return [
        `No verdict: ${count(n, "dataset")} in the pool, and fewer than ${FEWEST_DATASETS} can show nothing. ` +
          "Ranks, if any, describe these datasets only.",
      ];
    }
    if (n > EXACT_DATASETS) {
      return [`No verdict in this page for more than ${EXACT_DATASETS} datasets; 'tabgen rank' gives it.`];
    }
    const sentences = [];
    if (n < FEW_DATASETS) {
      sentences.push(
        `Only ${n} datasets: fewer than ${FEW_DATASETS} show large, consistent differences only, and the intervals ` +
          "are too narrow.",
      );
    }
    const attainable = Math.min(1, comparisons.length * 2 ** (1 - n));
    if (comparisons.length && attainable > alpha) {
      sentences.push(
        `With ${n} datasets and ${count(comparisons.length, "comparison")} the smallest attainable Holm-adjusted p is ` +
          `${twoDigits(attainable)}: no pairwise difference, however large, could be claimed at ${alpha}.`,
      );
    }
    const open = test === null || test.p <= alpha;
    if (test !== null) {
      const numbers =
        `Friedman over ${n} datasets and ${k} methods: chi2 = ${fixed(test.chi2, 2)}, Iman-Davenport F = ` +
        `${Number.isFinite(test.f) ? fixed(test.f, 2) : "inf"}, ${sayP(test.f_p)}, by sign flips ${sayP(test.flip_p)}`;
      sentences.push(
        open ? `The methods are not all alike (${numbers}).` : `No difference between the methods can be claimed (${numbers}).`,
      );
    }
    for (const c of comparisons) {
      const record =
        `median difference ${signed(c.median, 3)} points; ${c.wins} wins, ${c.ties} ties, ${c.losses} losses; ` +
        `Wilcoxon-Holm ${sayP(c.p_adjusted)}`;
      if (open && c.p_adjusted <= alpha) {
        sentences.push([`${c.method} scores ${c.higher ? "higher" : "lower"} than ${c.reference} (${record}).`, true]);
        continue;
      }
      const why = c.p_adjusted <= alpha ? "; set aside, since the omnibus test does not reject" : "";
      sentences.push([`No difference can be claimed between ${c.method} and ${c.reference} (${record}${why}).`, false]);
    }
    return sentences;
  }

  // Methods known to be bad against plain use of the real rows: tabgen.statistics.controls. Null where either is absent.
  function controlsOf(means, knownBad) {
    const { matrix, methods } = means, real = methods.indexOf("real");
    const present = knownBad.filter((method) => methods.includes(method)).sort();
    if (real < 0 || !matrix.length || !present.length) return null;
    return present.map((method) => {
      const position = methods.indexOf(method), differences = matrix.map((row) => round6(row[position] - row[real]));
      const difference = median(differences);
      return { method, median_difference: difference, p: signedRank(differences).p, below: difference < 0 };
    });
  }

  // Where a known bad method is not below the real rows, no winner is named.
  function gate(sentences, controls, arm) {
    const bad = (controls ?? []).filter((control) => !control.below);
    if (!bad.length) return sentences;
    const failed = bad.map((control) => `${control.method} (${signed(control.median_difference, 3)} points)`).join(", ");
    const refusal =
      `No winner is named in the arm '${arm}': what is known to be bad is not below real here (${failed}), ` +
      "so a difference of this size says nothing of a generator.";
    return [refusal, ...sentences.filter((sentence) => typeof sentence === "string" || !sentence[1])];
  }

  function duels(matrix, methods) {
    return methods.map((_, a) =>
      methods.map((__, b) => {
        const wins = matrix.filter((row) => row[a] > row[b]).length;
        const losses = matrix.filter((row) => row[a] < row[b]).length;
        return [wins, matrix.length - wins - losses, losses];
      }),
    );
  }

  // Everything the page shows of a pool. A cell: dataset, fold, seed, method, ok, gain, optimism, seconds.
  // `board`: the arm whose scores count, and the methods known to be bad.
  function summarise(cells, policy, constants, board) {
    const means = datasetMeans(cells, policy), { matrix, methods } = means;
    const column = (rows, position) => rows.map((row) => row[position]);
    const ranks = matrix.map((row) => ranksOf(row.map((value) => -value)));
    const test = omnibus(ranks, constants.generator);
    const comparisons = means.datasets.length > EXACT_DATASETS ? [] : comparisonsOf(means, board.references);
    const counts = matrix.length > 1 ? resampleCounts(matrix.length, constants.generator) : null;
    const contests = duels(matrix, methods), real = methods.indexOf("real");
    const inPool = new Set(means.datasets.length ? means.datasets : means.all);
    const byMethod = new Map(means.everybody.map((method) => [method, []]));
    for (const cell of cells) byMethod.get(cell.method).push(cell);
    const records = means.everybody.map((method) => {
      const position = methods.indexOf(method), own = byMethod.get(method);
      const pooled = own.filter((cell) => inPool.has(cell.dataset) && means.grid.holds(cell));
      const gains = position < 0 ? [] : column(matrix, position), ranked = gains.length > 0;
      const rank = ranked ? column(ranks, position) : [];
      return {
        method,
        mean_rank: ranked ? mean(rank) : null,
        mean_rank_interval: ranked ? meanInterval(rank, counts, constants.alpha) : null,
        median_gain: median(gains),
        median_gain_interval: ranked ? medianInterval(gains, counts, constants.alpha) : null,
        spread_iqr: gains.length > 1 ? quantile(gains, 0.75) - quantile(gains, 0.25) : null,
        spread_sd: gains.length > 1 ? deviation(gains) : null,
        against_real: ranked && real >= 0 && position !== real ? contests[position][real] : null,
        optimism: median(perDataset(pooled)),
        cells: own.length + means.incomplete.reduce((sum, i) => sum + (i.method === method ? i.absent : 0), 0),
        cells_ok: own.filter((cell) => cell.ok).length,
        imputed: policy === "complete" || position < 0 ? 0 : means.incomplete.filter((i) => i.method === method).length,
        worth: means.datasets.length ? worthOf(pooled, constants) : null,
        seconds: median(pooled.filter((cell) => cell.ok && cell.seconds !== null).map((cell) => cell.seconds)),
      };
    });
    const before = (a, b) => (a.method < b.method ? -1 : 1);
    const place = (r) => (means.excluded.includes(r.method) ? Infinity : (r.mean_rank ?? 0));
    records.sort((a, b) => (place(a) === place(b) ? before(a, b) : place(a) - place(b)));
    const controls = controlsOf(means, board.known_bad);
    const gated = gate(verdicts(means, test, comparisons, constants.alpha), controls, board.arm);
    const said = [...missingSentences(means, policy, board.references), ...gated];
    const sentences = said.map((sentence) => (typeof sentence === "string" ? [sentence, false] : [sentence[0], !sentence[1]]));
    const claims = claimsOf(means, test, comparisons, controls, constants.alpha);
    return { records, sentences, test, comparisons, claims, controls, duels: contests, ...means, grid: null };
  }

  // Worth of a method's rows: means over seeds, then folds of a dataset, medians over datasets, a bootstrap interval.
  function worthOf(cells, constants) {
    const byDataset = new Map();
    for (const cell of cells) {
      if (cell.worth) entry(entry(byDataset, cell.dataset, () => new Map()), cell.fold, () => []).push(cell.worth);
    }
    if (!byDataset.size) return null;
    const each = [...byDataset.keys()].sort().map((name) => [...byDataset.get(name).values()]), all = each.flat(2);
    const ofFold = (worths, part) => mean(worths.map((worth) => worth[part]));
    const means = (part) => each.map((folds) => mean(folds.map((worths) => ofFold(worths, part))));
    const shares = means(1), counts = each.length > 1 ? resampleCounts(each.length, constants.generator) : null;
    return {
      rows: median(means(0)),
      share: median(shares),
      interval: counts && medianInterval(shares, counts, constants.alpha),
      below: all.filter((worth) => worth[2] < 0).length / all.length,
      above: all.filter((worth) => worth[2] > 0).length / all.length,
    };
  }

  // For every method compared with the real rows: higher, lower or undecided, and p. Empty where nothing may be claimed.
  function claimsOf(means, test, comparisons, controls, alpha) {
    const n = means.datasets.length, open = test === null || test.p <= alpha, claims = {};
    if (n < FEWEST_DATASETS || n > EXACT_DATASETS || controls?.some((control) => !control.below)) return claims;
    for (const c of comparisons) {
      if (c.reference !== "real") continue;
      const word = open && c.p_adjusted <= alpha ? (c.higher ? "higher" : "lower") : "undecided";
      claims[c.method] = [word, c.p_adjusted];
    }
    return claims;
  }

  function listed(names) {
    if (names.length > 3) return `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
    return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names.join("");
  }

  // tabgen.leaderboard.overview.headline: what a pool answers. `about` says of what kind each method is.
  function headline(result, about) {
    const bad = (result.controls ?? []).filter((control) => !control.below).map((control) => control.method);
    if (bad.length) return [`No winner is named: ${listed(bad)}, known to be bad, not below the real rows here.`];
    const n = result.datasets.length;
    if (n < FEWEST_DATASETS) {
      return [`Nothing can be claimed: ${n} of the datasets can be ranked, and it takes ${FEWEST_DATASETS}.`];
    }
    if (n > EXACT_DATASETS) return [`Nothing is claimed in this page for more than ${EXACT_DATASETS} datasets.`];
    if (!result.methods.includes("real")) {
      return ["Nothing can be claimed of the real rows: they are not in this ranking."];
    }
    const makers = result.records.filter(
      ({ method }) => result.claims[method] && !["baseline", "control"].includes(about[method].kind),
    );
    if (!makers.length) return ["No generator is in this ranking."];
    const found = (word) => makers.map((r) => r.method).filter((method) => result.claims[method][0] === word);
    const higher = found("higher");
    const said = [
      higher.length
        ? `Better than the real rows alone: ${listed(higher)}.`
        : "No generator is shown to do better than the real rows alone.",
      `Of ${makers.length} that make rows: ${higher.length} score higher, ${found("lower").length} lower, ` +
        `${found("undecided").length} cannot be told apart, on ${n} datasets.`,
    ];
    const worth = makers.filter((record) => record.worth !== null);
    if (worth.length) {
      const best = worth.reduce((a, b) => (round6(b.worth.share) > round6(a.worth.share) ? b : a));
      const share = fixed(100 * best.worth.share, 0);
      said.push(`Worth most as context: the rows of ${best.method}, as much as ${share} % of the real.`);
    }
    return said;
  }

  // Median gain of every ranked method by the cells that there were on each of the board's days.
  function history(cells, policy, board) {
    return board.dates.map((_, day) => {
      const then = cells.filter((cell) => cell.date <= day);
      if (!then.length) return {};
      const { matrix, methods } = datasetMeans(then, policy);
      return Object.fromEntries(methods.map((method, at) => [method, median(matrix.map((row) => row[at]))]));
    });
  }

  function perDataset(cells) {
    const byDataset = new Map();
    for (const cell of cells) {
      if (cell.optimism === null) continue;
      if (!byDataset.has(cell.dataset)) byDataset.set(cell.dataset, new Map());
      const folds = byDataset.get(cell.dataset);
      if (!folds.has(cell.fold)) folds.set(cell.fold, []);
      folds.get(cell.fold).push(cell.optimism);
    }
    return [...byDataset.values()].map((folds) => mean([...folds.values()].map(mean)));
  }

  return { cellsOf, summarise, headline, history, fixed, sayP, thousands, shared };
})();
