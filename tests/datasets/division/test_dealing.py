"""Dealing items and groups into parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.datasets.division.dealing import can_deal, count_classes, deal_groups, deal_items


def distance(counts: NDArray[np.int64], part: NDArray[np.bool_], share: float) -> float:
    """Return how far a part is from its share of each class, and of all items."""
    off = counts[part].sum(axis=0) / counts.sum(axis=0) - share
    whole = counts[part].sum() / counts.sum() - share
    return float(np.square(off).mean() + whole**2)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(2, 7))
def test_no_fold_has_more_than_one_item_more_than_another(labels: list[int], folds: int) -> None:
    """Neither of each class, nor of all items."""
    targets = np.array(labels)

    numbers = deal_items(targets, folds, np.random.default_rng(0))

    for items in (numbers, *(numbers[targets == label] for label in set(labels))):
        assert np.ptp(np.bincount(items, minlength=folds)) <= 1


def test_classes_are_counted_in_each_group() -> None:
    """A row for each group, a column for each class."""
    counts = count_classes(np.array([0, 1, 1, 2]), np.array([1, 0, 0, 1]), 3)

    assert counts.tolist() == [[0, 1, 0], [2, 0, 0], [0, 1, 0]]


def groups_of(random: np.random.Generator, groups: int, classes: int) -> NDArray[np.int64]:
    counts = random.integers(0, 6, (groups, classes)) * random.integers(0, 2, (groups, classes))
    return np.array(counts, np.int64)


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("groups", [3, 4, 6])
def test_the_first_part_has_all_classes_wherever_that_is_possible(groups: int, later: int) -> None:
    """Whether it is possible is found by trying all ways; the parts after it find their groups."""
    random = np.random.default_rng(groups)
    both = [0, 0]
    for _ in range(150):
        counts = groups_of(random, groups, 3)
        has = counts > 0
        wanted = np.ones(3, np.bool_)

        possible = any(
            has[[each for each in range(groups) if each not in taken]].any(axis=0).all()
            for taken in itertools.combinations(range(groups), 1 + later)
        )

        assert can_deal(has, wanted, 1 + later) == possible
        both[possible] += 1
        if possible:
            parts = deal_groups(counts, (0.7, 0.3), random, taken_later=later)
            assert set(parts.tolist()) == {0, 1}
            assert can_deal(has[parts == 0], wanted, later)
    assert min(both) > 5


def test_the_best_of_all_ways_is_nearly_found() -> None:
    """Of eight groups, the distance from the shares is at most a little above the least one."""
    random = np.random.default_rng(3)
    found, least = [], []
    for _ in range(40):
        counts = random.integers(1, 20, (8, 3))
        parts = deal_groups(counts, (0.75, 0.25), random, taken_later=0)
        found.append(distance(counts, parts == 1, 0.25))
        every = (np.array(way, np.bool_) for way in itertools.product((0, 1), repeat=8))
        least.append(min(distance(counts, way, 0.25) for way in every if way.any()))

    assert np.sqrt(found).mean() < np.sqrt(least).mean() + 0.02


def test_folds_of_groups_all_get_a_group() -> None:
    """Also when there are as many groups as folds, of very different sizes."""
    counts = np.array([[100, 1], [1, 1], [1, 0], [0, 50]])

    assert sorted(deal_groups(counts, [0.25] * 4, np.random.default_rng(0))) == [0, 1, 2, 3]
