"""Blocks of columns of 0 and 1 that together are one attribute, and are judged as one column.

A table that was one-hot encoded has a column for each value of each category. The columns of one
category exclude each other, and stand together, so that they look related. They are one category
spread over several columns.

Levels are also written as *steps*: "at least 1", "at least 2", and so on (a thermometer code). In
every row of such a block ones come first and zeros follow, or the other way round. Steps are in
order, but one level is no line to slide along: the block is one number, how many of them are 1.
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


_FEWEST_STEPS = 3
"""Steps of a level at least: of two answers of yes or no, one often follows from the other."""
_FEWEST_AT_A_STEP = 10
"""Rows that reach a step and not the next: rare answers may follow from each other by luck."""


@dataclass(frozen=True)
class Block:
    """Columns side by side that are one attribute.

    Attributes:
        start, stop: the first column of the block, and the one after its last.
        steps: whether they are the steps of a level; else exactly one of them is 1 in every row.
    """

    start: int
    stop: int
    steps: bool = False

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.stop - self.start


def find_blocks(columns: Sequence[Column]) -> list[Block]:
    """Return the one-hot blocks among the columns and the blocks of steps, in their order.

    A one-hot block has two columns or more that vary. Rows without any of its values are ignored.

    Blocks of steps count only if all columns of 0 and 1 that vary are in blocks, and there is more
    than one: pixels may follow from each other too, and a single level may be all of a table.
    """
    binary = [_is_binary(column) for column in columns]
    blocks = []
    start = 0
    while start < len(columns):
        stop = _block_end(columns, binary, start)
        block = None if stop is None else Block(start, stop)
        if block is None:
            stop = _steps_end(columns, binary, start)
            block = None if stop is None else Block(start, stop, steps=True)
        if block is not None:
            blocks.append(block)
        start = start + 1 if block is None else block.stop
    inside = {number for block in blocks for number in range(block.start, block.stop)}
    is_rest = [
        is_one and column.kind != "constant" and number not in inside
        for number, (column, is_one) in enumerate(zip(columns, binary, strict=True))
    ]
    if any(is_rest) or (len(inside) == len(columns) and len(blocks) == 1):
        blocks = [block for block in blocks if not block.steps]
    return blocks


def _steps_end(columns: Sequence[Column], binary: Sequence[bool], start: int) -> int | None:
    """Return the end of the block of steps that begins at a column; None if there is none."""
    if not binary[start] or columns[start].kind == "constant":
        return None
    missing = np.isnan(columns[start].values)
    falls: bool | None = None
    stop = start + 1
    while stop < min(len(columns), start + _WIDEST) and binary[stop]:
        before, after = columns[stop - 1].values, columns[stop].values
        if columns[stop].kind == "constant" or not np.array_equal(np.isnan(after), missing):
            break
        steps = (after - before)[~missing]
        direction = bool((steps <= 0).all())
        one_way = direction or bool((steps >= 0).all())
        if not one_way or falls not in (None, direction):
            break
        if np.count_nonzero(steps) < _FEWEST_AT_A_STEP:
            break
        falls = direction
        stop += 1
    return stop if stop - start >= _FEWEST_STEPS else None


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
    """Return the columns with one column for each block, in the same order.

    A block of steps becomes a number, a one-hot block a column of symbols. Symbols are the places
    in a block, "1" to its width, if all blocks are equally wide: they may be the symbols of a
    sequence, and share an alphabet. Else each category has values of its own.
    """
    alike = len({block.width for block in blocks}) == 1
    by_start = {block.start: block for block in blocks}
    merged = []
    for start in starts_of(len(columns), blocks)[:-1]:
        block = by_start.get(start)
        if block is None:
            merged.append(columns[start])
            continue
        if block.steps:
            merged.append(_merge_steps(columns[start : block.stop]))
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


def _merge_steps(columns: Sequence[Column]) -> Column:
    level = np.sum([column.values for column in columns], axis=0)
    return Column(f"{columns[0].name} to {columns[-1].name}", "number", level)
