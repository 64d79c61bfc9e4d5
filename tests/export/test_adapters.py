"""Adapters as nodes of ONNX: the same grids as in Python, in ONNX Runtime and in OpenVINO."""

import functools
from typing import Any

import numpy as np
import pytest

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.table import TableAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.errors import UserError
from tests.export.adapting import check, content_of, in_openvino

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

# Pictures -----------------------------------------------------------------------------------------

SHAPES = [(16, 20, 3), (40, 31, 3), (7, 9, 1), (33, 90, 4), (100, 96, 3), (12, 80, 2), (1, 1, 3)]


@functools.cache
def pictures(kind: str) -> list[Any]:
    random = np.random.default_rng(0)
    if kind == "uint8":
        return [random.integers(0, 256, shape).astype(np.uint8) for shape in SHAPES * 2]
    return [random.random(shape, np.float32) for shape in SHAPES]


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize(("channels", "polarity"), [(1, "keep"), (3, "invert")])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_pictures_of_any_size_are_resized_as_pillow_does_it(
    fit: Any, channels: Any, polarity: Any, kind: Any
) -> None:
    """With and without opacity, to the last byte; larger and smaller than the grid."""
    adapter = ImageAdapter(size=(16, 20), channels=channels, fit=fit, polarity=polarity)

    # OpenVINO has no double precision, and rounds some bytes to their neighbours.
    check(adapter, pictures(kind), openvino=kind == "float32", pixels=kind)


def test_openvino_rounds_few_bytes_otherwise() -> None:
    adapter = ImageAdapter(size=(16, 20))
    run = in_openvino(content_of(adapter))
    for picture in pictures("uint8")[:2]:
        apart = np.abs(run("pixels", picture[None])[0] - adapter.adapt(picture))
        assert apart.max() < 2 / 255 + 1e-5
        assert (apart > 1e-5).mean() < 0.01


@pytest.mark.parametrize("settings", [{"range": (0.0, 4.0)}, {"background": "#102030"}])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_range_and_background_of_pictures_are_inside(settings: Any, kind: str) -> None:
    adapter = ImageAdapter(size=(8, 8), channels=3, **settings)
    most = 4 if "range" in settings else 255
    random = np.random.default_rng(0)
    things = [random.integers(0, most + 1, (9, 8, 4)).astype(np.uint8) for _ in range(3)]
    if kind == "float32":
        divisor = 1.0 if "range" in settings else 255.0
        things = [(each / divisor).astype(np.float32) for each in things]
        if "range" in settings:  # of floats, opacity has the same range
            things = [each.astype(np.float32) for each in things]

    check(adapter, things, pixels=kind)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_pictures_with_very_many_pixels_are_averaged_in_blocks(fit: Any) -> None:
    """As Python does it, to the last byte; the last blocks may be narrower."""
    adapter = ImageAdapter(size=(8, 12), channels=3, fit=fit)
    rows, columns = np.mgrid[:413, :530]
    random = np.random.default_rng(0)
    waves = 127 + 80 * np.sin(rows / 50) * np.cos(columns / 70) + random.normal(0, 15, rows.shape)
    picture = np.stack([waves, 255 - waves, waves / 2], axis=2).clip(0, 255).astype(np.uint8)

    check(adapter, [picture, picture[:, :, :1], picture[:95]], openvino=False)


# Sounds -------------------------------------------------------------------------------------------

SOUNDS: list[dict[str, Any]] = [
    {},
    {"kind": "linear", "fmin": 100.0},
    {"kind": "bands", "bands": (20.0, 250.0, 2000.0)},
    {"kind": "mfcc"},
    {"kind": "mfcc", "scaling": "clip"},
    {"power": 1.0, "reference": 1.0},
    {"power": 1.5},
    {"shorter": "centre", "trim_db": 35.0},
    {"shorter": "repeat", "longer": "start"},
    {"shorter": "repeat", "trim_db": 20.0},
    {"scaling": "band", "means": (-30.0,) * 20, "deviations": (9.0,) * 20},
    {"n_fft": 255, "hop_length": 100},
    {"n_fft": 1024, "hop_length": 200},
    {"n_fft": 801, "hop_length": 400},
]


@functools.cache
def clips() -> list[Any]:
    random = np.random.default_rng(0)
    made = []
    for length in (3200, 1000, 5001, 1, 40):
        time = np.arange(length) / 8000
        tone = np.sin(2 * np.pi * time * random.uniform(100, 3000))
        fading = np.exp(-(((time - length / 16000) * 20) ** 2))
        made.append((tone * fading + random.normal(0, 1e-3, length)).astype(np.float32))
    return [*made, np.zeros(700, np.float32)]


@pytest.mark.parametrize("settings", SOUNDS)
def test_sounds_of_any_length_become_the_same_spectrograms(settings: dict[str, Any]) -> None:
    usual = {"duration": 0.4, "n_fft": 256, "hop_length": 128, "n_mels": 20, "floor_db": 60.0}

    check(AudioAdapter(**{"sample_rate": 8000, **usual, **settings}), clips(), atol=5e-5)


def test_grids_that_librosa_makes_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="'kind: chroma' of audio cannot be expressed in ONNX"):
        content_of(AudioAdapter(kind="chroma", duration=1.0))


# Texts and molecules ------------------------------------------------------------------------------

TEXTS = [
    "Hello you",
    "ab",
    "A!? Zebra\nÄÖ",
    "abcdefghijklmnopqrstuvwxyz 0123",
    "İx",
    "\U0001f600 hi",
]


@pytest.mark.parametrize("cut", ["end", "start", "middle"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("unknown", ["ignore", "symbol", "drop"])
def test_characters_are_placed_alike(cut: Any, direction: Any, unknown: Any) -> None:
    alphabet = "abcdefghij loyuä\n"
    adapter = TextAdapter(
        alphabet=alphabet, length=9, cut=cut, direction=direction, unknown=unknown, empty="allow"
    )

    check(adapter, TEXTS)


def test_capitals_become_small_letters_inside() -> None:
    texts = [text for text in TEXTS if "İ" not in text]

    check(TextAdapter(alphabet="abcdehlouyäö", lower=True, length=12), texts)


def test_bytes_go_in_as_they_are() -> None:
    check(TextAdapter(unit="byte", length=20, cut="start"), [*TEXTS, b"\x00\xff"])


@pytest.mark.parametrize("unknown", ["ignore", "symbol", "drop"])
def test_words_go_in_as_texts_or_as_numbers(unknown: Any) -> None:
    """OpenVINO knows no texts, and takes numbers."""
    adapter = TextAdapter(
        unit="word", alphabet=("hello", "!", "ab"), lower=True, length=4, unknown=unknown
    )
    texts = ["Hello you", "ab", "AB ! ? Zebra hello hello ab", "nothing"]

    check(adapter, texts, openvino=False)
    check(adapter, texts, numbers=True)


@pytest.mark.parametrize("unknown", ["ignore", "symbol"])
@pytest.mark.parametrize("brackets", ["parts", "whole"])
def test_molecules_go_in_as_numbers_of_tokens(unknown: Any, brackets: Any) -> None:
    alphabet = ("C", "c", "O", "(", ")", "1", "=")
    adapter = MoleculeAdapter(alphabet=alphabet, length=8, unknown=unknown, brackets=brackets)

    check(adapter, ["CCO", "c1ccccc1O", "C(=O)Cl", "[NH3+]CC", "C"])


def test_normal_forms_of_unicode_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="'normalization: NFC' of text cannot be expressed"):
        content_of(TextAdapter(alphabet="ab", length=4, normalization="NFC"))


# Numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"scaling": "column"},
        {"scaling": "overall", "limit": 1.5},
        {"scaling": "row"},
        {"scaling": "none"},
        {"scaling": "column", "missing": "mean"},
        {"scaling": "row", "missing": "zero"},
        {"channels": 2, "order": "interleaved"},
        {"size": [2, 3]},
    ],
)
def test_tables_are_scaled_inside(settings: dict[str, Any]) -> None:
    """Also far from 0, and in columns of one value."""
    rows = np.random.default_rng(0).normal(0, 3, (40, 6))
    rows += np.array([0, 1, 1000, -5, 3e4, 7])
    rows[:, 5] = 7
    if "missing" in settings:
        rows[::3, 1] = np.nan
    rows = rows.astype(np.float32).astype(np.float64)
    adapter = TableAdapter(**settings).fitted(rows)

    check(adapter, rows, atol=2e-5)


@pytest.mark.parametrize("scaling", ["range", "none", "auto"])
def test_arrays_are_scaled_inside(scaling: Any) -> None:
    stack = np.random.default_rng(0).normal(500, 3, (40, 2, 5, 4)).astype(np.float32)
    stack[0, 0, 0, 0] = 9000
    adapter = ArrayAdapter(scaling=scaling, channel_order="first").fitted(stack)

    check(adapter, stack, atol=2e-5)


@pytest.mark.parametrize("opset", [13, 18, 21])
def test_adapters_work_with_every_version_of_the_operators(opset: int) -> None:
    check(ImageAdapter(size=(8, 8), channels=3), pictures("float32"), opset=opset, pixels="float32")
    audio = AudioAdapter(sample_rate=8000, duration=0.2, n_fft=128, hop_length=64, n_mels=8)
    check(audio, clips(), atol=5e-5, opset=opset)
    check(TextAdapter(alphabet="abc", length=4, cut="middle"), TEXTS[:3], opset=opset)
    words = TextAdapter(unit="word", alphabet=("ab", "c"), length=4)
    check(words, TEXTS[:3], opset=opset, openvino=False)
    rows = np.random.default_rng(0).normal(0, 3, (9, 6))
    check(TableAdapter(scaling="row").fitted(rows), rows, opset=opset)


def test_an_adapter_of_another_package_is_refused() -> None:
    class Own(TableAdapter):
        pass

    with pytest.raises(UserError, match="the adapter table cannot be expressed in ONNX"):
        content_of(Own(size=(1, 3), scaling="none"))
