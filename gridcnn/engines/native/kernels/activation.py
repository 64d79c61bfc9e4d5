"""Activations on their own: leaky rectifications, and smooth functions cell by cell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from gridcnn.contracts.stage import Merge, Stage
from gridcnn.engines.native.emitter import PTR, Code, Value, lanes_of, vector
from gridcnn.engines.native.kernels.base import (
    NO_GRADIENT,
    Bundle,
    Description,
    Ends,
    Frame,
    MapsKernel,
    Site,
    Step,
    describe_maps,
    maps_facts,
)
from gridcnn.engines.native.kernels.exponential import exponential, sigmoid
from gridcnn.engines.native.layout import Maps
from gridcnn.engines.native.processor import Processor
from gridcnn.network import Op
from gridcnn.stages.activation import Activation as ActivationStage
from gridcnn.stages.rectification import Rectification as RectificationStage

# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: within 1.5e-7 of erf.
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_STEP = 0.3275911
_SMALL = 0.25
"""Below this, the difference of exponentials would lose digits of tanh; a series has them."""
_TANH = (62 / 2835, -17 / 315, 2 / 15, -1 / 3, 1.0)


@dataclass(frozen=True)
class Activation(MapsKernel):
    """Each cell is replaced by a function of it: `leak`, `gelu`, `silu`, `tanh` or `sigmoid`."""

    stage = ActivationStage

    function: str
    leak: float
    adds: bool = field(default=False, kw_only=True)

    @classmethod
    def computes(cls, op: Op) -> bool:
        """Return whether an operation is an activation, or a rectification with a leak."""
        return bool(_function_of(op.stage))

    @classmethod
    def take(cls, bundle: Bundle) -> Self:
        """Return the kernel for an activation."""
        (source,), op = bundle.sources, bundle.ops[-1]
        leak = op.stage.leak if isinstance(op.stage, RectificationStage) else 0.0
        target = Maps(*op.output.sizes, source.lanes)
        return cls((source,), target, _function_of(op.stage), leak)

    def emit_forward(self, site: Site) -> None:
        """Emit `forward(grid, map)`."""
        source, target, kind = self.source, self.target, vector(self.target.lanes)
        with site.module.function(site.name("forward"), PTR, PTR) as (code, (grid, out)):
            with code.loop(target.rows) as row, code.loop(target.columns) as column:
                with code.loop(target.channels, step=target.lanes) as channel:
                    value = code.load(grid, source.place(row, column, channel), kind=kind)
                    result, _ = self._compute(code, value)
                    code.store(result, out, target.place(row, column, channel))

    def emit_backward(self, site: Site) -> None:
        """Emit `back(grid, map's gradient, grid's gradient)`; slopes are computed once more."""
        source, target, kind = self.source, self.target, vector(self.target.lanes)
        with site.module.function(site.name("back"), *[PTR] * 3) as (code, arguments):
            grid, flow, by_grid = arguments
            with code.loop(target.rows) as row, code.loop(target.columns) as column:
                with code.loop(target.padded, step=target.lanes) as channel:
                    here = source.place(row, column, channel)
                    _, slope = self._compute(code, code.load(grid, here, kind=kind))
                    share = code.load(flow, target.place(row, column, channel), kind=kind)
                    share = code.arithmetic("fmul", share, slope)
                    if self.adds:
                        share = code.arithmetic("fadd", code.load(by_grid, here, kind=kind), share)
                    code.store(share, by_grid, here)

    def run_backward(self, frame: Frame, maps: Ends, gradients: Ends) -> None:
        """Emit the call for one item."""
        ends = *maps.sources, gradients.target, *gradients.sources
        frame.code.run(frame.site.name("back"), *ends)

    def _compute(self, code: Code, value: Value) -> tuple[Value, Value]:
        """Return the function of a vector of cells, and its slopes; unused code is left out."""
        if self.function == "leak":
            lanes = lanes_of(value.kind)
            is_positive = code.compare("ogt", value, code.constant(0, lanes))
            slope = code.select(
                is_positive, code.constant(1, lanes), code.constant(self.leak, lanes)
            )
            return code.arithmetic("fmul", value, slope), slope
        return _FUNCTIONS[self.function](_Arithmetic(code, lanes_of(value.kind)), value)

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of a step."""
        way = "times the slope of the function" if step.passes_on else NO_GRADIENT
        notes = (describe_maps(self.target), f"gradient of the grid, {way}")
        return Description(f"activation {self.function}", notes, maps_facts(self.target))


def _function_of(stage: Stage | Merge) -> str:
    """Return the name of a stage's function; nothing if it is not computed here."""
    # A subclass of a stage may compute whatever it likes.
    if type(stage) is RectificationStage:
        return "leak" if stage.leak else ""
    return stage.function if type(stage) is ActivationStage else ""


@dataclass(frozen=True)
class _Arithmetic:
    """Writes formulas on vectors in short."""

    code: Code
    lanes: int

    def number(self, value: float) -> Value:
        return self.code.constant(value, self.lanes)

    def times(self, left: Value, right: Value) -> Value:
        return self.code.arithmetic("fmul", left, right)

    def plus(self, left: Value, right: Value) -> Value:
        return self.code.arithmetic("fadd", left, right)

    def minus(self, left: Value, right: Value) -> Value:
        return self.code.arithmetic("fsub", left, right)

    def over(self, left: Value, right: Value) -> Value:
        return self.code.arithmetic("fdiv", left, right)

    def negative_size(self, value: Value) -> Value:
        """Return -|x|; NaN stays NaN."""
        negated = self.minus(self.number(0), value)
        return self.code.select(self.is_negative(value), value, negated)

    def is_negative(self, value: Value) -> Value:
        return self.code.compare("olt", value, self.number(0))

    def polynomial(self, value: Value, factors: tuple[float, ...]) -> Value:
        """Return the polynomial whose factors begin with the highest power."""
        total = self.number(factors[0])
        for factor in factors[1:]:
            total = self.code.multiply_add(total, value, self.number(factor))
        return total


def _sigmoid(a: _Arithmetic, x: Value) -> tuple[Value, Value]:
    share = sigmoid(a.code, x)
    return share, a.times(share, a.minus(a.number(1), share))


def _silu(a: _Arithmetic, x: Value) -> tuple[Value, Value]:
    share = sigmoid(a.code, x)
    result = a.times(x, share)
    rest = a.code.multiply_add(x, a.minus(a.number(1), share), a.number(1))
    return result, a.times(share, rest)


def _tanh(a: _Arithmetic, x: Value) -> tuple[Value, Value]:
    size = a.negative_size(x)
    power = exponential(a.code, a.plus(size, size))
    ratio = a.over(a.minus(a.number(1), power), a.plus(a.number(1), power))
    result = a.code.select(a.is_negative(x), a.minus(a.number(0), ratio), ratio)
    series = a.times(x, a.polynomial(a.times(x, x), _TANH))
    result = a.code.select(a.code.compare("ogt", size, a.number(-_SMALL)), series, result)
    return result, a.minus(a.number(1), a.times(result, result))


def _gelu(a: _Arithmetic, x: Value) -> tuple[Value, Value]:
    scaled = a.times(a.negative_size(x), a.number(1 / math.sqrt(2)))
    power = exponential(a.code, a.minus(a.number(0), a.times(scaled, scaled)))
    step = a.over(a.number(1), a.minus(a.number(1), a.times(scaled, a.number(_ERF_STEP))))
    beyond = a.times(a.times(a.polynomial(step, (*_ERF[::-1], 0.0)), power), a.number(0.5))
    # `beyond` is the part of a normal distribution below -|x|.
    below = a.code.select(a.is_negative(x), beyond, a.minus(a.number(1), beyond))
    density = a.times(power, a.number(1 / math.sqrt(2 * math.pi)))
    return a.times(x, below), a.plus(below, a.times(x, density))


_FUNCTIONS: dict[str, Callable[[_Arithmetic, Value], tuple[Value, Value]]] = {
    "gelu": _gelu,
    "silu": _silu,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
}
