"""The contract of a contestant: a case in, and for each task the ways in which it can be done."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.case import Array, Case, Convolution

Answer = dict[str, Array]
"""What is compared: `logits` `(items, classes)` of the first batch; of a training step `loss`,
`gradient` and `parameters` in the order of the case's flat vector."""


@dataclass(frozen=True)
class Way:
    """One way of doing a task.

    Attributes:
        run: does it once. Training goes on from where it is, with the next batch.
        answer: returns what it comes to, for a comparison.
        calls: how many times `run` does it, where once is too short to be timed.
        reset: brings training back to the first weights.
    """

    run: Callable[[], object]
    answer: Callable[[], Answer]
    calls: int = 1
    reset: Callable[[], None] = lambda: None


Ways = Mapping[str, Callable[[], Way]]
"""How each way is made ready, by its name."""


class Contestant(abc.ABC):
    """Does one case's arithmetic with one library."""

    packages: tuple[str, ...] = ()
    """The distributions whose versions belong to a result."""

    def __init__(self, case: Case, threads: int) -> None:
        self.case = case
        self.threads = threads

    @classmethod  # noqa: B027 - most have nothing left to import
    def load(cls, **options: str) -> None:
        """Import what is left to import, for what memory is counted from."""

    @abc.abstractmethod
    def ways(self, task: str) -> Ways:
        """Return all ways of doing a task, at best the usual one first."""

    def turn(self) -> Callable[[], int]:
        """Return what gives the number of one batch after the other, beginning with the first."""
        count = -1

        def following() -> int:
            nonlocal count
            count += 1
            return count % self.case.batches

        return following


def window_table(case: Case, layer: Convolution) -> Array:
    """Return the first layer's weights as the table that `Case.windows` reads."""
    weights, _ = case.weights(layer)
    filters, channels, _, kernel = weights.shape
    table = np.zeros((kernel * channels + 1, filters), np.float32)
    table[:-1] = weights[:, :, 0].transpose(2, 1, 0).reshape(-1, filters)
    return table


def window_weights(table: Array, layer: Convolution) -> Array:
    """Return such a table as weights `(filters, channels, 1, kernel)`."""
    filters, channels, _, kernel = layer.weights
    return table[:-1].reshape(kernel, channels, filters).transpose(2, 1, 0)[:, :, None]
