"""Printers of answers: as text, drawn on a terminal, as CSV, as JSON."""

from __future__ import annotations

import abc
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.cli import screen
from gridcnn.errors import printable
from gridcnn.files import RowWriter
from gridcnn.grid import Array, Cells
from gridcnn.model import Model

Form = Literal["text", "csv", "json"]
_WIDEST = 60
_MOST_DRAWN = 5
"""Items that are drawn on a terminal; of more there is a line for each."""
_WIDEST_DRAWING = 56  # characters
_LONGEST_TEXT = 500
_MOST_CURVES, _MOST_BARS = 4, 12


@dataclass(frozen=True)
class Seen:
    """What the network has seen of the items of a batch.

    Attributes:
        things: the raw items.
        grids: the grids of all items of the batch.
        kept: those that were answered, as indices of grids.
    """

    things: Sequence[Any]
    grids: Cells
    kept: NDArray[np.int64]


def make_printer(model: Model, top: int | None, form: Form, *, plain: bool) -> Printer:
    """Return what prints answers in a form; `plain`: without drawings, also on a terminal."""
    if form == "json":
        return _JsonPrinter(model, top)
    if form == "csv":
        return _CsvPrinter(model, top)
    if screen.draws(screen.output(), plain=plain):
        return _DrawingPrinter(model, top)
    return _TextPrinter(model, top)


class Printer(abc.ABC):
    """Prints answers, a batch at a time."""

    def __init__(self, model: Model, top: int | None) -> None:
        self.classes = model.classes
        self.model = model
        self.top = top
        self.width = 0

    def order(self, votes: Array) -> list[int]:
        """Return which classes to show: all in order, or the `top` ones with the most votes."""
        if self.top is None:
            return list(range(len(self.classes)))
        return [int(index) for index in (-votes).argsort(kind="stable")[: self.top]]

    def batch(self, names: Sequence[str], votes: Array, seen: Seen) -> None:  # noqa: ARG002
        """Print the answers for some things."""
        self.width = max(self.width, min(max(map(len, names), default=0), _WIDEST))
        answers: list[Any]
        if self.model.several:
            answers = self.model.labels_answered(votes)
        else:
            answers = [self.classes[n] for n in self.model.head.answers(votes).tolist()]
        for name, answer, row in zip(names, answers, votes, strict=True):
            self.item(name, answer, row)

    @abc.abstractmethod
    def item(self, name: str, answer: Any, votes: Array) -> None:
        """Print the answer for one thing; of several labels, it is the list of those."""

    @staticmethod
    def join(answer: Any, between: str) -> str:
        """Return an answer as a text; `between` separates several labels."""
        return between.join(map(str, answer)) if isinstance(answer, list) else str(answer)

    def end(self) -> None:  # noqa: B027 - most have nothing to add
        """Print the end of the output."""


class _TextPrinter(Printer):
    def item(self, name: str, answer: Any, votes: Array) -> None:
        shown = "  ".join(f"{self.classes[n]} {votes[n]:.3f}" for n in self.order(votes))
        told = self.join(answer, ", ") or "no label"
        screen.say(printable(f"{name:<{self.width}}  {told}  {shown}"))


class _DrawingPrinter(_TextPrinter):
    """Draws a few items with their votes on a terminal; of many there is a line for each."""

    def batch(self, names: Sequence[str], votes: Array, seen: Seen) -> None:
        if len(names) > _MOST_DRAWN:
            super().batch(names, votes, seen)
            return
        for place, (name, row) in enumerate(zip(names, votes, strict=True)):
            self._draw(seen, place)
            self._votes(name, row)

    def _draw(self, seen: Seen, place: int) -> None:
        from gridcnn.cli.drawing import curve_line, draw

        console = screen.output()
        width = min(console.width, _WIDEST_DRAWING)
        if self.model.adapter.texts:
            text = printable(str(seen.things[place]))
            screen.say(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}...")
            return
        grid = np.asarray(seen.grids[seen.kept[place : place + 1]], np.float32)[0]
        if grid.shape[1] > 1:
            draw(grid, console, widest=width)
        elif not screen.is_ascii():
            for channel in grid[:_MOST_CURVES, 0]:
                screen.say(curve_line(channel, width))

    def _votes(self, name: str, votes: Array) -> None:
        from gridcnn.cli.drawing import vote_lines

        if self.model.several:
            answered = self.model.labels_answered(votes[None])[0]
        else:
            answered = [self.classes[self.model.head.answers(votes[None]).tolist()[0]]]
        screen.say(printable(f"{name}: {self.join(answered, ', ') or 'no label'}"))
        order = [int(index) for index in (-votes).argsort(kind="stable")]
        shown = order[: self.top or _MOST_BARS]
        shares = [(str(self.classes[index]), float(votes[index])) for index in shown]
        console = screen.output()
        marked = {str(label) for label in answered}
        for line in vote_lines(shares, marked, width=console.width, plain=screen.is_ascii()):
            console.print(line, no_wrap=True, crop=True)
        if self.top is None and len(order) > len(shown):
            screen.say(f"  and {len(order) - len(shown)} more classes with fewer votes")
        screen.say()


class _CsvPrinter(Printer):
    def __init__(self, model: Model, top: int | None) -> None:
        super().__init__(model, top)
        self.writer = RowWriter(screen.table_output())
        columns: list[str] = []
        if top is None:
            columns = [f"votes.{label}" for label in self.classes]
        else:
            for place in range(1, min(top, len(self.classes)) + 1):
                columns += [f"answer.{place}", f"votes.{place}"]
        self.writer.write(["file", "answer", *columns])

    def item(self, name: str, answer: Any, votes: Array) -> None:
        shown: list[Any] = []
        for index in self.order(votes):
            shown += [] if self.top is None else [self.classes[index]]
            shown.append(f"{votes[index]:.6f}")
        self.writer.write([name, self.join(answer, ";"), *shown])


class _JsonPrinter(Printer):
    begun = False

    def item(self, name: str, answer: Any, votes: Array) -> None:
        shown = {str(self.classes[n]): round(float(votes[n]), 6) for n in self.order(votes)}
        # Item by item, since there may be more of them than should be kept.
        content = screen.as_json({"file": name, "answer": answer, "votes": shown})
        sys.stdout.write(",\n" if self.begun else "[\n")
        sys.stdout.write(textwrap.indent(content, "  "))
        self.begun = True

    def end(self) -> None:
        screen.say("\n]" if self.begun else "[]")
