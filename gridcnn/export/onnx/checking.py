"""Running an ONNX file in ONNX Runtime, to compare it with its model."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Things
from gridcnn.errors import UserError
from gridcnn.export.onnx.feeding import batches
from gridcnn.model import Model

TYPES: dict[str, Any] = {
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(string)": object,
}


def need_runtime() -> Any:
    """Return ONNX Runtime; raise `UserError` if it is not installed."""
    try:
        return import_module("onnxruntime")
    except ImportError:
        raise UserError(
            "a check needs ONNX Runtime, which is not installed: "
            "python -m pip install 'gridcnn[onnx]'"
        ) from None


def session_of(content: bytes) -> Any:
    """Return a session of ONNX Runtime; raise `UserError` if it is not installed."""
    runtime = need_runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def votes_in_runtime(model: Model, content: bytes, things: Things) -> NDArray[np.float32]:
    """Return the votes of a file in ONNX Runtime, float32 `(items, classes)`."""
    session = session_of(content)
    (inputs,) = session.get_inputs()
    dtype = np.dtype(TYPES[inputs.type])
    votes = np.empty((len(things), len(model.classes)), np.float32)
    for chosen, array in batches(model.adapter, inputs.name, dtype, things):
        votes[chosen] = session.run(["votes"], {inputs.name: array})[0]
    return votes


def largest_difference(model: Model, content: bytes, things: Things) -> float:
    """Return by how much votes in ONNX Runtime differ from those of the model, at most."""
    if not len(things):
        return 0.0
    expected = model.votes_of_many(things)
    return float(np.abs(votes_in_runtime(model, content, things) - expected).max())
