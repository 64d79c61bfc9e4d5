"""`gridcnn walkthrough`: how a network sees an X, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridcnn import outputs
from gridcnn.cli import options, screen

_EXAMPLES = """Make a page that shows how a network sees an X, step by step, from a live run.

The page needs no internet connection and no server: open it in a browser, show it to a class.

Examples:

  gridcnn walkthrough

  gridcnn walkthrough -o lesson.html --seed 3
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("walkthrough", help=screen.paragraphs(_EXAMPLES))(walkthrough)


def walkthrough(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="PAGE", help="The page to write.")
    ] = Path("walkthrough.html"),
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The seed of the pictures and the training.")
    ] = 0,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    force: options.Force = False,
) -> None:
    outputs.refuse_no_page(out, "--out", force=force)
    from gridcnn.cli.display import Display
    from gridcnn.report.walkthrough import collect, walkthrough_page
    from gridcnn.runs.watcher import RunWatcher

    if quiet:
        walk = collect(seed=seed, threads=threads, watcher=RunWatcher())
    else:
        with Display() as display:
            walk = collect(seed=seed, threads=threads, watcher=display)
    outputs.write_page(out, walkthrough_page(walk), force=force)
    if not quiet:
        screen.say(f"{out} written; open it in a browser")
