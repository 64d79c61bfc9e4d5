"""Pooling on its own: any window, any stride, windows that overlap or that the edge cuts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gridcnn.engines.native.emitter import FLOAT, PTR, Code, Module, Number, Value, vector
from gridcnn.engines.native.layout import Maps


@dataclass(frozen=True)
class Pooling:
    """What one pooling does, with all sizes known."""

    source: Maps
    target: Maps
    window: tuple[int, int]
    stride: tuple[int, int]
    mean: bool


@dataclass(frozen=True)
class _Window:
    """One window at work: where it is, and how many cells it has."""

    target: Number
    channel: Value
    rows: tuple[Value, Number]
    columns: tuple[Value, Number]
    count: Value


@contextmanager
def _windows(code: Code, pooling: Pooling) -> Iterator[_Window]:
    """Go over all windows, a vector of channels at a time."""
    source, target = pooling.source, pooling.target
    with code.loop(target.rows) as row, code.loop(target.columns) as column:
        top, left = row * pooling.stride[0], column * pooling.stride[1]
        bottom = code.least(top + pooling.window[0], source.rows)
        right = code.least(left + pooling.window[1], source.columns)
        count = (code.value(bottom) - top) * (code.value(right) - left)
        with code.loop(target.padded, step=target.lanes) as channel:
            place = target.place(row, column, channel)
            yield _Window(
                place,
                channel,
                (top, bottom),
                (left, right),
                code.spread(code.cast("sitofp", count, FLOAT), target.lanes),
            )


@contextmanager
def _cells(code: Code, pooling: Pooling, window: _Window) -> Iterator[Number]:
    """Go over the cells of a window; yield where each stands in the grid."""
    with code.loop(window.rows[1], start=window.rows[0]) as row:
        with code.loop(window.columns[1], start=window.columns[0]) as column:
            yield pooling.source.place(row, column, window.channel)


def forward(module: Module, name: str, pooling: Pooling) -> None:
    """Emit `name(grid, map)`."""
    lanes, kind = pooling.target.lanes, vector(pooling.target.lanes)
    with module.function(name, PTR, PTR) as (code, (grid, out)):
        with _windows(code, pooling) as window:
            start = code.constant(0 if pooling.mean else float("-inf"), lanes)
            total = code.variable(start)
            with _cells(code, pooling, window) as cell:
                value = code.load(grid, cell, kind=kind)
                if pooling.mean:
                    total.set(code.arithmetic("fadd", total.get(), value))
                else:
                    total.set(code.larger(total.get(), value))
            result = total.get()
            if pooling.mean:
                result = code.arithmetic("fdiv", result, window.count)
            code.store(result, out, window.target)


def backward(module: Module, name: str, pooling: Pooling) -> None:
    """Emit `name(grid, map, map's gradient, grid's gradient)`; the last must be 0 before."""
    lanes, kind = pooling.target.lanes, vector(pooling.target.lanes)
    with module.function(name, *[PTR] * 4) as (code, (grid, out, flow, by_grid)):
        zero = code.constant(0, lanes)
        with _windows(code, pooling) as window:
            share = code.load(flow, window.target, kind=kind)
            if pooling.mean:
                share = code.arithmetic("fdiv", share, window.count)
            best = code.load(out, window.target, kind=kind)
            left = code.variable(share)  # what no cell has got yet
            with _cells(code, pooling, window) as cell:
                got = left.get()
                if not pooling.mean:
                    won = code.compare("oeq", code.load(grid, cell, kind=kind), best)
                    left.set(code.select(won, zero, got))
                    got = code.select(won, got, zero)
                before = code.load(by_grid, cell, kind=kind)
                code.store(code.arithmetic("fadd", before, got), by_grid, cell)
