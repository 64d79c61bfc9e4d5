"""Augmentation: small changes of training grids, drawn again for every item and epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gridcnn.contracts.adapter import Adapter
from gridcnn.contracts.augmentation import Augmentation, ThingAugmentation
from gridcnn.errors import Problem, ShapeError, SpecError
from gridcnn.grid import Array, Axis, Cells, GridShape, OneHot
from gridcnn.settings.choice import name_of
from gridcnn.settings.document import Document
from gridcnn.spec.augmentations import AUGMENTATIONS
from gridcnn.spec.models import Training
from gridcnn.streams import Stream


class AlongAxes(Augmentation):
    """Settings for rows and for columns; 0 leaves an axis unchanged."""

    rows: Any
    columns: Any

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.rows or self.columns):
            raise ValueError("it changes nothing; set rows or columns above 0")
        return self

    def along(self, shape: GridShape) -> Iterator[tuple[str, Axis, int, Any]]:
        """Yield "rows" and "columns", with axis, size and setting, if the setting is above 0."""
        for (direction, axis, size), own in zip(
            directions(shape), (self.rows, self.columns), strict=True
        ):
            if own:
                yield direction, axis, size, own

    def refuse_unordered(self, shape: GridShape, harm: str) -> None:
        """Raise `ValueError` for the first axis that is set, and whose order means nothing."""
        for direction, axis, _, _ in self.along(shape):
            if not axis.ordered:
                other = {"rows": "columns", "columns": "rows"}[direction]
                value = getattr(self, other) or "..."
                raise ValueError(
                    unordered_error(
                        axis, direction, harm, f"write {self.title}: {{{other}: {value}}}"
                    )
                )


class Augmenter:
    """The augmentations of one epoch, each with random numbers of its own.

    Batches have to come in their order.

    Args:
        augmentations: what is done to each batch, in this order; what changes things is left out.
        shape: the shape of every grid.
        seed: what fixes the random numbers, together with the number of the epoch.
        epoch: from 1.
    """

    def __init__(
        self,
        augmentations: Sequence[Augmentation | ThingAugmentation],
        shape: GridShape,
        *,
        seed: int,
        epoch: int,
    ) -> None:
        self.shape = shape
        self._each: list[tuple[Augmentation, np.random.Generator]] = []
        for place, augmentation in enumerate(augmentations):
            if isinstance(augmentation, Augmentation):
                random = Stream.AUGMENTATION.random(seed, epoch, place)
                self._each.append((augmentation, random))

    def __call__(self, grids: Cells) -> Cells:
        """Return the changed grids of one more batch; `grids` may be changed in place."""
        for augmentation, random in self._each:
            if isinstance(grids, OneHot):
                changed = augmentation.change_one_hot(grids, self.shape, random)
                if changed is not None:
                    grids = changed
                    continue
                grids = np.asarray(grids)
            elif grids.dtype not in (np.float32, np.float64):
                grids = grids.astype(np.float32)
            grids = augmentation.change(np.ascontiguousarray(grids), self.shape, random)
        return grids


def changed_forms(settings: Training, grids: Cells, shape: GridShape) -> Cells:
    """Return grids of one item as an epoch might change them, each with random numbers of its own.

    Args:
        settings: with the augmentation and the seed.
        grids: `(forms, channels, rows, columns)`; they are not changed.
        shape: the shape of each.
    """
    copies = grids[np.arange(len(grids))]
    return Augmenter(settings.augmentation, shape, seed=settings.seed, epoch=1)(copies)


def refuse_unfit(settings: Training, shape: GridShape, document: Document) -> None:
    """Raise `ShapeError` for all augmentations that do not work on grids of `shape`.

    The problems have the places of the augmentations in `document`, from which the spec was read.
    """
    grids = f". The grids: {shape} (channels x rows x columns)"
    problems = list(_problems(settings, Augmentation, shape, document, grids))
    if problems:
        raise ShapeError(*problems)


def refuse_unfit_things(settings: Training, adapter: Adapter, document: Document) -> None:
    """Raise `SpecError` for all augmentations that cannot change the things of an adapter."""
    problems = list(_problems(settings, ThingAugmentation, adapter, document))
    if problems:
        raise SpecError(*problems)


def _problems(
    settings: Training, kind: type[Any], given: Any, document: Document, end: str = ""
) -> Iterator[Problem]:
    """Yield a problem for each augmentation of a kind that is not for what is `given`."""
    for number, augmentation in enumerate(settings.augmentation):
        if isinstance(augmentation, kind):
            try:
                augmentation.check(given)
            except ValueError as error:
                name = name_of(augmentation, AUGMENTATIONS)
                path = ("training", "augmentation", number)
                yield document.problem(path, f"{name}: {error}{end}")


def changes_things(settings: Training) -> bool:
    """Return whether an augmentation changes things, before grids are made of them."""
    return any(
        isinstance(augmentation, ThingAugmentation) for augmentation in settings.augmentation
    )


def changed_thing(settings: Training, thing: Any, adapter: Adapter, *parts: int) -> Any:
    """Return a thing as the augmentations of things change it, one after the other.

    Args:
        settings: with the augmentation and the seed.
        thing: what the adapter takes.
        adapter: fitted.
        parts: the numbers of the item and of its form, by which random numbers are drawn.

    Raises:
        DataError: it cannot be read, or what an augmentation needs cannot.
    """
    numbered = [
        (place, each)
        for place, each in enumerate(settings.augmentation)
        if isinstance(each, ThingAugmentation)
    ]
    changed = adapter.open_thing(thing, reach=math.prod(each.reach for _, each in numbered))
    for place, each in numbered:
        random = Stream.CHANGED_FORMS.random(settings.seed, *parts, place)
        changed = each.change(changed, adapter, random)
    return changed


def directions(shape: GridShape) -> Iterator[tuple[str, Axis, int]]:
    """Yield "rows" and "columns", each with its axis and with how many there are."""
    yield "rows", shape.row_axis, shape.rows
    yield "columns", shape.column_axis, shape.columns


def unordered_error(axis: Axis, direction: str, harm: str, remedy: str) -> str:
    """Return the error for an augmentation along an axis without order, with the remedy."""
    meaning = f"the {direction} are the axis '{axis.name}', whose order means nothing"
    return f"{meaning}, so {harm}; {remedy}"


def numbers(random: np.random.Generator, items: int, count: int) -> Array:
    """Return `count` numbers from 0 to below 1 for each item, float64 `(count, items)`."""
    return random.random((items, count)).T


def whole_numbers(uniform: Array, low: int, high: int | NDArray[np.intp]) -> NDArray[np.intp]:
    """Return numbers from 0 to below 1 as whole numbers from `low` to `high`, all as likely."""
    result: NDArray[np.intp] = low + (uniform * (high - low + 1)).astype(np.intp)
    return result
