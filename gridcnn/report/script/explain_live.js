/* An explanation that is alive: the network computes in the page, and a changed item is followed by
   every panel. `gridcnn.walkLive(element, panels, data)` adds what the item is changed by. */
"use strict";

(() => {
  const { make, arithmetic } = gridcnn;
  const EVERY = 120; // ms between two drawings
  const SLICE = 40; // ms of work before the page may answer the user
  const NUDGE = 1e-2; // of the largest cell, by which maps are moved for a slope
  const SIGNS = { " ": "\u2423", "\n": "\u21b5", "\t": "\u21e5", "\r": "\u21b5" };

  const KINDS = { image: "picture", audio: "sound", text: "text", molecule: "molecule", table: "numbers", array: "numbers" };

  function packed(values, ...shape) {
    return { shape, values };
  }

  function strongestFirst(value, count) {
    const size = value.rows * value.columns;
    const best = Array.from({ length: value.channels }, (_, map) => value.cells.subarray(map * size, (map + 1) * size)
      .reduce((most, cell) => Math.max(most, cell), -Infinity));
    return [...best.keys()].sort((a, b) => best[b] - best[a]).slice(0, count);
  }

  function bestPlace({ rows, columns, cells }, map) {
    let best = 0;
    for (let i = 1; i < rows * columns; i += 1) if (cells[map * rows * columns + i] > cells[map * rows * columns + best]) best = i;
    return [Math.floor(best / columns), best % columns];
  }

  function mapsOf(value, numbers) {
    const size = value.rows * value.columns;
    const cells = new Float32Array(numbers.length * size);
    numbers.forEach((map, i) => cells.set(value.cells.subarray(map * size, (map + 1) * size), i * size));
    return packed(cells, numbers.length, value.rows, value.columns);
  }

  function ends(cells) {
    let [low, high] = [Infinity, -Infinity];
    for (const cell of cells) { low = Math.min(low, cell); high = Math.max(high, cell); }
    return [low, high];
  }

  /* The rows of a one-hot grid that have a 1; null for other grids. */
  function usedRows(grid, oneHot) {
    if (!oneHot) return null;
    return [...Array(grid.rows).keys()].filter((row) => grid.cells
      .subarray(row * grid.columns, (row + 1) * grid.columns).some((cell) => cell !== 0));
  }

  function keepRows(cells, blocks, rows, columns, used) {
    if (!used) return cells;
    const kept = new Float32Array(blocks * used.length * columns);
    for (let block = 0; block < blocks; block += 1) {
      used.forEach((row, i) => kept.set(
        cells.subarray((block * rows + row) * columns, (block * rows + row + 1) * columns), (block * used.length + i) * columns,
      ));
    }
    return kept;
  }

  function gridOf(model, data, grid, used) {
    const cells = keepRows(grid.cells, grid.channels, grid.rows, grid.columns, used);
    const rows = used ? used.length : grid.rows;
    const labels = model.axes[0].labels;
    const named = used && labels ? used.map((row) => SIGNS[labels[row]] || labels[row]) : data.grid.rows.labels;
    return {
      ...data.grid,
      cells: packed(cells, grid.channels, rows, grid.columns),
      limit: cells.reduce((most, cell) => Math.max(most, Math.abs(cell)), 0) || 1,
      rows: { ...data.grid.rows, size: rows, labels: named },
    };
  }

  function stageOf(model, stage, values, used) {
    const value = values[stage.value];
    const op = model.network.ops[stage.value - 1];
    const numbers = strongestFirst(value, stage.numbers.length);
    const [low, high] = ends(value.cells);
    const found = { ...stage, numbers, maps: mapsOf(value, numbers), low, high, limit: Math.max(Math.abs(low), Math.abs(high)) || 1 };
    if (stage.pooling) {
      found.pooling = { ...stage.pooling, entered: mapsOf(values[stage.reads[0]], numbers.slice(0, stage.pooling.entered.shape[0])) };
    }
    if (stage.features) {
      const [, channels] = stage.features.weights.shape;
      const [rows, columns] = op.kernel;
      const size = channels * rows * columns;
      const weights = new Float32Array(numbers.length * size);
      numbers.forEach((map, i) => weights.set(
        model.parameters.values.subarray(op.weights + map * size, op.weights + (map + 1) * size), i * size,
      ));
      const kept = keepRows(weights, numbers.length * channels, rows, columns, used);
      found.features = {
        ...stage.features,
        best: numbers.map((map) => bestPlace(value, map)),
        weights: packed(kept, numbers.length, channels, used ? used.length : rows, columns),
        bias: packed(Float32Array.from(numbers, (map) => (op.bias < 0 ? 0 : model.parameters.values[op.bias + map])), numbers.length),
        limit: kept.reduce((most, cell) => Math.max(most, Math.abs(cell)), 0) || 1,
      };
    }
    return found;
  }

  /* The values of a head's hidden layers, rectified. */
  function hiddenOf(op, parameters, cells) {
    const layers = [];
    let entered = cells;
    for (const [weights, bias, outputs] of op.layers.slice(0, -1)) {
      const before = entered;
      entered = Float32Array.from({ length: outputs }, (_, output) => {
        let sum = parameters[bias + output];
        for (let i = 0; i < before.length; i += 1) sum += parameters[weights + output * before.length + i] * before[i];
        return Math.max(sum, 0);
      });
      layers.push(entered);
    }
    return layers;
  }

  function electionOf(model, data, values, order) {
    if (!data.election) return null;
    const op = model.network.ops.at(-1);
    const source = values[op.sources[0]];
    const labels = order.slice(0, data.election.classes.length);
    const found = labels.map((label) => arithmetic.election(op, model.parameters.values, source, label));
    const size = source.rows * source.columns;
    const strength = Array.from({ length: source.channels }, (_, map) => Math.max(...found.map(({ cells }) => cells
      .subarray(map * size, (map + 1) * size).reduce((most, cell) => Math.max(most, Math.abs(cell)), 0))));
    const numbers = [...strength.keys()].sort((a, b) => strength[b] - strength[a])
      .slice(0, data.election.numbers.length).sort((a, b) => a - b);
    const cells = new Float32Array(labels.length * numbers.length * size);
    found.forEach((each, i) => numbers.forEach((map, k) => cells.set(
      each.cells.subarray(map * size, (map + 1) * size), (i * numbers.length + k) * size,
    )));
    const numbersOf = (of) => packed(Float32Array.from(found, of), labels.length);
    const hidden = hiddenOf(op, model.parameters.values, source.cells);
    let voters = null;
    if (hidden.length) {
      const last = hidden.at(-1);
      const [weights, bias] = op.layers.at(-1);
      const votes = new Float32Array(labels.length * last.length);
      labels.forEach((label, i) => last.forEach((value, voter) => {
        votes[i * last.length + voter] = value * model.parameters.values[weights + label * last.length + voter];
      }));
      voters = {
        values: packed(last, last.length), votes: packed(votes, labels.length, last.length),
        start: packed(Float32Array.from(labels, (label) => model.parameters.values[bias + label]), labels.length),
        layers: hidden.map((layer) => layer.length),
        on: hidden.map((layer) => layer.filter((value) => value > 0).length),
      };
    }
    return {
      ...data.election, classes: labels.map((label) => model.classes[label]), numbers, channels: source.channels, voters,
      cells: packed(cells, labels.length, numbers.length, source.rows, source.columns), values: mapsOf(source, numbers),
      sums: numbersOf(({ logit, rest }) => logit - rest), start: numbersOf(({ rest }) => rest), logits: numbersOf(({ logit }) => logit),
    };
  }

  function walkOf(model, data, item, values, parts) {
    const logits = values[model.network.result].cells;
    const shares = arithmetic.votes(logits, model.several);
    if (!shares) throw new gridcnn.Problem("its votes are not finite numbers: its cells are too large for this network");
    const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
    const used = usedRows(values[0], data.grid.oneHot);
    const kind = KINDS[model.adapter.kind];
    const symbols = parts ? parts.map(({ text }) => SIGNS[text] || text) : [];
    return {
      ...data,
      name: "your item",
      votes: [...shares].map((share, label) => [model.classes[label], share]),
      answer: arithmetic.answers(shares, model.thresholds).map((label) => model.classes[label]),
      target: model.classes[order[0]],
      number: order[0],
      original: { kind, address: "", text: typeof item === "string" ? item : "", symbols, structure: null, undrawn: kind === "molecule" && data.original.structure !== null },
      grid: gridOf(model, data, values[0], used),
      stages: data.stages.map((stage) => stageOf(model, stage, values, used)),
      election: electionOf(model, data, values, order),
      importance: { waiting: "This follows in a moment; for a deep network it takes longer." },
    };
  }

  /* What mattered ------------------------------------------------------------------------------ */

  function median(cells) {
    const sorted = Float32Array.from(cells).sort();
    const half = sorted.length / 2;
    return sorted.length % 2 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
  }

  function starts(size, window, stride) {
    const last = Math.max(size - window, 0);
    const found = new Set([last]);
    for (let at = 0; at <= last; at += stride) found.add(at);
    return [...found].sort((a, b) => a - b);
  }

  /* Yields after each window; in the end returns the mean loss over each cell. */
  function* occlusion(model, parameters, grid, target, { window, stride, oneHot }) {
    const { network } = model;
    const size = grid.rows * grid.columns;
    const fill = Array.from({ length: grid.channels }, (_, c) => (oneHot ? 0 : median(grid.cells.subarray(c * size, (c + 1) * size))));
    const [total, covered] = [new Float64Array(size), new Float64Array(size)];
    const logit = (entering) => arithmetic.forward(network, parameters, entering)[network.result].cells[target];
    const whole = logit(grid);
    for (const top of starts(grid.rows, window[0], stride[0])) {
      for (const left of starts(grid.columns, window[1], stride[1])) {
        const hidden = { ...grid, cells: grid.cells.slice() };
        const inside = [];
        for (let row = top; row < Math.min(grid.rows, top + window[0]); row += 1) {
          for (let column = left; column < Math.min(grid.columns, left + window[1]); column += 1) inside.push(row * grid.columns + column);
        }
        fill.forEach((value, c) => { for (const at of inside) hidden.cells[c * size + at] = value; });
        const lost = whole - logit(hidden);
        for (const at of inside) { total[at] += lost; covered[at] += 1; }
        yield;
      }
    }
    return Float32Array.from(total, (sum, at) => sum / covered[at]);
  }

  /* Yields after each map; in the end returns where the maps of a value speak for a class, on the
     cells of the grid. The mean slope of a map is found by moving all of its cells a little. */
  function* gradCam(model, parameters, values, target, { value: at, field }) {
    const { network } = model;
    const maps = values[at];
    const size = maps.rows * maps.columns;
    const nudge = NUDGE * (maps.cells.reduce((most, cell) => Math.max(most, Math.abs(cell)), 0) || 1);
    const sum = new Float64Array(size);
    for (let map = 0; map < maps.channels; map += 1) {
      const [up, down] = [1, -1].map((sign) => {
        const cells = maps.cells.slice();
        for (let i = map * size; i < (map + 1) * size; i += 1) cells[i] += sign * nudge;
        return arithmetic.resume(network, parameters, values, at, { ...maps, cells })[network.result].cells[target];
      });
      const slope = (up - down) / (2 * nudge * size);
      for (let i = 0; i < size; i += 1) sum[i] += slope * maps.cells[map * size + i];
      yield;
    }
    const [low, high] = ends(sum);
    return { cells: spread(sum.map((cell) => Math.max(cell, 0)), maps.rows, maps.columns, field), against: 100 * high < -low };
  }

  /* Cells of a map on the cells of the grid, between their middles linearly. */
  function spread(cells, rows, columns, field) {
    const weights = ([start, step, size, count], number) => Array.from({ length: count }, (_, at) => {
      const place = Math.max(0, Math.min(number - 1, (at - start - (size - 1) / 2) / step));
      const low = Math.min(Math.floor(place), Math.max(number - 2, 0));
      return number === 1 ? [0, 0, 0] : [low, low + 1, place - low];
    });
    const [down, across] = [weights(field[0], rows), weights(field[1], columns)];
    return Float32Array.from({ length: down.length * across.length }, (_, at) => {
      const [top, bottom, dy] = down[Math.floor(at / across.length)];
      const [left, right, dx] = across[at % across.length];
      const line = (row) => cells[row * columns + left] * (1 - dx) + cells[row * columns + right] * dx;
      return line(top) * (1 - dy) + line(bottom) * dy;
    });
  }

  function ranks(values) {
    const order = [...values.keys()].sort((a, b) => values[a] - values[b]);
    const found = new Float64Array(values.length);
    for (let i = 0; i < order.length;) {
      let end = i;
      while (end + 1 < order.length && values[order[end + 1]] === values[order[i]]) end += 1;
      for (let k = i; k <= end; k += 1) found[order[k]] = (i + end) / 2;
      i = end + 1;
    }
    return found;
  }

  function likeness(one, other) {
    const [a, b] = [one, other].map((values) => {
      const ranked = ranks(values);
      const mean = ranked.reduce((sum, each) => sum + each, 0) / ranked.length;
      return ranked.map((each) => each - mean);
    });
    const size = Math.sqrt(a.reduce((sum, each) => sum + each * each, 0) * b.reduce((sum, each) => sum + each * each, 0));
    return size ? a.reduce((sum, each, i) => sum + each * b[i], 0) / size : null;
  }

  function byColumn(cells, grid, oneHot) {
    if (!oneHot) return packed(cells, grid.rows, grid.columns);
    const means = new Float32Array(grid.columns);
    cells.forEach((cell, at) => { means[at % grid.columns] += cell / grid.rows; });
    return packed(means, 1, grid.columns);
  }

  /* Yields while it works; in the end returns what mattered, as the page's data has it. */
  function* importanceOf(model, data, walk, values) {
    const { oneHot } = data.grid;
    const grid = values[0];
    const found = { ...data.importance, likeness: {}, random: data.random ? {} : null, trained: {}, against: false };
    const raw = {};
    for (const [name, parameters] of [["trained", model.parameters], ["random", data.random]]) {
      if (!parameters) continue;
      const own = name === "trained" ? values : arithmetic.forward(model.network, parameters.values, grid);
      raw[name] = { occlusion: yield* occlusion(model, parameters.values, grid, walk.number, { ...data.importance, oneHot }) };
      if (data.importance.value !== null) {
        const cam = yield* gradCam(model, parameters.values, own, walk.number, data.importance);
        raw[name].grad_cam = cam.cells;
        if (name === "trained") found.against = cam.against;
      }
      for (const [method, cells] of Object.entries(raw[name])) found[name][method] = byColumn(cells, grid, oneHot);
    }
    for (const method of Object.keys(raw.trained)) {
      found.likeness[method] = raw.random ? likeness(raw.trained[method], raw.random[method]) : null;
    }
    return found;
  }

  /* Work through a generator without keeping the page from the user; `still()` tells whether the
     result is still wanted. */
  function workOn(work, still, done) {
    const end = performance.now() + SLICE;
    for (;;) {
      if (!still()) return;
      const { value, done: ended } = work.next();
      if (ended) { done(value); return; }
      if (performance.now() > end) break;
    }
    setTimeout(() => workOn(work, still, done), 0);
  }

  /* The page --------------------------------------------------------------------------------- */

  function walkLive(element, panels, data) {
    const model = data.live;
    const problem = make("p", { class: "problem hidden", role: "alert" });
    const inputs = make("div", { class: "live-input live" });
    const own = make("button", { type: "button", onclick: () => give(null) }, `Back to ${data.name}`);
    const box = make("details", { class: "change" },
      make("summary", {}, make("h2", {}, "Change the item"), make("span", { class: "quiet" }, " every panel follows at once")),
      inputs, make("div", { class: "tools" }, own), problem);
    element.prepend(box);
    // What the inputs begin with is no item of the user.
    let touched = false;
    for (const kind of ["pointerdown", "keydown", "input", "change", "drop"]) {
      box.addEventListener(kind, () => { touched = true; }, true);
    }
    let waiting = null;
    let turn = 0;
    let last = 0;
    let item = null;

    function fail(error) {
      if (!(error instanceof gridcnn.Problem)) throw error;
      problem.textContent = error.message;
      problem.classList.remove("hidden");
    }
    function give(given) {
      if (!touched) return;
      item = given;
      turn += 1;
      if (waiting === null) waiting = setTimeout(draw, Math.max(0, EVERY - (performance.now() - last)));
    }
    function draw() {
      waiting = null;
      problem.classList.add("hidden");
      if (item === null) {
        gridcnn.showWalk(panels, data);
        return;
      }
      try {
        const { grid, parts } = gridcnn.adapters.adapt(model, item);
        const values = arithmetic.forward(model.network, model.parameters.values, grid);
        const walk = walkOf(model, data, item, values, parts);
        const change = gridcnn.showWalk(panels, walk);
        const mine = turn;
        setTimeout(() => workOn(importanceOf(model, data, walk, values), () => turn === mine,
          (importance) => change({ ...walk, importance })), 300);
      } catch (error) {
        fail(error);
      }
      last = performance.now();
    }
    gridcnn.inputs[model.adapter.kind](inputs, model, { give, fail });
    const field = inputs.querySelector("textarea");
    if (field && data.original.text) field.value = data.original.text;
  }

  gridcnn.walkLive = walkLive;
  gridcnn.walkParts = { walkOf, importanceOf };
})();
