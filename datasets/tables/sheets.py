"""The memory for a sheet of an Excel file, estimated before it is read."""

from __future__ import annotations

import re
import zipfile

_CELL = 32  # bytes of a cell, and be it an empty one: pandas makes all rows as long as the longest
_TEXT = 6  # times that the text of a sheet grows in memory, about
_CHUNK = 2**20
_SHEETS = re.compile(r"/?xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_TAGS = re.compile(rb"<(?:\w+:)?(?:(row)|c)(?=[\s/>])(?:[^>]*?\sr\s*=\s*[\"']([A-Z]*)([0-9]+))?")


def sheets_size(path: str) -> int:
    """Return about how many bytes the largest sheet of an .xlsx file takes while it is read.

    A cell far away in a small file makes all that is before it; what the file itself says of its
    size need not be true.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        sheets = [each for each in members if _SHEETS.fullmatch(each.filename)]
        others = sum(each.file_size for each in members) - sum(each.file_size for each in sheets)
        largest = max((_sheet_size(archive, each) for each in sheets), default=0)
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


def _column(letters: bytes) -> int:
    """Return the number of a column that is called by letters, from 1: of `AB` 28."""
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number
