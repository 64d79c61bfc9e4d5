"""What there is no kernel for is done by its own arithmetic, between what there are kernels for."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from gridcnn.contracts.stage import Backward, Gradients, Head, HeadStage, Parameter, Role, Stage
from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.engines.base import make_engine
from gridcnn.engines.native.chain import Chain
from gridcnn.engines.native.engine import NativeEngine, Piece
from gridcnn.grid import Array, Axis, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import HEADS, STAGES
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import Votes, Voting


class Gain(Stage):
    """Multiplies each channel by a number that is learned; gives what NumPy makes of it."""

    title: ClassVar[str] = "gain"

    frozen: bool = False

    def output(self, shape: GridShape) -> GridShape:
        return shape

    def parameters(self, shape: GridShape) -> tuple[Parameter, ...]:
        sizes: tuple[int, ...] = (shape.channels,)
        role: Role = "fixed" if self.frozen else "learned"
        return (
            Parameter("gain", sizes, written=np.full(sizes, 1.5), role=role),
            Parameter("shift", sizes, decays=False, role=role),
        )

    def multiply_adds(self, shape: GridShape) -> int:
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        assert grids.flags.c_contiguous
        gain = weights["gain"][:, None, None]

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            assert gradient.shape == grids.shape
            gradients = {
                "gain": (gradient * grids).sum(axis=(0, 2, 3)),
                "shift": gradient.sum(axis=(0, 2, 3)),
            }
            # In another order and in another precision than it came.
            by_grids = np.asfortranarray((gradient * gain).astype(np.float64))
            return (by_grids if need_input else gradient), gradients

        out = grids * gain + weights["shift"][:, None, None]
        return np.asfortranarray(out.astype(np.float64)), backward


class Noise(Stage):
    """Leaves out cells at random, in training alone; it has no numbers of its own."""

    title: ClassVar[str] = "noise"

    def output(self, shape: GridShape) -> GridShape:
        return shape

    def multiply_adds(self, shape: GridShape) -> int:
        return shape.cells

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        kept = np.ones_like(grids)
        if random is not None:
            kept = (random.random(grids.shape, np.float32) < 0.75).astype(grids.dtype)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return gradient * kept, {}

        return grids * kept, backward


class Mirrored(Convolution):
    """A convolution, but of the grids seen in a mirror."""

    title: ClassVar[str] = "mirrored"

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        out, back = super().forward(np.ascontiguousarray(grids[..., ::-1]), weights, random=random)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            by_grids, gradients = back(gradient, need_input=need_input)
            return by_grids[..., ::-1] if need_input else by_grids, gradients

        return out, backward


class Shifted(Rectification):
    """A rectification that kills what is below 1."""

    title: ClassVar[str] = "shifted"

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        return super().forward(grids - 1, weights, random=random)


class Halved(Pooling):
    """A pooling that gives half."""

    title: ClassVar[str] = "halved"

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        out, back = super().forward(grids, weights, random=random)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return back(gradient / 2, need_input=need_input)

        return out / 2, backward


class DoubledVotes(Votes):
    """Votes that count twice."""

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        out, back = super().forward(grids, weights, random=random)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            return back(gradient * 2, need_input=need_input)

        return out * 2, backward


class Doubled(Voting):
    """A head of another package that builds on ours."""

    title: ClassVar[str] = "doubled"

    def stage(self, classes: int) -> HeadStage:
        return DoubledVotes(hidden=self.hidden, dropout=self.dropout, classes=classes)


class Firsts(HeadStage):
    """The first cells of the grids are the logits; each is to be as near as can be to 1 or 0."""

    title: ClassVar[str] = "firsts"

    classes: int

    def output(self, shape: GridShape) -> GridShape:
        return GridShape(self.classes, 1, 1)

    def multiply_adds(self, shape: GridShape) -> int:
        return self.classes

    def forward(
        self,
        grids: Array,
        weights: Mapping[str, Array],
        *,
        training: bool = False,
        random: np.random.Generator | None = None,
    ) -> tuple[Array, Backward]:
        flat = grids.reshape(len(grids), -1)

        def backward(gradient: Array, *, need_input: bool = True) -> tuple[Array, Gradients]:
            spread = np.zeros_like(flat)
            spread[:, : self.classes] = gradient.reshape(len(grids), -1)
            return spread.reshape(grids.shape), {}

        return flat[:, : self.classes].reshape(-1, self.classes, 1, 1), backward

    def votes(self, logits: Array) -> Array:
        shares = np.clip(logits, 1e-6, None)
        votes: Array = shares / shares.sum(axis=1, keepdims=True)
        return votes

    def losses(self, logits: Array, targets: Targets | SoftTargets) -> tuple[Array, Array]:
        gradient = logits.copy()
        gradient[np.arange(len(logits)), targets] -= 1
        return (gradient**2).sum(axis=1) / 2, gradient


class FirstsHead(Head):
    """A head that has nothing to do with ours."""

    title: ClassVar[str] = "firsts"

    def stage(self, classes: int) -> HeadStage:
        return Firsts(classes=classes)


FOREIGN = {
    "gain": Gain,
    "noise": Noise,
    "mirrored": Mirrored,
    "shifted": Shifted,
    "halved": Halved,
}
SHAPE = GridShape(2, 8, 9)
BRICK: list[Any] = [{"convolution": {"filters": 6}}, "rectification", "pooling"]
FROZEN: list[Any] = [{"convolution": {"filters": 6, "trainable": False}}, "rectification"]
MIRROR: Any = {"mirrored": {"filters": 5, "kernel_size": 2}}
HEAD: Any = {"voting": {"hidden": [7], "dropout": 0.5}}


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    registries = ((STAGES, FOREIGN), (HEADS, {"doubled": Doubled, "firsts": FirstsHead}))
    for registry, classes in registries:
        for name, cls in classes.items():
            monkeypatch.setitem(registry._places, name, "nowhere:nothing")
            monkeypatch.setitem(registry._loaded, name, cls)


def network_of(*stages: Any, head: Any = HEAD, shape: GridShape = SHAPE) -> Network:
    return Network(load({"stages": list(stages), "head": head}), shape, classes=3)


def pieces(network: Network) -> str:
    """Return how stages are divided: `nn f` are two that are done natively together, and one."""
    found: list[Piece] = NativeEngine(network).pieces()
    return " ".join("nf"[not each.native] * (each.stop - each.start) for each in found)


@pytest.mark.parametrize(
    ("stages", "head", "native"),
    [
        (["gain", *BRICK], HEAD, "f nnnn"),
        ([*BRICK, "gain", *BRICK], HEAD, "nnn f nnnn"),
        ([*BRICK, "gain"], HEAD, "nnn f n"),
        (["gain", "noise", *BRICK, "noise", "gain"], HEAD, "f f nnn f f n"),
        ([*FROZEN, "gain", *BRICK], HEAD, "nn f nnnn"),
        ([*FROZEN, {"gain": {"frozen": True}}, *BRICK], HEAD, "nn f nnnn"),
        ([*FROZEN, "noise"], HEAD, "nn f n"),
        ([*BRICK, "noise", "rectification"], HEAD, "nnn f nn"),
        ([*BRICK, MIRROR, *BRICK], HEAD, "nnn f nnnn"),
        ([MIRROR, "rectification"], HEAD, "f nn"),
        ([BRICK[0], "shifted", "pooling"], HEAD, "n f nn"),
        ([*BRICK[:2], {"halved": {"stride": 1}}, *BRICK], HEAD, "nn f nnnn"),
        (BRICK, {"doubled": HEAD["voting"]}, "nnn f"),
        ([*BRICK, "gain"], {"doubled": {}}, "nnn f f"),
        (BRICK, {"firsts": {}}, "nnn f"),
        (["gain"], {"firsts": {}}, "f f"),
        ([], {"doubled": HEAD["voting"]}, "f"),
    ],
)
def test_foreign_stages_and_heads_agree_with_the_reference(
    networks: ModuleType, stages: list[Any], head: Any, native: str
) -> None:
    """Wherever they stand: their votes, the gradients of all, and what they leave to chance."""
    network = network_of(*stages, head=head)
    assert pieces(network) == native

    for items in (1, 11):
        case = networks.case_of(network, items=items, exactly=False)
        assert case.chance() is not None
        engine = make_engine(network, "native")
        networks.check_answers(engine, case)
        networks.check_pieces(engine, case)
        for after in range(len(network.ops)):
            expected = make_engine(network, "reference").maps(
                case.parameters, case.grids, after=after
            )
            maps = engine.maps(case.single.parameters, case.single.grids, after=after)
            networks.check_maps(maps, expected, exactly=False)


def test_a_stage_that_learns_gets_gradients_through_all_that_follow(networks: ModuleType) -> None:
    """And nothing is asked for the gradient of what nobody learns before."""
    network = network_of(*FROZEN, "gain", *BRICK)
    engine = NativeEngine(network)
    case = networks.case_of(network, items=3, exactly=False)
    gradient = engine.step(case.single.parameters, case.single.grids, case.targets).gradient

    named = network.named(gradient)
    assert named["3.gain.gain"].all()
    assert named["3.gain.shift"].all()
    assert not named["1.convolution.weights"].any()
    chains: list[Chain] = [engine.chain(each) for each in engine.pieces() if each.native]
    assert [chain.plan.wanted for chain in chains] == [False, True]


def test_one_hot_grids_reach_a_foreign_stage_as_an_array(networks: ModuleType) -> None:
    """Stages know nothing else."""
    shape = GridShape(1, 4, 12, Axis("letter", ordered=False), Axis("position"))
    reader = {"convolution": {"filters": 5, "kernel_size": ["all", 3]}}
    indices = np.random.default_rng(0).integers(-1, 4, (7, 12), np.int32)
    grids = OneHot(indices, 4)
    for stages in (["gain", reader], [reader, "gain"], [reader, "rectification", "noise"]):
        network = network_of(*stages, shape=shape)
        case = networks.case_of(network, items=7, exactly=False)
        case = case._replace(grids=np.asarray(grids, np.float64))
        networks.check_answers(make_engine(network, "native"), case, grids)


def test_large_batches_reach_a_foreign_stage_in_parts(networks: ModuleType) -> None:
    """The mean gradient is that of all rounds together."""
    network = network_of(*BRICK, "gain", head={"voting": {}})
    case = networks.case_of(network, items=5, exactly=False)
    many = case._replace(
        grids=np.tile(case.grids, (220, 1, 1, 1)), targets=np.tile(case.targets, 220)
    )
    networks.check_answers(make_engine(network, "native"), many)


@pytest.mark.parametrize("head", [HEAD, {"doubled": HEAD["voting"]}])
def test_numbers_that_are_not_finite_pass_foreign_stages_in_silence(head: Any) -> None:
    """They end in the loss, without a warning."""
    network = network_of("gain", *BRICK, "gain", head=head)
    engine, parameters = make_engine(network, "native"), network.starting_parameters()
    grids = np.random.default_rng(0).normal(0, 1, (3, *SHAPE.sizes)).astype(np.float32)
    targets = np.array([0, 1, 2])

    assert not np.isfinite(engine.step(parameters * np.float32(1e30), grids, targets).loss)
    grids[1, 0, 0, 0] = np.inf
    assert not np.isfinite(engine.step(parameters, grids, targets).loss)
    assert np.isfinite(engine.logits(parameters, grids)[[0, 2]]).all()
