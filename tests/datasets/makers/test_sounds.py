"""Made sounds: six shapes over time and pitch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.made import MAKERS, write_files
from gridcnn.datasets.makers.sounds import CLASSES, Sounds, wav_of
from gridcnn.datasets.readers.paths import Files
from gridcnn.errors import SpecError

CLEAN: dict[str, Any] = {"noise_db": None, "loudness_db": 0.0, "shift": 0.0}
LINES = AudioAdapter(
    sample_rate=8000, n_fft=256, hop_length=64, kind="linear", duration=1.0, floor_db=40.0
)


def made(seed: int = 0, **settings: Any) -> NDArray[np.int16]:
    return Sounds(**settings).clips(seed)


def pitches(clip: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the loudest pitch in Hz of each chunk that sounds."""
    cells = LINES.adapt(clip)[0]
    labels = LINES.shape().row_axis.labels
    assert labels is not None
    sounding = cells.max(axis=0) > 0.3
    return np.array([float(labels[row]) for row in cells.argmax(axis=0)[sounding]])


def test_classes_take_turns_so_that_any_count_is_balanced() -> None:
    """In the order of their names; every clip is a WAV file."""
    dataset = Sounds(count=8).open(Request())

    assert list(dataset.labels) == [*CLASSES, *CLASSES[:2]]
    assert dataset.classes == CLASSES == tuple(sorted(CLASSES))
    samples, rate = soundfile.read(io.BytesIO(dataset.things[0]), dtype="int16")
    assert rate == 8000
    np.testing.assert_array_equal(samples, made(count=8)[0])


def test_facts_are_those_of_the_clips() -> None:
    """Known before a clip is made."""
    source = Sounds(count=7, duration=0.5, sample_rate=16_000)

    facts = source.facts()

    assert (facts.items, facts.classes, facts.shape) == (7, CLASSES, (8000,))
    assert source.clips(0).shape == (7, 8000)


def test_the_seed_fixes_the_clips() -> None:
    """The same seed gives the same samples; the source's own goes before that of the run."""
    clips = made(count=30, seed=1)

    assert (clips == made(count=30, seed=1)).all()
    assert (clips != made(count=30, seed=2)).any()
    own = Sounds(count=2, seed=1).open(Request(seed=9)).things[0]
    assert own == wav_of(made(1, count=2)[0], sample_rate=8000)


def test_a_smaller_set_is_the_beginning_of_a_larger_one() -> None:
    """Whatever the counts are."""
    assert (made(count=33) == made(count=250)[:33]).all()


def test_no_two_clips_are_the_same() -> None:
    """Pitch, place, length and rhythm are drawn for every clip."""
    clips = made(count=1200, **CLEAN)

    assert len({clip.tobytes() for clip in clips}) == 1200


def test_clips_are_never_silent_and_never_cut_off() -> None:
    """The loudest sample is between 20 dB under, and nine tenths of, the highest."""
    loudest = np.abs(made(count=600).astype(int)).max(axis=1)

    assert loudest.max() <= round(0.9 * 32767)
    assert loudest.min() >= 0.9 * 32767 / 10 - 1
    assert loudest.min() < 0.2 * 32767


@pytest.mark.parametrize(("name", "sign"), [("rising", 1), ("falling", -1)])
def test_glides_rise_and_fall_all_the_way(name: str, sign: int) -> None:
    """By more than a half, from wherever they begin."""
    clips = made(count=120, **CLEAN)[CLASSES.index(name) :: 6]

    for clip in clips:
        heard = pitches(clip)[2:-2]
        assert (sign * np.diff(heard) >= 0).all()
        assert heard.max() > 1.4 * heard.min()


def test_beeps_keep_their_pitch_and_pause() -> None:
    """Two to five tones of one pitch."""
    for clip in made(count=120, **CLEAN)[CLASSES.index("beeps") :: 6]:
        heard = pitches(clip)
        assert np.ptp(heard) <= 100
        loud = LINES.adapt(clip)[0].max(axis=0) > 0
        assert 2 <= np.count_nonzero(np.diff(loud.astype(int)) == 1) + int(loud[0]) <= 5


def test_warbles_swing_up_and_down() -> None:
    """The pitch turns at least four times."""
    for clip in made(count=120, **CLEAN)[CLASSES.index("warble") :: 6]:
        steps = np.sign(np.diff(pitches(clip)[2:-2]))
        steps = steps[steps != 0]
        assert np.count_nonzero(np.diff(steps)) >= 4


def test_clicks_are_short_and_broad() -> None:
    """Most of a clip is silent, and what sounds has all pitches."""
    for clip in made(count=120, **CLEAN)[CLASSES.index("clicks") :: 6]:
        sounding = np.abs(clip) > 0.03 * np.abs(clip.astype(int)).max()
        assert sounding.mean() < 0.15


@pytest.mark.parametrize("noise_db", [-10.0, 0.0, 20.0])
def test_noise_is_so_much_below_the_sound(noise_db: float) -> None:
    """The ratio of the mean power of the sound to that of the noise is as it was asked for."""
    plain = made(count=60, **CLEAN).astype(float)
    noisy = made(count=60, **CLEAN | {"noise_db": noise_db, "noise_spread_db": 0.0}).astype(float)

    for sound, both in zip(plain, noisy, strict=True):
        # The clip is the sound at another loudness, and noise that has nothing to do with it.
        share = (sound @ both) / (sound @ sound)
        noise = both - share * sound
        found = 10 * np.log10(np.mean((share * sound) ** 2) / np.mean(noise**2))
        assert found == pytest.approx(noise_db, abs=1.5)


@pytest.mark.parametrize(
    "changed",
    [
        {"noise_db": 10.0},
        {"loudness_db": 20.0},
        {"shift": 1.0},
        {"noise_db": 0.0, "noise_spread_db": 5.0},
    ],
)
def test_each_difficulty_changes_the_clips(changed: dict[str, Any]) -> None:
    """And is off by itself."""
    assert (made(count=12, **CLEAN | changed) != made(count=12, **CLEAN)).any()


@pytest.mark.parametrize(("rate", "seconds"), [(4000, 0.25), (44_100, 1.0), (8000, 10.0)])
def test_clips_of_any_rate_and_length_are_made(rate: int, seconds: float) -> None:
    """Every class has a sound in them."""
    clips = made(count=12, sample_rate=rate, duration=seconds, **CLEAN)

    assert clips.shape == (12, round(rate * seconds))
    assert (np.ptp(clips.astype(int), axis=1) > 10_000).all()


def test_files_hold_the_same_clips(tmp_path: Path) -> None:
    """`gridcnn datasets make sounds` writes WAV files of 16 bits into class folders."""
    assert MAKERS["sounds"] is Sounds
    source = Sounds(count=12, seed=3)

    write_files(source, tmp_path / "clips")
    files = Files(path=str(tmp_path / "clips")).open(Request(suffixes=frozenset({".wav"})))

    assert list(files.names)[:3] == ["beeps/00001.wav", "beeps/00002.wav", "clicks/00001.wav"]
    assert soundfile.info(files.things[0]).subtype == "PCM_16"
    np.testing.assert_array_equal(soundfile.read(files.things[1], dtype="int16")[0], made(3)[6])


def test_too_many_clips_are_refused_before_they_are_made() -> None:
    """With what to lower."""
    with pytest.raises(SpecError, match="at most 2147483648 are made at once, so lower 'count'"):
        Sounds(count=1_000_000_000)
