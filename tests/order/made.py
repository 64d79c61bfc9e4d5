"""Made columns of which it is known whether their order means anything."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


def series(rows: int, columns: int, closeness: float = 0.8, seed: int = 0) -> Table:
    """Return columns of which each depends on the one before (an autoregressive series)."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    for column in range(1, columns):
        values[:, column] *= np.sqrt(1 - closeness**2)
        values[:, column] += closeness * values[:, column - 1]
    return values


def groups(rows: int, size: int, count: int, closeness: float = 0.8, seed: int = 0) -> Table:
    """Return groups of alike columns that stand together; within a group there is no order."""
    random = np.random.default_rng(seed)
    common = np.repeat(random.normal(size=(rows, count)), size, axis=1)
    own = random.normal(size=(rows, size * count))
    found: Table = closeness * common + np.sqrt(1 - closeness**2) * own
    return found


def factors(rows: int, columns: int, seed: int = 0) -> Table:
    """Return columns that depend on each other through three hidden causes, in no order."""
    random = np.random.default_rng(seed)
    causes = random.normal(size=(rows, 3)) @ random.normal(size=(3, columns))
    return causes + random.normal(size=(rows, columns))


def spots(rows: int, side: int, seed: int = 0) -> NDArray[np.float64]:
    """Return noisy pictures `(rows, side, side)`, each with one soft spot."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[:side, :side]
    middles = random.uniform(1, side - 2, (rows, 2))
    far = np.square(down - middles[:, :1, None]) + np.square(right - middles[:, 1:, None])
    found: Table = np.exp(-far / 6) + 0.2 * random.normal(size=far.shape)
    return found
