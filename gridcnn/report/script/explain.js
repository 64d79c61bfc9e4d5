/* An item on its way through a network: the item, each stage, the election, and what mattered.

   `gridcnn.showWalk(element, walk)` draws all of it from the data that pages.py describes; called
   again with another walk, it draws that. */
"use strict";

(() => {
  const { make } = gridcnn;
  const NUMBERED = 144; // cells of a feature whose numbers are written out
  const FEW = 8; // maps of a stack on a phone
  const SMALL = 108; // pixels of a map in a stack

  function section(title, ...children) {
    return make("section", {}, make("h2", {}, title), ...children);
  }

  function part(array, index) {
    const size = array.shape.slice(1).reduce((a, b) => a * b, 1);
    return array.values.subarray(index * size, (index + 1) * size);
  }

  function named(label) {
    return `\u201c${label}\u201d`;
  }

  function several(count, one, many = `${one}s`) {
    return count === 1 ? `1 ${one}` : `${count.toLocaleString("en")} ${many}`;
  }

  /* The item ----------------------------------------------------------------------------------- */

  function answerOf(walk) {
    const box = make("div", { class: "verdict" });
    const most = walk.answer.length ? walk.answer.join(", ") : "no label";
    const share = walk.votes.find(([name]) => name === walk.answer[0]);
    box.append(make("p", {}, make("strong", {}, most),
      share && !walk.several ? ` with ${gridcnn.percent(share[1])} of the votes` : ""));
    const list = make("ul");
    const sorted = [...walk.votes].sort((a, b) => b[1] - a[1]);
    gridcnn.votes(list, sorted.slice(0, 10), walk.answer);
    box.append(list);
    if (sorted.length > 10) box.append(make("p", { class: "quiet" }, `and ${sorted.length - 10} more with fewer votes`));
    return box;
  }

  function waveOf(original) {
    const { shape: [count], values } = { ...original.wave, shape: [original.wave.shape[0]] };
    const points = [];
    for (let i = 0; i < count; i += 1) points.push(`${i + 0.5},${50 - 48 * values[2 * i + 1]}`);
    for (let i = count - 1; i >= 0; i -= 1) points.push(`${i + 0.5},${50 - 48 * values[2 * i]}`);
    return gridcnn.svg("svg", {
      class: "waveform", viewBox: `0 0 ${count} 100`, preserveAspectRatio: "none", role: "img",
      "aria-label": `waveform of ${gridcnn.number(original.seconds)} seconds`,
    }, gridcnn.svg("polygon", { points: points.join(" ") }));
  }

  function rawOf(walk) {
    const { original } = walk;
    const box = make("div", { class: "raw" });
    if (original.kind === "picture" && original.address) {
      const [columns, rows] = original.size;
      const image = make("img", { class: "original", src: original.address, alt: `the picture ${walk.name}` });
      if (Math.max(columns, rows) < 200) image.style.width = `${Math.round(200 * columns / Math.max(columns, rows))}px`;
      box.append(make("figure", {}, image, make("figcaption", {}, `The picture, ${columns} x ${rows} pixels.`)));
    } else if (original.kind === "sound" && original.address) {
      box.append(make("figure", {}, waveOf(original),
        make("audio", { controls: true, src: original.address, "aria-label": `the sound ${walk.name}` }),
        make("figcaption", {}, `The sound, ${gridcnn.number(original.seconds)} s.`)));
    } else if (original.kind === "text") {
      box.append(make("blockquote", { class: "text" }, original.text));
    } else if (original.kind === "molecule") {
      box.append(make("p", {}, make("code", {}, original.text)));
      if (original.undrawn) {
        box.append(make("p", { class: "quiet" }, "Only the first molecule is drawn as a structure, which RDKit "
          + "has laid out; of another one the page shows the tokens."));
      }
    }
    return box;
  }

  function gridOf(walk) {
    const { grid } = walk;
    const [channels, rows, columns] = grid.cells.shape;
    if (grid.oneHot) {
      const used = grid.rows.size;
      const kept = used < grid.allRows ? ` Rows without a 1 are not drawn (${grid.allRows - used} of ${grid.allRows}).` : "";
      const figure = gridcnn.axesView({
        values: grid.cells.values, rows, columns, limit: 1, rowAxis: grid.rows, columnAxis: grid.columns,
        size: Math.min(700, 14 * columns), height: rows <= 40 ? 12 * rows : undefined, label: "the grid",
        caption: `The grid, ${grid.shape}: each column has one 1, in the row of its ${grid.rows.name}.${kept}`,
        tell: (row, column, value) => `${gridcnn.placeOn(grid.rows, row, row)}, ${gridcnn.placeOn(grid.columns, column, column)}: ${value}`,
      });
      return figure;
    }
    const box = make("div", { class: "grids" });
    const isPicture = walk.original.kind === "picture";
    const planes = Array.from({ length: channels }, (_, channel) => part(grid.cells, channel));
    const isColour = isPicture && channels === 3;
    for (let channel = 0; channel < (isColour ? 1 : channels); channel += 1) {
      const values = part(grid.cells, channel);
      const told = (row, column, value) => (isColour
        ? ["red", "green", "blue"].map((name, c) => `${name} ${gridcnn.number(planes[c][row * columns + column])}`).join(", ")
        : gridcnn.number(value));
      const which = channels > 1 ? `channel ${channel + 1}, ` : "";
      const said = { values, limit: grid.limit, label: `${which}the grid` };
      if (rows === 1) {
        box.append(make("figure", { class: "long" }, gridcnn.seriesView({ series: values, label: "the grid", axis: grid.columns }),
          make("figcaption", {}, `The grid, ${grid.shape}: one row; the value of each ${grid.columns.name}, from ${gridcnn.number(Math.min(...values))} to ${gridcnn.number(Math.max(...values))}.`)));
        continue;
      }
      box.append(gridcnn.axesView({
        ...said, rows, columns, rowAxis: grid.rows, columnAxis: grid.columns, size: 300,
        picture: isPicture ? (isColour ? planes : [values]) : undefined,
        caption: channel ? `Channel ${channel + 1}` : `The grid, ${grid.shape} (channels x rows x columns): what the network sees.`,
        tell: (row, column, value) => `${gridcnn.placeOn(grid.rows, row, row)}, ${gridcnn.placeOn(grid.columns, column, column)}: ${told(row, column, value)}`,
      }));
    }
    const key = isPicture ? make("p", { class: "quiet" }, isColour ? "Of each colour, -1 is none and 1 is all." : "Black is -1, white is 1.") : gridcnn.scaleBar(grid.limit, "cells");
    return make("div", {}, box, ...(rows > 1 ? [key] : []));
  }

  /* Where a cell of a map stands: what it sees of the grid. */
  function where(walk, field, row, column) {
    const { grid } = walk;
    const places = [];
    const full = ([, , size, cells]) => size >= cells;
    if (!grid.oneHot && !(full(field[0]) && grid.rows.size > 1) && grid.rows.size > 1) {
      places.push(gridcnn.placeOn(grid.rows, ...gridcnn.seen(field[0], row)));
    }
    if (grid.columns.size > 1) {
      const [first, last] = gridcnn.seen(field[1], column);
      const symbols = walk.original.symbols.slice(first, last + 1);
      const read = symbols.length && symbols.length <= 24
        ? ` ${named(symbols.join(grid.rows.name === "word" ? " " : ""))}` : "";
      places.push(gridcnn.placeOn(grid.columns, first, last) + read);
    }
    return places.length ? `sees ${places.join(", ")}` : "";
  }

  function tellOf(walk, stage, number) {
    return (row, column, value) => {
      const [, rows, columns] = stage.shape;
      const [y, x] = [row * stage.factor, column * stage.factor];
      const at = rows === 1 && columns === 1 ? "" : `, row ${y + 1}, column ${x + 1}${stage.factor > 1 ? " or beside it" : ""}`;
      const sees = where(walk, stage.field, y, x);
      return `map ${number + 1}${at}: ${gridcnn.number(value)}${sees ? `; ${sees}` : ""}`;
    };
  }

  /* A stage ------------------------------------------------------------------------------------ */

  function stackOf(walk, stage, pressed) {
    const [channels] = stage.shape;
    const [shown, rows, columns] = stage.maps.shape;
    const box = make("div", { class: "grids maps" });
    if (rows === 1 && columns === 1) {
      // One cell for each map: a strip of them.
      const values = Float32Array.from(stage.maps.values);
      const figure = gridcnn.gridView({
        values, rows: 1, columns: shown, limit: stage.limit, size: 420,
        label: `${stage.label}: one cell for each of ${shown} maps`,
        tell: (_, column, value) => `map ${stage.numbers[column] + 1}: ${gridcnn.number(value)}`,
      });
      box.append(gridcnn.sized(figure, Math.min(420, 26 * shown), 26));
    } else {
      const draw = (number, i) => {
        const values = part(stage.maps, i);
        const figure = gridcnn.gridView({
          values, rows, columns, limit: stage.limit, size: SMALL, label: `${stage.label}, map ${number + 1}`,
          caption: `map ${number + 1}: ${gridcnn.number(Math.max(...values))}`,
          tell: tellOf(walk, stage, number),
          chosen: pressed ? (row, column) => pressed(number, row * stage.factor, column * stage.factor) : undefined,
        });
        const long = rows < 4 || columns < 4 ? Math.min(320, 3 * Math.max(rows, columns) + 80) : SMALL;
        box.append(gridcnn.sized(figure, ...gridcnn.extent(rows, columns, long, 16)));
      };
      // On a phone a long stack hides what follows.
      const first = innerWidth < 600 ? FEW : shown;
      stage.numbers.slice(0, first).forEach(draw);
      if (first < shown) {
        const more = make("button", { onclick: () => {
          more.remove();
          stage.numbers.forEach((number, i) => i >= first && draw(number, i));
        } }, `Show ${shown - first} more`);
        box.append(more);
      }
    }
    const small = stage.factor > 1 ? ` Drawn smaller: each cell is the strongest of ${stage.factor} x ${stage.factor}.` : "";
    const rest = channels > shown ? `; ${shown} of ${channels} are drawn` : "";
    return make("div", {}, box, make("div", { class: "under" },
      gridcnn.scaleBar(stage.limit, "cells", stage.low < 0 ? -stage.limit : 0),
      make("p", { class: "quiet" }, `Strongest map first, with its largest cell${rest}. Cells from ${gridcnn.number(stage.low)} to ${gridcnn.number(stage.high)}.${small}`)));
  }

  function stageOf(walk, stage, open) {
    const pressed = { now: null };
    const body = make("div", { class: "walk-body" });
    const fill = () => {
      if (body.childElementCount) return;
      body.append(make("p", {}, stage.text));
      const match = stage.features ? matchOf(walk, stage, pressed) : null;
      body.append(stackOf(walk, stage, match ? (...place) => pressed.now(...place) : undefined));
      if (match) body.append(match);
      if (stage.pooling && stage.pooling.mode === "max") body.append(windowsOf(walk, stage));
    };
    const details = make("details", { class: "walk-stage", "data-label": stage.label },
      make("summary", {}, make("h3", {}, stage.label), make("span", { class: "quiet" },
        ` ${stage.input.join(" and ")} \u2192 ${stage.output}${stage.parameters ? `, ${several(stage.parameters, "parameter")}` : ""}`)),
      body);
    details.addEventListener("toggle", () => details.open && fill());
    if (open) { details.open = true; fill(); }
    return details;
  }

  /* A feature laid over a patch ------------------------------------------------------------------ */

  /* The cells that a feature lies on, and their places, for a cell of its map. */
  function patchOf(walk, stage, index, row, column) {
    const { features, numbers } = stage;
    const [, channels, rows, columns] = features.weights.shape;
    const [, gridRows, gridColumns] = walk.grid.cells.shape;
    const weights = part(features.weights, index);
    const top = row * features.stride[0] - features.borders[0];
    const left = column * features.stride[1] - features.borders[1];
    const first = Math.floor(numbers[index] / features.perGroup) * channels;
    const cells = new Float32Array(weights.length);
    for (let i = 0, c = 0; c < channels; c += 1) {
      for (let r = 0; r < rows; r += 1) {
        for (let k = 0; k < columns; k += 1, i += 1) {
          const [y, x] = [top + r * features.dilation[0], left + k * features.dilation[1]];
          const inside = y >= 0 && y < gridRows && x >= 0 && x < gridColumns;
          cells[i] = inside ? walk.grid.cells.values[((first + c) * gridRows + y) * gridColumns + x] : 0;
        }
      }
    }
    let sum = 0;
    for (let i = 0; i < cells.length; i += 1) sum += cells[i] * weights[i];
    const bias = features.bias.values[index];
    return { top, left, channels, rows, columns, weights, cells, sum, bias, first, value: sum / features.divisor + bias };
  }

  function numbersTable(values, rows, columns, limit, title, start = 0) {
    const body = make("tbody");
    for (let r = 0; r < rows; r += 1) {
      const line = make("tr");
      for (let k = 0; k < columns; k += 1) {
        const value = values[start + r * columns + k];
        const cell = make("td", {}, value.toFixed(2).replace(/^-0\.00$/, "0.00"));
        gridcnn.dye(cell, value, limit);
        line.append(cell);
      }
      body.append(line);
    }
    return make("table", { class: "mini" }, make("caption", {}, title), body);
  }

  function sumOf(stage, patch) {
    const { features } = stage;
    const n = gridcnn.number;
    const parts = [`Added up: ${n(patch.sum)}`];
    const share = n(patch.sum / features.cells);
    if (features.divisor > 1) parts.push(`divided by ${several(features.cells, "cell")}: ${share}`);
    if (patch.bias !== 0) parts.push(`with the feature's bias of ${n(patch.bias)}: ${n(patch.value)}`);
    const said = make("p", { class: "sum" }, `${parts.join("; ")}. `, make("strong", {}, n(patch.value)),
      " is the cell of the map.");
    if (features.divisor === 1) {
      said.append(make("span", { class: "quiet" }, ` This stage adds up and does not divide; divided by ${several(features.cells, "cell")}, the match would be ${share}.`));
    }
    return said;
  }

  /* One-hot columns: of each, only the weight in the row of its 1 counts. */
  function symbolsTable(walk, patch) {
    const { grid, original } = walk;
    const body = make("tbody");
    for (let k = 0; k < patch.columns; k += 1) {
      const at = patch.left + k;
      let row = -1;
      for (let r = 0; r < patch.rows; r += 1) if (patch.cells[r * patch.columns + k] === 1) row = r;
      const symbol = row >= 0 ? grid.rows.labels[row] : (original.symbols[at] || "nothing");
      const weight = row >= 0 ? patch.weights[row * patch.columns + k] : 0;
      const cell = make("td", {}, row >= 0 ? `1 x ${gridcnn.number(weight)} = ${gridcnn.number(weight)}` : "0");
      gridcnn.dye(cell, weight, Math.max(...patch.weights.map(Math.abs)));
      body.append(make("tr", {}, make("td", {}, String(at + 1)), make("td", { class: "text" }, symbol), cell));
    }
    return make("div", { class: "table" }, make("table", { class: "mini" },
      make("caption", {}, "Of each column, the weight in the row of its 1"),
      make("thead", {}, make("tr", {}, ...["column", grid.rows.name, "cell x weight"].map((head) => make("th", { scope: "col" }, head)))), body));
  }

  function matchOf(walk, stage, pressed) {
    const { features, numbers } = stage;
    const box = make("div", { class: "match" });
    const show = (number, row, column) => {
      const index = numbers.indexOf(number);
      const patch = patchOf(walk, stage, index, row, column);
      const best = features.best[index];
      const isBest = best[0] === row && best[1] === column;
      const place = where(walk, stage.field, row, column);
      const line = make("p", {}, `Feature ${number + 1} ${isBest ? "on its best match" : `for row ${row + 1}, column ${column + 1} of its map`}`, place ? ` (it ${place})` : "", ":");
      const sheets = make("div", { class: "grids" });
      if (walk.grid.oneHot) {
        sheets.append(symbolsTable(walk, patch));
      } else {
        const [, gridRows, gridColumns] = walk.grid.cells.shape;
        const laid = gridcnn.gridView({
          values: part(walk.grid.cells, patch.first), rows: gridRows, columns: gridColumns, limit: walk.grid.limit,
          size: 200, label: "the grid with the patch in a frame", caption: "The patch in the grid.",
        });
        gridcnn.sized(laid, ...gridcnn.extent(gridRows, gridColumns, 200));
        const canvas = laid.querySelector("canvas");
        const plot = make("div", { class: "plot" });
        plot.style.width = canvas.style.width;
        laid.prepend(plot);
        plot.append(canvas);
        if (walk.original.kind === "picture") {
          gridcnn.paintPicture(canvas, [part(walk.grid.cells, patch.first)], gridRows, gridColumns);
        }
        gridcnn.marks(plot, gridRows, gridColumns).box(patch.top, patch.left,
          (patch.rows - 1) * features.dilation[0] + 1, (patch.columns - 1) * features.dilation[1] + 1);
        sheets.append(laid);
        const cells = patch.rows * patch.columns;
        const products = patch.cells.map((cell, i) => cell * patch.weights[i]);
        const limits = [features.limit, walk.grid.limit, features.limit * walk.grid.limit];
        if (patch.channels * cells <= NUMBERED) {
          for (let c = 0; c < patch.channels; c += 1) {
            const of = patch.channels > 1 ? ` (channel ${c + 1})` : "";
            sheets.append(make("div", { class: "product", role: "group", "aria-label": `feature times patch${of}` },
              numbersTable(patch.weights, patch.rows, patch.columns, limits[0], `feature${of}`, c * cells),
              make("span", { class: "times" }, "\u00d7"),
              numbersTable(patch.cells, patch.rows, patch.columns, limits[1], "patch", c * cells),
              make("span", { class: "times" }, "="),
              numbersTable(products, patch.rows, patch.columns, limits[2], "products", c * cells)));
          }
        } else {
          [["feature", patch.weights], ["patch", patch.cells], ["products", products]].forEach(([name, values], i) => {
            sheets.append(gridcnn.gridView({
              values: values.subarray(0, cells), rows: patch.rows, columns: patch.columns, limit: limits[i], size: 130, label: name,
              caption: patch.channels > 1 ? `${name} (first of ${patch.channels} channels)` : name,
            }));
          });
        }
      }
      box.replaceChildren(make("h4", {}, "A feature laid over a patch"), line, sheets, sumOf(stage, patch),
        make("p", { class: "quiet" }, "Press a cell of a map above, or walk to it with the arrow keys and press Enter, to see its arithmetic."));
    };
    pressed.now = show;
    show(numbers[0], ...features.best[0]);
    return box;
  }

  /* Pooling windows ---------------------------------------------------------------------------- */

  function winnerOf(values, columns, rows, pooling, row, column) {
    const [top, left] = [row * pooling.stride[0], column * pooling.stride[1]];
    let best = [top, left];
    for (let r = top; r < Math.min(rows, top + pooling.size[0]); r += 1) {
      for (let k = left; k < Math.min(columns, left + pooling.size[1]); k += 1) {
        if (values[r * columns + k] > values[best[0] * columns + best[1]]) best = [r, k];
      }
    }
    return best;
  }

  function windowsOf(walk, stage) {
    const { pooling, numbers } = stage;
    const [, rows, columns] = pooling.entered.shape;
    const [, outRows, outColumns] = stage.shape;
    const box = make("div", { class: "windows" });
    const whole = outRows === 1 && outColumns === 1;
    const few = whole ? numbers.slice(0, 6) : numbers.slice(0, 1);
    box.append(make("h4", {}, whole ? "Where the best matches are" : "Windows and their winners"));
    const sheets = make("div", { class: "grids" });
    few.forEach((number, i) => {
      const values = part(pooling.entered, i);
      const long = rows < 4 ? 460 : Math.min(440, Math.max(240, 13 * Math.max(rows, columns)));
      const figure = gridcnn.gridView({
        values, rows, columns, limit: stage.limit, size: long, label: `map ${number + 1} before ${stage.label}, winning cells have a dot`,
        caption: `map ${number + 1} before pooling${whole ? "" : ", its windows, and the winner of each"}`,
      });
      gridcnn.sized(figure, ...gridcnn.extent(rows, columns, long));
      const canvas = figure.querySelector("canvas");
      const plot = make("div", { class: "plot" });
      plot.style.width = canvas.style.width;
      figure.prepend(plot);
      plot.append(canvas);
      const marks = gridcnn.marks(plot, rows, columns);
      const said = [];
      for (let r = 0; r < outRows; r += 1) {
        for (let k = 0; k < outColumns; k += 1) {
          const [y, x] = winnerOf(values, columns, rows, pooling, r, k);
          if (!whole) {
            marks.box(r * pooling.stride[0], k * pooling.stride[1], Math.min(pooling.size[0], rows - r * pooling.stride[0]),
              Math.min(pooling.size[1], columns - k * pooling.stride[1]), "window");
          }
          if (values[y * columns + x] > 0) marks.dot(y, x);
          if (whole) {
            const before = walk.stages.find((each) => each.value === stage.reads[0]);
            const place = before ? where(walk, before.field, y, x) : "";
            said.push(`${gridcnn.number(values[y * columns + x])}${place ? `; the winner ${place}` : ""}`);
          }
        }
      }
      if (whole) figure.querySelector("figcaption").textContent = `map ${number + 1}: ${said[0]}`;
      sheets.append(figure);
      if (!whole) {
        const marked = gridcnn.gridView({
          values: part(stage.maps, i), rows: outRows, columns: outColumns, limit: stage.limit, size: long / 2,
          label: `map ${number + 1} after ${stage.label}`, caption: "after pooling: one cell for each window",
          tell: (r, k, value) => {
            const [y, x] = winnerOf(values, columns, rows, pooling, r, k);
            return `${gridcnn.number(value)}: won by row ${y + 1}, column ${x + 1}`;
          },
        });
        sheets.append(gridcnn.sized(marked, ...gridcnn.extent(outRows, outColumns, long / 2, 16)));
      }
    });
    box.append(sheets);
    return box;
  }

  /* The election ------------------------------------------------------------------------------- */

  function electionOf(walk) {
    const { election } = walk;
    if (!election) {
      return section("The election", make("p", {}, "The head of this network is of another package, and its votes cannot be taken apart."));
    }
    const { classes, numbers, channels } = election;
    const [, , rows, columns] = election.cells.shape;
    const n = gridcnn.number;
    const body = make("tbody", {}, ...classes.map((name, i) => make("tr", {},
      make("th", { scope: "row" }, name),
      ...[election.sums.values[i], election.start.values[i], election.logits.values[i]].map((value) => make("td", {}, n(value))),
      make("td", {}, gridcnn.percent(walk.votes.find(([each]) => each === name)[1])))));
    const [kind, kinds] = walk.several ? ["label", "labels"] : ["class", "classes"];
    const share = walk.several ? "vote for this label alone" : "share of the votes";
    const heads = [kind, "votes of all cells", "before any cell votes", "sum (logit)", share];
    const table = make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "The election" },
      make("table", { class: "election" }, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), body));
    const view = make("div");
    const show = (which) => {
      const cells = part(election.cells, which);
      const size = rows * columns;
      const limit = Math.max(...election.cells.values.map(Math.abs)) || 1;
      const order = numbers.map((number, i) => [i, cells.subarray(i * size, (i + 1) * size).reduce((a, b) => a + Math.abs(b), 0)]);
      order.sort((a, b) => b[1] - a[1]);
      const top = [...cells.keys()].sort((a, b) => Math.abs(cells[b]) - Math.abs(cells[a])).slice(0, 8);
      const list = make("tbody", {}, ...top.filter((at) => cells[at] !== 0).map((at) => {
        const [map, cell] = [Math.floor(at / size), at % size];
        const [row, column] = [Math.floor(cell / columns), cell % columns];
        const value = election.values.values[at];
        const place = size > 1 ? `, row ${row + 1}, column ${column + 1}` : "";
        return make("tr", {}, make("td", { class: "text" }, `map ${numbers[map] + 1}${place}`), make("td", {}, n(value)),
          make("td", {}, n(cells[at] / value)), make("td", {}, n(cells[at])));
      }));
      const stack = make("div", { class: "grids maps" });
      if (size === 1) {
        const sorted = order.slice(0, 48).map(([i]) => i);
        const figure = gridcnn.gridView({
          values: Float32Array.from(sorted, (i) => cells[i]), rows: 1, columns: sorted.length, limit, size: 500,
          label: `votes of ${sorted.length} maps for ${classes[which]}`,
          tell: (_, column, value) => `map ${numbers[sorted[column]] + 1}: ${n(value)} votes`,
        });
        stack.append(gridcnn.sized(figure, Math.min(620, 22 * sorted.length), 26));
      } else {
        for (const [i] of order.slice(0, 12)) {
          const figure = gridcnn.gridView({
            values: cells.subarray(i * size, (i + 1) * size), rows, columns, limit, size: 96, label: `votes of map ${numbers[i] + 1} for ${classes[which]}`,
            caption: `map ${numbers[i] + 1}: ${n(cells.subarray(i * size, (i + 1) * size).reduce((a, b) => a + b, 0))} votes`,
            tell: (row, column, value) => `map ${numbers[i] + 1}: ${n(value)} votes for ${classes[which]}; ${where(walk, election.field, row, column)}`,
          });
          stack.append(gridcnn.sized(figure, ...gridcnn.extent(rows, columns, 96, 16)));
        }
      }
      view.replaceChildren(stack, gridcnn.scaleBar(limit, `votes against and for ${named(classes[which])}`),
        make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "The cells with the most votes" },
          make("table", {}, make("caption", {}, `The cells whose votes for ${named(classes[which])} weigh most`),
            make("thead", {}, make("tr", {}, ...["cell", "value", "weight", "votes"].map((head) => make("th", { scope: "col" }, head)))), list)));
    };
    const choice = make("select", { "aria-label": `votes for which ${kind}`, onchange: (event) => show(event.target.selectedIndex) },
      ...classes.map((name) => make("option", {}, name)));
    show(0);
    const said = [make("p", {}, election.text), table];
    const count = walk.votes.length;
    if (count > classes.length) said.push(make("p", { class: "quiet" }, `The ${classes.length} ${kinds} with the most votes, of ${count}.`));
    if (walk.several) said.push(make("p", {}, "Each label is decided alone: its sum becomes a vote from 0 to 100 %, whatever the others are, and the votes need not add up to 100 %. A label whose vote reaches its threshold is in the answer."));
    if (election.voters) said.push(votersOf(walk));
    const left = channels > numbers.length ? ` The maps with the most votes are drawn, ${numbers.length} of ${channels}.` : "";
    said.push(make("p", {}, "Which cells voted for ", choice, `? Orange cells voted for it, violet ones against.${left}`), view);
    return section("The election", ...said);
  }

  function votersOf(walk) {
    const { election } = walk;
    const { voters, classes } = election;
    const n = gridcnn.number;
    const on = voters.layers.map((count, i) => `${voters.on[i]} of ${count}`).join(", then ");
    const [, count] = voters.votes.shape;
    const row = part(voters.votes, 0);
    const order = [...Array(count).keys()].sort((a, b) => Math.abs(row[b]) - Math.abs(row[a])).slice(0, 8)
      .filter((voter) => row[voter] !== 0);
    const body = make("tbody", {}, ...order.map((voter) => make("tr", {}, make("td", { class: "text" }, `hidden unit ${voter + 1}`),
      make("td", {}, n(voters.values.values[voter])),
      ...classes.map((_, i) => make("td", {}, n(voters.votes.values[i * count + voter]))))));
    return make("details", { open: true }, make("summary", {}, `Hidden units: ${on} are on`),
      make("p", {}, `The cells do not vote for ${walk.several ? "labels" : "classes"} themselves, but for hidden units. A unit whose votes add up to less than 0 is off; the others pass their values on with their own weights. The votes of a cell, as drawn here, are those that it gave through the units that are on for this item: they add up to the same sum.`),
      make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Hidden units" }, make("table", {},
        make("caption", {}, `The hidden units of the last layer that weigh most for ${named(classes[0])}`),
        make("thead", {}, make("tr", {}, ...["unit", "its value", ...classes.map((name) => `votes for ${named(name)}`)].map((head) => make("th", { scope: "col" }, head)))),
        body)));
  }

  /* What mattered ------------------------------------------------------------------------------ */

  const METHODS = {
    occlusion: {
      name: "Occlusion",
      told: (walk) => `${walk.importance.hidden} Orange: with this hidden, ${named(walk.target)} loses votes. Violet: it gains some.`,
      unit: (walk) => `votes that ${named(walk.target)} loses`,
    },
    grad_cam: {
      name: "Grad-CAM",
      told: (walk) => `The maps of the last convolution, each weighed by how much it helps ${named(walk.target)}: the deeper the orange, the more.`,
      unit: () => "votes by the gradient",
    },
  };

  function limitOf(values) {
    return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  }

  function overOriginal(walk, array, title) {
    const { grid, original } = walk;
    const values = array.values;
    const limit = limitOf(values);
    const figure = make("figure", { class: "over" });
    const [, rows, columns] = grid.cells.shape;
    const tell = (i) => `${original.symbols[i]}, ${gridcnn.placeOn(grid.columns, i, i)}: ${gridcnn.number(values[i])}`;
    if (grid.oneHot && original.symbols.length) {
      if (original.structure) {
        figure.append(gridcnn.moleculeView({ structure: original.structure, values, limit, label: title }));
      }
      figure.append(gridcnn.textView({
        symbols: original.symbols, values, limit, label: title, tell, between: grid.rows.name === "word" ? " " : "",
      }));
    } else if (rows === 1) {
      figure.append(gridcnn.seriesView({ series: part(grid.cells, 0), values, limit, label: title, axis: grid.columns }));
    } else {
      const [down, across] = array.shape;
      const factor = Math.ceil(rows / down);
      const grey = new Float32Array(down * across);
      const channels = grid.cells.shape[0];
      for (let c = 0; c < channels; c += 1) {
        const cells = part(grid.cells, c);
        grey.forEach((_, i) => { grey[i] += cells[Math.floor(i / across) * factor * columns + (i % across) * factor] / channels; });
      }
      figure.append(gridcnn.axesView({
        values, rows: down, columns: across, limit, grey, rowAxis: grid.rows, columnAxis: grid.columns, size: 260, label: title,
        tell: (row, column, value) => `${gridcnn.placeOn(grid.rows, row * factor, (row + 1) * factor - 1)}, ${gridcnn.placeOn(grid.columns, column * factor, (column + 1) * factor - 1)}: ${gridcnn.number(value)}`,
      }));
    }
    figure.append(gridcnn.scaleBar(limit, "", values.some((value) => value < 0) ? -limit : 0),
      make("figcaption", {}, title));
    return figure;
  }

  function importanceOf(walk) {
    const { importance } = walk;
    if (importance.waiting) {
      return section(`What mattered for ${named(walk.target)}`, make("p", { class: "quiet" }, importance.waiting));
    }
    const parts = Object.keys(importance.trained).map((name) => {
      const method = METHODS[name];
      const like = importance.likeness[name];
      const said = like === null || like === undefined ? "" : ` Their rank correlation is ${like.toFixed(2)} (1: the same, 0: nothing in common).`;
      return make("div", {}, make("h3", {}, method.name), make("p", {}, method.told(walk)),
        make("div", { class: "pair" },
          overOriginal(walk, importance.trained[name], `this model: ${method.unit(walk)}`),
          ...(importance.random ? [overOriginal(walk, importance.random[name], "the same network with random weights")] : [])),
        importance.random ? make("p", { class: "quiet" }, `A map that looks the same for random weights shows the item, and not what was learned.${said}`)
          : make("p", { class: "quiet" }, "This network is so large that its random weights are not in the page: of a changed item there is no map beside it."),
        ...(name === "grad_cam" && importance.against ? [make("p", { class: "quiet" }, `Nearly everywhere these maps speak against ${named(walk.target)}: what is drawn is less than a hundredth of that.`)] : []));
    });
    return section(`What mattered for ${named(walk.target)}`, ...parts);
  }

  /* Draw a walk; of stages that were closed before, those of the same name stay closed. */
  function showWalk(element, walk) {
    const closed = new Set([...element.querySelectorAll("details.walk-stage:not([open])")].map((each) => each.dataset.label));
    const few = walk.stages.length <= 16;
    const stages = walk.stages.map((stage, i) => {
      const gap = stage.leftOut ? [make("p", { class: "quiet" }, `${several(stage.leftOut, "more stage")} are left out here`)] : [];
      const open = few || i < 4 || i >= walk.stages.length - 2;
      return [...gap, stageOf(walk, stage, open && !closed.has(stage.label))];
    });
    const mattered = importanceOf(walk);
    element.replaceChildren(
      answerOf(walk),
      section("The item", make("div", walk.grid.oneHot ? {} : { class: "pair" }, rawOf(walk), gridOf(walk))),
      section("Through the network", make("p", {}, "Grids go in, and grids come out: each stage makes a stack of maps of what the stage before it has made. Every cell tells its value to the mouse, a finger, or the arrow keys."), ...stages.flat()),
      electionOf(walk),
      mattered);
    return (changed) => mattered.replaceWith(importanceOf(changed));
  }

  gridcnn.showWalk = showWalk;
  gridcnn.part("explain", (element, data) => {
    const panels = make("div");
    element.append(panels);
    showWalk(panels, data);
    if (data.live) gridcnn.walkLive(element, panels, data);
  });
})();
