"""`gridcnn report`: the page about a run, made again from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridcnn.cli import options, screen

_EXAMPLES = """Make the report of a run again, from the files in its folder.

RUN is the folder of a finished run, cross-validation or repetition; the page is its report.html.
The data is read again only if the run wrote no report.json.

Examples:

  gridcnn report runs/xo/1
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("report", help=screen.paragraphs(_EXAMPLES))(report)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    quiet: options.Quiet = False,
) -> None:
    from gridcnn.cli.bars import Bars
    from gridcnn.errors import UserError
    from gridcnn.report.running.writing import gather_again, make_report

    with Bars(shown=not quiet) as bars:
        try:
            gather_again(run, advance=bars.show)
        except UserError as error:
            # The page says it as well, and shows the rest; what is damaged is an error there.
            missing = f"the page has no pictures of items: {error.problems[0]}"
            page = make_report(run)
            if not quiet:
                screen.say_note(missing)
        else:
            page = make_report(run)
    if not quiet:
        screen.say(f"report: {page}")
