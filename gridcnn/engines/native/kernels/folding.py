"""Batch normalization folded into the convolution before it, for answers.

With running values, a normalization multiplies each map by a number and adds another. Both can be
had from features and bias of the convolution, which are made anew before they are packed:

    factor = gain / sqrt(variance + epsilon)
    feature' = feature * factor        bias' = bias of the normalization + (bias - mean) * factor

Training needs the maps before the normalization, so that nothing is folded there.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.engines.native.emitter import INT, PTR, Value
from gridcnn.engines.native.kernels.base import FEW_ROWS, Area, Frame, Job, Site, part_of
from gridcnn.network import Op
from gridcnn.stages.normalization import Normalization

_NAMES = ("gain", "bias", "mean", "variance")


def joins(ops: Sequence[Op], op: Op, *, answers: bool) -> bool:
    """Return whether a normalization is folded into the convolution that operations begin with."""
    stage = op.stage
    return answers and len(ops) == 1 and type(stage) is Normalization and stage.kind == "batch"


def epsilon_of(ops: Sequence[Op]) -> float | None:
    """Return the epsilon of the normalization that is folded; None if none is."""
    stages = [op.stage for op in ops]
    return next((stage.epsilon for stage in stages if isinstance(stage, Normalization)), None)


def lay_out(site: Site, filters: int, size: int) -> None:
    """Take memory for features of `size` floats each, in the order of the flat vector."""
    site.take(Area.PACKED, "folded features", filters * size)


def fold(site: Site, filters: int, size: int, epsilon: float) -> Job:
    """Return the job that computes new features and a new bias; emit its function.

    It is `fold(features, bias or 0, four numbers of each map, features', bias', first, end)`.
    """
    has_bias = "bias" in site.step.slots
    if site.emits:
        _emit(site, size, epsilon, has_bias=has_bias)
    parts = min(filters, FEW_ROWS)

    def emit(frame: Frame, number: Value) -> None:
        code = frame.code
        features = frame.parameter("weights")
        bias = frame.parameter("bias") if has_bias else features
        maps = [frame.parameter(f"normalization.{name}") for name in _NAMES]
        folded = frame.at(Area.PACKED, "folded features"), frame.at(Area.PACKED, "bias")
        ends = part_of(code, number, filters, parts)
        code.run(site.name("fold"), features, bias, *maps, *folded, *ends)

    return Job(parts, emit)


def _emit(site: Site, size: int, epsilon: float, *, has_bias: bool) -> None:
    with site.module.function(site.name("fold"), *[PTR] * 8, INT, INT) as (code, arguments):
        features, bias, gain, shift, mean, variance, folded, folded_bias, first, end = arguments
        with code.loop(end, start=first) as each:
            lifted = code.arithmetic("fadd", code.load(variance, each), code.constant(epsilon))
            factor = code.arithmetic("fdiv", code.load(gain, each), code.square_root(lifted))
            before = code.load(bias, each) if has_bias else code.constant(0)
            centred = code.arithmetic("fsub", before, code.load(mean, each))
            moved = code.arithmetic("fmul", centred, factor)
            code.store(code.arithmetic("fadd", moved, code.load(shift, each)), folded_bias, each)
            with code.loop(size) as cell:
                value = code.load(features, each * size + cell)
                code.store(code.arithmetic("fmul", value, factor), folded, each * size + cell)
