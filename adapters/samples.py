"""Samples: sound files and arrays as one channel at one rate; nothing but `DataError` comes out."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.opening import content_of, first_line, opened
from gridcnn.errors import DataError

Samples = NDArray[np.float32]
"""One channel, `(samples)`; the loudest that a file of whole numbers can hold is -1 and 1."""

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif"})
MOST_CHANNELS = 64
"""Channels of an array, at most: one that has more is likely to be turned on its side."""

_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "CAF", "AU"})
_READ = "WAV, FLAC, OGG Vorbis, Opus, MP3 and AIFF are read"
_FILE = "a sound file"
_HIGHEST_RATE = 1_000_000  # in Hz; a header that declares more is damaged
_BLOCK = 2**20  # numbers that are decoded at a time
_CHUNKED = ((b"RIFF", b"WAVE"), (b"RF64", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC"))
_UNKNOWN_FRAMES = 2**62  # libsndfile's count for a stream whose header does not tell
_UNKNOWN_BYTES = 0x7FFFF000  # from here on, programs that write to a pipe mean "until it ends"
_NO_SOUND = ("Format not recognised", "unknown format", "not a regular file")
"""How libsndfile tells that content is nothing that it knows, or too short to tell."""
_LOUDEST = 16.0  # decoders and mixers overshoot 1 a little, and never by 24 dB
_SHAPES = "a clip is (samples) or (samples, channels)"


def samples_of(thing: Any, *, sample_rate: int, max_duration: float) -> Samples:
    """Return a thing as one channel at `sample_rate`, the mean of its channels.

    Args:
        thing: a path, the bytes of a sound file, an open binary file, or an array `(samples)` or
            `(samples, channels)` that has `sample_rate` already.
        sample_rate: samples in a second.
        max_duration: seconds, beyond which a file is refused.

    Raises:
        DataError: it is no sound, cannot be read, or is too long.
    """
    if isinstance(thing, str | os.PathLike):
        with opened(thing, wanted=_FILE) as file:
            place = os.fspath(thing)
            # As bytes on Linux and macOS, where a name need not be valid text.
            decoded, rate = _decoded(
                file, place if os.name == "nt" else os.fsencode(place), max_duration
            )
    elif isinstance(thing, bytes | bytearray | memoryview):
        decoded, rate = _decoded_bytes(bytes(thing), max_duration)
    elif callable(getattr(thing, "read", None)):
        decoded, rate = _decoded_bytes(content_of(thing), max_duration)
    elif hasattr(thing, "__array__") or isinstance(thing, list | tuple):
        decoded, rate = _of_array(thing), sample_rate
    else:
        raise DataError(
            f"an object of type {type(thing).__name__} is no sound; a path, the bytes of a file, "
            "an open binary file or an array was expected"
        )
    _refuse_odd(decoded)
    return decoded if rate == sample_rate else _resampled(decoded, rate, sample_rate)


class _Content(BytesIO):
    """Bytes as a file that stays where it is when a decoder looks for a place before its start.

    Damaged files make decoders do so, and an exception in there is printed instead of raised.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _decoded_bytes(content: bytes, max_duration: float) -> tuple[Samples, int]:
    if not content:
        raise DataError("the sound is empty (0 bytes)")
    file = _Content(content)
    return _decoded(file, file, max_duration)


def _decoded(
    file: IO[bytes], source: IO[bytes] | str | bytes, max_duration: float
) -> tuple[Samples, int]:
    """Return the mean of a file's channels, and its sample rate.

    `source` is what the decoder is given: the same file, or its path, which is faster.
    """
    _refuse_cut(file)
    file.seek(0)
    with _told_in_one_sentence():
        import soundfile

        with soundfile.SoundFile(source) as sound:
            if sound.format not in _FORMATS:
                raise DataError(f"its content is of the format {sound.format}; {_READ}")
            return _mixed(sound, max_duration), int(sound.samplerate)


def _mixed(sound: Any, max_duration: float) -> Samples:
    """Return all that an open `soundfile.SoundFile` holds, channels mixed, `(samples)`."""
    rate, channels, declared = sound.samplerate, sound.channels, sound.frames
    if rate > _HIGHEST_RATE:
        raise DataError(
            f"it declares {rate:,} samples in a second; at most {_HIGHEST_RATE:,} are read"
        )
    known = declared < _UNKNOWN_FRAMES
    most = int(max_duration * rate)
    if known and declared > most:
        raise _too_long(declared / rate, max_duration)
    blocks: list[Samples] = []
    count = 0
    while not known or count < declared:
        block = sound.read(max(1, _BLOCK // channels), dtype="float32", always_2d=True)
        if not len(block):
            break
        count += len(block)
        if count > most:
            raise _too_long(count / rate, max_duration)
        blocks.append(_mean(block))
    if known and count < declared and sound.format == "FLAC":
        raise DataError(
            f"the file breaks off after {count / rate:.2f} of {declared / rate:.2f} s; get a whole "
            "copy of it"
        )
    if not count:
        raise DataError("the file has no samples: its sound lasts 0 s")
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _mean(block: NDArray[np.float32]) -> Samples:
    """Return the mean of all channels; what is not finite is told of later."""
    with np.errstate(invalid="ignore", over="ignore"):
        mean: Samples = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
    return mean


def _too_long(seconds: float, most: float) -> DataError:
    return DataError(
        f"it lasts {seconds:,.1f} s or more; the setting 'max_duration' of audio allows {most:g} s"
    )


def _refuse_cut(file: IO[bytes]) -> None:
    """Raise `DataError` where a WAV or AIFF file declares more sound than it has.

    Decoders play what is there without a word.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    kind = (head[:4], head[8:])
    if kind not in _CHUNKED:
        return
    order = ">" if kind[0] == b"FORM" else "<"
    place = 12
    long = 0
    for _ in range(1000):  # chunks; a file has a dozen of them
        file.seek(place)
        chunk = file.read(8)
        if len(chunk) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", chunk)
        place += 8
        if name == b"ds64":  # where RF64 keeps what 32 bits cannot hold
            long = int.from_bytes(file.read(16)[8:], "little")
        if length == 0xFFFFFFFF and 0 < long < 2**62:
            length = long
        if name in (b"data", b"SSND"):
            if (length < _UNKNOWN_BYTES or length == long) and place + length > size:
                raise DataError(
                    f"the file breaks off: it declares {length:,} bytes of sound and has "
                    f"{size - place:,}; get a whole copy of it"
                )
            return
        place += length + length % 2


@contextlib.contextmanager
def _told_in_one_sentence() -> Iterator[None]:
    """Turn whatever a decoder raises on foreign bytes into `DataError`."""
    try:
        yield
    except DataError:
        raise
    except MemoryError:
        raise DataError("there is not enough memory to decode it") from None
    except Exception as error:  # damaged files make decoders raise almost anything
        # Not soundfile's class, which is not there when importing it is what failed.
        told = getattr(error, "error_string", "") or first_line(error)
        if any(words in told for words in _NO_SOUND):
            raise DataError(f"its content is no sound of a known format; {_READ}") from None
        raise DataError(f"the sound is damaged or not supported: {told}") from None


def _of_array(thing: Any) -> Samples:
    """Return an array of any real numbers as one channel."""
    if isinstance(thing, np.ma.MaskedArray) and np.ma.is_masked(thing):
        raise DataError("it has masked samples; fill them in, or leave the clip out")
    try:
        given = np.asarray(thing)
    except Exception as error:  # a foreign object's __array__ may raise anything
        raise DataError(f"it cannot be read as an array: {first_line(error)}; {_SHAPES}") from None
    if given.ndim not in (1, 2):
        raise DataError(f"an array of shape {given.shape} is no clip; {_SHAPES}")
    if not given.size:
        raise DataError(f"an array of shape {given.shape} has no samples")
    if given.ndim == 2 and given.shape[1] > min(MOST_CHANNELS, given.shape[0]):
        raise DataError(
            f"an array of shape {given.shape} would be {given.shape[1]} channels; {_SHAPES}, so "
            "turn it with .T"
        )
    values = _full_scale(given)
    return values if values.ndim == 1 else _mean(values)


def _full_scale(given: NDArray[Any]) -> NDArray[np.float32]:
    """Return numbers of any type on the scale of -1..1."""
    kind, size = given.dtype.kind, given.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):
            return given.astype(np.float32)
    if kind not in "iu" or size > 4:
        raise DataError(
            f"samples of type {given.dtype} have no known range; give floats from -1 to 1, or "
            "whole numbers of 8, 16 or 32 bits"
        )
    half = 2.0 ** (8 * size - 1)
    return ((given.astype(np.float64) - (half if kind == "u" else 0)) / half).astype(np.float32)


def _refuse_odd(samples: Samples) -> None:
    """Raise `DataError` where samples are not finite, or far from -1..1."""
    low, high = float(samples.min()), float(samples.max())
    if not np.isfinite(low + high):
        count = int(np.count_nonzero(~np.isfinite(samples)))
        raise DataError(
            f"{count:,} of {len(samples):,} samples are NaN or infinite; all must be finite numbers"
        )
    if max(-low, high) > _LOUDEST:
        raise DataError(
            f"its samples reach from {low:g} to {high:g}; floats from -1 to 1 were expected, so "
            "divide them by the largest that their format allows (32768 for 16 bits)"
        )


def _resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return the same sound with `wanted` samples in a second instead of `rate`."""
    with _told_in_one_sentence():
        import soxr

        resampled: Samples = soxr.resample(samples, rate, wanted, quality="HQ")
    if not len(resampled):
        raise DataError(
            f"its {len(samples)} samples at {rate:,} Hz are none at {wanted:,} Hz; it is too short"
        )
    return resampled
