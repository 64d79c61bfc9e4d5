"""Runs whose items may have several labels: from the data to predictions, and back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli.main import app
from gridcnn.errors import DataError, ModelFileError, RunFolderError, SpecError
from gridcnn.grid import Array
from gridcnn.label_measures import choose_thresholds, label_measures
from gridcnn.model import Model, write_model
from gridcnn.runs.results import read_metrics, read_predictions
from gridcnn.tensors import read_tensors, write_tensors

SPEC: dict[str, Any] = {
    "adapter": "array",
    "check": "off",  # it takes a second
    "stages": [{"convolution": {"filters": 8}}, "rectification", {"pooling": {"window": "all"}}],
    "head": {"voting": {"labels": "several", "hidden": [16]}},
    "training": {"epochs": 6, "learning_rate": 0.02, "batch_size": 16},
}
LABELS = ("lying", "standing", "corner")


def stripes(items: int = 240, *, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return grids with stripes that lie or stand and with a corner, each or not; a tenth unknown.

    The rows of labels are `(items, 3)`.
    """
    random = np.random.default_rng(seed)
    grids = random.uniform(-1, -0.5, (items, 8, 8)).astype(np.float32)
    labels = (random.random((items, 3)) < [0.5, 0.3, 0.2]).astype(np.float32)
    for grid, (lying, standing, corner) in zip(grids, labels, strict=True):
        if lying:
            grid[random.integers(8)] = 1
        if standing:
            grid[:, random.integers(8)] = 1
        if corner:
            grid[:3, :3] = 1
    labels[random.random(labels.shape) < 0.1] = np.nan
    return grids, labels


@pytest.fixture(scope="module")
def data() -> tuple[Array, pd.DataFrame]:
    """Return grids, and their labels with names."""
    grids, labels = stripes()
    return grids, pd.DataFrame(labels, columns=list(LABELS))


@pytest.fixture(scope="module")
def done(data: Any, tmp_path_factory: pytest.TempPathFactory) -> gridcnn.Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return gridcnn.run(SPEC, data=data, out=out)


def test_a_run_learns_labels_that_are_not_all_known(done: gridcnn.Run, data: Any) -> None:
    """Its figures are those of the measures, by thresholds that the validation items gave."""
    frame, thresholds = done.predictions_frame, done.model.thresholds
    assert thresholds is not None
    votes = np.column_stack([frame[f"votes.{label}"] for label in LABELS])
    truths = np.column_stack([frame[f"truth.{label}"] for label in LABELS]).astype(np.float32)

    test = done.metrics["test"]
    assert done.model.classes == LABELS
    assert test["auc"] > 0.8
    expected = label_measures(truths, votes, thresholds)
    assert test["exact_match"] == test["accuracy"] == pytest.approx(expected.accuracy)
    assert test["micro_f1"] == pytest.approx(expected.micro_f1)
    assert list(test["labels"]) == list(LABELS)
    assert test["labels"]["corner"]["positives"] == np.nansum(truths[:, 2])
    rows = data[1].to_numpy()[[int(name.split()[1]) for name in frame.index]]
    np.testing.assert_array_equal(truths, rows)
    answers = np.column_stack([frame[f"answer.{label}"] for label in LABELS])
    np.testing.assert_array_equal(answers, votes >= np.array(thresholds) - 5e-7)


def test_thresholds_are_chosen_on_the_validation_items(done: gridcnn.Run, data: Any) -> None:
    """With the same division again, the best thresholds are those of the model."""
    run = gridcnn.run({**SPEC, "data": {"test": 0.2}}, data=data, out=done.folder.parent / "again")
    evaluated = done.metrics["validation"]["labels"]
    names = set(done.predictions_frame.index)
    rest = [n for n in range(len(data[0])) if f"item {n}" not in names]
    votes = done.model.votes_of_many(data[0][rest])

    assert run.model.thresholds == done.model.thresholds
    assert [evaluated[label]["threshold"] for label in LABELS] == list(done.model.thresholds or ())
    # Training items would have given others.
    assert choose_thresholds(data[1].to_numpy()[rest], votes) != done.model.thresholds


def test_without_validation_the_thresholds_are_even(data: Any, tmp_path: Path) -> None:
    spec = {**SPEC, "data": {"validation": 0}, "training": {"epochs": 1}}

    run = gridcnn.run(spec, data=data, out=tmp_path / "run")
    assert run.model.thresholds == (0.5, 0.5, 0.5)
    assert "validation" not in run.metrics


def test_the_resolved_spec_says_how_the_epoch_was_chosen(done: gridcnn.Run) -> None:
    """By the loss, unless the spec says something else."""
    losses = [epoch.validation_loss or 0.0 for epoch in done.history]

    assert done.model.spec.training.select_by == "loss"
    assert done.metrics["best_epoch"] == 1 + int(np.argmin(losses))


def test_an_interrupted_run_ends_as_if_it_was_not(
    done: gridcnn.Run, data: Any, tmp_path: Path
) -> None:
    """To the last bit, thresholds too."""
    short = gridcnn.run(SPEC, data=data, out=tmp_path / "run", changes={"training.epochs": 3})
    ended = gridcnn.run(data=data, resume=short.folder, changes={"training.epochs": 6})

    np.testing.assert_array_equal(ended.model.parameters, done.model.parameters)
    assert ended.model.thresholds == done.model.thresholds
    assert ended.metrics["test"] == done.metrics["test"]


def test_the_results_do_not_depend_on_the_threads(done: gridcnn.Run, data: Any) -> None:
    run = gridcnn.run(SPEC, data=data, out=done.folder.parent / "threads", threads=3)

    np.testing.assert_array_equal(run.model.parameters, done.model.parameters)


def test_a_model_answers_by_its_thresholds(done: gridcnn.Run, data: Any) -> None:
    """Also after it was saved; a frame has an answer and a vote for each label."""
    model = gridcnn.load(done.folder)
    votes = model.votes(data[0][:9])

    answers = model.predict(data[0][:9])
    assert answers.dtype == np.int64
    np.testing.assert_array_equal(answers, votes >= np.array(done.model.thresholds))
    assert model.labels_answered(votes)[0] == [
        label for label, answer in zip(LABELS, answers[0], strict=True) if answer
    ]
    frame = model.predict_frame(data[0][:9])
    assert list(frame) == [f"{kind}.{label}" for kind in ("answer", "votes") for label in LABELS]
    np.testing.assert_array_equal(frame["answer.corner"], answers[:, 2])


@pytest.mark.parametrize("thresholds", [[0.5, 0.5], [0.5, 0.5, 2], [0.5, "a", 0.5], "abc", 7])
def test_wrong_thresholds_in_a_file_are_refused(
    done: gridcnn.Run, tmp_path: Path, thresholds: Any
) -> None:
    write_model(done.model, tmp_path / "model")
    tensors, content = read_tensors(tmp_path / "model", "model")
    write_tensors(tmp_path / "odd", "model", tensors, {**content, "thresholds": thresholds})

    with pytest.raises(ModelFileError, match="its thresholds must be 3 numbers from 0 to 1"):
        gridcnn.load(tmp_path / "odd")


def test_an_evaluation_has_the_figures_of_each_label(done: gridcnn.Run, data: Any) -> None:
    """Labels are found by their names, in any order; of others it says nothing."""
    found = gridcnn.evaluate(done.folder, data)
    turned = gridcnn.evaluate(done.folder, (data[0], data[1][["corner", "lying"]]))

    assert found.several
    assert found.labels == LABELS
    assert found.auc is not None
    assert found.auc > 0.8
    assert found.classes["lying"].items == np.nansum(data[1]["lying"])
    assert list(found.frame.index) == list(LABELS)
    assert found.confusion.shape == (3, 2, 2)
    assert found.confusion.sum() == data[1].notna().to_numpy().sum()
    assert list(found.confusion_frame) == ["0.0", "0.1", "1.0", "1.1"]
    assert found.majority[0] in ("", "lying")
    assert found.worst is not None
    assert turned.classes["corner"] == found.classes["corner"]
    assert turned.classes["standing"].items == 0
    assert turned.notes == ("the data says nothing about the label standing",)
    assert json.loads(json.dumps(found.plain()))["labels"]["lying"]["known"] > 200


def test_lists_of_labels_are_data_as_well(done: gridcnn.Run, data: Any) -> None:
    lists = [
        [label for label, mark in zip(LABELS, row, strict=True) if mark == 1]
        for row in data[1].to_numpy()
    ]

    found = gridcnn.evaluate(done.folder, (data[0], lists))
    assert found.labels == LABELS
    with pytest.raises(DataError, match="sitting not among the labels lying, standing, corner"):
        gridcnn.evaluate(done.folder, (data[0][:2], [["sitting"], ["lying"]]))


def test_model_and_data_must_be_of_one_kind(done: gridcnn.Run, data: Any) -> None:
    with pytest.raises(DataError, match="votes for several labels of an item, and the data given"):
        gridcnn.evaluate(done.folder, (data[0][:2], ["lying", "corner"]))


def test_a_cross_validation_has_mean_and_spread_of_the_areas(data: Any, tmp_path: Path) -> None:
    """All answers together have the figures of each label, and no single thresholds."""
    found = gridcnn.cross_validate(SPEC, data=data, folds=3, out=tmp_path / "folds")

    areas = [fold.metrics["test"]["auc"] for fold in found.folds]
    assert found.metrics["test"]["auc"]["mean"] == pytest.approx(np.mean(areas))
    assert found.evaluation.items == len(data[0])
    labels = found.metrics["out_of_fold"]["labels"]
    assert labels["corner"]["threshold"] is None
    assert labels["corner"]["known"] == data[1]["corner"].notna().sum()


def test_the_literal_comparison_ranks_items_by_the_nearest_exemplars(done: gridcnn.Run) -> None:
    literal = done.metrics["literal_comparison"]

    assert 0.6 < literal["auc"] < 1
    assert literal["exemplars"] <= 60


@pytest.mark.parametrize(
    ("head", "labels", "message"),
    [
        (
            "voting",
            [[1, 0], [0, 0]],
            r"the head votes for one class, .* of the labels '0', '1'; wr",
        ),
        ("voting", [[1, 0], [0, 1]], r"since each item has exactly one of them, .* y.argmax"),
        (SPEC["head"], ["a", "b"], "the head votes for several labels of an item, but the data"),
    ],
)
def test_head_and_data_must_be_of_one_kind(
    tmp_path: Path, head: Any, labels: Any, message: str
) -> None:
    """One line says which is which, and what to write."""
    spec = {**SPEC, "head": head}

    with pytest.raises(SpecError, match=message) as raised:
        gridcnn.run(spec, data=(np.zeros((20, 8, 8)), labels * 10), out=tmp_path / "run")
    assert len(raised.value.problems) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("task", "head"), [("all", "voting"), ("NR-AR", SPEC["head"])])
def test_a_known_set_is_refused_before_it_is_fetched(tmp_path: Path, task: str, head: Any) -> None:
    """There is nothing where its files should be."""
    source = {"tox21": {"task": task, "path": str(tmp_path / "nothing")}}

    with pytest.raises(SpecError, match="the head votes for"):
        gridcnn.run({**SPEC, "head": head, "data": {"source": source}}, out=tmp_path / "run")


@pytest.mark.parametrize("setting", [{"class_weights": "balanced"}, {"sampling": "balanced"}])
def test_classes_of_labels_have_no_weights(data: Any, tmp_path: Path, setting: Any) -> None:
    spec = {**SPEC, "training": {**SPEC["training"], **setting}}

    with pytest.raises(
        SpecError, match=f"training.{next(iter(setting))} is for items of one class"
    ):
        gridcnn.run(spec, data=data, out=tmp_path / "run")


@pytest.mark.parametrize(
    "setting",
    [{"label_smoothing": 0.1}, {"mixup": 0.2}, {"averaging": 0.9}, {"calibrate": True}]
    + [{"select_by": name} for name in ("accuracy", "auc", "average_precision", "macro_f1")],
    ids=str,
)
def test_other_settings_of_training_are_those_of_classes(
    data: Any, tmp_path: Path, setting: Any
) -> None:
    spec = {**SPEC, "training": {**SPEC["training"], **setting}}

    run = gridcnn.run(spec, data=data, out=tmp_path / "run")
    assert run.metrics["test"]["auc"] > 0.7
    assert run.history[-1].loss < run.history[0].loss


def test_what_no_training_item_has_is_noted(data: Any, tmp_path: Path) -> None:
    """So are items of which nothing is known, and labels written in two ways."""
    labels = data[1].copy()
    labels["Corner"], labels["full"] = 0.0, 1.0
    labels.iloc[0] = np.nan
    spec = {**SPEC, "training": {"epochs": 1}}

    notes = gridcnn.run(spec, data=(data[0], labels), out=tmp_path / "run").metrics["notes"]
    assert "1 item without any known label, which counts neither in training" in notes[1]
    assert "labels that differ only in capitals or spaces: 'corner' (" in notes[0]
    assert "1 label that no training item has, as far as it is known: 'Corner'" in notes[2]
    assert "1 label that every training item has, as far as it is known: 'full'" in notes[3]


def test_equal_items_with_other_labels_are_noted(data: Any, tmp_path: Path) -> None:
    """They differ where both are known."""
    grids, labels = np.concatenate([data[0], data[0][:3]]), data[1].to_numpy(copy=True)
    other = labels[:3].copy()
    other[0, 0] = 1 - np.nan_to_num(other[0, 0])
    labels[0, 0] = 1 - other[0, 0]
    other[1] = np.nan
    spec = {**SPEC, "training": {"epochs": 1}}

    rows = np.concatenate([labels, other])
    notes = gridcnn.run(spec, data=(grids, rows), out=tmp_path / "run").metrics["notes"]
    assert any(
        "1 item has the same grid as an item with other labels, such as" in note for note in notes
    )


def test_the_order_of_columns_is_judged_by_one_label(tmp_path: Path) -> None:
    """It is the one that divides the items most evenly, and the evidence says so."""
    random = np.random.default_rng(0)
    rows = random.normal(0, 1, (120, 6))
    labels = np.column_stack([rows[:, 0] > 1.2, rows[:, 1] > 0, np.full(120, np.nan)])
    labels = labels.astype(np.float32)
    labels[:10, 1] = np.nan
    spec = {"adapter": "table", "head": SPEC["head"], "check": "warn", "training": {"epochs": 1}}

    with pytest.warns(UserWarning, match="the data is no grid"):
        run = gridcnn.run(spec, data=(rows, labels), out=tmp_path / "run")
    evidence = run.metrics["check"]["verdicts"][0]["evidence"]
    assert any(
        text.startswith("judged by the label '1' alone, which of the 3") for text in evidence
    )


# Results that are read back ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        (1, "2", "row 2 has '2', which is not 0 or 1"),
        (4, "", "row 2 has '', which is not 0 or 1"),
        (8, "1.5", "row 2 has votes that are not numbers from 0 to 1"),
    ],
)
def test_damaged_predictions_are_refused(
    done: gridcnn.Run, tmp_path: Path, column: int, cell: str, message: str
) -> None:
    text = (done.folder / "predictions.csv").read_text()
    rows = list(csv.reader(text.splitlines()))
    rows[1][column] = cell
    with (tmp_path / "predictions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)

    metrics = read_metrics(done.folder)
    assert len(read_predictions(done.folder, metrics)[1]) == metrics["test"]["items"]
    with pytest.raises(RunFolderError, match=message):
        read_predictions(tmp_path, metrics)


# The command line -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Any) -> Path:
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", X=data[0], y=data[1].to_numpy())
    np.save("few.npy", data[0][:3])
    spec = {**SPEC, "name": "stripes", "data": {"source": "data.npz"}}
    Path("stripes.yaml").write_text(json.dumps(spec))
    return tmp_path


def say(*arguments: str) -> str:
    """Return what a call prints; it ends well."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_all_verbs_say_something_sensible(folder: Path) -> None:
    told = say("run", "stripes.yaml")
    assert "3 labels: 0, 1, 2" in told
    assert "mean area under the ROC curve 0." in told
    assert "exact match" in told
    assert "literal comparison: mean area under the ROC curve" in told
    told = say("evaluate", "runs/stripes/1", "data.npz")
    assert "of 3 labels, on all items, 240 items" in told
    assert "a label is in the answer if its vote is at least its threshold" in told
    told = say("run", "stripes.yaml", "--folds", "2")
    assert "fold 1 of 2: mean area under the ROC curve" in told
    assert "all 240 answers together" in told
    assert "3 x 1 x 1" in say("show", "stripes.yaml")


def test_answers_are_lists_of_labels(folder: Path) -> None:
    """As text, as CSV and as JSON; of no label there is `no label`, and an empty cell or list."""
    say("run", "stripes.yaml", "--quiet")
    model = gridcnn.load("runs/stripes/1")
    expected = model.labels_answered(model.votes_of_many(np.load("few.npy")))

    answers = json.loads(say("predict", "runs/stripes/1", "few.npy", "--json"))
    assert [item["answer"] for item in answers] == expected
    rows = csv.DictReader(say("predict", "runs/stripes/1", "few.npy", "--csv").splitlines())
    assert [row["answer"] for row in rows] == [";".join(map(str, each)) for each in expected]
    lines = say("predict", "runs/stripes/1", "few.npy", "--top", "1").splitlines()
    assert [", ".join(map(str, each)) or "no label" for each in expected] == [
        line.split("  ")[1] for line in lines
    ]


def test_a_model_may_be_made_with_thresholds(done: gridcnn.Run) -> None:
    model = done.model
    made = Model(model.spec, model.classes, model.parameters, thresholds=[0, 1, 0.5])

    assert list(made.thresholds or ()) == [0, 1, 0.5]
    assert made.answers(np.array([[0, 0.99, 0.5]], np.float32)).tolist() == [[1, 0, 1]]
    with pytest.raises(ValueError, match="its thresholds must be 3 numbers"):
        Model(model.spec, model.classes, model.parameters, thresholds=[0.5])
