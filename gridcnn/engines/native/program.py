"""What a program is: its arguments, the memory that it works in, and where its code is kept."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from gridcnn.engines.native.phases import STEP_BACK

ALIGNED = 16  # floats, of which each part of an arena is a whole number, gaps aside
MOST_TOGETHER = 32
"""The largest number of items whose votes are computed together when many are answered."""


class Argument(enum.IntEnum):
    """The arguments of a program, in the order of its table of arguments."""

    STEP_BACK = STEP_BACK
    PARAMETERS = enum.auto()
    PACKED = enum.auto()
    TO_PACK = enum.auto()  # 1 if the features are to be packed, 0 if they are already
    GRIDS = enum.auto()
    ITEMS = enum.auto()
    SHARD = enum.auto()  # items of a shard
    SHARDS = enum.auto()  # how many there are
    OUTPUT = enum.auto()
    ODD = enum.auto()  # for each item a float that is 0 if all its cells are finite, else NaN
    TARGETS = enum.auto()
    SOFT_TARGETS = enum.auto()  # parts of classes, times the item's weight, or 0; see `label_loss`
    FLOW = enum.auto()  # the gradient of the output, where there is no loss
    ROWS = enum.auto()  # the voting layers' values and gradients of the whole batch
    SUMS = enum.auto()  # each shard's gradients
    ADDITIONS = enum.auto()  # which shards' gradients are added to which, see `summing.Additions`
    ADDITION_COUNT = enum.auto()
    GRADIENT = enum.auto()
    BY_GRIDS = enum.auto()
    FACTORS = enum.auto()  # dropout, or 0
    RESULTS = enum.auto()
    STAGE_FACTORS = enum.auto()  # dropout between stages, or 0
    FACTOR = enum.auto()  # one over the number of items, as the bits of a float


@dataclass
class Arena:
    """Memory that is laid out while the code is made; sizes are in floats.

    `gap` floats lie around each part; nothing may ever be read or written there.
    """

    gap: int = 0
    size: int = 0
    parts: list[tuple[str, int, int]] = field(default_factory=list)

    def take(self, name: str, floats: int) -> int:
        """Return where a new part begins."""
        start = self.size + self.gap
        self.size = start + -(-floats // ALIGNED) * ALIGNED
        self.parts.append((name, start, floats))
        return start

    def take_many(self, other: Arena, times: int) -> int:
        """Return where `times` copies of another, closed arena begin."""
        start = self.size
        for _ in range(times):
            for name, place, floats in other.parts:
                self.parts.append((name, self.size + place, floats))
            self.size += other.size
        return start

    def close(self) -> None:
        """Put the last gap behind the last part."""
        self.size += self.gap


@dataclass(frozen=True)
class Program:
    """The text of a program, and the memory that it needs.

    Attributes:
        text: LLVM IR; empty if the program was found again by its recipe.
        length: how many characters the text has.
        key: the text's place among the object code that is kept, see `compiler.key_for`.
        phases: how many counters it takes.
        workspace: floats for each thread, all 0 at the start.
        packed: floats for the features as the kernels take them, all 0 at the start.
        rows: floats for each item of the batch, for the voting layers' values and gradients.
        sums: floats for each shard's gradients.
        shard: items in a shard; 0 if any number will do.
        shared: whether all threads work in one workspace.
    """

    text: str
    length: int
    key: str
    phases: int
    workspace: Arena
    packed: Arena
    rows: int
    sums: Arena
    shard: int
    shared: bool
