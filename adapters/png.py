"""PNG files of the usual kind, decoded directly; everything unusual is left to Pillow.

Pillow's own parsing of a file takes longer than decoding a small one.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

START = b"\x89PNG\r\n\x1a\n"

_GREY, _COLOURS = 0, 2  # the types of pixels that are taken, of 8 bits each
_MODES = {_GREY: "L", _COLOURS: "RGB"}
# What follows the header, and changes nothing about the pixels. Texts may hold Exif, or XMP.
_PASSED = frozenset({b"pHYs", b"sRGB", b"gAMA", b"cHRM", b"tIME", b"bKGD", b"iCCP", b"sBIT"})


class Header(NamedTuple):
    """The header of a PNG file, and the pieces of its content, which are one stream.

    Attributes:
        rows, columns: of the picture, in pixels.
        mode: as Pillow calls it, L or RGB.
        pieces: where each begins and ends.
    """

    rows: int
    columns: int
    mode: str
    pieces: tuple[slice, ...]


def header_of(content: bytes) -> Header | None:
    """Return the header of a PNG file of the usual kind; None if it is another, or damaged."""
    if not content.startswith(START + b"\0\0\0\rIHDR") or len(content) < 33:
        return None
    columns, rows, bits, kind, packing, filtering, lacing = struct.unpack_from(
        ">IIBBBBB", content, 16
    )
    usual = bits == 8 and kind in _MODES and not (packing or filtering or lacing)
    if not usual or not rows or not columns:
        return None
    if zlib.crc32(content[12:29]) != int.from_bytes(content[29:33], "big"):
        return None
    pieces: list[slice] = []
    place = 33
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        name, end = content[place + 4 : place + 8], place + 8 + length
        if end + 4 > len(content):
            return None
        if name == b"IEND":
            return Header(rows, columns, _MODES[kind], tuple(pieces)) if pieces else None
        if name == b"IDAT":
            pieces.append(slice(place + 8, end))
        elif name not in _PASSED or zlib.crc32(content[place + 4 : end]) != int.from_bytes(
            content[end : end + 4], "big"
        ):
            return None
        place = end + 4
    return None


def decode(content: bytes, header: Header) -> Image | None:
    """Return the picture, in the mode of the header; None if it is damaged."""
    from PIL import Image

    pieces = [content[piece] for piece in header.pieces]
    packed = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    image = Image.new(header.mode, (header.columns, header.rows))
    try:
        image.frombytes(packed, "zip", header.mode, 0)
    except (ValueError, OSError, SystemError):
        return None
    return image
