"""Repetition: the same stages several times, each time with parameters of their own."""

from __future__ import annotations

from typing import ClassVar

from gridcnn.contracts.stage import Composite, Graph
from gridcnn.settings.base import Count
from gridcnn.stages.skip import Stages


class Repeat(Composite):
    """Runs the same stages several times; every repetition learns parameters of its own."""

    title: ClassVar[str] = "repeat"

    times: Count
    """How often."""
    stages: Stages
    """What is repeated."""

    def expand(self, graph: Graph, value: int) -> int:
        """Add the stages as often as is asked for."""
        for number in range(self.times):
            value = graph.chain(self.stages, value, place=("stages",), part=str(number + 1))
        return value
