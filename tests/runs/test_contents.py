"""Digests tell things and adapters apart by what they are, never by where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.grid import GridShape
from gridcnn.runs import contents as module
from gridcnn.runs.contents import digests_of, identity_of, join_digests


def digest(thing: Any, *, files: bool = True) -> str | None:
    found = digests_of([thing], files=files, threads=1)
    return None if found is None else found.tobytes().hex()


def test_things_are_told_apart() -> None:
    """By their type, their shape and every bit."""
    numbers = np.arange(6, dtype=np.uint8)
    things = [
        "text",
        "Text",
        b"text",
        "",
        b"",
        "\udcff",
        numbers,
        numbers[::-1],
        numbers.reshape(2, 3),
        numbers.reshape(3, 2),
        numbers.astype(np.int8),
        numbers.astype(np.float32),
        numbers.astype(">i4"),
        numbers.astype("<i4"),
    ]

    found = [digest(thing, files=False) for thing in things]

    assert None not in found
    assert len(set(found)) == len(things)


def test_equal_things_are_equal_wherever_they_lie_in_memory() -> None:
    """An array in another order of memory holds the same numbers."""
    array = np.random.default_rng(0).normal(size=(4, 5))

    assert digest(array) == digest(np.asfortranarray(array)) == digest(array[::-1][::-1])
    assert digest(b"abc") == digest(bytearray(b"abc"))


@pytest.mark.parametrize(
    "thing",
    [
        3,
        None,
        [1, 2],
        {"a": 1},
        np.array([object()]),
        np.array(["text"]),
        np.ma.masked_array([1, 2], [True, False]),
        np.float32(3),
    ],
)
def test_what_has_no_known_content_is_told_as_such(thing: Any) -> None:
    """One such thing among others is enough."""
    assert digest(thing) is None
    assert digests_of(["text"] * 1000 + [thing], files=False, threads=2) is None


def test_files_are_their_content_and_ending(tmp_path: Path) -> None:
    """Not their name, their folder or their time."""
    files = {name: tmp_path / name for name in ("a.png", "b.PNG", "c.jpg", "d.png")}
    for name, file in files.items():
        file.write_bytes(b"other" if name == "d.png" else b"content")
    os.utime(files["b.PNG"], (1, 1))

    a, b, c, d = (digest(file) for file in files.values())

    assert a == b == digest(str(files["a.png"])) == digest(os.fspath(files["b.PNG"]))
    assert len({a, c, d, digest(b"content"), digest(str(files["a.png"]), files=False)}) == 5


def test_what_cannot_be_read_has_a_digest_too(tmp_path: Path) -> None:
    """Which is another one as soon as it can."""
    file = tmp_path / "file"
    missing, broken = digest(file), digest("nul\0byte")
    file.write_bytes(b"")

    assert missing is not None
    assert broken is not None
    assert digest(tmp_path) is not None
    assert digest(file) != missing


@pytest.mark.parametrize(("threads", "startable"), [(1, 1), (3, 3), (3, 0)])
def test_threads_do_not_change_anything(
    monkeypatch: pytest.MonkeyPatch, threads: int, startable: int
) -> None:
    """Each digest stands at the place of its thing, and progress adds up."""
    monkeypatch.setattr(module, "startable_threads", lambda wanted: startable)
    monkeypatch.setattr(module, "_TOGETHER", 7)
    things = [f"text {index}" for index in range(100)]
    told: list[int] = []

    found = digests_of(things, files=False, threads=threads, advance=told.append)

    assert found is not None
    for row, thing in zip(found, things, strict=True):
        assert row.tobytes().hex() == digest(thing, files=False)
    assert sum(told) == 100
    assert join_digests(found) != join_digests(found[::-1])
    empty = digests_of([], files=False, threads=threads)
    assert empty is not None
    assert empty.shape == (0, 32)


class Mine(Adapter):
    """Nothing but an adapter."""

    title: ClassVar[str] = "mine"

    def shape(self) -> GridShape:
        return GridShape(1, 1, 1)

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        return np.zeros((1, 1, 1), np.float32)


def test_adapters_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their class, every setting, and the versions of what they decode with."""
    adapters = [ImageAdapter(), ImageAdapter(size=(8, 8)), AudioAdapter(), AudioAdapter(power=1.0)]
    before = [identity_of(each) for each in adapters]
    assert len(set(before)) == 4
    assert before == [identity_of(each.model_copy()) for each in adapters]

    monkeypatch.setattr(module, "_version", lambda name: "2" if name == "pillow" else "1")
    first = [identity_of(each) for each in adapters]
    monkeypatch.setattr(module, "_version", lambda name: "3" if name == "pillow" else "1")
    second = [identity_of(each) for each in adapters]

    assert [one == other for one, other in zip(first, second, strict=True)] == [
        False,
        False,
        True,
        True,
    ]


def test_code_that_changes_is_another_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its class or a module beside it has changed; without any code nobody can tell."""
    for name in ("__init__.py", "mine.py", "helper.py"):
        (tmp_path / name).write_text("# first")
    monkeypatch.setattr(
        module, "_module_file", lambda kind: str(tmp_path / "mine.py") if kind is Mine else __file__
    )
    found = [identity_of(Mine())]
    for name in ("mine.py", "helper.py"):
        (tmp_path / name).write_text("# second")
        found.append(identity_of(Mine()))

    assert None not in found
    assert len(set(found)) == 3
    (tmp_path / "__init__.py").unlink()
    alone = identity_of(Mine())
    (tmp_path / "helper.py").write_text("# what is no part of a package does not matter")
    assert identity_of(Mine()) == alone
    monkeypatch.setattr(module, "_module_file", lambda kind: "")
    assert identity_of(Mine()) is None
