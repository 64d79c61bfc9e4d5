"""Random stages and networks for hypothesis, and the check of gradients by small differences."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.errors import ShapeError
from gridcnn.grid import Array, Axis, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.stages.base import Stage
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling


class Case(NamedTuple):
    """A network with random parameters (biases too), and a labelled batch for it, in float64."""

    network: Network
    parameters: Array
    grids: Array
    targets: NDArray[np.int64]


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


FIRST = ("all rows", "some rows", "pooling", "rectification", "head")
"""What a network for one-hot grids may begin with; the first two are convolutions."""


@st.composite
def one_hot_cases(draw: st.DrawFn, first: str, *, items: int | None = None) -> Case:
    """Return random networks that begin with one of `FIRST`, with a batch of one-hot grids.

    The array in a case is that of the grids. The order of the rows may mean nothing.
    """
    assert first in FIRST
    rows, columns = draw(st.integers(1, 8)), draw(st.integers(1, 12))
    row_axis = Axis("letter", ordered=draw(st.booleans()))
    shape = GridShape(1, rows, columns, row_axis, Axis("position"))
    begun: list[Any] = []
    if first in ("all rows", "some rows"):
        settings = draw(convolutions())
        if first == "all rows":
            extent = draw(st.sampled_from(["all", rows]))
            settings["kernel_size"] = [extent, draw(st.integers(1, 4))]
            settings["dilation"] = [1, draw(st.integers(1, 3))]
        begun = [{"convolution": settings}]
    elif first == "pooling":
        begun = [{"pooling": draw(poolings())}]
    elif first == "rectification":
        begun = ["rectification"]
    assume(_fits(begun, shape))
    more = 0 if first == "head" else draw(st.integers(0, 3))
    network, random = _network(draw, shape, begun, more)
    items = draw(st.integers(1, 5)) if items is None else items
    indices = random.integers(-1, rows, (items, columns), np.int32)
    return _case(network, np.asarray(OneHot(indices, rows), np.float64), random)


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
        Network(load({"stages": chosen}), shape)
    except ShapeError:
        return False
    return True


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


def check_gradients(stage: Stage, shape: GridShape, *, seed: int, items: int = 2) -> None:
    """Assert that a stage's gradients, by its input and by its parameters, are its slopes.

    The slope is that of a random weighted sum of all that comes out, in float64.
    """
    random = np.random.default_rng(seed)
    grids = random.normal(0, 1, (items, *shape.sizes))
    weights = random_weights(stage, shape, random)
    out, backward = stage.forward(grids, weights)
    shares = random.normal(0, 1, out.shape)
    by_input, by_weights = backward(shares)

    def total() -> float:
        return float((stage.forward(grids, weights)[0] * shares).sum())

    np.testing.assert_allclose(by_input, central_differences(total, grids), atol=1e-6)
    assert set(by_weights) == set(weights)
    for name, values in weights.items():
        assert by_weights[name].shape == values.shape
        np.testing.assert_allclose(by_weights[name], central_differences(total, values), atol=1e-6)
    np.testing.assert_equal(
        stage.forward(grids, weights)[1](shares, need_input=False)[1], by_weights
    )


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
