"""Classes as an output of a file of ONNX."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.errors import SpecError
from gridcnn.export.formats import make_format
from gridcnn.grid import GridShape
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load

runtime: Any = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


def model(classes: list[str | int], *, labels: str = "one") -> Model:
    head = {"voting": {"labels": labels}}
    adapter = {"array": {"size": [2, 3], "channels": 1, "scaling": "none"}}
    spec = load({"name": "tiny", "adapter": adapter, "stages": [], "head": head})
    network = Network(spec, GridShape(1, 2, 3), classes=len(classes))
    return Model(spec, classes, np.random.default_rng(0).normal(0, 1, network.parameters))


@pytest.mark.parametrize("classes", [["O", "Ä x", "-"], [3, 10, -1]])
def test_the_class_of_the_answer_comes_out_if_asked_for(classes: list[str | int]) -> None:
    """As a text, or as the number that it is."""
    made = make_format("onnx", {"labels": True}).export(model(classes), Path("x.onnx"))
    session = runtime.InferenceSession(made.contents[".onnx"], providers=["CPUExecutionProvider"])
    arrays = np.random.default_rng(1).normal(0, 1, (20, 1, 2, 3)).astype(np.float32)

    votes, answers, labels = session.run(["votes", "answer", "label"], {"arrays": arrays})

    assert len(set(answers.tolist())) == 3
    assert votes.shape == (20, 3)
    assert labels.tolist() == [classes[answer] for answer in answers.tolist()]
    kind = "text" if isinstance(classes[0], str) else "int64"
    assert made.facts["outputs"]["label"] == f"{kind} (items,)"


def test_several_labels_have_no_single_class() -> None:
    with pytest.raises(SpecError, match="--labels is for models that give each item one class"):
        make_format("onnx", {"labels": True}).export(
            model(["a", "b"], labels="several"), Path("x.onnx")
        )
