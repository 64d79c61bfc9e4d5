"""A small loop-and-vector builder over LLVM IR: kernels written in Python become text.

Whole numbers are 64 bits wide, addresses count in float32 cells. A Python `int` is a number that is
known while the code is made; arithmetic among such numbers leaves no code behind. Loops and
variables live in memory slots, which LLVM's first pass turns into registers.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from gridcnn.engines.native.processor import Processor

_PERMUTE = {4: "llvm.x86.avx.vpermilvar.ps", 8: "llvm.x86.avx2.permps"}
_STACK = 16  # bytes that every stack is aligned to

FLOAT, INT, BYTE, WORD, PTR, BOOL = "float", "i64", "i8", "i32", "ptr", "i1"


@functools.cache
def vector(lanes: int, element: str = FLOAT) -> str:
    """Return the type of a vector; of one lane, that of its element."""
    return f"<{lanes} x {element}>" if lanes > 1 else element


@functools.cache
def lanes_of(kind: str) -> int:
    """Return how many lanes a type has."""
    return int(kind[1:].split(" ", 1)[0]) if kind.startswith("<") else 1


@functools.cache
def element_of(kind: str) -> str:
    """Return the type of a lane."""
    return kind[1:-1].split(" ")[2] if kind.startswith("<") else kind


class Value:
    """A number, address or vector that is known when the code runs: its type, and its name."""

    __slots__ = ("code", "kind", "name")

    def __init__(self, code: Code, kind: str, name: str) -> None:
        self.code = code
        self.kind = kind
        self.name = name

    def __add__(self, other: Number) -> Value:
        return self.code.whole("add", self, other)

    def __sub__(self, other: Number) -> Value:
        return self.code.whole("sub", self, other)

    def __mul__(self, other: Number) -> Value:
        return self.code.whole("mul", self, other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


Number = Value | int
"""A whole number, known now or when the code runs."""


class Variable:
    """A place for a value that changes, such as a sum within a loop."""

    __slots__ = ("code", "kind", "name")

    def __init__(self, code: Code, kind: str, name: str) -> None:
        self.code = code
        self.kind = kind
        self.name = name

    def get(self) -> Value:
        """Return what it holds now."""
        return self.code.op(self.kind, f"load {self.kind}, ptr {self.name}")

    def set(self, value: Value) -> None:
        """Set another value."""
        self.code.line(f"store {value}, ptr {self.name}")


class Module:
    """The text of one LLVM module: functions, tables of constants, and what they declare.

    Attributes:
        processor: what the code is made for.
        constants: emits the address of parameters and packed features if these are constants and
            not memory that a call names, see `Arguments.constant`; it gets the code, the table of
            arguments, the slot there, and the place and number of the floats.
        attributes: attributes of each function, besides the usual ones.
    """

    def __init__(self, processor: Processor) -> None:
        self.processor = processor
        self.constants: Callable[[Code, Value, int, int, int], Value] | None = None
        self.attributes = ""
        self._functions: list[str] = []
        self._tables: dict[str, str] = {}  # the name of each, by what it holds
        self._declared: dict[str, str] = {}

    def declare(self, name: str, result: str, *arguments: str) -> str:
        """Declare a function from outside, or an intrinsic, and return its name."""
        self._declared[name] = f"declare {result} @{name}({', '.join(arguments)})"
        return name

    def table(self, numbers: Sequence[int]) -> str:
        """Return the name of a constant table of whole numbers."""
        content = ", ".join(f"i64 {number}" for number in numbers)
        kind = f"[{len(numbers)} x i64]"
        text = f"internal constant {kind} [{content}]"
        return self._tables.setdefault(text, f"@table{len(self._tables)}")

    @contextmanager
    def function(
        self, name: str, *arguments: str, internal: bool = True
    ) -> Iterator[tuple[Code, list[Value]]]:
        """Make a function without a result; yield its code and its arguments."""
        code = Code(self)
        values = [Value(code, kind, f"%a{number}") for number, kind in enumerate(arguments)]
        yield code, values
        linkage = "internal " if internal else ""
        # Otherwise wide vectors that find no register would lie across two lines of the cache,
        # which costs the transforms of Winograd's tiles a tenth more time.
        size = 4 * self.processor.lanes
        aligned = f" alignstack({size})" if size > _STACK else ""
        flags = f"noinline nounwind{aligned}{self.attributes}"
        head = f"define {linkage}void @{name}({', '.join(map(str, values))}) {flags} {{"
        self._functions.append(
            "\n".join([head, "entry:", *code.slots, *code.lines, "ret void", "}"])
        )

    def __str__(self) -> str:
        tables = (f"{name} = {text}" for text, name in self._tables.items())
        return "\n".join([*self._declared.values(), *tables, *self._functions, ""])


class Code:
    """The code of one function, written line by line."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.slots: list[str] = []
        self.lines: list[str] = []
        self._count = 0

    def line(self, text: str) -> None:
        """Write an instruction that has no result."""
        self.lines.append(text)

    def _name(self, prefix: str = "%v") -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def op(self, kind: str, text: str) -> Value:
        """Write an instruction that has a result."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f"{name} = {text}")
        return Value(self, kind, name)

    # Whole numbers

    def value(self, number: Number) -> Value:
        """Return a whole number as a value."""
        return number if isinstance(number, Value) else Value(self, INT, str(number))

    def whole(self, name: str, left: Number, right: Number) -> Value:
        """Return a sum, difference or product of whole numbers."""
        # Adding 0 and multiplying by 1 leave no code behind.
        neutral = 1 if name == "mul" else 0
        if isinstance(left, Value) and isinstance(right, int) and right == neutral:
            return left
        left, right = self.value(left), self.value(right)
        return self.op(left.kind, f"{name} {left}, {right.name}")

    def least(self, left: Number, right: Number) -> Number:
        """Return the smaller of two whole numbers."""
        if isinstance(left, int) and isinstance(right, int):
            return min(left, right)
        name = self.module.declare("llvm.smin.i64", INT, INT, INT)
        return self.call(INT, name, self.value(left), self.value(right))

    def most(self, left: Number, right: Number) -> Number:
        """Return the larger of two whole numbers."""
        if isinstance(left, int) and isinstance(right, int):
            return max(left, right)
        name = self.module.declare("llvm.smax.i64", INT, INT, INT)
        return self.call(INT, name, self.value(left), self.value(right))

    def divide(self, left: Number, right: int) -> Number:
        """Return a quotient of whole numbers that are not negative, rounded down."""
        if isinstance(left, int):
            return left // right
        return left if right == 1 else self.op(left.kind, f"udiv {left}, {right}")

    def rest(self, left: Number, right: int) -> Number:
        """Return the rest of that division."""
        return (
            left % right if isinstance(left, int) else self.op(left.kind, f"urem {left}, {right}")
        )

    def test(self, relation: str, left: Number, right: Number) -> Value:
        """Return a comparison of whole numbers: `eq`, `slt`, `sge`, ..."""
        left, right = self.value(left), self.value(right)
        return self.op(BOOL, f"icmp {relation} {left}, {right.name}")

    def truth(self, condition: Value) -> Number:
        """Return 1 if a condition holds, else 0."""
        return self.cast("zext", condition, INT)

    # Control

    def call(self, kind: str, name: str, *arguments: Value) -> Value:
        """Call a function that has a result."""
        return self.op(kind, f"call {kind} @{name}({', '.join(map(str, arguments))})")

    def run(self, name: str, *arguments: Number) -> None:
        """Call a function of this module, which has no result."""
        self.line(
            f"call void @{name}({', '.join(str(self.value(argument)) for argument in arguments)})"
        )

    @contextmanager
    def loop(self, stop: Number, *, start: Number = 0, step: Number = 1) -> Iterator[Value]:
        """Repeat for whole numbers from `start` up to, and without, `stop`."""
        known = [each for each in (start, stop, step) if isinstance(each, int)]
        if len(known) == 3 and len(range(*known)) == 1:
            yield self.value(start)
            return
        slot = self.variable(self.value(start))
        body, check, end = self._name("body"), self._name("check"), self._name("end")
        self.lines += [f"br label %{check}", f"{check}:"]
        here = slot.get()
        go_on = self.test("slt", here, stop)
        self.lines += [f"br i1 {go_on.name}, label %{body}, label %{end}", f"{body}:"]
        yield here
        slot.set(here + step)
        self.lines += [f"br label %{check}", f"{end}:"]

    def repeat(self, count: int, *, together: int = 4) -> Iterator[Number]:
        """Yield whole numbers below `count`; the same code has to be written for each.

        A round of the loop does a few of them: of a short body, counting is most of the work.
        """
        whole = count - count % together
        if whole:
            with self.loop(whole, step=together) as first:
                for each in range(together):
                    yield first + each
        yield from range(whole, count)

    @contextmanager
    def when(self, *conditions: Value) -> Iterator[None]:
        """Do something only if all conditions hold."""
        end = self._name("end")
        for condition in conditions:
            body = self._name("then")
            self.lines += [f"br i1 {condition.name}, label %{body}, label %{end}", f"{body}:"]
        yield
        self.lines += [f"br label %{end}", f"{end}:"]

    @contextmanager
    def forever(self) -> Iterator[str]:
        """Repeat until `leave` is called with what is yielded."""
        body, end = self._name("body"), self._name("end")
        self.lines += [f"br label %{body}", f"{body}:"]
        yield end
        self.lines += [f"br label %{body}", f"{end}:"]

    def leave(self, end: str, condition: Value) -> None:
        """Leave an endless loop where a condition holds."""
        go_on = self._name("go")
        self.lines += [f"br i1 {condition.name}, label %{end}, label %{go_on}", f"{go_on}:"]

    def variable(self, start: Value) -> Variable:
        """Return a variable that holds `start`."""
        # All slots stand at the start of the function: one within a loop would take new memory in
        # each round, and LLVM turns only those at the start into registers.
        name = self._name("%s")
        self.slots.append(f"{name} = alloca {start.kind}")
        variable = Variable(self, start.kind, name)
        variable.set(start)
        return variable

    # Memory

    def at(self, base: Value, place: Number, element: str = FLOAT) -> Value:
        """Return the address `place` elements further on."""
        if isinstance(place, int) and place == 0:
            return base
        return self.op(PTR, f"getelementptr {element}, {base}, {self.value(place)}")

    def load(self, address: Value, place: Number = 0, *, kind: str = FLOAT) -> Value:
        """Return what stands `place` elements after an address."""
        address = self.at(address, place, element_of(kind))
        return self.op(kind, f"load {kind}, {address}, align {_align(kind)}")

    def store(self, value: Value, address: Value, place: Number = 0) -> None:
        """Write a number or a vector `place` elements after an address."""
        address = self.at(address, place, element_of(value.kind))
        self.line(f"store {value}, {address}, align {_align(value.kind)}")

    def fetch_add(self, address: Value, number: int) -> Value:
        """Add to a counter that several threads share, and return what it was."""
        return self.op(INT, f"atomicrmw add {address}, i64 {number} acq_rel, align 8")

    def load_shared(self, address: Value) -> Value:
        """Return a counter that several threads share; what they wrote before can be seen."""
        return self.op(INT, f"load atomic i64, {address} acquire, align 8")

    def store_shared(self, address: Value, number: int) -> None:
        """Write a number that other threads read; they then see all that was written before."""
        self.line(f"store atomic i64 {number}, {address} release, align 8")

    def exchange(self, address: Value, expected: int, number: int) -> Value:
        """Write a number that several threads share if it is as expected; return whether it was."""
        pair = "{ i64, i1 }"
        result = self.op(
            pair, f"cmpxchg {address}, i64 {expected}, i64 {number} acq_rel acquire, align 8"
        )
        return self.op(BOOL, f"extractvalue {result}, 1")

    def pause(self) -> None:
        """Rest for a moment, while waiting for another thread."""
        architecture = self.module.processor.triple.partition("-")[0]
        if architecture in ("x86_64", "amd64"):
            self.module.declare("llvm.x86.sse2.pause", "void")
            self.line("call void @llvm.x86.sse2.pause()")
        elif architecture in ("aarch64", "arm64"):
            self.module.declare("llvm.aarch64.hint", "void", "i32")
            self.line("call void @llvm.aarch64.hint(i32 1)")

    def load_part(self, address: Value, place: Number, lanes: int, count: int) -> Value:
        """Return a vector, reading only the first `count` lanes; the others are 0."""
        if count >= lanes:
            return self.load(address, place, kind=vector(lanes))
        # Lanes that are not read may lie outside of all memory: a masked load does not touch them.
        kind, mask = vector(lanes), _mask(lanes, count)
        name = self.module.declare(
            f"llvm.masked.load.v{lanes}f32.p0", kind, PTR, WORD, vector(lanes, BOOL), kind
        )
        address = self.at(address, place)
        return self.op(
            kind, f"call {kind} @{name}({address}, i32 4, {mask}, {kind} zeroinitializer)"
        )

    def store_part(self, value: Value, address: Value, place: Number, count: int) -> None:
        """Write only the first `count` lanes of a vector."""
        lanes = lanes_of(value.kind)
        if count >= lanes:
            self.store(value, address, place)
            return
        name = self.module.declare(
            f"llvm.masked.store.v{lanes}f32.p0", "void", value.kind, PTR, WORD, vector(lanes, BOOL)
        )
        address = self.at(address, place)
        self.line(f"call void @{name}({value}, {address}, i32 4, {_mask(lanes, count)})")

    def zero(self, address: Value, floats: int) -> None:
        """Fill with zeros."""
        nothing = self.constant(0, self.module.processor.lanes)
        for place, count in self.pieces(floats, self.module.processor.lanes):
            self.store_part(nothing, address, place, count)

    def copy(self, target: Value, source: Value, floats: int) -> None:
        """Copy memory that does not overlap."""
        lanes = self.module.processor.lanes
        for place, count in self.pieces(floats, self.module.processor.lanes):
            self.store_part(self.load_part(source, place, lanes, count), target, place, count)

    def pieces(self, floats: int, lanes: int) -> Iterator[tuple[Number, int]]:
        """Go over whole vectors, and then over the rest; LLVM's own would call a library."""
        whole = floats - floats % lanes
        if whole:
            with self.loop(whole, step=lanes) as place:
                yield place, lanes
        if floats > whole:
            yield whole, floats - whole

    # Floats and vectors

    def constant(self, number: float, lanes: int = 1) -> Value:
        """Return a float32 number, in every lane."""
        return Value(self, vector(lanes), _literal(struct.pack("<f", number), lanes))

    def constants(self, numbers: Sequence[int], element: str) -> Value:
        """Return a vector of whole numbers that are known now."""
        kind = vector(len(numbers), element)
        if len(numbers) == 1:
            return Value(self, kind, str(numbers[0]))
        return Value(self, kind, f"<{', '.join(f'{element} {number}' for number in numbers)}>")

    def broadcast(self, value: Value, lanes: int) -> Value:
        """Return a number in every lane of a vector."""
        if lanes == 1:
            return value
        kind = vector(lanes, value.kind)
        first = self.op(kind, f"insertelement {kind} poison, {value}, i32 0")
        return self.op(
            kind,
            f"shufflevector {first}, {kind} poison, {vector(lanes, WORD)} zeroinitializer",
        )

    def load_broadcast(self, address: Value, place: Number, lanes: int) -> Value:
        """Return the number at an address in every lane of a vector."""
        return self.broadcast(self.load(address, place), lanes)

    def arithmetic(self, name: str, left: Value, right: Value) -> Value:
        """Return `fadd`, `fsub`, `fmul` or `fdiv` of two numbers or vectors."""
        return self.op(left.kind, f"{name} {left}, {right.name}")

    def multiply_add(self, left: Value, right: Value, total: Value) -> Value:
        """Return `left * right + total`, in one instruction where the processor has it."""
        if not self.module.processor.fma:
            return self.arithmetic("fadd", self.arithmetic("fmul", left, right), total)
        kind = left.kind
        lanes = lanes_of(kind)
        name = "llvm.fma.f32" if lanes == 1 else f"llvm.fma.v{lanes}f32"
        return self.call(
            kind, self.module.declare(name, kind, kind, kind, kind), left, right, total
        )

    def square_root(self, value: Value) -> Value:
        """Return the square roots of vectors, rounded as IEEE 754 asks for."""
        lanes = lanes_of(value.kind)
        name = "llvm.sqrt.f32" if lanes == 1 else f"llvm.sqrt.v{lanes}f32"
        self.module.declare(name, value.kind, value.kind)
        return self.call(value.kind, name, value)

    def compare(self, relation: str, left: Value, right: Value) -> Value:
        """Return a comparison of floats or of bytes, lane by lane: `ogt`, `une`, `eq`, ..."""
        name = "fcmp" if element_of(left.kind) == FLOAT else "icmp"
        kind = vector(lanes_of(left.kind), BOOL)
        return self.op(kind, f"{name} {relation} {left}, {right.name}")

    def select(self, condition: Value, left: Value, right: Value) -> Value:
        """Return `left` where a condition holds, else `right`, lane by lane."""
        return self.op(left.kind, f"select {condition}, {left}, {right}")

    def rectify(self, value: Value) -> Value:
        """Return the number, or 0 for a negative one; NaN stays NaN."""
        zero = self.constant(0, lanes_of(value.kind))
        return self.select(self.compare("ogt", zero, value), zero, value)

    def larger(self, left: Value, right: Value) -> Value:
        """Return the larger number; NaN if either is NaN."""
        # "ogt" is false if either is NaN, so that a NaN on the right is taken; one on the left is
        # looked for afterwards.
        best = self.select(self.compare("ogt", left, right), left, right)
        return self.select(self.compare("uno", left, left), left, best)

    def compress(self, value: Value, chosen: Value) -> Value:
        """Return the chosen lanes of a vector, moved to its front; those behind hold anything."""
        lanes = lanes_of(value.kind)
        # AVX-512 has an instruction for this. Without it LLVM moves lane after lane through memory.
        if self.module.processor.permutes and lanes in _PERMUTE:
            return self._permute(value, chosen)
        short = {FLOAT: "f32", WORD: "i32"}[element_of(value.kind)]
        name = self.module.declare(
            f"llvm.experimental.vector.compress.v{lanes}{short}",
            value.kind,
            value.kind,
            chosen.kind,
            value.kind,
        )
        poison = Value(self, value.kind, "poison")
        return self.call(value.kind, name, value, chosen, poison)

    def _permute(self, value: Value, chosen: Value) -> Value:
        # One instruction takes lanes in an order that a table has for each choice: the choice's
        # truths are the bits of its number, the lanes that come first the low bytes of its entry.
        lanes, kind = lanes_of(value.kind), vector(lanes_of(value.kind))
        table = Value(self, PTR, self.module.table(_orders(lanes)))
        entry = self.at(table, self.cast("zext", self._bits(chosen), INT), INT)
        order = self.cast("zext", self.load(entry, kind=vector(lanes, BYTE)), WORD)
        name = self.module.declare(_PERMUTE[lanes], kind, kind, order.kind)
        moved = self.call(kind, name, self.cast("bitcast", value, FLOAT), order)
        return self.cast("bitcast", moved, element_of(value.kind))

    def count(self, chosen: Value) -> Value:
        """Return how many lanes are chosen."""
        bits = self._bits(chosen)
        name = self.module.declare(f"llvm.ctpop.{bits.kind}", bits.kind, bits.kind)
        return self.cast("zext", self.call(bits.kind, name, bits), INT)

    def _bits(self, chosen: Value) -> Value:
        """Return a vector of truths as a number with as many bits."""
        kind = f"i{lanes_of(chosen.kind)}"
        return self.op(kind, f"bitcast {chosen} to {kind}")

    def total(self, value: Value) -> Value:
        """Return the sum of all lanes, halves added to halves."""
        # Halves to halves: always in this order, and few additions wait for each other.
        while (lanes := lanes_of(value.kind)) > 2:
            value = self.arithmetic("fadd", *(self._half(value, at) for at in (0, lanes // 2)))
        if lanes == 2:
            ends = [self.op(FLOAT, f"extractelement {value}, i32 {lane}") for lane in (0, 1)]
            value = self.arithmetic("fadd", *ends)
        return value

    def _half(self, value: Value, start: int) -> Value:
        half = lanes_of(value.kind) // 2
        chosen = ", ".join(f"i32 {lane}" for lane in range(start, start + half))
        return self.op(
            vector(half), f"shufflevector {value}, {value.kind} poison, <{half} x i32> <{chosen}>"
        )

    def transpose(self, rows: Sequence[Value]) -> list[Value]:
        """Return as many vectors as each has lanes: the first lanes of all, the second lanes, ...

        Rows are interleaved with those half of them further on, as often as halves can be halved.
        """
        rows = list(rows)
        count = len(rows)
        if count == 1:
            return rows
        kind, half = rows[0].kind, count // 2
        # For 4 rows of 4, "abcd" being the first row and "qrst" the third: aqbr, csdt. After two
        # such rounds, each vector has one lane of every row.
        orders = [
            ", ".join(f"i32 {lane + side * count}" for lane in lanes for side in (0, 1))
            for lanes in (range(half), range(half, count))
        ]
        for _ in range(count.bit_length() - 1):
            rows = [
                self.op(kind, f"shufflevector {one}, {two}, <{count} x i32> <{order}>")
                for one, two in zip(rows[:half], rows[half:], strict=True)
                for order in orders
            ]
        return rows

    def cast(self, how: str, value: Value, element: str) -> Value:
        """Return a conversion, `trunc`, `zext`, `sitofp`, `bitcast`, ..., lane by lane."""
        kind = vector(lanes_of(value.kind), element)
        return self.op(kind, f"{how} {value} to {kind}")


@functools.cache
def _orders(lanes: int) -> tuple[int, ...]:
    """Return for each choice of lanes, whose number has these bits, the lanes in its bytes."""
    chosen = ([lane for lane in range(lanes) if bits >> lane & 1] for bits in range(1 << lanes))
    return tuple(sum(lane << (8 * place) for place, lane in enumerate(each)) for each in chosen)


@functools.cache
def _literal(single: bytes, lanes: int) -> str:
    """Return a float32 number as LLVM wants it: the bits of the float64 of the same value.

    It is given by its bits, since 0 and -0 are equal.
    """
    (bits,) = struct.unpack("<Q", struct.pack("<d", *struct.unpack("<f", single)))
    if lanes == 1:
        return f"0x{bits:016X}"
    return f"<{', '.join([f'float 0x{bits:016X}'] * lanes)}>"


@functools.cache
def _align(kind: str) -> int:
    # That of one element: vectors may begin at any float, as patches and rows of weights do.
    return {BYTE: 1, INT: 8, PTR: 8}.get(element_of(kind), 4)


@functools.cache
def _mask(lanes: int, count: int) -> str:
    bits = ", ".join(f"i1 {int(lane < count)}" for lane in range(lanes))
    return f"<{lanes} x i1> <{bits}>"
