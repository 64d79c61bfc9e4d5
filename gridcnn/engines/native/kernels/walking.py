"""Loops over all cells of maps, several vectors of channels at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gridcnn.engines.native.emitter import Code, Number, Value, vector
from gridcnn.engines.native.layout import Maps

_UNROLLED = 4
"""Most vectors of one cell that are worked on in one round of a loop: enough to hide how long an
addition takes, and few enough for all numbers to stay in registers."""


def chunks_of(maps: Maps) -> list[tuple[int, int]]:
    """Return the channels in chunks of a few vectors: `(first channel, vectors)`."""
    vectors = maps.padded // maps.lanes
    return [
        (start * maps.lanes, min(_UNROLLED, vectors - start))
        for start in range(0, vectors, _UNROLLED)
    ]


def cells_of(code: Code, maps: Maps, *, vectors: int = 0) -> Iterator[tuple[Value, Number]]:
    """Yield rows and columns of maps; the same code has to be written for each.

    `vectors` says how many of a cell that code works on; 0 for all of them.
    """
    with code.loop(maps.rows) as row:
        for column in columns_of(code, maps, vectors=vectors):
            yield row, column


def columns_of(code: Code, maps: Maps, *, vectors: int = 0) -> Iterator[Number]:
    """Yield the columns of a row like that; of short cells, a few in one round of a loop."""
    vectors = vectors or maps.padded // maps.lanes
    return code.repeat(maps.columns, together=max(1, _UNROLLED // vectors))


def add_cells(
    code: Code, maps: Maps, totals: Value, value: Callable[[Number, Number, Value], Value]
) -> None:
    """Emit the addition of all cells to a number of each map.

    `value` emits the vector at a row, a column and a first channel.
    """
    with code.loop(maps.padded, step=maps.lanes) as first:
        total = code.variable(code.load(totals, first, kind=vector(maps.lanes)))
        for row, column in cells_of(code, maps, vectors=1):
            more = value(row, column, first)
            total.set(code.arithmetic("fadd", total.get(), more))
        code.store(total.get(), totals, first)
