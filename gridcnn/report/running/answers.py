"""The answers of a run to its test items, read back from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Label
from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.files import as_written
from gridcnn.label_measures import EVEN
from gridcnn.runs.results import has_labels, read_predictions


@dataclass(frozen=True)
class Answers:
    """The answers to test items.

    Attributes:
        names: what the items are called.
        classes: the classes, or the labels of which an item may have several.
        truths: class indices `(items,)`; of several labels 1, 0 or NaN, `(items, labels)`.
        answers: class indices `(items,)`; of several labels 1 or 0, `(items, labels)`.
        votes: from 0 to 1, `(items, classes)`.
        thresholds: the vote from which on each of several labels is answered; empty for classes.
    """

    names: Sequence[str]
    classes: tuple[Label, ...]
    truths: Targets | LabelTargets
    answers: Targets
    votes: NDArray[np.float64]
    thresholds: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def several(self) -> bool:
        """Whether an item may have several labels."""
        return self.truths.ndim == 2

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which answers are wrong: `(items,)`, or of several labels `(items, labels)`."""
        known = self.truths == self.truths  # NaN is not equal to itself
        return np.asarray((self.truths != self.answers) & known, np.bool_)


def read_answers(folder: Path, metrics: dict[str, Any]) -> Answers:
    """Return the answers in the folder of a run with test items.

    Raises:
        RunFolderError: they cannot be read, or no run has written them like this.
    """
    header, rows = read_predictions(folder, metrics)
    return answers_of(rows, metrics, first=header.index("item"))


def answers_of(rows: Sequence[Sequence[str]], metrics: dict[str, Any], *, first: int) -> Answers:
    """Return the answers in the rows of `predictions.csv`; `first` is the place of the item."""
    classes = tuple(metrics["classes"])
    names = [row[first] for row in rows]
    if has_labels(metrics):
        cells = np.array([[cell or "nan" for cell in row[first + 1 :]] for row in rows], np.float64)
        count = len(classes)
        truths, answers, votes = (
            cells.reshape(len(rows), -1)[:, n * count : (n + 1) * count] for n in range(3)
        )
        scores = metrics["test"]["labels"].values()
        thresholds = tuple(score.get("threshold") or EVEN for score in scores)
        return Answers(
            names, classes, truths.astype(np.float32), answers.astype(np.int64), votes, thresholds
        )
    index = {as_written(str(label)): number for number, label in enumerate(classes)}
    return Answers(
        names,
        classes,
        np.array([index[row[first + 1]] for row in rows], np.int64),
        np.array([index[row[first + 2]] for row in rows], np.int64),
        np.array([row[first + 3 :] for row in rows], np.float64).reshape(len(rows), -1),
    )
