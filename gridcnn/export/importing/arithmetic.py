"""Sums and products of a file: skips, numbers for each channel, SiLU and gates."""

from __future__ import annotations

import numpy as np

from gridcnn.export.importing.reader import (
    Reader,
    Unsupported,
    Value,
)
from gridcnn.export.importing.trace import Node
from gridcnn.grid import Array


def read_arithmetic(reader: Reader, node: Node) -> Value:
    """Return a sum of grids, or numbers of each channel that are added or multiplied."""
    places = [n for n, name in enumerate(node.inputs) if name in reader.values]
    if len(places) == 2:
        if node.operator == "Mul":
            return _product(reader, node)
        if node.operator != "Add":
            raise Unsupported("of two values that depend on the item")
        one, other = (reader.data(node, place) for place in places)
        if one.form != other.form or reader.sizes_of(one) != reader.sizes_of(other):
            raise Unsupported("of grids of different shapes")
        return reader.add("sum", {}, [one, other], reader.sizes_of(one))
    value = reader.data(node, places[0])
    number = np.asarray(reader.need(node, 1 - places[0]), np.float32)
    if node.operator in ("Sub", "Div") and places[0] == 1:
        raise Unsupported("of a constant by what depends on the item")
    if reader.only_reader(node.outputs[0], "Erf") is not None:
        return value  # a part of a GELU
    return _by_channel(reader, value, node, number)


def _by_channel(reader: Reader, value: Value, node: Node, number: Array) -> Value:
    """Return a grid whose channels are multiplied by numbers, or have them added."""
    channels, rows, columns = reader.sizes_of(value)
    axis = {"grid": 1, "row": 1, "last": 3, "row last": 2, "flat": 1}.get(value.form, -1)
    if axis < 0 or (value.form == "flat" and rows * columns > 1):
        raise Unsupported("a number for each channel can be imported, and not one for each cell")
    dimensions = {"row": 3, "row last": 3, "flat": 2}.get(value.form, 4)
    shape = (1,) * (dimensions - number.ndim) + number.shape
    if any(size > 1 for place, size in enumerate(shape) if place != axis):
        raise Unsupported("a number for each channel can be imported, and not one for each cell")
    each: Array = np.broadcast_to(np.ravel(number), channels).astype(np.float32)
    factor, added = np.ones_like(each), np.zeros_like(each)
    if node.operator in ("Mul", "Div"):
        factor = each if node.operator == "Mul" else 1 / each
    else:
        added = each if node.operator == "Add" else -each
    last = reader.steps[value.step - 1] if value.step else None
    alone = all(reader.readers[name] == 1 for name in node.inputs if name in reader.values)
    used = any(value.step in step.sources for step in reader.steps)
    if last is not None and last.kind == "convolution" and alone and not used:
        # It becomes part of the convolution before, which nothing else reads.
        bias = last.parameters.get("bias", np.zeros(channels, np.float32))
        last.parameters = {
            "weights": last.parameters["weights"] * factor[:, None, None, None],
            "bias": bias * factor + added,
        }
        last.settings = {name: got for name, got in last.settings.items() if name != "bias"}
        return value
    settings = {"filters": channels, "kernel_size": 1, "groups": "channels", "padding": "valid"}
    parameters = {"weights": factor.reshape(-1, 1, 1, 1), "bias": added}
    return reader.add("convolution", settings, [value], (channels, rows, columns), parameters)


def _product(reader: Reader, node: Node) -> Value:
    """Return the product of a grid with something computed from it: a SiLU, a GELU or a gate."""
    for place in (0, 1):
        value, name = reader.data(node, place), node.inputs[1 - place]
        number = reader.data(node, 1 - place).step
        step = reader.steps[number - 1] if number else None
        if step is None or step.written != {"activation": {"function": "sigmoid"}}:
            continue
        is_last = number == len(reader.steps) and reader.readers[name] == 1
        if step.sources == (value.step,) and is_last:
            reader.steps.pop()
            return reader.add("activation", {"function": "silu"}, [value], reader.sizes_of(value))
        gate = _gate(reader, value, number)
        if gate is not None:
            return gate
    raise Unsupported("of two values that depend on the item, which is neither a SiLU nor a gate")


def _gate(reader: Reader, value: Value, last: int) -> Value | None:
    """Return the gate that the last steps are, from a mean of each map to a sigmoid."""
    start = last - 5
    if start < 0 or last != len(reader.steps):
        return None
    steps = reader.steps[start:last]
    kinds = ["pooling", "convolution", "rectification", "convolution", "activation"]
    channels = reader.sizes_of(value)[0]
    chained = all(step.sources == (start + n,) for n, step in enumerate(steps) if n)
    if [step.kind for step in steps] != kinds or not chained or steps[0].sources != (value.step,):
        return None
    hidden, gate = steps[1], steps[3]
    count = hidden.sizes[0]
    reduction = channels // count if count <= channels else 0
    is_mean = steps[0].settings == {"window": "all", "mode": "mean"}
    if not is_mean or not reduction or max(channels // reduction, 1) != count:
        return None
    if gate.sizes[0] != channels or steps[2].settings:
        return None
    parameters: dict[str, Array] = {}
    for name, layer in (("hidden", hidden), ("gate", gate)):
        weights = layer.parameters["weights"]
        if weights.shape[2:] != (1, 1) or layer.settings.get("groups", 1) != 1:
            return None
        parameters[f"{name}.weights"] = weights[:, :, 0, 0]
        bias = layer.parameters.get("bias")
        parameters[f"{name}.bias"] = np.zeros(len(weights), np.float32) if bias is None else bias
    del reader.steps[start:]
    sizes = reader.sizes_of(value)
    return reader.add("gate", {"reduction": reduction}, [value], sizes, parameters)
