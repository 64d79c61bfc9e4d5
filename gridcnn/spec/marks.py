"""Marks of a search space: values of a spec that stand for several, as `{choose: [3, 5]}`.

Only `gridcnn.tuning` tries them; everywhere else a spec with marks is refused.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from gridcnn.errors import SpecError, quoted, suggestion
from gridcnn.registry import plain
from gridcnn.settings.base import Settings, quote_value
from gridcnn.settings.document import Document, Path, path_text
from gridcnn.spec.augmentations import AUGMENTATIONS
from gridcnn.spec.models import ADAPTERS, HEADS, SOURCES, STAGES
from gridcnn.spec.optimizers import OPTIMIZERS, SCHEDULES

Kind = Literal["choose", "range", "log_range", "optional"]
KINDS: tuple[Kind, ...] = ("choose", "range", "log_range", "optional")
MOST_VALUES = 100
"""Most values that a `choose` may list."""
_BESIDE = ("step", "as")
"""Keys beside that of the kind: the distance of a range's values, and a name that marks share."""
_FOREIGN: dict[str, Kind] = {
    **dict.fromkeys(
        ("choice", "choices", "categorical", "values", "gridsearch", "oneof"), "choose"
    ),
    **dict.fromkeys(("uniform", "quniform", "randint", "int", "float", "between"), "range"),
    **dict.fromkeys(
        ("loguniform", "qloguniform", "loguniformvalues", "lograndint", "logrange", "log"),
        "log_range",
    ),
    **dict.fromkeys(("maybe", "sometimes"), "optional"),
}
"""What other systems call the marks, in lower case and without `_`."""


@dataclass(frozen=True)
class Mark:
    """A value that stands for several.

    Attributes:
        kind: which of the four it is.
        values: the values of `choose`; of `optional`, the entry that may be left out.
        low, high: the ends of a range, both included.
        step: the distance of a range's values; None: any in between, of whole numbers all.
        name: what several marks that take the same choice are called; empty for one on its own.
    """

    kind: Kind
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    name: str = ""


def is_mark(value: Any, key: str | int = "") -> bool:
    """Return whether a value of a spec is a mark, well-formed or not.

    `key` is that under which it stands: `image: {range: [0, 1]}` is a setting of `image`.
    """
    if not isinstance(value, Mapping) or sum(kind in value for kind in KINDS) != 1:
        return False
    # A key that no mark takes is a slip beside a list, and a setting of something else otherwise.
    lists = any(isinstance(value.get(kind), list) for kind in KINDS)
    if not lists and not set(value) <= {*KINDS, *_BESIDE}:
        return False
    return not any(_has_setting(str(key), kind) for kind in KINDS if kind in value)


def _has_setting(name: str, setting: str) -> bool:
    """Return whether what is registered under a name has a setting of that name."""
    for registry in (ADAPTERS, STAGES, HEADS, AUGMENTATIONS, OPTIMIZERS, SCHEDULES, SOURCES):
        # A package that cannot be loaded is reported where its name is read.
        with contextlib.suppress(SpecError):
            settings = registry.get(name)
            if isinstance(settings, type) and issubclass(settings, Settings):
                return setting in settings.setting_names()
    return False


def find_marks(value: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield every mark in a value with its place, those inside of others after these."""
    if is_mark(value, path[-1] if path else ""):
        yield path, value
    for key, inside in _containers(value):
        yield from find_marks(inside, (*path, key))


def _containers(value: Any) -> Iterator[tuple[str | int, Any]]:
    """Yield the mappings and lists inside of a value, each with its key."""
    # What is learned is in a spec as well: lists of thousands of numbers, which hold no mark.
    if not isinstance(value, Mapping | list):
        return
    for key, inside in value.items() if isinstance(value, Mapping) else enumerate(value):
        if isinstance(inside, Mapping | list):
            yield key, inside


def refuse_marks(document: Document) -> None:
    """Raise `SpecError` if a spec to be run has a mark: it is a search space."""
    for path, mark in find_marks(document.data):
        kind = next(kind for kind in KINDS if kind in mark)
        of = document.source or "the spec"
        message = (
            f"{quoted(path_text(path))} is {{{kind}: ...}}, so this is a search space and not one "
            f"spec; search it with: gridcnn tune {of}"
        )
        raise SpecError(document.problem(path, message))


def find_foreign(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the place of each mark in the words of another system, and what is wrong with it."""
    if isinstance(value, Mapping):
        names = [key for key in value if isinstance(key, str) and plain(key) in _FOREIGN]
        known = len(value) == 1 and names and isinstance(value[names[0]], list | tuple)
        if known and not is_mark(value, path[-1] if path else ""):
            ours = _FOREIGN[plain(names[0])]
            yield path, f"{quoted(names[0])} of a search space is written {{{ours}: [...]}} here"
        elif {"min", "max"} <= set(value) <= {"min", "max", "step", "distribution"}:
            yield path, "a search space is written {range: [min, max]} here"
    for key, inside in _containers(value):
        yield from find_foreign(inside, (*path, key))


class MarkError(Exception):
    """A mark is wrong; the place is relative to the mark."""

    def __init__(self, place: Path, message: str) -> None:
        self.place = place
        super().__init__(message)


def _fail(message: str, *place: str | int) -> NoReturn:
    raise MarkError(place, message)


def read_mark(value: Mapping[str, Any], *, in_list: bool) -> Mark:
    """Return the mark that a mapping stands for.

    Args:
        value: a mapping for which `is_mark` is true.
        in_list: whether it is an entry of a list, which alone may be left out.

    Raises:
        MarkError: it is not well-formed.
    """
    kind = next(kind for kind in KINDS if kind in value)
    inside, name = value[kind], value.get("as", "")
    for key in value:
        if key != kind and key not in _BESIDE:
            known = [beside for beside in _BESIDE if beside == "as" or kind == "range"]
            _fail(
                f"{kind} takes {' and '.join(map(repr, known))} beside it; got {quoted(str(key))}"
                f"{suggestion(str(key), known)}",
                key,
            )
    if "as" in value and not (isinstance(name, str) and name.strip()):
        _fail(f"'as' takes a name that marks share; got {quote_value(name)}", "as")
    if "step" in value and kind != "range":
        _fail(f"'step' goes with range; {kind} takes none", "step")
    if kind == "optional":
        if not in_list:
            _fail("optional leaves out an entry of a list, such as a stage; nothing else can be")
        if inside is None:
            _fail("optional takes the entry that may be left out, such as {dropout: 0.2}", kind)
        return Mark(kind, (inside,), name=name)
    if kind == "choose":
        return Mark(kind, _read_values(inside), name=name)
    low, high = _read_ends(kind, inside)
    return Mark(kind, low=low, high=high, step=_read_step(value, low, high), name=name)


def _read_values(inside: Any) -> tuple[Any, ...]:
    if not isinstance(inside, list) or not inside:
        _fail(f"choose takes a list of values to choose from; got {quote_value(inside)}", "choose")
    if len(inside) > MOST_VALUES:
        _fail(f"choose takes at most {MOST_VALUES} values; got {len(inside):,}", "choose")
    for number, each in enumerate(inside):
        if any(type(each) is type(before) and each == before for before in inside[:number]):
            _fail(f"choose has the value {quote_value(each)} twice", "choose", number)
    return tuple(inside)


def _read_ends(kind: Kind, inside: Any) -> tuple[float, float]:
    if not (isinstance(inside, list) and len(inside) == 2 and all(map(_is_number, inside))):
        _fail(f"{kind} takes two numbers, [lowest, highest]; got {quote_value(inside)}", kind)
    low, high = inside
    if low > high:
        _fail(
            f"{kind} goes from the lowest to the highest; got {low:g} before {high:g}, so write "
            f"[{high:g}, {low:g}]",
            kind,
        )
    if kind == "log_range" and low <= 0:
        _fail(
            f"log_range starts above 0, such as 0.0001; got {low:g}, which has no logarithm",
            kind,
            0,
        )
    return low, high


def _read_step(value: Mapping[str, Any], low: float, high: float) -> float | None:
    step = value.get("step")
    if step is None:
        return None
    if not _is_number(step) or step <= 0:
        _fail(f"'step' must be a number above 0; got {quote_value(step)}", "step")
    if step > high - low:
        _fail(f"'step' (={step:g}) is larger than the range from {low:g} to {high:g}", "step")
    if (high - low) / step > 1e6:
        _fail(f"'step' (={step:g}) divides the range into more than a million values", "step")
    assert isinstance(step, int | float)
    return step


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


FIXED: dict[Path, str] = {
    ("data",): "the data stays as it is, so that all trials are measured by the same items",
    ("name",): "a search has one name",
    ("description",): "it changes no result",
    ("check",): "it changes no result",
    ("training", "select_by"): "it is what trials are compared by",
    ("training", "minutes"): "trials have a number of epochs, so that they can be compared",
    ("training", "seed"): (
        "a result by a lucky seed is not a better one; `gridcnn run --repeat 5` measures how much "
        "it varies"
    ),
}
"""Places where no mark may stand, and why."""


def why_fixed(path: Path) -> str:
    """Return why no mark may stand at a place; empty if one may."""
    return next((why for place, why in FIXED.items() if path[: len(place)] == place), "")
