"""Counts: words, events and visits, one column for each kind or for each bin."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import (
    PERMUTABLE,
    Grid,
    Made,
    Random,
    Table,
    classes_by,
    family,
    grid,
    line,
)


def _documents(random: Random, rows: int, words: int, topics: int) -> tuple[Table, Table]:
    """Return counts of words by topics, words in no order, and the topics of each document."""
    mixture = random.dirichlet(np.full(topics, 0.3), rows)
    frequent = 1 / np.arange(1, words + 1)
    spoken = random.dirichlet(np.full(words, 0.1), topics) + 0.3 * frequent / frequent.sum()
    length = random.poisson(120, (rows, 1)) + 20
    expected = mixture @ spoken
    found = random.poisson(length * expected / expected.sum(axis=1, keepdims=True)).astype(float)
    return found[:, random.permutation(words)], mixture


@family(
    "counts",
    {"rows": 400, "words": 60, "topics": 4},
    {"rows": 400, "words": 120, "topics": 8},
    {"rows": 1_000, "words": 40, "topics": 5},
)
def bag_of_words(random: Random, rows: int, words: int, topics: int) -> Made:
    """Counts of words, the words by the alphabet.

    Permutable: the alphabet says nothing about what words mean.
    """
    X, mixture = _documents(random, rows, words, topics)
    return Made(X, mixture.argmax(axis=1), PERMUTABLE)


@family("counts", {"rows": 400, "words": 80, "topics": 5}, {"rows": 800, "words": 100, "topics": 6})
def words_by_frequency(random: Random, rows: int, words: int, topics: int) -> Made:
    """Counts of words, the most frequent word first.

    Permutable: neighbours are equally frequent, but not about the same things.
    """
    X, mixture = _documents(random, rows, words, topics)
    return Made(X[:, np.argsort(-X.sum(axis=0))], mixture.argmax(axis=1), PERMUTABLE)


@family(
    "counts", {"rows": 500, "words": 100, "topics": 5}, {"rows": 300, "words": 120, "topics": 4}
)
def tf_idf(random: Random, rows: int, words: int, topics: int) -> Made:
    """Counts of words, weighted by rarity, rows of length 1.

    Permutable, as `bag_of_words` is.
    """
    X, mixture = _documents(random, rows, words, topics)
    X *= 1 + np.log((1 + rows) / (1 + (X > 0).sum(axis=0)))
    X /= np.linalg.norm(X, axis=1, keepdims=True) + 1e-9
    return Made(X, mixture.argmax(axis=1), PERMUTABLE)


@family("counts", {"rows": 600, "words": 80, "topics": 4})
def words_present(random: Random, rows: int, words: int, topics: int) -> Made:
    """Whether a word occurs, 0 or 1, without labels.

    Permutable, as `bag_of_words` is.
    """
    X, _ = _documents(random, rows, words, topics)
    return Made((X > 0) * 1.0, None, PERMUTABLE)


@family("counts", {"rows": 500, "kinds": 15}, {"rows": 1_000, "kinds": 40})
def event_counts(random: Random, rows: int, kinds: int) -> Made:
    """How often each user did each thing; most did most things never.

    Permutable: kinds of events are in no order.
    """
    habits = random.normal(size=(rows, 3))
    rate = habits @ random.normal(size=(3, kinds)) + random.normal(-0.5, 1, kinds)
    X = random.poisson(np.exp(np.clip(rate, -6, 4))).astype(float)
    return Made(X, classes_by(habits[:, 0], random), PERMUTABLE)


@family(
    "counts",
    {"rows": 600, "bins": 24, "rate": 60},
    {"rows": 400, "bins": 48, "rate": 300},
    {"rows": 800, "bins": 24, "rate": 25},
    shuffles=True,
)
def events_by_hour(random: Random, rows: int, bins: int, rate: int) -> Made:
    """Counts of a user's events in each hour of the day, most of them around two hours.

    A grid along the line of time: neighbouring hours are busy together.
    """
    hours = np.arange(bins)
    first, second = random.uniform(0, bins, (2, rows, 1))
    width = bins / 10
    busy = [
        np.exp(-np.square((hours - c + bins / 2) % bins - bins / 2) / width**2 / 2)
        for c in (first, second)
    ]
    profile = busy[0] + 0.6 * busy[1] + 0.05
    X = random.poisson(rate * profile / profile.sum(axis=1, keepdims=True)).astype(float)
    apart = np.abs((first - second + bins / 2) % bins - bins / 2)[:, 0]
    return Made(X, classes_by(apart, random), line(bins))


@family("counts", {"rows": 500, "bins": 16}, {"rows": 500, "bins": 32}, shuffles=True)
def histograms(random: Random, rows: int, bins: int) -> Made:
    """Histograms of the brightness of pictures, each a mixture of two peaks.

    A grid along the line of brightness: bins are intervals of one axis.
    """
    edges = np.arange(bins)
    dark, bright = random.uniform(0, bins / 2, (rows, 1)), random.uniform(bins / 2, bins, (rows, 1))
    width = random.uniform(bins / 16, bins / 6, (rows, 1))
    part = random.uniform(0.2, 0.8, (rows, 1))
    curve = part * np.exp(-np.square((edges - dark) / width) / 2)
    curve += (1 - part) * np.exp(-np.square((edges - bright) / width) / 2)
    X = random.poisson(1_000 * curve / curve.sum(axis=1, keepdims=True)).astype(float)
    return Made(X, classes_by((bright - dark)[:, 0], random), line(bins))


@family("counts", {"rows": 500, "days": 4}, {"rows": 500, "days": 7}, shuffles=True)
def visits_by_day_and_hour(random: Random, rows: int, days: int) -> Made:
    """Visits of shops for each hour of some days, day after day.

    A grid: one line of hours, or a row for each day. Either layout is right.
    """
    hours = np.arange(24)
    noon = 13 + 3 * random.normal(size=(rows, 1, 1))
    width = random.uniform(1.5, 4, (rows, 1, 1))
    mood = np.cumsum(0.3 * random.normal(size=(rows, days, 1)), axis=1)
    rate = 2.5 + mood - np.square((hours - noon) / width) / 2
    X = random.poisson(np.exp(np.clip(rate, -5, 6))).reshape(rows, -1).astype(float)
    answer = grid(Grid(1, 24 * days), Grid(days, 24), Grid(1, 24, days, "rows"))
    return Made(X, classes_by(noon[:, 0, 0], random), answer)
