"""How grids lie in memory while the native engine works on them.

A grid of 3 channels, 2 rows and 4 columns, in vectors of 4 floats, for a convolution with a padding
of one cell. `abc-` is one cell: its three channels, and a float that only fills the vector.

    above       0000 0000 0000 0000 0000 0000
    row 0       0000 abc- abc- abc- abc- 0000
    row 1       0000 abc- abc- abc- abc- 0000
    below       0000 0000 0000 0000 0000 0000
                left                     right

    padded: 4 floats of a cell;  step: 24 floats of a line;  size: 96 floats in all
"""

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
    to be padded. The border is never cleared: workspaces start as zeros, and the forward kernels
    write only to the cells inside it (tests/engines/native/test_memory.py notices any other write).
    `padded` is the number of channels with those that only fill a vector.
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
    # Powers of 2, and no wider than the channels need: a wider vector would mostly hold filling.
    lanes = FEWEST_LANES
    while lanes < min(channels, processor.lanes):
        lanes *= 2
    return lanes
