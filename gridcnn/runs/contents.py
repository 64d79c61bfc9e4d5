"""Digests of items and adapters: of their content, never of where they are."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapter, Things
from gridcnn.room import startable_threads
from gridcnn.version import VERSION

Digests = NDArray[np.uint8]
"""A digest of each thing: uint8 `(things, 32)`."""
_TOGETHER = 256  # things that a thread looks at in one go


def digests_of(
    things: Things, *, files: bool, threads: int, advance: Callable[[int], None] | None = None
) -> Digests | None:
    """Return a digest of each item; None if the content of one cannot be known.

    Files, texts, bytes and arrays of numbers have digests. That of a file is of its content and its
    ending, so that it may move. `files` says whether a text is the path of a file. `advance` is
    called with the number of items done since the last call.
    """
    digests = np.empty((len(things), 32), np.uint8)

    def look(start: int) -> bool:
        for place in range(start, min(start + _TOGETHER, len(things))):
            digest = _digest(things[place], files=files)
            if digest is None:
                return False
            digests[place] = np.frombuffer(digest, np.uint8)
        return True

    starts = iter(range(0, len(things), _TOGETHER))
    # Reading and hashing are done outside of Python, so that threads go side by side.
    threads = max(1, startable_threads(threads))
    with ThreadPoolExecutor(threads) as pool:
        spread = pool.map if threads > 1 else map
        while some := list(islice(starts, threads)):
            if not all(spread(look, some)):
                return None
            if advance is not None:
                advance(sum(min(_TOGETHER, len(things) - start) for start in some))
    return digests


def _digest(thing: Any, *, files: bool) -> bytes | None:
    if isinstance(thing, os.PathLike) or (files and isinstance(thing, str)):
        return _of_file(thing)
    digest = hashlib.sha256()
    if isinstance(thing, str):
        digest.update(b"text\0" + thing.encode("utf-8", "surrogatepass"))
    elif isinstance(thing, bytes | bytearray):
        digest.update(b"bytes\0")
        digest.update(thing)
    elif type(thing) in (np.ndarray, np.memmap) and thing.dtype.kind in "biufc":
        digest.update(f"array {thing.dtype.str} {thing.shape}\0".encode())
        digest.update(np.ascontiguousarray(thing).data)
    else:
        return None
    return digest.digest()


def _of_file(place: str | os.PathLike[str]) -> bytes:
    ending = os.path.splitext(os.fsencode(place))[1].lower()  # noqa: PTH122 - any path-like object
    try:
        with open(place, "rb") as file:  # noqa: PTH123 - the same
            content = hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError) as error:
        # It will be reported as a bad item. As soon as it can be read, its digest is another.
        content = f"unreadable: {error}".encode("utf-8", "replace")
    return hashlib.sha256(b"file\0" + ending + b"\0" + content).digest()


def join_digests(digests: Digests) -> str:
    """Return one digest for many things, in their order."""
    return hashlib.sha256(np.ascontiguousarray(digests).data).hexdigest()


def identity_of(adapter: Adapter) -> str | None:
    """Return a text that differs for any adapter that could make other grids; None if unknown.

    It has the settings, the code of the class and of the modules beside it, and the versions of
    the packages that it uses.
    """
    code = _code_of(type(adapter))
    if code is None or not adapter.repeatable:
        return None
    versions = {name: _version(name) for name in ("numpy", *adapter.libraries)}
    kind = f"{type(adapter).__module__}.{type(adapter).__qualname__}"
    return json.dumps([VERSION, kind, adapter.model_dump_json(), versions, code])


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _code_of(kind: type) -> str | None:
    """Return a digest of the code of a class and of those that it is made from.

    A developer changes the code of an adapter long before its version.
    """
    digest = hashlib.sha256()
    for place in sorted({_module_file(each) for each in kind.__mro__ if issubclass(each, Adapter)}):
        if not place:  # as in a notebook
            return None
        beside = sorted(Path(place).parent.glob("*.py")) if _is_in_package(place) else [Path(place)]
        try:
            for file in beside:
                digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
        except OSError:
            return None
    return digest.hexdigest()


def _module_file(kind: type) -> str:
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ""


def _is_in_package(place: str) -> bool:
    return (Path(place).parent / "__init__.py").is_file()
