"""The command line in a folder, as tests of several verbs ask it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gridcnn.cli.main import app

TINY = """
name: tiny
data: {source: {xo: {count: 90, size: [12, 12]}}}
adapter: {image: {size: [12, 12]}}
stages: [{convolution: {filters: 4}}, rectification, pooling]
head: voting
training: {epochs: 2, batch_size: 16, learning_rate: 0.01}
"""


def words(*arguments: Any, report: bool = False) -> list[str]:
    """Return arguments as words; a run makes no page about itself unless the test is about that."""
    given = [*map(str, arguments)]
    is_run = given[:1] in (["run"], ["train"], ["fit"]) and not report
    return [*given, "--no-report"] if is_run and "--help" not in given else given


def cli(*arguments: Any, folder: Path, report: bool = False) -> Any:
    with contextlib.chdir(folder):
        return CliRunner().invoke(
            app, words(*arguments, report=report), env={"COLUMNS": "200", "NO_COLOR": "1"}
        )
