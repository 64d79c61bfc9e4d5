"""YAML as located data: every key and value knows its line and column, and nothing is executed.

Scalars follow YAML 1.2's core schema: only `true` and `false` are truth values, so that `off` and
`no` stay words, and `1e-3` is a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from gridcnn.errors import Problem, SpecError, shown

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40
MAX_NUMBER = 40

Path = tuple[str | int, ...]
Place = tuple[int, int]

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass
class Document:
    """Plain data, and for every path through it the `(line, column)` where it stands, from 1."""

    data: Any
    source: str = ""
    places: dict[Path, Place] = field(default_factory=dict)
    overridden: dict[Path, str] = field(default_factory=dict)

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at the nearest known place of `path`."""
        for length in range(len(path), -1, -1):
            part = path[:length]
            if part in self.overridden:
                return Problem(message, written(path), self.overridden[part])
            if part in self.places and (part or not path):
                return Problem(message, written(path), self.source, *self.places[part])
        return Problem(message, written(path), self.source)


def written(path: Path) -> str:
    """Return a path as it is written: `stages[1].convolution.filters`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def parse(text: bytes | str, source: str) -> Document:
    """Return the one YAML document in `text`.

    Raises:
        SpecError: it is not UTF-8, not YAML, not a single document, larger than any spec
            (1 MB, 20,000 values, 40 levels), repeats a key, or uses a tag.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise SpecError(
            Problem(
                f"a spec may have {MAX_BYTES:,} bytes; this file has {len(raw):,}", source=source
            )
        )
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise SpecError(
            Problem(
                f"a spec is UTF-8 text; the byte {raw[error.start]:#04x} is not",
                source=source,
                line=line,
                column=column,
            )
        ) from None
    return _Reader(decoded, source).read()


class _Reader:
    """Builds data from YAML's event stream, so that size and depth are bounded while reading."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.text = text
        self.document = Document(None, source)
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0

    def fail(self, mark: Any, message: str) -> NoReturn:
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise SpecError(Problem(message, source=self.source, line=line, column=column))

    def read(self) -> Document:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self.events = yaml.parse(self.text, Loader=loader)
            for event in self.events:
                if isinstance(event, yaml.NodeEvent):
                    if self.nodes:
                        self.fail(event.start_mark, "a spec is a single YAML document")
                    self.document.data = self.node(event, (), 0)
        except yaml.MarkedYAMLError as error:
            what = " ".join(str(part) for part in (error.context, error.problem) if part)
            self.fail(error.problem_mark or error.context_mark, f"this is not YAML: {what}")
        except yaml.YAMLError as error:  # a character that YAML does not allow
            self.fail(None, f"this is not YAML: {str(error).splitlines()[0]}")
        if not self.nodes:
            raise SpecError(Problem("the spec is empty", source=self.source))
        return self.document

    def node(self, event: Any, path: Path, depth: int) -> Any:
        mark = event.start_mark
        self.document.places.setdefault(path, (mark.line + 1, mark.column + 1))
        if depth > MAX_DEPTH:
            self.fail(mark, f"a spec may be nested {MAX_DEPTH} levels deep; this is deeper")
        before, anchor = self.nodes, event.anchor
        self.count(mark, 1)
        if isinstance(event, yaml.AliasEvent):
            if anchor not in self.anchors:
                self.fail(mark, f"nothing before this line is anchored as &{anchor}")
            value, size = self.anchors[anchor]
            # Counted in full: a few lines of aliases of aliases can stand for billions of values.
            self.count(mark, size)
            return value
        if event.tag is not None and event.tag != "!":
            self.fail(mark, f"a spec holds plain data; the tag {event.tag} is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                value.append(self.node(event, (*path, len(value)), depth + 1))
        else:
            value = self.mapping(path, depth)
        if anchor:
            self.anchors[anchor] = (value, self.nodes - before)
        return value

    def mapping(self, path: Path, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            mark = event.start_mark
            if not isinstance(event, yaml.ScalarEvent):
                self.fail(mark, "a key must be a plain word")
            self.count(mark, 1)
            key = event.value
            if key in value:
                first = self.document.places[(*path, key)][0]
                self.fail(mark, f"'{shown(key)[1:-1]}' is given twice; first on line {first}")
            self.document.places[(*path, key)] = (mark.line + 1, mark.column + 1)
            value[key] = self.node(next(self.events), (*path, key), depth + 1)
        return value

    def count(self, mark: Any, size: int) -> None:
        self.nodes += size
        if self.nodes > MAX_NODES:
            self.fail(mark, f"a spec may hold {MAX_NODES:,} values; this one holds more")

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style in ("'", '"', "|", ">") or event.tag == "!":
            return text
        if text in _WORDS:
            return _WORDS[text]
        number = _INT.fullmatch(text) or _FLOAT.fullmatch(text)
        if number and len(text) > MAX_NUMBER:
            self.fail(event.start_mark, f"a number may have {MAX_NUMBER} digits; got {len(text)}")
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        return float(text.lower().replace(".inf", "inf")) if number else text
