"""The code of a network that answers one item, without a separate table of features.

The kernels are those of the native engine. What differs is the memory: all of it comes from the
caller, may hold anything, and is as small as the lives of the maps allow.

    work area     maps, and rows of the head where maps were | borders of steps | scratch of a step
    constants     features in the order of the kernels | parameters that are read as they are

Only constants that the code reads are kept; each begins with a line of the cache. They are part of
the object code, or memory that the caller has filled from a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gridcnn.engines.native.builder import Builder
from gridcnn.engines.native.emitter import INT, PTR, WORD, Code, Value
from gridcnn.engines.native.kernels import cells
from gridcnn.engines.native.kernels.base import Space
from gridcnn.engines.native.kernels.exponential import exponential, sigmoid
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.phases import Arguments, without_denormals
from gridcnn.engines.native.plan import Plan
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Arena, Argument, Program
from gridcnn.export.compiled.translator import TRACKED

LINE = 16
"""Floats of a line of the cache."""
DONE, ODD, OVERFLOW, FOREIGN = range(4)
"""What the function returns: votes are there; a cell is not finite or an index is none; votes are
not finite; the weights are those of another network."""
HEADER = 64
"""Bytes at the beginning of a file of weights: what it is, and for which code it was made."""
MAGIC = b"gridcnn\0"
_ROWS = -1
"""Stands among the numbers of values for the rows of the head."""


@dataclass(frozen=True)
class Constant:
    """Numbers that the code reads: `floats` from `place` on.

    `slot` says of what: of the packed features, or of the flat vector of parameters. `start` is
    where they are among all constants, in floats.
    """

    slot: Argument
    place: int
    floats: int
    start: int


class Constants:
    """All constants of a program, in the order in which its code was emitted."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Constant] = {}
        self.floats = 0

    def __iter__(self) -> Iterator[Constant]:
        return iter(self._known.values())

    def find(self, slot: int, place: int, floats: int) -> int:
        """Return where numbers are among all constants, in floats."""
        if (slot, place) not in self._known:
            self._known[slot, place] = Constant(Argument(slot), place, floats, self.floats)
            self.floats += -(-floats // LINE) * LINE
        return self._known[slot, place].start


class Packing(Builder):
    """Emits the program that brings the parameters into the order of the kernels."""

    def packing(self) -> Program:
        """Return a program that packs, and answers nothing."""
        self._lay_out(together=1)
        self._pack()
        return self._finish()


class Emitter(Builder):
    """Emits the code for one plan.

    Attributes:
        constants: what the code reads, once it is emitted.
    """

    def __init__(self, plan: Plan, processor: Processor, *, inside: bool) -> None:
        """Take a plan; `inside` says that the constants are part of the code."""
        super().__init__(plan, processor)
        self.constants = Constants()
        self._inside = inside
        self.module.attributes = f" {TRACKED}"
        self.module.constants = self._constant
        # The head's rows are placed among the maps, where their size has to be known.
        self._rows = Arena()
        self._rows_size = self._rows_start = 0

    def emit(self, *, several: bool) -> str:
        """Return the text of `body(grid, votes, work area, weights, status)`.

        Args:
            several: whether an item may have several labels: each vote is then for itself.
        """
        plan = self.plan
        first = Emitter(plan, self.module.processor, inside=True)
        first._lay_out(together=1)
        self._rows_size = first._rows.size - first._rows_start
        self._lay_out(together=1)
        self.workspace.close()
        self._emit_forward()
        self._emit_votes(several=several)
        if plan.one_hot:
            self._emit_check_indices()
        elif not plan.wants_finite:
            self._emit_check_cells()
        kinds = [PTR] * 5
        with self.module.function("body", *kinds) as (code, (grid, votes, work, weights, status)):
            table = self._table(code, grid, votes, weights)
            odd = code.variable(code.constant(0))
            with without_denormals(code):
                checked = "check_indices" if plan.one_hot else "check_cells"
                code.run(checked, grid, Value(code, PTR, odd.name))
                code.store(Value(code, WORD, str(ODD)), status)
                with code.when(code.compare("oeq", odd.get(), code.constant(0))):
                    self._answer(Arguments(code, table), work)
                    code.run("votes", votes, status)
        return str(self.module)

    @property
    def work_floats(self) -> int:
        """Floats of the work area."""
        return self.workspace.size

    # Memory

    def _space_of_rows(self, together: int) -> Space:
        return Space(self._rows, together)

    def _take_maps(self, item: Arena) -> None:
        """Take memory for the maps of each value, for as long as they are read.

        Unlike the engine's, maps may take the place of any others, since they are cleared before;
        and so may the rows of the head.
        """
        plan = self.plan
        last = len(plan.steps)
        lives = {0: (-1, max(plan.readers[0], default=-1) if plan.result else last)}
        for number, step in enumerate(plan.steps):
            readers = plan.readers[step.target]
            end = last if step.target == plan.result else max(readers, default=number)
            lives[step.target] = number, end
        sizes = {value: (plan.values[value].size, *life) for value, life in lives.items()}
        places, size = place_together({**sizes, _ROWS: (self._rows_size, last, last)})
        start = item.take("maps", size)
        self.maps.update({value: start + places[value] for value in lives})
        self._rows.size = self._rows_start = start + places[_ROWS]

    def _clear(self, code: Code, value: int, memory: Value) -> None:
        """Emit that maps hold zeros, if they have a border, or channels that fill a vector."""
        maps = self.plan.values[value]
        if needs_zeros(maps):
            code.zero(code.at(memory, self.maps[value]), maps.size)

    # Code

    def _table(self, code: Code, grid: Value, votes: Value, weights: Value) -> Value:
        """Emit the table of arguments that the kernels read."""
        name = "%table"
        code.slots.append(f"{name} = alloca [{len(Argument)} x {INT}]")
        table = Value(code, PTR, name)
        for slot, address in (
            (Argument.GRIDS, grid),
            (Argument.OUTPUT, votes),
            (Argument.PACKED, weights),
        ):
            code.store(address, code.at(table, slot, INT))
        for slot in (Argument.ITEMS, Argument.SHARD, Argument.SHARDS):
            code.store(code.value(1), code.at(table, slot, INT))
        return table

    def _constant(self, code: Code, table: Value, slot: int, place: int, floats: int) -> Value:
        start = self.constants.find(slot, place, floats)
        if self._inside:
            return code.at(Value(code, PTR, "@weights"), start)
        return code.at(code.load(table, int(Argument.PACKED), kind=PTR), start + HEADER // 4)

    def _answer(self, arguments: Arguments, work: Value) -> None:
        """Emit all steps for the item, and its logits."""
        code, plan = arguments.code, self.plan
        # Kernels share borders that have to be 0.
        for name, place, floats in self.workspace.parts:
            if name not in ("maps", "scratch"):
                code.zero(code.at(work, place), floats)
        self._clear(code, 0, work)
        code.run("pack_cells", arguments.address(Argument.GRIDS), code.at(work, self.maps[0]))
        steps = [self._step(number) for number in range(len(self.sites))]
        self._in_chunks("steps", arguments, (work,), steps)
        head = self._head(arguments, work)
        zero = code.value(0)
        last = code.at(work, self.maps[plan.result])
        assert head is not None
        kernel, frame = head
        for _, place, floats in self._rows.parts:  # they are padded with 0
            code.zero(code.at(work, place), floats)
        code.run("unpack_cells", last, kernel.entry(frame, 0, zero), Value(code, PTR, "null"))
        for layer, outputs in enumerate(kernel.parts):
            kernel.run_part(frame, layer, (zero, code.value(outputs)))

    def _step(self, number: int) -> Callable[[Arguments, Value], None]:
        """Return what emits a step of the item."""

        def emit(arguments: Arguments, work: Value) -> None:
            self._clear(arguments.code, self.plan.steps[number].target, work)
            self._step_of_item(number, arguments, work, work)

        return emit

    def _emit_check_cells(self) -> None:
        """Emit the check of the cells, also where the kernels could do without it."""
        cells.check_finite(self.module, "check_cells", self._cells_in)

    def _emit_check_indices(self) -> None:
        """Emit `check_indices(indices, answer)`: 0 if all are rows or -1, else NaN."""
        rows, columns = self.plan.shape.rows, self.plan.shape.columns
        with self.module.function("check_indices", PTR, PTR) as (code, (indices, answer)):
            code.store(code.constant(0), answer)
            with code.loop(columns) as column:
                index = code.load(indices, column, kind=WORD)
                # From -1 on, as numbers without a sign: 0 up to the rows.
                above = code.op(WORD, f"add {index}, 1")
                wrong = code.op("i1", f"icmp ugt {above}, {rows}")
                with code.when(wrong):
                    code.store(code.constant(float("nan")), answer)

    def _emit_votes(self, *, several: bool) -> None:
        """Emit `votes(logits, status)`: logits become votes, in place."""
        classes = self.plan.output.cells
        with self.module.function("votes", PTR, PTR) as (code, (logits, status)):
            first = code.load(logits)
            most, least = code.variable(first), code.variable(first)
            with code.loop(classes) as place:
                logit = code.load(logits, place)
                most.set(code.larger(most.get(), logit))
                least.set(code.select(code.compare("olt", logit, least.get()), logit, least.get()))
            # Infinite, or too far from each other: then the difference is not finite, and times 0
            # it is NaN. That is what a model calls an item without votes.
            difference = code.arithmetic("fsub", most.get(), least.get())
            zero = code.constant(0)
            finite = code.compare("oeq", code.arithmetic("fmul", difference, zero), zero)
            done, overflow = (Value(code, WORD, str(number)) for number in (DONE, OVERFLOW))
            code.store(code.select(finite, done, overflow), status)
            total = code.variable(zero)
            with code.loop(classes) as place:
                logit = code.load(logits, place)
                if several:
                    vote = sigmoid(code, logit)
                else:
                    vote = exponential(code, code.arithmetic("fsub", logit, most.get()))
                total.set(code.arithmetic("fadd", total.get(), vote))
                code.store(vote, logits, place)
            if not several:
                with code.loop(classes) as place:
                    share = code.arithmetic("fdiv", code.load(logits, place), total.get())
                    code.store(share, logits, place)


def needs_zeros(maps: Maps) -> bool:
    """Return whether kernels rely on cells or channels of maps that none of them writes."""
    border = maps.above or maps.below or maps.left or maps.right
    return bool(border) or maps.padded != maps.channels


def place_together(lives: dict[int, tuple[int, int, int]]) -> tuple[dict[int, int], int]:
    """Return where maps begin in one memory, and its size; maps alive together do not overlap.

    Args:
        lives: of each, the floats, and the first and last moment when it is needed.
    """
    # The largest first, each as near to the beginning as those allow that live with it.
    placed: list[tuple[int, int, int, int]] = []
    places: dict[int, int] = {}
    for value, (floats, first, last) in sorted(lives.items(), key=lambda each: -each[1][0]):
        size = -(-floats // LINE) * LINE
        others = sorted(
            (start, stop) for start, stop, begin, end in placed if begin <= last and first <= end
        )
        place = 0
        for start, stop in others:
            if place + size <= start:
                break
            place = max(place, stop)
        places[value] = place
        placed.append((place, place + size, first, last))
    return places, max((stop for _, stop, _, _ in placed), default=0)


def entry(name: str, *, inside: bool, identity: bytes, marked: bool = True) -> str:
    """Return the text of the function that a program calls, in LLVM's words.

    If `marked`, the name of this product stands before it, by which its object files are known.
    """
    mark = f' prefix [{len(MAGIC)} x i8] c"gridcnn\\00"' if marked else ""
    arguments = "ptr %grid, ptr %votes, ptr %work" + ("" if inside else ", ptr %weights")
    weights = "null" if inside else "%weights"
    lines = [
        f"define i32 @{name}({arguments}) nounwind {TRACKED}{mark} {{",
        "entry:",
        "%status = alloca i32",
        f"store i32 {FOREIGN}, ptr %status",
    ]
    if not inside:
        lines += _compare(MAGIC + identity)
    lines += [
        f"call void @body(ptr %grid, ptr %votes, ptr %work, ptr {weights}, ptr %status)",
        "br label %done",
        "done:",
        "%answer = load i32, ptr %status",
        "ret i32 %answer",
        "}",
        "",
    ]
    return "\n".join(lines)


def _compare(wanted: bytes) -> Sequence[str]:
    """Return lines that go to `done` unless the weights begin with these bytes."""
    lines = []
    for number in range(0, len(wanted), 4):
        word = int.from_bytes(wanted[number : number + 4], "little", signed=True)
        lines += [
            f"%p{number} = getelementptr i8, ptr %weights, i32 {number}",
            f"%w{number} = load i32, ptr %p{number}, align 4",
            f"%c{number} = icmp eq i32 %w{number}, {word}",
            f"br i1 %c{number}, label %same{number}, label %done",
            f"same{number}:",
        ]
    return lines
