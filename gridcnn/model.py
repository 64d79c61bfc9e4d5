"""A trained pipeline: things in, votes and answers out, saved as a file that holds data only."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import (
    Adapted,
    Adapter,
    Selection,
    Things,
    describe,
    is_one,
    is_sparse,
    pick,
    unreadable,
)
from gridcnn.contracts.source import Source
from gridcnn.contracts.stage import HeadStage
from gridcnn.contracts.targets import LabelTargets, Targets
from gridcnn.datasets.labels import labels_array
from gridcnn.engines.base import ANSWERED, Engine, bind, check_choice
from gridcnn.errors import (
    DataError,
    EngineError,
    ModelFileError,
    Problem,
    RunFolderError,
    SpecError,
    UnfinishedRunWarning,
    UserError,
    how_many,
    listed,
    quoted,
    shown,
)
from gridcnn.files import as_path
from gridcnn.grid import Array, Cells, GridShape, all_finite
from gridcnn.gridding import adapted, grids_of
from gridcnn.label_measures import EVEN, answer_labels, choose_thresholds
from gridcnn.network import Network
from gridcnn.notes import VotesSpread, remark_notes, warn_of
from gridcnn.spec.load import load_data
from gridcnn.spec.models import Spec
from gridcnn.tensors import kind_of, read_tensors, write_tensors
from gridcnn.training.views import logits_of
from gridcnn.version import VERSION

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gridcnn.report.explaining.explanation import Explanation

KIND = "model"
FORMAT = 1
"""The version of the file's layout; increased when an older gridcnn could not read it correctly."""
FILE_NAME = "model.safetensors"
METRICS, CHECKPOINT = "metrics.json", "checkpoint.safetensors"
"""Other files of a run folder: the first marks a run that has ended, the second resumes it."""
_OVERFLOW = (
    "its votes are not finite numbers: its cells are so far from those of the training that sums "
    "in the network overflow; correct it, or leave it out"
)


@dataclass(frozen=True)
class Answered:
    """The votes for the logits of many items, and the problems.

    Attributes:
        votes: float32 `(items, classes)` for the items that have votes: 0..1, adding up to 1
            unless items may have several labels.
        kept: the indices of these items among those given, int64 `(items,)`.
        problems: one for each item whose votes are not finite numbers.
    """

    votes: NDArray[np.float32]
    kept: NDArray[np.int64]
    problems: tuple[Problem, ...]


def answer_logits(head: HeadStage, logits: Array, names: Sequence[str] | None = None) -> Answered:
    """Return the votes for logits `(items, classes)`; `names` are what problems call the items.

    Logits may be infinite, or too far from each other for a 32-bit float, though all weights and
    cells are finite. Such an item has no answer, and the first class is not one.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        votes, finite = head.votes(logits), head.has_votes(logits)
    rows, odd = np.flatnonzero(finite), np.flatnonzero(~finite).tolist()
    problems = tuple(
        Problem(_OVERFLOW, source=f"item {index}" if names is None else names[index])
        for index in odd
    )
    return Answered(votes[rows] if odd else votes, rows, problems)


def thresholds_for(
    head: HeadStage, logits: Array, targets: Targets | LabelTargets
) -> tuple[float, ...]:
    """Return the thresholds of several labels by items that nothing was learned from.

    Items without votes are ignored. `logits` and `targets` are `(items, labels)`.
    """
    answers = answer_logits(head, logits)
    return choose_thresholds(targets[answers.kept], answers.votes)


def votes_of(
    head: HeadStage, logits: Array, names: Sequence[str] | None = None
) -> NDArray[np.float32]:
    """Return the votes `(items, classes)` for logits; raise `DataError` if some are not finite."""
    answers = answer_logits(head, logits, names)
    if answers.problems:
        raise DataError(*answers.problems)
    return answers.votes


class Model:
    """An adapter, a network and its parameters: everything that an answer depends on.

    `spec.adapter` is fitted. `parameters` is the flat float32 vector, of which the model keeps a
    copy that cannot be changed. `classes` are in the order of the votes; if an item may have
    `several` labels, these. `head` makes votes of logits, and answers of votes.

    Args:
        thresholds: for several labels, the vote from which on each is answered, `(labels,)`; None:
            0.5 for all.
        engine: the name of the engine, or an engine for the very same network.
        threads: the most threads that an engine chosen by its name works with; None: as many as
            this process may use. Votes do not depend on it.

    Raises:
        SpecError: the spec has no adapter or no head, or its stages do not fit the grids.
        ValueError: `parameters` has not the network's length, or holds something other than finite
            numbers; `classes` are not different texts or whole numbers; `thresholds` are not a
            number from 0 to 1 for each label.
        UnknownNameError, EngineError: the engine is unknown, or cannot work with these settings.
    """

    def __init__(
        self,
        spec: Spec,
        classes: Sequence[str | int],
        parameters: Array,
        *,
        thresholds: Sequence[float] | None = None,
        engine: Engine | str | None = None,
        threads: int | None = None,
    ) -> None:
        if spec.adapter is None:
            raise SpecError("a model needs a spec with an adapter")
        if spec.head is None:
            raise SpecError("a model needs a spec with a head; a Pipeline makes maps without one")
        self.spec = spec
        self.adapter: Adapter = spec.adapter
        self.classes: tuple[str | int, ...] = tuple(_check_classes(list(classes)))
        if not isinstance(engine, Engine):
            shape = self.adapter.shape()
            engine = bind(spec, shape, classes=len(self.classes), engine=engine, threads=threads)
        self._engine = engine
        self.network = engine.network
        self.head: HeadStage = engine.head
        if parameters.shape != (self.network.parameters,):
            raise ValueError(
                f"the network has {self.network.parameters:,} parameters; got an array of shape "
                f"{parameters.shape}"
            )
        self.parameters = freeze(_check_parameters(self.network, parameters))
        self.several: bool = self.head.several
        self.thresholds: tuple[float, ...] | None = None
        if self.several:
            self.thresholds = _check_thresholds(thresholds, len(self.classes))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled model; pickling loses the read-only flag of arrays."""
        self.__dict__.update(state)
        self.parameters = freeze(np.array(self.parameters))

    def with_one_view(self) -> Model:
        """Return a model that answers from each item alone; itself, if it does."""
        if self.spec.training.views == 1:
            return self
        training = self.spec.training.model_copy(update={"views": 1})
        spec = self.spec.model_copy(update={"training": training})
        return Model(
            spec, self.classes, self.parameters, thresholds=self.thresholds, engine=self._engine
        )

    @property
    def shape(self) -> GridShape:
        """The shape of the grids that it takes."""
        return self.network.shape

    @property
    def engine(self) -> Engine:
        """What computes its network."""
        return self._engine

    def votes(self, things: Any, *, names: Sequence[str] | None = None) -> NDArray[np.float32]:
        """Return the votes for each class, float32 `(items, classes)`: 0..1, and 1 for each item.

        Of several labels, each has a vote for itself.

        Args:
            things: whatever the adapter takes, many or one: for images paths, PIL images, arrays
                `(rows, columns)` or `(rows, columns, channels)`, or encoded bytes. Of a DataFrame
                the columns of the training are taken, by their names and in any order; a warning
                names others. What else looks wrong about things, or about the votes of all of
                them, is a warning as well.
            names: what errors call the things.

        Raises:
            DataError: things that cannot be read, or whose votes are not finite; each is named;
                or a DataFrame lacks columns of the training.
        """
        return self._votes(self._things(things), names)

    def votes_of_many(
        self, many: Things, *, names: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Return the votes as `votes` does, for a sequence of items.

        The first dimension of an array is its items, whatever its shape.
        """
        return self._votes(many, names)

    def _votes(self, many: Things, names: Sequence[str] | None) -> NDArray[np.float32]:
        """Return the votes; notes are warnings where the caller of this was called."""
        votes = np.empty((len(many), len(self.classes)), np.float32)
        problems: list[Problem] = []
        remarks: Counter[str] = Counter()
        spread = VotesSpread()
        # In batches, so that memory does not grow with the number of things.
        for start in range(0, len(many), ANSWERED):
            part = slice(start, start + ANSWERED)
            batch = pick(many, np.arange(start, min(part.stop, len(many))))
            batch_names = (
                [describe(thing, start + index) for index, thing in enumerate(batch)]
                if names is None
                else names[part]
            )
            result = self.adapted(batch, names=batch_names)
            problems.extend(result.problems)
            if len(result.kept):
                remarks.update(
                    self.adapter.remarks(Selection(batch, result.kept), result.grids.values)
                )
                read = [batch_names[index] for index in result.kept]
                answers = self.answered(result.grids.values, names=read)
                problems.extend(answers.problems)
                spread.add(answers.votes)
                if not problems:
                    votes[part] = answers.votes
        if problems:
            raise unreadable(problems)
        warn_of([*remark_notes(remarks), *spread.notes()], stacklevel=3)
        return votes

    def adapted(self, things: Things, *, names: Sequence[str] | None = None) -> Adapted:
        """Return things as grids, and a problem for each that cannot be read."""
        return adapted(self.adapter, things, names=names, threads=self._engine.workers)

    def votes_of_grids(
        self, grids: Cells, *, names: Sequence[str] | None = None
    ) -> NDArray[np.float32]:
        """Return the votes `(items, classes)` for grids `(items, channels, rows, columns)`.

        Raises:
            DataError: items whose votes are not finite; each is called by its name in `names`.
        """
        return votes_of(self.head, self._logits(grids), names)

    def answered(self, grids: Cells, *, names: Sequence[str] | None = None) -> Answered:
        """Return the votes of all items that have votes, and a problem for each of the others."""
        return answer_logits(self.head, self._logits(grids), names)

    def _logits(self, grids: Cells) -> Array:
        return logits_of(self._engine, self.parameters, grids, self.spec.training)

    def predict(self, things: Any, *, names: Sequence[str] | None = None) -> NDArray[Any]:
        """Return the answer for each item `(items,)`: the class with the most votes.

        Of several labels, whether the item has each of them: int64 `(items, labels)`, 1 or 0, by
        the `thresholds`.
        """
        return self.answers(self._votes(self._things(things), names))

    def predict_frame(self, things: Any, *, names: Sequence[str] | None = None) -> pd.DataFrame:
        """Return answers and votes as a DataFrame: `answer`, and `votes.CLASS` for each class.

        Of several labels, `answer.LABEL` is 1 or 0 for each of them.

        Rows are called as in `things` if that is a DataFrame or a Series, else by `names`.
        """
        import pandas as pd

        votes = self._votes(self._things(things), names)
        index = getattr(things, "index", None) if hasattr(things, "to_numpy") else names
        columns = {f"votes.{label}": votes[:, n] for n, label in enumerate(self.classes)}
        rows = None if index is None else pd.Index(index)
        labels = self.answers(votes)
        answers = {"answer": labels}
        if self.several:
            answers = {f"answer.{label}": labels[:, n] for n, label in enumerate(self.classes)}
        return pd.DataFrame({**answers, **columns}, index=rows)

    def answers(self, votes: Array) -> NDArray[Any]:
        """Return the class with the most votes in each row `(items, classes)`.

        Of several labels, 1 or 0 for each, `(items, labels)`; `labels_answered` names those with 1.
        """
        if self.thresholds is not None:
            return answer_labels(votes, self.thresholds)
        answers: NDArray[Any] = labels_array(self.classes)[self.head.answers(votes)]
        return answers

    def labels_answered(self, votes: Array) -> list[list[str | int]]:
        """Return for each row of votes `(items, labels)` the labels that are answered, by name."""
        rows = self.answers(votes)
        return [[self.classes[label] for label in np.flatnonzero(row).tolist()] for row in rows]

    def maps(self, things: Any, *, after: int | str | None = None) -> Array:
        """Return the maps after a stage, float32 `(items, channels, rows, columns)`.

        Args:
            things: as for `predict`.
            after: the number of a stage, from 1; 0 gives the grids, None the last maps. A stage
                inside of another one is named by its label, as `4.1.2 pooling`, or `4.1.2`.

        Raises:
            UserError: there is no such stage.
            DataError: a thing cannot be read.
        """
        grids = grids_of(self.adapter, self._things(things), threads=self._engine.workers).values
        return maps_after(self._engine, self.parameters, grids, after)

    def explain(
        self, thing: Any, *, name: str | None = None, label: str | int | None = None
    ) -> Explanation:
        """Return one item on its way through the network: maps, votes, and what mattered.

        A notebook shows it as a page; `save` writes that page, `plot` draws a figure.

        Args:
            thing: one item, as `predict` takes it.
            name: what it is called.
            label: the class whose votes are explained; None: the answer.

        Raises:
            DataError: it cannot be read, or there are several things.
            SpecError: there is no such class.
        """
        from gridcnn.report.explaining.explanation import explain

        return explain(self, thing, name=name, label=label)

    def plot_maps(self, thing: Any, *, after: int | str | None = None) -> Figure:
        """Return the maps of one item as a Matplotlib figure: after each stage, or after one.

        Args:
            thing: one item, as `predict` takes it.
            after: the stage, as for `maps`; None: every stage, with its strongest maps; of more
                than 12 the first and the last six, and a line says how many are left out.

        Raises:
            UserError: there is no such stage.
            DataError: it cannot be read, or there are several things.
        """
        from gridcnn.report.explaining.drawing import maps_figure

        return maps_figure(self.explain(thing), after=after)

    def plot_features(self) -> Figure:
        """Return the features of the first convolution as mini-images, a Matplotlib figure.

        Raises:
            DataError: no convolution lies on the grid itself, or its features cover all rows of
                a large alphabet.
        """
        from gridcnn.report.explaining.drawing import features_figure

        return features_figure(self)

    def things(self, things: Any) -> Sequence[Any]:
        """Return one item or many, as `predict` takes them, as a sequence of items."""
        return self._things(things)

    def _things(self, things: Any) -> Sequence[Any]:
        return as_things(
            things, self.adapter, None if self.spec.data is None else self.spec.data.source
        )

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the model to a file, whole or not at all, and return its path.

        A file that is a gridcnn model is replaced. With `overwrite` any other file is, too.

        Raises:
            RunFolderError: the file cannot be written there, or is not a gridcnn model.
        """
        target = as_path(path, "the file of a model")
        is_free = not os.path.lexists(target)
        if not (overwrite or is_free or kind_of(target) == KIND):
            raise RunFolderError(
                f"{target} exists already, and is not a gridcnn model; give another name, or "
                "overwrite=True"
            )
        try:
            write_model(self, target, replace=not is_free)
        except OSError as error:
            reason = error.strerror or error
            raise RunFolderError(f"{target} cannot be written: {reason}") from None
        return target

    def export(
        self,
        to: str,
        path: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        **options: Any,
    ) -> Path:
        """Write the model in the form of another program, and return the path of the (first) file.

        Args:
            to: the format, as `onnx`.
            path: the file to write; None: the name of the spec in the current folder.
            overwrite: replace files that gridcnn did not write.
            options: those of the format, as `opset=13`; see `gridcnn export --help`.

        Raises:
            UnknownNameError: there is no such format.
            SpecError: an option is wrong.
            RunFolderError: a file must not be replaced, or cannot be written.
            UserError: something cannot be expressed in the format; or a package is missing.
        """
        from gridcnn.export.formats import export  # few models leave

        return export(self, to, path, overwrite=overwrite, **options).paths[0]


def write_model(model: Model, path: Path, *, replace: bool = True) -> None:
    """Write a model to a file, whole or not at all; raise `OSError` if that is not possible."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "spec": model.spec.model_dump(mode="json"),
        "classes": list(model.classes),
    }
    if model.thresholds is not None:
        content["thresholds"] = list(model.thresholds)
    tensors = model.network.named(model.parameters)
    write_tensors(path, KIND, tensors, content, replace=replace)


def load(
    path: str | os.PathLike[str], *, engine: str | None = None, threads: int | None = None
) -> Model:
    """Return the model in a file, or in a run folder.

    A model from an unfinished run folder has the best weights so far, and a warning says so
    (`UnfinishedRunWarning`).

    Args:
        path: where it is.
        engine: the name of the engine that answers; by default the fastest there is.
        threads: the most threads that it works with; None: as many as this process may use.

    Raises:
        ModelFileError: the file is missing, damaged, foreign, or from a newer gridcnn.
        UnknownNameError: the engine is unknown.
        EngineError: the engine cannot work with these settings, or on this machine.
    """
    file = as_path(path, "a model")
    if file.is_dir():
        if (file / CHECKPOINT).is_file() and not (file / METRICS).is_file():
            return _load_unfinished(file, engine, threads)
        if not (file / FILE_NAME).is_file():
            raise ModelFileError(_no_model(file))
        file = file / FILE_NAME
    tensors, content = read_tensors(file, KIND)
    layout = content.get("format")
    if type(layout) is not int or layout != FORMAT:
        version = quoted(str(content.get("version")))[1:-1]
        raise ModelFileError(
            f"{file} was written by gridcnn {version} in layout {shown(layout)}; this gridcnn "
            f"{VERSION} reads layout {FORMAT}; install a newer one"
        )
    for key in ("spec", "classes"):
        if key not in content:
            raise ModelFileError(f"{file} cannot be used here: it has no '{key}'")
    return _make(
        file,
        (content["spec"], content["classes"], content.get("thresholds")),
        lambda network: network.vector(tensors),
        (engine, threads),
    )


def _load_unfinished(folder: Path, engine: str | None, threads: int | None) -> Model:
    """Return a model with the best weights so far of a run that has not ended."""
    from gridcnn.training.checkpoint import load_best  # few models are not finished

    best = load_best(folder / CHECKPOINT)
    model = _make(
        folder / CHECKPOINT,
        (best.spec, best.classes, None),
        lambda _: best.parameters,
        (engine, threads),
    )
    warnings.warn(
        f"the run in {folder} has not ended: answers are those of epoch {best.epoch}, the best of "
        f"{best.epochs} so far (of {model.spec.training.epochs})",
        UnfinishedRunWarning,
        stacklevel=3,
    )
    return model


def _no_model(folder: Path) -> str:
    """Return the message for a folder without a model: why there is none, and what to do."""
    for kind in ("fold", "run"):
        parts = sorted(folder.glob(f"{kind}-*/{FILE_NAME}"))
        if parts:
            return (
                f"the folder {folder} holds no {FILE_NAME}; name one of its {kind}s, as "
                f"{parts[0].parent}"
            )
    if (folder / "spec.yaml").is_file():
        return (
            f"the folder {folder} holds no {FILE_NAME}: no epoch of its run has ended; continue "
            f"with: gridcnn run --resume {folder}"
        )
    runs = sorted(path.parent for path in folder.glob(f"*/{FILE_NAME}"))
    if runs:
        return f"the folder {folder} holds no {FILE_NAME}; name one of the runs in it, as {runs[0]}"
    return f"the folder {folder} holds no {FILE_NAME}; name a model file or a run folder"


def _make(
    file: Path,
    content: tuple[Any, Any, Any],
    parameters: Callable[[Network], Array],
    choice: tuple[str | None, int | None],
) -> Model:
    """Return the model for a spec, classes and thresholds that were read from a file as plain data.

    `choice` is the name of the engine, and the most threads.
    """
    check_choice(*choice)
    try:
        spec, classes = load_data(content[0]), _check_classes(content[1])
        if spec.adapter is None or spec.head is None:
            raise SpecError("its spec has no adapter, or no head")
        shape = spec.adapter.shape()
        bound = bind(spec, shape, classes=len(classes), engine=choice[0], threads=choice[1])
        return Model(spec, classes, parameters(bound.network), thresholds=content[2], engine=bound)
    except EngineError:
        raise
    except UserError as error:
        rest = len(error.problems) - 1
        more = f" (and {how_many(rest, 'more problem')})" if rest else ""
        reason = f"{error.problems[0]}{more}"
        raise ModelFileError(f"{file} cannot be used here: {reason}") from None
    except ValueError as error:
        raise ModelFileError(f"{file} cannot be used here: {error}") from None


def freeze(parameters: Array) -> Array:
    """Return the array itself, read-only from now on.

    An engine that gets such a vector again knows that it has not changed, and does not prepare it
    again.
    """
    parameters.flags.writeable = False
    return parameters


def _check_classes(classes: Any) -> list[str | int]:
    """Return the classes; raise `ValueError` if they are not valid.

    Files store them as texts, in which 1 and "1" would be the same.
    """
    if not isinstance(classes, list) or not classes:
        raise ValueError(f"its classes are not a list of texts or whole numbers: {shown(classes)}")
    wrong = [label for label in classes if type(label) not in (str, int)]
    if wrong or len(set(map(str, classes))) < len(classes):
        raise ValueError(
            f"its classes must be different texts or whole numbers; they are {shown(classes)}"
        )
    return classes


def _check_thresholds(thresholds: Any, labels: int) -> tuple[float, ...]:
    """Return the threshold of each label; raise `ValueError` if they are not valid."""
    if thresholds is None:
        return (EVEN,) * labels
    numbers = list(thresholds) if isinstance(thresholds, Sequence) else []
    wrong = [
        number
        for number in numbers
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1
    ]
    if wrong or len(numbers) != labels:
        raise ValueError(
            f"its thresholds must be {labels} numbers from 0 to 1, one for each label; they are "
            f"{shown(thresholds)}"
        )
    return tuple(map(float, numbers))


def _check_parameters(network: Network, parameters: Array) -> NDArray[np.float32]:
    """Return a copy of the flat vector; raise `ValueError` if a number is not finite."""
    if parameters.dtype.kind != "f":
        raise ValueError(f"the parameters must be float32; they are {parameters.dtype}")
    with np.errstate(over="ignore"):
        copied = np.array(parameters, np.float32)
    if not all_finite(copied):
        wrong = [
            name for name, view in network.named(copied).items() if not np.isfinite(view).all()
        ]
        raise ValueError(
            f"its parameters must be finite numbers; there are NaN or infinite ones in "
            f"{listed([quoted(name)[1:-1] for name in wrong], limit=5)}"
        )
    return copied


def as_things(things: Any, adapter: Adapter, source: Source | None = None) -> Sequence[Any]:
    """Return one item or many as a sequence of items; the adapter decides which it is.

    Of a data frame, the columns that `source` names (the training data) are used.

    Raises:
        DataError: it is neither an item nor a sequence of items; or a data frame lacks columns, or
            holds other values in them.
    """
    if is_one(things):
        return [things]
    if isinstance(things, np.ndarray):
        number = things.dtype.kind in "biufc"
        if things.ndim == 0 or (number and adapter.is_lone(things)):
            return [things if number else things.item()]
        return cast("Sequence[Any]", things)
    if isinstance(things, Sequence):
        return things
    if is_sparse(things):
        raise DataError(
            f"things to classify are a sparse {type(things).__name__}; give things.toarray()"
        )
    if hasattr(things, "to_numpy"):
        if hasattr(things, "columns"):
            from gridcnn.datasets.readers.memory import frame_things

            things, notes = frame_things(things, source)
            for note in notes:
                warnings.warn(note, stacklevel=4)
            return cast("Sequence[Any]", things)
        return as_things(things.to_numpy(), adapter)  # a Series
    # A set has no order, and the items of a mapping are its keys.
    if not isinstance(things, Iterable) or isinstance(things, Set | Mapping):
        raise DataError(f"things to classify must be a list; got a {type(things).__name__}")
    return list(things)


def maps_after(engine: Engine, parameters: Array, grids: Cells, after: int | str | None) -> Array:
    """Return the maps after a stage; 0: the grids; None: the last maps; see `value_after`."""
    network = engine.network
    value = network.result if after is None else network.value_after(after)
    if value == 0:  # as without any stage
        return np.asarray(grids)
    return engine.maps(parameters, grids, after=None if after is None else value - 1)
