"""The range of pixels: which numbers are black and white, and what is said of dark pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import gridcnn
from gridcnn.adapters.image import ImageAdapter
from gridcnn.errors import DataError


def encoded(numbers: NDArray[Any], form: str) -> bytes:
    content = BytesIO()
    Image.fromarray(numbers).save(content, form)
    return content.getvalue()


def ramp(kind: str, most: float) -> NDArray[Any]:
    """Return 16 x 16 numbers from 0 to `most`, in one row after the other."""
    return np.linspace(0, most, 256).reshape(16, 16).astype(kind)


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("uint8", 15),
        ("uint16", 4095),
        ("int16", 1000),
        ("int32", 255),
        ("int64", 10**12),
        ("uint32", 255),
        ("float32", 255),
        ("float64", 0.01),
    ],
)
def test_the_range_says_which_numbers_are_black_and_white(kind: str, most: float) -> None:
    """Of every type of pixels, against the same by hand."""
    numbers = ramp(kind, most)

    cells = ImageAdapter(size=(16, 16), range=(0, most)).adapt(numbers)

    np.testing.assert_allclose(cells[0], numbers.astype(np.float64) / most * 2 - 1, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "form", "most"),
    [
        ("uint8", "PNG", 15),
        ("uint16", "PNG", 4095),
        ("uint16", "TIFF", 4095),
        ("int32", "TIFF", 255),
        ("int32", "TIFF", 10**6),
        ("float32", "TIFF", 255),
    ],
)
@pytest.mark.parametrize("fit", ["pad", "ink"])
def test_files_obey_the_range(kind: str, form: str, most: float, fit: Any) -> None:
    """As arrays do."""
    numbers = ramp(kind, most)
    adapter = ImageAdapter(size=(16, 16), range=(0, most), fit=fit)

    np.testing.assert_array_equal(adapter.adapt(encoded(numbers, form)), adapter.adapt(numbers))


def test_a_large_jpeg_obeys_the_range() -> None:
    """Also where it is decoded smaller."""
    content = encoded(np.full((300, 300, 3), 100, np.uint8), "JPEG")

    assert ImageAdapter(range=(0, 200)).adapt(content).max() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("kind", ["uint16", "uint8"])
def test_opacity_is_that_of_its_type(kind: str) -> None:
    """Whatever range the colours have: opaque stays opaque."""
    opaque = np.iinfo(kind).max
    numbers = np.stack([ramp(kind, 15), np.full((16, 16), opaque, kind)], axis=-1)
    adapter = ImageAdapter(size=(16, 16), range=(0, 15))

    np.testing.assert_allclose(adapter.adapt(numbers), adapter.adapt(ramp(kind, 15)), atol=1e-6)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32"])
def test_numbers_outside_of_the_range_are_refused(kind: str) -> None:
    """In one line that names the setting."""
    with pytest.raises(
        DataError,
        match=r"from 0 to 20 are outside of the range from 0 to 15; "
        r".*'range'",
    ):
        ImageAdapter(range=(0, 15)).adapt(ramp(kind, 20))


def test_bits_are_black_and_white_whatever_the_range() -> None:
    """They have no other values."""
    image = Image.new("1", (4, 4), 1)

    for thing in (image, encoded(np.asarray(image), "PNG"), np.asarray(image)):
        assert (ImageAdapter(range=(0, 4095)).adapt(thing) == 1).all()


# Remarks


def remarks(adapter: ImageAdapter, things: list[Any]) -> Mapping[str, int]:
    return adapter.remarks(things, adapter.grids(things).values, training=True)


def test_other_settings_are_advised_for_training_alone() -> None:
    """A model that is trained has its range, and pictures to answer may be dark."""
    things = [ramp("uint8", 20)] * 9
    adapter = ImageAdapter(size=(16, 16))

    assert remarks(adapter, things)
    assert not adapter.remarks(things, adapter.grids(things).values)


@pytest.mark.parametrize("polarity", ["keep", "invert", "ink"])
@pytest.mark.parametrize(
    ("kind", "most", "said"),
    [
        ("uint16", 4095, r"16-bit numbers of at most 4095, and 65535 .*=\[0, 4095\]"),
        ("uint16", 700, r"of at most 700, and 65535 is white: .*range=\[0, 1023\]"),
        ("uint8", 16, r"8-bit numbers of at most 16, and 255 is white: .*=\[0, 31\]"),
        ("float32", 0.0312, r"floats of at most 0.0312, and 1 is white: .*=\[0, 0.032\]"),
    ],
)
def test_pictures_that_use_little_of_their_range_are_noted(
    kind: str, most: float, said: str, polarity: Any
) -> None:
    """Once, with their number, and what to set."""
    things = [ramp(kind, most) for _ in range(10)]
    adapter = ImageAdapter(size=(16, 16), polarity=polarity)

    ((remark, count),) = remarks(adapter, things).items()

    assert count == 10
    assert remark.startswith("that were looked at hold ")
    assert re.search(said, remark)


def test_dark_pictures_among_bright_ones_are_not_noted() -> None:
    """A night is no sign of another range."""
    things = [ramp("uint8", 255), *[ramp("uint8", 20)] * 9]
    adapter = ImageAdapter(size=(16, 16))

    assert not remarks(adapter, things)


def test_types_are_told_apart() -> None:
    """Bright bytes say nothing about dark numbers of 16 bits; what cannot be read says nothing."""
    things: list[Any] = [ramp("uint8", 255), encoded(ramp("uint16", 1000), "PNG")] * 5
    adapter = ImageAdapter(size=(16, 16))
    grids = adapter.grids(things).values
    things[0] = b"changed since"

    ((remark, count),) = adapter.remarks(things, grids, training=True).items()

    assert count == 5
    assert remark.startswith("that were looked at hold 16-bit numbers")


def test_a_range_that_is_set_needs_no_note() -> None:
    """It was chosen."""
    things = [ramp("uint8", 20)] * 9
    adapter = ImageAdapter(size=(16, 16), range=(0, 255))

    assert not remarks(adapter, things)


def _pictures(folder: Path) -> Path:
    """Write bright bars and discs of 12 bits in files of 16."""
    random = np.random.default_rng(0)
    for label in ("flat", "steep"):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            numbers = random.integers(0, 1500 if label == "flat" else 4096, (16, 16))
            numbers[0, 0] = 4095 if label == "steep" else 1500
            Image.fromarray(numbers.astype(np.uint16)).save(folder / label / f"{number}.png")
    return folder


SPEC = {
    "adapter": {"image": {"size": [16, 16]}},
    "head": "voting",
    "training": {"epochs": 1, "batch_size": 8},
}


def test_a_run_says_so_and_strict_makes_it_an_error(tmp_path: Path) -> None:
    """With the remedy, which is then followed, stored with the model, and obeyed."""
    data = _pictures(tmp_path / "data")

    result = gridcnn.run(SPEC, data=data, out=tmp_path / "run")
    notes = [note for note in result.metrics["notes"] if "16-bit" in note]
    with pytest.raises(DataError, match="16-bit numbers of at most 4095"):
        gridcnn.run(SPEC, data=data, out=tmp_path / "strict", strict=True)

    assert len(notes) == 1
    change = notes[0].rpartition("set ")[2]
    better = gridcnn.run(SPEC, data=data, out=tmp_path / "better", changes=[change])
    assert not [note for note in better.metrics["notes"] if "16-bit" in note]
    model = gridcnn.load(tmp_path / "better")
    assert model.adapter.range == (0, 4095)  # type: ignore[attr-defined]
    assert model.maps(data / "steep" / "0.png", after=0).max() == 1
