"""The memory that training and answers take, known before they begin."""

from __future__ import annotations

from gridcnn.contracts.augmentation import Augmentation
from gridcnn.cores import usable_memory
from gridcnn.engines.base import ANSWERED, Engine, Memory
from gridcnn.errors import TrainingError, sized
from gridcnn.grid import GridShape
from gridcnn.spec.models import Training
from gridcnn.spec.optimizers import Sgd
from gridcnn.training.optimizers import AdamOptimizer, SgdOptimizer

_FLOAT = 4  # bytes
_LOADED = 3  # vectors: as the file has them, put together, and as the model keeps them


def planned(engine: Engine, settings: Training, *, saved: bool = True) -> Memory:
    """Return what training takes at most, and what answering takes, in bytes.

    Training is with batches of the settings' size, and each epoch is `saved` to a checkpoint or
    not. Answering is with batches of `ANSWERED` items. The grids of one batch are counted, those of
    all the data are not, and neither are Python and its libraries.
    """
    network = engine.network
    vector, grids = _FLOAT * network.parameters, _FLOAT * network.shape.cells
    size = settings.batch_size
    vectors = _vectors(settings, saved=saved)
    batch = size * (grids + _augmented(settings, network.shape))
    return Memory(
        engine.memory(size).training + vectors * vector + batch,
        engine.memory(ANSWERED).prediction + _LOADED * vector + ANSWERED * grids,
    )


def _augmented(settings: Training, shape: GridShape) -> int:
    """Return the memory that the augmentation of one item takes beside the item, in bytes."""
    works = [
        each.working_bytes(shape)
        for each in settings.augmentation
        if isinstance(each, Augmentation)
    ]
    return _FLOAT * shape.cells + max(works) if works else 0


def _vectors(settings: Training, *, saved: bool) -> int:
    """Return how many vectors as long as the parameters there are at a time, at most."""
    remembered = 0
    if settings.method != "nudge":
        chosen = SgdOptimizer if isinstance(settings.optimizer, Sgd) else AdamOptimizer
        remembered = len(chosen.memory)
    # While an epoch lasts: the parameters and the best ones of the epoch before, those at work, and
    # what the optimizer remembers, once as it was at the end of that epoch, once at work, and once
    # more when this epoch ends. One says what decays, if anything does; two are for what the
    # optimizer computes.
    decaying = int(bool(settings.weight_decay))
    lasting = 3 + 3 * remembered + decaying + 2
    # While it is saved: parameters and best ones, what is remembered twice, what decays, and all of
    # the file's content three times on its way there.
    saving = 2 + 2 * remembered + decaying + 3 * (2 + remembered)
    return max(lasting, saving) if saved else lasting


def refuse_too_large(engine: Engine, settings: Training, *, saved: bool = True) -> None:
    """Raise `TrainingError` where training takes more memory than this process may use."""
    usable = usable_memory()
    if usable is None:
        return
    needed = planned(engine, settings, saved=saved).training
    if needed <= usable:
        return
    ways = ["fewer filters", "earlier pooling"]
    if settings.batch_size > 1:
        ways.insert(0, f"a smaller training.batch_size (now {settings.batch_size})")
    if engine.workers not in (None, 1):
        ways.append(f"fewer threads (now {engine.workers})")
    raise TrainingError(
        f"training needs {sized(needed)} of memory beside the data, and {sized(usable)} are usable "
        f"here; take {', '.join(ways[:-1])} or {ways[-1]}"
    )
