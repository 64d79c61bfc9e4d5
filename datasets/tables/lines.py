"""Text files as numbered lines: in any encoding, compressed or not, of any length."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from gridcnn.cores import usable_memory
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.errors import DataError, Problem, shown, sized
from gridcnn.files import open_ordinary
from gridcnn.progress import Counter
from gridcnn.room import is_shortage

LONGEST = 2**24
"""Characters of a line, at most: what has no end of lines must not fill the memory."""
PACKED: dict[str, Callable[[Any], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PACKED_ENDINGS = (*PACKED, ".zip")
"""Endings of packed files."""
_CHUNK = 2**18  # bytes that are decoded at a time
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_ENDS = re.compile(rb"[^\r\n]\r?\n")
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)


def ending_of(path: str) -> str:
    """Return the ending of a file's name, lower case, without that of packing: of `a.csv.gz`, .csv.

    It is empty if there is none.
    """
    ending = places.ending(path)
    return places.ending(path[: -len(ending)]) if ending in PACKED_ENDINGS else ending


@contextlib.contextmanager
def open_lines(path: str) -> Iterator[IO[bytes]]:
    """Open a file for reading; compressed files are decompressed while they are read.

    Raises:
        DataError: it cannot be read, or is a .zip file that holds more or less than one file.
    """
    try:
        with contextlib.ExitStack() as stack:
            ending = places.ending(path)
            file: Any = stack.enter_context(open_ordinary(path))
            if ending in PACKED:
                file = stack.enter_context(PACKED[ending](file))
            elif ending == ".zip":
                archive = stack.enter_context(zipfile.ZipFile(file))
                members = [member for member in archive.infolist() if not member.is_dir()]
                if len(members) != 1:
                    message = (
                        f"holds {len(members)} files; a compressed table must be a single file"
                    )
                    raise DataError(Problem(message, source=path))
                file = stack.enter_context(archive.open(members[0]))
            yield file
    except (OSError, MemoryError, *_DAMAGED, NotImplementedError) as error:
        if is_shortage(error):
            raise too_large(path) from error
        reason = getattr(error, "strerror", None) or error
        packed = places.ending(path) in PACKED_ENDINGS
        what = f"is damaged, or not compressed as its name says ({reason})"
        message = what if packed else f"cannot be read: {reason}"
        raise DataError(Problem(message, source=path)) from error


def count_lines(path: str, most: int, *, quoting: bool) -> int:
    """Return how many lines of a file hold anything, by a quick look; up to about `most`.

    If `quoting`, only those before the first quote are counted, since a quoted cell may take more
    lines. A file in which a line has no end is left to the reader of its lines.
    """
    count = without_end = 0
    before = b""  # the last bytes of a line that is not complete
    with open_lines(path) as file:
        while (chunk := file.read(_CHUNK)) and count <= most and without_end <= LONGEST:
            if quoting and b'"' in chunk:
                break
            text = before + chunk
            count += len(_ENDS.findall(text))
            begin = text.rfind(b"\n") + 1
            without_end = 0 if begin else without_end + len(chunk)
            before = text[begin:][-2:]
    return count


def too_large(path: str) -> DataError:
    """Return the message for a file that is too large for memory."""
    usable = usable_memory()
    has = "" if usable is None else f" ({sized(usable)} are left)"
    message = f"does not fit into memory{has}; give a part of it, or allow this process more"
    return DataError(Problem(message, source=path))


class Lines:
    """The lines of an open file, with their ends (LF, CR LF or CR); one chunk in memory at a time.

    Args:
        file: an open binary file.
        problems: takes what is wrong with the text.
        encoding: how characters are encoded; None: UTF-8, or as the mark at the file's start says.
        counter: counts the bytes that are read.

    Attributes:
        encoding: how the text is decoded.
        number: the number of the line that was yielded last, from 1.
        characters: how many characters the lines had that were yielded so far.
    """

    def __init__(
        self,
        file: IO[bytes],
        problems: Problems,
        *,
        encoding: str | None = None,
        counter: Counter | None = None,
    ) -> None:
        self.problems = problems
        self.number = self.characters = 0
        self._file, self._counter = file, counter
        self._begin = file.read(4)
        self.encoding = encoding or "utf-8"
        for mark, name in _MARKS:
            if self._begin.startswith(mark) and self.encoding.lower().startswith(("utf", "u8")):
                self.encoding, self._begin = name, self._begin[len(mark) :]
        self._lines = self._decode()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.characters += len(line)
        return line

    def _decode(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.encoding)()
        rest, done, chunk = "", 0, self._begin
        while True:
            chunk += self._file.read(_CHUNK)
            done += len(chunk)
            if self._counter is not None:
                self._counter.set(done)
            try:
                text, wrong = decoder.decode(chunk, final=not chunk), None
            except UnicodeDecodeError as error:
                text, wrong = error.object[: error.start].decode(self.encoding), error
            lines = list(io.StringIO(rest + text, newline=""))
            # The last one may go on in the next chunk, and be it with the LF of its CR LF.
            rest = lines.pop() if lines and (chunk or wrong) else ""
            yield from lines
            if wrong is not None:
                self._refuse(wrong)
            if len(rest) > LONGEST:
                self.problems.add(
                    "has more than 16 MiB, too much for one line", line=self.number + 1
                )
                self.problems.stop()
            if not chunk:
                return
            chunk = b""

    def _refuse(self, error: UnicodeDecodeError) -> None:
        """Raise `DataError` for bytes that are not valid in the encoding."""
        name = self.encoding.upper()
        advice = "save it as UTF-8 ('CSV UTF-8' in Excel), or set its encoding, such as cp1252"
        byte = shown(error.object[error.start : error.start + 1])[2:-1].replace("\\x", "0x")
        message = f"is not {name} text from here on (byte {byte}); {advice}"
        self.problems.add(message, line=self.number + 1)
        self.problems.stop()
