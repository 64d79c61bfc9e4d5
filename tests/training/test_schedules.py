from __future__ import annotations

import math
from typing import Any

import pytest

from gridcnn.errors import SpecError
from gridcnn.spec.models import Training
from gridcnn.training.schedules import learning_rate


def rate(epoch: float, **given: Any) -> float:
    return learning_rate(Training(learning_rate=0.1, epochs=10, **given), epoch)


def test_a_constant_rate_stays() -> None:
    assert [rate(epoch) for epoch in (0, 0.5, 9.99, 10)] == [0.1] * 4


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0), (0.5, 0.02), (1.25, 0.05), (2.5, 0.1), (7, 0.1)]
)
def test_warm_up_rises_in_a_line(epoch: float, expected: float) -> None:
    assert rate(epoch, warm_up=2.5) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 0.1), (2.5, 0.1 * (1 + math.sqrt(0.5)) / 2), (5, 0.05), (10, 0), (11, 0)],
)
def test_a_cosine_falls_from_the_top_to_nothing(epoch: float, expected: float) -> None:
    assert rate(epoch, schedule="cosine") == pytest.approx(expected)


def test_a_cosine_ends_where_it_is_told() -> None:
    final = {"cosine": {"final": 0.2}}

    assert rate(10, schedule=final) == pytest.approx(0.02)
    assert rate(5, schedule=final) == pytest.approx(0.06)


def test_a_cosine_falls_over_the_epochs_after_the_warm_up() -> None:
    given = {"schedule": "cosine", "warm_up": 2.0}

    assert rate(1, **given) == pytest.approx(0.05)
    assert rate(2, **given) == pytest.approx(0.1)
    assert rate(6, **given) == pytest.approx(0.05)
    assert rate(10, **given) == pytest.approx(0)


def test_a_warm_up_as_long_as_the_training_ends_at_the_top() -> None:
    for warm_up in (10, 20):
        expected = 0.1 * 10 / warm_up
        assert rate(10, schedule="cosine", warm_up=float(warm_up)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.1), (2.999, 0.1), (3, 0.05), (5.999, 0.05), (6, 0.025)]
)
def test_steps_fall_after_every_so_many_epochs(epoch: float, expected: float) -> None:
    assert rate(epoch, schedule={"step": {"every": 3, "factor": 0.5}}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [(0, 0.01), (1.25, (0.01 + 0.1) / 2), (2.5, 0.1), (6.25, (0.1 + 0.002) / 2), (10, 0.002)],
)
def test_one_cycle_rises_and_falls_along_half_a_cosine_each(epoch: float, expected: float) -> None:
    schedule = {"one_cycle": {"rise": 0.25, "start": 0.1, "final": 0.02}}

    assert rate(epoch, schedule=schedule) == pytest.approx(expected)


def test_one_cycle_has_no_warm_up_beside_it() -> None:
    with pytest.raises(SpecError, match="with schedule: one_cycle the learning rate rises by itse"):
        Training(schedule="one_cycle", warm_up=1.0)
