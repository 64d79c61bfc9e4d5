"""The native engine, with the shards of its training steps computed by a crew of workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from gridcnn.cluster.crew import Crew
from gridcnn.cluster.held import HeldCells
from gridcnn.cluster.holding import Chosen
from gridcnn.engines.kept import KeptCells, sent_form
from gridcnn.engines.native.call import Floats
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.engine import NativeEngine, Piece
from gridcnn.engines.native.plan import reads_indices
from gridcnn.engines.native.processor import VARIABLE
from gridcnn.engines.native.sharing import ShardSums, ShardTask, SharedChain
from gridcnn.errors import EngineError
from gridcnn.grid import Array, Cells, Held, fetch_cells
from gridcnn.network import Network

_ANSWERED = 512
"""Items that a worker answers at a time."""


class AnsweringEngine(NativeEngine):
    """The native engine, with grids that workers hold answered by them.

    Args:
        network: the network to compute.
        crew: the workers.
        own_threads: the most threads here; None: as many as this process may use.
    """

    def __init__(self, network: Network, crew: Crew, *, own_threads: int | None = None) -> None:
        super().__init__(network, threads=own_threads)
        self.crew = crew
        crew.compute_for(network)
        if crew.kind is not None:
            os.environ[VARIABLE] = crew.kind
            self._begin()

    def maps(self, parameters: Array, grids: Cells, *, after: int | None = None) -> Array:
        """Return the grids after an operation; the last ones of held grids by the workers."""
        if not isinstance(grids, HeldCells):
            return super().maps(parameters, fetch_cells(grids), after=after)
        if after is not None:
            return super().maps(parameters, grids.fetch(), after=after)
        out = np.empty((len(grids), *self.network.output.sizes), np.float32)
        vector = self._vector(parameters)
        together = _ANSWERED * max(1, len(self.crew.workers))
        for start in range(0, len(grids), together):
            stop = min(start + together, len(grids))
            parts = [grids[at : min(at + _ANSWERED, stop)] for at in range(start, stop, _ANSWERED)]
            answered = self.crew.answer(vector, [part.request() for part in parts])
            out[start:stop] = np.concatenate(answered).reshape(-1, *out.shape[1:])
        return out


class ClusterEngine(AnsweringEngine):
    """Gives the bits of the native engine, with any number of workers.

    The workers compute whole shards of each batch and add up those that they have, and here these
    sums become the gradient, along the same tree as in a single process. All else is done here:
    answers, losses and the optimizer's steps.

    Args:
        network: the network to compute.
        workers: how many processes compute shards.
        threads: the threads of each worker.
        own_threads: the most threads here; None: as many as this process may use.
        crew: the workers, if there are some already; then `workers` and `threads` are not used.

    Raises:
        EngineError: a stage of the network has no kernel, or no worker starts.
    """

    def __init__(
        self,
        network: Network,
        *,
        workers: int = 1,
        threads: int = 1,
        own_threads: int | None = None,
        crew: Crew | None = None,
    ) -> None:
        plain = NativeEngine(network)
        if not (plain._is_one_program and len(plain.pieces()) == 1):
            raise EngineError(
                "only networks whose stages all have kernels are trained by several workers; "
                "`gridcnn show SPEC --plan` says which have none. Train without --cluster"
            )
        super().__init__(network, crew or Crew(workers, threads), own_threads=own_threads)
        self._shared: dict[bool, SharedChain] = {}
        self.sent = 0
        """Bytes that have come back from workers so far."""

    def keep(self, cells: Cells, *, learns: bool) -> Cells:
        """Return the same grids, which the workers of each machine share, if there is room.

        A step then sends them numbers of items, and no grids.
        """
        array = sent_form(cells)
        if not learns or array is None or not 0 < array.nbytes <= self.crew.room:
            return cells
        return KeptCells(cells, self.crew.share(array))  # type: ignore[return-value]

    def _entering(self, piece: Piece, values: Cells) -> tuple[Chain, Array]:
        """Return the chain for a piece, and what enters it; held grids stay with the workers."""
        held: Any = values
        if not isinstance(held, Held):
            return super()._entering(piece, values)
        if held.one_hot and not reads_indices(self.network.ops[piece.start : piece.stop]):
            return super()._entering(piece, held.fetch())
        return self.chain(piece, one_hot=held.one_hot), held  # type: ignore[return-value]

    def _take_step(
        self, chain: Chain, vector: Floats, cells: Array, gradient: Floats, **options: Any
    ) -> Floats:
        """Let the workers compute the shards, and add them up here."""
        one_hot = chain.plan.one_hot
        shared = self._shared.setdefault(one_hot, SharedChain(chain))
        output = options.get("output")
        shards = shared.count_shards(len(cells))
        task = ShardTask(
            shards=range(shards),
            all_shards=shards,
            items=options["items"],
            cells=cells,
            targets=options.get("targets"),
            soft_targets=options.get("soft_targets"),
            wants_logits=output is not None,
            factors=_apart(options.get("factors"), _head_sizes(chain), len(cells)),
            stage_factors=_apart(options.get("stage_factors"), _stage_sizes(chain), len(cells)),
        )
        parts = shared.divide(len(cells), max(len(self.crew.workers), 1))
        tasks = [_with_request(task.part(*part)) for part in parts]

        def come() -> Iterator[tuple[slice, ShardSums]]:
            for number, found in self.crew.compute(vector, tasks, one_hot=one_hot):
                _, chosen = parts[number]
                self.sent += found.nbytes
                if output is not None:
                    output[chosen] = found.logits
                yield chosen, found

        count = len(cells)
        return shared.finish(vector, gradient, come(), count=count, items=options["items"])

    def dismiss(self) -> None:
        """End the workers."""
        self.crew.dismiss()


def _with_request(task: ShardTask) -> ShardTask:
    """Return a task with the request for its items, if workers have their grids."""
    if isinstance(task.cells, HeldCells):
        return task.with_cells(task.cells.request())
    if isinstance(task.cells, KeptCells):
        return task.with_cells(Chosen(task.cells.sent, task.cells.items))
    return task


def _head_sizes(chain: Chain) -> list[int]:
    head = chain.plan.head
    return [] if head is None else [values for values, _ in head.kernel.dropouts]


def _stage_sizes(chain: Chain) -> list[int]:
    return [step.kernel.factors for step in chain.plan.steps if step.kernel.factors]


def _apart(factors: Floats | None, sizes: list[int], items: int) -> tuple[Floats, ...]:
    """Return factors that lie behind each other, each as `(items, size)`."""
    if factors is None:
        return ()
    ends = np.cumsum([items * size for size in sizes])[:-1]
    pieces = np.split(factors, ends)
    return tuple(piece.reshape(items, size) for piece, size in zip(pieces, sizes, strict=True))
