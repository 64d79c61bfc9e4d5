"""Random streams: everything that is drawn from a spec's seed, with the number of its stream.

Two uses of one seed must not draw the same numbers. The number of a stream never changes and is
never used again: it fixes results bit for bit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class Stream(IntEnum):
    """What the random numbers are used for; each use has its own number."""

    STARTING_WEIGHTS = 1
    BATCHES = 2
    """The order of the training items in an epoch, and the dropout."""
    EXEMPLARS = 3
    """Which training items the literal comparison keeps."""
    AUGMENTATION = 4
    MIXUP = 5
    CHANGED_FORMS = 6
    """The changed forms of training items, before their grids are made."""
    CHOSEN_FORMS = 7
    """Which form of each item an epoch uses."""
    BASELINE = 8
    """Which training items a report's plain baseline is fitted on."""

    CHECK_NEIGHBOURS = 0x0_DE_5
    CHECK_USEFULNESS = 0x0_DE_6
    CHECK_LAGS = 0x0_DE_7
    CHECK_ROWS = 0x0_DE_8
    """Which rows the checker samples."""
    CHECK_ALPHABET = 0x0_DE_9
    CHECK_SEQUENCES = 0x0_DE_A
    CHECK_ROW_ORDER = 0x0_DE_C
    CHECK_GRIDS = 0x0_DE_B
    """Which items the checker samples, if their grids are large."""

    CHARTS = 0xC4A27
    PHRASES = 0x7EC57
    SOUNDS = 0x50A2D5
    XO = 0x0B5E55ED

    TUNING = 0x5EED_704E
    """The values that the trials of a search try."""

    DIVISION = 0x5EED_5B11
    FOLDS = 0x5EED_F01D
    OTHER_FORMS = 0x5EED_F093
    """Training items written in other forms, such as random SMILES of a molecule."""

    def random(self, seed: int, *parts: int) -> np.random.Generator:
        """Return the stream's generator for a seed; `parts` distinguish several draws."""
        import numpy as np

        return np.random.default_rng([seed, int(self), *parts])
