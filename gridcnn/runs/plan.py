"""The plan of a spec: its network, before any training, with as little reading as that takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gridcnn.contracts.adapter import Adapter
from gridcnn.contracts.source import Dataset, Facts
from gridcnn.errors import DataError
from gridcnn.network import Network
from gridcnn.runs.prepare import fit_adapter, opened, with_data
from gridcnn.spec.models import Spec
from gridcnn.training.augmentation import refuse_unfit

ASSUMED_CLASSES = 2


@dataclass(frozen=True)
class Plan:
    """A bound network; `note` says what was assumed about it, or is empty."""

    network: Network
    note: str


def plan(spec: Spec, base: Path) -> Plan:
    """Return the network of a spec; its data is opened only where the spec does not tell enough.

    Raises:
        DataError: the spec does not tell the shape of the grids, and its data does not either.
        ShapeError: a stage or an augmentation cannot work on its grids.
    """
    facts, dataset, missing = _data(spec, base)
    note = ""
    if facts is not None:
        classes = len(facts.classes)
    elif dataset is not None:
        classes = len(dataset.classes)
    else:
        classes = ASSUMED_CLASSES
        note = f"for {classes} classes, since {missing}"
    shape = _fitted(spec, base, dataset, missing).shape()
    refuse_unfit(spec.training, shape, spec.document)
    return Plan(Network(spec, shape, classes=classes), note if spec.head is not None else "")


def _data(spec: Spec, base: Path) -> tuple[Facts | None, Dataset | None, str]:
    if spec.data is None:
        return None, None, "the spec names no data"
    try:
        located, _ = with_data(spec, None, base)
        assert located.data is not None
        assert located.data.source is not None
        facts = located.data.source.facts()
        return facts, None if facts else opened(located), ""
    except DataError as error:
        return None, None, f"the data cannot be read ({error.problems[0]})"


def _fitted(spec: Spec, base: Path, dataset: Dataset | None, missing: str) -> Adapter:
    advice = "write for example adapter: {array: {size: [9, 9], channels: 1}}"
    if spec.adapter is not None:
        try:
            spec.adapter.shape()
        except DataError as error:  # it learns the shape from data
            advice = error.problems[0].message
        else:
            return spec.adapter
    if missing:
        raise DataError(
            f"the shape of the grids is not known: the adapter has no size, and {missing}; {advice}"
        )
    if dataset is None:
        dataset = opened(with_data(spec, None, base)[0])
    return fit_adapter(spec, dataset, np.arange(len(dataset)))
