"""`GridClassifier` as a classifier of items with several labels, in scikit-learn's company."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_classifier_multioutput

from gridcnn import GridClassifier
from gridcnn.errors import DataError, SpecError
from gridcnn.grid import Array
from gridcnn.label_measures import choose_thresholds

SPEC: dict[str, Any] = {
    "stages": [{"convolution": {"filters": 8}}, "rectification", {"pooling": {"window": "all"}}],
    "head": "voting",
    "training": {"epochs": 8, "batch_size": 16, "learning_rate": 0.02},
}


def stripes(items: int = 200, *, seed: int = 0) -> tuple[Array, Array]:
    """Return grids with stripes that lie or stand, each or not, and an indicator matrix."""
    random = np.random.default_rng(seed)
    grids = random.uniform(-1, -0.5, (items, 8, 8)).astype(np.float32)
    y = (random.random((items, 2)) < 0.5).astype(int)
    for grid, (lying, standing) in zip(grids, y, strict=True):
        if lying:
            grid[random.integers(8)] = 1
        if standing:
            grid[:, random.integers(8)] = 1
    return grids, y


@pytest.fixture(scope="module")
def data() -> tuple[Array, Array]:
    return stripes()


def made(**more: Any) -> GridClassifier:
    return GridClassifier(**{"spec": SPEC, "check": "off", **more})


def test_scikit_learns_check_of_several_outputs_passes() -> None:
    """The checks of several labels are among those in test_estimator.py."""
    estimator = GridClassifier(check="off")

    assert get_tags(estimator).classifier_tags.multi_label
    check_classifier_multioutput("GridClassifier", estimator)


def test_an_indicator_matrix_is_learned(data: Any) -> None:
    """Answers are one as well, and votes have a column for each label."""
    X, y = data
    model = made().fit(X, y)
    other, truth = stripes(seed=1)

    votes, answers = model.predict_proba(other), model.predict(other)
    assert model.labels_.tolist() == [0, 1]
    assert [each.tolist() for each in model.classes_] == [[0, 1], [0, 1]]
    assert votes.shape == answers.shape == truth.shape
    assert answers.dtype.kind == "i"
    np.testing.assert_array_equal(answers, votes >= 0.5)
    assert roc_auc_score(truth, votes, average="macro") > 0.9
    assert model.score(other, truth) == accuracy_score(truth, answers) > 0.6
    assert model.model_.spec.training.select_by == "loss"
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(other), answers)


def test_names_of_columns_are_the_labels(data: Any) -> None:
    X, y = data
    frame = pd.DataFrame(y, columns=["lying", "standing"])

    model = made(epochs=2).fit(X, frame)
    assert model.labels_.tolist() == ["lying", "standing"]
    assert model.model_.classes == ("lying", "standing")


@pytest.mark.parametrize("form", [sp.csr_matrix, np.ndarray.tolist, np.asfortranarray, list])
def test_other_forms_of_the_matrix_are_the_same(data: Any, form: Any) -> None:
    X, y = data

    expected = made(epochs=1).fit(X, y).predict_proba(X[:5])
    np.testing.assert_array_equal(made(epochs=1).fit(X, form(y)).predict_proba(X[:5]), expected)


def test_what_is_not_known_is_left_out(data: Any) -> None:
    """An item without any answer changes nothing of what is learned from the others."""
    X, y = data
    half = y.astype(float)
    half[::2, 0] = np.nan

    model = made().fit(X, half)
    other, truth = stripes(seed=1)
    assert roc_auc_score(truth, model.predict_proba(other)) > 0.85


def test_thresholds_are_chosen_on_the_validation_items(data: Any) -> None:
    X, y = data
    model = made(validation_fraction=0.3, random_state=1).fit(X, y)

    thresholds = model.model_.thresholds
    assert thresholds != (0.5, 0.5)
    votes = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict(X), votes >= np.array(thresholds))
    # Those that are best on all items are others: they were not used.
    assert thresholds != choose_thresholds(y.astype(np.float32), votes)


def test_items_have_weights(data: Any) -> None:
    """Those of weight 0 are left out."""
    X, y = data
    weights = np.ones(len(X))
    weights[150:] = 0

    weighted = made(epochs=2).fit(X, y, sample_weight=weights).predict_proba(X[:5])
    left = made(epochs=2).fit(X[:150], y[:150]).predict_proba(X[:5])
    np.testing.assert_allclose(weighted, left, rtol=1e-5)


def test_searches_and_scores_take_it(data: Any) -> None:
    X, y = data

    scores = cross_val_score(made(epochs=4), X, y, cv=2, scoring="roc_auc")
    assert scores.shape == (2,)
    search = GridSearchCV(made(), {"epochs": [1, 4]}, cv=2, scoring="roc_auc").fit(X, y)
    assert search.best_params_ == {"epochs": 4}
    assert clone(search.best_estimator_).get_params()["epochs"] == 4


def test_the_default_network_has_such_a_head(data: Any) -> None:
    model = GridClassifier(check="off", epochs=1).fit(*data)

    assert model.model_.spec.head.labels == "several"  # type: ignore[union-attr]
    # The same classifier learns classes afterwards.
    assert model.fit(data[0], data[1][:, 0]).predict(data[0]).shape == (len(data[0]),)
    assert not hasattr(model, "labels_")


@pytest.mark.parametrize(
    ("spec", "y", "error", "message"),
    [
        (
            {**SPEC, "head": {"voting": {"labels": "one"}}},
            [[0, 1], [1, 0]],
            SpecError,
            r"the head is not for several labels for each item, as y has; write head: {voting: {l",
        ),
        (
            {**SPEC, "head": {"voting": {"labels": "several"}}},
            [0, 1],
            SpecError,
            "the head is not for one label for each item, as y has; leave labels: several out",
        ),
        (SPEC, [[0, 1], [0, 1]], DataError, "each label in y is the same for all it"),
        (SPEC, [[0, 1], [0, 0.5]], DataError, r"y\[1, 1\] holds 0.5; a cell is 1, 0, or NaN"),
        (
            {**SPEC, "training": {"class_weights": "balanced"}},
            [[0, 1], [1, 0]],
            SpecError,
            r"training\.class_weights is for items of one class each",
        ),
    ],
)
def test_mistakes_are_one_line(spec: Any, y: Any, error: Any, message: str) -> None:
    X = np.random.default_rng(0).normal(0, 1, (20, 8, 8))

    with pytest.raises(error, match=message) as raised:
        made(spec=spec).fit(X, np.array(y * 10))
    assert len(raised.value.problems) == 1


def test_there_is_a_row_of_labels_for_each_item() -> None:
    with pytest.raises(DataError, match="X has 4 items, and y 3 rows; give one row of labels"):
        made().fit(np.zeros((4, 8, 8)), [[0, 1], [1, 0], [1, 1]])


def test_the_order_is_judged_by_one_label(data: Any) -> None:
    """It is the one that divides the items most evenly; what is not known of it is left out."""
    X, y = data
    y = y.astype(float)
    y[:20, 1] = np.nan

    model = made(check="warn", epochs=1).fit(X, y)
    evidence = model.verdicts_["order"].evidence
    assert any("judged by the label '1' alone, which of the 2 labels" in each for each in evidence)
