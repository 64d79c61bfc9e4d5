"""Schedules: the learning rate at every step."""

from __future__ import annotations

import math

from gridcnn.spec.models import Training
from gridcnn.spec.optimizers import Cosine, OneCycle, Step


def learning_rate(settings: Training, epoch: float) -> float:
    """Return the learning rate after `epoch` epochs, which may end in a part of one.

    It rises in a line from 0 over the first `warm_up` epochs. A cosine then falls over the epochs
    that are left (Loshchilov and Hutter, 2017, without restarts); steps count from the start. One
    cycle rises and falls along half a cosine each (Smith and Topin, 2018).
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
    if isinstance(schedule, OneCycle):
        done, rise = min(epoch / settings.epochs, 1.0), schedule.rise
        end, away = (schedule.start, 1 - done / rise)
        if done >= rise:
            end, away = schedule.final, (done - rise) / (1 - rise)
        return rate * (end + (1 - end) * (1 + math.cos(math.pi * away)) / 2)
    if isinstance(schedule, Step):
        return rate * schedule.factor ** (int(epoch) // schedule.every)
    return rate
