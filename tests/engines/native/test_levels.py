"""Lesser processors answer alike: with narrower vectors, fewer registers, no multiply-add."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from gridcnn.engines.base import make_engine
from gridcnn.engines.native import processor as module
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

pytestmark = pytest.mark.slow

# Each is compiled, which takes a third of a second; `make test-long` has a thousand.
CASES = settings(max_examples=14, deadline=None, derandomize=True)
FEW = settings(CASES, max_examples=7)
MANY = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
FIGURES = {"x86-64-v4": (16, 32, True), "x86-64-v3": (8, 16, True), "x86-64": (4, 16, False)}


def needs(level: str) -> pytest.MarkDecorator:
    host = module._host()
    lacking = f"this machine's processor, {host.name}, is no {level}"
    return pytest.mark.skipif(level not in host.levels(), reason=lacking)


def engine_for(level: str, network: Network) -> NativeEngine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRIDCNN_CPU", level)
        engine = make_engine(network, "native")
    assert isinstance(engine, NativeEngine)
    chosen = engine.processor
    assert (chosen.lanes, chosen.registers, chosen.fma) == FIGURES[level]
    return engine


def check(networks: ModuleType, level: str, case: Any, *, one_hot: bool = False) -> None:
    """Assert that code for a level answers a random case as every engine does."""
    engine = engine_for(level, case.network)
    grids = case.one_hot if one_hot else None
    with networks.uncached():
        networks.check_answers(engine, case, grids)
        networks.check_pieces(engine, case, grids)
        if not one_hot:
            networks.check_places(engine, case)
            networks.check_odd_cells(engine, case)


@needs("x86-64-v3")
@CASES
@given(data=st.data())
def test_with_avx2(networks: ModuleType, data: st.DataObject) -> None:
    """Vectors of 8 numbers, 16 registers, multiply-add."""
    check(networks, "x86-64-v3", data.draw(networks.wide_cases()))


@needs("x86-64")
@CASES
@given(data=st.data())
def test_with_sse2(networks: ModuleType, data: st.DataObject) -> None:
    """Vectors of 4 numbers, 16 registers, and nothing that came after the first x86-64."""
    check(networks, "x86-64", data.draw(networks.wide_cases()))


@needs("x86-64-v3")
@FEW
@given(data=st.data())
def test_one_hot_grids_with_avx2(networks: ModuleType, data: st.DataObject) -> None:
    """The same for grids that come as indices."""
    case = data.draw(networks.one_hot_cases("all rows"))
    check(networks, "x86-64-v3", case, one_hot=True)


@needs("x86-64")
@FEW
@given(data=st.data())
def test_one_hot_grids_with_sse2(networks: ModuleType, data: st.DataObject) -> None:
    """The same for grids that come as indices."""
    case = data.draw(networks.one_hot_cases("all rows"))
    check(networks, "x86-64", case, one_hot=True)


@pytest.mark.long
@pytest.mark.parametrize("level", [pytest.param(each, marks=needs(each)) for each in FIGURES])
@MANY
@given(data=st.data())
def test_very_many_random_networks_at_every_level(
    networks: ModuleType, level: str, data: st.DataObject
) -> None:
    """Others each time."""
    check(networks, level, data.draw(networks.wide_cases()))


@pytest.mark.parametrize("level", [pytest.param(each, marks=needs(each)) for each in FIGURES])
def test_levels_differ_by_rounding_alone(level: str) -> None:
    """A network that has all kinds of kernels gives the same votes, to a few bits."""
    stages: list[Any] = [
        {"convolution": {"filters": 20}},
        "rectification",
        {"convolution": {"filters": 33}},
        "rectification",
        "pooling",
        {"pooling": {"window": 3, "stride": 2, "mode": "mean"}},
        {"convolution": {"filters": 5, "kernel_size": 2, "scale": "match"}},
    ]
    spec = load({"stages": stages, "head": {"voting": {"hidden": [40]}}})
    network = Network(spec, GridShape(2, 12, 14), classes=3)
    parameters = network.starting_parameters()
    grids: Array = np.random.default_rng(0).normal(0, 1, (4, 2, 12, 14)).astype(np.float32)

    votes = engine_for(level, network).logits(parameters, grids)
    expected = make_engine(network, "reference").logits(parameters.astype(np.float64), grids)
    np.testing.assert_allclose(votes, expected, rtol=1e-4, atol=1e-5)
