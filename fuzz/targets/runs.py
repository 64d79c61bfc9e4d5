"""Folders of runs and of cross-validations, whose files are changed, and data with odd labels."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gridcnn
from fuzz import bundle
from fuzz.changes import Changes
from fuzz.sealed import as_json, json_changed, tensors_changed, text_changed, yaml_changed
from fuzz.target import Target, kept, refused, require
from fuzz.targets.models import ask
from gridcnn.datasets.labels import labels_of
from gridcnn.errors import (
    ColumnPermutableError,
    DataError,
    GridcnnError,
    ModelFileError,
    SpecError,
    StopTraining,
    TrainingInterrupted,
)
from gridcnn.network import Network
from gridcnn.runs.folder import read_check
from gridcnn.runs.results import read_metrics, read_predictions
from gridcnn.runs.watcher import RunWatcher
from gridcnn.spec.load import load as load_spec

_SPEC = {"stages": ["pooling"], "head": "voting", "training": {"epochs": 1}}
_CHANGES = {"check": "warn", "data.validation": 0.2}
_MOST = 100_000
"""Multiplications for an item of a network that is trained: others are right, and take long."""
_EPOCHS = 3


class _Impatient(RunWatcher):
    """Ends a training that was changed to take very long."""

    def on_epoch(self, epoch: Any, epochs: int) -> None:  # noqa: ARG002 - as asked
        if epoch.epoch >= _EPOCHS:
            raise StopTraining


@functools.cache
def _items() -> tuple[Any, list[str]]:
    grids = np.random.default_rng(0).normal(0, 1, (24, 4, 4))
    return grids, ["a", "b\r"] * 12


def _files(folder: Path) -> bytes:
    """Return the files in a folder as an input."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return bundle.packed(
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if path.suffix}
    )


def _write(content: bytes, folder: Path) -> None:
    """Write files, whose names have no other folder than those of folds."""
    for name, inside in bundle.parts_of(content).items():
        *above, own = name.split("/")[-2:]
        if own in ("", ".", "..") or any(not each.startswith("fold-") for each in above):
            continue
        path = folder.joinpath(*above, own)
        with contextlib.suppress(OSError, ValueError):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(inside)


def _changed(name: str, content: bytes, changes: Changes) -> bytes:
    ending = name.rpartition(".")[2]
    change = {
        "yaml": yaml_changed,
        "json": json_changed,
        "csv": text_changed,
        "safetensors": tensors_changed,
    }.get(ending)
    return changes.raw(content) if change is None else change(content, changes)


def _renamed(name: str, changes: Changes) -> str:
    names = ("metrics.json", "checkpoint.safetensors", "model.safetensors", "folds.json")
    return changes.random.choice((*names, changes.text(name)))


def _folder_changed(content: bytes, changes: Changes) -> bytes:
    return bundle.changed(content, changes, _changed, names=_renamed)


# Runs -------------------------------------------------------------------------------------------


def _runs() -> Sequence[bytes]:
    """Return a run that has ended, and one that was stopped after an epoch."""
    whole = kept() / "run"
    gridcnn.run(_SPEC, data=_items(), out=whole, changes=_CHANGES, engine="reference")
    ended = _files(whole)
    parts = bundle.parts_of(ended)
    stopped = {
        name: content
        for name, content in parts.items()
        if name not in ("metrics.json", "model.safetensors", "predictions.csv")
    }
    return [ended, bundle.packed(stopped)]


def _is_small(folder: Path) -> bool:
    """Return whether the network of a run is small, or there is none."""
    try:
        spec = load_spec(folder / "spec.yaml")
        shape = gridcnn.Pipeline(spec, engine="reference").transform(_items()[0], after=0).shape
        grid = gridcnn.grid.GridShape(*shape[1:])
        return Network(spec, grid, classes=2).multiply_adds < _MOST and spec.training.epochs < 1000
    except GridcnnError:
        return True


def _look_at_run(content: bytes, folder: Path) -> None:
    _write(content, folder)
    read_check(folder)
    with refused(ModelFileError):
        ask(gridcnn.load(folder, engine="reference"))
    with refused():
        read_predictions(folder, read_metrics(folder))
    if not _is_small(folder):
        return
    with refused():
        result = gridcnn.run(resume=folder, data=_items(), engine="reference", watcher=_Impatient())
        json.dumps(result.metrics, allow_nan=False)


# Cross-validations --------------------------------------------------------------------------------


def _folds() -> Sequence[bytes]:
    whole = kept() / "folds"
    gridcnn.cross_validate(
        _SPEC, folds=2, data=_items(), out=whole, changes=_CHANGES, engine="reference"
    )
    (whole / "metrics.json").unlink()
    return [_files(whole)]


def _go_on(content: bytes, folder: Path) -> None:
    _write(content, folder)
    if not _is_small(folder):
        return
    with refused():
        result = gridcnn.cross_validate(
            resume=folder, data=_items(), engine="reference", watcher=_Impatient()
        )
        json.dumps(result.metrics, allow_nan=False)
        accuracy = result.metrics["out_of_fold"]["accuracy"]
        require(bool(np.isfinite(accuracy)), "an accuracy is not finite")


# Labels -------------------------------------------------------------------------------------------

_LABELS = (
    ["a", "b"] * 6,
    [0, 1, 2] * 4,
    [-1, 2**63, "k", "k "] * 3,
    ["\u00e9", "e\u0301", "=1+1", "a,b", 'a"b', "\r\n"] * 2,
    ["", " ", "nan", "None"] * 3,
    [True, False] * 6,
    [1.0, 2.5] * 6,
)


def _train(content: bytes, folder: Path) -> None:
    """Train with labels, and read everything back."""
    try:
        labels = json.loads(content)
    except (ValueError, RecursionError):
        return
    if not isinstance(labels, list) or len(labels) > 400:
        return
    with refused(DataError):
        labels_of(np.array([*labels, None], object)[:-1])
    grids = np.random.default_rng(0).normal(0, 1, (len(labels), 4, 4))
    out = folder / "out"
    kinds = (SpecError, DataError, ColumnPermutableError, TrainingInterrupted)
    with refused(*kinds):
        result = gridcnn.run(
            _SPEC, data=(grids, labels), out=out, changes=_CHANGES, engine="reference"
        )
        metrics = read_metrics(out)
        require(metrics["classes"] == list(result.model.classes), "classes differ in metrics.json")
        read_predictions(out, metrics)
        again = gridcnn.load(out, engine="reference")
        require(again.classes == result.model.classes, "classes differ in the model")
        require(set(again.classes) <= set(labels_of(labels)), "a class is none of the labels")
        gridcnn.evaluate(again, (grids, labels))


TARGETS = (
    Target("run", "run folders", _runs, _look_at_run, _folder_changed),
    Target("folds", "folders of cross-validations", _folds, _go_on, _folder_changed),
    Target("labels", "labels", lambda: [as_json(each) for each in _LABELS], _train, json_changed),
)
