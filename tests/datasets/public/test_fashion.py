import gzip
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import gridcnn
from gridcnn.contracts.source import Request
from gridcnn.datasets.division.splits import divide
from gridcnn.datasets.public.fashion import CLASSES, FOLDER, Fashion
from gridcnn.errors import DataError
from gridcnn.pipelines import ready
from gridcnn.spec.load import load

HERE = Path(os.environ.get("GRIDCNN_DATA", "")) / FOLDER
PICTURES = np.random.default_rng(0).integers(0, 256, (40, 28, 28)).astype(np.uint8)
LABELS = (np.arange(40) % 10).astype(np.uint8)

needs_files = pytest.mark.skipif(
    "GRIDCNN_DATA" not in os.environ or not HERE.is_dir(),
    reason=f"GRIDCNN_DATA names no folder that holds {FOLDER}",
)


def written(folder: Path, *, labels: NDArray[np.uint8] = LABELS, ending: str = ".gz") -> Path:
    """Write the four files, of 40 training and 20 test pictures."""
    folder.mkdir(parents=True)
    for part, count in (("train", 40), ("t10k", 20)):
        for name, array in (
            (f"{part}-images-idx3-ubyte{ending}", PICTURES[:count]),
            (f"{part}-labels-idx1-ubyte{ending}", labels[:count]),
        ):
            sizes = np.array(array.shape, ">u4").tobytes()
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
            (folder / name).write_bytes(gzip.compress(content) if ending else content)
    return folder


def opened(path: Path | None) -> Any:
    return Fashion(path=None if path is None else str(path)).open(Request())


@pytest.fixture(autouse=True)
def _without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRIDCNN_DATA", raising=False)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_labels_are_the_names_of_clothes(tmp_path: Path, ending: str) -> None:
    """And the parts are those of the files."""
    dataset = opened(written(tmp_path / "files", ending=ending))

    assert list(dataset.labels[:10]) == list(CLASSES)
    assert Counter(dataset.parts) == {"train": 40, "test": 20}
    assert (np.stack(dataset.things[:40]) == PICTURES).all()


def test_the_folder_of_all_data_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / FOLDER)
    monkeypatch.setenv("GRIDCNN_DATA", str(tmp_path))

    assert len(opened(None)) == 60
    assert Fashion().resolved(Path("/elsewhere")).path == str(tmp_path / FOLDER)


def test_a_path_starts_at_the_folder_of_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes before the folder of all data."""
    monkeypatch.setenv("GRIDCNN_DATA", str(tmp_path / "all"))

    assert Fashion(path="files").resolved(tmp_path).path == str(tmp_path / "files")
    assert Fashion(path="a\0b").resolved(tmp_path).path == "a\0b"


@pytest.mark.parametrize("value", [None, "", " "])
def test_without_a_folder_it_is_said_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    """Which files, where they are from, where to put them, and two ways to name their folder."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path))
    if value is not None:
        monkeypatch.setenv("GRIDCNN_DATA", value)

    assert Fashion().resolved(Path("/here")).path is None
    with pytest.raises(DataError) as caught:
        opened(None)
    for words in (
        "fashion: the files of Fashion-MNIST are not here and cannot be fetched",
        "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz",
        "from https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/",
        f"into {tmp_path / 'data' / 'images_fashion_mnist'}",
        "--set data.source.fashion.path=FOLDER or GRIDCNN_DATA",
    ):
        assert words in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "files")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()

    with pytest.raises(DataError, match=r"files: lacks files of Fashion-MNIST: t10k-labels-idx1-u"):
        opened(folder)
    with pytest.raises(
        DataError, match="no: is not a folder; it should hold the files of Fashion-M"
    ):
        opened(tmp_path / "no")
    with pytest.raises(DataError, match="cannot be a path"):
        opened(Path("a\0b"))


def test_other_data_in_such_files_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "files", labels=LABELS + np.uint8(2))

    with pytest.raises(
        DataError, match="labels of Fashion-MNIST are 0 to 9; these files have 10, 11"
    ):
        opened(folder)


def test_damaged_files_are_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "files")
    (folder / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bnonsense")

    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: is a damaged gzip file"):
        opened(folder)


def test_the_ready_spec_runs_from_a_folder(tmp_path: Path) -> None:
    """The run remembers the folder, and its classes have names."""
    changes = {"data.source.fashion.path": str(written(tmp_path / "files")), "training.epochs": 1}

    result = gridcnn.run("fashion", changes=changes, out=tmp_path / "run")

    assert result.model.classes == Fashion().facts().classes
    assert {part: result.metrics[part]["items"] for part in ("train", "validation", "test")} == {
        "train": 30,
        "validation": 10,
        "test": 20,
    }
    assert f"path: {tmp_path / 'files'}" in (result.folder / "spec.yaml").read_text()


@needs_files
def test_the_official_files_are_divided_officially() -> None:
    """The ready spec tests on the official test part, and validates on a tenth of the other."""
    settings = load("fashion", ready=ready()).data
    assert settings is not None
    assert isinstance(settings.test, float)

    dataset = opened(HERE)
    division = divide(dataset, test=settings.test, validation=settings.validation, seed=0)

    facts = Fashion().facts()
    assert (len(dataset), dataset.classes) == (facts.items, facts.classes)
    assert dataset.things[0].shape == facts.shape
    assert list(dataset.labels[:3]) == ["Ankle boot", "T-shirt/top", "T-shirt/top"]
    assert all(count == 7_000 for count in Counter(dataset.labels).values())
    assert division.test.tolist() == list(range(60_000, 70_000))
    assert len(division.validation) == 6_000
    assert division.validation.max() < 60_000
    assert len(division.train) == 54_000
