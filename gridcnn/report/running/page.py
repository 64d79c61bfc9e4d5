"""The report of a run as one self-contained page, made from its folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridcnn.contracts.source import TEST
from gridcnn.engines.base import DEFAULT_ENGINE
from gridcnn.errors import quoted
from gridcnn.report.assembly import assemble
from gridcnn.report.numbers import percent
from gridcnn.report.pipeline import draw_network
from gridcnn.report.running import sections
from gridcnn.report.running.choosing import Choice, choose
from gridcnn.report.running.stored import StoredRun
from gridcnn.runs.folder import SPEC
from gridcnn.spec.models import Spec

_NAMED = 3_000
"""Items that are named in all, at most: 10,000 names would be a third of the page."""
_VOTES = 3
_LONGEST_NAME = 160
_SHOWN_CLASSES = 12


def run_page(run: StoredRun, spec: Spec) -> str:
    """Return the page about a run with a spec."""
    answers = run.answers
    choice = Choice([], [], {}, {}) if answers is None else choose(answers)
    result = sections.comparison(run)
    headline = "no test items" if result is None else result["headline"]
    return assemble(
        "run.html",
        title=f"{spec.name}: {headline}",
        data=page_data(run, choice),
        scripts=("items.js", "confusion.js"),
        name=spec.name,
        description=spec.description,
        folder=str(run.folder),
        result=result,
        classes_named=_class_names(run),
        several=answers is not None and answers.several,
        bricks=[] if run.network is None else draw_network(run.network),
        network=run.network,
        data_=sections.data(run),
        learning=sections.learning(run),
        confusion=sections.confusion(run, choice),
        label_counts=sections.label_counts(run, choice),
        scores=sections.classes(run),
        reliability=sections.reliability(run),
        mistakes=len(choice.mistakes),
        unsure=len(choice.unsure),
        check=sections.check(run),
        health=sections.health(run),
        again=_again(run, spec),
        notes=run.notes,
        figure=sections.figure,
        share=sections.share,
        percent=percent,
    )


def _class_names(run: StoredRun) -> str:
    names = [quoted(str(label)) for label in run.metrics["classes"]]
    more = f" and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else ""
    return ", ".join(names[:_SHOWN_CLASSES]) + more


def page_data(run: StoredRun, choice: Choice) -> dict[str, Any]:
    """Return what the page's script shows: items, and which of them belong to what."""
    cells, named = [], {*choice.mistakes, *choice.unsure}
    for (row, column), items in choice.cells.items():
        shown = [item for item in items if item in named or len(named) < _NAMED]
        named.update(shown)
        count = choice.counts[row, column]
        cells.append({"row": row, "column": column, "items": shown, "count": count})
    return {
        "classes": [str(label) for label in run.metrics["classes"]],
        "several": run.answers is not None and run.answers.several,
        "items": {str(item): _item(run, item) for item in sorted(named)},
        "cells": cells,
        "mistakes": choice.mistakes,
        "unsure": choice.unsure,
        "examples": _examples(run),
    }


def _item(run: StoredRun, item: int) -> dict[str, Any]:
    answers = run.answers
    assert answers is not None
    looks = {} if run.gathered is None else run.gathered.items
    look = looks.get(str(item))
    votes = answers.votes[item]
    most = (-votes).argsort(kind="stable")[:_VOTES].tolist()
    if answers.several:
        marks = range(len(answers.classes))
        truth: Any = [n for n in marks if answers.truths[item, n] == 1]
        answer: Any = [n for n in marks if answers.answers[item, n] == 1]
    else:
        truth, answer = int(answers.truths[item]), int(answers.answers[item])
    return {
        "name": answers.names[item][:_LONGEST_NAME],
        "truth": truth,
        "answer": answer,
        "votes": [[number, round(float(votes[number]), 3)] for number in most],
        "look": None if look is None else _plain(look),
    }


def _examples(run: StoredRun) -> list[dict[str, Any]]:
    if run.gathered is None:
        return []
    return [
        {"name": name, "looks": [_plain(look) for look in looks]}
        for name, looks in run.gathered.examples.items()
        if looks
    ]


def _plain(look: Any) -> dict[str, Any]:
    content: dict[str, Any] = look.model_dump(exclude_none=True)
    return content


def in_memory(spec: Spec) -> bool:
    """Return whether the data of a run was given in Python, so that no command can read it."""
    return spec.data is None or spec.data.source is None


def run_words(folder: Path, metrics: Mapping[str, Any]) -> list[str]:
    """Return the words of the command that runs the spec in a folder again, by the same engine."""
    engine = metrics.get("engine")
    other = [] if engine in (None, DEFAULT_ENGINE) else ["--engine", engine]
    return ["gridcnn", "run", str(folder / SPEC), *other]


def _again(run: StoredRun, spec: Spec) -> dict[str, Any]:
    """Return how to make the same run again."""
    machine = {} if run.gathered is None else dict(run.gathered.machine)
    machine.pop("peak", None)
    facts = {
        "gridcnn": None if run.gathered is None else run.gathered.made_by,
        "Python": machine.get("python"),
        "NumPy": machine.get("numpy"),
        "system": machine.get("system"),
        "cores": machine.get("cores"),
        "engine": run.metrics.get("engine"),
        "threads": run.metrics.get("threads"),
    }
    path = str(run.folder / SPEC)
    command = f"gridcnn.run({path!r}, data=...)"
    if not in_memory(spec):
        command = shlex.join(run_words(run.folder, run.metrics))
    return {
        "command": command,
        "report": shlex.join(["gridcnn", "report", str(run.folder)]),
        "facts": [(name, str(value)) for name, value in facts.items() if value is not None],
        "spec": run.spec,
        "tested": TEST in run.metrics,
    }
