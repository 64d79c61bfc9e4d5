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


def cli(*arguments: Any, folder: Path) -> Any:
    with contextlib.chdir(folder):
        return CliRunner().invoke(
            app, [*map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"}
        )
