"""Files of arrays: what NumPy wrote comes back, and nothing but `DataError` comes out of others."""

import contextlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.stored import stored_array
from gridcnn.errors import DataError


def npy(array: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    np.save(content, array, **options)
    return content.getvalue()


def npz(**arrays: Any) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24, dtype=">i4").reshape(2, 3, 4),
        np.zeros(5, np.bool_),
        np.float32(3.5),
    ],
)
def test_what_numpy_wrote_comes_back(tmp_path: Path, array: Any) -> None:
    """As numpy.load reads it, from a path, from text, from bytes, alone and packed."""
    file = tmp_path / "one.npy"
    file.write_bytes(npy(array))
    expected = np.load(file)

    for thing in (file, str(file), file.read_bytes(), npz(only=array)):
        found = stored_array(thing)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.array([{}], object), allow_pickle=True), "holds Python objects"),
        (npz(a=np.array([{}], object)), "holds Python objects"),
        (npy(np.zeros(9))[:-5], "damaged: it says it has 72 bytes"),
        (npy(np.zeros(9)) + b"x", "damaged: it says it has 72 bytes"),
        (npz(a=np.zeros(9))[:40], "the array is damaged"),
        (npz(a=1, b=2), r"holds 2 arrays \('a', 'b'\)"),
        (b"PK\x05\x06" + bytes(18), "holds no array"),
        (pickle.dumps([1, 2]), "perhaps a pickle, which is never opened"),
        (b"path,label\n", "no array of NumPy"),
        (b"", "empty"),
        (npy(np.zeros(1)).replace(b"(1,)", b"(9999999999,)"), "damaged|at most"),
    ],
)
def test_what_is_no_array_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    """In one sentence, from bytes and from a file."""
    file = tmp_path / "bad.npy"
    file.write_bytes(content)

    for thing in (content, file):
        with pytest.raises(DataError, match=message) as caught:
            stored_array(thing)
        assert len(caught.value.problems) == 1


def test_one_of_several_arrays_can_be_asked_for() -> None:
    content = npz(X=np.arange(3), y=np.zeros(3))

    assert stored_array(content, among=("X", "x")).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="holds 2 arrays"):
        stored_array(content, among=("z",))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([npy(np.arange(6.0).reshape(2, 3)), npz(a=np.arange(6)), npz(a=1, b=2)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(0, 400),
)
def test_damaged_bytes_raise_nothing_but_our_error(
    content: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    """Bytes that were changed or cut are an array, or a `DataError`."""
    damaged = bytearray(content[: max(length, 1)])
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with contextlib.suppress(DataError):
        assert isinstance(stored_array(bytes(damaged)), np.ndarray)


def test_the_array_adapter_learns_from_files_as_from_arrays(tmp_path: Path) -> None:
    """Files, and the arrays in them, give the same adapter and the same grids."""
    random = np.random.default_rng(0)
    arrays = [random.normal(size=(4, 5)) for _ in range(6)]
    files = []
    for index, array in enumerate(arrays):
        file = tmp_path / f"{index}{'.npy' if index % 2 else '.npz'}"
        file.write_bytes(npy(array) if index % 2 else npz(any=array))
        files.append(str(file))

    from_files = ArrayAdapter().fitted(files)

    assert from_files == ArrayAdapter().fitted(np.stack(arrays))
    np.testing.assert_array_equal(
        from_files.grids(files).values, from_files.grids(np.stack(arrays)).values
    )


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """They are passed over in learning, and told by their paths."""
    (tmp_path / "good.npy").write_bytes(npy(np.arange(4.0).reshape(2, 2)))
    (tmp_path / "wide.npy").write_bytes(npy(np.zeros((2, 3))))
    (tmp_path / "text.npy").write_bytes(npy(np.array("text")))
    files = [tmp_path / name for name in ("good.npy", "wide.npy", "text.npy", "none.npy")]

    adapted = ArrayAdapter(size=(2, 2)).fitted(files).adapt_all(files)

    assert adapted.kept.tolist() == [0]
    told = {Path(each.source).name: each.message for each in adapted.problems}
    assert "the item is 1 x 2 x 3" in told["wide.npy"]
    assert "no numbers" in told["text.npy"]
    assert told["none.npy"] == "there is no such file"
