"""The sizes of a convolution, and how its filters and windows are taken a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gridcnn.engines.native.emitter import Number
from gridcnn.engines.native.kernels.base import MapsKernel
from gridcnn.engines.native.layout import FEWEST_LANES
from gridcnn.forks import cached_property

NO_WINNER = 255
"""Marks a window whose maximum was rectified to 0; no gradient flows through it."""

Range = tuple[int, int]


@dataclass(frozen=True)
class Sizes(MapsKernel):
    """What a convolution does, with all sizes known.

    Attributes:
        kernel_size: rows and columns of a feature.
        stride: cells from one position to the next.
        dilation: cells from one tap to the next.
        rows, columns: those of the map before pooling; `target` is the output.
        bias: whether a bias is added.
        rectified: whether negative sums become 0.
        divisor: what sums are divided by; 1 if they are not.
        window: the window of the pooling that follows; one cell if none does.
        window_stride: cells of the map from one window to the next.
        epsilon: that of a normalization that is folded into the features; None if none is.
        sparse: whether a pooling behind it leaves most cells of the map without a gradient.
    """

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    rows: int
    columns: int
    bias: bool
    rectified: bool
    divisor: float = 1.0
    window: tuple[int, int] = (1, 1)
    window_stride: tuple[int, int] = (1, 1)
    epsilon: float | None = None
    sparse: bool = False

    @property
    def pooled(self) -> bool:
        """Whether only the best of each window is kept."""
        return self.window != (1, 1) or self.window_stride != (1, 1)

    @property
    def filters(self) -> int:
        """How many features there are."""
        return self.target.channels

    @property
    def lanes(self) -> int:
        """How wide the vectors along the filters are."""
        return self.target.lanes

    @property
    def vectors(self) -> int:
        """Vectors of filters in all."""
        return self.target.padded // self.lanes

    @cached_property
    def taps(self) -> list[tuple[int, int]]:
        """The cells of a feature, `(row, column)`, in the order in which they are summed."""
        return [
            (row, column)
            for row in range(self.kernel_size[0])
            for column in range(self.kernel_size[1])
        ]

    def widest(self, registers: int) -> int:
        """Return how many vectors of filters are worked on together, at most."""
        # The sums of one whole window have to fit into the registers: its cells times these vectors
        # are at most `room_for(registers)`, as long as `Convolution.joins` fuses no larger windows.
        cells = self.window[0] * self.window[1]
        if registers < 16:  # larger windows than 4 cells are summed in memory then
            return 1
        if registers < 32:
            return 2 if cells <= 6 else 1
        # Two vectors of a larger window would have more sums than there is room for.
        if cells > 12:
            return 1
        return 3 if self.vectors % 3 == 0 and cells <= 4 else 2

    def whole_windows(self, axis: int) -> int:
        """Return how many windows along an axis the edge does not cut."""
        size, count = ((self.rows, self.target.rows), (self.columns, self.target.columns))[axis]
        fitting = (size - self.window[axis]) // self.window_stride[axis] + 1
        return min(count, max(fitting, 0))

    def reach(self, row: int, column: int) -> int:
        """Return how far a tap lies from a position's first cell, in floats."""
        down, across = row * self.dilation[0], column * self.dilation[1]
        return down * self.source.step + across * self.source.padded

    def distance(self, rows: int, columns: int) -> int:
        """Return how far apart the patches of two positions are, in floats."""
        down = rows * self.stride[0] * self.source.step
        return down + columns * self.stride[1] * self.source.padded

    def origin(self, row: Number, column: Number) -> Number:
        """Return where the first cell of a position's patch stands in the grid, in floats."""
        return row * (self.stride[0] * self.source.step) + column * (
            self.stride[1] * self.source.padded
        )

    # What other ways of convolution change

    @property
    def feature_channels(self) -> int:
        """Channels of a feature in the flat vector."""
        return self.source.channels

    @property
    def packed_channels(self) -> int:
        """Channels of a feature in `features` and, if filters lie side by side, in its gradient."""
        return self.feature_channels

    @property
    def feature_size(self) -> int:
        """Floats of a feature in the flat vector."""
        return self.feature_channels * len(self.taps)

    @property
    def features_size(self) -> int:
        """Floats of all features as the forward pass reads them."""
        return len(self.taps) * self.packed_channels * self.target.padded

    @property
    def pass_rows(self) -> int:
        """The rows that the forward pass goes over."""
        return self.target.rows

    @property
    def is_narrow(self) -> bool:
        """Whether the grid has too few channels for vectors along them.

        The gradient of the features then has filters side by side, in vectors along these.
        """
        return self.source.channels < FEWEST_LANES


@dataclass(frozen=True)
class Chunk:
    """Vectors of filters that are worked on together, `width` of them, `count` times."""

    first: int
    width: int
    count: int


def chunks(vectors: int, width: int) -> list[Chunk]:
    """Return how vectors of filters are taken: as many as fit together, then the rest."""
    parts = []
    if vectors >= width:
        parts.append(Chunk(0, width, vectors // width))
    if vectors % width:
        parts.append(Chunk(vectors - vectors % width, vectors % width, 1))
    return parts


def filter_chunks(conv: Sizes, registers: int) -> list[Chunk]:
    """Return the chunks of a convolution's filters; the packed weights lie in their order."""
    return chunks(conv.vectors, min(conv.widest(registers), conv.vectors))


def room_for(registers: int) -> int:
    """Return how many sums a tile keeps in registers; the others hold what is added to them."""
    return 24 if registers >= 32 else 12 if registers >= 16 else 4


def windows_of_tile(conv: Sizes, room: int, width: int, height: int) -> tuple[int, int]:
    """Return how many whole windows a tile has, and how many tiles of a row have one more.

    There are whole windows in a row; `width` vectors of filters are worked on together, and
    windows are `height` high.
    """
    # Tiles of nearly one size: If 4 of 9 windows fit, they are 3 + 3 + 3, and not 4 + 4 + 1.
    whole = conv.whole_windows(1)
    most = max(1, room // (width * height * conv.window[1]))
    return divmod(whole, -(-whole // most))


def places_of(window: Range) -> Iterator[tuple[int, int, int]]:
    """Yield each place of a window, `(row, column)`, and its number."""
    for down in range(window[0]):
        for right in range(window[1]):
            yield down, right, down * window[1] + right


def windows_of(conv: Sizes) -> Iterator[tuple[Range, Range, tuple[int, int]]]:
    """Yield rows and columns of the target whose windows have one size, and that size."""
    parts: list[list[tuple[Range, int]]] = []
    for axis, (size, count) in enumerate(
        ((conv.rows, conv.target.rows), (conv.columns, conv.target.columns))
    ):
        whole = conv.whole_windows(axis)
        ranges = [((0, whole), conv.window[axis])] if whole else []
        if whole < count:
            ranges.append(((whole, count), size - whole * conv.window_stride[axis]))
        parts.append(ranges)
    for rows, height in parts[0]:
        for columns, across in parts[1]:
            yield rows, columns, (height, across)
