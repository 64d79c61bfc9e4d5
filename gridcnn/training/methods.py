"""Methods of learning from one batch: backpropagation, and the article's literal recipe."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.engines.base import Engine
from gridcnn.errors import TrainingError
from gridcnn.grid import Array, Cells
from gridcnn.spec.models import Training
from gridcnn.training.optimizers import AVERAGE, Optimizer, make_optimizer

PATIENCE_SECONDS = 600.0
"""The longest training by `nudge` that is allowed, in seconds."""


@dataclass(frozen=True)
class NudgeResult:
    """One nudge: a value of the network, the same a little higher and a little lower.

    Attributes:
        name: which value, for example `1.convolution.weights[0,0,2,1]`.
        value, up, down: the value as it was, higher, and lower.
        loss, loss_up, loss_down: the mean loss of the batch with each of them.
        kept: the one with the smallest loss; the value as it was if none is smaller.
    """

    name: str
    value: float
    up: float
    down: float
    loss: float
    loss_up: float
    loss_down: float
    kept: Literal["value", "up", "down"]


Tell = Callable[[NudgeResult], None]
_TRIED: tuple[Literal["value", "up", "down"], ...] = ("value", "up", "down")


class Method(abc.ABC):
    """Makes the loss on one batch smaller."""

    def __init__(self, engine: Engine, settings: Training) -> None:
        self.engine = engine
        self.settings = settings

    steps = 0
    """How many steps an optimizer has taken."""

    def memory(self) -> dict[str, Array]:
        """Return copies of the vectors that are kept between steps, by name."""
        return {}

    def restore(self, steps: int, memory: Mapping[str, Array]) -> None:  # noqa: B027
        """Continue with what `steps` and `memory` were; without an optimizer nothing is kept."""

    def answering(self, parameters: Array) -> Array:
        """Return the vector that answers, where `parameters` are those that learn."""
        return parameters

    @abc.abstractmethod
    def learn(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        rate: float,
        random: np.random.Generator,
        tell: Tell | None = None,
    ) -> tuple[float, int]:
        """Change `parameters` in place; return the loss before that, and the right answers.

        Args:
            parameters: the flat vector.
            grids, targets, weights: the batch, as for `Engine.step`.
            rate: the learning rate.
            random: the generator for dropout.
            tell: is called with each nudge, by the method that makes nudges.
        """


class Backpropagation(Method):
    """Moves all values at once, along the gradient.

    With `averaging`, answers come from a running mean of the values. Its first steps keep less, so
    that it soon forgets the starting weights: a part of (1 + steps) / (10 + steps), as TensorFlow's
    `ExponentialMovingAverage` does it.
    """

    def __init__(
        self, engine: Engine, settings: Training, *, frozen: NDArray[np.bool_] | None = None
    ) -> None:
        super().__init__(engine, settings)
        self._frozen = None if frozen is None or not frozen.any() else np.flatnonzero(frozen)
        self.optimizer: Optimizer = make_optimizer(settings, engine.network, engine=engine)
        self.largest: Array | None = None
        """Where it is an array, the largest size of each parameter's gradient since then."""
        self._average: Array | None = None

    @property
    def steps(self) -> int:  # type: ignore[override]
        """How many steps the optimizer has taken."""
        return self.optimizer.steps

    def memory(self) -> dict[str, Array]:
        """Return copies of what the optimizer remembers, and of the running mean."""
        vectors = {name: vector.copy() for name, vector in self.optimizer.state.items()}
        if self._average is not None:
            vectors[AVERAGE] = self._average.copy()
        return vectors

    def restore(self, steps: int, memory: Mapping[str, Array]) -> None:
        """Continue after so many steps with what was remembered then."""
        self.optimizer.restore(steps, memory)
        if self.settings.averaging:
            self._average = memory[AVERAGE].copy()

    def answering(self, parameters: Array) -> Array:
        """Return the running mean, if there is one."""
        return parameters if self._average is None else self._average

    def learn(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        rate: float,
        random: np.random.Generator,
        tell: Tell | None = None,  # noqa: ARG002
    ) -> tuple[float, int]:
        """Take one step of the optimizer."""
        step = self.engine.step(parameters, grids, targets, weights=weights, random=random)
        gradient = step.gradient
        if self.largest is not None:
            np.maximum(self.largest, np.abs(gradient), out=self.largest)
        longest = self.settings.gradient_clip
        if longest is not None:
            # In float64, where the squares of large numbers still have room.
            length = math.sqrt(np.square(gradient, dtype=np.float64).sum())
            if length > longest:
                gradient = gradient * np.float32(longest / length)
        frozen = None if self._frozen is None else parameters[self._frozen]
        self.optimizer.update(parameters, gradient, rate)
        for slot, values in zip(self.engine.network.running, step.running, strict=True):
            parameters[slot.part] = values
        if self._frozen is not None:
            parameters[self._frozen] = frozen
        if self.settings.averaging:
            self._follow(parameters)
        return step.loss, step.hits

    def _follow(self, parameters: Array) -> None:
        """Move the running mean towards the values after a step."""
        if self._average is None:
            self._average = parameters.copy()
            return
        share = min(self.settings.averaging, (1 + self.steps) / (10 + self.steps))
        self._average += np.float32(1 - share) * (parameters - self._average)


class Nudge(Method):
    """Tries each value a little higher and a little lower, and keeps the best of the three.

    The learning rate is the length of a nudge. Nothing is left out by dropout.
    """

    def learn(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        rate: float,
        random: np.random.Generator,  # noqa: ARG002
        tell: Tell | None = None,
    ) -> tuple[float, int]:
        """Nudge every trainable value once, each on top of those before it."""
        if weights is not None:
            raise TrainingError("method nudge takes no weights of items; leave them out")
        logits = self.engine.logits(parameters, grids)
        hits = int(self.engine.head.hits(logits, targets).sum())
        first = best = mean_loss(self.engine, parameters, grids, targets)
        for index in np.flatnonzero(self.engine.network.mask("trainable")).tolist():
            here = parameters[index]
            values = (here, here + np.float32(rate), here - np.float32(rate))
            losses = [best]
            for tried in values[1:]:
                parameters[index] = tried
                losses.append(mean_loss(self.engine, parameters, grids, targets))
            # The first of equal losses, and never one that is NaN unless the loss was so before.
            choice = min(range(3), key=losses.__getitem__)
            parameters[index], best = values[choice], losses[choice]
            if tell is not None:
                tell(
                    NudgeResult(
                        name=self.engine.network.value_name(index),
                        value=float(values[0]),
                        up=float(values[1]),
                        down=float(values[2]),
                        loss=losses[0],
                        loss_up=losses[1],
                        loss_down=losses[2],
                        kept=_TRIED[choice],
                    )
                )
        return first, hits

    def refuse_if_too_long(
        self, parameters: Array, grids: Cells, targets: Targets | SoftTargets, *, epochs: int
    ) -> None:
        """Raise `TrainingError` with the estimated time if that is over ten minutes."""
        size = min(self.settings.batch_size, len(grids))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            mean_loss(self.engine, parameters, grids[:size], targets[:size])
            times.append(time.perf_counter() - start)
        values = int(self.engine.network.mask("trainable").sum())
        batches = -(-len(grids) // self.settings.batch_size) * epochs
        seconds = sorted(times)[1] * 2 * values * batches
        if seconds > PATIENCE_SECONDS:
            raise TrainingError(
                f"method nudge tries each of {values:,} values twice for each of {batches:,} "
                f"batches: about {_duration(seconds)} here. The limit is "
                f"{_duration(PATIENCE_SECONDS)}; use method: backpropagation, or a smaller network"
            )


def mean_loss(
    engine: Engine, parameters: Array, grids: Cells, targets: Targets | SoftTargets
) -> float:
    """Return the mean loss of the network on labelled grids."""
    logits = engine.logits(parameters, grids)
    with np.errstate(over="ignore", invalid="ignore"):
        losses, _ = engine.head.losses(logits, targets)
    return float(losses.mean(dtype=np.float64))


def slopes(
    engine: Engine,
    parameters: Array,
    grids: Cells,
    targets: Targets | SoftTargets,
    *,
    width: float,
) -> Array:
    """Return the loss's slope by each value, from a nudge up and a nudge down (float64).

    These central differences are what the gradient of backpropagation is checked against.
    """
    values = parameters.astype(np.float64)  # engines compute in the precision of the parameters
    result = np.zeros_like(values)
    for index in np.flatnonzero(engine.network.mask("trainable")):
        here = values[index]
        values[index] = here + width
        above = mean_loss(engine, values, grids, targets)
        values[index] = here - width
        below = mean_loss(engine, values, grids, targets)
        values[index] = here
        result[index] = (above - below) / (2 * width)
    return result


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} seconds"
