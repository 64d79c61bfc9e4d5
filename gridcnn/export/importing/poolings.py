"""Poolings of a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridcnn.export.importing.reader import (
    Reader,
    Unsupported,
    Value,
    grid_of,
    pads_of,
    pair_of,
    sizes_of_output,
)
from gridcnn.export.importing.steps import Sizes
from gridcnn.export.importing.trace import Node


def read_pooling(reader: Reader, node: Node) -> Value:
    """Return what a pooling with windows makes."""
    value = grid_of(reader, node)
    is_mean = node.operator == "AveragePool"
    window = pair_of(node.settings, "kernel_shape", value, 1)
    stride = pair_of(node.settings, "strides", value, 1)
    sizes, out = reader.sizes_of(value), sizes_of_output(reader, node)
    automatic = node.settings.get("auto_pad", "NOTSET")
    borders = pads_of(node, value)
    if any(pair_of(node.settings, "dilations", value, 1)[n] != 1 for n in (0, 1)):
        raise Unsupported("with gaps in the window")
    if automatic == "SAME_UPPER":
        ends = []
        for size, length, step in zip(sizes[1:], window, stride, strict=True):
            missing = max((-(-size // step) - 1) * step + length - size, 0)
            ends.append((missing // 2, missing - missing // 2))
        borders = (ends[0], ends[1])
    elif automatic not in ("NOTSET", "VALID"):
        raise Unsupported(f"auto_pad {automatic}")
    if borders[0][0] or borders[1][0]:
        value, sizes = _with_border(reader, value, borders, is_mean=is_mean)
    beyond = any(high for _, high in borders)
    if is_mean and beyond and node.settings.get("count_include_pad", 0):
        raise Unsupported("that counts cells of the border")
    settings: dict[str, Any] = {"window": list(window), "stride": list(stride)}
    if is_mean:
        settings["mode"] = "mean"
    # Windows that the edge cuts are kept, or dropped; one of both gives as many as there are.
    for edges in ("keep", "drop"):
        if _count_windows(sizes, window, stride, edges) == out[1:]:
            settings["edges"] = edges
            return reader.add("pooling", settings, [value], out)
    raise Unsupported("with more or fewer windows than fit")


def _with_border(
    reader: Reader, value: Value, borders: tuple[tuple[int, int], tuple[int, int]], *, is_mean: bool
) -> tuple[Value, Sizes]:
    """Return a grid with cells of 0 around it, and its sizes.

    The border that a file has is lower than all cells. If no cell is negative, 0 is as good: no
    window lies in the border alone.
    """
    if is_mean or not _is_positive(reader, value.step):
        raise Unsupported(
            "with a border before the first row or column, of cells that may be negative"
        )
    channels, rows, columns = reader.sizes_of(value)
    above, left = borders[0][0], borders[1][0]
    sizes = (channels, rows + 2 * above, columns + 2 * left)
    settings = {
        "filters": channels,
        "kernel_size": 1,
        "groups": "channels",
        "bias": False,
        "padding": [above, left],
    }
    parameters = {"weights": np.ones((channels, 1, 1, 1), np.float32)}
    return reader.add("convolution", settings, [value], sizes, parameters), sizes


def _is_positive(reader: Reader, number: int) -> bool:
    """Return whether no cell of a value can be negative."""
    if not number:
        return False
    step = reader.steps[number - 1]
    if step.kind in ("pooling", "join", "sum"):
        return all(_is_positive(reader, source) for source in step.sources)
    is_sigmoid = step.settings.get("function") == "sigmoid"
    return (step.kind == "rectification" and not step.settings) or is_sigmoid


def _count_windows(
    sizes: Sizes, window: tuple[int, int], stride: tuple[int, int], edges: str
) -> tuple[int, int]:
    """Return how many windows our pooling has."""
    counts = []
    for size, length, step in zip(sizes[1:], window, stride, strict=True):
        if edges == "drop":
            counts.append((size - length) // step + 1)
        else:
            counts.append(min(-(-max(size - length, 0) // step), (size - 1) // step) + 1)
    return counts[0], counts[1]


def read_pooling_of_all(reader: Reader, node: Node) -> Value:
    """Return what a pooling of whole maps makes."""
    value = reader.data(node)
    if value.form not in ("grid", "row", "last", "row last"):
        raise Unsupported("its input is not a grid")
    if node.operator.startswith("Reduce"):
        axes = reader.constant(node, 1) if len(node.inputs) > 1 else node.settings.get("axes")
        dimensions = len(reader.shape_of(node.inputs[0]))
        given = sorted(int(axis) % dimensions for axis in np.ravel([] if axes is None else axes))
        wanted = {"grid": [2, 3], "row": [2], "last": [1, 2], "row last": [1]}[value.form]
        if given != wanted:
            raise Unsupported("over anything but rows and columns")
    is_mean = node.operator in ("GlobalAveragePool", "ReduceMean")
    settings = {"window": "all", "mode": "mean"} if is_mean else {"window": "all"}
    sizes = (reader.sizes_of(value)[0], 1, 1)
    form = "flat" if len(reader.shape_of(node.outputs[0])) == 2 else value.form
    return reader.add("pooling", settings, [value], sizes, form=form)
