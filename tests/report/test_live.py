"""The page's arithmetic in JavaScript is that of the engines."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridcnn.engines.base import make_engine
from gridcnn.grid import Array, GridShape
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))


def check(program: Any, model: Model, grids: Array) -> None:
    """Assert that all maps, and the votes, of grids are those of the reference engine."""
    program.load(model)
    engine = make_engine(model.network, "reference")
    exact = np.asarray(grids, np.float64)
    parameters = model.parameters.astype(np.float64)
    votes = model.votes_of_grids(grids)
    for number, cells in enumerate(grids):
        found = program.ask("cells", cells=cells.ravel().tolist())

        np.testing.assert_allclose(found["votes"], votes[number], atol=1e-5)
        for after in range(len(model.network.ops)):
            expected = engine.maps(parameters, exact[number : number + 1], after=after).ravel()
            close = 2e-5 * max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(found["maps"][after + 1], expected, rtol=0, atol=close)


def model_of(network: Network, parameters: Array) -> Model:
    shape = network.shape
    array = {"size": [shape.rows, shape.columns], "channels": shape.channels, "scaling": "none"}
    content = network.spec.model_dump(mode="json", exclude_unset=True)
    spec = load({**content, "adapter": {"array": array}, "head": content.get("head", "voting")})
    classes = list(range(network.classes or 3))
    return Model(spec, classes, parameters.astype(np.float32), engine="reference")


def check_case(networks: ModuleType, program: Any, case: Any) -> None:
    if case.network.classes is None:  # one of maps alone
        return
    grids = case.grids[:2].astype(np.float32)
    with networks.uncached():
        check(program, model_of(case.network, case.parameters), grids)


cases = pytest.mark.parametrize("kind", ["chains", "graphs", "graphs with dropout"])


def drawn(networks: ModuleType, kind: str, data: st.DataObject) -> Any:
    if kind == "chains":
        return data.draw(networks.wide_cases(items=2, head=True))
    return data.draw(networks.graph_cases(items=2, dropout=kind != "graphs"))


@cases
@FEW
@given(data=st.data())
def test_random_networks_are_answered_as_by_the_engines(
    networks: ModuleType, program: Any, kind: str, data: st.DataObject
) -> None:
    """The maps of every stage, and the votes, of random networks are the reference's."""
    check_case(networks, program, drawn(networks, kind, data))


@pytest.mark.long
@cases
@MANY
@given(data=st.data())
def test_very_many_random_networks_are_answered_as_by_the_engines(
    networks: ModuleType, program: Any, kind: str, data: st.DataObject
) -> None:
    """The same, for others each time."""
    check_case(networks, program, drawn(networks, kind, data))


def test_a_match_and_an_election_add_up(program: Any) -> None:
    """What the page works out for one cell is the cell; votes of cells and biases are the logit."""
    convolution = {"filters": 4, "kernel_size": [3, 2], "stride": [2, 1], "scale": "match"}
    stages = [{"convolution": convolution}, "rectification"]
    spec = load({"stages": stages, "head": {"voting": {"hidden": [7, 5]}}})
    network = Network(spec, GridShape(2, 7, 6), classes=3)
    random = np.random.default_rng(2)
    model = model_of(network, random.normal(0, 1, network.parameters))
    cells = random.normal(0, 1, network.shape.cells).astype(np.float32).tolist()
    program.load(model)
    maps = program.ask("cells", cells=cells)["maps"]
    rows, columns = network.ops[0].output.rows, network.ops[0].output.columns

    for filter_, row, column in ((0, 0, 0), (3, rows - 1, columns - 1), (1, 1, 2)):
        found = program.ask("match", cells=cells, op=0, at=[filter_, row, column])
        cell = maps[1][(filter_ * rows + row) * columns + column]
        assert found["match"] == pytest.approx(cell, abs=1e-5)
        assert sum(term["product"] for term in found["terms"]) == pytest.approx(found["total"])
        assert found["divisor"] == 12
    for label in range(3):
        election = program.ask("election", cells=cells, label=label)
        assert election["logit"] == pytest.approx(maps[-1][label], abs=1e-5)
        assert sum(election["cells"]) + election["rest"] == pytest.approx(maps[-1][label], abs=1e-4)
