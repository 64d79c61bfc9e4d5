"""The arithmetic of explanations: each figure against a second, plain way to find it."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.engines.base import make_engine
from gridcnn.engines.reference import apply
from gridcnn.grid import Array, Axis, GridShape
from gridcnn.network import Network
from gridcnn.report.explaining.election import election_of
from gridcnn.report.explaining.fields import Reach, fields_of, spread_over_grid
from gridcnn.report.explaining.matching import first_convolution, match_at, windows_of
from gridcnn.report.explaining.mattering import (
    Hiding,
    cam_value,
    grad_cam,
    hiding_for,
    likeness,
    occlusion,
)
from gridcnn.report.explaining.passing import Passage
from gridcnn.spec.load import load
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling

FEW = settings(max_examples=25, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**32 - 1)


def network_of(stages: list[Any], shape: GridShape, *, hidden: tuple[int, ...] = ()) -> Network:
    spec = load({"stages": stages, "head": {"voting": {"hidden": list(hidden)}}})
    return Network(spec, shape, classes=3)


def passage_of(network: Network, seed: int = 0) -> Passage:
    random = np.random.default_rng(seed)
    parameters = network.starting_parameters(np.float64)
    parameters += random.normal(0, 0.1, len(parameters))
    return Passage(network, parameters, random.uniform(-1, 1, (1, *network.shape.sizes)))


@FEW
@given(data=st.data())
def test_values_are_the_maps_of_the_engine(networks: ModuleType, data: st.DataObject) -> None:
    """After every operation, whatever the stages and however they are merged."""
    case = data.draw(st.one_of(networks.cases(items=1), networks.graph_cases(items=1)))
    engine = make_engine(case.network, "reference")

    passage = Passage(case.network, case.parameters, case.grids)

    for number in range(len(case.network.ops)):
        np.testing.assert_array_equal(
            passage.values[number + 1], engine.maps(case.parameters, case.grids, after=number)
        )


@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_logits_are_those_of_the_engine_that_answers(
    networks: ModuleType, data: st.DataObject
) -> None:
    """The compiled one computes in 32 bits."""
    case = data.draw(networks.cases(items=1))
    single = case.single

    passage = Passage(case.network, single.parameters, single.grids)

    logits = make_engine(case.network, "native").logits(single.parameters, single.grids)
    close = 1e-4 * (1 + np.abs(passage.logits).max())
    np.testing.assert_allclose(logits, passage.logits, rtol=0, atol=close)


@FEW
@given(data=st.data())
def test_gradients_are_slopes(networks: ModuleType, data: st.DataObject) -> None:
    """Of each class's logit, by the cells of the grid."""
    case = data.draw(networks.graph_cases(items=1, smooth=True))
    passage = Passage(case.network, case.parameters, case.grids)
    target = data.draw(st.integers(0, passage.logits.shape[1] - 1))
    flow = np.zeros_like(passage.logits)
    flow[0, target] = 1

    (gradient,) = passage.gradients(flow, at=[0])

    grids = case.grids.copy()
    slopes = networks.central_differences(
        lambda: Passage(case.network, case.parameters, grids).logits[0, target], grids
    )
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("hidden", [(), (5,), (6, 4)])
@settings(max_examples=10)
@given(seed=SEEDS)
def test_votes_of_cells_add_up_to_the_logits(hidden: tuple[int, ...], seed: int) -> None:
    """And each is the cell's value times the slope of the logit by it, found by nudging it."""
    shape = GridShape(2, 4, 5)
    passage = passage_of(network_of([{"convolution": {"filters": 2}}], shape, hidden=hidden), seed)
    election = election_of(passage)
    assert election is not None

    np.testing.assert_allclose(election.logits, passage.logits[0], rtol=0, atol=1e-12)
    op = passage.network.ops[-1]
    grid = passage.values[op.sources[0]]
    for place in [(0, 0, 0), (1, 3, 4), (0, 2, 1)]:
        moved = [grid.copy(), grid.copy()]
        for sign, each in zip((1, -1), moved, strict=True):
            each[(0, *place)] += sign * 1e-7
        up, down = (apply(op.stage, [each], passage.weights(op))[0].ravel() for each in moved)
        slopes = (up - down) / 2e-7
        expected = grid[(0, *place)] * slopes
        np.testing.assert_allclose(election.cells[(slice(None), *place)], expected, atol=1e-5)


def test_hidden_voters_add_up_to_the_logits() -> None:
    """By their own weights, and the bias of the last layer."""
    passage = passage_of(network_of([], GridShape(1, 3, 3), hidden=(4,)))
    election = election_of(passage)
    assert election is not None
    assert election.voters is not None

    total = election.voters.sum(axis=1) + election.own

    np.testing.assert_allclose(total, passage.logits[0], atol=1e-12)
    assert election.hidden[0].min() >= 0


@FEW
@given(data=st.data())
def test_the_arithmetic_of_a_match_is_the_cell_of_the_map(
    networks: ModuleType, data: st.DataObject
) -> None:
    """Whatever kernel, stride, border, dilation and scale, at every place."""
    stage, shape = data.draw(networks.fitted(Convolution))
    assert isinstance(stage, Convolution)
    network = Network(load({"stages": [{"convolution": stage.model_dump(mode="json")}]}), shape)
    passage = passage_of(network, data.draw(SEEDS))
    op = network.ops[0]

    for feature, row, column in np.ndindex(*op.output.sizes):
        found = match_at(op, passage.values[0][0], passage.weights(op), feature, (row, column))
        assert math.isclose(found.value, passage.values[1][0, feature, row, column], abs_tol=1e-9)
        assert math.isclose(found.value, found.total / found.divisor + found.bias, abs_tol=1e-12)
        cell = found.patch[0, 0, 0]
        inside = 0 <= found.top < shape.rows and 0 <= found.left < shape.columns
        grid = passage.values[0][0]
        assert cell == (grid[found.channels[0], found.top, found.left] if inside else 0)


def test_the_first_convolution_lies_on_the_grid_itself() -> None:
    """One behind a pooling sees maps, and not the grid."""
    behind = network_of(["pooling", {"convolution": {"filters": 1}}], GridShape(1, 6, 6))
    first = network_of([{"convolution": {"filters": 1}}], GridShape(1, 6, 6))

    assert first_convolution(behind) is None
    assert first_convolution(first) is first.ops[0]


@FEW
@given(data=st.data())
def test_winners_hold_what_pooling_kept(networks: ModuleType, data: st.DataObject) -> None:
    """They are in their window; means have none."""
    stage, shape = data.draw(networks.fitted(Pooling))
    assert isinstance(stage, Pooling)
    network = Network(load({"stages": [{"pooling": stage.model_dump(mode="json")}]}), shape)
    passage = passage_of(network, data.draw(SEEDS))

    windows = windows_of(network.ops[0], passage.values[0][0])

    assert (windows.winners is None) == (stage.mode == "mean")
    if windows.winners is None:
        return
    for channel, row, column in np.ndindex(*windows.winners.shape):
        down, across = divmod(int(windows.winners[channel, row, column]), shape.columns)
        top, left = row * windows.stride[0], column * windows.stride[1]
        assert top <= down < top + windows.size[0]
        assert left <= across < left + windows.size[1]
        kept = passage.values[1][0, channel, row, column]
        assert passage.values[0][0, channel, down, across] == kept


# What cells see


@FEW
@given(data=st.data())
def test_a_cell_sees_no_more_than_its_field(networks: ModuleType, data: st.DataObject) -> None:
    """A cell of the grid that is no number makes those cells no numbers that see it."""
    network = data.draw(networks.cases(items=1)).network
    fields = fields_of(network)
    shape = network.shape
    seen: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    parameters = np.ones(network.parameters)
    for row, column in np.ndindex(shape.rows, shape.columns):
        grid = np.ones((1, *shape.sizes))
        grid[:, :, row, column] = np.nan
        for value, cells in enumerate(Passage(network, parameters, grid).values):
            for down, across in np.argwhere(np.isnan(cells[0]).any(axis=0)).tolist():
                seen.setdefault((value, down, across), []).append((row, column))

    for (value, down, across), places in seen.items():
        for axis, at in enumerate((down, across)):
            first, end = fields[value][axis].of(at)
            found = [place[axis] for place in places]
            assert first <= min(found)
            assert max(found) < end


def test_fields_are_as_large_as_they_should_be() -> None:
    """Two convolutions of 3 see 5; behind a pooling of 2, cells are 2 apart."""
    stages = [
        {"convolution": {"filters": 1}},
        {"convolution": {"filters": 1}},
        {"pooling": {"window": 2}},
        {"convolution": {"filters": 1, "padding": "valid"}},
    ]
    fields = fields_of(network_of(stages, GridShape(1, 16, 16)))

    assert [field[0].size for field in fields[:5]] == [1, 3, 5, 6, 10]
    assert [field[0].step for field in fields[:5]] == [1, 1, 1, 2, 2]
    assert fields[4][1].of(3) == (4, 14)
    assert fields[1][0].of(0) == (0, 2)


def test_maps_are_spread_between_the_middles_of_what_they_see() -> None:
    """As NumPy interpolates, along one axis after the other."""
    cells = np.random.default_rng(0).random((4, 5))
    field = (Reach(0, 2, 2, 8), Reach(-1, 2, 3, 10))

    found = spread_over_grid(cells, field)

    down = [np.interp(np.arange(8), 0.5 + 2 * np.arange(4), cells[:, at]) for at in range(5)]
    rows = np.array(down).T
    expected = [np.interp(np.arange(10), 2 * np.arange(5), row) for row in rows]
    np.testing.assert_allclose(found, expected)


# What mattered


def logits_of(network: Network, parameters: Array) -> Any:
    return lambda grids: Passage(network, parameters, grids).logits


@settings(max_examples=15)
@given(
    sizes=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    seed=SEEDS,
)
def test_occlusion_is_what_a_plain_loop_finds(
    sizes: tuple[int, int], window: tuple[int, int], stride: tuple[int, int], seed: int
) -> None:
    """Hide each window, and give each cell the mean loss of the windows over it."""
    window = (min(window[0], sizes[0]), min(window[1], sizes[1]))
    stride = (min(stride[0], window[0]), min(stride[1], window[1]))
    network = network_of(
        [{"convolution": {"filters": 2}}, "rectification"], GridShape(2, *sizes), hidden=(3,)
    )
    passage = passage_of(network, seed)
    grid = passage.values[0][0]
    fill = (0.25, -0.5)

    found = occlusion(logits_of(network, passage.parameters), grid, 1, Hiding(window, stride, fill))

    starts = [
        [*range(0, size - wide, step), size - wide]
        for size, wide, step in zip(sizes, window, stride, strict=True)
    ]
    for row in range(sizes[0]):
        for column in range(sizes[1]):
            losses = []
            for top in sorted(set(starts[0])):
                for left in sorted(set(starts[1])):
                    if top <= row < top + window[0] and left <= column < left + window[1]:
                        hidden = grid.copy()
                        for channel in range(2):
                            for r in range(top, top + window[0]):
                                for c in range(left, left + window[1]):
                                    hidden[channel, r, c] = fill[channel]
                        changed = Passage(network, passage.parameters, hidden[None])
                        losses.append(passage.logits[0, 1] - changed.logits[0, 1])
            assert math.isclose(found[row, column], sum(losses) / len(losses), abs_tol=1e-9)


def plain_logit(weights: dict[str, Array], maps: NDArray[np.float64], target: int) -> float:
    """Return a logit of maps that are pooled by windows of 2, by loops alone."""
    total = float(weights["bias"][target])
    place = 0
    for channel in maps:
        for row in range(0, channel.shape[0], 2):
            for column in range(0, channel.shape[1], 2):
                best = max(channel[r, c] for r in (row, row + 1) for c in (column, column + 1))
                total += weights["weights"][target, place] * best
                place += 1
    return total


@pytest.mark.parametrize("seed", range(5))
def test_grad_cam_is_what_a_plain_loop_finds(seed: int) -> None:
    """Nudge each cell of the rectified maps, and add up the maps by the mean slopes."""
    shape = GridShape(1, 6, 8)
    stages = [{"convolution": {"filters": 3, "kernel_size": 3}}, "rectification", "pooling"]
    network = network_of(stages, shape)
    parameters = passage_of(network, seed).parameters
    # No window without any match, which would have no slope but when its cells are nudged up.
    network.named(parameters)["1.convolution.bias"][:] = 3
    grids = np.random.default_rng(seed).uniform(-1, 1, (1, *shape.sizes))
    passage = Passage(network, parameters, grids)
    value = cam_value(network)
    assert value == 2

    # Some class for which the maps speak somewhere.
    for target in range(3):
        found = grad_cam(passage, target, value, fields_of(network)[value])
        if found.max() > 0:
            break

    grid, named = passage.values[0][0, 0], network.named(passage.parameters)
    maps = np.zeros((3, 6, 8))
    for feature, row, column in np.ndindex(maps.shape):
        total = named["1.convolution.bias"][feature]
        for r in range(3):
            for c in range(3):
                y, x = row + r - 1, column + c - 1
                if 0 <= y < 6 and 0 <= x < 8:
                    total += named["1.convolution.weights"][feature, 0, r, c] * grid[y, x]
        maps[feature, row, column] = max(float(total), 0.0)
    head = {
        "weights": named["4.voting.votes.weights"],
        "bias": named["4.voting.votes.bias"],
    }
    slopes = np.zeros_like(maps)
    for place in np.ndindex(maps.shape):
        moved = maps.copy()
        moved[place] += 1e-7
        slopes[place] = (plain_logit(head, moved, target) - plain_logit(head, maps, target)) / 1e-7
    expected = np.zeros((6, 8))
    for row, column in np.ndindex(6, 8):
        weighed = [slopes[k].mean() * maps[k, row, column] for k in range(3)]
        expected[row, column] = max(sum(weighed), 0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.max() > 0


def test_grad_cam_takes_the_last_convolution_with_places() -> None:
    """And what follows it up to the pooling; without places there is no map."""
    shape = GridShape(1, 8, 8)
    conv, whole = {"convolution": {"filters": 2}}, {"pooling": {"window": "all"}}
    last = {"convolution": {"filters": 2, "kernel_size": ["all", "all"]}}

    assert cam_value(network_of([conv, "normalization", "rectification", whole], shape)) == 3
    assert cam_value(network_of([conv, "rectification", last], shape)) == 2
    assert cam_value(network_of([last], shape)) is None
    assert cam_value(network_of([], shape)) is None
    skip = {"skip": {"stages": [conv, "rectification", conv]}}
    residual = network_of([conv, skip, "pooling"], shape)
    value = cam_value(residual)
    assert value is not None
    assert residual.values[value].sizes == (2, 8, 8)


def test_what_is_hidden_depends_on_the_grid() -> None:
    """Symbols lose their 1, and cells of pictures become the median of their channel."""
    text = GridShape(1, 30, 50, Axis("character", ordered=False), Axis("position"))
    word = GridShape(1, 30, 50, Axis("word", ordered=False), Axis("position"))
    picture = GridShape(1, 32, 32)
    series = GridShape(1, 1, 64)
    cells = np.arange(64, dtype=np.float32).reshape(1, 1, 64)

    assert hiding_for(np.zeros((1, 30, 50)), text, one_hot=True) == Hiding((30, 3), (30, 1), (0.0,))
    assert hiding_for(np.zeros((1, 30, 50)), word, one_hot=True).window == (30, 1)
    assert hiding_for(np.zeros((1, 32, 32)), picture, one_hot=False).window == (4, 4)
    assert hiding_for(cells, series, one_hot=False) == Hiding((1, 2), (1, 1), (31.5,))


@given(seed=SEEDS)
def test_likeness_is_spearman_s(seed: int) -> None:
    """As SciPy has it; a map of one value is like none."""
    from scipy.stats import spearmanr

    random = np.random.default_rng(seed)
    first, second = random.integers(0, 5, (2, 4, 4)).astype(float)
    assume(np.ptp(first) > 0 and np.ptp(second) > 0)

    found = likeness(first, second)

    assert found is not None
    assert math.isclose(found, spearmanr(first.ravel(), second.ravel()).statistic, abs_tol=1e-9)
    assert likeness(first, np.zeros((4, 4))) is None
