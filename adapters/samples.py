"""Samples: sound files and arrays as one channel at one rate; every error is a `DataError`."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters import mp3
from gridcnn.adapters.excerpt import Excerpt, need_of
from gridcnn.adapters.opening import content_at, content_of, first_line, open_file
from gridcnn.adapters.waves import plain_wave
from gridcnn.cores import shortage
from gridcnn.errors import DataError
from gridcnn.memory import BUDGET

Samples = NDArray[np.float32]
"""One channel, `(samples)`; the loudest that a file of whole numbers can hold is -1 and 1."""

Block = NDArray[np.float32]
"""Some frames of a file, `(frames, channels)`."""

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif"})
MOST_CHANNELS = 64
"""Channels of an array, at most: one that has more is likely to be turned on its side."""

_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "CAF", "AU"})
_READ = "WAV, FLAC, OGG Vorbis, Opus, MP3 and AIFF are supported"
_FILE = "a sound file"
_HIGHEST_RATE = 1_000_000  # in Hz; a header that declares more is damaged
_BLOCK = 2**20  # numbers that are decoded at a time
_AT_ONCE = 2**18  # bytes of a file that is read in one call
_UNKNOWN_FRAMES = 2**62  # libsndfile's count for a stream whose header does not tell
_NO_SOUND = ("Format not recognised", "unknown format", "not a regular file")
"""Messages of libsndfile for content of an unknown format, or too short to know."""
LOUDEST = 16.0
"""The largest sample: decoders and mixers overshoot 1 a little, and never by 24 dB."""
_SHAPES = "a clip is (samples) or (samples, channels)"


_WHOLE_NUMBERS = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"})
"""Subtypes whose samples are finite and within -1..1, whatever a file holds."""
_PLAIN = _WHOLE_NUMBERS | {"FLOAT", "DOUBLE"}
"""Subtypes in which every sample stands alone, or in small blocks that a file tells the places of:
decoding may begin anywhere, and gives the same samples."""
_BEFORE_END = 10_000
"""Frames before the end of a FLAC file: to find a place within its last block (of 4,096 or 4,608
frames, as a rule) takes libFLAC a second."""
_MP3_HEAD = 2**16
"""Bytes of an MP3 file in which its first frame is looked for, behind titles and pictures."""
_LAST_PAGE = 255 * 4096
"""The most frames in a page of Ogg Vorbis: 255 packets, of blocks of 8,192.

libsndfile misses a start within the last page by up to 200 frames.
"""


@dataclass(frozen=True)
class _Wanted:
    """The arguments of `samples_of`, which explains each."""

    sample_rate: int
    max_duration: float
    excerpt: Excerpt | None


def samples_of(
    thing: Any, *, sample_rate: int, max_duration: float, excerpt: Excerpt | None = None
) -> Samples:
    """Return a thing as one channel at `sample_rate`, the mean of its channels.

    Args:
        thing: a path, the bytes of a sound file, an open binary file, or an array `(samples)` or
            `(samples, channels)` that has `sample_rate` already.
        sample_rate: samples per second.
        max_duration: seconds, beyond which a file is refused.
        excerpt: the part of a longer clip to return; None for all of it. If a file can be read from
            its middle, nothing else is decoded, and damage elsewhere is not found.
            The samples are those of the whole clip, but for rounding (1e-6).

    Raises:
        DataError: it is not a sound, cannot be read, or is too long.
    """
    wanted = _Wanted(sample_rate, max_duration, excerpt)
    if isinstance(thing, str | os.PathLike):
        place = os.fspath(thing)
        # As bytes on Linux and macOS, where a name need not be valid text.
        source = place if os.name == "nt" else os.fsencode(place)
        content = content_at(thing, most=_AT_ONCE)
        if content is not None:
            return _of_file(BytesIO(content), source, wanted)
        with open_file(thing, wanted=_FILE) as file:
            return _of_file(file, source, wanted)
    if isinstance(thing, bytes | bytearray | memoryview):
        return _of_bytes(bytes(thing), wanted)
    if callable(getattr(thing, "read", None)):
        return _of_bytes(content_of(thing), wanted)
    if hasattr(thing, "__array__") or isinstance(thing, list | tuple):
        samples = _of_array(thing)
        _refuse_odd(samples)
        return samples if excerpt is None else samples[excerpt.of(len(samples))]
    raise DataError(
        f"an object of type {type(thing).__name__} is not a sound; give a path, the bytes of "
        "a file, an open binary file or an array"
    )


class _Content(BytesIO):
    """Bytes as a file that ignores a seek to a place before its start.

    Damaged files make decoders do so, and an exception in there is printed instead of raised.
    """

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


def _of_bytes(content: bytes, wanted: _Wanted) -> Samples:
    if not content:
        raise DataError("the sound is empty (0 bytes)")
    file = _Content(content)
    return _of_file(file, file, wanted)


def _of_file(file: IO[bytes], source: IO[bytes] | str | bytes, wanted: _Wanted) -> Samples:
    """Return the wanted samples of an open file.

    `source` is passed to the decoder: the same file, or its path, which is faster.
    """
    wave = plain_wave(file)
    if wave is not None:
        _refuse_long(wave.frames, wave.rate, wanted)
        clip = _part(wave, wanted)
        assert clip is not None  # its length was compared with that of the file
        return clip
    with _one_sentence():
        import soundfile

        file.seek(0)
        with _reader()(source) as sound:
            if sound.format not in _FORMATS:
                raise DataError(f"its content is of the format {sound.format}; {_READ}")
            if sound.samplerate > _HIGHEST_RATE:
                raise DataError(
                    f"it declares {sound.samplerate:,} samples per second; at most "
                    f"{_HIGHEST_RATE:,} are supported"
                )
            known = sound.frames < _UNKNOWN_FRAMES
            if known:
                _refuse_long(sound.frames, sound.samplerate, wanted)
            part = wanted.excerpt is not None and known and soundfile.SoundFile.seekable(sound)
            if not part or not _tells_length(sound, file):
                return _whole(sound, wanted)
            with contextlib.suppress(soundfile.SoundFileError):
                clip = _part(_Sound(sound, file), wanted)
                if clip is not None:
                    return clip
        # It is not what it declares: all that there is decides where the excerpt lies.
        file.seek(0)
        with _reader()(source) as sound:
            return _whole(sound, wanted)


@functools.cache
def _reader() -> type[Any]:
    """Return `soundfile.SoundFile` without the seek to the place that each read has reached.

    Some decoders take long to get there, or miss it.
    """
    import soundfile

    class Reader(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

    return Reader


def _tells_length(sound: Any, file: IO[bytes]) -> bool:
    """Return whether a decoder knows how many frames there are; for some MP3 files it guesses.

    Encoders write the number into the first frame, unless that is too small for it.
    """
    if not sound.subtype.startswith("MPEG"):
        return True
    head = _start_of(file, _MP3_HEAD)
    return b"Xing" in head or b"Info" in head


def _start_of(file: IO[bytes], size: int) -> bytes:
    """Return the first bytes of a file that a decoder may be reading from."""
    place = file.tell()
    file.seek(0)
    content = file.read(size)
    file.seek(place)
    return content


class _Recording(Protocol):
    """A file with a known length, from which a part can be read.

    Its samples need no check if they are `whole_numbers`, made into -1..1.
    """

    @property
    def frames(self) -> int: ...
    @property
    def rate(self) -> int: ...
    @property
    def whole_numbers(self) -> bool: ...
    def blocks(self, start: int, stop: int) -> Iterable[NDArray[np.float32]]: ...


def _part(recording: _Recording, wanted: _Wanted) -> Samples | None:
    """Return the wanted samples of a recording; None if it has less than it declares."""
    rate, sample_rate = recording.rate, wanted.sample_rate
    excerpt = wanted.excerpt or Excerpt(sample_rate * recording.frames)
    need = need_of(excerpt, recording.frames, rate=rate, sample_rate=sample_rate)
    start, stop = need.frames.start, need.frames.stop
    if start >= stop:
        return None
    with BUDGET.borrow(_bytes_for(stop - start, rate, sample_rate)):
        samples = _join([_mean(block) for block in recording.blocks(start, stop)])
        if len(samples) < stop - start:
            return None
        if not recording.whole_numbers:
            _refuse_odd(samples)
        return at_rate(samples, rate, sample_rate)[need.used]


def _whole(sound: Any, wanted: _Wanted) -> Samples:
    """Return the wanted samples of an open `soundfile.SoundFile`, which is decoded as a whole."""
    known = sound.frames < _UNKNOWN_FRAMES
    size = _bytes_for(sound.frames, int(sound.samplerate), wanted.sample_rate) if known else 0
    with BUDGET.borrow(size):
        return _all_decoded(sound, wanted, known=known)


def _bytes_for(frames: int, rate: int, sample_rate: int) -> int:
    """Return how many bytes one channel takes: in pieces, together, and at the other rate."""
    return int(4 * frames * (2 + sample_rate / rate))


def _all_decoded(sound: Any, wanted: _Wanted, *, known: bool) -> Samples:
    rate, declared = int(sound.samplerate), sound.frames
    blocks: list[Samples] = []
    count = 0
    while not known or count < declared:
        step = _step(sound, declared - count)
        block = sound.read(step, dtype="float32", always_2d=True)
        if not len(block):
            break
        count += len(block)
        _refuse_long(count, rate, wanted)
        if not known and (reason := shortage(_bytes_for(count, rate, wanted.sample_rate))):
            raise DataError(f"it lasts {count / rate:,.1f} s or more: {reason}")
        blocks.append(_mean(block))
    if known and count < declared and sound.format == "FLAC":
        raise DataError(
            f"the file ends after {count / rate:.2f} of {declared / rate:.2f} s; get a complete "
            "copy of it"
        )
    if not count:
        raise DataError("the file has no samples: its sound lasts 0 s")
    samples = _join(blocks)
    if sound.subtype not in _WHOLE_NUMBERS:
        _refuse_odd(samples)
    samples = at_rate(samples, rate, wanted.sample_rate)
    return samples if wanted.excerpt is None else samples[wanted.excerpt.of(len(samples))]


class _Sound:
    """An open `soundfile.SoundFile` whose length is known, and in which places can be sought.

    `file` is what it reads, opened in the usual way.
    """

    def __init__(self, sound: Any, file: IO[bytes]) -> None:
        self._sound = sound
        self._file = file
        self.frames = int(sound.frames)
        self.rate = int(sound.samplerate)
        self.whole_numbers = sound.subtype in _WHOLE_NUMBERS

    def blocks(self, start: int, stop: int) -> Iterator[NDArray[np.float32]]:
        """Yield the frames from `start` to `stop`, `(frames, channels)`, some at a time.

        They are fewer if the file has less than it declares.
        """
        sound = self._sound
        part = self._mp3(start, stop) if sound.subtype == "MPEG_LAYER_III" and start else None
        if part is not None:
            yield part
            return
        place = self._place_before(start)
        if place:
            sound.seek(place)
        while place < stop:
            block = sound.read(_step(sound, stop - place), dtype="float32", always_2d=True)
            if not len(block):
                return
            place += len(block)
            if place > start:
                yield block[max(0, start - (place - len(block))) :]
        if sound.format == "FLAC" and stop < self.frames:
            # This raises an error if the file ends after what is used.
            sound.seek(max(stop, self.frames - _BEFORE_END))

    def _mp3(self, start: int, stop: int) -> Block | None:
        """Return the same frames of an MP3 file; None: all before them have to be decoded."""
        import soundfile

        place = self._file.tell()
        part = mp3.part_of(self._file, frames=self.frames, start=start, stop=stop)
        self._file.seek(place)
        if part is None:
            return None
        with (
            contextlib.suppress(soundfile.SoundFileError),
            _as_source(part.content) as source,
            _reader()(source, closefd=False) as sound,
        ):
            if (sound.frames, sound.samplerate) == (part.frames, self.rate):
                count = part.skipped + stop - start
                block: Block = sound.read(count, dtype="float32", always_2d=True)
                return block[part.skipped :] if len(block) == count else None
        return None

    def _place_before(self, start: int) -> int:
        """Return where to start decoding, so that samples from `start` on are right."""
        subtype = self._sound.subtype
        if subtype in _PLAIN:
            return start
        if subtype == "VORBIS":
            return max(0, min(start, self.frames - _LAST_PAGE))
        if subtype == "OPUS":  # its predictions have long faded after a second
            return max(0, start - self.rate)
        # An MP3 frame borrows bits from those before it, see `mp3`; the others are rare.
        return 0


@contextlib.contextmanager
def _as_source(content: bytes) -> Iterator[IO[bytes] | int]:
    """Hold the bytes of a file as something that libsndfile reads from.

    On Linux it is the descriptor of a file in memory. Each read from a Python object is a call into
    Python, for which a thread waits while another one runs there; an MP3 frame takes two.
    """
    file = _file_in_memory()
    if file is None:
        yield _Content(content)
        return
    with file:
        file.write(content)
        file.seek(0)
        yield file.fileno()


def _file_in_memory() -> IO[bytes] | None:
    """Return a new file that is on no disk; None if the system has none."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some sandboxes forbid it
            return os.fdopen(os.memfd_create("sound"), "w+b")
    return None


def _step(sound: Any, left: int) -> int:
    """Return how many frames to decode at a time, if so many are left."""
    return min(left, int(max(1, _BLOCK // sound.channels)))


def _join(blocks: list[Samples]) -> Samples:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _mean(block: NDArray[np.float32]) -> Samples:
    """Return the mean of all channels; samples that are not finite are reported later."""
    mean: Samples = block[:, 0]
    channels = block.shape[1]
    if channels > 1:
        # Ten times as fast as `block.mean(axis=1)`, which takes each frame by itself.
        with np.errstate(invalid="ignore", over="ignore"):
            mean = mean + block[:, 1]
            for channel in range(2, channels):
                mean += block[:, channel]
            if channels & (channels - 1):
                mean /= np.float32(channels)
            else:  # the same for a power of two, and faster
                mean *= np.float32(1 / channels)
    return mean


def _refuse_long(frames: int, rate: int, wanted: _Wanted) -> None:
    if frames > int(wanted.max_duration * rate):
        raise DataError(
            f"it lasts {frames / rate:,.1f} s or more; the setting 'max_duration' of audio allows "
            f"{wanted.max_duration:g} s"
        )


@contextlib.contextmanager
def _one_sentence() -> Iterator[None]:
    """Turn any error of a decoder into a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except MemoryError:
        raise DataError("there is not enough memory to decode it") from None
    except Exception as error:  # damaged files make decoders raise almost anything
        # Not soundfile's class, which is not there when importing it is what failed.
        reason = getattr(error, "error_string", "") or first_line(error)
        if any(words in reason for words in _NO_SOUND):
            raise DataError(f"its content is not a sound in a known format; {_READ}") from None
        raise DataError(f"the sound is damaged or not supported: {reason}") from None


def _of_array(thing: Any) -> Samples:
    """Return an array of any real numbers as one channel."""
    if isinstance(thing, np.ma.MaskedArray) and np.ma.is_masked(thing):
        raise DataError("it has masked samples; fill them in, or leave the clip out")
    try:
        samples = np.asarray(thing)
    except Exception as error:  # a foreign object's __array__ may raise anything
        raise DataError(f"it cannot be read as an array: {first_line(error)}; {_SHAPES}") from None
    if samples.ndim not in (1, 2):
        raise DataError(f"an array of shape {samples.shape} is not a clip; {_SHAPES}")
    if not samples.size:
        raise DataError(f"an array of shape {samples.shape} has no samples")
    if samples.ndim == 2 and samples.shape[1] > min(MOST_CHANNELS, samples.shape[0]):
        raise DataError(
            f"an array of shape {samples.shape} would be {samples.shape[1]} channels; {_SHAPES}, "
            "so transpose it with .T"
        )
    values = _full_scale(samples)
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
    """Raise `DataError` if samples are not finite, or far from -1..1."""
    low, high = float(samples.min()), float(samples.max())
    if not np.isfinite(low + high):
        count = int(np.count_nonzero(~np.isfinite(samples)))
        raise DataError(
            f"{count:,} of {len(samples):,} samples are NaN or infinite; all must be finite numbers"
        )
    if max(-low, high) > LOUDEST:
        raise DataError(
            f"its samples range from {low:g} to {high:g}; floats from -1 to 1 were expected, so "
            "divide them by the largest value of their format (32768 for 16 bits)"
        )


def at_rate(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return the same sound with `wanted` samples per second instead of `rate`."""
    if rate == wanted:
        return samples
    with _one_sentence():
        import soxr

        resampled: Samples = soxr.resample(samples, rate, wanted, quality="HQ")
    if not len(resampled):
        raise DataError(
            f"its {len(samples)} samples at {rate:,} Hz are less than one at {wanted:,} Hz; the "
            "clip is too short"
        )
    return resampled
