"""Control charts: made rows of readings that are normal, swing, drift or jump."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from annotated_types import Ge, Le
from numpy.typing import NDArray
from pydantic import AllowInfNan, Strict, model_validator

from gridcnn.contracts.source import Dataset, Facts, Request
from gridcnn.datasets.makers.made import MadeRows
from gridcnn.datasets.readers.stacks import item_names
from gridcnn.settings.base import Many, Seed
from gridcnn.streams import Stream

Length = Annotated[int, Strict(), Ge(30), Le(10_000)]
"""Readings of a row: at least two of the longest periods."""
Size = Annotated[float, Strict(), AllowInfNan(False), Ge(0), Le(1000)]
"""A part of what the article has: 1 is the same."""

CLASSES = ("cyclic", "decreasing", "down", "increasing", "normal", "up")
_MEAN, _NOISE = 30.0, 2.0
_REACH = 3.0
"""The noise is evenly distributed, up to so many times `_NOISE` up and down."""
_MAX_READINGS = 2**30
"""Readings of all rows together; each takes four bytes."""
_LOT = 100
"""Rows of each class that are drawn together."""


class Charts(MadeRows):
    """Control charts: rows of readings that are normal, swing, drift or jump.

    A reading is 30, with noise of up to 6 up or down. `normal` rows have nothing else; `cyclic`
    ones swing by 10 to 15 with a period of 10 to 15 readings; `increasing` and `decreasing` ones
    drift by 0.2 to 0.5 with each reading; `up` and `down` ones jump by 7.5 to 20 in their middle
    third (Alcock and Manolopoulos, 1999). With the same seed, a smaller set is the beginning of a
    larger one.
    """

    title: ClassVar[str] = "charts"

    count: Many = 1200
    """The number of rows, equally many of each class, in turn."""
    length: Length = 60
    """Readings of a row. In longer rows, drifts are slower, so that they go as far."""
    seed: Seed | None = None
    """The seed of the rows; null: that of the run."""
    noise: Size = 1.0
    """How much noise there is; 1: as in the article."""
    level: Size = 0.0
    """How far the level of rows differs: this many times 30 is its standard deviation. 0: not at
    all, as in the article."""

    @model_validator(mode="after")
    def _refuse_too_many(self) -> Self:
        if self.count * self.length > _MAX_READINGS:
            raise ValueError(
                f"{self.count} rows of {self.length} readings are {self.count * self.length}; at "
                f"most {_MAX_READINGS} are made at once, so lower 'count' or 'length'"
            )
        return self

    def facts(self) -> Facts:
        """Return what is known before the rows are made; the shape is `(readings)`."""
        return Facts(self.count, CLASSES, (self.length,))

    def open(self, request: Request) -> Dataset:
        """Return the rows, float32 `(count, length)`; the classes are `CLASSES`, in turn."""
        rows: Any = self.rows(request.seed if self.seed is None else self.seed)
        labels = [CLASSES[index % len(CLASSES)] for index in range(self.count)]
        return Dataset(rows, labels, item_names(self.count), origin=self.title)

    def rows(self, seed: int) -> NDArray[np.float32]:
        """Return all rows, float32 `(count, length)`; row `i` has class number `i % 6`."""
        rows = np.empty((self.count, self.length), np.float32)
        lot = _LOT * len(CLASSES)
        for number, start in enumerate(range(0, self.count, lot)):
            # Each lot has random numbers of its own, and is made whole: so smaller sets begin
            # larger ones.
            made = self._lot(Stream.CHARTS.random(seed, number))
            rows[start : start + lot] = made[: self.count - start]
        return rows

    def _lot(self, random: np.random.Generator) -> NDArray[np.float64]:
        """Return as many rows as are drawn together, in which the classes take turns."""
        noise = _REACH * _NOISE * self.noise
        shape = (_LOT, len(CLASSES), self.length)
        readings = _MEAN + random.uniform(-noise, noise, shape)
        readings += self.level * _MEAN * random.standard_normal((_LOT, len(CLASSES), 1))
        time = np.arange(self.length)
        swing, period = random.uniform(10, 15, (2, _LOT, 1))
        slope = random.uniform(0.2, 0.5, (2, _LOT, 1)) * 60 / self.length
        jump = random.uniform(7.5, 20, (2, _LOT, 1))
        place = random.uniform(self.length / 3, 2 * self.length / 3, (2, _LOT, 1))
        jumps = jump * (time >= place)
        readings[:, CLASSES.index("cyclic")] += swing * np.sin(2 * np.pi * time / period)
        readings[:, CLASSES.index("increasing")] += slope[0] * time
        readings[:, CLASSES.index("decreasing")] -= slope[1] * time
        readings[:, CLASSES.index("up")] += jumps[0]
        readings[:, CLASSES.index("down")] -= jumps[1]
        return readings.reshape(-1, self.length)
