from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import checks
from benchmarks.peers.base import window_table, window_weights
from benchmarks.peers.case import Convolution, Dense, Pooling, load
from benchmarks.workloads import WORKLOADS, arithmetic
from gridcnn.engines.reference import ReferenceEngine

by_workload = pytest.mark.parametrize("name", WORKLOADS)


def test_the_cost_of_a_network_is_that_of_its_convolutions() -> None:
    """Forward each counts once; in training the first counts twice and the others three times."""
    first, second = 8 * 9 * 32 * 32, 16 * 8 * 9 * 16 * 16

    found = arithmetic(WORKLOADS["xo"])

    assert (found.forward, found.training) == (first + second, 2 * first + 3 * second)
    assert (found.dense_forward, found.dense_training) == (found.forward, found.training)


def test_what_is_looked_up_is_no_dense_arithmetic() -> None:
    """Of the text network only the second convolution is multiplied."""
    second = 128 * 128 * 5 * 86

    found = arithmetic(WORKLOADS["text"])

    assert found.forward == 128 * 70 * 7 * 256 + second
    assert (found.dense_forward, found.dense_training) == (second, 3 * second)


@by_workload
def test_a_case_is_the_same_from_its_file(name: str, tmp_path: Path) -> None:
    """Layers, weights and batches are saved whole."""
    case = WORKLOADS[name].case(items=2)
    case.save(tmp_path / "case.npz")

    found = load(tmp_path / "case.npz")

    assert (found.name, found.shape, found.layers) == (case.name, case.shape, case.layers)
    for part in ("parameters", "inputs", "targets"):
        np.testing.assert_array_equal(getattr(found, part), getattr(case, part))


@by_workload
def test_layers_tell_the_whole_network(name: str) -> None:
    """Their weights fill the flat vector without a gap, and each takes what the last one gives."""
    case = WORKLOADS[name].case(items=1)
    channels, rows, columns = case.shape
    taken, cells = 0, 0

    for layer in case.layers:
        if isinstance(layer, Pooling):
            rows = (rows + layer.beyond[0] - layer.window[0]) // layer.stride[0] + 1
            columns = (columns + layer.beyond[1] - layer.window[1]) // layer.stride[1] + 1
        elif isinstance(layer, Convolution):
            assert layer.weights[1] == channels
            channels = layer.weights[0]
            (above, below), (left, right) = layer.borders
            rows = (rows + above + below - layer.weights[2]) // layer.stride[0] + 1
            columns = (columns + left + right - layer.weights[3]) // layer.stride[1] + 1
        else:
            assert layer.weights[1] == (cells or channels * rows * columns)
            cells = layer.weights[0]
        if not isinstance(layer, Pooling):
            assert layer.start == taken
            weights, bias = case.weights(layer)
            taken += weights.size + bias.size

    assert taken == len(case.parameters)
    assert isinstance(case.layers[-1], Dense)
    assert not case.layers[-1].rectified
    assert cells == WORKLOADS[name].classes


def test_looking_symbols_up_is_the_first_convolution() -> None:
    """The rows of the table that a position's window names add up to what the maps have there."""
    workload = WORKLOADS["text"]
    case, network = workload.case(items=4), workload.network()
    layer = case.layers[0]
    assert isinstance(layer, Convolution)
    grids = case.grids(0).reshape(-1, *network.shape.sizes)
    maps = ReferenceEngine(network).maps(case.parameters, grids, after=0)

    table = window_table(case, layer)
    found = table[case.windows(0, 7, 3)].sum(axis=2) + case.weights(layer)[1]

    np.testing.assert_allclose(found.transpose(0, 2, 1)[:, :, None], maps, atol=1e-5)
    np.testing.assert_array_equal(window_weights(table, layer), case.weights(layer)[0])


def test_some_texts_end_early() -> None:
    """So the way in which a contestant treats columns without a symbol is compared as well."""
    case = WORKLOADS["text"].case(items=8)

    columns = case.grids(0).sum(axis=(1, 2))

    assert set(np.unique(columns)) == {0.0, 1.0}


def test_the_right_answer_is_right() -> None:
    """The reference differs from itself by nothing."""
    workload = WORKLOADS["xo"]
    case = workload.case(items=2)

    right = checks.expected(case, workload.network())

    found = checks.differences(case, right, right)
    assert set(found) == set(checks.LIMITS)
    assert max(found.values()) < 1e-12
    assert not checks.wrong(found)


def test_a_wrong_answer_is_told() -> None:
    """Other votes, another gradient, and what is no number."""
    workload = WORKLOADS["xo"]
    case = workload.case(items=2)
    right = checks.expected(case, workload.network())

    for name in ("logits", "gradient", "loss"):
        answer = {**right, name: right[name] * 1.01}
        assert "more than" in checks.wrong(checks.differences(case, answer, right))
        answer = {**right, name: right[name] * np.nan}
        assert "more than" in checks.wrong(checks.differences(case, answer, right))
    answer = {**right, "parameters": case.parameters}
    assert checks.wrong(checks.differences(case, answer, right)).startswith("steps differ by 1")
