"""Data as people really have it: inputs that went wrong in other hands, and what is right.

Each test makes its input, gives it to the verbs that read it, and states what is right.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from gridcnn.cli.main import app
from gridcnn.datasets.tables.columns import Look
from gridcnn.datasets.tables.rows import Form
from gridcnn.errors import DataError
from gridcnn.order.parts import Part
from gridcnn.runs import starter

PICTURES = """\
data: {source: none}
adapter: {image: {size: [8, 8]}}
stages: [{convolution: {filters: 2}}, rectification]
head: voting
training: {epochs: 1, batch_size: 8}
"""
ROWS = """\
data: {source: {table: {path: t.csv, label: label}}}
adapter: table
check: 'off'
head: voting
training: {epochs: 1, batch_size: 8}
"""
TEXTS = """\
data: {source: {table: {path: t.csv, input: text, label: label}}}
adapter: {text: {length: 16}}
head: voting
training: {epochs: 1, batch_size: 8}
"""


def within(folder: Path, *arguments: Any) -> Any:
    """Run the command in `folder` and in this process."""
    environment = {"COLUMNS": "200", "NO_COLOR": "1"}
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, [*map(str, arguments)], env=environment)


def shown(folder: Path, *arguments: Any) -> str:
    """Return what a command prints that works."""
    done = within(folder, *arguments)
    assert done.exit_code == 0, done.output
    return str(done.output)


def refused(folder: Path, *arguments: Any) -> list[str]:
    """Return the errors of a command that fails, a line each."""
    done = within(folder, *arguments)
    assert done.exit_code == 2, done.output
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def picture(path: Path, number: int) -> None:
    """Write a picture that is like no other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)).save(path)


def classes_in(folder: Path, *, count: int = 8, names: Sequence[str] = ("bar", "disc")) -> None:
    """Write a folder of class folders."""
    for number, name in enumerate(names):
        for item in range(count):
            seed = zlib.crc32(f"{folder} {number} {item}".encode())
            picture(folder / name / f"{item:03}.png", seed)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a folder with three specs."""
    for name, text in (("img", PICTURES), ("tab", ROWS), ("txt", TEXTS)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


# Folders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts",
    [("seg_train/seg_train", "seg_test/seg_test"), ("training_set", "test_set"), ("train", "test")],
)
def test_folders_that_name_parts_are_parts_and_no_classes(
    work: Path, parts: tuple[str, str]
) -> None:
    for part in parts:
        classes_in(work / "photos" / part)

    text = shown(work, "run", "img.yaml", "--data", "photos", "--out", "r")

    assert "16 test; 2 classes: bar, disc" in text
    assert ("note: folders are read as parts" in text) == (parts[0] != "train")
    assert "2 classes" in shown(work, "init", "photos")


def test_a_folder_that_is_too_high_is_answered_with_the_right_one(work: Path) -> None:
    classes_in(work / "pets" / "PetImages")

    (line,) = refused(work, "run", "img.yaml", "--data", "pets")
    (other,) = refused(work, "init", "pets")

    right = line.rpartition("give ")[2]
    assert other.endswith(right)
    assert "2 classes: bar, disc" in shown(work, "run", "img.yaml", "--data", right, "--out", "r")


JUNK = ("@eaDir", "__MACOSX", ".ipynb_checkpoints", "$RECYCLE.BIN", "System Volume Information")


def test_what_systems_leave_in_folders_is_skipped_by_all_verbs(work: Path) -> None:
    classes_in(work / "photos")
    for place in ("", "bar", "disc"):
        for junk in JUNK:
            picture(work / "photos" / place / junk / "000.png", 1)
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png"):
            (work / "photos" / place / name).write_bytes(b"\0\5\x16\7")

    text = shown(work, "run", "img.yaml", "--data", "photos", "--out", "r")
    answers = shown(work, "predict", "r", "photos", "--csv").splitlines()[1:]

    assert "2 classes: bar, disc" in text
    assert "left out" not in text
    assert len(answers) == 16
    assert not any(junk in line for line in answers for junk in (*JUNK, "._", ".db"))
    assert "16 items" in shown(work, "evaluate", "r", "photos")
    assert "16 pictures, 2 classes" in shown(work, "init", "photos")


def link(target: str, path: Path) -> None:
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("links cannot be made here")


def test_class_folders_that_are_links_are_followed_by_all_verbs(work: Path) -> None:
    classes_in(work / "store")
    (work / "l").mkdir()
    link("../store/bar", work / "l" / "bar")
    link("../store/disc", work / "l" / "disc")

    shown(work, "run", "img.yaml", "--data", "l", "--out", "r")

    assert len(shown(work, "predict", "r", "l", "--csv").splitlines()) == 17
    assert len(shown(work, "predict", "r", "l/disc", "--csv").splitlines()) == 9
    assert "16 items" in shown(work, "evaluate", "r", "l")


def test_a_link_back_is_told_once_where_it_is(work: Path) -> None:
    """What is in the folder that it leads back to is not told a second time."""
    classes_in(work / "loop")
    link("..", work / "loop" / "disc" / "up")
    link("nowhere.png", work / "loop" / "bar" / "broken.png")

    lines = refused(work, "run", "img.yaml", "--data", "loop")

    assert len(lines) == 2
    assert "broken.png: this is a link to a file that does not exist; remove it" in lines[0]
    assert "up: this link leads back to" in lines[1]
    (work / "loop" / "disc" / "up").unlink()
    (work / "loop" / "bar" / "broken.png").unlink()
    shown(work, "run", "img.yaml", "--data", "loop", "--out", "r")


def test_equal_items_of_two_parts_or_classes_are_counted(work: Path) -> None:
    classes_in(work / "cross" / "train", count=10)
    picture(work / "cross" / "test" / "bar" / "000.png", 0)
    picture(work / "cross" / "test" / "disc" / "001.png", 1)
    data = (work / "cross/train/disc/000.png").read_bytes()
    (work / "cross/test/disc/000.png").write_bytes(data)
    (work / "cross/train/bar/other.png").write_bytes(data)

    kept = shown(work, "run", "img.yaml", "--data", "cross", "--out", "r")
    drop = ("--set", "data.duplicates=drop", "--out", "s")
    dropped = shown(work, "run", "img.yaml", "--data", "cross", *drop)

    assert "note: 1 of 3 test items have the same grids as" in kept
    assert "the same grid as an item of another class" in kept
    assert "items left out because they are equal to an earlier one" in dropped
    strict = refused(work, "run", "img.yaml", "--data", "cross", "--strict", "--out", "t")
    assert strict[-1] == "error: with strict, every note is an error"


@pytest.mark.skipif(sys.platform != "linux", reason="names are always text there")
def test_names_that_are_not_utf8_are_read_by_all_verbs(work: Path) -> None:
    classes_in(work / "p")
    (work / "p/disc/000.png").rename(work / "p/disc" / os.fsdecode(b"caf\xe9.png"))
    (work / "p/bar").rename(work / "p" / os.fsdecode(b"b\xe4r"))

    found = shown(work, "init", "p")
    shown(work, "run", "p.yaml", "--set", "training.epochs=1", "--out", "r")

    assert "16 pictures, 2 classes" in found
    assert r"disc/caf\xe9.png" in shown(work, "predict", "r", "p", "--csv")
    assert r"b\xe4r" in shown(work, "evaluate", "r", "p")


@pytest.mark.parametrize("name", ["1-{}.png", "fold{}_x.png"])
def test_init_sees_groups_in_names_of_files(work: Path, name: str) -> None:
    """As in `1-abc.ogg`, `2-def.ogg`; a run and its folds keep them together."""
    for label in ("bar", "disc"):
        for item in range(12):
            words = f"{item % 3 + 1}-{label[0]}{item}.png"
            picture(work / "photos" / label / words, item + 100 * (label == "bar"))

    shown(work, "init", "photos")

    spec = yaml.safe_load((work / "photos.yaml").read_text())
    assert "pattern" in spec["data"]["group"]
    quick = ("--set", "training.epochs=1", "--out", "r")
    text = shown(work, "run", "photos.yaml", "--folds", "groups", *quick)
    assert "3 folds" in text


# Few items --------------------------------------------------------------------------------------


def test_a_rare_class_shows_in_the_figures(work: Path) -> None:
    """The accuracy stands beside what always answering the most frequent class would get."""
    classes_in(work / "skew", count=4)
    classes_in(work / "skew", count=120, names=("disc",))

    text = shown(work, "run", "img.yaml", "--data", "skew", "--out", "r")

    assert "always answering 'disc' gets" in text
    assert "balanced accuracy" in text
    assert "worst class" in text


@pytest.mark.parametrize("count", [1, 2])
def test_a_class_of_too_few_items_is_noted(work: Path, count: int) -> None:
    """Training gets the first item, the test the second; which part lacks the class is told."""
    classes_in(work / "few")
    classes_in(work / "few", count=count, names=("rare",))

    text = " ".join(shown(work, "run", "img.yaml", "--data", "few", "--out", "r").split())

    assert f"too few items for every part ('rare' has {count})" in text
    assert "validation has none of 'rare'" in text
    assert ("test has none of 'rare'" in text) == (count == 1)


# Tables -----------------------------------------------------------------------------------------


def numbers(count: int = 40) -> pd.DataFrame:
    """Return rows of noise, sorted by class."""
    values = np.random.default_rng(0).normal(size=(count, 6)).round(3)
    frame = pd.DataFrame(values, columns=[f"t{place}" for place in range(6)])
    return frame.assign(label=np.repeat(["a", "b"], count // 2))


def table(path: Path) -> tuple[str, str]:
    """Return the options that set the table of a spec."""
    return "--set", f"data.source.table.path={json.dumps(str(path))}"


@pytest.mark.parametrize("name", ["", "id", "Unnamed: 0"])
def test_a_column_that_counts_rows_is_left_out_with_a_note(work: Path, name: str) -> None:
    """A table that is sorted by class would be told apart by it alone."""
    frame = numbers()
    frame.insert(0, name, range(len(frame)))
    frame.to_csv(work / "t.csv", index=False)

    text = shown(work, "run", "tab.yaml", "--out", "r")

    assert f"left out, since it only counts the rows: the column '{name}'" in text
    assert "left out, since it only counts" not in shown(
        work, "run", "tab.yaml", "--set", "data.source.table.input=[t0, t1]", "--out", "s"
    )
    assert "rows of 6 numbers" in shown(work, "init", "t.csv", "--no-check")
    assert refused(work, "run", "tab.yaml", "--strict", "--out", "t")


def test_a_long_cell_is_read_by_all_verbs(work: Path) -> None:
    """Longer than 131,072 characters, which is the limit of Python's reader."""
    texts = [f"good day number {n} " * (9_000 if n == 3 else 1) for n in range(12)]
    texts += [f"win money now {n}" for n in range(12)]
    frame = pd.DataFrame({"text": texts, "label": ["ham"] * 12 + ["spam"] * 12})
    frame.to_csv(work / "t.csv", index=False)
    frame.to_json(work / "t.jsonl", orient="records", lines=True)

    shown(work, "run", "txt.yaml", "--out", "r")

    assert len(shown(work, "predict", "r", "t.csv", "--csv").splitlines()) == 25
    assert "24 items" in shown(work, "evaluate", "r", "t.jsonl")
    assert "a table of texts" in shown(work, "init", "t.csv")
    assert within(work, "check", "t.csv", "--label", "label").exit_code in (0, 3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.linspace(0, 1, 24), "look like amounts"),
        ([f"c{number}" for number in range(24)], "look like names of items"),
        (pd.date_range("2020", periods=24), ""),
        ([[1, 0]] * 24, "a label is a text or a whole number"),
    ],
)
def test_labels_that_are_none_are_one_line(work: Path, labels: Any, message: str) -> None:
    """Not one for each of the rows."""
    texts = [f"good day {number}" for number in range(24)]
    frame = pd.DataFrame({"text": texts, "label": list(labels)})
    pytest.importorskip("pyarrow")
    frame.to_parquet(work / "t.parquet")

    (line,) = refused(work, "run", "txt.yaml", *table(work / "t.parquet"))

    assert message in line


def test_mixed_labels_of_a_file_are_told_what_to_write_in_it(work: Path) -> None:
    texts = [f"good day {number}" for number in range(24)]
    rows = [
        {"text": t, "label": 1 if n < 12 else "1" if n < 18 else 2} for n, t in enumerate(texts)
    ]
    path = work / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))

    (line,) = refused(work, "run", "txt.yaml", *table(path))

    assert 'every label as a text (as "1", in quotes)' in line
    path.write_text("\n".join(json.dumps({**row, "label": str(row["label"])}) for row in rows))
    shown(work, "run", "txt.yaml", *table(path), "--out", "r")


@pytest.mark.parametrize("missing", ["mean", "zero"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_missing_numbers_are_filled_in_from_every_file(
    work: Path, ending: str, missing: str
) -> None:
    frame = numbers()
    frame.loc[3::7, "t5"] = np.nan
    path = work / f"t.{ending}"
    if ending == "csv":
        frame.to_csv(path, index=False)
    elif ending == "jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)

    setting = ("--set", f"adapter.table.missing={missing}")
    shown(work, "run", "tab.yaml", *table(path), *setting, "--out", "r")
    asked = shown(work, "predict", "r", path.name, "--csv")

    assert len([line for line in asked.splitlines() if "t." in line]) == 40
    assert "40 items" in shown(work, "evaluate", "r", path)
    lines = refused(work, "run", "tab.yaml", *table(path))
    assert len(lines) == 2  # of six rows, which are one cause
    assert "or set adapter.table.missing: mean" in lines[0]
    assert "(the same in 5 more: " in lines[0]


def test_thousands_are_no_decimals(work: Path) -> None:
    """1,002 beside 998 is a thousand and two, for all verbs."""
    random = np.random.default_rng(0)
    values = 1000 + np.cumsum(random.normal(0, 12, (60, 8)), 1)
    labels = np.where(values[:, 2] > values[:, 6], "a", "b")
    head = ",".join(f"t{place}" for place in range(8)) + ",label\n"
    for name, form in (("plain", "{:.0f}"), ("thousands", '"{:,.0f}"')):
        rows = [
            ",".join(map(form.format, row)) + f",{label}\n"
            for row, label in zip(values, labels, strict=True)
        ]
        (work / f"{name}.csv").write_text(head + "".join(rows))

    for name in ("plain", "thousands"):
        shown(work, "run", "tab.yaml", *table(work / f"{name}.csv"), "--out", name)
    plain, asked = (
        pd.read_csv(io.StringIO(within(work, "predict", "plain", f"{name}.csv", "--csv").stdout))
        for name in ("plain", "thousands")
    )

    assert plain.iloc[:, 2].tolist() == asked.iloc[:, 2].tolist()
    assert (
        "numbers have ',' between thousands"
        in within(work, "check", "thousands.csv", "--label", "label").output
    )


def test_columns_are_taken_by_name_in_any_order(work: Path) -> None:
    """Others are ignored with a note; missing, renamed and unnamed ones are refused."""
    frame = numbers()
    frame.to_csv(work / "t.csv", index=False)
    shown(work, "run", "tab.yaml", "--out", "r")
    rows = frame.drop(columns="label")
    files = {
        "plain": rows,
        "reversed": rows[rows.columns[::-1]],
        "extra": rows.assign(extra="x"),
        "renamed": rows.rename(columns=str.upper),
        "lacks": rows.drop(columns="t3"),
    }
    for name, part in files.items():
        part.to_csv(work / f"{name}.csv", index=False)
    rows.to_csv(work / "nohead.csv", index=False, header=False)
    rows.to_csv(work / "semi.csv", index=False, sep=";", decimal=",")

    def votes(name: str) -> list[float]:
        done = within(work, "predict", "r", f"{name}.csv", "--csv")
        assert done.exit_code == 0, done.output
        return pd.read_csv(io.StringIO(done.stdout)).iloc[:, 2].tolist()

    expected = votes("plain")
    assert votes("reversed") == votes("extra") == votes("semi") == expected
    assert "ignored: the column 'extra'" in within(work, "predict", "r", "extra.csv").stderr
    for name, message in (
        ("renamed", "has no columns 't0', 't1'"),
        ("lacks", "has no column 't3'"),
        ("nohead", "is the line with the names missing?"),
    ):
        assert message in refused(work, "predict", "r", f"{name}.csv")[0]


# Tables in files that know types ------------------------------------------------------------------


def png(number: int) -> bytes:
    """Return a picture as the bytes of its file."""
    content = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def test_pictures_in_parquet_are_read_by_all_verbs(work: Path) -> None:
    """In the common form {bytes, path}, which is named in `input`."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    cells = [{"bytes": png(number), "path": f"{number}.png"} for number in range(40)]
    parquet.write_table(pa.table({"image": cells, "label": [0, 1] * 20}), work / "p.parquet")

    assert "a table of pictures" in shown(work, "init", "p.parquet")
    shown(work, "run", "p.yaml", "--set", "training.epochs=1", "--out", "r")
    assert len(shown(work, "predict", "r", "p.parquet", "--csv").splitlines()) == 41
    assert "40 items" in shown(work, "evaluate", "r", "p.parquet")
    assert within(work, "check", "p.yaml").exit_code in (0, 3)
    (line,) = refused(
        work,
        "run",
        "img.yaml",
        *table(work / "p.parquet"),
        "--set",
        "data.source.table.label=label",
    )
    advice = line.rpartition("set input: ")[2]
    column = (
        "--set",
        "data.source.table.label=label",
        "--set",
        f"data.source.table.input={advice}",
    )
    shown(work, "run", "img.yaml", *table(work / "p.parquet"), *column, "--out", "s")


def test_lists_of_numbers_in_parquet_are_rows(work: Path) -> None:
    pytest.importorskip("pyarrow")
    values = np.random.default_rng(0).normal(size=(40, 5))
    frame = pd.DataFrame({"signal": [row.tolist() for row in values], "label": ["a", "b"] * 20})
    frame.to_parquet(work / "l.parquet")

    assert "rows of numbers in signal" in shown(work, "init", "l.parquet")
    quick = ("--set", "training.epochs=1", "--set", "check=off", "--out", "r")
    shown(work, "run", "l.yaml", *quick)
    assert len(shown(work, "predict", "r", "l.parquet", "--csv").splitlines()) == 41


def test_what_cannot_be_read_in_parquet_is_told_once_with_its_type(work: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = numbers().assign(t0=pd.date_range("2024", periods=40))
    frame.to_parquet(work / "d.parquet")

    (line,) = refused(work, "run", "tab.yaml", *table(work / "d.parquet"))

    assert "no numbers in the column 't0' (timestamp" in line


# First specs --------------------------------------------------------------------------------------


def customers() -> pd.DataFrame:
    """Return a table of customers, whose columns are of several kinds."""
    random = np.random.default_rng(0)
    first = ("Anna", "Bob", "Carl", "Dora", "Eva", "Fritz", "Gina", "Hans", "Ida", "Jan")
    last = ("Smith", "Jones", "Miller", "Brown", "Wilson", "Moore", "Taylor", "Thomas", "White")
    words = (
        "the",
        "good",
        "bad",
        "service",
        "was",
        "very",
        "slow",
        "fast",
        "and",
        "never",
        "again",
    )
    age = random.integers(18, 80, 200)
    return pd.DataFrame(
        {
            "name": [f"{random.choice(first)} {random.choice(last)}" for _ in range(200)],
            "age": age,
            "income": random.normal(40_000, 9_000, 200).round(),
            "city": random.choice(["Paris", "London", "Rome"], 200),
            "comment": [" ".join(random.choice(words, 8)) for _ in range(200)],
            "churn": np.where(age > 50, "yes", "no"),
        }
    )


def test_init_comes_to_the_answer_of_the_checker(work: Path) -> None:
    """Of a table of customers no name is taken for a text to learn from."""
    customers().drop(columns="comment").to_csv(work / "c.csv", index=False)

    for options in ((), ("--label", "churn")):
        done = within(work, "init", "c.csv", *options)
        assert done.exit_code == 3, done.output
        assert "the order of its columns means nothing" in done.stderr
        assert not (work / "c.yaml").exists()


def unrelated(*, surveyed: bool) -> pd.DataFrame:
    """Return customers of whom nothing depends on anything else; or only answers of 1 to 5.

    One class has too few of them to train networks on, which would take time.
    """
    random = np.random.default_rng(3)
    frame = customers().drop(columns=["comment", "age", "income"] if surveyed else "comment")[:60]
    for place in range(12):
        unit = 3.0 ** (place * 5 % 12)
        values = random.integers(1, 6, 60) if surveyed else random.normal(3, 1, 60) * unit
        frame.insert(2, f"x{place}", values)
    return frame.assign(churn=["yes"] * 5 + ["no"] * 55)


def test_init_check_and_run_agree_on_customers_of_whom_nothing_is_related(work: Path) -> None:
    """Amounts in units of their own cannot be neighbours, even if their order was never tried."""
    unrelated(surveyed=False).to_csv(work / "c.csv", index=False)

    by_init = within(work, "init", "c.csv", "--label", "churn")
    by_check = within(work, "check", "c.csv", "--label", "churn")
    assert not (work / "c.yaml").exists()
    shown(work, "init", "c.csv", "--label", "churn", "--no-check")
    by_run = within(work, "run", "c.yaml", "--out", "r")

    for done in (by_init, by_check, by_run):
        assert done.exit_code == 3, done.output
        assert "may be in the same units" in " ".join(done.output.split())
    assert not (work / "r").exists()


def test_init_says_that_the_order_is_undecided_as_a_run_does(work: Path) -> None:
    """Answers of 1 to 5 that do not depend on each other may be readings of a weak sensor."""
    unrelated(surveyed=True).to_csv(work / "c.csv", index=False)

    by_init = shown(work, "init", "c.csv", "--label", "churn")
    by_run = shown(work, "run", "c.yaml", "--set", "training.epochs=1", "--out", "r")

    assert "not used: name, city" in by_init
    for text in (by_init, by_run):
        assert "check: undecided; the evidence is too weak to decide; needed: " in text


@pytest.mark.parametrize("header", [True, False])
def test_init_takes_the_ordered_columns_of_a_table(work: Path, header: bool) -> None:
    """Of hours among attributes it takes the hours, and such a spec runs; check says the same."""
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 300)
    moments = (np.arange(24) + random.uniform(0, 24, (300, 1))) / 24
    hours = np.sin(2 * np.pi * moments * (1 + label[:, None])) + random.normal(0, 0.2, (300, 24))
    frame = pd.DataFrame(hours.round(3), columns=[f"h{hour}" for hour in range(24)])
    for place, name in enumerate(["age", "income", "height", "dose"]):
        frame.insert(place, name, random.normal(0, 1, 300).round(3))
    frame["kind"] = label
    frame.to_csv(work / "t.csv", index=False, header=header)
    kind, first = ("kind", "h0") if header else ("29", "5")

    said = " ".join(within(work, "check", "t.csv").stdout.split())
    assert "(gridcnn init writes such a spec)" in said
    told = shown(work, "init", "t.csv", "--label", kind)

    assert "rows of 24 numbers" in told
    assert "only the columns that are used are in a meaningful order" in told
    spec = (work / "t.yaml").read_text()
    assert re.search(rf"input: \[\W*{first}\W", spec)
    assert "size: [1, 24]" in spec
    shown(work, "run", "t.yaml", "--set", "training.epochs=1", "--out", "run")


def test_an_ordered_part_with_an_end_that_is_no_number_is_asked_for() -> None:
    look = Look(("a", "b"), "kind", None, (), Form(), 20)

    with pytest.raises(DataError, match="only the columns from a to c are in a meaningful order"):
        starter._only(look, Part(0, 3, "a", "c"), "t.csv")


@pytest.mark.parametrize("columns", [["name", "churn"], ["name", "age", "churn"]])
def test_names_are_no_texts_unless_one_says_so(work: Path, columns: list[str]) -> None:
    customers()[columns].to_csv(work / "c.csv", index=False)

    assert within(work, "init", "c.csv").exit_code in (2, 3)
    assert not (work / "c.yaml").exists()
    asked = ("--input", "name", "--label", "churn")
    assert "the texts in name" in shown(work, "init", "c.csv", *asked)


def test_texts_beside_other_columns_are_asked_for(work: Path) -> None:
    """The advice of the message is followed."""
    frame = customers().rename(columns={"comment": "remarks"})
    frame.to_csv(work / "c.csv", index=False)

    done = within(work, "init", "c.csv", "--label", "churn")

    assert done.exit_code in (2, 3)
    assert "--input COLUMN" in done.stderr
    asked = ("--input", "remarks", "--label", "churn")
    assert "the texts in remarks" in shown(work, "init", "c.csv", *asked)


def test_texts_alone_are_taken(work: Path) -> None:
    customers()[["comment", "churn"]].to_csv(work / "c.csv", index=False)

    assert "the texts in comment" in shown(work, "init", "c.csv")


@pytest.mark.parametrize("ending", ["parquet", "feather", "jsonl"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_lists_in_cells_with_numbers_that_are_not_finite_are_refused_by_row(
    work: Path, ending: str, bad: float
) -> None:
    """By every kind of file that holds lists."""
    random = np.random.default_rng(0)
    lists = random.normal(0, 1, (20, 4))
    lists[7, 1] = bad
    frame = pd.DataFrame({"a": lists.tolist(), "label": ["x", "y"] * 10})
    path = work / f"t.{ending}"
    if ending == "jsonl":
        rows = [{"a": a, "label": label} for a, label in zip(frame.a, frame.label, strict=True)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        getattr(frame, f"to_{ending}")(path)
    spec = {
        "data": {"source": {"table": {"path": path.name, "input": "a", "label": "label"}}},
        "adapter": "array",
        "check": "off",
        "head": "voting",
    }
    (work / "s.yaml").write_text(yaml.safe_dump(spec))

    done = within(work, "run", "s.yaml", "--out", "run")

    assert done.exit_code == 2
    place = f"{path.name}:8" if ending == "jsonl" else f"{path.name}, row 7"
    assert place in done.stderr
    assert "finite" in done.stderr
    assert not (work / "run").exists()
