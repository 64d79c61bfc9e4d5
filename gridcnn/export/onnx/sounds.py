"""The audio adapter in ONNX: samples as spectrograms.

The Fourier transform is a convolution with cosines and sines. In ONNX Runtime this is 2.5 times as
fast as the STFT operator for windows of 256 samples, and 1.5 times for 512; the operator is faster
from 1,024 on, but OpenVINO takes it for fixed sizes alone, and windows of other lengths than powers
of two lose three digits by it. Any version of the operators has convolutions.
"""

from __future__ import annotations

import numpy as np

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.spectrogram import band_weights, cosines, frequencies, mel_weights
from gridcnn.export.onnx.adapters import Feed, refuse
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.values import Value, concat, constant, count_up, where
from gridcnn.grid import Array

_KINDS = ("mel", "linear", "bands", "mfcc")
_QUIETEST = 1e-10  # a mean square that is silence in any case


def add_sounds(graph: Graph, adapter: AudioAdapter) -> Feed:
    """Add the input and all that the audio adapter does with it.

    Raises:
        UserError: it makes grids that librosa computes.
    """
    refuse([] if adapter.kind in _KINDS else [f"'kind: {adapter.kind}' of audio"], "")
    given = graph.input("samples", np.float32, ("items", "samples"))
    samples = Value(graph, given, np.dtype(np.float32))
    length = max(1, round((adapter.duration or 0) * adapter.sample_rate))
    clips = _of_one_length(adapter, samples, length)
    levels = _levels(adapter, clips)
    about = (
        f"samples (items, samples) of one channel at {adapter.sample_rate} Hz, -1 to 1, all clips "
        "of a batch of one length"
    )
    return Feed(levels.unsqueeze(1).name, about, "samples")


def _of_one_length(adapter: AudioAdapter, samples: Value, length: int) -> Value:
    """Return clips of `length` samples: cut off, filled up, and without silence at both ends."""
    graph, there = samples.graph, samples.size(1)
    if adapter.trim_db is None:
        start, stop = there * 0, there
    else:
        start, stop = _sounding(adapter, samples, adapter.trim_db)
    # Which sample of the input each sample of the result is; start and stop are `(items | 1,)`.
    count = stop - start
    places = constant(graph, np.arange(length)[None], np.int64)
    zero = constant(graph, 0, np.int64)
    two = constant(graph, 2, np.int64)
    if adapter.longer == "centre":
        before = (count - length).maximum(0).apply("Div", two)
    else:
        before = count * zero
    if adapter.shorter == "repeat":
        kept = count.minimum(length)
        chosen = places.apply("Mod", kept.unsqueeze(1)) + (start + before).unsqueeze(1)
        return _gather(samples, chosen)
    if adapter.shorter == "centre":
        before = before - (length - count).maximum(0).apply("Div", two)
    chosen = places + (start + before).unsqueeze(1)
    is_sound = ~(chosen < start.unsqueeze(1)) & (chosen < stop.unsqueeze(1))
    inside = chosen.maximum(start.unsqueeze(1)).minimum((stop - 1).unsqueeze(1))
    return where(is_sound, _gather(samples, inside), 0.0)


def _gather(samples: Value, chosen: Value) -> Value:
    """Return the samples at places `(items | 1, samples)`."""
    graph = samples.graph
    sizes = concat([samples.size(0), chosen.size(1)], 0)
    places = chosen.apply("Expand", sizes)
    return Value(
        graph, graph.node("GatherElements", samples.name, places.name, axis=1), samples.dtype
    )


def _sounding(adapter: AudioAdapter, samples: Value, trim_db: float) -> tuple[Value, Value]:
    """Return where clips begin and end without the silence at both ends, int64 `(items,)`."""
    graph, hop, n_fft = samples.graph, adapter.hop_length, adapter.n_fft
    half, length = n_fft // 2, samples.size(1)
    squares = (samples * samples).unsqueeze(1)
    # A mean of all samples under a window; what lies beyond the clip counts as 0.
    means = graph.node(
        "AveragePool",
        squares.name,
        kernel_shape=[n_fft],
        strides=[hop],
        pads=[half, half],
        count_include_pad=1,
    )
    loudness = Value(graph, means, squares.dtype).squeeze(1).maximum(_QUIETEST)
    is_loud = loudness > loudness.max(1) * 10.0 ** (-trim_db / 10)
    frames = count_up(loudness.size(1)).unsqueeze(0)
    first = where(is_loud, frames, 2**31 - 1).min(1, keep=False)
    last = where(is_loud, frames, -1).max(1, keep=False)
    start = (first * hop).minimum(length - 1)
    return start, ((last + 1) * hop).minimum(length)


def _levels(adapter: AudioAdapter, clips: Value) -> Value:
    """Return the cells of clips, the highest row first, `(items, rows, columns)`."""
    bands = _bands(adapter, clips)
    levels = _decibels(adapter, bands)
    if adapter.kind == "mfcc":
        if adapter.scaling == "range":
            levels = _in_range(adapter, levels) / np.sqrt(adapter.n_mels)
        transform = cosines(adapter.n_mfcc, adapter.n_mels)
        levels = constant(clips.graph, transform, np.float32) @ levels
    levels = levels.flip(1)
    if adapter.scaling == "range":
        return levels if adapter.kind == "mfcc" else _in_range(adapter, levels)
    if adapter.scaling == "clip":
        # Twice, since the mean of many numbers is rounded.
        centred = levels - levels.mean(1, 2)
        centred = centred - centred.mean(1, 2)
        spread = (centred * centred).mean(1, 2).sqrt()
        return centred / where(spread > 1e-4, spread, 1.0)
    rows = (1, -1, 1)
    means, deviations = np.array(adapter.means), np.array(adapter.deviations)
    return (levels - means.reshape(rows)) / deviations.reshape(rows)


def _bands(adapter: AudioAdapter, clips: Value) -> Value:
    """Return the power in each band, the lowest first, `(items, bands, columns)`."""
    lines, weights = _weights(adapter)
    turn = 2 * np.pi * np.arange(adapter.n_fft) / adapter.n_fft
    window = (0.5 - 0.5 * np.cos(turn)).astype(np.float32)
    squares = _transform(adapter, clips, window, lines)
    if adapter.power != 2:
        squares = squares.sqrt() if adapter.power == 1 else squares ** (adapter.power / 2)
    if weights is None:
        return squares
    return constant(clips.graph, weights, np.float32, "bands") @ squares


def _transform(adapter: AudioAdapter, clips: Value, window: Array, lines: slice) -> Value:
    """Return the squares of the Fourier transform, `(items, lines, columns)`."""
    n_fft = adapter.n_fft
    angles = np.outer(np.arange(n_fft // 2 + 1), 2 * np.pi * np.arange(n_fft) / n_fft)[lines]
    waves = np.concatenate([np.cos(angles), -np.sin(angles)]) * window.astype(np.float64)
    spectrum = clips.graph.node(
        "Conv",
        clips.unsqueeze(1).name,
        clips.graph.constant(waves[:, None], name="waves"),
        strides=[adapter.hop_length],
        pads=[n_fft // 2, n_fft // 2],
    )
    parts = Value(clips.graph, spectrum, clips.dtype)
    parts, count = parts * parts, len(angles)
    return parts.part(0, count, 1) + parts.part(count, 2 * count, 1)


def _weights(adapter: AudioAdapter) -> tuple[slice, Array | None]:
    """Return which lines of the transform are used, and what each of them counts in each band."""
    fmax = adapter.sample_rate / 2 if adapter.fmax is None else adapter.fmax
    at = frequencies(adapter.sample_rate, adapter.n_fft)
    if adapter.kind == "linear":
        inside = np.flatnonzero((at >= adapter.fmin) & (at <= fmax))
        return slice(int(inside[0]), int(inside[-1]) + 1), None
    if adapter.kind == "bands":
        assert adapter.bands is not None
        weights = band_weights(adapter.sample_rate, adapter.n_fft, adapter.bands)
    else:
        weights = mel_weights(
            adapter.sample_rate, adapter.n_fft, adapter.n_mels, adapter.fmin, fmax
        )
    used = np.flatnonzero(weights.any(axis=0))
    lines = slice(int(used[0]), int(used[-1]) + 1)
    return lines, weights[:, lines]


def _decibels(adapter: AudioAdapter, bands: Value) -> Value:
    """Return bands in decibels below the reference."""
    floor = adapter.floor_db
    lowest = 10.0 ** (-floor * adapter.power / 20)
    factor = float(20 / adapter.power / np.log(10))
    if not isinstance(adapter.reference, str):
        return (bands / float(adapter.reference)).maximum(lowest).log() * factor
    top = bands.max(1, 2)
    is_silent = ~(top > 0)
    levels = (bands / where(is_silent, 1.0, top)).maximum(lowest).log() * factor
    return where(is_silent, -floor, levels)


def _in_range(adapter: AudioAdapter, levels: Value) -> Value:
    """Return decibels, of which the floor becomes -1, and the reference 1."""
    return levels * (2 / adapter.floor_db) + 1.0
