"""Comparing runs: settings that differ, figures, and the paired test."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import gridcnn
from gridcnn.comparison import correct_for_many, mcnemar
from gridcnn.errors import DataError, RunFolderError
from gridcnn.measures import wilson

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 90, "size": [12, 12], "noise": 0.8}}, "validation": 0.2},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_paired_test_is_that_of_a_fair_coin(first: int, second: int) -> None:
    """Exact: a sum of binomial coefficients, and SciPy's own test."""
    tosses, fewer = first + second, min(first, second)
    tail = sum(math.comb(tosses, heads) for heads in range(fewer + 1)) / 2**tosses

    found = mcnemar(first, second)

    assert found == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert found == pytest.approx(binomtest(first, tosses).pvalue if tosses else 1.0, rel=1e-9)


def test_several_tests_are_corrected_as_holm_says() -> None:
    """The smallest counts for all of them, the next for one less, and none below one before it."""
    assert correct_for_many([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert correct_for_many([0.9, 0.8]) == [1.0, 1.0]
    assert correct_for_many([]) == []


def test_settings_that_differ_and_figures_stand_side_by_side() -> None:
    """Those of the folders; settings that are the same are left out."""
    first = gridcnn.run(TINY, out="first")
    changes = {
        "training.optimizer": "sgd",
        "stages[0].convolution.filters": 8,
        "training.epochs": 3,
    }
    second = gridcnn.run(TINY, out="second", changes=changes)

    found = gridcnn.compare([first, "second"])

    assert list(found.settings) == [
        *("stages[0].convolution.filters", "training.epochs", "training.optimizer"),
    ]
    assert found.settings["stages[0].convolution.filters"] == (4, 8)
    assert [next(iter(each)) for each in found.settings["training.optimizer"]] == ["adam", "sgd"]
    for run, compared in zip((first, second), found.runs, strict=True):
        for part in ("test", "validation"):
            for figure in ("accuracy", "loss"):
                assert compared.figures[f"{part}_{figure}"] == run.metrics[part][figure]
        assert compared.figures["interval"] == run.metrics["test"]["interval"]
        assert compared.figures["auc"] == run.metrics["test"]["auc"]
        assert compared.figures["training_seconds"] == run.metrics["seconds"]["training"]
    assert list(found.frame["training.epochs"]) == [2, 3]
    assert list(found.frame["test_accuracy"]) == [
        r.metrics["test"]["accuracy"] for r in (first, second)
    ]


def test_runs_on_the_same_items_are_tested_pair_by_pair() -> None:
    """By the items that one of them alone has answered correctly."""
    gridcnn.run(TINY, out="first")
    gridcnn.run(TINY, out="second", changes={"training.epochs": 8})

    [test] = gridcnn.compare(["first", "second"]).tests

    right = {}
    for name in ("first", "second"):
        with (Path(name) / "predictions.csv").open(encoding="utf-8") as file:
            right[name] = [row["truth"] == row["answer"] for row in csv.DictReader(file)]
    pairs = list(zip(right[str(test.first)], right[str(test.second)], strict=True))
    assert sum(right[str(test.first)]) >= sum(right[str(test.second)])
    assert test.items == 18
    assert test.only_first == pairs.count((True, False))
    assert test.only_second == pairs.count((False, True))
    assert test.p == mcnemar(test.only_first, test.only_second)


def copy_with_answers(folder: str, wrong: set[int]) -> None:
    """Copy the run in `first`; items of these numbers are answered wrongly, all others rightly."""
    path = Path(folder)
    path.mkdir()
    for name in ("spec.yaml", "metrics.json"):
        (path / name).write_text((Path("first") / name).read_text())
    metrics = json.loads((path / "metrics.json").read_text())
    with (Path("first") / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        others = {"X": "O", "O": "X"}
        row["answer"] = others[row["truth"]] if number in wrong else row["truth"]
    with (path / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    metrics["test"]["accuracy"] = 1 - len(wrong) / len(rows)
    (path / "metrics.json").write_text(json.dumps(metrics))


def test_one_sentence_says_whether_the_difference_means_anything() -> None:
    """Which run is better, or that it may be chance."""
    gridcnn.run(TINY, out="first")
    copy_with_answers("good", set())
    copy_with_answers("fair", {1, 2, 3})
    copy_with_answers("poor", set(range(9)))
    copy_with_answers("near", {4})

    [one] = gridcnn.compare(["good", "near"]).tests
    [close] = gridcnn.compare(["good", "fair"]).tests
    [far] = gridcnn.compare(["poor", "good"]).tests
    three = gridcnn.compare(["poor", "good", "fair"]).tests

    assert close.sentence == (
        "of 18 test items, 3 are right in good alone, and 0 in fair alone: the difference may well "
        "be chance (p = 0.25)"
    )
    assert one.sentence.startswith("of 18 test items, 1 is right in good alone, and 0 in near")
    assert far.sentence == (
        "of 18 test items, 9 are right in good alone, and 0 in poor alone: good is better on such "
        "items, and that is hardly chance (p = 0.0039)"
    )
    assert [test.p for test in three] == pytest.approx([2 * far.p, close.p])


def test_runs_without_the_same_items_are_not_tested() -> None:
    """And a note says why."""
    gridcnn.run(TINY, out="first")
    gridcnn.run(TINY, out="seed", seed=1)
    gridcnn.run(TINY, out="untested", changes={"data.test": 0})
    gridcnn.repeat(TINY, repeats=2, out="repeated")
    copy_with_answers("lost", set())
    Path("lost/predictions.csv").unlink()
    copy_with_answers("other", set())
    text = Path("other/predictions.csv").read_text()
    Path("other/predictions.csv").write_text(text.replace("item ", "number "))
    copy_with_answers("swapped", set())
    swapped = text.replace(",X,X", ",?").replace(",O,O", ",X,X").replace(",?", ",O,O")
    Path("swapped/predictions.csv").write_text(swapped)

    def notes(other: str) -> tuple[str, ...]:
        found = gridcnn.compare(["first", other])
        assert found.tests == ()
        return found.notes

    ends = {
        "seed": "with another source or seed, the same number may be another item",
        "untested": "untested: no items were kept for a test",
        "repeated": "repeated: it has no single answer for each test item",
        "lost": "lost: predictions.csv is missing",
        "other": "they have no test item in common",
        "swapped": "items of the same name have other classes, so the data is not the same",
    }
    for other, end in ends.items():
        [note] = notes(other)
        assert note.endswith(end)


def test_several_runs_in_one_folder_have_means() -> None:
    """Of a cross-validation all answers are tested, since each item has one."""
    first = gridcnn.cross_validate(TINY, folds=2)
    second = gridcnn.cross_validate(TINY, folds=2, changes={"training.epochs": 1})

    found = gridcnn.compare([first, second])

    accuracy = first.metrics["test"]["accuracy"]
    assert found.runs[0].kind == "cross-validation"
    assert found.runs[0].figures["test_accuracy"] == accuracy["mean"]
    assert found.runs[0].figures["test_accuracy_std"] == accuracy["std"]
    assert found.runs[0].figures["test_items"] == 90
    assert found.tests[0].items == 90


def test_metrics_without_an_interval_have_one() -> None:
    """Those of earlier versions; it is Wilson's."""
    gridcnn.run(TINY, out="first")
    copy_with_answers("old", {1})
    path = Path("old/metrics.json")
    metrics = json.loads(path.read_text())
    for name in ("interval", "auc", "balanced_accuracy"):
        del metrics["test"][name]
    path.write_text(json.dumps(metrics))

    old = gridcnn.compare(["first", "old"]).runs[1]

    assert old.figures["interval"] == list(wilson(17, 18))
    assert "auc" not in old.figures


def test_folders_without_a_finished_run_are_one_line() -> None:
    """Which says what to do."""
    gridcnn.run(TINY, out="first")
    Path("empty").mkdir()
    for name, (file, content) in {
        "broken": ("metrics.json", "[1, 2]"),
        "bare": ("metrics.json", '{"test": {}, "classes": []}'),
        "torn": ("predictions.csv", "item,truth,answer\nitem 1,A,B\n"),
        "cut": ("predictions.csv", "item,truth,answer\nitem 1,X,X\nitem 2,O"),
        "short": ("predictions.csv", "item,truth,answer\nitem 1,X,X\n"),
        "headless": ("predictions.csv", "item,guess\nitem 1,X\n"),
        "blank": ("predictions.csv", ""),
    }.items():
        copy_with_answers(name, set())
        (Path(name) / file).write_text(content)
    copy_with_answers("foreign", set())
    Path("foreign/predictions.csv").write_bytes(b"item,truth,answer\n\xff,X,X\n")
    copy_with_answers("begun", set())
    Path("begun/metrics.json").unlink()
    Path("begun/run.lock").write_text("gridcnn\n")

    for name, message in {
        "nothing": r"^nothing does not exist; name a run folder, such as runs/xo/1$",
        "empty": r"^empty holds no run \(metrics.json is missing\); name a run folder, such as",
        "broken": r"^broken/metrics\.json is damaged: it has no figures of a run$",
        "bare": r"^bare/metrics\.json is damaged: .*no figures of a run: 'seconds' is missing$",
        "torn": r"^torn/predictions\.csv is damaged: line 2 has other classes than metrics\.json",
        "cut": r"^cut/predictions\.csv is damaged: line 3 ends too early$",
        "short": r"^short/predictions\.csv is damaged: it has 1 item, and metrics\.json 18$",
        "headless": r"^headless/predictions\.csv is damaged: it has no column truth, answer$",
        "foreign": r"^foreign/predictions\.csv is damaged: it is not UTF-8$",
        "blank": r"^blank/predictions\.csv is damaged: it has no column item, truth, answer$",
        "begun": r"^the run in begun has not ended, .* gridcnn run --resume begun$",
    }.items():
        with pytest.raises(RunFolderError, match=message):
            gridcnn.compare(["first", name])
    with pytest.raises(DataError, match="a comparison takes 2 to 50 runs; got 1"):
        gridcnn.compare("first")
    with pytest.raises(DataError, match="the run first is given twice"):
        gridcnn.compare(["first", "first"])
    with pytest.raises(DataError, match="a run is a folder, or the result of a run; got 3"):
        gridcnn.compare([3, 4])  # type: ignore[list-item]
