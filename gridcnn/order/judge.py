"""The verdict on the columns of a table, and on grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets
from gridcnn.errors import DataError
from gridcnn.order.blocks import Block, find_blocks, merge_blocks, starts_of
from gridcnn.order.case import COLUMNS, Case
from gridcnn.order.columns import Column, column_of, comparable, scales
from gridcnn.order.judging import Judging, refuse_too_few
from gridcnn.order.layouts import Layout, layouts
from gridcnn.order.parts import ENOUGH_COLUMNS, Part
from gridcnn.order.structure import Structure, structure
from gridcnn.order.units import compare_units
from gridcnn.order.verdict import Verdict
from gridcnn.order.wording import describe_aside, describe_blocks, describe_mixed, with_words

_CHANNELS = 8
"""Channels of large grids that are compared, so that enough cells of each can be compared."""


def judge_columns(
    columns: Sequence[Column],
    targets: Targets | None,
    *,
    rows: int,
    judging: Judging,
    shape: tuple[int, int] | None = None,
) -> Verdict:
    """Return the verdict on the columns of a table.

    Args:
        columns: the columns, with the values of the rows that are looked at.
        targets: the class of each of these rows, `(rows,)`, -1 for none; None: no labels.
        rows: how many rows the table has in all.
        judging: seed, threads and progress.
        shape: the rows and columns of the grid that these columns are said to be; None: every
            layout is tried.

    Raises:
        DataError: there are too few columns or rows, or the shape does not fit the columns.
    """
    refuse_too_few(len(columns), len(columns[0].values) if columns else 0)
    blocks = find_blocks(columns) if shape is None else []
    merged = merge_blocks(columns, blocks)
    kinds = structure(merged)
    notes = [*describe_blocks(blocks), *describe_aside(merged, kinds)]
    if kinds.mixed:
        judged = tuple(n for n, column in enumerate(merged) if column.kind == "number")
        verdict = _judge_mixed(merged, judged, kinds, notes, rows, judging)
    else:
        judged = kinds.judged
        if shape is not None and shape[0] * shape[1] != len(judged):
            raise DataError(
                f"a grid of {shape[0]} x {shape[1]} has {shape[0] * shape[1]} cells, but there are "
                f"{len(judged)} columns to fill it with"
            )
        values, usable = comparable([merged[index] for index in judged])
        tried = list(layouts(len(judged))) if shape is None else [Layout(*shape)]
        in_units = scales([merged[index] for index in judged])
        if not kinds.alphabet:
            kinds = replace(kinds, units=compare_units(in_units))
        case = Case(values, usable, targets, rows, judging, scales=in_units)
        breaks = np.diff(judged) > 1
        verdict = case.verdict(tried, (), kinds, notes, given=shape is not None, breaks=breaks)
    parts = _name_parts(verdict.parts, judged, merged, starts_of(len(columns), blocks))
    verdict = replace(verdict, parts=parts, columns=len(columns))
    if blocks:
        verdict = _of_blocks(verdict, blocks, len(columns), judged=len(judged))
    return with_words(verdict, labelled=targets is not None)


def _judge_mixed(
    columns: Sequence[Column],
    numbers: Sequence[int],
    kinds: Structure,
    notes: Sequence[str],
    rows: int,
    judging: Judging,
) -> Verdict:
    """Return the verdict on columns of different kinds, with the ordered parts of the numbers."""
    parts: tuple[Part, ...] = ()
    if len(numbers) >= ENOUGH_COLUMNS:
        values, usable = comparable([columns[n] for n in numbers])
        case = Case(values, usable, None, rows, judging)
        parts = case.parts(np.diff(numbers) > 1, whole=False, all_of_it=True)
    return Verdict(
        "permutable",
        (describe_mixed(kinds, len(columns)), *notes),
        structure=kinds,
        rows=rows,
        parts=parts,
    )


def _name_parts(
    parts: Sequence[Part],
    judged: Sequence[int],
    columns: Sequence[Column],
    starts: Sequence[int],
) -> tuple[Part, ...]:
    """Return parts of the judged columns as parts of the table, with their names.

    `judged` are those among the merged `columns`, and `starts` says where these begin in the table.
    """
    named = []
    for part in parts:
        first, last = judged[part.start], judged[part.stop - 1]
        stop = starts[last + 1]
        named.append(Part(starts[first], stop, columns[first].name, columns[last].name))
    return tuple(named)


def _of_blocks(verdict: Verdict, blocks: Sequence[Block], columns: int, *, judged: int) -> Verdict:
    """Return a verdict on blocks as a verdict on the columns that they consist of.

    Attributes that are not shown to be a sequence are permutable, even if evidence is weak.
    """
    width = blocks[0].width
    whole = len(blocks) * width == columns and judged == len(blocks)
    if verdict.decision == "grid" and whole and verdict.layout and verdict.layout.channels == 1:
        layout = replace(verdict.layout, channels=width)
        return replace(verdict, layout=layout)
    if verdict.decision == "undecided":
        return replace(verdict, decision="permutable", steady=True)
    return verdict


def judge_grids(
    cells: NDArray[Any],
    targets: Targets | None,
    *,
    names: tuple[str, str] = ("rows", "columns"),
    rows: int,
    judging: Judging,
) -> Verdict:
    """Return the verdict on items that are grids: on each axis, and on the whole.

    Args:
        cells: `(items, channels, rows, columns)`, the items that are looked at.
        targets: as for `judge_columns`.
        names: what the axes are called.
        rows: how many items there are in all.
        judging: seed, threads and progress.

    Raises:
        DataError: there are too few cells or items.
    """
    items, channels, height, width = whole_sizes = cells.shape
    refuse_too_few(channels * height * width, items)
    cells = _middle(cells)
    channels, height, width = cells.shape[1:]
    flat = cells.reshape(items, -1)
    columns = [column_of("", values) for values in flat.T]
    kinds = structure(columns)
    values, usable = comparable(columns)
    case = Case(values, usable, targets, rows, judging)
    axes = []
    for axis, name in enumerate(names):
        size = cells.shape[2 + axis]
        if size > 1:
            judged = case.axis(cells.shape[1:], axis, name)
            axes.append(replace(judged, size=whole_sizes[2 + axis]))
    whole = Layout(height, width, channels, interleaved=False)
    notes = describe_aside(columns, kinds)
    if cells.shape != whole_sizes:
        notes.append(
            f"looked at the {height} x {width} cells in the middle of "
            f"{whole_sizes[2]:,} x {whole_sizes[3]:,}, in {channels} of {whole_sizes[1]:,} channels"
        )
    verdict = case.verdict([whole], tuple(axes), kinds, notes, given=True)
    return with_words(verdict, labelled=targets is not None)


def _middle(cells: NDArray[Any]) -> NDArray[Any]:
    """Return the middle of large grids, small enough that all of its cells can be compared."""
    _, channels, height, width = cells.shape
    if channels * height * width <= COLUMNS:
        return cells
    if channels > _CHANNELS:
        cells = cells[:, np.linspace(0, channels - 1, _CHANNELS).round().astype(int)]
        channels = _CHANNELS
    size = COLUMNS // channels
    # A square, unless one side is too short for it.
    rows = min(height, max(math.isqrt(size), size // width))
    columns = min(width, size // rows)
    top, left = (height - rows) // 2, (width - columns) // 2
    return cells[:, :, top : top + rows, left : left + columns]
