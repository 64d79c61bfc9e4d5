"""A file of ONNX, run once: the shape of each value, and the numbers of those that are constant.

Programs write how sizes follow from each other as nodes (`Shape`, `Gather`, `Concat`). With a batch
of one item all of these are numbers, which nothing has to understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from gridcnn.errors import ModelFileError, Problem, UserError, listed
from gridcnn.export.onnx.graph import need_onnx
from gridcnn.files import read_whole
from gridcnn.grid import Array

_LARGEST = 2**31
_FEWEST, _MOST = 3, 4  # dimensions of the input
_ONLY_SHAPE = frozenset({"Shape", "Size"})
"""Operators whose result does not depend on the values of their input."""


@dataclass(frozen=True)
class Node:
    """One node: what it computes, from what, under which name."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Trace:
    """A file of ONNX whose input is one batch of grids.

    Attributes:
        content: the file's content; its batches may have any size, unless `is_fixed`.
        input: the name of the input.
        output: the name of the output.
        result: the name of the value that is passed on as the output.
        nodes: the nodes that depend on the numbers that go in, and that the output depends on, in
            an order that works.
        shapes: the shape of each value, for a batch of one item.
        constants: the values that depend on nothing, or on sizes alone.
        metadata: what the file says about itself.
        is_fixed: whether only batches of one item go in.
    """

    content: bytes
    input: str
    output: str
    result: str
    nodes: tuple[Node, ...]
    shapes: Mapping[str, tuple[int, ...]]
    constants: Mapping[str, Array]
    metadata: Mapping[str, str]
    is_fixed: bool


def trace(path: Path) -> Trace:
    """Return what is in a file of ONNX.

    Raises:
        ModelFileError: it cannot be read, is damaged, or is not a network with one input and one
            output.
        UserError: a package is missing.
    """
    need_onnx()
    onnx: Any = import_module("onnx")
    try:
        content = read_whole(path, most=_LARGEST)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"{path} cannot be read: {reason}") from None
    try:
        model = onnx.load_model_from_string(content)
        _refuse_unusual(onnx, model, path)
        onnx.checker.check_model(model)
    except ModelFileError:
        raise
    except Exception as error:  # a damaged file makes protobuf raise anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "it is damaged"
        raise ModelFileError(f"{path} is not an ONNX file that can be used: {reason}") from None
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in stored]
    if len(inputs) != 1 or not model.graph.output:
        names = listed([input_.name for input_ in inputs])
        raise ModelFileError(
            f"{path} has {len(inputs)} inputs ({names}); a network with one can be imported"
        )
    sizes = [each.dim_value or 0 for each in inputs[0].type.tensor_type.shape.dim]
    is_fixed = bool(sizes) and sizes[0] == 1
    if not _FEWEST <= len(sizes) <= _MOST or 0 in sizes[1:]:
        raise ModelFileError(
            f"{path} takes {_form(inputs[0])}; (items, channels, rows, columns) of known sizes can "
            "be imported"
        )
    runnable = _with_all_outputs(onnx, model, inputs[0])
    values = _run(runnable, inputs[0].name, (1, *sizes[1:]), path)
    output = model.graph.output[0].name
    depends = {inputs[0].name}
    nodes = []
    for node in _ancestors(model.graph.node, output):
        if node.op_type not in _ONLY_SHAPE and depends & set(node.input):
            depends |= set(node.output)
            nodes.append(_node(onnx, node))
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    constants = {**arrays, **{name: each for name, each in values.items() if name not in depends}}
    shapes = {name: np.shape(each) for name, each in values.items()}
    shapes[inputs[0].name] = (1, *sizes[1:])
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    result = output
    makers = {name: node for node in nodes for name in node.outputs}
    while result in makers and makers[result].operator == "Identity":
        result = makers[result].inputs[0]
    return Trace(
        content,
        inputs[0].name,
        output,
        result,
        tuple(nodes),
        shapes,
        constants,
        metadata,
        is_fixed,
    )


def _refuse_unusual(onnx: Any, model: Any, path: Path) -> None:
    """Raise `ModelFileError` if it has an adapter inside, or operators that ONNX does not have."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if "gridcnn" in metadata and metadata.get("input", "grid") != "grid":
        raise ModelFileError(
            f"{path} is a file of gridcnn, and its adapter is inside; export it again with "
            "--input grid, which writes the network alone"
        )
    opset = max((each.version for each in model.opset_import if not each.domain), default=0)
    unknown = {
        node.op_type
        for node in model.graph.node
        if node.domain in ("", "ai.onnx") and not onnx.defs.has(node.op_type)
    }
    if unknown and opset:
        raise ModelFileError(
            f"{path} has operators that ONNX does not have: {listed(sorted(unknown))} (opset "
            f"{opset}); the program that wrote it could not express them"
        )


def _ancestors(nodes: Sequence[Any], output: str) -> list[Any]:
    """Return the nodes that an output depends on, in their order."""
    needed, chosen = {output}, []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed |= set(node.input)
            chosen.append(node)
    return chosen[::-1]


def session_of(content: bytes) -> Any:
    """Return a session of ONNX Runtime that computes all nodes as they stand."""
    try:
        runtime: Any = import_module("onnxruntime")
    except ImportError:
        raise UserError(
            "importing needs ONNX Runtime, which is not installed: "
            "python -m pip install 'gridcnn[onnx]'"
        ) from None
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _form(value: Any) -> str:
    dims = value.type.tensor_type.shape.dim
    return f"({', '.join(each.dim_param or str(each.dim_value) for each in dims)})"


def _with_all_outputs(onnx: Any, model: Any, taken: Any) -> bytes:
    """Return the model with a batch of one item, and all values as outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for each in copy.graph.input:
        if each.name == taken.name:
            each.type.tensor_type.shape.dim[0].dim_value = 1
    del copy.graph.output[:]
    del copy.graph.value_info[:]
    for node in copy.graph.node:
        for name in node.output:
            if name:
                copy.graph.output.append(onnx.ValueInfoProto(name=name))
    return bytes(copy.SerializeToString())


def _run(content: bytes, name: str, sizes: Sequence[int], path: Path) -> dict[str, Array]:
    try:
        session = session_of(content)
        outputs = [each.name for each in session.get_outputs()]
        values = session.run(outputs, {name: np.zeros(sizes, np.float32)})
    except UserError:
        raise
    except Exception as error:  # ONNX Runtime has errors of its own for each failure
        raise ModelFileError(Problem(_reason(str(error)), str(path))) from None
    return dict(zip(outputs, values, strict=True))


def _reason(text: str) -> str:
    """Return an error of ONNX Runtime as a sentence: its texts have codes and places in C++."""
    place = re.search(r"(?:[Nn]ode(?: with name)?(?:\.? ?Name)?)[ :]*[('\"]+([^)'\"]+)[)'\"]", text)
    at = f" at '{place[1]}'" if place else ""
    if "NOT_IMPLEMENTED" in text:
        return f"ONNX Runtime, which computes it for the import, has no code for a node{at}"
    return f"its nodes do not fit together: ONNX Runtime fails{at}"


def _node(onnx: Any, node: Any) -> Node:
    settings = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    plain = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in settings.items()
    }
    name = node.name or (node.output[0] if node.output else "")
    return Node(node.op_type, name, tuple(node.input), tuple(node.output), plain)
