"""Functions of single cells in a file, and the votes at its end."""

from __future__ import annotations

import math

import numpy as np

from gridcnn.export.importing.reader import (
    Reader,
    Unsupported,
    Value,
)
from gridcnn.export.importing.trace import Node

_SQUARE_ROOT = math.sqrt(0.5)
_NEAR = 1e-4  # by how much written constants may differ from what they stand for


def read_rectification(reader: Reader, node: Node) -> Value:
    """Return what `Relu` or `LeakyRelu` makes."""
    value = reader.data(node)
    leak = float(f"{float(node.settings.get('alpha', 0.01)):.7g}")
    settings = {"leak": leak} if node.operator == "LeakyRelu" else {}
    if settings and not 0 <= leak < 1:
        raise Unsupported(f"alpha {leak:g}")
    return reader.add("rectification", settings, [value], reader.sizes_of(value))


def read_clip(reader: Reader, node: Node) -> Value:
    """Return what `Clip` makes, if it only rectifies."""
    value = reader.data(node)
    low = node.settings.get("min", reader.constant(node, 1))
    high = node.settings.get("max", reader.constant(node, 2))
    if low is None or float(low) != 0 or (high is not None and float(high) < 1e30):
        ends = ", ".join("none" if each is None else f"{float(each):g}" for each in (low, high))
        raise Unsupported(f"from {ends}")
    return reader.add("rectification", {}, [value], reader.sizes_of(value))


def read_activation(reader: Reader, node: Node) -> Value:
    """Return what a function of single cells makes; a sigmoid at the end makes votes."""
    value = reader.data(node)
    if node.operator == "Gelu" and node.settings.get("approximate", "none") != "none":
        raise Unsupported("by an approximation")
    if node.operator == "Sigmoid" and node.outputs[0] == reader.trace.result:
        reader.votes = "sigmoid"
        return value
    function = {"Swish": "silu"}.get(node.operator, node.operator.lower())
    return reader.add("activation", {"function": function}, [value], reader.sizes_of(value))


def read_softmax(reader: Reader, node: Node) -> Value:
    """Note that votes come out: a softmax is at the end only."""
    value = reader.data(node)
    axis = node.settings.get("axis", -1)
    if node.outputs[0] != reader.trace.result or axis not in (1, -1):
        raise Unsupported("anywhere but at the end, over the classes")
    reader.votes = node.operator.lower()
    return value


def read_error_function(reader: Reader, node: Node) -> Value:
    """Return a GELU, whose parts PyTorch and Keras write as five nodes."""
    start = reader.makers.get(node.inputs[0])
    if start is None or start.operator not in ("Div", "Mul"):
        raise Unsupported
    place = 0 if start.inputs[0] in reader.values else 1
    source, number = start.inputs[place], float(np.ravel(reader.need(start, 1 - place))[0])
    factor = 1 / number if start.operator == "Div" else number
    end = reader.only_reader(node.outputs[0], "Add")
    first = None if end is None else reader.only_reader(end.outputs[0], "Mul")
    second = None if first is None else reader.only_reader(first.outputs[0], "Mul")
    if abs(factor - _SQUARE_ROOT) > _NEAR or end is None or first is None or second is None:
        raise Unsupported
    value = reader.values[source]
    reader.done |= {*end.outputs, *first.outputs, *second.outputs}
    result = reader.add("activation", {"function": "gelu"}, [value], reader.sizes_of(value))
    reader.values[second.outputs[0]] = result
    return result
