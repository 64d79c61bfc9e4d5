"""Augmentations of sounds: each beside librosa, or loops over single samples."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.contracts.augmentation import ThingAugmentation
from gridcnn.errors import DataError, SpecError
from gridcnn.spec.load import load
from gridcnn.training.augmentation import changed_thing, refuse_unfit_things

RATE = 8000
ADAPTER = AudioAdapter(
    sample_rate=RATE, n_fft=256, hop_length=128, n_mels=32, duration=0.5, reference=1.0
)


def made(written: Any) -> ThingAugmentation:
    (read,) = load({"training": {"augmentation": [written]}}).training.augmentation
    assert isinstance(read, ThingAugmentation)
    return read


def changed(written: Any, samples: Any, seed: int = 0) -> NDArray[np.float32]:
    found: NDArray[np.float32] = made(written).change(samples, ADAPTER, np.random.default_rng(seed))
    return found


def clip(seconds: float = 0.5, *, hertz: float = 440.0) -> NDArray[np.float32]:
    time = np.arange(round(RATE * seconds)) / RATE
    noise = np.random.default_rng(3).standard_normal(len(time))
    return (0.4 * np.sin(2 * np.pi * hertz * time) + 0.02 * noise).astype(np.float32)


def loudest(samples: Any) -> float:
    """Return the strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples, 8 * RATE))
    return float(spectrum.argmax() / 8)


@pytest.mark.filterwarnings("ignore:.*deprecated as of 1.0:FutureWarning")  # librosa's own call
def test_pitch_is_that_of_librosa(librosa: Any) -> None:
    """With a window of 64 ms, and a number of halftones that is drawn."""
    steps = 3 * (2 * np.random.default_rng(4).random() - 1)
    wanted = librosa.effects.pitch_shift(clip(), sr=RATE, n_steps=steps, n_fft=512)

    found = changed({"pitch": 3}, clip(), 4)

    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == np.float32
    assert loudest(found) == pytest.approx(440 * 2 ** (steps / 12), rel=0.01)


@pytest.mark.filterwarnings("ignore:.*deprecated as of 1.0:FutureWarning")  # librosa's own call
def test_stretch_is_that_of_librosa(librosa: Any) -> None:
    """Faster and slower by the same factor at most; the pitch stays."""
    rates = []
    for seed in range(6):
        rate = 1.5 ** (2 * np.random.default_rng(seed).random() - 1)
        wanted = librosa.effects.time_stretch(clip(), rate=rate, n_fft=512)

        found = changed({"stretch": 0.5}, clip(), seed)

        np.testing.assert_array_equal(found, wanted)
        assert len(found) == pytest.approx(len(clip()) / rate, abs=1)
        assert loudest(found) == pytest.approx(440, rel=0.01)
        rates.append(rate)
    assert min(rates) < 0.9
    assert max(rates) > 1.2


@pytest.mark.usefixtures("librosa")
@pytest.mark.parametrize("samples", [1, 2, 100, 511])
@pytest.mark.parametrize("written", [{"pitch": 12}, {"stretch": 3.0}])
def test_clips_shorter_than_a_window_are_changed_too(samples: int, written: Any) -> None:
    """Without a warning; at least one sample is left."""
    for seed in range(3):
        found = changed(written, clip()[:samples], seed)

        assert len(found) >= 1
        assert np.isfinite(found).all()
        assert "pitch" not in written or len(found) == samples


def test_loudness_is_one_factor() -> None:
    """In decibels, evenly; never more than samples may be."""
    decibels = [
        20 * np.log10(changed({"loudness": 6}, clip(), seed)[100] / clip()[100])
        for seed in range(200)
    ]

    assert min(decibels) == pytest.approx(-6, abs=0.2)
    assert max(decibels) == pytest.approx(6, abs=0.2)
    assert np.abs(changed({"loudness": 60}, 10 * clip(), 1)).max() <= 16
    first = 10 ** (6 * (2 * np.random.default_rng(0).random() - 1) / 20)
    np.testing.assert_allclose(changed({"loudness": 6}, clip()), clip() * first, rtol=1e-6)


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    """Return a folder with a sound of another rate, a short one in a folder, and a text."""
    folder = tmp_path / "noises"
    (folder / "short").mkdir(parents=True)
    random = np.random.default_rng(0)
    soundfile.write(folder / "long.wav", 0.1 * random.standard_normal(3 * RATE), RATE)
    soundfile.write(folder / "short" / "hum.flac", 0.2 * np.sin(np.arange(900) / 9), RATE)
    (folder / "about.txt").write_text("Recorded at night.")
    return folder


def test_a_background_is_a_part_of_a_file_at_a_level(noises: Path) -> None:
    """As a loop adds it, sample by sample; a file that ends is begun again."""
    written = {"background": {"folder": str(noises), "level": [-12, -6]}}
    sounds = [
        soundfile.read(noises / name, dtype="float32")[0] for name in ("long.wav", "short/hum.flac")
    ]
    used = set()
    for seed in range(8):
        _, which, level, start = np.random.default_rng(seed).random(4)
        noise = sounds[int(which * 2)]
        first = int(start * len(noise))
        added = [float(noise[(first + at) % len(noise)]) for at in range(len(clip()))]
        ratio = 10 ** ((-12 + 6 * level) / 20)
        factor = ratio * np.sqrt(np.mean(clip().astype(float) ** 2) / np.mean(np.square(added)))
        wanted = [own + factor * other for own, other in zip(clip().tolist(), added, strict=True)]
        used.add(int(which * 2))

        found = changed(written, clip(), seed)

        np.testing.assert_allclose(found, wanted, atol=1e-6)
        difference = np.mean((found - clip()).astype(float) ** 2)
        told = 10 * np.log10(difference / np.mean(clip().astype(float) ** 2))
        assert told == pytest.approx(-12 + 6 * level, abs=0.01)
    assert used == {0, 1}


def test_some_forms_have_no_background(noises: Path) -> None:
    """As many as is said; silence stays silence."""
    written = {"background": {"folder": str(noises), "probability": 0.3}}

    same = [(changed(written, clip(), seed) == clip()).all() for seed in range(300)]

    assert np.mean(same) == pytest.approx(0.7, abs=0.1)
    assert not changed({"background": str(noises)}, np.zeros(50, np.float32)).any()


def test_a_background_knows_its_files(noises: Path) -> None:
    """Its path is absolute from the folder of the spec on; other files are another content."""
    background = made({"background": "noises"}).resolved(noises.parent)
    before = background.content

    assert background.folder == str(noises)  # type: ignore[attr-defined]
    assert background.content == before
    soundfile.write(noises / "more.wav", np.zeros(9), RATE)
    background.check(ADAPTER)
    assert background.content != before


@pytest.mark.usefixtures("librosa")
def test_long_clips_are_changed_where_they_are_used(tmp_path: Path) -> None:
    """With as much more as a faster one needs, so that no silence comes in."""
    long = np.concatenate([clip(2.0, hertz=300), clip(2.0, hertz=900), clip(2.0, hertz=300)])
    soundfile.write(tmp_path / "long.wav", long, RATE, subtype="FLOAT")
    training = load({"training": {"augmentation": [{"pitch": 1}, {"stretch": 0.5}]}}).training

    for form in range(4):
        found = changed_thing(training, tmp_path / "long.wav", ADAPTER, 0, form)

        assert len(found) >= 0.5 * RATE
        assert len(found) <= 0.5 * RATE * 1.5**2 + 1
        assert loudest(found) == pytest.approx(900, rel=0.08)
    trimmed = ADAPTER.model_copy(update={"trim_db": 30.0})
    assert len(trimmed.open_thing(tmp_path / "long.wav", reach=1.5)) == 6 * RATE
    np.testing.assert_array_equal(
        ADAPTER.adapt(ADAPTER.open_thing(tmp_path / "long.wav")),
        ADAPTER.adapt(tmp_path / "long.wav"),
    )


@pytest.mark.parametrize(
    ("written", "changes", "message"),
    [
        ({"loudness": 6}, {"reference": "max"}, "makes loud and quiet clips alike, so that it cha"),
        ({"loudness": 6}, {"scaling": "clip"}, "or set 'reference: 1.0' of audio"),
        (
            {"loudness": 6},
            {"kind": "chroma", "reference": "max", "n_mels": 64},
            "loud and quiet clips alike",
        ),
        ({"background": "/nowhere"}, {}, "there is no folder /nowhere; name a folder of sound f"),
        ({"typos": 0.1}, {}, "it changes texts, and the items are read with adapter: audio"),
    ],
)
def test_what_does_not_fit_is_refused(written: Any, changes: Any, message: str) -> None:
    """With its place in the spec, and what to do."""
    spec = load({"training": {"augmentation": [written]}})
    adapter = AudioAdapter.model_validate({**ADAPTER.model_dump(), **changes})

    with pytest.raises(SpecError, match=message):
        refuse_unfit_things(spec.training, adapter, spec.document)


def test_a_folder_without_sounds_and_a_broken_sound_are_told(noises: Path) -> None:
    """By their names."""
    spec = load({"training": {"augmentation": [{"background": str(noises / "none")}]}})
    (noises / "none").mkdir()
    with pytest.raises(SpecError, match=r"none holds no file of .aif, .*name a folder"):
        refuse_unfit_things(spec.training, ADAPTER, spec.document)

    (noises / "none" / "broken.wav").write_text("no sound")
    refuse_unfit_things(spec.training, ADAPTER, spec.document)
    (background,) = spec.training.augmentation
    assert isinstance(background, ThingAugmentation)
    with pytest.raises(DataError, match="it cannot be a background: its content is not") as caught:
        background.change(clip(), ADAPTER, np.random.default_rng(0))
    assert caught.value.problems[0].source == os.fspath(noises / "none" / "broken.wav")
    (noises / "none" / "broken.wav").unlink()
    with pytest.raises(DataError, match="it cannot be a background: No such file"):
        _ = background.content


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("pitch", "pitch needs the setting 'semitones'"),
        ({"pitch": 0}, "'semitones' of pitch must be above 0"),
        ({"stretch": 4}, "'rate' of stretch must be at most 3"),
        ({"loudness": -1}, "'decibels' of loudness must be above 0"),
        ("background", "background needs the setting 'folder'"),
        ({"background": {"folder": "a", "level": 3}}, "must be two numbers of decibels, as "),
        ({"background": {"folder": "a", "level": [0, -9]}}, "from -120 to 40, the lower one first"),
        ("timestretch", "here it is written 'stretch'"),
        ("pitchshift", "here it is written 'pitch'"),
        ("backgroundnoise", "here it is written 'background: {folder: noises}'"),
    ],
)
def test_wrong_settings_are_explained(written: Any, message: str) -> None:
    """Together with what would be right."""
    with pytest.raises(SpecError, match=message):
        load({"training": {"augmentation": [written]}})
