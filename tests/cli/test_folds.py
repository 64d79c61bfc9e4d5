"""Cross-validation on the command line."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

import gridcnn
from gridcnn.runs.run import RunWatcher
from tests.cli.invoke import cli

SPEC = """
name: tiny
data: {source: {xo: {count: 90, size: [12, 12]}}}
adapter: {image: {size: [12, 12]}}
stages: [{convolution: {filters: 4}}, rectification, pooling]
head: {voting: {hidden: [8]}}
training: {epochs: 2, batch_size: 16, learning_rate: 0.01}
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a folder with a spec."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path


def test_folds_are_told_one_by_one_and_together(work: Path) -> None:
    """The plan once, a heading for each fold, and at the end mean, spread and each class."""
    done = cli("run", "tiny.yaml", "--folds", 3, folder=work)

    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("1 convolution") == 1
    for number in (1, 2, 3):
        assert f"\nfold {number} of 3\n" in done.stdout
        assert f"\nfold {number} of 3: test accuracy " in done.stdout
        assert re.search(rf"fold {number} of 3 +\d+\.\d % +0\.\d+ +30 +[12] ", done.stdout)
    assert re.search(
        r"test accuracy \d+\.\d % on average, standard deviation \d+\.\d %, from \d+\.\d % to "
        r"\d+\.\d %; 3 folds, ",
        done.stdout,
    )
    assert "all 90 answers together" in done.stdout
    assert re.search(r"\nX +\d", done.stdout.replace("\n ", "\n"))
    assert "run the spec without --folds" in done.stdout
    assert done.stdout.endswith("results: runs/tiny/1\n")


def test_folds_as_json_are_one_document(work: Path) -> None:
    """--json prints what metrics.json holds, and the folder."""
    done = cli("run", "tiny.yaml", "--folds", 2, "--json", "--out", "out", folder=work)

    printed = json.loads(done.stdout)
    assert printed.pop("folder") == "out"
    assert printed == json.loads((work / "out/metrics.json").read_text())


def test_folds_can_be_quiet(work: Path) -> None:
    """--quiet prints errors alone."""
    done = cli("run", "tiny.yaml", "--folds", 2, "-q", folder=work)

    assert (done.exit_code, done.output) == (0, "")
    assert (work / "runs/tiny/1/fold-2/model.safetensors").is_file()


def test_groups_are_left_out_one_by_one(work: Path) -> None:
    """Each is named."""
    with contextlib.chdir(work):
        cli("datasets", "make", "xo", "drawings", "--count", 60, folder=work)
        files = sorted(Path("drawings").rglob("*.png"))
        people = ["anna", "bert", "carl"] * 20
        rows = [f"{file},{file.parent.name},{who}" for file, who in zip(files, people, strict=True)]
        Path("list.csv").write_text("\n".join(["path,label,who", *rows]))
    arguments = ("--data", "list.csv", "--set", "data.group=who", "--folds", "groups")

    done = cli("run", "tiny.yaml", *arguments, folder=work)

    assert done.exit_code == 0, done.stderr
    assert "fold 2 of 3, the group 'bert': test accuracy" in done.stdout
    metrics = json.loads((work / "runs/tiny/1/metrics.json").read_text())
    assert [fold["group"] for fold in metrics["folds"]] == ["anna", "bert", "carl"]


def test_a_stopped_cross_validation_is_resumed_by_run(work: Path) -> None:
    """`run --resume` knows what is in the folder."""

    class Stops(RunWatcher):
        def on_fold_end(self, number: int, folds: int, test: Any, metrics: Any) -> None:
            raise KeyboardInterrupt

    with contextlib.chdir(work), pytest.raises(gridcnn.TrainingInterrupted):
        gridcnn.cross_validate("tiny.yaml", folds=2, out="stopped", watcher=Stops())

    wrong = cli("run", "--resume", "stopped", "--folds", 2, folder=work)
    done = cli("run", "--resume", "stopped", folder=work)
    again = cli("run", "--resume", "stopped", folder=work)

    assert wrong.exit_code == 2
    assert wrong.stderr == (
        "error: a cross-validation resumes with its own folds; leave folds out\n"
    )
    assert done.exit_code == 0, done.stderr
    assert "\nfold 1 of 2\n" not in done.stdout
    assert "\nfold 2 of 2\n" in done.stdout
    assert "all 90 answers together" in done.stdout
    assert again.exit_code == 2
    assert "has ended; there is nothing to resume" in again.stderr


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ("1", "folds must be a whole number from 2 on, or 'groups'; got 1"),
        ("0", "folds must be a whole number from 2 on, or 'groups'; got 0"),
        ("-3", "folds must be a whole number from 2 on, or 'groups'; got '-3'"),
        ("banana", "folds must be a whole number from 2 on, or 'groups'; got 'banana'"),
        ("", "folds must be a whole number from 2 on, or 'groups'; got ''"),
        ("9" * 5000, f"folds must be a whole number from 2 on, or 'groups'; got '{'9' * 57}...'"),
        (
            "groups",
            "xo: the data has no groups to leave out; name them with data.group",
        ),
    ],
)
def test_other_folds_are_one_line(folds: str, message: str, work: Path) -> None:
    """With exit code 2, and nothing is written."""
    done = cli("run", "tiny.yaml", f"--folds={folds}", folder=work)

    assert (done.exit_code, done.stderr) == (2, f"error: {message}\n")
    assert not (work / "runs").exists()
