"""Sensor windows: moments of one or several sensors, in each row one window."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import (
    PERMUTABLE,
    Answer,
    Grid,
    Labels,
    Made,
    Random,
    Table,
    classes_by,
    family,
    grid,
    line,
)


def _smooth(random: Random, rows: int, moments: int, slowness: float) -> Table:
    """Return series whose value at a moment is close to that before, of variance 1."""
    X = random.normal(size=(rows, moments))
    for moment in range(1, moments):
        X[:, moment] *= np.sqrt(1 - slowness**2)
        X[:, moment] += slowness * X[:, moment - 1]
    return X


def _channels(random: Random, rows: int, moments: int, channels: int) -> tuple[Table, Labels]:
    """Return `(rows, moments, channels)` of different physics, and whether each row is active.

    In turn: a noisy oscillation, a slow drift, a smooth curve, a periodic one, a jumping level.
    """
    time = np.arange(moments)
    active = random.random(rows) < 0.5
    X = np.empty((rows, moments, channels))
    for channel in range(channels):
        kind = channel % 5
        phase = random.uniform(0, 2 * np.pi, (rows, 1))
        speed = np.where(active, 0.9, 0.5)[:, None] * random.uniform(0.8, 1.2)
        if kind == 0:
            values = np.sin(speed * time + phase) + 0.5 * random.normal(size=(rows, moments))
        elif kind == 1:
            values = np.cumsum(0.1 * random.normal(size=(rows, moments)), axis=1)
            values += random.normal(size=(rows, 1))
        elif kind == 2:
            values = _smooth(random, rows, moments, 0.9)
        elif kind == 3:
            values = np.sin(0.35 * speed * time + phase) * random.uniform(0.5, 2, (rows, 1))
        else:
            jump = random.integers(0, moments, (rows, 1))
            values = (time > jump) * random.normal(1, 1, (rows, 1))
            values += 0.2 * random.normal(size=values.shape)
        X[:, :, channel] = values * 10 ** random.uniform(-1, 2) + 20 * random.normal()
    return X, active.astype(np.int64)


_SENSORS = (
    {"rows": 400, "moments": 32, "channels": 2},
    {"rows": 400, "moments": 30, "channels": 3},
    {"rows": 600, "moments": 24, "channels": 5},
    {"rows": 400, "moments": 16, "channels": 6},
    {"rows": 400, "moments": 14, "channels": 9},
    {"rows": 400, "moments": 12, "channels": 12},
)


@family("sensors", *_SENSORS, shuffles=True)
def channels_interleaved(random: Random, rows: int, moments: int, channels: int) -> Made:
    """Windows of several sensors, moment after moment: ax, ay, temperature, ax, ay, ...

    A grid of one row with interleaved channels: the sensors are no neighbours of each other.
    """
    X, active = _channels(random, rows, moments, channels)
    answer = grid(Grid(1, moments, channels, "interleaved"))
    return Made(X.reshape(rows, -1), active, answer)


@family("sensors", *_SENSORS, shuffles=True)
def channels_in_blocks(random: Random, rows: int, moments: int, channels: int) -> Made:
    """The same windows, sensor after sensor: all of ax, then all of ay, ...

    A grid of one row with one channel after the other.
    """
    X, active = _channels(random, rows, moments, channels)
    X = X.transpose(0, 2, 1).reshape(rows, -1)
    answer = grid(Grid(1, moments, channels))
    return Made(X, active, answer)


@family(
    "sensors",
    {"rows": 600, "moments": 32, "channels": 3, "order": "interleaved"},
    {"rows": 600, "moments": 32, "channels": 3, "order": "rows"},
    {"rows": 600, "moments": 24, "channels": 6, "order": "interleaved"},
    shuffles=True,
)
def accelerometer(random: Random, rows: int, moments: int, channels: int, order: str) -> Made:
    """Axes of an accelerometer that share the rhythm of steps, and turn together.

    A grid of one row with a channel for each axis.
    """
    time = np.arange(moments)
    walks = np.arange(rows) % 3
    speed = np.array([0.3, 0.5, 0.8])[walks][:, None] * random.uniform(0.9, 1.1, (rows, 1))
    step = np.sin(speed * time + random.uniform(0, 6.3, (rows, 1)))
    turned = random.normal(size=(rows, 1, channels))
    X = step[:, :, None] * turned + random.normal(size=(rows, 1, channels))
    X += 0.3 * random.normal(size=X.shape)
    flat = X if order == "interleaved" else X.transpose(0, 2, 1)
    answer = grid(Grid(1, moments, channels, order))
    return Made(flat.reshape(rows, -1), walks.astype(np.int64), answer)


@family(
    "sensors",
    {"rows": 400, "moments": 60, "slowness": 0.95},
    {"rows": 400, "moments": 60, "slowness": 0.7},
    {"rows": 800, "moments": 30, "slowness": 0.5},
    {"rows": 200, "moments": 120, "slowness": 0.9},
    shuffles=True,
)
def one_sensor(random: Random, rows: int, moments: int, slowness: float) -> Made:
    """One sensor whose value depends on the one before; windows with a bump form a class.

    A grid along the line of time.
    """
    X = _smooth(random, rows, moments, slowness)
    y = np.arange(rows) % 2
    for row in np.flatnonzero(y):
        start = int(random.integers(0, moments - 6))
        X[row, start : start + 6] += 2 * np.hanning(6)
    return Made(X, y, line(moments))


@family("sensors", {"rows": 300, "moments": 60}, {"rows": 300, "moments": 120}, shuffles=True)
def heart_beats(random: Random, rows: int, moments: int) -> Made:
    """Heart beats, each a sharp peak between two soft waves, shifted a little; some lack a wave.

    A grid along the line of time.
    """
    time = np.linspace(0, 1, moments)
    shift = 0.03 * random.normal(size=(rows, 1))
    y = np.arange(rows) % 2
    X = np.exp(-np.square((time - 0.4 - shift) / 0.02) / 2) * 3
    X += 0.5 * np.exp(-np.square((time - 0.2 - shift) / 0.05) / 2)
    X += (1 - 0.8 * y[:, None]) * np.exp(-np.square((time - 0.7 - shift) / 0.07) / 2)
    X = X * random.uniform(0.7, 1.3, (rows, 1)) + 0.1 * random.normal(size=X.shape)
    return Made(X + 0.3 * random.normal(size=(rows, 1)), y, line(moments))


@family("sensors", {"rows": 500, "moments": 48}, {"rows": 500, "moments": 100}, shuffles=True)
def vibration(random: Random, rows: int, moments: int) -> Made:
    """Fast vibration of a bearing: neighbouring moments differ in sign; damaged ones ring.

    A grid along the line of time, although neighbours are opposites and not alike.
    """
    time = np.arange(moments)
    speed = random.uniform(2.0, 2.6, (rows, 1))
    X = np.sin(speed * time + random.uniform(0, 6.3, (rows, 1)))
    y = np.arange(rows) % 2
    for row in np.flatnonzero(y):
        start = int(random.integers(0, moments - 12))
        X[row, start : start + 12] += 2 * np.exp(-np.arange(12) / 4) * np.cos(np.pi * np.arange(12))
    return Made(X + 0.3 * random.normal(size=X.shape), y, line(moments))


@family("sensors", {"rows": 600, "sensors": 12}, {"rows": 600, "sensors": 30})
def one_moment(random: Random, rows: int, sensors: int) -> Made:
    """All sensors of a machine at one moment in each row.

    Permutable: sensors stand in the order of their numbers, and the states of the machine relate
    all of them. Rows have an order here, columns have none.
    """
    state = _smooth(random, 3, rows, 0.98).T
    X = state @ random.normal(size=(3, sensors)) + 0.6 * random.normal(size=(rows, sensors))
    return Made(
        X * 10 ** random.uniform(-2, 3, sensors), classes_by(state[:, 0], random), PERMUTABLE
    )


@family("sensors", {"rows": 400, "sensors": 4}, {"rows": 400, "sensors": 9})
def window_statistics(random: Random, rows: int, sensors: int) -> Made:
    """Of each sensor the mean, deviation, least, largest and median of a window.

    Permutable: statistics of a sensor stand together, and neither they nor sensors have an order.
    """
    spread = np.exp(0.5 * random.normal(size=(rows, sensors, 1)))
    windows = random.normal(size=(rows, sensors, 50)) * spread
    windows += random.normal(size=(rows, sensors, 1))
    parts = [windows.mean(2), windows.std(2), windows.min(2), windows.max(2), np.median(windows, 2)]
    X = np.stack(parts, axis=2).reshape(rows, -1)
    return Made(X, classes_by(spread[:, 0, 0], random), PERMUTABLE)


@family(
    "sensors",
    {"rows": 500, "visits": 6, "values": 5},
    {"rows": 500, "visits": 10, "values": 4},
    shuffles=True,
)
def visits(random: Random, rows: int, visits: int, values: int) -> Made:
    """A few values of patients at every visit: pressure, pulse, weight; pressure, pulse, ...

    A grid of one row with interleaved channels: visits follow each other in time. Of fewer than
    eight visits "undecided" is right, too: eight places and more can show an order beyond doubt.
    """
    X = np.cumsum(0.5 * random.normal(size=(rows, visits, values)), axis=1)
    X += random.normal(size=(rows, 1, values))
    trend = X[:, -1, 0] - X[:, 0, 0]
    layout = Grid(1, visits, values, "interleaved")
    answer = Answer("grid", frozenset({layout}), undecided=visits < 8)
    return Made(X.reshape(rows, -1), classes_by(trend, random), answer)


@family("sensors", {"rows": 500, "places": 16}, {"rows": 300, "places": 50}, shuffles=True)
def along_a_pipe(random: Random, rows: int, places: int) -> Made:
    """Temperatures at places along a pipe at one moment; in a class there is a leak somewhere.

    A grid along the line of places: an order of space, not of time.
    """
    away = np.arange(places)
    X = np.cumsum(0.3 * random.normal(size=(rows, places)), axis=1) - 0.1 * away
    X += random.normal(60, 3, (rows, 1))
    y = np.arange(rows) % 2
    leak = random.uniform(1, places - 1, (rows, 1))
    X -= y[:, None] * 2 * np.exp(-np.square((away - leak) / 1.5) / 2)
    return Made(X + 0.1 * random.normal(size=X.shape), y, line(places))
