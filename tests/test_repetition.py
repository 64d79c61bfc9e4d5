"""Repetition: a run for each of several seeds, and what all of them come to."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.errors import RunFolderError, SpecError, TrainingInterrupted
from gridcnn.runs.run import RunWatcher

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 90, "size": [12, 12]}}, "validation": 0.2},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01, "seed": 7},
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def figures(folder: Path) -> dict[str, Any]:
    """Return the metrics without what a clock has measured."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    del metrics["seconds"]
    return metrics


def test_each_run_is_that_of_its_seed() -> None:
    """To the last bit; each has a whole run folder."""
    result = gridcnn.repeat(TINY, repeats=3)

    assert result.folder == Path("runs/tiny/1")
    assert {each.name for each in result.folder.iterdir()} == {
        *("run-1", "run-2", "run-3"),
        *("spec.yaml", "repeats.json", "predictions.csv", "metrics.json"),
    }
    assert [run.seed for run in result.runs] == [7, 8, 9]
    for run in result.runs:
        single = gridcnn.run(TINY, seed=run.seed, out=f"single-{run.seed}")
        model = gridcnn.load(run.folder)
        assert (model.parameters == single.model.parameters).all()
        assert run.metrics["test"] == single.metrics["test"]
    with pytest.raises(gridcnn.ModelFileError, match=r"name one of its runs, as \S+run-1$"):
        gridcnn.load(result.folder)


def test_figures_are_those_of_numpy() -> None:
    """Mean and spread over the runs; all answers, each with its seed."""
    result = gridcnn.repeat(TINY, repeats=3, seed=0)

    for part in ("test", "validation", "train"):
        for figure in ("accuracy", "loss"):
            each = np.array([run.metrics[part][figure] for run in result.runs])
            found = result.metrics[part][figure]
            assert found["mean"] == pytest.approx(each.mean())
            assert found["std"] == pytest.approx(each.std(ddof=1))
            assert (found["min"], found["max"]) == (each.min(), each.max())
            assert list(result.frame[f"{part}_{figure}"]) == list(each)
    assert [run["seed"] for run in result.metrics["runs"]] == [0, 1, 2]
    assert [run["test"] for run in result.metrics["runs"]] == [
        run.metrics["test"] for run in result.runs
    ]
    assert result.metrics == json.loads((result.folder / "metrics.json").read_text())
    with (result.folder / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["0"] * 18 + ["1"] * 18 + ["2"] * 18
    right = np.mean([row["truth"] == row["answer"] for row in rows])
    assert right == pytest.approx(result.metrics["test"]["accuracy"]["mean"])


class Stops(RunWatcher):
    """Presses Ctrl-C in the second run, after its first epoch."""

    now = 0

    def on_repeat(self, number: int, repeats: int, seed: int) -> None:
        self.now = number

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if self.now == 2 and epoch == 2:
            raise KeyboardInterrupt


def test_a_stopped_repetition_goes_on() -> None:
    """And ends with the figures of one that was not stopped."""
    whole = gridcnn.repeat(TINY, repeats=3, out="whole")

    with pytest.raises(TrainingInterrupted, match="gridcnn run --resume part"):
        gridcnn.repeat(TINY, repeats=3, out="part", watcher=Stops())
    for function in (gridcnn.run, gridcnn.cross_validate):
        with pytest.raises(RunFolderError, match=r"continue with gridcnn\.repeat\(resume='part'\)"):
            function(resume="part")
    result = gridcnn.repeat(resume="part")

    assert figures(Path("part")) == figures(Path("whole"))
    assert result.runs[1].metrics["test"] == whole.runs[1].metrics["test"]
    with pytest.raises(RunFolderError, match="the repetition in part has ended; there is nothing"):
        gridcnn.repeat(resume="part")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeats": 1}, "repeats must be a whole number from 2 to 1,000; got 1"),
        ({"repeats": 2.0}, "repeats must be a whole number from 2 to 1,000; got 2.0"),
        (
            {"seed": 2**32 - 2},
            "the seeds 4294967294 to 4294967298 go beyond 4294967295, the largest one; begin with "
            "a smaller --seed",
        ),
        (
            {"changes": ["data.test=0"]},
            "--set data.test=0: a repetition measures how much the test accuracy varies, and there "
            "are no test items; set data.test above 0",
        ),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, Any], message: str) -> None:
    """Nothing is written."""
    with pytest.raises(SpecError) as caught:
        gridcnn.repeat(TINY, **settings)

    assert str(caught.value) == message
    assert list(Path().iterdir()) == []


def test_a_repetition_goes_on_only_as_it_started() -> None:
    """With its own runs, its engine and its data."""
    with pytest.raises(TrainingInterrupted):
        gridcnn.repeat(TINY, repeats=2, out="part", watcher=Stops())

    with pytest.raises(RunFolderError, match="resumes with its own runs; leave repeats out"):
        gridcnn.repeat(resume="part", repeats=3)
    with pytest.raises(RunFolderError, match="continue with --engine native"):
        gridcnn.repeat(resume="part", engine="reference")
    with pytest.raises(RunFolderError, match="was started with other data: it has other items"):
        gridcnn.repeat(resume="part", data="digits")
    Path("part/repeats.json").write_text('{"seeds": [3, 1], "engine": "native", "data": "a"}')
    with pytest.raises(RunFolderError, match=r"repeats\.json is damaged: .*do not follow"):
        gridcnn.repeat(resume="part")
