"""Changes inside of files: types, lengths, ranges, names, numbers that are none.

They are those of the fuzzing, drawn by Hypothesis, which makes them smaller where a test fails.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from fuzz.changes import Changes

_RANDOM = st.randoms(use_true_random=False)


@st.composite
def changed_data(draw: st.DrawFn, value: Any, *, odd: tuple[Any, ...] = ()) -> Any:
    """Return plain data with one to three changes in it; `odd` are more values to put in."""
    return Changes(draw(_RANDOM)).data(value, odd)


@st.composite
def changed_arrays(draw: st.DrawFn, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return named arrays with one or two changes in them."""
    return Changes(draw(_RANDOM)).arrays(arrays)
