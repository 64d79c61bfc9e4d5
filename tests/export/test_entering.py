"""The header is C and C++, and its last step of an adapter makes the adapter's own grids."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.table import TableAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.export.compiled.compilation import Compiled
from gridcnn.export.compiled.entering import entering
from gridcnn.export.compiled.header import Meaning, header
from gridcnn.export.compiled.targets import find_target
from gridcnn.grid import Array
from gridcnn.network import Network
from gridcnn.spec.load import load
from tests.export.compiling import HERE, needs, needs_gcc

pytestmark = needs_gcc

_STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function")


def header_of(adapter: Adapter, *, indices: bool = False, **meaning: Any) -> str:
    """Return the header of a network on an adapter's grids; its sizes are invented."""
    network = Network(load({"head": "voting"}), adapter.shape(), classes=2)
    target = find_target(HERE)
    compiled = Compiled("net", target, network, indices, b"", None, 4, 5, 64, 7, ())
    return header(compiled, Meaning(["one", "two"], adapter=adapter, **meaning))


class Header:
    """The functions of a header, in a library."""

    def __init__(self, text: str, folder: Path, function: str, given: str, grid: str) -> None:
        (folder / "net.h").write_text(text)
        passed = ", count" if "text" in function else ""
        count = ", int count" if passed else ""
        (folder / "net.c").write_text(
            f'#include "net.h"\nvoid fill(const {given} *item, {grid} *grid{count});\n'
            f"void fill(const {given} *item, {grid} *grid{count})\n"
            f"{{ {function}(item{passed}, grid); }}\n"
        )
        command = ["gcc", *_STRICT, "-O1", "-shared", "-fPIC", "net.c", "-o", "net.so"]
        subprocess.run(command, cwd=folder, check=True)
        self._fill = ctypes.CDLL(str(folder / "net.so")).fill
        self._kind = np.int32 if grid == "int32_t" else np.float32

    def __call__(self, item: Array, cells: int) -> Array:
        grid = np.full(cells + 1, -7, self._kind)
        places = [ctypes.c_void_p(array.ctypes.data) for array in (item, grid)]
        self._fill(*places, len(item))
        assert grid[-1] == -7, "it wrote beyond the grid"
        return grid[:-1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("polarity", ["keep", "invert"])
def test_pixels_become_the_cells_of_the_image_adapter(
    channels: int, polarity: str, tmp_path: Path
) -> None:
    adapter = ImageAdapter.model_validate(
        {"size": [5, 4], "channels": channels, "polarity": polarity}
    )
    fill = Header(
        header_of(adapter), tmp_path, "net_grid_from_pixels", given="uint8_t", grid="float"
    )
    sizes = (5, 4, 3) if channels == 3 else (5, 4)
    pixels = np.random.default_rng(0).integers(0, 256, sizes).astype(np.uint8)

    grid = fill(pixels, adapter.shape().cells)

    np.testing.assert_allclose(grid, adapter.adapt(pixels).ravel(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("changes", [{"fit": "ink"}, {"polarity": "ink"}, {"range": [0, 100]}])
def test_pictures_that_take_more_steps_have_no_function(changes: dict[str, Any]) -> None:
    made = entering(ImageAdapter.model_validate(changes), "net", indices=False)

    assert not made.code
    (name,) = changes
    assert f"{name}: " in made.comments[0]


@pytest.mark.parametrize(
    "changes",
    [{"low": -2, "high": 6}, {"scaling": "none"}, {"low": 1, "high": 1}, {"limit": 0.5}],
)
def test_numbers_become_the_cells_of_the_array_adapter(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    settings = {"size": [3, 4], "channels": 2, "channel_order": "first", "low": -2, "high": 9}
    adapter = ArrayAdapter.model_validate({**settings, "scaling": "range", **changes})
    fill = Header(
        header_of(adapter), tmp_path, "net_grid_from_numbers", given="float", grid="float"
    )
    numbers = random.uniform(-30, 30, (2, 3, 4)).astype(np.float32)

    grid = fill(numbers, 24)

    np.testing.assert_allclose(grid, adapter.adapt(numbers).ravel(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"scaling": "column"},
        {"scaling": "overall", "limit": 0.5},
        {"scaling": "none", "missing": "zero"},
        {"scaling": "column", "missing": "mean", "channels": 3, "order": "interleaved"},
    ],
)
def test_a_row_becomes_the_cells_of_the_table_adapter(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    rows = np.random.default_rng(0).normal(3, 2, (20, 12)).astype(np.float32)
    rows[:, 5] = 3  # it does not vary
    if "missing" in changes:
        rows[0, 2] = rows[1, 7] = np.nan
    adapter = TableAdapter.model_validate(changes).fitted(rows)
    fill = Header(
        header_of(adapter), tmp_path, "net_grid_from_numbers", given="float", grid="float"
    )

    for row in rows[:3]:
        expected = adapter.adapt(row).ravel()
        np.testing.assert_allclose(fill(row, 12), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("unit", ["character", "byte"])
@pytest.mark.parametrize("indices", [True, False])
@settings(max_examples=3)
@given(
    unknown=st.sampled_from(["ignore", "symbol", "drop"]),
    direction=st.sampled_from(["forward", "backward"]),
    cut=st.sampled_from(["end", "start", "middle"]),
    texts=st.lists(st.text("aäb c\U0001f600", min_size=1, max_size=12), min_size=20, max_size=20),
)
def test_texts_become_the_grids_of_the_text_adapter(
    tmp_path_factory: pytest.TempPathFactory,
    unit: str,
    indices: bool,
    texts: list[str],
    **chosen: str,
) -> None:
    alphabet = None if unit == "byte" else "ba\U0001f600ä"
    adapter = TextAdapter.model_validate(
        {"unit": unit, "alphabet": alphabet, "length": 5, "empty": "allow", **chosen}
    )
    fill = Header(
        header_of(adapter, indices=indices),
        tmp_path_factory.mktemp("text"),
        "net_grid_from_text",
        given="uint8_t" if unit == "byte" else "uint32_t",
        grid="int32_t" if indices else "float",
    )

    for text in texts:
        kind = ("utf-8", np.uint8) if unit == "byte" else ("utf-32-le", np.uint32)
        signs = np.frombuffer(text.encode(kind[0]), kind[1]).copy()
        expected = adapter.indices(text) if indices else adapter.adapt(text).ravel()
        np.testing.assert_array_equal(fill(signs, expected.size), expected)


def test_an_adapter_that_takes_more_steps_is_described() -> None:
    made = entering(AudioAdapter(), "net", indices=False)

    assert not made.code
    assert made.comments[0].startswith("The grid is that of the adapter 'audio' with ")


@needs("g++")
@pytest.mark.parametrize("language", ["c", "c++"])
def test_no_name_of_a_class_ends_the_text_around_it(language: str, tmp_path: Path) -> None:
    adapter = ArrayAdapter.model_validate({"size": [1, 2], "channels": 1, "scaling": "none"})
    network = Network(load({"head": "voting"}), adapter.shape(), classes=3)
    compiled = Compiled("net", find_target(HERE), network, False, b"", None, 4, 5, 64, 7, ())
    names = ['a"; */ }', "\\n??/ä", "line\nbreak"]
    (tmp_path / "net.h").write_text(header(compiled, Meaning(names, adapter=adapter)))
    (tmp_path / "main.c").write_text(
        '#include "net.h"\n#include <stdio.h>\n'
        "int main(void) { static const char *const names[] = NET_CLASS_NAMES;"
        ' for (int at = 0; at < NET_CLASSES; at++) printf("%s|", names[at]); return 0; }\n'
    )
    options = [flag for flag in _STRICT if not flag.startswith("-std")]
    command = ["gcc", "-x", language, *options, "-trigraphs", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)

    done = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True)

    assert done.stdout.decode() == "".join(f"{name}|" for name in names)


def test_thresholds_of_several_labels_are_in_the_header() -> None:
    adapter = ArrayAdapter.model_validate({"size": [1, 2], "channels": 1, "scaling": "none"})

    text = header_of(adapter, several=True, thresholds=(0.25, 0.5))

    assert "#define NET_THRESHOLDS {0.25f, 0.5f}" in text
    assert "net_best" not in text


def test_words_are_in_the_header() -> None:
    adapter = TextAdapter.model_validate(
        {"unit": "word", "alphabet": ["don't", "say"], "length": 4, "unknown": "symbol"}
    )

    text = header_of(adapter, indices=True)

    assert '#define NET_ROW_NAMES {"don\'t", "say", "unknown"}' in text
    assert "net_grid_from" not in text


@pytest.mark.parametrize("high", [1e300, 1e-40])
def test_scales_that_float32_cannot_hold_have_no_function(high: float) -> None:
    settings = {"size": [1, 2], "channels": 1, "scaling": "range", "low": 0, "high": high}

    assert not entering(ArrayAdapter.model_validate(settings), "net", indices=False).code
