"""Numbers that are far from all others, which must not decide how the others are scaled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.grid import Cells

_FAR = 10.0
"""A number is far if it is so many times as far from the middle as nearly all others."""
_ASIDE = 0.01
"""The part of the numbers, the farthest, by which the distance of nearly all is not judged."""
_FEWEST = 10
"""Among fewer numbers, none counts as far from the others."""
_CHANCE = 0.001
"""What is less likely than this is not put down to chance."""
LOOKED_AT = 2**20
"""The largest number of values that are sampled, evenly, from a large array."""


@dataclass(frozen=True)
class Bulk:
    """The range of nearly all numbers.

    Attributes:
        low, high: nearly all numbers are in this range.
        is_all: whether the others are close as well, so that none is an outlier.
    """

    low: float
    high: float
    is_all: bool


def bulk_of(values: NDArray[Any], low: float | None = None, high: float | None = None) -> Bulk:
    """Return the range of nearly all of some finite numbers.

    The most frequent number, such as the 0 of an empty background, may be nearly all of them; what
    is far is judged by the others. Their middle is the median, and their distance from it that of
    all but the farthest hundredth.

    Args:
        values: at least one number, of any shape; more than `LOOKED_AT` in one dimension.
        low, high: the smallest and the largest of all numbers, if `values` are a sample.
    """
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    flat = values.reshape(-1)
    chosen = flat[:: -(-flat.size // LOOKED_AT)].astype(np.float64)
    numbers, counts = np.unique(chosen, return_counts=True)
    # What a hundredth or less have in common is no background: two mistakes may be alike.
    is_usual = counts.max() > max(1, int(_ASIDE * len(chosen)))
    usual = float(numbers[counts.argmax()]) if is_usual else None
    others = chosen[chosen != usual]
    if len(others) < _FEWEST:
        return Bulk(low, high, is_all=True)
    middle = float(np.median(others))
    distances = np.sort(np.abs(others - middle))
    reach = float(distances[len(distances) - 1 - max(1, int(_ASIDE * len(distances)))])
    if usual is not None:
        reach = max(reach, abs(usual - middle))
    if max(high - middle, middle - low) <= _FAR * reach:
        return Bulk(low, high, is_all=True)
    return Bulk(max(low, middle - reach), min(high, middle + reach), is_all=False)


def is_scaled(values: NDArray[Any]) -> bool:
    """Return whether numbers are scaled already: to a mean near 0 and a deviation near 1."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean(dtype=np.float64))
        deviation = float(values.std(dtype=np.float64))
    return abs(mean) <= 0.3 and 0.5 <= deviation <= 2.0


def count_cut(grids: Cells, limit: float) -> tuple[int, int]:
    """Return how many items `(items, channels, rows, columns)` have clipped cells, and these cells.

    A cell that was clipped is `limit` or its negative.
    """
    items = cells = 0
    at_once = max(1, LOOKED_AT // max(1, math.prod(grids.shape[1:])))
    for start in range(0, len(grids), at_once):
        part = np.asarray(grids[start : start + at_once])
        cut = (np.abs(part) >= np.float32(limit)).reshape(len(part), -1)
        items += int(cut.any(axis=1).sum())
        cells += int(cut.sum())
    return items, cells


def is_expected(cut: int, cells: int, limit: float) -> bool:
    """Return whether chance alone explains so many clipped cells if they are normally distributed.

    Args:
        cut: how many cells are farther from the mean than `limit`.
        cells: how many there are in all.
        limit: in standard deviations.
    """
    expected = cells * math.erfc(limit / math.sqrt(2))
    if cut <= expected:
        return True
    # Chernoff's bound of the Poisson distribution: how likely so many are, or more.
    return expected > 0 and cut - expected + cut * math.log(expected / cut) > math.log(_CHANCE)


def cut_remark(lie: str) -> str:
    """Return the remark on items with numbers that are clipped; `lie` says where these lie."""
    return (
        f"with numbers {lie}: they are clipped to this range; if they are mistakes, correct them, "
        "or leave these items out"
    )
