"""The builder of code: what it writes computes what its methods say, at every level."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm

from gridcnn.engines.native import processor as of_processors
from gridcnn.engines.native.compiler import Compiled, translate
from gridcnn.engines.native.emitter import (
    BYTE,
    FLOAT,
    INT,
    PTR,
    WORD,
    Code,
    Module,
    Number,
    Value,
    element_of,
    lanes_of,
    vector,
)
from gridcnn.engines.native.processor import Processor, processor
from gridcnn.grid import Array

LEVELS = [
    level
    for level in ("x86-64", "x86-64-v3", "x86-64-v4", "generic")
    if level in of_processors._host().levels()
]
Emit = Callable[..., None]


@pytest.fixture(params=["native", *LEVELS])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Processor:
    """Return the processor of each level that this machine has."""
    monkeypatch.setenv("GRIDCNN_CPU", request.param)
    return processor()


def run(here: Processor, emit: Emit, *arrays: Array) -> None:
    """Call what `emit(code, address, ...)` writes, with the addresses of arrays."""
    module = Module(here)
    with module.function("test", *[PTR] * len(arrays), internal=False) as (code, addresses):
        emit(code, *addresses)
    compiled = Compiled(translate(str(module), here), "test", here, len(arrays))
    compiled.call(*(each.ctypes.data for each in arrays))


def ints(*numbers: int) -> NDArray[np.int64]:
    return np.array(numbers, np.int64)


def floats(*numbers: float) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


def some(size: int, *, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)


def room_for(size: int) -> NDArray[np.float32]:
    """Return so many zeros, right before memory that cannot be touched where that is possible."""
    memory = mmap.mmap(-1, 4 * mmap.PAGESIZE)
    cells = np.frombuffer(memory, np.float32)
    if sys.platform != "win32":
        last = ctypes.c_void_p(cells.ctypes.data + 3 * mmap.PAGESIZE)
        assert not ctypes.CDLL(None).mprotect(last, ctypes.c_size_t(mmap.PAGESIZE), 0)
    return cells[: 3 * mmap.PAGESIZE // 4][-size:]


# Types


def test_a_vector_of_one_lane_is_its_element() -> None:
    assert (vector(1), vector(4), vector(2, WORD)) == (FLOAT, "<4 x float>", "<2 x i32>")
    assert [lanes_of(each) for each in (FLOAT, PTR, "<16 x i8>")] == [1, 1, 16]
    assert [element_of(each) for each in (INT, "<16 x i8>", "<4 x float>")] == [INT, BYTE, FLOAT]


# What is known while the code is made


def test_numbers_that_are_known_leave_no_code(here: Processor) -> None:
    """They are Python's, or are written into the instructions that use them."""
    code = Code(Module(here))
    assert (code.least(2, 3), code.most(2, 3)) == (2, 3)
    assert (code.divide(7, 2), code.rest(7, 2)) == (3, 1)
    one = code.value(5)
    assert (one.kind, one.name) == (INT, "5")
    assert code.value(one) is one
    for same in (one + 0, one - 0, one * 1, 0 + one, 1 * one, code.divide(one, 1)):
        assert same is one
    base = Value(code, PTR, "%a0")
    assert code.at(base, 0) is base
    assert code.constant(0.5, 2).kind == "<2 x float>"
    assert code.constants([3], WORD).name == "3"
    assert code.broadcast(one, 1) is one
    assert code.lines == []
    assert code.slots == []


def test_constants_are_float32_to_the_last_bit(here: Processor) -> None:
    """So are the infinite ones, and those that float32 has to round."""
    numbers = [0.0, -0.0, 1.0, 1 / 3, np.pi, 3e-45, -1e38, float("inf"), float("-inf")]
    found = floats(*[7] * len(numbers))

    def emit(code: Code, target: Value) -> None:
        for place, number in enumerate(numbers):
            code.store(code.constant(number), target, place)

    run(here, emit, found)
    np.testing.assert_array_equal(found.view(np.uint32), floats(*numbers).view(np.uint32))


# Whole numbers


def test_whole_numbers(here: Processor) -> None:
    """Sums, differences, products, quotients and comparisons, as Python has them."""
    for left, right in ((17, 5), (0, 9), (-4, 3), (2**40, 12)):
        found = np.zeros(12, np.int64)

        def emit(code: Code, given: Value, target: Value, right: int = right) -> None:
            a, b = (code.load(given, place, kind=INT) for place in (0, 1))
            results: list[Number] = [
                a + b,
                a - b,
                a * b,
                a + right,
                right + a,
                right * a,
                code.least(a, b),
                code.most(a, right),
                code.divide(b * b, right),
                code.rest(b + 2, right),
                code.truth(code.test("slt", a, b)),
                code.truth(code.test("ne", right, b)),
            ]
            for place, result in enumerate(results):
                code.store(code.value(result), target, place)

        run(here, emit, ints(left, right), found)
        assert found.tolist() == [
            left + right,
            left - right,
            left * right,
            left + right,
            right + left,
            right * left,
            min(left, right),
            max(left, right),
            right,
            (right + 2) % right,
            int(left < right),
            0,
        ]


# Control


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [(0, 5, 1), (2, 11, 3), (0, 0, 1), (7, 3, 2), (-3, 2, 1), (4, 5, 1), (3, 8, 5), (0, 2, 7)],
)
def test_a_loop_is_a_range(here: Processor, start: int, stop: int, step: int) -> None:
    """Whether its ends are known or not; in a loop there may be others."""
    found = np.full((2, 2, 40), -9, np.int64)

    def emit(code: Code, given: Value, target: Value) -> None:
        known: list[Number] = [start, stop, step]
        found: list[Number] = [code.load(given, place, kind=INT) for place in range(3)]
        for kind, (first, last, by) in enumerate((known, found)):
            count = code.variable(code.value(0))
            with code.loop(2) as outer, code.loop(last, start=first, step=by) as here:
                place = outer * 40 + count.get()
                code.store(here, target, place + 80 * kind)
                count.set(count.get() + 1)

    run(here, emit, ints(start, stop, step), found)
    expected = list(range(start, stop, step))
    for kind in found:
        assert kind[0, : len(expected)].tolist() == expected
        assert kind[1, len(expected) : 2 * len(expected)].tolist() == expected
        assert (kind == -9).sum() == 80 - 2 * len(expected)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 8, 11])
def test_what_is_repeated_is_a_range(here: Processor, count: int) -> None:
    """Also if the count is no multiple of the numbers of one round."""
    found = np.full(20, -9, np.int64)

    def emit(code: Code, target: Value) -> None:
        for number in code.repeat(count):
            code.store(code.value(number), target, number)

    run(here, emit, found)
    assert found.tolist() == [*range(count), *[-9] * (20 - count)]


def test_what_stands_under_a_condition_happens_only_then(here: Processor) -> None:
    found = ints(0, 0, 0, 0)

    def emit(code: Code, target: Value) -> None:
        with code.loop(4) as number, code.when(code.test("sgt", number, 1)):
            code.store(number, target, number)

    run(here, emit, found)
    assert found.tolist() == [0, 0, 2, 3]


def test_an_endless_loop_is_left(here: Processor) -> None:
    """Where it is left, wherever that stands in it."""
    found = ints(0, 0)

    def emit(code: Code, target: Value) -> None:
        with code.forever() as end:
            before = code.fetch_add(target, 1)
            code.leave(end, code.test("sge", before, 9))
            code.fetch_add(code.at(target, 1, INT), 2)

    run(here, emit, found)
    assert found.tolist() == [10, 18]


def test_a_function_runs_another_one(here: Processor) -> None:
    """With addresses and numbers, known or not."""
    module = Module(here)
    with module.function("put", PTR, INT, INT) as (code, (target, place, number)):
        code.store(number, target, place)
    with module.function("test", PTR, internal=False) as (code, (target,)):
        with code.loop(3) as place:
            code.run("put", target, place, place * place)
        code.run("put", target, 3, 77)
    found = ints(0, 0, 0, 0)
    compiled = Compiled(translate(str(module), here), "test", here, 1)
    compiled.call(found.ctypes.data)
    assert found.tolist() == [0, 1, 4, 77]


def test_a_table_holds_its_numbers(here: Processor) -> None:
    numbers = [5, -3, 2**40, 0]
    found = np.zeros(4, np.int64)

    def emit(code: Code, target: Value) -> None:
        table = Value(code, PTR, code.module.table(numbers))
        other = Value(code, PTR, code.module.table([1]))
        with code.loop(4) as place:
            number = code.load(table, place, kind=INT) * code.load(other, kind=INT)
            code.store(number, target, place)

    run(here, emit, found)
    assert found.tolist() == numbers


# Memory


def test_loads_and_stores_count_in_elements(here: Processor) -> None:
    """Of whatever the type's elements are, aligned to no more than an element."""
    lanes = here.lanes
    cells, found = some(40), np.zeros(40, np.float32)

    def emit(code: Code, source: Value, target: Value) -> None:
        code.store(code.load(source, 3, kind=vector(lanes)), target, 1)
        code.store(code.load(source, 39), target, 39)
        code.store(code.load_broadcast(source, 37, 2), target, 30)

    run(here, emit, cells, found)
    expected = np.zeros(40, np.float32)
    expected[1 : 1 + lanes] = cells[3 : 3 + lanes]
    expected[39], expected[30:32] = cells[39], cells[37]
    np.testing.assert_array_equal(found, expected)


def test_parts_of_vectors_touch_nothing_else(here: Processor) -> None:
    """Any number of first lanes; what is not read is 0, and what is not written stays."""
    for lanes in (4, 8, 16):
        for count in range(1, lanes + 1):
            source, target = room_for(count), room_for(count)
            source[:] = some(count)
            whole = np.full(lanes, 7, np.float32)

            def emit(
                code: Code, a: Value, b: Value, c: Value, lanes: int = lanes, count: int = count
            ) -> None:
                value = code.load_part(a, 0, lanes, count)
                code.store_part(value, b, 0, count)
                code.store(value, c)

            run(here, emit, source, target, whole)
            np.testing.assert_array_equal(target, source)
            np.testing.assert_array_equal(whole[:count], source)
            assert not whole[count:].any()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 100])
def test_memory_is_copied_and_cleared_to_the_last_float(here: Processor, size: int) -> None:
    """Without a call of any library."""
    source, target, cleared = (room_for(size) for _ in range(3))
    source[:], cleared[:] = some(size), 1

    def emit(code: Code, a: Value, b: Value, c: Value) -> None:
        code.copy(b, a, size)
        code.zero(c, size)

    run(here, emit, source, target, cleared)
    np.testing.assert_array_equal(target, source)
    assert not cleared.any()
    module = Module(here)
    with module.function("test", PTR, PTR, internal=False) as (code, (a, b)):
        code.copy(b, a, size)
        code.zero(a, size)
    names = [each.name for each in llvm.parse_assembly(str(module)).functions]
    assert not [name for name in names if "mem" in name]


# Floats


def test_float_arithmetic_is_float32s(here: Processor) -> None:
    lanes = here.lanes
    a, b, found = some(lanes), some(lanes, seed=1), np.zeros((4, lanes), np.float32)

    def emit(code: Code, first: Value, second: Value, target: Value) -> None:
        left, right = (code.load(each, kind=vector(lanes)) for each in (first, second))
        for place, name in enumerate(("fadd", "fsub", "fmul", "fdiv")):
            code.store(code.arithmetic(name, left, right), target, place * lanes)

    run(here, emit, a, b, found)
    np.testing.assert_array_equal(found, [a + b, a - b, a * b, a / b])


def test_multiply_add_rounds_as_often_as_the_processor(here: Processor) -> None:
    """Once where it is one instruction, and else twice; in every lane alike."""
    for lanes in (1, 4, here.lanes):
        a = np.full(lanes, 1 + 2**-12, np.float32)
        c, found = np.full(lanes, -1, np.float32), np.zeros(lanes, np.float32)

        def emit(code: Code, first: Value, second: Value, target: Value, n: int = lanes) -> None:
            left, right = (code.load(each, kind=vector(n)) for each in (first, second))
            code.store(code.multiply_add(left, left, right), target)

        run(here, emit, a, c, found)
        assert (found == (2**-11 + 2**-24 if here.fma else 2**-11)).all()


ODD = floats(1, -1, 0, -0.0, np.nan, np.inf, -np.inf, 2)


def test_larger_and_rectified_keep_nan(here: Processor) -> None:
    """As NumPy's maximum does."""
    pairs = np.array([(a, b) for a in ODD for b in ODD], np.float32)
    a, b = pairs[:, 0].copy(), pairs[:, 1].copy()
    found = np.zeros((2, len(a)), np.float32)

    def emit(code: Code, first: Value, second: Value, target: Value) -> None:
        with code.loop(len(a), step=4) as place:
            left, right = (code.load(each, place, kind=vector(4)) for each in (first, second))
            code.store(code.larger(left, right), target, place)
            code.store(code.rectify(left), target, place + len(a))

    run(here, emit, a, b, found)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, [np.maximum(a, b), np.maximum(a, 0)])


def test_comparisons_choose_lane_by_lane(here: Processor) -> None:
    """Of floats and of bytes."""
    lanes = 4
    a, b = floats(1, 2, np.nan, 4), floats(2, 1, 1, 4)
    marks, found = np.array([1, 2, 255, 2], np.uint8), np.zeros((3, lanes), np.float32)

    def emit(code: Code, first: Value, second: Value, third: Value, target: Value) -> None:
        left, right = (code.load(each, kind=vector(lanes)) for each in (first, second))
        kind = code.load(third, kind=vector(lanes, BYTE))
        chosen = [
            code.compare("ogt", left, right),
            code.compare("une", left, right),
            code.compare("eq", kind, code.constants([2] * lanes, BYTE)),
        ]
        for place, each in enumerate(chosen):
            code.store(code.select(each, left, right), target, place * lanes)

    run(here, emit, a, b, marks, found)
    np.testing.assert_array_equal(found, [[2, 2, 1, 4], [1, 2, np.nan, 4], [2, 2, 1, 4]])


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
def test_a_total_adds_halves_to_halves(here: Processor, lanes: int) -> None:
    """In that order, to the last bit."""
    cells, found = some(lanes), floats(0)
    expected = cells
    while len(expected) > 1:
        middle = len(expected) // 2
        expected = expected[:middle] + expected[middle:]

    def emit(code: Code, source: Value, target: Value) -> None:
        code.store(code.total(code.load(source, kind=vector(lanes))), target)

    run(here, emit, cells, found)
    assert found[0] == expected[0]


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_chosen_lanes_are_squeezed_together_and_counted(here: Processor, lanes: int) -> None:
    """Floats and whole numbers, in their order; every choice of four lanes, and many of others."""
    random = np.random.default_rng(0)
    choices: Array = np.array([[(n >> lane) & 1 for lane in range(4)] for n in range(16)])
    if lanes > 4:
        choices = random.integers(0, 2, (40, lanes))
        choices[0], choices[1] = 0, 1
    cells = (choices * some(choices.size).reshape(choices.shape)).astype(np.float32)
    values, numbers = np.zeros_like(cells), np.zeros(cells.shape, np.int32)
    counts = np.zeros(len(cells), np.int64)

    def emit(code: Code, a: Value, b: Value, c: Value, d: Value) -> None:
        with code.loop(len(cells)) as row:
            value = code.load(a, row * lanes, kind=vector(lanes))
            chosen = code.compare("une", value, code.constant(0, lanes))
            code.store(code.compress(value, chosen), b, row * lanes)
            code.store(
                code.compress(code.constants(list(range(lanes)), WORD), chosen), c, row * lanes
            )
            code.store(code.count(chosen), d, row)

    run(here, emit, cells, values, numbers, counts)
    for cell, value, number, count in zip(cells, values, numbers, counts, strict=True):
        places = np.flatnonzero(cell)
        assert count == len(places)
        np.testing.assert_array_equal(value[:count], cell[places])
        np.testing.assert_array_equal(number[:count], places)


@pytest.mark.parametrize("lanes", [4, 8])
def test_avx2_puts_lanes_into_any_order(lanes: int) -> None:
    """So that none goes through memory; equal tables are there once."""
    module = Module(Processor("x86-64-v3", "", "x86_64", 8, 16, True, permutes=True))
    with module.function("test", PTR) as (code, (address,)):
        value = code.load(address, kind=vector(lanes))
        chosen = code.compare("une", value, code.constant(0, lanes))
        for _ in range(2):
            code.store(code.compress(value, chosen), address)
    text = str(module)
    assert "vector.compress" not in text
    assert text.count("constant") == 1


def test_casts_go_lane_by_lane(here: Processor) -> None:
    """Cut to fewer bits, widened without a sign, made floats, seen as other bits."""
    words, found = np.array([1, 258, -1, 7], np.int32), np.zeros(4, np.uint8)
    wide, real, bits = np.zeros(4, np.int64), floats(0, 0, 0, 0), np.zeros(4, np.int32)

    def emit(code: Code, source: Value, *targets: Value) -> None:
        value = code.load(source, kind=vector(4, WORD))
        made = code.cast("sitofp", value, FLOAT)
        results = (
            code.cast("trunc", value, BYTE),
            code.cast("zext", value, INT),
            made,
            code.cast("bitcast", made, WORD),
        )
        for result, target in zip(results, targets, strict=True):
            code.store(result, target)

    run(here, emit, words, found, wide, real, bits)
    assert found.tolist() == [1, 2, 255, 7]
    assert wide.tolist() == [1, 258, 2**32 - 1, 7]
    assert real.tolist() == [1, 258, -1, 7]
    np.testing.assert_array_equal(bits, real.view(np.int32))


def test_counters_are_shared(here: Processor) -> None:
    """Adding gives what was there before; loading gives what is there now."""
    found = ints(41, 0, 0)

    def emit(code: Code, target: Value) -> None:
        code.store(code.fetch_add(target, 2), target, 1)
        code.store(code.load_shared(target), target, 2)

    run(here, emit, found)
    assert found.tolist() == [43, 41, 43]


def test_the_text_is_llvms(here: Processor) -> None:
    """It stands verification, with each declaration once."""
    module = Module(here)
    with module.function("test", PTR, internal=False) as (code, (target,)):
        for place in range(2):
            value = code.load_part(target, place * 4, 4, 3)
            code.store_part(code.larger(value, value), target, place, 2)
            code.store(code.total(value), target)
    text = str(module)
    llvm.parse_assembly(text).verify()
    declared: list[Any] = [line for line in text.splitlines() if line.startswith("declare")]
    assert len(declared) == len(set(declared)) == 2
