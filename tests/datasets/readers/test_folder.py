import os
import sys
from pathlib import Path

import pytest

from gridcnn.contracts.source import Request
from gridcnn.datasets.division.splits import divide
from gridcnn.datasets.readers import folder
from gridcnn.datasets.readers.paths import Files
from gridcnn.errors import DataError

PNG = frozenset({".png", ".jpg"})
needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


def made(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())
    return root


def told(root: Path, suffixes: frozenset[str] = PNG) -> list[str]:
    with pytest.raises(DataError) as caught:
        folder.read(root, suffixes)
    return [str(problem) for problem in caught.value.problems]


def test_the_name_of_the_class_folder_is_the_label(tmp_path: Path) -> None:
    made(tmp_path, "X/b.png", "X/a.PNG", "O/c.jpg", "X/more/deep/d.png")

    dataset = folder.read(tmp_path, PNG)

    assert list(dataset.names) == ["O/c.jpg", "X/a.PNG", "X/b.png", "X/more/deep/d.png"]
    assert list(dataset.labels) == ["O", "X", "X", "X"]
    assert dataset.things[1] == str(tmp_path / "X" / "a.PNG")
    assert dataset.parts is None
    assert dataset.notes == []
    assert dataset.origin == str(tmp_path)


def test_hidden_and_system_files_are_passed_over(tmp_path: Path) -> None:
    made(
        tmp_path, "X/a.png", "O/b.png", ".git/x.png", "X/.a.png", "X/Thumbs.db", "O/desktop.ini",
        "__MACOSX/X/a.png", ".DS_Store", "X/.cache/z.png",
    )  # fmt: skip

    dataset = folder.read(tmp_path, PNG)

    assert list(dataset.names) == ["O/b.png", "X/a.png"]
    assert dataset.notes == []


def test_other_files_are_left_out_and_counted(tmp_path: Path) -> None:
    made(tmp_path, "README.md", "X/a.png", "X/a.txt", "O/b.png", "O/b.txt", "O/LICENSE")

    dataset = folder.read(tmp_path, PNG)

    assert len(dataset) == 2
    assert dataset.notes == [
        "3 files left out, since the adapter reads only .jpg, .png: 2 .txt, 1 without an ending"
    ]


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (("train", "test"), "test"),
        (("Train", "VAL"), "validation"),
        (("train", "valid"), "validation"),
    ],
)
def test_parts_are_used_as_they_are(tmp_path: Path, names: tuple[str, ...], part: str) -> None:
    made(tmp_path, *(f"{name}/{label}/{name}{label}.png" for name in names for label in "XO"))

    dataset = folder.read(tmp_path, PNG)

    assert len(dataset) == 4
    assert dataset.parts is not None
    assert set(dataset.parts) == {"train", part}
    assert all(
        (given == "train") == name.lower().startswith("train/")
        for given, name in zip(dataset.parts, dataset.names, strict=True)
    )
    assert dataset.classes == ("O", "X")


def test_a_lone_train_folder_is_a_part(tmp_path: Path) -> None:
    made(tmp_path, "train/X/a.png", "train/O/b.png")

    assert folder.read(tmp_path, PNG).parts == ["train", "train"]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    made(tmp_path, "train/a.png", "bus/b.png", "test/c.png")

    assert folder.read(tmp_path, PNG).classes == ("bus", "test", "train")


def test_folders_beside_parts_are_left_out_if_they_hold_no_classes(tmp_path: Path) -> None:
    """And refused if they do, since they could be anything."""
    made(tmp_path, "train/X/a.png", "train/O/b.png", "test/X/c.png", "test/O/d.png", "extra/e.png")

    dataset = folder.read(tmp_path, PNG)

    assert len(dataset) == 4
    assert list(dataset.notes) == ["left out, since it has no class folders: extra"]
    made(tmp_path, "extra/X/f.png")
    assert "beside the parts test, train there are other folders: extra" in told(tmp_path)[0]


def test_two_folders_for_one_part_are_explained(tmp_path: Path) -> None:
    made(
        tmp_path, *(f"{part}/{label}/a.png" for part in ("train", "val", "valid") for label in "XO")
    )

    assert "the folders val, valid would all be the part 'validation'" in told(tmp_path)[0]


def test_test_classes_that_are_not_in_train_are_explained(tmp_path: Path) -> None:
    made(tmp_path, "train/X/a.png", "train/O/b.png", "test/X/c.png", "test/Y/d.png")

    with pytest.raises(DataError, match="has classes that the part 'train' does not have"):
        divide(folder.read(tmp_path, PNG), test=0.2, validation=0.0, seed=0)


def test_a_class_without_readable_files_is_explained(tmp_path: Path) -> None:
    made(tmp_path, "X/a.png", "O/b.png", "Y/", "Z/notes.txt", "Z/more.heic")

    empty, unread = told(tmp_path)
    assert (
        "the class folder 'Y' has no file that the adapter reads (.jpg, .png): it is empty" in empty
    )
    assert "'Z' has no file that the adapter reads" in unread
    assert "it has only 1 .heic, 1 .txt" in unread


def test_a_single_class_can_be_read(tmp_path: Path) -> None:
    """Answers may be compared with the labels of one class; only training needs two."""
    made(tmp_path, "X/a.png")

    dataset = folder.read(tmp_path, frozenset({".png"}))

    assert dataset.classes == ("X",)
    assert dataset.places == [str(tmp_path / "X" / "a.png")]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "is an empty folder"),
        (("a.png", "b.png"), "has no class folders; .*: its 2 files lie in it directly"),
        (("labels.csv", "a.png"), "If labels.csv lists or holds the data, give its path"),
    ],
)
def test_a_folder_without_class_folders_is_explained(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    made(tmp_path, *names)

    with pytest.raises(DataError, match=message):
        folder.read(tmp_path, PNG)


def test_files_beside_the_class_folders_are_explained(tmp_path: Path) -> None:
    made(tmp_path, "X/a.png", "O/b.png", "c.png", "d.png")

    assert (
        "2 files lie beside the class folders, without a class: c.png, d.png" in told(tmp_path)[0]
    )


def test_an_adapter_that_reads_no_files_is_explained(tmp_path: Path) -> None:
    made(tmp_path, "X/a.png", "O/b.png")

    assert "the adapter reads no files" in told(tmp_path, frozenset())[0]


@needs_links
def test_links_are_followed(tmp_path: Path) -> None:
    made(tmp_path, "store/a.png", "store/deep/b.png", "data/O/c.png", "data/X/")
    (tmp_path / "data/X/a.png").symlink_to(tmp_path / "store/a.png")
    (tmp_path / "data/Y").symlink_to(tmp_path / "store/deep")

    assert list(folder.read(tmp_path / "data", PNG).names) == ["O/c.png", "X/a.png", "Y/b.png"]


@needs_links
@pytest.mark.parametrize("goal", ["X", "X/deep", "."])
def test_links_in_a_circle_are_explained(tmp_path: Path, goal: str) -> None:
    made(tmp_path, "X/a.png", "X/deep/c.png", "O/b.png")
    (tmp_path / "X/deep/again").symlink_to(tmp_path / goal)

    assert "this link leads back to" in told(tmp_path)[0]


@needs_links
def test_a_file_that_is_there_twice_is_explained(tmp_path: Path) -> None:
    made(tmp_path, "train/X/a.png", "train/O/b.png", "test/X/c.png", "test/O/d.png")
    (tmp_path / "test/X/e.png").symlink_to(tmp_path / "train/X/a.png")
    (tmp_path / "test/O/deep").symlink_to(tmp_path / "train/O")

    lines = told(tmp_path)
    assert "train/O/b.png and test/O/deep/b.png are the same file" in lines[0]
    assert "train/X/a.png and test/X/e.png are the same file" in lines[1]


@needs_links
def test_a_link_to_nothing_is_explained(tmp_path: Path) -> None:
    made(tmp_path, "X/a.png", "O/b.png")
    (tmp_path / "X/c.png").symlink_to(tmp_path / "gone.png")

    assert "this is a link to a file that does not exist" in told(tmp_path)[0]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf8_can_be_written(tmp_path: Path) -> None:
    made(tmp_path, "X/a.png", "O/b.png")
    os.rename(os.fsencode(tmp_path / "X"), os.fsencode(tmp_path) + b"/\xff")  # noqa: PTH104 - bytes

    dataset = folder.read(tmp_path, PNG)

    assert dataset.classes == ("O", "\\xff")
    assert all(os.path.exists(thing) for thing in dataset.things)  # noqa: PTH110 - texts


def test_many_problems_are_counted(tmp_path: Path) -> None:
    made(tmp_path, "X/a.png", *(f"empty{number}/" for number in range(30)))

    lines = told(tmp_path)
    assert len(lines) == 21
    assert "and 10 more problems" in lines[-1]


def test_a_path_opens_as_a_folder(tmp_path: Path) -> None:
    made(tmp_path, "X/a.png", "O/b.png")

    assert len(Files(path=str(tmp_path)).open(Request(suffixes=PNG))) == 2
