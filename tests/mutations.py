"""Changes inside of files: bytes, types, lengths, ranges, names, numbers that are none.

They are those of the fuzzing, drawn by Hypothesis, which makes them smaller where a test fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from fuzz.changes import Changes
from fuzz.targets.caches import program

__all__ = ["changed_arrays", "changed_data", "damaged", "program"]

_RANDOM = st.randoms(use_true_random=False)


@st.composite
def changed_data(draw: st.DrawFn, value: Any, *, odd: tuple[Any, ...] = ()) -> Any:
    """Return plain data with one to three changes in it; `odd` are more values to put in."""
    return Changes(draw(_RANDOM)).data(value, odd)


@st.composite
def changed_arrays(draw: st.DrawFn, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return named arrays with one or two changes in them."""
    return Changes(draw(_RANDOM)).arrays(arrays)


@st.composite
def damaged(draw: st.DrawFn, files: Sequence[bytes]) -> bytes:
    """Return one of some files with up to six of its places overwritten, and its end cut off."""
    content = bytearray(draw(st.sampled_from(files)))
    places = st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=6))
    for place, written in draw(st.lists(places, max_size=6)):
        start = place % len(content)
        content[start : start + len(written)] = written
    left = 0.2 + draw(st.floats(0, 1))
    return bytes(content[: int(len(content) * left) + 1])
