"""What is fuzzed: a call that reads bytes, out of which only errors of gridcnn's own may come."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuzz.changes import Changes
from gridcnn.errors import GridcnnError, UnfinishedRunWarning

_LONGEST_LINE = 5_000
"""Characters of a line of an error, at most: a list of names may be long, and nothing else."""


class WrongError(Exception):
    """What came out is not what should have."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote.

    Attributes:
        name: what it is called on the command line.
        about: what it reads, in a few words.
        seeds: makes inputs that are right, or nearly so.
        call: reads an input, with an empty folder to work in. What it raises beside
            `GridcnnError` is a fault.
        change: changes an input, and keeps it as right as its readers need to go deep.
    """

    name: str
    about: str
    seeds: Callable[[], Sequence[bytes]]
    call: Callable[[bytes, Path], None]
    change: Callable[[bytes, Changes], bytes] = lambda content, changes: changes.raw(content)


def attempt(target: Target, content: bytes, folder: Path) -> None:
    """Let a target read an input in an empty folder, which is emptied afterwards.

    Raises:
        Exception: whatever came out that should not have.
    """
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        with warnings.catch_warnings():
            # As in the tests: what is printed beside an error is as unforeseen as a wrong error.
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UnfinishedRunWarning)
            with refused():
                target.call(content, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def refused(*kinds: type[GridcnnError]) -> Iterator[None]:
    """Let errors of gridcnn pass, of these kinds where any are given, if they can be printed."""
    expected = kinds or (GridcnnError,)
    try:
        yield
    except expected as error:
        readable(str(error))


def readable(*lines: object) -> None:
    """Raise `WrongError` unless lines are short, and steer no terminal."""
    for line in "\n".join(map(str, lines)).split("\n"):
        if not line.isprintable() or len(line) > _LONGEST_LINE:
            raise WrongError(f"it is no line that can be read: {line[:2000]!a}")


def require(holds: bool, what: str) -> None:
    """Raise `WrongError` unless something holds."""
    if not holds:
        raise WrongError(what)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder to work in, in memory where the system has such folders."""
    memory = Path("/dev/shm")
    usable = sys.platform == "linux" and "TMPDIR" not in os.environ and os.access(memory, os.W_OK)
    parent = memory if usable else None
    with tempfile.TemporaryDirectory(prefix="gridcnn-fuzz-", dir=parent) as name:
        yield Path(name)


@functools.cache
def kept() -> Path:
    """Return a folder for what seeds are made from; it is gone when the process ends."""
    return _KEEPING.enter_context(scratch())


_KEEPING = contextlib.ExitStack()
