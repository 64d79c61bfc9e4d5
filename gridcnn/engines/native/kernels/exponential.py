"""The exponential function of numbers of at most 0, and the sigmoid that uses it."""

from __future__ import annotations

from gridcnn.engines.native.emitter import FLOAT, WORD, Code, Value, lanes_of, vector

_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693145751953125, 1.42860682030941723212e-6
_LOWEST = -87.0
"""The exponential of less than this is taken as 0."""
_NO_FRACTION = 1.5 * 2**23


def exponential(code: Code, value: Value) -> Value:
    """Return e to the power of numbers that are not positive, or NaN.

    The number is split into a multiple of ln 2 and a rest within ln 2 / 2, whose exponential is the
    Taylor series up to the seventh power: within 2 units in the last place.
    """
    lanes = lanes_of(value.kind)

    def constant(number: float) -> Value:
        return code.constant(number, lanes)

    low = code.compare("olt", value, constant(_LOWEST))
    safe = code.select(low, constant(_LOWEST), value)
    scaled = code.arithmetic("fmul", safe, constant(_LOG2E))
    # Adding so large a number leaves no room for what follows the point.
    whole = code.arithmetic("fadd", scaled, constant(_NO_FRACTION))
    whole = code.arithmetic("fsub", whole, constant(_NO_FRACTION))
    rest = code.multiply_add(whole, constant(-_LN2_HIGH), safe)
    rest = code.multiply_add(whole, constant(-_LN2_LOW), rest)
    series = constant(1 / 5040)
    for factorial in (720, 120, 24, 6, 2, 1, 1):
        series = code.multiply_add(series, rest, constant(1 / factorial))
    # NaN has no whole part: any will do, since it is multiplied with a NaN.
    word = vector(lanes, WORD)
    power = code.op(word, f"freeze {code.cast('fptosi', whole, WORD)}")
    biased = code.op(word, f"add {power}, {code.constants([127] * lanes, WORD).name}")
    shift = code.constants([23] * lanes, WORD).name
    shifted = code.op(word, f"shl {biased}, {shift}")
    factor = code.op(vector(lanes, FLOAT), f"bitcast {shifted} to {vector(lanes, FLOAT)}")
    result = code.arithmetic("fmul", series, factor)
    return code.select(low, constant(0), result)


def sigmoid(code: Code, value: Value) -> Value:
    """Return 1 / (1 + exp(-x)) of a number or of a vector, NaN of NaN.

    It is computed from exp(-|x|), which never overflows.
    """
    lanes = lanes_of(value.kind)
    one, zero = code.constant(1, lanes), code.constant(0, lanes)
    is_negative = code.compare("olt", value, zero)
    negated = code.arithmetic("fsub", zero, value)
    power = exponential(code, code.select(is_negative, value, negated))
    above = code.select(is_negative, power, one)
    return code.arithmetic("fdiv", above, code.arithmetic("fadd", one, power))
