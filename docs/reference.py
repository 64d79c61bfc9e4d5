"""Writes the generated parts of the pages: `python -m docs.reference`.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`. What stands
around it is written by hand. Only what gridcnn itself brings is described: entry points of other
packages that happen to be installed are left out.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import typer
from annotated_types import Le
from pydantic.fields import FieldInfo
from typer.models import ArgumentInfo, OptionInfo

from gridcnn.cli.main import app, gridcnn
from gridcnn.datasets.readers.paths import Files
from gridcnn.pipelines import ready
from gridcnn.registry import Registry
from gridcnn.settings.base import Settings
from gridcnn.settings.choice import Choice, name_of
from gridcnn.spec.augmentations import AUGMENTATIONS
from gridcnn.spec.load import load
from gridcnn.spec.models import ADAPTERS, HEADS, SOURCES, STAGES, Data, Spec, StartFrom, Training
from gridcnn.spec.optimizers import OPTIMIZERS, SCHEDULES

PAGES = Path(__file__).parent
_PART = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end: \2 -->)", re.DOTALL)
_PLACES = {
    "data source": "data-sources",
    "adapter": "adapters",
    "stage": "stages",
    "head": "head",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "augmentation": "augmentations",
}
"""Where spec.md tells of each kind of thing that is chosen by name."""


def built_in(registry: Registry) -> dict[str, type[Settings]]:
    """Return what gridcnn itself registers and shows to users, by name."""
    shown = {name: registry[name] for name in registry.names()}
    return {name: cls for name, cls in shown.items() if cls.__module__.startswith("gridcnn.")}


# Settings ---------------------------------------------------------------------------------------


def settings_table(cls: type[Settings]) -> str:
    """Return a table of all settings of a class: name, type, default, description."""
    if not cls.model_fields:
        return "It has no settings.\n"
    schema = cls.model_json_schema()["properties"]
    about = cls.descriptions()
    rows = [
        (f"`{name}`", _type(field, schema[name]), _default(field), _joined(about.get(name, "")))
        for name, field in cls.model_fields.items()
    ]
    return _table(("setting", "type", "default", "what it is"), rows)


def _type(field: FieldInfo, schema: Mapping[str, Any]) -> str:
    """Return a setting's type in words."""
    choice = _choice(field)
    if choice is not None:
        kind, place = choice.registry.kind, _PLACES[choice.registry.kind]
        if typing.get_origin(field.annotation) is tuple:
            inner = typing.get_args(field.annotation)[0]
            lists = "lists of " if typing.get_origin(inner) is tuple else ""
            return f"list of {lists}[{kind}s](#{place})"
        article = "an" if kind[0] in "aeiou" else "a"
        words = f"{article} [{kind}](#{place})" + (", or a path" if choice.free else "")
    elif (section := _section(field.annotation)) is not None:
        words = f"settings: [{section.title}](#{section.title})"
    else:
        highest = [float(str(each.le)) for each in field.metadata if isinstance(each, Le)]
        words = type_words({**schema, **({"maximum": min(highest)} if highest else {})})
    nullable = type(None) in typing.get_args(field.annotation)
    return f"{words}, or null" if nullable and "null" not in words else words


def _choice(field: FieldInfo) -> Choice | None:
    return next((each for each in _marks(field) if isinstance(each, Choice)), None)


def _marks(field: FieldInfo) -> Iterator[Any]:
    """Yield what a field's annotation is marked with, at any depth."""
    yield from field.metadata
    waiting = [field.annotation]
    while waiting:
        annotation = waiting.pop()
        yield from getattr(annotation, "__metadata__", ())
        waiting += typing.get_args(annotation)


def _section(annotation: Any) -> type[Settings] | None:
    """Return the settings that a field holds whole, as `training` of the spec."""
    parts = [part for part in typing.get_args(annotation) or (annotation,) if part is not NoneType]
    if len(parts) == 1 and isinstance(parts[0], type) and issubclass(parts[0], Settings):
        return parts[0]
    return None


def type_words(schema: Mapping[str, Any]) -> str:
    """Return a JSON Schema as a few words."""
    forms = schema.get("anyOf")
    if forms is not None:
        words = _forms([form for form in forms if form.get("type") != "null"])
        return f"{words}, or null" if {"type": "null"} in forms else words
    if "enum" in schema:
        return _or(_named(schema["enum"]))
    kind = schema.get("type")
    if kind == "boolean":
        return "`true` or `false`"
    if kind in ("integer", "number"):
        return _number("whole number" if kind == "integer" else "number", schema)
    if kind == "array":
        return _list(schema)
    if kind == "object" and "properties" not in schema:
        return f"mapping of names, each to a {type_words(schema['additionalProperties'])}"
    if kind == "object":
        return f"`{{{', '.join(f'{name}: ...' for name in schema['properties'])}}}`"
    most = schema.get("maxLength")
    return f"text of at most {most:,} characters" if most else "text"


def _forms(forms: Sequence[Mapping[str, Any]]) -> str:
    """Return alternatives as words; a pair beside its own entries is told as a pair of these."""
    pairs = [form for form in forms if form.get("maxItems") == form.get("minItems") == 2]
    words: list[str] = []
    for form in forms:
        if form not in pairs:
            words += _named(form["enum"]) if "enum" in form else [type_words(form)]
    if pairs and not words:
        return _or([type_words(form) for form in pairs])
    if pairs:
        return f"{_or(words)}; or a pair `[rows, columns]` of such"
    return _or(words)


def _named(values: Sequence[Any]) -> list[str]:
    return [f"`{value}`" for value in values]


def _number(kind: str, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None:
        most = f", at most {_plain(high)}" if high is not None else ""
        most = f" and below {_plain(below)}" if below is not None else most
        return f"{kind} above {_plain(above)}{most}"
    if low is None:
        return kind
    if below is not None:
        return f"{kind} from {_plain(low)} to below {_plain(below)}"
    if high is None:
        return f"{kind}, at least {_plain(low)}"
    return f"{kind} from {_plain(low)} to {_plain(high)}"


def _plain(limit: float) -> str:
    """Return a limit without a fraction of zero, which one version of pydantic writes."""
    return f"{int(limit) if limit == int(limit) else limit:,}"


def _list(schema: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        words = [type_words(item) for item in schema["prefixItems"]]
        return f"list of {len(words)}, each a {words[0]}"
    items = schema["items"]
    if items.get("type") == "array" or "anyOf" in items:
        return "nested lists of numbers"
    most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
    return f"list{most}, each a {type_words(items)}"


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    choice = _choice(field)
    if choice is not None and isinstance(value, Settings):
        return f"`{name_of(value, choice.registry)}`"
    if isinstance(value, Settings):
        return "the defaults"
    if isinstance(value, str) and value:
        return f"`{value}`"
    return f"`{json.dumps(value).replace('1e-08', '1e-8')}`"


# Parts of spec.md -------------------------------------------------------------------------------


def _of_section(cls: type[Settings]) -> Callable[[], str]:
    return lambda: f"{_paragraphs(cls)}\n\n{settings_table(cls)}"


def _of_registry(registry: Registry) -> Callable[[], str]:
    def made() -> str:
        return "\n".join(
            f"### {name}\n\n{_paragraphs(cls)}\n\n{settings_table(cls)}"
            for name, cls in built_in(registry).items()
        )

    return made


def _paths() -> str:
    return f"### A path\n\n{_paragraphs(Files)}\n\n{settings_table(Files)}"


def _ready() -> str:
    specs = {name: load(name, ready=ready()) for name in sorted(ready())}
    rows = [(f"`{name}`", spec.description) for name, spec in specs.items()]
    return _table(("name", "what it is about"), rows)


# Parts of cli.md --------------------------------------------------------------------------------


def verbs() -> dict[str, Callable[..., Any]]:
    """Return every verb as it is typed, `datasets make` for one in a group, with its function."""
    found: dict[str, Callable[..., Any]] = {}
    _collect(app, (), found)
    return found


def _collect(group: typer.Typer, above: tuple[str, ...], found: dict[str, Any]) -> None:
    for command in group.registered_commands:
        assert command.callback is not None
        found[" ".join((*above, command.name or command.callback.__name__))] = command.callback
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        name = inner.name
        assert isinstance(name, str)
        _collect(inner.typer_instance, (*above, name), found)


def parameters(function: Callable[..., Any]) -> Iterator[tuple[str, bool, Any, inspect.Parameter]]:
    """Yield `(form, is_option, info, parameter)` of a verb; the form is as help shows it."""
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        info = next(
            each
            for each in typing.get_args(hints[name])
            if isinstance(each, ArgumentInfo | OptionInfo)
        )
        kind = typing.get_args(hints[name])[0]
        if isinstance(info, OptionInfo):
            # Inside Annotated, typer keeps the first name of an option as its default.
            names = [each for each in (info.default, *(info.param_decls or ())) if each]
            names = [each for each in names if isinstance(each, str)] or [_dashed(name)]
            takes = "" if kind is bool else info.metavar or _placeholder(kind)
            yield f"{', '.join(names)} {takes}".strip(), True, info, parameter
        else:
            form = (info.metavar or name.upper()).strip("[]")
            optional = parameter.default is not inspect.Parameter.empty
            yield f"[{form}]" if optional else form, False, info, parameter


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _placeholder(kind: Any) -> str:
    return "NUMBER" if int in (kind, *typing.get_args(kind)) else "TEXT"


def _verb(name: str) -> Callable[[], str]:
    def made() -> str:
        function = verbs()[name]
        given = list(parameters(function))
        arguments = [form for form, is_option, _, _ in given if not is_option]
        usage = f"```text\ngridcnn {' '.join((name, *arguments, '[OPTIONS]'))}\n```\n"
        rows = [
            (f"`{form}`", f"{info.help or ''}{_preset(parameter)}")
            for form, _, info, parameter in given
        ]
        return f"{usage}\n{_table(('argument or option', 'what it does'), rows)}" if rows else usage

    return made


def _preset(parameter: inspect.Parameter) -> str:
    value = parameter.default
    given = isinstance(value, str | int) and not isinstance(value, bool)
    return f" Default: `{value}`." if given else ""


def _everywhere() -> str:
    rows = [(f"`{form}`", info.help or "") for form, _, info, _ in parameters(gridcnn)]
    rows.append(("`--help, -h`", "Show what a command takes, with examples. Every verb has it."))
    rows.append(("`--install-completion`", "Install completion for the current shell."))
    rows.append(("`--show-completion`", "Print what completion needs, to copy it."))
    return _table(("option", "what it does"), rows)


# All parts --------------------------------------------------------------------------------------


def parts() -> dict[str, Callable[[], str]]:
    """Return the makers of all generated parts, by name."""
    return {
        "spec": _of_section(Spec),
        "data": _of_section(Data),
        "paths": _paths,
        "sources": _of_registry(SOURCES),
        "adapters": _of_registry(ADAPTERS),
        "stages": _of_registry(STAGES),
        "head": _of_registry(HEADS),
        "training": _of_section(Training),
        "start_from": _of_section(StartFrom),
        "optimizers": _of_registry(OPTIMIZERS),
        "schedules": _of_registry(SCHEDULES),
        "augmentations": _of_registry(AUGMENTATIONS),
        "ready": _ready,
        "options": _everywhere,
        **{f"gridcnn {name}": _verb(name) for name in verbs()},
    }


def written(page: str) -> str:
    """Return a page's text with all of its generated parts made anew.

    Raises:
        KeyError: the page asks for a part that does not exist.
    """
    makers = parts()

    def made(match: re.Match[str]) -> str:
        return f"{match[1]}\n{makers[match[2]]().rstrip()}\n\n{match[3]}"

    return _PART.sub(made, page)


def _paragraphs(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _joined(text: str) -> str:
    return " ".join(text.split())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def main() -> None:
    """Write the generated parts of every page."""
    for page in sorted(PAGES.glob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = written(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page.name} written\n")


if __name__ == "__main__":
    main()
