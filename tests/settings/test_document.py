"""YAML as located data: what stands where, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.errors import Problem, SpecError
from gridcnn.settings.document import MAX_DEPTH, MAX_NODES, Document, parse, path_text, plain_value

TEXT = """\
name: xo
data: {source: xo, test: 0.2}

stages:
  - convolution: {filters: 8,
      kernel_size: [3, 5]}
  - rectification
"""


BASIC = st.characters(codec="utf-8", max_codepoint=0xFFFF)


def data_of(text: str | bytes) -> Any:
    document = parse(text, "x.yaml")
    assert not document.problems
    return document.data


def problems_of(text: str | bytes) -> list[str]:
    try:
        return [str(problem) for problem in parse(text, "x.yaml").problems]
    except SpecError as error:
        return [str(problem) for problem in error.problems]


@pytest.fixture(params=["with libyaml", "without libyaml"], autouse=True)
def either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test with PyYAML's fast parser, and with the one that is always there."""
    if request.param == "without libyaml":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def test_every_key_and_entry_knows_its_place() -> None:
    """Lines and columns count from 1; a setting's place is that of its key."""
    document = parse(TEXT, "x.yaml")

    assert document.data["stages"][0]["convolution"] == {"filters": 8, "kernel_size": [3, 5]}
    assert document.places[("name",)] == (1, 1)
    assert document.places[("data", "test")] == (2, 20)
    assert document.places[("stages", 0)] == (5, 5)
    assert document.places[("stages", 0, "convolution")] == (5, 5)
    assert document.places[("stages", 0, "convolution", "kernel_size")] == (6, 7)
    assert document.places[("stages", 0, "convolution", "kernel_size", 1)] == (6, 24)
    assert document.places[("stages", 1)] == (7, 5)


def test_a_problem_stands_at_the_nearest_known_place() -> None:
    """What is missing is told where it should be."""
    document = parse(TEXT, "x.yaml")

    assert str(document.problem(("data", "test"), "bad")) == "x.yaml:2:20: bad"
    assert str(document.problem(("data", "none"), "bad")) == "x.yaml:2:1: bad"
    assert str(document.problem(("none", 3), "bad")) == "x.yaml:1:1: bad"
    assert str(document.problem((), "bad")) == "x.yaml:1:1: bad"
    assert str(Document({}).problem(("a", 3, "b"), "bad")) == "a[3].b: bad"


def test_a_problem_in_what_was_changed_names_the_change() -> None:
    """An option takes the place of what stood in the file, and of all inside it."""
    document = parse(TEXT, "x.yaml")

    document.override(("data",), "--set data=...")
    document.override(("stages", 0, "convolution", "filters"), "--set filters")

    assert str(document.problem(("data", "test"), "bad")) == "--set data=...: bad"
    assert document.problem(("data", "test"), "bad").path == "data.test"
    assert str(document.problem(("stages", 1), "bad")) == "x.yaml:7:5: bad"
    assert str(document.problem(("stages", 0), "bad")) == "--set filters: bad"
    assert str(document.problem((), "bad")) == "x.yaml:1:1: bad"


def test_paths_are_written_as_people_write_them() -> None:
    """Names with dots, numbers in brackets."""
    assert path_text(("stages", 1, "convolution", "filters")) == "stages[1].convolution.filters"
    assert path_text(()) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("on", "off", "yes", "no", "y", "n", "On", "NO", "nan", "inf")),
        *((word, word) for word in ("2020-01-31", "2020-01-31T10:00:00Z", "12:30:45", "1_000")),
        *((word, word) for word in ("=", "<", "1e", "e5", ".", "+", "0x", "0o8", "0b1", "1.2.3")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *((word, None) for word in ("~", "null", "Null", "NULL", "")),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("3.", 3.0),
        ("+7", 7),
        ("-0", 0),
        ("010", 10),
        ("09", 9),
        ("0o10", 8),
        ("0xFf", 255),
        (".inf", float("inf")),
        ("-.Inf", float("-inf")),
        ("'on'", "on"),
        ("'8'", "8"),
        ('"1e-3"', "1e-3"),
        ('"\\x1b"', "\x1b"),
        ("! 8", "8"),
        ("|\n  8\n", "8\n"),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    """`no` is a word and `1e-3` a number; what is quoted is a text."""
    data = data_of(f"a: {text}")

    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_not_a_number_is_a_number() -> None:
    """`.nan` is read, so that a setting can refuse it by name."""
    value = plain_value(".nan")

    assert isinstance(value, float)
    assert value != value


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**30), 10**30)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(BASIC, max_size=20),
        lambda inside: (
            st.lists(inside, max_size=4)
            | st.dictionaries(st.text(BASIC, max_size=8), inside, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_json_is_read_as_what_it_says(value: Any) -> None:
    """Every JSON document is a YAML document of the same data."""
    import json

    text = json.dumps(value)

    assert parse(text, "x.yaml").data == value


def test_anchors_and_aliases_are_read_as_copies() -> None:
    """What is written once and used twice can be changed in one place alone."""
    data = data_of("a: &x {b: [1]}\nc: *x\n")

    assert data == {"a": {"b": [1]}, "c": {"b": [1]}}
    data["c"]["b"].append(2)
    assert data["a"] == {"b": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.yaml:1:1: the spec is empty"),
        ("# nothing\n", "x.yaml:1:1: the spec is empty"),
        ("a: 1\n---\nb: 2\n", "x.yaml:3:1: a spec is a single YAML document"),
        ("a: [1, 2\n", "x.yaml:2:1: this is not YAML: "),
        ("a: b: c\n", "x.yaml:1:5: this is not YAML: mapping values are not allowed"),
        ("a:\n\tb: 1\n", "x.yaml:2:1: this is not YAML: a tab cannot indent a line; indent with"),
        ("a: b\tc: d\n", "x.yaml:1:"),
        ("a: *b\n", "x.yaml:1:4: there is no anchor 'b' before this line"),
        ("a: &a [*a]\n", "x.yaml:1:8: there is no anchor 'a' before this line"),
        ("[a]: 1\n", "x.yaml:1:1: a key must be a plain word"),
        ("{a: 1}: 1\n", "x.yaml:1:1: "),
        ("a: &a x\n*a : 3\n", "x.yaml:2:1: a key must be a plain word"),
        ("a: 1\na: 2\n", "x.yaml:2:1: 'a' is given twice; first on line 1"),
        ("a: {b: 1, 'b': 2}\n", "x.yaml:1:11: 'b' is given twice; first on line 1"),
        ("a: !!python/name:os.system x\n", "x.yaml:1:4: a spec holds plain data; the tag 'tag:"),
        ("a: !<%1b[31m> x\n", "x.yaml:1:4: "),
        ("!!map {a: 1}\n", "x.yaml:1:1: a spec holds plain data; the tag"),
        ("a: !mine {b: 1}\n", "x.yaml:1:4: a spec holds plain data; the tag '!mine' is not"),
        (
            "a: {<<: {b: 1}}\n",
            "x.yaml:1:5: merge keys (<<) are not supported; write the settings out",
        ),
        ("%YAML 3.0\n---\na: 1\n", "x.yaml:1:1: "),
        ("a: \x1b[31m\n", "x.yaml:1:4: the character U+001B is not allowed in a spec as it is;"),
        ("a: 1\r\nb: \0\n", "x.yaml:2:4: the character U+0000"),
        ("a: 1\rb: \x07\r", "x.yaml:2:4: the character U+0007"),
        ("a: b\u2028c: 1\n", "x.yaml:1:5: the character U+2028"),
        ("a: b\u0085c: 1\n", "x.yaml:1:5: the character U+0085"),
        ("a: \ufeffb\n", "x.yaml:1:4: the character U+FEFF"),
        (b"\xef\xbb\xbfa: 1\nb: \xff\n", "x.yaml:2:4: a spec is UTF-8 text; the byte 0xff is not"),
        ("Größe: \ud800", "x.yaml:1:8: a spec is UTF-8 text; the byte 0xed is not"),
        ("a: 1".encode("utf-16"), "x.yaml:1:1: a spec is UTF-8 text; the byte 0xff is not"),
        ("a: " + "9" * 41, "x.yaml:1:4: a number may have 40 digits; got 41"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str | bytes, message: str) -> None:
    """Each is one line that says where and why."""
    found = problems_of(text)

    assert len(found) == 1
    assert found[0].startswith(message)
    assert found[0].isprintable()


def test_what_is_wrong_but_readable_is_noted_together() -> None:
    """Repeated keys, tags and merge keys do not hide each other, or what follows them."""
    text = "a: 1\na: {b: {c: 3}}\nd: !x 1\n<<: {e: 1}\nb: 5\n"
    document = parse(text, "x.yaml")

    assert [problem.line for problem in document.problems] == [2, 3, 4]
    assert document.data == {"a": 1, "d": 1, "b": 5}
    assert document.places[("b",)] == (5, 1)


def test_what_was_noted_is_not_lost_where_reading_breaks_off() -> None:
    """A repeated key is told beside the error that ends the reading."""
    assert len(problems_of("a: 1\na: 2\nb: [\n")) == 2


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    """Editors on Windows write one."""
    document = parse(b"\xef\xbb\xbfname: x", "x.yaml")

    assert document.data == {"name": "x"}
    assert document.places[("name",)] == (1, 1)


def test_a_merge_key_between_quotes_is_a_key() -> None:
    """As any other text is."""
    assert data_of('"<<": 1') == {"<<": 1}


def test_a_document_may_have_its_marks() -> None:
    """`---` before and `...` after it are YAML's own."""
    assert data_of("%YAML 1.2\n---\nname: a\n...\n") == {"name": "a"}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
DEEP_ALIASES = (
    "a0: &a0 "
    + "[" * 30
    + "]" * 30
    + "\n"
    + "".join(f"a{n}: &a{n} {'[' * 30}*a{n - 1}{']' * 30}\n" for n in range(1, 20))
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "60,000 values"),
        (DEEP_ALIASES, "40 levels deep"),
        ("[" * 100_000, "40 levels deep"),
        ("{a: " * 100_000, "40 levels deep"),
        ("- " * 100_000, "40 levels deep"),
        ("\n".join(" " * n + "a:" for n in range(500)), "40 levels deep"),
        ("? " * 100_000, "plain word"),
        ("a: " + "9" * 90_000, "40 digits"),
        ("a: [" + "1," * 90_000 + "]", "60,000 values"),
        ("".join(f"k{n}: &k{n} 1\n" for n in range(60_000)), "60,000 values"),
        ("k" * 90_000 + ": 1", ""),
        (":" * 90_000, ""),
        ('"' * 90_000, ""),
        ("&" * 90_000, ""),
        ("!" * 90_000, ""),
        ("%" * 90_000, ""),
        ("#" * 900_000, "empty"),
        (b"a" * 50_000_000, "a spec may have 4,000,000 bytes; this one has 50,000,000"),
        (b"\0" * 900_000, "U+0000"),
        (b"\xff" * 900_000, "0xff"),
    ],
    ids=lambda value: None if isinstance(value, str) and len(value) < 80 else "-",
)
def test_hostile_documents_are_refused_fast(text: str | bytes, message: str) -> None:
    """Bombs, depth and length take less than a second (without libyaml, a few)."""
    start = time.process_time()
    found = problems_of(text)

    assert time.process_time() - start < (1 if hasattr(yaml, "CSafeLoader") else 8)
    assert len(found) == 1
    assert message in found[0]
    assert len(found[0]) < 300


def test_a_spec_may_be_as_large_as_is_said() -> None:
    """The limits themselves are allowed."""
    assert len(data_of("[" + "1," * (MAX_NODES - 1) + "]")) == MAX_NODES - 1
    data_of("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text("ab:-[]{}&*!|>'\"#%@, \n\t01.~<?", max_size=40))
def test_nothing_but_a_spec_error_is_raised(text: str | bytes) -> None:
    """Whatever is read, it is data or a problem with its place."""
    for problem in _problems(text):
        assert problem.line is not None
        assert problem.column is not None
        assert str(problem).isprintable()


def _problems(text: str | bytes) -> list[Problem]:
    try:
        return parse(text, "x.yaml").problems
    except SpecError as error:
        return list(error.problems)


def test_a_key_of_a_whole_page_is_cut_where_a_path_is_written() -> None:
    """So that an error about it is a line that can be read."""
    assert path_text(("stages", 1, "a" * 80)) == "stages[1]." + "a" * 80
    assert path_text(("a" * 1_000, "b")) == "a" * 77 + "....b"
