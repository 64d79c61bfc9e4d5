"""Questionnaires: items of several scales, answered on a few steps."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import EITHER, PERMUTABLE, Made, Random, Table, classes_by, family


def _answers(values: Table, steps: int) -> Table:
    """Return answers on a scale of 1 to `steps`."""
    return np.clip(np.round(values * steps / 5 + (steps + 1) / 2), 1, steps)


def _scales(random: Random, rows: int, scales: int, items: int) -> tuple[Table, Table]:
    """Return what people would say `(rows, scales, items)`, and their traits `(rows, scales)`."""
    traits = random.normal(size=(rows, scales)) + 0.4 * random.normal(size=(rows, 1))
    weights = random.uniform(0.6, 1.0, (scales, items))
    said = traits[:, :, None] * weights + 0.6 * random.normal(size=(rows, scales, items))
    return said, traits


@family(
    "questionnaires",
    {"rows": 300, "scales": 3, "items": 5, "steps": 5},
    {"rows": 500, "scales": 5, "items": 10, "steps": 5},
    {"rows": 800, "scales": 2, "items": 8, "steps": 7},
    {"rows": 400, "scales": 8, "items": 4, "steps": 4},
)
def likert_blocks(random: Random, rows: int, scales: int, items: int, steps: int) -> Made:
    """Items of the same scale stand together.

    Permutable: within a block every item is as close to every other, and blocks are in no order.
    """
    said, traits = _scales(random, rows, scales, items)
    X = _answers(said.reshape(rows, -1), steps)
    return Made(X, classes_by(traits[:, 0] - traits[:, 1], random), PERMUTABLE)


@family(
    "questionnaires",
    {"rows": 300, "scales": 3, "items": 6},
    {"rows": 600, "scales": 5, "items": 8},
)
def reversed_items(random: Random, rows: int, scales: int, items: int) -> Made:
    """As `likert_blocks`, but half of the items ask for the opposite, in turn or at random.

    Permutable: an answer turned round is still an answer to the same scale.
    """
    said, traits = _scales(random, rows, scales, items)
    X = said.reshape(rows, -1) * np.where(random.random(scales * items) < 0.5, -1, 1)
    return Made(_answers(X, 5), classes_by(traits[:, 0], random), PERMUTABLE)


@family(
    "questionnaires",
    {"rows": 400, "scales": 5, "items": 8},
    {"rows": 400, "scales": 3, "items": 10},
    {"rows": 400, "scales": 4, "items": 6},
)
def scales_in_turn(random: Random, rows: int, scales: int, items: int) -> Made:
    """Items of the scales in turn (1, 2, 3, 1, 2, 3, ...), as personality tests list them.

    Permutable: it looks like interleaved channels, but the items of a scale are in no order.
    """
    said, traits = _scales(random, rows, scales, items)
    X = _answers(said.transpose(0, 2, 1).reshape(rows, -1), 5)
    return Made(X, classes_by(traits[:, 0], random), PERMUTABLE)


@family("questionnaires", {"rows": 500, "items": 20}, {"rows": 500, "items": 40})
def yes_and_no(random: Random, rows: int, items: int) -> Made:
    """A check list of yes and no, with one trait behind all answers and two behind some.

    Permutable: the list is in no order.
    """
    traits = random.normal(size=(rows, 3))
    weights = random.normal(size=(3, items)) * np.array([[1.0], [0.6], [0.6]])
    X = (traits @ weights + random.normal(size=(rows, items)) > random.normal(size=items)) * 1.0
    return Made(X, classes_by(traits[:, 0], random), PERMUTABLE)


@family("questionnaires", {"rows": 600, "items": 20}, {"rows": 600, "items": 40})
def exam_by_difficulty(random: Random, rows: int, items: int) -> Made:
    """Right and wrong answers to the questions of an exam, the easiest first.

    Either: who fails an easy question fails the hard ones, so that neighbours are most alike and
    the order is real; but swapping questions loses no information about the pupil.
    """
    skill = random.normal(size=(rows, 1))
    hard = np.linspace(-2.2, 2.2, items)
    X = (2.5 * (skill - hard) + random.logistic(size=(rows, items)) > 0) * 1.0
    return Made(X, classes_by(skill[:, 0], random), EITHER)


@family(
    "questionnaires", {"rows": 400, "waves": 4, "items": 6}, {"rows": 400, "waves": 3, "items": 9}
)
def few_waves(random: Random, rows: int, waves: int, items: int) -> Made:
    """The same items asked in three or four years, one year after the other.

    Either: years are an order, but one of too few places for a window to slide along.
    """
    traits = random.normal(size=(rows, 1, items))
    drift = np.cumsum(0.5 * random.normal(size=(rows, waves, items)), axis=1)
    X = _answers((traits + drift + 0.4 * random.normal(size=drift.shape)).reshape(rows, -1), 7)
    return Made(X, classes_by(drift[:, -1].sum(axis=1), random), EITHER)


@family("questionnaires", {"rows": 400, "scales": 4, "items": 6, "missing": 0.15})
def unanswered_items(random: Random, rows: int, scales: int, items: int, missing: float) -> Made:
    """Blocks of items, some of them not answered, beside age and income.

    Permutable, as `likert_blocks` are.
    """
    said, traits = _scales(random, rows, scales, items)
    X = _answers(said.reshape(rows, -1), 5)
    X[random.random(X.shape) < missing] = np.nan
    people = np.column_stack([random.integers(18, 90, rows), np.exp(random.normal(10, 1, rows))])
    return Made(np.hstack([people, X]), classes_by(traits[:, 0], random), PERMUTABLE)


@family(
    "questionnaires",
    {"rows": 400, "scales": 4, "items": 8},
    {"rows": 800, "scales": 2, "items": 20},
)
def unequal_loadings(random: Random, rows: int, scales: int, items: int) -> Made:
    """Scales of which some items measure much and others next to nothing, in no order.

    Permutable: within a scale items could change places.
    """
    traits = random.normal(size=(rows, scales, 1))
    loadings = random.uniform(0.1, 2, (scales, items))
    X = traits * loadings + random.normal(size=(rows, scales, items))
    X = np.clip(np.round(X + 3), 1, 5).reshape(rows, -1)
    return Made(X, classes_by(traits[:, 0, 0], random), PERMUTABLE)
