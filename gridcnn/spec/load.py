"""Reading a spec from a file, a ready spec's name, a mapping or a `Spec`, with changes applied."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from gridcnn.errors import Problem, SpecError, UnknownNameError, listed, shown, suggestion
from gridcnn.registry import Registry
from gridcnn.spec.choice import Choice
from gridcnn.spec.document import MAX_BYTES, Document, Path, parse, written
from gridcnn.spec.models import Spec
from gridcnn.spec.settings import Settings

SpecLike = Spec | Mapping[str, Any] | str | os.PathLike[str]
"""What can be read as a spec: a file's path, the name of a ready spec, a mapping, or a `Spec`."""


def load(
    source: SpecLike,
    *,
    changes: Iterable[str] | Mapping[str, Any] = (),
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
    document = _document(source, ready or {})
    _apply_all(document, changes)
    return validate(document)


def load_choice(registry: Registry, name: str, *, changes: Iterable[str] = ()) -> Settings:
    """Return the registry's entry `name` with settings as texts such as `noise=0.2`.

    Raises:
        SpecError: the name is not registered, or a setting is wrong.
    """
    document = Document({})
    _apply_all(document, changes)
    try:
        return Choice(registry).read({name: document.data})
    except PydanticCustomError as error:
        raise SpecError(error.message()) from None
    except ValidationError as error:
        # The name leads every place, and is none of the user's keys.
        raise SpecError(
            *(
                document.problem(tuple(line["loc"][1:]), line["msg"])
                for line in error.errors(include_url=False)
            )
        ) from None


def _apply_all(document: Document, changes: Iterable[str] | Mapping[str, Any]) -> None:
    if isinstance(changes, Mapping):
        pairs = [(key, value, f"change of {key}") for key, value in changes.items()]
    else:
        pairs = [_parsed_change(change) for change in changes]
    for key, value, origin in pairs:
        _apply(document, key, value, origin)


def validate(document: Document) -> Spec:
    """Return the spec in `document`; raise `SpecError` with every problem and its place."""
    if not isinstance(document.data, Mapping):
        given = shown(document.data)
        raise SpecError(
            Problem(f"a spec is a mapping of 'name: value'; got {given}", source=document.source)
        )
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(
            *(
                document.problem(tuple(line["loc"]), line["msg"])
                for line in error.errors(include_url=False)
            )
        ) from None
    spec._document = document
    return spec


def _document(source: SpecLike, ready: Mapping[str, bytes]) -> Document:
    if isinstance(source, Spec):
        document = Document(source.model_dump(mode="json"), source.document.source)
        document.places = dict(source.document.places)
        return document
    if isinstance(source, Mapping):
        return Document(copy.deepcopy(dict(source)))
    text = os.fspath(source)
    path = FilePath(text)
    looks_like_path = path.suffix in (".yaml", ".yml") or path.parent != FilePath()
    if isinstance(source, str) and not looks_like_path and text in ready:
        return parse(ready[text], f"{text}.yaml")
    if path.is_dir():
        if (path / "spec.yaml").is_file():
            path = path / "spec.yaml"
        else:
            raise SpecError(f"{text} is a folder without a spec.yaml; name a spec file")
    if not path.exists():
        _raise_missing(text, looks_like_path, ready)
    return parse(_read(path), str(path))


def _raise_missing(text: str, looks_like_path: bool, ready: Mapping[str, bytes]) -> None:
    if looks_like_path:
        raise SpecError(f"there is no file {text}; `gridcnn init` writes a starter spec")
    raise UnknownNameError(
        f"'{text}' is neither a file nor a ready spec{suggestion(text, ready) or '.'} "
        f"Ready specs: {listed(list(ready))}"
    )


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
            Problem(f"a spec may have {MAX_BYTES:,} bytes; this file has {size:,}", source=str(path))
        )
    return content


def _parsed_change(change: str) -> tuple[str, Any, str]:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise SpecError(
            Problem("write it as key=value, for example training.epochs=3", source=f"--set {change}")
        )
    origin = f"--set {change}"
    return key.strip(), parse(text or "null", origin).data, origin


def _apply(document: Document, key: str, value: Any, origin: str) -> None:
    """Put `value` at the dotted `key`, making the mappings that lead there."""
    path = _key_path(key, origin)
    target = document.data
    if not isinstance(target, dict):
        raise SpecError(Problem("the spec is not a mapping", source=document.source))
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(target, list):
            if not isinstance(part, int) or part >= len(target):
                place = written(path[:depth])
                raise SpecError(
                    Problem(
                        f"{place} has entries 0 to {len(target) - 1}; got '{part}'"
                        if target
                        else f"{place} is empty",
                        source=origin,
                    )
                )
        elif last:
            part = str(part)
        if last:
            target[part] = copy.deepcopy(value)
            break
        inside = target[part] if isinstance(target, list) else target.get(part)
        if inside is None or isinstance(inside, str):
            # `optimizer: adam` becomes `optimizer: {adam: {...}}` when its settings are named.
            following = path[depth + 1]
            inside = {inside: {}} if inside == following and depth + 2 < len(path) else {}
        elif not isinstance(inside, dict | list):
            raise SpecError(
                Problem(f"{written(path[: depth + 1])} has no settings inside", source=origin)
            )
        target[part] = inside
        target = inside
    # A part of the path is a number only where it leads into a list.
    document.overridden[path] = origin


def _key_path(key: str, origin: str) -> Path:
    parts: list[str | int] = []
    for part in re.sub(r"\[(\d{1,6})\]", r".\1", key).split("."):
        if not part:
            raise SpecError(Problem(f"'{key}' has an empty part between dots", source=origin))
        parts.append(int(part) if re.fullmatch(r"\d{1,6}", part) else part)
    return tuple(parts)
