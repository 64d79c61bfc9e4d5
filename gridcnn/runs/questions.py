"""Questions: the items to classify in files, texts and standard input."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from gridcnn.contracts.adapter import Adapter
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.memory import asked_columns
from gridcnn.datasets.tables.frames import FRAME_ENDINGS
from gridcnn.datasets.tables.items import (
    ENDINGS,
    Columns,
    opened_rows,
    others_note,
    place_of,
    read_questions,
)
from gridcnn.datasets.tables.lines import PACKED_ENDINGS, Lines, ending_of
from gridcnn.datasets.tables.rows import SMILES_ENDINGS, Form
from gridcnn.datasets.tables.table import Table
from gridcnn.datasets.walking import Walk
from gridcnn.errors import DataError, Problem, SpecError, listed
from gridcnn.files import open_ordinary
from gridcnn.spec.models import Data
from gridcnn.stored import stored_array

STDIN = "-"
_STDIN_NAME = "standard input"
_TABLES = frozenset(ENDINGS) - {".txt"}
"""Endings of files that are tables for every model of texts or numbers."""
_TEXT = frozenset({".txt"})
_LONGEST_TEXT = 2**24
_ARRAYS = frozenset({".npy", ".npz"})
_STORED = (b"\x93NUMPY", b"PK")
"""The first bytes of stored arrays."""


@dataclass(frozen=True)
class Part:
    """Some items, their names, and the problems of others.

    Attributes:
        names: the name of each item in messages and results.
        things: the things, as an adapter takes them.
        problems: what could not be read.
        notes: sentences to print once.
    """

    names: Sequence[str] = ()
    things: Any = ()
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()


class Questions:
    """Items to classify, in parts of which one is in memory at a time.

    Models of texts take texts, files of text, and the rows of tables; models of numbers take the
    rows of tables and stored arrays; all others take files. Folders are searched, with all
    subfolders, for such files, sorted, by the rules of `gridcnn.datasets.walking`. Columns of
    tables are those of the training, by name.

    Args:
        adapter: of the model.
        data: the data section that it was trained with.
        texts: texts to classify.
        lines: whether each line of a text is a text of its own.
        columns: columns that take the place of those of the training.

    Raises:
        SpecError: options are given that do not apply to this model.
    """

    def __init__(
        self,
        adapter: Adapter,
        data: Data | None,
        *,
        texts: Sequence[str] = (),
        lines: bool = False,
        columns: Sequence[str] = (),
    ) -> None:
        source = None if data is None else data.source
        self._table = source if isinstance(source, Table) else None
        asked = asked_columns(source)
        one = asked is not None and isinstance(asked.input, str)
        self._of_texts = adapter.texts or (one and not adapter.suffixes)
        self._of_numbers = not self._of_texts and (adapter.numbers or asked is not None)
        self._adapter, self._texts, self._lines = adapter, texts, lines
        self._asked = asked
        if columns:
            self._asked = Columns(columns[0] if self._of_texts or one else tuple(columns))
        elif asked is None and self._of_numbers:
            self._asked = Columns()
        group = data.group if data is not None and isinstance(data.group, str) else None
        self._ignored = {*(asked.about if asked else ()), *([group] if group else [])}
        self._refuse_options(columns)

    def _refuse_options(self, columns: Sequence[str]) -> None:
        adapter = f"this one's adapter is {self._adapter.title}"
        if not self._of_texts and (self._texts or self._lines):
            option = "--text is" if self._texts else "--lines is"
            raise SpecError(f"{option} for models of texts, and {adapter}")
        if columns and not (self._of_texts or self._of_numbers):
            raise SpecError(
                f"--input is for models of texts or numbers, which read tables; {adapter}"
            )
        if self._of_texts and len(columns) > 1:
            raise SpecError("--input is given once for a model of texts: the column that has them")

    def parts(self, given: Sequence[str]) -> Iterator[Part]:
        """Yield the items in files, folders and standard input (`-`), part by part."""
        if self._texts:
            names = [f"text {number}" for number in range(1, len(self._texts) + 1)]
            yield Part(names, list(self._texts))
        for name in given:
            try:
                yield from self._parts_of(name)
            except DataError as error:
                yield Part(problems=error.problems)

    @property
    def kind(self) -> Literal["text", "numbers", "file"]:
        """What an item is: a text, an array or a row of numbers, or a file."""
        if self._of_texts:
            return "text"
        rows = self._asked is not None and not isinstance(self._asked.input, str)
        return "numbers" if self._adapter.numbers or rows else "file"

    def content(self, name: str, content: bytes) -> Iterator[Part]:
        """Yield the items in the content of a file, part by part.

        `name` is what messages call it. Its ending says whether it is a table, and how that is
        written; nothing of that name is opened.

        Raises:
            DataError: it cannot be read.
        """
        ending = places.ending(name)
        known = self._adapter.suffixes
        if not content:
            raise DataError(Problem("is empty (0 bytes)", source=name))
        if (ending in PACKED_ENDINGS or ending in FRAME_ENDINGS) and ending not in known:
            message = "tables are read as text: CSV, TSV or JSON Lines, not compressed"
            raise DataError(Problem(message, source=name))
        is_table = ending in _TABLES and ending not in known
        if self._of_texts and not is_table:
            yield from self._texts_in(name, io.BytesIO(content))
        elif self._of_texts:
            smiles = ending in SMILES_ENDINGS
            columns = self._asked or (Columns("smiles") if smiles else Columns("text"))
            yield from self._rows(name, io.BytesIO(content), columns)
        elif self._of_numbers and (content.startswith(_STORED) or ending in _ARRAYS):
            yield from self._arrays(name, content)
        elif is_table and self._asked is not None and self.kind == "numbers":
            yield from self._rows(name, io.BytesIO(content), self._asked)
        else:
            yield Part([name], [content])

    def _parts_of(self, text: str) -> Iterator[Part]:
        if not text:
            raise DataError("a file name is empty; is a variable of the shell unset?")
        if text == STDIN:
            yield from self._standard_input()
        elif places.is_folder(text):
            yield from self._inside(text)
        elif places.is_file(text):
            yield from self._file(places.printable(text), text)
        else:
            message = places.why_not_file(text)
            if "no such" in message:
                message = "there is no such file or folder"
                message += "; a text itself is given with --text" if self._of_texts else ""
            raise DataError(Problem(message, source=text))

    def _inside(self, folder: str) -> Iterator[Part]:
        suffixes = _TEXT if self._of_texts else self._adapter.suffixes or _TABLES
        problems = Problems(folder)
        any_file = False
        for entry in Walk(folder, problems).files():
            if entry.ending in suffixes:
                any_file = True
                try:
                    name = places.printable(places.join(folder, entry.name))
                    yield from self._file(name, entry.path)
                except DataError as error:
                    yield Part(problems=error.problems)
        if not any_file and not problems.count:
            problems.add(f"the folder holds no file of {listed(sorted(suffixes))}")
        problems.stop()

    def _file(self, name: str, path: str) -> Iterator[Part]:
        """Yield what is in a file."""
        ending = ending_of(path)
        is_table = ending in _TABLES or (
            self._table is not None and ending == ending_of(self._table.path)
        )
        if self._of_texts and not is_table:
            try:
                with open_ordinary(path) as file:
                    yield from self._texts_in(name, file)
            except OSError as error:
                message = f"cannot be read: {error.strerror or error}"
                raise DataError(Problem(message, source=name)) from None
        elif self._of_numbers and ending in _ARRAYS and not is_table:
            yield from self._arrays(name, Path(path))
        elif self._asked is not None and ending not in self._adapter.suffixes:
            yield from self._rows(name, place_of(path), self._asked)
        elif self._of_texts and ending in SMILES_ENDINGS:
            yield from self._rows(name, place_of(path), Columns("smiles"))
        elif self._of_texts:
            message = (
                "this model was trained on texts that came from no table; name the column of the "
                "texts: --input COLUMN"
            )
            raise DataError(Problem(message, source=name))
        else:
            yield Part([name], [Path(path)])

    def _arrays(self, name: str, thing: Path | bytes) -> Iterator[Part]:
        """Yield a stored array, or each item of a stack of them."""
        try:
            array = stored_array(thing, among=("X", "x"))
            lone = self._fits(array.shape)
            if not lone and not (array.ndim > 1 and self._fits(array.shape[1:])):
                self._adapter.adapt(array)  # raises the error that says what is wrong
        except DataError as error:
            raise DataError(Problem(error.problems[0].message, source=name)) from None
        if lone:
            yield Part([name], [array])
        else:
            numbers = range(len(array))
            yield Part(places.Numbered(f"{name}, item ", numbers), array)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether numbers of a shape are one thing."""
        try:
            # A single zero that is seen everywhere: a mapped stack may be larger than memory.
            self._adapter.adapt(np.broadcast_to(np.float32(0), shape))
        except DataError:
            return False
        return True

    def _standard_input(self) -> Iterator[Part]:
        stream = sys.stdin.buffer
        if self._of_texts:
            yield from self._texts_in(_STDIN_NAME, stream)
            return
        if self._of_numbers:
            # A look at how it begins: a table is read row by row, and an array as a whole.
            begin = stream.read(max(map(len, _STORED)))
            if begin and not (self._adapter.suffixes and begin.startswith(_STORED)):
                rest = io.BufferedReader(_Continued(begin, stream))
                yield from self._rows(_STDIN_NAME, rest, self._asked or Columns())
                return
            array = begin + stream.read()
            if array:
                yield from self._arrays(_STDIN_NAME, array)
                return
        content = stream.read()
        if not content:
            raise DataError(f"{_STDIN_NAME} is empty")
        yield Part([_STDIN_NAME], [content])

    def _texts_in(self, name: str, file: IO[bytes]) -> Iterator[Part]:
        """Yield the text in a file, or each of its lines that is not empty."""
        problems = Problems(name)
        if self._lines:
            lines = Lines(file, problems)
            any_line = False
            for line in lines:
                text = line.rstrip("\r\n")
                if text.strip():
                    any_line = True
                    yield Part([f"{name}:{lines.number}"], [text])
            if not any_line:
                raise DataError(Problem("has no lines of text", source=name))
            return
        content = file.read(_LONGEST_TEXT + 1)
        if not content:
            empty = "standard input is empty" if name == _STDIN_NAME else "the file is empty"
            raise DataError(Problem(empty, source="" if name == _STDIN_NAME else name))
        if len(content) > _LONGEST_TEXT:
            message = "has more than 16 MiB, too much for one text; --lines takes each line as one"
            raise DataError(Problem(message, source=name))
        text = "".join(Lines(io.BytesIO(content), problems))
        # The end of the last line belongs to the file, and not to the text.
        yield Part([name], [text.removesuffix("\n").removesuffix("\r")])

    def _rows(self, name: str, given: str | IO[bytes], columns: Columns) -> Iterator[Part]:
        """Yield the rows of a table, by the columns of their inputs."""
        form = Form()
        if self._table is not None:
            own = isinstance(given, str) and ending_of(given) != ending_of(self._table.path)
            form = Form() if own else self._table.form
        problems = Problems(name)
        with opened_rows(given, form, problems, wanted=columns.inputs, trained=True) as rows:
            about = Columns(columns.input, self._about(rows.names))
            first = True
            parts = read_questions(rows, about, missing=self._adapter.takes_missing)
            for names, things, bad in parts:
                notes: Sequence[str] = ()
                if first:
                    used = [*columns.inputs, *self._ignored]
                    notes = others_note(rows, used) if columns.input is not None else ()
                    notes = [f"{name}: {note}" for note in notes]
                    if self._of_numbers and len(things) and isinstance(things[0], np.ndarray):
                        self._refuse_width(name, len(things[0]))
                first = False
                yield Part(names, things, bad, notes)

    def _about(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """Return the columns of a table that are not inputs."""
        return tuple(name for name in names if name in self._ignored) or None

    def _refuse_width(self, name: str, width: int) -> None:
        """Raise one `DataError` for all rows if rows of this length cannot be classified."""
        try:
            self._adapter.adapt(np.zeros(width))
        except DataError as error:
            hint = "; name the columns of numbers, each with --input"
            named = self._asked is not None and self._asked.input is not None
            message = f"{error.problems[0].message}{'' if named else hint}"
            raise DataError(Problem(message, source=name)) from None


class _Continued(io.RawIOBase):
    """A stream whose beginning has been read already."""

    def __init__(self, begin: bytes, rest: IO[bytes]) -> None:
        self._begin, self._rest = begin, rest

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if self._begin:
            part, self._begin = self._begin[: len(target)], self._begin[len(target) :]
        else:
            part = self._rest.read(len(target))
        target[: len(part)] = part
        return len(part)
