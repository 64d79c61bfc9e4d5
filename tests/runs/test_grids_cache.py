"""Grids that are kept come back as they were, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridcnn.caches import key_of
from gridcnn.contracts.adapter import Adapted
from gridcnn.errors import DataError, Problem
from gridcnn.grid import Grids, GridShape, OneHot
from gridcnn.gridding import Chunk
from gridcnn.runs import grids_cache as module
from gridcnn.runs.grids_cache import (
    GridsCache,
    Kept,
    MixedError,
    digest_of,
    fitted_cache,
    grids_cache,
)

KEY, OTHER = key_of("one"), key_of("two")
SHAPE = GridShape(2, 3, 4)
MADE = np.array([True, False, True, True, False, True, True])
VALUES = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype(np.float32)
ROWS = np.random.default_rng(1).integers(-1, 3, (5, 4)).astype(np.int32)


def chunks(one_hot: bool = False, step: int = 3) -> Iterator[Chunk]:
    """Yield the things of MADE, some at a time."""
    for start in range(0, len(MADE), step):
        made = MADE[start : start + step]
        part = slice(MADE[:start].sum(), MADE[:start].sum() + made.sum())
        grids = (
            Grids(OneHot(ROWS[part], 3), GridShape(1, 3, 4))
            if one_hot
            else Grids(VALUES[part], SHAPE)
        )
        problems = tuple(Problem("bad") for _ in range(2 * (~made).sum()))
        yield len(made), Adapted(grids, np.flatnonzero(made), problems)


@pytest.fixture
def cache(tmp_path: Path) -> GridsCache:
    """Return a cache with one entry."""
    cache = GridsCache(tmp_path / "grids")
    cache.put(KEY, chunks(), things=len(MADE), size=VALUES.nbytes)
    return cache


def got(cache: GridsCache, key: str = KEY, shape: GridShape = SHAPE) -> Kept | None:
    return cache.get(key, things=len(MADE), shape=shape)


def entry(cache: GridsCache, key: str = KEY) -> Path:
    assert cache.folder is not None
    return cache.folder / f"{key}.grids"


def test_grids_come_back_to_the_bit(cache: GridsCache) -> None:
    """With which things they are of; and they can only be read."""
    kept = got(cache)

    assert kept is not None
    assert isinstance(kept.grids, np.ndarray)
    np.testing.assert_array_equal(kept.grids, VALUES)
    np.testing.assert_array_equal(kept.made, MADE)
    assert kept.digest == digest_of(VALUES)
    assert not kept.grids.flags.writeable


@pytest.mark.parametrize("step", [1, 2, 7])
def test_one_hot_grids_come_back_as_such(cache: GridsCache, step: int) -> None:
    """Their indices are what is kept, whatever the chunks."""
    cache.put(OTHER, chunks(one_hot=True, step=step), things=len(MADE), size=ROWS.nbytes)

    kept = got(cache, OTHER, GridShape(1, 3, 4))

    assert kept is not None
    assert isinstance(kept.grids, OneHot)
    np.testing.assert_array_equal(kept.grids.indices, ROWS)
    assert kept.digest == digest_of(OneHot(ROWS, 3))


def test_grids_of_two_kinds_are_not_kept(cache: GridsCache) -> None:
    """Nothing of them is left in the folder."""
    mixed = [next(chunks()), next(chunks(one_hot=True))]

    with pytest.raises(MixedError):
        cache.put(OTHER, mixed, things=len(MADE), size=100)

    assert [each.name for each in entry(cache).parent.iterdir()] == [f"{KEY}.grids"]


def test_things_that_are_all_bad_are_kept_as_such(tmp_path: Path) -> None:
    """An entry may hold no grid at all."""
    cache = GridsCache(tmp_path)
    none = Adapted(Grids(VALUES[:0], SHAPE), np.zeros(0, np.int64), (Problem("bad"),) * 3)

    cache.put(KEY, [(3, none)], things=3, size=0)
    kept = cache.get(KEY, things=3, shape=SHAPE)

    assert kept is not None
    assert len(kept.grids) == 0
    assert not kept.made.any()


def test_an_entry_is_of_its_key_its_count_and_its_shape(cache: GridsCache) -> None:
    """Nothing else gets it."""
    assert got(cache, OTHER) is None
    assert cache.get(KEY, things=len(MADE) + 1, shape=SHAPE) is None
    assert got(cache, shape=GridShape(3, 2, 4)) is not None  # the key is what tells shapes apart
    assert got(cache, shape=GridShape(2, 3, 5)) is None
    entry(cache).rename(entry(cache, OTHER))
    assert got(cache, OTHER) is None


@settings(deadline=None, max_examples=30)
@given(place=st.integers(0), bit=st.integers(0, 7))
@example(place=-1, bit=0)
def test_a_flipped_bit_is_found_out(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    """Wherever it is, but for the zeros between the header and the grids, which mean nothing."""
    cache = GridsCache(tmp_path_factory.mktemp("flipped"))
    cache.put(KEY, chunks(), things=len(MADE), size=VALUES.nbytes)
    content = bytearray(entry(cache).read_bytes())
    zeros = range(module._HEADER.size + 32, module._START)
    meaningful = [index for index in range(len(content)) if index not in zeros]
    content[meaningful[place % len(meaningful)]] ^= 1 << bit
    entry(cache).write_bytes(content)

    assert got(cache) is None


@pytest.mark.parametrize("length", [0, 1, 100, 4095, 4096, 4100, -1])
def test_a_file_that_is_cut_off_is_found_out(cache: GridsCache, length: int) -> None:
    """And so is one that goes on."""
    content = entry(cache).read_bytes()
    entry(cache).write_bytes(content[:length])
    assert got(cache) is None
    entry(cache).write_bytes(content + bytes(8))
    assert got(cache) is None
    entry(cache).write_bytes(content)
    assert got(cache) is not None


def test_what_stops_half_way_leaves_nothing(cache: GridsCache) -> None:
    """Neither Ctrl-C nor a full disk does."""

    def stopped() -> Iterator[Chunk]:
        yield next(chunks())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.put(OTHER, stopped(), things=len(MADE), size=100)

    assert [each.name for each in entry(cache).parent.iterdir()] == [f"{KEY}.grids"]


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """What they left there is never read, and nothing is added to it."""
    if os.name == "nt":
        pytest.skip("Windows has no permission bits")
    cache = GridsCache(tmp_path / "grids")
    cache.put(KEY, chunks(), things=len(MADE), size=100)
    (tmp_path / "grids").chmod(0o777)

    assert got(cache) is None
    with pytest.raises(OSError, match="others may write"):
        cache.put(OTHER, chunks(), things=len(MADE), size=100)


def test_the_folder_is_bounded(tmp_path: Path) -> None:
    """What was not used for longest makes room before anything is written."""
    cache = GridsCache(tmp_path)
    keys = [key_of(str(number)) for number in range(4)]
    cache.put(keys[0], chunks(), things=len(MADE), size=VALUES.nbytes)
    cache.limit = 3 * cache.size()
    for moment, key in enumerate(keys):
        cache.put(key, chunks(), things=len(MADE), size=VALUES.nbytes)
        os.utime(entry(cache, key), ns=(moment, moment))

    assert cache.size() <= cache.limit
    assert [entry(cache, key).exists() for key in keys] == [False, True, True, True]
    assert not cache.has_room(cache.limit)
    assert cache.has_room(VALUES.nbytes)
    assert not GridsCache(None).has_room(1)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("50GB", 50 * 10**9), (" 1.5 mb ", 1_500_000), ("2 TB", 2 * 10**12)],
)
def test_the_limit_can_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, size: int
) -> None:
    """In bytes, or with a unit."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path))
    monkeypatch.setenv("GRIDCNN_CACHE_SIZE", text)

    assert grids_cache().limit == size
    assert grids_cache().folder == Path(os.path.realpath(tmp_path)) / "grids"


@pytest.mark.parametrize("text", ["lots", "-1", "10 PB", "1e9", "GB", "\x1b[2J"])
def test_a_wrong_limit_is_told(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """In one line that says what it should be."""
    monkeypatch.setenv("GRIDCNN_CACHE_SIZE", text)

    with pytest.raises(DataError, match="must be a size such as 50GB") as caught:
        grids_cache()
    assert str(caught.value).isprintable()


def test_the_usual_limit_leaves_the_disk_half_of_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is never more than 10 GB."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path))
    for free, limit in ((8000, 4000), (10**12, 10**10)):
        monkeypatch.setattr(module, "_free", lambda folder, free=free: free)
        assert grids_cache().limit == limit


def test_grids_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same word as machine code."""
    monkeypatch.setenv("GRIDCNN_CACHE", "off")

    assert grids_cache().folder is None
    assert fitted_cache().folder is None
