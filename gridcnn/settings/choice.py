"""Choices: a place in a spec that takes one thing by name, as `name` or `name: {settings}`."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import (
    BaseModel,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gridcnn.errors import SpecError, UnknownNameError, listed, quoted
from gridcnn.registry import Registry
from gridcnn.settings.base import (
    SHARED,
    SHARED_FORMS,
    DescribingSchema,
    Settings,
    explained_error,
    quote_value,
)

_NAMING = ("type", "kind", "class_name", "class", "layer", "name", "op")
"""Keys that other libraries use for the chosen name, next to its settings."""


class Choice:
    """Marks a field that takes one entry of a registry: `Annotated[Stage, Choice(STAGES)]`.

    Accepted are a name, a mapping of one name to its settings, and a settings object. Every entry
    of the registry is a subclass of the class `base`, or of one of several. If `free` names an
    entry, text that is not a registered name becomes that entry: a data source is a known name, or
    else a path. `shared` is a name in the `$defs` of a JSON Schema, for choices that may contain
    the same choice.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        base: type[Settings] | tuple[type[Settings], ...] = Settings,
        free: str = "",
        shared: str = "",
    ) -> None:
        self.registry = registry
        self.base = base
        self.free = free
        self.shared = shared
        if shared:
            SHARED_FORMS[shared] = self._forms

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema that reads a choice, and writes one in its shortest form."""
        return core_schema.no_info_plain_validator_function(
            self.read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._serialize, info_arg=True
            ),
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return a JSON Schema that lists every registered name with its settings."""
        if self.shared:
            return {SHARED: self.shared}
        return self._forms(lambda cls: handler(cls.__pydantic_core_schema__))

    def _forms(
        self, settings: Callable[[type[Settings]], JsonSchemaValue] | None = None
    ) -> JsonSchemaValue:
        """Return all forms; `settings` makes the JSON Schema of the settings of a class."""
        settings = settings or _plain_schema
        names = self.registry.names()
        forms: list[JsonSchemaValue] = [
            {"type": "string"} if self.free else {"enum": names, "type": "string"}
        ]
        for name in self.registry:
            cls = self._settings(name)
            lines = (cls.__doc__ or "").strip().splitlines()
            forms.append(
                {
                    "type": "object",
                    "description": lines[0] if lines else name,
                    "properties": {
                        name: {
                            "anyOf": [
                                settings(cls),
                                *_short_forms(cls),
                                {"type": "null"},
                            ]
                        }
                    },
                    "required": [name],
                    "additionalProperties": False,
                }
            )
        about = {"description": f"A {self.registry.kind} by name."} if self.shared else {}
        return {**about, "anyOf": forms}

    def read(self, value: Any) -> Settings:
        """Return the settings object that `value` stands for.

        Raises:
            PydanticCustomError, ValidationError: the value is not valid.
        """
        if isinstance(value, Settings):
            try:
                name_of(value, self.registry)
            except UnknownNameError as error:
                raise explained_error("unknown_name", str(error)) from None
            return value
        if self.free and isinstance(value, os.PathLike):
            value = os.fspath(value)
        if isinstance(value, str):
            if self.free and value not in self.registry:
                return self._free(value)
            return self._entry(value, None)
        if isinstance(value, Mapping) and len(value) == 1:
            name, settings = next(iter(value.items()))
            return self._entry(str(name), settings)
        raise explained_error("choice", self._wrong_form(value))

    def _wrong_form(self, value: Any) -> str:
        kind, known = self.registry.kind, listed(self.registry.names())
        article = "an" if kind[0] in "aeiou" else "a"
        form = f"{article} {kind} is written 'name' or 'name: {{settings}}'"
        if self.free:
            form += ", or is a path"
        if not (isinstance(value, Mapping) and value):
            return f"{form}; got {quote_value(value)}. Known: {known}"
        names = [str(name) for name in value]
        several = f"{form}; got {len(names)} names at once: {listed([quoted(n) for n in names])}"
        if names[0] in self.registry and not any(name in self.registry for name in names[1:]):
            return f"{several}; indent the settings of {quoted(names[0])} further than its name"
        for key in _NAMING:
            if isinstance(value.get(key), str):
                rest = ", ".join(f"{k}: {quote_value(v)}" for k, v in value.items() if k != key)
                return f"{several}; write {value[key]}: {{{rest}}}"
        return several

    def _free(self, text: str) -> Settings:
        try:
            settings: Settings = self.registry[self.free].from_text(text)
        except SpecError as error:
            sentences = "; ".join(problem.message for problem in error.problems)
            raise explained_error("free_text", sentences) from None
        return settings

    def _settings(self, name: str) -> type[Settings]:
        """Return the class of a name; raise `SpecError` if it is not a subclass of `base`."""
        cls = self.registry[name]
        if not (isinstance(cls, type) and issubclass(cls, self.base)):
            bases = self.base if isinstance(self.base, tuple) else (self.base,)
            wanted = " or ".join(f"{base.__module__}.{base.__name__}" for base in bases)
            raise SpecError(
                f"the {self.registry.kind} {quoted(name)} is broken: what its package registers is "
                f"not a subclass of {wanted}"
            )
        return cls

    def _entry(self, name: str, settings: Any) -> Settings:
        try:
            cls = self._settings(name)
        except (UnknownNameError, SpecError) as error:
            raise explained_error("unknown_name", str(error)) from None
        # Through a model of one field, so that the name stands in the place of every error.
        holder = _holder(name, cls).model_validate({name: {} if settings is None else settings})
        read: Settings = getattr(holder, _FIELD)
        return read

    def write(self, value: Settings, *, unset: bool = True) -> Any:
        """Return `name` where there are no settings to write, else `{name: {settings}}`.

        Without `unset`, settings that were not given are left out.
        """
        name = name_of(value, self.registry)
        if self.free and name == self.free:
            text = value.to_text()  # type: ignore[attr-defined]
            if text is not None:
                return text
        settings = value.model_dump(mode="json", exclude_unset=not unset)
        return {name: settings} if settings else name

    def _serialize(self, value: Settings, info: SerializationInfo) -> Any:
        return self.write(value, unset=not info.exclude_unset)


def _short_forms(cls: type[Settings]) -> list[JsonSchemaValue]:
    """Return the forms of bare values that stand for settings, if there are any."""
    names = [name for name in (*cls.short[:1], cls.bare_list) if name]
    properties = _plain_schema(cls)["properties"] if names else {}
    return [
        {key: value for key, value in properties[name].items() if key not in ("title", "default")}
        for name in names
    ]


def _plain_schema(cls: type[Settings]) -> JsonSchemaValue:
    """Return the JSON Schema of settings in which marks stand for shared forms."""
    schema: JsonSchemaValue = super(Settings, cls).model_json_schema(
        schema_generator=DescribingSchema
    )
    return schema


_FIELD = "chosen"


@functools.cache
def _holder(name: str, cls: type[Settings]) -> type[BaseModel]:
    from pydantic import Field

    return create_model(f"Chosen_{name}", **{_FIELD: (cls, Field(alias=name))})  # type: ignore[call-overload,no-any-return]


def name_of(value: Settings, registry: Registry) -> str:
    """Return the name under which the class of `value` is registered.

    Raises:
        UnknownNameError: it is not registered.
    """
    for name in registry:
        # A package that cannot be loaded does not hide the names of others.
        with contextlib.suppress(SpecError):
            if registry[name] is type(value):
                return name
    raise UnknownNameError(f"{type(value).__name__} is not registered as a {registry.kind}")
