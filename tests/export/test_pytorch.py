"""`--to pytorch`: a Python file that is read with PyTorch alone, and gives the same votes."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from gridcnn.engines.base import make_engine
from gridcnn.export import pytorch
from gridcnn.export.formats import export
from gridcnn.grid import Array
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load

SPEC: dict[str, Any] = {
    "name": "odd",
    "adapter": {"text": {"alphabet": 'ab"\\\u00e4', "length": 9}},
    "stages": [
        {"convolution": {"filters": 4, "kernel_size": ["all", 2], "padding": "same"}},
        "rectification",
        {"skip": [{"convolution": {"filters": 4, "kernel_size": [1, 3]}}, "normalization"]},
        {"pooling": {"window": [1, 2]}},
    ],
    "head": {"voting": {"hidden": [5], "dropout": 0.5}},
}


def make_model(spec: Any = SPEC, classes: Any = ("no", "y\"es'\n", 3)) -> Model:
    loaded = load(spec)
    assert loaded.adapter is not None
    network = Network(loaded, loaded.adapter.shape(), classes=len(classes))
    random = np.random.default_rng(0)
    parameters = np.abs(random.normal(0, 0.5, network.parameters)).astype(np.float32)
    return Model(loaded, classes, parameters)


def module_of(path: Path) -> Any:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    spec = importlib.util.spec_from_file_location("exported", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_votes_as_the_model(tmp_path: Path) -> None:
    model = make_model()
    texts = ["ab", 'b"a', "\\\\\\ab", "\u00e4\u00e4\u00e4\u00e4ab"]

    written = export(model, "pytorch", tmp_path / "odd.py")

    assert [path.name for path in written.paths] == ["odd.py", "odd.safetensors"]
    module = module_of(tmp_path / "odd.py")
    assert list(model.classes) == module.CLASSES
    network = module.load()
    grids = np.asarray(model.adapter.grids(texts).values)
    np.testing.assert_allclose(module.vote(network, grids), model.votes(texts), atol=1e-5)
    assert not network.training


def test_the_file_is_python_without_gridcnn(tmp_path: Path) -> None:
    """It compiles, and imports nothing of gridcnn."""
    export(make_model(), "pytorch", tmp_path / "odd.py")
    text = (tmp_path / "odd.py").read_text()

    compile(text, "odd.py", "exec")
    assert "import gridcnn" not in text
    assert "from gridcnn" not in text
    assert text.isascii()
    assert max(map(len, text.splitlines())) < 120


def test_several_labels_have_a_sigmoid_each(tmp_path: Path) -> None:
    spec = {**SPEC, "head": {"voting": {"labels": "several"}}}
    model = make_model(spec)

    export(model, "pytorch", tmp_path / "a.py")

    module = module_of(tmp_path / "a.py")
    grids = np.asarray(model.adapter.grids(["ab", "ba"]).values)
    found = np.asarray(module.vote(module.load(), grids))
    np.testing.assert_allclose(found, model.votes(["ab", "ba"]), atol=1e-5)


def check(case: Any) -> None:
    """Compare logits of PyTorch with those of the reference in double precision."""
    torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed")
    code, state = pytorch.program(case.network, case.parameters.astype(np.float32))
    text = pytorch.class_text(code, case.network.shape)
    space: dict[str, Any] = {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}
    exec(text, space)
    network = space["Network"]()
    network.load_state_dict({name: torch.as_tensor(each) for name, each in state.items()})
    expected: Array = make_engine(case.network, "reference").logits(case.parameters, case.grids)

    with torch.no_grad():
        found = network.eval()(torch.as_tensor(case.grids.astype(np.float32))).numpy()

    np.testing.assert_allclose(
        found, expected, rtol=1e-4, atol=1e-4 * max(1, np.abs(expected).max())
    )


@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=30)
def test_random_networks_vote_alike(networks: ModuleType, data: Any) -> None:
    check(data.draw(st.one_of(networks.graph_cases(dropout=True), networks.wide_cases(head=True))))


@pytest.mark.long
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=1_000)
def test_very_many_random_networks_vote_alike(networks: ModuleType, data: Any) -> None:
    check(data.draw(st.one_of(networks.graph_cases(dropout=True), networks.wide_cases(head=True))))


def test_the_file_runs_by_itself(tmp_path: Path) -> None:
    """From another folder, in a process of its own."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    export(make_model(), "pytorch", tmp_path / "own.py")
    program = "import own, numpy; print(own.vote(own.load(), numpy.zeros((2, 1, 5, 9))).shape)"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.stdout == "torch.Size([2, 3])\n", done.stderr
