"""Stacks: many items of one shape in one array."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from gridcnn.errors import DataError, Problem

ITEM_BYTES = 400
"""About how much memory Python needs for an item besides its cells: a view, a name, and where it
stands."""
LABEL_BYTES = 150
"""About how much memory Python needs for a label besides its characters."""


def unstack(stack: NDArray[Any], *, name: str = "X", source: str = "") -> list[NDArray[Any]]:
    """Return the items of a stack, as views into it.

    Args:
        stack: numbers, `(items, columns)`, `(items, rows, columns)` or
            `(items, rows, columns, channels)`.
        name: what the stack is called in messages.
        source: the file that it is from, if any.

    Raises:
        DataError: the array has another number of axes, no cells, or no numbers in it.
    """
    wanted = "(items, columns), (items, rows, columns) or (items, rows, columns, channels)"
    if stack.dtype.kind not in "biuf":
        message = f"{name} must hold numbers; it holds {stack.dtype}"
        if stack.dtype.kind == "c":
            message += "; give their magnitudes, or real and imaginary parts as two channels"
    elif stack.ndim not in (2, 3, 4):
        message = f"{name} must have the shape {wanted}; it has {stack.shape}"
    elif stack.size == 0:
        message = f"{name} has the shape {stack.shape}, so it has no cells"
    else:
        return list(stack)
    raise DataError(Problem(message, source=source))


def item_names(count: int, *, part: str = "") -> list[str]:
    """Return names for items that have none of their own: `item 0`, `item 1`, ..."""
    before = f"{part} item" if part else "item"
    return [f"{before} {index}" for index in range(count)]
