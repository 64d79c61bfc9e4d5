"""`gridcnn report`: the page about a run, made again from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridcnn.cli import screen

_EXAMPLES = """Make the page about a run again, from what its folder holds.

RUN is the folder of a run that has ended, also of a cross-validation or a repetition. The page is
its report.html; it needs neither the data nor a network.

Examples:

  gridcnn report runs/xo/1
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report", help=screen.paragraphs(_EXAMPLES))(report)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
) -> None:
    from gridcnn.report.running.writing import make_report

    screen.say(f"report: {make_report(run)}")
