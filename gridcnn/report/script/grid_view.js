/* A grid of cells as a picture with values: the mouse, a finger or the arrow keys tell each cell. */
"use strict";

(() => {
  /* Colours for -1..1: violet is negative, orange positive, nearly white is zero. The two differ for
     every kind of colour vision, and are equally dark at both ends. */
  const STOPS = [
    [45, 0, 75], [84, 39, 136], [128, 115, 172], [178, 171, 210], [216, 218, 235],
    [247, 247, 247],
    [254, 224, 182], [253, 184, 99], [224, 130, 20], [179, 88, 6], [127, 59, 8],
  ];

  function colour(value) {
    const place = (Math.max(-1, Math.min(1, value)) + 1) * (STOPS.length - 1) / 2;
    const low = Math.min(Math.floor(place), STOPS.length - 2);
    const part = place - low;
    return STOPS[low].map((from, i) => Math.round(from + part * (STOPS[low + 1][i] - from)));
  }

  const STEPS = 1000; // colours on each side of 0 that are painted: more than a screen tells apart
  let table = null;

  /* The bytes of all colours, red, green, blue and opacity, made once; the last is that of NaN. */
  function colours() {
    if (table === null) {
      const all = Array.from({ length: 2 * STEPS + 1 }, (_, i) => [...colour(i / STEPS - 1), 255]);
      table = Uint8ClampedArray.from([...all, [128, 128, 128, 255]].flat());
    }
    return table;
  }

  /* Paint cells (rows times columns values, `limit` is the value of the strongest colour). */
  function paint(canvas, values, rows, columns, limit) {
    if (canvas.width !== columns) canvas.width = columns;
    if (canvas.height !== rows) canvas.height = rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    const { data } = image;
    const bytes = colours();
    for (let i = 0; i < rows * columns; i += 1) {
      const share = values[i] / (limit || 1);
      const step = Number.isFinite(values[i])
        ? Math.round((Math.max(-1, Math.min(1, share)) + 1) * STEPS) : 2 * STEPS + 1;
      for (let byte = 0; byte < 4; byte += 1) data[4 * i + byte] = bytes[4 * step + byte];
    }
    context.putImageData(image, 0, 0);
  }

  /* Make a view of a grid.

     `shown` has: values (array-like, rows * columns), rows, columns, limit, label (what it is, for
     those who cannot see it), size (pixels on the longer side), caption (text or element), tell
     (function of row, column, value -> text), chosen (called with row, column when a cell is pressed
     or Enter is hit). Returns the figure, with `update(values, limit)`. */
  function gridView(shown) {
    const { rows, columns, label } = shown;
    const tell = shown.tell
      || ((row, column, value) => `row ${row}, column ${column}: ${gridcnn.number(value)}`);
    let values = shown.values;
    const canvas = gridcnn.make("canvas", {
      role: "img", tabindex: "0", "aria-label": `${label}; arrow keys tell its cells`,
    });
    const longest = Math.max(rows, columns);
    const scale = (shown.size || 140) / longest;
    canvas.style.width = `${Math.max(1, Math.round(columns * scale))}px`;
    canvas.style.aspectRatio = `${columns} / ${rows}`;
    paint(canvas, values, rows, columns, shown.limit);
    let at = [0, 0];

    function say(row, column, x, y) {
      at = [row, column];
      gridcnn.showTip(tell(row, column, values[row * columns + column]), x, y);
    }
    function place(event) {
      const box = canvas.getBoundingClientRect();
      const row = Math.floor((event.clientY - box.top) / box.height * rows);
      const column = Math.floor((event.clientX - box.left) / box.width * columns);
      return [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))];
    }
    canvas.addEventListener("pointermove", (event) => {
      const [row, column] = place(event);
      say(row, column, event.clientX, event.clientY);
    });
    canvas.addEventListener("pointerleave", gridcnn.hideTip);
    canvas.addEventListener("blur", gridcnn.hideTip);
    canvas.addEventListener("click", (event) => shown.chosen && shown.chosen(...place(event)));
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      if (event.key === "Enter" && shown.chosen) shown.chosen(...at);
      if (event.key === "Escape") gridcnn.hideTip();
      if (!(event.key in steps)) return;
      event.preventDefault();
      const [down, right] = steps[event.key];
      const row = Math.max(0, Math.min(rows - 1, at[0] + down));
      const column = Math.max(0, Math.min(columns - 1, at[1] + right));
      const box = canvas.getBoundingClientRect();
      say(row, column, box.left + (column + 0.5) * box.width / columns,
        box.top + (row + 0.5) * box.height / rows);
    });
    const figure = gridcnn.make("figure", { class: "grid-view" }, canvas);
    if (shown.caption) figure.append(gridcnn.make("figcaption", {}, shown.caption));
    figure.update = (changed, limit) => {
      values = changed;
      paint(canvas, values, rows, columns, limit);
    };
    return figure;
  }

  gridcnn.colour = colour;
  gridcnn.paint = paint;
  gridcnn.gridView = gridView;
})();
