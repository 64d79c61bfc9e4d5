"""The labels of the rows that are looked at, as classes, whatever form they have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.checking.cells import is_missing, plain_cells
from gridcnn.contracts.targets import Targets, number_labels
from gridcnn.datasets.labels import labels_of
from gridcnn.errors import DataError, Problem, quoted, shown


def refuse_label(y: Any, why: str) -> None:
    """Raise `DataError` if the labels are named as a column of data without named columns."""
    if isinstance(y, str):
        raise DataError(f"there is no column {quoted(y)}: {why}")


def labels_for(y: Any, rows: int) -> Any:
    """Return the labels of all rows; raise `DataError` unless there is one for each."""
    if not hasattr(y, "__len__") or isinstance(y, bytes):
        raise DataError(
            f"y is a list of labels, one for each row, or the name of a column; got {shown(y)}"
        )
    if len(y) != rows:
        raise DataError(f"there are {rows} rows, but {len(y)} labels; give one for each row")
    return y


def targets_of(
    values: Any,
    chosen: NDArray[np.int64],
    *,
    what: str = "y",
    kept: NDArray[np.int64] | None = None,
    source: str = "",
) -> tuple[Targets | None, list[str]]:
    """Return the classes of the chosen labels, and notes on them.

    Args:
        values: labels, or None.
        chosen: which of them belong to the rows that are looked at.
        what: their name in errors.
        kept: the numbers of those rows in the data; None: those of `chosen`.
        source: the file.

    Raises:
        DataError: some are missing, or are not labels.
    """
    if values is None:
        return None, []
    if hasattr(values, "iloc"):
        values = values.iloc[chosen]
    elif isinstance(values, np.ndarray):
        values = values[chosen]
    else:
        values = [values[index] for index in chosen.tolist()]
    array = plain_cells(values.to_numpy() if hasattr(values, "to_numpy") else values)
    cells = array.tolist() if isinstance(array, np.ndarray) else list(array)
    missing = [n for n, cell in enumerate(cells) if is_missing(cell)]
    if missing:
        first = int((chosen if kept is None else kept)[missing[0]])
        message = (
            f"{len(missing)} of {len(cells)} labels in {what} are missing, the first in row "
            f"{first + 1}; fill them in, or leave those rows out"
        )
        raise DataError(Problem(message, source=source))
    if any(isinstance(cell, float) and not cell.is_integer() for cell in cells):
        return None, [
            f"{what} holds amounts, not classes; it is left out, and whether the order is useful "
            "is not measured"
        ]
    labels = labels_of(cells, name=what, source=source)
    places = {label: n for n, label in enumerate(dict.fromkeys(labels))}
    return number_labels(labels, places), []
