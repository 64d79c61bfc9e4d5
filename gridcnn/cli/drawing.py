"""Grids as pictures, in the terminal and as PNG files; and verdicts drawn in characters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from gridcnn.order.lags import Lags
from gridcnn.order.usefulness import Usefulness
from gridcnn.outputs import write_output

_SMALLEST_PNG = 256


def pixels(grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a grid `(channels, rows, columns)` as colours `(rows, columns, 3)`.

    Three channels are red, green and blue; else the mean of all channels is shown in grey. Cells of
    -1 are black, cells of 1 white, and values beyond are clipped.
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
    """Draw a grid, two cells to a character, and return how many cells each drawn one stands for.

    In colours if the console has them; else cells above 0 are drawn, and others left blank.
    """
    return draw_picture(pixels(grid), console)


def draw_picture(picture: NDArray[np.uint8], console: Console) -> int:
    """Draw colours `(rows, columns, 3)` as `draw` does, and return what it returns."""
    width = console.width if console.is_terminal else 120
    picture, factor = shrunk(picture, width)
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


PNG_MARK = b"tEXtSoftware\0gridcnn"
"""Bytes near the beginning of every PNG file that gridcnn writes."""


def write_png(grid: NDArray[np.float32], path: Path, *, force: bool = False) -> int:
    """Write a grid as PNG, each cell as a square of pixels, and return the square's side.

    Raises:
        RunFolderError: it cannot be written, or there is a file that gridcnn did not write; with
            `force` that is replaced as well.
    """
    picture = pixels(grid)
    side = max(1, -(-_SMALLEST_PNG // int(max(picture.shape[:2]))))
    write_picture(picture.repeat(side, axis=0).repeat(side, axis=1), path, force=force)
    return side


def write_picture(picture: NDArray[np.uint8], path: Path, *, force: bool = False) -> None:
    """Write colours `(rows, columns, 3)` as PNG; raises what `write_png` does."""
    import io

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    content, about = io.BytesIO(), PngInfo()
    about.add_text("Software", "gridcnn")
    Image.fromarray(picture).save(content, "PNG", pnginfo=about)
    write_output(path, content.getvalue(), PNG_MARK, force=force)


# Verdicts ---------------------------------------------------------------------------------------

_WIDE, _HIGH = 60, 9  # characters of a drawing


def lag_lines(lags: Lags, *, plain: bool) -> list[str]:
    """Return association against distance as lines of up to 72 characters.

    `plain`: in ASCII alone, for consoles that have no more.
    """
    mark, band = ("*", ":") if plain else ("●", "░")
    edge, corner, line = ("|", "+", "-") if plain else ("│", "└", "─")
    parts = np.array_split(np.arange(len(lags.lags)), min(len(lags.lags), _WIDE))
    each = max(1, min(6, _WIDE // len(parts)))
    given, low, high = (
        np.array([values[part].mean() for part in parts])
        for values in (lags.given, lags.low, lags.high)
    )
    bottom, top = float(min(given.min(), low.min())), float(max(given.max(), high.max()))
    spread = max(top - bottom, 1e-9)

    def level(values: NDArray[np.float64]) -> NDArray[np.int64]:
        heights: NDArray[np.int64] = np.rint((values - bottom) / spread * (_HIGH - 1)).astype(
            np.int64
        )
        return heights

    points, lows, highs = level(given), level(low), level(high)
    lines = []
    for height in range(_HIGH - 1, -1, -1):
        text = "".join(
            (mark if points[n] == height else band if lows[n] <= height <= highs[n] else " ").ljust(
                each, band if lows[n] <= height <= highs[n] else " "
            )
            for n in range(len(parts))
        )
        label = {_HIGH - 1: f"{top:.2f}", 0: f"{bottom:.2f}"}.get(height, "")
        lines.append(f"{label:>5} {edge}{text.rstrip()}")
    width = each * len(parts)
    lines.append(f"      {corner}{line * width}")
    last = f"{lags.lags[-1]:,}"
    lines.append(f"       1{'distance, in columns'.center(max(0, width - 1 - len(last)))}{last}")
    lines.append(f"       {mark} as given   {band} where 90 of 100 random orders lie")
    return lines


def accuracy_lines(use: Usefulness, *, plain: bool) -> list[str]:
    """Return the accuracies as given and shuffled as signs on a line, and what the signs mean."""
    mark, other, line, bar = ("*", "o", "-", "|") if plain else ("●", "○", "─", "┼")
    values = [use.given, *use.shuffled]
    low, high = min(values), max(values)
    # The usual guess would press all others together where it is far off.
    near = low - use.majority <= high - low
    low = min(low, use.majority) if near else low
    spread = max(high - low, 1e-9)

    def place(value: float) -> int:
        return round((value - low) / spread * (_WIDE - 1))

    signs = [line] * _WIDE
    if near and use.majority <= high:
        signs[place(use.majority)] = bar
    for value in use.shuffled:
        signs[place(value)] = other
    signs[place(use.given)] = mark
    return [
        f"{low:>6.1%} {''.join(signs)} {high:.1%}",
        f"       {mark} as given   {other} each shuffle"
        f"   {f'{bar} ' if near else ''}most frequent class: {use.majority:.1%}",
    ]
