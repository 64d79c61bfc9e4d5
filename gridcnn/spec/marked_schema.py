"""The JSON Schema of search spaces: that of specs, in which values may be marks."""

from __future__ import annotations

import json
from typing import Any

from gridcnn.spec.marks import FIXED, MOST_VALUES

_DEFS = "#/$defs/"
_ABOUT = ("title", "description", "default")
"""Keys that tell about a setting, and allow or refuse nothing."""
_SEARCHED = ".searched"
"""The end of a definition's name if marks may stand in it. That without them stays as well: the
data of a spec has no marks."""
_ENDS = {
    "range": {"type": "number"},
    "log_range": {"type": "number", "exclusiveMinimum": 0},
}


def with_marks(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of search spaces, given that of specs.

    Each value that a search may vary becomes a definition of its own, which refers to itself: it is
    the value as it was, or a mark, inside of which it may be a mark again.
    """
    return _Marking(schema).root()


class _Marking:
    """Puts marks into one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._defs: dict[str, Any] = dict(schema.get("$defs", {}))
        self._names: dict[str, str] = {}

    def root(self) -> dict[str, Any]:
        properties = {
            name: value if (name,) in FIXED else self._setting(value, (name,))
            for name, value in self._schema["properties"].items()
        }
        return {**self._schema, "properties": properties, "$defs": dict(sorted(self._defs.items()))}

    def _setting(self, schema: dict[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a schema that takes what `schema` takes, or a mark.

        `path` is the place of the setting in the spec, as far as that decides about marks.
        """
        about = {key: value for key, value in schema.items() if key in _ABOUT}
        return {**about, **self._or_mark(schema, path, in_list=False)}

    def _or_mark(
        self, schema: dict[str, Any], path: tuple[str, ...] = (), *, in_list: bool
    ) -> dict[str, Any]:
        plain = {key: value for key, value in schema.items() if key not in _ABOUT}
        key = json.dumps([plain, path, in_list], sort_keys=True)
        if key not in self._names:
            name = self._names[key] = f"value.{len(self._names) + 1}"
            self._defs[name] = {}  # a list of stages may hold stages that hold such a list
            forms = [self._inside(plain, path), *self._marks(name, plain, path, in_list=in_list)]
            self._defs[name] = {"anyOf": forms}
        return {"$ref": _DEFS + self._names[key]}

    def _marks(
        self, name: str, plain: dict[str, Any], path: tuple[str, ...], *, in_list: bool
    ) -> list[dict[str, Any]]:
        again = self._or_mark(plain, path, in_list=False) if in_list else {"$ref": _DEFS + name}
        values = {"type": "array", "items": again, "minItems": 1, "maxItems": MOST_VALUES}
        forms = [_mark("choose", values)]
        if self._takes_numbers(plain):
            for kind, end in _ENDS.items():
                ends = {"type": "array", "items": end, "minItems": 2, "maxItems": 2}
                beside = {"step": {"type": "number", "exclusiveMinimum": 0}}
                forms.append(_mark(kind, ends, beside if kind == "range" else {}))
        if in_list:
            forms.append(_mark("optional", again))
        return forms

    def _inside(self, schema: dict[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return a schema with marks inside of what it takes, but not in its place."""
        result = dict(schema)
        if not any(place[: len(path)] == path for place in FIXED):
            path = ()
        if "$ref" in schema:
            result["$ref"] = self._refer_to_searched(schema["$ref"], path)
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                result[key] = [self._inside(each, path) for each in schema[key]]
        if "properties" in schema:
            result["properties"] = {
                name: value
                if (*path, name) in FIXED
                else self._setting(value, (*path, name) if path else ())
                for name, value in schema["properties"].items()
            }
        if isinstance(schema.get("additionalProperties"), dict):
            result["additionalProperties"] = self._or_mark(
                schema["additionalProperties"], in_list=False
            )
        if isinstance(schema.get("items"), dict):
            result["items"] = self._or_mark(schema["items"], in_list=True)
        if "prefixItems" in schema:
            result["prefixItems"] = [
                self._or_mark(each, in_list=True) for each in schema["prefixItems"]
            ]
        return result

    def _refer_to_searched(self, reference: str, path: tuple[str, ...]) -> str:
        """Return the reference to a definition in which marks may stand."""
        name = reference.removeprefix(_DEFS)
        # A section may be written out in its place, or defined: that depends on pydantic's version.
        searched = ".".join((name + _SEARCHED, *path))
        if searched not in self._defs:
            self._defs[searched] = {}
            self._defs[searched] = self._inside(self._schema["$defs"][name], path)
        return _DEFS + searched

    def _takes_numbers(self, schema: dict[str, Any]) -> bool:
        if "$ref" in schema:
            # What is chosen by name has numbers inside of it; it is none.
            return False
        if any(self._takes_numbers(each) for each in schema.get("anyOf", ())):
            return True
        types = schema.get("type", ())
        return not {"number", "integer"}.isdisjoint([types] if isinstance(types, str) else types)


def _mark(kind: str, inside: Any, beside: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of a mark, beside whose own key others may stand."""
    name = {"type": "string", "pattern": r"\S"}
    return {
        "type": "object",
        "properties": {kind: inside, "as": name, **(beside or {})},
        "required": [kind],
        "additionalProperties": False,
    }
