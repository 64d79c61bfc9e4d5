"""Real sets of which it is known whether their order matters.

`GRIDCNN_DATA` names the folder of all data. The sets are CSV files in `checker/tabular` (columns
can be permuted) and `checker/ordered` (they cannot), with the label in the last column. Column
names are never looked at.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from gridcnn.order import neighbours
from gridcnn.order.columns import Column, column_of
from gridcnn.order.judge import judge_columns
from gridcnn.order.judging import Judging, sample_rows
from gridcnn.order.neighbours import DOUBTFUL_GRADATION, GRADATION, GRADED_SCORE, SCORE
from gridcnn.order.rule import Evidence, apply_rule
from gridcnn.order.verdict import Verdict

WANTED = {"tabular": "permutable", "ordered": "grid"}
SHUFFLES = 200
"""Shuffled versions of the ordered sets."""


@dataclass(frozen=True)
class Set:
    """One set: its columns as texts, and the labels."""

    name: str
    wanted: str
    columns: tuple[NDArray[Any], ...]
    targets: NDArray[np.int64]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.targets)

    def judged(
        self,
        *,
        order: Sequence[int] | None = None,
        chosen: Sequence[Column] | None = None,
        labels: bool = True,
        seed: int = 0,
    ) -> Verdict:
        """Return the verdict on the set, or on its columns in another order, or changed."""
        looked = sample_rows(self.rows, 0)
        columns = chosen or [column_of("", values[looked]) for values in self.columns]
        if order is not None:
            columns = [columns[index] for index in order]
        targets = self.targets[looked] if labels else None
        return judge_columns(columns, targets, rows=self.rows, judging=Judging(seed=seed))


def sets(folder: Path) -> Iterator[Set]:
    """Yield every set in a folder."""
    for kind, wanted in WANTED.items():
        for file in sorted((folder / kind).glob("*.csv")):
            with file.open(encoding="utf-8", newline="") as text:
                rows = list(csv.reader(text))[1:]
            cells = np.array(rows, dtype=object)
            _, targets = np.unique(cells[:, -1].astype(str), return_inverse=True)
            yield Set(file.stem, wanted, tuple(cells[:, :-1].T), targets.astype(np.int64))


def verdicts(every: Sequence[Set]) -> None:
    """Print the verdict on every set, what it rests on, and how long it took."""
    heads = ["set", "rows x columns", "verdict", "score", "gradation", "p"]
    heads += ["given / shuffled", "rounds", "processor seconds"]
    print("|", " | ".join(heads), "|")
    print("|---" * len(heads) + "|")
    right = 0
    for each in every:
        start = time.process_time()  # other programs hardly change it
        verdict = each.judged()
        seconds = time.process_time() - start
        right += verdict.decision == each.wanted
        near = verdict.neighbours[0] if verdict.neighbours else None
        use = verdict.usefulness
        figures = ["-", "-", "-"]
        if near is not None:
            p_value = "-" if near.p_value is None else f"{near.p_value:.2g}"
            figures = [f"{near.score:.2f}", f"{near.gradation:.0%}", p_value]
        accuracy = f"{use.given:.1%} / {np.mean(use.shuffled):.1%}" if use else "-"
        mark = "" if verdict.decision == each.wanted else " (wrong)"
        what = f"{verdict.decision}{mark}{f', {verdict.layout}' if verdict.layout else ''}"
        size = f"{each.rows:,} x {len(each.columns):,}"
        rounds = str(use.rounds) if use else "-"
        cells = [each.name, size, what, *figures, accuracy, rounds, f"{seconds:.1f}"]
        print("|", " | ".join(cells), "|")
    print(f"\n{right} of {len(every)} as they should be")


Thresholds = tuple[float, float]
"""A score and a gradation."""


def left_out(every: Sequence[Set]) -> None:
    """Print how many sets are judged rightly by thresholds chosen without them.

    The thresholds are the middle of all those, in steps of 0.05, that judge most of the other sets
    rightly.
    """
    # Low bars, so that every layout that any threshold could take has a p-value.
    with _thresholds(0.3, 0.1):
        found = [_evidence(each.judged()) for each in every]
    tried = [(s, g) for s in np.arange(0.3, 1.0, 0.05) for g in np.arange(0.1, 1.0, 0.05)]
    right = np.array([_rightly(every, found, *thresholds) for thresholds in tried])
    hits, chosen = 0, []
    for number, each in enumerate(every):
        score, gradation = _middle(tried, np.delete(right, number, axis=1))
        chosen.append((score, gradation))
        fits = _rightly([each], [found[number]], score, gradation)[0]
        hits += fits
        if not fits:
            print(
                f"wrong without itself: {each.name} (score {score:.2f}, gradation {gradation:.2f})"
            )
    scores, gradations = zip(*chosen, strict=True)
    print(
        f"thresholds chosen without the set that they judge: {hits} of {len(every)}; scores "
        f"{min(scores):.2f} to {max(scores):.2f}, gradations {min(gradations):.2f} to "
        f"{max(gradations):.2f}; by all sets {_middle(tried, right)}; in use {SCORE:.2f} and "
        f"{GRADATION:.2f}"
    )


def _thresholds(score: float, gradation: float) -> Any:
    """Return what makes the checker use other thresholds, for a `with` block."""
    doubtful = min(gradation, DOUBTFUL_GRADATION)
    graded = min(score, GRADED_SCORE)
    return mock.patch.multiple(
        neighbours,
        SCORE=score,
        GRADED_SCORE=graded,
        GRADATION=gradation,
        DOUBTFUL_GRADATION=doubtful,
    )


def _evidence(verdict: Verdict) -> Evidence:
    """Return what the rule decides a verdict by; parts hang on the thresholds, and are left out."""
    assert verdict.structure is not None
    near, use = verdict.neighbours, verdict.usefulness
    return Evidence(verdict.structure, near, verdict.axes, use, verdict.columns)


def _rightly(
    every: Sequence[Set], found: Sequence[Evidence], score: float, gradation: float
) -> list[bool]:
    """Return which sets the rule judges rightly with other thresholds."""
    with _thresholds(score, gradation):
        return [
            apply_rule(evidence) == each.wanted for each, evidence in zip(every, found, strict=True)
        ]


def _middle(tried: Sequence[Thresholds], right: NDArray[np.bool_]) -> Thresholds:
    """Return the middle of the thresholds that judge most sets rightly.

    `right` `(thresholds, sets)` says which sets each judges rightly.
    """
    hits = right.sum(axis=1)
    best = np.array(tried)[hits == hits.max()]
    score, gradation = best.mean(axis=0)
    return float(score), float(gradation)


def shuffled(every: Sequence[Set]) -> None:
    """Print how often ordered sets in a random order pass for grids."""
    ordered = [each for each in every if each.wanted == "grid"]
    found: dict[str, int] = {}
    wrong = []
    for number in range(SHUFFLES):
        each = ordered[number % len(ordered)]
        order = np.random.default_rng(number).permutation(len(each.columns))
        decision = each.judged(order=order.tolist(), seed=number).decision
        found[decision] = found.get(decision, 0) + 1
        if decision == "grid":
            wrong.append(each.name)
    print(f"{SHUFFLES} shuffled versions of {len(ordered)} ordered sets: {found}; grids: {wrong}")


def changed(every: Sequence[Set]) -> None:
    """Print whether ordered sets stay grids with other signs, scales and no labels."""
    random = np.random.default_rng(0)
    for each in every:
        if each.wanted != "grid":
            continue
        looked = sample_rows(each.rows, 0)
        columns = []
        for values in each.columns:
            column = column_of("", values[looked])
            factor = random.choice([-1, 1]) * 10.0 ** random.uniform(-4, 4)
            columns.append(column_of("", column.values * factor + random.normal() * 1e3))
        for what, labels in (("other signs and scales", True), ("and without labels", False)):
            decision = each.judged(chosen=columns, labels=labels).decision
            if decision != "grid":
                print(f"{each.name}: {decision} with {what}")
    print("signs, scales and labels of the ordered sets changed: told above where it mattered")


def run(parser: argparse.ArgumentParser, *, thorough: bool) -> None:
    """Print the verdicts on all sets, and the long checks if `thorough`."""
    folder = Path(os.environ.get("GRIDCNN_DATA", "")) / "checker"
    if not folder.is_dir():
        parser.exit(2, f"{folder} is no folder; GRIDCNN_DATA names the folder of all data\n")
    every = list(sets(folder))
    verdicts(every)
    if thorough:
        left_out(every)
        changed(every)
        shuffled(every)
