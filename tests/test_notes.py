"""What looks wrong about labels and answers is told once, with a count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.errors import DataError
from gridcnn.measures import measures
from gridcnn.notes import answer_notes, label_notes


def test_classes_that_differ_in_capitals_or_spaces_alone_are_told() -> None:
    labels = ["ham"] * 5 + ["Ham"] * 2 + ["spam", "two  words", "two words"]

    notes = label_notes(labels, sorted(set(labels)))

    assert len(notes) == 2
    assert "'Ham' (2 items), 'ham' (5 items)" in notes[0]


def test_labels_that_stand_for_missing_ones_are_told() -> None:
    (note,) = label_notes(["a", "nan", "nan", "NA", "-"], ["-", "NA", "a", "nan"])

    assert note.startswith("2 items with the label 'nan'")


def test_ordinary_labels_are_not_remarked_on() -> None:
    assert label_notes(["a", "b", 1], ["a", "b", 1]) == []


def noted(targets: list[int], votes: Any, classes: list[str | int]) -> list[str]:
    votes = np.array(votes, np.float64)
    indices = np.array(targets)
    found = measures(indices, votes.argmax(axis=1), len(classes), votes=votes)
    return answer_notes(found, votes, classes)


def test_classes_that_are_never_answered_are_told_with_their_items() -> None:
    votes = [[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.6, 0.2, 0.2], [0.5, 0.4, 0.1]]

    (note,) = noted([0, 0, 1, 2, 2], votes, ["a", "b", "c"])

    assert note.startswith("1 class is never answered: 'c' (2 items)")
    assert noted([0, 0, 1, 0, 0], votes, ["a", "b", "c"]) == []


def test_votes_that_are_the_same_for_all_items_are_told() -> None:
    (note,) = noted([0, 1, 0, 1, 0, 1], [[0.6, 0.4]] * 6, ["a", "b"])

    assert "the votes are the same for all 6 items" in note


def rows(count: int) -> tuple[Any, list[str]]:
    """Return rows of noise, of which few are of the second class."""
    return np.random.default_rng(0).normal(size=(count, 6)), ["yes", *["no"] * 9] * (count // 10)


SPEC: dict[str, Any] = {
    "adapter": "table",
    "check": "off",
    "head": "voting",
    "training": {"epochs": 1, "learning_rate": 0.0001},
}


def test_a_run_tells_what_its_accuracy_is_to_be_compared_with(tmp_path: Path) -> None:
    """The figures of always answering the most frequent class stand beside it."""
    run = gridcnn.run(SPEC, data=rows(200), out=tmp_path / "run")

    test = run.metrics["test"]
    assert test["majority"] == {"class": "no", "accuracy": pytest.approx(0.9)}
    assert test["balanced_accuracy"] <= 1
    assert test["worst"]["class"] in ("yes", "no")
    assert test["worst"]["recall"] == test["classes"][test["worst"]["class"]]["recall"]
    if test["confusion"][0][1] + test["confusion"][1][1] == 0:
        assert "never answered: 'yes' (4 items)" in test["notes"][0]


def test_strict_refuses_notes_about_answers_once_they_are_written(tmp_path: Path) -> None:
    model_rows, labels = rows(200)
    run = gridcnn.run(SPEC, data=(model_rows, labels))
    assert run.model.classes == ("no", "yes")
    # All are of the class that this model answers least.
    answers = run.model.predict(model_rows)
    rare = "yes" if (answers == "yes").sum() < 100 else "no"
    chosen = model_rows[answers != rare]

    found = gridcnn.evaluate(run.model, (chosen, [rare] * len(chosen)))
    with pytest.raises(DataError, match="never answered"):
        gridcnn.evaluate(run.model, (chosen, [rare] * len(chosen)), strict=True)

    assert found.accuracy == 0
    assert f"never answered: '{rare}'" in found.notes[0]
    assert found.plain()["notes"] == list(found.notes)
