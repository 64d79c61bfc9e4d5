"""Starter specs: they fit the data that they were written for, run, and learn."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.made import write_files, write_table
from gridcnn.datasets.makers.phrases import Phrases
from gridcnn.datasets.makers.sounds import Sounds
from gridcnn.datasets.makers.xo import XO
from gridcnn.errors import DataError
from gridcnn.runs.run import run
from gridcnn.runs.starter import starter, starter_for, starter_of
from gridcnn.settings.document import parse
from gridcnn.spec.load import load, validate
from gridcnn.spec.models import SOURCES

pytestmark = pytest.mark.slow


def bumps(count: int, columns: int) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Return noise with a bump that comes early or late, and which of the two."""
    random = np.random.default_rng(0)
    rows = random.normal(0, 0.3, (count, columns))
    labels = ["early", "late"] * (count // 2)
    for row, label in zip(rows, labels, strict=True):
        # Now here, now there, so that neighbours have something to do with each other.
        place = random.uniform(0, columns / 2 - 1) + (0 if label == "early" else columns / 2)
        row[:] = row + 2 * np.exp(-np.square(np.arange(columns) - place) / 4)
    return rows, labels


def make(kind: str) -> str:
    """Make data in the current folder, and return its path."""
    rows, labels = bumps(160, 12)
    if kind == "pictures":
        write_files(XO(count=300, size=(20, 20), noise=0.0), "pictures", seed=1)
    elif kind == "sounds":
        write_files(Sounds(count=180, duration=0.4, noise_db=30.0), "sounds", seed=1)
    elif kind == "arrays":
        for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
            file = Path("arrays") / label / f"{number}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, np.tile(row, (6, 1)))
    elif kind == "phrases.csv":
        write_table(Phrases(count=600, words=2), "phrases.csv", seed=1)
    elif kind == "stack.npz":
        np.savez("stack.npz", X=rows, y=np.array(labels))
    else:
        table = pd.DataFrame(rows.round(3), columns=[f"t {time}" for time in range(12)])
        table.insert(0, "id", range(len(table)))
        table = table.assign(label=labels)
        table.to_parquet(kind) if kind.endswith(".parquet") else table.to_csv(kind, index=False)
    return kind


@pytest.mark.parametrize(
    ("kind", "adapter", "epochs", "found", "wanted"),
    [
        ("pictures", "image", 12, "300 pictures, 2 classes", 0.75),
        ("sounds", "audio", 14, "180 sounds, 6 classes", 0.5),
        ("arrays", "array", 8, "160 arrays, 2 classes", 0.9),
        ("stack.npz", "array", 15, "160 arrays, 2 classes", 0.9),
        ("phrases.csv", "text", 15, "a table of texts: the classes are in label", 0.65),
        ("numbers.csv", "table", 15, "a table of rows of 12 numbers", 0.9),
        ("numbers.parquet", "table", 15, "not used: id", 0.9),
    ],
)
def test_a_starter_spec_runs_and_learns(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    adapter: str,
    epochs: int,
    found: str,
    wanted: float,
) -> None:
    """It has the adapter for what is there, and its own stages learn it in a few epochs.

    What is asked for lies far above guessing, and well below what three seeds got: 0.90 for
    pictures, 0.78 for sounds, 0.86 for phrases, and 1 for the others.
    """
    monkeypatch.chdir(tmp_path)
    made = starter_for("mine", "mine.yaml", make(kind))
    text = made.text
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")

    result = run("mine.yaml", changes={"training.epochs": epochs}, out="result")

    assert found in made.found
    assert result.model.adapter.title == adapter
    assert result.metrics["test"]["accuracy"] >= wanted
    assert text.count("#") > 8
    assert load("mine.yaml").training.epochs >= epochs


def test_columns_of_0_and_1_are_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init --label A --label B`: the spec runs, and its head votes on each for itself."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    rows = ["text,slow,sad,mood"]
    for _ in range(120):
        slow, sad = random.integers(0, 2, 2).tolist()
        rows.append(f"{'lento ' * slow}{'triste ' * sad}song of the day,{slow},{sad},x")
    (tmp_path / "songs.csv").write_text("\n".join(rows))

    made = starter_for("s", "s.yaml", "songs.csv", labels=["slow", "sad"], inputs=["text"])
    (tmp_path / "s.yaml").write_text(made.text)
    result = run("s.yaml", changes={"training.epochs": 6}, out="result")
    assert made.found.startswith("a table of texts: 2 labels: slow, sad, the texts in text")
    assert "The remaining cells vote for each label" in made.text
    assert result.model.classes == ("slow", "sad")
    assert result.metrics["test"]["auc"] > 0.9
    with pytest.raises(DataError, match="--label names the column slow 2 times; give it once"):
        starter_for("s", "s.yaml", "songs.csv", labels=["slow", "slow"], inputs=["text"])
    with pytest.raises(DataError, match="all columns are labels"):
        starter_for("s", "s.yaml", "songs.csv", labels=["slow", "text"], inputs=["text"])


def test_arrays_with_an_indicator_matrix_have_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", X=np.zeros((20, 6, 6)), y=[[0, 1], [1, 1]] * 10)

    made = starter_for("d", "d.yaml", "d.npz")
    assert made.found == "20 arrays, 2 labels"
    assert "voting: {labels: several, hidden: [64], dropout: 0.3}" in made.text
    assert "smoothing" not in made.text


def test_a_column_of_smiles_holds_molecules(tmp_path: Path) -> None:
    file = tmp_path / "drugs.csv"
    rows = [f"{'C' * (1 + n % 7)}O,yes\n{'c1ccccc1' + 'C' * (n % 5)},no" for n in range(20)]
    file.write_text("SMILES,label\n" + "\n".join(rows), encoding="utf-8")

    made = starter_for("drugs", "drugs.yaml", str(file))

    assert made.found == "a table of molecules: the classes are in label, the molecules in SMILES"
    assert validate(parse(made.text, "drugs.yaml")).adapter.title == "molecule"  # type: ignore[union-attr]


def test_the_starter_spec_without_data_is_one_of_pictures() -> None:
    text = starter("pets", "pets.yaml")

    spec = validate(parse(text, "pets.yaml"))
    assert spec.name == "pets"
    assert spec.adapter is not None
    assert spec.adapter.title == "image"


def test_a_folder_of_one_class_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The spec is written all the same: other classes may come."""
    monkeypatch.chdir(tmp_path)
    write_files(XO(count=8), Path("pictures"))
    shutil.rmtree("pictures/O")

    made = starter_for("one", "one.yaml", "pictures")

    assert made.found == "4 pictures, 1 class"
    assert [note.partition(";")[0] for note in made.notes] == ["every item has the class 'X'"]


def test_a_known_data_set_has_a_starter_spec_too() -> None:
    made = starter_of("mine", "mine.yaml", "phrases", SOURCES["phrases"](count=40))

    assert made.found == "40 texts, 4 classes"
    assert validate(parse(made.text, "mine.yaml")).adapter.title == "text"  # type: ignore[union-attr]


def test_pictures_tell_their_size_and_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All small and alike: their own size; else 32 or 64. Colours only where there are any."""
    monkeypatch.chdir(tmp_path)
    for name, mode, size, colour in (
        ("tiny", "L", (20, 10), 9),
        ("grey", "RGB", (50, 90), (9, 9, 9)),
        ("large", "RGB", (500, 400), (200, 9, 9)),
    ):
        for label in ("a", "b"):
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new(mode, size, colour).save(folder / f"{number}.png")

    adapters = [
        validate(parse(starter_for("x", "x.yaml", name).text, "x.yaml")).adapter
        for name in ("tiny", "grey", "large")
    ]

    assert [(a.size, a.channels) for a in adapters] == [  # type: ignore[union-attr]
        ((10, 20), 1),
        ((32, 32), 1),
        ((64, 64), 3),
    ]


def test_many_pictures_get_a_residual_network(
    paint: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 500 of 24 x 24 cells on. Only colour pictures are mirrored: grey ones may be letters."""
    monkeypatch.chdir(tmp_path)
    for name, count, side, mode in (
        ("colour", 167, 24, "RGB"),
        ("grey", 167, 24, "L"),
        ("large", 167, 70, "RGB"),
        ("few", 166, 24, "RGB"),
        ("small", 167, 23, "RGB"),
    ):
        paint(tmp_path / name, count, side=side, mode=mode)

    specs = {
        name: validate(parse(starter_for("x", "x.yaml", name).text, "x.yaml"))
        for name in ("colour", "grey", "large", "few", "small")
    }

    titles = {name: [stage.title for stage in spec.stages] for name, spec in specs.items()}
    blocks = {name: each.count("skip") for name, each in titles.items()}
    assert blocks == {"colour": 3, "grey": 3, "large": 3, "few": 0, "small": 0}
    assert [titles[name].count("pooling") for name in ("colour", "large")] == [1, 2]
    changes = {name: [each.title for each in specs[name].training.augmentation] for name in titles}
    assert changes["colour"] == ["flip", "shift"]
    assert not changes["grey"] + changes["few"]


def test_the_residual_network_learns(
    paint: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In four epochs it tells three kinds of scenes; three seeds got all of them right."""
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "scenes", 170, side=24)
    (tmp_path / "x.yaml").write_text(starter_for("x", "x.yaml", "scenes").text, encoding="utf-8")

    result = run("x.yaml", changes={"training.epochs": 4}, out="result")

    assert result.metrics["test"]["items"] == 102
    assert result.metrics["test"]["accuracy"] >= 0.9


@pytest.mark.parametrize("name", ["true", "1", "a b", "ü", 'say "no"', "on", "x: y", "#"])
def test_odd_names_of_columns_are_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever a column is called, the spec names it."""
    monkeypatch.chdir(tmp_path)
    with Path("t.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["words", name.strip()])
        rows.writerows([[f"text number {number}", "xy"[number % 2]] for number in range(20)])

    text = starter_for("t", "t.yaml", "t.csv", labels=[name.strip()] if name != "1" else []).text

    source = validate(parse(text, "t.yaml")).data.source  # type: ignore[union-attr]
    assert source.label == ("2" if name == "1" else name.strip())  # type: ignore[union-attr]
    assert len(source.open(Request())) >= 20  # type: ignore[union-attr]


def test_no_step_silences_the_hidden_voters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if each of them sees thousands of cells, all of which its first steps move one way."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    labels = np.arange(1_100) % 10
    shapes = np.kron(random.random((10, 7, 7)) < 0.4, np.ones((4, 4)))
    np.savez(
        "d.npz", X=np.clip(shapes[labels] + random.normal(0, 0.3, (1_100, 28, 28)), 0, 1), y=labels
    )
    (tmp_path / "x.yaml").write_text(starter_for("x", "x.yaml", "d.npz").text, encoding="utf-8")

    result = run("x.yaml", changes={"check": "off", "training.stop_after": 2}, out="run")

    assert result.metrics["signs"] == []
    assert result.metrics["test"]["accuracy"] > 0.9
