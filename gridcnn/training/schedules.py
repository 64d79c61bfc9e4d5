"""Schedules: the learning rate at every step."""

from __future__ import annotations

import math

from gridcnn.spec.models import Training
from gridcnn.spec.optimizers import Cosine, Step


def learning_rate(settings: Training, epoch: float) -> float:
    """Return the learning rate after `epoch` epochs, of which a part may be the last.

    It rises in a line from 0 over the first `warm_up` epochs. A cosine then falls over the epochs
    that are left (Loshchilov and Hutter, 2017, without restarts); steps count from the start.
    """
    rate = settings.learning_rate
    if epoch < settings.warm_up:
        return rate * epoch / settings.warm_up
    schedule = settings.schedule
    if isinstance(schedule, Cosine):
        left = settings.epochs - settings.warm_up
        done = min((epoch - settings.warm_up) / left, 1.0) if left > 0 else 0.0
        height = (1 + math.cos(math.pi * done)) / 2
        return rate * (schedule.final + (1 - schedule.final) * height)
    if isinstance(schedule, Step):
        return rate * schedule.factor ** (int(epoch) // schedule.every)
    return rate
