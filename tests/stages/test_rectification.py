from __future__ import annotations

from types import ModuleType

import numpy as np

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
