"""What is read back from files of our own: every entry has its type and its range."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Le, Len
from pydantic import AllowInfNan, ConfigDict, Strict, ValidationError

from gridcnn.settings.base import Settings, explain

Name = Annotated[str, Len(1, 100)]
"""A name, or a digest."""

Loss = Annotated[float, Strict(), AllowInfNan(False), Ge(-1e40), Le(1e40)]
"""A loss: votes are 32-bit floats, so that none is larger; sums of squares of them are finite."""
Seconds = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(1e12)]
"""A duration, in seconds."""


class Content(Settings):
    """Entries of a file that gridcnn has written; those that are not known are ignored.

    A checksum shows that a file is as it was written, not that its content makes sense.
    """

    model_config = ConfigDict(extra="ignore")

    entry: ClassVar[str] = "entry"

    @classmethod
    def read(cls, data: Any) -> Self:
        """Return the entries in plain data.

        Raises:
            ValueError: an entry is missing, or is not what it must be; the message is one line
                about the first of them.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            _, sentence = explain(error)[0]
            raise ValueError(sentence) from None
