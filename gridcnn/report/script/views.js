/* Views that explanations are made of: grids with axes, marks on them, texts and molecules in
   colours, and the scale of colours. All take values in -limit..limit; zero is nearly white. */
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";

  function svg(tag, attributes = {}, ...children) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function css([red, green, blue]) {
    return `rgb(${red}, ${green}, ${blue})`;
  }

  /* Black or white, whichever is read better on a colour: by its luminance, as WCAG has it. */
  function inkOn(colour) {
    const [red, green, blue] = colour.map((level) => {
      const part = level / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
  }

  function dye(element, value, limit) {
    const rgb = gridcnn.colour(value / (limit || 1));
    element.style.backgroundColor = css(rgb);
    element.style.color = inkOn(rgb);
  }

  /* The colours from -limit to limit with zero marked. */
  function scaleBar(limit, what, from = -limit) {
    const canvas = gridcnn.make("canvas", { "aria-hidden": "true" });
    const cells = Float32Array.from({ length: 101 }, (_, i) => from + (limit - from) * i / 100);
    gridcnn.paint(canvas, cells, 1, 101, limit);
    const ends = gridcnn.make("span", { class: "ends" },
      gridcnn.make("span", {}, gridcnn.number(from)),
      from < 0 ? gridcnn.make("span", {}, "0") : "",
      gridcnn.make("span", {}, gridcnn.number(limit)));
    return gridcnn.make("div", { class: "colour-scale" },
      ...(what ? [gridcnn.make("span", { class: "what" }, what)] : []), gridcnn.make("span", { class: "bar" }, canvas, ends));
  }

  /* Where the cells `first` to `last` stand on an axis, as "time 0.1 to 0.2 s". */
  function placeOn(axis, first, last) {
    const name = (at) => (axis.labels ? axis.labels[at] : String(at + 1));
    const low = Math.max(0, Math.min(axis.size - 1, first));
    const high = Math.max(0, Math.min(axis.size - 1, last));
    const unit = axis.unit ? ` ${axis.unit}` : "";
    const range = low === high ? name(low) : `${name(low)} to ${name(high)}`;
    return `${axis.name} ${range}${unit}`;
  }

  /* Which cells of the grid the cell `at` sees, by [start, step, size, cells]. */
  function seen([start, step, size, cells], at) {
    const first = Math.round(start + at * step);
    const low = Math.min(Math.max(first, 0), cells - 1);
    return [low, Math.max(Math.min(first + Math.round(size), cells), low + 1) - 1];
  }

  function ticks(axis, length) {
    const most = Math.min(axis.size, Math.max(2, Math.min(6, Math.round(length / 45))));
    const places = new Set();
    const step = (axis.size - 1) / Math.max(most - 1, 1);
    if (step < 4 && axis.size > 1) {
      // So few cells that rounded steps would look uneven: 1, 3, 5, 7 of eight.
      for (let at = 0; at < axis.size; at += Math.ceil(step)) places.add(at);
    } else {
      for (let i = 0; i < most; i += 1) places.add(Math.round(i * step));
    }
    return [...places].map((at) => [at, axis.labels ? axis.labels[at] : String(at + 1)]);
  }

  /* A canvas of width and height in pixels, whatever the form of its cells. */
  function sized(figure, width, height) {
    const canvas = figure.querySelector("canvas");
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.style.aspectRatio = "auto";
    return figure;
  }

  /* Pixels for a grid of rows x columns whose longer side has `size`: thin ones are made thicker. */
  function extent(rows, columns, size, thin = 22) {
    const scale = size / Math.max(rows, columns);
    return [Math.max(Math.min(thin, size), Math.round(columns * scale)),
      Math.max(thin, Math.round(rows * scale))];
  }

  /* A grid with its axes: what `gridView` takes, and `rowAxis`, `columnAxis`, and `grey` (cells that
     are painted in grey below faint colours). */
  function axesView(shown) {
    const { rows, columns, rowAxis, columnAxis } = shown;
    const figure = gridcnn.gridView(shown);
    const [width, thin] = extent(rows, columns, shown.size || 300);
    const height = shown.height || thin;
    sized(figure, width, height);
    const canvas = figure.querySelector("canvas");
    const caption = figure.querySelector("figcaption");
    const plot = gridcnn.make("div", { class: "plot" }, canvas);
    plot.style.width = `${width}px`;
    canvas.style.width = "100%";
    if (shown.grey) blend(canvas, shown.values, shown.grey, rows, columns, shown.limit);
    if (shown.picture) paintPicture(canvas, shown.picture, rows, columns);
    const down = gridcnn.make("div", { class: "ticks down", "aria-hidden": "true" });
    const across = gridcnn.make("div", { class: "ticks across", "aria-hidden": "true" });
    // Cells that are high enough have a name each.
    const isNamed = height / rows >= 10 && rowAxis.labels && !rowAxis.ordered;
    const tickMarks = isNamed ? rowAxis.labels.map((text, at) => [at, text]) : ticks(rowAxis, height);
    if (rows > 1) {
      for (const [at, text] of tickMarks) {
        const tick = gridcnn.make("span", {}, text);
        tick.style.top = `${100 * (at + 0.5) / rowAxis.size}%`;
        down.append(tick);
      }
      const longest = Math.max(...tickMarks.map(([, text]) => text.length));
      down.style.width = `${Math.min(longest, 9) * 0.62 + 0.4}em`;
    } else down.classList.add("hidden");
    if (columns > 1) {
      for (const [at, text] of ticks(columnAxis, width)) {
        const tick = gridcnn.make("span", {}, text);
        tick.style.left = `${100 * (at + 0.5) / columnAxis.size}%`;
        across.append(tick);
      }
    } else across.classList.add("hidden");
    const named = (axis) => axis.name + (axis.unit ? ` (${axis.unit})` : "");
    const names = [rows > 1 ? `down: ${named(rowAxis)}` : "", columns > 1 ? `across: ${named(columnAxis)}` : ""];
    figure.classList.add("with-axes");
    figure.replaceChildren(
      gridcnn.make("div", { class: "frame" }, down, plot, across),
      gridcnn.make("p", { class: "axes" }, names.filter(Boolean).join("; ")),
      ...(caption ? [caption] : []));
    figure.plot = plot;
    return figure;
  }

  /* Paint one channel in grey, or three in red, green and blue: -1 is black, 1 is white. */
  function paintPicture(canvas, channels, rows, columns) {
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    const level = (value) => Math.round(127.5 * (Math.max(-1, Math.min(1, value)) + 1));
    for (let i = 0; i < rows * columns; i += 1) {
      const [red, green, blue] = [0, 1, 2].map((c) => level(channels[channels.length === 3 ? c : 0][i]));
      image.data.set([red, green, blue, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }

  /* Paint colours over a picture in grey: the stronger the value, the more of its colour. */
  function blend(canvas, values, grey, rows, columns, limit) {
    let low = Infinity;
    let high = -Infinity;
    for (const value of grey) { low = Math.min(low, value); high = Math.max(high, value); }
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    for (let i = 0; i < rows * columns; i += 1) {
      const share = Math.min(1, Math.abs(values[i]) / (limit || 1));
      const base = 70 + 185 * (high > low ? (grey[i] - low) / (high - low) : 1);
      const part = 0.85 * share ** 0.7;
      const rgb = gridcnn.colour(Math.sign(values[i]) * (0.35 + 0.65 * share));
      image.data.set([...rgb.map((each) => Math.round(base + part * (each - base))), 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }

  /* Marks above a grid: boxes and dots in cells of the grid. */
  function marks(plot, rows, columns) {
    const layer = svg("svg", {
      class: "marks", viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true",
    });
    plot.append(layer);
    return {
      clear: () => layer.replaceChildren(),
      box: (top, left, height, width, ...kinds) => {
        for (const kind of kinds.length ? kinds : ["around", "box"]) {
          layer.append(svg("rect", {
            class: kind, x: left, y: top, width, height, "vector-effect": "non-scaling-stroke",
          }));
        }
      },
      dot: (row, column) => layer.append(svg("ellipse", {
        class: "dot", cx: column + 0.5, cy: row + 0.5, rx: 0.24, ry: 0.24,
      })),
    };
  }

  /* Something with places that the mouse or the arrow keys walk through, each with its text. */
  function walkable(element, places, tell) {
    let at = 0;
    const say = (number, x, y) => { at = number; gridcnn.showTip(tell(number), x, y); };
    places.forEach((place, number) => {
      place.addEventListener("pointermove", (event) => say(number, event.clientX, event.clientY));
    });
    element.addEventListener("pointerleave", gridcnn.hideTip);
    element.addEventListener("blur", gridcnn.hideTip);
    element.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (event.key === "Escape") gridcnn.hideTip();
      if (!step || !places.length) return;
      event.preventDefault();
      const next = Math.max(0, Math.min(places.length - 1, at + step));
      const box = places[next].getBoundingClientRect();
      say(next, box.left, box.top);
    });
  }

  /* Symbols of a text, each on the colour of its value. `between`: what stands between symbols. */
  function textView({ symbols, values, limit, label, between = "", tell }) {
    const places = symbols.map((symbol, i) => {
      const span = gridcnn.make("span", { class: "symbol" }, symbol);
      dye(span, values[i], limit);
      return span;
    });
    const strip = gridcnn.make("div", {
      class: between ? "symbols words" : "symbols", role: "img", tabindex: "0",
      "aria-label": `${label}; arrow keys tell its symbols. ${symbols.join(between)}`,
    }, ...places);
    walkable(strip, places, tell || ((i) => `${symbols[i]} (${i + 1}): ${gridcnn.number(values[i])}`));
    return strip;
  }

  /* A molecule as lines and letters, a disc of its value's colour behind each atom. */
  function moleculeView({ structure, values, limit, label }) {
    const { atoms, bonds } = structure;
    const xs = atoms.map((atom) => atom[0]);
    const ys = atoms.map((atom) => -atom[1]);
    const [left, top] = [Math.min(...xs) - 1.2, Math.min(...ys) - 1.2];
    const [width, height] = [Math.max(...xs) + 1.2 - left, Math.max(...ys) + 1.2 - top];
    const picture = svg("svg", {
      class: "molecule", viewBox: `${left} ${top} ${width} ${height}`, role: "img", tabindex: "0",
      "aria-label": `${label}; arrow keys tell its atoms`,
    });
    picture.style.width = `${Math.min(34 * width, 520)}px`;
    const ofAtom = (atom) => atom[3].reduce((sum, column) => sum + (values[column] || 0), 0);
    const discs = atoms.map((atom, i) => {
      const disc = svg("circle", { cx: xs[i], cy: ys[i], r: 0.62, class: atom[3].length ? "" : "unread" });
      if (atom[3].length) disc.setAttribute("fill", css(gridcnn.colour(ofAtom(atom) / (limit || 1))));
      return disc;
    });
    picture.append(...discs);
    for (const [from, to, count] of bonds) {
      const [dx, dy] = [xs[to] - xs[from], ys[to] - ys[from]];
      const length = Math.hypot(dx, dy) || 1;
      for (let line = 0; line < count; line += 1) {
        const off = (line - (count - 1) / 2) * 0.22;
        const [ox, oy] = [-dy / length * off, dx / length * off];
        const cut = (end) => (atoms[end][2] ? 0.38 / length : 0);
        picture.append(svg("line", {
          x1: xs[from] + ox + dx * cut(from), y1: ys[from] + oy + dy * cut(from),
          x2: xs[to] + ox - dx * cut(to), y2: ys[to] + oy - dy * cut(to),
        }));
      }
    }
    atoms.forEach((atom, i) => {
      if (!atom[2]) return;
      const text = svg("text", { x: xs[i], y: ys[i] + 0.2 }, atom[2]);
      if (atom[3].length) text.style.fill = inkOn(gridcnn.colour(ofAtom(atom) / (limit || 1)));
      picture.append(text);
    });
    walkable(picture, discs, (i) => {
      const [, , symbol, columns] = atoms[i];
      const what = `atom ${i + 1}, ${symbol || "C"}`;
      return columns.length ? `${what}: ${gridcnn.number(ofAtom(atoms[i]))}` : `${what}: cut off, not in the grid`;
    });
    return picture;
  }

  /* A row of numbers as a line, each place on the colour of its value. */
  function seriesView({ series, values, limit, label, axis }) {
    const count = series.length;
    const finite = [...series].filter(Number.isFinite);
    const [low, high] = [Math.min(...finite, 0), Math.max(...finite, 0)];
    const y = (value) => 58 - 56 * (high > low ? (value - low) / (high - low) : 0.5);
    const picture = svg("svg", {
      class: "numbers-line", viewBox: `0 0 ${count} 60`, preserveAspectRatio: "none", role: "img", tabindex: "0",
      "aria-label": `${label}; arrow keys tell its places`,
    });
    const places = Array.from({ length: count }, (_, i) => svg("rect", {
      x: i, y: 0, width: 1, height: 60, class: values ? "" : "plain",
      ...(values ? { fill: css(gridcnn.colour(values[i] / (limit || 1))) } : {}),
    }));
    const line = svg("polyline", {
      points: [...series].map((value, i) => `${i + 0.5},${y(value)}`).join(" "), "vector-effect": "non-scaling-stroke",
    });
    picture.append(...places, line);
    walkable(picture, places, (i) => `${placeOn(axis, i, i)}: value ${gridcnn.number(series[i])}`
      + (values ? `, ${gridcnn.number(values[i])}` : ""));
    return picture;
  }

  Object.assign(gridcnn, {
    svg, dye, css, inkOn, paintPicture, scaleBar, placeOn, seen, axesView, sized, extent, marks, textView, moleculeView, seriesView,
    walkable,
  });
})();
