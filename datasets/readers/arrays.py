"""`.npz` files: a stack of items and their labels, as NumPy arrays."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gridcnn.contracts.source import Dataset, Label
from gridcnn.datasets.labels import labels_of, one_each
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.manifest import PART_NAMES
from gridcnn.datasets.readers.stacks import numbered, unstacked
from gridcnn.datasets.soundness import sound
from gridcnn.errors import DataError, Problem, listed, shown
from gridcnn.stored import member_array

_KINDS = {
    "x": "X", "images": "X", "image": "X", "data": "X",
    "y": "y", "labels": "y", "label": "y", "target": "y", "targets": "y",
}  # fmt: skip
_NEEDED = (
    "an .npz file needs the arrays X and y, or X_train, y_train, X_test and y_test: "
    "numpy.savez(file, X=..., y=...)"
)


def read(file: str | os.PathLike[str]) -> Dataset:
    """Return the data in an `.npz` file.

    It has the arrays `X`, `(items, rows, columns)` or `(items, rows, columns, channels)`, and `y`,
    `(items,)`; or such a pair for each part: `X_train`, `y_train`, `X_test`, `y_test` and perhaps
    `X_validation` and `y_validation`. Also known are images and data for X, labels and target for
    y, and small letters. Nothing pickled is ever opened.

    Raises:
        DataError: the file is damaged or holds something else, arrays are missing or cannot be
            used, or items and labels do not go together.
    """
    place = os.fspath(file)
    found = Problems(place)
    try:
        content = Path(place).open("rb")  # noqa: SIM115 - closed below, by the block that reads
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise DataError(Problem(message, source=place)) from error
    try:
        with content, zipfile.ZipFile(content) as archive:
            pairs = _pairs(archive, found)
            found.stop()
            opened = {
                part: tuple(_array(archive, names[kind], place) for kind in ("X", "y"))
                for part, names in pairs.items()
            }
    except DataError:
        raise
    except MemoryError:
        raise DataError(Problem("its arrays do not fit into memory", source=place)) from None
    except Exception as error:
        # zipfile, zlib and NumPy raise a dozen kinds of errors for files that are damaged.
        raise DataError(
            Problem(f"is no .npz file, or a damaged one ({_reason(error)})", source=place)
        ) from error
    return _joined(opened, pairs, found)


def load(file: str | os.PathLike[str]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return the items in an `.npy` or `.npz` file, of any shape, and their labels, if it has any.

    Parts are joined. An `.npz` file with a single array has that for items. Nothing pickled is ever
    opened, and an `.npy` file is not read but mapped.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    place = os.fspath(file)
    try:
        if place.lower().endswith(".npy"):
            with Path(place).open("rb") as content:
                npy.read_magic(content)
            return np.load(place, mmap_mode="r", allow_pickle=False), None
        with zipfile.ZipFile(place) as archive:
            return _loaded(archive, place)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise DataError(Problem(message, source=place)) from error
    except DataError:
        raise
    except MemoryError:
        raise DataError(Problem("its arrays do not fit into memory", source=place)) from None
    except Exception as error:
        raise DataError(
            Problem(f"is no NumPy file, or a damaged one ({_reason(error)})", source=place)
        ) from error


def _loaded(archive: zipfile.ZipFile, place: str) -> tuple[NDArray[Any], NDArray[Any] | None]:
    members = [info.filename for info in archive.infolist() if info.filename.endswith(".npy")]
    if len(members) == 1:
        return _array(archive, members[0], place), None
    kinds: dict[str, list[str]] = {"X": [], "y": []}
    for member in sorted(members):
        for word in member.removesuffix(".npy").lower().split("_"):
            if word in _KINDS:
                kinds[_KINDS[word]].append(member)
    stacks = [_array(archive, member, place) for member in kinds["X"]]
    if not stacks or len({stack.shape[1:] for stack in stacks}) > 1:
        has = listed([shown(name[:-4])[1:-1] for name in members], limit=8) or "none"
        message = (
            f"needs an array X, and y for labels: numpy.savez(file, X=..., y=...). It has: {has}"
        )
        raise DataError(Problem(message, source=place))
    labels = [_array(archive, member, place) for member in kinds["y"]]
    return np.concatenate(stacks), np.concatenate(labels) if len(labels) == len(stacks) else None


def _pairs(archive: zipfile.ZipFile, found: Problems) -> dict[str, dict[str, str]]:
    """Return the members that are X and y of each part; the part is empty where there are none."""
    pairs: dict[str, dict[str, str]] = {}
    members = [info.filename for info in archive.infolist() if info.filename.endswith(".npy")]
    for member in members:
        words = member.removesuffix(".npy").lower().split("_")
        parts = [PART_NAMES[word] for word in words if word in PART_NAMES]
        kinds = [_KINDS[word] for word in words if word in _KINDS]
        if len(kinds) != 1 or len(parts) + len(kinds) != len(words) or len(parts) > 1:
            continue
        names = pairs.setdefault(parts[0] if parts else "", {})
        if kinds[0] in names:
            found.add(f"{names[kinds[0]][:-4]} and {member[:-4]} would be the same; keep one")
        names[kinds[0]] = member
    for part, names in pairs.items():
        for kind in {"X", "y"} - names.keys():
            other = "y" if kind == "X" else "X"
            which = f"{kind}_{part}" if part else kind
            found.add(f"has the array {names[other][:-4]}, but no {which}; {_NEEDED}")
    if not pairs:
        has = listed([shown(name[:-4])[1:-1] for name in members], limit=8) or "none"
        found.add(f"{_NEEDED}. It has: {has}")
    elif "" in pairs and len(pairs) > 1:
        has = listed([shown(name[:-4])[1:-1] for name in members], limit=8)
        found.add(f"has arrays for parts and others for no part: {has}; keep one kind")
    return pairs


def _array(archive: zipfile.ZipFile, member: str, place: str) -> NDArray[Any]:
    """Return one array, after a check that it is as large as it says."""
    info = archive.getinfo(member)
    with archive.open(info) as file:
        try:
            return member_array(file, info.file_size, member.removesuffix(".npy"))
        except DataError as error:
            raise DataError(Problem(error.problems[0].message, source=place)) from None


def _joined(
    opened: dict[str, tuple[NDArray[Any], ...]],
    pairs: dict[str, dict[str, str]],
    found: Problems,
) -> Dataset:
    things: list[NDArray[Any]] = []
    labels: list[Label] = []
    names: list[str] = []
    parts: list[str] = []
    for part, (stack, values) in opened.items():
        members = {kind: member[:-4] for kind, member in pairs[part].items()}
        items = unstacked(stack, name=members["X"], source=found.source)
        if things and items[0].shape != things[0].shape:
            found.add(
                f"the items of {members['X']} have the shape {items[0].shape}, but those of "
                f"another part {things[0].shape}; all must be alike"
            )
        given = labels_of(values, name=members["y"], source=found.source)
        one_each(len(items), len(given), source=found.source)
        things += items
        labels += given
        names += numbered(len(items), part=part)
        parts += [part] * len(items)
    found.stop()
    return sound(
        Dataset(things, labels, names, parts if "" not in opened else None, origin=found.source)
    )


def _reason(error: Exception) -> str:
    return shown(str(error) or type(error).__name__, limit=100).strip("'\"")
