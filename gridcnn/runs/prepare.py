"""From a spec to labelled grids: the data is read, divided and adapted."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.fitting import fitting
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.cluster.held import Workers
from gridcnn.contracts.adapter import Adapter, Fitted, Selection, Things
from gridcnn.contracts.source import TEST, TRAIN, VALIDATION, Dataset, Facts, Source
from gridcnn.datasets.division.folds import with_fold
from gridcnn.datasets.division.groups import by_pattern
from gridcnn.datasets.division.shuffled import LARGE, is_large
from gridcnn.datasets.division.splits import Division, divide
from gridcnn.datasets.problems import bad_items_error
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError, Problem, SpecError, UserError, listed, quoted
from gridcnn.grid import GridShape, fetch_cells
from gridcnn.model import Model, load
from gridcnn.network import Network
from gridcnn.notes import label_notes, remark_notes, several_notes, unlearned_notes
from gridcnn.order.sample import (
    Sample,
    classes_to_judge,
    draw_training_items,
    sample_of_items,
)
from gridcnn.progress import Advance, Counter
from gridcnn.runs.adapting import Adapting, Made
from gridcnn.runs.contents import Digests
from gridcnn.runs.duplicates import (
    Duplicates,
    dropped_note,
    duplicates_notes,
    find_duplicates,
)
from gridcnn.runs.forms import ChangedThings, join_forms
from gridcnn.runs.grids_cache import digest_of
from gridcnn.runs.large import NOTE as LARGE_NOTE
from gridcnn.runs.large import LargeData
from gridcnn.runs.literal import exemplars
from gridcnn.runs.located import Located
from gridcnn.runs.other_forms import with_other_forms
from gridcnn.runs.scaffolds import by_scaffold
from gridcnn.spec.models import GroupPattern, GroupScaffold, Spec, Training
from gridcnn.spec.optimizers import follows_epochs
from gridcnn.spec.parts import TestPart
from gridcnn.training.augmentation import changes_things, refuse_unfit_things
from gridcnn.training.budget import Budget
from gridcnn.training.forms import Forms
from gridcnn.training.loop import Labelled
from gridcnn.training.selection import settle_selection
from gridcnn.training.starting import Start, start_from
from gridcnn.training.weighing import item_weights

_FIRST = 2**14
"""Items of a large set among which exemplars are looked for; they are in a random order."""


@dataclass(frozen=True)
class Part:
    """One part of the data as labelled grids, and the names of its items."""

    data: Labelled
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class Prepared:
    """Everything that training needs.

    Attributes:
        spec: with the source and the fitted adapter filled in.
        fitted: the adapter, and the shape of every grid.
        classes: the classes, or labels, in the order of the votes.
        train, validation, test: the parts; validation and test may be empty.
        literal: exemplars, and the test items to compare them with, for the literal comparison;
            None if there are no test items.
        skipped: what is wrong with the items that were left out because they cannot be read.
        notes: what else was left out of the data, and what looks wrong about it, in sentences.
        digest: changes with the labels and the grids, and what training starts from.
        grids: from where the grids were read, or where they are kept, in a few words; empty if
            they are only in memory.
        sample: the training items by which it is judged whether their order means anything; None
            if the adapter makes the order.
        start: the values that training takes over from another model, if it does.
        budget: how the epochs were planned, if the spec says how many minutes training may take.
        things: the raw items of each part, as they stand in `train`, `validation` and `test`.
        duplicates: which items were equal to others, before any were left out for it.
    """

    spec: Spec
    fitted: Fitted
    classes: tuple[str | int, ...]
    train: Part
    validation: Part
    test: Part
    literal: tuple[Labelled, Labelled] | None
    skipped: tuple[Problem, ...]
    notes: tuple[str, ...]
    digest: str
    grids: str = ""
    sample: Sample | None = None
    start: Start | None = None
    budget: Budget | None = None
    things: Mapping[str, Things] = dataclasses.field(default_factory=dict)
    duplicates: Duplicates | None = None

    @property
    def shape(self) -> GridShape:
        """The shape of every grid."""
        return self.fitted.shape

    def with_training(self, training: Training) -> Prepared:
        """Return the same with other settings of the training."""
        spec = self.spec.model_copy(update={"training": training})
        return dataclasses.replace(self, spec=spec)

    @property
    def fingerprint(self) -> str:
        """What a run resumes with: it changes with the spec, the labels and the grids."""
        # Not where the data is from: its content is in the grids, and a folder may move.
        left_out: dict[str, Any] = dict.fromkeys(("name", "description", "data"), True)
        # Nor when training ends: it goes the same way until then, if the learning rate does.
        left_out["training"] = {"patience", "minutes", "stop_after"}
        if not follows_epochs(self.spec.training.schedule):
            left_out["training"].add("epochs")
        text = self.spec.model_dump_json(exclude=left_out) + self.digest
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def several(self) -> bool:
        """Whether items may have several labels, which `classes` are then."""
        return self.train.data.targets.ndim == 2

    @property
    def skipped_items(self) -> int:
        """How many items were left out; one may have several problems."""
        return len({(problem.source, problem.line) for problem in self.skipped})


def prepare(
    located: Located,
    *,
    advance: Advance | None = None,
    threads: int | None = None,
    tested: bool = True,
    make_adapting: Callable[..., Adapting] = Adapting,
    workers: Workers | None = None,
) -> Prepared:
    """Read, divide and adapt the data of a spec.

    `advance` is called with the progress. `threads` is the most threads to work with; None: as many
    as this process may use. If it is not `tested`, the test items are left out, and nothing is read
    of them; all else is the same. `make_adapting` makes what turns the items into grids; of a large
    set, the `workers` do, if there are some.

    Raises:
        DataError: the data cannot be read or divided, holds bad items that may not be skipped, or
            is too large.
    """
    seed = located.spec.training.seed
    model = model_to_start_from(located.spec)  # as the rest that is said before anything is fetched
    facts = None if located.dataset is not None else located.source.facts()
    if facts is not None:  # before anything is fetched
        refuse_other_head(located.spec, facts)
    dataset = located.open(advance)
    located = located.resolved(dataset)
    if model is not None and located.spec.adapter is None:
        located = located.with_spec(located.spec.model_copy(update={"adapter": model.adapter}))
    spec, items, bad = located.spec, len(dataset) + len(dataset.bad), dataset.bad
    if is_large(len(dataset)):
        return _prepare_large(located, dataset, workers)
    _refuse_bad(located, bad, items)
    refuse_other_head(spec, dataset)
    divided = divide_for_training(
        located, dataset, advance=advance, threads=threads, make_adapting=make_adapting
    )
    if not tested:
        division = dataclasses.replace(divided.division, test=np.zeros(0, np.int64))
        divided = dataclasses.replace(divided, division=division)
    dataset, fitted, adapting = divided.dataset, divided.fitted, divided.adapting
    refuse_unfit_things(spec.training, fitted.adapter, spec.document)
    read = _adapt(dataset, divided.division, fitted.adapter, adapting)
    skipped = (*bad, *divided.ungrouped, *read.skipped)
    _refuse_bad(located, skipped, items)
    classes, parts = dataset.classes, read.parts
    notes = [*dataset.notes, *divided.division.notes]
    if dataset.several:
        notes += several_notes(dataset.label_rows, classes)
    else:
        notes += label_notes(list(dataset.labels), classes)
    sample = None if fitted.adapter.makes_order else _sample(divided, read, seed)
    notes += remark_notes(_remarks(dataset, read, fitted.adapter))
    labelled = {name: part.data for name, part in parts.items()}
    duplicates = find_duplicates(labelled)
    if located.data.duplicates == "drop":
        notes += dropped_note(duplicates, several=dataset.several)
        read = read.chosen(duplicates.first)
        parts = read.parts
    else:
        named = {name: part.names for name, part in parts.items()}
        notes += duplicates_notes(duplicates, labelled, named)
    if dataset.several:
        notes += unlearned_notes(parts[TRAIN].data.targets, classes)
    else:
        _refuse_emptied(parts, classes)
    train = parts[TRAIN]
    weights = item_weights(spec.training, train.data.targets, classes, document=spec.document)
    forms = _make_forms(
        dataset, read, fitted.adapter, adapting, spec.training, threads=threads, advance=advance
    )
    data = dataclasses.replace(train.data, weights=weights, forms=forms)
    train = dataclasses.replace(train, data=data)
    if tested:
        _refuse_untested(located.data.test, parts)
    literal = None
    if len(parts[TEST]):
        literal = _literal(dataset, read, fitted.adapter, adapting, seed)
    notes += _note_adapter(spec, fitted.adapter)
    training = settle_selection(spec.training, several=dataset.several)
    spec = spec.model_copy(update={"adapter": fitted.adapter, "training": training})
    start = None
    if model is not None and spec.training.start_from is not None:
        network = Network(spec, fitted.shape, classes=len(classes))
        start = start_from(spec.training.start_from, model, network, classes)
    return Prepared(
        spec=spec,
        fitted=fitted,
        classes=classes,
        train=train,
        validation=parts[VALIDATION],
        test=parts[TEST],
        literal=literal,
        skipped=skipped,
        notes=tuple(notes),
        digest=_digest(read, forms) + ("" if start is None else start.digest),
        start=start,
        grids=adapting.told,
        sample=sample,
        things={name: Selection(dataset.things, getattr(read.division, name)) for name in parts},
        duplicates=duplicates,
    )


def _refuse_bad(located: Located, bad: Sequence[Problem], items: int) -> None:
    """Raise `DataError` if some items are bad, and may not be skipped."""
    if bad and located.data.bad_items == "stop":
        raise bad_items_error(bad, items, "set data.bad_items: skip")


def _prepare_large(located: Located, dataset: Dataset, workers: Workers | None) -> Prepared:
    """Return a set of very many items, none of which are read yet."""
    refuse_other_head(located.spec, dataset)
    large = LargeData(located, dataset, workers)
    parts = {
        name: Part(
            Labelled(large.grids(name), large.targets(name)),
            Selection(dataset.names, large.items[name]),
        )
        for name in (TRAIN, VALIDATION, TEST)
    }
    training = settle_selection(located.spec.training, several=False)
    updates = {"adapter": large.fitted.adapter, "training": training}
    return Prepared(
        spec=located.spec.model_copy(update=updates),
        fitted=large.fitted,
        classes=large.classes,
        train=parts[TRAIN],
        validation=parts[VALIDATION],
        test=parts[TEST],
        literal=_large_literal(large, located.spec.training.seed) if len(parts[TEST]) else None,
        skipped=tuple(dataset.bad),
        notes=(*dataset.notes, LARGE_NOTE.format(items=LARGE)),
        digest=large.digest,
        grids="read when they are needed" if workers is None else "on the workers, each its own",
        things={name: large.select(dataset.things, name) for name in parts},
    )


def _large_literal(large: LargeData, seed: int) -> tuple[Labelled, Labelled]:
    """Return exemplars among the first training items, and the test items, which are not read."""
    train, test = (
        Labelled(large.literal_grids(name), large.targets(name)) for name in (TRAIN, TEST)
    )
    first = train.at(np.arange(min(len(train), _FIRST)))
    return _fetch(first.at(exemplars(first.targets, seed=seed))), test


@dataclass(frozen=True)
class DividedData:
    """Data that is divided, with its adapter, before anything but some items is adapted.

    Attributes:
        dataset: the data, with the other forms of its training items.
        division: which of its items are in which part.
        ungrouped: what is wrong with the items that have no group.
        fitted: the adapter, fitted on the training items.
        adapting: what makes grids of the things.
    """

    dataset: Dataset
    division: Division
    ungrouped: tuple[Problem, ...]
    fitted: Fitted
    adapting: Adapting


def divide_for_training(
    located: Located,
    dataset: Dataset | None = None,
    *,
    advance: Advance | None = None,
    threads: int | None = None,
    make_adapting: Callable[..., Adapting] = Adapting,
) -> DividedData:
    """Return the data divided, and the adapter fitted on the training items.

    `dataset` is the data if it is open already. A run, and the check of a spec, both start here.

    Raises:
        DataError: the data cannot be read or divided, or there is nothing to fit the adapter on.
    """
    if dataset is None:
        dataset = located.open(advance)
        located = located.resolved(dataset)
    spec = located.spec
    dataset, division, ungrouped = divide_items(located, dataset, advance)
    dataset, division = with_other_forms(dataset, division, spec.adapter, seed=spec.training.seed)
    places = places_of(dataset, np.arange(len(dataset)))
    adapting = make_adapting(dataset.things, places, threads=threads, advance=advance)
    fitted = fit_adapter(located, dataset, division.train, adapting)
    return DividedData(dataset, division, ungrouped, fitted, adapting)


def _sample(divided: DividedData, read: _Read, seed: int) -> Sample:
    """Return the training items that are looked at, duplicates among them, as `check` does."""
    training, fitted = divided.division.train, divided.fitted
    drawn = draw_training_items(training, fitted.adapter, fitted.shape, seed)
    places = np.flatnonzero(np.isin(read.division.train, drawn))
    data = read.parts[TRAIN].data
    classes, judged = classes_to_judge(data.targets[places], divided.dataset.classes)
    return sample_of_items(
        divided.dataset.things,
        read.division.train[places],
        data.grids[places],
        classes,
        adapter=fitted.adapter,
        rows=len(training),
        seed=seed,
        notes=judged,
    )


def model_to_start_from(spec: Spec) -> Model | None:
    """Return the model that `training.start_from` names.

    Raises:
        SpecError: it cannot be read.
    """
    settings = spec.training.start_from
    if settings is None:
        return None
    try:
        return load(settings.model, engine="reference")
    except UserError as error:
        place = ("training", "start_from", "model")
        raise SpecError(
            *(spec.document.problem(place, f"start_from: {each}") for each in error.problems)
        ) from None


def group_items(
    located: Located, dataset: Dataset, advance: Advance | None = None
) -> tuple[Dataset, tuple[Problem, ...]]:
    """Return the data with the groups that its spec finds, and without the parts that it ignores.

    Items without a group are left out, with a problem for each; if bad items may not be skipped,
    these are raised.

    Raises:
        DataError: an item, or its name, has no group.
    """
    settings = located.data
    problems: tuple[Problem, ...] = ()
    if isinstance(settings.group, GroupPattern):
        dataset = by_pattern(dataset, settings.group.pattern)
    elif isinstance(settings.group, GroupScaffold):
        items = len(dataset)
        counter = Counter(advance, "finding scaffolds", items)
        dataset, problems = by_scaffold(dataset, advance=counter.add)
        if problems and (settings.bad_items == "stop" or not len(dataset)):
            raise bad_items_error(problems, items, "set data.bad_items: skip")
    if settings.parts == "ignore":
        dataset = dataclasses.replace(dataset, parts=None)
    return dataset, problems


def divide_items(
    located: Located, dataset: Dataset, advance: Advance | None = None
) -> tuple[Dataset, Division, tuple[Problem, ...]]:
    """Return the data as its spec divides it, the part of each item, and the items without a group.

    Raises:
        DataError: the data cannot be divided like this.
    """
    dataset, problems = group_items(located, dataset, advance)
    test, seed, group = located.data.test, located.spec.training.seed, located.data.group
    if not isinstance(test, float):
        dataset, test = with_fold(dataset, test, seed=seed), 0.0
    division = divide(
        dataset,
        test=test,
        validation=located.data.validation,
        seed=seed,
        largest_first=isinstance(group, GroupScaffold) and group.order == "largest_first",
    )
    return dataset, division, problems


def places_of(dataset: Dataset, chosen: NDArray[np.int64]) -> list[str]:
    """Return the names of the chosen items in errors."""
    known = dataset.names if dataset.places is None else dataset.places
    return [known[index] for index in chosen]


def fit_adapter(
    located: Located,
    dataset: Dataset,
    training: NDArray[np.int64],
    adapting: Adapting | None = None,
) -> Fitted:
    """Return the spec's adapter, or the one that fits the things, fitted on the training items."""
    adapter = located.spec.adapter or _adapter_for(located.source, dataset)
    adapting = adapting or Adapting(dataset.things, dataset.names)
    return Fitted.of(adapting.fitted(adapter, training))


def _adapter_for(source: Source, dataset: Dataset) -> Adapter:
    """Return the adapter for things that the spec has no adapter for."""
    texts = isinstance(source, Table) and isinstance(source.input, str)
    if texts or source.holds_texts:
        return TextAdapter()  # texts are no paths, even if they look like paths
    return fitting(dataset.things, dataset.origin)


def refuse_other_head(spec: Spec, data: Dataset | Facts) -> None:
    """Raise `SpecError` if the head votes for one class, and items have several labels; or not."""
    if spec.head is None or spec.head.stage(len(data.classes)).several == data.several:
        return
    message = (
        "the head votes for several labels of an item, but the data has one class for each item; "
        "leave labels: several out, or name several columns of labels"
    )
    if data.several:
        names = listed([quoted(str(label)) for label in data.classes], limit=4)
        message = (
            f"the head votes for one class, but an item may have several of the labels {names}; "
            "write head: {voting: {labels: several}}"
        )
        if isinstance(data, Dataset) and ((data.label_rows == 1).sum(axis=1) == 1).all():
            message += (
                ", or, since each item has exactly one of them, give y.argmax(axis=1), or one "
                "column of classes"
            )
    raise SpecError(spec.document.problem(("head",), message))


def _note_adapter(spec: Spec, adapter: Adapter) -> list[str]:
    """Return a note that names the inferred adapter; none for pictures."""
    if spec.adapter is not None or isinstance(adapter, ImageAdapter):
        return []
    return [f"the spec names no adapter; items are read with adapter: {adapter.title}"]


@dataclass(frozen=True)
class _Read:
    """The parts, the data they are made from, the items they hold, and the problems of others."""

    parts: Mapping[str, Part]
    made: Mapping[str, Made]
    division: Division
    skipped: tuple[Problem, ...]

    def chosen(self, kept: Mapping[str, NDArray[np.bool_]]) -> _Read:
        """Return the same with only the items that `kept` marks, for each part."""
        if all(each.all() for each in kept.values()):
            return self
        parts = {
            name: Part(
                part.data.chosen(kept[name]),
                [part.names[index] for index in np.flatnonzero(kept[name]).tolist()],
            )
            for name, part in self.parts.items()
        }
        division = Division(
            self.division.train[kept[TRAIN]],
            self.division.validation[kept[VALIDATION]],
            self.division.test[kept[TEST]],
        )
        return dataclasses.replace(self, parts=parts, division=division)


def _adapt(dataset: Dataset, division: Division, adapter: Adapter, adapting: Adapting) -> _Read:
    targets = dataset.targets(dataset.classes)
    chosen = {TRAIN: division.train, VALIDATION: division.validation, TEST: division.test}
    by_part = adapting.parts(adapter, chosen)
    readable = {name: chosen[name][made.kept] for name, made in by_part.made.items()}
    parts = {
        name: Part(
            Labelled(by_part.made[name].grids.values, targets[kept]),
            [dataset.names[index] for index in kept],
        )
        for name, kept in readable.items()
    }
    # In the order of the data, whatever part an item is in.
    place = {name: index for index, name in enumerate(adapting.names)}
    skipped = sorted(by_part.problems, key=lambda problem: place.get(problem.source, 0))
    return _Read(
        parts,
        by_part.made,
        Division(readable[TRAIN], readable[VALIDATION], readable[TEST]),
        tuple(skipped),
    )


def _remarks(dataset: Dataset, read: _Read, adapter: Adapter) -> collections.Counter[str]:
    """Return what looks wrong about the items of all parts, and about how many of them."""
    counts: collections.Counter[str] = collections.Counter()
    division = read.division
    parts = {TRAIN: division.train, VALIDATION: division.validation, TEST: division.test}
    for name, indices in parts.items():
        things = Selection(dataset.things, indices)
        grids = read.parts[name].data.grids
        counts.update(adapter.remarks(things, grids, training=name == TRAIN))
    return counts


def _make_forms(
    dataset: Dataset,
    read: _Read,
    adapter: Adapter,
    adapting: Adapting,
    settings: Training,
    *,
    threads: int | None,
    advance: Advance | None,
) -> Forms | None:
    """Return changed forms of the training items; None if no augmentation changes things."""
    if not changes_things(settings):
        return None
    things = ChangedThings(dataset.things, read.division.train, adapter, settings)

    def find_digests(files: bool) -> Digests | None:
        of_things = adapting.digests(files=files)
        return None if of_things is None else things.digests(of_things)

    names = [name for name in read.parts[TRAIN].names for _ in range(settings.forms)]
    many = Adapting(things, names, threads=threads, advance=advance, find_digests=find_digests)
    every = {TRAIN: np.arange(len(things))}
    return join_forms(things, many.parts(adapter, every, what="changing items").made[TRAIN])


def _literal(
    dataset: Dataset, read: _Read, adapter: Adapter, adapting: Adapting, seed: int
) -> tuple[Labelled, Labelled]:
    plain = adapter.literal()
    if plain == adapter:
        training = read.parts[TRAIN].data
        exemplar_items = exemplars(training.targets, seed=seed)
        kept, test = training.at(exemplar_items), read.parts[TEST].data
        return _fetch(kept), _fetch(test)
    targets, division = dataset.targets(dataset.classes), read.division
    exemplar_items = division.train[exemplars(targets[division.train], seed=seed)]
    chosen = {TRAIN: exemplar_items, TEST: division.test}
    made = adapting.parts(plain, chosen, what="reading items to compare").made
    first, second = (
        Labelled(made[name].grids.values, targets[chosen[name]][made[name].kept])
        for name in (TRAIN, TEST)
    )
    return first, second


def _fetch(labelled: Labelled) -> Labelled:
    """Return labelled grids whose cells are in this process."""
    return dataclasses.replace(labelled, grids=fetch_cells(labelled.grids))


def _refuse_untested(test: TestPart, parts: Mapping[str, Part]) -> None:
    """Raise `DataError` if nothing is left of the fold or group that is the test."""
    if not isinstance(test, float) and not len(parts[TEST]):
        raise DataError(f"no usable item is left of {test}, which data.test names")


def _refuse_emptied(parts: Mapping[str, Part], classes: Sequence[str | int]) -> None:
    """Raise `DataError` if leaving items out has left a class without a training item."""
    left = set(parts[TRAIN].data.targets.tolist())
    lost = [str(label) for number, label in enumerate(classes) if number not in left]
    if lost:
        raise DataError(f"no usable training item is left of the classes {', '.join(lost)}")


def _digest(read: _Read, forms: Forms | None) -> str:
    """Return a digest of the labels and grids of the items for training and validation."""
    digest = hashlib.sha256()
    for name in (TRAIN, VALIDATION):
        digest.update(bytes.fromhex(read.made[name].digest))
        digest.update(np.ascontiguousarray(read.parts[name].data.targets).data)
    if forms is not None:
        digest.update(bytes.fromhex(digest_of(forms.grids)))
    return digest.hexdigest()
