"""Repetitions on the command line."""

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


def test_runs_are_told_one_by_one_and_together(work: Path) -> None:
    """A heading for each seed, and at the end mean and spread."""
    done = cli("run", "tiny.yaml", "--repeat", 3, "--seed", 4, folder=work)

    assert done.exit_code == 0, done.stderr
    for number, seed in ((1, 4), (2, 5), (3, 6)):
        assert f"\nrun {number} of 3, seed {seed}\n" in done.stdout
        assert f"\nrun {number} of 3, seed {seed}: test accuracy " in done.stdout
        assert re.search(rf"\n *{seed} +\d+\.\d % +0\.\d+ +18 +[12] ", done.stdout)
    assert re.search(
        r"\ntest accuracy \d+\.\d % on average, standard deviation \d+\.\d %, from \d+\.\d % to "
        r"\d+\.\d %; 3 runs, ",
        done.stdout,
    )
    assert done.stdout.endswith("results: runs/tiny/1, with a model in each of its runs\n")


def test_a_repetition_can_print_json_and_be_resumed(work: Path) -> None:
    """`--resume` knows what is in the folder; there is nothing left to do."""
    done = cli("run", "tiny.yaml", "--repeat", 2, "--json", "--out", "out", folder=work)
    again = cli("run", "--resume", "out", folder=work)

    printed = json.loads(done.stdout)
    assert printed.pop("folder") == "out"
    assert printed == json.loads((work / "out/metrics.json").read_text())
    assert again.exit_code == 2
    assert "the repetition in out has ended; there is nothing to resume" in again.stderr


def test_folds_and_repeats_exclude_each_other(work: Path) -> None:
    """In one line."""
    done = cli("run", "tiny.yaml", "--repeat", 2, "--folds", 2, folder=work)

    assert (done.exit_code, done.stderr) == (
        2,
        "error: a run takes either --folds or --repeat\n",
    )
    assert not (work / "runs").exists()
