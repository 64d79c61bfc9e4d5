"""One-hot blocks: columns of 0 and 1 of which each row has a single 1 in every block."""

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
)


def _blocks(codes: Labels, sizes: list[int]) -> Table:
    """Return the one-hot columns of categories `(rows, categories)`, block after block."""
    return np.hstack([np.eye(size)[codes[:, place]] for place, size in enumerate(sizes)])


def _associated(
    random: Random, rows: int, sizes: list[int], strength: float
) -> tuple[Labels, Labels]:
    """Return categories that depend on a hidden class of each row, and that class."""
    hidden = random.integers(0, 4, rows)
    codes = np.empty((rows, len(sizes)), np.int64)
    for place, size in enumerate(sizes):
        chances = np.exp(strength * random.normal(size=(4, size)))
        chances /= chances.sum(axis=1, keepdims=True)
        steps = chances.cumsum(axis=1)[hidden]
        codes[:, place] = (random.random((rows, 1)) > steps[:, :-1]).sum(axis=1)
    return codes, hidden


@family(
    "one-hot",
    {"rows": 400, "blocks": 4, "size": 4, "strength": 0.0},
    {"rows": 400, "blocks": 6, "size": 5, "strength": 1.0},
    {"rows": 800, "blocks": 10, "size": 3, "strength": 2.0},
    {"rows": 800, "blocks": 5, "size": 12, "strength": 1.5},
)
def equal_blocks(random: Random, rows: int, blocks: int, size: int, strength: float) -> Made:
    """Categories of equally many values each, associated more or less strongly.

    Permutable: the columns of a block exclude each other, in no order.
    """
    codes, _ = _associated(random, rows, [size] * blocks, strength)
    score = random.normal(size=(blocks, size))[np.arange(blocks), codes].sum(axis=1)
    return Made(_blocks(codes, [size] * blocks), classes_by(score, random), PERMUTABLE)


@family(
    "one-hot",
    {"rows": 500, "blocks": 5, "most": 6, "strength": 1.0},
    {"rows": 500, "blocks": 8, "most": 9, "strength": 2.0},
    {"rows": 1_000, "blocks": 12, "most": 5, "strength": 1.5},
)
def unequal_blocks(random: Random, rows: int, blocks: int, most: int, strength: float) -> Made:
    """Categories of two and more values, as a customer table becomes by one-hot encoding.

    Permutable, as `equal_blocks` are.
    """
    sizes = random.integers(2, most + 1, blocks).tolist()
    codes, hidden = _associated(random, rows, sizes, strength)
    return Made(_blocks(codes, sizes), classes_by(hidden * 1.0, random, classes=3), PERMUTABLE)


@family(
    "one-hot",
    {"rows": 500, "blocks": 4, "size": 4, "numbers": 5},
    {"rows": 500, "blocks": 8, "size": 3, "numbers": 12},
)
def blocks_and_numbers(random: Random, rows: int, blocks: int, size: int, numbers: int) -> Made:
    """Scaled numbers, and behind them the one-hot columns of categories.

    Permutable: attributes of different kinds.
    """
    codes, hidden = _associated(random, rows, [size] * blocks, 1.2)
    measured = random.normal(size=(rows, numbers)) + hidden[:, None] * random.normal(size=numbers)
    X = np.hstack([measured, _blocks(codes, [size] * blocks)])
    return Made(X, classes_by(hidden + measured[:, 0], random), PERMUTABLE)


@family("one-hot", {"rows": 600, "blocks": 4, "size": 6}, {"rows": 600, "blocks": 7, "size": 5})
def bands_of_values(random: Random, rows: int, blocks: int, size: int) -> Made:
    """Age, income and so on, cut into bands, each band a column of 0 and 1.

    Permutable: within a block bands have an order, but the table consists of several attributes.
    """
    values = random.normal(size=(rows, blocks)) + random.normal(size=(rows, 1))
    codes = (np.argsort(np.argsort(values, axis=0), axis=0) * size // rows).astype(np.int64)
    return Made(_blocks(codes, [size] * blocks), classes_by(values[:, 0], random), PERMUTABLE)


@family("one-hot", {"rows": 600, "blocks": 5, "size": 5}, {"rows": 600, "blocks": 3, "size": 8})
def thermometers(random: Random, rows: int, blocks: int, size: int) -> Made:
    """Attributes coded as "at least 1", "at least 2", ..., block after block.

    Permutable, as there are several attributes. "Undecided" is right, too: along each block the
    steps do have an order.
    """
    values = random.normal(size=(rows, blocks)) + random.normal(size=(rows, 1))
    codes = np.argsort(np.argsort(values, axis=0), axis=0) * (size + 1) // rows
    X = (codes[:, :, None] > np.arange(size)).reshape(rows, -1) * 1.0
    return Made(X, classes_by(values[:, 0], random), Answer("permutable", undecided=True))


@family("one-hot", {"rows": 800, "size": 12, "second": 8}, {"rows": 800, "size": 30, "second": 5})
def large_category(random: Random, rows: int, size: int, second: int) -> Made:
    """One category of many values (a shop), the most frequent first, and a small one behind it.

    Permutable: which shop has which column means nothing.
    """
    chances = 1 / np.arange(1, size + 1)
    shop = random.choice(size, rows, p=chances / chances.sum())
    kind = (shop + random.integers(0, second // 2, rows)) % second
    X = _blocks(np.column_stack([shop, kind]), [size, second])
    return Made(X, classes_by(random.normal(size=size)[shop], random), PERMUTABLE)


@family(
    "one-hot",
    {"rows": 1_000, "length": 20, "motif": 6},
    {"rows": 1_500, "length": 40, "motif": 8},
    shuffles=True,
    undecided_if_shuffled=True,
)
def sequence_one_hot(random: Random, rows: int, length: int, motif: int) -> Made:
    """DNA, four columns for each position; half of the rows hold a motif somewhere.

    A grid of four interleaved channels: the counterexample, in which one-hot blocks are an order.
    "Undecided" is right, too, both as given and shuffled: only the labels show the order.
    """
    bases = random.integers(0, 4, (rows, length))
    y = np.arange(rows) % 2
    word = random.integers(0, 4, motif)
    for row in np.flatnonzero(y):
        start = int(random.integers(0, length - motif + 1))
        bases[row, start : start + motif] = word
    X = np.eye(4)[bases].reshape(rows, -1)
    return Made(X, y, grid(Grid(1, length, 4, "interleaved"), undecided=True))


@family("one-hot", {"rows": 500, "most": 5}, {"rows": 800, "most": 9})
def severity_levels(random: Random, rows: int, most: int) -> Made:
    """Six symptoms as "at least light", "at least strong", ..., each with as many steps as it has.

    Permutable: symptoms stand in no order. "Undecided" is right, too, as the steps of each do.
    """
    illness = random.normal(size=rows)
    parts = []
    for size in random.integers(3, most + 1, 6):
        level = illness + random.normal(size=rows)
        bars = np.quantile(level, np.linspace(0.15, 0.9, size))
        parts.append((level[:, None] > bars) * 1.0)
    answer = Answer("permutable", undecided=True)
    return Made(np.hstack(parts), classes_by(illness, random), answer)


@family(
    "one-hot",
    {"rows": 800, "days": 14, "levels": 4},
    {"rows": 600, "days": 30, "levels": 3},
    shuffles=True,
)
def levels_over_time(random: Random, rows: int, days: int, levels: int) -> Made:
    """The pain of every day as "at least 1", "at least 2", ..., day after day.

    A grid of the days, in which the steps of a day are channels of a cell or stand side by side.
    """
    pain = np.cumsum(random.normal(size=(rows, days)), axis=1) + random.normal(size=(rows, 1))
    bars = np.quantile(pain, np.linspace(0.2, 0.8, levels))
    X = (pain[:, :, None] > bars).reshape(rows, -1) * 1.0
    answer = grid(Grid(1, days, levels, "interleaved"), Grid(days, levels))
    return Made(X, classes_by(pain[:, -1] - pain[:, 0], random), answer)
