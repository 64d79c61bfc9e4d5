"""Public sets of sounds whose labels are in the names of their files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

from gridcnn.contracts.source import TEST, TRAIN, Dataset, Facts
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.public.catalogue import ESC50, SPOKEN_DIGITS, Archive, PublicSet
from gridcnn.datasets.public.source import Public, find
from gridcnn.datasets.soundness import sound

SOUNDS = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow",
    "rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds", "water_drops", "wind",
    "pouring_water", "toilet_flush", "thunderstorm",
    "crying_baby", "sneezing", "clapping", "breathing", "coughing", "footsteps", "laughing",
    "brushing_teeth", "snoring", "drinking_sipping",
    "door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening",
    "washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking",
    "helicopter", "chainsaw", "siren", "car_horn", "engine", "train", "church_bells", "airplane",
    "fireworks", "hand_saw",
)  # fmt: skip
"""What the numbers 0 to 49 in the names of ESC-50's files mean."""
_TEST = 5
"""Recordings 0 to 4 of each speaker and digit are for the test."""


class SpokenDigits(Public):
    """The Free Spoken Digit Dataset: the digits 0 to 9, spoken by six people.

    Each has spoken each digit 50 times. A clip is 0.14 to 2.3 seconds long, with 8,000 samples a
    second.
    """

    title: ClassVar[str] = "spoken-digits"
    about: ClassVar[PublicSet] = SPOKEN_DIGITS

    split: Literal["official", "speaker"] = "official"
    """How the clips are divided. `official`: the first five recordings of each digit by each
    speaker are the test part, so that all are known from training. `speaker`: nothing is divided
    beforehand, and all clips of a speaker stay together: the harder test."""

    def facts(self) -> Facts:
        """Return what is known before the data is opened; clips differ in length."""
        return Facts(3_000, tuple("0123456789"), ())

    def read(self, folder: Path) -> Dataset:
        """Return the paths of the WAV files; the class is the digit.

        Raises:
            DataError: a file is there twice.
        """
        speakers = self.split == "speaker"
        return _clips(
            self,
            folder,
            r"([0-9])_([a-z]+)_([0-9]+)\.wav",
            label=lambda match: match[1],
            group=(lambda match: match[2]) if speakers else None,
            part=None if speakers else (lambda match: TEST if int(match[3]) < _TEST else TRAIN),
        )


class Esc50(Public):
    """ESC-50: 50 kinds of sounds around us, in clips of five seconds.

    Its makers divide it into five folds, which are its groups: fragments of one recording are
    always in the same fold. To fetch it, 645.7 MB come, and 1.5 GB of disk are needed for a while.
    """

    title: ClassVar[str] = "esc50"
    about: ClassVar[PublicSet] = ESC50

    def facts(self) -> Facts:
        """Return what is known before the data is opened; the shape is `(samples)`."""
        return Facts(2_000, tuple(sorted(SOUNDS)), (220_500,))

    def read(self, folder: Path) -> Dataset:
        """Return the paths of the WAV files; the groups are the folds "1" to "5".

        Raises:
            DataError: a file is there twice, or its name has a number that is not a class.
        """
        return _clips(
            self,
            folder,
            r"([1-5])-[0-9]+-[A-Z]-([0-9]+)\.wav",
            label=lambda match: SOUNDS[int(match[2])] if int(match[2]) < len(SOUNDS) else "",
            group=lambda match: match[1],
            part=None,
        )


_Told = Callable[[re.Match[str]], str]


def _clips(
    source: Public,
    folder: Path,
    pattern: str,
    *,
    label: _Told,
    group: _Told | None,
    part: _Told | None,
) -> Dataset:
    """Return the clips below a folder, with the labels in their names."""
    assert isinstance(source.about.parts, Archive)
    files = find(folder, source.about.parts.pattern)
    problems = Problems(str(folder))
    matches = []
    by_name: dict[str, Path] = {}
    for file in files:
        match = re.fullmatch(pattern, file.name)
        assert match is not None
        if file.name in by_name:
            problems.add(f"the same clip as {by_name[file.name]}; keep one", source=str(file))
        if not label(match):
            problems.add("the last number of its name is not a class", source=str(file))
        by_name[file.name] = file
        matches.append(match)
    problems.stop()
    paths = [places.absolute(file) for file in files]
    return sound(
        Dataset(
            paths,
            [label(match) for match in matches],
            [file.name for file in files],
            [part(match) for match in matches] if part else None,
            origin=str(folder),
            places=[places.printable(path) for path in paths],
            groups=[group(match) for match in matches] if group else None,
        )
    )
