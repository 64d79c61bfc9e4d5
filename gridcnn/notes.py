"""What looks wrong about data and answers, in sentences: told, or refused where it is strict."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from gridcnn.contracts.source import Label
from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.errors import DataError, listed, quoted
from gridcnn.grid import Array
from gridcnn.measures import Measures

_MISSING = frozenset({"nan", "null", "none", "nat", "<na>", "n/a"})
"""Labels that are hardly names of classes, in lower case. NA and - are not among them: they may
be."""
_FEW = 5
"""Up to this many items may have the same votes by chance, or because they are equal."""
_ALIKE = 1e-6
"""Votes that differ by less are the same."""


def refuse_notes(notes: Sequence[str]) -> None:
    """Raise `DataError` if there are any notes, each a problem of its own."""
    if notes:
        raise DataError(*notes, "with strict, every note is an error")


def warn_of(notes: Sequence[str], *, strict: bool = False, stacklevel: int = 1) -> None:
    """Report notes in Python, where nothing is printed: as warnings, or errors if `strict`.

    Args:
        notes: sentences.
        strict: raise `DataError` instead.
        stacklevel: as for `warnings.warn`; 1 is the line that calls this.
    """
    if strict:
        refuse_notes(notes)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=stacklevel + 1)


def remark_notes(remarks: Mapping[str, int]) -> list[str]:
    """Return an adapter's remarks as sentences with counts."""
    return [f"{_count_items(count)} {text}" for text, count in remarks.items() if count]


def label_notes(labels: Sequence[Label], classes: Sequence[Label]) -> list[str]:
    """Return what looks wrong about labels: missing ones, and one class written in two ways."""
    counts = Counter(labels)
    missing = [
        f"{_count_items(counts[label])} with the label {quoted(label)}, which often stands for a "
        "missing label, but counts as a class here; give these items a label, or leave them out"
        for label in classes
        if isinstance(label, str) and label.casefold() in _MISSING
    ]
    return [*_spelling_notes(classes, counts, "classes", "class"), *missing]


def several_notes(rows: LabelTargets, names: Sequence[Label]) -> list[str]:
    """Return what looks wrong about several labels `(items, labels)`: one written in two ways."""
    counts = dict(zip(names, (rows == 1).sum(axis=0).tolist(), strict=True))
    notes = _spelling_notes(names, counts, "labels", "label")
    nothing = int(np.isnan(rows).all(axis=1).sum())
    if nothing:
        count, them = ("counts", "it") if nothing == 1 else ("count", "them")
        notes.append(
            f"{_count_items(nothing)} without any known label, which {count} neither in training "
            f"nor in the figures: leave {them} out"
        )
    return notes


def unlearned_notes(training: Targets | LabelTargets, names: Sequence[Label]) -> list[str]:
    """Return notes on labels `(items, labels)` that all training items have, or none has."""
    notes = []
    present, absent = (training == 1).any(axis=0), (training == 0).any(axis=0)
    for which, mask in (
        ("no training item", ~present),
        ("every training item", present & ~absent),
    ):
        lost = [quoted(str(names[label])) for label in np.flatnonzero(mask).tolist()]
        if lost:
            several = "labels that" if len(lost) > 1 else "label that"
            notes.append(
                f"{len(lost)} {several} {which} has, as far as it is known: "
                f"{listed(lost, limit=8)}; the network cannot learn this label: leave it out, or "
                "add items"
            )
    return notes


def _spelling_notes(
    classes: Sequence[Label], counts: Mapping[Label, int], what: str, one: str
) -> list[str]:
    notes = []
    spelled: dict[str, list[Label]] = {}
    for label in classes:
        spelled.setdefault(" ".join(str(label).casefold().split()), []).append(label)
    for alike in spelled.values():
        if len(alike) > 1:
            names = listed(
                [f"{quoted(str(each))} ({_count_items(counts[each])})" for each in alike]
            )
            notes.append(
                f"{what} that differ only in capitals or spaces: {names}; if they are one {one}, "
                "write it in one way"
            )
    return notes


class VotesSpread:
    """How far the votes of many items are from each other, whatever batches they come in."""

    def __init__(self) -> None:
        self.items = 0
        self._low: Array | None = None
        self._high: Array | None = None

    def add(self, votes: Array) -> None:
        """Add votes `(items, classes)`."""
        if not len(votes):
            return
        self.items += len(votes)
        low, high = votes.min(axis=0), votes.max(axis=0)
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)

    @property
    def are_alike(self) -> bool:
        """Whether the votes are the same for all items; False if there are none."""
        if self._low is None or self._high is None:
            return False
        return float((self._high - self._low).max()) < _ALIKE

    def notes(self) -> list[str]:
        """Return a note if the votes are the same for all items, of which there are several."""
        if self.items < _FEW or not self.are_alike:
            return []
        return [
            f"the votes are the same for all {self.items:,} items: if these differ, the network "
            "has learned nothing; train with another learning rate, or look at the grids with "
            "gridcnn show"
        ]


def answer_notes(found: Measures, votes: Array, classes: Sequence[Label]) -> list[str]:
    """Return what looks wrong about answers, by their measures and votes `(items, classes)`."""
    spread = VotesSpread()
    spread.add(votes)
    if spread.notes():
        return spread.notes()
    unanswered = [
        f"{quoted(str(label))} ({_count_items(scores.items)})"
        for number, (label, scores) in enumerate(zip(classes, found.scores, strict=True))
        if scores.items and not found.confusion[:, number].any()
    ]
    return _unanswered_notes(unanswered, ("class is", "classes are"), "of such a class")


def label_answer_notes(
    targets: Targets | LabelTargets,
    answers: Targets,
    votes: Array,
    labels: Sequence[Label],
) -> list[str]:
    """Return what looks wrong about answers to items with several labels.

    Args:
        targets, answers, votes: those of all items, `(items, labels)`.
        labels: what the labels are called.
    """
    spread = VotesSpread()
    spread.add(votes)
    if spread.notes():
        return spread.notes()
    positives = (targets == 1).sum(axis=0)
    unanswered = [
        f"{quoted(str(labels[label]))} ({_count_items(int(positives[label]))})"
        for label in np.flatnonzero((positives > 0) & ~answers.any(axis=0)).tolist()
    ]
    return _unanswered_notes(unanswered, ("label is", "labels are"), "with such a label")


def _unanswered_notes(names: Sequence[str], one_or_more: tuple[str, str], of: str) -> list[str]:
    """Return a note on classes or labels that are never answered; none if there are none."""
    if not names:
        return []
    several = one_or_more[len(names) > 1]
    return [
        f"{len(names)} {several} never answered: {listed(names, limit=8)}; give more items {of}, "
        "or train longer"
    ]


def _count_items(items: int) -> str:
    return f"{items:,} {'item' if items == 1 else 'items'}"
