"""Where the user's caches are: one rule for all that is kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from gridcnn.caches import OFF_WORDS, user_folder
from gridcnn.datasets.public.fetching import data_folder
from gridcnn.runs.grids_cache import fitted_cache, grids_cache

pytest.importorskip("llvmlite")

from gridcnn.engines.native.cache import object_cache

KINDS: dict[str, Callable[[], Path | None]] = {
    "objects": lambda: object_cache().folder,
    "grids": lambda: grids_cache().folder,
    "fitted": lambda: fitted_cache().folder,
    "data": data_folder,
}
NAMES = {"fitted": "grids"}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home and current folder, free of links."""
    place = Path(os.path.realpath(tmp_path)) / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("USERPROFILE", str(place))
    monkeypatch.delenv("GRIDCNN_CACHE_SIZE", raising=False)
    monkeypatch.chdir(place)
    return place


@every_kind
@pytest.mark.parametrize(
    ("given", "place"), [("~/mine", "mine"), ("~", "."), ("near/by", "near/by"), (" near ", "near")]
)
def test_the_variable_names_a_folder_for_all(
    kind: str, given: str, place: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~` in it is the user's home, and a relative path starts in the current folder."""
    monkeypatch.setenv("GRIDCNN_CACHE", given)
    folder = KINDS[kind]()
    monkeypatch.setenv("GRIDCNN_CACHE", str(home / place))

    assert folder == home / place / NAMES.get(kind, kind)
    assert KINDS[kind]() == folder


@every_kind
@pytest.mark.parametrize("word", [*OFF_WORDS, "OFF", " No "])
def test_one_of_some_words_keeps_nothing(
    kind: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDCNN_CACHE", word)

    assert KINDS[kind]() is None


@every_kind
@pytest.mark.parametrize("given", ["", "  "])
def test_without_a_folder_the_system_names_one(
    kind: str, given: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDCNN_CACHE", given)
    usual = home / "caches" / "gridcnn"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: usual)

    assert KINDS[kind]() == usual / NAMES.get(kind, kind)


def test_the_home_of_a_user_whom_nobody_knows_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a folder of that name in the current one."""
    monkeypatch.setenv("GRIDCNN_CACHE", "~nobody-of-that-name/caches")

    assert user_folder("data") is None


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be removed there")
def test_a_relative_path_from_nowhere_is_nowhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDCNN_CACHE", "near")
    home.rmdir()

    assert user_folder("data") is None
