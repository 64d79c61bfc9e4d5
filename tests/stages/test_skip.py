from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.engines.base import make_engine
from gridcnn.errors import ShapeError, SpecError
from gridcnn.grid import Array, Axis, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.skip import Skip

SHAPE = GridShape(2, 8, 6)
CONVOLUTION: Any = {"convolution": {"filters": 2}}


def network(*stages: Any, shape: GridShape = SHAPE) -> Network:
    return Network(load({"stages": list(stages)}), shape)


def maps(made: Network, grids: Array, *, after: int | None = None) -> Array:
    parameters = np.random.default_rng(1).normal(0, 1, made.parameters)
    return make_engine(made, "reference").maps(parameters, grids, after=after)


def grids_of(shape: GridShape = SHAPE) -> Array:
    return np.random.default_rng(0).normal(0, 1, (3, *shape.sizes))


def test_what_enters_is_added_to_what_the_stages_make_of_it() -> None:
    skipped = network("rectification", {"skip": [CONVOLUTION, "rectification"]})
    plain = network("rectification", CONVOLUTION, "rectification")

    entering = np.maximum(grids_of(), 0)
    expected = entering + maps(plain, grids_of())
    np.testing.assert_allclose(maps(skipped, grids_of()), expected, rtol=1e-12)


def test_labels_tell_where_an_operation_stands() -> None:
    made = network("rectification", {"skip": [CONVOLUTION, {"skip": ["rectification"]}]})

    assert [op.label for op in made.ops] == [
        "1 rectification",
        "2.1 convolution",
        "2.2.1 rectification",
        "2.2 sum",
        "2 sum",
    ]
    assert [op.sources for op in made.ops] == [(0,), (1,), (2,), (2, 3), (1, 4)]


@pytest.mark.parametrize(
    ("stages", "sizes", "stride"),
    [
        ([{"convolution": {"filters": 5}}], (5, 8, 6), (1, 1)),
        ([{"convolution": {"filters": 2, "stride": 2}}], (2, 4, 3), (2, 2)),
        ([{"convolution": {"filters": 3, "stride": [3, 1]}}], (3, 3, 6), (3, 1)),
        (["pooling", "pooling"], (2, 2, 2), (4, 3)),
        ([{"pooling": {"window": "all"}}], (2, 1, 1), (8, 6)),
    ],
)
def test_a_projection_makes_the_shapes_equal(
    stages: list[Any], sizes: tuple[int, int, int], stride: tuple[int, int]
) -> None:
    """It is a convolution of one cell, without bias, whose stride leads to the same size."""
    made = network({"skip": stages})
    shortcut, total = made.ops[-2:]

    assert (shortcut.label, total.label) == ("1 shortcut", "1 sum")
    assert isinstance(shortcut.stage, Convolution)
    assert (shortcut.stage.kernel_size, shortcut.stage.stride) == ((1, 1), stride)
    assert [slot.parameter.name for slot in shortcut.slots] == ["weights"]
    assert made.output.sizes == sizes
    weights = shortcut.views(np.random.default_rng(1).normal(0, 1, made.parameters))["weights"]
    kept = grids_of()[:, :, :: stride[0], :: stride[1]]
    projected = np.einsum("fc,ncxy->nfxy", weights[:, :, 0, 0], kept)
    branch = maps(made, grids_of(), after=len(stages) - 1)
    np.testing.assert_allclose(maps(made, grids_of()), projected + branch, rtol=1e-10, atol=1e-12)


def test_a_projection_may_be_asked_for_or_forbidden() -> None:
    asked = network({"skip": {"stages": [CONVOLUTION], "shortcut": "projection"}})
    assert [op.label for op in asked.ops] == ["1.1 convolution", "1 shortcut", "1 sum"]
    none = network({"skip": {"stages": [CONVOLUTION], "shortcut": "none"}})
    assert [op.label for op in none.ops] == ["1.1 convolution", "1 sum"]

    with pytest.raises(ShapeError, match=r"turn 2 x 8 x 6 into 3 x 8 x 6, and with shortcut: none"):
        network({"skip": {"stages": [{"convolution": {"filters": 3}}], "shortcut": "none"}})


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            [{"convolution": {"filters": 2, "padding": "valid"}}],
            r"stages\[0\]: 1 skip: the stages turn 2 x 8 x 6 into 2 x 6 x 4, and no stride of a "
            r"1 x 1 convolution leads from 8 cells to 6; take padding: same and a stride",
        ),
        (
            [{"convolution": {"filters": 2, "padding": 2}}],
            "no stride of a 1 x 1 convolution leads from 8 cells to 10",
        ),
    ],
)
def test_sizes_that_no_stride_leads_to_are_explained(stages: list[Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        network({"skip": stages})


def test_no_shortcut_slides_along_an_axis_without_order() -> None:
    letters = GridShape(1, 5, 9, Axis("letter", ordered=False))
    motif = {"convolution": {"filters": 2, "kernel_size": ["all", 3]}}

    with pytest.raises(ShapeError, match=r"from 5 cells to 1 of the axis 'letter', whose order me"):
        network({"skip": [motif]}, shape=letters)
    inside = {"convolution": {"filters": 2, "kernel_size": [1, 3]}}
    assert network(motif, {"skip": [inside]}, shape=letters).output.sizes == (2, 1, 9)


def test_a_mistake_inside_has_its_place() -> None:
    with pytest.raises(
        ShapeError, match=r"^stages\[1\]\.skip\.stages\[0\]: 2\.1 pooling: no window"
    ):
        network("rectification", {"skip": [{"pooling": {"window": 9, "edges": "drop"}}]})


@pytest.mark.parametrize(
    ("skip", "message"),
    [
        (
            [],
            r"^stages\[0\].skip.stages: 'stages' of skip must be a list of at least 1 stage",
        ),
        ({}, r"skip needs the setting 'stages'"),
        ({"stages": ["rectification"], "shortcut": "yes"}, "'shortcut' of skip must be 'auto'"),
        (["rectify"], r"^stages\[0\]\.skip\.stages\[0\]: 'rectify' is not a stage[^\n]*$"),
        ([{"skip": [{"gate": 0}]}], r"^[^\n]*'reduction' of gate must be at least 1; got 0$"),
    ],
)
def test_wrong_settings_are_explained_in_one_line(skip: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        load({"stages": [{"skip": skip}]})
    assert "\n" not in str(caught.value)


def test_a_bare_list_is_the_stages() -> None:
    assert Skip.model_validate(["rectification"]) == Skip.model_validate(
        {"stages": ["rectification"]}
    )
    spec = load({"stages": [{"skip": ["rectification"]}]})
    assert load(spec.model_dump(mode="json")) == spec
