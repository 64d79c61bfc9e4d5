"""The engine gives the same answers with the vectors of every processor."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridcnn.engines.base import make_engine
from gridcnn.engines.native.processor import VARIABLE, processor
from gridcnn.errors import EngineError

CASES = settings(
    max_examples=16,
    deadline=None,
    derandomize=True,
    # The variable stays the same for all cases.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=["x86-64", "x86-64-v3", "x86-64-v4", "generic"])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let code be made for a lesser processor."""
    monkeypatch.setenv(VARIABLE, request.param)
    try:
        processor()
    except EngineError:
        pytest.skip(f"this machine cannot run code for {request.param}")
    return str(request.param)


@CASES
@given(data=st.data())
def test_random_networks_are_answered_alike_on_every_processor(
    level: str, networks: ModuleType, data: st.DataObject
) -> None:
    """Maps, loss and gradient are those of float64, rounded, for any batch."""
    case = data.draw(networks.wide_cases())
    engine = make_engine(case.network, "native")

    networks.check_answers(engine, case)
    networks.check_pieces(engine, case)


@settings(CASES, max_examples=4)
@given(data=st.data())
def test_one_hot_grids_are_answered_alike_on_every_processor(
    level: str, networks: ModuleType, data: st.DataObject
) -> None:
    case = data.draw(networks.one_hot_cases("all rows"))
    engine = make_engine(case.network, "native")

    networks.check_answers(engine, case, case.one_hot)
