"""Bodies of requests: multipart forms, JSON, and single files, as parts with names."""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from gridcnn.errors import printable, shown
from gridcnn.serve.refusals import Refusal

# What is wrong with a form is told to its sender; in a log it would only be noise.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())

MULTIPART = "multipart/form-data"
JSON = "application/json"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or a text, of a request.

    Attributes:
        name: what its sender calls it, in one printable line; empty if it has no name.
        content: its bytes.
        is_file: whether it was sent as a file; else it is a field of a form.
    """

    name: str
    content: bytes
    is_file: bool = True


def split_type(content_type: str) -> tuple[str, dict[str, str]]:
    """Return the type of a body in lower case, and its parameters: `text/csv; charset=utf-8`."""
    kind, _, rest = content_type.partition(";")
    parameters: dict[str, str] = {}
    for each in rest.split(";"):
        name, equals, value = each.partition("=")
        if equals:
            parameters[name.strip().lower()] = value.strip().strip('"')
    return kind.strip().lower(), parameters


def read_form(body: bytes, content_type: str, *, most: int) -> list[Part]:
    """Return the parts of a multipart form.

    Raises:
        Refusal: it is not such a form, or has more than `most` parts.
    """
    from python_multipart.exceptions import MultipartParseError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise Refusal(400, f"{MULTIPART} needs a boundary: 'Content-Type: {MULTIPART}; boundary=x'")
    form = _Form(most)
    try:
        parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, ValueError) as error:
        raise Refusal(400, f"the form is damaged: {printable(str(error))[:200]}") from None
    if not form.ended:
        raise Refusal(400, "the form is cut short: its last boundary is missing")
    return form.parts


class _Form:
    """Gathers the parts of a form, as the parser calls."""

    def __init__(self, most: int) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._most = most
        self._begin()

    def _begin(self) -> None:
        self._name = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        if len(self.parts) >= self._most:
            raise Refusal(413, f"the form has more than {self._most:,} parts; send it in pieces")
        self._begin()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_part_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        options = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        file_name = options.get(b"filename")
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if encoding not in (b"binary", b"8bit", b"7bit"):
            raise Refusal(400, f"parts must not be encoded; one has the encoding {encoding!r}")
        is_file = file_name is not None
        name = _name(options.get(b"name", b"") if file_name is None else file_name)
        self.parts.append(Part(name, b"".join(self._pieces), is_file))

    def _on_end(self) -> None:
        self.ended = True


def _name(given: bytes) -> str:
    """Return a name from a client: it is shown, and decides how a table is read; never opened."""
    name = printable(given.decode("utf-8", "replace"))
    return name if len(name) <= _LONGEST_NAME else f"...{name[3 - _LONGEST_NAME :]}"


def read_json(body: bytes) -> Any:
    """Return the content of a body of JSON.

    Raises:
        Refusal: it is not JSON as the standard defines it.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise Refusal(400, "the JSON has too many lists or objects inside each other") from None
    except UnicodeDecodeError:
        raise Refusal(400, "the body is not JSON: it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Refusal(400, f"the body is not JSON: {error.msg} in {place}") from None
    except ValueError:  # Python's own limit of the digits of a whole number
        raise Refusal(400, "the JSON has a number of too many digits") from None


def _refuse_constant(text: str) -> NoReturn:
    raise Refusal(400, f"the body is not JSON: {text} is not a JSON number; write null")


def decode_base64(text: Any) -> bytes:
    """Return the bytes of `{"base64": text}`; raise `Refusal` if it is something else."""
    if isinstance(text, str):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise Refusal(422, f"{shown(text)} is not base64")
