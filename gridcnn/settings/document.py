"""YAML as located data: every key and value knows its line and column, and nothing is executed.

Scalars follow YAML 1.2's core schema: only `true` and `false` are boolean, so that `off` and `no`
stay words, and `1e-3` is a number.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from gridcnn.errors import Problem, SpecError, quoted, shown

# What is learned becomes a setting, and a resolved spec is read again: a table of 16,384 columns
# learns three numbers of each.
MAX_BYTES = 4_000_000
MAX_NODES = 60_000
MAX_DEPTH = 40
MAX_NUMBER = 40
_LONGEST_KEY = 80  # signs of a key that a message repeats
_TOO_MANY = f"a spec may hold {MAX_NODES:,} values; this one holds more"
_TOO_DEEP = f"a spec may be nested {MAX_DEPTH} levels deep; this is deeper"

Path = tuple[str | int, ...]
Place = tuple[int, int]

_NOWHERE = -1  # in a path, for what is read and forgotten

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)")
# Characters that YAML does not allow as they are, and line breaks that hardly an editor shows.
_FORBIDDEN = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
_BREAK = re.compile("\\r\\n|\\r|\\n")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass
class Document:
    """Plain data, and for every path through it the `(line, column)` where it stands, from 1.

    `overridden` has the settings that were changed afterwards, and by which option; `problems` are
    those found while reading that did not stop it.
    """

    data: Any
    source: str = ""
    places: dict[Path, Place] = field(default_factory=dict)
    overridden: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str) -> Problem:
        """Return a problem at the nearest known place of `path`."""
        path = self._as_written(path)
        text = path_text(path)
        for length in range(len(path), -1, -1):
            part = path[:length]
            if part in self.overridden:
                return Problem(message, text, self.overridden[part])
            if part in self.places:
                # A stage as a whole is wrong: more likely by what was changed in it.
                changed = [key for key in self.overridden if key[:length] == path and length > 1]
                if changed:
                    return Problem(message, text, self.overridden[changed[-1]])
                return Problem(message, text, self.source, *self.places[part])
        return Problem(message, text, self.source)

    def _as_written(self, path: Path) -> Path:
        """Return a path without the names of settings that a bare list stands for.

        `skip: [pooling]` is read as `skip: {stages: [pooling]}`, but there is no `stages` in it.
        """
        written: Path = ()
        for number, part in enumerate(path):
            is_list = (*written, 0) in self.places
            before_entry = number + 1 < len(path) and isinstance(path[number + 1], int)
            if not (isinstance(part, str) and is_list and before_entry):
                written = (*written, part)
        return written

    def override(self, path: Path, origin: str) -> None:
        """Note that the value at `path`, with all inside it, comes from the option `origin`."""
        for known in (self.places, self.overridden):
            for key in [key for key in known if key[: len(path)] == path]:
                del known[key]
        self.overridden[path] = origin


def path_text(path: Path) -> str:
    """Return a path as it is written: `stages[1].convolution.filters`; long parts are cut."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if len(part) <= _LONGEST_KEY else f"{part[: _LONGEST_KEY - 3]}..."
        text += f".{name}" if text else name
    return text


def parse(text: bytes | str, source: str) -> Document:
    """Return the one YAML document in `text`.

    A key given twice, a tag and a merge key are noted in the document's `problems`.

    Raises:
        SpecError: it is not UTF-8, not YAML, not a single document, or larger than any spec
            (4 MB, 60,000 values, 40 levels).
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise SpecError(
            Problem(
                f"a spec may have {MAX_BYTES:,} bytes; this one has {len(raw):,}", source=source
            )
        )
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place(error.object[: error.start].decode("utf-8"))
        message = f"a spec is UTF-8 text; the byte {error.object[error.start]:#04x} is not"
        raise SpecError(Problem(message, "", source, *place)) from None
    return _Reader(decoded, source).read()


def _place(before: str) -> Place:
    """Return the line and column of what follows the text `before`."""
    lines = _BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


class _Reader:
    """Builds data from YAML's event stream, so that size and depth are bounded while reading."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.document = Document(None, source)
        self.anchors: dict[str, tuple[Any, int, int]] = {}
        self.nodes = 0
        self.deepest = 0

    def problem(self, place: Place, message: str) -> Problem:
        return Problem(message, "", self.document.source, *place)

    def fail(self, place: Place, message: str) -> NoReturn:
        raise SpecError(*self.document.problems, self.problem(place, message))

    def note(self, mark: Any, message: str) -> None:
        self.document.problems.append(self.problem(_at(mark), message))

    def read(self) -> Document:
        forbidden = _FORBIDDEN.search(self.text)
        if forbidden:
            self.fail(
                _place(self.text[: forbidden.start()]),
                f"the character U+{ord(forbidden[0]):04X} is not allowed in a spec as it is; write "
                f'it as an escape in a text between double quotes: "{_escape(forbidden[0])}"',
            )
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            self.events = yaml.parse(self.text, Loader=loader)
            for event in self.events:
                if isinstance(event, yaml.NodeEvent):
                    if self.nodes:
                        self.fail(_at(event.start_mark), "a spec is a single YAML document")
                    self.document.data = self.node(event, (), 0)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            if "nesting depth" in str(error.problem):  # libyaml's own limit comes before ours
                self.fail(_at(mark), _TOO_DEEP)
            self.fail(_at(mark), f"this is not YAML: {self.reason(error)}")
        except yaml.YAMLError as error:
            self.fail((1, 1), f"this is not YAML: {error}")
        if not self.nodes:
            self.fail((1, 1), "the spec is empty")
        return self.document

    def reason(self, error: yaml.MarkedYAMLError) -> str:
        line, _ = _at(error.problem_mark or error.context_mark)
        text = [*_BREAK.split(self.text), ""][line - 1]
        if "\t" in text[: len(text) - len(text.lstrip())]:
            return "a tab cannot indent a line; indent with spaces"
        return " ".join(str(part) for part in (error.context, error.problem) if part)

    def node(self, event: Any, path: Path, depth: int) -> Any:
        mark, anchor = event.start_mark, event.anchor
        self.document.places.setdefault(path, _at(mark))
        self.count(mark, 1, depth)
        if isinstance(event, yaml.AliasEvent):
            if anchor not in self.anchors:
                self.fail(_at(mark), f"there is no anchor {quoted(anchor)} before this line")
            value, size, height = self.anchors[anchor]
            # Counted in full: a few lines of aliases of aliases can stand for billions of values.
            self.count(mark, size, depth + height)
            return copy.deepcopy(value)
        if event.tag is not None and event.tag != "!":
            self.note(mark, f"a spec holds plain data; the tag {quoted(event.tag)} is not allowed")
        before, self.deepest = (self.nodes, self.deepest), depth
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self.sequence(path, depth)
        else:
            value = self.mapping(path, depth)
        if anchor:
            self.anchors[anchor] = (value, self.nodes - before[0], self.deepest - depth)
        self.deepest = max(self.deepest, before[1])
        return value

    def sequence(self, path: Path, depth: int) -> list[Any]:
        value: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value.append(self.node(event, (*path, len(value)), depth + 1))
        return value

    def mapping(self, path: Path, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            mark = event.start_mark
            if not isinstance(event, yaml.ScalarEvent):
                self.fail(_at(mark), "a key must be a plain word")
            self.count(mark, 1, depth)
            key = event.value
            if key in value:
                first = self.document.places[(*path, key)][0]
                self.note(mark, f"{quoted(key)} is given twice; first on line {first}")
                self.node(next(self.events), (*path, _NOWHERE), depth + 1)
                continue
            if key == "<<" and event.implicit[0]:
                self.note(mark, "merge keys (<<) are not supported; write the settings out")
                self.node(next(self.events), (*path, _NOWHERE), depth + 1)
                continue
            self.document.places[(*path, key)] = _at(mark)
            value[key] = self.node(next(self.events), (*path, key), depth + 1)
        return value

    def count(self, mark: Any, size: int, depth: int) -> None:
        self.nodes += size
        self.deepest = max(self.deepest, depth)
        if self.nodes > MAX_NODES:
            self.fail(_at(mark), _TOO_MANY)
        if depth > MAX_DEPTH:
            self.fail(_at(mark), _TOO_DEEP)

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style in ("'", '"', "|", ">") or event.tag in ("!", "tag:yaml.org,2002:str"):
            return text
        if len(text) > MAX_NUMBER and (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
            self.fail(
                _at(event.start_mark),
                f"a number may have {MAX_NUMBER} digits; got {len(text):,}",
            )
        return plain_value(text)


def _at(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


def _escape(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def key_text(key: object) -> str:
    """Return a key of a mapping from Python as a text."""
    # Python turns no number of thousands of digits into a text.
    return shown(key) if isinstance(key, int) else str(key)


def plain_data(value: Any, path: Path = ()) -> Any:
    """Return data from Python as plain data of our own, which later changes may write to.

    `path` is the place of `value` in the spec.

    Raises:
        SpecError: it is nested deeper than any spec, or holds more values.
    """
    return _Copy().of(value, path)


class _Copy:
    """Copies data, and counts how much there is."""

    def __init__(self) -> None:
        self.nodes = 0

    def of(self, value: Any, path: Path) -> Any:
        """Return a copy of the value at `path`."""
        self.nodes += 1
        if len(path) > MAX_DEPTH:
            raise SpecError(Problem(_TOO_DEEP, path_text(path[:2])))
        if self.nodes > MAX_NODES:
            raise SpecError(Problem(_TOO_MANY, path_text(path[:2])))
        if isinstance(value, Mapping):
            return {key: self.of(inside, (*path, key_text(key))) for key, inside in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(inside, (*path, number)) for number, inside in enumerate(value)]
        # NumPy's numbers become Python's, without importing NumPy.
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            return value.item()
        return value


def plain_value(text: str) -> bool | float | str | None:
    """Return what a text without quotes stands for: null, a truth value, a number or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text.lower().replace(".inf", "inf")) if _FLOAT.fullmatch(text) else text
