from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from gridcnn.label_measures import choose_thresholds, label_measures


def drawn(
    seed: int, items: int = 60, labels: int = 4
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return labels, a third of which are not known, and votes, many of which are equal."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, (items, labels)).astype(np.float32)
    votes = np.clip(targets * 0.2 + random.integers(0, 9, targets.shape) / 10, 0, 1)
    targets[random.random(targets.shape) < 1 / 3] = np.nan
    return targets, votes.astype(np.float32)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_scores_of_a_label_are_those_of_scikit_learn_on_what_is_known(seed: int) -> None:
    targets, votes = drawn(seed)
    thresholds = [0.5, 0.3, 0.7, 0.55]

    found = label_measures(targets, votes, thresholds)
    for label, scores in enumerate(found.scores):
        known = ~np.isnan(targets[:, label])
        truth, vote = targets[known, label], votes[known, label].astype(np.float64)
        answer = vote >= thresholds[label]
        assert (scores.known, scores.positives) == (known.sum(), truth.sum())
        assert scores.auc == pytest.approx(metrics.roc_auc_score(truth, vote))
        expected = metrics.average_precision_score(truth, vote)
        assert scores.average_precision == pytest.approx(expected)
        each = metrics.precision_recall_fscore_support(
            truth, answer, average="binary", zero_division=0
        )
        np.testing.assert_allclose((scores.precision, scores.recall, scores.f1), each[:3])
        assert scores.threshold == thresholds[label]
    assert found.auc == pytest.approx(np.mean([each.auc for each in found.scores]))
    assert found.macro_f1 == pytest.approx(np.mean([each.f1 for each in found.scores]))


def test_measures_of_all_labels_are_those_of_scikit_learn() -> None:
    """If everything is known."""
    targets, votes = drawn(3)
    targets = np.nan_to_num(targets)
    answers = (votes >= 0.5).astype(int)

    found = label_measures(targets, votes, [0.5] * 4)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(targets, answers))
    assert found.right == pytest.approx(1 - metrics.hamming_loss(targets, answers))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(targets, answers, average="macro"))
    assert found.micro_f1 == pytest.approx(metrics.f1_score(targets, answers, average="micro"))
    assert found.auc == pytest.approx(metrics.roc_auc_score(targets, votes, average="macro"))
    confusion = metrics.multilabel_confusion_matrix(targets, answers)
    np.testing.assert_array_equal(found.confusion, confusion)
    balanced = [
        metrics.balanced_accuracy_score(*each) for each in zip(targets.T, answers.T, strict=True)
    ]
    assert found.balanced_accuracy == pytest.approx(np.mean(balanced))
    recalls = metrics.recall_score(targets, answers, average=None)
    assert found.worst == recalls.argmin()
    usual = (targets.mean(axis=0) > 0.5).astype(int)
    assert found.majority[0] == tuple(np.flatnonzero(usual))
    assert found.majority[1] == (targets == usual).all(axis=1).mean()


def test_labels_that_are_not_known_are_left_out() -> None:
    """An item matches if what is known of it is right; a label of which nothing is has no score."""
    targets = np.array([[1, np.nan], [0, np.nan], [np.nan, np.nan]], np.float32)
    votes = np.array([[0.9, 0.9], [0.8, 0.1], [0.1, 0.9]], np.float32)

    found = label_measures(targets, votes, [0.5, 0.5])
    assert (found.items, found.accuracy, found.right) == (3, 2 / 3, 1 / 2)
    assert (found.auc, found.macro_f1) == (1.0, 2 / 3)
    assert (found.scores[1].known, found.scores[1].auc, found.scores[1].f1) == (0, None, 0)
    plain = json.loads(json.dumps(found.plain(["a", 7])))
    assert plain["exact_match"] == plain["accuracy"] == 2 / 3
    assert plain["labels"]["a"]["positives"] == 1
    assert plain["labels"]["7"]["average_precision"] is None


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_no_other_threshold_has_a_higher_f1(seed: int) -> None:
    """Of all votes of the items, tried one by one."""
    targets, votes = drawn(seed, items=30, labels=2)

    chosen = label_measures(targets, votes, choose_thresholds(targets, votes))
    for threshold in np.unique(votes):
        tried = label_measures(targets, votes, [float(threshold)] * 2)
        for best, other in zip(chosen.scores, tried.scores, strict=True):
            assert best.f1 >= other.f1 - 1e-12


def test_a_threshold_is_half_way_between_votes() -> None:
    """Of equally good ones the nearest to 0.5; without both kinds of items it is 0.5."""
    targets = np.array([[1, 1, np.nan], [1, 1, 0], [0, 1, 0], [0, np.nan, np.nan]], np.float32)
    votes = np.array([[0.75, 0.9, 1], [0.5, 0.9, 1], [0.25, 0.1, 1], [0, 0.2, 1]], np.float32)

    assert choose_thresholds(targets, votes) == (0.375, 0.5, 0.5)
    # Both cuts have the F1 of 2/3: above the second item, or below the last.
    tied = np.array([[1], [0], [0], [1]], np.float32)
    assert choose_thresholds(tied, np.array([[0.99], [0.98], [0.3], [0.2]], np.float32)) == (
        pytest.approx((0.1,))
    )
