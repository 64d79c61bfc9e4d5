"""Matrix products of the voting layers, over several items at a time.

Rows of values are padded with zeros to whole vectors; weights lie as the flat parameter vector has
them, and are never copied. Each number is summed up in the same order, however many items are
worked on together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gridcnn.engines.native.emitter import (
    INT,
    PTR,
    Code,
    Module,
    Number,
    Value,
    Variable,
)

_LINE = 16  # floats in a line of the cache


@dataclass(frozen=True)
class Layer:
    """One voting layer: `outputs` sums over `inputs` weighted values.

    `rectified` says whether the layer is a hidden one, whose negative sums become 0.
    """

    inputs: int
    outputs: int
    lanes: int
    rectified: bool

    @property
    def entering(self) -> int:
        """Floats from one item's row of values to the next."""
        return row_size(self.inputs)

    @property
    def leaving(self) -> int:
        """Floats from one item's row of sums to the next."""
        return row_size(self.outputs)


def row_size(values: int) -> int:
    """Return the floats of a row: whole vectors, and an odd number of the cache's lines.

    With an even number, the same column of many rows would fall into few places of the cache.
    """
    lines = -(-values // _LINE)
    return (lines + 1 - lines % 2) * _LINE


def _tiles(code: Code, count: Number, size: int, start: Number = 0) -> Iterator[tuple[Value, int]]:
    """Go over numbers from `start` to `count`, `size` at a time, and then those left one by one."""
    if size > 1:
        length = code.value(count) - start
        whole = code.value(start) + code.value(code.divide(length, size)) * size
        with code.loop(whole, start=start, step=size) as first:
            yield first, size
        start = whole
    with code.loop(count, start=start) as first:
        yield first, 1


def forward(module: Module, name: str, layer: Layer) -> None:
    """Emit `name(values, weights, bias, factors, sums, items, first output, end output)`.

    Where the address of the factors is not 0, each sum is multiplied by its own; their rows are as
    long as a layer has outputs.
    """
    wide = module.processor.registers >= 32
    with module.function(name, *[PTR] * 5, *[INT] * 3) as (code, arguments):
        values, weights, bias, factors, sums, items, start, stop = arguments
        for output, outputs in _tiles(code, stop, min(6 if wide else 3, layer.outputs), start):
            rows = code.at(weights, output * layer.inputs)
            # The same rows of weights for all items, before the next rows: weights are many, and
            # come from far away. 4 items times 6 (or 3) outputs are the sums that registers hold.
            for item, together in _tiles(code, items, 4):
                entering = code.at(values, item * layer.entering)
                totals = _products(code, layer, entering, rows, together, outputs)
                for nearby in range(together):
                    leaving = code.at(sums, (item + nearby) * layer.leaving)
                    for each in range(outputs):
                        total = code.total(totals[nearby][each].get())
                        total = code.arithmetic("fadd", total, code.load(bias, output + each))
                        if layer.rectified:
                            total = code.rectify(total)
                        code.store(total, leaving, output + each)
        with code.when(code.test("ne", code.cast("ptrtoint", factors, INT), 0)):
            with code.loop(items) as each_item, code.loop(stop, start=start) as number:
                place = each_item * layer.leaving + number
                factor = code.load(factors, each_item * layer.outputs + number)
                code.store(code.arithmetic("fmul", code.load(sums, place), factor), sums, place)


def _products(
    code: Code, layer: Layer, entering: Value, rows: Value, items: int, outputs: int
) -> list[list[Variable]]:
    """Emit the products of some items' values and some outputs' weights, a sum for each lane."""
    # A sum for each lane, added up at the very end: this order does not depend on how many items
    # and outputs are worked on together, and neither do the bits.
    zero = code.constant(0, layer.lanes)
    totals = [[code.variable(zero) for _ in range(outputs)] for _ in range(items)]

    def step(place: Number, count: int) -> None:
        # Outputs are fewer than items where registers are few: their weights stay in registers.
        weights = [
            code.load_part(rows, place + output * layer.inputs, layer.lanes, count)
            for output in range(outputs)
        ]
        for item in range(items):
            value = code.load_part(entering, place + item * layer.entering, layer.lanes, count)
            for weight, total in zip(weights, totals[item], strict=True):
                total.set(code.multiply_add(value, weight, total.get()))

    whole = layer.inputs - layer.inputs % layer.lanes
    with code.loop(whole, step=layer.lanes) as place:
        step(place, layer.lanes)
    if layer.inputs > whole:
        step(whole, layer.inputs - whole)
    return totals


def backward(module: Module, name: str, layer: Layer) -> None:
    """Emit `name(sums' gradient, weights, values' gradient, items)`."""
    with module.function(name, *[PTR] * 3, INT) as (code, (flow, weights, by_values, items)):

        def emit(place: Number, vectors: int, count: int) -> None:
            for item, together in _tiles(code, items, 4):
                _weighted_sums(
                    code,
                    layer,
                    summed=layer.outputs,
                    coefficients=[
                        (code.at(flow, (item + number) * layer.leaving), 1)
                        for number in range(together)
                    ],
                    rows=code.at(weights, place),
                    row=layer.inputs,
                    targets=[
                        code.at(by_values, (item + number) * layer.entering + place)
                        for number in range(together)
                    ],
                    vectors=vectors,
                    count=count,
                    # Rows of values end in padding, which may be written over.
                    whole_store=True,
                )

        _columns(module, code, layer, 0, layer.inputs, emit)


def by_weights(module: Module, name: str, layer: Layer) -> None:
    """Emit `name(values, sums' gradient, weights' gradient, items, first input, end input)`.

    The weights' gradient is added to where it lies in the flat gradient vector. The first input
    must be the start of a vector, and the end one as well, or the last.
    """
    with module.function(name, *[PTR] * 3, *[INT] * 3) as (code, arguments):
        values, flow, target, items, start, stop = arguments

        def emit(place: Number, vectors: int, count: int) -> None:
            for output, together in _tiles(code, layer.outputs, min(4, layer.outputs)):
                _weighted_sums(
                    code,
                    layer,
                    summed=items,
                    coefficients=[
                        (code.at(flow, output + number), layer.leaving)
                        for number in range(together)
                    ],
                    rows=code.at(values, place),
                    row=layer.entering,
                    targets=[
                        code.at(target, (output + number) * layer.inputs + place)
                        for number in range(together)
                    ],
                    vectors=vectors,
                    count=count,
                    # Here the next row of weights follows at once, and must not be touched.
                    whole_store=False,
                )

        _columns(module, code, layer, start, stop, emit)


def _columns(
    module: Module,
    code: Code,
    layer: Layer,
    start: Number,
    stop: Number,
    emit: Callable[[Number, int, int], None],
) -> None:
    """Go over inputs, a few vectors at a time, then one by one, and then what fills none.

    `emit` gets the first input, how many vectors, and how many lanes of the last one are in use.
    """
    lanes = layer.lanes
    whole = code.least(stop, layer.inputs - layer.inputs % lanes)
    most = 4 if module.processor.registers >= 32 else 2
    for place, vectors in _tiles_of(code, start, whole, most, lanes):
        emit(place, vectors, lanes)
    # The task with the last inputs also does those that fill no vector.
    rest = layer.inputs % lanes
    if rest:
        with code.when(code.test("eq", stop, layer.inputs)):
            emit(layer.inputs - rest, 1, rest)


def _tiles_of(
    code: Code, start: Number, stop: Number, size: int, lanes: int
) -> Iterator[tuple[Value, int]]:
    step = size * lanes
    length = code.value(stop) - start
    count = code.value(code.divide(code.value(code.most(length, 0)), step))
    whole = code.value(start) + count * step
    with code.loop(whole, start=start, step=step) as place:
        yield place, size
    with code.loop(stop, start=whole, step=lanes) as place:
        yield place, 1


def _weighted_sums(
    code: Code,
    layer: Layer,
    *,
    summed: Number,
    coefficients: Sequence[tuple[Value, int]],
    rows: Value,
    row: int,
    targets: Sequence[Value],
    vectors: int,
    count: int,
    whole_store: bool,
) -> None:
    """Emit sums of `summed` rows, each row times its coefficient, one sum for each target.

    `coefficients` are where each target's begin, and the floats from one to the next.
    """
    lanes = layer.lanes
    zero = code.constant(0, lanes)
    # Up to 4 targets times 4 (or 2) vectors are the sums that registers hold: each row is loaded
    # once for all targets. Rows are summed one after the other, so that tiles change no bit.
    totals = [[code.variable(zero) for _ in range(vectors)] for _ in targets]
    with code.loop(summed) as number:
        here = code.at(rows, number * row)
        vectors_of_row = [
            code.load_part(here, each * lanes, lanes, count if each == vectors - 1 else lanes)
            for each in range(vectors)
        ]
        for (coefficient, step), total in zip(coefficients, totals, strict=True):
            factor = code.load_broadcast(coefficient, number * step, lanes)
            for value, each in zip(vectors_of_row, total, strict=True):
                each.set(code.multiply_add(factor, value, each.get()))
    for target, total in zip(targets, totals, strict=True):
        for place, each in enumerate(total):
            used = count if place == vectors - 1 and not whole_store else lanes
            code.store_part(each.get(), target, place * lanes, used)


def mask_back(module: Module, name: str, layer: Layer) -> None:
    """Emit `name(values, factors, gradient, items)`: the way back through a hidden layer's end.

    `values` are what the layer gave, after rectification and dropout; where they are 0, the
    gradient is 0. `layer` is the one that they left.
    """
    with module.function(name, *[PTR] * 3, INT) as (code, (values, factors, flow, items)):
        has_factors = code.test("ne", code.cast("ptrtoint", factors, INT), 0)
        with code.loop(items) as item, code.loop(layer.outputs) as output:
            place = item * layer.leaving + output
            gradient = code.variable(code.load(flow, place))
            with code.when(has_factors):
                factor = code.load(factors, item * layer.outputs + output)
                gradient.set(code.arithmetic("fmul", gradient.get(), factor))
            is_positive = code.compare("ogt", code.load(values, place), code.constant(0))
            code.store(code.select(is_positive, gradient.get(), code.constant(0)), flow, place)


def scale(module: Module, name: str, layer: Layer) -> None:
    """Emit `name(factors, values, items)`: each value entering a layer times its factor, if any."""
    with module.function(name, PTR, PTR, INT) as (code, (factors, values, items)):
        with code.when(code.test("ne", code.cast("ptrtoint", factors, INT), 0)):
            with code.loop(items) as item, code.loop(layer.inputs) as number:
                place = item * layer.entering + number
                factor = code.load(factors, item * layer.inputs + number)
                product = code.arithmetic("fmul", code.load(values, place), factor)
                code.store(product, values, place)


def by_bias(module: Module, name: str, layer: Layer) -> None:
    """Emit `name(sums' gradient, bias's gradient, items)`."""
    with module.function(name, PTR, PTR, INT) as (code, (flow, target, items)):
        with code.loop(layer.outputs) as output:
            total = code.variable(code.constant(0))
            with code.loop(items) as item:
                gradient = code.load(flow, item * layer.leaving + output)
                total.set(code.arithmetic("fadd", total.get(), gradient))
            code.store(total.get(), target, output)
