"""Items become grids on several threads, if that is faster; the grids are bit-identical."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapted, Adapter, Things, describe, pick, unreadable
from gridcnn.cores import usable_cores
from gridcnn.errors import Problem
from gridcnn.grid import Array, Grids, OneHot
from gridcnn.room import startable_threads

if TYPE_CHECKING:
    from concurrent.futures import Future

Group = TypeVar("Group")
Result = TypeVar("Result")
Chunk = tuple[int, Adapted]
"""The number of items, and their grids."""

SLOW = 0.00004
"""Seconds for a thing: from here on, two threads are faster than one.

Python lets one thread at a time prepare what libraries then do side by side. Of things that are
quick, that is too large a part."""
_TRIED = 4  # things, by which it is known how long others take; the first one loads libraries
_WORTH = 0.004  # seconds: threads have to be started
_TURN = 0.02  # seconds that a group of things takes, about
_TURNS = 4  # groups for each thread, at least, so that none waits long for the last one


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
    if workers == 1 or count <= _TRIED:
        return adapter.adapt_all(things, names=names)
    found = collect(_chunks(adapter, things, names, workers), count)
    return adapter.adapt_all(things, names=names) if found is None else found


def grids_of(adapter: Adapter, things: Things, *, threads: int | None = None) -> Grids:
    """Return all things as grids; raise `DataError` that names what is bad."""
    found = adapted(adapter, things, threads=threads)
    if found.problems:
        raise unreadable(found.problems)
    return found.grids


def _chunks(
    adapter: Adapter, things: Things, names: Sequence[str] | None, workers: int
) -> Iterator[Chunk]:
    def work(group: range) -> Chunk:
        chosen = pick(things, np.array(group, np.int64))
        called = [
            names[index] if names is not None else describe(things[index], index) for index in group
        ]
        return len(group), adapter.adapt_all(chosen, names=called)

    yield work(range(1))
    start = time.perf_counter()
    yield work(range(1, _TRIED))
    seconds = (time.perf_counter() - start) / (_TRIED - 1)
    rest = len(things) - _TRIED
    if seconds < SLOW or seconds * rest < _WORTH:
        yield work(range(_TRIED, len(things)))
        return
    step = max(1, min(int(_TURN / seconds), -(-rest // (_TURNS * workers))))
    starts = range(_TRIED, len(things), step)
    groups = (range(at, min(at + step, len(things))) for at in starts)
    yield from side_by_side(work, groups, workers)


def side_by_side(
    work: Callable[[Group], Result], groups: Iterator[Group], threads: int
) -> Iterator[Result]:
    """Yield the result of each group, in order, with up to so many threads at work."""
    threads = startable_threads(threads) if threads > 1 else 1
    if threads <= 1:
        yield from map(work, groups)
        return
    from concurrent.futures import ThreadPoolExecutor  # most things are answered without

    pool = ThreadPoolExecutor(threads)
    try:
        waiting: deque[Future[Result]] = deque()
        for group in groups:
            waiting.append(pool.submit(work, group))
            # A few groups ahead, so that no thread waits and memory is bounded.
            if len(waiting) > threads + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


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
