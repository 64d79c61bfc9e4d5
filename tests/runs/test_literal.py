"""The literal comparison against a plain loop."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gridcnn.grid import OneHot
from gridcnn.runs.literal import EXEMPLARS, exemplars, literal_comparison
from gridcnn.training.loop import Labelled


def test_the_nearest_exemplar_answers() -> None:
    """The accuracy is that of a loop over all pairs."""
    random = np.random.default_rng(0)
    first = random.normal(size=(30, 2, 4, 5)).astype(np.float32)
    second = random.normal(size=(301, 2, 4, 5)).astype(np.float32)
    kept, test = Labelled(first, np.arange(30) % 3), Labelled(second, np.arange(301) % 3)

    found = literal_comparison(kept, test)

    right = 0
    for grid, target in zip(second, test.targets, strict=True):
        distances = [float(((grid - each) ** 2).sum()) for each in first]
        right += int(kept.targets[int(np.argmin(distances))] == target)
    assert found.exemplars == 30
    assert found.accuracy == right / 301


@pytest.mark.parametrize("rows", [2, 6])
def test_one_hot_grids_are_compared_cell_by_cell_too(rows: int) -> None:
    """The answer is that of their array."""
    random = np.random.default_rng(0)
    first, second = (
        OneHot(random.integers(-1, rows, (items, 9), np.int32), rows) for items in (30, 301)
    )

    found, expected = (
        literal_comparison(Labelled(kept, np.arange(30) % 3), Labelled(test, np.arange(301) % 3))
        for kept, test in ((first, second), (np.asarray(first), np.asarray(second)))
    )

    assert found == expected


def test_large_grids_are_compared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One-hot grids of a large alphabet never become one huge array; the answer stays the same."""
    random = np.random.default_rng(0)
    first, second = (random.integers(-1, 5, (items, 9), np.int32) for items in (30, 40))
    kept = Labelled(OneHot(first, 5), np.arange(30) % 3)
    test = Labelled(OneHot(second, 5), np.arange(40) % 3)
    whole = literal_comparison(kept, test)

    monkeypatch.setattr("gridcnn.runs.literal._CELLS", 100)

    assert literal_comparison(kept, test) == whole


def test_a_few_exemplars_of_each_class_are_kept() -> None:
    """Ten of each class, or all where a class has fewer; always the same ones for a seed."""
    targets = np.array([0] * 50 + [1] * 4 + [2] * 30)

    kept = exemplars(targets, seed=1)

    assert np.bincount(targets[kept]).tolist() == [EXEMPLARS, 4, EXEMPLARS]
    assert (kept == exemplars(targets, seed=1)).all()
    assert (kept != exemplars(targets, seed=2)).any()
    assert (np.diff(kept) > 0).all()


def test_labels_are_answered_by_the_nearest_of_which_they_are_known() -> None:
    """The exact match and the mean area are those of a loop over all pairs."""
    random = np.random.default_rng(0)
    first, second = (random.normal(size=(items, 1, 3, 4)).astype(np.float32) for items in (30, 90))
    labels, truth = (
        np.where(random.random((items, 2)) < 0.2, np.nan, random.integers(0, 2, (items, 2)))
        for items in (30, 90)
    )

    found = literal_comparison(
        Labelled(first, labels.astype(np.float32)), Labelled(second, truth.astype(np.float32))
    )
    matches, ahead = np.ones(90, bool), np.zeros((90, 2))
    for item, grid in enumerate(second):
        distances = np.array([((grid - each) ** 2).sum() for each in first])
        for label in range(2):
            known = ~np.isnan(labels[:, label])
            nearest = labels[known, label][distances[known].argmin()]
            if not np.isnan(truth[item, label]):
                matches[item] &= nearest == truth[item, label]
            lacks, has = (distances[labels[:, label] == mark].min() for mark in (0, 1))
            ahead[item, label] = lacks - has
    areas = [
        roc_auc_score(truth[known, label], ahead[known, label])
        for label, known in enumerate((~np.isnan(truth)).T)
    ]
    assert found.accuracy == matches.mean()
    assert found.auc == pytest.approx(np.mean(areas))


def test_exemplars_of_labels_have_and_lack_them() -> None:
    """Up to ten of each; one item may be kept for several labels."""
    random = np.random.default_rng(0)
    targets = (random.random((400, 3)) < [0.5, 0.1, 0.01]).astype(np.float32)
    targets[random.random(targets.shape) < 0.1] = np.nan

    kept = exemplars(targets, seed=0)
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= 6 * EXEMPLARS
    for label in range(3):
        for mark in (0, 1):
            in_all = (targets[:, label] == mark).sum()
            assert (targets[kept, label] == mark).sum() >= min(EXEMPLARS, in_all)
