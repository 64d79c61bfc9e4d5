"""Short sounds that differ in their shape over time and pitch: data to try audio with."""

from __future__ import annotations

import struct
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import AllowInfNan, Strict, model_validator

from gridcnn.contracts.source import Dataset, Facts, Request
from gridcnn.datasets.makers.made import Made
from gridcnn.datasets.readers.stacks import item_names
from gridcnn.settings.base import Many, Seed
from gridcnn.streams import Stream

Rate = Annotated[int, Strict(), Ge(4000), Le(96_000)]
"""Samples per second."""
Seconds = Annotated[float, Strict(), AllowInfNan(False), Ge(0.25), Le(10)]
"""The length of a clip."""
Ratio = Annotated[float, Strict(), AllowInfNan(False), Ge(-60), Le(120)]
"""A ratio of power, in decibels."""
Range = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(60)]
"""A difference of loudness, in decibels."""
Part = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(1)]
"""A part of a whole: from 0 to 1."""
Values = NDArray[np.float32]

CLASSES = ("beeps", "clicks", "falling", "noise", "rising", "warble")
_EACH = 16
"""Sounds of each class that are made together."""
_MAX_SAMPLES = 2**31
"""Samples of all clips together; each takes two bytes."""
_FADE = 0.008
"""Seconds in which a sound begins and ends, so that it does not click."""
_LOUDEST = 0.9
"""The highest sample of the loudest clip."""


class Sounds(Made):
    """Short sounds in six shapes: rising, falling, beeps, warble, clicks and noise.

    `rising` and `falling` glide in pitch, `beeps` are tones with pauses, a `warble` swings up and
    down, `clicks` are short knocks, and `noise` comes in bursts. Pitch, place, length and rhythm
    are drawn for every clip, so that a class is known by its shape and not by its pitch. With
    the same seed, a smaller set is the beginning of a larger one.
    """

    title: ClassVar[str] = "sounds"
    suffix: ClassVar[str] = ".wav"

    count: Many = 6000
    """The number of clips, equally many of each class, in turn."""
    sample_rate: Rate = 8000
    """Samples per second, in Hz."""
    duration: Seconds = 1.0
    """The length of every clip, in seconds."""
    seed: Seed | None = None
    """The seed of the clips; null: that of the run."""
    noise_db: Ratio | None = 0.0
    """Signal to noise ratio, in decibels: how far the mean power of the sound, over the whole clip,
    is above that of the noise behind it, at least; null: no noise."""
    noise_spread_db: Range = 40.0
    """How much less noise than that a clip may have, in decibels; drawn for every clip."""
    loudness_db: Range = 20.0
    """How much quieter than the loudest a clip may be, in decibels."""
    shift: Part = 1.0
    """How far the sound may lie from the middle of the clip, as a part of the room there is."""

    @model_validator(mode="after")
    def _refuse_too_many(self) -> Self:
        samples = self.count * self._samples
        if samples > _MAX_SAMPLES:
            raise ValueError(
                f"{self.count} clips of {self._samples} samples are {samples} samples; at most "
                f"{_MAX_SAMPLES} are made at once, so lower 'count' or 'duration'"
            )
        return self

    @property
    def _samples(self) -> int:
        return round(self.duration * self.sample_rate)

    def facts(self) -> Facts:
        """Return what is known before the sounds are made; the shape is `(samples)`."""
        return Facts(self.count, CLASSES, (self._samples,))

    def open(self, request: Request) -> Dataset:
        """Return the clips, each the bytes of a WAV file of one channel and 16 bits."""
        clips = self.clips(request.seed if self.seed is None else self.seed)
        files = [wav_of(clip, sample_rate=self.sample_rate) for clip in clips]
        labels = [CLASSES[index % len(CLASSES)] for index in range(self.count)]
        return Dataset(files, labels, item_names(self.count), origin=self.title)

    def encode_item(self, thing: Any) -> bytes:
        """Return a clip as a WAV file, which it is."""
        return bytes(thing)

    def clips(self, seed: int) -> NDArray[np.int16]:
        """Return all clips, int16 `(count, samples)`, the classes in turn, by their names."""
        clips = np.empty((self.count, self._samples), np.int16)
        lot = _EACH * len(CLASSES)
        for number, start in enumerate(range(0, self.count, lot)):
            # Each lot has random numbers of its own, and is made whole: so smaller sets begin
            # larger ones.
            random = Stream.SOUNDS.random(seed, number)
            part = clips[start : start + lot]
            for place, name in enumerate(CLASSES):
                rows = part[place :: len(CLASSES)]
                rows[:] = self._make(_Draws(random, _EACH), name)[: len(rows)]
        return clips

    def _make(self, draws: _Draws, name: str) -> NDArray[np.int16]:
        """Return one clip of a class for each of `draws.items`, `(items, samples)`."""
        seconds = np.arange(self._samples, dtype=np.float32)[None] / np.float32(self.sample_rate)
        length = np.float32(self.duration) * draws.between(0.45, 0.85)
        room = (np.float32(self.duration) - length) / 2
        start = room * (1 + np.float32(self.shift) * draws.between(-1, 1))
        shape = _Shape(draws, seconds - start, length, self.sample_rate)
        sound = getattr(shape, name)() * shape.envelope(shape.time, length)
        sound /= np.sqrt(np.mean(sound**2, axis=1, keepdims=True))
        noise = self._noise(draws)
        less = self.noise_spread_db * draws.between(0, 1)
        if self.noise_db is not None:
            sound += noise * 10 ** (-(np.float32(self.noise_db) + less) / 20)
        loudness = _LOUDEST * 10 ** (-draws.between(0, 1) * self.loudness_db / 20)
        sound *= loudness / np.abs(sound).max(axis=1, keepdims=True)
        clips: NDArray[np.int16] = np.rint(sound * np.float32(32767)).astype(np.int16)
        return clips

    def _noise(self, draws: _Draws) -> Values:
        """Return noise of the mean power 1, from white to pink, `(items, samples)`."""
        spectrum = np.fft.rfft(draws.normal(self._samples))
        steps = np.maximum(np.arange(spectrum.shape[1], dtype=np.float32), 1)[None]
        noise = np.fft.irfft(spectrum * steps ** (-draws.between(0, 0.5)), self._samples)
        noise /= np.sqrt(np.mean(noise**2, axis=1, keepdims=True))
        return noise.astype(np.float32)


class _Draws:
    """Random numbers, one for each of `items` clips at a time: float32 `(items, 1)`."""

    def __init__(self, random: np.random.Generator, items: int) -> None:
        self._random = random
        self.items = items

    def between(self, low: float, high: float) -> Values:
        """Return numbers from `low` to `high`."""
        drawn = self._random.random((self.items, 1), np.float32)
        return drawn * np.float32(high - low) + np.float32(low)

    def ratio(self, low: float, high: float) -> Values:
        """Return numbers from `low` to `high`, evenly on a logarithmic scale."""
        return np.exp(self.between(float(np.log(low)), float(np.log(high))))

    def whole(self, low: int, high: int) -> Values:
        """Return whole numbers from `low` to `high`, both included."""
        return np.minimum(np.floor(self.between(low, high + 1)), np.float32(high))

    def normal(self, samples: int) -> Values:
        """Return normally distributed numbers, `(items, samples)`."""
        return self._random.standard_normal((self.items, samples), np.float32)


class _Shape:
    """The shapes of sounds, each `(items, samples)`, before they are faded in and out.

    `time` is in seconds from the beginning of the sound, `(items, samples)`, and `length` how long
    it lasts, `(items, 1)`. Pitches lie between 8 % and 80 % of the highest that the sample rate
    allows.
    """

    def __init__(self, draws: _Draws, time: Values, length: Values, sample_rate: int) -> None:
        self.time = time
        self._draws = draws
        self._length = length
        self._rate = sample_rate
        self._highest = sample_rate / 2

    def envelope(self, time: Values, length: Values) -> Values:
        """Return 1 from 0 to `length`, 0 outside of it, and what rises and falls between them."""
        edge = np.minimum(time, length - time) / np.float32(_FADE)
        fade: Values = 0.5 - 0.5 * np.cos(np.pi * np.clip(edge, 0, 1))
        return fade

    def rising(self) -> Values:
        return self._glide(up=True)

    def falling(self) -> Values:
        return self._glide(up=False)

    def warble(self) -> Values:
        """Return a tone whose pitch swings up and down three to six times."""
        pitch = self._pitch(0.14, 0.6)
        swing = pitch * self._draws.between(0.15, 0.3)
        rate = self._draws.between(3, 6) / self._length
        turn = self._draws.between(0, 2 * np.pi)
        swung = np.cos(2 * np.pi * rate * self.time + turn) * swing / rate
        sound: Values = np.sin(2 * np.pi * pitch * self.time - swung)
        return sound

    def beeps(self) -> Values:
        """Return two to five tones of one pitch, with pauses."""
        gate, _ = self._gate(2, 5)
        sound: Values = np.sin(2 * np.pi * self._pitch(0.08, 0.8) * self.time) * gate
        return sound

    def noise(self) -> Values:
        """Return one to three bursts of noise, over a part of all pitches."""
        gate, _ = self._gate(1, 3)
        middle = self._pitch(0.25, 0.65)
        width = middle * self._draws.between(0.5, 0.9)
        samples = self.time.shape[1]
        spectrum = np.fft.rfft(self._draws.normal(samples))
        pitches = np.fft.rfftfreq(samples, 1 / self._rate)[None]
        inside = np.abs(pitches - middle) < width / 2
        return np.fft.irfft(spectrum * inside, samples).astype(np.float32) * gate

    def clicks(self) -> Values:
        """Return three to eight knocks, each over within a few thousandths of a second."""
        _, since = self._gate(3, 8)
        fall = self._draws.between(0.001, 0.003)
        # Before the sound begins there is nothing, and nothing may overflow there.
        return self._draws.normal(self.time.shape[1]) * np.exp(-np.maximum(since, 0) / fall)

    def _glide(self, *, up: bool) -> Values:
        low = self._pitch(0.08, 0.3)
        high = low * self._draws.ratio(1.7, 2.6)
        first, last = (low, high) if up else (high, low)
        # The integral of a pitch that changes evenly with time.
        cycles = first * self.time + (last - first) * self.time**2 / (2 * self._length)
        return np.sin(2 * np.pi * cycles)

    def _pitch(self, low: float, high: float) -> Values:
        return self._draws.ratio(low * self._highest, high * self._highest)

    def _gate(self, fewest: int, most: int) -> tuple[Values, Values]:
        """Return when an even rhythm sounds, from 0 to 1, and the seconds since its last beat."""
        beats = self._draws.whole(fewest, most)
        sounds = self._draws.between(0.45, 0.65)
        # The last beat ends with the sound.
        period = self._length / (beats - 1 + sounds)
        since = np.mod(self.time, period)
        return self.envelope(since, period * sounds), since


def wav_of(samples: NDArray[np.int16], *, sample_rate: int) -> bytes:
    """Return samples of one channel, int16 `(samples)`, as a WAV file."""
    sound = samples.astype("<i2").tobytes()
    layout = struct.pack("<HHIIHH", 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(layout)) + layout
    chunks += b"data" + struct.pack("<I", len(sound)) + sound
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
