"""The JSON Schema of search spaces takes what `gridcnn tune` takes, and refuses what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from gridcnn.cli.main import app
from gridcnn.errors import SpecError
from gridcnn.pipelines import ready
from gridcnn.settings.document import Document
from gridcnn.spec.write import json_schema
from gridcnn.tuning.space import has_marks, read_space

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json_schema(marks=True)
SPACES = jsonschema.Draft202012Validator(SCHEMA)
SPECS = jsonschema.Draft202012Validator(json_schema())
BASE: dict[str, Any] = {
    "name": "a",
    "adapter": {"array": {"size": [8, 8]}},
    "stages": ["rectification"],
    "head": "voting",
}


def documented() -> list[Any]:
    """Return the spaces on the page about tuning: whole ones, and the marks in its table."""
    page = (DOCS / "tuning.md").read_text("utf-8")
    blocks = re.findall(r"<!-- search space -->\n```yaml\n(.*?)```", page, re.DOTALL)
    changes = re.findall(r"--set '(training\.\w+)=(\{.*?\})'", page)
    return [
        *(yaml.safe_load(block) for block in blocks),
        *(
            {**BASE, "training": {name.partition(".")[2]: yaml.safe_load(mark)}}
            for name, mark in changes
        ),
    ]


def test_it_is_a_schema() -> None:
    """Each of its references leads somewhere."""
    names = set(re.findall(r'"#/\$defs/([^"]*)"', json.dumps(SCHEMA)))

    SPACES.check_schema(SCHEMA)
    assert names <= set(SCHEMA["$defs"])


def test_the_spaces_of_the_documentation_follow_it_and_not_the_schema_of_specs() -> None:
    spaces = documented()

    assert len(spaces) >= 2
    for space in spaces:
        assert SPACES.is_valid(space), list(SPACES.iter_errors(space))
        assert not SPECS.is_valid(space)


def test_a_spec_without_marks_follows_it_as_well() -> None:
    for text in ready().values():
        SPACES.validate(yaml.safe_load(text))


GOOD: list[dict[str, Any]] = [
    {"training": {"learning_rate": {"log_range": [0.001, 0.1]}}},
    {"training": {"epochs": {"range": [2, 8], "step": 2, "as": "epochs"}}},
    {"training": {"optimizer": {"choose": ["adam", {"sgd": {"momentum": {"range": [0, 0.9]}}}]}}},
    {"training": {"choose": [{"epochs": {"range": [1, 3]}}, {"epochs": 9}]}},
    {"training": {"augmentation": [{"optional": {"noise": {"range": [0.1, 0.5]}}}]}},
    {"stages": [{"optional": {"dropout": {"choose": [0.1, 0.2]}}}, "rectification"]},
    {"stages": {"choose": [["rectification"], [{"optional": "rectification"}, "pooling"]]}},
    {
        "stages": [
            {"repeat": {"times": {"range": [1, 3]}, "stages": ["pooling", {"optional": "pooling"}]}}
        ]
    },
    {"stages": [{"convolution": {"filters": 3, "kernel_size": [{"choose": [1, 3]}, 3]}}]},
    {"adapter": {"array": {"size": {"choose": [[8, 8], [{"range": [4, 8]}, 8]]}}}},
    {"head": {"choose": ["voting", {"voting": {"hidden": [{"choose": [8, 16]}]}}]}},
]
BAD: list[dict[str, Any]] = [
    {"data": {"source": "xo", "test": {"choose": [0.1, 0.2]}}},
    {"name": {"choose": ["a", "b"]}},
    {"training": {"seed": {"choose": [1, 2]}}},
    {"training": {"minutes": {"range": [1, 2]}}},
    {"training": {"select_by": {"choose": ["auc", "loss"]}}},
    {"training": {"learning_rate": {"choose": ["fast", 0.1]}}},
    {"training": {"learning_rate": {"choose": []}}},
    {"training": {"learning_rate": {"choose": [0.1], "step": 1}}},
    {"training": {"learning_rate": {"range": [0.1, 0.2, 0.3]}}},
    {"training": {"learning_rate": {"log_range": [0, 0.1]}}},
    {"training": {"learning_rate": {"log_range": [0.01, 0.1], "step": 0.01}}},
    {"training": {"learning_rate": {"optional": 0.1}}},
    {"training": {"learning_rate": {"between": [0.1, 0.2]}}},
    {"training": {"choose": [{"seed": {"range": [1, 3]}}, {"epochs": 9}]}},
    {"stages": {"optional": ["rectification"]}},
    {"stages": [{"choose": ["pooling", {"optional": "rectification"}]}]},
    {"stages": [{"convolution": {"filters": {"choose": [3, "many"]}}}]},
]


@pytest.mark.parametrize("changes", GOOD)
def test_what_a_search_takes_follows_the_schema(changes: dict[str, Any]) -> None:
    """A mark may stand in a setting, in a list, in a whole section, and in another mark."""
    space = {**BASE, **changes}

    assert has_marks(Document(space))
    read_space(Document(space))
    SPACES.validate(space)
    assert not SPECS.is_valid(space)


@pytest.mark.parametrize("changes", BAD)
def test_what_a_search_refuses_does_not_follow_the_schema(changes: dict[str, Any]) -> None:
    """Neither what is fixed in a search, nor marks or values of a wrong form."""
    space = {**BASE, **changes}

    with pytest.raises(SpecError):
        read_space(Document(space))
    assert not SPACES.is_valid(space)


def test_the_command_prints_both() -> None:
    said = {
        words: json.loads(CliRunner().invoke(app, ["schema", *words]).stdout)
        for words in ((), ("--tune",))
    }

    assert said[()] == json_schema()
    assert said[("--tune",)] == SCHEMA
