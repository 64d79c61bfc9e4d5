"""Classes and items may count more or less, and an epoch may have as many items of each class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from gridcnn.errors import SpecError
from gridcnn.spec.load import load
from gridcnn.spec.models import Training
from gridcnn.training.weighing import class_counts, epoch_order, item_weights

TARGETS = np.array([0] * 12 + [1] * 3 + [2] * 5)
CLASSES = ["common", "rare", "some"]


def weights(given: Any, **options: Any) -> Any:
    return item_weights(Training(class_weights=given), TARGETS, CLASSES, **options)


def test_without_weights_there_are_none() -> None:
    assert weights(None) is None


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    """Each class counts the same in all, and an item counts 1 on average."""
    found = weights("balanced")

    np.testing.assert_allclose(found, compute_sample_weight("balanced", TARGETS), rtol=1e-6)
    assert found.mean() == pytest.approx(1)
    sums = np.bincount(TARGETS, weights=found)
    np.testing.assert_allclose(sums, sums[0], rtol=1e-6)


def test_only_the_ratios_of_weights_matter() -> None:
    """Weights are 1 on average; a class that is not named has the weight 1."""
    once, thrice = weights({"rare": 4}), weights({"rare": 12, "common": 3, "some": 3})

    np.testing.assert_allclose(once, thrice, rtol=1e-6)
    assert once.mean() == pytest.approx(1)
    assert once[12] / once[0] == pytest.approx(4)


def test_weights_of_items_are_multiplied_by_those_of_their_classes() -> None:
    own = np.linspace(0, 2, len(TARGETS))

    found = weights({"rare": 2}, own=own)

    expected = own * np.where(TARGETS == 1, 2, 1)
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-6)


def test_balanced_weights_count_the_weights_of_items() -> None:
    """A class whose items weigh more already is not raised once more."""
    own = np.where(TARGETS == 1, 4.0, 1.0)

    sums = np.bincount(TARGETS, weights=weights("balanced", own=own))
    np.testing.assert_allclose(sums, sums[0], rtol=1e-6)


def test_classes_are_found_by_their_names_as_texts() -> None:
    """Class 3 is '3' in a spec of YAML or JSON as well."""
    targets = np.array([0, 1, 1])

    found = item_weights(Training(class_weights={3: 2}), targets, [3, 7])
    assert found is not None
    assert found[0] / found[1] == pytest.approx(2)


def test_a_class_that_the_data_does_not_have_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("training:\n  class_weights:\n    common: 1\n    raer: 5\n")
    spec = load(path)

    with pytest.raises(SpecError, match=r":4:.*'raer', which is not a class.*did you mean 'rare'"):
        item_weights(spec.training, TARGETS, CLASSES, document=spec.document)


def test_weights_of_nothing_are_refused() -> None:
    with pytest.raises(SpecError, match="no training item has a weight above zero"):
        weights(None, own=np.zeros(len(TARGETS)))


@pytest.mark.parametrize(
    "given", ["equal", {}, {"a": -1}, {"a": "much"}, {"a": True}, {"a": 0}, [1, 2], 3, {"a": 1e10}]
)
def test_other_weights_are_refused(given: Any) -> None:
    with pytest.raises(SpecError, match="class_weights"):
        Training(class_weights=given)


def test_a_shuffled_epoch_has_each_item_once() -> None:
    order = epoch_order(Training(), TARGETS, np.random.default_rng(0))
    assert sorted(order) == list(range(20))


@pytest.mark.parametrize("seed", range(5))
def test_a_balanced_epoch_has_as_many_items_of_each_class(seed: int) -> None:
    """Each item of a rare class is used equally often, give or take once; the epoch is as long."""
    order = epoch_order(Training(sampling="balanced"), TARGETS, np.random.default_rng(seed))

    assert len(order) == len(TARGETS)
    counts = np.bincount(TARGETS[order])
    assert counts.max() - counts.min() <= 1
    for label in range(3):
        uses = np.bincount(order, minlength=20)[label == TARGETS]
        assert uses.max() - uses.min() <= 1


def test_how_much_classes_count_follows_weights_and_sampling() -> None:
    balanced = weights("balanced")
    plain, sampled = Training(), Training(sampling="balanced")

    np.testing.assert_allclose(class_counts(plain, TARGETS, None, 3), [12, 3, 5])
    np.testing.assert_allclose(class_counts(plain, TARGETS, balanced, 3), [20 / 3] * 3, rtol=1e-6)
    np.testing.assert_allclose(class_counts(sampled, TARGETS, None, 3), [20 / 3] * 3)
    # Balanced twice, a rare class counts more than the others.
    twice = class_counts(sampled, TARGETS, balanced, 3)
    by_class = compute_class_weight("balanced", classes=np.arange(3), y=TARGETS)
    np.testing.assert_allclose(twice, by_class * 20 / 3, rtol=1e-6)


def test_a_weight_that_is_too_large_says_what_is_allowed() -> None:
    with pytest.raises(SpecError, match=r"'balanced', or .* numbers from 0 to 1,000,000,000; got"):
        Training(class_weights={"rare": 2e9, "common": 1})
