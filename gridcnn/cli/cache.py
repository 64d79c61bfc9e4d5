"""`gridcnn cache`: what is kept on disk between runs, and how to be rid of it."""

from __future__ import annotations

from typing import Annotated

import typer

from gridcnn.cli import screen

_EXAMPLES = """Show what gridcnn keeps on disk between runs: machine code, and adapted grids.

It is only there to save time, and can be cleared at any time. GRIDCNN_CACHE names another folder,
GRIDCNN_CACHE=off keeps nothing, and GRIDCNN_CACHE_SIZE=50GB says how much grids may take.

Examples:

  gridcnn cache

  gridcnn cache --clear
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("cache", help=screen.paragraphs(_EXAMPLES))(cache)


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    from gridcnn.caches import homely
    from gridcnn.engines.native.cache import object_cache
    from gridcnn.errors import printable, sized
    from gridcnn.runs.grids_cache import fitted_cache, grids_cache

    shelves = {
        "machine code": object_cache(),
        "grids": grids_cache(),
        "what adapters learned": fitted_cache(),
    }
    if clear:
        for shelf in shelves.values():
            shelf.clear()
    if as_json:
        screen.say_json(
            [
                {
                    "kind": kind,
                    "folder": None if shelf.folder is None else str(shelf.folder),
                    "bytes": shelf.size(),
                    "limit": None if shelf.folder is None else shelf.limit,
                }
                for kind, shelf in shelves.items()
            ]
        )
        return
    for kind, shelf in shelves.items():
        if shelf.folder is None:
            screen.say(f"{kind}: nothing is kept")
        else:
            size, limit = sized(shelf.size()), sized(shelf.limit)
            screen.say(f"{kind}: {size} of at most {limit} in {printable(homely(shelf.folder))}")
