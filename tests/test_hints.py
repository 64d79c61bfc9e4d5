"""Advice in messages is followed, and works.

Each test provokes a message, does what the message says, and sees that it helps.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml

from gridcnn.errors import SpecError, UserError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.settings import foreign
from gridcnn.spec.load import load
from gridcnn.spec.models import HEADS, STAGES

Plain = dict[str, Any]
CONVOLUTION = {"convolution": {"filters": 4}}


def a_spec() -> Plain:
    """Return a spec that is right."""
    return {
        "data": {"source": "xo"},
        "adapter": {"image": {"size": [8, 8]}},
        "stages": [copy.deepcopy(CONVOLUTION), "rectification", {"pooling": {"window": 2}}],
        "head": {"voting": {"hidden": [8]}},
        "training": {"epochs": 2},
    }


def message(spec: Plain, **options: Any) -> str:
    """Return what is wrong with a spec: a single problem."""
    with pytest.raises(UserError) as caught:
        load(spec, **options)
    (problem,) = caught.value.problems
    return problem.message


def works(spec: Plain) -> None:
    """Make the network of a spec."""
    network = Network(load(spec), GridShape(1, 8, 8), classes=2)
    assert network.parameters > 0


def merged(spec: Plain, more: Plain) -> None:
    """Put sections into a spec, beside what is there."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(spec.get(key), dict):
            spec[key] = {**spec[key], **value}
        else:
            spec[key] = value


def fragment(told: str, after: str) -> Any:
    """Return the piece of a spec that a message quotes after some words."""
    text = told.partition(after)[2]
    found = re.match(r"'([^']+)'|(\w+: (?:\{(?:[^{}]|\{[^{}]*\})*\}))|(\w+)", text)
    assert found is not None, told
    return yaml.safe_load(next(each for each in found.groups() if each))


# Names of other systems -------------------------------------------------------------------------


def follow_stage(spec: Plain, place: int, told: str) -> None:
    """Do what a message says about a stage that does not exist."""
    stages = spec["stages"]
    if "here it is written" in told:
        piece = fragment(told, "here it is written ")
    elif "write its entries there" in told:
        stages[place : place + 1] = [CONVOLUTION, "rectification"]
        return
    elif "; leave it out" in told:
        del stages[place]
        return
    elif "write, for example, " in told:
        piece = fragment(told, "write, for example, ")
    else:
        piece = fragment(told, "write ")
    if isinstance(piece, dict) and set(piece) <= {"head", "training"}:
        del stages[place]
        merged(spec, piece)
        return
    # Settings of convolution are the user's own.
    stages[place] = CONVOLUTION if piece == "convolution" else piece


@pytest.mark.parametrize("name", sorted({*STAGES._foreign, *STAGES._absent}))
def test_stages_of_other_systems_are_answered_with_what_works(name: str) -> None:
    spec = a_spec()
    spec["stages"].insert(1, name)

    told = message(spec)
    follow_stage(spec, 1, told)

    assert told.startswith(f"'{name}' is not a stage; ")
    works(spec)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Dropout2d", "'dropout: {rate: 0.1, of: maps}'"),
        ("GlobalAveragePooling2D", "'pooling: {window: all, mode: mean}'"),
        ("global_average_pooling", "'pooling: {window: all, mode: mean}'"),
        ("gap", "'pooling: {window: all, mode: mean}'"),
        ("Softmax", "the voting head ends in a softmax already; leave it out"),
        ("Flatten", "the voting head takes all cells of the last grid"),
        ("Linear", "head: {voting: {hidden: [32]}}"),
        ("fully_connected", "head: {voting: {hidden: [32]}}"),
        ("Sequential", "'stages' is a list"),
        ("BatchNorm2d", "'normalization'"),
        ("batch_norm", "'normalization'"),
        ("batch_normalization", "'normalization'"),
        ("ReLU", "'rectification'"),
        ("LeakyReLU", "'rectification: {leak: 0.1}'"),
        ("residual", "'skip: [convolution: {filters: 8}]'"),
        ("inception", "'parallel: [[convolution: {filters: 8}], [convolution: {"),
        ("depthwise", "'convolution: {filters: 8, groups: channels}'"),
        ("LayerNorm", "'normalization: layer'"),
        ("Swish", "'activation: silu'"),
        ("Conv2D", "'convolution'"),
        ("max-pool", "'pooling'"),
    ],
)
def test_however_a_name_is_spelled_it_is_answered(name: str, words: str) -> None:
    spec = a_spec()
    spec["stages"].append({name: {"p": 0.5}})

    assert words in message(spec)


@pytest.mark.parametrize("name", sorted({*HEADS._foreign, *HEADS._absent}))
def test_heads_of_other_systems_are_answered_with_what_works(name: str) -> None:
    spec = a_spec()
    spec["head"] = name

    told = message(spec)
    if "here it is written" in told:
        spec["head"] = fragment(told, "here it is written ")
    elif "write head: " in told:
        merged(spec, {"head": None} | fragment(told, "write "))
    elif "'voting' instead" in told:
        spec["head"] = "voting"
        if "as the last of 'stages'" in told:
            spec["stages"].append(fragment(told, "write "))
    else:
        assert "leave it out" in told
        del spec["head"]

    works(spec)


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("optimizer", sorted(foreign.ABSENT_OPTIMIZERS)),
        ("schedule", sorted(foreign.ABSENT_SCHEDULES)),
    ],
)
def test_optimizers_and_schedules_of_other_systems_are_answered(
    setting: str, names: list[str]
) -> None:
    for name in names:
        spec = a_spec()
        spec["training"][setting] = name

        spec["training"][setting] = fragment(message(spec), "write ")

        works(spec)


OWNERS = {
    "convolution": lambda spec: spec["stages"][0]["convolution"],
    "voting": lambda spec: spec["head"]["voting"],
    "training": lambda spec: spec["training"],
    "the spec": lambda spec: spec,
}


@pytest.mark.parametrize("owner", list(OWNERS))
@pytest.mark.parametrize("name", sorted(foreign.ABSENT_SETTINGS))
def test_settings_of_other_systems_are_answered_with_what_works(owner: str, name: str) -> None:
    """Where our own spelling is not near, and no setting of another place is meant."""
    spec = a_spec()
    section = OWNERS[owner](spec)
    section[name] = 1

    told = message(spec)

    assert told.startswith(f"{owner} has no setting '{name}'; ")
    del section[name]
    if "it is set as" in told or "here it is written" in told:
        return  # followed below
    assert "leave it out" in told or "write that after" in told or "; give --" in told
    works(spec)


VALUES: Plain = {
    "training.views": 1,  # more of them need an augmentation
    "data.source": "digits",
    "data.test": 0.3,
    "data.validation": 0.2,
    "data.bad_items": "skip",
    "data.duplicates": "drop",
    "data.group": {"pattern": "(a)"},
    "training.optimizer": "sgd",
    "training.schedule": "cosine",
    "training.minutes": 2.0,
    "training.select_by": "auc",
    "training.class_weights": "balanced",
    "training.sampling": "balanced",
    "training.label_smoothing": 0.1,
    "training.mixup": 0.2,
    "training.averaging": 0.99,
    "training.method": "backpropagation",
    "training.augmentation": [{"noise": 0.1}],
    "training.warm_up": 0.5,
    "training.weight_decay": 0.1,
    "training.gradient_clip": 1.0,
    "training.learning_rate": 0.1,
    "training.optimizer.sgd.momentum": 0.5,
    "training.optimizer.sgd.nesterov": True,
    "training.optimizer.adam.beta1": 0.5,
    "training.optimizer.adam.beta2": 0.5,
    "head.voting.dropout": 0.5,
    "head.voting.hidden": [4],
    "head.voting.labels": "several",
    "data.source.table.label": "kind",
    "data.source.table.delimiter": ";",
    "data.source.table.decimal": ",",
    "data.source.table.thousands": " ",
    "data.source.table.encoding": "cp1252",
    "data.source.table.header": True,
    "data.source.table.sheet": "one",
    "data.source.table.input": "text",
    "data.source.table.split": "part",
    "data.source.table.quoting": False,
    "adapter.table.missing": "mean",
    "adapter.table.scaling": "none",
    "adapter.table.size": [1, 8],
    "adapter.table.channels": 1,
    "adapter": "image",
    "stages": [],
    "head": "voting",
    "check": "off",
    "training": {},
    "data": {"source": "xo"},
}


def a_table() -> Plain:
    """Return a spec for a table."""
    source = {"table": {"path": "t.csv", "label": "label"}}
    return {**a_spec(), "data": {"source": source}, "adapter": {"table": {"size": [1, 8]}}}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *((name, place) for name, place in foreign.PLACES.items()),
        *((name, place) for name, place in foreign.TABLE_PLACES.items()),
        ("lr", "training.learning_rate"),
        ("batchSize", "training.batch_size"),
        ("test_size", "data.test"),
    ],
)
def test_a_setting_in_the_wrong_place_is_told_where_it_stands(name: str, place: str) -> None:
    """As `adapter.table.duplicates` is one of the data; and there it can be set."""
    spec = a_table()
    wrong = spec["data"]["source"]["table"] if place.startswith("adapter.") else None
    wrong = wrong if wrong is not None else spec["adapter"]["table"]
    wrong[name] = 1

    told = message(spec)

    assert f"; it is set as '{place}'" in told
    del wrong[name]
    load(spec, changes={place: VALUES.get(place, 3)})


def test_every_place_is_one_of_a_setting() -> None:
    """A value for each of them is tried above."""
    places = {*foreign.PLACES.values(), *foreign.TABLE_PLACES.values()}

    counts = {place for place in places if place not in VALUES}
    assert counts == {
        "training.epochs",
        "training.batch_size",
        "training.patience",
        "training.restarts",
        "training.seed",
        "training.stop_after",
    }


@pytest.mark.parametrize(
    "stage",
    [
        {"type": "convolution", "filters": 3},
        {"class_name": "pooling", "window": 2},
        {"name": "convolution", "filters": 3, "bias": False},
    ],
)
def test_a_stage_that_is_written_as_elsewhere_is_written_for_the_user(stage: Plain) -> None:
    spec = a_spec()
    spec["stages"][0] = stage

    told = message(spec)
    spec["stages"][0] = yaml.safe_load(told.partition("; write ")[2])

    works(spec)


# Words that a setting takes ---------------------------------------------------------------------

STAGE_OF_SETTING = {
    "function": "activation",
    "mode": "pooling",
    "kind": "normalization",
    "join": "parallel",
    "shortcut": "skip",
    "of": "dropout",
}
BESIDE: Plain = {
    "parallel": {"branches": [[], []]},
    "skip": {"stages": ["rectification"]},
    "dropout": {"rate": 0.5},
}


def with_word(setting: str, word: Any) -> Plain:
    """Return a spec in which a setting is a word."""
    spec = a_spec()
    if setting in spec["training"] or setting not in STAGE_OF_SETTING:
        spec["training"][setting] = word
    else:
        stage = STAGE_OF_SETTING[setting]
        spec["stages"].append({stage: {**BESIDE.get(stage, {}), setting: word}})
    return spec


@pytest.mark.parametrize(
    ("setting", "word"),
    [(setting, word) for setting, words in foreign.VALUES.items() for word in words],
)
def test_words_of_other_systems_are_answered_with_ours(setting: str, word: str) -> None:
    told = message(with_word(setting, word))

    assert f"; got '{word}'; here it is written '" in told
    works(with_word(setting, fragment(told, "here it is written ")))


@pytest.mark.parametrize(
    ("setting", "word"),
    [(setting, word) for setting, words in foreign.ABSENT_VALUES.items() for word in words],
)
def test_words_that_no_setting_takes_are_answered_with_what_works(setting: str, word: str) -> None:
    """As `activation: relu`, which was once thought to be a slip for gelu."""
    told = message(with_word(setting, word))
    spec = a_spec()
    if "write that instead" in told:
        spec["stages"].append(fragment(told, "the stage "))
    elif "leave it out" not in told:
        spec["stages"].insert(1, fragment(told, "write "))

    assert "did you mean" not in told
    works(spec)


@pytest.mark.parametrize(
    ("stage", "name", "ours"),
    [
        ("dropout", "p", "rate"),
        ("rectification", "negative_slope", "leak"),
        ("gate", "ratio", "reduction"),
        ("parallel", "merge", "join"),
        ("skip", "downsample", "shortcut"),
        ("repeat", "n", "times"),
        ("normalization", "type", "kind"),
        ("pooling", "type", "mode"),
        ("activation", "name", "function"),
    ],
)
def test_settings_of_stages_of_other_systems_are_answered_with_ours(
    stage: str, name: str, ours: str
) -> None:
    spec = a_spec()
    spec["stages"].append({stage: {name: 1}})

    with pytest.raises(SpecError) as refused:
        load(spec)

    told = [problem.message for problem in refused.value.problems]
    assert any(f"{stage} has no setting '{name}'; here it is written '{ours}'." in t for t in told)


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (
            {"pooling": "all"},
            "pooling takes settings, as 'name: value'; got 'all'. It takes: window, stride, mode, "
            "edges",
        ),
        (
            {"skip": "pooling"},
            "skip takes settings, as 'name: value', or a list, which is its 'stages'; got "
            "'pooling'. It takes: stages, shortcut",
        ),
    ],
)
def test_a_value_in_place_of_settings_is_answered_with_what_there_is(
    stage: Plain, told: str
) -> None:
    spec = a_spec()
    spec["stages"].append(stage)

    assert message(spec) == told
