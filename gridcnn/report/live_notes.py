"""The filters of notes (`cqt`, `vqt`) as tables for a page: what `librosa.vqt` makes of settings.

librosa goes down by octaves: the filters of one octave match the spectrum of the samples, which are
then halved, so that the next octave needs no longer spectrum.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gridcnn.adapters.by_librosa import Notes
from gridcnn.report.live_rates import edge_of, measure_filter

_SPARSITY = 0.01  # the part of each filter that librosa leaves out; its usual setting


def note_filters(notes: Notes, *, sample_rate: int, hop_length: int) -> dict[str, Any]:
    """Return the octaves, highest first, `{least, filters, octaves}`.

    `least` is how many samples a clip has to have, with silence behind it. `filters` are those of
    soxr for each ratio, as `rate_filters` has them. An octave is `{ratio, hop, size, first, count,
    real, imaginary}`: samples become fewer by `ratio` before it; filters, lowest first, weigh
    `count` lines of a spectrum of `size` samples from the line `first` on.
    """
    import librosa

    wavelet: Any = librosa.filters.wavelet  # its types know no widths of several notes

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
    octaves: list[dict[str, Any]] = []
    stop = notes.count
    while stop > 0:
        own = slice(max(0, stop - notes.per_octave), stop)
        basis, samples = wavelet(
            freqs=frequencies[own], sr=rate, norm=1, pad_fft=True, alpha=widths[own], **shape
        )
        size = basis.shape[1]
        spectra = np.fft.fft(basis * (samples[:, None] / size), axis=1)[:, : size // 2 + 1]
        spectra = librosa.util.sparsify_rows(spectra, quantile=_SPARSITY).toarray()
        spectra *= np.sqrt(top_rate / rate) / np.sqrt(lengths[own, None])
        octaves.append({"ratio": ratio, "hop": hop, "size": size, **_sparse(spectra)})
        stop = own.start
        ratio = 2 if hop % 2 == 0 else 1
        rate, hop = rate / ratio, hop // ratio
    ratios = sorted({octave["ratio"] for octave in octaves} - {1})
    return {
        "least": 2 ** math.ceil(math.log2(max(1.0, notes.longest * sample_rate))),
        "filters": [{**measure_filter(each, 1), "edge": edge_of(each, 1)} for each in ratios],
        "octaves": octaves,
    }


def _halvings_before(notes: Notes, sample_rate: int, hop_length: int) -> int:
    """Return how often librosa halves the samples before the first octave, to save time."""
    octaves = math.ceil(notes.count / notes.per_octave)
    room = math.ceil(math.log2(sample_rate / 2 / notes.highest_reach)) - 2
    twos = (hop_length & -hop_length).bit_length() - 1
    return max(0, min(room, twos - octaves + 1))


def _sparse(spectra: Any) -> dict[str, Any]:
    """Return filters `(filters, lines)` without the zeros on both sides."""
    first, parts = [], []
    for row in spectra:
        used = np.flatnonzero(row)
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        first.append(low)
        parts.append(row[low:high])
    values = np.concatenate(parts)
    return {
        "first": first,
        "count": [len(part) for part in parts],
        "real": values.real.astype(np.float32),
        "imaginary": values.imag.astype(np.float32),
    }
