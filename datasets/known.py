"""The known data sets: what `gridcnn datasets list` prints."""

from __future__ import annotations

from dataclasses import dataclass

from gridcnn.contracts.source import Facts
from gridcnn.datasets.public.source import Public
from gridcnn.errors import DataError, listed, quoted, suggestion
from gridcnn.spec.models import SOURCES


@dataclass(frozen=True)
class Known:
    """A data set that a spec can name.

    Attributes:
        name: the name, as `data: {source: name}` takes it.
        description: one line about it.
        facts: how many items, which classes and shape; None if that is not known beforehand.
        public: the source, if it is a public set, whose files are fetched.
    """

    name: str
    description: str
    facts: Facts | None
    public: Public | None = None


def known() -> list[Known]:
    """Return every data set that needs only a name, as registered, with its usual settings."""
    sets = []
    for name in SOURCES.names():
        cls = SOURCES[name]
        if not cls.named:
            continue
        lines = (cls.__doc__ or name).strip().splitlines()
        # A source of another package may have settings without a default; then it stays unknown.
        needed = any(field.is_required() for field in cls.model_fields.values())
        source = None if needed else cls()
        facts = None if source is None else source.facts()
        public = source if isinstance(source, Public) else None
        sets.append(Known(name, lines[0], facts, public))
    return sets


def public(name: str) -> Public:
    """Return the public set of a name.

    Raises:
        DataError: there is none.
    """
    sets = {each.name: each.public for each in known()}
    cls = sets.get(name)
    if cls is None:
        fetched = [each for each, source in sets.items() if source is not None]
        hint = suggestion(name, fetched) or "."
        why = "needs no fetching." if name in sets else f"is no public data set{hint}"
        raise DataError(f"{quoted(name)} {why} Known: {listed(fetched)}")
    return cls
