"""Whether rows are in an order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.columns import column_of, comparable
from gridcnn.order.judge import judge_columns
from gridcnn.order.judging import Judging
from gridcnn.order.rows import RowOrder, order_of_rows
from tests.order.made import Table, factors, series


def ordered(table: Table, targets: NDArray[np.int64] | None = None) -> RowOrder:
    values, _ = comparable([column_of("", column) for column in table.T])
    order = order_of_rows(values, targets, seed=0)
    assert order is not None
    return order


def recording(rows: int, columns: int) -> Table:
    """Return one long signal, cut into rows."""
    return series(1, rows * columns, 0.95).reshape(rows, columns)


def test_a_recording_that_was_cut_goes_on_in_the_next_row() -> None:
    order = ordered(recording(300, 20))
    assert order.is_ordered
    assert order.continues > 0.5


def test_a_slow_drift_makes_rows_alike() -> None:
    drift = np.cumsum(np.random.default_rng(0).normal(size=(300, 1)), axis=0)
    order = ordered(factors(300, 10) + drift)
    assert order.is_ordered
    assert order.alike > 0.3


def test_rows_in_random_order_are_not() -> None:
    for seed in range(5):
        assert not ordered(factors(300, 10, seed=seed)).is_ordered
        shuffled = np.random.default_rng(seed).permutation(recording(300, 20))
        assert not ordered(shuffled).is_ordered


def test_a_table_sorted_by_class_is_no_recording() -> None:
    targets = np.repeat(np.arange(3), 100)
    table = factors(300, 10) + 3.0 * targets[:, None]
    assert not ordered(table, targets).is_ordered


def test_the_verdict_says_that_a_random_division_flatters() -> None:
    columns = [column_of(f"c{n}", column) for n, column in enumerate(recording(300, 20).T)]
    verdict = judge_columns(columns, None, rows=300, judging=Judging())
    assert any("cut into rows" in line for line in verdict.evidence)
    assert any("data.group" in line for line in verdict.advice)


def test_few_rows_or_columns_say_nothing() -> None:
    values, _ = comparable([column_of("", column) for column in factors(30, 10).T])
    assert order_of_rows(values, None, seed=0) is None
    assert order_of_rows(values[:, :1], None, seed=0) is None
