"""Files with the name of a picture that are something else, or need a package: found by content."""

from __future__ import annotations

from importlib import import_module

from gridcnn.errors import DataError

HEAD = 1024
"""How many bytes from the start of a file are enough to know its kind."""

_HEIF = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"})
_AVIF = frozenset({b"avif", b"avis"})
_BINARY = {
    b"%PDF-": "a PDF document; save its pages as pictures",
    b"PK\x03\x04": "a ZIP archive; unpack it",
    b"\x1f\x8b": "a gzip archive; unpack it",
    b"8BPS": "a Photoshop document; save it as PNG or JPEG",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 picture; save it as PNG or JPEG",
    b"\0\0\0\x0cJXL ": "a JPEG XL picture; save it as PNG or JPEG",
    b"\xff\x0a": "a JPEG XL picture; save it as PNG or JPEG",
}
_PAGES = ("<!doctype html", "<html", "<head", "<body")


def describe(head: bytes) -> str | None:
    """Return the kind of a file that starts with `head`, and what to do; None if it is unknown."""
    for start, kind in _BINARY.items():
        if head.startswith(start):
            return kind
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n").lower()
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer, not the file itself; fetch the file with: git lfs pull"
    if "<svg" in text and text.startswith("<"):
        return "an SVG drawing; save it as PNG"
    if text.startswith(_PAGES) or (text.startswith("<") and "<html" in text):
        return "a web page (HTML), perhaps an error page; download the picture again"
    return None


def packaged_format(head: bytes) -> str | None:
    """Return Pillow's name for the format of a HEIC or AVIF picture, if its package is installed.

    None if the file that starts with `head` is neither.

    Raises:
        DataError: the package that reads it is not installed.
    """
    brands = _brands(head)
    if brands & _AVIF:
        return _register_avif()
    if brands & _HEIF:
        try:
            import_module("pillow_heif").register_heif_opener()
        except ImportError:
            raise DataError(
                "it is a HEIC picture, which needs the package pillow-heif: pip install pillow-heif"
            ) from None
        return "HEIF"
    return None


def _brands(head: bytes) -> frozenset[bytes]:
    """Return the brands that a file of ISO's base media format says it has, if it is one."""
    if head[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset(head[start : start + 4] for start in (8, *range(16, end, 4)))


def _register_avif() -> str:
    from PIL import features

    try:
        if "avif" in features.modules and features.check("avif"):
            import_module("PIL.AvifImagePlugin")
        else:
            import_module("pillow_avif")
    except ImportError:
        raise DataError(
            "it is an AVIF picture, which needs the package pillow-avif-plugin: "
            "pip install pillow-avif-plugin"
        ) from None
    return "AVIF"
