"""Adapters as files of ONNX, run in ONNX Runtime and in OpenVINO."""

import importlib.util
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gridcnn.contracts.adapter import Adapter
from gridcnn.export.onnx.adapters import add_adapter
from gridcnn.export.onnx.checking import TYPES, session_of
from gridcnn.export.onnx.feeding import batches
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.symbols import one_hot
from gridcnn.grid import Array

Run = Callable[[str, Any], Array]


def content_of(adapter: Adapter, *, opset: int = 17, **options: Any) -> bytes:
    graph = Graph(opset)
    feed = add_adapter(graph, adapter, **options)
    shape = adapter.shape()
    grids = feed.grids if feed.indices is None else one_hot(feed.indices, shape.rows).name
    graph.output(grids, "grids", np.float32, ("items", *shape.sizes))
    return graph.content("adapter", {})


def in_onnxruntime(content: bytes) -> Run:
    session = session_of(content)
    return lambda name, array: session.run(None, {name: array})[0]


def in_openvino(content: bytes) -> Run:
    openvino: Any = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    core = openvino.Core()
    # It computes with 16 bits where the processor does that faster, unless told otherwise.
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(io.BytesIO(content)), "CPU", hints)
    return lambda name, array: next(iter(compiled({name: array}).values()))


def grids_of(adapter: Adapter, things: Any, run: Run, taken: Any) -> Array:
    found = np.empty((len(things), *adapter.shape().sizes), np.float32)
    for chosen, array in batches(adapter, taken.name, np.dtype(TYPES[taken.type]), things):
        found[chosen] = run(taken.name, array)
    return found


def check(
    adapter: Adapter,
    things: Any,
    *,
    atol: float = 1e-5,
    openvino: bool = True,
    opset: int = 17,
    **options: Any,
) -> None:
    content = content_of(adapter, opset=opset, **options)
    (taken,) = session_of(content).get_inputs()
    expected = np.asarray(adapter.grids(things).values)

    found = grids_of(adapter, things, in_onnxruntime(content), taken)

    np.testing.assert_allclose(found, expected, atol=atol, rtol=1e-5)
    if openvino and importlib.util.find_spec("openvino"):
        found = grids_of(adapter, things, in_openvino(content), taken)
        np.testing.assert_allclose(found, expected, atol=atol, rtol=1e-5)
