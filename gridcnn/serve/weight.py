"""Whether a request is likely to take long, by a look at how its body begins."""

from __future__ import annotations

import struct

from gridcnn.adapters import jpeg, png
from gridcnn.serve.body import JSON, MULTIPART

_LIGHT = 65_536
"""Bytes of a light body, at most."""
_PIXELS = 1_000_000
"""Pixels of a light picture, at most."""
_PLAIN = (b"RIFF", b"\x93NUMPY")
"""How files begin that take as long as they are large."""
_END_OF_HEADERS = b"\r\n\r\n"


def is_heavy(body: bytes, content_type: str) -> bool:
    """Return whether a request is answered apart from small ones.

    A picture of few bytes may have many pixels. Those of the usual formats are counted; what is
    packed in other ways is heavy. A form is light if all of it is one light file.
    """
    if len(body) > _LIGHT:
        return True
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return b"base64" in body
    if kind == MULTIPART:
        _, _, content = body.partition(_END_OF_HEADERS)
        return _END_OF_HEADERS in content or _is_heavy_file(content)
    return not kind.startswith("text/") and _is_heavy_file(body)


def _is_heavy_file(content: bytes) -> bool:
    if content.startswith(png.START):
        if len(content) < 24:
            return True
        columns, rows = struct.unpack_from(">II", content, 16)
        return bool(rows * columns > _PIXELS)
    if content.startswith(jpeg.START):
        header = jpeg.header_of(content)
        return header is None or header.rows * header.columns > _PIXELS
    return not content.startswith(_PLAIN) and not content[:256].isascii()
