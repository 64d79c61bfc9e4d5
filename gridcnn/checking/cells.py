"""Cells of tables, in which missing ones have one form, whatever library they come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def plain_cells(values: Any) -> Sequence[Any] | NDArray[Any]:
    """Return cells as an array of numbers, or else as a list in which None is missing."""
    array = np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind in "mM":
        return [None if np.isnat(value) else str(value) for value in array]
    return [None if is_missing(value) else value for value in array.tolist()]


def is_missing(value: Any) -> bool:
    """Return whether a cell stands for a missing value."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return bool(value != value) if isinstance(value, float) else value in ("", b"")
