"""An explanation: everything that is shown of one item on its way through a network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import describe
from gridcnn.errors import DataError, RunFolderError, SpecError, listed, suggestion
from gridcnn.files import write_bytes
from gridcnn.forks import cached_property
from gridcnn.grid import Array, Cells
from gridcnn.progress import Advance
from gridcnn.report.explaining.election import Election, election_of
from gridcnn.report.explaining.fields import Field, fields_of
from gridcnn.report.explaining.matching import (
    Match,
    Windows,
    best_place,
    first_convolution,
    match_at,
    windows_of,
)
from gridcnn.report.explaining.mattering import (
    Hiding,
    cam_value,
    grad_cam,
    hiding_for,
    is_one_hot,
    likeness,
    occlusion,
    weighed_maps,
)
from gridcnn.report.explaining.original import Original, original_of
from gridcnn.report.explaining.passing import Passage
from gridcnn.stages.pooling import Pooling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gridcnn.model import Model

_OTHER_START = 1_000_003
"""Which starting weights are the random ones: not those from which the training began."""


@dataclass(frozen=True, eq=False)
class Importance:
    """What mattered for a class, by one network.

    Attributes:
        occlusion: how many votes the class loses if a cell's surroundings are hidden, float64
            `(rows, columns)` of the grid.
        grad_cam: where the maps of the last convolution spoke for the class, 0 or more, in the same
            shape; None if there are no maps of more than one cell.
        is_against: whether these maps speak against the class nearly everywhere, a hundred times as
            much as for it.
    """

    occlusion: NDArray[np.float64]
    grad_cam: NDArray[np.float64] | None
    is_against: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """One item on its way through a model.

    Attributes:
        model: the model.
        name: what the item is called.
        original: the item in its raw form.
        cells: its grid, `(1, channels, rows, columns)`, or one-hot.
        votes: the vote for each class, `(classes,)`, as `predict` has them for the item alone.
        target: the index of the class that is explained: the answer, unless another was asked for.
        passage: every value of the network.
        fields: which cells of the grid the cells of each value see.
        advance: called as the work on what mattered goes on.
        views: from how many views the model answers; what is explained is one, the item alone.
    """

    model: Model
    name: str
    original: Original
    cells: Cells
    votes: NDArray[np.float32]
    target: int
    passage: Passage
    fields: list[Field]
    advance: Advance | None = None
    views: int = 1

    @property
    def remark(self) -> str:
        """What to know about the votes: a sentence, or nothing."""
        if self.views == 1:
            return ""
        return (
            f"This model answers from {self.views} views of an item. This shows the item alone, so "
            "the votes differ a little."
        )

    @property
    def answer(self) -> list[str | int]:
        """The class with the most votes, as a list; of several labels those that are answered."""
        if self.model.several:
            return self.model.labels_answered(self.votes[None])[0]
        return [self.model.classes[int(self.model.head.answers(self.votes[None])[0])]]

    @property
    def grid(self) -> Array:
        """The item's grid, float32 `(channels, rows, columns)`."""
        grid: Array = np.asarray(self.cells)[0]
        return grid

    @property
    def one_hot(self) -> bool:
        """Whether each column of the grid has at most a single 1."""
        return is_one_hot(self.cells)

    def maps(self, value: int) -> NDArray[np.float64]:
        """Return a value of the network, `(channels, rows, columns)`; 0 is the grid."""
        cells: NDArray[np.float64] = self.passage.values[value][0]
        return cells

    @cached_property
    def election(self) -> Election | None:
        """Which cells gave how many votes; None if the head is not made of voting layers."""
        return election_of(self.passage)

    @cached_property
    def match(self) -> Match | None:
        """The best match of all first-layer features; None if nothing slides over the grid."""
        op = first_convolution(self.model.network)
        if op is None:
            return None
        maps = self.maps(op.target)
        feature = self.strongest(op.target)[0]
        place = best_place(maps[feature])
        return match_at(op, self.maps(0), self.passage.weights(op), feature, place)

    def strongest(self, value: int) -> list[int]:
        """Return the numbers of a value's maps from 0, those with the largest cells first."""
        best = self.maps(value).reshape(len(self.maps(value)), -1).max(axis=1)
        order: list[int] = np.argsort(-best, kind="stable").tolist()
        return order

    def windows(self, value: int) -> Windows | None:
        """Return the windows of the pooling that makes a value; None if no pooling does."""
        op = self.model.network.ops[value - 1]
        if value == 0 or not isinstance(op.stage, Pooling):
            return None
        return windows_of(op, self.maps(op.sources[0]))

    @cached_property
    def hiding(self) -> Hiding:
        """What occlusion hides at a time."""
        return hiding_for(self.grid, self.model.shape, one_hot=self.one_hot)

    @cached_property
    def importance(self) -> Importance:
        """What mattered for the class."""
        return self._importance(self.model.parameters, self.passage)

    @cached_property
    def random_parameters(self) -> Array:
        """The flat vector of the network with random weights."""
        return self.model.network.starting_parameters(again=_OTHER_START)

    @cached_property
    def random_importance(self) -> Importance:
        """What mattered for the class in the same network with random weights."""
        parameters = self.random_parameters
        passage = Passage(self.model.network, parameters, self.cells)
        return self._importance(parameters, passage)

    @cached_property
    def likeness(self) -> dict[str, float | None]:
        """The rank correlation of each map of importance with that of random weights."""
        pairs = {
            "occlusion": (self.importance.occlusion, self.random_importance.occlusion),
            "grad_cam": (self.importance.grad_cam, self.random_importance.grad_cam),
        }
        return {
            name: likeness(ours, random)
            for name, (ours, random) in pairs.items()
            if ours is not None and random is not None
        }

    def _importance(self, parameters: Array, passage: Passage) -> Importance:
        engine = self.model.engine

        def logits(grids: Array) -> Array:
            return engine.logits(parameters, grids)

        hidden = occlusion(logits, self.grid, self.target, self.hiding, advance=self.advance)
        value = cam_value(self.model.network)
        if value is None:
            return Importance(hidden, None)
        maps = weighed_maps(passage, self.target, value)
        cam = grad_cam(passage, self.target, value, self.fields[value])
        return Importance(hidden, cam, bool(100 * maps.max() < -maps.min()))

    def page(self) -> str:
        """Return the explanation as a page that needs nothing else, HTML."""
        from gridcnn.report.explaining.pages import explanation_page

        return explanation_page(self)

    def plain(self) -> dict[str, Any]:
        """Return the figures as plain data for JSON."""
        from gridcnn.report.explaining.figures_as_data import plain_explanation

        return plain_explanation(self)

    def plot(self) -> Figure:
        """Return the explanation as a Matplotlib figure; no window is opened."""
        from gridcnn.report.explaining.drawing import explanation_figure

        return explanation_figure(self)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the page to a file, whole or not at all, and return its path.

        Raises:
            RunFolderError: the file exists and `overwrite` is False, or it cannot be written.
        """
        target = Path(path)
        if not overwrite and os.path.lexists(target):
            raise RunFolderError(f"{target} exists already; give another name, or overwrite=True")
        try:
            write_bytes(target, self.page().encode(), replace=overwrite)
        except OSError as error:
            reason = error.strerror or error
            raise RunFolderError(f"{target} cannot be written: {reason}") from None
        return target

    def _repr_html_(self) -> str:
        from gridcnn.report.explaining.pages import frame_page

        return frame_page(self.page(), self.name)

    def __repr__(self) -> str:
        answer = listed([str(label) for label in self.answer]) or "no label"
        return f"Explanation({self.name!r}: {answer})"


def explain(
    model: Model,
    thing: Any,
    *,
    name: str | None = None,
    label: str | int | None = None,
    advance: Advance | None = None,
) -> Explanation:
    """Return one item on its way through a model.

    Args:
        model: the model.
        thing: one item, as `Model.predict` takes it.
        name: what it is called.
        label: the class whose votes are explained; None: the answer (of several labels, the one
            with the most votes).
        advance: called as the work on what mattered goes on, which begins when it is asked for.

    Raises:
        DataError: it cannot be read, or there are several things.
        SpecError: there is no such class.
    """
    things = model.things(thing)
    if len(things) != 1:
        raise DataError(f"one item is explained at a time; got {len(things)}")
    name = describe(things[0], 0) if name is None else name
    views, model = model.spec.training.views, model.with_one_view()
    adapted = model.adapted(things, names=[name])
    if adapted.problems:
        raise DataError(*adapted.problems)
    answered = model.answered(adapted.grids.values, names=[name])
    if answered.problems:
        raise DataError(*answered.problems)
    votes = answered.votes[0]
    return Explanation(
        model,
        name,
        original_of(model.adapter, things[0]),
        adapted.grids.values,
        votes,
        _class_number(model, votes, label),
        Passage(model.network, model.parameters, adapted.grids.values),
        fields_of(model.network),
        advance,
        views,
    )


def _class_number(model: Model, votes: Array, label: str | int | None) -> int:
    if label is None:
        return int(np.argsort(-votes, kind="stable")[0])
    named = {str(each): number for number, each in enumerate(model.classes)}
    if str(label) not in named:
        raise SpecError(
            f"the model has no class {str(label)!r}; its classes: {listed(list(named))}"
            f"{suggestion(str(label), named)}"
        )
    return named[str(label)]
