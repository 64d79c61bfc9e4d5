from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gridcnn.grid import Array, GridShape
from gridcnn.stages.normalization import Normalization

KINDS: list[Any] = [
    {"kind": "batch"},
    {"kind": "layer"},
    {"kind": "group", "groups": 2},
    {"kind": "group", "groups": 3},
    {"kind": "group", "groups": 6},
]
SHAPE = GridShape(6, 3, 4)
every_kind = pytest.mark.parametrize("settings", KINDS, ids=str)


def started(stage: Normalization, shape: GridShape) -> dict[str, Array]:
    return {
        each.name: np.zeros(each.shape) if each.written is None else each.written.copy()
        for each in stage.parameters(shape)
    }


def naive(stage: Normalization, grids: Array, weights: dict[str, Array]) -> Array:
    """Return what training makes of grids, a mean and a variance for each set of cells."""
    items, channels = grids.shape[:2]
    sets: list[Any] = []
    if stage.kind == "batch":
        sets = [np.s_[:, channel] for channel in range(channels)]
    else:
        count = {"layer": 1, "group": stage.groups or min(8, channels)}[stage.kind]
        size = channels // count
        sets = [
            np.s_[item, start : start + size]
            for item in range(items)
            for start in range(0, channels, size)
        ]
    normal = np.empty_like(grids)
    for cells in sets:
        deviation = np.sqrt(np.var(grids[cells]) + stage.epsilon)
        normal[cells] = (grids[cells] - np.mean(grids[cells])) / deviation
    for channel in range(channels):
        normal[:, channel] *= weights["gain"][channel]
        normal[:, channel] += weights["bias"][channel]
    return normal


@every_kind
@pytest.mark.parametrize("epsilon", [1e-5, 0.5])
def test_cells_are_those_of_numpys_variance(
    networks: ModuleType, settings: dict[str, Any], epsilon: float
) -> None:
    stage = Normalization(**settings, epsilon=epsilon)
    random = np.random.default_rng(0)
    grids = random.normal(3, 2, (5, *SHAPE.sizes))
    weights = networks.random_weights(stage, SHAPE, random)

    normal, _ = stage.forward(grids, weights, training=True)
    np.testing.assert_allclose(normal, naive(stage, grids, weights), rtol=1e-10, atol=1e-12)


@every_kind
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_the_slopes(
    networks: ModuleType, settings: dict[str, Any], training: bool
) -> None:
    """By grids, gains and biases; in training every cell moves the mean and the variance."""
    networks.check_gradients(Normalization(**settings), SHAPE, seed=0, items=3, training=training)


def test_answers_use_the_running_values() -> None:
    """They shift and scale each map by them, and observe nothing."""
    stage = Normalization(epsilon=0.5)
    weights = {
        "gain": np.array([2.0, 3]),
        "bias": np.array([10.0, 20]),
        "mean": np.array([1.0, -1]),
        "variance": np.array([3.5, 15.5]),
    }
    grids = np.arange(8.0).reshape(2, 2, 1, 2)

    answers, backward = stage.forward(grids, weights)
    expected = np.stack([10 + 2 * (grids[:, 0] - 1) / 2, 20 + 3 * (grids[:, 1] + 1) / 4], axis=1)
    np.testing.assert_allclose(answers, expected)
    _, observed = backward(np.ones_like(grids))
    np.testing.assert_array_equal(observed["mean"], [2, -2])  # of two items
    np.testing.assert_array_equal(observed["variance"], [7, 31])


def test_training_observes_the_mean_and_the_unbiased_variance_of_each_map() -> None:
    """The variance is the estimate of that of all items; both are told times the items."""
    grids = np.random.default_rng(0).normal(2, 3, (7, 6, 3, 4))
    stage = Normalization()

    _, backward = stage.forward(grids, started(stage, SHAPE), training=True)
    _, observed = backward(np.ones_like(grids), need_input=False)
    maps = grids.transpose(1, 0, 2, 3).reshape(6, -1)
    np.testing.assert_allclose(observed["mean"], 7 * maps.mean(axis=1))
    np.testing.assert_allclose(observed["variance"], 7 * maps.var(axis=1, ddof=1))


def test_a_single_cell_has_no_variance_to_observe() -> None:
    """The running variance stays as it is; what comes out is the bias."""
    stage, shape = Normalization(), GridShape(2, 1, 1)
    weights = {**started(stage, shape), "variance": np.array([4.0, 9]), "bias": np.array([1.0, 2])}
    grids = np.array([[[[5.0]], [[7.0]]]])

    made, backward = stage.forward(grids, weights, training=True)
    by_input, observed = backward(np.ones_like(grids))
    assert made.ravel().tolist() == [1, 2]
    assert not by_input.any()
    assert observed["mean"].tolist() == [5, 7]
    assert observed["variance"].tolist() == [4, 9]


def test_a_gain_of_0_still_learns() -> None:
    """Its slope is finite, in training and when answering."""
    stage = Normalization()
    weights = {**started(stage, SHAPE), "gain": np.zeros(6)}
    grids = np.random.default_rng(0).normal(0, 1, (3, *SHAPE.sizes))
    for training in (True, False):
        _, backward = stage.forward(grids, weights, training=training)
        _, gradients = backward(grids)
        assert np.isfinite(gradients["gain"]).all()
        assert gradients["gain"].all()


@every_kind
@pytest.mark.parametrize("epsilon", [1e-5, 1e-9])
def test_constant_maps_become_the_bias(settings: dict[str, Any], epsilon: float) -> None:
    """Nothing is divided by 0."""
    stage = Normalization(**settings, epsilon=epsilon)
    weights = {name: w.astype(np.float32) for name, w in started(stage, SHAPE).items()}
    weights["bias"] += np.float32(0.25)
    grids = np.full((4, *SHAPE.sizes), 2, np.float32)

    made, backward = stage.forward(grids, weights, training=True)
    assert (made == 0.25).all()
    assert all(np.isfinite(each).all() for each in backward(grids)[1].values())


@every_kind
def test_an_item_depends_on_itself_alone(networks: ModuleType, settings: dict[str, Any]) -> None:
    """When answering; `batch` alone mixes the items of a group, in training."""
    stage = Normalization(**settings)

    for rows, columns in ((1, 1), (3, 5), (8, 8), (1, 130)):
        shape = GridShape(6, rows, columns)
        if networks.fitting(stage, shape):
            networks.check_items(stage, shape)
    assert stage.mixes_items == (stage.kind == "batch")
    assert not stage.draws


def test_parameters_start_so_that_nothing_is_changed() -> None:
    roles = {
        each.name: (each.shape, each.role, each.decays)
        for each in Normalization(momentum=0.7).parameters(SHAPE)
    }

    assert roles == {
        "gain": ((6,), "learned", False),
        "bias": ((6,), "learned", False),
        "mean": ((6,), "running", False),
        "variance": ((6,), "running", False),
    }
    start = started(Normalization(), SHAPE)
    assert {name: set(values.tolist()) for name, values in start.items()} == {
        "gain": {1},
        "bias": {0},
        "mean": {0},
        "variance": {1},
    }
    momenta = [each.momentum for each in Normalization(momentum=0.7).parameters(SHAPE)[2:]]
    assert momenta == [0.7, 0.7]
    for kind in ("layer", "group"):
        names = [each.name for each in Normalization(kind=kind, groups=None).parameters(SHAPE)]
        assert names == ["gain", "bias"]


def test_groups_are_8_or_the_number_of_maps() -> None:
    grids = np.random.default_rng(0).normal(0, 1, (2, 16, 3, 3))
    weights = started(Normalization(kind="group"), GridShape(16, 3, 3))

    eight = Normalization(kind="group", groups=8).forward(grids, weights)[0]
    np.testing.assert_array_equal(Normalization(kind="group").forward(grids, weights)[0], eight)
    assert Normalization(kind="group").output(GridShape(3, 2, 2)).channels == 3


def test_the_shape_stays_and_the_cost_is_counted() -> None:
    assert Normalization().output(SHAPE) == SHAPE
    assert Normalization().multiply_adds(SHAPE) == 72


def test_a_bare_word_is_the_kind() -> None:
    assert Normalization.model_validate("layer") == Normalization(kind="layer")


@pytest.mark.parametrize(
    ("settings", "channels", "message"),
    [
        (
            {"kind": "group", "groups": 4},
            6,
            r"'groups' \(=4\) must divide the 6 maps; take one of 1, 2, 3, 6$",
        ),
        ({"kind": "group"}, 12, r"'groups' \(=8\) must divide the 12 maps; .* 1, 2, 3, 4, 6, 12$"),
        ({"groups": 2}, 6, r"'groups' \(=2\) is a setting of kind: group; take that, or leave"),
        ({"kind": "layer", "groups": 2}, 6, "is a setting of kind: group"),
    ],
)
def test_groups_that_do_not_fit_are_explained(
    settings: dict[str, Any], channels: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Normalization(**settings).output(GridShape(channels, 2, 2))


@pytest.mark.parametrize(
    ("settings", "channels", "ways"),
    [
        ({"kind": "group"}, 8, "take groups: one of 1, 2, 4, or kind: batch, or put it before"),
        ({"kind": "group", "groups": 12}, 12, "take groups: one of 1, 2, 3, 4, 6, or kind"),
        ({"kind": "layer"}, 1, "take kind: batch, or put it before"),
    ],
)
def test_groups_of_a_single_number_are_refused(
    settings: dict[str, Any], channels: int, ways: str
) -> None:
    """What came out would be the bias, whatever goes in."""
    stage = Normalization(**settings)
    message = f"each group of {channels} x 1 x 1 has a single number, .*; {ways}"
    with pytest.raises(ValueError, match=message):
        stage.output(GridShape(channels, 1, 1))

    assert stage.output(GridShape(channels, 1, 2)) == GridShape(channels, 1, 2)
    assert Normalization().output(GridShape(channels, 1, 1)) == GridShape(channels, 1, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("instance", "'kind' of normalization must be 'batch', 'group' or 'layer'; got 'instance'"),
        ({"momentum": 1}, "'momentum' of normalization must be"),
        ({"epsilon": 0}, "'epsilon' of normalization must be at least 1e-09; got 0"),
        ({"epsilon": 1e-60}, "'epsilon' of normalization must be at least 1e-09; got 1e-60"),
        ({"groups": 0}, "'groups' of normalization must be"),
    ],
)
def test_wrong_settings_are_explained_in_one_line(wrong: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Normalization.model_validate(wrong)
