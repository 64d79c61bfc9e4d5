"""`GridClassifier`: a scikit-learn estimator over the same spec."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.fitting import fitting
from gridcnn.contracts.adapter import (
    Adapter,
    Selection,
    Things,
    is_one,
    other_forms,
    pick,
    unreadable,
)
from gridcnn.contracts.source import TRAIN, VALIDATION, Dataset
from gridcnn.contracts.targets import LabelTargets, Targets, most
from gridcnn.datasets.division.splits import divide
from gridcnn.datasets.labels import labels_array, labels_of, plain_value
from gridcnn.datasets.readers.examples import labels_given, things_of
from gridcnn.datasets.readers.memory import Memory
from gridcnn.datasets.several import Several, several_given
from gridcnn.datasets.tables.frames import is_frame
from gridcnn.engines.base import bind, check_choice
from gridcnn.errors import (
    DataError,
    Problem,
    SpecError,
    TrainingWarning,
    UserError,
    how_many,
    listed,
    shown,
)
from gridcnn.grid import Array, GridShape
from gridcnn.gridding import adapted
from gridcnn.model import Model, thresholds_for
from gridcnn.notes import remark_notes, unlearned_notes, warn_of
from gridcnn.order.guard import CHECKS, Check, guard
from gridcnn.order.sample import (
    Sample,
    classes_to_judge,
    draw_training_items,
    sample_of_items,
)
from gridcnn.order.verdict import Verdict
from gridcnn.pipelines import ready
from gridcnn.runs.duplicates import find_duplicates
from gridcnn.runs.forms import ChangedThings, join_forms
from gridcnn.runs.located import resolve_augmentation, resolve_start, spec_folder
from gridcnn.runs.prepare import model_to_start_from
from gridcnn.spec.load import SpecLike, load
from gridcnn.spec.models import Data, Spec
from gridcnn.spec.nested import (
    is_nested,
    load_nested,
    nested_settings,
    refuse_unknown,
    without_replaced,
)
from gridcnn.stages.voting import Voting
from gridcnn.training.augmentation import changes_things, refuse_unfit_things
from gridcnn.training.budget import plan_epochs
from gridcnn.training.calibration import calibrate, refuse_uncalibrated, uncalibrated_sign
from gridcnn.training.loop import Labelled, train
from gridcnn.training.selection import settle_selection
from gridcnn.training.starting import start_from
from gridcnn.training.views import logits_of
from gridcnn.training.weighing import item_weights

_TRAINING = ("epochs", "learning_rate", "batch_size", "optimizer", "weight_decay", "patience")
"""The parameters that replace the spec's training settings of the same name."""
_HEAVY = 1e100
"""A weight of an item above this might make the sum of all infinite."""


class GridClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A convolutional network as a scikit-learn classifier.

    `X` is an array of numbers, or a sequence of raw items.

    The first dimension of an array is its items. The rest is what the spec's adapter reads: of a
    table `(items, columns)`, of pictures `(items, rows, columns)` or with channels first or last,
    of sounds `(items, samples)`. If the spec has no adapter, the array adapter takes rows and
    grids: `(items, columns)` (grids of one row), `(items, rows, columns)`, `(items, channels, rows,
    columns)` or `(items, rows, columns, channels)`. A DataFrame is the array of its columns, which
    keep their names and their order, as everywhere in scikit-learn.

    Raw items are paths, PIL images, encoded bytes, texts or arrays that differ in shape, also as
    the only column of a DataFrame. Without an adapter in the spec, the one that fits them is
    chosen: for texts that are not paths of files, the text adapter.

    All settings of the spec apply, and an adapter learns from the training items only. Of the data
    section, `validation`, `duplicates` and `bad_items` apply. `source`, `parts` and `test` do
    not: `X` and `y` are the training data.

    Args:
        spec: a ready spec's name, a file, a mapping or a `Spec`. None builds a small network for
            the shape of `X`.
        check: what happens if the order of the columns means nothing, so that a network is the
            wrong tool: "reject" raises `ColumnPermutableError`, which says what was found and what
            to use instead; "warn" warns and continues; "off" does not check; None: the spec's
            setting. Data of the array and the table adapter is checked in every `fit`, which takes
            seconds; a search over data that is known to be a grid is quicker with "off". If there
            is too little data to tell, training starts.
        epochs, learning_rate, batch_size, optimizer, weight_decay, patience: replace the spec's
            training settings of that name, where they are not None.
        class_weight: replaces `training.class_weights`, where it is not None: "balanced", or the
            weight of each class by its label.
        validation_fraction: the part of the training items by which the best epoch is chosen, and
            which is not trained on; 0 for none; None: `data.validation` where the spec has it, else
            none.
        random_state: replaces `training.seed`; an int, a `RandomState`, or None for the spec's.
        changes: replaces any other settings, as `{"stages[0].convolution.filters": 4}`; of a
            setting that has a parameter as well, this value wins. Searches set them by nested
            names, as `stages__0__filters`, which are kept here as well.
        channel_order: the position of the channels in an `X` of four dimensions: "first", "last",
            or "auto" (last where the last dimension is 1, 3 or 4 and the first is not). For the
            array adapter alone.
        scaling: how the array adapter scales numbers: "range" by the lowest and the highest of the
            training data, which become -1 and 1; "none" not at all; "auto" not at all if they are
            scaled already (a mean near 0 and a standard deviation near 1), else by the range of
            nearly all of them, so that outliers do not squash the rest.
        engine: the name of the engine; None: the fastest there is.
        threads: the most threads that it works with; None: as many as this process may use. The
            result does not depend on it.
        strict: whether notes on the training items are errors; otherwise they are warnings.

    Attributes:
        classes_: the classes, sorted; the order of the votes. Of several labels, a list of `[0, 1]`
            for each, as scikit-learn has it.
        labels_: what several labels are called, in the order of the votes: the columns of a
            DataFrame, else 0, 1, ...; only there if `y` was an indicator matrix.
        model_: the trained `Model`, which can be saved; its adapter is fitted.
        verdicts_: the verdict of each checker, a `gridcnn.order.verdict.Verdict` by its name; empty
            if none ran.
        history_: an `Epoch` for each epoch.
        n_iter_: how many epochs there were.
        n_features_in_: the length of the second dimension of `X`, where it is an array.
    """

    def __init__(
        self,
        spec: SpecLike | None = None,
        *,
        check: Check | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        optimizer: str | Mapping[str, Any] | None = None,
        weight_decay: float | None = None,
        patience: int | None = None,
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        validation_fraction: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        changes: Mapping[str, Any] | None = None,
        channel_order: Literal["auto", "first", "last"] = "auto",
        scaling: Literal["auto", "range", "none"] = "auto",
        engine: str | None = None,
        threads: int | None = None,
        strict: bool = False,
    ) -> None:
        self.spec = spec
        self.check = check
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.patience = patience
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.changes = changes
        self.channel_order = channel_order
        self.scaling = scaling
        self.engine = engine
        self.threads = threads
        self.strict = strict

    def fit(
        self,
        X: Any,  # noqa: N803 - scikit-learn's names
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on labelled items, and return the classifier.

        Args:
            X: the items.
            y: the label of each `(items,)`; or, if an item may have several labels, an indicator
                matrix `(items, labels)`: 1, 0, or NaN if not known. The head of the spec then has
                `labels: several`.
            sample_weight: what the loss of each item is multiplied by in training `(items,)`, and
                by the weight of its class; only the ratios matter. Items of weight 0 are left out.
                The best epoch is chosen by validation items that all count the same.

        Raises:
            SpecError: the spec or a setting is wrong, or does not fit the shape of `X`.
            DataError: an item cannot be read, or there are fewer than two classes, or no label
                that some items have and others do not.
            ColumnPermutableError: the order of the data means nothing, and `check` is "reject".
            UnknownNameError, EngineError: the engine is unknown, or cannot work with these
                settings.
            TrainingError: training cannot start or go on, for example for lack of memory.
        """
        check_choice(self.engine, self.threads)
        self._check_choices()
        spec_given, changes = self._spec(), self._changes()
        # The network of the default spec follows the grids, but its adapter comes before them.
        spec = self._change(spec_given or default_spec(GridShape(1, 1, 1), 1), changes)
        things = self._things(X, reset=True)
        things, targets, weights = self._read_labels(y, things, sample_weight)
        several = targets.ndim == 2
        spec = _with_head(spec, several=several)
        spec = resolve_start(spec, spec_folder(spec))
        model = model_to_start_from(spec)
        if model is not None and spec.adapter is None:
            spec = spec.model_copy(update={"adapter": model.adapter})
        run = self._make(things, targets, spec, weights)
        adapter, shape = run.adapter, run.adapter.shape()
        if spec_given is None:
            spec = self._change(default_spec(shape, run.items), changes)
            spec = resolve_start(spec, spec_folder(spec))
            spec = _with_head(spec, several=several)
        training = settle_selection(spec.training, several=several)
        spec = spec.model_copy(update={"training": training})
        spec = spec.model_copy(update={"adapter": adapter, "data": _training_data(spec, X, things)})
        engine = bind(
            spec,
            shape,
            classes=len(self.classes_),
            engine=self.engine,
            threads=self.threads,
        )
        start = None
        if model is not None and spec.training.start_from is not None:
            named = tuple(labels_of(self._names()))
            start = start_from(spec.training.start_from, model, engine.network, named)
        if spec.training.calibrate:
            refuse_uncalibrated(engine.network, run.validation)
        budget = None
        if spec.training.minutes is not None:
            budget = plan_epochs(engine, run.training, run.validation, spec.training)
            spec = spec.model_copy(update={"training": budget.plan(spec.training)})
        self.verdicts_: dict[str, Verdict] = {}
        if not adapter.makes_order:
            classes, _ = classes_to_judge(run.training.targets, self._names())
            checked = guard(
                run.training.grids,
                classes,
                spec.check if self.check is None else self.check,
                sample=run.sample,
                shape=shape,
                seed=spec.training.seed,
                threads=self.threads,
                remedy='give check="warn"',
            )
            self.verdicts_ = dict(checked.verdicts)
        seconds = None if budget is None else budget.seconds
        state = train(
            engine, run.training, run.validation, spec.training, start=start, seconds=seconds
        )
        if budget is not None:
            cut = budget.cut(spec.training, state.history)
            spec = spec.model_copy(update={"training": cut})
        for sign in state.signs:
            warnings.warn(sign.text, TrainingWarning, stacklevel=2)
        engine.settle()
        best = state.best
        if spec.training.calibrate and run.validation is not None:
            best, calibration = calibrate(engine, best, run.validation, spec.training)
            if calibration is None:
                sign = uncalibrated_sign(state.best_epoch, len(run.validation))
                warnings.warn(sign.text, TrainingWarning, stacklevel=2)
        thresholds = None
        if engine.head.several and run.validation is not None:
            logits = logits_of(engine, best, run.validation.grids, spec.training)
            thresholds = thresholds_for(engine.head, logits, run.validation.targets)
        # A model file knows texts and whole numbers; True is 1, as for labels anywhere else.
        self.model_ = Model(
            spec,
            labels_of(self._names()),
            best,
            thresholds=thresholds,
            engine=engine,
        )
        self.history_ = tuple(state.history)
        self.n_iter_ = len(self.history_)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the votes for each class, float32 `(items, classes)`: 0..1, and they add up to 1.

        Of several labels, `(items, labels)`, each is for itself.
        """
        check_is_fitted(self)
        things = self._things(X, reset=False)
        _refuse_unfit(self.model_.adapter, things)
        return self.model_.votes_of_many(things)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the class with the most votes for each item `(items,)`.

        Of several labels, an indicator matrix, int64 `(items, labels)`: 1 if the vote is at least
        the label's threshold, which is chosen on the validation items (0.5 without any), else 0.
        """
        votes = self.predict_proba(X)
        if self.model_.several:
            return self.model_.answers(votes)
        answers: NDArray[Any] = self.classes_[self.model_.head.answers(votes)]
        return answers

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        tags.classifier_tags.multi_label = True
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; `deep` adds all settings of the spec, as `training__epochs`."""
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep:
            with contextlib.suppress(UserError):  # a wrong spec is reported by `fit`
                changed = self._changed_spec()
                params |= {} if changed is None else nested_settings(changed)
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, of which some may be settings of the spec: `stages__0__filters=8`.

        These are kept in `changes`, under these names.

        Raises:
            SpecError: the spec has no such setting.
            ValueError: there is no such parameter.
        """
        nested = {name: value for name, value in params.items() if is_nested(name)}
        super().set_params(**{k: v for k, v in params.items() if k not in nested})
        if nested:
            changed = self._changed_spec()
            if changed is not None:
                refuse_unknown(changed, nested)
            self.changes = {**without_replaced(self.changes or {}, nested), **nested}
        return self

    def _changed_spec(self) -> Spec | None:
        """Return the spec with all changes but that of the seed; None without a spec."""
        spec = self._spec()
        return None if spec is None else load_nested(spec, self._changes(seeded=False))

    def _check_choices(self) -> None:
        """Raise `SpecError` for a parameter that is not one of its choices."""
        choices: dict[str, tuple[str | None, ...]] = {
            "check": (None, *CHECKS),
            "channel_order": ("auto", "first", "last"),
            "scaling": ("auto", "range", "none"),
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                names = ", ".join(each for each in allowed if each is not None)
                raise SpecError(f"{name} must be one of {names}; got {shown(value)}")

    def _things(self, given: Any, *, reset: bool) -> Things:
        """Return `X` as an array of numbers or a list of things; `reset`: in training.

        Raises:
            DataError: it is neither, or has other columns than in training.
        """
        if not reset and is_one(given):
            given = [given]
        things = things_of(given)
        if not reset:
            self._refuse_lone(things)
        if reset and not isinstance(things, np.ndarray):
            for name in ("n_features_in_", "feature_names_in_"):  # of an earlier fit
                self.__dict__.pop(name, None)
        if isinstance(things, np.ndarray):
            named = is_frame(given)
            if named:  # the array of its numbers has no names
                validate_data(self, given, skip_check_array=True, reset=reset)
            # Adapters say which item is not finite, and some fill in what is missing.
            options = {"dtype": "numeric", "allow_nd": True, "ensure_all_finite": False}
            things = (
                check_array(things, **options)
                if named
                else validate_data(self, things, reset=reset, **options)
            )
        return things

    def _refuse_lone(self, things: Things) -> None:
        """Raise `DataError` if it is a single grid, of which scikit-learn would count columns."""
        grid = self.model_.network.shape
        if not isinstance(things, np.ndarray) or things.shape != (grid.rows, grid.columns):
            return
        adapter = self.model_.adapter
        if grid.rows > 1 and adapter.takes_array(2) and adapter.is_lone(things):
            raise DataError(
                f"X is a single item, an array of shape {things.shape}; for one item give "
                "X[numpy.newaxis]"
            )

    def _read_labels(
        self, y: Any, things: Things, sample_weight: ArrayLike | None
    ) -> tuple[Things, Targets | LabelTargets, Array | None]:
        """Set `classes_`; return the things, targets and weights of the items that count.

        Raises:
            DataError: labels or weights are wrong, or there is nothing to learn.
        """
        self.__dict__.pop("labels_", None)  # of an earlier fit
        several = several_given(y)
        targets: Targets | LabelTargets
        if several is None:
            labels, targets = _classes(labels_given(y, len(things)))
            self.classes_: Any = labels
        else:
            self.labels_, targets = _labels(several, len(things))
            # Two labels by their names would be taken for two classes by scikit-learn's scorers.
            self.classes_ = [np.arange(2)] * len(self.labels_)
        weights = None
        if sample_weight is not None:
            things, targets, weights = _keep_weighted(sample_weight, things, targets)
            if several is None:
                self.classes_, targets = _present(self.classes_, targets)
        if several is None and len(self.classes_) < 2:
            only = shown(plain_value(self.classes_[0]))
            items = how_many(len(targets), "item")
            raise DataError(
                f"a classifier needs at least two classes; got one class ({only}) in {items}"
            )
        return things, targets, weights

    def _names(self) -> list[Any]:
        """Return what the classes, or the labels, are called, in the order of the votes."""
        names: NDArray[Any] = getattr(self, "labels_", self.classes_)
        return list(names.tolist())

    def _spec(self) -> Spec | None:
        return None if self.spec is None else load(self.spec, ready=ready())

    def _changes(self, *, seeded: bool = True) -> dict[str, Any]:
        """Return the settings that the constructor was given, by their places in the spec."""
        changes: dict[str, Any] = {}
        for name in _TRAINING:
            if getattr(self, name) is not None:
                changes[f"training.{name}"] = getattr(self, name)
        if self.class_weight is not None:
            given = self.class_weight
            if isinstance(given, Mapping):
                given = {str(plain_value(label)): weight for label, weight in given.items()}
            changes["training.class_weights"] = given
        if seeded and self.random_state is not None:
            seed = self.random_state
            if not isinstance(seed, int | np.integer):
                seed = check_random_state(seed).randint(2**31 - 1)
            changes["training.seed"] = int(seed)
        if not isinstance(self.changes, Mapping | None):
            raise SpecError(
                f"changes are a mapping of settings to values; got {shown(self.changes)}"
            )
        return {**changes, **(self.changes or {})}

    @staticmethod
    def _change(spec: Spec, changes: Mapping[str, Any]) -> Spec:
        changed = load_nested(spec, changes)
        if changed.head is None:
            raise SpecError("a classifier needs a head; add head: voting to the spec")
        return changed

    def _adapter(self, things: Things, spec: Spec) -> Adapter:
        """Return the spec's adapter, or the one that fits things, with the parameters for it."""
        adapter = spec.adapter
        if adapter is None:
            adapter = ArrayAdapter() if isinstance(things, np.ndarray) else fitting(things)
        _refuse_unfit(adapter, things)
        set_here = {
            name: getattr(self, name)
            for name in ("channel_order", "scaling")
            if getattr(self, name) != "auto"
        }
        if isinstance(adapter, ArrayAdapter):
            return type(adapter).model_validate({**adapter.model_dump(), **set_here})
        for name, value in set_here.items():
            place = f"adapter.{adapter.title}.{name}"
            own = f", and set its own: changes={{'{place}': ...}}"
            raise SpecError(
                f"{name}={shown(value)} is for the adapter array, and X is read by the adapter "
                f"{adapter.title}; leave it out{own if hasattr(adapter, name) else ''}"
            )
        return adapter

    def _make(
        self,
        things: Things,
        targets: Targets | LabelTargets,
        spec: Spec,
        weights: Array | None,
    ) -> _Made:
        """Return items as labelled grids, made by an adapter that is fitted to the training items.

        `weights` are those of the items `(items,)`.

        Raises:
            SpecError: the adapter, or the division, is not for such things.
            DataError: items cannot be read.
        """
        seed = spec.training.seed
        data = spec.data or Data()
        adapter = self._adapter(things, spec)
        first, second = self._divide(targets, spec)
        many = things
        forms, origins = other_forms(adapter, things, first, seed=seed)
        if forms:
            many = [*things, *forms]
            first = np.concatenate([first, np.arange(len(targets), len(many))])
            targets = np.concatenate([targets, targets[origins]])
            weights = None if weights is None else np.concatenate([weights, weights[origins]])
        adapter = adapter.fitted(pick(many, first) if len(first) < len(many) else many)
        result = adapted(adapter, many, threads=self.threads)
        if result.problems:
            if data.bad_items == "stop" or not len(result.kept):
                raise unreadable(result.problems)
            _warn_skipped(result.problems, len(many))
        grids, kept = result.grids.values, result.kept
        is_second = np.isin(kept, second)
        training = Labelled(grids, targets[kept], None if weights is None else weights[kept])
        validation = None
        if is_second.any():
            training, validation = training.chosen(~is_second), training.chosen(is_second)
        training = self._with_forms(training, spec, adapter, many, kept[~is_second])
        trained = Selection(many, kept[~is_second])
        sample = None
        if not adapter.makes_order:
            sample = _sample(adapter, many, first, kept[~is_second], training, seed)
        remarks = adapter.remarks(trained, training.grids, training=True)
        warn_of(remark_notes(remarks), strict=self.strict, stacklevel=3)
        if data.duplicates == "drop":
            training, validation = _without_duplicates(training, validation)
        missing: set[int] = set()
        if targets.ndim == 2:
            notes = unlearned_notes(training.targets, self._names())
            warn_of(notes, strict=self.strict, stacklevel=3)
        else:
            missing = set(range(len(self.classes_))) - set(training.targets.tolist())
        if missing:
            names = listed([shown(plain_value(self.classes_[each])) for each in sorted(missing)])
            raise DataError(f"no usable training item is left of the classes {names}")
        by_class = item_weights(
            spec.training,
            training.targets,
            self._names(),
            own=training.weights,
            document=spec.document,
        )
        training = dataclasses.replace(training, weights=by_class)
        return _Made(adapter, training, validation, sample)

    def _with_forms(
        self,
        training: Labelled,
        spec: Spec,
        adapter: Adapter,
        things: Things,
        chosen: NDArray[np.int64],
    ) -> Labelled:
        """Return training items with their changed forms, if an augmentation changes things.

        Raises:
            SpecError: it is not for the things of this adapter.
        """
        spec = resolve_augmentation(spec, spec_folder(spec))
        refuse_unfit_things(spec.training, adapter, spec.document)
        if not changes_things(spec.training):
            return training
        changed = ChangedThings(things, chosen, adapter, spec.training)
        forms = join_forms(changed, adapted(adapter, changed, threads=self.threads))
        return dataclasses.replace(training, forms=forms)

    def _divide(
        self, targets: Targets | LabelTargets, spec: Spec
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the items for training, and those by which the best epoch is chosen."""
        part = self.validation_fraction
        data = spec.data or Data()
        if part is None:
            part = data.validation if "validation" in data.model_fields_set else 0.0
        if isinstance(part, bool) or not isinstance(part, int | float) or not 0 <= part < 1:
            raise SpecError(f"validation_fraction must be from 0 to below 1; got {shown(part)}")
        if part == 0:
            if spec.training.patience is not None:
                raise SpecError(
                    "patience waits for a better validation result; set validation_fraction too"
                )
            return np.arange(len(targets)), np.zeros(0, np.int64)
        if data.group is not None:
            raise SpecError(
                "data.group keeps items together when they are divided, but fit(X, y) takes no "
                "groups; set validation_fraction=0, and divide with a splitter of scikit-learn, "
                "such as GroupKFold"
            )
        names = [f"item {index}" for index in range(len(targets))]
        labels: Any = targets.tolist() if targets.ndim == 1 else targets
        label_names = None if targets.ndim == 1 else tuple(range(targets.shape[1]))
        dataset = Dataset(range(len(targets)), labels, names, label_names=label_names)
        division = divide(dataset, test=0.0, validation=part, seed=spec.training.seed)
        if spec.training.patience is not None and not len(division.validation):
            raise DataError(
                "patience waits for a better validation result, but every class has only 1 item; "
                "add items, or leave patience out"
            )
        warn_of(division.notes, strict=self.strict, stacklevel=4)
        return division.train, division.validation


@dataclass(frozen=True)
class _Made:
    """An adapter that is fitted, and the labelled grids that it made."""

    adapter: Adapter
    training: Labelled
    validation: Labelled | None
    sample: Sample | None

    @property
    def items(self) -> int:
        """How many grids there are."""
        return len(self.training) + (0 if self.validation is None else len(self.validation))


def _with_head(spec: Spec, *, several: bool) -> Spec:
    """Return the spec with a head for several labels of an item, if it says nothing else.

    Raises:
        SpecError: the head is for the other case.
    """
    head = spec.head
    assert head is not None
    if head.stage(2).several == several:
        return spec
    if several and isinstance(head, Voting) and "labels" not in head.model_fields_set:
        settings = {**head.model_dump(exclude_unset=True), "labels": "several"}
        return spec.model_copy(update={"head": type(head)(**settings)})
    given, remedy = "one label for each item", "leave labels: several out, or give a matrix of 0, 1"
    if several:
        given, remedy = "several labels for each item", "write head: {voting: {labels: several}}"
    raise SpecError(
        spec.document.problem(("head",), f"the head is not for {given}, as y has; {remedy}")
    )


def _labels(several: Several, items: int) -> tuple[NDArray[Any], LabelTargets]:
    """Return the names of several labels, and the labels of all items.

    Raises:
        DataError: they are not those of the items, or no label can be learned.
    """
    rows = several.rows
    if len(rows) != items:
        raise DataError(
            f"X has {items:,} {'item' if items == 1 else 'items'}, and y {len(rows):,} "
            f"{'row' if len(rows) == 1 else 'rows'}; give one row of labels for each item"
        )
    if not ((rows == 1).any(axis=0) & (rows == 0).any(axis=0)).any():
        raise DataError("each label in y is the same for all items, so there is nothing to learn")
    return labels_array(several.names), rows


def _keep_weighted(
    given: ArrayLike, things: Things, targets: Targets | LabelTargets
) -> tuple[Things, Targets | LabelTargets, Array]:
    """Return the things, targets and weights of the items whose weight is not 0.

    Raises:
        ValueError: there is not one finite number for each item.
        DataError: there are other numbers of them, one is below 0, or all are 0.
    """
    weights = check_array(
        given, ensure_2d=False, dtype=np.float64, allow_nd=True, input_name="sample_weight"
    )
    if weights.shape != (len(things),):
        raise DataError(
            f"sample_weight has the shape {weights.shape}; give one weight for each of the "
            f"{len(things)} items of X"
        )
    if (weights < 0).any():
        index = int(np.flatnonzero(weights < 0)[0])
        raise DataError(
            f"sample_weight[{index}] is {weights[index]:g}; weights must be zero or more"
        )
    places = np.flatnonzero(weights)
    if not len(places):
        raise DataError("all weights in sample_weight are zero, so that no item is left")
    if weights.max() > _HEAVY:  # only the ratios matter
        weights = weights / weights.max()
    return (
        (things if len(places) == len(weights) else pick(things, places)),
        targets[places],
        weights[places],
    )


def _present(
    classes: NDArray[Any], targets: Targets | LabelTargets
) -> tuple[NDArray[Any], Targets]:
    """Return the classes that occur, and the targets among them."""
    present, numbers = np.unique(targets, return_inverse=True)
    return classes[present], numbers.reshape(-1).astype(np.int64)


def _sample(
    adapter: Adapter,
    things: Things,
    training: NDArray[np.int64],
    readable: NDArray[np.int64],
    data: Labelled,
    seed: int,
) -> Sample:
    """Return the training items that are looked at, of which `data` holds the `readable` ones."""
    places = np.flatnonzero(
        np.isin(readable, draw_training_items(training, adapter, adapter.shape(), seed))
    )
    names = range(data.targets.shape[-1])
    classes, judged = classes_to_judge(data.targets[places], names)
    return sample_of_items(
        things,
        readable[places],
        data.grids[places],
        classes,
        adapter=adapter,
        rows=len(training),
        seed=seed,
        notes=judged,
    )


def _refuse_unfit(adapter: Adapter, things: Things) -> None:
    """Raise `DataError` if the adapter cannot read items of this kind."""
    remedy = "name another adapter, as changes={'adapter': 'array'}"
    if not isinstance(things, np.ndarray):
        first = next((thing for thing in things if thing is not None), None)
        if isinstance(first, str | os.PathLike) and not adapter.texts and not adapter.suffixes:
            raise DataError(
                f"X holds texts or paths, such as {shown(first)}, and the adapter {adapter.title} "
                "reads no files; give an array of numbers, or name another adapter, as "
                "changes={'adapter': 'text'}"
            )
        return
    dimensions = things.ndim - 1
    if adapter.takes_array(dimensions):
        return
    allowed = [str(count) for count in range(1, 4) if adapter.takes_array(count)]
    if not allowed:
        raise DataError(
            f"X is an array of numbers, of shape {things.shape}, and the adapter {adapter.title} "
            f"takes none; give a list of texts, or {remedy}"
        )
    flat = ""
    if "1" not in allowed and dimensions == 1:
        flat = ": X.reshape(-1, rows, columns)"
    elif allowed == ["1"]:
        flat = ": X.reshape(len(X), -1)"
    others = "" if isinstance(adapter, ArrayAdapter) else f", or {remedy}"
    raise DataError(
        f"X has the shape {things.shape}, so that an item has {dimensions} "
        f"{'dimensions' if dimensions > 1 else 'dimension'}; the adapter {adapter.title} takes "
        f"items of {' or '.join(allowed)}. Give X another shape{flat}{others}"
    )


def _training_data(spec: Spec, given: Any, things: Things) -> Data | None:
    """Return the data section of the spec of a model: its data was given in memory."""
    named = isinstance(things, np.ndarray) and is_frame(given)
    if spec.data is None and not named:
        return None
    columns = tuple(str(name) for name in given.columns) if named else None
    return (spec.data or Data()).model_copy(update={"source": Memory(columns=columns)})


def _warn_skipped(problems: Sequence[Problem], items: int) -> None:
    count = len({problem.source for problem in problems})
    warnings.warn(
        f"{count} of {items} items cannot be read, and are left out (data.bad_items: skip); the "
        f"first is {problems[0]}",
        UserWarning,
        stacklevel=4,
    )


def _without_duplicates(
    training: Labelled, validation: Labelled | None
) -> tuple[Labelled, Labelled | None]:
    """Return the items whose grids differ from all earlier ones."""
    parts = {TRAIN: training}
    if validation is not None:
        parts[VALIDATION] = validation
    first = find_duplicates(parts).first
    left = {name: part.chosen(first[name]) for name, part in parts.items()}
    return left[TRAIN], left.get(VALIDATION)


def default_spec(shape: GridShape, items: int) -> Spec:
    """Return a small network for grids of `shape`: two bricks of stages, then 64 hidden votes.

    Windows never reach across an axis of one cell. If rows have no order, as in texts, there is one
    brick, whose features cover all rows. With few items there are more epochs, so that the network
    moves at least some 300 times.
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


def _classes(labels: NDArray[Any]) -> tuple[NDArray[Any], Targets]:
    """Return the different labels, sorted, numbers before texts; and the index of each label."""
    if labels.dtype.kind != "O":
        classes, targets = np.unique(labels, return_inverse=True)
        return classes, targets
    dataset = Dataset(range(len(labels)), labels.tolist(), range(len(labels)))  # type: ignore[arg-type]
    return labels_array(dataset.classes), most(dataset.targets(dataset.classes))
