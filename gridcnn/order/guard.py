"""The guard before training: what is done about data whose order means nothing.

Whether it means something is for a `Checker` to say. gridcnn's own is called `order`; others are
registered in the entry-point group `gridcnn.checkers`, and every one of them is asked.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import ColumnPermutableError
from gridcnn.grid import Array, Cells, GridShape
from gridcnn.order.sample import Sample, drawn, sample_of_grids
from gridcnn.order.verdict import Decision, Verdict
from gridcnn.progress import Advance
from gridcnn.registry import Registry
from gridcnn.settings.content import Content

__all__ = [
    "CHECKERS",
    "CHECKS",
    "Check",
    "Checked",
    "Checker",
    "Context",
    "PermutableWarning",
    "Verdict",
    "guard",
]

CHECKERS = Registry("checker", {"order": "gridcnn.order.checker:order"})
Check = Literal["reject", "warn", "off"]
CHECKS: tuple[Check, ...] = ("reject", "warn", "off")
_NO_GRID = "the data is no grid, since its order carries no information (verdict: permutable)"


class PermutableWarning(UserWarning):
    """The order of the data means nothing, and `check: warn` lets it pass."""


@dataclass(frozen=True)
class Context:
    """What a checker may want to know beside grids and classes.

    Attributes:
        shape: the shape of every grid, with its two axes.
        items: how many training items there are, of which the checker is given some.
        seed: the seed of the run, which should fix the verdict.
        threads: the most threads; None: as many as this process may use.
        advance: to be called with a `gridcnn.progress.Progress`; None: no one shows it.
    """

    shape: GridShape
    items: int
    seed: int = 0
    threads: int | None = None
    advance: Advance | None = None


Checker = (
    Callable[[Array, NDArray[np.int64] | None], Verdict]
    | Callable[[Array, NDArray[np.int64] | None, Context], Verdict]
)
"""Takes grids `(items, channels, rows, columns)`, where there are labels class indices `(items,)`
(else None), and, where it has a place for a third argument, a `Context`."""


@runtime_checkable
class Judge(Protocol):
    """A checker that takes a sample itself, as gridcnn's own does, and no array of its cells."""

    def judge(self, sample: Sample, context: Context) -> Verdict:
        """Return the verdict on a sample of the training items."""
        ...


@dataclass(frozen=True)
class Checked:
    """What came of checking training data.

    Attributes:
        setting: what the spec has for `check`.
        verdicts: what each checker found, by its name; empty where none was asked.
    """

    setting: Check
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def decision(self) -> Decision | None:
        """What all checkers come to; None where none was asked.

        "permutable" where one of them says so, else "grid" where one of them says so.
        """
        found = {verdict.decision for verdict in self.verdicts.values()}
        ranked: tuple[Decision, ...] = ("permutable", "grid", "undecided")
        return next((each for each in ranked if each in found), None)

    @property
    def overridden(self) -> bool:
        """Whether data is trained on that may be, or is, no grid, since the spec says so."""
        return self.setting == "off" or self.decision == "permutable"

    def as_json(self) -> dict[str, Any]:
        """Return what stands in `metrics.json`."""
        return {
            "setting": self.setting,
            "decision": self.decision,
            "overridden": self.overridden,
            "verdicts": [
                {
                    "checker": name,
                    "decision": verdict.decision,
                    "evidence": list(verdict.evidence),
                    "advice": list(verdict.advice),
                }
                for name, verdict in self.verdicts.items()
            ],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return what `as_json` was made of, as far as it tells.

        Raises:
            ValueError: it is none of that.
        """
        found = _CheckContent.read(content)
        verdicts = {
            each.checker: Verdict(each.decision, tuple(each.evidence), tuple(each.advice))
            for each in found.verdicts
        }
        return cls(found.setting, verdicts)


class _VerdictContent(Content):
    title: ClassVar[str] = "a verdict"

    checker: str
    decision: Decision
    evidence: list[str]
    advice: list[str]


class _CheckContent(Content):
    title: ClassVar[str] = "the check"

    setting: Check
    verdicts: list[_VerdictContent]


def guard(
    grids: Cells,
    targets: NDArray[np.int64] | None,
    check: Check,
    *,
    sample: Sample | None = None,
    shape: GridShape | None = None,
    seed: int = 0,
    threads: int | None = None,
    advance: Advance | None = None,
    remedy: str = "set check: warn",
) -> Checked:
    """Ask every checker about training data, unless `check` is "off"; return what they found.

    Of many items the checkers get 4,000 at random (of large grids fewer, but at least 500), so that
    it takes seconds and little memory.

    Args:
        grids: `(items, channels, rows, columns)`.
        targets: the class indices of the items `(items,)`, or None.
        check: what to do where a checker says "permutable".
        sample: what gridcnn's own checker judges; None: some of the grids.
        shape: the shape of the grids; None: that of `grids`, over axes called row and column.
        seed, threads, advance: those of the `Context`.
        remedy: what to do in order to train all the same, for the error.

    Raises:
        ColumnPermutableError: a checker says "permutable", and `check` is "reject".
    """
    if check == "off" or not CHECKERS:
        return Checked(check)
    shape = GridShape(*grids.shape[1:]) if shape is None else shape
    context = Context(shape, len(grids), seed, threads, advance)
    arrays: tuple[Array, NDArray[np.int64] | None] | None = None
    verdicts: dict[str, Verdict] = {}
    for name in CHECKERS:
        checker = CHECKERS[name]
        if isinstance(checker, Judge):
            sample = sample or sample_of_grids(grids, targets, shape=shape, seed=seed)
            verdict = checker.judge(sample, context)
        else:
            # The array of one-hot grids is large, and made once for all checkers.
            arrays = arrays or _arrays(grids, targets, seed)
            verdict = checker(*arrays, *([context] if _takes_context(checker) else []))
        verdicts[name] = verdict
        if verdict.decision == "permutable":
            told = "\n".join((_NO_GRID, *verdict.evidence, *verdict.advice))
            if check == "reject":
                raise ColumnPermutableError(f"{told}\nto train on it all the same, {remedy}")
            warnings.warn(told, PermutableWarning, stacklevel=2)
    return Checked(check, verdicts)


def _arrays(
    grids: Cells, targets: NDArray[np.int64] | None, seed: int
) -> tuple[Array, NDArray[np.int64] | None]:
    """Return the grids and classes that checkers get which take arrays."""
    chosen = drawn(len(grids), math.prod(grids.shape[1:]), seed)
    if len(chosen) < len(grids):
        grids, targets = grids[chosen], None if targets is None else targets[chosen]
    return np.asarray(grids), targets


def _takes_context(checker: Callable[..., Verdict]) -> bool:
    try:
        inspect.signature(checker).bind(None, None, None)
    except (TypeError, ValueError):  # the second: compiled functions may not tell what they take
        return False
    return True
