"""Adapters: what every adapter does with many things at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapter, OneHotAdapter, Selection, describe
from gridcnn.errors import DataError
from gridcnn.grid import Axis, GridShape, OneHot
from gridcnn.spec.models import ADAPTERS


class Repeating(Adapter):
    """A number, repeated in 2 x 3 cells; negative ones cannot be read."""

    def shape(self) -> GridShape:
        return GridShape(1, 2, 3)

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        if thing < 0:
            raise DataError(f"{thing} is negative", "and so it is less than zero")
        return np.full((1, 2, 3), thing, np.float32)


class Codons(OneHotAdapter):
    """Three letters of a, b, c, d; a dot is no letter."""

    def shape(self) -> GridShape:
        return GridShape(1, 4, 3, Axis("letter", labels=("a", "b", "c", "d"), ordered=False))

    def indices(self, thing: Any) -> NDArray[np.int32]:
        if len(thing) != 3:
            raise DataError(f"it has {len(thing)} letters", "3 were expected")
        return np.array([".abcd".index(letter) - 1 for letter in thing], np.int32)


def test_all_things_become_one_stack_in_their_order() -> None:
    """`grids` has a grid for each thing, in order."""
    grids = Repeating().grids([3, 1, 2])

    assert grids.values.dtype == np.float32
    assert grids.values.shape == (3, 1, 2, 3)
    assert np.asarray(grids.values)[:, 0, 0, 0].tolist() == [3, 1, 2]


def test_bad_things_are_left_out_and_told() -> None:
    """`adapt_all` keeps the good things, says which they are, and names every problem's thing."""
    adapted = Repeating().adapt_all([5, -1, 7], names=["five", "minus one", "seven"])

    assert adapted.kept.tolist() == [0, 2]
    assert np.asarray(adapted.grids.values)[:, 0, 0, 0].tolist() == [5, 7]
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
    assert describe("a/b.png", 4) == "a/b.png"
    assert describe(Path("a") / "b.png", 4) == str(Path("a") / "b.png")
    assert describe(np.zeros(3), 4) == "item 4"
    assert describe(" \n", 4) == describe("", 4) == "item 4"
    assert describe("a" * 300, 4) == "a" * 300


def test_a_page_of_text_is_no_name() -> None:
    """An error about it is a line that can be read, with its beginning and its end."""
    name = describe("begin" + "a" * 10_000_000 + "end", 4)

    assert len(name) == 303
    assert name.startswith("beginaaa")
    assert name.endswith("aaaend")


def test_one_hot_things_are_kept_as_indices() -> None:
    """One thing is an array; many are one-hot grids, in their order, of the adapter's shape."""
    grids = Codons().grids(["abd", "c.a"])

    assert isinstance(grids.values, OneHot)
    assert grids.values.indices.tolist() == [[0, 1, 3], [2, -1, 0]]
    assert grids.values.shape == (2, *Codons().shape().sizes)
    for item, thing in enumerate(["abd", "c.a"]):
        adapted = Codons().adapt(thing)
        assert adapted.dtype == np.float32
        np.testing.assert_array_equal(adapted, np.asarray(grids.values)[item])


def test_bad_one_hot_things_are_told_like_others() -> None:
    """They are left out, every problem has the thing's name, and progress is told."""
    steps: list[int] = []

    adapted = Codons().adapt_all(["abd", "ab", "ccc"], names=["x", "y", "z"], advance=steps.append)

    assert adapted.kept.tolist() == [0, 2]
    assert isinstance(adapted.grids.values, OneHot)
    assert adapted.grids.values.indices.tolist() == [[0, 1, 3], [2, 2, 2]]
    assert [str(each) for each in adapted.problems] == ["y: it has 2 letters", "y: 3 were expected"]
    assert sum(steps) == 3
    with pytest.raises(DataError, match="item 1: it has 0 letters"):
        Codons().grids(["abc", b""])
    assert Codons().grids([]).values.shape == (0, 1, 4, 3)


def test_a_cause_that_many_things_share_is_told_once() -> None:
    """Up to three are named on their own; different causes are counted after twenty."""
    with pytest.raises(DataError) as few:
        Codons().grids(["abc", b"", b"", b""])
    with pytest.raises(DataError) as many:
        Codons().grids(["abc", "", "", "", "", ""])
    with pytest.raises(DataError) as causes:
        Codons().grids(["a" * length for length in range(4, 40)])

    others = "item 2, item 3, item 4, item 5"
    assert len(few.value.problems) == 6
    assert str(many.value).splitlines() == [
        f"item 1: it has 0 letters (the same in 4 more: {others})",
        f"item 1: 3 were expected (the same in 4 more: {others})",
    ]
    assert len(causes.value.problems) == 21
    assert str(causes.value.problems[-1]) == "and 17 more problems like these"


def test_an_adapter_takes_arrays_unless_its_things_are_texts() -> None:
    """Of which dimensions, it says itself."""
    taken = {
        name: [count for count in range(1, 5) if made().takes_array(count)]
        for name, made in ((name, ADAPTERS[name]) for name in ADAPTERS.names())
    }

    assert Repeating().takes_array(2)
    assert {name: taken[name] for name in ("array", "table", "image", "audio", "text")} == {
        "array": [1, 2, 3],
        "table": [1],
        "image": [2, 3],
        "audio": [1, 2],
        "text": [],
    }
    assert taken["molecule"] == []


@pytest.mark.parametrize("things", [["a", "b", "c"], np.arange(6).reshape(3, 2)])
def test_a_selection_looks_things_up_when_they_are_asked_for(things: Any) -> None:
    """It has the chosen things in their order, one by one, in slices and in a loop."""
    some = Selection(things, np.array([2, 0]))

    assert len(some) == 2
    np.testing.assert_array_equal(some[0], things[2])
    np.testing.assert_array_equal(some[-1], things[0])
    np.testing.assert_array_equal(list(some), [things[2], things[0]])
    np.testing.assert_array_equal(some[1:], [things[0]])
