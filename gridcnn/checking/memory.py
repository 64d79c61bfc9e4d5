"""The samples of data in memory: arrays, lists of rows, sparse matrices and data frames."""

from __future__ import annotations

import math
import os
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.checking.asked import Asked
from gridcnn.checking.cells import plain_cells
from gridcnn.checking.columns import Table, sample_of_columns
from gridcnn.checking.labels import labels_for, refuse_label, targets_of
from gridcnn.datasets.tables.frames import is_frame
from gridcnn.errors import DataError, shown
from gridcnn.order.sample import Sample, draw_items

_FORMS = (
    "data is an array or a list of rows (rows, columns), a DataFrame, an array of grids (items, "
    "rows, columns), with channels or without, or a path"
)


def from_memory(data: Any, asked: Asked) -> Sample:
    """Return the sample of data from Python.

    Raises:
        DataError: it has none of the allowed forms.
    """
    if is_frame(data):
        return _of_frame(data, asked)
    refuse_label(asked.y, "only a DataFrame or a table's file has columns with names")
    if hasattr(data, "toarray"):  # a sparse matrix
        data = data.tocsr()
        rows, columns = data.shape
        kept = draw_items(rows, columns, asked.seed)
        return _of_rows(np.asarray(data[kept].toarray()), rows, kept, asked)
    if isinstance(data, bytes) or not (hasattr(data, "__len__") or hasattr(data, "__array__")):
        raise DataError(f"{_FORMS}; got {shown(data)}")
    if not hasattr(data, "__array__"):
        data = _stack_of(data)
    stack = data if isinstance(data, np.ndarray) else np.asarray(data)
    if stack.dtype.names:
        stack = np.stack([stack[name].astype(object) for name in stack.dtype.names], axis=1)
    if stack.ndim not in (2, 3, 4) or not stack.size:
        raise DataError(f"{_FORMS}; got an array of shape {stack.shape}")
    kept = draw_items(len(stack), math.prod(stack.shape[1:]), asked.seed)
    if stack.ndim > 2:
        return _of_stack(stack, kept, asked)
    return _of_rows(stack[kept], len(stack), kept, asked)


def _of_frame(frame: Any, request: Asked) -> Sample:
    names = [str(name) for name in frame.columns]
    rows = len(frame)
    kept = draw_items(rows, len(names) - isinstance(request.y, str), request.seed)
    if hasattr(frame, "iloc"):
        part = frame.iloc[kept]
        columns = [plain_cells(part.iloc[:, n].to_numpy()) for n in range(len(names))]
    else:  # polars and its like
        columns = [plain_cells(frame[name].to_numpy()[kept]) for name in names]
    return sample_of_columns(Table(names, columns, rows, kept), request.y, seed=request.seed)


def _of_rows(stack: NDArray[Any], rows: int, kept: NDArray[np.int64], request: Asked) -> Sample:
    if stack.dtype.kind == "c":
        raise DataError("complex numbers have no order by size; give their parts as columns")
    names = [f"X[:, {number}]" for number in range(stack.shape[1])]
    columns = [plain_cells(values) for values in stack.T]
    table = Table(names, columns, rows, kept, is_named=False)
    return sample_of_columns(table, request.y, seed=request.seed)


def _of_stack(stack: NDArray[Any], kept: NDArray[np.int64], request: Asked) -> Sample:
    if stack.dtype.kind not in "biuf":
        raise DataError(f"grids hold numbers; these hold {stack.dtype}")
    items = len(stack)
    labels = None if request.y is None else labels_for(request.y, items)
    targets, notes = targets_of(labels, kept)
    grids = ArrayAdapter().laid_out(stack[kept])
    assert grids is not None
    return Sample(grids, items, kept, targets, notes=tuple(notes), seed=request.seed)


def _stack_of(rows: Any) -> NDArray[Any]:
    """Return a list of rows, or of grids, as one array."""
    items = list(rows)
    if not items or any(isinstance(item, str | bytes | os.PathLike | dict) for item in items):
        first = f", whose first item is {shown(items[0])}" if items else " without any"
        raise DataError(f"{_FORMS}; got a list of {len(items)} items{first}")
    if any(not hasattr(item, "__len__") for item in items):
        raise DataError(f"{_FORMS}; got a list of {shown(items[0])} and others, a single column")
    lengths = Counter(len(item) for item in items)
    if len(lengths) > 1:
        usual = lengths.most_common(1)[0][0]
        number = next(n for n, item in enumerate(items) if len(item) != usual)
        raise DataError(
            f"row {number + 1} has {len(items[number])} cells, but most rows have {usual}; all "
            "must be alike"
        )
    if all(isinstance(item, np.ndarray) for item in items):
        if len({item.shape for item in items}) > 1:
            labels = "; give items and their labels as check(X, y)" if len(items) == 2 else ""
            raise DataError(
                f"the arrays in the list differ in shape; all must have the same shape{labels}"
            )
        return np.stack(items)
    if all(isinstance(cell, int | float | np.number) for item in items for cell in item):
        return np.array(items, np.float64)
    if any(isinstance(cell, list | tuple | np.ndarray) for cell in items[0]):
        try:
            return np.array(items, np.float64)
        except (ValueError, TypeError):
            raise DataError(f"{_FORMS}; got a list of lists that are not grids") from None
    table = np.empty((len(items), len(items[0])), object)
    for place, item in enumerate(items):
        table[place] = list(item)
    return table
