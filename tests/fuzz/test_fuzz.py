"""The command line of the fuzzing, and how inputs are changed."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz import __main__ as command
from fuzz import bundle, sealed
from fuzz.changes import Changes
from fuzz.target import Target, WrongError, attempt
from fuzz.targets import archives, models, pictures, specs
from gridcnn.errors import DataError
from gridcnn.model import KIND
from gridcnn.tensors import read_tensors


def fault(content: bytes, folder: Path) -> None:
    if b"bad" in content:
        raise IndexError("so")
    (folder / "left").write_bytes(content)
    raise DataError("no")


TARGET = Target("made", "anything", lambda: [b"good"], fault)


def test_own_errors_are_no_faults(tmp_path: Path) -> None:
    """And what an input leaves is gone before the next one."""
    attempt(TARGET, b"good", tmp_path)

    assert not list(tmp_path.iterdir())


def test_other_errors_are_faults(tmp_path: Path) -> None:
    """They come out as they are."""
    with pytest.raises(IndexError, match="so"):
        attempt(TARGET, b"bad", tmp_path)


@pytest.mark.parametrize("message", ["\x1b[2J", "a" * 9_000])
def test_errors_that_cannot_be_read_are_faults(message: str, tmp_path: Path) -> None:
    """Those that steer a terminal, and those without an end."""

    def steer(content: bytes, folder: Path) -> None:
        error = DataError()
        error.args = (message,)
        raise error

    with pytest.raises(WrongError):
        attempt(Target("made", "anything", list, steer), b"", tmp_path)


def test_an_input_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m fuzz TARGET FILE` says what comes out, and returns 1 where that is a fault."""
    monkeypatch.setattr("fuzz.targets.targets", lambda: {"made": TARGET})
    for content in (b"good", b"bad"):
        (tmp_path / content.decode()).write_bytes(content)

    assert command.main(["made", str(tmp_path / "good")]) == 0
    assert command.main(["made", str(tmp_path / "bad")]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "nothing wrong came out"
    assert told[-1].startswith("IndexError in ")


@pytest.mark.parametrize("words", [["nothing", "file"], ["spec"], ["--target", "nothing"]])
def test_what_is_asked_wrongly_is_told(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the names that there are."""
    assert command.main(words) == 2
    assert "the targets are spec, set, model" in capsys.readouterr().err


def test_without_atheris_nothing_is_searched(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says so."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    assert command.main(["--minutes", "1"]) == 2
    assert capsys.readouterr().err.startswith("atheris is not installed here")


PARTS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
    st.binary(max_size=20),
    max_size=9,
)


@given(PARTS)
def test_a_bundle_is_read_as_it_was_packed(parts: Mapping[str, bytes]) -> None:
    assert bundle.parts_of(bundle.packed(parts)) == parts


@given(st.binary(max_size=99))
def test_any_bytes_are_a_bundle(content: bytes) -> None:
    parts = bundle.parts_of(content)

    assert bundle.parts_of(bundle.packed(parts)) == parts


def test_the_same_seed_makes_the_same_changes() -> None:
    made = [
        [Changes(Random(seed)).data({"a": [1, "b"], "c": {}}) for seed in range(50)]
        for _ in range(2)
    ]

    assert repr(made[0]) == repr(made[1])
    assert len(set(map(repr, made[0]))) > 20


def test_models_are_changed_behind_their_seal(tmp_path: Path) -> None:
    """Most changed files are whole for who looks from outside, and differ inside."""
    path = tmp_path / "model"
    seed = models.TARGETS[0].seeds()[0]
    path.write_bytes(seed)
    before = read_tensors(path, KIND)[1]
    whole = others = 0
    for number in range(200):
        path.write_bytes(sealed.tensors_changed(seed, Changes(Random(number))))
        try:
            content = read_tensors(path, KIND)[1]
        except Exception:
            continue
        whole += 1
        others += content != before

    assert whole > 100
    assert others > 50


def test_pictures_are_changed_behind_their_checksums() -> None:
    """Pillow refuses a chunk whose checksum is wrong; in most changed files all are right."""
    seed = next(each for each in pictures.TARGETS[0].seeds() if each.startswith(b"\x89PNG"))
    changed = [sealed.png_changed(seed, Changes(Random(number))) for number in range(100)]

    assert len(set(changed)) > 50
    assert sum(_right_chunks(each) for each in changed) > 50


def _right_chunks(content: bytes) -> bool:
    place = 8
    while place + 12 <= len(content):
        length, _ = struct.unpack(">I4s", content[place : place + 8])
        whole = content[place + 4 : place + 8 + length]
        end = content[place + 8 + length : place + 12 + length]
        if end != struct.pack(">I", zlib.crc32(whole)):
            return False
        place += 12 + length
    return place == len(content)


def test_archives_are_changed_behind_their_checksums() -> None:
    """Members are read without an error, though they are others."""
    seed = archives.TARGETS[0].seeds()[0]
    whole = 0
    for number in range(100):
        changed = archives.TARGETS[0].change(seed, Changes(Random(number)))
        try:
            with zipfile.ZipFile(io.BytesIO(changed)) as file:
                whole += file.testzip() is None
        except Exception:
            continue
    assert whole > 60


def test_specs_are_changed_as_data() -> None:
    """Most of them are still YAML."""
    changed: list[Any] = []
    for number in range(60):
        text = sealed.yaml_changed(specs.TARGETS[0].seeds()[0], Changes(Random(number)))
        try:
            changed.append(json.loads(text))
        except ValueError:
            continue
    assert len(changed) > 5
    assert np.all([isinstance(each, dict | list) for each in changed])
