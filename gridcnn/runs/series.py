"""What a starter spec says about rows of readings: their scaling, their network, its training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gridcnn.contracts.adapter import pick
from gridcnn.errors import DataError
from gridcnn.grid import GridShape
from gridcnn.order.sample import classes_to_judge
from gridcnn.runs.located import Located
from gridcnn.runs.prepare import divide_items
from gridcnn.runs.scaling import are_scaled, choose_scaling

FEWEST_POSITIONS = 16
"""Shorter rows get the stages of other grids: the windows would cover all of them."""
BATCH = 16
"""Items of a batch at most, which batch normalization takes together as well."""
RATE = 0.001
_STEPS = 1000
"""Moves of the optimizer for few rows. 300 were enough for most training parts, but not for all."""
_EPOCHS = (6, 300)
"""Bounds of the epochs: 16,000 rows have 6,000 moves, 16 rows have 300."""
_FOR_VALIDATION = 500
"""Fewer rows have too few for validation: luck would choose the epoch."""
_POSITIONS = 40
"""Positions that two poolings leave at most. With poolings of 2 in rows of any length, there were
119 errors of 626 held-out rows (beef, lightning2, arrowhead, phoneme), and 113 with this bound,
both with means over four parts of the row."""
_WINDOWS = ((128, 8), (256, 5), (128, 3))
"""Filters and width of each convolution."""

_REASONS = {
    "row": "Each row becomes a mean of 0 and a standard deviation of 1: compared like this, the "
    "rows nearest to each other have the same class clearly more often than with their levels.",
    "overall": "All numbers together become a mean of 0 and a standard deviation of 1, so that "
    "rows keep their levels; scaling: row would take these out.",
    "column": "Each column becomes a mean of 0 and a standard deviation of 1.",
}
_SCALED = "Each row becomes a mean of 0 and a standard deviation of 1, as it has already."


@dataclass(frozen=True)
class Series:
    """What was found out about rows of readings.

    Attributes:
        scaling: that of the adapter `table`.
        reason: what it does, and why it was chosen, in a sentence.
        items: the number of training rows.
    """

    scaling: str
    reason: str
    items: int


def look_at_rows(located: Located, channels: int, *, items: int) -> Series:
    """Return the scaling that suits the training rows of a table, and their number.

    Rows of several channels keep the scaling by columns unless another one is clearly better, since
    channels often have units of their own.

    Args:
        located: a spec for the table; the test and the validation part of it are not looked at.
        channels: the number of channels of a row.
        items: the number of rows, if they cannot be read or divided; the run then says why.
    """
    preferred = ("overall", "row", "column") if channels == 1 else ("column", "overall", "row")
    try:
        dataset = located.open()
        dataset, division, _ = divide_items(located.resolved(dataset), dataset)
        rows = np.asarray(pick(dataset.things, division.train), np.float64)
    except DataError:
        return Series(
            preferred[0], _REASONS[preferred[0]].partition(":")[0].rstrip(".") + ".", items
        )
    if are_scaled(rows):
        return Series("row", _SCALED, len(rows))
    targets = dataset.targets(dataset.classes)[division.train]
    classes, _ = classes_to_judge(targets, dataset.classes)
    scaling = choose_scaling(rows[classes >= 0], classes[classes >= 0], preferred)
    return Series(scaling, _REASONS[scaling], len(rows))


def stages_of_rows(shape: GridShape) -> str:
    """Return a fully convolutional network for rows of readings, as the stages of a spec.

    It is that of Wang, Yan and Oates (2017), with a pooling after the first two convolutions, which
    lets the later ones see more of the row in less time. The original made 60 errors of 403 rows
    held out from training (tecator, sonar, ecg200), and with poolings of 2 it made 52. Means over
    four parts of the row, instead of one mean, were better on some sets and far worse on osuleaf:
    108 errors of 574 rows (arrowhead, beef, ecg200, lightning2, osuleaf, sonar), against 91.
    """
    lines = ["stages:"]
    window = next(
        size for size in range(2, shape.columns) if _count_left(shape, size) <= _POSITIONS
    )
    for number, (filters, width) in enumerate(_WINDOWS):
        if number == 0:
            lines.append(
                "  # Each filter is a short curve; its map shows how well it matches, where."
            )
        size = f"[1, {width}]"
        lines.append(f"  - convolution: {{filters: {filters}, kernel_size: {size}, bias: false}}")
        if number == 0:
            lines.append("  # Each map becomes a mean of 0 and a deviation of 1, over a batch.")
        lines += ["  - normalization", "  - rectification"]
        if number < len(_WINDOWS) - 1:
            if number == 0:
                lines.append(f"  # The best match of {window} neighbours is kept.")
            lines.append(f"  - pooling: {{window: [1, {window}]}}")
    lines.append("  # The mean of each map: how much of its curve there is, wherever in the row.")
    lines.append("  - pooling: {window: all, mode: mean}")
    return "\n".join(lines) + "\n"


def _count_left(shape: GridShape, window: int) -> int:
    """Return how many positions are left after two poolings."""
    return math.ceil(math.ceil(shape.columns / window) / window)


def epochs_for(items: int) -> int:
    """Return the number of epochs for so many training rows."""
    fewest, most = _EPOCHS
    return min(max(fewest, round(_STEPS / math.ceil(max(items, 1) / BATCH))), most)


def batch_for(items: int) -> int:
    """Return the size of a batch, at most 16, that leaves no batch with much fewer items."""
    batches = math.ceil(max(items, 1) / BATCH)
    return math.ceil(max(items, 1) / batches)


def is_for_validation(items: int) -> bool:
    """Return whether so many training rows are enough to keep some for validation."""
    return items >= _FOR_VALIDATION
