/* The parts of the walk-through: a picture of 9 by 9 cells and what three features make of it, and
   the live run. */
"use strict";

(() => {
  const { make, number } = gridcnn;
  const SIDE = 9;
  const KERNEL = 3;
  const LIMIT = 1.5; // matches of 1 are strong colours, and not so dark that numbers drown in them
  const changed = new EventTarget(); // tells all parts that the picture or the feature is another

  const MAP = SIDE - KERNEL + 1; // cells along a map of matches, ...
  const POOLED = Math.ceil(MAP / 2); // ... and along a pooled one
  const BRICKS = [
    { kind: "convolution", sources: [0], kernel: [KERNEL, KERNEL], stride: [1, 1], dilation: [1, 1],
      border: [0, 0], groups: 1, divisor: KERNEL ** 2, weights: 0, bias: -1 },
    { kind: "rectification", sources: [1], leak: 0 },
    { kind: "pooling", sources: [2], window: [2, 2], stride: [2, 2], mode: "max" },
  ];

  /* What the three bricks make of a picture with one feature: maps, as the arithmetic of all pages
     computes them; and which cells won their windows. */
  function bricks(cells, weights) {
    const { bestOf, forward, grid, windowOf } = gridcnn.arithmetic;
    const ops = BRICKS.map((brick, i) => ({ ...brick, shape: [1, ...Array(2).fill([MAP, MAP, POOLED][i])] }));
    const [, matches, rectified, pooled] = forward({ ops }, weights, grid(1, SIDE, SIDE, cells));
    const winners = new Set(Array.from(pooled.cells, (_, i) => {
      const window = windowOf(ops[2], rectified, Math.floor(i / POOLED), i % POOLED);
      const best = bestOf(rectified, 0, window);
      return best.row * MAP + best.column;
    }));
    return { matches: matches.cells, rectified: rectified.cells, pooled: pooled.cells, winners };
  }

  const two = (value) => (Math.abs(value) < 0.005 ? "0" : value.toFixed(2));

  /* A grid with its numbers written into the cells: a table that everybody can read. */
  function numbers(values, columns, label, { marked = new Set(), chosen = null, digits = two } = {}) {
    const rows = values.length / columns;
    const table = make("table", { class: "cells", "aria-label": label });
    for (let row = 0; row < rows; row += 1) {
      const line = make("tr");
      for (let column = 0; column < columns; column += 1) {
        const place = row * columns + column;
        const cell = make("td", marked.has(place) ? { class: "marked" } : {}, digits(values[place]));
        gridcnn.dye(cell, values[place], LIMIT);
        if (chosen) cell.addEventListener("click", () => chosen(row, column));
        line.append(cell);
      }
      table.append(line);
    }
    // What is scrolled sideways has to be reached by the keyboard, too.
    return make("div", { class: "table", tabindex: "0", role: "group", "aria-label": label }, table);
  }

  function slider(label, low, high, step, value, tell, onInput) {
    const id = `slider-${label.replace(/\W+/g, "-")}`;
    const output = make("output", { for: id }, tell(value));
    const input = make("input", {
      type: "range", id, min: low, max: high, step, value,
      oninput: () => {
        output.textContent = tell(Number(input.value));
        onInput(Number(input.value));
      },
    });
    const line = make("div", { class: "slider" }, make("label", { for: id }, label), input, output);
    line.set = (next) => {
      input.value = next;
      output.textContent = tell(Number(next));
    };
    return line;
  }

  /* Step 1. An X or an O of 24 by 24 cells, drawn by how far each cell is from the strokes. */
  const WIDE = 24;
  function draw(sign, { right = 0, down = 0, size = 1, turn = 0, wave = 0 } = {}) {
    const cells = new Float32Array(WIDE * WIDE);
    const angle = turn * Math.PI / 180;
    for (let row = 0; row < WIDE; row += 1) {
      for (let column = 0; column < WIDE; column += 1) {
        const x0 = (column + 0.5) / WIDE * 2 - 1 - right;
        const y0 = (row + 0.5) / WIDE * 2 - 1 - down;
        let x = (Math.cos(angle) * x0 + Math.sin(angle) * y0) / size;
        let y = (Math.cos(angle) * y0 - Math.sin(angle) * x0) / size;
        x += wave * Math.sin(4 * y);
        y += wave * Math.sin(4 * x + 1);
        const reach = Math.abs(x) < 0.72 && Math.abs(y) < 0.72;
        const off = sign === "X"
          ? (reach ? Math.min(Math.abs(x - y), Math.abs(x + y)) / Math.SQRT2 : 9)
          : Math.abs(Math.hypot(x, y) - 0.66);
        cells[row * WIDE + column] = off < 0.09 ? 1 : -1;
      }
    }
    return cells;
  }

  /* How many cells of two pictures are the same: the literal comparison. */
  function same(one, other) {
    let count = 0;
    for (let i = 0; i < one.length; i += 1) count += one[i] === other[i] ? 1 : 0;
    return count;
  }

  gridcnn.part("literal", (element) => {
    const ideal = { X: draw("X"), O: draw("O") };
    let sign = "X";
    const at = { right: 0, down: 0, size: 1, turn: 0, wave: 0 };
    const view = gridcnn.gridView({
      values: draw(sign), rows: WIDE, columns: WIDE, limit: LIMIT, size: 220, label: "the picture",
      tell: (row, column, value) => `row ${row}, column ${column}: ${value > 0 ? "ink" : "paper"}`,
      caption: "the picture",
    });
    const overlays = ["X", "O"].map((name) => ({
      name, canvas: make("canvas", { width: WIDE, height: WIDE, role: "img" }),
    }));
    const verdict = make("p", { "aria-live": "polite" });
    function update() {
      const cells = draw(sign, at);
      view.update(cells, LIMIT);
      const counts = overlays.map(({ name, canvas }) => {
        const image = canvas.getContext("2d").createImageData(WIDE, WIDE);
        for (let i = 0; i < cells.length; i += 1) {
          const [mine, its] = [cells[i] > 0, ideal[name][i] > 0];
          // Ink on ink is dark, ink that misses is orange or violet, paper on paper is light.
          const paint = mine && its ? [30, 30, 30] : mine ? [224, 130, 20] : its ? [128, 115, 172]
            : [247, 247, 247];
          image.data.set([...paint, 255], 4 * i);
        }
        canvas.getContext("2d").putImageData(image, 0, 0);
        const count = same(cells, ideal[name]);
        canvas.setAttribute("aria-label", `laid over the ideal ${name}: ${count} cells are the same`);
        canvas.nextSibling.textContent =
          `over the ideal ${name}: ${count} of ${cells.length} cells are the same`;
        return count;
      });
      const answer = counts[0] === counts[1] ? "neither" : counts[0] > counts[1] ? "X" : "O";
      verdict.textContent = `Cell by cell this is: ${answer}. `
        + (answer === sign ? "Right." : `Wrong, it is an ${sign}.`);
      verdict.className = answer === sign ? "right" : "wrong";
    }
    const sliders = [
      slider("to the right", -0.6, 0.6, 0.02, 0, (v) => v.toFixed(2), (v) => { at.right = v; update(); }),
      slider("down", -0.6, 0.6, 0.02, 0, (v) => v.toFixed(2), (v) => { at.down = v; update(); }),
      slider("size", 0.3, 1.3, 0.02, 1, (v) => `${Math.round(100 * v)} %`, (v) => { at.size = v; update(); }),
      slider("turned", -45, 45, 1, 0, (v) => `${v}\u00b0`, (v) => { at.turn = v; update(); }),
      slider("bent", 0, 0.4, 0.02, 0, (v) => v.toFixed(2), (v) => { at.wave = v; update(); }),
    ];
    const buttons = ["X", "O"].map((name) => make("button", {
      type: "button", "aria-pressed": String(name === sign),
      onclick: () => {
        sign = name;
        for (const each of buttons) each.setAttribute("aria-pressed", String(each.textContent === name));
        update();
      },
    }, name));
    const back = make("button", {
      type: "button",
      onclick: () => {
        Object.assign(at, { right: 0, down: 0, size: 1, turn: 0, wave: 0 });
        [0, 0, 1, 0, 0].forEach((value, index) => sliders[index].set(value));
        update();
      },
    }, "back to the ideal");
    const hard = make("button", {
      type: "button",
      onclick: () => {
        Object.assign(at, { right: 0, down: 0, size: 1, turn: 0, wave: 0 });
        Object.assign(at, { X: { right: -0.3, turn: 5 }, O: { right: 0.1, down: -0.1, size: 0.7 } }[sign]);
        [at.right, at.down, at.size, at.turn, at.wave].forEach((value, i) => sliders[i].set(value));
        update();
      },
    }, "as another person draws it");
    element.append(
      make("div", { class: "tools" }, ...buttons, back, hard),
      make("div", { class: "side" }, view,
        ...overlays.map(({ canvas }) => make("figure", { class: "overlay" }, canvas, make("figcaption")))),
      make("div", { class: "sliders" }, ...sliders), verdict,
      make("p", { class: "quiet" },
        "Dark: ink lies on ink. Orange: ink of the picture on paper. Violet: ink of the ideal that is missed."));
    update();
  });

  /* Steps 2 to 8: one picture, three features. */
  let picture = null;
  let features = null;
  let feature = 0;
  function share(data) {
    if (picture) return;
    picture = Float32Array.from(data.picture.values);
    features = data.features.map((each) => ({ name: each.name, cells: each.cells.values }));
  }
  const tell = () => changed.dispatchEvent(new Event("change"));
  const made = (index) => bricks(picture, features[index].cells);

  function chooser() {
    const buttons = features.map((each, index) => make("button", {
      type: "button", onclick: () => { feature = index; tell(); },
    }, each.name));
    const show = () => buttons.forEach((each, index) => {
      each.setAttribute("aria-pressed", String(index === feature));
    });
    changed.addEventListener("change", show);
    show();
    return make("div", { class: "tools", role: "group", "aria-label": "Feature" }, ...buttons);
  }

  gridcnn.part("features", (element, data) => {
    share(data);
    for (const each of features) {
      element.append(gridcnn.gridView({
        values: each.cells, rows: KERNEL, columns: KERNEL, limit: LIMIT, size: 96, label: each.name,
        caption: each.name,
      }));
    }
  });

  gridcnn.part("match", (element, data) => {
    share(data);
    let at = [1, 1];
    const view = gridcnn.gridView({
      values: picture, rows: SIDE, columns: SIDE, limit: LIMIT, size: 252, label: "the X, 9 by 9 cells",
      caption: "the picture, and the patch",
      chosen: (row, column) => move(row - 1, column - 1),
    });
    const patch = make("div", { class: "patch", "aria-hidden": "true" });
    const holder = make("div", { class: "patched" }, view.querySelector("canvas"), patch);
    view.prepend(holder);
    const sums = make("div", { class: "side sums" });
    const result = make("p", { class: "result", "aria-live": "polite" });
    function move(row, column) {
      at = [Math.max(0, Math.min(6, row)), Math.max(0, Math.min(6, column))];
      update();
    }
    const arrows = [["left", 0, -1], ["up", -1, 0], ["down", 1, 0], ["right", 0, 1]].map(
      ([name, down, right]) => make("button", {
        type: "button", onclick: () => move(at[0] + down, at[1] + right),
      }, name));
    function update() {
      view.update(picture, LIMIT);
      const cells = [];
      for (let i = 0; i < 9; i += 1) {
        cells.push(picture[(at[0] + Math.floor(i / 3)) * SIDE + at[1] + i % 3]);
      }
      patch.style.left = `${100 * at[1] / SIDE}%`;
      patch.style.top = `${100 * at[0] / SIDE}%`;
      const own = [...features[feature].cells];
      const products = own.map((value, i) => value * cells[i]);
      const sum = products.reduce((a, b) => a + b, 0);
      const whole = { digits: (value) => String(value) };
      sums.replaceChildren(
        make("figure", {}, numbers(own, 3, "the feature", whole), make("figcaption", {}, "the feature")),
        make("span", { class: "sign" }, "\u00d7"),
        make("figure", {}, numbers(cells, 3, "the patch", whole), make("figcaption", {}, "the patch")),
        make("span", { class: "sign" }, "="),
        make("figure", {}, numbers(products, 3, "the products", whole), make("figcaption", {}, "the products")),
      );
      result.textContent = `Added up: ${sum}. Divided by 9 cells: ${number(sum / 9)}.`
        + (sum === 9 ? " A perfect match." : "");
    }
    element.append(chooser(), make("div", { class: "side" }, view, make("div", {},
      sums, result, make("div", { class: "tools" }, "move the patch:", ...arrows))));
    changed.addEventListener("change", update);
    update();
  });

  gridcnn.part("map", (element, data) => {
    share(data);
    const view = gridcnn.gridView({
      values: picture, rows: SIDE, columns: SIDE, limit: LIMIT, size: 180, label: "the picture",
      caption: "press a cell, or Enter on it, to change it",
      chosen: (row, column) => {
        picture[row * SIDE + column] *= -1;
        tell();
      },
    });
    const map = make("figure");
    const back = make("button", {
      type: "button",
      onclick: () => {
        picture.set(data.picture.values);
        tell();
      },
    }, "the X again");
    function update() {
      view.update(picture, LIMIT);
      map.replaceChildren(numbers(made(feature).matches, MAP, `the map of ${features[feature].name}`),
        make("figcaption", {}, `how well ${features[feature].name} matches everywhere`));
    }
    element.append(chooser(), make("div", { class: "side" }, make("div", {}, view, make("div", {}, back)), map));
    changed.addEventListener("change", update);
    update();
  });

  function threeMaps(element, data, view) {
    share(data);
    const holder = make("div", { class: "side" });
    const update = () => holder.replaceChildren(...features.map((each, index) => make("figure", {},
      view(index), make("figcaption", {}, each.name))));
    element.append(holder);
    changed.addEventListener("change", update);
    update();
  }

  gridcnn.part("rectified", (element, data) => threeMaps(element, data,
    (index) => numbers(made(index).rectified, MAP, `rectified: ${features[index].name}`)));

  gridcnn.part("pooled", (element, data) => {
    share(data);
    const holder = make("div", { class: "side" });
    function update() {
      const { rectified, pooled, winners } = made(feature);
      holder.replaceChildren(
        make("figure", {}, numbers(rectified, MAP, "rectified", { marked: winners }),
          make("figcaption", {}, "rectified; the winner of each window is framed")),
        make("span", { class: "sign" }, "\u2192"),
        make("figure", {}, numbers(pooled, POOLED, "pooled"), make("figcaption", {}, "pooled: 4 by 4 cells")));
    }
    element.append(chooser(), holder);
    changed.addEventListener("change", update);
    update();
  });

  gridcnn.part("election", (element, data) => {
    share(data);
    // Votes of one cell of each map, for X and for O: an O has both strokes too, but no crossing.
    const weights = { X: [0, 1, 0], O: [0.4, 0, 0.4] };
    const list = make("ul");
    const told = make("p", { "aria-live": "polite" });
    const holder = make("div", { class: "side" });
    function update() {
      const maps = features.map((_, index) => made(index).pooled);
      holder.replaceChildren(...maps.map((map, index) => make("figure", {},
        numbers(map, POOLED, `pooled: ${features[index].name}`),
        make("figcaption", {}, features[index].name))));
      const best = maps.map((map) => Math.max(...map));
      const sums = Object.entries(weights).map(([name, own]) => [
        name, own.reduce((sum, weight, index) => sum + weight * best[index], 0),
      ]);
      const total = sums.reduce((sum, each) => sum + Math.exp(4 * each[1]), 0);
      gridcnn.votes(list, sums.map(([name, sum]) => [name, Math.exp(4 * sum) / total]));
      told.textContent = sums.map(([name, sum]) => {
        const terms = weights[name].map((weight, index) => [weight, best[index]])
          .filter(([weight]) => weight !== 0)
          .map(([weight, value]) => `${weight} \u00d7 ${two(value)}`);
        return `${name}: ${terms.join(" + ")} = ${two(sum)}`;
      }).join(";  ");
    }
    const draw9 = (cells) => () => {
      picture.set(cells);
      tell();
    };
    const ring = new Float32Array(81).fill(-1);
    for (const [row, column] of [[1, 3], [1, 4], [1, 5], [7, 3], [7, 4], [7, 5], [3, 1], [4, 1], [5, 1],
      [3, 7], [4, 7], [5, 7], [2, 2], [2, 6], [6, 2], [6, 6]]) ring[row * SIDE + column] = 1;
    element.append(make("div", { class: "tools" },
      make("button", { type: "button", onclick: draw9(data.picture.values) }, "show it an X"),
      make("button", { type: "button", onclick: draw9(ring) }, "show it an O")),
    holder, told, list);
    changed.addEventListener("change", update);
    update();
  });

  /* Step 9. */
  /* A line of y against x, with a point that can be moved along it. */
  function chart(xs, ys, xName, yName, label, low = 0) {
    const [wide, high, left, foot] = [520, 220, 52, 40];
    const top = Math.max(...ys) * 1.02;
    const [first, last] = [xs[0], xs[xs.length - 1]];
    const x = (value) => left + (value - first) / (last - first) * (wide - left - 14);
    const y = (value) => high - foot - (value - low) / (top - low) * (high - foot - 12);
    const parts = [];
    for (let i = 0; i <= 4; i += 1) {
      const [over, up] = [first + i * (last - first) / 4, low + i * (top - low) / 4];
      parts.push(
        gridcnn.svg("line", { x1: left, x2: wide - 14, y1: y(up), y2: y(up), class: "stroke-faint", "stroke-width": 0.5 }),
        gridcnn.svg("text", { x: left - 6, y: y(up) + 4, "text-anchor": "end" }, up.toFixed(2)),
        gridcnn.svg("text", { x: x(over), y: high - foot + 16, "text-anchor": "middle" },
          Number.isInteger(over) ? String(over) : over.toFixed(1)));
    }
    parts.push(
      gridcnn.svg("text", { x: (left + wide) / 2, y: high - 6, "text-anchor": "middle" }, xName),
      gridcnn.svg("text", { x: 12, y: high / 2 - 14, transform: `rotate(-90 12 ${high / 2 - 14})`, "text-anchor": "middle" }, yName),
      gridcnn.svg("polyline", {
        points: xs.map((value, i) => `${x(value).toFixed(1)},${y(ys[i]).toFixed(1)}`).join(" "),
        fill: "none", class: "stroke-given", "stroke-width": 2,
      }));
    const point = gridcnn.svg("circle", { r: 6, class: "fill-given" });
    const drawing = gridcnn.svg("svg", {
      viewBox: `0 0 ${wide} ${high}`, width: wide, height: high, role: "img", "aria-label": label,
    }, ...parts, point);
    drawing.mark = (index) => {
      point.setAttribute("cx", x(xs[index]));
      point.setAttribute("cy", y(ys[index]));
    };
    return drawing;
  }

  gridcnn.part("nudge", (element, data) => {
    const { values, losses, start, slope, row, column } = data.nudge;
    const [rows, columns] = data.nudge.feature.shape;
    const cells = Float32Array.from(data.nudge.feature.values);
    const limit = Math.max(...cells.map(Math.abs), Math.abs(values[0]), Math.abs(values[values.length - 1]));
    const view = gridcnn.gridView({
      values: cells, rows, columns, limit, size: 150, label: "a feature before training",
      caption: `the cell in row ${row + 1}, column ${column + 1} is moved`,
    });
    const drawing = chart(values, losses, "value of the cell", "error",
      `The error against the value of one cell. At its start, ${number(start)}, the slope is ${number(slope)}.`, 0.98 * Math.min(...losses));
    const told = make("p", { "aria-live": "polite" });
    const middle = Math.floor(values.length / 2);
    function show(index) {
      cells[row * columns + column] = values[index];
      view.update(cells, limit);
      drawing.mark(index);
      const change = losses[index] - losses[middle];
      told.textContent = index === middle
        ? `At its start, ${number(start)}, the error is ${number(losses[index])}. The error `
          + `${slope > 0 ? "rises" : "falls"} to the right, so training nudges the value `
          + `${slope > 0 ? "down" : "up"}.`
        : `At ${number(values[index])} the error is ${number(losses[index])}: `
          + `${change < 0 ? "better" : "worse"} than at the start.`;
    }
    element.append(make("div", { class: "side" }, view, drawing),
      make("div", { class: "sliders" }, slider("value", 0, values.length - 1, 1, middle,
        (index) => number(values[index]), show)), told);
    show(middle);
  });

  gridcnn.part("learning", (element, data) => {
    const { frames } = data;
    const [count, rows, columns] = frames[0].features.shape;
    const size = rows * columns;
    const cellsOf = (frame, index) => frames[frame].features.values.subarray(index * size, (index + 1) * size);
    let limit = 0;
    for (const { features: each } of frames) {
      for (const value of each.values) limit = Math.max(limit, Math.abs(value));
    }
    const views = Array.from({ length: count }, (_, index) => gridcnn.gridView({
      values: cellsOf(0, index), rows, columns, limit, size: 84, label: `feature ${index + 1}`,
    }));
    const drawing = chart(frames.map((_, index) => index), frames.map((each) => each.loss), "epoch", "error",
      `The error falls from ${number(frames[0].loss)} to ${number(frames[frames.length - 1].loss)}.`);
    const told = make("p");
    let at = 0;
    let timer = null;
    function show(frame) {
      at = frame;
      views.forEach((view, index) => view.update(cellsOf(frame, index), limit));
      drawing.mark(frame);
      told.textContent = `${frame === 0 ? "Before the training" : `After epoch ${frame}`}: error `
        + `${number(frames[frame].loss)}, ${gridcnn.percent(frames[frame].accuracy)} right.`;
    }
    const line = slider("epoch", 0, frames.length - 1, 1, 0, String, (frame) => {
      stop();
      show(frame);
    });
    const button = make("button", { type: "button", onclick: () => (timer ? stop() : play()) }, "play");
    function stop() {
      clearInterval(timer);
      timer = null;
      button.textContent = "play";
    }
    function play() {
      if (at === frames.length - 1) at = -1;
      button.textContent = "stop";
      timer = setInterval(() => {
        if (at >= frames.length - 1) {
          stop();
          return;
        }
        show(at + 1);
        line.set(at);
      }, 350);
    }
    element.append(make("div", { class: "grids" }, ...views), make("div", { class: "tools" }, button),
      make("div", { class: "sliders" }, line), told, drawing);
    show(0);
  });

  /* Steps 11 and 12. */
  gridcnn.part("sound", (element, data) => {
    const { wav, cells, axes } = data.sound;
    const [rows, columns] = cells.shape;
    let limit = 0;
    for (const value of cells.values) limit = Math.max(limit, Math.abs(value));
    const label = (axis, place) => `${axis.labels ? axis.labels[place] : place} ${axis.unit}`.trim();
    element.append(
      gridcnn.gridView({
        values: cells.values, rows, columns, limit, size: 300, label: "the grid of a rising sound",
        caption: `from left to right: ${label(axes[1], 0)} to ${label(axes[1], columns - 1)}; `
          + `from top to bottom: ${label(axes[0], 0)} to ${label(axes[0], rows - 1)}`,
        tell: (row, column, value) => `${label(axes[1], column)}, ${label(axes[0], row)}: ${number(value)}`,
      }),
      make("p", {}, make("audio", { controls: true, src: wav, "aria-label": "the sound" })));
  });

  gridcnn.part("table", (element, data) => {
    let { columns, rows } = data.customers;
    const table = make("table");
    const holder = make("div", { class: "table", tabindex: "0", role: "group", "aria-label": "customers" }, table);
    function update() {
      table.replaceChildren(make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name))),
        ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))));
    }
    const button = make("button", {
      type: "button",
      onclick: () => {
        const order = columns.map((_, index) => index);
        for (let i = order.length - 1; i > 0; i -= 1) {
          const j = Math.floor(Math.random() * (i + 1));
          [order[i], order[j]] = [order[j], order[i]];
        }
        columns = order.map((index) => columns[index]);
        rows = rows.map((row) => order.map((index) => row[index]));
        update();
      },
    }, "swap the columns");
    element.append(make("div", { class: "tools" }, button), holder);
    update();
  });

  Object.assign(gridcnn, { walk: { bricks } });
})();
