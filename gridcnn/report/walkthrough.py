"""The walk-through: how a network sees an X, as a page made from a live run.

`collect` trains a small network on pictures of X and O and keeps its features after every epoch.
Every number that the page shows is computed here, or by the page itself.
"""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.checking import check
from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.sounds import CLASSES, Sounds
from gridcnn.engines.base import Engine, Memory
from gridcnn.errors import TrainingInterrupted
from gridcnn.grid import Array
from gridcnn.gridding import grids_of
from gridcnn.network import Network
from gridcnn.order.verdict import Verdict
from gridcnn.pipeline import Pipeline
from gridcnn.report.assembly import assemble
from gridcnn.report.sentences import SIGNS
from gridcnn.runs.outcome import Run
from gridcnn.runs.prepare import Prepared
from gridcnn.runs.run import run
from gridcnn.runs.watcher import RunWatcher
from gridcnn.training.checkpoint import load_parameters
from gridcnn.training.loop import Epoch, loss_and_accuracy

FEATURES = {
    "a stroke down to the right": [[1, -1, -1], [-1, 1, -1], [-1, -1, 1]],
    "a crossing": [[1, -1, 1], [-1, 1, -1], [1, -1, 1]],
    "a stroke down to the left": [[-1, -1, 1], [-1, 1, -1], [1, -1, -1]],
}
"""Pieces of an X, written by hand."""
_CHANGES = {
    "data.source.xo.count": 2000,
    "adapter": {"image": {"size": [32, 32], "channels": 1}},
    "stages": [
        {"convolution": {"filters": 8, "kernel_size": 7}},
        "rectification",
        {"pooling": {"window": 2}},
        {"convolution": {"filters": 16, "kernel_size": 5}},
        "rectification",
        {"pooling": {"window": 4}},
    ],
    "head": {"voting": {"hidden": []}},
    "training.epochs": 20,
    "training.learning_rate": 0.002,
}
"""How the run differs from the ready spec `xo`: fewer pictures, taken as they are, and larger
features, so that one sees how they form."""
_NUDGES = 41
"""Values that one weight is given, to draw the error against it."""
_SOUND = "rising"
_CUSTOMERS = 400
_SHOWN = 8  # customers


@dataclass
class Walk:
    """The content of the page.

    Attributes:
        run: the live run.
        frames: the features of the first convolution `(filters, 1, rows, columns)` before the
            training and after every epoch, each with loss and accuracy on the validation items.
        nudge: the error against the value of one weight.
        sound: a sound and its grid.
        customers: a table whose columns can be swapped, as texts.
        verdict: what the checker says of it.
    """

    run: Run
    frames: list[dict[str, Any]] = field(default_factory=list)
    nudge: dict[str, Any] = field(default_factory=dict)
    sound: dict[str, Any] = field(default_factory=dict)
    customers: pd.DataFrame = field(default_factory=pd.DataFrame)
    verdict: Verdict | None = None


def collect(
    *, seed: int = 0, threads: int | None = None, watcher: RunWatcher | None = None
) -> Walk:
    """Train, and return the content of the page; `watcher` may show how far it is.

    Raises:
        TrainingInterrupted: the user stopped it; its folder is None, since nothing is kept.
    """
    try:
        return _collect(seed, threads, watcher or RunWatcher())
    except (KeyboardInterrupt, TrainingInterrupted):
        # The run was in a folder that is removed, so there is nothing to continue.
        raise TrainingInterrupted("stopped; nothing was written") from None


def _collect(seed: int, threads: int | None, watcher: RunWatcher) -> Walk:
    keeper = _Keeper(watcher)
    with tempfile.TemporaryDirectory() as folder:
        ended = run(
            "xo",
            out=Path(folder) / "run",
            changes={**_CHANGES, "training.seed": seed},
            threads=threads,
            watcher=keeper,
        )
    customers = _make_customers(seed)
    return Walk(
        ended,
        keeper.frames,
        keeper.nudge(),
        _hear(seed),
        customers,
        check(customers, "stays", seed=seed, threads=threads),
    )


def walkthrough_page(walk: Walk) -> str:
    """Return the walk-through as HTML."""
    metrics, verdict = walk.run.metrics, walk.verdict
    assert verdict is not None
    columns = [name for name in walk.customers.columns if name != "stays"]
    return assemble(
        "walkthrough.html",
        title="How a network sees an X",
        data={
            "picture": draw_x(),
            "features": [{"name": name, "cells": np.array(c)} for name, c in FEATURES.items()],
            "frames": walk.frames,
            "nudge": walk.nudge,
            "sound": walk.sound,
            "customers": {
                "columns": columns,
                "rows": walk.customers[columns].head(_SHOWN).astype(str).to_numpy().tolist(),
            },
        },
        scripts=("arithmetic.js", "views.js", "walkthrough.js"),
        accuracy=f"{metrics['test']['accuracy']:.1%}",
        literal=f"{metrics['literal_comparison']['accuracy']:.1%}",
        exemplars=metrics["literal_comparison"]["exemplars"],
        test_items=f"{metrics['test']['items']:,}",
        train_items=f"{metrics['train']['items']:,}",
        parameters=f"{metrics['parameters']:,}",
        validation_items=f"{metrics['validation']['items']:,}",
        epochs=len(walk.frames) - 1,
        bricks=_bricks(walk.run.model.network),
        seed=walk.run.model.spec.training.seed,
        sign=SIGNS[verdict.decision][0],
        verdict=verdict,
        customers=_CUSTOMERS,
    )


def draw_x() -> NDArray[np.float32]:
    """Return the X of 9 by 9 cells: 1 is ink, -1 is paper."""
    picture = np.full((9, 9), -1, np.float32)
    for place in range(1, 8):
        picture[place, place] = picture[place, 8 - place] = 1
    return picture


def hand_made_maps(picture: NDArray[np.float32]) -> list[Array]:
    """Return the maps of the features written by hand: matches, rectified, pooled.

    `picture` is `(rows, columns)`; each result is `(features, rows, columns)`.
    """
    pipeline = Pipeline(
        {
            "adapter": {"array": {"size": list(picture.shape), "channels": 1, "scaling": "none"}},
            "stages": [
                {
                    "convolution": {
                        "features": list(FEATURES.values()),
                        "scale": "match",
                        "padding": "valid",
                    }
                },
                "rectification",
                {"pooling": {"window": 2}},
            ],
        }
    )
    return [pipeline.transform([picture], after=stage)[0] for stage in (1, 2, 3)]


def _bricks(network: Network) -> list[dict[str, str]]:
    """Return the stack of bricks: the grid, and each stage with its output."""
    picture = {"name": "the picture", "shape": str(network.values[0])}
    return [picture, *({"name": op.stage_name, "shape": str(op.output)} for op in network.ops)]


class _Keeper(RunWatcher):
    """Keeps the features of every epoch, and passes on what happens."""

    def __init__(self, watcher: RunWatcher) -> None:
        self._watcher = watcher
        self.frames: list[dict[str, Any]] = []
        self._engine: Engine | None = None
        self._prepared: Prepared | None = None
        self._folder = Path()
        self._start: Array | None = None

    def __getattribute__(self, name: str) -> Any:
        # What is not kept here is passed on, also if a run calls more methods one day.
        if name.startswith("on_") and name not in _Keeper.__dict__:
            return getattr(self._watcher, name)
        return super().__getattribute__(name)

    def on_engine(self, engine: Engine, memory: Memory) -> None:
        self._engine = engine
        self._watcher.on_engine(engine, memory)

    def on_plan(self, network: Network, prepared: Prepared, folder: Path) -> None:
        self._prepared, self._folder = prepared, folder
        self._start = network.starting_parameters()
        self._keep(self._start)
        self._watcher.on_plan(network, prepared, folder)

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        self._keep(load_parameters(self._folder / "checkpoint.safetensors"))
        self._watcher.on_epoch(epoch, epochs)

    def _keep(self, parameters: Array) -> None:
        assert self._engine is not None
        loss, accuracy = self._measure(parameters)
        first = self._engine.network.ops[0].views(parameters)["weights"]
        self.frames.append({"features": first[:, 0].copy(), "loss": loss, "accuracy": accuracy})

    def _measure(self, parameters: Array) -> tuple[float, float]:
        assert self._engine is not None
        assert self._prepared is not None
        data = self._prepared.validation.data
        logits = self._engine.logits(parameters, data.grids)
        return loss_and_accuracy(self._engine.head, logits, data.targets)

    def nudge(self) -> dict[str, Any]:
        """Return the error when the middle of the first feature is moved up and down.

        Before the training, so that there is something to gain; with the slope there, by which
        backpropagation moves it.
        """
        assert self._engine is not None
        assert self._start is not None
        assert self._prepared is not None
        slot = self._engine.network.ops[0].slots[0]
        rows, columns = slot.parameter.shape[-2:]
        data = self._prepared.validation.data
        gradient = self._engine.step(self._start, data.grids, data.targets).gradient[slot.part]
        # The cell of the first feature on which the error depends most is the best example.
        cell = int(np.abs(gradient[: rows * columns]).argmax())
        index = slot.part.start + cell
        values = self._start[index] + np.linspace(-2, 2, _NUDGES, dtype=np.float32)
        losses = []
        for value in values:
            moved = self._start.copy()
            moved[index] = value
            losses.append(self._measure(moved)[0])
        return {
            "row": cell // columns,
            "column": cell % columns,
            "values": [float(value) for value in values],
            "losses": losses,
            "start": float(self._start[index]),
            "slope": float(gradient[cell]),
            "feature": self._start[slot.part].reshape(slot.parameter.shape)[0, 0],
        }


def _hear(seed: int) -> dict[str, Any]:
    """Return a sound, as the address of a WAV file, and its grid with its axes."""
    source = Sounds(count=len(CLASSES), noise_db=30.0, noise_spread_db=0.0, seed=seed)
    sounds = source.open(Request(seed=seed))
    (clip,) = (
        thing for thing, label in zip(sounds.things, sounds.labels, strict=True) if label == _SOUND
    )
    adapter = AudioAdapter(duration=source.duration, floor_db=60).fitted([clip])
    grids = grids_of(adapter, [clip])
    axes = (grids.shape.row_axis, grids.shape.column_axis)
    return {
        "wav": "data:audio/wav;base64," + base64.b64encode(clip).decode("ascii"),
        "cells": np.asarray(grids.values)[0, 0],
        "axes": [{"name": axis.name, "unit": axis.unit, "labels": axis.labels} for axis in axes],
    }


def _make_customers(seed: int) -> pd.DataFrame:
    """Return a table of customers as shops have it, and whether each stays."""
    random = np.random.default_rng(seed)
    since = random.integers(0, 12, _CUSTOMERS)
    age = random.integers(18, 80, _CUSTOMERS)
    complaints = random.poisson(0.7, _CUSTOMERS)
    pull = 0.35 * since + 0.02 * age - 1.1 * complaints - 1 + random.normal(0, 1, _CUSTOMERS)
    return pd.DataFrame(
        {
            "age": age,
            "orders": random.poisson(1 + since),
            "kilometres": np.round(random.exponential(12, _CUSTOMERS), 1),
            "complaints": complaints,
            "children": random.poisson(1.1, _CUSTOMERS),
            "since": 2026 - since,
            "postcode": random.integers(10_000, 99_999, _CUSTOMERS),
            "rooms": random.integers(1, 7, _CUSTOMERS),
            "visits": random.poisson(5, _CUSTOMERS),
            "spent": np.round(random.gamma(2, 30, _CUSTOMERS) * (1 + since), 2),
            "stays": np.where(pull > 0, "yes", "no"),
        }
    )
