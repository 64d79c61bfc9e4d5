"""The samples of specs, folders and known data sets, whose items an adapter brings."""

from __future__ import annotations

import numpy as np

from gridcnn.checking.asked import Asked
from gridcnn.contracts.adapter import OneHotAdapter, Selection, picked
from gridcnn.datasets.problems import bad_items_error
from gridcnn.errors import DataError
from gridcnn.notes import remark_notes
from gridcnn.order.judge import sampled
from gridcnn.order.sample import Sample, sample_of_grids
from gridcnn.runs.located import locate, spec_folder
from gridcnn.runs.prepare import fit_adapter, places_of
from gridcnn.spec.models import Data, Spec
from gridcnn.streams import Stream

HELD = 16_000_000  # cells of all items together, which bounds the memory of large grids
FEWEST_ITEMS = 400  # that are taken however large the grids are


def from_source(text: str, asked: Asked) -> Sample:
    """Return the sample of a folder, a known data set or a manifest."""
    return from_spec(Spec(data=Data()), asked, data=text)


def from_spec(spec: Spec, asked: Asked, *, data: str | None = None) -> Sample:
    """Return the sample of a spec's data, or of other `data`.

    Raises:
        DataError: the data cannot be read, or labels were given.
    """
    if asked.y is not None:
        raise DataError("data sets and folders have labels of their own; leave the labels out")
    judging = asked.judging
    located = locate(spec, data, spec_folder(spec))
    dataset = located.open()
    chosen = sampled(len(dataset), judging.seed)
    fitted = fit_adapter(located, dataset, chosen)
    adapter, most = fitted.adapter, max(FEWEST_ITEMS, HELD // fitted.shape.cells)
    if len(chosen) > most and not isinstance(adapter, OneHotAdapter):
        random = Stream.CHECK_GRIDS.random(judging.seed)
        chosen = np.sort(random.choice(chosen, most, replace=False))
    count = judging.counter("reading items", len(chosen), unit="items").add
    adapted = adapter.adapt_all(
        picked(dataset.things, chosen), names=places_of(dataset, chosen), advance=count
    )
    bad = len(adapted.problems)
    if not len(adapted.kept):
        raise bad_items_error(adapted.problems, len(chosen), "give others")
    targets = dataset.targets(dataset.classes)[chosen[adapted.kept]]
    read = Selection(dataset.things, chosen[adapted.kept])
    remarks = adapter.remarks(read, adapted.grids.values)
    notes = [*map(str, dataset.notes), *remark_notes(remarks)]
    if bad:
        notes.append(
            f"{bad} of {len(chosen)} items cannot be read, and are left out; the first: "
            f"{adapted.problems[0]}"
        )
    shape = adapted.grids.shape
    return sample_of_grids(adapted.grids.values, shape, targets, rows=len(dataset), notes=notes)
