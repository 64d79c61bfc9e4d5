"""The arithmetic of every stage, written with PyTorch's functions.

Values are tensors `(items, channels, rows, columns)`, and parameters are views of one flat tensor,
so that PyTorch's own backward pass gives the gradient of the flat vector. A stage of another
package has no function here: `call_reference` computes it with its own NumPy arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gridcnn.contracts.stage import Merge
from gridcnn.engines.reference import apply
from gridcnn.network import Op, groups_of
from gridcnn.stages.activation import Activation
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.dropout import Dropout
from gridcnn.stages.gate import Gate
from gridcnn.stages.merging import Join, Sum
from gridcnn.stages.normalization import Normalization
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import IndependentVotes, Votes, VotingLayers


@dataclass
class Pass:
    """One forward pass over some items.

    Attributes:
        items: how many items there are.
        training: whether it is part of a training step.
        chances: the generator of each operation that draws random numbers, by its place.
        observed: what normalizations see in training, the sum over the items: by the start of a
            running value in the flat vector, tensors `(size,)`.
        foreign: the gradients of parameters that `call_reference` has computed, by the same.
    """

    items: int
    training: bool = False
    chances: Sequence[np.random.Generator | None] = ()
    observed: dict[int, Tensor] = field(default_factory=dict)
    foreign: dict[int, Any] = field(default_factory=dict)

    def random(self, op: Op) -> np.random.Generator | None:
        """Return the generator of an operation; None if it leaves nothing out."""
        return self.chances[op.target - 1] if self.chances else None


Weights = Mapping[str, Tensor]
Compute = Callable[[Any, Op, Sequence[Tensor], Weights, Pass], Tensor]


def compute(op: Op, sources: Sequence[Tensor], weights: Weights, run: Pass) -> Tensor:
    """Return what an operation makes of its sources."""
    # Exactly these classes: a subclass may compute anything.
    function: Compute = _FUNCTIONS.get(type(op.stage), call_reference)
    return function(op.stage, op, sources, weights, run)


def is_known(op: Op) -> bool:
    """Return whether an operation is computed with PyTorch's functions."""
    return type(op.stage) in _FUNCTIONS


def _convolve(
    stage: Convolution, op: Op, sources: Sequence[Tensor], weights: Weights, _run: Pass
) -> Tensor:
    (above, below), (left, right) = stage.borders(op.input)
    values, padding = sources[0], (above, left)
    if (above, left) != (below, right):  # PyTorch pads both sides alike
        values, padding = functional.pad(values, (left, right, above, below)), (0, 0)
    features = weights["weights"]
    if stage.scale == "match":
        features = features / features[0].numel()
    if values.device.type != "cpu":
        features = features.contiguous(memory_format=torch.channels_last)
    return functional.conv2d(
        values,
        features,
        weights.get("bias"),
        stride=stage.stride,
        padding=padding,
        dilation=stage.dilation,
        groups=stage.group_count(op.input.channels),
    )


def _rectify(
    stage: Rectification, _op: Op, sources: Sequence[Tensor], _weights: Weights, _run: Pass
) -> Tensor:
    if stage.leak:
        return functional.leaky_relu(sources[0], stage.leak)
    return functional.relu(sources[0])


def _activate(
    stage: Activation, _op: Op, sources: Sequence[Tensor], _weights: Weights, _run: Pass
) -> Tensor:
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "gelu": functional.gelu,
        "silu": functional.silu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
    }
    return functions[stage.function](sources[0])


def _pool(
    stage: Pooling, op: Op, sources: Sequence[Tensor], _weights: Weights, _run: Pass
) -> Tensor:
    window, stride = stage.sizes(op.input)
    sizes, wanted = (op.input.rows, op.input.columns), (op.output.rows, op.output.columns)
    # A window larger than the grid has the cells of the grid, and one that the edge cuts has those
    # that are left: the missing ones are -inf for a maximum, 0 for a mean.
    window = (min(window[0], sizes[0]), min(window[1], sizes[1]))
    missing = [
        max((count - 1) * step + length - size, 0)
        for count, step, length, size in zip(wanted, stride, window, sizes, strict=True)
    ]
    is_max, values = stage.mode == "max", sources[0]
    if any(missing):
        empty = -math.inf if is_max else 0.0
        values = functional.pad(values, (0, missing[1], 0, missing[0]), value=empty)
    if is_max:
        # Of equal cells the first one gets the gradient, here and in the reference.
        pooled = functional.max_pool2d(values, window, stride)
    else:
        pooled = functional.avg_pool2d(values, window, stride, divisor_override=1)
    # A stride that leaves cells over makes windows that are not in the output.
    pooled = pooled[:, :, : wanted[0], : wanted[1]]
    if is_max:
        return pooled
    rows, columns = (
        [min(size - number * step, length) for number in range(count)]
        for count, step, length, size in zip(wanted, stride, window, sizes, strict=True)
    )
    counts = torch.tensor(rows)[:, None] * torch.tensor(columns)
    return pooled / counts.to(pooled.device, pooled.dtype)


def _drop(
    stage: Dropout, op: Op, sources: Sequence[Tensor], _weights: Weights, run: Pass
) -> Tensor:
    values, random = sources[0], run.random(op)
    if random is None or not stage.rate:
        return values
    sizes = _dropout_sizes(stage, op, len(values))
    precision = np.dtype(np.float64 if values.dtype == torch.float64 else np.float32)
    return values * _beside(stage.draw_factors(sizes, random, precision), values)


def _dropout_sizes(stage: Dropout, op: Op, items: int) -> tuple[int, ...]:
    sizes = (op.input.rows, op.input.columns) if stage.of == "cells" else (1, 1)
    return (items, op.input.channels, *sizes)


def _normalize(
    stage: Normalization, op: Op, sources: Sequence[Tensor], weights: Weights, run: Pass
) -> Tensor:
    # Means and variances of bfloat16 values would be too coarse.
    values = sources[0] if sources[0].dtype == torch.float64 else sources[0].float()
    gain, bias = (weights[name][:, None, None] for name in ("gain", "bias"))
    if stage.kind != "batch":
        groups = stage.group_count(op.input)
        view = values.reshape(len(values), groups, -1)
        normal = _standard(view, (2,), stage.epsilon)[0].reshape(values.shape)
    elif run.training:
        normal = _normalize_groups(stage, op, values, weights, run)
    else:
        mean, variance = (weights[name][:, None, None] for name in ("mean", "variance"))
        normal = (values - mean) / torch.sqrt(variance + stage.epsilon)
    return (normal * gain + bias).to(sources[0].dtype)


def _normalize_groups(
    stage: Normalization, op: Op, values: Tensor, weights: Weights, run: Pass
) -> Tensor:
    """Return values normalized in groups of items, and note the statistics of all groups."""
    groups = list(groups_of(len(values)))
    places = {slot.parameter.name: slot.start for slot in op.slots}
    parts = []
    start = 0
    # Groups differ by one item at most, and the larger ones come first: two sizes are all.
    for size in sorted({part.stop - part.start for part in groups}, reverse=True):
        count = sum(part.stop - part.start == size for part in groups)
        view = values[start : start + count * size].reshape(count, size, *values.shape[1:])
        start += count * size
        normal, mean, variance = _standard(view, (1, 3, 4), stage.epsilon)
        parts.append(normal.reshape(-1, *values.shape[1:]))
        cells = size * values.shape[2] * values.shape[3]
        with torch.no_grad():
            # As in the reference: the estimate for all items, which a single cell cannot give.
            observed = variance * (cells / (cells - 1)) if cells > 1 else None
            for name, sums in (("mean", mean), ("variance", observed)):
                total = (
                    weights[name] * (size * count)
                    if sums is None
                    else sums.reshape(count, -1).sum(dim=0) * size
                )
                place = places[name]
                before = run.observed.get(place)
                run.observed[place] = (total if before is None else before + total).detach()
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _standard(view: Tensor, axes: tuple[int, ...], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return values with mean 0 and variance 1 along some axes, the mean and the variance."""
    mean = view.mean(dim=axes, keepdim=True)
    centred = view - mean
    variance = centred.square().mean(dim=axes, keepdim=True)
    return centred / torch.sqrt(variance + epsilon), mean, variance


def _gate(_stage: Gate, _op: Op, sources: Sequence[Tensor], weights: Weights, _run: Pass) -> Tensor:
    values = sources[0].mean(dim=(2, 3))
    hidden = functional.linear(values, weights["hidden.weights"], weights["hidden.bias"])
    logits = functional.linear(
        functional.relu(hidden), weights["gate.weights"], weights["gate.bias"]
    )
    return sources[0] * torch.sigmoid(logits)[:, :, None, None]


def _add(_stage: Sum, _op: Op, sources: Sequence[Tensor], _weights: Weights, _run: Pass) -> Tensor:
    total = sources[0]
    for each in sources[1:]:
        total = total + each
    return total


def _join(
    _stage: Join, _op: Op, sources: Sequence[Tensor], _weights: Weights, _run: Pass
) -> Tensor:
    return torch.cat(list(sources), dim=1)


def _vote(
    stage: VotingLayers, op: Op, sources: Sequence[Tensor], weights: Weights, run: Pass
) -> Tensor:
    # The cells in the order (channels, rows, columns), wherever they lie in memory.
    values = sources[0].reshape(run.items, op.input.cells)
    layers, random = stage.layers(op.input.cells), run.random(op)
    factors: list[Any] = []
    if random is not None and stage.dropout:
        sizes = _voting_sizes(stage, op)
        factors = stage.dropout_factors(run.items, sizes, stage.dropout, random)
    for number, (name, _, _) in enumerate(layers):
        if number:
            values = functional.relu(values)
        if factors and (number or len(layers) == 1):
            values = values * _beside(factors[max(number - 1, 0)], values)
        values = functional.linear(values, weights[f"{name}.weights"], weights[f"{name}.bias"])
    return values.reshape(run.items, stage.classes, 1, 1)


def _voting_sizes(stage: VotingLayers, op: Op) -> list[int]:
    layers = stage.layers(op.input.cells)
    return [inputs for _, inputs, _ in (layers[1:] or layers)]


def skip_draws(op: Op, items: int, random: np.random.Generator) -> None:
    """Draw what an operation draws for so many items, and forget it: other items come next.

    It must be one of those that are computed with PyTorch's functions.
    """
    stage: Any = op.stage
    if isinstance(stage, Dropout):
        if stage.rate:
            stage.draw_factors(_dropout_sizes(stage, op, items), random, np.dtype(np.float32))
    elif stage.dropout:
        stage.dropout_factors(items, _voting_sizes(stage, op), stage.dropout, random)


def _beside(factors: Any, values: Tensor) -> Tensor:
    """Return NumPy's numbers beside `values`, in their precision."""
    return torch.from_numpy(np.ascontiguousarray(factors)).to(values.device, values.dtype)


_FUNCTIONS: dict[type, Compute] = {
    Activation: _activate,
    Convolution: _convolve,
    Dropout: _drop,
    Gate: _gate,
    IndependentVotes: _vote,
    Join: _join,
    Normalization: _normalize,
    Pooling: _pool,
    Rectification: _rectify,
    Sum: _add,
    Votes: _vote,
}


# Stages of other packages


def call_reference(
    _stage: object, op: Op, sources: Sequence[Tensor], weights: Weights, run: Pass
) -> Tensor:
    """Return what the NumPy arithmetic of a stage makes of its sources, with its way back."""
    if isinstance(op.stage, Merge) or not op.mixes_items or not run.training:
        return _Reference.apply(op, weights, run, *sources)
    # Items that are mixed are mixed within their group alone.
    return torch.cat(
        [
            _Reference.apply(op, weights, run, *(source[part] for source in sources))
            for part in groups_of(run.items)
        ]
    )


class _Reference(torch.autograd.Function):  # type: ignore[misc]
    """An operation with the arithmetic of its stage, on the processor."""

    @staticmethod
    def forward(context: Any, op: Op, weights: Weights, run: Pass, *sources: Tensor) -> Tensor:
        """Return what comes out, and keep the way back."""
        precision = torch.float64 if sources[0].dtype == torch.float64 else torch.float32
        grids = [
            np.ascontiguousarray(each.detach().to("cpu", precision).numpy()) for each in sources
        ]
        views = {name: each.detach().cpu().numpy() for name, each in weights.items()}
        with np.errstate(over="ignore", invalid="ignore"):
            out, back = apply(op.stage, grids, views, training=run.training, random=run.random(op))
        context.op, context.run, context.back = op, run, back
        context.like = sources[0]
        context.precision = precision
        out = np.array(out, grids[0].dtype)  # a copy: the stage may give back what it got
        return torch.from_numpy(out).to(sources[0].device, sources[0].dtype)

    @staticmethod
    def backward(context: Any, flow: Tensor) -> Any:
        """Return the gradients by the sources, and keep those by the parameters."""
        op, run, like = context.op, context.run, context.like
        gradient = np.ascontiguousarray(flow.detach().to("cpu", context.precision).numpy())
        with np.errstate(over="ignore", invalid="ignore"):
            by_sources, gradients = context.back(gradient, need_input=any(op.sources))
        for slot in op.slots:
            if slot.parameter.role != "fixed":
                values = np.ravel(gradients[slot.parameter.name])
                run.foreign[slot.start] = run.foreign.get(slot.start, 0) + values
        return (
            None,
            None,
            None,
            *(torch.from_numpy(np.array(each)).to(like.device, like.dtype) for each in by_sources),
        )
