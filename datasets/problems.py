"""Collecting the problems of data, so that they are reported together, up to a limit."""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.cores import shortage
from gridcnn.errors import MOST_TOLD, DataError, Problem, first_told, how_many, together

_PROBLEM = 700  # bytes that Python keeps of a problem, about
_FIRST = 3  # problems that are told where there are too many
_LOOK = 2**16  # problems between two looks at the memory that is left


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
        """Add a problem; `line` and `column` count from 1, `source` replaces the usual one."""
        self.count += 1
        if self.count <= MOST_TOLD:
            place = self.source if source is None else source
            self._told.append(Problem(message, source=place, line=line, column=column))

    def add_item(self, number: int, problem: Problem) -> None:
        """Add the problem of an item, without which the others can be used.

        `number` puts items in order.

        Raises:
            DataError: there are so many that as many again would not fit into memory.
        """
        self._of_items.append((number, problem))
        count = len(self._of_items)
        if not count % _LOOK:
            reason = shortage(count * _PROBLEM)
            if reason:
                first = self.items()[:_FIRST]
                message = f"has more than {count:,} items that cannot be used; {reason}"
                raise DataError(*first, Problem(message, source=self.source))

    def items(self) -> list[Problem]:
        """Return the problems of items that were added since, in their order, and forget them."""
        found, self._of_items = self._of_items, []
        return [problem for _, problem in sorted(found, key=lambda each: each[0])]

    def stop_items(self) -> None:
        """Raise `DataError` if there is any problem, even of a single item."""
        items = together(self.items())
        self.count += len(items)
        self._told = [*self._told, *items][:MOST_TOLD]
        self.stop()

    def stop(self) -> None:
        """Raise `DataError` if there is any problem of the whole; later ones are only counted."""
        if not self.count:
            return
        items = self.items()
        lines = [*items, *self._told][:MOST_TOLD]
        rest = self.count + len(items) - len(lines)
        more = (Problem(f"and {how_many(rest, 'more problem')} like these", source=self.source),)
        raise DataError(*lines, *(more if rest else ()))


def bad_items_error(problems: Sequence[Problem], items: int, remedy: str = "") -> DataError:
    """Return the error that lists bad items, the first twenty of them, and says what to do.

    `items` is how many there are in all, and `remedy` how to do without the bad ones.
    """
    bad = len({(problem.source, problem.line) for problem in problems})
    lines = first_told(together(problems))
    if bad >= items:
        return DataError(*lines, Problem(f"none of the {items} items can be read"))
    advice = f"{bad} of {items} items cannot be read; correct or remove them{remedy and ', or '}"
    advice += remedy
    return DataError(*lines, Problem(advice))
