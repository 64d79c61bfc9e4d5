from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import checks
from benchmarks.peers.base import window_table, window_weights
from benchmarks.peers.case import (
    Convolution,
    Dense,
    Layer,
    Normalization,
    Pair,
    Parallel,
    Pooling,
    Skip,
    load,
)
from benchmarks.workloads import WORKLOADS, arithmetic
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.stages.normalization import Normalization as StageNormalization

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


Shape = tuple[int, int, int]


def windows(shape: Shape, beyond: Pair, window: Pair, stride: Pair) -> Pair:
    """Return at how many places a window lies, `(rows, columns)`."""
    rows, columns = (size + more for size, more in zip(shape[1:], beyond, strict=True))
    return (rows - window[0]) // stride[0] + 1, (columns - window[1]) // stride[1] + 1


def follow(layers: Sequence[Layer], shape: Shape, places: list[tuple[int, int]]) -> Shape:
    """Return the shape after some layers; note where each has its parameters, and how many."""
    for layer in layers:
        channels, rows, columns = shape
        if isinstance(layer, Skip):
            after = follow(layer.layers, shape, places)
            assert follow(layer.shortcut, shape, places) == after
            shape = after
        elif isinstance(layer, Parallel):
            ends = [follow(branch, shape, places) for branch in layer.branches]
            assert len({end[1:] for end in ends}) == 1
            shape = (sum(end[0] for end in ends), *ends[0][1:])
        elif isinstance(layer, Pooling):
            shape = (channels, *windows(shape, layer.beyond, layer.window, layer.stride))
        elif isinstance(layer, Normalization):
            assert layer.channels == channels
            places.append((layer.start, 4 * channels))
        elif isinstance(layer, Convolution):
            assert layer.weights[1] * layer.groups == channels
            (above, below), (left, right) = layer.borders
            beyond = (above + below, left + right)
            kernel = layer.weights[2], layer.weights[3]
            shape = (layer.weights[0], *windows(shape, beyond, kernel, layer.stride))
            count = math.prod(layer.weights) + layer.weights[0] * layer.biased
            places.append((layer.start, count))
        elif isinstance(layer, Dense):
            assert layer.weights[1] == channels * rows * columns
            shape = (layer.weights[0], 1, 1)
            places.append((layer.start, math.prod(layer.weights) + layer.weights[0]))
    return shape


@by_workload
def test_layers_tell_the_whole_network(name: str) -> None:
    """Their weights fill the flat vector without a gap, and each takes what the last one gives."""
    case = WORKLOADS[name].case(items=1)
    places: list[tuple[int, int]] = []

    shape = follow(case.layers, case.shape, places)

    taken = 0
    for start, count in places:
        assert start == taken
        taken += count
    assert taken == len(case.parameters)
    assert isinstance(case.layers[-1], Dense)
    assert not case.layers[-1].rectified
    assert shape == (WORKLOADS[name].classes, 1, 1)


def test_what_is_learned_is_all_but_running_values() -> None:
    """Each normalization has two numbers for each map that no gradient moves."""
    workload = WORKLOADS["mobile"]
    case, network = workload.case(items=1), workload.network()

    maps = sum(op.input.channels for op in network.ops if isinstance(op.stage, StageNormalization))

    assert np.count_nonzero(~case.learned) == 2 * maps
    assert WORKLOADS["xo"].case(items=1).learned.all()


def test_running_values_are_those_of_the_grids() -> None:
    """So the numbers of a deep network neither vanish nor grow when it answers."""
    workload = WORKLOADS["mobile"]
    case, network = workload.case(items=4), workload.network()
    first = next(op for op in network.ops if isinstance(op.stage, StageNormalization))
    views = first.views(case.parameters)

    before = ReferenceEngine(network).maps(case.parameters, case.grids(0), after=0)

    np.testing.assert_allclose(before.mean(axis=(0, 2, 3)), views["mean"], atol=0.1)
    np.testing.assert_allclose(before.var(axis=(0, 2, 3)), views["variance"], rtol=0.2)


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
    assert not checks.wrong(found, right)


def test_a_wrong_answer_is_told() -> None:
    """Other votes, another gradient, and what is no number."""
    workload = WORKLOADS["xo"]
    case = workload.case(items=2)
    right = checks.expected(case, workload.network())

    for name in ("logits", "gradient", "loss"):
        answer = {**right, name: right[name] * 1.01}
        assert "more than" in checks.wrong(checks.differences(case, answer, right), right)
        answer = {**right, name: right[name] * np.nan}
        assert "more than" in checks.wrong(checks.differences(case, answer, right), right)
    answer = {**right, "parameters": case.parameters}
    assert checks.wrong(checks.differences(case, answer, right), right).startswith(
        "steps differ by 1"
    )
