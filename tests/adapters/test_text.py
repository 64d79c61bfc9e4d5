"""The text adapter: characters, words or bytes as one-hot columns."""

from __future__ import annotations

import pickle
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import gridcnn
from gridcnn.adapters.text import CLASSIC, TextAdapter
from gridcnn.errors import DataError, SpecError
from gridcnn.grid import OneHot
from gridcnn.settings.document import parse
from gridcnn.spec.load import load, validate
from gridcnn.spec.write import to_yaml

# With surrogates, which Python allows in a text.
any_text = st.text(st.characters(exclude_categories=()), max_size=30)


def adapter(**given: Any) -> TextAdapter:
    return TextAdapter.model_validate({"alphabet": "abc", "length": 5, **given})


def rows(made: TextAdapter, text: Any) -> list[int]:
    found: list[int] = made.indices(text).tolist()
    return found


def naive(made: TextAdapter, text: str) -> list[int]:
    """Return the row of each column's 1, one symbol at a time."""
    if made.normalization != "none":
        text = unicodedata.normalize(made.normalization, text)
    if made.lower:
        text = text.lower()
    if made.normalization != "none":
        text = unicodedata.normalize(made.normalization, text)
    parts: list[Any] = list(text)
    if made.unit == "word":
        parts = re.findall(r"\w+(?:['\u2019]\w+)*|[^\w\s]", text)
    known: list[Any] = list(made.alphabet or "")
    if made.unit == "byte":
        parts, known = list(text.encode("utf-8", "surrogatepass")), list(range(256))
    found = []
    for part in parts:
        if part in known:
            found.append(known.index(part))
        elif made.unknown == "symbol":
            found.append(len(known))
        elif made.unknown == "ignore":
            found.append(-1)
    assert isinstance(made.length, int)
    while len(found) > made.length:
        place = {"end": len(found) - 1, "start": 0, "middle": (made.length + 1) // 2}[made.cut]
        del found[place]
    if made.direction == "backward":
        found.reverse()
    return found + [-1] * (made.length - len(found))


# Encoding ---------------------------------------------------------------------------------------


def test_each_column_has_a_1_in_the_row_of_its_character() -> None:
    """Rows are the alphabet in its order; columns after the end hold no 1."""
    grid = adapter().adapt("cab")

    assert grid.dtype == np.float32
    assert grid.tolist() == [[[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]]]


def test_the_axes_say_what_they_are() -> None:
    """Rows are labelled and have no order; columns are positions, and have one."""
    shape = adapter(unknown="symbol").shape()

    assert shape.sizes == (1, 4, 5)
    assert (shape.row_axis.name, shape.row_axis.ordered) == ("character", False)
    assert shape.row_axis.labels == ("a", "b", "c", "unknown")
    assert (shape.column_axis.name, shape.column_axis.ordered) == ("position", True)


def test_bytes_have_256_rows_and_nothing_to_learn_but_the_length() -> None:
    """The bytes of UTF-8 are the rows; a text and its bytes are the same."""
    fitted = TextAdapter(unit="byte", length_percentile=100).fitted(["é!", b"abcd"])

    assert fitted.shape().sizes == (1, 256, 4)
    assert fitted.alphabet is None
    assert rows(fitted, "é!") == [0xC3, 0xA9, 0x21, -1]
    assert (
        rows(fitted, "é!".encode()) == rows(fitted, bytearray("é!".encode())) == rows(fitted, "é!")
    )
    assert rows(fitted, b"\xff") == [0xFF, -1, -1, -1]
    labels = fitted.shape().row_axis.labels
    assert labels is not None
    assert labels[10] == "0x0A"


def test_words_are_letters_and_digits_or_single_signs() -> None:
    """Apostrophes inside belong to a word; spaces to none."""
    made = adapter(unit="word", alphabet=["don't", "stop", "!", "7", "x_1"], length=8)

    assert rows(made, "  don't stop! 7 x_1 ' - ") == [0, 1, 2, 3, 4, -1, -1, -1]
    assert rows(made, "don\u2019t stop") == [-1, 1, -1, -1, -1, -1, -1, -1]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [0, -1, 1, 2, 0]),
        ({"unknown": "symbol"}, [0, 3, 1, 2, 0]),
        ({"unknown": "drop"}, [0, 1, 2, 0, 1]),
        ({"direction": "backward"}, [0, 2, 1, -1, 0]),
        ({"cut": "start"}, [-1, 1, 2, 0, 1]),
        ({"cut": "middle"}, [0, -1, 1, 0, 1]),
        ({"cut": "start", "direction": "backward"}, [1, 0, 2, 1, -1]),
        ({"cut": "middle", "length": 1}, [0]),
        ({"cut": "middle", "length": 2}, [0, 1]),
    ],
)
def test_settings_say_what_is_left_out_and_which_way_it_goes(
    given: dict[str, Any], expected: list[int]
) -> None:
    """Here the text is "a?bcab", one longer than the grid and with one unknown character."""
    assert rows(adapter(**given), "a?bcab") == expected


def test_capitals_and_spellings_become_the_same() -> None:
    """`lower` makes small letters; `normalization` makes one spelling of a character."""
    accent = "e\u0301"

    assert rows(adapter(alphabet="é", normalization="NFC"), accent) == [0, -1, -1, -1, -1]
    assert rows(adapter(alphabet="é", normalization="NFC", lower=True), "E\u0301")[0] == 0
    assert rows(adapter(alphabet="fi", normalization="NFKC"), "\ufb01")[:2] == [0, 1]
    assert rows(adapter(lower=True), "ABC") == rows(adapter(), "abc")


def test_the_classic_alphabet_is_that_of_the_paper() -> None:
    """69 different characters: its 70 count '-' twice."""
    listed = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}\n"

    made = adapter(alphabet="classic")

    assert len(listed) == 70
    assert list(dict.fromkeys(listed)) == list(CLASSIC)
    assert made.shape().rows == 69
    assert rows(made, "a9 -\n") == [0, 35, -1, 36, 68]


@given(
    text=any_text,
    given=st.fixed_dictionaries(
        {
            "unit": st.sampled_from(["character", "word", "byte"]),
            "lower": st.booleans(),
            "normalization": st.sampled_from(["none", "NFC", "NFKC"]),
            "direction": st.sampled_from(["forward", "backward"]),
            "cut": st.sampled_from(["end", "start", "middle"]),
            "unknown": st.sampled_from(["ignore", "symbol", "drop"]),
            "length": st.one_of(st.integers(1, 12), st.just("auto")),
            "max_symbols": st.integers(1, 20),
            "empty": st.just("allow"),
        }
    ),
    training=st.lists(any_text, min_size=1, max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_any_text_is_encoded_as_a_loop_encodes_it(
    text: str, given: dict[str, Any], training: list[str]
) -> None:
    """Any Unicode, with any settings: alone, in bulk, and after writing and reading the adapter."""
    made = TextAdapter.model_validate(given)
    if not _something_to_learn(made, training):
        with pytest.raises(DataError, match="at least 1 times"):
            made.fitted(training)
        return
    fitted = made.fitted(training)

    read = TextAdapter.model_validate_json(fitted.model_dump_json())
    grids = fitted.grids([text, *training])

    assert isinstance(grids.values, OneHot)
    assert rows(fitted, text) == naive(fitted, text)
    assert grids.values.indices[0].tolist() == rows(fitted, text) == rows(read, text)
    assert read == fitted == fitted.fitted(training)
    written = to_yaml(load({"adapter": fitted}))
    assert validate(parse(written, "spec.yaml")).adapter == fitted
    assert pickle.loads(pickle.dumps(fitted)) == fitted


def _something_to_learn(made: TextAdapter, training: list[str]) -> bool:
    signs = [sign for sign in "".join(training) if not 0xD800 <= ord(sign) < 0xE000]
    if made.unit == "word":
        return not all(sign.isspace() for sign in signs)
    return made.unit == "byte" or bool(signs)


# Learning ---------------------------------------------------------------------------------------


def test_the_alphabet_is_learned_by_frequency() -> None:
    """Most frequent first, and of equally frequent ones the first by code point."""
    fitted = TextAdapter().fitted(["ccc bb", "aa\U0001f600"])

    assert fitted.alphabet == "cab \U0001f600"
    assert TextAdapter(min_count=2).fitted(["ccc bb", "aa"]).alphabet == "cab"
    assert TextAdapter(max_symbols=2).fitted(["ccc bb", "aa"]).alphabet == "ca"


def test_words_are_learned_by_frequency() -> None:
    """After `lower`, as everything is."""
    fitted = TextAdapter(unit="word", lower=True, max_symbols=3).fitted(
        ["The cat, the Dog", "a dog"]
    )

    assert fitted.alphabet == ("dog", "the", ",")


def test_what_is_learned_fits_into_a_spec() -> None:
    """As many symbols as may be learned are written and read again; huge words are not learned."""
    words = [f"{'x' * 30}{number}" for number in range(20_000)]

    fitted = TextAdapter(unit="word", max_symbols=16_384).fitted([" ".join(words), "y" * 2_000_000])

    written = to_yaml(load({"adapter": fitted}))
    assert validate(parse(written, "spec.yaml")).adapter == fitted
    assert fitted.shape().rows == 16_384


def test_characters_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus that is counted part by part has the same alphabet."""
    texts = ["".join(chr(97 + (i * j) % 20) for j in range(i % 13)) for i in range(100)]
    whole = TextAdapter().fitted(texts)

    monkeypatch.setattr("gridcnn.adapters.text._AT_ONCE", 50)

    assert TextAdapter().fitted(texts) == whole


@pytest.mark.parametrize(
    ("percentile", "length"), [(95, 10), (90, 9), (89.5, 9), (50, 5), (0, 1), (100, 10)]
)
def test_the_length_is_a_percentile_of_training_lengths(percentile: float, length: int) -> None:
    """So many percent of the training texts are not cut."""
    texts = ["x" * count for count in range(1, 11)]

    assert TextAdapter(length_percentile=percentile).fitted(texts).length == length


def test_the_length_is_counted_in_what_becomes_columns() -> None:
    """Words count as one, and what is dropped does not count; it is at least 1."""
    assert TextAdapter(unit="word").fitted(["one two three"]).length == 3
    assert TextAdapter(alphabet="a", unknown="drop").fitted(["bab"]).length == 1
    assert TextAdapter(alphabet="a", unknown="drop").fitted(["bbb"]).length == 1
    assert TextAdapter(alphabet="a", empty="allow").fitted([""]).length == 1


def test_what_is_set_is_not_learned() -> None:
    """Settings that are given stay as they are."""
    made = adapter()

    assert made.fitted(["xyz"]) is made
    assert adapter(length="auto").fitted(["xyz"]).alphabet == "abc"
    assert adapter(alphabet=None).fitted(["xyz"]).length == 5


def test_things_that_are_no_texts_are_not_learned_from() -> None:
    """They are the problems of `adapt_all`, by item."""
    things = ["ab", None, "ba", 7, ""]

    fitted = TextAdapter().fitted(things)
    adapted = fitted.adapt_all(things)

    assert (fitted.alphabet, fitted.length) == ("ab", 2)
    assert adapted.kept.tolist() == [0, 2]
    assert [str(problem).split(":")[0] for problem in adapted.problems] == [
        "item 1",
        "item 3",
        "item 4",
    ]


@pytest.mark.parametrize("things", [[], [None, 3], np.zeros((4, 4)), [""]])
def test_nothing_to_learn_from_is_an_error(things: Any) -> None:
    """There must be a text with something in it."""
    told = r"no character occurs .* at least 1 times|no training item is a text; the first: it"
    with pytest.raises(DataError, match=told):
        TextAdapter().fitted(things)
    with pytest.raises(DataError, match="no usable text to learn the length"):
        TextAdapter(unit="byte").fitted(things)


def test_an_adapter_that_has_learned_nothing_says_so() -> None:
    """Before it is fitted an adapter has no shape."""
    with pytest.raises(DataError, match="has not learned its alphabet yet; train it, or set"):
        TextAdapter(length=3).shape()
    with pytest.raises(DataError, match="has not learned its length yet; train it, or set"):
        TextAdapter(alphabet="abc").shape()


# What it takes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ("", "it has no characters; leave it out, or set 'empty: allow' of text"),
        (b"abc", r"it is bytes, not a text; decode it first, as with \.decode\('utf-8'\), or set"),
        (Path("a.txt"), "it is a path, and files are not read as texts; give the file's content"),
        (None, r"its text is missing \(None\); leave the item out, or give a text"),
        (float("nan"), r"its text is missing \(nan\)"),
        (np.float64("nan"), "its text is missing"),
        (pd.NA, r"its text is missing \(<NA>\)"),
        (pd.NaT, "its text is missing"),
        (3, "it is int 3, not a text; give a str"),
        (2.5, r"it is float 2\.5, not a text"),
        (["a", "b"], r"it is list \['a', 'b'\], not a text"),
        (np.zeros((2, 2)), "it is ndarray array"),
    ],
)
def test_what_is_no_text_is_refused(thing: Any, message: str) -> None:
    """In one line that says what it is and what to do."""
    with pytest.raises(DataError, match=message) as caught:
        adapter().adapt(thing)
    assert "\n" not in str(caught.value)


def test_a_text_without_words_is_empty_for_words() -> None:
    """Empty is what has none of the units; what is unknown is not nothing."""
    made = adapter(unit="word", alphabet=["a"], length=2)

    with pytest.raises(DataError, match="it has no words"):
        made.adapt(" \n")
    assert rows(made, "b") == [-1, -1]
    assert rows(adapter(empty="allow"), "") == [-1] * 5
    assert rows(adapter(unknown="drop"), "xyz") == [-1] * 5


def test_bytes_that_are_no_utf_8_cannot_be_lowered() -> None:
    """Capitals and normal forms are those of characters."""
    made = TextAdapter(unit="byte", lower=True, length=3)

    assert rows(made, b"AB") == [97, 98, -1]
    with pytest.raises(DataError, match=r"its bytes are not UTF-8 .* set 'lower: false'"):
        made.adapt(b"A\xff")


def test_numpys_and_pandas_texts_are_texts() -> None:
    """Arrays of texts, and columns of a table, are many texts."""
    texts = ["ab", "ca"]
    expected = adapter().grids(texts).values

    for many in (np.array(texts), np.array(texts, object)):
        found = adapter().grids(many).values
        assert np.asarray(found).tolist() == np.asarray(expected).tolist()
    assert rows(adapter(), np.str_("ab")) == [0, 1, -1, -1, -1]


# Settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alphabet": "aba"}, "must have every symbol once; it repeats 'a'"),
        ({"alphabet": ""}, "'alphabet' of text must be a text of characters, a list of"),
        ({"alphabet": []}, "'alphabet' of text must be a text of characters"),
        ({"alphabet": [1, 2]}, "quote what looks like a number"),
        ({"alphabet": "a\ud800"}, "of characters that UTF-8 can hold"),
        ({"alphabet": ["ab", "c"]}, "has 'ab', which is not one character of a text"),
        (
            {"alphabet": "aB", "lower": True},
            "has 'B', which is not one .* 'lower: true'",
        ),
        ({"alphabet": "\ufb01", "normalization": "NFKC"}, "'normalization: NFKC'"),
        (
            {"alphabet": "abc", "unit": "word"},
            "must be a list of words with .*; got 'abc'",
        ),
        ({"alphabet": ["a b"], "unit": "word"}, "has 'a b', which is not one word"),
        ({"alphabet": "abc", "unit": "byte"}, "must be null with 'unit: byte', which has 256 rows"),
        ({"max_symbols": 20_000}, "at most 16384"),
        ({"length": 0}, "'length' of text must be a whole number from 1 to 65536 or 'auto'; got 0"),
        ({"length": "all"}, "or 'auto'; got 'all'"),
        ({"length": True}, "or 'auto'; got true"),
        ({"length": 3.0}, "or 'auto'; got 3.0"),
        ({"length_percentile": 101}, "at most 100"),
        ({"unit": "letter"}, "'unit' of text must be 'character', 'word' or 'byte'"),
        ({"normalization": "NFD"}, "must be 'none', 'NFC' or 'NFKC'"),
        ({"lower": 1}, "true or false"),
        ({"alfabet": "abc"}, "did you mean 'alphabet'"),
    ],
)
def test_wrong_settings_are_explained(given: dict[str, Any], message: str) -> None:
    """A setting outside of what is allowed is told in one sentence."""
    with pytest.raises(ValidationError, match=message):
        TextAdapter.model_validate(given)


def test_a_list_of_characters_is_an_alphabet_too() -> None:
    """A list and a text of the same characters give the same grids."""
    assert rows(adapter(alphabet=["a", "b", "c"]), "cab") == rows(adapter(), "cab")


def test_using_an_adapter_changes_nothing_about_it() -> None:
    """What it prepares for use is no part of what it is."""
    used, new = adapter(), adapter()
    used.grids(["abc"])

    assert used == new
    assert hash(used) == hash(new)
    assert used.model_dump() == new.model_dump()


# From the data to the answers -------------------------------------------------------------------


def spec(**given: Any) -> dict[str, Any]:
    return {
        "name": "words",
        "adapter": {"text": given},
        "stages": [
            {"convolution": {"filters": 8, "kernel_size": ["all", 3]}},
            "rectification",
            {"pooling": {"window": "all"}},
        ],
        "head": {"voting": {"hidden": [8]}},
        "training": {"epochs": 12, "batch_size": 16, "learning_rate": 0.02},
    }


def messages() -> tuple[list[str], list[str]]:
    random = np.random.default_rng(0)
    words = np.array(["tea", "sun", "a", "dog", "walks", "far", "néw"])
    texts = [" ".join(random.choice(words, 6)) for _ in range(200)]
    return [f"{text} win" if i % 2 else text for i, text in enumerate(texts)], ["ham", "spam"] * 100


@pytest.mark.parametrize("unit", ["character", "word", "byte"])
def test_a_trained_model_answers_one_text_and_many(tmp_path: Path, unit: str) -> None:
    """Loaded from its file, too, which holds all that was learned; a lone str is one text."""
    X, y = messages()

    run = gridcnn.run(spec(unit=unit), data=(X, y), out=tmp_path / "run")
    model = gridcnn.load(tmp_path / "run")

    assert run.metrics["test"]["accuracy"] >= 0.85  # 0.975 or more, with five seeds
    lone = [model.predict(text) for text in ("a dog win", np.str_("a dog walks far"))]
    many = pd.Series(["a dog win", "a dog walks far"], dtype=object)
    assert model.predict(many).tolist() == np.concatenate(lone).tolist()
    assert model.adapter == run.model.adapter
    np.testing.assert_array_equal(model.votes(X)[7:8], model.votes(X[7]))
    np.testing.assert_array_equal(model.votes(X), run.model.votes(X))


def test_the_same_text_may_be_there_twice(tmp_path: Path) -> None:
    """Texts are no paths, of which each may be there once, and are called by their number."""
    X, y = messages()
    X[0] = X[2] = "tea"
    X[4] = ""

    with pytest.raises(DataError, match="item 4: it has no characters"):
        gridcnn.run(spec(), data=(X, y), out=tmp_path / "run")


def test_an_empty_text_to_answer_is_told_by_its_number(tmp_path: Path) -> None:
    """A text is its own name, unless there is nothing to be seen of it."""
    X, y = messages()
    model = gridcnn.run(spec(unit="word"), data=(X, y), out=tmp_path / "run").model

    with pytest.raises(DataError, match=r"^item 1: it has no words"):
        model.predict(["tea", "  "])


def test_windows_cannot_slide_along_the_alphabet() -> None:
    """A spec that forgets that rows have no order is told what to write."""
    changed = spec(alphabet="abc", length=9)
    changed["stages"][0] = {"convolution": {"filters": 8, "kernel_size": 3}}

    with pytest.raises(SpecError, match="character"):
        gridcnn.run(changed, data=messages())


def test_a_grid_classifier_takes_texts() -> None:
    """With a spec of texts it trains on lists of them, as scikit-learn's text models do."""
    X, y = messages()

    classifier = gridcnn.GridClassifier(spec(lower=True)).fit(X, y)

    assert classifier.score(X, y) >= 0.9  # 0.995 or more, with three seeds
    np.testing.assert_array_equal(classifier.predict(["A DOG"]), classifier.predict(["a dog"]))
