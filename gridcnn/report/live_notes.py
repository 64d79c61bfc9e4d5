"""The filters of notes (`cqt`, `vqt`) as tables for a page."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridcnn.adapters.by_librosa import Notes
from gridcnn.adapters.octaves import Octave, least_samples, octaves_of
from gridcnn.report.live_rates import edge_of, measure_filter


def note_filters(notes: Notes, *, sample_rate: int, hop_length: int) -> dict[str, Any]:
    """Return the octaves, highest first, `{least, filters, octaves}`.

    `least` is how many samples a clip has to have, with silence behind it. `filters` are those of
    soxr for each ratio, as `rate_filters` has them. An octave is `{ratio, hop, size, first, count,
    real, imaginary}`: samples become fewer by `ratio` before it; filters, lowest first, weigh
    `count` lines of a spectrum of `size` samples from the line `first` on.
    """
    octaves = octaves_of(notes, sample_rate=sample_rate, hop_length=hop_length)
    ratios = sorted({octave.ratio for octave in octaves} - {1})
    return {
        "least": least_samples(notes, sample_rate),
        "filters": [{**measure_filter(each, 1), "edge": edge_of(each, 1)} for each in ratios],
        "octaves": [_table_of(octave) for octave in octaves],
    }


def _table_of(octave: Octave) -> dict[str, Any]:
    """Return an octave, each of its filters without the zeros on both sides."""
    first, parts = [], []
    for row in octave.filters.toarray():
        used = np.flatnonzero(row)
        low, high = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        first.append(octave.lines.start + low)
        parts.append(row[low:high])
    values = np.concatenate(parts)
    return {
        "ratio": octave.ratio,
        "hop": octave.hop,
        "size": octave.size,
        "first": first,
        "count": [len(part) for part in parts],
        "real": values.real.copy(),
        "imaginary": values.imag.copy(),
    }
