/* Adapters: an item becomes the grid that enters the network, by the settings that the model was
   trained with. Tables and arrays are done here, as `adapters/table.py` and `adapters/array.py` do
   them; the other kinds have files of their own. */
"use strict";

(() => {
  /* What is wrong with an item, in one sentence for the user. */
  gridcnn.Problem = class extends Error {};

  /* Return the grid of an item, and for texts and molecules the part that stands in each column.

     An item is, by the kind of the adapter: image: {width, height, data, opaque}, see `flatten`;
     audio: {samples, rate}; text and molecule: a string; table: a list of numbers, NaN if missing;
     array: {shape, values}. */
  function adapt(model, item) {
    const [channels, rows, columns] = model.shape;
    const { adapter } = model;
    const { cells, parts } = ADAPTERS[adapter.kind](adapter, item, model.shape);
    if (!cells.every(Number.isFinite)) {
      throw new gridcnn.Problem("it holds numbers that are missing, infinite, or too large");
    }
    return { grid: gridcnn.arithmetic.grid(channels, rows, columns, cells), parts };
  }

  const ADAPTERS = {
    image: (adapter, item) => ({ cells: gridcnn.pixels.pictureCells(adapter, item) }),
    audio: (adapter, item) => ({ cells: gridcnn.sounds.soundCells(adapter, item) }),
    text: (adapter, item, shape) => oneHot(gridcnn.texts.textColumns(adapter, item), shape),
    molecule: (adapter, item, shape) => oneHot(gridcnn.texts.moleculeColumns(adapter, item), shape),
    table: (adapter, item, shape) => ({ cells: tableCells(adapter, item, shape) }),
    array: (adapter, item, shape) => ({ cells: arrayCells(adapter, item, shape) }),
  };

  function oneHot(parts, [, rows, columns]) {
    return { cells: gridcnn.texts.oneHot(parts, rows, columns), parts };
  }

  // Tables ---------------------------------------------------------------------------------------

  function tableCells(adapter, given, [channels, rows, columns]) {
    const width = channels * rows * columns;
    if (given.length !== width) {
      throw new gridcnn.Problem(`the item has ${given.length} numbers; ${width} are expected`);
    }
    const missing = given.findIndex(Number.isNaN);
    if (missing >= 0 && adapter.missing === "refuse") {
      throw new gridcnn.Problem(`number ${missing + 1} is missing`);
    }
    const row = given.map((value, i) => {
      if (!Number.isNaN(value)) return value;
      return adapter.missing === "mean" ? adapter.fills[i] : 0;
    });
    const scaled = scaledRow(adapter, row);
    const cells = new Float32Array(width);
    if (adapter.order !== "interleaved") {
      cells.set(scaled);
      return cells;
    }
    scaled.forEach((value, i) => {
      cells[(i % channels) * rows * columns + Math.floor(i / channels)] = value;
    });
    return cells;
  }

  function scaledRow(adapter, row) {
    if (adapter.scaling === "none") return row;
    let { means, deviations } = adapter;
    if (adapter.scaling === "row") {
      const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
      const squares = row.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      const same = row.every((value) => value === row[0]);
      means = [mean];
      deviations = [same ? 0 : Math.sqrt(squares / row.length)];
    }
    const limit = adapter.limit === null ? Infinity : adapter.limit;
    return row.map((value, i) => {
      const place = means.length === 1 ? 0 : i;
      if (!(deviations[place] > 0)) return Number.isFinite(value) ? 0 : value;
      const scaled = (value - means[place]) / deviations[place];
      return Number.isFinite(value) ? Math.max(-limit, Math.min(limit, scaled)) : value;
    });
  }

  // Arrays ---------------------------------------------------------------------------------------

  function arrayCells(adapter, { shape, values }, [channels, rows, columns]) {
    const laid = laidOut(adapter, shape);
    if (laid.sizes.join() !== [channels, rows, columns].join()) {
      throw new gridcnn.Problem(
        `the item is ${laid.sizes.join(" x ")} (channels x rows x columns); ${channels} x ${rows} x `
        + `${columns} is expected`,
      );
    }
    const cells = new Float32Array(channels * rows * columns);
    const scale = adapter.scaling === "none" ? (value) => value : rangeOf(adapter);
    const limit = adapter.limit === null ? Infinity : adapter.limit;
    for (let i = 0; i < cells.length; i += 1) {
      const from = laid.last ? (i % (rows * columns)) * channels + Math.floor(i / (rows * columns)) : i;
      const value = values[from];
      cells[i] = Number.isFinite(value) ? Math.max(-limit, Math.min(limit, scale(value))) : value;
    }
    return cells;
  }

  function rangeOf({ low, high }) {
    const middle = high / 2 + low / 2;
    const half = high / 2 - low / 2 || 1;
    return (value) => (value - middle) / half;
  }

  /* Return channels, rows and columns of an array, and whether its channels come last. */
  function laidOut(adapter, shape) {
    if (shape.length === 1) return { sizes: [1, 1, ...shape], last: false };
    if (shape.length === 2) return { sizes: [1, ...shape], last: false };
    if (shape.length !== 3) {
      throw new gridcnn.Problem("an array is (columns), (rows, columns), or has channels as well");
    }
    const channels = [1, 3, 4];
    const auto = channels.includes(shape[2]) && !channels.includes(shape[0]);
    const last = adapter.channel_order === "last" || (adapter.channel_order === "auto" && auto);
    return { sizes: last ? [shape[2], shape[0], shape[1]] : shape, last };
  }

  // What a user writes ---------------------------------------------------------------------------

  /* Return the numbers of a text: between them stand commas, semicolons, tabs or spaces. What is
     empty, or written as NaN, is missing. */
  function numbersIn(text) {
    const whole = text.replace(/^[ \r\n]+|[ \r\n]+$/g, "");
    const words = whole === "" ? [] : whole.split(/[,;\t]/.test(whole) ? / *[,;\t][ \r\n]*| *\n/ : /\s+/);
    return words.map((each, i) => {
      const word = each.trim();
      if (/^(|nan|na|null|none|\?)$/i.test(word)) return NaN;
      const number = Number(word);
      if (Number.isNaN(number)) throw new gridcnn.Problem(`number ${i + 1}, '${word}', is not a number`);
      return number;
    });
  }

  /* Return the array that a text holds: nested lists as JSON, or lines of numbers. */
  function arrayIn(text) {
    if (text.trim().startsWith("[")) return nested(parsed(text));
    const lines = text.trim().split(/\r?\n/).map(numbersIn);
    if (lines.length === 1) return { shape: [lines[0].length], values: lines[0] };
    if (lines.some((line) => line.length !== lines[0].length)) {
      throw new gridcnn.Problem("the lines have different lengths");
    }
    return { shape: [lines.length, lines[0].length], values: lines.flat() };
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      throw new gridcnn.Problem("it is not a list of lists, such as [[1, 2], [3, 4]]");
    }
  }

  function nested(list) {
    if (!Array.isArray(list[0])) {
      if (!list.every((each) => typeof each === "number")) {
        throw new gridcnn.Problem("the lists must hold numbers alone");
      }
      return { shape: [list.length], values: list };
    }
    const parts = list.map((each) => nested(Array.isArray(each) ? each : [each]));
    if (parts.some(({ shape }) => shape.join() !== parts[0].shape.join())) {
      throw new gridcnn.Problem("the lists have different lengths");
    }
    return { shape: [list.length, ...parts[0].shape], values: parts.flatMap((each) => each.values) };
  }

  /* Return the array in a file of NumPy, `.npy`. */
  function stored(buffer) {
    const view = new DataView(buffer);
    const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
    if (buffer.byteLength < 12 || magic.some((byte, i) => view.getUint8(i) !== byte)) {
      throw new gridcnn.Problem("the file is not an array of NumPy (.npy)");
    }
    const long = view.getUint8(6) > 1;
    const start = (long ? 12 : 10) + (long ? view.getUint32(8, true) : view.getUint16(8, true));
    const header = new TextDecoder("latin1").decode(buffer.slice(0, start));
    const [, order, kind, size] = header.match(/'descr': '([<>|=])([biuf])(\d)'/) || [];
    const list = header.match(/'shape': \(([^)]*)\)/);
    const read = NUMBERS[`${kind}${size}`];
    if (!read || !list) throw new gridcnn.Problem("the array does not hold numbers that are read here");
    if (header.includes("'fortran_order': True")) {
      throw new gridcnn.Problem("the array is stored column by column; save numpy.ascontiguousarray of it");
    }
    const shape = list[1].split(",").filter((each) => each.trim()).map(Number);
    const count = shape.reduce((product, each) => product * each, 1);
    if (start + count * size > buffer.byteLength) throw new gridcnn.Problem("the file is cut short");
    const values = Float64Array.from(
      { length: count }, (_, i) => Number(view[read](start + i * size, order !== ">")),
    );
    return { shape, values };
  }

  const NUMBERS = {
    b1: "getUint8", u1: "getUint8", i1: "getInt8", u2: "getUint16", i2: "getInt16", u4: "getUint32",
    i4: "getInt32", u8: "getBigUint64", i8: "getBigInt64", f4: "getFloat32", f8: "getFloat64",
  };

  gridcnn.adapters = { adapt, arrayIn, numbersIn, stored };
})();
