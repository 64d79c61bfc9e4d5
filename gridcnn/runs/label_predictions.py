"""The table of predictions for items with several labels: truth, answer and vote for each label."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from gridcnn.errors import quoted
from gridcnn.grid import Array
from gridcnn.model import Model
from gridcnn.training.loop import Labelled

_TRUTHS, _ANSWERS = ("", "0", "1"), ("0", "1")
_VOTE = re.compile(r"0\.[0-9]{6}|1\.0{6}")


def predictions_header(labels: Sequence[str | int]) -> list[str]:
    """Return the names of the columns: of all truths, all answers and all votes."""
    return [
        "item",
        *(f"{kind}.{label}" for kind in ("truth", "answer", "votes") for label in labels),
    ]


def label_predictions(
    model: Model, names: Sequence[str], data: Labelled, votes: Array
) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the names of the columns, and a row for each item.

    A truth is 1, 0, or empty if it is not known; an answer is 1 or 0; a vote has six digits.

    Args:
        model: the trained model.
        names: what the items are called.
        data: the items.
        votes: their votes `(items, labels)`.
    """
    answers = model.answers(votes)
    rows = (
        [
            name,
            *("" if each != each else int(each) for each in truth.tolist()),
            *answer.tolist(),
            *(f"{vote:.6f}" for vote in row),
        ]
        for name, truth, answer, row in zip(names, data.targets, answers, votes, strict=True)
    )
    return predictions_header(model.classes), rows


def check_label_row(row: Sequence[str], number: int, labels: int) -> list[str]:
    """Return a row of the table; raise `ValueError` if it does not have this form."""
    if len(row) != 1 + 3 * labels:
        raise ValueError(f"row {number} has {len(row)} cells")
    truths, answers, votes = (row[1 + n * labels : 1 + (n + 1) * labels] for n in range(3))
    for cell, allowed in [*((t, _TRUTHS) for t in truths), *((a, _ANSWERS) for a in answers)]:
        if cell not in allowed:
            raise ValueError(f"row {number} has {quoted(cell)}, which is not 0 or 1")
    if not all(map(_VOTE.fullmatch, votes)):
        raise ValueError(f"row {number} has votes that are not numbers from 0 to 1")
    return list(row)
