"""The builder of LLVM's text: what it writes computes what its words say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gridcnn.engines.native.compiler import compiled, key_for
from gridcnn.engines.native.emitter import (
    BYTE,
    FLOAT,
    INT,
    PTR,
    WORD,
    Code,
    Module,
    Value,
    element_of,
    lanes_of,
    vector,
)
from gridcnn.engines.native.processor import Processor, processor
from gridcnn.grid import Array

Emit = Callable[[Code, list[Value]], None]


@pytest.fixture(params=["native", "x86-64-v3", "x86-64", "generic"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Processor:
    """Return this processor, and lesser ones."""
    from gridcnn.engines.native.processor import VARIABLE
    from gridcnn.errors import EngineError

    monkeypatch.setenv(VARIABLE, request.param)
    try:
        return processor()
    except EngineError:
        pytest.skip(f"this machine cannot run code for {request.param}")


def executed(machine: Processor, emit: Emit, *arrays: Array) -> None:
    """Run what is emitted, on arrays."""
    module = Module(machine)
    with module.function("go", *[PTR] * len(arrays), internal=False) as (code, values):
        emit(code, values)
    text = str(module)
    function = compiled(key_for(text, machine), lambda: text, "go", machine, arguments=len(arrays))
    function.call(*(array.ctypes.data for array in arrays))


def floats(*numbers: float) -> Array:
    return np.array(numbers, np.float32)


def test_what_is_known_while_the_code_is_made_leaves_no_code() -> None:
    code = Code(Module(processor()))
    number = Value(code, INT, "%x")

    assert (number + 0) is number
    assert (number * 1) is number
    assert (code.least(3, 5), code.most(3, 5)) == (3, 5)
    assert (code.divided(17, 5), code.rest(17, 5)) == (3, 2)
    assert not code.lines


def test_types_tell_their_lanes() -> None:
    assert [vector(16), vector(1), vector(4, BYTE)] == ["<16 x float>", "float", "<4 x i8>"]
    assert [lanes_of("<16 x float>"), lanes_of(FLOAT)] == [16, 1]
    assert [element_of("<16 x float>"), element_of(WORD)] == [FLOAT, WORD]


@pytest.mark.parametrize(
    ("start", "stop", "step", "visited"),
    [(0, 5, 1, [0, 1, 2, 3, 4]), (2, 9, 3, [2, 5, 8]), (3, 3, 1, []), (4, 2, 1, [])],
)
def test_loops_visit_what_range_does(
    machine: Processor, start: int, stop: int, step: int, visited: list[int]
) -> None:
    found = np.full(10, -1, np.int64)

    def emit(code: Code, values: list[Value]) -> None:
        with code.loop(stop, start=start, step=step) as number:
            code.store(number, values[0], number)

    executed(machine, emit, found)
    expected = np.full(10, -1)
    expected[visited] = visited
    np.testing.assert_array_equal(found, expected)


def test_an_endless_loop_is_left_where_its_condition_holds(machine: Processor) -> None:
    found = np.zeros(1, np.int64)

    def emit(code: Code, values: list[Value]) -> None:
        count = code.variable(code.value(0))
        with code.forever() as end:
            code.leave(end, code.test("sge", count.get(), 7))
            count.set(count.get() + 2)
        code.store(count.get(), values[0])

    executed(machine, emit, found)
    assert found[0] == 8


@pytest.mark.parametrize("count", [1, 3, 4, 7, 8, 11, 16])
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_parts_of_vectors_are_read_and_written_alone(
    machine: Processor, lanes: int, count: int
) -> None:
    """Lanes beyond the part are 0, and stay as they are where they are written to."""
    count = min(count, lanes)
    source = np.arange(1, count + 1, dtype=np.float32)
    target = np.full(lanes, -1, np.float32)
    whole = np.full(lanes, -1, np.float32)

    def emit(code: Code, values: list[Value]) -> None:
        part = code.load_part(values[0], 0, lanes, count)
        code.store_part(part, values[1], 0, count)
        code.store(part, values[2])

    executed(machine, emit, source, target, whole)
    np.testing.assert_array_equal(target, [*source, *[-1] * (lanes - count)])
    np.testing.assert_array_equal(whole, [*source, *[0] * (lanes - count)])


@pytest.mark.parametrize("floats_", [1, 5, 16, 40])
def test_memory_is_filled_and_copied(machine: Processor, floats_: int) -> None:
    source = np.arange(50, dtype=np.float32)
    copy, zeroed = np.full(50, -1, np.float32), np.full(50, -1, np.float32)

    def emit(code: Code, values: list[Value]) -> None:
        code.copy(values[1], values[0], floats_)
        code.zero(values[2], floats_)

    executed(machine, emit, source, copy, zeroed)
    np.testing.assert_array_equal(copy, [*source[:floats_], *[-1] * (50 - floats_)])
    np.testing.assert_array_equal(zeroed, [*[0] * floats_, *[-1] * (50 - floats_)])


def unary(machine: Processor, compute: Any, *arrays: Array) -> Array:
    """Return what is computed of vectors as long as the arrays."""
    lanes = len(arrays[0])
    found = np.zeros(lanes, np.float32)

    def emit(code: Code, values: list[Value]) -> None:
        loaded = [code.load(value, kind=vector(lanes)) for value in values[1:]]
        code.store(compute(code, *loaded), values[0])

    executed(machine, emit, found, *arrays)
    return found


ODD = floats(-2, -0.0, 0.5, np.nan, np.inf, -np.inf, 1e-3, 3)


def test_rectification_keeps_what_is_no_number(machine: Processor) -> None:
    found = unary(machine, lambda code, value: code.rectified(value), ODD)

    np.testing.assert_array_equal(found, np.maximum(ODD, 0))


def test_the_larger_of_two_is_nan_where_either_is(machine: Processor) -> None:
    other = floats(np.nan, 1, np.nan, 4, 0, -np.inf, np.inf, -3)
    found = unary(machine, lambda code, left, right: code.larger(left, right), ODD, other)

    np.testing.assert_array_equal(found, np.maximum(ODD, other))


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_the_total_of_a_vector_is_that_of_its_lanes(machine: Processor, lanes: int) -> None:
    values = np.arange(1, lanes + 1, dtype=np.float32)
    found = np.zeros(1, np.float32)

    def emit(code: Code, pointers: list[Value]) -> None:
        code.store(code.total(code.load(pointers[0], kind=vector(lanes))), pointers[1])

    executed(machine, emit, values, found)
    assert found[0] == values.sum()


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_chosen_lanes_are_squeezed_together_and_counted(machine: Processor, lanes: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        values = random.integers(-1, 2, lanes).astype(np.float32)
        found, count = np.zeros(lanes, np.float32), np.zeros(1, np.int64)

        def emit(code: Code, pointers: list[Value]) -> None:
            value = code.load(pointers[0], kind=vector(lanes))
            chosen = code.compare("une", value, code.constant(0, lanes))
            code.store(code.squeezed(value, chosen), pointers[1])
            code.store(code.count(chosen), pointers[2])

        executed(machine, emit, values, found, count)
        kept = values[values != 0]
        assert count[0] == len(kept)
        np.testing.assert_array_equal(found[: len(kept)], kept)


@pytest.mark.parametrize("number", [0.0, 1.0, -0.1, 3.4e38, 1e-38, float("inf"), float("-inf")])
def test_constants_are_the_nearest_float32(machine: Processor, number: float) -> None:
    found = np.zeros(4, np.float32)

    executed(machine, lambda code, values: code.store(code.constant(number, 4), values[0]), found)
    np.testing.assert_array_equal(found, np.full(4, number, np.float32))


def test_counters_that_threads_share_are_added_to(machine: Processor) -> None:
    counter, before = np.array([40], np.int64), np.zeros(2, np.int64)

    def emit(code: Code, values: list[Value]) -> None:
        code.store(code.fetch_add(values[0], 2), values[1])
        code.store(code.load_shared(values[0]), values[1], 1)

    executed(machine, emit, counter, before)
    assert counter[0] == 42
    np.testing.assert_array_equal(before, [40, 42])
