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

from gridcnn.engines.native.emitter import INT, PTR, Module, Value
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


def unpack_gradient(module: Module, name: str, conv: Sizes) -> None:
    """Emit `name(packed, gradient, first, end)`.

    The packed gradient is stored in the flat vector's order. `first` and `end` count filters, or
    (for those gradients where filters lie side by side) taps.
    """
    taps, channels, rows = len(conv.taps), conv.feature_channels, conv.packed_channels
    # What only fills a vector is left out, and so is the row of "none".
    with module.function(name, *[PTR] * 2, INT, INT) as (code, (packed, gradient, first, end)):

        def store(row: Value, place: Value, there: Value) -> None:
            value = code.load(row, place)
            if conv.divisor != 1:
                value = code.arithmetic("fmul", value, code.constant(1 / conv.divisor))
            code.store(value, gradient, there)

        if conv.is_narrow:
            with code.loop(end, start=first) as tap, code.loop(channels) as channel:
                row = code.at(packed, (tap * rows + channel) * conv.target.padded)
                with code.loop(conv.filters) as each:
                    store(row, each, each * (channels * taps) + (channel * taps + tap))
            return
        with code.loop(end, start=first) as each, code.loop(taps) as tap:
            row = code.at(packed, (each * taps + tap) * conv.source.padded)
            with code.loop(channels) as channel:
                store(row, channel, each * (channels * taps) + (channel * taps + tap))


def unpack_rows(module: Module, name: str, *, row: int, turned: bool, divisor: float = 1.0) -> None:
    """Emit `name(packed, gradient, rows, columns)`: rows of numbers, without what fills them.

    Packed rows are `row` floats apart. The gradient has them one after the other, or if `turned`
    its columns.
    """
    with module.function(name, PTR, PTR, INT, INT) as (code, (packed, gradient, rows, columns)):
        with code.loop(rows) as down, code.loop(columns) as across:
            value = code.load(packed, down * row + across)
            if divisor != 1:
                value = code.arithmetic("fmul", value, code.constant(1 / divisor))
            place = across * rows + down if turned else down * columns + across
            code.store(value, gradient, place)
