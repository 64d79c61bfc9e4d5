"""Measures of answers to items that may have several labels: each label's, and their means.

They are scikit-learn's, computed without it; what is not known of an item is left out of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.measures import roc_auc, wilson

EVEN = 0.5
"""The threshold of a label for which none can be chosen."""


@dataclass(frozen=True)
class LabelScores:
    """How well one label was told, on the items of which it is known; parts are in 0..1.

    Attributes:
        known: of how many items it is known whether they have the label.
        positives: how many of these have it.
        auc: the area under the ROC curve; None if no item has the label, or all have.
        average_precision: the area under the curve of precision and recall, as scikit-learn has
            it; None if no item has the label.
        precision: the part of the items answered with the label that have it; 0 if there are none.
        recall: the part of the items with the label that were answered with it; 0 if there are
            none.
        f1: the harmonic mean of the two.
        threshold: the vote from which on the label is answered.
    """

    known: int
    positives: int
    auc: float | None
    average_precision: float | None
    precision: float
    recall: float
    f1: float
    threshold: float


@dataclass(frozen=True)
class LabelMeasures:
    """How well items with several labels were answered; parts are in 0..1.

    Attributes:
        accuracy: the exact match: the part of the items all of whose known labels are right.
        interval: the 95 % interval of the accuracy: see `gridcnn.measures.wilson`.
        items: how many items there were.
        right: the part of all known answers that is right (1 - the Hamming loss).
        auc, average_precision: the means over the labels that have one; None if none has.
        macro_f1: the mean F1 of the labels that are known of any item.
        micro_f1: the F1 of all answers together.
        scores: those of each label.
    """

    accuracy: float
    interval: tuple[float, float]
    items: int
    right: float
    auc: float | None
    average_precision: float | None
    macro_f1: float
    micro_f1: float
    scores: tuple[LabelScores, ...]

    def plain(self, labels: Sequence[str | int]) -> dict[str, Any]:
        """Return everything as plain data for JSON, the scores by the names of the labels."""
        named = zip(labels, self.scores, strict=True)
        return {
            "accuracy": self.accuracy,
            "exact_match": self.accuracy,
            "interval": list(self.interval),
            "items": self.items,
            "right": self.right,
            "auc": self.auc,
            "average_precision": self.average_precision,
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
            "labels": {str(label): dict(vars(scores)) for label, scores in named},
        }


def label_measures(
    targets: LabelTargets, votes: NDArray[np.floating[Any]], thresholds: Sequence[float]
) -> LabelMeasures:
    """Return the measures of votes for labels.

    Args:
        targets: 1, 0, or NaN if not known, `(items, labels)`.
        votes: from 0 to 1, `(items, labels)`.
        thresholds: the vote from which on each label is answered, `(labels,)`.
    """
    answers = answer_labels(votes, thresholds)
    known = ~np.isnan(targets)
    has = known & (targets == 1)
    is_right = (answers == has) | ~known
    hits, said, there = (
        (each & known).sum(axis=0) for each in (has & (answers == 1), answers == 1, has)
    )
    scores = tuple(
        LabelScores(
            known=int(known[:, label].sum()),
            positives=int(there[label]),
            auc=roc_auc(has[known[:, label], label], votes[known[:, label], label]),
            average_precision=average_precision(
                has[known[:, label], label], votes[known[:, label], label]
            ),
            precision=_part(hits[label], said[label]),
            recall=_part(hits[label], there[label]),
            f1=_part(2 * hits[label], said[label] + there[label]),
            threshold=float(thresholds[label]),
        )
        for label in range(targets.shape[1])
    )
    right = int(is_right.all(axis=1).sum())
    return LabelMeasures(
        accuracy=_part(right, len(targets)),
        interval=wilson(right, len(targets)),
        items=len(targets),
        right=_part((is_right & known).sum(), known.sum()),
        auc=_mean([each.auc for each in scores]),
        average_precision=_mean([each.average_precision for each in scores]),
        macro_f1=_mean([each.f1 for each in scores if each.known]) or 0.0,
        micro_f1=_part(2 * hits.sum(), said.sum() + there.sum()),
        scores=scores,
    )


def answer_labels(votes: NDArray[np.floating[Any]], thresholds: Sequence[float]) -> Targets:
    """Return whether each label is answered, int64 `(items, labels)` of 0 and 1.

    It is if its vote `(items, labels)` is at least its threshold `(labels,)`.
    """
    answers: Targets = (votes >= np.asarray(thresholds, np.float64)).astype(np.int64)
    return answers


def choose_thresholds(targets: LabelTargets, votes: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    """Return for each label the threshold that has the highest F1 on these items.

    They should be items that nothing was learned from. A threshold is half way between two votes;
    of equally good ones, the one nearest to 0.5 is chosen. It is 0.5 for a label that no item has,
    or all have, as far as it is known.

    Args:
        targets: 1, 0, or NaN if not known, `(items, labels)`.
        votes: from 0 to 1, `(items, labels)`.
    """
    thresholds = []
    for label in range(targets.shape[1]):
        known = ~np.isnan(targets[:, label])
        has = targets[known, label] == 1
        thresholds.append(_threshold(has, votes[known, label].astype(np.float64)))
    return tuple(thresholds)


def _threshold(has: NDArray[np.bool_], votes: NDArray[np.float64]) -> float:
    if not has.any() or has.all():
        return EVEN
    steps, said, hits = _cuts(has, votes)
    f1 = 2 * hits / (said + has.sum())
    halves = (steps + np.append(steps[1:], 0)) / 2
    # Between two numbers next to each other there is none: then the vote itself is the threshold.
    halves = np.where(halves > np.append(steps[1:], -1), halves, steps)
    best = np.flatnonzero(f1 == f1.max())
    return float(halves[best[np.abs(halves[best] - EVEN).argmin()]])


def _cuts(
    has: NDArray[np.bool_], votes: NDArray[np.floating[Any]]
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different votes, the highest first, and for each what is answered from it on.

    That is how many items have at least this vote, and how many of these have the label.
    """
    order = np.argsort(-votes, kind="stable")
    votes, has = votes[order], has[order]
    last = np.append(votes[1:] != votes[:-1], True).nonzero()[0]
    return votes[last], (last + 1).astype(np.int64), np.cumsum(has, dtype=np.int64)[last]


def average_precision(has: NDArray[np.bool_], votes: NDArray[np.floating[Any]]) -> float | None:
    """Return the sum over all cuts of the votes of precision times what recall gains by the cut.

    Args:
        has: whether an item has the label, `(items,)`.
        votes: its votes, `(items,)`.

    Returns:
        From 0 to 1; None if no item has the label.
    """
    if not has.any():
        return None
    _, said, hits = _cuts(has, votes)
    gained = np.diff(hits, prepend=0) / has.sum()
    return math.fsum(gained * hits / said)


def _part(some: Any, of: Any) -> float:
    return float(some / of) if of else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
