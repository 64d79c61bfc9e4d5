"""The reader of a file: what its values are among our steps, and what its operators ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gridcnn.errors import Problem, UserError, listed
from gridcnn.export.importing.steps import Sizes, Step
from gridcnn.export.importing.trace import Node, Trace
from gridcnn.grid import Array

_SHOWN = 3  # names of nodes in one problem
_CELL_BY_CELL = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Sub"})


class Unsupported(Exception):  # noqa: N818 - it never reaches users
    """A node has something that no stage does; the text says what."""


@dataclass(frozen=True)
class Value:
    """A value of the file.

    Attributes:
        step: the number of our value; 0 is the grid.
        form: how its numbers lie: `grid` (items, channels, rows, columns); `last` with the channels
            last; `flat` (items, cells) in the order of `grid`; `flat last` in that of `last`;
            `row` (items, channels, columns); `row last` (items, columns, channels).
        pads: cells of 0 that a node of its own has put around it:
            `((above, below), (left, right))`.
        groups: into how many groups its channels are divided, if it is reshaped for that.
    """

    step: int
    form: str
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    groups: int = 0


class Reader:
    """Turns the nodes of a file into steps.

    Attributes:
        steps: what has been read so far.
        sizes: of the grid that enters.
        channels_last: whether the input has its channels last.
        votes: `softmax`, `logsoftmax`, `sigmoid`, or empty if logits come out.
    """

    def __init__(self, given: Trace, operators: Mapping[str, Read]) -> None:
        self.trace = given
        self.operators = operators
        self.steps: list[Step] = []
        self.votes = ""
        self.values: dict[str, Value] = {}
        self.readers = Counter(name for node in given.nodes for name in node.inputs)
        self.makers = {name: node for node in given.nodes for name in node.outputs}
        self.channels_last = self._is_channels_last()
        self.done: set[str] = set()
        shape = given.shapes[given.input]
        if len(shape) == 3:
            channels, columns = shape[:0:-1] if self.channels_last else shape[1:]
            self.sizes: Sizes = (channels, 1, columns)
            form = "row last" if self.channels_last else "row"
        elif self.channels_last:
            self.sizes, form = (shape[3], shape[1], shape[2]), "last"
        else:
            self.sizes, form = (shape[1], shape[2], shape[3]), "grid"
        self.values[given.input] = Value(0, form)

    def _is_channels_last(self) -> bool:
        """Return whether all that reads the input puts its last axis first.

        Numbers may be added or multiplied before. Of a single channel, programs reshape instead.
        """
        same, moves = {self.trace.input}, []
        for node in self.trace.nodes:
            if not same & set(node.inputs):
                continue
            if node.operator in _CELL_BY_CELL:
                same |= set(node.outputs)
            else:
                moves.append(node)
        return bool(moves) and all(self._puts_last_first(node) for node in moves)

    def _puts_last_first(self, node: Node) -> bool:
        if node.operator == "Transpose":
            return tuple(node.settings.get("perm", ())) in ((0, 3, 1, 2), (0, 2, 1))
        if node.operator not in ("Reshape", "Unsqueeze"):
            return False
        before, after = (self.trace.shapes[name] for name in (node.inputs[0], node.outputs[0]))
        if len(before) == 3:  # a row, which becomes a grid of one row
            return after == (1, 1, *before[1:])
        return before[3] == 1 and after == (1, 1, *before[1:3])

    def read(self) -> int:
        """Read all nodes, and return the number of the output value.

        Raises:
            UserError: nodes that cannot be taken; one line for each operator, and what of it.
        """
        refused: dict[str, list[str]] = {}
        for node in self.trace.nodes:
            if set(node.outputs) & self.done:
                continue
            try:
                self._read(node)
            except Unsupported as reason:
                text = f"{node.operator}: {reason}" if str(reason) else node.operator
                refused.setdefault(text, []).append(node.name)
                for output in node.outputs:
                    self.values[output] = Value(-1, "")
        if refused:
            raise UserError(
                *(
                    Problem(f"cannot be imported: {text} (nodes: {listed(names, limit=_SHOWN)})")
                    for text, names in sorted(refused.items())
                )
            )
        return self.values[self.trace.result].step

    def _read(self, node: Node) -> None:
        reader = self.operators.get(node.operator)
        if reader is None:
            raise Unsupported
        if any(self.values[name].step < 0 for name in node.inputs if name in self.values):
            # What it reads has been refused already.
            for output in node.outputs:
                self.values[output] = Value(-1, "")
            return
        self.values[node.outputs[0]] = reader(self, node)

    # What readers ask -----------------------------------------------------------------------------

    def data(self, node: Node, place: int = 0) -> Value:
        """Return an input that depends on the item."""
        name = node.inputs[place]
        if name not in self.values:
            raise Unsupported("its input is a constant")
        return self.values[name]

    def constant(self, node: Node, place: int) -> Array | None:
        """Return an input that is constant; None if there is none, or it depends on the item."""
        if place >= len(node.inputs) or node.inputs[place] in self.values:
            return None
        return self.trace.constants.get(node.inputs[place])

    def need(self, node: Node, place: int) -> Array:
        """Return an input that has to be constant."""
        value = self.constant(node, place)
        if value is None:
            raise Unsupported(f"its input {place + 1} is not a constant")
        return value

    def sizes_of(self, value: Value) -> Sizes:
        """Return channels, rows and columns of a value."""
        return self.sizes if value.step == 0 else self.steps[value.step - 1].sizes

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value of the file, for one item."""
        return self.trace.shapes[name]

    def add(
        self,
        kind: str,
        settings: Mapping[str, Any],
        sources: Sequence[Value],
        sizes: Sizes,
        parameters: Mapping[str, Array] | None = None,
        *,
        form: str = "",
        is_dense: bool = False,
    ) -> Value:
        """Add a step; return its output, by default in the form of its input."""
        numbers = tuple(source.step for source in sources)
        self.steps.append(Step(kind, settings, numbers, sizes, parameters or {}, is_dense))
        return Value(len(self.steps), form or sources[0].form)

    def only_reader(self, name: str, operator: str) -> Node | None:
        """Return the one node that reads a value, if it is of this operator."""
        if self.readers[name] != 1:
            return None
        readers = [node for node in self.trace.nodes if name in node.inputs]
        return readers[0] if readers[0].operator == operator else None


def grid_of(reader: Reader, node: Node) -> Value:
    """Return the input of a node, which has to be a grid with its channels first."""
    value = reader.data(node)
    if value.form not in ("grid", "row"):
        raise Unsupported("its input is not a grid of channels, rows and columns, in this order")
    return value


def pair_of(settings: Mapping[str, Any], name: str, value: Value, usual: int) -> tuple[int, int]:
    """Return a setting for both directions; of a row, that of the columns."""
    given = list(settings.get(name) or [usual] * (1 if value.form == "row" else 2))
    return (usual, given[0]) if value.form == "row" else (given[0], given[1])


def pads_of(node: Node, value: Value) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the borders `((above, below), (left, right))`."""
    count = 1 if value.form == "row" else 2
    pads = list(node.settings.get("pads") or [0] * 2 * count)
    if value.form == "row":
        return (0, 0), (pads[0], pads[1])
    return (pads[0], pads[2]), (pads[1], pads[3])


def sizes_of_output(reader: Reader, node: Node) -> Sizes:
    """Return channels, rows and columns of what a node makes."""
    shape = reader.shape_of(node.outputs[0])
    return (shape[1], 1, shape[2]) if len(shape) == 3 else (shape[1], shape[2], shape[3])


Read: TypeAlias = Callable[[Reader, Node], Value]
"""What reads a node of an operator: adds steps, and returns the output."""
