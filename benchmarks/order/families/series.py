"""Time series: in each row the same moments of another thing."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import Grid, Made, Random, classes_by, family, grid, line


@family(
    "series",
    {"rows": 400, "moments": 24},
    {"rows": 300, "moments": 60},
    {"rows": 100, "moments": 100},
    shuffles=True,
)
def trends(random: Random, rows: int, moments: int) -> Made:
    """Sales that rise or fall by a trend of their own, with noise.

    A grid along the line of time.
    """
    time = np.linspace(-1, 1, moments)
    slope, bend = random.normal(size=(2, rows, 1))
    X = slope * time + bend * time**2 + 0.4 * random.normal(size=(rows, moments))
    return Made(X + random.normal(size=(rows, 1)), classes_by(slope[:, 0], random), line(moments))


@family(
    "series",
    {"rows": 400, "moments": 48, "period": 12},
    {"rows": 300, "moments": 84, "period": 7},
    shuffles=True,
)
def seasons(random: Random, rows: int, moments: int, period: int) -> Made:
    """Months or days with a season of their own height and phase.

    A grid along the line of time, or a row for each period.
    """
    time = np.arange(moments)
    phase = random.uniform(0, 2 * np.pi, (rows, 1))
    height = np.exp(0.4 * random.normal(size=(rows, 1)))
    level = np.cumsum(0.15 * random.normal(size=(rows, moments)), axis=1)
    X = height * np.sin(2 * np.pi * time / period + phase) + level
    X += 0.3 * random.normal(size=X.shape)
    return Made(X, classes_by(height[:, 0], random), line(moments, Grid(moments // period, period)))


@family("series", {"rows": 400, "moments": 30}, {"rows": 200, "moments": 80}, shuffles=True)
def random_walks(random: Random, rows: int, moments: int) -> Made:
    """Prices: each is the one before and a random step. The class is a large last rise.

    A grid along the line of time.
    """
    X = np.cumsum(random.normal(size=(rows, moments)), axis=1)
    return Made(X, classes_by(X[:, -1] - X[:, -8], random), line(moments))


@family(
    "series",
    {"rows": 400, "moments": 40},
    {"rows": 800, "moments": 20},
    shuffles=True,
    undecided_if_shuffled=True,
)
def motifs_in_noise(random: Random, rows: int, moments: int) -> Made:
    """Noise without memory, in which a class has a short shape at any moment.

    A grid along the line of time. "Undecided" is right, too, and for shuffled columns as well:
    columns hardly depend on each other, and only the labels show the order.
    """
    X = random.normal(size=(rows, moments))
    y = np.arange(rows) % 2
    shape = np.array([1.5, -2.5, 2.5, -1.5]) * 1.2
    for row in np.flatnonzero(y):
        start = int(random.integers(0, moments - 4))
        X[row, start : start + 4] += shape
    return Made(X, y, line(moments, undecided=True))


@family(
    "series",
    {"rows": 400, "moments": 60, "shortest": 30},
    {"rows": 300, "moments": 80, "shortest": 20},
    shuffles=True,
)
def ragged_series(random: Random, rows: int, moments: int, shortest: int) -> Made:
    """Series of unequal lengths, filled up with NaN.

    A grid along the line of time.
    """
    time = np.arange(moments)
    speed = random.uniform(0.1, 0.3, (rows, 1))
    X = np.sin(speed * time + random.uniform(0, 6.3, (rows, 1)))
    X += 0.3 * random.normal(size=X.shape)
    X[time >= random.integers(shortest, moments + 1, (rows, 1))] = np.nan
    return Made(X, classes_by(speed[:, 0], random), line(moments))


@family("series", {"rows": 300, "moments": 50}, {"rows": 500, "moments": 25}, shuffles=True)
def levels_that_shift(random: Random, rows: int, moments: int) -> Made:
    """Load of a server that jumps between levels, with noise.

    A grid along the line of time.
    """
    jumps = random.random((rows, moments)) < 0.08
    X = np.cumsum(jumps * random.normal(size=(rows, moments)) * 2, axis=1)
    X += 0.3 * random.normal(size=X.shape) + random.normal(size=(rows, 1))
    return Made(X, classes_by(jumps.sum(axis=1) * 1.0, random), line(moments))


@family("series", {"rows": 500, "moments": 60}, {"rows": 800, "moments": 40}, shuffles=True)
def bursts(random: Random, rows: int, moments: int) -> Made:
    """An event log: nothing most of the time, and bursts that fade. The class is how many.

    A grid along the line of time.
    """
    starts = random.random((rows, moments)) < 0.05
    X = np.zeros((rows, moments))
    fading = np.zeros(rows)
    for moment in range(moments):
        fading = 0.7 * fading + starts[:, moment] * random.uniform(3, 9, rows)
        X[:, moment] = random.poisson(fading)
    return Made(X, classes_by(starts.sum(axis=1) * 1.0, random), line(moments))


@family(
    "series",
    {"rows": 600, "lags": 10, "memory": 0.9},
    {"rows": 1_000, "lags": 24, "memory": 0.8},
    {"rows": 600, "lags": 7, "memory": 0.95},
    shuffles=True,
)
def lagged_features(random: Random, rows: int, lags: int, memory: float) -> Made:
    """One long series cut into x_t, x_(t-1), x_(t-2), ...: each row moves on by one moment.

    A grid along the line of lags. The class is whether the next value rises.
    """
    noise = random.normal(size=rows + lags + 1)
    whole = np.zeros_like(noise)
    for moment in range(1, len(noise)):
        whole[moment] = memory * whole[moment - 1] + noise[moment]
    X = np.stack([whole[lags - lag : lags - lag + rows] for lag in range(lags)], axis=1)
    return Made(X, classes_by(whole[lags + 1 : lags + 1 + rows] - X[:, 0], random), line(lags))


@family(
    "series",
    {"rows": 600, "lags": 10, "variables": 3},
    {"rows": 600, "lags": 14, "variables": 5},
    shuffles=True,
)
def lags_of_variables(random: Random, rows: int, lags: int, variables: int) -> Made:
    """Lags of several variables, variable after variable: x_t, x_(t-1), ..., y_t, y_(t-1), ...

    A grid of one row with one channel after the other.
    """
    noise = random.normal(size=(rows + lags, variables))
    whole = np.zeros_like(noise)
    memory = random.uniform(0.75, 0.97, variables)
    for moment in range(1, len(noise)):
        whole[moment] = memory * whole[moment - 1] + noise[moment]
    X = np.stack([whole[lags - lag - 1 : lags - lag - 1 + rows] for lag in range(lags)], axis=2)
    y = classes_by(X[:, 0, 0] - X[:, 1, 0], random)
    return Made(X.reshape(rows, -1), y, grid(Grid(1, lags, variables)))


@family(
    "series",
    {"rows": 300, "moments": 24, "missing": 0.1},
    {"rows": 300, "moments": 60, "missing": 0.3},
    shuffles=True,
)
def gaps_in_series(random: Random, rows: int, moments: int, missing: float) -> Made:
    """A meter read every hour, with readings that are missing.

    A grid along the line of time.
    """
    time = np.arange(moments)
    phase = random.normal(size=(rows, 1))
    X = np.sin(2 * np.pi * time / 24 + phase) + np.cumsum(
        0.2 * random.normal(size=(rows, moments)), axis=1
    )
    X[random.random(X.shape) < missing] = np.nan
    return Made(X, classes_by(phase[:, 0], random), line(moments))


@family("series", {"rows": 30, "moments": 80}, {"rows": 50, "moments": 150}, shuffles=True)
def few_long_series(random: Random, rows: int, moments: int) -> Made:
    """A few dozen long smooth curves, such as temperatures of weather stations over days.

    A grid along the line of time.
    """
    time = np.linspace(0, 1, moments)
    parts = random.normal(size=(3, rows, 1))
    X = parts[0] + parts[1] * np.cos(6.3 * time) + 0.5 * parts[2] * np.sin(12.6 * time)
    X += 0.2 * random.normal(size=X.shape)
    return Made(X, classes_by(parts[1][:, 0], random), line(moments))


@family("series", {"rows": 300, "years": 17}, {"rows": 120, "years": 40}, shuffles=True)
def growth_curves(random: Random, rows: int, years: int) -> Made:
    """Heights at every age: a rise that is steep early or late, and measured roughly.

    A grid along the line of ages.
    """
    age = np.linspace(0, 1, years)
    final, early = random.normal(170, 8, (rows, 1)), random.normal(0.55, 0.12, (rows, 1))
    X = final * (0.3 + 0.7 / (1 + np.exp(-6 * (age - early))))
    return Made(X + random.normal(0, 2, X.shape), classes_by(early[:, 0], random), line(years))


@family("series", {"rows": 400, "moments": 48}, {"rows": 200, "moments": 96}, shuffles=True)
def tides(random: Random, rows: int, moments: int) -> Made:
    """Levels of the sea at moments of a day: two waves whose heights and phases vary, and wind.

    A grid along the line of time.
    """
    time = np.linspace(0, 2 * np.pi, moments)
    heights = random.uniform(0.3, 1.5, (2, rows, 1))
    phases = random.uniform(0, 2 * np.pi, (2, rows, 1))
    X = heights[0] * np.sin(2 * time + phases[0]) + heights[1] * np.sin(time + phases[1])
    X += random.normal(0, 0.5, (rows, 1)) + 0.2 * random.normal(size=X.shape)
    return Made(X, classes_by(heights[0][:, 0], random), line(moments))
