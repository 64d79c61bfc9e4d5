"""`gridcnn predict`: answers for files."""

from __future__ import annotations

import abc
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridcnn.cli import options, screen
from gridcnn.errors import DataError, SpecError, printable

if TYPE_CHECKING:
    from gridcnn.grid import Array
    from gridcnn.model import Model

_EXAMPLES = """Answer what each file shows.

MODEL is a run folder or a model file. Folders are searched, with all inside them; - reads one
thing from standard input. Files that cannot be read are reported, and the others are answered.

Examples:

  gridcnn predict runs/xo/1 drawing.png

  gridcnn predict runs/xo/1 scans --csv > answers.csv

  curl -s https://example.org/x.png | gridcnn predict runs/xo/1 -
"""
_BATCH = 256


def add(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("predict", help=screen.paragraphs(_EXAMPLES))(predict)


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files, folders, or - for standard input."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    top: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Show the K classes of most votes.")
    ] = None,
    engine: options.Engine = None,
    threads: options.Threads = None,
) -> None:
    from gridcnn.cli.files import named_things
    from gridcnn.model import load

    if as_json and as_csv:
        raise SpecError("--json and --csv exclude each other; give one of them")
    loaded = load(model, engine=engine, threads=threads)
    names, things, problems = named_things(files, loaded.adapter.suffixes)
    printer = _JsonPrinter if as_json else _CsvPrinter if as_csv else _TextPrinter
    shown = printer(loaded, names, top)
    for start in range(0, len(things), _BATCH):
        part = slice(start, start + _BATCH)
        adapted = loaded.adapter.adapt_all(things[part], names=names[part])
        problems += adapted.problems
        if len(adapted.kept):
            votes = loaded.votes_of_grids(adapted.grids.values)
            shown.batch([names[part][index] for index in adapted.kept], votes)
    shown.end()
    if problems:
        sys.stdout.flush()
        raise DataError(*problems)


class _Printer(abc.ABC):
    """Prints answers, a batch at a time."""

    def __init__(self, model: Model, names: Sequence[str], top: int | None) -> None:
        self.model = model
        self.classes = model.classes
        self.top = top
        self.width = min(max((len(name) for name in names), default=0), 60)

    def order(self, votes: Array) -> list[int]:
        """Return which classes to show: all in their order, or the `top` of most votes."""
        if self.top is None:
            return list(range(len(self.classes)))
        return [int(index) for index in (-votes).argsort(kind="stable")[: self.top]]

    def batch(self, names: Sequence[str], votes: Array) -> None:
        for name, row in zip(names, votes, strict=True):
            self.item(name, self.classes[int(row.argmax())], row)

    @abc.abstractmethod
    def item(self, name: str, answer: Any, votes: Array) -> None:
        """Print the answer for one thing."""

    def end(self) -> None:  # noqa: B027 - most have nothing to add
        """Print what comes last."""


class _TextPrinter(_Printer):
    def item(self, name: str, answer: Any, votes: Array) -> None:
        shown = "  ".join(f"{self.classes[n]} {votes[n]:.3f}" for n in self.order(votes))
        screen.say(printable(f"{name:<{self.width}}  {answer}  {shown}"))


class _CsvPrinter(_Printer):
    def __init__(self, model: Model, names: Sequence[str], top: int | None) -> None:
        super().__init__(model, names, top)
        self.writer = csv.writer(sys.stdout, lineterminator="\n")
        columns: list[str] = []
        if top is None:
            columns = [f"votes.{label}" for label in self.classes]
        else:
            for place in range(1, min(top, len(self.classes)) + 1):
                columns += [f"answer.{place}", f"votes.{place}"]
        self.writer.writerow(["file", "answer", *columns])

    def item(self, name: str, answer: Any, votes: Array) -> None:
        shown: list[Any] = []
        for index in self.order(votes):
            shown += [] if self.top is None else [self.classes[index]]
            shown.append(f"{votes[index]:.6f}")
        self.writer.writerow([name, answer, *shown])


class _JsonPrinter(_Printer):
    def __init__(self, model: Model, names: Sequence[str], top: int | None) -> None:
        super().__init__(model, names, top)
        self.items: list[dict[str, Any]] = []

    def item(self, name: str, answer: Any, votes: Array) -> None:
        shown = {str(self.classes[n]): round(float(votes[n]), 6) for n in self.order(votes)}
        self.items.append({"file": name, "answer": answer, "votes": shown})

    def end(self) -> None:
        screen.say_json(self.items)
