"""A model that is served: bodies in, answers out, a batch at a time."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gridcnn.contracts.adapter import Adapted, Adapter, OneHotAdapter
from gridcnn.errors import Problem, UserError
from gridcnn.grid import Cells, OneHot
from gridcnn.model import Model
from gridcnn.notes import remark_notes
from gridcnn.serve.intake import Intake, Items
from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal

FAULT = "the server failed because of a bug; see its log"


@dataclass(frozen=True, slots=True)
class Question:
    """One request, as it waits: its model, and its body as it came."""

    served: Served
    body: bytes
    content_type: str
    explain: bool = False


@dataclass(slots=True)
class Reply:
    """The answer to one request.

    Attributes:
        status: 200, or 422 if there is an item without an answer.
        content: what is sent: JSON, or a page.
        answered, failed: how many items have an answer, and how many have none.
    """

    status: int
    content: bytes
    answered: int = 0
    failed: int = 0


Answer = dict[str, Any] | str
"""The answer to one item, with its votes; or the message that says why it has none."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answers to many items, and the notes for each request that they are of."""

    answers: list[Answer]
    notes: list[list[str]]


class Served:
    """A model with the server's limits in its adapter.

    Args:
        name: what clients call it.
        model: the model.
        limits: those of the server.
    """

    def __init__(self, name: str, model: Model, limits: Limits) -> None:
        self.name, self.model = name, model
        self.adapter = limit_adapter(model.adapter, limits)
        self.intake = Intake(model.spec, self.adapter, limits)
        self._has_remarks = type(self.adapter).remarks is not Adapter.remarks
        self._labels = [str(label) for label in model.classes]
        # The lanes are several threads, and not every adapter or engine allows for that.
        self._adapting = contextlib.nullcontext() if self.adapter.threads else threading.Lock()
        self._answering = threading.Lock()

    def warm(self) -> None:
        """Compile what answers need, so that no client waits for it."""
        shape = self.model.shape
        for items in (1, 2):
            grids: Cells = np.zeros((items, *shape.sizes), np.float32)
            if isinstance(self.adapter, OneHotAdapter):
                grids = OneHot(np.full((items, shape.columns), -1, np.int32), shape.rows)
            self.model.answered(grids)

    def answer(self, things: Sequence[Any], spans: Sequence[tuple[int, int]]) -> Found:
        """Return the answers to all items, and notes for each span of them: `[start, stop)`.

        What is wrong with one item changes nothing about others.
        """
        answers: list[Answer] = [""] * len(things)
        numbers = [str(number) for number in range(len(things))]
        try:
            with self._adapting:
                adapted = self.adapter.adapt_all(things, names=numbers)
            self._fill(answers, adapted)
            return Found(answers, [self._notes(things, adapted, *span) for span in spans])
        except Exception as error:
            if len(things) == 1:
                return Found([_message(error)], [[] for _ in spans])
            alone = [self.answer([thing], []).answers[0] for thing in things]
            return Found(alone, [[] for _ in spans])

    def _fill(self, replies: list[Answer], adapted: Adapted) -> None:
        problems = list(adapted.problems)
        kept = adapted.kept.tolist()
        if kept:
            with self._answering:
                answered = self.model.answered(adapted.grids.values, names=[str(n) for n in kept])
            problems += answered.problems
            votes = answered.votes
            answers: list[Any]
            if self.model.several:
                answers = self.model.labels_answered(votes)
            else:
                answers = [self.model.classes[n] for n in self.model.head.answers(votes).tolist()]
            for place, answer, row in zip(
                answered.kept.tolist(), answers, votes.tolist(), strict=True
            ):
                shown = {
                    label: round(vote, 6) for label, vote in zip(self._labels, row, strict=True)
                }
                replies[kept[place]] = {"answer": answer, "votes": shown}
        for problem in problems:
            number = int(problem.source)
            before = replies[number]
            replies[number] = f"{before}; {problem.message}" if before else problem.message

    def _notes(self, things: Sequence[Any], adapted: Adapted, start: int, stop: int) -> list[str]:
        """Return what looks wrong about the items of one request that became grids."""
        if not self._has_remarks:
            return []
        first, last = np.searchsorted(adapted.kept, (start, stop)).tolist()
        if first == last:
            return []
        some = [things[index] for index in adapted.kept[first:last].tolist()]
        return remark_notes(self.adapter.remarks(some, adapted.grids.values[first:last]))

    def explain(self, items: Items) -> bytes:
        """Return a page that explains the answer to one item.

        Raises:
            UserError: the item cannot be read.
            Refusal: the number of items is not one.
        """
        if items.problems:
            raise Refusal(422, *map(str, items.problems))
        if len(items.things) != 1:
            count = len(items.things)
            raise Refusal(422, f"one item is explained at a time; the request has {count}")
        (thing,), (name,) = items.things, items.names
        # The adapter of the model itself has no limits of a server.
        with self._adapting:
            adapted = self.adapter.adapt_all([thing], names=[name])
        if adapted.problems:
            raise Refusal(422, *map(str, adapted.problems))
        return self.model.explain(thing, name=name).page().encode()


def limit_adapter(adapter: Adapter, limits: Limits) -> Adapter:
    """Return an adapter that refuses pictures and clips beyond the limits of the server."""
    bounds = {"max_pixels": limits.pixels, "max_duration": limits.seconds}
    lower = {
        name: most
        for name, most in bounds.items()
        if name in type(adapter).model_fields and getattr(adapter, name) > most
    }
    return adapter.model_copy(update=lower) if lower else adapter


def answer_together(questions: Sequence[Question]) -> list[Reply | Refusal]:
    """Return the reply to each of some requests; the items of one model are one batch."""
    replies: list[Reply | Refusal | None] = [None] * len(questions)
    read: dict[Served, list[tuple[int, Items]]] = {}
    for number, question in enumerate(questions):
        try:
            items = question.served.intake.items(question.body, question.content_type)
            if question.explain:
                replies[number] = Reply(200, question.served.explain(items))
                continue
            read.setdefault(question.served, []).append((number, items))
        except Refusal as refusal:
            replies[number] = refusal
        except UserError as error:
            replies[number] = Refusal(422, *map(str, error.problems))
        except Exception as error:
            _report(error)
            replies[number] = Refusal(500, FAULT)
    for served, asked in read.items():
        things = [thing for _, items in asked for thing in items.things]
        stops = list(itertools.accumulate(len(items.things) for _, items in asked))
        spans = list(zip([0, *stops], stops, strict=False))
        found = served.answer(things, spans)
        for (number, items), (start, stop), notes in zip(asked, spans, found.notes, strict=True):
            replies[number] = _reply(served, items, found.answers[start:stop], notes)
    assert all(reply is not None for reply in replies)
    return replies  # type: ignore[return-value]


def _reply(served: Served, items: Items, replies: Sequence[Answer], notes: Sequence[str]) -> Reply:
    answers: list[dict[str, Any]] = []
    errors: list[str] = []

    def refuse(problem: Problem) -> None:
        place = f"{problem.source}:{problem.line}" if problem.line else problem.source
        answers.append({"item": place, "error": problem.message})
        errors.append(str(problem))

    unread = deque(sorted(zip(items.places, items.problems, strict=True), key=lambda pair: pair[0]))
    for number, (name, each) in enumerate(zip(items.names, replies, strict=True)):
        while unread and unread[0][0] <= number:
            refuse(unread.popleft()[1])
        if isinstance(each, dict):
            answers.append({"item": name, **each})
        else:
            refuse(Problem(each, source=name))
    for _, problem in unread:
        refuse(problem)
    answered = len(answers) - len(errors)
    content: dict[str, Any] = {"model": served.name, "answers": answers}
    if notes:
        content["notes"] = notes
    status = 200
    if errors:
        content["errors"] = errors
        status = 500 if FAULT in replies else 422
    return Reply(status, json.dumps(content).encode(), answered, len(errors))


def _message(error: Exception) -> str:
    """Return why one item has no answer."""
    if isinstance(error, UserError):
        return "; ".join(problem.message for problem in error.problems)
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    _report(error)
    return FAULT


def _report(error: Exception) -> None:
    """Write an unexpected error to the log, with its traceback."""
    traceback.print_exception(error, file=sys.stderr)
