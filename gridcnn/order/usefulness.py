"""Evidence of usefulness: the rule of thumb taken literally.

The same small convolutional network is trained on the columns as they stand, and on several fixed
shuffles of them, the same shuffle for every row. What it answers wrongly is counted by
cross-validation. If the order as given does no better than shuffles do, it was of no use.

Were the order meaningless, the given one would be one more shuffle. So its accuracy is compared
with theirs by Student's t for one more observation from the same normal distribution, with as many
degrees of freedom as there are shuffles but one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gridcnn.datasets.division.dealing import deal_items
from gridcnn.engines.base import Engine, bind
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.order.layouts import Layout
from gridcnn.room import require_room_for_scipy
from gridcnn.spec.load import load
from gridcnn.spec.models import Spec, Training
from gridcnn.streams import Stream
from gridcnn.training.loop import Labelled, train

MOST_ROWS = 1_500
"""Rows that are trained on at most: more would take longer, not tell more."""
ERROR_RATE = 0.01
"""How often a meaningless order may be taken for useful by this evidence."""
_SHUFFLES, _FOLDS = 6, 3
_STEPS = 250  # updates of a training, which is enough for a network as small as this
_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 60
_ARITHMETIC = 6e10  # multiplications of all answers in all trainings together, at most
_FEWEST_OF_A_CLASS = 6  # rows, so that each fold has some of every class
_FEWER_ERRORS, _LEAST_GAIN = 0.85, 0.02
"""The part of the shuffles' errors that the given order may still have to count as useful, and the
accuracy that it has to bring: a smaller difference is no reason to choose a network, however
certain it is."""


@dataclass(frozen=True)
class Usefulness:
    """How well a network answers with the columns as given, and shuffled.

    Attributes:
        given: accuracy with the columns as given, in 0..1, by cross-validation.
        shuffled: accuracies with each of the shuffles.
        majority: accuracy of whoever always answers with the most frequent class.
        p_value: how likely one more shuffle would be as accurate as the given order.
        rows: how many rows were used.
        classes: how many classes have rows enough to be used.
    """

    given: float
    shuffled: tuple[float, ...]
    majority: float
    p_value: float
    rows: int
    classes: int

    @property
    def is_useful(self) -> bool:
        """Whether the order as given was of use to the network."""
        errors, others = 1 - self.given, 1 - float(np.mean(self.shuffled))
        fewer = errors <= min(_FEWER_ERRORS * others, others - _LEAST_GAIN)
        return self.p_value <= ERROR_RATE and fewer

    @property
    def is_telling(self) -> bool:
        """Whether the network has learned anything at all, in one order or another."""
        best = max(self.given, float(np.mean(self.shuffled)))
        noise = math.sqrt(self.majority * (1 - self.majority) / self.rows)
        return best > self.majority + 2 * noise


def usefulness(
    values: NDArray[np.float32],
    targets: NDArray[np.int64],
    layout: Layout,
    *,
    seed: int,
    threads: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Usefulness | None:
    """Return how useful the order of columns is to a small network; None if rows are too few.

    Args:
        values: `(rows, columns, width)` as of `gridcnn.order.columns.comparable`.
        targets: int64 `(rows,)`, the class of each row, from 0.
        layout: how the columns stand in the network's grid.
        seed: fixes shuffles, folds and starting weights.
        threads: the most threads.
        advance: is told how many more of `TRAININGS` are done.
    """
    random = Stream.CHECK_USEFULNESS.random(seed)
    chosen = _chosen(targets, random)
    if chosen is None:
        return None
    _, targets = np.unique(targets[chosen], return_inverse=True)
    values = values[chosen]
    classes = int(targets.max()) + 1
    rows, columns, width = values.shape
    shape = GridShape(layout.channels * width, layout.rows, layout.columns)
    network = Network(_spec(shape, 1, seed), shape, classes=classes)
    per_row = network.multiply_adds * 3 * (_FOLDS - 1) * (_SHUFFLES + 1)
    affordable = _ARITHMETIC / max(1, per_row * rows)
    wanted = _STEPS * _BATCH / (rows * (_FOLDS - 1) / _FOLDS)
    epochs = round(min(max(min(wanted, affordable), _FEWEST_EPOCHS), _MOST_EPOCHS))
    spec = _spec(shape, epochs, seed)
    engine = bind(spec, shape, classes=classes, threads=threads)
    folds = deal_items(targets, _FOLDS, random)
    position, channel = layout.places()

    def accuracy(order: NDArray[np.int64]) -> float:
        grids = np.zeros((rows, layout.channels, width, layout.positions), np.float32)
        grids[:, channel, :, position] = (values[:, order] / 2).clip(-1.5, 1.5).transpose(1, 0, 2)
        found = _accuracy(engine, spec.training, grids.reshape(rows, *shape.sizes), targets, folds)
        if advance is not None:
            advance(1)
        return found

    given = accuracy(np.arange(columns))
    shuffled = [accuracy(random.permutation(columns)) for _ in range(_SHUFFLES)]
    counts = np.bincount(targets)
    return Usefulness(
        given, tuple(shuffled), float(counts.max() / rows), _p_value(given, shuffled), rows, classes
    )


TRAININGS = _SHUFFLES + 1
"""How often `usefulness` tells that it has advanced."""
_BATCH = 64


def _chosen(targets: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64] | None:
    """Return the rows to use, of classes that have enough; None where fewer than two have."""
    rows = np.arange(len(targets))
    if len(rows) > MOST_ROWS:
        rows = np.sort(random.choice(rows, MOST_ROWS, replace=False))
    counts = np.bincount(targets[rows])
    enough = np.flatnonzero(counts >= _FEWEST_OF_A_CLASS)
    if len(enough) < 2:
        return None
    return rows[np.isin(targets[rows], enough)]


def _accuracy(
    engine: Engine,
    training: Training,
    grids: NDArray[np.float32],
    targets: NDArray[np.int64],
    folds: NDArray[np.int64],
) -> float:
    right = 0
    for fold in range(_FOLDS):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        state = train(engine, Labelled(grids[seen], targets[seen]), None, training)
        logits = engine.logits(state.parameters, grids[unseen])
        right += int((logits.argmax(axis=1) == targets[unseen]).sum())
    return right / len(targets)


def _p_value(given: float, shuffled: list[float]) -> float:
    require_room_for_scipy()
    from scipy.stats import t

    spread = float(np.std(shuffled, ddof=1)) * math.sqrt(1 + 1 / len(shuffled))
    ahead = given - float(np.mean(shuffled))
    if spread <= 0:
        return 0.5 if ahead <= 0 else 1 / (1 + len(shuffled))
    return float(t.sf(ahead / spread, len(shuffled) - 1))


def _spec(shape: GridShape, epochs: int, seed: int) -> Spec:
    """Return a network whose features see three cells at a time, and which pools twice."""
    stages: list[object] = []
    rows, columns = shape.rows, shape.columns
    for filters in _FILTERS if rows * columns <= _LARGE else _FEWER_FILTERS:
        kernel = [min(3, rows), min(3, columns)]
        stages += [
            {"convolution": {"filters": filters, "kernel_size": kernel, "padding": "same"}},
            "rectification",
        ]
        window = [2 if size >= 4 else 1 for size in (rows, columns)]
        if max(window) > 1:
            stages.append({"pooling": {"window": window}})
            rows, columns = rows // window[0], columns // window[1]
    settings = {
        "stages": stages,
        "head": {"voting": {}},
        "training": {
            "epochs": epochs,
            "batch_size": _BATCH,
            "learning_rate": 0.005,
            "schedule": "cosine",
            "seed": seed,
        },
    }
    return load(settings)


_FILTERS, _FEWER_FILTERS, _LARGE = (16, 16), (8, 16), 400
