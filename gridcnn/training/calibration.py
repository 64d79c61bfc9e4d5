"""Calibration: votes that are as sure as they are right, by a temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gridcnn.engines.base import Engine
from gridcnn.errors import TrainingError
from gridcnn.grid import Array
from gridcnn.network import Network
from gridcnn.spec.models import Training
from gridcnn.training.loop import Labelled, loss_and_accuracy
from gridcnn.training.signs import Sign
from gridcnn.training.views import logits_of

_COLDEST, _HOTTEST = 0.02, 100.0
"""Between these the temperature is sought; beyond, votes are all but 0 and 1, or all but equal."""


@dataclass(frozen=True)
class Calibration:
    """What calibration has changed.

    Attributes:
        temperature: what the logits are divided by; above 1 votes become less sure.
        loss_before, loss_after: the mean loss on the validation items.
    """

    temperature: float
    loss_before: float
    loss_after: float


def refuse_uncalibrated(network: Network, validation: Labelled | None) -> None:
    """Raise `TrainingError` if votes cannot be calibrated: there are no items, or it is the head.

    Args:
        network: with its head.
        validation: the items that the temperature is fitted on.
    """
    if not validation:
        raise TrainingError(
            "training.calibrate fits a temperature on validation items, and there are none; set "
            "data.validation above 0 (validation_fraction for GridClassifier)"
        )
    head, op = network.head, network.ops[-1]
    weights = op.views(np.zeros(network.parameters, np.float32))
    if head is None or head.with_temperature(weights, 1.0) is None:
        raise TrainingError(
            f"training.calibrate needs a head whose logits can be divided by a temperature, and "
            f"{op.stage_name} cannot; leave it out"
        )


def calibrate(
    engine: Engine, parameters: Array, validation: Labelled, settings: Training
) -> tuple[Array, Calibration | None]:
    """Return the parameters whose votes for the validation items have the lowest loss.

    If all of these items are answered rightly, the loss falls with the temperature without end, and
    votes of 0 and 1 would be the best for them. The parameters then stay as they are, and None is
    returned with them.

    All logits are divided by one number, the temperature (Guo et al., On calibration of modern
    neural networks, 2017), which changes no answer. The division is done in the weights of the
    head, so that a model needs nothing more.
    """
    from scipy.optimize import minimize_scalar  # few runs need it

    head = engine.head
    logits = logits_of(engine, parameters, validation.grids, settings).astype(np.float64)

    def loss(exponent: float) -> float:
        return loss_and_accuracy(head, logits / math.exp(exponent), validation.targets)[0]

    bounds = (math.log(_COLDEST), math.log(_HOTTEST))
    is_right = head.hits(logits.astype(np.float32), validation.targets).all()
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    if is_right and loss(bounds[0]) <= float(best.fun):
        return parameters, None
    temperature = math.exp(float(best.x))
    changed = parameters.copy()
    op = engine.network.ops[-1]
    views = op.views(changed)
    with_temperature = head.with_temperature(views, temperature)
    assert with_temperature is not None
    for name, values in with_temperature.items():
        views[name][...] = values
    return changed, Calibration(temperature, loss(0.0), float(best.fun))


def uncalibrated_sign(epoch: int, items: int) -> Sign:
    """Return the sign that no temperature is the best for so many validation items.

    `epoch` is the one whose weights answer them.
    """
    answered = f"all {items:,} validation items are" if items > 1 else "the only validation item is"
    text = (
        f"the votes are not calibrated, and stay as trained: {answered} answered rightly, so votes "
        "of 0 and 1 have the lowest loss; more validation items help (data.validation, or "
        "validation_fraction for GridClassifier)"
    )
    return Sign(epoch, "not calibrated", text)
