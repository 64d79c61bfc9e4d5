"""Answers in files: in order, complete, and gone on with after a stop."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn.answering import Answers, answer_all
from gridcnn.errors import DataError, RunFolderError, SpecError
from gridcnn.model import Model, load

pytestmark = pytest.mark.slow

COUNT = 23


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    few = {"training.epochs": 1, "data.source.xo.count": 60}
    gridcnn.run("xo", changes=few, out=folder / "run")
    return folder / "run"


@pytest.fixture
def pictures(tmp_path: Path, draw: Any) -> Path:
    """Pictures of which one, the sixth, is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, (image, _) in enumerate(draw(COUNT, 0)):
        image.save(folder / f"{number:03}.png")
    (folder / "005.png").write_bytes(b"no picture")
    return folder


def rows(folder: Path) -> list[list[str]]:
    """Return the rows of all shards, without their headers."""
    found = []
    for path in sorted(folder.glob("part-*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        assert header[:2] == ["file", "answer"]
        found += lines
    return found


def expected(model: Model, pictures: Path) -> list[list[str]]:
    """Return what `predict` says of each picture, one by one."""
    found = []
    for path in sorted(pictures.iterdir()):
        if path.name != "005.png":
            votes = model.votes([path])[0]
            answer = str(model.classes[int(votes.argmax())])
            found.append([str(path), answer, *(f"{vote:.6f}" for vote in votes)])
    return found


def test_answers_are_those_of_the_model_in_order(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    """A file that is no picture is listed, and ends nothing."""
    answers = answer_all(model, [str(pictures)], out=tmp_path / "out", shard=4)

    assert answers == Answers(tmp_path / "out", COUNT, COUNT - 1, 1)
    assert rows(tmp_path / "out") == expected(load(model), pictures)
    (listed,) = (tmp_path / "out").glob("problems-*.csv")
    assert listed.name == "problems-000001.csv"
    assert "005.png: its content is not a picture" in listed.read_text("utf-8")


def test_what_is_written_is_not_done_again(model: Path, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    whole = answer_all(model, [str(pictures)], out=out, shard=4)
    kept = rows(out)
    lost = sorted(out.glob("part-*.csv"))[2:4]
    for path in lost:
        path.unlink()

    again = answer_all(model, [str(pictures)], out=out, shard=4)
    assert (again.items, again.answered, again.problems) == (whole.items, 8, 0)
    assert rows(out) == kept
    assert answer_all(model, [str(pictures)], out=out, shard=4).answered == 0


def test_parquet_holds_the_same(model: Path, pictures: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    answer_all(model, [str(pictures)], out=tmp_path / "csv")

    answer_all(model, [str(pictures)], out=tmp_path / "out", form="parquet", shard=10)
    tables = [parquet.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    found = [row for table in tables for row in table.to_pylist()]
    for row, (name, answer, *votes) in zip(found, rows(tmp_path / "csv"), strict=True):
        assert (row["file"], row["answer"]) == (name, answer)
        own = [value for key, value in row.items() if key.startswith("votes.")]
        np.testing.assert_allclose(own, np.array(votes, float), atol=1e-6)


def test_a_folder_of_something_else_is_left_alone(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="holds other files; write to a new folder"):
        answer_all(model, [str(pictures)], out=tmp_path / "full")

    with pytest.raises(RunFolderError, match=r"notes.txt is a file; give a folder that is new or"):
        answer_all(model, [str(pictures)], out=tmp_path / "full" / "notes.txt")

    answer_all(model, [str(pictures)], out=tmp_path / "out")
    with pytest.raises(RunFolderError, match="answers of another model, for other files"):
        answer_all(model, [str(pictures / "000.png")], out=tmp_path / "out")


def test_answers_of_the_same_weights_with_another_adapter_are_not_mixed(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    loaded = load(model)
    adapter = loaded.adapter.model_copy(update={"margin": 0.25})
    spec = loaded.spec.model_copy(update={"adapter": adapter})
    other = Model(spec, loaded.classes, loaded.parameters).save(tmp_path / "other.safetensors")
    answer_all(model, [str(pictures)], out=tmp_path / "out")

    with pytest.raises(RunFolderError, match="answers of another model"):
        answer_all(other, [str(pictures)], out=tmp_path / "out")


def test_files_that_have_changed_since_are_told(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    answer_all(model, [str(pictures)], out=tmp_path / "out", shard=4)
    (pictures / "000.png").unlink()

    with pytest.raises(DataError, match="which is no longer in its place: the files have"):
        answer_all(model, [str(pictures)], out=tmp_path / "out", shard=4)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_items_that_were_added_since_are_answered(
    form: Any, model: Path, pictures: Path, tmp_path: Path
) -> None:
    """In their places within the last part and after it; nothing else is answered again."""
    if form == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    first, last = tmp_path / "first", tmp_path / "last"
    answer_all(model, [str(pictures)], out=first, form=form, shard=10)
    image = (pictures / "003.png").read_bytes()
    for name in ("0205.png", "023.png", *(f"1{number:02}.png" for number in range(8))):
        (pictures / name).write_bytes(image)
    (pictures / "0215.png").write_bytes(b"no picture")

    again = answer_all(model, [str(pictures)], out=first, form=form, shard=10)
    assert (again.items, again.answered, again.problems) == (COUNT + 11, 10, 1)
    answer_all(model, [str(pictures)], out=last, form=form, shard=10)
    assert parts(first) == parts(last)
    assert "0215.png: its content is" in (first / "problems-000002.csv").read_text("utf-8")
    none = answer_all(model, [str(pictures)], out=first, form=form, shard=10)
    assert (none.items, none.answered, none.problems) == (COUNT + 11, 0, 0)


def parts(folder: Path) -> list[Any]:
    """Return the content of all parts, votes to six digits."""
    found: list[Any] = []
    for path in sorted(folder.glob("part-*")):
        if path.suffix == ".csv":
            found.append(path.read_text("utf-8"))
            continue
        from pyarrow import parquet

        rows = parquet.read_table(path).to_pylist()
        found.append(
            [[round(x, 5) if isinstance(x, float) else x for x in row.values()] for row in rows]
        )
    assert found
    return found


@pytest.mark.parametrize("change", ["added", "gone"])
def test_a_part_that_no_longer_fits_is_named(
    change: str, model: Path, pictures: Path, tmp_path: Path
) -> None:
    """The parts are full, or there are no items for the last one any more."""
    answer_all(model, [str(pictures)], out=tmp_path / "out", shard=4)
    if change == "added":
        (pictures / "0015.png").write_bytes((pictures / "000.png").read_bytes())
    else:
        for number in (20, 21, 22):
            (pictures / f"{number:03}.png").unlink()

    part = "part-000000.csv" if change == "added" else "part-000005.csv"
    with pytest.raises(DataError, match=rf"{part}: has an answer for .*; write to a new folder"):
        answer_all(model, [str(pictures)], out=tmp_path / "out", shard=4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "xlsx"}, "written as csv or parquet; got 'xlsx'"),
        ({"workers": 2}, "workers belong to a cluster; add --cluster local"),
        ({"cluster": "local", "workers": 0}, "workers must be a whole number of at least 1; got 0"),
    ],
)
def test_options_that_make_no_sense_are_told(
    options: Any, message: str, model: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=message):
        answer_all(model, [], out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
