"""Columns of any kind, and the numbers by which they are compared."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gridcnn.order.columns import WIDTH, Kind, column_of, comparable

MANY = 60


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.0, 2.5, 1.0], "number"),
        (["1.5", "-2e3", "0", ""], "number"),
        ([True, False, True], "number"),
        ([1, 1, 1], "constant"),
        (["a", "a", None], "constant"),
        ([None, float("nan"), "?"], "constant"),
        (list(range(100, 160)), "identifier"),
        ([f"AB-{n}" for n in range(MANY)], "identifier"),
        (["red", "green", "red"], "category"),
        ([f"message {n} of many" for n in range(MANY)], "text"),
        (["2026-01-31", "2026-02-01"], "date"),
        (["31.1.2026", "1.2.2026"], "date"),
        (["12:30", "07:15:01"], "date"),
        (["1_000", "2_000"], "category"),
    ],
)
def test_what_a_column_holds_is_told_by_its_values(values: list[Any], kind: Kind) -> None:
    assert column_of("name", values).kind == kind


def test_dates_of_numpy_are_dates() -> None:
    days = np.arange("2026-01-01", "2026-02-01", dtype="datetime64[D]")
    assert column_of("", days).kind == "date"
    assert column_of("", [datetime.date(2026, 1, day) for day in range(1, 9)]).kind == "date"


def test_what_is_missing_is_missing_however_it_is_written() -> None:
    column = column_of("", ["1", " ", "NA", "nan", None, "?", "3", "inf"])
    assert column.missing == 6
    assert np.nanmax(column.values) == 3


def test_a_slip_makes_no_other_kind_of_column() -> None:
    values = [str(n % 17) for n in range(99)] + ["n.b."]
    column = column_of("", values)
    assert (column.kind, column.missing) == ("number", 1)


def test_symbols_stand_by_frequency_and_then_by_code_point() -> None:
    column = column_of("", ["b", "c", "a", "c", "b", "c"])
    assert column.symbols == ("c", "b", "a")
    assert column.values.tolist() == [1, 0, 2, 0, 1, 0]


@given(st.lists(st.integers(-5, 5), min_size=25, max_size=60), st.floats(-1e3, 1e3), st.booleans())
def test_numbers_become_normal_scores(values: list[int], shift: float, turned: bool) -> None:
    given_values = np.array(values, np.float64)
    if len(set(values)) < 3:
        return
    scores, usable = comparable([column_of("", given_values)])
    wanted = stats.norm.ppf((stats.rankdata(values) - 0.5) / len(values))
    wanted = (wanted - wanted.mean()) / wanted.std()
    if usable[0]:
        np.testing.assert_allclose(scores[:, 0, 0], wanted, atol=1e-5)
    sign = -1 if turned else 1
    other, _ = comparable([column_of("", sign * 7.0 * given_values + round(shift))])
    np.testing.assert_allclose(other, sign * scores, atol=1e-5)


def test_symbols_become_independent_numbers() -> None:
    random = np.random.default_rng(0)
    values = random.choice(list("acgt"), 200, p=[0.4, 0.3, 0.2, 0.1])
    numbers, usable = comparable([column_of("", values), column_of("", values[::-1])])
    assert numbers.shape == (200, 2, WIDTH)
    assert usable.all()
    first = numbers[:, 0].astype(np.float64)
    np.testing.assert_allclose(first.T @ first / 200, np.eye(WIDTH), atol=1e-5)
    # They tell the symbols apart: rows of one symbol have one place.
    assert len(np.unique(first.round(4), axis=0)) == 4


def test_a_column_that_hardly_varies_cannot_be_used() -> None:
    rare = np.zeros(100)
    rare[:9] = 1
    enough = np.zeros(100)
    enough[:10] = 1
    _, usable = comparable([column_of("", rare), column_of("", enough), column_of("", [2.0] * 100)])
    assert usable.tolist() == [False, True, False]


def test_missing_values_are_average() -> None:
    values = np.arange(50.0) % 13
    values[::7] = np.nan
    numbers, _ = comparable([column_of("", values)])
    assert (numbers[::7, 0, 0] == 0).all()
