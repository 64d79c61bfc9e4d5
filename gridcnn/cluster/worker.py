"""What a worker does: it computes shards of training steps, in a process of its own."""

from __future__ import annotations

import os
from typing import Any

from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.processor import VARIABLE, Processor, levels, processor
from gridcnn.engines.native.sharing import ShardSums, ShardTask, SharedChain
from gridcnn.network import Network


class ShardWorker:
    """Computes shards for one network; Ray makes an actor of it."""

    def __init__(self, network: Network, threads: int) -> None:
        self._network = network
        self._threads = threads
        self._chains: dict[bool, SharedChain] = {}

    def kinds(self) -> tuple[Processor, list[str]]:
        """Return this machine's processor, and the lesser ones that it can be taken for."""
        return processor(), levels()

    def process(self) -> int:
        """Return the number of this process."""
        return os.getpid()

    def begin(self, kind: str) -> None:
        """Compute for a lesser processor from now on."""
        os.environ[VARIABLE] = kind
        self._chains = {}

    def compute(self, parameters: Any, task: ShardTask, one_hot: bool) -> ShardSums:
        """Return what some shards contribute to a step."""
        if one_hot not in self._chains:
            engine = NativeEngine(self._network, threads=self._threads)
            (piece,) = engine.pieces()
            self._chains[one_hot] = SharedChain(engine.chain(piece, one_hot=one_hot))
        return self._chains[one_hot].compute(parameters, task)
