"""The order of an alphabet: levels of a signal have one, letters have none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.order import alphabet
from gridcnn.order.alphabet import beside, judge_alphabet
from gridcnn.order.sequences import association_of_symbols


def levels(count: int = 16, *, items: int = 800, length: int = 40) -> NDArray[np.int32]:
    """Return random walks as `count` levels that are equally frequent."""
    random = np.random.default_rng(1)
    walks = np.cumsum(random.normal(size=(items, length)), axis=1)
    edges = np.quantile(walks, np.arange(1, count) / count)
    return np.digitize(walks, edges).astype(np.int32)


def chains(count: int = 20, *, items: int = 800, length: int = 40) -> NDArray[np.int32]:
    """Return symbols that follow each other by random preferences, as letters do."""
    random = np.random.default_rng(2)
    preferences = random.dirichlet(np.full(count, 0.3), size=count).cumsum(axis=1)
    found = np.empty((items, length), np.int32)
    found[:, 0] = random.integers(0, count, items)
    for place in range(1, length):
        drawn = random.random(items)[:, None]
        found[:, place] = (drawn > preferences[found[:, place - 1]]).sum(axis=1).clip(0, count - 1)
    return found


def test_levels_of_a_signal_are_ordered() -> None:
    """A level is followed by itself or by the next one."""
    found = judge_alphabet(levels(), 16, name="level")

    assert found.decision == "grid"
    assert (found.name, found.size) == ("level", 16)
    assert found.neighbours is not None
    assert found.neighbours.is_ordered


@pytest.mark.parametrize("seed", range(5))
def test_levels_in_another_order_are_not(seed: int) -> None:
    """The same signal, whose levels stand in a random order."""
    order = np.random.default_rng(seed).permutation(16).astype(np.int32)

    assert judge_alphabet(order[levels()], 16, seed=seed).decision == "permutable"


@pytest.mark.parametrize("by_frequency", [False, True])
def test_letters_have_no_order(by_frequency: bool) -> None:
    """Neither as they come, nor sorted by frequency, as learned alphabets are."""
    found = chains()
    if by_frequency:
        ranks = np.argsort(np.argsort(-np.bincount(found.ravel(), minlength=20), kind="stable"))
        found = ranks.astype(np.int32)[found]

    assert judge_alphabet(found, 20).decision == "permutable"


def test_symbols_without_any_order_are_undecided() -> None:
    """Where no symbol says anything about the next, nothing could show an order."""
    drawn = np.random.default_rng(0).integers(0, 16, (800, 40)).astype(np.int32)

    assert judge_alphabet(drawn, 16).decision == "undecided"


@pytest.mark.parametrize(
    ("indices", "symbols"),
    [(np.zeros((50, 10), np.int32), 1), (levels(4), 4), (levels()[:, :1], 16)],
)
def test_too_little_is_undecided(indices: NDArray[np.int32], symbols: int) -> None:
    """Few symbols, or nothing that follows."""
    assert judge_alphabet(indices, symbols).decision == "undecided"


def test_empty_places_have_no_say() -> None:
    """Symbols of longer items would seem related otherwise."""
    found = levels()
    found[::2, 20:] = -1

    assert judge_alphabet(found, 16).decision == "grid"
    assert judge_alphabet(np.full((50, 10), -1, np.int32), 16).decision == "undecided"


def test_large_alphabets_are_looked_at_in_part() -> None:
    """There where their symbols are most frequent."""
    shifted = levels() + np.int32(700)

    assert judge_alphabet(shifted, 2_000).decision == "grid"


def test_associations_are_correlations_of_indicators() -> None:
    """Position by position with NumPy, weighted by the variances."""
    codes = chains(5, items=300, length=6).astype(np.int64)

    found = alphabet._associations(codes, 5)

    covariance = np.zeros((5, 5))
    variance = np.zeros((2, 5))
    for place in range(5):
        here = (codes[:, place, None] == np.arange(5)).astype(float)
        after = (codes[:, place + 1, None] == np.arange(5)).astype(float)
        covariance += (here - here.mean(axis=0)).T @ (after - after.mean(axis=0))
        variance += np.stack([here.var(axis=0), after.var(axis=0)]) * len(codes)
    expected = covariance / np.sqrt(np.outer(variance[0], variance[1]))
    expected = (expected + expected.T) / 2
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_figures_of_neighbours_are_those_of_a_loop() -> None:
    """Mean association of pairs side by side, the closest two, and gradation."""
    random = np.random.default_rng(3)
    close = random.random((9, 9))
    close = (close + close.T) / 2
    np.fill_diagonal(close, np.nan)
    usable = np.array([0, 1, 2, 3, 4, 6, 7, 8])

    found = beside(close, usable, np.random.default_rng(0))

    pairs = [(n, n + 1) for n in range(8) if n in usable and n + 1 in usable]
    assert found.explained == pytest.approx(np.mean([close[pair] for pair in pairs]))
    among = [[close[a, b] for b in usable if a != b] for a in usable]
    assert found.by_chance == pytest.approx(np.mean(among))
    assert found.best == pytest.approx(np.mean([sorted(row)[-2:] for row in among]))
    graded = [
        min(close[2, 1], close[2, 3]) > (close[2, 0] + close[2, 4]) / 2,
    ]
    assert found.gradation == pytest.approx(np.mean(graded))


def test_association_of_positions_is_cramers_v() -> None:
    """SciPy's chi-squared, corrected as in Bergsma (2013)."""
    from scipy.stats import chi2_contingency

    codes = chains(6, items=400, length=4).astype(np.int64)

    found = association_of_symbols(codes)

    items = len(codes)
    for a in range(4):
        for b in range(4):
            if a == b:
                assert np.isnan(found[a, b])
                continue
            table = np.zeros((6, 6))
            np.add.at(table, (codes[:, a], codes[:, b]), 1)
            squares = chi2_contingency(table, correction=False).statistic / items
            squares = max(0.0, squares - 25 / (items - 1))
            kinds = 6 - 25 / (items - 1)
            assert found[a, b] == pytest.approx(np.sqrt(squares / (kinds - 1)), abs=2e-3)
