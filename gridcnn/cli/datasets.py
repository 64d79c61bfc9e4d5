"""`gridcnn datasets`: the known data sets, and data made as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import options, screen
from gridcnn.cli.bars import Bars
from gridcnn.datasets.public.catalogue import Archive, File
from gridcnn.errors import sized
from gridcnn.progress import Counter

if TYPE_CHECKING:
    from gridcnn.datasets.known import Known

_EXAMPLES = """List the known data sets, fetch public ones, or make one as files.

Examples:

  gridcnn datasets list

  gridcnn datasets get sms

  gridcnn datasets make xo pictures --count 2000 --seed 1
"""
_MAKE_EXAMPLES = """Make labelled files in class folders, or texts in a table.

Examples:

  gridcnn datasets make xo pictures --count 2000 --seed 1 --set noise=0.3

  gridcnn datasets make phrases phrases.csv --count 2000
"""

_STOPPED = "stopped; the same command continues the download from here"
_GET_EXAMPLES = """Fetch the files of public data sets, to have them without a network later.

An interrupted download continues where it stopped.

Example: gridcnn datasets get sms news
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(help=screen.paragraphs(_EXAMPLES), no_args_is_help=True)
    group.command("list", help="List the known data sets.\n\nExample: gridcnn datasets list")(
        list_sets
    )
    group.command("get", help=screen.paragraphs(_GET_EXAMPLES))(get)
    group.command("make", help=screen.paragraphs(_MAKE_EXAMPLES))(make)
    app.add_typer(group, name="datasets")


def list_sets(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    from rich import box
    from rich.table import Table

    from gridcnn.datasets.known import known

    sets = known()
    if as_json:
        screen.say_json(
            [
                {
                    "name": each.name,
                    "description": each.description,
                    "items": each.facts.items if each.facts else None,
                    "classes": [str(label) for label in each.facts.classes] if each.facts else None,
                    "shape": list(each.facts.shape) if each.facts else None,
                    "public": _public(each),
                }
                for each in sets
            ]
        )
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("name", "items", "classes", "shape", "to fetch", "licence", "description"):
        table.add_column(title, justify="right" if title in ("items", "classes") else "left")
    for each in sets:
        facts = each.facts
        table.add_row(
            each.name,
            f"{facts.items:,}" if facts else "",
            str(len(facts.classes)) if facts else "",
            " x ".join(map(str, facts.shape)) if facts else "",
            _size(each),
            each.public.about.licence.partition(" (")[0] if each.public else "",
            each.description,
        )
    console = screen.output()
    (console if console.is_terminal else screen.output(width=160)).print(table)


def _size(known: Known) -> str:
    """Return how much a public set has to fetch, or that its files are here."""
    if known.public is None:
        return ""
    return "here" if known.public.here() else sized(known.public.size())


def _public(known: Known) -> dict[str, Any] | None:
    """Return the facts about a public set, as JSON has them."""
    if known.public is None:
        return None
    about, here = known.public.about, known.public.here()
    parts = [about.parts] if isinstance(about.parts, Archive) else about.parts
    return {
        "title": about.title,
        "home": about.home,
        "licence": about.licence,
        "citation": about.citation,
        "bytes": about.size,
        "here": str(here) if here else None,
        "folder": about.folder,
        "files": [
            {
                "name": part.name,
                "addresses": list(part.addresses),
                "bytes": part.size,
                "sha256": part.sha256 if isinstance(part, File) else None,
            }
            for part in parts
        ],
    }


def get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="What to fetch: sms.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write each set to a folder in DIR; GRIDCNN_DATA=DIR then uses them.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    quiet: options.Quiet = False,
) -> None:
    from gridcnn.datasets.known import public
    from gridcnn.datasets.public import fetching

    sources = [public(name) for name in dict.fromkeys(names)]
    shown = not (quiet or as_json)
    results = []
    with Bars(shown=shown) as bars, fetching.reporting(bars.show):
        for source in sources:
            try:
                before, folder = source.get(out)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(_STOPPED) from None
            results.append({"name": source.title, "folder": str(folder), "fetched": not before})
            if shown:
                what = "here" if before else "fetched, and is"
                screen.say(f"{source.title}: {what} in {folder}")
                screen.say(f"  {source.about.citation}; licence: {source.about.licence}")
    if as_json:
        screen.say_json(results)


def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to make, such as xo.")],
    place: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE", help="A new or empty folder; for texts and rows, a new table."
        ),
    ],
    count: Annotated[int | None, typer.Option(help="How many items.")] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="The seed of the random draws.")
    ] = 0,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the data. Repeatable."),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    from gridcnn.datasets.makers.made import (
        MAKERS,
        Made,
        MadeRows,
        MadeTexts,
        write_files,
        write_table,
    )
    from gridcnn.spec.load import load_choice

    options = [*(changes or ()), *([] if count is None else [f"count={count}"])]
    source = load_choice(MAKERS, name, changes=options)
    if isinstance(source, MadeTexts | MadeRows):
        written = write_table(source, place, seed=seed)
        if not quiet:
            what = "text" if isinstance(source, MadeTexts) else "row"
            screen.say(f"{written:,} {what if written == 1 else f'{what}s'} written to {place}")
        return
    assert isinstance(source, Made)
    with Bars(shown=not quiet) as bars:
        counter = Counter(bars.show, "writing", getattr(source, "count", 0), unit="files")
        written = write_files(source, place, seed=seed, advance=counter.add)
    if not quiet:
        screen.say(f"{written:,} {'file' if written == 1 else 'files'} written to {place}")
