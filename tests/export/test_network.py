"""Networks as nodes of ONNX: the same votes as the reference engine, in other programs."""

from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from gridcnn.engines.base import make_engine
from gridcnn.export.onnx.graph import HIGHEST, LOWEST, Graph
from gridcnn.export.onnx.network import add_network
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

runtime: Any = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")


def content_of(network: Network, parameters: Array, *, opset: int = 17) -> bytes:
    graph = Graph(opset)
    grids = graph.input("grids", np.float32, ("items", *network.shape.sizes))
    votes = add_network(graph, network, parameters, grids)
    graph.output(votes, "votes", np.float32, ("items", network.classes or 0))
    return graph.content("network", {})


def in_runtime(content: bytes, grids: Array) -> Array:
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    votes: Array = session.run(["votes"], {"grids": grids.astype(np.float32)})[0]
    return votes


def check(case: Any, *, opset: int = 17) -> None:
    """Compare votes of ONNX Runtime with those of the reference in double precision."""
    network = case.network
    logits = make_engine(network, "reference").logits(case.parameters, case.grids)
    expected = network.head.votes(logits)

    found = in_runtime(
        content_of(network, case.parameters.astype(np.float32), opset=opset), case.grids
    )

    np.testing.assert_allclose(found, expected, atol=1e-5)


@hypothesis.given(data=st.data(), opset=st.sampled_from([LOWEST, 17, 18, 20, HIGHEST]))
@hypothesis.settings(max_examples=30)
def test_random_networks_vote_alike(networks: ModuleType, data: Any, opset: int) -> None:
    check(data.draw(networks.graph_cases()), opset=opset)


@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=30)
def test_random_chains_vote_alike(networks: ModuleType, data: Any) -> None:
    check(data.draw(networks.wide_cases(head=True)))


@pytest.mark.long
@hypothesis.given(data=st.data(), opset=st.integers(LOWEST, HIGHEST))
@hypothesis.settings(max_examples=1_000)
def test_very_many_random_networks_vote_alike(networks: ModuleType, data: Any, opset: int) -> None:
    case = data.draw(st.one_of(networks.graph_cases(), networks.wide_cases(head=True)))
    check(case, opset=opset)


@pytest.mark.parametrize(
    "stage",
    [
        {"pooling": {"window": 3, "stride": 2}},
        {"pooling": {"window": 3, "stride": 2, "mode": "mean"}},
        {"pooling": {"window": [2, 9], "stride": [3, 1], "mode": "mean"}},
        {"pooling": {"window": 2, "stride": 3, "edges": "drop"}},
        {"pooling": {"window": [9, 2], "mode": "max"}},
        {"convolution": {"filters": 3, "kernel_size": [2, 3], "dilation": 2, "stride": [1, 2]}},
        {"convolution": {"filters": 4, "groups": "channels", "padding": [1, 0]}},
        {"convolution": {"filters": 3, "kernel_size": ["all", 2], "scale": "match"}},
        {"normalization": {"kind": "group", "groups": 1, "epsilon": 0.5}},
        {"gate": 1},
    ],
)
def test_corners_vote_alike(stage: Any) -> None:
    """Windows beyond the edge, strides beyond the window, gaps in kernels, groups."""
    spec = load({"stages": [stage], "head": {"voting": {"hidden": [3]}}})
    network = Network(spec, GridShape(2, 7, 6), classes=3)
    random = np.random.default_rng(0)
    parameters = random.normal(0, 0.5, network.parameters)
    grids = random.normal(0, 1, (3, 2, 7, 6))
    logits = make_engine(network, "reference").logits(parameters, grids)
    assert network.head is not None
    expected = network.head.votes(logits)

    found = in_runtime(content_of(network, parameters.astype(np.float32)), grids)

    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_several_labels_have_a_sigmoid_each() -> None:
    spec = load({"stages": ["pooling"], "head": {"voting": {"labels": "several"}}})
    network = Network(spec, GridShape(1, 4, 4), classes=5)
    random = np.random.default_rng(0)
    parameters, grids = random.normal(size=network.parameters), random.normal(size=(7, 1, 4, 4))
    assert network.head is not None
    logits = make_engine(network, "reference").logits(parameters, grids)

    found = in_runtime(content_of(network, parameters.astype(np.float32)), grids)

    np.testing.assert_allclose(found, network.head.votes(logits), atol=1e-5)
    assert found.sum(axis=1).max() > 1


def test_a_network_without_stages_votes_alike() -> None:
    network = Network(load({"stages": [], "head": "voting"}), GridShape(1, 2, 3), classes=2)
    random = np.random.default_rng(0)
    parameters, grids = random.normal(size=network.parameters), random.normal(size=(2, 1, 2, 3))
    assert network.head is not None

    found = in_runtime(content_of(network, parameters.astype(np.float32)), grids)

    logits = make_engine(network, "reference").logits(parameters, grids)
    np.testing.assert_allclose(found, network.head.votes(logits), atol=1e-5)
