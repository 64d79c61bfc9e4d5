"""Moves of an optimizer: each is one pass over the flat vectors, whatever it has to do there."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gridcnn.engines.native.emitter import FLOAT, Code, Module, Value, lanes_of
from gridcnn.engines.native.phases import STEP_BACK, Arguments, Phases
from gridcnn.engines.native.processor import Processor

PART = 4096
"""Floats of a task: 16 KiB of each vector."""


class MoveArgument(enum.IntEnum):
    """The arguments of a move, in the order of its table of arguments."""

    STEP_BACK = STEP_BACK
    SIZE = enum.auto()
    TASKS = enum.auto()
    NUMBERS = enum.auto()  # the address of float32 numbers
    VECTORS = enum.auto()  # the address of the first vector; the others follow


class Terms:
    """The numbers of a move, and arithmetic on vectors."""

    def __init__(self, code: Code, numbers: Value, lanes: int) -> None:
        self.code = code
        self.lanes = lanes
        self._numbers = numbers

    def number(self, place: int) -> Value:
        """Return a number that holds for the whole move."""
        return self.code.load_broadcast(self._numbers, place, self.lanes)

    def plus(self, left: Value, right: Value) -> Value:
        """Return a sum."""
        return self.code.arithmetic("fadd", left, right)

    def minus(self, left: Value, right: Value) -> Value:
        """Return a difference."""
        return self.code.arithmetic("fsub", left, right)

    def times(self, left: Value, right: Value) -> Value:
        """Return a product."""
        return self.code.arithmetic("fmul", left, right)

    def over(self, left: Value, right: Value) -> Value:
        """Return a quotient."""
        return self.code.arithmetic("fdiv", left, right)

    def root(self, value: Value) -> Value:
        """Return the square root."""
        kind = value.kind
        lanes = lanes_of(kind)
        name = "llvm.sqrt.f32" if lanes == 1 else f"llvm.sqrt.v{lanes}f32"
        return self.code.call(kind, self.code.module.declare(name, kind, kind), value)


Formula = Callable[[Terms, list[Value]], list[Value]]
"""Takes a few numbers of each vector to what is to stand there afterwards; the gradient stays."""


def adam(terms: Terms, values: list[Value]) -> list[Value]:
    """Emit Adam on parameters, gradient, mean, square, and which parameters decay.

    The numbers: 1 - beta1, 1 - beta2, what takes the start out of the mean square, the length of
    the step, epsilon, the decay that is added to the gradient, and that of the parameters.
    """
    parameters, gradient, mean, square, decays = values
    decaying = terms.times(parameters, decays)
    parameters = terms.minus(parameters, terms.times(terms.number(6), decaying))
    gradient = terms.plus(gradient, terms.times(terms.number(5), decaying))
    mean = terms.plus(mean, terms.times(terms.number(0), terms.minus(gradient, mean)))
    growth = terms.minus(terms.times(gradient, gradient), square)
    square = terms.plus(square, terms.times(terms.number(1), growth))
    spread = terms.plus(terms.root(terms.times(square, terms.number(2))), terms.number(4))
    step = terms.over(terms.times(terms.number(3), mean), spread)
    return [terms.minus(parameters, step), values[1], mean, square, decays]


def sgd(terms: Terms, values: list[Value]) -> list[Value]:
    """Emit gradient descent on parameters, gradient, velocity, and which parameters decay.

    The numbers: the momentum, the rate, the decay that is added to the gradient, and how much the
    gradient and the velocity count in the step.
    """
    parameters, gradient, velocity, decays = values
    gradient = terms.plus(gradient, terms.times(terms.number(2), terms.times(parameters, decays)))
    velocity = terms.plus(terms.times(terms.number(0), velocity), gradient)
    ahead = terms.times(terms.number(3), gradient)
    ahead = terms.plus(ahead, terms.times(terms.number(4), velocity))
    return [
        terms.minus(parameters, terms.times(terms.number(1), ahead)),
        values[1],
        velocity,
        decays,
    ]


@dataclass(frozen=True)
class Move:
    """A formula, and which of its vectors it changes."""

    formula: Formula
    changed: tuple[bool, ...]


MOVES: Mapping[str, Move] = {
    "adam": Move(adam, (True, False, True, True, False)),
    "sgd": Move(sgd, (True, False, True, False)),
}


def program(move: Move, processor: Processor) -> str:
    """Return the text of a program that makes a move."""
    module = Module(processor)

    def task(arguments: Arguments, workspace: Value, number: Value) -> None:  # noqa: ARG001
        code = arguments.code
        numbers = arguments.address(MoveArgument.NUMBERS)
        vectors = [
            arguments.address(MoveArgument.VECTORS + place) for place in range(len(move.changed))
        ]
        start = number * PART
        stop = code.value(code.least(start + PART, arguments.number(MoveArgument.SIZE)))
        lanes = processor.lanes
        whole = code.value(code.divide(stop - start, lanes)) * lanes + start
        _range(code, move, numbers, vectors, (start, whole), lanes)
        _range(code, move, numbers, vectors, (whole, stop), 1)

    phases = Phases(module)
    phases.add("move", lambda arguments: arguments.number(MoveArgument.TASKS), task)
    phases.finish()
    return str(module)


def _range(
    code: Code,
    move: Move,
    numbers: Value,
    vectors: list[Value],
    ends: tuple[Value, Value],
    lanes: int,
) -> None:
    terms = Terms(code, numbers, lanes)
    kind = FLOAT if lanes == 1 else f"<{lanes} x {FLOAT}>"
    with code.loop(ends[1], start=ends[0], step=lanes) as place:
        before = [code.load(vector, place, kind=kind) for vector in vectors]
        after = move.formula(terms, before)
        for vector, value, changed in zip(vectors, after, move.changed, strict=True):
            if changed:
                code.store(value, vector, place)
