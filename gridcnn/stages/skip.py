"""Skip connections: the input is added to the output of the stages."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from gridcnn.contracts.stage import Composite, Graph, Stage
from gridcnn.grid import GridShape
from gridcnn.settings.base import wanted_error
from gridcnn.spec.models import STAGE
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.merging import Sum


def at_least(fewest: int, entries: str) -> Any:
    """Return annotations that make a field a list with at least some number of entries.

    pydantic's own counts only the entries without a mistake, and would add one about their number.
    """

    def check(value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(value) < fewest:
            raise wanted_error(f"a list of at least {fewest} {entries}")
        return value

    return (AfterValidator(check), Field(json_schema_extra={"minItems": fewest}))


Stages = Annotated[tuple[Annotated[Stage | Composite, STAGE], ...], *at_least(1, "stage")]
"""Stages that follow each other."""


class Skip(Composite):
    """Adds the grid that enters to the output of the stages (a residual block; He et al., 2016)."""

    title: ClassVar[str] = "skip"
    bare_list: ClassVar[str] = "stages"

    stages: Stages
    """The stages that the connection skips."""
    shortcut: Literal["auto", "none", "projection"] = "auto"
    """How the input gets the shape of the output: `projection` by a convolution of 1 x 1 with
    the stride that fits; `none` not at all, the shapes must be equal; `auto` by a projection if the
    shapes differ."""

    def expand(self, graph: Graph, value: int) -> int:
        """Add the stages, a projection where it is needed, and the sum."""
        before = graph.shape(value)
        result = graph.chain(self.stages, value, place=("stages",))
        after = graph.shape(result)
        same = before.sizes == after.sizes
        if self.shortcut == "none" and not same:
            raise ValueError(
                f"the stages turn {before} into {after}, and with shortcut: none both must be "
                "equal; take shortcut: auto, or stages that keep the shape"
            )
        if self.shortcut == "projection" or not same:
            value = graph.add(_projection(before, after), value, name="shortcut")
        return graph.add(Sum(), value, result)


def _projection(before: GridShape, after: GridShape) -> Convolution:
    """Return the convolution of 1 x 1 that turns one shape into the other.

    Raises:
        ValueError: no stride leads from one size to the other.
    """
    strides = []
    for size, wanted, axis in (
        (before.rows, after.rows, before.row_axis),
        (before.columns, after.columns, before.column_axis),
    ):
        if size != wanted and not axis.ordered:
            raise ValueError(
                f"the stages turn {before} into {after}, and no shortcut leads from {size} cells "
                f"to {wanted} of the axis '{axis.name}', whose order means nothing; put the stage "
                "that takes the whole axis before the skip"
            )
        # A convolution of one cell leaves `ceil(size / stride)` positions.
        stride = next((s for s in range(1, size + 1) if -(-size // s) == wanted), None)
        if stride is None:
            raise ValueError(
                f"the stages turn {before} into {after}, and no stride of a 1 x 1 convolution "
                f"leads from {size} cells to {wanted}; take padding: same and a stride in the "
                "stages, or pooling before them"
            )
        strides.append(stride)
    return Convolution(
        filters=after.channels, kernel_size=1, stride=tuple(strides), padding="valid", bias=False
    )
