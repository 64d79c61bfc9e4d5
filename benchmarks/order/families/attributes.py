"""Spreadsheets: numbers of different meaning, in an order that somebody happened to choose."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import (
    PERMUTABLE,
    Answer,
    Made,
    Random,
    Table,
    classes_by,
    family,
)


def _from_factors(random: Random, rows: int, columns: int, factors: int) -> tuple[Table, Table]:
    """Return columns that depend on a few hidden factors, and these factors."""
    hidden = random.normal(size=(rows, factors))
    loadings = random.normal(size=(factors, columns))
    return hidden @ loadings + random.normal(size=(rows, columns)), hidden


@family(
    "attributes",
    {"rows": 300, "columns": 8, "factors": 2},
    {"rows": 600, "columns": 15, "factors": 3},
    {"rows": 1_000, "columns": 30, "factors": 5},
    {"rows": 250, "columns": 60, "factors": 4},
)
def spreadsheet(random: Random, rows: int, columns: int, factors: int) -> Made:
    """Attributes of customers that hidden factors relate, each with a unit and skew of its own.

    Permutable: which attribute stands beside which is the choice of whoever wrote the table.
    """
    X, hidden = _from_factors(random, rows, columns, factors)
    skewed = random.random(columns) < 0.4
    X[:, skewed] = np.exp(X[:, skewed] / 2)
    X = X * 10 ** random.uniform(-2, 4, columns)
    return Made(X, classes_by(hidden[:, 0] * hidden[:, 1] + hidden[:, 0], random), PERMUTABLE)


@family(
    "attributes",
    {"rows": 400, "numbers": 8, "codes": 4},
    {"rows": 800, "numbers": 14, "codes": 8},
)
def numbers_and_codes(random: Random, rows: int, numbers: int, codes: int) -> Made:
    """Numbers beside categories that are coded 0, 1, 2, ..., as many exports have them.

    Permutable: a code of a region and an income have no common axis.
    """
    X, hidden = _from_factors(random, rows, numbers + codes, 3)
    for column in random.choice(numbers + codes, codes, replace=False):
        kinds = int(random.integers(2, 7))
        ranks = np.argsort(np.argsort(X[:, column])) * kinds // rows
        X[:, column] = random.permutation(kinds)[ranks]
    return Made(X, classes_by(hidden[:, 0] - np.abs(hidden[:, 1]), random, classes=3), PERMUTABLE)


@family(
    "attributes",
    {"rows": 500, "columns": 12, "missing": 0.1},
    {"rows": 300, "columns": 24, "missing": 0.3},
)
def clinical_panel(random: Random, rows: int, columns: int, missing: float) -> Made:
    """Laboratory values of patients, some not measured, and one value that never varies.

    Permutable: the order is that of a form.
    """
    X, hidden = _from_factors(random, rows, columns, 3)
    X = np.exp(0.3 * X + random.uniform(0, 4, columns))
    X[random.random(X.shape) < missing] = np.nan
    X[:, random.integers(columns)] = 1.0
    return Made(X, classes_by(hidden[:, 0], random, noise=0.8), PERMUTABLE)


@family(
    "attributes",
    {"rows": 200, "columns": 7},
    {"rows": 500, "columns": 12},
    {"rows": 1_000, "columns": 20},
)
def sizes_of_bodies(random: Random, rows: int, columns: int) -> Made:
    """Lengths and weights of animals, nearly all of which say how large the animal is.

    Permutable: every column is close to every other, and no closer to its neighbours.
    """
    size = random.normal(size=(rows, 1))
    shape = random.normal(size=(rows, 2)) @ random.normal(size=(2, columns))
    X = size * random.uniform(0.7, 1.3, columns) + 0.3 * shape
    X += 0.2 * random.normal(size=X.shape)
    return Made(
        np.exp(X / 4) * random.uniform(1, 90, columns), classes_by(shape[:, 0], random), PERMUTABLE
    )


@family(
    "attributes",
    {"rows": 300, "columns": 3},
    {"rows": 300, "columns": 4},
    {"rows": 300, "columns": 5},
    {"rows": 600, "columns": 6},
    {"rows": 600, "columns": 7},
)
def few_columns(random: Random, rows: int, columns: int) -> Made:
    """Three to seven attributes, as in small teaching tables.

    Permutable. With fewer than five columns "undecided" is right, too: there are at most twelve
    different orders, so that luck cannot be ruled out.
    """
    X, hidden = _from_factors(random, rows, columns, 2)
    answer = Answer("permutable", undecided=columns < 5)
    return Made(X, classes_by(hidden[:, 0], random, classes=3), answer)


@family("attributes", {"rows": 400, "columns": 10}, {"rows": 300, "columns": 18})
def texts_and_numbers(random: Random, rows: int, columns: int) -> Made:
    """A table as people keep it: numbers, cities, grades and dates as texts.

    Permutable: the columns are of different kinds.
    """
    X, hidden = _from_factors(random, rows, columns, 2)
    table = X.round(2).astype(object)
    words = np.array(["Oslo", "Lima", "Pune", "Kyiv", "Bonn", "Hue"], object)
    for column in range(0, columns, 3):
        kinds = int(random.integers(2, 7))
        table[:, column] = words[random.permutation(6)[:kinds]][
            np.argsort(np.argsort(X[:, column])) * kinds // rows
        ]
    days = np.datetime64("2021-01-01") + random.integers(0, 900, rows)
    table[:, 1] = days.astype(str).astype(object)
    return Made(table, classes_by(hidden[:, 0], random), PERMUTABLE)


@family("attributes", {"rows": 400, "pairs": 6}, {"rows": 400, "pairs": 15})
def twin_columns(random: Random, rows: int, pairs: int) -> Made:
    """Every quantity twice, side by side: in metres and, rounded, in feet.

    Permutable: a column and its twin stand together, but the pairs are in no order.
    """
    X, hidden = _from_factors(random, rows, pairs, 3)
    doubled = np.repeat(X, 2, axis=1)
    doubled[:, 1::2] = (doubled[:, 1::2] * 3.28).round(1)
    return Made(doubled, classes_by(hidden[:, 0], random), PERMUTABLE)


@family(
    "attributes",
    {"rows": 300, "columns": 10, "labels": True},
    {"rows": 300, "columns": 40, "labels": False},
)
def unrelated_columns(random: Random, rows: int, columns: int, labels: bool) -> Made:
    """Columns that have nothing to do with each other; labels follow a sum of three of them.

    Permutable. "Undecided" is right, too: columns that do not depend on each other show no order.
    """
    X = random.normal(size=(rows, columns))
    y = classes_by(X[:, :3].sum(axis=1), random) if labels else None
    return Made(X, y, Answer("permutable", undecided=True))


@family("attributes", {"rows": 800, "columns": 8}, {"rows": 1_200, "columns": 12})
def interactions(random: Random, rows: int, columns: int) -> Made:
    """Unrelated switches and dials; the class is decided by which side of 0 two pairs are on.

    Permutable, and "undecided" is right, too, as no column depends on another.
    """
    X = random.normal(size=(rows, columns))
    first, second, third, fourth = random.choice(columns, 4, replace=False)
    score = np.sign(X[:, first] * X[:, second]) + 0.5 * np.sign(X[:, third] * X[:, fourth])
    answer = Answer("permutable", undecided=True)
    return Made(X, classes_by(score + 0.01 * X[:, 0], random, noise=0.1), answer)


@family(
    "attributes",
    {"rows": 40, "columns": 120, "factors": 4},
    {"rows": 60, "columns": 200, "factors": 8},
)
def more_columns_than_rows(random: Random, rows: int, columns: int, factors: int) -> Made:
    """A small study that measured many things on few people.

    Permutable: hidden factors relate columns that stand anywhere.
    """
    X, hidden = _from_factors(random, rows, columns, factors)
    return Made(X, classes_by(hidden[:, 0], random), PERMUTABLE)


@family("attributes", {"rows": 500, "columns": 16, "share": 0.4})
def mostly_constant(random: Random, rows: int, columns: int, share: float) -> Made:
    """Settings of machines, many of which nearly always have their default.

    Permutable: settings are independent questions to the same machine.
    """
    X, hidden = _from_factors(random, rows, columns, 2)
    quiet = random.random(columns) < share
    X[:, quiet] = X[:, quiet] > 3
    X[:, 0] = 5.0
    return Made(X, classes_by(hidden[:, 0], random), PERMUTABLE)


@family("attributes", {"rows": 24, "columns": 9}, {"rows": 45, "columns": 14})
def few_rows(random: Random, rows: int, columns: int) -> Made:
    """A table of a few dozen rows.

    Permutable; with so few rows "undecided" is right, too.
    """
    X, hidden = _from_factors(random, rows, columns, 2)
    return Made(X, classes_by(hidden[:, 0], random), Answer("permutable", undecided=True))


@family(
    "attributes",
    {"rows": 600, "columns": 12, "share": 0.3},
    {"rows": 600, "columns": 25, "share": 0.45},
)
def noisy_labels(random: Random, rows: int, columns: int, share: float) -> Made:
    """Attributes whose labels were entered carelessly: a share of them is turned round.

    Permutable: wrong labels do not order columns.
    """
    X, hidden = _from_factors(random, rows, columns, 3)
    y = classes_by(hidden[:, 0], random, noise=0)
    return Made(X, np.where(random.random(rows) < share, 1 - y, y), PERMUTABLE)


@family(
    "attributes",
    {"rows": 800, "columns": 10, "rare": 0.04},
    {"rows": 1_000, "columns": 28, "rare": 0.02},
)
def rare_class(random: Random, rows: int, columns: int, rare: float) -> Made:
    """Payments, few of which are fraud.

    Permutable: the columns are features of a payment.
    """
    X, hidden = _from_factors(random, rows, columns, 3)
    score = hidden[:, 0] + hidden[:, 1] + 0.3 * random.normal(size=rows)
    return Made(X, (score > np.quantile(score, 1 - rare)).astype(np.int64), PERMUTABLE)


@family("attributes", {"rows": 500, "each": 5}, {"rows": 500, "each": 10})
def mixture_of_kinds(random: Random, rows: int, each: int) -> Made:
    """Answers on five steps, counts, yes and no, and amounts: a block of each kind.

    Permutable: columns of a kind stand together, and neither they nor the kinds have an order.
    """
    X, hidden = _from_factors(random, rows, 4 * each, 3)
    X /= 2
    X[:, :each] = np.clip(np.round(X[:, :each] + 3), 1, 5)
    X[:, each : 2 * each] = random.poisson(np.exp(np.minimum(X[:, each : 2 * each], 4)))
    X[:, 2 * each : 3 * each] = X[:, 2 * each : 3 * each] > 0
    X[:, 3 * each :] = np.exp(X[:, 3 * each :] + 5)
    return Made(X, classes_by(hidden[:, 0], random), PERMUTABLE)
