"""Duplicate items: they must not be both in the training part and in the test part."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np

from gridcnn.contracts.source import Dataset

Duplicates = Literal["keep", "drop"]
"""What happens to items that are equal to an earlier one."""


def without_duplicates(dataset: Dataset) -> Dataset:
    """Return the data without the items that are equal to an earlier one, with a note of them.

    Texts are compared character by character, arrays cell by cell. The first label counts.
    """
    first: dict[Hashable, int] = {}
    places: list[int] = []
    others: set[Hashable] = set()
    for index, thing in enumerate(dataset.things):
        key = _key(thing)
        earlier = first.setdefault(key, index)
        if earlier == index:
            places.append(index)
        elif dataset.labels[earlier] != dataset.labels[index]:
            others.add(key)
    count = len(dataset) - len(places)
    if not count:
        return dataset
    items, are = ("item", "is") if count == 1 else ("items", "are")
    note = f"{count:,} {items} left out that {are} equal to an earlier one"
    if others:
        several = "one of them has" if len(others) == 1 else f"{len(others):,} of them have"
        note += f"; {several} another label there, and the first counts"

    def chosen(values: Sequence[Any] | None) -> list[Any] | None:
        return None if values is None else [values[index] for index in places]

    return dataclasses.replace(
        dataset,
        things=[dataset.things[index] for index in places],
        labels=[dataset.labels[index] for index in places],
        names=[dataset.names[index] for index in places],
        parts=chosen(dataset.parts),
        places=chosen(dataset.places),
        groups=chosen(dataset.groups),
        notes=[*dataset.notes, note],
    )


def _key(thing: Any) -> Hashable:
    if isinstance(thing, np.ndarray):
        return thing.shape, thing.dtype.str, thing.tobytes()
    key: Hashable = thing
    return key
