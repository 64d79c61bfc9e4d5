"""The built-in checker, put to grids as training has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits, load_wine

from gridcnn.grid import Axis, GridShape, OneHot
from gridcnn.order.checker import order
from gridcnn.order.guard import CHECKERS, Context
from gridcnn.order.judge import judge_grids
from gridcnn.order.judging import Judging
from gridcnn.order.sequences import judge_one_hot
from gridcnn.order.verdict import Verdict
from gridcnn.progress import Progress

Floats = NDArray[np.float32]


def asked(grids: Any, targets: Any = None, **context: Any) -> Verdict:
    cells = np.asarray(grids, np.float32)
    if cells.ndim == 2:
        cells = cells[:, None, None]
    shape = GridShape(*cells.shape[1:])
    return order(cells, targets, Context(shape, **{"items": len(cells), **context}))


def smooth(
    items: int, channels: int, rows: int, columns: int, *, seed: int = 0, blur: float = 1.0
) -> Floats:
    """Return grids whose neighbouring cells are alike: noise that has been blurred."""
    noise = np.random.default_rng(seed).normal(size=(items, channels, rows, columns))
    found: Floats = gaussian_filter(noise, (0, 0, blur, blur)).astype(np.float32)
    return found


def test_it_is_the_checker_that_gridcnn_brings() -> None:
    assert CHECKERS["order"] is order


@pytest.mark.slow
def test_a_table_of_wines_is_permutable_and_trees_are_advised() -> None:
    wine = load_wine()

    verdict = asked(wine.data, wine.target)

    assert verdict.decision == "permutable"
    assert verdict.evidence
    assert "HistGradientBoostingClassifier" in verdict.advice[0]


def test_flat_pictures_are_a_grid_and_their_layout_is_told() -> None:
    """One row of 120 cells: every layout is tried, and the one is found."""
    flat = smooth(300, 1, 10, 12, blur=0.7).reshape(300, -1)

    verdict = asked(flat)

    assert verdict.decision == "grid"
    assert "adapter: {table: {size: [10, 12]}}" in verdict.advice[0]
    assert asked(flat[:, None, :, None]).decision == "grid"  # one column


def test_a_layout_that_the_data_has_is_no_advice() -> None:
    line = smooth(200, 1, 1, 20)

    for grids in (line, smooth(200, 1, 8, 9), smooth(200, 3, 8, 9)):
        verdict = asked(grids)
        assert verdict.decision == "grid"
        assert verdict.advice == ()


def test_axes_are_called_by_their_names() -> None:
    cells = smooth(100, 1, 9, 9)
    shape = GridShape(1, 9, 9, Axis("frequency", "Hz"), Axis("time", "s"))

    verdict = order(cells, None, Context(shape, len(cells)))

    assert [axis.name for axis in verdict.axes] == ["frequency", "time"]


def test_digits_are_a_grid_without_a_training() -> None:
    """Where neighbours have settled it, no network is trained."""
    digits = load_digits()

    verdict = asked(digits.images[:, None], digits.target)

    assert verdict.decision == "grid"
    assert verdict.usefulness is None
    assert not any("usefulness" in sentence for sentence in verdict.evidence)


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_decision_is_that_of_a_thorough_judgement(shuffled: bool) -> None:
    """Only the evidence is shorter, and only of a grid."""
    cells = smooth(100, 1, 6, 8)
    if shuffled:
        order_of = np.random.default_rng(1).permutation(48)
        cells = cells.reshape(100, 48)[:, order_of].reshape(cells.shape)
    targets = (smooth(100, 1, 1, 1, seed=2).ravel() > 0).astype(np.int64)

    full = judge_grids(cells, targets, rows=100, judging=Judging())
    quick = asked(cells, targets)

    assert quick.decision == full.decision
    assert (quick.usefulness is None) == (quick.decision == "grid") == (not shuffled)


@pytest.mark.parametrize(
    ("items", "columns", "told"),
    [(100, 2, "2 columns have no order"), (7, 9, "7 rows are too few")],
)
def test_too_little_data_is_undecided(items: int, columns: int, told: str) -> None:
    verdict = asked(np.random.default_rng(0).normal(size=(items, columns)), items=items)

    assert verdict.decision == "undecided"
    assert told in verdict.evidence[0]
    assert (verdict.rows, verdict.columns) == (items, columns)


@pytest.mark.slow
def test_the_seed_fixes_the_verdict() -> None:
    wine = load_wine()

    first, again, other = (asked(wine.data, wine.target, seed=seed) for seed in (3, 3, 4))

    assert first.evidence == again.evidence
    assert first.evidence != other.evidence


def test_it_says_how_many_items_there_are_in_all() -> None:
    verdict = asked(smooth(60, 1, 1, 12), items=9_000)

    assert "looked at 60 of 9,000 rows, drawn at random" in verdict.evidence


@pytest.mark.slow
def test_progress_is_told() -> None:
    steps: list[Progress] = []
    wine = load_wine()

    asked(wine.data, wine.target, advance=steps.append)

    whats = dict.fromkeys(step.what for step in steps)
    assert list(whats) == ["comparing neighbours", "training on shuffles"]
    for what in whats:
        last = next(step for step in reversed(steps) if step.what == what)
        assert last.done == last.total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "looked_at"),
    [
        ((3, 60, 70), "26 x 26 cells in the middle of 60 x 70, in 3 of 3 channels"),
        ((1, 4, 2_000), "4 x 512 cells in the middle of 4 x 2,000, in 1 of 1 channels"),
        ((1, 2_000, 4), "512 x 4 cells in the middle of 2,000 x 4, in 1 of 1 channels"),
        ((40, 16, 16), "16 x 16 cells in the middle of 16 x 16, in 8 of 40 channels"),
    ],
)
def test_of_large_grids_the_middle_is_looked_at(
    sizes: tuple[int, int, int], looked_at: str
) -> None:
    """Pictures of several channels are judged like small ones, and axes have their own size."""
    verdict = asked(smooth(100, *sizes))

    assert verdict.decision == "grid"
    assert f"looked at the {looked_at}" in verdict.evidence
    assert [axis.size for axis in verdict.axes] == list(sizes[1:])


def test_one_hot_grids_are_judged_by_their_symbols() -> None:
    """As `gridcnn.check` does it, and not cell by cell."""
    random = np.random.default_rng(0)
    indices = (random.integers(-2, 3, (200, 30)).cumsum(axis=1) % 12).astype(np.int32)
    grids = OneHot(indices, 12)
    shape = GridShape(1, 12, 30, Axis("character"), Axis("position"))

    verdict = order(grids, None, Context(shape, 200))

    expected = judge_one_hot(
        indices, 12, None, names=("character", "position"), rows=200, judging=Judging()
    )
    assert verdict.decision == expected.decision == "grid"
    assert verdict.axes == expected.axes
