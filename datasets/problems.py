"""Collecting what is wrong with data, so that all of it is told at once, but not endlessly."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from gridcnn.errors import DataError, Problem, listed

LIMIT = 20
"""How many problems are told one by one; the rest are counted."""
_ALIKE = 3
"""So many items with the same problem are told one by one; more become one line."""


class Problems:
    """A list of problems that is raised as one `DataError`.

    `source` is the file or folder that they are about.
    """

    def __init__(self, source: str = "") -> None:
        self.source = source
        self.count = 0
        self._told: list[Problem] = []
        self._of_items: list[tuple[int, Problem]] = []

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

    def add_item(self, number: int, problem: Problem) -> None:
        """Add the problem of an item, without which the others can be used.

        `number` puts items in order.
        """
        self._of_items.append((number, problem))

    def items(self) -> list[Problem]:
        """Return the problems of items that were added since, in their order, and forget them."""
        found, self._of_items = self._of_items, []
        return [problem for _, problem in sorted(found, key=lambda each: each[0])]

    def stop_items(self) -> None:
        """Raise `DataError` if there is any problem, and be it that of a single item."""
        items = together(self.items())
        self.count += len(items)
        self._told = [*self._told, *items][:LIMIT]
        self.stop()

    def stop(self) -> None:
        """Raise `DataError` if there is any problem of the whole; later ones are only counted."""
        if not self.count:
            return
        items = self.items()
        told = [*items, *self._told][:LIMIT]
        rest = self.count + len(items) - len(told)
        more = (Problem(f"and {rest} more problems like these", source=self.source),)
        raise DataError(*told, *(more if rest else ()))


def bad_items_error(problems: Sequence[Problem], items: int, remedy: str = "") -> DataError:
    """Return the error that lists bad items, the first twenty of them, and says what to do.

    `items` is how many there are in all, and `remedy` how to do without the bad ones.
    """
    bad = len({(problem.source, problem.line) for problem in problems})
    problems = together(problems)
    more = len(problems) - LIMIT
    told = [*problems[:LIMIT], *([Problem(f"and {more} more problems like these")] * (more > 0))]
    if bad >= items:
        return DataError(*told, Problem(f"none of the {items} items can be read"))
    advice = f"{bad} of {items} items cannot be read; correct or remove them{remedy and ', or '}"
    advice += remedy
    return DataError(*told, Problem(advice))


def together(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems with those of one cause as one, in the place of the first of them.

    It says which other items have the same.
    """
    alike: dict[str, list[Problem]] = {}
    for problem in problems:
        alike.setdefault(problem.message, []).append(problem)
    told = []
    for problem in problems:
        same = alike[problem.message]
        if len(same) <= _ALIKE:
            told.append(problem)
        elif same[0] is problem:
            places = listed([_place(each, problem) for each in same[1:]], limit=LIMIT - 1)
            message = f"{problem.message} (the same in {len(same) - 1:,} more: {places})"
            told.append(replace(problem, message=message))
    return told


def _place(problem: Problem, first: Problem) -> str:
    """Return where a problem is, as short as it can be beside the place of the first one."""
    if problem.line is not None and problem.source == first.source:
        return f"line {problem.line}"
    before, row, number = problem.source.rpartition(", row ")
    if row and first.source.startswith(f"{before}{row}"):
        return f"row {number}"
    pairs = zip(problem.source, first.source, strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    cut = max(problem.source.rfind(sign, 0, same) for sign in "/\\:") + 1
    place = problem.source[cut:]
    # A manifest has a line before each name.
    return f"line {place}" if problem.source[:cut].endswith(":") and place[0].isdigit() else place
