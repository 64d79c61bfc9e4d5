/* A model that lives in the page: an item is drawn, typed, recorded or chosen, and its grid, all maps
   of all stages, a match worked out, and the votes follow at once.

   `gridcnn.mountLive(element, model)` fills an element; `model` is what `gridcnn/report/live.py`
   writes, unpacked. It returns {give, votes, computed}: `give(item)` lets the model look at an item,
   `votes()` are those for the latest, `computed()` counts the times that it has looked. All that are mounted stand in `gridcnn.mounted`. An element with
   data-part="live" takes the model from the page's data, `live`. */
"use strict";

(() => {
  const { make, number } = gridcnn;
  const OPEN = 14; // stages that are open at first, and the last one
  const MOST_BARS = 10; // classes whose votes are shown

  const THINGS = {
    image: "picture", audio: "sound", text: "text", molecule: "molecule", table: "row of numbers",
    array: "array",
  };

  /* What a stage does, in the words in which such networks are explained. */
  function purpose(op, several) {
    const size = (pair) => pair.join(" x ");
    const said = {
      convolution: () => "each feature is matched at every position: multiply, add up"
        + (op.divisor === 1 ? "" : ", divide by the number of cells"),
      rectification: () => (op.leak ? "negatives become smaller" : "negatives become 0"),
      pooling: () => `each window of ${size(op.window)} keeps its ${
        op.mode === "max" ? "best match" : "mean"}`,
      normalization: () => "maps are shifted and scaled to the same mean and spread",
      activation: () => `every number is replaced by its ${op.function}`,
      gate: () => "all maps together decide how much each of them counts",
      dropout: () => "left out only in training; here nothing changes",
      sum: () => "the branches are added cell by cell",
      join: () => "the maps of the branches stand beside each other",
      voting: () => (several ? "every cell votes for or against every label; each label is decided alone"
        : "every cell votes for every class; the most votes win"),
    };
    return said[op.kind]();
  }

  function shapeText([channels, rows, columns]) {
    return `${channels} ${channels === 1 ? "map" : "maps"} of ${rows} x ${columns}`;
  }

  function mountLive(element, model) {
    const { network, parameters } = model;
    const flat = parameters.values;
    const state = {
      item: null, values: null, parts: null, chosen: null, waiting: false, problem: null, computed: 0,
    };

    const inputs = make("section", { class: "live-input", "aria-label": `Your ${THINGS[model.adapter.kind]}` },
      make("h2", {}, `Your ${THINGS[model.adapter.kind]}`));
    const problem = make("p", { class: "problem hidden", role: "alert" });
    const answer = make("p", { class: "live-answer" });
    const spoken = make("p", { class: "unseen", role: "status" });
    const bars = make("ul", { "aria-label": "Votes" });
    const answers = make("section", { class: "live-votes", "aria-label": "The answer" },
      make("h2", {}, "The answer"), problem, answer, spoken, bars);
    const entering = make("section", { class: "live-grid", "aria-label": "The grid" }, make("h2", {}, "As a grid"));
    const about = make("section", { class: "live-cell", "aria-label": "How a cell is computed" },
      make("h2", {}, "One cell, worked out"));
    const stages = make("section", { "aria-label": "Stages" }, make("h2", {}, "Stage by stage"),
      make("p", { class: "quiet" }, "Orange is positive, violet negative, nearly white is 0. Point at a "
        + "cell to read it; press it to see how it is computed."));
    element.classList.add("live");
    // A long grid, as that of a text, has the whole width.
    const isLong = model.shape[2] > 2.5 * model.shape[1] || model.shape[2] > 100;
    element.append(make("div", { class: `live-head${isLong ? " long" : ""}` }, inputs, answers, entering),
      about, stages);

    const cell = make("div");
    about.append(cell);
    let grid = null;
    let panels = [];

    /* The views of the grid and of all stages are made with the first item. */
    function build() {
      grid = gridPanel(entering, model);
      panels = network.ops.map((op, index) => stagePanel(stages, model, op, index, choose));
      panels.forEach(({ details }, index) => details.addEventListener("toggle", () => show(index)));
    }

    function choose(index, channel, row, column) {
      state.chosen = { index, channel, row, column };
      tell();
      about.scrollIntoView({ block: "nearest" });
    }

    function give(item) {
      state.item = item;
      state.problem = null;
      plan();
    }
    function fail(error) {
      if (!(error instanceof gridcnn.Problem)) throw error;
      state.item = null;
      state.problem = error.message;
      plan();
    }
    function plan() {
      if (state.waiting) return;
      state.waiting = true;
      requestAnimationFrame(() => {
        state.waiting = false;
        compute();
        state.computed += 1;
      });
    }

    function compute() {
      state.values = null;
      if (state.item !== null) {
        try {
          const made = gridcnn.adapters.adapt(model, state.item);
          state.parts = made.parts;
          state.values = gridcnn.arithmetic.forward(network, flat, made.grid);
        } catch (error) {
          if (!(error instanceof gridcnn.Problem)) throw error;
          state.problem = error.message;
        }
      }
      problem.textContent = state.problem || "";
      problem.classList.toggle("hidden", state.problem === null);
      const shown = state.values !== null;
      for (const section of [entering, about, stages]) section.classList.toggle("hidden", !shown);
      vote();
      if (!shown) return;
      if (grid === null) build();
      grid.update(state.values[0], state.parts);
      if (state.chosen && state.chosen.follows) state.chosen = null;
      tell();
      panels.forEach((_, index) => show(index));
    }

    function show(index) {
      if (state.values === null || !panels[index].details.open) return;
      panels[index].update(state.values);
    }

    let speaking = 0;
    function vote() {
      const shares = votes();
      clearTimeout(speaking);
      bars.replaceChildren();
      if (!shares) {
        answer.textContent = state.values ? "No votes: its numbers are too large for this network."
          : "Waiting for something to look at.";
        return;
      }
      const won = gridcnn.arithmetic.answers(shares, model.thresholds);
      const pairs = [...shares].map((share, label) => [model.classes[label], share]);
      const sorted = [...pairs].sort((one, other) => other[1] - one[1]);
      gridcnn.votes(bars, sorted.slice(0, MOST_BARS), won.map((label) => model.classes[label]));
      if (pairs.length > MOST_BARS) {
        bars.append(make("li", { class: "more quiet" }, `and ${pairs.length - MOST_BARS} others with fewer votes`));
      }
      const names = won.map((label) => model.classes[label]);
      answer.textContent = names.join(", ") || "none of the labels";
      speaking = setTimeout(() => {
        spoken.textContent = won.map((label) => `${model.classes[label]}, ${gridcnn.percent(shares[label])}`)
          .join("; ") || "none of the labels";
      }, 500);
    }

    /* The place of the best match of all features of the first convolution. */
    function bestMatch() {
      const index = network.ops.findIndex((op) => op.kind === "convolution");
      if (index < 0) return null;
      const { rows, columns, cells } = state.values[index + 1];
      const best = cells.reduce((most, each, i) => (each > cells[most] ? i : most), 0);
      const channel = Math.floor(best / (rows * columns));
      const place = best % (rows * columns);
      return { index, channel, row: Math.floor(place / columns), column: place % columns, follows: true };
    }

    function tell() {
      state.chosen = state.chosen || bestMatch();
      grid.mark(null);
      panels.forEach((panel) => panel.mark(null));
      if (state.chosen === null) {
        cell.replaceChildren(make("p", { class: "quiet" }, "Press a cell of a map."));
        return;
      }
      const { index, channel, row, column, follows } = state.chosen;
      const op = network.ops[index];
      const made = state.values[index + 1];
      const found = gridcnn.maps.tellCell(cell, {
        op, parameters: flat, channel, row, column,
        sources: op.sources.map((source) => state.values[source]),
        parts: op.sources[0] === 0 && state.parts ? state.parts : null,
        value: made.cells[(channel * made.rows + row) * made.columns + column],
      });
      if (follows) cell.prepend(make("p", { class: "quiet" }, "The best match of the first features:"));
      const [source] = op.sources;
      if (source === 0) grid.mark(found);
      else panels[source - 1].mark(found);
      panels[index].mark({ top: row, left: column, bottom: row + 1, right: column + 1 }, channel);
    }

    /* The votes for the latest item, in the order of the classes; null if there are none. */
    function votes() {
      const logits = state.values && state.values[network.result].cells;
      return logits && gridcnn.arithmetic.votes(logits, model.several);
    }

    gridcnn.inputs[model.adapter.kind](inputs, model, { give, fail });
    installable(model);
    const mounted = { give, votes, computed: () => state.computed };
    gridcnn.mounted.push(mounted);
    return mounted;
  }

  // The grid -------------------------------------------------------------------------------------

  function gridPanel(element, model) {
    const [channels, rows, columns] = model.shape;
    const [rowAxis, columnAxis] = model.axes;
    const name = (axis, i) => (axis.labels ? `${axis.name} ${axis.labels[i]} ${axis.unit}`.trim()
      : `${axis.name} ${i + 1}`);
    const line = make("p", { class: "quiet" }, `${rows} ${rows === 1 ? "row" : "rows"}${axisText(rowAxis, "row")}, ${columns} ${
      columns === 1 ? "column" : "columns"}${axisText(columnAxis, "column")}${channels > 1 ? `, ${channels} channels` : ""}`);
    const parts = make("p", { class: "live-parts" });
    const isPicture = model.adapter.kind === "image";
    const key = isPicture ? make("p", { class: "quiet" }, "Black is -1, white is 1.")
      : gridcnn.maps.scaleKey();
    element.append(line);
    const view = gridcnn.maps.mapsView(element, model.shape, {
      name: channels > 1 ? "channel" : "the grid",
      paint: isPicture ? paintGrey : undefined,
      size: channels > 1 ? 160 : 288, cell: 3,
      tell: (row, column) => `${name(rowAxis, row)}, ${name(columnAxis, column)}`,
    });
    element.append(key, parts);
    function update(value, found) {
      const limit = Math.max(1, gridcnn.maps.limitOf(value.cells));
      view.update(value, limit);
      if (!isPicture) key.update(limit);
      parts.replaceChildren();
      if (!found) return;
      parts.append(...found.slice(0, 300).map((part) => make(
        "span", part.row < 0 ? { class: "unknown", title: "has no row: the model does not know it" } : {},
        gridcnn.maps.shown(part.text),
      )));
    }
    return { update, mark: view.mark };
  }

  /* Paint a channel of a picture as it looks: -1 is black, 1 is white. */
  function paintGrey(canvas, values) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    for (let i = 0; i < values.length; i += 1) {
      image.data.fill(127.5 * (values[i] + 1), 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function axisText(axis, usual) {
    if (axis.name === usual) return "";
    const ends = axis.labels && axis.unit
      ? `, ${axis.labels[0]} to ${axis.labels.at(-1)} ${axis.unit}` : "";
    return ` (${axis.name}${ends})`;
  }

  // Stages ---------------------------------------------------------------------------------------

  function stagePanel(element, model, op, index, choose) {
    const flat = model.parameters.values;
    const summary = make("summary", {}, make("strong", {}, op.label), ` ${purpose(op, model.several)}`);
    const facts = make("p", { class: "quiet" });
    const details = make("details", { class: "live-stage", open: index < OPEN || op.kind === "voting" },
      summary);
    element.append(details);
    if (op.kind === "voting") {
      const panel = electionPanel(details, model, op);
      return { details, update: panel.update, mark: () => {} };
    }
    details.append(facts);
    const first = op.kind === "convolution" && op.sources[0] === 0 && model.shape[0] === 1;
    const key = gridcnn.maps.scaleKey();
    const view = gridcnn.maps.mapsView(details, op.shape, {
      name: "map", size: 92, always: true,
      tell: (row, column) => `row ${row + 1}, column ${column + 1}`,
      chosen: (...place) => choose(index, ...place),
      before: first ? (channel) => gridcnn.maps.miniature(op, flat, channel) : null,
    });
    details.append(key);
    function update(values) {
      const value = values[index + 1];
      const limit = gridcnn.maps.limitOf(value.cells);
      view.update(value, limit);
      key.update(limit);
      const positive = value.cells.reduce((count, each) => count + (each > 0), 0);
      facts.textContent = `${shapeText(op.shape)}; the strongest cell is ${number(limit)}, and ${
        gridcnn.percent(positive / value.cells.length)} of the cells are positive`;
    }
    return { details, update, mark: view.mark };
  }

  /* Which cells of the last maps gave how many votes to a class. */
  function electionPanel(element, model, op) {
    const [source] = op.sources;
    const shape = source === 0 ? model.shape : model.network.ops[source - 1].shape;
    let chosen = null;
    let latest = null;
    const select = make("select", {
      onchange: () => {
        chosen = select.value === "" ? null : Number(select.value);
        if (latest) update(latest);
      },
    }, make("option", { value: "" }, "the answer"),
    ...model.classes.map((name, label) => make("option", { value: label }, name)));
    const sum = make("p");
    const key = gridcnn.maps.scaleKey();
    element.append(make("p", { class: "tools" }, make("label", {}, "The cells that vote for ", select)), sum);
    const view = gridcnn.maps.mapsView(element, shape, {
      name: "votes of map", size: 92, always: true,
      tell: (row, column) => `row ${row + 1}, column ${column + 1}`,
    });
    element.append(key);
    function update(values) {
      latest = values;
      const logits = values.at(-1).cells;
      const label = chosen === null ? logits.indexOf(Math.max(...logits)) : chosen;
      const found = gridcnn.arithmetic.election(op, model.parameters.values, values[source], label);
      const limit = gridcnn.maps.limitOf(found.cells);
      view.update({ cells: found.cells }, limit);
      key.update(limit);
      const cells = found.logit - found.rest;
      sum.textContent = `${model.classes[label]}: all cells together give ${number(cells)}, and the `
        + `biases ${number(found.rest)}: ${number(found.logit)} in all. ${model.several
        ? "The more it is, the surer this label; other labels change nothing."
        : "The more a class has than the others, the larger its share of the votes."}`;
    }
    return { update };
  }

  // On a phone's home screen ---------------------------------------------------------------------

  /* Let the page be installed, where it comes from a server; from a disk it just opens. */
  function installable(model) {
    if (!location.protocol.startsWith("http") || document.querySelector("link[rel=manifest]")) return;
    const icons = [192, 512].map((side) => ({ src: icon(side), sizes: `${side}x${side}`, type: "image/png" }));
    const manifest = {
      name: model.name || "gridcnn", short_name: model.name || "gridcnn", display: "standalone",
      start_url: location.href.split("#")[0], scope: new URL(".", location.href).href,
      background_color: "#ffffff", theme_color: "#0b61a4", icons,
    };
    document.head.append(
      make("link", { rel: "manifest",
        href: `data:application/manifest+json,${encodeURIComponent(JSON.stringify(manifest))}` }),
      make("link", { rel: "apple-touch-icon", href: icons[0].src }),
    );
  }

  /* The icon: a grid with an X in it. */
  function icon(side) {
    const canvas = make("canvas", { width: side, height: side });
    const context = canvas.getContext("2d");
    context.fillStyle = "#0b61a4";
    context.fillRect(0, 0, side, side);
    const cell = side / 9;
    for (let i = 2; i < 7; i += 1) {
      context.fillStyle = "#ffffff";
      for (const column of [i, 8 - i]) context.fillRect(column * cell, i * cell, cell * 0.92, cell * 0.92);
    }
    return canvas.toDataURL("image/png");
  }

  gridcnn.mounted = [];
  gridcnn.mountLive = mountLive;
  gridcnn.part("live", (element, data) => mountLive(element, data.live));
})();
