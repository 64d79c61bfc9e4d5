/* Frames: page edges and ruled lines along the sides of a picture, which are not ink. They are found
   as `adapters/frame.py` finds them, and its drawing shows what a band is. The names of the limits
   are the same there. */
"use strict";

(() => {
  const SMALLEST = 24;
  const PLAIN = 12;
  const GLANCE = 24;
  const ROUNDS = 3;
  const DEEPEST = 0.3;
  const SLOPE = 0.2;
  const LONG = 0.4;
  const COVERED = 0.75;
  const AT_ENDS = 0.5;
  const ROUGH = 0.05;
  const STRAY = 0.025;
  const BOW = 0.03;
  const SAMPLES = 16;
  const CRUMBS = 0.08;
  const MANY = 0.03;
  const TRIFLE = 0.002;
  const BESIDE = 0.3;
  const SPECKS = 0.03;

  const { blockMeans, crop, ordered, roundEven } = gridcnn.pixels;
  const { centre, height, surfaceOf } = gridcnn.light;

  function quantile(values, part = 0.5) {
    return ordered(values, Math.min(Math.trunc(values.length * part), values.length - 1));
  }

  function count(values) {
    let found = 0;
    for (const each of values) if (each) found += 1;
    return found;
  }

  function most(values) {
    return values.reduce((one, other) => Math.max(one, other), -Infinity);
  }

  /* The distance of a pixel's colour from another one, in the plane where it is largest. */
  function apartAt(picture, i, colour) {
    let apart = 0;
    picture.planes.forEach((plane, channel) => {
      apart = Math.max(apart, Math.abs(plane[i] - colour[channel]));
    });
    return apart;
  }

  function medianColour(picture, places) {
    return picture.planes.map((plane) => ordered(places.map((i) => plane[i])));
  }

  function grid(from, to, step, width, fromX, toX, stepX) {
    const places = [];
    for (let y = from; y < to; y += step) {
      for (let x = fromX; x < toX; x += stepX) places.push(y * width + x);
    }
    return places;
  }

  /* Return what frames a picture, or null: {covered: a mask, inside, clear}, the last two as [top,
     left, bottom, right]. */
  function frameOf(small) {
    const picture = { ...small, whole: false };
    const { width, height: rows } = picture;
    if (Math.min(rows, width) < SMALLEST) return null;
    const across = [...Array(width).keys()];
    const down = [...Array(rows).keys()];
    const ring = [
      ...across, ...across.map((x) => (rows - 1) * width + x),
      ...down.map((y) => y * width), ...down.map((y) => (y + 1) * width - 1),
    ];
    const outer = medianColour(picture, ring);
    const [sixth, sixthX] = [Math.floor(rows / 6), Math.floor(width / 6)];
    const middle = grid(sixth, rows - sixth, Math.max(Math.floor(rows / 32), 1), width,
      sixthX, width - sixthX, Math.max(Math.floor(width / 32), 1));
    const inner = medianColour(picture, middle);
    const alike = most(outer.map((each, channel) => Math.abs(each - inner[channel]))) <= PLAIN;
    if (alike) {
      const strays = ring.map((i) => apartAt(picture, i, outer));
      const noise = Math.min(
        quantile(strays), quantile(middle.map((i) => apartAt(picture, i, inner))),
      );
      const limit = Math.max(PLAIN, 4 * noise);
      if (!mayBeFramed(strays.map((each) => each > limit), rows, width)) return null;
    }
    const found = under(picture, inner);
    return found !== null || alike ? found : under(picture, outer);
  }

  function mayBeFramed(off, rows, columns) {
    const top = off.slice(0, columns);
    const bottom = off.slice(columns, 2 * columns);
    const left = off.slice(2 * columns, 2 * columns + rows);
    const right = off.slice(2 * columns + rows);
    const high = roundEven(DEEPEST * rows);
    const wide = roundEven(DEEPEST * columns);
    return [
      [top, left.slice(0, high), right.slice(0, high)],
      [bottom, left.slice(-high), right.slice(-high)],
      [left, top.slice(0, wide), bottom.slice(0, wide)],
      [right, top.slice(-wide), bottom.slice(-wide)],
    ].some(([along, one, other]) => count(along) > (LONG * along.length) / 2
      || (one.some(Boolean) && other.some(Boolean)));
  }

  /* Return for each pixel how far it is from the paper. */
  function apartFromPaper(picture, colour) {
    const { width, height: rows, planes } = picture;
    const glance = blockMeans(picture, Math.ceil(Math.max(rows, width) / GLANCE));
    const [high, wide] = [Math.floor(glance.height / 8), Math.floor(glance.width / 8)];
    const inner = crop(glance, wide, high, glance.width - wide, glance.height - high);
    const surface = surfaceOf(inner, colour);
    const scaleX = glance.width / inner.width;
    const scaleY = glance.height / inner.height;
    const apart = new Float64Array(width * rows);
    for (let row = 0; row < rows; row += 1) {
      const y = scaleY * centre(-1, 1, rows, row);
      for (let column = 0; column < width; column += 1) {
        const x = scaleX * centre(-1, 1, width, column);
        const i = row * width + column;
        const paper = surface.map((factors) => Math.fround(height(factors, x, y)));
        // Outside of where it was measured, the fall of light may be guessed wrongly.
        apart[i] = Math.min(apartAt(picture, i, paper), apartAt(picture, i, colour));
      }
    }
    return { apart, planes };
  }

  function under(picture, colour) {
    const { width, height: rows } = picture;
    const { apart } = apartFromPaper(picture, colour);
    const [sixth, sixthX] = [Math.floor(rows / 6), Math.floor(width / 6)];
    const middle = grid(sixth, rows - sixth, 3, width, sixthX, width - sixthX, 3);
    const noise = quantile(middle.map((i) => apart[i]));
    const least = Math.max(PLAIN, 4 * noise);
    const strong = Array.from(apart, (each) => each > least);
    const first = Math.max(least, most(apart) / 3);
    const bands = findBands([Array.from(apart, (each) => each > first), strong], rows, width);
    if (bands === null) return null;
    const covered = cover(bands, rows, width);
    const rest = strong.map((each, i) => each && !covered[i]);
    const clear = inside(bands, rows, width, roundEven(CRUMBS * Math.min(rows, width)));
    const deep = within(rest, clear, width);
    const drawing = grow(deep, rest, rows, width);
    if (count(drawing) < Math.max(4, TRIFLE * rest.length) && number(bands) > 1) return null;
    const crumbs = rest.map((each, i) => each && !drawing[i]);
    if (count(crumbs) > MANY * rest.length) return null;
    if (isCutOut(strong, drawing, bands, rows, width)) return null;
    return {
      covered: covered.map((each, i) => each || crumbs[i]),
      inside: inside(bands, rows, width, 0),
      clear,
    };
  }

  function within(mask, [top, left, bottom, right], width) {
    return mask.map((each, i) => {
      const [row, column] = [Math.floor(i / width), i % width];
      return each && row >= top && row < bottom && column >= left && column < right;
    });
  }

  function number(bands) {
    return count(bands.map((side) => side.some((each) => each > 0)));
  }

  function inside(bands, rows, width, slack) {
    const [top, bottom, left, right] = bands.map(
      (side) => (side.some((each) => each > 0) ? most(side) + slack : 0),
    );
    return [top, left, rows - bottom, width - right];
  }

  function cover([top, bottom, left, right], rows, width) {
    return Array.from({ length: rows * width }, (_, i) => {
      const [row, column] = [Math.floor(i / width), i % width];
      return row < top[column] || row >= rows - bottom[column]
        || column < left[row] || column >= width - right[row];
    });
  }

  /* Whether the picture ends where the drawing does, so that its strokes only seem to be bands. */
  function isCutOut(drawn, drawing, bands, rows, width) {
    const [top, left, bottom, right] = inside(bands, rows, width, 0);
    const sides = (mask) => {
      const lines = [[], [], [], []];
      for (let x = left; x < right; x += 1) {
        lines[0].push(mask[top * width + x]);
        lines[1].push(mask[(bottom - 1) * width + x]);
      }
      for (let y = top; y < bottom; y += 1) {
        lines[2].push(mask[y * width + left]);
        lines[3].push(mask[y * width + right - 1]);
      }
      return lines;
    };
    const edges = sides(drawn).flat();
    if (count(edges) / edges.length > BESIDE) return true;
    const touched = sides(drawing).map((each) => count(each) > Math.max(2, SPECKS * each.length));
    const crossed = touched.map((each, i) => each && bands[i].some((depth) => depth > 0));
    if (!crossed.some(Boolean)) return false;
    if (touched.some((each, i) => each !== crossed[i])) return true;
    if ((crossed[0] && crossed[1]) || (crossed[2] && crossed[3])) return true;
    let [low, high, first, last] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        if (drawing[y * width + x]) {
          [low, high] = [Math.min(low, y), Math.max(high, y)];
          [first, last] = [Math.min(first, x), Math.max(last, x)];
        }
      }
    }
    return Math.min(high - low, last - first) < Math.min(bottom - top, right - left) / 5;
  }

  /* Return all of `allowed` that hangs together with `seeds`, corners included. */
  function grow(seeds, allowed, rows, width) {
    const grown = seeds.slice();
    const waiting = [];
    grown.forEach((each, i) => each && waiting.push(i));
    while (waiting.length) {
      const i = waiting.pop();
      const [row, column] = [Math.floor(i / width), i % width];
      for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, rows - 1); y += 1) {
        for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, width - 1); x += 1) {
          const near = y * width + x;
          if (allowed[near] && !grown[near]) {
            grown[near] = true;
            waiting.push(near);
          }
        }
      }
    }
    return grown;
  }

  /* Return how deep bands reach along top, bottom, left and right, or null if there is none. */
  function findBands(masks, rows, width) {
    const bands = [width, width, rows, rows].map((length) => new Array(length).fill(0));
    // For each side, the place of a pixel by its depth and its place along the side.
    const places = [
      (depth, along) => depth * width + along,
      (depth, along) => (rows - 1 - depth) * width + along,
      (depth, along) => along * width + depth,
      (depth, along) => along * width + width - 1 - depth,
    ];
    for (const drawn of masks) {
      const covered = cover(bands, rows, width);
      const left = drawn.map((each, i) => each && !covered[i]);
      for (let round = 0; round < ROUNDS; round += 1) {
        let fresh = false;
        places.forEach((place, side) => {
          const [one, other] = side < 2 ? bands.slice(2) : bands.slice(0, 2);
          const [first, last] = [most(one), most(other)];
          const length = bands[side].length - last - first;
          const depth = side < 2 ? rows : width;
          const found = length > 0 && bandOf((d, a) => left[place(d, a + first)], depth, length,
            Math.min(rows, width));
          if (!found) return;
          fresh = true;
          const whole = bands[side].map(
            (_, along) => found[Math.max(0, Math.min(length - 1, along - first))],
          );
          bands[side] = bands[side].map((each, along) => Math.max(each, whole[along]));
          whole.forEach((reach, along) => {
            for (let d = 0; d < reach; d += 1) left[place(d, along)] = false;
          });
        });
        if (!fresh) break;
      }
    }
    return number(bands) ? bands : null;
  }

  /* Return how deep a band along one side reaches at each place, or null if there is none. */
  function bandOf(drawn, depth, length, shorter) {
    const limit = roundEven(DEEPEST * depth);
    const along = [...Array(length).keys()];
    const runs = along.map((place) => {
      let start = 0;
      while (start < limit && !drawn(start, place)) start += 1;
      const valid = start < limit;
      if (!valid) return { valid, start: 0, ends: false, end: limit };
      let end = start;
      while (end < limit && drawn(end, place)) end += 1;
      return { valid, start, ends: end < limit, end };
    });
    const ending = along.filter((place) => runs[place].ends);
    if (ending.length < COVERED * LONG * length) return null;
    const rough = ROUGH * shorter + 1.5;
    const [slope, base] = lineOf(ending, ending.map((place) => runs[place].end), rough);
    const line = along.map((place) => base + slope * place);
    const off = along.map((place) => runs[place].end - line[place]);
    const seen = along.map((place) => runs[place].ends && Math.abs(off[place]) <= rough);
    const asked = along.filter((place) => line[place] > 0.5
      && !(runs[place].valid && off[place] > rough && runs[place].start <= line[place]));
    const shown = along.filter(
      (place) => line[place] > 0.5 && (runs[place].ends || !runs[place].valid),
    );
    if (count(seen) < LONG * length || !isSeen(seen, asked, shown)) return null;
    if (!isStraight(asked.map((place) => off[place]), shorter)) return null;
    const spread = Math.max(
      1, 2.5 * quantile(off.filter((_, place) => seen[place]).map(Math.abs)),
    );
    return along.map((place) => {
      if (!(line[place] > 0.5 || seen[place])) return 0;
      const reach = runs[place].ends
        ? Math.min(Math.max(runs[place].end, line[place] - spread), line[place] + spread)
        : line[place];
      return Math.max(0, Math.min(limit, Math.ceil(reach) + 1));
    });
  }

  function isSeen(seen, asked, shown) {
    if (asked.length < 8 || shown.length < 8) return false;
    const quarter = Math.floor(asked.length / 4);
    const tip = Math.max(Math.floor(seen.length / 10), 2);
    const share = (places) => count(places.map((place) => seen[place])) / places.length;
    const parts = [
      asked.slice(0, quarter), asked.slice(-quarter), shown.slice(0, tip), shown.slice(-tip),
    ];
    return share(asked) >= COVERED && Math.min(...parts.map(share)) >= AT_ENDS;
  }

  function isStraight(off, shorter) {
    const quarter = Math.floor(off.length / 4);
    const outer = [...off.slice(0, quarter), ...off.slice(-quarter)];
    const inner = off.slice(quarter, -quarter);
    const bow = Math.abs(quantile(outer, 0.3) - quantile(inner, 0.3));
    return bow <= BOW * shorter + 0.5 && quantile(off.map(Math.abs)) <= STRAY * shorter + 0.25;
  }

  /* Return slope and base of the line, of those through two points, that most are near to. */
  function lineOf(x, y, near) {
    const chosen = Math.min(SAMPLES, x.length);
    const step = (x.length - 1) / (chosen - 1);
    const picked = Array.from({ length: chosen }, (_, i) => (
      chosen > 1 && i === chosen - 1 ? x.length - 1 : Math.trunc(i * (chosen > 1 ? step : 0))
    ));
    const skip = Math.max(Math.floor(chosen / 4), 1);
    let best = null;
    for (let i = 0; i < chosen; i += 1) {
      for (let j = i + skip; j < chosen; j += 1) {
        const [one, other] = [picked[i], picked[j]];
        const slope = (y[other] - y[one]) / (x[other] - x[one]);
        if (!(Math.abs(slope) <= SLOPE)) continue;
        const base = y[one] - slope * x[one];
        let cost = 0;
        for (let k = 0; k < x.length; k += 1) {
          cost += Math.min(Math.abs(base + slope * x[k] - y[k]), near);
        }
        // Which of equal lines is the first must not depend on how sums round.
        cost = Math.floor(cost * 1000 + 0.3);
        if (best === null || cost < best.cost) best = { slope, base, cost };
      }
    }
    return best === null ? [0, quantile(y)] : [best.slope, best.base];
  }

  gridcnn.frames = { frameOf };
})();
