"""The verdict on whether the order of columns carries information, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gridcnn.order.lags import Lags
    from gridcnn.order.layouts import Layout
    from gridcnn.order.neighbours import Neighbours
    from gridcnn.order.parts import Part
    from gridcnn.order.rows import RowOrder
    from gridcnn.order.structure import Structure
    from gridcnn.order.usefulness import Usefulness

Decision = Literal["grid", "permutable", "undecided"]


@dataclass(frozen=True)
class AxisVerdict:
    """The verdict on one axis of a grid.

    Attributes:
        name: what the axis is called.
        size: how many places it has.
        decision: as for the whole.
        neighbours: what neighbours along the axis tell; None where it is too short to tell.
    """

    name: str
    size: int
    decision: Decision
    neighbours: Neighbours | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether the order of columns carries information.

    Attributes:
        decision: "grid" (the order carries information), "permutable" (it does not), or
            "undecided" (there is too little data to tell).
        evidence: what was found, in sentences.
        advice: what to do, in sentences.
        summary: the verdict, its reason and the advice, one plain sentence each.
        layout: how the columns stand in a grid, where one was found.
        parts: stretches of columns that are in order, if the whole is not.
        row_order: how alike rows are that stand side by side; None if that was not looked at.
        steady: False if a figure is so close to its threshold that another seed might have changed
            the decision, which is then "undecided".
        axes: the verdict on each axis, where the data came as grids.
        structure: what kinds of columns there are.
        neighbours: what neighbours tell in every layout that was tried, the one found first.
        lags: how association falls with distance.
        usefulness: how a network does with the columns as given and shuffled.
        rows: how many rows there are.
        columns: how many columns there are.
    """

    decision: Decision
    evidence: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    layout: Layout | None = None
    axes: tuple[AxisVerdict, ...] = ()
    structure: Structure | None = None
    neighbours: tuple[Neighbours, ...] = ()
    lags: Lags | None = None
    usefulness: Usefulness | None = None
    rows: int = 0
    columns: int = 0
    summary: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    row_order: RowOrder | None = None
    steady: bool = True

    def __str__(self) -> str:
        return "\n".join((f"verdict: {self.decision}", *self.evidence, *self.advice))
