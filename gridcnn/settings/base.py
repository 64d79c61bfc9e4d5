"""The base of every settings model, the number types they share, and the words of their errors."""

from __future__ import annotations

import ast
import inspect
import itertools
import numbers
import textwrap
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt
from pydantic import (
    AllowInfNan,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    Strict,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from gridcnn.errors import Problem, SpecError, UserError, listed, quoted, shown, suggestion
from gridcnn.forks import cached_property
from gridcnn.registry import plain
from gridcnn.settings import foreign
from gridcnn.settings.document import path_text

# Strict: "8" or 8.0 instead of 8 is an error, and not converted.
Count = Annotated[int, Strict(), Ge(1), Le(65_536)]
"""A number of things, at least one."""
Whole = Annotated[int, Strict(), Ge(0), Le(1_000_000_000)]
"""A whole number that may be zero."""
Seed = Annotated[int, Strict(), Ge(0), Le(2**32 - 1)]
"""A seed of random numbers: any whole number of 32 bits, as in NumPy and scikit-learn."""
Many = Annotated[int, Strict(), Ge(1), Le(1_000_000_000)]
"""A number of items, epochs or steps, at least one."""
Number = Annotated[float, Strict(), AllowInfNan(False)]
"""Any finite number."""
Positive = Annotated[float, Strict(), AllowInfNan(False), Gt(0)]
"""A finite number above zero."""
NotNegative = Annotated[float, Strict(), AllowInfNan(False), Ge(0)]
"""A finite number of zero or more."""
Fraction = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Lt(1)]
"""A part of a whole: from 0 up to, but not including, 1."""
Share = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(1)]
"""A part of a whole, from 0 to 1."""
Flag = Annotated[bool, Strict()]
"""true or false."""


def is_whole(value: Any, low: int, high: int) -> bool:
    """Return whether an argument is a whole number, of Python or NumPy, from `low` to `high`."""
    is_number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return is_number and low <= int(value) <= high


class DescribingSchema(GenerateJsonSchema):
    """Generates JSON Schema with a description of each setting."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return pydantic's JSON Schema of a model with the descriptions of its settings."""
        result = super().model_schema(schema)
        cls = schema["cls"]
        described = cls.descriptions() if issubclass(cls, Settings) else {}
        for name, text in described.items():
            if name in result.get("properties", {}):
                result["properties"][name]["description"] = text
        return result


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys and explain every error in one sentence.

    `title` is what an error calls their owner; a class that is chosen by name in a spec is called
    by that name. `short` are the settings that a bare number or word stands for, all of them alike:
    `noise: 0.1` for `noise: {deviation: 0.1}`. `bare_list` is the setting that a list stands for:
    `skip: [rectification]` for `skip: {stages: [rectification]}`. `entry` is what an error calls
    one of the settings.

    Raises:
        SpecError: a setting is wrong; all problems are listed.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ignored_types=(cached_property,),  # pydantic handles Python's own types
    )

    title: ClassVar[str] = ""
    short: ClassVar[tuple[str, ...]] = ()
    bare_list: ClassVar[str] = ""
    entry: ClassVar[str] = "setting"

    def __init__(self, /, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise SpecError(
                *(Problem(text, path_text(place)) for place, text in explain(error))
            ) from None

    # Otherwise pydantic makes nested settings by `__init__` too, and loses the places of errors.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Return pydantic's schema with the explanations around all of its validators."""
        return core_schema.no_info_wrap_validator_function(cls._explain, handler(source))

    @classmethod
    def _explain(cls, data: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        data = cls.in_full(data)
        if not isinstance(data, Mapping | cls):
            raise explained_error(
                "settings_type",
                f"{_title_of(cls)} takes {_plural(cls.entry)}, as 'name: value'{cls._or_a_list()}; "
                f"got {quote_value(data)}. {cls._takes()}",
            )
        try:
            return handler(data)
        except ValidationError as error:
            lines = error.errors(include_url=False)
            raise ValidationError.from_exception_data(
                cls.__name__, [_explain_line(cls, line) for line in _without_repeats(lines)]
            ) from None

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """Return the description of each setting: the docstrings below the fields, by name.

        pydantic reads them as well, but when a class is made (`use_attribute_docstrings`), and
        that takes a fifth of the time in which a command starts.
        """
        texts: dict[str, str] = {}
        for each in reversed(cls.__mro__):
            if issubclass(each, Settings) and each is not Settings:
                texts |= _docstrings(each)
        return texts

    @classmethod
    def model_json_schema(cls, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Return the JSON Schema, in which every setting has its description."""
        schema = super().model_json_schema(
            *arguments, **{"schema_generator": DescribingSchema, **named}
        )
        return _with_shared(schema)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_look_alikes(cls, value: Any, info: ValidationInfo) -> Any:
        # To Python 1, 1.0 and True are equal, and so they are to pydantic's Literal.
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool | float) and typing.get_origin(annotation) is Literal:
            allowed = typing.get_args(annotation)
            if not any(type(value) is type(each) for each in allowed):
                raise wanted_error(" or ".join(repr(each) for each in allowed))
        return value

    @classmethod
    def in_full(cls, data: Any) -> Any:
        """Return a bare value as the settings that it stands for; other values unchanged."""
        if cls.short and isinstance(data, str | int | float):
            return dict.fromkeys(cls.short, data)
        if cls.bare_list and isinstance(data, list | tuple):
            return {cls.bare_list: data}
        return data

    @classmethod
    def setting_names(cls) -> list[str]:
        """Return the names of the settings, in their order."""
        return list(cls.model_fields)

    @classmethod
    def _takes(cls) -> str:
        """Return the sentence that lists the settings."""
        known = cls.setting_names()
        return f"It takes: {listed(known)}" if known else "It takes no settings"

    @classmethod
    def _or_a_list(cls) -> str:
        return f", or a list, which is its '{cls.bare_list}'" if cls.bare_list else ""


SHARED_FORMS: dict[str, Callable[[], JsonSchemaValue]] = {}
"""What makes the JSON Schema of each form that many places share, by its name in `$defs`."""
SHARED = "shared form"
"""The key of the mark that stands for a shared form until all of them are known."""


def _with_shared(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return a JSON Schema with references in place of marks, and what they refer to in `$defs`."""
    shared: JsonSchemaValue = {}

    def refer(part: Any) -> Any:
        if isinstance(part, list):
            return [refer(each) for each in part]
        if not isinstance(part, dict):
            return part
        if set(part) != {SHARED}:
            return {key: refer(value) for key, value in part.items()}
        name = part[SHARED]
        if name not in shared:
            shared[name] = {}  # a form may refer to itself
            shared[name] = refer(SHARED_FORMS[name]())
        return {"$ref": f"#/$defs/{name}"}

    schema = refer(schema)
    if shared:
        schema["$defs"] = {**schema.get("$defs", {}), **shared}
    return schema


def quote_value(value: object) -> str:
    """Return a value as an error quotes it, in the notation of a spec."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"settings of {_title_of(value)}" if isinstance(value, Settings) else shown(value)


def _title_of(settings: Settings | type[Settings]) -> str:
    cls = settings if isinstance(settings, type) else type(settings)
    return cls.title or cls.__name__.lower()


def explain(error: ValidationError) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the place and the message of each problem."""
    return [(line["loc"], line["msg"]) for line in error.errors(include_url=False)]


def explained_error(kind: str, message: str) -> PydanticCustomError:
    """Return an error whose message is already fit for the user."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def wanted_error(wanted: str) -> PydanticCustomError:
    """Return an error that says what a setting must be; its name and value are added to it."""
    return PydanticCustomError("wanted", "must be {wanted}", {"wanted": wanted})


def _docstrings(cls: type) -> dict[str, str]:
    """Return the docstrings below the annotated names in the body of a class."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):  # a class without a file, as from a terminal
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    texts = {}
    for named, text in itertools.pairwise(body):
        if (
            isinstance(named, ast.AnnAssign)
            and isinstance(named.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            texts[named.target.id] = inspect.cleandoc(text.value.value)
    return texts


def _without_repeats(lines: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors; of all missing entries of one list, only the last.

    pydantic calls a list too short if some of its entries are wrong; only these are returned then.
    """
    last = {
        line["loc"][:-1]: line["loc"]
        for line in lines
        if line["type"] == "missing" and isinstance(line["loc"][-1], int)
    }
    return [
        line
        for line in lines
        if last.get(line["loc"][:-1], line["loc"]) == line["loc"] and not _is_long_enough(line)
    ]


def _is_long_enough(line: ErrorDetails) -> bool:
    """Return whether an error calls a list too short which has enough entries."""
    least = (line.get("ctx") or {}).get("min_length", 0)
    entries = line["input"]
    return (
        line["type"] == "too_short"
        and isinstance(entries, list | tuple)
        and (len(entries) >= least)
    )


def _explain_line(cls: type[Settings], line: ErrorDetails) -> InitErrorDetails:
    message = (line.get("ctx") or {}).get("message")
    if not (isinstance(message, str) and line["msg"] == message):
        message = _sentence(cls, line)
    return InitErrorDetails(
        type=explained_error(line["type"], message), loc=line["loc"], input=line["input"]
    )


def _sentence(cls: type[Settings], line: ErrorDetails) -> str:
    owner, kind, place = _title_of(cls), line["type"], line["loc"]
    context = line.get("ctx") or {}
    if kind in ("extra_forbidden", "invalid_key"):
        return _unknown_setting(cls, str(place[-1]))
    if kind == "missing" and isinstance(place[-1], str):
        field = cls.model_fields.get(place[-1])
        few = () if field is None else _allowed_words(field.annotation)
        choice = f": {' or '.join(map(repr, few))}" if few else ""
        return f"{owner} needs the {cls.entry} {quoted(place[-1])}{choice}"
    name = f"{quoted(path_text(place))} of {owner}" if place else owner
    if kind in ("value_error", "assertion_error"):
        return f"{name}: {_reason(context.get('error', line['msg']))}"
    got = f"; got {quote_value(line['input'])}"
    if kind == "missing":
        count = int(place[-1]) + 1
        return f"{quoted(path_text(place[:-1]))} of {owner} must have {_many(count, 'entry')}{got}"
    if kind == "literal_error":
        allowed = str(context["expected"])
        known = [word.strip("'") for word in allowed.replace(" or ", ", ").split(", ")]
        word, setting = line["input"], str(place[-1]) if place else ""
        hint = foreign.value_hint(setting, word, known) if isinstance(word, str) else ""
        near = suggestion(word, known) if isinstance(word, str) and not hint else ""
        return f"{name} must be {allowed}{got}{hint or near}"
    return f"{name} must be {_requirement(kind, context, line['msg'])}{got}"


def _allowed_words(annotation: Any) -> tuple[Any, ...]:
    """Return the words that a setting may be, if it is one of a few."""
    return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()


def _reason(error: object) -> str:
    if isinstance(error, UserError):
        return "; ".join(problem.message for problem in error.problems)
    return str(error)


_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}
_WORDS = {
    **dict.fromkeys(("int_type", "int_from_float", "int_parsing"), "a whole number"),
    "int_parsing_size": "a whole number of ordinary size",
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "a text",
    "string_unicode": "a text that UTF-8 can hold",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "iterable_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type"), "settings, as 'name: value'"),
    "none_required": "null",
}


def _requirement(kind: str, context: Mapping[str, Any], message: str) -> str:
    """Return what is allowed, for each of pydantic's kinds of error."""
    if kind == "wanted":
        return str(context["wanted"])
    if kind in _LIMITS:
        words, bound = _LIMITS[kind][0], context[_LIMITS[kind][1]]
        return f"{words} {bound:g}" if isinstance(bound, float) else f"{words} {bound}"
    if kind in ("too_short", "string_too_short"):
        return f"{_of_length(kind)} of at least {_measure(kind, context['min_length'])}"
    if kind in ("too_long", "string_too_long"):
        return f"{_of_length(kind)} of at most {_measure(kind, context['max_length'])}"
    return _WORDS.get(kind, message.removeprefix("Input should be "))


def _of_length(kind: str) -> str:
    return "a text" if kind.startswith("string") else "a list"


def _measure(kind: str, count: int) -> str:
    return _many(count, "character" if kind.startswith("string") else "entry")


def _many(count: int, what: str) -> str:
    return f"{count} {what if count == 1 else _plural(what)}"


def _plural(what: str) -> str:
    return {"entry": "entries"}.get(what, f"{what}s")


def _unknown_setting(cls: type[Settings], name: str) -> str:
    known = cls.setting_names()
    spelled = plain(name)
    # Our own name in another spelling (`batchSize`) comes first.
    own = [ours for ours in known if plain(ours) == spelled]
    ours = own or [ours for ours in foreign.SPELLINGS.get(spelled, ()) if ours in known]
    hint = (
        f"; here it is written '{ours[0]}'."
        if ours
        else foreign.place_of_setting(name, _title_of(cls))
        or foreign.sentence(foreign.ABSENT_SETTINGS, name)
        or suggestion(name, known)
    )
    return f"{_title_of(cls)} has no setting {quoted(name)}{hint or '.'} {cls._takes()}"
