"""Processes that share a search, and one that is killed."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_killed_search_goes_on_with_several_processes(tmp_path: Path) -> None:
    """It loses the trial that was running; two make each of the others once."""
    program = Path(__file__).with_name("forked_search.py")
    ignored = ["-W", "ignore::DeprecationWarning"]  # of forks beside threads, which end with them

    done = subprocess.run(
        [sys.executable, *ignored, str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["codes"] == [0, 0], done.stderr
    assert 2 <= told["before"] < 8
    with (tmp_path / "out" / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["trial"]) for row in rows) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len({row["training.learning_rate"] for row in rows}) == 8
    assert not (tmp_path / "out" / "workers").exists()
