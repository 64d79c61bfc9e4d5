from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.contracts.stage import Stage
from gridcnn.grid import Array, GridShape
from gridcnn.stages.voting import (
    IndependentVotes,
    Voting,
    binary_cross_entropy,
    cross_entropy,
    sigmoid,
    softmax,
)

SHAPE = GridShape(2, 3, 2)


def naive(grid: Array, weights: dict[str, Array], layers: list[str]) -> list[float]:
    """Return the logits of one item, vote by vote."""
    values = [float(cell) for cell in grid.ravel()]
    for number, name in enumerate(layers):
        if number:
            values = [max(value, 0.0) for value in values]
        values = [
            sum(weight * value for weight, value in zip(row, values, strict=True)) + bias
            for row, bias in zip(weights[f"{name}.weights"], weights[f"{name}.bias"], strict=True)
        ]
    return values


@pytest.mark.parametrize(
    ("hidden", "layers"),
    [((), ["votes"]), ((4,), ["hidden1", "votes"]), ((3, 5), ["hidden1", "hidden2", "votes"])],
)
def test_votes_are_those_of_naive_loops(
    networks: ModuleType, hidden: tuple[int, ...], layers: list[str]
) -> None:
    """Every cell votes with its weight; hidden layers are rectified, the last one is not."""
    stage = Voting(hidden=hidden).stage(3)
    random = np.random.default_rng(0)
    weights = networks.random_weights(stage, SHAPE, random)
    grids = random.normal(0, 1, (4, *SHAPE.sizes))

    logits = stage.forward(grids, weights)[0]
    assert logits.shape == (4, 3, 1, 1)
    expected = [naive(grid, weights, layers) for grid in grids]
    np.testing.assert_allclose(logits[:, :, 0, 0], expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    hidden=st.lists(st.integers(1, 6), max_size=3),
    classes=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_gradients_are_the_slopes(
    networks: ModuleType, hidden: list[int], classes: int, seed: int
) -> None:
    networks.check_gradients(Voting(hidden=hidden).stage(classes), SHAPE, seed=seed)


def dropped(stage: Stage, grids: Array, weights: dict[str, Array], seed: int) -> Array:
    return stage.forward(grids, weights, random=np.random.default_rng(seed))[0][:, :, 0, 0]


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
def test_gradients_under_dropout_are_the_slopes(
    networks: ModuleType, hidden: tuple[int, ...]
) -> None:
    """With the same cells left out again, the slopes agree as well."""
    stage = Voting(hidden=hidden, dropout=0.4).stage(3)
    random = np.random.default_rng(3)
    weights = networks.random_weights(stage, SHAPE, random)
    grids = random.normal(0, 1, (2, *SHAPE.sizes))
    shares = random.normal(0, 1, (2, 3))

    def total() -> float:
        return float((dropped(stage, grids, weights, 9) * shares).sum())

    _, backward = stage.forward(grids, weights, random=np.random.default_rng(9))
    by_grids, by_weights = backward(shares[:, :, None, None])
    pairs = [(grids, by_grids), *((weights[name], by_weights[name]) for name in weights)]
    for values, found in pairs:
        slopes = networks.central_differences(total, values)
        np.testing.assert_allclose(found, slopes, atol=1e-6)


def test_dropout_keeps_the_expectation() -> None:
    """The mean vote over many draws is the vote without dropout."""
    stage = Voting(dropout=0.3).stage(1)
    grids = np.ones((20_000, 1, 4, 4), np.float32)
    weights = {"votes.weights": np.ones((1, 16), np.float32), "votes.bias": np.zeros(1, np.float32)}

    votes = dropped(stage, grids, weights, 0)
    assert votes.mean() == pytest.approx(16, rel=0.005)
    # A sum of 16 cells, each 1 / 0.7 with probability 0.7.
    assert votes.std() == pytest.approx(np.sqrt(16 * 0.3 / 0.7), rel=0.03)


def test_nothing_is_dropped_without_chance() -> None:
    """Outside training, dropout changes nothing."""
    grids = np.random.default_rng(0).normal(0, 1, (5, *SHAPE.sizes))
    weights = {"votes.weights": np.ones((2, 12)), "votes.bias": np.zeros(2)}

    plain = Voting().stage(2).forward(grids, weights)[0]
    np.testing.assert_array_equal(Voting(dropout=0.5).stage(2).forward(grids, weights)[0], plain)


def test_dropout_leaves_the_grid_alone_where_there_are_hidden_layers(networks: ModuleType) -> None:
    """Only hidden values are left out: with those at 0, chance has nothing to do."""
    stage = Voting(hidden=(4,), dropout=0.9).stage(2)
    random = np.random.default_rng(0)
    weights = networks.random_weights(stage, SHAPE, random)
    weights["hidden1.bias"] -= 100
    grids = random.normal(0, 1, (3, *SHAPE.sizes))

    expected = np.tile(weights["votes.bias"], (3, 1))
    np.testing.assert_array_equal(dropped(stage, grids, weights, 0), expected)


def test_an_item_depends_on_itself_alone() -> None:
    """An item's votes are the same bits in any batch, up to the last softmax."""
    random = np.random.default_rng(0)
    for classes in (1, 2, 3, 7, 8, 10, 17):
        stage = Voting(hidden=(19,)).stage(classes)
        shape = GridShape(3, 7, 5)
        weights = {
            each.name: random.normal(0, 1, each.shape).astype(np.float32)
            for each in stage.parameters(shape)
        }
        grids = random.normal(0, 1, (33, *shape.sizes)).astype(np.float32)

        together = softmax(stage.forward(grids, weights)[0][:, :, 0, 0])
        for size in (1, 2, 5):
            parts = [
                softmax(stage.forward(grids[start : start + size], weights)[0][:, :, 0, 0])
                for start in range(0, 33, size)
            ]
            np.testing.assert_array_equal(np.concatenate(parts), together)


def test_softmax_makes_votes_of_logits() -> None:
    votes = softmax(np.array([[0, 0], [np.log(3), 0], [1000, -1000]]))

    np.testing.assert_allclose(votes, np.array([[0.5, 0.5], [0.75, 0.25], [1, 0]]), atol=1e-15)


def test_cross_entropy_is_the_negative_logarithm_of_the_right_vote() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (6, 4))
    targets = np.array([0, 1, 2, 3, 0, 1])

    losses, _ = cross_entropy(logits, targets)
    np.testing.assert_allclose(losses, -np.log(softmax(logits)[np.arange(6), targets]))


def test_the_gradient_of_cross_entropy_is_its_slope(networks: ModuleType) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (5, 4))
    targets = np.array([0, 1, 2, 3, 0])

    def total() -> float:
        return float(cross_entropy(logits, targets)[0].sum())

    slopes = networks.central_differences(total, logits)
    np.testing.assert_allclose(cross_entropy(logits, targets)[1], slopes, atol=1e-6)


def test_logits_may_be_far_apart_or_infinite() -> None:
    """Large logits do not overflow; infinite and missing ones give NaN."""
    logits: Array = np.array([[3e38, -3e38], [np.inf, 0], [np.nan, 0]], np.float32)
    head = Voting().stage(2)

    with np.errstate(over="ignore", invalid="ignore"):  # as all that ask a head
        votes = head.votes(logits)
        losses, _ = head.losses(logits, np.array([0, 0, 0]))
    assert votes[0].tolist() == [1, 0]
    assert np.isnan(votes[1:]).any(axis=1).all()
    np.testing.assert_array_equal(losses, [0, np.nan, np.nan])


def test_votes_for_several_labels_are_the_sigmoid_of_each_logit() -> None:
    """As SciPy has it, from the lowest to the highest float32; and those from 0.5 are answers."""
    head = Voting(labels="several").stage(5)
    logits = np.array([[-3e38, -2, 0, 3, 3e38], [-np.inf, np.inf, -1e-9, 88, -104]], np.float32)

    votes = head.votes(logits)
    assert isinstance(head, IndependentVotes)
    np.testing.assert_allclose(votes, scipy.special.expit(logits), rtol=1e-6, atol=1e-44)
    assert votes.dtype == np.float32
    assert head.answers(votes).tolist() == [[0, 0, 1, 1, 1], [0, 1, 1, 1, 0]]


def test_binary_cross_entropy_is_that_of_naive_loops(networks: ModuleType) -> None:
    """The mean over all labels of those that are known; its gradient is its slope."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (6, 4))
    targets: Any = random.integers(0, 2, (6, 4)).astype(np.float64)
    targets[2, 1] = targets[4] = np.nan
    targets[0, 0] = 0.25

    losses, gradient = binary_cross_entropy(logits, targets)
    for item in range(6):
        total = 0.0
        for logit, target in zip(logits[item], targets[item], strict=True):
            if not np.isnan(target):
                vote = 1 / (1 + np.exp(-logit))
                total -= target * np.log(vote) + (1 - target) * np.log(1 - vote)
        assert losses[item] == pytest.approx(total / 4)
    slopes = networks.central_differences(
        lambda: float(binary_cross_entropy(logits, targets)[0].sum()), logits
    )
    np.testing.assert_allclose(gradient, slopes, atol=1e-6)
    assert not gradient[4].any()


def test_binary_cross_entropy_holds_for_votes_that_are_rounded() -> None:
    """In float32 a logit of 200 has the vote 1, and the loss 200 if the label is not there."""
    logits = np.array([[200, -200, 3e38]], np.float32)

    losses, gradient = binary_cross_entropy(logits, np.array([[0, 1, 1]], np.float32))
    assert sigmoid(logits).tolist() == [[1, 0, 1]]
    assert losses[0] == pytest.approx(400 / 3)
    np.testing.assert_allclose(gradient, np.array([[1, -1, 0]]) / 3, rtol=1e-6)


def test_an_item_is_a_hit_if_all_known_labels_are_right() -> None:
    head = Voting(labels="several").stage(2)
    logits = np.array([[1, -1], [1, -1], [1, -1], [-1, 1]], np.float32)
    targets = np.array([[1, 0], [1, 1], [1, np.nan], [np.nan, np.nan]], np.float32)

    assert head.hits(logits, targets).tolist() == [True, False, True, True]


def test_parameters_are_laid_out_layer_by_layer() -> None:
    parameters = Voting(hidden=(5,)).stage(3).parameters(SHAPE)

    assert [(each.name, each.shape, each.decays) for each in parameters] == [
        ("hidden1.weights", (5, 12), True),
        ("hidden1.bias", (5,), False),
        ("votes.weights", (3, 5), True),
        ("votes.bias", (3,), False),
    ]
    assert Voting(hidden=(5,)).stage(3).multiply_adds(SHAPE) == 5 * 12 + 3 * 5
