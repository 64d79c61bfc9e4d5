"""Short generated texts in which only the order of words gives the class."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le
from pydantic import AllowInfNan, Strict

from gridcnn.contracts.source import Dataset, Facts, Request
from gridcnn.datasets.makers.made import MadeTexts
from gridcnn.datasets.readers.stacks import item_names
from gridcnn.settings.base import Seed
from gridcnn.streams import Stream

Texts = Annotated[int, Strict(), Ge(1), Le(10_000_000)]
"""A number of texts, at least one."""
Words = Annotated[int, Strict(), Ge(0), Le(1_000)]
"""A number of words, which may be none."""
Part = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(1)]
"""A part of a whole: from 0 to 1."""

# Two words each: in this order they are a phrase, and the other way round they are none.
_FIRST_AND_SECOND: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "amount": ((), ("kg", "km", "ml", "min", "lbs", "feet")),  # the first word is a number
    "greeting": (("good", "pleasant", "lovely"), ("morning", "evening", "night", "weekend")),
    "person": (("mr", "mrs", "dr", "aunt"), ("brown", "smith", "green", "jones", "clark")),
    "place": (("at", "near", "behind"), ("school", "church", "work", "town", "court")),
}
CLASSES = tuple(_FIRST_AND_SECOND)
"""What a text can hold: all of these phrases, one of them with its words in order."""

_LARGEST = 999
"""The largest number of an amount."""
# Made-up words end in a vowel and have no two consonants together, as no word of a phrase does.
_SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
_LINE = ord("\n")
_LOT = 1_000
"""Texts whose random numbers are drawn together."""


class Phrases(MadeTexts):
    """Generated texts in which the order of two words gives the class.

    A text holds an amount, a greeting, a person and a place, such as "12 kg", "good morning",
    "mr brown" and "at school", among made-up words. One of the four has its words in this order,
    and that is the class; the other three have them the other way round ("kg 12"). So all classes
    have the same characters and the same words equally often. With the same seed, a smaller set
    is the beginning of a larger one.
    """

    title: ClassVar[str] = "phrases"
    holds_texts: ClassVar[bool] = True

    count: Texts = 6_000
    """The number of texts, equally many of each class, in turn."""
    seed: Seed | None = None
    """The seed of the texts; null: that of the run."""
    words: Words = 8
    """Made-up words in a text, at most; each text draws its own number, from 0."""
    typing_errors: Part = 0.005
    """The part of all characters that become a random letter."""

    def facts(self) -> Facts:
        """Return what is known before the texts are made."""
        return Facts(self.count, CLASSES, ())

    def open(self, request: Request) -> Dataset:
        """Return the texts, each a str; the classes are those of `CLASSES`, in turn."""
        texts = self.texts(request.seed if self.seed is None else self.seed)
        labels = [CLASSES[index % len(CLASSES)] for index in range(self.count)]
        return Dataset(texts, labels, item_names(self.count), origin=self.title)

    def texts(self, seed: int) -> list[str]:
        """Return all texts; the class of text `i` is number `i % 4` of `CLASSES`."""
        texts: list[str] = []
        for number in range(-(-self.count // _LOT)):
            # Each lot has random numbers of its own, and is made whole: so smaller sets begin
            # larger ones.
            texts += self._lot(Stream.PHRASES.random(seed, number))
        return texts[: self.count]

    def _lot(self, random: np.random.Generator) -> list[str]:
        """Return as many texts as are made together, in which the classes take turns."""
        fillers = random.integers(0, self.words + 1, _LOT).tolist()
        made = iter(_make_up(random, sum(fillers)))
        phrases = [_phrases(random, kind) for kind in range(len(CLASSES))]
        texts: list[str] = []
        for index, count in enumerate(fillers):
            # Made-up words fall between phrases, and never inside of one.
            parts = [*(each[index] for each in phrases), *islice(made, count)]
            order = random.permutation(len(parts)).tolist()
            texts.append(" ".join(parts[place] for place in order))
        return self._mistype(random, texts)

    def _mistype(self, random: np.random.Generator, texts: list[str]) -> list[str]:
        """Return the texts with random letters in some places."""
        signs = np.frombuffer("\n".join(texts).encode("ascii"), np.uint8).copy()
        wrong = (random.random(len(signs)) < self.typing_errors) & (signs != _LINE)
        signs[wrong] = random.choice(_LETTERS, int(wrong.sum()))
        return signs.tobytes().decode("ascii").split("\n")


def _make_up(random: np.random.Generator, count: int) -> list[str]:
    """Return made-up words of two or three syllables."""
    syllables = random.integers(0, len(_SYLLABLES), (count, 3)).tolist()
    longer = random.integers(0, 2, count).tolist()
    return [
        _SYLLABLES[one] + _SYLLABLES[two] + (_SYLLABLES[three] if more else "")
        for (one, two, three), more in zip(syllables, longer, strict=True)
    ]


def _phrases(random: np.random.Generator, kind: int) -> list[str]:
    """Return a phrase of a kind for each text of a lot, in order where the text has that class."""
    firsts, seconds = _FIRST_AND_SECOND[CLASSES[kind]]
    first = random.integers(0, len(firsts) or _LARGEST, _LOT).tolist()
    second = random.integers(0, len(seconds), _LOT).tolist()
    phrases: list[str] = []
    for index, (one, two) in enumerate(zip(first, second, strict=True)):
        words = (firsts[one] if firsts else str(one + 1), seconds[two])
        in_order = index % len(CLASSES) == kind
        phrases.append(" ".join(words if in_order else words[::-1]))
    return phrases
