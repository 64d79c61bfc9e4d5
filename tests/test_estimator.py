"""`GridClassifier` in scikit-learn's company."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_wine
from sklearn.metrics import recall_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, RobustScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gridcnn
from gridcnn import GridClassifier
from gridcnn.adapters.table import TableAdapter
from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.phrases import Phrases
from gridcnn.errors import ColumnPermutableError, DataError, SpecError, TrainingError
from gridcnn.order import guard as guard_module

SMALL: dict[str, Any] = {
    "stages": [{"convolution": {"filters": 8}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [16]}},
    "training": {"epochs": 15, "batch_size": 32, "learning_rate": 0.01},
}


# Checks that are skipped are announced as warnings.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        GridClassifier(check="off"),
        GridClassifier({**SMALL, "adapter": "table"}, check="off"),
        GridClassifier(SMALL, check="off"),
    ],
    expected_failed_checks=lambda _: {
        "check_sample_weight_equivalence_on_dense_data": "it wants seven equal digits, and votes "
        "are in float32: see test_a_weight_of_two_is_the_item_twice",
        # From 1.7 on it asks whether an estimator takes them.
        "check_sample_weight_equivalence_on_sparse_data": "sparse arrays are refused",
    },
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


@pytest.mark.slow
def test_channels_last_and_first_are_the_same_grids() -> None:
    """Moving the channels changes nothing about the votes."""
    X = np.random.default_rng(0).normal(size=(30, 8, 6, 3))
    y = np.arange(30) % 3

    last = GridClassifier(SMALL, epochs=2).fit(X, y).predict_proba(X)
    moved = X.transpose(0, 3, 1, 2)
    first = GridClassifier(SMALL, epochs=2).fit(moved, y).predict_proba(moved)

    assert (last == first).all()


@pytest.mark.filterwarnings("ignore::gridcnn.errors.TrainingWarning")
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
    assert classifier.model_.network.ops[0].output.channels == 3


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


def test_a_class_with_one_item_stays_in_training(digits: tuple[Any, Any]) -> None:
    """A warning says so; without a second item of any class there is nothing to wait for."""
    X, y = digits
    few = np.r_[np.flatnonzero(y != 9)[:60], np.flatnonzero(y == 9)[:1]]
    single = [np.flatnonzero(y == label)[0] for label in range(3)]

    with pytest.warns(UserWarning, match="'9' has 1.*validation has none of '9'"):
        fitted = GridClassifier(SMALL, epochs=1, validation_fraction=0.2).fit(X[few], y[few])

    assert 9 in fitted.classes_
    with pytest.raises(DataError, match="every class has only 1 item"):
        GridClassifier(SMALL, patience=2, validation_fraction=0.2).fit(X[single], y[single])


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


@pytest.mark.parametrize(
    "kind",
    [list, np.array, pd.Series, lambda texts: pd.DataFrame({"t": texts}), lambda t: np.c_[t]],
)
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


@pytest.mark.slow
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


TABLE: dict[str, Any] = {**SMALL, "adapter": {"table": {"size": [8, 8]}}}
"""What the checker advises for rows of 64 columns that are grids of 8 x 8."""


def test_the_layout_that_the_checker_advises_is_used() -> None:
    """Rows of digits are laid out as 8 x 8, by the spec or by a change, and learned well."""
    X, y = load_digits(return_X_y=True)
    first, second, y_first, y_second = train_test_split(X, y, random_state=0, stratify=y)
    layout = gridcnn.check(X, y).layout
    assert layout is not None
    (size,) = [settings["size"] for settings in layout.adapter.values()]

    by_spec = GridClassifier({**SMALL, "adapter": layout.adapter}, check="off").fit(first, y_first)
    change = {"adapter.table.size": size}
    by_change = GridClassifier(SMALL, check="off", changes=change).fit(first, y_first)

    assert size == [8, 8]
    assert by_spec.model_.shape.sizes == (1, 8, 8)
    assert by_spec.score(second, y_second) > 0.9
    assert (by_spec.predict_proba(second) == by_change.predict_proba(second)).all()


def test_fit_trains_as_a_run_does(tmp_path: Path) -> None:
    """Every part of the spec is obeyed: the same weights come out, to the last bit."""
    X, y = (each[:300] for each in load_digits(return_X_y=True))
    X, y = np.concatenate([X, X[:20]]), np.concatenate([y, y[:20]])
    spec = {
        "data": {"test": 0, "validation": 0.2, "duplicates": "drop"},
        "adapter": {"table": {"size": [8, 8]}},
        "stages": [{"convolution": {"filters": 6}}, "rectification", "pooling"],
        "head": {"voting": {"hidden": [16], "dropout": 0.2}},
        "training": {
            "epochs": 3,
            "batch_size": 32,
            "optimizer": {"sgd": {"momentum": 0.9}},
            "learning_rate": 0.01,
            "schedule": "cosine",
            "warm_up": 0.5,
            "augmentation": [{"shift": {"rows": 1}}],
            "start": "glorot",
            "gradient_clip": 1.0,
            "seed": 7,
        },
    }

    classifier = GridClassifier(spec).fit(X, y)

    result = gridcnn.run(spec, data=(X, y), out=tmp_path / "run")
    assert (classifier.model_.parameters == result.model.parameters).all()
    assert classifier.model_.adapter == result.model.adapter
    assert [each.loss for each in classifier.history_] == [each.loss for each in result.history]


@pytest.mark.parametrize("scaler", [None, StandardScaler(), RobustScaler()])
@pytest.mark.parametrize("outliers", [False, True])
def test_scaled_data_and_outliers_do_no_harm(scaler: Any, outliers: bool) -> None:
    """Without a spec, scaled numbers are left alone, and few far ones do not squash the rest."""
    X, y = load_digits(return_X_y=True)
    first, second, y_first, y_second = train_test_split(X, y, random_state=0, stratify=y)
    if outliers:
        first[3, 7], first[100, 3] = 1e6, -4e4
    classifier = GridClassifier(random_state=0, check="off")

    pipeline = make_pipeline(scaler, classifier) if scaler else classifier
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipeline.fit(first, y_first)
        score = pipeline.score(second, y_second)

    assert score > 0.9
    if outliers and not scaler:
        assert str(caught[0].message).startswith("2 items ")


def _sounds() -> tuple[Any, Any]:
    """Return clips of a low and of a high tone, int16 `(items, samples)`."""
    time = np.arange(4_000) / 16_000
    X = [np.sin(2 * np.pi * pitch * time) for _ in range(10) for pitch in (300, 3_000)]
    return (np.array(X) * 30_000).astype(np.int16), np.array(["low", "high"] * 10)


def _pictures() -> tuple[Any, Any]:
    """Return coloured pictures, uint8 `(items, rows, columns, 3)`."""
    X = np.zeros((20, 12, 12, 3), np.uint8)
    X[::2, :, :, 0] = X[1::2, :, :, 2] = 200
    return X, np.array(["red", "blue"] * 10)


def _rows() -> tuple[Any, Any]:
    """Return rows whose first or last half is high, `(items, columns)`."""
    X = np.zeros((20, 16))
    X[::2, :8] = X[1::2, 8:] = 5.0
    return X + np.random.default_rng(0).normal(size=X.shape), np.arange(20) % 2


@pytest.mark.parametrize(
    ("adapter", "data", "sizes"),
    [
        ({"array": {}}, _rows, (1, 1, 16)),
        ({"array": {"scaling": "range", "low": 0.0, "high": 5.0}}, _rows, (1, 1, 16)),
        ({"table": {"size": [4, 4]}}, _rows, (1, 4, 4)),
        ({"image": {"size": [8, 8], "channels": 3}}, _pictures, (3, 8, 8)),
        ({"audio": {"n_mels": 32}}, _sounds, (1, 32, 16)),
        ({"text": {"length": 12}}, lambda: (["good day", "win now"] * 9, [0, 1] * 9), None),
        ("molecule", lambda: (["CCO", "CC(=O)O"] * 9, [0, 1] * 9), None),
    ],
)
def test_every_adapter_is_used_for_what_it_takes(
    adapter: Any, data: Any, sizes: tuple[int, ...] | None, tmp_path: Path
) -> None:
    """What it has learned is used in answers, pickled, and saved with the model."""
    X, y = data()
    is_flat = sizes is None or sizes[1] == 1
    kernel: list[Any] = ["all", 3] if is_flat else [3, 3]
    pooling: dict[str, Any] = {"window": [1, 2] if is_flat else [2, 2]}
    spec = {
        "adapter": adapter,
        "stages": [
            {"convolution": {"filters": 8, "kernel_size": kernel}},
            "rectification",
            {"pooling": pooling},
        ],
        "head": {"voting": {"hidden": [16]}},
        "training": {"epochs": 60, "batch_size": 4, "learning_rate": 0.01},
    }

    classifier = GridClassifier(spec, check="off", random_state=0).fit(X, y)

    name = adapter if isinstance(adapter, str) else next(iter(adapter))
    assert classifier.model_.adapter.title == name
    if sizes is not None:
        assert classifier.model_.shape.sizes == sizes
    assert classifier.score(X, y) >= 0.9
    votes = classifier.predict_proba(X)
    again = pickle.loads(pickle.dumps(classifier))
    loaded = gridcnn.load(classifier.model_.save(tmp_path / "model.safetensors"))
    assert (again.predict_proba(X) == votes).all()
    assert (loaded.votes(list(X)) == votes).all()
    # One item at a time, whatever the shape of the array that holds it.
    assert (classifier.predict_proba(X[:1]) == votes[:1]).all()


def test_what_is_learned_is_learned_from_the_training_items() -> None:
    """Items for validation have no part in the scaling, and answers are scaled as in training."""
    X, y = _rows()

    classifier = GridClassifier(TABLE, changes={"adapter.table.size": [4, 4]}, check="off")
    classifier.set_params(validation_fraction=0.5, epochs=1).fit(X, y)

    adapter = classifier.model_.adapter
    assert isinstance(adapter, TableAdapter)
    means = adapter.means
    assert means is not None
    assert not np.allclose(means, X.mean(axis=0))
    shifted = classifier.predict_proba(X + 100)
    assert not np.allclose(shifted, classifier.predict_proba(X))


@pytest.mark.parametrize(
    ("adapter", "shape", "message"),
    [
        (
            "image",
            (20, 16),
            r"\(20, 16\), .*1 dimension; .*image takes items of 2 or 3.*reshape",
        ),
        (
            "table",
            (20, 4, 4),
            r"2 dimensions; the adapter table takes items of 1\..*reshape\(len",
        ),
        ("audio", (20, 2, 4, 4), "3 dimensions; the adapter audio takes items of 1 or 2"),
        ("array", (20, 2, 2, 2, 2), "4 dimensions; the adapter array takes items of 1 or 2 or 3"),
        (None, (20, 2, 2, 2, 2), "4 dimensions; the adapter array takes items of 1 or 2 or 3"),
        ("text", (20, 16), "the adapter text takes none; give a list of texts, or name another"),
        ("molecule", (20, 16), "the adapter molecule takes none"),
    ],
)
def test_an_array_that_the_adapter_does_not_take_is_refused(
    adapter: str | None, shape: tuple[int, ...], message: str
) -> None:
    """It is not taken by another adapter without a word; another one can be named."""
    X, y = np.random.default_rng(0).normal(size=shape), np.arange(20) % 2
    classifier = GridClassifier({**SMALL, "adapter": adapter}, check="off", epochs=1)

    with pytest.raises(DataError, match=message) as caught:
        classifier.fit(X, y)

    assert len(str(caught.value).splitlines()) == 1
    if X.ndim < 5:
        classifier.set_params(changes={"adapter": "array", "stages": None}).fit(X, y)
        assert classifier.model_.adapter.title == "array"


def test_texts_for_a_table_are_refused() -> None:
    with pytest.raises(DataError, match="such as 'tea', and the adapter table reads no files"):
        GridClassifier(TABLE).fit([None, "tea", "sun"], [0, 0, 1])


def test_answers_take_what_training_took() -> None:
    """An array for a model of texts is refused like in training; a single text is answered."""
    X, y = ["good day", "win now"] * 10, [0, 1] * 10
    classifier = GridClassifier(epochs=1).fit(X, y)

    with pytest.raises(DataError, match="the adapter text takes none"):
        classifier.predict(np.zeros((3, 4)))
    assert classifier.predict("good day").shape == (1,)


def test_names_of_an_earlier_fit_are_forgotten() -> None:
    """Texts have no features."""
    X, y = _rows()
    classifier = GridClassifier(check="off", epochs=1).fit(pd.DataFrame(X).add_prefix("c"), y)
    assert classifier.n_features_in_ == 16

    classifier.fit(["good day", "win now"] * 10, y)

    assert not hasattr(classifier, "n_features_in_")
    assert not hasattr(classifier, "feature_names_in_")


def test_a_cause_that_items_share_is_told_once() -> None:
    """Eighty files that are not there are one line, not eighty."""
    with pytest.raises(DataError) as caught:
        GridClassifier().fit([f"nope{n}.png" for n in range(80)], [0, 1] * 40)

    assert str(caught.value) == (
        "nope0.png: there is no such file (the same in 79 more: "
        f"{', '.join(f'nope{n}.png' for n in range(1, 20))} and 60 more)"
    )


@pytest.mark.parametrize(
    ("adapter", "parameter", "message"),
    [
        (
            "table",
            {"scaling": "none"},
            r"leave it out, and set its own: .*adapter\.table\.scaling",
        ),
        ("table", {"channel_order": "last"}, "channel_order='last' is for the adapter array"),
        (None, {"scaling": "some"}, "scaling must be one of auto, range, none; got 'some'"),
        (None, {"channel_order": 3}, "channel_order must be one of auto, first, last; got 3"),
    ],
)
def test_parameters_of_the_array_adapter_are_for_it_alone(
    adapter: str | None, parameter: dict[str, Any], message: str
) -> None:
    X, y = _rows()

    with pytest.raises(SpecError, match=message):
        GridClassifier({**SMALL, "adapter": adapter}, **parameter).fit(X, y)


def test_parameters_of_the_array_adapter_replace_its_settings() -> None:
    """As those of training replace the spec's."""
    X, y = _rows()
    spec = {**SMALL, "adapter": {"array": {"scaling": "range"}}}

    kept = GridClassifier(spec, check="off", epochs=1).fit(X, y)
    replaced = GridClassifier(spec, check="off", epochs=1, scaling="none").fit(X, y)

    assert [each.model_.adapter.model_dump()["scaling"] for each in (kept, replaced)] == [
        "range",
        "none",
    ]
    with pytest.raises(SpecError, match="is read by the adapter text; leave it out"):
        GridClassifier(scaling="none").fit(["a b", "c d"], [0, 1])


def test_the_seed_is_the_specs_unless_a_random_state_is_given() -> None:
    """One rule for all parameters: None means the spec's, and changes are the last word."""
    X, y = _rows()
    spec = {**SMALL, "check": "off", "training": {**SMALL["training"], "seed": 5, "epochs": 1}}

    def training(**parameters: Any) -> Any:
        return GridClassifier(spec, **parameters).fit(X, y).model_.spec.training

    assert training().seed == 5
    assert training(random_state=3).seed == 3
    assert training(random_state=3, changes={"training.seed": 8}).seed == 8
    assert training(epochs=2).epochs == 2
    assert training(epochs=2, changes={"training.epochs": 3}).epochs == 3


def test_the_check_is_the_specs_unless_it_is_given() -> None:
    """`check: off` of a spec is obeyed; a parameter replaces it."""
    X, y = load_wine(return_X_y=True)
    spec = {**SMALL, "check": "off"}

    assert GridClassifier(spec, epochs=1).fit(X, y).verdicts_ == {}
    with pytest.raises(ColumnPermutableError):
        GridClassifier(spec, check="reject", epochs=1).fit(X, y)


def test_the_validation_part_is_the_specs_unless_it_is_given() -> None:
    """Where the data section has one; otherwise all items are trained on."""
    X, y = _rows()
    spec = {**SMALL, "data": {"validation": 0.5}}

    def accuracy(spec: Any, **parameters: Any) -> float | None:
        classifier = GridClassifier(spec, check="off", epochs=1, **parameters).fit(X, y)
        return classifier.history_[0].validation_accuracy

    assert accuracy(spec) is not None
    assert accuracy(spec, validation_fraction=0) is None
    assert accuracy(SMALL) is None
    with pytest.raises(SpecError, match=r"takes no groups; set validation_fraction=0"):
        accuracy(spec, changes={"data.group": "speaker"})
    assert accuracy(spec, changes={"data.group": "speaker"}, validation_fraction=0) is None


def test_equal_items_are_left_out_where_the_spec_says_so() -> None:
    """The first of them is trained on, as a run does it."""
    X, y = _rows()
    twice, labels = np.concatenate([X, X]), np.concatenate([y, y])
    settings: dict[str, Any] = {"check": "off", "epochs": 2, "random_state": 0}
    drop = {"data.duplicates": "drop", "adapter.array.scaling": "none"}

    once = GridClassifier(SMALL, **settings, scaling="none").fit(X, y)
    dropped = GridClassifier(SMALL, **settings, changes=drop).fit(twice, labels)
    kept = GridClassifier(SMALL, **settings, scaling="none").fit(twice, labels)

    assert (once.model_.parameters == dropped.model_.parameters).all()
    assert (once.model_.parameters != kept.model_.parameters).any()


def test_items_that_cannot_be_read_are_left_out_where_the_spec_says_so() -> None:
    """With one warning; a class that has none left is an error."""
    X, y = ["good day", None, "win now", "good day"] * 5, [0, 0, 1, 0] * 5
    spec = {"data": {"bad_items": "skip"}, "head": "voting", "training": {"epochs": 1}}

    with pytest.warns(UserWarning, match=r"5 of 20 items cannot be read, .* first is item 1: "):
        classifier = GridClassifier(spec).fit(X, y)

    assert classifier.classes_.tolist() == [0, 1]
    with pytest.raises(DataError, match=r"item 1: its text is missing .* in 4 more: item 5, "):
        GridClassifier({"head": "voting"}).fit(X, y)
    with (
        pytest.warns(UserWarning, match="5 of 20"),
        pytest.raises(DataError, match="is left of the classes 2"),
    ):
        GridClassifier(spec).fit(X, [0, 2, 1, 0] * 5)


def test_missing_numbers_are_filled_in_where_the_adapter_does_it() -> None:
    """By NaN in an array, and by NA in a frame; otherwise they are refused, in one line."""
    X, y = _rows()
    X[::3, 2] = np.nan
    changes = {"adapter.table.missing": "mean"}

    filled = GridClassifier(SMALL, check="off", epochs=1, changes=changes)

    assert filled.fit(X, y).predict(X).shape == (20,)
    assert filled.fit(pd.DataFrame(X).convert_dtypes(), y).predict(pd.DataFrame(X)).shape == (20,)
    for adapter in ("table", "array"):
        refused = GridClassifier({**SMALL, "adapter": adapter}, check="off", epochs=1)
        with pytest.raises(DataError, match=r"item 0: .* in 6 more: item 3, item 6, "):
            refused.fit(X, y)


def test_a_model_of_a_frame_takes_its_columns_by_name() -> None:
    """The classifier wants them as scikit-learn does; its model takes them in any order."""
    X, y = _rows()
    frame = pd.DataFrame(X).add_prefix("c")

    classifier = GridClassifier(TABLE, check="off", epochs=1)
    classifier.set_params(changes={"adapter.table.size": [4, 4]}).fit(frame, y)

    turned = frame[frame.columns[::-1]]
    votes = classifier.predict_proba(frame)
    assert (classifier.model_.votes(turned) == votes).all()
    with pytest.raises(ValueError, match="same order"):
        classifier.predict(turned)


def test_settings_are_searched_within_pipelines() -> None:
    """Whole specs, changes and adapters are parameters like others."""
    X, y = (each[:240] for each in load_digits(return_X_y=True))
    one = GridClassifier(check="off", epochs=15, random_state=0)
    specs = [gridcnn.Spec.model_validate(TABLE), SMALL]

    pipeline = make_pipeline(StandardScaler(), one)
    search = GridSearchCV(
        pipeline,
        {
            "gridclassifier__spec": specs,
            "gridclassifier__changes": [{"stages[0].convolution.filters": n} for n in (1, 8)],
        },
        cv=2,
        error_score="raise",
    ).fit(X, y)

    assert len(search.cv_results_["params"]) == 4
    assert search.best_score_ > 0.6
    copy = clone(search.best_estimator_)
    assert repr(copy.get_params()) == repr(search.best_estimator_.get_params())


def test_frames_of_a_column_transformer_are_taken() -> None:
    """With the names that it gives, and as an array without them."""
    X, y = _rows()
    frame = pd.DataFrame(X).add_prefix("c")
    scaled = [("scaled", StandardScaler(), list(frame.columns[:8]))]

    for output in ("pandas", "default"):
        columns = ColumnTransformer(scaled, remainder="passthrough").set_output(transform=output)
        pipeline = make_pipeline(columns, GridClassifier(SMALL, check="off", epochs=1)).fit(
            frame, y
        )

        assert pipeline.predict(frame).shape == (20,)
        assert hasattr(pipeline[-1], "feature_names_in_") == (output == "pandas")


def test_votes_can_be_calibrated() -> None:
    """Of texts as well, which scikit-learn cannot check."""
    X, y = np.array(["good day", "win now", "see you"] * 20), np.array(["b", "a", "c"] * 20)

    calibrated = CalibratedClassifierCV(GridClassifier(epochs=5, random_state=0), cv=2).fit(X, y)

    votes = calibrated.predict_proba(X)
    assert calibrated.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(votes.sum(axis=1), 1)


def test_a_weight_of_two_is_the_item_twice(digits: tuple[Any, Any]) -> None:
    """As long as all items are in one batch, and up to rounding; a weight of 0 leaves it out."""
    X, y = digits[0][:40], digits[1][:40]
    weights = np.random.default_rng(0).integers(0, 3, 40)
    spec = {**SMALL, "training": {"epochs": 8, "batch_size": 128, "learning_rate": 0.01}}

    weighted = GridClassifier(spec, check="off").fit(X, y, sample_weight=weights)
    repeated = GridClassifier(spec, check="off").fit(X.repeat(weights, 0), y.repeat(weights))
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-2, atol=1e-4
    )


def test_class_weights_find_more_of_a_rare_class() -> None:
    """One item of 20 is rare, and hard to tell: without weights it is hardly ever answered."""
    random = np.random.default_rng(0)
    y = np.where(random.random(800) < 0.05, "rare", "common")
    X = random.normal(0, 1, (800, 6, 6)) + np.where(y == "rare", 0.35, 0.0)[:, None, None]
    half = slice(0, 400), slice(400, 800)

    found = {}
    for weight in (None, "balanced", {"rare": 19, "common": 1}):
        model = GridClassifier(SMALL, class_weight=weight, check="off").fit(X[half[0]], y[half[0]])
        answers = model.predict(X[half[1]])
        found[str(weight)] = recall_score(y[half[1]], answers, pos_label="rare")
    plain, balanced, given = found.values()
    assert balanced > plain
    assert given > plain


def test_class_weights_are_named_by_labels_of_any_kind() -> None:
    """Labels that are numbers or truth values are the keys of a mapping, as in scikit-learn."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(30, 5, 5)), random.integers(0, 2, 30)

    for labels in (y, y.astype(bool), np.array(["no", "yes"])[y]):
        weight = {labels[y == 0][0]: 1, labels[y == 1][0]: 3}
        model = GridClassifier(SMALL, class_weight=weight, epochs=1, check="off").fit(X, labels)
        assert model.model_.spec.training.class_weights == {str(k): v for k, v in weight.items()}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 9, "sample_weight has the shape .9,.; give one weight for each of the 10 items"),
        ([1.0] * 9 + [-1.0], r"sample_weight.9. is -1; weights must be zero or more"),
        ([0.0] * 10, "all weights in sample_weight are zero"),
        ([0.0] * 5 + [1.0] * 5, "at least two classes; got one class"),
    ],
)
def test_wrong_weights_are_one_line(weights: list[float], message: str) -> None:
    X, y = np.zeros((10, 4, 4)), np.arange(10) // 5

    with pytest.raises(DataError, match=message):
        GridClassifier(SMALL, check="off").fit(X, y, sample_weight=weights)


def test_weights_whose_sum_is_infinite_count_by_their_ratios() -> None:
    X, y = np.random.default_rng(0).normal(size=(20, 4, 4)), np.arange(20) // 10
    weights = np.where(y == 1, 1.0, 0.5)

    large = GridClassifier(SMALL, check="off").fit(X, y, sample_weight=1e308 * weights)
    small = GridClassifier(SMALL, check="off").fit(X, y, sample_weight=weights)

    np.testing.assert_allclose(large.predict_proba(X), small.predict_proba(X), rtol=1e-5)


def test_an_unknown_class_among_class_weights_is_named(digits: tuple[Any, Any]) -> None:
    with pytest.raises(
        SpecError, match="class_weights names 'ten', which is not a class of the data"
    ):
        GridClassifier(SMALL, class_weight={"ten": 2}, check="off").fit(*digits)
