"""Changes to a spec before it is checked, such as `training.epochs=3`."""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

from gridcnn.errors import Problem, SpecError, UserError, quoted, shown
from gridcnn.settings.base import Settings, quote_value
from gridcnn.settings.choice import Choice
from gridcnn.settings.document import Document, Path, key_text, parse, path_text, plain_data

Changes = Iterable[str] | Mapping[str, Any]
"""Texts such as `training.epochs=3`, or a mapping such as `{"training.epochs": 3}`."""

_SIGNS = (",", ";", "|", ":", "'")
"""Characters that are meant literally, as in `decimal=,`; in YAML they need quotes."""
_LIMIT = 80
"""Characters of a change that a message repeats."""


def with_seed(changes: Changes, seed: int | None) -> Changes:
    """Return the changes with `training.seed` among them, if a seed is given."""
    if seed is None:
        return changes
    if isinstance(changes, Mapping):
        return {**changes, "training.seed": seed}
    each = [changes] if isinstance(changes, str) else changes
    return [*each, f"training.seed={seed}"]


def apply(document: Document, changes: Changes, root: type[Settings]) -> None:
    """Put changes into `document`, whose data are settings of the class `root`.

    Changes that are not possible are noted in the document's `problems`.
    """
    if not isinstance(document.data, dict):
        return  # not a mapping, which is reported when the document is checked
    for read in _each(changes):
        try:
            change = read()
            _Writer(document, root, change.origin).write(change)
        except UserError as error:
            document.problems.extend(error.problems)


@dataclass(frozen=True)
class _Change:
    """One setting and its new value; `origin` is what messages call the change."""

    path: Path
    value: Any
    origin: str


def _each(changes: Changes) -> Iterator[Callable[[], _Change]]:
    """Yield for each change a function that reads it, or raises `SpecError`."""
    if isinstance(changes, Mapping):
        for key, value in changes.items():
            yield functools.partial(_change_of, key, value)
    elif not isinstance(changes, Iterable):
        raise SpecError(
            "changes are a mapping, such as {'training.epochs': 5}, or texts such as "
            f"'training.epochs=5'; got {shown(changes)}"
        )
    else:
        for text in [changes] if isinstance(changes, str) else changes:
            yield functools.partial(_parse, text)


def _change_of(key: Any, value: Any) -> _Change:
    origin = f"change of {_short(key_text(key))}"
    path = _key_path(key_text(key), origin)
    return _Change(path, plain_data(value, path), origin)


def _parse(text: Any) -> _Change:
    origin = f"--set {_short(str(text))}"
    key, equals, value = text.partition("=") if isinstance(text, str) else ("", "", "")
    if not equals or not key.strip():
        raise SpecError(
            Problem("write it as key=value, for example training.epochs=3", source=origin)
        )
    path = _key_path(key.strip(), origin)
    if not value.strip():
        return _Change(path, None, origin)
    if value.strip() in _SIGNS:
        return _Change(path, value.strip(), origin)
    try:
        document = parse(value, origin)
        problems = document.problems
    except SpecError as error:
        problems = list(error.problems)
    if problems:
        # Lines and columns within an option would only confuse.
        raise SpecError(*(Problem(each.message, source=origin) for each in problems))
    return _Change(path, document.data, origin)


def _short(text: str) -> str:
    return text if len(text) <= _LIMIT else f"{text[: _LIMIT - 3]}..."


def _key_path(key: str, origin: str) -> Path:
    """Return `stages[1].pooling` or `stages.1.pooling` as a path."""
    parts: list[str | int] = []
    for part in re.sub(r"\[(\d{1,6})\]", r".\1", key).split("."):
        if not part.strip():
            raise SpecError(Problem(f"{quoted(key)} has an empty part between dots", source=origin))
        if "[" in part or "]" in part:
            raise SpecError(
                Problem(
                    f"{quoted(part)} is not a name; an entry of a list is written with its number, "
                    "from 0: stages[0]",
                    source=origin,
                )
            )
        parts.append(int(part) if re.fullmatch(r"[0-9]{1,6}", part) else part)
    if len(parts) > 20:
        raise SpecError(Problem(f"{quoted(key)} leads deeper than any spec", source=origin))
    return tuple(parts)


class _Writer:
    """Writes one change, making the mappings that lead to its place."""

    def __init__(self, document: Document, root: type[Settings], origin: str) -> None:
        self.document = document
        self.root = root
        self.origin = origin

    def fail(self, message: str) -> NoReturn:
        raise SpecError(Problem(message, source=self.origin))

    def write(self, change: _Change) -> None:
        target = self.document.data
        place: Path = ()
        for part, following in zip(change.path, change.path[1:], strict=False):
            key = self.key(target, part, place)
            place = (*place, key)
            before = target[key] if isinstance(target, list) else target.get(key)
            inside = self.open(before, place, following)
            if inside is not before:
                target[key] = inside
                self.document.override(place, self.origin)
            target = inside
        key = self.key(target, change.path[-1], place)
        target[key] = change.value
        self.document.override((*place, key), self.origin)

    def key(self, target: Any, part: str | int, place: Path) -> Any:
        """Return `part` as the key under which the list or mapping at `place` has it."""
        if not isinstance(target, list):
            return str(part)
        if not target:
            self.fail(f"{path_text(place)} is empty; set it as a whole: {path_text(place)}=[...]")
        if not isinstance(part, int) or part >= len(target):
            self.fail(
                f"{path_text(place)} has the entries 0 to {len(target) - 1}; got {shown(part)}"
            )
        return part

    def open(self, inside: Any, place: Path, following: str | int) -> Any:
        """Return the value at `place` as a list or mapping that can hold the key `following`."""
        choice = choice_at(self.root, place)
        if isinstance(inside, Settings):
            inside = (
                choice.write(inside, unset=False)
                if choice
                else inside.model_dump(mode="json", exclude_unset=True)
            )
        if choice is not None and isinstance(inside, str | dict | None):
            return self.chosen(choice, inside, place, following)
        named = choice_at(self.root, place[:-1])
        settings = named.registry.get(str(place[-1])) if named is not None else None
        if _is_settings(settings):
            inside = settings.in_full(inside)
        if inside is None:
            if isinstance(following, int):
                where = path_text(place)
                self.fail(f"{where} has no entries yet; set it as a whole: {where}=[...]")
            return {}
        if not isinstance(inside, dict | list):
            self.fail(f"{path_text(place)} is {quote_value(inside)}, which has nothing inside")
        return inside

    def chosen(self, choice: Choice, inside: Any, place: Path, following: str | int) -> Any:
        """Return the mapping of a choice, in which `following` is the name that is chosen.

        `optimizer: adam` becomes `optimizer: {adam: {}}` when adam's settings are changed, and
        `{sgd: {}}` when those of sgd are.
        """
        name = str(following)
        if name not in choice.registry:
            present = inside if isinstance(inside, str) else next(iter(inside or ()), "")
            self.fail(f"{choice.registry.unknown(name)}{_owners(choice, present, name, place)}")
        return inside if isinstance(inside, dict) and name in inside else {name: {}}


def _owners(choice: Choice, present: str, name: str, place: Path) -> str:
    """Return which entries of a choice take a setting that was given in the place of an entry."""
    taking = [
        entry
        for entry in choice.registry.names()
        if _is_settings(settings := choice.registry.get(entry)) and name in settings.setting_names()
    ]
    # The one that is there already is meant, if possible.
    for entry in [present] if present in taking else taking[:1]:
        return f". A setting of {entry} is changed as {path_text(place)}.{entry}.{name}"
    return ""


def choice_at(cls: type[Settings], path: Path) -> Choice | None:
    """Return the choice that stands at `path` in settings of the class `cls`, if one does."""
    field = cls.model_fields.get(str(path[0])) if path else None
    if field is None:
        return None
    parts = [*field.metadata, *_parts(field.annotation)]
    rest = path[1:]
    if any(typing.get_origin(part) in (tuple, list) for part in parts):
        if not (rest and isinstance(rest[0], int)):
            return None
        rest = rest[1:]
    choice = next((part for part in parts if isinstance(part, Choice)), None)
    if choice is not None:
        if not rest:
            return choice
        chosen = choice.registry.get(str(rest[0]))
        return choice_at(chosen, rest[1:]) if _is_settings(chosen) else None
    settings = next((part for part in parts if _is_settings(part)), None)
    return None if settings is None else choice_at(settings, rest)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield everything that an annotation is made of, outermost first."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)


def _is_settings(value: Any) -> TypeGuard[type[Settings]]:
    return isinstance(value, type) and issubclass(value, Settings)
