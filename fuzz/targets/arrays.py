"""Arrays: `.npy` and `.npz` files, and IDX files."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzz import bundle
from fuzz.changes import Changes
from fuzz.sealed import gzip_changed, npy_changed, zip_changed
from fuzz.target import Target, refused, require
from fuzz.targets.tables import check
from gridcnn.adapters.array import ArrayAdapter
from gridcnn.contracts.source import Request
from gridcnn.datasets.readers import arrays, idx
from gridcnn.datasets.readers.paths import Files
from gridcnn.errors import DataError
from gridcnn.runs.questions import Questions
from gridcnn.runs.starter import starter_for
from gridcnn.stored import stored_array

_FILES = Request(suffixes=frozenset({".npy", ".npz"}))


def _saved(save: Any, *things: Any, **named: Any) -> bytes:
    written = io.BytesIO()
    save(written, *things, **named)
    return written.getvalue()


def _seeds() -> Sequence[bytes]:
    grids = np.arange(4 * 3 * 2, dtype=np.uint8).reshape(4, 3, 2)
    labels = np.array([0, 1, 0, 1])
    names = np.array(["a", "b", "a", "b\0"])
    dates = np.array([0, 1, 0, 1], "M8[D]")
    return [
        _saved(np.save, grids.astype(np.float32)),
        _saved(np.save, np.asfortranarray(grids.astype(">i4"))),
        _saved(np.save, np.float32(1)),
        _saved(np.savez, X=grids, y=labels),
        _saved(np.savez_compressed, images=grids.astype(np.float64), labels=names),
        _saved(np.savez, X_train=grids, y_train=labels, X_test=grids[:2], y_test=names[:2]),
        _saved(np.savez, X=grids, y=dates),
        _saved(np.savez, X=names, y=labels.astype(np.float32)),
        _saved(np.savez, a=grids),
    ]


def _member_changed(name: str, content: bytes, changes: Changes) -> bytes:  # noqa: ARG001
    return npy_changed(content, changes)


def _array_changed(content: bytes, changes: Changes) -> bytes:
    if content.startswith(b"PK"):
        return zip_changed(content, changes, _member_changed)
    return npy_changed(content, changes)


def _read_arrays(content: bytes, folder: Path) -> None:
    path = folder / "a.npz"
    path.write_bytes(content)
    with refused(DataError):
        check(arrays.read(path))
    with refused(DataError):
        items, labels = arrays.load(path)
        require(not items.dtype.hasobject, "objects were read")
        require(labels is None or len(items) >= 0, "labels are odd")
    with refused(DataError):
        require(not stored_array(content).dtype.hasobject, "objects were read")
    with refused(DataError):
        starter_for("a name", "spec.yaml", str(path))
    adapter = ArrayAdapter(size=(3, 2), channels=1, low=0.0, high=1.0)
    for part in Questions(adapter, None).parts([str(path)]):
        if len(part.things):
            with refused(DataError):
                adapter.adapt_all(part.things, names=part.names)
    with refused(DataError):
        fitted = ArrayAdapter().fitted([path, path])
        require(bool(np.isfinite(fitted.grids([path]).values).all()), "cells are not finite")


# IDX ----------------------------------------------------------------------------------------------

_IMAGES, _LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
_TEST = "t10k-images-idx3-ubyte"


def _idx(code: int, shape: tuple[int, ...], values: bytes) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values


def _idx_seeds() -> Sequence[bytes]:
    images, labels = _idx(8, (4, 3, 2), bytes(range(24))), _idx(8, (4,), b"\0\1\0\1")
    floats = _idx(13, (4, 1, 1), np.arange(4, dtype=">f4").tobytes())
    packed = gzip.compress(images, mtime=0)
    pairs = (
        {_IMAGES: images, _LABELS: labels},
        {f"{_IMAGES}.gz": packed, f"{_LABELS}.gz": gzip.compress(labels, mtime=0)},
        {_IMAGES: floats, _LABELS: labels},
        {
            _IMAGES: images,
            _LABELS: labels,
            _TEST: images,
            _TEST.replace("images-idx3", "labels-idx1"): labels,
        },
        {"a.images.idx": images, "a.labels.idx": labels},
    )
    return [bundle.packed(pair) for pair in pairs]


def _part_changed(name: str, content: bytes, changes: Changes) -> bytes:
    if name.endswith(".gz"):
        return gzip_changed(content, changes, lambda inside, more: more.raw(inside))
    return changes.raw(content)


def _renamed(name: str, changes: Changes) -> str:
    return changes.random.choice((_IMAGES, _LABELS, _TEST, f"{name}.gz", changes.text(name)))


def _idx_changed(content: bytes, changes: Changes) -> bytes:
    return bundle.changed(content, changes, _part_changed, names=_renamed)


def _read_idx(content: bytes, folder: Path) -> None:
    written = []
    for name, inside in bundle.parts_of(content).items():
        path = folder / (name.replace("/", "")[:80] or "x")
        try:
            path.write_bytes(inside)
        except (OSError, ValueError):
            continue
        written.append(path)
    with refused(DataError):
        if idx.in_folder(folder):
            check(idx.read_folder(folder))
    with refused(DataError):
        check(Files(path=str(folder)).open(_FILES))
    for path in written:
        with refused(DataError):
            idx.array(path)
        with refused(DataError):
            check(Files(path=str(path)).open(_FILES))


TARGETS = (
    Target("array", ".npy and .npz files", _seeds, _read_arrays, _array_changed),
    Target("idx", "IDX files", _idx_seeds, _read_idx, _idx_changed),
)
