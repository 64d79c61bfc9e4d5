"""The settings of every judgement: seed, threads, progress, and the rows that are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError
from gridcnn.progress import Advance, Counter
from gridcnn.streams import Stream

ROWS = 4_000
"""Rows that are looked at; of more rows, so many are drawn at random. They show correlations from
about 0.03 on (two standard errors); more rows would only take longer."""
FEWEST_COLUMNS = 3
"""Two columns have only one order, since an order and its reverse are the same."""
FEWEST_ROWS = 20
"""Rows for two halves of ten, on which predictions are fitted and judged."""


@dataclass(frozen=True)
class Judging:
    """The settings of a judgement.

    Attributes:
        seed: fixes everything that is drawn at random.
        threads: the most threads; None: as many as this process may use.
        advance: is called with the progress.
        thorough: whether usefulness is measured even if neighbours have settled the decision;
            without it the decision is the same, and the evidence shorter.
    """

    seed: int = 0
    threads: int | None = None
    advance: Advance | None = None
    thorough: bool = True

    def counter(self, what: str, total: int, *, unit: str = "steps") -> Counter:
        """Return a counter for the steps of one kind of evidence."""
        return Counter(self.advance, what, total, unit=unit)


def sample_rows(rows: int, seed: int, *, most: int = ROWS) -> NDArray[np.int64]:
    """Return the numbers of the rows to look at, rising: all, or `most` of them at random."""
    if rows <= most:
        return np.arange(rows)
    random = Stream.CHECK_ROWS.random(seed)
    return np.sort(random.choice(rows, most, replace=False))


def refuse_too_few(columns: int, rows: int) -> None:
    """Raise `DataError` if there are too few columns, or too few rows to compare them by."""
    problems = []
    if columns < FEWEST_COLUMNS:
        problems.append(
            f"{columns} {'column has' if columns == 1 else 'columns have'} no order to speak of; "
            f"at least {FEWEST_COLUMNS} are needed"
        )
    if rows < FEWEST_ROWS:
        problems.append(
            f"{rows} {'row is' if rows == 1 else 'rows are'} too few to compare columns by; at "
            f"least {FEWEST_ROWS} are needed"
        )
    if problems:
        raise DataError(*problems)
