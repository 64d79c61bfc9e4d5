"""The text adapter: each character, word or byte of a text is a column with a single 1."""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import (
    AllowInfNan,
    PlainSerializer,
    PlainValidator,
    Strict,
    WithJsonSchema,
    model_validator,
)

from gridcnn.contracts.adapter import OneHotAdapter, Things
from gridcnn.errors import DataError, listed, shown
from gridcnn.forks import cached_property
from gridcnn.grid import Axis, GridShape
from gridcnn.settings.base import Count, Flag, wanted_error

CLASSIC = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+=<>()[]{}\n"
"""The characters of Zhang, Zhao and LeCun (2015), "Character-level convolutional networks for text
classification". They count 70, since '-' is listed twice; here it stands once, so 69 are left."""
WORDS = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
"""What a word is: letters, digits and `_`, with apostrophes inside ("don't"), or any other single
sign that is no space ("!")."""

_CLASSIC = "classic"
_AUTO = "auto"
_LONGEST = 65_536  # columns, as many as Count allows
# A spec may hold 60,000 values and 4 MB, and what is learned must fit into one.
_MOST = 16_384  # symbols
_LONGEST_WORD = 50  # characters of a word that is learned
_CODE_POINTS = 0x110000
_SURROGATES = slice(0xD800, 0xE000)  # no characters, and nothing that a file of UTF-8 can hold
_AT_ONCE = 2**20  # characters that are counted together


def _read_alphabet(value: Any) -> str | tuple[str, ...]:
    symbols = (value,) if isinstance(value, str) else value
    is_list = isinstance(symbols, list | tuple) and 0 < len(symbols) <= _MOST
    if not is_list or not all(isinstance(symbol, str) and symbol for symbol in symbols):
        raise wanted_error(
            f"a text of characters, a list of up to {_MOST:,} texts, 'classic' or null (quote "
            "what looks like a number)"
        )
    try:
        "".join(symbols).encode()
    except UnicodeEncodeError:
        raise wanted_error("of characters that UTF-8 can hold") from None
    return value if isinstance(value, str) else tuple(symbols)


def _write_alphabet(value: str | tuple[str, ...] | None) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _read_length(value: Any) -> int | str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value != _AUTO and not (whole and 1 <= value <= _LONGEST):
        raise wanted_error(f"a whole number from 1 to {_LONGEST} or 'auto'")
    length: int | str = value
    return length


Alphabet = Annotated[
    str | tuple[str, ...],
    PlainValidator(_read_alphabet),
    PlainSerializer(_write_alphabet),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""A text whose characters are the symbols, or a list of symbols."""
Length = Annotated[
    int | str,
    PlainValidator(_read_length),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": _LONGEST}, {"enum": [_AUTO]}]}
    ),
]
"""A number of columns, or `auto`."""
Symbols = Annotated[int, Strict(), Ge(1), Le(_MOST)]
"""A number of characters or words, at least one."""
Percentile = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(100)]
"""The part of all things that is at most so large, in percent."""


class TextAdapter(OneHotAdapter):
    """Texts: a column for each character, word or byte, with a 1 in the row of that symbol.

    Rows have no order, and columns are in the order of the text. Columns after the end of a shorter
    text hold no 1. What is null or `auto` is learned from the training texts.
    """

    title: ClassVar[str] = "text"
    texts: ClassVar[bool] = True

    unit: Literal["character", "word", "byte"] = "character"
    """The symbol of a column. `character`: a Unicode code point; `word`: letters, digits and `_`,
    with apostrophes inside, or any other single sign, but no spaces; `byte`: a byte of UTF-8."""
    alphabet: Alphabet | None = None
    """The symbols that have a row, in order: for characters a text of them or a list, for words
    a list. `classic`: the 69 different characters of Zhang, Zhao and LeCun (2015), which are
    lower-case letters, digits, signs and the line break, but not the space. null: learned. Bytes
    always have 256 rows."""
    max_symbols: Symbols = 1_000
    """The most characters or words that are learned: the most frequent ones, and of those that are
    equally frequent the first by code point. Words of more than 50 characters are not learned."""
    min_count: Count = 1
    """How many times a character or word must occur in the training texts to be learned."""
    lower: Flag = False
    """Whether capitals become small letters first."""
    normalization: Literal["none", "NFC", "NFKC"] = "none"
    """Whether Unicode's different spellings of one character become the same first. `NFC`: an `e`
    and an accent are an `é`; `NFKC`: ligatures, wide and raised forms become plain letters, too."""
    length: Length = _AUTO
    """Columns of the grid. `auto`: as many as `length_percentile` says of the training texts."""
    length_percentile: Percentile = 95.0
    """With `length: auto`, the part of the training texts, in percent, that are not cut."""
    direction: Literal["forward", "backward"] = "forward"
    """`backward` puts the end of the text first."""
    cut: Literal["end", "start", "middle"] = "end"
    """The end of a text that is cut if it is longer than the grid."""
    unknown: Literal["ignore", "symbol", "drop"] = "ignore"
    """What happens to symbols without a row. `ignore`: their columns hold no 1; `symbol`: they
    share one more row, the last; `drop`: they are left out, and the following ones move up."""
    empty: Literal["refuse", "allow"] = "refuse"
    """What happens to a text without any character, word or byte: an error, or a grid without a
    1."""

    @model_validator(mode="after")
    def _alphabet_fits(self) -> Self:
        if self.alphabet is None:
            return self
        if self.unit == "byte":
            raise ValueError("'alphabet' must be null with 'unit: byte', which has 256 rows")
        if self.unit == "word" and isinstance(self.alphabet, str):
            raise ValueError(
                f"'alphabet' must be a list of words with 'unit: word'; got {shown(self.alphabet)}"
            )
        symbols = self._symbols()
        if len(symbols) > _MOST:
            raise ValueError(
                f"'alphabet' must have at most {_MOST:,} symbols; got {len(symbols):,}"
            )
        twice = [symbol for symbol, count in Counter(symbols).items() if count > 1]
        if twice:
            named = listed([shown(symbol) for symbol in twice])
            raise ValueError(f"'alphabet' must have every symbol once; it repeats {named}")
        for symbol in symbols:
            if self._parts(self._clean(symbol)) != [symbol]:
                lower = str(self.lower).lower()
                raise ValueError(
                    f"'alphabet' has {shown(symbol)}, which is not one {self.unit} of a text "
                    f"with 'lower: {lower}' and 'normalization: {self.normalization}'"
                )
        return self

    def fitted(self, things: Things) -> Self:
        """Return an adapter with the alphabet and the length of the training texts filled in.

        Items that are not texts are skipped here; `adapt_all` reports them.

        Raises:
            DataError: there is no text to learn from, or nothing occurs `min_count` times.
        """
        fitted = self
        if self.alphabet is None and self.unit != "byte":
            fitted = self._fill_in(alphabet=self._learn_alphabet(things))
        if self.length == _AUTO:
            fitted = fitted._fill_in(length=fitted._learn_length(things))
        return fitted

    def shape(self) -> GridShape:
        """Return the shape of every grid, `1 x symbols x length`.

        Raises:
            DataError: the alphabet or the length is neither set nor learned.
        """
        columns = self._columns()
        labels = self._labels
        rows = Axis(self.unit, labels=labels, ordered=False)
        return GridShape(1, len(labels), columns, rows, Axis("position"))

    def indices(self, thing: Any) -> NDArray[np.int32]:
        """Return for one text the row of each column's 1, int32 `(length,)`; -1 for no 1.

        Args:
            thing: a str; for `unit: byte` also bytes.

        Raises:
            DataError: it is something else, or empty if that is refused.
        """
        indices = np.full(self._columns(), -1, np.int32)
        rows = self._cut(self._rows(thing), len(indices))
        indices[: len(rows)] = rows[::-1] if self.direction == "backward" else rows
        return indices

    def symbols(self, thing: Any) -> list[str]:
        """Return what stands in each column, as far as the text goes, also symbols without a row.

        Bytes are named as their rows are, such as `0x41`.

        Raises:
            DataError: it is not a text.
        """
        if self.unit == "byte":
            parts = [f"0x{value:02X}" for value in self._bytes(thing)]
        else:
            parts = self._parts(self._clean(_text(thing)))
        if self.unknown == "drop":
            known = set(self._labels)
            parts = [part for part in parts if part in known]
        chosen = self._cut(np.arange(len(parts), dtype=np.int32), self._columns())
        shown = [parts[place] for place in chosen.tolist()]
        return shown[::-1] if self.direction == "backward" else shown

    def parts(self, thing: Any) -> list[str]:
        """Return the characters or words of one text, before any is cut off or unknown.

        Raises:
            DataError: it is not a text.
        """
        return self._parts(self._clean(_text(thing)))

    # What a text consists of ---------------------------------------------------------------------

    def _clean(self, text: str) -> str:
        """Return a text after `normalization` and `lower`."""
        if self.normalization == "none":
            return text.lower() if self.lower else text
        text = unicodedata.normalize(self.normalization, text)
        # Small letters may have another normal form than what they were made from.
        return unicodedata.normalize(self.normalization, text.lower()) if self.lower else text

    def _parts(self, text: str) -> list[str]:
        """Return the characters or words of a normalized text."""
        return WORDS.findall(text) if self.unit == "word" else list(text)

    def _bytes(self, thing: Any) -> bytes:
        """Return a text as bytes; bytes that need no cleaning as they are."""
        if isinstance(thing, bytes | bytearray):
            if not self.lower and self.normalization == "none":
                return bytes(thing)
            try:
                thing = thing.decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"its bytes are not UTF-8 ({error.reason} at {error.start}), which 'lower' and "
                    "'normalization' of text need; give it as str, or set 'lower: false' and "
                    "'normalization: none'"
                ) from None
        return self._clean(_text(thing)).encode("utf-8", "surrogatepass")

    def _rows(self, thing: Any) -> NDArray[np.int32]:
        """Return the row of each part of a text, in its order, before it is cut."""
        if self.unit == "byte":
            rows = np.frombuffer(self._bytes(thing), np.uint8).astype(np.int32)
        else:
            text = self._clean(_text(thing))
            if self.unit == "word":
                rows = self._lookup.words(WORDS.findall(text))
            else:
                rows = self._lookup.characters(_code_points(text))
        if not len(rows) and self.empty == "refuse":
            raise DataError(f"it has no {self.unit}s; leave it out, or set 'empty: allow' of text")
        return rows[rows >= 0] if self.unknown == "drop" else rows

    def _cut(self, rows: NDArray[np.int32], columns: int) -> NDArray[np.int32]:
        """Return rows, at most as many as there are columns."""
        excess = len(rows) - columns
        if excess <= 0:
            return rows
        if self.cut == "middle":
            first = (columns + 1) // 2
            return np.concatenate([rows[:first], rows[first + excess :]])
        return rows[excess:] if self.cut == "start" else rows[:columns]

    # What is set or learned ----------------------------------------------------------------------

    def _symbols(self) -> tuple[str, ...]:
        """Return the characters or words that have a row of their own, in order."""
        if self.alphabet is None:
            raise self.unlearned("its alphabet", "or set 'alphabet'")
        return tuple(CLASSIC if self.alphabet == _CLASSIC else self.alphabet)

    def _columns(self) -> int:
        if isinstance(self.length, str):
            raise self.unlearned("its length", "or set 'length'")
        return self.length

    # Settings never change, and so what follows from them is made once. It is no setting: equal
    # adapters stay equal, whether they have been used or not.

    @cached_property
    def _labels(self) -> tuple[str, ...]:
        """What each row is called."""
        if self.unit == "byte":
            return tuple(f"0x{value:02X}" for value in range(256))
        return (*self._symbols(), *(["unknown"] if self.unknown == "symbol" else []))

    @cached_property
    def _lookup(self) -> _Lookup:
        known = self._symbols()
        return _Lookup.of(known, other=len(known) if self.unknown == "symbol" else -1)

    def _fill_in(self, **learned: Any) -> Self:
        return type(self).model_validate({**self.model_dump(), **learned})

    def _learn_alphabet(self, things: Things) -> str | list[str]:
        self._refuse_others(things)
        texts = self._readable(things)
        counts = _count_words(texts) if self.unit == "word" else _count_characters(texts)
        enough = [symbol for symbol, count in counts.items() if count >= self.min_count]
        if not enough:
            raise DataError(
                f"no {self.unit} occurs in the training texts at least {self.min_count} times "
                "('min_count' of text), so there is no alphabet to learn from them; give texts, "
                "or set 'alphabet'"
            )
        # Of those that are equally frequent the first by code point, on every machine.
        symbols = sorted(enough, key=lambda symbol: (-counts[symbol], symbol))[: self.max_symbols]
        return symbols if self.unit == "word" else "".join(symbols)

    def _refuse_others(self, things: Things) -> None:
        """Raise `DataError` about the first item if none of the items is a text."""
        if len(things) and not any(isinstance(thing, str) for thing in things):
            try:
                _text(things[0])
            except DataError as error:
                reason = error.problems[0].message
                raise DataError(f"no training item is a text; the first: {reason}") from None

    def _readable(self, things: Things) -> Iterator[str]:
        for thing in things:
            if isinstance(thing, str):
                yield self._clean(thing)

    def _learn_length(self, things: Things) -> int:
        lengths = []
        for thing in things:
            try:
                lengths.append(len(self._rows(thing)))
            except DataError:
                continue
        if not lengths:
            raise DataError(
                "there is no usable text to learn the length from; give texts, or set "
                "'length' of text"
            )
        return length_of_most(lengths, self.length_percentile)


def length_of_most(lengths: Sequence[int], percentile: float) -> int:
    """Return the smallest length that so many percent do not exceed; always one of those given."""
    place = math.ceil(len(lengths) * percentile / 100) - 1
    return min(max(sorted(lengths)[max(place, 0)], 1), _LONGEST)


@dataclass(frozen=True, eq=False)
class _Lookup:
    """Where the 1 of each symbol stands.

    Attributes:
        codes: the code points of all characters, ascending, and one beyond all code points.
        rows: the row of each, int32; `other` for the last.
        word_rows: the row of each word.
        other: the row of all else; -1 for none.
    """

    codes: NDArray[np.uint32]
    rows: NDArray[np.int32]
    word_rows: dict[str, int]
    other: int

    @classmethod
    def of(cls, symbols: tuple[str, ...], *, other: int) -> Self:
        rows = {symbol: row for row, symbol in enumerate(symbols)}
        characters = sorted(symbol for symbol in symbols if len(symbol) == 1)
        return cls(
            np.array([*map(ord, characters), _CODE_POINTS], np.uint32),
            np.array([*(rows[character] for character in characters), other], np.int32),
            rows,
            other,
        )

    def characters(self, codes: NDArray[np.uint32]) -> NDArray[np.int32]:
        """Return the row of each code point."""
        places = self.codes.searchsorted(codes)
        result: NDArray[np.int32] = np.where(
            self.codes[places] == codes, self.rows[places], np.int32(self.other)
        )
        return result

    def words(self, words: list[str]) -> NDArray[np.int32]:
        """Return the row of each word."""
        rows, other = self.word_rows, self.other
        return np.array([rows.get(word, other) for word in words], np.int32)


def _code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of a text, uint32 `(characters,)`."""
    # "<u4" rather than uint32: the order of bytes is that of the encoding on every machine.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _count_characters(texts: Iterable[str]) -> dict[str, int]:
    """Return how often each character occurs, but for surrogates."""
    counts = np.zeros(_CODE_POINTS, np.int64)
    waiting: list[str] = []
    length = 0

    def count() -> None:
        nonlocal length
        np.add(
            counts, np.bincount(_code_points("".join(waiting)), minlength=_CODE_POINTS), out=counts
        )
        waiting.clear()
        length = 0

    for text in texts:
        waiting.append(text)
        length += len(text)
        if length >= _AT_ONCE:
            count()
    count()
    counts[_SURROGATES] = 0
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _count_words(texts: Iterable[str]) -> dict[str, int]:
    """Return how often each word occurs, but for surrogates, which are words of one sign.

    Very long words are left out: they are no words, and a spec could not hold many of them.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(WORDS.findall(text))
    return {
        word: count
        for word, count in counts.items()
        if len(word) <= _LONGEST_WORD and not "\ud800" <= word < "\ue000"
    }


def _text(thing: Any) -> str:
    """Return an item if it is a text; raise `DataError` that says what it is, if not."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, bytes | bytearray):
        raise DataError(
            "it is bytes, not a text; decode it first, as with .decode('utf-8'), or set "
            "'unit: byte' of text"
        )
    if isinstance(thing, os.PathLike):
        raise DataError(
            "it is a path, and files are not read as texts; give the file's content, "
            "as from pathlib.Path(...).read_text(encoding='utf-8')"
        )
    if _is_missing(thing):
        raise DataError(f"its text is missing ({shown(thing)}); leave the item out, or give a text")
    raise DataError(
        f"it is {type(thing).__name__} {shown(thing)}, not a text; give a str, or use another "
        "adapter"
    )


def _is_missing(thing: Any) -> bool:
    # By their names, so that pandas is not imported for those who do not use it.
    is_nan = isinstance(thing, float) and math.isnan(thing)
    return thing is None or is_nan or type(thing).__name__ in ("NAType", "NaTType")
