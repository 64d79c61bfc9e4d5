"""WAV files of plain numbers, which are read without a decoder; and files that are cut short."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import DataError

_CHUNKED = ((b"RIFF", b"WAVE"), (b"RF64", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC"))
_UNKNOWN_BYTES = 0x7FFFF000  # from here on, programs that write to a pipe mean "until it ends"
_MOST_CHUNKS = 1000  # a file has a dozen of them
_BLOCK = 2**20  # numbers that are turned into floats at a time
_HIGHEST_RATE = 1_000_000  # in Hz; a header that declares more is damaged

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_END = bytes.fromhex("000000001000800000aa00389b71")
"""How the 16 bytes end that name a format in extensible headers; the first two are its number."""
_KINDS = {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}


@dataclass(frozen=True)
class Wave:
    """A WAV file whose samples are plain numbers.

    Attributes:
        file: the file, open.
        place: the byte at which the samples begin.
        frames: samples of one channel.
        rate: frames in a second.
        channels: how many there are; their samples take turns.
        kind: the number of the format, and the bits of a sample.
    """

    file: IO[bytes]
    place: int
    frames: int
    rate: int
    channels: int
    kind: tuple[int, int]

    @property
    def whole_numbers(self) -> bool:
        """Whether samples are whole numbers in the file, and so within -1..1."""
        return self.kind[0] == _PCM

    def blocks(self, start: int, stop: int) -> Iterator[NDArray[np.float32]]:
        """Yield the frames from `start` to `stop`, `(frames, channels)`, some at a time.

        Whole numbers become -1 to 1, to the bit as libsndfile makes them.
        """
        size = self.channels * self.kind[1] // 8
        step = max(1, _BLOCK // self.channels)
        self.file.seek(self.place + start * size)
        for at in range(start, stop, step):
            content = self.file.read(min(step, stop - at) * size)
            yield _floats(content, self.kind).reshape(-1, self.channels)


def _floats(content: bytes, kind: tuple[int, int]) -> NDArray[np.float32]:
    """Return samples as float32; `kind` is the number of the format, and the bits of a sample."""
    form, bits = kind
    if form == _FLOAT:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.frombuffer(content, f"<f{bits // 8}").astype(np.float32, copy=False)
    if bits == 24:
        # As the upper three bytes of 32 bits.
        filled = np.zeros((len(content) // 3, 4), np.uint8)
        filled[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        content, bits = filled.tobytes(), 32
    if bits == 8:
        values = np.frombuffer(content, np.uint8).astype(np.float32)
        values -= np.float32(128)
    else:
        values = np.frombuffer(content, f"<i{bits // 8}").astype(np.float32)
    values *= np.float32(2.0 ** (1 - bits))
    return values


def plain_wave(file: IO[bytes]) -> Wave | None:
    """Return a WAV file of plain numbers; None if it needs a decoder.

    Raises:
        DataError: a WAV or AIFF file declares more sound than it has. Decoders ignore
            that.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    kind = (head[:4], head[8:])
    if kind not in _CHUNKED:
        return None
    order = ">" if kind[0] == b"FORM" else "<"
    place = 12
    long = 0
    form = b""
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, length = struct.unpack(f"{order}4sI", chunk)
        place += 8
        if name == b"ds64":  # where RF64 keeps what 32 bits cannot hold
            long = int.from_bytes(file.read(16)[8:], "little")
        if length == 0xFFFFFFFF and 0 < long < 2**62:
            length = long
        if name == b"fmt ":
            form = file.read(min(length, 40))
        if name in (b"data", b"SSND"):
            known = length < _UNKNOWN_BYTES or length == long
            if known and place + length > size:
                raise DataError(
                    f"the file is cut short: it declares {length:,} bytes of sound and has "
                    f"{size - place:,}; get a complete copy of it"
                )
            plain = known and kind[0] == b"RIFF" and name == b"data"
            return _wave(file, form, place, length) if plain else None
        place += length + length % 2
    return None


def _wave(file: IO[bytes], form: bytes, place: int, length: int) -> Wave | None:
    """Return the wave that a `fmt ` chunk describes; None if it is not plain, or not valid."""
    if len(form) < 16:
        return None
    number, channels, rate, _, size, bits = struct.unpack("<HHIIHH", form[:16])
    if number == _EXTENSIBLE and len(form) == 40 and form[26:] == _GUID_END:
        valid, number = struct.unpack("<H", form[18:20])[0], struct.unpack("<H", form[24:26])[0]
        if valid != bits:
            return None
    kind = (number, bits)
    sensible = 0 < channels <= 1024 and 0 < rate <= _HIGHEST_RATE
    if kind not in _KINDS or not sensible or size != channels * bits // 8 or length < size:
        return None
    return Wave(file, place, length // size, rate, channels, kind)
