"""A folder of pictures as people have them: every format, size and colour mode mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("checks", "disc", "stripes")
_SCENE = NDArray[np.float32]  # colours, 0 to 255, (rows, columns, 3)
_EXIF_ORIENTATION, _TURNED_LEFT = 0x0112, 6


def make(folder: Path, *, seed: int = 0) -> int:
    """Write one folder for each class into `folder`; return the number of pictures, 72.

    Every class comes in every form, so that a form tells nothing of the class.
    """
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for form, (suffix, save) in enumerate(_FORMS):
            random = np.random.default_rng([seed, number, form])
            save(_scene(name, random), folder / name / f"IMG {form:02d}{suffix}")
    return len(CLASSES) * len(_FORMS)


def make_many(
    folder: Path, count: int, *, side: int = 32, mode: str = "RGB", seed: int = 0
) -> None:
    """Write `count` square PNG files of each class, all of one size and colour mode."""
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        random = np.random.default_rng([seed, number])
        for index in range(count):
            file = folder / name / f"{index:04d}.png"
            _image(_scene(name, random, side), mode).save(file)


def _scene(name: str, random: np.random.Generator, side: int | None = None) -> _SCENE:
    """Return a bright thing in front of a darker scene, lit from one side, 20 to 400 pixels.

    With `side` it has so many rows and columns.
    """
    rows = side or int(20 * 20 ** random.random())
    columns = side or int(np.clip(rows * random.uniform(0.75, 1.33), 20, 400))
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)[None]
    shift = random.uniform(-0.15, 0.15, size=2)
    bars = random.uniform(2.2, 3.2) * np.pi
    thing = {
        "checks": np.sin(bars * (x + shift[0])) * np.sin(bars * (y + shift[1])) > 0,
        "disc": np.hypot(x - shift[0], y - shift[1]) < random.uniform(0.5, 0.7),
        "stripes": np.sin(bars * (y + shift[1])) + 0 * x > 0,
    }[name]
    back, front = random.uniform(10, 90, size=3), random.uniform(160, 245, size=3)
    colours = np.where(thing[:, :, None], front, back)
    colours = colours * (1 + random.uniform(-0.12, 0.12) * x)[:, :, None]
    return np.clip(colours + random.normal(0, 5, colours.shape), 0, 255).astype(np.float32)


def _image(scene: _SCENE, mode: str = "RGB") -> Image.Image:
    image = Image.fromarray(scene.astype(np.uint8))
    if mode == "P":
        return image.quantize(32)
    if mode == "LA":
        image.putalpha(255)
    return image.convert(mode)


def _saved(mode: str, **options: Any) -> Callable[[_SCENE, Path], None]:
    return lambda scene, path: _image(scene, mode).save(path, **options)


def _see_through(scene: _SCENE, path: Path) -> None:
    """Save it with corners that can be seen through."""
    image = _image(scene, "RGBA")
    opacity = np.full(scene.shape[:2], 255, np.uint8)
    opacity[: len(opacity) // 8, : len(opacity[0]) // 8] = 0
    image.putalpha(Image.fromarray(opacity))
    image.save(path)


def _see_through_palette(scene: _SCENE, path: Path) -> None:
    _image(scene, "P").save(path, transparency=0)


def _sixteen_bits(scene: _SCENE, path: Path) -> None:
    grey = scene.mean(axis=2) * 257
    Image.fromarray(grey.astype(np.uint16)).save(path)


def _floats(scene: _SCENE, path: Path) -> None:
    Image.fromarray(scene.mean(axis=2) / np.float32(255)).save(path)


def _turned(scene: _SCENE, path: Path) -> None:
    """Save it lying on its side, with the note by which it is shown upright."""
    image = _image(scene).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = _TURNED_LEFT
    image.save(path, exif=exif)


def _moving(scene: _SCENE, path: Path) -> None:
    """Save it as the first of two frames; the second is empty."""
    image = _image(scene)
    image.save(path, save_all=True, append_images=[Image.new("RGB", image.size)])


_FORMS: tuple[tuple[str, Callable[[_SCENE, Path], None]], ...] = (
    (".png", _saved("L")),
    (".png", _saved("RGB")),
    (".png", _saved("LA")),
    (".png", _saved("P")),
    (".png", _saved("1")),
    (".png", _see_through),
    (".png", _see_through_palette),
    (".png", _sixteen_bits),
    (".jpg", _saved("L")),
    (".JPG", _saved("RGB", quality=40)),
    (".jpeg", _saved("CMYK")),
    (".jpg", _turned),
    (".bmp", _saved("L")),
    (".bmp", _saved("RGB")),
    (".bmp", _saved("1")),
    (".gif", _saved("P")),
    (".gif", _moving),
    (".tif", _saved("RGB", compression="tiff_lzw")),
    (".tif", _sixteen_bits),
    (".tiff", _floats),
    (".tiff", _saved("CMYK")),
    (".webp", _saved("RGB", quality=60)),
    (".webp", _saved("RGB", lossless=True)),
    (".webp", _see_through),
)
