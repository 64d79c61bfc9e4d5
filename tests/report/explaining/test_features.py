"""What features look for: best matches, made inputs, dead and duplicate features."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.errors import DataError
from gridcnn.grid import GridShape, OneHot
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.report.explaining.features_page import (
    features_of_layers_figure,
    features_page,
    plain_features,
    symbols_in,
)
from gridcnn.report.explaining.fields import fields_of
from gridcnn.report.explaining.looking_for import Looked, look_for, settled_value
from gridcnn.report.explaining.passing import Passage
from gridcnn.report.explaining.searching import features_of
from gridcnn.spec.load import load
from tests.browser import Pages, faults_at_widths

WILD = "<script>alert(1)</script>"
CONV = {"convolution": {"filters": 5}}
STAGES = [CONV, "rectification", "pooling", {"convolution": {"filters": 4}}, "rectification"]
RANDOM = np.random.default_rng(0)
GRIDS = RANDOM.uniform(-1, 1, (30, 1, 14, 12)).astype(np.float32)
NAMES = [f"item {number} {WILD}" for number in range(30)]


def model_of(adapter: dict[str, Any], stages: list[Any] = STAGES, seed: int = 0) -> Model:
    spec = load({"name": "made", "adapter": adapter, "stages": stages, "head": "voting"})
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=2)
    parameters = network.starting_parameters()
    parameters += np.random.default_rng(seed).normal(0, 0.05, len(parameters)).astype(np.float32)
    return Model(spec, ("a", "b"), parameters, engine="reference")


@pytest.fixture(scope="module")
def pictures() -> Looked:
    """Return what features of a model of pictures look for; feature 0 is dead, 1 and 2 are one."""
    model = model_of({"image": {"size": [14, 12]}})
    parameters = model.parameters.copy()
    named = model.network.named(parameters)
    named["1.convolution.weights"][0] = 0
    named["1.convolution.bias"][0] = -1
    named["1.convolution.weights"][2] = named["1.convolution.weights"][1]
    named["1.convolution.bias"][2] = named["1.convolution.bias"][1]
    changed = Model(model.spec, model.classes, parameters, engine="reference")
    return look_for(changed, GRIDS, NAMES, origin="made items")


@pytest.fixture(scope="module")
def texts() -> Looked:
    stages = [{"convolution": {"filters": 4, "kernel_size": ["all", 3]}}, "rectification",
              {"convolution": {"filters": 3, "kernel_size": [1, 3]}}]  # fmt: skip
    model = model_of({"text": {"alphabet": "abc <", "length": 10}}, stages)
    things = ["abc", "a<b c", "ccc bbb", "<<", "c b a b c"]
    return look_for(model, model.adapted(things).grids.values, things)


def test_best_matches_are_those_of_a_plain_loop(pictures: Looked) -> None:
    """The nine items with the largest cells, and what these cells see."""
    model = pictures.model
    fields = fields_of(model.network)
    for layer in pictures.layers:
        maps = model.engine.maps(model.parameters, GRIDS, after=layer.value - 1)
        for feature in layer.features:
            if feature.number in layer.dead:
                assert feature.patches == ()
                continue
            found = []
            for item, stack in enumerate(maps):
                cells = stack[feature.number]
                best = max(
                    (float(cells[row, column]), -row, -column)
                    for row, column in np.ndindex(*cells.shape)
                )
                found.append((-best[0], item, (-best[1], -best[2])))
            expected = sorted(found)[:9]
            for patch, (value, item, place) in zip(feature.patches, expected, strict=True):
                assert patch.item == item
                assert patch.value == pytest.approx(-value)
                assert patch.place == place
                assert patch.rows == fields[layer.value][0].of(place[0])


def test_dead_and_duplicate_features_are_named(pictures: Looked) -> None:
    """By their maps behind the rectification."""
    first, second = pictures.layers

    assert first.dead == (0,)
    assert [(one, other) for one, other, _ in first.duplicates] == [(1, 2)]
    assert first.duplicates[0][2] == pytest.approx(1)
    assert 0 not in first.shown
    assert second.duplicates == ()
    page = features_page(pictures)
    assert "Dead, with the same map for every item: 1 of 5 (1)." in page
    assert "Duplicates, by the correlation of their maps over the data: 2 and 3 (1.000)." in page


def test_duplicates_have_the_correlation_that_numpy_finds() -> None:
    """Also if it is not quite 1."""
    model = model_of({"image": {"size": [14, 12]}}, [CONV])
    parameters = model.parameters.copy()
    weights = model.network.named(parameters)["1.convolution.weights"]
    weights[3] = weights[1] + 0.02 * weights[0]
    changed = Model(model.spec, model.classes, parameters, engine="reference")

    (layer,) = look_for(changed, GRIDS, NAMES).layers

    maps = changed.engine.maps(parameters, GRIDS, after=0).transpose(1, 0, 2, 3).reshape(5, -1)
    ((one, other, value),) = layer.duplicates
    assert (one, other) == (1, 3)
    assert value == pytest.approx(np.corrcoef(maps)[1, 3], abs=1e-6)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_made_input_reaches_what_it_says_anywhere(pictures: Looked, layer: int) -> None:
    """Whatever stands around it in a grid, and far more than the data reaches on the average."""
    looked, model = pictures.layers[layer], pictures.model
    op = next(each for each in model.network.ops if each.label == looked.label)
    middle = (op.output.rows // 2, op.output.columns // 2)
    field = fields_of(model.network)[op.target]
    (top, bottom), (left, right) = (reach.of(at) for reach, at in zip(field, middle, strict=True))
    for number in looked.shown:
        feature = looked.features[number]
        assert feature.made is not None
        assert GRIDS.min() <= feature.made.min()
        assert feature.made.max() <= GRIDS.max()
        grid = RANDOM.uniform(-1, 1, (1, *model.shape.sizes))
        grid[0, :, top:bottom, left:right] = feature.made
        maps = Passage(model.network, model.parameters, grid, until=op.target).values[op.target]
        assert maps[(0, number, *middle)] == pytest.approx(feature.made_value, abs=1e-9)
        usual = model.engine.maps(model.parameters, GRIDS, after=op.target - 1)
        assert feature.made_value > np.quantile(usual[:, number], 0.99)


def test_a_made_text_has_a_symbol_in_each_column(texts: Looked) -> None:
    """That of the largest weight, for a feature on the grid itself."""
    first = texts.layers[0]
    for number in first.shown:
        made = first.features[number].made
        assert made is not None
        assert made.shape == (1, 5, 3)
        assert made.sum(axis=1).tolist() == [[1, 1, 1]]
        best = first.weights[number, 0].max(axis=0)
        assert (first.weights[number, 0] * made[0]).sum() == pytest.approx(best.sum())


def test_a_feature_is_looked_at_behind_its_rectification() -> None:
    """But before a pooling, a merge, or another convolution."""
    shape = GridShape(1, 8, 8)
    spec = load({"stages": [CONV, "normalization", "rectification", "pooling", CONV, CONV]})
    network = Network(spec, shape)

    assert [settled_value(network, network.ops[number]) for number in (0, 4, 5)] == [3, 5, 6]


def test_symbols_are_written_as_they_are_seen() -> None:
    """Spaces are visible, and columns without a symbol are dots."""
    grid = np.asarray(OneHot(np.array([[0, -1, 1]], np.int32), 2))[0]
    shape = model_of({"text": {"alphabet": " a", "length": 3}}, []).shape

    assert symbols_in(grid, shape) == "\u2423\u00b7a"


@pytest.mark.parametrize("kind", ["pictures", "texts"])
def test_plain_data_and_figures_have_all_layers(kind: str, pictures: Looked, texts: Looked) -> None:
    """The data is JSON."""
    looked = pictures if kind == "pictures" else texts

    plain = json.loads(json.dumps(plain_features(looked), allow_nan=False))
    features_of_layers_figure(looked).savefig(io.BytesIO(), format="png", dpi=40)

    assert [layer["stage"] for layer in plain["layers"]] == [each.label for each in looked.layers]
    feature = plain["layers"][0]["features"][looked.layers[0].shown[0]]
    assert ("weights" in feature) == (kind == "pictures")
    assert feature["made"]["value"] == looked.layers[0].features[feature["feature"]].made_value
    assert len(features_page(looked)) < 3_000_000


@pytest.mark.parametrize("kind", ["pictures", "texts"])
def test_a_browser_shows_features(
    pages: Pages, pictures: Looked, texts: Looked, tmp_path: Path, kind: str
) -> None:
    """Nothing is wrong, and what is wild is text."""
    looked = pictures if kind == "pictures" else texts
    path = tmp_path / "features.html"
    path.write_text(features_page(looked), "utf-8")

    opened = pages.open(path)

    assert opened.title() == "Features of made"
    assert opened.locator(".feature").count() == sum(len(each.shown) for each in looked.layers)
    opened.locator(".feature summary").first.click()
    if kind == "pictures":
        assert WILD in (opened.locator(".feature details li").first.text_content() or "")
    assert faults_at_widths(opened) == []


def test_data_can_be_given_or_is_that_of_the_model(tmp_path: Path) -> None:
    """A model that does not know its data says what to do."""
    model = model_of({"image": {"size": [14, 12]}})
    arrays = (GRIDS[:, 0] / 2 + 0.5, ["a", "b"] * 15)

    looked = features_of(model, arrays, most=10)

    assert len(looked.names) == 10
    assert looked.names[-1] == "item 29"
    with pytest.raises(DataError, match="name the data to look at: --data PATH"):
        features_of(model)
    with pytest.raises(DataError, match="no convolution, and so no features"):
        features_of(model_of({"image": {"size": [14, 12]}}, []), arrays)
