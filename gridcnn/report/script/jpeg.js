/* JPEG files, decoded to the same bytes as by libjpeg-turbo, which Pillow uses: browsers round
   otherwise, and always decode all pixels. From the standards: ITU-T T.81 (the file, its codes), and
   T.871 (JFIF, its colours). All arithmetic is in whole numbers, with fractions of as many bits as
   libjpeg has.

   A file goes: bits -> coefficients of blocks of 8 x 8 -> `transform` -> planes, of which some are
   smaller -> `enlarged` -> colours -> upright. At a scale of 2, 4 or 8 each block becomes 4 x 4, 2 x 2
   or 1 pixels; a plane that was stored smaller keeps more of its pixels instead. */
"use strict";

(() => {
  /* The file is of a kind that is not decoded here, or its content contradicts itself. */
  class Unusual extends Error {}

  const SIDE = 8; // pixels along a block
  const CELLS = 64; // of a block
  const ADOBE = [0x41, 0x64, 0x6f, 0x62, 0x65];
  const EXIF = [0x45, 0x78, 0x69, 0x66, 0, 0];
  const XMP = "http://ns.adobe.com/xap/1.0/\0";
  const ORIENTATION = 0x0112; // the Exif tag that says how the camera was held
  const SMOOTHED = 9; // coefficients whose last bits libjpeg guesses if a progressive file lacks them

  /* Where the coefficients of a block stand, in the order of the file: along diagonals, which start
     by turns at the top and at the left. */
  const PLACES = (() => {
    const all = Array.from({ length: CELLS }, (_, place) => [place >> 3, place & 7]);
    const along = ([row, column]) => ((row + column) % 2 ? row : column);
    all.sort((one, other) => one[0] + one[1] - other[0] - other[1] || along(one) - along(other));
    return Uint8Array.from(all, ([row, column]) => row * SIDE + column);
  })();

  // Segments -------------------------------------------------------------------------------------

  /* Return the next marker from a place on, {code, start, stop}: where its content is. */
  function segmentAt(bytes, place) {
    let at = place;
    let code = 0;
    while (code === 0) { // 0 stands behind a byte of data that is 255, and other bytes are skipped
      while (at < bytes.length && bytes[at] !== 0xff) at += 1;
      while (bytes[at] === 0xff) at += 1;
      if (at >= bytes.length) return null;
      code = bytes[at];
      at += 1;
    }
    if (code === 0x01 || (code >= 0xd0 && code <= 0xd9)) return { code, start: at, stop: at };
    const stop = at + (bytes[at] << 8 | bytes[at + 1]);
    if (!(stop >= at + 2 && stop <= bytes.length)) return null;
    return { code, start: at + 2, stop };
  }

  function startsWith(bytes, start, wanted) {
    return wanted.every((byte, i) => bytes[start + i] === byte);
  }

  const SIZES = new Set([1, 3, 4]); // planes of grey, of colours, and of four inks

  function frameIn(bytes, { code, start }) {
    const rows = bytes[start + 1] << 8 | bytes[start + 2];
    const columns = bytes[start + 3] << 8 | bytes[start + 4];
    const count = bytes[start + 5];
    if (bytes[start] !== 8 || !rows || !columns || !SIZES.has(count)) throw new Unusual();
    const planes = Array.from({ length: count }, (_, i) => {
      const at = start + 6 + 3 * i;
      const [across, down] = [bytes[at + 1] >> 4, bytes[at + 1] & 15];
      if (!(across >= 1 && across <= 4 && down >= 1 && down <= 4)) throw new Unusual();
      return { id: bytes[at], across, down, table: bytes[at + 2] };
    });
    return { rows, columns, planes, progressive: code === 0xc2 };
  }

  /* Return how the camera was held, 1 to 8, by a segment of Exif; 0 if it does not say. */
  function orientationIn(bytes, start, stop) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, stop - start);
    try {
      const little = view.getUint16(6) === 0x4949;
      const first = 6 + view.getUint32(10, little);
      for (let i = 0; i < view.getUint16(first, little); i += 1) {
        const at = first + 2 + 12 * i;
        if (view.getUint16(at, little) === ORIENTATION) return view.getUint16(at + 8, little);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
    return 0;
  }

  function orientationInXmp(text) {
    const found = /tiff:Orientation(="|>)([0-9])/.exec(text);
    return found ? Number(found[2]) : 0;
  }

  /* Return what a file is, `{bytes, rows, columns, planes, progressive, colours, orientation}`; null if
     it is no JPEG file, or of a kind that is not decoded here. `colours` are "grey", "luma" (brightness
     and two differences of colours), "rgb", "inks", or "luma and black". */
  function open(bytes) {
    if (!startsWith(bytes, 0, [0xff, 0xd8, 0xff])) return null;
    let [frame, jfif, adobe, exif, xmp] = [null, false, null, 0, 0];
    try {
      for (let segment = segmentAt(bytes, 2); ; segment = segmentAt(bytes, segment.stop)) {
        if (segment === null) return null;
        const { code, start, stop } = segment;
        if (code === 0xda) break;
        if (code >= 0xc0 && code <= 0xc2 && frame === null) frame = frameIn(bytes, segment);
        else if (code >= 0xc0 && code <= 0xcf && code !== 0xc4) return null; // arithmetic codes, and others
        else if (code === 0xe0) jfif ||= startsWith(bytes, start, [0x4a, 0x46, 0x49, 0x46, 0]);
        else if (code === 0xee && startsWith(bytes, start, ADOBE)) adobe = bytes[start + 11];
        else if (code === 0xe1 && startsWith(bytes, start, EXIF)) exif ||= orientationIn(bytes, start, stop);
        else if (code === 0xe1) {
          const text = new TextDecoder("latin1").decode(bytes.subarray(start, stop));
          if (text.startsWith(XMP)) xmp = orientationInXmp(text);
        }
      }
    } catch (error) {
      if (error instanceof Unusual) return null;
      throw error;
    }
    if (frame === null) return null;
    const held = exif || xmp;
    const orientation = held >= 1 && held <= 8 ? held : 1;
    return { bytes, ...frame, colours: coloursOf(frame.planes, jfif, adobe), orientation };
  }

  function coloursOf(planes, jfif, adobe) {
    if (planes.length === 1) return "grey";
    if (planes.length === 4) return adobe === null || adobe === 0 ? "inks" : "luma and black";
    if (jfif) return "luma";
    if (adobe !== null) return adobe === 0 ? "rgb" : "luma";
    return String.fromCharCode(...planes.map(({ id }) => id)) === "RGB" ? "rgb" : "luma";
  }

  // Bits and codes -------------------------------------------------------------------------------

  const QUICK = 9; // codes of at most so many bits are looked up at once

  /* Return a table of Huffman codes (T.81, annex C): how many there are of each length, and the values. */
  function tableOf(counts, values) {
    const quick = new Uint16Array(1 << QUICK); // by the next bits: the length of a code, and its value
    const most = new Int32Array(17).fill(-1); // of each length, the largest code, ...
    const shift = new Int32Array(17); // ... and what leads from a code to its place among the values
    let [code, place] = [0, 0];
    for (let length = 1; length <= 16; length += 1) {
      shift[length] = place - code;
      for (let i = 0; i < counts[length - 1]; i += 1, code += 1, place += 1) {
        if (length > QUICK) continue;
        const first = code << (QUICK - length);
        quick.fill(length << 8 | values[place], first, first + (1 << (QUICK - length)));
      }
      if (counts[length - 1]) most[length] = code - 1;
      code <<= 1;
    }
    return { quick, most, shift, values };
  }

  /* The bits of a scan, from a place on up to the next marker. */
  class Bits {
    constructor(bytes, place) {
      this.bytes = bytes;
      this.place = place;
      this.buffer = 0; // its lowest bits are those that are not used yet
      this.left = 0; // how many they are
      this.made = 0; // zeros that have been added behind the last bit
    }

    fill() {
      while (this.left <= 16) {
        let byte = this.bytes[this.place];
        if (byte === 0xff) {
          let next = this.place + 1;
          while (this.bytes[next] === 0xff) next += 1;
          if (this.bytes[next] === 0) this.place = next + 1;
          else byte = undefined;
        } else if (byte !== undefined) this.place += 1;
        if (byte === undefined) this.made += 8;
        this.buffer = this.buffer << 8 | byte;
        this.left += 8;
      }
    }

    next(count) {
      if (count === 0) return 0;
      if (this.left < count) this.fill();
      this.left -= count;
      return (this.buffer >>> this.left) & ((1 << count) - 1);
    }

    /* A number of so many bits, of which the smaller half stands for negatives. */
    signed(count) {
      const value = this.next(count);
      return count && value < 1 << (count - 1) ? value - (1 << count) + 1 : value;
    }

    coded(table) {
      if (this.left < 16) this.fill();
      const bits = (this.buffer >>> (this.left - 16)) & 0xffff;
      const found = table.quick[bits >>> (16 - QUICK)];
      if (found) {
        this.left -= found >>> 8;
        return found & 255;
      }
      for (let length = QUICK + 1; length <= 16; length += 1) {
        const code = bits >>> (16 - length);
        if (code <= table.most[length]) {
          this.left -= length;
          return table.values[code + table.shift[length]];
        }
      }
      throw new Unusual();
    }

    /* Go on behind the next marker, which has to be that of a restart. */
    restart(number) {
      this.end();
      const segment = segmentAt(this.bytes, this.place);
      if (segment === null || segment.code !== 0xd0 + number) throw new Unusual();
      Object.assign(this, { place: segment.stop, buffer: 0, left: 0, made: 0 });
    }

    /* Look whether more bits were used than there are. */
    end() {
      if (this.left >= this.made) return;
      if (this.place >= this.bytes.length) throw new gridcnn.Problem("the picture is damaged: its file ends too early");
      throw new Unusual();
    }
  }

  // Blocks ---------------------------------------------------------------------------------------

  /* Read a block whose coefficients all stand in one scan. */
  function wholeBlock(bits, plane, block, at) {
    plane.last += bits.signed(bits.coded(plane.dc));
    block[at] = plane.last;
    for (let k = 1; k < CELLS; k += 1) {
      const code = bits.coded(plane.ac);
      k += code >> 4;
      if (code & 15) {
        if (k >= CELLS) throw new Unusual();
        block[at + PLACES[k]] = bits.signed(code & 15);
      } else if (code !== 0xf0) break;
    }
  }

  /* What a scan of a progressive file adds to a block (T.81, annex G): some coefficients, all but
     their `low` last bits; or one more bit of them. */
  function firstOfMean(bits, plane, block, at, { low }) {
    plane.last += bits.signed(bits.coded(plane.dc));
    block[at] = plane.last << low;
  }

  function moreOfMean(bits, plane, block, at, { low }) {
    block[at] |= bits.next(1) << low;
  }

  function firstOfOthers(bits, plane, block, at, scan) {
    if (scan.skip) {
      scan.skip -= 1;
      return;
    }
    for (let k = scan.from; k <= scan.to; k += 1) {
      const code = bits.coded(plane.ac);
      const run = code >> 4;
      if (code & 15) {
        k += run;
        if (k > scan.to) throw new Unusual();
        block[at + PLACES[k]] = bits.signed(code & 15) << scan.low;
      } else if (run === 15) k += 15;
      else {
        scan.skip = (1 << run) + bits.next(run) - 1;
        return;
      }
    }
  }

  function moreOfOthers(bits, plane, block, at, scan) {
    const one = 1 << scan.low;
    const refine = (place) => {
      if (bits.next(1) && !(block[place] & one)) block[place] += block[place] > 0 ? one : -one;
    };
    let k = scan.from;
    while (scan.skip === 0 && k <= scan.to) {
      const code = bits.coded(plane.ac);
      let run = code >> 4;
      let value = 0;
      if (code & 15) value = bits.next(1) ? one : -one;
      else if (run < 15) {
        scan.skip = (1 << run) + bits.next(run);
        break;
      }
      // Zeros are counted; what is no zero gets one more bit on the way.
      for (; k <= scan.to; k += 1) {
        const place = at + PLACES[k];
        if (block[place]) refine(place);
        else if (run === 0) {
          block[place] = value;
          break;
        } else run -= 1;
      }
      k += 1;
    }
    if (scan.skip) {
      for (; k <= scan.to; k += 1) if (block[at + PLACES[k]]) refine(at + PLACES[k]);
      scan.skip -= 1;
    }
  }

  function stepOf(scan, progressive) {
    if (!progressive) return wholeBlock;
    if (scan.from === 0) return scan.high ? moreOfMean : firstOfMean;
    return scan.high ? moreOfOthers : firstOfOthers;
  }

  // Scans ----------------------------------------------------------------------------------------

  /* Read all coefficients. Blocks of a file that is not progressive are handed to `take(plane, block,
     row, column)` one by one; those of a progressive one are kept, and handed over at the end. */
  function readBlocks(file, planes, take) {
    const { bytes, progressive } = file;
    const tables = { quantities: [], codes: [] };
    let interval = 0;
    let ended = false;
    for (let segment = segmentAt(bytes, 2); segment; segment = segmentAt(bytes, segment.stop)) {
      const { code, start, stop } = segment;
      if (code === 0xd9) {
        ended = true;
        break;
      }
      if (code === 0xdb) readQuantities(bytes, start, stop, tables.quantities);
      if (code === 0xc4) readCodes(bytes, start, stop, tables.codes);
      if (code === 0xdd) interval = bytes[start] << 8 | bytes[start + 1];
      if (code === 0xda) {
        const scan = scanIn(bytes, start, planes, tables, progressive);
        segment.stop = readScan(file, scan, { place: stop, interval, take });
        if (!progressive && planes.every(({ seen }) => seen)) return;
      }
    }
    if (!ended) throw new gridcnn.Problem("the picture is damaged: its file ends too early");
    for (const plane of planes) {
      if (!plane.seen || plane.lacking.some((bits) => bits !== 0)) throw new Unusual();
      if (plane.wanted) {
        for (let row = 0; row < plane.high; row += 1) {
          for (let column = 0; column < plane.wide; column += 1) {
            const at = (row * plane.stride + column) * CELLS;
            take(plane, plane.blocks.subarray(at, at + CELLS), row, column);
          }
        }
      }
      plane.blocks = null;
    }
  }

  function readQuantities(bytes, start, stop, quantities) {
    for (let at = start; at < stop;) {
      const [wide, number] = [bytes[at] >> 4, bytes[at] & 15];
      at += 1;
      const table = new Int32Array(CELLS);
      for (let k = 0; k < CELLS; k += 1, at += wide ? 2 : 1) {
        table[PLACES[k]] = wide ? bytes[at] << 8 | bytes[at + 1] : bytes[at];
      }
      quantities[number] = table;
    }
  }

  function readCodes(bytes, start, stop, codes) {
    for (let at = start; at < stop;) {
      const counts = bytes.subarray(at + 1, at + 17);
      const count = counts.reduce((sum, each) => sum + each, 0);
      codes[bytes[at]] = tableOf(counts, bytes.subarray(at + 17, at + 17 + count));
      at += 17 + count;
    }
  }

  function scanIn(bytes, start, all, { quantities, codes }, progressive) {
    const count = bytes[start];
    const planes = Array.from({ length: count }, (_, i) => {
      const [id, numbers] = [bytes[start + 1 + 2 * i], bytes[start + 2 + 2 * i]];
      const plane = all.find((each) => each.id === id);
      if (!plane) throw new Unusual();
      // The quantities are those that are known when a plane is first seen.
      plane.quantities ||= quantities[plane.table];
      Object.assign(plane, { dc: codes[numbers >> 4], ac: codes[16 | (numbers & 15)] });
      return plane;
    });
    const [from, to, bits] = bytes.subarray(start + 1 + 2 * count);
    const scan = { planes, from, to, high: bits >> 4, low: bits & 15, skip: 0 };
    const needsCodes = progressive ? [from === 0 && !scan.high, from > 0] : [true, true];
    const isWrong = progressive && (to >= CELLS || from > to || (from > 0 && count > 1) || (from === 0 && to > 0));
    if (isWrong || planes.some(({ dc, ac, quantities: known }) => !known || (needsCodes[0] && !dc)
      || (needsCodes[1] && !ac))) throw new Unusual();
    for (const plane of planes) {
      plane.seen = true;
      for (let k = from; progressive && k <= Math.min(to, SMOOTHED); k += 1) plane.lacking[k] = scan.low;
    }
    return scan;
  }

  /* Read a scan; return where it ends. */
  function readScan(file, scan, { place, interval, take }) {
    const bits = new Bits(file.bytes, place);
    const step = stepOf(scan, file.progressive);
    const [first] = scan.planes;
    const alone = scan.planes.length === 1;
    const [high, wide] = alone ? [first.high, first.wide] : [file.high, file.wide];
    const start = () => scan.planes.forEach((plane) => { plane.last = 0; });
    const single = new Int16Array(CELLS);
    const read = (plane, row, column) => {
      if (file.progressive) {
        step(bits, plane, plane.blocks, (row * plane.stride + column) * CELLS, scan);
        return;
      }
      single.fill(0);
      step(bits, plane, single, 0);
      if (plane.wanted && row < plane.high && column < plane.wide) take(plane, single, row, column);
    };
    start();
    let done = 0;
    for (let row = 0; row < high; row += 1) {
      for (let column = 0; column < wide; column += 1, done += 1) {
        if (interval && done && done % interval === 0) {
          bits.restart((done / interval - 1) % 8);
          scan.skip = 0;
          start();
        }
        if (alone) read(first, row, column);
        else {
          for (const plane of scan.planes) {
            for (let y = 0; y < plane.down; y += 1) {
              for (let x = 0; x < plane.across; x += 1) read(plane, row * plane.down + y, column * plane.across + x);
            }
          }
        }
      }
    }
    bits.end();
    // Bytes that were filled in ahead are none of a marker, so the next marker is still to come.
    return bits.place;
  }

  // From coefficients to pixels ------------------------------------------------------------------

  /* The inverse cosine transform in whole numbers, by the steps of Loeffler, Ligtenberg and
     Moschytz (1989), along one line of a block: `step` apart, in place. */
  const FRACTION = 13; // bits of the constants
  const KEPT = 2; // bits of fractions that are kept between columns and rows
  const fixed = (value) => Math.round(value * 2 ** FRACTION);
  const [C1, C2, C3, C5, C6, C7] = [1, 2, 3, 5, 6, 7].map((n) => Math.SQRT2 * Math.cos((n * Math.PI) / 16));
  const EVEN = { both: fixed(C6), second: fixed(C2 - C6), sixth: fixed(C2 + C6) };
  const ODD = {
    all: fixed(C3), seventh: fixed(-C1 + C3 + C5 - C7), fifth: fixed(C1 + C3 - C5 + C7),
    third: fixed(C1 + C3 + C5 - C7), first: fixed(C1 + C3 - C5 - C7), outer: fixed(C7 - C3),
    inner: fixed(-C1 - C3), sevenThree: fixed(-C3 - C5), fiveOne: fixed(C5 - C3),
  };

  function eight(a, at, step, drop) {
    const half = 1 << (drop - 1);
    const [i1, i2, i3] = [at + step, at + 2 * step, at + 3 * step];
    const [i4, i5, i6, i7] = [at + 4 * step, at + 5 * step, at + 6 * step, at + 7 * step];
    const both = (a[i2] + a[i6]) * EVEN.both;
    const low = both - a[i6] * EVEN.sixth;
    const high = both + a[i2] * EVEN.second;
    const sum = (a[at] + a[i4]) * 2 ** FRACTION + half;
    const difference = (a[at] - a[i4]) * 2 ** FRACTION + half;
    const all = (a[i7] + a[i3] + a[i5] + a[i1]) * ODD.all;
    const outer = (a[i7] + a[i1]) * ODD.outer;
    const inner = (a[i5] + a[i3]) * ODD.inner;
    const sevenThree = (a[i7] + a[i3]) * ODD.sevenThree + all;
    const fiveOne = (a[i5] + a[i1]) * ODD.fiveOne + all;
    const o0 = a[i1] * ODD.first + outer + fiveOne;
    const o1 = a[i3] * ODD.third + inner + sevenThree;
    const o2 = a[i5] * ODD.fifth + inner + fiveOne;
    const o3 = a[i7] * ODD.seventh + outer + sevenThree;
    a[at] = (sum + high + o0) >> drop;
    a[i7] = (sum + high - o0) >> drop;
    a[i1] = (difference + low + o1) >> drop;
    a[i6] = (difference + low - o1) >> drop;
    a[i2] = (difference - low + o2) >> drop;
    a[i5] = (difference - low - o2) >> drop;
    a[i3] = (sum - high + o3) >> drop;
    a[i4] = (sum - high - o3) >> drop;
  }

  /* The same to four and to two pixels: neighbours of the eight are averaged. The fifth coefficient,
     and of two pixels all even ones, add nothing to such means. */
  const FOUR = [
    [-C1 + C3, C3 + C7, -C1 - C5, C5 + C7], [-C5 + C7, -C1 + C5, C3 - C7, C1 + C3],
  ].map((row) => row.map(fixed));
  const TWO = [-C1 + C3 - C5 + C7, -C1 + C3 + C5 + C7, -C1 + C3 - C5 - C7, C1 + C3 + C5 + C7].map(fixed);
  const four = (a, at, step, drop) => {
    const half = 1 << drop;
    const [i1, i2, i3] = [at + step, at + 2 * step, at + 3 * step];
    const [i5, i6, i7] = [at + 5 * step, at + 6 * step, at + 7 * step];
    const mean = a[at] * 2 ** (FRACTION + 1) + half;
    const even = a[i2] * EVEN.sixth - a[i6] * EVEN.second;
    const [near, far] = FOUR.map((each) => a[i7] * each[0] + a[i5] * each[1] + a[i3] * each[2] + a[i1] * each[3]);
    a[at] = (mean + even + far) >> (drop + 1);
    a[i1] = (mean - even + near) >> (drop + 1);
    a[i2] = (mean - even - near) >> (drop + 1);
    a[i3] = (mean + even - far) >> (drop + 1);
  };
  const two = (a, at, step, drop) => {
    const mean = a[at] * 2 ** (FRACTION + 2) + (1 << (drop + 1));
    const odd = a[at + 7 * step] * TWO[0] + a[at + 5 * step] * TWO[1] + a[at + 3 * step] * TWO[2]
      + a[at + step] * TWO[3];
    a[at] = (mean + odd) >> (drop + 2);
    a[at + step] = (mean - odd) >> (drop + 2);
  };
  const LINES = { 8: eight, 4: four, 2: two };

  /* Write a block's pixels to its plane. */
  const work = new Int32Array(CELLS);
  function transform(plane, block, row, column) {
    const { quantities, size, values, width } = plane;
    const start = (row * width + column) * size;
    if (size === 1) {
      values[start] = ((block[0] * quantities[0] + 4) >> 3) + 128;
      return;
    }
    for (let i = 0; i < CELLS; i += 1) work[i] = block[i] * quantities[i];
    const line = LINES[size];
    for (let i = 0; i < SIDE; i += 1) line(work, i, SIDE, FRACTION - KEPT);
    for (let y = 0; y < size; y += 1) {
      line(work, y * SIDE, 1, FRACTION + KEPT + 3);
      // The array itself cuts what is below 0 or above 255.
      for (let x = 0; x < size; x += 1) values[start + y * width + x] = work[y * SIDE + x] + 128;
    }
  }

  // Planes of one size ---------------------------------------------------------------------------

  /* Return a plane in the size of the picture. One that is half as wide, or half as high, is
     interpolated (each pixel is three quarters of the nearest and a quarter of the next one, rounded
     up and down by turns); other ratios repeat pixels. */
  function enlarged(plane, columns, rows, most) {
    const across = (most.across * most.size) / (plane.across * plane.size);
    const down = (most.down * most.size) / (plane.down * plane.size);
    if (!Number.isInteger(across) || !Number.isInteger(down)) throw new Unusual();
    const smooth = most.size > 1;
    const made = new Uint8Array(columns * rows);
    const fill = smooth && across === 2 && down <= 2 && plane.columns > 2 ? halves
      : smooth && across === 1 && down === 2 ? lower : repeated;
    for (let y = 0; y < rows; y += 1) fill(plane, made.subarray(y * columns, (y + 1) * columns), y, across, down);
    return made;
  }

  function repeated({ values, width }, line, y, across, down) {
    const start = Math.floor(y / down) * width;
    for (let x = 0; x < line.length; x += 1) line[x] = values[start + Math.floor(x / across)];
  }

  /* Return where the nearest row begins, and the next one; at the edges that is the same. */
  function twoRows({ width, rows }, y) {
    const near = y >> 1;
    const next = Math.max(0, Math.min(rows - 1, y % 2 ? near + 1 : near - 1));
    return [near * width, next * width];
  }

  function lower(plane, line, y) {
    const [near, next] = twoRows(plane, y);
    const { values } = plane;
    const up = y % 2 ? 2 : 1;
    for (let x = 0; x < line.length; x += 1) line[x] = (3 * values[near + x] + values[next + x] + up) >> 2;
  }

  function halves(plane, line, y, _, down) {
    const { values, columns } = plane;
    const [near, next] = down === 2 ? twoRows(plane, y) : [y * plane.width, y * plane.width];
    // With both directions the sums have two more bits.
    const [bits, evenUp, oddUp] = down === 2 ? [4, 8, 7] : [2, 1, 2];
    const at = down === 2 ? (x) => 3 * values[near + x] + values[next + x] : (x) => values[near + x];
    let [before, here] = [at(0), at(0)];
    for (let x = 0; 2 * x < line.length; x += 1) {
      const after = x + 1 < columns ? at(x + 1) : here;
      line[2 * x] = (3 * here + before + evenUp) >> bits;
      if (2 * x + 1 < line.length) line[2 * x + 1] = (3 * here + after + oddUp) >> bits;
      [before, here] = [here, after];
    }
  }

  // Colours --------------------------------------------------------------------------------------

  const HALF = 1 << 15;
  const sixteenth = (value) => Math.round(value * 65536);
  const RED = Int32Array.from({ length: 256 }, (_, i) => (sixteenth(1.402) * (i - 128) + HALF) >> 16);
  const BLUE = Int32Array.from({ length: 256 }, (_, i) => (sixteenth(1.772) * (i - 128) + HALF) >> 16);
  const [BY_RED, BY_BLUE] = [sixteenth(0.71414), sixteenth(0.34414)];
  const [R, G, B] = [0.299, 0.587, 0.114].map(sixteenth);

  /* Return red, green and blue of brightness and differences. */
  function colours([luma, blues, reds]) {
    const planes = [0, 1, 2].map(() => new Uint8ClampedArray(luma.length));
    for (let i = 0; i < luma.length; i += 1) {
      planes[0][i] = luma[i] + RED[reds[i]];
      planes[1][i] = luma[i] + ((HALF - BY_BLUE * (blues[i] - 128) - BY_RED * (reds[i] - 128)) >> 16);
      planes[2][i] = luma[i] + BLUE[blues[i]];
    }
    return planes;
  }

  /* Return red, green and blue of inks as Pillow does; files hold how much paper is left. */
  function withoutInk(planes, black) {
    return planes.map((plane) => plane.map((paper, i) => {
      const product = (255 - paper) * black[i] + 128;
      return Math.max(0, black[i] - ((product + (product >> 8)) >> 8));
    }));
  }

  function shown(file, planes, grey) {
    if (planes.length === 1) return planes;
    if (file.colours === "luma") return colours(planes);
    if (file.colours === "rgb") {
      const [red, green, blue] = planes;
      return grey ? [red.map((value, i) => (R * value + G * green[i] + B * blue[i] + HALF) >> 16)] : planes;
    }
    const [first, second, third, black] = planes;
    if (file.colours === "inks") return withoutInk([first, second, third], black);
    return withoutInk(colours([first, second, third]).map((plane) => plane.map((value) => 255 - value)), black);
  }

  /* Return a picture upright, and the part of it that is not beyond its edges. */
  function upright({ planes, width, height }, { bottom, right }, orientation) {
    const lies = orientation >= 5;
    const [backwards, upsideDown] = [[2, 3, 7, 8], [3, 4, 6, 7]].map((some) => some.includes(orientation));
    const [wide, high] = lies ? [height, width] : [width, height];
    const turned = orientation === 1 ? planes : planes.map((plane) => {
      const made = new plane.constructor(plane.length);
      for (let y = 0; y < high; y += 1) {
        for (let x = 0; x < wide; x += 1) {
          const [column, row] = lies ? [y, x] : [x, y];
          made[y * wide + x] = plane[(upsideDown ? height - 1 - row : row) * width
            + (backwards ? width - 1 - column : column)];
        }
      }
      return made;
    });
    const [down, across] = lies ? [right, bottom] : [bottom, right];
    const top = [3, 4, 7, 8].includes(orientation) ? high - down : 0;
    const left = [2, 3, 6, 7].includes(orientation) ? wide - across : 0;
    return { width: wide, height: high, planes: turned, edges: { top, left, bottom: top + down, right: left + across } };
  }

  /* Return a file's picture, upright, {width, height, planes, edges}: one plane of bytes (grey) or
     three, at 1 / `scale` of its size, rounded up; `edges` are where the picture ends. Of colours
     only the brightness is decoded if `grey`. Returns null if the file contradicts itself: browsers
     and libjpeg then show what they can. */
  function decode(file, { scale = 1, grey = false } = {}) {
    try {
      return decoded(file, scale, grey);
    } catch (error) {
      if (error instanceof Unusual) return null;
      throw error;
    }
  }

  function decoded(file, scale, grey) {
    const up = (number, divisor) => Math.ceil(number / divisor);
    const most = {
      across: Math.max(...file.planes.map(({ across }) => across)),
      down: Math.max(...file.planes.map(({ down }) => down)), size: SIDE / scale,
    };
    const sizes = { high: up(file.rows, SIDE * most.down), wide: up(file.columns, SIDE * most.across) };
    const isBright = grey && file.colours === "luma";
    const planes = file.planes.map((plane, i) => {
      let { size } = most;
      while (size < SIDE && (most.across * most.size) % (plane.across * size * 2) === 0
        && (most.down * most.size) % (plane.down * size * 2) === 0) size *= 2;
      const columns = up(file.columns * plane.across * size, most.across * SIDE);
      const rows = up(file.rows * plane.down * size, most.down * SIDE);
      const wide = up(up(file.columns * plane.across, most.across), SIDE);
      const high = up(up(file.rows * plane.down, most.down), SIDE);
      const stride = sizes.wide * plane.across;
      const wanted = !isBright || i === 0;
      return {
        ...plane, size, columns, rows, wide, high, stride, wanted, last: 0, width: wide * size,
        values: wanted ? new Uint8ClampedArray(wide * high * size * size) : null,
        blocks: file.progressive ? new Int16Array(stride * sizes.high * plane.down * CELLS) : null,
        lacking: new Int8Array(SMOOTHED + 1).fill(file.progressive ? -1 : 0),
      };
    });
    readBlocks({ ...file, ...sizes }, planes, transform);
    const [columns, rows] = [up(file.columns, scale), up(file.rows, scale)];
    const wanted = planes.filter((plane) => plane.wanted);
    const even = wanted.map((plane) => enlarged(plane, columns, rows, most));
    const picture = { width: columns, height: rows, planes: shown(file, even, grey) };
    return upright(picture, { bottom: file.rows / scale, right: file.columns / scale }, file.orientation);
  }

  gridcnn.jpeg = { decode, open };
})();
