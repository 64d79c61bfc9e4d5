"""`gridcnn show --augmented`: sheets of what training would see of one thing."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from typer.testing import CliRunner

from gridcnn.cli.main import app
from gridcnn.cli.sheets import BETWEEN, enlarge, sheet_of_grids, sheet_of_texts, texts_of
from gridcnn.grid import Axis, GridShape, OneHot
from gridcnn.report.colours import picture_pixels

PICTURE = """
adapter: {image: {size: [9, 9]}}
training: {augmentation: [{shift: 2}]}
"""
TEXT = """
adapter: {text: {alphabet: "abc ", length: 8}}
training: {augmentation: [{shift: {columns: 2}}]}
"""


def within(*arguments: Any, folder: Path) -> Any:
    with contextlib.chdir(folder):
        environment = {"COLUMNS": "200", "NO_COLOR": "1"}
        return CliRunner().invoke(app, [*map(str, arguments)], env=environment)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a picture of a white dot, its spec, and the spec of a text."""
    cells = np.zeros((9, 9), np.uint8)
    cells[4, 4] = 255
    Image.fromarray(cells).save(tmp_path / "dot.png")
    (tmp_path / "picture.yaml").write_text(PICTURE)
    (tmp_path / "text.yaml").write_text(TEXT)
    return tmp_path


def _tiles(sheet: Any, side: int, count: int, size: int) -> list[Any]:
    """Return the cells of square grids of `size` cells on a square sheet."""
    cells = np.asarray(sheet)[side // 2 :: side, side // 2 :: side]
    across = -(-cells.shape[1] // (size + 1))
    places = (divmod(number, across) for number in range(count))
    return [
        cells[down * (size + 1) :, right * (size + 1) :][:size, :size] for down, right in places
    ]


def test_a_sheet_shows_forms_as_training_draws_them(place: Path) -> None:
    """Each is another one, the same for the same seed, and the same as JSON has."""
    told = within(
        "show", "dot.png", "--spec", "picture.yaml", "--augmented", 9, "--png", "sheet.png",
        folder=place,
    )  # fmt: skip
    again = within(
        "show", "dot.png", "--spec", "picture.yaml", "--augmented", 9, "--json", folder=place
    )

    assert told.exit_code == again.exit_code == 0, told.output
    assert "dot.png: 9 forms of 1 x 9 x 9\n" in told.stdout
    forms = np.array(json.loads(again.stdout)["augmented"], np.float32)
    assert forms.shape == (9, 1, 9, 9)
    dots = [divmod(int(form.argmax()), 9) for form in forms]
    assert all(abs(row - 4) <= 2 and abs(column - 4) <= 2 for row, column in dots)
    assert len(set(dots)) > 4
    side = int(told.stdout.split("sheet.png written, ")[1].split(" x ")[0])
    with Image.open(place / "sheet.png") as sheet:
        assert max(sheet.size) <= 1200
        tiles = _tiles(sheet, side, 9, 9)
    for tile, form in zip(tiles, forms, strict=True):
        np.testing.assert_array_equal(tile, picture_pixels(form))


def test_of_texts_the_letters_are_shown(place: Path) -> None:
    """In the terminal line by line; a picture has the same lines."""
    (place / "a.txt").write_text("abc ba")

    told = within(
        "show", "a.txt", "--spec", "text.yaml", "--augmented", 6, "--png", "sheet.png",
        folder=place,
    )  # fmt: skip

    *lines, last = told.stdout.splitlines()
    assert last == "sheet.png written, the letters that remain of each form"
    assert len(lines) == 6
    assert len(set(lines)) > 2
    assert all(line.replace("·", "") in "abc ba" for line in lines)
    assert (place / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_sounds_tables_and_arrays_have_sheets(place: Path) -> None:
    """Whatever the adapter, forms are grids."""
    soundfile.write(place / "tone.wav", np.sin(np.arange(8_000) / 5), 16_000)
    (place / "row.csv").write_text("a,b,c,d\n0.1,0.5,-0.2,0.9\n")
    np.save(place / "slope.npy", np.linspace(-1, 1, 12).reshape(3, 4))
    specs = {
        "tone.wav": "adapter: {audio: {duration: 0.5}}",
        "row.csv": "adapter: {table: {size: [1, 4], scaling: none}}",
        "slope.npy": "adapter: {array: {size: [3, 4], channels: 1, scaling: none}}",
    }
    for name, adapter in specs.items():
        (place / "it.yaml").write_text(f"{adapter}\ntraining: {{augmentation: [noise: 0.1]}}")

        told = within(
            "show", name, "--spec", "it.yaml", "--augmented", 4, "--png", f"{name}.png",
            folder=place,
        )  # fmt: skip

        assert told.exit_code == 0, told.output
        assert ": 4 forms of 1 x " in told.stdout
        assert (place / f"{name}.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dot.png", "--augmented", 4], "--augmented needs the spec that changes the file: --spec"),
        (
            ["dot.png", "--spec", "xo", "--augmented", 4],
            "xo has no training.augmentation, so that training sees each item as it is; add some",
        ),
        (["picture.yaml", "--augmented", 4], "--augmented draws the grid of a file: show FILE"),
        (
            ["dot.png", "--spec", "picture.yaml", "--augmented", 4, "--set",
             "training.augmentation=[shift: 9]"],
            "shift: 9 of 9 rows would leave nothing",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_told_in_a_line(
    arguments: list[Any], message: str, place: Path
) -> None:
    """And nothing is written."""
    done = within("show", *arguments, "--png", "sheet.png", folder=place)

    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (place / "sheet.png").exists()


def test_a_sheet_is_about_square() -> None:
    """High grids stand side by side, wide ones below each other."""
    for rows, columns in ((40, 4), (4, 40), (9, 9), (1, 7)):
        sheet = sheet_of_grids(np.zeros((16, 1, rows, columns), np.float32))
        ways = [
            max(across * (columns + 1), -(-16 // across) * (rows + 1)) for across in range(1, 17)
        ]

        assert max(sheet.shape[0] + 1, sheet.shape[1] + 1) == min(ways)


def test_grids_are_apart_and_in_order() -> None:
    """From left to right, then down; a blue line is between them."""
    grids = np.linspace(-1, 1, 4, dtype=np.float32).reshape(4, 1, 1, 1).repeat(2, 2).repeat(2, 3)

    large, side = enlarge(sheet_of_grids(grids))

    assert large.shape == (5 * side, 5 * side, 3)
    cells = large[::side, ::side]
    assert cells[0, :, 0].tolist() == [0, 0, BETWEEN[0], 85, 85]
    assert cells[4, :, 0].tolist() == [170, 170, BETWEEN[0], 255, 255]


def test_symbols_are_drawn_as_what_they_are() -> None:
    """Line breaks, bytes, unknown symbols, words, and columns without any."""

    def read(unit: str, labels: list[str], rows: list[int]) -> Any:
        shape = GridShape(1, len(labels), len(rows), Axis(unit, labels=tuple(labels)))
        return texts_of(OneHot(np.array([rows], np.int32), len(labels)), shape)

    assert read("character", ["a", "\n", "unknown"], [0, -1, 1, 2, -1]) == ["a·↵□"]
    assert read("byte", ["0x41", "0x00"], [0, 1, 0]) == ["A·A"]
    assert read("word", ["to", "be"], [0, 1, -1, 1, -1]) == ["to be · be"]
    assert read("character", ["a"], [-1]) == [""]
    assert texts_of(np.zeros((1, 1, 2, 2), np.float32), GridShape(1, 2, 2)) is None


def test_long_texts_are_cut_and_wrapped() -> None:
    """Lines of at most 100 letters, and twelve of them; every text has its paper."""
    few, many = sheet_of_texts(["ab", ""]), sheet_of_texts(["word " * 1000, "end"])

    assert few.shape[1] < many.shape[1]
    assert many.shape[0] < 400
    assert (few[0, 0] != few[-1, 0]).any()
    assert few.min() < 100
