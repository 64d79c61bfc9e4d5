"""Targets that are not all of one class: label smoothing, and items that are mixed."""

from __future__ import annotations

import numpy as np

from gridcnn.contracts.stage import HeadStage
from gridcnn.contracts.targets import LabelTargets, SoftTargets, Targets, soften
from gridcnn.errors import TrainingError
from gridcnn.grid import Array, Cells
from gridcnn.spec.models import Training
from gridcnn.streams import Stream


def refuse_hard_head(settings: Training, head: HeadStage) -> None:
    """Raise `TrainingError` if targets are to be softened for a head that takes classes only."""
    for name in ("label_smoothing", "mixup"):
        if getattr(settings, name) and not head.takes_soft_targets:
            raise TrainingError(
                f"training.{name} needs a head whose loss takes parts of classes, and "
                f"{head.title} does not; leave it out"
            )


class Softener:
    """Label smoothing and mixup of one epoch. Batches have to come in their order.

    Args:
        settings: of the training.
        classes: how many there are.
        epoch: from 1.
        several: whether items may have several labels, which are then smoothed towards 0.5.
    """

    def __init__(
        self, settings: Training, classes: int, *, epoch: int, several: bool = False
    ) -> None:
        self._settings = settings
        self._several = several
        self._classes = classes
        self._random = Stream.MIXUP.random(settings.seed, epoch)

    def __call__(
        self, grids: Cells, targets: Targets | LabelTargets, weights: Array | None
    ) -> tuple[Cells, Targets | SoftTargets, Array | None]:
        """Return grids, targets and weights of one more batch, mixed and smoothed."""
        wanted: Targets | SoftTargets = targets
        part = self._settings.label_smoothing
        if part and self._several:
            wanted = targets * np.float32(1 - part) + np.float32(part / 2)
        elif part:
            wanted = smooth(soften(wanted, self._classes), part)
        if self._settings.mixup:
            return self._mix(grids, soften(wanted, self._classes), weights)
        return grids, wanted, weights

    def _mix(
        self, grids: Cells, targets: SoftTargets, weights: Array | None
    ) -> tuple[Cells, SoftTargets, Array | None]:
        """Mix each item with another one of the batch, in a proportion of its own.

        The larger part is always the item's own, so that accuracy is that of its class. Weights
        become part of the targets; those of items with several labels are mixed as well, and a
        label is known if it is of both items.
        """
        items, alpha = len(targets), self._settings.mixup
        others = self._random.permutation(items)
        numbers = self._random.beta(alpha, alpha, items)
        shares = np.maximum(numbers, 1 - numbers).astype(np.float32)
        cells = np.asarray(grids)
        if cells.dtype not in (np.float32, np.float64):
            cells = cells.astype(np.float32)
        mixed = _blend(cells, others, shares.astype(cells.dtype)[:, None, None, None])
        if weights is not None and not self._several:
            targets, weights = targets * weights[:, None], None
        if weights is not None:
            weights = _blend(weights, others, shares)
        return mixed, _blend(targets, others, shares[:, None]), weights


def smooth(targets: SoftTargets, part: float) -> SoftTargets:
    """Return targets with a part that all classes share (Szegedy et al., 2016)."""
    share = np.float32(part / targets.shape[1])
    return targets * np.float32(1 - part) + share


def _blend(values: Array, others: Array, shares: Array) -> Array:
    blended: Array = values * shares + values[others] * (1 - shares)
    return blended
