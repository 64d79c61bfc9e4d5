"""The loss at the end of a training step, and its gradient by the logits."""

from __future__ import annotations

from gridcnn.engines.native.emitter import FLOAT, INT, PTR, Code, Module, Value
from gridcnn.engines.native.kernels.exponential import exponential, sigmoid
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
            highest, answer = _highest(code, here, classes)
            # The largest logit is taken from all, so that no exponential is too large.
            lifted = code.arithmetic("fsub", code.load(here, right), highest)
            total = code.variable(zero)
            with code.loop(classes) as number:
                power = exponential(code, code.arithmetic("fsub", code.load(here, number), highest))
                code.store(power, here, number)
                total.set(code.arithmetic("fadd", total.get(), power))
            with code.loop(classes) as number:
                share = code.arithmetic("fdiv", code.load(here, number), total.get())
                wanted = code.select(code.test("eq", number, right), one, zero)
                share = code.arithmetic("fsub", share, wanted)
                code.store(code.arithmetic("fmul", share, factor), here, number)
            hit = code.select(code.test("eq", answer, right), one, zero)
            for place, value in enumerate((total.get(), lifted, hit)):
                code.store(value, results, item * 3 + place)


def soft_loss(module: Module, name: str, classes: int) -> None:
    """Emit `name(logits, targets, parts, results, items, factor)`.

    It is `loss` for items that are parts of classes, `(items, classes)`: the gradient is the share
    of each class times the sum of the item's parts, less its part. In place of the right class's
    logit the second result is the sum of all logits, each times its part. `targets` are the classes
    by which answers are right.
    """
    row = row_size(classes)
    with module.function(name, *[PTR] * 4, INT, FLOAT) as (code, arguments):
        logits, targets, parts, results, items, factor = arguments
        one, zero = code.constant(1), code.constant(0)
        with code.loop(items) as item:
            here, wanted = code.at(logits, item * row), code.at(parts, item * classes)
            highest, answer = _highest(code, here, classes)
            total, whole, match = (code.variable(zero) for _ in range(3))
            with code.loop(classes) as number:
                lifted = code.arithmetic("fsub", code.load(here, number), highest)
                part = code.load(wanted, number)
                product = code.arithmetic("fmul", part, lifted)
                match.set(code.arithmetic("fadd", match.get(), product))
                whole.set(code.arithmetic("fadd", whole.get(), part))
                power = exponential(code, lifted)
                code.store(power, here, number)
                total.set(code.arithmetic("fadd", total.get(), power))
            scale = code.arithmetic("fdiv", whole.get(), total.get())
            with code.loop(classes) as number:
                share = code.arithmetic("fmul", code.load(here, number), scale)
                share = code.arithmetic("fsub", share, code.load(wanted, number))
                code.store(code.arithmetic("fmul", share, factor), here, number)
            right = code.load(targets, item, kind=INT)
            hit = code.select(code.test("eq", answer, right), one, zero)
            for place, value in enumerate((total.get(), match.get(), hit)):
                code.store(value, results, item * 3 + place)


def label_loss(module: Module, name: str, labels: int) -> None:
    """Emit `name(logits, wanted, output, items, factor)`.

    The logits are copied to `output`, where the loss is computed from later, and become the
    gradient of the binary cross-entropy, times `factor`. `wanted` has two rows of `labels` numbers
    for each item: the targets, and what the loss of each label counts.
    """
    row = row_size(labels)
    with module.function(name, *[PTR] * 3, INT, FLOAT) as (code, arguments):
        logits, wanted, output, items, factor = arguments
        with code.loop(items) as item:
            here, pointers = code.at(logits, item * row), code.at(output, item * labels)
            targets = code.at(wanted, item * (2 * labels))
            with code.loop(labels) as number:
                logit = code.load(here, number)
                code.store(logit, pointers, number)
                slope = code.arithmetic("fsub", sigmoid(code, logit), code.load(targets, number))
                count = code.arithmetic("fmul", code.load(targets, number + labels), factor)
                code.store(code.arithmetic("fmul", slope, count), here, number)


def _highest(code: Code, logits: Value, classes: int) -> tuple[Value, Value]:
    """Emit the search for the largest of an item's logits; return it, and its class."""
    highest = code.variable(code.load(logits))
    answer = code.variable(code.value(0))
    # The first of equal votes is the answer, as in NumPy's argmax.
    with code.loop(classes, start=1) as number:
        value = code.load(logits, number)
        is_more = code.compare("ogt", value, highest.get())
        answer.set(code.select(is_more, number, answer.get()))
        highest.set(code.larger(highest.get(), value))
    return highest.get(), answer.get()
