"""Augmentations of sounds, before they become spectrograms: pitch, stretch, background, loudness.

Samples are float32 `(samples)`, at the sample rate of the adapter.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Gt, Le
from pydantic import AllowInfNan, Field, Strict, field_validator

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.by_librosa import shift_pitch, stretch_time
from gridcnn.adapters.samples import LOUDEST, SUFFIXES, Samples, samples_of
from gridcnn.contracts.adapter import Adapter
from gridcnn.contracts.augmentation import ThingAugmentation
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.walking import Walk
from gridcnn.errors import DataError, Problem
from gridcnn.settings.base import Share, wanted_error

_QUIETEST, _LOUD = -120.0, 40.0  # dB of a background, beside the clip
_KEPT = 8  # files of backgrounds that stay decoded


class SoundAugmentation(ThingAugmentation, abc.ABC):
    """A change of the samples of a clip."""

    def check(self, adapter: Adapter) -> None:
        """Raise `ValueError` if the adapter does not read sounds."""
        if not isinstance(adapter, AudioAdapter):
            raise ValueError(
                f"it changes sounds, and the items are read with adapter: {adapter.title}; leave "
                "it out"
            )

    def change(self, thing: Any, adapter: Adapter, random: np.random.Generator) -> Any:
        """Return changed samples."""
        assert isinstance(adapter, AudioAdapter)
        changed = self.change_samples(thing, adapter.sample_rate, random)
        return np.clip(changed, -LOUDEST, LOUDEST).astype(np.float32, copy=False)

    @abc.abstractmethod
    def change_samples(
        self, samples: Samples, sample_rate: int, random: np.random.Generator
    ) -> Samples:
        """Return changed samples; those that are given stay as they are."""


class Pitch(SoundAugmentation):
    """Makes sounds higher or lower, as fast as before."""

    title: ClassVar[str] = "pitch"
    short: ClassVar[tuple[str, ...]] = ("semitones",)

    semitones: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(24)]
    """The most halftones up or down; fractions are as likely as whole ones."""

    def change_samples(
        self, samples: Samples, sample_rate: int, random: np.random.Generator
    ) -> Samples:
        """Return the samples of a higher or lower sound."""
        steps = self.semitones * (2 * random.random() - 1)
        return shift_pitch(samples, steps, sample_rate=sample_rate)


class Stretch(SoundAugmentation):
    """Makes sounds faster or slower, as high as before."""

    title: ClassVar[str] = "stretch"
    short: ClassVar[tuple[str, ...]] = ("rate",)

    rate: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(3)]
    """0.1 makes sounds up to 1.1 times as fast, or as slow."""

    @property
    def reach(self) -> float:
        """How much of a long clip is needed, so that it does not end too early if it is faster."""
        return 1 + self.rate

    def change_samples(
        self, samples: Samples, sample_rate: int, random: np.random.Generator
    ) -> Samples:
        """Return fewer or more samples."""
        rate = float((1 + self.rate) ** (2 * random.random() - 1))
        return stretch_time(samples, rate, sample_rate=sample_rate)


class Loudness(SoundAugmentation):
    """Makes sounds louder or quieter; for adapters that keep loudness (`reference: 1.0`)."""

    title: ClassVar[str] = "loudness"
    short: ClassVar[tuple[str, ...]] = ("decibels",)

    decibels: Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(60)]
    """The most by which sounds become louder or quieter, in decibels."""

    def check(self, adapter: Adapter) -> None:
        """Raise `ValueError` if the adapter does not read sounds, or makes all equally loud."""
        super().check(adapter)
        if not isinstance(adapter, AudioAdapter) or not adapter.keeps_loudness:
            raise ValueError(
                "the adapter makes loud and quiet clips alike, so that it changes nothing; leave "
                "it out, or set 'reference: 1.0' of audio"
            )

    def change_samples(
        self,
        samples: Samples,
        sample_rate: int,  # noqa: ARG002
        random: np.random.Generator,
    ) -> Samples:
        """Return samples that are multiplied by one number."""
        return samples * np.float32(10 ** (self.decibels * (2 * random.random() - 1) / 20))


class Background(SoundAugmentation):
    """Adds sounds from a folder, such as recordings of noise, to some clips.

    Each time a file and a place in it are drawn; a file that ends is repeated.
    """

    title: ClassVar[str] = "background"
    short: ClassVar[tuple[str, ...]] = ("folder",)

    folder: str = Field(min_length=1)
    """The folder of sound files, with all folders in it. A relative path starts at the folder of
    the spec."""
    level: tuple[float, float] = (-30.0, -10.0)
    """How loud the background is compared with the clip, in decibels: the lowest and the highest
    level. The mean squares of all samples are compared."""
    probability: Share = 1.0
    """How likely it is that a form of an item has a background."""

    @field_validator("level", mode="before")
    @classmethod
    def _is_a_range(cls, value: Any) -> Any:
        numbers = isinstance(value, list | tuple) and len(value) == 2
        if not numbers or not all(
            isinstance(each, int | float) and not isinstance(each, bool) for each in value
        ):
            raise wanted_error("two numbers of decibels, as [-30, -10]")
        low, high = map(float, value)
        if not _QUIETEST <= low <= high <= _LOUD:
            raise wanted_error(
                f"two numbers of decibels from {_QUIETEST:g} to {_LOUD:g}, the lower one first"
            )
        return low, high

    def resolved(self, base: Path) -> Self:
        """Return the same with an absolute path, starting at the folder `base`."""
        return self.model_copy(update={"folder": places.resolve(self.folder, base)})

    @property
    def content(self) -> str:
        """A digest of the files, so that others make other forms."""
        digest = hashlib.sha256()
        for file in self._files():
            with _naming(file), Path(file).open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        return digest.hexdigest()

    def check(self, adapter: Adapter) -> None:
        """Raise `ValueError` if the adapter does not read sounds, or the folder holds none."""
        super().check(adapter)
        _files_in.cache_clear()  # a run begins, and there may be others than before
        self._files()

    def change_samples(
        self, samples: Samples, sample_rate: int, random: np.random.Generator
    ) -> Samples:
        """Return the samples with others added."""
        whether, which, level, start = random.random(4).tolist()
        if whether >= self.probability:
            return samples
        files = self._files()
        noise = _sound_in(files[int(which * len(files))], sample_rate)
        added = np.resize(np.roll(noise, -int(start * len(noise))), len(samples))
        low, high = self.level
        ratio = 10 ** ((low + level * (high - low)) / 20)
        return samples + added * np.float32(ratio * _loudness(samples) / (_loudness(added) or 1.0))

    def _files(self) -> tuple[str, ...]:
        """Return the sound files, in the order of their names; raise `ValueError` if none."""
        folder = places.at_home(self.folder)
        if not places.is_folder(folder):
            raise ValueError(
                f"there is no folder {places.printable(folder)}; name a folder of sound files"
            )
        files = _files_in(folder)
        if not files:
            raise ValueError(
                f"the folder {places.printable(folder)} holds no file of "
                f"{', '.join(sorted(SUFFIXES))}; name a folder of sound files"
            )
        return files


def _loudness(samples: Samples) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


@functools.lru_cache(maxsize=_KEPT)
def _files_in(folder: str) -> tuple[str, ...]:
    """Return the sound files in a folder and those in it, in the order of their names."""
    files = Walk(folder, Problems()).files()
    return tuple(entry.path for entry in files if entry.ending in SUFFIXES)


def _sound_in(file: str, sample_rate: int) -> Samples:
    """Return the samples of a file; raise `DataError` with its name if it cannot be read."""
    with _naming(file):
        about = os.stat(file)  # noqa: PTH116 - the name need not be text
        return _decode(file, (about.st_size, about.st_mtime_ns), sample_rate)


@contextlib.contextmanager
def _naming(file: str) -> Iterator[None]:
    """Raise a `DataError` that names the file, if it cannot be read."""
    try:
        yield
    except (DataError, OSError) as error:
        text = error.problems[0].message if isinstance(error, DataError) else error.strerror
        message = f"it cannot be a background: {text}; repair it, or take it out of the folder"
        raise DataError(Problem(message, source=places.printable(file))) from None


@functools.lru_cache(maxsize=_KEPT)
def _decode(file: str, stamp: tuple[int, int], sample_rate: int) -> Samples:  # noqa: ARG001
    """Return the samples of a file; `stamp` changes if it is written again."""
    samples = samples_of(file, sample_rate=sample_rate, max_duration=600.0)
    samples.setflags(write=False)
    return samples
