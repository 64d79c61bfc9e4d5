"""Grids as pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from gridcnn.cli.drawing import curve_line, draw, vote_lines, write_png
from gridcnn.errors import RunFolderError
from gridcnn.report.colours import picture_pixels, shrink_pixels


def test_cells_become_greys() -> None:
    """-1 is black, 1 white, and what lies beyond is cut off; NaN is shown as 0."""
    grid = np.array([[[-1, 0, 1, 5, -3, np.nan]]], np.float32)

    assert picture_pixels(grid)[0, :, 0].tolist() == [0, 128, 255, 255, 0, 128]


def test_three_channels_are_colours_and_others_a_mean() -> None:
    """Red, green and blue are shown as such; any other number of channels in grey."""
    colours = np.stack([np.full((2, 2), value, np.float32) for value in (1, -1, 0)])

    assert picture_pixels(colours)[0, 0].tolist() == [255, 0, 128]
    assert picture_pixels(colours[:2])[0, 0].tolist() == [128, 128, 128]


def test_wide_grids_are_shrunk_by_means() -> None:
    """A picture wider than the terminal is averaged over whole blocks."""
    picture = np.zeros((4, 10, 3), np.uint8)
    picture[:2, :2] = 200

    small, factor = shrink_pixels(picture, 5)

    assert factor == 2
    assert small.shape == (2, 5, 3)
    assert small[0, 0, 0] == 200
    assert small[1].max() == 0


def test_two_rows_share_a_line() -> None:
    """Half blocks show two cells above each other; an odd last row has nothing below it."""
    console = Console(file=io.StringIO(), width=80)
    grid = np.array([[[1, -1, 1], [-1, 1, 1], [1, -1, -1]]], np.float32)

    draw(grid, console)

    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.rstrip() for line in lines] == ["▀▄█", "▀"]


def test_a_terminal_gets_colours() -> None:
    """Where the console has colours, each cell is drawn in its own."""
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="truecolor")

    draw(np.array([[[1.0], [-1.0]]], np.float32), console)

    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "38;2;255;255;255" in drawn
    assert "48;2;0;0;0" in drawn


def test_a_png_has_a_square_for_each_cell(tmp_path: Path) -> None:
    """Small grids are enlarged without blurring; a folder that is not there is told of."""
    grid = np.random.default_rng(0).uniform(-1, 1, (1, 6, 9)).astype(np.float32)

    side = write_png(grid, tmp_path / "grid.png")

    with Image.open(tmp_path / "grid.png") as image:
        assert image.size == (9 * side, 6 * side)
        assert (np.asarray(image)[::side, ::side] == picture_pixels(grid)).all()
    with pytest.raises(RunFolderError, match="cannot be written"):
        write_png(grid, tmp_path / "none" / "grid.png")


def test_without_colours_a_terminal_gets_shapes() -> None:
    """NO_COLOR leaves a terminal its blocks; blocks of one colour alone would show nothing."""
    console = Console(
        file=io.StringIO(),
        width=80,
        force_terminal=True,
        color_system="truecolor",
        no_color=True,
    )

    draw(np.array([[[1.0, -1.0], [-1.0, -1.0]]], np.float32), console)

    assert console.file.getvalue().rstrip() == "▀"  # type: ignore[attr-defined]


def test_votes_are_bars() -> None:
    """A bar is as long as its part of the votes, to an eighth of a character."""
    shares = [("cat", 0.75), ("a dog", 0.25)]

    lines = [line.plain for line in vote_lines(shares, {"cat"}, width=37, plain=False)]
    plain = [line.plain for line in vote_lines(shares, {"cat"}, width=37, plain=True)]

    assert lines == [
        "> cat    ███████████████       0.750",
        "  a dog  █████                 0.250",
    ]
    assert plain == [line.replace("█", "#") for line in lines]


def test_narrow_windows_have_no_bars() -> None:
    """Names and numbers stay; long names are cut, and wide characters counted as such."""
    lines = [
        line.plain
        for line in vote_lines([("x" * 60, 1.0), ("猫\x1b", 0.0)], set(), width=30, plain=False)
    ]

    assert lines == [f"  {'x' * 24}  1.000", f"  猫\\x1b{' ' * 18}  0.000"]


def test_a_row_is_a_line_of_blocks() -> None:
    """The lowest number is the smallest block; many numbers are averaged."""
    assert curve_line(np.array([0, 0.5, 1, np.nan], np.float32), 10) == "▁▅█▁"
    assert curve_line(np.array([0, 0, 1, 1], np.float32), 2) == "▁█"
