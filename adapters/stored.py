"""Stored arrays: NumPy's `.npy` and `.npz` files; nothing but `DataError` comes out."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection
from io import BytesIO
from typing import IO, Any

from numpy.lib import format as npy
from numpy.typing import NDArray

from gridcnn.adapters.opening import first_line, opened
from gridcnn.errors import DataError, listed, quoted
from gridcnn.stored import member_array

SUFFIXES = frozenset({".npy", ".npz"})

_READ = "files of one array are read: numpy.save(file, array)"
_PICKLES = (b"\x80", b"(", b"]", b"}", b"c")
"""How pickles begin; from protocol 2 on with the first of them."""


def stored_array(
    thing: str | os.PathLike[str] | bytes, *, among: Collection[str] = ()
) -> NDArray[Any]:
    """Return the one array in a file, or in the bytes of a file. Nothing pickled is ever opened.

    Where there are several arrays, the one whose name is `among` some names is meant.

    Raises:
        DataError: it cannot be read, is no such file, is damaged, holds Python objects or more
            than one array, or is too large.
    """
    if isinstance(thing, bytes):
        if not thing:
            raise DataError("the array is empty (0 bytes)")
        return _stored(BytesIO(thing), among)
    with opened(thing, wanted="a file of an array") as file:
        return _stored(file, among)


def _stored(file: IO[bytes], among: Collection[str]) -> NDArray[Any]:
    """Return the one array of an open file that can seek."""
    begin = file.read(len(npy.MAGIC_PREFIX))
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        if begin.startswith(npy.MAGIC_PREFIX):
            return member_array(file, size)
        if begin.startswith(b"PK"):
            return _packed(file, among)
    except DataError:
        raise
    except MemoryError:
        raise DataError("there is not enough memory to read it") from None
    except Exception as error:  # damaged files make NumPy and zipfile raise a dozen kinds of errors
        raise DataError(f"the array is damaged: {first_line(error)}") from None
    if begin.startswith(_PICKLES):
        raise DataError(
            f"its content is no array, but perhaps a pickle, which is never opened; {_READ}"
        )
    raise DataError(f"its content is no array of NumPy; {_READ}")


def _packed(file: IO[bytes], among: Collection[str]) -> NDArray[Any]:
    """Return the one array of an open `.npz` file."""
    with zipfile.ZipFile(file) as archive:
        members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
        if len(members) > 1:
            named = [each for each in members if each.filename.removesuffix(".npy") in among]
            members = named if len(named) == 1 else members
        if len(members) != 1:
            names = [quoted(each.filename.removesuffix(".npy")) for each in members]
            has = f"{len(members)} arrays ({listed(names, limit=5)})" if members else "no array"
            raise DataError(f"it holds {has}; an .npz file that is one item holds one")
        with archive.open(members[0]) as member:
            return member_array(member, members[0].file_size)
