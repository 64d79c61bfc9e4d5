"""The test part of the data: a share of all items, a fold of several, or one group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Le
from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    TypeAdapter,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from gridcnn.errors import quoted
from gridcnn.settings.base import Count, Fraction, Settings, wanted_error


class Fold(Settings):
    """One of several folds: parts of about the same size; each is the test part once."""

    title: ClassVar[str] = "fold"

    fold: Count
    """Which one, from 1."""
    of: Annotated[int, Strict(), Ge(2), Le(65_536)]
    """How many there are."""

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Self:
        if self.fold > self.of:
            raise wanted_error(f"one of the folds 1 to {self.of}")
        return self

    def __str__(self) -> str:
        return f"fold {self.fold} of {self.of}"


class GroupOut(Settings):
    """One group as the test part."""

    title: ClassVar[str] = "group"

    group: str = Field(min_length=1, max_length=1_000)
    """What the group is called."""

    @field_validator("group", mode="before")
    @classmethod
    def _whole_numbers_are_names(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    def __str__(self) -> str:
        return f"the group {quoted(self.group)}"


_FRACTION = TypeAdapter[float](Fraction)


def _test_part(value: Any) -> float | Fold | GroupOut:
    if isinstance(value, GroupOut) or (isinstance(value, Mapping) and "group" in value):
        return GroupOut.model_validate(value)
    if isinstance(value, Fold | Mapping):
        return Fold.model_validate(value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        return _FRACTION.validate_python(value)
    raise wanted_error("a number from 0 to below 1, {fold: ..., of: ...} or {group: ...}")


TestPart = Annotated[
    float | Fold | GroupOut,
    PlainValidator(_test_part),
    PlainSerializer(lambda value: value if isinstance(value, float) else value.model_dump()),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                {
                    "type": "object",
                    "properties": {
                        "fold": {"type": "integer", "minimum": 1},
                        "of": {"type": "integer", "minimum": 2},
                    },
                    "required": ["fold", "of"],
                    "additionalProperties": False,
                },
                {
                    "type": "object",
                    "properties": {"group": {"type": ["string", "integer"]}},
                    "required": ["group"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A share of all items, a fold or a group."""
