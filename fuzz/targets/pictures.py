"""Pictures in each format."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.changes import Changes
from fuzz.sealed import png_changed
from fuzz.target import Target, refused, require
from gridcnn.adapters.image import ImageAdapter
from gridcnn.errors import DataError
from gridcnn.runs.starter import starter_for

_ADAPTERS = (
    ImageAdapter(size=(8, 8), max_pixels=1_000_000),
    ImageAdapter(size=(5, 7), channels=3, max_pixels=1_000_000),
)


def _seeds() -> Sequence[bytes]:
    from PIL import Image

    grey = Image.fromarray((np.arange(12 * 9).reshape(12, 9) * 2).astype(np.uint8))
    colours = grey.convert("RGB")
    deep = Image.fromarray((np.arange(12 * 9).reshape(12, 9) * 500).astype(np.uint16))
    found = []

    def add(image: Any, kind: str, **settings: Any) -> None:
        written = io.BytesIO()
        image.save(written, kind, **settings)
        found.append(written.getvalue())

    turned = Image.Exif()
    turned[0x0112] = 6
    for image in (
        grey,
        colours,
        colours.convert("RGBA"),
        deep,
        grey.convert("P"),
        grey.convert("1"),
    ):
        add(image, "PNG")
    add(colours, "PNG", exif=turned)
    for settings in ({}, {"progressive": True}, {"exif": turned}):
        add(colours, "JPEG", **settings)
    add(colours.convert("CMYK"), "JPEG")
    add(grey, "BMP")
    add(colours, "BMP")
    add(grey, "GIF", save_all=True, append_images=[grey, grey])
    for packing in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
        add(deep if packing == "raw" else colours, "TIFF", compression=packing)
    add(colours, "WEBP")
    add(colours, "WEBP", lossless=True, exif=turned)
    return found


def _look(content: bytes, folder: Path) -> None:
    for place, adapter in enumerate(_ADAPTERS):
        with refused(DataError):
            grid = adapter.adapt(content)
            require(grid.shape == adapter.shape().sizes, "a grid has another shape")
            require(bool(np.isfinite(grid).all()), "cells are not finite")
            require(float(np.abs(grid).max()) <= 1.0001, "cells are beyond -1..1")
        if not place:
            file = folder / "x" / "a.png"
            file.parent.mkdir()
            file.write_bytes(content)
            with refused(DataError):
                adapter.adapt(file)
    (folder / "o").mkdir()
    (folder / "o" / "b.png").write_bytes(content)
    with refused(DataError):
        starter_for("a name", "spec.yaml", str(folder))


def _changed(content: bytes, changes: Changes) -> bytes:
    return png_changed(content, changes)


TARGETS = (Target("picture", "PNG, JPEG, BMP, GIF, TIFF and WebP", _seeds, _look, _changed),)
