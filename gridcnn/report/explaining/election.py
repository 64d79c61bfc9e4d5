"""The election: which cells of the last maps gave how many votes to which class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.grid import Array
from gridcnn.report.explaining.passing import Passage
from gridcnn.stages.voting import VotingLayers


@dataclass(frozen=True)
class Election:
    """The votes of one item, added up.

    A logit of a class is the sum of `cells` over all cells of the last maps, and of `start`. Hidden
    voters are rectified, so for this item each of them is on (its votes count) or off. A cell's
    votes for a class are then its value, times its weight for each hidden voter that is on, times
    that voter's weight for the class.

    Attributes:
        value: the number of the value that votes, see `Passage.values`.
        cells: votes of each cell for each class, float64 `(classes, channels, rows, columns)`.
        start: what each class has before any cell votes, `(classes,)`: the biases.
        weights: votes for each class of a cell of value 1, in the shape of `cells`.
        hidden: for each hidden layer, the values of its voters, `(voters,)`: 0 if it is off.
        voters: votes of each voter of the last hidden layer for each class, `(classes, voters)`;
            None without hidden layers.
        own: what each class has before any hidden voter votes, `(classes,)`: the last bias.
    """

    value: int
    cells: NDArray[np.float64]
    start: NDArray[np.float64]
    weights: NDArray[np.float64]
    hidden: tuple[NDArray[np.float64], ...]
    voters: NDArray[np.float64] | None
    own: NDArray[np.float64]

    @property
    def logits(self) -> NDArray[np.float64]:
        """The sum of all votes for each class, `(classes,)`."""
        total: NDArray[np.float64] = self.cells.sum(axis=(1, 2, 3)) + self.start
        return total


def election_of(passage: Passage) -> Election | None:
    """Return the election of the first item; None if the head is not made of voting layers."""
    op = passage.network.ops[-1]
    head = op.stage
    if not isinstance(head, VotingLayers) or type(head).forward is not VotingLayers.forward:
        return None
    grid = passage.values[op.sources[0]][0]
    named = passage.weights(op)
    layers = [
        (named[f"{name}.weights"], named[f"{name}.bias"]) for name, _, _ in head.layers(grid.size)
    ]
    hidden: list[Array] = []
    flow = grid.ravel()
    for weights, bias in layers[:-1]:
        flow = np.maximum(weights @ flow + bias, 0)
        hidden.append(flow)
    last, own = layers[-1]
    voters = last * flow if hidden else None
    # From the classes back: how much each voter, and in the end each cell, counts for a class.
    through, start = last, own.copy()
    for (weights, bias), on in zip(reversed(layers[:-1]), reversed(hidden), strict=True):
        through = through * (on > 0)
        start = start + through @ bias
        through = through @ weights
    shape = (len(own), *grid.shape)
    return Election(
        op.sources[0],
        (through * grid.ravel()).reshape(shape),
        start,
        through.reshape(shape),
        tuple(hidden),
        voters,
        own,
    )
