"""Spectrograms: samples as power in bands of frequency over time, in decibels.

Every function agrees with the one of librosa that its docstring names. They are reimplemented since
importing librosa takes seconds, and an answer takes milliseconds.
"""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

_AT_ONCE = 504 * 512
"""Samples under windows that are transformed together, of one clip or of several. Of fewer, most
time would be spent between calls to NumPy, in which threads wait for each other; of more, what
comes of them would leave the caches of a core."""
_ALONE = 2**18  # multiplications up to which BLAS starts no threads: waiting for them takes longer
_PARTS = 4  # parts of the bands, each of which is a product of its own: more make it no faster
_LINEAR = 200 / 3  # Slaney's scale has a mel for every 66.7 Hz up to 1000 Hz ...
_KNEE = 1000.0
_STEP = np.log(6.4) / 27  # ... and 27 for a factor of 6.4 above


def frames_of(samples: int, *, n_fft: int, hop_length: int) -> int:
    """Return how many frames `power_in_bands` returns for so many samples."""
    return 1 + (samples + 2 * (n_fft // 2) - n_fft) // hop_length


def power_in_bands(
    samples: Values, weights: Values | slice, *, n_fft: int, hop_length: int, power: float
) -> Values:
    """Return the power in each band at each time, float32 `(..., bands, frames)`.

    Frame `t` is seen through a Hann window of `n_fft` samples around the sample `t * hop_length`;
    before the first and after the last sample there are zeros (`librosa.stft`, with its usual
    settings). The absolute values of its Fourier transform, raised to `power`, are summed with the
    weights of each band (`librosa.feature.melspectrogram` for mel weights).

    Each clip gives the same bits alone and among others.

    Args:
        samples: one clip `(samples)`, or several `(clips, samples)`; at least one sample.
        weights: of each frequency of the transform in each band, `(bands, n_fft // 2 + 1)`; or a
            slice of the frequencies, each a band of its own.
        n_fft: samples under the window.
        hop_length: samples from one frame to the next.
        power: 1 for magnitudes, 2 for power.
    """
    *clips, length = samples.shape
    half, count = n_fft // 2, frames_of(length, n_fft=n_fft, hop_length=hop_length)
    padded = np.zeros((*clips, length + 2 * half), np.float32)
    padded[..., half : half + length] = samples
    # A window begins `hop_length` samples after the one before; nothing is copied.
    windows: Values = np.ndarray(
        (*clips, count, n_fft),
        np.float32,
        buffer=padded,
        strides=(*padded.strides[:-1], 4 * hop_length, 4),
    )
    window = _scaled_hann(n_fft)
    rows = weights.stop - weights.start if isinstance(weights, slice) else len(weights)
    bands: Values = np.empty((*clips, rows, count), np.float32)
    step = frames_at_once(n_fft)
    for start in range(0, count, step):
        # Without "forward", by which all is divided by `n_fft`, NumPy takes the way through double
        # precision, with twice the memory. NumPy 1 always does.
        spectrum = np.fft.rfft(windows[..., start : start + step, :] * window, norm="forward")
        parts = spectrum.astype(np.complex64, copy=False).view(np.float32)
        parts *= parts
        squares: Values = parts[..., ::2] + parts[..., 1::2]
        if power != 2:
            squares **= np.float32(power / 2)
        part = squares[..., weights] if isinstance(weights, slice) else sum_bands(squares, weights)
        bands[..., start : start + step] = part.swapaxes(-1, -2)
    return bands


def frames_at_once(n_fft: int) -> int:
    """Return how many frames are transformed together."""
    return max(1, _AT_ONCE // n_fft)


def sum_bands(squares: Values, weights: Values) -> Values:
    """Return the product `squares @ weights.T`, `(..., frames, bands)`, in pieces small enough.

    `squares` are `(..., frames, lines)`, and `weights` `(bands, lines)`.

    The pieces of a clip have the same sizes whatever is beside it: BLAS adds up in another order if
    there are more rows.
    """
    *clips, frames, lines = squares.shape
    piece = max(1, _ALONE // weights.size)
    whole = frames // piece * piece
    pieces = squares[..., :whole, :].reshape(*clips, whole // piece, piece, lines)
    rest = squares[..., whole:, :]
    sums: Values = np.empty((*clips, frames, len(weights)), np.float32)
    sums_of_pieces = sums[..., :whole, :].reshape(*clips, whole // piece, piece, len(weights))
    for part in _parts_of(_Same(weights)):
        # Not with `out`: NumPy would keep BLAS from results that lie apart.
        sums_of_pieces[..., part.bands] = pieces[..., part.lines] @ part.weights
        if whole < frames:
            sums[..., whole:, part.bands] = rest[..., part.lines] @ part.weights
    return sums


class _Part(NamedTuple):
    """Some bands, the lines of the transform that they need, and the weights of these."""

    bands: slice
    lines: slice
    weights: Values


class _Same:
    """An array as a key, which equals only itself."""

    def __init__(self, array: Values) -> None:
        self.array = array

    def __hash__(self) -> int:
        return id(self.array)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.array is other.array


@functools.lru_cache(maxsize=16)
def _parts_of(weights: _Same) -> tuple[_Part, ...]:
    """Return weights in parts without most of the zeros: a band has few lines beside 0."""
    array = weights.array
    edges = np.linspace(0, len(array), min(_PARTS, len(array)) + 1).astype(int).tolist()
    parts = []
    for first, last in pairwise(edges):
        lines = np.flatnonzero(array[first:last].any(axis=0)).tolist() or [0]
        used = slice(lines[0], lines[-1] + 1)
        parts.append(_Part(slice(first, last), used, array[first:last, used].T.copy()))
    return tuple(parts)


def decibels(bands: Values, *, power: float, reference: float | None, floor_db: float) -> Values:
    """Return `20 / power * log10(bands / reference)`, at least `-floor_db`.

    With `power` 2 this is `librosa.power_to_db`, with 1 `librosa.amplitude_to_db`. If
    `reference` is None, it is the largest value of each clip in `bands`, `(..., bands, frames)`; if
    there is no sound in a clip at all, all of it is `-floor_db`.
    """
    lowest = np.float32(10.0 ** (-floor_db * power / 20))
    if reference is None:
        top = bands.max(axis=(-2, -1), keepdims=True)
        silent = top <= 0
        levels: Values = np.maximum(bands / np.where(silent, np.float32(1), top), lowest)
    else:
        silent = np.False_
        levels = np.maximum(bands / np.float32(reference), lowest)
    np.log10(levels, out=levels)
    levels *= np.float32(20 / power)
    # The logarithm of the lowest value is the floor, but for rounding.
    np.copyto(levels, np.float32(-floor_db), where=silent)
    return levels


def sounding(samples: Values, *, n_fft: int, hop_length: int, trim_db: float) -> slice:
    """Return the part of the samples without the silence at both ends (`librosa.effects.trim`).

    Around every sample `t * hop_length` the mean square of `n_fft` samples is taken, at least
    1e-10. What lies before the first and after the last frame that is less than `trim_db` under the
    loudest one is silence.
    """
    half = n_fft // 2
    squares = np.pad(samples.astype(np.float64) ** 2, half)
    sums = np.concatenate([[0.0], np.cumsum(squares)])
    starts = np.arange(frames_of(len(samples), n_fft=n_fft, hop_length=hop_length)) * hop_length
    # A sum of squares cannot be negative; a difference of two long sums can, by rounding.
    loudness = np.maximum((sums[starts + n_fft] - sums[starts]) / n_fft, 1e-10)
    loud = np.flatnonzero(loudness > loudness.max() * 10.0 ** (-trim_db / 10))
    first = min(int(loud[0]) * hop_length, len(samples) - 1)
    return slice(first, min((int(loud[-1]) + 1) * hop_length, len(samples)))


@functools.cache
def _scaled_hann(n_fft: int) -> Values:
    """Return the periodic Hann window times `n_fft`, float32 `(n_fft)`."""
    turn = 2 * np.pi * np.arange(n_fft) / n_fft
    values: Values = (0.5 - 0.5 * np.cos(turn)).astype(np.float32) * np.float32(n_fft)
    return values


def frequencies(sample_rate: int, n_fft: int) -> NDArray[np.float64]:
    """Return the frequencies of the transform, in Hz, `(n_fft // 2 + 1)`."""
    steps: NDArray[np.float64] = np.arange(n_fft // 2 + 1) * np.float64(sample_rate / n_fft)
    return steps


def mel_edges(n_mels: int, fmin: float, fmax: float) -> NDArray[np.float64]:
    """Return where mel bands begin, peak and end, in Hz, `(n_mels + 2)`.

    Band `b` begins at entry `b`, peaks at `b + 1` and ends at `b + 2`. They are spaced evenly on
    the scale of M. Slaney's Auditory Toolbox, 1998 (`librosa.mel_frequencies`).
    """
    low, high = (_mels(frequency) for frequency in (fmin, fmax))
    mels = np.linspace(low, high, n_mels + 2)
    knee = _KNEE / _LINEAR
    above = _KNEE * np.exp(_STEP * (np.maximum(mels, knee) - knee))
    return np.where(mels < knee, mels * _LINEAR, above)


def _mels(frequency: float) -> float:
    if frequency < _KNEE:
        return frequency / _LINEAR
    return float(_KNEE / _LINEAR + np.log(frequency / _KNEE) / _STEP)


@functools.lru_cache(maxsize=16)
def mel_weights(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Values:
    """Return the weights of triangular mel bands, lowest first, `(n_mels, n_fft // 2 + 1)`.

    Each triangle has the area 1 over Hz (`librosa.filters.mel`, with its usual settings).
    """
    edges = mel_edges(n_mels, fmin, fmax)[:, None]
    begin, peak, end = edges[:-2], edges[1:-1], edges[2:]
    at = frequencies(sample_rate, n_fft)
    triangles = np.minimum((at - begin) / (peak - begin), (end - at) / (end - peak))
    values: Values = (np.maximum(triangles, 0) * (2 / (end - begin))).astype(np.float32)
    return values


@functools.lru_cache(maxsize=16)
def band_weights(sample_rate: int, n_fft: int, edges: tuple[float, ...]) -> Values:
    """Return weights that take the mean between edges in Hz, `(len(edges) - 1, n_fft // 2 + 1)`.

    A band has the frequencies of the transform from its lower edge up to, but without, its upper
    edge; the last band has its upper edge too. A band without any has no weight at all.
    """
    at = frequencies(sample_rate, n_fft)
    lower, upper = np.array(edges[:-1])[:, None], np.array(edges[1:])[:, None]
    inside = (at >= lower) & ((at < upper) | ((at == edges[-1]) & (upper == edges[-1])))
    values: Values = (inside / np.maximum(inside.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    return values


@functools.lru_cache(maxsize=16)
def cosines(n_mfcc: int, n_mels: int) -> Values:
    """Return the first rows of the orthonormal cosine transform, type II, `(n_mfcc, n_mels)`.

    Its product with mel bands in decibels are mel-frequency cepstral coefficients
    (`librosa.feature.mfcc`).
    """
    order, band = np.arange(n_mfcc)[:, None], np.arange(n_mels)
    rows = np.sqrt(2 / n_mels) * np.cos(np.pi * order * (2 * band + 1) / (2 * n_mels))
    rows[0] = np.sqrt(1 / n_mels)
    transform: Values = rows.astype(np.float32)
    return transform
