"""Values of settings in the notation of a spec, on one line."""

from __future__ import annotations

from typing import Any


def notation(value: Any) -> str:
    """Return a value as a spec has it; of what is chosen by name, such as a stage, its name."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(next(iter(value.values())), dict):
            return str(next(iter(value)))
        return f"{{{', '.join(f'{key}: {notation(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(notation, value))}]"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
