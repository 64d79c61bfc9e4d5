"""Predictions of columns from columns, against rows that are really predicted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.order.prediction import Predictor


def standard(rows: int, columns: int, width: int, seed: int) -> NDArray[np.float64]:
    """Return columns that depend on each other, each as orthogonal numbers of variance 1."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(rows, 3)) @ random.normal(size=(3, columns * width))
    values = (mixed + random.normal(size=mixed.shape)).reshape(rows, columns, width)
    values -= values.mean(axis=0)
    for column in range(columns):
        left, _, _ = np.linalg.svd(values[:, column], full_matrices=False)
        values[:, column] = left * np.sqrt(rows)
    return values


def predicted(values: NDArray[np.float64], target: int, others: list[int]) -> float:
    """Return R2 as by hand: fit on one half of the rows, predict the other half."""
    rows = len(values)
    total = 0.0
    even, odd = slice(0, None, 2), slice(1, None, 2)
    for fit, judge in ((even, odd), (odd, even)):
        x = values[fit][:, others].reshape(len(values[fit]), -1)
        y = values[fit][:, target]
        ridge = 1e-3 + 2 / rows * x.shape[1]
        weights = np.linalg.solve(x.T @ x / len(x) + ridge * np.eye(x.shape[1]), x.T @ y / len(x))
        new = values[judge][:, others].reshape(len(values[judge]), -1)
        left = np.square(values[judge][:, target] - new @ weights).sum()
        total += max(0.0, 1 - left / np.square(values[judge][:, target]).sum())
    return total / 2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(1, 3), st.sampled_from([20, 51, 200]), st.data())
def test_r2_is_that_of_predicted_rows(
    seed: int, width: int, rows: int, data: st.DataObject
) -> None:
    values = standard(rows, 6, width, seed)
    target = data.draw(st.integers(0, 5))
    others = data.draw(st.permutations([n for n in range(6) if n != target]))[:3]
    found = Predictor(values).r2(np.array([target]), np.array([others]))
    np.testing.assert_allclose(found, [predicted(values, target, list(others))], atol=1e-9)


def test_a_missing_predictor_is_as_if_it_were_not_asked_for() -> None:
    values = standard(300, 5, 1, 0)
    predictor = Predictor(values)
    with_none = predictor.r2(np.array([0]), np.array([[1, -1]]))
    # Only the ridge knows how many there could have been.
    np.testing.assert_allclose(with_none, [predicted(values, 0, [1])], atol=2e-2)
    assert predictor.r2(np.array([0]), np.array([[-1, -1]])) == pytest.approx([0.0])


def test_many_predictions_are_those_one_by_one() -> None:
    values = standard(100, 8, 2, 1)
    predictor = Predictor(values)
    random = np.random.default_rng(2)
    targets = random.integers(0, 8, (5, 7))
    others = random.integers(-1, 8, (5, 7, 3))
    together = predictor.r2(targets, others)
    assert together.shape == (5, 7)
    for row in range(5):
        for place in range(7):
            alone = predictor.r2(targets[row, place][None], others[row, place][None])
            assert together[row, place] == pytest.approx(alone[0], abs=1e-12)


@pytest.mark.parametrize("width", [1, 2])
def test_the_best_predictors_are_chosen_on_the_rows_that_fit(width: int) -> None:
    values = standard(120, 7, width, 3)
    candidates = np.ones((1, 7), np.bool_)
    candidates[0, [0, 4]] = False
    found = Predictor(values).best_r2(np.array([0]), candidates, 1)

    def by_hand(fit: slice, judge: slice) -> float:
        covariances = np.einsum("nci,nj->cij", values[fit], values[fit][:, 0]) / len(values[fit])
        gains = np.square(covariances).sum(axis=(1, 2))
        gains[[0, 4]] = -1
        pick = int(gains.argmax())
        x, y = values[fit][:, pick], values[fit][:, 0]
        ridge = (1e-3 + 2 / 120 * width) * np.eye(width)
        weights = np.linalg.solve(x.T @ x / len(x) + ridge, x.T @ y / len(x))
        left = np.square(values[judge][:, 0] - values[judge][:, pick] @ weights).sum()
        return max(0.0, float(1 - left / np.square(values[judge][:, 0]).sum()))

    halves = slice(0, None, 2), slice(1, None, 2)
    wanted = (by_hand(halves[0], halves[1]) + by_hand(halves[1], halves[0])) / 2
    np.testing.assert_allclose(found, [wanted], atol=1e-9)


def test_two_columns_that_make_up_a_third_are_found_together() -> None:
    random = np.random.default_rng(0)
    columns = random.normal(size=(2_000, 10))
    columns[:, 0] = columns[:, 3] - columns[:, 7]
    values = ((columns - columns.mean(axis=0)) / columns.std(axis=0))[:, :, None]
    predictor = Predictor(values)
    candidates = np.ones((1, 10), np.bool_)
    candidates[0, 0] = False
    both = predictor.r2(np.array([0]), np.array([[3, 7]]))
    assert predictor.best_r2(np.array([0]), candidates, 2) == pytest.approx(both)
    assert both[0] > 0.99


def test_fewer_candidates_than_asked_for_are_enough() -> None:
    values = standard(60, 4, 1, 5)
    candidates = np.zeros((1, 4), np.bool_)
    candidates[0, 2] = True
    found = Predictor(values).best_r2(np.array([0]), candidates, 3)
    assert found == pytest.approx(Predictor(values).r2(np.array([0]), np.array([[2, -1, -1]])))


def test_a_column_without_variance_is_not_explained() -> None:
    values = standard(40, 3, 1, 6)
    values[:, 0] = 0
    assert Predictor(values).r2(np.array([0, 1]), np.array([[1, 2], [0, -1]])).tolist() == [0, 0]
