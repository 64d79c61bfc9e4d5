"""Files and folders named on the command line, and standard input, as things to classify."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gridcnn.errors import DataError, Problem, listed

STDIN = "-"


def named_things(given: Sequence[str], suffixes: frozenset[str]) -> tuple[list[str], list[Any]]:
    """Return what each thing is called, and the things: paths, or the bytes of standard input.

    Folders are searched, with all inside them, for files of the adapter's kinds, sorted; what is
    hidden is left out.

    Raises:
        DataError: a path does not exist, or a folder holds nothing of these kinds.
    """
    names: list[str] = []
    things: list[Any] = []
    problems: list[Problem] = []
    for text in given:
        path = Path(text)
        if text == STDIN:
            content = sys.stdin.buffer.read()
            if not content:
                problems.append(Problem("standard input is empty", source=STDIN))
            names.append(STDIN)
            things.append(content)
        elif path.is_dir():
            found = sorted(_inside(path, suffixes))
            if not found:
                kinds = listed(sorted(suffixes))
                problems.append(Problem(f"the folder holds no file of {kinds}", source=text))
            names += [str(file) for file in found]
            things += found
        elif path.exists():
            names.append(text)
            things.append(path)
        else:
            problems.append(Problem("there is no such file or folder", source=text))
    if problems:
        raise DataError(*problems)
    return names, things


def _inside(folder: Path, suffixes: frozenset[str]) -> Iterable[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix.lower() in suffixes and path.is_file():
            yield path
