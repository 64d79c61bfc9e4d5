"""The base of every settings model, the number types they share, and the words of their errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AllowInfNan, BaseModel, ConfigDict, Strict, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from gridcnn.errors import listed, shown, suggestion

# Strict: a spec that says "8" or 8.0 where it means 8 is told so, instead of being guessed at.
Count = Annotated[int, Strict(), Ge(1), Le(65_536)]
"""A number of things, at least one."""
Length = Annotated[int, Strict(), Ge(1), Le(16_384)]
"""A length along an axis, in cells."""
Whole = Annotated[int, Strict(), Ge(0), Le(1_000_000_000)]
"""A whole number that may be zero."""
Seed = Annotated[int, Strict(), Ge(0), Le(2**32 - 1)]
"""What fixes random numbers: any number of 32 bits, as NumPy and scikit-learn have it."""
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
Flag = Annotated[bool, Strict()]
"""true or false."""

# How other systems spell our settings. A spelling is only answered where our name is taken.
_FOREIGN = {
    "num_filters": ("filters",),
    "n_filters": ("filters",),
    "nb_filter": ("filters",),
    "out_channels": ("filters",),
    "in_channels": (),
    "filter_size": ("kernel_size",),
    "filter_width": ("kernel_size",),
    "kernel": ("kernel_size",),
    "kernel_shape": ("kernel_size",),
    "strides": ("stride",),
    "dilation_rate": ("dilation",),
    "dilations": ("dilation",),
    "use_bias": ("bias",),
    "pads": ("padding",),
    "pool_size": ("window",),
    "pool_strides": ("stride",),
    "pooling": ("mode",),
    "ceil_mode": ("edges",),
    "units": ("hidden",),
    "num_units": ("hidden",),
    "neurons": ("hidden",),
    "hidden_layer_sizes": ("hidden",),
    "output_size": ("hidden",),
    "rate": ("dropout", "learning_rate"),
    "p": ("dropout",),
    "lr": ("learning_rate",),
    "alpha": ("weight_decay", "learning_rate"),
    "l2": ("weight_decay",),
    "num_epochs": ("epochs",),
    "max_iter": ("epochs",),
    "nb_epoch": ("epochs",),
    "batchsize": ("batch_size",),
    "bs": ("batch_size",),
    "random_state": ("seed",),
    "random_seed": ("seed",),
    "clip_norm": ("gradient_clip",),
    "clipnorm": ("gradient_clip",),
    "gradient_clipping": ("gradient_clip",),
    "early_stopping": ("patience",),
    "early_stop": ("patience",),
    "scheduler": ("schedule",),
    "learning_rate_scheduler": ("schedule",),
    "warmup": ("warm_up",),
    "warmup_epochs": ("warm_up",),
    "initializer": ("start",),
    "kernel_initializer": ("start",),
    "init": ("start",),
    "betas": ("beta1",),
    "eps": ("epsilon",),
    "gamma": ("factor",),
    "step_size": ("every",),
    "test_size": ("test",),
    "test_split": ("test",),
    "validation_split": ("validation",),
    "val_split": ("validation",),
    "path": ("source",),
    "dataset": ("source", "data"),
    "input_size": ("size",),
    "image_size": ("size",),
    "resize": ("size", "fit"),
    "layers": ("stages", "hidden"),
    "trainer": ("training",),
    "train": ("training",),
    "preprocessing": ("adapter",),
    "input": ("adapter",),
    "classifier": ("head",),
}


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys and explain every error in one sentence.

    `title` is what an error calls their owner; a class that is chosen by name in a spec is called
    by that name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    title: ClassVar[str] = ""

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: Any) -> Self:
        if not isinstance(data, Mapping | cls):
            raise PydanticCustomError(
                "settings_type",
                "{message}",
                {"message": f"{cls._title()} takes settings, as 'name: value'; got {shown(data)}"},
            )
        try:
            result: Self = handler(data)
        except ValidationError as error:
            lines = error.errors(include_url=False)
            raise ValidationError.from_exception_data(
                cls.__name__, [_explained(cls, line) for line in lines]
            ) from None
        return result

    @classmethod
    def _title(cls) -> str:
        return cls.title or cls.__name__.lower()

    @classmethod
    def setting_names(cls) -> list[str]:
        """Return the names of the settings, in their order."""
        return list(cls.model_fields)


def explained_error(kind: str, message: str) -> PydanticCustomError:
    """Return an error whose message is already fit for the user."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def wanted_error(wanted: str) -> PydanticCustomError:
    """Return an error that says what a setting must be; its name and value are added to it."""
    return PydanticCustomError("wanted", "must be {wanted}", {"wanted": wanted})


def _explained(cls: type[Settings], line: ErrorDetails) -> InitErrorDetails:
    context = line.get("ctx") or {}
    message = context.get("message")
    if not (isinstance(message, str) and line["msg"] == message):
        message = _sentence(cls, line)
    return InitErrorDetails(
        type=explained_error(line["type"], message), loc=line["loc"], input=line["input"]
    )


def _sentence(cls: type[Settings], line: ErrorDetails) -> str:
    owner, kind, place = cls._title(), line["type"], line["loc"]
    context = line.get("ctx") or {}
    if kind == "extra_forbidden":
        return _unknown_setting(cls, str(place[-1]))
    if kind == "missing":
        return f"{owner} needs the setting '{place[-1]}'"
    if kind in ("value_error", "assertion_error") and not place:
        return f"{owner}: {context.get('error', line['msg'])}"
    name = _dotted(place)
    given = f"; got {shown(line['input'])}"
    if kind == "value_error":
        return f"'{name}' of {owner}: {context.get('error', line['msg'])}"
    if kind == "literal_error":
        allowed = str(context["expected"])
        known = [word.strip("'") for word in allowed.replace(" or ", ", ").split(", ")]
        near = suggestion(line["input"], known) if isinstance(line["input"], str) else ""
        return f"'{name}' of {owner} must be {allowed}{given}{near}"
    return f"'{name}' of {owner} must be {_wanted(kind, context, line['msg'])}{given}"


def _wanted(kind: str, context: Mapping[str, Any], message: str) -> str:
    """Return what would be right, for pydantic's kinds of error."""
    limits = {
        "greater_than_equal": "at least {ge}",
        "greater_than": "above {gt}",
        "less_than_equal": "at most {le}",
        "less_than": "below {lt}",
        "too_short": "a list of at least {min_length}",
        "too_long": "a list of at most {max_length}",
        "string_too_long": "a text of at most {max_length} characters",
        "string_too_short": "a text of at least {min_length} characters",
    }
    words = {
        "int_type": "a whole number",
        "int_parsing_size": "a whole number of ordinary size",
        "int_from_float": "a whole number",
        "int_parsing": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "string_type": "a text",
        "list_type": "a list",
        "tuple_type": "a list",
        "dict_type": "settings, as 'name: value'",
        "none_required": "null",
    }
    if kind == "wanted":
        return str(context["wanted"])
    if kind in limits:
        return limits[kind].format(**context)
    return words.get(kind, f"right ({message[:1].lower()}{message[1:]})")


def _dotted(place: tuple[int | str, ...]) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _unknown_setting(cls: type[Settings], given: str) -> str:
    known = cls.setting_names()
    ours = [name for name in _FOREIGN.get(given.lower(), ()) if name in known]
    hint = f"; here it is written '{ours[0]}'." if ours else suggestion(given, known)
    takes = f"It takes: {listed(known)}" if known else "It takes no settings"
    return f"{cls._title()} has no setting '{shown(given)[1:-1]}'{hint or '.'} {takes}"
