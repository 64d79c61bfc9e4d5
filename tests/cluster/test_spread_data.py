"""Data that the workers of a cluster read and hold: the bits of a process that reads all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.adapters.image import ImageAdapter
from gridcnn.cluster.crew import Crew
from gridcnn.cluster.engine import ClusterEngine
from gridcnn.cluster.held import HeldCells, HeldData
from gridcnn.cluster.joining import Cluster, join, need_ray
from gridcnn.datasets.division import shuffled
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.network import Network
from gridcnn.progress import Counter
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled, train

pytestmark = pytest.mark.cluster
KILLS = 5


def write_pictures(folder: Path, draw: Any, count: int) -> Path:
    """Write pictures of two classes, two of which are equal, and one file that is no picture."""
    for number, (image, label) in enumerate(draw(count, 0)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        image.save(folder / str(label) / f"{number:03}.png")
    pictures = sorted(folder.rglob("*.png"))
    pictures[-1].write_bytes(pictures[0].read_bytes())
    pictures[2].write_bytes(b"no picture")
    return folder


def spec(data: Path, **training: Any) -> dict[str, Any]:
    return {
        "name": "pictures",
        "data": {"source": {"files": {"path": str(data)}}, "bad_items": "skip"},
        "adapter": {"image": {"size": [16, 16], "channels": 1}},
        "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
        "head": {"voting": {"hidden": [8], "dropout": 0.2}},
        "training": {"epochs": 2, "batch_size": 24, "restarts": 0, **training},
    }


def assert_same(one: Path, other: Path) -> None:
    for name in ("model.safetensors", "predictions.csv", "skipped.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    "training",
    [{}, {"augmentation": [{"shift": {"rows": 2}}], "mixup": 0.2}],
    ids=["plain", "changed"],
)
def test_workers_that_read_the_data_write_the_files_of_one_process(
    nodes: Any, tmp_path: Path, draw: Any, training: dict[str, Any]
) -> None:
    """The figures and notes are the same, too."""
    pictures = spec(write_pictures(tmp_path / "pictures", draw, 120), **training)
    spread = {"cluster": nodes.address, "workers": 2, "spread_data": True}

    alone = gridcnn.run(pictures, out=tmp_path / "alone")
    shared = gridcnn.run(pictures, out=tmp_path / "shared", **spread)
    assert_same(tmp_path / "alone", tmp_path / "shared")
    left_out = ("seconds", "threads")
    first, second = (
        {name: value for name, value in run.metrics.items() if name not in left_out}
        for run in (alone, shared)
    )
    assert first == second
    assert any("the same grid" in note for note in first["notes"])


def test_a_large_set_is_divided_and_shuffled_by_a_rule_with_and_without_workers(
    nodes: Any, tmp_path: Path, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffled, "LARGE", 50)
    folder = write_pictures(tmp_path / "pictures", draw, 120)
    (next(iter(folder.rglob("*.png"))).parent / "002.png").unlink(missing_ok=True)
    bad = next(path for path in folder.rglob("*.png") if path.read_bytes() == b"no picture")
    bad.unlink()

    gridcnn.run(spec(folder), out=tmp_path / "alone")
    spread = {"cluster": nodes.address, "workers": 2, "spread_data": True}
    gridcnn.run(spec(folder), out=tmp_path / "shared", **spread)
    for name in ("model.safetensors", "predictions.csv"):
        alone, shared = (tmp_path / run / name for run in ("alone", "shared"))
        assert alone.read_bytes() == shared.read_bytes()


def test_an_evaluation_by_workers_says_what_one_by_a_single_process_says(
    nodes: Any, tmp_path: Path, draw: Any
) -> None:
    folder = write_pictures(tmp_path / "pictures", draw, 60)
    model = gridcnn.run(spec(folder, epochs=1), out=tmp_path / "run").model

    asked: dict[str, Any] = {"part": "all", "bad_items": "skip"}
    alone = gridcnn.evaluate(model, str(folder), **asked)
    shared = gridcnn.evaluate(model, str(folder), cluster=nodes.address, workers=2, **asked)
    assert alone.plain() == shared.plain()
    assert len(alone.notes) >= 2  # of equal pictures in two classes, and of one that is none


@pytest.fixture
def crew(nodes: Any) -> Iterator[Crew]:
    with join(Cluster(nodes.address, workers=3)):
        crew = Crew(3, 1)
        yield crew
        crew.dismiss()


class Killer:
    """Kills a random worker after random batches, so often in all."""

    def __init__(self, crew: Crew) -> None:
        self.crew, self.left = crew, KILLS
        self.dice = random.Random(3)

    def on_batch(self, *_: Any) -> None:
        if self.left and self.crew.workers and self.dice.random() < 0.5:
            need_ray().kill(self.dice.choice(self.crew.workers))
            self.left -= 1

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_: None
        raise AttributeError(name)


def test_what_a_worker_held_that_dies_is_read_again_and_no_bit_changes(
    crew: Crew, tmp_path: Path, draw: Any
) -> None:
    paths = []
    for number, (image, _) in enumerate(draw(200, 0)):
        paths.append(str(tmp_path / f"{number}.png"))
        image.save(paths[-1])
    adapter = ImageAdapter(size=(12, 12), channels=1)
    targets = np.arange(200) % 2
    network = Network(load(spec(tmp_path, epochs=4)), adapter.shape(), classes=2)
    data = HeldData(crew, paths, paths, adapter)
    kept, problems = data.survey(np.arange(200), Counter(None, "", 200))
    assert (len(kept), problems) == (200, ())

    engine = ClusterEngine(network, crew=crew)
    killer = Killer(crew)
    held: Any = HeldCells(data, np.arange(200))
    found = train(engine, Labelled(held, targets), None, network.spec.training, watcher=killer)
    assert killer.left == 0
    assert crew.lost >= KILLS - 1  # the last one may die after its last step
    whole = Labelled(adapter.grids(paths).values, targets)
    expected = train(NativeEngine(network), whole, None, network.spec.training)
    np.testing.assert_array_equal(found.parameters, expected.parameters)


def test_each_worker_holds_a_part_and_none_holds_all(crew: Crew, tmp_path: Path, draw: Any) -> None:
    image, _ = next(iter(draw(1, 0)))
    image.save(tmp_path / "one.png")
    things = [str(tmp_path / "one.png")] * 2000
    data = HeldData(crew, things, things, ImageAdapter(size=(4, 4), channels=1))
    data.survey(np.arange(2000), Counter(None, "", 2000))

    ray = need_ray()
    counts = [ray.get(worker.holds.remote())[0] for worker in crew.workers]
    assert sum(counts) == 2000
    assert max(counts) < 1600
