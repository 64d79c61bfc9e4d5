from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.signal import correlate, correlate2d

from gridcnn.grid import Array, Axis, GridShape
from gridcnn.stages.convolution import Convolution


def naive(stage: Convolution, grids: Array, weights: dict[str, Array]) -> Array:
    """Return the maps, cell by cell, from the words of the settings."""
    items, channels, *sizes = grids.shape
    features = weights["weights"]
    filters, _, *kernel = features.shape
    before, counts = [], []
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * stage.dilation[axis] + 1
        if stage.kernel_size[axis] == "all" or stage.padding == "valid":
            first, added = 0, 0
        elif stage.padding == "same":
            count = -(-sizes[axis] // stage.stride[axis])
            added = max(0, (count - 1) * stage.stride[axis] + reach - sizes[axis])
            first = added // 2
        else:
            first = int(stage.padding[axis])
            added = 2 * first
        before.append(first)
        counts.append((sizes[axis] + added - reach) // stage.stride[axis] + 1)
    maps = np.zeros((items, filters, *counts))
    for item, filter_, row, column in np.ndindex(maps.shape):
        total = 0.0
        for channel, down, across in np.ndindex(channels, *kernel):
            at_row = row * stage.stride[0] + down * stage.dilation[0] - before[0]
            at_column = column * stage.stride[1] + across * stage.dilation[1] - before[1]
            if 0 <= at_row < sizes[0] and 0 <= at_column < sizes[1]:
                cell = grids[item, channel, at_row, at_column]
                total += cell * features[filter_, channel, down, across]
        if stage.scale == "match":
            total /= channels * kernel[0] * kernel[1]
        maps[item, filter_, row, column] = total + (weights["bias"][filter_] if stage.bias else 0)
    return maps


def maps_of(stage: Convolution, grids: Array, weights: dict[str, Array]) -> Array:
    return stage.forward(grids, weights)[0]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_maps_are_those_of_naive_loops(
    networks: ModuleType, data: st.DataObject, seed: int
) -> None:
    """Any kernel, stride, padding, dilation, bias and scale give what plain loops give."""
    stage, shape = data.draw(networks.fitted(Convolution))
    random = np.random.default_rng(seed)
    grids = random.normal(0, 1, (2, *shape.sizes))
    weights = networks.random_weights(stage, shape, random)

    maps = maps_of(stage, grids, weights)
    assert maps.shape[1:] == stage.output(shape).sizes
    np.testing.assert_allclose(maps, naive(stage, grids, weights), atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5), (4, 1)])
def test_maps_are_those_of_scipy(kernel: tuple[int, int], padding: str) -> None:
    """With stride 1 a map is the sum of SciPy's correlations over the channels."""
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (2, 3, 9, 8))
    weights = {"weights": random.normal(0, 1, (4, 3, *kernel)), "bias": random.normal(0, 1, 4)}
    stage = Convolution(filters=4, kernel_size=kernel, padding=padding)

    # SciPy's "same" starts a kernel of even size one cell earlier; ours is "full", cut.
    expected = np.zeros((2, 4, *stage.output(GridShape(3, 9, 8)).sizes[1:]))
    for item, filter_, channel in np.ndindex(2, 4, 3):
        feature = weights["weights"][filter_, channel]
        if padding == "valid":
            part = correlate2d(grids[item, channel], feature, mode="valid")
        else:
            full = correlate2d(grids[item, channel], feature, mode="full")
            (top, left) = (size - 1 - (size - 1) // 2 for size in kernel)
            part = full[top : top + 9, left : left + 8]
        expected[item, filter_] += part
    expected += weights["bias"][:, None, None]
    np.testing.assert_allclose(maps_of(stage, grids, weights), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_gradients_are_the_slopes(networks: ModuleType, data: st.DataObject, seed: int) -> None:
    """The gradients by grids, features and biases agree with small differences."""
    stage, shape = data.draw(networks.fitted(Convolution))

    networks.check_gradients(stage, shape, seed=seed)


@given(
    data=st.data(),
    channels=st.integers(1, 4),
    rows=st.integers(1, 33),
    columns=st.integers(1, 33),
)
@settings(max_examples=100, deadline=None)
def test_a_perfect_match_is_exactly_one(
    data: st.DataObject, channels: int, rows: int, columns: int
) -> None:
    """A feature of -1 and 1 matches itself with 1 and its negative with -1, in float32."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    sizes = (channels, rows, columns)
    feature = np.random.default_rng(seed).choice([-1, 1], sizes).astype(np.float32)
    stage = Convolution(
        filters=1, kernel_size=(rows, columns), padding="valid", scale="match", bias=False
    )

    maps = maps_of(stage, np.stack([feature, -feature]), {"weights": feature[None]})
    assert maps.ravel().tolist() == [1.0, -1.0]


def test_an_item_depends_on_itself_alone() -> None:
    """An item's maps are the same bits in any batch and at any place in it."""
    random = np.random.default_rng(1)
    grids = random.normal(0, 1, (23, 3, 11, 13)).astype(np.float32)
    for kernel in (1, 3, "all"):
        stage = Convolution(filters=5, kernel_size=kernel)
        weights = {
            name: random.normal(0, 1, shape).astype(np.float32)
            for name, shape in (
                (each.name, each.shape) for each in stage.parameters(GridShape(3, 11, 13))
            )
        }

        together = maps_of(stage, grids, weights)
        for item in range(len(grids)):
            alone = maps_of(stage, grids[item : item + 1].copy(), weights)
            np.testing.assert_array_equal(together[item : item + 1], alone)


def test_grids_are_not_changed() -> None:
    """Read-only grids are fine, and stay as they were."""
    grids = np.ones((1, 1, 3, 3), np.float32)
    grids.setflags(write=False)
    stage = Convolution(filters=2, kernel_size=1)
    weights = {"weights": np.ones((2, 1, 1, 1), np.float32), "bias": np.ones(2, np.float32)}

    maps, backward = stage.forward(grids, weights)
    backward(np.ones_like(maps))
    np.testing.assert_array_equal(grids, 1)


def test_written_features_are_where_training_starts() -> None:
    """Written-out features fix the number of filters and the size of the kernel."""
    stage = Convolution(features=[[[1, 2, 3], [4, 5, 6]], [[0, 0, 0], [0, 0, 1]]])

    assert (stage.filters, stage.kernel_size) == (2, (2, 3))
    weights, bias = stage.parameters(GridShape(1, 5, 5))
    assert weights.written is not None
    assert weights.written.tolist()[0] == [[[1, 2, 3], [4, 5, 6]]]
    assert weights.trainable
    assert bias.written is None


def test_written_features_of_several_channels() -> None:
    """A feature on three channels is three mini-images."""
    feature = np.arange(12).reshape(3, 2, 2).tolist()
    stage = Convolution(features=[feature], bias=False, trainable=False)

    (weights,) = stage.parameters(GridShape(3, 4, 4))
    assert weights.shape == (1, 3, 2, 2)
    assert not weights.trainable
    with pytest.raises(ValueError, match="have 3 channels; the grids that come in have 1"):
        stage.output(GridShape(1, 4, 4))


def test_written_features_are_written_back() -> None:
    """Settings written and read again are the same settings."""
    for features in ([[[1, -1], [0.5, 0.1]]], [[[[1.0]], [[2.0]]]]):
        stage = Convolution(features=features)

        assert stage.model_dump(mode="json")["features"] == features
        assert Convolution.model_validate(stage.model_dump(mode="json")) == stage


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({}, "convolution: needs the setting 'filters'"),
        ({"features": [[[1, 2], [3]]]}, "the sizes here differ"),
        ({"features": [[1, 2], [3, 4]]}, "must be a list of mini-images"),
        ({"features": [[[1, float("nan")]]]}, "every cell a finite number"),
        ({"features": [[[1, 1e39]]]}, "every cell a finite number"),
        ({"features": [[["1"]]]}, "must be a list of mini-images"),
        ({"features": [[[True]]]}, "must be a list of mini-images"),
        ({"features": []}, "must be a list of mini-images"),
        ({"features": [[[1]]], "filters": 2}, r"'filters' \(=2\) must be the number .* \(=1\)"),
        ({"features": [[[1]]], "kernel_size": 3}, r"\(=3 x 3\) must be the size .* \(=1 x 1\)"),
        ({"filters": 1, "padding": "full"}, "'padding' of convolution must be"),
        ({"filters": 1, "kernel_size": 0}, "'kernel_size' of convolution must be"),
    ],
)
def test_wrong_settings_are_explained(given_settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Convolution.model_validate(given_settings)


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        (
            {"kernel_size": [2, 7], "padding": "valid"},
            "a kernel of 2 x 7 does not fit into 4 x 6 cells; a kernel of at most 4 x 6 fits, or "
            "padding: same",
        ),
        (
            {"kernel_size": 4, "dilation": 2, "padding": 1},
            "a kernel of 4 x 4 with dilation 2 x 2 does not fit into 4 x 6 cells padded by 1 x 1; "
            "a kernel of at most 3 x 4 fits, or padding: same",
        ),
        (
            {"kernel_size": ["all", 1], "dilation": 2},
            "a kernel of all x 1 with dilation 2 x 2 does not fit into 4 x 6 cells; write "
            "dilation: 1 along an axis that the kernel fills with 'all'",
        ),
    ],
)
def test_a_kernel_that_does_not_fit_is_told_what_would(
    given_settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Convolution(filters=1, **given_settings).output(GridShape(1, 4, 6))


ALPHABET = GridShape(1, 26, 40, row_axis=Axis("character", ordered=False))


@pytest.mark.parametrize(
    "given_settings",
    [
        {"kernel_size": 3},
        {"kernel_size": [26, 3]},  # padded, so that the features slide after all
        {"kernel_size": [25, 3], "padding": "valid"},
        {"kernel_size": [1, 3], "stride": [2, 1]},  # cells between two steps would be lost
    ],
)
def test_nothing_slides_along_an_axis_without_order(given_settings: dict[str, Any]) -> None:
    """The error says which axis it is, and what to write instead."""
    with pytest.raises(ValueError, match="the rows are the axis 'character', whose order means"):
        Convolution(filters=2, **given_settings).output(ALPHABET)
    with pytest.raises(ValueError, match=r"write kernel_size: \[all, 3\]"):
        Convolution(filters=2, **given_settings).output(ALPHABET)


def test_written_features_do_not_slide_along_an_axis_without_order() -> None:
    with pytest.raises(ValueError, match="write out features of all 26 rows, with padding: valid"):
        Convolution(features=np.ones((1, 26, 3)).tolist()).output(ALPHABET)


@pytest.mark.parametrize(
    ("given_settings", "sizes"),
    [
        ({"kernel_size": ["all", 3]}, (2, 1, 40)),
        ({"kernel_size": [26, 3], "padding": "valid"}, (2, 1, 38)),
        ({"kernel_size": [1, 3]}, (2, 26, 40)),
    ],
)
def test_features_that_take_an_unordered_axis_whole_or_cell_by_cell_are_fine(
    given_settings: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    assert Convolution(filters=2, **given_settings).output(ALPHABET).sizes == sizes


def test_columns_without_order_are_told_of_as_columns() -> None:
    shape = GridShape(1, 4, 7, column_axis=Axis("sensor", ordered=False))

    with pytest.raises(ValueError, match=r"the columns are the axis 'sensor'.*\[3, all\]"):
        Convolution(filters=1).output(shape)


def test_multiply_adds_are_counted() -> None:
    """Each of 4 x 8 x 10 cells of the maps takes 3 x 9 multiply-adds."""
    assert Convolution(filters=4).multiply_adds(GridShape(3, 8, 10)) == 4 * 80 * 27


# Groups of channels


@pytest.mark.parametrize("scale", ["sum", "match"])
@pytest.mark.parametrize(("channels", "filters", "groups"), [(4, 6, 2), (6, 3, 3), (5, 10, 5)])
def test_each_group_of_channels_is_correlated_on_its_own(
    channels: int, filters: int, groups: int, scale: str
) -> None:
    """A map is the sum of SciPy's correlations over the channels of its group alone."""
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (2, channels, 6, 7))
    of_group = channels // groups
    weights = {
        "weights": random.normal(0, 1, (filters, of_group, 3, 2)),
        "bias": random.normal(0, 1, filters),
    }
    stage = Convolution(
        filters=filters, kernel_size=(3, 2), padding="valid", groups=groups, scale=scale
    )

    expected = np.zeros((2, filters, 4, 6))
    for item, filter_ in np.ndindex(2, filters):
        first = filter_ // (filters // groups) * of_group
        seen = grids[item, first : first + of_group]
        match = correlate(seen, weights["weights"][filter_], mode="valid", method="direct")[0]
        divisor = 3 * 2 * of_group if scale == "match" else 1
        expected[item, filter_] = match / divisor + weights["bias"][filter_]
    np.testing.assert_allclose(maps_of(stage, grids, weights), expected, atol=1e-12)


@pytest.mark.parametrize(
    "grouped",
    [
        {"groups": 2, "filters": 4},
        {"groups": "channels", "filters": 8, "stride": 2},
        {"groups": "channels", "filters": 4, "scale": "match", "dilation": 2},
    ],
    ids=str,
)
def test_gradients_of_groups_are_the_slopes(networks: ModuleType, grouped: Any) -> None:
    networks.check_gradients(Convolution(**grouped), GridShape(4, 5, 4), seed=0)
    networks.check_items(Convolution(**grouped), GridShape(4, 5, 4))


def test_groups_have_fewer_parameters_and_less_cost() -> None:
    """A feature has the channels of its group; starting weights have their spread."""
    stage = Convolution(filters=6, groups=2)
    weights, _ = stage.parameters(GridShape(4, 5, 5))

    assert (weights.shape, weights.fan_in, weights.fan_out) == ((6, 2, 3, 3), 18, 27)
    assert stage.multiply_adds(GridShape(4, 5, 5)) == 6 * 25 * 18
    depthwise = Convolution(filters=4, groups="channels")
    assert depthwise.parameters(GridShape(4, 5, 5))[0].shape == (4, 1, 3, 3)
    match = Convolution(filters=6, groups=2, scale="match").parameters(GridShape(4, 5, 5))[0]
    assert match.gain == 18


@pytest.mark.parametrize(
    ("grouped", "message"),
    [
        (
            {"filters": 6, "groups": 3},
            r"'groups' \(=3\) must divide the 4 channels; take groups: 1",
        ),
        ({"filters": 3, "groups": 2}, r"'groups' \(=2\) must divide the 3 filters; take groups: 1"),
        ({"filters": 6, "groups": "channels"}, r"'groups' \(=4\) must divide the 6 filters"),
        (
            {"features": np.ones((2, 4, 1, 1)).tolist(), "groups": 2},
            "written out have 4 channels; the grids that come in have 4 in 2 groups",
        ),
    ],
)
def test_groups_that_do_not_fit_are_explained(grouped: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Convolution(**grouped).output(GridShape(4, 5, 5))


def test_features_of_groups_may_be_written_out() -> None:
    """Here each channel is taken by a feature of its own: twice the first, the second negated."""
    stage = Convolution(features=[[[2]], [[-1]]], groups="channels", bias=False)
    grids = np.random.default_rng(0).normal(0, 1, (1, 2, 3, 3))
    (weights,) = stage.parameters(GridShape(2, 3, 3))
    assert weights.written is not None

    maps = maps_of(stage, grids, {"weights": weights.written})
    np.testing.assert_array_equal(maps[0], [2 * grids[0, 0], -grids[0, 1]])
    assert Convolution.model_validate(stage.model_dump(mode="json")) == stage


@pytest.mark.parametrize("groups", [0, 1.5, "rows", None])
def test_wrong_groups_are_explained_in_one_line(groups: Any) -> None:
    with pytest.raises(ValidationError, match="'groups' of convolution must be"):
        Convolution.model_validate({"filters": 2, "groups": groups})
