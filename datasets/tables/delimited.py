"""Files of rows and columns, separated by commas, semicolons or tabs: their content, their rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO

from gridcnn.datasets.problems import Problems
from gridcnn.errors import DataError, Problem

MAX_BYTES = 2**30
"""The largest file that is read."""
_LONGEST_LINE = 2**24
_DELIMITERS = (",", ";", "\t")


def refuse_large(place: str, *, what: str) -> None:
    """Raise `DataError` for a file of more than 1 GiB; `what` is what it would be, "a table"."""
    if Path(place).stat().st_size > MAX_BYTES:
        raise DataError(Problem(f"larger than 1 GiB, too large for {what}", source=place))


def content(place: str, *, what: str) -> str:
    """Return the text of a UTF-8 file.

    `what` is what it is read as, for messages: "a manifest".

    Raises:
        DataError: it cannot be read, is larger than 1 GiB, or is no UTF-8.
    """
    try:
        refuse_large(place, what=what)
        read = Path(place).read_bytes()
    except OSError as error:
        raise DataError(
            Problem(f"cannot be read: {error.strerror or error}", source=place)
        ) from error
    if read[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(utf16(place))
    try:
        return read.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = read.count(b"\n", 0, error.start) + 1
        raise DataError(no_utf8(read[error.start], place, line=line)) from None


def utf16(place: str) -> Problem:
    """Return the problem of a file that begins as UTF-16 does."""
    return Problem("is saved as UTF-16; save it as UTF-8 ('CSV UTF-8' in Excel)", source=place)


def no_utf8(byte: int, place: str, *, line: int) -> Problem:
    """Return the problem of a file with a byte that UTF-8 does not have there."""
    message = f"is no UTF-8 text (byte 0x{byte:02X}); save it as UTF-8 ('CSV UTF-8' in Excel)"
    return Problem(message, source=place, line=line)


def lines(file: IO[bytes], found: Problems) -> Iterator[str]:
    """Yield the lines of an open UTF-8 file, with their ends, without holding more than one.

    Raises:
        DataError: a line is no UTF-8, or longer than 16 MiB; what was found before is told too.
    """
    number = 0
    while content := file.readline(_LONGEST_LINE):
        number += 1
        if number == 1 and content.startswith((b"\xff\xfe", b"\xfe\xff")):
            found.add("is saved as UTF-16; save it as UTF-8 ('CSV UTF-8' in Excel)")
            found.stop()
        if len(content) == _LONGEST_LINE:
            found.add("has more than 16 MiB, too much for a line", line=number)
            found.stop()
        try:
            text = content.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            found.add(
                f"is no UTF-8 text (byte 0x{content[error.start]:02X}), and is not read from here "
                "on; save it as UTF-8 ('CSV UTF-8' in Excel)",
                line=number,
            )
            found.stop()
        yield text


def rows(
    text: str | Iterable[str],
    *,
    delimiter: str,
    found: Problems,
    quoting: bool = True,
    strict: bool = True,
    hint: str = "; is a quote left open?",
) -> Iterator[tuple[int, list[str]]]:
    """Yield every row of a text, given whole or by its lines, with the line it starts on, from 1.

    With `quoting`, a cell between double quotes may hold separators, line ends and doubled quotes;
    without, quotes are signs like others. What follows a closing quote in its cell is an error if
    `strict`, else a part of the text. `hint` is added to the error of a file that is no CSV.

    Raises:
        DataError: a quote is left open, or stands in the wrong place, or a cell has more than
            131,072 characters; what was found before is told too.
    """
    reader = csv.reader(
        io.StringIO(text, newline="") if isinstance(text, str) else text,
        delimiter=delimiter,
        strict=strict,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
    )
    start = 1
    try:
        for cells in reader:
            # A quoted cell may span lines; a row is named by the line it starts on.
            line, start = start, reader.line_num + 1
            yield line, cells
    except csv.Error as error:
        found.add(f"is no valid CSV: {error}{hint}", line=reader.line_num)
        found.stop()


def delimiter(first: str, place: str, *, wanted: Collection[str]) -> str:
    """Return the separator by which the first line has the columns, or else the most columns.

    A file whose name says that it is TSV is separated by tabs. `wanted` are the columns, in small
    letters.
    """
    if place.lower().endswith((".tsv", ".tab")):
        return "\t"
    first = first.rstrip("\r\n")

    def worth(sign: str) -> tuple[int, int]:
        names = [cell.strip().strip('"').casefold() for cell in first.split(sign)]
        return len(set(wanted).intersection(names)), len(names)

    return max(_DELIMITERS, key=worth)
