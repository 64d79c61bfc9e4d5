"""Every exception that gridcnn raises on purpose.

::

    GridcnnError
    ├── UserError                   what the user gave cannot be used (exit code 2)
    │   ├── SpecError               (ValueError)   the pipeline spec is wrong
    │   │   └── ShapeError                         a stage cannot work on the grid it is given
    │   ├── DataError               (ValueError)   the data cannot be read or used
    │   ├── UnknownNameError        (LookupError)  no stage, adapter, data set, ... has that name
    │   ├── ModelFileError          (ValueError)   a model or checkpoint file cannot be used
    │   ├── RunFolderError          (ValueError)   results cannot be written or read there
    │   ├── TrainingError           (RuntimeError) training cannot start, or cannot go on
    │   └── EngineError             (RuntimeError) an engine cannot work as it is asked to
    ├── ColumnPermutableError       (ValueError)   the order of the data means nothing (exit code 3)
    ├── TrainingInterrupted                        the user stopped a run; it can be resumed
    └── StopTraining                               a watcher wants no more epochs; the run ends

    TrainingWarning             (UserWarning)      something about a training looks wrong
    UnfinishedRunWarning        (UserWarning)      a model answers whose run has not ended
    ReportWarning               (UserWarning)      a run has ended, and its report is missing
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in one sentence, and the place where it is wrong.

    `path` leads through the spec, for example `stages[1].convolution.filters`; `line` and
    `column` count from 1; `source` is a file name or an option such as `--set`. As text a problem
    is one line, without characters that steer a terminal; the path is shown if nothing else gives
    the place.
    """

    message: str
    path: str = ""
    source: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.source or self.path
        if self.line is not None:
            numbers = [self.line] if self.column is None else [self.line, self.column]
            place = ":".join(map(str, [self.source or "line", *numbers]))
        return printable(f"{place}: {self.message}" if place else self.message)


class GridcnnError(Exception):
    """Any error that gridcnn raises on purpose."""


class UserError(GridcnnError):
    """What the user gave cannot be used; `problems` has one entry for each thing that is wrong."""

    def __init__(self, *problems: Problem | str) -> None:
        self.problems: tuple[Problem, ...] = tuple(
            problem if isinstance(problem, Problem) else Problem(problem) for problem in problems
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[UserError], tuple[Problem, ...]]:
        # Exceptions are pickled by their message otherwise, and lose their problems on the way
        # back from a worker process.
        return type(self), self.problems


class SpecError(UserError, ValueError):
    """The pipeline spec is wrong."""


class ShapeError(SpecError):
    """A stage cannot work on the grid that it is given."""


class DataError(UserError, ValueError):
    """The data cannot be read or used."""


class UnknownNameError(UserError, LookupError):
    """Nothing is registered under that name."""


class ModelFileError(UserError, ValueError):
    """A model or checkpoint file is damaged, foreign or from a newer version."""


class RunFolderError(UserError, ValueError):
    """Results cannot be written to, or a run cannot be resumed from, that folder."""


class TrainingError(UserError, RuntimeError):
    """Training cannot start, or cannot go on."""


class EngineError(UserError, RuntimeError):
    """An engine cannot compute what it is asked for, or not on this machine."""


class ColumnPermutableError(GridcnnError, ValueError):
    """The data is just as useful with its columns in another order: it is not a grid."""


class TrainingInterrupted(GridcnnError):  # noqa: N818 - nothing went wrong
    """The user stopped a run; `folder` holds what `resume` needs, or is None before that exists."""

    def __init__(self, message: str, *, folder: Path | None = None) -> None:
        self.folder = folder
        super().__init__(message)


class StopTraining(GridcnnError):  # noqa: N818 - nothing went wrong
    """Raised by a watcher that wants no more epochs.

    Training ends after the last epoch that is complete. The run then ends as any other does: the
    best weights are measured, and all results are written.
    """


class TrainingWarning(UserWarning):
    """Something about a training looks wrong."""


class UnfinishedRunWarning(UserWarning):
    """A model answers with the best weights so far, because its run has not ended."""


class ReportWarning(UserWarning):
    """A run has succeeded, but the page about it could not be made."""


_LONGEST_LISTED = 200
"""Signs of a name in a list, at most; the longest are addresses."""


def printable(text: str) -> str:
    """Return `text` as one line; other invisible or steering characters become their escapes."""
    if text.isprintable():
        return text
    lines = " ".join(line.strip() for line in text.replace("\t", " ").splitlines())
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in lines)


def visible(text: str) -> str:
    """Return `text` with its lines; what is invisible or steers a terminal becomes its escape."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else repr(sign)[1:-1] for sign in text
    )


def shown(value: object, *, limit: int = 60) -> str:
    """Return `value` as an error message quotes it: its `repr`, cut to `limit` characters.

    Numbers of very many digits are described by their size, also within lists.
    """
    try:
        text = _repr_of(value, limit)
    except Exception:  # a foreign object may raise anything, and so may a list that is too deep
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _repr_of(value: object, limit: int) -> str:
    """Return the `repr` of a value, or the beginning of it if that has more than `limit` signs."""
    if isinstance(value, int) and value.bit_length() > 128:
        return f"a whole number of {value.bit_length()} bits"
    if type(value) not in (list, tuple):
        return repr(value)
    first, last = "[]" if isinstance(value, list) else "()"
    parts: list[str] = []
    length = 0
    for part in value:  # type: ignore[attr-defined]
        parts.append(_repr_of(part, limit))
        length += len(parts[-1])
        if length > limit:
            break
    comma = "," if isinstance(value, tuple) and len(parts) == 1 else ""
    return f"{first}{', '.join(parts)}{comma}{last}"


def quoted(name: str, *, limit: int = 60) -> str:
    """Return a name between quotes, its invisible characters as escapes, cut to `limit`."""
    text = printable(name[: limit + 1])
    return f"'{text if len(text) <= limit else text[: limit - 3] + '...'}'"


def sized(count: float) -> str:
    """Return a number of bytes as people read it: `1.4 MB`."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count:.0f} bytes"


def suggestion(given: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the known name nearest to `given`, or an empty string."""
    near = difflib.get_close_matches(given.lower(), list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def how_many(number: int, one: str, many: str = "") -> str:
    """Return a number of things, as `1 class` or `2 classes`; `many` is usually `one` with an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listed(names: Sequence[str], *, limit: int = 20) -> str:
    """Return names as `a, b, c`, the tail counted instead of shown when there are many.

    A very long name is cut.
    """
    shown_names = ", ".join(
        name if len(name) <= _LONGEST_LISTED else f"{name[: _LONGEST_LISTED - 3]}..."
        for name in names[:limit]
    )
    return shown_names if len(names) <= limit else f"{shown_names} and {len(names) - limit} more"


MOST_TOLD = 20
"""Most problems that are listed; the rest are counted."""
_ALIKE = 3
"""Most items with the same problem that are listed one by one; more become one line."""


def first_told(problems: Sequence[Problem]) -> list[Problem]:
    """Return the first `MOST_TOLD` problems, and the number of the others."""
    more = len(problems) - MOST_TOLD
    rest = [Problem(f"and {how_many(more, 'more problem')} like these")] if more > 0 else []
    return [*problems[:MOST_TOLD], *rest]


def together(problems: Sequence[Problem]) -> list[Problem]:
    """Merge problems with the same cause into one, at the place of the first.

    It names the other items with this cause.
    """
    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(problem.message, []).append(problem)
    merged = []
    for problem in problems:
        same = alike[problem.message]
        if len(same) <= _ALIKE:
            merged.append(problem)
        elif same[0] is problem:
            places = listed([_place(each, problem) for each in same[1:]], limit=MOST_TOLD - 1)
            message = f"{problem.message} (the same in {len(same) - 1:,} more: {places})"
            merged.append(replace(problem, message=message))
    return merged


def _place(problem: Problem, first: Problem) -> str:
    """Return a problem's place, without what it shares with the place of the first problem."""
    if problem.line is not None and problem.source == first.source:
        return f"line {problem.line}"
    before, row, number = problem.source.rpartition(", row ")
    if row and first.source.startswith(f"{before}{row}"):
        return f"row {number}"
    pairs = zip(problem.source, first.source, strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    cut = max(problem.source.rfind(sign, 0, same) for sign in "/\\:") + 1
    place = problem.source[cut:]
    # A manifest has a line before each name.
    return f"line {place}" if problem.source[:cut].endswith(":") and place[0].isdigit() else place
