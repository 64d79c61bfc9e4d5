"""How grids lie in memory while the native engine works on them."""

from __future__ import annotations

from dataclasses import dataclass

from gridcnn.engines.native.emitter import Number
from gridcnn.engines.native.processor import Processor

FEWEST_LANES = 4
"""Vectors are at least this wide; every processor has them."""


@dataclass(frozen=True)
class Maps:
    """The maps of one item: row after row, column after column, all channels of a cell together.

    There is a border of zeros as wide as the next stage's padding, so that nothing is ever copied
    to be padded. `padded` is the number of channels with those that only fill a vector.
    """

    channels: int
    rows: int
    columns: int
    lanes: int
    above: int = 0
    below: int = 0
    left: int = 0
    right: int = 0

    @property
    def padded(self) -> int:
        """Floats of one cell: its channels, and what fills the last vector."""
        return -(-self.channels // self.lanes) * self.lanes

    @property
    def step(self) -> int:
        """Floats from one row to the next."""
        return (self.left + self.columns + self.right) * self.padded

    @property
    def size(self) -> int:
        """Floats in all."""
        return (self.above + self.rows + self.below) * self.step

    def place(self, row: Number, column: Number, channel: Number = 0) -> Number:
        """Return where a cell stands, in floats from the start."""
        return (row + self.above) * self.step + (column + self.left) * self.padded + channel


def lanes_for(channels: int, processor: Processor) -> int:
    """Return how wide the vectors along so many channels are."""
    lanes = FEWEST_LANES
    while lanes < min(channels, processor.lanes):
        lanes *= 2
    return lanes
