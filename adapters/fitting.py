"""The adapter that fits the items, if a spec names none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gridcnn import stored
from gridcnn.adapters import decoding, samples
from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import Adapter, Things
from gridcnn.errors import DataError, Problem, listed, shown

_KINDS = {
    "image": ("picture", decoding.SUFFIXES),
    "audio": ("sound", samples.SUFFIXES),
    "array": ("array", stored.SUFFIXES),
}
"""For each adapter that reads files: the kind of its files, and the endings of their names."""
_KNOWN = frozenset[str]().union(*(suffixes for _, suffixes in _KINDS.values()))


def fitting_files(endings: Mapping[str, int], origin: str) -> type[Adapter]:
    """Return the adapter for files whose endings were counted; that for pictures if none is known.

    `origin` is what messages call the place of the files.

    Raises:
        DataError: there are files of two kinds, or texts alone.
    """
    counts: Counter[str] = Counter()
    for name, (_, suffixes) in _KINDS.items():
        counts[name] = sum(endings.get(suffix, 0) for suffix in suffixes)
    names = [name for name, count in counts.items() if count]
    if len(names) > 1:
        held = listed(
            [f"{counts[each]} {_KINDS[each][0]}{'s' * (counts[each] > 1)}" for each in names]
        )
        choices = " or ".join(f"adapter: {name}" for name in names)
        message = f"holds files of several kinds: {held}; name one kind in the spec: {choices}"
        raise DataError(Problem(message, source=origin))
    if not names and endings.get(".txt"):
        message = (
            f"holds no pictures, sounds or arrays, but {endings['.txt']} .txt; texts are read from "
            "a table with one text per row: "
            "data: {source: {table: {path: ..., input: ..., label: ...}}}"
        )
        raise DataError(Problem(message, source=origin))
    if "audio" in names:
        from gridcnn.adapters.audio import AudioAdapter

        return AudioAdapter
    return ArrayAdapter if "array" in names else ImageAdapter


def fitting(things: Things, origin: str = "") -> Adapter:
    """Return the adapter for items: paths, other texts, arrays, or pictures.

    Raises:
        DataError: they are paths of files of two kinds, or the bytes of texts.
    """
    first = next((each for each in things if not _is_missing(each)), None)
    if isinstance(first, np.ndarray):
        return ArrayAdapter()
    if isinstance(first, bytes) and _is_text(first):
        raise DataError(
            f"the items are bytes, such as {shown(first, limit=40)}, which hold text, not pictures "
            "or sounds; give them as texts: [item.decode() for item in X]"
        )
    if not are_paths(things):
        return TextAdapter()
    paths = [os.fsdecode(thing) for thing in things if isinstance(thing, str | os.PathLike)]
    return fitting_files(Counter(map(_ending, paths)), origin or "the data")()


def are_paths(things: Any) -> bool:
    """Return whether texts among items are paths of files; True if there are no texts.

    They are, if half of them or more name an existing file, or end as the names of pictures,
    sounds or stored arrays do.
    """
    plain = isinstance(things, Sequence | np.ndarray) or hasattr(things, "to_numpy")
    if not plain or isinstance(things, str | bytes) or hasattr(things, "columns"):
        return True
    if isinstance(things, np.ndarray) and things.dtype.kind not in "OUST":
        return True
    texts = [thing for thing in things if isinstance(thing, str)]
    if not texts or not all(isinstance(each, str) or _is_missing(each) for each in things):
        return True
    files = sum(_ending(text) in _KNOWN or os.path.isfile(text) for text in texts)  # noqa: PTH113
    return 2 * files >= len(texts)


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()  # noqa: PTH122 - there may be very many


def _is_text(content: bytes) -> bool:
    """Return whether bytes are only text, unlike any file of a picture or a sound."""
    try:
        return content[:1_000].decode("utf-8", "ignore").isprintable() and bool(content.decode())
    except UnicodeDecodeError:
        return False


def _is_missing(thing: Any) -> bool:
    # By their names, so that pandas is not imported for those who do not use it.
    return thing is None or type(thing).__name__ in ("float", "NAType", "NaTType")
