"""What the user sees: answers on standard output, everything else on standard error."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from gridcnn.errors import GridcnnError, UserError, printable, visible
from gridcnn.files import json_text
from gridcnn.report.numbers import interval as interval
from gridcnn.report.numbers import number as number
from gridcnn.report.numbers import percent as percent
from gridcnn.report.numbers import seconds as seconds

FAULT, USER, NO_GRID = 1, 2, 3
"""Exit codes; `gridcnn.cli.main` says what they mean."""


class _Answers(Console):
    def on_broken_pipe(self) -> None:
        """Do nothing: the verb decides what a closed pipe means."""
        raise BrokenPipeError


def nowhere() -> TextIO:
    """Return a stream that discards everything."""
    return Path(os.devnull).open("w", encoding="utf-8")


def mute() -> None:
    """Discard everything that is still printed, since the reader is gone."""
    sys.stdout = nowhere()


def output(*, width: int | None = None) -> Console:
    """Return the console of answers."""
    return _Answers(width=width, highlight=False, markup=False, soft_wrap=width is None)


def draws(console: Console, *, plain: bool) -> bool:
    """Return whether drawings may be printed: on a terminal that can move its cursor.

    `plain` says that the user wants text alone.
    """
    return console.is_terminal and not console.is_dumb_terminal and not plain


def is_ascii() -> bool:
    """Return whether standard output may lack characters beyond ASCII."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "") != "utf8"


def messages() -> Console:
    """Return the console of progress, warnings and errors."""
    return Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


def say(text: str = "") -> None:
    """Print one line of an answer, or several; nothing in it steers the terminal."""
    sys.stdout.write(visible(text) + "\n")


def as_json(content: Any) -> str:
    """Return an answer as JSON, with escapes if standard output is not UTF-8 (on Windows)."""
    text = json_text(content, ensure_ascii=is_ascii())
    # JSON leaves some signs as they are that steer a terminal: they lie beyond ASCII.
    return text if visible(text) == text else json_text(content, ensure_ascii=True)


class _Visible:
    """Writes to standard output, without characters that control the terminal."""

    def write(self, text: str) -> None:
        sys.stdout.write(visible(text))


def table_output() -> Any:
    """Return the stream for rows of CSV; on a terminal, control characters are escaped."""
    return _Visible() if sys.stdout.isatty() else sys.stdout


def say_json(content: Any) -> None:
    """Print an answer as JSON."""
    say(as_json(content))


def say_error(error: GridcnnError) -> None:
    """Print an error, one line for each problem; what belongs to a problem is indented below it."""
    lines = error.problems if isinstance(error, UserError) else (_indent(error),)
    console = messages()
    for line in lines:
        console.print(Text.assemble(("error: ", "bold red"), str(line)))


def say_note(note: str) -> None:
    """Print a note for the user, beside the answers."""
    messages().print(Text.assemble(("note: ", "bold"), printable(note)))


def say_notes(notes: Sequence[str], *, strict: bool, quiet: bool = False) -> None:
    """Print notes beside the answers, unless quiet; raise `DataError` if they are errors."""
    if strict:
        from gridcnn.notes import refuse_notes

        refuse_notes(notes)
    for note in () if quiet else notes:
        say_note(note)


def say_noted(note: str) -> None:
    """Print a note as one line of an answer, whatever names of files are in it."""
    say(f"note: {printable(note)}")


def say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning, in place of `warnings.showwarning`; its further lines are indented."""
    messages().print(Text.assemble(("warning: ", "bold yellow"), _indent(message)))


def _indent(message: object) -> str:
    return visible("\n  ".join(str(message).splitlines()))


def paragraphs(text: str) -> str:
    """Return a help text with the lines of each paragraph joined; indented lines stay."""
    joined = re.sub(r"(?<=\S)\n(?=\S)", " ", text)
    return joined.strip() + "\n"
