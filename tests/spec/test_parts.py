"""The test part in a spec: a share, a fold or a group."""

from typing import Any

import jsonschema
import pytest
import yaml

from gridcnn.errors import SpecError
from gridcnn.spec.load import load
from gridcnn.spec.parts import Fold, GroupOut
from gridcnn.spec.write import json_schema, to_yaml


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0, 0.0),
        (0.25, 0.25),
        ({"fold": 2, "of": 5}, Fold(fold=2, of=5)),
        ({"group": "anna"}, GroupOut(group="anna")),
        ({"group": 7}, GroupOut(group="7")),
        (Fold(fold=1, of=2), Fold(fold=1, of=2)),
    ],
)
def test_a_test_part_is_read_and_written(written: Any, meant: Any) -> None:
    """What is read is written so that it reads back, and the JSON Schema allows it."""
    spec = load({"data": {"test": written}})

    assert spec.data is not None
    assert spec.data.test == meant
    assert type(spec.data.test) is type(meant)
    again = yaml.safe_load(to_yaml(spec))
    assert load(again) == spec
    jsonschema.validate(again, json_schema())


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (1, "data.test: 'test' of data must be below 1; got 1"),
        (-0.1, "data.test: 'test' of data must be at least 0; got -0.1"),
        (
            "half",
            "data.test: 'test' of data must be a number from 0 to below 1, {fold: ..., of: ...} or "
            "{group: ...}; got 'half'",
        ),
        (
            True,
            "data.test: 'test' of data must be a number from 0 to below 1, {fold: ..., of: ...} or "
            "{group: ...}; got true",
        ),
        ({"fold": 1}, "data.test.of: fold needs the setting 'of'"),
        ({"fold": 0, "of": 2}, "data.test.fold: 'fold' of fold must be at least 1; got 0"),
        ({"fold": 1, "of": 1}, "data.test.of: 'of' of fold must be at least 2; got 1"),
        (
            {"fold": 6, "of": 5},
            "data.test: fold must be one of the folds 1 to 5; got {'fold': 6, 'of': 5}",
        ),
        ({"group": ""}, "data.test.group: 'group' of group must be a text of at least 1 character"),
        ({"group": "a", "of": 2}, "data.test.of: group has no setting 'of'. It takes: group"),
    ],
)
def test_another_test_part_is_refused(written: Any, message: str) -> None:
    """In one line that tells what is allowed."""
    with pytest.raises(SpecError) as caught:
        load({"data": {"test": written}})

    assert str(caught.value).startswith(message)
    assert len(caught.value.problems) == 1
