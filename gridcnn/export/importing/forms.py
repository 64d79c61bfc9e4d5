"""Nodes of a file that only rearrange numbers, or join grids."""

from __future__ import annotations

from collections.abc import Mapping

from gridcnn.export.importing.reader import Reader, Unsupported, Value
from gridcnn.export.importing.steps import Sizes
from gridcnn.export.importing.trace import Node


def read_join(reader: Reader, node: Node) -> Value:
    """Return the channels of several grids in one grid."""
    values = [reader.data(node, place) for place in range(len(node.inputs))]
    dimensions = len(reader.shape_of(node.outputs[0]))
    axis = int(node.settings["axis"]) % dimensions
    forms = {value.form for value in values}
    wanted = {"grid": 1, "row": 1, "last": 3, "row last": 2}
    if len(forms) > 1 or wanted.get(values[0].form) != axis:
        raise Unsupported("along anything but the channels of grids")
    sizes = [reader.sizes_of(value) for value in values]
    out = (sum(size[0] for size in sizes), *sizes[0][1:])
    return reader.add("join", {}, values, out)


def read_same(reader: Reader, node: Node) -> Value:
    """Return the input."""
    return reader.data(node)


def read_transpose(reader: Reader, node: Node) -> Value:
    """Return a grid with its channels first or last."""
    value = reader.data(node)
    order = node.settings.get("perm")
    moved = {
        ("grid", (0, 2, 3, 1)): "last",
        ("last", (0, 3, 1, 2)): "grid",
        ("row", (0, 2, 1)): "row last",
        ("row last", (0, 2, 1)): "row",
    }
    form = moved.get((value.form, tuple(order or ())))
    if form is None:
        raise Unsupported(f"of a {value.form} by {order}")
    return Value(value.step, form)


def _same_order(form: str, sizes: Sizes) -> Mapping[tuple[int, ...], str]:
    """Return the shapes in which the cells of a form have the same order, and their forms.

    Of a single channel it is the same whether that is first or last.
    """
    channels, rows, columns = sizes
    first: dict[tuple[int, ...], str] = {sizes: "grid"}
    last: dict[tuple[int, ...], str] = {(rows, columns, channels): "last"}
    if rows == 1:
        first[channels, columns] = "row"
        last[columns, channels] = "row last"
    own, other = (first, last) if form in ("grid", "row") else (last, first)
    if form not in ("grid", "row", "last", "row last"):
        return {}
    return {**other, **own} if channels == 1 else own


def read_reshape(reader: Reader, node: Node) -> Value:
    """Return the same cells in another shape."""
    value = reader.data(node)
    channels, rows, columns = reader.sizes_of(value)
    shape = reader.shape_of(node.outputs[0])
    cells = channels * rows * columns
    if value.groups:
        return Value(value.step, value.form)  # maps in groups become maps again
    if shape[1:] == (cells,):
        forms = {"grid": "flat", "row": "flat", "last": "flat last", "row last": "flat last"}
        return Value(value.step, forms.get(value.form, value.form))
    if rows == columns == 1 and shape[1:] in ((channels, 1, 1), (channels, 1)):
        return Value(value.step, "grid" if len(shape) == 4 else "row")
    if rows == columns == 1 and shape[1:] == (1, 1, channels):
        return Value(value.step, "last")
    form = _same_order(value.form, (channels, rows, columns)).get(shape[1:])
    if form is not None:
        return Value(value.step, form)
    following = reader.only_reader(node.outputs[0], "InstanceNormalization")
    if value.form in ("grid", "row") and following is not None and channels % shape[1] == 0:
        return Value(value.step, value.form, groups=shape[1])
    raise Unsupported(f"of {reader.shape_of(node.inputs[0])[1:]} to {shape[1:]}")
