"""The made texts in which only the order of words tells the class."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.phrases import _FIRST_AND_SECOND, CLASSES, Phrases
from gridcnn.errors import SpecError

PAIRS = {
    kind: {(one, two) for one in (firsts or map(str, range(1, 1000))) for two in seconds}
    for kind, (firsts, seconds) in _FIRST_AND_SECOND.items()
}


def kinds(text: str, *, backward: bool = False) -> list[str]:
    """Return which phrases stand in a text, with their words in order or the other way round."""
    words = text.split(" ")
    found = []
    for one, two in pairwise(words):
        pair = (two, one) if backward else (one, two)
        found += [kind for kind in CLASSES if pair in PAIRS[kind]]
    return found


def test_one_phrase_is_in_order_and_the_others_are_not() -> None:
    """That phrase is the class; classes take turns."""
    dataset = Phrases(count=40, typing_errors=0.0).open(Request(seed=1))

    for text, label in zip(dataset.things, dataset.labels, strict=True):
        assert kinds(text) == [label]
        assert sorted(kinds(text, backward=True)) == sorted(set(CLASSES) - {str(label)})
    assert list(dataset.labels[:5]) == [*CLASSES, CLASSES[0]]
    assert dataset.classes == CLASSES


def test_classes_have_the_same_words_equally_often() -> None:
    """So counting words, or characters, tells nothing."""
    texts = Phrases(count=8_000, typing_errors=0.0, words=2).texts(0)

    counts = [Counter(" ".join(texts[kind::4]).split(" ")) for kind in range(4)]
    for words in {word for kind in CLASSES for pair in PAIRS[kind] for word in pair}:
        if not words.isdigit():
            found = np.array([count[words] for count in counts])
            assert np.ptp(found) < 8 * np.sqrt(found.mean())
    letters = [Counter("".join(texts[kind::4])) for kind in range(4)]
    for letter in letters[0]:
        found = np.array([count[letter] for count in letters]) / 2_000
        assert np.ptp(found) < 0.15 * max(found.mean(), 1)


def test_no_word_of_a_phrase_can_be_made_up() -> None:
    """Made-up words are syllables of a consonant and a vowel; no word of a phrase is."""
    words = {word for kind in CLASSES for pair in PAIRS[kind] for word in pair}

    assert not [word for word in words if re.fullmatch(r"([bdfgklmnprstvz][aeiou]){2,3}", word)]


def test_the_seed_fixes_the_texts() -> None:
    """The source's own seed goes before that of the run."""
    assert Phrases(count=50).texts(1) == Phrases(count=50).texts(1)
    assert Phrases(count=50).texts(1) != Phrases(count=50).texts(2)
    own = Phrases(count=4, seed=3).open(Request(seed=9))
    assert own.things == Phrases(count=4).texts(3)


def test_a_smaller_set_is_the_beginning_of_a_larger_one() -> None:
    """Across lots, too."""
    assert Phrases(count=2_500).texts(0)[:1_300] == Phrases(count=1_300).texts(0)


def test_settings_change_the_texts() -> None:
    """Without made-up words there are eight words; with typing errors letters differ."""
    plain = Phrases(count=100, words=0, typing_errors=0.0).texts(0)
    wrong = Phrases(count=100, words=0, typing_errors=1.0).texts(0)

    assert {len(text.split(" ")) for text in plain} == {8}
    assert [len(text) for text in wrong] == [len(text) for text in plain]
    assert all(text.isalpha() and text.islower() for text in wrong)
    longer = Phrases(count=1_000, words=20, typing_errors=0.0).texts(0)
    assert {len(text.split(" ")) for text in longer} == set(range(8, 29))


def test_the_facts_are_those_of_the_opened_data() -> None:
    """Texts have no shape."""
    source = Phrases(count=10)

    facts = source.facts()

    assert (facts.items, facts.classes, facts.shape) == (10, CLASSES, ())
    assert len(source.open(Request())) == 10


def test_wrong_settings_are_refused() -> None:
    """As everywhere."""
    with pytest.raises(SpecError, match="at least 1"):
        Phrases(count=0)
