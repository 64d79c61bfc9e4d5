"""Evidence of units: columns that all measure something else, each in units of its own.

Cells of a grid hold the same quantity at different places. Age, income and the number of visits
have nothing in common that a feature could match, whatever their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.parts import may_share_units

FEWEST = 8
"""Columns from which on units are evidence, as neighbours are: the four sizes of a flower's leaves
differ by chance, though all are in centimetres."""
_MOST = 64
"""Columns that are compared at most, since the pairs grow with their square: the first ones, since
evenly spaced ones would hide at which distance they are alike."""
_ALIKE = 0.25
"""The share of all pairs that may be in the same units: of attributes, one in sixteen is by chance,
and twice as many if some of them are counts."""
_IN_STEP = 0.5
"""The share of the pairs at one distance from which on these columns may belong together, such as
every third one of a sensor with three axes."""


@dataclass(frozen=True)
class Units:
    """How many columns may be in the same units, by their means and deviations.

    Attributes:
        alike: the share of all pairs of columns that may be.
        in_step: the largest share of the pairs at one distance, up to half of the columns.
    """

    alike: float
    in_step: float

    @property
    def are_different(self) -> bool:
        """Whether hardly any two columns are in the same units, and at no distance many are."""
        return self.alike <= _ALIKE and self.in_step < _IN_STEP


def compare_units(scales: NDArray[np.float64]) -> Units | None:
    """Return how many columns may be in the same units; None if there are too few to tell.

    `scales` are the mean and the standard deviation of each column, `(columns, 2)`; those without
    numbers, or with one only, are left out.
    """
    scales = scales[np.isfinite(scales).all(axis=1) & (scales[:, 1] > 0)][:_MOST]
    columns = len(scales)
    if columns < FEWEST:
        return None
    same = [
        may_share_units(scales[:-distance], scales[distance:]) for distance in range(1, columns)
    ]
    in_step = max(float(pairs.mean()) for pairs in same[: columns // 2])
    return Units(float(np.concatenate(same).mean()), in_step)
