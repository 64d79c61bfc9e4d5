/* Sounds: samples as spectrograms, as `adapters/audio.py` and `adapters/spectrogram.py` make them;
   and files of plain samples, which are read without the browser's decoder. */
"use strict";

(() => {
  const LOUDEST = 16; // decoders overshoot 1 a little, and never by 24 dB

  // Another sample rate --------------------------------------------------------------------------

  /* The filters of soxr at its quality "HQ": a sinc that is cut off a little below the lower half
     rate, under a Kaiser window. They were measured from soxr's answers to single samples. For each
     ratio of both rates: the window's beta, and its half length in samples at the lower rate. Other
     ratios take two steps in soxr; for usual rates there are tables of them, and the last line is
     near to the rest. */
  const CUT = 0.95687183;
  const WINDOWS = [
    [2, 13.04, 97.25], [3, 13.04, 96.833], [4, 13.711, 102.25], [6, 13.711, 101.5],
    [8, 14.104, 105.25], [12, 14.104, 104.835], [3 / 2, 13.04, 96.833], [4 / 3, 13.04, 96.625],
  ];
  const OTHERS = [0, 16, 110];

  function bessel(x) {
    let term = 1;
    let sum = 1;
    for (let n = 1; term > 1e-18 * sum; n += 1) {
      term *= (x / (2 * n)) ** 2;
      sum += term;
    }
    return sum;
  }

  function filterAt(time, beta, length) {
    const part = time / length;
    if (Math.abs(part) >= 1) return 0;
    const turn = Math.PI * CUT * time;
    const sinc = turn === 0 ? 1 : Math.sin(turn) / turn;
    return (CUT * sinc * bessel(beta * Math.sqrt(1 - part * part))) / bessel(beta);
  }

  /* The same from a table, by cubic steps between its values. */
  function filterIn({ each, values: { values } }, time) {
    const place = Math.abs(time) * each;
    const first = Math.floor(place);
    const part = place - first;
    const at = (i) => values[Math.abs(first + i)] || 0;
    return -at(-1) * part * (part - 1) * (part - 2) / 6
      + at(0) * (part + 1) * (part - 1) * (part - 2) / 2
      - at(1) * (part + 1) * part * (part - 2) / 2
      + at(2) * (part + 1) * part * (part - 1) / 6;
  }

  function divisor(one, other) {
    return other === 0 ? one : divisor(other, one % other);
  }

  function resampledCount(count, rate, wanted) {
    return rate === wanted ? count : Math.trunc(count / (rate / wanted) + 0.5);
  }

  /* Return samples at another rate; only those from `start` to `stop` (exclusive). `tables` are
     filters for some rates, {rate, each, values, edge}. */
  function resampled(samples, rate, wanted, start, stop, tables = []) {
    if (rate === wanted) return samples.slice(start, stop);
    const step = divisor(rate, wanted);
    const phases = wanted / step;
    const low = Math.min(rate, wanted);
    const ratio = Math.max(rate, wanted) / low;
    const known = WINDOWS.find(([one]) => Math.abs(one - ratio) < 1e-9);
    const [, beta, length] = known || OTHERS;
    const table = tables.find((one) => one.rate === rate);
    const filterOver = (time) => (table && table.values ? filterIn(table, time) : filterAt(time, beta, length));
    const reach = Math.ceil((length * rate) / low);
    const filters = new Map();
    // The weights of the samples around a place between two of them: one list for each phase.
    const filterOf = (phase) => {
      if (!filters.has(phase)) {
        const made = new Float64Array(2 * reach + 1);
        for (let k = -reach; k <= reach; k += 1) {
          made[k + reach] = (filterOver((phase / phases - k) * (low / rate)) * low) / rate;
        }
        filters.set(phase, made);
      }
      return filters.get(phase);
    };
    const made = new Float32Array(stop - start);
    for (let n = start; n < stop; n += 1) {
      const place = n * (rate / step);
      const filter = filterOf(place % phases);
      const first = Math.floor(place / phases) - reach;
      let sum = 0;
      for (let k = Math.max(0, -first); k < filter.length && first + k < samples.length; k += 1) {
        sum += filter[k] * samples[first + k];
      }
      made[n - start] = sum;
    }
    if (table) addEdge(made, samples, start, table.edge);
    return made;
  }

  /* Add what the first samples do beside the filter, where soxr starts. */
  function addEdge(made, samples, start, { shape: [count, results], values }) {
    for (let n = start; n < Math.min(results, start + made.length); n += 1) {
      let sum = 0;
      for (let k = 0; k < Math.min(count, samples.length); k += 1) {
        sum += values[k * results + n] * samples[k];
      }
      made[n - start] += sum;
    }
  }

  // Fourier transform ----------------------------------------------------------------------------

  /* Return a function that transforms `size` real samples into the squares of the absolute values
     of their first size / 2 + 1 frequencies. */
  function spectrum(size) {
    const power = 2 ** Math.ceil(Math.log2(size));
    if (power === size) {
      const transform = powerOfTwo(size);
      return (samples) => squares(transform, Float64Array.from(samples), new Float64Array(size), size);
    }
    return chirped(size);
  }

  function squares(transform, real, imaginary, size) {
    transform(real, imaginary);
    return Float64Array.from(
      { length: Math.floor(size / 2) + 1 }, (_, i) => real[i] ** 2 + imaginary[i] ** 2,
    );
  }

  /* Transform real and imaginary parts in place; their length is a power of two. */
  function powerOfTwo(size) {
    const cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size));
    const sines = Float64Array.from({ length: size / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / size));
    const bits = Math.log2(size);
    const mirrored = Uint32Array.from({ length: size }, (_, i) => {
      let turned = 0;
      for (let bit = 0; bit < bits; bit += 1) turned |= ((i >> bit) & 1) << (bits - 1 - bit);
      return turned;
    });
    return (real, imaginary) => {
      for (let i = 0; i < size; i += 1) {
        const j = mirrored[i];
        if (j > i) {
          [real[i], real[j]] = [real[j], real[i]];
          [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
        }
      }
      for (let half = 1; half < size; half *= 2) {
        const step = size / (2 * half);
        for (let start = 0; start < size; start += 2 * half) {
          for (let k = 0; k < half; k += 1) {
            const one = start + k;
            const other = one + half;
            const c = cosines[k * step];
            const s = sines[k * step];
            const x = real[other] * c - imaginary[other] * s;
            const y = real[other] * s + imaginary[other] * c;
            real[other] = real[one] - x;
            imaginary[other] = imaginary[one] - y;
            real[one] += x;
            imaginary[one] += y;
          }
        }
      }
    };
  }

  /* Any other size, by a convolution with a chirp (Bluestein's way). */
  function chirped(size) {
    const length = 2 ** Math.ceil(Math.log2(2 * size - 1));
    const transform = powerOfTwo(length);
    const angle = (i) => (Math.PI * ((i * i) % (2 * size))) / size;
    const cosines = Float64Array.from({ length: size }, (_, i) => Math.cos(angle(i)));
    const sines = Float64Array.from({ length: size }, (_, i) => Math.sin(angle(i)));
    const real = new Float64Array(length);
    const imaginary = new Float64Array(length);
    for (let i = 0; i < size; i += 1) {
      for (const place of [i, (length - i) % length]) {
        real[place] = cosines[i];
        imaginary[place] = sines[i];
      }
    }
    transform(real, imaginary);
    return (samples) => {
      const x = new Float64Array(length);
      const y = new Float64Array(length);
      for (let i = 0; i < size; i += 1) {
        x[i] = samples[i] * cosines[i];
        y[i] = -samples[i] * sines[i];
      }
      transform(x, y);
      // The transform of the swapped parts, swapped again, is the way back.
      const back = new Float64Array(length);
      const backImaginary = new Float64Array(length);
      for (let i = 0; i < length; i += 1) {
        back[i] = x[i] * imaginary[i] + y[i] * real[i];
        backImaginary[i] = x[i] * real[i] - y[i] * imaginary[i];
      }
      transform(back, backImaginary);
      return Float64Array.from({ length: Math.floor(size / 2) + 1 }, (_, i) => (
        (back[i] ** 2 + backImaginary[i] ** 2) / length ** 2
      ));
    };
  }

  // Bands of frequency ---------------------------------------------------------------------------

  const LINEAR = 200 / 3;
  const KNEE = 1000;
  const STEP = Math.log(6.4) / 27;

  function mels(frequency) {
    return frequency < KNEE ? frequency / LINEAR : KNEE / LINEAR + Math.log(frequency / KNEE) / STEP;
  }

  function melEdges(count, low, high) {
    const [first, last] = [mels(low), mels(high)];
    return Array.from({ length: count + 2 }, (_, i) => {
      const mel = i === count + 1 ? last : first + (i * (last - first)) / (count + 1);
      return mel < KNEE / LINEAR ? mel * LINEAR : KNEE * Math.exp(STEP * (mel - KNEE / LINEAR));
    });
  }

  /* Return the weights of each band, lowest first: [{first, weights}] over the frequencies. */
  function bandsOf(adapter) {
    const lines = Math.floor(adapter.n_fft / 2) + 1;
    const at = Array.from({ length: lines }, (_, i) => (i * adapter.sample_rate) / adapter.n_fft);
    if (adapter.rows === "linear") {
      const [first, last] = adapter.lines;
      return Array.from({ length: last - first }, (_, i) => ({ first: first + i, weights: [1] }));
    }
    if (adapter.rows === "chroma") {
      const { shape, values } = adapter.weights;
      return Array.from({ length: shape[0] }, (_, row) => (
        trimmed(values.subarray(row * lines, (row + 1) * lines))
      ));
    }
    if (adapter.rows === "bands") {
      const edges = adapter.bands;
      return edges.slice(1).map((upper, i) => {
        const last = i === edges.length - 2;
        const inside = at.map((f) => f >= edges[i] && (f < upper || (last && f === upper)));
        const count = Math.max(inside.filter(Boolean).length, 1);
        return trimmed(inside.map((each) => (each ? Math.fround(1 / count) : 0)));
      });
    }
    const edges = melEdges(adapter.n_mels, adapter.fmin, adapter.fmax);
    return edges.slice(2).map((end, i) => {
      const [begin, peak] = [edges[i], edges[i + 1]];
      return trimmed(at.map((f) => {
        const triangle = Math.min((f - begin) / (peak - begin), (end - f) / (end - peak));
        return Math.fround(Math.max(triangle, 0) * (2 / (end - begin)));
      }));
    });
  }

  function trimmed(weights) {
    let first = 0;
    let last = weights.length;
    while (first < last && weights[first] === 0) first += 1;
    while (last > first && weights[last - 1] === 0) last -= 1;
    return { first, weights: Array.from(weights).slice(first, last) };
  }

  /* Return the power in each band (lowest first) at each time, a row of columns for each band. */
  function powerInBands(adapter, samples) {
    const size = adapter.n_fft;
    const half = Math.floor(size / 2);
    const bands = bandsOf(adapter);
    const transform = spectrum(size);
    const window = Float32Array.from(
      { length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size),
    );
    const { columns } = adapter;
    const made = bands.map(() => new Float32Array(columns));
    const part = new Float64Array(size);
    for (let frame = 0; frame < columns; frame += 1) {
      const start = frame * adapter.hop_length - half;
      for (let i = 0; i < size; i += 1) {
        const sample = samples[start + i];
        part[i] = sample === undefined ? 0 : Math.fround(sample * window[i]);
      }
      const found = transform(part);
      if (adapter.power !== 2) {
        for (let i = 0; i < found.length; i += 1) found[i] **= adapter.power / 2;
      }
      bands.forEach(({ first, weights }, band) => {
        let sum = 0;
        for (let i = 0; i < weights.length; i += 1) sum += weights[i] * found[first + i];
        made[band][frame] = sum;
      });
    }
    return made;
  }

  // The audio adapter ----------------------------------------------------------------------------

  /* Return the cells of a clip, {samples, rate}, as the audio adapter makes them. */
  function soundCells(adapter, clip) {
    const samples = oneLength(adapter, usedSamples(adapter, clip));
    return scaled(adapter, (LEVELS[adapter.rows] || usualLevels)(adapter, samples));
  }

  /* Levels are rows of numbers before they are scaled, highest first; of several channels, those of
     the first come first. */
  function usualLevels(adapter, samples) {
    const levels = decibels(adapter, powerInBands(adapter, samples));
    return (adapter.rows === "mfcc" ? coefficients(adapter, levels) : levels).reverse();
  }

  function noteLevels(adapter, samples) {
    return decibels({ ...adapter, power: 1 }, gridcnn.byLibrosa.noteMagnitudes(adapter, samples)).reverse();
  }

  const LEVELS = {
    chroma: (adapter, samples) => normalizedFrames(powerInBands(adapter, samples)).reverse(),
    cqt: noteLevels,
    vqt: noteLevels,
    pcen: (adapter, samples) => gridcnn.byLibrosa.normalizedEnergy(
      adapter, powerInBands({ ...adapter, power: 1 }, samples),
    ).reverse(),
    tempogram: (adapter, samples) => gridcnn.byLibrosa.tempi(
      adapter, powerInBands({ ...adapter, power: 2 }, samples), // the highest tempo is first already
    ),
    hpss: (adapter, samples) => {
      const lines = [0, Math.floor(adapter.n_fft / 2) + 1];
      const spectra = powerInBands({ ...adapter, rows: "linear", lines, power: 1 }, samples);
      const bands = bandsOf(adapter);
      const both = gridcnn.byLibrosa.harmonicAndPercussive(adapter, spectra)
        .map((rows) => rows.map((row) => row.map((value) => value ** adapter.power)))
        .map((rows) => bands.map((band) => weighed(band, rows)));
      // Both beside the loudest cell of the two, by which the one can be louder.
      const levels = decibels(adapter, both.flat());
      return [levels.slice(0, bands.length), levels.slice(bands.length)].flatMap((rows) => rows.reverse());
    },
  };

  /* The sum of rows by the weights of a band. */
  function weighed({ first, weights }, rows) {
    return rows[0].map((_, column) => (
      weights.reduce((sum, weight, i) => sum + weight * rows[first + i][column], 0)));
  }

  /* Return the samples of a clip at the adapter's rate: only those that a long clip is cut to. */
  function usedSamples(adapter, { samples, rate }) {
    if (!samples.length) throw new gridcnn.Problem("the clip has no samples: its sound lasts 0 s");
    if (samples.length > adapter.max_duration * rate) {
      throw new gridcnn.Problem(
        `it lasts ${(samples.length / rate).toFixed(1)} s; at most ${adapter.max_duration} s are taken`,
      );
    }
    for (const sample of samples) {
      if (!(Math.abs(sample) <= LOUDEST)) {
        throw new gridcnn.Problem("its samples are not finite numbers from about -1 to 1");
      }
    }
    const count = resampledCount(samples.length, rate, adapter.sample_rate);
    if (!count) throw new gridcnn.Problem("the clip is too short: it has no sample at the model's rate");
    if (adapter.trim_db === null) {
      return resampled(samples, rate, adapter.sample_rate, ...excerpt(adapter, count), adapter.filters);
    }
    const all = resampled(samples, rate, adapter.sample_rate, 0, count, adapter.filters);
    const trimmedClip = all.slice(...sounding(adapter, all));
    return trimmedClip.slice(...excerpt(adapter, trimmedClip.length));
  }

  function excerpt(adapter, count) {
    const over = Math.max(0, count - adapter.samples);
    const start = adapter.longer === "centre" ? Math.floor(over / 2) : 0;
    return [start, Math.min(count, start + adapter.samples)];
  }

  /* Return the part without the silence at both ends. */
  function sounding(adapter, samples) {
    const { n_fft: size, hop_length: hop } = adapter;
    const half = Math.floor(size / 2);
    const sums = new Float64Array(samples.length + 2 * half + 1);
    for (let i = 0; i < sums.length - 1; i += 1) {
      const sample = samples[i - half] || 0;
      sums[i + 1] = sums[i] + sample * sample;
    }
    const frames = 1 + Math.floor((samples.length + 2 * half - size) / hop);
    const loudness = Float64Array.from({ length: frames }, (_, t) => (
      Math.max((sums[t * hop + size] - sums[t * hop]) / size, 1e-10)
    ));
    const limit = loudness.reduce((one, other) => Math.max(one, other)) * 10 ** (-adapter.trim_db / 10);
    const first = loudness.findIndex((each) => each > limit);
    const last = loudness.length - 1 - [...loudness].reverse().findIndex((each) => each > limit);
    const start = Math.min(first * hop, samples.length - 1);
    return [start, Math.min((last + 1) * hop, samples.length)];
  }

  function oneLength(adapter, samples) {
    const missing = adapter.samples - samples.length;
    if (missing <= 0) return samples;
    const whole = new Float32Array(adapter.samples);
    if (adapter.shorter === "repeat") return whole.map((_, i) => samples[i % samples.length]);
    whole.set(samples, adapter.shorter === "centre" ? Math.floor(missing / 2) : 0);
    return whole;
  }

  function largestOf(levels) {
    return levels.reduce((most, row) => row.reduce((one, other) => Math.max(one, other), most), 0);
  }

  function decibels(adapter, bands) {
    const lowest = Math.fround(10 ** ((-adapter.floor_db * adapter.power) / 20));
    const reference = adapter.reference === "max" ? largestOf(bands) : adapter.reference;
    if (!(reference > 0)) return bands.map((row) => row.fill(-adapter.floor_db));
    const factor = 20 / adapter.power;
    return bands.map((row) => row.map(
      (value) => factor * Math.log10(Math.max(Math.fround(value / reference), lowest)),
    ));
  }

  function normalizedFrames(bands) {
    return bands.map((row) => row.map((value, t) => {
      const most = bands.reduce((one, other) => Math.max(one, other[t]), 0);
      return most > 1.2e-38 ? value / most : value;
    }));
  }

  /* The cosine transform of bands: mel-frequency cepstral coefficients. */
  function coefficients(adapter, bands) {
    const count = bands.length;
    const cells = adapter.scaling === "range"
      ? bands.map((row) => row.map((value) => inRange(adapter, value) / Math.sqrt(count)))
      : bands;
    return Array.from({ length: adapter.n_mfcc }, (_, order) => {
      const scale = Math.sqrt((order === 0 ? 1 : 2) / count);
      const factors = cells.map((__, band) => (
        Math.fround(scale * Math.cos((Math.PI * order * (2 * band + 1)) / (2 * count)))
      ));
      return Float32Array.from({ length: adapter.columns }, (__, t) => (
        cells.reduce((sum, row, band) => sum + factors[band] * row[t], 0)
      ));
    });
  }

  function inRange(adapter, level) {
    if (adapter.rows === "chroma" || adapter.rows === "tempogram") return level * 2 - 1;
    return level * (2 / adapter.floor_db) + 1;
  }

  function rangeOfEnergy({ reference }, levels) {
    const top = reference === "max" ? largestOf([levels]) : reference;
    return (level) => level * (2 / (top > 0 ? top : 1)) - 1;
  }

  /* Return rows of levels, highest first, as cells. */
  function scaled(adapter, levels) {
    const cells = new Float32Array(levels.length * adapter.columns);
    levels.forEach((row, i) => cells.set(row, i * adapter.columns));
    if (adapter.scaling === "range") {
      if (adapter.rows === "pcen") return cells.map(rangeOfEnergy(adapter, cells));
      return adapter.rows === "mfcc" ? cells : cells.map((level) => inRange(adapter, level));
    }
    if (adapter.scaling === "band") {
      return cells.map((level, i) => {
        const row = Math.floor(i / adapter.columns);
        return (level - Math.fround(adapter.means[row])) / Math.fround(adapter.deviations[row]);
      });
    }
    let mean = 0;
    for (const level of cells) mean += level;
    mean /= cells.length;
    let spread = 0;
    for (const level of cells) spread += (level - mean) ** 2;
    spread = Math.sqrt(spread / cells.length);
    return cells.map((level) => (level - mean) / (spread > 1e-4 ? spread : 1));
  }

  // Files ----------------------------------------------------------------------------------------

  function name(view, place) {
    return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(place + i)));
  }

  /* Return a WAV file of plain numbers as {samples, rate}, the mean of its channels; null if it
     needs the browser's decoder. */
  function wave(buffer) {
    const view = new DataView(buffer);
    if (buffer.byteLength < 12 || name(view, 0) !== "RIFF" || name(view, 8) !== "WAVE") return null;
    let form = null;
    for (let place = 12; place + 8 <= buffer.byteLength;) {
      const size = view.getUint32(place + 4, true);
      const chunk = name(view, place);
      place += 8;
      if (chunk === "fmt " && size >= 16 && place + size <= buffer.byteLength) {
        const tag = view.getUint16(place, true);
        form = {
          tag: tag === 0xfffe && size >= 40 ? view.getUint16(place + 24, true) : tag,
          channels: view.getUint16(place + 2, true),
          rate: view.getUint32(place + 4, true),
          bits: view.getUint16(place + 14, true),
        };
      } else if (chunk === "data") {
        return form && samplesOf(view, place, Math.min(size, buffer.byteLength - place), form);
      }
      place += size + (size % 2);
    }
    return null;
  }

  function samplesOf(view, start, size, { tag, channels, rate, bits }) {
    const read = READERS[`${tag}:${bits}`];
    if (!read || !channels || !rate) return null;
    const bytes = bits / 8;
    const samples = new Float32Array(Math.floor(size / (bytes * channels)));
    for (let i = 0; i < samples.length; i += 1) {
      let sum = 0;
      for (let channel = 0; channel < channels; channel += 1) {
        sum = Math.fround(sum + Math.fround(read(view, start + (i * channels + channel) * bytes)));
      }
      samples[i] = sum / channels;
    }
    return { samples, rate };
  }

  const READERS = {
    "1:8": (view, at) => (view.getUint8(at) - 128) / 128,
    "1:16": (view, at) => view.getInt16(at, true) / 32768,
    "1:24": (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8388608,
    "1:32": (view, at) => view.getInt32(at, true) / 2147483648,
    "3:32": (view, at) => view.getFloat32(at, true),
    "3:64": (view, at) => view.getFloat64(at, true),
  };

  /* Return the sample rate that a compressed file declares, so that the browser does not convert
     it; null if it is not known. */
  function declaredRate(buffer) {
    const view = new DataView(buffer);
    const text = String.fromCharCode(...new Uint8Array(buffer.slice(0, 512)));
    if (text.startsWith("fLaC")) return view.getUint32(18) >>> 12;
    const vorbis = text.indexOf("\u0001vorbis");
    if (vorbis >= 0) return view.getUint32(vorbis + 12, true);
    if (text.includes("OpusHead") || text.includes("OpusTags")) return 48000;
    let place = 0;
    if (text.startsWith("ID3")) {
      place = 10 + [6, 7, 8, 9].reduce((size, i) => size * 128 + view.getUint8(i), 0);
    }
    if (place + 4 <= buffer.byteLength && (view.getUint16(place) & 0xffe0) === 0xffe0) {
      const rate = [44100, 48000, 32000][(view.getUint8(place + 2) >> 2) & 3];
      return rate / [4, 1, 2, 1][(view.getUint8(place + 1) >> 3) & 3] || null;
    }
    return null;
  }

  /* Return a clip as the content of a WAV file of 16 bits, as `gridcnn predict` reads it. */
  function waveFile({ samples, rate }) {
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const write = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    write(0, "RIFF");
    view.setUint32(4, 36 + 2 * samples.length, true);
    write(8, "WAVEfmt ");
    [[16, 16], [24, rate], [28, 2 * rate], [40, 2 * samples.length]].forEach(
      ([at, value]) => view.setUint32(at, value, true),
    );
    [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, value]) => view.setUint16(at, value, true));
    write(36, "data");
    samples.forEach((sample, i) => view.setInt16(
      44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), true,
    ));
    return view.buffer;
  }

  gridcnn.sounds = { declaredRate, powerOfTwo, resampled, soundCells, wave, waveFile };
})();
