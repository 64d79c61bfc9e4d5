"""Files and folders named on the command line, and standard input, as things to classify."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gridcnn.errors import Problem, listed

STDIN = "-"


def named_things(
    given: Sequence[str], suffixes: frozenset[str]
) -> tuple[list[str], list[Any], list[Problem]]:
    """Return what each thing is called, the things, and a problem for each that is not there.

    Things are paths, or the bytes of standard input.

    Folders are searched, with all inside them, for files of the adapter's kinds, sorted; what is
    hidden is left out.
    """
    names: list[str] = []
    things: list[Any] = []
    problems: list[Problem] = []
    for text in given:
        if not text:
            problems.append(Problem("a file name is empty; is a variable of the shell unset?"))
            continue
        path = Path(text)
        try:
            there, is_folder = path.exists(), path.is_dir()
        except OSError as error:  # for example a name that is too long
            reason = error.strerror or error
            problems.append(Problem(f"cannot be read: {reason}", source=text))
            continue
        if text == STDIN:
            content = sys.stdin.buffer.read()
            if content:
                names.append("standard input")
                things.append(content)
            else:
                problems.append(Problem("standard input is empty"))
        elif is_folder:
            found = sorted(_inside(path, suffixes))
            if not suffixes:
                message = "this model takes no files: its adapter is for arrays; answer from Python"
                problems.append(Problem(message, source=text))
            elif not found:
                kinds = listed(sorted(suffixes))
                problems.append(Problem(f"the folder holds no file of {kinds}", source=text))
            names += [str(file) for file in found]
            things += found
        elif there:
            names.append(text)
            things.append(path)
        else:
            problems.append(Problem("there is no such file or folder", source=text))
    return names, things, problems


def _inside(folder: Path, suffixes: frozenset[str]) -> Iterable[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix.lower() in suffixes and path.is_file():
            yield path
