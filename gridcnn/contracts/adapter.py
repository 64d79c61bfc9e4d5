"""The contract of an adapter: settings that turn a raw thing into one grid."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError, Problem, first_told, together
from gridcnn.grid import Cells, Grids, GridShape, OneHot
from gridcnn.settings.base import Settings
from gridcnn.streams import Stream

Things = Sequence[Any] | NDArray[Any]
"""Raw things: a list of anything that an adapter takes, or one array with an item in each place of
its first dimension."""

_LONGEST_NAME = 300
"""The largest number of characters of a text that an error uses as a name; of a longer path, both
ends stay."""


@dataclass(frozen=True)
class Adapted:
    """The grids of many items, and the problems.

    Attributes:
        grids: the grids of the things that could be read, in their order; an array, or one-hot.
        kept: the indices of these items among those given, int64 `(items,)`.
        problems: one for each thing that could not be read.
    """

    grids: Grids
    kept: NDArray[np.int64]
    problems: tuple[Problem, ...]


class Adapter(Settings, abc.ABC):
    """Settings that turn a raw item into a grid; what is learned from data is a setting too."""

    suffixes: ClassVar[frozenset[str]] = frozenset()
    """Endings of the files that it reads, lower case, with the dot."""
    texts: ClassVar[bool] = False
    """Whether an item is itself a text, a str, and not the path of a file."""
    numbers: ClassVar[bool] = False
    """Whether a row of numbers, as a table has it, may be a thing."""
    makes_order: ClassVar[bool] = True
    """Whether neighbouring cells are related whatever the data, as the pixels of a picture are."""
    repeatable: ClassVar[bool] = True
    """Whether a grid depends only on the settings and the item (of a file: its content and its
    ending). Such grids are kept on disk, and are not made again."""
    threads: ClassVar[bool] = False
    """Whether several threads may make grids with it at the same time."""
    processes: ClassVar[bool] = False
    """Whether forked processes may make grids with it: it changes nothing while it does, and calls
    no library with threads of its own."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """The packages, by the names under which they are installed, on whose versions the grids
    depend, besides gridcnn and NumPy."""

    @property
    def takes_missing(self) -> bool:
        """Whether an item may have missing numbers, which are NaN."""
        return False

    def fitted(self, things: Things) -> Self:  # noqa: ARG002 - for those that learn
        """Return an adapter with all settings filled in that are learned from training items."""
        return self

    def other_forms(
        self,
        thing: Any,  # noqa: ARG002 - for those that know of any
        random: np.random.Generator,  # noqa: ARG002 - the same
    ) -> Sequence[Any]:
        """Return other forms of a training item with the same meaning, to train on as well.

        A thing that cannot be read has none. What is drawn at random is drawn from `random`.
        """
        return ()

    def open_thing(self, thing: Any, *, reach: float = 1.0) -> Any:  # noqa: ARG002 - for files
        """Return a thing as augmentations of things change it, which can be adapted as well.

        `reach` says how much of a long thing is needed, as a multiple of what is used of it.

        Raises:
            DataError: it cannot be read.
        """
        return thing

    def takes_array(self, dimensions: int) -> bool:  # noqa: ARG002 - for those that tell
        """Return whether one item may be an array of numbers with this number of dimensions."""
        return not self.texts

    def remarks(
        self,
        things: Things,  # noqa: ARG002 - for those that know of any
        grids: Cells,  # noqa: ARG002 - the same
        *,
        training: bool = False,  # noqa: ARG002 - the same
    ) -> Mapping[str, int]:
        """Return what looks wrong about things that can be read, and about how many of them.

        Each text follows "3 items " and says what to do, as in "with silence alone; leave them
        out".

        Args:
            things: the things.
            grids: what they became, `(items, channels, rows, columns)` or one-hot.
            training: whether they are those that a model is trained on, so that other settings may
                be advised.
        """
        return {}

    def laid_out(self, things: Things) -> NDArray[Any] | None:  # noqa: ARG002 - for those that do
        """Return things as grids of their own numbers, `(items, channels, rows, columns)`.

        By these it is judged whether their order means anything, so that neither scaling nor what
        stands in for a missing number (NaN here) matters. None if the grids are more than numbers
        of the things, each in its place: then the grids are judged.

        Args:
            things: things that this fitted adapter can adapt.
        """
        return None

    def is_lone(self, array: NDArray[Any]) -> bool:
        """Return whether an array of numbers is a single item, and not a stack of items."""
        return array.ndim <= 2

    def unlearned(self, what: str, remedy: str) -> DataError:
        """Return the error for a setting that is neither learned nor given."""
        return DataError(f"the {self.title} adapter has not learned {what} yet; train it, {remedy}")

    def literal(self) -> Self:
        """Return the adapter that only resizes items, without any search in them.

        Its grids are compared cell by cell, to show what the rest of a pipeline adds.
        """
        return self

    @abc.abstractmethod
    def shape(self) -> GridShape:
        """Return the shape of every grid that it makes; raise `DataError` before it is fitted."""

    @abc.abstractmethod
    def adapt(self, thing: Any) -> NDArray[np.float32]:
        """Return one thing as float32 `(channels, rows, columns)`.

        Raises:
            DataError: it cannot be read; the message says why, not which thing it was.
        """

    def adapt_all(
        self,
        things: Things,
        *,
        names: Sequence[str] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> Adapted:
        """Return all things as grids, and a problem for each that cannot be read.

        `names` are what problems call the items; `advance` is called with the number of items done
        since the last call.
        """
        shape = self.shape()
        values = np.empty((len(things), *shape.sizes), np.float32)
        read, problems = fill(values, self.adapt, things, names=names, advance=advance)
        return Adapted(Grids(values[: len(read)], shape), read, problems)

    def grids(self, things: Things, *, names: Sequence[str] | None = None) -> Grids:
        """Return all things as grids; raise `DataError` that names what is bad."""
        adapted = self.adapt_all(things, names=names)
        if adapted.problems:
            raise unreadable(adapted.problems)
        return adapted.grids


@dataclass(frozen=True)
class Fitted:
    """An adapter that has learned all that it needs, and the shape of every grid that it makes."""

    adapter: Adapter
    shape: GridShape

    @classmethod
    def of(cls, adapter: Adapter) -> Self:
        """Return an adapter with its shape; raise `DataError` if it is not fitted."""
        return cls(adapter, adapter.shape())


class OneHotAdapter(Adapter):
    """An adapter whose grids have one channel and at most a single 1 in each column.

    Its grids are kept as the row of each 1, which takes a small part of the memory.
    """

    @abc.abstractmethod
    def indices(self, thing: Any) -> NDArray[np.int32]:
        """Return for one thing the row of each column's 1, int32 `(columns,)`; -1 for no 1.

        Raises:
            DataError: it cannot be read; the message says why, not which thing it was.
        """

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        """Return one thing as float32 `(1, rows, columns)`; raise `DataError` as `indices` does."""
        return OneHot(self.indices(thing)[None], self.shape().rows)[0]

    def adapt_all(
        self,
        things: Things,
        *,
        names: Sequence[str] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> Adapted:
        """Return all things as one-hot grids, and a problem for each that cannot be read."""
        shape = self.shape()
        values = np.empty((len(things), shape.columns), np.int32)
        read, problems = fill(values, self.indices, things, names=names, advance=advance)
        return Adapted(Grids(OneHot(values[: len(read)], shape.rows), shape), read, problems)


class Places(Protocol):
    """Places for what items are read as: an array with one for each item, or what looks like it."""

    def __setitem__(self, index: int, value: Any, /) -> None:
        """Keep what the item is read as that gets a place."""


def fill(
    values: Places,
    read: Callable[[Any], Any],
    things: Things,
    *,
    numbers: range | None = None,
    names: Sequence[str] | None = None,
    advance: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.int64], tuple[Problem, ...]]:
    """Fill `values` with what things are read as, in order.

    Return the indices of the things that could be read, and a problem for each of the others.

    Args:
        values: a place for each thing; those of the things that cannot be read remain at the end.
        read: returns what a thing is read as, or raises `DataError`.
        things: all things.
        numbers: which of them are read; None: all.
        names: what problems call the things.
        advance: is called with the number of things done since the last call.
    """
    kept: list[int] = []
    problems: list[Problem] = []
    for index in range(len(things)) if numbers is None else numbers:
        thing = things[index]
        try:
            values[len(kept)] = read(thing)
            kept.append(index)
        except DataError as error:
            name = names[index] if names is not None else describe(thing, index)
            problems.extend(Problem(found.message, source=name) for found in error.problems)
        if advance is not None:
            advance(1)
    return np.array(kept, np.int64), tuple(problems)


def other_forms(
    adapter: Adapter, things: Things, chosen: NDArray[np.int64], *, seed: int
) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the other forms of the chosen things, and which thing each is a form of.

    The second is int64 `(forms,)`, indices into `things`. A thing's forms depend on its index and
    the seed alone, and not on what else is chosen.
    """
    forms: list[Any] = []
    origins: list[int] = []
    if type(adapter).other_forms is not Adapter.other_forms:
        for index in chosen.tolist():
            random = Stream.OTHER_FORMS.random(seed, index)
            forms_of_thing = adapter.other_forms(things[index], random)
            forms.extend(forms_of_thing)
            origins.extend([index] * len(forms_of_thing))
    return forms, np.array(origins, np.int64)


def unreadable(problems: Sequence[Problem]) -> DataError:
    """Return the error for the problems of items; a problem that several share is listed once."""
    return DataError(*first_told(together(problems)))


def pick(things: Things, chosen: NDArray[np.int64]) -> Things:
    """Return the chosen items: an array if `things` is one, else a list."""
    if isinstance(things, np.ndarray):
        part: NDArray[Any] = things[chosen]
        return part
    # One by one: not every sequence can be sliced.
    return [things[index] for index in chosen]


def can_be_forked(things: Things) -> bool:
    """Return whether a forked process reads the same items: paths, bytes or arrays.

    It would share the place in what is open already, such as a file, or a picture not yet loaded.
    """
    if isinstance(things, np.ndarray):
        return things.dtype.kind != "O"
    closed = (str, bytes, os.PathLike, np.ndarray)
    kinds = set(map(type, things)) if isinstance(things, list | tuple) else {object}
    return all(issubclass(kind, closed) for kind in kinds)


class Selection(Sequence[Any]):
    """Chosen items, which are looked up when needed: nothing is copied.

    Args:
        things: all things.
        chosen: the indices of those that are chosen, int64 `(things,)`.
    """

    def __init__(self, things: Things, chosen: NDArray[np.int64]) -> None:
        self._things, self._chosen = things, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: Any) -> Any:
        """Return a thing, or a list of them."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self._things[int(self._chosen[index])]


def is_one(thing: Any) -> bool:
    """Return whether a value is one raw thing: a text, a path, encoded bytes, a picture, a file."""
    if isinstance(thing, str | bytes | bytearray | os.PathLike):
        return True
    # A data frame may have a column of such a name, which is not callable.
    return callable(getattr(thing, "getpixel", None)) or callable(getattr(thing, "read", None))


def is_sparse(given: Any) -> bool:
    """Return whether a value is a sparse matrix."""
    # By its looks, so that SciPy is not imported for those who do not use it.
    return hasattr(given, "toarray") and hasattr(given, "nnz")


def describe(thing: Any, index: int) -> str:
    """Return the name that errors use for an item without one."""
    # A text without a visible character cannot be a name, and neither can a whole page.
    if isinstance(thing, str) and not thing.strip():
        return f"item {index}"
    if isinstance(thing, str) and len(thing) > _LONGEST_NAME:
        return f"{thing[: _LONGEST_NAME // 2]}...{thing[-_LONGEST_NAME // 2 :]}"
    return os.fspath(thing) if isinstance(thing, str | os.PathLike) else f"item {index}"
