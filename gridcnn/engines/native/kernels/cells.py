"""The cells of grids on their way into maps and back, and whether they are finite.

Grids come as `(channels, rows, columns)`: the columns of one channel lie side by side. Maps have
the channels of one cell side by side (see `layout`). So packing is a transposition.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Number, Value, vector
from gridcnn.engines.native.layout import Maps


def pack(module: Module, name: str, target: Maps) -> None:
    """Emit `name(cells, grid)`: cells (channels, rows, columns) become maps."""
    with module.function(name, PTR, PTR) as (code, (cells, grid)):
        if target.padded == 1:
            with code.loop(target.rows) as row:
                source = code.at(cells, row * target.columns)
                code.copy(code.at(grid, target.place(row, 0)), source, target.columns)
            return
        if target.lanes > 1:
            for block in _blocks(code, target):
                block.pack(code, cells, grid)
            return
        # Two or three channels, without a vector to fill: cell after cell.
        with code.loop(target.channels) as channel, code.loop(target.rows) as row:
            source = code.at(cells, channel * (target.rows * target.columns) + row * target.columns)
            there = code.at(grid, target.place(row, 0, channel))
            with code.loop(target.columns) as column:
                code.store(code.load(source, column), there, column * target.padded)


class _Block(NamedTuple):
    """A few cells next to each other, and a vector of their channels.

    `here` is where the first one stands in the maps, and `there` among cells (channels, rows,
    columns).
    """

    maps: Maps
    here: Number
    there: Number
    cells: int
    channels: int

    def _rows(self, cells: Value, code: Code) -> list[Value]:
        size = self.maps.rows * self.maps.columns
        start = code.at(cells, self.there)
        return [code.at(start, channel * size) for channel in range(self.channels)]

    def pack(self, code: Code, cells: Value, grid: Value) -> None:
        """Emit the packing of the cells; channels that only fill a vector are 0."""
        lanes = self.maps.lanes
        rows = [code.load_part(row, 0, lanes, self.cells) for row in self._rows(cells, code)]
        rows += [code.constant(0, lanes)] * (lanes - self.channels)
        target = code.at(grid, self.here)
        for number, cell in enumerate(code.transpose(rows)[: self.cells]):
            code.store(cell, target, number * self.maps.padded)

    def unpack(self, code: Code, grid: Value, cells: Value) -> None:
        """Emit the unpacking of the cells."""
        lanes, source = self.maps.lanes, code.at(grid, self.here)
        columns = [
            code.load(source, number * self.maps.padded, kind=vector(lanes))
            for number in range(self.cells)
        ]
        columns += [code.constant(0, lanes)] * (lanes - self.cells)
        for row, values in zip(self._rows(cells, code), code.transpose(columns), strict=False):
            code.store_part(values, row, 0, self.cells)


def _blocks(code: Code, maps: Maps) -> Iterator[_Block]:
    """Go over all cells and channels, as many of each at a time as a vector has lanes."""
    # Squares of lanes x lanes are transposed in registers: one by one, each cell would be a load
    # and a store of a single number.
    lanes, size = maps.lanes, maps.rows * maps.columns
    # Without borders, a row goes on where the one before it ends.
    whole = not (maps.left or maps.right)
    rows, columns = (1, size) if whole else (maps.rows, maps.columns)

    with code.loop(rows) as row:
        for channel, channels in code.pieces(maps.channels, lanes):
            for column, cells in code.pieces(columns, lanes):
                here = row * maps.step + column * maps.padded + maps.place(0, 0, channel)
                there = code.value(channel) * size + (row * columns + column)
                yield _Block(maps, here, there, cells, channels)


def check_finite(module: Module, name: str, cells: int) -> None:
    """Emit `name(cells, answer)`: 0 if all cells are finite, else NaN."""
    lanes = module.processor.lanes
    whole = cells - cells % lanes
    with module.function(name, PTR, PTR) as (code, (grid, answer)):
        # Times 0, what is finite is 0, and all else is NaN, which stays in a sum.
        zero = code.constant(0, lanes)
        total = code.variable(zero)
        with code.loop(whole, step=lanes) as place:
            value = code.load(grid, place, kind=vector(lanes))
            total.set(code.multiply_add(value, zero, total.get()))
        if cells > whole:
            value = code.load_part(grid, whole, lanes, cells - whole)
            total.set(code.multiply_add(value, zero, total.get()))
        code.store(code.total(total.get()), answer)


def pack_indices(module: Module, name: str, border: tuple[int, int], size: int, none: int) -> None:
    """Emit `name(indices, row)`: 32-bit indices between borders; `none` stands for no index."""
    with module.function(name, PTR, PTR) as (code, (indices, row)):
        nothing = Value(code, "i32", str(none))
        # The border is written too, for every item: the workspace's zeros would be index 0.
        left, right = border
        for start, stop in ((0, left), (left + size, left + size + right)):
            with code.loop(stop, start=start) as column:
                code.store(nothing, row, column)
        with code.loop(size) as column:
            index = code.load(indices, column, kind="i32")
            is_none = code.op("i1", f"icmp slt {index}, 0")
            code.store(code.select(is_none, nothing, index), row, column + left)


def unpack(module: Module, name: str, source: Maps, *, scaled: bool) -> None:
    """Emit `name(grid, cells, factors)`: the cells as (channels, rows, columns).

    Where `scaled`, and the address of the factors is not 0, each cell is multiplied by its own.
    """
    with module.function(name, PTR, PTR, PTR) as (code, (grid, cells, factors)):
        if source.rows == source.columns == 1:
            code.copy(cells, code.at(grid, source.place(0, 0)), source.channels)
        elif source.lanes > 1:
            for block in _blocks(code, source):
                block.unpack(code, grid, cells)
        else:
            with code.loop(source.channels) as channel, code.loop(source.rows) as row:
                there = channel * (source.rows * source.columns) + row * source.columns
                target = code.at(cells, there)
                start = code.at(grid, source.place(row, 0, channel))
                with code.loop(source.columns) as column:
                    code.store(code.load(start, column * source.padded), target, column)
        if scaled:
            columns = code.cast("ptrtoint", factors, INT)
            with code.when(code.test("ne", columns, 0)):
                with code.loop(source.channels * source.rows * source.columns) as cell:
                    product = code.arithmetic(
                        "fmul", code.load(cells, cell), code.load(factors, cell)
                    )
                    code.store(product, cells, cell)
