"""Training items in other forms that mean the same, as random SMILES of a molecule."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from gridcnn.contracts.adapter import Adapter, other_forms
from gridcnn.contracts.source import Dataset
from gridcnn.datasets.division.splits import Division


def with_other_forms(
    dataset: Dataset, division: Division, adapter: Adapter | None, *, seed: int
) -> tuple[Dataset, Division]:
    """Return the data with the other forms of its training items added at the end, for training.

    They have the labels and names of what they are forms of. `adapter` may be None.
    """
    if adapter is None:
        return dataset, division
    forms, origins = other_forms(adapter, dataset.things, division.train, seed=seed)
    if not forms:
        return dataset, division

    def also(values: Any) -> list[Any]:
        return [*values, *(values[index] for index in origins.tolist())]

    note = f"{len(division.train)} training items are also trained on in {len(forms)} other forms"
    optional: dict[str, Any] = {
        name: also(values)
        for name in ("parts", "places", "groups")
        if (values := getattr(dataset, name)) is not None
    }
    more = dataclasses.replace(
        dataset,
        things=[*dataset.things, *forms],
        labels=also(dataset.labels),
        names=also(dataset.names),
        notes=[*dataset.notes, note],
        **optional,
    )
    train = np.concatenate([division.train, np.arange(len(dataset), len(more))])
    return more, dataclasses.replace(division, train=train)
