"""Answers may come from several views of an item: itself, and grids that augmentation changes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.datasets import load_digits

import gridcnn
from gridcnn.contracts.augmentation import Augmentation
from gridcnn.engines.base import Engine, make_engine
from gridcnn.engines.kept import KeptCells
from gridcnn.errors import SpecError
from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.training.calibration import calibrate
from gridcnn.training.loop import Labelled
from gridcnn.training.views import logits_of

MOVED = [{"shift": {"rows": 2, "columns": 2}}, {"zoom": 0.2}]
SPEC: dict[str, Any] = {
    "data": {"source": "digits"},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [16]}},
    "training": {"epochs": 2, "learning_rate": 0.01, "augmentation": MOVED, "views": 5},
}


class Steps(Augmentation):
    """Adds 1 to the first grid that it gets, 2 to the second, and so on."""

    title: ClassVar[str] = "steps"

    def change(self, grids: Array, shape: GridShape, random: np.random.Generator) -> Array:
        """Return the grids with whole numbers added."""
        steps: Array = np.arange(1, len(grids) + 1, dtype=grids.dtype)
        return np.asarray(grids + steps[:, None, None, None])


def engine_for(name: str = "native", *, threads: int | None = None, rows: int = 6) -> Engine:
    spec = load({**SPEC, "adapter": None})
    return make_engine(Network(spec, GridShape(1, rows, 7), classes=3), name, threads=threads)


def vector_of(engine: Engine) -> Array:
    return engine.network.starting_parameters()


def grids_of(count: int, rows: int = 6) -> Array:
    return np.random.default_rng(0).normal(size=(count, 1, rows, 7)).astype(np.float32)


def test_logits_are_the_mean_over_the_item_and_its_changed_grids() -> None:
    engine, grids = engine_for("reference"), grids_of(4)
    vector = vector_of(engine)
    settings = load(SPEC).training.model_copy(update={"augmentation": (Steps(),), "views": 4})

    found = logits_of(engine, vector, grids, settings)

    views = [engine.logits(vector, grids + np.float32(number)) for number in range(4)]
    np.testing.assert_allclose(found, np.mean(views, axis=0), rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_a_network_without_rectification_answers_the_mean_grid() -> None:
    """Then logits are linear, so the mean of views votes as the views do: here all are mirrored."""
    spec = load({"head": "voting", "training": {"augmentation": [{"gain": 0.5}], "views": 9}})
    engine = make_engine(Network(spec, GridShape(1, 3, 4), classes=2), "reference")
    vector = vector_of(engine)
    grids = np.random.default_rng(1).normal(size=(2, 1, 3, 4)).astype(np.float32)

    bias = engine.logits(vector, 0 * grids)
    ratios = (logits_of(engine, vector, grids, spec.training) - bias) / (
        engine.logits(vector, grids) - bias
    )

    # Each item is multiplied by the mean of the same nine factors, of which one is 1.
    np.testing.assert_allclose(ratios, ratios[0, 0], rtol=1e-4)
    assert 1 - 0.5 * 8 / 9 < ratios[0, 0] < 1 + 0.5 * 8 / 9
    assert ratios[0, 0] != pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_answer_for_an_item_depends_on_that_item_alone(threads: int) -> None:
    engine, grids = engine_for(threads=threads), grids_of(150)
    vector, settings = vector_of(engine), load(SPEC).training
    before = grids.copy()

    together = logits_of(engine, vector, grids, settings)

    assert np.array_equal(grids, before)
    for item in (0, 1, 63, 64, 149):
        alone = logits_of(engine, vector, grids[item : item + 1], settings)
        assert np.array_equal(together[item], alone[0])
    assert np.array_equal(together, logits_of(engine_for(), vector, grids, settings))
    assert not np.allclose(together, engine.logits(vector, grids), atol=1e-4)


def test_one_view_is_the_item_itself() -> None:
    engine, grids = engine_for(), grids_of(3)
    vector = vector_of(engine)
    settings = load(SPEC).training.model_copy(update={"views": 1})

    assert np.array_equal(logits_of(engine, vector, grids, settings), engine.logits(vector, grids))


def test_one_hot_grids_are_answered_like_their_cells() -> None:
    symbols = np.random.default_rng(0).integers(-1, 6, size=(20, 7)).astype(np.int32)
    spec = load({**SPEC, "training": {"augmentation": [{"shift": {"columns": 2}}], "views": 4}})
    network = Network(spec, GridShape(1, 6, 7), classes=3)
    for name in ("reference", "native"):
        engine = make_engine(network, name)
        vector = vector_of(engine)
        one_hot = OneHot(symbols, 6)
        found = logits_of(engine, vector, one_hot, spec.training)
        dense = logits_of(engine, vector, np.asarray(one_hot), spec.training)
        np.testing.assert_allclose(found, dense, rtol=1e-5, atol=1e-6)


def test_held_grids_come_once_for_all_their_views() -> None:
    """And the answers are the same."""
    fetched: list[int] = []

    class Noting(KeptCells):
        def __getitem__(self, chosen: Any) -> Any:
            return Noting(self._cells, self.sent, self.items[chosen])

        def fetch(self) -> Array | OneHot:
            fetched.append(len(self))
            return super().fetch()

    engine, grids = engine_for("reference"), grids_of(70)
    vector, settings = vector_of(engine), load(SPEC).training
    held: Any = Noting(grids, None)

    found = logits_of(engine, vector, held, settings)

    assert np.array_equal(found, logits_of(engine, vector, grids, settings))
    assert fetched[-2:] == [64, 6]  # before these, the items themselves


def test_no_items_have_no_logits() -> None:
    engine = engine_for()

    assert logits_of(engine, vector_of(engine), grids_of(0), load(SPEC).training).shape == (0, 3)


def test_what_takes_something_away_is_for_training_alone() -> None:
    every = [*MOVED, {"mask": 2}, "erase", {"drop": 0.1}, {"noise": 0.1}, {"brightness": 0.1}]
    training = load({**SPEC, "training": {"augmentation": every, "views": 3}}).training

    assert [each.title for each in training.view_changes] == ["shift", "zoom", "brightness"]


@pytest.mark.parametrize("augmentation", [[], [{"noise": 0.1}, {"mask": 1}]])
def test_views_without_changes_are_refused(augmentation: list[Any]) -> None:
    with pytest.raises(SpecError, match=r"views: 3 answers from changed grids.*shift, flip"):
        load({**SPEC, "training": {"augmentation": augmentation, "views": 3}})


def test_calibration_is_fitted_on_the_mean_over_the_views() -> None:
    engine, grids = engine_for(), grids_of(200)
    vector, settings = 3 * vector_of(engine), load(SPEC).training
    logits = logits_of(engine, vector, grids, settings)
    targets = np.where(np.arange(200) % 3 == 0, 0, logits.argmax(axis=1))

    changed, found = calibrate(engine, vector, Labelled(grids, targets), settings)
    assert found is not None

    after = logits_of(engine, changed, grids, settings)
    np.testing.assert_allclose(after, logits / found.temperature, rtol=1e-3, atol=1e-4)
    assert found.loss_after < found.loss_before


def test_a_run_and_its_model_answer_from_the_same_views(tmp_path: Path) -> None:
    """The figures of the run, its file of answers, and the model that is loaded agree."""
    digits = load_digits()
    np.savez(tmp_path / "digits.npz", X=digits.images, y=digits.target)
    data = {"source": str(tmp_path / "digits.npz"), "test": 0.3}
    result = gridcnn.run({**SPEC, "data": data}, out=tmp_path / "run")
    model = gridcnn.load(tmp_path / "run")

    with (tmp_path / "run" / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    items = [int(row["item"].removeprefix("item ")) for row in rows]
    written = np.array([[float(row[f"votes.{label}"]) for label in range(10)] for row in rows])
    votes = model.votes_of_many(digits.images[items])
    alone = model.with_one_view().votes_of_many(digits.images[items])

    np.testing.assert_allclose(written, votes, atol=1e-6)
    assert not np.allclose(written, alone, atol=1e-3)
    right = votes.argmax(axis=1) == digits.target[items]
    assert result.metrics["test"]["accuracy"] == pytest.approx(right.mean())


def test_an_explanation_is_of_the_item_alone_and_says_so(tmp_path: Path) -> None:
    model = gridcnn.run(SPEC, out=tmp_path / "run").model
    picture = np.random.default_rng(0).integers(0, 16, size=(8, 8)).astype(float)

    explained = model.explain(picture)

    assert isinstance(model, Model)
    assert np.array_equal(explained.votes, model.with_one_view().votes([picture])[0])
    assert "answers from 5 views" in explained.page()
    assert explained.plain()["views"] == 5
    assert "views of an item" not in model.with_one_view().explain(picture).page()


def test_an_export_answers_from_the_item_alone_and_says_so(tmp_path: Path) -> None:
    from gridcnn.export.formats import export

    model = gridcnn.run(SPEC, out=tmp_path / "run").model

    written = export(model, "page", tmp_path / "page.html")
    plain = export(model.with_one_view(), "page", tmp_path / "plain.html")

    assert [note for note in written.made.notes if "from 5 views" in note]
    assert [note for note in plain.made.notes if "views" in note] == []


def test_thresholds_of_several_labels_rest_on_the_views() -> None:
    """Without labels of their own, items of two labels: those on the left, those at the top."""
    grids = grids_of(120)
    labels = np.stack([grids[:, 0, :, :3].mean((1, 2)) > 0, grids[:, 0, :3].mean((1, 2)) > 0], 1)
    spec = {
        "stages": ["pooling"],
        "head": {"voting": {"labels": "several"}},
        "adapter": {"array": {"scaling": "none"}},
        "data": {"validation": 0.3},
        "training": {"epochs": 3, "augmentation": MOVED, "views": 4},
    }
    several = gridcnn.GridClassifier(spec, check="off").fit(grids[:, 0], labels.astype(int))
    once = gridcnn.GridClassifier(spec, check="off", changes={"training.views": 1}).fit(
        grids[:, 0], labels.astype(int)
    )

    assert np.array_equal(several.model_.parameters, once.model_.parameters)
    assert several.model_.thresholds != once.model_.thresholds
