"""The filters by which soxr changes sample rates, as tables for a page.

Where one rate is a small multiple of the other, the page knows the filter in closed form. Others
take two steps in soxr, whose product is measured here: single samples go in, far apart, and what
comes out are values of the filter at times that are all different.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_USUAL = (44_100, 22_050, 11_025)
"""Rates of files, in Hz, that have no simple ratio to those of most models."""
_SIMPLE = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 3 / 2, 4 / 3)
"""The ratios that `script/sounds.js` knows."""
_REACH = 104
"""How far a filter reaches on each side, in samples at the lower rate, and some more."""
_FINE = 60
"""Values between two samples at the lower rate, at least: cubic steps between them err by 1e-7."""


def rate_filters(sample_rate: int) -> list[dict[str, Any]]:
    """Return filters for usual rates of files, `{rate, each, values}`.

    `values` are those at times from 0 on, in steps of one `each`-th of a sample at the lower rate.
    """
    found = []
    for rate in _USUAL:
        ratio = max(rate, sample_rate) / min(rate, sample_rate)
        if ratio != 1 and not any(math.isclose(ratio, simple) for simple in _SIMPLE):
            found.append(_measure(rate, sample_rate))
    return found


def _measure(rate: int, sample_rate: int) -> dict[str, Any]:
    import soxr

    low, common = min(rate, sample_rate), math.gcd(rate, sample_rate)
    phases = rate // common
    # Each single sample falls on another place between samples at the wanted rate.
    gap = phases * math.ceil(2 * _REACH * rate / low / phases) + 1
    samples = np.zeros((phases + 1) * gap, np.float64)
    places = gap // 2 + gap * np.arange(phases)
    samples[places] = 1
    made = soxr.resample(samples, rate, sample_rate, quality="HQ") * (rate / low)
    steps = max(rate, sample_rate) // common  # times between two samples at the lower rate
    each = next(n for n in range(min(_FINE, steps), steps + 1) if steps % n == 0)
    sums, counts = np.zeros(_REACH * steps), np.zeros(_REACH * steps)
    reach = math.floor(_REACH * sample_rate / low) - 1
    for place in places.tolist():
        middle = round(place * sample_rate / rate)
        outputs = np.arange(middle - reach + 1, middle + reach)
        # In whole numbers, as times are compared.
        ticks = np.abs(outputs * (rate // common) - place * (sample_rate // common))
        inside = ticks < len(sums)
        np.add.at(sums, ticks[inside], made[outputs[inside]])
        np.add.at(counts, ticks[inside], 1)
    chosen = slice(None, None, steps // each)
    values = (sums[chosen] / np.maximum(counts[chosen], 1)).astype(np.float32)
    return {"rate": rate, "each": each, "values": values}
