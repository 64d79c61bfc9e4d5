"""The rule taken literally: networks trained on columns as given, and shuffled."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from gridcnn.order import usefulness as module
from gridcnn.order.columns import column_of, comparable
from gridcnn.order.layouts import Layout
from gridcnn.order.usefulness import TRAININGS, Usefulness, usefulness
from tests.order.made import Table, factors


def bumps(rows: int, columns: int, seed: int = 0) -> tuple[Table, np.ndarray]:
    """Return noise with a wave at any place, upwards or downwards: the class."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    classes = random.integers(0, 2, rows)
    for row, sign in enumerate(2 * classes - 1):
        start = random.integers(0, columns - 4)
        values[row, start : start + 4] += sign * np.array([2.5, 2.5, -2.5, -2.5])
    return values, classes.astype(np.int64)


def tried(table: Table, classes: np.ndarray, seed: int = 0) -> Usefulness | None:
    values, _ = comparable([column_of("", column) for column in table.T])
    return usefulness(values, classes, Layout(1, table.shape[1]), seed=seed)


def test_a_pattern_at_any_place_is_only_found_in_order() -> None:
    found = tried(*bumps(600, 24))
    assert found is not None
    assert found.is_useful
    assert found.given > max(found.shuffled)
    assert found.p_value < 0.01


def test_where_columns_stand_does_not_matter_to_a_sum() -> None:
    table = factors(500, 12)
    found = tried(table, (table.sum(axis=1) > 0).astype(np.int64))
    assert found is not None
    assert found.is_telling
    assert not found.is_useful


def test_where_nothing_can_be_learned_nothing_is_told() -> None:
    random = np.random.default_rng(0)
    found = tried(random.normal(size=(300, 10)), random.integers(0, 2, 300))
    assert found is not None
    assert not found.is_telling
    assert not found.is_useful


def test_the_p_value_is_that_of_one_more_observation() -> None:
    shuffled = [0.70, 0.72, 0.69, 0.71, 0.73, 0.70]
    spread = np.std(shuffled, ddof=1) * np.sqrt(7 / 6)
    wanted = 1 - stats.t.cdf((0.78 - np.mean(shuffled)) / spread, 5)
    assert module._p_value(0.78, shuffled) == pytest.approx(wanted)
    # What one draws from the very same distribution is as often below as above.
    random = np.random.default_rng(0)
    draws = random.normal(size=(4_000, 7))
    found = np.array([module._p_value(row[0], row[1:].tolist()) for row in draws])
    assert (found <= 0.1).mean() == pytest.approx(0.1, abs=0.02)


def test_equal_accuracies_prove_nothing() -> None:
    assert module._p_value(0.9, [0.9] * 6) == 0.5
    assert module._p_value(0.95, [0.9] * 6) > 0.01


def test_rare_classes_are_left_out_and_one_class_is_not_enough() -> None:
    table = factors(100, 8)
    classes = np.zeros(100, np.int64)
    classes[:4] = 1
    assert tried(table, classes) is None
    classes[:40] = 1
    classes[0] = 2
    found = tried(table, classes)
    assert found is not None
    assert (found.classes, found.rows) == (2, 99)


def test_progress_is_told_and_the_same_seed_gives_the_same_answer() -> None:
    table, classes = bumps(150, 12)
    values, _ = comparable([column_of("", column) for column in table.T])
    steps: list[int] = []
    first = usefulness(values, classes, Layout(1, 12), seed=4, advance=steps.append)
    assert sum(steps) == TRAININGS
    assert first == usefulness(values, classes, Layout(1, 12), seed=4, threads=1)


def test_a_layout_brings_columns_into_their_cells() -> None:
    tracks = np.stack([bumps(600, 12, seed)[0] for seed in range(2)], axis=2)
    classes = bumps(600, 12, 0)[1]
    values, _ = comparable([column_of("", column) for column in tracks.reshape(600, 24).T])
    found = usefulness(values, classes, Layout(1, 12, 2), seed=0)
    assert found is not None
    assert found.is_useful


def test_rounds_follow_until_it_is_enough() -> None:
    """Each has draws of its own, and makes the error smaller; the first is the same as alone."""
    table, classes = bumps(120, 8)
    values, _ = comparable([column_of("", column) for column in table.T])
    asked: list[Usefulness] = []

    def is_enough(use: Usefulness) -> bool:
        asked.append(use)
        return len(asked) >= 2

    found = usefulness(values, classes, Layout(1, 8), seed=4, is_enough=is_enough)

    assert found == asked[1]
    assert [each.rounds for each in asked] == [1, 2]
    assert [len(each.shuffled) for each in asked] == [6, 12]
    assert asked[0] == usefulness(values, classes, Layout(1, 8), seed=4)
    assert asked[1].shuffled[:6] == asked[0].shuffled
    assert asked[1].shuffled[6:] != asked[0].shuffled


def test_a_shift_goes_with_the_errors_of_the_figures() -> None:
    """Accuracy moves by its own error; Student's t also by how roughly the spread is known."""
    use = Usefulness(0.78, (0.70, 0.72, 0.69, 0.71, 0.73, 0.70), 0.5, 0.01, 500, 2)
    spread = np.std(use.shuffled, ddof=1) * np.sqrt(7 / 6)
    ahead = (0.78 - np.mean(use.shuffled)) / spread
    rough = dataclasses.replace(use, error=1.0)

    # Without an error of the accuracy, t changes by a factor; with a large one, by that error.
    assert use.shift(-2).p_value == pytest.approx(stats.t.sf(ahead * np.exp(-2 / np.sqrt(10)), 5))
    assert rough.shift(0.1).p_value == pytest.approx(stats.t.sf(ahead + 0.1 / spread, 5), rel=0.1)
    assert dataclasses.replace(use, error=0.01).shift(-2).given == pytest.approx(0.76)
    assert dataclasses.replace(use, error=0.01).shift(0, 2).shuffled[0] == pytest.approx(0.72)
    assert use.shift(0) == use


def test_a_shift_for_the_order_never_makes_it_look_worse() -> None:
    """The p-value falls from shift to shift, whether the order is ahead of shuffles or behind."""
    for given in (0.65, 0.71, 0.78):
        use = Usefulness(given, (0.70, 0.72, 0.69, 0.71, 0.73, 0.70), 0.5, 0.5, 500, 2, 0.01)
        values = [use.shift(way).p_value for way in (-4, -2, -1, 1, 2, 4)]

        assert values == sorted(values, reverse=True)
