"""Which maps have few gradients, since a pooling behind them passes on the largest cells alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from gridcnn.network import Op
from gridcnn.stages.activation import Activation
from gridcnn.stages.dropout import Dropout
from gridcnn.stages.merging import Sum
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification

_FEW = 4  # cells of a grid for each window of a pooling: then lists of gradients are short
_BY_CELL = (Rectification, Activation, Dropout, Sum)  # they leave gradients where these are


def sparse_values(ops: Sequence[Op]) -> set[int]:
    """Return the values with few gradients that are not 0, because a pooling follows."""
    readers: dict[int, list[Op]] = defaultdict(list)
    for op in ops:
        for source in op.sources:
            readers[source].append(op)
    values: set[int] = set()
    for op in reversed(ops):
        behind = readers[op.target]
        if behind and all(
            _thins(each) or (isinstance(each.stage, _BY_CELL) and each.target in values)
            for each in behind
        ):
            values.add(op.target)
    return values


def _thins(op: Op) -> bool:
    """Return whether an operation passes gradients on to a quarter of the cells at most."""
    if not isinstance(op.stage, Pooling) or op.stage.mode != "max":
        return False
    _, (down, across) = op.stage.sizes(op.input)
    return down * across >= _FEW
