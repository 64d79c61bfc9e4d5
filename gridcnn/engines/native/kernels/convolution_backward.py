"""The gradients of a convolution, and of the rectification and pooling that follow it.

Most cells of the map's gradient are 0: pooling keeps one cell of a window, and rectification kills
about half of the rest. So the gradient is first sifted into lists; nothing is ever multiplied by 0.

For the gradient of the grid, each cell has a list of the filters that have a gradient there, and
adds them up into the patch under it. For that of the features, each filter has a list of its cells,
and adds up the patches under them. In both, vectors lie along the channels, and the sums stay in
registers while a list is read.

Grids of few channels would leave such vectors mostly empty. Their features' gradient is made the
other way: vectors along the filters, and every position visited.

The lists in the scratch memory (`Lists`):

    cell_filters | cell_gradients              of one cell: the filters with a gradient there
    counts                                     how long each filter's list is
    places of filter 0 | of filter 1 | ...     where the patches begin under each filter's cells
    gradients of filter 0 | of filter 1 | ...  and the gradients of these cells

Entries are written a whole vector at a time. Only the first few lanes count; the next write starts
behind these, and replaces the others. So every list has room for one more vector.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridcnn.engines.native.emitter import (
    BYTE,
    INT,
    PTR,
    WORD,
    Code,
    Module,
    Number,
    Value,
    vector,
)
from gridcnn.engines.native.kernels.patches import UNROLLED, groups_of
from gridcnn.engines.native.kernels.rectifying import positive_part
from gridcnn.engines.native.kernels.sizes import (
    NO_WINNER,
    Range,
    Sizes,
    places_of,
    room_for,
    windows_of,
)
from gridcnn.engines.native.kernels.walking import add_cells

_NEAR = 6_000
"""Floats of the grid that are worked on at a time, so that they stay in the first cache: 24 KB."""
_LISTED = 16_000
"""Most entries in the lists of all filters together: 8 bytes each, 128 KB of the second cache."""


@dataclass(frozen=True)
class Lists:
    """Where the lists lie in the scratch memory; places are in floats, counts are 32 bits wide."""

    conv: Sizes

    @property
    def cells(self) -> int:
        """Cells of a window."""
        return self.conv.window[0] * self.conv.window[1]

    @property
    def rows(self) -> int:
        """Rows of the target that are gathered before the features' gradients are added to."""
        # The patches under a row of windows reach over so many floats of the grid. They are read
        # once for each filter, and stay in the first cache if rows are few.
        conv = self.conv
        row = conv.window_stride[0] * conv.stride[0] * conv.source.step
        near = max(1, _NEAR // row)
        short = max(1, _LISTED // (conv.target.padded * conv.target.columns))
        return min(near, short, conv.target.rows)

    @property
    def capacity(self) -> int:
        """Entries of one filter's list: there is one winner in a window."""
        return self.rows * self.conv.target.columns

    @property
    def of_filter(self) -> int:
        """The same, with room for the last vector that is written."""
        return self.capacity + self.conv.lanes

    @property
    def of_cell(self) -> int:
        """Entries of a cell's list, with room for the last vector that is written."""
        return self.conv.target.padded + self.conv.lanes

    @property
    def cell_filters(self) -> int:
        """The filters that have a gradient at a cell."""
        return 0

    @property
    def cell_gradients(self) -> int:
        """And their gradients."""
        return self.of_cell

    @property
    def counts(self) -> int:
        """The length of each filter's list."""
        return 2 * self.of_cell

    @property
    def places(self) -> int:
        """Where the patches of each filter's cells begin."""
        return self.counts + self.conv.target.padded

    @property
    def gradients(self) -> int:
        """And the gradients of these cells."""
        return self.places + self.conv.target.padded * self.of_filter

    @property
    def size(self) -> int:
        """Floats of scratch memory in all."""
        return self.gradients + self.conv.target.padded * self.of_filter


def backward(module: Module, name: str, conv: Sizes, *, by_weights: bool, by_grid: bool) -> None:
    """Emit the pass back through one item.

    `name(grid, map, winners, map's gradient, weights, grid's gradient, weights' gradient, bias's
    gradient, scratch)`. The grid's gradient must be 0 before; those of weights and bias are added
    to. Weights lie as (filters, taps, channels); so does their gradient, except for narrow grids:
    there its order is (taps, channels, filters).
    """
    with module.function(name, *[PTR] * 9) as (code, values):
        emitter = _Backward(module, code, conv, values)
        if by_weights and conv.is_narrow:
            emitter.dense()
        listed = by_weights and not conv.is_narrow
        if listed or by_grid:
            emitter.sparse(listed=listed, by_grid=by_grid)
        if by_weights and conv.bias:
            emitter.map_gradients.add_up(values[7])


class MapGradients:
    """The gradient of a convolution's maps, before pooling and rectification were applied."""

    def __init__(self, code: Code, conv: Sizes, out: Value, winners: Value, flow: Value) -> None:
        self.code = code
        self.conv = conv
        self.out = out
        self.winners = winners
        self.flow = flow

    def at(self, row: Number, column: Number, first: Number, cell: int | None) -> Value:
        """Return the gradient of a few filters at a cell of their maps.

        The cell is number `cell` of the window that ends up at `row`, `column`; None is whichever
        won.
        """
        code, conv = self.code, self.conv
        kind = vector(conv.lanes)
        place = conv.target.place(row, column, first)
        if conv.pooled:
            gradient = code.load(self.flow, place, kind=kind)
            mark = (row * conv.target.columns + column) * conv.target.padded + first
            won = code.load(self.winners, mark, kind=vector(conv.lanes, BYTE))
            # Whichever won gets the gradient, unless it was rectified to 0.
            wanted = code.constants([NO_WINNER if cell is None else cell] * conv.lanes, BYTE)
            chosen = code.compare("ne" if cell is None else "eq", won, wanted)
            return code.select(chosen, gradient, code.constant(0, conv.lanes))
        if conv.rectified:
            return positive_part(code, self.out, self.flow, place, conv.lanes)
        return code.load(self.flow, place, kind=kind)

    def add_up(self, by_bias: Value) -> None:
        """Add the gradients of all cells to that of each filter's bias."""
        add_cells(
            self.code,
            self.conv.target,
            by_bias,
            lambda row, column, first: self.at(row, column, first, None),
        )


class _Backward:
    def __init__(self, module: Module, code: Code, conv: Sizes, values: list[Value]) -> None:
        self.module = module
        self.code = code
        self.conv = conv
        self.lists = Lists(conv)
        grid, out, winners, flow, weights, by_grid, by_weights, _, scratch = values
        self.map_gradients = MapGradients(code, conv, out, winners, flow)
        self.grid, self.by_grid = grid, by_grid
        self.weights, self.by_weights = weights, by_weights
        self.scratch = scratch
        self.room = room_for(module.processor.registers)

    # Narrow grids

    def dense(self) -> None:
        """Add the features' gradient, with vectors along the filters."""
        code, conv = self.code, self.conv
        channels, padded = conv.source.channels, conv.target.padded
        units = [
            (conv.reach(*tap) + channel, (number * channels + channel) * padded)
            for number, tap in enumerate(conv.taps)
            for channel in range(channels)
        ]
        # As many cells of the features as there are registers for: each group's sums stay there
        # while all positions of the map are visited.
        groups = [units[at : at + self.room] for at in range(0, len(units), self.room)]
        with code.loop(padded, step=conv.lanes) as first:
            target = code.at(self.by_weights, first)
            if len(units) <= UNROLLED:
                for group in groups:
                    self._dense_group(target, first, group)
            else:
                table = Value(code, PTR, self.module.table([grid for grid, _ in units]))
                with code.loop(len(units)) as unit:
                    grid = code.at(self.grid, code.load(table, unit, kind=INT))
                    self._dense_group(code.at(target, unit * padded), first, [(0, 0)], grid)

    def _dense_group(
        self, target: Value, first: Value, group: list[tuple[int, int]], grid: Value | None = None
    ) -> None:
        code, conv = self.code, self.conv
        kind = vector(conv.lanes)
        # Nothing is skipped here: hardly ever are all lanes of a vector of filters 0.
        sums = [code.variable(code.load(target, place, kind=kind)) for _, place in group]
        for rows, columns, window in windows_of(conv):
            with code.loop(rows[1], start=rows[0]) as row:
                with code.loop(columns[1], start=columns[0]) as column:
                    for down, right, cell in places_of(window):
                        gradient = self.map_gradients.at(row, column, first, cell)
                        patch = code.at(
                            grid or self.grid,
                            conv.origin(
                                row * conv.window_stride[0] + down,
                                column * conv.window_stride[1] + right,
                            ),
                        )
                        for (place, _), total in zip(group, sums, strict=True):
                            value = code.load_broadcast(patch, place, conv.lanes)
                            total.set(code.multiply_add(value, gradient, total.get()))
        for (_, place), total in zip(group, sums, strict=True):
            code.store(total.get(), target, place)

    # All others

    def sparse(self, *, listed: bool, by_grid: bool) -> None:
        """Sift the map's gradient into lists, and add these up."""
        code, conv, lists = self.code, self.conv, self.lists
        # A few rows of the map at a time (`Lists.rows`): the grid under them is still near when the
        # filters' lists are added up. Sums go on where those of earlier rows ended, in the same
        # order each time.
        with code.loop(conv.target.rows, step=lists.rows) as start:
            stop = code.least(start + lists.rows, conv.target.rows)
            if listed:
                code.zero(code.at(self.scratch, lists.counts), conv.target.padded)
            for rows, columns, window in windows_of(conv):
                first = code.most(start, rows[0]) if rows[0] else start
                end = code.least(stop, rows[1])
                with code.loop(end, start=first) as row:
                    if listed:
                        self._list_row(row, columns, window)
                    if by_grid:
                        with code.loop(columns[1], start=columns[0]) as column:
                            self._window_to_grid(row, column, window)
            if listed:
                self._add_to_features()

    def _window_to_grid(self, row: Value, column: Value, window: Range) -> None:
        code, conv = self.code, self.conv
        # Each filter has one winner in the window: one cell gets the gradients of some filters, the
        # next cell those of others.
        for down, right, cell in places_of(window):
            count = self._sift(row, column, cell)
            patch = conv.origin(
                row * conv.window_stride[0] + down, column * conv.window_stride[1] + right
            )
            with code.when(code.test("ne", count, 0)):
                self._add_to_grid(count, code.at(self.by_grid, patch))

    # The filters' lists

    def _list_row(self, row: Value, columns: Range, window: Range) -> None:
        """Add the windows of one row of the target to the lists of all filters."""
        code, conv = self.code, self.conv
        whole = columns[0] + (columns[1] - columns[0]) // conv.lanes * conv.lanes
        with code.loop(conv.target.padded, step=conv.lanes) as first:
            with code.loop(whole, start=columns[0], step=conv.lanes) as column:
                self._list_columns(row, column, first, window, conv.lanes)
            if whole < columns[1]:
                rest = columns[1] - whole
                self._list_columns(row, code.value(whole), first, window, rest)

    def _list_columns(
        self, row: Value, column: Value, first: Value, window: Range, count: int
    ) -> None:
        """Add `count` windows, at most as many as a vector has lanes, to a few filters' lists."""
        # The map has vectors along the filters, and a list belongs to one filter. So a square of as
        # many columns as lanes is transposed: then each vector is one filter's gradients at these
        # columns, and those that are not 0 are moved to its front and appended to the list.
        code, conv, lists = self.code, self.conv, self.lists
        lanes = conv.lanes
        gradients = [
            self.map_gradients.at(row, column + each, first, None) for each in range(count)
        ]
        gradients += [code.constant(0, lanes)] * (lanes - count)
        origin = conv.origin(row * conv.window_stride[0], column * conv.window_stride[1])
        across = conv.distance(0, conv.window_stride[1])
        start = code.broadcast(code.cast("trunc", code.value(origin), WORD), lanes)
        steps = code.constants([across * each for each in range(lanes)], WORD)
        places = [code.whole("add", start, steps)] * lanes
        if conv.pooled and window != (1, 1):
            nothing = code.constants([0] * lanes, WORD)
            within = [self._winner(row, column + each, first, window) for each in range(count)]
            within = code.transpose(within + [nothing] * (lanes - count))
            places = [
                code.whole("add", place, each) for place, each in zip(places, within, strict=True)
            ]
        for lane, (gradient, place) in enumerate(
            zip(code.transpose(gradients), places, strict=True)
        ):
            number = first + lane
            counter = code.at(code.at(self.scratch, lists.counts), number)
            length = code.cast("zext", code.load(counter, kind=WORD), INT)
            # NaN is unequal to 0, and is listed too: it must reach the sums.
            nonzero = code.compare("une", gradient, code.constant(0, lanes))
            # A whole vector is written; only its first lanes count; the next one is written right
            # behind these.
            at = number * lists.of_filter + length
            for value, part in ((place, lists.places), (gradient, lists.gradients)):
                code.store(code.compress(value, nonzero), code.at(self.scratch, part), at)
            code.store(code.cast("trunc", length + code.count(nonzero), WORD), counter)

    def _winner(self, row: Value, column: Value, first: Value, window: Range) -> Value:
        """Return how far the patch under the winner lies from the patch under a window's start."""
        code, conv = self.code, self.conv
        mark = (row * conv.target.columns + column) * conv.target.padded + first
        won = code.load(self.map_gradients.winners, mark, kind=vector(conv.lanes, BYTE))
        cell = code.cast("zext", won, WORD)
        # A chain of selects, since not every processor can gather from a table. Windows have few
        # cells, see `MOST_FUSED`; `NO_WINNER` is none of them, and its gradient is not listed.
        distance = code.constants([0] * conv.lanes, WORD)
        for down, right, number in places_of(window):
            if number:
                is_it = code.compare("eq", cell, code.constants([number] * conv.lanes, WORD))
                reach = code.constants([conv.distance(down, right)] * conv.lanes, WORD)
                distance = code.select(is_it, reach, distance)
        return distance

    # The cells' lists

    def _sift(self, row: Value, column: Value, cell: int) -> Value:
        """List the filters that have a gradient at a cell; return how many there are."""
        code, conv, lists = self.code, self.conv, self.lists
        count = code.variable(code.value(0))
        lanes = code.constants(list(range(conv.lanes)), WORD)
        with code.loop(conv.target.padded, step=conv.lanes) as first:
            gradient = self.map_gradients.at(row, column, first, cell)
            nonzero = code.compare("une", gradient, code.constant(0, conv.lanes))
            here = count.get()
            number = code.broadcast(code.cast("trunc", first, WORD), conv.lanes)
            numbers = code.op(number.kind, f"add {number}, {lanes.name}")
            for value, place in ((numbers, lists.cell_filters), (gradient, lists.cell_gradients)):
                code.store(code.compress(value, nonzero), code.at(self.scratch, place), here)
            count.set(here + code.count(nonzero))
        return count.get()

    def _number(self, address: Value, entry: Number) -> Value:
        return self.code.cast("zext", self.code.load(address, entry, kind=WORD), INT)

    def _add_to_grid(self, count: Value, patch: Value) -> None:
        """Add a cell's list to the gradient of the patch under the cell."""
        code, conv, lists = self.code, self.conv, self.lists
        lanes, kind = conv.source.lanes, vector(conv.source.lanes)
        of_one = len(conv.taps) * conv.source.padded
        # A group of the patch's vectors is loaded, summed up over the whole list in registers, and
        # stored. The patches of neighbouring cells overlap, and are added to one after the other.
        for grid, feature, group in groups_of(code, conv, self.room):
            sums = [
                code.variable(code.load(code.at(patch, grid), unit.grid, kind=kind))
                for unit in group
            ]
            with code.loop(count) as entry:
                number = self._number(code.at(self.scratch, lists.cell_filters), entry)
                gradient = code.load_broadcast(
                    code.at(self.scratch, lists.cell_gradients), entry, lanes
                )
                weights = code.at(code.at(self.weights, number * of_one), feature)
                for unit, total in zip(group, sums, strict=True):
                    weight = code.load(weights, unit.feature, kind=kind)
                    total.set(code.multiply_add(gradient, weight, total.get()))
            for unit, total in zip(group, sums, strict=True):
                code.store(total.get(), code.at(patch, grid), unit.grid)

    def _add_to_features(self) -> None:
        """Add the patches under each filter's cells to the gradient of the filter."""
        code, conv, lists = self.code, self.conv, self.lists
        lanes, kind = conv.source.lanes, vector(conv.source.lanes)
        of_one = len(conv.taps) * conv.source.padded
        # Filters outside, vectors of a patch inside: the patches of a list are read a few times
        # from the first cache, and a filter's sums go to memory once for each round of rows.
        with code.loop(conv.filters) as number:
            count = self._number(code.at(self.scratch, lists.counts), number)
            places = code.at(code.at(self.scratch, lists.places), number * lists.of_filter)
            gradients = code.at(code.at(self.scratch, lists.gradients), number * lists.of_filter)
            for grid, feature, group in groups_of(code, conv, self.room):
                target = code.at(code.at(self.by_weights, number * of_one), feature)
                sums = [code.variable(code.load(target, unit.feature, kind=kind)) for unit in group]
                with code.loop(count) as entry:
                    gradient = code.load_broadcast(gradients, entry, lanes)
                    patch = code.at(code.at(self.grid, self._number(places, entry)), grid)
                    for unit, total in zip(group, sums, strict=True):
                        value = code.load(patch, unit.grid, kind=kind)
                        total.set(code.multiply_add(gradient, value, total.get()))
                for unit, total in zip(group, sums, strict=True):
                    code.store(total.get(), target, unit.feature)
