from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.optimizers import Optimizer, make_optimizer

RATE = 0.1


def network(**training: Any) -> Network:
    """Return a network whose first features are frozen."""
    frozen = {"features": [[[1, -1], [0.5, 2]]], "trainable": False}
    stages = [{"convolution": frozen}, {"convolution": {"filters": 2, "kernel_size": 2}}]
    spec = load({"stages": stages, "head": "voting", "training": training})
    return Network(spec, GridShape(1, 4, 4), classes=2)


def optimizer(made: Network) -> Optimizer:
    return make_optimizer(made.spec.training, made)


def gradients(made: Network, steps: int) -> list[Array]:
    random = np.random.default_rng(0)
    trainable = made.mask("trainable")
    return [
        (random.normal(0, 1, made.parameters) * trainable).astype(np.float32) for _ in range(steps)
    ]


def naive_sgd(
    values: list[float], steps: list[list[float]], decays: list[float], *, nesterov: bool
) -> list[float]:
    """Return the values after all steps: velocity is 0.8 velocity + gradient."""
    for place, decay in enumerate(decays):
        velocity = 0.0
        for step in steps:
            slope = step[place] + decay * values[place]
            velocity = 0.8 * velocity + slope
            values[place] -= RATE * (slope + 0.8 * velocity if nesterov else velocity)
    return values


def naive_adam(
    values: list[float], steps: list[list[float]], decays: list[float], *, decoupled: bool
) -> list[float]:
    """Return the values after all steps, from the algorithms' lines in the papers."""
    for place, decay in enumerate(decays):
        first = second = 0.0
        for number, step in enumerate(steps, start=1):
            slope = step[place] + (0 if decoupled else decay * values[place])
            first = 0.9 * first + 0.1 * slope
            second = 0.99 * second + 0.01 * slope**2
            move = first / (1 - 0.9**number) / (math.sqrt(second / (1 - 0.99**number)) + 1e-6)
            shrunk = values[place] * RATE * decay if decoupled else 0
            values[place] -= RATE * move + shrunk
    return values


SGD = {"sgd": {"momentum": 0.8}}
NESTEROV = {"sgd": {"momentum": 0.8, "nesterov": True}}
ADAM = {"adam": {"beta2": 0.99, "epsilon": 1e-6}}
ADAMW = {"adamw": {"beta2": 0.99, "epsilon": 1e-6}}


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("chosen", [SGD, NESTEROV, ADAM, ADAMW])
def test_steps_are_those_of_the_algorithm_number_by_number(
    chosen: dict[str, Any], decay: float
) -> None:
    """Twenty steps end where an independent float64 version ends, biases without decay."""
    made = network(optimizer=chosen, weight_decay=decay)
    parameters, moves = made.starting_parameters(), gradients(made, 20)
    decays = (decay * (made.mask("decays") & made.mask("trainable"))).tolist()
    start, steps = (
        parameters.astype(float).tolist(),
        [move.astype(float).tolist() for move in moves],
    )
    if "sgd" in chosen:
        expected = naive_sgd(start, steps, decays, nesterov=chosen == NESTEROV)
    else:
        expected = naive_adam(start, steps, decays, decoupled=chosen == ADAMW)

    moved = optimizer(made)
    for move in moves:
        moved.update(parameters, move, RATE)
    np.testing.assert_allclose(parameters, expected, rtol=1e-4, atol=1e-5)


def first_steps(
    chosen: Any, slopes: list[float], *, start: float = 1.0, **training: Any
) -> list[float]:
    """Return where one trainable weight stands after each step."""
    made = network(optimizer=chosen, **training)
    place = int(np.flatnonzero(made.mask("trainable"))[0])
    parameters = np.zeros(made.parameters, np.float32)
    parameters[place] = start
    moved, found = optimizer(made), []
    for slope in slopes:
        gradient = np.zeros(made.parameters, np.float32)
        gradient[place] = slope
        moved.update(parameters, gradient, RATE)
        found.append(float(parameters[place]))
    return found


def test_momentum_takes_a_part_of_the_last_step_again() -> None:
    """By hand: 1 - 0.1 * 2, then velocity 0.5 * 2 + 4 = 5, then 0.5 * 5 + 0 = 2.5."""
    steps = first_steps({"sgd": {"momentum": 0.5}}, [2, 4, 0])

    assert steps == pytest.approx([0.8, 0.3, 0.05])


def test_nesterov_looks_one_step_ahead() -> None:
    """By hand: 2 + 0.5 * 2 = 3, then 4 + 0.5 * 5 = 6.5."""
    steps = first_steps({"sgd": {"momentum": 0.5, "nesterov": True}}, [2, 4])

    assert steps == pytest.approx([0.7, 0.05])


@pytest.mark.parametrize("slope", [1e-3, 1, -1e6])
def test_adams_first_step_has_the_length_of_the_rate(slope: float) -> None:
    (after,) = first_steps("adam", [slope])

    assert after == pytest.approx(1 - math.copysign(RATE, slope), rel=1e-4)


def test_decay_beside_the_gradient_shrinks_by_rate_and_decay() -> None:
    """AdamW by hand, without a gradient: 1 * (1 - 0.1 * 0.5), and again."""
    assert first_steps("adamw", [0, 0], weight_decay=0.5) == pytest.approx([0.95, 0.9025])


def test_adamw_decays_by_default_and_the_others_do_not() -> None:
    assert first_steps("adamw", [0]) == pytest.approx([0.999])
    assert first_steps("adam", [0]) == [1]
    assert first_steps("sgd", [0]) == [1]


@pytest.mark.parametrize("chosen", [SGD, NESTEROV, ADAM, ADAMW])
def test_frozen_features_never_change(chosen: dict[str, Any]) -> None:
    """Neither a step nor weight decay moves what is not trainable, and decay spares biases."""
    made = network(optimizer=chosen, weight_decay=0.5)
    parameters = made.starting_parameters()
    named = made.named(parameters)
    named["2.convolution.bias"][:] = 3
    frozen = named["1.convolution.weights"].copy()

    moved = optimizer(made)
    for _ in range(10):
        moved.update(parameters, np.zeros_like(parameters), RATE)
    np.testing.assert_array_equal(named["1.convolution.weights"], frozen)
    np.testing.assert_array_equal(named["2.convolution.bias"], 3)
    assert not np.array_equal(parameters, made.starting_parameters())


@pytest.mark.parametrize("chosen", ["adam", "adamw"])
def test_an_epsilon_below_float32_still_keeps_the_division_finite(chosen: str) -> None:
    assert first_steps({chosen: {"epsilon": 1e-60}}, [0], weight_decay=0.0) == [1]


@pytest.mark.parametrize("chosen", [SGD, NESTEROV, ADAM, ADAMW])
def test_a_restored_optimizer_goes_on_as_if_it_had_never_stopped(chosen: dict[str, Any]) -> None:
    made = network(optimizer=chosen, weight_decay=0.1)
    moves = gradients(made, 6)
    parameters = made.starting_parameters()
    whole = parameters.copy()
    first, second, through = optimizer(made), optimizer(made), optimizer(made)

    for move in moves:
        through.update(whole, move, RATE)
    for move in moves[:3]:
        first.update(parameters, move, RATE)
    second.restore(first.steps, first.state)
    for move in moves[3:]:
        second.update(parameters, move, RATE)
    np.testing.assert_array_equal(parameters, whole)


def test_a_restored_optimizer_keeps_its_own_memory() -> None:
    made = network(optimizer="sgd")
    first, second = optimizer(made), optimizer(made)
    second.restore(1, first.state)

    second.update(made.starting_parameters(), np.ones(made.parameters, np.float32), RATE)
    assert not first.state["momentum"].any()
