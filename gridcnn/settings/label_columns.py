"""Settings that say which columns of a table hold the labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, field_validator

from gridcnn.settings.base import Settings, wanted_error
from gridcnn.settings.patterns import compile_pattern


def column_name(value: Any) -> str:
    """Return the name of a column, which may be a whole number; raise an explained error if not."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    raise wanted_error("the name of a column, or its number from 1")


NAME_SCHEMA = {"type": ["string", "integer"]}
Column = Annotated[str, PlainValidator(column_name), WithJsonSchema(NAME_SCHEMA)]
"""The name of a column; a whole number is a name too."""


class LabelPattern(Settings):
    """A regular expression that matches the whole names of the columns of labels."""

    title: ClassVar[str] = "label"

    pattern: str = Field(min_length=1, max_length=1_000)
    """Columns with such a name are labels, unless they have another use."""

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, value: str) -> str:
        try:
            compile_pattern(value)
        except ValueError as error:
            raise wanted_error(f"a regular expression ({error})") from None
        return value

    def matching(self, names: Sequence[str], used: Sequence[str]) -> list[str]:
        """Return the names that match, without those that are `used` otherwise."""
        wanted: re.Pattern[str] = compile_pattern(self.pattern)
        return [name for name in names if wanted.fullmatch(name) and name not in used]


class LabelCells(Settings):
    """One column whose cells hold all labels of an item."""

    title: ClassVar[str] = "label"

    column: Column
    """The column."""
    separator: str = Field(default=";", min_length=1, max_length=20)
    """What stands between two labels. Spaces around a label are ignored, and an item with an empty
    cell has no label."""


Labels = str | tuple[str, ...] | LabelPattern | LabelCells


def _labels(value: Any) -> Labels:
    if isinstance(value, LabelPattern | LabelCells):
        return value
    if isinstance(value, Mapping):
        return (LabelPattern if "pattern" in value else LabelCells).model_validate(value)
    if isinstance(value, list | tuple) and value:
        return tuple(column_name(each) for each in value)
    if isinstance(value, int | str):
        return column_name(value)
    raise wanted_error(
        "the name of a column, a list of such, {pattern: ...} or {column: ..., separator: ...}"
    )


def _plain(value: Labels) -> Any:
    if isinstance(value, LabelPattern | LabelCells):
        return value.model_dump()
    return value if isinstance(value, str) else list(value)


LabelColumns = Annotated[
    Labels,
    PlainValidator(_labels),
    PlainSerializer(_plain),
    WithJsonSchema(
        {
            "anyOf": [
                NAME_SCHEMA,
                {"type": "array", "items": NAME_SCHEMA, "minItems": 1},
                {
                    "type": "object",
                    "properties": {"pattern": {"type": "string"}},
                    "required": ["pattern"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {"column": NAME_SCHEMA, "separator": {"type": "string"}},
                    "required": ["column"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""One column of classes; or, if an item may have several labels, a list of columns, a pattern of
their names, or one column with all labels in a cell."""


def label_columns(labels: Labels | None) -> tuple[str, ...]:
    """Return the columns that are named; none for a pattern."""
    if labels is None or isinstance(labels, LabelPattern):
        return ()
    if isinstance(labels, LabelCells):
        return (labels.column,)
    return (labels,) if isinstance(labels, str) else labels
