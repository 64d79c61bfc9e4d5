"""Normalization: numbers are shifted and scaled to mean 0 and variance 1, then by learned numbers.

`batch` takes mean and variance of each map over a group of items in training, and running values
when it answers (Ioffe and Szegedy, 2015). `layer` takes them over all cells of an item, `group`
over some of its maps (Wu and He, 2018); both do the same in training and when they answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from gridcnn.contracts.stage import Backward, Gradients, Parameter, Stage
from gridcnn.grid import Array, GridShape
from gridcnn.settings.base import Count, Fraction, Positive


class Normalization(Stage):
    """Shifts and scales maps to mean 0 and variance 1, and then by a learned bias and gain."""

    title: ClassVar[str] = "normalization"
    short: ClassVar[tuple[str, ...]] = ("kind",)

    kind: Literal["batch", "group", "layer"] = "batch"
    """Over which cells mean and variance are taken: `batch`: of each map, over 16 items of the
    batch in training, and running values otherwise; `group`: of a group of maps of one item;
    `layer`: of all maps of one item."""
    groups: Count | None = None
    """Into how many groups `group` divides the maps; 8 if null, or 1 for each map if there are
    fewer."""
    momentum: Fraction = 0.9
    """The part of the running mean and variance that is left after one training step; for `batch`
    alone."""
    epsilon: Annotated[Positive, Ge(1e-9)] = 1e-5
    """What is added to the variance, so that nothing is divided by 0; at least 1e-9."""

    @property
    def mixes_items(self) -> bool:
        """Whether in training the output for an item depends on others: for `batch` alone."""
        return self.kind == "batch"

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers: never."""
        return False

    def output(self, shape: GridShape) -> GridShape:
        """Return the same shape.

        Raises:
            ValueError: the groups do not fit the maps, or each has a single number, of which
                nothing is left when its mean is taken away.
        """
        if self.kind != "group" and self.groups is not None:
            raise ValueError(
                f"'groups' (={self.groups}) is a setting of kind: group; take that, or leave it out"
            )
        count = self.group_count(shape)
        if shape.channels % count:
            raise ValueError(
                f"'groups' (={count}) must divide the {shape.channels} maps; take one of "
                f"{', '.join(str(n) for n in _divisors(shape.channels))}"
            )
        if self.kind != "batch" and shape.cells == count:
            raise ValueError(self._single_numbers(shape))
        return shape

    def batch_problem(self, shape: GridShape, items: int) -> str | None:
        """Return a problem if batches leave a single number of each map."""
        if not self.mixes_items or items * shape.rows * shape.columns > 1:
            return None
        return (
            f"in batches of one item each map of {shape} is a single number, of which nothing is "
            "left when its mean is taken away; take a training.batch_size of at least 2 (and as "
            "many items), or put the normalization before the stage that leaves one cell"
        )

    def _single_numbers(self, shape: GridShape) -> str:
        """Return why no group may have a single number."""
        fewer = ", ".join(str(n) for n in _divisors(shape.channels)[:-1])
        ways = f"take groups: one of {fewer}, or kind: batch" if fewer else "take kind: batch"
        return (
            f"each group of {shape} has a single number, of which nothing is left when its mean is "
            f"taken away; {ways}, or put it before the stage that leaves one cell"
        )

    def group_count(self, shape: GridShape) -> int:
        """Return the number of groups of maps that have a mean of their own."""
        if self.kind == "batch":
            return shape.channels
        if self.kind == "layer":
            return 1
        return min(8, shape.channels) if self.groups is None else self.groups

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        """Return `gain` and `bias` `(channels,)`; for `batch` running `mean` and `variance` too."""
        channels = (shape.channels,)
        learned = (
            Parameter("gain", channels, written=np.ones(channels), decays=False),
            Parameter("bias", channels, decays=False),
        )
        if self.kind != "batch":
            return learned
        return (
            *learned,
            Parameter("mean", channels, role="running", momentum=self.momentum, decays=False),
            Parameter(
                "variance",
                channels,
                written=np.ones(channels),
                role="running",
                momentum=self.momentum,
                decays=False,
            ),
        )

    def multiply_adds(self, shape: GridShape) -> int:
        """Return one multiply-add for each cell."""
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,  # noqa: ARG002
    ) -> tuple[Array, Backward]:
        """Return `(grids - mean) / sqrt(variance + epsilon) * gain + bias`."""
        items, channels = grids.shape[:2]
        gain, bias = (weights[name][:, None, None] for name in ("gain", "bias"))
        if self.kind == "batch" and not training:
            mean, variance = (weights[name][:, None, None] for name in ("mean", "variance"))
            inverse = 1 / np.sqrt(variance + self._epsilon(grids))
            factor = gain * inverse

            def backward_of_answers(
                gradient: Array, *, need_input: bool = True
            ) -> tuple[Array, Gradients]:
                # Running values are constants here.
                gradients = {
                    "gain": (gradient * ((grids - mean) * inverse)).sum(axis=(0, 2, 3)),
                    "bias": gradient.sum(axis=(0, 2, 3)),
                    "mean": weights["mean"] * items,
                    "variance": weights["variance"] * items,
                }
                return gradient * factor if need_input else gradient, gradients

            return (grids - mean) * factor + bias, backward_of_answers
        count = self.group_count(GridShape(*grids.shape[1:]))
        if self.kind == "batch":
            axes: tuple[int, ...] = (0, 2, 3)
            view = grids
        else:
            axes = (2, 3, 4)
            view = grids.reshape(items, count, channels // count, *grids.shape[2:])
        mean = view.mean(axis=axes, keepdims=True)
        centred = view - mean
        variance = np.square(centred).mean(axis=axes, keepdims=True)
        inverse = 1 / np.sqrt(variance + self._epsilon(grids))
        normal = (centred * inverse).reshape(grids.shape)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            gradients: Gradients = {
                "gain": (gradient * normal).sum(axis=(0, 2, 3)),
                "bias": gradient.sum(axis=(0, 2, 3)),
            }
            if self.kind == "batch":
                cells = view.size // channels
                gradients["mean"] = mean.reshape(channels) * items
                # Of a sample's variance, the estimate of that of all items; a single cell has none.
                observed = weights["variance"]
                if cells > 1:
                    observed = variance.reshape(channels) * (cells / (cells - 1))
                gradients["variance"] = observed * items
            if not need_input:
                return gradient, gradients
            # What a cell does to the mean and to the variance it shares with all of its cells.
            flow = (gradient * gain).reshape(view.shape)
            shaped = normal.reshape(view.shape)
            shared = flow.mean(axis=axes, keepdims=True)
            spread = (flow * shaped).mean(axis=axes, keepdims=True)
            return ((flow - shared - shaped * spread) * inverse).reshape(grids.shape), gradients

        return normal * gain + bias, backward

    def _epsilon(self, grids: Array) -> Array:
        return np.asarray(self.epsilon, grids.dtype)


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
