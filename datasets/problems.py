"""Collecting what is wrong with data, so that all of it is told at once, but not endlessly."""

from __future__ import annotations

from gridcnn.errors import DataError, Problem

LIMIT = 20
"""How many problems are told one by one; the rest are counted."""


class Problems:
    """A list of problems that is raised as one `DataError`.

    `source` is the file or folder that they are about.
    """

    def __init__(self, source: str = "") -> None:
        self.source = source
        self.count = 0
        self._told: list[Problem] = []

    def add(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        source: str | None = None,
    ) -> None:
        """Add a problem; `line` and `column` count from 1, `source` stands in for the usual one."""
        self.count += 1
        if self.count <= LIMIT:
            place = self.source if source is None else source
            self._told.append(Problem(message, source=place, line=line, column=column))

    def stop(self) -> None:
        """Raise `DataError` if there is any problem; the 21st and later ones are only counted."""
        if not self.count:
            return
        rest = self.count - len(self._told)
        more = (Problem(f"and {rest} more problems like these", source=self.source),)
        raise DataError(*self._told, *(more if rest else ()))
