"""The page's adapters in JavaScript make the grids that the adapters make."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gridcnn.adapters.samples import samples_of
from gridcnn.contracts.adapter import Adapter
from gridcnn.contracts.source import Request
from gridcnn.errors import DataError, SpecError
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.pipelines import ready
from gridcnn.report.live import live_data
from gridcnn.report.live_rates import rate_filters
from gridcnn.spec.load import load

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
SEEDS = st.integers(0, 2**32)
few_or_many = pytest.mark.parametrize(
    "how", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.long)]
)


class Dice:
    """Chooses from what there is, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def one(self, *choices: Any) -> Any:
        return choices[self.random.integers(len(choices))]

    def whole(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))


def model_with(name: str, adapter: dict[str, Any], things: Any = ()) -> Model:
    """Return a small model of random weights with an adapter that has learned from things."""
    spec = load({"adapter": {name: adapter}, "stages": ["rectification"], "head": "voting"})
    assert spec.adapter is not None
    spec = spec.model_copy(update={"adapter": spec.adapter.fitted(things)})
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=3)
    return Model(spec, ["a", "b", "c"], network.starting_parameters(), engine="reference")


def same_grid(
    program: Any, adapter: Adapter, thing: Any, item: Any, *, close: float, rarely: float = 0.0
) -> None:
    """Assert that a thing has the same grid, or a problem, in the page and in Python.

    All but a thousandth of the cells are `close`, and the others are no farther off than `rarely`.
    """
    try:
        expected = adapter.adapt(thing)
    except DataError:
        with pytest.raises(DataError):
            program.grid(item)
        return
    found = program.grid(item).reshape(expected.shape)

    apart = np.abs(found - expected)
    # A pixel of bare paper that is painted over a frame may round to the next level.
    assert apart.max() <= max(close, rarely), f"{apart.max()} in a cell"
    assert np.quantile(apart, 0.999) <= close, f"{np.quantile(apart, 0.999)} in many cells"


def fuzzed(how: settings, test: Callable[[Dice], None]) -> None:
    """Run a test with many dice."""

    def run(seed: int) -> None:
        test(Dice(seed))

    tested: Any = how(given(seed=SEEDS)(run))
    tested()


# Pictures ---------------------------------------------------------------------------------------


def decoded(image: Image.Image) -> dict[str, Any]:
    """Return a picture as a browser decodes it."""
    opaque = image.mode not in ("LA", "RGBA", "PA")
    content = image.convert("RGBA")
    data = base64.b64encode(content.tobytes()).decode()
    return {"width": image.width, "height": image.height, "data": data, "opaque": opaque}


def scribble(dice: Dice) -> Image.Image:
    """Return a drawing, a gradient, noise, or some of each, of any size."""
    width, height = dice.whole(3, 200), dice.whole(3, 200)
    if dice.one(*[False] * 9, True):
        width, height = dice.whole(300, 700), dice.whole(300, 700)
    values = np.full((height, width, 3), dice.whole(0, 255), np.float64)
    y, x = np.mgrid[:height, :width]
    if dice.one(True, False):
        values += ((x + 2 * y) * dice.whole(-60, 60) / (width + height))[:, :, None]
    for _ in range(dice.whole(0, 4)):  # strokes, of which some are frames
        stroke = np.abs(x * dice.random.normal() + y * dice.random.normal() - dice.whole(0, width))
        values[stroke < dice.whole(1, 5)] = dice.random.integers(0, 256, 3)
    if dice.one(True, False, False):
        band = dice.whole(1, max(1, height // 6))
        values[:band] = dice.whole(0, 255)
    values += dice.random.normal(0, dice.one(0, 0, 2, 20), values.shape)
    image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    mode = dice.one("L", "RGB", "RGB", "RGBA", "LA")
    image = image.convert(mode)
    if mode in ("RGBA", "LA"):
        opacity = dice.random.integers(0, 256, (height, width)).astype(np.uint8)
        image.putalpha(Image.fromarray(opacity))
    return image


@few_or_many
def test_pictures(program: Any, how: Any) -> None:
    """Pictures of any size and colour mode have the same cells, to the rounding of floats.

    Of large pictures with opacity Pillow rounds once more.
    """

    def test(dice: Dice) -> None:
        image = scribble(dice)
        adapter = {
            "size": dice.one([16, 16], [32, 32], [7, 20], [image.height, image.width]),
            "channels": dice.one(1, 3),
            "fit": dice.one("pad", "crop", "stretch", "ink", "ink"),
            "polarity": dice.one("keep", "invert", "ink"),
            "background": dice.one("auto", "auto", "white", "#204060"),
            "margin": dice.one(0.125, 0.0, 1.0),
            "range": dice.one(None, None, None, [0, 300], [10, 220]),
        }
        model = model_with("image", adapter)
        program.load(model)

        rounded = image.mode in ("RGBA", "LA") and max(image.size) > 100
        close = 0.02 if rounded else 2e-5
        same_grid(program, model.adapter, image, decoded(image), close=close, rarely=2e-3)

    fuzzed(how, test)


def test_framed_drawings(program: Any, photograph: Any, draw: Any) -> None:
    """Frames and shadows of photographed drawings are found in the same places."""
    model = model_with("image", {"size": [32, 32], "fit": "ink", "polarity": "ink"})
    program.load(model)

    for maker in (photograph, draw):
        for image, _ in maker(4, 5):
            same_grid(program, model.adapter, image, decoded(image), close=1e-4)


# Sounds -----------------------------------------------------------------------------------------


def wave_file(samples: NDArray[Any], rate: int, subtype: str) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def noisy_tone(dice: Dice, rate: int) -> NDArray[np.float64]:
    seconds = dice.random.uniform(0.01, 0.6)
    time = np.arange(max(1, int(seconds * rate))) / rate
    tone = 0.5 * np.sin(2 * np.pi * dice.whole(50, 3000) * time) * np.exp(-3 * time)
    tone += dice.one(0, 0.001, 0.05) * dice.random.normal(0, 1, len(time))
    silence = np.zeros(dice.one(0, 0, rate // 10))
    samples = np.concatenate([silence, tone, silence])
    return samples if dice.one(True, False) else np.stack([samples, samples[::-1]], axis=1)


def sound_adapter(dice: Dice, rate: int) -> dict[str, Any]:
    kind = dice.one("mel", "linear", "bands", "mfcc", "chroma")
    adapter: dict[str, Any] = {
        "kind": kind,
        "sample_rate": rate,
        "n_fft": dice.one(256, 512, 400, 511),
        "hop_length": dice.one(128, 100),
        "power": dice.one(2.0, 1.0, 1.5),
        "duration": dice.one(0.25, 0.4),
        "longer": dice.one("centre", "start"),
        "shorter": dice.one("pad", "centre", "repeat"),
        "trim_db": dice.one(None, None, 30.0),
        "scaling": dice.one("range", "clip"),
    }
    if kind in ("mel", "mfcc"):
        adapter |= {"n_mels": dice.one(12, 20), "fmin": dice.one(0.0, 50.0)}
    if kind == "mfcc":
        adapter["n_mfcc"] = dice.one(5, 12)
    if kind == "bands":
        adapter["bands"] = [50, 500, 1000, rate / 2]
    if kind == "linear":
        adapter |= {"fmin": 100.0, "fmax": 2000.0}
    if kind != "chroma":
        adapter |= {"reference": dice.one("max", 1.0), "floor_db": dice.one(80.0, 60.0)}
    return adapter


@few_or_many
@pytest.mark.usefixtures("librosa")
def test_sounds(program: Any, how: Any) -> None:
    """WAV files that have the model's rate have the same cells."""

    def test(dice: Dice) -> None:
        rate = dice.one(8000, 16000)
        adapter = sound_adapter(dice, rate)
        samples = noisy_tone(dice, rate)
        model = model_with("audio", adapter)
        program.load(model)
        content = wave_file(samples, rate, dice.one("PCM_16", "PCM_24", "PCM_U8", "FLOAT"))

        item = {"wave": base64.b64encode(content).decode()}
        # Where it is nearly silent, decibels tell the rounding of 32-bit floats.
        same_grid(program, model.adapter, content, item, close=1e-2)

    fuzzed(how, test)


BY_LIBROSA = {
    "pcen": {"kind": "pcen", "n_mels": 12},
    "pcen, by a reference": {"kind": "pcen", "n_mels": 12, "reference": 3.0, "pcen_power": 0.25},
    "pcen without a bias": {"kind": "pcen", "n_mels": 12, "pcen_bias": 0.0, "scaling": "clip"},
    "hpss": {"kind": "hpss", "n_mels": 12},
    "hpss, of few": {"kind": "hpss", "n_mels": 12, "hpss_kernel": 8, "hpss_margin": 2.0},
    "hpss, of many": {"kind": "hpss", "n_mels": 5, "hpss_kernel": 60, "power": 1.0},
    "tempogram": {"kind": "tempogram", "n_mels": 12, "slowest": 60.0, "tempo_window": 64},
    "tempogram, odd": {"kind": "tempogram", "slowest": 140.0, "hop_length": 80, "tempo_window": 51},
    "cqt": {"kind": "cqt", "n_bins": 60, "fmin": 65.0},
    "cqt, of one note": {"kind": "cqt", "n_bins": 1, "fmin": 440.0, "reference": 0.1},
    "cqt, odd": {
        "kind": "cqt",
        "n_bins": 40,
        "bins_per_octave": 15,
        "fmin": 200.0,
        "hop_length": 101,
    },
    "cqt, halved before": {"kind": "cqt", "n_bins": 24, "fmin": 65.0, "hop_length": 256},
    "vqt": {"kind": "vqt", "n_bins": 50, "fmin": 40.0},
    "vqt, wider": {"kind": "vqt", "n_bins": 30, "fmin": 100.0, "gamma": 20.0, "floor_db": 60.0},
}


@pytest.mark.parametrize("name", BY_LIBROSA)
@pytest.mark.usefixtures("librosa")
def test_kinds_that_librosa_computes(program: Any, name: str) -> None:
    """Their cells, and the votes for them, are those of the model; of silence as well."""
    dice = Dice(7)
    rate = 8000
    adapter = {"sample_rate": rate, "duration": 0.5, **BY_LIBROSA[name]}
    model = model_with("audio", {"n_fft": 256, "hop_length": 128, **adapter})
    program.load(model)

    for samples in (noisy_tone(dice, rate), noisy_tone(dice, rate), np.zeros(3000)):
        content = wave_file(samples, rate, "PCM_16")
        item = {"wave": base64.b64encode(content).decode()}
        # Where it is nearly silent, decibels tell the rounding of 32-bit floats.
        same_grid(program, model.adapter, content, item, close=1e-2)
        np.testing.assert_allclose(program.votes(item), model.votes(content)[0], atol=1e-4)


@pytest.mark.parametrize(
    ("rate", "wanted", "close"),
    [
        (48_000, 16_000, 2e-6),
        (8_000, 16_000, 2e-6),
        (44_100, 22_050, 2e-6),
        (44_100, 16_000, 2e-6),
        (22_050, 8_000, 2e-6),
        (11_025, 16_000, 2e-6),
        (37_800, 22_050, 2e-2),
    ],
)
def test_other_sample_rates(program: Any, rate: int, wanted: int, close: float) -> None:
    """Samples at another rate are those of soxr, which the adapter uses.

    Rates that are neither usual nor a simple ratio are nearly so, but for their first samples.
    """
    random = np.random.default_rng(0)
    samples = random.uniform(-0.5, 0.5, rate // 10).astype(np.float32)

    expected = samples_of(wave_file(samples, rate, "FLOAT"), sample_rate=wanted, max_duration=1.0)
    found = program.ask(
        "resample",
        samples=samples.tolist(),
        rate=rate,
        wanted=wanted,
        count=len(expected),
        tables=rate_filters(wanted),
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=close)


# Texts and molecules ----------------------------------------------------------------------------

LETTERS = "abcXYZ 0189-,.!'\u2019\n\té\u0301ßİΣς中\ufb01²½\u00a0\u2003_🙂\u0130"


@few_or_many
def test_texts(program: Any, how: Any) -> None:
    """Texts have the same rows in all columns: characters, words and bytes."""

    def test(dice: Dice) -> None:
        texts = [
            "".join(dice.random.choice(list(LETTERS), dice.whole(0, 30))) for _ in range(6)
        ] + ["don't stop"]
        adapter = {
            "unit": dice.one("character", "word", "byte"),
            "lower": dice.one(True, False),
            "normalization": dice.one("none", "NFC", "NFKC"),
            "length": dice.one("auto", 5, 12),
            "direction": dice.one("forward", "backward"),
            "cut": dice.one("end", "start", "middle"),
            "unknown": dice.one("ignore", "symbol", "drop"),
            "empty": dice.one("refuse", "allow"),
            "max_symbols": dice.one(1000, 5),
        }
        model = model_with("text", adapter, texts)
        program.load(model)

        for text in texts[:4]:
            same_grid(program, model.adapter, text, text, close=0)

    fuzzed(how, test)


SMILES = (
    "CCO", "c1ccccc1C(=O)O", "[13C@@H2+:1]CO", "C%12CCCC%12", "N[C@@H](C)C(=O)O", "F/C=C/F",
    "C1CC1C2CC2", "[Na+].[Cl-]", "CCO |$;;$| x", "C\\\\C=C", "[nH]1cccc1", "C[Si](C)(C)Cl",
)  # fmt: skip


@few_or_many
def test_molecules(program: Any, how: Any) -> None:
    """Molecules have the same rows in all columns, and what is no molecule is refused."""

    def test(dice: Dice) -> None:
        adapter = {
            "brackets": dice.one("parts", "whole"),
            "unknown": dice.one("ignore", "symbol"),
            "length": dice.one("auto", 6),
        }
        model = model_with("molecule", adapter, list(SMILES[: dice.whole(3, len(SMILES))]))
        program.load(model)

        given = dice.one(*SMILES)
        signs = list("CNO()[]=#1%.+-/c nH")
        for _ in range(dice.one(0, 1, 2)):  # what is likely to break it
            place = dice.whole(0, len(given))
            given = given[:place] + dice.one(*signs) + given[place + dice.one(0, 1) :]
        same_grid(program, model.adapter, given, given, close=0)

    fuzzed(how, test)


# Tables and arrays ------------------------------------------------------------------------------


@few_or_many
def test_tables(program: Any, how: Any) -> None:
    """Rows of tables have the same cells, with missing numbers as well."""

    def test(dice: Dice) -> None:
        shape = dice.one([1, 12], [3, 4], [2, 2])
        channels = dice.one(1, 2)
        rows = dice.random.normal(5, 3, (20, channels * shape[0] * shape[1]))
        rows[:, 0] = 1.5
        rows[3, 2] = dice.one(9.0, 1e6)
        missing = dice.one("refuse", "mean", "zero")
        if missing != "refuse":
            rows[dice.random.random(rows.shape) < 0.1] = np.nan
            rows[0] = 1.0
        adapter = {
            "size": shape,
            "channels": channels,
            "order": dice.one("rows", "interleaved"),
            "scaling": dice.one("column", "row", "overall", "none"),
            "missing": missing,
            "limit": dice.one(None, 1.0),
        }
        model = model_with("table", adapter, rows)
        program.load(model)

        row = rows[dice.whole(0, 19)]
        text = dice.one(", ", ";", "\t").join(
            "" if np.isnan(each) else repr(float(each)) for each in row
        )
        same_grid(program, model.adapter, row, {"numbers": text}, close=1e-6)
        with pytest.raises(DataError, match="numbers"):
            program.grid({"numbers": "1, 2, 3"})

    fuzzed(how, test)


@few_or_many
def test_arrays(program: Any, how: Any) -> None:
    """Arrays have the same cells, written as lists, or stored by NumPy."""

    def test(dice: Dice) -> None:
        shape = dice.one((9,), (4, 5), (2, 4, 5), (4, 5, 3), (3, 4, 4))
        items = dice.random.normal(2, 5, (8, *shape))
        adapter = {
            "channel_order": dice.one("auto", "first", "last"),
            "scaling": dice.one("auto", "range", "none"),
            "limit": dice.one(None, 0.5),
        }
        model = model_with("array", adapter, items)
        program.load(model)

        kind = dice.one("<f8", "<f4", ">f4", "<i4", "|i1")
        item = items[0].astype(kind)
        file = io.BytesIO()
        np.save(file, item)
        stored = {"npy": base64.b64encode(file.getvalue()).decode()}
        same_grid(program, model.adapter, item, stored, close=1e-5)
        same_grid(program, model.adapter, item, {"array": json.dumps(item.tolist())}, close=1e-5)

    fuzzed(how, test)


def test_what_a_page_cannot_do_is_refused_by_name() -> None:
    """An adapter that needs RDKit cannot become a page."""
    adapter = {"canonical": True, "alphabet": ["C"], "length": 4}
    with pytest.raises(SpecError, match="'canonical: true'"):
        live_data(model_with("molecule", adapter))


def in_page(adapter: Adapter, thing: Any) -> Any:
    """Return a thing as the page takes it."""
    if adapter.title == "image":
        return decoded(Image.fromarray(thing))
    if adapter.title == "audio":
        return {"wave": base64.b64encode(thing).decode()}
    if adapter.title == "table":
        return {"numbers": ", ".join(repr(float(each)) for each in thing)}
    return thing


@pytest.mark.parametrize("name", ["xo", "nudge", "digits", "sounds", "phrases", "series"])
def test_ready_specs_are_answered_as_by_the_model(program: Any, name: str) -> None:
    """From the item to the votes, a page answers as the model does, to 1e-4."""
    changes = {} if name == "digits" else {f"data.source.{SOURCE[name]}.count": 100}
    spec = load(name, ready=ready(), changes=changes)
    assert spec.data is not None
    assert spec.data.source is not None
    assert spec.adapter is not None
    data = spec.data.source.open(Request())
    spec = spec.model_copy(update={"adapter": spec.adapter.fitted(data.things[:50])})
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=len(data.classes))
    model = Model(spec, list(data.classes), network.starting_parameters(), engine="reference")
    program.load(model)
    things = [data.things[number] for number in range(0, 100, 20)]

    found = [program.votes(in_page(model.adapter, thing)) for thing in things]
    np.testing.assert_allclose(found, model.votes_of_many(things), rtol=0, atol=1e-4)


SOURCE = {"xo": "xo", "nudge": "xo", "sounds": "sounds", "phrases": "phrases", "series": "charts"}
"""What each ready spec takes its data from."""
