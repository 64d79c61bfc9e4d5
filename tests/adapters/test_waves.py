"""WAV files of plain numbers: read without a decoder, and to the bit what libsndfile makes."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from gridcnn.adapters import waves
from gridcnn.adapters.waves import plain_wave
from gridcnn.errors import DataError

SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"]


def encoded(samples: Any, form: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = BytesIO()
    soundfile.write(file, samples, 8000, format=form, subtype=subtype)
    return file.getvalue()


def noise(frames: int, channels: int) -> NDArray[np.float64]:
    """Return samples that fill the whole range, its ends included."""
    samples = np.random.default_rng(0).uniform(-1, 1, (frames, channels))
    samples[:2] = [[-1.0] * channels, [1.0] * channels]
    return samples


def read(content: bytes, start: int, stop: int) -> NDArray[np.float32]:
    wave = plain_wave(BytesIO(content))
    assert wave is not None
    return np.concatenate(list(wave.blocks(start, stop)))


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_plain_numbers_are_those_of_libsndfile(
    form: str, subtype: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole files and parts of them, in blocks of any size."""
    content = encoded(noise(999, channels), form, subtype)
    wanted, _ = soundfile.read(BytesIO(content), dtype="float32", always_2d=True)

    np.testing.assert_array_equal(read(content, 0, 999), wanted)
    monkeypatch.setattr(waves, "_BLOCK", 70)
    np.testing.assert_array_equal(read(content, 0, 999), wanted)
    np.testing.assert_array_equal(read(content, 123, 777), wanted[123:777])


@pytest.mark.parametrize(
    "content",
    [
        *(encoded(noise(99, 1), "WAV", subtype) for subtype in ("ULAW", "MS_ADPCM", "GSM610")),
        *(encoded(noise(99, 1), form) for form in ("RF64", "W64", "AIFF", "FLAC", "AU")),
        b"",
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_all_else_is_left_to_a_decoder(content: bytes) -> None:
    assert plain_wave(BytesIO(content)) is None


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (20, "<H", 7),  # another format
        (22, "<H", 0),  # no channel
        (22, "<H", 2000),  # too many of them
        (24, "<I", 0),  # no rate
        (24, "<I", 2_000_000),  # too high a rate
        (32, "<H", 3),  # frames of another size than their samples
        (34, "<H", 12),  # bits that fill no bytes
        (40, "<I", 0),  # no samples
        (40, "<I", 1),  # less than one
        (40, "<I", 0xFFFFFFFF),  # not known how many
    ],
)
def test_a_header_that_makes_no_sense_is_left_to_a_decoder(at: int, form: str, value: int) -> None:
    """It knows what to say of it."""
    content = bytearray(encoded(noise(99, 1)))
    content[at : at + struct.calcsize(form)] = struct.pack(form, value)

    assert plain_wave(BytesIO(bytes(content))) is None


def test_chunks_before_the_samples_are_passed_over() -> None:
    """Of odd lengths, too, which a byte follows that does not count."""
    content = encoded(noise(99, 1))
    more = content[:36] + struct.pack("<4sI", b"LIST", 3) + b"abc\0" + content[36:]

    np.testing.assert_array_equal(read(more, 0, 99), read(content, 0, 99))


def test_less_sound_than_declared_is_refused() -> None:
    with pytest.raises(DataError, match="it declares 198 bytes of sound and has 100"):
        plain_wave(BytesIO(encoded(noise(99, 1))[:144]))
