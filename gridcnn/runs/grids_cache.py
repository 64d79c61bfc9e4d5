"""Grids that are kept on disk, so that things are adapted once for all runs of a user.

An entry is read through a memory map: of grids that are larger than memory, only the used parts are
loaded. It counts only if it is complete, which is checked each time, to the last bit.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
import os
import re
import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gridcnn.caches import Entries, Shelf, user_folder
from gridcnn.errors import DataError, quoted
from gridcnn.grid import Array, GridShape, OneHot, all_finite
from gridcnn.gridding import Chunk, rows_of, stored_of

SIZE = "GRIDCNN_CACHE_SIZE"
_USUAL = 10_000_000_000  # bytes
_FITTED = 16_000_000  # bytes
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

# What an entry begins with: what it is, the version of this form, the rows of one-hot grids (0 for
# others), how many things there were, how many of them became grids, the key, and the digest of the
# grids. The digest of all of this and of which things became grids follows, then zeros, from a new
# page on the grids, and last a bit for each thing: whether it became a grid.
_HEADER = struct.Struct("<16sIIQQ32s32s")
_MAGIC, _VERSION = b"gridcnn grids\0\r\n", 1
_START = 4096  # where the grids begin: at a page of memory
_AT_ONCE = 2**24  # bytes that are looked through at a time, so that Ctrl-C is heard in between


def grids_cache() -> GridsCache:
    """Return the user's cache of grids.

    `user_folder` says where it is. `GRIDCNN_CACHE_SIZE` says how much it may hold, such as `50GB`;
    without, that is 10 GB, or half of what the disk has room for where that is less.

    Raises:
        DataError: `GRIDCNN_CACHE_SIZE` is not a size.
    """
    cache = GridsCache(user_folder("grids"))
    setting = os.environ.get(SIZE, "").strip()
    if setting:
        cache.limit = _bytes(setting)
    elif cache.folder is not None:
        cache.limit = min(_USUAL, (_free(cache.folder) + cache.size()) // 2)
    return cache


def fitted_cache() -> Entries:
    """Return the user's cache of what adapters have learned."""
    return Entries(user_folder("grids"), kind="fitted", limit=_FITTED)


def _bytes(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,6})?)\s*([A-Z]{0,2})", text.upper())
    if not match or match[2] not in _UNITS:
        raise DataError(
            f"{SIZE} must be a size such as 50GB, 500 MB or a number of bytes; got {quoted(text)}"
        )
    return int(float(match[1]) * _UNITS[match[2]])


def _free(folder: Path) -> int:
    """Return how many bytes are free on the disk of a folder, which may not exist yet."""
    for each in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(each).free
    return 0


@dataclass(frozen=True)
class Kept:
    """Grids as they are kept.

    Attributes:
        grids: the grids of the things that could be read, in their order, for reading alone.
        made: for each thing, whether it became a grid: bool `(things,)`.
        digest: of the grids' content, in hexadecimal.
    """

    grids: NDArray[np.float32] | OneHot
    made: NDArray[np.bool_]
    digest: str


class GridsCache(Shelf):
    """A folder of grids; any number of processes may use it at the same time.

    Args:
        folder: made with the first entry. None holds nothing.
        limit: how many bytes it holds. The entries that were not used for longest go first.
    """

    def __init__(self, folder: Path | None, *, limit: int = _USUAL) -> None:
        super().__init__(folder, ending="grids", limit=limit)

    def has_room(self, size: int) -> bool:
        """Return whether grids of so many bytes may be kept."""
        return self.folder is not None and _START + size + size // 64 <= self.limit

    def get(self, key: str, *, things: int, shape: GridShape) -> Kept | None:
        """Return the grids of `count` items that were put under a key.

        None if there are none, or they are damaged, or of another shape.
        """
        file = self.open_entry(key)
        if file is None:
            return None
        with file:
            try:
                kept_grids = _read(file.fileno(), key, things, shape)
            except (OSError, ValueError):
                return None
        if kept_grids is not None:
            self.touch(key)
        return kept_grids

    def put(self, key: str, chunks: Iterable[Chunk], *, things: int, size: int) -> None:
        """Keep the grids of items, which come in chunks, in place of earlier ones.

        Grids are written as they come, so that memory holds one chunk. `size` is about how many
        bytes they will be.

        Raises:
            OSError: the folder cannot be written to, is not safe, or the disk is full; nothing is
                left there.
            MixedError: some chunks are one-hot, and some are not.
        """
        self.make_room(size)
        with self.open_new(key) as file:
            file.write(bytes(_START))
            content = hashlib.sha256()
            made = np.zeros(things, np.bool_)
            done, rows = 0, None
            for count, adapted in chunks:
                grids = adapted.grids.values
                if rows not in (None, rows_of(grids)):
                    raise MixedError
                rows = rows_of(grids)
                data = _content(grids)
                content.update(data)
                file.write(data)
                made[done + adapted.kept] = True
                done += count
            # Not into the map of a file: on a full disk that would end the process.
            mask = np.packbits(made).tobytes()
            file.write(mask)
            file.seek(0)
            file.write(_header(key, rows or 0, made, content.digest()))


def _header(key: str, rows: int, made: NDArray[np.bool_], content: bytes) -> bytes:
    """Return the header of an entry; `content` is the digest of the grids."""
    counts = (len(made), int(np.count_nonzero(made)))
    fields = _HEADER.pack(_MAGIC, _VERSION, rows, *counts, bytes.fromhex(key), content)
    return fields + hashlib.sha256(fields + np.packbits(made).tobytes()).digest()


def _read(descriptor: int, key: str, things: int, shape: GridShape) -> Kept | None:
    """Return the content of an open file; None if anything in it has changed since it was written.

    Raises:
        ValueError: the file cannot be mapped, or indices are not rows of one-hot grids.
    """
    whole = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    mask_length = -(-things // 8)
    if len(whole) < _START + mask_length or whole[:16] != _MAGIC:
        return None
    _, _, rows, _, kept, _, digest = _HEADER.unpack_from(whole)
    if rows not in (0, shape.rows):
        return None
    sizes = (shape.columns,) if rows else shape.sizes
    length = 4 * math.prod(sizes) * kept
    if len(whole) != _START + length + mask_length:
        return None
    mask = np.frombuffer(whole, np.uint8, offset=_START + length)
    made = np.unpackbits(mask, count=things).astype(np.bool_)
    header = _header(key, rows, made, digest)
    # The last byte of the mask may have bits that stand for nothing, and are 0.
    if not np.array_equal(np.packbits(made), mask):
        return None
    if whole[: len(header)] != header or kept != np.count_nonzero(made):
        return None
    stored = np.frombuffer(
        whole, "<i4" if rows else "<f4", count=kept * math.prod(sizes), offset=_START
    ).reshape(kept, *sizes)
    if _digest(stored) != digest or not _is_finite(stored):
        return None
    grids = OneHot(stored, rows) if rows else stored
    return Kept(grids, made, digest.hex())


def _is_finite(stored: Array) -> bool:
    """Return whether all cells are finite numbers; the range of indices is known to `OneHot`."""
    return all(map(all_finite, _parts(stored)))


def digest_of(grids: NDArray[np.float32] | OneHot) -> str:
    """Return the digest of grids' content, in hexadecimal, as in an entry."""
    return _digest(stored_of(grids)).hex()


def _digest(stored: Array) -> bytes:
    digest = hashlib.sha256()
    for part in _parts(stored):
        digest.update(np.ascontiguousarray(part).data)
    return digest.digest()


def _parts(stored: Array) -> Iterator[Array]:
    step = max(1, _AT_ONCE // max(1, stored[:1].nbytes))
    return (stored[start : start + step] for start in range(0, len(stored), step))


def _content(grids: NDArray[np.float32] | OneHot) -> bytes | memoryview:
    """Return the bytes to keep for grids, in the byte order of the file."""
    kind = "<i4" if isinstance(grids, OneHot) else "<f4"
    stored = np.ascontiguousarray(stored_of(grids), kind)
    return stored.data.cast("B") if stored.size else b""


class MixedError(Exception):
    """Some chunks of grids are one-hot, and some are not."""
