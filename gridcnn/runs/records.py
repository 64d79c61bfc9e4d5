"""Watchers that pass the figures of a run on to programs that record them: TensorBoard, MLflow.

Their packages are extras, and imported when a watcher is made.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from gridcnn.errors import UserError
from gridcnn.network import Network
from gridcnn.runs.prepare import Prepared
from gridcnn.runs.watcher import RunWatcher
from gridcnn.training.loop import Epoch

_FIGURES = (
    *("loss", "accuracy", "validation_loss", "validation_accuracy", "validation_score"),
    *("learning_rate", "seconds"),
)
_LONGEST = 500  # signs of a parameter that MLflow takes
_AT_ONCE = 100  # parameters that MLflow takes at once


class TensorBoardWatcher(RunWatcher):
    """Writes the figures of each epoch, and those of the test, where TensorBoard reads them.

    Each run gets a folder of its own, named after the run folder. Needs `gridcnn[tensorboard]`;
    `tensorboard --logdir FOLDER` shows the curves, also while the run goes on.

    Args:
        folder: where the folders of the runs are made.

    Raises:
        UserError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str] = "tensorboard") -> None:
        self._made = _import("tensorboardX", "TensorBoard", "tensorboard")
        self._folder = Path(folder)
        self._writer: Any = None

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:  # noqa: ARG002
        """Begin a record for the run."""
        self._writer = self._made.SummaryWriter(str(self._folder / _name(folder)))

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:  # noqa: ARG002
        """Write the figures of an epoch."""
        for name, value in _figures(epoch):
            self._writer.add_scalar(name, value, epoch.epoch)
        self._writer.flush()

    def on_end(self, metrics: dict[str, Any], folder: Path) -> None:  # noqa: ARG002
        """Write the figures of the test, and end the record."""
        for name, value in _results(metrics):
            self._writer.add_scalar(name, value, metrics["best_epoch"])
        self._writer.close()


class MLflowWatcher(RunWatcher):
    """Logs a run to MLflow: settings, figures of each epoch and of the test, and the run folder.

    It logs to the run of MLflow that is active, and otherwise to a new one for each run, named
    after the run folder. Needs `gridcnn[mlflow]`.

    Args:
        artifacts: whether the run folder, with the model, is logged when the run has ended.

    Raises:
        UserError: MLflow is not installed.
    """

    def __init__(self, *, artifacts: bool = True) -> None:
        self._mlflow = _import("mlflow", "MLflow", "mlflow")
        self._artifacts = artifacts
        self._is_own = False

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:
        """Begin a run of MLflow if none is active, and log the settings."""
        if self._is_own:
            self._mlflow.end_run("FAILED")  # a run before this one that has not ended
        self._is_own = self._mlflow.active_run() is None
        if self._is_own:
            self._mlflow.start_run(run_name=_name(folder))
        settings = dict(_settings(prepared.spec.model_dump(mode="json")))
        settings["parameters"] = str(network.parameters)
        names = list(settings)
        for start in range(0, len(names), _AT_ONCE):
            self._mlflow.log_params({n: settings[n] for n in names[start : start + _AT_ONCE]})

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:  # noqa: ARG002
        """Log the figures of an epoch."""
        self._mlflow.log_metrics(dict(_figures(epoch)), step=epoch.epoch)

    def on_end(self, metrics: dict[str, Any], folder: Path) -> None:
        """Log the figures of the test, and the folder."""
        self._mlflow.log_metrics(dict(_results(metrics)), step=metrics["best_epoch"])
        if self._artifacts:
            self._mlflow.log_artifacts(str(folder))
        if self._is_own:
            self._mlflow.end_run()
            self._is_own = False


def _import(package: str, title: str, extra: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError:
        raise UserError(
            f"a record for {title} needs {package}, which is not installed: "
            f"python -m pip install 'gridcnn[{extra}]'"
        ) from None


def _name(folder: Path) -> str:
    """Return the name of a run: that of its folder, and of the folder it is in."""
    return f"{folder.absolute().parent.name}-{folder.name}"


def _figures(epoch: Epoch) -> Iterator[tuple[str, float]]:
    for name in _FIGURES:
        value = getattr(epoch, name)
        if value is not None and math.isfinite(value):
            yield name, value


def _results(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of the test items, as `test_accuracy`."""
    for name, value in metrics.get("test", {}).items():
        if isinstance(value, int | float) and math.isfinite(value):
            yield f"test_{name}", value


def _settings(content: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every setting of a spec by its place, as `training.learning_rate`."""
    if isinstance(content, Mapping) and content:
        for name, value in content.items():
            yield from _settings(value, f"{place}.{name}" if place else str(name))
    elif isinstance(content, list) and any(isinstance(each, Mapping | list) for each in content):
        for number, value in enumerate(content):
            yield from _settings(value, f"{place}.{number}")
    else:
        yield place, str(content)[:_LONGEST]
