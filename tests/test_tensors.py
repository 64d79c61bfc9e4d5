"""Sealed tensor files: what is read is what was written, or an error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from gridcnn.errors import ModelFileError
from gridcnn.grid import Array
from gridcnn.tensors import read_tensors, write_tensors

CONTENT = {"spec": {"name": "xo"}, "classes": ["X", "O", 3], "none": None, "text": 'a"\\ß\udcff'}
TENSORS: dict[str, Array] = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3),
    "odd": np.array([np.nan, -0.0, np.inf, -np.inf, 1e-45], np.float32),
    "empty": np.zeros((0, 3), np.float32),
    "single": np.array(3.5),
    "counts": np.array([1, -1]),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a file that can be read."""
    path = tmp_path_factory.mktemp("sound") / "model.safetensors"
    write_tensors(path, "model", TENSORS, CONTENT)
    return path.read_bytes()


def read(path: Path, content: bytes, kind: str = "model") -> Any:
    path.write_bytes(content)
    return read_tensors(path, kind)


def sealed(tensors: dict[str, Array], about: Any) -> bytes:
    """Return a file with such metadata."""
    return save(tensors, {"gridcnn": about if isinstance(about, str) else json.dumps(about)})


def test_everything_reads_back_bit_for_bit(tmp_path: Path, sound: bytes) -> None:
    """NaN, negative zero, empty and single numbers, shapes and types, and the content."""
    tensors, content = read(tmp_path / "file", sound)

    assert content == CONTENT
    assert set(tensors) == set(TENSORS)
    for name, array in TENSORS.items():
        assert tensors[name].dtype == array.dtype
        assert tensors[name].shape == array.shape
        assert tensors[name].tobytes() == array.tobytes()


def test_the_same_makes_the_same_file(tmp_path: Path, sound: bytes) -> None:
    """Two runs of one spec have equal files, byte for byte."""
    for number in range(10):
        path = tmp_path / f"{number}.safetensors"
        write_tensors(path, "model", TENSORS, CONTENT)

        assert path.read_bytes() == sound


@pytest.mark.parametrize(
    "array",
    [
        np.arange(3, dtype=">f4"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10, dtype=np.float32)[::-2],
        np.arange(8, dtype=np.float32).reshape(2, 4)[:, ::2],
    ],
)
def test_arrays_of_any_layout_keep_their_values(tmp_path: Path, array: Array) -> None:
    """The order of bytes and of dimensions in memory is no part of an array's meaning."""
    write_tensors(tmp_path / "file", "model", {"a": array}, {})

    tensors, _ = read_tensors(tmp_path / "file", "model")

    np.testing.assert_array_equal(tensors["a"], array)


def test_a_file_cut_at_any_length_is_damaged(tmp_path: Path, sound: bytes) -> None:
    """A download that broke off is never loaded."""
    for length in range(len(sound)):
        with pytest.raises(ModelFileError, match="damaged"):
            read(tmp_path / "file", sound[:length])


def test_a_file_with_more_at_its_end_is_damaged(tmp_path: Path, sound: bytes) -> None:
    """Nothing hides behind the numbers."""
    with pytest.raises(ModelFileError, match="damaged"):
        read(tmp_path / "file", sound + b"\0")


def test_every_flipped_bit_is_noticed(tmp_path: Path, sound: bytes) -> None:
    """No single bit can change without an error, wherever it is."""
    for bit in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ModelFileError):
            read(tmp_path / "file", bytes(damaged))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_other_damage_is_noticed_too(
    tmp_path_factory: pytest.TempPathFactory, sound: bytes, data: st.DataObject
) -> None:
    """Bytes that are replaced, lost or put in between never load as something else."""
    start = data.draw(st.integers(0, len(sound)))
    stop = data.draw(st.integers(start, len(sound)))
    damaged = sound[:start] + data.draw(st.binary(max_size=20)) + sound[stop:]
    if damaged != sound:
        with pytest.raises(ModelFileError):
            read(tmp_path_factory.getbasetemp() / "damaged", damaged)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8, b"{}", b"\xff" * 8 + b"{}", b"GIF89a", b"[" * 100_000]
)
def test_what_is_no_such_file_is_told(tmp_path: Path, content: bytes) -> None:
    """Anything else at all is a clear error."""
    with pytest.raises(ModelFileError, match="is damaged, or not a gridcnn model file"):
        read(tmp_path / "file", content)


def test_files_of_other_programs_are_told(tmp_path: Path) -> None:
    """A sound safetensors file without our mark is foreign, whatever its numbers are."""
    foreign = save({"a": np.zeros(3, np.float32)}, {"format": "pt"})
    header = b'{"a":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    unknown_numbers = len(header).to_bytes(8, "little") + header + b"\0\0"

    for content in (foreign, unknown_numbers, save({"a": np.zeros(3)})):
        with pytest.raises(ModelFileError, match="is not a gridcnn file; a gridcnn model file was"):
            read(tmp_path / "file", content)


def test_files_of_another_kind_are_told(tmp_path: Path, sound: bytes) -> None:
    """A checkpoint is no model."""
    with pytest.raises(
        ModelFileError,
        match="is a gridcnn file of the kind 'model'; a gridcnn checkpoint file was expected",
    ):
        read(tmp_path / "file", sound, "checkpoint")


@pytest.mark.parametrize(
    "about",
    [
        "",
        "no JSON",
        "[" * 100_000,
        "3",
        "null",
        "[]",
        '{"kind": NaN}',
        {},
        {"kind": 3},
        {"kind": "model"},
        {"kind": "model", "sha256": 3, "content": {}},
        {"kind": "model", "sha256": "0" * 64, "content": {}},
        {"kind": "model", "sha256": "0" * 64, "content": []},
    ],
)
def test_malformed_metadata_is_told(tmp_path: Path, about: Any) -> None:
    """What describes the numbers has to be as it was written."""
    with pytest.raises(ModelFileError, match=r"not a gridcnn file|checksum is wrong|of the kind 3"):
        read(tmp_path / "file", sealed({"a": np.zeros(3, np.float32)}, about))


def test_numbers_that_numpy_does_not_have_are_told(tmp_path: Path) -> None:
    """A file that calls itself ours, and holds what we never write, is no model."""
    about = json.dumps({"__metadata__": {"gridcnn": json.dumps({"kind": "model"})}})[:-1]
    header = f'{about}, "a":{{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}}}'.encode()

    with pytest.raises(ModelFileError, match="damaged"):
        read(tmp_path / "file", len(header).to_bytes(8, "little") + header + b"\0\0")


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """A missing file, a folder, a name that no file can have, and a pipe, which never hangs."""
    (tmp_path / "file").touch()
    cases = {
        tmp_path / "none": "does not exist",
        tmp_path / "file" / "inside": "does not exist",
        tmp_path: "is a folder",
        tmp_path / ("n" * 300): "cannot be read",
        tmp_path / "a\0b": "cannot be read",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        cases[tmp_path / "pipe"] = "is not an ordinary file"

    for path, message in cases.items():
        with pytest.raises(ModelFileError, match=f"{message}.*; a gridcnn model file was expected"):
            read_tensors(path, "model")


def test_a_file_that_may_not_be_read_is_told(
    tmp_path: Path, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's reason is handed on."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "file").write_bytes(sound)
    monkeypatch.setattr("safetensors.safe_open", refuse)

    with pytest.raises(ModelFileError, match="cannot be read: Permission denied"):
        read_tensors(tmp_path / "file", "model")


def test_content_has_to_be_json(tmp_path: Path) -> None:
    """What JSON cannot hold is refused before anything is written."""
    with pytest.raises(ValueError, match="JSON compliant"):
        write_tensors(tmp_path / "file", "model", {}, {"loss": float("nan")})
    assert not (tmp_path / "file").exists()


def test_more_than_memory_holds_is_not_read(
    tmp_path: Path, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither numbers nor content: the size is looked at first."""
    monkeypatch.setattr("gridcnn.cores.usable_memory", lambda: 30_000_000)
    write_tensors(tmp_path / "numbers", "model", {"a": np.zeros(5_000_000, np.float32)}, {})
    write_tensors(tmp_path / "content", "model", {}, {"a": [[]] * 400_000})

    for name in ("numbers", "content"):
        with pytest.raises(ModelFileError, match=r"of memory are needed, and 30\.0 MB are usable"):
            read_tensors(tmp_path / name, "model")
    assert read(tmp_path / "file", sound)


@pytest.mark.parametrize("name", ["BF16", "F8_E4M3", "F8_E5M2", "C64", "F4", "X", ""])
def test_types_of_numbers_that_are_not_known_are_told(tmp_path: Path, name: str) -> None:
    """Whatever the library raises about them."""
    about = json.dumps({"__metadata__": {"gridcnn": json.dumps({"kind": "model"})}})[:-1]
    header = f'{about}, "a":{{"dtype":"{name}","shape":[1],"data_offsets":[0,8]}}}}'.encode()

    with pytest.raises(ModelFileError, match="damaged") as caught:
        read(tmp_path / "file", len(header).to_bytes(8, "little") + header + bytes(8))
    assert len(str(caught.value)) < 400
