"""Answers from several views of an item: itself, and grids that augmentation changes a little."""

from __future__ import annotations

import numpy as np

from gridcnn.engines.base import ANSWERED, Engine
from gridcnn.grid import Array, Cells, fetch_cells
from gridcnn.spec.models import Training

_EPOCH = 0
"""No epoch of training has this number, so no view is one that training has drawn."""


def logits_of(engine: Engine, parameters: Array, grids: Cells, settings: Training) -> Array:
    """Return the logits by which items are answered, `(items, classes)`.

    With `settings.views` above 1 these are means over the views of each item. Every item is changed
    by the same random numbers, so that its answer depends on that item alone.

    Args:
        engine: for the network.
        parameters: the flat vector.
        grids: `(items, channels, rows, columns)`; they are not changed.
        settings: with the augmentation, the number of views and the seed.

    Raises:
        TrainingError: the network has no head.
    """
    logits = engine.logits(parameters, grids)
    more = settings.views - 1
    if not (more and len(grids)):
        return logits
    from gridcnn.training.augmentation import Augmenter  # few models have several views

    shape, changes, seed = engine.network.shape, settings.view_changes, settings.seed
    sums = logits.astype(np.float64)
    at_once = max(1, ANSWERED // more)
    # Logits that overflowed give sums without a value, and such items are refused by their votes.
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(grids), at_once):
            # Grids that other processes hold come here once for all their views.
            items = fetch_cells(grids[np.arange(start, min(start + at_once, len(grids)))])
            views = []
            for item in range(len(items)):
                augment = Augmenter(changes, shape, seed=seed, epoch=_EPOCH)
                views.append(np.asarray(augment(items[np.full(more, item)])))
            found = engine.logits(parameters, np.concatenate(views))
            # One after the other, so that the sum of an item has the same bits in any batch.
            for view in range(more):
                sums[start : start + len(items)] += found[view::more]
        means: Array = (sums / settings.views).astype(logits.dtype)
    return means
