"""The torch engine on several workers: the results of one process, within float32."""

from __future__ import annotations

import importlib.util
import os
import pickle
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gridcnn
from gridcnn.cluster.joining import Cluster, join, need_ray
from gridcnn.errors import EngineError
from gridcnn.grid import Array, GridShape
from gridcnn.network import GROUP, Network, groups_of
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled, train

if TYPE_CHECKING:
    from gridcnn.cluster.torch_engine import TorchClusterEngine
    from gridcnn.cluster.torch_worker import TorchTask
    from gridcnn.engines.torch.engine import TorchEngine

# PyTorch is imported by the tests alone: other tests here measure the memory of this process.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="PyTorch is not installed"
)
KILLS = 2
ITEMS = 40
PLAIN: list[Any] = [{"convolution": {"filters": 4}}, "rectification", "pooling"]
MIXED: list[Any] = [*PLAIN, "normalization", {"dropout": 0.3}]


def network(stages: list[Any], dropout: float = 0.0) -> Network:
    document = {
        "stages": stages,
        "head": {"voting": {"hidden": [6], "dropout": dropout}},
        "training": {"epochs": 2, "batch_size": ITEMS, "restarts": 0},
    }
    return Network(load(document), GridShape(1, 8, 8), classes=3)


def engine(whole: Network) -> TorchEngine:
    from gridcnn.engines.torch.engine import TorchEngine

    return TorchEngine(whole, threads=1, device="cpu")


def cluster_engine(whole: Network, workers: int) -> TorchClusterEngine:
    from gridcnn.cluster.torch_engine import TorchClusterEngine

    return TorchClusterEngine(engine(whole), workers=workers, threads=1)


def batch(items: int = ITEMS) -> tuple[Array, Any]:
    draw = np.random.default_rng(0)
    targets = draw.integers(0, 3, items)
    grids = draw.normal(0, 1, (items, 1, 8, 8)) + targets[:, None, None, None]
    return grids.astype(np.float32), targets


def assert_same_step(found: Any, expected: Any) -> None:
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert found.hits == expected.hits
    np.testing.assert_allclose(found.gradient, expected.gradient, rtol=1e-4, atol=1e-6)
    for own, right in zip(found.running, expected.running, strict=True):
        np.testing.assert_allclose(own, right, rtol=1e-4, atol=1e-6)


class Alone:
    """Stands for the workers of a group: what they compute is added up here."""

    def __init__(self, whole: Network, workers: int) -> None:
        from gridcnn.cluster.torch_worker import TorchWorker

        self.workers = [TorchWorker() for _ in range(workers)]
        for worker in self.workers:
            worker.begin(whole, 1, "cpu", "float32")

    def compute(self, parameters: Array, divide: Any) -> tuple[Array, Array]:
        tasks: list[TorchTask] = divide(len(self.workers))
        # Each worker gets generators of its own, as it does through Ray.
        parts = [
            worker.sum_up(parameters, pickle.loads(pickle.dumps(task)))
            for worker, task in zip(self.workers, tasks, strict=True)
        ]
        total = sum(gradient.numpy() for gradient, _ in parts)
        return total, np.concatenate([logits for _, logits in parts])


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize(
    ("stages", "dropout"), [(PLAIN, 0.0), (PLAIN, 0.3), (MIXED, 0.0), (MIXED, 0.3)]
)
def test_parts_of_a_batch_add_up_to_the_step_of_one_process(
    workers: int, stages: list[Any], dropout: float
) -> None:
    """Dropout leaves out the same cells, also in the next batch; some workers have no items."""
    from gridcnn.cluster.torch_engine import TorchClusterEngine

    whole = network(stages, dropout)
    shared = object.__new__(TorchClusterEngine)
    shared.__dict__.update(engine(whole).__dict__)
    shared.group = Alone(whole, workers)  # type: ignore[assignment]
    parameters, (grids, targets) = whole.starting_parameters(), batch()
    weights = np.linspace(0.5, 1.5, ITEMS, dtype=np.float32)

    drawn = [np.random.default_rng(4) for _ in range(2)]
    for _ in range(2):
        found, expected = (
            each.step(parameters, grids, targets, weights=weights, random=chance)
            for each, chance in zip((shared, engine(whole)), drawn, strict=True)
        )
        assert_same_step(found, expected)


@pytest.mark.parametrize("items", [1, 16, 40, 209, 300])
def test_a_part_has_whole_groups_of_items_and_all_parts_have_all_items(items: int) -> None:
    from gridcnn.cluster.torch_engine import divide_items

    whole = network(MIXED)
    groups = [group.stop - group.start for group in groups_of(items)]
    for workers in (1, 2, 3, 7):
        parts = divide_items(whole, items, workers)
        assert len(parts) == workers
        pieces = [piece for part in parts for piece in part]
        divided = [group.stop - group.start for piece in pieces for group in groups_of(piece)]
        assert divided == groups
    assert sum(sum(part) for part in divide_items(network(PLAIN), items, 7)) == items
    assert max(groups) <= GROUP


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("mps", "compute on cpu or cuda, not on mps; add --device cpu"),
        ("cuda:1", "take --device cuda, not cuda:1"),
    ],
)
def test_a_device_that_workers_do_not_share_is_told(device: str, said: str) -> None:
    from gridcnn.cluster.torch_engine import refuse_unshared

    alone = engine(network(PLAIN))
    alone.device = device

    with pytest.raises(EngineError, match=said):
        refuse_unshared(alone)


def test_data_that_workers_read_is_not_for_torch() -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    spread: dict[str, Any] = {"cluster": "local", "spread_data": True}
    with pytest.raises(EngineError, match="compute with the native engine; the engine is torch"):
        gridcnn.run("xo", engine="torch", **spread)


@pytest.fixture
def cluster(nodes: Any) -> Iterator[Cluster]:
    asked = Cluster(nodes.address, workers=2)
    with join(asked):
        yield asked


class Killer:
    """Kills a random worker after random batches, so often in all."""

    def __init__(self, engine: TorchClusterEngine) -> None:
        self.group, self.left = engine.group, KILLS
        self.dice = random.Random(5)

    def on_batch(self, *_: Any) -> None:
        if self.left and self.dice.random() < 0.3:
            victim = need_ray().get(self.dice.choice(self.group.workers).process.remote())
            os.kill(victim, signal.SIGKILL)
            self.left -= 1

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_: None
        raise AttributeError(name)


@pytest.mark.cluster
def test_two_workers_train_as_one_process_also_if_some_are_killed(cluster: Cluster) -> None:
    whole = network(MIXED, 0.2)
    grids, targets = batch(12 * ITEMS)
    shared = cluster_engine(whole, 2)
    killer = Killer(shared)

    data, settings = Labelled(grids, targets), whole.spec.training
    found = train(shared, data, None, settings, watcher=killer)
    assert len(shared.group.workers) == 2
    assert killer.left == 0
    assert shared.group.lost >= KILLS - 1  # the last one may die after its last step
    expected = train(engine(whole), data, None, settings)
    shared.dismiss()
    np.testing.assert_allclose(found.parameters, expected.parameters, rtol=1e-2, atol=1e-4)
    own, right = ([epoch.loss for epoch in state.history] for state in (found, expected))
    assert own == pytest.approx(right, rel=1e-4)


@pytest.mark.cluster
def test_a_worker_without_pytorch_is_told(cluster: Cluster, monkeypatch: Any) -> None:
    from gridcnn.cluster import torch_engine
    from gridcnn.cluster.torch_worker import TorchWorker

    class Bare(TorchWorker):
        def begin(self, *_: Any) -> None:
            import sys

            sys.modules["torch"] = None  # type: ignore[assignment]
            sys.modules.pop("gridcnn.engines.torch.engine", None)
            super().begin(*_)

    monkeypatch.setattr(torch_engine, "TorchWorker", Bare)
    with pytest.raises(EngineError, match=r"cannot load PyTorch .*'gridcnn\[cluster,torch\]'"):
        cluster_engine(network(PLAIN), 1)


@pytest.mark.cluster
def test_a_run_by_two_workers_ends_as_one_alone_and_resumes_without_them(
    nodes: Any, tmp_path: Path
) -> None:
    few = {"training.schedule": "constant", "data.source.xo.count": 200}
    one, two = ({**few, "training.epochs": epochs} for epochs in (1, 2))
    options: dict[str, Any] = {"engine": "torch:cpu", "threads": 1}
    alone = gridcnn.run("xo", changes=two, out=tmp_path / "alone", **options)

    workers: dict[str, Any] = {"cluster": nodes.address, "workers": 2}
    shared = gridcnn.run("xo", changes=one, out=tmp_path / "shared", **options, **workers)
    again = gridcnn.run(resume=shared.folder, changes={"training.epochs": 2}, **options)
    np.testing.assert_allclose(again.model.parameters, alone.model.parameters, rtol=1e-2, atol=1e-4)
