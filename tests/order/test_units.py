"""What the units of columns tell."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn import Verdict, check
from gridcnn.order.units import FEWEST, compare_units

RANDOM = np.random.default_rng(0)
ATTRIBUTES = {
    "age": (49, 18),
    "income": (34_000, 9_000),
    "visits": (4, 2),
    "balance": (900, 2_500),
    "months": (36, 20),
    "score": (650, 80),
    "discount": (0.2, 0.1),
    "distance": (12, 11),
    "latitude": (51, 0.9),
    "minutes": (180, 100),
}
SCALES = np.array(list(ATTRIBUTES.values()))


def test_attributes_are_in_different_units() -> None:
    found = compare_units(SCALES)

    assert found is not None
    assert found.are_different


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_axes_of_a_sensor_are_in_the_same_units_in_step(axes: int) -> None:
    """Whether they stand moment by moment, or one axis after the other."""
    interleaved = np.tile(SCALES[:axes], (6, 1))

    for scales in (interleaved, np.repeat(SCALES[:axes], 6, axis=0)):
        found = compare_units(scales)
        assert len(scales) < FEWEST or found is not None
        assert found is None or not found.are_different


def test_few_columns_and_constant_ones_are_no_evidence() -> None:
    scales = SCALES[:FEWEST].astype(float)

    assert compare_units(scales) is not None
    assert compare_units(scales[1:]) is None
    for constant in ((3.0, 0.0), (np.nan, np.nan)):
        assert compare_units(np.vstack([scales[1:], constant])) is None


def judge(scales: NDArray[np.float64]) -> Verdict:
    """Return the verdict on columns that have nothing to do with each other."""
    means, deviations = scales.T
    return check(RANDOM.normal(means, deviations, (300, len(scales))))


def test_unrelated_columns_in_different_units_are_permutable() -> None:
    """The summary and the evidence say that the units decide."""
    verdict = judge(SCALES)

    assert verdict.decision == "permutable"
    assert verdict.summary[1] == "Each column measures something else, in units of its own."
    assert any(line.startswith("units: ") for line in verdict.evidence)


def test_unrelated_columns_in_the_same_units_stay_undecided() -> None:
    """Noise of a sensor looks like that, too."""
    verdict = judge(np.tile([50.0, 10.0], (10, 1)))

    assert verdict.decision == "undecided"
    assert not any(line.startswith("units: ") for line in verdict.evidence)
