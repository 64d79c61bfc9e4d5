"""Measures against scikit-learn, SciPy and counting."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics as theirs

from gridcnn.measures import (
    confusion_matrix,
    measures,
    roc_auc,
    wilson,
)


def voted(items: int, classes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return random classes, and votes that lean towards them."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, items)
    logits = random.normal(size=(items, classes)) + 1.5 * np.eye(classes)[targets]
    votes = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return targets, votes.astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_all_measures_are_scikit_learns(classes: int, seed: int) -> None:
    """Accuracy, confusion, precision, recall, F1 and the areas, of one class and in the mean."""
    targets, votes = voted(150, classes, seed)

    answers, numbers = votes.argmax(axis=1), range(classes)
    found = measures(targets, answers, classes, votes=votes)

    expected = theirs.precision_recall_fscore_support(
        targets, answers, labels=numbers, zero_division=0
    )
    ours = [[each.precision, each.recall, each.f1, each.items] for each in found.scores]
    np.testing.assert_allclose(np.transpose(ours), expected)
    assert found.accuracy == theirs.accuracy_score(targets, answers)
    assert (found.confusion == theirs.confusion_matrix(targets, answers, labels=numbers)).all()
    exact = votes.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    areas = [theirs.roc_auc_score(targets == each, exact[:, each]) for each in numbers]
    assert [each.auc for each in found.scores] == pytest.approx(areas, abs=1e-12)
    precisions = [
        theirs.average_precision_score(targets == each, exact[:, each]) for each in numbers
    ]
    assert [each.average_precision for each in found.scores] == pytest.approx(precisions, abs=1e-12)
    assert found.average_precision == pytest.approx(np.mean(precisions))
    assert found.macro_f1 == pytest.approx(theirs.f1_score(targets, answers, average="macro"))
    mean = theirs.roc_auc_score(targets, exact[:, 1] if classes == 2 else exact, multi_class="ovr")
    assert found.auc == pytest.approx(mean, abs=1e-12)


def test_a_class_that_never_occurs_or_is_never_answered_scores_nothing() -> None:
    """Its parts are 0 and it has no area, as the mean over the others shows."""
    targets = np.array([0, 0, 1, 1])
    votes = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1]])

    found = measures(targets, votes.argmax(axis=1), 3, votes=votes)

    last = found.scores[2]
    assert (last.precision, last.recall, last.f1, last.items, last.auc) == (0, 0, 0, 0, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs.f1_score(targets, votes.argmax(axis=1), labels=range(3), average=None)
    np.testing.assert_allclose([each.f1 for each in found.scores], expected)
    assert found.auc == pytest.approx(np.mean([0.75, 0.75]))


def test_one_class_alone_has_no_area() -> None:
    """There is nothing to tell it from."""
    targets = np.zeros(3, np.int64)

    found = measures(targets, targets, 2, votes=np.array([[0.9, 0.1]] * 3))

    assert found.auc is None
    assert found.accuracy == 1


def test_answers_alone_have_no_area() -> None:
    """All else is known without the votes."""
    found = measures(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)

    assert found.auc is None
    assert [each.auc for each in found.scores] == [None, None]
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.confusion.tolist() == [[1, 0], [1, 1]]


def test_no_items_at_all_say_nothing() -> None:
    """The interval is everything there is."""
    nothing = np.zeros(0, np.int64)

    found = measures(nothing, nothing, 2, votes=np.zeros((0, 2), np.float32))

    assert (found.items, found.interval, found.auc) == (0, (0.0, 1.0), None)
    assert found.confusion.tolist() == [[0, 0], [0, 0]]


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys(counts: tuple[int, int]) -> None:
    """Wilson's, as SciPy computes it, and it holds the part itself."""
    right, items = counts

    low, high = wilson(right, items)

    expected = binomtest(right, items).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / items <= high <= 1


def test_the_ends_of_the_interval_are_exact() -> None:
    """All right reaches 1 and nothing right reaches 0, whatever rounding would make of it."""
    assert [wilson(n, n)[1] for n in range(1, 200)] == [1.0] * 199
    assert [wilson(0, n)[0] for n in range(1, 200)] == [0.0] * 199


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=1, max_size=40))
def test_the_area_is_what_counting_pairs_gives(items: list[tuple[bool, int]]) -> None:
    """Every pair of an item inside and one outside counts; equal ones count half."""
    inside = np.array([each for each, _ in items])
    order = np.array([float(each) for _, each in items])

    found = roc_auc(inside, order)

    pairs = [(a > b) + (a == b) / 2 for a in order[inside] for b in order[~inside]]
    assert found == (pytest.approx(np.mean(pairs)) if pairs else None)
    if pairs:
        assert found == pytest.approx(theirs.roc_auc_score(inside, order))


def class_aucs(targets: NDArray[np.int64], votes: NDArray[np.float32]) -> list[float | None]:
    found = measures(targets, votes.argmax(axis=1), votes.shape[1], votes=votes)
    return [each.auc for each in found.scores]


def test_the_area_sees_what_float32_rounds_to_one() -> None:
    """Votes for a class that are all 1 still differ in what is left for the other."""
    left = np.array([1e-9, 2e-9, 3e-9, 4e-9], np.float32)
    votes = np.stack([1 - left, left], axis=1).astype(np.float32)

    assert (votes[:, 0] == 1).all()
    assert class_aucs(np.array([0, 0, 1, 1]), votes) == [1, 1]


def test_votes_of_nothing_come_last() -> None:
    """A vote of exactly 0 is less than any other, and costs no warning."""
    votes = np.array([[1, 0], [0.5, 0.5], [0, 1]], np.float32)

    assert class_aucs(np.array([0, 0, 1]), votes) == [1, 1]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=60))
def test_confusion_is_what_counting_gives(pairs: list[tuple[int, int]]) -> None:
    """Rows are the truth, columns the answers."""
    targets = np.array([truth for truth, _ in pairs], np.int64)
    answers = np.array([answer for _, answer in pairs], np.int64)

    found = confusion_matrix(targets, answers, 5)

    assert all(found[a, b] == pairs.count((a, b)) for a in range(5) for b in range(5))
    assert found.sum() == len(pairs)


def test_plain_measures_go_through_json() -> None:
    """Nothing of NumPy is left in them, and classes have their names."""
    targets, votes = voted(20, 2, 0)

    found = measures(targets, votes.argmax(axis=1), 2, votes=votes)
    plain: dict[str, Any] = json.loads(json.dumps(found.plain(["a", 7])))

    assert list(plain) == [
        *("accuracy", "interval", "items", "auc", "average_precision", "balanced_accuracy"),
        *("macro_f1", "majority", "worst", "reliability"),
        *("classes", "confusion"),
    ]
    assert list(plain["classes"]) == ["a", "7"]
    assert list(plain["classes"]["a"]) == [
        *("precision", "recall", "f1", "items", "auc", "average_precision"),
    ]


def test_balanced_accuracy_is_that_of_scikit_learn_and_beside_it_is_the_majority() -> None:
    random = np.random.default_rng(0)
    targets = np.repeat([0, 1, 3], [50, 3, 7])
    answers = np.where(random.random(60) < 0.7, targets, random.integers(0, 4, 60))

    found = measures(targets, answers, 4)

    with warnings.catch_warnings():  # of a class that is answered, and does not occur
        warnings.simplefilter("ignore")
        assert found.balanced_accuracy == pytest.approx(
            theirs.balanced_accuracy_score(targets, answers)
        )
    recalls = theirs.recall_score(targets, answers, labels=[0, 1, 3], average=None)
    assert found.majority[0] == 0
    assert found.majority[1] == pytest.approx(50 / 60)
    assert found.worst == [0, 1, 3][int(recalls.argmin())]


def test_of_no_items_nothing_is_the_worst() -> None:
    none = np.zeros(0, np.int64)

    found = measures(none, none, 2)

    assert (found.balanced_accuracy, found.majority, found.worst) == (0.0, (0, 0.0), None)
    assert found.plain(["a", "b"])["worst"] is None


def test_measures_and_evaluation_do_without_scikit_learn() -> None:
    """Neither a run nor an evaluation waits for its import."""
    code = "import sys, gridcnn.evaluation, gridcnn.runs.run; print('sklearn' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_the_calibration_error_is_the_mean_distance_of_votes_and_accuracy() -> None:
    """In ten bins by the vote for the answer, counted one by one."""
    targets, votes = voted(200, 3, 1)
    answers = votes.argmax(axis=1)

    found = measures(targets, answers, 3, votes=votes).reliability
    assert found is not None
    sure = votes.max(axis=1)
    error, counts = 0.0, []
    for low in range(10):
        inside = (sure >= low / 10) & ((sure < (low + 1) / 10) | (low == 9))
        if inside.any():
            right = (answers == targets)[inside].mean()
            error += abs(right - sure[inside].mean()) * inside.mean()
            counts.append(int(inside.sum()))
    assert found.error == pytest.approx(error, abs=1e-6)
    assert list(found.items) == counts


def test_sure_and_right_votes_are_reliable() -> None:
    votes = np.eye(2, dtype=np.float32)[[0, 1, 1]]

    found = measures(np.array([0, 1, 1]), np.array([0, 1, 1]), 2, votes=votes).reliability
    assert found is not None
    assert (found.error, found.votes, found.accuracy, found.items) == (0, (1,), (1,), (3,))
    assert measures(np.array([0, 1]), np.array([0, 1]), 2).reliability is None
