"""Several labels of an item as people give them: columns of 0 and 1, or lists of labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Label
from gridcnn.contracts.targets import LabelTargets
from gridcnn.datasets.labels import NotALabelError, label_of, plain_value, refuse_twins
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.cells import MISSING
from gridcnn.datasets.tables.frames import is_frame
from gridcnn.errors import quoted, shown

_YES, _NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})
ALLOWED = "1, 0, true, false, yes, no, or nothing if it is not known"
"""What the cell of a label may be."""


@dataclass(frozen=True)
class Several:
    """Whether items have each of several labels.

    Attributes:
        rows: 1, 0, or NaN if not known, float32 `(items, labels)`.
        names: what the labels are called, in the order of the columns.
    """

    rows: LabelTargets
    names: tuple[Label, ...]


def mark_of(value: Any) -> float | None:
    """Return whether a cell says that an item has a label: 1, 0, or NaN for a missing cell.

    None if it says something else.
    """
    value = plain_value(value)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return float("nan")
    if isinstance(value, str | bytes):
        text = (value.decode("utf-8", "replace") if isinstance(value, bytes) else value).strip()
        plain = text.casefold()
        if plain in MISSING:
            return float("nan")
        return 1.0 if plain in _YES else 0.0 if plain in _NO else None
    if isinstance(value, int | float) and (value != value or value in (0, 1)):
        return float(value)
    return None


def marks_of(cells: Iterable[Any]) -> NDArray[np.float32] | None:
    """Return the cells of a label's column, float32 `(items,)`; None if one says something else."""
    known: dict[Any, float | None] = {}
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "biuf":
        numbers = cells.astype(np.float32)
        return numbers if (np.isnan(numbers) | (cells == 0) | (cells == 1)).all() else None
    marks: list[float] = []
    for cell in cells:
        if isinstance(cell, float) and cell != cell:  # no two of these are equal
            marks.append(cell)
            continue
        try:
            key = (type(cell), cell)
            mark = known[key] if key in known else known.setdefault(key, mark_of(cell))
        except TypeError:  # a list or another thing without a hash
            return None
        if mark is None:
            return None
        marks.append(mark)
    return np.array(marks, np.float32)


def several_given(given: Any, *, name: str = "y", source: str = "") -> Several | None:
    """Return labels of items that may have several; None if there is one for each item.

    These are an indicator matrix `(items, labels)` of 0, 1 and, for what is not known, NaN: a NumPy
    array, a sparse matrix, lists, or a DataFrame, whose columns name the labels (without names they
    are 0, 1, ...). Or they are a list of labels for each item, which may be empty; the labels are
    sorted then, numbers first.

    Args:
        given: any value.
        name: what the labels are called in messages.
        source: the file that they are from, if any.

    Raises:
        DataError: a matrix holds other numbers, or a list something else than labels.
    """
    problems = Problems(source)
    if is_frame(given):
        if given.shape[1] < 2:
            return None
        names = [str(column) for column in given.columns]
        if len(set(names)) < len(names):
            problems.add(f"{name} has two columns of the same name; each label has one")
            problems.stop()
        columns = [given[column].to_numpy() for column in given.columns]
        return _of_columns(columns, names, name, problems, named=True)
    if hasattr(given, "toarray") and hasattr(given, "nnz"):
        given = given.toarray()
    matrix = _matrix(given)
    if matrix is not None:
        labels: list[Label] = list(range(matrix.shape[1]))
        return _of_columns(list(matrix.T), labels, name, problems, named=False)
    lists = _lists(given)
    return None if lists is None else _of_lists(lists, name, problems)


def _matrix(given: Any) -> NDArray[Any] | None:
    """Return an indicator matrix as it is, or lists that are one; None if there is none."""
    if isinstance(given, np.ndarray) or hasattr(given, "__array__"):
        array = np.asarray(given)
        return array if array.ndim == 2 and array.shape[1] > 1 else None
    rows = _lists(given)
    if not rows:
        return None
    if any(isinstance(row, Set) or not hasattr(row, "__len__") for row in rows):
        return None  # sets, or a label among lists
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or lengths.pop() < 2:
        return None
    cells = [cell for row in rows for cell in row]
    if any(isinstance(cell, str | bytes) or mark_of(cell) is None for cell in cells):
        return None  # labels
    return np.array([list(row) for row in rows], dtype=object)


def _lists(given: Any) -> list[Any] | None:
    """Return the labels of each item, where each has a list, tuple, set or array of them."""
    if isinstance(given, str | bytes) or not hasattr(given, "__len__") or not len(given):
        return None
    if hasattr(given, "to_numpy"):  # a Series
        given = given.to_numpy()
    if isinstance(given, np.ndarray) and (given.ndim != 1 or given.dtype.kind != "O"):
        return None
    if not isinstance(given, Sequence | np.ndarray):
        return None
    rows = list(given)
    several = [isinstance(row, list | tuple | Set) or _is_row(row) for row in rows]
    return rows if any(several) else None


def _is_row(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1


def _of_columns(
    columns: Sequence[Any],
    names: Sequence[Label],
    name: str,
    problems: Problems,
    *,
    named: bool,
) -> Several:
    rows = np.empty((len(columns[0]), len(columns)), np.float32)
    for number, cells in enumerate(columns):
        marks = marks_of(cells)
        if marks is None:
            row, wrong = next((n, each) for n, each in enumerate(cells) if mark_of(each) is None)
            place = f"{name}[{quoted(str(names[number]))}]" if named else f"{name}[{row}, {number}]"
            problems.add(
                f"{name} has {len(columns)} columns, each of which is a label of its own, and "
                f"{place} holds {shown(plain_value(wrong))}; a cell is 1, 0, or NaN if it is not "
                "known. If each item has one class, give that in a single column"
            )
            problems.stop()
            continue
        rows[:, number] = marks
    return Several(rows, tuple(names))


def _of_lists(lists: Sequence[Any], name: str, problems: Problems) -> Several:
    sets: list[set[Label]] = []
    for number, row in enumerate(lists):
        if not (isinstance(row, list | tuple | Set) or _is_row(row)):
            problems.add(
                f"{name}[{number}] is {shown(row)}, and others are lists of labels; give a list "
                "for each item, [] for one without a label"
            )
            continue
        labels: set[Label] = set()
        for value in row:
            try:
                label = label_of(value)
            except (NotALabelError, TypeError) as error:
                reason = error if isinstance(error, NotALabelError) else f"holds {shown(value)}"
                problems.add(f"a label in {name}[{number}] {reason}")
                continue
            if label is None:
                problems.add(f"a label in {name}[{number}] is missing; leave it out")
            else:
                labels.add(label)
        sets.append(labels)
    problems.stop()
    return of_label_sets(sets, name, problems)


def of_label_sets(found: Sequence[Set[Label]], name: str, problems: Problems) -> Several:
    """Return the labels of each item as columns, sorted, numbers first; all of them are known."""
    labels = sorted(set().union(*found), key=lambda label: (isinstance(label, str), label))
    refuse_twins(set(labels), name, problems)
    problems.stop()
    places = {label: number for number, label in enumerate(labels)}
    rows = np.zeros((len(found), len(labels)), np.float32)
    for number, item in enumerate(found):
        rows[number, [places[label] for label in item]] = 1
    return Several(rows, tuple(labels))
