"""A crew of workers that compute the shards of training steps, and are replaced when they die."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from gridcnn.cluster.joining import need_ray
from gridcnn.cluster.worker import ShardWorker
from gridcnn.engines.native.call import Floats
from gridcnn.engines.native.processor import NATIVE, Processor, levels, processor
from gridcnn.engines.native.sharing import ShardSums, ShardTask
from gridcnn.errors import EngineError
from gridcnn.network import Network

START_SECONDS = 120.0
"""How long a worker may take to start, and how long a crew without workers waits for one."""


class Crew:
    """Workers for one network.

    A worker that dies is replaced, and what it had to do is done by another one; results are the
    same bits whoever computes them. If no other can be had, the work goes on with those that are
    left.

    Args:
        network: the network that they compute.
        workers: how many there are.
        threads: the threads of each.

    Raises:
        EngineError: no worker starts.
    """

    def __init__(self, network: Network, workers: int, threads: int) -> None:
        self._ray = need_ray()
        self._threads = threads
        self._network = self._ray.put(network)
        self._actor = self._ray.remote(ShardWorker)
        self.workers: list[Any] = []
        self._starting: list[tuple[Any, Any]] = []
        self.lost = 0
        """How many workers have died so far."""
        self._kind: str | None = None
        self._has_agreed = False
        for _ in range(workers):
            self._hire()
        self._await_first(workers)
        self._agree()

    def compute(
        self, parameters: Floats, tasks: Sequence[ShardTask], *, one_hot: bool
    ) -> list[ShardSums]:
        """Return what each task contributes, in their order.

        Raises:
            EngineError: all workers have died, and no other one starts.
        """
        ray = self._ray
        vector = ray.put(parameters)  # once for each step and machine
        waiting = deque(range(len(tasks)))
        found: dict[int, ShardSums] = {}
        running: dict[Any, tuple[int, Any]] = {}
        self._admit()
        idle = list(self.workers)
        while len(found) < len(tasks):
            while waiting and idle:
                number, worker = waiting.popleft(), idle.pop(0)
                ref = worker.compute.remote(vector, tasks[number], one_hot)
                running[ref] = number, worker
            if not running:
                idle = self._await_any()
                continue
            (ref,), _ = ray.wait(list(running), num_returns=1)
            number, worker = running.pop(ref)
            try:
                found[number] = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except ray.exceptions.RayError:
                waiting.appendleft(number)
                self._lose(worker)
            else:
                idle.append(worker)
            idle += self._admit()
        return [found[number] for number in range(len(tasks))]

    def dismiss(self) -> None:
        """End all workers."""
        for worker in [*self.workers, *(worker for worker, _ in self._starting)]:
            self._ray.kill(worker)
        self.workers, self._starting = [], []

    # Hiring

    def _hire(self) -> None:
        """Ask for one more worker; it joins when it has started."""
        worker = self._actor.options(num_cpus=self._threads).remote(self._network, self._threads)
        self._starting.append((worker, worker.kinds.remote()))

    def _lose(self, worker: Any) -> None:
        if worker in self.workers:
            self.workers.remove(worker)
            self.lost += 1
            self._hire()

    def _admit(self, *, timeout: float = 0) -> list[Any]:
        """Take in those that have started; return them."""
        if not self._starting:
            return []
        refs = [ref for _, ref in self._starting]
        ready, _ = self._ray.wait(refs, num_returns=1, timeout=timeout)
        admitted = []
        for worker, ref in [pair for pair in self._starting if pair[1] in ready]:
            self._starting.remove((worker, ref))
            try:
                own, lesser = self._ray.get(ref)
                if self._kind is not None:
                    self._ray.get(worker.begin.remote(self._kind))
            except self._ray.exceptions.RayError:
                self._hire()
                continue
            if self._has_agreed and self._kind is None and own != processor():
                self._ray.kill(worker)  # another kind of processor gives other bits
                continue
            worker.kind = (own, lesser)
            self.workers.append(worker)
            admitted.append(worker)
        return admitted

    def _await_any(self) -> list[Any]:
        """Return workers once there is one.

        Raises:
            EngineError: none starts.
        """
        end = time.monotonic() + START_SECONDS
        while not (admitted := self._admit(timeout=1)):
            if time.monotonic() > end:
                raise EngineError(
                    f"all workers have died ({self.lost} so far), and no new one started within "
                    f"{START_SECONDS:.0f} seconds; resume the run once the cluster works again"
                )
        return admitted

    def _await_first(self, workers: int) -> None:
        """Wait until all have started, or until some have and the time is over."""
        end = time.monotonic() + START_SECONDS
        while len(self.workers) < workers and time.monotonic() < end:
            self._admit(timeout=1)
        if not self.workers:
            raise EngineError(
                f"no worker of {self._threads} threads started within {START_SECONDS:.0f} seconds; "
                "the cluster may be in use: see `ray status`"
            )

    def _agree(self) -> None:
        """Let all compute for the same kind of processor: other kinds give other bits."""
        kinds: list[tuple[Processor, list[str]]] = [worker.kind for worker in self.workers]
        self._has_agreed = True
        self._kind = common_kind((processor(), levels()), kinds)
        if self._kind is not None:
            self._ray.get([worker.begin.remote(self._kind) for worker in self.workers])

    @property
    def kind(self) -> str | None:
        """The lesser processor that all compute for; None: their own, which are the same."""
        return self._kind


def common_kind(
    own: tuple[Processor, list[str]], others: Sequence[tuple[Processor, list[str]]]
) -> str | None:
    """Return the best processor that all can be taken for; None if all are the same.

    Raises:
        EngineError: there is none, as between x86 and ARM.
    """
    if all(each == own[0] for each, _ in others):
        return None
    for kind in reversed(own[1]):
        if kind != NATIVE and all(kind in lesser for _, lesser in others):
            return kind
    raise EngineError(
        "the machines of the cluster have different kinds of processors, which give different "
        "results: " + ", ".join(sorted({own[0].name, *(each.name for each, _ in others)}))
    )
