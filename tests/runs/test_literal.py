"""The literal comparison against a plain loop."""

import numpy as np

from gridcnn.runs.literal import EXEMPLARS, exemplars, literal_comparison
from gridcnn.training.loop import Labelled


def test_the_nearest_exemplar_answers() -> None:
    """The accuracy is that of a loop over all pairs."""
    random = np.random.default_rng(0)
    kept = Labelled(random.normal(size=(30, 2, 4, 5)).astype(np.float32), np.arange(30) % 3)
    test = Labelled(random.normal(size=(301, 2, 4, 5)).astype(np.float32), np.arange(301) % 3)

    found = literal_comparison(kept, test)

    right = 0
    for grid, target in zip(test.grids, test.targets, strict=True):
        distances = [float(((grid - each) ** 2).sum()) for each in kept.grids]
        right += int(kept.targets[int(np.argmin(distances))] == target)
    assert found.exemplars == 30
    assert found.accuracy == right / 301


def test_a_few_exemplars_of_each_class_are_kept() -> None:
    """Ten of each class, or all where a class has fewer; always the same ones for a seed."""
    targets = np.array([0] * 50 + [1] * 4 + [2] * 30)

    kept = exemplars(targets, seed=1)

    assert np.bincount(targets[kept]).tolist() == [EXEMPLARS, 4, EXEMPLARS]
    assert (kept == exemplars(targets, seed=1)).all()
    assert (kept != exemplars(targets, seed=2)).any()
    assert (np.diff(kept) > 0).all()
