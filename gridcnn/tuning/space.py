"""Search spaces: a spec in which marks stand for several values, and what fills them in.

A space is walked once to find its dimensions, and once for each trial to fill them in. The filled
spec keeps for each of its values the place in the space where it comes from::

    space    stages: [{optional: {dropout: {range: [0, 0.5]}}}, pooling]
    asked    stages[0].optional -> True, stages[0].optional.dropout -> 0.2
    filled   stages: [{dropout: 0.2}, pooling]      stages[0] from stages[0].optional
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gridcnn.errors import Problem, SpecError, quoted
from gridcnn.settings.base import quote_value
from gridcnn.settings.document import Document, Path, path_text
from gridcnn.spec.load import read_problems, sort_problems, validate
from gridcnn.spec.marks import (
    Kind,
    Mark,
    MarkError,
    find_foreign,
    is_mark,
    read_mark,
    why_fixed,
)
from gridcnn.spec.models import Spec

Value = bool | int | float
"""The value of a dimension: of `choose` the number of the value, of `optional` whether it stays."""
Label = bool | int | float | str | None
"""What a value is called: a number or a word is itself, settings are a text."""
_MANY = 10_000
"""The largest number of specs that are checked before the first trial."""


@dataclass(frozen=True)
class Dimension:
    """Something that a search varies.

    Attributes:
        name: what it is called: its place in the space, or the name that marks share.
        kind: `choose`, `range`, `log_range` or `optional`.
        labels: what the values of `choose` are called.
        low, high: the ends of a range, both included.
        step: the distance of its values, or None.
        whole: whether its values are whole numbers.
        parents: which values of other dimensions it needs, `(name, value)`: one inside of a value
            of `choose` is asked for only if that is chosen.
    """

    name: str
    kind: Kind
    labels: tuple[Label, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    whole: bool = False
    parents: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        if self.kind == "choose":
            return f"{self.name}: {', '.join(map(label_text, self.labels))}"
        if self.kind == "optional":
            return f"{self.name}: in or out"
        about = ", evenly by its logarithm" if self.kind == "log_range" else ""
        about += f", by steps of {self.step:g}" if self.step is not None else ""
        return f"{self.name}: {self.low:g} to {self.high:g}{about}"

    def label(self, value: Value) -> Label:
        """Return what a value is called."""
        if self.kind == "choose":
            return self.labels[int(value)]
        if self.kind == "optional":
            return "in" if value else "out"
        return value

    @property
    def middle(self) -> Value:
        """A value in the middle; of `choose` the first, of `optional` that it stays."""
        if self.kind == "choose":
            return 0
        if self.kind == "optional":
            return True
        if self.kind == "log_range":
            value = math.sqrt(self.low * self.high)
        elif self.step is not None:
            value = self.low + self.step * (round((self.high - self.low) / self.step) // 2)
        else:
            value = (self.low + self.high) / 2
        return round(value) if self.whole else value

    @property
    def extremes(self) -> tuple[Value, ...]:
        """Values that are tried before a search: all of `choose`, else the ends."""
        if self.kind == "choose":
            return tuple(range(len(self.labels)))
        if self.kind == "optional":
            return (True, False)
        return (self.low, self.high)


Pick = Callable[[Dimension], Value]
"""Chooses the value of a dimension."""


@dataclass
class Filled(Document):
    """A document whose values come from a space; its problems are at their places there."""

    space: Document = field(default_factory=lambda: Document(None))
    origins: dict[Path, Path] = field(default_factory=dict)

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at the place of the space where the value comes from."""
        path = self._as_written(path)
        for length in range(len(path), -1, -1):
            if path[:length] in self.origins:
                return self.space.problem((*self.origins[path[:length]], *path[length:]), message)
        return self.space.problem(path, message)


class Space:
    """A spec in which marks stand for several values.

    Attributes:
        document: the spec with its marks.
        dimensions: everything that varies, by name, in the order of the spec.
    """

    def __init__(
        self, document: Document, marks: Mapping[Path, Mark], dimensions: Mapping[Path, Dimension]
    ) -> None:
        self.document = document
        self._marks = dict(marks)
        self._at = dict(dimensions)
        self.dimensions = {dimension.name: dimension for dimension in self._at.values()}

    def fill(self, pick: Pick) -> Filled:
        """Return the spec with the values that `pick` chooses, which is asked once for each."""
        chosen: dict[str, Value] = {}

        def choose(dimension: Dimension) -> Value:
            if dimension.name not in chosen:
                chosen[dimension.name] = pick(dimension)
            return chosen[dimension.name]

        filled = Filled(None, self.document.source, space=self.document)
        filled.data = self._fill(self.document.data, (), (), choose, filled)
        return filled

    def spec(self, values: Mapping[str, Value]) -> Spec:
        """Return the spec with the given values of all dimensions that it asks for.

        Raises:
            SpecError: they do not go together.
        """
        return validate(self.fill(lambda dimension: values[dimension.name]))

    def digest(self) -> str:
        """Return a text that changes with what is searched, and with nothing else."""
        about = [dataclasses.astuple(dimension) for dimension in self.dimensions.values()]
        content = json.dumps([self.document.data, about], sort_keys=True, default=str)
        return hashlib.sha256(content.encode("utf-8", "backslashreplace")).hexdigest()

    def _fill(self, value: Any, path: Path, place: Path, pick: Pick, filled: Filled) -> Any:
        """Return the value at `path` of the space, which stands at `place` of the spec."""
        filled.origins[place] = path
        filled.places[place] = (0, 0)
        mark = self._marks.get(path)
        if mark is not None:
            picked = pick(self._at[path])
            if mark.kind == "choose":
                inside = (*path, "choose", int(picked))
                return self._fill(mark.values[int(picked)], inside, place, pick, filled)
            ends = {mark.high: 1, mark.low: 0}
            if picked in ends:  # an end that the setting does not take is reported at its place
                filled.origins[place] = (*path, mark.kind, ends[float(picked)])
            return picked
        if isinstance(value, Mapping):
            return {
                key: self._fill(inside, (*path, key), (*place, key), pick, filled)
                for key, inside in value.items()
            }
        if isinstance(value, list):
            entries: list[Any] = []
            for number, inside in enumerate(value):
                at = (*path, number)
                mark = self._marks.get(at)
                if mark is not None and mark.kind == "optional":
                    if not pick(self._at[at]):
                        continue
                    at = (*at, "optional")
                entry = inside if mark is None or mark.kind != "optional" else mark.values[0]
                entries.append(self._fill(entry, at, (*place, len(entries)), pick, filled))
            return entries
        return value

    # Checking

    def samples(self) -> Iterator[dict[str, Value]]:
        """Yield values to check a space by: the middle of all, and each other value once."""
        yield self._with({})
        count = 0
        for dimension in self.dimensions.values():
            parents = dict(dimension.parents)
            for value in dimension.extremes:
                if value != dimension.middle and count < _MANY:
                    count += 1
                    yield self._with({**parents, dimension.name: value})
            if parents:
                yield self._with(parents)

    def _with(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {**{name: each.middle for name, each in self.dimensions.items()}, **values}

    def problems(self, values: Mapping[str, Value]) -> list[Problem]:
        """Return what is wrong with the spec that has these values; nothing if it is right."""
        return read_problems(self.fill(lambda dimension: values[dimension.name]))

    def refuse_wrong(self) -> None:
        """Raise `SpecError` with every problem of every value, as far as one spec shows it."""
        mistakes = [problem for values in self.samples() for problem in self.problems(values)]
        if mistakes:
            raise SpecError(*sort_problems(list(dict.fromkeys(mistakes))))


def read_space(document: Document) -> Space:
    """Return the space of a spec with marks.

    Raises:
        SpecError: a mark, or a value that it stands for, is wrong; all problems are listed, each
            with its place.
    """
    reader = _Reader(document)
    reader.walk(document.data, (), (), in_list=False)
    problems = [*document.problems, *reader.problems]
    if problems:
        raise SpecError(*sort_problems(problems))
    space = Space(document, reader.marks, reader.dimensions)
    space = _with_kinds_of_numbers(space)
    space.refuse_wrong()
    return space


def has_marks(document: Document) -> bool:
    """Return whether a document is a search space, or is meant to be one."""
    reader = _Reader(document)
    reader.walk(document.data, (), (), in_list=False)
    return bool(reader.marks or reader.problems)


def _place_in_spec(path: Path) -> Path:
    """Return where the value at a place of a space stands in a spec, without the marks around it.

    `training.choose[1].seed` is `training.seed`.
    """
    place: list[str | int] = []
    parts = iter(path)
    for part in parts:
        if part == "choose":
            next(parts, None)  # the number of the value
        elif part != "optional":
            place.append(part)
    return tuple(place)


class _Reader:
    """Collects the marks of a document, their dimensions, and what is wrong with them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.marks: dict[Path, Mark] = {}
        self.dimensions: dict[Path, Dimension] = {}
        self.problems = [
            document.problem(place, message)
            for place, message in find_foreign(document.data)
            if not why_fixed(place)
        ]
        self.shared: dict[str, Path] = {}

    def walk(
        self, value: Any, path: Path, parents: tuple[tuple[str, Value], ...], *, in_list: bool
    ) -> None:
        """Collect the marks in the value at `path`."""
        if is_mark(value, path[-1] if path else ""):
            self.mark(value, path, parents, in_list=in_list)
        elif isinstance(value, Mapping):
            for key, inside in value.items():
                self.walk(inside, (*path, key), parents, in_list=False)
        elif isinstance(value, list):
            for number, inside in enumerate(value):
                self.walk(inside, (*path, number), parents, in_list=True)

    def mark(
        self,
        value: Mapping[str, Any],
        path: Path,
        parents: tuple[tuple[str, Value], ...],
        *,
        in_list: bool,
    ) -> None:
        why = why_fixed(_place_in_spec(path))
        if why:
            message = f"{quoted(path_text(path))} cannot be searched: {why}"
            self.problems.append(self.document.problem(path, message))
            return
        try:
            mark = read_mark(value, in_list=in_list)
        except MarkError as error:
            self.problems.append(self.document.problem((*path, *error.place), str(error)))
            return
        name = mark.name or path_text((*path, "optional") if mark.kind == "optional" else path)
        dimension = Dimension(
            name,
            mark.kind,
            labels=tuple(map(_label, mark.values)) if mark.kind == "choose" else (),
            low=mark.low,
            high=mark.high,
            step=mark.step,
            parents=parents,
        )
        first = self.shared.setdefault(name, path)
        if first != path:
            dimension = self.join(dimension, mark, first, path)
        self.marks[path], self.dimensions[path] = mark, dimension
        for number, inside in enumerate(mark.values):
            at = (*path, "choose", number) if mark.kind == "choose" else (*path, "optional")
            chosen: Value = number if mark.kind == "choose" else True
            self.walk(inside, at, (*parents, (name, chosen)), in_list=False)

    def join(self, dimension: Dimension, mark: Mark, first: Path, path: Path) -> Dimension:
        """Return the dimension of the first mark of a name; note if this one differs from it."""
        other, theirs = self.dimensions[first], self.marks[first]
        alike = (mark.kind, len(mark.values), mark.low, mark.high, mark.step) == (
            *(theirs.kind, len(theirs.values), theirs.low, theirs.high, theirs.step),
        )
        if not alike:
            message = (
                f"marks that share the name {quoted(dimension.name)} take the same choice: give "
                "them the same kind, and the same ends or as many values"
            )
            self.problems.append(self.document.problem((*path, "as"), message))
        # It is asked for wherever one of its marks is.
        return dataclasses.replace(other, parents=() if not dimension.parents else other.parents)


def _label(value: Any) -> Label:
    """Return a value of `choose` as a search calls it."""
    return value if isinstance(value, bool | int | float | str | None) else _short(value)


def _short(value: Any, key: str = "") -> str:
    """Return a value in the notation of a spec, with `...` for the marks in it."""
    if is_mark(value, key):
        return "..."
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_short(each, name)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return value if isinstance(value, str) else quote_value(value)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name the shortest end of it that no other name has: `filters`."""
    known = list(names)
    ends = {name: _ends(name) for name in known}
    short = {}
    for name in known:
        others = {end for other in known if other != name for end in ends[other]}
        short[name] = next((end for end in ends[name] if end not in others), name)
    return short


def _ends(name: str) -> list[str]:
    """Return the ends of a path, the shortest first; the marks in it are not part of them.

    No end begins with the number of a stage inside of another one: `stages[0]` is the first stage
    of the spec.
    """
    parts = [part for part in name.split(".") if part != "optional"]
    starts = range(len(parts) - 1, -1, -1)
    return [
        ".".join(parts[start:])
        for start in starts
        if not start or not parts[start].startswith("stages[")
    ]


def label_text(label: Label) -> str:
    """Return what a value is called as a text."""
    if isinstance(label, float):
        return f"{label:g}"
    return label if isinstance(label, str) else quote_value(label)


def _with_kinds_of_numbers(space: Space) -> Space:
    """Return the space in which it is known which ranges are of whole numbers.

    Those are ranges with whole ends, and no other step, of a setting that takes no fractions.
    """
    at = {}
    # The middle of a range may be a fraction as long as this is not known.
    ranges = ("range", "log_range")
    lows = space._with(
        {name: each.low for name, each in space.dimensions.items() if each.kind in ranges}
    )
    for path, dimension in space._at.items():
        whole = dimension.kind in ranges and all(
            isinstance(each, int) for each in (dimension.low, dimension.high, dimension.step or 1)
        )
        if whole and dimension.step is None:
            base = {**lows, **dict(dimension.parents)}
            number = min(dimension.low + 0.5, max(dimension.high, dimension.low + 0.25))
            before = space.problems(base)
            after = space.problems({**base, dimension.name: number})
            whole = any(problem not in before for problem in after)
        at[path] = dataclasses.replace(dimension, whole=whole)
    return Space(space.document, space._marks, at)
