"""The guard before training: what happens if the order of the data means nothing.

Checkers decide whether it means something. gridcnn's own is called `order`; others are registered
in the entry-point group `gridcnn.checkers`, and all of them are called.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np

from gridcnn.contracts.targets import Targets
from gridcnn.errors import ColumnPermutableError
from gridcnn.grid import Array, Cells, GridShape
from gridcnn.order.sample import Sample, draw_items, sample_of_grids
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
    """The order of the data means nothing, and training goes on because of `check: warn`."""


@dataclass(frozen=True)
class Context:
    """What a checker may need beside grids and classes.

    Attributes:
        shape: the shape of every grid, with its two axes.
        items: how many training items there are; the checker gets some of them.
        seed: the seed of the run, which should fix the verdict.
        threads: the most threads; None: as many as this process may use.
        advance: to be called with a `gridcnn.progress.Progress`; None: progress is not shown.
    """

    shape: GridShape
    items: int
    seed: int = 0
    threads: int | None = None
    advance: Advance | None = None


Checker = (
    Callable[[Array, Targets | None], Verdict] | Callable[[Array, Targets | None, Context], Verdict]
)
"""Takes grids `(items, channels, rows, columns)`, class indices `(items,)` (None if there are no
labels), and, if it has a third parameter, a `Context`."""


@runtime_checkable
class Judge(Protocol):
    """A checker that takes a `Sample` instead of an array of cells, as gridcnn's own does."""

    def judge(self, sample: Sample, context: Context) -> Verdict:
        """Return the verdict on a sample of the training items."""
        ...


@dataclass(frozen=True)
class Checked:
    """The result of checking training data.

    Attributes:
        setting: the value of `check` in the spec.
        verdicts: the verdict of each checker, by its name; empty if none was called.
    """

    setting: Check
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    @property
    def decision(self) -> Decision | None:
        """The decision of all checkers together; None if none was called.

        "permutable" if one of them says so, else "grid" if one of them says so.
        """
        decisions = {verdict.decision for verdict in self.verdicts.values()}
        ranked: tuple[Decision, ...] = ("permutable", "grid", "undecided")
        return next((decision for decision in ranked if decision in decisions), None)

    @property
    def overridden(self) -> bool:
        """Whether the spec allows training on data that is not a grid, or was not checked."""
        return self.setting == "off" or self.decision == "permutable"

    def as_json(self) -> dict[str, Any]:
        """Return the content for `metrics.json`."""
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
        """Return the check whose `as_json` this is, as far as it is stored there.

        Raises:
            ValueError: it does not have that form.
        """
        check = _CheckContent.read(content)
        verdicts = {
            verdict.checker: Verdict(
                verdict.decision, tuple(verdict.evidence), tuple(verdict.advice)
            )
            for verdict in check.verdicts
        }
        return cls(check.setting, verdicts)


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
    targets: Targets | None,
    check: Check,
    *,
    sample: Sample | None = None,
    shape: GridShape | None = None,
    seed: int = 0,
    threads: int | None = None,
    advance: Advance | None = None,
    remedy: str = "set check: warn",
) -> Checked:
    """Check training data with every checker, unless `check` is "off"; return the verdicts.

    If there are many items, the checkers get 4,000 at random (of large grids fewer, but at least
    500), so that it takes seconds and little memory.

    Args:
        grids: `(items, channels, rows, columns)`.
        targets: the class indices of the items `(items,)`, or None; if one is -1, that is not
            known, the checkers get no classes but those of `sample`.
        check: what to do if a checker says "permutable".
        sample: what gridcnn's own checker judges; None: some of the grids.
        shape: the shape of the grids; None: that of `grids`, over axes called row and column.
        seed, threads, advance: those of the `Context`.
        remedy: how to train all the same, for the error.

    Raises:
        ColumnPermutableError: a checker says "permutable", and `check` is "reject".
    """
    if check == "off" or not CHECKERS:
        return Checked(check)
    if targets is not None and (targets < 0).any():
        targets = None
    shape = GridShape(*grids.shape[1:]) if shape is None else shape
    context = Context(shape, len(grids), seed, threads, advance)
    arrays: tuple[Array, Targets | None] | None = None
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
            message = "\n".join((_NO_GRID, *verdict.evidence, *verdict.advice))
            if check == "reject":
                raise ColumnPermutableError(f"{message}\nto train on it all the same, {remedy}")
            warnings.warn(message, PermutableWarning, stacklevel=2)
    return Checked(check, verdicts)


def _arrays(grids: Cells, targets: Targets | None, seed: int) -> tuple[Array, Targets | None]:
    """Return the grids and classes for checkers that take arrays."""
    chosen = draw_items(len(grids), math.prod(grids.shape[1:]), seed)
    if len(chosen) < len(grids):
        grids, targets = grids[chosen], None if targets is None else targets[chosen]
    return np.asarray(grids), targets


def _takes_context(checker: Callable[..., Verdict]) -> bool:
    try:
        inspect.signature(checker).bind(None, None, None)
    except (TypeError, ValueError):  # the second: compiled functions may have no signature
        return False
    return True
