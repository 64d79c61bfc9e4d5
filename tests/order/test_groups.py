"""Groups of related columns, told from an order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.order import groups as module
from gridcnn.order.columns import column_of, comparable
from gridcnn.order.groups import (
    Groups,
    InLine,
    _shuffle_within,
    group_columns,
    order_within,
    profile_likeness,
)
from gridcnn.order.lags import association
from gridcnn.order.layouts import Layout
from tests.order.made import Table, groups, series, spots


def associated(table: Table) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    values, usable = comparable([column_of("", column) for column in table.T])
    return association(values, usable), usable


def judged(table: Table, layout: Layout) -> Groups:
    associations, usable = associated(table)
    known = group_columns(associations, usable)
    likeness = profile_likeness(associations, known)
    return order_within(associations, likeness, known, layout, np.random.default_rng(0))


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


def test_noise_hides_the_order_of_a_peak_from_associations_but_not_from_profiles() -> None:
    """One cause, the height, moves all columns under a peak: those at its top are close to all."""
    random = np.random.default_rng(0)
    away = np.arange(24) - np.array([6, 17])[:, None]
    shape = np.exp(-np.square(away / 4) / 2)
    heights = np.exp(0.6 * random.normal(size=(500, 2)))
    noisy = heights @ shape + 0.5 * random.normal(size=(500, 24))

    within = judged(noisy, Layout(1, 24))

    assert within.close is not None
    assert not within.close.shows_order
    assert within.profiles is not None
    assert within.profiles.shows_order
    assert not within.show_none


def test_columns_that_are_equally_alike_say_nothing() -> None:
    """A smooth curve puts few rows in the same order at neighbouring points."""
    random = np.random.default_rng(3)
    places = np.arange(300)
    peaks = np.exp(-0.5 * np.square((places - random.uniform(0, 300, (12, 1))) / 20))
    table = np.exp(random.normal(size=(20, 12))) @ peaks

    test = judged(table, Layout(1, 300)).close

    assert test is not None
    assert test.threes < 200
    assert test.shows_order


def test_figures_in_a_fixed_order_are_no_order() -> None:
    """The same four figures of every department, the last with the least to do with the others."""
    random = np.random.default_rng(0)
    size = random.normal(size=(600, 9, 1))
    figures = size * np.array([1.0, 0.9, 0.7, 0.3]) + 0.3 * random.normal(size=(600, 9, 4))

    within = judged(figures.reshape(600, 36), Layout(1, 36))

    assert within.profiles is None
    assert within.show_none


def test_likeness_of_profiles_is_that_of_a_plain_loop() -> None:
    associations, _ = associated(series(300, 12, 0.9))
    labels = np.array([0] * 7 + [1] * 3 + [2] * 2)
    likeness = profile_likeness(associations, labels)

    for first in range(12):
        for second in range(12):
            members = [n for n in range(7) if n not in (first, second)]
            if first == second or max(first, second) >= 7:
                assert np.isnan(likeness[first, second])
                continue
            far = associations[first, members] - associations[second, members]
            assert likeness[first, second] == pytest.approx(-np.sqrt((far**2).mean()), abs=1e-5)


def test_two_columns_of_a_group_say_nothing() -> None:
    """Groups of two have no three columns in a row, so that nothing is said about them."""
    within = judged(groups(500, 2, 10), Layout(1, 20))
    assert within.tests == ()
    assert not within.show_order
    assert not within.show_none


def test_columns_change_places_within_their_groups_alone() -> None:
    """Every order keeps the group of every place, also of columns that are in no group."""
    labels = np.array([2, 0, 1, 0, -1, 2, 2, 1, -1, 0])
    orders = _shuffle_within(labels, 200, np.random.default_rng(0))

    assert (np.sort(orders, axis=1) == np.arange(10)).all()
    assert (labels[orders] == labels).all()
    assert len(np.unique(orders, axis=0)) > 50  # of 3! * 3! * 2! * 2! = 144


def test_a_p_value_near_a_threshold_is_counted_by_more_orders() -> None:
    """Of one that is clear, 499 are enough."""
    near = _test(given=0.5, part=0.02)

    assert _test(given=0.5, part=0.3).orders == 499
    assert near.orders == 4_999
    assert near.p_value == pytest.approx(0.02, abs=0.01)


def test_an_order_that_no_shuffle_reaches_is_certain() -> None:
    """Two standard errors must not make luck of it: 499 orders would not be enough for that."""
    within = _test(given=0.9, part=0.0)

    assert within.p_value == pytest.approx(1 / 5_000)
    assert within.shows_order
    assert within.shift(-2).shows_order


def _test(*, given: float, part: float) -> InLine:
    """Return the test of an order of which `part` of all random orders would do as well."""
    random = np.random.default_rng(0)

    def in_line(
        _: object, threes: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        telling = np.full(threes.shape[:-2], threes.shape[-2])
        if threes.ndim == 2:
            return np.array(given), telling
        return np.where(random.random(len(threes)) < part, 1.0, 0.0), telling  # as good or not

    associations, usable = associated(groups(100, 10, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_in_line", in_line)
        known = group_columns(associations, usable)
        likeness = profile_likeness(associations, known)
        within = order_within(associations, likeness, known, Layout(1, 30), random)
    assert within.close is not None
    return within.close
