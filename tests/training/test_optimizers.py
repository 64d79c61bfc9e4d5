from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import make_engine
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


Maker = Callable[[Network], Optimizer]


@pytest.fixture(params=[None, "reference", "native"], name="optimizer")
def optimizer_of(request: pytest.FixtureRequest) -> Maker:
    """Return the maker of optimizers: in NumPy, or with an engine that is asked for the moves."""

    def make(made: Network) -> Optimizer:
        engine = None if request.param is None else make_engine(made, request.param)
        return make_optimizer(made.spec.training, made, engine=engine)

    return make


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
    optimizer: Maker, chosen: dict[str, Any], decay: float
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
    optimizer: Maker, chosen: Any, slopes: list[float], *, start: float = 1.0, **training: Any
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


def test_momentum_takes_a_part_of_the_last_step_again(optimizer: Maker) -> None:
    """By hand: 1 - 0.1 * 2, then velocity 0.5 * 2 + 4 = 5, then 0.5 * 5 + 0 = 2.5."""
    steps = first_steps(optimizer, {"sgd": {"momentum": 0.5}}, [2, 4, 0])

    assert steps == pytest.approx([0.8, 0.3, 0.05])


def test_nesterov_looks_one_step_ahead(optimizer: Maker) -> None:
    """By hand: 2 + 0.5 * 2 = 3, then 4 + 0.5 * 5 = 6.5."""
    steps = first_steps(optimizer, {"sgd": {"momentum": 0.5, "nesterov": True}}, [2, 4])

    assert steps == pytest.approx([0.7, 0.05])


@pytest.mark.parametrize("slope", [1e-3, 1, -1e6])
def test_adams_first_step_has_the_length_of_the_rate(optimizer: Maker, slope: float) -> None:
    (after,) = first_steps(optimizer, "adam", [slope])

    assert after == pytest.approx(1 - math.copysign(RATE, slope), rel=1e-4)


def test_decay_beside_the_gradient_shrinks_by_rate_and_decay(optimizer: Maker) -> None:
    """AdamW by hand, without a gradient: 1 * (1 - 0.1 * 0.5), and again."""
    assert first_steps(optimizer, "adamw", [0, 0], weight_decay=0.5) == pytest.approx(
        [0.95, 0.9025]
    )


def test_adamw_decays_by_default_and_the_others_do_not(optimizer: Maker) -> None:
    assert first_steps(optimizer, "adamw", [0]) == pytest.approx([0.999])
    assert first_steps(optimizer, "adam", [0]) == [1]
    assert first_steps(optimizer, "sgd", [0]) == [1]


@pytest.mark.parametrize("chosen", [SGD, NESTEROV, ADAM, ADAMW])
def test_frozen_features_never_change(optimizer: Maker, chosen: dict[str, Any]) -> None:
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
def test_an_epsilon_below_float32_still_keeps_the_division_finite(
    optimizer: Maker, chosen: str
) -> None:
    assert first_steps(optimizer, {chosen: {"epsilon": 1e-60}}, [0], weight_decay=0.0) == [1]


@pytest.mark.parametrize("chosen", [SGD, NESTEROV, ADAM, ADAMW])
def test_a_restored_optimizer_goes_on_as_if_it_had_never_stopped(
    optimizer: Maker, chosen: dict[str, Any]
) -> None:
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


def test_a_restored_optimizer_keeps_its_own_memory(optimizer: Maker) -> None:
    made = network(optimizer="sgd")
    first, second = optimizer(made), optimizer(made)
    second.restore(1, first.state)

    second.update(made.starting_parameters(), np.ones(made.parameters, np.float32), RATE)
    assert not first.state["momentum"].any()


@pytest.mark.parametrize("chosen", [SGD, NESTEROV, ADAM, ADAMW])
@pytest.mark.parametrize("threads", [1, 3])
def test_large_vectors_move_as_in_numpy(chosen: dict[str, Any], threads: int) -> None:
    """A size that is no multiple of anything, in parts that several threads take."""
    made = network(optimizer=chosen, weight_decay=0.1)
    settings, size = made.spec.training, 200_003
    random = np.random.default_rng(0)
    start = random.normal(0, 1, size).astype(np.float32)
    found = []
    for engine in (None, make_engine(made, "native", threads=threads)):
        moved = make_optimizer(settings, made, engine=engine)
        moved.decays = np.ones(size, np.float32)
        moved.state = {name: np.zeros(size, np.float32) for name in moved.memory}
        parameters = start.copy()
        for seed in range(3):
            gradient = np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)
            moved.update(parameters, gradient, RATE)
        found.append([parameters, *moved.state.values()])
    for expected, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_moves_that_an_engine_does_not_know_are_made_in_numpy() -> None:
    """Vectors that are not float32, or not in one piece, are left alone by the machine code."""
    made = network()
    engine = make_engine(made, "native")
    vectors = [np.ones(8, np.float64)] * 4

    assert not engine.move("sgd", vectors, [0, 1, 0, 0, 1])
    assert not engine.move("sgd", [np.ones(16, np.float32)[::2]] * 4, [0, 1, 0, 0, 1])
    assert not engine.move("hop", [np.ones(8, np.float32)] * 4, [0])
    assert not make_engine(made, "reference").move("sgd", [np.ones(8, np.float32)] * 4, [0])
