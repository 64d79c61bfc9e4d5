"""The grids that a worker holds: it reads and adapts its own items, and gives them to others.

Items are owned in blocks of `BLOCK` that stand together in the data. Who owns a block follows from
its number and from the workers that there are, so that nobody keeps a list of it, and a worker that
dies changes the owner of its own blocks alone.

    driver        which items a part of a step has, and how each is read: a path, a text
    worker        its own items from memory, or read and adapted; the others from their owners
    owner         gives what it holds, or reads it; if it is gone, the worker reads it itself
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapter, OneHotAdapter, unreadable
from gridcnn.errors import Problem
from gridcnn.grid import Array, OneHot

BLOCK = 256
"""Items of a block: few enough to spread a small set, and files of one folder mostly stay
together."""
_STEP = np.uint64(0x9E3779B97F4A7C15)
GIVING = "giving"
"""The threads of a worker that give grids to others, also while it computes."""


@dataclass(frozen=True)
class Request:
    """Items that are wanted, with all that is needed to read them.

    Attributes:
        items: their indices in the data, int64 `(items,)`.
        things: what the adapter takes.
        names: what problems call them.
        owners: the number of the worker that owns each, int64 `(items,)`.
    """

    items: NDArray[np.int64]
    things: Sequence[Any]
    names: Sequence[str]
    owners: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.items)

    def of(self, places: NDArray[np.int64]) -> Request:
        """Return the items at some places of the request."""
        chosen = places.tolist()
        return Request(
            self.items[places],
            [self.things[place] for place in chosen],
            [self.names[place] for place in chosen],
            self.owners[places],
        )


@dataclass(frozen=True)
class Chosen:
    """Items of grids that are in the memory that all processes of a machine share.

    Attributes:
        grids: the reference to all grids; the indices of one-hot ones.
        items: which of them, int64 `(items,)`.
    """

    grids: Any
    items: NDArray[np.int64]


@dataclass(frozen=True)
class Survey:
    """What is known of items once their owner has read them.

    Attributes:
        kept: the places of those that can be read.
        problems: why the others cannot be.
        digests: 16 bytes for each that can be read, the same for equal grids, uint8 `(kept, 16)`.
        odd: which of them have cells that are not finite, bool `(kept,)`.
    """

    kept: NDArray[np.int64]
    problems: tuple[Problem, ...]
    digests: NDArray[np.uint8]
    odd: NDArray[np.bool_]


def owners_of(items: NDArray[np.int64], workers: Sequence[int]) -> NDArray[np.int64]:
    """Return which of the numbered workers owns each item: the one that its block draws highest.

    If a worker goes, only its own blocks get another owner (rendezvous hashing: Thaler and
    Ravishankar, 1998).
    """
    numbers = np.array(sorted(workers), np.uint64)
    blocks, place = np.unique(items // BLOCK, return_inverse=True)
    drawn = _mix(blocks.astype(np.uint64)[:, None] * _STEP + _mix(numbers + np.uint64(1))[None])
    owners: NDArray[np.int64] = numbers[drawn.argmax(axis=1)].astype(np.int64)
    return owners[place.reshape(-1)]


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return whole numbers whose bits look random (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed


def digests_of_cells(cells: Array) -> NDArray[np.uint8]:
    """Return 16 bytes for each item, uint8 `(items, 16)`; equal grids have the same."""
    # Adding 0 makes -0 a 0.
    digests = b"".join(
        hashlib.blake2b((item + 0).tobytes(), digest_size=16).digest() for item in cells
    )
    return np.frombuffer(digests, np.uint8).reshape(len(cells), 16)


class Store:
    """Grids in the memory of a worker, by the indices of their items.

    Args:
        adapter: fitted; what makes them.
        limit: the most bytes. What is beyond is read again each time it is wanted.
    """

    def __init__(self, adapter: Adapter, limit: int) -> None:
        self.adapter = adapter
        self._limit = limit
        self._rows = adapter.shape().rows if isinstance(adapter, OneHotAdapter) else None
        self._held: dict[int, Array] = {}
        self.size = 0
        """Bytes of all grids that are held."""

    @property
    def count(self) -> int:
        """How many grids are held."""
        return len(self._held)

    def survey(self, request: Request) -> Survey:
        """Read items of its own, hold their grids, and say which can be read."""
        adapted = self.adapter.adapt_all(request.things, names=request.names)
        cells = self.plain(adapted.grids.values)
        self._hold(request.items[adapted.kept], cells)
        finite = np.isfinite(cells).all(axis=tuple(range(1, cells.ndim)))
        odd: NDArray[np.bool_] = np.asarray(finite) == 0
        return Survey(adapted.kept, adapted.problems, digests_of_cells(cells), odd)

    def take(self, request: Request, *, hold: bool = True) -> Array:
        """Return the grids of items, as indices if they are one-hot; read those that it lacks.

        Raises:
            DataError: one cannot be read.
        """
        lacking = [
            place for place, item in enumerate(request.items.tolist()) if item not in self._held
        ]
        if len(lacking) < len(request):
            shape = next(iter(self._held.values())).shape
        read = None
        if lacking:
            wanted = request.of(np.array(lacking, np.int64))
            adapted = self.adapter.adapt_all(wanted.things, names=wanted.names)
            if adapted.problems:
                raise unreadable(adapted.problems)
            read = self.plain(adapted.grids.values)
            shape = read.shape[1:]
            if len(lacking) == len(request):
                if hold:
                    self._hold(request.items, read)
                return read
        cells = np.empty((len(request), *shape), np.float32 if self._rows is None else np.int32)
        for place, item in enumerate(request.items.tolist()):
            if item in self._held:
                cells[place] = self._held[item]
        if read is not None:
            cells[lacking] = read
            if hold:
                self._hold(request.items[lacking], read)
        return cells

    def gather(self, request: Request, own: int, peers: Mapping[int, Any], ray: Any) -> Array:
        """Return the grids of items: its own, and those of others from their owners.

        Args:
            request: the items.
            own: the number of this worker.
            peers: all workers, by their numbers.
            ray: the module.
        """
        asked: list[tuple[NDArray[np.int64], Request, Any]] = []
        mine = [np.zeros(0, np.int64)]
        for owner in np.unique(request.owners).tolist():
            places = np.flatnonzero(request.owners == owner)
            if owner == own or owner not in peers:
                mine.append(places)
                continue
            part = request.of(places)
            ask = peers[owner].give.options(concurrency_group=GIVING)
            asked.append((places, part, ask.remote(part)))
        places = np.concatenate(mine)
        pieces = [(places, self.take(request.of(places)))] if len(places) else []
        for places, part, ref in asked:
            try:
                pieces.append((places, ray.get(ref)))
            except ray.exceptions.RayTaskError as error:
                if not isinstance(error.cause, ray.exceptions.RayError):
                    raise error.as_instanceof_cause() from None
                pieces.append((places, self.take(part, hold=False)))
            except ray.exceptions.RayError:  # the owner is gone
                pieces.append((places, self.take(part, hold=False)))
        return put_together(len(request), pieces)

    def plain(self, cells: Any) -> Array:
        """Return grids as they are held: the indices of one-hot ones."""
        if self._rows is not None:
            one_hot: Array = cells.indices
            return one_hot
        return np.ascontiguousarray(cells, np.float32)

    def _hold(self, items: NDArray[np.int64], cells: Array) -> None:
        each = cells[0].nbytes if len(cells) else 0
        room = len(cells) if not each else max(0, (self._limit - self.size) // each)
        # A copy: what a part of is held would otherwise be held as a whole.
        kept = cells[:room].copy()
        for item, grid in zip(items.tolist(), kept, strict=False):
            if item not in self._held:
                self._held[item] = grid
                self.size += each


def put_together(items: int, pieces: Sequence[tuple[NDArray[np.int64], Array]]) -> Array:
    """Return the grids of all items, of which each piece has those at some places."""
    if len(pieces) == 1 and (pieces[0][0] == np.arange(items)).all():
        return pieces[0][1]
    first = pieces[0][1]
    cells = np.empty((items, *first.shape[1:]), first.dtype)
    for places, piece in pieces:
        cells[places] = piece
    return cells


def as_cells(held: Array, adapter: Adapter) -> Array | OneHot:
    """Return grids as an engine takes them, from what is held of them."""
    return OneHot(held, adapter.shape().rows) if isinstance(adapter, OneHotAdapter) else held
