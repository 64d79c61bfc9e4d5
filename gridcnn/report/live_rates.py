"""The filters by which soxr changes sample rates, as tables for a page.

Where one rate is a small multiple of the other, the page knows the filter in closed form. Others
take two steps in soxr, whose product is measured here: single samples go in, far apart, and the
outputs are values of the filter at times that are all different.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_USUAL = (44_100, 22_050, 11_025, 48_000, 32_000, 24_000, 16_000, 96_000, 8_000)
"""Rates of files, in Hz."""
_SIMPLE = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 3 / 2, 4 / 3)
"""The ratios that `script/sounds.js` knows."""
_FAR, _MANY = 12, 1_000
"""The largest ratio, and the most places between two samples, for which there is a table."""
_REACH = 110
"""How far a filter reaches on each side, in samples at the lower rate, and some more."""
_EDGE = 256, 120
"""The first samples, and the first results, of which the start of a file is looked at."""
_FINE = 60
"""Values between two samples at the lower rate, at least: cubic steps between them err by 1e-7."""


@functools.cache
def rate_filters(sample_rate: int) -> tuple[dict[str, Any], ...]:
    """Return what the page needs to know for usual rates of files, `{rate, each, values, edge}`.

    `values` of the filter are those at times from 0 on, in steps of one `each`-th of a sample at
    the lower rate; None if the page knows it. `edge` `(samples, results)` is what each of the first
    samples adds to the first results beside that, since soxr's first step starts in between.
    """
    filters: list[dict[str, Any]] = []
    for rate in _USUAL:
        ratio = max(rate, sample_rate) / min(rate, sample_rate)
        phases = max(rate, sample_rate) // math.gcd(rate, sample_rate)
        if ratio == 1 or ratio > _FAR or phases > _MANY:
            continue  # to measure these would take long, and hardly a model has such a rate
        is_simple = any(math.isclose(ratio, simple) for simple in _SIMPLE)
        measured = {"each": 1, "values": None} if is_simple else measure_filter(rate, sample_rate)
        filters.append({"rate": rate, **measured, "edge": edge_of(rate, sample_rate)})
    return tuple(filters)


def edge_of(rate: int, sample_rate: int) -> NDArray[np.float32]:
    """Return what each of the first samples adds beside the filter, `(samples, results)`."""
    common = math.gcd(rate, sample_rate)
    period, shift = rate // common, sample_rate // common
    periods = math.ceil(2 * _REACH * max(1, rate / sample_rate) / period)
    length = 2 * periods * period + _EDGE[0]

    def response(place: int) -> NDArray[np.float64]:
        samples = np.zeros(length, np.float64)
        samples[place] = 1
        output: NDArray[np.float64] = _resample(samples, rate, sample_rate)
        return output

    later = slice(periods * shift, periods * shift + _EDGE[1])
    rows = [
        response(place)[: _EDGE[1]] - response(place + periods * period)[later]
        for place in range(_EDGE[0])
    ]
    edge = np.array(rows, np.float32)
    felt = np.abs(edge) > 1e-6
    used = [int(np.flatnonzero(felt.any(axis=axis)).max(initial=0)) + 1 for axis in (1, 0)]
    return edge[: used[0], : used[1]]


def _resample(samples: NDArray[np.float64], rate: int, sample_rate: int) -> Any:
    import soxr

    return soxr.resample(samples, rate, sample_rate, quality="HQ")


def measure_filter(rate: int, sample_rate: int) -> dict[str, Any]:
    """Return `{rate, each, values}` of a filter, as `rate_filters` does."""
    low, common = min(rate, sample_rate), math.gcd(rate, sample_rate)
    phases = rate // common
    # Each single sample falls on another place between samples at the wanted rate.
    gap = phases * math.ceil(2 * _REACH * rate / low / phases) + 1
    samples = np.zeros((phases + 1) * gap, np.float64)
    places = gap // 2 + gap * np.arange(phases)
    samples[places] = 1
    output = _resample(samples, rate, sample_rate) * (rate / low)
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
        np.add.at(sums, ticks[inside], output[outputs[inside]])
        np.add.at(counts, ticks[inside], 1)
    chosen = slice(None, None, steps // each)
    values = (sums[chosen] / np.maximum(counts[chosen], 1)).astype(np.float32)
    return {"rate": rate, "each": each, "values": values}
