"""Which scaling is chosen for the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.runs.scaling import are_scaled, choose_scaling

ALL = ("row", "overall", "column")
Numbers = np.ndarray[Any, Any]


def shapes(levels: Numbers) -> tuple[Numbers, Numbers]:
    """Return rows that rise or fall around their levels, and which of the two."""
    random = np.random.default_rng(0)
    targets = np.arange(len(levels)) % 2
    rise = np.linspace(-1, 1, 20) * np.where(targets, 1, -1)[:, None]
    return rise + levels[:, None] + random.normal(0, 0.3, rise.shape), targets


def test_rows_whose_level_tells_nothing_are_scaled_by_row() -> None:
    """Even if that is the last of the preferred ones."""
    rows, targets = shapes(np.random.default_rng(1).normal(0, 20, 100))

    assert choose_scaling(rows, targets, ALL) == "row"
    assert choose_scaling(rows, targets, ALL[::-1]) == "row"


def test_rows_whose_level_tells_their_class_keep_it() -> None:
    random = np.random.default_rng(2)
    targets = np.arange(100) % 2
    rows = random.normal(0, 1, (100, 20)) + 3.0 * targets[:, None]

    assert choose_scaling(rows, targets, ALL) == "overall"


def test_columns_of_very_different_size_are_scaled_by_column() -> None:
    """Here a column of small numbers tells the class, beside columns of large ones."""
    random = np.random.default_rng(3)
    targets = np.arange(200) % 2
    rows = random.normal(0, 1, (200, 4)) * np.array([1.0, 1e4, 1e4, 1e4])
    rows[:, 0] += 12.0 * targets

    assert choose_scaling(rows, targets, ALL) == "column"


@pytest.mark.parametrize("preferred", [ALL, ALL[::-1]])
def test_without_a_clear_difference_the_preferred_one_is_taken(preferred: tuple[str, ...]) -> None:
    """Rows of noise; with NaN, all of them are left out."""
    rows = np.random.default_rng(4).normal(size=(60, 8))
    targets = np.arange(60) % 2

    assert choose_scaling(rows[:2], targets[:2], preferred) == preferred[0]
    assert choose_scaling(np.where(rows > -9, np.nan, 0), targets, preferred) == preferred[0]


def test_rows_that_were_scaled_before_are_known() -> None:
    rows, _ = shapes(np.zeros(40))
    scaled = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)

    assert are_scaled(scaled.round(4))
    assert are_scaled(scaled * 7 + 100)
    assert not are_scaled(rows)
