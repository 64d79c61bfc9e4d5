"""A network as a tree: each composite stage with what is inside of it, repetitions taken together.

Three repetitions that are equal are one node, `4.1 to 4.3 (3 x)`, with the inside of the first:

    1 convolution
    4 repeat
      4.1 to 4.3 (3 x)
        4.1.1 skip
          4.1.1.1 convolution
          4.1.1 sum
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from gridcnn.contracts.stage import Merge, Stage
from gridcnn.network import Network, Op


@dataclass
class Node:
    """An operation, or a composite stage or one of its chains, with what is inside.

    Attributes:
        label: that of the operation or of the group; of equal nodes, that of the first.
        start, stop: its operations are `network.ops[start:stop]`; of equal nodes, the first's.
        inside: what a group consists of, in order; None for an operation.
        times: how many equal nodes it stands for, one after the other.
        last: the label of the last of them.
    """

    label: str
    start: int
    stop: int
    inside: list[Node] | None = None
    times: int = 1
    last: str = ""

    @property
    def title(self) -> str:
        """What a row of a table calls it: `4.1 to 4.3 (3 x)`, `2 to 4 skip (3 x)`."""
        if self.times == 1:
            return self.label
        number, name = _split(self.label)
        return f"{number} to {_split(self.last)[0]}{' ' if name else ''}{name} ({self.times} x)"


def tree(network: Network) -> list[Node]:
    """Return the stages of a network, in order; equal groups that follow each other are one."""
    top: list[Node] = []
    # What is inside of the group of each number. A composite's own operation, such as `3 sum`, has
    # the number of its composite; all others have one part more than what they are inside of.
    inside: dict[str, list[Node]] = {"": top}
    for group in sorted(network.groups, key=lambda group: group.depth):
        number = _split(group.label)[0]
        inside[number] = []
        node = Node(group.label, group.start, group.stop, inside[number])
        inside.get(number.rpartition(".")[0], top).append(node)
    for place, op in enumerate(network.ops):
        number = _split(op.label)[0]
        outer = inside.get(number) if number in inside else inside.get(number.rpartition(".")[0])
        (top if outer is None else outer).append(Node(op.label, place, place + 1))
    for nodes in inside.values():
        nodes.sort(key=lambda node: (node.start, node.stop))
    return _Equals(network.ops).together(top)


def rows(nodes: Sequence[Node], depth: int = 0) -> Iterator[tuple[int, Node]]:
    """Yield all nodes of a tree, from the top down, each with how many nodes it is inside of."""
    for node in nodes:
        yield depth, node
        yield from rows(node.inside or (), depth + 1)


class _Equals:
    """Finds groups that have the same stages inside, with the same shapes."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self._ops = ops
        # Equal stages are mostly one object, which a repetition uses again and again.
        self._stages: dict[int, Hashable] = {}
        # A number for each kind of node, so that a comparison does not go into depth.
        self._kinds: dict[Hashable, int] = {}

    def together(self, nodes: list[Node]) -> list[Node]:
        """Return nodes with equal groups taken together, and also those inside."""
        return self._together(nodes)[0]

    def _together(self, nodes: list[Node]) -> tuple[list[Node], tuple[Hashable, ...]]:
        """Return the nodes, and the number of times and the kind of each."""
        folded: list[Node] = []
        kinds: list[int] = []
        for node in nodes:
            kind = self._kind(node)
            if folded and node.inside and kinds[-1] == kind:
                folded[-1].times += 1
                folded[-1].last = node.label
            else:
                folded.append(node)
                kinds.append(kind)
        return folded, tuple((node.times, kind) for node, kind in zip(folded, kinds, strict=True))

    def _kind(self, node: Node) -> int:
        """Return a number that equal nodes have in common; take together what is inside."""
        name = _split(node.label)[1]
        kind: tuple[Hashable, ...]
        if node.inside is None:
            op = self._ops[node.start]
            shapes = (*(shape.sizes for shape in op.inputs), op.output.sizes)
            kind = (self._stage(op.stage), shapes)
        else:
            node.inside, kind = self._together(node.inside)
        return self._kinds.setdefault((name, kind), len(self._kinds))

    def _stage(self, stage: Stage | Merge) -> Hashable:
        """Return what equal stages have in common."""
        if id(stage) not in self._stages:
            settings = stage.model_dump_json() if isinstance(stage, Stage) else str(vars(stage))
            self._stages[id(stage)] = (type(stage), settings)
        return self._stages[id(stage)]


def _split(label: str) -> tuple[str, str]:
    """Return the number and the name of a label; a chain of a composite has no name."""
    number, _, name = label.partition(" ")
    return number, name
