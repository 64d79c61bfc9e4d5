from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit

from gridcnn.grid import Array, GridShape
from gridcnn.stages.gate import Gate


def naive(grids: Array, weights: dict[str, Array]) -> Array:
    """Return the weighed maps, item by item and map by map."""
    weighed = np.zeros_like(grids)
    for item, maps in enumerate(grids):
        means = [float(np.sum(each)) / each.size for each in maps]
        hidden = []
        for row, shift in zip(weights["hidden.weights"], weights["hidden.bias"], strict=True):
            hidden.append(max(0.0, sum(w * m for w, m in zip(row, means, strict=True)) + shift))
        for number, each in enumerate(maps):
            row = weights["gate.weights"][number]
            logit = sum(w * h for w, h in zip(row, hidden, strict=True))
            weighed[item, number] = each * expit(logit + weights["gate.bias"][number])
    return weighed


@pytest.mark.parametrize(("channels", "reduction"), [(1, 4), (4, 2), (6, 4), (5, 1), (3, 100)])
def test_maps_are_those_of_naive_loops(networks: ModuleType, channels: int, reduction: int) -> None:
    random = np.random.default_rng(0)
    shape, stage = GridShape(channels, 3, 5), Gate(reduction=reduction)
    grids = random.normal(0, 2, (3, *shape.sizes))
    weights = {name: 2 * w for name, w in networks.random_weights(stage, shape, random).items()}

    np.testing.assert_allclose(
        stage.forward(grids, weights)[0], naive(grids, weights), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("seed", range(4))
def test_gradients_are_the_slopes(networks: ModuleType, seed: int) -> None:
    networks.check_gradients(Gate(reduction=2), GridShape(5, 3, 2), seed=seed, items=3)


def test_an_item_depends_on_itself_alone(networks: ModuleType) -> None:
    for shape in (GridShape(1, 1, 1), GridShape(5, 7, 3), GridShape(17, 4, 4), GridShape(64, 1, 9)):
        networks.check_items(Gate(), shape)


def test_parameters_are_two_layers_and_their_biases() -> None:
    """The hidden layer has a quarter of the maps, and one at least; biases start at 0."""
    sizes = {
        each.name: (each.shape, each.fan_in, each.fan_out, each.decays, each.role)
        for each in Gate().parameters(GridShape(9, 3, 3))
    }

    assert sizes == {
        "hidden.weights": ((2, 9), 9, 2, True, "learned"),
        "hidden.bias": ((2,), 0, 0, False, "learned"),
        "gate.weights": ((9, 2), 2, 9, True, "learned"),
        "gate.bias": ((9,), 0, 0, False, "learned"),
    }
    assert Gate().parameters(GridShape(3, 3, 3))[0].shape == (1, 3)


def test_without_weights_every_map_counts_half() -> None:
    shape = GridShape(2, 3, 3)
    weights = {each.name: np.zeros(each.shape) for each in Gate().parameters(shape)}

    assert (Gate().forward(np.ones((1, 2, 3, 3)), weights)[0] == 0.5).all()


def test_the_shape_stays_and_the_cost_is_counted() -> None:
    shape = GridShape(8, 3, 4)

    assert Gate().output(shape) == shape
    assert Gate().multiply_adds(shape) == 2 * (96 + 8 * 2)
    assert not Gate().draws


def test_a_bare_number_is_the_reduction() -> None:
    assert Gate.model_validate(8) == Gate(reduction=8)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "all", {"reduction": None}])
def test_wrong_settings_are_explained_in_one_line(wrong: Any) -> None:
    with pytest.raises(ValidationError, match=r"of gate must be (a whole|at least 1)"):
        Gate.model_validate(wrong)
