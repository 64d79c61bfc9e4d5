"""What is in an object file: what a program loads of it, and the symbols that it does not have.

The formats are those that LLVM writes: ELF, COFF, Mach-O and WebAssembly; see the specifications of
each. Numbers are little-endian.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from gridcnn.errors import EngineError

_LINKERS = frozenset({"_GLOBAL_OFFSET_TABLE_", "_fltused"})
"""Names that a linker or a system's own start of programs always has; there is nothing to call."""


class Contents(NamedTuple):
    """What an object file holds.

    Attributes:
        loaded: the bytes of code, tables and constants that a program loads.
        undefined: the names that it uses and does not define, in order.
    """

    loaded: int
    undefined: tuple[str, ...]


def read_object(content: bytes) -> Contents:
    """Return what an object file holds.

    Raises:
        EngineError: it is not an object file of a known format.
    """
    if content[:4] == b"\x7fELF":
        sizes, names = _elf(content)
    elif content[:4] == b"\0asm":
        sizes, names = _wasm(content)
    elif content[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"):
        sizes, names = _mach(content)
    elif content[:2] in (b"\x64\x86", b"\x4c\x01", b"\x64\xaa", b"\xc4\x01"):
        sizes, names = _coff(content)
    else:
        raise EngineError("LLVM made an object file of a format that is not known here")
    return Contents(sum(sizes), tuple(sorted(set(names) - _LINKERS)))


_Parts = tuple[list[int], list[str]]
"""The sizes of sections that are loaded, and the names of symbols that are not there."""


def _text(content: bytes, start: int) -> str:
    return content[start : content.index(b"\0", start)].decode()


def _elf(content: bytes) -> _Parts:
    wide = content[4] == 2
    sizes: list[int] = []
    names: list[str] = []
    # Where the table of sections is, the size of an entry, and how many there are.
    (table,) = struct.unpack_from("<Q" if wide else "<I", content, 0x28 if wide else 0x20)
    size, count = struct.unpack_from("<HH", content, 0x3A if wide else 0x2E)
    form = "<4xIQ8xQQI" if wide else "<4xII4xIII"  # kind, flags, start, length, link
    sections = [struct.unpack_from(form, content, table + n * size) for n in range(count)]
    for kind, flags, start, length, link in sections:
        if flags & 2:  # takes memory while a program runs
            sizes.append(length)
        if kind != 2:  # the table of symbols
            continue
        texts = sections[link][2]
        for symbol in range(start, start + length, 24 if wide else 16):
            (name,) = struct.unpack_from("<I", content, symbol)
            (section,) = struct.unpack_from("<H", content, symbol + (6 if wide else 14))
            if name and not section:
                names.append(_text(content, texts + name))
    return sizes, names


def _coff(content: bytes) -> _Parts:
    sections, table, count, more = struct.unpack_from("<2xH4xIIH", content)
    sizes: list[int] = []
    names: list[str] = []
    for number in range(sections):
        at = 20 + more + number * 40
        (size,) = struct.unpack_from("<I", content, at + 16)
        (flags,) = struct.unpack_from("<I", content, at + 36)
        if flags & 0xE0 and not flags & 0x0200_0000:  # code or data, and not thrown away
            sizes.append(size)
    texts = table + count * 18
    number = 0
    while number < count:
        at = table + number * 18
        section, _, kind, others = struct.unpack_from("<hHBB", content, at + 12)
        if section == 0 and kind == 2:  # external
            zeros, place = struct.unpack_from("<II", content, at)
            short = content[at : at + 8].rstrip(b"\0").decode()
            names.append(short if zeros else _text(content, texts + place))
        number += 1 + others
    return sizes, names


def _mach(content: bytes) -> _Parts:
    wide = content[0] == 0xCF
    sizes: list[int] = []
    names: list[str] = []
    (commands,) = struct.unpack_from("<16xI", content)
    at = 32 if wide else 28
    for _ in range(commands):
        kind, length = struct.unpack_from("<II", content, at)
        if kind in (0x19, 1):  # a segment, with its sections
            (count,) = struct.unpack_from("<I", content, at + (64 if wide else 48))
            for number in range(count):
                section = at + (72 + number * 80 if wide else 56 + number * 68)
                (size,) = struct.unpack_from(
                    "<Q" if wide else "<I", content, section + (40 if wide else 36)
                )
                sizes.append(size)
        if kind == 2:  # the table of symbols
            table, count, texts = struct.unpack_from("<8xIII", content, at)
            for symbol in range(table, table + count * (16 if wide else 12), 16 if wide else 12):
                name, sort = struct.unpack_from("<IB", content, symbol)
                if sort & 0x0F == 1:  # external, and in no section
                    names.append(_text(content, texts + name).removeprefix("_"))
        at += length
    return sizes, names


def _wasm(content: bytes) -> _Parts:
    """Return code and data, and the functions that are imported.

    Memory and the stack's pointer are imported too, and are the linker's to give.
    """
    sizes: list[int] = []
    names: list[str] = []
    at = 8
    while at < len(content):
        kind = content[at]
        length, at = _number(content, at + 1)
        end = at + length
        if kind in (10, 11):  # code, data
            sizes.append(length)
        if kind == 2:
            count, at = _number(content, at)
            for _ in range(count):
                _, at = _name(content, at)
                name, at = _name(content, at)
                sort, at = content[at], at + 1
                if sort == 0:
                    names.append(name)
                at = _skip(content, at, sort)
        at = end
    return sizes, names


_ARM, _ATTRIBUTES = 40, 0x7000_0003
_R9_USE, _FLOAT_ARGUMENTS, _EITHER = 14, 28, 3


def without_float_arguments(content: bytes) -> bytes:
    """Return object code for ARM that says that no float is passed in a register.

    Then a linker takes it together with code that passes floats in any way; other object code stays
    as it is. If the attribute is not there, it takes the place of one that has its usual value, so
    that no size changes; see "Addenda to, and Errata in, the ABI for the Arm Architecture".
    """
    if content[:4] != b"\x7fELF" or content[4] != 1:
        return content
    (machine,) = struct.unpack_from("<H", content, 18)
    (table,) = struct.unpack_from("<I", content, 0x20)
    size, count = struct.unpack_from("<HH", content, 0x2E)
    if machine != _ARM:
        return content
    for number in range(count):
        kind, start, length = struct.unpack_from("<4xI8xII", content, table + number * size)
        if kind != _ATTRIBUTES:
            continue
        places = _attributes(content, start, start + length)
        for tag in (_FLOAT_ARGUMENTS, _R9_USE):
            if tag in places:
                at = places[tag]
                return content[:at] + bytes([_FLOAT_ARGUMENTS, _EITHER]) + content[at + 2 :]
    return content


def _attributes(content: bytes, start: int, end: int) -> dict[int, int]:
    """Return where each attribute of a whole file begins, by its tag."""
    places: dict[int, int] = {}
    # The version, a length, "aeabi", the tag of the whole file, and a length come first.
    at = start + 16
    while at < end:
        tag, value = _number(content, at)
        places[tag] = at
        # Of the later tags, those with odd numbers have texts.
        is_text = tag in (4, 5) or (tag > 32 and tag % 2 == 1)
        at = content.index(b"\0", value) + 1 if is_text else _number(content, value)[1]
    return places


def _skip(content: bytes, at: int, sort: int) -> int:
    """Return where the next import begins, behind the type of one: of a function an index."""
    if sort == 3:  # a global: type, and whether it changes
        return at + 2
    if sort == 1:  # a table: type, then limits
        at += 1
    if sort in (1, 2):
        flags, at = content[at], at + 1
        for _ in range(1 + (flags & 1)):
            _, at = _number(content, at)
        return at
    _, at = _number(content, at)
    return at


def _name(content: bytes, at: int) -> tuple[str, int]:
    length, at = _number(content, at)
    return content[at : at + length].decode(), at + length


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of as many bytes as it needs (LEB128), and where it ends."""
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
