"""Convolutions in groups of channels become ordinary ones, for which there is a kernel.

Features of a group do not see the channels of the others: so their taps there are 0. That is more
arithmetic than needed, by the number of groups, with the same sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gridcnn.engines.native.kernels.registry import has_kernel
from gridcnn.grid import Array
from gridcnn.network import Op, Slot
from gridcnn.stages.convolution import Convolution


def without_groups(ops: Sequence[Op], parameters: Array) -> tuple[list[Op], Array]:
    """Return operations of which more have kernels, and the flat vector that they take.

    Args:
        ops: the operations of a network.
        parameters: its flat vector, `(parameters,)`, which the result begins with.
    """
    changed: list[Op] = []
    vectors, end = [parameters], len(parameters)
    for op in ops:
        stage = op.stage
        if has_kernel(op) or type(stage) is not Convolution:
            changed.append(op)
            continue
        weights = op.views(parameters)["weights"]
        dense = _dense(weights, op.input.channels)
        if stage.scale == "match":
            dense /= np.float32(weights[0].size)
        slots = []
        for slot in op.slots:
            if slot.parameter.name == "weights":
                shaped = replace(slot.parameter, shape=dense.shape, written=None)
                slots.append(Slot(shaped, end))
                end += dense.size
                vectors.append(dense.ravel())
            else:
                slots.append(slot)
        plain = stage.model_copy(update={"groups": 1, "scale": "sum", "features": None})
        changed.append(replace(op, stage=plain, slots=tuple(slots)))
    return changed, np.concatenate(vectors)


def _dense(weights: Array, channels: int) -> Array:
    """Return features that see all channels.

    Args:
        weights: those that see their group, `(filters, channels of a group, rows, columns)`.
        channels: all channels.
    """
    filters, shape, *sizes = weights.shape
    groups = channels // shape
    dense = np.zeros((groups, filters // groups, groups, shape, *sizes), np.float32)
    for group in range(groups):
        dense[group, :, group] = weights.reshape(groups, filters // groups, shape, *sizes)[group]
    return dense.reshape(filters, channels, *sizes)
