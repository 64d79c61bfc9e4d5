"""Augmentations of texts: each against loops over single characters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.augmentation import ThingAugmentation
from gridcnn.errors import SpecError
from gridcnn.spec.load import load
from gridcnn.training.augmentation import changed_thing, refuse_unfit_things

ADAPTER = TextAdapter(alphabet="abc ", length=9)


def made(written: Any) -> ThingAugmentation:
    (read,) = load({"training": {"augmentation": [written]}}).training.augmentation
    assert isinstance(read, ThingAugmentation)
    return read


def changed(written: Any, thing: Any, seed: int = 0) -> Any:
    return made(written).change(thing, ADAPTER, np.random.default_rng(seed))


def mistyped(text: str, swap: float, delete: float, seed: int) -> str:
    """Return a text that is typed with mistakes, character by character."""
    random = np.random.default_rng(seed)
    swaps = [random.random() for _ in text]
    deletions = [random.random() for _ in text]
    order, place = list(range(len(text))), 0
    while place < len(text) - 1:
        if swaps[place] < swap:
            order[place], order[place + 1] = order[place + 1], order[place]
            place += 1
        place += 1
    kept = [text[order[at]] for at in range(len(text)) if deletions[at] >= delete]
    return "".join(kept) or text


@given(
    st.text(max_size=30),
    st.floats(0.01, 0.9),
    st.floats(0, 0.9),
    st.integers(0, 99),
)
def test_typos_are_those_of_a_loop(text: str, swap: float, delete: float, seed: int) -> None:
    """Neighbours change places, never twice; others are left out, but never all."""
    found = changed({"typos": {"swap": swap, "delete": delete}}, text, seed)

    assert found == mistyped(text, swap, delete, seed)
    assert bool(found) == bool(text)


@given(st.text(max_size=30), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.01, 0.9))
def test_case_is_that_of_a_loop(text: str, lower: float, upper: float, letters: float) -> None:
    """Whole texts in small letters or capitals, or some letters in the other case."""
    settings = {"lower": lower, "upper": upper, "letters": letters}
    random = np.random.default_rng(5)
    whole = random.random()
    others = [each.swapcase() if random.random() < letters else each for each in text]
    wanted = "".join(others)
    if whole < lower + upper:
        wanted = text.lower() if whole < lower else text.upper()

    assert changed({"case": settings}, text, 5) == wanted


def test_mistakes_are_as_frequent_as_is_said() -> None:
    """Of ten thousand characters; a letter that has changed places cannot begin the next pair."""
    text = "abcdefghij" * 1000

    deleted = changed({"typos": {"delete": 0.1}}, text)
    swapped = changed({"typos": {"swap": 0.1}}, text)
    other = changed({"case": {"letters": 0.1}}, text)

    assert len(deleted) == pytest.approx(9000, abs=100)
    moved = sum(old != new for old, new in zip(text, swapped, strict=True)) / 2
    assert moved == pytest.approx(10_000 * 0.1 / 1.1, abs=100)
    assert sum(letter.isupper() for letter in other) == pytest.approx(1000, abs=100)
    assert sorted(swapped) == sorted(text)


def test_bytes_are_changed_byte_by_byte() -> None:
    """Those that are no text, too; what is neither text nor bytes is left to the adapter."""
    every = bytes(range(256))

    assert sorted(changed({"typos": {"swap": 0.5}}, every)) == list(range(256))
    assert changed({"case": {"upper": 1.0}}, every) == every.upper()
    assert changed({"typos": 0.5}, 7) == 7


def test_the_place_in_the_list_and_the_form_decide_what_is_drawn() -> None:
    """What stands behind does not change what stands before; the thing itself stays as it is."""
    text = "the quick brown fox jumps over the lazy dog"

    def found(*written: Any, form: int = 0, item: int = 0, seed: int = 0) -> Any:
        spec = load({"training": {"augmentation": list(written), "seed": seed}})
        return changed_thing(spec.training, text, ADAPTER, item, form)

    first = found({"typos": 0.1})
    assert found({"typos": 0.1}, {"shift": {"columns": 1}}) == first
    assert found({"typos": 0.1}, {"case": {"upper": 1.0}}) == first.upper()
    others = [
        found({"typos": 0.1}, form=1), found({"typos": 0.1}, item=1), found({"typos": 0.1}, seed=1),
        found({"noise": 0.1}, {"typos": 0.1}),
    ]  # fmt: skip
    assert len({first, text, *others}) == 6
    assert found({"noise": 0.1}) == text


@pytest.mark.parametrize(
    ("written", "adapter", "message"),
    [
        ({"typos": 0.1}, ImageAdapter(), "typos: it changes texts, and the items are read with ad"),
        ({"case": 0.1}, MoleculeAdapter(), "read with adapter: molecule; leave it out"),
        ({"case": 0.1}, TextAdapter(lower=True), "makes all letters small, so that it changes not"),
        ({"pitch": 2}, TextAdapter(), "pitch: it changes sounds, and the items are read with adap"),
    ],
)
def test_what_does_not_fit_is_refused(written: Any, adapter: Any, message: str) -> None:
    """With its place in the spec, and what to do."""
    spec = load({"training": {"augmentation": [{"noise": 0.1}, written]}})

    with pytest.raises(SpecError, match=message) as caught:
        refuse_unfit_things(spec.training, adapter, spec.document)
    (problem,) = caught.value.problems
    assert problem.path.startswith("training.augmentation[1]")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("typos", "typos: it changes nothing; set swap or delete above 0"),
        ({"typos": 1.0}, "'swap' of typos must be below 1; got 1.0"),
        ({"case": {"letters": 0}}, "case: it changes nothing; set lower, upper or letters above 0"),
        ({"case": 0.6}, "lower and upper are at most 1 together; got 0.6 and 0.6"),
        ("randomswap", "here it is written 'typos'"),
    ],
)
def test_wrong_settings_are_explained(written: Any, message: str) -> None:
    """Together with what would be right."""
    with pytest.raises(SpecError, match=message):
        load({"training": {"augmentation": [written]}})
