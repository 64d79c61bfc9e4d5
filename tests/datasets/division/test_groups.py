"""Groups: how data tells what belongs together."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gridcnn
from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.division.groups import by_pattern
from gridcnn.datasets.readers.memory import from_memory
from gridcnn.datasets.readers.paths import Files
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError, SpecError
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import prepare
from gridcnn.spec.load import load


def opened(source: Any, column: str) -> Dataset:
    dataset = source.open(Request(group=column, suffixes=frozenset({".png"})))
    assert isinstance(dataset, Dataset)
    return dataset


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Return a manifest of twelve pictures of three writers, beside the pictures."""
    from PIL import Image

    lines = ["path,label,Writer"]
    for number in range(12):
        Image.new("L", (4, 4), number * 20).save(tmp_path / f"{number}_w{number // 4}_.png")
        lines.append(f"{number}_w{number // 4}_.png,{'ab'[number % 2]},w{number // 4}")
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "list.csv"


def test_a_column_of_a_manifest_names_groups(manifest: Path) -> None:
    """Whatever its capitals, as with the other columns of a manifest."""
    for column in ("writer", "Writer"):
        dataset = opened(Files(path=str(manifest)), column)

        assert dataset.groups == [f"w{number // 4}" for number in range(12)]


def test_wrong_columns_and_empty_groups_of_a_manifest_are_told(manifest: Path) -> None:
    text = manifest.read_text(encoding="utf-8")
    with pytest.raises(DataError, match=r"has no column 'writr', as data.group says; did you mean"):
        opened(Files(path=str(manifest)), "writr")
    manifest.write_text(text.replace("b,w1", "b,"), encoding="utf-8")
    bad = opened(Files(path=str(manifest)), "writer").bad
    assert "list.csv:7: the group in 'writer' is empty; give" in str(bad[0])
    manifest.write_text(text.replace("label,", "label,writer,"), encoding="utf-8")
    with pytest.raises(DataError, match=r"2 columns are named 'writer'; keep one"):
        opened(Files(path=str(manifest)), "writer")


def test_a_column_of_a_data_frame_names_groups(manifest: Path) -> None:
    """Texts and whole numbers, also as floats."""
    frame = pd.read_csv(manifest)
    frame["path"] = [str(manifest.parent / name) for name in frame["path"]]
    frame["number"] = np.repeat([1.0, 2.0, np.nan], 4)

    assert from_memory(frame, group="Writer").groups == [f"w{n // 4}" for n in range(12)]
    assert from_memory(frame[:8], group="number").groups == ["1"] * 4 + ["2"] * 4
    assert "row 8: the group in 'number' is empty" in str(from_memory(frame, group="number").bad[0])
    with pytest.raises(DataError, match="a tuple of 2 has no columns; give a DataFrame"):
        from_memory((["a"], ["b"]), group="Writer")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "a,kind,who\n1,x,u\n2,y, v \n"),
        ("t.jsonl", '{"a": 1, "kind": "x", "who": "u"}\n{"a": 2, "kind": "y", "who": "v"}'),
    ],
)
def test_a_column_of_a_table_names_groups(tmp_path: Path, name: str, text: str) -> None:
    """It is then none of the inputs."""
    (tmp_path / name).write_text(text, encoding="utf-8")

    dataset = opened(Table(path=str(tmp_path / name), label="kind"), "who")

    assert dataset.groups == ["u", "v"]
    assert np.stack(dataset.things).tolist() == [[1.0], [2.0]]
    (tmp_path / name).write_text(text.replace("u", ""), encoding="utf-8")
    bad = opened(Table(path=str(tmp_path / name), label="kind"), "who").bad
    assert "the group in 'who' is empty" in str(bad[0])


def test_a_column_of_parquet_names_groups(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1, 2], "kind": ["x", "y"], "who": [7, 8]})
    frame.to_parquet(tmp_path / "t.parquet")

    dataset = opened(Table(path=str(tmp_path / "t.parquet"), label="kind"), "who")

    assert dataset.groups == ["7", "8"]


def test_data_without_columns_says_so(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"")

    with pytest.raises(DataError, match="the data digits has no columns to name groups"):
        locate(load({"data": {"source": "digits", "group": "who"}}), None, tmp_path).open()
    with pytest.raises(DataError, match=r"find them in the names of files with data.group: {patt"):
        opened(Files(path=str(tmp_path)), "who")


def test_a_pattern_finds_groups_in_names() -> None:
    """The first pair of parentheses is the group, wherever in the path it is."""
    names = ["three/3_jackson_12.wav", "seven/7_theo_0.wav"]
    data = Dataset(names, ["3", "7"], names)

    assert by_pattern(data, "_([a-z]+)_").groups == ["jackson", "theo"]
    assert by_pattern(data, "^(.+)/").groups == ["three", "seven"]
    with pytest.raises(DataError) as caught:
        by_pattern(data, "_(j[a-z]+)?_?1")
    assert [str(problem) for problem in caught.value.problems] == [
        "'seven/7_theo_0.wav' has no group: the pattern '_(j[a-z]+)?_?1' finds nothing in it"
    ]
    with pytest.raises(DataError, match="finds an empty text in it"):
        by_pattern(data, "(x?)")


@pytest.mark.parametrize("group", ["writer", {"pattern": "_(w[0-9])_"}])
def test_a_spec_keeps_groups_together(manifest: Path, group: Any) -> None:
    """By a column or by a pattern: each part has another writer."""
    data = {"source": str(manifest), "test": 0.3, "validation": 0.3, "group": group}
    spec = load({"data": data, "adapter": {"image": {"size": 4}}, "head": "voting"})

    prepared = prepare(locate(spec, None, Path.cwd()))

    writers = [
        {name.split("_")[1] for name in part.names}
        for part in (prepared.train, prepared.validation, prepared.test)
    ]
    assert sorted(map(len, writers)) == [1, 1, 1]
    assert set.union(*writers) == {"w0", "w1", "w2"}
    assert load({"data": load({"data": data}).model_dump(mode="json")["data"]}).data == (
        load({"data": data}).data
    )


def test_groups_of_data_in_memory_are_kept() -> None:
    """A Dataset's own groups count, whether the spec names a column or not."""
    things = list(np.random.default_rng(0).normal(size=(40, 3, 3)))
    groups = [f"g{number // 8}" for number in range(40)]
    names = [f"{group} {number}" for number, group in enumerate(groups)]
    data = Dataset(things, [0, 1] * 20, names, groups=groups)
    for settings in ({}, {"data": {"group": "who"}}):
        prepared = prepare(locate(load({**settings, "head": "voting"}), data, Path.cwd()))

        parts = [
            {name.split()[0] for name in part.names} for part in (prepared.train, prepared.test)
        ]
        assert not parts[0] & parts[1]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("", r"must be the name of a column, {pattern: ...} or {scaffold: murcko}; got ''"),
        (2.5, r"must be the name of a column, {pattern: ...} or {scaffold: murcko}; got 2.5"),
        ({"pattern": "("}, r"'pattern' of group must be a regular expression \("),
        ({"pattern": "abc"}, "must be a regular expression with parentheses around the group"),
        ({"patern": "(a)"}, "group has no setting 'patern'; did you mean 'pattern'"),
        ({}, "group needs the setting 'pattern'"),
    ],
)
def test_wrong_settings_are_explained(group: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        load({"data": {"source": "xo", "group": group}})


def test_a_group_may_be_a_number() -> None:
    """As the columns of a table without a header are called."""
    data = load({"data": {"group": 3}}).data

    assert data is not None
    assert data.group == "3"


def test_groups_go_with_items() -> None:
    with pytest.raises(DataError, match="all must be the same number"):
        Dataset([1, 2], [0, 1], ["a", "b"], groups=["g"])


@pytest.mark.slow
def test_a_run_keeps_groups_together(tmp_path: Path) -> None:
    """Evaluation afterwards needs no groups."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 4)), columns=[*"abcd"])
    frame["kind"], frame["who"] = np.arange(60) % 2, [f"p{number // 6}" for number in range(60)]
    frame.to_csv(tmp_path / "t.csv", index=False)
    spec = {
        "data": {
            "source": {"table": {"path": str(tmp_path / "t.csv"), "label": "kind"}},
            "group": "who",
        },
        "head": "voting",
        "training": {"epochs": 1},
    }

    result = gridcnn.run(spec, out=tmp_path / "run")
    again = gridcnn.run(tmp_path / "run" / "spec.yaml", out=tmp_path / "again")

    assert result.metrics["test"]["items"] == 12
    assert (result.model.parameters == again.model.parameters).all()
