"""Augmentations of texts, before they become grids: typos and case."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.contracts.augmentation import ThingAugmentation
from gridcnn.settings.base import Fraction, Share


class TextAugmentation(ThingAugmentation, abc.ABC):
    """A change of texts: of str, or of bytes, byte by byte."""

    def check(self, adapter: Adapter) -> None:
        """Raise `ValueError` if the adapter does not read texts of people."""
        if not isinstance(adapter, TextAdapter):
            raise ValueError(
                f"it changes texts, and the items are read with adapter: {adapter.title}; leave "
                "it out"
            )

    def change(self, thing: Any, adapter: Adapter, random: np.random.Generator) -> Any:  # noqa: ARG002
        """Return the changed text; anything but a text is returned as it is."""
        if isinstance(thing, str):
            return self.change_text(thing, random)
        if isinstance(thing, bytes | bytearray):
            # Each byte is a character; those beyond ASCII have no capitals.
            text = self.change_text(bytes(thing).decode("ascii", "surrogateescape"), random)
            return text.encode("ascii", "surrogateescape")
        return thing

    @abc.abstractmethod
    def change_text(self, text: str, random: np.random.Generator) -> str:
        """Return a changed text."""


class Typos(TextAugmentation):
    """Makes mistakes of typing: neighbouring characters change places, others are left out."""

    title: ClassVar[str] = "typos"
    short: ClassVar[tuple[str, ...]] = ("swap", "delete")

    swap: Fraction = 0.0
    """The probability for each character that it changes places with the next one."""
    delete: Fraction = 0.0
    """The probability for each character that it is left out."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.swap or self.delete):
            raise ValueError("it changes nothing; set swap or delete above 0")
        return self

    def change_text(self, text: str, random: np.random.Generator) -> str:
        """Return a text in which at least one character is left."""
        characters = np.array(list(text), object)
        uniform = random.random((2, len(characters)))
        after = -1  # the last of those that have changed places
        for place in np.flatnonzero(uniform[0, :-1] < self.swap).tolist():
            if place > after:
                after = place + 1
                characters[[place, after]] = characters[[after, place]]
        left: NDArray[np.object_] = characters[uniform[1] >= self.delete]
        return "".join(left.tolist()) or text


class Case(TextAugmentation):
    """Writes some texts in small letters or capitals, and some letters in the other case."""

    title: ClassVar[str] = "case"
    short: ClassVar[tuple[str, ...]] = ("lower", "upper")

    lower: Share = 0.0
    """The probability for a text to be in small letters."""
    upper: Share = 0.0
    """The probability for a text to be in capitals."""
    letters: Fraction = 0.0
    """The probability for each letter of the other texts to change its case."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.lower or self.upper or self.letters):
            raise ValueError("it changes nothing; set lower, upper or letters above 0")
        if self.lower + self.upper > 1:
            raise ValueError(
                f"a text is in small letters or in capitals: lower and upper are at most 1 "
                f"together; got {self.lower:g} and {self.upper:g}"
            )
        return self

    def check(self, adapter: Adapter) -> None:
        """Raise `ValueError` if the adapter does not read texts, or makes all letters small."""
        super().check(adapter)
        if getattr(adapter, "lower", False):
            raise ValueError(
                "the adapter makes all letters small, so that it changes nothing; leave it out, or "
                "set 'lower: false' of text"
            )

    def change_text(self, text: str, random: np.random.Generator) -> str:
        """Return the text in another case."""
        whole, *each = random.random(1 + len(text)).tolist()
        if whole < self.lower:
            return text.lower()
        if whole < self.lower + self.upper:
            return text.upper()
        return "".join(
            letter.swapcase() if uniform < self.letters else letter
            for letter, uniform in zip(text, each, strict=True)
        )
