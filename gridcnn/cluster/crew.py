"""A crew of workers that compute the shards of training steps, and are replaced when they die."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.holding import GIVING, Request, Store, Survey
from gridcnn.cluster.joining import need_ray
from gridcnn.cluster.worker import ShardWorker
from gridcnn.contracts.adapter import Adapter
from gridcnn.engines.native.call import Floats
from gridcnn.engines.native.processor import NATIVE, Processor, levels, processor
from gridcnn.engines.native.sharing import ShardSums, ShardTask
from gridcnn.errors import EngineError
from gridcnn.grid import Array
from gridcnn.network import Network

START_SECONDS = 120.0
"""How long a worker may take to start, and how long a crew without workers waits for one."""


_AHEAD = 2
"""Requests that each worker has before training, so that none waits for the next one."""
_STORE = "object_store_memory"
"""What Ray calls the bytes of the memory that the processes of a machine share."""
_FAILURES = 20
"""How many workers may die as they start, one after the other, before no more are asked for."""


class Crew:
    """Workers for one run: they hold grids, and compute shards of one network.

    A worker that dies is replaced, and what it had to do is done by another one; results are the
    same bits whoever computes them. If no other can be had, the work goes on with those that are
    left.

    Args:
        workers: how many there are.
        threads: the threads of each.

    Raises:
        EngineError: no worker starts.
    """

    def __init__(self, workers: int, threads: int) -> None:
        self._ray = need_ray()
        self._threads = threads
        self._network = self._adapter = self._ray.put(None)
        self._actor = self._ray.remote(concurrency_groups={GIVING: 1})(ShardWorker)
        self.workers: list[Any] = []
        self._starting: list[tuple[Any, Any]] = []
        self._hired = 0
        self._failed = 0
        self.lost = 0
        """How many workers have died so far."""
        self._kind: str | None = None
        self._has_agreed = False
        self._peers: tuple[list[int], Any] = ([], None)
        for _ in range(workers):
            self._hire()
        self._await_first(workers)
        self._agree()

    def compute_for(self, network: Network) -> None:
        """Compute another network from now on."""
        self._network = self._ray.put(network)
        self._begin()

    def hold(self, adapter: Adapter) -> None:
        """Hold the grids that an adapter makes from now on."""
        self._adapter = self._ray.put(adapter)
        self._begin()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the workers that there are."""
        return [worker.number for worker in self.workers]

    def compute(
        self, parameters: Floats, tasks: Sequence[ShardTask], *, one_hot: bool
    ) -> Iterator[tuple[int, ShardSums]]:
        """Yield the number of each task and what it contributes, as soon as it is known.

        The cells of a task may be a `Request`; workers gather them then.

        Raises:
            EngineError: all workers have died, and no other one starts.
        """
        vector = self._ray.put(parameters)  # once for each step and machine

        def ask(worker: Any, task: ShardTask) -> Any:
            return worker.compute.remote(vector, task, one_hot, self._find_peers(task.cells))

        return self._spread(ask, tasks)

    @property
    def room(self) -> int:
        """How many bytes of grids may be shared: half of the least that a machine has for it."""
        stores = [node["Resources"].get(_STORE, 0) for node in self._ray.nodes() if node["Alive"]]
        return int(min(stores, default=0)) // 2

    def share(self, array: Array) -> Any:
        """Return a reference to an array that all processes of a machine share from now on."""
        return self._ray.put(array)

    def answer(self, parameters: Floats, requests: Sequence[Request]) -> list[Floats]:
        """Return the logits of the items of each request, in their order.

        Raises:
            EngineError: as for `compute`.
        """
        vector = self._ray.put(parameters)

        def ask(worker: Any, request: Request) -> Any:
            return worker.answer.remote(vector, request, self._find_peers(request))

        found = dict(self._spread(ask, requests))
        return [found[number] for number in range(len(requests))]

    def survey(
        self, pieces: Iterable[tuple[int, NDArray[np.int64], Request]]
    ) -> Iterator[tuple[NDArray[np.int64], Survey]]:
        """Let the owner of each request read its items; yield what it has found, in their order.

        Each piece is the number of the owner, the places of the items, which come back, and the
        request. A few pieces for each worker are on their way at a time.

        Raises:
            EngineError: as for `compute`.
        """
        waiting: deque[tuple[Any, NDArray[np.int64], Request]] = deque()
        for owner, places, request in pieces:
            waiting.append((self._ask_survey(owner, request), places, request))
            if len(waiting) >= _AHEAD * len(self.workers):
                yield self._await_survey(*waiting.popleft())
        while waiting:
            yield self._await_survey(*waiting.popleft())

    def _ask_survey(self, owner: int, request: Request) -> Any:
        by_number = {worker.number: worker for worker in self.workers}
        worker = by_number.get(owner) or next(iter(by_number.values()))
        return worker, worker.survey.remote(request)

    def _await_survey(
        self, asked: tuple[Any, Any], places: NDArray[np.int64], request: Request
    ) -> tuple[NDArray[np.int64], Survey]:
        while True:
            worker, ref = asked
            try:
                return places, self._ray.get(ref)
            except self._ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except self._ray.exceptions.RayError:
                self._lose(worker)
                self._admit()
                if not self.workers:
                    self._await_any()
                asked = self._ask_survey(-1, request)

    def give(self, requests: Sequence[Request], store: Store) -> list[Array]:
        """Return the grids of each request, from its owner; what that cannot give is read here."""
        by_number = {worker.number: worker for worker in self.workers}
        refs = [
            by_number[int(request.owners[0])].give.options(concurrency_group=GIVING).remote(request)
            for request in requests
        ]
        given = []
        for ref, request in zip(refs, requests, strict=True):
            try:
                given.append(self._ray.get(ref))
            except self._ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except self._ray.exceptions.RayError:
                given.append(store.take(request))
        return given

    def _find_peers(self, cells: Any) -> Any:
        """Return a reference to all workers by their numbers, if cells are gathered from them."""
        if not isinstance(cells, Request):
            return None
        if self._peers[0] != self.numbers:
            peers = {worker.number: worker for worker in self.workers}
            self._peers = (self.numbers, self._ray.put(peers))
        return self._peers[1]

    def _spread(
        self, ask: Callable[[Any, Any], Any], tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Yield the number and the result of each task, in any order, whoever does it."""
        ray = self._ray
        waiting = deque(range(len(tasks)))
        running: dict[Any, tuple[int, Any]] = {}
        self._admit()
        idle = list(self.workers)
        while waiting or running:
            while waiting and idle:
                number, worker = waiting.popleft(), idle.pop(0)
                running[ask(worker, tasks[number])] = number, worker
            if not running:
                idle = self._await_any()
                continue
            (ref,), _ = ray.wait(list(running), num_returns=1)
            number, worker = running.pop(ref)
            try:
                found = ray.get(ref)
            except ray.exceptions.RayTaskError as error:
                raise error.as_instanceof_cause() from None
            except ray.exceptions.RayError:
                waiting.appendleft(number)
                self._lose(worker)
            else:
                idle.append(worker)
                yield number, found
            idle += self._admit()

    def dismiss(self) -> None:
        """End all workers."""
        for worker in [*self.workers, *(worker for worker, _ in self._starting)]:
            self._ray.kill(worker)
        self.workers, self._starting = [], []

    # Hiring

    def _hire(self) -> None:
        """Ask for one more worker; it joins when it has started."""
        number, self._hired = self._hired, self._hired + 1
        worker = self._actor.options(num_cpus=self._threads).remote(number, self._threads)
        worker.number = number
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
                if self._has_agreed:
                    self._ray.get(worker.begin.remote(self._kind, self._network, self._adapter))
            except self._ray.exceptions.RayError:
                self._failed += 1
                if self._failed < _FAILURES:
                    self._hire()
                continue
            self._failed = 0
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
            if time.monotonic() > end or not self._starting:
                raise EngineError(
                    f"all workers have died ({self.lost} so far), and no new one started within "
                    f"{START_SECONDS:.0f} seconds; resume the run once the cluster works again"
                )
        return admitted

    def _await_first(self, workers: int) -> None:
        """Wait until all have started, or until some have and the time is over."""
        end = time.monotonic() + START_SECONDS
        while len(self.workers) < workers and time.monotonic() < end and self._starting:
            self._admit(timeout=1)
        if not self.workers and not self._starting:
            raise EngineError(
                f"workers die as they start ({self._failed} so far); the cluster's own logs, in "
                "/tmp/ray/session_latest/logs, say why"
            )
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
        self._begin()

    def _begin(self) -> None:
        """Tell all workers what they compute and hold."""
        for worker, ref in [
            (worker, worker.begin.remote(self._kind, self._network, self._adapter))
            for worker in self.workers
        ]:
            try:
                self._ray.get(ref)
            except self._ray.exceptions.RayError:
                self._lose(worker)

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
