"""Data that is given from Python: arrays, pictures, paths, a table of paths."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gridcnn.contracts.source import Dataset, Request, Source
from gridcnn.datasets import places
from gridcnn.datasets.labels import IN_MEMORY, labels_of, one_each
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers import manifest
from gridcnn.datasets.readers.examples import refuse_unordered, things_of
from gridcnn.datasets.readers.stacks import item_names, unstack
from gridcnn.datasets.several import several_given
from gridcnn.datasets.soundness import sound
from gridcnn.datasets.tables.frames import is_frame
from gridcnn.datasets.tables.items import Columns, opened_rows, others_note, read_questions
from gridcnn.datasets.tables.rows import Form
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError, first_told, quoted, shown
from gridcnn.settings.label_columns import Labels

_ORIGIN = "the data given in memory"
_FORMS = (
    "data is given as (X, y), with a label in y for each item of X, or several; as a pandas "
    "DataFrame with the columns path, label and, optionally, split; or as a Dataset"
)


class Memory(Source):
    """Data that was given from Python, and is not kept with the run."""

    title: ClassVar[str] = "memory"

    columns: tuple[str, ...] | None = None
    """The columns of the data frame whose numbers were trained on, in their order."""

    def open(self, request: Request) -> Dataset:  # noqa: ARG002 - never opens
        """Raise `DataError`: the data has to be given again."""
        raise DataError("this run's data was given in memory; pass it again: data=...")


def from_memory(
    data: Any,
    *,
    files: bool = True,
    source: Source | None = None,
    group: str | None = None,
    label: Labels | None = None,
    missing: bool = True,
    trained: bool = True,
) -> Dataset:
    """Return data that was given from Python as a data set.

    Args:
        data: `(X, y)`; a pandas DataFrame with the columns path and label and perhaps split, by the
            rules of a manifest, whose relative paths start at the current folder; or a `Dataset`.
            `X` is an array `(items, columns)`, `(items, rows, columns)` or
            `(items, rows, columns, channels)`; a DataFrame of numbers, each row of which is an
            item; or any sequence of things that the adapter takes: paths, arrays, PIL images,
            bytes, texts. `y` is any sequence of texts or whole numbers; or, if an item may have
            several labels, what `several_given` takes.
        files: whether texts in `X` are paths of files, each of which may be there once; otherwise
            they are things like any other.
        source: the source of a spec or a trained model. If its columns have names, those of a
            DataFrame are taken by name.
        group: the column of the groups in a DataFrame; a `Dataset` has its own.
        label: the labels in a DataFrame by the rules of a manifest.
        missing: whether numbers in a DataFrame with the columns of `source` may be missing.
        trained: whether `source` is that of a trained model.

    Raises:
        DataError: it is something else, `X` and `y` do not go together, labels are missing or no
            class labels, a path is there twice, or there is only one class.
    """
    if isinstance(data, Dataset) and (group is None or data.groups is not None):
        return sound(data)
    if is_frame(data):
        if isinstance(source, Table):
            return source.read(data, Request(group=group, missing=missing, trained=trained))
        return manifest.read(data, base=Path.cwd(), group=group, label=label)
    if label is not None:
        raise DataError(
            f"data.label names columns of labels, and {_describe(data)} has none; leave it out, "
            "and give the labels as (X, y)"
        )
    if group is not None:
        raise DataError(
            f"data.group names the column {quoted(group)}, but {_describe(data)} has no columns; "
            "give a DataFrame, or a Dataset with groups"
        )
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise DataError(f"{_FORMS}; got {_describe(data)}")
    named = data[0].columns if is_frame(data[0]) and len(data[0].columns) > 1 else None
    notes: Sequence[str] = ()
    if named is None:
        things = _things(data[0])
    else:
        things, notes = frame_things(data[0], source)
    several = several_given(data[1])
    labels = labels_of(data[1]) if several is None else several.rows
    one_each(len(things), len(labels))
    resolved = None
    if named is not None:
        known = source.columns if isinstance(source, Memory) else None
        resolved = Memory(columns=known or tuple(map(str, named)))
    if files:
        _refuse_twice(things)
    names = _names(things) if files else item_names(len(things))
    return sound(
        Dataset(
            things,
            labels,
            names,
            origin=_ORIGIN,
            resolved=resolved,
            notes=list(notes),
            label_names=None if several is None else several.names,
        )
    )


def frame_things(frame: Any, source: Source | None) -> tuple[Any, Sequence[str]]:
    """Return the rows of a data frame as items, and notes about them.

    Things are numbers `(items, columns)`, or texts. If `source` has named columns, these are taken,
    in their order.

    Raises:
        DataError: columns are missing, or hold something else.
    """
    columns = asked_columns(source)
    trained = columns is not None
    if columns is None:
        columns = Columns(tuple(str(name) for name in frame.columns))
        if frame.shape[1] == 1 and getattr(frame.dtypes.iloc[0], "kind", "O") not in "biuf":
            columns = Columns(str(frame.columns[0]))
    problems = Problems(IN_MEMORY)
    with opened_rows(frame, Form(), problems) as rows:
        parts = list(read_questions(rows, columns, missing=True))
        notes = others_note(rows, [*columns.inputs, *columns.about]) if trained else ()
    bad = [problem for _, _, each in parts for problem in each]
    if bad:
        raise DataError(*first_told(bad))
    things = [part for _, part, _ in parts]
    if isinstance(columns.input, str):
        return [thing for part in things for thing in part], notes
    return np.concatenate(things), notes


def asked_columns(source: Source | None) -> Columns | None:
    """Return the columns of what a model was trained on, if they have names."""
    if isinstance(source, Table):
        return source.columns()
    if isinstance(source, Memory) and source.columns is not None:
        return Columns(source.columns)
    return None


def _things(given: Any) -> Sequence[Any]:
    if is_frame(given):
        rows: Sequence[Any] = frame_things(given, None)[0]
        return rows
    refuse_unordered(given)
    if isinstance(given, str | bytes | os.PathLike) or not hasattr(given, "__len__"):
        raise DataError(f"X must hold many items; got {_describe(given)}")
    # Series and tensors turn into arrays; a list is kept as it is, since its items may be of
    # different sizes.
    if not hasattr(given, "__array__"):
        return list(given)
    stack = np.asarray(given)
    if stack.dtype.kind not in "biuf" or np.ma.is_masked(given):
        things = things_of(given)
        return unstack(things) if isinstance(things, np.ndarray) else things
    return unstack(stack)


def _names(things: Sequence[Any]) -> list[str]:
    return [
        os.fsdecode(thing) if isinstance(thing, str | os.PathLike) else name
        for thing, name in zip(things, item_names(len(things)), strict=True)
    ]


def _refuse_twice(things: Sequence[Any]) -> None:
    """Raise `DataError` for paths that are there twice: they could end in two parts."""
    problems = Problems()
    first: dict[str, int] = {}
    for index, thing in enumerate(things):
        if isinstance(thing, str | os.PathLike):
            path = places.absolute(os.fsdecode(thing))
            if first.setdefault(path, index) != index:
                problems.add(
                    f"X[{index}] is the same file as X[{first[path]}]: {os.fsdecode(thing)}; "
                    "give every file once"
                )
    problems.stop()


def _describe(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape"):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return f"{type(value).__name__} {shown(value)}"
