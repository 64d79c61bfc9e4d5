"""What is the torch engine's own; that it computes rightly is for the suite of all engines."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.contracts.stage import Backward, Parameter, Stage
from gridcnn.engines.base import check_choice, make_engine
from gridcnn.errors import EngineError
from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.runs.run import run
from gridcnn.spec.load import load
from gridcnn.spec.models import STAGES
from gridcnn.training.loop import Labelled, TrainingState, train

pytest.importorskip("torch", reason="PyTorch is not installed")

import torch

from gridcnn.engines.torch import engine as engine_module

BUILT_IN: list[Any] = [
    {"convolution": {"filters": 4}},
    "normalization",
    "rectification",
    "pooling",
    {"dropout": 0.3},
    "gate",
]


class Squares(Stage):
    """A stage of another package: every cell times itself, times a learned number of its map."""

    def output(self, shape: GridShape) -> GridShape:
        return shape

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        return (Parameter("size", (shape.channels,), written=np.ones(shape.channels)),)

    def multiply_adds(self, shape: GridShape) -> int:
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        sizes = weights["size"][:, None, None]

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, dict[str, Array]]:
            by_size = (gradient * grids * grids).sum(axis=(0, 2, 3))
            return 2 * gradient * grids * sizes, {"size": by_size}

        return grids * grids * sizes, backward


def network(stages: list[Any] = BUILT_IN, classes: int = 3) -> Network:
    spec = load({"stages": stages, "head": {"voting": {"hidden": [5], "dropout": 0.2}}})
    return Network(spec, GridShape(2, 8, 7), classes=classes)


def batch(items: int) -> tuple[Array, Any]:
    random = np.random.default_rng(1)
    return random.normal(0, 1, (items, 2, 8, 7)).astype(np.float32), np.arange(items) % 3


def assert_alike(whole: Network, name: str = "torch", *, close: float = 1e-5) -> None:
    """Assert that an engine's votes, loss, gradient and running values are the reference's."""
    grids, targets = batch(37)
    exact, engine = make_engine(whole, "reference"), make_engine(whole, name)
    parameters = whole.starting_parameters()
    drawn = [np.random.default_rng(3) for _ in range(2)]
    right = exact.step(parameters, grids, targets, random=drawn[0])

    step = engine.step(parameters, grids, targets, random=drawn[1])
    logits = exact.logits(parameters, grids)
    np.testing.assert_allclose(engine.logits(parameters, grids), logits, rtol=0, atol=close)
    assert step.loss == pytest.approx(right.loss, abs=close)
    np.testing.assert_allclose(step.gradient, right.gradient, rtol=0, atol=close)
    for found, expected in zip(step.running, right.running, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=close)


def test_a_stage_of_another_package_is_computed_by_its_own_arithmetic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forward, and back through it to the stages before."""
    monkeypatch.setitem(STAGES._loaded, "squares", Squares)
    monkeypatch.setitem(STAGES._places, "squares", "nowhere:Squares")
    whole = network([{"convolution": {"filters": 3}}, "squares", "pooling"])

    assert_alike(whole)
    kernels = [part.kernel for part in make_engine(whole, "torch").plan().parts]
    assert kernels[1] == "reference arithmetic, on the processor"


def test_rounds_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large for the memory is done in parts; groups of items stay together."""
    monkeypatch.setattr("gridcnn.engines.torch.engine._ROUND_BYTES", {"cpu": 1})

    assert_alike(network())
    assert_alike(network([{"convolution": {"filters": 4}}]))


def trained(whole: Network, data: Labelled, validation: Labelled) -> TrainingState:
    engine = make_engine(whole, "torch:cpu", threads=1)
    return train(engine, data, validation, whole.spec.training)


@pytest.mark.parametrize("one_hot", [False, True])
def test_data_that_is_kept_on_the_device_trains_to_the_same_bits(
    one_hot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing but the numbers of a step's items is sent."""
    document = {"stages": BUILT_IN[:4], "head": "voting", "training": {"epochs": 2}}
    whole = Network(load(document), GridShape(1 if one_hot else 2, 8, 7), classes=3)
    grids, targets = batch(100)
    cells: Any = OneHot(np.arange(700, dtype=np.int32).reshape(100, 7) % 8, 8) if one_hot else grids
    data = Labelled(cells[:80], targets[:80]), Labelled(cells[80:], targets[80:])
    expected = trained(whole, *data)

    monkeypatch.setattr("gridcnn.engines.torch.engine._room", lambda device: 10**6)
    sizes: list[tuple[int, ...]] = []
    send = engine_module._sent

    def look(array: Any, device: str) -> Any:
        sizes.append(array.shape)
        return send(array, device)

    monkeypatch.setattr(engine_module, "_sent", look)
    found = trained(whole, *data)
    np.testing.assert_array_equal(found.parameters, expected.parameters)
    assert [each.validation_loss for each in found.history] == [
        each.validation_loss for each in expected.history
    ]
    assert max(len(size) for size in sizes) == 1


def test_grids_that_are_kept_pass_for_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridcnn.engines.torch.engine._room", lambda device: 10**6)
    grids, _ = batch(10)
    kept = make_engine(network(), "torch:cpu").keep(grids, learns=True)

    assert kept.shape == grids.shape
    np.testing.assert_array_equal(np.asarray(kept[2:7][np.array([3, 1])]), grids[[5, 3]])
    np.testing.assert_array_equal(kept[4], grids[4])
    np.testing.assert_array_equal(np.asarray(kept[np.arange(10) > 7]), grids[8:])


def test_what_is_too_large_for_the_card_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    grids, _ = batch(10)
    monkeypatch.setattr("gridcnn.engines.torch.engine._room", lambda device: grids.nbytes - 1)

    assert make_engine(network(), "torch:cpu").keep(grids, learns=True) is grids


def test_grids_are_channels_last_in_every_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """As graphics cards want them; also after stages that take them apart."""
    seen: list[bool] = []
    convolve = torch.nn.functional.conv2d

    def look(values: Any, *rest: Any, **options: Any) -> Any:
        seen.append(values.is_contiguous(memory_format=torch.channels_last))
        return convolve(values, *rest, **options)

    monkeypatch.setattr("torch.nn.functional.conv2d", look)
    convolution = {"convolution": {"filters": 4}}
    whole = network([convolution, "normalization", "rectification", "pooling", convolution])
    grids, targets = batch(20)
    parameters = whole.starting_parameters()
    make_engine(whole, "torch:cpu").step(parameters, grids, targets)
    make_engine(whole, "torch:cpu").logits(parameters, grids)
    assert seen == [True] * 4


def test_bfloat16_is_near() -> None:
    """Its numbers have 8 bits: about three digits."""
    assert_alike(network(), "torch:cpu:bfloat16", close=0.05)


def test_an_engine_can_be_pickled() -> None:
    engine = pickle.loads(pickle.dumps(make_engine(network(), "torch:cpu", threads=1)))

    grids, targets = batch(4)
    assert engine.step(network().starting_parameters(), grids, targets).gradient.any()


def test_a_device_that_is_not_here_is_named_with_those_that_are() -> None:
    with pytest.raises(EngineError, match=r"no device 'cuda:77' here; PyTorch .* finds cpu"):
        make_engine(network(), "torch:cuda:77")


def test_the_plan_says_where_and_how_precisely() -> None:
    plan = make_engine(network(), "torch:cpu:bfloat16").plan()

    assert plan.facts["device"] == "cpu"
    assert plan.notes == (f"on cpu, in bfloat16, with PyTorch {torch.__version__}",)


def test_threads_are_those_that_are_allowed() -> None:
    """Only while it works: they are those of the whole process."""
    before = torch.get_num_threads()
    engine = make_engine(network(), "torch:cpu", threads=before + 1)

    engine.logits(network().starting_parameters(), batch(2)[0])
    assert engine.workers == before + 1
    assert torch.get_num_threads() == before


def test_without_the_package_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(EngineError, match=r'python -m pip install "gridcnn\[torch\]"'):
        check_choice("torch", None)


def test_a_run_trains_and_goes_on_with_the_same_engine(tmp_path: Path) -> None:
    """A model that PyTorch has trained answers with any engine."""
    settings = {
        "training.epochs": 1,
        "training.schedule": "constant",
        "data.source.xo.count": 600,
    }
    run("xo", changes=settings, engine="torch:cpu", out=tmp_path / "run")

    longer = {"training.epochs": 6}
    again = run(resume=tmp_path / "run", changes=longer, engine="torch")
    assert again.metrics["test"]["accuracy"] > 0.8
    grids = np.random.default_rng(0).normal(0, 1, (4, *again.model.network.shape.sizes))
    native = make_engine(again.model.network, "native")
    found = native.logits(again.model.parameters, grids.astype(np.float32))
    expected = make_engine(again.model.network, "torch").logits(again.model.parameters, grids)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
