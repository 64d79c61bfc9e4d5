/* Maps as pictures: all channels of a value on one scale of colours, and how one of their cells
   is computed. */
"use strict";

(() => {
  const { make, number } = gridcnn;
  const AT_FIRST = 24; // maps that are shown until the others are asked for
  const TERMS = 9; // products that are written out
  const CHANNELS = 3; // channels of a patch that are shown

  /* Views of a value's channels. `options`: name (what a channel is called), size (least pixels of
     the longer side), cell (least pixels of a cell), tell (row, column -> text), chosen (called with
     channel, row and column), before (makes the element before a channel's view), paint (paints the
     cells on the canvas in other colours than those of maps). Maps of a single row, or of single
     cells, are lines of one picture. Returns {update(value, limit), mark(rectangle or null, channel
     or null for all)}. */
  function mapsView(element, [channels, rows, columns], options) {
    if (channels > 1 && (rows === 1 || columns === 1)) {
      return linesView(element, [channels, rows, columns], options);
    }
    const views = [];
    const holder = make("div", { class: "grids" });
    element.append(holder);
    let latest = null;

    function add(channel) {
      const name = channels > 1 || options.always ? `${options.name} ${channel + 1}` : options.name;
      const figure = framed(gridcnn.gridView({
        values: new Float32Array(rows * columns),
        rows,
        columns,
        limit: 1,
        label: name,
        size: sizeOf(rows, columns, options),
        caption: channels > 1 || options.always ? name : "",
        tell: (row, column, value) => `${channels > 1 ? `${name}, ` : ""}${
          options.tell(row, column)}: ${number(value)}`,
        chosen: options.chosen && ((row, column) => options.chosen(channel, row, column)),
      }), rows, columns);
      if (options.before) figure.prepend(options.before(channel));
      views.push(figure);
      holder.append(figure);
    }
    for (let channel = 0; channel < Math.min(channels, AT_FIRST); channel += 1) add(channel);
    if (channels > AT_FIRST) {
      const more = make("button", {
        type: "button",
        onclick: () => {
          while (views.length < channels) add(views.length);
          more.remove();
          if (latest) update(...latest);
        },
      }, `Show all ${channels} maps`);
      element.append(more);
    }
    function update(value, limit) {
      latest = [value, limit];
      views.forEach((view, channel) => {
        const cells = value.cells.subarray(channel * rows * columns, (channel + 1) * rows * columns);
        view.update(cells, limit);
        if (options.paint) options.paint(view.querySelector(".framed canvas"), cells);
      });
    }
    function mark(rectangle, only = null) {
      views.forEach((view, channel) => view.mark(only === null || only === channel ? rectangle : null));
    }
    return { update, mark };
  }

  function linesView(element, [channels, rows, columns], options) {
    const cells = rows * columns;
    const high = cells === 1 ? 1 : channels;
    const wide = cells === 1 ? channels : cells;
    const at = (row, column) => (cells === 1 ? [column, 0] : [row, column]);
    const place = (cell) => [Math.floor(cell / columns), cell % columns];
    const figure = framed(gridcnn.gridView({
      values: new Float32Array(channels * cells),
      rows: high,
      columns: wide,
      limit: 1,
      label: `${channels} ${options.name}s`,
      size: sizeOf(high, wide, options),
      caption: cells === 1 ? `one cell for each of ${channels} maps`
        : `one line for each of ${channels} maps`,
      tell: (row, column, value) => {
        const [channel, cell] = at(row, column);
        const where = cells === 1 ? "" : `, ${options.tell(...place(cell))}`;
        return `${options.name} ${channel + 1}${where}: ${number(value)}`;
      },
      chosen: options.chosen && ((row, column) => {
        const [channel, cell] = at(row, column);
        options.chosen(channel, ...place(cell));
      }),
    }), high, wide);
    const across = Math.min(700, Math.max(options.size, 5 * wide));
    const canvas = figure.querySelector("canvas");
    canvas.style.width = `${across}px`;
    canvas.style.aspectRatio = `${across} / ${Math.max(16, high * (high > 64 ? 2 : 4))}`;
    element.append(figure);
    return {
      update: (value, limit) => figure.update(value.cells, limit),
      mark: (found, only = null) => {
        const lines = only === null ? [0, channels] : [only, only + 1];
        if (!found) figure.mark(null);
        else if (cells === 1) figure.mark({ top: 0, bottom: 1, left: lines[0], right: lines[1] });
        else {
          const [left, right] = rows === 1 ? [found.left, found.right] : [found.top, found.bottom];
          figure.mark({ top: lines[0], bottom: lines[1], left, right });
        }
      },
    };
  }

  /* Pixels of the longer side: at least some for each cell, and more where the other side is short. */
  function sizeOf(rows, columns, { size, cell = 2 }) {
    const longer = Math.max(rows, columns);
    const long = longer > 2.5 * Math.min(rows, columns);
    const each = long ? Math.max(5, Math.min(14, 700 / longer)) : cell;
    return Math.min(700, Math.max(size, each * longer));
  }

  /* Let parts of a view be marked, and let its cells never be flatter than a line of text. */
  function framed(figure, rows, columns) {
    const canvas = figure.querySelector("canvas");
    if (columns > 12 * rows) canvas.style.aspectRatio = `${columns} / ${columns / 12}`;
    const box = make("div", { class: "mark hidden" });
    const frame = make("div", { class: "framed" });
    canvas.replaceWith(frame);
    frame.append(canvas, box);
    figure.mark = (found) => {
      box.classList.toggle("hidden", !found);
      if (!found) return;
      const { top, left, bottom, right } = found;
      box.style.top = `${(100 * top) / rows}%`;
      box.style.height = `${(100 * (bottom - top)) / rows}%`;
      box.style.left = `${(100 * left) / columns}%`;
      box.style.width = `${(100 * (right - left)) / columns}%`;
    };
    return figure;
  }

  /* The scale of colours, from the strongest negative to the strongest positive number. */
  function scaleKey() {
    const canvas = make("canvas", { class: "live-scale", role: "img", "aria-label": "Scale of colours" });
    gridcnn.paint(canvas, Array.from({ length: 41 }, (_, i) => i / 20 - 1), 1, 41, 1);
    const low = make("span", { class: "digits" });
    const high = make("span", { class: "digits" });
    const key = make("p", { class: "key-line quiet" }, low, canvas, high);
    key.update = (limit) => {
      low.textContent = number(-limit);
      high.textContent = number(limit);
    };
    return key;
  }

  function limitOf(cells) {
    return cells.reduce((most, cell) => Math.max(most, Math.abs(cell)), 0) || 1;
  }

  /* A small picture of a feature, where it has few channels. */
  function miniature(op, parameters, filter) {
    const [rows, columns] = op.kernel;
    const cells = rows * columns;
    const values = parameters.subarray(op.weights + filter * cells, op.weights + (filter + 1) * cells);
    const canvas = make("canvas", { class: "miniature", role: "img",
      "aria-label": `feature ${filter + 1}` });
    gridcnn.paint(canvas, values, rows, columns, limitOf(values));
    canvas.style.aspectRatio = `${columns} / ${rows}`;
    canvas.style.width = `${Math.max(8, Math.round((36 * columns) / Math.max(rows, columns)))}px`;
    return canvas;
  }

  // How a cell is computed -----------------------------------------------------------------------

  /* Fill an element with how a cell of an operation's maps is computed; return the part of the
     source that it was made of, {top, left, bottom, right}, or null. `parts` are what stands in the
     columns of a one-hot source, or null. */
  function tellCell(element, { op, parameters, sources, channel, row, column, value, parts }) {
    const tellers = { convolution: tellMatch, pooling: tellWindow };
    const title = `${op.label}: map ${channel + 1}, row ${row + 1}, column ${column + 1}`;
    const body = make("div");
    element.replaceChildren(make("h3", {}, title), body);
    const teller = tellers[op.kind];
    if (teller) return teller(body, { op, parameters, source: sources[0], channel, row, column, parts });
    const cells = op.shape[1] * op.shape[2];
    const before = op.kind === "join" || op.kind === "voting" ? [] : sources.map(
      (source) => source.cells[channel * cells + row * op.shape[2] + column],
    );
    const from = before.length ? `${before.map(number).join(op.kind === "sum" ? " + " : ", ")} becomes ` : "";
    body.append(make("p", {}, `${from}${number(value)}.`));
    return null;
  }

  function small(values, rows, columns, limit, caption, from) {
    return gridcnn.gridView({
      values, rows, columns, limit, caption, label: caption, size: 76,
      tell: (row, column, cell) => `${from(row, column)}: ${number(cell)}`,
    });
  }

  function tellMatch(element, { op, parameters, source, channel, row, column, parts: columns }) {
    const found = gridcnn.arithmetic.matchAt(op, parameters, source, channel, row, column);
    const [high, wide] = op.kernel;
    const cells = high * wide;
    const channels = found.terms.length / cells;
    const parts = [...Array(channels).keys()].map((part) => {
      const terms = found.terms.slice(part * cells, (part + 1) * cells);
      return { part, terms, sum: terms.reduce((sum, { product }) => sum + product, 0) };
    });
    parts.sort((one, other) => Math.abs(other.sum) - Math.abs(one.sum));
    const limits = ["cell", "weight", "product"].map(
      (what) => limitOf(found.terms.map((term) => term[what])),
    );
    // A feature over a whole alphabet is as high as that; which letters it met says more.
    for (const { part, terms, sum } of columns ? [] : parts.slice(0, CHANNELS)) {
      const name = channels > 1 ? ` of map ${terms[0].channel + 1}` : "";
      const from = (y, x) => {
        const term = terms[y * wide + x];
        return term.inside ? `row ${term.row + 1}, column ${term.column + 1}` : "beyond the edge";
      };
      const views = ["cell", "weight", "product"].map((what, i) => small(
        terms.map((term) => term[what]), high, wide, limits[i],
        ["patch", "feature", "products"][i] + name, from,
      ));
      const equals = (text) => make("span", { class: "operator", "aria-hidden": "true" }, text);
      element.append(make("div", { class: "sum-line" }, views[0], equals("×"), views[1], equals("="),
        views[2], channels > 1 ? make("span", {}, `add up to ${number(sum)}`) : ""));
    }
    if (channels > CHANNELS) {
      const rest = parts.slice(CHANNELS).reduce((sum, each) => sum + each.sum, 0);
      element.append(make("p", { class: "quiet" },
        `and ${channels - CHANNELS} other maps, whose products add up to ${number(rest)}`));
    }
    element.append(make("p", {}, sentence(found, op, columns)));
    const top = row * op.stride[0] - op.border[0];
    const left = column * op.stride[1] - op.border[1];
    return {
      top: Math.max(0, top),
      left: Math.max(0, left),
      bottom: Math.min(source.rows, top + (high - 1) * op.dilation[0] + 1),
      right: Math.min(source.columns, left + (wide - 1) * op.dilation[1] + 1),
    };
  }

  function bracketed(value) {
    return value < 0 ? `(${number(value)})` : number(value);
  }

  /* The arithmetic of a match in words: multiply, add up, divide. Products of empty cells are 0, and
     left out where there are many. */
  function sentence({ terms, total, divisor, bias, match }, op, columns) {
    const filled = terms.filter(({ cell }) => cell !== 0).sort((a, b) => (columns ? a.column - b.column : 0));
    const some = columns || terms.length > TERMS ? filled : terms;
    const written = some.slice(0, TERMS).map(({ cell, weight, column }) => (columns
      ? `${bracketed(weight)} (${shown(columns[column].text)})`
      : `${bracketed(cell)} × ${bracketed(weight)}`));
    const more = some.length > TERMS ? ` + … (${some.length} products)` : "";
    const divided = divisor === 1 ? "" : `; divided by ${divisor} cells: ${number(total / divisor)}`;
    const moved = op.bias < 0 ? "" : `; with the feature's bias, ${number(bias)}`;
    const start = columns ? "Each column has a 1 in one row, so what counts is the feature's cell there: "
      : "Multiply cell by cell and add up: ";
    return `${start}${written.join(" + ") || "nothing"}${more} = ${number(total)}${divided}${moved}: `
      + `the match is ${number(match)}.`;
  }

  /* A part of a text so that spaces and line breaks can be seen. */
  function shown(text) {
    return text.replace(/ /g, "\u2423").replace(/\n/g, "\u21b5");
  }

  function tellWindow(element, { op, source, channel, row, column }) {
    const window = gridcnn.arithmetic.windowOf(op, source, row, column);
    const best = gridcnn.arithmetic.bestOf(source, channel, window);
    const [high, wide] = [window.bottom - window.top, window.right - window.left];
    const cells = Array.from({ length: high * wide }, (_, i) => {
      const y = window.top + Math.floor(i / wide);
      return source.cells[(channel * source.rows + y) * source.columns + window.left + (i % wide)];
    });
    const view = small(cells, high, wide, limitOf(cells), "the window",
      (y, x) => `row ${window.top + y + 1}, column ${window.left + x + 1}`);
    const mean = cells.reduce((sum, cell) => sum + cell, 0) / cells.length;
    const kept = op.mode === "max"
      ? `The window keeps its largest cell, ${number(best.value)}, of row ${best.row + 1}, column ${best.column + 1}.`
      : `The window keeps the mean of its cells, ${number(mean)}.`;
    element.append(view, make("p", {}, kept));
    return window;
  }

  gridcnn.maps = { limitOf, mapsView, miniature, scaleKey, shown, tellCell };
})();
