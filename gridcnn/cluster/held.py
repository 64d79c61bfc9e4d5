"""Grids that the workers of a cluster hold, as the process that drives a run sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.holding import (
    BLOCK,
    Request,
    Store,
    Survey,
    as_cells,
    owners_of,
    put_together,
)
from gridcnn.contracts.adapter import Adapter, OneHotAdapter, Things
from gridcnn.errors import Problem
from gridcnn.grid import Array, Held, OneHot
from gridcnn.progress import Counter

_SURVEYED = 4 * BLOCK
"""Items that a worker reads at a time before training."""


class Workers(Protocol):
    """The workers that hold grids; see `Crew`."""

    @property
    def numbers(self) -> list[int]:
        """The numbers of the workers that there are."""

    def hold(self, adapter: Adapter) -> None:
        """Hold the grids that an adapter makes from now on."""

    def survey(
        self, pieces: Iterable[tuple[int, NDArray[np.int64], Request]]
    ) -> Iterator[tuple[NDArray[np.int64], Survey]]:
        """Let the owner of each request read its items; yield what it has found."""

    def give(self, requests: Sequence[Request], store: Store) -> list[Array]:
        """Return the grids of each request, from its owner."""

    def answer(self, parameters: Any, requests: Sequence[Request]) -> list[Any]:
        """Return the logits of the items of each request."""


class HeldData:
    """The items of a data set, whose grids the workers make and hold.

    Args:
        workers: None: grids are made here, each time that they are asked for.
        things: all things of the data; they may be made when they are asked for.
        names: what problems call each of them.
        adapter: fitted.
    """

    def __init__(
        self, workers: Workers | None, things: Things, names: Sequence[str], adapter: Adapter
    ) -> None:
        self.workers = workers
        self.things = things
        self.names = names
        self.adapter = adapter
        self.shape = adapter.shape()
        self.one_hot = isinstance(adapter, OneHotAdapter)
        self.odd: NDArray[np.bool_] | None = None
        """Which items have cells that are not finite, if all were looked at, bool `(items,)`."""
        self.digests: NDArray[np.uint8] | None = None
        """16 bytes for each item, if all were looked at, uint8 `(items, 16)`."""
        if workers is not None:
            workers.hold(adapter)

    @property
    def numbers(self) -> list[int]:
        """The numbers of the workers that there are; the only one is 0 if that is this process."""
        return (self.workers.numbers if self.workers is not None else []) or [0]

    def request(self, items: NDArray[np.int64]) -> Request:
        """Return what a worker needs to find or read some items."""
        chosen = items.tolist()
        return Request(
            items,
            [self.things[item] for item in chosen],
            [self.names[item] for item in chosen],
            owners_of(items, self.numbers),
        )

    def fetch(self, items: NDArray[np.int64]) -> Array | OneHot:
        """Return the grids of items, from their owners; without workers they are read here."""
        if not len(items):
            sizes = (0, self.shape.columns) if self.one_hot else (0, *self.shape.sizes)
            return as_cells(np.zeros(sizes, np.int32 if self.one_hot else np.float32), self.adapter)
        request = self.request(items)
        if self.workers is None or not self.workers.numbers:
            return as_cells(Store(self.adapter, 0).take(request), self.adapter)
        parts = []
        for owner in np.unique(request.owners).tolist():
            places = np.flatnonzero(request.owners == owner)
            parts.append((places, request.of(places)))
        given = self.workers.give([part for _, part in parts], Store(self.adapter, 0))
        pieces = [(places, piece) for (places, _), piece in zip(parts, given, strict=True)]
        return as_cells(put_together(len(items), pieces), self.adapter)

    def survey(
        self, items: NDArray[np.int64], counter: Counter
    ) -> tuple[NDArray[np.int64], tuple[Problem, ...]]:
        """Let each worker read its own items; return which can be read, and why others cannot.

        All bad items are known then before training, as without a cluster.
        """
        kept = np.zeros(len(items), np.bool_)
        problems: list[Problem] = []
        assert self.workers is not None
        if self.digests is None or self.odd is None:
            self.digests = np.zeros((len(self.things), 16), np.uint8)
            self.odd = np.zeros(len(self.things), np.bool_)

        def pieces() -> Iterator[tuple[int, NDArray[np.int64], Request]]:
            for start in range(0, len(items), _SURVEYED):
                request = self.request(items[start : start + _SURVEYED])
                for owner in np.unique(request.owners).tolist():
                    places = np.flatnonzero(request.owners == owner)
                    yield owner, start + places, request.of(places)

        for places, survey in self.workers.survey(pieces()):
            readable = items[places[survey.kept]]
            kept[places[survey.kept]] = True
            problems += survey.problems
            self.digests[readable] = survey.digests
            self.odd[readable] = survey.odd
            counter.add(len(places))
        return np.flatnonzero(kept), tuple(problems)


class HeldCells(Held):
    """The grids of some items of `HeldData`; they pass for an array of cells.

    Args:
        data: all items.
        items: the indices of these; an array, or what returns an array for an array of places.
    """

    def __init__(self, data: HeldData, items: Any) -> None:
        self.data = data
        self.items = items

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(items, channels, rows, columns)`."""
        return (len(self.items), *self.data.shape.sizes)

    @property
    def one_hot(self) -> bool:
        """Whether `fetch` returns one-hot grids."""
        return self.data.one_hot

    @property
    def digests(self) -> NDArray[np.uint8] | None:
        """16 bytes for each item, the same for equal grids; None if they are not known."""
        return None if self.data.digests is None else self.data.digests[self.items]

    @property
    def odd(self) -> int:
        """How many of the items are known to have cells that are not finite."""
        return 0 if self.data.odd is None else int(self.data.odd[self.items].sum())

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, chosen: Any) -> Any:
        """Return one item as an array, or some items, which stay with the workers."""
        if isinstance(chosen, int | np.integer):
            return np.asarray(self[[int(chosen)]])[0]
        if isinstance(chosen, slice):
            chosen = np.arange(*chosen.indices(len(self)))
        chosen = np.asarray(chosen)
        if chosen.dtype == np.bool_:
            chosen = np.flatnonzero(chosen)
        return HeldCells(self.data, np.asarray(self.items[chosen], np.int64))

    def fetch(self) -> Array | OneHot:
        """Return the grids themselves; this process has them then."""
        return self.data.fetch(np.asarray(self.items[np.arange(len(self))], np.int64))

    def request(self) -> Request:
        """Return what a worker needs to find or read them."""
        return self.data.request(np.asarray(self.items, np.int64))
