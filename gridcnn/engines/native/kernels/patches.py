"""The vectors of the patch under a position, taken a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gridcnn.engines.native.emitter import INT, PTR, Code, Number, Value
from gridcnn.engines.native.kernels.sizes import Sizes

UNROLLED = 96
"""Most vectors of a patch that are written out one by one; larger ones are done in a loop."""


class Unit(NamedTuple):
    """One vector of a patch: how far it lies into the grid, and into the filter."""

    grid: int
    feature: int


def _spans(conv: Sizes) -> tuple[list[tuple[int, int]], list[Unit]]:
    """Return the places from which on one and the same list of vectors is to be visited."""
    source = conv.source

    def units(taps: Sequence[tuple[int, int]]) -> list[Unit]:
        return [
            Unit(conv.reach(*tap) + channel, number * source.padded + channel)
            for number, tap in enumerate(taps)
            for channel in range(0, source.padded, source.lanes)
        ]

    vectors = source.padded // source.lanes
    if len(conv.taps) * vectors <= UNROLLED:
        return [(0, 0)], units(conv.taps)
    if conv.kernel_size[1] * vectors <= UNROLLED:
        row = [(0, column) for column in range(conv.kernel_size[1])]
        return [
            (conv.reach(down, 0), down * conv.kernel_size[1] * source.padded)
            for down in range(conv.kernel_size[0])
        ], units(row)
    return [
        (conv.reach(*tap), number * source.padded) for number, tap in enumerate(conv.taps)
    ], units([(0, 0)])


def groups_of(code: Code, conv: Sizes, most: int) -> Iterator[tuple[Number, Number, list[Unit]]]:
    """Yield where a group of vectors begins, in the grid and in the feature, and the group."""
    # A patch is written out vector by vector as far as `UNROLLED` allows; of longer ones a row
    # or a tap is, in a loop over a table of where these begin.
    spans, units = _spans(conv)
    groups = [units[at : at + most] for at in range(0, len(units), most)]
    if len(spans) == 1:
        for group in groups:
            yield 0, 0, group
        return
    grids, features = (
        Value(code, PTR, code.module.table(list(each))) for each in zip(*spans, strict=True)
    )
    with code.loop(len(spans)) as span:
        grid = code.load(grids, span, kind=INT)
        feature = code.load(features, span, kind=INT)
        for group in groups:
            yield grid, feature, group
