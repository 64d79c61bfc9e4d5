"""A part of an MP3 file, as a file of its own, decodes to the samples of the whole."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gridcnn.adapters import mp3, samples
from gridcnn.adapters.excerpt import Excerpt
from gridcnn.adapters.samples import samples_of

SECONDS = 4
COUNT = 3000  # samples of a part


def encoded(rate: int, channels: int, **settings: Any) -> bytes:
    """Return noise that comes and goes, so that frames have bits to lend and to borrow."""
    random = np.random.default_rng(rate + channels)
    loudness = np.repeat(random.choice([0.0, 0.02, 0.5], 7 * SECONDS), rate // 7)[:, None]
    samples = np.clip(loudness * random.standard_normal((len(loudness), channels)), -0.9, 0.9)
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, channels, format="MP3", **settings) as sound:
        sound.write(samples)
    return file.getvalue()


def decoded(content: bytes) -> NDArray[np.float32]:
    values, _ = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    return np.asarray(values)


def part(content: bytes, whole: NDArray[np.float32], start: int) -> NDArray[np.float32] | None:
    found = mp3.part_of(io.BytesIO(content), frames=len(whole), start=start, stop=start + COUNT)
    if found is None:
        return None
    samples = decoded(found.content)
    assert len(samples) == found.frames
    return samples[found.skipped : found.skipped + COUNT]


@pytest.fixture(scope="module")
def usual() -> bytes:
    return encoded(44_100, 2)


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
def test_parts_are_those_of_the_whole(
    rate: int, channels: int, mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wherever they begin, but for rounding; and the decoder finds no fault, and prints none."""
    content = encoded(rate, channels, bitrate_mode=mode, compression_level=0.5)
    whole = decoded(content)

    for start in (0, 1, 2000, len(whole) // 2, len(whole) // 2 + 577, len(whole) - COUNT):
        found = part(content, whole, start)

        assert found is not None
        np.testing.assert_allclose(found, whole[start : start + COUNT], rtol=0, atol=1e-6)
    assert capfd.readouterr().err == ""


def test_few_frames_are_decoded_ahead(usual: bytes) -> None:
    """A part takes about as many bytes as it does in the whole."""
    whole = decoded(usual)
    start = len(whole) // 2

    found = mp3.part_of(io.BytesIO(usual), frames=len(whole), start=start, stop=start + 44_100)

    assert found is not None
    assert found.skipped < 20 * 1152
    assert len(found.content) < len(usual) / 2


@pytest.mark.parametrize("size", [0, 1, 200, 70_000])
def test_titles_are_passed_over(usual: bytes, size: int) -> None:
    length = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    content = b"ID3\4\0\0" + length + bytes(size) + usual
    whole = decoded(usual)

    found = part(content, whole, 50_000)

    assert found is not None
    np.testing.assert_allclose(found, whole[50_000 : 50_000 + COUNT], rtol=0, atol=1e-6)


def changed(content: bytes, place: int, value: int) -> bytes:
    return content[:place] + bytes([value]) + content[place + 1 :]


def tag(content: bytes) -> int:
    """Return where the tag begins that counts frames: it has two names."""
    return max(content.find(b"Info"), content.find(b"Xing"))


def second_frame(content: bytes) -> int:
    return content.index(content[:2], 100)


UNUSUAL: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda content: b"",
    "no tag": lambda content: content[second_frame(content) :],
    "a tag that does not count": lambda content: changed(content, tag(content) + 7, 14),
    "another count": lambda content: changed(content, tag(content) + 11, 7),
    "checksums": lambda content: changed(content, 1, content[1] & 0xFE),
    "layer 2": lambda content: changed(content, 1, content[1] ^ 0x06),
    "a rate of its own choice": lambda content: changed(content, 2, content[2] & 0x0F),
    "an unknown rate": lambda content: changed(content, 2, content[2] | 0x0C),
    "another rate within": lambda content: changed(
        content, second_frame(content) + 2, content[2] ^ 0x04
    ),
    "a break within": lambda content: content[:5000] + content[5001:],
    "an early end": lambda content: content[:20_000],
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_files_are_left_to_the_decoder(usual: bytes, kind: str) -> None:
    file = io.BytesIO(UNUSUAL[kind](usual))

    assert mp3.part_of(file, frames=SECONDS * 44_100, start=90_000, stop=100_000) is None


@given(
    st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 60_000),
)
def test_damaged_files_raise_nothing(
    usual: bytes, changes: list[tuple[int, int]], length: int
) -> None:
    content = bytearray(usual)
    for place, value in changes:
        content[place % len(content)] = value

    mp3.part_of(io.BytesIO(content[:length]), frames=SECONDS * 44_100, start=9000, stop=60_000)


def test_an_excerpt_of_an_mp3_file_decodes_no_more_than_it_takes(
    usual: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is the same as that of the whole."""
    settings: dict[str, Any] = {"sample_rate": 16_000, "max_duration": 60}
    excerpt = Excerpt(8000)
    whole = samples_of(usual, **settings)
    read: list[int] = []
    original = soundfile.SoundFile.read

    def spied(self: Any, frames: int = -1, *others: Any, **more: Any) -> Any:
        block = original(self, frames, *others, **more)
        read.append(len(block))
        return block

    monkeypatch.setattr(soundfile.SoundFile, "read", spied)
    found = samples_of(usual, **settings, excerpt=excerpt)

    np.testing.assert_allclose(found, whole[excerpt.of(len(whole))], rtol=0, atol=1e-6)
    assert sum(read) < 22_050 + 25_000


def test_parts_are_the_same_without_files_in_memory(
    usual: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems other than Linux."""
    settings: dict[str, Any] = {"sample_rate": 16_000, "max_duration": 60, "excerpt": Excerpt(8000)}
    wanted = samples_of(usual, **settings)

    monkeypatch.setattr(samples, "_file_in_memory", lambda: None)

    np.testing.assert_array_equal(samples_of(usual, **settings), wanted)


@pytest.mark.parametrize("block", [4, 417, 1000, 4096])
def test_frames_are_found_across_blocks(
    usual: bytes, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a block that is read ends within a frame, or within its header."""
    count = SECONDS * 44_100
    wanted = mp3.part_of(io.BytesIO(usual), frames=count, start=90_000, stop=100_000)

    monkeypatch.setattr(mp3, "_BLOCK", block)

    assert wanted is not None
    assert mp3.part_of(io.BytesIO(usual), frames=count, start=90_000, stop=100_000) == wanted


def test_a_part_that_does_not_decode_is_taken_from_the_whole(
    usual: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong with it."""
    settings: dict[str, Any] = {"sample_rate": 16_000, "max_duration": 60}
    wanted = samples_of(usual, **settings, excerpt=Excerpt(8000))

    for bad in (
        mp3.Part(b"no sound", 5000, 10),
        mp3.Part(usual, 5000, 10),
        mp3.Part(usual, SECONDS * 44_100, SECONDS * 44_100 - 10),
    ):
        monkeypatch.setattr(mp3, "part_of", lambda *_, bad=bad, **__: bad)
        found = samples_of(usual, **settings, excerpt=Excerpt(8000))

        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)
