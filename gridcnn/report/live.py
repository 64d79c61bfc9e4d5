"""A model as data for a page that computes by itself: operations, settings and weights.

The page's arithmetic is `script/arithmetic.js`, and its adapters are the other files there. All
that has to be worked out from settings (borders, sizes of windows, places of parameters) is worked
out here, so that it is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gridcnn.contracts.stage import HeadStage
from gridcnn.errors import Problem, SpecError
from gridcnn.grid import Axis, GridShape
from gridcnn.model import Model
from gridcnn.network import Op
from gridcnn.report.live_adapters import adapter_data
from gridcnn.stages.activation import Activation
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.dropout import Dropout
from gridcnn.stages.gate import Gate
from gridcnn.stages.merging import Join, Sum
from gridcnn.stages.normalization import Normalization
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import IndependentVotes, Votes

SCRIPTS = (
    "arithmetic.js",
    "pixels.js",
    "light.js",
    "frames.js",
    "ink.js",
    "sounds.js",
    "texts.js",
    "adapters.js",
    "files.js",
    "inputs.js",
    "maps_view.js",
    "live.js",
)
"""The scripts of a live page, in their order, besides those that every page has."""
OF_KINDS = {"image": ("jpeg.js",), "audio": ("by_librosa.js",)}
"""The scripts that only pages of some adapters have, before the others."""


def scripts_of(model: Model) -> tuple[str, ...]:
    """Return the scripts of a model's page, in their order."""
    return (*OF_KINDS.get(model.adapter.title, ()), *SCRIPTS)


def live_data(model: Model) -> dict[str, Any]:
    """Return a model as what the page's script `live.js` mounts.

    Raises:
        SpecError: a stage, the head or the adapter cannot compute in a page; each is named.
    """
    problems: list[Problem] = []
    ops = [_operation(op, problems) for op in model.network.ops]
    adapter = adapter_data(model.adapter, problems)
    if problems:
        raise SpecError(*problems)
    shape = model.shape
    return {
        "name": model.spec.name or "",
        "description": model.spec.description or "",
        "classes": [str(name) for name in model.classes],
        "several": model.several,
        "thresholds": None if model.thresholds is None else list(model.thresholds),
        "adapter": adapter,
        "shape": list(shape.sizes),
        "axes": [_axis(shape.row_axis), _axis(shape.column_axis)],
        "network": {"ops": ops, "result": model.network.result},
        "parameters": model.parameters,
    }


def _axis(axis: Axis) -> dict[str, Any]:
    labels = None if axis.labels is None else list(axis.labels)
    return {"name": axis.name, "unit": axis.unit, "labels": labels, "ordered": axis.ordered}


def _operation(op: Op, problems: list[Problem]) -> dict[str, Any]:
    known = _KNOWN.get(type(op.stage))
    if known is None:
        what = "votes by a head" if isinstance(op.stage, HeadStage) else "is a stage"
        message = (
            f"'{op.label}' {what} of another package, which a page cannot compute; the stages and "
            "the head that gridcnn itself has can"
        )
        problems.append(Problem(message))
        return {}
    kind, settings = known
    places = {slot.parameter.name: slot.start for slot in op.slots}
    return {
        "kind": kind,
        "label": op.label,
        "sources": list(op.sources),
        "shape": list(op.output.sizes),
        **settings(op.stage, op.input, places),
    }


Places = Mapping[str, int]
"""Where each parameter of an operation begins in the flat vector."""


def _convolution(stage: Convolution, shape: GridShape, places: Places) -> dict[str, Any]:
    rows, columns = stage.kernel(shape)
    (above, _), (left, _) = stage.borders(shape)
    groups = stage.group_count(shape.channels)
    cells = shape.channels // groups * rows * columns
    return {
        "kernel": [rows, columns],
        "stride": list(stage.stride),
        "dilation": list(stage.dilation),
        "border": [above, left],
        "groups": groups,
        "divisor": cells if stage.scale == "match" else 1,
        "weights": places["weights"],
        "bias": places.get("bias", -1),
    }


def _normalization(stage: Normalization, shape: GridShape, places: Places) -> dict[str, Any]:
    return {
        "kindOf": stage.kind,
        "groups": stage.group_count(shape),
        "epsilon": stage.epsilon,
        **places,
    }


def _pooling(stage: Pooling, shape: GridShape, _: Places) -> dict[str, Any]:
    window, stride = stage.sizes(shape)
    return {"window": list(window), "stride": list(stride), "mode": stage.mode}


def _gate(stage: Gate, shape: GridShape, places: Places) -> dict[str, Any]:
    sizes = {"hidden": stage.hidden_size(shape.channels), "gate": shape.channels}
    return {
        name: [places[f"{name}.weights"], places[f"{name}.bias"], size]
        for name, size in sizes.items()
    }


def _voting(stage: Votes | IndependentVotes, shape: GridShape, places: Places) -> dict[str, Any]:
    layers = [
        [places[f"{name}.weights"], places[f"{name}.bias"], outputs]
        for name, _, outputs in stage.layers(shape.cells)
    ]
    return {"layers": layers}


def _nothing(*_: Any) -> dict[str, Any]:
    return {}


_KNOWN: dict[type, tuple[str, Callable[[Any, GridShape, Places], dict[str, Any]]]] = {
    Convolution: ("convolution", _convolution),
    Rectification: ("rectification", lambda stage, *_: {"leak": stage.leak}),
    Activation: ("activation", lambda stage, *_: {"function": stage.function}),
    Normalization: ("normalization", _normalization),
    Pooling: ("pooling", _pooling),
    Dropout: ("dropout", _nothing),
    Gate: ("gate", _gate),
    Sum: ("sum", _nothing),
    Join: ("join", _nothing),
    Votes: ("voting", _voting),
    IndependentVotes: ("voting", _voting),
}
"""Of each stage its name in the page, and what makes its settings. Subclasses compute otherwise."""
