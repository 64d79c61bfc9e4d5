"""The contract of an engine: what one of another package gets without writing it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.cores import usable_cores
from gridcnn.engines.base import (
    ENGINES,
    Engine,
    PlanDescription,
    PlanPart,
    StepResult,
    check_choice,
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
