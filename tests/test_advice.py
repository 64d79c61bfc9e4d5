"""Advice about data, files and commands is followed, and works.

Each entry is a command that fails, what its message advises, and the command that follows it.
Advice about specs is in `test_hints.py`.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from gridcnn.cli.main import app

QUICK = "training: {epochs: 1, batch_size: 8}\n"
SPECS = {
    "img": "data: {source: photos}\nadapter: {image: {size: [8, 8]}}\nhead: voting\n",
    "tab": "data: {source: {table: {path: t.csv, label: label}}}\nadapter: table\ncheck: 'off'\n"
    "head: voting\n",
    "txt": "data: {source: {table: {path: x.csv, input: text, label: label}}}\n"
    "adapter: {text: {length: 16}}\nhead: voting\n",
    "mol": "data: {source: {table: {path: m.csv, input: smiles, label: label}}}\n"
    "adapter: {molecule: {length: 16}}\nhead: voting\n",
    "arr": "data: {source: a.npz}\nadapter: array\ncheck: 'off'\nhead: voting\n",
    "headless": "data: {source: a.npz}\nadapter: array\ncheck: 'off'\n",
    "nodata": "adapter: {image: {size: [8, 8]}}\nhead: voting\n",
    "one": "data: {source: a.npz}\nadapter: array\ncheck: 'off'\nhead: voting\n"
    "stages: [{pooling: {window: 64, edges: drop}}]\n",
}


def within(folder: Path, arguments: str, more: tuple[str, ...] = (), stdin: str = "") -> Any:
    """Run a command in `folder` and in this process."""
    environment = {"COLUMNS": "200", "NO_COLOR": "1"}
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, [*arguments.split(), *more], input=stdin, env=environment)


def numbers() -> pd.DataFrame:
    """Return rows of numbers with a label."""
    values = np.random.default_rng(0).normal(size=(40, 4)).round(3)
    return pd.DataFrame(values, columns=list("abcd")).assign(label=["x", "y"] * 20)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with specs, data and models; each test has a copy."""
    folder = tmp_path_factory.mktemp("advice")
    for name, text in SPECS.items():
        (folder / f"{name}.yaml").write_text(text + QUICK)
    random = np.random.default_rng(0)
    for number in range(20):
        for label in ("cat", "dog"):
            path = folder / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 255, (8, 8), np.uint8)).save(path)
    frame = numbers()
    frame.to_csv(folder / "t.csv", index=False)
    words = ["tea", "sun"] * 20
    texts = pd.DataFrame({"text": [f"{w} {n}" for n, w in enumerate(words)], "label": words})
    texts.to_csv(folder / "x.csv", index=False)
    smiles = ["C" * (1 + number // 2) + "ON"[number % 2] for number in range(40)]
    pd.DataFrame({"smiles": smiles, "label": [s[-1] for s in smiles]}).to_csv(
        folder / "m.csv", index=False
    )
    np.savez(folder / "a.npz", X=random.normal(size=(40, 2, 4)), y=["x", "y"] * 20)
    for name in ("img", "tab", "txt", "arr"):
        done = within(folder, f"run {name}.yaml --quiet --out runs/{name}")
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def work(template: Path, tmp_path: Path) -> Path:
    """Return a folder of one's own with all of it."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path


def frame_to(name: str, **options: Any) -> Callable[[Path], Any]:
    """Return what writes the rows of numbers to a file."""
    return lambda folder: numbers().to_csv(folder / name, index=False, **options)


def text_to(name: str, text: str, encoding: str = "utf-8") -> Callable[[Path], Any]:
    """Return what writes a text to a file."""
    return lambda folder: (folder / name).write_text(text, encoding=encoding)


def nothing(_: Path) -> None:
    """Change nothing."""


def grouped(folder: Path) -> None:
    """Write numbers with a sign before decimals, or between thousands: nothing tells which."""
    rows = "".join(
        ",".join(f'"{place},{n:03}"' for place in range(1, 7)) + f",{'xy'[n % 2]}\n"
        for n in range(40)
    )
    (folder / "g.csv").write_text("a,b,c,d,e,f,label\n" + rows)


def with_gaps(folder: Path) -> None:
    """Write rows of numbers of which some are missing."""
    frame = numbers()
    frame.loc[::7, "b"] = np.nan
    frame.to_csv(folder / "gaps.csv", index=False)


def quoted(folder: Path) -> None:
    """Write texts in which quotes are ordinary characters."""
    rows = "".join(f'"tea {n}\tx\nsun {n}\ty\n' for n in range(20))
    (folder / "q.tsv").write_text("text\tlabel\n" + rows)


def with_words(folder: Path) -> None:
    """Write rows of numbers beside a column of words."""
    numbers().assign(city=["Rome", "Paris"] * 20).to_csv(folder / "w.csv", index=False)


def with_bad_pictures(folder: Path) -> None:
    (folder / "photos/cat/bad.png").write_bytes(b"nothing")


def packed(folder: Path) -> None:
    """Write a table as a list of JSON, and one that is packed."""
    numbers().to_json(folder / "list.json", orient="records")
    numbers().to_json(folder / "list.jsonl", orient="records", lines=True)
    (folder / "t.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))


def with_a_tab(folder: Path) -> None:
    (folder / "tabs.yaml").write_text(SPECS["tab"] + "training:\n\tepochs: 1\n")


def without_the_tab(folder: Path) -> None:
    (folder / "tabs.yaml").write_text(SPECS["tab"] + "training:\n  epochs: 1\n")


def with_an_empty_class(folder: Path) -> None:
    (folder / "photos/todo").mkdir()


def without_the_empty_class(folder: Path) -> None:
    (folder / "photos/todo").rmdir()


def beside(folder: Path) -> None:
    """Put a picture beside the class folders."""
    (folder / "flat").mkdir()
    shutil.copy(folder / "photos/cat/0.png", folder / "flat/0.png")


def sorted_into_classes(folder: Path) -> None:
    shutil.copytree(folder / "photos/cat", folder / "flat/cat")
    shutil.copytree(folder / "photos/dog", folder / "flat/dog")
    (folder / "flat/0.png").unlink()


TAB = "run tab.yaml --out r --set data.source.table."
Step = Callable[[Path], Any]

ADVICE: list[tuple[Step, str, str, Step, str]] = [
    # What prepares it; what fails; what it says; what is done about the data; what works then.
    # Specs and changes
    (nothing, "run imgs.yaml", "there is no file imgs.yaml", nothing, "run img.yaml --out r"),
    (nothing, "show xo.yaml", "the ready spec is called 'xo'", nothing, "show xo"),
    (nothing, "show xoo", "did you mean 'xo'?", nothing, "show xo"),
    (nothing, "show nowhere.yaml", "`gridcnn init` writes", nothing, "init nowhere"),
    (
        nothing,
        "run tab.yaml --out r --set training.epochs",
        "write it as key=value, for example training.epochs=3",
        nothing,
        "run tab.yaml --out r --set training.epochs=3",
    ),
    (
        nothing,
        "show img.yaml --set training.augmentation[0]=noise",
        "set it as a whole: training.augmentation=[...]",
        nothing,
        "show img.yaml --set training.augmentation=[{noise:_0.1}]",
    ),
    (
        nothing,
        "run tab.yaml --out r --set training.optimizer.momentum=0.5",
        "is changed as training.optimizer.sgd.momentum",
        nothing,
        "run tab.yaml --out r --set training.optimizer.sgd.momentum=0.5",
    ),
    (with_a_tab, "run tabs.yaml", "indent with spaces", without_the_tab, "run tabs.yaml --out r"),
    (
        nothing,
        "run nodata.yaml --out r",
        "or give data (--data PATH)",
        nothing,
        "run nodata.yaml --out r --data photos",
    ),
    (
        nothing,
        "run nodata.yaml --out r",
        "add data: {source: ...} to it",
        nothing,
        "run nodata.yaml --out r --set data.source=photos",
    ),
    (
        nothing,
        "run headless.yaml --out r",
        "add head: voting",
        nothing,
        "run headless.yaml --out r --set head=voting",
    ),
    (
        nothing,
        "run tab.yaml --out r --set training.patience=2 --set data.validation=0",
        "set data.validation above 0",
        nothing,
        "run tab.yaml --out r --set training.patience=2 --set data.validation=0.2",
    ),
    (
        nothing,
        "run one.yaml --out r",
        "take at most that size, 'all', or edges: keep",
        nothing,
        "run one.yaml --out r --set stages[0].pooling.window=all",
    ),
    (
        nothing,
        "run one.yaml --out r",
        "take at most that size, 'all', or edges: keep",
        nothing,
        "run one.yaml --out r --set stages[0].pooling.edges=keep",
    ),
    (
        nothing,
        "run tab.yaml --out r --set training.augmentation=[shift]",
        "set rows or columns above 0",
        nothing,
        "run tab.yaml --out r --set training.augmentation=[{shift:_{columns:_1}}]",
    ),
    (
        nothing,
        "run tab.yaml --out r --set training.augmentation=[flip]",
        "flip needs the setting 'axis': 'rows' or 'columns'",
        nothing,
        "run tab.yaml --out r --set training.augmentation=[{flip:_columns}]",
    ),
    # Folders
    (
        with_bad_pictures,
        "run img.yaml --out r",
        "correct or remove them, or set data.bad_items: skip",
        nothing,
        "run img.yaml --out r --set data.bad_items=skip",
    ),
    (
        with_bad_pictures,
        "evaluate runs/img photos",
        "skip them (--bad-items skip)",
        nothing,
        "evaluate runs/img photos --bad-items skip",
    ),
    (
        with_an_empty_class,
        "run img.yaml --out r",
        "add files, or remove the folder",
        without_the_empty_class,
        "run img.yaml --out r",
    ),
    (
        beside,
        "run img.yaml --out r --data flat",
        "put the files of each class into a folder named after it",
        sorted_into_classes,
        "run img.yaml --out r --data flat",
    ),
    (
        nothing,
        "run img.yaml --out r --data photos/cat/0.png",
        "give the folder that has a folder for each class",
        nothing,
        "run img.yaml --out r --data photos",
    ),
    # Tables
    (
        grouped,
        f"{TAB}path=g.csv",
        "set decimal: ',' or thousands: ',' of table",
        nothing,
        f"{TAB}path=g.csv --set data.source.table.thousands=,",
    ),
    (
        grouped,
        f"{TAB}path=g.csv",
        "set decimal: ',' or thousands: ',' of table",
        nothing,
        f"{TAB}path=g.csv --set data.source.table.decimal=,",
    ),
    (
        grouped,
        "check g.csv --label label",
        "set decimal: ',' or thousands: ',' of table",
        text_to(
            "g.yaml",
            SPECS["tab"]
            .replace("t.csv", "g.csv")
            .replace("label: label", "label: label, decimal: ','"),
        ),
        "check g.yaml",
    ),
    (
        with_gaps,
        f"{TAB}path=gaps.csv",
        "or set adapter.table.missing: mean",
        nothing,
        f"{TAB}path=gaps.csv --set adapter.table.missing=mean",
    ),
    (
        with_gaps,
        f"{TAB}path=gaps.csv",
        "set data.bad_items: skip",
        nothing,
        f"{TAB}path=gaps.csv --set data.bad_items=skip",
    ),
    (
        with_words,
        f"{TAB}path=w.csv",
        "list the columns of numbers in 'input'",
        nothing,
        f"{TAB}path=w.csv --set data.source.table.input=[a,b,c]",
    ),
    (
        text_to("latin.csv", "text,label\n" + "Tee für zwei,a\nSonne,b\n" * 20, "cp1252"),
        "run txt.yaml --out r --set data.source.table.path=latin.csv",
        "set its encoding, such as cp1252",
        nothing,
        "run txt.yaml --out r --set data.source.table.path=latin.csv "
        "--set data.source.table.encoding=cp1252",
    ),
    (
        text_to("latin.csv", "text,label\n" + "Tee für zwei,a\nSonne,b\n" * 20, "cp1252"),
        "init latin.csv",
        "set its encoding, such as cp1252",
        nothing,
        "init latin.csv --encoding cp1252",
    ),
    (
        quoted,
        "run txt.yaml --out r --set data.source.table.path=q.tsv",
        "set 'quoting: false'",
        nothing,
        "run txt.yaml --out r --set data.source.table.path=q.tsv "
        "--set data.source.table.quoting=false",
    ),
    (
        frame_to("bare.csv", header=False),
        f"{TAB}path=bare.csv --set data.source.table.label=5 --set data.source.table.header=true",
        "Then set 'header: false', and call columns by their numbers",
        nothing,
        f"{TAB}path=bare.csv --set data.source.table.label=5 --set data.source.table.header=false",
    ),
    (
        packed,
        f"{TAB}path=list.json",
        "write one object a line, without a list around them, as .jsonl",
        nothing,
        f"{TAB}path=list.jsonl",
    ),
    (
        nothing,
        f"{TAB}label=lable",
        "did you mean 'label'?",
        nothing,
        f"{TAB}label=label",
    ),
    (
        nothing,
        "run txt.yaml --out r --set data.source=x.csv",
        "write data: {source: {table: {path: ..., input: ..., label: ...}}} in the spec",
        nothing,
        "run txt.yaml --out r",
    ),
    # Texts and molecules
    (
        text_to("empty.csv", "text,label\n" + "tea,a\nsun,b\n" * 20 + '"",a\n'),
        "run txt.yaml --out r --set data.source.table.path=empty.csv",
        "set 'empty: allow' of text",
        nothing,
        "run txt.yaml --out r --set data.source.table.path=empty.csv "
        "--set adapter.text.empty=allow",
    ),
    (
        nothing,
        "run txt.yaml --out r --set adapter.text.min_count=100000",
        "min_count",
        nothing,
        "run txt.yaml --out r --set adapter.text.min_count=2",
    ),
    (
        nothing,
        "run mol.yaml --out r --set adapter.molecule.salts=strip",
        "set 'canonical: true' too",
        nothing,
        "run mol.yaml --out r --set adapter.molecule.salts=strip "
        "--set adapter.molecule.canonical=true",
    ),
    # Runs and folders
    (
        nothing,
        "run tab.yaml --out runs/tab",
        "give a folder that is new or empty",
        nothing,
        "run tab.yaml --out runs/tab2",
    ),
    (
        nothing,
        "run --resume runs/tab",
        "to continue, set more: gridcnn run --resume runs/tab --set training.epochs=",
        nothing,
        "run --resume runs/tab --set training.epochs=2",
    ),
    (
        nothing,
        "run --resume runs/tab --out other",
        "leave the other one out",
        nothing,
        "run --resume runs/tab --set training.epochs=2",
    ),
    (
        nothing,
        "run tab.yaml --folds 3 --set data.test=0.3 --out r",
        "leave the change of data.test out",
        nothing,
        "run tab.yaml --folds 3 --out r",
    ),
    (
        nothing,
        "run tab.yaml --folds 30 --out r",
        "use at most 20 folds",
        nothing,
        "run tab.yaml --folds 20 --out r",
    ),
    # Questions
    (
        nothing,
        "predict runs/txt tea",
        "a text itself is given with --text",
        nothing,
        "predict runs/txt --text tea",
    ),
    (
        nothing,
        "predict runs/tab",
        "name files or folders, - or --text TEXT",
        nothing,
        "predict runs/tab t.csv",
    ),
    (
        nothing,
        "predict runs/tab t.csv --json --csv",
        "give one of them",
        nothing,
        "predict runs/tab t.csv --json",
    ),
    (
        nothing,
        "predict runs t.csv",
        "name one of the runs in it, as runs/arr",
        nothing,
        "predict runs/tab t.csv",
    ),
    (
        nothing,
        "evaluate runs/tab t.csv --part dev",
        "choose train, validation, test or all",
        nothing,
        "evaluate runs/tab t.csv --part all",
    ),
    (
        nothing,
        "evaluate runs/tab t.csv --part test",
        "take all",
        nothing,
        "evaluate runs/tab t.csv --part all",
    ),
    (
        nothing,
        "evaluate runs/tab t.csv --bad-items leave",
        "--bad-items is stop or skip",
        nothing,
        "evaluate runs/tab t.csv --bad-items skip",
    ),
    # First specs, pages and pictures
    (
        nothing,
        "init t.csv --name tab",
        "give another name, or --force",
        nothing,
        "init t.csv --name tab --force --no-check",
    ),
    (
        nothing,
        "init t.csv --name other --label a",
        "give --no-check",
        nothing,
        "init t.csv --name other --no-check",
    ),
    (
        nothing,
        "init photos --label kind",
        "--label and --input are for a table",
        nothing,
        "init photos",
    ),
    (
        nothing,
        "show img.yaml --png seen.png",
        "--png draws the grid of a file: show FILE --spec img.yaml",
        nothing,
        "show photos/cat/0.png --spec img.yaml --png seen.png",
    ),
    (
        nothing,
        "show photos/cat/0.png --spec img.yaml --plan",
        "show SPEC --plan",
        nothing,
        "show img.yaml --plan",
    ),
    (
        nothing,
        "check t.csv --label label --report page",
        "give a name such as page.html",
        nothing,
        "check t.csv --label label --report page.html",
    ),
    (
        nothing,
        "check t.csv --label label --shape 2",
        "--shape is rows and columns, such as 28,28",
        nothing,
        "check t.csv --label label --shape 2,2",
    ),
    (
        nothing,
        "datasets make xo photos --count 4",
        "give one that is empty or does not exist",
        nothing,
        "datasets make xo drawings --count 4",
    ),
    (
        nothing,
        "datasets make phrases phrases --count 4",
        "give a file that ends in .csv or .tsv",
        nothing,
        "datasets make phrases phrases.csv --count 4",
    ),
]


@pytest.mark.parametrize(
    ("before", "wrong", "advice", "done", "right"),
    ADVICE,
    ids=[f"{number}: {entry[2][:40]}" for number, entry in enumerate(ADVICE)],
)
def test_advice_is_followed_and_works(
    work: Path, before: Step, wrong: str, advice: str, done: Step, right: str
) -> None:
    before(work)

    failed = within(work, wrong)

    assert failed.exit_code in (2, 3), failed.output
    assert advice in " ".join(failed.stderr.split()), failed.stderr
    if right:
        done(work)
        worked = within(work, *_split(right))
        assert worked.exit_code == 0, worked.output


def _split(right: str) -> tuple[str, tuple[str, ...]]:
    """Return a command; `:_` in a word is a colon and a space."""
    return "", tuple(word.replace(":_", ": ") for word in right.split())
