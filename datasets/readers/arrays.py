"""`.npz` files: a stack of items and their labels, as NumPy arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import Dataset
from gridcnn.datasets.labels import PART_NAMES, labels_of, one_each
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.stacks import ITEM_BYTES, LABEL_BYTES, item_names, unstack
from gridcnn.datasets.several import several_given
from gridcnn.datasets.soundness import sound
from gridcnn.errors import DataError, Problem, listed, quoted
from gridcnn.stored import Header, StoredArrays

_KINDS = {
    "x": "X", "images": "X", "image": "X", "data": "X",
    "y": "y", "labels": "y", "label": "y", "target": "y", "targets": "y",
}  # fmt: skip
_NEEDED = (
    "an .npz file needs the arrays X and y, or X_train, y_train, X_test and y_test: "
    "numpy.savez(file, X=..., y=...)"
)
_REMEDY = (
    "keep fewer items or a smaller type in it, or save each item as an .npy file in the folder of "
    "its class"
)


def read(file: str | os.PathLike[str]) -> Dataset:
    """Return the data in an `.npz` file.

    It has the arrays `X`, `(items, rows, columns)` or `(items, rows, columns, channels)`, and `y`,
    `(items,)`, or `(items, labels)` of 0, 1 and NaN if an item may have several; or such a pair for
    each part: `X_train`, `y_train`, `X_test`, `y_test` and perhaps `X_validation` and
    `y_validation`. Also known are images and data for X, labels and target for y, and small
    letters. Nothing pickled is ever opened.

    Raises:
        DataError: the file is damaged or holds something else, arrays are missing, cannot be used
            or do not fit into memory, or items and labels do not go together.
    """
    problems = Problems(os.fspath(file))
    with StoredArrays(file, source=problems.source) as stored:
        pairs = _pairs(stored.names, problems)
        problems.stop()
        names = [pair[kind] for pair in pairs.values() for kind in ("X", "y")]
        more = sum(map(_object_bytes, map(stored.header, names)))
        arrays = dict(zip(names, stored.read(names, more=more, remedy=_REMEDY), strict=True))
    return _join(pairs, arrays, problems)


def load(file: str | os.PathLike[str]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the items in an `.npy` or `.npz` file, of any shape, and their labels, if it has any.

    Parts are joined. An `.npz` file with a single array has that for items. Nothing pickled is ever
    opened, and a large `.npy` file is not read but mapped.

    Raises:
        DataError: the file is damaged or holds something else, or does not fit into memory.
    """
    place = os.fspath(file)
    with StoredArrays(place, source=place) as stored:
        if len(stored.names) == 1:
            return stored.read(stored.names)[0], None
        named: dict[str, list[str]] = {"X": [], "y": []}
        for name in sorted(stored.names):
            for word in name.lower().split("_"):
                if word in _KINDS:
                    named[_KINDS[word]].append(name)
        headers = [stored.header(name) for name in named["X"]]
        if not headers or len({header.shape[1:] for header in headers}) > 1:
            needed = "needs an array X, and y for labels: numpy.savez(file, X=..., y=...)"
            raise DataError(Problem(f"{needed}. {_has(stored.names)}", source=place))
        # What is joined takes as much again.
        more = sum(header.size for header in headers) if headers[1:] else 0
        stacks = stored.read(named["X"], more=more)
        labels = stored.read(named["y"]) if len(named["y"]) == len(stacks) else []
        if len({each.dtype.kind for each in labels}) > 1:
            # NumPy would make floats of whole numbers, and texts of numbers.
            labels = [label.astype(object) for label in labels]
        items = _one(stacks, named["X"], place)
        return items, _one(labels, named["y"], place) if labels else None


def _one(arrays: Sequence[NDArray[Any]], names: Sequence[str], place: str) -> NDArray[Any]:
    """Return arrays joined into one; raise `DataError` if they do not match."""
    if not arrays[1:]:
        return arrays[0]
    try:
        if len({array.dtype.kind in "biuf" for array in arrays}) == 1:
            return np.concatenate(arrays)
    except (TypeError, ValueError):  # other shapes, or types that have nothing in common
        pass
    has = [f"{quoted(name)} is {a.dtype} {a.shape}" for name, a in zip(names, arrays, strict=True)]
    message = f"its arrays cannot be joined: {listed(has, limit=4)}; all must be alike"
    raise DataError(Problem(message, source=place))


def _object_bytes(header: Header) -> int:
    """Return about how many bytes Python's own objects for items or labels will take."""
    if len(header.shape) < 2:  # labels
        return header.cells * LABEL_BYTES + header.size
    return header.shape[0] * ITEM_BYTES if header.size else 0


def _has(names: Sequence[str]) -> str:
    has = listed([quoted(name)[1:-1] for name in names], limit=8)
    return f"It has: {has or 'none'}"


def _pairs(members: Sequence[str], problems: Problems) -> dict[str, dict[str, str]]:
    """Return the members that are X and y of each part; the part is empty if there are no parts."""
    pairs: dict[str, dict[str, str]] = {}
    for member in members:
        words = member.lower().split("_")
        parts = [PART_NAMES[word] for word in words if word in PART_NAMES]
        kinds = [_KINDS[word] for word in words if word in _KINDS]
        if len(kinds) != 1 or len(parts) + len(kinds) != len(words) or len(parts) > 1:
            continue
        names = pairs.setdefault(parts[0] if parts else "", {})
        if kinds[0] in names:
            problems.add(f"{names[kinds[0]]} and {member} would be the same; keep one")
        names[kinds[0]] = member
    for part, names in pairs.items():
        for kind in {"X", "y"} - names.keys():
            other = "y" if kind == "X" else "X"
            which = f"{kind}_{part}" if part else kind
            problems.add(f"has the array {names[other]}, but no {which}; {_NEEDED}")
    if not pairs:
        problems.add(f"{_NEEDED}. {_has(members)}")
    elif "" in pairs and len(pairs) > 1:
        problems.add(f"has arrays for parts and others for no part; keep one kind. {_has(members)}")
    return pairs


def _join(
    pairs: dict[str, dict[str, str]], arrays: dict[str, NDArray[Any]], problems: Problems
) -> Dataset:
    things: list[NDArray[Any]] = []
    labels: list[Any] = []
    names: list[str] = []
    parts: list[str] = []
    columns: dict[str, int] = {}  # labels of an item in the array of each part; 0: one class
    for part, pair in pairs.items():
        items = unstack(arrays[pair["X"]], name=pair["X"], source=problems.source)
        if things and items[0].shape != things[0].shape:
            problems.add(
                f"the items of {pair['X']} have the shape {items[0].shape}, but those of "
                f"another part {things[0].shape}; all must be alike"
            )
        several = several_given(arrays[pair["y"]], name=pair["y"], source=problems.source)
        columns[pair["y"]] = 0 if several is None else len(several.names)
        given: Sequence[Any] = (
            labels_of(arrays[pair["y"]], name=pair["y"], source=problems.source)
            if several is None
            else list(several.rows)
        )
        one_each(len(items), len(given), source=problems.source)
        things += items
        labels += given
        names += item_names(len(items), part=part)
        parts += [part] * len(items)
    count = max(columns.values())
    if min(columns.values()) < count:
        counts = [f"{name} has {each or 'one class'}" for name, each in columns.items()]
        problems.add(f"the arrays of labels must have as many labels: {listed(counts)}")
    problems.stop()
    named = None if "" in pairs else parts
    dataset = Dataset(things, labels, names, named, origin=problems.source)
    if count:
        rows = np.array(labels, np.float32)
        dataset = replace(dataset, labels=rows, label_names=tuple(range(count)))
    return sound(dataset)
