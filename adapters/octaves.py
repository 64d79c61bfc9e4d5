"""Notes in clips, octave by octave: what `librosa.vqt` computes, and a page too.

The filters of one octave match the spectrum of the samples, which are then halved, so that the next
octave needs no longer spectrum.

librosa makes the filters, but does not apply them: from version 1.0 on it halves the samples later
if the highest note is above two fifths of the sample rate, and a model has to give the same answers
with every version.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridcnn.adapters.by_librosa import Notes, load_librosa
from gridcnn.adapters.spectrogram import Values, frames_at_once

_SPARSITY = 0.01  # the part of each filter that librosa leaves out; its usual setting


@dataclass(frozen=True)
class Octave:
    """Filters of at most one octave.

    Attributes:
        ratio: how many times fewer samples there are than before, for the octave above.
        hop: samples from one frame to the next.
        size: samples under the window of a frame.
        lines: which of the `size // 2 + 1` lines of the transform any filter uses.
        filters: the sparse weights of these lines, lowest note first, complex64 `(notes, lines)`.
    """

    ratio: int
    hop: int
    size: int
    lines: slice
    filters: Any


def least_samples(notes: Notes, sample_rate: int) -> int:
    """Return how many samples a clip has to have, with silence after it: as many as a filter."""
    return int(2 ** math.ceil(math.log2(max(1.0, notes.longest * sample_rate))))


@functools.lru_cache(maxsize=16)
def octaves_of(notes: Notes, *, sample_rate: int, hop_length: int) -> tuple[Octave, ...]:
    """Return the octaves, highest first."""
    librosa = load_librosa()
    rate, hop = float(sample_rate), hop_length
    ratio = 2 ** _halvings_before(notes, sample_rate, hop_length)
    rate, hop = rate / ratio, hop // ratio
    top_rate = rate
    widths = np.full(notes.count, notes.bandwidth)
    frequencies = notes.frequencies
    shape: dict[str, Any] = {"window": "hann", "filter_scale": 1, "gamma": notes.gamma}
    lengths, _ = librosa.filters.wavelet_lengths(
        freqs=frequencies, sr=top_rate, alpha=widths, **shape
    )
    octaves: list[Octave] = []
    stop = notes.count
    while stop > 0:
        own = slice(max(0, stop - notes.per_octave), stop)
        basis, samples = librosa.filters.wavelet(
            freqs=frequencies[own], sr=rate, norm=1, pad_fft=True, alpha=widths[own], **shape
        )
        size = basis.shape[1]
        spectra = np.fft.fft(basis * (samples[:, None] / size), axis=1)[:, : size // 2 + 1]
        spectra *= np.sqrt(top_rate / rate) / np.sqrt(lengths[own, None])
        filters = librosa.util.sparsify_rows(spectra, quantile=_SPARSITY, dtype=np.complex64)
        used = filters.indices
        lines = slice(int(used.min()), int(used.max()) + 1)
        octaves.append(Octave(ratio, hop, size, lines, filters[:, lines]))
        stop = own.start
        ratio = 2 if hop % 2 == 0 else 1
        rate, hop = rate / ratio, hop // ratio
    return tuple(octaves)


def note_magnitudes(
    clips: Values, notes: Notes, *, sample_rate: int, hop_length: int, frames: int
) -> Values:
    """Return how strong each note is, lowest first, `(clips, notes, frames)`.

    This is the absolute value of `librosa.vqt`, which with `gamma` 0 is `librosa.cqt`; in librosa
    1.0, if no note is above two fifths of the sample rate.

    Args:
        clips: `(clips, samples)`.
        notes: the filters.
        sample_rate: samples per second.
        hop_length: samples from one frame to the next.
        frames: how many frames there are, `1 + samples // hop_length`.
    """
    octaves = octaves_of(notes, sample_rate=sample_rate, hop_length=hop_length)
    missing = max(0, least_samples(notes, sample_rate) - clips.shape[1])
    magnitudes = np.empty((len(clips), notes.count, frames), np.float32)
    for clip, own in zip(clips, magnitudes, strict=True):
        samples, stop = np.pad(clip, (0, missing)), notes.count
        for octave in octaves:
            samples = _reduce(samples, octave.ratio)
            start = stop - octave.filters.shape[0]
            own[start:stop] = _match(samples, octave, frames)
            stop = start
    return magnitudes


def _reduce(samples: Values, ratio: int) -> Values:
    """Return samples at a rate that is so many times lower, with the same power."""
    if ratio == 1:
        return samples
    import soxr

    count = math.ceil(len(samples) / ratio)
    reduced = soxr.resample(samples, ratio, 1, quality="HQ")[:count]
    return np.pad(reduced * np.float32(math.sqrt(ratio)), (0, count - len(reduced)))


def _match(samples: Values, octave: Octave, frames: int) -> Values:
    """Return how strong the notes of an octave are, `(notes, frames)`."""
    import scipy.fft

    size = octave.size
    padded = np.pad(samples, (size // 2, size))
    # A window begins `hop` samples after the one before; nothing is copied.
    windows: Values = np.ndarray(
        (frames, size), np.float32, buffer=padded, strides=(4 * octave.hop, 4)
    )
    magnitudes = np.empty((octave.filters.shape[0], frames), np.float32)
    step = frames_at_once(size)
    for start in range(0, frames, step):
        spectrum = scipy.fft.rfft(windows[start : start + step])[:, octave.lines]
        magnitudes[:, start : start + step] = np.abs(octave.filters @ spectrum.T)
    return magnitudes


def _halvings_before(notes: Notes, sample_rate: int, hop_length: int) -> int:
    """Return how often the samples are halved before the first octave, to save time."""
    octaves = math.ceil(notes.count / notes.per_octave)
    room = math.ceil(math.log2(sample_rate / 2 / notes.highest_reach)) - 2
    twos = (hop_length & -hop_length).bit_length() - 1
    return max(0, min(room, twos - octaves + 1))
