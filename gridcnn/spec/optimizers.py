"""The settings of optimizers and schedules; their arithmetic is in `gridcnn.training`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from annotated_types import Gt, Lt
from pydantic import AllowInfNan, Strict

from gridcnn.registry import Registry
from gridcnn.settings import foreign
from gridcnn.settings.base import Flag, Fraction, Many, NotNegative, Positive, Settings, Share


class Sgd(Settings):
    """Stochastic gradient descent with momentum."""

    title: ClassVar[str] = "sgd"

    momentum: Fraction = 0.9
    """The momentum: how much of the last step is added to the next."""
    nesterov: Flag = False
    """Whether the gradient is computed after the momentum's part of the step (Nesterov)."""


class Adam(Settings):
    """Steps scaled by running means of the gradient and its square (Kingma and Ba, 2015)."""

    title: ClassVar[str] = "adam"

    beta1: Fraction = 0.9
    """How slowly the mean of the gradient changes."""
    beta2: Fraction = 0.999
    """How slowly the mean of its square changes."""
    epsilon: Positive = 1e-8
    """A small number (epsilon) added to the divisor, which keeps the division finite."""


class AdamW(Adam):
    """Adam with weight decay separate from the gradient (Loshchilov and Hutter, 2019)."""

    title: ClassVar[str] = "adamw"
    decoupled: ClassVar[bool] = True


class Constant(Settings):
    """The learning rate stays as it is."""

    title: ClassVar[str] = "constant"


class Cosine(Settings):
    """The learning rate falls along half a cosine, to `final` times its height."""

    title: ClassVar[str] = "cosine"

    follows_epochs: ClassVar[bool] = True

    final: NotNegative = 0.0
    """The part of the learning rate that is left at the end."""


class Step(Settings):
    """The learning rate is multiplied by `factor` after every `every` epochs."""

    title: ClassVar[str] = "step"

    every: Many = 10
    """Epochs from one fall to the next."""
    factor: Positive = 0.1
    """The factor by which the learning rate falls."""


class OneCycle(Settings):
    """The learning rate rises, and then falls to almost nothing (Smith and Topin, 2018).

    Both are along half a cosine. The optimizer's momentum stays as it is.
    """

    title: ClassVar[str] = "one_cycle"

    follows_epochs: ClassVar[bool] = True

    rise: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Lt(1)] = 0.3
    """The part of all epochs in which it rises."""
    start: Share = 0.04
    """The part of the learning rate at the beginning."""
    final: Share = 0.0
    """The part of the learning rate that is left at the end."""


OPTIMIZERS = Registry(
    "optimizer",
    {
        "sgd": "gridcnn.spec.optimizers:Sgd",
        "adam": "gridcnn.spec.optimizers:Adam",
        "adamw": "gridcnn.spec.optimizers:AdamW",
    },
    foreign={"gd": "sgd", "gradientdescent": "sgd"},
    absent=foreign.ABSENT_OPTIMIZERS,
    closed=True,
)
SCHEDULES = Registry(
    "schedule",
    {
        "constant": "gridcnn.spec.optimizers:Constant",
        "cosine": "gridcnn.spec.optimizers:Cosine",
        "step": "gridcnn.spec.optimizers:Step",
        "one_cycle": "gridcnn.spec.optimizers:OneCycle",
    },
    foreign={
        **dict.fromkeys(("steplr", "stepdecay"), "step"),
        **dict.fromkeys(("cosineannealing", "cosineannealinglr", "cosinedecay"), "cosine"),
        **dict.fromkeys(("none", "fixed"), "constant"),
        **dict.fromkeys(("onecyclelr", "onecycle", "superconvergence", "1cycle"), "one_cycle"),
    },
    absent=foreign.ABSENT_SCHEDULES,
    closed=True,
)


def follows_epochs(schedule: Settings) -> bool:
    """Return whether the rate in an epoch depends on how many epochs there are."""
    return bool(getattr(schedule, "follows_epochs", False))
