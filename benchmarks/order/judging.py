"""Judging made cases: each with several seeds of the checker, in several processes."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Literal

from benchmarks.order.case import Answer, Case, Grid
from gridcnn.checking.asked import Asked
from gridcnn.checking.memory import from_memory
from gridcnn.errors import DataError
from gridcnn.order.sample import judge as judge_sample
from gridcnn.order.verdict import Verdict

Outcome = Literal["right", "undecided", "wrong"]

_OVERLAP = 0.8
"""How much of the columns in either the right part or the found one must be in both. One or two
columns at the edges of a part can belong to it by chance."""


@dataclass(frozen=True)
class Judgement:
    """What the checker says of one case with one seed.

    Attributes:
        seed: the checker's seed.
        decision: the decision; `refused` if the checker raised `DataError`.
        layout: the layout that is advised, if any.
        parts: of each part of the columns that is said to be ordered, while the whole is not, the
            first column and the column after its last.
    """

    seed: int
    decision: str
    layout: Grid | None = None
    parts: tuple[tuple[int, int], ...] = ()

    def outcome(self, answer: Answer) -> Outcome:
        """Return how this compares with the right answer. A part that is named is a claim, too."""
        if answer.kind == "either":
            return "right"
        if self.parts:
            return "right" if answer.part is not None and self._names(answer.part) else "wrong"
        if self.decision in ("undecided", "refused"):
            return "right" if answer.undecided else "undecided"
        return "right" if self.decision == answer.kind else "wrong"

    def has_right_layout(self, answer: Answer) -> bool | None:
        """Return whether the layout is right; None if no grid was found or none is known."""
        if answer.kind != "grid" or not answer.layouts or self.decision != "grid":
            return None
        return self.layout in answer.layouts

    def _names(self, part: tuple[int, int]) -> bool:
        """Return whether nearly these columns are named, and no others."""
        if len(self.parts) > 1:
            return False
        ((first, stop),) = self.parts
        both = min(part[1], stop) - max(part[0], first)
        either = max(part[1], stop) - min(part[0], first)
        return both >= _OVERLAP * either


@dataclass(frozen=True)
class Result:
    """A case with its judgements, one for each seed of the checker.

    `seconds` are those of the processor, which other programs hardly change.
    """

    case: Case
    answer: Answer
    judgements: tuple[Judgement, ...]
    seconds: float

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcome for each seed of the checker."""
        return tuple(each.outcome(self.answer) for each in self.judgements)

    @property
    def layouts(self) -> tuple[bool, ...]:
        """For each seed that gives a grid of known layout, whether the layout is right."""
        found = (each.has_right_layout(self.answer) for each in self.judgements)
        return tuple(each for each in found if each is not None)

    @property
    def is_stable(self) -> bool:
        """Whether all seeds of the checker give the same decision."""
        return len({each.decision for each in self.judgements}) == 1


def judge(case: Case, seeds: Sequence[int]) -> Result:
    """Return what the checker says of a case with each of its seeds, on one thread.

    As in a run, networks are trained only if neighbours have not settled the verdict.
    """
    made = case.made()
    start = time.process_time()
    judgements = []
    for seed in seeds:
        try:
            sample = from_memory(made.X, Asked(made.y, None, None, seed, None))
            verdict = judge_sample(sample, threads=1, thorough=False)
            judgements.append(_judgement(verdict, seed))
        except DataError:
            judgements.append(Judgement(seed, "refused"))
    return Result(case, made.answer, tuple(judgements), time.process_time() - start)


def _judgement(verdict: Verdict, seed: int) -> Judgement:
    layout = None if verdict.layout is None else verdict.layout.adapter["table"]
    return Judgement(
        seed,
        verdict.decision,
        None if layout is None else Grid.from_settings(layout),
        tuple((each.start, each.stop) for each in verdict.parts),
    )


def judge_all(cases: Sequence[Case], seeds: Sequence[int], *, jobs: int) -> Iterator[Result]:
    """Yield the results of all cases as they come, from so many processes."""
    if jobs == 1:
        for case in cases:
            yield judge(case, seeds)
        return
    # Processes that start afresh are the same on every system.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for future in as_completed([pool.submit(judge, case, seeds) for case in cases]):
            yield future.result()
