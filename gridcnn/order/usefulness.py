"""Evidence of usefulness: the rule of thumb taken literally.

The same small convolutional network is trained on the columns as given, and on several fixed
shuffles of them, the same shuffle for every row. Its errors are counted by cross-validation. If the
given order leads to no fewer errors than shuffles, it is not useful.

If the order is meaningless, the given order is one more shuffle. So its accuracy is compared with
theirs by Student's t for one more observation from the same normal distribution.

Rows, folds, shuffles and starting weights are drawn at random. One *round* of trainings has one
draw of rows and folds, the columns as given, and six shuffles. If the verdict depends on
usefulness, there are more rounds, each with new draws, until another seed would hardly change the
verdict. The deviation of shuffles is that within rounds, and the degrees of freedom are the number
of shuffles less the number of rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import Targets
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
"""Rows that are trained on at most: more would take longer, and change the verdict little."""
ERROR_RATE = 0.01
"""How often a meaningless order may be taken for useful by this evidence."""
_SHUFFLES, _FOLDS = 6, 3
"""Shuffles, and folds of each cross-validation: more would take longer. With six shuffles the
p-value is 0.01 if the given order is 3.4 standard deviations ahead."""
TRAININGS = _SHUFFLES + 1
"""The number of calls of `advance` by `usefulness`."""
_ROUNDS, _ROUNDS_OF_LARGE = 20, 4
"""Rounds at most: twenty have a fifth of the standard error of one. The fewer are for grids that
are so large that arithmetic bounds the epochs: there a round takes seconds."""
_TRUST = 5
"""How many rounds the error that shuffles let expect counts for, beside that between the rounds:
few rounds alone hardly say how much they vary."""
_STEPS = 250
"""Updates of a training, which are enough for such a small network."""
_BATCH = 64
"""Rows of an update."""
_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 60
"""Epochs of a training: with fewer nothing is learned, with more few rows are learned by heart."""
_FILTERS, _FEWER_FILTERS, _LARGE = (16, 16), (8, 16), 400
"""Filters of the two convolutions; the fewer ones are for grids of more than 400 cells, on which
they take most of the time."""
_ARITHMETIC = 6e10
"""Multiplications of all trainings together, at most, which bounds the time for large grids."""
_FEWEST_OF_A_CLASS = 6
"""Rows of a class that are needed, so that each fold has some of every class."""
_LEAST_ERROR = 0.004
"""The standard error of one round at least: accuracies that are all the same by luck do not make
the next one certain."""
_ERRORS_APART = 2.0
"""Standard errors by which the accuracy must be higher on a less simple layout."""
_HALF_THE_ERRORS = 0.5
"""The part of the shuffles' errors that is left if the order is clearly useful."""
_FEWER_ERRORS, _LEAST_GAIN = 0.85, 0.02
"""The part of the shuffles' errors that a useful order may leave, and the accuracy that it must
add: a smaller difference is no reason to choose a network, however certain it is."""


@dataclass(frozen=True)
class Usefulness:
    """The accuracy of a network with the columns as given, and shuffled.

    Attributes:
        given: accuracy with the columns as given, in 0..1, by cross-validation.
        shuffled: accuracies with each of the shuffles, round by round.
        majority: accuracy of the most frequent class as the only answer.
        p_value: how likely one more shuffle would be as accurate as the given order.
        rows: how many rows were used in a round.
        classes: how many classes have rows enough to be used.
        error: the standard error of the difference between `given` and the mean of `shuffled`.
        rounds: how many rounds there were.
    """

    given: float
    shuffled: tuple[float, ...]
    majority: float
    p_value: float
    rows: int
    classes: int
    error: float = 0.0
    rounds: int = 1

    def shift(self, way: float, level: float = 0.0) -> Usefulness:
        """Return it as another seed might have found it.

        Args:
            way: how many standard errors better for the order; negative: worse.
            level: how many standard errors better the network does in any order.
        """
        if not (way or level):
            return self
        given = self.given + (way + level) * self.error
        shuffled = tuple(value + level * self.error for value in self.shuffled)
        return replace(self, given=given, shuffled=shuffled, p_value=self._shift_p_value(way))

    def _shift_p_value(self, way: float) -> float:
        """Return the p-value if Student's t were so many of its standard errors larger."""
        freedom = len(self.shuffled) - self.rounds
        spread = _spread(self.shuffled, self.rounds) * math.sqrt(1 + 1 / len(self.shuffled))
        if spread <= 0:
            return _p_value(self.given + way * self.error, self.shuffled, self.rounds)
        ahead = (self.given - float(np.mean(self.shuffled))) / spread
        # The spread is known only roughly, too, to a factor. Both errors share the way by how much
        # each of them moves t.
        moved, factor = self.error / spread, 1 / math.sqrt(2 * freedom)
        both = math.hypot(moved, factor * ahead)
        if not both:
            return _student(-ahead, freedom)
        scale = math.exp(way * factor * factor * ahead / both)
        return _student(-(ahead + way * moved * moved / both) * scale, freedom)

    @property
    def is_useful(self) -> bool:
        """Whether the given order is useful to the network."""
        errors, others = 1 - self.given, 1 - float(np.mean(self.shuffled))
        fewer = errors <= min(_FEWER_ERRORS * others, others - _LEAST_GAIN)
        return self.p_value <= ERROR_RATE and fewer

    @property
    def is_clearly_useful(self) -> bool:
        """Whether the order is so useful that evidence of neighbours against it does not count."""
        errors, others = 1 - self.given, 1 - float(np.mean(self.shuffled))
        return self.is_useful and errors <= _HALF_THE_ERRORS * others

    @property
    def is_telling(self) -> bool:
        """Whether the network has learned anything, in any order."""
        best = max(self.given, float(np.mean(self.shuffled)))
        noise = math.sqrt(self.majority * (1 - self.majority) / self.rows)
        return best > self.majority + 2 * noise


def usefulness(
    values: NDArray[np.float32],
    targets: Targets,
    layout: Layout,
    *,
    seed: int,
    threads: int | None = None,
    is_enough: Callable[[Usefulness], bool] | None = None,
    advance: Callable[[int], None] | None = None,
) -> Usefulness | None:
    """Return how useful the order of columns is to a small network; None if rows are too few.

    Args:
        values: `(rows, columns, width)` as of `gridcnn.order.columns.comparable`.
        targets: `(rows,)`, the class of each row, from 0.
        layout: how the columns stand in the network's grid.
        seed: fixes rows, shuffles, folds and starting weights.
        threads: the most threads.
        is_enough: called with the figures after each round; rounds follow until it returns True,
            or there are too many. None: one round is enough.
        advance: called with how many more of `TRAININGS`, those of the first round, are done.
    """
    random = Stream.CHECK_USEFULNESS.random(seed)
    given = np.arange(values.shape[1])
    accuracies: list[list[float]] = []
    while True:
        trial = _Trial.of(values, targets, random, seed, threads)
        if trial is None:
            return None
        answers = trial.right_answers(layout, TRAININGS)
        orders = [given, *(random.permutation(given) for _ in range(_SHUFFLES))]
        accuracies.append([])
        for order in orders:
            accuracies[-1].append(float(answers(order).mean()))
            if advance is not None and len(accuracies) == 1:
                advance(1)
        summary = _summary(trial, np.array(accuracies))
        most = _ROUNDS_OF_LARGE if trial.is_large(layout, TRAININGS) else _ROUNDS
        if is_enough is None or len(accuracies) >= most or is_enough(summary):
            return summary
        seed = int(random.integers(2**31))


def _summary(trial: _Trial, accuracies: NDArray[np.float64]) -> Usefulness:
    """Return what rounds `(rounds, trainings)` come to, each with the order given as its first."""
    rounds = len(accuracies)
    given, shuffled = accuracies[:, 0], tuple(accuracies[:, 1:].ravel().tolist())
    counts, rows = np.bincount(trial.targets), len(trial.targets)
    # Any training varies as those on shuffles do, or less: these have different orders.
    variance = _spread(shuffled, rounds) ** 2 * (1 + 1 / _SHUFFLES)
    if rounds > 1:
        own = float((given - accuracies[:, 1:].mean(axis=1)).var(ddof=1))
        variance = (_TRUST * variance + (rounds - 1) * own) / (_TRUST + rounds - 1)
    error = math.sqrt(variance / rounds)
    mean = float(given.mean())
    return Usefulness(
        mean,
        shuffled,
        float(counts.max() / rows),
        _p_value(mean, shuffled, rounds),
        rows,
        len(counts),
        max(error, _LEAST_ERROR / math.sqrt(rounds)),
        rounds,
    )


def best_layout(
    values: NDArray[np.float32],
    targets: Targets,
    layouts: Sequence[Layout],
    *,
    seed: int,
    threads: int | None = None,
) -> Layout:
    """Return the layout on which a small network has the best accuracy, by cross-validation.

    A later layout is preferred to an earlier one only if it is better by two standard errors of the
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
    targets: Targets
    folds: NDArray[np.int64]
    seed: int
    threads: int | None

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        targets: Targets,
        random: np.random.Generator,
        seed: int,
        threads: int | None,
    ) -> Self | None:
        """Return a trial on the classes with enough rows; None if there are fewer than two."""
        chosen = _choose_rows(targets, random)
        if chosen is None:
            return None
        _, targets = np.unique(targets[chosen], return_inverse=True)
        folds = deal_items(targets, _FOLDS, random)
        return cls(values[chosen], targets, folds, seed, threads)

    def right_answers(
        self, layout: Layout, trainings: int
    ) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]]:
        """Return a function of an order of the columns that returns which answers are right.

        Every row is answered by a network that has not seen it. `trainings` is how many such
        networks share the affordable arithmetic.
        """
        rows, _, width = self.values.shape
        classes = int(self.targets.max()) + 1
        shape = GridShape(layout.channels * width, layout.rows, layout.columns)
        epochs = min(self._wanted_epochs(), self._affordable_epochs(layout, trainings))
        epochs = min(max(epochs, _FEWEST_EPOCHS), _MOST_EPOCHS)
        spec = _spec(shape, round(epochs), self.seed)
        engine = bind(spec, shape, classes=classes, threads=self.threads)
        position, channel = layout.places()

        def answers(order: NDArray[np.int64]) -> NDArray[np.bool_]:
            grids = np.zeros((rows, layout.channels, width, layout.positions), np.float32)
            scaled = (self.values[:, order] / 2).clip(-1.5, 1.5)
            grids[:, channel, :, position] = scaled.transpose(1, 0, 2)
            cells = grids.reshape(rows, *shape.sizes)
            return _right_answers(engine, spec.training, cells, self.targets, self.folds)

        return answers

    def is_large(self, layout: Layout, trainings: int) -> bool:
        """Return whether arithmetic bounds the epochs of so many trainings."""
        return self._affordable_epochs(layout, trainings) < self._wanted_epochs()

    def _wanted_epochs(self) -> float:
        return float(_STEPS * _BATCH / (len(self.values) * (_FOLDS - 1) / _FOLDS))

    def _affordable_epochs(self, layout: Layout, trainings: int) -> float:
        rows, _, width = self.values.shape
        shape = GridShape(layout.channels * width, layout.rows, layout.columns)
        classes = int(self.targets.max()) + 1
        network = Network(_spec(shape, 1, self.seed), shape, classes=classes)
        per_row = network.multiply_adds * 3 * (_FOLDS - 1) * trainings
        return float(_ARITHMETIC / max(1, per_row * rows))


def _choose_rows(targets: Targets, random: np.random.Generator) -> NDArray[np.int64] | None:
    """Return the rows of classes with enough rows; None if there are fewer than two."""
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
    targets: Targets,
    folds: NDArray[np.int64],
) -> NDArray[np.bool_]:
    right = np.zeros(len(targets), np.bool_)
    for fold in range(_FOLDS):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        state = train(engine, Labelled(grids[seen], targets[seen]), None, training)
        logits = engine.logits(state.parameters, grids[unseen])
        right[unseen] = engine.head.hits(logits, targets[unseen])
    return right


def _p_value(given: float, shuffled: Sequence[float], rounds: int = 1) -> float:
    spread = _spread(shuffled, rounds) * math.sqrt(1 + 1 / len(shuffled))
    ahead = given - float(np.mean(shuffled))
    if spread <= 0:
        return 0.5 if ahead <= 0 else 1 / (1 + len(shuffled))
    return _student(-ahead / spread, len(shuffled) - rounds)


def _spread(shuffled: Sequence[float], rounds: int) -> float:
    """Return the standard deviation of shuffles within their rounds."""
    each = np.array(shuffled).reshape(rounds, -1)
    return math.sqrt(float(each.var(axis=1, ddof=1).mean()))


def _student(value: float, freedom: int) -> float:
    """Return the probability of a smaller value by Student's t."""
    require_room_for_scipy()
    from scipy.special import stdtr  # scipy.stats would take most of a second to load

    return float(stdtr(freedom, value))


def _spec(shape: GridShape, epochs: int, seed: int) -> Spec:
    """Return a network with kernels of three cells a side that pools twice."""
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
