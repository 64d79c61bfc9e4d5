/* Pixels: what a decoded picture becomes, as `adapters/image.py` makes it with Pillow.

   A picture is {width, height, planes, whole}: one plane (grey) or three (red, green, blue), each an
   array of 0 to 255, rows first. `whole` says that they are bytes; Pillow then rounds to bytes after
   each step of resizing, and so does this; `rowsFirst` says that it may begin with the rows. */
"use strict";

(() => {
  const FULL = 255;
  const BITS = 22; // of the fractions by which Pillow resizes bytes
  const BLOCKS = 8; // pixels along a side of a cell, at least, where bytes are averaged in two steps

  const JPEG_SCALES = [8, 4, 2]; // by which a JPEG file may be decoded smaller
  const SEEN = 2; // decoded pixels along a side of a cell, at least, if it is
  const MOST_DECODED = 16e6; // pixels of a JPEG file after that; the browser makes larger ones smaller

  /* Round as Python and NumPy do: halves to the even neighbour. */
  function roundEven(value) {
    const low = Math.floor(value);
    const part = value - low;
    if (part !== 0.5) return part < 0.5 ? low : low + 1;
    return low % 2 === 0 ? low : low + 1;
  }

  function byte(value) {
    return Math.max(0, Math.min(FULL, value));
  }

  /* Return the weights of pixels under each cell: [{first, weights}], as Pillow's bilinear filter. */
  function coefficients(length, low, high, cells) {
    const start = Math.fround(low);
    const scale = Math.fround(Math.fround(high) - start) / cells; // as floats of 32 bits
    const support = Math.max(scale, 1);
    const found = [];
    for (let cell = 0; cell < cells; cell += 1) {
      const centre = start + (cell + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - support + 0.5));
      const last = Math.min(length, Math.trunc(centre + support + 0.5));
      const weights = [];
      for (let i = first; i < last; i += 1) {
        weights.push(Math.max(0, 1 - Math.abs((i - centre + 0.5) / support)));
      }
      const sum = weights.reduce((one, other) => one + other, 0);
      found.push({ first, weights: weights.map((each) => (sum === 0 ? each : each / sum)) });
    }
    return found;
  }

  /* Resize along rows (`step` 1) or columns of a plane: `lines` lines, `gap` apart. */
  function resizeAlong(plane, made, weighed, { lines, gap, step, outGap, outStep, whole }) {
    weighed.forEach(({ first, weights }, cell) => {
      const factors = whole ? weights.map((each) => Math.trunc(0.5 + each * 2 ** BITS)) : weights;
      for (let line = 0; line < lines; line += 1) {
        let sum = whole ? 2 ** (BITS - 1) : 0;
        let place = line * gap + first * step;
        for (let i = 0; i < factors.length; i += 1, place += step) sum += plane[place] * factors[i];
        made[line * outGap + cell * outStep] = whole ? byte(Math.floor(sum / 2 ** BITS)) : sum;
      }
    });
  }

  function alongRows({ values, wide, high }, weighed, columns, whole) {
    const made = new Float32Array(columns * high);
    const lines = { lines: high, gap: wide, step: 1, outGap: columns, outStep: 1, whole };
    resizeAlong(values, made, weighed, lines);
    return { values: made, wide: columns, high };
  }

  function alongColumns({ values, wide }, weighed, rows, whole) {
    const made = new Float32Array(wide * rows);
    const lines = { lines: wide, gap: 1, step: wide, outGap: 1, outStep: wide, whole };
    resizeAlong(values, made, weighed, lines);
    return { values: made, wide, high: rows };
  }

  /* Return a box of a picture (left, top, right, bottom) in other sizes, as planes of floats. */
  function resize(picture, box, columns, rows) {
    const { width, height, whole } = picture;
    const [left, top, right, bottom] = box;
    const across = columns !== width || left !== 0 || right !== columns;
    const down = rows !== height || top !== 0 || bottom !== rows;
    const byColumn = across && coefficients(width, left, right, columns);
    const byRow = down && coefficients(height, top, bottom, rows);
    // The second step sees what the first has rounded, so their order matters.
    const rowsFirst = picture.rowsFirst && height > rows && height - rows > 2 * (width - columns);
    const planes = picture.planes.map((plane) => {
      let made = { values: plane, wide: width, high: height };
      if (rowsFirst && down) made = alongColumns(made, byRow, rows, whole);
      if (across) made = alongRows(made, byColumn, columns, whole);
      if (!rowsFirst && down) made = alongColumns(made, byRow, rows, whole);
      return Float32Array.from(made.values);
    });
    return { width: columns, height: rows, planes, whole };
  }

  /* Return averages of blocks of step x step pixels; those at the edges may be smaller. */
  function blockMeans(picture, step) {
    if (step <= 1) return picture;
    const width = Math.ceil(picture.width / step);
    const height = Math.ceil(picture.height / step);
    const planes = picture.planes.map((plane) => {
      const made = new Float32Array(width * height);
      for (let row = 0; row < height; row += 1) {
        const bottom = Math.min((row + 1) * step, picture.height);
        for (let column = 0; column < width; column += 1) {
          const right = Math.min((column + 1) * step, picture.width);
          let sum = 0;
          for (let y = row * step; y < bottom; y += 1) {
            for (let x = column * step; x < right; x += 1) sum += plane[y * picture.width + x];
          }
          const count = (bottom - row * step) * (right - column * step);
          made[row * width + column] = picture.whole ? wholeMean(sum, count) : sum / count;
        }
      }
      return made;
    });
    return { ...picture, width, height, planes };
  }

  /* The mean of bytes, rounded as Pillow does it without a division. */
  function wholeMean(sum, count) {
    const multiplier = Math.trunc(Math.fround(2 ** 32 / (256 * count)));
    return Math.floor((sum + Math.floor(count / 2)) * multiplier / 2 ** 24);
  }

  function crop(picture, left, top, right, bottom) {
    const width = right - left;
    const height = bottom - top;
    if (width === picture.width && height === picture.height) return picture;
    const planes = picture.planes.map((plane) => {
      const made = new plane.constructor(width * height);
      for (let row = 0; row < height; row += 1) {
        const start = (top + row) * picture.width + left;
        made.set(plane.subarray(start, start + width), row * width);
      }
      return made;
    });
    return { ...picture, width, height, planes };
  }

  // Windows: {top, left, bottom, right}, in pixels; they may reach beyond a picture. ---------------

  function whole(picture) {
    return { top: 0, left: 0, bottom: picture.height, right: picture.width };
  }

  function centred(window, height, width) {
    const top = window.top + (window.bottom - window.top - height) / 2;
    const left = window.left + (window.right - window.left - width) / 2;
    return { top, left, bottom: top + height, right: left + width };
  }

  function grown(window, aspect) {
    const height = Math.max(window.bottom - window.top, (window.right - window.left) / aspect);
    return centred(window, height, height * aspect);
  }

  function shrunk(window, aspect) {
    const height = Math.min(window.bottom - window.top, (window.right - window.left) / aspect);
    return centred(window, Math.max(height, 1), Math.max(height * aspect, 1));
  }

  function overlap(low, high, edgeLow, edgeHigh, cells) {
    const start = Math.max(low, edgeLow);
    const stop = Math.min(high, edgeHigh);
    const scale = cells / (high - low);
    const first = Math.min(roundEven((start - low) * scale), cells - 1);
    return { start, stop, first, last: Math.max(roundEven((stop - low) * scale), first + 1) };
  }

  /* Return what a window shows in a size [rows, columns], as planes of floats from 0 to 255.

     `fill` is shown beyond the edges: for each plane a number or an array of all cells. `edges` is
     the part of the pixels that is the picture. */
  function resample(picture, window, size, fill = null, edges = whole(picture)) {
    const [high, wide] = size;
    const rows = overlap(window.top, window.bottom, edges.top, edges.bottom, high);
    const columns = overlap(window.left, window.right, edges.left, edges.right, wide);
    const covers = (one, length, cells) => one.start === 0 && one.stop === length
      && one.first === 0 && one.last === cells && length === cells;
    if (covers(rows, picture.height, high) && covers(columns, picture.width, wide)) {
      return picture.planes.map((plane) => Float32Array.from(plane));
    }
    const top = Math.floor(rows.start);
    const left = Math.floor(columns.start);
    const part = crop(picture, left, top, Math.ceil(columns.stop), Math.ceil(rows.stop));
    const box = [columns.start - left, rows.start - top, columns.stop - left, rows.stop - top];
    const made = resize(part, box, columns.last - columns.first, rows.last - rows.first);
    if (made.width === wide && made.height === high) return made.planes;
    return made.planes.map((plane, channel) => {
      const colour = fill === null ? 0 : fill[channel];
      const shown = new Float32Array(high * wide);
      shown.set(typeof colour === "number" ? shown.fill(colour) : colour);
      for (let row = 0; row < made.height; row += 1) {
        const line = plane.subarray(row * made.width, (row + 1) * made.width);
        shown.set(line, (rows.first + row) * wide + columns.first);
      }
      return shown;
    });
  }

  // What comes out of a decoder ------------------------------------------------------------------

  /* Return a picture of red, green, blue and opacity as it looks on its background.

     `decoded` is {width, height, data: bytes (4 for each pixel), opaque, jpeg}; `opaque` says that
     the file has no opacity at all, `jpeg` that it is a JPEG file. `background` is [red, green,
     blue], or null for black or white, whichever differs more from what is opaque. `limits` are the
     numbers for black and white, or null. */
  function flatten(decoded, background, limits) {
    const { width, height, data } = decoded;
    const count = width * height;
    let grey = true;
    for (let i = 0; grey && i < count; i += 1) {
      grey = data[4 * i] === data[4 * i + 1] && data[4 * i] === data[4 * i + 2];
    }
    const channels = grey ? 1 : 3;
    const plane = (channel) => {
      const values = new Uint8Array(count);
      for (let i = 0; i < count; i += 1) values[i] = data[4 * i + channel];
      return values;
    };
    const planes = Array.from({ length: channels }, (_, channel) => plane(channel));
    const bytes = { width, height, planes, whole: true };
    if (decoded.opaque) return bytes;
    const colours = withLimits(bytes, limits);
    const opacity = plane(3);
    const behind = background || Array(3).fill(contrasting(colours.planes, opacity));
    const coloured = behind.some((each) => each !== behind[0]);
    const out = coloured && channels === 1 ? Array(3).fill(colours.planes[0]) : colours.planes;
    const flat = out.map((each, channel) => Float32Array.from(each, (value, i) => {
      const shown = behind[channel]
        + Math.fround((value - behind[channel]) * Math.fround(opacity[i] / FULL));
      return colours.whole ? roundEven(Math.fround(shown)) : shown;
    }));
    // Pillow resizes what had opacity as floats.
    return { ...colours, planes: flat, asFloats: true, limited: true };
  }

  function contrasting(planes, opacity) {
    let total = 0;
    let bright = 0;
    for (let i = 0; i < opacity.length; i += 1) {
      total += opacity[i];
      bright += greyAt(planes, i) * opacity[i];
    }
    return total === 0 || bright / total < FULL / 2 ? FULL : 0;
  }

  function greyAt(planes, i) {
    if (planes.length === 1) return planes[0][i];
    return (299 * planes[0][i] + 587 * planes[1][i] + 114 * planes[2][i]) / 1000;
  }

  /* Return numbers on the scale of 0 to 255, where `limits` are black and white. */
  function withLimits(picture, limits) {
    if (picture.limited || limits === null) return picture;
    if (picture.whole && limits[0] === 0 && limits[1] === FULL) return picture;
    const [low, high] = limits;
    const slack = 1e-6 * Math.max(Math.abs(low), Math.abs(high), high - low);
    const planes = picture.planes.map((plane) => Float32Array.from(plane, (value) => {
      if (value < low - slack || value > high + slack) {
        throw new gridcnn.Problem(
          `pixels are outside of the range from ${low} to ${high}, which the model was trained with`,
        );
      }
      return byte(Math.fround(Math.fround(value - low) * Math.fround(FULL / (high - low))));
    }));
    return { ...picture, planes, whole: false };
  }

  /* Return grey levels of 16 bits on the scale of 0 to 255. */
  function deepPicture({ width, height, deep }, limits) {
    const picture = { width, height, planes: [deep], whole: false };
    if (limits !== null) return withLimits(picture, limits);
    return { ...picture, planes: [Float32Array.from(deep, (level) => level / 257)] };
  }

  // The image adapter ----------------------------------------------------------------------------

  /* Return the cells of a decoded picture (see `flatten`, `deepPicture` and `jpegItem`), as the image
     adapter makes them: a Float32Array of channels, rows and columns. */
  function pictureCells(adapter, decoded) {
    const inked = isInked(adapter);
    if (decoded.deep) {
      const picture = deepPicture(decoded, adapter.range);
      return inked ? inkCells(adapter, picture) : shownCells(adapter, picture, whole(picture));
    }
    const opaque = decoded.planes ? decoded : flatten(decoded, adapter.background, adapter.range);
    const flat = { ...opaque, rowsFirst: adapter.rows_first };
    if (inked) return inkCells(adapter, withLimits(flat, adapter.range));
    if (!decoded.jpeg) return plainCells(adapter, flat, decoded.edges || whole(flat));
    // The browser has decoded a JPEG file: means of pixels are nearly what a smaller scale gives.
    const scale = jpegScale(adapter, flat);
    return plainCells(adapter, blockMeans(flat, scale), divided(whole(flat), scale));
  }

  function isInked(adapter) {
    return adapter.fit === "ink" || adapter.polarity === "ink";
  }

  /* Return how many pixels the shorter side of a cell spans. */
  function cellOf({ size: [rows, columns], fit }, height, width) {
    const [down, across] = [height / rows, width / columns];
    return fit === "pad" ? Math.max(down, across) : Math.min(down, across);
  }

  /* Return by what a large JPEG file may be made smaller while it is decoded: 1, 2, 4 or 8. */
  function jpegScale(adapter, { height, width }) {
    return JPEG_SCALES.find((each) => cellOf(adapter, height, width) >= SEEN * each) || 1;
  }

  /* Return a JPEG file as an item, {width, height, planes, edges, whole}, decoded as the adapter does
     it: no more of it than the grid needs. Returns null if the browser has to decode it. */
  function jpegItem(adapter, bytes) {
    const file = gridcnn.jpeg.open(bytes);
    if (file === null || file.rows * file.columns > adapter.max_pixels) return null;
    const [height, width] = file.orientation >= 5 ? [file.columns, file.rows] : [file.rows, file.columns];
    const inked = isInked(adapter);
    const scale = inked ? 1 : jpegScale(adapter, { height, width });
    // A progressive file is kept as a whole while it is decoded.
    if ((height * width) / (file.progressive ? 2 : scale ** 2) > MOST_DECODED) return null;
    const picture = gridcnn.jpeg.decode(file, { scale, grey: !inked && adapter.channels === 1 });
    return picture && { ...picture, whole: true };
  }

  function plainCells(adapter, flat, edges) {
    const cell = cellOf(adapter, edges.bottom - edges.top, edges.right - edges.left);
    const step = Math.max(1, Math.trunc(cell / BLOCKS));
    const picture = withLimits(blockMeans(flat, step), adapter.range);
    return shownCells(adapter, picture, divided(edges, step), !flat.asFloats);
  }

  /* Return the cells of a picture; `edges` are where it ends, `asBytes` says that bytes are resized
     as such. */
  function shownCells(adapter, picture, edges, asBytes = true) {
    const window = uninkedWindow(adapter, edges);
    const fill = borderColour(picture);
    const resized = { ...picture, whole: picture.whole && asBytes };
    return toCells(adapter, resample(resized, window, adapter.size, fill, edges));
  }

  function divided({ top, left, bottom, right }, step) {
    return { top: top / step, left: left / step, bottom: bottom / step, right: right / step };
  }

  function uninkedWindow(adapter, window) {
    const aspect = adapter.size[1] / adapter.size[0];
    if (adapter.fit === "stretch") return window;
    return adapter.fit === "crop" ? shrunk(window, aspect) : grown(window, aspect);
  }

  function inkCells(adapter, picture) {
    const { backgroundOf, removeFrame, windowOfInk, inkOf, paperIn } = gridcnn.ink;
    let window = uninkedWindow(adapter, whole(picture));
    const background = backgroundOf(picture);
    const bare = removeFrame(picture, background);
    if (adapter.fit === "ink") {
      const drawn = windowOfInk(bare, background, adapter.margin);
      if (drawn) window = grown(drawn, adapter.size[1] / adapter.size[0]);
    }
    const floats = { ...bare, whole: false };
    if (adapter.polarity !== "ink") {
      return toCells(adapter, resample(floats, window, adapter.size, background.colour));
    }
    const paper = paperIn(background, window, adapter.size);
    const planes = resample(floats, window, adapter.size, paper);
    const cells = inkOf(planes, paper, background.noise, adapter.channels);
    return cells.map((each) => each * 2 - 1);
  }

  /* Return values of 0 to 255 as cells of -1 to 1, in the channels that are wanted. */
  function toCells(adapter, planes) {
    const count = planes[0].length;
    const cells = new Float32Array(adapter.channels * count);
    for (let channel = 0; channel < adapter.channels; channel += 1) {
      for (let i = 0; i < count; i += 1) {
        const value = adapter.channels === planes.length ? planes[channel][i] : greyAt(planes, i);
        const cell = Math.max(-1, Math.min(1, Math.fround(value) / (FULL / 2) - 1));
        cells[channel * count + i] = adapter.polarity === "invert" ? -cell : cell;
      }
    }
    return cells;
  }

  // What is along the border ---------------------------------------------------------------------

  /* The pixels along the border: of each plane an array; top, bottom, left and right side. */
  function border(picture) {
    const { width, height } = picture;
    return picture.planes.map((plane) => {
      const found = [];
      for (let x = 0; x < width; x += 1) found.push(plane[x]);
      for (let x = 0; x < width; x += 1) found.push(plane[(height - 1) * width + x]);
      for (let y = 1; y < height - 1; y += 1) found.push(plane[y * width]);
      for (let y = 1; y < height - 1; y += 1) found.push(plane[(y + 1) * width - 1]);
      return Float64Array.from(found);
    });
  }

  /* The number that stands at a place once all are in order; by default the (upper) median. */
  function ordered(values, place = Math.floor(values.length / 2)) {
    return Float64Array.from(values).sort()[place];
  }

  function borderColour(picture) {
    const step = Math.ceil(Math.max(picture.width, picture.height) / 128);
    return border(blockMeans(picture, step)).map((each) => ordered(each));
  }

  gridcnn.pixels = {
    FULL, blockMeans, border, crop, grown, jpegItem, ordered, pictureCells, resample, roundEven, whole,
  };
})();
