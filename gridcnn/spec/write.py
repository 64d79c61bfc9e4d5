"""Writing a spec: as YAML that reads back as the same spec, and as the JSON Schema of all specs."""

from __future__ import annotations

import math
from typing import Any

import yaml

from gridcnn.settings.document import plain_value
from gridcnn.spec.marked_schema import with_marks
from gridcnn.spec.models import Spec


class _Dumper(yaml.SafeDumper):
    """Writes short lists and mappings on one line, as people write specs."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - for any data
        """Write every value in full, never as an alias of another."""
        return True


def _represent_list(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    nested = any(isinstance(item, dict | list) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=not nested)


def _represent_str(dumper: _Dumper, data: str) -> yaml.Node:
    # PyYAML quotes what YAML 1.1 takes for something else than a text. What only this package's
    # reader takes for a number, and line breaks that it refuses, are quoted here.
    style = '"' if not isinstance(plain_value(data), str) or set(data) & _BREAKS else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)


def _represent_float(dumper: _Dumper, data: float) -> yaml.Node:
    if not math.isfinite(data):
        return yaml.SafeDumper.represent_float(dumper, data)
    # With a point, so that readers of YAML 1.1 take 1e-08 for a number as well.
    mantissa, e, exponent = repr(data).partition("e")
    text = mantissa if "." in mantissa else f"{mantissa}.0"
    return dumper.represent_scalar("tag:yaml.org,2002:float", f"{text}{e}{exponent}")


_BREAKS = frozenset("\x85\u2028\u2029\ufeff")
_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(float, _represent_float)


def to_yaml(spec: Spec, *, unset: bool = True) -> str:
    """Return `spec` as YAML with every default written out; it reads back as an equal spec.

    Without `unset`, settings that were not given are left out.
    """
    data = spec.model_dump(mode="json", exclude_unset=not unset)
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def json_schema(*, marks: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a spec, with which editors complete and check spec files.

    With `marks` it is that of search spaces, in which values may be `{choose: [...]}` and so on.
    """
    schema = Spec.model_json_schema()
    if marks:
        schema = with_marks(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gridcnn pipeline spec",
        **{key: value for key, value in schema.items() if key != "title"},
    }
