"""What a worker of the torch engine does: it adds up gradients with the other workers.

PyTorch is imported with the first network, since the process that drives a run reads this module
to make workers, and a machine without PyTorch is to be named in one line.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridcnn.cluster.joining import need_ray
from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.errors import EngineError
from gridcnn.grid import Array, Cells
from gridcnn.network import Network


class LostPeerError(Exception):
    """Another worker did not take part in a sum, mostly because it has died."""


@dataclass(frozen=True)
class TorchTask:
    """A worker's part of a batch: items that are beside each other.

    Attributes:
        first: how many items of the batch are before them.
        pieces: how many items are computed at a time, in their order; none if there are none.
        cells, targets, weights: the items, as for `Engine.step`.
        chances: the generator of each operation for the batch, where the batch begins.
    """

    first: int
    pieces: tuple[int, ...]
    cells: Cells
    targets: Targets | SoftTargets
    weights: Array | None
    chances: Sequence[np.random.Generator | None]


class TorchWorker:
    """Computes gradients with PyTorch, and adds them up with other workers.

    Ray makes an actor of it. The workers of a group call each other through `torch.distributed`:
    with NCCL between graphics cards, with Gloo between processors.
    """

    def __init__(self) -> None:
        self._engine: Any = None
        self._store: Any = None

    def begin(self, network: Network, threads: int, device: str, precision: str) -> None:
        """Compute this network from now on.

        Raises:
            EngineError: PyTorch is not installed here, or has no such device.
        """
        try:
            from gridcnn.engines.torch.engine import TorchEngine
        except ImportError as error:
            raise EngineError(
                f"a worker on {need_ray().util.get_node_ip_address()} cannot load PyTorch "
                f"({error}); on every machine: python -m pip install 'gridcnn[cluster,torch]'"
            ) from None
        self._engine = TorchEngine(network, threads=threads, device=device, precision=precision)

    def process(self) -> int:
        """Return the number of this process."""
        return os.getpid()

    def listen(self, workers: int) -> tuple[str, int]:
        """Open the place where the workers of a group meet; return its address and port."""
        import torch.distributed

        host = need_ray().util.get_node_ip_address()
        # Port 0 is one that is free; to look for one first would be a race.
        self._store = torch.distributed.TCPStore(
            host, 0, workers, is_master=True, wait_for_workers=False
        )
        return host, int(self._store.port)

    def meet(self, rank: int, workers: int, place: tuple[str, int]) -> None:
        """Become one of a group of workers; returns once all of them are there.

        Raises:
            LostPeerError: they do not come, or one of them leaves.
        """
        import torch.distributed

        backend = "nccl" if self._engine.device.startswith("cuda") else "gloo"
        try:
            if rank:
                self._store = torch.distributed.TCPStore(*place, workers, is_master=False)
            torch.distributed.init_process_group(
                backend, store=self._store, rank=rank, world_size=workers
            )
        except RuntimeError as error:
            raise LostPeerError(str(error)) from None

    def compute(self, parameters: Array, task: TorchTask) -> tuple[Array | None, Array]:
        """Return the sum of all workers' gradients, if this is the first one, and own logits.

        Raises:
            LostPeerError: the sum failed.
        """
        import torch.distributed

        total, logits = self.sum_up(parameters, task)
        try:
            torch.distributed.reduce(total, dst=0)
            # Between graphics cards, a sum that fails does so when its result is asked for.
            gradient = total.cpu().numpy()
        except RuntimeError as error:
            raise LostPeerError(str(error)) from None
        return (gradient if torch.distributed.get_rank() == 0 else None), logits

    def sum_up(self, parameters: Array, task: TorchTask) -> tuple[Any, Array]:
        """Return the sum of the gradients of a task's items, on the device, and their logits."""
        import torch

        from gridcnn.engines.torch.stages import skip_draws

        engine = self._engine
        for op, random in zip(engine.network.ops, task.chances, strict=True):
            if random is not None:
                skip_draws(op, task.first, random)
        total = torch.zeros(len(parameters), device=engine.device)
        logits, start = [np.zeros((0, engine.network.output.cells), np.float32)], 0
        for items in task.pieces:
            part = slice(start, start + items)
            weights = None if task.weights is None else task.weights[part]
            found = (task.cells[part], task.targets[part], weights, task.chances)
            gradient, rounds = engine.sum_up(parameters, *found)
            total += gradient
            logits += [each.cpu().numpy() for each in rounds]
            start += items
        return total, np.concatenate(logits)
