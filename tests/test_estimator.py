"""`GridClassifier` in scikit-learn's company."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import gridcnn
from gridcnn import GridClassifier
from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.phrases import Phrases
from gridcnn.errors import ColumnPermutableError, DataError, SpecError, TrainingError
from gridcnn.order import guard as guard_module

SMALL: dict[str, Any] = {
    "stages": [{"convolution": {"filters": 8}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [16]}},
    "training": {"epochs": 15, "batch_size": 32, "learning_rate": 0.01},
}


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        GridClassifier(check="off"),
        # With the 6 epochs of the spec, some seeds get less of 300 items than one check asks for.
        GridClassifier("xo", epochs=60, check="off"),
        GridClassifier(SMALL, check="off"),
    ]
)
def test_scikit_learns_own_checks_pass(estimator: Any, check: Any) -> None:
    """Every check that scikit-learn has for classifiers passes, with and without a spec."""
    check(estimator)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    """Return 600 digits `(items, 8, 8)` and their labels."""
    data = load_digits()
    return data.images[:600], data.target[:600]


def test_without_a_spec_a_small_network_fits_the_shape(digits: tuple[Any, Any]) -> None:
    """The default network learns digits from 450 examples."""
    first, second, y_first, y_second = train_test_split(*digits, random_state=0)

    classifier = GridClassifier(random_state=0).fit(first, y_first)

    assert classifier.score(second, y_second) > 0.93
    assert classifier.model_.network.shape.sizes == (1, 8, 8)
    assert len(classifier.history_) == classifier.n_iter_ == 20


def test_votes_are_probabilities_in_the_order_of_the_classes(digits: tuple[Any, Any]) -> None:
    """Each row is within 0..1 and adds up to 1; the most votes are the answer."""
    X, y = digits

    classifier = GridClassifier(SMALL, epochs=2, random_state=0).fit(X, y)

    votes = classifier.predict_proba(X)
    assert votes.dtype == np.float32
    assert votes.shape == (600, 10)
    assert votes.min() >= 0
    np.testing.assert_allclose(votes.sum(axis=1), 1, atol=1e-6)
    assert (classifier.predict(X) == classifier.classes_[votes.argmax(axis=1)]).all()


def test_every_shape_of_x_is_taken() -> None:
    """Rows of columns, stacks of grids, channels first and channels last."""
    random = np.random.default_rng(0)
    y = np.arange(20) % 2
    settings: dict[str, Any] = {"epochs": 1, "check": "off"}
    for shape, sizes in (
        ((6,), (1, 1, 6)),
        ((4, 6), (1, 4, 6)),
        ((3, 8, 6), (3, 8, 6)),
        ((8, 6, 3), (3, 8, 6)),
        ((8, 6, 1), (1, 8, 6)),
    ):
        X = random.normal(size=(20, *shape))

        classifier = GridClassifier(SMALL, **settings).fit(X, y)

        assert classifier.model_.network.shape.sizes == sizes
        assert classifier.predict(X).shape == (20,)
    first = GridClassifier(SMALL, channel_order="first", **settings)
    assert first.fit(random.normal(size=(20, 8, 6, 3)), y).model_.network.shape.channels == 8


def test_channels_last_and_first_are_the_same_grids() -> None:
    """Moving the channels changes nothing about the votes."""
    X = np.random.default_rng(0).normal(size=(30, 8, 6, 3))
    y = np.arange(30) % 3

    last = GridClassifier(SMALL, epochs=2).fit(X, y).predict_proba(X)
    moved = X.transpose(0, 3, 1, 2)
    first = GridClassifier(SMALL, epochs=2).fit(moved, y).predict_proba(moved)

    assert (last == first).all()


def test_it_works_within_scikit_learn(digits: tuple[Any, Any]) -> None:
    """clone, get_params, set_params, GridSearchCV, cross_val_score, Pipeline and pickle."""
    X, y = digits[0][:200], digits[1][:200]
    classifier = GridClassifier(SMALL, epochs=25, random_state=1)

    search = GridSearchCV(classifier, {"learning_rate": [1e-6, 1e-2]}, cv=2).fit(X, y)
    scores = cross_val_score(classifier, X, y, cv=2)
    pipeline = make_pipeline(FunctionTransformer(lambda a: a / 16), clone(classifier)).fit(X, y)
    copy = pickle.loads(pickle.dumps(search.best_estimator_))

    assert search.best_params_ == {"learning_rate": 1e-2}
    assert scores.min() > 0.5
    assert pipeline.score(X, y) > 0.8
    assert (copy.predict_proba(X) == search.best_estimator_.predict_proba(X)).all()
    assert clone(classifier).get_params() == classifier.get_params()
    assert classifier.set_params(epochs=3).epochs == 3


def test_parameters_override_the_spec(digits: tuple[Any, Any]) -> None:
    """What the constructor is given replaces the spec's training settings."""
    X, y = digits[0][:100], digits[1][:100]

    classifier = GridClassifier(
        SMALL,
        epochs=2,
        learning_rate=0.005,
        batch_size=7,
        optimizer={"sgd": {"momentum": 0.5}},
        weight_decay=0.1,
        random_state=4,
        changes={"stages[0].convolution.filters": 3},
    ).fit(X, y)

    training = classifier.model_.spec.training
    assert (training.epochs, training.learning_rate, training.batch_size) == (2, 0.005, 7)
    assert (training.weight_decay, training.seed) == (0.1, 4)
    assert training.optimizer.momentum == 0.5  # type: ignore[attr-defined]
    assert classifier.model_.network.blocks[0].output.channels == 3


def test_the_random_state_fixes_everything(digits: tuple[Any, Any]) -> None:
    """The same number gives the same bits, another one others; a RandomState is drawn from."""
    X, y = digits[0][:100], digits[1][:100]

    def parameters(state: Any) -> bytes:
        model = GridClassifier(SMALL, epochs=1, random_state=state).fit(X, y).model_
        return bytes(model.parameters.tobytes())

    assert parameters(3) == parameters(3)
    assert parameters(3) != parameters(4)
    assert parameters(np.random.RandomState(1)) == parameters(np.random.RandomState(1))
    assert parameters(np.int64(3)) == parameters(3)


def test_patience_needs_validation_items(digits: tuple[Any, Any]) -> None:
    """Early stopping works on a part that is not trained on, and says so when there is none."""
    X, y = digits

    stopped = GridClassifier(SMALL, epochs=500, patience=2, validation_fraction=0.2).fit(X, y)

    assert stopped.n_iter_ < 500
    assert stopped.history_[0].validation_accuracy is not None
    with pytest.raises(SpecError, match="set validation_fraction"):
        GridClassifier(SMALL, patience=2).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"check": "perhaps"}, "check must be one of reject, warn, off; got 'perhaps'"),
        ({"epochs": 0}, "'epochs' of training must be at least 1"),
        ({"learning_rate": "fast"}, "'learning_rate' of training must be a number"),
        ({"optimizer": "adm"}, "did you mean 'adam'"),
        ({"validation_fraction": 1.5}, "validation_fraction must be from 0 to below 1"),
        ({"spec": {"stages": ["pooling"]}}, "add head: voting"),
        ({"changes": {"stages[7].pooling.window": 2}}, "stages"),
    ],
)
def test_wrong_parameters_are_explained(
    parameters: dict[str, Any], message: str, digits: tuple[Any, Any]
) -> None:
    """Each wrong parameter is one clear sentence, from fit, as scikit-learn wants it."""
    classifier = GridClassifier(**{"spec": SMALL, **parameters})

    with pytest.raises(SpecError, match=message.replace("[", r"\[")):
        classifier.fit(*digits)


def test_one_class_is_refused(digits: tuple[Any, Any]) -> None:
    """There is nothing to tell apart in one class."""
    with pytest.raises(DataError, match="at least two classes; got one class"):
        GridClassifier().fit(digits[0][:10], np.zeros(10))


def test_any_labels_are_kept(digits: tuple[Any, Any]) -> None:
    """Texts, truth values and fractions as labels come back as they went in."""
    X = digits[0][:40]
    for labels in (["yes", "no"], [True, False], [-1, 1], [0.0, 1.0]):
        y = np.array(labels * 20)

        answers = GridClassifier(SMALL, epochs=1).fit(X, y).predict(X)

        assert answers.dtype == y.dtype
        assert set(answers.tolist()) <= set(labels)


def test_a_table_with_column_names_is_taken(digits: tuple[Any, Any]) -> None:
    """A DataFrame's columns are remembered, and others refused."""
    table = pd.DataFrame(digits[0][:60].reshape(60, 64)).add_prefix("cell")

    classifier = GridClassifier(SMALL, epochs=1, check="off").fit(table, digits[1][:60])

    assert list(classifier.feature_names_in_) == list(table.columns)
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(table.rename(columns={"cell0": "other"}))


def test_paths_of_pictures_go_through_the_adapter(photographs: Path) -> None:
    """A list of paths is adapted as the spec says, and answered with the folder's names."""
    files = sorted(file for file in photographs.rglob("*") if file.is_file())
    labels = [file.relative_to(photographs).parts[0] for file in files]
    spec = {**SMALL, "adapter": {"image": {"size": [16, 16], "channels": 3}}}

    classifier = GridClassifier(spec, epochs=25, random_state=0).fit(files, labels)

    assert classifier.model_.network.shape.sizes == (3, 16, 16)
    assert classifier.score(files, labels) > 0.9
    assert classifier.predict([str(files[0])]).tolist() == [labels[0]]


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_texts_need_no_spec(kind: Any) -> None:
    """Texts that are no paths go through the text adapter, and stages that suit them."""
    data = Phrases(count=400, words=2).open(Request())
    X, y = kind(data.things), np.array(data.labels)

    classifier = GridClassifier(random_state=0).fit(X[:300], y[:300])

    assert classifier.score(X[300:], y[300:]) > 0.6  # 0.83 or more, with three seeds
    assert classifier.model_.adapter.title == "text"


def test_a_fitted_classifiers_model_can_be_saved(digits: tuple[Any, Any], tmp_path: Path) -> None:
    """`model_` saves and loads, and then votes the same."""
    X, y = digits[0][:60], digits[1][:60]
    classifier = GridClassifier(SMALL, epochs=1).fit(X, y)

    loaded = gridcnn.load(classifier.model_.save(tmp_path / "digits.safetensors"))

    assert (loaded.votes(X) == classifier.predict_proba(X)).all()
    assert loaded.classes == tuple(range(10))


def test_a_model_of_truth_values_can_be_loaded(digits: tuple[Any, Any], tmp_path: Path) -> None:
    """In a model file, False and True are the classes 0 and 1."""
    classifier = GridClassifier(SMALL, epochs=1).fit(digits[0][:40], digits[1][:40] > 4)

    loaded = gridcnn.load(classifier.model_.save(tmp_path / "model.safetensors"))

    assert loaded.classes == (0, 1)


@pytest.mark.parametrize("spec", ["xo", None])
def test_the_adapter_can_be_changed(spec: str | None, photographs: Path) -> None:
    """`changes` reach the adapter, with a spec and without."""
    files = sorted(file for file in photographs.rglob("*") if file.is_file())
    labels = [file.relative_to(photographs).parts[0] for file in files]
    changes = {"adapter.image.size": [12, 16]}

    classifier = GridClassifier(spec, epochs=1, changes=changes).fit(files, labels)

    assert classifier.model_.shape.sizes == (1, 12, 16)


def test_the_checker_guards_fit(monkeypatch: pytest.MonkeyPatch, digits: tuple[Any, Any]) -> None:
    """By default data that a checker calls permutable is rejected."""
    verdict = guard_module.Verdict("permutable", ("columns say nothing",))
    monkeypatch.setitem(guard_module.CHECKERS._loaded, "fake", lambda *_: verdict)
    monkeypatch.setitem(guard_module.CHECKERS._places, "fake", "nowhere:nothing")

    with pytest.raises(ColumnPermutableError, match="columns say nothing"):
        GridClassifier(SMALL, epochs=1).fit(*digits)
    with pytest.warns(guard_module.PermutableWarning):
        GridClassifier(SMALL, epochs=1, check="warn").fit(*digits)
    GridClassifier(SMALL, epochs=1, check="off").fit(*digits)


def test_a_table_is_refused_unless_told_otherwise() -> None:
    """The wines' columns may stand in any order: "reject" is the default."""
    X, y = load_wine(return_X_y=True)

    with pytest.raises(ColumnPermutableError, match='give check="warn"'):
        GridClassifier(epochs=1).fit(X, y)
    with pytest.warns(guard_module.PermutableWarning, match="no grid"):
        warned = GridClassifier(epochs=1, check="warn").fit(X, y)
    off = GridClassifier(epochs=1, check="off").fit(X, y)

    assert {name: each.decision for name, each in warned.verdicts_.items()} == {
        "order": "permutable"
    }
    assert off.verdicts_ == {}
    assert (warned.predict_proba(X) == off.predict_proba(X)).all()


def test_what_the_checkers_found_is_kept(digits: tuple[Any, Any]) -> None:
    """It is pickled with the classifier, and the same for the same seed."""
    X, y = digits[0][:200], digits[1][:200]

    first = GridClassifier(SMALL, epochs=1, random_state=1).fit(X, y)
    again = GridClassifier(SMALL, epochs=1, random_state=1).fit(X, y)
    copy = pickle.loads(pickle.dumps(first))

    assert first.verdicts_["order"].decision == "grid"
    assert first.verdicts_["order"].evidence == again.verdicts_["order"].evidence
    assert copy.verdicts_["order"].evidence == first.verdicts_["order"].evidence


def test_what_is_learned_does_not_depend_on_the_threads(digits: tuple[Any, Any]) -> None:
    """One thread or several give the same bits."""
    X, y = digits[0][:100], digits[1][:100]

    found = [GridClassifier(SMALL, epochs=2, threads=count).fit(X, y) for count in (1, 3)]

    first, second = (classifier.model_.parameters.tobytes() for classifier in found)
    assert first == second


@pytest.mark.parametrize("choice", [{"threads": 0}, {"engine": "warp"}])
def test_a_wrong_engine_is_told(digits: tuple[Any, Any], choice: dict[str, Any]) -> None:
    with pytest.raises(gridcnn.UserError, match=r"threads must be|'warp' is not an engine"):
        GridClassifier(SMALL, **choice).fit(*digits)


def test_a_network_that_cannot_fit_is_refused(
    digits: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridcnn.training.memory.usable_memory", lambda: 1_000_000)

    with pytest.raises(TrainingError, match=r"and 1\.0 MB are usable here"):
        GridClassifier(SMALL, epochs=1).fit(*digits)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["k", "k\0"], ["k", "k\0"]),
        ([-1, 2**63], [-1, 2**63]),
        ([1, 2**64], [1, 2**64]),
        ([2, "a"], [2, "a"]),
        ([1, 2.0], [1, 2]),
        ([b"a", "b"], ["a", "b"]),
        (np.array(["k", "k\0"], object), ["k", "k\0"]),
        (pd.Series(["k", "k\0"]), ["k", "k\0"]),
        (pd.Series([-1, 2**63]), [-1, 2**63]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (np.array([1.0, 2.0]), [1, 2]),
    ],
)
def test_labels_stay_what_they_are(labels: Any, classes: list[Any]) -> None:
    """NumPy would cut texts at trailing NULs, and make floats of numbers and texts of both."""
    X = np.random.default_rng(0).normal(size=(12, 4, 4))
    y: Any = labels * 6 if isinstance(labels, list) else np.concatenate([labels] * 6)
    if isinstance(labels, pd.Series):
        y = pd.concat([labels] * 6)

    classifier = GridClassifier(check="off", epochs=1).fit(X, y)

    assert classifier.classes_.tolist() == classes
    assert list(classifier.model_.classes) == classes
    assert set(classifier.predict(X).tolist()) <= set(classes)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, "1"], "the label 1 both as a number and as a text"),
        ([np.nan, "a"], r"y\[0\], y\[2\], .* are missing"),
        (["a", None], r"y\[1\], y\[3\], .* are missing"),
        (["", "a"], r"y\[0\], y\[2\], .* are missing"),
    ],
)
def test_labels_that_are_none_are_refused(labels: list[Any], message: str) -> None:
    """NumPy would make texts of them: "nan", "None"."""
    X = np.random.default_rng(0).normal(size=(12, 4, 4))

    with pytest.raises(DataError, match=message):
        GridClassifier(check="off", epochs=1).fit(X, labels * 6)
