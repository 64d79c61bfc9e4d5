"""Opening: files and open files, for adapters that decode them; every error is a `DataError`."""

from __future__ import annotations

import os
from typing import IO, Any

from gridcnn.errors import DataError
from gridcnn.files import NotOrdinaryError, open_ordinary, ordinary_descriptor


def open_file(place: str | os.PathLike[str], *, wanted: str) -> IO[bytes]:
    """Return the file at `place`, open for reading; `wanted` is its expected kind ("a sound file").

    Raises:
        DataError: there is no file, it is empty, or cannot be read.
    """
    try:
        file = open_ordinary(place)
    except NotOrdinaryError as error:
        raise DataError(f"it is {error.kind}; {wanted} was expected") from None
    except FileNotFoundError:
        raise DataError("there is no such file") from None
    except PermissionError:
        raise DataError("the file cannot be read: permission denied") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the file cannot be opened: {reason}") from None
    if not os.fstat(file.fileno()).st_size:
        file.close()
        raise DataError("the file is empty")
    return file


def content_at(place: str | os.PathLike[str], *, most: int) -> bytes | None:
    """Return the content of the file at `place`; None if it is too large, or cannot be opened.

    It is for small files, for which opening them in the usual way would take most of the time.
    Nothing of more than `most` bytes is read, and only regular files are opened.
    """
    try:
        descriptor = ordinary_descriptor(place)
        try:
            size = os.fstat(descriptor).st_size
            content = os.read(descriptor, size) if 0 < size <= most else b""
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None
    # Some file systems give less at a time.
    return content if content and len(content) == size else None


def content_of(file: IO[bytes]) -> bytes:
    """Return the content of an open binary file, from its start if it can seek.

    Raises:
        DataError: it cannot be read, or gives text.
    """
    content: Any
    try:
        if file.seekable():
            file.seek(0)
        content = file.read()
    except Exception as error:  # a foreign object may raise anything
        raise DataError(f"the file object cannot be read: {error}") from None
    if not isinstance(content, bytes | bytearray | memoryview):
        raise DataError("the file object gives text; open it in binary mode ('rb')")
    return bytes(content)


def first_line(error: Exception) -> str:
    """Return the first line of an error, cut to a readable length; its type if it is empty."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
