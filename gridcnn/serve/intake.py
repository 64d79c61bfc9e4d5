"""Bodies become items. What a client sends is content: no text of it is ever opened as a file."""

from __future__ import annotations

import json
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import DataError, Problem, shown
from gridcnn.runs.questions import Questions
from gridcnn.serve.body import (
    JSON,
    MULTIPART,
    Part,
    decode_base64,
    read_form,
    read_json,
    split_type,
)
from gridcnn.serve.limits import Limits
from gridcnn.serve.refusals import Refusal
from gridcnn.spec.models import Spec

BODY = "body"
"""What messages call the one item of a body that is neither a form nor JSON."""
_ENDINGS = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "text/plain": ".txt",
}
"""How a body is read, by its type; of all others the content tells it."""
_FORM = "application/x-www-form-urlencoded"
_FILES = frozenset(
    {
        *("application/octet-stream", "application/zip", "application/x-npy", "application/x-npz"),
        *("application/dicom", "application/ogg"),
        _FORM,  # what curl --data-binary calls any file
    }
)
"""Types of bodies that are files, for models that take files or numbers."""
_ROWS = "items.jsonl"  # what a table of rows in JSON is called while it is read
_DTYPES = ("uint8", "uint16", "float32", "bool")


@dataclass
class Items:
    """The items of one request.

    Attributes:
        names: what messages and answers call them.
        things: the things, as an adapter takes them: bytes, texts or arrays of numbers.
        problems: what could not be read as items at all, such as rows of a table.
        places: for each problem, how many of the things come before it.
    """

    names: list[str] = field(default_factory=list)
    things: list[Any] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def refuse(self, problem: Problem, place: int | None = None) -> None:
        """Add a problem, after all things so far or after as many as `place` says."""
        self.problems.append(problem)
        self.places.append(len(self.things) if place is None else place)


class Intake:
    """Reads bodies for one model.

    Args:
        spec: of the model.
        adapter: of the model.
        limits: how many items a request may have.
    """

    def __init__(self, spec: Spec, adapter: Adapter, limits: Limits) -> None:
        self._adapter, self._limits = adapter, limits
        self._questions = Questions(adapter, spec.data)

    @property
    def takes(self) -> str:
        """What an item is: `text`, `numbers` or `file`."""
        return self._questions.kind

    def items(self, body: bytes, content_type: str) -> Items:
        """Return the items of a body, by its type.

        Raises:
            Refusal: it cannot be read, or has too many items.
        """
        kind, parameters = split_type(content_type)
        if kind == MULTIPART:
            parts = read_form(body, content_type, most=self._limits.items)
            items = self._of_parts(parts)
        elif kind == JSON or kind.endswith("+json"):
            items = self._of_json(read_json(body))
        elif kind == _FORM and self.takes == "text":
            raise Refusal(
                415,
                f"forms are sent as {MULTIPART}: with curl, -F text=...; or send the text itself: "
                "-H 'Content-Type: text/plain'",
            )
        elif not self._reads(kind):
            raise Refusal(415, f"bodies of the type {shown(kind)} are not read; {self._read}")
        else:
            items = self._of_parts([_single(body, kind, parameters)])
        if not (items.things or items.problems):
            raise Refusal(422, "the request has no items")
        for name, thing in zip(items.names, items.things, strict=True):
            _refuse_paths(thing, name, self._adapter)
        return items

    def _reads(self, kind: str) -> bool:
        """Return whether a body that is neither a form nor JSON may be of a type."""
        if self.takes == "text":
            return kind in ("", "application/octet-stream", *_ENDINGS)
        media = self.takes == "file" and kind.startswith(("image/", "audio/", "video/"))
        return not kind or media or kind in _FILES or kind in _ENDINGS

    @property
    def _read(self) -> str:
        own = "text/plain" if self.takes == "text" else "application/octet-stream"
        return f"send {MULTIPART}, {JSON}, {own} or text/csv"

    # Files and fields -----------------------------------------------------------------------------

    def _of_parts(self, parts: Sequence[Part]) -> Items:
        items = Items()
        for number, part in enumerate(parts):
            name = part.name if part.is_file and part.name else f"item {number}"
            if not part.is_file and self.takes != "text":
                message = (
                    f"the field {part.name!r} is a text, and items of this model are "
                    f"{_ITEMS[self.takes]}; send it as a file: with curl, -F file=@NAME"
                )
                items.refuse(Problem(message, source=name))
                continue
            if not part.is_file:
                name = f"item {number}"
            self._add_content(items, name, part.content)
        return items

    def _add_content(self, items: Items, name: str, content: bytes) -> None:
        """Add the items in a file, and its problems: those of a line in the place of its item."""
        start = len(items.things)
        lines: list[int] = []

        def refuse(problems: Iterable[Problem]) -> None:
            for problem in problems:
                after = len(lines) if problem.line is None else bisect(lines, problem.line)
                items.refuse(problem, start + after)

        try:
            for part in self._questions.content(name, content):
                self._extend(items, part.names, part.things)
                lines += map(_line, part.names)
                refuse(part.problems)
        except DataError as error:
            refuse(error.problems)

    def _extend(self, items: Items, names: Iterable[str], things: Sequence[Any]) -> None:
        self._refuse_many(len(items.things) + len(things))
        items.names.extend(names)
        items.things.extend(things)

    def _refuse_many(self, count: int) -> None:
        most = self._limits.items
        if count > most:
            raise Refusal(413, f"the request has more than {most:,} items; send it in pieces")

    # JSON -----------------------------------------------------------------------------------------

    def _of_json(self, content: Any) -> Items:
        """Return the items of `{"items": [...]}` or `{"item": ...}`."""
        keys = set(content) if isinstance(content, dict) else set()
        if not keys & {"items", "item"} or not keys <= {"items", "item", "dtype"}:
            raise Refusal(
                422,
                'the JSON must be {"items": [...]} or {"item": ...}, with "dtype" for pixels; '
                f"got {_json_shown(content)}",
            )
        if len(keys & {"items", "item"}) > 1:
            raise Refusal(422, 'the JSON has "items" and "item"; give one of them')
        given = content["items"] if "items" in keys else [content["item"]]
        if not isinstance(given, list):
            raise Refusal(422, f'"items" must be a list; got {_json_shown(given)}')
        self._refuse_many(len(given))
        if given and self.takes == "numbers" and all(map(_is_row, given)):
            return self._of_rows(given)
        items = Items()
        dtype = content.get("dtype")
        if dtype is not None and dtype not in _DTYPES:
            raise Refusal(
                422, f'"dtype" must be one of {", ".join(_DTYPES)}; got {_json_shown(dtype)}'
            )
        for number, each in enumerate(given):
            name = f"item {number}"
            try:
                for some_names, things in self._of_value(name, each, dtype):
                    self._extend(items, some_names, things)
            except DataError as error:
                for problem in error.problems:
                    items.refuse(Problem(problem.message, source=problem.source or name))
        return items

    def _of_value(
        self, name: str, value: Any, dtype: str | None
    ) -> Iterator[tuple[Sequence[str], Sequence[Any]]]:
        """Yield the item that a value of JSON is; of a packed stack of arrays there are several."""
        if isinstance(value, dict) and set(value) == {"base64"}:
            for part in self._questions.content(name, decode_base64(value["base64"])):
                if part.problems:
                    raise DataError(*part.problems)
                yield part.names, part.things
        elif isinstance(value, str) and self.takes == "text":
            yield [name], [value]
        elif isinstance(value, list) and self.takes != "text":
            yield [name], [self._array(value, dtype)]
        else:
            raise DataError(f"{_json_shown(value)} is not {_VALUES[self.takes]}")

    def _array(self, value: list[Any], dtype: str | None) -> NDArray[Any]:
        """Return nested lists of numbers as an array; a missing number (null) is NaN."""
        if self.takes == "file" and dtype is None:
            raise DataError(
                f'pixels and samples need their type: "dtype": "uint8" (0 to 255) or "float32"; '
                f"{', '.join(_DTYPES)} are known"
            )
        try:
            array = np.array(value)
            if array.dtype.kind == "O":
                array = np.array(value, np.float64)  # with null
        except (TypeError, ValueError, OverflowError):
            raise DataError(
                "it is not an array: all numbers, or lists of numbers, of the same length"
            ) from None
        if array.dtype.kind not in "biuf":
            raise DataError(f"{_json_shown(value)} is not an array of numbers")
        return array if dtype is None else _as_type(array, dtype)

    def _of_rows(self, rows: Sequence[dict[str, Any]]) -> Items:
        """Return rows of a table, each with its cells by the names of their columns."""
        items = Items()
        self._add_content(items, _ROWS, "\n".join(map(json.dumps, rows)).encode())
        items.names = list(map(_row_name, items.names))
        items.problems = list(map(_of_row, items.problems))
        return items


_ITEMS = {"text": "texts", "numbers": "rows of numbers or arrays", "file": "files"}
_VALUES = {
    "text": "a text",
    "numbers": 'a list of numbers, a row {"column": number}, or a file {"base64": "..."}',
    "file": 'a file {"base64": "..."}, or an array of numbers; texts are never opened as files',
}


def _single(body: bytes, kind: str, parameters: dict[str, str]) -> Part:
    """Return a body that is a file itself."""
    encoding = parameters.get("charset", "utf-8").lower()
    if kind.startswith("text/") and encoding not in ("utf-8", "utf8", "us-ascii"):
        try:
            body = body.decode(encoding).encode()
        except (LookupError, ValueError):  # ValueError: also of a name with a NUL
            raise Refusal(415, f"the body is not text in the charset {shown(encoding)}") from None
    return Part(f"{BODY}{_ENDINGS.get(kind, '')}", body)


def _as_type(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """Return numbers as pixels or samples of a type; raise `DataError` if they do not fit."""
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
    if dtype != "float32" and not np.array_equal(converted, array):
        place = np.argwhere(converted != array)[0].tolist()
        number = array[tuple(place)].item()
        limits = np.iinfo(dtype) if np.dtype(dtype).kind == "u" else None
        allowed = "true and false" if limits is None else f"whole numbers of 0 to {limits.max:,}"
        raise DataError(
            f"its numbers are not {dtype}: {number:g} at {place}; {dtype} takes {allowed}"
        )
    return converted


def _is_row(value: Any) -> bool:
    """Return whether a value of JSON is a row of a table, by the names of its columns."""
    return isinstance(value, dict) and "base64" not in value


def _json_shown(value: Any) -> str:
    """Return a value as a message quotes it: null, true and false as they are called in JSON."""
    return json.dumps(value) if value is None or isinstance(value, bool) else shown(value)


def _line(name: str) -> int:
    """Return the line of an item that is a row of a table; 0 for another one."""
    line = name.rpartition(":")[2]
    return int(line) if line.isdecimal() and line.isascii() else 0


def _row_name(name: str) -> str:
    """Return what a row of JSON is called: its line, from 1, is its number, from 0."""
    line = _line(name)
    return f"item {line - 1}" if line else "items"


def _of_row(problem: Problem) -> Problem:
    if problem.line is not None:
        return Problem(problem.message, source=f"item {problem.line - 1}")
    return Problem(problem.message, source=_row_name(problem.source))


def _refuse_paths(thing: Any, name: str, adapter: Adapter) -> None:
    """Raise `Refusal` for what an adapter could open: all that is no content.

    The last gate: whatever reads bodies, and however a model was trained, nothing but bytes, arrays
    of numbers and, for adapters of texts, texts gets through.
    """
    plain = type(thing) is bytes or (isinstance(thing, str) and adapter.texts)
    if plain or (isinstance(thing, np.ndarray) and thing.dtype.kind in "biuf"):
        return
    raise Refusal(
        422,
        f"{name}: {shown(thing)} is a text, and items of this model are files; send the file",
    )
