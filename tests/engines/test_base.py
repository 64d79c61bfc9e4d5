"""The contract of an engine: what one of another package gets without writing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.cores import usable_cores
from gridcnn.engines.base import (
    ENGINES,
    Engine,
    EngineChoice,
    PlanDescription,
    PlanPart,
    StepResult,
    check_choice,
    choose_engine,
    make_engine,
)
from gridcnn.errors import EngineError, UnknownNameError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

every_engine = pytest.mark.parametrize("name", list(ENGINES))


class Least(Engine):
    """All that an engine must bring."""

    name = "least"

    def maps(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def step(self, *_: Any, **__: Any) -> StepResult:
        raise NotImplementedError


def network(filters: int = 4) -> Network:
    stages: list[Any] = [{"convolution": {"filters": filters}}, "rectification", "pooling"]
    return Network(load({"stages": stages, "head": "voting"}), GridShape(1, 8, 8), classes=3)


def test_an_engine_of_another_package_has_a_plan_and_a_figure() -> None:
    """Stage by stage, and by the grids of all items of a batch."""
    whole = network()
    engine = Least(whole, threads=3)

    assert engine.plan() == PlanDescription(
        "least", 3, tuple(PlanPart((op.label,), "least arithmetic") for op in whole.ops)
    )
    assert engine.memory(10).prediction == 10 * whole.item_bytes
    assert engine.memory(10).training == 20 * whole.item_bytes + 4 * whole.parameters
    engine.settle()


@every_engine
def test_every_engine_plans_every_stage_and_its_memory(name: str) -> None:
    """Each stage stands in the plan once; more filters take more memory."""
    engine, larger = (make_engine(network(filters), name) for filters in (4, 64))

    told = [label for work in engine.plan().parts for label in work.stages]
    assert told == [op.label for op in engine.network.ops]
    assert engine.plan().engine == name
    assert 0 < engine.memory(64).training < larger.memory(64).training
    assert 0 < engine.memory(64).prediction < larger.memory(64).prediction


def test_the_threads_that_work_are_told() -> None:
    """Without a number, the native engine takes the cores; NumPy decides for itself."""
    assert make_engine(network(), "native").workers == usable_cores()
    assert make_engine(network(), "native", threads=3).workers == 3
    assert make_engine(network(), "reference", threads=3).workers is None


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2", [2], np.float32(2)])
def test_numbers_of_threads_that_make_no_sense_are_told(threads: Any) -> None:
    with pytest.raises(EngineError, match="threads must be a whole number of at least 1; got"):
        make_engine(network(), threads=threads)
    with pytest.raises(EngineError):
        check_choice("native", threads)


def test_threads_may_be_a_number_of_numpys() -> None:
    assert make_engine(network(), "native", threads=np.int64(2)).workers == 2  # type: ignore[arg-type]


def test_an_unknown_engine_is_told_before_anything_is_loaded() -> None:
    with pytest.raises(UnknownNameError, match="'nativ' is not an engine; did you mean 'native'"):
        check_choice("nativ", None)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (None, EngineChoice("native")),
        ("reference", EngineChoice("reference")),
        ("native:cpu", EngineChoice("native", "cpu")),
        ("torch", EngineChoice("torch")),
        ("torch:cuda:1", EngineChoice("torch", "cuda:1")),
        ("torch:bfloat16", EngineChoice("torch", None, "bfloat16")),
        ("torch:cuda:0:bfloat16", EngineChoice("torch", "cuda:0", "bfloat16")),
    ],
)
def test_an_engine_is_named_with_its_device_and_precision(
    text: str | None, chosen: EngineChoice
) -> None:
    assert EngineChoice.parse(text) == chosen
    assert EngineChoice.parse(str(chosen)) == chosen


def test_options_are_one_name() -> None:
    """What stands in the name is replaced."""
    assert choose_engine(None) is None
    assert choose_engine("torch") == "torch"
    assert choose_engine("torch", "cuda", "bfloat16") == "torch:cuda:bfloat16"
    assert choose_engine("torch:cuda:1", "mps") == "torch:mps"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ((None, "cuda"), "the native engine computes on the processor, in float32; devices and"),
        (("reference", None, "bfloat16"), "--engine torch, or engine='torch:cuda'"),
        (("torch", "gpu"), "'gpu' is not a device; take cpu, cuda, cuda:1"),
        (("torch", None, "float16"), "no precision 'float16'; take float32"),
    ],
)
def test_devices_and_precisions_that_are_none_are_told(choice: Any, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        choose_engine(*choice)
