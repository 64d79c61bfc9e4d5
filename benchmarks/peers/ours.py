"""gridcnn itself, through the contract of an engine alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from benchmarks.peers import LAYER
from benchmarks.peers.base import Contestant, Way, Ways
from benchmarks.peers.case import RATE, Array, Case
from benchmarks.workloads import WORKLOADS
from gridcnn.engines.base import DEFAULT_ENGINE, ENGINES, Engine, make_engine
from gridcnn.grid import Cells, GridShape, OneHot
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.stages.convolution import Convolution
from gridcnn.training.optimizers import make_optimizer

DENSE, SYMBOLS = "dense grids", "one-hot grids"


def dense_grids(case: Case, network: Network) -> list[Cells]:
    """Return the batches `(items, channels, rows, columns)`."""
    batches = (case.grids(batch) for batch in range(case.batches))
    return [batch.reshape(-1, *network.shape.sizes) for batch in batches]


def symbol_grids(case: Case, network: Network) -> list[Cells]:
    """Return the batches of a case of one-hot grids, as `gridcnn.grid.OneHot`."""
    return [OneHot(symbols, network.shape.rows) for symbols in case.inputs]


def best_grids(case: Case, network: Network) -> list[Cells]:
    """Return the batches as gridcnn's users have them: one-hot ones as symbols."""
    return (symbol_grids if case.one_hot else dense_grids)(case, network)


class Ours(Contestant):
    """One engine of gridcnn."""

    packages = ("numpy", "llvmlite")

    def __init__(self, case: Case, threads: int, *, engine: str = "") -> None:
        super().__init__(case, threads)
        self.network = WORKLOADS[case.name].network()
        self.engine: Engine = make_engine(self.network, engine or None, threads=threads)

    @classmethod
    def load(cls, **options: str) -> None:
        """Import the engine, which the registry does when it is asked for it."""
        ENGINES[options.get("engine") or DEFAULT_ENGINE]

    def ways(self, task: str) -> Ways:
        """Return the one way; of one-hot grids, also that with dense ones."""
        if task.startswith(LAYER):
            number = int(task.removeprefix(LAYER)) - 1
            return {self.engine.name: lambda: self._alone(number)}
        make = {"train": self._training, "predict": self._batches, "one": self._items}[task]
        forms = {SYMBOLS: symbol_grids} if self.case.one_hot else {}
        return {
            name: partial(lambda form: make(form(self.case, self.network)), form)
            for name, form in {**forms, DENSE: dense_grids}.items()
        }

    def _training(self, grids: Sequence[Cells]) -> Way:
        case, engine = self.case, self.engine
        parameters = case.parameters.copy()
        optimizer = make_optimizer(self.network.spec.training, self.network, engine=engine)
        following = self.turn()

        def run() -> None:
            batch = following()
            step = engine.step(parameters, grids[batch], case.targets[batch])
            optimizer.update(parameters, step.gradient, RATE)
            for slot, values in zip(self.network.running, step.running, strict=True):
                parameters[slot.part] = values

        def answer() -> dict[str, Array]:
            step = engine.step(parameters, grids[0], case.targets[0])
            return {
                "loss": np.array(step.loss),
                "gradient": step.gradient.copy(),
                "parameters": parameters.copy(),
            }

        def reset() -> None:
            parameters[:] = case.parameters

        return Way(run, answer, reset=reset)

    def _batches(self, grids: Sequence[Cells]) -> Way:
        parameters, engine, following = self._fixed(), self.engine, self.turn()
        return Way(
            lambda: engine.logits(parameters, grids[following()]),
            lambda: {"logits": engine.logits(parameters, grids[0])},
        )

    def _items(self, grids: Sequence[Cells]) -> Way:
        parameters, engine = self._fixed(), self.engine
        items = [grids[0][index : index + 1] for index in range(self.case.items)]

        def run() -> None:
            for item in items:
                engine.logits(parameters, item)

        def answer() -> dict[str, Array]:
            return {"logits": np.concatenate([engine.logits(parameters, item) for item in items])}

        return Way(run, answer, calls=len(items))

    def _fixed(self) -> Array:
        """Return the parameters as those of a model that only answers, which cannot be changed."""
        parameters = self.case.parameters.copy()
        parameters.flags.writeable = False
        return parameters

    def _alone(self, number: int) -> Way:
        """Return the way of one convolution with what belongs to it, up to the next one."""
        network, parameters, grids = self._piece(number)
        engine = make_engine(network, self.engine.name, threads=self.threads)
        return Way(lambda: engine.maps(parameters, grids), dict)

    def _piece(self, number: int) -> tuple[Network, Array, Cells]:
        ops = self.network.ops
        places = [index for index, op in enumerate(ops) if isinstance(op.stage, Convolution)]
        first = places[number]
        last = [*places, len(ops) - 1][number + 1]
        stages = self.network.spec.model_dump(mode="json", exclude_unset=True)["stages"]
        came: GridShape = ops[first].input
        network = Network(load({"stages": stages[first:last]}), came)
        start = ops[first].slots[0].start
        parameters = self.case.parameters[start : start + network.parameters].copy()
        parameters.flags.writeable = False
        if number == 0:
            return network, parameters, best_grids(self.case, self.network)[0]
        random = np.random.default_rng(number)
        # What comes from a rectification is 0 in about half of the cells.
        cells = random.uniform(-1, 1, (self.case.items, *came.sizes)).astype(np.float32)
        return network, parameters, np.maximum(cells, 0)
