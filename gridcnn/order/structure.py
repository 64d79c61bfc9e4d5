"""Evidence of structure: the kinds of columns, whatever their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gridcnn.order.columns import Column, Kind
from gridcnn.order.units import Units

_FEW = 0.2
"""The part of the columns that may be of another kind and is set aside: a row number, a date or a
comment beside a hundred measurements does not make a mixed table."""
_SHARED = 0.8
"""The part of a column's symbols, by frequency, that other columns have too if all share one
alphabet: rare symbols may be missing in some."""
_COMPARED = 40
"""Columns whose alphabets are compared, each with all others: the time grows with their square."""


@dataclass(frozen=True)
class Structure:
    """The evidence of the kinds of columns.

    Attributes:
        kinds: how many columns there are of each kind.
        judged: which columns are compared: all of one kind, and the constant ones among them.
        aside: which columns are set aside.
        mixed: whether the columns are of different kinds, as in a table of attributes.
        alphabet: the symbols that all columns share, if they are a sequence of symbols.
        overlap: the part of one column's symbols that another has too, on average; None if the
            columns hold numbers.
        units: how many columns may be in the same units; None if that was not looked at.
    """

    kinds: dict[Kind, int]
    judged: tuple[int, ...]
    aside: tuple[int, ...]
    mixed: bool
    alphabet: tuple[str, ...] = ()
    overlap: float | None = None
    units: Units | None = None

    @property
    def different_units(self) -> Units | None:
        """The evidence that hardly any two columns are in the same units; None without it."""
        return self.units if self.units is not None and self.units.are_different else None


def structure(columns: Sequence[Column]) -> Structure:
    """Return the evidence of the kinds of columns."""
    kinds = Counter(column.kind for column in columns)
    numbers = [n for n, column in enumerate(columns) if column.kind == "number"]
    symbols = [n for n, column in enumerate(columns) if column.kind in ("category", "text")]
    constant = [n for n, column in enumerate(columns) if column.kind == "constant"]
    varying = len(columns) - len(constant)
    main = numbers if len(numbers) >= len(symbols) else symbols
    others = varying - len(main)
    mixed = others > _FEW * varying
    judged = sorted([*main, *constant]) if not mixed else [*numbers, *symbols, *constant]
    if mixed:
        judged = sorted(judged)
    compared = set(judged)
    aside = tuple(n for n in range(len(columns)) if n not in compared)
    alphabet: tuple[str, ...] = ()
    overlap = None
    if main is symbols and symbols:
        chosen = [columns[n] for n in symbols]
        # Evenly spaced ones, since every pair of many columns would take long.
        some = np.unique(np.linspace(0, len(chosen) - 1, _COMPARED).round().astype(int))
        overlap = _overlap([chosen[n] for n in some.tolist()])
        if overlap >= _SHARED:
            counts: Counter[str] = Counter()
            for column in chosen:
                counts.update(column.symbols)
            alphabet = tuple(sorted(counts, key=lambda symbol: (-counts[symbol], symbol)))
        else:
            mixed = True
    return Structure(dict(kinds), tuple(judged), aside, mixed, alphabet, overlap)


def _overlap(columns: Sequence[Column]) -> float:
    """Return the part of a column's symbols, by frequency, that another has too, on average."""
    known = [set(column.symbols) for column in columns]
    parts = []
    for index, column in enumerate(columns):
        counts = np.bincount(
            column.values[~np.isnan(column.values)].astype(np.int64), minlength=len(column.symbols)
        )
        total = max(1, int(counts.sum()))
        for other in range(len(columns)):
            if other != index:
                shared = sum(
                    int(count)
                    for symbol, count in zip(column.symbols, counts, strict=True)
                    if symbol in known[other]
                )
                parts.append(shared / total)
    return float(np.mean(parts)) if parts else 1.0
