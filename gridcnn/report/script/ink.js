/* Ink: the pixels that differ from the background of a picture, whatever the colours of both, as
   `adapters/ink.py` finds them. */
"use strict";

(() => {
  const FAINTEST = 8; // anything fainter is paper, not ink
  const NOISIEST = 40; // a background that varies by more is a scene
  const LOOK = 128; // pixels along the longer side of the picture in which ink is looked for
  const GLANCE = 24; // the same, for the fall of light
  const EVEN = 2; // light that changes by less along the border is even

  const { FULL, blockMeans, border, crop, ordered, roundEven, whole } = gridcnn.pixels;
  const { centre, height, surfaceOf } = gridcnn.light;

  /* Return the background of a picture: {colour, surface or null, inside, noise, frame, step}. */
  function backgroundOf(given) {
    let pixels = given;
    const step = Math.ceil(Math.max(pixels.width, pixels.height) / LOOK);
    let small = blockMeans(pixels, step);
    const frame = gridcnn.frames.frameOf(small);
    let inside = whole(pixels);
    if (frame !== null) {
      const [top, left, bottom, right] = frame.inside;
      small = crop(small, left, top, right, bottom);
      inside = {
        top: top * step,
        left: left * step,
        bottom: Math.min(bottom * step, pixels.height),
        right: Math.min(right * step, pixels.width),
      };
      pixels = crop(pixels, inside.left, inside.top, inside.right, inside.bottom);
    }
    const ring = border(small);
    const colour = ring.map((each) => ordered(each));
    const [noise, stray] = deviation(ring, (i, channel) => colour[channel]);
    const plain = { colour, surface: null, inside, noise, frame, step };
    if (stray < 1 || !isUneven(ring, colour, noise, small)) return plain;
    const glance = blockMeans(pixels, Math.ceil(Math.max(pixels.width, pixels.height) / GLANCE));
    const lit = { ...plain, surface: surfaceOf(glance, colour) };
    const paper = paperIn(lit, inside, [small.height, small.width]);
    const around = border({ width: small.width, height: small.height, planes: paper });
    const [noiseWhenLit, strayWhenLit] = deviation(ring, (i, channel) => around[channel][i]);
    // A drawing that runs along the border misleads the surface.
    return strayWhenLit > stray ? plain : { ...lit, noise: noiseWhenLit };
  }

  /* Return the colour of the bare paper in each cell of a window: for each plane an array. */
  function paperIn(background, window, [rows, columns]) {
    return background.colour.map((colour, channel) => {
      const plane = new Float32Array(rows * columns).fill(colour);
      if (background.surface === null) return plane;
      for (let row = 0; row < rows; row += 1) {
        for (let column = 0; column < columns; column += 1) {
          const y = centre(window.top, window.bottom, rows, row);
          const x = centre(window.left, window.right, columns, column);
          plane[row * columns + column] = paperAt(background, channel, x, y);
        }
      }
      return plane;
    });
  }

  function paperAt(background, channel, x, y) {
    if (background.surface === null) return background.colour[channel];
    const { top, left, bottom, right } = background.inside;
    const across = (x - left) * (2 / (right - left)) - 1;
    const down = (y - top) * (2 / (bottom - top)) - 1;
    return Math.max(0, Math.min(FULL, height(background.surface[channel], across, down)));
  }

  /* The median and the upper quartile of how far the border is from what is expected there. */
  function deviation(ring, expected) {
    const apart = Float64Array.from(ring[0], (_, i) => Math.max(
      ...ring.map((each, channel) => Math.abs(each[i] - expected(i, channel))),
    )).sort();
    return [apart[Math.floor(apart.length / 2)], apart[Math.floor((apart.length * 3) / 4)]];
  }

  /* Whether light falls unevenly: three stretches of the border are off by more than chance. */
  function isUneven(ring, colour, noise, small) {
    if (small.height < 5 || small.width < 5) return false;
    const stretches = [];
    let start = 0;
    for (const length of [small.width, small.width, small.height - 2, small.height - 2]) {
      const thirds = [0, 1, 2, 3].map((third) => start + Math.floor((length * third) / 3));
      for (let third = 0; third < 3; third += 1) stretches.push([thirds[third], thirds[third + 1]]);
      start += length;
    }
    const fewest = Math.min(...stretches.map(([first, last]) => last - first));
    const chance = (3.5 * 1.5 * noise) / Math.sqrt(fewest);
    const off = stretches.map(([first, last]) => Math.max(...ring.map((each, channel) => {
      let sum = 0;
      for (let i = first; i < last; i += 1) sum += each[i];
      return Math.abs(sum / (last - first) - colour[channel]);
    })));
    return off.sort((one, other) => other - one)[2] > Math.max(EVEN, chance);
  }

  /* Return a picture with bare paper in place of its frame. */
  function removeFrame(picture, background) {
    const { frame, step } = background;
    if (frame === null) return picture;
    const { width, height: rows } = picture;
    const [top, left, bottom, right] = frame.clear.map((each) => each * step);
    const across = Math.ceil(width / step);
    const planes = picture.planes.map((plane, channel) => {
      const bare = Float32Array.from(plane);
      for (let y = 0; y < rows; y += 1) {
        for (let x = 0; x < width; x += 1) {
          if (y >= top && y < bottom && x >= left && x < right) continue;
          if (!frame.covered[Math.floor(y / step) * across + Math.floor(x / step)]) continue;
          const paper = paperAt(background, channel, x + 0.5, y + 0.5);
          bare[y * width + x] = picture.whole ? roundEven(paper) : paper;
        }
      }
      return bare;
    });
    return { ...picture, planes };
  }

  /* Return the window around all ink with a margin, or null if there is none. */
  function windowOfInk(picture, background, margin) {
    let window = [0, 0, picture.height, picture.width];
    // A small drawing on a large sheet is looked at again from nearer by, for an exact box.
    for (let look = 0; look < 3; look += 1) {
      const [top, left, bottom, right] = window;
      const step = Math.ceil(Math.max(bottom - top, right - left) / LOOK);
      const small = blockMeans(crop(picture, left, top, right, bottom), step);
      const seen = {
        top, left, bottom: top + small.height * step, right: left + small.width * step,
      };
      const paper = paperIn(background, seen, [small.height, small.width]);
      const box = boxOf(small, paper, background.noise);
      if (box === null) return null;
      const slack = step > 1 ? 1 : 0;
      window = [
        Math.max(top + (box[0] - slack) * step, top),
        Math.max(left + (box[1] - slack) * step, left),
        Math.min(top + (box[2] + slack) * step, bottom),
        Math.min(left + (box[3] + slack) * step, right),
      ];
      if (step === 1 || window[2] - window[0] > (bottom - top) / 2) break;
    }
    const [top, left, bottom, right] = window;
    const edge = margin * Math.max(bottom - top, right - left);
    return { top: top - edge, left: left - edge, bottom: bottom + edge, right: right + edge };
  }

  function boxOf(small, paper, noise) {
    const { width, height: rows } = small;
    const smooth = smoothed(largest(apartOf(small.planes, paper)), rows, width);
    const strongest = maximum(smooth);
    if (strongest < least(noise)) return null;
    const limit = Math.fround(typical(smooth, strongest) / 2);
    const byRow = new Float64Array(rows);
    const byColumn = new Float64Array(width);
    smooth.forEach((value, i) => {
      if (value > limit) {
        byRow[Math.floor(i / width)] += 1;
        byColumn[i % width] += 1;
      }
    });
    const [top, bottom] = extent(byRow);
    const [left, right] = extent(byColumn);
    return [top, left, bottom, right];
  }

  function apartOf(planes, paper) {
    return planes.map((plane, channel) => Float32Array.from(
      plane, (value, i) => Math.abs(value - paper[channel][i]),
    ));
  }

  function largest(apart) {
    return apart[0].map((_, i) => Math.max(...apart.map((each) => each[i])));
  }

  function maximum(values) {
    return values.reduce((one, other) => Math.max(one, other), -Infinity);
  }

  /* The distance from the background at which ink begins to be believed. */
  function least(noise) {
    return Math.max(FAINTEST, Math.min(4 * noise, NOISIEST));
  }

  /* The typical strength of strokes: the median of the stronger cells. */
  function typical(distance, strongest) {
    const limit = Math.fround(strongest / 3);
    return ordered(distance.filter((each) => each > limit));
  }

  /* The first line with a noticeable count, and the line after the last. */
  function extent(counts) {
    const limit = maximum(counts) / 16;
    let first = 0;
    while (!(counts[first] > limit)) first += 1;
    let last = counts.length;
    while (!(counts[last - 1] > limit)) last -= 1;
    return [first, last];
  }

  /* The mean of each cell and its neighbours, 3 x 3; beyond the border its own values count again. */
  function smoothed(values, rows, width) {
    if (Math.min(rows, width) < 3) return values;
    const near = (place, length) => [Math.max(place - 1, 0), place, Math.min(place + 1, length - 1)];
    return values.map((_, i) => {
      let sum = 0;
      for (const row of near(Math.floor(i / width), rows)) {
        for (const column of near(i % width, width)) sum += values[row * width + column];
      }
      return sum / 9;
    });
  }

  /* Return ink from 0 (background) to 1 (full ink), a Float32Array of channels, rows, columns. */
  function inkOf(planes, paper, noise, channels) {
    let apart = apartOf(planes, paper);
    const distance = largest(apart);
    const strongest = maximum(distance);
    const made = new Float32Array(channels * distance.length);
    if (strongest < least(noise)) return made;
    const full = typical(distance, strongest);
    const floor = Math.min(3 * noise, full / 3);
    if (channels === 1) apart = [distance];
    else if (apart.length === 1) apart = Array(channels).fill(apart[0]);
    apart.forEach((plane, channel) => plane.forEach((value, i) => {
      const ink = (value - floor) / (full - floor);
      made[channel * distance.length + i] = Math.max(0, Math.min(1, ink));
    }));
    return made;
  }

  gridcnn.ink = { backgroundOf, inkOf, paperIn, removeFrame, windowOfInk };
})();
