"""Cells of tables as numbers: how numbers are written, and what is wrong with other cells."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import shown

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nat", "<na>", "-", "?"})
"""How tables say that there is no value, in lower case."""
_FILL = "fill it in, or leave the row out"
_SPACES = " \u00a0\u202f\u2009"
_QUOTES = "'\u2019"
_GROUPED = re.compile(rf"[+-]?\d{{1,3}}(?:[,.{_QUOTES}{_SPACES}]\d{{3}})+(?:[,.]\d*)?")
"""A number with separators between groups of three digits; or with three decimals, as 1,002."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.IGNORECASE)


class Numbers:
    """Reads cells as numbers, which are written in one way throughout a table.

    Args:
        decimal: the decimal separator, "." or ","; None: found from the first cells with a comma.
        thousands: the separator of thousands, such as "," or " ", or "none"; None: found from
            the first cells that have one.
        written: whether cells are texts that may be numbers; else a text is not a number.
    """

    def __init__(
        self, decimal: str | None = None, thousands: str | None = None, *, written: bool = True
    ) -> None:
        self.decimal = decimal
        self.thousands = thousands
        self.written = written

    @property
    def notes(self) -> list[str]:
        """What is unusual about how numbers are written, in sentences."""
        notes = []
        if self.decimal == ",":
            notes.append("numbers have a comma before decimals")
        if self.thousands not in (None, "none"):
            notes.append(f"numbers have {shown(self.thousands)} between thousands")
        return notes

    def read(self, cells: Any) -> NDArray[np.float64] | None:
        """Return a column as float64 `(cells,)`, NaN if a cell is empty.

        None if any is not a number, or not finite.
        """
        if not self.written:
            return _floats(cells)
        values = self._plain(cells)
        if values is None and self._settle(cells):
            values = self._plain(cells)
        return values

    def _plain(self, cells: Sequence[str]) -> NDArray[np.float64] | None:
        together = "".join(cells)
        if self.thousands not in (None, "none"):
            # 1,5 is not a number there, though it would be one without its comma.
            if any(self._ungroup(cell) is None for cell in cells):
                return None
            cells = [self._ungroup(cell) or "" for cell in cells]
            together = "".join(cells)
        if self.decimal == ",":
            if "." in together:
                return None
            cells = [cell.replace(",", ".") for cell in cells]
        # Python takes 1_000 and the digits of all scripts for numbers; in a table they are not.
        if "_" in together or not together.isascii():
            return None
        try:
            values = np.array([float(cell) for cell in cells], np.float64)
        except ValueError:
            try:
                values = np.array([_float(cell) for cell in cells], np.float64)
            except ValueError:
                return None
        if np.isinf(values).any():
            return None
        if self.decimal is None and "." in together:
            self.decimal = "."
        return values

    def _ungroup(self, cell: str) -> str | None:
        """Return a cell without its thousands separators; None if they are in other places."""
        sign = str(self.thousands)
        signs = next((each for each in (_SPACES, _QUOTES) if sign in each), sign)
        if not any(each in cell.strip() for each in signs):
            return cell
        if not _GROUPED.fullmatch(cell.strip()):
            return None
        return cell.strip().translate({ord(each): None for each in signs})

    def _settle(self, cells: Sequence[str]) -> bool:
        """Find out how numbers are written by cells that are not plain; return whether it helps."""
        if self.decimal is not None and self.thousands is not None:
            return False
        way = _way_of(cells)
        if way is None:
            return False
        decimal, thousands = way
        if self.decimal not in (None, decimal) or self.thousands not in (None, thousands):
            return False
        before = (self.decimal, self.thousands)
        self.decimal, self.thousands = decimal, thousands
        if self._plain(cells) is None:
            self.decimal, self.thousands = before
            return False
        return True

    def doubt(self, cells: Any) -> str:
        """Return what is wrong with cells that are numbers, if their signs were known; else ''."""
        present = [cell for cell in cells if cell.strip().casefold() not in MISSING]
        signed = [cell for cell in present if _GROUPED.fullmatch(cell.strip())]
        if signed and 2 * len(signed) > len(present) and all(map(_has_digits, present)):
            return self.problem(signed[0])
        return ""

    def problem(self, cell: Any) -> str:
        """Return what is wrong with a cell, as what follows "the column 'a'"; empty if nothing."""
        if not self.written:
            return _problem(cell)
        text = cell.strip()
        if text.casefold() in MISSING:
            return f"has no number{f' ({shown(text)})' if text else ''}; {_FILL}"
        if self.read([text]) is not None:
            return ""
        if _GROUPED.fullmatch(text) and self.thousands is None:
            sign = shown(_sign_of(text))
            return (
                f"has {shown(text)}, in which {sign} may be the decimal or the thousands "
                f"separator; set decimal: {sign} or thousands: {sign} of table"
            )
        other = {",": ".", ".": ","}.get(self.decimal or ".")
        if Numbers(other, "none").read([text]) is not None:
            return (
                f"has {shown(text)}, but other numbers have {shown(self.decimal or '.')} before "
                "decimals; write all alike, or set 'decimal' of table"
            )
        return f"has {shown(text)}, which is {_why_not(text)}; {_FILL}"


def _float(cell: str) -> float:
    return math.nan if cell.strip().casefold() in MISSING else float(cell)


def _has_digits(cell: str) -> bool:
    return cell.strip()[-1:].isdigit()


def _why_not(text: str) -> str:
    try:
        finite = math.isfinite(float(text)) or not text.isascii()
    except ValueError:
        finite = True
    return "not a number" if finite else "not finite"


def _sign_of(text: str) -> str:
    return next(sign for sign in text if not sign.isdigit() and sign not in "+-")


def _way_of(cells: Sequence[str]) -> tuple[str, str] | None:
    """Return the signs of decimals and of thousands by which cells are numbers; None: unclear.

    A cell such as 1,002 can be read in two ways. It has thousands if another cell has two such
    signs, or decimals after one; or if all cells without any are whole numbers below 1000, since
    a table that leaves out the sign of 998 would not write 998,000 otherwise.
    """
    texts = [text for cell in cells if (text := cell.strip()).casefold() not in MISSING]
    grouped = [text for text in texts if _GROUPED.fullmatch(text)]
    commas = [text for text in texts if _DECIMAL_COMMA.fullmatch(text)]
    plain = [text for text in texts if re.fullmatch(r"[+-]?\d+", text)]
    signs = {_sign_of(text) for text in grouped} - {"."}
    certain = {_thousands_of(text) for text in grouped} - {None}
    if len(certain) == 1:
        sign = str(certain.pop())
        return ("," if sign == "." else "."), sign
    if signs & set(_QUOTES + _SPACES):
        sign = " " if signs & set(_SPACES) else "'"
        return ("," if any("," in text for text in texts) else "."), sign
    if commas and any(text not in grouped or text.lstrip("+-")[0] == "0" for text in commas):
        return ",", "none"
    if signs == {","} and plain and all(len(text.lstrip("+-")) < 4 for text in plain):
        return ".", ","
    return None


def _thousands_of(text: str) -> str | None:
    """Return the sign between thousands of a number that has no other reading."""
    signs = [sign for sign in text if not sign.isdigit() and sign not in "+-"]
    if len(signs) > 1 and (signs[0] == signs[1] or signs[-1] != signs[0]):
        return signs[0]
    return None


def has_doubtful_points(cells: Any) -> bool:
    """Return whether points in cells may separate thousands, as in 1.002 beside 998."""
    pointed = [cell.strip() for cell in cells if "." in cell]
    plain = [cell.strip() for cell in cells if re.fullmatch(r"\s*[+-]?\d+\s*", cell)]
    return (
        len(pointed) > 1
        and len(plain) > 1
        and all(re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", cell) for cell in pointed)
        and all(len(cell.lstrip("+-")) < 4 for cell in plain)
    )


def _problem(value: Any) -> str:
    """Return why a value of a file that knows types is not a number; empty if it is one."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return f"has no number (null); {_FILL}"
    if isinstance(value, float) and math.isnan(value):
        return f"has no number (NaN); {_FILL}"
    if isinstance(value, str):
        return f"has the text {shown(value)}, which is not a number; write numbers without quotes"
    if not isinstance(value, int | float):
        return f"has {shown(value)}, which is not a number"
    try:
        return "" if math.isfinite(float(value)) else f"has {shown(value)}, which is not finite"
    except OverflowError:
        return f"has {shown(value)}, which is too large for a number"


def _floats(values: Any) -> NDArray[np.float64] | None:
    """Return values of a file that knows types as numbers; None if one is not a finite number."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
    elif all(value is None or isinstance(value, int | float) for value in values):
        try:
            numbers = np.array([math.nan if each is None else float(each) for each in values])
        except OverflowError:
            return None
    else:
        return None
    return None if np.isinf(numbers).any() else numbers


def is_whole(text: str) -> bool:
    """Return whether UTF-8 can hold a text; JSON can spell halves of characters too."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def look_like_names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a first line names columns, by its content and that of the lines below.

    It does not if a column has the same again and again below. Numbers are not names, unless they
    count: 2019, 2020, ... beside other names, or 0, 1, 2, ... as pandas calls columns.
    """
    if _repeats(first, rows):
        return False
    names = [name for name in first if name.strip().casefold() not in MISSING]
    numbers = [Numbers(".", "none").read([name]) for name in names]
    found = [float(value[0]) for value in numbers if value is not None]
    if not found:
        return True
    counts = len(found) > 1 and all(b - a == 1 for a, b in itertools.pairwise(found))
    return counts and (len(found) < len(names) or found[0] in (0, 1))


def _repeats(first: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    columns: Iterator[tuple[str, list[str]]] = (
        (name.strip(), [row[index].strip() for row in rows if index < len(row)])
        for index, name in enumerate(first)
    )
    return any(name and cells.count(name) > 1 for name, cells in columns)
