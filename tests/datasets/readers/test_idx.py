import gzip
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.contracts.source import Request
from gridcnn.datasets.readers import idx
from gridcnn.datasets.readers.paths import Files
from gridcnn.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
PICTURES = np.arange(4 * 3 * 2, dtype=np.uint8).reshape(4, 3, 2)
LABELS = np.array([7, 1, 7, 0], np.uint8)


def packed(array: NDArray[Any]) -> bytes:
    name = array.dtype.str[1:]
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, CODES[name], array.ndim]) + sizes + array.astype(f">{name}").tobytes()


def written(folder: Path, **files: Any) -> Path:
    for name, array in files.items():
        file = folder / name.replace("__", ".").replace("_", "-")
        content = array if isinstance(array, bytes) else packed(array)
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return folder


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_every_type_is_read_in_the_order_of_this_machine(
    tmp_path: Path, code: str, ending: str
) -> None:
    array = np.array([[1, 2, 3], [-4 if code[0] != "u" else 4, 5, 6]], code)
    file = tmp_path / f"data{ending}"
    file.write_bytes(gzip.compress(packed(array)) if ending else packed(array))

    found = idx.array(file)

    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert (found == array).all()


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte"),
        ("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte.gz"),
        ("images.idx", "labels.idx"),
    ],
)
def test_the_labels_are_found_beside_the_images(tmp_path: Path, images: Any, labels: Any) -> None:
    for name, array in ((images, PICTURES), (labels, LABELS)):
        content = packed(array)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)

    dataset = Files(path=str(tmp_path / images)).open(Request())

    assert (np.stack(dataset.things) == PICTURES).all()
    assert list(dataset.labels) == ["7", "1", "7", "0"]
    assert dataset.parts is None


def test_a_folder_of_two_sets_has_two_parts(tmp_path: Path) -> None:
    written(
        tmp_path,
        train_images_idx3_ubyte__gz=PICTURES,
        train_labels_idx1_ubyte__gz=LABELS,
        t10k_images_idx3_ubyte=PICTURES[:2],
        t10k_labels_idx1_ubyte=LABELS[:2],
    )

    dataset = Files(path=str(tmp_path)).open(Request())

    assert dataset.parts == ["train"] * 4 + ["test"] * 2
    assert dataset.names[5] == "test item 1"
    assert dataset.things[5].tolist() == PICTURES[1].tolist()


def test_a_folder_of_one_set_has_no_parts(tmp_path: Path) -> None:
    written(tmp_path, train_images_idx3_ubyte=PICTURES, train_labels_idx1_ubyte=LABELS)

    assert idx.read_folder(tmp_path).parts is None


def test_a_folder_of_several_sets_is_refused(tmp_path: Path) -> None:
    written(
        tmp_path,
        a_train_images_idx3_ubyte=PICTURES,
        b_train_images_idx3_ubyte=PICTURES,
    )

    with pytest.raises(DataError, match="holds several sets: a-train-images"):
        idx.read_folder(tmp_path)


def test_pictures_of_two_sizes_are_refused(tmp_path: Path) -> None:
    written(
        tmp_path,
        train_images_idx3_ubyte=PICTURES,
        train_labels_idx1_ubyte=LABELS,
        t10k_images_idx3_ubyte=PICTURES[:, 1:],
        t10k_labels_idx1_ubyte=LABELS,
    )

    with pytest.raises(DataError, match="different sizes"):
        idx.read_folder(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"", LABELS, "is not an IDX file"),
        (b"\x89PNG\r\n", LABELS, "starts with the bytes '89 50 4e 47'"),
        (b"\0\0\x07\x03", LABELS, "is not an IDX file"),
        (b"\0\0\x08\x03\0\0", LABELS, "ends inside its header"),
        (b"\0\0\x08\x09" + b"\0" * 60, LABELS, "is not an IDX file"),
        (b"\0\0\x08\x03" + b"\0\0\0\0" + b"\xff" * 8, LABELS, "has no values"),
        (packed(PICTURES)[:-1], LABELS, r"is cut short .*24 bytes of values.*only 23"),
        (packed(PICTURES) + b"x", LABELS, "continues after its end"),
        (b"\0\0\x08\x03" + b"\xff" * 12, LABELS, r"declares \d+ bytes of values.*can have only"),
        (b"\0\0\x08\x03" + b"\0\0\x04\0" * 3, LABELS, "1073741824 bytes of values"),
        (PICTURES[0, 0], LABELS, "must have the shape"),
        (PICTURES[:3], LABELS, "there are 3 items, but 4 labels"),
        (PICTURES, LABELS.astype("f4"), "labels must be whole numbers"),
        (PICTURES, PICTURES, "labels must be whole numbers"),
    ],
)
def test_what_is_wrong_with_a_file_is_explained(
    tmp_path: Path, images: Any, labels: Any, message: str
) -> None:
    written(tmp_path, images_idx3_ubyte=images, labels_idx1_ubyte=labels)

    with pytest.raises(DataError, match=message):
        idx.read(tmp_path / "images-idx3-ubyte")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], "damaged gzip file"),
        (lambda content: content[:-8] + bytes(8), "damaged gzip file .CRC"),
        (lambda _: b"no gzip", "damaged gzip file .Not a gzipped file"),
        (lambda content: content + b"more", "damaged gzip file"),
        (lambda _: gzip.compress(packed(PICTURES)[:-1]), "is cut short"),
        (lambda _: gzip.compress(packed(PICTURES) + b"x"), "continues after its end"),
        (
            lambda _: gzip.compress(b"\0\0\x08\x03" + b"\0\0\x04\0" * 3),
            r"1073741824 bytes of values.*and can have at most",
        ),
    ],
)
def test_damaged_gzip_files_are_explained(
    tmp_path: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    file = tmp_path / "images.gz"
    file.write_bytes(change(gzip.compress(packed(PICTURES))))

    with pytest.raises(DataError, match=message):
        idx.array(file)


def test_missing_labels_are_explained(tmp_path: Path) -> None:
    written(tmp_path, train_images_idx3_ubyte__gz=PICTURES)

    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz should lie beside it"):
        idx.read_folder(tmp_path)


def test_the_path_of_the_labels_is_explained(tmp_path: Path) -> None:
    written(tmp_path, train_labels_idx1_ubyte=LABELS)

    with pytest.raises(DataError, match="these are the labels; give the path of the images"):
        idx.read(tmp_path / "train-labels-idx1-ubyte")


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.tuples(st.sampled_from(sorted(CODES.values())), st.binary(max_size=40)).map(
            lambda pair: bytes([0, 0, pair[0]]) + pair[1]
        ),
    ),
    st.booleans(),
)
def test_whatever_a_file_holds_only_data_errors_are_raised(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, gz: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / ("fuzz.gz" if gz else "fuzz")
    for raw in (content, gzip.compress(content)) if gz else (content,):
        file.write_bytes(raw)
        try:
            found = idx.array(file)
        except DataError:
            continue
        assert packed(found) == content


@pytest.mark.skipif("GRIDCNN_DATA" not in os.environ, reason="GRIDCNN_DATA names no folder of data")
def test_fashion_mnist_is_read_whole() -> None:
    folder = Path(os.environ["GRIDCNN_DATA"]) / "images_fashion_mnist"

    dataset = Files(path=str(folder)).open(Request())

    assert Counter(dataset.parts) == {"train": 60_000, "test": 10_000}
    assert dataset.classes == tuple("0123456789")
    assert dataset.things[0].shape == (28, 28)
    assert all(list(dataset.labels).count(label) == 7_000 for label in dataset.classes)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "x.bin"])
def test_a_pipe_is_never_waited_for(tmp_path: Path, name: str) -> None:
    """Whether its name looks like an IDX file or has to be looked into."""
    os.mkfifo(tmp_path / name)

    with pytest.raises(DataError, match=r"is a device, a pipe or a socket"):
        Files(path=str(tmp_path / name)).open(Request())
    with pytest.raises(DataError, match="it is a pipe or a device"):
        idx.array(tmp_path / name)
