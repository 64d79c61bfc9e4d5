"""The items in which features are looked for: those that a model was trained on, or others."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import pick
from gridcnn.contracts.source import Dataset
from gridcnn.datasets.readers.memory import asked_columns
from gridcnn.errors import DataError, Problem
from gridcnn.model import Model
from gridcnn.progress import Advance
from gridcnn.report.explaining.looking_for import Looked, look_for
from gridcnn.runs.located import locate, spec_folder
from gridcnn.runs.prepare import divide_items
from gridcnn.spec.models import Data, Spec


def features_of(
    model: Model, data: Any = None, *, most: int = 500, advance: Advance | None = None
) -> Looked:
    """Return what the features of a model look for.

    Args:
        model: the model.
        data: a known name, a path, `(X, y)` or a DataFrame, as for `evaluate`; None: the items that
            the model was trained on.
        most: the largest number of items that are looked at; of more, some at equal distances are.
        advance: called with the progress.

    Raises:
        DataError: the data cannot be read, or the network has no convolution.
    """
    dataset, chosen, origin = _own(model, advance) if data is None else _other(model, data)
    if len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).astype(np.int64)]
    names = [dataset.names[index] for index in chosen.tolist()]
    adapted = model.adapted(pick(dataset.things, chosen), names=names)
    if not len(adapted.kept):
        raise DataError(*(adapted.problems or (Problem("there are no items to look in"),)))
    read = [names[index] for index in adapted.kept.tolist()]
    return look_for(model, adapted.grids.values, read, origin=origin, advance=advance)


def _own(model: Model, advance: Advance | None) -> tuple[Dataset, NDArray[np.int64], str]:
    """Return the data of a model, and which of its items it was trained on."""
    if model.spec.data is None or model.spec.data.source is None:
        raise DataError("the model does not know its data; name the data to look at: --data PATH")
    try:
        located = locate(model.spec, None, spec_folder(model.spec))
        dataset = located.open(advance)
        located = dataclasses.replace(
            located, data=located.data.model_copy(update={"bad_items": "skip"})
        )
        dataset, division, _ = divide_items(located, dataset, advance)
    except DataError as error:
        hint = Problem("the model's own data cannot be read; name the data to look at: --data PATH")
        raise DataError(*error.problems, hint) from None
    return dataset, division.train, "its training data"


def _other(model: Model, data: Any) -> tuple[Dataset, NDArray[np.int64], str]:
    trained = model.spec.data
    form = Data(source=trained.source) if trained and asked_columns(trained.source) else None
    spec = Spec(adapter=model.adapter, training=model.spec.training, data=form)
    dataset = locate(spec, data, Path.cwd(), trained=True).open()
    named = os.fspath(data) if isinstance(data, str | os.PathLike) else "other data"
    return dataset, np.arange(len(dataset)), named
