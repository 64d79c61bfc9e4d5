"""Whether contestants do the same arithmetic: each is compared with the reference in float64."""

from __future__ import annotations

from unittest import mock

import numpy as np

from benchmarks.peers.base import Answer
from benchmarks.peers.case import BETA1, BETA2, EPSILON, RATE, Array, Case
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.network import GROUP, Network
from gridcnn.stages.voting import softmax

LIMITS = {"votes": 1e-4, "loss": 1e-5, "gradient": 1e-3, "steps": 0.02}
"""The most by which an answer may differ. `votes`: any vote, from 0 to 1. `loss`, `gradient`: as a
part of the right one, the gradient as a vector; more where rounding alone moves it. `steps`: 1 less
the cosine between what a few steps of Adam did to the weights and what they ought to have done;
gradients near 0, of which Adam takes little but the sign, make most of it."""
_ROUNDING = 16 * 2.0**-23
"""What twenty layers of rounding to float32 come to, as a part of a number."""
_ALLOWANCE = 4
"""How many times as far as that moves the gradient an answer may be."""


def expected(case: Case, network: Network, *, group: int = GROUP) -> Answer:
    """Return the logits of the first batch, its loss and gradient, and what training comes to.

    Args:
        case: what is computed.
        network: the same, for the reference engine.
        group: the items over which a batch normalization takes mean and variance in training. Ours
            takes them over groups of items, other libraries over the batch.
    """
    with mock.patch("gridcnn.network.GROUP", group):
        return _expected(case, network)


def _expected(case: Case, network: Network) -> Answer:
    engine = ReferenceEngine(network)
    parameters = case.parameters.astype(np.float64)

    def grids(batch: int) -> Array:
        return case.grids(batch).reshape(-1, *network.shape.sizes)

    first = engine.step(parameters, grids(0), case.targets[0])
    found = {
        "logits": engine.logits(parameters, grids(0)),
        "loss": np.array(first.loss),
        "gradient": first.gradient,
    }
    found["rounding"] = np.array(_moved_by_rounding(engine, case, grids(0), first.gradient))
    mean, square = np.zeros_like(parameters), np.zeros_like(parameters)
    for batch in range(case.batches):
        # By Kingma and Ba, 2015, algorithm 1, once more and independently.
        gradient = engine.step(parameters, grids(batch), case.targets[batch]).gradient
        mean = BETA1 * mean + (1 - BETA1) * gradient
        square = BETA2 * square + (1 - BETA2) * gradient**2
        unbiased = mean / (1 - BETA1 ** (batch + 1))
        spread = np.sqrt(square / (1 - BETA2 ** (batch + 1)))
        parameters = parameters - RATE * unbiased / (spread + EPSILON)
    return {**found, "parameters": parameters}


def _moved_by_rounding(engine: ReferenceEngine, case: Case, grids: Array, gradient: Array) -> float:
    """Return how far rounding moves the gradient of the first batch, as a part of it.

    A gradient jumps where a number so near to 0 that rounding decides is rectified; in a deep
    network some of the millions of them always are.
    """
    random = np.random.default_rng(0)

    def rounded(numbers: Array) -> Array:
        return numbers * (1 + random.uniform(-_ROUNDING / 2, _ROUNDING / 2, numbers.shape))

    parameters = rounded(case.parameters.astype(np.float64))
    moved = engine.step(parameters, rounded(grids), case.targets[0]).gradient - gradient
    learned = case.learned
    return float(np.linalg.norm(moved[learned]) / np.linalg.norm(gradient[learned]))


def differences(case: Case, answer: Answer, right: Answer) -> dict[str, float]:
    """Return by how much an answer differs, under the names of `LIMITS`."""
    found: dict[str, float] = {}
    if "logits" in answer:
        votes = softmax(answer["logits"].astype(np.float64))
        found["votes"] = float(np.abs(votes - softmax(right["logits"])).max())
    if "gradient" in answer:
        # Running means and variances are left out: each library has a rule of its own for them.
        learned = case.learned
        gradients = [each["gradient"][learned] for each in (answer, right)]
        length = float(np.linalg.norm(gradients[1]))
        found["loss"] = abs(float(answer["loss"]) / float(right["loss"]) - 1)
        found["gradient"] = float(np.linalg.norm(gradients[0] - gradients[1])) / length
        before = case.parameters.astype(np.float64)
        moved = [(each["parameters"] - before)[learned] for each in (answer, right)]
        lengths = float(np.linalg.norm(moved[0]) * np.linalg.norm(moved[1]))
        found["steps"] = 1 - float(moved[0] @ moved[1]) / lengths if lengths else 1.0
    return found


def wrong(found: dict[str, float], right: Answer) -> str:
    """Return what differs by too much from the right answer, or nothing."""
    rounding = _ALLOWANCE * float(right["rounding"])
    limits = {**LIMITS, "gradient": max(LIMITS["gradient"], rounding)}
    # The comparison is True for NaN as well.
    parts = [
        f"{name} differ by {value:.2g}, more than {limits[name]:.2g}"
        for name, value in found.items()
        if not value <= limits[name]
    ]
    return "; ".join(parts)
