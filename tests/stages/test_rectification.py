from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from pydantic import ValidationError

from gridcnn.grid import GridShape
from gridcnn.stages.rectification import Rectification


def test_negatives_become_zero_and_the_rest_stays() -> None:
    grids = np.array([[[[-2, -0.0, 0, 0.5, 3]]]], np.float32)

    rectified, _ = Rectification().forward(grids, {})
    assert rectified.tolist() == [[[[0, 0, 0, 0.5, 3]]]]
    assert not np.signbit(rectified).any()


def test_gradients_are_the_slopes(networks: ModuleType) -> None:
    """The gradient passes where a cell was above 0, and nowhere else."""
    networks.check_gradients(Rectification(), GridShape(2, 4, 5), seed=0)


def test_the_gradient_of_zero_is_zero() -> None:
    grids = np.array([[[[-1, 0, 1]]]], np.float32)

    _, backward = Rectification().forward(grids, {})
    assert backward(np.ones_like(grids))[0].tolist() == [[[[0, 0, 1]]]]


def test_nan_stays_nan() -> None:
    grids = np.array([[[[np.nan, np.inf, -np.inf]]]], np.float32)

    rectified, _ = Rectification().forward(grids, {})
    np.testing.assert_array_equal(rectified, [[[[np.nan, np.inf, 0]]]])


def test_the_shape_stays() -> None:
    shape = GridShape(2, 3, 4)

    assert Rectification().output(shape) == shape
    assert Rectification().multiply_adds(shape) == 24
    assert Rectification().parameters(shape) == ()


def test_a_leak_leaves_a_part_of_negatives() -> None:
    grids = np.array([[[[-2, -0.5, 0, 0.5, 3]]]])

    rectified, backward = Rectification(leak=0.1).forward(grids, {})
    np.testing.assert_allclose(rectified, [[[[-0.2, -0.05, 0, 0.5, 3]]]])
    assert backward(np.ones_like(grids))[0].tolist() == [[[[0.1, 0.1, 0.1, 1, 1]]]]


def test_gradients_with_a_leak_are_the_slopes(networks: ModuleType) -> None:
    networks.check_gradients(Rectification(leak=0.3), GridShape(2, 4, 5), seed=0)


def test_an_item_depends_on_itself_alone(networks: ModuleType) -> None:
    for leak in (0, 0.2):
        networks.check_items(Rectification(leak=leak), GridShape(3, 7, 5))


def test_what_is_not_finite_leaks_too() -> None:
    grids = np.array([[[[np.nan, np.inf, -np.inf]]]], np.float32)

    rectified, _ = Rectification(leak=0.5).forward(grids, {})
    np.testing.assert_array_equal(rectified, [[[[np.nan, np.inf, -np.inf]]]])


@pytest.mark.parametrize("leak", [-0.1, 1, "much", None])
def test_wrong_leaks_are_explained_in_one_line(leak: object) -> None:
    with pytest.raises(ValidationError, match="'leak' of rectification must be"):
        Rectification.model_validate({"leak": leak})
