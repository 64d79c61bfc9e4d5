"""The guard before training: what is done about data whose order means nothing.

Whether it means something is for a `Checker` to say. Checkers are registered in the entry-point
group `gridcnn.checkers`, and every one of them is asked. gridcnn has none of its own yet: without
one, `reject` and `warn` let all data pass.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import ColumnPermutableError
from gridcnn.grid import Array, Cells
from gridcnn.registry import Registry

CHECKERS = Registry("checker", {})
Check = Literal["reject", "warn", "off"]
CHECKS: tuple[Check, ...] = ("reject", "warn", "off")


@dataclass(frozen=True)
class Verdict:
    """What a checker found.

    Attributes:
        decision: "grid" (the order carries information), "permutable" (it does not), or
            "undecided" (there is too little data to tell).
        evidence: what was found, in sentences.
        advice: what to do, in sentences.
    """

    decision: Literal["grid", "permutable", "undecided"]
    evidence: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join((f"verdict: {self.decision}", *self.evidence, *self.advice))


class PermutableWarning(UserWarning):
    """The order of the data means nothing, and `check: warn` lets it pass."""


Checker = Callable[[Array, NDArray[np.int64] | None], Verdict]
"""Takes grids `(items, channels, rows, columns)` and, where there are labels, class indices."""


def guard(grids: Cells, targets: NDArray[np.int64] | None, check: Check) -> list[Verdict]:
    """Ask every checker about training data, unless `check` is "off"; return their verdicts.

    Raises:
        ColumnPermutableError: a checker says "permutable", and `check` is "reject".
    """
    # The array of one-hot grids is large, and made where a checker will read it alone.
    if check == "off" or not CHECKERS:
        return []
    cells = np.asarray(grids)
    verdicts: list[Verdict] = [CHECKERS[name](cells, targets) for name in CHECKERS]
    for verdict in verdicts:
        if verdict.decision == "permutable":
            if check == "reject":
                raise ColumnPermutableError(str(verdict))
            warnings.warn(str(verdict), PermutableWarning, stacklevel=2)
    return verdicts
