"""Plain methods that learn from the same training items and choose by the same validation items."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.samples import samples_of
from gridcnn.contracts.adapter import Adapter, Things, pick
from gridcnn.grid import Cells, OneHot
from gridcnn.label_measures import label_measures

_STEPS = 500
"""Steps of a logistic regression, at most: validation items seldom want more of them."""
_COEFFICIENTS = 20


@dataclass(frozen=True)
class Items:
    """Things, the grids that an adapter made of them, and the index of each one's class.

    If they may have several labels, targets are `(items, labels)`: 1, 0, or NaN if not known.
    """

    things: Things
    grids: Cells
    targets: NDArray[Any]


@dataclass(frozen=True)
class Baseline:
    """A plain method.

    Attributes:
        title: what tables call it.
        sees: what it learns from, in words.
        features: makes that of items; the adapter is the fitted one of the spec.
        choices: what makes scikit-learn's estimators, by the settings that are tried, which the
            validation items choose from; the first of the best is taken.
    """

    title: str
    sees: str
    features: Callable[[Items, Adapter], Any]
    choices: Mapping[str, Callable[[], Any]]


@dataclass(frozen=True)
class Fitted:
    """A baseline with the settings that the validation items have chosen.

    Attributes:
        baseline: what it was made of.
        estimator: scikit-learn's.
        chosen: the settings.
        validation: the accuracy on the validation items; of several labels the mean area under the
            ROC curve.
        seconds: what fitting and validation took with those settings.
    """

    baseline: Baseline
    estimator: Any
    chosen: str
    validation: float
    seconds: float

    def votes(self, items: Items, adapter: Adapter, classes: int) -> NDArray[np.float64]:
        """Return the probabilities that it gives each class, `(items, classes)`."""
        found = np.zeros((len(items.targets), classes))
        known = self.estimator.classes_
        found[:, known] = self.estimator.predict_proba(self.baseline.features(items, adapter))
        return found


def fit(baseline: Baseline, train: Items, validation: Items, adapter: Adapter) -> Fitted:
    """Return the baseline, fitted on training items with the settings that validation chooses.

    Where there are no validation items, a tenth of the training items chooses, and the baseline is
    then fitted on all of them.
    """
    if not len(validation.targets):
        kept, held = _held_back(train)
        chooser = fit(baseline, kept, held, adapter)
        only = dataclasses.replace(
            baseline, choices={chooser.chosen: baseline.choices[chooser.chosen]}
        )
        return dataclasses.replace(
            fit(only, train, held, adapter), baseline=baseline, validation=chooser.validation
        )
    from sklearn.exceptions import ConvergenceWarning

    limits: Any = import_module("threadpoolctl").threadpool_limits
    seen, asked = baseline.features(train, adapter), baseline.features(validation, adapter)
    best: Fitted | None = None
    for chosen, make in baseline.choices.items():
        start = time.perf_counter()
        # With one thread sums are always added in the same order.
        with limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator = make().fit(seen, train.targets)
            right = float(estimator.score(asked, validation.targets))
        seconds = time.perf_counter() - start
        if best is None or right > best.validation:
            best = Fitted(baseline, estimator, chosen, right, seconds)
    assert best is not None
    return best


def _held_back(train: Items) -> tuple[Items, Items]:
    """Return training items without a tenth of them, drawn at random, and that tenth."""
    order = np.random.default_rng(0).permutation(len(train.targets))
    held = max(1, len(order) // 10)
    kept, back = (
        Items(pick(train.things, each), train.grids[each], train.targets[each])
        for each in (np.sort(order[held:]), np.sort(order[:held]))
    )
    return kept, back


def _cells(items: Items, _: Adapter) -> Any:
    """Return the cells of each grid in a row; those of one-hot grids as a sparse matrix."""
    if not isinstance(items.grids, OneHot):
        return items.grids.reshape(len(items.grids), -1)
    from scipy.sparse import csr_matrix

    count, columns = items.grids.indices.shape
    item, column = np.nonzero(items.grids.indices >= 0)
    cell = items.grids.indices[item, column] * columns + column
    ones = np.ones(len(cell), np.float32)
    return csr_matrix((ones, (item, cell)), shape=(count, items.grids.rows * columns))


def _texts(items: Items, _: Adapter) -> list[str]:
    return [str(thing) for thing in items.things]


def _cepstral_statistics(items: Items, adapter: Adapter) -> NDArray[np.float32]:
    """Return the mean and the standard deviation over time of each clip's MFCC, by librosa."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of its own imports, which it puts off
        import librosa

        mfcc = librosa.feature.mfcc
    assert isinstance(adapter, AudioAdapter)
    rate = adapter.sample_rate
    rows = []
    for thing in items.things:
        samples = samples_of(thing, sample_rate=rate, max_duration=adapter.max_duration)
        found = mfcc(
            y=samples,
            sr=rate,
            n_mfcc=_COEFFICIENTS,
            n_fft=adapter.n_fft,
            hop_length=adapter.hop_length,
            n_mels=adapter.n_mels,
        )
        rows.append(np.concatenate([found.mean(axis=1), found.std(axis=1)]))
    return np.stack(rows).astype(np.float32)


class _EachLabel:
    """A logistic regression for each label, on the n-grams of characters in texts.

    It has what `fit` and `Fitted` need of an estimator of scikit-learn.
    """

    def __init__(self, sizes: tuple[int, int], strength: float) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._counted: Any = TfidfVectorizer(
            analyzer="char", ngram_range=sizes, sublinear_tf=True, lowercase=False, min_df=2
        )
        self._strength = strength
        self._of_each: list[Any] = []
        self.classes_ = np.arange(0)

    def fit(self, texts: list[str], targets: NDArray[Any]) -> _EachLabel:
        from sklearn.linear_model import LogisticRegression

        seen = self._counted.fit_transform(texts)
        for label in targets.T:
            known = np.flatnonzero(~np.isnan(label))
            last = LogisticRegression(C=self._strength, max_iter=_STEPS, solver="liblinear")
            self._of_each.append(last.fit(seen[known], label[known]))
        self.classes_ = np.arange(targets.shape[1])
        return self

    def predict_proba(self, texts: list[str]) -> NDArray[np.float64]:
        seen = self._counted.transform(texts)
        return np.stack([each.predict_proba(seen)[:, 1] for each in self._of_each], axis=1)

    def score(self, texts: list[str], targets: NDArray[Any]) -> float:
        return label_measures(targets, self.predict_proba(texts), None).auc or 0.0


def _ngrams_of_labels(sizes: tuple[int, int], strength: float) -> Callable[[], Any]:
    return lambda: _EachLabel(sizes, strength)


def _logistic(strength: float, *, standardised: bool) -> Callable[[], Any]:
    def make() -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        last = LogisticRegression(C=strength, max_iter=_STEPS)
        return make_pipeline(StandardScaler(), last) if standardised else last

    return make


def _neighbours(count: int) -> Callable[[], Any]:
    def make() -> Any:
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(count, algorithm="brute")

    return make


def _ngrams(sizes: tuple[int, int], strength: float, *, lowercase: bool) -> Callable[[], Any]:
    def make() -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        counted = TfidfVectorizer(
            analyzer="char", ngram_range=sizes, sublinear_tf=True, lowercase=lowercase
        )
        return make_pipeline(counted, LogisticRegression(C=strength, max_iter=_STEPS))

    return make


def _strengths(
    numbers: Sequence[float], *, standardised: bool = True
) -> dict[str, Callable[[], Any]]:
    return {f"C = {c:g}": _logistic(c, standardised=standardised) for c in numbers}


def _sizes_and_strengths(
    sizes: Sequence[tuple[int, int]], *, lowercase: bool
) -> dict[str, Callable[[], Any]]:
    return {
        f"{few} to {many} characters, C = {c:g}": _ngrams((few, many), c, lowercase=lowercase)
        for few, many in sizes
        for c in (1, 10, 100)
    }


LOGISTIC = Baseline(
    "logistic regression",
    "the cells of the same grids, each standardised",
    _cells,
    _strengths((0.001, 0.01, 0.1)),
)
LOGISTIC_ONE_HOT = Baseline(
    "logistic regression",
    "the cells of the same grids",
    _cells,
    _strengths((0.1, 1, 10), standardised=False),
)
NEAREST = Baseline(
    "nearest neighbour",
    "the cells of the same grids",
    _cells,
    {"1 neighbour": _neighbours(1), "3 neighbours": _neighbours(3)},
)
CEPSTRAL = Baseline(
    "logistic regression on MFCC",
    f"mean and standard deviation over time of {_COEFFICIENTS} MFCC of each clip, standardised",
    _cepstral_statistics,
    _strengths((0.1, 1, 10)),
)
CHARACTERS = Baseline(
    "character n-grams",
    "TF-IDF of the n-grams of characters in the same texts, by logistic regression",
    _texts,
    _sizes_and_strengths(((1, 4), (2, 5)), lowercase=True),
)
SMILES = Baseline(
    "SMILES n-grams",
    "TF-IDF of the n-grams of characters in the same SMILES, by logistic regression",
    _texts,
    _sizes_and_strengths(((1, 3), (1, 5)), lowercase=False),
)
SMILES_OF_LABELS = Baseline(
    "SMILES n-grams",
    "TF-IDF of the n-grams of characters in the same SMILES, by a logistic regression for each "
    "label",
    _texts,
    {f"1 to 5 characters, C = {c:g}": _ngrams_of_labels((1, 5), c) for c in (1, 10)},
)
