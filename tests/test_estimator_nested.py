"""Settings of the spec as nested parameters of `GridClassifier`, and searches over them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - it makes the next line work
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import gridcnn
from gridcnn import GridClassifier
from gridcnn.errors import SpecError
from gridcnn.spec.load import load
from gridcnn.spec.nested import load_nested, nested_settings

SPEC: dict[str, Any] = {
    "stages": [
        {"convolution": {"filters": 4}},
        {"skip": ["rectification", {"convolution": {"filters": 4}}]},
        "pooling",
    ],
    "head": {"voting": {"hidden": [8]}},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
}
RANDOM = np.random.default_rng(0)
LABELS = np.arange(60) % 2
GRIDS = RANDOM.normal(size=(60, 6, 6)) + LABELS[:, None, None]


def classifier(**parameters: Any) -> GridClassifier:
    return GridClassifier(SPEC, check="off", **parameters)


def test_every_setting_of_the_spec_is_a_parameter() -> None:
    """Its value is that of the spec with all changes; the names of stages are left out."""
    made = classifier(learning_rate=0.5, changes={"training.epochs": 7})

    params = made.get_params()

    assert params["stages__0__filters"] == 4
    assert params["stages__1__stages__1__filters"] == 4
    assert params["head__hidden"] == (8,)
    assert params["training__learning_rate"] == 0.5
    assert params["training__epochs"] == 7
    assert params["training__optimizer__beta1"] == 0.9
    assert "stages__0__filters" not in made.get_params(deep=False)
    assert not any("__" in name for name in GridClassifier().get_params())


def test_nested_parameters_are_set_as_changes_of_the_spec() -> None:
    """The trained model has them, as if the spec had said so."""
    made = classifier().set_params(
        stages__0__filters=4,
        stages__1__stages__1__kernel_size=[1, 1],
        head__hidden=[4],
        training__epochs=3,
        epochs=None,
    )

    made.fit(GRIDS, LABELS)

    spec = made.model_.spec
    assert spec.stages[1].stages[1].kernel_size == (1, 1)  # type: ignore[union-attr]
    assert spec.head.hidden == (4,)  # type: ignore[union-attr]
    assert made.n_iter_ == 3
    changes = {
        "stages[1].skip.stages[1].convolution.kernel_size": [1, 1],
        "head.voting.hidden": [4],
        "training.epochs": 3,
    }
    same = classifier(changes=changes).fit(GRIDS, LABELS)
    assert (made.model_.parameters == same.model_.parameters).all()


def test_a_clone_has_the_same_nested_parameters() -> None:
    """They are kept in `changes`, a parameter of the constructor."""
    made = classifier().set_params(stages__0__filters=np.int64(6), training__learning_rate=0.02)

    copied = clone(made)

    assert copied.changes == {"stages__0__filters": 6, "training__learning_rate": 0.02}
    assert copied.get_params()["stages__0__filters"] == 6
    assert copied.get_params() == made.get_params()


def test_all_parameters_can_be_set_to_themselves() -> None:
    """As scikit-learn expects of every estimator."""
    made = classifier()

    again = classifier().set_params(**made.get_params())

    assert again.get_params()["stages__0__filters"] == 4
    first, second = made.fit(GRIDS, LABELS), again.fit(GRIDS, LABELS)
    assert (first.model_.parameters == second.model_.parameters).all()


def test_what_is_chosen_can_be_set_with_its_settings() -> None:
    """The outer name first; another choice forgets the settings of the one before."""
    made = classifier().set_params(
        training__optimizer__momentum=0.5, training__optimizer="sgd", stages__2="rectification"
    )
    assert made.get_params()["training__optimizer__momentum"] == 0.5
    assert "stages__2__window" not in made.get_params()

    made.set_params(training__optimizer="adamw")

    assert made.changes == {"training__optimizer": "adamw", "stages__2": "rectification"}
    assert "training__optimizer__momentum" not in made.get_params()
    made.fit(GRIDS, LABELS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("stages__0__filtrs", "no setting 'stages__0__filtrs'; did you mean 'stages__0__filters'?"),
        ("stages__9__filters", "no setting 'stages__9__filters'; did you mean"),
        ("head__qqqq", r"no setting 'head__qqqq'; get_params\(\) lists all of them"),
        ("training__optimizer__momentum", "no setting 'training__optimizer__momentum'"),
    ],
)
def test_an_unknown_nested_parameter_is_refused(name: str, message: str) -> None:
    """When it is set, so that a search does not run with a name that changes nothing."""
    with pytest.raises(SpecError, match=message):
        classifier().set_params(**{name: 3})


def test_other_unknown_parameters_are_refused_by_scikit_learn() -> None:
    """As always."""
    for name in ("filters", "spec__name", "changes__a"):
        with pytest.raises((ValueError, AttributeError)):
            classifier().set_params(**{name: 3})


def test_a_wrong_value_is_reported_by_fit() -> None:
    """As for any other parameter."""
    made = classifier().set_params(stages__0__filters=0)

    with pytest.raises(SpecError, match="'filters' of convolution must be at least 1; got 0"):
        made.fit(GRIDS, LABELS)


def test_a_grid_search_varies_nested_parameters() -> None:
    """Each fit has its own; the best estimator has the best ones."""
    grid = {"stages__0__filters": [4], "training__learning_rate": [1e-6, 0.02]}

    search = GridSearchCV(classifier(), grid, cv=2).fit(GRIDS, LABELS)

    assert search.best_params_ == {"stages__0__filters": 4, "training__learning_rate": 0.02}
    assert search.best_estimator_.model_.spec.training.learning_rate == 0.02
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 2


def test_a_halving_search_may_take_epochs_as_its_resource() -> None:
    """Few for all candidates, more for the best of them."""
    search = HalvingRandomSearchCV(
        classifier(),
        {"training__learning_rate": loguniform(1e-4, 1e-1), "training__optimizer": ["sgd", "adam"]},
        n_candidates=4,
        resource="training__epochs",
        min_resources=1,
        max_resources=4,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(GRIDS, LABELS)

    assert search.n_resources_ == [1, 2, 4]
    assert search.best_estimator_.n_iter_ == 4


def test_a_classifier_without_a_spec_takes_nested_parameters_too() -> None:
    """They are those of the network that is built for the grids."""
    made = GridClassifier(check="off", epochs=1).set_params(stages__0__filters=5)

    made.fit(GRIDS, LABELS)

    assert made.model_.spec.stages[0].filters == 5  # type: ignore[union-attr]
    with pytest.raises(SpecError, match="stages has the entries 0 to 5; got 9"):
        clone(made).set_params(stages__9__filters=5).fit(GRIDS, LABELS)


def test_nested_parameters_work_inside_of_a_pipeline() -> None:
    """By one more name in front."""
    pipeline = make_pipeline(FunctionTransformer(), classifier())

    pipeline.set_params(gridclassifier__stages__0__filters=4, gridclassifier__training__epochs=1)

    assert pipeline.fit(GRIDS, LABELS)[-1].n_iter_ == 1


def test_nested_names_are_those_of_the_spec() -> None:
    """Each setting that is listed can be changed to what it is, and the spec stays as it is."""
    spec = load({**SPEC, "adapter": {"image": {"size": [6, 6]}}})

    for name, value in nested_settings(spec).items():
        assert load_nested(spec, {name: value}) == spec, name
    assert gridcnn.GridClassifier(spec).get_params()["adapter__size"] == (6, 6)
