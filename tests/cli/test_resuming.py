"""Going on, and asking a run that has not ended, in the shell."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import gridcnn
from gridcnn import RunWatcher, StopTraining
from gridcnn.cli.main import app
from gridcnn.datasets.makers.made import write_files
from gridcnn.datasets.makers.xo import XO
from gridcnn.training.loop import Epoch

SPEC = """
name: tiny
data: {source: {xo: {count: 80, size: [12, 12]}}, test: 0.25}
adapter: {image: {size: [12, 12]}}
stages:
  - convolution: {filters: 2}
  - pooling
head: voting
training: {epochs: 3, batch_size: 16, learning_rate: 0.01}
"""


class _Stops(RunWatcher):
    """Stops a run after its second epoch."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        if epoch.epoch == 2:
            raise self.error


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand beside a spec, pictures, and a run that was stopped after two of three epochs."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SPEC)
    write_files(XO(count=6, size=(12, 12)), "pictures", seed=5)
    with pytest.raises(gridcnn.TrainingInterrupted):
        gridcnn.run("tiny.yaml", out="stopped", watcher=_Stops(KeyboardInterrupt))


def within(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_run_that_has_not_ended_answers_and_says_so(verb: str) -> None:
    """On standard error, so that the answers stay what they are."""
    more = ["--csv"] if verb == "predict" else []
    done = subprocess.run(
        [sys.executable, "-m", "gridcnn", verb, "stopped", "pictures", *more],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert done.stderr.startswith(
        "warning: the run in stopped has not ended: answers are those of "
    )
    assert done.stderr.endswith("of 2 so far (of 3)\n")
    if verb == "predict":
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert [row["answer"] in "XO" for row in rows] == [True] * 6


def test_show_takes_a_run_that_has_not_ended() -> None:
    """What its network sees needs no weights."""
    code, shown, errors = within("show", "pictures/X/00001.png", "--spec", "stopped")

    assert (code, errors) == (0, "")
    assert "1 x 12 x 12" in shown


def test_a_run_goes_on_for_more_epochs() -> None:
    """First to its end, then to another one, of which every epoch is told."""
    code, told, errors = within("run", "--resume", "stopped")
    assert (code, errors) == (0, "")
    assert "epoch 3/3" in told
    assert "epoch 2/3" not in told

    code, told, errors = within("run", "--resume", "stopped")
    assert (code, told) == (2, "")
    assert errors == (
        "error: the run in stopped has ended after 3 epochs; to continue, set more: gridcnn run "
        "--resume stopped --set training.epochs=6\n"
    )

    code, told, errors = within("run", "--resume", "stopped", "--set", "training.epochs=6")
    assert (code, errors) == (0, "")
    assert "epoch 4/6" in told
    assert "epoch 6/6" in told


def test_a_run_that_a_watcher_has_stopped_is_told_of() -> None:
    """Not as one that lost patience."""
    from gridcnn.cli.run import _say_result

    result = gridcnn.run("tiny.yaml", out="halted", watcher=_Stops(StopTraining))
    done = CliRunner().invoke(app, ["run", "--resume", "halted", "--quiet"])

    assert result.metrics["stopped"] == "watcher"
    _say_result(result)
    assert done.exit_code == 0
