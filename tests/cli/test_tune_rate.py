"""The learning-rate finder on the command line; it needs no other package."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.invoke import TINY, cli


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a folder with a spec."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def test_a_learning_rate_is_suggested(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In three lines, without Optuna."""
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)

    done = cli("tune", "tiny.yaml", "--only", "learning_rate", folder=work)

    assert done.exit_code == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert re.fullmatch(r"suggested: training\.learning_rate: \d\S+ \(the spec has 0\.01\)", first)
    assert re.match(r"by \d+ steps at rates from 1e-06 to \d", second)
    assert third == "results: runs/tiny/learning_rate, with sweep.csv and sweep.png"


def test_a_suggestion_can_be_json(work: Path) -> None:
    """One document."""
    done = cli("tune", "tiny.yaml", "--only", "learning_rate", "--json", folder=work)

    printed = json.loads(done.stdout)
    assert printed["own"] == 0.01
    assert len(printed["rates"]) == len(printed["losses"]) == len(printed["smoothed"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "filters"), "--only takes learning_rate; got 'filters'"),
        (
            ("--only", "learning_rate", "--trials", "3", "--folds", "2"),
            "--only learning_rate makes no trials; leave --trials, --folds out",
        ),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], message: str, work: Path) -> None:
    """With exit code 2, and nothing is written."""
    done = cli("tune", "tiny.yaml", *arguments, folder=work)

    assert (done.exit_code, done.stderr) == (2, f"error: {message}\n")
    assert not (work / "runs").exists()
