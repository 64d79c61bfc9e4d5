"""Layouts: ways in which columns may be the cells of a grid, and which of them are neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

FEWEST_POSITIONS = 5
"""Fewer positions have at most 12 orders (an order and its reverse are the same), and even the best
of them comes up by chance in one table of 12."""
_MOST_CHANNELS, _MOST_CHANNELS_OF_GRIDS = 16, 4
"""Channels of lines and of grids at most: sensors have up to about a dozen, colours and bands up to
four. Every further layout makes the test stricter."""
_SHORTEST_SIDE = 3
"""Rows or columns of a grid at least: two of them are neighbours in any order."""


@dataclass(frozen=True)
class Layout:
    """Columns as the cells of `channels` grids of `rows` x `columns`, row by row.

    Interleaved: all channels of the first cell come first, then all of the second; else the whole
    first channel comes first.
    """

    rows: int
    columns: int
    channels: int = 1
    interleaved: bool = True

    @property
    def positions(self) -> int:
        """The number of cells of one channel."""
        return self.rows * self.columns

    @property
    def dealing(self) -> tuple[int, bool]:
        """How columns are divided into channels: into how many, and whether interleaved."""
        return self.channels, self.interleaved

    @property
    def is_line(self) -> bool:
        """Whether the positions form a line."""
        return self.rows == 1 or self.columns == 1

    @property
    def adapter(self) -> dict[str, Any]:
        """The adapter of a spec that lays the columns of a table out like this."""
        settings: dict[str, Any] = {"size": [self.rows, self.columns]}
        if self.channels > 1:
            settings["channels"] = self.channels
            settings["order"] = "interleaved" if self.interleaved else "rows"
        return {"table": settings}

    def places(self) -> tuple[Indices, Indices]:
        """Return for each column its position and its channel, `(columns,)` each."""
        number = np.arange(self.positions * self.channels)
        if self.interleaved:
            return number // self.channels, number % self.channels
        return number % self.positions, number // self.positions

    def column_at(self, size: int, first: int = 0) -> Indices:
        """Return the column at each position and channel, `(positions, channels)`; -1 for none.

        Only `size` columns are known, from column `first` of the layout on; they are numbered from
        0.
        """
        position, channel = (places[first : first + size] for places in self.places())
        columns = np.full((self.positions, self.channels), -1, np.int64)
        columns[position, channel] = np.arange(size)
        return columns

    def neighbours(self, reach: int = 1) -> Indices:
        """Return for each position those next to it, `(positions, count)`; -1 at the edges.

        In a line, those up to `reach` steps away; in a grid, those left, right, above and below.
        """
        cells = np.arange(self.positions).reshape(self.rows, self.columns)
        steps = [(0, step) for step in range(1, reach + 1)]
        if self.columns == 1:
            steps = [(step, 0) for step in range(1, reach + 1)]
        elif self.rows > 1:
            steps = [(0, 1), (1, 0)]
        around = np.pad(cells, reach, constant_values=-1)
        beside = []
        for down, right in steps:
            for sign in (-1, 1):
                top, left = reach + sign * down, reach + sign * right
                beside.append(around[top : top + self.rows, left : left + self.columns].ravel())
        return np.stack(beside, axis=1)

    def __str__(self) -> str:
        grid = f"{self.rows} x {self.columns}" if self.rows > 1 else f"{self.columns} in a row"
        if self.channels == 1:
            return grid
        form = "interleaved" if self.interleaved else "one after the other"
        return f"{self.positions} positions ({grid}) x {self.channels} channels, {form}"


def layouts(columns: int) -> Iterator[Layout]:
    """Yield every layout of so many columns that could show an order, the simplest first.

    Every further layout makes luck likelier, and so the test stricter. Grids are therefore tried
    with up to four channels, as colours and bands have.
    """
    for channels in range(1, _MOST_CHANNELS + 1):
        positions = columns // channels
        if columns % channels or positions < FEWEST_POSITIONS:
            continue
        for interleaved in (True, False) if channels > 1 else (True,):
            yield Layout(1, positions, channels, interleaved)
            if channels > _MOST_CHANNELS_OF_GRIDS:
                continue
            for rows in range(_SHORTEST_SIDE, positions // _SHORTEST_SIDE + 1):
                if positions % rows == 0:
                    yield Layout(rows, positions // rows, channels, interleaved)
