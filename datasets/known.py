"""The known data sets: what `gridcnn datasets list` prints."""

from __future__ import annotations

from dataclasses import dataclass

from gridcnn.datasets.base import Facts
from gridcnn.spec.models import SOURCES


@dataclass(frozen=True)
class Known:
    """A data set that a spec can name.

    Attributes:
        name: the name, as `data: {source: name}` takes it.
        description: one line about it.
        facts: how many items, which classes and shape; None where that is not known beforehand.
    """

    name: str
    description: str
    facts: Facts | None


def known() -> list[Known]:
    """Return every data set that a name alone stands for, as registered, in its usual form."""
    sets = []
    for name in SOURCES.names():
        cls = SOURCES[name]
        if not cls.named:
            continue
        lines = (cls.__doc__ or name).strip().splitlines()
        # A source of another package may have settings without a default; then it stays unknown.
        needed = any(field.is_required() for field in cls.model_fields.values())
        sets.append(Known(name, lines[0], None if needed else cls().facts()))
    return sets
