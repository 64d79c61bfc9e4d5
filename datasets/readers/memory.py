"""Data that is given from Python: arrays, pictures, paths, a table of paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Dataset, Source
from gridcnn.datasets import places
from gridcnn.datasets.labels import labels_of, one_each
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.manifest import from_table
from gridcnn.datasets.readers.stacks import numbered, unstacked
from gridcnn.datasets.soundness import sound
from gridcnn.errors import DataError, listed, quoted, shown

_ORIGIN = "the data given in memory"
_FORMS = (
    "data is given as (X, y), with a label in y for each item of X; as a pandas DataFrame with the "
    "columns path, label and, if it divides itself, split; or as a Dataset"
)


class Memory(Source):
    """Data that was given from Python, and is not kept with the run."""

    title: ClassVar[str] = "memory"

    def open(self, *, seed: int, suffixes: frozenset[str]) -> Dataset:  # noqa: ARG002 - never opens
        """Raise `DataError`: only whoever gave the data can give it again."""
        raise DataError("this run's data was given in memory; pass it again: data=...")


def from_memory(data: Any, *, files: bool = True, group: str | None = None) -> Dataset:
    """Return data that was given from Python as a data set.

    Args:
        data: `(X, y)`; a pandas DataFrame with the columns path and label and perhaps split, by the
            rules of a manifest, whose relative paths start at the current folder; or a `Dataset`.
            `X` is an array `(items, columns)`, `(items, rows, columns)` or
            `(items, rows, columns, channels)`; a DataFrame of numbers, each row of which is an
            item; or any sequence of things that the adapter takes: paths, arrays, PIL images,
            bytes, texts. `y` is any sequence of texts or whole numbers.
        files: whether texts in `X` are paths of files, each of which may be there once; otherwise
            they are things like any other.
        group: the column of a DataFrame that says what belongs together; a `Dataset` has its own.

    Raises:
        DataError: it is something else, `X` and `y` do not go together, labels are missing or no
            class labels, a path is there twice, or there is only one class.
    """
    if isinstance(data, Dataset) and (group is None or data.groups is not None):
        return sound(data)
    if _is_table(data):
        return from_table(data, base=Path.cwd(), group=group)
    if group is not None:
        raise DataError(
            f"data.group names the column {quoted(group)}, but {_described(data)} has no columns; "
            "give a DataFrame, or a Dataset with groups"
        )
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise DataError(f"{_FORMS}; got {_described(data)}")
    things = _things(data[0])
    labels = labels_of(data[1])
    one_each(len(things), len(labels))
    if not files:
        return sound(Dataset(things, labels, numbered(len(things)), origin=_ORIGIN))
    _refuse_twice(things)
    return sound(Dataset(things, labels, _names(things), origin=_ORIGIN))


def _is_table(value: Any) -> bool:
    # By its looks, so that pandas is not imported for those who do not use it.
    return type(value).__name__ == "DataFrame" and hasattr(value, "columns")


def _things(given: Any) -> Sequence[Any]:
    if isinstance(given, str | bytes | os.PathLike) or not hasattr(given, "__len__"):
        raise DataError(f"X must hold many items; got {_described(given)}")
    # Frames, series and tensors all turn into arrays; a list is kept as it is, since its items may
    # be of different sizes.
    if not hasattr(given, "__array__"):
        return list(given)
    if _is_table(given) and hasattr(given, "iloc"):
        return unstacked(_numbers(given))
    stack = np.asarray(given)
    if stack.ndim == 1 and stack.dtype.kind in "OUST":
        things: list[Any] = stack.tolist()
        return things
    return unstacked(stack)


def _numbers(table: Any) -> NDArray[np.float64]:
    """Return the numbers of a DataFrame `(rows, columns)`, NaN where one is missing."""
    # By the kinds of their types, which are those of NumPy for pandas' own types as well.
    others = [
        quoted(str(name))
        for name, kind in zip(table.columns, table.dtypes, strict=True)
        if getattr(kind, "kind", "O") not in "biuf"
    ]
    if others:
        several = "columns hold" if len(others) > 1 else "column holds"
        hint = "; a column of texts is given alone: X[name]" if table.shape[1] == 1 else ""
        raise DataError(
            f"X: the {several} no numbers: {listed(others)}; leave what is no number out{hint}"
        )
    values: NDArray[np.float64] = table.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _names(things: Sequence[Any]) -> list[str]:
    return [
        os.fsdecode(thing) if isinstance(thing, str | os.PathLike) else name
        for thing, name in zip(things, numbered(len(things)), strict=True)
    ]


def _refuse_twice(things: Sequence[Any]) -> None:
    """Raise `DataError` for paths that are there twice: they could end in two parts."""
    found = Problems()
    first: dict[str, int] = {}
    for index, thing in enumerate(things):
        if isinstance(thing, str | os.PathLike):
            path = places.absolute(os.fsdecode(thing))
            if first.setdefault(path, index) != index:
                found.add(
                    f"X[{index}] is the same file as X[{first[path]}]: {os.fsdecode(thing)}; "
                    "give every file once"
                )
    found.stop()


def _described(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return f"{type(value).__name__} {shown(value)}"
