"""`gridcnn datasets`: the known data sets, and data made as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridcnn.cli import screen

_EXAMPLES = """List the known data sets, or make one as files.

Examples:

  gridcnn datasets list

  gridcnn datasets make xo pictures --count 2000 --seed 1
"""
_MAKE_EXAMPLES = """Make labelled files in class folders, or texts in a table.

Examples:

  gridcnn datasets make xo pictures --count 2000 --seed 1 --set noise=0.3

  gridcnn datasets make phrases phrases.csv --count 2000
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(help=screen.paragraphs(_EXAMPLES), no_args_is_help=True)
    group.command("list", help="List the known data sets.\n\nExample: gridcnn datasets list")(
        list_sets
    )
    group.command("make", help=screen.paragraphs(_MAKE_EXAMPLES))(make)
    app.add_typer(group, name="datasets")


def list_sets(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    from rich import box
    from rich.table import Table

    from gridcnn.datasets.known import known

    found = known()
    if as_json:
        screen.say_json(
            [
                {
                    "name": each.name,
                    "description": each.description,
                    "items": each.facts.items if each.facts else None,
                    "classes": [str(label) for label in each.facts.classes] if each.facts else None,
                    "shape": list(each.facts.shape) if each.facts else None,
                }
                for each in found
            ]
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("name", "items", "classes", "shape", "description"):
        table.add_column(title, justify="right" if title in ("items", "classes") else "left")
    for each in found:
        facts = each.facts
        table.add_row(
            each.name,
            f"{facts.items:,}" if facts else "",
            str(len(facts.classes)) if facts else "",
            " x ".join(map(str, facts.shape)) if facts else "",
            each.description,
        )
    console = screen.output()
    (console if console.is_terminal else screen.output(width=120)).print(table)


def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to make, such as xo.")],
    place: Annotated[
        Path,
        typer.Argument(metavar="DIR|FILE", help="A new or empty folder; for texts, a new table."),
    ],
    count: Annotated[int | None, typer.Option(help="How many items.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Fixes what is random.")] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the data. Repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")] = False,
) -> None:
    from rich.progress import Progress

    from gridcnn.datasets.made import MAKERS, Made, MadeTexts, write_files, write_table
    from gridcnn.spec.load import load_choice

    options = [*(changes or ()), *([] if count is None else [f"count={count}"])]
    source = load_choice(MAKERS, name, changes=options)
    if isinstance(source, MadeTexts):
        written = write_table(source, place, seed=seed)
        if not quiet:
            screen.say(f"{written:,} {'text' if written == 1 else 'texts'} written to {place}")
        return
    assert isinstance(source, Made)
    console = screen.messages()
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("writing", total=getattr(source, "count", None))
        written = write_files(
            source, place, seed=seed, advance=lambda more: bar.advance(task, more)
        )
    if not quiet:
        screen.say(f"{written:,} {'file' if written == 1 else 'files'} written to {place}")
