"""Writing a spec: as YAML that reads back as the same spec, and as the JSON Schema of all specs."""

from __future__ import annotations

from typing import Any

import yaml

from gridcnn.spec.models import Spec

SCHEMA_ID = "gridcnn-spec"


class _Dumper(yaml.SafeDumper):
    """Writes short lists and mappings on one line, as people write specs."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value where it stands."""
        return True


def _represent_list(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    flat = all(not isinstance(item, dict | list) for item in data)
    matrix = bool(data) and all(isinstance(row, list) and row and not isinstance(row[0], dict | list) for row in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=flat and not matrix)


def _represent_str(dumper: _Dumper, data: str) -> yaml.Node:
    # A word that YAML 1.1 takes for a truth value or a number is quoted, for other readers.
    return dumper.represent_scalar("tag:yaml.org,2002:str", data)


def _represent_float(dumper: _Dumper, data: float) -> yaml.Node:
    # With a point, so that readers of YAML 1.1 take 1e-08 for a number as well.
    mantissa, e, exponent = repr(data).partition("e")
    text = mantissa if "." in mantissa or not e else f"{mantissa}.0"
    return dumper.represent_scalar("tag:yaml.org,2002:float", f"{text}{e}{exponent}")


_Dumper.add_representer(list, _represent_list)
_Dumper.add_representer(str, _represent_str)
_Dumper.add_representer(float, _represent_float)


def to_yaml(spec: Spec) -> str:
    """Return `spec` as YAML with every default written out; it reads back as an equal spec."""
    data = spec.model_dump(mode="json")
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a spec, by which editors complete and check spec files."""
    schema = Spec.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gridcnn pipeline spec",
        **{key: value for key, value in schema.items() if key != "title"},
    }
