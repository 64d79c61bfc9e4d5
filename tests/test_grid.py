from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.errors import DataError
from gridcnn.grid import Array, Grids, GridShape, OneHot, all_finite

CASES = settings(max_examples=100, deadline=None, derandomize=True)
SEVEN = np.random.default_rng(0).integers(-1, 3, (7, 5), np.int32)


@st.composite
def index_arrays(draw: st.DrawFn) -> tuple[NDArray[np.int32], int]:
    """Return the row of each column's 1 `(items, columns)`, and the number of rows."""
    rows = draw(st.integers(1, 6))
    items, columns = draw(st.integers(0, 4)), draw(st.integers(0, 5))
    one = st.lists(st.integers(-1, rows - 1), min_size=columns, max_size=columns)
    drawn = draw(st.lists(one, min_size=items, max_size=items))
    return np.array(drawn, np.int32).reshape(items, columns), rows


def by_loop(indices: NDArray[np.int32], rows: int) -> Array:
    cells = np.zeros((len(indices), 1, rows, indices.shape[1]))
    for item, column in np.ndindex(indices.shape):
        if indices[item, column] >= 0:
            cells[item, 0, indices[item, column], column] = 1
    return cells


@CASES
@given(case=index_arrays())
def test_indices_stand_for_their_array_and_come_back_from_it(
    case: tuple[NDArray[np.int32], int],
) -> None:
    """The array has a 1 in each column's row, and gives the same indices again."""
    indices, rows = case
    grids = OneHot(indices, rows)

    cells = np.asarray(grids)
    np.testing.assert_array_equal(cells, by_loop(indices, rows))
    assert cells.dtype == grids.dtype == np.float32
    assert cells.shape == grids.shape == (len(indices), 1, rows, indices.shape[1])
    assert cells.ndim == grids.ndim
    assert len(grids) == len(indices)
    assert grids.nbytes == 4 * indices.size
    again = OneHot.from_dense(cells)
    assert again is not None
    np.testing.assert_array_equal(again.indices, indices)
    assert again.rows == rows


@CASES
@given(cells=st.lists(st.sampled_from([0.0, 1.0, -0.0]), min_size=12, max_size=12))
def test_an_array_of_0_and_1_is_kept_as_it_is_or_refused(cells: list[float]) -> None:
    """What `from_dense` returns has the cells that it was made from."""
    dense = np.array(cells).reshape(2, 1, 3, 2)

    found = OneHot.from_dense(dense)
    if found is None:
        assert dense.sum(axis=2).max() > 1
    else:
        np.testing.assert_array_equal(np.asarray(found), dense)


@pytest.mark.parametrize(
    "other",
    [
        np.full((1, 1, 2, 2), 0.5),
        np.array([[[[1.0, -1.0], [0.0, 0.0]]]]),
        np.array([[[[1.0, 1.0], [0.0, 1.0]]]]),
        np.array([[[[1.0, np.nan], [0.0, 0.0]]]]),
        np.zeros((1, 2, 2, 2)),
        np.zeros((1, 2, 2)),
        np.zeros((1, 1, 0, 2)),
    ],
    ids=["halves", "negative", "two in a column", "NaN", "two channels", "3 dimensions", "no rows"],
)
def test_other_arrays_are_no_one_hot_grids(other: Array) -> None:
    assert OneHot.from_dense(other) is None


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.bool_, ">f4"])
def test_the_array_may_be_of_any_type(dtype: Any) -> None:
    """It is made of the type that is asked for."""
    cells = np.asarray(OneHot(SEVEN, 3), dtype)

    assert cells.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(cells, by_loop(SEVEN, 3))


def test_the_array_is_always_new() -> None:
    """Writing to it changes nothing, and it cannot be had without a copy."""
    grids = OneHot(SEVEN, 3)

    np.asarray(grids)[:] = 9
    np.testing.assert_array_equal(np.array(grids, copy=True), by_loop(SEVEN, 3))
    with pytest.raises(ValueError, match="is always a copy"):
        grids.__array__(copy=False)


@pytest.mark.parametrize(
    "chosen",
    [
        slice(2, 5),
        slice(None, None, -2),
        slice(9, 12),
        np.array([3, 0, 3]),
        np.array([-1], np.int8),
        np.array([6, 1], np.uint64),
        np.zeros(0, np.int64),
        np.arange(7) % 2 == 0,
        np.zeros(7, bool),
        [4, 1],
        [],
    ],
    ids=str,
)
def test_chosen_items_are_those_of_the_array(chosen: Any) -> None:
    """Slices, whole numbers and masks give what NumPy gives, as one-hot grids."""
    part = OneHot(SEVEN, 3)[chosen]

    assert isinstance(part, OneHot)
    np.testing.assert_array_equal(np.asarray(part), by_loop(SEVEN, 3)[chosen])
    assert part.indices.dtype == np.int32
    assert part.indices.flags.c_contiguous


@pytest.mark.parametrize("item", [0, 6, -1, np.int64(3), np.uint8(2)])
def test_one_item_is_an_array(item: int) -> None:
    grid = OneHot(SEVEN, 3)[item]

    assert isinstance(grid, np.ndarray)
    assert grid.dtype == np.float32
    np.testing.assert_array_equal(grid, by_loop(SEVEN, 3)[item])


@pytest.mark.parametrize("item", [7, -8, [0, 7], np.ones(6, bool)], ids=str)
def test_items_that_are_not_there_are_an_index_error(item: Any) -> None:
    with pytest.raises(IndexError):
        OneHot(SEVEN, 3)[item]


@pytest.mark.parametrize(
    "chosen",
    [
        (slice(None), 0),
        (0, 0),
        None,
        ...,
        True,
        np.True_,
        np.array(3),
        1.0,
        "0",
        np.array([0.5]),
        np.zeros((2, 2), int),
        np.zeros((7, 5), bool),
    ],
    ids=str,
)
def test_nothing_but_items_can_be_chosen(chosen: Any) -> None:
    """Cells are in the array, and the message says so."""
    with pytest.raises(
        TypeError,
        match=r"items can be chosen from one-hot grids: by a number, a "
        r"slice, .* numpy\.as",
    ):
        OneHot(SEVEN, 3)[chosen]


def test_arithmetic_is_refused() -> None:
    """It would make the whole array each time; a comparison asks for identity."""
    grids: Any = OneHot(SEVEN, 3)

    with pytest.raises(TypeError):
        np.isfinite(grids)
    with pytest.raises(TypeError):
        _ = grids + 1
    with pytest.raises(TypeError):
        _ = np.ones(3) * grids
    assert grids == grids
    assert grids != OneHot(SEVEN, 3)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, ">i4"])
def test_indices_may_be_whole_numbers_of_any_type(dtype: Any) -> None:
    """They are kept as int32, in C order."""
    given = np.asfortranarray(np.abs(SEVEN).astype(dtype))

    kept = OneHot(given, 3).indices
    assert kept.dtype == np.int32
    assert kept.flags.c_contiguous
    np.testing.assert_array_equal(kept, np.abs(SEVEN))


@pytest.mark.parametrize(
    ("indices", "rows", "reason"),
    [
        (SEVEN[0], 3, "whole numbers .items, columns., .* got int32 of shape .5,., and 3 rows"),
        (SEVEN[None], 3, "of shape .1, 7, 5."),
        (SEVEN.astype(float), 3, "got float64"),
        (SEVEN > 0, 3, "got bool"),
        (np.array([["a"]]), 3, "got <U1"),
        (np.zeros((1, 0), np.int32), 0, "at least one row; .* and 0 rows"),
        (SEVEN, 2, r"in row 0 to 1, or nowhere \(-1\); got 2"),
        (SEVEN - 1, 3, "got -2"),
        (np.array([[2**32]]), 3, "got 4294967296"),
    ],
)
def test_wrong_indices_are_refused(indices: Any, rows: int, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        OneHot(indices, rows)


def test_one_hot_grids_are_copied_and_pickled() -> None:
    grids = OneHot(SEVEN, 3)

    for other in (copy.copy(grids), copy.deepcopy(grids), pickle.loads(pickle.dumps(grids))):
        np.testing.assert_array_equal(other.indices, SEVEN)
        assert other.rows == 3


def test_grids_have_the_sizes_of_their_shape() -> None:
    """Whether they are kept as an array or as indices."""
    one_hot = OneHot(SEVEN, 3)

    for values in (one_hot, np.asarray(one_hot)):
        assert len(Grids(values, GridShape(1, 3, 5))) == 7
        with pytest.raises(DataError, match=r"\(items, 1, 4, 5\) were .* shape \(7, 1, 3, 5\)"):
            Grids(values, GridShape(1, 4, 5))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64, np.bool_])
def test_numbers_are_all_finite_unless_one_is_not(kind: type) -> None:
    """Also if their sum is too large, and if infinities cancel out in it."""
    values: Array = np.zeros((3, 4), kind)
    assert all_finite(values)
    if np.issubdtype(kind, np.floating):
        values[:2] = np.finfo(kind).max
        assert all_finite(values)
        for bad in ([np.nan], [np.inf], [np.inf, -np.inf]):
            values[2, : len(bad)] = bad
            assert not all_finite(values)
