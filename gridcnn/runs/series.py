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
_STEPS = 600
"""Moves of the optimizer for few rows. On held-out rows of four sets (ecg200, lightning2, phoneme,
sonar), 300 were as good within the standard error, but larger tables would have few epochs."""
_EPOCHS = (6, 300)
"""Bounds of the epochs: 16,000 rows have 6,000 moves, 16 rows have 300."""
_FOR_VALIDATION = 500
"""Fewer rows have too few for validation: luck would choose the epoch."""
_POSITIONS = 40
"""Positions that the poolings between the blocks leave at most, so that the last block sees more of
the row."""
_LONG = 1000
"""Longer rows are pooled before the first block, which bounds the time of a move."""
_WINDOWS = (8, 5, 3)
"""Widths of the three convolutions of a block."""
_FILTERS = (64, 128, 128)
"""Filters of each block."""

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
    """Return a residual network for rows of readings, as the stages of a spec.

    It is that of Wang, Yan and Oates (2017), with a pooling after the first two blocks, which lets
    the later ones see more of the row in less time. On rows held out from the training rows of the
    eight sets of `benchmarks.series`, and from four other sets, its mean error was lower by 0.033
    than that of three convolutions (standard error 0.008): 0.22 instead of 0.39 on noisy charts,
    0.15 instead of 0.26 on phonemes, 0.15 instead of 0.28 on lightning2, and within 0.034 on each
    of the others. Shifted rows, batches of 8, smoothed labels and poolings that take the mean were
    not better on average, beyond the standard error of 0.006 to 0.012.
    """
    lines = ["stages:"]
    positions = shape.columns
    if positions > _LONG:
        window = math.ceil(positions / _LONG)
        positions = math.ceil(positions / window)
        lines.append(f"  # Long rows get shorter: the mean of {window} neighbours is kept.")
        lines.append(f"  - pooling: {{window: [1, {window}], mode: mean}}")
    window = next(size for size in range(2, positions) if _left(positions, size) <= _POSITIONS)
    for number, filters in enumerate(_FILTERS):
        if number == 0:
            lines += [
                "  # A residual block: what enters is added to what these stages make of it.",
                "  # Each filter is a short curve; its map shows how well it matches, where.",
            ]
        lines.append("  - skip:")
        for width in _WINDOWS:
            size = f"[1, {width}]"
            lines.append(
                f"      - convolution: {{filters: {filters}, kernel_size: {size}, bias: false}}"
            )
            if number == 0 and width == _WINDOWS[0]:
                lines.append(
                    "      # Each map becomes a mean of 0 and a deviation of 1, over a batch."
                )
            lines.append("      - normalization")
            if width != _WINDOWS[-1]:
                lines.append("      - rectification")
        lines.append("  - rectification")
        if number < len(_FILTERS) - 1:
            if number == 0:
                lines.append(f"  # The best match of {window} neighbours is kept.")
            lines.append(f"  - pooling: {{window: [1, {window}]}}")
    lines.append("  # The mean of each map: how much of its curve there is, wherever in the row.")
    lines.append("  - pooling: {window: all, mode: mean}")
    return "\n".join(lines) + "\n"


def _left(positions: int, window: int) -> int:
    """Return how many positions are left after two poolings."""
    return math.ceil(math.ceil(positions / window) / window)


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
