"""Evaluation: how well a model answers labelled data."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.joining import find_cluster
from gridcnn.cluster.sharing import answer_shared
from gridcnn.contracts.adapter import Selection
from gridcnn.contracts.source import PARTS, TEST, Dataset, Label
from gridcnn.contracts.targets import LabelTargets, Targets, most
from gridcnn.datasets.problems import bad_items_error
from gridcnn.datasets.readers.memory import asked_columns
from gridcnn.errors import DataError, EngineError, listed
from gridcnn.label_measures import LabelMeasures, LabelScores, label_measures
from gridcnn.measures import Measures, Scores, measures
from gridcnn.model import Model, load
from gridcnn.notes import answer_notes, label_answer_notes, refuse_notes, remark_notes
from gridcnn.runs.adapting import Adapting
from gridcnn.runs.duplicates import find_duplicates, torn_notes
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import places_of
from gridcnn.spec.models import Data, Spec
from gridcnn.training.loop import Labelled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SKIP = "skip them (--bad-items skip)"


@dataclass(frozen=True)
class Evaluation:
    """How well a model answered labelled data.

    Attributes:
        measures: the figures, with classes as their indices; those of labels, if an item may have
            several of them.
        labels: what these classes are called.
        part: the part of the data that was used: "test", "train", "validation" or "all".
        notes: what was left out of the data, and what looks wrong, in sentences.
    """

    measures: Measures | LabelMeasures
    labels: tuple[Label, ...]
    part: str
    notes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """The part of the items that was answered correctly, in 0..1.

        Of several labels, all that are known of an item have to be right (exact match).
        """
        return self.measures.accuracy

    @property
    def items(self) -> int:
        """How many items there were."""
        return self.measures.items

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy (Wilson's), for items drawn one by one."""
        return self.measures.interval

    @property
    def auc(self) -> float | None:
        """The area under the ROC curve; None if only one class occurs.

        Of more than two classes it is the mean over those that have one, each against the others.
        """
        return self.measures.auc

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that occur, in 0..1."""
        return self.measures.balanced_accuracy

    @property
    def majority(self) -> tuple[Label, float]:
        """The most frequent class, and the accuracy of always answering it.

        Of several labels, those that most items have, as one text.
        """
        if isinstance(self.measures, LabelMeasures):
            numbers, accuracy = self.measures.majority
            return ", ".join(str(self.labels[number]) for number in numbers), accuracy
        number, accuracy = self.measures.majority
        return self.labels[number], accuracy

    @property
    def worst(self) -> tuple[Label, float] | None:
        """The class with the lowest recall, and that recall; None if there are no items."""
        number = self.measures.worst
        return (
            None if number is None else (self.labels[number], self.measures.scores[number].recall)
        )

    @property
    def several(self) -> bool:
        """Whether an item may have several labels, which are then what is called classes here."""
        return isinstance(self.measures, LabelMeasures)

    @property
    def classes(self) -> dict[str, Scores | LabelScores]:
        """The scores of each class, or label, by its name."""
        each: Sequence[Scores | LabelScores] = self.measures.scores
        named = zip(self.labels, each, strict=True)
        return {str(label): scores for label, scores in named}

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How often each class (by row) was answered with each class (by column).

        Of several labels `(labels, 2, 2)`: without and with the label.
        """
        return self.measures.confusion

    @property
    def frame(self) -> pd.DataFrame:
        """The scores of each class, a row for each, as a DataFrame."""
        import pandas as pd

        scores = [vars(score) for score in self.measures.scores]
        name = "label" if self.several else "class"
        return pd.DataFrame(scores, index=pd.Index(self.labels, name=name))

    @property
    def confusion_frame(self) -> pd.DataFrame:
        """The confusion matrix as a DataFrame: true classes in rows, answers in columns.

        Of several labels there is a row for each, with the columns `truth.answer`, as `1.0` for
        items with the label that were answered without it.
        """
        import pandas as pd

        if self.several:
            cells = self.confusion.reshape(-1, 4)
            names = ["0.0", "0.1", "1.0", "1.1"]
            return pd.DataFrame(cells, index=pd.Index(self.labels, name="label"), columns=names)
        rows, columns = pd.Index(self.labels, name="truth"), pd.Index(self.labels, name="answer")
        return pd.DataFrame(self.confusion, index=rows, columns=columns)

    def plot_confusion(self) -> Figure:
        """Return the confusion matrix as a Matplotlib figure; see `confusion`.

        No window is opened: `evaluation.plot_confusion().savefig("confusion.png")`.
        """
        from gridcnn.report.running.figures import confusion_figure

        return confusion_figure(self)

    def _repr_html_(self) -> str:
        from gridcnn.report.running.notebook import evaluation_html

        return evaluation_html(self)

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return {**self.measures.plain(self.labels), "part": self.part, "notes": list(self.notes)}


def evaluate(
    model: Model | str | os.PathLike[str],
    data: Any,
    *,
    part: str | None = None,
    bad_items: Literal["stop", "skip"] = "stop",
    engine: str | None = None,
    threads: int | None = None,
    strict: bool = False,
    cluster: str | None = None,
    workers: int | None = None,
) -> Evaluation:
    """Compare a model's answers with the labels of data.

    Args:
        model: a model, or where one is saved.
        data: a known name, a path, `(X, y)`, or a DataFrame, as for `run`. For a model that was
            trained on a table, a path is that of a table with the same columns.
        part: "test", "train", "validation" or "all"; by default the test part where the data
            names one, else all of it.
        bad_items: "stop" raises an error for unreadable items; "skip" leaves them out, with a line
            in `notes`.
        engine, threads: as for `gridcnn.load`, where `model` says where one is saved. A model that
            is loaded has its engine.
        strict: whether notes are errors.
        cluster, workers: as for `gridcnn.run`: the workers read the data and answer it, each its
            own part, with `threads` threads. The result does not depend on it.

    Raises:
        DataError: the data cannot be read, has labels that the model does not know, or has no such
            part.
        ModelFileError: the model cannot be read.
        UnknownNameError, EngineError: the engine is unknown, or cannot work with these settings.
    """
    asked = find_cluster(cluster, workers, threads)
    if not isinstance(model, Model):
        made = load(model, engine=engine, threads=1 if asked else threads)
    elif engine is None and (threads is None or asked is not None):
        made = model
    else:
        raise EngineError(
            "a loaded model has its engine already; give engine and threads to gridcnn.load"
        )
    if asked is None:
        return _evaluate(made, data, part, bad_items, Adapting, strict=strict, threads=threads)
    with answer_shared(made.engine, asked) as (crew, answering):
        from gridcnn.runs.spread_data import SpreadAdapting  # with Ray, if it is asked for

        shared = Model(
            made.spec, made.classes, made.parameters, thresholds=made.thresholds, engine=answering
        )
        spread = functools.partial(SpreadAdapting, crew=crew, judged=False)
        return _evaluate(shared, data, part, bad_items, spread, strict=strict, threads=threads)


def _evaluate(
    made: Model,
    data: Any,
    part: str | None,
    bad_items: Literal["stop", "skip"],
    make_adapting: Callable[..., Adapting],
    *,
    strict: bool,
    threads: int | None,
) -> Evaluation:
    """Evaluate a model that is loaded; `make_adapting` makes what reads the items."""
    trained = made.spec.data
    form = Data(source=trained.source) if trained and asked_columns(trained.source) else None
    spec = Spec(adapter=made.adapter, training=made.spec.training, data=form)
    dataset = locate(spec, data, Path.cwd(), trained=True).open()
    if dataset.bad and bad_items == "stop":
        raise bad_items_error(dataset.bad, len(dataset) + len(dataset.bad), _SKIP)
    chosen, name = _choose_part(dataset, part)
    if dataset.several != made.several:
        has = ("several labels of an item", "one class for each item")
        own, other = has if made.several else has[::-1]
        raise DataError(
            f"the model votes for {own}, and {dataset.origin or 'the data'} has {other}"
        )
    dataset = _spell_labels(dataset, made)
    targets = dataset.targets(made.classes)[chosen]
    places = places_of(dataset, np.arange(len(dataset)))
    adapting = make_adapting(dataset.things, places, threads=threads)
    parts = adapting.parts(made.adapter, {name: chosen})
    adapted = parts.made[name]
    read = Selection(dataset.things, chosen[adapted.kept])
    remarks = made.adapter.remarks(read, adapted.grids.values)
    given = Labelled(adapted.grids.values, targets[adapted.kept])
    duplicates = find_duplicates({TEST: given})
    kept_places = [places[index] for index in chosen[adapted.kept]]
    notes = [
        *dataset.notes,
        *remark_notes(remarks),
        *torn_notes(duplicates, {TEST: kept_places}, "leave one of them out", several=made.several),
    ]
    unknown = [str(label) for label in made.classes if label not in set(dataset.classes)]
    if made.several and unknown:
        several = "labels" if len(unknown) > 1 else "label"
        notes.append(f"the data says nothing about the {several} {listed(unknown, limit=8)}")
    left = len(adapted.kept)
    if parts.problems and (bad_items == "stop" or not left):
        raise bad_items_error(parts.problems, len(chosen), _SKIP)
    bad = len(chosen) - left + len(dataset.bad)
    if bad:
        notes.append(f"{bad} of {left + bad} items cannot be read, and are left out")
    answers = made.answered(adapted.grids.values, names=kept_places)
    if answers.problems:
        if bad_items == "stop" or not len(answers.kept):
            raise bad_items_error(answers.problems, left, _SKIP)
        notes.append(
            f"{len(answers.problems)} of {left} items have no finite votes, and are left out"
        )
    votes = answers.votes
    right = targets[adapted.kept][answers.kept]
    if made.several:
        evaluation = compare_labels(
            right, votes, made.answers(votes), made.classes, made.thresholds, part=name
        )
    else:
        evaluation = compare(
            most(right), made.head.answers(votes), made.classes, votes=votes, part=name
        )
    evaluation = dataclasses.replace(evaluation, notes=(*notes, *evaluation.notes))
    if strict:
        refuse_notes(evaluation.notes)
    return evaluation


def compare(
    targets: Targets,
    answers: Targets,
    classes: Sequence[str | int],
    *,
    votes: NDArray[np.floating[Any]] | None = None,
    part: str = "all",
) -> Evaluation:
    """Return the measures for right classes and answers `(items,)`, as indices into `classes`.

    Without the votes `(items, classes)` there is no area under the ROC curve.
    """
    figures = measures(targets, answers, len(classes), votes=votes)
    notes = () if votes is None else tuple(answer_notes(figures, votes, classes))
    return Evaluation(figures, tuple(classes), part, notes)


def compare_labels(
    targets: Targets | LabelTargets,
    votes: NDArray[np.floating[Any]],
    answers: Targets,
    labels: Sequence[Label],
    thresholds: Sequence[float] | None,
    *,
    part: str = "all",
) -> Evaluation:
    """Return the measures of votes and answers to items with several labels.

    Args:
        targets: 1, 0, or NaN if not known, `(items, labels)`.
        votes: from 0 to 1, `(items, labels)`.
        answers: 1 or 0, `(items, labels)`.
        labels: what the labels are called.
        thresholds: by which the answers were made; None if they differ by item.
        part: the part of the data.
    """
    figures = label_measures(targets, votes, thresholds, answers=answers)
    notes = label_answer_notes(targets, answers, votes, labels)
    return Evaluation(figures, tuple(labels), part, tuple(notes))


def _choose_part(dataset: Dataset, part: str | None) -> tuple[NDArray[np.int64], str]:
    name = part or (TEST if dataset.parts is not None and TEST in dataset.parts else "all")
    if name == "all":
        return np.arange(len(dataset)), name
    if name not in PARTS:
        raise DataError(f"'{name}' is not a part of data; choose {', '.join(PARTS)} or all")
    if dataset.parts is None or name not in dataset.parts:
        named = ", ".join([*(each for each in PARTS if each in (dataset.parts or ())), "all"])
        raise DataError(f"{dataset.origin or 'the data'} names no part '{name}'; take {named}")
    return np.flatnonzero(np.array(dataset.parts) == name), name


def _spell_labels(dataset: Dataset, model: Model) -> Dataset:
    """Return the data with its labels as the model spells them: 3 and "3" are the same class."""
    spelled = {str(label): label for label in model.classes}
    if dataset.label_names is not None:
        names = tuple(spelled.get(str(label), label) for label in dataset.label_names)
        return dataclasses.replace(dataset, label_names=names)
    labels = [spelled.get(str(label), label) for label in dataset.labels]
    return dataclasses.replace(dataset, labels=labels)
