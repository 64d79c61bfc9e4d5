"""Stages that have no kernel are done by their own arithmetic, in the same run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from gridcnn.engines.base import make_engine
from gridcnn.engines.native.engine import NativeEngine, Piece
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import STAGES, Spec
from gridcnn.stages.base import Backward, Gradients, Head, Parameter, Stage
from gridcnn.stages.convolution import Convolution

SHAPE = GridShape(2, 8, 7)


class Gain(Stage):
    """Multiplies each channel by a number that is learned."""

    title: ClassVar[str] = "gain"

    def output(self, shape: GridShape) -> GridShape:
        return shape

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        return (Parameter("gains", (shape.channels,), fan_in=1),)

    def multiply_adds(self, shape: GridShape) -> int:
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        gains = weights["gains"][:, None, None]

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return gradient * gains, {"gains": (gradient * grids).sum(axis=(0, 2, 3))}

        return grids * gains, backward


class Twice(Convolution):
    """A convolution that is not the usual one: its maps are doubled."""

    title: ClassVar[str] = "twice"

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        maps, backward = super().forward(grids, weights)

        def doubled(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return backward(2 * gradient, need_input=need_input)

        return 2 * maps, doubled


class Means(Head):
    """Votes with the mean of each channel, which are as many as there are classes."""

    def stage(self, classes: int) -> Stage:
        return MeanVotes()


class MeanVotes(Stage):
    title: ClassVar[str] = "means"

    def output(self, shape: GridShape) -> GridShape:
        return GridShape(shape.channels, 1, 1)

    def multiply_adds(self, shape: GridShape) -> int:
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            cells = grids.shape[2] * grids.shape[3]
            return np.broadcast_to(gradient / cells, grids.shape), {}

        return grids.mean(axis=(2, 3), keepdims=True), backward


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the stages be known, as those of an installed package are."""
    for name, stage in (("gain", Gain), ("twice", Twice)):
        monkeypatch.setitem(STAGES._places, name, f"elsewhere:{stage.__name__}")
        monkeypatch.setitem(STAGES._loaded, name, stage)


KNOWN: list[Any] = [{"convolution": {"filters": 5}}, "rectification", "pooling"]


def network(before: list[Any], foreign: list[Stage], after: list[Any], head: Any) -> Network:
    """Return a network with foreign stages between two parts of known ones."""
    spec = load({"stages": [*before, *after], **({} if isinstance(head, Head) else {"head": head})})
    stages = (*spec.stages[: len(before)], *foreign, *spec.stages[len(before) :])
    update: dict[str, Any] = {"stages": stages}
    if isinstance(head, Head):
        update["head"] = head
    changed: Spec = spec.model_copy(update=update)
    return Network(changed, SHAPE, classes=3)


VOTES = {"voting": {"hidden": [6], "dropout": 0.5}}


@pytest.mark.parametrize(
    ("before", "foreign", "after", "head"),
    [
        (KNOWN, [Gain()], KNOWN, VOTES),
        ([], [Gain()], KNOWN, VOTES),
        (KNOWN, [Gain(), Gain()], [], VOTES),
        ([], [Gain()], [], VOTES),
        (KNOWN, [Twice(filters=4)], ["rectification"], VOTES),
        (KNOWN, [], [{"convolution": {"filters": 3}}], Means()),
        ([], [Gain()], [{"convolution": {"filters": 3}}], Means()),
    ],
    ids=["between", "first", "before the head", "alone", "subclass", "head", "stage and head"],
)
def test_stages_without_a_kernel_work_in_between(
    before: list[Any], foreign: list[Stage], after: list[Any], head: Any
) -> None:
    """Votes, loss and the gradient of everything are those of the reference."""
    made = network(before, foreign, after, head)
    exact, engine = make_engine(made, "reference"), make_engine(made, "native")
    random = np.random.default_rng(0)
    parameters = made.starting_parameters()
    grids = random.normal(0, 1, (20, *SHAPE.sizes)).astype(np.float32)
    targets = random.integers(0, 3, 20)

    expected = exact.logits(parameters, grids)
    np.testing.assert_allclose(engine.logits(parameters, grids), expected, atol=1e-5)
    for chance in (None, 7):
        first, other = (
            each.step(
                parameters,
                grids,
                targets,
                random=None if chance is None else np.random.default_rng(chance),
            )
            for each in (engine, exact)
        )
        assert first.loss == pytest.approx(other.loss, rel=1e-5)
        assert first.hits == other.hits
        np.testing.assert_allclose(first.gradient, other.gradient, rtol=1e-4, atol=1e-6)


def test_what_has_no_kernel_is_a_piece_of_its_own() -> None:
    made = network(KNOWN, [Gain()], KNOWN, VOTES)

    assert NativeEngine(made).pieces() == [
        Piece(0, 3, native=True),
        Piece(3, 4, native=False),
        Piece(4, 8, native=True),
    ]


def test_frozen_stages_before_a_foreign_one_get_no_gradient() -> None:
    frozen = {"features": np.ones((4, 2, 3, 3)).tolist(), "trainable": False}
    made = network([{"convolution": frozen}, "pooling"], [Gain()], KNOWN, VOTES)
    engine, exact = make_engine(made, "native"), make_engine(made, "reference")
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (9, *SHAPE.sizes)).astype(np.float32)
    targets = random.integers(0, 3, 9)
    parameters = made.starting_parameters()

    gradient = engine.step(parameters, grids, targets).gradient
    np.testing.assert_allclose(
        gradient, exact.step(parameters, grids, targets).gradient, rtol=1e-4, atol=1e-6
    )
    assert not made.named(gradient)["1.convolution.weights"].any()
