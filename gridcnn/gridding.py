"""Items become grids by several threads or processes; the grids are bit-identical."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import (
    Adapted,
    Adapter,
    Things,
    can_be_forked,
    describe,
    pick,
    unreadable,
)
from gridcnn.cores import usable_cores
from gridcnn.errors import Problem
from gridcnn.grid import Array, Grids, OneHot
from gridcnn.spreading import spread

Chunk = tuple[int, Adapted]
"""The number of items, and their grids."""

_FEW = 4  # items that one thread reads before others are started
_HEAVY = 2**16
"""Bytes of a file or an array from which on it is likely to take long to read."""


def adapted(
    adapter: Adapter,
    things: Things,
    *,
    names: Sequence[str] | None = None,
    threads: int | None = None,
) -> Adapted:
    """Return what `adapter.adapt_all` returns.

    Args:
        adapter: a fitted adapter.
        things: what it takes.
        names: what problems call the things.
        threads: the most threads to work with; None: as many as this process may use.
    """
    count = len(things)
    workers = (threads or usable_cores()) if adapter.threads else 1
    if workers == 1 or count <= _FEW:
        return adapter.adapt_all(things, names=names)

    def work(group: range) -> Chunk:
        chosen = pick(things, np.array(group, np.int64))
        return len(group), adapter.adapt_all(chosen, names=_Names(things, names, group))

    processes = adapter.processes and can_be_forked(things)
    chunks = spread(work, count, workers, heavy=is_heavy(things[0]), processes=processes)
    grids = collect(chunks, count)
    return adapter.adapt_all(things, names=names) if grids is None else grids


def grids_of(adapter: Adapter, things: Things, *, threads: int | None = None) -> Grids:
    """Return all things as grids; raise `DataError` that names what is bad."""
    result = adapted(adapter, things, threads=threads)
    if result.problems:
        raise unreadable(result.problems)
    return result.grids


class _Names(Sequence[str]):
    """The names of the items of a group, made when a problem needs one."""

    def __init__(self, things: Things, names: Sequence[str] | None, group: range) -> None:
        self._things, self._names, self._group = things, names, group

    def __len__(self) -> int:
        return len(self._group)

    def __getitem__(self, place: Any) -> Any:
        index = self._group[place]
        return describe(self._things[index], index) if self._names is None else self._names[index]


def is_heavy(thing: Any) -> bool:
    """Return whether an item is large, by its size in bytes."""
    if isinstance(thing, str | os.PathLike):
        try:
            return os.stat(thing).st_size >= _HEAVY  # noqa: PTH116 - a Path would have to be made
        except (OSError, ValueError):
            return False
    size = len(thing) if isinstance(thing, bytes) else getattr(thing, "nbytes", 0)
    return isinstance(size, int) and size >= _HEAVY


def collect(chunks: Iterator[Chunk], count: int) -> Adapted | None:
    """Return chunks of at least one item as one array; None if only some are one-hot.

    `count` is how many things there are in all chunks.
    """
    values: Array | None = None
    shape, rows = None, 0
    kept: list[NDArray[np.int64]] = []
    problems: list[Problem] = []
    done = length = 0
    for things, found in chunks:
        grids = found.grids.values
        stored = stored_of(grids)
        if values is None:
            shape, rows = found.grids.shape, rows_of(grids)
            values = np.empty((count, *stored.shape[1:]), stored.dtype)
        elif rows != rows_of(grids):
            return None
        values[length : length + len(stored)] = stored
        length += len(stored)
        kept.append(done + found.kept)
        problems.extend(found.problems)
        done += things
    assert values is not None
    assert shape is not None
    cells = OneHot(values[:length], rows) if rows else values[:length]
    return Adapted(Grids(cells, shape), np.concatenate(kept), tuple(problems))


def rows_of(grids: NDArray[np.float32] | OneHot) -> int:
    """Return how many rows one-hot grids have; 0 for others."""
    return grids.rows if isinstance(grids, OneHot) else 0


def stored_of(grids: NDArray[np.float32] | OneHot) -> Array:
    """Return the array to keep for grids: their cells, or the indices of one-hot grids."""
    return grids.indices if isinstance(grids, OneHot) else grids
