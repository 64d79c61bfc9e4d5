"""`gridcnn check`: whether the order of data carries information."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridcnn import outputs
from gridcnn.cli import options, screen
from gridcnn.cli.bars import Bars
from gridcnn.errors import SpecError, quoted

if TYPE_CHECKING:
    from gridcnn.order.verdict import Verdict

_EXAMPLES = """Check whether the order of columns, or of the cells of grids, carries information.

DATA is a table (CSV, TSV, JSON Lines, Parquet), a NumPy file, a folder of pictures or sounds, a
known data set, or a spec. Column names are ignored. Exit code 3: the order means nothing.

Examples:

  gridcnn check measurements.csv --label class

  gridcnn check pixels.npy --shape 28,28 --report order.html

  gridcnn check digits
"""
"""What our pages have near their beginning."""
_MEANINGS = {
    "grid": "the order carries information",
    "permutable": "the order carries no information",
    "undecided": "there is too little data to tell",
}


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("check", help=screen.paragraphs(_EXAMPLES))(check)


def check(
    data: Annotated[str, typer.Argument(metavar="DATA", help="What to check.")],
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="The column of the classes. Without it, every column counts as data.",
        ),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option(metavar="R,C", help="Rows and columns of the grid that the columns make up."),
    ] = None,
    header: Annotated[
        bool | None,
        typer.Option(
            "--header/--no-header",
            help="Whether the first line names the columns. Default: it does, unless it holds "
            "numbers.",
        ),
    ] = None,
    encoding: options.Encoding = None,
    report: Annotated[
        Path | None, typer.Option(metavar="OUT.html", help="Write a page with pictures as well.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            help="The seed of the random draws. Default: that of the spec, or 0.",
        ),
    ] = None,
    threads: options.Threads = None,
    strict: options.Strict = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print errors only; the exit code gives the verdict."),
    ] = False,
    force: options.Force = False,
) -> None:
    from gridcnn.checking import check as checked

    size = None if shape is None else _size(shape)
    if report is not None:
        outputs.refuse_no_page(report, "--report", force=force)
    with Bars(shown=not quiet) as bars:
        verdict = checked(
            data,
            label,
            shape=size,
            header=header,
            encoding=encoding,
            seed=seed,
            threads=threads,
            strict=strict,
            advance=bars.show,
        )
    if report is not None:
        from gridcnn.report.page import page

        outputs.write_page(report, page(verdict, data=data), force=force)
    if as_json:
        from gridcnn.report.plain import verdict_data

        screen.say_json(verdict_data(verdict))
    elif not quiet:
        _say(verdict)
        if report is not None:
            screen.say(f"\n{report} written")
    if verdict.decision == "permutable":
        raise typer.Exit(screen.NO_GRID)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,9})\s*[,xX]\s*(\d{1,9})\s*", text)
    sizes = tuple(int(each) for each in match.groups()) if match else ()
    if len(sizes) != 2 or 0 in sizes:
        raise SpecError(f"--shape is rows and columns, such as 28,28; got {quoted(text)}")
    return sizes[0], sizes[1]


def _say(verdict: Verdict) -> None:
    from gridcnn.cli.drawing import accuracy_lines, lag_lines

    plain = screen.is_ascii()
    screen.say(f"verdict: {verdict.decision} ({_MEANINGS[verdict.decision]})")
    for sentence in verdict.summary:
        _say_wrapped(sentence)
    screen.say("\nevidence")
    for sentence in verdict.evidence:
        _say_wrapped(sentence)
    if verdict.advice:
        screen.say("\nadvice")
        for sentence in verdict.advice:
            _say_wrapped(sentence)
    if verdict.lags is not None and len(verdict.lags.lags) > 1:
        screen.say("\nassociation of columns against their distance")
        for line in lag_lines(verdict.lags, plain=plain):
            screen.say(line)
    if verdict.usefulness is not None:
        screen.say("\naccuracy of a small network")
        for line in accuracy_lines(verdict.usefulness, plain=plain):
            screen.say(line)


def _say_wrapped(sentence: str) -> None:
    """Print a sentence within 80 columns; lines of code after it stay as they are."""
    from gridcnn.errors import printable

    first, *code = sentence.split("\n")
    screen.say(
        textwrap.fill(
            printable(first),
            width=80,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
    for line in code:
        screen.say(f"    {line}")
