"""The list of all kernels, and which of them takes which operations."""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.engines.native.kernels.activation import Activation
from gridcnn.engines.native.kernels.base import Bundle, HeadKernel, MapsKernel
from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.depthwise import Depthwise
from gridcnn.engines.native.kernels.dropout import Dropout
from gridcnn.engines.native.kernels.gate import Gate
from gridcnn.engines.native.kernels.group_normalization import GroupNormalization
from gridcnn.engines.native.kernels.lookup import Lookup
from gridcnn.engines.native.kernels.merging import Join, Sum
from gridcnn.engines.native.kernels.normalization import Normalization
from gridcnn.engines.native.kernels.pooling import Pooling
from gridcnn.engines.native.kernels.rectification import Rectification
from gridcnn.engines.native.kernels.voting import IndependentVoting, Voting
from gridcnn.engines.native.kernels.winograd import Winograd
from gridcnn.engines.native.processor import Processor
from gridcnn.network import Op
from gridcnn.stages.dropout import Dropout as DropoutStage

# The first that takes some operations gets them: special ways come before the general one.
KERNELS: tuple[type[MapsKernel], ...] = (
    *(Lookup, Winograd, Convolution, Pooling, Rectification),
    *(Depthwise, Activation, Dropout, Normalization, GroupNormalization, Gate),
    *(Sum, Join),
)
HEADS: tuple[type[HeadKernel], ...] = (Voting, IndependentVoting)


def has_kernel(op: Op) -> bool:
    """Return whether an operation is done natively."""
    return any(kernel.computes(op) for kernel in (*KERNELS, *HEADS))


def joins(ops: Sequence[Op], op: Op, processor: Processor, *, answers: bool) -> bool:
    """Return whether an operation is computed together with those before it.

    `answers` says that the code is not for training, whose backward pass needs all maps.
    """
    if answers and type(op.stage) is DropoutStage:
        return True  # nothing is left out
    before = _without_dropout(ops)
    return any(
        kernel.computes(before[0]) and kernel.joins(before, op, processor, answers=answers)
        for kernel in KERNELS
    )


def _without_dropout(ops: Sequence[Op]) -> tuple[Op, ...]:
    """Return operations that are computed together, without dropouts that answers leave out."""
    return (ops[0], *(op for op in ops[1:] if type(op.stage) is not DropoutStage))


def choose_kernel(bundle: Bundle) -> MapsKernel:
    """Return the kernel for operations that all have one."""
    bundle = bundle._replace(ops=_without_dropout(bundle.ops))
    for kernel in KERNELS:
        if kernel.computes(bundle.ops[0]) and (chosen := kernel.take(bundle)):
            return chosen
    raise AssertionError(f"no kernel takes {[op.label for op in bundle.ops]}")


def choose_head(op: Op, processor: Processor) -> HeadKernel | None:
    """Return the head's kernel; None if the operation is not a head."""
    for kernel in HEADS:
        if kernel.computes(op) and (chosen := kernel.take(op, processor)):
            return chosen
    return None
