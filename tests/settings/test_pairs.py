"""Sizes along both axes."""

from __future__ import annotations

from typing import Any, ClassVar

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcnn.errors import SpecError
from gridcnn.settings.base import Settings
from gridcnn.settings.pairs import LONGEST, Extents, Padding, Sizes, cells

WHOLE = f"must be a whole number from 1 to {LONGEST}"


class Tile(Settings):
    """A setting of each sort of pair."""

    title: ClassVar[str] = "tile"

    sizes: Sizes = (1, 1)
    extents: Extents = (1, 1)
    padding: Padding = "same"


@pytest.mark.parametrize(
    ("setting", "given", "read", "written"),
    [
        ("sizes", 3, (3, 3), [3, 3]),
        ("sizes", [2, 5], (2, 5), [2, 5]),
        ("sizes", (2, 5), (2, 5), [2, 5]),
        ("sizes", LONGEST, (LONGEST, LONGEST), [LONGEST, LONGEST]),
        ("extents", "all", ("all", "all"), ["all", "all"]),
        ("extents", ["all", 7], ("all", 7), ["all", 7]),
        ("padding", "same", "same", "same"),
        ("padding", "valid", "valid", "valid"),
        ("padding", 0, (0, 0), [0, 0]),
        ("padding", [0, 3], (0, 3), [0, 3]),
    ],
)
def test_one_number_stands_for_both_axes(
    setting: str, given: Any, read: Any, written: list[int]
) -> None:
    """A pair is `[rows, columns]`, and is always written as one."""
    tile = Tile(**{setting: given})

    assert getattr(tile, setting) == read
    assert tile.model_dump(mode="json")[setting] == written
    assert Tile(**{setting: written}) == tile


@pytest.mark.parametrize(
    "wrong",
    [
        0,
        -1,
        LONGEST + 1,
        1.0,
        True,
        None,
        "3",
        "all",
        "",
        [],
        [1],
        [1, 2, 3],
        [1, "all"],
        [1, None],
        [1, True],
        [[1, 2], 3],
        {},
    ],
)
def test_what_is_no_pair_of_sizes_is_refused(wrong: Any) -> None:
    """Nothing is guessed."""
    with pytest.raises(SpecError, match=rf"'sizes' of tile {WHOLE}, or a pair \[rows, columns\]"):
        Tile(sizes=wrong)


def test_words_are_refused_where_they_mean_nothing() -> None:
    """The words that are allowed are told."""
    with pytest.raises(SpecError, match=f"{WHOLE}, 'all', or a pair"):
        Tile(extents="same")
    with pytest.raises(SpecError, match="from 0 to 16384, 'same', 'valid', or a pair"):
        Tile(padding=["same", 1])


@given(
    st.sampled_from(["sizes", "extents", "padding"]),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-2, LONGEST + 2)
        | st.sampled_from(["all", "same", "valid", "x"]),
        lambda inside: st.lists(inside, max_size=3),
        max_leaves=4,
    ),
)
def test_the_schema_takes_what_settings_take(setting: str, value: Any) -> None:
    """And nothing else, as far as a pair goes."""
    schema = Tile.model_json_schema()

    def allowed() -> bool:
        try:
            Tile(**{setting: value})
        except SpecError:
            return False
        return True

    assert jsonschema.Draft202012Validator(schema).is_valid({setting: value}) == allowed()


def test_all_is_as_long_as_the_axis() -> None:
    """Numbers stay what they are."""
    assert cells(("all", 7), 20, 30) == (20, 7)
    assert cells((3, "all"), 20, 30) == (3, 30)
