"""Changed forms of training items are made: what augmentations of things are for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Adapted, Adapter, Things
from gridcnn.contracts.augmentation import ThingAugmentation
from gridcnn.grid import Cells, GridShape
from gridcnn.runs.contents import Digests
from gridcnn.runs.located import resolve_augmentation, spec_folder
from gridcnn.spec.models import Spec, Training
from gridcnn.training.augmentation import (
    changed_forms,
    changed_thing,
    changes_things,
    refuse_unfit,
    refuse_unfit_things,
)
from gridcnn.training.forms import Forms


class ChangedThings(Sequence[Any]):
    """The changed forms of chosen things, each made when it is looked up; nothing is kept.

    First all forms of the first thing, then those of the next.

    Args:
        things: all things.
        chosen: the indices of those that have forms, int64 `(items,)`. A form depends on this index
            and the seed, and not on what else is chosen.
        adapter: fitted.
        settings: the training's, with the augmentation and the number of forms.
    """

    def __init__(
        self,
        things: Things,
        chosen: NDArray[np.int64],
        adapter: Adapter,
        settings: Training,
    ) -> None:
        self._things, self._chosen = things, chosen
        self._adapter, self._settings = adapter, settings

    @property
    def forms(self) -> int:
        """How many forms each thing has."""
        return self._settings.forms

    def __len__(self) -> int:
        return len(self._chosen) * self.forms

    def __getitem__(self, index: Any) -> Any:
        """Return a changed thing, or a list of them; raise `DataError` if one cannot be read."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place, form = divmod(int(index), self.forms)
        number = int(self._chosen[place])
        thing = self._things[number]
        return changed_thing(self._settings, thing, self._adapter, number, form)

    def digests(self, of_things: Digests) -> Digests:
        """Return a digest of each form, from those of all things, `(things, 32)`."""
        augmentation = [
            [each.model_dump(mode="json"), type(each).__qualname__, each.content]
            for each in self._settings.augmentation
            if isinstance(each, ThingAugmentation)
        ]
        # The place of each in the list decides its random numbers.
        places = [isinstance(each, ThingAugmentation) for each in self._settings.augmentation]
        how = json.dumps([augmentation, places, self._settings.seed]).encode()
        found = np.empty((len(self), 32), np.uint8)
        for index in range(len(self)):
            place, form = divmod(index, self.forms)
            number = int(self._chosen[place])
            digest = hashlib.sha256(how + b"\0%d\0%d\0" % (number, form))
            digest.update(of_things[number].tobytes())
            found[index] = np.frombuffer(digest.digest(), np.uint8)
        return found


def join_forms(things: ChangedThings, made: Adapted) -> Forms:
    """Return things as forms, of which `made` are the grids.

    Those that cannot be adapted, such as texts without a letter, are like the items themselves.
    """
    places = np.full(len(things), -1)
    places[made.kept] = np.arange(len(made.kept))
    return Forms(made.grids.values, places.reshape(-1, things.forms))


def changed_grids(spec: Spec, thing: Any, count: int) -> tuple[Cells, GridShape]:
    """Return so many forms of a thing, as training might see them, and the shape of each.

    The spec has a fitted adapter.

    Raises:
        SpecError, ShapeError: an augmentation is not for such things, or such grids.
        DataError: a file of an augmentation cannot be read.
    """
    adapter = spec.adapter
    assert adapter is not None
    settings = resolve_augmentation(spec, spec_folder(spec)).training
    shape = adapter.shape()
    refuse_unfit_things(settings, adapter, spec.document)
    refuse_unfit(settings, shape, spec.document)
    once = settings.model_copy(update={"forms": count})
    grids = adapter.grids([thing]).values[np.zeros(count, np.int64)]
    if changes_things(settings):
        things = ChangedThings([thing], np.zeros(1, np.int64), adapter, once)
        forms = join_forms(things, adapter.adapt_all(things))
        grids = forms.at(np.zeros(count, np.int64)).put(grids, np.arange(1, count + 1))
    return changed_forms(settings, grids, shape), shape
