"""Features on their way from the flat vector into the order of the kernels, and gradients back.

Each pass reads features from front to back, in whole vectors. That is why there are several orders.
The orders, the last one lying closest together; channels and filters are filled up to vectors:

    flat vector          filters, channels, taps (as the reference engine has them)
    forward              chunks of filters, taps, channels, filters of the chunk
    forward, Winograd    chunks of filters, points, channels, filters of the chunk
    forward, Lookup      taps, symbols and one for "none", filters
    back                 filters, taps, channels
    gradient             filters, taps, channels
    gradient, narrow     taps, channels, filters
    gradient, Lookup     taps, symbols and one for "none", filters
"""

from __future__ import annotations

from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Number, Value, vector
from gridcnn.engines.native.kernels.sizes import Sizes


def backward_size(conv: Sizes) -> int:
    """Return the floats of the features as the backward pass takes them.

    Those that only fill a vector are 0, and yet read: where a gradient is NaN or infinite, so is
    theirs.
    """
    return conv.target.padded * len(conv.taps) * conv.source.padded


def gradient_size(conv: Sizes) -> int:
    """Return the floats of the features' gradient as it is added up."""
    if conv.is_narrow:
        return len(conv.taps) * conv.packed_channels * conv.target.padded
    return conv.filters * len(conv.taps) * conv.source.padded


def pack_backward(module: Module, name: str, conv: Sizes) -> None:
    """Emit `name(features, packed, first filter, end filter)`.

    The output lies as (filters, taps, channels).
    """
    with module.function(name, *[PTR] * 2, *[INT] * 2) as (code, (features, packed, start, stop)):
        with (
            code.loop(stop, start=start) as each,
            code.loop(len(conv.taps)) as tap,
            code.loop(conv.source.channels) as channel,
        ):
            here = each * conv.feature_size + (channel * len(conv.taps) + tap)
            there = (each * len(conv.taps) + tap) * conv.source.padded + channel
            value = code.load(features, here)
            # The forward pass divides its sums. Here the features are divided, once for all items.
            if conv.divisor != 1:
                value = code.arithmetic("fmul", value, code.constant(1 / conv.divisor))
            code.store(value, packed, there)


def unpack_gradient(module: Module, name: str, conv: Sizes, *, distance: int) -> None:
    """Emit `name(packed, gradient, shards, scratch, first, end)`.

    The packed gradients of all shards, `distance` floats from one to the next, are added up in the
    order of the shards, and stored in the flat vector's order. `first` and `end` count filters, or
    (for those gradients where filters lie side by side) taps.
    """
    taps, channels, rows = len(conv.taps), conv.feature_channels, conv.packed_channels
    # A row is added up in whole vectors, out of the packed order, and then its numbers are stored
    # one by one, as far apart as they lie in the flat vector. What only fills a vector is left out,
    # and so is the row of "none".
    with module.function(name, *[PTR] * 2, INT, PTR, INT, INT) as (code, arguments):
        packed, gradient, shards, scratch, first, end = arguments
        if conv.is_narrow:
            with code.loop(end, start=first) as tap, code.loop(channels) as channel:
                row = code.at(packed, (tap * rows + channel) * conv.target.padded)
                _add_up(code, conv, row, scratch, shards, distance, conv.target.padded)
                with code.loop(conv.filters) as each:
                    there = each * (channels * taps) + (channel * taps + tap)
                    code.store(code.load(scratch, each), gradient, there)
            return
        with code.loop(end, start=first) as each, code.loop(taps) as tap:
            row = code.at(packed, (each * taps + tap) * conv.source.padded)
            _add_up(code, conv, row, scratch, shards, distance, conv.source.padded)
            with code.loop(channels) as channel:
                there = each * (channels * taps) + (channel * taps + tap)
                code.store(code.load(scratch, channel), gradient, there)


def add_up(module: Module, name: str, floats: int, *, distance: int) -> None:
    """Emit `name(sums, gradient, shards)`: numbers of all shards, added up in their order."""
    with module.function(name, PTR, PTR, INT) as (code, (sums, gradient, shards)):
        with code.loop(floats) as place:
            total = _over_shards(code, sums, shards, distance, place)
            code.store(total, gradient, place)


def add_up_rows(
    module: Module,
    name: str,
    *,
    row: int,
    distance: int,
    turned: bool,
    divisor: float = 1.0,
) -> None:
    """Emit `name(sums, gradient, shards, rows, columns)`: the same for rows of numbers.

    Packed rows are `row` floats apart. The gradient has them one after the other, or if `turned`
    its columns.
    """
    with module.function(name, PTR, PTR, INT, INT, INT) as (code, arguments):
        sums, gradient, shards, rows, columns = arguments
        with code.loop(rows) as down, code.loop(columns) as across:
            total = _over_shards(code, sums, shards, distance, down * row + across)
            if divisor != 1:
                total = code.arithmetic("fmul", total, code.constant(1 / divisor))
            place = across * rows + down if turned else down * columns + across
            code.store(total, gradient, place)


def _over_shards(code: Code, sums: Value, shards: Value, distance: int, place: Number) -> Value:
    """Emit the sum of one number over all shards, in their order: it is always the same bits."""
    total = code.variable(code.constant(0))
    with code.loop(shards) as shard:
        value = code.load(sums, shard * distance + place)
        total.set(code.arithmetic("fadd", total.get(), value))
    return total.get()


def _add_up(
    code: Code,
    conv: Sizes,
    row: Value,
    target: Value,
    shards: Value,
    distance: int,
    floats: int,
) -> None:
    """Emit the sums of one row of packed gradients over all shards."""
    # The widest vectors that fill a row: of a grid of 8 channels, 8 lanes at most.
    lanes = next(each for each in (16, 8, 4, 2, 1) if floats % each == 0)
    lanes = min(lanes, code.module.processor.lanes)
    kind = vector(lanes)
    # Shards innermost and in their order, so that a sum stays in a register and is always the same.
    with code.loop(floats, step=lanes) as place:
        total = code.variable(code.constant(0, lanes))
        with code.loop(shards) as shard:
            value = code.load(row, shard * distance + place, kind=kind)
            total.set(code.arithmetic("fadd", total.get(), value))
        value = total.get()
        if conv.divisor != 1:
            value = code.arithmetic("fmul", value, code.constant(1 / conv.divisor, lanes))
        code.store(value, target, place)
