"""Grids as pictures: in the terminal with half-block characters, and as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from gridcnn.errors import RunFolderError

_SMALLEST_PNG = 256


def pixels(grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a grid `(channels, rows, columns)` as colours `(rows, columns, 3)`.

    Three channels are red, green and blue; else the mean of all channels is shown in grey. Cells of
    -1 are black, cells of 1 white, and what lies beyond is cut off.
    """
    planes = grid if len(grid) == 3 else grid.mean(axis=0, keepdims=True).repeat(3, axis=0)
    levels = np.clip(np.nan_to_num(planes), -1, 1) * 127.5 + 127.5
    colours: NDArray[np.uint8] = np.rint(levels).astype(np.uint8).transpose(1, 2, 0)
    return colours


def shrunk(picture: NDArray[np.uint8], width: int) -> tuple[NDArray[np.uint8], int]:
    """Return the picture at most `width` columns wide, by whole-number means, and the factor."""
    factor = -(-picture.shape[1] // max(width, 1))
    if factor == 1:
        return picture, 1
    rows, columns = (-(-size // factor) * factor for size in picture.shape[:2])
    padding = ((0, rows - picture.shape[0]), (0, columns - picture.shape[1]), (0, 0))
    padded = np.pad(picture.astype(np.float64), padding, mode="edge")
    blocks = padded.reshape(rows // factor, factor, columns // factor, factor, 3)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8), factor


def draw(grid: NDArray[np.float32], console: Console) -> int:
    """Draw a grid, two cells to a character, and return how many cells each shown one stands for.

    In colours where the console has them; else cells above 0 are drawn and others left blank.
    """
    width = console.width if console.is_terminal else 120
    picture, factor = shrunk(pixels(grid), width)
    if len(picture) % 2:
        picture = np.concatenate([picture, np.zeros_like(picture[:1])])
    for upper, lower in zip(picture[::2], picture[1::2], strict=True):
        line = Text()
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            if console.color_system:
                line.append("▀", f"rgb({_rgb(above)}) on rgb({_rgb(below)})")
            else:
                bright = (sum(above) > 382, sum(below) > 382)
                line.append({(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}[bright])
        console.print(line, soft_wrap=True)
    return factor


def _rgb(colour: list[int]) -> str:
    return ",".join(map(str, colour))


def write_png(grid: NDArray[np.float32], path: Path) -> int:
    """Write a grid as PNG, each cell as a square of pixels, and return the square's side."""
    import io

    from PIL import Image

    from gridcnn.files import write_bytes

    picture = pixels(grid)
    side = max(1, -(-_SMALLEST_PNG // int(max(picture.shape[:2]))))
    large = picture.repeat(side, axis=0).repeat(side, axis=1)
    content = io.BytesIO()
    Image.fromarray(large).save(content, "PNG")
    try:
        write_bytes(path, content.getvalue())
    except OSError as error:
        raise RunFolderError(f"{path} cannot be written: {error.strerror or error}") from None
    return side
