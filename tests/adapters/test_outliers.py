"""Numbers far from all others do not decide how the others are scaled."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.outliers import bulk_of, count_cut, is_scaled
from gridcnn.adapters.table import TableAdapter

DIGITS: NDArray[np.float64] = load_digits().data


def drawn(name: str, count: int) -> Any:
    random = np.random.default_rng(0)
    numbers: dict[str, Any] = {
        "normal": random.normal(size=count),
        "exponential": random.exponential(size=count),
        "counts": random.poisson(2, count),
        "ink": (random.random(count) < 0.004) * 255,
        "grey": random.integers(0, 256, count),
        "constant": np.full(count, 7.0),
    }
    return numbers[name]


@pytest.mark.parametrize("name", ["normal", "exponential", "counts", "ink", "grey", "constant"])
@pytest.mark.parametrize("count", [5, 300, 50_000])
def test_ordinary_numbers_have_no_outliers(name: str, count: int) -> None:
    values = drawn(name, count)

    found = bulk_of(values)

    assert found.is_all
    assert (found.low, found.high) == (values.min(), values.max())


@pytest.mark.parametrize("name", ["normal", "exponential", "counts", "grey"])
@pytest.mark.parametrize("outlier", [1e4, -1e6])
def test_a_single_outlier_is_left_aside(name: str, outlier: float) -> None:
    values = drawn(name, 3_000).astype(np.float64)
    low, high = values.min(), values.max()
    values[1234] = outlier

    found = bulk_of(values)

    assert not found.is_all
    assert high - low < 4 * (found.high - found.low)
    assert found.high - found.low < 3 * (high - low)


def test_outliers_that_are_alike_are_outliers() -> None:
    """As -999, which stands for missing numbers: three of 400 do not become the usual number."""
    values = np.append(drawn("normal", 400), [-999.0] * 3)

    found = bulk_of(values)

    assert not found.is_all
    assert found.low > -20


@given(scale=st.floats(1e-6, 1e6), shift=st.integers(-1000, 1000))
def test_outliers_are_the_same_in_any_unit(scale: float, shift: int) -> None:
    values = np.append(drawn("normal", 500), 1000.0)

    plain, other = bulk_of(values), bulk_of(scale * (values + shift))

    assert plain.is_all == other.is_all
    expected = scale * (np.array([plain.low, plain.high]) + shift)
    np.testing.assert_allclose([other.low, other.high], expected, rtol=1e-6, atol=1e-6 * scale)


@pytest.mark.parametrize(
    ("scaler", "scaled"),
    [(StandardScaler(), True), (RobustScaler(), True), (MinMaxScaler(), False)],
)
def test_scaled_numbers_are_known(scaler: Any, scaled: bool) -> None:
    assert is_scaled(scaler.fit_transform(DIGITS)) == scaled
    assert not is_scaled(DIGITS)


def test_scaled_arrays_stay_as_they_are() -> None:
    scaled = StandardScaler().fit_transform(DIGITS)

    fitted = ArrayAdapter().fitted(scaled)

    assert fitted.scaling == "none"
    np.testing.assert_array_equal(
        np.asarray(fitted.grids(scaled).values).reshape(scaled.shape), scaled.astype(np.float32)
    )


def test_arrays_without_outliers_have_the_range_of_all() -> None:
    fitted = ArrayAdapter().fitted(DIGITS)

    assert (fitted.scaling, fitted.low, fitted.high, fitted.limit) == ("range", 0.0, 16.0, None)
    assert fitted.remarks([], fitted.grids(DIGITS).values) == {}


def test_an_outlier_does_not_squash_an_array() -> None:
    values = DIGITS.copy()
    values[3, 20] = 1e6

    fitted = ArrayAdapter().fitted(values)
    grids = np.asarray(fitted.grids(values).values).reshape(values.shape)

    assert grids.std() > 0.3
    assert grids[3, 20] == grids.max() == 3.0
    ((told, count),) = fitted.remarks([], fitted.grids(values).values).items()
    assert count == 1
    assert "with numbers far from all others, which lie from 0 to 20" in told


def test_what_is_given_is_not_learned() -> None:
    values = DIGITS.copy()
    values[3, 20] = 1e6

    fitted = ArrayAdapter(low=0.0).fitted(values)

    assert (fitted.scaling, fitted.low, fitted.high, fitted.limit) == ("range", 0.0, 1e6, None)


def test_infinite_values_are_refused_whatever_the_limit() -> None:
    adapter = ArrayAdapter(low=0.0, high=1.0, limit=2.0).fitted(np.zeros((2, 3)))

    found = adapter.adapt_all(np.array([[0.0, 1.0, 9.0], [0.0, np.inf, 1.0]]))

    np.testing.assert_array_equal(found.kept, [0])
    np.testing.assert_array_equal(np.asarray(found.grids.values)[0, 0, 0], [-1.0, 1.0, 2.0])


def test_an_outlier_does_not_squash_a_column_of_a_table() -> None:
    rows = np.random.default_rng(0).normal(5, 2, (400, 3))
    plain = TableAdapter().fitted(rows)
    rows[7, 1] = 1e9

    fitted = TableAdapter().fitted(rows)
    cells = np.asarray(fitted.grids(rows).values).reshape(400, 3)

    assert plain.limit is None
    assert fitted.limit == 10.0
    assert fitted.means is not None
    assert plain.means is not None
    assert (fitted.means[0], fitted.means[2]) == (plain.means[0], plain.means[2])
    assert fitted.means[1] == pytest.approx(plain.means[1], abs=0.2)
    assert cells[7, 1] == 10.0
    assert 0.8 < np.delete(cells[:, 1], 7).std() < 1.25


@pytest.mark.parametrize("scaling", ["column", "overall"])
def test_a_table_says_how_many_items_are_cut_off(scaling: Any) -> None:
    """Two cells of one item and one of another: two items."""
    rows = np.random.default_rng(0).normal(5, 2, (400, 3))
    rows[7, :2] = 1e9
    rows[9, 2] = -1e6

    fitted = TableAdapter(scaling=scaling).fitted(rows)
    ((told, count),) = fitted.remarks([], fitted.grids(rows).values).items()

    assert count == 2
    assert told.startswith("with numbers 10 deviations or more from the mean of ")
    assert fitted.remarks([], fitted.grids(rows[:7]).values) == {}


def test_what_chance_puts_beyond_a_limit_is_not_remarked_on() -> None:
    """Of normal numbers 0.27 % are beyond 3 deviations; if 2 % are, it is told."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2000, 5))
    adapter = TableAdapter(limit=3.0).fitted(rows)
    far = np.where(random.random(rows.shape) < 0.02, 4.0, rows)

    assert count_cut(adapter.grids(rows).values, 3.0)[0] > 10
    assert adapter.remarks([], adapter.grids(rows).values) == {}
    assert adapter.remarks([], adapter.grids(np.array([[3.2, 0, 0, 0, 0]])).values) == {}
    ((_, count),) = adapter.remarks([], adapter.grids(far).values).items()
    assert count == count_cut(adapter.grids(far).values, 3.0)[0] > 150


def test_numbers_that_are_not_scaled_are_not_cut_off() -> None:
    adapter = TableAdapter(scaling="none", limit=2.0).fitted(np.ones((20, 3)))

    grids = adapter.grids(np.full((20, 3), 5.0)).values

    assert np.asarray(grids).max() == 5.0
    assert adapter.remarks([], grids) == {}


def test_columns_of_ordinary_numbers_are_scaled_by_all_of_them() -> None:
    random = np.random.default_rng(0)
    rows = np.stack([random.exponential(size=5000), random.poisson(0.02, 5000)], axis=1)

    fitted = TableAdapter().fitted(rows)

    assert fitted.limit is None
    np.testing.assert_allclose(fitted.means, rows.mean(axis=0))  # type: ignore[arg-type]
    np.testing.assert_allclose(fitted.deviations, rows.std(axis=0))  # type: ignore[arg-type]


def test_huge_numbers_need_no_warnings() -> None:
    values = np.random.default_rng(0).normal(size=(50, 4))
    values[0, 0], values[1, 1] = 1e308, -1e308

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grids = ArrayAdapter().fitted(values).grids(values).values

    assert np.isfinite(np.asarray(grids)).all()
