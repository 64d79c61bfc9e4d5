"""The loss at the end of a training step, and its gradient by the logits."""

from __future__ import annotations

from gridcnn.engines.native.emitter import FLOAT, INT, PTR, Module
from gridcnn.engines.native.kernels.exponential import exponential
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
                power = exponential(
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
