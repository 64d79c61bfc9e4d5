"""A spec together with the source of its data, and what the spec says about the data."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gridcnn.adapters.fitting import are_paths, fitting_files
from gridcnn.adapters.image import ImageAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.contracts.augmentation import ThingAugmentation
from gridcnn.contracts.source import Dataset, Request, Source
from gridcnn.datasets.public.fetching import reporting
from gridcnn.datasets.readers.memory import Memory, from_memory
from gridcnn.datasets.readers.paths import Files
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError
from gridcnn.progress import Advance
from gridcnn.spec.models import SOURCES, Data, Spec
from gridcnn.spec.parts import TestPart


@dataclass(frozen=True)
class Located:
    """A spec whose data is found; made by `locate` alone.

    Attributes:
        spec: the spec, with this data in it.
        data: what the spec says about its data.
        source: where the data is, with absolute paths.
        dataset: the data, if it was given in memory, or is open already; else None.
        trained: whether the source is that of a trained model, and other data of its form is read.
    """

    spec: Spec
    data: Data
    source: Source
    dataset: Dataset | None = None
    trained: bool = False

    def open(self, advance: Advance | None = None) -> Dataset:
        """Return the data; `advance` is called with the progress of what is fetched.

        Without an adapter in the spec, the files in a folder decide which of them are read.

        Raises:
            DataError: the data cannot be read.
        """
        if self.dataset is not None:
            return self.dataset
        group, adapter = self.data.group, self.spec.adapter
        request = Request(
            seed=self.spec.training.seed,
            suffixes=(adapter or _adapter_for_files(self.source)).suffixes,
            group=group if isinstance(group, str) else None,
            label=self.data.label,
            missing=adapter is not None and adapter.takes_missing,
            trained=self.trained,
        )
        if request.label is not None and not isinstance(self.source, Files):
            raise DataError(
                f"data.label names the labels in a manifest, and {self.source.title} has labels of "
                "its own; leave it out"
            )
        with reporting(advance):
            dataset = self.source.open(request)
        if request.group is not None and dataset.groups is None:
            raise DataError(
                f"the data {self.source.title} has no columns to name groups; set "
                "data.group to null"
            )
        return dataset

    def resolved(self, dataset: Dataset) -> Self:
        """Return the same with all settings of the source that were found by reading it."""
        if dataset.resolved is None:
            return self
        data = self.data.model_copy(update={"source": dataset.resolved})
        spec = _with_data(self.spec, data)
        return dataclasses.replace(self, data=data, source=dataset.resolved, spec=spec)

    def with_dataset(self, dataset: Dataset) -> Self:
        """Return the same with its data, which is then not opened again."""
        return dataclasses.replace(self, dataset=dataset)

    def with_spec(self, spec: Spec) -> Self:
        """Return another spec with the same data, and the same settings of it."""
        return dataclasses.replace(self, spec=_with_data(spec, self.data))

    def with_test(self, test: TestPart) -> Self:
        """Return the same with another test part."""
        data = self.data.model_copy(update={"test": test})
        return dataclasses.replace(self, data=data, spec=_with_data(self.spec, data))


def is_in_memory(data: Any) -> bool:
    """Return whether data that replaces a spec's source is given in memory."""
    return data is not None and not isinstance(data, str | os.PathLike | Source)


def locate(spec: Spec, data: Any, base: Path, *, trained: bool = False) -> Located:
    """Return the spec with its data found.

    Args:
        spec: a spec; its `data` may be missing if `data` is given.
        data: replaces the spec's source: None for the spec's own, a path or else a known name, a
            `Source`, or data in memory (see `from_memory`). If the spec's source is a table, a path
            is that of another table with the same columns.
        base: where relative paths in the spec start.
        trained: whether the spec is that of a trained model, and `data` is read as its data was.

    Raises:
        DataError: there is no data.
    """
    settings = spec.data or Data()
    source: Source
    dataset = None
    if is_in_memory(data):
        source, dataset = Memory(), _in_memory(data, spec, settings, trained=trained)
    elif data is None:
        source = _source_of(settings, base)
    elif isinstance(data, Source):
        source = data.resolved(Path.cwd())
    else:
        source = _source_at(os.fspath(data), settings)
    if isinstance(source, Memory) and dataset is None:
        source.open(Request())  # says that the data must be given again
    settings = settings.model_copy(update={"source": source})
    spec = resolve_augmentation(resolve_start(_with_data(spec, settings), base), base)
    return Located(spec, settings, source, dataset, trained)


def resolve_start(spec: Spec, base: Path) -> Spec:
    """Return the spec with an absolute path of the model that training starts from, if any."""
    start = spec.training.start_from
    if start is None:
        return spec
    training = spec.training.model_copy(update={"start_from": start.resolved(base)})
    return spec.model_copy(update={"training": training})


def resolve_augmentation(spec: Spec, base: Path) -> Spec:
    """Return the spec with absolute paths of the files that augmentations use, if any.

    `base` is where relative ones start.
    """
    written = spec.training.augmentation
    placed = tuple(
        each.resolved(base) if isinstance(each, ThingAugmentation) else each for each in written
    )
    if placed == written:
        return spec
    training = spec.training.model_copy(update={"augmentation": placed})
    return spec.model_copy(update={"training": training})


def spec_folder(spec: Spec) -> Path:
    """Return the folder where the relative paths of a spec start: that of its file, if any."""
    file = Path(spec.document.source)
    return file.absolute().parent if file.is_file() else Path.cwd()


def _with_data(spec: Spec, data: Data) -> Spec:
    return spec.model_copy(update={"data": data})


def _source_of(settings: Data, base: Path) -> Source:
    """Return the source that a spec names."""
    if settings.source is None:
        raise DataError(
            "the spec names no data; add data: {source: ...} to it, or give data (--data PATH)"
        )
    return settings.source.resolved(base)


def _source_at(text: str, settings: Data) -> Source:
    """Return the source that a path, or a known name, stands for."""
    # A path that exists comes first, even if a known data set has the same name.
    if text in SOURCES.names() and SOURCES[text].named and not Path(text).exists():
        known: Source = SOURCES[text]()
        return known
    if isinstance(settings.source, Table):
        # Another file of the same form: a model of texts or numbers cannot want a manifest.
        return settings.source.of(text).resolved(Path.cwd())
    return Files(path=text).resolved(Path.cwd())


def _in_memory(data: Any, spec: Spec, settings: Data, *, trained: bool) -> Dataset:
    # An adapter without files takes texts as they are; without an adapter they tell by themselves
    # what they are.
    if spec.adapter is not None:
        files = bool(spec.adapter.suffixes)
    else:
        files = not isinstance(data, tuple | list) or not data or are_paths(data[0])
    group = settings.group if isinstance(settings.group, str) else None
    return from_memory(
        data,
        files=files,
        source=settings.source,
        group=group,
        label=settings.label,
        missing=spec.adapter is not None and spec.adapter.takes_missing,
        trained=trained,
    )


def _adapter_for_files(source: Source) -> type[Adapter]:
    """Return the adapter for the files of a source that the spec has no adapter for."""
    if not isinstance(source, Files):
        return ImageAdapter
    return fitting_files(source.endings(), source.path)
