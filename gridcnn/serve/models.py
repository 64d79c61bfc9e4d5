"""The models of a server, by name; each can be loaded again while it answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import SpecError, UserError, listed, quoted, suggestion
from gridcnn.model import Model, load
from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal
from gridcnn.serve.served import Served
from gridcnn.version import VERSION

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_OTHERS = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Place:
    """Where a model is, and what clients call it; None: as its spec calls it."""

    path: Path
    name: str | None = None

    @classmethod
    def of(cls, text: str) -> Place:
        """Return the place that `PATH` or `NAME=PATH` means; raise `SpecError` for a bad name."""
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            return cls(Path(text))
        if not _NAME.fullmatch(name):
            raise SpecError(
                f"a model cannot be called {quoted(name)}: a name has letters, digits, '_', '-' "
                "and '.', and begins with a letter or a digit"
            )
        return cls(Path(path), name)


class Models:
    """Models by name, in the order in which they were given; the first answers `/predict`.

    Args:
        places: where they are.
        limits: those of the server.
        engine, threads: as for `gridcnn.load`.

    Raises:
        SpecError: two models have the same name.
        UserError: one cannot be loaded.
    """

    def __init__(
        self,
        places: Sequence[Place],
        limits: Limits,
        *,
        engine: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._limits, self._engine, self._threads = limits, engine, threads
        self._places: dict[str, Place] = {}
        self._served: dict[str, Served] = {}
        for place in places:
            model = self._load(place)
            name = place.name or _OTHERS.sub("-", model.spec.name or "model").strip("-.") or "model"
            if name in self._served:
                raise SpecError(
                    f"two models are called {quoted(name)}; give one a name: NAME={place.path}"
                )
            self._places[name] = place
            self._served[name] = self._serve(name, model)

    def _load(self, place: Place) -> Model:
        return load(place.path, engine=self._engine, threads=self._threads)

    def _serve(self, name: str, model: Model) -> Served:
        served = Served(name, model, self._limits)
        served.warm()
        return served

    def __iter__(self) -> Iterator[Served]:
        return iter(tuple(self._served.values()))

    @property
    def names(self) -> list[str]:
        """The names, in order."""
        return list(self._served)

    def get(self, name: str | None) -> Served:
        """Return a model; None: the first. Raises `Refusal` if there is no such model."""
        if name is None:
            return next(iter(self._served.values()))
        if name in self._served:
            return self._served[name]
        near = suggestion(name, self.names)
        more = f"{near} There are: " if near else "; there are: "
        raise Refusal(404, f"there is no model {quoted(name)}{more}{listed(self.names)}")

    def reload(self) -> Mapping[str, UserError | None]:
        """Load all models again; return the error of each that stays as it was.

        Called by a thread of its own. Requests that are being answered keep the model that they
        began with.
        """
        errors: dict[str, UserError | None] = {}
        for name, place in self._places.items():
            try:
                self._served[name] = self._serve(name, self._load(place))
                errors[name] = None
            except UserError as error:
                errors[name] = error
        return errors


_OF_INPUTS = (
    *("polarity", "max_pixels"),
    *("sample_rate", "duration"),
    *("length", "unit", "cut"),
    *("means", "low", "high"),
)
"""Settings of adapters by which the page knows what to let a user draw, record or type."""


def _input(adapter: Adapter) -> dict[str, Any]:
    known = type(adapter).model_fields
    return {name: getattr(adapter, name) for name in _OF_INPUTS if name in known}


def describe(served: Served) -> dict[str, Any]:
    """Return what clients may know of a model: nothing of where it is, or of its data."""
    model = served.model
    shape = model.shape
    about: dict[str, Any] = {
        "name": served.name,
        "description": model.spec.description or "",
        "takes": served.intake.takes,
        "classes": list(model.classes),
        "several": model.several,
        "grid": {
            "channels": shape.channels,
            "rows": shape.rows,
            "columns": shape.columns,
        },
        "adapter": served.adapter.title,
        "endings": sorted(served.adapter.suffixes),
        "parameters": model.network.parameters,
        "version": VERSION,
    }
    about["input"] = _input(served.adapter)
    if model.thresholds is not None:
        about["thresholds"] = list(model.thresholds)
    return about
