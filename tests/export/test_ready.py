"""Every ready spec as ONNX: the votes of `gridcnn predict` on its test items."""

import functools
import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.errors import GridcnnError
from gridcnn.export.formats import make_format
from gridcnn.export.onnx.checking import TYPES, votes_in_runtime
from gridcnn.export.onnx.feeding import batches
from gridcnn.grid import Array
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.pipelines import ready
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import divide_for_training
from gridcnn.spec.load import load

pytestmark = pytest.mark.slow

runtime: Any = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

NAMES = sorted(set(ready()) - {"photos"})
"""Those that come with data."""
FEW = 24


@functools.cache
def model_and_items(name: str) -> tuple[Model, Any]:
    """Return an untrained model, with its adapter fitted, and its test items."""
    located = locate(load(name, ready=ready()), None, Path.cwd())
    try:
        divided = divide_for_training(located)
    except GridcnnError as error:
        pytest.skip(f"the data cannot be had here: {error}")
    spec = located.resolved(divided.dataset).spec
    spec = spec.model_copy(update={"adapter": divided.fitted.adapter})
    classes = divided.dataset.classes
    network = Network(spec, divided.fitted.shape, classes=len(classes))
    # As large as those of a trained network, so that votes differ.
    parameters = network.starting_parameters()
    test = [divided.dataset.things[index] for index in divided.division.test.tolist()]
    return Model(spec, classes, parameters), test


def made(model: Model, **options: Any) -> bytes:
    return make_format("onnx", options).export(model, Path("x.onnx")).contents[".onnx"]


def in_openvino(model: Model, content: bytes, things: Any) -> Array:
    openvino: Any = pytest.importorskip("openvino")
    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(io.BytesIO(content)), "CPU", hints)
    (taken,) = runtime.InferenceSession(content, providers=["CPUExecutionProvider"]).get_inputs()
    votes = np.empty((len(things), len(model.classes)), np.float32)
    for chosen, array in batches(model.adapter, taken.name, np.dtype(TYPES[taken.type]), things):
        votes[chosen] = compiled({taken.name: array})["votes"]
    return votes


def check(name: str, few: int | None) -> None:
    model, things = model_and_items(name)
    model = model.with_one_view()  # what a file can hold
    things = things if few is None else things[:: max(1, len(things) // few)]
    options: dict[str, Any] = {}
    expected = model.votes_of_many(things)
    assert np.ptp(expected, axis=0).max() > 1e-3

    found = votes_in_runtime(model, made(model, **options), things)

    np.testing.assert_allclose(found, expected, atol=1e-5)
    if importlib.util.find_spec("openvino"):
        # It knows no texts.
        options |= {"input": "number"} if name == "news" else {}
        found = in_openvino(model, made(model, **options), things)
        apart = np.abs(found - expected).max(axis=1)
        # Of pictures with ink, cells can have a third of the strongest but for rounding, and a
        # third is a threshold.
        assert (apart > 1e-5).mean() <= (0.001 if name == "xo" else 0)


@pytest.mark.parametrize("name", NAMES)
def test_some_test_items_have_the_same_votes(name: str) -> None:
    check(name, FEW)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_all_test_items_have_the_same_votes(name: str) -> None:
    check(name, None)
