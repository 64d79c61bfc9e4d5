"""Groups: items that belong together, such as the recordings of one speaker."""

from __future__ import annotations

import dataclasses

from gridcnn.contracts.source import Dataset
from gridcnn.datasets.problems import Problems
from gridcnn.errors import quoted
from gridcnn.settings.patterns import compile_pattern


def by_pattern(dataset: Dataset, pattern: str) -> Dataset:
    """Return the data with groups found in the names of its items.

    Args:
        dataset: the labelled items; the names of files are paths relative to the data.
        pattern: a regular expression that is searched for in each name; the text in its first pair
            of parentheses is the group.

    Raises:
        DataError: there are names in which it is not found, or finds an empty text.
    """
    wanted = compile_pattern(pattern)
    problems = Problems(dataset.origin)
    groups: list[str] = []
    for name in dataset.names:
        match = wanted.search(name)
        group = match[1] if match else ""
        if not group:
            problems.add(
                f"{quoted(name)} has no group: the pattern {quoted(pattern)} "
                f"{'finds nothing' if match is None else 'finds an empty text'} in it"
            )
        groups.append(group)
    problems.stop()
    return dataclasses.replace(dataset, groups=groups)
