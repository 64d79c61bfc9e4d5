"""Nothing that looks wrong passes in silence: it is a note with a count, or an error, in all verbs.

`--strict` makes an error of each note.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli.main import app
from gridcnn.errors import DataError
from gridcnn.model import KIND, Model
from gridcnn.tensors import read_tensors, write_tensors

SPEC: dict[str, Any] = {
    "data": {"source": {"table": {"path": "t.csv", "label": "label"}}},
    "adapter": "table",
    "check": "off",
    "head": "voting",
    "training": {"epochs": 30, "learning_rate": 0.03},
}


def within(folder: Path, *arguments: Any) -> Any:
    """Run the command in `folder` and in this process."""
    environment = {"COLUMNS": "200", "NO_COLOR": "1"}
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, [*map(str, arguments)], env=environment)


def rows(count: int = 60) -> pd.DataFrame:
    """Return rows that are easily told apart, sorted by class."""
    random = np.random.default_rng(0)
    values = random.normal(size=(count, 4))
    values[count // 2 :] += 3
    frame = pd.DataFrame(values.round(3), columns=list("abcd"))
    return frame.assign(label=np.repeat(["low", "high"], count // 2))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a folder with a table, its spec, and a model of it."""
    rows().to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "s.yaml").write_text(json.dumps(SPEC))
    done = within(tmp_path, "run", "s.yaml", "--out", "r", "--quiet")
    assert done.exit_code == 0, done.output
    return tmp_path


def with_weights(work: Path, name: str, factor: float, bias: float | None = None) -> None:
    """Save the model with its weights multiplied."""
    made = gridcnn.load(work / "r")
    parameters = made.parameters * np.float32(factor)
    if bias is not None:
        parameters[-2:] = (bias, 0)
    Model(made.spec, made.classes, parameters).save(work / name)


def test_what_is_right_has_no_notes(work: Path) -> None:
    for command in (["predict", "r", "t.csv"], ["evaluate", "r", "t.csv"]):
        assert within(work, *command, "--strict").exit_code == 0
        assert "note:" not in within(work, *command).output
    assert within(work, "run", "s.yaml", "--strict", "--out", "s").exit_code == 0


def test_votes_that_are_the_same_for_every_item_are_noted(work: Path) -> None:
    """In answers, whatever batches they come in, and in figures."""
    with_weights(work, "flat", 0)
    pd.concat([rows(400)] * 2).to_csv(work / "many.csv", index=False)

    asked = within(work, "predict", "flat", "many.csv", "--csv")
    measured = within(work, "evaluate", "flat", "many.csv")

    assert asked.exit_code == measured.exit_code == 0
    for output in (asked.stderr, measured.stdout):
        assert output.count("the votes are the same for all 800 items") == 1
    assert len(asked.stdout.splitlines()) == 801
    for command in ("predict", "evaluate"):
        strict = within(work, command, "flat", "many.csv", "--strict")
        assert strict.exit_code == 2
        assert "error: with strict, every note is an error" in strict.stderr


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_all_verbs(work: Path, value: float) -> None:
    """In one line, and no verb prints NaN."""
    path = gridcnn.load(work / "r").save(work / "broken")
    tensors, content = read_tensors(path, KIND)
    next(iter(tensors.values())).flat[0] = value
    write_tensors(path, KIND, tensors, content)

    for command in (
        ["predict", "broken", "t.csv", "--json"],
        ["evaluate", "broken", "t.csv", "--json"],
        ["evaluate", "broken", "t.csv", "--bad-items", "skip"],
    ):
        done = within(work, *command)
        assert done.exit_code == 2
        assert "NaN or infinite" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "NaN" not in done.stdout


def test_votes_that_are_not_finite_are_told_once(work: Path) -> None:
    """Many items of one cause are one line, with the places of all that are shown."""
    with_weights(work, "far", 1e30)
    rows().assign(a=1e30).to_csv(work / "far.csv", index=False)

    done = within(work, "evaluate", "far", "far.csv")

    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 2
    assert "its votes are not finite numbers" in done.stderr
    assert "(the same in 59 more: line 3, line 4" in done.stderr
    assert "nan" not in done.stdout.lower()


def test_a_class_that_is_never_answered_is_noted(work: Path) -> None:
    with_weights(work, "one", 0.01, bias=5)

    done = within(work, "evaluate", "one", "t.csv")

    assert done.exit_code == 0
    assert "note: 1 class is never answered: 'low' (30 items)" in done.stdout
    assert within(work, "evaluate", "one", "t.csv", "--strict").exit_code == 2
    found = gridcnn.evaluate(work / "one", work / "t.csv")
    assert found.plain()["notes"] == list(found.notes)


def test_a_column_that_counts_is_noted_and_never_used(work: Path) -> None:
    """Of a table that is sorted by class, it alone would tell the classes."""
    frame = rows()
    frame.insert(0, "id", range(1, 61))
    frame.to_csv(work / "id.csv", index=False)

    trained = within(work, "run", "s.yaml", "--set", "data.source.table.path=id.csv", "--out", "i")
    strict = within(work, "run", "s.yaml", "--data", "id.csv", "--strict", "--out", "j")
    asked = within(work, "predict", "r", "id.csv")
    measured = within(work, "evaluate", "i", "id.csv")
    checked = within(work, "check", "id.csv", "--label", "label")
    first = within(work, "init", "id.csv", "--no-check")

    assert "note: left out, since it only counts the rows: the column 'id'" in trained.output
    assert gridcnn.load(work / "i").adapter.shape().columns == 4
    assert strict.exit_code == 2
    assert not (work / "j" / "model.gridcnn").exists()
    assert "ignored: the column 'id'" in asked.stderr
    assert "ignored: the column 'id'" in measured.output
    assert "'id'" in checked.stdout
    assert "not used: id" in first.stdout


def test_numbers_that_can_be_read_in_two_ways_are_refused_or_noted(work: Path) -> None:
    frame = rows()
    frame["a"] = [f"1,{number:03}" for number in range(60)]
    frame.to_csv(work / "two.csv", index=False)
    frame["a"] = [f"1.{number:03}" if number % 2 else str(900 + number) for number in range(60)]
    frame.to_csv(work / "points.csv", index=False)

    for command in (
        ["run", "s.yaml", "--set", "data.source.table.path=two.csv", "--out", "a"],
        ["check", "two.csv", "--label", "label"],
    ):
        done = within(work, *command)
        assert done.exit_code == 2
        assert "may be the decimal or the thousands separator" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    points = ["run", "s.yaml", "--set", "data.source.table.path=points.csv"]
    noted = within(work, *points, "--out", "b")
    assert "if the point separates thousands, set thousands: '.'" in noted.output
    told = "data.source.table.thousands=."
    assert "if the point" not in within(work, *points, "--set", told, "--out", "c").output


def test_equal_items_of_two_classes_are_counted_in_all_verbs(work: Path) -> None:
    frame = pd.concat([rows(), rows().iloc[:3].assign(label="high")])
    frame.to_csv(work / "twice.csv", index=False)

    trained = within(
        work, "run", "s.yaml", "--set", "data.source.table.path=twice.csv", "--out", "a"
    )
    measured = within(work, "evaluate", "r", "twice.csv")

    assert "note: 3 items have the same grid as an item of another class" in trained.output
    assert "note: 3 items have the same grid as an item of another class" in measured.stdout
    with pytest.raises(DataError, match="3 items have the same grid"):
        gridcnn.evaluate(work / "r", work / "twice.csv", strict=True)


def test_one_cause_is_one_line(work: Path) -> None:
    """However many rows have it."""
    frame = rows()
    causes = {
        "amounts": frame.assign(label=np.linspace(0, 1, 60)),
        "texts": frame.assign(a="x", b="y"),
        "missing": frame.assign(a=[""] * 30 + [1.0] * 30),
        "names": frame.assign(label=[f"n{number}" for number in range(60)]),
        "unlabelled": frame.assign(label=["low", "high", ""] * 20),
    }
    for name, part in causes.items():
        part.to_csv(work / f"{name}.csv", index=False)
        done = within(
            work, "run", "s.yaml", "--set", f"data.source.table.path={name}.csv", "--out", name
        )
        assert done.exit_code == 2
        told = [line for line in done.stderr.splitlines() if "cannot be read" not in line]
        assert len(told) == 1, done.stderr


def test_fewer_than_five_items_may_have_the_same_votes(work: Path) -> None:
    """By chance, or because they are equal."""
    with_weights(work, "flat", 0)
    rows().head(4).to_csv(work / "few.csv", index=False)

    assert "note:" not in within(work, "predict", "flat", "few.csv").stderr


def far(work: Path) -> None:
    """Write a table of which one number is far from all others, and a spec without data."""
    rows(400).assign(a=[1e9, *rows(400)["a"][1:]]).to_csv(work / "far.csv", index=False)
    (work / "bare.yaml").write_text("adapter: {array: {size: [9, 9], channels: 1}}\nhead: voting\n")


def test_check_takes_its_notes_for_errors_if_strict(work: Path) -> None:
    """They are part of its evidence otherwise; Python has the same."""
    rows().assign(e=rows()["a"]).to_csv(work / "twin.csv", index=False)

    told = within(work, "check", "twin.csv", "--label", "label")
    strict = within(work, "check", "twin.csv", "--label", "label", "--strict")

    assert "columns with the same values as another: 'e' as 'a'" in told.stdout.replace("\n  ", " ")
    assert strict.exit_code == 2
    assert "error: columns with the same values as another: 'e' as 'a'" in strict.stderr
    with pytest.raises(DataError, match="with strict, every note is an error"):
        gridcnn.check(work / "twin.csv", "label", strict=True)


def test_init_notes_what_is_left_out_and_writes_nothing_if_strict(work: Path) -> None:
    for label in "ab":
        (work / "pictures" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (8, 8), number).save(work / "pictures" / label / f"{number}.png")
    (work / "pictures" / "a" / "notes.md").write_text("x")

    strict = within(work, "init", "pictures", "--strict")
    was_written = (work / "pictures.yaml").exists()
    told = within(work, "init", "pictures")

    assert strict.exit_code == 2
    assert "error: 1 file left out" in strict.stderr
    assert not was_written
    assert told.exit_code == 0
    assert "note: 1 file left out" in told.stderr
    assert "found 6 pictures, 2 classes\n" in told.stdout


def test_show_takes_its_notes_for_errors_if_strict(work: Path) -> None:
    """Those of a plan are part of it otherwise; those of a file stand beside its grid."""
    far(work)
    (work / "row.csv").write_text("a,b,c,d,z\n1,2,3,4,5\n")

    plan = within(work, "show", "bare.yaml")
    strict_plan = within(work, "show", "bare.yaml", "--strict")
    file = within(work, "show", "row.csv", "--spec", "r")
    strict_file = within(work, "show", "row.csv", "--spec", "r", "--strict")

    assert "for 2 classes, since the spec names no data" in plan.stdout
    assert strict_plan.exit_code == strict_file.exit_code == 2
    assert "error: for 2 classes, since the spec names no data" in strict_plan.stderr
    assert "note: row.csv: not columns of the training, and ignored: the column 'z'" in file.stderr
    assert "not columns of the training" in strict_file.stderr


def test_numbers_that_are_cut_off_are_noted_in_every_verb(work: Path) -> None:
    """By run, predict, evaluate and show, once, with how many items have any."""
    far(work)
    note = "note: 1 item with numbers 10 deviations or more from the mean of their column: they are"

    trained = within(work, "run", "s.yaml", "--data", "far.csv", "--out", "f")
    (work / "one.csv").write_text("a,b,c,d\n1e9,0,0,0\n")

    assert trained.output.count(note) == 1
    assert note in within(work, "evaluate", "f", "far.csv").stdout
    assert note in within(work, "predict", "f", "far.csv").stderr
    assert note in within(work, "show", "one.csv", "--spec", "f").stderr
    assert within(work, "predict", "f", "one.csv", "--strict").exit_code == 2


def test_python_warns_or_refuses_if_strict() -> None:
    """The pipeline without a head, and the classifier of scikit-learn."""
    X = rows(400).drop(columns="label").to_numpy(copy=True)
    X[3, 2] = 1e9
    y = np.repeat(["low", "high"], 200)
    spec = {"adapter": "table", "head": "voting"}
    more: dict[str, Any] = {"check": "off", "epochs": 1}

    with pytest.warns(UserWarning, match="1 item with numbers 10 deviations or more") as told:
        gridcnn.Pipeline(spec).fit(X).transform(X)
    with pytest.warns(UserWarning, match="1 item with numbers") as together:
        gridcnn.Pipeline(spec).fit_transform(X)
    with pytest.warns(UserWarning, match="1 item with numbers 10 deviations or more"):
        gridcnn.GridClassifier(spec, **more).fit(X, y)

    assert told[0].filename == together[0].filename == __file__
    for strict in (
        lambda: gridcnn.Pipeline(spec, strict=True).fit_transform(X),
        lambda: gridcnn.GridClassifier(spec, strict=True, **more).fit(X, y),
    ):
        with pytest.raises(DataError, match="with strict, every note is an error"):
            strict()
