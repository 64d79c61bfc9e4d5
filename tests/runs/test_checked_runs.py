"""The check before training, within runs and cross-validations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

import gridcnn
from gridcnn.errors import ColumnPermutableError, ShapeError, TrainingInterrupted
from gridcnn.order.guard import Checked, PermutableWarning, guard
from gridcnn.progress import Progress
from gridcnn.runs import run as run_module
from gridcnn.runs.run import RunWatcher

pytestmark = pytest.mark.slow

LINE: dict[str, Any] = {
    "name": "line",
    "stages": [{"convolution": {"filters": 4, "kernel_size": [1, 3]}}, "rectification"],
    "head": "voting",
    "training": {"epochs": 2},
}
PICTURES = {
    "name": "pictures",
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 2},
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that grows by what the guard is asked with, each time that it is asked."""
    found: list[Any] = []

    def listening(*arguments: Any, **options: Any) -> Checked:
        found.append((arguments, options))
        return guard(*arguments, **options)

    monkeypatch.setattr(run_module, "guard", listening)
    return found


def digits(items: int = 200) -> tuple[Any, Any]:
    data = load_digits()
    return data.images[:items], data.target[:items]


def wines(adapter: str) -> tuple[dict[str, Any], Any]:
    """Return a spec and data of wines, as a file for the table adapter or as an array."""
    wine = load_wine(as_frame=True)
    if adapter == "array":
        return {**LINE, "adapter": "array"}, (wine.data.to_numpy(), wine.target.to_numpy())
    wine.frame.to_csv("wine.csv", index=False)
    source = {"table": {"path": str(Path("wine.csv").absolute()), "label": "target"}}
    return {**LINE, "adapter": "table", "data": {"source": source}}, None


class _Hears(RunWatcher):
    """Remembers what it is told of checking; may press Ctrl-C in an epoch, or while checking."""

    def __init__(self, stop: int | str | None = None) -> None:
        self.stop = stop
        self.checked: list[Checked] = []
        self.steps: list[Progress] = []

    def on_checking(self, progress: Progress) -> None:
        self.steps.append(progress)
        if self.stop == "checking":
            raise KeyboardInterrupt

    def on_check(self, checked: Checked) -> None:
        self.checked.append(checked)

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if isinstance(self.stop, int) and epoch > self.stop:
            raise KeyboardInterrupt


@pytest.mark.parametrize("adapter", ["table", "array"])
def test_a_table_whose_columns_may_change_places_is_refused(adapter: str) -> None:
    """With the evidence, what to use instead, and how to train all the same; nothing is left."""
    spec, data = wines(adapter)

    with pytest.raises(ColumnPermutableError) as caught:
        gridcnn.run(spec, data=data, out="run")

    lines = str(caught.value).splitlines()
    assert "no grid" in lines[0]
    assert any(line.startswith("neighbours: ") for line in lines)
    assert any(line.startswith("usefulness: ") for line in lines)
    assert any("HistGradientBoostingClassifier" in line for line in lines)
    assert "check: warn" in lines[-1]
    assert not Path("run").exists()


@pytest.mark.parametrize("adapter", ["table", "array"])
def test_warn_trains_and_tells_that_the_rule_was_overridden(adapter: str) -> None:
    spec, data = wines(adapter)

    with pytest.warns(PermutableWarning, match="no grid"):
        result = gridcnn.run({**spec, "check": "warn"}, data=data)

    check = result.metrics["check"]
    assert (check["setting"], check["decision"], check["overridden"]) == (
        "warn",
        "permutable",
        True,
    )
    (verdict,) = check["verdicts"]
    assert (verdict["checker"], verdict["decision"]) == ("order", "permutable")
    assert verdict["evidence"]
    assert verdict["advice"]
    written = json.loads((result.folder / "metrics.json").read_text(encoding="utf-8"))
    assert written["check"] == check
    assert written["check"] == json.loads((result.folder / "check.json").read_text("utf-8"))
    assert 0 < result.metrics["seconds"]["checking"] <= result.metrics["seconds"]["total"]


@pytest.mark.parametrize("adapter", ["table", "array"])
def test_off_does_not_look_and_says_so(adapter: str) -> None:
    spec, data = wines(adapter)
    hears = _Hears()

    result = gridcnn.run({**spec, "check": "off"}, data=data, watcher=hears)

    assert result.metrics["check"] == {
        "setting": "off",
        "decision": None,
        "overridden": True,
        "verdicts": [],
    }
    assert not hears.steps


def test_pictures_as_arrays_are_a_grid() -> None:
    """The watcher is told of progress and verdict; the run's seed makes the verdict the same."""
    hears = [_Hears(), _Hears()]

    first, again = (gridcnn.run(PICTURES, data=digits(), watcher=each) for each in hears)

    assert first.metrics["check"] == again.metrics["check"]
    assert first.metrics["check"]["decision"] == "grid"
    assert first.metrics["check"]["overridden"] is False
    assert [each.decision for each in hears[0].checked] == ["grid"]
    assert hears[0].steps[-1].done == hears[0].steps[-1].total


@pytest.mark.parametrize(("items", "columns"), [(24, 9), (60, 2)])
def test_too_little_data_is_trained_on(items: int, columns: int) -> None:
    random = np.random.default_rng(0)
    data = (random.normal(size=(items, columns)), np.arange(items) % 2)

    result = gridcnn.run({**LINE, "stages": ["rectification"]}, data=data)

    assert result.metrics["check"]["decision"] == "undecided"
    assert result.metrics["check"]["verdicts"][0]["evidence"]


def test_adapters_that_make_order_are_not_asked_about(asked: list[Any]) -> None:
    hears = _Hears()
    spec = {**PICTURES, "adapter": {"image": {"size": [8, 8]}}}

    result = gridcnn.run(
        spec, data="xo", changes={"data.source.xo.count": 60, "training.epochs": 1}, watcher=hears
    )

    assert not asked
    assert not hears.checked
    assert "check" not in result.metrics
    assert not (result.folder / "check.json").exists()


def test_the_guard_is_told_all_that_the_run_knows(asked: list[Any]) -> None:
    """Only the training items are looked at."""
    result = gridcnn.run(PICTURES, data=digits(), seed=5, threads=1)

    ((grids, targets, check), options) = asked[0]
    items = result.metrics["train"]["items"]
    assert (len(grids), len(targets), check) == (items, items, "reject")
    assert items < 200
    assert (options["seed"], options["threads"]) == (5, 1)
    assert options["shape"].sizes == (1, 8, 8)


def test_a_resumed_run_does_not_check_again(asked: list[Any]) -> None:
    """It ends with the same figures; only where what was found is damaged, it looks again."""
    whole = gridcnn.run(PICTURES, data=digits())
    for name in ("first", "second"):
        with pytest.raises(TrainingInterrupted):
            gridcnn.run(PICTURES, data=digits(), out=name, watcher=_Hears(1))
    Path("second/check.json").write_text('{"setting": "reject"}')
    assert len(asked) == 3

    hears = _Hears()
    first = gridcnn.run(resume="first", data=digits(), watcher=hears)
    assert len(asked) == 3
    second = gridcnn.run(resume="second", data=digits())
    assert len(asked) == 4

    assert first.metrics["check"] == second.metrics["check"] == whole.metrics["check"]
    assert [each.decision for each in hears.checked] == ["grid"]
    assert not hears.steps


def test_a_cross_validation_checks_once(asked: list[Any]) -> None:
    """Also where it is stopped in its second fold and goes on."""

    class Stops(_Hears):
        def on_fold(self, number: int, folds: int, test: Any) -> None:
            self.stop = 1 if number == 2 else None

    stops = Stops()
    with pytest.raises(TrainingInterrupted):
        gridcnn.cross_validate(PICTURES, folds=3, data=digits(), out="folds", watcher=stops)
    result = gridcnn.cross_validate(resume="folds", data=digits())

    assert len(asked) == 1
    assert len(stops.checked) == 1
    assert result.metrics["check"]["decision"] == "grid"
    assert all(fold.metrics["check"] == result.metrics["check"] for fold in result.folds)
    assert result.metrics["seconds"]["checking"] >= 0


def test_a_cross_validation_refuses_before_anything_is_written() -> None:
    spec, data = wines("array")

    with pytest.raises(ColumnPermutableError, match="no grid"):
        gridcnn.cross_validate(spec, folds=3, data=data, out="folds")

    assert not Path("folds").exists()


def test_ctrl_c_while_checking_leaves_nothing() -> None:
    with pytest.raises(TrainingInterrupted, match="nothing was written"):
        gridcnn.run(PICTURES, data=digits(), out="run", watcher=_Hears("checking"))

    assert not Path("run").exists()


def test_a_wrong_spec_is_told_before_the_check(asked: list[Any]) -> None:
    spec = {
        **LINE,
        "stages": [{"convolution": {"filters": 2, "kernel_size": [3, 3], "padding": "valid"}}],
    }

    with pytest.raises(ShapeError):
        gridcnn.run(spec, data=wines("array")[1])

    assert not asked
