r"""Structure: steps that read each other's values as stages inside of stages.

    0 ---> 1 ---> 2 ---> 4 (sum of 0 and 3)          skip: [1, 2, 3]
     \\--------------> /

A value that all that follows goes through ends a part; what lies between two such values is a
stage, or the branches of a merge, each of which is a part of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridcnn.errors import UserError
from gridcnn.export.importing.steps import Step

_MOST = 4  # stages for each step
MERGES = frozenset({"sum", "join"})


def nest(steps: Sequence[Step], result: int) -> tuple[list[Any], list[Step]]:
    """Return stages as a spec has them, and the steps with parameters in the order of the network.

    Args:
        steps: each reads the values of earlier ones.
        result: the number of the last value.

    A stage that two branches share is in both of them, with the same parameters.

    Raises:
        UserError: branches cross each other so often that there would be far too many stages.
    """
    order: list[Step] = []
    return _chain(steps, 0, result, order), order


def _chain(steps: Sequence[Step], start: int, end: int, order: list[Step]) -> list[Any]:
    """Return the stages that lead from a value to another, both numbers."""
    needed = _needed(steps, start, end)
    stages: list[Any] = []
    value = start
    while value != end:
        if len(order) > _MOST * len(steps):
            raise _crossing()
        cut = _next_cut(steps, needed, value)
        step = steps[cut - 1]
        if step.kind in MERGES:
            stages.append(_merge(steps, step, value, order))
        elif step.sources == (value,):
            order.append(step)
            stages.append(step.written)
        else:
            raise _crossing()
        value = cut
    return stages


def _needed(steps: Sequence[Step], start: int, end: int) -> list[int]:
    """Return the numbers of the values after `start` that `end` depends on, ascending."""
    needed, waiting = set[int](), [end]
    while waiting:
        value = waiting.pop()
        if value == start or value in needed:
            continue
        if value < start:
            raise _crossing()
        needed.add(value)
        waiting += steps[value - 1].sources
    return sorted(needed)


def _next_cut(steps: Sequence[Step], needed: Sequence[int], value: int) -> int:
    """Return the first value after `value` that all of the rest depends on."""
    following = [each for each in needed if each > value]
    last_read = {
        source: each for each in following for source in steps[each - 1].sources if source >= value
    }
    furthest = last_read.get(value, value)
    for each in following:
        if furthest <= each:
            return each
        furthest = max(furthest, last_read.get(each, each))
    return following[-1]


def _merge(steps: Sequence[Step], step: Step, value: int, order: list[Step]) -> Any:
    """Return the composite stage that ends with a merge, from a value on."""
    sources = list(step.sources)
    if step.kind == "sum" and len(sources) == 2 and value in sources and len(set(sources)) == 2:
        other = next(each for each in sources if each != value)
        return {"skip": {"stages": _chain(steps, value, other, order), "shortcut": "none"}}
    branches = [_chain(steps, value, source, order) for source in sources]
    return {"parallel": {"branches": branches, "join": "maps" if step.kind == "join" else "sum"}}


def _crossing() -> UserError:
    return UserError(
        "its branches cross each other: stages that follow each other, skips, and branches that "
        "begin and end together can be imported"
    )
