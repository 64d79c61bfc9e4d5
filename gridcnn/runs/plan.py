"""The plan of a spec: its network, before any training, reading as little data as possible."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gridcnn.contracts.adapter import Fitted
from gridcnn.engines.base import Engine, bind
from gridcnn.errors import DataError, how_many
from gridcnn.network import Network
from gridcnn.runs.located import Located, locate, resolve_augmentation
from gridcnn.runs.prepare import fit_adapter
from gridcnn.spec.models import Spec
from gridcnn.training.augmentation import refuse_unfit, refuse_unfit_things

ASSUMED_CLASSES = 2


@dataclass(frozen=True)
class Plan:
    """The engine and network of a spec; `note` says what was assumed, or is empty."""

    engine: Engine
    note: str

    @property
    def network(self) -> Network:
        """The spec with every shape, parameter and cost."""
        return self.engine.network


def plan(spec: Spec, base: Path, *, engine: str | None = None, threads: int | None = None) -> Plan:
    """Return the engine of a spec; its data is opened only if the spec is not enough.

    Raises:
        DataError: neither the spec nor its data gives the shape of the grids.
        ShapeError: a stage or an augmentation cannot work on its grids.
        SpecError: an augmentation cannot change its things.
        UnknownNameError, EngineError: as `make_engine`.
    """
    located, classes, missing = _look_at_data(spec, base)
    spec = resolve_augmentation(spec, base)
    fitted = _fit(spec, located, missing)
    shape = fitted.shape
    refuse_unfit_things(spec.training, fitted.adapter, spec.document)
    refuse_unfit(spec.training, shape, spec.document)
    named = how_many(classes, "class", "classes")
    note = f"for {named}, since {missing}" if missing and spec.head is not None else ""
    return Plan(bind(spec, shape, classes=classes, engine=engine, threads=threads), note)


def _look_at_data(spec: Spec, base: Path) -> tuple[Located | None, int, str]:
    """Return the data of a spec, and how many classes it has.

    Without readable data: None, the number that is assumed, and the reason.
    """
    if spec.data is None:
        return None, ASSUMED_CLASSES, "the spec names no data"
    try:
        located = locate(spec, None, base)
        facts = located.source.facts()
        if facts is not None:
            return located, len(facts.classes), ""
        dataset = located.open()
        return located.with_dataset(dataset), len(dataset.classes), ""
    except DataError as error:
        return None, ASSUMED_CLASSES, f"the data cannot be read ({error.problems[0]})"


def _fit(spec: Spec, located: Located | None, missing: str) -> Fitted:
    advice = "write for example adapter: {array: {size: [9, 9], channels: 1}}"
    if spec.adapter is not None:
        try:
            return Fitted.of(spec.adapter)
        except DataError as error:  # it learns the shape from data
            advice = error.problems[0].message
    if located is None:
        raise DataError(
            f"the shape of the grids is not known: the adapter has no size, and {missing}; {advice}"
        )
    dataset = located.open()
    return fit_adapter(located, dataset, np.arange(len(dataset)))
