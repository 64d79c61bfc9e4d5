"""Items may have several labels: every engine computes votes for each, and their loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from gridcnn.engines.base import ENGINES, Engine, make_engine
from gridcnn.engines.native.engine import NativeEngine
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.methods import slopes

every_engine = pytest.mark.parametrize("name", list(ENGINES))
STAGES: dict[str, list[Any]] = {
    "chain": [{"convolution": {"filters": 3}}, "rectification", "pooling"],
    "normalized": [{"convolution": {"filters": 3}}, "normalization", {"dropout": 0.2}],
    "foreign": [{"skip": [{"convolution": {"filters": 2}}, {"activation": "tanh"}]}],
    "head": [],
}
every_network = pytest.mark.parametrize("stages", list(STAGES))
LABELS = 4


def made(name: str, stages: str = "chain", *, dropout: float = 0, **options: Any) -> Engine:
    head = {"voting": {"labels": "several", "hidden": [5], "dropout": dropout}}
    spec = load({"stages": STAGES[stages], "head": head})
    return make_engine(Network(spec, GridShape(2, 6, 7), classes=LABELS), name, **options)


def batch(items: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return grids, labels of which a third are not known, and weights, of which some are 0."""
    random = np.random.default_rng(items)
    grids = random.normal(0, 1, (items, 2, 6, 7)).astype(np.float32)
    labels = random.integers(0, 2, (items, LABELS)).astype(np.float32)
    labels[random.random((items, LABELS)) < 1 / 3] = np.nan
    weights = (random.random(items) * (random.random(items) > 0.2)).astype(np.float32)
    return grids, labels, weights


@every_engine
@every_network
def test_the_loss_is_the_binary_cross_entropy_of_what_is_known(name: str, stages: str) -> None:
    """SciPy's logarithm of the sigmoid gives the same, as the mean over items and labels."""
    engine = made(name, stages)
    parameters = engine.network.starting_parameters()
    grids, labels, weights = batch(20)

    step = engine.step(parameters, grids, labels, weights=weights)
    if engine.network.mixes_items:  # in training they are another network
        exact = made("reference", stages).step(
            parameters.astype(np.float64), grids, labels, weights=weights
        )
        assert step.loss == pytest.approx(exact.loss, rel=1e-5)
        return
    logits = engine.logits(parameters, grids).astype(np.float64)
    each = -(labels * log_expit(logits) + (1 - labels) * log_expit(-logits))
    assert step.loss == pytest.approx(np.mean(weights * np.nansum(each, axis=1) / LABELS), rel=1e-5)
    right = ((expit(logits) >= 0.5) == (labels == 1)) | np.isnan(labels)
    assert step.hits == right.all(axis=1).sum()


@pytest.mark.parametrize("stages", ["chain", "foreign", "head"])
def test_the_gradient_is_the_slope_of_that_loss(stages: str) -> None:
    """Nudging every parameter, in float64, gives the gradient of the reference."""
    engine = made("reference", stages)
    grids, labels, _ = batch(7)
    values = engine.network.starting_parameters(np.float64)

    step = engine.step(values, grids, labels)
    expected = slopes(engine, values, grids, labels, width=1e-6)
    np.testing.assert_allclose(step.gradient, expected, atol=1e-7)


@every_network
@pytest.mark.parametrize("dropout", [0, 0.4])
@pytest.mark.parametrize("items", [5, 700])
def test_every_engine_has_the_loss_and_gradient_of_the_reference(
    stages: str, dropout: float, items: int
) -> None:
    """With weights, and with what dropout leaves out."""
    native, reference = (made(name, stages, dropout=dropout) for name in ("native", "reference"))
    parameters = native.network.starting_parameters()
    grids, labels, weights = batch(items)

    for counts in (None, weights):
        random = [np.random.default_rng(3) for _ in range(2)]
        ours = native.step(parameters, grids, labels, weights=counts, random=random[0])
        exact = parameters.astype(np.float64)
        right = reference.step(exact, grids, labels, weights=counts, random=random[1])
        assert ours.loss == pytest.approx(right.loss, rel=1e-4)
        assert abs(ours.hits - right.hits) <= items // 300  # votes that are 0.5 but for rounding
        scale = np.abs(right.gradient).max()
        np.testing.assert_allclose(ours.gradient, right.gradient, atol=1e-4 * scale, rtol=1e-3)


def test_a_network_with_kernels_is_one_program() -> None:
    """Also with a normalization and dropout, whose training is then that of kernels."""
    engine = made("native", "normalized", dropout=0.3)

    assert isinstance(engine, NativeEngine)
    assert [piece.native for piece in engine.pieces()] == [True]


def test_bits_do_not_depend_on_the_threads() -> None:
    """Labels give the same bits for 1, 2 and 64 threads."""
    grids, labels, weights = batch(300)
    steps = []
    for threads in (1, 2, 64):
        engine = made("native", threads=threads)
        parameters = engine.network.starting_parameters()
        steps.append(engine.step(parameters, grids, labels, weights=weights))

    for step in steps[1:]:
        assert step.loss == steps[0].loss
        np.testing.assert_array_equal(step.gradient, steps[0].gradient)


@every_engine
def test_what_is_not_known_changes_nothing(name: str) -> None:
    """An item without any answer adds no gradient, and no loss; it counts as an item."""
    engine = made(name)
    parameters = engine.network.starting_parameters()
    grids, labels, _ = batch(4)
    labels = np.nan_to_num(labels)
    labels[2:] = np.nan

    whole, half = (engine.step(parameters, grids[:n], labels[:n]) for n in (4, 2))
    assert whole.loss == pytest.approx(half.loss / 2, rel=1e-6)
    np.testing.assert_allclose(whole.gradient, half.gradient / 2, atol=1e-7)


@every_engine
@pytest.mark.parametrize(
    "targets",
    [np.zeros(2, np.int64), np.zeros((2, 3)), np.full((2, 4), 2), np.full((2, 4), -0.1)],
    ids=["classes", "three labels", "above 1", "below 0"],
)
def test_other_targets_are_refused(name: str, targets: Array) -> None:
    """There is 0, 1 or NaN for each label."""
    engine = made(name)

    with pytest.raises(IndexError, match="0, 1 or NaN for each of 4 labels of 2 items"):
        engine.step(engine.network.starting_parameters(), batch(2)[0], targets)
