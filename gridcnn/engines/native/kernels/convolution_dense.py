"""The gradients of a convolution whose maps have a gradient in nearly every cell.

Without a rectification or a pooling in the same pass, hardly any cell of the gradient is 0: a
normalization or a sum comes in between. Lists of nonzero cells (`convolution_backward`) would hold
all of them, and reading the lists is most of the work. So every cell is visited instead. Winograd
convolutions do so after a rectification as well: their tiles save more than the half that is 0.

The gradient of the features is a sum over positions. Sums of a few filters and a few taps stay in
registers, so that each number that is loaded is used several times:

                 filter 0   1   2   3
    cells tap 0       sum sum sum sum      for each position: load the cells under each tap (a
    cells tap 1       sum sum sum sum      vector of channels), broadcast the gradient of each
    ...                                    filter, and do as many multiply-adds as there are sums

Winograd convolutions sum it up in tiles (`winograd_features`).

The gradient of the grid is a convolution itself, of the map's gradient, with features that are
turned around: filters and channels change places, and taps come in the opposite order. So the
forward pass does it, in the best way that there is. With a stride there is none: then the gradients
of a few positions, for all filters, are summed up in registers, a few vectors of a patch at a time,
and added to the patches.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Number, Value, vector
from gridcnn.engines.native.kernels.patches import Unit, groups_of
from gridcnn.engines.native.kernels.rectifying import positive_part
from gridcnn.engines.native.kernels.sizes import Sizes, room_for
from gridcnn.engines.native.kernels.walking import add_cells, cells_of
from gridcnn.engines.native.layout import Maps

_NEAR = 6_000
"""Floats of grid and gradient that are worked on at a time, to stay in the first cache."""
_FILTERS = 4
"""Filters whose sums are in registers together; the registers that are left divide into taps."""
_MOST_FILTERS = 16
"""The same of features of few taps: the gradients of so many are one line of the cache."""
_PATCHES = 4
"""Positions whose patches are summed up together: each vector of a feature is read once for all."""
_POSITIONS = 64
"""Fewest positions that are summed up at a time, since sums are loaded and stored each time."""


def is_dense(conv: Sizes) -> bool:
    """Return whether a convolution's gradients are computed here."""
    return not (conv.rectified or conv.pooled or conv.sparse or conv.is_narrow)


def reversed_grid(conv: Sizes) -> Maps | None:
    """Return how the map's gradient lies for the pass that makes the grid's; None if none can.

    It has the border that the reversed convolution reads. With a stride, cells of the grid have
    different taps over them, and with a padding wider than a feature the border would be negative.
    """
    if conv.stride != (1, 1):
        return None
    down = (conv.kernel_size[0] - 1) * conv.dilation[0]
    across = (conv.kernel_size[1] - 1) * conv.dilation[1]
    # As many rows come out as the grid has: rows + border - down.
    above, left = down - conv.source.above, across - conv.source.left
    below = conv.source.rows + down - conv.rows - above
    right = conv.source.columns + across - conv.columns - left
    if min(above, below, left, right) < 0:
        return None
    return Maps(conv.filters, conv.rows, conv.columns, conv.lanes, above, below, left, right)


def reverse_features(module: Module, name: str, conv: Sizes) -> None:
    """Emit `name(features, reversed, first filter, end filter)`, both as the flat vector has them.

    Filters and channels change places, and the taps their order.
    """
    taps = len(conv.taps)
    with module.function(name, PTR, PTR, INT, INT) as (code, (features, out, first, end)):
        with (
            code.loop(end, start=first) as each,
            code.loop(conv.source.channels) as channel,
            code.loop(taps) as tap,
        ):
            value = code.load(features, (each * conv.source.channels + channel) * taps + tap)
            if conv.divisor != 1:
                value = code.arithmetic("fmul", value, code.constant(1 / conv.divisor))
            there = (channel * conv.filters + each) * taps + (code.value(taps - 1) - tap)
            code.store(value, out, there)


def by_grid(module: Module, name: str, conv: Sizes) -> None:
    """Emit `name(map's gradient, features, grid's gradient)`; it adds to the last one.

    Features lie as (filters, taps, channels).
    """
    registers = module.processor.registers
    positions = min(_PATCHES if registers >= 32 else _PATCHES // 2, conv.columns)
    whole = conv.columns - conv.columns % positions
    blocks = [(positions, 0, whole), (conv.columns - whole, whole, conv.columns)]
    with module.function(name, *[PTR] * 3) as (code, (flow, features, grid)):
        # Vectors of a patch outermost, so that those of all filters stay in the first cache.
        for place, feature, units in groups_of(code, conv, room_for(registers) // positions):
            with code.loop(conv.rows) as row:
                for count, start, stop in blocks:
                    if start == stop:
                        continue
                    with code.loop(stop, start=start, step=count) as column:
                        _add_to_patches(
                            code,
                            conv,
                            units,
                            count,
                            flow=code.at(flow, conv.target.place(row, column)),
                            features=code.at(features, feature),
                            patch=code.at(code.at(grid, place), conv.origin(row, column)),
                        )


def _add_to_patches(
    code: Code,
    conv: Sizes,
    units: Sequence[Unit],
    positions: int,
    *,
    flow: Value,
    features: Value,
    patch: Value,
) -> None:
    """Emit the sums over all filters for some vectors of the patches under some positions."""
    lanes, kind = conv.source.lanes, vector(conv.source.lanes)
    of_one = len(conv.taps) * conv.source.padded
    zero = code.constant(0, lanes)
    sums = [[code.variable(zero) for _ in units] for _ in range(positions)]
    with code.loop(conv.filters) as number:
        here = code.at(features, number * of_one)
        values = [code.load(here, unit.feature, kind=kind) for unit in units]
        gradients = code.at(flow, number)
        for position, totals in enumerate(sums):
            share = code.load_broadcast(gradients, position * conv.target.padded, lanes)
            for value, total in zip(values, totals, strict=True):
                total.set(code.multiply_add(share, value, total.get()))
    # Patches of neighbours overlap, and are added to one after the other.
    for position, totals in enumerate(sums):
        for unit, total in zip(units, totals, strict=True):
            place = conv.distance(0, position) + unit.grid
            before = code.load(patch, place, kind=kind)
            code.store(code.arithmetic("fadd", before, total.get()), patch, place)


def lay_flow(module: Module, name: str, conv: Sizes, flow: Maps) -> None:
    """Emit `name(map, map's gradient, flow)`: the gradient before rectification, with a border."""
    kind = vector(flow.lanes)
    with module.function(name, *[PTR] * 3) as (code, (out, gradient, there)):
        for row, column in cells_of(code, flow):
            with code.loop(flow.padded, step=flow.lanes) as channel:
                here = conv.target.place(row, column, channel)
                if conv.rectified:
                    value = positive_part(code, out, gradient, here, flow.lanes)
                else:
                    value = code.load(gradient, here, kind=kind)
                code.store(value, there, flow.place(row, column, channel))


def add_maps(module: Module, name: str, source: Maps, target: Maps) -> None:
    """Emit `name(source, target)`: cells are added to those that are there."""
    kind = vector(source.lanes)
    with module.function(name, PTR, PTR) as (code, (here, there)):
        for row, column in cells_of(code, source):
            with code.loop(source.padded, step=source.lanes) as channel:
                value = code.load(here, source.place(row, column, channel), kind=kind)
                place = target.place(row, column, channel)
                value = code.arithmetic("fadd", code.load(there, place, kind=kind), value)
                code.store(value, there, place)


def by_features(module: Module, name: str, conv: Sizes, flow_maps: Maps) -> None:
    """Emit `name(grid, map's gradient, features' gradient, bias's gradient)`; it adds to both.

    The map's gradient lies as `flow_maps`, the features' gradient as (filters, taps, channels).
    """
    source = conv.source
    filters, width = _block(conv, module.processor.registers)
    near = max(1, _NEAR // (conv.stride[0] * source.step + flow_maps.step))
    near = max(near, -(-_POSITIONS // conv.columns))
    with module.function(name, *[PTR] * 4) as (code, (grid, flow, sums, by_bias)):
        whole = conv.filters - conv.filters % filters
        groups = _groups(conv, room_for(module.processor.registers) // (filters * width))
        rest = range(whole, conv.filters)
        blocks = [(filters, 0, whole), (len(rest), whole, conv.filters)]
        # A few rows at a time, which all filters and taps go over while they are near.
        with code.loop(conv.rows, step=near) as start:
            stop = code.least(start + near, conv.rows)
            for count, first, end in blocks:
                if first == end:
                    continue
                with code.loop(end, start=first, step=count) as each:
                    target = code.at(sums, each * (len(conv.taps) * source.padded))
                    with code.loop(source.padded, step=width * source.lanes) as channel:
                        for taps in groups:
                            units = [(tap, part) for tap in taps for part in range(width)]
                            _add(
                                code,
                                conv,
                                flow_maps,
                                units,
                                count,
                                grid=code.at(grid, channel),
                                flow=code.at(flow, each),
                                sums=code.at(target, channel),
                                rows=(start, stop),
                            )
        if conv.bias:
            add_to_bias(code, flow_maps, flow, by_bias)


def _block(conv: Sizes, registers: int) -> tuple[int, int]:
    """Return how many filters, and vectors of channels, have sums in registers together."""
    taps, vectors = len(conv.taps), conv.source.padded // conv.source.lanes
    if taps >= _FILTERS:
        return _FILTERS, 1
    # Of few taps, more filters are taken: else too few sums would wait for each other.
    width = 2 if taps == 1 and vectors % 2 == 0 else 1
    most = min(room_for(registers) // (taps * width), _MOST_FILTERS)
    return -(-conv.filters // -(-conv.filters // most)), width


def add_to_bias(code: Code, maps: Maps, flow: Value, by_bias: Value) -> None:
    """Emit the sums over all cells of the map's gradient."""
    kind = vector(maps.lanes)
    add_cells(code, maps, by_bias, lambda *cell: code.load(flow, maps.place(*cell), kind=kind))


def _groups(conv: Sizes, most: int) -> list[Sequence[int]]:
    """Return the numbers of the taps in groups of nearly equal size."""
    count = -(-len(conv.taps) // most)
    size, larger = divmod(len(conv.taps), count)
    groups: list[Sequence[int]] = []
    start = 0
    for number in range(count):
        stop = start + size + (number < larger)
        groups.append(range(start, stop))
        start = stop
    return groups


def _add(
    code: Code,
    conv: Sizes,
    flow_maps: Maps,
    units: Sequence[tuple[int, int]],
    filters: int,
    *,
    grid: Value,
    flow: Value,
    sums: Value,
    rows: tuple[Number, Number],
) -> None:
    """Emit the sums of some filters, taps and vectors of channels, over some rows."""
    lanes, kind = conv.source.lanes, vector(conv.source.lanes)
    size = len(conv.taps) * conv.source.padded
    places = {
        (each, unit): each * size + unit[0] * conv.source.padded + unit[1] * lanes
        for each in range(filters)
        for unit in units
    }
    totals = {
        key: code.variable(code.load(sums, place, kind=kind)) for key, place in places.items()
    }
    with code.loop(rows[1], start=rows[0]) as row, code.loop(conv.columns) as column:
        patch = code.at(grid, conv.origin(row, column))
        gradients = code.at(flow, flow_maps.place(row, column))
        cells = [
            code.load(patch, conv.reach(*conv.taps[tap]) + part * lanes, kind=kind)
            for tap, part in units
        ]
        for each in range(filters):
            share = code.load_broadcast(gradients, each, lanes)
            for unit, values in zip(units, cells, strict=True):
                total = totals[each, unit]
                total.set(code.multiply_add(values, share, total.get()))
    for key, total in totals.items():
        code.store(total.get(), sums, places[key])
