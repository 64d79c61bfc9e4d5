"""Records of runs for TensorBoard and MLflow, read back by their own packages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gridcnn
from gridcnn.errors import UserError

CHANGES = {"data.source.xo.count": 120, "training.epochs": 2, "data.validation": 0.2}


def scalars(folder: Path) -> dict[str, list[Any]]:
    """Return what a folder of TensorBoard holds, by tag: steps and values."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[Any]] = {}
    (path,) = folder.glob("events*")
    content = path.read_bytes()
    at = 0
    while at < len(content):
        # A record: its size, a checksum of that, the record itself, a checksum of it.
        size = int.from_bytes(content[at : at + 8], "little")
        event = Event.FromString(content[at + 12 : at + 12 + size])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        at += 16 + size
    return found


def test_tensorboard_gets_every_epoch_and_the_test(tmp_path: Path) -> None:
    """The curves are those of history.csv, and the last points those of metrics.json."""
    pytest.importorskip("tensorboardX")
    watcher = gridcnn.TensorBoardWatcher(tmp_path / "board")

    run = gridcnn.run("xo", out=tmp_path / "runs" / "a", changes=CHANGES, watcher=watcher)

    found = scalars(tmp_path / "board" / "runs-a")
    assert found["loss"] == [(each.epoch, pytest.approx(each.loss)) for each in run.history]
    assert [step for step, _ in found["validation_accuracy"]] == [1, 2]
    accuracy = pytest.approx(run.metrics["test"]["accuracy"])
    assert found["test_accuracy"] == [(run.metrics["best_epoch"], accuracy)]


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    module = pytest.importorskip("mlflow")
    before = module.get_tracking_uri()
    module.set_tracking_uri((tmp_path / "mlruns").as_uri())
    yield module
    module.set_tracking_uri(before)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_mlflow_gets_settings_figures_and_the_folder(tmp_path: Path, mlflow: Any) -> None:
    """A run of MLflow is begun and ended for each run, if none is active."""
    run = gridcnn.run(
        "xo", out=tmp_path / "runs" / "a", changes=CHANGES, watcher=gridcnn.MLflowWatcher()
    )

    assert mlflow.active_run() is None
    (logged,) = mlflow.search_runs(output_format="list")
    assert logged.info.status == "FINISHED"
    assert logged.info.run_name == "runs-a"
    assert logged.data.params["training.learning_rate"] == "0.003"
    assert logged.data.params["stages.0.convolution.filters"] == "8"
    assert logged.data.metrics["test_accuracy"] == run.metrics["test"]["accuracy"]
    losses = mlflow.tracking.MlflowClient().get_metric_history(logged.info.run_id, "loss")
    assert [each.value for each in losses] == [epoch.loss for epoch in run.history]
    kept = Path(logged.info.artifact_uri.removeprefix("file://"))
    assert (kept / "model.safetensors").is_file()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_an_active_run_of_mlflow_is_used_and_left_open(tmp_path: Path, mlflow: Any) -> None:
    """What the user began, the user ends."""
    with mlflow.start_run() as own:
        watcher = gridcnn.MLflowWatcher(artifacts=False)
        gridcnn.run("xo", out=tmp_path / "a", changes=CHANGES, watcher=watcher)

        assert mlflow.active_run().info.run_id == own.info.run_id

    (logged,) = mlflow.search_runs(output_format="list")
    assert "test_accuracy" in logged.data.metrics


@pytest.mark.parametrize(
    ("make", "package", "extra"),
    [
        (gridcnn.TensorBoardWatcher, "tensorboardX", "tensorboard"),
        (gridcnn.MLflowWatcher, "mlflow", "mlflow"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    make: Any, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what to install."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(UserError, match=rf"{package}.*gridcnn\[{extra}\]"):
        make()
