"""The learning-rate finder: its steps, its means, its suggestion and its picture."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter1d

import gridcnn
from gridcnn.errors import RunFolderError, SpecError, TrainingInterrupted
from gridcnn.runs.prepare import prepare
from gridcnn.spec.load import load
from gridcnn.tuning.rate import HIGHEST, LOWEST, STEPS, find_learning_rate, smooth, suggest_rate
from gridcnn.tuning.watcher import TuneWatcher

SPEC: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 200, "size": [12, 12]}}, "validation": 0},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_losses_are_averaged_as_scipy_does_it() -> None:
    """A normal distribution of weights, also at the ends; an explosion is cut."""
    losses = np.concatenate([np.linspace(2.0, 0.5, 60), [3.0, 90.0, 1e4]])
    cut = np.minimum(losses, 2 * losses[:10].mean())
    options: dict[str, Any] = {"sigma": 3.0, "mode": "constant", "truncate": 30.0}

    wanted = gaussian_filter1d(cut, **options) / gaussian_filter1d(np.ones(63), **options)

    np.testing.assert_allclose(smooth(losses), wanted, rtol=1e-9)


def test_the_suggested_rate_is_between_two_rules_of_thumb() -> None:
    """A tenth of the rate of the lowest loss, and that of four fifths of the fall."""
    rates = np.geomspace(1e-4, 1.0, 41)
    losses = np.full(41, 2.0)
    losses[10:31] = np.linspace(2.0, 1.0, 21)  # from 1e-3 to 0.1; four fifths are at 10 ** -1.4

    assert suggest_rate(rates, losses) == float(f"{np.sqrt(0.01 * 10**-1.4):.2g}")
    assert suggest_rate(rates, np.arange(41.0)) == float(f"{np.sqrt(1e-5 * 1e-4):.2g}")


def test_the_rate_rises_over_batches_of_training() -> None:
    """The first step has the loss of the starting weights on the first batch of training."""
    found = find_learning_rate(SPEC)

    assert 10 < len(found.rates) <= STEPS
    np.testing.assert_allclose(
        found.rates, np.geomspace(LOWEST, HIGHEST, STEPS)[: len(found.rates)]
    )
    assert found.losses.shape == found.smoothed.shape == found.rates.shape
    assert found.own == 0.01
    assert 1e-3 < found.suggested < 1.0
    first: list[float] = []

    class First(gridcnn.RunWatcher):
        def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
            first.append(loss)

    gridcnn.run(SPEC, watcher=First(), changes={"training.learning_rate": 1e-9})
    np.testing.assert_allclose(found.losses[:8], first[:8], rtol=1e-3)
    assert found.losses[0] == first[0]


def test_it_is_the_same_each_time_and_for_any_number_of_threads() -> None:
    """To the last bit; another seed has other losses."""
    first = find_learning_rate(SPEC, threads=1)
    again = find_learning_rate(SPEC, threads=2)
    other = find_learning_rate(SPEC, seed=3, out="other")

    assert (first.losses == again.losses).all()
    assert first.losses[0] != other.losses[0]


def test_no_test_or_validation_item_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the training items of a run."""
    kept: list[Any] = []
    made = prepare

    def keep(*given: Any, **settings: Any) -> Any:
        kept.append(made(*given, **settings))
        return kept[-1]

    monkeypatch.setattr("gridcnn.tuning.items.prepare", keep)

    find_learning_rate(SPEC, changes={"data.validation": 0.2})

    [prepared] = kept
    assert len(prepared.test) == 0
    assert len(prepared.train) == 128


def test_a_table_and_a_picture_are_written_and_replaced() -> None:
    """In a folder beside the runs; other folders are left alone."""
    found = find_learning_rate(SPEC)
    again = find_learning_rate(SPEC)

    assert found.folder == again.folder == Path("runs/tiny/learning_rate")
    assert sorted(each.name for each in found.folder.iterdir()) == ["sweep.csv", "sweep.png"]
    with (found.folder / "sweep.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == found.losses.tolist()
    assert [float(row["learning_rate"]) for row in rows] == found.rates.tolist()
    with Image.open(found.folder / "sweep.png") as picture:
        assert min(picture.size) > 300
    assert found.plain()["suggested"] == found.suggested
    Path("notes").mkdir()
    Path("notes/todo.txt").write_text("x")
    for out, message in (
        ("notes", r"notes is not empty, and holds no sweep of the learning rate"),
        ("notes/todo.txt", r"todo\.txt is a file; give a folder"),
    ):
        with pytest.raises(RunFolderError, match=message):
            find_learning_rate(SPEC, out=out)


def test_a_search_space_is_taken_in_its_middle() -> None:
    """The rate that is searched does not matter."""
    rates = {"training.learning_rate": {"log_range": [0.001, 0.1]}}

    found = find_learning_rate(SPEC, changes=rates)

    assert found.own == pytest.approx(0.01)
    assert (found.losses == find_learning_rate(SPEC, out="own").losses).all()


@pytest.mark.filterwarnings("ignore:learning rate too:gridcnn.TrainingWarning")
def test_a_suggested_rate_learns_better_than_rates_far_away() -> None:
    """A hundred times less, and a hundred times more, which are told."""
    spec = load({**SPEC, "data": {**SPEC["data"], "validation": 0.2}})
    rate = find_learning_rate(spec).suggested

    longer = {"training.epochs": 6, "training.select_by": "loss"}

    def loss(factor: float) -> float:
        run = gridcnn.run(spec, changes={**longer, "training.learning_rate": rate * factor})
        return float(run.metrics["validation"]["loss"])

    assert loss(1) < loss(0.01)
    assert loss(1) < loss(100)


def test_a_stopped_sweep_writes_nothing() -> None:
    """It takes seconds to start over."""

    class Stops(TuneWatcher):
        def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match="stopped; nothing was written"):
        find_learning_rate(SPEC, watcher=Stops())

    assert list(Path().iterdir()) == []


def test_nudges_have_no_rate_to_find() -> None:
    """In one line."""
    message = "--set training.method=nudge: a learning rate is found for method: backpropagation"

    with pytest.raises(SpecError, match=message):
        find_learning_rate(SPEC, changes=["training.method=nudge"])
