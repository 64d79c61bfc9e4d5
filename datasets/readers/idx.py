"""IDX files: the format in which MNIST and its relatives come.

The format is described at the end of Y. LeCun's page on the MNIST database: two zero bytes, a byte
for the type, a byte for the number of axes, the length of each axis, then the values; numbers have
their highest byte first.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import TEST, TRAIN, Dataset
from gridcnn.cores import shortage
from gridcnn.datasets.labels import one_each
from gridcnn.datasets.readers.stacks import ITEM_BYTES, LABEL_BYTES, item_names, unstack
from gridcnn.datasets.soundness import sound
from gridcnn.errors import DataError, Problem, listed
from gridcnn.files import open_ordinary

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_PACKED = 1040
"""What a byte of a gzip file may unpack to: deflate reaches 1032 at most."""
_MOST_AXES = 8
_PIECE = 2**22
_IMAGES = re.compile(
    r"(?P<set>.*?)images?(?P<rest>[-._]?idx[34][-._]ubyte(\.gz)?|\.idx(\.gz)?)", re.I
)
_NAME = re.compile(r"idx\d[-._]ubyte(\.gz)?$|\.idx(\.gz)?$", re.I)


def is_idx(file: Path) -> bool:
    """Return whether a file is an IDX file, by its name or its first bytes."""
    if _NAME.search(file.name):
        return True
    with open_ordinary(file) as content:
        start = content.read(4)
    return len(start) == 4 and start[:2] == b"\0\0" and start[2] in _TYPES and 1 <= start[3] <= 4


def in_folder(folder: Path) -> bool:
    """Return whether a folder holds IDX files of images."""
    return bool(_image_files(folder))


def read_folder(folder: Path) -> Dataset:
    """Return the data of the images and labels in a folder.

    Files that are named `train-...` are the training part, `t10k-...` or `test-...` the test part.

    Raises:
        DataError: there are several sets, labels are missing, or a file is damaged.
    """
    files = _image_files(folder)
    parts: dict[str, list[Path]] = {}
    for file in files:
        parts.setdefault(_part(file.name), []).append(file)
    if any(len(same) > 1 for same in parts.values()) or ("" in parts and len(parts) > 1):
        names = listed([file.name for file in files], limit=6)
        raise DataError(
            Problem(f"holds several sets: {names}; give the path of one", source=str(folder))
        )
    if len(parts) == 1:
        return read(files[0])
    things: list[NDArray[Any]] = []
    labels: list[str] = []
    names_: list[str] = []
    of_parts: list[str] = []
    for part in (TRAIN, TEST):
        images, given = _pair(parts[part][0])
        things += images
        labels += given
        names_ += item_names(len(images), part=part)
        of_parts += [part] * len(images)
    if len({thing.shape for thing in things}) > 1:
        raise DataError(
            Problem("the pictures for training and test have different sizes", source=str(folder))
        )
    return sound(Dataset(things, labels, names_, of_parts, origin=str(folder)))


def read(file: Path) -> Dataset:
    """Return the data of a file of images and the file of labels beside it.

    Labels are texts: "0", "1", ...

    Raises:
        DataError: the labels are missing, a file is damaged, or they do not go together.
    """
    things, labels = _pair(file)
    return sound(Dataset(things, labels, item_names(len(things)), origin=str(file)))


def array(file: Path) -> NDArray[Any]:
    """Return the array in one IDX file, packed with gzip or not, in this machine's byte order.

    Raises:
        DataError: it is not an IDX file, is cut short, or continues after its end.
    """
    try:
        with open_ordinary(file) as content:
            size = os.fstat(content.fileno()).st_size
            if not file.name.lower().endswith(".gz"):
                return _array(content, most=size, exact=True)
            with gzip.open(content) as unpacked:
                return _array(unpacked, most=size * _MOST_PACKED, exact=False)
    except _DamagedError as error:
        raise DataError(Problem(str(error), source=str(file))) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        message = f"is a damaged gzip file ({reason}); download it again"
        raise DataError(Problem(message, source=str(file))) from None
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "there is not enough memory"
        message = f"cannot be read: {reason}"
        raise DataError(Problem(message, source=str(file))) from error


class _DamagedError(Exception):
    pass


def _array(content: Any, *, most: int, exact: bool) -> NDArray[Any]:
    """Return the array in an open file, whose content has `most` bytes, or at most as many."""
    start = content.read(4)
    if (
        len(start) < 4
        or start[:2] != b"\0\0"
        or start[2] not in _TYPES
        or not 1 <= start[3] <= _MOST_AXES
    ):
        raise _DamagedError(
            f"is not an IDX file: it starts with the bytes '{start.hex(' ')}', and not with "
            "'00 00', a type and the number of axes"
        )
    dtype = np.dtype(_TYPES[start[2]])
    sizes = content.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise _DamagedError("is cut short: it ends inside its header; download it again")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    count = math.prod(shape) * dtype.itemsize
    header = 4 + len(sizes)
    if not count:
        raise _DamagedError(f"has no values: it declares the shape {shape}")
    if count + header > most:
        raise _DamagedError(
            f"is cut short or damaged: it declares {count} bytes of values, shape {shape}, "
            f"and can have {'only' if exact else 'at most'} {max(0, most - header)}"
        )
    reason = shortage(count + shape[0] * (LABEL_BYTES if len(shape) == 1 else ITEM_BYTES))
    if reason:
        raise _DamagedError(f"cannot be read: {reason}; give a file of fewer items")
    values = np.empty(count, np.uint8)
    for done in range(0, count, _PIECE):
        wanted = min(_PIECE, count - done)
        piece = content.read(wanted)
        values[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        if len(piece) < wanted:
            raise _DamagedError(
                f"is cut short: it declares {count} bytes of values, and has "
                f"{done + len(piece)}; download it again"
            )
    if content.read(1):
        raise _DamagedError(
            f"continues after its end: it declares {count} bytes of values, shape {shape}, and "
            "has more"
        )
    result = values.view(dtype).reshape(shape)
    # In place, since a copy would take as much memory again.
    return result if dtype.isnative else result.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _pair(file: Path) -> tuple[list[NDArray[Any]], list[str]]:
    beside = _labels_beside(file)
    images, labels = array(file), array(beside)
    things = unstack(images, name="the array of images", source=str(file))
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        message = (
            f"labels must be whole numbers of shape (items,); these are {labels.dtype} of shape "
            f"{labels.shape}"
        )
        raise DataError(Problem(message, source=str(beside)))
    one_each(len(things), len(labels), source=str(beside))
    return things, [str(label) for label in labels.tolist()]


def _labels_beside(file: Path) -> Path:
    """Return the file of labels that goes with a file of images."""
    match = _IMAGES.fullmatch(file.name)
    if match is None:
        if re.search("labels?", file.name, re.I):
            message = "these are the labels; give the path of the images"
        else:
            message = "the name of an IDX file of images looks like train-images-idx3-ubyte.gz"
        raise DataError(Problem(message, source=str(file)))
    stem = re.sub("images", "labels", file.name, flags=re.I)
    stem = re.sub("image", "label", stem, flags=re.I)
    stem = re.sub(r"idx[34]", "idx1", stem, flags=re.I)
    plain = re.sub(r"\.gz$", "", stem, flags=re.I)
    names = [stem, plain, f"{plain}.gz"]
    names += [
        re.sub(r"[-._]idx1", f"{mark}idx1", name, flags=re.I) for name in names for mark in "-._"
    ]
    for name in names:
        if (file.parent / name).is_file():
            return file.parent / name
    raise DataError(
        Problem(f"its labels are missing; {stem} should lie beside it", source=str(file))
    )


def _image_files(folder: Path) -> list[Path]:
    """Return the IDX files of images in a folder, one of each set, unpacked ones first."""
    sets: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        match = _IMAGES.fullmatch(file.name)
        if match is not None and file.is_file():
            sets.setdefault(match["set"].lower(), file)
    return list(sets.values())


def _part(name: str) -> str:
    words = re.split(r"[-._]", name.lower())
    if "train" in words:
        return TRAIN
    return TEST if {"t10k", "test"} & set(words) else ""
