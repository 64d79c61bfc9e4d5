"""Settings: what they refuse, and in which words."""

from __future__ import annotations

import pickle
import re
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError, field_validator, model_validator

from gridcnn.errors import DataError, SpecError
from gridcnn.registry import plain
from gridcnn.settings import foreign
from gridcnn.settings.base import (
    Count,
    Flag,
    Fraction,
    Many,
    NotNegative,
    Number,
    Positive,
    Settings,
    Whole,
)
from gridcnn.spec.optimizers import Adam, Sgd, Step


class Inner(Settings):
    """Settings inside settings."""

    title: ClassVar[str] = "inner"

    count: Count = 1


class Oven(Settings):
    """Settings of every sort."""

    title: ClassVar[str] = "oven"

    count: Count = 1
    many: Many = 1
    whole: Whole = 0
    number: Number = 0.0
    positive: Positive = 1.0
    not_negative: NotNegative = 0.0
    fraction: Fraction = 0.0
    flag: Flag = False
    word: Literal["low", "high"] = "low"
    level: Literal[1, 3] = 1
    text: Annotated[str, Field(min_length=1, max_length=5)] = "x"
    pair: tuple[Count, Count] = (1, 1)
    sizes: Annotated[tuple[Count, ...], Field(max_length=2)] = ()
    table: dict[str, int] = Field(default_factory=dict)
    inner: Inner = Inner()
    perhaps: Inner | None = None


class Needy(Settings):
    """Settings that have to be given, and have to fit each other."""

    title: ClassVar[str] = "needy"

    low: Number
    high: Number = 1.0

    @field_validator("high")
    @classmethod
    def _is_no_seven(cls, value: float) -> float:
        if value == 7:
            raise ValueError("seven is taken")
        return value

    @model_validator(mode="after")
    def _ascends(self) -> Needy:
        if self.low > self.high:
            raise ValueError("'low' must not be above 'high'")
        return self


class Untitled(Settings):
    """Settings without a title."""


def message(cls: type[Settings], **given: Any) -> str:
    with pytest.raises(SpecError) as caught:
        cls(**given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": 0}, "count: 'count' of oven must be at least 1; got 0"),
        ({"count": 65_537}, "count: 'count' of oven must be at most 65536; got 65537"),
        (
            {"count": 2**200},
            "'count' of oven must be at most 65536; got a whole number of 201 bits",
        ),
        ({"count": 8.0}, "'count' of oven must be a whole number; got 8.0"),
        ({"count": 8.5}, "'count' of oven must be a whole number; got 8.5"),
        ({"count": "8"}, "'count' of oven must be a whole number; got '8'"),
        ({"count": True}, "'count' of oven must be a whole number; got true"),
        ({"count": None}, "'count' of oven must be a whole number; got null"),
        ({"count": [1]}, "'count' of oven must be a whole number; got [1]"),
        ({"many": 10**9 + 1}, "'many' of oven must be at most 1000000000; got 1000000001"),
        ({"whole": -1}, "'whole' of oven must be at least 0; got -1"),
        ({"number": "x"}, "'number' of oven must be a number; got 'x'"),
        ({"number": True}, "'number' of oven must be a number; got true"),
        ({"number": float("nan")}, "'number' of oven must be a finite number; got nan"),
        ({"number": float("-inf")}, "'number' of oven must be a finite number; got -inf"),
        ({"number": 10**400}, "'number' of oven must be a number; got a whole number of 1329 bits"),
        ({"positive": 0.0}, "'positive' of oven must be above 0; got 0.0"),
        ({"not_negative": -0.5}, "'not_negative' of oven must be at least 0; got -0.5"),
        ({"fraction": 1.0}, "'fraction' of oven must be below 1; got 1.0"),
        ({"flag": "yes"}, "'flag' of oven must be true or false; got 'yes'"),
        ({"flag": 1}, "'flag' of oven must be true or false; got 1"),
        ({"word": "hihg"}, "must be 'low' or 'high'; got 'hihg'; did you mean 'high'?"),
        ({"word": 3}, "'word' of oven must be 'low' or 'high'; got 3"),
        ({"word": ["low"]}, "'word' of oven must be 'low' or 'high'; got ['low']"),
        ({"level": 2}, "'level' of oven must be 1 or 3; got 2"),
        ({"level": True}, "'level' of oven must be 1 or 3; got true"),
        ({"level": 1.0}, "'level' of oven must be 1 or 3; got 1.0"),
        ({"level": "1"}, "'level' of oven must be 1 or 3; got '1'"),
        ({"text": ""}, "'text' of oven must be a text of at least 1 character; got ''"),
        (
            {"text": "toolong"},
            "'text' of oven must be a text of at most 5 characters; got 'toolong'",
        ),
        ({"text": 3}, "'text' of oven must be a text; got 3"),
        ({"text": "\ud800"}, "'text' of oven must be a text that UTF-8 can hold; got '\\ud800'"),
        ({"pair": []}, "pair[1]: 'pair' of oven must have 2 entries; got []"),
        ({"pair": [1]}, "pair[1]: 'pair' of oven must have 2 entries; got [1]"),
        ({"pair": [1, 2, 3]}, "'pair' of oven must be a list of at most 2 entries; got [1, 2, 3]"),
        ({"pair": 3}, "'pair' of oven must be a list; got 3"),
        ({"pair": [1, "x"]}, "pair[1]: 'pair[1]' of oven must be a whole number; got 'x'"),
        ({"sizes": [1, 2, 3]}, "'sizes' of oven must be a list of at most 2 entries"),
        ({"table": 3}, "'table' of oven must be settings, as 'name: value'; got 3"),
        ({"inner": 3}, "inner: inner takes settings, as 'name: value'; got 3"),
        ({"inner": None}, "inner: inner takes settings, as 'name: value'; got null"),
        ({"inner": Adam()}, "inner: inner takes settings, as 'name: value'; got settings of adam"),
        ({"inner": {"count": 0}}, "inner.count: 'count' of inner must be at least 1; got 0"),
        ({"perhaps": {"count": 0}}, "perhaps.count: 'count' of inner must be at least 1; got 0"),
        ({"inner": {3: 4}}, "inner[3]: inner has no setting '3'. It takes: count"),
        ({"{message}": 1}, "oven has no setting '{message}'. It takes: count, many, "),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(given: dict[str, Any], expected: str) -> None:
    """Whose it is, what is allowed, and what was given; never in pydantic's words."""
    text = message(Oven, **given)

    assert expected in text
    assert len(text.splitlines()) == 1
    assert not re.search(r"pydantic|https?:|Input should|[Vv]alidation error|type=", text)


def test_all_wrong_settings_are_told_together() -> None:
    """One look at the message is enough."""
    with pytest.raises(SpecError) as caught:
        Oven(count=0, inner={"count": "x", "cuont": 1}, fraction=2.0)

    assert [problem.path for problem in caught.value.problems] == [
        "count",
        "fraction",
        "inner.count",
        "inner.cuont",
    ]


def test_a_missing_setting_is_named() -> None:
    """And so is its owner."""
    assert message(Needy) == "low: needy needs the setting 'low'"


def test_settings_that_do_not_fit_each_other_are_told() -> None:
    """A validator's own sentence is kept, behind the owner's name."""
    assert message(Needy, low=2.0) == "needy: 'low' must not be above 'high'"
    assert message(Needy, low=0.0, high=7) == "high: 'high' of needy: seven is taken"


def test_an_error_of_gridcnn_in_a_validator_keeps_its_sentences() -> None:
    """A validator may use code that raises problems."""

    class Careful(Settings):
        """Settings that look at data."""

        title: ClassVar[str] = "careful"
        path: str = ""

        @field_validator("path")
        @classmethod
        def _look(cls, value: str) -> str:
            raise DataError("it is empty", f"it is called {value}")

    assert message(Careful, path="x") == ("path: 'path' of careful: it is empty; it is called x")


def test_settings_without_settings_say_so() -> None:
    """There is nothing to list."""
    assert message(Untitled, a=1) == "a: untitled has no setting 'a'. It takes no settings"


def test_settings_do_not_change() -> None:
    """They are hashable, equal by value, and can be pickled."""
    oven = Sgd(momentum=0.5)

    with pytest.raises(ValidationError, match="frozen"):
        oven.momentum = 0.6  # type: ignore[misc]
    assert oven == pickle.loads(pickle.dumps(oven))
    assert hash(oven) == hash(Sgd(momentum=0.5))


def test_pydantics_own_way_in_raises_pydantics_error() -> None:
    """`model_validate` is pydantic's, with our sentences; `Settings(...)` raises ours."""
    with pytest.raises(ValidationError, match="'count' of oven must be at least 1; got 0"):
        Oven.model_validate({"count": 0})


@pytest.mark.parametrize(
    ("owner", "given", "ours"),
    [
        ("convolution", "num_filters", "filters"),
        ("convolution", "out_channels", "filters"),
        ("convolution", "filter_size", "kernel_size"),
        ("convolution", "kernelSize", "kernel_size"),
        ("convolution", "size", "kernel_size"),
        ("convolution", "strides", "stride"),
        ("convolution", "dilation_rate", "dilation"),
        ("convolution", "use_bias", "bias"),
        ("pooling", "pool_size", "window"),
        ("pooling", "kernel_size", "window"),
        ("pooling", "size", "window"),
        ("pooling", "strides", "stride"),
        ("voting", "units", "hidden"),
        ("voting", "hidden_layer_sizes", "hidden"),
        ("voting", "rate", "dropout"),
        ("training", "rate", "learning_rate"),
        ("training", "lr", "learning_rate"),
        ("training", "learningRate", "learning_rate"),
        ("training", "random_state", "seed"),
        ("training", "max_iter", "epochs"),
        ("training", "early_stopping", "patience"),
        ("training", "scheduler", "schedule"),
        ("training", "warmup", "warm_up"),
        ("adam", "eps", "epsilon"),
        ("step", "gamma", "factor"),
        ("step", "step_size", "every"),
        ("data", "test_size", "test"),
        ("data", "path", "source"),
        ("the spec", "dataset", "data"),
        ("the spec", "layers", "stages"),
        ("the spec", "train", "training"),
        ("image", "image_size", "size"),
    ],
)
def test_other_systems_spellings_are_answered_with_ours(owner: str, given: str, ours: str) -> None:
    """Whoever knows another system is told how a setting is written here."""
    assert f"{owner} has no setting '{given}'; here it is written '{ours}'. It takes: " in message(
        OWNERS[owner], **{given: 1}
    )


@pytest.mark.parametrize(
    ("owner", "given"),
    [
        ("convolution", "rate"),
        ("convolution", "units"),
        ("voting", "layers"),
        ("voting", "p"),
        ("training", "layers"),
        ("the spec", "input"),
        ("the spec", "size"),
        ("sgd", "lr"),
    ],
)
def test_no_name_is_answered_with_what_its_owner_does_not_take(owner: str, given: str) -> None:
    """Better no advice than wrong advice."""
    assert "here it is written" not in message(OWNERS[owner], **{given: 1})


def test_every_spelling_leads_to_a_setting_that_there_is() -> None:
    """The table has no dead entries, and is written as it is looked up."""
    taken = {name for cls in OWNERS.values() for name in cls.setting_names()}

    assert {ours for names in foreign.SPELLINGS.values() for ours in names} <= taken
    assert all(spelling == plain(spelling) for spelling in foreign.SPELLINGS)


def test_a_slip_is_answered_with_the_nearest_setting() -> None:
    """And with all that there are."""
    text = message(Step, evry=3)

    assert text == "evry: step has no setting 'evry'; did you mean 'every'? It takes: every, factor"


def test_names_cannot_spoil_a_message() -> None:
    """Long names are cut, and steering characters shown as escapes."""
    assert (
        len(message(Step, **{"k" * 50_000: 1})) < 60_000
    )  # the path is whole, the sentence is not
    assert "step has no setting 'k" + "k" * 56 + "...'" in message(Step, **{"k" * 50_000: 1})
    assert message(Step, **{"\x1b[31m\u202e\n": 1}).isprintable()


def _owners() -> dict[str, type[Settings]]:
    from gridcnn.spec.augmentations import AUGMENTATIONS
    from gridcnn.spec.models import ADAPTERS, HEADS, SOURCES, STAGES, Data, Spec, Training
    from gridcnn.spec.optimizers import OPTIMIZERS, SCHEDULES

    registries = (STAGES, HEADS, ADAPTERS, SOURCES, OPTIMIZERS, SCHEDULES, AUGMENTATIONS)
    chosen = [registry[name] for registry in registries for name in registry]
    return {cls.title: cls for cls in (Spec, Data, Training, *chosen)}


OWNERS = _owners()


class Rack(Settings):
    """Settings with a list that has a least length."""

    title: ClassVar[str] = "rack"

    trays: Annotated[tuple[Inner, ...], Field(min_length=2)]


def test_a_list_with_a_wrong_entry_is_not_called_too_short() -> None:
    """The entry alone is told; a list that is too short still is."""
    with pytest.raises(SpecError) as caught:
        Rack(trays=[{"count": 1}, {"count": 0}])
    assert str(caught.value) == "trays[1].count: 'count' of inner must be at least 1; got 0"
    with pytest.raises(SpecError, match="'trays' of rack must be a list of at least 2 entries"):
        Rack(trays=[{"count": 1}])
