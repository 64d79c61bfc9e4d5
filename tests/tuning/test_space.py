"""Search spaces: their dimensions, the specs that they stand for, and the places of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridcnn.errors import SpecError
from gridcnn.settings.document import Document
from gridcnn.spec.load import load, read
from gridcnn.tuning.space import Dimension, Space, has_marks, read_space, short_names

TEXT = """name: space
stages:
  - convolution: {filters: {choose: [4, 8], as: width}, kernel_size: {range: [3, 7], step: 2}}
  - rectification
  - optional: {dropout: {range: [0, 0.5]}}
  - repeat:
      times: {range: [1, 3]}
      stages: [{convolution: {filters: {choose: [4, 8], as: width}}}]
  - pooling
head: voting
training:
  learning_rate: {log_range: [0.001, 1]}
  optimizer: {choose: [sgd, {adamw: {beta1: {range: [0.5, 0.99]}}}]}
"""


def space_of(text: str, folder: Path) -> Space:
    file = folder / "space.yaml"
    file.write_text(text)
    return read_space(read(file))


def problems_of(text: str, folder: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        space_of(text, folder)
    return [str(each).removeprefix(f"{folder}/") for each in caught.value.problems]


def test_every_mark_is_a_dimension_and_marks_of_one_name_are_one(tmp_path: Path) -> None:
    """Named by their place; those inside of others need these."""
    space = space_of(TEXT, tmp_path)

    inside = "training.optimizer.choose[1].adamw.beta1"
    assert {name: str(each) for name, each in space.dimensions.items()} == {
        "width": "width: 4, 8",
        "stages[0].convolution.kernel_size": (
            "stages[0].convolution.kernel_size: 3 to 7, by steps of 2"
        ),
        "stages[2].optional": "stages[2].optional: in or out",
        "stages[2].optional.dropout": "stages[2].optional.dropout: 0 to 0.5",
        "stages[3].repeat.times": "stages[3].repeat.times: 1 to 3",
        "training.learning_rate": "training.learning_rate: 0.001 to 1, evenly by its logarithm",
        "training.optimizer": "training.optimizer: sgd, {adamw: {beta1: ...}}",
        inside: f"{inside}: 0.5 to 0.99",
    }
    assert space.dimensions[inside].parents == (("training.optimizer", 1),)
    assert space.dimensions["stages[2].optional.dropout"].parents == (("stages[2].optional", True),)


def test_values_make_the_spec_that_one_would_write(tmp_path: Path) -> None:
    """A stage that is left out is not there, and values that are not asked for are not needed."""
    space = space_of(TEXT, tmp_path)
    asked: list[str] = []
    values = {
        "width": 1,
        "stages[0].convolution.kernel_size": 5,
        "stages[2].optional": False,
        "stages[3].repeat.times": 2,
        "training.learning_rate": 0.03,
        "training.optimizer": 0,
    }

    def pick(dimension: Dimension) -> Any:
        asked.append(dimension.name)
        return values[dimension.name]

    filled = space.fill(pick)

    assert sorted(asked) == sorted(values)
    convolution = {"convolution": {"filters": 8}}
    wanted = {
        "name": "space",
        "stages": [
            {"convolution": {"filters": 8, "kernel_size": 5}},
            "rectification",
            {"repeat": {"times": 2, "stages": [convolution]}},
            "pooling",
        ],
        "head": "voting",
        "training": {"learning_rate": 0.03, "optimizer": "sgd"},
    }
    assert filled.data == wanted
    assert space.spec(values) == load(wanted)


def test_ranges_of_whole_numbers_beside_each_other_are_whole(tmp_path: Path) -> None:
    """Also if the middle of each is a fraction."""
    space = space_of("training: {epochs: {range: [1, 2]}, batch_size: {range: [3, 4]}}", tmp_path)

    assert [each.whole for each in space.dimensions.values()] == [True, True]
    assert {type(each.middle) for each in space.dimensions.values()} == {int}


@pytest.mark.parametrize(
    ("mark", "whole"),
    [
        ("epochs: {range: [1, 9]}", True),
        ("learning_rate: {range: [1, 9]}", False),
        ("learning_rate: {range: [1, 9], step: 2}", True),
        ("learning_rate: {range: [1, 2.5]}", False),
        ("batch_size: {log_range: [8, 512]}", True),
        ("epochs: {range: [4, 4]}", True),
    ],
)
def test_whole_ends_are_whole_numbers_where_the_setting_takes_no_others(
    mark: str, whole: bool, tmp_path: Path
) -> None:
    """Nobody writes a type."""
    space = space_of(f"training:\n  {mark}\n", tmp_path)

    [dimension] = space.dimensions.values()
    assert dimension.whole is whole


def test_all_mistakes_are_reported_at_their_places(tmp_path: Path) -> None:
    """Of a list the value, of a range the end, also inside of a value that may be chosen."""
    text = TEXT.replace("[4, 8]", "[4, many]", 1).replace("[0, 0.5]", "[0, 1]")
    text = text.replace("0.99", "1.4").replace("choose: [sgd,", "choose: [sgdd,")

    assert problems_of(text, tmp_path) == [
        "space.yaml:3:41: 'filters' of convolution must be a whole number; got 'many'",
        "space.yaml:5:37: 'rate' of dropout must be below 1; got 1",
        "space.yaml:13:24: 'sgdd' is not an optimizer; did you mean 'sgd'? Known: sgd, adam, adamw",
        "space.yaml:13:60: 'beta1' of adamw must be below 1; got 1.4",
    ]


def test_mistakes_of_marks_are_reported_together(tmp_path: Path) -> None:
    """Each with its line and column; marks of other systems, and where none may be, as well."""
    text = (
        "data: {source: {choose: [xo, digits]}}\n"
        "stages: {optional: pooling}\n"
        "training:\n"
        "  epochs: {range: [5, 2]}\n"
        "  batch_size: {choose: []}\n"
        "  warm_up: {uniform: [0, 2]}\n"
        "  learning_rate: {log_range: [0, 1]}\n"
        "  seed: {range: [0, 9]}\n"
    )

    found = problems_of(text, tmp_path)

    assert [line.split(": ")[0] for line in found] == [
        *("space.yaml:1:8", "space.yaml:2:1", "space.yaml:4:12", "space.yaml:5:16"),
        *("space.yaml:6:3", "space.yaml:7:31", "space.yaml:8:3"),
    ]
    assert "'data.source' cannot be searched: the data stays as it is" in found[0]
    assert "'training.seed' cannot be searched: a result by a lucky seed" in found[-1]


def test_what_is_fixed_is_fixed_inside_of_a_chosen_section_as_well(tmp_path: Path) -> None:
    text = "training:\n  choose:\n    - {epochs: 2}\n    - {seed: {range: [0, 9]}}\n"

    (found,) = problems_of(text, tmp_path)

    assert found.startswith(
        "space.yaml:4:8: 'training.choose[1].seed' cannot be searched: a result"
    )


def test_marks_of_one_name_must_be_alike(tmp_path: Path) -> None:
    """Otherwise one choice could not stand for both."""
    text = "training: {epochs: {choose: [1, 2], as: a}, batch_size: {choose: [1, 2, 3], as: a}}\n"

    assert problems_of(text, tmp_path) == [
        "space.yaml:1:77: marks that share the name 'a' take the same choice: give them the same "
        "kind, and the same ends or as many values"
    ]


def test_a_mistake_in_an_option_names_the_option(tmp_path: Path) -> None:
    """A mark may come with --set."""
    file = tmp_path / "space.yaml"
    file.write_text("name: a\n")

    with pytest.raises(SpecError) as caught:
        read_space(read(file, changes=["training.epochs={range: [0, 3]}"]))

    assert str(caught.value) == (
        "--set training.epochs={range: [0, 3]}: 'epochs' of training must be at least 1; got 0"
    )


def test_a_mistake_in_a_mapping_names_its_path() -> None:
    """It has no lines."""
    with pytest.raises(
        SpecError, match=r"^training\.epochs\.range\[0\]: 'epochs' of training must"
    ):
        read_space(read({"training": {"epochs": {"range": [0, 3]}}}))


def test_a_digest_changes_with_what_is_searched() -> None:
    """And with nothing else."""

    def digest(high: float) -> str:
        return read_space(read({"training": {"learning_rate": {"range": [0.1, high]}}})).digest()

    assert digest(0.3) == digest(0.3)
    assert digest(0.3) != digest(0.4)


def test_a_spec_without_marks_is_no_space() -> None:
    """What a mark is meant to be counts as one, so that its mistake is reported."""
    assert not has_marks(Document({"training": {"epochs": 3}}))
    assert has_marks(Document({"training": {"epochs": {"uniform": [1, 2]}}}))


def test_short_names_are_the_shortest_ends_that_differ() -> None:
    """For lines of a terminal and pictures."""
    names = ["training.learning_rate", "stages[0].convolution.filters", "stages[2].optional"]
    more = ["stages[3].convolution.filters", "stages[2].optional.dropout.rate", "width"]

    assert list(short_names([*names, *more]).values()) == [
        *("learning_rate", "stages[0].convolution.filters", "stages[2]"),
        *("stages[3].convolution.filters", "rate", "width"),
    ]


def test_a_short_name_never_means_another_stage() -> None:
    """`stages[0].repeat.times` would be that of the first stage of the spec."""
    outer, inner = "stages[3].repeat.times", "stages[3].repeat.stages[0].repeat.times"

    assert short_names([outer, inner]) == {
        outer: outer,
        inner: "repeat.stages[0].repeat.times",
    }
