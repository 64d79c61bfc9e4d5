"""Photographs with very many pixels: the votes of a file of ONNX, and of the model."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gridcnn
from gridcnn.export.formats import make_format
from gridcnn.export.onnx.checking import votes_in_runtime
from gridcnn.grid import Array
from gridcnn.model import Model

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


@pytest.fixture(scope="module")
def model(paint: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return a model of three classes of photographs, trained on small ones."""
    folder = tmp_path_factory.mktemp("painted")
    paint(folder, 20, side=48)
    spec = {
        "data": {"source": str(folder)},
        "adapter": {"image": {"size": [24, 24], "channels": 3, "fit": "crop"}},
        "stages": [{"convolution": {"filters": 8}}, "rectification", {"pooling": {"window": 4}}],
        "head": "voting",
        "training": {"epochs": 20, "learning_rate": 0.01, "batch_size": 16, "seed": 0},
    }
    return gridcnn.run(spec).model


def files(folder: Path, form: str, paint: Callable[..., None]) -> list[bytes]:
    """Return two photographs of each class, of 640 pixels along a side."""
    paint(folder, 2, side=640, seed=5)
    contents = []
    for path in sorted(folder.rglob("*.png")):
        content = BytesIO()
        Image.open(path).save(content, form, quality=85)
        contents.append(content.getvalue())
    return contents


def differences(model: Model, things: list[bytes]) -> Array:
    expected = model.votes_of_many(things)
    assert np.ptp(expected, axis=0).max() > 0.5
    content = make_format("onnx", {}).export(model, Path("x.onnx")).contents[".onnx"]
    apart: Array = np.abs(votes_in_runtime(model, content, things) - expected)
    return apart


def test_votes_on_large_pictures_are_the_same(
    model: Model, paint: Callable[..., None], tmp_path: Path
) -> None:
    assert differences(model, files(tmp_path, "png", paint)).max() < 1e-5


def test_votes_on_large_jpeg_files_differ_by_less_than_a_hundredth(
    model: Model, paint: Callable[..., None], tmp_path: Path
) -> None:
    """These are decoded smaller by Python, and whole for the file."""
    found = differences(model, files(tmp_path, "jpeg", paint)).max()
    assert 0 < found < 0.01
