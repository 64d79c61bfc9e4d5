"""The array adapter: numbers that are grids already."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import ValidationError

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.errors import DataError


def _items(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 17, shape).astype(np.float64)


def test_shape_and_range_are_learned_from_the_training_items() -> None:
    """What is null is filled in: size, channels, and the smallest and largest value."""
    stack = _items(5, 8, 6)
    stack[0, 0, 0], stack[4, 7, 5] = -3, 40

    fitted = ArrayAdapter().fitted(stack)

    assert (fitted.size, fitted.channels) == ((8, 6), 1)
    assert (fitted.low, fitted.high) == (-3, 40)
    assert fitted.shape().sizes == (1, 8, 6)


def test_what_is_set_is_not_learned() -> None:
    """Settings that are given stay as they are."""
    adapter = ArrayAdapter(size=(8, 6), low=0.0)

    fitted = adapter.fitted(_items(5, 8, 6) + 1)

    assert (fitted.low, fitted.high) == (0, 17)
    assert fitted.fitted(_items(9, 3, 3)) is fitted


def test_learned_settings_survive_a_round_trip() -> None:
    """A fitted adapter is its settings: written and read again, it is the same."""
    fitted = ArrayAdapter().fitted(_items(5, 8, 6))

    assert ArrayAdapter.model_validate(fitted.model_dump(mode="json")) == fitted


def test_the_range_becomes_minus_one_to_one() -> None:
    """The smallest training value becomes -1, the largest 1, the middle 0; evenly between."""
    adapter = ArrayAdapter().fitted(np.array([[0.0, 4.0, 8.0, 16.0]]))

    assert adapter.adapt(np.array([0, 4, 8, 16])).tolist() == [[[-1.0, -0.5, 0.0, 1.0]]]


def test_values_beyond_the_range_are_not_clipped() -> None:
    """At prediction a value may lie outside of the training range; it leaves -1..1."""
    adapter = ArrayAdapter(size=(1, 2), channels=1, low=0.0, high=2.0)

    assert adapter.adapt([-2, 6]).tolist() == [[[-3.0, 5.0]]]


def test_scaling_none_keeps_values() -> None:
    """With `scaling: none` values stay as they are, and no range is learned."""
    adapter = ArrayAdapter(scaling="none").fitted(_items(4, 3, 3))

    assert (adapter.low, adapter.high) == (None, None)
    assert adapter.adapt(np.full((3, 3), 7)).tolist() == [[[7.0] * 3] * 3]


def test_constant_data_becomes_zero() -> None:
    """Where the smallest and largest value are the same, nothing is divided by zero."""
    stack = np.full((3, 4), 5.0)

    grids = ArrayAdapter().fitted(stack).grids(stack)

    assert not np.asarray(grids.values).any()


def test_a_huge_range_does_not_overflow() -> None:
    """The whole range of float64 can be scaled."""
    stack = np.array([[-1.7e308, 0.0, 1.7e308]])

    grids = ArrayAdapter().fitted(stack).grids(stack)

    assert np.asarray(grids.values).tolist() == [[[[-1.0, 0.0, 1.0]]]]


@pytest.mark.parametrize(
    ("order", "item", "sizes"),
    [
        ("auto", (7,), (1, 1, 7)),
        ("auto", (5, 7), (1, 5, 7)),
        ("auto", (2, 5, 7), (2, 5, 7)),
        ("auto", (5, 7, 3), (3, 5, 7)),
        ("auto", (5, 7, 1), (1, 5, 7)),
        ("auto", (3, 5, 4), (3, 5, 4)),
        ("auto", (5, 7, 2), (5, 7, 2)),
        ("first", (5, 7, 3), (5, 7, 3)),
        ("last", (3, 5, 4), (4, 3, 5)),
    ],
)
def test_channels_are_found(order: Any, item: tuple[int, ...], sizes: tuple[int, int, int]) -> None:
    """`channel_order` says where channels stand; auto: last if that is 1, 3 or 4, else first."""
    stack = _items(4, *item)

    adapter = ArrayAdapter(channel_order=order, scaling="none").fitted(stack)
    grids = adapter.grids(stack)

    assert adapter.shape().sizes == sizes
    expected = stack.reshape(4, *sizes)
    if sizes != item and len(item) == 3:
        expected = stack.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(grids.values, expected)


@given(
    stack=arrays(
        st.sampled_from([np.float64, np.float32, np.int16, np.uint8]),
        array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=5),
        elements=st.integers(0, 100),
    )
)
@settings(max_examples=60, deadline=None)
def test_one_item_a_list_and_a_stack_give_the_same(stack: np.ndarray[Any, Any]) -> None:
    """A stack is adapted as a whole, and exactly as its items are one by one."""
    adapter = ArrayAdapter(scaling="range").fitted(stack)

    whole = adapter.grids(stack)

    assert adapter == ArrayAdapter(scaling="range").fitted(list(stack))
    assert ArrayAdapter().fitted(stack) == ArrayAdapter().fitted(list(stack))
    np.testing.assert_array_equal(whole.values, adapter.grids(list(stack)).values)
    np.testing.assert_array_equal(whole.values[0], adapter.adapt(stack[0]))
    assert np.abs(whole.values).max() <= 1


def test_long_stacks_are_scaled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that is scaled part by part loses nothing, and tells its progress."""
    monkeypatch.setattr("gridcnn.adapters.array._CHUNK", 100)
    stack = _items(23, 6, 6)
    steps: list[int] = []

    adapted = ArrayAdapter(low=0.0, high=16.0).fitted(stack).adapt_all(stack, advance=steps.append)

    np.testing.assert_array_equal(np.asarray(adapted.grids.values)[:, 0], stack / 8 - 1)
    assert len(steps) > 1
    assert sum(steps) == 23


@pytest.mark.parametrize("values", [[np.inf, -np.inf], [1e308, 1e308]])
def test_sums_that_are_not_finite_are_not_warned_of(values: list[float]) -> None:
    """An adapter learns its range from finite values, however large their sum is."""
    grids = np.zeros((3, 2, 2))
    grids[0, 0] = values

    fitted = ArrayAdapter().fitted(grids)

    assert fitted.high == (max(values) if np.isfinite(values).all() else 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("many", [np.asarray, list])
def test_items_that_are_not_finite_are_told(bad: float, many: Any) -> None:
    """NaN and infinite values are refused by item, and not learned from."""
    stack = _items(4, 3, 3)
    stack[2, 1, 1] = bad

    adapter = ArrayAdapter().fitted(many(stack))
    adapted = adapter.adapt_all(many(stack))

    assert adapter.high == stack[[0, 1, 3]].max()
    assert adapted.kept.tolist() == [0, 1, 3]
    assert [str(problem) for problem in adapted.problems] == [
        "item 2: it holds NaN or infinite values; all must be finite numbers"
    ]


@pytest.mark.parametrize("many", [np.asarray, list])
def test_values_that_a_float_cannot_hold_are_refused(many: Any) -> None:
    """A value so far outside that it would become infinite is refused, with the reason."""
    adapter = ArrayAdapter(size=(1, 2), channels=1, low=0.0, high=1.0)

    with pytest.raises(DataError, match="item 1: it holds values too far from the learned range"):
        adapter.grids(many([[0.0, 1.0], [0.0, 1e200]]))


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (np.array([1j, 2]), "complex numbers; give their magnitudes"),
        ("1, 2, 3", "there is no such file"),
        (b"123", "it is not a NumPy file"),
        (["a", "b"], "type <U1, which are not numbers"),
        (np.array([None, 1]), "type object, which are not numbers"),
        ([[1, 2], [3]], "its rows have different lengths"),
        (np.zeros((2, 0)), r"shape \(2, 0\) is not a grid"),
        (np.float64(3), r"shape \(\) is not a grid"),
        (np.zeros((1, 1, 1, 1)), r"shape \(1, 1, 1, 1\) is not a grid"),
        (np.zeros((1, 3)), "the item is 1 x 1 x 3 .* all items must be 1 x 1 x 2"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "masked values"),
        (np.array(["2020-01-01", "2020-01-02"], "datetime64[D]"), "which are not numbers"),
    ],
)
def test_what_is_no_grid_is_refused(thing: Any, message: str) -> None:
    """Every other thing is refused in a sentence that says what it is."""
    adapter = ArrayAdapter(size=(1, 2), channels=1, scaling="none")

    with pytest.raises(DataError, match=message):
        adapter.adapt(thing)


def test_a_foreign_object_that_fails_is_refused() -> None:
    """An object whose conversion raises is told about as data, with its reason."""

    class Broken:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("the tensor is on another device")

    with pytest.raises(DataError, match="the tensor is on another device"):
        ArrayAdapter(size=(1, 2), channels=1, scaling="none").adapt(Broken())


def test_the_most_frequent_shape_is_learned() -> None:
    """Where items differ in shape, those that differ from most are the problems."""
    things = [np.zeros((2, 3)), *np.ones((3, 4, 4)), np.zeros((4, 4))]

    adapter = ArrayAdapter().fitted(things)
    adapted = adapter.adapt_all(things)

    assert adapter.size == (4, 4)
    assert adapted.kept.tolist() == [1, 2, 3, 4]
    assert "the item is 1 x 2 x 3" in str(adapted.problems[0])


@pytest.mark.parametrize("things", [[], np.zeros((0, 4)), ["text"], [np.full(3, np.nan)]])
def test_nothing_usable_is_an_error(things: Any) -> None:
    """There must be something to learn from."""
    with pytest.raises(DataError, match="no usable item to learn"):
        ArrayAdapter().fitted(things)


def test_a_stack_of_another_shape_is_refused_at_once() -> None:
    """A whole stack of the wrong shape is one problem, not one for each item."""
    adapter = ArrayAdapter().fitted(_items(3, 4, 4))

    with pytest.raises(DataError, match="all items must be 1 x 4 x 4") as caught:
        adapter.grids(_items(100, 5, 4))
    assert len(caught.value.problems) == 1


def test_an_adapter_that_has_learned_nothing_says_so() -> None:
    """Before it is fitted an adapter has no shape, and perhaps no range."""
    with pytest.raises(DataError, match="has not learned the shape"):
        ArrayAdapter().shape()
    with pytest.raises(DataError, match="has not learned the range"):
        ArrayAdapter(size=(1, 2), channels=1).adapt([1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 2.0, "high": 1.0}, "'low' must not be above 'high'"),
        ({"size": [0, 4]}, "from 1 to 16384"),
        ({"scaling": "rang"}, "did you mean 'range'"),
        ({"low": float("nan")}, "a finite number"),
        ({"chanels": 3}, "did you mean 'channels'"),
    ],
)
def test_wrong_settings_are_explained(given: dict[str, Any], message: str) -> None:
    """A setting outside of what is allowed is told in one sentence."""
    with pytest.raises(ValidationError, match=message):
        ArrayAdapter.model_validate(given)


def test_other_packages_arrays_are_read() -> None:
    """Lists, memory views and whatever NumPy takes for an array are items too."""
    adapter = ArrayAdapter(scaling="none").fitted([[1, 2, 3]])

    assert adapter.adapt(memoryview(array("d", [0, 1, 2]))).tolist() == [[[0.0, 1.0, 2.0]]]
    assert adapter.adapt((True, False, True)).tolist() == [[[1.0, 0.0, 1.0]]]


@pytest.mark.parametrize("form", [np.asarray, list])
@pytest.mark.parametrize("shape", [(30, 7), (30, 7, 8), (30, 2, 7, 8), (30, 7, 8, 3)])
def test_numbers_are_laid_out_as_they_are(form: Any, shape: tuple[int, ...]) -> None:
    """In the places of the grid, neither scaled nor cut off."""
    stack = _items(*shape)
    stack[3, 1] = 1e9
    plain = ArrayAdapter(scaling="none").fitted(stack)

    found = ArrayAdapter().fitted(stack).laid_out(form(stack))

    assert found is not None
    np.testing.assert_array_equal(found.astype(np.float32), np.asarray(plain.grids(stack).values))


def test_files_and_mixed_shapes_are_not_laid_out() -> None:
    """Files would be read twice, and no array holds arrays of several shapes."""
    adapter = ArrayAdapter().fitted(_items(3, 7, 8))

    assert adapter.laid_out(["a.npy", "b.npy"]) is None
    assert adapter.laid_out([_items(7, 8), _items(1, 7, 8)]) is None
