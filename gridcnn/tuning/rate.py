"""The learning-rate finder: a few steps at a rising rate, and the loss at each of them.

L. N. Smith, Cyclical learning rates for training neural networks (2017), calls it the range test.
At small rates the loss hardly falls, at good ones it falls fast, and at large ones it explodes.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import SoftTargets, Targets
from gridcnn.engines.base import Engine, bind, check_choice
from gridcnn.errors import RunFolderError, SpecError, TrainingError, TrainingInterrupted
from gridcnn.files import as_path, write_bytes
from gridcnn.grid import Array, Cells
from gridcnn.outputs import refuse_file
from gridcnn.pipelines import ready
from gridcnn.runs.folder import write_table
from gridcnn.runs.located import locate, spec_folder
from gridcnn.runs.prepare import Prepared
from gridcnn.runs.run import refuse_impossible
from gridcnn.spec.changes import Changes, with_seed
from gridcnn.spec.load import SpecLike, read, validate
from gridcnn.spec.models import Spec, Training
from gridcnn.streams import Stream
from gridcnn.training.augmentation import Augmenter
from gridcnn.training.loop import Labelled
from gridcnn.training.memory import refuse_too_large
from gridcnn.training.methods import Backpropagation
from gridcnn.training.softening import Softener
from gridcnn.training.weighing import epoch_order
from gridcnn.tuning.items import Items
from gridcnn.tuning.space import has_marks, read_space
from gridcnn.tuning.watcher import TuneWatcher

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = 100
"""Steps of a sweep, if the loss does not explode before."""
LOWEST, HIGHEST = 1e-6, 10.0
"""The rates of the first and the last step."""
_WIDTH = 3.0
"""Steps within which losses are averaged: the standard deviation of a normal distribution."""
_FIRST = 10
"""Steps whose loss is that of the start."""
_EXPLODED = 4.0
"""The sweep ends after a batch with so many times the loss of the start."""
_BEFORE_LOWEST = 10.0
"""What the rate of the lowest loss is divided by."""
_FALL = 0.8
"""The part of its fall that the loss has made at a good rate."""
TABLE, PICTURE = "sweep.csv", "sweep.png"


@dataclass(frozen=True)
class RateSweep:
    """What a sweep of the learning rate has found.

    Attributes:
        rates: the rate of each step, float64 `(steps,)`, rising.
        losses: the loss of each step's batch, before the step, float64 `(steps,)`.
        smoothed: their means over neighbouring steps, float64 `(steps,)`.
        suggested: the suggested learning rate.
        own: the learning rate of the spec.
        folder: where the table and the picture are.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggested: float
    own: float
    folder: Path

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        lists = {name: getattr(self, name).tolist() for name in ("rates", "losses", "smoothed")}
        return {"suggested": self.suggested, "own": self.own, **lists}


def find_learning_rate(
    spec: SpecLike,
    *,
    data: Any = None,
    out: str | os.PathLike[str] | None = None,
    changes: Changes = (),
    seed: int | None = None,
    engine: str | None = None,
    threads: int | None = None,
    watcher: TuneWatcher | None = None,
) -> RateSweep:
    """Find a learning rate for a spec by at most 100 training steps at a rising rate.

    The rate rises from a millionth to 10, or until the loss explodes. The suggested one is where
    the loss has fallen far, and well before it is lowest. It is a rule of thumb, good to a factor
    of a few; `tune` finds the rate that is best on validation items. Only training items are used.

    Args:
        spec, data, changes, seed, engine, threads: as for `gridcnn.run`. Of a search space, the
            values in the middle are taken.
        out: where the table and the picture are written; by default `runs/<name>/learning_rate`,
            and over those of an earlier sweep.
        watcher: `on_reading`, `on_checking`, `on_check` and `on_batch` are called.

    Raises:
        UserError: the spec, the data or the folder cannot be used.
        ColumnPermutableError: the order of the data means nothing.
        TrainingInterrupted: the user stopped it (Ctrl-C); nothing was written.
    """
    check_choice(engine, threads)
    document = read(spec, changes=with_seed(changes, seed), ready=ready())
    if has_marks(document):
        space = read_space(document)
        base = space.spec(next(space.samples()))
    else:
        base = validate(document)
    refuse_impossible(base)
    _refuse_nudges(base)
    folder = as_path(out or Path("runs") / base.name / "learning_rate", "a folder")
    _refuse_used(folder)
    watcher = watcher or TuneWatcher()
    try:
        located = locate(base, data, spec_folder(base))
        items = Items(located, folds=None, watcher=watcher, threads=threads, validates=False)
        base = items.complete(base)
        [prepared] = items.prepare(base)
        rates, losses = _sweep(base, prepared, engine, threads, watcher)
    except KeyboardInterrupt:
        raise TrainingInterrupted("stopped; nothing was written") from None
    smoothed = smooth(losses)
    sweep = RateSweep(
        rates, losses, smoothed, suggest_rate(rates, smoothed), base.training.learning_rate, folder
    )
    _write(sweep)
    return sweep


def _refuse_nudges(spec: Spec) -> None:
    if spec.training.method != "backpropagation":
        raise SpecError(
            spec.document.problem(
                ("training", "method"),
                f"a learning rate is found for method: backpropagation, not for "
                f"method: {spec.training.method}",
            )
        )


def _refuse_used(folder: Path) -> None:
    """Raise `RunFolderError` if a folder holds anything but an earlier sweep."""
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise RunFolderError(f"{folder} cannot be read: {error.strerror or error}") from None
    refuse_file(folder)
    if set(names) - {TABLE, PICTURE}:
        raise RunFolderError(
            f"{folder} is not empty, and holds no sweep of the learning rate (it holds "
            f"{names[0]}); "
            "give a folder that is new or empty"
        )


# The sweep ----------------------------------------------------------------------------------------


def _sweep(
    spec: Spec,
    prepared: Prepared,
    engine: str | None,
    threads: int | None,
    watcher: TuneWatcher,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rates and the losses of all steps until the loss explodes."""
    fitted = spec.model_copy(update={"adapter": prepared.fitted.adapter})
    classes = len(prepared.classes)
    bound = bind(fitted, prepared.shape, classes=classes, engine=engine, threads=threads)
    refuse_too_large(bound, fitted.training, saved=False)
    start = prepared.start
    parameters = bound.network.starting_parameters()
    if start is not None:
        start.put_into(parameters)
    method = Backpropagation(bound, fitted.training, frozen=None if start is None else start.frozen)
    batches = _batches(fitted.training, prepared.train.data, bound)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    losses: list[float] = []
    with np.errstate(over="ignore", invalid="ignore"):
        for step, (batch, rate) in enumerate(zip(batches, rates.tolist(), strict=False), 1):
            grids, targets, weights, random = batch
            loss, _ = method.learn(
                parameters, grids, targets, weights=weights, rate=rate, random=random
            )
            if not np.isfinite(loss):
                break
            losses.append(loss)
            watcher.on_batch(1, step, STEPS, loss)
            if loss > _EXPLODED * np.mean(losses[:_FIRST]):
                break
    if len(losses) < 2:
        raise TrainingError(
            "the loss is not a number after the first step; scale the cells to within -1..1"
        )
    return rates[: len(losses)], np.array(losses)


_Batch = tuple[Cells, Targets | SoftTargets, Array | None, np.random.Generator]


def _batches(settings: Training, training: Labelled, engine: Engine) -> Iterator[_Batch]:
    """Yield the batches that training has, epoch after epoch, each with its random numbers."""
    number = 0
    while True:
        number += 1
        random = Stream.BATCHES.random(settings.seed, number)
        order = epoch_order(settings, training.targets, random)
        softened = Softener(settings, engine.network.output.cells, epoch=number)
        augmented = Augmenter(
            settings.augmentation, engine.network.shape, seed=settings.seed, epoch=number
        )
        forms = training.forms
        form_numbers = None if forms is None else forms.draw(settings.seed, number, len(order))
        for first in range(0, len(order), settings.batch_size):
            part = slice(first, first + settings.batch_size)
            chosen = training.at(order[part])
            cells = augmented(chosen.in_forms(None if form_numbers is None else form_numbers[part]))
            yield (*softened(cells, chosen.targets, chosen.weights), random)


def smooth(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of losses `(steps,)` over neighbouring steps, those close by counting more.

    No loss counts for more than twice that of the start, so that an explosion stays where it is.
    """
    steps = np.arange(len(losses))
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / _WIDTH) ** 2)
    limited = np.minimum(losses, 2 * losses[:_FIRST].mean())
    means: NDArray[np.float64] = (weights @ limited) / weights.sum(axis=1)
    return means


def suggest_rate(rates: NDArray[np.float64], smoothed: NDArray[np.float64]) -> float:
    """Return a rate between two rules of thumb, with two digits: their geometric mean.

    One is a tenth of the rate of the lowest loss, since rates close to it are about to explode; the
    other is the rate at which the loss has made four fifths of its fall. Each alone is further from
    the rates of the ready specs, which were chosen by validation, than both together: where few
    items are soon learned by heart, the first is too high.

    Args:
        rates: of all steps `(steps,)`, rising.
        smoothed: the means of the losses `(steps,)`.
    """
    lowest = int(np.argmin(smoothed))
    start = smoothed[:_FIRST].mean()
    above = smoothed[: lowest + 1] >= start - _FALL * (start - smoothed[lowest])
    fallen = int(np.flatnonzero(above).max(initial=0))
    return float(f"{np.sqrt(rates[lowest] / _BEFORE_LOWEST * rates[fallen]):.2g}")


# Results ------------------------------------------------------------------------------------------


def _write(sweep: RateSweep) -> None:
    content = io.BytesIO()
    sweep_figure(sweep).savefig(content, format="png", dpi=120)
    columns = (sweep.rates.tolist(), sweep.losses.tolist(), sweep.smoothed.tolist())
    try:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        header = ("learning_rate", "loss", "smoothed_loss")
        write_table(sweep.folder / TABLE, header, zip(*columns, strict=True))
        write_bytes(sweep.folder / PICTURE, content.getvalue())
    except OSError as error:
        raise RunFolderError(
            f"{sweep.folder}: results cannot be written there: {error.strerror or error}"
        ) from error


def sweep_figure(found: RateSweep) -> Figure:
    """Return the loss against the learning rate, with the suggested rate and that of the spec."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color="#c9cdd3", linewidth=1, label="loss of each batch")
    axes.plot(found.rates, found.smoothed, color="#0b61a4", label="mean over neighbouring steps")
    axes.axvline(found.suggested, color="#b5421c", label=f"suggested: {found.suggested:g}")
    axes.axvline(found.own, color="#9aa0a8", linestyle="--", label=f"in the spec: {found.own:g}")
    axes.set_xscale("log")
    low, high = float(found.smoothed.min()), float(found.smoothed[: len(found.smoothed) // 2].max())
    axes.set_ylim(max(0.0, low - 0.25 * (high - low)), high + 0.5 * (high - low))
    axes.set_title("Loss at a rising learning rate")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss")
    axes.grid(axis="y", color="#c9cdd3", linewidth=0.5)
    axes.legend(loc="best", frameon=False)
    return figure
