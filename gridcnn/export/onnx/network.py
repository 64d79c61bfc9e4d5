"""The network as nodes of ONNX: each stage with the operators that do the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gridcnn.contracts.stage import HeadStage
from gridcnn.errors import Problem, UserError
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.symbols import one_hot
from gridcnn.export.onnx.values import Value, constant, where
from gridcnn.grid import Array
from gridcnn.network import Network, Op
from gridcnn.stages.activation import Activation
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.dropout import Dropout
from gridcnn.stages.gate import Gate
from gridcnn.stages.merging import Join, Sum
from gridcnn.stages.normalization import Normalization
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import IndependentVotes, Votes, VotingLayers

_OWN_GELU = 20  # since this version ONNX has the operator


def add_network(
    graph: Graph, network: Network, parameters: Array, grids: str, indices: Value | None = None
) -> str:
    """Add all operations of a network, and return its votes, `(items, classes)`.

    Args:
        graph: the graph in the making.
        network: a network with a head.
        parameters: the flat float32 vector.
        grids: the grids that enter, `(items, channels, rows, columns)`; unused with `indices`.
        indices: of one-hot grids, the row of each column's 1, `(items, columns)`.

    Raises:
        UserError: a stage of another package cannot be expressed; all such stages are named.
    """
    looked_up = set[int]()
    if indices is not None:
        looked_up = {n for n, op in enumerate(network.ops) if _looks_up(op)}
        readers = {n for n, op in enumerate(network.ops) if 0 in op.sources}
        if not readers or readers - looked_up:
            grids = one_hot(indices, network.shape.rows).name
    values = [grids]
    problems = []
    for number, op in enumerate(network.ops):
        writer = _WRITERS.get(type(op.stage))
        if writer is None:
            problems.append(Problem(f"{op.label}: this stage cannot be expressed in ONNX"))
            values.append("")
        elif number in looked_up and not problems:
            assert indices is not None
            values.append(_look_up(graph, op, indices, op.views(parameters)))
        elif not problems:
            inputs = [values[source] for source in op.sources]
            values.append(writer(graph, op, inputs, op.views(parameters)))
        else:
            values.append("")
    if problems:
        raise UserError(*problems)
    return _votes(graph, network.head, values[network.result])


def _votes(graph: Graph, head: HeadStage | None, logits: str) -> str:
    if isinstance(head, IndependentVotes):
        return graph.node("Sigmoid", logits)
    return graph.node("Softmax", logits, axis=1)


def _name(op: Op) -> str:
    """Return what an operation's values are called, as `3.1.convolution`."""
    return op.label.replace(" ", ".")


def _convolution(graph: Graph, op: Op, inputs: list[str], weights: Mapping[str, Array]) -> str:
    stage = op.stage
    assert isinstance(stage, Convolution)
    features = weights["weights"]
    if stage.scale == "match":
        features = features / np.float32(features[0].size)
    name = _name(op)
    constants = [graph.constant(features, name=f"{name}.weights")]
    if stage.bias:
        constants.append(graph.constant(weights["bias"], name=f"{name}.bias"))
    (above, below), (left, right) = stage.borders(op.input)
    return graph.node(
        "Conv",
        *inputs,
        *constants,
        name=name,
        kernel_shape=list(stage.kernel(op.input)),
        strides=list(stage.stride),
        dilations=list(stage.dilation),
        pads=[above, left, below, right],
        group=stage.group_count(op.input.channels),
    )


def _looks_up(op: Op) -> bool:
    """Return whether a convolution of one-hot grids can look its weights up: it takes all rows."""
    stage = op.stage
    if type(stage) is not Convolution or op.sources != (0,):
        return False
    whole = stage.kernel(op.input)[0] == op.input.rows and op.output.rows == 1
    return whole and stage.borders(op.input)[0] == (0, 0) and stage.group_count(1) == 1


def _look_up(graph: Graph, op: Op, indices: Value, weights: Mapping[str, Array]) -> str:
    """Return a convolution of one-hot grids, without a product for each of their 0s.

    The weights of a symbol are a row of a table, and what a column adds at each place in the
    kernel becomes a map of its own. A convolution whose weights are 0 and 1 adds these up where
    they belong.
    """
    stage = op.stage
    assert isinstance(stage, Convolution)
    features = weights["weights"]
    if stage.scale == "match":
        features = features / np.float32(features[0].size)
    filters, _, rows, columns = features.shape
    name = _name(op)
    table = features[:, 0].transpose(1, 0, 2).reshape(rows, filters * columns)
    # The last row is that of no symbol.
    table = np.concatenate([table, np.zeros((1, filters * columns), np.float32)])
    chosen = where(indices < 0, rows, indices)
    found = constant(graph, table, np.float32, f"{name}.weights").take(chosen)
    maps = found.transpose(0, 2, 1).unsqueeze(2)
    places = np.tile(np.eye(columns)[None, :, None], (filters, 1, 1, 1))
    constants = [graph.constant(places, name=f"{name}.places")]
    if stage.bias:
        constants.append(graph.constant(weights["bias"], name=f"{name}.bias"))
    (_, (left, right)) = stage.borders(op.input)
    return graph.node(
        "Conv",
        maps.name,
        *constants,
        name=name,
        kernel_shape=[1, columns],
        strides=[1, stage.stride[1]],
        dilations=[1, stage.dilation[1]],
        pads=[0, left, 0, right],
        group=filters,
    )


def _pooling(graph: Graph, op: Op, inputs: list[str], _: Mapping[str, Array]) -> str:
    stage = op.stage
    assert isinstance(stage, Pooling)
    window, stride = stage.sizes(op.input)
    sizes = (op.input.rows, op.input.columns)
    kind = "Max" if stage.mode == "max" else "Average"
    if window[0] >= sizes[0] and window[1] >= sizes[1]:
        return graph.node(f"Global{kind}Pool", *inputs, name=_name(op))
    # Windows that reach beyond the grid keep the cells that they have.
    out = (op.output.rows, op.output.columns)
    window = (min(window[0], sizes[0]), min(window[1], sizes[1]))
    beyond = [
        max((count - 1) * step + length - size, 0)
        for count, step, length, size in zip(out, stride, window, sizes, strict=True)
    ]
    return graph.node(
        f"{kind}Pool",
        *inputs,
        name=_name(op),
        kernel_shape=list(window),
        strides=list(stride),
        pads=[0, 0, *beyond],
    )


def _rectification(graph: Graph, op: Op, inputs: list[str], _: Mapping[str, Array]) -> str:
    stage = op.stage
    assert isinstance(stage, Rectification)
    if stage.leak:
        return graph.node("LeakyRelu", *inputs, name=_name(op), alpha=float(stage.leak))
    return graph.node("Relu", *inputs, name=_name(op))


def _activation(graph: Graph, op: Op, inputs: list[str], _: Mapping[str, Array]) -> str:
    stage = op.stage
    assert isinstance(stage, Activation)
    value = inputs[0]
    if stage.function == "tanh":
        return graph.node("Tanh", value, name=_name(op))
    if stage.function == "sigmoid":
        return graph.node("Sigmoid", value, name=_name(op))
    if stage.function == "silu":
        return graph.node("Mul", value, graph.node("Sigmoid", value), name=_name(op))
    if graph.opset >= _OWN_GELU:
        return graph.node("Gelu", value, name=_name(op))
    below = graph.node("Erf", graph.binary("Mul", value, 1 / math.sqrt(2)))
    half = graph.binary("Mul", graph.binary("Add", below, 1.0), 0.5)
    return graph.node("Mul", value, half, name=_name(op))


def _normalization(graph: Graph, op: Op, inputs: list[str], weights: Mapping[str, Array]) -> str:
    stage = op.stage
    assert isinstance(stage, Normalization)
    name = _name(op)
    if stage.kind == "batch":
        constants = [
            graph.constant(weights[each], name=f"{name}.{each}")
            for each in ("gain", "bias", "mean", "variance")
        ]
        return graph.node(
            "BatchNormalization", *inputs, *constants, name=name, epsilon=stage.epsilon
        )
    count = stage.group_count(op.input)
    together = graph.reshape(inputs[0], 0, count, -1)
    normal = graph.node(
        "InstanceNormalization",
        together,
        graph.constant(np.ones(count)),
        graph.constant(np.zeros(count)),
        epsilon=stage.epsilon,
    )
    maps = graph.reshape(normal, 0, *op.input.sizes)
    gain, bias = (weights[each].reshape(1, -1, 1, 1) for each in ("gain", "bias"))
    scaled = graph.node("Mul", maps, graph.constant(gain, name=f"{name}.gain"))
    return graph.node("Add", scaled, graph.constant(bias, name=f"{name}.bias"), name=name)


def _gate(graph: Graph, op: Op, inputs: list[str], weights: Mapping[str, Array]) -> str:
    name = _name(op)
    means = graph.node("Flatten", graph.node("GlobalAveragePool", inputs[0]))
    hidden = graph.node("Relu", _dense(graph, means, weights, f"{name}.", "hidden"))
    gates = graph.node("Sigmoid", _dense(graph, hidden, weights, f"{name}.", "gate"))
    gates = graph.node("Unsqueeze", gates, graph.ints(2, 3))
    return graph.node("Mul", inputs[0], gates, name=name)


def _dense(graph: Graph, value: str, weights: Mapping[str, Array], prefix: str, layer: str) -> str:
    return graph.node(
        "Gemm",
        value,
        graph.constant(weights[f"{layer}.weights"], name=f"{prefix}{layer}.weights"),
        graph.constant(weights[f"{layer}.bias"], name=f"{prefix}{layer}.bias"),
        name=f"{prefix}{layer}",
        transB=1,
    )


def _nothing(graph: Graph, op: Op, inputs: list[str], _: Mapping[str, Array]) -> str:  # noqa: ARG001
    return inputs[0]


def _sum(graph: Graph, op: Op, inputs: list[str], _: Mapping[str, Array]) -> str:
    total = inputs[0]
    for number, each in enumerate(inputs[1:], 2):
        name = _name(op) if number == len(inputs) else ""
        total = graph.node("Add", total, each, name=name)
    return total


def _join(graph: Graph, op: Op, inputs: list[str], _: Mapping[str, Array]) -> str:
    return graph.node("Concat", *inputs, name=_name(op), axis=1)


def _voting(graph: Graph, op: Op, inputs: list[str], weights: Mapping[str, Array]) -> str:
    stage = op.stage
    assert isinstance(stage, VotingLayers)
    value = graph.node("Flatten", inputs[0])
    for number, (layer, _, _) in enumerate(stage.layers(op.input.cells)):
        if number:
            value = graph.node("Relu", value)
        value = _dense(graph, value, weights, f"{_name(op)}.", layer)
    return value


_WRITERS: dict[type[Any], Callable[[Graph, Op, list[str], Mapping[str, Array]], str]] = {
    Convolution: _convolution,
    Pooling: _pooling,
    Rectification: _rectification,
    Activation: _activation,
    Normalization: _normalization,
    Gate: _gate,
    Dropout: _nothing,
    Sum: _sum,
    Join: _join,
    Votes: _voting,
    IndependentVotes: _voting,
}
"""By the exact class: a subclass may compute something else."""
