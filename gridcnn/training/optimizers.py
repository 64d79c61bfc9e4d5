"""Optimizers: how a gradient moves the flat vector."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gridcnn.engines.base import Engine
from gridcnn.grid import Array
from gridcnn.network import Network
from gridcnn.spec.models import Training
from gridcnn.spec.optimizers import Adam, Sgd

AVERAGE = "average"
"""The name of the running mean of the weights, where training keeps one between steps."""
_SMALLEST = float(np.finfo(np.float32).tiny)


class Optimizer(abc.ABC):
    """Moves a flat vector against its gradient; `state` is all that it remembers between steps.

    An engine may do the step in one pass; the code here does the same in NumPy.
    """

    memory: ClassVar[tuple[str, ...]]
    """The names of the vectors that it keeps."""
    engine: Engine | None = None
    """The engine that does the steps, if it can."""

    def __init__(self, size: int, decay: float, decays: NDArray[np.bool_]) -> None:
        self.steps = 0
        self.decay = decay
        # As long as the parameters, and so only made where it counts.
        self.decays: Array | None = decays.astype(np.float32) if decay else None
        self.state: dict[str, Array] = {name: np.zeros(size, np.float32) for name in self.memory}

    def restore(self, steps: int, state: Mapping[str, Array]) -> None:
        """Continue from a saved state."""
        self.steps = steps
        for name in self.memory:
            self.state[name][:] = state[name]

    def update(self, parameters: Array, gradient: Array, rate: float) -> None:
        """Move `parameters`, in place, by one step at learning rate `rate`."""
        self.steps += 1
        if self.engine is not None:
            name, numbers = self.terms(rate)
            # Without decay they are multiplied by 0, and any numbers will do.
            decays = parameters if self.decays is None else self.decays
            vectors = [parameters, gradient, *self.state.values(), decays]
            if self.engine.move(name, vectors, numbers):
                return
        if self.decay:
            gradient = self._decay(parameters, gradient, rate)
        self._move(parameters, gradient, rate)

    def _decay(self, parameters: Array, gradient: Array, rate: float) -> Array:  # noqa: ARG002
        """Return the gradient with that of `decay / 2 * parameters**2` added to it."""
        assert self.decays is not None
        decayed: Array = gradient + np.float32(self.decay) * parameters * self.decays
        return decayed

    @abc.abstractmethod
    def terms(self, rate: float) -> tuple[str, list[float]]:
        """Return the name of this step's formula and its numbers, as engines expect them."""

    @abc.abstractmethod
    def _move(self, parameters: Array, gradient: Array, rate: float) -> None: ...


class SgdOptimizer(Optimizer):
    """Gradient descent; with Nesterov's form as given by Sutskever et al., 2013."""

    memory = ("momentum",)

    def __init__(
        self, size: int, decay: float, decays: NDArray[np.bool_], *, settings: Sgd
    ) -> None:
        super().__init__(size, decay, decays)
        self.settings = settings

    def terms(self, rate: float) -> tuple[str, list[float]]:
        """Return momentum, rate, decay, and how much gradient and velocity count."""
        momentum = self.settings.momentum
        counts = [1.0, momentum] if self.settings.nesterov else [0.0, 1.0]
        return "sgd", [momentum, rate, self.decay, *counts]

    def _move(self, parameters: Array, gradient: Array, rate: float) -> None:
        velocity = self.state["momentum"]
        momentum = np.float32(self.settings.momentum)
        velocity *= momentum
        velocity += gradient
        ahead = gradient + momentum * velocity if self.settings.nesterov else velocity
        parameters -= np.float32(rate) * ahead


class AdamOptimizer(Optimizer):
    """Adam (Kingma and Ba, 2015, algorithm 1)."""

    memory = ("mean", "square")
    decoupled: ClassVar[bool] = False
    """Whether the decay is separate from the gradient."""

    def __init__(
        self, size: int, decay: float, decays: NDArray[np.bool_], *, settings: Adam
    ) -> None:
        super().__init__(size, decay, decays)
        self.settings = settings

    def terms(self, rate: float) -> tuple[str, list[float]]:
        """Return the numbers of the formula, and the decay of the gradient and of parameters."""
        beta1, beta2 = self.settings.beta1, self.settings.beta2
        length = rate / (1 - beta1**self.steps)
        epsilon = max(self.settings.epsilon, _SMALLEST)
        biased = 1 / (1 - beta2**self.steps)
        decays = [0.0, rate * self.decay] if self.decoupled else [self.decay, 0.0]
        return "adam", [1 - beta1, 1 - beta2, biased, length, epsilon, *decays]

    def _move(self, parameters: Array, gradient: Array, rate: float) -> None:
        mean, square = self.state["mean"], self.state["square"]
        beta1, beta2 = self.settings.beta1, self.settings.beta2
        mean += np.float32(1 - beta1) * (gradient - mean)
        square += np.float32(1 - beta2) * (gradient * gradient - square)
        # Both means began at 0; this takes that out of them again.
        unbiased = np.sqrt(square / np.float32(1 - beta2**self.steps))
        length = np.float32(rate / (1 - beta1**self.steps))
        # Not 0 even if float32 has nothing as small as the epsilon that was asked for.
        epsilon = np.float32(max(self.settings.epsilon, _SMALLEST))
        parameters -= length * mean / (unbiased + epsilon)


class AdamWOptimizer(AdamOptimizer):
    """AdamW (Loshchilov and Hutter, 2019, algorithm 2): decay separate from the gradient."""

    decoupled = True

    def _decay(self, parameters: Array, gradient: Array, rate: float) -> Array:
        assert self.decays is not None
        parameters -= np.float32(rate * self.decay) * parameters * self.decays
        return gradient


def make_optimizer(
    settings: Training, network: Network, *, engine: Engine | None = None
) -> Optimizer:
    """Return the optimizer that the spec names, for the network's flat vector.

    `engine` does the steps, if it can; without one, NumPy does.
    """
    optimizer = _make(settings, network)
    optimizer.engine = engine
    return optimizer


def memory_names(settings: Training) -> tuple[str, ...]:
    """Return the names of the vectors that training keeps between steps."""
    if settings.method != "backpropagation":
        return ()
    return (*_kind(settings).memory, *([AVERAGE] if settings.averaging else []))


def _kind(settings: Training) -> type[SgdOptimizer | AdamOptimizer]:
    if isinstance(settings.optimizer, Sgd):
        return SgdOptimizer
    return AdamWOptimizer if getattr(settings.optimizer, "decoupled", False) else AdamOptimizer


def _make(settings: Training, network: Network) -> Optimizer:
    size, decay = network.parameters, settings.weight_decay or 0.0
    decays = network.mask("decays") & network.mask("trainable")
    chosen: Any = settings.optimizer
    return _kind(settings)(size, decay, decays, settings=chosen)
