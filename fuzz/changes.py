"""Changes in bytes, texts, plain data and arrays, drawn at random; the same seed gives the same.

They know nothing of formats: `sealed` brings them behind checksums.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 255, 65_536, 2**31, 2**53 + 1, 2**63, 10**30, 10**400,
    0.0, 0.5, -0.5, 1.0, 1e-320, 1e300, "", " ", "x", "1", "\0", "k\0", "/etc/passwd", "../..",
    "\x1b[2J\r", "\ud800", "auto", "all", "xo", "a" * 2000, [], [0], [None], [[]], ["a", "a"],
    [1, "1"], {}, {"": 0}, {"path": "/etc/passwd"}, {"a": {"b": {"c": []}}}, [0] * 300,
]  # fmt: skip
"""Values that stand where others should."""
NOT_NUMBERS = [float("nan"), float("inf"), float("-inf"), 3.4e38, -3.4e38, 1e-45]
_PIECES = (
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80", b"\r", b"\n",
    b"\r\n", b'"', b"'", b",", b";", b"\t", b"|", b"-1", b"1e999", b"nan", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\xc3\xa9", b"e\xcc\x81", b"\xed\xa0\x80", b"{", b"}", b"[", b"]", b"#", b"&",
    b"*", b"!", b"%", b"..", b"/", b"\\", b"0" * 60, b"9" * 400,
)  # fmt: skip
"""Bytes that mean something in many formats."""
_SIGNS = "\0\x1b\r\n\t ,;|\"'{}[]:#&*!%@=-+.0a\u00e9e\u0301\u2028\ufeff\ud800\U0001f600"
_MOST_ROWS = 100_000
_SHIFTS = (-1, 1, -1e9, 2**40, 0.5)
_DTYPES = ("f8", "f2", "i4", "i8", "u1", "bool", "u8")
LONGEST = 2**16
"""Bytes of an input, at most."""


def places(value: Any) -> list[tuple[Any, ...]]:
    """Return every place in plain data, as keys and indices from the top."""
    inside: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        inside = enumerate(value)
    return [(), *((key, *place) for key, each in inside for place in places(each))]


class Changes:
    """Makes changes.

    Args:
        random: draws them.
        mutate: changes bytes that have no form; None: as `plain` does.
    """

    def __init__(self, random: Random, mutate: Callable[[bytes], bytes] | None = None) -> None:
        self.random = random
        self._mutate = mutate

    def one_in(self, count: int) -> bool:
        """Return whether something happens that happens once in so many times."""
        return self.random.randrange(count) == 0

    def raw(self, content: bytes) -> bytes:
        """Return bytes with some changes in them."""
        return self.plain(content) if self._mutate is None else self._mutate(content)

    def plain(self, content: bytes) -> bytes:
        """Return bytes of which some are replaced, removed, repeated, added or moved."""
        random, changed = self.random, bytearray(content)
        for _ in range(random.choice((1, 1, 2, 4))):
            start = random.randrange(len(changed) + 1)
            end = min(len(changed), start + random.choice((1, 1, 2, 4, 16, 200)))
            what = random.randrange(8)
            if what == 0 and start < end:
                changed[start] ^= 1 << random.randrange(8)
            elif what == 1 and start < end:
                changed[start] = random.randrange(256)
            elif what == 2:
                del changed[start:end]
            elif what == 3:
                changed[start:start] = changed[start:end] * random.choice((1, 1, 2, 50))
            elif what == 4:
                changed[start:start] = random.choice(_PIECES)
            elif what == 5:
                piece = random.choice(_PIECES)
                changed[start : start + len(piece)] = piece
            elif what == 6:
                place = random.randrange(len(changed) + 1)
                changed[place:place] = changed[start:end]
            elif self.one_in(4):
                del changed[start:]
        return bytes(changed[:LONGEST])

    def text(self, text: str) -> str:
        """Return a text with a few signs replaced, removed, repeated or added."""
        random, signs = self.random, list(text)
        for _ in range(random.choice((1, 1, 2, 3))):
            start = random.randrange(len(signs) + 1)
            end = min(len(signs), start + random.choice((1, 1, 3, 20)))
            what = random.randrange(5)
            if what == 0:
                del signs[start:end]
            elif what == 1:
                signs[start:start] = signs[start:end] * random.choice((1, 2, 100))
            elif what == 2:
                signs[start:end] = random.choice(_SIGNS)
            elif what == 3:
                signs[start:start] = str(random.choice(ODD))
            else:
                signs[start:start] = random.choice(_SIGNS)
        return "".join(signs)[:LONGEST]

    def data(self, value: Any, odd: Sequence[Any] = ()) -> Any:
        """Return plain data with one to three changes in it; `odd` are more values to put in."""
        changed = copy.deepcopy(value)
        for _ in range(self.random.randint(1, 3)):
            ways = [each for each in places(changed) if each]
            if not ways:
                break
            *way, last = self.random.choice(ways)
            holder = changed
            for key in way:
                holder = holder[key]
            self._change_at(holder, last, odd)
        return changed

    def _change_at(self, holder: Any, last: Any, odd: Sequence[Any]) -> None:
        random, old = self.random, holder[last]
        what = random.choice(("replace", "remove", "repeat", "wrap", "shift", "empty", "text"))
        if what == "remove":
            del holder[last]
        elif what == "repeat" and isinstance(holder, list):
            holder.insert(random.randint(0, len(holder)), copy.deepcopy(old))
        elif what == "repeat":
            holder[f"{last} "] = copy.deepcopy(old)
        elif what == "wrap":
            holder[last] = [old]
        elif what == "shift" and type(old) in (int, float) and abs(old) < 1e300:
            holder[last] = old + random.choice(_SHIFTS)
        elif what == "empty" and isinstance(old, list | dict | str):
            holder[last] = type(old)()
        elif what == "text" and isinstance(old, str):
            holder[last] = self.text(old)
        else:
            holder[last] = copy.deepcopy(random.choice([*ODD, *odd]))

    def arrays(self, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return named arrays with one or two changes in them."""
        changed = {name: array.copy() for name, array in arrays.items()}
        for _ in range(self.random.randint(1, 2)):
            if changed:
                self._change_array(changed, self.random.choice(sorted(changed)))
        return changed

    def _change_array(self, changed: dict[str, NDArray[Any]], name: str) -> None:
        random, array = self.random, changed[name]
        what = random.choice(("value", "type", "shape", "remove", "add", "rename", "swap"))
        if what == "value" and array.size and array.dtype.kind == "f":
            place = random.randint(0, array.size - 1)
            with np.errstate(over="ignore"):
                array.reshape(-1)[place] = random.choice(NOT_NUMBERS)
        elif what == "type" and array.dtype.kind in "biuf":
            with np.errstate(all="ignore"):
                changed[name] = np.nan_to_num(array).astype(random.choice(_DTYPES))
        elif what == "shape" and array.ndim:
            shapes = [array[:-1], array[None], array.reshape(-1), array[:0]]
            # Doubled again and again, an array without numbers would take hours to repeat.
            if len(array) <= _MOST_ROWS:
                shapes.append(np.repeat(array, 2, 0))
            changed[name] = random.choice(shapes).copy()
        elif what == "remove" and len(changed) > 1:
            del changed[name]
        elif what == "rename":
            changed[random.choice(("x", "", "\x1b[2J", f"{name}."))] = changed.pop(name)
        elif what == "swap":
            other = random.choice(sorted(changed))
            changed[name], changed[other] = changed[other], changed[name]
        else:
            changed[f"{name}2"] = array
