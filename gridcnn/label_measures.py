"""Measures of answers to items that may have several labels: each label's, and their means.

They are scikit-learn's, computed without it; what is not known of an item is left out of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.measures import average_precision, mean_of_known, roc_auc, wilson

EVEN = 0.5
"""The vote from which on a label is answered, unless another threshold was chosen for it."""


@dataclass(frozen=True)
class LabelScores:
    """How well one label was answered, on the items for which it is known; parts are in 0..1.

    Attributes:
        known: of how many items it is known whether they have the label.
        positives: how many of these have it.
        auc: the area under the ROC curve; None if no item has the label, or all have.
        average_precision: the area under the curve of precision and recall, as scikit-learn has
            it; None where `auc` is.
        precision: the part of the items answered with the label that have it; 0 if there are none.
        recall: the part of the items with the label that were answered with it; 0 if there are
            none.
        f1: the harmonic mean of the two.
        threshold: the vote from which on the label is answered; None if that differs by item.
    """

    known: int
    positives: int
    auc: float | None
    average_precision: float | None
    precision: float
    recall: float
    f1: float
    threshold: float | None

    @property
    def items(self) -> int:
        """How many items have the label, as `Scores.items` says it of a class."""
        return self.positives


@dataclass(frozen=True)
class LabelMeasures:
    """How well items with several labels were answered; parts are in 0..1.

    Attributes:
        accuracy: the exact match: the part of the items all of whose known labels are right.
        interval: the 95 % interval of the accuracy: see `gridcnn.measures.wilson`.
        items: how many items there were.
        right: the part of all known answers that is right (1 - the Hamming loss).
        auc, average_precision: the means over the labels that have one; None if none has.
        balanced_accuracy: the mean over labels, and over having and lacking them, of the part of
            such items that is answered correctly.
        macro_f1: the mean F1 of the labels that are known of any item.
        micro_f1: the F1 of all answers together.
        majority: the indices of the labels that most items have, and the accuracy of always
            answering these.
        worst: the index of the label of the lowest recall among those that occur, the first of
            equal ones; None if no item has any.
        scores: those of each label.
        confusion: int64 `(labels, 2, 2)`; rows are the truth, without and with the label, columns
            the answers.
    """

    accuracy: float
    interval: tuple[float, float]
    items: int
    right: float
    auc: float | None
    average_precision: float | None
    balanced_accuracy: float
    macro_f1: float
    micro_f1: float
    majority: tuple[tuple[int, ...], float]
    worst: int | None
    scores: tuple[LabelScores, ...]
    confusion: NDArray[np.int64]

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
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "micro_f1": self.micro_f1,
            "majority": {
                "labels": [labels[label] for label in self.majority[0]],
                "accuracy": self.majority[1],
            },
            "worst": None
            if self.worst is None
            else {"label": labels[self.worst], "recall": self.scores[self.worst].recall},
            "labels": {str(label): dict(vars(scores)) for label, scores in named},
        }


def label_measures(
    targets: Targets | LabelTargets,
    votes: NDArray[np.floating[Any]],
    thresholds: Sequence[float] | None,
    *,
    answers: Targets | None = None,
) -> LabelMeasures:
    """Return the measures of votes for labels.

    Args:
        targets: 1, 0, or NaN if not known, `(items, labels)`.
        votes: from 0 to 1, `(items, labels)`.
        thresholds: the vote from which on each label is answered, `(labels,)`.
        answers: 1 or 0, `(items, labels)`, if there are no thresholds.
    """
    if answers is None:
        answers = answer_labels(votes, thresholds or (EVEN,) * votes.shape[1])
    known, has, masks = ~np.isnan(targets), targets == 1, answers == 1
    confusion = _count(known, has, masks)
    scores = tuple(
        _scores(
            confusion[label],
            has[known[:, label], label],
            votes[known[:, label], label],
            None if thresholds is None else float(thresholds[label]),
        )
        for label in range(targets.shape[1])
    )
    right = int(((masks == has) | ~known).all(axis=1).sum())
    usual = has.sum(axis=0) > (known & ~has).sum(axis=0)
    recalls = {number: each.recall for number, each in enumerate(scores) if each.positives}
    (without, false), (missed, hits) = confusion.sum(axis=0)
    precision = confusion.diagonal(axis1=1, axis2=2) / np.maximum(confusion.sum(axis=2), 1)
    return LabelMeasures(
        accuracy=_part(right, len(targets)),
        interval=wilson(right, len(targets)),
        items=len(targets),
        right=_part(without + hits, confusion.sum()),
        auc=mean_of_known([score.auc for score in scores]),
        average_precision=mean_of_known([each.average_precision for each in scores]),
        balanced_accuracy=mean_of_known(precision[confusion.sum(axis=2) > 0].tolist()) or 0.0,
        macro_f1=mean_of_known([each.f1 for each in scores if each.known]) or 0.0,
        micro_f1=_part(2 * hits, 2 * hits + false + missed),
        majority=(
            tuple(np.flatnonzero(usual).tolist()),
            _part(((has == usual) | ~known).all(axis=1).sum(), len(targets)),
        ),
        worst=min(recalls, key=lambda number: recalls[number], default=None),
        scores=scores,
        confusion=confusion,
    )


def _count(
    known: NDArray[np.bool_], has: NDArray[np.bool_], answered: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return how many items of each truth have each answer, int64 `(labels, 2, 2)`."""
    counts = np.empty((known.shape[1], 2, 2), np.int64)
    for truth in (False, True):
        for answer in (False, True):
            counts[:, int(truth), int(answer)] = (
                known & (has == truth) & (answered == answer)
            ).sum(axis=0)
    return counts


def _scores(
    confusion: NDArray[np.int64],
    has: NDArray[np.bool_],
    votes: NDArray[np.floating[Any]],
    threshold: float | None,
) -> LabelScores:
    """Return the scores of a label by its confusion, and the truth and votes of known items."""
    hits, said, there = confusion[1, 1], confusion[:, 1].sum(), confusion[1].sum()
    order = votes.astype(np.float64)
    return LabelScores(
        known=len(has),
        positives=int(there),
        auc=roc_auc(has, order),
        average_precision=average_precision(has, order),
        precision=_part(hits, said),
        recall=_part(hits, there),
        f1=_part(2 * hits, said + there),
        threshold=threshold,
    )


def answer_labels(votes: NDArray[np.floating[Any]], thresholds: Sequence[float]) -> Targets:
    """Return whether each label is answered, int64 `(items, labels)` of 0 and 1.

    It is if its vote `(items, labels)` is at least its threshold `(labels,)`.
    """
    answers: Targets = (votes >= np.asarray(thresholds, np.float64)).astype(np.int64)
    return answers


def choose_thresholds(
    targets: Targets | LabelTargets, votes: NDArray[np.floating[Any]]
) -> tuple[float, ...]:
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
    steps, answers, hits = _cuts(has, votes)
    f1 = 2 * hits / (answers + has.sum())
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


def _part(some: Any, of: Any) -> float:
    return float(some / of) if of else 0.0
