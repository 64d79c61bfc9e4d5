"""A plain baseline: logistic regression on the cells, without any idea of what is near to what.

It is fitted on the training items of a run, some of them if there are many, and answers the same
test items as the network. What a network gains over it, it gains by its features.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.targets import LabelTargets, Targets, most
from gridcnn.grid import Cells, OneHot, fetch_cells
from gridcnn.measures import mean_of_known, roc_auc, wilson
from gridcnn.streams import Stream
from gridcnn.training.loop import Labelled

_MOST_CELLS = 2**22
"""Cells of all training items together; of one-hot grids only the 1s count."""
_MOST_ITEMS, _FEWEST_ITEMS = 4_000, 50
_STEPS = 60
_MOST_LABELS = 20
_CHUNK = 2_048


def fit_baseline(train: Labelled, test: Labelled, *, seed: int) -> dict[str, Any] | None:
    """Return how well logistic regression answers the test items, as plain data.

    `accuracy` has its 95 % `interval`; of several labels there is `auc` instead, the mean area
    under the ROC curve. `train_items` says on how many items it was fitted. None if single items
    have too many cells, or if there is nothing to fit.
    """
    from threadpoolctl import threadpool_limits

    chosen = _choose(train, seed)
    if chosen is None or not len(test):
        return None
    # Its products are small: threads of linear algebra mostly wait for each other, and spin.
    with threadpool_limits(1, user_api="blas"):
        return _figures(train, test, chosen)


def _figures(train: Labelled, test: Labelled, chosen: NDArray[np.int64]) -> dict[str, Any] | None:
    cells, mean, scale = _standardize(_flat(fetch_cells(train.grids[chosen])))
    targets = train.targets[chosen]
    if targets.ndim == 2:
        figures = _of_labels(cells, targets, test, mean, scale)
    else:
        figures = _of_classes(cells, most(targets), test, mean, scale)
    if figures is None:
        return None
    return {"name": "logistic regression", "train_items": len(chosen), **figures}


def _choose(train: Labelled, seed: int) -> NDArray[np.int64] | None:
    """Return which training items are used, drawn by the seed."""
    grids = train.grids
    each = grids.shape[3] if isinstance(grids, OneHot) else math.prod(grids.shape[1:])
    items = min(len(train), _MOST_ITEMS, _MOST_CELLS // max(each, 1))
    if items < min(_FEWEST_ITEMS, len(train)):
        return None
    places = Stream.BASELINE.random(seed).permutation(len(train))[:items]
    return np.sort(places).astype(np.int64)


def _of_classes(
    cells: Any, targets: Targets, test: Labelled, mean: Any, scale: Any
) -> dict[str, Any] | None:
    if len(np.unique(targets)) < 2:
        return None
    model = _fit(cells, targets)
    right = sum(
        int((model.predict(part) == most(test.targets[rows])).sum())
        for rows, part in _parts(test.grids, mean, scale)
    )
    return {"accuracy": right / len(test), "interval": list(wilson(right, len(test)))}


def _of_labels(
    cells: Any, targets: LabelTargets | Targets, test: Labelled, mean: Any, scale: Any
) -> dict[str, Any] | None:
    areas = []
    parts = list(_parts(test.grids, mean, scale))
    for label in range(min(targets.shape[1], _MOST_LABELS)):
        known = ~np.isnan(targets[:, label])
        if len(np.unique(targets[known, label])) < 2:
            continue
        model = _fit(cells[np.flatnonzero(known)], targets[known, label].astype(np.int64))
        order = np.concatenate([model.decision_function(part) for _, part in parts])
        is_known = ~np.isnan(test.targets[:, label])
        areas.append(
            roc_auc(test.targets[is_known, label] == 1, order[is_known].astype(np.float64))
        )
    auc = mean_of_known(areas)
    return None if auc is None else {"auc": auc}


def _fit(cells: Any, targets: Targets) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=_STEPS).fit(cells, targets)


def _parts(grids: Cells, mean: Any, scale: Any) -> Any:
    """Yield the items, some at a time: which they are, and their cells."""
    for start in range(0, len(grids), _CHUNK):
        rows = slice(start, start + _CHUNK)
        cells = _flat(fetch_cells(grids[rows]))
        yield rows, cells if mean is None else (cells - mean) / scale


def _standardize(cells: Any) -> tuple[Any, Any, Any]:
    """Return cells with mean 0 and one common deviation of 1; sparse ones as they are."""
    if not isinstance(cells, np.ndarray):
        return cells, None, None
    mean = cells.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = float((cells - mean).std()) or 1.0
    return (cells - mean) / scale, mean, scale


def _flat(grids: Cells) -> Any:
    """Return the cells of items, `(items, cells)`; of one-hot grids as a sparse matrix."""
    if not isinstance(grids, OneHot):
        return np.nan_to_num(np.asarray(grids, np.float32).reshape(len(grids), -1))
    from scipy.sparse import csr_matrix

    items, columns = np.nonzero(grids.indices >= 0)
    places = grids.indices[items, columns].astype(np.int64) * grids.shape[3] + columns
    ones = np.ones(len(places), np.float32)
    return csr_matrix((ones, (items, places)), (len(grids), grids.rows * grids.shape[3]))
