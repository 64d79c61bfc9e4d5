"""Which test items a report shows: mistakes, the least certain, and some of each confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.report.running.answers import Answers

MISTAKES, UNSURE = 24, 12
"""Items that are shown of each kind."""
_OF_CELL = 12
"""Pictures of the items of one cell of a confusion, at most."""
_NAMED = 60
"""Items of one cell that are named, at most."""
_MOST = 400
"""Items with pictures in all, at most."""

Cell = tuple[int, int]
"""Row and column of a confusion: truth and answer; of several labels the label, and one of
`HIT`, `MISSED`, `FALSE`, `LEFT`."""
HIT, MISSED, FALSE, LEFT = range(4)


@dataclass(frozen=True)
class Choice:
    """Items by their numbers.

    Attributes:
        mistakes: wrong answers, the one with the most votes first.
        unsure: items whose answer has hardly more votes than another one, the closest first.
        cells: of each cell that is not empty, the items that are named: of wrong answers those with
            the most votes first, of right ones those with the fewest.
        counts: how many items each of these cells has.
    """

    mistakes: Sequence[int]
    unsure: Sequence[int]
    cells: Mapping[Cell, Sequence[int]]
    counts: Mapping[Cell, int]

    @property
    def pictured(self) -> list[int]:
        """The items that should have pictures, the most telling first, each once."""
        order = [*self.mistakes, *self.unsure]
        for place in range(_OF_CELL):
            order += [items[place] for items in self.cells.values() if place < len(items)]
        return list(dict.fromkeys(order))[:_MOST]


def choose(answers: Answers) -> Choice:
    """Return which items are shown."""
    wrong = answers.wrong
    if answers.several:
        cells, counts = _label_cells(answers)
        worst = np.where(wrong, np.abs(answers.votes - np.nan_to_num(answers.truths)), 0)
        sure, is_wrong = worst.max(axis=1, initial=0), np.any(wrong, axis=1)
        margin = np.abs(answers.votes - np.array(answers.thresholds)).min(axis=1, initial=1)
    else:
        cells, counts = _class_cells(answers)
        sure, is_wrong = answers.votes[np.arange(len(answers)), answers.answers], wrong
        margin = _margins(answers.votes)
    order = np.argsort(-sure, kind="stable")
    mistakes = order[np.asarray(is_wrong)[order]][:MISTAKES].tolist()
    unsure = np.argsort(margin, kind="stable")[:UNSURE].tolist()
    return Choice(mistakes, unsure, cells, counts)


def _margins(votes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many more votes the answer has than the next class, `(items,)`."""
    if votes.shape[1] < 2:
        return np.ones(len(votes))
    top = np.sort(votes, axis=1)[:, -2:]
    margins: NDArray[np.float64] = top[:, 1] - top[:, 0]
    return margins


def _class_cells(answers: Answers) -> tuple[dict[Cell, list[int]], dict[Cell, int]]:
    sure = answers.votes[np.arange(len(answers)), answers.answers]
    pairs = np.stack([answers.truths, answers.answers], axis=1).astype(np.int64)
    cells: dict[Cell, list[int]] = {}
    counts: dict[Cell, int] = {}
    # Mistakes first, and among them the most frequent: pictures are for what is worth a look.
    found, inverse, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    ranked = sorted(range(len(found)), key=lambda n: (found[n][0] == found[n][1], -int(sizes[n])))
    for number in ranked:
        truth, answer = map(int, found[number])
        items = np.flatnonzero(inverse == number)
        order = sure[items] if truth == answer else -sure[items]
        cells[truth, answer] = items[np.argsort(order, kind="stable")][:_NAMED].tolist()
        counts[truth, answer] = len(items)
    return cells, counts


def _label_cells(answers: Answers) -> tuple[dict[Cell, list[int]], dict[Cell, int]]:
    has, lacks, said = answers.truths == 1, answers.truths == 0, answers.answers == 1
    kinds = {MISSED: has & ~said, FALSE: lacks & said, HIT: has & said, LEFT: lacks & ~said}
    cells: dict[Cell, list[int]] = {}
    counts: dict[Cell, int] = {}
    for kind, marks in kinds.items():
        for label in range(len(answers.classes)):
            items = np.flatnonzero(marks[:, label])
            if not len(items):
                continue
            votes = answers.votes[items, label]
            order = votes if kind in (HIT, MISSED) else -votes
            cells[label, kind] = items[np.argsort(order, kind="stable")][:_NAMED].tolist()
            counts[label, kind] = len(items)
    return cells, counts
