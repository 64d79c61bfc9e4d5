"""Excerpts: which part of a long clip is used, and which part of its file that takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

_REACH = 400
"""Samples, at the lower of both rates, that are resampled beyond each end of an excerpt.

soxr's filters reach about 100 of them. 200 make what 4,000 make, to 1e-6: what is left is rounding.
"""


@dataclass(frozen=True)
class Excerpt:
    """So many samples of a clip: those in its centre, or those at its start.

    Of a clip that is not longer, all samples are used.
    """

    samples: int
    centred: bool = True

    def of(self, count: int) -> slice:
        """Return where the excerpt lies in a clip of `count` samples."""
        start = max(0, count - self.samples) // 2 if self.centred else 0
        return slice(start, min(count, start + self.samples))


@dataclass(frozen=True)
class Need:
    """What an excerpt takes.

    Attributes:
        frames: what of the file has to be decoded, at its own rate.
        used: what of these frames is the excerpt, once they are resampled.
    """

    frames: slice
    used: slice


def need_of(excerpt: Excerpt, frames: int, *, rate: int, sample_rate: int) -> Need:
    """Return what an excerpt takes of a file of `frames` at `rate`, resampled to `sample_rate`.

    The first frame falls on a sample of the result, so that all samples lie where they do if the
    whole file is resampled.
    """
    used = excerpt.of(resampled_count(frames, rate=rate, sample_rate=sample_rate))
    if rate == sample_rate:
        return Need(used, slice(0, used.stop - used.start))
    reach = math.ceil(_REACH * rate / min(rate, sample_rate))
    step = rate // math.gcd(rate, sample_rate)
    start = max(0, used.start * rate // sample_rate - reach) // step * step
    stop = min(frames, -(-used.stop * rate // sample_rate) + reach)
    before = start * sample_rate // rate
    return Need(slice(start, stop), slice(used.start - before, used.stop - before))


def resampled_count(frames: int, *, rate: int, sample_rate: int) -> int:
    """Return how many samples soxr returns for so many frames."""
    return frames if rate == sample_rate else int(frames / (rate / sample_rate) + 0.5)
