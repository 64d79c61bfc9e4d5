"""Adapters: what every adapter does with many things at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.adapters.base import Adapter, described
from gridcnn.errors import DataError
from gridcnn.grid import GridShape


class Repeating(Adapter):
    """A number, repeated in 2 x 3 cells; negative ones cannot be read."""

    def shape(self) -> GridShape:
        return GridShape(1, 2, 3)

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        if thing < 0:
            raise DataError(f"{thing} is negative", "and so it is less than zero")
        return np.full((1, 2, 3), thing, np.float32)


def test_all_things_become_one_stack_in_their_order() -> None:
    """`grids` has a grid for each thing, in order."""
    grids = Repeating().grids([3, 1, 2])

    assert grids.values.dtype == np.float32
    assert grids.values.shape == (3, 1, 2, 3)
    assert grids.values[:, 0, 0, 0].tolist() == [3, 1, 2]


def test_bad_things_are_left_out_and_told() -> None:
    """`adapt_all` keeps the good things, says which they are, and names every problem's thing."""
    adapted = Repeating().adapt_all([5, -1, 7], names=["five", "minus one", "seven"])

    assert adapted.kept.tolist() == [0, 2]
    assert adapted.grids.values[:, 0, 0, 0].tolist() == [5, 7]
    assert [str(problem) for problem in adapted.problems] == [
        "minus one: -1 is negative",
        "minus one: and so it is less than zero",
    ]


def test_all_problems_are_raised_together() -> None:
    """`grids` raises one error that names every bad thing, by its number where it has no name."""
    with pytest.raises(DataError, match=r"item 0: -1 is negative(.|\n)*item 2: -3 is negative"):
        Repeating().grids([-1, 2, -3])


def test_progress_is_told_for_every_thing() -> None:
    """`advance` hears of good and bad things alike."""
    steps: list[int] = []

    Repeating().adapt_all([1, -1, 2], advance=steps.append)

    assert sum(steps) == 3


def test_nothing_is_an_empty_stack() -> None:
    """No things make no grids, of the right shape."""
    assert Repeating().grids([]).values.shape == (0, 1, 2, 3)


def test_an_adapter_that_learns_nothing_is_fitted_as_it_is() -> None:
    """`fitted` returns the same settings where there is nothing to learn."""
    adapter = Repeating()

    assert adapter.fitted([1, 2]) is adapter


def test_things_are_called_by_their_path_or_their_number() -> None:
    """A path is its own name; anything else is an item."""
    assert described("a/b.png", 4) == "a/b.png"
    assert described(Path("a") / "b.png", 4) == str(Path("a") / "b.png")
    assert described(np.zeros(3), 4) == "item 4"
