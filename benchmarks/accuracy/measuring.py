"""Runs a ready spec as it is shipped, and asks it and its baselines about the same items."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

import gridcnn
from benchmarks import machine
from benchmarks.accuracy.baselines import Fitted, Items, fit
from benchmarks.accuracy.catalogue import Case
from gridcnn.contracts.adapter import Adapter, pick
from gridcnn.contracts.source import Dataset
from gridcnn.contracts.targets import most
from gridcnn.label_measures import EVEN, label_measures
from gridcnn.measures import measures
from gridcnn.pipelines import ready
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Part, prepare
from gridcnn.spec.load import load

OURS, TEST = "gridcnn", "the test items"
"""The network among the contestants, and the items that every case asks about."""
BUSY = "threads that wanted to run when it began"
"""What the facts of the machine call how busy it was."""
_PACKAGES = ("gridcnn", "numpy", "scikit-learn", "librosa")
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Answers:
    """How one contestant answered one set of items.

    Attributes:
        who: `OURS`, or a baseline's title.
        sees: what it learned from, in words; nothing for `OURS`.
        chosen: the settings that the validation items chose; nothing for `OURS`.
        validation: the accuracy on the validation items, or of several labels the area under the
            ROC curve; None where there are none; over several folds the mean.
        seconds: what fitting took with those settings, and `OURS` training alone.
        measures: `Measures.plain` of all items, or `LabelMeasures.plain`.
        folds: the accuracy of each fold by its name, where there are several.
    """

    who: str
    sees: str
    chosen: str
    validation: float | None
    seconds: float
    measures: dict[str, Any]
    folds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What was measured of a case, when and where.

    Attributes:
        date: the day.
        machine: what it is, in words, and how busy it was.
        versions: of the packages that take part.
        settings: the digest of the case, see `digest`.
        threads: how many the network was trained with.
        items: how many there are in each part; over several folds the mean.
        classes: in the order of the votes.
        parameters: of the network.
        epochs: how many it was trained; over several folds the mean.
        seconds_per_epoch: the median.
        seconds_in_all: the whole command, from an empty cache.
        processor_seconds: what all cores together spent on it; others that use the machine hardly
            change it.
        answers: by the items that were asked about, those of every contestant.
    """

    date: str
    machine: dict[str, str]
    versions: dict[str, str]
    settings: str
    threads: int | None
    items: dict[str, float]
    classes: list[str]
    parameters: int
    epochs: float
    seconds_per_epoch: float
    seconds_in_all: float
    processor_seconds: float
    answers: dict[str, list[Answers]]


def digest(case: Case) -> str:
    """Return a digest of a case's options and of what its spec says, but for the description."""
    told = yaml.safe_load(ready()[case.spec])
    told["description"] = list(case.options)
    if case.folder is not None:
        told["data"]["source"] = case.folder
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def measure(case: Case) -> Outcome:
    """Train a case in a new run folder and with an empty cache, and ask about all its items."""
    busy = machine.load()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _say(case, case.command)
        seconds, processor = _timed(case, folder)
        turns = [_Turn(case, each) for each in _run_folders(folder / "run")]
        asked = {TEST: [turn.test() for turn in turns]}
        for trial in case.trials:
            things, labels = trial.items()
            asked[trial.name] = [turn.others(things, labels) for turn in turns]
        for number, turn in enumerate(turns, 1):
            _say(case, f"plain methods, {number} of {len(turns)}")
            turn.fit()
        _say(case, "answers")
        contestants = range(1 + len(case.baselines))
        answers = {
            about: [_answers(turns, who, items) for who in contestants]
            for about, items in asked.items()
        }
    metrics = [turn.metrics for turn in turns]
    return Outcome(
        date=time.strftime("%Y-%m-%d"),
        machine=machine.describe() | {BUSY: busy},
        versions=machine.versions(*_PACKAGES),
        settings=digest(case),
        threads=metrics[0]["threads"],
        items={
            part: statistics.mean(each.get(part, {"items": 0})["items"] for each in metrics)
            for part in _PARTS
        },
        classes=[str(label) for label in metrics[0]["classes"]],
        parameters=metrics[0]["parameters"],
        epochs=statistics.mean(each["epochs"] for each in metrics),
        seconds_per_epoch=statistics.median(each for turn in turns for each in turn.epochs),
        seconds_in_all=round(seconds, 2),
        processor_seconds=round(processor, 2),
        answers=answers,
    )


def _say(case: Case, text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {case.name}: {text}", file=sys.stderr)


def _timed(case: Case, folder: Path) -> tuple[float, float]:
    """Run the command of a case, and return the seconds that it takes, and those of all cores."""
    command = [sys.executable, "-m", "gridcnn", "run", case.spec, *case.options]
    command += ["--quiet", "--out", str(folder / "run")]
    if case.folder is not None:
        command += ["--data", str(Path(os.environ.get("GRIDCNN_DATA", ""), case.folder))]
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(
        command,
        env={**os.environ, "GRIDCNN_CACHE": str(folder / "cache")},
        check=False,
        capture_output=True,
        text=True,
    )
    seconds, after = time.perf_counter() - start, os.times()
    if done.returncode:
        raise RuntimeError(f"{case.command} failed:\n{done.stderr}")
    spent = after.children_user - before.children_user
    return seconds, spent + after.children_system - before.children_system


def _run_folders(folder: Path) -> list[Path]:
    """Return the folder of a run, or those of all its folds."""
    numbered = {int(each.name[5:]): each for each in folder.glob("fold-*") if each.is_dir()}
    return [numbered[number] for number in sorted(numbered)] or [folder]


class _Turn:
    """One run of a case: its items, its network and, once fitted, its baselines.

    `epochs` are the seconds of each.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text("utf-8"))
        with (folder / "history.csv").open(encoding="utf-8") as file:
            self.epochs = [float(row["seconds"]) for row in csv.DictReader(file)]
        self.model = gridcnn.load(folder)
        located = locate(load(folder / "spec.yaml"), None, folder)
        data = located.open()
        prepared = prepare(located.with_dataset(data))
        self.parts = {name: _items(data, getattr(prepared, name)) for name in _PARTS}
        self.fitted: list[Fitted] = []
        self._refuse_others()
        self.name = str(getattr(located.data.test, "group", folder.name))

    def _refuse_others(self) -> None:
        """Raise where these are not the very items that the run was tested on."""
        found = _measured(self.model.classes, self.test(), self.votes(0, self.test()), self)
        told = self.metrics["test"]
        if any(found[name] != told[name] for name in ("confusion", "right") if name in told):
            raise RuntimeError(f"{self.case.name}: the items are not those of the run")

    def fit(self) -> None:
        train, validation = self.parts["train"], self.parts["validation"]
        for baseline in self.case.baselines:
            _say(self.case, baseline.title)
            self.fitted.append(fit(baseline, train, validation, self.model.adapter))

    def test(self) -> Items:
        return self.parts["test"]

    def others(self, things: Sequence[Any], labels: Sequence[str]) -> Items:
        numbers = {str(label): number for number, label in enumerate(self.model.classes)}
        grids = self.model.adapter.grids(things).values
        return Items(things, grids, np.array([numbers[label] for label in labels], np.int64))

    def votes(self, who: int, items: Items) -> NDArray[np.floating[Any]]:
        """Return the votes `(items, classes)` of the network (0) or of a baseline (from 1)."""
        if who == 0:
            return self.model.votes_of_grids(items.grids)
        adapter: Adapter = self.model.adapter
        return self.fitted[who - 1].votes(items, adapter, len(self.model.classes))


def _items(data: Dataset, part: Part) -> Items:
    """Return the things of a part, which are found by their names, with its grids."""
    places = {name: place for place, name in enumerate(data.names)}
    if len(places) != len(data):
        raise RuntimeError("two items have the same name")
    chosen = np.array([places[name] for name in part.names], np.int64)
    targets = part.data.targets
    if targets.ndim == 1:
        targets = most(targets)
    return Items(pick(data.things, chosen), part.data.grids, targets)


def _measured(
    classes: Sequence[str | int],
    items: Items,
    votes: NDArray[np.floating[Any]],
    turn: _Turn | None,
) -> dict[str, Any]:
    """Return the measures of votes for items; those of `turn` obey the thresholds of its model."""
    if items.targets.ndim == 2:
        thresholds = (EVEN,) * len(classes) if turn is None else turn.model.thresholds
        return label_measures(items.targets, votes, thresholds).plain(classes)
    answers = votes.argmax(axis=1)
    return measures(items.targets, answers, len(classes), votes=votes).plain(classes)


def _answers(turns: Sequence[_Turn], who: int, asked: Sequence[Items]) -> Answers:
    """Return how the network (0) or a baseline (from 1) answers, over all turns together."""
    votes = [turn.votes(who, items) for turn, items in zip(turns, asked, strict=True)]
    classes = turns[0].model.classes
    together = Items([], asked[0].grids, np.concatenate([items.targets for items in asked]))
    found = _measured(classes, together, np.concatenate(votes), None if who else turns[0])
    folds = {}
    if len(turns) > 1:
        folds = {
            turn.name: _measured(classes, items, each, None if who else turn)["accuracy"]
            for turn, items, each in zip(turns, asked, votes, strict=True)
        }
    plain = [turn.fitted[who - 1] for turn in turns] if who else []
    of_all = [turn.metrics["validation"] for turn in turns if "validation" in turn.metrics]
    validated = [each["auc" if "labels" in found else "accuracy"] for each in of_all]
    spent = [turn.metrics["seconds"]["training"] for turn in turns]
    return Answers(
        who=plain[0].baseline.title if plain else OURS,
        sees=plain[0].baseline.sees if plain else "",
        chosen=" or ".join(dict.fromkeys(each.chosen for each in plain)),
        validation=_mean([each.validation for each in plain] if who else validated),
        seconds=round(statistics.mean([each.seconds for each in plain] or spent), 2),
        measures=found,
        folds=folds,
    )


def _mean(values: Sequence[float]) -> float | None:
    return statistics.mean(values) if values else None


def read(path: Path) -> dict[str, Outcome]:
    """Return what `write` wrote, by the names of the cases; nothing where there is no file."""
    if not path.is_file():
        return {}
    told = json.loads(path.read_text("utf-8"))
    return {
        name: Outcome(
            **{
                **outcome,
                "answers": {
                    about: [Answers(**each) for each in answers]
                    for about, answers in outcome["answers"].items()
                },
            }
        )
        for name, outcome in told.items()
    }


def slug(name: str) -> str:
    """Return the anchor that a heading has, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-")
