"""`gridcnn cache`: what is kept on disk between runs, and how to remove it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

from gridcnn.cli import screen

_EXAMPLES = """Show what gridcnn keeps on disk: machine code, adapted grids, and fetched data.

Code and grids are only there to save time, and can be cleared at any time. Fetched data stays,
since it may not be available again; to remove it, delete its folder.

GRIDCNN_CACHE sets another folder for all of it (~ is your home), GRIDCNN_CACHE=off keeps nothing,
and GRIDCNN_CACHE_SIZE=50GB limits the size of cached grids.

Examples:

  gridcnn cache

  gridcnn cache --clear
"""


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("cache", help=screen.paragraphs(_EXAMPLES))(cache)


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove code and grids.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    from gridcnn.caches import homely
    from gridcnn.datasets.public.fetching import data_folder
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
    kept: list[tuple[str, Path | None, int, int | None]] = [
        (kind, shelf.folder, shelf.size(), shelf.limit if shelf.folder else None)
        for kind, shelf in shelves.items()
    ]
    data = data_folder()
    kept.append(("fetched data", data, _size(data) if data else 0, None))
    if as_json:
        screen.say_json(
            [
                {
                    "kind": kind,
                    "folder": str(folder) if folder else None,
                    "bytes": size,
                    "limit": most,
                }
                for kind, folder, size, most in kept
            ]
        )
        return
    for kind, folder, size, most in kept:
        if folder is None:
            screen.say(f"{kind}: nothing is kept")
        else:
            limit = "" if most is None else f" of at most {sized(most)}"
            screen.say(f"{kind}: {sized(size)}{limit} in {printable(homely(folder))}")


def _size(folder: Path) -> int:
    """Return how many bytes the files in a folder have."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # fetched or removed at this moment
                total += (Path(place) / name).lstat().st_size
    return total
