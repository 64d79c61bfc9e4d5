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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

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
_CAREFUL = 3
"""How many times more is trained if the decision hangs on usefulness."""
_STEPS = 250  # updates of a training, which is enough for a network as small as this
_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 60
_ARITHMETIC = 6e10  # multiplications of all answers in all trainings together, at most
_FEWEST_OF_A_CLASS = 6  # rows, so that each fold has some of every class
_ERRORS_APART = 2.0
"""Standard errors by which a network has to do better on a layout that is less simple."""
_MAY_BE = 0.15
"""The p-value up to which more trainings might show that the order is useful."""
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
    def may_be_useful(self) -> bool:
        """Whether the order given does so well that it is worth more trainings to be sure."""
        return self.p_value <= _MAY_BE

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
    careful: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Usefulness | None:
    """Return how useful the order of columns is to a small network; None if rows are too few.

    Args:
        values: `(rows, columns, width)` as of `gridcnn.order.columns.comparable`.
        targets: int64 `(rows,)`, the class of each row, from 0.
        layout: how the columns stand in the network's grid.
        seed: fixes shuffles, folds and starting weights.
        threads: the most threads.
        careful: whether to train three times as often, so that the figures hardly change with the
            seed.
        advance: called with how many more of `TRAININGS` are done.
    """
    random = Stream.CHECK_USEFULNESS.random(seed)
    trial = _Trial.of(values, targets, random, seed, threads)
    if trial is None:
        return None
    columns, shuffles = values.shape[1], _SHUFFLES
    accuracy = trial.accuracy_of(layout, 1 + shuffles, advance)
    answers = [accuracy(np.arange(columns))]
    if careful:
        shuffles *= _CAREFUL
        for number in range(1, _CAREFUL + 1):
            again = replace(trial, seed=seed + number)
            answers.append(again.accuracy_of(layout, 1 + shuffles, None)(np.arange(columns)))
    given = float(np.mean(answers))
    shuffled = [accuracy(random.permutation(columns)) for _ in range(shuffles)]
    counts, rows = np.bincount(trial.targets), len(trial.targets)
    majority = float(counts.max() / rows)
    p_value = _p_value(given, shuffled)
    return Usefulness(given, tuple(shuffled), majority, p_value, rows, len(counts))


def best_layout(
    values: NDArray[np.float32],
    targets: NDArray[np.int64],
    layouts: Sequence[Layout],
    *,
    seed: int,
    threads: int | None = None,
) -> Layout:
    """Return the layout on which a small network answers best, by cross-validation.

    An earlier layout gives way to a later one only if that is better by two standard errors of the
    difference. The other arguments are those of `usefulness`; if there are too few rows to train
    on, the first layout is returned.
    """
    random = Stream.CHECK_USEFULNESS.random(seed)
    trial = _Trial.of(values, targets, random, seed, threads)
    if trial is None or len(layouts) < 2:
        return layouts[0]
    order = np.arange(values.shape[1])
    right = [trial.right_answers(layout, len(layouts))(order) for layout in layouts]
    best = 0
    for number in range(1, len(layouts)):
        ahead = right[number].astype(np.float64) - right[best]
        error = ahead.std() / math.sqrt(len(ahead))
        if ahead.mean() > _ERRORS_APART * error:
            best = number
    return layouts[best]


@dataclass(frozen=True)
class _Trial:
    """Rows to train small networks on, by cross-validation.

    Attributes:
        values: `(rows, columns, width)`.
        targets: the class of each row, from 0 without gaps.
        folds: the fold of each row.
        seed, threads: those of the networks.
    """

    values: NDArray[np.float32]
    targets: NDArray[np.int64]
    folds: NDArray[np.int64]
    seed: int
    threads: int | None

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        targets: NDArray[np.int64],
        random: np.random.Generator,
        seed: int,
        threads: int | None,
    ) -> Self | None:
        """Return a trial on rows of classes that have enough of them; None for fewer than two."""
        chosen = _chosen(targets, random)
        if chosen is None:
            return None
        _, targets = np.unique(targets[chosen], return_inverse=True)
        folds = deal_items(targets, _FOLDS, random)
        return cls(values[chosen], targets, folds, seed, threads)

    def accuracy_of(
        self, layout: Layout, trainings: int, advance: Callable[[int], None] | None
    ) -> Callable[[NDArray[np.int64]], float]:
        """Return what gives the accuracy with the columns in an order; see `right_answers`."""
        answers = self.right_answers(layout, trainings)

        def accuracy(order: NDArray[np.int64]) -> float:
            right = answers(order)
            if advance is not None:
                advance(1)
            return float(right.mean())

        return accuracy

    def right_answers(
        self, layout: Layout, trainings: int
    ) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]]:
        """Return what tells which rows are answered right with the columns in an order.

        Every row is answered by a network that has not seen it. `trainings` is how many such
        networks share the arithmetic that is affordable.
        """
        rows, _, width = self.values.shape
        classes = int(self.targets.max()) + 1
        shape = GridShape(layout.channels * width, layout.rows, layout.columns)
        network = Network(_spec(shape, 1, self.seed), shape, classes=classes)
        per_row = network.multiply_adds * 3 * (_FOLDS - 1) * trainings
        affordable = _ARITHMETIC / max(1, per_row * rows)
        wanted = _STEPS * _BATCH / (rows * (_FOLDS - 1) / _FOLDS)
        epochs = round(min(max(min(wanted, affordable), _FEWEST_EPOCHS), _MOST_EPOCHS))
        spec = _spec(shape, epochs, self.seed)
        engine = bind(spec, shape, classes=classes, threads=self.threads)
        position, channel = layout.places()

        def answers(order: NDArray[np.int64]) -> NDArray[np.bool_]:
            grids = np.zeros((rows, layout.channels, width, layout.positions), np.float32)
            scaled = (self.values[:, order] / 2).clip(-1.5, 1.5)
            grids[:, channel, :, position] = scaled.transpose(1, 0, 2)
            cells = grids.reshape(rows, *shape.sizes)
            return _right_answers(engine, spec.training, cells, self.targets, self.folds)

        return answers


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


def _right_answers(
    engine: Engine,
    training: Training,
    grids: NDArray[np.float32],
    targets: NDArray[np.int64],
    folds: NDArray[np.int64],
) -> NDArray[np.bool_]:
    right = np.zeros(len(targets), np.bool_)
    for fold in range(_FOLDS):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        state = train(engine, Labelled(grids[seen], targets[seen]), None, training)
        logits = engine.logits(state.parameters, grids[unseen])
        right[unseen] = logits.argmax(axis=1) == targets[unseen]
    return right


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
