"""Changes inside of files: types, lengths, ranges, names, numbers that are none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from hypothesis import strategies as st

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 255, 65_536, 2**31, 2**53 + 1, 2**63, 10**30, 10**400,
    0.0, 0.5, -0.5, 1.0, 1e-320, 1e300, "", " ", "x", "1", "\0", "k\0", "/etc/passwd", "../..",
    "\x1b[2J\r", "\ud800", "auto", "all", "xo", "a" * 2000, [], [0], [None], [[]], ["a", "a"],
    [1, "1"], {}, {"": 0}, {"path": "/etc/passwd"}, {"a": {"b": {"c": []}}}, [0] * 300,
]  # fmt: skip
"""Values that stand where others should."""
NOT_NUMBERS = [float("nan"), float("inf"), float("-inf"), 3.4e38, -3.4e38, 1e-45]


def places(value: Any) -> list[tuple[Any, ...]]:
    """Return every place in plain data, as keys and indices from the top."""
    inside: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inside = enumerate(value)
    return [(), *((key, *place) for key, each in inside for place in places(each))]


@st.composite
def changed_data(draw: st.DrawFn, value: Any, *, odd: tuple[Any, ...] = ()) -> Any:
    """Return plain data with one to three changes in it, beside that which never changes."""
    changed = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([each for each in places(changed) if each]))
        holder = changed
        for key in way:
            holder = holder[key]
        what = draw(st.sampled_from(("replace", "remove", "repeat", "wrap", "shift", "empty")))
        if what == "remove":
            del holder[last]
        elif what == "repeat" and isinstance(holder, list):
            holder.insert(draw(st.integers(0, len(holder))), copy.deepcopy(holder[last]))
        elif what == "repeat":
            holder[f"{last} "] = copy.deepcopy(holder[last])
        elif what == "wrap":
            holder[last] = [holder[last]]
        elif what == "shift" and type(holder[last]) in (int, float) and abs(holder[last]) < 1e300:
            holder[last] += draw(st.sampled_from((-1, 1, -1e9, 2**40, 0.5)))
        elif what == "empty" and isinstance(holder[last], list | dict | str):
            holder[last] = type(holder[last])()
        else:
            holder[last] = copy.deepcopy(draw(st.sampled_from([*ODD, *odd])))
        if not [each for each in places(changed) if each]:
            break
    return changed


@st.composite
def changed_arrays(draw: st.DrawFn, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return named arrays with one or two changes in them."""
    changed = {name: array.copy() for name, array in arrays.items()}
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(changed)))
        array = changed[name]
        what = draw(st.sampled_from(("value", "type", "shape", "remove", "add", "rename", "swap")))
        if what == "value" and array.size and array.dtype.kind == "f":
            place = draw(st.integers(0, array.size - 1))
            with np.errstate(over="ignore"):
                array.reshape(-1)[place] = draw(st.sampled_from(NOT_NUMBERS))
        elif what == "type":
            with np.errstate(all="ignore"):
                kinds = ("f8", "f2", "i4", "i8", "u1", "bool", "u8")
                changed[name] = np.nan_to_num(array).astype(draw(st.sampled_from(kinds)))
        elif what == "shape":
            shapes = (array[:-1], array[None], array.reshape(-1), array[:0], np.repeat(array, 2, 0))
            changed[name] = draw(st.sampled_from(shapes)).copy()
        elif what == "remove" and len(changed) > 1:
            del changed[name]
        elif what == "rename":
            changed[draw(st.sampled_from(("x", "", "\x1b[2J", f"{name}.")))] = changed.pop(name)
        elif what == "swap":
            other = draw(st.sampled_from(sorted(changed)))
            changed[name], changed[other] = changed[other], changed[name]
        else:
            changed[f"{name}2"] = array
    return changed
