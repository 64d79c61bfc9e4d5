"""The networks that are measured: ten specs, from tiny to as large as an ordinary CPU trains.

Six are plain chains: convolutions are padded to the size of the grid and rectified, and pooling
keeps the largest. Four are deeper, or have branches, skips and normalization. Cells are
random numbers, the same ones for everybody: with drawings, of which most cells are alike, an
arithmetic that skips zeros would look better than it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import case as cases
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.grid import Axis, GridShape
from gridcnn.network import Network, Op, Slot
from gridcnn.spec.load import load
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.merging import Sum
from gridcnn.stages.normalization import Normalization
from gridcnn.stages.parallel import Parallel
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.repeat import Repeat
from gridcnn.stages.skip import Skip

BATCHES = 4
"""Different batches that take turns, so that no contestant finds its data in the cache."""

_OBSERVED = 4
"""Items that running means and variances are taken from."""


@dataclass(frozen=True)
class Bars:
    """What gridcnn is held to.

    Attributes:
        train: how many times as fast as the best mode of PyTorch a training step has to be.
        predict: the same for a batch's votes, against the better of ONNX Runtime and OpenVINO.
        one: the most of ONNX Runtime's time that the votes of one item may take.
    """

    train: float
    predict: float
    one: float = 1.0


@dataclass(frozen=True)
class Workload:
    """A network, and the size of its batches.

    Attributes:
        name: what `--only` takes.
        shape: the grid.
        stages: as a spec writes them.
        hidden: the hidden layers of the voting head.
        classes: how many classes there are.
        batch: the items of a batch.
        bars: what gridcnn is held to.
        one_hot: whether each column of a grid has a single 1, or none.
    """

    name: str
    shape: GridShape
    stages: tuple[Any, ...]
    hidden: tuple[int, ...]
    classes: int
    batch: int
    bars: Bars
    one_hot: bool = False

    def network(self) -> Network:
        """Return the network, with Adam as its optimizer."""
        spec = load(
            {
                "name": self.name,
                "stages": list(self.stages),
                "head": {"voting": {"hidden": list(self.hidden)}},
                "training": {
                    "batch_size": self.batch,
                    "learning_rate": cases.RATE,
                    "optimizer": {"adam": {"epsilon": cases.EPSILON}},
                },
            }
        )
        return Network(spec, self.shape, classes=self.classes)

    def symbols(self, items: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Return the row that is 1 at each column, `(items, columns)`; every fourth ends early."""
        found = random.integers(0, self.shape.rows, (items, self.shape.columns))
        found[::4, -self.shape.columns // 8 :] = -1
        return found

    def case(self, *, items: int | None = None) -> cases.Case:
        """Return what contestants are given, with batches of `items` instead of the usual size."""
        network = self.network()
        random = np.random.default_rng(0)
        size = (BATCHES, self.batch if items is None else items)
        targets = random.integers(0, self.classes, size)
        sizes = self.shape.sizes
        if self.one_hot:
            flat = self.symbols(size[0] * size[1], random)
            inputs: NDArray[Any] = flat.reshape(*size, -1)
            sizes = (sizes[1], 1, sizes[2])
        else:
            inputs = random.uniform(-1, 1, (*size, *sizes)).astype(np.float32)
        ops = iter(network.ops)
        layers = (*_chain(network.spec.stages, ops), *_voting(next(ops)))
        parameters = self._parameters(network, random)
        return cases.Case(self.name, sizes, layers, parameters, inputs, targets)

    def _parameters(self, network: Network, random: np.random.Generator) -> NDArray[Any]:
        """Return the first weights; of normalizations, numbers as training leaves them behind."""
        parameters = network.starting_parameters()
        for op in network.ops:
            if isinstance(op.stage, Normalization):
                views, channels = op.views(parameters), op.input.channels
                views["gain"][...] = random.uniform(0.5, 1.5, channels)
                views["bias"][...] = random.normal(0, 0.1, channels)
        if network.running:
            few = random.uniform(-1, 1, (_OBSERVED, *self.shape.sizes)).astype(np.float32)
            step = ReferenceEngine(network).step(parameters, few, np.zeros(_OBSERVED, np.int64))
            for slot, moved in zip(network.running, step.running, strict=True):
                before = parameters[slot.part]
                before += (moved - before) / (1 - slot.parameter.momentum)
        return parameters


def _chain(stages: Iterable[Any], ops: Iterator[Op]) -> tuple[cases.Layer, ...]:
    """Return what contestants are told of stages; their operations are taken from `ops`."""
    return tuple(layer for stage in stages for layer in _told(stage, ops))


def _told(stage: Any, ops: Iterator[Op]) -> Sequence[cases.Layer]:
    if isinstance(stage, Repeat):
        return [layer for _ in range(stage.times) for layer in _chain(stage.stages, ops)]
    if isinstance(stage, Skip):
        layers, after = _chain(stage.stages, ops), next(ops)
        if isinstance(after.stage, Sum):
            return [cases.Skip(layers)]
        shortcut = _layer(after)
        next(ops)  # the sum
        return [cases.Skip(layers, (shortcut,))]
    if isinstance(stage, Parallel):
        branches = tuple(_chain(branch, ops) for branch in stage.branches)
        next(ops)  # the join
        return [cases.Parallel(branches)]
    return [_layer(next(ops))]


def _layer(op: Op) -> cases.Layer:
    stage = op.stage
    if isinstance(stage, Convolution):
        rows, columns = stage.kernel(op.input)
        groups = stage.group_count(op.input.channels)
        channels = op.input.channels // groups
        if rows > 1 and rows == op.input.rows and op.input.channels == 1:
            channels, rows = rows, 1
        weights = (op.output.channels, channels, rows, columns)
        borders = stage.borders(op.input)
        return cases.Convolution(
            weights, op.slots[0].start, stage.stride, borders, stage.bias, groups
        )
    if isinstance(stage, Normalization):
        channels = op.input.channels
        return cases.Normalization(channels, op.slots[0].start, stage.epsilon, stage.momentum)
    if isinstance(stage, Pooling):
        window, stride = stage.sizes(op.input)
        beyond = [
            (count - 1) * step + length - size
            for count, step, length, size in zip(
                op.output.sizes[1:], stride, window, op.input.sizes[1:], strict=True
            )
        ]
        return cases.Pooling(window, stride, (beyond[0], beyond[1]), stage.mode == "mean")
    assert isinstance(stage, Rectification), f"contestants have no {op.label}"
    return cases.Rectification()


def _voting(op: Op) -> list[cases.Dense]:
    slots = [slot for slot in op.slots if len(slot.parameter.shape) == 2]
    return [_dense(slot, rectified=slot is not slots[-1]) for slot in slots]


def _dense(slot: Slot, *, rectified: bool) -> cases.Dense:
    outputs, inputs = slot.parameter.shape
    return cases.Dense((outputs, inputs), slot.start, rectified)


@dataclass(frozen=True)
class Arithmetic:
    """Multiply-adds for one item.

    Attributes:
        forward: of all convolutions, with every cell multiplied, be it 0 or not.
        training: of a training step: the same again for the gradient of the weights, and again for
            that of the grids, except for convolutions that read the network's own grids.
        dense_forward: those of `forward` that are left where one-hot grids are looked up instead.
        dense_training: the same of `training`.
    """

    forward: int
    training: int
    dense_forward: int
    dense_training: int


def arithmetic(workload: Workload) -> Arithmetic:
    """Return what a network's convolutions cost."""
    first = sum(op.multiply_adds for op in convolutions(workload) if op.sources == (0,))
    others = sum(op.multiply_adds for op in convolutions(workload)) - first
    looked_up = first if workload.one_hot else 0
    forward, training = first + others, 2 * first + 3 * others
    return Arithmetic(forward, training, forward - looked_up, training - 2 * looked_up)


def convolutions(workload: Workload) -> list[Op]:
    """Return the convolutions of a network."""
    return [op for op in workload.network().ops if isinstance(op.stage, Convolution)]


def _convolution(filters: int, kernel_size: Any = 3, **settings: Any) -> tuple[Any, str]:
    return (
        {"convolution": {"filters": filters, "kernel_size": kernel_size, **settings}},
        "rectification",
    )


def _normalized(filters: int, kernel_size: int = 3, **settings: Any) -> tuple[Any, ...]:
    """Return a convolution and its normalization, whose bias is that of both."""
    size = {"filters": filters, "kernel_size": kernel_size, "bias": False, **settings}
    return {"convolution": size}, "normalization"


def _residual(filters: int, stride: int = 1) -> tuple[Any, ...]:
    """Return a block of a residual network (He et al., 2016)."""
    first, second = _normalized(filters, stride=stride), _normalized(filters)
    return {"skip": [*first, "rectification", *second]}, "rectification"


def _separable(filters: int, channels: int, stride: int = 1) -> tuple[Any, ...]:
    """Return a depthwise convolution and one of 1 x 1 (Howard et al., 2017)."""
    depthwise = _normalized(channels, groups="channels", stride=stride)
    return *depthwise, "rectification", *_normalized(filters, 1), "rectification"


def _window(columns: int) -> list[Any]:
    """Return a branch that keeps the best match of each feature (Kim, 2014)."""
    return [*_convolution(100, ["all", columns]), {"pooling": {"window": "all"}}]


_BY_TWO = {"pooling": {"window": 2}}
_MEANS = {"pooling": {"window": "all", "mode": "mean"}}
_PIXELS = Axis("symbol", ordered=False), Axis("position")

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "xo",
            GridShape(1, 32, 32),
            (*_convolution(8), _BY_TWO, *_convolution(16), _BY_TWO),
            hidden=(32,),
            classes=2,
            batch=64,
            bars=Bars(4, 1.5, 0.5),
        ),
        Workload(
            "audio",
            GridShape(1, 64, 64),
            (*_convolution(16), _BY_TWO, *_convolution(32), _BY_TWO, *_convolution(64), _BY_TWO),
            hidden=(64,),
            classes=10,
            batch=64,
            bars=Bars(4, 1.4),
        ),
        Workload(
            "fashion",
            GridShape(1, 28, 28),
            (*_convolution(32), *_convolution(64), _BY_TWO),
            hidden=(128,),
            classes=10,
            batch=128,
            bars=Bars(2.5, 1.15),
        ),
        Workload(
            "colour",
            GridShape(3, 32, 32),
            (
                *_convolution(32),
                *_convolution(32),
                _BY_TWO,
                *_convolution(64),
                *_convolution(64),
                _BY_TWO,
            ),
            hidden=(128,),
            classes=10,
            batch=128,
            bars=Bars(1.8, 1.15),
        ),
        Workload(
            "text",
            GridShape(1, 70, 256, *_PIXELS),
            (
                *_convolution(128, ["all", 7]),
                {"pooling": {"window": [1, 3]}},
                *_convolution(128, [1, 5]),
                {"pooling": {"window": "all"}},
            ),
            hidden=(),
            classes=4,
            batch=64,
            bars=Bars(3.5, 3, 0.5),
            one_hot=True,
        ),
        Workload(
            "wide",
            GridShape(1, 128, 128),
            (
                *_convolution(16, 5, stride=2),
                *_convolution(32),
                _BY_TWO,
                *_convolution(64),
                _BY_TWO,
            ),
            hidden=(),
            classes=20,
            batch=32,
            bars=Bars(2.5, 1.4),
        ),
        Workload(
            "resnet",
            GridShape(3, 32, 32),
            (
                *_normalized(16),
                "rectification",
                *3 * _residual(16),
                *_residual(32, stride=2),
                *2 * _residual(32),
                *_residual(64, stride=2),
                *2 * _residual(64),
                _MEANS,
            ),
            hidden=(),
            classes=10,
            batch=128,
            bars=Bars(2, 1.3),
        ),
        Workload(
            "mobile",
            GridShape(3, 64, 64),
            (
                *_normalized(32, stride=2),
                "rectification",
                *_separable(64, 32),
                *_separable(128, 64, stride=2),
                *_separable(128, 128),
                *_separable(256, 128, stride=2),
                *_separable(256, 256),
                _MEANS,
            ),
            hidden=(),
            classes=10,
            batch=64,
            bars=Bars(2, 1.3),
        ),
        Workload(
            "branches",
            GridShape(1, 70, 256, *_PIXELS),
            ({"parallel": [_window(3), _window(4), _window(5)]},),
            hidden=(),
            classes=4,
            batch=64,
            bars=Bars(2, 1.3),
            one_hot=True,
        ),
        Workload(
            "deep",
            GridShape(1, 32, 32),
            (
                *_convolution(16),
                {
                    "repeat": {
                        "times": 49,
                        "stages": [
                            {"skip": [*_convolution(16), _convolution(16)[0]]},
                            "rectification",
                        ],
                    }
                },
                *_convolution(16),
                _MEANS,
            ),
            hidden=(),
            classes=10,
            batch=64,
            bars=Bars(2, 1.3),
        ),
    )
}
