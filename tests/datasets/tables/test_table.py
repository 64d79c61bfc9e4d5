import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gridcnn
from gridcnn.contracts.source import Dataset, Request
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError, Problem, SpecError
from gridcnn.spec.load import load

SMS = Path(os.environ.get("GRIDCNN_DATA", "")) / "text_sms_spam" / "SMSSpamCollection.original.tsv"
TEXTS = {"input": "text", "label": "kind"}


def read(folder: Path, content: str | bytes, *, name: str = "t.csv", **more: Any) -> Dataset:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    table = Table(**{"path": str(folder / name), "label": "kind", **more})
    return table.open(Request())


def told(folder: Path, content: str | bytes, *, name: str = "t.csv", **more: Any) -> list[str]:
    try:
        problems: Sequence[Problem] = read(folder, content, name=name, **more).bad
    except DataError as error:
        problems = error.problems
    return [str(problem).removeprefix(str(folder / name)).lstrip(":, ") for problem in problems]


def stack(dataset: Dataset) -> list[list[float]]:
    return np.stack(dataset.things).tolist()  # type: ignore[no-any-return]


# Texts and numbers ------------------------------------------------------------------------------


def test_one_column_holds_texts(tmp_path: Path) -> None:
    """They are as they stand there, with all their spaces; labels are without."""
    dataset = read(tmp_path, 'text,kind\n" Hello, you ",ham\nBuy!, spam \n', **TEXTS)

    assert list(dataset.things) == [" Hello, you ", "Buy!"]
    assert list(dataset.labels) == ["ham", "spam"]
    assert list(dataset.names) == ["line 2", "line 3"]
    assert dataset.places == [f"{tmp_path / 't.csv'}:2", f"{tmp_path / 't.csv'}:3"]
    assert dataset.parts is None


def test_a_list_of_columns_holds_numbers(tmp_path: Path) -> None:
    """In the order of the list; others are left alone."""
    dataset = read(tmp_path, "a,note,b,kind\n1,x,-2.5e1,u\n 3 ,y,.5,v\n", input=["b", "a"])

    assert stack(dataset) == [[-25.0, 1.0], [0.5, 3.0]]
    assert all(thing.dtype == np.float64 for thing in dataset.things)


def test_a_list_of_one_column_is_of_numbers(tmp_path: Path) -> None:
    """The thing is then an array of one number, not a text."""
    assert stack(read(tmp_path, "a,kind\n1,u\n2,v\n", input=["a"])) == [[1.0], [2.0]]


def test_without_an_input_all_other_columns_are_numbers(tmp_path: Path) -> None:
    """Neither the label nor the split is among them."""
    dataset = read(tmp_path, "b,kind,part,a\n1,u,train,2\n3,v,test,4\n", input=None, split="part")

    assert stack(dataset) == [[1.0, 2.0], [3.0, 4.0]]
    assert dataset.parts == ["train", "test"]


@pytest.mark.parametrize(
    ("text", "name", "more"),
    [
        ("text;kind\na;x\nb;y\n", "t.csv", {}),
        ("text\tkind\na\tx\nb\ty\n", "t.csv", {}),
        ("text\tkind\na\tx\nb\ty\n", "T.TSV", {}),
        ("text|kind\na|x\nb|y\n", "t.txt", {"delimiter": "|"}),
        ("text|kind\na|x\nb|y\n", "t.dat", {"delimiter": "|"}),
        ("\ufefftext,kind\r\na,x\r\nb,y\r\n", "t.csv", {}),
        ('"kind"," text "\n"x",a\n\n , \ny,b', "t.csv", {}),
        ("a,x\nb,y\n", "t.csv", {"header": False, "input": 1, "label": 2}),
        ("\nx\ta\ny\tb\n", "t.tsv", {"header": False, "input": "2", "label": "1"}),
        ('{"text": "a", "kind": "x"}\n\n{"kind": "y", "text": "b"}\n', "t.jsonl", {}),
        ('{"text": "a", "kind": "x"}\r\n{"text": "b", "kind": "y", "z": []}', "t.ndjson", {}),
    ],
)
def test_common_ways_to_write_a_table_are_read(
    tmp_path: Path, text: str, name: str, more: dict[str, Any]
) -> None:
    dataset = read(tmp_path, text, name=name, **{**TEXTS, **more})

    assert list(dataset.things) == ["a", "b"]
    assert list(dataset.labels) == ["x", "y"]


def test_quotes_may_be_signs_like_others(tmp_path: Path) -> None:
    """With `quoting: false` a quote that is never closed is part of its text."""
    text = 'ham\t"Go, he said\nspam\tWin "big"\n'
    columns = {"header": False, "input": 2, "label": 1}

    dataset = read(tmp_path, text, name="t.tsv", quoting=False, **columns)
    lines = told(tmp_path, text, name="t.tsv", **columns)

    assert list(dataset.things) == ['"Go, he said', 'Win "big"']
    assert (
        "is a quotation mark left open? If quotes are ordinary characters, set 'quoting: "
        "false'" in lines[0]
    )


def test_labels_of_json_may_be_whole_numbers(tmp_path: Path) -> None:
    """A number stays a number, and true and 1.0 are whole numbers too."""
    lines = [{"a": 1, "kind": label} for label in (3, 1.0, True)]

    dataset = read(tmp_path, "\n".join(map(json.dumps, lines)), name="t.jsonl", input=["a"])

    assert list(dataset.labels) == [3, 1, 1]
    assert all(type(label) is int for label in dataset.labels)


def test_labels_of_csv_are_texts(tmp_path: Path) -> None:
    assert read(tmp_path, "a,kind\n1,1\n2,0\n").classes == ("0", "1")


def test_the_split_is_used_as_it_is(tmp_path: Path) -> None:
    text = "text,kind,part\na,x,train\nb,y,Val\nc,x,test\n"

    assert read(tmp_path, text, split="part", **TEXTS).parts == ["train", "validation", "test"]
    assert read(tmp_path, "text,kind,part\na,x,\n", split="part", **TEXTS).parts is None


# What is wrong ----------------------------------------------------------------------------------


def test_every_bad_line_is_told(tmp_path: Path) -> None:
    """All kinds of problems come together, each with its line and its column."""
    lines = told(
        tmp_path,
        "a,b,kind,part\n"
        "1,2,u,train\n"
        "1,two,u,train\n"
        ",2,u,train\n"
        "NA,inf,u,train\n"
        "1,2, ,train\n"
        "1,2,u\n"
        "1.5,1_000,u,test\n"
        "1,1e999,u,tset\n"
        "1,\u0662,u,\n",
        split="part",
    )

    others = "; or list the columns of numbers in 'input'"
    advice = f"; fill it in, or leave the row out{others}"
    filled = advice.replace(others, f"; or set adapter.table.missing: mean{others}")
    assert lines == [
        f"3: the column 'b' has 'two', which is not a number{advice}",
        f"4: the column 'a' has no number{filled}",
        f"5: the column 'a' has no number ('NA'){filled}",
        f"5: the column 'b' has 'inf', which is not finite{advice}",
        "6: the label in 'kind' is empty; give every item a label",
        "7: has 3 cells, but the first line names 4; put quotes around a cell with a separator "
        "in it",
        f"8: the column 'b' has '1_000', which is not a number{advice}",
        f"9: the column 'b' has '1e999', which is not finite{advice}",
        f"10: the column 'b' has '\u0662', which is not a number{advice}",
    ]
    assert told(tmp_path, "a,kind,part\n1,u,tset\n2,v,\n", split="part") == [
        "2: the split 'tset' must be train, validation or test; did you mean 'test'?",
        "3: the split is empty; give train, validation or test in every row, or in none",
    ]


def test_columns_of_texts_that_nobody_asked_for_are_told_once(tmp_path: Path) -> None:
    """With the first of them, and not again in every row."""
    text = "a,town,b,job,kind\n1,Ulm,2,cook,x\n" + "1,Bonn,2,,y\n" * 50
    record = '{"a": 1, "town": "Ulm", "kind": "x"}\n'

    assert told(tmp_path, text) == [
        "2: no numbers in the columns 'town', 'job'; the first has 'Ulm', which is not a number; "
        "list the columns of numbers in 'input', or give one column of texts"
    ]
    assert told(tmp_path, record * 50, name="t.jsonl") == [
        "1: no numbers in the column 'town'; the first has the text 'Ulm', which is not a number; "
        "list the columns of numbers in 'input', or give one column of texts"
    ]
    assert len(told(tmp_path, text, input=["a", "town"])) == 1
    for cell in ("inf", "NA", "1_5", "12a"):
        assert "the column 'b'" in told(tmp_path, f'a,b,kind\n1,"{cell}",x\n')[0]


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "nan", "NaN", "null", "None", "-", "?"])
def test_a_missing_number_is_refused(tmp_path: Path, cell: str) -> None:
    lines = told(tmp_path, f"a,b,kind\n1,2,x\n1,{cell},y\n", input=["a", "b"])

    assert lines[0].startswith("3: the column 'b' has no number")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"a": 1, "kind": "x"', ":21: is not valid JSON: Expecting ',' delimiter"),
        ("[1, 2]", ": is not an object, {...}, with a value for each column: [1, 2]"),
        ('{"A": 1, "aa": 1, "kind": "x"}', ": has no 'a'; did you mean 'aa'?"),
        ('{"kind": "x"}', ": has no 'a'; every line must have it"),
        ('{"a": 1}', ": has no 'kind'; every line must have it"),
        ('{"a": "1", "kind": "x"}', ": the column 'a' has the text '1', which is not a number"),
        ('{"a": null, "kind": "x"}', ": the column 'a' has no number (null)"),
        ('{"a": NaN, "kind": "x"}', ": the column 'a' has no number (NaN)"),
        ('{"a": -Infinity, "kind": "x"}', ": the column 'a' has -inf, which is not finite"),
        ('{"a": [1], "kind": "x"}', ": the column 'a' has [1], which is not a number"),
        ('{"a": 1' + "0" * 400 + ', "kind": "x"}', ": the column 'a' has a whole number of 1329"),
        ('{"a": 1' + "0" * 5000 + ', "kind": "x"}', ": is not readable JSON: Exceeds"),
        ('{"a": 1, "kind": null}', ": the label in 'kind' is empty"),
        ('{"a": 1, "kind": 0.5}', ": the label in 'kind' is 0.5. Labels name classes"),
        ('{"a": 1, "kind": "\\ud800"}', ": the label in 'kind' has half a character"),
        ("[" * 100_000, ": is not readable JSON: maximum recursion depth exceeded"),
    ],
)
def test_a_wrong_line_of_json_is_explained(tmp_path: Path, line: str, message: str) -> None:
    """With its line, and where the JSON itself is broken with the place in it."""
    good = '{"a": 1, "kind": "x"}'

    lines = told(tmp_path, f"{good}\n{line}\n{good}", name="t.jsonl", input=["a"])

    assert len(lines) == 1
    assert lines[0].startswith(f"2{message}")


def test_without_an_input_all_lines_of_json_have_the_same_columns(tmp_path: Path) -> None:
    """A column that comes later would be left out without a word."""
    text = '{"a": 1, "kind": "x"}\n{"a": 1, "b": 2, "kind": "x"}\n'

    assert told(tmp_path, text, name="t.jsonl") == [
        "2: has 'b', which the first line does not have"
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("3", "has 3, which is not a text"),
        ("null", "has nothing in it, which is not a text"),
        ('"\\udc00"', "has half a character (a lone surrogate)"),
    ],
)
def test_what_is_no_text_is_told(tmp_path: Path, value: str, message: str) -> None:
    lines = told(tmp_path, f'{{"text": {value}, "kind": "x"}}', name="t.jsonl", **TEXTS)

    assert lines == [f"1: the column 'text' {message}", "none of the 1 items can be read"]


def test_labels_must_be_of_one_kind(tmp_path: Path) -> None:
    text = '{"text": "a", "kind": 1}\n{"text": "a", "kind": "1"}'

    lines = told(tmp_path, text, name="t.jsonl", **TEXTS)

    assert lines[0].startswith("the column 'kind' has the label 1 both as a number and as a text")


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("", {}, "1: is empty; its first line must name the columns"),
        ("\n\n", {}, "1: is empty"),
        ("text,kind\n", {}, "has no rows"),
        ("", {"header": False}, "has no rows"),
        ("txt,kind\na,x\n", {}, "1: has no column 'text'; did you mean 'txt'? It has: txt, kind"),
        ("a,b\na,x\n", {}, "1: has no columns 'text', 'kind'. It has: a, b"),
        ("text,kind,text\n", {}, "1: 2 columns are named 'text'; keep one"),
        (
            "a,x\n",
            {"header": False},
            "has no columns 'text', 'kind'; without a header",
        ),
        (
            "a,kind\nb,x\n",
            {"input": 1},
            "1: has no column '1'; columns are called by their numbers with",
        ),
        ("text,kind\na,x\n", {"split": "part"}, "1: has no column 'part'. It has: text, kind"),
        ("kind\nx\n", {"input": None}, "1: has no column for 'input': all columns have"),
        (",a,kind\n0,1,x\n", {"input": None}, "1: column 1 has no name; give it one, or list"),
        ("a,a,kind\n0,1,x\n", {"input": None}, "1: 2 columns are named 'a'; keep one"),
        (
            b"text,kind\na\xff,x\n",
            {},
            "2: is not UTF-8 text from here on (byte 0xff); save",
        ),
        (
            'text,kind\n"a,x\n',
            {},
            "2: is not valid CSV: unexpected end of data; is a quotation mark",
        ),
        (
            "text,kind\n" + "x" * 2**25 + ",x\n",
            {},
            "2: has more than 16 MiB, too much for one line",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_explained(
    tmp_path: Path, text: str | bytes, more: dict[str, Any], message: str
) -> None:
    lines = told(tmp_path, text, **{**TEXTS, **more})

    assert message in lines[0]


def test_a_file_that_is_no_table_is_explained(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()

    def problem(path: str) -> str:
        with pytest.raises(DataError) as caught:
            Table(path=path, label="kind").open(Request())
        return str(caught.value)

    assert "gone.csv: there is no such file" in problem(str(tmp_path / "gone.csv"))
    assert "folder.csv: is a folder; give the table's file" in problem(str(tmp_path / "folder.csv"))
    assert "a web address cannot be read; download the file" in problem("https://here/t.csv")
    assert "cannot be a path" in problem("a\0b")
    (tmp_path / "t.json").write_bytes(b"[]")
    assert "a table is .csv, .tsv, " in problem(str(tmp_path / "t.json"))
    assert ".dta; write one object a line" in problem(str(tmp_path / "t.json"))
    (tmp_path / "t.dat").write_bytes(b"")
    assert problem(str(tmp_path / "t.dat")).endswith(".ods, .dta")


# Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"label": 1.5}, "'label' of table must be the name of a column, a list of such, {pattern"),
        ({"label": "a", "input": []}, "must be the name of a column, or a list of such"),
        ({"label": "a", "input": ["b", True]}, "must be the name of a column, or its number"),
        ({"label": "a", "input": "a"}, "the column 'a' is named 2 times"),
        ({"label": "a", "split": "a"}, "the column 'a' is named 2 times"),
        ({"label": "a", "input": ["b", "b"]}, "the column 'b' is named 2 times"),
        ({"label": "a", "delimiter": "||"}, "must be a single character"),
        ({"label": "a", "header": "no"}, "'header' of table must be true or false"),
        ({"label": "a", "path": "t.jsonl", "header": False}, "'header' is for CSV and TSV files"),
        ({"label": "a", "path": "t.pq", "delimiter": ","}, "'delimiter' is for CSV and TSV files"),
        ({}, "table needs the setting 'label'"),
    ],
)
def test_wrong_settings_are_explained(more: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Table(**{"path": "t.csv", **more})


def test_the_path_starts_at_the_folder_of_the_spec(tmp_path: Path) -> None:
    assert Table(path="t.csv", label="a").resolved(tmp_path).path == str(tmp_path / "t.csv")
    assert Table(path="a\0b", label="a").resolved(tmp_path).path == "a\0b"


def test_a_spec_is_written_as_it_is_read() -> None:
    """Columns that are named by numbers become texts."""
    source = {"table": {"path": "t.csv", "input": [1, "b"], "label": 3, "header": False}}

    data = load({"data": {"source": source}}).data

    assert data is not None
    written = data.model_dump(mode="json", exclude_unset=True)
    assert written["source"]["table"]["input"] == ["1", "b"]
    assert written["source"]["table"]["label"] == "3"
    assert load({"data": written}).data == data


def test_a_table_is_trained_from_a_spec(tmp_path: Path) -> None:
    """Numbers are grids of one row to the array adapter; a relative path starts at the spec."""
    random = np.random.default_rng(0)
    rows = [f"{','.join(map(str, random.normal(n % 2, 1, 6).tolist()))},{n % 2}" for n in range(80)]
    header = ",".join([*"abcdef", "kind"])
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    (tmp_path / "t.yaml").write_text(
        "data: {source: {table: {path: t.csv, label: kind}}}\ncheck: off\nhead: voting\n"
        "training: {epochs: 1}",
        encoding="utf-8",
    )

    result = gridcnn.run(tmp_path / "t.yaml", out=tmp_path / "run")

    assert result.model.shape.sizes == (1, 1, 6)
    assert result.model.classes == ("0", "1")


def test_another_table_of_the_same_columns(tmp_path: Path) -> None:
    """Where the spec's own source is a table, data given as a path is one, and no manifest."""
    rows = [f"{number % 2},{number % 3},{number % 2}" for number in range(40)]
    for name in ("first.csv", "second.csv"):
        (tmp_path / name).write_text("\n".join(["a,b,kind", *rows]), encoding="utf-8")
    (tmp_path / "third.tsv").write_text("a\tb\tkind\n0\t1\t0\n1\t1\t1", encoding="utf-8")
    table = {"path": str(tmp_path / "first.csv"), "label": "kind", "input": ["b", "a"]}
    spec = {"data": {"source": {"table": table}}, "head": "voting", "training": {"epochs": 1}}

    result = gridcnn.run(spec, data=tmp_path / "second.csv", out=tmp_path / "run")
    other = gridcnn.evaluate(result.model, str(tmp_path / "third.tsv"))
    same = gridcnn.evaluate(result.model, Table(**{**table, "path": str(tmp_path / "third.tsv")}))

    assert "second.csv" in (tmp_path / "run" / "spec.yaml").read_text(encoding="utf-8")
    assert (other.items, same.items) == (2, 2)
    assert other.accuracy == same.accuracy
    with pytest.raises(DataError, match="there is no such file"):
        gridcnn.evaluate(result.model, tmp_path / "gone.csv")
    (tmp_path / "third.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match=r"third\.json: a table is"):
        gridcnn.evaluate(result.model, tmp_path / "third.json")


def test_texts_are_not_taken_for_paths(tmp_path: Path) -> None:
    """Without an adapter they are what the text adapter takes, whatever they look like."""
    (tmp_path / "t.csv").write_text("text,kind\na.png,x\nb.png,y\n", encoding="utf-8")
    source = {"table": {"path": str(tmp_path / "t.csv"), **TEXTS}}
    spec = {"data": {"source": source, "test": 0, "validation": 0}, "head": "voting"}

    found = gridcnn.run({**spec, "training": {"epochs": 1}}, out=tmp_path / "run")
    assert type(found.model.adapter).__name__ == "TextAdapter"
    assert found.model.predict(["a.png", "b.png"]).shape == (2,)


def test_the_name_alone_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data table` is a path; a spec that says no more than the name is told what it lacks."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match="there is no such file or folder"):
        gridcnn.run("xo", data="table")
    with pytest.raises(SpecError, match="table needs the setting 'path'"):
        load({"data": {"source": "table"}})


# Parquet ----------------------------------------------------------------------------------------


def written(folder: Path, **columns: Any) -> bytes:
    pytest.importorskip("pyarrow")
    import pandas as pd

    pd.DataFrame(columns).to_parquet(folder / "made.parquet")
    return (folder / "made.parquet").read_bytes()


def test_parquet_is_read(tmp_path: Path) -> None:
    """Whole numbers, floats and truth values are numbers; texts may be categories."""
    import pandas as pd

    content = written(
        tmp_path,
        a=[1, 2],
        b=np.array([0.5, 1.5], np.float32),
        c=[True, False],
        kind=pd.Categorical(["x", "y"]),
        part=["train", "test"],
    )

    dataset = read(tmp_path, content, name="t.parquet", split="part")

    assert stack(dataset) == [[1.0, 0.5, 1.0], [2.0, 1.5, 0.0]]
    assert list(dataset.labels) == ["x", "y"]
    assert dataset.parts == ["train", "test"]
    assert list(dataset.names) == ["row 0", "row 1"]
    assert dataset.places == [f"{tmp_path / 't.parquet'}, row {row}" for row in (0, 1)]


def test_parquet_without_the_row_numbers_of_pandas(tmp_path: Path) -> None:
    """The index of a frame that was filtered is no input."""
    pytest.importorskip("pyarrow")
    import pandas as pd

    frame = pd.DataFrame({"a": [1, 2, 3], "kind": [0, 1, 0]})[lambda each: each.a > 1]
    frame.to_parquet(tmp_path / "made.parquet")

    dataset = read(tmp_path, (tmp_path / "made.parquet").read_bytes(), name="t.parquet")

    assert stack(dataset) == [[2.0], [3.0]]
    assert list(dataset.labels) == [1, 0]


def test_wrong_rows_of_parquet_are_told(tmp_path: Path) -> None:
    content = written(
        tmp_path,
        a=[1.0, None, np.inf],
        b=["1", "2", "3"],
        kind=["x", "y", None],
        text=["a", None, "c"],
    )

    assert told(tmp_path, content, name="t.parquet", input=["a"]) == [
        "row 1: the column 'a' has no number (NaN); fill it in, or leave the row out; or set "
        "adapter.table.missing: mean",
        "row 2: the column 'a' has inf, which is not finite",
        "row 2: the label in 'kind' is empty; give every item a label",
    ]
    (message,) = told(tmp_path, content, name="t.parquet", input=["b"])
    # Which of Arrow's two types of texts is written depends on the version of pandas.
    assert message.replace("(large_string)", "(string)").startswith(
        "row 0: no numbers in the column 'b' (string); the first has the text '1'"
    )
    assert (
        "row 1: the column 'text' has nothing in it"
        in (told(tmp_path, content, name="t.parquet", input="text")[0])
    )
    assert told(tmp_path, content, name="t.parquet", input="txt")[0] == (
        "has no column 'txt'; did you mean 'text'? It has: a, b, kind, text"
    )


def test_parquet_that_is_damaged_is_told(tmp_path: Path) -> None:
    content = written(tmp_path, a=[1.0], kind=["x"])

    for wrong in (b"", b"PAR1", b"no table at all", content[:-20]):
        assert "is damaged, or not a .parquet file" in (told(tmp_path, wrong, name="t.parquet")[0])


def test_texts_of_parquet_that_are_no_utf_8_are_told(tmp_path: Path) -> None:
    """The error comes when texts are made of its bytes, after the file itself was read."""
    pytest.importorskip("pyarrow")
    import pandas as pd

    frame = pd.DataFrame({"text": ["grün", "b"], "kind": ["x", "y"]})
    frame.to_parquet(tmp_path / "made.parquet", compression=None)
    content = (tmp_path / "made.parquet").read_bytes().replace("ü".encode(), b"\xff\xff")

    lines = told(tmp_path, content, name="t.parquet", **TEXTS)

    assert lines[0].startswith("is damaged, or not a .parquet file (")


def test_without_pyarrow_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert told(tmp_path, b"", name="t.parquet") == [
        "Parquet is read by pyarrow, which is not installed: "
        "python -m pip install 'gridcnn[parquet]'"
    ]


# Random tables ----------------------------------------------------------------------------------

# A label in CSV keeps no spaces around it.
texts = st.text(st.characters(codec="utf-8"), max_size=20)
kinds = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=5
).map(str.strip)
numbers = st.floats(allow_nan=False, allow_infinity=False)
random_texts = st.lists(st.tuples(texts, kinds.filter(bool)), min_size=1, max_size=8)
random_numbers = st.lists(
    st.tuples(st.lists(numbers, min_size=3, max_size=3), st.sampled_from("xy")),
    min_size=1,
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(random_texts, st.sampled_from(",;\t|"))
def test_texts_in_csv_come_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    """Whatever csv.writer writes is read again, with separators, quotes and line ends."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("text", "kind"), *rows])
    folder = Path(tmp_path_factory.getbasetemp())

    dataset = read(folder, file.getvalue(), delimiter=delimiter, **TEXTS)

    assert list(zip(dataset.things, dataset.labels, strict=True)) == rows


@settings(max_examples=60, deadline=None)
@given(random_texts)
def test_texts_in_json_come_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    """Whether other letters are escaped or not."""
    folder = Path(tmp_path_factory.getbasetemp())
    for escaped in (True, False):
        lines = [json.dumps({"text": t, "kind": k}, ensure_ascii=escaped) for t, k in rows]

        dataset = read(folder, "\n".join(lines), name="t.jsonl", **TEXTS)

        assert list(zip(dataset.things, dataset.labels, strict=True)) == rows


@settings(max_examples=40, deadline=None)
@given(random_numbers, st.sampled_from(["csv", "jsonl", "parquet"]))
def test_numbers_come_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[list[float], str]], form: str
) -> None:
    """Bit for bit, in each form that there is, as pandas writes them."""
    import pandas as pd

    folder = Path(tmp_path_factory.getbasetemp())
    frame = pd.DataFrame([cells for cells, _ in rows], columns=["a", "b", "c"])
    frame["kind"] = [kind for _, kind in rows]
    if form == "csv":
        content = frame.to_csv(index=False).encode()
    elif form == "jsonl":
        records = frame.to_dict(orient="records")
        content = "\n".join(map(json.dumps, records)).encode()
    else:
        pytest.importorskip("pyarrow")
        frame.to_parquet(folder / "made.parquet")
        content = (folder / "made.parquet").read_bytes()

    dataset = read(folder, content, name=f"n.{form}")

    assert stack(dataset) == [cells for cells, _ in rows]
    assert list(dataset.labels) == [kind for _, kind in rows]


pieces = st.sampled_from(
    ["text", "kind", "a", ",", ";", "\t", "\n", "\r", '"', "1", "-", ".5", "x", "\0", " ", "é", "{",
     "}", "[", ":", '{"a": 1, "kind": "x"}', '{"text": "x", "kind": 1}', "nan", "1e999", "\\u"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=60), st.lists(pieces, max_size=30).map("".join)),
    st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.parquet"]),
    st.sampled_from(["text", ["a"], None]),
)
def test_whatever_a_file_holds_only_data_errors_are_raised(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes, name: str, wanted: Any
) -> None:
    """A file that is read has as many labels as things; every other is refused."""
    folder = Path(tmp_path_factory.getbasetemp())
    raw = content if isinstance(content, bytes) else content.encode()
    starts = [b"", b"text,a,kind\n", b"text\ta\tkind\n", b'{"text": "", "a": 1, "kind": "x"}\n']
    if name == "t.parquet":
        pytest.importorskip("pyarrow")
        starts = [b"", b"PAR1"]
    for start in starts:
        try:
            dataset = read(folder, start + raw, name=name, input=wanted)
        except DataError:
            continue
        assert len(dataset.things) == len(dataset.labels) > 0


@pytest.mark.skipif(not SMS.is_file(), reason="GRIDCNN_DATA has no text_sms_spam")
def test_the_messages_of_the_sms_collection_are_read() -> None:
    """A TSV file without a header, with quotes that nobody closes."""
    table = Table(path=str(SMS), input="2", label="1", header=False, quoting=False)

    dataset = table.open(Request())

    assert len(dataset) == 5574
    assert dataset.classes == ("ham", "spam")
    assert list(dataset.labels).count("spam") == 747
    assert dataset.things[1] == "Ok lar... Joking wif u oni..."
