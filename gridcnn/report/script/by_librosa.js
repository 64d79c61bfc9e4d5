/* The kinds of grids of sounds that librosa computes, as `adapters/by_librosa.py` uses it: notes,
   bands without a steady background, tempi, and what lasts beside what is short.

   Bands are rows of columns (moments), lowest first. */
"use strict";

(() => {
  const FULL_SCALE = 2 ** 31; // PCEN was made for whole numbers, as those in a file
  const LEAST = 1e-6; // what PCEN adds to a band's mean
  const TINY = 1.1754943508222875e-38; // the smallest usual float32
  const QUIETEST = 1e-10; // power that counts as silence where onsets are looked for, ...
  const RANGE = 80; // ... and decibels under the loudest band

  // Notes ----------------------------------------------------------------------------------------

  /* Return how strong each note is, lowest first (`librosa.vqt`). The octaves are those that
     `gridcnn/report/live_notes.py` tells, highest first; before each, the samples may be halved. */
  function noteMagnitudes({ notes, columns }, clip) {
    let samples = clip;
    if (samples.length < notes.least) {
      samples = new Float32Array(notes.least);
      samples.set(clip);
    }
    const octaves = notes.octaves.map((octave) => {
      samples = reduced(samples, octave.ratio, notes.filters);
      return octaveOf(octave, samples, columns);
    });
    return octaves.reverse().flat();
  }

  /* Return samples at a rate that is so many times lower, with the same power. */
  function reduced(samples, ratio, filters) {
    if (ratio === 1) return samples;
    const made = new Float32Array(Math.ceil(samples.length / ratio));
    const count = Math.trunc(samples.length / ratio + 0.5);
    made.set(gridcnn.sounds.resampled(samples, ratio, 1, 0, count, filters));
    return made.map((sample) => sample * Math.sqrt(ratio));
  }

  function octaveOf({ size, hop, first, count, real, imaginary }, samples, columns) {
    const transform = gridcnn.sounds.powerOfTwo(size);
    const rows = first.map(() => new Float32Array(columns));
    const [x, y] = [new Float64Array(size), new Float64Array(size)];
    for (let column = 0; column < columns; column += 1) {
      const start = column * hop - size / 2;
      for (let i = 0; i < size; i += 1) {
        x[i] = samples[start + i] || 0;
        y[i] = 0;
      }
      transform(x, y);
      let place = 0;
      rows.forEach((row, note) => {
        let [sum, other] = [0, 0];
        for (let line = first[note]; line < first[note] + count[note]; line += 1, place += 1) {
          sum += real.values[place] * x[line] - imaginary.values[place] * y[line];
          other += real.values[place] * y[line] + imaginary.values[place] * x[line];
        }
        row[column] = Math.hypot(sum, other);
      });
    }
    return rows;
  }

  // Bands without a steady background ------------------------------------------------------------

  /* Return bands after per-channel energy normalization (`librosa.pcen`). */
  function normalizedEnergy(adapter, bands) {
    const { pcen_gain: gain, pcen_bias: bias, pcen_power: power } = adapter;
    const chunks = (adapter.pcen_seconds * adapter.sample_rate) / adapter.hop_length;
    const part = (Math.sqrt(1 + 4 * chunks ** 2) - 1) / (2 * chunks ** 2);
    return bands.map((row) => {
      let mean = 1;
      return row.map((magnitude) => {
        const loudness = magnitude * FULL_SCALE;
        mean = part * loudness + (1 - part) * mean;
        const louder = loudness * Math.exp(-gain * (Math.log(LEAST) + Math.log1p(mean / LEAST)));
        if (power === 0) return Math.log1p(louder);
        return bias === 0 ? louder ** power
          : bias ** power * Math.expm1(power * Math.log1p(louder / bias));
      });
    });
  }

  // Tempi ----------------------------------------------------------------------------------------

  /* Return how strongly onsets are repeated after each lag, the shortest first
     (`librosa.feature.tempogram`). */
  function tempi(adapter, bands) {
    const { columns, tempo_window: size, lags: [from, to] } = adapter;
    const onsets = onsetsOf(adapter, bands);
    const half = Math.floor(size / 2);
    const around = (i) => {
      if (i < 0) return (onsets[0] * (half + i)) / half;
      return i < columns ? onsets[i] : (onsets[columns - 1] * (half - 1 - i + columns)) / half;
    };
    const window = Float64Array.from({ length: size }, (_, i) => (
      size === 1 ? 1 : 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size)));
    const made = Array.from({ length: to - from }, () => new Float32Array(columns));
    for (let column = 0; column < columns; column += 1) {
      const part = window.map((weight, i) => weight * Math.fround(around(column - half + i)));
      const repeated = (lag) => {
        let sum = 0;
        for (let i = 0; i + lag < size; i += 1) sum += part[i] * part[i + lag];
        return sum;
      };
      const most = repeated(0) || 1;
      made.forEach((row, i) => { row[column] = repeated(from + i) / most; });
    }
    return made;
  }

  /* Return how much louder the bands become, in decibels, on average (`librosa.onset`). */
  function onsetsOf({ columns, n_fft: size, hop_length: hop }, bands) {
    const levels = bands.map((row) => row.map((power) => 10 * Math.log10(Math.max(QUIETEST, power))));
    const floor = Math.fround(levels.reduce(
      (most, row) => row.reduce((one, other) => Math.max(one, other), most), -Infinity,
    ) - RANGE);
    const at = (row, column) => Math.max(row[column], floor);
    const late = 1 + Math.floor(size / (2 * hop)); // windows reach ahead of their moment
    return Float32Array.from({ length: columns }, (_, column) => {
      const before = column - late;
      if (before < 0) return 0;
      const rises = levels.map((row) => Math.max(0, at(row, before + 1) - at(row, before)));
      return rises.reduce((sum, rise) => sum + rise, 0) / levels.length;
    });
  }

  // What lasts, and what is short ----------------------------------------------------------------

  /* Return spectra (rows of lines, lowest first) as two: medians over time and over frequency tell
     which is which (`librosa.decompose.hpss`). */
  function harmonicAndPercussive({ hpss_kernel: kernel, hpss_margin: margin }, lines) {
    const lasting = lines.map((row) => medians(row, kernel));
    const turned = lines[0].constructor.from(lines[0]);
    const short = lines.map(() => new Float32Array(turned.length));
    turned.forEach((_, column) => {
      const found = medians(Float32Array.from(lines, (row) => row[column]), kernel);
      found.forEach((median, line) => { short[line][column] = median; });
    });
    const share = (one, other) => {
      const rest = Math.fround(other * margin);
      const most = Math.max(one, rest);
      if (most < TINY) return margin === 1 ? 0.5 : 0;
      const [own, others] = [(one / most) ** 2, (rest / most) ** 2];
      return own / (own + others);
    };
    return [[lasting, short], [short, lasting]].map(([one, other]) => lines.map((row, line) => (
      row.map((value, column) => value * share(one[line][column], other[line][column])))));
  }

  /* Return the median of `size` values around each; the values are mirrored at both ends. Of an even
     number, one more value before the place counts, and the upper one of the two in the middle. */
  function medians(values, size) {
    const count = values.length;
    const mirrored = (i) => {
      const place = ((i % (2 * count)) + 2 * count) % (2 * count);
      return values[place < count ? place : 2 * count - 1 - place];
    };
    const half = Math.floor(size / 2);
    const window = Float32Array.from({ length: size }, (_, i) => mirrored(i - half)).sort();
    return values.map((_, place) => {
      const median = window[half];
      replace(window, mirrored(place - half), mirrored(place - half + size));
      return median;
    });
  }

  /* Take one value out of others in their order, and put another one in. */
  function replace(sorted, old, value) {
    let [low, high] = [0, sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < old) low = middle + 1;
      else high = middle;
    }
    for (; low + 1 < sorted.length && sorted[low + 1] < value; low += 1) sorted[low] = sorted[low + 1];
    for (; low > 0 && sorted[low - 1] > value; low -= 1) sorted[low] = sorted[low - 1];
    sorted[low] = value;
  }

  gridcnn.byLibrosa = { harmonicAndPercussive, normalizedEnergy, noteMagnitudes, tempi };
})();
