"""Signs that a training fails: what is looked for after each epoch, and what is said about it.

Each is looked for at little cost: by figures that are there anyway, by the votes of a few training
items, and only if these figures are poor, by the gradients of an epoch's last batches, and by how
far the weights have moved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.stage import HeadStage
from gridcnn.contracts.targets import LabelTargets, Targets, most
from gridcnn.engines.base import Engine
from gridcnn.grid import Array, Cells, OneHot, fetch_cells
from gridcnn.network import Network
from gridcnn.notes import VotesSpread
from gridcnn.spec.models import Training
from gridcnn.spec.optimizers import OneCycle
from gridcnn.training.pace import Moves, Pace, faster, layers, slower, too_high, too_low
from gridcnn.training.weighing import class_counts

Kind = Literal[
    "collapsed",
    "restarted",
    "silent",
    "vanishing",
    "exploding",
    "learning rate too high",
    "learning rate too low",
    "learned nothing",
    "learned by heart",
    "not calibrated",
]

EARLY = 3
"""Epochs in which a start may turn out to be bad."""
_GUESSING = 0.2
"""The part of the way from the share of the most frequent class to 1 below which answers are
hardly better than guesses."""
_PART_OF_ITEMS, _FEWEST_ITEMS, _MOST_ITEMS = 20, 4, 32
"""Items whose votes are compared: so many that it takes less than 2 % of an epoch's time."""
_SILENT = 0.75
"""The part of a stage's filters or voters that must be silent before it is said: some always are,
and are no harm."""
_FEWEST_SILENT = 3
_VANISHING = 1e-5
"""The part of the head's gradient, each relative to its weights, below which that of a stage has
vanished. Five convolutions with sigmoids start with 6e-5, ten with 1e-7; with rectification, sixty
have 1, and a hundred with skips 5e-3."""
_EXPLODING = 1e3
"""A weight larger than this is on its way to infinity: trained ones are seldom above 10."""
_STILL_WRONG = 0.05
"""The mean loss below which a zero gradient says nothing: hardly any item asks for a change."""
_WATCHED = 64
"""Items of an epoch's last batches whose gradients are watched."""
_NO_LOWER = 0.98
"""The part of the loss of votes by the classes' frequencies that a network must get below."""
_SLOWEST = 3
"""Epochs after which it must be below."""
_STILL_FALLING = 0.9
"""A loss below this part of that of the epoch before is on its way."""
_NEVER = -30.0  # the logit of a class without items
_AT_FULL = 0.3
"""The part of the highest learning rate from which on an epoch shows whether that is too low."""
_ENOUGH_STEPS = 50
"""Steps of the optimizer before which no more can be expected than to begin."""
_WORSE, _SINCE = 1.5, 5
"""A validation loss so many times its best, so many epochs after it, is learning by heart ..."""
_BAD = 0.3
"""... if it is also more than this part of the loss of votes by the classes' frequencies."""


@dataclass(frozen=True)
class Sign:
    """Something about a training that looks wrong.

    Attributes:
        epoch: after which epoch it was seen.
        kind: what it is; each kind but a restart is reported once.
        text: what was seen, and what to do about it, in a line.
    """

    epoch: int
    kind: Kind
    text: str


class Figures(Protocol):
    """The figures of an epoch by which it is judged; None where there is no validation."""

    @property
    def epoch(self) -> int:
        """Its number, from 1."""

    @property
    def loss(self) -> float:
        """The mean loss while training."""

    @property
    def accuracy(self) -> float:
        """The part of right answers while training."""

    @property
    def validation_loss(self) -> float | None:
        """The mean loss on the validation items."""

    @property
    def learning_rate(self) -> float:
        """The rate of its last step."""


class Looker:
    """Looks for signs, for one engine, its training items and settings.

    Args:
        engine: computes the network.
        grids, targets: all training items.
        settings: of the training.
        weights: those of the items `(items,)`; None for 1.
    """

    def __init__(
        self,
        engine: Engine,
        grids: Cells,
        targets: Targets | LabelTargets,
        settings: Training,
        *,
        weights: Array | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        count = min(max(len(grids) // _PART_OF_ITEMS, _FEWEST_ITEMS), _MOST_ITEMS, len(grids))
        self._chosen = np.unique(np.linspace(0, len(grids) - 1, count).astype(np.int64))
        self._grids = grids
        if targets.ndim == 2:
            self._likely = loss_by_label_frequency(targets)
            most_frequent = _share_of_usual_labels(targets)
            self._classes = 2 if self._likely > 0 else 1
        else:
            classes = most(targets)
            counts = class_counts(settings, classes, weights, engine.network.output.cells)
            self._likely = loss_by_frequency(engine.head, counts)
            most_frequent = float(counts.max() / counts.sum())
            self._classes = int((counts > 0).sum())
        self._guessing = most_frequent + _GUESSING * (1 - most_frequent)
        self._batches = -(-len(grids) // settings.batch_size)

    def count_watched(self, epoch: int) -> int:
        """Return how many of an epoch's last batches have their gradients watched."""
        if epoch > EARLY:
            return 0
        return min(self._batches, -(-_WATCHED // self._settings.batch_size))

    def pace(self, before: Array, batches: int) -> Pace:
        """Return what measures how far the weights move in an epoch that begins with `before`."""
        size = self._settings.batch_size
        return Pace(self._engine.network, before, batches=batches, batch_size=size)

    def is_collapsed(self, parameters: Array, accuracy: float, logits: Array | None = None) -> bool:
        """Return whether items of all kinds get the same votes.

        `logits` are those of other items, if they are known: if these differ, no more is computed.
        """
        if self._classes < 2 or len(self._chosen) < 2 or accuracy >= self._guessing:
            return False
        if logits is not None and not self._are_alike(logits):
            return False
        grids = fetch_cells(self._grids[self._chosen])
        cells = grids.indices if isinstance(grids, OneHot) else np.asarray(grids)
        if (cells == cells[:1]).all():
            return False  # they look the same, and so have the same votes
        return self._are_alike(self._engine.logits(parameters, grids))

    def _are_alike(self, logits: Array) -> bool:
        spread = VotesSpread()
        spread.add(self._engine.head.votes(logits))
        return spread.are_alike

    def signs(
        self,
        history: Sequence[Figures],
        parameters: Array,
        *,
        collapsed: bool,
        largest: Array | None,
        moves: Moves | None = None,
        told: Collection[Kind] = (),
    ) -> list[Sign]:
        """Return the signs after the last epoch of a history.

        Args:
            history: the figures of all epochs so far.
            parameters: the flat vector after the last of them.
            collapsed: whether all items get the same votes.
            largest: for each parameter, the largest size of its gradient in a watched batch; None
                if that was not watched.
            moves: how far the weights moved in the last epoch; None if that was not watched.
            told: the kinds of signs that were seen after earlier epochs.
        """
        last = history[-1]
        rate = [] if moves is None else self._rate(history, moves)
        if collapsed:
            why = [sign for sign in rate if sign.kind == "learning rate too high"]
            return [Sign(last.epoch, "collapsed", self._collapse(last)), *why]
        found = self._exploding(last, parameters)
        is_begun = last.epoch * self._batches >= _ENOUGH_STEPS
        if last.epoch <= EARLY and largest is not None and last.loss > _STILL_WRONG:
            found += self._vanishing(last, parameters, largest)
            if is_begun:
                found += self._silent(last, largest > 0)
        # That the rate is too low says why nothing is learned.
        is_explained = bool(rate) or "learning rate too low" in told
        if is_begun and last.epoch >= _SLOWEST and not is_explained:
            found += self._idle(history)
        return [*found, *rate, *self._by_heart(history)]

    def _collapse(self, last: Figures) -> str:
        return (
            f"all training items get the same votes after epoch {last.epoch}: features or hidden "
            f"units are always 0; {self._lower()}"
        )

    def _lower(self) -> str:
        rate = f"training.learning_rate: {self._settings.learning_rate / 10:.3g}"
        warm_up = not self._settings.warm_up and not isinstance(self._settings.schedule, OneCycle)
        return f"try training.warm_up: 1, or {rate}" if warm_up else f"try {rate}"

    def _silent(self, last: Figures, changing: NDArray[np.bool_]) -> list[Sign]:
        quiet = silent(self._engine.network, changing)
        named = [
            f"{count} of {total} in {name}"
            for name, (count, total) in quiet.items()
            if count >= max(_FEWEST_SILENT, _SILENT * total)
        ]
        if not named:
            return []
        text = (
            f"filters or hidden units that are 0 for all of the last items of epoch {last.epoch}: "
            f"{', '.join(named)}; {self._lower()}"
        )
        return [Sign(last.epoch, "silent", text)]

    def _vanishing(self, last: Figures, parameters: Array, largest: Array) -> list[Sign]:
        network = self._engine.network
        sizes = relative_gradients(network, parameters, largest)
        head = network.ops[-1].label
        full = max((size for name, size in sizes.items() if name.startswith(head)), default=0.0)
        stages = [name for name, size in sizes.items() if 0 < size < _VANISHING * full]
        if not stages:
            return []
        text = (
            f"the gradient nearly vanishes in {stages[-1]} and before it: in {stages[0]} it is "
            f"{sizes[stages[0]] / full:.0e} of that in the head, each relative to its weights, so "
            "that these stages hardly learn; rectification instead of a sigmoid, a normalization "
            "after each convolution, or skip help"
        )
        return [Sign(last.epoch, "vanishing", text)]

    def _exploding(self, last: Figures, parameters: Array) -> list[Sign]:
        network = self._engine.network
        for op in network.ops:
            for slot in op.slots:
                if slot.parameter.role != "learned":
                    continue
                size = float(np.abs(parameters[slot.part]).max(initial=0))
                if size > _EXPLODING:
                    text = (
                        f"the {slot.parameter.name} of {op.label} have grown to {size:.3g} by "
                        f"epoch {last.epoch}; {self._lower()}"
                    )
                    return [Sign(last.epoch, "exploding", text)]
        return []

    def _rate(self, history: Sequence[Figures], moves: Moves) -> list[Sign]:
        losses = [each.loss for each in history]
        is_begun = len(history) * self._batches >= _ENOUGH_STEPS
        observed = too_high(moves, losses, self._likely, is_begun=is_begun)
        if observed:
            return [self._off(history[-1], "learning rate too high", observed, slower, moves)]
        # It is asked once, as soon as it can be answered: later, a plateau may look the same.
        earlier = (history[:epochs] for epochs in range(_SLOWEST, len(history)))
        if self._shows_rate(history) and not any(map(self._shows_rate, earlier)):
            observed = too_low(moves, losses, self._likely)
        if observed and self._classes > 1:
            return [self._off(history[-1], "learning rate too low", observed, faster, moves)]
        return []

    def _shows_rate(self, history: Sequence[Figures]) -> bool:
        return (
            len(history) >= _SLOWEST
            and len(history) * self._batches >= _ENOUGH_STEPS
            and history[-1].learning_rate >= _AT_FULL * self._settings.learning_rate
        )

    def _off(
        self,
        last: Figures,
        kind: Kind,
        observed: str,
        better: Callable[[float, Moves], float],
        moves: Moves,
    ) -> Sign:
        rate = self._settings.learning_rate
        text = (
            f"{kind}: {rate:g}; {observed}; try training.learning_rate: "
            f"{better(rate, moves):.3g}, or "
            "let gridcnn tune SPEC --only learning_rate find one"
        )
        return Sign(last.epoch, kind, text)

    def _idle(self, history: Sequence[Figures]) -> list[Sign]:
        last = history[-1]
        learns = last.accuracy >= self._guessing or last.loss < _NO_LOWER * self._likely
        is_falling = last.loss < _STILL_FALLING * history[-2:][0].loss
        # Where one class counts for nearly all, there is nothing to be learned about the others.
        if self._classes < 2 or learns or is_falling or self._likely < _STILL_WRONG:
            return []
        rate = self._settings.learning_rate
        hardly = abs(history[0].loss - last.loss) < 0.01 * self._likely and rate < 1e-3
        advice = f"try training.learning_rate: {10 * rate:.3g}" if hardly else self._lower()
        text = (
            f"the loss after epoch {last.epoch} is {last.loss:.3g}, and votes by the classes' "
            f"frequencies alone have {self._likely:.3g}: the network has learned nothing so far; "
            f"{advice}"
        )
        return [Sign(last.epoch, "learned nothing", text)]

    def _by_heart(self, history: Sequence[Figures]) -> list[Sign]:
        last = history[-1]
        if last.validation_loss is None or last.validation_loss < _BAD * self._likely:
            return []
        losses = [each.validation_loss or 0.0 for each in history]
        best = int(np.argmin(losses))
        since = len(losses) - 1 - best
        if since < _SINCE or losses[-1] < _WORSE * losses[best] or last.loss >= history[best].loss:
            return []
        text = (
            f"the validation loss was {losses[best]:.3g} after epoch {best + 1} and is "
            f"{losses[-1]:.3g} after epoch {last.epoch}, while the training loss falls: the "
            "network learns the items by heart (overfitting); augmentation, dropout, weight_decay "
            "or more items help, and training.patience ends sooner"
        )
        return [Sign(last.epoch, "learned by heart", text)]


def restart_sign(epoch: int, number: int, most: int) -> Sign:
    """Return the sign that training begins again after an epoch, for the `number`th time."""
    text = (
        f"all training items got the same votes after epoch {epoch}, so training starts over with "
        f"other starting weights ({number} of at most {most}; training.restarts: 0 keeps the first "
        "one)"
    )
    return Sign(epoch, "restarted", text)


def loss_by_frequency(head: HeadStage, counts: NDArray[np.floating[Any]]) -> float:
    """Return the mean loss if the votes for each item are the frequencies of the classes.

    `counts` are how many items of each class there are, or how much they count `(classes,)`.
    """
    places = np.flatnonzero(counts)
    logits = np.full((len(places), len(counts)), _NEVER, np.float32)
    logits[:, places] = np.log(counts[places] / counts.sum())
    losses, _ = head.losses(logits, places)
    return float((losses * counts[places]).sum() / counts.sum())


def relative_gradients(network: Network, parameters: Array, largest: Array) -> dict[str, float]:
    """Return the size of each stage's gradient relative to its weights, in their order.

    Sizes are root mean squares. The layers of the head follow each other; stages whose weights are
    all 0 are left out, and so are those without weights.
    """
    sizes = {}
    for name, slot in layers(network):
        weights = np.square(parameters[slot.part], dtype=np.float64).mean()
        gradient = np.square(largest[slot.part], dtype=np.float64).mean()
        if weights:
            sizes[name] = float(np.sqrt(gradient / weights))
    return sizes


def loss_by_label_frequency(targets: Targets | LabelTargets) -> float:
    """Return the mean binary cross-entropy if the vote for each label is its frequency.

    `targets` are the labels of all items `(items, labels)`; what is not known has no loss.
    """
    known = ~np.isnan(targets)
    part = (targets == 1).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    unequal = np.clip(part, 1e-12, 1 - 1e-12)
    entropy = -(part * np.log(unequal) + (1 - part) * np.log1p(-unequal))
    return float((entropy * known.mean(axis=0)).mean())


def _share_of_usual_labels(targets: Targets | LabelTargets) -> float:
    """Return how many items have, as far as is known, the more frequent answer for each label."""
    usual = (targets == 1).sum(axis=0) > (targets == 0).sum(axis=0)
    return float((((targets == 1) == usual) | np.isnan(targets)).all(axis=1).mean())


def silent(network: Network, changing: NDArray[np.bool_]) -> dict[str, tuple[int, int]]:
    """Return for each stage with weights how many filters or voters got no gradient, of how many.

    Behind a rectification that is 0 for an item, no gradient reaches a filter: one without any
    answered nothing to all items. The last layer of the head is left out, since nothing rectifies
    it. If all of a stage are silent, so are all stages before it, and only the last is named.
    """
    counts: dict[str, tuple[int, int]] = {}
    last = {slot.start for slot in network.ops[-1].slots[-2:]}
    for name, slot in layers(network):
        if slot.start in last:
            continue
        rows = changing[slot.part].reshape(slot.parameter.shape[0], -1)
        count = int((~rows.any(axis=1)).sum())
        if count == len(rows):
            counts.clear()
        counts[name] = count, len(rows)
    return {name: figures for name, figures in counts.items() if figures[0]}
