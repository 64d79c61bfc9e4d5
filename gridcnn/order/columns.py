"""Columns of any kind: what each one holds, and the numbers by which columns are compared."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.datasets.tables.cells import MISSING
from gridcnn.room import require_room_for_scipy

Kind = Literal["number", "category", "text", "date", "identifier", "constant"]
PLURALS: dict[Kind, str] = {
    "number": "numbers",
    "category": "categories",
    "text": "texts",
    "date": "dates",
    "identifier": "identifiers",
    "constant": "constants",
}

WIDTH = 3
"""Numbers that a column of symbols becomes at most: covariances grow with the square of this."""
_DATE = re.compile(
    r"\d{4}-\d{1,2}(-\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2})?.*)?)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"
    r"|\d{1,2}:\d{2}(:\d{2})?"
)
_MOSTLY = 0.95
"""The part of the values that decides the kind of a column: real tables have mistakes."""
_MANY = 50
"""Different texts, from which on a column may be free text rather than a category."""
_FEWEST = 10
"""Rows that differ from the most frequent value, in a column that can be predicted: with fewer, a
half of the rows has hardly anything to fit or to judge a prediction by."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: the name, only for messages.
        kind: what it holds.
        values: float64 `(rows,)`, NaN if a value is missing: numbers as they are; of all other
            kinds the index into `symbols`.
        symbols: the different texts, the most frequent first; empty for numbers.
    """

    name: str
    kind: Kind
    values: NDArray[np.float64]
    symbols: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """How many values are missing."""
        return int(np.isnan(self.values).sum())


def column_of(name: str, values: Sequence[Any] | NDArray[Any]) -> Column:
    """Return a column with its kind, which depends on its values and never on its name.

    Infinities count as missing, and so do the texts that mean "no value" in tables.
    """
    array = np.asarray(values)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[s]").astype(str).astype(object)
    if array.dtype.kind in "biuf":
        return _number_column(name, array.astype(np.float64))
    cells = [_cell(value) for value in array.tolist()]
    present = [cell for cell in cells if cell is not None]
    numbers = [_number(cell) for cell in present]
    if present and sum(not math.isnan(value) for value in numbers) >= _MOSTLY * len(present):
        rest = iter(numbers)
        return _number_column(
            name, np.array([math.nan if cell is None else next(rest) for cell in cells])
        )
    texts = [None if cell is None else str(cell) for cell in cells]
    counts = Counter(text for text in texts if text is not None)
    # Equally frequent ones are sorted by code point, so that every machine has the same order.
    symbols = tuple(sorted(counts, key=lambda text: (-counts[text], text)))
    place = {text: index for index, text in enumerate(symbols)}
    codes = np.array([math.nan if text is None else place[text] for text in texts], np.float64)
    return Column(name, _kind_of_texts(symbols, len(present)), codes, symbols)


def _number_column(name: str, values: NDArray[np.float64]) -> Column:
    values = np.where(np.isfinite(values), values, np.nan)
    present = values[~np.isnan(values)]
    kind: Kind = "number"
    if not len(present) or (present == present[0]).all():
        kind = "constant"
    elif len(present) > _FEWEST and len(present) == len(values):
        steps = np.diff(present)
        if (steps == steps[0]).all() and steps[0] != 0:
            kind = "identifier"  # 1, 2, 3, ...: it counts the rows
    return Column(name, kind, values)


def _kind_of_texts(symbols: Sequence[str], present: int) -> Kind:
    if len(symbols) < 2:
        return "constant"
    if sum(bool(_DATE.fullmatch(symbol)) for symbol in symbols) >= _MOSTLY * len(symbols):
        return "date"
    if len(symbols) > _MANY:
        if len(symbols) == present and not any(" " in symbol for symbol in symbols):
            return "identifier"
        if len(symbols) > present / 2:
            return "text"
    return "category"


def _cell(value: Any) -> Any:
    """Return a value, or None if it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str) and value.strip().casefold() in MISSING:
        return None
    return value.strip() if isinstance(value, str) else value


def _number(cell: Any) -> float:
    if isinstance(cell, bool | int | float):
        return float(cell)
    if isinstance(cell, str) and cell.isascii() and "_" not in cell:
        try:
            return float(cell)
        except ValueError:
            return math.nan
    return math.nan


# As numbers that can be compared ------------------------------------------------------------------


def comparable(columns: Sequence[Column]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return columns as numbers that do not depend on their units, and which of them can be used.

    A column of numbers becomes its normal scores: each value is replaced by the quantile of the
    normal distribution that belongs to its rank, so that scale, skew and outliers do not matter
    (van der Waerden, 1952). A column of symbols becomes up to three numbers that distinguish its
    most frequent symbols. Missing values become the mean.

    Returns:
        float32 `(rows, columns, width)`, in which the numbers of a column have mean 0 and variance
        1 and do not correlate; and bool `(columns,)`, False if nearly all rows have one value.
    """
    width = WIDTH if any(column.symbols for column in columns) else 1
    rows = len(columns[0].values)
    numbers = np.zeros((rows, len(columns), width), np.float32)
    usable = np.zeros(len(columns), np.bool_)
    for index, column in enumerate(columns):
        present = ~np.isnan(column.values)
        values = column.values[present]
        _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        usable[index] = len(values) - (counts.max() if len(counts) else 0) >= _FEWEST
        if not usable[index]:
            continue
        if column.symbols:
            numbers[:, index] = _indicators(column.values, width)
        else:
            numbers[present, index, 0] = _normal_scores(counts)[places]
    return numbers, usable


def scales(columns: Sequence[Column]) -> NDArray[np.float64]:
    """Return the mean and the standard deviation of columns of numbers, float64 `(columns, 2)`.

    They are NaN for columns without any number.
    """
    found = np.full((len(columns), 2), np.nan)
    for index, column in enumerate(columns):
        present = column.values[~np.isnan(column.values)]
        if len(present) and not column.symbols:
            found[index] = present.mean(), present.std()
    return found


def _normal_scores(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the score of each value, the smallest first, from how often each occurs.

    Equal values share their mean rank. The scores of all rows have mean 0 and variance 1.
    """
    require_room_for_scipy()
    from scipy.special import ndtri

    rows = counts.sum()
    scores: NDArray[np.float64] = ndtri((np.cumsum(counts) - counts / 2) / rows)
    scores -= counts @ scores / rows
    spread = math.sqrt(counts @ np.square(scores) / rows)
    return scores / spread if spread > 0 else scores


def _indicators(codes: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return `(rows, width)`: the most frequent symbols' indicators, made independent."""
    last = int(np.nanmax(codes))
    is_symbol = (codes[:, None] == np.arange(min(width, last))).astype(np.float64)
    is_symbol -= is_symbol.mean(axis=0)
    indicators = np.zeros((len(codes), width))
    left, spreads, _ = np.linalg.svd(is_symbol, full_matrices=False)
    kept = spreads > 1e-6 * math.sqrt(len(codes))
    indicators[:, : kept.sum()] = left[:, kept] * math.sqrt(len(codes))
    return indicators
