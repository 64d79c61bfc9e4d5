"""Fixtures of the tests of pages."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.errors import DataError
from gridcnn.grid import Array
from gridcnn.model import Model
from gridcnn.report.assembly import CORE, json_text
from gridcnn.report.live import OF_KINDS, SCRIPTS, live_data

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "gridcnn" / "report" / "script"
IN_PAGES = ("files.js", "inputs.js", "maps_view.js", "live.js")
IN_NODE = (
    CORE[0],
    *(name for names in OF_KINDS.values() for name in names),
    *(name for name in SCRIPTS if name not in IN_PAGES),
)
"""The scripts that need no page around them."""


class PageProgram:
    """The scripts of a page, in Node."""

    def __init__(self, node: str) -> None:
        command = [node, str(HERE / "driver.js"), *(str(SCRIPT / name) for name in IN_NODE)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def ask(self, what: str, **question: Any) -> Any:
        """Return the answer to a question; raise `DataError` for a problem with an item."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json_text({"ask": what, **question}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program has ended"
        found = json.loads(line)
        if "problem" in found:
            raise DataError(found["problem"])
        assert "fault" not in found, found["fault"]
        return found.get("answer")

    def load(self, model: Model) -> None:
        """Let the page be that of a model."""
        self.ask("model", data=live_data(model))

    def votes(self, item: Any) -> Array:
        """Return the votes `(classes,)` for an item, in the form that `adapters.js` tells."""
        return np.array(self.ask("votes", item=item))

    def grid(self, item: Any) -> Array:
        """Return the cells of the grid of an item, flat."""
        return np.array(self.ask("item", item=item)["grid"])

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="session")
def program() -> Iterator[PageProgram]:
    """Give the scripts of a page, which compute in Node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    started = PageProgram(node)
    yield started
    started.close()
