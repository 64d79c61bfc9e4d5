"""What a worker does: it holds grids, and computes shards of training steps, in its own process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.holding import Chosen, Request, Store, Survey, as_cells
from gridcnn.cluster.joining import need_ray
from gridcnn.contracts.adapter import Adapter
from gridcnn.cores import usable_memory
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.processor import VARIABLE, Processor, levels, processor
from gridcnn.engines.native.sharing import ShardSums, ShardTask, SharedChain
from gridcnn.grid import Array
from gridcnn.network import Network

_PART_OF_MEMORY = 2
"""Workers hold grids in this part of their share of the memory that is usable."""
_UNKNOWN_MEMORY = 2**30


class ShardWorker:
    """Holds grids, and computes shards for one network; Ray makes an actor of it.

    Args:
        number: its own; no other worker of the crew has or had it.
        threads: with how many it computes.
    """

    def __init__(self, number: int, threads: int) -> None:
        self._number = number
        self._threads = threads
        self._network: Network | None = None
        self._engine: NativeEngine | None = None
        self._chains: dict[bool, SharedChain] = {}
        self._store: Store | None = None
        self._shared: tuple[Any, Array] | None = None

    def kinds(self) -> tuple[Processor, list[str]]:
        """Return this machine's processor, and the lesser ones that it can be taken for."""
        return processor(), levels()

    def process(self) -> int:
        """Return the number of this process."""
        return os.getpid()

    def begin(self, kind: str | None, network: Network | None, adapter: Adapter | None) -> None:
        """Compute this network, and hold what this adapter makes, from now on.

        Args:
            kind: the lesser processor to compute for; None: its own.
            network: None if there is none yet.
            adapter: the same.
        """
        if kind is not None:
            os.environ[VARIABLE] = kind
        self._network, self._engine, self._chains = network, None, {}
        self._shared = None
        if adapter is not None and (self._store is None or self._store.adapter != adapter):
            self._store = Store(adapter, _limit(self._threads))

    # Grids

    def survey(self, request: Request) -> Survey:
        """Read items, hold their grids, and say which can be read."""
        assert self._store is not None
        return self._store.survey(request)

    def give(self, request: Request) -> Array:
        """Return the grids of items, for another worker or the driver."""
        assert self._store is not None
        return self._store.take(request)

    def holds(self) -> tuple[int, int]:
        """Return how many grids it holds, and their bytes."""
        assert self._store is not None
        return self._store.count, self._store.size

    # Arithmetic

    def compute(self, parameters: Any, task: ShardTask, one_hot: bool, peers: Any) -> ShardSums:
        """Return what some shards contribute to a step."""
        if one_hot not in self._chains:
            (piece,) = self._native.pieces()
            self._chains[one_hot] = SharedChain(self._native.chain(piece, one_hot=one_hot))
        if isinstance(task.cells, Request):
            task = task.with_cells(self._gather(task.cells, peers))
        elif isinstance(task.cells, Chosen):
            task = task.with_cells(self._look_up(task.cells.grids)[task.cells.items])
        return self._chains[one_hot].compute(parameters, task)

    def answer(self, parameters: Any, request: Request, peers: Any) -> NDArray[np.float32]:
        """Return the logits of items, `(items, classes)`."""
        assert self._store is not None
        cells = as_cells(self._gather(request, peers), self._store.adapter)
        logits: NDArray[np.float32] = self._native.logits(parameters, cells)
        return logits

    @property
    def _native(self) -> NativeEngine:
        if self._engine is None:
            assert self._network is not None
            self._engine = NativeEngine(self._network, threads=self._threads)
        return self._engine

    def _look_up(self, grids: Any) -> Array:
        """Return grids that the processes of this machine share; they are not copied."""
        if self._shared is None or self._shared[0] != grids:
            self._shared = None  # before there are others
            self._shared = grids, need_ray().get(grids)
        return self._shared[1]

    def _gather(self, request: Request, peers: Mapping[int, Any]) -> Array:
        assert self._store is not None
        return self._store.gather(request, self._number, peers, need_ray())


def _limit(threads: int) -> int:
    """Return the most bytes of grids that a worker holds: other workers may be beside it."""
    memory = usable_memory() or _UNKNOWN_MEMORY
    beside = max(1, (os.cpu_count() or 1) // threads)
    return memory // _PART_OF_MEMORY // beside
