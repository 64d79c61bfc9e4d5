"""Where training on several machines stops scaling: bytes and time of a step against workers.

    python -m benchmarks.cluster [--batch N] [--delay SECONDS] [--json]
    python -m benchmarks.cluster --here [--batch N]

Measured here, by the processor time of one thread: what a worker takes for each item, and what the
adding up takes. Counted: the bytes of a step, by the arrays that it really sends. The network is
then simulated: every worker is a machine of its own, all bytes pass the link of the machine that
drives, one after the other, and each step has a delay for Ray's calls. Real clusters are quicker
where transfers overlap with arithmetic, and slower where links are shared.

With `--here`, nothing is simulated: training steps of the workload `colour` are timed on this
machine, with two threads, with one worker of a local cluster, and with two, in turn. Each step
chooses a batch of all items, as training does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.workloads import WORKLOADS
from gridcnn.cluster.joining import LOCAL, Cluster
from gridcnn.cluster.sharing import share
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.sharing import ShardTask, SharedChain
from gridcnn.engines.native.summing import add_shards
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

SHAPE, CLASSES = GridShape(3, 32, 32), 10
WORKERS = (1, 2, 4, 8, 16, 32)
LINKS = {"1 Gbit/s": 1e9 / 8, "10 Gbit/s": 1e10 / 8}
SIZES = {"0.1 million": (16, 40), "1 million": (48, 128), "10 million": (96, 768)}
"""Filters of the first stages and values of the hidden layer, by the parameters they come to."""
_ITEMS = 64  # that are measured; time grows with items in proportion
_REPEATS = 3
_NUMBER = 8  # bytes of an item's number
_BATCHES = 4  # as many items as these have take turns


@dataclass(frozen=True)
class Costs:
    """What a step costs.

    Attributes:
        parameters: how many the network has.
        item_seconds: of one thread, for an item's shard work.
        sum_seconds: of one thread, to add up the shards of a batch.
        out_bytes: sent to each worker: the parameters.
        batch_bytes: sent to all workers together: the numbers of the items, and targets.
        grid_bytes: the grids of a batch, which are sent as well if they are augmented.
        sum_bytes: sent back for each branch of shards that a worker has added up.
        row_bytes: sent back by all workers together: rows and losses of the items.
        shards: how many a batch has.
    """

    parameters: int
    item_seconds: float
    sum_seconds: float
    out_bytes: int
    batch_bytes: int
    grid_bytes: int
    sum_bytes: int
    row_bytes: int
    shards: int

    def back_bytes(self, workers: int) -> int:
        """Return what so many workers send back together."""
        parts = min(workers, self.shards)
        ends = [self.shards * number // parts for number in range(parts + 1)]
        branches = sum(len(add_shards(*pair, self.shards).branches) for pair in pairwise(ends))
        return branches * self.sum_bytes + self.row_bytes

    def step_seconds(self, workers: int, batch: int, link: float, delay: float) -> float:
        """Return the simulated time of a step."""
        moved = workers * self.out_bytes + self.batch_bytes + self.back_bytes(workers)
        return delay + batch * self.item_seconds / workers + self.sum_seconds + moved / link


def network(filters: int, hidden: int) -> Network:
    """Return a network like `colour` of the other benchmarks."""
    stages: list[Any] = []
    for size in (filters, 2 * filters):
        convolution = {"convolution": {"filters": size}}
        stages += [convolution, "rectification", convolution, "rectification", "pooling"]
    spec = load({"stages": stages, "head": {"voting": {"hidden": [hidden]}}})
    return Network(spec, SHAPE, classes=CLASSES)


def measure(whole: Network, batch: int) -> Costs:
    """Return what a step of a network costs."""
    engine = NativeEngine(whole, threads=1)
    (piece,) = engine.pieces()
    shared = SharedChain(engine.chain(piece))
    random = np.random.default_rng(0)
    shards = shared.count_shards(_ITEMS)
    task = ShardTask(
        shards=range(shards),
        all_shards=shards,
        items=batch,
        cells=random.normal(0, 1, (_ITEMS, *SHAPE.sizes)).astype(np.float32),
        targets=random.integers(0, CLASSES, _ITEMS),
        soft_targets=None,
        wants_logits=False,
        factors=(),
        stage_factors=(),
    )
    parameters = whole.starting_parameters()
    gradient = np.zeros_like(parameters)
    sums = shared.compute(parameters, task)
    compute = _thread_seconds(lambda: shared.compute(parameters, task))
    times = batch // _ITEMS
    finish = _thread_seconds(
        lambda: shared.finish(
            parameters, gradient, [(slice(None), sums)], count=_ITEMS, items=batch
        )
    )
    assert task.targets is not None
    return Costs(
        parameters=whole.parameters,
        item_seconds=compute / _ITEMS,
        sum_seconds=finish * times,
        out_bytes=parameters.nbytes,
        batch_bytes=times * (_ITEMS * _NUMBER + task.targets.nbytes),
        grid_bytes=times * task.cells.nbytes,
        sum_bytes=sums.sums[0].nbytes,
        row_bytes=times * (sums.nbytes - sums.sums.nbytes),
        shards=times * shards,
    )


def _thread_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of this thread, which others on the machine do not change much."""
    times = []
    for _ in range(_REPEATS):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return statistics.median(times)


def time_here(batch: int, *, rounds: int = 3, steps: int = 6) -> dict[str, float]:
    """Return the seconds of a step in each way: the median over the rounds of the medians in each.

    The ways take turns. Ray is started again for each of them, which is not counted.
    """
    workload = WORKLOADS["colour"]
    whole = workload.network()
    random = np.random.default_rng(0)
    items = _BATCHES * batch
    grids = random.normal(size=(items, *workload.shape.sizes)).astype(np.float32)
    targets = random.integers(0, workload.classes, items)
    parameters = whole.starting_parameters()
    ways: dict[str, tuple[int, Cluster | None]] = {
        "two threads": (2, None),
        "one worker": (1, Cluster(LOCAL, 1, 1)),
        "two workers": (1, Cluster(LOCAL, 2, 1)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (threads, cluster) in ways.items():
            with share(NativeEngine(whole, threads=threads), cluster) as engine:
                kept = engine.keep(grids, learns=True)
                times = []
                for _ in range(steps + 1):
                    chosen = random.permutation(items)[:batch]
                    start = time.perf_counter()
                    engine.step(parameters, kept[chosen], targets[chosen])
                    times.append(time.perf_counter() - start)
                del times[0]  # it compiled
            seconds[name].append(statistics.median(times))
    return {name: statistics.median(each) for name, each in seconds.items()}


def main() -> int:
    """Measure and simulate; print a table for each link."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--delay", type=float, default=0.003)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--here", action="store_true")
    given = parser.parse_args()
    batch = max(_ITEMS, given.batch // _ITEMS * _ITEMS)
    if given.here:
        found = time_here(batch)
        for name, took in found.items():
            faster = found["one worker"] / took
            print(f"{name:>12} {took:7.3f} s a step, {faster:.2f} times as fast as one worker")
        return 0
    costs = {name: measure(network(*size), batch) for name, size in SIZES.items()}
    if given.json:
        print(json.dumps({name: asdict(each) for name, each in costs.items()}, indent=2))
        return 0
    print(f"batches of {batch}; one thread for each worker; {given.delay * 1000:g} ms of delay")
    heads = ("to each", "numbers", "or grids", "back of 2", "of 16")
    print(f"{'parameters':>12} {' '.join(f'{head:>10}' for head in heads)}   one thread, adding up")
    for each in costs.values():
        sent = (each.out_bytes, each.batch_bytes, each.grid_bytes)
        shown = " ".join(
            f"{size / 1e6:7.1f} MB" for size in (*sent, each.back_bytes(2), each.back_bytes(16))
        )
        spent = f"{batch * each.item_seconds:.2f} s, {1000 * each.sum_seconds:.0f} ms"
        print(f"{each.parameters:12,} {shown}   {spent}")
    for name, link in LINKS.items():
        print(f"\n{name}: seconds of a step, and how many times as fast as one thread without Ray")
        print(f"{'workers':>12} " + " ".join(f"{workers:>14}" for workers in WORKERS))
        for each in costs.values():
            alone = batch * each.item_seconds + each.sum_seconds
            steps = [each.step_seconds(n, batch, link, given.delay) for n in WORKERS]
            row = " ".join(f"{step:7.3f} {alone / step:5.1f}x" for step in steps)
            print(f"{each.parameters:12,} {row}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
