"""Values of a graph of ONNX, with which arithmetic is written as in NumPy.

`a * 2 + b` adds two nodes to the graph, and returns the value that the second makes. A number in an
operation with a value becomes a constant of its type. As in NumPy, sizes of 1 are stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from gridcnn.export.onnx.graph import Graph

Operand = Any
"""A `Value`, or what NumPy takes as an array: a constant."""


@dataclass(frozen=True, eq=False)
class Value:
    """What a node returns, an input, or a constant.

    Attributes:
        graph: the graph that it is part of.
        name: its name there.
        dtype: the type of its numbers.
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    # Arithmetic -----------------------------------------------------------------------------------

    def apply(
        self, operator: str, *others: Operand, dtype: DTypeLike | None = None, **more: Any
    ) -> Value:
        """Return the output of an operator for this value and others; of this type, if not told."""
        names = [self.like(each).name for each in others]
        name = self.graph.node(operator, self.name, *names, **more)
        return Value(self.graph, name, self.dtype if dtype is None else np.dtype(dtype))

    def like(self, other: Operand) -> Value:
        """Return an operand as a value; a constant is of this value's type."""
        if isinstance(other, Value):
            return other
        return constant(self.graph, other, self.dtype)

    def __add__(self, other: Operand) -> Value:
        return self.apply("Add", other)

    def __radd__(self, other: Operand) -> Value:
        return self.like(other) + self

    def __sub__(self, other: Operand) -> Value:
        return self.apply("Sub", other)

    def __rsub__(self, other: Operand) -> Value:
        return self.like(other) - self

    def __mul__(self, other: Operand) -> Value:
        return self.apply("Mul", other)

    def __rmul__(self, other: Operand) -> Value:
        return self.like(other) * self

    def __truediv__(self, other: Operand) -> Value:
        return self.apply("Div", other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self.like(other) / self

    def __pow__(self, other: Operand) -> Value:
        return self.apply("Pow", other)

    def __matmul__(self, other: Operand) -> Value:
        return self.apply("MatMul", other)

    def __neg__(self) -> Value:
        return self.apply("Neg")

    def __abs__(self) -> Value:
        return self.apply("Abs")

    def __lt__(self, other: Operand) -> Value:
        return self.apply("Less", other, dtype=np.bool_)

    def __gt__(self, other: Operand) -> Value:
        return self.apply("Greater", other, dtype=np.bool_)

    def __le__(self, other: Operand) -> Value:
        above: Value = self > other
        return ~above

    def __ge__(self, other: Operand) -> Value:
        below: Value = self < other
        return ~below

    def equals(self, other: Operand) -> Value:
        """Return where both are the same."""
        return self.apply("Equal", other, dtype=np.bool_)

    def __and__(self, other: Value) -> Value:
        return self.apply("And", other)

    def __or__(self, other: Value) -> Value:
        return self.apply("Or", other)

    def __invert__(self) -> Value:
        return self.apply("Not")

    def maximum(self, other: Operand) -> Value:
        """Return the larger of both."""
        return self.apply("Max", other)

    def minimum(self, other: Operand) -> Value:
        """Return the smaller of both."""
        return self.apply("Min", other)

    def clip(self, low: Operand, high: Operand) -> Value:
        """Return numbers from `low` to `high`."""
        return self.maximum(low).minimum(high)

    def floor(self) -> Value:
        """Return the next whole number below."""
        return self.apply("Floor")

    def ceil(self) -> Value:
        """Return the next whole number above."""
        return self.apply("Ceil")

    def round(self) -> Value:
        """Return the nearest whole number, of two the even one."""
        return self.apply("Round")

    def sqrt(self) -> Value:
        """Return the square root."""
        return self.apply("Sqrt")

    def log(self) -> Value:
        """Return the natural logarithm."""
        return self.apply("Log")

    def cast(self, dtype: DTypeLike) -> Value:
        """Return the same numbers as another type; of numbers to `bool`, whether they are not 0."""
        if self.dtype == np.dtype(dtype):
            return self
        return Value(self.graph, self.graph.cast(self.name, dtype), np.dtype(dtype))

    # Along axes -----------------------------------------------------------------------------------

    def reduce(self, operator: str, axes: Sequence[int], *, keep: bool = True) -> Value:
        """Return what `operator`, as `ReduceSum`, makes of all numbers along axes."""
        return Value(
            self.graph, self.graph.reduce(operator, self.name, axes, keep=keep), self.dtype
        )

    def sum(self, *axes: int, keep: bool = True) -> Value:
        """Return sums along axes."""
        return self.reduce("ReduceSum", axes, keep=keep)

    def mean(self, *axes: int, keep: bool = True) -> Value:
        """Return means along axes."""
        return self.reduce("ReduceMean", axes, keep=keep)

    def max(self, *axes: int, keep: bool = True) -> Value:
        """Return the largest numbers along axes."""
        return self.reduce("ReduceMax", axes, keep=keep)

    def min(self, *axes: int, keep: bool = True) -> Value:
        """Return the smallest numbers along axes."""
        return self.reduce("ReduceMin", axes, keep=keep)

    def count(self, *axes: int, keep: bool = True, dtype: DTypeLike = np.float32) -> Value:
        """Return how many are true along axes."""
        return self.cast(dtype).sum(*axes, keep=keep)

    # Form -----------------------------------------------------------------------------------------

    def size(self, axis: int) -> Value:
        """Return the size of an axis, int64 `(1,)`."""
        shape = Value(self.graph, self.graph.node("Shape", self.name), np.dtype(np.int64))
        return shape.take([axis])

    def take(self, indices: Operand, axis: int = 0) -> Value:
        """Return the entries at indices along an axis, in their place."""
        chosen = indices if isinstance(indices, Value) else constant(self.graph, indices, np.int64)
        return self.apply("Gather", chosen, axis=axis)

    def part(self, start: Operand, stop: Operand, axis: int, step: int = 1) -> Value:
        """Return the entries from `start` to before `stop` along an axis; both are `(1,)`."""
        ends = [
            each if isinstance(each, Value) else constant(self.graph, [each], np.int64)
            for each in (start, stop, axis, step)
        ]
        return self.apply("Slice", *ends)

    def flip(self, axis: int) -> Value:
        """Return all entries along an axis, the last first."""
        return self.part(-1, -(2**31) + 1, axis, -1)

    def reshape(self, *sizes: Operand) -> Value:
        """Return another shape; 0 keeps a size, -1 is what is left; values are int64 `(1,)`."""
        if all(isinstance(each, int) for each in sizes):
            return self.apply("Reshape", constant(self.graph, sizes, np.int64))
        parts = [
            each if isinstance(each, Value) else constant(self.graph, [each], np.int64)
            for each in sizes
        ]
        return self.apply("Reshape", concat(parts, 0))

    def transpose(self, *order: int) -> Value:
        """Return the axes in another order."""
        return self.apply("Transpose", perm=list(order))

    def unsqueeze(self, *axes: int) -> Value:
        """Return more axes, each of the size 1."""
        return self.apply("Unsqueeze", constant(self.graph, axes, np.int64))

    def squeeze(self, *axes: int) -> Value:
        """Return fewer axes: those of the size 1 are left out."""
        return self.apply("Squeeze", constant(self.graph, axes, np.int64))


def constant(graph: Graph, values: ArrayLike, dtype: DTypeLike, name: str = "") -> Value:
    """Return an array that is part of the file."""
    return Value(graph, graph.constant(values, dtype, name), np.dtype(dtype))


def where(condition: Value, yes: Operand, no: Operand) -> Value:
    """Return `yes` where the condition holds, else `no`; one of both is a value."""
    if not isinstance(yes, Value):
        assert isinstance(no, Value)
        yes = no.like(yes)
    return condition.apply("Where", yes, yes.like(no), dtype=yes.dtype)


def concat(values: Sequence[Value], axis: int) -> Value:
    """Return values one after the other along an axis."""
    first, *others = values
    return first.apply("Concat", *others, axis=axis)


def count_up(stop: Value) -> Value:
    """Return 0, 1, 2, ... to before `stop`, which is int64 `(1,)`."""
    zero, one = (constant(stop.graph, each, np.int64) for each in (0, 1))
    return zero.apply("Range", stop.squeeze(0), one)


def choose(
    condition: Value,
    yes: Callable[[], Sequence[Value]],
    no: Callable[[], Sequence[Value]],
    axes: Sequence[int],
) -> list[Value]:
    """Return what one of two functions makes; the nodes of the other are not computed.

    Args:
        condition: bool, a single one.
        yes: adds the nodes for the case that it holds.
        no: the same, for the other case.
        axes: how many axes each of the values has.
    """
    graph = condition.graph
    branches, dtypes = [], []
    for branch in (yes, no):
        with graph.inside() as nodes:
            outputs = branch()
        dtypes = [value.dtype for value in outputs]
        ends = [(value.name, value.dtype, n) for value, n in zip(outputs, axes, strict=True)]
        branches.append(graph.inner(nodes, [], ends))
    names = graph.nodes_of(
        "If",
        [condition.reshape().name],
        len(axes),
        then_branch=branches[0],
        else_branch=branches[1],
    )
    return [Value(graph, name, dtype) for name, dtype in zip(names, dtypes, strict=True)]


def repeat(
    count: Value,
    state: Sequence[tuple[Value, int]],
    body: Callable[..., tuple[Value, Sequence[Value]]],
    *,
    condition: Value | None = None,
) -> list[Value]:
    """Return values after a function was applied to them some times.

    Args:
        count: how often at most, int64, a single one.
        state: the values before, and how many axes each has.
        body: takes how often it was applied before, and the values; returns whether to go on, and
            the values.
        condition: whether to begin, bool; None: yes.
    """
    graph = count.graph
    number = Value(graph, graph.fresh("number"), np.dtype(np.int64))
    goes_on = graph.fresh("goes_on")
    states = [Value(graph, graph.fresh("state"), value.dtype) for value, _ in state]
    with graph.inside() as nodes:
        again, outputs = body(number, *states)
        again = again.reshape()
    inputs: list[tuple[str, DTypeLike, int]] = [(number.name, np.int64, 0), (goes_on, np.bool_, 0)]
    axes = [each for _, each in state]
    inputs += [(each.name, each.dtype, n) for each, n in zip(states, axes, strict=True)]
    ends: list[tuple[str, DTypeLike, int]] = [(again.name, np.bool_, 0)]
    ends += [(each.name, each.dtype, n) for each, n in zip(outputs, axes, strict=True)]
    start = constant(graph, True, np.bool_) if condition is None else condition.reshape()
    names = graph.nodes_of(
        "Loop",
        [count.reshape().name, start.name, *(value.name for value, _ in state)],
        len(state),
        body=graph.inner(nodes, inputs, ends),
    )
    return [Value(graph, name, value.dtype) for name, (value, _) in zip(names, state, strict=True)]
