"""What every judgement is made with: seed, threads, progress, and the rows that are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError
from gridcnn.progress import Advance, Counter
from gridcnn.streams import Stream

ROWS = 4_000
"""Rows that are looked at; of more, so many are drawn at random."""
FEWEST_COLUMNS = 3
"""Two columns have one order."""
FEWEST_ROWS = 20
"""For two halves, on which predictions are fitted and judged."""


@dataclass(frozen=True)
class Judging:
    """What a judgement is made with.

    Attributes:
        seed: fixes all that is left to chance.
        threads: the most threads; None: as many as this process may use.
        advance: is called with the progress.
        thorough: whether usefulness is looked at even where neighbours have settled the decision;
            without it the decision is the same, and the evidence shorter.
    """

    seed: int = 0
    threads: int | None = None
    advance: Advance | None = None
    thorough: bool = True

    def counter(self, what: str, total: int, *, unit: str = "steps") -> Counter:
        """Return what counts the steps of one kind of evidence."""
        return Counter(self.advance, what, total, unit=unit)


def sampled(rows: int, seed: int, *, most: int = ROWS) -> NDArray[np.int64]:
    """Return which rows are looked at, rising: all, or `most` of them at random."""
    if rows <= most:
        return np.arange(rows)
    random = Stream.CHECK_ROWS.random(seed)
    return np.sort(random.choice(rows, most, replace=False))


def refuse_too_few(columns: int, rows: int) -> None:
    """Raise `DataError` where there are too few columns, or rows, to compare columns by."""
    found = []
    if columns < FEWEST_COLUMNS:
        found.append(
            f"{columns} {'column has' if columns == 1 else 'columns have'} no order to speak of; "
            f"at least {FEWEST_COLUMNS} are needed"
        )
    if rows < FEWEST_ROWS:
        found.append(
            f"{rows} {'row is' if rows == 1 else 'rows are'} too few to compare columns by; at "
            f"least {FEWEST_ROWS} are needed"
        )
    if found:
        raise DataError(*found)
