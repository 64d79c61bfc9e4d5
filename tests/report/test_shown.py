"""What results show of themselves: in notebooks as HTML, and as figures of Matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gridcnn
from gridcnn.evaluation import Evaluation, compare, compare_labels
from tests.browser import Pages, overflows

WILD = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gridcnn.Run:
    """Return a run whose classes and folder have wild names; for reading only."""
    random = np.random.default_rng(0)
    labels = np.array([WILD, "plain", "third"])[np.arange(60) % 3]
    grids = random.normal(size=(60, 8, 8)).astype(np.float32)
    grids[np.arange(60), np.arange(60) % 3 * 2] += 2
    spec = {
        "name": "shown",
        "description": WILD,
        "adapter": {"array": {"scaling": "none"}},
        "check": "off",
        "stages": [{"convolution": {"filters": 2}}, {"skip": ["rectification"]}, "pooling"],
        "head": "voting",
        "data": {"test": 0.4, "validation": 0.2},
        "training": {"epochs": 3, "batch_size": 16},
    }
    folder = tmp_path_factory.mktemp("run")
    return gridcnn.run(spec, data=(grids, labels), out=folder / WILD.replace("/", "_"))


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    random = np.random.default_rng(1)
    votes = random.dirichlet(np.ones(3), 50)
    targets = random.integers(0, 3, 50)
    return compare(targets, votes.argmax(axis=1), [WILD, 7, "$x$"], votes=votes)


@pytest.fixture(scope="module")
def of_labels() -> Evaluation:
    random = np.random.default_rng(2)
    votes = random.random((40, 2))
    targets = (random.random((40, 2)) < 0.5).astype(np.float32)
    answers = (votes > 0.5).astype(np.int64)
    return compare_labels(targets, votes, answers, [WILD, "b"], (0.5, 0.5))


MADE: dict[str, Callable[[Any, Any, Any], Any]] = {
    "spec": lambda run, one, several: run.model.spec,
    "network": lambda run, one, several: run.model.network,
    "run": lambda run, one, several: run,
    "evaluation": lambda run, one, several: one,
    "evaluation of labels": lambda run, one, several: several,
}


@pytest.mark.parametrize("what", MADE)
def test_notebooks_show_it(
    what: str, run: gridcnn.Run, evaluation: Evaluation, of_labels: Evaluation
) -> None:
    """What it is called is text, and it needs nothing from elsewhere."""
    piece = MADE[what](run, evaluation, of_labels)._repr_html_()

    assert "<script" not in piece
    assert "http" not in piece
    assert piece.count("<div") == piece.count("</div>")


def test_a_browser_shows_all_of_it(
    pages: Pages,
    run: gridcnn.Run,
    evaluation: Evaluation,
    of_labels: Evaluation,
    tmp_path: Path,
) -> None:
    """Below each other, in a narrow window, nothing is cut off."""
    pieces = [make(run, evaluation, of_labels)._repr_html_() for make in MADE.values()]
    (tmp_path / "all.html").write_text(f"<title>all</title>{'<hr>'.join(pieces)}", "utf-8")

    opened = pages.open(tmp_path / "all.html", width=700)

    assert not overflows(opened)
    assert opened.locator("svg").count() > 4


def test_a_notebook_s_numbers_are_those_of_the_results(
    run: gridcnn.Run, evaluation: Evaluation
) -> None:
    """Accuracy, parameters, and every count of the confusion."""
    shown, of_evaluation = run._repr_html_(), evaluation._repr_html_()

    assert f"{100 * run.metrics['test']['accuracy']:.1f} %" in shown
    assert f"{run.metrics['parameters']:,}" in shown
    matrix = of_evaluation.rpartition("truth")[2]
    counts = [int(text) for text in re.findall(r'\)">(\d+)</td>', matrix)]
    assert counts == evaluation.confusion.reshape(-1).tolist()


def test_the_network_s_rows_are_its_stages(run: gridcnn.Run) -> None:
    """Each operation has its shape and its cost."""
    piece = run.model.network._repr_html_()

    for op in run.model.network.ops:
        assert str(op.output) in piece
        assert f"{op.multiply_adds:,}" in piece


def test_the_history_is_a_figure(run: gridcnn.Run) -> None:
    """Its lines are the columns of the history."""
    figure = run.plot_history()

    frame = run.history_frame
    loss, accuracy = figure.axes
    for axes, names in ((loss, ("loss", "validation_loss")), (accuracy, ("accuracy",))):
        for line, name in zip(axes.lines, names, strict=False):
            assert list(np.asarray(line.get_ydata())) == frame[name].tolist()
    figure.savefig(io.BytesIO())


def test_what_was_not_measured_is_nan_in_the_history(run: gridcnn.Run) -> None:
    """All columns are numbers, so that they can be averaged and drawn."""
    history = [replace(each, validation_loss=None) for each in run.history]

    frame = replace(run, history=tuple(history)).history_frame

    assert set(map(str, frame.dtypes)) == {"float64"}
    assert frame["validation_loss"].isna().all()
    assert frame["validation_score"].isna().all()
    assert frame["loss"].tolist() == [each.loss for each in run.history]


def test_the_confusion_is_a_figure(evaluation: Evaluation) -> None:
    """Each cell has its count; a class called like a formula is a text."""
    figure = evaluation.plot_confusion()

    axes = figure.axes[0]
    counts = [int(text.get_text()) for text in axes.texts]
    assert counts == evaluation.confusion.reshape(-1).tolist()
    assert [label.get_text() for label in axes.get_yticklabels()] == [WILD, "7", "$x$"]
    figure.savefig(io.BytesIO())


def test_the_confusion_of_labels_is_a_figure(of_labels: Evaluation) -> None:
    """A row for each label: found, missed, false alarms, rightly without."""
    figure = of_labels.plot_confusion()

    cells = pd.DataFrame(of_labels.confusion_frame)
    counts = [int(text.get_text()) for text in figure.axes[0].texts]
    assert counts == cells[["1.1", "1.0", "0.1", "0.0"]].to_numpy().reshape(-1).tolist()
    figure.savefig(io.BytesIO())


def test_many_classes_have_a_figure_without_numbers() -> None:
    """They could not be read."""
    random = np.random.default_rng(3)
    targets = random.integers(0, 60, 300)

    figure = compare(targets, targets, list(range(60))).plot_confusion()

    assert not figure.axes[0].texts
    figure.savefig(io.BytesIO())
