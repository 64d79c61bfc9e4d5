"""Phases of tasks, which several threads carry out side by side.

A thread that enters takes the next free task of a phase, and continues with the next phase when
all tasks of the one before are done. So one thread alone gets everything done, and a
thread that comes late finds nothing left to do. A task always does the same items or numbers,
on any thread: that is why results do not depend on the threads. A thread without helpers has an
entry of its own, which counts nothing.

The caller takes tasks from the first on, helpers from the last on. So each core mostly gets the
same rows of an item in all phases, and the same shards in all steps, and finds them in its cache.

The counters of a phase, in whole numbers of 8 bytes; each of the two is in a cache line of its own:

    0   tasks taken by helpers (upper 32 bits), tasks taken by the caller (lower 32 bits)
    8   tasks that are done
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gridcnn.engines.native.emitter import INT, PTR, Code, Module, Number, Value

ENTRY, HELP, ALONE = "enter", "help", "alone"
COUNTERS = 16  # whole numbers from one phase's counters to the next: two lines of the cache
STEP_BACK = 0
"""The place in every table of arguments of the system's function that lets other threads go first;
0 stands there where there is none."""
_SPINS = 2000


class Arguments:
    """The table of arguments, as code reads it."""

    def __init__(self, code: Code, table: Value) -> None:
        self.code = code
        self.table = table

    def number(self, slot: int) -> Value:
        """Return a whole number."""
        return self.code.load(self.table, slot, kind=INT)

    def address(self, slot: int, place: Number = 0) -> Value:
        """Return an address, `place` floats after that in the table."""
        return self.code.at(self.code.load(self.table, slot, kind=PTR), place)

    def constant(self, slot: int, place: int, floats: int) -> Value:
        """Return the address of numbers that stay as they are: packed features, and parameters.

        They are in the memory that the table names, or, in code for elsewhere, where
        `Module.constants` says.
        """
        find = self.code.module.constants
        if find is None:
            return self.address(slot, place)
        return find(self.code, self.table, slot, place, floats)

    def optional_address(self, slot: int, place: Number) -> Value:
        """Return an address like that, or 0 if the table has 0."""
        base = self.code.load(self.table, slot, kind=PTR)
        is_none = self.code.test("eq", self.code.cast("ptrtoint", base, INT), 0)
        return self.code.select(is_none, base, self.code.at(base, place))


Task = Callable[[Arguments, Value, Value], None]
"""Emits one task: its arguments, the thread's workspace, and the task's number."""
Count = Callable[[Arguments], Number]
"""Emits how many tasks there are."""


class Phases:
    """Emits phases, and the function that carries them out."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._found: list[tuple[str, Count]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, name: str, count: Count, task: Task) -> None:
        """Emit the next phase."""
        with self.module.function(name, PTR, PTR, INT) as (code, (table, workspace, number)):
            task(Arguments(code, table), workspace, number)
        self._found.append((name, count))

    def finish(self) -> None:
        """Emit all ways in.

        `enter(counters, table of arguments, workspace)` is for the caller, and `help(...)` for
        those that help; the counters are 0 at first. `alone(table of arguments, workspace)` is for
        one that has no helpers.
        """
        with self.module.function(ALONE, PTR, PTR, internal=False) as (code, arguments):
            table, workspace = arguments
            with without_denormals(code):
                for name, count in self._found:
                    with code.loop(count(Arguments(code, table))) as task:
                        code.run(name, table, workspace, task)
        for name, helps in ((ENTRY, False), (HELP, True)):
            with self.module.function(name, *[PTR] * 3, internal=False) as (code, arguments):
                with without_denormals(code):
                    self._share_tasks(code, arguments, helps=helps)

    def _share_tasks(self, code: Code, arguments: list[Value], *, helps: bool) -> None:
        """Emit all phases, for one of several threads."""
        counters, table, workspace = arguments
        for number, (name, count) in enumerate(self._found):
            tasks = code.value(count(Arguments(code, table)))
            # One number counts both what was taken from the front, and above that from the back:
            # one atomic addition takes a task, and shows whether front and back have met. Numbers
            # beyond the end are handed out too; their takers leave.
            started = code.at(counters, number * COUNTERS, INT)
            done = code.at(counters, number * COUNTERS + COUNTERS // 2, INT)
            with code.forever() as end:
                ticket = code.fetch_add(started, 1 << 32 if helps else 1)
                front = code.op(INT, f"and {ticket}, {(1 << 32) - 1}")
                back = code.op(INT, f"lshr {ticket}, 32")
                code.leave(end, code.test("sge", front + back, tasks))
                code.run(name, table, workspace, tasks - 1 - back if helps else front)
                code.fetch_add(done, 1)
            # The next phase reads what all tasks of this one have written.
            _wait(code, done, tasks, Arguments(code, table))


@contextmanager
def without_denormals(code: Code) -> Iterator[None]:
    """Treat subnormal numbers as 0 while this code runs: they cost much time."""
    if not code.module.processor.triple.startswith(("x86_64", "amd64", "i686")):
        yield
        return
    before, during = (code.variable(Value(code, "i32", "0")) for _ in range(2))
    for name in ("stmxcsr", "ldmxcsr"):
        code.module.declare(f"llvm.x86.sse.{name}", "void", PTR)
    code.line(f"call void @llvm.x86.sse.stmxcsr(ptr {before.name})")
    flags = 0x8040  # flush to zero, and denormals are zeros
    during.set(code.op("i32", f"or {before.get()}, {flags}"))
    code.line(f"call void @llvm.x86.sse.ldmxcsr(ptr {during.name})")
    yield
    code.line(f"call void @llvm.x86.sse.ldmxcsr(ptr {before.name})")


def _wait(code: Code, done: Value, count: Number, arguments: Arguments) -> None:
    """Emit the wait for tasks that other threads have taken; none of them waits for another."""
    spins = code.variable(code.value(0))
    with code.forever() as end:
        code.leave(end, code.test("sge", code.load_shared(done), count))
        code.pause()
        spins.set(spins.get() + 1)
        with code.when(code.test("sgt", spins.get(), _SPINS)):
            spins.set(code.value(0))
            step_back = arguments.number(STEP_BACK)
            with code.when(code.test("ne", step_back, 0)):
                address = code.op(PTR, f"inttoptr {step_back} to ptr")
                code.line(f"call i32 {address.name}()")
