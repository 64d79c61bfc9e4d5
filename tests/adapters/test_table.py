"""The table adapter: ordered columns of numbers as small grids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import gridcnn
from gridcnn.adapters.table import TableAdapter
from gridcnn.errors import DataError
from gridcnn.spec.load import load

Stack = np.ndarray[Any, Any]


def _items(*shape: int, seed: int = 0) -> Stack:
    return np.random.default_rng(seed).normal(3, 2, shape)


def _values(adapter: TableAdapter, things: Any) -> Stack:
    return np.asarray(adapter.grids(things).values)


def test_without_a_size_a_row_is_a_grid_of_one_row() -> None:
    """All columns stand in it, or an equal part of them in each channel."""
    stack = _items(5, 12)

    assert TableAdapter().fitted(stack).shape().sizes == (1, 1, 12)
    assert TableAdapter(channels=3).fitted(stack).shape().sizes == (3, 1, 4)
    with pytest.raises(DataError, match="12 columns cannot be 5 channels of equal size"):
        TableAdapter(channels=5).fitted(stack)


@pytest.mark.parametrize("order", ["rows", "interleaved"])
@pytest.mark.parametrize(("channels", "rows", "columns"), [(4, 3, 3), (1, 2, 5), (2, 1, 8)])
def test_columns_are_laid_out_as_documented(
    order: Any, channels: int, rows: int, columns: int
) -> None:
    """A naive loop over channels, rows and columns finds each number where the setting says."""
    stack = _items(3, channels * rows * columns).astype(np.float32)
    adapter = TableAdapter(size=(rows, columns), channels=channels, order=order, scaling="none")

    grids = _values(adapter, stack)

    assert grids.shape == (3, channels, rows, columns)
    for channel in range(channels):
        for row in range(rows):
            for column in range(columns):
                place = (
                    (channel * rows + row) * columns + column
                    if order == "rows"
                    else (row * columns + column) * channels + channel
                )
                assert (grids[:, channel, row, column] == stack[:, place]).all()


def test_each_column_gets_a_mean_of_zero_and_a_deviation_of_one() -> None:
    """Over the training items, and by their scale whatever comes later."""
    stack = _items(50, 4) * [1, 10, 100, 1000]
    adapter = TableAdapter().fitted(stack)

    grids = _values(adapter, stack)[:, 0, 0]

    np.testing.assert_allclose(grids.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(grids.std(axis=0), 1, atol=1e-6)
    assert adapter.means == pytest.approx(stack.mean(axis=0))
    assert adapter.deviations == pytest.approx(stack.std(axis=0))
    later = _items(7, 4, seed=1)
    learned = list(zip(adapter.means or (), adapter.deviations or (), strict=True))
    naive = [[(x - m) / d for x, (m, d) in zip(row, learned, strict=True)] for row in later]
    np.testing.assert_allclose(_values(adapter, later)[:, 0, 0], naive, rtol=1e-5)


def test_all_numbers_can_be_scaled_together() -> None:
    """Then columns keep their differences, and one mean and one deviation are learned."""
    stack = _items(50, 4) * [1, 10, 100, 1000]

    adapter = TableAdapter(scaling="overall").fitted(stack)

    assert adapter.means == pytest.approx([stack.mean()])
    assert adapter.deviations == pytest.approx([stack.std()])
    expected = (stack - stack.mean()) / stack.std()
    np.testing.assert_allclose(_values(adapter, stack)[:, 0, 0], expected, rtol=1e-4, atol=1e-6)


def test_each_item_can_be_scaled_by_itself() -> None:
    """Then nothing is learned but the number of columns."""
    stack = _items(5, 6)
    stack[2] = 7

    adapter = TableAdapter(scaling="row").fitted(stack)
    grids = _values(adapter, stack)[:, 0, 0]

    assert (adapter.means, adapter.deviations) == (None, None)
    np.testing.assert_allclose(grids[[0, 1, 3, 4]].mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(grids[[0, 1, 3, 4]].std(axis=1), 1, atol=1e-6)
    assert not grids[2].any()


def test_what_does_not_vary_becomes_zero() -> None:
    """Also where rounding would leave a tiny deviation, and for other values later."""
    stack = _items(9, 3)
    stack[:, 1] = 0.1

    adapter = TableAdapter().fitted(stack)

    assert adapter.deviations is not None
    assert adapter.deviations[1] == 0
    assert not _values(adapter, stack)[:, 0, 0, 1].any()
    assert adapter.adapt([1.0, 99.0, 1.0])[0, 0, 1] == 0
    assert not _values(TableAdapter(scaling="overall").fitted(np.ones((3, 2))), [[5, 6]]).any()


def test_missing_numbers_are_refused_by_item() -> None:
    """And not learned from, unless the settings say what stands in for them."""
    stack = _items(4, 3)
    stack[1, 2] = np.nan
    stack[3, 0] = np.inf
    for things in (stack, list(stack), stack.tolist()):
        adapter = TableAdapter().fitted(things)
        adapted = adapter.adapt_all(things)

        assert adapter.means == pytest.approx(stack[[0, 2]].mean(axis=0))
        assert adapted.kept.tolist() == [0, 2]
        assert [str(problem) for problem in adapted.problems] == [
            "item 1: column 3 has no number (NaN); leave the item out, or set 'missing: mean' or "
            "'missing: zero' of table",
            "item 3: column 1 has an infinite number; all must be finite",
        ]


def test_missing_numbers_become_the_mean_of_their_column() -> None:
    """Of the training items that have it; the scale is that of the filled columns."""
    stack = np.array([[1.0, 2.0], [3.0, np.nan], [np.nan, 6.0]])

    adapter = TableAdapter(missing="mean").fitted(stack)
    plain = TableAdapter(missing="mean", scaling="none").fitted(stack)

    assert adapter.fills == adapter.means == (2.0, 4.0)
    assert adapter.deviations == pytest.approx([np.std([1, 3, 2]), np.std([2, 4, 6])])
    assert adapter.adapt([np.nan, np.nan]).tolist() == [[[0.0, 0.0]]]
    assert plain.adapt([None, 5]).tolist() == [[[2.0, 5.0]]]
    with pytest.raises(DataError, match="column 2 has no number in any training item"):
        adapter.model_copy(update={"fills": None}).fitted(np.array([[1.0, np.nan]]))


def test_missing_numbers_become_zero_before_the_scaling() -> None:
    """As if the table had zeros."""
    stack = np.array([[1.0, 2.0], [3.0, np.nan]])

    adapter = TableAdapter(missing="zero").fitted(stack)

    assert adapter.means == (2.0, 1.0)
    np.testing.assert_array_equal(_values(adapter, stack), _values(adapter, np.nan_to_num(stack)))


def test_what_is_learned_survives_a_round_trip() -> None:
    """A fitted adapter is its settings: written and read again, it is the same."""
    stack = _items(5, 8)
    stack[2, 1] = np.nan

    fitted = TableAdapter(missing="mean", size=(2, 2), channels=2).fitted(stack)
    again = load({"adapter": load({"adapter": fitted}).model_dump(mode="json")["adapter"]}).adapter

    assert again == fitted
    assert fitted.fitted(_items(9, 8, seed=3)) is fitted


def test_what_is_set_is_not_learned() -> None:
    adapter = TableAdapter(means=(1.0, 2.0)).fitted(np.array([[3.0, 4.0], [5.0, 6.0]]))

    assert (adapter.means, adapter.deviations) == ((1.0, 2.0), (1.0, 1.0))


@pytest.mark.parametrize("scaling", ["column", "row", "overall", "none"])
@pytest.mark.parametrize("missing", ["refuse", "mean", "zero"])
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_stack_is_adapted_as_its_items_are(
    scaling: Any, missing: Any, data: st.DataObject
) -> None:
    """One array, a list of arrays, nested lists and one item after the other: the same grids."""
    number = st.floats(-1e6, 1e6, width=32)
    if missing != "refuse":
        number = number | st.just(float("nan"))
    rows = data.draw(st.lists(st.lists(number, min_size=4, max_size=4), min_size=1, max_size=6))
    stack = np.vstack([rows, np.arange(4.0)])
    adapter = TableAdapter(scaling=scaling, missing=missing, size=(2, 2)).fitted(stack)

    whole = _values(adapter, stack)

    np.testing.assert_array_equal(whole, _values(adapter, list(stack)))
    np.testing.assert_array_equal(whole, _values(adapter, stack.tolist()))
    np.testing.assert_array_equal(whole, [adapter.adapt(row) for row in stack])


def test_long_stacks_are_scaled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that is scaled part by part loses nothing, and tells its progress."""
    stack = _items(23, 6)
    adapter = TableAdapter().fitted(stack)
    whole = _values(adapter, stack)
    monkeypatch.setattr("gridcnn.adapters.table._CHUNK", 30)
    steps: list[int] = []

    parts = adapter.adapt_all(stack, advance=steps.append)

    np.testing.assert_array_equal(parts.grids.values, whole)
    assert (len(steps), sum(steps)) == (5, 23)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ("1, 2", "it is '1, 2'; an item is a row of numbers"),
        (b"12", "it is b'12'; an item is a row of numbers"),
        (Path("t.csv"), "an item is a row of numbers"),
        ([1, "two"], "column 2 has the text 'two'; an item is a row of numbers"),
        (np.array([1, "two"], object), "column 2 has the text 'two'"),
        (np.array(["1", "2"]), "column 1 has the text '1'"),
        ([1, [2]], "its parts have different lengths"),
        ([1, {}], "column 2 has {}; an item is a row of numbers"),
        ([1, 2, 3], "an item has 3 numbers, but 2 are expected, for grids of 1 x 1 x 2"),
        ([1], "an item has 1 number, but 2 are expected"),
        ([[1, 2]], r"an item has the shape \(1, 2\), but 2 are expected"),
        (
            3.0,
            "it is a single number; an item has 2 numbers; give a single item as a list",
        ),
        (np.array([1j, 2]), "values of type complex128; an item is a row of real numbers"),
        ([1.0, float("inf")], "column 2 has an infinite number"),
        ([float("nan"), None], r"column 1 \(and 1 more\) has no number"),
        ([1.0, 1e300], "numbers too far from those of the training items for a 32-bit float"),
    ],
)
def test_what_is_no_row_is_refused(thing: Any, message: str) -> None:
    """Every other thing is refused in one sentence that says what it is."""
    adapter = TableAdapter(size=(1, 2), scaling="none")

    with pytest.raises(DataError, match=message) as caught:
        adapter.adapt(thing)
    assert len(caught.value.problems) == 1


def test_a_stack_of_another_width_is_refused_at_once() -> None:
    """A whole array of the wrong width is one problem, not one for each item."""
    adapter = TableAdapter().fitted(_items(5, 4))

    with pytest.raises(DataError, match="an item has 3 numbers, but 4 are expected") as caught:
        adapter.grids(_items(100, 3))
    assert len(caught.value.problems) == 1


def test_the_most_frequent_length_is_learned() -> None:
    """Where items differ in length, those that differ from most are the problems."""
    things = [[1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 4.0, 6.0], "text"]

    adapter = TableAdapter().fitted(things)

    assert adapter.shape().columns == 3
    assert adapter.adapt_all(things).kept.tolist() == [1, 2]


@pytest.mark.parametrize("things", [[], np.zeros((0, 4)), ["text"], [[np.nan, 1.0]]])
def test_nothing_usable_is_an_error(things: Any) -> None:
    with pytest.raises(DataError, match="no usable item to learn"):
        TableAdapter().fitted(things)


def test_numbers_that_cannot_be_added_up_are_told() -> None:
    with pytest.raises(DataError, match="column 2 has numbers too large to be added up"):
        TableAdapter().fitted(np.array([[1.0, 1e308], [2.0, 1.5e308]]))


def test_masked_numbers_are_missing() -> None:
    """In one array of all items, and in an item by itself."""
    stack = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], [[False, True], [False, False]])
    adapter = TableAdapter(missing="mean", scaling="none").fitted(stack)

    assert adapter.fills == (2.0, 4.0)
    assert _values(adapter, stack).tolist() == [[[[1.0, 4.0]]], [[[3.0, 4.0]]]]
    assert adapter.adapt(stack[0]).tolist() == [[[1.0, 4.0]]]


def test_an_adapter_that_has_learned_nothing_says_so() -> None:
    with pytest.raises(DataError, match="has not learned how many columns there are"):
        TableAdapter().shape()
    with pytest.raises(DataError, match="has not learned 'means' and 'deviations' yet"):
        TableAdapter(size=(1, 2)).adapt([1, 2])
    with pytest.raises(DataError, match="has not learned 'fills' yet"):
        TableAdapter(size=(1, 2), missing="mean").adapt([1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scaling": "columns"}, "did you mean 'column'"),
        ({"size": [1, 2], "means": [1.0]}, "'means' must have 2 numbers; got 1"),
        ({"size": [1, 2], "scaling": "overall", "means": [1.0, 2.0]}, "must have 1 number; got 2"),
        ({"deviations": [-1.0]}, "at least 0"),
        ({"shape": [1, 2]}, "table has no setting 'shape'"),
    ],
)
def test_wrong_settings_are_explained(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TableAdapter.model_validate(given)


def test_a_model_of_a_table_is_saved_with_what_it_learned(tmp_path: Path) -> None:
    """It answers one row, many, a DataFrame and lists alike, also when it is loaded again."""
    import pandas as pd

    random = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = random.normal(size=(120, 16)) * 50 + 1000
    X[y == 1, :8] += 100
    spec = {
        "data": {"source": {"table": {"path": str(tmp_path / "t.csv"), "label": "kind"}}},
        "adapter": {"table": {"size": [1, 8], "channels": 2, "order": "interleaved"}},
        "stages": [{"convolution": {"filters": 4, "kernel_size": [1, 3]}}, "rectification"],
        "head": "voting",
        "check": "off",
        "training": {"epochs": 20, "learning_rate": 0.01},
    }
    frame = pd.DataFrame(X, columns=[f"c{n}" for n in range(16)])
    frame.assign(kind=y).to_csv(tmp_path / "t.csv", index=False)

    result = gridcnn.run(spec, out=tmp_path / "run")
    loaded = gridcnn.load(tmp_path / "run")
    votes = loaded.votes(X)

    assert result.metrics["test"]["accuracy"] > 0.8  # 0.958 or more, with three seeds
    assert loaded.adapter == result.model.adapter
    for things in (frame, X.tolist(), list(X)):
        np.testing.assert_array_equal(loaded.votes(things), votes)
    np.testing.assert_allclose(loaded.votes(X[3])[0], votes[3], atol=1e-6)


@pytest.mark.parametrize("order", ["rows", "interleaved"])
@pytest.mark.parametrize("scaling", ["column", "overall", "none"])
@pytest.mark.parametrize("form", [np.asarray, list, np.ndarray.tolist])
def test_numbers_are_laid_out_as_they_are(order: str, scaling: str, form: Any) -> None:
    """In the places of the grid, neither scaled nor cut off, and missing if they are missing."""
    rows = _items(40, 12)
    rows[3, 5], rows[7, 2] = 1e9, np.nan
    settings = {"size": (2, 3), "channels": 2, "order": order, "missing": "mean"}
    fitted = TableAdapter.model_validate({**settings, "scaling": scaling}).fitted(rows)
    plain = TableAdapter.model_validate({**settings, "scaling": "none", "fills": (0.0,) * 12})

    found = fitted.laid_out(form(rows))

    assert found is not None
    assert found.dtype == np.float64
    assert np.isnan(found).sum() == 1
    np.testing.assert_array_equal(
        np.nan_to_num(found, nan=0.0).astype(np.float32), _values(plain, rows)
    )


def test_rows_that_are_scaled_by_themselves_are_more_than_their_numbers() -> None:
    """So there are none to lay out."""
    rows = _items(40, 12)

    assert TableAdapter(scaling="row").fitted(rows).laid_out(rows) is None
