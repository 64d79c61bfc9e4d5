"""Excerpts: of a long file only what is used is decoded and resampled, and nothing changes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.adapters import samples
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.excerpt import Excerpt, need_of, resampled_count
from gridcnn.adapters.samples import samples_of
from gridcnn.errors import DataError

ROUNDING = 1e-6
"""How far samples of an excerpt may be from those of the whole clip: what rounding does."""

FILES = [
    *(("WAV", subtype) for subtype in ("PCM_16", "PCM_24", "FLOAT", "ULAW", "MS_ADPCM")),
    ("AIFF", "PCM_16"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("CAF", "PCM_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def encoded(form: str, subtype: str, *, rate: int, seconds: float, **more: Any) -> bytes:
    """Return a file of two channels: a tone that comes and goes, in noise."""
    times = np.arange(round(seconds * rate)) / rate
    random = np.random.default_rng(0)
    loud = (np.sin(2.4 * times) > 0).astype(float)
    first = 0.3 * np.sin(2800 * times) * (0.2 + loud) + 0.1 * loud * random.normal(size=len(times))
    values = np.clip(np.stack([first, 0.5 * first[::-1]], axis=1), -1, 1)
    file = BytesIO()
    with soundfile.SoundFile(file, "w", rate, 2, subtype=subtype, format=form, **more) as sound:
        # At once, libsndfile's Vorbis encoder overflows its stack.
        for start in range(0, len(values), 4096):
            sound.write(values[start : start + 4096])
    return file.getvalue()


def cut(content: bytes, excerpt: Excerpt, *, sample_rate: int) -> NDArray[np.float32]:
    """Return an excerpt the slow way: decoded, mixed and resampled as a whole, then cut."""
    with soundfile.SoundFile(BytesIO(content)) as sound:
        values = sound.read(sound.frames, dtype="float32", always_2d=True).mean(axis=1)
        rate = sound.samplerate
    if rate != sample_rate:
        values = soxr.resample(values, rate, sample_rate, quality="HQ")
    start = max(0, len(values) - excerpt.samples) // 2 if excerpt.centred else 0
    found: NDArray[np.float32] = values[start : start + excerpt.samples]
    return found


def heard(content: bytes, excerpt: Excerpt, *, sample_rate: int) -> NDArray[np.float32]:
    return samples_of(content, sample_rate=sample_rate, max_duration=600.0, excerpt=excerpt)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("sample_rate", [24_000, 16_000])
@pytest.mark.parametrize(("form", "subtype"), FILES)
def test_an_excerpt_is_what_the_whole_clip_has_there(
    form: str, subtype: str, sample_rate: int, centred: bool
) -> None:
    """In every format, with and without resampling, short, longer and all of the clip."""
    content = encoded(form, subtype, rate=24_000, seconds=6)

    for seconds in (0.01, 1.5, 5.99, 6, 8):
        excerpt = Excerpt(round(seconds * sample_rate), centred)
        wanted = cut(content, excerpt, sample_rate=sample_rate)
        found = heard(content, excerpt, sample_rate=sample_rate)
        assert len(found) == len(wanted)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
def test_excerpts_at_the_files_own_rate_are_equal_to_the_bit(form: str) -> None:
    """Where nothing is resampled, decoders give the same samples from any place."""
    subtype = "VORBIS" if form == "OGG" else "PCM_16"
    content = encoded(form, subtype, rate=8000, seconds=150)
    excerpt = Excerpt(8000)

    found = heard(content, excerpt, sample_rate=8000)

    np.testing.assert_array_equal(found, cut(content, excerpt, sample_rate=8000))


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_few_bits_do_not_change_an_excerpt_of_mp3(mode: str, rate: int) -> None:
    """Frames of little sound lend bits to later ones: to begin in between would lose them."""
    more = {"bitrate_mode": mode, "compression_level": 0.9}
    content = encoded("MP3", "MPEG_LAYER_III", rate=rate, seconds=8, **more)
    excerpt = Excerpt(rate)

    np.testing.assert_allclose(
        heard(content, excerpt, sample_rate=rate),
        cut(content, excerpt, sample_rate=rate),
        rtol=0,
        atol=ROUNDING,
    )


def test_the_end_of_ogg_vorbis_is_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder misses places within the last page, and so they are not sought."""
    content = encoded("OGG", "VORBIS", rate=16_000, seconds=4)
    whole = cut(content, Excerpt(10**9), sample_rate=16_000)

    for block in (2**20, 2 * 63_000):  # the second one ends within the last page
        monkeypatch.setattr(samples, "_BLOCK", block)
        for length in (200, 2000, 20_000, 60_000, 64_000):
            excerpt = Excerpt(length)
            found = heard(content, excerpt, sample_rate=16_000)
            np.testing.assert_array_equal(found, cut(content, excerpt, sample_rate=16_000))
        found = samples_of(content, sample_rate=16_000, max_duration=600.0)
        np.testing.assert_array_equal(found, whole)


RATES = st.sampled_from([8000, 11_025, 16_000, 22_050, 44_100, 48_000, 12_347, 96_000])


@given(RATES, RATES, st.integers(0, 200_000))
def test_the_count_of_resampled_samples_is_that_of_soxr(
    rate: int, sample_rate: int, frames: int
) -> None:
    frames = frames % 3000
    wanted = len(soxr.resample(np.zeros(frames, np.float32), rate, sample_rate)) if frames else 0

    assert resampled_count(frames, rate=rate, sample_rate=sample_rate) == (
        frames if rate == sample_rate else wanted
    )


@given(RATES, RATES, st.integers(1, 9_000_000), st.integers(1, 2_000_000), st.booleans())
def test_what_is_decoded_holds_what_is_used(
    rate: int, sample_rate: int, frames: int, length: int, centred: bool
) -> None:
    """It lies in the file, begins on a sample of the result, and reaches beyond what is used."""
    need = need_of(Excerpt(length, centred), frames, rate=rate, sample_rate=sample_rate)
    total = resampled_count(frames, rate=rate, sample_rate=sample_rate)
    decoded = need.frames.stop - need.frames.start

    assert 0 <= need.frames.start <= need.frames.stop <= frames
    assert need.used.stop - need.used.start == min(length, total)
    assert need.frames.start * sample_rate % rate == 0
    assert need.used.stop <= resampled_count(decoded, rate=rate, sample_rate=sample_rate)
    if rate != sample_rate:
        before, after = need.used.start, decoded * sample_rate / rate - need.used.stop
        lower = min(1.0, sample_rate / rate) * 399 * sample_rate / min(rate, sample_rate)
        assert need.frames.start == 0 or before >= lower
        assert need.frames.stop == frames or after >= lower


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_file_that_breaks_off_is_refused_wherever_it_does(part: float) -> None:
    """Behind what is used, too."""
    content = encoded("FLAC", "PCM_16", rate=8000, seconds=20)

    with pytest.raises(DataError, match=r"the file ends after|damaged"):
        heard(content[: int(part * len(content))], Excerpt(800, centred=False), sample_rate=8000)


def test_only_the_used_part_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of three minutes takes little more than a second."""
    content = encoded("FLAC", "PCM_16", rate=8000, seconds=180)
    decoded = []
    original = soundfile.SoundFile.read

    def counted(*given: Any, **named: Any) -> Any:
        block = original(*given, **named)
        decoded.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)

    heard(content, Excerpt(16_000), sample_rate=16_000)

    assert 8000 <= sum(decoded) < 12_000


@pytest.mark.parametrize("longer", ["centre", "start"])
@pytest.mark.parametrize("scaling", ["range", "band"])
@pytest.mark.parametrize("trim_db", [None, 30.0])
def test_grids_are_those_of_the_whole_clip(
    tmp_path: Path, longer: str, scaling: str, trim_db: float | None
) -> None:
    """Of a path and of bytes; what silence there is to trim is found in the whole clip."""
    content = encoded("OGG", "VORBIS", rate=22_050, seconds=9)
    place = tmp_path / "a.ogg"
    place.write_bytes(content)
    adapter = AudioAdapter.model_validate(
        {"duration": 2.0, "longer": longer, "scaling": scaling, "trim_db": trim_db, "floor_db": 60}
    ).fitted([content])
    whole = cut(content, Excerpt(10**9), sample_rate=16_000)

    wanted = adapter.adapt(whole)

    np.testing.assert_allclose(adapter.adapt(content), wanted, atol=1e-3)
    np.testing.assert_array_equal(adapter.adapt(place), adapter.adapt(content))


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16")])
def test_small_and_large_files_are_read_alike(
    form: str, subtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small ones in one call."""
    place = tmp_path / "clip"
    place.write_bytes(encoded(form, subtype, rate=22_050, seconds=2))
    settings: dict[str, Any] = {"sample_rate": 16_000, "max_duration": 60}
    wanted = samples_of(place, **settings)

    monkeypatch.setattr(samples, "_AT_ONCE", 10)

    np.testing.assert_array_equal(samples_of(place, **settings), wanted)
