"""Groups of molecules that have the same scaffold."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from gridcnn.adapters import chemistry
from gridcnn.contracts.adapter import pick
from gridcnn.contracts.source import Dataset
from gridcnn.errors import DataError, Problem, shown


def by_scaffold(
    dataset: Dataset, *, advance: Callable[[int], None] | None = None
) -> tuple[Dataset, tuple[Problem, ...]]:
    """Return the molecules that can be read, grouped by scaffold, and a problem for each other.

    A group is called by the SMILES of its scaffold; molecules without rings are the group ''.
    `advance` is called with the number of items done since the last call.

    Raises:
        DataError: RDKit is not installed.
    """
    chemistry.need_rdkit("data.group: {scaffold: murcko}")
    places = dataset.names if dataset.places is None else dataset.places
    readable: list[int] = []
    groups: list[str] = []
    problems: list[Problem] = []
    for index, thing in enumerate(dataset.things):
        try:
            if not isinstance(thing, str) or not thing.strip():
                raise DataError(f"it is {shown(thing)}, not a SMILES, and has no scaffold")
            groups.append(chemistry.murcko_scaffold(chemistry.molecule(thing)))
            readable.append(index)
        except DataError as error:
            problems.extend(
                Problem(found.message, source=places[index]) for found in error.problems
            )
        if advance is not None:
            advance(1)
    chosen = np.array(readable, np.int64)
    fields: dict[str, Any] = {
        name: [values[index] for index in readable]
        for name in ("labels", "names", "parts", "places")
        if (values := getattr(dataset, name)) is not None
    }
    fields |= {"things": pick(dataset.things, chosen), "groups": groups}
    return dataclasses.replace(dataset, **fields), tuple(problems)
