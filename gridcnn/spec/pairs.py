"""Sizes along both axes: one number for rows and columns alike, or `[rows, columns]`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from gridcnn.spec.settings import wanted_error

LONGEST = 16_384
ALL = "all"
Extent = int | str
"""A number of cells, or `all` cells along the axis."""


def _one(value: Any, low: int, words: tuple[str, ...]) -> bool:
    if isinstance(value, str):
        return value in words
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= LONGEST


def _pair(low: int, pair_words: tuple[str, ...] = (), words: tuple[str, ...] = ()) -> Any:
    """Return a field type; `words` may stand for both axes, `pair_words` for each of them."""
    sorts = [f"a whole number from {low} to {LONGEST}", *(f"'{w}'" for w in (*words, *pair_words))]
    wanted = f"{', '.join(sorts)}, or a pair [rows, columns]"

    def read(value: Any) -> Any:
        if isinstance(value, str) and value in words:
            return value
        pair = value if isinstance(value, list | tuple) else (value, value)
        if len(pair) != 2 or not all(_one(part, low, pair_words) for part in pair):
            raise wanted_error(wanted)
        return tuple(pair)

    def write(value: Any) -> Any:
        return value if isinstance(value, str) else list(value)

    number = {"type": "integer", "minimum": low, "maximum": LONGEST}
    part = {"anyOf": [number, {"enum": list(pair_words)}]} if pair_words else number
    forms = [number, {"type": "array", "items": part, "minItems": 2, "maxItems": 2}]
    if words or pair_words:
        forms.insert(1, {"enum": [*words, *pair_words]})
    return (PlainValidator(read), PlainSerializer(write), WithJsonSchema({"anyOf": forms}))


Sizes = Annotated[tuple[int, int], *_pair(1)]
"""`[rows, columns]`, each at least 1."""
Extents = Annotated[tuple[Extent, Extent], *_pair(1, (ALL,))]
"""`[rows, columns]`, each at least 1 or `all`."""
Padding = Annotated[tuple[int, int] | str, *_pair(0, (), ("same", "valid"))]
"""`same`, `valid`, or cells added on each side: `[rows, columns]`."""


def cells(extents: tuple[Extent, Extent], rows: int, columns: int) -> tuple[int, int]:
    """Return extents as numbers of cells, `all` being all `rows` or `columns`."""
    along_rows, along_columns = extents
    return (
        rows if isinstance(along_rows, str) else along_rows,
        columns if isinstance(along_columns, str) else along_columns,
    )
