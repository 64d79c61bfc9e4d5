"""Cells of tables: which are numbers, which are texts, and what is wrong with the others."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from gridcnn.errors import shown

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "?"})
"""How tables say that there is no value, in small letters."""
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)
_FILL = "fill it in, or leave the row out"


def floats(cells: Sequence[Any], parse: bool) -> list[float] | None:
    """Return cells as finite numbers, or None where one of them is no such number."""
    if parse:
        # Python takes 1_000 and the digits of all scripts for numbers; in a table they are not.
        together = "".join(cells)
        if "_" in together or not together.isascii():
            return None
    elif not all(isinstance(cell, int | float) for cell in cells):
        return None
    try:
        values = [float(cell) for cell in cells]
    except (ValueError, OverflowError):
        return None
    return values if all(map(math.isfinite, values)) else None


def parsing_problem(cell: str) -> str:
    """Return why a text is no number, or nothing where it is one."""
    text = cell.strip()
    if text.casefold() in MISSING:
        return f"has no number{f' ({shown(text)})' if text else ''}; {_FILL}"
    if _DECIMAL_COMMA.fullmatch(text):
        return f"has {shown(text)}; write a point before decimals, and no comma"
    if floats([text], parse=True) is not None:
        return ""
    try:
        beyond = not math.isfinite(float(text)) and text.isascii()
    except ValueError:
        beyond = False
    return f"has {shown(text)}, which is {'not finite' if beyond else 'no number'}; {_FILL}"


def decimal_comma(cell: str) -> str:
    """Return a number that is written with a comma before decimals as with a point, else `cell`."""
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell.strip()) else cell


def is_text(cell: str) -> bool:
    """Return whether a cell is a text, and not a number or what stands for one."""
    if cell.casefold() in MISSING or any(sign.isdigit() for sign in cell):
        return False
    try:
        float(cell)  # inf is no text either
    except ValueError:
        return True
    return False


def problem_of(value: Any) -> str:
    """Return why a value is no number, or nothing where it is one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return f"has no number ({'null' if value is None else 'NaN'}); {_FILL}"
    if isinstance(value, str):
        return f"has the text {shown(value)}, which is no number; write numbers without quotes"
    if not isinstance(value, int | float):
        return f"has {shown(value)}, which is no number"
    return "" if floats([value], parse=False) is not None else f"has {shown(value)}, not finite"


def is_whole(text: str) -> bool:
    """Return whether UTF-8 can hold a text; JSON can spell halves of characters too."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
