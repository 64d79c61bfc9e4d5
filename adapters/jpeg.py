"""JPEG files of the usual kind, decoded directly, at the size that is needed.

Pillow's own parsing of a file takes longer than decoding a small one. So the few bytes that matter
are read here, and everything unusual is left to Pillow.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

START = b"\xff\xd8\xff"
SCALES = (8, 4, 2)
"""By what a picture can be made smaller while it is decoded: of each block of 8 x 8 pixels, 1,
2 x 2 or 4 x 4 are computed."""

_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive; with Huffman codes all of them
_PROGRESSIVE = 0xC2
_SCAN = 0xDA
_OTHER_FRAMES = frozenset({0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
_NOTES = 0xE1  # Exif, or XMP
_EXIF = b"Exif\0\0"
_ORIENTATION = 0x0112  # the Exif tag that says how the camera was held
_SHORT = 3  # the Exif type of a 16-bit number
_MOST_TAGS = 200
_UNKNOWN = 9


class Header(NamedTuple):
    """The header of a JPEG file.

    Attributes:
        rows, columns: of the picture as it is stored, in pixels.
        channels: 1: grey; 3: colours.
        orientation: how the camera was held, 1 (upright) to 8, as Exif numbers it.
        progressive: whether the whole picture is kept as coefficients while it is decoded.
    """

    rows: int
    columns: int
    channels: int
    orientation: int
    progressive: bool


def header_of(content: bytes) -> Header | None:
    """Return the header of a JPEG file of the usual kind; None if it is another, or damaged."""
    try:
        return _header(content)
    except (IndexError, struct.error):
        return None


def _header(content: bytes) -> Header | None:
    if not content.startswith(START):
        return None
    frame: tuple[int, int, int, bool] | None = None
    orientation, others = 0, False
    place = 2
    while True:
        if content[place] != 0xFF:
            return None
        kind = content[place + 1]
        length = content[place + 2] << 8 | content[place + 3]
        if kind == _SCAN:
            break
        if kind in _FRAMES and frame is None:
            bits, rows, columns, channels = struct.unpack_from(">BHHB", content, place + 4)
            if bits != 8 or channels not in (1, 3) or not rows or not columns:
                return None
            frame = rows, columns, channels, kind == _PROGRESSIVE
        elif kind in _OTHER_FRAMES or kind in _FRAMES or kind < 0xC0 or length < 2:
            return None
        elif kind == _NOTES:
            notes = content[place + 4 : place + 2 + length]
            if notes.startswith(_EXIF) and not orientation:
                orientation = _orientation(notes)
            else:
                others = True
        place += 2 + length
    # If Exif does not say it, XMP may: Pillow reads that as well.
    if frame is None or orientation > 8 or (others and not orientation):
        return None
    rows, columns, channels, progressive = frame
    return Header(rows, columns, channels, orientation or 1, progressive)


def _orientation(notes: bytes) -> int:
    """Return the orientation in a segment of Exif; 0 if there is none, 9 if Pillow must look."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(notes[6:10])
    if order is None:
        return _UNKNOWN
    (start,) = struct.unpack_from(f"{order}I", notes, 10)
    (count,) = struct.unpack_from(f"{order}H", notes, 6 + start)
    if count > _MOST_TAGS:
        return _UNKNOWN
    for number in range(count):
        place = 8 + start + 12 * number
        tag, kind, values, value = struct.unpack_from(f"{order}HHIH", notes, place)
        if tag == _ORIENTATION:
            usual = kind == _SHORT and values == 1 and 1 <= value <= 8
            return value if usual else _UNKNOWN
    return 0


def decode(content: bytes, header: Header, *, scale: int, grey: bool) -> Image | None:
    """Return the picture at 1 / `scale` of its size, rounded up; None if it is damaged.

    It is in mode L, or in mode RGB where it has colours and is not to be `grey`. A row or a column
    at the end stands for fewer pixels where the size is no multiple of `scale`.
    """
    from PIL import Image

    mode = "L" if grey or header.channels == 1 else "RGB"
    size = -(-header.columns // scale), -(-header.rows // scale)
    try:
        return Image.frombytes(mode, size, content, "jpeg", mode, "", scale, 0)
    except (ValueError, OSError, SystemError):
        return None
