"""The loss at the end of a training step, and its gradient by the logits."""

from __future__ import annotations

from gridcnn.engines.native.emitter import FLOAT, INT, PTR, WORD, Code, Module, Value
from gridcnn.engines.native.kernels.matrix import row_size


def loss(module: Module, name: str, classes: int) -> None:
    """Emit `name(logits, targets, results, items, factor)`.

    The logits become the gradient of the cross-entropy, times `factor`. The results are three
    floats for each item: the sum of the exponentials, the right class's logit (both after the
    largest logit was taken from all), and 1 if the right class has most votes, else 0.
    """
    row = row_size(classes)
    with module.function(name, *[PTR] * 3, INT, FLOAT) as (code, arguments):
        logits, targets, results, items, factor = arguments
        one, zero = code.constant(1), code.constant(0)
        with code.loop(items) as item:
            here = code.at(logits, item * row)
            right = code.load(targets, item, kind=INT)
            highest = code.variable(code.load(here))
            answer = code.variable(code.value(0))
            # The first of equal votes is the answer, as in NumPy's argmax.
            with code.loop(classes, start=1) as number:
                value = code.load(here, number)
                is_more = code.compare("ogt", value, highest.get())
                answer.set(code.select(is_more, number, answer.get()))
                highest.set(code.larger(highest.get(), value))
            # The largest logit is taken from all, so that no exponential is too large.
            lifted = code.arithmetic("fsub", code.load(here, right), highest.get())
            total = code.variable(zero)
            with code.loop(classes) as number:
                power = _exponential(
                    code, code.arithmetic("fsub", code.load(here, number), highest.get())
                )
                code.store(power, here, number)
                total.set(code.arithmetic("fadd", total.get(), power))
            with code.loop(classes) as number:
                share = code.arithmetic("fdiv", code.load(here, number), total.get())
                wanted = code.select(code.test("eq", number, right), one, zero)
                share = code.arithmetic("fsub", share, wanted)
                code.store(code.arithmetic("fmul", share, factor), here, number)
            hit = code.select(code.test("eq", answer.get(), right), one, zero)
            for place, value in enumerate((total.get(), lifted, hit)):
                code.store(value, results, item * 3 + place)


_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693145751953125, 1.42860682030941723212e-6
_LOWEST = -87.0
"""The exponential of less than this is taken as 0."""
_NO_FRACTION = 1.5 * 2**23


def _exponential(code: Code, value: Value) -> Value:
    """Return e to the power of a number that is not positive, or NaN.

    The number is split into a multiple of ln 2 and a rest within ln 2 / 2, whose exponential is the
    Taylor series up to the seventh power: within 2 units in the last place.
    """
    low = code.compare("olt", value, code.constant(_LOWEST))
    safe = code.select(low, code.constant(_LOWEST), value)
    scaled = code.arithmetic("fmul", safe, code.constant(_LOG2E))
    # Adding so large a number leaves no room for what follows the point.
    whole = code.arithmetic("fadd", scaled, code.constant(_NO_FRACTION))
    whole = code.arithmetic("fsub", whole, code.constant(_NO_FRACTION))
    rest = code.multiply_add(whole, code.constant(-_LN2_HIGH), safe)
    rest = code.multiply_add(whole, code.constant(-_LN2_LOW), rest)
    series = code.constant(1 / 5040)
    for factorial in (720, 120, 24, 6, 2, 1, 1):
        series = code.multiply_add(series, rest, code.constant(1 / factorial))
    # NaN has no whole part: any will do, since it is multiplied with a NaN.
    power = code.op(WORD, f"freeze {code.cast('fptosi', whole, WORD)}")
    biased = code.op(WORD, f"add {power}, 127")
    factor = code.op(FLOAT, f"bitcast {code.op(WORD, f'shl {biased}, 23')} to float")
    result = code.arithmetic("fmul", series, factor)
    return code.select(low, code.constant(0), result)
