"""What kernels with a rectification at their end have in common."""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.engines.native.emitter import Code, Number, Value, vector
from gridcnn.network import Op
from gridcnn.stages.rectification import Rectification


def rectifies(op: Op) -> bool:
    """Return whether an operation makes negative cells 0, without a leak."""
    # A subclass of the stage may compute whatever it likes.
    return type(op.stage) is Rectification and not op.stage.leak


def is_rectified(ops: Sequence[Op]) -> bool:
    """Return whether operations that are computed together make negative cells 0."""
    return any(map(rectifies, ops))


def positive_part(code: Code, out: Value, flow: Value, place: Number, lanes: int) -> Value:
    """Emit a vector of the map's gradient, with 0 where the map was rectified.

    The map shows it: nothing else is kept of the way forward.
    """
    zero = code.constant(0, lanes)
    share = code.load(flow, place, kind=vector(lanes))
    is_positive = code.compare("ogt", code.load(out, place, kind=vector(lanes)), zero)
    return code.select(is_positive, share, zero)
