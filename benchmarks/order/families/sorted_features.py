"""Sorted features: neighbours are alike as the values of each row are sorted or added up."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import Made, Random, classes_by, family, line


@family("sorted features", {"rows": 400, "size": 20}, {"rows": 400, "size": 50}, shuffles=True)
def order_statistics(random: Random, rows: int, size: int) -> Made:
    """The smallest value of a sample, the second smallest, and so on.

    A grid along the line of ranks: the columns are one curve, the sample's quantile function, and
    a window sees how steep it is. Shuffled, sorting would restore it; a window cannot.
    """
    heavy = random.random(rows) < 0.5
    sample = np.where(
        heavy[:, None], random.standard_t(2, (rows, size)), random.normal(size=(rows, size))
    )
    return Made(np.sort(sample, axis=1), heavy.astype(np.int64), line(size))


@family("sorted features", {"rows": 500, "count": 9}, {"rows": 300, "count": 21}, shuffles=True)
def quantiles(random: Random, rows: int, count: int) -> Made:
    """Quantiles of waiting times of shops: 5 %, 10 %, ..., 95 %.

    A grid along the line, as `order_statistics` are.
    """
    scale, shape = np.exp(0.5 * random.normal(size=(2, rows, 1)))
    sample = scale * random.gamma(np.broadcast_to(2 * shape, (rows, 80)))
    X = np.quantile(sample, np.linspace(0.05, 0.95, count), axis=1).T
    return Made(X, classes_by(shape[:, 0], random), line(count))


@family("sorted features", {"rows": 400, "size": 16}, {"rows": 300, "size": 30}, shuffles=True)
def sorted_eigenvalues(random: Random, rows: int, size: int) -> Made:
    """Eigenvalues of random symmetric matrices, the smallest first, as of molecules or networks.

    A grid along the line of ranks, as `order_statistics` are: the gaps between neighbours tell.
    """
    raw = random.normal(size=(rows, size, size)) * np.exp(0.3 * random.normal(size=(rows, 1, 1)))
    blocks = np.arange(rows) % 2
    raw[blocks == 1, : size // 2, size // 2 :] *= 0.3
    X = np.linalg.eigvalsh(raw + raw.transpose(0, 2, 1))
    return Made(X, blocks.astype(np.int64), line(size))


@family("sorted features", {"rows": 400, "epochs": 20}, {"rows": 200, "epochs": 60}, shuffles=True)
def running_totals(random: Random, rows: int, epochs: int) -> Made:
    """What a customer has spent up to week 1, week 2, ...

    A grid along the line of time.
    """
    habit = np.exp(0.5 * random.normal(size=(rows, 1)))
    steps = random.exponential(size=(rows, epochs)) * habit
    return Made(
        np.cumsum(steps, axis=1), classes_by(steps[:, -3:].sum(axis=1), random), line(epochs)
    )
