"""As many epochs are planned as fit into the minutes; the plan is written into the spec."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.runs.watcher import RunWatcher
from gridcnn.spec.load import load
from gridcnn.training import budget
from gridcnn.training.budget import Budget, plan_epochs
from gridcnn.training.loop import Labelled, TrainingState
from gridcnn.training.signs import Sign

SPEC: dict[str, Any] = {
    "data": {"source": "digits"},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"minutes": 0.01, "schedule": "one_cycle", "learning_rate": 0.003},
}


class Watcher(RunWatcher):
    """Ignores that so short a training learns little, and keeps the plan."""

    def __init__(self) -> None:
        self.budgets: list[Budget] = []

    def on_sign(self, sign: Sign) -> None:
        pass

    def on_budget(self, budget: Budget) -> None:
        self.budgets.append(budget)


class Clock:
    """Time that passes only as items are trained on and answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.trained: list[int] = []
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(budget, "train", self.train)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def train(self, engine: Any, items: Labelled, *_: Any) -> TrainingState:
        self.trained.append(len(items))
        self.now += 0.01 * len(items)
        return TrainingState(np.zeros(1), np.zeros(1))


class SlowAnswers(ReferenceEngine):
    clock: Clock

    def logits(self, parameters: Any, grids: Any) -> Any:
        self.clock.now += 0.002 * len(grids)
        return None


@pytest.mark.parametrize(("items", "answers"), [(1000, 0), (1000, 500), (20, 5)])
def test_the_plan_is_the_time_over_that_of_an_epoch(
    items: int, answers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item takes 10 ms to train on and 2 ms to answer; 8 % of the time is spare."""
    clock = Clock(monkeypatch)
    network = Network(load({"head": "voting"}), GridShape(1, 2, 2), classes=2)
    engine = SlowAnswers(network)
    engine.clock = clock
    data = Labelled(np.zeros((items, 1, 2, 2), np.float32), np.zeros(items, np.int64))
    settings = load({"training": {"minutes": 10, "batch_size": 10}}).training

    found = plan_epochs(
        engine, data, data.at(np.arange(answers)), settings, save=lambda _: clock.wait(0.5)
    )
    seconds = 0.01 * items + 0.002 * answers + 0.5
    assert found.epoch_seconds == pytest.approx(seconds)
    assert found.epochs == int(0.92 * 600 / seconds)
    assert max(clock.trained) <= items
    assert clock.now < 0.06 * 600  # the probes themselves take little


def test_the_spec_of_a_run_has_the_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolved spec gives the same bits again, whatever the machine does by then."""
    watcher = Watcher()
    planned = Budget(minutes=10, epochs=4, epoch_seconds=100)
    monkeypatch.setattr("gridcnn.runs.run.plan_epochs", lambda *_, **__: planned)

    first = gridcnn.run(SPEC, out=tmp_path / "first", watcher=watcher)
    training = first.model.spec.training
    assert training.minutes is None
    assert training.epochs == len(first.history) == watcher.budgets[0].epochs
    assert first.metrics["budget"]["epochs"] == training.epochs

    again = gridcnn.run(tmp_path / "first" / "spec.yaml", out=tmp_path / "again", watcher=Watcher())
    np.testing.assert_array_equal(again.model.parameters, first.model.parameters)
    assert "budget" not in again.metrics


def test_a_run_whose_time_is_over_sooner_ends_and_is_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine became slower than it was when the epochs were planned."""
    monkeypatch.setattr(
        "gridcnn.runs.run.plan_epochs",
        lambda *_, **__: Budget(minutes=0.01, epochs=500, epoch_seconds=1),
    )

    first = gridcnn.run(SPEC, out=tmp_path / "first", watcher=Watcher())
    done = len(first.history)
    assert 1 <= done < 500
    assert first.metrics["stopped"] == "minutes"
    training = load(tmp_path / "first").training
    assert (training.epochs, training.stop_after) == (500, done)
    assert first.model.spec.training == training

    again = gridcnn.run(tmp_path / "first" / "spec.yaml", out=tmp_path / "again", watcher=Watcher())
    np.testing.assert_array_equal(again.model.parameters, first.model.parameters)
    with pytest.raises(gridcnn.errors.RunFolderError, match="since training"):
        gridcnn.run(resume=tmp_path / "first")
    changes = {"training.stop_after": done + 1}
    resumed = gridcnn.run(resume=tmp_path / "first", changes=changes, watcher=Watcher())
    assert len(resumed.history) == done + 1


def test_an_interrupted_run_goes_on_with_its_plan(tmp_path: Path) -> None:
    """Time is not measured again: the epochs are in the spec of its folder."""

    class Stop(Watcher):
        def on_epoch(self, epoch: Any, epochs: int) -> None:
            if epoch.epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(gridcnn.errors.TrainingInterrupted):
        gridcnn.run(SPEC, out=tmp_path / "run", watcher=Stop())
    planned = load(tmp_path / "run").training
    resumed = gridcnn.run(resume=tmp_path / "run", watcher=Watcher())
    assert planned.minutes is None
    assert len(resumed.history) == planned.epochs


def test_time_for_less_than_an_epoch_gives_one(tmp_path: Path) -> None:
    """And the plan says that it takes longer."""
    spec = {**SPEC, "training": {"minutes": 1e-6}}

    result = gridcnn.run(spec, out=tmp_path / "run")
    assert len(result.history) == 1
    assert str(Budget(1.0, 1, 90.0)) == (
        "1 epoch of about 90 s planned for 1 minutes; one alone takes longer"
    )


def test_the_classifier_plans_as_well() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 5, 5)), np.arange(40) % 2

    model = gridcnn.GridClassifier(changes={"training.minutes": 0.01}, check="off").fit(X, y)
    training = model.model_.spec.training
    assert training.minutes is None
    assert model.n_iter_ == (training.stop_after or training.epochs)
