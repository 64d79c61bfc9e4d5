"""Choices: one thing by name, with or without settings."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gridcnn import registry as registry_room
from gridcnn.datasets.makers.xo import XO
from gridcnn.errors import SpecError, UnknownNameError
from gridcnn.registry import Registry
from gridcnn.settings.choice import Choice, name_of
from gridcnn.spec.models import STAGES, Data, Spec, Training
from gridcnn.spec.optimizers import OPTIMIZERS, Adam, AdamW, Sgd
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification


def message(**given: Any) -> str:
    with pytest.raises(SpecError) as caught:
        Spec(**given)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("sgd", Sgd()),
        ({"sgd": None}, Sgd()),
        ({"sgd": {}}, Sgd()),
        ({"sgd": {"momentum": 0.5}}, Sgd(momentum=0.5)),
        ({"sgd": Sgd(momentum=0.5)}, Sgd(momentum=0.5)),
        (Sgd(momentum=0.5), Sgd(momentum=0.5)),
        ("adamw", AdamW()),
    ],
)
def test_a_choice_is_a_name_or_a_name_with_settings(given: Any, read: Any) -> None:
    """Or a typed object."""
    assert Training(optimizer=given).optimizer == read


def test_a_choice_is_written_in_its_shortest_form() -> None:
    """What has no settings to write is a name alone."""
    choice = Choice(STAGES)

    assert choice.write(Rectification(), unset=False) == "rectification"
    assert choice.write(Rectification()) == {"rectification": {"leak": 0.0}}
    assert choice.write(Pooling())["pooling"]["window"] == [2, 2]
    assert choice.write(Pooling(window=3), unset=False) == {"pooling": {"window": [3, 3]}}
    assert choice.write(Pooling(), unset=False) == "pooling"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "a stage is written 'name' or 'name: {settings}'; got null. Known: convolution, "),
        (3, "got 3. Known: "),
        ([], "got []. Known: "),
        ({}, "got {}. Known: "),
        ("conv2d", "'conv2d' is not a stage; here it is written 'convolution'. Known: "),
        ("poling", "'poling' is not a stage; did you mean 'pooling'? Known: "),
        ({3: None}, "'3' is not a stage. Known: "),
        ({"pooling": 3}, "pooling takes settings, as 'name: value'; got 3"),
        ({"pooling": []}, "pooling takes settings, as 'name: value'; got []"),
        ({"pooling": Sgd()}, "pooling takes settings, as 'name: value'; got settings of sgd"),
        ({"pooling": {"window": 0}}, "stages[0].pooling.window: 'window' of pooling must be"),
        (
            {"convolution": None, "filters": 8},
            "got 2 names at once: 'convolution', 'filters'; indent the settings of 'convolution' "
            "further than its name",
        ),
        ({"pooling": {}, "rectification": {}}, "got 2 names at once: 'pooling', 'rectification'"),
        (Adam(), "Adam is not registered as a stage"),
        ({"\x1b[31m": 1}, r"'\x1b[31m' is not a stage"),
    ],
)
def test_what_is_no_choice_is_told(given: Any, expected: str) -> None:
    """With the names that there are, and what the mistake probably was."""
    text = message(stages=[given])

    assert text.startswith("stages[0]")
    assert expected in text
    assert text.isprintable()


def test_a_vowel_gets_its_article() -> None:
    """The sentences are English."""
    assert "an optimizer is written" in message(training={"optimizer": 3})
    assert "'x' is not an optimizer" in message(training={"optimizer": "x"})


def test_the_name_stands_in_the_place_of_an_error() -> None:
    """So that a file's line can be found."""
    text = message(stages=["rectification", {"convolution": {"filters": 0}}])

    assert text.startswith("stages[1].convolution.filters: 'filters' of convolution must be at")


def test_settings_that_do_not_fit_are_told_by_their_own_name() -> None:
    """Also where the error is of the settings together."""
    text = message(stages=[{"convolution": {"features": [[[1]]], "filters": 3}}])

    assert text.startswith("stages[0].convolution: convolution: 'filters' (=3) must be the number")


def test_a_free_choice_takes_a_path() -> None:
    """A known name is that name; anything else is a path."""
    assert Data(source="xo").source == XO()
    for path in ("photos/cats", Path("photos") / "cats"):
        data = Data(source=path)
        assert data.model_dump(mode="json")["source"] == str(Path("photos/cats"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", "data.source: 'path' of files must be a text of at least 1 character; got ''"),
        (3, "a data source is written 'name' or 'name: {settings}', or is a path; got 3. Known: "),
        (
            {"digit": {}},
            "'digit' is not a data source; did you mean 'digits'? Known: xo, digits, fashion, "
            "sounds, phrases, charts, mnist, spoken-digits, esc50, sms, news, bbbp, tox21, table",
        ),
        ({"files": {}}, "data.source.files.path: files needs the setting 'path'"),
    ],
)
def test_what_is_no_source_is_told(given: Any, expected: str) -> None:
    """Unlisted sources work, and are not shown."""
    text = message(data={"source": given})

    assert expected in text
    assert "memory" not in text


def test_objects_know_their_name() -> None:
    """A subclass is another thing than its base."""
    assert name_of(AdamW(), OPTIMIZERS) == "adamw"
    assert name_of(Convolution(filters=1), STAGES) == "convolution"
    with pytest.raises(UnknownNameError, match="Sgd is not registered as a stage"):
        name_of(Sgd(), STAGES)


@pytest.fixture
def with_broken_package(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Return the optimizers, as if they were open, beside broken ones of other packages."""
    points = [
        EntryPoint("gone", "no_such_module:Thing", "gridcnn.optimizers"),
        EntryPoint("function", "json:loads", "gridcnn.optimizers"),
        EntryPoint("zeta", "gridcnn.spec.optimizers:Step", "gridcnn.optimizers"),
    ]
    monkeypatch.setattr(
        registry_room,
        "entry_points",
        lambda group: points if group == "gridcnn.optimizers" else [],
    )
    monkeypatch.setattr(OPTIMIZERS, "_closed", False)
    monkeypatch.setattr(OPTIMIZERS, "_others", None)
    monkeypatch.setattr(OPTIMIZERS, "_loaded", {})
    return OPTIMIZERS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone", "the optimizer 'gone' of the package .* cannot be loaded: ModuleNotFoundError: "),
        (
            "function",
            "the optimizer 'function' is broken: what its package registers is not a subclass",
        ),
    ],
)
@pytest.mark.usefixtures("with_broken_package")
def test_a_broken_package_is_told_at_its_place(name: str, expected: str) -> None:
    """Whoever chooses it is told; nobody else is disturbed."""
    with pytest.raises(SpecError, match=rf"^optimizer: {expected}"):
        Training(optimizer=name)
    assert Training(optimizer="sgd").optimizer == Sgd()


def test_a_broken_package_does_not_hide_other_names(with_broken_package: Registry) -> None:
    """Names behind it are found."""
    step = with_broken_package["zeta"]()

    assert name_of(step, with_broken_package) == "zeta"
    assert Choice(with_broken_package).write(step, unset=False) == "zeta"


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("sgd", True),
        ({"sgd": None}, True),
        ({"sgd": {"momentum": 0.5}}, True),
        ("sdg", False),
        ({"sgd": {"momentom": 0.5}}, False),
        ({"sgd": {}, "adam": {}}, False),
        ({}, False),
        (3, False),
        (None, False),
    ],
)
def test_the_schema_knows_the_forms_of_a_choice(value: Any, valid: bool) -> None:
    """Editors complete names, and settings of the name that is chosen."""
    validator = jsonschema.Draft202012Validator(Training.model_json_schema())

    assert validator.is_valid({"optimizer": value}) == valid
