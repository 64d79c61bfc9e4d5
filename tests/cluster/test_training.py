"""Training on a real cluster: the bits of a single process, whoever dies on the way."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gridcnn.cluster.engine import ClusterEngine
from gridcnn.cluster.joining import Cluster, join, need_ray
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled, TrainingState, train

pytestmark = [
    pytest.mark.cluster,
    # Ray leaves files and sockets open.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
KILLS = 20


@pytest.fixture
def cluster(nodes: Any) -> Iterator[Cluster]:
    asked = Cluster(nodes.address, workers=2)
    with join(asked):
        yield asked


def network() -> Network:
    stages: list[Any] = [
        {"convolution": {"filters": 6}},
        "normalization",
        "rectification",
        "pooling",
        {"dropout": 0.2},
    ]
    spec = load(
        {
            "stages": stages,
            "head": {"voting": {"hidden": [8], "dropout": 0.3}},
            "training": {"epochs": 3, "batch_size": 40, "restarts": 0},
        }
    )
    return Network(spec, GridShape(1, 12, 12), classes=3)


def items(count: int = 600) -> Labelled:
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 3, count)
    grids = draw.normal(0, 1, (count, 1, 12, 12)) + targets[:, None, None, None]
    return Labelled(grids.astype(np.float32), targets)


def trained(engine: Any, watcher: Any = None) -> TrainingState:
    return train(engine, items(), items(90), engine.network.spec.training, watcher=watcher)


def assert_same(found: TrainingState, expected: TrainingState) -> None:
    np.testing.assert_array_equal(found.parameters, expected.parameters)
    np.testing.assert_array_equal(found.best, expected.best)
    assert [each.loss for each in found.history] == [each.loss for each in expected.history]
    for name, vector in expected.memory.items():
        np.testing.assert_array_equal(found.memory[name], vector)


class Assassin:
    """Kills a random worker after random batches, so often in all."""

    def __init__(self, engine: ClusterEngine, kills: int) -> None:
        self.engine, self.left = engine, kills
        self.dice = random.Random(5)

    def on_batch(self, *_: Any) -> None:
        workers = self.engine.crew.workers
        if self.left and workers and self.dice.random() < 0.6:
            ray = need_ray()
            victim = ray.get(self.dice.choice(workers).process.remote())
            os.kill(victim, signal.SIGKILL)
            self.left -= 1

    def on_nudge(self, *_: Any) -> None:
        pass

    def on_sign(self, *_: Any) -> None:
        pass

    def on_epoch(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_workers_trains_to_the_same_bits(cluster: Cluster, workers: int) -> None:
    engine = ClusterEngine(network(), workers=workers)

    assert len(engine.crew.workers) == workers
    assert_same(trained(engine), trained(NativeEngine(network())))
    engine.dismiss()


def test_workers_that_are_killed_at_any_step_change_no_bit(cluster: Cluster) -> None:
    engine = ClusterEngine(network(), workers=2)
    assassin = Assassin(engine, KILLS)

    found = trained(engine, assassin)
    assert assassin.left == 0
    assert engine.crew.lost >= KILLS - 1  # the last one may die after its last step
    assert_same(found, trained(NativeEngine(network())))
    engine.dismiss()


def test_a_machine_that_is_lost_changes_no_bit(nodes: Any) -> None:
    """What its workers had to do is done by those that are left."""
    extra = nodes.add_node(num_cpus=2, object_store_memory=100 * 2**20)
    with join(Cluster(nodes.address)):
        engine = ClusterEngine(network(), workers=5)
        steps = 0

        class Cutter(Assassin):
            def on_batch(self, *_: Any) -> None:
                nonlocal steps
                steps += 1
                if steps == 7:
                    nodes.remove_node(extra, allow_graceful=False)

        found = trained(engine, Cutter(engine, 0))
        engine.dismiss()
    assert_same(found, trained(NativeEngine(network())))
