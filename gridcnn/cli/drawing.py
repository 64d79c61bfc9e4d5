"""Grids as pictures, in the terminal and as PNG files; and verdicts drawn in characters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from gridcnn.errors import printable
from gridcnn.order.lags import Lags
from gridcnn.order.usefulness import Usefulness
from gridcnn.outputs import write_output
from gridcnn.report.colours import picture_pixels, shrink_pixels

_SMALLEST_PNG = 256


def draw(grid: NDArray[np.float32], console: Console, *, widest: int = 10_000) -> int:
    """Draw a grid, two cells to a character, and return how many cells each drawn one stands for.

    In colours if the console has them; else cells above 0 are drawn, and others left blank. The
    drawing is at most as wide as the console, and as `widest` characters.
    """
    return draw_picture(picture_pixels(grid), console, widest=widest)


def draw_picture(picture: NDArray[np.uint8], console: Console, *, widest: int = 10_000) -> int:
    """Draw colours `(rows, columns, 3)` as `draw` does, and return what it returns."""
    width = min(widest, console.width if console.is_terminal else 120)
    has_colours = console.color_system is not None and not console.no_color
    picture, factor = shrink_pixels(picture, width)
    if len(picture) % 2:
        picture = np.concatenate([picture, np.zeros_like(picture[:1])])
    for upper, lower in zip(picture[::2], picture[1::2], strict=True):
        line = Text()
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            if has_colours:
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
    picture = picture_pixels(grid)
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


# Votes ------------------------------------------------------------------------------------------

_LONGEST_NAME, _LONGEST_BAR, _SHORTEST_BAR = 24, 40, 8  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"


def vote_lines(
    shares: Sequence[tuple[str, float]], answers: Collection[str], *, width: int, plain: bool
) -> list[Text]:
    """Return a bar for each class, as long as its part of the votes.

    Args:
        shares: each class with its part of the votes, in 0..1, in the order of the lines.
        answers: the classes that are answered, which are marked.
        width: of the lines, in characters; if it is too small for bars, there are only numbers.
        plain: in ASCII alone, for consoles that have no more.
    """
    named = [(printable(name), share) for name, share in shares]
    names = min(max((cell_len(name) for name, _ in named), default=0), _LONGEST_NAME)
    bars = min(_LONGEST_BAR, width - names - 12)
    lines = []
    for (raw, _), (name, share) in zip(shares, named, strict=True):
        most = raw in answers
        line = Text("> " if most else "  ")
        line.append(set_cell_size(name, names), "bold" if most else "")
        if bars >= _SHORTEST_BAR:
            line.append("  ").append(_bar(share, bars, plain=plain), "blue" if most else "dim")
        line.append(f"  {share:.3f}", "bold" if most else "")
        lines.append(line)
    return lines


def _bar(share: float, width: int, *, plain: bool) -> str:
    if plain:
        return ("#" * round(share * width)).ljust(width)
    whole, rest = divmod(round(share * width * 8), 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


def curve_line(row: NDArray[np.float32], width: int) -> str:
    """Return numbers as a line of blocks, the higher the larger, at most `width` characters."""
    step = -(-len(row) // max(width, 1))
    finite = np.nan_to_num(row)
    means = [float(finite[start : start + step].mean()) for start in range(0, len(row), step)]
    low, spread = min(means), (max(means) - min(means)) or 1.0
    return "".join(_LEVELS[round((mean - low) / spread * 7)] for mean in means)


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
