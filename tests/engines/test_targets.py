"""Items may have weights, and may be parts of several classes: every engine computes with both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from gridcnn.engines.base import ENGINES, Engine, make_engine
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

every_engine = pytest.mark.parametrize("name", list(ENGINES))
# A chain that ends in the votes, and a network whose head is a piece of its own.
STAGES: dict[str, list[Any]] = {
    "chain": [{"convolution": {"filters": 3}}, "rectification", "pooling"],
    "normalized": [
        {"convolution": {"filters": 3}},
        "normalization",
        {"skip": [{"convolution": {"filters": 3}}, {"activation": "tanh"}]},
    ],
    "head": [],
}
every_network = pytest.mark.parametrize("stages", list(STAGES))
CLASSES = 3


def made(name: str, stages: str = "chain", **options: Any) -> tuple[Engine, Array]:
    spec = load({"stages": STAGES[stages], "head": {"voting": {"hidden": [5]}}})
    network = Network(spec, GridShape(2, 6, 7), classes=CLASSES)
    return make_engine(network, name, **options), network.starting_parameters()


def batch(items: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return grids, parts of classes, and weights, of which some are 0."""
    random = np.random.default_rng(items)
    grids = random.normal(0, 1, (items, 2, 6, 7)).astype(np.float32)
    parts = random.dirichlet(np.ones(CLASSES), items).astype(np.float32)
    weights = (random.random(items) * (random.random(items) > 0.2)).astype(np.float32)
    return grids, parts, weights


@every_engine
def test_the_loss_is_the_weighted_cross_entropy_against_the_parts(name: str) -> None:
    """SciPy's logarithm of the softmax gives the same loss, the mean over all items."""
    engine, parameters = made(name)
    grids, parts, weights = batch(20)

    step = engine.step(parameters, grids, parts, weights=weights)
    logits = engine.logits(parameters, grids)
    losses = -(parts * log_softmax(logits.astype(np.float64), axis=1)).sum(axis=1)
    assert step.loss == pytest.approx(np.mean(weights * losses), rel=1e-5)
    assert step.hits == (logits.argmax(axis=1) == parts.argmax(axis=1)).sum()


@every_network
def test_the_gradient_is_the_slope_of_that_loss(stages: str) -> None:
    """Central differences of the loss, in float64, agree with the reference."""
    engine, parameters = made("reference", stages)
    grids, parts, weights = batch(7)
    values = parameters.astype(np.float64)

    def loss() -> float:
        return engine.step(values, grids, parts, weights=weights).loss

    step = engine.step(values, grids, parts, weights=weights)
    trainable = np.flatnonzero(engine.network.mask("trainable"))
    for index in np.random.default_rng(0).choice(trainable, 40, replace=False):
        here, width = values[index], 1e-6
        values[index] = here + width
        above = loss()
        values[index] = here - width
        below = loss()
        values[index] = here
        assert step.gradient[index] == pytest.approx((above - below) / (2 * width), abs=1e-7)


@every_network
@pytest.mark.parametrize("items", [5, 700])
def test_every_engine_has_the_loss_and_gradient_of_the_reference(stages: str, items: int) -> None:
    """Soft targets with weights, soft targets alone, and class indices with weights."""
    native, parameters = made("native", stages)
    reference, _ = made("reference", stages)
    grids, parts, weights = batch(items)
    cases: list[tuple[Array, Array | None]] = [
        (parts, weights),
        (parts, None),
        (parts.argmax(axis=1), weights),
    ]

    for targets, counts in cases:
        ours = native.step(parameters, grids, targets, weights=counts)
        right = reference.step(parameters.astype(np.float64), grids, targets, weights=counts)
        assert ours.loss == pytest.approx(right.loss, rel=1e-4)
        assert ours.hits == right.hits
        scale = np.abs(right.gradient).max()
        np.testing.assert_allclose(ours.gradient, right.gradient, atol=1e-4 * scale, rtol=1e-3)


@every_engine
@every_network
def test_the_whole_of_one_class_is_that_class(name: str, stages: str) -> None:
    """Parts of 1 and 0, and weights of 1, change nothing but rounding."""
    engine, parameters = made(name, stages)
    grids, parts, _ = batch(9)
    targets = parts.argmax(axis=1)
    whole = np.eye(CLASSES, dtype=np.float32)[targets]

    plain = engine.step(parameters, grids, targets)
    others = [
        engine.step(parameters, grids, whole),
        engine.step(parameters, grids, targets, weights=np.ones(9, np.float32)),
    ]
    for step in others:
        assert step.loss == pytest.approx(plain.loss, rel=1e-6)
        assert step.hits == plain.hits
        np.testing.assert_allclose(step.gradient, plain.gradient, atol=1e-6)


@every_engine
def test_an_item_of_weight_two_counts_as_two_items(name: str) -> None:
    """And one of weight 0 as none; the mean is over the items that were given."""
    engine, parameters = made(name)
    grids, parts, _ = batch(4)
    targets = parts.argmax(axis=1)
    weights = np.array([2, 1, 0, 1], np.float32)

    weighted = engine.step(parameters, grids, targets, weights=weights)
    repeated = engine.step(parameters, grids[[0, 0, 1, 3]], targets[[0, 0, 1, 3]])
    assert weighted.loss == pytest.approx(repeated.loss, rel=1e-6)
    np.testing.assert_allclose(weighted.gradient, repeated.gradient, atol=1e-6)


def test_bits_do_not_depend_on_the_threads() -> None:
    """Soft targets with weights give the same bits for 1, 2 and 64 threads."""
    grids, parts, weights = batch(300)
    steps = []
    for threads in (1, 2, 64):
        engine, parameters = made("native", threads=threads)
        steps.append(engine.step(parameters, grids, parts, weights=weights))

    for step in steps[1:]:
        assert step.loss == steps[0].loss
        np.testing.assert_array_equal(step.gradient, steps[0].gradient)


@every_engine
@pytest.mark.parametrize(
    ("targets", "weights", "message"),
    [
        (np.ones((2, 2)), None, "parts of 3 classes, not below 0, for 2 items"),
        (np.full((2, 3), np.nan), None, "parts of 3 classes"),
        (np.full((2, 3), -0.1), None, "parts of 3 classes"),
        (np.zeros(2, np.int64), np.ones(3), "weights must be 2 finite numbers, not below 0"),
        (np.zeros(2, np.int64), np.array([1, -1]), "weights must be 2 finite numbers"),
        (np.zeros(2, np.int64), np.array([1, np.inf]), "weights must be 2 finite numbers"),
    ],
)
def test_wrong_parts_and_weights_are_refused(
    name: str, targets: Array, weights: Array | None, message: str
) -> None:
    """Parts are not below 0, and there is one of each class; weights are finite."""
    engine, parameters = made(name)

    with pytest.raises(IndexError, match=message):
        engine.step(parameters, batch(2)[0], targets, weights=weights)
