"""What a made case is: its data and the right answer, the families that make it, and all cases.

A *family* is a function that makes data of one kind (a ledger, sensor windows, ...) and knows
whether the order of its columns means anything. It has *variants*, which are its parameters, and
seeds. A family of grids also yields its *shuffled* twin: the same data with its columns in a random
order.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
Labels = NDArray[np.int64]
Random = np.random.Generator
Kind = Literal["permutable", "grid", "part", "either"]


@dataclass(frozen=True, order=True)
class Grid:
    """A layout, as the settings `size`, `channels` and `order` of the table adapter."""

    rows: int
    columns: int
    channels: int = 1
    order: str = "rows"

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Grid:
        """Return a layout in one form: a line is one row, and one channel has no `interleaved`."""
        rows, columns = settings["size"]
        if columns == 1:
            rows, columns = 1, rows
        channels = settings.get("channels", 1)
        order = settings.get("order", "rows") if channels > 1 else "rows"
        return cls(rows, columns, channels, order)


@dataclass(frozen=True)
class Answer:
    """The right answer.

    Attributes:
        kind: `permutable`; `grid`; `part` (only columns `part[0]` to `part[1] - 1` are ordered); or
            `either`, if honest people could differ: then no verdict is wrong.
        layouts: the right layouts of a grid; empty if none is known.
        part: the first column of the ordered part, and the column after its last.
        undecided: whether "undecided" is right, too, as the data cannot show the order.
    """

    kind: Kind
    layouts: frozenset[Grid] = frozenset()
    part: tuple[int, int] | None = None
    undecided: bool = False


PERMUTABLE = Answer("permutable")
EITHER = Answer("either", undecided=True)


def grid(*layouts: Grid, undecided: bool = False) -> Answer:
    """Return the answer of a grid with these right layouts."""
    return Answer("grid", frozenset(layouts), undecided=undecided)


def line(columns: int, *more: Grid, undecided: bool = False) -> Answer:
    """Return the answer of columns that are ordered along one line, or as in `more` layouts."""
    return grid(Grid(1, columns), *more, undecided=undecided)


@dataclass(frozen=True)
class Made:
    """Data `X` `(rows, columns)`, its labels `y` `(rows,)` or None, and the answer.

    `X` holds numbers or Python objects (texts, numbers); a long text is one column.
    """

    X: NDArray[Any]
    y: Labels | None
    answer: Answer

    def shuffled(self, random: Random, *, undecided: bool) -> Made:
        """Return the same data with its columns in a random order."""
        order = random.permutation(self.X.shape[1])
        return Made(self.X[:, order], self.y, Answer("permutable", undecided=undecided))


@dataclass(frozen=True)
class Family:
    """A named maker with its variants.

    Attributes:
        name: the name of the maker.
        group: the group of kinds to which it belongs.
        make: makes the data from a generator of random numbers and the parameters of a variant.
        variants: the parameters, one mapping for each variant.
        shuffles: whether its data also comes with shuffled columns.
        undecided_if_shuffled: whether "undecided" is right, too, for shuffled columns.
    """

    name: str
    group: str
    make: Callable[..., Made]
    variants: tuple[dict[str, Any], ...]
    shuffles: bool = False
    undecided_if_shuffled: bool = False

    @property
    def held_out(self) -> bool:
        """Whether thresholds must not be chosen by this family: true of half of all names."""
        return zlib.crc32(self.name.encode()) % 2 == 1


@dataclass(frozen=True)
class Case:
    """One table of a family: a variant with a seed, as made or shuffled."""

    family: Family = field(repr=False)
    variant: int
    seed: int
    shuffled: bool = False

    @property
    def name(self) -> str:
        """Return a name that no other case has."""
        settings = self.family.variants[self.variant]
        told = ", ".join(f"{key}={value}" for key, value in settings.items())
        return f"{self.family.name}({told}){' shuffled' if self.shuffled else ''} seed {self.seed}"

    def made(self) -> Made:
        """Return the data, always the same."""
        key = [zlib.crc32(self.family.name.encode()), self.variant, self.seed]
        random = np.random.default_rng(key)
        made = self.family.make(random, **self.family.variants[self.variant])
        if not self.shuffled:
            return made
        return made.shuffled(random, undecided=self.family.undecided_if_shuffled)


_FAMILIES: dict[str, Family] = {}


def family(
    group: str,
    *variants: dict[str, Any],
    shuffles: bool = False,
    undecided_if_shuffled: bool = False,
) -> Callable[[Callable[..., Made]], Callable[..., Made]]:
    """Return a decorator that adds a maker to the families, under its own name."""

    def add(make: Callable[..., Made]) -> Callable[..., Made]:
        name = make.__name__
        if name in _FAMILIES:
            raise ValueError(f"two families are named {name!r}")
        _FAMILIES[name] = Family(name, group, make, variants, shuffles, undecided_if_shuffled)
        return make

    return add


def families() -> tuple[Family, ...]:
    """Return all families, by group and name."""
    import benchmarks.order.families  # noqa: F401 - each of its files adds families

    return tuple(sorted(_FAMILIES.values(), key=lambda each: (each.group, each.name)))


def cases(chosen: Iterable[Family], seeds: Sequence[int]) -> Iterator[Case]:
    """Yield the cases of some families: every variant with every seed, and the shuffled twins."""
    for each in chosen:
        for variant in range(len(each.variants)):
            for seed in seeds:
                yield Case(each, variant, seed)
                if each.shuffles:
                    yield Case(each, variant, seed, shuffled=True)


def classes_by(
    score: NDArray[Any], random: Random, *, noise: float = 0.3, classes: int = 2
) -> Labels:
    """Return labels that follow a score `(rows,)`: equally large classes, with noise.

    `noise` is in standard deviations of the score.
    """
    noisy = score + noise * (score.std() + 1e-9) * random.normal(size=len(score))
    ranks = np.argsort(np.argsort(noisy))
    return (ranks * classes // len(score)).astype(np.int64)
