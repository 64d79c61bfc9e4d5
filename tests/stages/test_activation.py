from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import erf, expit

from gridcnn.grid import Array, GridShape
from gridcnn.stages.activation import Activation, Function

FUNCTIONS: dict[Function, Callable[[Array], Array]] = {
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * expit(x),
    "tanh": lambda x: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1),
    "sigmoid": expit,
}
every_function = pytest.mark.parametrize("function", list(FUNCTIONS))


@every_function
def test_cells_are_those_of_scipy(function: Function) -> None:
    grids = np.random.default_rng(0).normal(0, 3, (2, 3, 4, 5))

    values, _ = Activation(function=function).forward(grids, {})
    np.testing.assert_allclose(values, FUNCTIONS[function](grids), rtol=1e-12, atol=1e-15)


@every_function
def test_gradients_are_the_slopes(networks: ModuleType, function: Function) -> None:
    networks.check_gradients(Activation(function=function), GridShape(2, 4, 5), seed=0)


@every_function
def test_an_item_depends_on_itself_alone(networks: ModuleType, function: Function) -> None:
    """It is the same bits in any batch, also where items have odd numbers of cells."""
    for shape in (GridShape(1, 1, 1), GridShape(3, 7, 5), GridShape(16, 4, 4)):
        networks.check_items(Activation(function=function), shape, scale=4)


@every_function
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_numbers_have_the_limit_and_a_finite_slope(function: Function, dtype: type) -> None:
    """Without overflow: the function of ever larger numbers is 0, 1, -1 or the number itself."""
    large: Array = np.array([[[[-200, -30, 30, 200]]]], dtype)
    limits = {
        "gelu": [0, 0, 30, 200],
        "silu": [0, 0, 30, 200],
        "tanh": [-1, -1, 1, 1],
        "sigmoid": [0, 0, 1, 1],
    }

    values, backward = Activation(function=function).forward(large, {})
    assert values.dtype == dtype
    np.testing.assert_allclose(values[0, 0, 0], limits[function], atol=1e-10)
    slopes, _ = backward(np.ones_like(large))
    rising = [0, 0, 1, 1] if function in ("gelu", "silu") else [0, 0, 0, 0]
    np.testing.assert_allclose(slopes[0, 0, 0], rising, atol=1e-10)


@every_function
def test_nan_stays_nan(function: Function) -> None:
    values, _ = Activation(function=function).forward(np.full((1, 1, 1, 1), np.nan), {})

    assert np.isnan(values).all()


def test_the_shape_stays_and_nothing_is_learned() -> None:
    shape = GridShape(2, 3, 4)
    stage = Activation(function="gelu")

    assert stage.output(shape) == shape
    assert stage.parameters(shape) == ()
    assert stage.multiply_adds(shape) == 10 * 24
    assert not stage.draws


def test_a_bare_word_is_the_function() -> None:
    assert Activation.model_validate("silu") == Activation(function="silu")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "needs the setting 'function'"),
        (
            "relu",
            "'function' of activation must be 'gelu', 'silu', 'tanh' or 'sigmoid'; got 'relu'",
        ),
        ({"function": 1}, "'function' of activation must be"),
    ],
)
def test_wrong_settings_are_explained_in_one_line(wrong: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Activation.model_validate(wrong)
