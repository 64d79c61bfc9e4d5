"""Operators of ONNX as steps: what each of our stages does under another name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gridcnn.errors import Problem, UserError, listed
from gridcnn.export.importing.steps import Sizes, Step
from gridcnn.export.importing.trace import Node, Trace
from gridcnn.grid import Array

_SHOWN = 3  # names of nodes in one problem
_SQUARE_ROOT = math.sqrt(0.5)
_NEAR = 1e-4  # by how much written constants may differ from what they stand for


class Unsupported(Exception):  # noqa: N818 - it never reaches users
    """A node has something that no stage does; the text says what."""


@dataclass(frozen=True)
class Value:
    """A value of the file.

    Attributes:
        step: the number of our value; 0 is the grid.
        form: how its numbers lie: `grid` (items, channels, rows, columns); `last` with the channels
            last; `flat` (items, cells) in the order of `grid`; `flat last` in that of `last`;
            `row` (items, channels, columns).
        pads: cells of 0 that a node of its own has put around it:
            `((above, below), (left, right))`.
        groups: into how many groups its channels are divided, if it is reshaped for that.
    """

    step: int
    form: str
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    groups: int = 0


class Reader:
    """Turns the nodes of a file into steps.

    Attributes:
        steps: what has been read so far.
        sizes: of the grid that enters.
        channels_last: whether the input has its channels last.
        votes: `softmax`, `logsoftmax`, `sigmoid`, or empty if logits come out.
    """

    def __init__(self, given: Trace) -> None:
        self.trace = given
        self.steps: list[Step] = []
        self.votes = ""
        self.values: dict[str, Value] = {}
        self.readers = Counter(name for node in given.nodes for name in node.inputs)
        self.makers = {name: node for node in given.nodes for name in node.outputs}
        self.channels_last = self._is_channels_last()
        self.done: set[str] = set()
        shape = given.shapes[given.input]
        if len(shape) == 3:
            self.sizes: Sizes = (shape[1], 1, shape[2])
            form = "row"
        elif self.channels_last:
            self.sizes, form = (shape[3], shape[1], shape[2]), "last"
        else:
            self.sizes, form = (shape[1], shape[2], shape[3]), "grid"
        self.values[given.input] = Value(0, form)

    def _is_channels_last(self) -> bool:
        """Return whether all that reads the input puts its last axis first."""
        first = [node for node in self.trace.nodes if self.trace.input in node.inputs]
        orders = [node.settings.get("perm") for node in first if node.operator == "Transpose"]
        return bool(first) and len(orders) == len(first) and orders[0] == [0, 3, 1, 2]

    def read(self) -> int:
        """Read all nodes, and return the number of the value that comes out.

        Raises:
            UserError: nodes that cannot be taken; one line for each operator, and what of it.
        """
        refused: dict[str, list[str]] = {}
        for node in self.trace.nodes:
            if set(node.outputs) & self.done:
                continue
            try:
                self._read(node)
            except Unsupported as reason:
                text = f"{node.operator}: {reason}" if str(reason) else node.operator
                refused.setdefault(text, []).append(node.name)
                for output in node.outputs:
                    self.values[output] = Value(-1, "")
        if refused:
            raise UserError(
                *(
                    Problem(f"cannot be imported: {text} (nodes: {listed(names, limit=_SHOWN)})")
                    for text, names in sorted(refused.items())
                )
            )
        return self.values[self.trace.result].step

    def _read(self, node: Node) -> None:
        reader = _READERS.get(node.operator)
        if reader is None:
            raise Unsupported
        if any(self.values[name].step < 0 for name in node.inputs if name in self.values):
            # What it reads has been refused already.
            for output in node.outputs:
                self.values[output] = Value(-1, "")
            return
        self.values[node.outputs[0]] = reader(self, node)

    # What readers ask -----------------------------------------------------------------------------

    def data(self, node: Node, place: int = 0) -> Value:
        """Return an input that depends on the item."""
        name = node.inputs[place]
        if name not in self.values:
            raise Unsupported("its input is a constant")
        return self.values[name]

    def constant(self, node: Node, place: int) -> Array | None:
        """Return an input that is constant; None if there is none, or it depends on the item."""
        if place >= len(node.inputs) or node.inputs[place] in self.values:
            return None
        return self.trace.constants.get(node.inputs[place])

    def need(self, node: Node, place: int) -> Array:
        """Return an input that has to be constant."""
        found = self.constant(node, place)
        if found is None:
            raise Unsupported(f"its input {place + 1} is not a constant")
        return found

    def sizes_of(self, value: Value) -> Sizes:
        """Return channels, rows and columns of a value."""
        return self.sizes if value.step == 0 else self.steps[value.step - 1].sizes

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value of the file, for one item."""
        return self.trace.shapes[name]

    def add(
        self,
        kind: str,
        settings: Mapping[str, Any],
        sources: Sequence[Value],
        sizes: Sizes,
        parameters: Mapping[str, Array] | None = None,
        *,
        form: str = "",
        is_dense: bool = False,
    ) -> Value:
        """Add a step; return what comes out, in the form of what enters, if not told."""
        numbers = tuple(source.step for source in sources)
        self.steps.append(Step(kind, settings, numbers, sizes, parameters or {}, is_dense))
        return Value(len(self.steps), form or sources[0].form)

    def only_reader(self, name: str, operator: str) -> Node | None:
        """Return the one node that reads a value, if it is of this operator."""
        if self.readers[name] != 1:
            return None
        found = [node for node in self.trace.nodes if name in node.inputs]
        return found[0] if found[0].operator == operator else None


def _grid(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    if value.form not in ("grid", "row"):
        raise Unsupported("its input is no grid of channels, rows and columns, in this order")
    return value


def _pair(settings: Mapping[str, Any], name: str, value: Value, usual: int) -> tuple[int, int]:
    """Return a setting for both directions; of a row, that of the columns."""
    given = list(settings.get(name) or [usual] * (1 if value.form == "row" else 2))
    return (usual, given[0]) if value.form == "row" else (given[0], given[1])


def _pads(node: Node, value: Value) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the borders `((above, below), (left, right))`."""
    count = 1 if value.form == "row" else 2
    pads = list(node.settings.get("pads") or [0] * 2 * count)
    if value.form == "row":
        return (0, 0), (pads[0], pads[1])
    return (pads[0], pads[2]), (pads[1], pads[3])


def _out(reader: Reader, node: Node) -> Sizes:
    shape = reader.shape_of(node.outputs[0])
    return (shape[1], 1, shape[2]) if len(shape) == 3 else (shape[1], shape[2], shape[3])


# Convolutions and what adds to them ---------------------------------------------------------------


def _convolution(reader: Reader, node: Node) -> Value:
    value = _grid(reader, node)
    weights = np.asarray(reader.need(node, 1), np.float32)
    weights = weights[:, :, None, :] if weights.ndim == 3 else weights
    bias = reader.constant(node, 2)
    filters, _, rows, columns = weights.shape
    stride = _pair(node.settings, "strides", value, 1)
    dilation = _pair(node.settings, "dilations", value, 1)
    sizes, out = reader.sizes_of(value), _out(reader, node)
    settings: dict[str, Any] = {"filters": filters, "kernel_size": [rows, columns]}
    borders = _borders(node, value)
    settings["padding"] = _padding(borders, sizes[1:], (rows, columns), stride, dilation)
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
    (above, below), (left, right) = _pads(node, value)
    before = value.pads
    return (
        (above + before[0][0], below + before[0][1]),
        (left + before[1][0], right + before[1][1]),
    )


def _padding(
    borders: tuple[tuple[int, int], tuple[int, int]] | str,
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Any:
    """Return the setting that stands for borders of a convolution."""
    if isinstance(borders, str):
        return borders
    same = []
    for size, length, step, gap in zip(sizes, kernel, stride, dilation, strict=True):
        missing = max((-(-size // step) - 1) * step + (length - 1) * gap + 1 - size, 0)
        same.append((missing // 2, missing - missing // 2))
    if borders == ((0, 0), (0, 0)):
        return "valid"
    if list(borders) == same:
        return "same"
    if all(low == high for low, high in borders):
        return [borders[0][0], borders[1][0]]
    raise Unsupported(f"pads {[each for side in zip(*borders, strict=True) for each in side]}")


def _pad(reader: Reader, node: Node) -> Value:
    value = _grid(reader, node)
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


def _dense(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    if node.operator == "Gemm":
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        odd = [name for name, usual in plain.items() if node.settings.get(name, usual) != usual]
        if odd:
            raise Unsupported(f"{odd[0]} {node.settings[odd[0]]}")
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
        raise Unsupported("its input is no list of all cells of an item")
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


def _arithmetic(reader: Reader, node: Node) -> Value:
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
    axis = {"grid": 1, "row": 1, "last": 3, "flat": 1}.get(value.form, -1)
    if axis < 0 or (value.form == "flat" and rows * columns > 1):
        raise Unsupported("a number for each channel can be imported, and not one for each cell")
    dimensions = {"row": 3, "flat": 2}.get(value.form, 4)
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
    """Return the product of a grid with something made of it: a SiLU, a GELU or a gate."""
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
    raise Unsupported("of two values that depend on the item, which is no SiLU and no gate")


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


# Other stages -------------------------------------------------------------------------------------


def _normalization(reader: Reader, node: Node) -> Value:
    value = _grid(reader, node)
    names = ("gain", "bias", "mean", "variance")
    parameters = {
        name: np.asarray(reader.need(node, place), np.float32)
        for place, name in enumerate(names, 1)
    }
    settings: dict[str, Any] = {"kind": "batch", "epsilon": _epsilon(node)}
    return reader.add("normalization", settings, [value], reader.sizes_of(value), parameters)


def _epsilon(node: Node) -> float:
    return max(float(f"{float(node.settings.get('epsilon', 1e-5)):.7g}"), 1e-9)


def _group_normalization(reader: Reader, node: Node) -> Value:
    value = _grid(reader, node)
    channels = reader.sizes_of(value)[0]
    gain, bias = (np.ravel(reader.need(node, place)).astype(np.float32) for place in (1, 2))
    if len(gain) != channels:
        raise Unsupported("a gain for each channel can be imported, and not one for each group")
    groups = int(node.settings["num_groups"])
    settings = {"kind": "group", "groups": groups, "epsilon": _epsilon(node)}
    parameters = {"gain": gain, "bias": bias}
    return reader.add("normalization", settings, [value], reader.sizes_of(value), parameters)


def _instance_normalization(reader: Reader, node: Node) -> Value:
    """Return a normalization of groups: written as one of reshaped maps, as PyTorch does it."""
    value = reader.data(node)
    groups = value.groups
    channels = reader.sizes_of(value)[0]
    gain, bias = (np.ravel(reader.need(node, place)).astype(np.float32) for place in (1, 2))
    if not groups:
        if value.form not in ("grid", "row"):
            raise Unsupported("its input is no grid")
        groups = channels
    gain, bias = (np.repeat(each, channels // groups) for each in (gain, bias))
    settings = {"kind": "group", "groups": groups, "epsilon": _epsilon(node)}
    made = reader.add(
        "normalization",
        settings,
        [value],
        reader.sizes_of(value),
        {"gain": gain, "bias": bias},
    )
    return replace(made, groups=value.groups)


def _rectification(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    leak = float(f"{float(node.settings.get('alpha', 0.01)):.7g}")
    settings = {"leak": leak} if node.operator == "LeakyRelu" else {}
    if settings and not 0 <= leak < 1:
        raise Unsupported(f"alpha {leak:g}")
    return reader.add("rectification", settings, [value], reader.sizes_of(value))


def _clip(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    low = node.settings.get("min", reader.constant(node, 1))
    high = node.settings.get("max", reader.constant(node, 2))
    if low is None or float(low) != 0 or (high is not None and float(high) < 1e30):
        ends = ", ".join("none" if each is None else f"{float(each):g}" for each in (low, high))
        raise Unsupported(f"from {ends}")
    return reader.add("rectification", {}, [value], reader.sizes_of(value))


def _activation(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    if node.operator == "Gelu" and node.settings.get("approximate", "none") != "none":
        raise Unsupported("by an approximation")
    if node.operator == "Sigmoid" and node.outputs[0] == reader.trace.result:
        reader.votes = "sigmoid"
        return value
    function = {"Swish": "silu"}.get(node.operator, node.operator.lower())
    return reader.add("activation", {"function": function}, [value], reader.sizes_of(value))


def _softmax(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    axis = node.settings.get("axis", -1)
    if node.outputs[0] != reader.trace.result or axis not in (1, -1):
        raise Unsupported("anywhere but at the end, over the classes")
    reader.votes = node.operator.lower()
    return value


def _error_function(reader: Reader, node: Node) -> Value:
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
    made = reader.add("activation", {"function": "gelu"}, [value], reader.sizes_of(value))
    reader.values[second.outputs[0]] = made
    return made


def _pooling(reader: Reader, node: Node) -> Value:
    value = _grid(reader, node)
    is_mean = node.operator == "AveragePool"
    window = _pair(node.settings, "kernel_shape", value, 1)
    stride = _pair(node.settings, "strides", value, 1)
    sizes, out = reader.sizes_of(value), _out(reader, node)
    automatic = node.settings.get("auto_pad", "NOTSET")
    borders = _pads(node, value)
    if any(_pair(node.settings, "dilations", value, 1)[n] != 1 for n in (0, 1)):
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
        raise Unsupported("with a border before the first row or column")
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


def _pooling_of_all(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    if value.form not in ("grid", "row", "last"):
        raise Unsupported("its input is no grid")
    if node.operator.startswith("Reduce"):
        axes = reader.constant(node, 1) if len(node.inputs) > 1 else node.settings.get("axes")
        dimensions = len(reader.shape_of(node.inputs[0]))
        given = sorted(int(axis) % dimensions for axis in np.ravel([] if axes is None else axes))
        wanted = {"grid": [2, 3], "row": [2], "last": [1, 2]}[value.form]
        if given != wanted:
            raise Unsupported("over anything but rows and columns")
    is_mean = node.operator in ("GlobalAveragePool", "ReduceMean")
    settings = {"window": "all", "mode": "mean"} if is_mean else {"window": "all"}
    sizes = (reader.sizes_of(value)[0], 1, 1)
    form = "flat" if len(reader.shape_of(node.outputs[0])) == 2 else value.form
    return reader.add("pooling", settings, [value], sizes, form=form)


def _join(reader: Reader, node: Node) -> Value:
    values = [reader.data(node, place) for place in range(len(node.inputs))]
    dimensions = len(reader.shape_of(node.outputs[0]))
    axis = int(node.settings["axis"]) % dimensions
    forms = {value.form for value in values}
    wanted = {"grid": 1, "row": 1, "last": 3}
    if len(forms) > 1 or wanted.get(values[0].form) != axis:
        raise Unsupported("along anything but the channels of grids")
    sizes = [reader.sizes_of(value) for value in values]
    out = (sum(each[0] for each in sizes), *sizes[0][1:])
    return reader.add("join", {}, values, out)


# Form ---------------------------------------------------------------------------------------------


def _same(reader: Reader, node: Node) -> Value:
    return reader.data(node)


def _transpose(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    order = node.settings.get("perm")
    moved = {("grid", (0, 2, 3, 1)): "last", ("last", (0, 3, 1, 2)): "grid"}
    form = moved.get((value.form, tuple(order or ())))
    if form is None:
        raise Unsupported(f"of a {value.form} by {order}")
    return Value(value.step, form)


def _reshape(reader: Reader, node: Node) -> Value:
    value = reader.data(node)
    channels, rows, columns = reader.sizes_of(value)
    shape = reader.shape_of(node.outputs[0])
    cells = channels * rows * columns
    if value.groups:
        return Value(value.step, value.form)  # maps in groups become maps again
    if shape[1:] == (cells,):
        forms = {"grid": "flat", "row": "flat", "last": "flat last"}
        return Value(value.step, forms.get(value.form, value.form))
    if rows == columns == 1 and shape[1:] in ((channels, 1, 1), (channels, 1)):
        return Value(value.step, "grid" if len(shape) == 4 else "row")
    if rows == columns == 1 and shape[1:] == (1, 1, channels):
        return Value(value.step, "last")
    if value.form in ("grid", "row") and shape[1:] in (
        (channels, rows, columns),
        (channels, columns),
    ):
        return Value(value.step, "grid" if len(shape) == 4 else "row")
    following = reader.only_reader(node.outputs[0], "InstanceNormalization")
    if value.form in ("grid", "row") and following is not None and channels % shape[1] == 0:
        return Value(value.step, value.form, groups=shape[1])
    raise Unsupported(f"of {reader.shape_of(node.inputs[0])[1:]} to {shape[1:]}")


Read = Callable[[Reader, Node], Value]
_READERS: dict[str, Read] = {
    "Add": _arithmetic,
    "AveragePool": _pooling,
    "BatchNormalization": _normalization,
    "Cast": _same,
    "Clip": _clip,
    "Concat": _join,
    "Conv": _convolution,
    "Div": _arithmetic,
    "Dropout": _same,
    "Erf": _error_function,
    "Flatten": _reshape,
    "Gelu": _activation,
    "Gemm": _dense,
    "GlobalAveragePool": _pooling_of_all,
    "GlobalMaxPool": _pooling_of_all,
    "GroupNormalization": _group_normalization,
    "Identity": _same,
    "InstanceNormalization": _instance_normalization,
    "LeakyRelu": _rectification,
    "LogSoftmax": _softmax,
    "MatMul": _dense,
    "MaxPool": _pooling,
    "Mul": _arithmetic,
    "Pad": _pad,
    "ReduceMax": _pooling_of_all,
    "ReduceMean": _pooling_of_all,
    "Relu": _rectification,
    "Reshape": _reshape,
    "Sigmoid": _activation,
    "Softmax": _softmax,
    "Squeeze": _reshape,
    "Sub": _arithmetic,
    "Swish": _activation,
    "Tanh": _activation,
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
"""What reads each operator."""
