"""Whether the learning rate is far off: by how far weights move in an epoch, and by its loss.

What a good rate does was measured with the ready specs and the starters, at 1e-4 to 100 times
their rates. In the first hundred steps the weights move by up to 0.25 of their size, and at thirty
times the rate by 1 to 6 times; in a whole epoch by 0.02 to 0.5, and at a thousandth by less than
0.002.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gridcnn.grid import Array
from gridcnn.network import Network, Slot

_STEPS = 100
"""Steps of an epoch after which it is asked how far the weights have moved: more steps move them
further, whatever the rate is."""
_FIRST = 64
"""Items whose loss is that of the start."""
_FAR = 3.0
"""So many times their own size weights do not move in so few steps, unless the rate is too high."""
_JUMP = 3.0
"""The mean loss of an epoch, as a multiple of that of the start, that is a jump."""
_HARDLY = 3e-3
"""The part of their size by which weights move in an epoch if the rate is much too low."""
_FEW = 50
"""Steps in which they are to have moved further than that, if an epoch has fewer."""
_NO_FALL = 0.9
"""The part of the first epoch's loss above which the loss has hardly fallen."""
_USUAL = 0.1
"""How far weights usually move in an epoch, as a part of their size."""


@dataclass(frozen=True)
class Moves:
    """How far the weights moved in an epoch, as parts of the size that they had before it.

    Attributes:
        start: the mean loss of the epoch's first items.
        early: how far all weights together moved in the first steps.
        most: how far those of the layer moved that moved furthest, in the whole epoch or, if that
            has few steps, in as many as `_FEW` at its pace.
    """

    start: float
    early: float
    most: float


class Pace:
    """Measures how far the weights move in one epoch.

    Args:
        network: what they belong to.
        before: the flat vector before the epoch, which stays as it is.
        batches: how many the epoch has.
        batch_size: the items of each.
    """

    def __init__(self, network: Network, before: Array, *, batches: int, batch_size: int) -> None:
        self._slots = [slot for _, slot in layers(network)]
        self._before = before
        self._batches = batches
        self._first = -(-_FIRST // batch_size)
        self._losses: list[float] = []
        self._early = 0.0

    def take(self, batch: int, loss: float, parameters: Array) -> None:
        """Take note of batch number `batch`, from 0, after which the parameters are these."""
        if batch < self._first:
            self._losses.append(loss)
        if batch + 1 == min(self._batches, _STEPS):
            moved = math.hypot(*(_size(self._change(slot, parameters)) for slot in self._slots))
            self._early = moved / (self._size_before(self._slots) or math.inf)

    def moves(self, parameters: Array) -> Moves:
        """Return how far the weights moved, given the parameters after the last batch."""
        parts = [
            _size(self._change(slot, parameters)) / (self._size_before([slot]) or math.inf)
            for slot in self._slots
        ]
        most = max(parts, default=0.0) * max(1.0, _FEW / self._batches)
        return Moves(float(np.mean(self._losses)), self._early, most)

    def _change(self, slot: Slot, parameters: Array) -> Array:
        changed: Array = parameters[slot.part] - self._before[slot.part]
        return changed

    def _size_before(self, slots: Iterable[Slot]) -> float:
        return math.hypot(*(_size(self._before[slot.part]) for slot in slots))


def layers(network: Network) -> Iterator[tuple[str, Slot]]:
    """Yield the weights of each convolution and each layer of the head, with the name of it."""
    for op in network.ops:
        for slot in op.slots:
            parameter = slot.parameter
            if parameter.role == "learned" and len(parameter.shape) > 1:
                name = parameter.name.removesuffix("weights").rstrip(".")
                yield f"{op.label} {name}".rstrip(), slot


def _size(vector: Array) -> float:
    return float(np.linalg.norm(vector))


def too_high(moves: Moves, losses: list[float], likely: float, *, is_begun: bool = True) -> str:
    """Return what shows that the rate is much too high; empty if nothing does.

    Args:
        moves: those of the last epoch.
        losses: the mean losses of all epochs.
        likely: that of votes by the classes' frequencies.
        is_begun: whether there were enough steps for a jump of the loss to mean something. The
            first few of a good rate may throw votes far off, and the next ones bring them back.
    """
    last, start = losses[-1], losses[0] if len(losses) > 1 else moves.start
    if is_begun and last > _JUMP * max(start, likely):
        return f"the loss rose from {start:.3g} to {last:.3g}, the mean of epoch {len(losses)}"
    if moves.early > _FAR and last > likely:
        return (
            f"the weights moved by {moves.early:.2g} times their size at the start of epoch "
            f"{len(losses)}"
        )
    return ""


def too_low(moves: Moves, losses: list[float], likely: float) -> str:
    """Return what shows that the rate is much too low, as `too_high` does."""
    last = losses[-1]
    if moves.most >= _HARDLY or last < _NO_FALL * losses[0] or last < likely / 2:
        return ""
    return (
        f"the weights moved by only {moves.most:.1g} of their size in epoch {len(losses)}, and the "
        f"loss was {losses[0]:.3g} in the first epoch and is {last:.3g}"
    )


def slower(rate: float, moves: Moves) -> float:
    """Return a rate that is lower by a power of ten, at which weights should move as is usual."""
    powers = max(1, round(math.log10(max(moves.early / _USUAL, 1))))
    return rate / math.pow(10, powers)


def faster(rate: float, moves: Moves) -> float:
    """Return a rate that is higher by a power of ten, as `slower` does."""
    powers = max(1, round(math.log10(_USUAL / max(moves.most, 1e-6))))
    return rate * math.pow(10, powers)
