"""Evaluation of a model on labelled data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

import gridcnn
from gridcnn.errors import DataError, EngineError

SPEC: dict[str, Any] = {
    "data": {"source": {"xo": {"count": 80, "size": [12, 12]}}},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": ["pooling"],
    "head": "voting",
    "training": {"epochs": 2},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> gridcnn.Model:
    """Return a small model for X and O."""
    return gridcnn.run(SPEC, out=tmp_path_factory.mktemp("run")).model


def test_an_evaluation_is_what_scikit_learn_finds(model: gridcnn.Model) -> None:
    """Its scores, confusion and area are those of the model's own answers and votes."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (60, 12, 12), np.uint8)
    truth = random.choice(["O", "X"], 60)

    found = gridcnn.evaluate(model, (pictures, truth))

    answers, votes = model.predict(pictures), model.votes(pictures)
    expected = precision_recall_fscore_support(truth, answers, labels=["O", "X"], zero_division=0)
    ours = [[s.precision, s.recall, s.f1, s.items] for s in found.classes.values()]
    np.testing.assert_allclose(np.transpose(ours), expected)
    assert list(found.classes) == ["O", "X"]
    assert found.accuracy == accuracy_score(truth, answers)
    assert (found.confusion == confusion_matrix(truth, answers)).all()
    assert found.interval[0] < found.accuracy < found.interval[1]
    assert found.auc == pytest.approx(roc_auc_score(truth == "X", votes[:, 1]))
    assert {scores.auc for scores in found.classes.values()} == {found.auc}


def test_the_test_part_is_used_where_the_data_names_one(
    model: gridcnn.Model, tmp_path: Path
) -> None:
    """A train and a test part in the file: the test part, unless another is asked for."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (30, 12, 12), np.uint8)
    labels = np.array(["X", "O"] * 15)
    file = tmp_path / "data.npz"
    np.savez(
        file, X_train=pictures[:20], y_train=labels[:20], X_test=pictures[20:], y_test=labels[20:]
    )

    by_default = gridcnn.evaluate(model, file)

    assert (by_default.part, by_default.items) == ("test", 10)
    assert by_default.accuracy == (model.predict(pictures[20:]) == labels[20:]).mean()
    assert gridcnn.evaluate(model, file, part="train").items == 20
    assert gridcnn.evaluate(model, file, part="all").items == 30
    with pytest.raises(DataError, match="names no part 'validation'"):
        gridcnn.evaluate(model, file, part="validation")
    with pytest.raises(DataError, match="'half' is not a part"):
        gridcnn.evaluate(model, file, part="half")


def test_one_class_alone_can_be_evaluated(model: gridcnn.Model) -> None:
    """Only training needs two classes to tell apart."""
    found = gridcnn.evaluate(model, (np.zeros((3, 12, 12), np.uint8), ["X", "X", "X"]))

    assert found.classes["X"].items == 3
    assert found.classes["O"].items == 0
    assert found.auc is None


def test_bad_items_stop_an_evaluation_or_are_told(model: gridcnn.Model) -> None:
    """An item that cannot be read is named, and may be left out."""
    pictures = [np.zeros((12, 12), np.uint8), b"no picture", np.zeros((12, 12), np.uint8)]

    with pytest.raises(DataError, match=r"item 1: .*\n1 of 3 items cannot be read"):
        gridcnn.evaluate(model, (pictures, ["X", "O", "X"]))
    found = gridcnn.evaluate(model, (pictures, ["X", "O", "X"]), bad_items="skip")
    assert found.items == 2
    assert found.notes[0] == "1 of 3 items cannot be read, and are left out"


def test_data_in_memory_is_taken(model: gridcnn.Model) -> None:
    """Arrays and labels are evaluated as they are."""
    pictures = np.zeros((4, 12, 12), np.uint8)

    found = gridcnn.evaluate(model, (pictures, ["X", "O", "X", "O"]))

    assert found.items == 4
    assert found.accuracy == 0.5


def test_labels_that_the_model_does_not_know_are_named(model: gridcnn.Model) -> None:
    """A class that was not trained cannot be right or wrong."""
    with pytest.raises(DataError, match="Y not among the classes O, X"):
        gridcnn.evaluate(model, (np.zeros((4, 12, 12), np.uint8), ["X", "O", "Y", "O"]))


def test_numbers_and_their_texts_are_the_same_label(tmp_path: Path) -> None:
    """A model trained on folders named 0 and 1 is evaluated on arrays labelled 0 and 1."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    trained = gridcnn.run(SPEC, data=(pictures, ["0", "1"] * 20), out=tmp_path / "run").model

    assert gridcnn.evaluate(trained, (pictures, [0, 1] * 20)).items == 40


@pytest.mark.parametrize("choice", [{"engine": "reference"}, {"threads": 1}, {}])
def test_engine_and_threads_are_those_of_loading(
    model: gridcnn.Model, tmp_path: Path, choice: dict[str, Any]
) -> None:
    """They are for a model that is named by its place; one that is loaded has its engine."""
    data = (np.zeros((4, 12, 12), np.uint8), ["X", "O", "X", "O"])
    place = model.save(tmp_path / "model")

    assert gridcnn.evaluate(place, data, **choice).items == 4
    if choice:
        with pytest.raises(EngineError, match=r"give engine and threads to gridcnn\.load"):
            gridcnn.evaluate(model, data, **choice)


def test_items_whose_votes_overflow_stop_an_evaluation_or_are_told(tmp_path: Path) -> None:
    """They have no answer, so they count neither as right nor as wrong."""
    random = np.random.default_rng(0)
    grids, labels = random.normal(0, 1, (40, 4, 4)), np.array(["a", "b"] * 20)
    spec = {
        "adapter": {"array": {"low": -1.0, "high": 1.0}},
        "stages": [{"convolution": {"filters": 2, "features": [[[4, 4], [4, 4]]] * 2}}],
        "head": "voting",
        "training": {"epochs": 1},
    }
    model = gridcnn.run(spec, data=(grids, labels), out=tmp_path / "run").model
    grids[7] = 3e38

    with pytest.raises(DataError, match="item 7: its votes are not finite numbers") as caught:
        gridcnn.evaluate(model, (grids, labels))
    assert "1 of 40 items" in str(caught.value)
    found = gridcnn.evaluate(model, (grids, labels), bad_items="skip")
    assert found.items == 39
    assert any("1 of 40 items have no finite votes" in note for note in found.notes)
