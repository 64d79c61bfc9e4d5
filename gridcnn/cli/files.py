"""What the command line names, and standard input, as things to classify."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from gridcnn.errors import DataError, Problem, SpecError, listed

if TYPE_CHECKING:
    from gridcnn.contracts.adapter import Adapter
    from gridcnn.datasets.tables.table import Table
    from gridcnn.spec.models import Data

STDIN = "-"
_STDIN_NAME = "standard input"
_TABLES = frozenset({".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".pq"})
"""Endings of files that are tables for every model of texts or numbers."""
_TEXT = frozenset({".txt"})
_LONGEST_TEXT = 2**24
_ARRAYS = frozenset({".npy", ".npz"})
_STORED = (b"\x93NUMPY", b"PK")
"""How stored arrays begin."""


class Questions:
    """Things that the command line names, one after the other, and what each is called.

    Models of texts are asked by texts, files of text, and the rows of tables; models of numbers by
    the rows of tables and by stored arrays; all others by files. Folders are searched, with all
    inside them, for such files, sorted; what is hidden is left out. Of tables and standard input
    only a part is in memory at a time.

    Args:
        adapter: of the model.
        data: the data section that it was trained with, which tells what columns are called.
        lines: whether each line of a text is a text of its own.
        columns: what takes the place of the columns that the model was trained on.

    Raises:
        SpecError: options are given that this model has no use for.
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
        from gridcnn.datasets.tables.table import Table

        source = None if data is None else data.source
        self._table: Table | None = source if isinstance(source, Table) else None
        self._group = data.group if data is not None and isinstance(data.group, str) else None
        asks_texts = self._table is not None and isinstance(self._table.input, str)
        self._of_texts = adapter.texts or asks_texts
        self._of_numbers = not self._of_texts and (adapter.numbers or self._table is not None)
        self._adapter, self._texts = adapter, texts
        self._lines, self._columns = lines, tuple(columns)
        if not self._of_texts and (texts or lines):
            option = "--text is" if texts else "--lines is"
            raise SpecError(
                f"{option} for models of texts, and this one's adapter is {adapter.title}"
            )
        if columns and not (self._of_texts or self._of_numbers):
            raise SpecError(
                "--input is for models of texts or numbers, which read tables; this one's adapter "
                f"is {adapter.title}"
            )
        if self._of_texts and len(columns) > 1:
            raise SpecError("--input is given once for a model of texts: the column that has them")

    def things(self, given: Sequence[str]) -> Iterator[tuple[str, Any] | DataError]:
        """Yield the name of each thing and the thing, and an error for what cannot be asked."""
        for number, text in enumerate(self._texts, start=1):
            yield f"text {number}", text
        for name in given:
            try:
                yield from self._named(name)
            except DataError as error:
                yield error

    def _named(self, text: str) -> Iterator[tuple[str, Any] | DataError]:
        if not text:
            raise DataError("a file name is empty; is a variable of the shell unset?")
        path = Path(text)
        try:
            there, is_folder = path.exists(), path.is_dir()
        except OSError as error:  # for example a name that is too long
            raise DataError(
                Problem(f"cannot be read: {error.strerror or error}", source=text)
            ) from None
        if text == STDIN:
            yield from self._standard_input()
        elif is_folder:
            for file in self._inside(path):
                try:
                    yield from self._file(str(file), file)
                except DataError as error:
                    yield error
        elif there:
            yield from self._file(text, path)
        else:
            message = "there is no such file or folder"
            if self._of_texts:
                message += "; a text itself is given with --text"
            raise DataError(Problem(message, source=text))

    def _inside(self, folder: Path) -> list[Path]:
        suffixes = _TEXT if self._of_texts else self._adapter.suffixes or _TABLES
        found = sorted(_searched(folder, suffixes))
        if not found:
            kinds = listed(sorted(suffixes))
            message = f"the folder holds no file of {kinds}"
            raise DataError(Problem(message, source=str(folder)))
        return found

    def _file(self, name: str, path: Path) -> Iterator[tuple[str, Any]]:
        """Yield what is in a file."""
        ending = path.suffix.lower()
        trained = self._table is not None and ending == Path(self._table.path).suffix.lower()
        if self._of_texts:
            if ending in _TABLES or trained:
                yield from self._rows(name, None)
            else:
                try:
                    with path.open("rb") as file:
                        yield from self._written(name, file)
                except OSError as error:
                    message = f"cannot be read: {error.strerror or error}"
                    raise DataError(Problem(message, source=name)) from None
        elif self._of_numbers and (
            ending in _TABLES or trained or ending not in self._adapter.suffixes
        ):
            yield from self._rows(name, None)
        elif self._of_numbers and ending in _ARRAYS:
            yield from self._stored(name, path)
        else:
            yield name, path

    def _stored(self, name: str, thing: Path | bytes) -> Iterator[tuple[str, Any]]:
        """Yield a stored array, or each item of a stack of them."""
        from gridcnn.stored import stored_array

        try:
            array = stored_array(thing, among=("X", "x"))
            lone = self._fits(array.shape)
            if not lone and not (array.ndim > 1 and self._fits(array.shape[1:])):
                self._adapter.adapt(array)  # says what is wrong with it
        except DataError as error:
            raise DataError(Problem(error.problems[0].message, source=name)) from None
        if lone:
            yield name, array
            return
        for number, item in enumerate(array):
            yield f"{name}, item {number}", item

    def _fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether numbers of a shape are one thing."""
        try:
            # A single zero that is seen everywhere: a mapped stack may be larger than memory.
            self._adapter.adapt(np.broadcast_to(np.float32(0), shape))
        except DataError:
            return False
        return True

    def _standard_input(self) -> Iterator[tuple[str, Any]]:
        if self._of_texts:
            yield from self._written(_STDIN_NAME, sys.stdin.buffer)
            return
        if self._of_numbers:
            # A look at how it begins: a table is read row by row, and an array as a whole.
            begin = sys.stdin.buffer.read(max(map(len, _STORED)))
            if begin and not (self._adapter.suffixes and begin.startswith(_STORED)):
                content = io.BufferedReader(_Continued(begin, sys.stdin.buffer))
                yield from self._rows(_STDIN_NAME, content)
                return
            array = begin + sys.stdin.buffer.read()
            if array:
                yield from self._stored(_STDIN_NAME, array)
                return
        content_bytes = sys.stdin.buffer.read()
        if not content_bytes:
            raise DataError(f"{_STDIN_NAME} is empty")
        yield _STDIN_NAME, content_bytes

    def _written(self, name: str, file: IO[bytes]) -> Iterator[tuple[str, str]]:
        """Yield the text that a file holds, or each of its lines that is not empty."""
        from gridcnn.datasets.problems import Problems
        from gridcnn.datasets.tables import delimited

        found = Problems(name)
        if self._lines:
            any_line = False
            for number, line in enumerate(delimited.lines(file, found), start=1):
                text = line.rstrip("\r\n")
                if text.strip():
                    any_line = True
                    yield f"{name}:{number}", text
            if not any_line:
                raise DataError(Problem("has not one line of text", source=name))
            return
        content = file.read(_LONGEST_TEXT + 1)
        if not content:
            empty = "standard input is empty" if name == _STDIN_NAME else "the file is empty"
            raise DataError(Problem(empty, source="" if name == _STDIN_NAME else name))
        if len(content) > _LONGEST_TEXT:
            message = "has more than 16 MiB, too much for one text; --lines takes each line as one"
            raise DataError(Problem(message, source=name))
        text = "".join(delimited.lines(io.BytesIO(content), found))
        # The end of the last line belongs to the file, and not to the text.
        yield name, text.removesuffix("\n").removesuffix("\r")

    def _rows(self, name: str, content: IO[bytes] | None) -> Iterator[tuple[str, Any]]:
        """Yield the rows of a table."""
        from gridcnn.datasets.tables.table import asked

        first = True
        for place, thing in asked(self._form(name), group=self._group, file=content):
            if first and not self._of_texts:
                self._refuse_width(name, len(thing))
            first = False
            yield place, thing

    def _refuse_width(self, name: str, width: int) -> None:
        """Raise `DataError` where no row of so many numbers can be answered: once, for all."""
        try:
            self._adapter.adapt(np.zeros(width))
        except DataError as error:
            hint = "; name the columns of numbers, each with --input"
            message = f"{error.problems[0].message}{'' if self._columns else hint}"
            raise DataError(Problem(message, source=name)) from None

    def _form(self, path: str) -> Table:
        """Return how a table at a path is read: as that of the training, as far as there is one."""
        from gridcnn.datasets.tables.table import Table

        if not self._columns and self._table is None and self._of_texts:
            message = (
                "this model was trained on texts that stood in no table; say which column has the "
                "texts: --input COLUMN"
            )
            raise DataError(Problem(message, source=path))
        if self._table is not None:
            settings = self._table.of(path).model_dump(exclude_unset=True)
        else:
            settings = {"path": path, "label": "label"}
        if self._columns:
            settings["input"] = self._columns[0] if self._of_texts else list(self._columns)
            # What was a part's name in training may be an input here.
            settings = {k: v for k, v in settings.items() if k != "split"}
        return Table(**settings)


class _Continued(io.RawIOBase):
    """A stream of which the beginning was read already."""

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


def _searched(folder: Path, suffixes: frozenset[str]) -> Iterable[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.suffix.lower() in suffixes and path.is_file():
            yield path
