"""Several named parts as one input: files of a folder, or settings beside a content.

A part is its name in UTF-8, a zero byte, its length in four bytes, the lowest first, and what it
holds. Whatever the bytes, they are read as some parts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from fuzz.changes import Changes

_LENGTH = struct.Struct("<I")
_MOST = 64
"""Parts, at most."""

Part = Callable[[str, bytes, Changes], bytes]
"""Returns the content of a part with changes in it, given its name."""


def packed(parts: Mapping[str, bytes]) -> bytes:
    """Return parts as one input."""
    return b"".join(
        name.encode("utf-8", "surrogateescape") + b"\0" + _LENGTH.pack(len(content)) + content
        for name, content in parts.items()
    )


def parts_of(content: bytes) -> dict[str, bytes]:
    """Return the parts of an input; the last one may be shorter than it says."""
    found: dict[str, bytes] = {}
    while content and len(found) < _MOST:
        name, _, rest = content.partition(b"\0")
        length = _LENGTH.unpack(rest[:4].ljust(4, b"\0"))[0]
        found[name.decode("utf-8", "surrogateescape")] = rest[4 : 4 + length]
        content = rest[4 + length :]
    return found


def _as_name(text: str) -> str:
    """Return a text without what no name can hold: zeros, and halves of signs that are no bytes."""
    whole = text.replace("\0", "")
    try:
        whole.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return whole.encode("utf-8", "replace").decode()
    return whole


def changed(
    content: bytes, changes: Changes, part: Part, *, names: Callable[[str, Changes], str]
) -> bytes:
    """Return an input with changes in a part, or in which parts there are.

    `names` returns another name for a part.
    """
    found = parts_of(content)
    if not found or changes.one_in(50):
        return changes.raw(content)
    name = changes.random.choice(list(found))
    what = changes.random.randrange(12)
    if what == 0 and len(found) > 1:
        del found[name]
    elif what == 1:
        found[_as_name(names(name, changes))] = found[name]
    elif what == 2:
        other = changes.random.choice(list(found))
        found[name], found[other] = found[other], found[name]
    else:
        found[name] = part(name, found[name], changes)
    return packed(found)
