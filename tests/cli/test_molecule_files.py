"""Files of molecules (`.smi`) are read by all verbs, by one rule."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli.main import app
from gridcnn.errors import DataError

ALCOHOLS = [f"{'C' * count}O" for count in range(1, 25)]
AMINES = [f"{'C' * count}N" for count in range(1, 25)]
SPEC = """\
data: {source: {table: {path: PATH, input: smiles, label: LABEL}}}
adapter: molecule
stages:
  - convolution: {filters: 4, kernel_size: [all, 3]}
  - rectification
  - pooling: {window: all}
head: voting
training: {epochs: 2, learning_rate: 0.01}
"""


def within(*arguments: Any, folder: Path) -> Any:
    """Run the command in `folder` and in this process."""
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with files of molecules, and models of two of them; read it only."""
    folder = tmp_path_factory.mktemp("molecules")
    pairs = [(each, "alcohol") for each in ALCOHOLS] + [(each, "amine") for each in AMINES]
    lines = [
        f"{smiles}{sign}{kind}\n" for (smiles, kind), sign in zip(pairs, " \t" * 24, strict=True)
    ]
    (folder / "names.smi").write_text("".join(lines))
    (folder / "header.smi").write_text(
        "smiles\tid\tkind\n" + "".join(f"{s}\tM{n}\t{k}\n" for n, (s, k) in enumerate(pairs))
    )
    (folder / "new.smi").write_text("CCO |$;;$| ethanol\nF/C=C\\\\F\n\nCCN\tamine\nC1CC broken\n")
    for name, label in (("names", "name"), ("header", "kind")):
        spec = SPEC.replace("PATH", f"{name}.smi").replace("LABEL", label)
        (folder / f"{name}.yaml").write_text(spec)
        done = within("run", f"{name}.yaml", "--out", name, "--quiet", folder=folder)
        assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("model", ["names", "header"])
def test_predict_answers_each_line(work: Path, model: str) -> None:
    """With or without a header, whatever that of the training was; names are passed over."""
    done = within("predict", model, "new.smi", "--csv", folder=work)

    assert done.exit_code == 2
    names = [line.partition(",")[0] for line in done.stdout.splitlines()[1:]]
    assert names == ["new.smi:1", "new.smi:2", "new.smi:4"]
    assert "new.smi:5: character 2 of its SMILES" in done.stderr
    assert "note: 1 item with two backslashes in a row" in done.stderr
    assert "note: 1 item with an extension after the SMILES" in done.stderr


def test_notes_on_molecules_are_errors_if_strict(work: Path) -> None:
    strict = within("predict", "names", "new.smi", "--strict", folder=work)

    assert strict.exit_code == 2
    assert "error: 1 item with two backslashes in a row" in strict.stderr
    assert not strict.stdout.strip()


@pytest.mark.parametrize("model", ["names", "header"])
def test_evaluate_reads_the_labels(work: Path, model: str) -> None:
    done = within("evaluate", model, f"{model}.smi", folder=work)

    assert done.exit_code == 0, done.output
    assert "on all items, 48 items" in done.stdout


@pytest.mark.slow
def test_check_and_init_know_the_molecules(work: Path) -> None:
    """The SMILES are what is classified; what has few values is the label."""
    checked = within("check", "names.smi", "--label", "name", "--threads", 1, folder=work)
    spec = within("init", "names.smi", "--name", "first", folder=work)
    other = within("init", "header.smi", "--name", "second", folder=work)

    assert checked.exit_code in (0, 3), checked.output
    assert "the classes are in name, the molecules in smiles" in spec.stdout
    assert "the classes are in kind, the molecules in smiles; not used: id" in other.stdout


def test_a_run_notes_how_smiles_are_written(tmp_path: Path) -> None:
    """Once, with a count over all parts; `strict` refuses them before any training."""
    texts = [r"F/C=C\\F", "CCO", "CCN", "CCC |$;;$|"] * 6
    spec = {
        "data": {"test": 0.25, "duplicates": "drop"},
        "adapter": "molecule",
        "head": "voting",
        "training": {"epochs": 1},
    }
    texts = [f"{text.partition(' ')[0]}{'C' * number}" for number, text in enumerate(texts)]
    texts[3] += " |$;;$|"

    run = gridcnn.run(spec, data=(texts, ["a", "b"] * 12), out=tmp_path / "run")

    notes = [note for note in run.metrics["notes"] if "SMILES" in note]
    assert [note[:8] for note in notes] == ["6 items ", "1 item w"]
    with pytest.raises(DataError, match="6 items with two backslashes"):
        gridcnn.run(spec, data=(texts, ["a", "b"] * 12), out=tmp_path / "strict", strict=True)
    assert gridcnn.evaluate(run.model, (texts, ["a", "b"] * 12)).notes[0].startswith("6 items")
