"""Phases of tasks: each task is done once, and no phase begins before the last one is done."""

from __future__ import annotations

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("llvmlite")

from gridcnn.engines.native.call import Buffer, Entry, address_of
from gridcnn.engines.native.compiler import Compiled, translate
from gridcnn.engines.native.emitter import INT, Module, Value
from gridcnn.engines.native.phases import COUNTERS, ENTRY, STEP_BACK, Arguments, Phases
from gridcnn.engines.native.processor import processor
from gridcnn.engines.native.program import Arena

TARGET, TASKS, SUMS = STEP_BACK + 1, STEP_BACK + 2, STEP_BACK + 3
WAIT = 120  # seconds that nothing here takes, on any machine


def counting(phases: int = 2, work: int = 100) -> Compiled:
    """Return code whose tasks count how often they were done, and look at the phase before."""
    module = Module(processor())
    found = Phases(module)
    for number in range(phases):

        def task(arguments: Arguments, workspace: Value, task: Value, number: int = number) -> None:
            code = arguments.code
            counts = arguments.address(TARGET)
            tasks = arguments.number(TASKS)
            with code.loop(work) as _:
                code.fetch_add(workspace, 1)
            place = code.at(counts, tasks * number + task, INT)
            if number:
                # What all tasks of the phase before have done can be seen.
                total = code.variable(code.value(0))
                with code.loop(tasks) as each:
                    before = code.at(counts, tasks * (number - 1) + each, INT)
                    total.set(total.get() + code.load(before, kind=INT))
                sums = code.at(arguments.address(SUMS), tasks * number + task, INT)
                code.store(total.get(), sums)
            code.store(code.load(place, kind=INT) + 1, place)

        found.add(f"phase{number}", lambda arguments: arguments.number(TASKS), task)
    found.finish()
    assert len(found) == phases
    return Compiled(translate(str(module), processor()), ENTRY, processor(), 3)


class Table:
    """A call's counters and arguments."""

    def __init__(self, tasks: int, phases: int = 2, *, step_back: bool = True) -> None:
        self.counters = np.zeros(phases * COUNTERS, np.int64)
        self.counts = np.zeros((phases, max(tasks, 1)), np.int64)
        self.sums = np.zeros_like(self.counts)
        self.arguments = np.zeros(4, np.int64)
        if step_back and hasattr(ctypes.CDLL(None), "sched_yield"):
            function = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p)
            self.arguments[STEP_BACK] = function.value or 0
        self.arguments[TARGET] = address_of(self.counts)
        self.arguments[TASKS] = tasks
        self.arguments[SUMS] = address_of(self.sums)

    def enter(self, code: Compiled) -> NDArray[np.int64]:
        """Enter once, and return what the thread's own workspace has counted."""
        workspace = np.zeros(8, np.int64)
        code.call(*map(address_of, (self.counters, self.arguments, workspace)))
        return workspace


@pytest.fixture(scope="module")
def code() -> Compiled:
    return counting()


@pytest.mark.parametrize("tasks", [0, 1, 2, 7])
def test_one_thread_does_everything(code: Compiled, tasks: int) -> None:
    """Each task of each phase, once."""
    table = Table(tasks)
    workspace = table.enter(code)
    assert workspace[0] == 2 * 100 * tasks
    assert (table.counts == (tasks > 0)).all()
    assert (table.sums[1] == tasks).all()


def test_who_comes_late_finds_nothing_left(code: Compiled) -> None:
    """And leaves everything as it is."""
    table = Table(5)
    table.enter(code)
    for _ in range(3):
        assert not table.enter(code).any()
    assert (table.counts == 1).all()


@pytest.mark.parametrize("step_back", [True, False])
@pytest.mark.parametrize("threads", [2, 5])
def test_several_threads_share_the_tasks(code: Compiled, threads: int, step_back: bool) -> None:
    """Each is done once, and none before the phase before it is done, whoever is waited for."""
    for tasks in (1, 3, 50):
        table = Table(tasks, step_back=step_back)
        ready = threading.Barrier(threads)

        def enter(table: Table = table, ready: threading.Barrier = ready) -> NDArray[np.int64]:
            ready.wait(WAIT)
            return table.enter(code)

        with ThreadPoolExecutor(threads) as pool:
            entered = [pool.submit(enter) for _ in range(threads)]
            done = sum(int(each.result(WAIT)[0]) for each in entered)
        assert done == 2 * 100 * tasks
        assert (table.counts == 1).all()
        assert (table.sums[1] == tasks).all()


def test_an_entry_may_be_called_again_and_again(code: Compiled) -> None:
    """By one thread or by several; nothing of one call is left in the next."""
    entry = Entry(code, 2, 4)
    for threads in (1, 3, 1, 2, 1):
        table, spaces = Table(9), [np.zeros(8, np.int64) for _ in range(threads)]
        given = [(place, int(table.arguments[place])) for place in (TARGET, TASKS, SUMS)]
        entry(given, [address_of(space) for space in spaces], keep=(table, spaces))
        assert (table.counts == 1).all()
    # What is not given is 0: there are no tasks.
    table = Table(9)
    entry([(TARGET, address_of(table.counts))], [0], keep=table)
    assert not table.counts.any()


def test_memory_begins_with_a_line_of_the_cache() -> None:
    """And is full of zeros."""
    for floats in (1, 15, 16, 1000):
        buffer = Buffer(floats)
        assert buffer.address % 64 == 0
        assert buffer.address == address_of(buffer.floats)
        assert buffer.floats.shape == (floats,)
        assert not buffer.floats.any()


def test_parts_of_an_arena_begin_with_a_line_of_the_cache() -> None:
    """One after the other."""
    arena = Arena()
    assert [
        arena.take(name, floats) for name, floats in (("a", 5), ("b", 16), ("c", 0), ("d", 17))
    ] == [
        0,
        16,
        32,
        32,
    ]
    arena.close()
    assert arena.size == 64
    assert arena.parts == [("a", 0, 5), ("b", 16, 16), ("c", 32, 0), ("d", 32, 17)]


@pytest.mark.parametrize("gap", [16, 64])
def test_gaps_lie_around_every_part(gap: int) -> None:
    """Before the first, behind the last, and around those of an arena within an arena."""
    inner, outer = Arena(gap), Arena(gap)
    for name, floats in (("a", 5), ("b", 16)):
        inner.take(name, floats)
    inner.close()
    outer.take("c", 3)
    start = outer.take_many(inner, 3)
    outer.take("d", 1)
    outer.close()

    assert start == gap + 16
    assert [name for name, _, _ in outer.parts] == ["c", *["a", "b"] * 3, "d"]
    ends: list[Any] = [0]
    for _, place, floats in outer.parts:
        assert place >= ends[-1] + gap
        ends.append(place + floats)
    assert outer.size >= ends[-1] + gap
    inside = [place for name, place, _ in outer.parts if name == "a"]
    assert np.diff(inside).tolist() == [inner.size] * 2
