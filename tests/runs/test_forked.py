"""Runs beside each other, and runs that are killed: real processes, real locks, real kills."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
FORKED = Path(__file__).with_name("forked.py")


def forked(what: str, count: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Return what `forked.py` has found."""
    done = subprocess.run(
        [sys.executable, FORKED, what, str(count), str(seed)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,  # nothing hangs
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("count", [6, pytest.param(100, marks=pytest.mark.long)])
def test_two_runs_that_start_at_once_into_one_folder_never_mix(count: int, tmp_path: Path) -> None:
    """One of them has it, and ends as if it were alone; the other one is told so in one line."""
    found = forked("pairs", count, tmp_path)

    assert found == {"won": count, "mixed": 0, "refused": count, "odd": 0}


@pytest.mark.parametrize("count", [6, pytest.param(100, marks=pytest.mark.long)])
def test_nothing_goes_on_beside_a_run_that_is_alive(count: int, tmp_path: Path) -> None:
    """Each resume is refused with the process that has the folder; the run ends as if alone."""
    found = forked("beside", count, tmp_path)

    assert found == {"refused": count, "odd": 0, "ended": 1, "same": 1}


@pytest.mark.parametrize("count", [12, pytest.param(1000, marks=pytest.mark.long)])
def test_a_run_that_is_killed_at_any_moment_comes_to_the_same_end(
    count: int, tmp_path: Path
) -> None:
    """Before and after each change of a file, in four kinds of runs; the folder says how."""
    found = forked("kills", count, tmp_path, seed=3)

    assert found["lost"] == []
    assert found["killed"] == min(count, found["moments"])
    assert found["moments"] > 120
    states = [found[state] for state in ("claimable", "resumable", "finished")]
    assert sum(states) == found["killed"]
    assert min(states) > 0 or count < found["moments"]


@pytest.mark.parametrize("count", [4, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("what", ["random", "interrupts"])
def test_a_run_that_is_stopped_at_random_comes_to_the_same_end(
    what: str, count: int, tmp_path: Path
) -> None:
    """By a kill, or by Ctrl-C."""
    found = forked(what, count, tmp_path)

    assert found["lost"] == []
    assert sum(found[state] for state in ("claimable", "resumable", "finished")) == count
