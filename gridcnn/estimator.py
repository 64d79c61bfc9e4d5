"""`GridClassifier`: a scikit-learn estimator over the same spec."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.fitting import fitting
from gridcnn.contracts.adapter import Adapter, other_forms
from gridcnn.contracts.source import Dataset
from gridcnn.datasets.division.splits import divide
from gridcnn.datasets.labels import labels_of
from gridcnn.engines.base import bind, check_choice
from gridcnn.errors import DataError, SpecError, shown
from gridcnn.grid import GridShape
from gridcnn.gridding import grids_of
from gridcnn.model import Model, labels_array
from gridcnn.order.guard import CHECKS, Check, guard
from gridcnn.order.verdict import Verdict
from gridcnn.pipelines import ready
from gridcnn.spec.load import SpecLike, load
from gridcnn.spec.models import Spec
from gridcnn.training.loop import Labelled, train

_TRAINING = ("epochs", "learning_rate", "batch_size", "optimizer", "weight_decay", "patience")
"""The parameters that replace the spec's training settings of the same name."""


class GridClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A convolutional network as a scikit-learn classifier.

    `X` is either an array of numbers, whose items are grids already: `(items, columns)` (grids of
    one row), `(items, rows, columns)`, `(items, channels, rows, columns)` or
    `(items, rows, columns, channels)`; their values are brought to -1..1 by the range of the
    training data, and the spec's adapter is not used. Or it is a sequence of raw things (paths,
    PIL images, encoded bytes, texts), which the spec's adapter turns into grids; without one, what
    fits them: for texts that are no paths of files, the text adapter.

    Args:
        spec: a ready spec's name, a file, a mapping or a `Spec`; its data section is not used.
            None builds a small network for the shape of `X`.
        check: what happens where the order of the columns is found to mean nothing, so that a
            network is the wrong tool: "reject" raises `ColumnPermutableError`, which says what was
            found and what to use instead; "warn" warns, and goes on; "off" does not look. An `X` of
            numbers is looked at in every `fit`, which takes seconds; a search over data that is
            known to be a grid is quicker with "off". Too little data to tell is trained on.
        epochs, learning_rate, batch_size, optimizer, weight_decay, patience: replace the spec's
            training settings of that name, where they are not None.
        validation_fraction: the part of the training items by which the best epoch is chosen, and
            which is not trained on; 0 for none.
        random_state: replaces `training.seed`; an int, a `RandomState`, or None for the spec's.
        changes: replaces any other settings, as `{"stages[0].convolution.filters": 4}`.
        channel_order: where the channels of an `X` of four dimensions stand: "first", "last", or
            "auto" (last where the last dimension is 1, 3 or 4 and the first is not).
        scaling: "range", or "none" where an `X` of numbers lies within -1..1 already.
        engine: the name of the engine; None: the fastest there is.
        threads: the most threads that it works with; None: as many as this process may use. What
            is learned does not depend on it.

    Attributes:
        classes_: the classes, sorted; the order of the votes.
        model_: the trained `Model`, which can be saved.
        verdicts_: what each checker has found, a `gridcnn.order.verdict.Verdict` by its name; empty
            where none was asked.
        history_: an `Epoch` for each epoch.
        n_iter_: how many epochs there were.
        n_features_in_: the length of the second dimension of `X`, where it is an array.
    """

    def __init__(
        self,
        spec: SpecLike | None = None,
        *,
        check: Check = "reject",
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        optimizer: str | Mapping[str, Any] | None = None,
        weight_decay: float | None = None,
        patience: int | None = None,
        validation_fraction: float = 0.0,
        random_state: int | np.random.RandomState | None = None,
        changes: Mapping[str, Any] | None = None,
        channel_order: Literal["auto", "first", "last"] = "auto",
        scaling: Literal["range", "none"] = "range",
        engine: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.spec = spec
        self.check = check
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.changes = changes
        self.channel_order = channel_order
        self.scaling = scaling
        self.engine = engine
        self.threads = threads

    def fit(self, X: Any, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's names
        """Train on labelled items, and return the classifier.

        Raises:
            SpecError: the spec or a setting is wrong, or does not fit the shape of `X`.
            DataError: an item cannot be read, or there are fewer than two classes.
            ColumnPermutableError: the order of the data means nothing, and `check` is "reject".
            UnknownNameError, EngineError: there is no such engine, or it cannot work like this.
            TrainingError: training cannot start or go on, for example for lack of memory.
        """
        check_choice(self.engine, self.threads)
        if self.check not in CHECKS:
            raise SpecError(f"check must be one of {', '.join(CHECKS)}; got {self.check!r}")
        things, labels = self._checked(X, y, reset=True)
        self.classes_, targets = _classes(labels)
        if len(self.classes_) < 2:
            only = shown(_plain(self.classes_[0]))
            raise DataError(
                f"a classifier needs at least two classes; got one class ({only}) in "
                f"{len(labels)} items"
            )
        given, changes = self._spec(), self._changes()
        # The network of the default spec follows the grids, but its adapter comes before them.
        spec = self._changed(given or default_spec(GridShape(1, 1, 1), len(labels)), changes)
        adapter = self._adapter(things, spec)
        first, second = self._divided(targets, spec)
        forms, origins = other_forms(adapter, things, first, seed=spec.training.seed)
        if forms:
            things = [*things, *forms]
            first = np.concatenate([first, np.arange(len(targets), len(things))])
            targets = np.concatenate([targets, targets[origins]])
        adapter = adapter.fitted(things)
        grids = grids_of(adapter, things, threads=self.threads).values
        if given is None:
            spec = self._changed(default_spec(adapter.shape(), len(grids)), changes)
        spec = spec.model_copy(update={"adapter": adapter})
        training, validation = Labelled(grids, targets), None
        if len(second):
            training = Labelled(grids[first], targets[first])
            validation = Labelled(grids[second], targets[second])
        made = bind(
            spec,
            adapter.shape(),
            classes=len(self.classes_),
            engine=self.engine,
            threads=self.threads,
        )
        self.verdicts_: dict[str, Verdict] = {}
        if not adapter.makes_order:
            checked = guard(
                grids,
                targets,
                self.check,
                shape=adapter.shape(),
                seed=spec.training.seed,
                threads=self.threads,
                remedy='give check="warn"',
            )
            self.verdicts_ = dict(checked.verdicts)
        state = train(made, training, validation, spec.training)
        made.settle()
        # A model file knows texts and whole numbers; True is 1, as for labels anywhere else.
        self.model_ = Model(spec, labels_of(self.classes_.tolist()), state.best, engine=made)
        self.history_ = tuple(state.history)
        self.n_iter_ = len(self.history_)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the votes for each class, float32 `(items, classes)`: 0..1, and 1 in all."""
        check_is_fitted(self)
        return self.model_.votes(self._checked(X, None, reset=False)[0])

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the class with the most votes for each item `(items,)`."""
        votes = self.predict_proba(X)
        answers: NDArray[Any] = self.classes_[votes.argmax(axis=1)]
        return answers

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    def _checked(self, things: Any, labels: Any, *, reset: bool) -> tuple[Any, Any]:
        """Return things, and for training (`reset`) labels, as scikit-learn would check them."""
        if _is_raw(things):
            many = [things] if _is_one(things) else list(things)
            if not reset:
                return many, None
            if labels is None:
                raise DataError("training requires y to be passed, but the target y is None")
            checked = np.asarray(_kept(labels))
            _refuse_amounts(checked)
            if checked.shape != (len(many),):
                raise DataError(f"{len(many)} items and labels of shape {checked.shape} differ")
            return many, checked
        options = {"dtype": "numeric", "allow_nd": True, "reset": reset}
        if not reset:
            return validate_data(self, things, **options), None
        checked_things, checked = validate_data(self, things, _kept(labels), **options)
        _refuse_amounts(checked)
        return checked_things, checked

    def _spec(self) -> Spec | None:
        return None if self.spec is None else load(self.spec, ready=ready())

    def _changes(self) -> dict[str, Any]:
        """Return the settings that the constructor was given, by their places in the spec."""
        changes: dict[str, Any] = {}
        for name in _TRAINING:
            if getattr(self, name) is not None:
                changes[f"training.{name}"] = getattr(self, name)
        if self.random_state is not None:
            seed = self.random_state
            if not isinstance(seed, int | np.integer):
                seed = check_random_state(seed).randint(2**31 - 1)
            changes["training.seed"] = int(seed)
        if not isinstance(self.changes, Mapping | None):
            raise SpecError(f"changes are a mapping of settings to values; got {self.changes!r}")
        return {**changes, **(self.changes or {})}

    @staticmethod
    def _changed(spec: Spec, changes: Mapping[str, Any]) -> Spec:
        changed = load(spec, changes=changes)
        if changed.head is None:
            raise SpecError("a classifier needs a head; add head: voting to the spec")
        return changed

    def _adapter(self, things: Any, spec: Spec) -> Adapter:
        if isinstance(things, np.ndarray):
            return ArrayAdapter(channel_order=self.channel_order, scaling=self.scaling)
        return spec.adapter or fitting(things)

    def _divided(
        self, targets: NDArray[np.int64], spec: Spec
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the items for training, and those by which the best epoch is chosen."""
        part = self.validation_fraction
        if not isinstance(part, int | float) or not 0 <= part < 1:
            raise SpecError(f"validation_fraction must be from 0 to below 1; got {part!r}")
        if part == 0:
            if spec.training.patience is not None:
                raise SpecError(
                    "patience waits for a better validation result; set validation_fraction too"
                )
            return np.arange(len(targets)), np.zeros(0, np.int64)
        names = [f"item {index}" for index in range(len(targets))]
        dataset = Dataset(range(len(targets)), targets.tolist(), names)
        division = divide(dataset, test=0.0, validation=part, seed=spec.training.seed)
        return division.train, division.validation


def default_spec(shape: GridShape, items: int) -> Spec:
    """Return a small network for grids of `shape`: two bricks of stages, then 64 hidden votes.

    Windows never reach across an axis of one cell. Where rows have no order, as in texts, there is
    one brick, whose features cover all rows. With few items there are more epochs, so that
    the network moves at least some 300 times.
    """
    kernel = [min(3, shape.rows), min(3, shape.columns)]
    window = [min(2, shape.rows), min(2, shape.columns)]
    batch = 32
    bricks: list[tuple[int, Any, Any]] = [(16, kernel, window), (32, kernel, window)]
    if not shape.row_axis.ordered:
        bricks = [(64, ["all", min(7, shape.columns)], "all")]
    stages: list[Any] = []
    for filters, kernel_size, pooled in bricks:
        stages += [
            {"convolution": {"filters": filters, "kernel_size": kernel_size}},
            "rectification",
            {"pooling": {"window": pooled}},
        ]
    batches = -(-items // batch)
    return load(
        {
            "name": "default",
            "stages": stages,
            "head": {"voting": {"hidden": [64]}},
            "training": {
                "epochs": min(max(10, -(-300 // batches)), 100),
                "batch_size": batch,
                "learning_rate": 0.003,
                "schedule": "cosine",
            },
        }
    )


def _is_raw(things: Any) -> bool:
    """Return whether these are things for an adapter, and not an array of numbers."""
    if _is_one(things):
        return True
    if isinstance(things, np.ndarray) and (things.ndim != 1 or things.dtype.kind in "biufc"):
        return False
    if hasattr(things, "columns") or not hasattr(things, "__len__") or not len(things):
        return False
    if not isinstance(things, Sequence | np.ndarray) and not hasattr(things, "to_numpy"):
        return False
    first = next(iter(things))
    return _is_one(first)


def _is_one(thing: Any) -> bool:
    """Return whether this is a raw thing: a path, encoded bytes or a PIL image."""
    return isinstance(thing, str | bytes | os.PathLike) or hasattr(thing, "getpixel")


def _plain(label: Any) -> Any:
    """Return a label as Python has it, instead of NumPy."""
    return label.item() if isinstance(label, np.generic) else label


def _kept(labels: Any) -> Any:
    """Return labels so that an array holds each as what it is; objects, where NumPy has no type.

    Numbers that NumPy keeps as they are, and what has not one label for each item, are left for
    scikit-learn to check.

    Raises:
        DataError: some are missing, or cannot be labels.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind in "biufc":
        return labels
    try:
        array = np.asarray(labels)
    except Exception:  # a foreign object may raise anything, and so do rows of different lengths
        return labels
    if array.ndim != 1:
        return labels
    given = [_plain(label) for label in (labels if hasattr(labels, "__iter__") else array)]
    same = [type(label) for label in array.tolist()] == [type(label) for label in given]
    if array.dtype.kind in "biuf" and same and array.tolist() == given:
        return array
    return labels_array(labels_of(labels))


def _refuse_amounts(labels: NDArray[Any]) -> None:
    """Raise `ValueError` where labels are no classes; objects have been checked before."""
    if labels.dtype.kind != "O":
        check_classification_targets(labels)


def _classes(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the different labels, sorted, numbers before texts; and the index of each label."""
    if labels.dtype.kind != "O":
        classes, targets = np.unique(labels, return_inverse=True)
        return classes, targets
    dataset = Dataset(range(len(labels)), labels.tolist(), range(len(labels)))  # type: ignore[arg-type]
    return labels_array(dataset.classes), dataset.targets(dataset.classes)
