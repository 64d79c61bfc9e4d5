"""Choices: a place in a spec that takes one thing by name, as `name` or `name: {settings}`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gridcnn.errors import UnknownNameError, listed, shown
from gridcnn.registry import Registry
from gridcnn.spec.settings import Settings, explained_error


class Choice:
    """Marks a field that takes one entry of a registry: `Annotated[Stage, Choice(STAGES)]`.

    Accepted are a name, a mapping of one name to its settings, and a settings object. Every entry
    of the registry is a subclass of `Settings`. Where `free` names an entry, text that is no
    registered name becomes that entry: a data source is a known name, or else a path.
    """

    def __init__(self, registry: Registry, *, free: str = "") -> None:
        self.registry = registry
        self.free = free

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema that reads a choice, and writes one in its shortest form."""
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(self.write),
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a JSON Schema that lists every registered name with its settings."""
        names = self.registry.names()
        forms: list[JsonSchemaValue] = [
            {"type": "string"} if self.free else {"enum": names, "type": "string"}
        ]
        for name in names:
            cls = self.registry[name]
            settings = handler(cls.__pydantic_core_schema__)
            lines = (cls.__doc__ or "").strip().splitlines()
            forms.append(
                {
                    "type": "object",
                    "description": lines[0] if lines else name,
                    "properties": {name: {"anyOf": [settings, {"type": "null"}]}},
                    "required": [name],
                    "additionalProperties": False,
                }
            )
        return {"anyOf": forms}

    def read(self, value: Any) -> Settings:
        """Return the settings object that `value` stands for."""
        kind = self.registry.kind
        if isinstance(value, Settings):
            return value
        if isinstance(value, str):
            if self.free and value not in self.registry:
                free: Settings = self.registry[self.free].from_text(value)
                return free
            return self._named(value, None)
        if isinstance(value, Mapping) and len(value) == 1:
            name, settings = next(iter(value.items()))
            return self._named(str(name), settings)
        form = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} is written 'name' or 'name: {{settings}}'"
        if self.free:
            form += ", or is a path"
        if isinstance(value, Mapping) and value:
            names = listed([str(name) for name in value])
            raise explained_error("choice", f"{form}; got {len(value)} names at once: {names}")
        raise explained_error(
            "choice", f"{form}; got {shown(value)}. Known: {listed(self.registry.names())}"
        )

    def _named(self, name: str, settings: Any) -> Settings:
        try:
            cls = self.registry[name]
        except UnknownNameError as error:
            raise explained_error("unknown_name", str(error)) from None
        # Through a model of one field, so that the name stands in the place of every error.
        holder = _holder(name, cls).model_validate({name: {} if settings is None else settings})
        read: Settings = getattr(holder, _FIELD)
        return read

    def write(self, value: Settings) -> Any:
        """Return `name` where all settings have their defaults, else `{name: {settings}}`."""
        name = name_of(value, self.registry)
        if self.free and name == self.free:
            return value.to_text()  # type: ignore[attr-defined]
        settings = value.model_dump(mode="json")
        return {name: settings} if settings else name


_FIELD = "chosen"


@functools.cache
def _holder(name: str, cls: type[Settings]) -> type[BaseModel]:
    from pydantic import Field

    return create_model(f"Chosen_{name}", **{_FIELD: (cls, Field(alias=name))})  # type: ignore[call-overload,no-any-return]


def name_of(value: Settings, registry: Registry) -> str:
    """Return the name under which the class of `value` is registered."""
    for name in registry:
        if registry[name] is type(value):
            return name
    raise UnknownNameError(f"{type(value).__name__} is not registered as a {registry.kind}")
