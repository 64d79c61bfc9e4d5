"""The one training loop: epochs over shuffled batches, the best epoch kept, early stopping."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.stage import HeadStage, Stage
from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.engines.base import Engine
from gridcnn.errors import TrainingError
from gridcnn.grid import Array, Cells, Held, OneHot, fetch_cells
from gridcnn.spec.models import Training
from gridcnn.streams import Stream
from gridcnn.training.augmentation import Augmenter, refuse_unfit
from gridcnn.training.forms import Forms
from gridcnn.training.memory import refuse_too_large
from gridcnn.training.methods import Backpropagation, Method, Nudge, NudgeResult
from gridcnn.training.schedules import learning_rate
from gridcnn.training.selection import ends_after, is_better, validation_score
from gridcnn.training.signs import EARLY, Looker, Sign, restart_sign
from gridcnn.training.softening import Softener, refuse_hard_head
from gridcnn.training.starting import Start
from gridcnn.training.weighing import epoch_order

EXPLODED = 1e6
"""A mean loss above this means that training has failed."""
_LOOK = 2**22  # cells that are looked at together, so that large data needs no second array


@dataclass(frozen=True)
class Labelled:
    """Grids `(items, channels, rows, columns)` and the index of each one's class `(items,)`.

    If items may have several labels, targets are float32 `(items, labels)`: 1, 0, or NaN.
    """

    grids: Cells
    targets: Targets | LabelTargets
    weights: Array | None = None
    """What the loss of each item is multiplied by in training `(items,)`, 1 on average."""
    forms: Forms | None = None
    """Changed forms of the items, from which training draws; None if there are none."""

    def __len__(self) -> int:
        return len(self.grids)

    def chosen(self, kept: NDArray[np.bool_]) -> Labelled:
        """Return the items that are `kept`, bool `(items,)`."""
        return self.at(np.flatnonzero(kept))

    def at(self, indices: NDArray[np.int64]) -> Labelled:
        """Return the items at `indices`, in their order."""
        weights = None if self.weights is None else self.weights[indices]
        forms = None if self.forms is None else self.forms.at(indices)
        return Labelled(self.grids[indices], self.targets[indices], weights, forms)

    def in_forms(self, drawn: NDArray[np.int64] | None) -> Cells:
        """Return the grids of the items, each in the form that is drawn."""
        if self.forms is None or drawn is None:
            return self.grids
        return self.forms.put(self.grids, drawn)


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch. Losses are means over items, accuracies are in 0..1.

    `loss` and `accuracy` are taken while training, from the batches as they come. The validation's
    are None if there is no validation data; `validation_score` is the result that
    `training.select_by` names, and None if that is accuracy or loss.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    validation_score: float | None
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class TrainingState:
    """Everything that training needs to continue from the end of an epoch.

    Every epoch makes a new one, so that what is saved or resumed is always one epoch's, whole.

    Attributes:
        parameters: the flat vector.
        best: the flat vector after the best epoch, never the same array as `parameters`.
        best_epoch: its number, from 1; 0 before the first.
        steps: how many steps the optimizer has taken.
        memory: the vectors that are kept between steps: the optimizer's, and the running mean.
        history: every epoch so far.
        signs: what looked wrong so far.
        restarts: how often training has started over.
    """

    parameters: Array
    best: Array
    best_epoch: int = 0
    steps: int = 0
    memory: Mapping[str, Array] = field(default_factory=dict)
    history: tuple[Epoch, ...] = ()
    signs: tuple[Sign, ...] = ()
    restarts: int = 0


class Watcher(Protocol):
    """Has methods that training calls as it proceeds."""

    def on_nudge(self, epoch: int, nudge: NudgeResult) -> None:
        """Take note of one nudge in epoch `epoch` (from 1); `method: nudge` alone makes them."""

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        """Called after each batch of epoch `epoch` (from 1)."""

    def on_sign(self, sign: Sign) -> None:
        """Called when something looks wrong, before `on_epoch`."""

    def on_epoch(self, state: TrainingState) -> None:
        """Called after each epoch; `state` is complete, and may be saved.

        Not after an epoch that made training begin again.
        """


def train(
    engine: Engine,
    training: Labelled,
    validation: Labelled | None,
    settings: Training,
    *,
    state: TrainingState | None = None,
    watcher: Watcher | None = None,
    start: Start | None = None,
    seconds: float | None = None,
) -> TrainingState:
    """Train, from the start or from where `state` left off, and return how it ended.

    `state` itself is left as it is.

    With validation data the best epoch is the one with the best of the results that
    `settings.select_by` names, such as the highest accuracy, and, among those, the lowest loss;
    without, it is the last. The order of items, the dropout and
    the augmentation of an epoch depend on the seed and the epoch's number alone, so that a resumed
    run goes the same way as one that was never interrupted.

    If all items get the same votes after one of the first epochs, training begins again with
    another start, up to `settings.restarts` times. What else looks wrong is kept in
    `TrainingState.signs`.

    `start` has the values of another model, which training starts from. It ends sooner if another
    epoch as long as the last one would not end within `seconds`.

    Raises:
        ShapeError: an augmentation does not go with the grids.
        TrainingError: there are no items, a cell is not finite, there is nothing to learn, it takes
            more memory than there is, the loss explodes, or the method would take too long.
    """
    _refuse_unusable(engine, training, validation, settings)
    refuse_unfit(settings, engine.network.shape, engine.network.spec.document)
    refuse_too_large(engine, settings, saved=False)
    method = _method(engine, settings, start)
    refuse_hard_head(settings, engine.head)
    training, validation = _keep(engine, training, validation, settings)
    looker = Looker(engine, training.grids, training.targets, settings, weights=training.weights)
    state = state or _start(engine, start)
    if isinstance(method, Nudge):
        left = settings.epochs - len(state.history)
        method.refuse_if_too_long(state.parameters, training.grids, training.targets, epochs=left)
    if state.steps:
        method.restore(state.steps, state.memory)
    began = time.perf_counter()
    while ends_after(state.history, settings) is None:
        # Numbers that grow too large are reported as an error, and need no warnings besides.
        with np.errstate(over="ignore", invalid="ignore"):
            after, found = _one_epoch(method, training, validation, state, looker, watcher)
        told = {sign.kind for sign in state.signs}
        new = [sign for sign in found if sign.kind not in told]
        number = len(after.history)
        is_bad = any(sign.kind == "collapsed" for sign in found)
        if is_bad and number <= EARLY and state.restarts < settings.restarts:
            new = [restart_sign(number, state.restarts + 1, settings.restarts)]
            after = _start(engine, start, restarts=state.restarts + 1)
            method = _method(engine, settings, start)
            # What was seen of a start that is given up says nothing about the next one.
            kept = tuple(sign for sign in state.signs if sign.kind == "restarted")
            state = replace(state, signs=kept)
        state = replace(after, signs=(*state.signs, *new))
        if watcher is not None:
            for sign in new:
                watcher.on_sign(sign)
            if state.history:
                watcher.on_epoch(state)
        spent = time.perf_counter() - began
        if seconds is not None and state.history and spent + state.history[-1].seconds > seconds:
            break
    return state


def _method(engine: Engine, settings: Training, start: Start | None) -> Method:
    if settings.method == "nudge":
        return Nudge(engine, settings)
    return Backpropagation(engine, settings, frozen=None if start is None else start.frozen)


def _start(engine: Engine, start: Start | None, restarts: int = 0) -> TrainingState:
    parameters = engine.network.starting_parameters(again=restarts)
    if start is not None:
        start.put_into(parameters)
    return TrainingState(parameters, parameters.copy(), restarts=restarts)


def _refuse_unusable(
    engine: Engine, training: Labelled, validation: Labelled | None, settings: Training
) -> None:
    if not len(training):
        raise TrainingError("there are no items to train on")
    network = engine.network
    if network.head is None:
        raise TrainingError("the network has no head, so there are no votes to learn; add a head")
    if not network.mask("trainable").any():
        raise TrainingError("the network has nothing to learn: none of its numbers is trainable")
    smallest = min(settings.batch_size, len(training))
    for op in network.ops:
        problem = (
            op.stage.batch_problem(op.input, smallest) if isinstance(op.stage, Stage) else None
        )
        if problem is not None:
            raise TrainingError(f"{op.label}: {problem}")
    for part, name in ((training, "training"), (validation, "validation")):
        bad = 0 if part is None else _not_finite(part.grids)
        if part is not None and bad:
            raise TrainingError(
                f"{bad} of {len(part)} {name} items have cells that are NaN or infinite; remove "
                "them, or fill them in"
            )


def _keep(
    engine: Engine, training: Labelled, validation: Labelled | None, settings: Training
) -> tuple[Labelled, Labelled | None]:
    """Return the data where the engine wants it, unless it is changed here in each epoch."""
    if training.forms is None and not settings.augmentation and not settings.mixup:
        training = replace(training, grids=engine.keep(training.grids, learns=True))
    if validation is not None:
        validation = replace(validation, grids=engine.keep(validation.grids, learns=False))
    return training, validation


def _not_finite(grids: Cells) -> int:
    """Return how many items have cells that are NaN or infinite, looking at a few at a time."""
    if isinstance(grids, OneHot):  # 0 and 1 are finite
        return 0
    values: Any = grids
    if isinstance(values, Held):  # who holds them has looked
        return values.odd
    step = max(1, _LOOK // max(1, math.prod(grids.shape[1:])))
    parts = (slice(start, start + step) for start in range(0, len(grids), step))
    return sum(int((~np.isfinite(grids[part])).any(axis=(1, 2, 3)).sum()) for part in parts)


def _one_epoch(
    method: Method,
    training: Labelled,
    validation: Labelled | None,
    state: TrainingState,
    looker: Looker,
    watcher: Watcher | None,
) -> tuple[TrainingState, list[Sign]]:
    """Return the state after one more epoch, and the signs that something is wrong."""
    start = time.perf_counter()
    settings, number = method.settings, len(state.history) + 1
    random = Stream.BATCHES.random(settings.seed, number)
    order = epoch_order(settings, training.targets, random)
    softened = Softener(
        settings,
        method.engine.network.output.cells,
        epoch=number,
        several=method.engine.head.several,
    )
    augmented = Augmenter(
        settings.augmentation, method.engine.network.shape, seed=settings.seed, epoch=number
    )
    batches = -(-len(order) // settings.batch_size)
    forms = training.forms
    changes_cells = bool(settings.augmentation or settings.mixup)
    form_numbers = None if forms is None else forms.draw(settings.seed, number, len(order))
    total, hits, rate = 0.0, 0, 0.0
    parameters = state.parameters.copy()
    tell = None if watcher is None else functools.partial(watcher.on_nudge, number)
    watched = looker.count_watched(number)
    is_watched = isinstance(method, Backpropagation)
    pace = looker.pace(state.parameters, batches) if is_watched else None
    for batch in range(batches):
        if batch == batches - watched and isinstance(method, Backpropagation):
            method.largest = np.zeros(len(parameters), np.float32)
        part = slice(batch * settings.batch_size, (batch + 1) * settings.batch_size)
        chosen = training.at(order[part])
        cells = chosen.in_forms(None if form_numbers is None else form_numbers[part])
        if changes_cells:  # here, since a batch is changed as a whole
            cells = fetch_cells(cells)
        # The rate in the middle of the batch: neither the first step of a warm-up nor the last one
        # of a cosine is 0, and every batch of an epoch lies between the same two falls of a step.
        rate = learning_rate(settings, number - 1 + (batch + 0.5) / batches)
        grids, targets, weights = softened(augmented(cells), chosen.targets, chosen.weights)
        loss, right = method.learn(
            parameters, grids, targets, weights=weights, rate=rate, random=random, tell=tell
        )
        if not loss < EXPLODED:
            raise TrainingError(_explosion_error(loss, f"epoch {number}, batch {batch + 1}", rate))
        total += loss * len(chosen)
        hits += right
        if pace is not None:
            pace.take(batch, loss, parameters)
        if watcher is not None:
            watcher.on_batch(number, batch + 1, batches, loss)
    if not np.isfinite(parameters).all():
        raise TrainingError(_explosion_error(np.nan, f"the last batch of epoch {number}", rate))
    answering = method.answering(parameters)
    validated: tuple[float, float] | tuple[None, None] = (None, None)
    logits, score, head = None, None, method.engine.head
    if validation:
        logits = method.engine.logits(answering, validation.grids)
        validated = loss_and_accuracy(head, logits, validation.targets)
        score = validation_score(head, logits, validation.targets, settings.select_by)
    if validated[0] is not None and not np.isfinite(validated[0]):
        raise TrainingError(_explosion_error(np.nan, f"the validation after epoch {number}", rate))
    epoch = Epoch(
        epoch=number,
        loss=total / len(order),
        accuracy=hits / len(order),
        validation_loss=validated[0],
        validation_accuracy=validated[1],
        validation_score=score,
        learning_rate=rate,
        seconds=time.perf_counter() - start,
    )
    largest, collapsed = None, False
    if isinstance(method, Backpropagation):
        largest, method.largest = method.largest, None
        collapsed = looker.is_collapsed(answering, epoch.accuracy, logits)
    history = (*state.history, epoch)
    moves = None if pace is None else pace.moves(parameters)
    signs = looker.signs(
        history,
        parameters,
        collapsed=collapsed,
        largest=largest,
        moves=moves,
        told={sign.kind for sign in state.signs},
    )
    best = state.history[state.best_epoch - 1] if state.best_epoch else None
    better = is_better(epoch, best, settings.select_by)
    after = replace(
        state,
        parameters=parameters,
        best=answering.copy() if better else state.best,
        best_epoch=number if better else state.best_epoch,
        steps=method.steps,
        memory=method.memory(),
        history=history,
    )
    return after, signs


def _explosion_error(loss: float, where: str, rate: float) -> str:
    what = "is no longer a number" if not np.isfinite(loss) else f"has exploded to {loss:.3g}"
    return (
        f"the loss {what} in {where}, at a learning rate of {rate:g}; try "
        f"training.learning_rate: {rate / 10:g}, training.gradient_clip: 1, or cells within -1..1"
    )


def loss_and_accuracy(
    head: HeadStage, logits: Array, targets: Targets | LabelTargets
) -> tuple[float, float]:
    """Return the mean loss of logits `(items, classes)`, and the accuracy."""
    with np.errstate(over="ignore", invalid="ignore"):
        losses, _ = head.losses(logits, targets)
    accuracy = head.hits(logits, targets).mean(dtype=np.float64)
    return float(losses.mean(dtype=np.float64)), float(accuracy)
