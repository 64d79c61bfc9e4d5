"""`gridcnn compare`: runs side by side."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn import outputs
from gridcnn.cli import options, screen
from gridcnn.errors import printable
from gridcnn.settings.notation import notation

if TYPE_CHECKING:
    from gridcnn.comparison import Comparison

_EXAMPLES = """Compare finished runs: the settings that differ, figures, and a paired test.

Runs that have answered the same test items are compared by McNemar's test, which says whether the
difference may be chance.

Examples:

  gridcnn compare runs/xo/1 runs/xo/2

  gridcnn compare runs/letters/* --json

  gridcnn compare runs/xo/1 runs/xo/2 --report compared.html
"""
_LONGEST = 40  # signs of a value
_NARROWEST = 16  # columns of the terminal for the names of settings and figures, at least


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("compare", help=screen.paragraphs(_EXAMPLES))(compare)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="OUT.html", help="Write a page about the comparison."),
    ] = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
) -> None:
    from gridcnn.comparison import compare as compare_runs

    if report is not None:
        outputs.refuse_no_page(report, "--report", force=force)
    found = compare_runs(runs)
    if report is not None:
        from gridcnn.report.comparison_page import comparison_page

        page = comparison_page(found, beside=report.parent)
        outputs.write_page(report, page, force=force)
    if as_json:
        screen.say_json(found.plain())
        return
    _say(found)
    if report is not None:
        screen.say(f"{report} written")


def _say(found: Comparison) -> None:
    from rich import box
    from rich.table import Table

    from gridcnn.comparison import FIGURES

    wide = max(100, 30 + 24 * len(found.runs))
    console = screen.output(width=None if screen.output().is_terminal else wide)
    names = max(_NARROWEST, console.width // 3)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for run in found.runs:
        kind = "" if run.kind == "run" else f"\n({run.kind})"
        table.add_column(f"{printable(str(run.folder))}{kind}", justify="right", overflow="fold")
    for name, values in found.settings.items():
        table.add_row(_wrap_name(printable(name), names), *map(_value, values))
    if not found.settings:
        table.add_row("settings", *["the same"] * len(found.runs))
    table.add_section()
    for name, title in FIGURES.items():
        if any(name in run.figures for run in found.runs):
            table.add_row(
                _wrap_name(title, names), *(_figure(name, run.figures) for run in found.runs)
            )
    console.print(table)
    for test in found.tests:
        screen.say(test.sentence)
    for note in found.notes:
        screen.say_noted(note)


def _wrap_name(name: str, width: int) -> str:
    """Return a name in lines that end behind a dot or at a space, and nowhere within a word."""
    lines = [""]
    for piece in re.findall(r"[^. ]*[. ]|[^. ]+", name):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _value(value: Any) -> str:
    """Return the value of a setting in the notation of a spec, cut if it is long."""
    text = printable(notation(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _figure(name: str, figures: Any) -> str:
    value = figures.get(name)
    if value is None:
        return "-"
    if name == "interval":
        return " to ".join(map(screen.percent, value))
    spread = figures.get(f"{name}_std")
    if "accuracy" in name or "exact_match" in name:
        text, about = screen.percent(value), "" if spread is None else screen.percent(spread)
    elif "loss" in name or name == "auc":
        text, about = f"{value:.4f}", "" if spread is None else f"{spread:.4f}"
    elif "seconds" in name:
        text, about = screen.seconds(value), ""
    else:
        text, about = f"{value:,}", ""
    return f"{text} +- {about}" if about else text
