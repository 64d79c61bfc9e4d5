"""Which epoch is the best one, and when training stops to wait for a better one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gridcnn.contracts.stage import HeadStage
from gridcnn.contracts.targets import LabelTargets, Targets, most
from gridcnn.grid import Array
from gridcnn.label_measures import LabelMeasures, label_measures
from gridcnn.measures import Measures, measures
from gridcnn.spec.models import SelectBy, Training


class Validated(Protocol):
    """The validation results of an epoch; all are None if there are no validation items."""

    @property
    def validation_loss(self) -> float | None:
        """The mean loss."""

    @property
    def validation_accuracy(self) -> float | None:
        """The part of right answers."""

    @property
    def validation_score(self) -> float | None:
        """Another result by which epochs are chosen; None if it is one of the two above."""


def settle_selection(settings: Training, *, several: bool) -> Training:
    """Return the settings with the result by which the epoch is chosen, if none was written.

    For several labels of an item that is the loss: all labels are seldom right together.
    """
    if several and "select_by" not in settings.model_fields_set:
        return settings.model_copy(update={"select_by": "loss"})
    return settings


def validation_score(
    head: HeadStage, logits: Array, targets: Targets | LabelTargets, select_by: SelectBy
) -> float | None:
    """Return the validation result by which epochs are chosen; None if it is accuracy or loss.

    A result that is not known, as the area under the curve of items of one class, is 0.
    """
    if select_by in ("accuracy", "loss"):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        votes = head.votes(logits)
    figures: Measures | LabelMeasures
    if head.several:
        figures = label_measures(targets, votes, None, answers=head.answers(votes))
    else:
        figures = measures(most(targets), head.answers(votes), logits.shape[1], votes=votes)
    score: float | None = getattr(figures, select_by)
    return 0.0 if score is None else score


def is_better(epoch: Validated, best: Validated | None, select_by: SelectBy) -> bool:
    """Return whether an epoch is better than the best one before it; without validation it is."""
    if epoch.validation_loss is None or best is None:
        return True
    return _rank(epoch, select_by) > _rank(best, select_by)


def _rank(epoch: Validated, select_by: SelectBy) -> tuple[float, float]:
    if epoch.validation_accuracy is None or epoch.validation_loss is None:
        return -math.inf, 0.0  # less than any
    if select_by == "loss":
        return -epoch.validation_loss, epoch.validation_accuracy
    score = epoch.validation_score
    first = epoch.validation_accuracy if select_by == "accuracy" or score is None else score
    return first, -epoch.validation_loss


def ends_after(history: Sequence[Validated], settings: Training) -> int | None:
    """Return the epoch of a history after which these settings end the training; None if none."""
    best, last = 0, min(settings.epochs, settings.stop_after or settings.epochs)
    for number, epoch in enumerate(history, 1):
        if is_better(epoch, history[best - 1] if best else None, settings.select_by):
            best = number
        waited = number - best
        if number >= last or waited >= (settings.patience or math.inf):
            return number
    return None
