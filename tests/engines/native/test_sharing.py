"""Training steps whose shards are computed apart have the bits of those in one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gridcnn.cluster.engine import ClusterEngine
from gridcnn.cluster.holding import Chosen
from gridcnn.engines.base import StepResult
from gridcnn.engines.kept import KeptCells
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.engines.native.sharing import ShardSums, ShardTask, SharedChain
from gridcnn.grid import Array, Axis, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load

CLASSES = 4
SHAPE = GridShape(3, 12, 11)
PLAIN: list[Any] = [{"convolution": {"filters": 8}}, "rectification", "pooling"]
WIDE: list[Any] = [{"convolution": {"filters": 16}}, {"convolution": {"filters": 17}}]
MIXED: list[Any] = [
    {"skip": [{"convolution": {"filters": 3}}, "normalization"]},
    {"dropout": 0.3},
    {"pooling": {"window": 2}},
    "gate",
]


class Here:
    """A crew whose workers are engines of this process."""

    room = 10**6

    def __init__(self, network: Network, workers: int) -> None:
        self.network = network
        self.workers = range(workers)

    @staticmethod
    def share(array: Array) -> Array:
        return array

    def compute(
        self, vector: Array, tasks: list[ShardTask], *, one_hot: bool
    ) -> Iterator[tuple[int, ShardSums]]:
        for number, task in reversed(list(enumerate(tasks))):
            if isinstance(task.cells, Chosen):
                task = task.with_cells(task.cells.grids[task.cells.items])  # noqa: PLW2901
            engine = NativeEngine(self.network, threads=2)
            (piece,) = engine.pieces()
            chain = engine.chain(piece, one_hot=one_hot)
            yield number, SharedChain(chain).compute(vector.copy(), task)


class Apart(ClusterEngine):
    """Has its shards computed by such a crew."""

    def __init__(self, network: Network, workers: int) -> None:
        NativeEngine.__init__(self, network, threads=1)
        self.crew: Any = Here(network, workers)
        self._shared = {}
        self.sent = 0


def network(stages: list[Any], shape: GridShape = SHAPE, **voting: Any) -> Network:
    return Network(
        load({"stages": stages, "head": {"voting": {"hidden": [9], **voting}}}),
        shape,
        classes=CLASSES,
    )


def assert_same(found: StepResult, expected: StepResult) -> None:
    assert (found.loss, found.hits) == (expected.loss, expected.hits)
    np.testing.assert_array_equal(found.gradient, expected.gradient)
    for own, right in zip(found.running, expected.running, strict=True):
        np.testing.assert_array_equal(own, right)


def steps(whole: Network, parts: int, items: int, **options: Any) -> list[StepResult]:
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (items, *whole.shape.sizes)).astype(np.float32)
    targets = options.pop("targets", random.integers(0, CLASSES, items))
    parameters = whole.starting_parameters()
    engines = (Apart(whole, parts), NativeEngine(whole))
    return [
        engine.step(parameters, grids, targets, random=np.random.default_rng(3), **options)
        for engine in engines
    ]


@pytest.mark.parametrize(("items", "parts"), [(64, 1), (64, 2), (45, 3), (45, 50), (1, 2)])
@pytest.mark.parametrize("stages", [PLAIN, WIDE, MIXED], ids=["plain", "wide", "mixed"])
def test_any_number_of_workers_gives_the_bits_of_one_process(
    stages: list[Any], items: int, parts: int
) -> None:
    assert_same(*steps(network(stages, dropout=0.4), parts, items))


def test_rounds_of_a_large_batch_are_shared_one_by_one() -> None:
    assert_same(*steps(network(MIXED), 4, 700))


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("first", [[], ["rectification"]], ids=["reads indices", "reads cells"])
def test_grids_that_the_workers_share_are_not_sent(one_hot: bool, first: list[Any]) -> None:
    """A step sends the numbers of items, if the workers have what it reads; votes are made here."""
    random = np.random.default_rng(0)
    shape = GridShape(1, 5, 24, Axis("letter", ordered=False), Axis("position"))
    convolution = {"convolution": {"filters": 3, "kernel_size": ["all", 4]}}
    whole = network([*first, convolution], shape)
    grids: Any = OneHot(random.integers(-1, 5, (60, 24), np.int32), 5)
    grids = grids if one_hot else np.asarray(grids)
    parameters, chosen = whole.starting_parameters(), random.permutation(60)[:40]
    engine, plain = Apart(whole, 3), NativeEngine(whole)

    kept = engine.keep(grids, learns=True)

    targets = np.arange(40) % CLASSES
    assert isinstance(kept, KeptCells)
    assert_same(
        engine.step(parameters, kept[chosen], targets),
        plain.step(parameters, grids[chosen], targets),
    )
    np.testing.assert_array_equal(
        engine.logits(parameters, kept[:9]), plain.logits(parameters, grids[:9])
    )


def test_grids_are_not_shared_if_there_is_no_room_or_only_votes_are_wanted() -> None:
    engine = Apart(network(PLAIN), 2)
    grids = np.zeros((9, *SHAPE.sizes), np.float32)

    assert engine.keep(grids, learns=False) is grids
    engine.crew.room = grids.nbytes - 1
    assert engine.keep(grids, learns=True) is grids


def test_weights_and_parts_of_classes_are_sent_along() -> None:
    random = np.random.default_rng(1)
    soft = random.dirichlet(np.ones(CLASSES), 40).astype(np.float32)
    weights = random.uniform(0, 2, 40).astype(np.float32)

    assert_same(*steps(network(PLAIN), 3, 40, targets=soft, weights=weights))


def test_several_labels_come_back_with_their_logits() -> None:
    labels = np.random.default_rng(1).integers(0, 2, (40, CLASSES)).astype(np.float32)

    assert_same(*steps(network(PLAIN, labels="several"), 3, 40, targets=labels))


def test_indices_of_one_hot_grids_are_sent_as_they_are() -> None:
    shape = GridShape(1, 5, 24, Axis("letter", ordered=False), Axis("position"))
    whole = network([{"convolution": {"filters": 3, "kernel_size": ["all", 4]}}], shape)
    grids = OneHot(np.random.default_rng(0).integers(-1, 5, (40, 24), np.int32), 5)
    parameters, targets = whole.starting_parameters(), np.arange(40) % CLASSES

    found, expected = (
        engine.step(parameters, grids, targets) for engine in (Apart(whole, 3), NativeEngine(whole))
    )
    assert_same(found, expected)


def test_parts_are_whole_shards() -> None:
    """Each of at most so many parts; a group of items that are mixed stays together."""
    engine = NativeEngine(network(PLAIN))
    shared = SharedChain(engine.chain(engine.pieces()[0]))
    shard = shared.chain.plan.shard
    parts = shared.divide(5 * shard + 1, 4)
    assert [shards for shards, _ in parts] == [range(1), range(1, 3), range(3, 4), range(4, 6)]
    assert [part.start for _, part in parts] == [0, shard, 3 * shard, 4 * shard]
    assert [part.stop for _, part in parts] == [shard, 3 * shard, 4 * shard, 5 * shard + 1]

    mixing = NativeEngine(network(MIXED))
    groups = SharedChain(mixing.chain(mixing.pieces()[0]))
    assert groups.cuts(20) == [0, 10, 20]
    assert groups.divide(20, 50) == [(range(1), slice(0, 10)), (range(1, 2), slice(10, 20))]
