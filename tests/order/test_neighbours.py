"""What neighbours tell, against counting by hand."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.datasets import load_digits

from gridcnn.order.columns import column_of, comparable
from gridcnn.order.lags import association
from gridcnn.order.layouts import Layout, layouts
from gridcnn.order.neighbours import (
    DOUBTFUL_GRADATION,
    ERROR_RATE,
    GRADATION,
    SCORE,
    TOGETHER,
    Neighbours,
    _Channels,
    _tail,
    look,
    look_along,
)
from gridcnn.order.prediction import Predictor
from tests.order.made import factors, groups, series, spots


def looked(table: NDArray[np.float64], *, seed: int = 0, only: Layout | None = None) -> Neighbours:
    values, usable = comparable([column_of("", column) for column in table.T])
    every = [only] if only else list(layouts(table.shape[1]))
    return look(Predictor(values), usable, association(values, usable), every, seed=seed)[0]


@pytest.mark.parametrize("columns", [5, 6])
def test_few_positions_are_put_into_every_order(columns: int) -> None:
    table = series(200, columns, 0.7)
    found = looked(table, only=Layout(1, columns))
    values, _ = comparable([column_of("", column) for column in table.T])
    predictor = Predictor(values)

    def explained(order: tuple[int, ...]) -> float:
        total = 0.0
        for place, column in enumerate(order):
            beside = [order[n] if 0 <= n < columns else -1 for n in (place - 1, place + 1)]
            total += float(predictor.r2(np.array([column]), np.array([beside]))[0])
        return total / columns

    every = [explained(order) for order in itertools.permutations(range(columns))]
    as_good = sum(value >= explained(tuple(range(columns))) - 1e-9 for value in every)
    assert found.exact
    assert found.orders == len(every)
    assert found.p_value == pytest.approx(as_good / len(every))
    assert found.explained == pytest.approx(explained(tuple(range(columns))))
    assert found.by_chance == pytest.approx(np.mean(every), abs=0.05)


@pytest.mark.parametrize("skewed", [0.0, 1e-6, 0.5, 2.0, -1.0])
@pytest.mark.parametrize("given", [-3.0, 0.0, 2.5, 9.0])
def test_small_p_values_are_read_off_pearsons_curve(given: float, skewed: float) -> None:
    """Of type III, by mean, spread and skewness; a curve that is skewed to the left is normal."""
    normal = np.random.default_rng(0).normal(size=999)
    normal = np.concatenate([normal, -normal])
    others = 3 + normal + skewed * np.square(normal)
    standard = (given - others.mean()) / others.std()

    wanted = stats.pearson3.sf(standard, max(0.0, stats.skew(others)))

    assert _tail(given, others) == pytest.approx(wanted, rel=1e-6)


def test_gradation_is_counted() -> None:
    table = series(300, 12, 0.6)
    values, usable = comparable([column_of("", column) for column in table.T])
    close = association(values, usable)
    found = looked(table, only=Layout(1, 12))
    count = sum(
        min(close[n, n - 1], close[n, n + 1]) > (close[n, n - 2] + close[n, n + 2]) / 2
        for n in range(2, 10)
    )
    assert found.gradation == pytest.approx(count / 8)


def test_a_short_axis_is_graded_one_way() -> None:
    table = spots(400, 6)[:, :, :4].reshape(400, 24)
    values, usable = comparable([column_of("", column) for column in table.T])
    close = association(values, usable).reshape(6, 4, 6, 4)
    long = [
        min(close[r, c, r - 1, c], close[r, c, r + 1, c])
        > (close[r, c, r - 2, c] + close[r, c, r + 2, c]) / 2
        for r in range(2, 4)
        for c in range(4)
    ]
    short = [
        close[r, c, r, c + way] > close[r, c, r, c + 2 * way]
        for r in range(6)
        for c in range(4)
        for way in (-1, 1)
        if 0 <= c + 2 * way < 4
    ]
    wanted = (np.mean(long) + max(0, 2 * np.mean(short) - 1)) / 2
    assert looked(table, only=Layout(6, 4)).gradation == pytest.approx(wanted)


@pytest.mark.parametrize("closeness", [0.4, 0.7, 0.95])
def test_a_series_is_ordered(closeness: float) -> None:
    found = looked(series(500, 40, closeness))
    assert found.is_ordered
    assert found.layout == Layout(1, 40)
    assert found.score > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_a_shuffled_series_is_not(seed: int) -> None:
    order = np.random.default_rng(seed).permutation(40)
    assert not looked(series(500, 40, 0.8)[:, order], seed=seed).is_ordered


@pytest.mark.parametrize(("size", "count"), [(2, 15), (3, 10), (5, 6), (10, 3)])
def test_groups_that_stand_together_are_no_order(size: int, count: int) -> None:
    assert not looked(groups(600, size, count)).is_ordered


def test_hidden_causes_are_no_order() -> None:
    found = looked(factors(600, 25))
    assert not found.is_ordered
    assert found.is_telling


def test_independent_columns_tell_nothing() -> None:
    found = looked(np.random.default_rng(0).normal(size=(500, 20)))
    assert not found.is_telling
    assert found.score == 0


def test_interleaved_series_are_found() -> None:
    tracks = np.stack([series(500, 20, 0.9, seed) for seed in range(3)], axis=2)
    found = looked(tracks.reshape(500, 60))
    assert found.is_ordered
    assert found.layout == Layout(1, 20, 3)


def test_a_flattened_picture_is_found() -> None:
    found = looked(spots(700, 10).reshape(700, 100))
    assert found.is_ordered
    assert found.layout == Layout(10, 10)


def test_one_axis_may_mean_something_and_the_other_not() -> None:
    tracks = np.stack([series(400, 12, 0.9, seed) for seed in range(8)], axis=1)
    values, usable = comparable([column_of("", column) for column in tracks.reshape(400, 96).T])
    predictor, close = Predictor(values), association(values, usable)
    time = look_along(predictor, usable, close, Layout(1, 12, 8, interleaved=False), seed=0)
    track = look_along(predictor, usable, close, Layout(1, 8, 12), seed=0)
    assert time is not None
    assert time.is_ordered
    assert track is not None
    assert not track.is_ordered


def test_places_of_an_axis_grade_by_their_mean_over_what_lies_across() -> None:
    pictures = spots(300, 9)[:, :, :6].reshape(300, 54)
    values, usable = comparable([column_of("", column) for column in pictures.T])
    close = association(values, usable).reshape(9, 6, 9, 6)
    found = look_along(Predictor(values), usable, close.reshape(54, 54), Layout(1, 9, 6), seed=0)
    assert found is not None
    rows = np.mean([close[:, column, :, column] for column in range(6)], axis=0)
    count = sum(
        min(rows[n, n - 1], rows[n, n + 1]) > (rows[n, n - 2] + rows[n, n + 2]) / 2
        for n in range(2, 7)
    )
    assert found.gradation == pytest.approx(count / 5)


def test_both_axes_of_handwritten_digits_are_ordered() -> None:
    cells = load_digits().data
    values, usable = comparable([column_of("", column) for column in cells.T])
    predictor, close = Predictor(values), association(values, usable)
    for layout in (Layout(1, 8, 8), Layout(1, 8, 8, interleaved=False)):
        found = look_along(predictor, usable, close, layout, seed=0)
        assert found is not None
        assert found.is_ordered


def test_only_a_part_of_the_columns_need_be_known() -> None:
    table = spots(500, 12).reshape(500, 144)
    values, usable = comparable([column_of("", column) for column in table[:, 30:110].T])
    found = look(
        Predictor(values),
        usable,
        association(values, usable),
        [Layout(12, 12), Layout(1, 144)],
        seed=0,
        first=30,
    )
    assert found[0].is_ordered
    assert found[0].layout == Layout(12, 12)


def test_the_bars_are_those_that_are_told() -> None:
    replace = dataclasses.replace
    low = Neighbours(Layout(1, 9), 0.5, 0.1, 0.6, SCORE, 2 * TOGETHER - SCORE, ERROR_RATE)
    coarse = replace(low, score=2 * TOGETHER - GRADATION, gradation=GRADATION)
    assert low.is_ordered
    assert coarse.is_ordered
    for each in (low, coarse):
        assert not replace(each, score=each.score - 0.01).is_ordered
        assert not replace(each, gradation=each.gradation - 0.01).is_ordered
        assert not replace(each, p_value=2 * ERROR_RATE).is_ordered
        assert not replace(each, p_value=None).is_ordered
    assert not replace(low, score=SCORE - 0.01, gradation=1.0).is_ordered
    assert not replace(coarse, score=1.0, gradation=GRADATION - 0.01).is_ordered
    doubtful = replace(low, gradation=DOUBTFUL_GRADATION)
    assert doubtful.is_doubtful
    assert not replace(doubtful, gradation=DOUBTFUL_GRADATION - 0.01).is_doubtful


def test_the_same_seed_gives_the_same_answer() -> None:
    table = factors(300, 18)
    assert looked(table, seed=3) == looked(table, seed=3)


@pytest.mark.slow
def test_luck_is_as_rare_as_it_says() -> None:
    # Of 150 meaningless orders hardly any passes; by Bonferroni fewer than ERROR_RATE of them.
    passed = 0
    for seed in range(150):
        order = np.random.default_rng(seed).permutation(16)
        passed += looked(series(120, 16, 0.7, seed)[:, order], seed=seed).is_ordered
    assert passed <= 3


def test_every_seed_looks_at_the_same_columns() -> None:
    """Of many columns some are predicted, spread evenly, so that the seed changes no figure."""
    table = series(200, 150, 0.8)
    first, second = (looked(table, seed=seed, only=Layout(1, 150)) for seed in (0, 1))

    assert first.explained == second.explained
    assert first.best == second.best


def test_predictions_from_two_columns_are_computed_once_for_all_orders() -> None:
    """They are the same as those of each order by itself, also at the ends and across channels."""
    tracks = np.stack([series(200, 7, 0.8, seed) for seed in range(2)], axis=2).reshape(200, 14)
    values, usable = comparable([column_of("", column) for column in tracks.T])
    layout = Layout(1, 7, 2)
    channels = _Channels(Predictor(values), usable, association(values, usable), layout, 0)
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(7), (20, 1)), axis=1)

    assert channels.has_few_pairs
    known = channels.mean_r2(layout.neighbours(), orders)
    channels.has_few_pairs = False
    assert channels.mean_r2(layout.neighbours(), orders) == pytest.approx(known)


def test_eight_positions_are_put_into_every_order() -> None:
    """Then neither the p-value nor chance has an error, and every seed finds the same."""
    table = series(60, 8, 0.5)
    found = looked(table, only=Layout(1, 8))

    assert found.exact
    assert found.orders == 40_320
    assert (found.chance_error, found.p_error) == (0.0, 0.0)
    assert found == looked(table, seed=1, only=Layout(1, 8))


def test_a_shift_goes_with_the_errors_of_the_figures() -> None:
    """The score moves with what is explained by chance, and the p-value by a factor."""
    near = Neighbours(
        Layout(1, 9), 0.5, 0.1, 0.6, 0.8, 0.7, p_value=0.02, chance_error=0.01, p_error=0.5
    )
    better = near.shift(2)

    assert better.by_chance == pytest.approx(0.08)
    assert better.score == pytest.approx((0.5 - 0.08) / (0.6 - 0.08))
    assert better.p_value == pytest.approx(0.02 / np.e)
    assert near.shift(-20).p_value == 1.0


def test_chance_is_measured_until_the_score_is_known_well() -> None:
    """Of few columns single orders differ much, and more of them are tried."""
    swapped = [1, 0, 2, 3, 4, 5, 7, 6, 8, 9, 10, 11]
    found = looked(series(200, 12, 0.7)[:, swapped], only=Layout(1, 12))
    span = found.best - found.by_chance
    error = found.chance_error * (found.best - found.explained) / span**2

    assert found.score > 0.4
    assert 0 < error <= 0.004
