"""Steps: what a network of another program does, in our own stages, before they are nested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gridcnn.grid import Array

Sizes = tuple[int, int, int]
"""Channels, rows and columns."""


@dataclass
class Step:
    """One stage, or a merge.

    Attributes:
        kind: the name of the stage; `sum` or `join` for a merge.
        settings: of the stage.
        sources: the numbers of the values that it reads: 0 is the grid, n what the n-th step makes.
        sizes: of the output.
        parameters: the values of its parameters, by name.
        is_dense: whether it is a fully connected layer, as a convolution of all cells.
    """

    kind: str
    settings: Mapping[str, Any]
    sources: tuple[int, ...]
    sizes: Sizes
    parameters: Mapping[str, Array] = field(default_factory=dict)
    is_dense: bool = False

    @property
    def written(self) -> Any:
        """The stage as a spec has it."""
        return {self.kind: dict(self.settings)} if self.settings else self.kind
