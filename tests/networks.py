"""Random stages and networks for hypothesis, and the check of gradients by small differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.contracts.stage import Backward, Stage
from gridcnn.engines.base import ENGINES, Engine, StepResult, generators, make_engine
from gridcnn.engines.reference import apply
from gridcnn.errors import ShapeError
from gridcnn.grid import Array, Axis, Cells, GridShape, OneHot
from gridcnn.network import Network, Op, groups_of
from gridcnn.spec.load import load
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import Votes, Voting

INSTALLED = [name for name in ENGINES if name != "torch" or find_spec("torch")]
"""The engines whose packages are installed."""


class Case(NamedTuple):
    """A network with random parameters (biases too), and a labelled batch for it, in float64.

    In an `exact` case all sums on the way to the answers are exact in float32 as well. `seed` is
    for dropout.
    """

    network: Network
    parameters: Array
    grids: Array
    targets: NDArray[np.int64]
    exact: bool = False
    seed: int = 0

    def __repr__(self) -> str:
        spec = self.network.spec.model_dump(mode="json", exclude_unset=True)
        form = "exact " if self.exact else ""
        items, classes = len(self.grids), self.network.classes
        return f"<{form}{spec} on {items} of {self.network.shape}, {classes} classes>"

    @property
    def single(self) -> Case:
        """The case with parameters and grids in float32."""
        return self._replace(
            parameters=self.parameters.astype(np.float32), grids=self.grids.astype(np.float32)
        )

    @property
    def one_hot(self) -> OneHot:
        """The grids as indices."""
        found = OneHot.from_dense(self.grids)
        assert found is not None
        return found

    def chance(self) -> np.random.Generator | None:
        """Return what decides about dropout; None if a decision behind it may be close."""
        layers = [op.stage.hidden for op in self.network.ops[-1:] if isinstance(op.stage, Votes)]
        # Whether the second hidden layer of a case of any numbers is decided, nobody has looked.
        if layers and len(layers[0]) > 1 and not self.exact:
            return None
        return np.random.default_rng(self.seed)


def shapes(largest: int = 9) -> st.SearchStrategy[GridShape]:
    """Return shapes of one to three channels."""
    sizes = st.integers(1, largest)
    return st.builds(GridShape, st.integers(1, 3), sizes, sizes)


def _pairs(low: int, high: int, *, words: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    one = st.one_of(st.integers(low, high), *(st.just(word) for word in words))
    return st.one_of(st.integers(low, high), st.tuples(one, one).map(list))


def convolutions() -> st.SearchStrategy[dict[str, Any]]:
    """Return settings of convolutions; not all of them fit every grid."""
    return st.fixed_dictionaries(
        {"filters": st.integers(1, 3)},
        optional={
            "kernel_size": _pairs(1, 4, words=("all",)),
            "stride": _pairs(1, 3),
            "padding": st.one_of(st.sampled_from(["same", "valid"]), _pairs(0, 2)),
            "dilation": _pairs(1, 2),
            "bias": st.booleans(),
            "scale": st.sampled_from(["sum", "match"]),
        },
    )


def poolings() -> st.SearchStrategy[dict[str, Any]]:
    """Return settings of poolings; not all of them fit every grid."""
    return st.fixed_dictionaries(
        {"window": _pairs(1, 5, words=("all",))},
        optional={
            "stride": _pairs(1, 4),
            "mode": st.sampled_from(["max", "mean"]),
            "edges": st.sampled_from(["keep", "drop"]),
        },
    )


def stages() -> st.SearchStrategy[Any]:
    """Return stages as a spec writes them."""
    return st.one_of(
        convolutions().map(lambda settings: {"convolution": settings}),
        st.just("rectification"),
        poolings().map(lambda settings: {"pooling": settings}),
    )


@st.composite
def cases(draw: st.DrawFn, *, items: int | None = None) -> Case:
    """Return random networks of up to four stages and a head, with a batch."""
    network, random = _network(draw, draw(shapes()), [], draw(st.integers(0, 4)))
    items = draw(st.integers(1, 5)) if items is None else items
    return _case(network, random.uniform(-1, 1, (items, *network.shape.sizes)), random)


# Networks as wide as they come

CHANNELS = (1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 20)
FILTERS = (1, 3, 5, 10, 17, 33, 100, 2, 4, 8, 16, 32)
"""Less than a vector, whole vectors and some lanes more, for vectors of 4, 8 and 16 lanes."""
ITEMS = (1, 2, 3, 4, 5, 9, 18)
"""Part of a shard of training, a whole one, more than two."""
_MOST_CELLS = 60_000
_MOST_MULTIPLY_ADDS = 1_500_000
_DECIDED = 1e-5
"""How far a cell must be from where a decision tips, relative to the largest cell."""


class _Dice:
    """Chooses among what there is, from a seed.

    Left to itself, hypothesis would rather choose what comes first, and the same again.
    """

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def one(self, *choices: Any) -> Any:
        return choices[self.random.integers(len(choices))]

    def sizes(self, *sizes: Any) -> Any:
        """Return a size for rows and columns alike, or one for each."""
        return self.one(self.one(*sizes), [self.one(*sizes), self.one(*sizes)])

    def convolution(self) -> dict[str, Any]:
        """Return settings with many filters, large kernels, and all that there is."""
        return {
            "filters": self.one(*FILTERS),
            "kernel_size": self.one(
                3, self.sizes(1, 2, 3, 4, "all"), self.sizes(1, 3, 5, 7, 9), self.sizes(2, "all")
            ),
            "stride": self.one(1, self.sizes(1, 2, 3)),
            "padding": self.one("same", "valid", self.sizes(0, 1, 2, 4)),
            "dilation": self.one(1, 1, self.sizes(1, 2, 3)),
            "bias": self.one(True, True, False),
            "scale": self.one("sum", "sum", "sum", "match"),
            "trainable": self.one(True, True, True, False),
        }

    def pooling(self) -> dict[str, Any]:
        """Return settings of windows next to each other, overlapping, apart, or one for all."""
        return {
            "window": self.one(2, self.sizes(1, 2, 3), self.sizes(1, 2, 4, 5, 7, "all")),
            "stride": self.one(None, None, self.sizes(1, 2, 3, 5)),
            "mode": self.one("max", "max", "max", "mean"),
            "edges": self.one("keep", "drop"),
        }

    def bricks(self) -> list[Any]:
        """Return a few stages in an order in which they stand in networks, or in any other."""
        convolution = {"convolution": self.convolution()}
        pooling = {"pooling": self.pooling()}
        plain = {"convolution": {"filters": self.one(16, 17, 33)}}
        written = {
            "convolution": {
                "features": int(self.random.integers(99)),
                "trainable": self.one(True, False),
            }
        }
        return list(
            self.one(
                [convolution, "rectification", pooling],
                [convolution, "rectification", pooling],
                [convolution, pooling, "rectification"],
                [convolution, "rectification"],
                [convolution, pooling],
                [convolution],
                [plain, "rectification", "pooling"],
                [plain, plain, "rectification", "pooling"],
                [plain, plain, "rectification"],
                [written, "rectification"],
                [pooling],
                ["rectification"],
            )
        )


SEEDS = st.binary(min_size=8, max_size=8).map(lambda drawn: int.from_bytes(drawn, "little"))
"""Seeds, all equally likely; of whole numbers hypothesis would draw 0 more often than others."""


@st.composite
def wide_cases(draw: st.DrawFn, *, items: int | None = None, head: bool = False) -> Case:
    """Return networks of all sizes that kernels tell apart, with a batch.

    Not all have a head, unless one is asked for; in training, each cell that comes out is a class
    then.
    """
    dice = _Dice(draw(SEEDS))
    if dice.one(False, False, True):
        sizes, count = dice.one((10, 12, 16, 24, 32), (11, 15, 20, 33, 40)), dice.one(1, 1, 2)
    else:
        sizes, count = dice.one((2, 4, 6, 8), (1, 2, 3, 4, 5, 6, 7, 8, 9)), dice.one(0, 1, 1, 2, 3)
    shape = GridShape(dice.one(*CHANNELS), dice.one(*sizes), dice.one(*sizes))
    stages = _stages(draw(st.lists(SEEDS, min_size=count, max_size=count)))
    items = dice.one(*ITEMS) if items is None else items
    grids = dice.random.integers(-3, 4, (items, *shape.sizes)).astype(np.float64)
    return _wide_case(dice, _grown([], stages, shape), shape, grids=grids, head=head)


def _stages(seeds: list[int]) -> list[Any]:
    return [stage for seed in seeds for stage in _Dice(seed).bricks()]


def _grown(begun: list[Any], stages: list[Any], shape: GridShape) -> list[Any]:
    """Return the stages that are there, and those of the others that fit, one after the other."""
    chosen = [*begun]
    for stage in stages:
        written = _written(stage, chosen, shape)
        if _fits([*chosen, written], shape):
            chosen.append(written)
    return chosen


def _written(stage: Any, before: list[Any], shape: GridShape) -> Any:
    """Return a stage, its features written out in full where only their seed was given."""
    settings = stage.get("convolution", {}) if isinstance(stage, dict) else {}
    if "features" not in settings:
        return stage
    random = np.random.default_rng(settings["features"])
    channels = Network(load({"stages": before}), shape).output.channels
    sizes = (random.integers(1, 4), channels, random.integers(1, 4), random.integers(1, 4))
    return {"convolution": {**settings, "features": random.integers(-1, 2, sizes).tolist()}}


def _wide_case(
    dice: _Dice, stages: list[Any], shape: GridShape, *, grids: Array, head: bool = True
) -> Case:
    """Return a case for stages and a batch of whole numbers."""
    settings = {
        "hidden": dice.one([], [], [], [], [], [], [], [1], [5], [16], [40], [17, 3]),
        "dropout": dice.one(0.0, 0.0, 0.5, 0.75, 0.25),
    }
    spec: dict[str, Any] = {"stages": stages}
    classes = dice.one(2, 3, 4, 10, 17)
    if head or not stages or dice.one(True, True, True, True, False):
        spec["head"] = {"voting": settings}
    network = Network(load(spec), shape, classes=classes if "head" in spec else None)
    if network.head is None:
        # Maps have no loss of their own. With one, the way back begins in any kind of stage.
        network.head = Voting().stage(network.output.cells)
    found = _numbered(network, grids, dice.random, exactly=dice.one(True, True, True, False))
    assume(found is not None)
    assert found is not None
    return found


def case_of(network: Network, *, items: int, seed: int = 0, exactly: bool = True) -> Case:
    """Return a case for a network, exact if it can be, with a batch of so many random grids."""
    random = np.random.default_rng(seed)
    for _ in range(20):
        grids = random.integers(-3, 4, (items, *network.shape.sizes)).astype(np.float64)
        found = _numbered(network, grids, random, exactly=exactly)
        if found is not None:
            return found
    raise AssertionError("a decision is close in all cases")


def _numbered(
    network: Network, grids: Array, random: np.random.Generator, *, exactly: bool
) -> Case | None:
    """Return a case that is exact, if it can be, or one of any numbers, unless that is too close.

    `grids` are whole numbers, and all of them in 0..1 where they stay as they are.
    """
    targets = random.integers(0, network.output.cells, len(grids))
    seed = int(random.integers(1000))
    for part in (1.0, 0.3, 0.1, 0.03, 0.01) if exactly else ():
        # Some say twice as much as others, so that not all are so alike.
        parameters = random.choice([-2, -1, -1, 1, 1, 2], network.parameters).astype(np.float64)
        parameters *= random.random(network.parameters) < part
        if _is_exact(network, parameters, grids):
            _calm(network, parameters, grids, seed)
            return Case(network, parameters, grids, targets, True, seed)
    parameters = network.starting_parameters(np.float64)
    parameters += random.normal(0, 0.1, network.parameters)
    if grids.min(initial=0) < 0:
        grids = random.uniform(-1, 1, grids.shape)
    _calm(network, parameters, grids, seed)
    case = Case(network, parameters, grids, targets, seed=seed)
    return case if _decided(case) else None


def _is_exact(network: Network, parameters: Array, grids: Array) -> bool:
    """Return whether whole numbers are summed up without rounding in float32, in any order.

    There is room for what is a quarter of a whole number, and a few times as large as any sum.
    """
    for op in network.ops:
        stage = op.stage
        if isinstance(stage, Convolution) and stage.scale == "match":
            return False
        if isinstance(stage, Convolution) and _may_be_turned(op):
            return False  # an engine may go by way of fractions to save multiplications
        if isinstance(stage, Pooling) and stage.mode == "mean":
            return False
        if isinstance(stage, Votes) and stage.dropout == 0.25:
            return False  # what is kept counts 4/3
    magnitudes = walk(network, np.abs(parameters), np.abs(grids))
    return all(made.max(initial=0) < 2**17 for _, _, made in magnitudes)


def walk(
    network: Network,
    parameters: Array,
    grids: Array,
    *,
    training: bool = False,
    chances: Sequence[np.random.Generator | None] | None = None,
) -> Iterator[tuple[Op, list[Array], Array]]:
    """Yield each operation of a network, what it reads, and what it makes."""
    values = {0: grids}
    for op, random in zip(network.ops, chances or [None] * len(network.ops), strict=True):
        sources = [values[source] for source in op.sources]
        made, _ = apply(op.stage, sources, op.views(parameters), training=training, random=random)
        values[op.target] = made
        yield op, sources, made


def _may_be_turned(op: Op) -> bool:
    stage = op.stage
    assert isinstance(stage, Convolution)
    odd = all(size % 2 for size in stage.kernel(op.input))
    plain = tuple(stage.stride) == tuple(stage.dilation) == (1, 1)
    return odd and plain and min(op.input.channels, op.output.channels) >= 16


def _calm(network: Network, parameters: Array, grids: Array, seed: int) -> None:
    """Make the last numbers small, by a power of two: large votes leave nothing to be learned."""
    if not network.ops or not network.ops[-1].slots:
        return
    *_, (op, sources, made) = walk(network, parameters, grids)
    # What dropout leaves may be larger than the whole.
    random = np.random.default_rng(seed)
    kept, _ = apply(op.stage, sources, op.views(parameters), random=random)
    largest = max(np.abs(each).max(initial=0) for each in (made, kept))
    factor = 2.0 ** -np.ceil(np.log2(max(largest / 2, 1)))
    for slot in op.slots[-2:]:
        parameters[slot.part] *= factor


def _decided(case: Case) -> bool:
    """Return whether no decision is so close that rounding to float32 could tip it.

    What is exactly 0, or exactly as large, is so in float32 as well: there was nothing to add up.
    """
    for op, sources, _ in walk(case.network, case.parameters, case.grids):
        for distances, largest in _distances(op, sources[0], op.views(case.parameters)):
            closest = distances[distances > 0].min(initial=np.inf)
            if closest < _DECIDED * largest:
                return False
    return True


def _distances(op: Op, values: Array, weights: dict[str, Array]) -> Iterator[tuple[Array, float]]:
    """Yield how far cells are from where the stage would do something else, and the largest."""
    stage = op.stage
    if isinstance(stage, Rectification):
        yield np.abs(values), np.abs(values).max(initial=0)
    if isinstance(stage, Pooling) and stage.mode == "max":
        pooled = stage.forward(values, {})[0]
        for source, target in stage._slots(op.input, op.output):
            yield pooled[target] - values[source], np.abs(values).max(initial=0)
    if isinstance(stage, Votes):
        values = values.reshape(len(values), -1)
        for name, _, _ in stage.layers(values.shape[1])[:-1]:
            values = values @ weights[f"{name}.weights"].T + weights[f"{name}.bias"]
            yield np.abs(values), np.abs(values).max(initial=0)
            values = np.maximum(values, 0)


# Engines


@contextmanager
def uncached() -> Iterator[None]:
    """Keep nothing on disk of networks that nobody will ever see again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRIDCNN_CACHE", "off")
        yield


_ROUNDINGS = 10
"""By how many times the rounding errors of one engine may be larger than those of another."""


def _largest(values: Array) -> float:
    return float(np.abs(values).max(initial=0))


def check_answers(engine: Engine, case: Case, grids: Cells | None = None) -> None:
    """Assert that an engine's maps, loss and gradient in float32 are those of float64, rounded.

    Maps of an exact case are the same numbers. `grids` are those of the case in another form.
    """
    single = case.single
    grids = single.grids if grids is None else grids
    maps = engine.maps(single.parameters, grids)
    step = engine.step(single.parameters, grids, case.targets, random=case.chance())
    check_against(case, maps, step)


def check_against(case: Case, maps: Array, step: StepResult) -> None:
    """Assert that answers to a case in float32 are those of float64, rounded."""
    exact = make_engine(case.network, "reference")
    expected = exact.maps(case.parameters, case.grids)
    single, rounding = case.single, 0.0
    if not case.exact:
        with np.errstate(invalid="ignore"):  # cells that are not finite
            rounded = exact.maps(single.parameters, single.grids) - expected
        rounding = _largest(rounded[np.isfinite(rounded)])
    check_maps(maps, expected, exactly=case.exact, rounding=rounding)
    right = exact.step(case.parameters, case.grids, case.targets, random=case.chance())
    assert abs(step.loss - right.loss) <= 1e-5 * (1 + right.loss)
    assert step.hits == right.hits or not case.exact
    assert step.gradient.dtype == np.float32
    largest = np.abs(right.gradient).max(initial=0)
    for name, expected in case.network.named(right.gradient).items():
        found = case.network.named(step.gradient)[name]
        # Shares of the loss, each up to 1, may cancel out to nothing at all.
        close = 5e-5 * np.abs(expected).max(initial=0) + 1e-6 * largest + 5e-7
        np.testing.assert_allclose(found, expected, rtol=0, atol=close, err_msg=name)


def check_maps(maps: Array, expected: Array, *, exactly: bool, rounding: float = 0) -> None:
    """Assert that float32 maps are the float64 ones, rounded; the same cells may be not finite.

    `rounding` is the largest error of the reference in float32.
    """
    assert maps.dtype == np.float32
    if exactly:
        np.testing.assert_array_equal(maps, expected)
        return
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    close = 1e-5 * largest + _ROUNDINGS * rounding
    np.testing.assert_allclose(maps, expected, rtol=0, atol=close)


def check_same(engine: Engine, found: Array, expected: Array) -> None:
    """Assert that an engine's numbers are the same bits, or near, if it does not promise bits."""
    if engine.same_bits:
        np.testing.assert_array_equal(found, expected)
        return
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * largest + 1e-6)


def check_pieces(engine: Engine, case: Case, grids: Cells | None = None) -> None:
    """Assert that an item's maps are the same bits alone, in a batch, and at another place."""
    parameters = case.single.parameters
    grids = case.single.grids if grids is None else grids
    together = engine.maps(parameters, grids)
    for item in range(len(grids)):
        alone = engine.maps(parameters, grids[item : item + 1])
        check_same(engine, alone, together[item : item + 1])
    check_same(engine, engine.maps(parameters, grids[::-1])[::-1], together)
    assert engine.maps(parameters, grids[:0]).shape == (0, *together.shape[1:])


def check_places(engine: Engine, case: Case) -> None:
    """Assert that nothing depends on where parameters and grids begin in memory."""
    single = case.single
    maps = engine.maps(single.parameters, single.grids)
    gradient = engine.step(single.parameters, single.grids, case.targets).gradient
    for floats in (1, 2, 7):
        parameters, grids = (moved(each, floats) for each in (single.parameters, single.grids))
        check_same(engine, engine.maps(parameters, grids), maps)
        again = engine.step(parameters, grids, moved(case.targets, floats))
        check_same(engine, again.gradient, gradient)


def moved(array: Array, cells: int) -> Array:
    """Return the same array so many cells behind where a line of the cache begins."""
    room = np.zeros((array.size + cells) * array.itemsize + 64, np.uint8)
    start = -room.ctypes.data % 64 + cells * array.itemsize
    found = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def check_odd_cells(engine: Engine, case: Case) -> None:
    """Assert that cells that are NaN or infinite go the way that they go in float64."""
    random = np.random.default_rng(case.seed)
    grids = case.grids.copy()
    spoiled = random.integers(len(grids))
    cells = grids[spoiled].reshape(-1)
    for bad in random.choice([np.nan, np.inf, -np.inf], random.integers(1, 4)):
        cells[random.integers(len(cells))] = bad
    maps = engine.maps(case.single.parameters, grids.astype(np.float32))
    expected = make_engine(case.network, "reference").maps(case.parameters, grids)
    check_maps(maps, expected, exactly=case.exact)
    others = np.arange(len(grids)) != spoiled
    clean = engine.maps(case.single.parameters, case.single.grids)
    check_same(engine, maps[others], clean[others])


FIRST = ("all rows", "some rows", "pooling", "rectification", "head")
"""What a network for one-hot grids may begin with; the first two are convolutions."""


@st.composite
def one_hot_cases(draw: st.DrawFn, first: str, *, items: int | None = None) -> Case:
    """Return random networks that begin with one of `FIRST`, with a batch of one-hot grids.

    The array in a case is that of the grids. The order of the rows may mean nothing.
    """
    assert first in FIRST
    dice = _Dice(draw(SEEDS))
    rows, columns = dice.one(1, 2, 4, 5, 20, 30), dice.one(1, 2, 3, 5, 8, 12, 30, 50)
    row_axis = Axis("letter", ordered=dice.one(True, False))
    shape = GridShape(1, rows, columns, row_axis, Axis("position"))
    begun: list[Any] = []
    if first in ("all rows", "some rows"):
        settings = dice.convolution()
        if first == "all rows":
            settings["kernel_size"] = [dice.one("all", rows), dice.one(1, 2, 3, 4, 7)]
            settings["dilation"] = [1, dice.one(1, 2, 3)]
        begun = [{"convolution": settings}]
    elif first == "pooling":
        begun = [{"pooling": dice.pooling()}]
    elif first == "rectification":
        begun = ["rectification"]
    assume(_fits(begun, shape))
    if first != "head":
        more = dice.one([], ["rectification"], [{"pooling": {"window": [1, 3]}}])
        begun = _grown(begun, [*more, *_stages(draw(st.lists(SEEDS, max_size=2)))], shape)
    items = dice.one(*ITEMS) if items is None else items
    indices = dice.random.integers(-1, rows, (items, columns), np.int32)
    grids = np.asarray(OneHot(indices, rows), np.float64)
    return _wide_case(dice, begun, shape, grids=grids)


def _network(
    draw: st.DrawFn, shape: GridShape, begun: list[Any], more: int
) -> tuple[Network, np.random.Generator]:
    """Return a network of the stages that are there and up to so many more, and a generator."""
    classes = draw(st.integers(2, 4))
    chosen = [*begun]
    for stage in draw(st.lists(stages(), min_size=more, max_size=more)):
        if _fits([*chosen, stage], shape):
            chosen.append(stage)
    hidden = draw(st.lists(st.integers(1, 6), max_size=2))
    spec = load({"stages": chosen, "head": {"voting": {"hidden": hidden}}})
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return Network(spec, shape, classes=classes), random


def _fits(chosen: list[Any], shape: GridShape) -> bool:
    try:
        network = Network(load({"stages": chosen}), shape)
    except ShapeError:
        return False
    # More takes the reference too long.
    few = max([0, *(op.output.cells for op in network.ops)]) <= _MOST_CELLS
    return few and network.multiply_adds <= _MOST_MULTIPLY_ADDS


def _case(network: Network, grids: Array, random: np.random.Generator) -> Case:
    assert network.classes is not None
    return Case(
        network,
        network.starting_parameters(np.float64) + random.normal(0, 0.1, network.parameters),
        grids,
        random.integers(0, network.classes, len(grids)),
    )


def fitting(stage: Stage, shape: GridShape) -> bool:
    """Return whether a stage works on grids of a shape."""
    try:
        stage.output(shape)
    except ValueError:
        return False
    return True


@st.composite
def fitted(draw: st.DrawFn, sort: type[Stage]) -> tuple[Stage, GridShape]:
    """Return a stage, `Convolution` or `Pooling`, with a shape that it works on."""
    settings = {Convolution: convolutions, Pooling: poolings}[sort]()
    stage = draw(settings.map(sort.model_validate))
    return stage, draw(shapes().filter(lambda shape: fitting(stage, shape)))


def random_weights(stage: Stage, shape: GridShape, random: np.random.Generator) -> dict[str, Array]:
    """Return random float64 parameters for a stage."""
    return {each.name: random.normal(0, 0.5, each.shape) for each in stage.parameters(shape)}


def check_gradients(
    stage: Stage,
    shape: GridShape,
    *,
    seed: int,
    items: int = 2,
    training: bool = False,
    chance: int | None = None,
) -> None:
    """Assert that a stage's gradients, by its input and by its parameters, are its slopes.

    The slope is that of a random weighted sum of all that comes out, in float64. `chance` is the
    seed of what is left out. Running values have no gradient.
    """
    random = np.random.default_rng(seed)
    grids = random.normal(0, 1, (items, *shape.sizes))
    weights = random_weights(stage, shape, random)
    running = {each.name for each in stage.parameters(shape) if each.role == "running"}
    for name in running:
        weights[name] = np.abs(weights[name]) + 0.1  # as variances are

    def forward() -> tuple[Array, Backward]:
        drawn = None if chance is None else np.random.default_rng(chance)
        return stage.forward(grids, weights, training=training, random=drawn)

    out, backward = forward()
    shares = random.normal(0, 1, out.shape)
    by_input, by_weights = backward(shares)

    def total() -> float:
        return float((forward()[0] * shares).sum())

    np.testing.assert_allclose(by_input, central_differences(total, grids), atol=1e-6)
    assert set(by_weights) == set(weights)
    for name, values in weights.items():
        assert by_weights[name].shape == values.shape
        if name not in running:
            slopes = central_differences(total, values)
            np.testing.assert_allclose(by_weights[name], slopes, atol=1e-6)
    np.testing.assert_equal(forward()[1](shares, need_input=False)[1], by_weights)


def check_items(stage: Stage, shape: GridShape, *, items: int = 21, scale: float = 1) -> None:
    """Assert that what comes out for an item is the same bits in any batch, in float32.

    The stage answers, and leaves the grids as they are.
    """
    random = np.random.default_rng(0)
    grids = random.normal(0, scale, (items, *shape.sizes)).astype(np.float32)
    grids.setflags(write=False)
    weights = {
        name: np.abs(values).astype(np.float32)
        for name, values in random_weights(stage, shape, random).items()
    }
    together, backward = stage.forward(grids, weights)
    assert together.dtype == np.float32
    assert together.shape == (items, *stage.output(shape).sizes)
    by_input, gradients = backward(np.ones_like(together))
    assert {by_input.dtype, *(each.dtype for each in gradients.values())} == {np.dtype(np.float32)}
    for size in (1, 2, 5):
        parts = [
            stage.forward(grids[start : start + size].copy(), weights)[0]
            for start in range(0, items, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    nothing = stage.forward(grids[:0], weights)[0]
    assert nothing.shape == (0, *together.shape[1:])


def central_differences(compute: Any, values: Array, *, width: float = 1e-6) -> Array:
    """Return the slope of `compute()` by each of `values`, which are changed and restored."""
    slopes = np.zeros_like(values)
    for place in np.ndindex(values.shape):
        here = values[place]
        values[place] = here + width
        above = compute()
        values[place] = here - width
        slopes[place] = (above - compute()) / (2 * width)
        values[place] = here
    return slopes


# Networks as graphs


SIZE = 6
"""Rows and columns of the grids of graphs; stages that keep them may be merged with what enters."""


class _Grower:
    """Writes stages inside of stages, from a seed; what does not fit is left out."""

    def __init__(self, seed: int, *, smooth: bool = False, dropout: bool = False) -> None:
        self.dice = _Dice(seed)
        self.smooth = smooth
        self.dropout = dropout

    def stage(self, depth: int) -> Any:
        """Return one stage of any kind, up to so many stages inside of each other."""
        one = self.dice.one
        composite = depth > 0 and one(True, False)
        if composite:
            return getattr(self, one("skip", "skip", "parallel", "parallel", "repeat"))(depth - 1)
        smooth: list[Any] = [
            {"convolution": self.convolution()},
            {"convolution": self.convolution()},
            {"normalization": one("batch", "batch", "layer", "group", {"momentum": 0.5})},
            {"normalization": {"kind": "group", "groups": 1}},
            {"activation": one("gelu", "silu", "tanh", "sigmoid")},
            {"pooling": {"window": one(2, 3), "stride": 1, "mode": "mean"}},
        ]
        kinked: list[Any] = [
            "rectification",
            {"rectification": {"leak": 0.25}},
            "gate",
            {"pooling": {"window": one(2, 3), "stride": one(1, None)}},
        ]
        chance: list[Any] = [{"dropout": 0.5}, {"dropout": {"rate": 0.25, "of": "maps"}}]
        return one(*smooth, *([] if self.smooth else kinked), *(chance if self.dropout else []))

    def convolution(self) -> dict[str, Any]:
        one = self.dice.one
        return {
            "filters": one(2, 4),
            "kernel_size": one(1, 3, [1, 3]),
            "groups": one(1, 1, 1, 2, "channels"),
            "stride": one(1, 1, 1, 2),
            "bias": one(True, True, False),
            "scale": one("sum", "sum", "match"),
            "trainable": one(True, True, True, False),
        }

    def stages(self, depth: int, *, fewest: int = 1) -> list[Any]:
        return [self.stage(depth) for _ in range(self.dice.random.integers(fewest, 4))]

    def skip(self, depth: int) -> Any:
        shortcut = self.dice.one("auto", "auto", "projection")
        return {"skip": {"stages": self.stages(depth), "shortcut": shortcut}}

    def parallel(self, depth: int) -> Any:
        branches = [self.stages(depth, fewest=0) for _ in range(self.dice.one(2, 2, 3))]
        return {"parallel": {"branches": branches, "join": self.dice.one("maps", "maps", "sum")}}

    def repeat(self, depth: int) -> Any:
        return {"repeat": {"times": self.dice.one(1, 2), "stages": self.stages(depth)}}


@st.composite
def graph_cases(
    draw: st.DrawFn,
    *,
    items: int | None = None,
    depth: int = 3,
    smooth: bool = False,
    dropout: bool = False,
    one_hot: bool = False,
) -> Case:
    """Return networks with stages inside of stages, at least one, and a batch of any numbers.

    `smooth` ones have no kinks; `dropout` puts stages in that draw random numbers. Networks for
    `one_hot` grids begin with a composite, and so does one of two others.
    """
    grower = _Grower(draw(SEEDS), smooth=smooth, dropout=dropout)
    dice = grower.dice
    shape = GridShape(2, SIZE, SIZE - dice.one(0, 1))
    if one_hot:
        shape = GridShape(1, 4, SIZE, Axis("letter"), Axis("position"))
    wanted = [grower.skip, grower.parallel, grower.repeat]
    begun: list[Any] = []
    for _ in range(20):
        first = [] if one_hot or dice.one(True, False) else [grower.stage(0)]
        begun = _grown([], [*first, dice.one(*wanted)(depth - 1)], shape)
        if any(isinstance(each, dict) and set(each) & _COMPOSITES for each in begun):
            break
    begun = _grown(begun, grower.stages(1, fewest=0), shape)
    hidden = [] if smooth else dice.one([], [5])
    voting = {"hidden": hidden, "dropout": dice.one(0.0, 0.5) if dropout else 0.0}
    spec = load({"stages": begun, "head": {"voting": voting}})
    network = Network(spec, shape, classes=3)
    assume(any(isinstance(each, dict) and set(each) & _COMPOSITES for each in begun))
    assume(network.parameters <= 4_000 and network.multiply_adds <= 200_000)
    assume(not one_hot or network.ops[0].sources == (0,))
    items = dice.one(*ITEMS, 17) if items is None else items
    grids = dice.random.normal(0, 1, (items, *shape.sizes))
    if one_hot:
        indices = dice.random.integers(-1, shape.rows, (items, shape.columns), np.int32)
        grids = np.asarray(OneHot(indices, shape.rows), np.float64)
    return _case(network, grids, dice.random)


_COMPOSITES = {"skip", "parallel", "repeat"}


def training_slopes(
    case: Case, indices: NDArray[np.intp], *, chance: int | None = None, width: float = 1e-6
) -> Array:
    """Return the slopes of the loss in training by some values, with the same left out each time.

    In float64.
    """
    engine = make_engine(case.network, "reference")
    values = case.parameters.copy()

    def loss() -> float:
        drawn = None if chance is None else np.random.default_rng(chance)
        return engine.step(values, case.grids, case.targets, random=drawn).loss

    slopes = np.zeros(len(indices))
    for number, index in enumerate(indices):
        here = values[index]
        values[index] = here + width
        above = loss()
        values[index] = here - width
        slopes[number] = (above - loss()) / (2 * width)
        values[index] = here
    return slopes


def is_decided(case: Case, *, chance: int | None = None) -> bool:
    """Return whether no decision in a step is so close that rounding to float32 could tip it."""
    engine_random = None if chance is None else np.random.default_rng(chance)
    drawn = generators(case.network, engine_random)
    parts = groups_of(len(case.grids)) if case.network.mixes_items else [slice(None)]
    for part in parts:
        for training in (True, False):
            for op, sources, _ in walk(
                case.network,
                case.parameters,
                case.grids[part],
                training=training,
                chances=drawn if training else None,
            ):
                for distances, largest in _distances(op, sources[0], op.views(case.parameters)):
                    closest = distances[distances > 0].min(initial=np.inf)
                    if closest < _DECIDED * largest:
                        return False
    return True


def check_graph(
    engine: Engine, case: Case, *, grids: Cells | None = None, chance: int | None = None
) -> None:
    """Assert that an engine's float32 answers to a case are the reference's float64, rounded.

    Maps, loss, gradient and running values. Normalizations may make rounding errors larger: how
    much is seen from the reference itself, in float32.
    """
    exact, single = make_engine(case.network, "reference"), case.single
    given = single.grids if grids is None else grids

    def drawn() -> np.random.Generator | None:
        return None if chance is None else np.random.default_rng(chance)

    right = exact.maps(case.parameters, case.grids)
    rounding = _largest(exact.maps(single.parameters, single.grids) - right)
    close = 2e-4 * _largest(right) + 1e-6 + _ROUNDINGS * rounding
    maps = engine.maps(single.parameters, given)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, right, rtol=0, atol=close)
    expected = exact.step(case.parameters, case.grids, case.targets, random=drawn())
    rounded = exact.step(single.parameters, single.grids, case.targets, random=drawn())
    step = engine.step(single.parameters, given, case.targets, random=drawn())
    assert abs(step.loss - expected.loss) <= 1e-4 * (1 + expected.loss)
    assert step.gradient.dtype == np.float32
    largest = _largest(expected.gradient)
    for name, wanted in case.network.named(expected.gradient).items():
        found = case.network.named(step.gradient)[name]
        rounding = _largest(case.network.named(rounded.gradient)[name] - wanted)
        close = 2e-3 * _largest(wanted) + 1e-4 * largest + 1e-6 + _ROUNDINGS * rounding
        np.testing.assert_allclose(found, wanted, rtol=0, atol=close, err_msg=name)
    # A step leaves nothing in its memory that the next one would read.
    first = step.gradient.copy()
    again = engine.step(single.parameters, given, case.targets, random=drawn())
    check_same(engine, again.gradient, first)
    assert len(step.running) == len(expected.running) == len(case.network.running)
    for found, wanted in zip(step.running, expected.running, strict=True):
        assert found.dtype == np.float32
        close = 1e-4 * np.abs(wanted).max(initial=0) + 1e-6
        np.testing.assert_allclose(found, wanted, rtol=0, atol=close)
    for slot in case.network.running:
        assert not step.gradient[slot.part].any()
