from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gridcnn.engines.base import Engine, bind
from gridcnn.errors import DataError, ShapeError, SpecError, UnknownNameError, UserError
from gridcnn.grid import GridShape
from gridcnn.pipeline import Pipeline
from gridcnn.spec.models import Spec

STAGES: list[Any] = [
    {"convolution": {"features": [[[1, -1]], [[1, 1]]], "padding": "valid", "scale": "match"}},
    "rectification",
    {"pooling": {"window": "all"}},
]
STACK = np.random.default_rng(0).uniform(-1, 1, (5, 4, 6)).astype(np.float32)


def test_maps_come_out_after_any_stage() -> None:
    """0 is the grid itself, stages count from 1, and None is the last."""
    pipeline = Pipeline({"stages": STAGES})

    shapes = [pipeline.transform(STACK, after=after).shape for after in (0, 1, 2, 3, None)]
    assert shapes == [(5, 1, 4, 6), *[(5, 2, 4, 5)] * 2, *[(5, 2, 1, 1)] * 2]
    np.testing.assert_array_equal(pipeline.transform(STACK, after=0)[:, 0], STACK)
    differences = (STACK[:, :, :-1] - STACK[:, :, 1:]) / 2
    np.testing.assert_allclose(pipeline.transform(STACK, after=1)[:, 0], differences, atol=1e-7)
    rectified = pipeline.transform(STACK, after=2)
    np.testing.assert_allclose(rectified[:, 0], differences.clip(min=0), atol=1e-7)
    np.testing.assert_array_equal(pipeline.transform(STACK)[:, :, 0, 0], rectified.max(axis=(2, 3)))


@pytest.mark.parametrize("after", [-1, 4, 100])
def test_a_stage_that_is_not_there_is_answered_with_those_that_are(after: int) -> None:
    expected = (
        f"there is no stage {after}; 0 is the grid itself, then: 1 convolution, "
        "2 rectification, 3 pooling"
    )
    with pytest.raises(UserError, match=expected):
        Pipeline({"stages": STAGES}).transform(STACK, after=after)


def test_maps_come_out_after_a_stage_inside_of_another() -> None:
    """It is named by its label; the number of a composite stage gives what comes out of it."""
    inside = [{"convolution": {"filters": 2}}, "rectification"]
    pipeline = Pipeline({"stages": ["pooling", {"skip": inside}, "pooling"]})

    maps = {
        after: pipeline.transform(STACK, after=after)
        for after in (1, 2, "2.1 convolution", "2.2", "2 shortcut", "2 sum", 3)
    }

    np.testing.assert_array_equal(maps["2.2"], maps["2.1 convolution"].clip(min=0))
    np.testing.assert_array_equal(maps["2 sum"], maps["2.2"] + maps["2 shortcut"])
    np.testing.assert_array_equal(maps[2], maps["2 sum"])
    np.testing.assert_array_equal(maps[3], pipeline.transform(STACK))


def test_without_stages_the_grids_come_out() -> None:
    np.testing.assert_array_equal(Pipeline({}).transform(STACK)[:, 0], STACK)
    with pytest.raises(UserError, match="there is no stage 1; 0 is the grid itself, and there are"):
        Pipeline({}).transform(STACK, after=1)


def test_a_head_is_left_out() -> None:
    """With or without a head, the maps of the last stage come out."""
    maps = Pipeline({"stages": STAGES}).transform(STACK)

    with_head = Pipeline({"stages": STAGES, "head": "voting"}).transform(STACK)
    np.testing.assert_array_equal(with_head, maps)


@pytest.mark.parametrize(
    ("things", "sizes"),
    [
        (STACK, (5, 1, 4, 6)),
        (list(STACK), (5, 1, 4, 6)),
        (tuple(STACK), (5, 1, 4, 6)),
        (iter(list(STACK)), (5, 1, 4, 6)),
        (STACK[:, None], (5, 1, 4, 6)),
        (STACK[:, 0], (5, 1, 1, 6)),
        (STACK[0, 0], (1, 1, 1, 6)),
        (STACK.astype(">f8"), (5, 1, 4, 6)),
        (np.asfortranarray(STACK), (5, 1, 4, 6)),
    ],
)
def test_arrays_are_grids_where_there_is_no_adapter(things: Any, sizes: tuple[int, ...]) -> None:
    """Cells are taken as they are, from a stack, a list, a generator or one row."""
    grids = Pipeline({"stages": STAGES}).transform(things, after=0)

    assert grids.shape == sizes
    assert grids.dtype == np.float32
    np.testing.assert_array_equal(
        grids.ravel(),
        STACK.reshape(5, 4, 6)[tuple(slice(0, size) for size in (sizes[0], *sizes[2:]))].ravel(),
    )


def test_what_the_adapter_learned_is_kept() -> None:
    """After `fit`, other things are brought to the range of the first ones."""
    spec = {"adapter": "array", "stages": STAGES}
    pipeline = Pipeline(spec).fit(STACK * 4)

    halves = pipeline.transform(STACK * 2, after=0)
    whole = pipeline.transform(STACK * 4, after=0)
    assert whole.max() == 1
    assert whole.min() == -1
    assert halves.max() < 0.6
    np.testing.assert_array_equal(
        Pipeline(spec).fit_transform(STACK * 4), pipeline.transform(STACK * 4)
    )


def test_no_things_give_no_maps_once_the_shape_is_known() -> None:
    assert Pipeline({"stages": STAGES}).fit(STACK).transform([]).shape == (0, 2, 1, 1)
    with pytest.raises(DataError, match="no usable item"):
        Pipeline({"stages": STAGES}).transform([])


def test_pictures_are_read_by_the_adapter(tmp_path: Path) -> None:
    """A path, a picture and several of them are all things."""
    picture = Image.fromarray((np.arange(64).reshape(8, 8) * 4).astype(np.uint8))
    picture.save(tmp_path / "a.png")
    pipeline = Pipeline({"adapter": {"image": {"size": [8, 8]}}, "stages": STAGES})

    alone = pipeline.transform(tmp_path / "a.png")
    assert alone.shape == (1, 2, 1, 1)
    np.testing.assert_array_equal(pipeline.transform(picture), alone)
    np.testing.assert_array_equal(pipeline.transform([picture, picture])[1:], alone)


def test_a_thing_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    pipeline = Pipeline({"adapter": "image"})

    with pytest.raises(DataError, match=r"gone\.png"):
        pipeline.transform([tmp_path / "gone.png"])


def test_features_to_be_learned_have_their_starting_values() -> None:
    """The same seed gives the same maps, another one others."""
    maps = [
        Pipeline(
            {"stages": [{"convolution": {"filters": 2}}], "training": {"seed": seed}}
        ).transform(STACK)
        for seed in (0, 0, 1)
    ]

    np.testing.assert_array_equal(maps[0], maps[1])
    assert (maps[0] != maps[2]).any()


def test_stages_that_do_not_fit_are_explained() -> None:
    deep = [{"convolution": {"filters": 1, "kernel_size": 9, "padding": "valid"}}]

    with pytest.raises(
        ShapeError, match=r"1 convolution: a kernel of 9 x 9 does not fit into 4 x 6"
    ):
        Pipeline({"stages": deep}).transform(STACK)


def test_a_wrong_spec_is_told_when_the_pipeline_is_made() -> None:
    with pytest.raises(SpecError, match="has no setting 'filter'; did you mean 'filters'"):
        Pipeline({"stages": [{"convolution": {"filter": 3}}]})
    with pytest.raises(UnknownNameError, match="'nothing' is neither a file nor a ready spec"):
        Pipeline("nothing")


def test_an_engine_is_made_once_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many calls compile nothing twice; of many shapes those that came last are kept."""
    made: list[tuple[int, ...]] = []

    def counted(spec: Spec, shape: GridShape, **options: Any) -> Engine:
        made.append(shape.sizes)
        return bind(spec, shape, **options)

    monkeypatch.setattr("gridcnn.pipeline.bind", counted)
    pipeline = Pipeline({"stages": STAGES}, engine="reference")

    first = pipeline.transform(STACK)
    for width in range(4, 15):
        pipeline.transform(np.zeros((1, 4, width)))
        pipeline.transform(np.zeros((1, 4, width)), after=1)
    np.testing.assert_array_equal(pipeline.transform(STACK), first)

    assert made == [(1, 4, 6), *((1, 4, width) for width in range(4, 15) if width != 6), (1, 4, 6)]


def test_maps_do_not_depend_on_the_threads() -> None:
    maps = [Pipeline({"stages": STAGES}, threads=count).transform(STACK) for count in (1, 3)]

    np.testing.assert_array_equal(maps[0], maps[1])


@pytest.mark.parametrize(
    ("choice", "message"),
    [({"threads": 0}, "threads must be"), ({"engine": "warp"}, "'warp' is not an engine")],
)
def test_a_wrong_engine_is_told_when_the_pipeline_is_made(
    choice: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Pipeline({"stages": STAGES}, **choice)


def test_a_pipeline_can_be_pickled_after_it_has_worked() -> None:
    pipeline = Pipeline({"stages": STAGES})
    maps = pipeline.transform(STACK)

    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipeline)).transform(STACK), maps)
