"""The format `page`: an app in one file, in which the whole network computes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gridcnn.export.format import Exported, Format
from gridcnn.model import Model
from gridcnn.outputs import PAGE
from gridcnn.report.app import app_page


class Page(Format):
    """A page to draw on, type, record or drop files into, with all maps and votes."""

    title: ClassVar[str] = "page"
    endings: ClassVar[tuple[str, ...]] = (".html",)
    names: ClassVar[tuple[str, ...]] = (".htm",)
    mark: ClassVar[bytes | None] = PAGE

    def export(self, model: Model, path: Path) -> Exported:  # noqa: ARG002 - one file
        """Return the page; raise `SpecError` that names what a page cannot compute."""
        content = app_page(model).encode("utf-8", "backslashreplace")
        facts = {"bytes": len(content), "opens in": "any browser, from a disk or a web server"}
        return Exported({".html": content}, facts)
