"""The torch engine, with the gradients of its training steps added up by a group of workers.

    this process   parameters, items ->                             -> gradient, logits
    each worker                 forward, backward of its part -> sum
    torch.distributed                                      over all workers

Ray starts the workers, keeps cores and graphics cards for them, and says if one dies. The loop,
the optimizer and the checkpoints stay here, as without a cluster: a step needs nothing but the
parameters and the batch, so that one that has failed is made again. Ray Train would have to own the
loop, and would go back to a checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gridcnn.cluster.crew import START_SECONDS
from gridcnn.cluster.joining import need_ray
from gridcnn.cluster.torch_worker import LostPeerError, TorchTask, TorchWorker
from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.engines.base import generators
from gridcnn.engines.torch.engine import TorchEngine
from gridcnn.engines.torch.stages import is_known, skip_draws
from gridcnn.errors import EngineError
from gridcnn.grid import Array, Cells
from gridcnn.network import Network, groups_of

_TRIES = 10
"""How often a group is formed for one step, before it is given up."""


class _GroupLostError(Exception):
    """A worker of the group has died."""


class TorchGroup:
    """Workers that add up gradients through `torch.distributed`.

    If one dies, all are replaced: those that are left may wait for it, and a graphics card that
    waits cannot be asked to stop.

    Args:
        engine: what each of them computes, and on which kind of device.
        workers: how many there are to be.
        threads: the threads of each.

    Raises:
        EngineError: no worker starts, or PyTorch is missing where one does.
    """

    def __init__(self, engine: TorchEngine, workers: int, threads: int) -> None:
        self._ray = need_ray()
        self._begin = (engine.network, threads, engine.device.partition(":")[0], engine.precision)
        cards = 1 if engine.device.startswith("cuda") else 0
        self._actor = self._ray.remote(num_cpus=threads, num_gpus=cards)(TorchWorker)
        self._wanted = workers
        self.workers: list[Any] = []
        self.lost = 0
        """How often a group was lost so far."""
        self._form(_TRIES)

    def compute(
        self, parameters: Array, divide: Callable[[int], Sequence[TorchTask]]
    ) -> tuple[Array, Array]:
        """Return the sum of the gradients of a batch, and the logits of its items.

        Args:
            parameters: the flat vector.
            divide: returns the task of each of so many workers.

        Raises:
            EngineError: workers keep dying, or no other ones start.
        """
        for tries in range(_TRIES, 0, -1):
            vector = self._ray.put(parameters)  # once for each step and machine
            tasks = divide(len(self.workers))
            try:
                results = self._gather(
                    [
                        worker.compute.remote(vector, task)
                        for worker, task in zip(self.workers, tasks, strict=True)
                    ]
                )
            except _GroupLostError:
                self.lost += 1
                self._form(tries)
            else:
                gradient = np.array(results[0][0])  # a copy: what Ray gives must not be written to
                return gradient, np.concatenate([logits for _, logits in results])
        raise self._hopeless()

    def dismiss(self) -> None:
        """End all workers."""
        for worker in self.workers:
            self._ray.kill(worker)
        self.workers = []

    def _form(self, tries: int) -> None:
        """Start workers, and let them meet."""
        for _ in range(tries):
            self.dismiss()
            self.workers = self._start()
            try:
                (place,) = self._gather([self.workers[0].listen.remote(len(self.workers))])
                self._gather(
                    [
                        worker.meet.remote(rank, len(self.workers), place)
                        for rank, worker in enumerate(self.workers)
                    ]
                )
            except _GroupLostError:
                continue
            return
        raise self._hopeless()

    def _start(self) -> list[Any]:
        """Return workers that have started: all, or those that have when the time is over."""
        network = self._ray.put(self._begin[0])
        workers = [self._actor.remote() for _ in range(self._wanted)]
        begun = {worker.begin.remote(network, *self._begin[1:]): worker for worker in workers}
        ready, late = self._ray.wait(list(begun), num_returns=len(begun), timeout=START_SECONDS)
        for ref in late:
            self._ray.kill(begun[ref])
        started = []
        try:
            for ref in ready:
                try:
                    self._ray.get(ref)
                    started.append(begun[ref])
                except self._ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except self._ray.exceptions.RayError:
                    self._ray.kill(begun[ref])
            if not started:
                raise EngineError(
                    f"no worker of {self._begin[1]} threads started within {START_SECONDS:.0f} "
                    "seconds; the cluster may be in use: see `ray status`"
                )
        except EngineError:
            for worker in workers:
                self._ray.kill(worker)
            raise
        return started

    def _gather(self, refs: Sequence[Any]) -> list[Any]:
        """Return all results, in their order; at the first failure, wait for no others."""
        waiting, found = list(refs), {}
        while waiting:
            (ref,), waiting = self._ray.wait(waiting, num_returns=1)
            try:
                found[ref] = self._ray.get(ref)
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, LostPeerError):
                    raise _GroupLostError from None
                self.dismiss()  # the others would wait for it
                raise error.as_instanceof_cause() from None
            except self._ray.exceptions.RayError:
                raise _GroupLostError from None
        return [found[ref] for ref in refs]

    def _hopeless(self) -> EngineError:
        self.dismiss()
        return EngineError(
            f"workers keep dying ({_TRIES} times in one step); resume the run once the cluster "
            "works again"
        )


class TorchClusterEngine(TorchEngine):
    """Gives the results of the torch engine, within the tolerance of float32, by several workers.

    Each worker computes a part of every batch. Losses, answers and the optimizer's steps are
    computed here.

    Args:
        engine: whose results it gives.
        workers: how many processes compute.
        threads: the threads of each.

    Raises:
        EngineError: workers cannot compute on this device, or a stage of another package draws
            random numbers; or no worker starts.
    """

    def __init__(self, engine: TorchEngine, *, workers: int, threads: int) -> None:
        refuse_unshared(engine)
        super().__init__(engine.network, device=engine.device, precision=engine.precision)
        self.group = TorchGroup(engine, workers, threads)

    def keep(self, cells: Cells, *, learns: bool) -> Cells:  # noqa: ARG002
        """Return the grids as they are: workers get a part of them in each step."""
        return cells

    def _sum_all(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        weights: Array | None,
        random: np.random.Generator | None,
    ) -> tuple[Array, Array]:
        """Return the sum of the gradients, whose parts the workers compute, and the logits."""
        items = len(grids)
        chances = generators(self.network, random)

        def divide(workers: int) -> list[TorchTask]:
            tasks, first = [], 0
            for pieces in divide_items(self.network, items, workers):
                part = slice(first, first + sum(pieces))
                own = None if weights is None else weights[part]
                tasks.append(TorchTask(first, pieces, grids[part], targets[part], own, chances))
                first = part.stop
            return tasks

        gradient, logits = self.group.compute(parameters, divide)
        for op, chance in zip(self.network.ops, chances, strict=True):
            if chance is not None and chance is random:  # the next batch goes on behind this one
                skip_draws(op, items, random)
        return gradient, logits

    def dismiss(self) -> None:
        """End the workers."""
        self.group.dismiss()


def refuse_unshared(engine: TorchEngine) -> None:
    """Raise `EngineError` if workers of a cluster cannot compute the steps of an engine."""
    kind, _, number = engine.device.partition(":")
    if kind == "mps":
        raise EngineError(
            "workers of a cluster compute on cpu or cuda, not on mps; add --device cpu, or train "
            "without --cluster"
        )
    if number not in ("", "0"):
        raise EngineError(
            f"on a cluster, Ray gives each worker a graphics card; take --device cuda, not "
            f"{engine.device}"
        )
    drawing = [op.label for op in engine.network.ops if op.draws and not is_known(op)]
    if drawing:
        raise EngineError(
            f"stages of other packages that draw random numbers ({', '.join(drawing)}) are not "
            "computed by several workers; train without --cluster"
        )


def divide_items(network: Network, items: int, workers: int) -> list[tuple[int, ...]]:
    """Return the items of each worker's part of a batch, in pieces that are computed at a time.

    Items whose statistics are taken together are in one part, and their groups stay what they are.
    A part may be empty. Of 40 items, in a network that mixes groups, two workers have (27,) and
    (13,).
    """
    if not network.mixes_items:
        size, larger = divmod(items, workers)
        counts = [size + (number < larger) for number in range(workers)]
        return [(count,) if count else () for count in counts]
    groups = [group.stop - group.start for group in groups_of(items)]
    parts = []
    for numbers in np.array_split(np.arange(len(groups)), workers):
        own = tuple(groups[number] for number in numbers)
        same = [group.stop - group.start for group in groups_of(sum(own))]
        parts.append((sum(own),) if own and tuple(same) == own else own)
    return parts
