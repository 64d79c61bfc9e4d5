"""What the native engine tells of its plan and its memory."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.contracts.adapter import OneHotAdapter
from gridcnn.engines.base import PlanDescription, make_engine
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.grid import Array, Axis, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import ADAPTERS
from gridcnn.stages.rectification import Rectification

BRICK: list[Any] = [{"convolution": {"filters": 6}}, "rectification", "pooling"]
HEAD = {"voting": {"hidden": [5], "dropout": 0.5}}


class Symbols(OneHotAdapter):
    """Columns of four symbols."""

    title: ClassVar[str] = "symbols"

    def shape(self) -> GridShape:
        return GridShape(1, 4, 12, Axis("symbol", ordered=False), Axis("position"))

    def indices(self, thing: Any) -> NDArray[np.int32]:
        return np.asarray(thing, np.int32)


class Sideways(Rectification):
    """Rectification, but not the one that there is a kernel for."""


def engine_of(
    stages: list[Any], shape: GridShape | None = None, *, threads: int = 2, **spec: Any
) -> NativeEngine:
    loaded = load({"stages": stages, "head": HEAD, **spec})
    network = Network(loaded, shape or GridShape(1, 12, 10), classes=3)
    made = make_engine(network, "native", threads=threads)
    assert isinstance(made, NativeEngine)
    return made


def replaced(engine: NativeEngine, number: int) -> None:
    """Put a stage without a kernel into the place of a rectification."""
    ops = list(engine.network.ops)
    op = ops[number]
    ops[number] = dataclasses.replace(op, stage=Sideways())
    engine.network.ops = tuple(ops)


@pytest.fixture(autouse=True)
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whatever would compile fail; tests that compile undo this."""
    monkeypatch.setattr("gridcnn.engines.native.call.compile_program", None)


def kernels(plan: PlanDescription) -> list[tuple[int, str]]:
    return [(len(work.stages), work.kernel) for work in plan.parts]


def test_stages_that_are_done_together_stand_together() -> None:
    """A convolution takes what follows it along; every stage of the network stands in the plan."""
    engine = engine_of([*BRICK, *BRICK, {"pooling": {"mode": "mean"}}, "rectification"])

    plan = engine.plan()

    assert kernels(plan) == [
        (3, "fused convolution"),
        (3, "fused convolution"),
        (1, "pooling"),
        (1, "rectification"),
        (1, "matrix product"),
    ]
    told = [label for work in plan.parts for label in work.stages]
    assert told == [op.label for op in engine.network.ops]
    assert (plan.engine, plan.threads) == ("native", 2)


def test_a_plan_says_how_vectors_lie_and_how_gradients_are_made() -> None:
    """Narrow grids and later ones differ; before the first stage nothing learns."""
    first, second, _ = engine_of([*BRICK, *BRICK]).plan().parts

    assert first.facts["channels"] == 6
    assert first.facts["padded"] % first.facts["lanes"] == 0
    assert first.facts["padded"] - 6 < first.facts["lanes"]
    assert first.facts["window"] == [2, 2]
    assert first.facts["gradient"] == {"features": "dense", "grid": "none"}
    assert second.facts["gradient"] == {"features": "sifted", "grid": "sifted"}
    tile = second.facts["tile"]
    assert tile["positions"] == 4 * tile["windows"]
    assert "maps of 6 channels in vectors of 8, padded to 8" in first.notes or (
        first.facts["lanes"] < 8
    )


def test_features_that_are_frozen_have_no_gradient() -> None:
    """And nothing goes back to them, where nothing before them learns."""
    frozen = {"convolution": {"filters": 6, "trainable": False}}
    first, second, *_ = engine_of([frozen, *BRICK]).plan().parts

    assert first.facts["gradient"] == {"features": "none", "grid": "none"}
    assert second.facts["gradient"] == {"features": "sifted", "grid": "none"}


def test_one_hot_grids_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the adapter keeps indices, and the features are as high as the grid."""
    monkeypatch.setitem(ADAPTERS._places, "symbols", "nowhere:nothing")
    monkeypatch.setitem(ADAPTERS._loaded, "symbols", Symbols)
    stages = [{"convolution": {"filters": 4, "kernel_size": ["all", 3]}}, "rectification"]
    shape = Symbols().shape()

    looked_up = engine_of(stages, shape, adapter="symbols")
    dense = engine_of(stages, shape)

    assert looked_up.plan().parts[0].kernel == "fused lookup"
    assert looked_up.plan().parts[0].facts["gradient"]["features"] == "indexed"
    assert dense.plan().parts[0].kernel == "fused convolution"


def test_a_stage_without_a_kernel_is_told() -> None:
    """Its own arithmetic does it, between two chains, each with memory of its own."""
    engine = engine_of([*BRICK, "rectification", *BRICK])
    replaced(engine, 3)

    plan = engine.plan()

    assert kernels(plan)[1] == (1, "reference arithmetic")
    assert plan.parts[1].notes == ("there is no kernel for this stage",)
    chains = [chain["stages"] for chain in plan.facts["chains"]]
    assert [len(stages) for stages in chains] == [3, 4]
    assert sum(" of 1 convolution to 3 pooling: " in note for note in plan.notes) == 2


def test_a_plan_is_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """JSON holds all facts; the processor and the cache are among them."""
    monkeypatch.setenv("GRIDCNN_CPU", "generic")
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path))

    plan = engine_of(BRICK).plan()

    facts = json.loads(json.dumps(plan.facts))
    assert facts["processor"]["lanes"] == 4
    folder = str(tmp_path.resolve() / "objects")
    assert facts["cache"] == {"folder": folder, "bytes": 0, "limit": 256_000_000}
    assert json.loads(json.dumps([work.facts for work in plan.parts]))
    monkeypatch.setenv("GRIDCNN_CACHE", "off")
    assert "cache: none; each process compiles again" in engine_of(BRICK).plan().notes


def test_the_users_folder_is_not_spelled_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Plans are shown to others."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "kept"))

    notes = "\n".join(engine_of(BRICK).plan().notes)
    assert f"cache: {Path('~/kept/objects')}, 0 bytes of" in notes


# Memory -----------------------------------------------------------------------------------------


def held(chain: Chain) -> int:
    """Return the bytes of the arrays that a chain keeps."""
    found = 0
    for call in (chain.training, chain.many):
        found += sum(floats.nbytes for _, floats in call.memory)
        found += sum(buffer.floats.nbytes for buffer in call._scratch.values())
    return found


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("items", [7, 64, 700])
def test_the_memory_that_is_told_is_what_is_taken(
    monkeypatch: pytest.MonkeyPatch, threads: int, items: int
) -> None:
    """All arrays that a step and answers leave behind, plus the gradient, are foreseen."""
    monkeypatch.undo()
    monkeypatch.setattr("gridcnn.engines.native.chain._WORTH", 1)
    monkeypatch.setattr("gridcnn.engines.native.describe._COMPILER", 0)
    monkeypatch.setattr("gridcnn.engines.native.describe._CHARACTER", 0)
    monkeypatch.setattr("gridcnn.engines.native.describe._LOADED", 0)
    engine = engine_of([*BRICK, *BRICK], threads=threads)
    random = np.random.default_rng(0)
    grids: Array = random.normal(size=(items, 1, 12, 10)).astype(np.float32)
    vector = engine.network.starting_parameters()

    told = engine.memory(items)
    step = engine.step(vector, grids, random.integers(0, 3, items), random=random)
    engine.logits(vector, random.normal(size=(512, 1, 12, 10)).astype(np.float32))

    taken = step.gradient.nbytes + sum(held(chain) for chain in engine._chains.values())
    assert taken <= told.training < 1.6 * taken + 50_000


def test_more_threads_and_larger_batches_take_more() -> None:
    """And answering takes less than training."""
    stages = [{"convolution": {"filters": 32}}, *BRICK]
    shape = GridShape(1, 64, 64)
    few, many = (engine_of(stages, shape, threads=count) for count in (1, 4))

    assert few.memory(64).training < many.memory(64).training
    assert many.memory(16).training < many.memory(256).training
    assert many.memory(64).prediction < many.memory(64).training


def test_stages_without_a_kernel_take_memory_too() -> None:
    """Their own arithmetic takes a whole round at a time."""
    native = engine_of([*BRICK, "rectification", *BRICK])
    mixed = engine_of([*BRICK, "rectification", *BRICK])
    replaced(mixed, 3)

    assert mixed.memory(512).training > native.memory(512).training


def test_what_training_works_in_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """And made again, where training goes on; answers need nothing new."""
    monkeypatch.undo()
    engine = engine_of(BRICK)
    vector = engine.network.starting_parameters()
    grids = np.random.default_rng(0).normal(size=(9, 1, 12, 10)).astype(np.float32)
    targets = np.arange(9) % 3
    first, votes = engine.step(vector, grids, targets), engine.logits(vector, grids)
    chain = next(iter(engine._chains.values()))
    many = chain.many

    engine.settle()

    assert "training" not in vars(chain)
    assert chain.many is many
    np.testing.assert_array_equal(engine.logits(vector, grids), votes)
    np.testing.assert_array_equal(engine.step(vector, grids, targets).gradient, first.gradient)
