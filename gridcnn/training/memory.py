"""The memory that training and answers take, known before they begin."""

from __future__ import annotations

from collections.abc import Sequence

from gridcnn.contracts.augmentation import Augmentation
from gridcnn.cores import usable_memory
from gridcnn.engines.base import ANSWERED, Engine, Memory
from gridcnn.errors import TrainingError, sized
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.models import Training
from gridcnn.training.optimizers import memory_names

_FLOAT = 4  # bytes
_LOADED = 3  # vectors: as the file has them, put together, and as the model keeps them


def estimate_memory(engine: Engine, settings: Training, *, saved: bool = True) -> Memory:
    """Return what training takes at most, and what answering takes, in bytes.

    Training is with batches of the settings' size, and each epoch is `saved` to a checkpoint or
    not. Answering is with batches of `ANSWERED` items. The grids of one batch are counted, those of
    all the data are not, and neither are Python and its libraries.
    """
    network = engine.network
    vector, grids = _FLOAT * network.parameters, _FLOAT * network.shape.cells
    training = engine.memory(settings.batch_size).training
    return Memory(
        training + least_planned(network, settings, saved=saved),
        engine.memory(ANSWERED).prediction + _LOADED * vector + ANSWERED * grids,
    )


def least_planned(network: Network, settings: Training, *, saved: bool = True) -> int:
    """Return what training takes whatever the engine, in bytes: all but the engine's own memory."""
    vectors = _vectors(settings, saved=saved) * _FLOAT * network.parameters
    item = _FLOAT * network.shape.cells + _augmentation_bytes(settings, network.shape)
    if settings.mixup:  # the other items in their new order, both multiplied, and the sum
        item += 4 * _FLOAT * network.shape.cells
    return vectors + settings.batch_size * item


def _augmentation_bytes(settings: Training, shape: GridShape) -> int:
    """Return the memory that the augmentation of one item takes besides the item, in bytes."""
    works = [
        augmentation.working_bytes(shape)
        for augmentation in settings.augmentation
        if isinstance(augmentation, Augmentation)
    ]
    return _FLOAT * shape.cells + max(works) if works else 0


def _vectors(settings: Training, *, saved: bool) -> int:
    """Return how many vectors as long as the parameters there are at a time, at most."""
    remembered = 0
    if settings.method != "nudge":
        remembered = len(memory_names(settings))
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
    """Raise `TrainingError` if training takes more memory than this process may use."""
    needed = estimate_memory(engine, settings, saved=saved).training
    fewer = [] if engine.workers in (None, 1) else [f"fewer threads (now {engine.workers})"]
    _refuse(needed, settings, fewer)


def refuse_hopeless(network: Network, settings: Training) -> None:
    """Raise `TrainingError` if training takes too much memory, whatever the engine.

    It needs no engine, so that this error comes early.
    """
    _refuse(least_planned(network, settings), settings, [])


def _refuse(needed: int, settings: Training, more_ways: Sequence[str]) -> None:
    usable = usable_memory()
    if usable is None or needed <= usable:
        return
    ways = ["fewer filters", "earlier pooling", *more_ways]
    if settings.batch_size > 1:
        ways.insert(0, f"a smaller training.batch_size (now {settings.batch_size})")
    raise TrainingError(
        f"training needs {sized(needed)} of memory beside the data, and {sized(usable)} are usable "
        f"here; take {', '.join(ways[:-1])} or {ways[-1]}"
    )
