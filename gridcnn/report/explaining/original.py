"""An item in its raw form, as people see, hear or read it."""

from __future__ import annotations

import base64
import io
import os
import wave
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.report.explaining.structure import Structure, structure_of

_LARGEST = 360  # pixels of a picture's longer side in a page
_SECONDS = 10.0  # of a sound in a page
_BARS = 240  # of a waveform
_CHARACTERS = 2_000  # of a text


@dataclass(frozen=True)
class Original:
    """An item as it was before it became a grid.

    Attributes:
        kind: what it is.
        address: a picture or a sound as a data address; empty if there is none.
        size: of a picture, columns and rows in pixels.
        seconds: how long a sound lasts.
        wave: the lowest and the highest sample of each part of a sound, -1 to 1, `(parts, 2)`.
        text: a text, or the SMILES of a molecule that became the grid.
        symbols: what stands in each column of the grid, as far as the text goes.
        structure: how the molecule is drawn; None without RDKit.
    """

    kind: Literal["picture", "sound", "text", "molecule", "numbers"]
    address: str = ""
    size: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    wave: NDArray[np.float32] | None = None
    text: str = ""
    symbols: tuple[str, ...] = ()
    structure: Structure | None = None


def original_of(adapter: Adapter, thing: Any) -> Original:
    """Return the raw form of a thing that the adapter has read."""
    if isinstance(adapter, ImageAdapter):
        return _picture(thing)
    if isinstance(adapter, AudioAdapter):
        return _sound(adapter, thing)
    if isinstance(adapter, MoleculeAdapter):
        symbols = tuple(adapter.tokens(thing)[: adapter.shape().columns])
        structure = structure_of(adapter, thing)
        return Original(
            "molecule", text=adapter.smiles(thing), symbols=symbols, structure=structure
        )
    if isinstance(adapter, TextAdapter):
        text = thing if isinstance(thing, str) else bytes(thing).decode("utf-8", "replace")
        if len(text) > _CHARACTERS:
            text = f"{text[:_CHARACTERS]} \u2026"
        return Original("text", text=text, symbols=tuple(adapter.symbols(thing)))
    return Original("numbers")


def _picture(thing: Any) -> Original:
    """Return a picture, no larger than a page needs it."""
    from PIL import Image, ImageOps

    if isinstance(thing, str | os.PathLike):
        with Image.open(thing) as opened:
            image = ImageOps.exif_transpose(_as_bytes(opened))
    elif isinstance(thing, bytes | bytearray | memoryview):
        with Image.open(io.BytesIO(bytes(thing))) as opened:
            image = ImageOps.exif_transpose(_as_bytes(opened))
    elif isinstance(thing, Image.Image):
        image = ImageOps.exif_transpose(_as_bytes(thing))
    elif callable(getattr(thing, "read", None)):
        return Original("picture")  # it has been read, and cannot be read twice
    else:
        image = _as_bytes(_image_of_array(np.asarray(thing)))
    size = image.size
    image.thumbnail((_LARGEST, _LARGEST))
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return Original("picture", address=_address("image/png", content.getvalue()), size=size)


def _as_bytes(image: Any) -> Any:
    """Return a Pillow image of 8 bits in each channel."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_bytes_of(np.asarray(image)))
    transparent = "A" in image.mode or "transparency" in image.info
    return image.convert("RGBA" if transparent else "L" if image.mode in ("1", "L") else "RGB")


def _image_of_array(array: NDArray[Any]) -> Any:
    from PIL import Image

    if array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return Image.fromarray(_bytes_of(array))


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the numbers of a picture as bytes, from black to white."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    values = array.astype(np.float64)
    high = 65_535.0 if array.dtype.kind in "iu" and values.max(initial=0) > 255 else 1.0
    high = 255.0 if array.dtype.kind in "iu" and high == 1.0 else high
    low, most = (float(values.min(initial=0)), float(values.max(initial=high)))
    if array.dtype.kind == "f" and (low < 0 or most > 1):
        values, high = values - low, (most - low) or 1.0
    pixels: NDArray[np.uint8] = np.rint(np.clip(values / high, 0, 1) * 255).astype(np.uint8)
    return pixels


def _sound(adapter: AudioAdapter, thing: Any) -> Original:
    """Return the beginning of a sound with 16 bits, and its waveform."""
    if callable(getattr(thing, "read", None)):
        return Original("sound")
    samples = np.asarray(adapter.open_thing(thing), np.float32)
    rate = adapter.sample_rate
    seconds = len(samples) / rate
    samples = samples[: int(_SECONDS * rate)]
    content = io.BytesIO()
    levels = np.rint(np.clip(samples, -1, 1) * 32_767).astype("<i2")
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(levels.tobytes())
    parts = np.array_split(samples, min(_BARS, max(len(samples), 1)))
    ends = np.array([(part.min(initial=0), part.max(initial=0)) for part in parts], np.float32)
    address = _address("audio/wav", content.getvalue())
    return Original("sound", address=address, seconds=seconds, wave=ends)


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")
