/* The arithmetic of a whole network, stage by stage: grids go in, and the maps of every stage come
   out. It is that of `gridcnn/stages`: sums in double precision, cells in float32.

   A network is {ops: [...], result}, as `gridcnn/report/live.py` writes it. Value 0 is the grid that
   enters; operation i makes value i + 1 of the values in its `sources`. A value is
   {channels, rows, columns, cells: Float32Array}, cells in that order. `parameters` is the flat
   vector; numbers such as `weights: 120` say where an operation's own begin. */
"use strict";

(() => {
  function grid(channels, rows, columns, cells) {
    return { channels, rows, columns, cells: cells || new Float32Array(channels * rows * columns) };
  }

  /* Return the values of a network, value 0 first. */
  function forward(network, parameters, entering) {
    const values = [entering];
    for (const op of network.ops) {
      const sources = op.sources.map((source) => values[source]);
      values.push(STAGES[op.kind](op, parameters, ...sources));
    }
    return values;
  }

  /* Return the values of a network if value `at` were `changed`; all that does not follow from it
     stays as in `values`. */
  function resume(network, parameters, values, at, changed) {
    const found = values.slice();
    found[at] = changed;
    network.ops.forEach((op, i) => {
      if (i < at || !op.sources.some((source) => found[source] !== values[source])) return;
      found[i + 1] = STAGES[op.kind](op, parameters, ...op.sources.map((source) => found[source]));
    });
    return found;
  }

  function made(op, cells) {
    const [channels, rows, columns] = op.shape;
    return grid(channels, rows, columns, cells);
  }

  /* First and last (exclusive) position at which a cell `place` of a window lies inside the grid. */
  function reach(place, before, stride, size, positions) {
    const first = Math.max(0, Math.ceil((before - place) / stride));
    const last = Math.min(positions, Math.floor((size - 1 + before - place) / stride) + 1);
    return [first, last];
  }

  /* Which rows of all channels are not empty: most rows of one-hot grids are. */
  function filledRows({ channels, rows, columns, cells }) {
    return Uint8Array.from({ length: channels * rows }, (_, row) => (
      cells.subarray(row * columns, (row + 1) * columns).some((cell) => cell !== 0)
    ));
  }

  function convolution(op, parameters, source) {
    const out = made(op);
    const { cells } = source;
    const [high, wide] = op.kernel;
    const [down, across] = op.stride;
    const positions = out.rows * out.columns;
    const channels = source.channels / op.groups;
    const filters = out.channels / op.groups;
    const filled = filledRows(source);
    const sums = new Float64Array(positions);
    for (let filter = 0; filter < out.channels; filter += 1) {
      sums.fill(0);
      const group = Math.floor(filter / filters);
      let weight = op.weights + filter * channels * high * wide;
      for (let channel = group * channels; channel < (group + 1) * channels; channel += 1) {
        for (let row = 0; row < high; row += 1) {
          const rowPlace = row * op.dilation[0];
          const [top, bottom] = reach(rowPlace, op.border[0], down, source.rows, out.rows);
          for (let column = 0; column < wide; column += 1, weight += 1) {
            const columnPlace = column * op.dilation[1];
            const factor = parameters[weight];
            const [left, right] = reach(columnPlace, op.border[1], across, source.columns, out.columns);
            for (let y = top; y < bottom; y += 1) {
              const from = channel * source.rows + y * down + rowPlace - op.border[0];
              if (!filled[from]) continue;
              const line = from * source.columns + columnPlace - op.border[1];
              for (let x = left; x < right; x += 1) {
                sums[y * out.columns + x] += factor * cells[line + x * across];
              }
            }
          }
        }
      }
      const bias = op.bias < 0 ? 0 : parameters[op.bias + filter];
      for (let i = 0; i < positions; i += 1) {
        out.cells[filter * positions + i] = sums[i] / op.divisor + bias;
      }
    }
    return out;
  }

  /* A function of each cell. */
  function eachCell(compute) {
    return (op, parameters, source) => {
      const out = made(op);
      for (let i = 0; i < out.cells.length; i += 1) out.cells[i] = compute(op, source.cells[i]);
      return out;
    };
  }

  function rectified(op, x) {
    if (x > 0 || Number.isNaN(x)) return x;
    return op.leak ? Math.fround(op.leak) * x : 0;
  }

  function sigmoid(x) {
    return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
  }

  /* The error function: its series near 0, its continued fraction further out. */
  function erf(x) {
    const size = Math.abs(x);
    if (size > 6) return Math.sign(x);
    if (size < 2.5) {
      let term = x;
      let sum = x;
      for (let n = 1; n < 60 && Math.abs(term) > 1e-17; n += 1) {
        term *= -x * x / n;
        sum += term / (2 * n + 1);
      }
      return 2 * sum / Math.sqrt(Math.PI);
    }
    let fraction = 0;
    for (let n = 60; n > 0; n -= 1) fraction = n / 2 / (size + fraction);
    return Math.sign(x) * (1 - Math.exp(-size * size) / ((size + fraction) * Math.sqrt(Math.PI)));
  }

  const FUNCTIONS = {
    gelu: (x) => x * (1 + erf(x / Math.SQRT2)) / 2,
    silu: (x) => x * sigmoid(x),
    tanh: Math.tanh,
    sigmoid,
  };

  function normalization(op, parameters, source) {
    const out = made(op);
    const area = source.rows * source.columns;
    const together = op.kindOf === "batch" ? 1 : source.channels / op.groups;
    for (let first = 0; first < source.channels; first += together) {
      const start = first * area;
      const stop = (first + together) * area;
      let mean = 0;
      let variance = 0;
      if (op.kindOf === "batch") {
        mean = parameters[op.mean + first];
        variance = parameters[op.variance + first];
      } else {
        for (let i = start; i < stop; i += 1) mean += source.cells[i];
        mean /= stop - start;
        for (let i = start; i < stop; i += 1) variance += (source.cells[i] - mean) ** 2;
        variance /= stop - start;
      }
      const inverse = 1 / Math.sqrt(variance + op.epsilon);
      for (let i = start; i < stop; i += 1) {
        const channel = Math.floor(i / area);
        out.cells[i] = (source.cells[i] - mean) * inverse * parameters[op.gain + channel]
          + parameters[op.bias + channel];
      }
    }
    return out;
  }

  function pooling(op, parameters, source) {
    const out = made(op);
    let place = 0;
    for (let channel = 0; channel < out.channels; channel += 1) {
      for (let row = 0; row < out.rows; row += 1) {
        for (let column = 0; column < out.columns; column += 1, place += 1) {
          const window = windowOf(op, source, row, column);
          out.cells[place] = op.mode === "max"
            ? bestOf(source, channel, window).value : meanOf(source, channel, window);
        }
      }
    }
    return out;
  }

  /* The cells that a pooling window covers: {top, left, bottom, right}, the last two exclusive. */
  function windowOf(op, source, row, column) {
    const top = row * op.stride[0];
    const left = column * op.stride[1];
    return {
      top,
      left,
      bottom: Math.min(top + op.window[0], source.rows),
      right: Math.min(left + op.window[1], source.columns),
    };
  }

  /* The largest cell of a window and the place of the first that is so large. */
  function bestOf(source, channel, window) {
    let best = { value: -Infinity, row: window.top, column: window.left };
    for (let row = window.top; row < window.bottom; row += 1) {
      for (let column = window.left; column < window.right; column += 1) {
        const value = source.cells[(channel * source.rows + row) * source.columns + column];
        if (Number.isNaN(value)) return { value, row, column };
        if (value > best.value) best = { value, row, column };
      }
    }
    return best;
  }

  function meanOf(source, channel, window) {
    let sum = 0;
    for (let row = window.top; row < window.bottom; row += 1) {
      const line = (channel * source.rows + row) * source.columns;
      for (let column = window.left; column < window.right; column += 1) {
        sum += source.cells[line + column];
      }
    }
    return sum / ((window.bottom - window.top) * (window.right - window.left));
  }

  /* One fully connected layer: values in, sums of products and biases out. */
  function layer(parameters, values, weights, bias, outputs) {
    const sums = new Float32Array(outputs);
    let weight = weights;
    for (let output = 0; output < outputs; output += 1) {
      let sum = 0;
      for (let i = 0; i < values.length; i += 1, weight += 1) sum += parameters[weight] * values[i];
      sums[output] = sum + parameters[bias + output];
    }
    return sums;
  }

  function rectify(values) {
    return values.map((value) => (value > 0 || Number.isNaN(value) ? value : 0));
  }

  function gate(op, parameters, source) {
    const out = made(op);
    const area = source.rows * source.columns;
    const whole = { top: 0, left: 0, bottom: source.rows, right: source.columns };
    const means = Float32Array.from({ length: source.channels }, (_, c) => meanOf(source, c, whole));
    const hidden = rectify(layer(parameters, means, ...op.hidden));
    const gates = layer(parameters, hidden, ...op.gate).map(sigmoid);
    for (let i = 0; i < out.cells.length; i += 1) {
      out.cells[i] = source.cells[i] * gates[Math.floor(i / area)];
    }
    return out;
  }

  function sum(op, parameters, ...sources) {
    const out = made(op, sources[0].cells.slice());
    for (const source of sources.slice(1)) {
      for (let i = 0; i < out.cells.length; i += 1) out.cells[i] += source.cells[i];
    }
    return out;
  }

  function join(op, parameters, ...sources) {
    const out = made(op);
    let place = 0;
    for (const source of sources) {
      out.cells.set(source.cells, place);
      place += source.cells.length;
    }
    return out;
  }

  function voting(op, parameters, source) {
    let values = source.cells;
    op.layers.forEach((each, number) => {
      values = layer(parameters, number ? rectify(values) : values, ...each);
    });
    return made(op, values);
  }

  const STAGES = {
    convolution,
    rectification: eachCell(rectified),
    activation: eachCell((op, x) => FUNCTIONS[op.function](x)),
    normalization,
    pooling,
    dropout: (op, parameters, source) => source,
    gate,
    sum,
    join,
    voting,
  };

  /* The votes for logits: 0..1, 1 in all unless items may have several labels; null if there are
     none, as the logits are not finite. */
  function votes(logits, several) {
    const most = Math.max(...logits);
    if (![...logits].every(Number.isFinite)) return null;
    if (several) return Float32Array.from(logits, sigmoid);
    const lifted = Array.from(logits, (logit) => Math.exp(logit - most));
    const whole = lifted.reduce((one, other) => one + other, 0);
    return Float32Array.from(lifted, (each) => each / whole);
  }

  /* The classes that are answered, by their numbers: that with the most votes, or all labels whose
     votes reach their thresholds. */
  function answers(shares, thresholds) {
    if (!thresholds) return [shares.indexOf(Math.max(...shares))];
    return [...shares.keys()].filter((label) => shares[label] >= thresholds[label]);
  }

  /* How a convolution computes a cell: for each cell of the feature the weight, the cell of the
     grid under it and their product; the sum, what it is divided by, the bias and the match. */
  function matchAt(op, parameters, source, filter, row, column) {
    const [high, wide] = op.kernel;
    const channels = source.channels / op.groups;
    const group = Math.floor(filter / (op.shape[0] / op.groups));
    const terms = [];
    let total = 0;
    for (let i = 0; i < channels * high * wide; i += 1) {
      const channel = group * channels + Math.floor(i / (high * wide));
      const y = row * op.stride[0] - op.border[0] + Math.floor((i / wide) % high) * op.dilation[0];
      const x = column * op.stride[1] - op.border[1] + (i % wide) * op.dilation[1];
      const inside = y >= 0 && x >= 0 && y < source.rows && x < source.columns;
      const weight = parameters[op.weights + filter * channels * high * wide + i];
      const cell = inside ? source.cells[(channel * source.rows + y) * source.columns + x] : 0;
      terms.push({ channel, row: y, column: x, inside, weight, cell, product: weight * cell });
      total += weight * cell;
    }
    const bias = op.bias < 0 ? 0 : parameters[op.bias + filter];
    return { terms, total, divisor: op.divisor, bias, match: total / op.divisor + bias };
  }

  /* How many votes each cell of the last maps gives to a class: what the cell counts, times its
     value. Hidden layers are followed as they stand for this item, so that all cells and what is
     left, the biases, add up to the class's logit. */
  function election(op, parameters, source, chosen) {
    const entered = [source.cells];
    for (const [number, each] of op.layers.entries()) {
      if (number) entered[number] = rectify(entered[number]);
      entered.push(layer(parameters, entered[number], ...each));
    }
    let flow = Float64Array.from(entered.at(-1), (_, output) => (output === chosen ? 1 : 0));
    for (let number = op.layers.length - 1; number >= 0; number -= 1) {
      const [weights, , outputs] = op.layers[number];
      const inputs = entered[number].length;
      const before = new Float64Array(inputs);
      for (let output = 0; output < outputs; output += 1) {
        if (flow[output] === 0) continue;
        for (let i = 0; i < inputs; i += 1) {
          before[i] += flow[output] * parameters[weights + output * inputs + i];
        }
      }
      flow = number ? before.map((each, i) => (entered[number][i] > 0 ? each : 0)) : before;
    }
    const cells = Float32Array.from(flow, (each, i) => each * source.cells[i]);
    const logit = entered.at(-1)[chosen];
    return { cells, logit, rest: logit - cells.reduce((sum, each) => sum + each, 0) };
  }

  gridcnn.arithmetic = { grid, forward, resume, votes, answers, matchAt, windowOf, bestOf, election };
})();
