"""A pipeline without training: things in, the stack of maps after any stage out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.datasets.readers.memory import Memory
from gridcnn.datasets.tables.frames import is_frame
from gridcnn.engines.base import Engine, bind, check_choice
from gridcnn.errors import DataError
from gridcnn.grid import Array, GridShape
from gridcnn.gridding import grids_of
from gridcnn.model import as_things, freeze, maps_after
from gridcnn.notes import remark_notes, warn_of
from gridcnn.pipelines import ready
from gridcnn.spec.load import SpecLike, load
from gridcnn.spec.models import Spec

_KEPT = 8
"""The largest number of shapes of grids whose engines are kept."""


class Pipeline:
    """The stages of a spec as a feature extractor; a head is left out.

    Features that are written out work at once; others have the values from which training would
    start. Without an adapter in the spec, numeric arrays are taken as grids, cells as they are.

    Args:
        spec: the name of a ready spec, a file, a mapping or a `Spec`.
        engine: the name of the engine; by default the fastest there is.
        threads: the most threads that it works with; None: as many as this process may use.
        strict: whether notes on things are errors; otherwise they are warnings.

    Raises:
        SpecError, UnknownNameError: the spec is wrong, or not known.
        EngineError: the engine cannot work like this.
    """

    _columns: Memory | None = None  # of the DataFrame that it was fitted on

    def __init__(
        self,
        spec: SpecLike,
        *,
        engine: str | None = None,
        threads: int | None = None,
        strict: bool = False,
    ) -> None:
        check_choice(engine, threads)
        self.spec: Spec = load(spec, ready=ready())
        self.engine = engine
        self.threads = threads
        self.strict = strict
        self._engines: dict[GridShape, tuple[Engine, Array]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: without engines, which are made again after loading."""
        return {**self.__dict__, "_engines": {}}

    def fit(self, things: Any, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's form
        """Fit the adapter to things, and return the pipeline.

        Of a DataFrame, the same columns are taken later, whatever their order.

        Raises:
            DataError: there are no things, or they cannot be read.
        """
        adapter = self._adapter()
        fitted = adapter.fitted(self._things(things, adapter, columns=None))
        self._columns = None
        if is_frame(things):
            self._columns = Memory(columns=tuple(map(str, things.columns)))
        self.spec = self.spec.model_copy(update={"adapter": fitted})
        return self

    def transform(self, things: Any, *, after: int | str | None = None) -> Array:
        """Return the maps, float32 `(items, channels, rows, columns)`.

        Args:
            things: what the adapter takes; without one, an array `(items, rows, columns)`,
                `(items, channels, rows, columns)` or `(items, columns)`.
            after: the number of a stage, from 1; 0 gives the grids that go in, None the last maps.
                A stage inside of another one is named by its label, as `4.1.2 pooling`, or `4.1.2`.

        Raises:
            UserError: there is no such stage.
            DataError: a thing cannot be read, or there are notes on things, and it is strict.
            ShapeError: a stage cannot work on these grids.
        """
        return self._transform(things, after)

    def fit_transform(self, things: Any, y: object = None) -> Array:
        """Fit the adapter to things, and return their maps after the last stage."""
        return self.fit(things, y)._transform(things, None)

    def _transform(self, things: Any, after: int | str | None) -> Array:
        adapter = self._adapter()
        many = self._things(things, adapter, columns=self._columns)
        fitted = adapter.fitted(many)
        grids = grids_of(fitted, many, threads=self.threads)
        # There is no trained model yet, and so its settings may still be changed.
        remarks = fitted.remarks(many, grids.values, training=True)
        warn_of(remark_notes(remarks), strict=self.strict, stacklevel=3)
        engine, parameters = self._engine(grids.shape)
        return maps_after(engine, parameters, grids.values, after)

    def _things(self, things: Any, adapter: Adapter, *, columns: Memory | None) -> Sequence[Any]:
        """Return things as a sequence; of a DataFrame, the columns that were there in `fit`."""
        if things is None:
            raise DataError("there are no things to transform; got None")
        return as_things(things, adapter, columns)

    def _engine(self, shape: GridShape) -> tuple[Engine, Array]:
        """Return the engine for grids of a shape, and the parameters; both are made once."""
        entry = self._engines.get(shape)
        if entry is None:
            engine = bind(self.spec, shape, engine=self.engine, threads=self.threads)
            entry = self._engines[shape] = engine, freeze(engine.network.starting_parameters())
            if len(self._engines) > _KEPT:
                self._engines.pop(next(iter(self._engines)), None)
        return entry

    def _adapter(self) -> Adapter:
        if self.spec.adapter is None:
            return ArrayAdapter(scaling="none")
        return self.spec.adapter
