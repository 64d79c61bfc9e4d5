"""Sizes along both axes: one number for rows and columns alike, or `[rows, columns]`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from gridcnn.settings.base import wanted_error

LONGEST = 16_384
ALL = "all"
Extent = int | str
"""A number of cells, or `all` cells along the axis."""


def pair(
    low: int, high: int = LONGEST, *, each: tuple[str, ...] = (), both: tuple[str, ...] = ()
) -> Any:
    """Return what makes a field a pair of whole numbers from `low` to `high`.

    The words `each` may stand for either number, the words `both` for the two of them.
    """
    sorts = [f"a whole number from {low} to {high}", *(f"'{word}'" for word in (*both, *each))]
    wanted = f"{', '.join(sorts)}, or a pair [rows, columns]"

    def read(value: Any) -> Any:
        if isinstance(value, str) and value in both:
            return value
        parts = value if isinstance(value, list | tuple) else (value, value)
        if len(parts) != 2 or not all(fits(part) for part in parts):
            raise wanted_error(wanted)
        return tuple(parts)

    def fits(part: Any) -> bool:
        if isinstance(part, str):
            return part in each
        return isinstance(part, int) and not isinstance(part, bool) and low <= part <= high

    def write(value: Any) -> Any:
        return value if isinstance(value, str) else list(value)

    number = {"type": "integer", "minimum": low, "maximum": high}
    part = {"anyOf": [number, {"enum": list(each)}]} if each else number
    forms = [number, {"type": "array", "items": part, "minItems": 2, "maxItems": 2}]
    if both or each:
        forms.insert(1, {"enum": [*both, *each]})
    return (PlainValidator(read), PlainSerializer(write), WithJsonSchema({"anyOf": forms}))


Sizes = Annotated[tuple[int, int], *pair(1)]
"""`[rows, columns]`, each at least 1."""
Extents = Annotated[tuple[Extent, Extent], *pair(1, each=(ALL,))]
"""`[rows, columns]`, each at least 1 or `all`."""
Padding = Annotated[tuple[int, int] | str, *pair(0, both=("same", "valid"))]
"""`same`, `valid`, or cells added on each side: `[rows, columns]`."""


def cells(extents: tuple[Extent, Extent], rows: int, columns: int) -> tuple[int, int]:
    """Return extents as numbers of cells, `all` being all `rows` or `columns`."""
    along_rows, along_columns = extents
    return (
        rows if isinstance(along_rows, str) else along_rows,
        columns if isinstance(along_columns, str) else along_columns,
    )
