"""Parallel branches: each makes something else of the same grid, and the results are joined."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from gridcnn.contracts.stage import Composite, Graph, Stage
from gridcnn.spec.models import STAGE
from gridcnn.stages.merging import Join, Sum
from gridcnn.stages.skip import at_least

Branches = Annotated[
    tuple[tuple[Annotated[Stage | Composite, STAGE], ...], ...], *at_least(2, "branches")
]
"""Lists of stages."""


class Parallel(Composite):
    """Runs branches of stages on the same grid, and joins their maps (Szegedy et al., 2015)."""

    title: ClassVar[str] = "parallel"
    bare_list: ClassVar[str] = "branches"

    branches: Branches
    """Lists of stages, at least two. An empty list passes on the input."""
    join: Literal["maps", "sum"] = "maps"
    """`maps`: the maps of all branches become the channels of one grid; `sum`: they are added cell
    by cell."""

    def expand(self, graph: Graph, value: int) -> int:
        """Add all branches, and what joins them."""
        ends = [
            graph.chain(stages, value, place=("branches", number), part=str(number + 1))
            for number, stages in enumerate(self.branches)
        ]
        return graph.add(Join() if self.join == "maps" else Sum(), *ends)
