"""From a spec to labelled grids: the data is read, divided and adapted."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.base import Adapter, picked
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.datasets.base import TEST, TRAIN, VALIDATION, Dataset, Source
from gridcnn.datasets.folds import with_fold
from gridcnn.datasets.groups import by_pattern
from gridcnn.datasets.memory import Memory, from_memory
from gridcnn.datasets.paths import Files
from gridcnn.datasets.splits import Division, divide
from gridcnn.datasets.table import Table
from gridcnn.errors import DataError, Problem
from gridcnn.grid import GridShape, OneHot
from gridcnn.runs.literal import exemplars
from gridcnn.spec.models import SOURCES, Data, GroupPattern, Spec
from gridcnn.training.loop import Labelled

_TOLD = 20
"""How many bad items are told of one by one."""
Advance = Callable[[str, int, int], None]
"""Is told what is being done, how many items of it are done, and how many there are."""


@dataclass(frozen=True)
class Part:
    """One part of the data as labelled grids, and what its items are called."""

    data: Labelled
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Prepared:
    """All that training needs.

    Attributes:
        spec: with the source and the fitted adapter filled in.
        classes: the classes, in the order of the votes.
        shape: the shape of every grid.
        train, validation, test: the parts; validation and test may be empty.
        literal: exemplars, and the test items to compare them with, for the literal comparison;
            None where there are no test items.
        skipped: the items that were left out because they cannot be read.
        notes: what else was left out of the data, in sentences.
        fingerprint: changes with the spec, the labels and the grids.
    """

    spec: Spec
    classes: tuple[str | int, ...]
    shape: GridShape
    train: Part
    validation: Part
    test: Part
    literal: tuple[Labelled, Labelled] | None
    skipped: tuple[Problem, ...]
    notes: tuple[str, ...]
    fingerprint: str


def with_data(spec: Spec, data: Any, base: Path) -> tuple[Spec, Dataset | None]:
    """Return the spec with its source resolved, and the data set where it is given in memory.

    Args:
        spec: a spec; its `data` may be missing where `data` is given.
        data: replaces the spec's source: None for the spec's own, a path or else a known name, a
            `Source`, or data in memory (see `gridcnn.datasets.memory.from_memory`). Where the
            spec's source is a table, a path is that of another table with the same columns.
        base: where relative paths in the spec start.

    Raises:
        DataError: there is no data.
    """
    settings = spec.data or Data()
    if data is None and settings.source is None:
        raise DataError(
            "the spec names no data; add data: {source: ...} to it, or give data (--data PATH)"
        )
    source: Source
    dataset = None
    if data is None:
        assert isinstance(settings.source, Source)
        source = settings.source.resolved(base)
    elif isinstance(data, str | os.PathLike):
        text = os.fspath(data)
        # What is there is meant, even where it is called like a known data set.
        known = text in SOURCES.names() and SOURCES[text].named and not Path(text).exists()
        if known:
            source = SOURCES[text]()
        elif isinstance(settings.source, Table):
            # Another file of the same form: a model of texts or numbers cannot want a manifest.
            source = settings.source.of(text).resolved(Path.cwd())
        else:
            source = Files(path=text).resolved(Path.cwd())
    elif isinstance(data, Source):
        source = data.resolved(Path.cwd())
    else:
        # An adapter without files takes texts as they are.
        files = not isinstance(spec.adapter, Adapter) or bool(spec.adapter.suffixes)
        group = settings.group if isinstance(settings.group, str) else None
        source, dataset = Memory(), from_memory(data, files=files, group=group)
    if isinstance(source, Memory) and dataset is None:
        source.open(seed=0, suffixes=frozenset())  # says that the data must be given again
    changed = settings.model_copy(update={"source": source})
    return spec.model_copy(update={"data": changed}), dataset


def prepare(spec: Spec, dataset: Dataset | None, *, advance: Advance | None = None) -> Prepared:
    """Read, divide and adapt the data of a spec.

    Raises:
        DataError: the data cannot be read or divided, or holds bad items that may not be skipped.
    """
    assert spec.data is not None
    seed = spec.training.seed
    if dataset is None:
        dataset = opened(spec)
    dataset, division = divided(spec, dataset)
    adapter = fit_adapter(spec, dataset, division.train)
    parts, division, skipped = _adapted(dataset, division, adapter, advance)
    if skipped and spec.data.bad_items == "stop":
        raise bad_items_error(skipped, len(dataset), "set data.bad_items: skip")
    spec = spec.model_copy(update={"adapter": adapter})
    classes = dataset.classes
    if skipped:
        _refuse_emptied(parts, classes)
        _refuse_untested(spec, parts)
    return Prepared(
        spec=spec,
        classes=classes,
        shape=adapter.shape(),
        train=parts[TRAIN],
        validation=parts[VALIDATION],
        test=parts[TEST],
        literal=_literal(dataset, division, adapter, parts, seed) if len(parts[TEST]) else None,
        skipped=skipped,
        notes=tuple(dataset.notes),
        fingerprint=_fingerprint(spec, parts),
    )


def grouped(spec: Spec, dataset: Dataset) -> Dataset:
    """Return the data with the groups that its spec finds, and without the parts that it ignores.

    Raises:
        DataError: an item's name tells no group.
    """
    assert spec.data is not None
    if isinstance(spec.data.group, GroupPattern):
        dataset = by_pattern(dataset, spec.data.group.pattern)
    return dataset if spec.data.parts == "use" else dataclasses.replace(dataset, parts=None)


def divided(spec: Spec, dataset: Dataset) -> tuple[Dataset, Division]:
    """Return the data as its spec divides it, and which item is in which part.

    Raises:
        DataError: the data cannot be divided like this.
    """
    assert spec.data is not None
    dataset = grouped(spec, dataset)
    test, seed = spec.data.test, spec.training.seed
    if not isinstance(test, float):
        dataset, test = with_fold(dataset, test, seed=seed), 0.0
    return dataset, divide(dataset, test=test, validation=spec.data.validation, seed=seed)


def opened(spec: Spec) -> Dataset:
    """Return the data that a spec names, whose source is resolved; without an adapter, of pictures.

    Raises:
        DataError: the data cannot be read.
    """
    assert spec.data is not None
    assert isinstance(spec.data.source, Source)
    adapter = spec.adapter
    assert adapter is None or isinstance(adapter, Adapter)
    suffixes = ImageAdapter.suffixes if adapter is None else adapter.suffixes
    source, group, seed = spec.data.source, spec.data.group, spec.training.seed
    if isinstance(group, str):
        return source.open_grouped(group, seed=seed, suffixes=suffixes)
    return source.open(seed=seed, suffixes=suffixes)


def bad_items_error(problems: Sequence[Problem], items: int, remedy: str) -> DataError:
    """Return the error that lists bad items, the first twenty of them, and says what to do.

    `items` is how many there are in all, and `remedy` how to do without the bad ones.
    """
    bad = len({problem.source for problem in problems})
    more = len(problems) - _TOLD
    told = [*problems[:_TOLD], *([Problem(f"and {more} more problems like these")] * (more > 0))]
    if bad >= items:
        return DataError(*told, Problem(f"none of the {items} items can be read"))
    advice = f"{bad} of {items} items cannot be read; mend or remove them, or {remedy}"
    return DataError(*told, Problem(advice))


def places_of(dataset: Dataset, chosen: NDArray[np.int64]) -> list[str]:
    """Return what errors call the chosen items."""
    known = dataset.names if dataset.places is None else dataset.places
    return [known[index] for index in chosen]


def fit_adapter(spec: Spec, dataset: Dataset, training: NDArray[np.int64]) -> Adapter:
    """Return the spec's adapter, or the one that fits the things, fitted on the training items."""
    adapter = spec.adapter
    if adapter is None:
        adapter = _fitting(spec, dataset)
    assert isinstance(adapter, Adapter)
    return adapter.fitted(picked(dataset.things, training))


def _fitting(spec: Spec, dataset: Dataset) -> Adapter:
    """Return the adapter for things that the spec has none for."""
    source = None if spec.data is None else spec.data.source
    if isinstance(source, Table) and isinstance(source.input, str):
        return TextAdapter()  # they are no paths, whatever they look like
    first = dataset.things[0] if len(dataset) else None
    return ArrayAdapter() if isinstance(first, np.ndarray) else ImageAdapter()


def _adapted(
    dataset: Dataset, division: Division, adapter: Adapter, advance: Advance | None
) -> tuple[dict[str, Part], Division, tuple[Problem, ...]]:
    """Return the parts as grids, which items they hold, and a problem for each that is bad."""
    targets = dataset.targets(dataset.classes)
    parts: dict[str, Part] = {}
    readable: dict[str, NDArray[np.int64]] = {}
    skipped: list[Problem] = []
    place = {each: index for index, each in enumerate(places_of(dataset, np.arange(len(dataset))))}
    done = 0

    def more(count: int) -> None:
        nonlocal done
        done += count
        if advance is not None:
            advance("reading items", done, len(dataset))

    for name, chosen in (
        (TRAIN, division.train),
        (VALIDATION, division.validation),
        (TEST, division.test),
    ):
        things = picked(dataset.things, chosen)
        adapted = adapter.adapt_all(things, names=places_of(dataset, chosen), advance=more)
        kept = readable[name] = chosen[adapted.kept]
        parts[name] = Part(
            Labelled(adapted.grids.values, targets[kept]), [dataset.names[index] for index in kept]
        )
        skipped.extend(adapted.problems)
    # In the order of the data, whatever part an item is in.
    skipped.sort(key=lambda problem: place.get(problem.source, 0))
    return parts, Division(readable[TRAIN], readable[VALIDATION], readable[TEST]), tuple(skipped)


def _literal(
    dataset: Dataset, division: Division, adapter: Adapter, parts: Mapping[str, Part], seed: int
) -> tuple[Labelled, Labelled]:
    plain = adapter.literal()
    if plain == adapter:
        training = parts[TRAIN].data
        kept = exemplars(training.targets, seed=seed)
        return Labelled(training.grids[kept], training.targets[kept]), parts[TEST].data
    targets = dataset.targets(dataset.classes)
    kept = division.train[exemplars(targets[division.train], seed=seed)]
    read = [
        (chosen, plain.adapt_all(picked(dataset.things, chosen)))
        for chosen in (kept, division.test)
    ]
    first, second = (Labelled(a.grids.values, targets[chosen][a.kept]) for chosen, a in read)
    return first, second


def _refuse_untested(spec: Spec, parts: Mapping[str, Part]) -> None:
    """Raise `DataError` where skipping has left nothing of the fold or group that is the test."""
    assert spec.data is not None
    test = spec.data.test
    if not isinstance(test, float) and not len(parts[TEST]):
        raise DataError(f"no item that can be read is left of {test}, which data.test names")


def _refuse_emptied(parts: Mapping[str, Part], classes: Sequence[str | int]) -> None:
    """Raise `DataError` where skipping has left a class without a training item."""
    left = set(parts[TRAIN].data.targets.tolist())
    lost = [str(label) for number, label in enumerate(classes) if number not in left]
    if lost:
        raise DataError(
            f"no training item that can be read is left of the classes {', '.join(lost)}"
        )


def _fingerprint(spec: Spec, parts: Mapping[str, Part]) -> str:
    # Not where the data is from: what it holds is told by the grids, and a folder may move.
    left_out: dict[str, Any] = dict.fromkeys(("name", "description", "data"), True)
    if not spec.training.augmentation:  # so it is with checkpoints from before there was any
        left_out["training"] = {"augmentation"}
    digest = hashlib.sha256(spec.model_dump_json(exclude=left_out).encode())
    for name in (TRAIN, VALIDATION):
        grids, targets = parts[name].data.grids, parts[name].data.targets
        kept = grids.indices if isinstance(grids, OneHot) else np.ascontiguousarray(grids)
        digest.update(kept.data)
        digest.update(np.ascontiguousarray(targets).data)
    return digest.hexdigest()
