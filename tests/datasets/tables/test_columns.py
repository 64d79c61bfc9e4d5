"""What the columns of a table seem to be, by their names and first rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gridcnn.contracts.source import Request
from gridcnn.datasets.tables.columns import Look, look_at
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import DataError

TEXTS = pd.DataFrame(
    {
        "message": [f"message {number} of many" for number in range(30)],
        "kind": ["ham", "spam", "ham"] * 10,
    }
)
NUMBERS = pd.DataFrame(
    {
        "id": range(100, 130),
        "left": np.linspace(0, 1, 30),
        "right": [n * n % 31 for n in range(30)],
        "kind": ["up", "down"] * 15,
    }
)


def looked(folder: Path, frame: pd.DataFrame, ending: str = ".csv", **options: Any) -> Look:
    file = folder / f"table{ending}"
    header = options.pop("header", True)
    if ending == ".parquet":
        frame.to_parquet(file)
    elif ending == ".jsonl":
        frame.to_json(file, orient="records", lines=True)
    else:
        separator = "\t" if ending == ".tsv" else ","
        frame.to_csv(file, index=False, header=header, sep=separator)
    return look_at(str(file), **options)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_texts_and_numbers_are_told_apart(tmp_path: Path, ending: str) -> None:
    """In every form; a column that only counts rows is left out."""
    texts, numbers = looked(tmp_path, TEXTS, ending), looked(tmp_path, NUMBERS, ending)

    assert (texts.input, texts.label) == ("message", "kind")
    assert (numbers.input, numbers.label, numbers.others) == (("left", "right"), "kind", ("id",))


@pytest.mark.parametrize("frame", [TEXTS, NUMBERS], ids=["texts", "numbers"])
def test_a_first_line_that_is_a_row_is_no_header(tmp_path: Path, frame: pd.DataFrame) -> None:
    found = looked(tmp_path, frame, header=False)

    assert found.form.header is False
    assert found.label == str(len(frame.columns))
    table = Table(
        path=str(tmp_path / "table.csv"), header=False, label=found.label, input=found.input
    )
    assert len(table.open(Request())) == 30


def test_a_label_without_a_known_name_is_what_comes_again(tmp_path: Path) -> None:
    found = looked(tmp_path, TEXTS.rename(columns={"kind": "spamminess"}))

    assert (found.label, found.input) == ("spamminess", "message")


def test_parts_are_found_by_what_they_hold(tmp_path: Path) -> None:
    parts = ["train", "val", "test"] * 10

    assert looked(tmp_path, TEXTS.assign(split=parts)).split == "split"
    assert looked(tmp_path, TEXTS.assign(split=["a", "b", "c"] * 10)).split is None


def test_quotes_that_nobody_closes_are_signs(tmp_path: Path) -> None:
    lines = [f'{kind}\t"{number} said' for number in range(5) for kind in ("ham", "spam")]
    (tmp_path / "t.tsv").write_text("\n".join(lines))

    found = look_at(str(tmp_path / "t.tsv"))

    assert (found.form.quoting, found.form.header) == (False, False)
    assert (found.label, found.input) == ("1", "2")


def test_columns_that_are_named_are_taken(tmp_path: Path) -> None:
    found = looked(tmp_path, NUMBERS, label="kind", inputs=["right"])

    assert (found.input, found.others) == (("right",), ("id", "left"))


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (NUMBERS, {"label": "kinds"}, "has no column 'kinds'; did you mean 'kind'"),
        (NUMBERS, {"inputs": ["up"]}, "has no column 'up'. It has: id, left, right, kind"),
        (NUMBERS[["left", "right"]], {}, "not clear which column is the label; name it: --label"),
        (TEXTS[["kind"]], {}, "not clear which columns to classify.*It has: kind"),
        (
            NUMBERS.assign(one=TEXTS["message"], two=TEXTS["message"]),
            {},
            "not clear which columns to classify; .* --input COLUMN",
        ),
        (TEXTS[:0], {}, "has no rows"),
    ],
)
def test_what_is_not_clear_is_asked_for(
    tmp_path: Path, frame: pd.DataFrame, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        looked(tmp_path, frame, **options)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a,b\nx,caf\xe9\n", "is not UTF-8 text"),
        ("a.jsonl", b"[1]\n", "1: is not an object"),
        ("a.jsonl", b"{\n", "1:2: is not valid JSON"),
        ("a.parquet", b"PAR1", "is damaged, or not a .parquet file"),
    ],
)
def test_what_cannot_be_read_is_told(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DataError, match=message):
        look_at(str(tmp_path / name))


WORDS = [
    "the",
    "phone",
    "works",
    "well",
    "but",
    "its",
    "screen",
    "broke",
    "after",
    "two",
    "days",
    "and",
    "nobody",
    "answers",
]
SENTENCES = [" ".join(np.roll(WORDS, n)[: 4 + n % 5]) for n in range(30)]
PEOPLE = [
    f"{first} {last}"
    for first in ("Ann", "Bo", "Cy")
    for last in ["Lee", "Ray", "Fox", "Orr", "Day"]
]


@pytest.mark.parametrize(
    ("name", "texts", "is_text"),
    [
        ("customer_review", SENTENCES, True),
        ("reviewText", SENTENCES, True),
        ("feedback", SENTENCES, True),
        ("text", [text.split()[0] for text in SENTENCES], True),  # single words, but called so
        ("review_id", [f"{n * 7919:08x}" for n in range(30)], False),
        ("message_file", [f"{text}.txt" for text in SENTENCES], False),
        ("comment_author", PEOPLE * 2, False),
        ("company", [f"{person} & Sons" for person in PEOPLE * 2], False),
        ("residence", [f"{n} Main Street" for n in range(30)], False),
    ],
)
def test_names_and_identifiers_are_no_texts(
    tmp_path: Path, name: str, texts: list[str], is_text: bool
) -> None:
    """The last word of a column's name tells what it holds, and so do its cells."""
    frame = pd.DataFrame({name: texts, "kind": ["ham", "spam", "ham"] * 10})

    if is_text:
        assert looked(tmp_path, frame).input == name
    else:
        with pytest.raises(DataError, match="not clear which columns to classify"):
            looked(tmp_path, frame)


def test_a_title_of_people_beside_numbers_is_no_text(tmp_path: Path) -> None:
    frame = NUMBERS.assign(title=["Mr", "Ms", "Dr"] * 10)

    assert looked(tmp_path, frame, label="kind").input == ("left", "right")
