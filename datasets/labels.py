"""Labels and parts as people give them (lists, NumPy, pandas), made into `str` and `int`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import TEST, TRAIN, VALIDATION, Label
from gridcnn.datasets.problems import Problems
from gridcnn.errors import listed, shown, suggestion

IN_MEMORY = "the DataFrame"
"""The name of a table without a file in messages."""
PART_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "val": VALIDATION,
    "valid": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""The allowed names of parts in data."""
_MOST_BITS = 4_096
"""Of a whole number; Python turns none of thousands of digits into a text."""


def labels_of(values: Any, *, name: str = "y", source: str = "") -> list[Label]:
    """Return one label for each item, as Python's own `str` or `int`.

    Whole numbers of any type, booleans and floats without a fraction become `int`; texts stay as
    they are, and bytes are read as UTF-8. A column `(items, 1)` is read as `(items,)`.

    Args:
        values: any sequence, a NumPy array, or a pandas Series, Index or Categorical.
        name: what the labels are called in messages.
        source: the file that they are from, if any.

    Raises:
        DataError: these are not class labels, or some are missing; every bad row is named.
    """
    problems = Problems(source)
    rows = _rows(values, name, problems)
    # One check for each distinct value, since there are few classes and many items.
    known: dict[tuple[type, Any], Label | None] = {}
    labels: list[Label] = []
    missing: list[int] = []
    for row, value in enumerate(rows):
        key = (type(value), value)
        try:
            label = known[key] if key in known else known.setdefault(key, label_of(value))
        except NotALabelError as error:
            problems.add(f"the label {name}[{row}] {error}")
            if error.hopeless:
                break
            continue
        except TypeError:
            problems.add(
                f"the label {name}[{row}] is {shown(value)}; a label is a text or a number"
            )
            continue
        if label is None:
            missing.append(row)
        else:
            labels.append(label)
    if missing:
        rows = listed([f"{name}[{row}]" for row in missing], limit=8)
        several = "labels" if len(missing) > 1 else "label"
        verb, which = ("are", "these items") if len(missing) > 1 else ("is", "it")
        problems.add(
            f"the {several} {rows} {verb} missing; give every item a label, or leave {which} out"
        )
    refuse_twins(set(labels), name, problems)
    problems.stop()
    return labels


def labels_array(labels: Sequence[Label]) -> NDArray[Any]:
    """Return labels as an array of numbers or texts, without converting any.

    It is an array of objects if NumPy would change them: if they are mixed, if a text ends with a
    NUL, or if no type of whole numbers holds all of them.
    """
    objects = np.array(labels, dtype=object)
    if len({type(label) for label in labels}) == 1:
        found = np.array(labels)
        if found.tolist() == list(labels) and found.dtype.kind != "f":
            return found
    return objects


class NotALabelError(Exception):
    """The value cannot be a label; `hopeless` if none of the others can be."""

    def __init__(self, message: str, *, hopeless: bool = False) -> None:
        self.hopeless = hopeless
        super().__init__(message)


def _rows(values: Any, name: str, problems: Problems) -> Sequence[Any]:
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        problems.add(f"{name} must be a list of labels, one for each item; got {shown(values)}")
        problems.stop()
    if not hasattr(values, "__array__"):
        return list(values)
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        one_hot = f"; if its columns are the classes, give {name}.argmax(axis=1)"
        problems.add(
            f"{name} must have one label for each item, shape (items,); got shape {array.shape}"
            f"{one_hot if array.ndim == 2 else ''}"
        )
        problems.stop()
    if array.dtype.kind in "mM":  # NumPy makes whole numbers of some of them
        problems.add(
            f"{name} holds dates or times ({array.dtype}); a label is a text or a whole number"
        )
        problems.stop()
    rows: list[Any] = array.tolist()
    return rows


def plain_value(value: Any) -> Any:
    """Return a value as Python has it, instead of NumPy."""
    return value.item() if isinstance(value, np.generic) else value


def label_of(value: Any) -> Label | None:
    """Return the label for `value`; None if it means a missing label."""
    value = plain_value(value)
    if isinstance(value, str | bytes):
        return _text(value)
    if isinstance(value, int):
        if value.bit_length() > _MOST_BITS:
            raise NotALabelError(f"is {shown(value)}, too large for a label; give it as a text")
        return int(value)
    if isinstance(value, float):
        return _whole(value)
    # pandas has two more ways to say that a value is missing: NA and NaT.
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    # Its column holds something else than labels, and so one problem says it all.
    raise NotALabelError(f"is {shown(value)}; a label is a text or a whole number", hopeless=True)


def _text(value: str | bytes) -> str | None:
    try:
        text = value.decode("utf-8") if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError:
        raise NotALabelError(f"is {shown(value)}, which is not UTF-8 text") from None
    return text if text.strip() else None


def _whole(value: float) -> int | None:
    if math.isnan(value):
        return None
    if not value.is_integer():
        raise NotALabelError(
            f"is {value:g}. Labels name classes, but numbers with fractions look like amounts to "
            "be predicted (continuous, regression), which gridcnn does not do; for classes, give "
            "texts or whole numbers",
            hopeless=True,
        )
    return int(value)


def refuse_twins(labels: set[Label], name: str, found: Problems) -> None:
    """Add a problem if a label is there both as a number and as a text.

    `name` is the name of an argument, or what the labels are called otherwise. `found.source` is
    the file that they are from; it is empty, or `IN_MEMORY`, if there is none.
    """
    numbers = {str(label) for label in labels if isinstance(label, int)}
    twins = sorted(numbers.intersection(label for label in labels if isinstance(label, str)))
    if twins:
        advice = "write every label as a number, or every label as a text"
        if found.source.endswith((".jsonl", ".ndjson")):
            advice += f' (as "{twins[0]}", in quotes)'
        elif not found.source and name.isidentifier():
            advice = f"give one kind only, for example [str(label) for label in {name}]"
        elif found.source in ("", IN_MEMORY):
            advice = "give one kind only, for example by .astype(str)"
        found.add(f"{name} has the label {twins[0]} both as a number and as a text; {advice}")


def one_each(things: int, labels: int, *, source: str = "") -> None:
    """Raise `DataError` unless there are as many labels as things."""
    if things != labels:
        problems = Problems(source)
        problems.add(f"there are {things} items, but {labels} labels; give one label for each item")
        problems.stop()


def no_part(given: str) -> str:
    """Return what is wrong with the name of a part."""
    if not given:
        return "the split is empty; give train, validation or test in every row, or in none"
    near = suggestion(given, PART_NAMES)
    return f"the split {shown(given, limit=300)} must be train, validation or test{near}"
