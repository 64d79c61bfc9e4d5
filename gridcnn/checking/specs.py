"""The samples of specs, folders and known data sets: some of the items that a run would train on.

They are read, divided and adapted as in a run, but only these items are adapted.
"""

from __future__ import annotations

from gridcnn.checking.asked import Asked
from gridcnn.contracts.adapter import Selection, pick
from gridcnn.datasets.problems import bad_items_error
from gridcnn.errors import DataError
from gridcnn.notes import remark_notes
from gridcnn.order.sample import (
    Sample,
    classes_to_judge,
    draw_training_items,
    sample_of_items,
)
from gridcnn.progress import Counter
from gridcnn.runs.located import locate, spec_folder
from gridcnn.runs.prepare import divide_for_training, places_of
from gridcnn.spec.load import load
from gridcnn.spec.models import Data, Spec


def from_source(text: str, asked: Asked) -> Sample:
    """Return the sample of a folder, a known data set or a manifest."""
    return from_spec(Spec(data=Data()), asked, data=text)


def from_spec(spec: Spec, asked: Asked, *, data: str | None = None) -> Sample:
    """Return the sample of a spec's data, or of other `data`.

    Raises:
        DataError: the data cannot be read or divided, or labels were given.
    """
    if asked.y is not None:
        raise DataError("data sets and folders have their own labels; leave the labels out")
    folder = spec_folder(spec)
    if asked.chosen_seed is not None:
        spec = load(spec, changes={"training.seed": asked.chosen_seed})
    division = divide_for_training(locate(spec, data, folder), advance=asked.advance)
    dataset, adapter, training = division.dataset, division.fitted.adapter, division.division.train
    seed = spec.training.seed
    chosen = draw_training_items(training, adapter, division.fitted.shape, seed)
    count = Counter(asked.advance, "reading items", len(chosen), unit="items").add
    adapted = adapter.adapt_all(
        pick(dataset.things, chosen), names=places_of(dataset, chosen), advance=count
    )
    if not len(adapted.kept):
        raise bad_items_error(adapted.problems, len(chosen), "give others")
    readable, grids = chosen[adapted.kept], adapted.grids.values
    remarks = adapter.remarks(Selection(dataset.things, readable), grids)
    notes = [*map(str, dataset.notes), *division.division.notes, *remark_notes(remarks)]
    if len(training) < len(dataset):
        notes.append(f"judged by training items alone: {len(training):,} of {len(dataset):,} items")
    if adapted.problems:
        notes.append(
            f"{len(adapted.problems)} of {len(chosen)} items cannot be read, and are left out; the "
            f"first: {adapted.problems[0]}"
        )
    targets = dataset.targets(dataset.classes)[readable]
    classes, judged = classes_to_judge(targets, dataset.classes)
    return sample_of_items(
        dataset.things,
        readable,
        grids,
        classes,
        adapter=adapter,
        rows=len(training),
        seed=seed,
        notes=(*notes, *judged),
    )
