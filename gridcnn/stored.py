"""Arrays as NumPy stores them, in `.npy` and `.npz` files; nothing pickled is ever opened.

What arrays take is compared with the memory that may be used before any of it is taken, since a
packed file of two megabytes may hold five gigabytes. A large `.npy` file is mapped and not read.
Every error is a `DataError`.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gridcnn.cores import shortage
from gridcnn.errors import DataError, Problem, listed, quoted, shown
from gridcnn.files import open_ordinary

SUFFIXES = frozenset({".npy", ".npz"})

_ENDING = ".npy"
_VERSIONS = ((1, 0), (2, 0), (3, 0))
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # those that NumPy writes
_PICKLES = (b"\x80", b"(", b"]", b"}", b"c")
"""How pickles begin; from protocol 2 on with the first of them."""
_READ = "gridcnn reads files written by numpy.save(file, array) or numpy.savez(file, name=array)"
_REMEDY = "keep fewer items or a smaller type in it, or save it as .npy, which is mapped"
_LONGEST_HEADER = 2**16  # bytes; NumPy reads one of any length before it looks at it
_MAPPED = 2**24  # bytes; smaller arrays are read, which is faster
_PIECE = 2**22  # bytes that are unpacked at a time, so that memory holds the array and little more


@dataclass(frozen=True)
class Header:
    """What a file says about an array, before any of its values are read.

    `start` is the place of the values: bytes from the beginning of the array's part of the file.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int

    @property
    def cells(self) -> int:
        """How many values there are."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """How many bytes the values take."""
        return self.cells * self.dtype.itemsize


class StoredArrays:
    """The arrays of an `.npy` or `.npz` file, each of which is read when it is asked for.

    A context manager, which closes the file; arrays that were read stay.

    Args:
        thing: the path of the file, or its content.
        source: what errors call it.

    Attributes:
        names: what the arrays are called, in their order. That of an `.npy` file is called by an
            empty text.

    Raises:
        DataError: it cannot be read, is not such a file, or is damaged.
    """

    def __init__(self, thing: str | os.PathLike[str] | bytes, *, source: str = "") -> None:
        self._source = source
        self._archive: zipfile.ZipFile | None = None
        with self._explain(), contextlib.ExitStack() as closing:
            self._file = closing.enter_context(_open(thing))
            begin = self._file.read(len(npy.MAGIC_PREFIX))
            self.names = [""]
            if begin.startswith(b"PK"):
                self._archive = closing.enter_context(zipfile.ZipFile(self._file))
                members = [name for name in self._archive.namelist() if name.endswith(_ENDING)]
                self.names = [name.removesuffix(_ENDING) for name in members]
            elif not begin.startswith(npy.MAGIC_PREFIX):
                raise DataError(_foreign(begin))
            if len(set(self.names)) < len(self.names):
                raise DataError("two arrays in it have the same name; keep one of them")
            self._closing = closing.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def header(self, name: str) -> Header:
        """Return what the file says of an array.

        Raises:
            DataError: the array holds Python objects, or is damaged.
        """
        with self._explain(), self._part(name) as (file, size):
            return _header(file.read(_LONGEST_HEADER), size, name)

    def read(
        self, names: Sequence[str], *, more: int = 0, remedy: str = _REMEDY
    ) -> list[NDArray[Any]]:
        """Return arrays; those that are mapped cannot be written to.

        Args:
            names: what they are called.
            more: bytes that will be made of them, and are to fit into memory beside them.
            remedy: what to do if they do not fit.

        Raises:
            DataError: they hold Python objects, are damaged, or take more memory than there is.
        """
        headers = [self.header(name) for name in names]
        with self._explain():
            needed = sum(header.size for header in headers if not self._is_mapped(header))
            reason = shortage(needed + more)
            if reason:
                raise DataError(f"{_name(*names)} cannot be read: {reason}; {remedy}")
            return [self._array(header) for header in headers]

    def _array(self, header: Header) -> NDArray[Any]:
        with self._part(header.name) as (file, _):
            file.read(header.start)
            array = _map(file, header) if self._is_mapped(header) else _values(file, header)
        if not all(map(_are_signs, _texts(array))):
            raise DataError(
                f"{_name(header.name)} is damaged: it has texts with invalid characters"
            )
        return array

    def _is_mapped(self, header: Header) -> bool:
        lone_file = self._archive is None and not isinstance(self._file, BytesIO)
        return lone_file and header.size >= _MAPPED

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[tuple[IO[bytes], int]]:
        """Open an array's part of the file, and tell how many bytes it has."""
        if self._archive is None:
            size = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            yield self._file, size
            return
        about = self._archive.getinfo(name + _ENDING)
        if about.compress_type not in _PACKINGS:
            raise DataError(f"{_name(name)} is compressed in a way that NumPy never uses; {_READ}")
        with self._archive.open(about) as file:
            yield file, about.file_size

    @contextlib.contextmanager
    def _explain(self) -> Iterator[None]:
        """Turn any error about a file into a `DataError` with the file's name."""
        try:
            yield
        except DataError as error:
            message = error.problems[0].message
        except MemoryError:
            message = f"there is not enough memory for it; {_REMEDY}"
        except Exception as error:  # NumPy, zipfile and zlib raise a dozen kinds of errors
            reason = quoted(str(error) or type(error).__name__, limit=120)[1:-1]
            message = f"the file is damaged: {reason}"
        else:
            return
        raise DataError(Problem(message, source=self._source)) from None


def stored_array(
    thing: str | os.PathLike[str] | bytes, *, among: Collection[str] = ()
) -> NDArray[Any]:
    """Return the one array in a file, or in the bytes of a file.

    If there are several arrays, the one whose name is `among` some names is returned.

    Raises:
        DataError: it cannot be read, is not such a file, is damaged, holds Python objects or more
            than one array, or takes more memory than there is.
    """
    with StoredArrays(thing) as stored:
        names = stored.names
        if len(names) > 1:
            meant = [name for name in names if name in among]
            names = meant if len(meant) == 1 else names
        if len(names) != 1:
            called = listed([quoted(name) for name in names], limit=5)
            has = f"{len(names)} arrays ({called})" if names else "no array"
            raise DataError(f"it holds {has}; an .npz file that is one item holds one")
        return stored.read(names)[0]


def _open(thing: str | os.PathLike[str] | bytes) -> IO[bytes]:
    if isinstance(thing, bytes):
        return BytesIO(thing)
    try:
        return open_ordinary(thing)
    except FileNotFoundError:
        raise DataError("there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the file cannot be read: {reason}") from None


def _foreign(begin: bytes) -> str:
    if not begin:
        return "the file is empty (0 bytes)"
    if begin.startswith(_PICKLES):
        return f"it is not a NumPy file, but perhaps a pickle, which is never opened; {_READ}"
    return f"it is not a NumPy file; {_READ}"


def _name(*names: str) -> str:
    known = [quoted(name)[1:-1] for name in names if name]
    if not known:
        return "the array"
    return f"the {'array' if len(known) == 1 else 'arrays'} {listed(known, limit=8)}"


def _header(begin: bytes, size: int, name: str) -> Header:
    """Return what the beginning of an array's part of a file says; `size` is that of the part."""
    file = BytesIO(begin)
    version = npy.read_magic(file)
    if version not in _VERSIONS:
        raise DataError(f"{_name(name)} is stored in an unknown form; {_READ}")
    parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = parse(file)
    header = Header(name, shape, dtype, fortran, file.tell())
    if dtype.hasobject:
        raise DataError(
            f"{_name(name)} holds Python objects, and opening those can run any program; give it "
            "numbers or texts as its type: numpy.array(..., dtype=...)"
        )
    if not dtype.itemsize or dtype.subdtype or min(shape, default=0) < 0:
        raise DataError(f"{_name(name)} is damaged: it says its shape is {shown(shape)}")
    has = size - header.start
    if has != header.size:
        raise DataError(
            f"{_name(name)} is damaged: it says its shape is {shown(shape)} of {dtype}, "
            f"{header.size} bytes, and it has {has}"
        )
    return header


def _map(file: IO[bytes], header: Header) -> NDArray[Any]:
    order: Any = "F" if header.fortran else "C"
    array = np.memmap(file, header.dtype, "r", header.start, header.shape, order)
    return array.view(np.ndarray)  # parts of a plain array are made faster


def _texts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an array of texts, or those among the columns of an array of records."""
    if array.dtype.kind == "U":
        yield array
    for name in array.dtype.names or ():
        yield from _texts(array[name])


def _are_signs(texts: NDArray[Any]) -> bool:
    """Return whether texts have only valid Unicode characters.

    NumPy does not check, and Python would make texts that break any code that reads them.
    """
    codes = np.ascontiguousarray(texts).reshape(-1).view(f"{texts.dtype.str[0]}u4")
    return bool(codes.max(initial=0) <= sys.maxunicode)


def _values(file: IO[bytes], header: Header) -> NDArray[Any]:
    """Return the values that follow in a file, read in pieces into one array."""
    array = np.empty(header.shape, header.dtype, order="F" if header.fortran else "C")
    if header.size:
        flat = (array.T if header.fortran else array).reshape(-1).view(np.uint8)
        for start in range(0, len(flat), _PIECE):
            piece = flat[start : start + _PIECE]
            data = file.read(len(piece))
            if len(data) < len(piece):
                raise DataError(f"{_name(header.name)} is damaged: it is cut short")
            piece[:] = np.frombuffer(data, np.uint8)
    file.read(1)  # an archive tells at its end whether all of it is as it was written
    return array
