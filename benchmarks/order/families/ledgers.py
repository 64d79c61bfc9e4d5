"""Ledgers: columns that are sums, parts and ratios of each other."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import PERMUTABLE, Answer, Made, Random, classes_by, family


@family(
    "ledgers",
    {"rows": 400, "groups": 2, "size": 4},
    {"rows": 400, "groups": 4, "size": 3},
    {"rows": 800, "groups": 5, "size": 6},
)
def subtotals(random: Random, rows: int, groups: int, size: int) -> Made:
    """Items of an account, after every few items their subtotal, at the end the total and a ratio.

    Permutable: a subtotal is close to its items, wherever it stands.
    """
    scale = np.exp(random.normal(size=(rows, 1)))
    columns, sums = [], []
    for _ in range(groups):
        items = scale * np.exp(0.7 * random.normal(size=(rows, size)) + random.normal(size=size))
        columns += [items, items.sum(axis=1, keepdims=True)]
        sums.append(columns[-1])
    total = np.sum(sums, axis=0)
    X = np.hstack([*columns, total, sums[0] / total])
    return Made(X, classes_by((sums[0] / total)[:, 0], random), PERMUTABLE)


@family("ledgers", {"rows": 500, "accounts": 6}, {"rows": 500, "accounts": 14})
def two_years(random: Random, rows: int, accounts: int) -> Made:
    """A balance sheet: every account this year and, beside it, last year.

    Permutable: two years are two columns, and accounts are in no order.
    """
    size = random.normal(size=(rows, 1))
    last = size + random.normal(size=(rows, accounts))
    growth = random.normal(size=(rows, 1))
    now = last + 0.2 * growth + 0.3 * random.normal(size=last.shape)
    X = np.exp(np.stack([now, last], axis=2).reshape(rows, -1))
    return Made(X, classes_by(growth[:, 0], random), PERMUTABLE)


@family(
    "ledgers", {"rows": 400, "parts": 6}, {"rows": 400, "parts": 12}, {"rows": 800, "parts": 24}
)
def shares_of_a_whole(random: Random, rows: int, parts: int) -> Made:
    """How households spend: shares that add up to 1.

    Permutable: kinds of spending are in no order; each takes from all others.
    """
    taste = random.normal(size=(rows, 3))
    amounts = np.exp(taste @ random.normal(size=(3, parts)) + random.normal(size=(rows, parts)))
    X = amounts / amounts.sum(axis=1, keepdims=True)
    return Made(X, classes_by(taste[:, 0], random), PERMUTABLE)


@family("ledgers", {"rows": 400, "columns": 4}, {"rows": 600, "columns": 6})
def polynomial_features(random: Random, rows: int, columns: int) -> Made:
    """Columns x1, x2, ..., x1^2, x1 x2, x1 x3, ..., as a polynomial expansion lists them.

    Permutable: products that share a factor are related, in an order of no meaning.
    """
    base = random.normal(size=(rows, columns)) + random.normal(size=(rows, 1))
    pairs = [base[:, i] * base[:, j] for i in range(columns) for j in range(i, columns)]
    X = np.column_stack([base, *pairs])
    return Made(X, classes_by(base[:, 0] * base[:, 1], random), PERMUTABLE)


@family(
    "ledgers", {"rows": 500, "powers": 4, "columns": 3}, {"rows": 500, "powers": 3, "columns": 8}
)
def powers_and_logarithms(random: Random, rows: int, powers: int, columns: int) -> Made:
    """Each column followed by noisy transforms of itself (roots, logarithms, ranks).

    Permutable: the transforms of one column stand together, and the columns are in no order.
    """
    base = random.normal(size=(rows, columns)) + 0.5 * random.normal(size=(rows, 1))
    copies = [np.exp(base * (0.3 + 0.4 * power)) for power in range(powers)]
    X = np.stack(copies, axis=2).reshape(rows, -1)
    X *= np.exp(0.2 * random.normal(size=X.shape))
    return Made(X, classes_by(base[:, 0] - base[:, 1], random), PERMUTABLE)


@family("ledgers", {"rows": 600, "departments": 5}, {"rows": 600, "departments": 9})
def departments(random: Random, rows: int, departments: int) -> Made:
    """For each department the same four figures (staff, wages, sales, profit), block after block.

    Permutable: neither departments nor figures stand in an order.
    """
    size = random.normal(size=(rows, departments, 1)) + 0.4 * random.normal(size=(rows, 1, 1))
    weights = np.array([1.0, 0.9, 0.7, 0.3])
    figures = size * weights + 0.3 * random.normal(size=(rows, departments, 4))
    X = np.exp(figures + np.array([2, 9, 10, 6])).reshape(rows, -1)
    return Made(X, classes_by(figures[:, :, 3].sum(axis=1), random), PERMUTABLE)


@family("ledgers", {"rows": 500, "regions": 5}, {"rows": 800, "regions": 12})
def regional_figures(random: Random, rows: int, regions: int) -> Made:
    """For each region the same five figures, which depend on its size less and less.

    Permutable: regions have no order. "Undecided" is right, too: the figures fall in one order.
    """
    size = random.normal(size=(rows, regions, 1)) + 0.3 * random.normal(size=(rows, 1, 1))
    figures = size * np.linspace(1, 0.2, 5) + 0.4 * random.normal(size=(rows, regions, 5))
    y = classes_by(figures[:, :, 0].sum(axis=1), random)
    return Made(np.exp(figures).reshape(rows, -1), y, Answer("permutable", undecided=True))
