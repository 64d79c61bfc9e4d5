"""The verdict on whether the order of columns carries information, with its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        name: the name of the axis.
        size: how many places it has.
        decision: as for the whole.
        neighbours: the evidence of neighbours along the axis; None if it is too short.
    """

    name: str
    size: int
    decision: Decision
    neighbours: Neighbours | None = None


@dataclass(frozen=True, repr=False)
class Verdict:
    """Whether the order of columns carries information.

    Attributes:
        decision: "grid" (the order carries information), "permutable" (it does not), or
            "undecided" (the evidence is too weak, or not steady).
        evidence: the figures, in sentences.
        advice: what to do, in sentences.
        summary: the verdict, its reason and the advice, one plain sentence each.
        layout: how the columns stand in a grid, if they do.
        parts: stretches of columns that are in order, if the whole is not.
        row_order: how alike rows are that stand side by side; None if that was not looked at.
        steady: False if a figure is so close to its threshold that another seed might have changed
            the decision, which is then "undecided".
        axes: the verdict on each axis, if the data came as grids.
        structure: what kinds of columns there are.
        neighbours: the evidence of neighbours in every layout that was compared, first in `layout`.
        lags: the association of columns at each distance.
        usefulness: the accuracy of a network with the columns as given and shuffled.
        rows: how many rows there are.
        columns: how many columns there are.
        seed: the seed of everything that was drawn at random.
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
    seed: int = 0

    def __str__(self) -> str:
        lines = (f"verdict: {self.decision}", *self.summary, *self.evidence, *self.advice)
        return "\n".join(lines)

    def __repr__(self) -> str:
        layout = "" if self.layout is None else f" as {self.layout}"
        size = f"{self.rows:,} rows x {self.columns:,} {'cells' if self.axes else 'columns'}"
        parts = [f"{self.decision}{layout}", size, self._figure()]
        return f"Verdict({', '.join(part for part in parts if part)})"

    def _figure(self) -> str:
        """Return the figure that matters most: that of neighbours, unless usefulness decides."""
        along = (axis.neighbours for axis in self.axes)
        near = [*self.neighbours[:1], *(look for look in along if look is not None)]
        use = self.usefulness
        if use is not None and not any(look.is_ordered for look in near) and use.is_useful:
            near = []
        if near:
            return f"score {max(look.score for look in near):.2f} of 1"
        if use is not None:
            shuffled = sum(use.shuffled) / len(use.shuffled)
            return f"accuracy {use.given:.1%} as given and {shuffled:.1%} shuffled"
        mixed = self.structure is not None and self.structure.mixed
        return "columns of different kinds" if mixed else ""

    def _repr_html_(self) -> str:
        from gridcnn.report.notebook import notebook_html

        return notebook_html(self)

    def plot(self) -> Figure:
        """Return the evidence as a Matplotlib figure.

        It shows association against distance, the association of every two columns as given and
        in a random order, and the accuracies if there are any. No window is opened:
        `verdict.plot().savefig("order.png")`.

        Raises:
            DataError: the verdict has sentences only, and nothing to draw.
        """
        from gridcnn.report.figure import verdict_figure

        return verdict_figure(self)
