"""What a cluster is short of: room on a disk, free cores, and memory for what is sent."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.cluster.crew import Crew
from gridcnn.cluster.engine import ClusterEngine
from gridcnn.cluster.joining import Cluster, join
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled, train

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(sys.platform != "linux", reason="mounts")]
FEW = ["--set", "training.epochs=2", "--set", "data.source.xo.count=600"]


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with room for 2 MB."""
    folder = tmp_path_factory.mktemp("d")  # Ray's sockets need a short path
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Write as much as there is room for."""
    with (folder / "fill").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def start(out: Path, address: str, **environment: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "gridcnn", "run", "xo", *FEW, "--out", str(out)]
    words += ["--cluster", address, "--workers", "2", "--threads", "1"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, text=True, stdout=pipe, stderr=pipe, env={**os.environ, **environment}
    )


def test_without_room_for_ray_a_line_says_so(small_disk: Path, tmp_path: Path) -> None:
    fill(small_disk)

    process = start(tmp_path / "run", "local", RAY_TMPDIR=str(small_disk))
    _, said = process.communicate()
    assert process.returncode == 2
    assert re.search(r"Ray does not start on this machine: .*\(free: 0 .*RAY_TMPDIR", said)
    assert not (tmp_path / "run").exists()


def test_a_disk_that_fills_up_in_training_changes_nothing(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent lies in memory, and the results on another disk."""
    few = {"training.epochs": 3, "data.source.xo.count": 300}
    alone = gridcnn.run("xo", changes=few, out=tmp_path / "alone")
    monkeypatch.setenv("RAY_TMPDIR", str(small_disk))

    class Filler(gridcnn.RunWatcher):
        def on_epoch(self, epoch: Any, epochs: int) -> None:
            if epoch.epoch == 1:
                fill(small_disk)

    cluster: dict[str, Any] = {"cluster": "local", "workers": 2, "watcher": Filler()}
    shared = gridcnn.run("xo", changes=few, out=tmp_path / "shared", **cluster)
    np.testing.assert_array_equal(alone.model.parameters, shared.model.parameters)


def test_two_runs_on_one_cluster_end_as_one_alone(nodes: Any, tmp_path: Path) -> None:
    gridcnn.run(
        "xo", changes={"training.epochs": 2, "data.source.xo.count": 600}, out=tmp_path / "alone"
    )
    both = [start(tmp_path / name, nodes.address) for name in ("first", "second")]
    for process, name in zip(both, ("first", "second"), strict=True):
        said = process.communicate()
        assert process.returncode == 0, said
        for file in ("model.safetensors", "predictions.csv"):
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "alone" / file).read_bytes()


def test_a_run_goes_on_with_the_workers_that_the_others_leave(
    nodes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time for waiting is over here once the one worker that there is room for has started."""
    with join(Cluster(nodes.address)) as cores:
        first = Crew(cores - 1, 1)
        admitted: list[Any] = []
        admit = Crew._admit

        def count(self: Crew, *, timeout: float = 0) -> list[Any]:
            admitted.extend(found := admit(self, timeout=timeout))
            return found

        monkeypatch.setattr(Crew, "_admit", count)
        clock = SimpleNamespace(monotonic=lambda: 1000.0 * len(admitted))
        monkeypatch.setattr("gridcnn.cluster.crew.time", clock)
        second = Crew(2, 1)
        monkeypatch.undo()
        assert len(first.workers) == cores - 1
        assert len(second.workers) == 1
        first.dismiss()
        second.dismiss()


def test_what_is_sent_does_not_stay_in_the_object_store(nodes: Any) -> None:
    """A step's parameters, batch and sums are given up when the next ones come."""
    from ray._private.worker import global_worker

    spec = load(
        {
            "stages": [{"convolution": {"filters": 8}}, "rectification", "pooling"],
            "head": {"voting": {"hidden": [256]}},
            "training": {"epochs": 1, "batch_size": 32, "restarts": 0},
        }
    )
    network = Network(spec, GridShape(1, 32, 32), classes=2)  # 2 MB of parameters
    draw = np.random.default_rng(0)
    data = Labelled(draw.normal(size=(1280, 1, 32, 32)).astype(np.float32), np.arange(1280) % 2)
    counts: list[int] = []

    class Meter:
        def on_batch(self, *_: Any) -> None:
            counts.append(len(global_worker.core_worker.get_all_reference_counts()))

        def __getattr__(self, name: str) -> Any:
            if name.startswith("on_"):
                return lambda *_: None
            raise AttributeError(name)

    with join(Cluster(nodes.address)):
        engine = ClusterEngine(network, workers=2)
        train(engine, data, None, spec.training, watcher=Meter())
        engine.dismiss()
    assert len(counts) == 40
    assert max(counts[5:]) <= max(counts[:5])
