"""Grids that librosa computes: beside librosa called directly, with their axes and settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

import gridcnn
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.by_librosa import C1, Notes, note_label

RATE = 8000
WINDOW: dict[str, Any] = {"n_fft": 512, "hop_length": 128}
SETTINGS: dict[str, Any] = {"sample_rate": RATE, **WINDOW, "duration": 1.0}
KINDS: dict[str, dict[str, Any]] = {
    "cqt": {"n_bins": 48, "fmin": 65.5},
    "vqt": {"n_bins": 48, "fmin": 65.5},
    "chroma": {},
    "pcen": {"n_mels": 32},
    "tempogram": {"n_mels": 32, "tempo_window": 160, "slowest": 30.0},
    "hpss": {"n_mels": 32},
}


def _adapter(kind: str, **changes: Any) -> AudioAdapter:
    return AudioAdapter.model_validate({**SETTINGS, "kind": kind, **KINDS[kind], **changes})


def _raw(kind: str, clip: Any, **changes: Any) -> NDArray[np.float32]:
    """Return what the cells of a clip are before they are scaled, lowest row first."""
    adapter = _adapter(kind)
    rows = adapter.shape().rows * adapter.shape().channels
    unscaled = {"scaling": "band", "means": (0.0,) * rows, "deviations": (1.0,) * rows}
    return _adapter(kind, **unscaled, **changes).adapt(clip)[:, ::-1]


def _clip(samples: int = RATE, *, seed: int = 0) -> NDArray[np.float32]:
    """Return a chord with clicks and some noise."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / RATE
    tones = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277.2, 329.6, 880))
    clip = 0.1 * tones + 0.01 * random.standard_normal(samples)
    clip[:: RATE // 4] += 0.5
    return clip.astype(np.float32)


def _tone(hertz: float, samples: int = RATE) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(samples) / RATE)).astype(np.float32)


# Beside librosa -----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:n_fft=")
@pytest.mark.parametrize("kind", ["cqt", "vqt"])
@pytest.mark.parametrize("samples", [3, 700, RATE, 3 * RATE])
def test_notes_are_those_of_librosa(librosa: Any, kind: str, samples: int) -> None:
    """Constant-Q and variable-Q transforms of clips of any length, in decibels of the largest."""
    clip = _clip(samples)
    notes = {"hop_length": 128, "fmin": 65.5, "n_bins": 48}
    least = {"cqt": 4096, "vqt": 512}[kind]  # librosa refuses clips that are much shorter
    padded = np.pad(clip, (0, max(0, least - samples)))
    magnitudes = np.abs(getattr(librosa, kind)(padded, sr=RATE, **notes))
    magnitudes = magnitudes[:, : 1 + samples // 128]
    wanted = librosa.amplitude_to_db(magnitudes, ref=np.max, top_db=80, amin=1e-12)

    found = _raw(kind, clip, duration=samples / RATE)[0]

    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=1e-2)


def test_pitch_classes_are_those_of_librosa(librosa: Any) -> None:
    """Of power, for A4 at 440 Hz."""
    wanted = librosa.feature.chroma_stft(y=_clip(), sr=RATE, **WINDOW, tuning=0.0)

    np.testing.assert_allclose(_raw("chroma", _clip())[0], wanted, atol=1e-4)


def test_normalized_energy_is_that_of_librosa(librosa: Any) -> None:
    """Of mel bands of magnitudes, on the scale of whole numbers."""
    mel = librosa.feature.melspectrogram(y=_clip(), sr=RATE, **WINDOW, power=1.0, n_mels=32)
    usual = librosa.pcen(mel * 2**31, sr=RATE, hop_length=128)
    other = {"gain": 0.5, "bias": 10.0, "power": 0.25, "time_constant": 0.1}
    changed = librosa.pcen(mel * 2**31, sr=RATE, hop_length=128, **other)

    np.testing.assert_allclose(_raw("pcen", _clip())[0], usual, rtol=1e-3, atol=1e-4)
    given = {"pcen_gain": 0.5, "pcen_bias": 10.0, "pcen_power": 0.25, "pcen_seconds": 0.1}
    np.testing.assert_allclose(_raw("pcen", _clip(), **given)[0], changed, rtol=1e-3, atol=1e-3)


def test_tempi_are_those_of_librosa(librosa: Any) -> None:
    """A row for each lag whose tempo lies between `slowest` and `fastest`."""
    settings = {"sr": RATE, "hop_length": 128}
    onsets = librosa.onset.onset_strength(y=_clip(), n_fft=512, n_mels=32, **settings)
    every = librosa.feature.tempogram(onset_envelope=onsets, win_length=160, **settings)
    at = librosa.tempo_frequencies(160, sr=RATE, hop_length=128)
    rows = np.flatnonzero((at >= 30) & (at <= 300))

    found = _raw("tempogram", _clip())[0, ::-1]

    np.testing.assert_allclose(found, every[rows], atol=1e-3)
    labels = _adapter("tempogram").shape().row_axis.labels
    assert labels == tuple(f"{tempo:g}" for tempo in np.round(at[rows], 1))


@pytest.mark.parametrize("margin", [1.0, 2.0])
def test_harmonic_and_percussive_are_those_of_librosa(librosa: Any, margin: float) -> None:
    """Mel bands of both, beside the loudest cell of the two."""
    spectrum = np.abs(librosa.stft(_clip(), **WINDOW))
    both = librosa.decompose.hpss(spectrum, kernel_size=17, margin=margin)
    mel = {"sr": RATE, "n_fft": 512, "n_mels": 32}
    bands = np.stack([librosa.feature.melspectrogram(S=part**2, **mel) for part in both])
    # Each by itself: from version 1.0 on librosa takes two at once for two channels of a sound.
    levels = [librosa.power_to_db(part, ref=bands.max(), top_db=None, amin=1e-20) for part in bands]
    wanted = np.maximum(levels, -80)

    found = _raw("hpss", _clip(), hpss_kernel=17, hpss_margin=margin)

    np.testing.assert_allclose(found, wanted, atol=1e-2)


@pytest.mark.parametrize("per_octave", [12, 31])
@pytest.mark.parametrize("gamma", [0.0, None, 30.0])
def test_how_far_filters_reach_is_as_librosa_has_it(
    librosa: Any, per_octave: int, gamma: float | None
) -> None:
    """In Hz at the top, and in seconds at the bottom."""
    notes = Notes(C1, 60, per_octave, gamma)
    lengths, reach = librosa.filters.wavelet_lengths(
        freqs=notes.frequencies, sr=RATE, window="hann", gamma=gamma
    )

    assert notes.highest_reach == pytest.approx(reach, rel=1e-9)
    assert notes.longest == pytest.approx(lengths[0] / RATE, rel=1e-9)


def test_notes_are_called_as_librosa_calls_them(librosa: Any) -> None:
    """With octaves, sharps, and cents for those between two keys."""
    for hertz in (27.5, C1, 440.0, 277.18, 300.0, 450.0, 7000.0, 8.0):
        wanted = librosa.hz_to_note(hertz, cents=True, unicode=False)

        assert note_label(hertz) == wanted.removesuffix("+0").removesuffix("-0"), hertz


# Grids --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("librosa")
def test_the_axes_are_named() -> None:
    """Notes, pitch classes, Hz, and beats per minute; the highest on top."""
    shapes = {kind: _adapter(kind).shape() for kind in KINDS}

    axes = {kind: (shape.row_axis.name, shape.row_axis.unit) for kind, shape in shapes.items()}
    assert axes == {
        "cqt": ("note", ""),
        "vqt": ("note", ""),
        "chroma": ("pitch class", ""),
        "pcen": ("frequency", "Hz"),
        "tempogram": ("tempo", "bpm"),
        "hpss": ("frequency", "Hz"),
    }
    assert all(shape.row_axis.ordered for shape in shapes.values())
    assert all(shape.column_axis.name == "time" for shape in shapes.values())
    assert shapes["hpss"].channels == 2
    labels = shapes["chroma"].row_axis.labels
    assert labels is not None
    assert (labels[0], labels[-1]) == ("B", "C")
    assert _adapter("cqt", fmin=0, n_bins=3).shape().row_axis.labels == ("D1", "C#1", "C1")
    quarters = _adapter("cqt", fmin=440.0, n_bins=3, bins_per_octave=24).shape()
    assert quarters.row_axis.labels == ("A#4", "A#4-50", "A4")


@pytest.mark.usefixtures("librosa")
def test_a_tone_stands_in_the_row_of_its_name() -> None:
    """Its note, its pitch class, and what lasts; a click is short."""
    for kind, wanted in (("cqt", "A4"), ("vqt", "A4"), ("chroma", "A")):
        adapter = _adapter(kind, **({} if kind == "chroma" else {"fmin": 110.0}))
        labels = adapter.shape().row_axis.labels
        assert labels is not None
        assert labels[int(adapter.adapt(_tone(440))[0, :, 30].argmax())] == wanted
    click = np.zeros(RATE, np.float32)
    click[4000] = 1
    hpss = _adapter("hpss")
    lasts, is_short = hpss.adapt(_tone(440))[:, :, 30].max(axis=1)
    assert lasts > is_short + 0.5
    lasts, is_short = hpss.adapt(click).max(axis=(1, 2))
    assert is_short > lasts + 0.5


@pytest.mark.usefixtures("librosa")
def test_clicks_stand_in_the_row_of_their_tempo() -> None:
    """Four a second are 240 a minute."""
    clip = np.zeros(4 * RATE, np.float32)
    clip[:: RATE // 4] = 1
    adapter = _adapter("tempogram", duration=4.0)
    labels = adapter.shape().row_axis.labels
    assert labels is not None

    row = int(adapter.adapt(clip)[0, :, 120].argmax())

    assert abs(float(labels[row]) - 240) < 10


@pytest.mark.usefixtures("librosa")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scaling", ["range", "clip", "band"])
def test_a_clip_is_the_same_alone_and_among_others(kind: str, scaling: str) -> None:
    """To the bit, whatever stands beside it: silence, clips of other lengths, unreadable ones."""
    clips = [_clip(1500), np.zeros(2000, np.float32), _clip(2500, seed=1), _clip(300)]
    adapter = _adapter(kind, duration=0.25, scaling=scaling).fitted(clips)
    things = [*clips[:3], b"no sound", *clips[3:]]

    found = adapter.adapt_all(things)

    assert found.kept.tolist() == [0, 1, 2, 4]
    alone = np.stack([adapter.adapt(clip) for clip in clips])
    np.testing.assert_array_equal(found.grids.values, alone)
    assert np.isfinite(alone).all()
    if scaling == "band":
        assert abs(float(alone.mean())) < 1e-3


@pytest.mark.usefixtures("librosa")
@pytest.mark.parametrize("kind", KINDS)
def test_range_stays_between_minus_one_and_one(kind: str) -> None:
    """Silence is -1, and what is loudest is 1, unless the range is that of a tempo."""
    adapter = _adapter(kind)

    assert (adapter.adapt(np.zeros(RATE)) == -1).all()
    for clip in (_clip(), _tone(440), _clip() * 1e-6):
        cells = adapter.adapt(clip)
        assert np.abs(cells).max() <= 1 + 1e-5
        if kind != "tempogram":
            assert cells.max() == pytest.approx(1)
    fixed = AudioAdapter(**SETTINGS, kind="pcen", n_mels=32, reference=10.0)
    assert fixed.adapt(_clip()).max() == pytest.approx(_raw("pcen", _clip()).max() / 5 - 1)


@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    st.sampled_from(list(KINDS)),
    st.fixed_dictionaries(
        {
            "n_fft": st.integers(200, 600),
            "hop_length": st.integers(40, 600),
            "duration": st.floats(0.001, 0.5),
            "scaling": st.sampled_from(["range", "clip", "band"]),
        }
    ),
    st.integers(1, 3000),
    st.sampled_from([0, 1e-30, 1e-3, 1, 10]),
)
def test_every_setting_gives_finite_cells(
    librosa: Any, kind: str, given: dict[str, Any], samples: int, loudness: float
) -> None:
    """Whatever the settings and the clip, the grid has their shape, and its cells are finite."""
    fewer = {"n_mels": 20} if "n_mels" in KINDS[kind] else {}
    tempo = {"tempo_window": 512, "fastest": 600.0} if kind == "tempogram" else {}
    clip = np.clip(_clip(samples) * loudness, -15, 15)
    adapter = _adapter(kind, **given, **fewer, **tempo).fitted([clip])

    cells = adapter.adapt(clip)

    assert cells.shape == adapter.shape().sizes
    assert cells.dtype == np.float32
    assert np.isfinite(cells).all()


# What it refuses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"kind": "cqt", "n_mels": 32},
            "'n_mels' is for kind: mel, mfcc, pcen, tempogram or hpss; got kind: cqt",
        ),
        ({"kind": "cqt", "gamma": 1.0}, "'gamma' is for kind: vqt; got kind: cqt"),
        ({"n_bins": 60}, "'n_bins' is for kind: cqt or vqt; got kind: mel"),
        ({"kind": "chroma", "fmin": 20.0}, "'fmin' is for kind: linear, mel"),
        ({"kind": "chroma", "floor_db": 60.0}, "'floor_db' is for kind: mel,"),
        ({"kind": "tempogram", "reference": 1.0}, "'reference' is for kind: mel, linear"),
        ({"kind": "pcen", "power": 1.0}, "'power' is for kind: mel,"),
        ({"kind": "hpss", "pcen_gain": 0.5}, "'pcen_gain' is for kind: pcen; got kind: hpss"),
        ({"hpss_margin": 2.0}, "'hpss_margin' is for kind: hpss; got kind: mel"),
        ({"kind": "cqt", "fmax": 4000.0}, "'fmax' is for kind: linear, mel"),
        (
            {"kind": "cqt", "n_bins": 96},
            "highest note, 7,902.1 Hz, reaches up to 8,2.* more than half of 'sample_rate', 8000 H"
            "z; lower 'n_bins' or 'fmin', or raise",
        ),
        (
            {"kind": "cqt", "fmin": 0.1},
            "of the lowest note, 0.1 Hz, lasts 173.3 s; at most 30 s are supported, so raise 'fmi",
        ),
        ({"kind": "tempogram", "slowest": 300.0}, "'slowest' must be below 'fastest'; got 300 and"),
        (
            {"kind": "tempogram", "slowest": 5.0},
            "at 5 beats per minute there are 750 chunks of time from beat to beat, and 'tempo_win",
        ),
        (
            {"kind": "tempogram", "slowest": 250.0, "hop_length": 4000},
            "no whole number of chunks of time makes a tempo from 250 to 300 beats",
        ),
        ({"kind": "hpss", "hpss_margin": 0.5}, "'hpss_margin' of audio must be at least 1"),
        (
            {"kind": "hpss", "scaling": "band", "means": [0.0]},
            "one number for each of the 64 rows in each of 2 channels; got 1",
        ),
        ({"kind": "cqt", "fmin": 1e-320}, "of the lowest note, .* lasts .* at most 30 s are"),
        ({"kind": "cqt", "n_bins": 1024, "bins_per_octave": 1}, "of the highest note, inf Hz"),
        ({"kind": "tempogram", "slowest": 1e-320}, "'slowest' of audio must be at least 1"),
        ({"kind": "pcen", "pcen_seconds": 0}, "'pcen_seconds' of audio must be at least 0.001"),
        ({"kind": "mel", "fmax": 1e-320}, "band from 0.0 to 0.0 Hz has no frequency"),
        ({"kind": "pcen", "n_mels": 300}, "raise 'n_fft', or set fewer or wider bands"),
    ],
)
def test_wrong_settings_are_explained(given: dict[str, Any], message: str) -> None:
    """Together with what would be right."""
    with pytest.raises(ValidationError, match=message):
        AudioAdapter.model_validate(given)


# The rest of the house ----------------------------------------------------------------------------


@pytest.mark.usefixtures("librosa")
def test_a_pipeline_learns_from_two_channels_and_answers(tmp_path: Path) -> None:
    """Clicks or tones, by `hpss`, with several threads, and the same again from its file."""
    things = [_clip(seed=seed) * 0.1 + _tone(300 + 9 * seed) for seed in range(20)]
    clicks = [np.zeros(RATE, np.float32) for _ in range(20)]
    for number, clip in enumerate(clicks):
        clip[100 * number :: 1000] = 1
    labels = ["tone"] * 20 + ["clicks"] * 20
    spec = {
        "adapter": {"audio": {**SETTINGS, "kind": "hpss", "n_mels": 16, "scaling": "band"}},
        "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
        "head": {"voting": {"hidden": [8]}},
        "training": {"epochs": 6, "batch_size": 8, "learning_rate": 0.003},
    }

    result = gridcnn.run(spec, data=([*things, *clicks], labels), out=tmp_path / "run")

    assert result.metrics["test"]["accuracy"] == 1
    assert list(gridcnn.load(tmp_path / "run").predict(things[:2])) == ["tone"] * 2


def test_settings_and_shapes_need_no_librosa(tmp_path: Path) -> None:
    """It is imported by the first clip of a kind that needs it: that takes seconds."""
    program = (
        "import sys\n"
        "from gridcnn.adapters.audio import AudioAdapter\n"
        "for kind in ('cqt', 'vqt', 'chroma', 'pcen', 'tempogram', 'hpss'):\n"
        "    print(kind, AudioAdapter(duration=1.0, kind=kind).shape())\n"
        "AudioAdapter(duration=1.0).adapt([0.1] * 16000)\n"
        "assert not {'librosa', 'scipy', 'numba'} & set(sys.modules)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "cqt 1 x 84 x 63\n" in done.stdout
    assert "hpss 2 x 64 x 63\n" in done.stdout
