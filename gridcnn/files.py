"""Files that are written whole or not at all, and read only if they are ordinary files."""

from __future__ import annotations

import contextlib
import csv
import errno
import functools
import io
import json
import math
import os
import re
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from gridcnn.errors import DataError, shown


def as_path(value: Any, what: str) -> Path:
    """Return a path that was given from Python; `what` says what it leads to.

    Raises:
        DataError: it is something else.
    """
    try:
        return Path(value)
    except TypeError:
        raise DataError(f"{what} is given as its path; got {shown(value)}") from None


@contextlib.contextmanager
def write_whole(path: Path, *, replace: bool = True) -> Iterator[IO[bytes]]:
    """Open a file beside `path` for writing, and give it that name once all of it is on disk.

    A reader of `path` finds what it held before or all of what it holds afterwards, even if the
    process is killed in between.

    Raises:
        FileExistsError: there is something other than an ordinary file; without `replace`, there is
            anything, also a link that leads nowhere.
        OSError: the folder cannot be written to.
    """
    if not replace and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "it exists already", str(path))
    path = Path(os.path.realpath(path))  # a link stays, and leads to the new content
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it is not an ordinary file, and is kept", str(path))
    # Opened by name, and not with `tempfile`, so that the file gets the usual permissions.
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if replace:
            _replace(temporary, path)
        else:
            _name_file(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _replace(temporary: Path, path: Path) -> None:
    for pause in (0.02, 0.1, 0.5):
        try:
            temporary.replace(path)
        except PermissionError:
            # On Windows a program that has the old file open, such as a virus scanner, keeps its
            # name.
            time.sleep(pause)
        else:
            return
    temporary.replace(path)


def _name_file(temporary: Path, path: Path) -> None:
    """Give a file its name; raise `FileExistsError` if another file got that name meanwhile."""
    if os.name == "nt":
        temporary.rename(path)  # which replaces nothing there
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a drive without links: the name is taken first
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        temporary.replace(path)
    else:
        temporary.unlink()


def write_bytes(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Write `content` to `path`, whole or not at all.

    Without `replace`, an existing file is an error; see `write_whole`.
    """
    with write_whole(path, replace=replace) as file:
        file.write(content)


def write_text(path: Path, content: str, *, replace: bool = True) -> None:
    """Write `content` to `path` as UTF-8, whole or not at all; see `write_bytes`.

    What UTF-8 cannot hold (half a surrogate pair, from a file name that is not text) becomes an
    escape, since an error here would lose the results of a run.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"), replace=replace)


def as_written(text: str) -> str:
    """Return a text as it reads after `write_text` has written it."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


_LARGEST_JSON = 2**28  # bytes: the figures of some ten thousand classes

# No pipe is waited for, no terminal is taken over, no line end of Windows is changed. Each system
# has some of these.
_AT_ONCE = functools.reduce(
    int.__or__, (getattr(os, f"O_{name}", 0) for name in ("NONBLOCK", "NOCTTY", "BINARY"))
)


class NotOrdinaryError(OSError):
    """A path to be opened is not an ordinary file.

    Attributes:
        kind: what it is, such as "a folder".
    """

    def __init__(self, kind: str, path: str | os.PathLike[str]) -> None:
        super().__init__(errno.EINVAL, f"it is {kind}", os.fspath(path))
        self.kind = kind


def open_ordinary(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file for reading, or what a link leads to; only if it is an ordinary file.

    Raises:
        OSError, ValueError: as `ordinary_descriptor` does.
    """
    return open(ordinary_descriptor(path), "rb")


def ordinary_descriptor(path: str | os.PathLike[str]) -> int:
    """Return the descriptor of an ordinary file, or of what a link leads to, open for reading.

    Opening a pipe could wait for ever, and a device such as `/dev/zero` has no end.

    Raises:
        OSError: there is no such file, it cannot be read, or it is a folder, a pipe or a device.
        ValueError: no file can have such a name.
    """
    # Opened first and looked at afterwards, so that nothing is exchanged in between.
    try:
        descriptor = os.open(path, os.O_RDONLY | _AT_ONCE)
    except PermissionError:
        if os.path.isdir(path):  # noqa: PTH112 - Windows opens no folder
            raise NotOrdinaryError("a folder", path) from None
        raise
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise NotOrdinaryError("a socket or a device", path) from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise NotOrdinaryError("a folder", path)
        if not stat.S_ISREG(mode):
            raise NotOrdinaryError("a pipe or a device", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_whole(path: str | os.PathLike[str], *, most: int) -> bytes:
    """Return what an ordinary file holds.

    Raises:
        OSError: it cannot be read, is not an ordinary file, or holds more than `most` bytes.
        ValueError: no file can have such a name.
    """
    with open_ordinary(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it holds more than {most:,} bytes", os.fspath(path))
    return content


def read_json(path: str | os.PathLike[str], *, most: int = _LARGEST_JSON) -> Any:
    """Return what a JSON file holds, as Python's own data.

    Raises:
        OSError: see `read_whole`.
        ValueError: it is not UTF-8, is not JSON, is nested too deeply for any file of ours, or has
            a number that is NaN or infinite.
    """
    try:
        return json.loads(
            read_whole(path, most=most).decode("utf-8"),
            parse_float=_finite,
            parse_constant=_finite,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is not finite")
    return number


class RowWriter:
    """Writes rows of CSV, which read back as what they are whatever their cells hold.

    `file` is anything that can be written to.
    """

    def __init__(self, file: Any) -> None:
        self._usual = csv.writer(file, lineterminator="\n")
        self._careful = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, row: Iterable[Any]) -> None:
        """Write one row."""
        cells = [str(cell) if cell is not None else "" for cell in row]
        # Pythons before 3.13 leave a carriage return without quotes, and take it for a line's end.
        (self._careful if any("\r" in cell for cell in cells) else self._usual).writerow(cells)


def table_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as the text of a CSV file."""
    text = io.StringIO()
    writer = RowWriter(text)
    for row in rows:
        writer.write(row)
    return text.getvalue()


_NUMBERS = re.compile(r"\[\n\s+([-+\d.eE,\s]+?)\n\s*\]")
"""A list of nothing but numbers in indented JSON. No text matches: it holds no ends of lines."""


def json_text(content: Any, *, ensure_ascii: bool = False) -> str:
    """Return `content` as indented JSON, in which a list of numbers takes one line.

    Raises:
        ValueError: a number in it is NaN or infinite, which JSON does not know: a figure that does
            not exist is None.
    """
    text = json.dumps(content, indent=2, ensure_ascii=ensure_ascii, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
