"""The best epoch is chosen by the validation result that the spec names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn import metrics as theirs

from gridcnn.spec.models import SelectBy, Training
from gridcnn.stages.voting import Votes
from gridcnn.training.selection import ends_after, is_better, validation_score

HEAD = Votes(hidden=(), dropout=0.0, classes=3)


@dataclass
class Result:
    validation_accuracy: float | None
    validation_loss: float | None
    validation_score: float | None = None


def best(history: list[Result], select_by: SelectBy) -> int:
    found = 0
    for number, each in enumerate(history):
        if is_better(each, history[found] if number else None, select_by):
            found = number
    return found


HISTORY = [Result(0.8, 0.5, 0.6), Result(0.9, 0.6, 0.5), Result(0.9, 0.55, 0.7), Result(0.7, 0.4)]


def test_the_highest_accuracy_then_the_lowest_loss() -> None:
    assert best(HISTORY, "accuracy") == 2


def test_the_lowest_loss() -> None:
    assert best(HISTORY, "loss") == 3


def test_the_highest_of_any_other_result() -> None:
    assert best(HISTORY[:3], "auc") == 2
    assert best([Result(0.8, 0.5, 0.6), Result(0.8, 0.4, 0.6), Result(0.9, 0.1, 0.5)], "auc") == 1


def test_without_validation_the_last_epoch_is_the_best() -> None:
    assert best([Result(None, None)] * 3, "auc") == 2


def test_patience_waits_for_the_same_result() -> None:
    """The loss falls to the end, and the accuracy does not rise after the second epoch."""
    history = [Result(0.5, 0.9), Result(0.6, 0.8), Result(0.6, 0.9), Result(0.6, 0.85)]

    assert ends_after(history, Training(patience=2)) == 4
    falling = [Result(0.5, loss) for loss in (0.9, 0.8, 0.7, 0.6)]
    assert ends_after(falling, Training(patience=2, select_by="loss")) is None


def test_results_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 60)
    logits = (random.normal(size=(60, 3)) + np.eye(3)[targets]).astype(np.float32)
    votes = HEAD.votes(logits).astype(np.float64)
    votes /= votes.sum(axis=1, keepdims=True)
    answers = votes.argmax(axis=1)
    expected: dict[SelectBy, float] = {
        "balanced_accuracy": theirs.balanced_accuracy_score(targets, answers),
        "macro_f1": theirs.f1_score(targets, answers, average="macro"),
        "auc": theirs.roc_auc_score(targets, votes, multi_class="ovr"),
        "average_precision": np.mean(
            [theirs.average_precision_score(targets == k, votes[:, k]) for k in range(3)]
        ),
    }

    for name, value in expected.items():
        assert validation_score(HEAD, logits, targets, name) == pytest.approx(value)
    assert validation_score(HEAD, logits, targets, "accuracy") is None
    assert validation_score(HEAD, logits, targets, "loss") is None


def test_a_result_that_is_not_known_is_zero() -> None:
    """The area under the curve of items of one class."""
    logits = np.zeros((4, 3), np.float32)
    assert validation_score(HEAD, logits, np.zeros(4, np.int64), "auc") == 0
