"""Settings by nested names, as scikit-learn writes them: `stages__0__filters`.

The names of what is chosen are left out: `stages__0__filters` is `stages[0].convolution.filters`
if the first stage is a convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gridcnn.errors import SpecError, quoted, suggestion
from gridcnn.settings.base import Settings
from gridcnn.settings.choice import name_of
from gridcnn.spec.changes import choice_at
from gridcnn.spec.load import load
from gridcnn.spec.models import Spec

SECTIONS = ("adapter", "stages", "head", "training")
"""What a nested name may begin with."""
_SIGN = "__"


def is_nested(name: str) -> bool:
    """Return whether a name is a nested one."""
    section, sign, _ = name.partition(_SIGN)
    return section in SECTIONS and bool(sign)


def nested_settings(spec: Spec) -> dict[str, Any]:
    """Return every setting of a spec by its nested name."""
    return {
        name: value
        for section in SECTIONS
        for name, value in _walk(section, getattr(spec, section))
    }


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Settings):
        for setting in value.setting_names():
            yield from _walk(f"{name}{_SIGN}{setting}", getattr(value, setting))
    elif isinstance(value, tuple) and any(isinstance(each, Settings) for each in value):
        for number, each in enumerate(value):
            yield from _walk(f"{name}{_SIGN}{number}", each)
    elif name not in SECTIONS:
        yield name, value


def refuse_unknown(spec: Spec, names: Mapping[str, Any]) -> None:
    """Raise `SpecError` for a nested name that a spec has no setting for.

    A name inside of another one among `names` is not looked at: what it is in will be another.
    """
    known = nested_settings(spec)
    for name in names:
        inside = any(name.startswith(f"{other}{_SIGN}") for other in names)
        begins = any(each == name or each.startswith(f"{name}{_SIGN}") for each in known)
        if not inside and not begins:
            hint = suggestion(name, known) or "; get_params() lists all of them"
            raise SpecError(f"the spec has no setting {quoted(name)}{hint}")


def without_replaced(changes: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes without those inside of what new ones replace: settings of `sgd` by `adam`."""
    begins = tuple(f"{name}{_SIGN}" for name in new)
    return {name: value for name, value in changes.items() if not str(name).startswith(begins)}


def load_nested(spec: Spec, changes: Mapping[str, Any]) -> Spec:
    """Return a spec with changes, as `gridcnn.spec.load.load` does; some may be nested names.

    Outer ones come first: `training__optimizer` before `training__optimizer__momentum`.

    Raises:
        SpecError: a setting is wrong; all problems are listed.
    """
    changed = load(spec, changes={k: v for k, v in changes.items() if not is_nested(str(k))})
    nested = {name: value for name, value in changes.items() if is_nested(str(name))}
    for depth in sorted({name.count(_SIGN) for name in nested}):
        paths = {
            _path(changed, name): value
            for name, value in nested.items()
            if name.count(_SIGN) == depth
        }
        changed = load(changed, changes=paths)
    return changed


def _path(spec: Spec, name: str) -> str:
    """Return a nested name as the path of a change: `stages.0.convolution.filters`."""
    value: Any = spec
    path: tuple[str | int, ...] = ()
    for part in name.split(_SIGN):
        choice = choice_at(Spec, path)
        if choice is not None and isinstance(value, Settings):
            path = (*path, name_of(value, choice.registry))
        if isinstance(value, tuple) and part.isdecimal():
            number = int(part)
            path, value = (*path, number), value[number] if number < len(value) else None
        else:
            path, value = (*path, part), getattr(value, part, None)
    return ".".join(map(str, path))
