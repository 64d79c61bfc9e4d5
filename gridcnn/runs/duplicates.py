"""Items whose grids are equal, and that are in two parts of the data or in two classes.

Where items may have several labels, two classes are labels that differ where both are known.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.source import PARTS, TRAIN
from gridcnn.errors import listed, quoted
from gridcnn.grid import Cells, Held, OneHot
from gridcnn.training.loop import Labelled

Groups = NDArray[np.int64]
"""For each item a number that equal items share, int64 `(items,)`."""


@dataclass(frozen=True)
class Duplicates:
    """Which items are equal to others, in the order of the parts: train, validation, test.

    Attributes:
        first: for each part bool `(items,)`, whether no earlier item is equal.
        leaked: for each part the items that are equal to one of an earlier part, each with that
            one: `(item, part, item there)`.
        torn: items that are equal to one of another class: `(part, item, part, item)`.
    """

    first: Mapping[str, NDArray[np.bool_]]
    leaked: Mapping[str, list[tuple[int, str, int]]]
    torn: list[tuple[str, int, str, int]]

    @property
    def any(self) -> bool:
        """Whether some item is equal to one of another part or another class."""
        return bool(self.torn) or any(self.leaked.values())


def find_duplicates(parts: Mapping[str, Labelled]) -> Duplicates:
    """Return which items of the parts are equal, cell by cell."""
    groups = _groups({name: part.grids for name, part in parts.items()})
    first = {name: np.ones(len(part), np.bool_) for name, part in parts.items()}
    duplicates = Duplicates(first, {name: [] for name in parts}, [])
    seen: dict[int, tuple[str, int]] = {}
    for name in _order_parts(parts):
        numbers = groups[name]
        for item in np.flatnonzero(numbers >= 0).tolist():
            where, earlier = seen.setdefault(int(numbers[item]), (name, item))
            if (where, earlier) == (name, item):
                continue
            first[name][item] = False
            if where != name:
                duplicates.leaked[name].append((item, where, earlier))
            if _differ(parts[where].targets[earlier], parts[name].targets[item]):
                duplicates.torn.append((name, item, where, earlier))
    return duplicates


def _differ(first: Any, second: Any) -> bool:
    """Return whether two classes differ, or several labels where both are known."""
    return bool(((first != second) & (first == first) & (second == second)).any())


def _order_parts(parts: Mapping[str, object]) -> list[str]:
    """Return the names of parts in their order: training first."""
    return [name for name in PARTS if name in parts]


def _groups(grids: Mapping[str, Cells]) -> dict[str, Groups]:
    """Return for each item of each part a number that equal items share; -1 if none is equal."""
    given: Mapping[str, Any] = grids
    held = {name: each.digests for name, each in given.items() if isinstance(each, Held)}
    if held:
        return _groups_of_digests(held)
    # Equal cells have equal sums, and hardly others have: few items are compared in full.
    sums = {name: _cells(each).sum(axis=1, dtype=np.float64) for name, each in grids.items()}
    _, inverse, counts = np.unique(
        np.concatenate([sums[name] for name in _order_parts(grids)]),
        return_inverse=True,
        return_counts=True,
    )
    alike = counts[inverse.reshape(-1)] > 1
    numbers: dict[bytes, int] = {}
    groups: dict[str, Groups] = {}
    start = 0
    for name in _order_parts(grids):
        cells = _cells(grids[name])
        groups[name] = np.full(len(cells), -1, np.int64)
        for item in np.flatnonzero(alike[start : start + len(cells)]).tolist():
            # Adding 0 makes -0 a 0.
            digest = hashlib.blake2b((cells[item] + 0).tobytes(), digest_size=16).digest()
            groups[name][item] = numbers.setdefault(digest, len(numbers))
        start += len(cells)
    return groups


def _groups_of_digests(digests: Mapping[str, NDArray[np.uint8] | None]) -> dict[str, Groups]:
    """Return the same for grids that are held by others, by the digests of these."""
    known = {
        name: np.zeros((0, 16), np.uint8) if each is None else each
        for name, each in digests.items()
    }
    whole = np.concatenate([known[name] for name in _order_parts(known)])
    words = np.ascontiguousarray(whole).view("V16").reshape(-1)
    _, inverse, counts = np.unique(words, return_inverse=True, return_counts=True)
    numbers = np.where(counts[inverse] > 1, inverse, -1).astype(np.int64)
    ends = np.cumsum([len(known[name]) for name in _order_parts(known)])[:-1]
    return dict(zip(_order_parts(known), np.split(numbers, ends), strict=True))


def _cells(grids: Cells) -> NDArray[np.float32] | NDArray[np.int32]:
    """Return the values to compare grids by, `(items, ...)`."""
    if isinstance(grids, OneHot):
        return grids.indices
    return grids.reshape(len(grids), math.prod(grids.shape[1:]))


def duplicates_notes(
    found: Duplicates, parts: Mapping[str, Labelled], names: Mapping[str, Sequence[str]]
) -> list[str]:
    """Return notes about equal items that are kept; `names` are those of the items."""
    notes = []
    for part, leaked in found.leaked.items():
        if leaked:
            item, where, earlier = leaked[0]
            pair = f"{quoted(names[part][item])} and {quoted(names[where][earlier])}"
            others = "training" if all(where == TRAIN for _, where, _ in leaked) else "other"
            share = f"{len(leaked):,} of {len(parts[part]):,} {part} items"
            notes.append(
                f"{share} have the same grids as {others} items, such as {pair}, so they do not "
                "test anything new; set data.duplicates: drop to leave them out"
            )
    several = any(part.targets.ndim == 2 for part in parts.values())
    remedy = "set data.duplicates: drop to use only the first"
    return [*notes, *torn_notes(found, names, remedy, several=several)]


def torn_notes(
    found: Duplicates, names: Mapping[str, Sequence[str]], remedy: str, *, several: bool = False
) -> list[str]:
    """Return notes about equal items of two classes, with a remedy besides other labels.

    `several` says that items may have several labels.
    """
    if not found.torn:
        return []
    part, item, where, earlier = found.torn[0]
    pair = f"{quoted(names[part][item])} and {quoted(names[where][earlier])}"
    items = "items have" if len(found.torn) > 1 else "item has"
    other = "with other labels" if several else "of another class"
    return [
        f"{len(found.torn):,} {items} the same grid as an item {other}, such as "
        f"{pair}; correct their labels, or {remedy}"
    ]


def dropped_note(found: Duplicates, *, several: bool = False) -> list[str]:
    """Return a note on how many items were left out because they equal an earlier one.

    `several` says that items may have several labels.
    """
    what = "other labels" if several else "another class"
    counts = {part: int((~first).sum()) for part, first in found.first.items()}
    counts_by_part = listed([f"{counts[part]:,} of {part}" for part in PARTS if counts[part]])
    if not counts_by_part:
        return []
    other = f"; {len(found.torn):,} of them have {what} there" if found.torn else ""
    return [f"items left out because they are equal to an earlier one: {counts_by_part}{other}"]
