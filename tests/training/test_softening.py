"""Targets may be smoothed, and items mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.grid import OneHot
from gridcnn.spec.models import Training
from gridcnn.training.softening import Softener, smooth

TARGETS = np.array([0, 1, 2, 1, 0, 2, 2, 1])
GRIDS = np.random.default_rng(0).normal(size=(8, 1, 3, 4)).astype(np.float32)


def softener(epoch: int = 1, **training: float) -> Softener:
    return Softener(Training(**training), 3, epoch=epoch)


def test_without_these_settings_nothing_changes() -> None:
    grids, targets, weights = softener()(GRIDS, TARGETS, None)

    assert grids is GRIDS
    assert targets is TARGETS
    assert weights is None


def test_smoothed_targets_share_a_part_among_all_classes() -> None:
    """With 0.3 and three classes the right one keeps 0.7 + 0.1."""
    _, targets, _ = softener(label_smoothing=0.3)(GRIDS, TARGETS, None)

    np.testing.assert_allclose(targets[0], [0.8, 0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    assert (targets.argmax(axis=1) == TARGETS).all()
    assert (smooth(np.eye(3, dtype=np.float32), 0.0) == np.eye(3)).all()


def test_an_item_is_mixed_with_one_other_as_its_target_is() -> None:
    """Each grid is `kept` of itself and the rest of another one; its target says how much."""
    grids, targets, _ = softener(mixup=1.0)(GRIDS, TARGETS, None)

    cells = np.asarray(grids)
    for item in range(8):
        fits = []
        for other in range(8):
            direction = (GRIDS[other] - GRIDS[item]).ravel()
            moved = (cells[item] - GRIDS[item]).ravel()
            length = direction @ direction
            part = float(moved @ direction / length) if length else 0.0
            if np.allclose(moved, part * direction, atol=1e-5) and -1e-6 <= part <= 0.5 + 1e-6:
                expected = (1 - part) * np.eye(3)[TARGETS[item]] + part * np.eye(3)[TARGETS[other]]
                fits.append(np.allclose(targets[item], expected, atol=1e-5))
        assert any(fits)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)


def test_weights_are_mixed_into_the_targets() -> None:
    """An item of weight 0 adds nothing to the loss of the one that it is mixed into."""
    weights = np.array([2, 0, 1, 0, 2, 1, 1, 0], np.float32)

    _, targets, left = softener(mixup=1.0)(GRIDS, TARGETS, weights)
    assert left is None
    assert (targets[:, 1] == 0).all()  # all items of class 1 have weight 0


def test_the_mix_depends_on_seed_and_epoch_alone() -> None:
    first, again, other = (
        np.asarray(softener(epoch, mixup=0.4)(GRIDS, TARGETS, None)[0]) for epoch in (1, 1, 2)
    )

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_grids_of_other_types_are_mixed_as_numbers(dtype: type) -> None:
    cells: NDArray[Any] = (GRIDS * 20 + 100).astype(dtype)

    mixed = np.asarray(softener(mixup=1.0)(cells, TARGETS, None)[0])
    expected = softener(mixup=1.0)(cells.astype(np.float64), TARGETS, None)[0]
    assert mixed.dtype == (np.float64 if dtype is np.float64 else np.float32)
    np.testing.assert_allclose(mixed, np.asarray(expected), rtol=1e-4)


def test_one_hot_grids_are_mixed_as_their_cells() -> None:
    indices = np.random.default_rng(1).integers(0, 3, (8, 4))
    grids = OneHot(indices.astype(np.int32), 3)

    mixed = np.asarray(softener(mixup=1.0)(grids, TARGETS, None)[0])
    expected = softener(mixup=1.0)(np.asarray(grids, np.float32), TARGETS, None)[0]
    np.testing.assert_array_equal(mixed, np.asarray(expected))
