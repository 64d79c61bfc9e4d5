"""Data that the workers of a cluster read: each makes and holds the grids of its own items."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.cluster.crew import Crew
from gridcnn.cluster.held import HeldCells, HeldData
from gridcnn.contracts.adapter import Adapter, Things
from gridcnn.errors import SpecError
from gridcnn.grid import Grids
from gridcnn.progress import Advance, Counter
from gridcnn.runs.adapting import Adapting, Made, Parts
from gridcnn.spec.models import Spec
from gridcnn.training.augmentation import changes_things

OPTION = "--spread-data (spread_data=True)"


class SpreadAdapting(Adapting):
    """Lets workers read the items, and hold their grids; for the first adapter that it is given.

    Grids of any other adapter, such as those of the literal comparison, are made here.

    Args:
        things, names, threads, advance: as for `Adapting`.
        crew: the workers.
        judged: whether it is asked later whether the order of the items means anything.
    """

    def __init__(
        self,
        things: Things,
        names: Sequence[str],
        *,
        crew: Crew,
        judged: bool = True,
        threads: int | None = None,
        advance: Advance | None = None,
    ) -> None:
        super().__init__(things, names, threads=threads, advance=advance)
        self._crew = crew
        self._judged = judged
        self._held: HeldData | None = None

    def parts(
        self,
        adapter: Adapter,
        chosen: Mapping[str, NDArray[np.int64]],
        *,
        what: str = "reading items",
    ) -> Parts:
        """Return the grids of the items in each part, which stay with the workers.

        Raises:
            SpecError: the adapter leaves open whether the order of its items means anything.
        """
        if self._held is None:
            if self._judged:
                refuse_unordered(adapter)
            self._held = HeldData(self._crew, self.things, self.names, adapter)
        elif adapter != self._held.adapter:
            return super().parts(adapter, chosen, what=what)
        counter = Counter(self._advance, what, sum(map(len, chosen.values())))
        made = {name: self._survey(self._held, part, counter) for name, part in chosen.items()}
        self.told = f"on {len(self._crew.workers)} workers, each with its own"
        return Parts(made, tuple(problem for each in made.values() for problem in each.problems))

    def _survey(self, data: HeldData, part: NDArray[np.int64], counter: Counter) -> Made:
        kept, problems = data.survey(part, counter)
        cells = HeldCells(data, part[kept])
        digest = hashlib.sha256(b"" if cells.digests is None else cells.digests.tobytes())
        passing: Any = cells  # for an array
        return Made(Grids(passing, data.shape), kept, problems, digest.hexdigest())


def refuse_unordered(adapter: Adapter) -> None:
    """Raise `SpecError` for an adapter of numbers: whether they are a grid is looked at here."""
    if not adapter.makes_order:
        raise SpecError(
            f"{OPTION} is for pictures, sounds, texts and molecules; the {adapter.title} adapter "
            "needs all numbers in one place, to check whether their order means anything: leave "
            "it out"
        )


def refuse_unspreadable(spec: Spec) -> None:
    """Raise `SpecError` for a spec whose data the workers cannot hold, before anything is read."""
    if spec.adapter is not None:
        refuse_unordered(spec.adapter)
    if changes_things(spec.training):
        raise SpecError(
            f"{OPTION} keeps one grid of each item, and an augmentation of the spec makes several "
            "from the items themselves; leave one of them out"
        )
