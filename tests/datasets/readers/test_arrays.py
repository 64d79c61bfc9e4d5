import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridcnn.contracts.source import Request
from gridcnn.datasets.readers import arrays
from gridcnn.datasets.readers.paths import Files
from gridcnn.errors import DataError

PICTURES = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)
LABELS = np.array([0, 1, 0, 1])


def saved(folder: Path, *, compressed: bool = False, **named: Any) -> Path:
    file = folder / "data.npz"
    (np.savez_compressed if compressed else np.savez)(file, **named)
    return file


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "names", [("X", "y"), ("x", "Y"), ("images", "labels"), ("data", "target"), ("image", "label")]
)
def test_a_stack_and_its_labels_are_read(
    tmp_path: Path, names: tuple[str, ...], compressed: bool
) -> None:
    file = saved(tmp_path, compressed=compressed, **{names[0]: PICTURES, names[1]: LABELS})

    dataset = Files(path=str(file)).open(Request())

    assert (np.stack(dataset.things) == PICTURES).all()
    assert list(dataset.labels) == [0, 1, 0, 1]
    assert list(dataset.names) == ["item 0", "item 1", "item 2", "item 3"]
    assert dataset.parts is None


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("X_train", "y_train", "X_test", "y_test"), ["train", "test"]),
        (("x_train", "y_train", "x_val", "y_val"), ["train", "validation"]),
        (("train_images", "train_labels", "test_images", "test_labels"), ["train", "test"]),
    ],
)
def test_parts_are_used_as_they_are(
    tmp_path: Path, names: tuple[str, ...], parts: list[str]
) -> None:
    values: tuple[Any, ...] = (PICTURES, LABELS, PICTURES[:2], LABELS[:2])

    dataset = arrays.read(saved(tmp_path, **dict(zip(names, values, strict=True))))

    assert dataset.parts == [parts[0]] * 4 + [parts[1]] * 2
    assert len(set(dataset.names)) == 6


def test_text_labels_colours_and_fortran_order_are_read(tmp_path: Path) -> None:
    pictures = np.asfortranarray(np.random.default_rng(0).random((3, 4, 5, 3)))

    dataset = arrays.read(saved(tmp_path, X=pictures, y=np.array(["a", "b", "a"])))

    assert (np.stack(dataset.things) == pictures).all()
    assert list(dataset.labels) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"X": PICTURES}, "has the array X, but no y"),
        ({"X_train": PICTURES, "y": LABELS}, "but no y_train"),
        ({"arr_0": PICTURES, "arr_1": LABELS}, r"needs the arrays X and y.*It has: arr_0, arr_1"),
        ({"X": PICTURES, "images": PICTURES, "y": LABELS}, "would be the same"),
        ({"X": PICTURES, "y": LABELS, "X_test": PICTURES, "y_test": LABELS}, "for no part"),
        ({"X": PICTURES, "y": LABELS[:3]}, "there are 4 items, but 3 labels"),
        ({"X": PICTURES[0, 0], "y": LABELS}, r"X must have the shape .*; it has \(6,\)"),
        ({"X": PICTURES[:0], "y": LABELS[:0]}, "no cells"),
        ({"X": PICTURES.astype(str), "y": LABELS}, "X must hold numbers"),
        ({"X": PICTURES, "y": LABELS + 0.5}, "regression"),
        ({"X": PICTURES, "y": np.array([0, None, 1, 0])}, "the array y holds Python objects"),
        (
            {"X_train": PICTURES, "y_train": LABELS, "X_test": PICTURES[:, 1:], "y_test": LABELS},
            r"shape \(4, 6\), but those of another part \(5, 6\)",
        ),
        ({}, "It has: none"),
    ],
)
def test_what_is_wrong_is_explained(tmp_path: Path, named: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays.read(saved(tmp_path, **named))


def test_a_file_that_cannot_be_opened_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.npz: there is no such file"):
        arrays.read(tmp_path / "gone.npz")


def test_pickled_objects_are_never_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self: Any) -> Any:
            return (Path.touch, (tmp_path / "sprung",))

    file = saved(tmp_path, X=PICTURES, y=np.array([Trap()] * 4, object))

    with pytest.raises(DataError, match="can run any program"):
        arrays.read(file)
    assert not (tmp_path / "sprung").exists()


def npz(header: str, content: bytes = b"") -> bytes:
    """Return an .npz file whose arrays have any header."""
    text = header.encode().ljust(118) + b"\n"
    member = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("X.npy", member)
        archive.writestr("y.npy", member)
    return file.getvalue()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("(1000000, 1000, 1000)", "damaged: it says its shape"),
        ("(10, 10, 10)", "damaged"),
        ("(-1, 10, 10)", "damaged"),
        ("(2, 'x')", "damaged"),
    ],
)
def test_sizes_that_are_not_true_are_refused_before_room_is_made(
    tmp_path: Path, shape: Any, message: str
) -> None:
    file = tmp_path / "data.npz"
    file.write_bytes(npz(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}", b"1234"))

    with pytest.raises(DataError, match=message):
        arrays.read(file)


def whole() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, X=PICTURES, y=LABELS)
    return file.getvalue()


WHOLE = whole()


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.integers(0, len(WHOLE) - 1).map(lambda end: WHOLE[:end]),
        st.text("{}()[]'descr:<>fuiObUSM,shape0123456789- TrueFalse_order", max_size=100).map(npz),
    )
)
def test_whatever_a_file_holds_only_data_errors_are_raised(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.npz"
    file.write_bytes(content)

    with pytest.raises(DataError):
        arrays.read(file)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@example(498, 2)  # the place of a member becomes negative
def test_a_changed_byte_is_noticed_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.npz"
    file.write_bytes(WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :])

    try:
        dataset = arrays.read(file)
    except DataError:
        return
    assert (np.stack(dataset.things) == PICTURES).all()


def test_labels_of_parts_are_joined_as_what_they_are(tmp_path: Path) -> None:
    """NumPy would make floats of whole numbers with and without a sign, and texts of numbers."""
    numbers = np.array([1, 2**63], np.uint64)
    for other in (np.array([-1, 5]), np.array(["a", "b"])):
        file = saved(tmp_path, X_a=PICTURES[:2], y_a=numbers, X_b=PICTURES[2:], y_b=other)

        stack, labels = arrays.load(file)

        assert (stack == PICTURES).all()
        assert labels is not None
        assert labels.tolist() == [1, 2**63, *other.tolist()]


@pytest.mark.parametrize(
    "other",
    [
        {"y_b": np.array([[0], [1]])},
        {"y_b": np.array(1)},
        {"X_b": PICTURES[2:].astype(str)},
        {"X_b": PICTURES[2:].astype("M8[D]")},
        {"X_a": np.array(1), "X_b": np.array(2)},
    ],
)
def test_parts_that_are_not_alike_are_not_joined(tmp_path: Path, other: dict[str, Any]) -> None:
    """Their shapes and types are told."""
    parts = {"X_a": PICTURES[:2], "y_a": LABELS[:2], "X_b": PICTURES[2:], "y_b": LABELS[2:]}
    file = saved(tmp_path, **{**parts, **other})

    with pytest.raises(DataError, match=r"cannot be joined: '[Xy]_a' is .*; all must be alike"):
        arrays.load(file)
