"""One-hot blocks: columns of 0 and 1 that together are one category.

A table that was one-hot encoded has a column for each value of each category. The columns of one
category exclude each other, and stand together, so that they look related. They are one category
spread over several columns, and are judged as one column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.order.columns import Column

_WIDEST = 512
"""Columns of a block at most: a column with more values is a number or a text rather than a
category. It also bounds the time of the search."""


@dataclass(frozen=True)
class Block:
    """Columns side by side of which exactly one is 1 in every row.

    Attributes:
        start, stop: the first column of the block, and the one after its last.
    """

    start: int
    stop: int

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.stop - self.start


def one_hot_blocks(columns: Sequence[Column]) -> list[Block]:
    """Return the one-hot blocks among the columns, in their order.

    A block has two columns or more that vary. Rows without any of its values are ignored.
    """
    binary = [_is_binary(column) for column in columns]
    blocks = []
    start = 0
    while start < len(columns):
        stop = _block_end(columns, binary, start)
        if stop is None:
            start += 1
        else:
            blocks.append(Block(start, stop))
            start = stop
    return blocks


def _block_end(columns: Sequence[Column], binary: Sequence[bool], start: int) -> int | None:
    """Return the end of the block that begins at a column; None if there is none."""
    if not binary[start]:
        return None
    first = columns[start].values
    known = ~np.isnan(first)
    total = np.zeros(int(known.sum()))
    varying = 0
    for stop in range(start, min(len(columns), start + _WIDEST)):
        if not binary[stop]:
            return None
        values = columns[stop].values
        if not np.array_equal(np.isnan(values), ~known):
            return None
        total += values[known]
        varying += columns[stop].kind != "constant"
        if (total > 1).any():
            return None
        if (total == 1).all():
            # Columns that are 0 in every row are values that do not occur; they go to this block.
            end = stop + 1
            while end < len(columns) and binary[end] and not columns[end].values[known].any():
                end += 1
            return end if varying > 1 else None
    return None


def _is_binary(column: Column) -> bool:
    if column.symbols:
        return False
    values = column.values[~np.isnan(column.values)]
    return bool(((values == 0) | (values == 1)).all()) and len(values) > 0


def merge_blocks(columns: Sequence[Column], blocks: Sequence[Block]) -> list[Column]:
    """Return the columns with one column of symbols for each block, in the same order.

    Symbols are the places in a block, "1" to its width, if all blocks are equally wide: they may be
    the symbols of a sequence, and share an alphabet. Else each category has values of its own.
    """
    alike = len({block.width for block in blocks}) == 1
    by_start = {block.start: block for block in blocks}
    merged = []
    for start in starts_of(len(columns), blocks)[:-1]:
        block = by_start.get(start)
        if block is None:
            merged.append(columns[start])
            continue
        prefix = "" if alike else f"{start}: "
        merged.append(_merge_columns(columns[start : block.stop], prefix))
    return merged


def starts_of(columns: int, blocks: Sequence[Block]) -> list[int]:
    """Return where each column of `merge_blocks` begins in the table, and the table's end."""
    inside = {number for block in blocks for number in range(block.start + 1, block.stop)}
    return [number for number in range(columns + 1) if number not in inside]


def _merge_columns(columns: Sequence[Column], prefix: str) -> Column:
    values = np.stack([column.values for column in columns], axis=1)
    missing = np.isnan(values).any(axis=1)
    place: NDArray[np.int64] = np.nan_to_num(values).argmax(axis=1)
    counts = np.bincount(place[~missing], minlength=len(columns))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    rank = np.zeros(len(columns))
    rank[order] = np.arange(len(order))
    codes = np.where(missing, np.nan, rank[place])
    symbols = tuple(f"{prefix}{index + 1}" for index in order.tolist())
    return Column(f"{columns[0].name} to {columns[-1].name}", "category", codes, symbols)
