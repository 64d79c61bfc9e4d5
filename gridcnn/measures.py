"""Measures of answers: accuracy with its interval, the scores of each class, confusion, AUC.

They are scikit-learn's, computed without it: a run need not wait for its import.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets

_Z95 = 1.959963984540054
"""95 % of a normal distribution lie within so many standard deviations."""


_BINS = 10


@dataclass(frozen=True)
class Scores:
    """How well one class was distinguished from all others; parts are in 0..1.

    Attributes:
        precision: the part of the answers with this class that are right; 0 if there are none.
        recall: the part of the items of this class that were answered with it; 0 if there are
            none.
        f1: the harmonic mean of the two.
        items: how many items are of this class.
        auc: the area under the ROC curve: how often an item of this class has more votes for it
            than an item of another class has, where equal ones count half; None if there are no
            items of this class, or no others, or where the votes are not known.
        average_precision: the mean precision at each item of this class, if items are put in order
            by their votes for it; None where `auc` is.
    """

    precision: float
    recall: float
    f1: float
    items: int
    auc: float | None = None
    average_precision: float | None = None


@dataclass(frozen=True)
class Reliability:
    """How far the votes for answers are from the part of them that is right.

    Answers are put into bins by the votes for them: from 0 to 0.1, to 0.2, and so on to 1.

    Attributes:
        error: the expected calibration error: the mean over answers of the difference between the
            mean vote and the accuracy of their bin (Naeini et al., 2015; Guo et al., 2017).
        votes, accuracy, items: for each bin with answers the mean vote for them, the part that is
            right, and how many they are.
    """

    error: float
    votes: tuple[float, ...]
    accuracy: tuple[float, ...]
    items: tuple[int, ...]

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data for JSON: a diagram with a point for each bin."""
        points = zip(self.votes, self.accuracy, self.items, strict=True)
        bins = [{"votes": v, "accuracy": a, "items": n} for v, a, n in points]
        return {"error": self.error, "bins": bins}


@dataclass(frozen=True)
class Measures:
    """How well items were answered; parts are in 0..1.

    Attributes:
        accuracy: the part of the items that was answered correctly.
        interval: the 95 % interval of the accuracy: see `wilson`.
        items: how many items there were.
        auc: the mean of the classes' areas under the ROC curve, as far as they have one; of two
            classes both have the same. None if no class has one.
        average_precision: the mean of the classes' average precisions, as far as they have one.
        macro_f1: the mean F1 of the classes that occur or are answered.
        balanced_accuracy: the mean recall of the classes that occur, to which each class counts the
            same however many items it has.
        majority: the index of the most frequent class, and the accuracy of always answering it.
        worst: the index of the class of the lowest recall among those that occur, the first of
            equal ones; None if there are no items.
        reliability: whether votes are as sure as they are right; None if votes are not known.
        scores: those of each class.
        confusion: int64 `(classes, classes)`; rows are the truth, columns the answers.
    """

    accuracy: float
    interval: tuple[float, float]
    items: int
    auc: float | None
    average_precision: float | None
    balanced_accuracy: float
    macro_f1: float
    majority: tuple[int, float]
    worst: int | None
    reliability: Reliability | None
    scores: tuple[Scores, ...]
    confusion: NDArray[np.int64]

    def plain(self, classes: Sequence[str | int]) -> dict[str, Any]:
        """Return everything as plain data for JSON, the scores by the names of the classes."""
        named = zip(classes, self.scores, strict=True)
        return {
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "items": self.items,
            "auc": self.auc,
            "average_precision": self.average_precision,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "majority": {"class": classes[self.majority[0]], "accuracy": self.majority[1]},
            "worst": None
            if self.worst is None
            else {"class": classes[self.worst], "recall": self.scores[self.worst].recall},
            "reliability": None if self.reliability is None else self.reliability.plain(),
            "classes": {str(label): dict(vars(scores)) for label, scores in named},
            "confusion": self.confusion.tolist(),
        }


def measures(
    targets: Targets,
    answers: Targets,
    classes: int,
    *,
    votes: NDArray[np.floating[Any]] | None = None,
) -> Measures:
    """Return the measures of answers to items of the classes `targets`, each `(items,)`.

    Args:
        targets: the right classes.
        answers: those that were answered.
        classes: how many classes there are.
        votes: the votes `(items, classes)`, from 0 to 1 and 1 in all for each item; without them no
            area under the ROC curve is known.
    """
    items = len(targets)
    confusion = confusion_matrix(targets, answers, classes)
    right = int(np.trace(confusion))
    ranked: list[tuple[float | None, float | None]] = [(None, None)] * classes
    if votes is not None:
        ranked = [
            (roc_auc(targets == number, order), average_precision(targets == number, order))
            for number, order in enumerate(_orders(votes))
        ]
    scores = tuple(_scores(confusion, number, *each) for number, each in enumerate(ranked))
    recalls = {number: each.recall for number, each in enumerate(scores) if each.items}
    answered = confusion.sum(axis=0).tolist()
    f1s = [
        each.f1
        for each, is_answered in zip(scores, answered, strict=True)
        if each.items or is_answered
    ]
    most = max(range(classes), key=lambda number: scores[number].items)
    return Measures(
        accuracy=right / items if items else 0.0,
        interval=wilson(right, items),
        items=items,
        auc=mean_of_known([score.auc for score in scores]),
        average_precision=mean_of_known([each.average_precision for each in scores]),
        balanced_accuracy=math.fsum(recalls.values()) / len(recalls) if recalls else 0.0,
        macro_f1=math.fsum(f1s) / len(f1s) if f1s else 0.0,
        majority=(most, scores[most].items / items if items else 0.0),
        worst=min(recalls, key=lambda number: recalls[number], default=None),
        reliability=None if votes is None or not items else reliability(targets, answers, votes),
        scores=scores,
        confusion=confusion,
    )


def reliability(
    targets: Targets, answers: Targets, votes: NDArray[np.floating[Any]]
) -> Reliability:
    """Return how reliable the votes `(items, classes)` for answers `(items,)` are."""
    sure = votes[np.arange(len(answers)), answers].astype(np.float64)
    bins = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    filled = np.flatnonzero(counts)
    mean = np.bincount(bins, weights=sure, minlength=_BINS)[filled] / counts[filled]
    right = np.bincount(bins, weights=answers == targets, minlength=_BINS)[filled] / counts[filled]
    error = float((np.abs(mean - right) * counts[filled]).sum() / len(answers))
    return Reliability(
        error, tuple(mean.tolist()), tuple(right.tolist()), tuple(counts[filled].tolist())
    )


def confusion_matrix(targets: Targets, answers: Targets, classes: int) -> NDArray[np.int64]:
    """Return how often each class (by row) was answered with each class (by column)."""
    counts = np.bincount(targets * classes + answers, minlength=classes * classes)
    matrix: NDArray[np.int64] = counts.reshape(classes, classes).astype(np.int64)
    return matrix


def mean_of_known(figures: Sequence[float | None]) -> float | None:
    """Return the mean of the figures that are known; None if none is."""
    known = [figure for figure in figures if figure is not None]
    return math.fsum(known) / len(known) if known else None


def _scores(
    confusion: NDArray[np.int64], number: int, area: float | None, precision: float | None
) -> Scores:
    hits = int(confusion[number, number])
    items, answers = int(confusion[number].sum()), int(confusion[:, number].sum())
    return Scores(
        precision=hits / answers if answers else 0.0,
        recall=hits / items if items else 0.0,
        f1=2 * hits / (items + answers) if items + answers else 0.0,
        items=items,
        auc=area,
        average_precision=precision,
    )


def wilson(right: int, items: int) -> tuple[float, float]:
    """Return the 95 % interval of the part `right` of `items`, by Wilson's score.

    It is meant for items that are drawn one by one: where many are from one speaker or one writer,
    the true interval is wider. Without items it is everything from 0 to 1. The formula is that of
    E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if not items:
        return 0.0, 1.0
    part, weight = right / items, _Z95**2 / items
    middle = (part + weight / 2) / (1 + weight)
    half = _Z95 * math.sqrt(part * (1 - part) / items + weight / (4 * items)) / (1 + weight)
    # If all are wrong or all are right, rounding may miss the end of the interval by a little.
    low = 0.0 if right == 0 else max(0.0, middle - half)
    high = 1.0 if right == items else min(1.0, middle + half)
    return low, high


def _orders(votes: NDArray[np.floating[Any]]) -> list[NDArray[np.float64]]:
    """Return for each class numbers `(items,)` by which items are put in order.

    They are the votes for the class against those for all others, so that votes close to 1, which
    float32 cannot tell apart, keep their order; and so that two classes have the very same area.
    """
    exact = votes.astype(np.float64)
    # Those of the classes before and of those after: 1 less its own would lose what is small.
    none = np.zeros((len(exact), 1))
    before = np.cumsum(np.hstack([none, exact[:, :-1]]), axis=1)
    after = np.cumsum(np.hstack([none, exact[:, :0:-1]]), axis=1)[:, ::-1]
    with np.errstate(divide="ignore"):  # no votes at all are minus infinity, and come last
        order = np.log(exact) - np.log(before + after)
    return list(order.T)


def roc_auc(inside: NDArray[np.bool_], order: NDArray[np.float64]) -> float | None:
    """Return how often an item inside has a larger number than one outside; equal ones count half.

    That is the area under the ROC curve, by the statistic of Mann and Whitney.

    Args:
        inside: whether an item is of the class, `(items,)`.
        order: a number for each item, `(items,)`, larger where it rather is.

    Returns:
        The area, from 0 to 1; None if no item is inside, or none outside.
    """
    within = int(inside.sum())
    outside = len(inside) - within
    if not within or not outside:
        return None
    _, places, counts = np.unique(order, return_inverse=True, return_counts=True)
    # Equal numbers share the mean of the ranks that they take, which are counted from 1.
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float(ranks[places.reshape(-1)][inside].sum())
    return (total - within * (within + 1) / 2) / (within * outside)


def average_precision(inside: NDArray[np.bool_], order: NDArray[np.float64]) -> float | None:
    """Return the mean precision at each item inside, if items are taken by falling numbers.

    Items with equal numbers are taken together, as scikit-learn's `average_precision_score` does.
    The arguments are as for `roc_auc`; None if no item is inside, or none outside.
    """
    within = int(inside.sum())
    if not within or within == len(inside):
        return None
    _, places = np.unique(-order, return_inverse=True)
    places = places.reshape(-1)
    answered = np.cumsum(np.bincount(places))
    hits = np.bincount(places, weights=inside)
    return float((np.cumsum(hits) / answered * hits).sum() / within)
