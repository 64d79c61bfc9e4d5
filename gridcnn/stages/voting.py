"""Voting: layers turn the last grids into votes, and the class with the most votes wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gridcnn.contracts.stage import Backward, Gradients, Head, HeadStage, Parameter
from gridcnn.contracts.targets import LabelTargets, SoftTargets, Targets, check_label_targets
from gridcnn.grid import Array, Axis, GridShape
from gridcnn.label_measures import EVEN
from gridcnn.settings.base import Count, Fraction


class Voting(Head):
    """Every cell of the last grid votes for every class; some votes weigh more than others."""

    title: ClassVar[str] = "voting"

    labels: Literal["one", "several"] = "one"
    """How many labels an item has. `one`: classes exclude each other, and their votes add up to 1;
    `several`: any number of labels, also none; each is voted on independently."""
    hidden: Annotated[tuple[Count, ...], Field(max_length=64)] = ()
    """The sizes of the hidden layers, which come before the votes."""
    dropout: Fraction = 0.0
    """The part of the values of each hidden layer (without hidden layers: of the last grid) that
    training leaves out at random (dropout)."""

    def stage(self, classes: int) -> HeadStage:
        """Return the stage that votes for `classes` classes, or labels."""
        stage = IndependentVotes if self.labels == "several" else Votes
        return stage(hidden=self.hidden, dropout=self.dropout, classes=classes)


class VotingLayers(HeadStage):
    """Fully connected layers bound to a number of classes: grids in, a logit for each class out."""

    title: ClassVar[str] = "voting"

    hidden: tuple[Count, ...]
    """The sizes of hidden layers."""
    dropout: Fraction
    """The part of values that training leaves out."""
    classes: Count
    """How many classes there are."""

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: if anything is left out."""
        return self.dropout > 0

    def output(self, shape: GridShape) -> GridShape:  # noqa: ARG002 - any grid can vote
        """Return one channel of one cell for each class."""
        return GridShape(self.classes, 1, 1, Axis("vote", ordered=False), Axis("vote"))

    def layers(self, cells: int) -> list[tuple[str, int, int]]:
        """Return `(name, inputs, outputs)` of each layer, on grids of so many cells."""
        sizes = (cells, *self.hidden, self.classes)
        names = [f"hidden{number}" for number in range(1, len(self.hidden) + 1)] + ["votes"]
        return list(zip(names, sizes, sizes[1:], strict=False))

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        """Return for each layer `weights` `(outputs, inputs)` and `bias` `(outputs,)`.

        The inputs of the first layer are the cells in the order (channels, rows, columns).
        """
        parameters: list[Parameter] = []
        for name, inputs, outputs in self.layers(shape.cells):
            weights = Parameter(f"{name}.weights", (outputs, inputs), inputs, outputs)
            parameters += [weights, Parameter(f"{name}.bias", (outputs,), decays=False)]
        return tuple(parameters)

    def multiply_adds(self, shape: GridShape) -> int:
        """Return the number of weights."""
        return sum(inputs * outputs for _, inputs, outputs in self.layers(shape.cells))

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,  # noqa: ARG002
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        """Return the logits `(items, classes, 1, 1)`; hidden layers are rectified."""
        values = grids.reshape(len(grids), -1)
        trail: list[tuple[Array, Array | None]] = []  # what entered a layer, and its dropout
        layers = self.layers(values.shape[1])
        factors: list[Array] = []
        if random is not None and self.dropout:
            # Without hidden layers, what is left out is of the grid.
            sizes = [inputs for _, inputs, _ in (layers[1:] or layers)]
            factors = self.dropout_factors(len(grids), sizes, self.dropout, random)
        for number, (name, _, _) in enumerate(layers):
            if number:
                values = np.maximum(values, 0)
            factor = None
            if factors and (number or len(layers) == 1):
                factor = factors[max(number - 1, 0)].astype(values.dtype)
                values = values * factor
            trail.append((values, factor))
            # One product for each item, so that an item's votes do not depend on its batch.
            products = np.matmul(weights[f"{name}.weights"], values[:, :, None])
            values = products[:, :, 0] + weights[f"{name}.bias"]

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            gradients: Gradients = {}
            flow = gradient.reshape(len(grids), -1)
            for number in range(len(layers) - 1, -1, -1):
                name, (entered, factor) = layers[number][0], trail[number]
                gradients[f"{name}.bias"] = flow.sum(axis=0)
                gradients[f"{name}.weights"] = flow.T @ entered
                if not (number or need_input):
                    return gradient, gradients
                flow = flow @ weights[f"{name}.weights"]
                if factor is not None:
                    flow = flow * factor
                if number:
                    # What was dropped is 0 as well, and its gradient is 0 already.
                    flow = flow * (entered > 0)
            return flow.reshape(grids.shape), gradients

        return values.reshape(len(grids), self.classes, 1, 1), backward

    def with_temperature(
        self, weights: Mapping[str, Array], temperature: float
    ) -> dict[str, Array]:
        """Return weights and bias of the last layer, divided by a temperature."""
        factor = np.float32(1 / temperature)
        return {name: weights[name] * factor for name in ("votes.weights", "votes.bias")}

    @staticmethod
    def dropout_factors(
        items: int, sizes: Sequence[int], dropout: float, random: np.random.Generator
    ) -> list[Array]:
        """Return float32 factors `(items, size)` for each of several layers.

        They are 0 for values left out, and above 1 for the rest, to keep the sum.
        """
        # Item by item, so that the numbers do not depend on how a batch is divided.
        is_kept = random.random((items, sum(sizes)), np.float32) >= dropout
        factors = is_kept.astype(np.float32) / np.float32(1 - dropout)
        return np.split(factors, np.cumsum(sizes)[:-1], axis=1)


class Votes(VotingLayers):
    """The head for classes that exclude each other.

    Votes are the softmax of the logits, and the loss is their cross-entropy.
    """

    title: ClassVar[str] = "voting"

    def votes(self, logits: Array) -> Array:
        """Return the softmax of the logits."""
        return softmax(logits)

    @property
    def takes_soft_targets(self) -> bool:
        """Whether the loss is the cross-entropy; a subclass with another one has to say so."""
        return type(self).losses is Votes.losses

    def losses(self, logits: Array, targets: Targets | SoftTargets) -> tuple[Array, Array]:
        """Return the cross-entropy of each item, and its gradient by the logits."""
        return cross_entropy(logits, targets)

    def has_votes(self, logits: Array) -> NDArray[np.bool_]:
        """Return for each item whether its logits are so near each other that its loss is finite.

        Votes may be 0 and 1 where this is not so.
        """
        is_finite: NDArray[np.bool_] = np.isfinite(logits.max(axis=1) - logits.min(axis=1))
        return is_finite


class IndependentVotes(VotingLayers):
    """The head for items that may have several labels, or none.

    The vote for a label is the sigmoid of its logit, whatever the others are. The loss is the
    binary cross-entropy, the mean over all labels; an answer that is not known adds nothing to it.
    """

    title: ClassVar[str] = "voting"

    @property
    def several(self) -> bool:
        """True: targets are float32 `(items, labels)`."""
        return True

    @property
    def takes_soft_targets(self) -> bool:
        """Whether the loss is the binary cross-entropy, which takes any numbers from 0 to 1."""
        return type(self).losses is IndependentVotes.losses

    def check_targets(self, targets: NDArray[Any], *, items: int, classes: int) -> LabelTargets:
        """Return targets as float32 `(items, labels)`: from 0 to 1, NaN for what is not known.

        Raises:
            IndexError: they have another shape, or hold other numbers.
        """
        return check_label_targets(targets, items=items, labels=classes)

    def votes(self, logits: Array) -> Array:
        """Return the sigmoid of each logit: 0..1, and any sum for an item."""
        return sigmoid(logits)

    def answers(self, votes: Array) -> Targets:
        """Return for each label whether it is answered, int64 `(items, labels)` of 0 and 1.

        It is if its vote is at least 0.5; a `Model` has thresholds of its own.
        """
        answers: Targets = (votes >= EVEN).astype(np.int64)
        return answers

    def losses(self, logits: Array, targets: Targets | SoftTargets) -> tuple[Array, Array]:
        """Return the binary cross-entropy of each item, and its gradient by the logits."""
        return binary_cross_entropy(logits, targets)

    def hits(self, logits: Array, targets: Targets | SoftTargets) -> NDArray[np.bool_]:
        """Return for each item `(items,)` whether all of its known labels are answered rightly."""
        is_right = ((logits >= 0) == (targets >= EVEN)) | np.isnan(targets)
        all_right: NDArray[np.bool_] = is_right.all(axis=1)
        return all_right


def softmax(logits: Array) -> Array:
    """Return logits `(items, classes)` as votes of the same shape: 0..1, adding up to 1.

    Infinite logits make votes of NaN, and NumPy warns of them.
    """
    lifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    votes: Array = lifted / lifted.sum(axis=1, keepdims=True)
    return votes


def cross_entropy(logits: Array, targets: Targets | SoftTargets) -> tuple[Array, Array]:
    """Return the loss of each item `(items,)`, and its gradient by its logits.

    The loss is the negative logarithm of the vote, after softmax, for the right class; or the sum
    of those for all classes, each times the part of the item that is of the class. Infinite logits
    make losses of NaN, and NumPy warns of them.

    Args:
        logits: `(items, classes)`.
        targets: the right class of each item `(items,)`, or parts of classes `(items, classes)`,
            which need not be 1 in all: then the loss is that of the item times their sum.
    """
    lifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(lifted)
    total = exponentials.sum(axis=1, keepdims=True)
    if targets.ndim == 2:
        parts = targets.astype(logits.dtype, copy=False)
        sums = parts.sum(axis=1, keepdims=True)
        losses = sums[:, 0] * np.log(total[:, 0]) - (parts * lifted).sum(axis=1)
        return losses, exponentials * (sums / total) - parts
    rows = np.arange(len(logits))
    losses = np.log(total[:, 0]) - lifted[rows, targets]
    gradient = exponentials / total
    gradient[rows, targets] -= 1
    return losses, gradient


def sigmoid(logits: Array) -> Array:
    """Return 1 / (1 + exp(-x)) of each number, computed from exp(-|x|), which never overflows."""
    powers = np.exp(-np.abs(logits))
    shares: Array = np.where(logits < 0, powers, 1) / (1 + powers)
    return shares


def binary_cross_entropy(
    logits: Array, targets: LabelTargets | Targets | SoftTargets
) -> tuple[Array, Array]:
    """Return the loss of each item `(items,)`, and its gradient by its logits.

    The loss is the mean over the labels of `-t log(v) - (1 - t) log(1 - v)`, where `v` is the vote,
    the sigmoid of the logit, and `t` the target; computed as `max(x, 0) - t x + log(1 + exp(-|x|))`
    of the logit `x`, which holds for votes that are rounded to 0 or 1. What is not known counts as
    0, and has no gradient; the mean is still over all labels.

    Args:
        logits: `(items, labels)`.
        targets: from 0 to 1, NaN if not known, `(items, labels)`.
    """
    is_known = ~np.isnan(targets)
    wanted = np.where(is_known, targets, 0).astype(logits.dtype)
    each = np.maximum(logits, 0) - wanted * logits + np.log1p(np.exp(-np.abs(logits)))
    labels = logits.shape[1]
    losses: Array = np.where(is_known, each, 0).sum(axis=1) / labels
    gradient: Array = np.where(is_known, sigmoid(logits) - wanted, 0) / labels
    return losses, gradient
