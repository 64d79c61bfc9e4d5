"""Convolutions and fully connected layers of a file, and the borders before them."""

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
from gridcnn.export.importing.trace import Node
from gridcnn.grid import Array


def read_convolution(reader: Reader, node: Node) -> Value:
    """Return what a convolution makes."""
    value = grid_of(reader, node)
    weights = np.asarray(reader.need(node, 1), np.float32)
    weights = weights[:, :, None, :] if weights.ndim == 3 else weights
    bias = reader.constant(node, 2)
    filters, _, rows, columns = weights.shape
    stride = pair_of(node.settings, "strides", value, 1)
    dilation = pair_of(node.settings, "dilations", value, 1)
    sizes, out = reader.sizes_of(value), sizes_of_output(reader, node)
    kernel, padding = _kernel_and_padding(
        _borders(node, value), sizes[1:], (rows, columns), stride, dilation
    )
    settings: dict[str, Any] = {"filters": filters, "kernel_size": kernel, "padding": padding}
    if stride != (1, 1):
        settings["stride"] = list(stride)
    if dilation != (1, 1):
        settings["dilation"] = list(dilation)
    groups = int(node.settings.get("group", 1))
    if groups > 1:
        settings["groups"] = "channels" if groups == sizes[0] else groups
    parameters = {"weights": weights}
    if bias is None:
        settings["bias"] = False
    else:
        parameters["bias"] = np.asarray(bias, np.float32)
    return reader.add("convolution", settings, [value], out, parameters)


def _borders(node: Node, value: Value) -> tuple[tuple[int, int], tuple[int, int]] | str:
    """Return the borders of a convolution, with those of a `Pad` before it; or `same`."""
    automatic = node.settings.get("auto_pad", "NOTSET")
    if automatic == "SAME_UPPER":
        return "same"
    if automatic not in ("NOTSET", "VALID"):
        raise Unsupported(f"auto_pad {automatic}")
    (above, below), (left, right) = pads_of(node, value)
    before = value.pads
    return (
        (above + before[0][0], below + before[0][1]),
        (left + before[1][0], right + before[1][1]),
    )


def _kernel_and_padding(
    borders: tuple[tuple[int, int], tuple[int, int]] | str,
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[list[Any], Any]:
    """Return the settings `kernel_size` and `padding` that stand for a kernel with borders.

    Along an axis that the kernel fills with `all`, `same` adds no border.
    """
    plain = list(kernel)
    if isinstance(borders, str):
        return plain, borders
    if borders == ((0, 0), (0, 0)):
        return plain, "valid"
    same = []
    for size, length, step, gap in zip(sizes, kernel, stride, dilation, strict=True):
        missing = max((-(-size // step) - 1) * step + (length - 1) * gap + 1 - size, 0)
        same.append((missing // 2, missing - missing // 2))
    if list(borders) == same:
        return plain, "same"
    if all(low == high for low, high in borders):
        return plain, [borders[0][0], borders[1][0]]
    whole = [
        length == size and gap == 1 and border == (0, 0)
        for size, length, gap, border in zip(sizes, kernel, dilation, borders, strict=True)
    ]
    if all(
        is_whole or border == wanted
        for is_whole, border, wanted in zip(whole, borders, same, strict=True)
    ):
        filled = [
            "all" if is_whole else length for is_whole, length in zip(whole, kernel, strict=True)
        ]
        return filled, "same"
    raise Unsupported(f"pads {[each for side in zip(*borders, strict=True) for each in side]}")


def read_pad(reader: Reader, node: Node) -> Value:
    """Return a grid with a border, which the convolution after it takes over."""
    value = grid_of(reader, node)
    pads = reader.constant(node, 1) if len(node.inputs) > 1 else node.settings.get("pads")
    filler = reader.constant(node, 2)
    axes = reader.constant(node, 3)
    mode = node.settings.get("mode", "constant")
    if (
        pads is None
        or axes is not None
        or mode != "constant"
        or (filler is not None and filler.any())
    ):
        raise Unsupported("only borders of 0 before a convolution can be imported")
    counts = [int(each) for each in np.ravel(pads)]
    half = len(counts) // 2
    if any(counts[:2]) or any(counts[half : half + 2]):
        raise Unsupported("it adds channels")
    following = reader.only_reader(node.outputs[0], "Conv")
    if following is None:
        raise Unsupported("only borders of 0 before a convolution can be imported")
    (*rows, left), (*more, right) = counts[2:half], counts[half + 2 :]
    above, below = (rows[0], more[0]) if rows else (0, 0)
    return Value(value.step, value.form, ((above, below), (left, right)))


def read_dense(reader: Reader, node: Node) -> Value:
    """Return what a fully connected layer makes."""
    value = reader.data(node)
    if node.operator == "Gemm":
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        unusual = [name for name, usual in plain.items() if node.settings.get(name, usual) != usual]
        if unusual:
            raise Unsupported(f"{unusual[0]} {node.settings[unusual[0]]}")
        weights = np.asarray(reader.need(node, 1), np.float32)
        weights = weights if node.settings.get("transB", 0) else weights.T
        bias = reader.constant(node, 2)
        bias = None if bias is None else np.broadcast_to(np.ravel(bias), len(weights))
    else:
        weights = np.asarray(reader.need(node, 1), np.float32).T
        bias = None
    return _add_dense(reader, value, weights, bias)


def _add_dense(reader: Reader, value: Value, weights: Array, bias: Array | None) -> Value:
    """Add a fully connected layer as a convolution whose kernel takes all cells."""
    channels, rows, columns = reader.sizes_of(value)
    if weights.ndim != 2 or weights.shape[1] != channels * rows * columns:
        raise Unsupported("it is not a layer on all cells of an item")
    if value.form == "flat last":
        laid = weights.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2)
    elif value.form == "flat" or (rows == columns == 1 and value.form == "grid"):
        laid = weights.reshape(-1, channels, rows, columns)
    else:
        raise Unsupported("its input is not a list of all cells of an item")
    settings: dict[str, Any] = {"filters": len(laid), "kernel_size": ["all", "all"]}
    parameters = {"weights": np.ascontiguousarray(laid)}
    if bias is None:
        settings["bias"] = False
    else:
        parameters["bias"] = np.array(bias, np.float32)
    sizes = (len(laid), 1, 1)
    return reader.add(
        "convolution", settings, [value], sizes, parameters, form="flat", is_dense=True
    )
