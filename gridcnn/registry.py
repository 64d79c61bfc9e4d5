"""Registries: names that a spec may use, each loaded when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gridcnn.errors import SpecError, UnknownNameError, listed, quoted, suggestion


class Registry(Mapping[str, Any]):
    """A mapping from names to objects given as `module:object`, open to entry points.

    `kind` is what the names stand for, in the singular ("stage"). Other packages add names in the
    entry-point group `gridcnn.<kind>s`, spaces as underscores. A built-in name cannot be replaced.
    `foreign` are other systems' names for ours, in lower case and without '_', and `absent` those
    of what is not here, each with a sentence on what to do; `unlisted` names work, but are not
    shown to users. A `closed` registry takes no names from other packages.
    """

    def __init__(
        self,
        kind: str,
        built_in: Mapping[str, str],
        *,
        foreign: Mapping[str, str] | None = None,
        absent: Mapping[str, str] | None = None,
        unlisted: frozenset[str] = frozenset(),
        closed: bool = False,
    ) -> None:
        self.kind = kind
        self._unlisted = unlisted
        self._closed = closed
        self._places = dict(built_in)
        self._foreign = dict(foreign or {})
        self._absent = dict(absent or {})
        self._loaded: dict[str, Any] = {}
        self._others: dict[str, EntryPoint] | None = None

    @property
    def group(self) -> str:
        """The entry-point group that adds names."""
        return f"gridcnn.{self.kind.replace(' ', '_')}s"

    def _entry_points(self) -> dict[str, EntryPoint]:
        if self._others is None:
            points = () if self._closed else entry_points(group=self.group)
            by_name = {point.name: point for point in points}
            self._others = {k: v for k, v in by_name.items() if k not in self._places}
        return self._others

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            if name in self._places:
                module, _, attribute = self._places[name].partition(":")
                self._loaded[name] = getattr(importlib.import_module(module), attribute)
            elif name in self._entry_points():
                self._loaded[name] = self._load(self._entry_points()[name])
            else:
                raise UnknownNameError(self.unknown(name))
        return self._loaded[name]

    def _load(self, point: EntryPoint) -> Any:
        try:
            return point.load()
        except Exception as error:
            owner = point.dist.name if point.dist else point.value
            raise SpecError(
                f"the {self.kind} {quoted(point.name)} of the package {owner} cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error

    def get(self, name: str, default: Any = None) -> Any:
        """Return the object that `name` stands for; `default` if there is none."""
        if name not in self:
            return default
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places or name in self._entry_points()

    def __iter__(self) -> Iterator[str]:
        yield from self._places
        yield from self._entry_points()

    def __len__(self) -> int:
        return len(self._places) + len(self._entry_points())

    def names(self) -> list[str]:
        """Return the names to list in messages and documentation."""
        return [name for name in self if name not in self._unlisted]

    def unknown(self, name: str) -> str:
        """Return the error sentence for an unknown name."""
        known_as, why = self._foreign.get(plain(name)), self._absent.get(plain(name))
        hint = suggestion(name, self.names())
        if known_as or why:
            hint = f"; here it is written '{known_as}'." if known_as else f"; {why}."
        article = "an" if self.kind[0] in "aeiou" else "a"
        known = listed(self.names())
        return f"{quoted(name)} is not {article} {self.kind}{hint or '.'} Known: {known}"


def plain(name: str) -> str:
    """Return a name as other systems' names are compared: lower case, without `_`, `-`, spaces."""
    return name[:100].lower().translate({ord(sign): None for sign in "_- "})
