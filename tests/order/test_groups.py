"""Groups of related columns, told from an order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.columns import column_of, comparable
from gridcnn.order.groups import Groups, group_columns, order_within
from gridcnn.order.lags import association
from gridcnn.order.layouts import Layout
from tests.order.made import Table, groups, series, spots


def associated(table: Table) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    values, usable = comparable([column_of("", column) for column in table.T])
    return association(values, usable), usable


def judged(table: Table, layout: Layout) -> Groups:
    associations, usable = associated(table)
    known = group_columns(associations, usable)
    return order_within(associations, known, layout, np.random.default_rng(0))


def test_groups_are_found_wherever_their_columns_stand() -> None:
    table = groups(500, 5, 6)
    order = np.random.default_rng(0).permutation(30)
    associations, usable = associated(table[:, order])
    labels = group_columns(associations, usable)
    for first in range(30):
        for second in range(30):
            together = order[first] // 5 == order[second] // 5
            assert (labels[first] == labels[second]) == together


def test_columns_that_do_not_vary_are_in_no_group() -> None:
    table = groups(500, 5, 4)
    table[:, 3] = 1.0
    labels = group_columns(*associated(table))
    assert labels[3] == -1
    assert (np.delete(labels, 3) >= 0).all()


def test_within_groups_there_is_no_order() -> None:
    for seed in range(5):
        within = judged(groups(500, 6, 5, seed=seed), Layout(1, 30))
        assert within.show_none
        assert not within.show_order


def test_within_the_parts_of_a_series_there_is() -> None:
    for seed in range(5):
        within = judged(series(400, 40, 0.9, seed=seed), Layout(1, 40))
        assert within.show_order
        assert not within.show_none


def test_within_the_parts_of_pictures_there_is_along_both_axes() -> None:
    within = judged(spots(600, 9).reshape(600, -1), Layout(9, 9))
    assert within.show_order


def test_two_columns_of_a_group_say_nothing() -> None:
    """Groups of two have no three columns in a row, so that nothing is said about them."""
    within = judged(groups(500, 2, 10), Layout(1, 20))
    assert within.in_line is None
    assert not within.show_order
    assert not within.show_none
