"""Processes that share a search, and one that is killed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed")

SPEC = """
name: tiny
data: {source: {xo: {count: 200, size: [12, 12]}}, validation: 0.2}
adapter: {image: {size: [12, 12]}}
stages: [{convolution: {filters: 4}}, rectification, pooling]
head: voting
training: {epochs: 60, batch_size: 8, learning_rate: {log_range: [0.001, 0.03]}}
"""
COMMAND = (sys.executable, "-m", "gridcnn", "tune", "tiny.yaml", "--trials", "7", "--out", "out")


def numbers(folder: Path) -> list[int]:
    table = folder / "out" / "trials.csv"
    if not table.exists():
        return []
    with table.open(encoding="utf-8") as file:
        return [int(row["trial"]) for row in csv.DictReader(file)]


def test_a_killed_search_goes_on_with_several_processes(tmp_path: Path) -> None:
    """It loses the trial that was running; several make each of the others once."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    options: dict[str, Any] = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": None}
    with subprocess.Popen([*COMMAND, "-q"], **options) as process:
        for _ in range(3_000):
            if len(numbers(tmp_path)) >= 2 or process.poll() is not None:
                break
            time.sleep(0.02)
        process.kill()
    done = len(numbers(tmp_path))

    both = [subprocess.Popen([*COMMAND, "-q"], **options) for _ in range(2)]
    codes = [process.wait(300) for process in both]

    assert codes == [0, 0]
    assert 2 <= done <= 7
    assert sorted(numbers(tmp_path)) == [1, 2, 3, 4, 5, 6, 7]
    printed = subprocess.run([*COMMAND, "--json"], cwd=tmp_path, capture_output=True, check=True)
    result = json.loads(printed.stdout)
    assert len(result["trials"]) == 7
    assert len({json.dumps(each["values"]) for each in result["trials"]}) == 7
    assert not (tmp_path / "out" / "workers").exists()
