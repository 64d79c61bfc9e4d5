"""Estimates of the memory that the sheets of Excel and OpenDocument files take."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterator
from typing import IO

_CELL = 32  # bytes of a cell, and be it an empty one: pandas makes all rows as long as the longest
_TEXT = 6  # times that the text of a sheet grows in memory, about
_TREE = 20  # times that the text of an OpenDocument file grows, whose reader keeps all of it
_CHUNK = 2**20
_SHEETS = re.compile(r"/?xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_TAGS = re.compile(rb"<(?:\w+:)?(?:(row)|c)(?=[\s/>])(?:[^>]*?\sr\s*=\s*[\"']([A-Z]*)([0-9]+))?")

_ELEMENTS = re.compile(rb"<table:((?:covered-)?table-cell|table-row|table)((?:\s[^>]*)?)>")
_TIMES = re.compile(rb"number-(?:rows|columns)-repeated\s*=\s*[\"']([0-9]+)")


def sheets_size(path: str) -> int:
    """Return about how many bytes the largest sheet of an .xlsx file takes while it is read.

    A cell far away in a small file makes all that is before it; what the file itself says of its
    size need not be true.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        sheets = [member for member in members if _SHEETS.fullmatch(member.filename)]
        others = sum(each.file_size for each in members) - sum(each.file_size for each in sheets)
        largest = max((_sheet_size(archive, sheet) for sheet in sheets), default=0)
    return largest + _TEXT * others


def _sheet_size(archive: zipfile.ZipFile, sheet: zipfile.ZipInfo) -> int:
    rows = width = cells = 0
    farthest = b""
    with archive.open(sheet) as file:
        rest = b""
        while chunk := file.read(_CHUNK):
            content = rest + chunk
            # A tag may go on in the next chunk; one that is longer than a chunk is none.
            end = content.rfind(b"<") if len(content) < 2 * _CHUNK else len(content)
            rest = content[end:] if end >= 0 else b""
            for row, letters, number in _TAGS.findall(content[: max(0, end)]):
                if row:
                    # A row that does not say which it is comes after the one before.
                    rows = max(rows + 1, int(number[:9] or 0))
                    cells = 0
                else:
                    cells += 1
                    width = max(width, cells)
                    farthest = max(farthest, letters[:4], key=lambda each: (len(each), each))
    width = max(width, _column(farthest))
    return _CELL * rows * width + _TEXT * sheet.file_size


def tables_size(path: str) -> int:
    """Return about how many bytes the tables of an .ods file take while they are read.

    A cell, or a row, may say that it is there a billion times; empty ones count if others follow.
    """
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        return _TREE * size + _CELL * _repeated_cells(archive)


def _repeated_cells(archive: zipfile.ZipFile) -> int:
    """Return how many cells the rows of the largest table have, all as long as the longest."""
    most = rows = empty_rows = width = times = cells = empty = 0
    with archive.open("content.xml") as file:
        for kind, tag in itertools.chain(_elements(file), [(b"table", b"")]):
            match = _TIMES.search(tag)
            number = int(match[1][:12]) if match else 1
            if not kind.endswith(b"cell"):  # the row before is complete
                rows, empty_rows = (
                    (rows + empty_rows + times, 0) if cells else (rows, empty_rows + times)
                )
                times, cells, empty = number, 0, 0
            if kind == b"table":
                most = max(most, rows * width)
                rows = empty_rows = width = times = 0
            elif kind.endswith(b"cell") and (b"value" in tag or not tag.endswith(b"/")):
                cells, empty = cells + empty + number, 0
                width = max(width, cells)
            elif kind.endswith(b"cell"):
                empty += number
    return most


def _elements(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the whole tag of each table, row and cell, in their order."""
    rest = b""
    while chunk := file.read(_CHUNK):
        content = rest + chunk
        end = content.rfind(b"<") if len(content) < 2 * _CHUNK else len(content)
        rest = content[max(0, end) :]
        yield from _ELEMENTS.findall(content[: max(0, end)])


def _column(letters: bytes) -> int:
    """Return the number of a column that is called by letters, from 1: of `AB` 28."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number
