"""Reading a spec from a file, a ready spec's name, a mapping or a `Spec`, with changes applied."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from gridcnn.errors import (
    Problem,
    SpecError,
    UnknownNameError,
    how_many,
    listed,
    quoted,
    suggestion,
)
from gridcnn.registry import Registry
from gridcnn.settings.base import Settings, explain, quote_value
from gridcnn.settings.choice import Choice
from gridcnn.settings.document import MAX_BYTES, Document, parse, plain_data
from gridcnn.spec.changes import Changes, apply
from gridcnn.spec.marks import refuse_marks
from gridcnn.spec.models import Spec

SpecLike = Spec | Mapping[str, Any] | str | os.PathLike[str]
"""What can be read as a spec: a file's path, the name of a ready spec, a mapping, or a `Spec`."""

MAX_PROBLEMS = 100
"""Problems that are listed; the rest is counted."""

_DATA = frozenset({".csv", ".tsv", ".parquet", ".npz", ".npy", ".zip", ".wav", ".png", ".jpg"})
"""Endings of files that are often named in place of a spec."""


def load(
    source: SpecLike,
    *,
    changes: Changes = (),
    ready: Mapping[str, bytes] | None = None,
) -> Spec:
    """Return the spec that `source` stands for, every default filled in.

    Args:
        source: see `SpecLike`.
        changes: settings that replace those of the source: texts such as `training.epochs=3`, or
            a mapping such as `{"training.epochs": 3}`.
        ready: ready specs by name, as YAML text.

    Raises:
        SpecError: the spec is wrong; all its problems are listed.
        UnknownNameError: no file and no ready spec has that name.
    """
    return validate(read(source, changes=changes, ready=ready))


def read(
    source: SpecLike,
    *,
    changes: Changes = (),
    ready: Mapping[str, bytes] | None = None,
) -> Document:
    """Return what a spec says with the changes in it, not yet checked; arguments as for `load`.

    Raises:
        SpecError: there is nothing to read, or it is not YAML.
        UnknownNameError: no file and no ready spec has that name.
    """
    document = _document(source, ready or {})
    apply(document, changes, Spec)
    return document


def load_data(content: object) -> Spec:
    """Return the spec in plain data that was read from a file.

    Text in it stays text: no file is looked for, and no ready spec.

    Raises:
        SpecError: it is not a mapping, or the spec is wrong; all its problems are listed.
    """
    if not isinstance(content, Mapping):
        raise SpecError(_no_mapping(content))
    return validate(Document(plain_data(content)))


def load_choice(registry: Registry, name: str, *, changes: Iterable[str] = ()) -> Settings:
    """Return the registry's entry `name` with settings as texts such as `noise=0.2`.

    Raises:
        SpecError: the name is not registered, or a setting is wrong.
    """
    document = Document({})
    apply(document, changes, registry.get(name, Settings))
    try:
        made = Choice(registry).read({name: document.data})
    except PydanticCustomError as error:
        raise SpecError(error.message()) from None
    except ValidationError as error:
        # The name comes first in every place, and is not a key of the user's.
        problems = [document.problem(place[1:], text) for place, text in explain(error)]
        raise SpecError(*sort_problems([*document.problems, *problems])) from None
    if document.problems:
        raise SpecError(*sort_problems(document.problems))
    return made


def validate(document: Document) -> Spec:
    """Return the spec in `document`; raise `SpecError` with every problem and its place."""
    problems = list(document.problems)
    if not isinstance(document.data, Mapping):
        problem = document.problem((), _no_mapping(document.data))
        raise SpecError(*sort_problems([*problems, problem]))
    refuse_marks(document)
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        problems += [document.problem(place, text) for place, text in explain(error)]
    if problems:
        raise SpecError(*sort_problems(problems))
    spec._document = document
    return spec


def _no_mapping(content: object) -> str:
    return f"a spec is a mapping of 'name: value'; got {quote_value(content)}"


def read_problems(document: Document) -> list[Problem]:
    """Return every problem of the spec in a document; none if it is right."""
    try:
        validate(document)
    except SpecError as error:
        return list(error.problems)
    return []


def sort_problems(problems: list[Problem]) -> list[Problem]:
    """Return problems in the order of the file, those without a line last, and not too many."""
    last = float("inf")
    ordered = sorted(problems, key=lambda each: (each.line or last, each.column or last))
    if len(ordered) > MAX_PROBLEMS:
        rest = len(ordered) - MAX_PROBLEMS
        ordered[MAX_PROBLEMS:] = [
            Problem(f"and {how_many(rest, 'more problem')}", source=ordered[0].source)
        ]
    return ordered


def _document(source: object, ready: Mapping[str, bytes]) -> Document:
    if isinstance(source, Spec):
        # Settings that were not given stay open, since some follow others: they are filled in
        # again.
        known = source.document
        return Document(
            source.model_dump(mode="json", exclude_unset=True),
            known.source,
            dict(known.places),
            dict(known.overridden),
        )
    if isinstance(source, Mapping):
        return Document(plain_data(source))
    if not isinstance(source, str | os.PathLike) or isinstance(os.fspath(source), bytes):
        raise SpecError(
            "a spec is a file, the name of a ready spec, a mapping or a Spec; got "
            f"{quote_value(source)}"
        )
    text = os.fspath(source)
    path = FilePath(text)
    looks_like_path = path.suffix in (".yaml", ".yml") or path.parent != FilePath()
    if isinstance(source, str) and not looks_like_path and text in ready:
        return parse(ready[text], f"{text}.yaml")
    mode = _mode(path) if text else None
    if mode is not None and stat.S_ISDIR(mode):
        path /= "spec.yaml"
        mode = _mode(path)
        if mode is None:
            raise SpecError(
                f"{text} is a folder without a spec.yaml; name a spec file, or write one for the "
                f"data in it: gridcnn init {text}"
            )
    if mode is None:
        raise _missing(text, looks_like_path, ready)
    if not stat.S_ISREG(mode):  # opening a pipe could wait for ever, and some devices never end
        raise SpecError(f"{path} is not an ordinary file; name a spec file")
    if path.suffix.lower() in _DATA:
        raise SpecError(
            f"{text} is data and not a spec; write a spec for it with: gridcnn init {text}"
        )
    return parse(_read(path), str(path))


def _mode(path: FilePath) -> int | None:
    """Return what kind of file is at `path`; None if there is none."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:  # a NUL, which no file's name has
        return None
    except OSError as error:
        reason = error.strerror or error
        raise SpecError(f"{_short(str(path))} cannot be read: {reason}") from None


def _missing(
    text: str, looks_like_path: bool, ready: Mapping[str, bytes]
) -> SpecError | UnknownNameError:
    if looks_like_path:
        stem = FilePath(text).stem
        known = f"the ready spec is called '{stem}'" if stem in ready else ""
        return SpecError(
            f"there is no file {_short(text)}; {known or '`gridcnn init` writes a starter spec'}"
        )
    near = suggestion(text[:100], ready) or "."
    return UnknownNameError(
        f"{quoted(text)} is neither a file nor a ready spec{near} "
        f"Ready specs: {listed(list(ready)) or 'none'}"
    )


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:297]}..."


def _read(path: FilePath) -> bytes:
    try:
        # One byte more than is allowed, so that a huge file is refused without being read.
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        size = path.stat().st_size
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise SpecError(
            Problem(f"a spec may have {MAX_BYTES:,} bytes; this one has {size:,}", source=str(path))
        )
    return content
