"""Tables in which only some columns are ordered: readings among attributes."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import Answer, Made, Random, Table, classes_by, family


def _among(random: Random, ordered: Table, attributes: int, first: int) -> tuple[Table, Answer]:
    """Return ordered columns between attributes, of which `first` stand before them."""
    rows, count = ordered.shape
    hidden = random.normal(size=(rows, 2))
    others = hidden @ random.normal(size=(2, attributes)) + random.normal(size=(rows, attributes))
    others *= 10 ** random.uniform(-1, 3, attributes)
    X = np.hstack([others[:, :first], ordered, others[:, first:]])
    return X, Answer("part", part=(first, first + count))


@family(
    "parts",
    {"rows": 500, "attributes": 10, "first": 0},
    {"rows": 500, "attributes": 10, "first": 4},
    {"rows": 500, "attributes": 10, "first": 10},
    {"rows": 800, "attributes": 24, "first": 12},
)
def hours_among_attributes(random: Random, rows: int, attributes: int, first: int) -> Made:
    """24 hourly readings of a household among attributes of the house.

    Only the readings are ordered.
    """
    time = np.arange(24)
    peak = random.normal(18, 3, (rows, 1))
    load = np.exp(-np.square((time - peak) / 4) / 2) + 0.1 * random.normal(size=(rows, 24))
    X, answer = _among(random, load, attributes, first)
    return Made(X, classes_by(peak[:, 0], random), answer)


@family(
    "parts",
    {"rows": 300, "length": 60, "attributes": 12, "first": 6},
    {"rows": 300, "length": 90, "attributes": 30, "first": 0},
)
def spectrum_among_attributes(
    random: Random, rows: int, length: int, attributes: int, first: int
) -> Made:
    """A spectrum among properties of the sample.

    Only the spectrum is ordered.
    """
    place, width = random.uniform(0, length, 4), length / 15
    height = np.exp(0.5 * random.normal(size=(rows, 4)))
    away = np.arange(length) - place[:, None]
    spectrum = height @ np.exp(-np.square(away / width) / 2)
    spectrum += 0.05 * random.normal(size=spectrum.shape)
    X, answer = _among(random, spectrum, attributes, first)
    return Made(X, classes_by(height[:, 0], random), answer)


@family(
    "parts",
    {"rows": 600, "attributes": 8, "first": 5},
    {"rows": 600, "attributes": 20, "first": 20},
)
def months_among_attributes(random: Random, rows: int, attributes: int, first: int) -> Made:
    """Sales of twelve months among attributes of the customer.

    Only the months are ordered.
    """
    level = np.cumsum(0.4 * random.normal(size=(rows, 12)), axis=1)
    sales = np.exp(1 + 0.5 * random.normal(size=(rows, 1)) + level)
    X, answer = _among(random, sales, attributes, first)
    return Made(X, classes_by(level[:, -1] - level[:, 0], random), answer)


@family(
    "parts",
    {"rows": 400, "points": 30, "attributes": 10, "first": 3},
    {"rows": 600, "points": 50, "attributes": 20, "first": 20},
)
def curve_among_attributes(
    random: Random, rows: int, points: int, attributes: int, first: int
) -> Made:
    """The cooling curve of a part, measured roughly, among its properties.

    Only the curve is ordered.
    """
    time = np.linspace(0, 3, points)
    speed = np.exp(0.3 * random.normal(size=(rows, 1)))
    curve = 80 * np.exp(-speed * time) + random.normal(20, 2, (rows, 1))
    curve += 2 * random.normal(size=curve.shape)
    X, answer = _among(random, curve, attributes, first)
    return Made(X, classes_by(speed[:, 0], random), answer)
