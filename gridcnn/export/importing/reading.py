"""Importing: the steps of a file as a spec and a model, and the proof that both vote alike."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gridcnn.errors import SpecError, UserError
from gridcnn.export.importing.operators import OPERATORS
from gridcnn.export.importing.reader import Reader
from gridcnn.export.importing.steps import Step
from gridcnn.export.importing.structure import nest
from gridcnn.export.importing.trace import Trace, session_of, trace
from gridcnn.files import as_path
from gridcnn.grid import Array
from gridcnn.model import Model
from gridcnn.network import Network
from gridcnn.spec.load import load
from gridcnn.spec.models import Spec

_ITEMS = 8  # random items whose votes are compared
_TOLERANCE = 1e-4
"""The largest difference of votes: one that is larger shows that something was read wrongly."""


@dataclass(frozen=True)
class Imported:
    """A network of another program as ours.

    Attributes:
        model: with an adapter that takes arrays as the network does.
        difference: by how much votes of random arrays differ at most.
        notes: sentences about what was not in the file.
    """

    model: Model
    difference: float
    notes: tuple[str, ...]


def import_onnx(
    path: str | os.PathLike[str], *, classes: Sequence[str | int] | None = None
) -> Imported:
    """Return the model that a file of ONNX holds.

    Args:
        path: the file.
        classes: their names, in the order of the votes; None: those in a file of gridcnn, else
            numbers from 0.

    Raises:
        ModelFileError: the file cannot be read, or is not a network with one input.
        UserError: it has operators that no stage stands for; there is one line for each. Or it
            does not vote for classes, or holds NaN or infinite weights.
        SpecError: `classes` are not as many as the votes.
    """
    file = as_path(path, "an ONNX file")
    given = trace(file)
    reader = Reader(given, OPERATORS)
    result = reader.read()
    layers, start = _head(reader.steps, result)
    sizes = reader.sizes if not result else reader.steps[result - 1].sizes
    outputs = int(np.prod(sizes))
    named = _named(given) if classes is None else list(classes)
    _refuse_no_votes(file, given, reader, layers, start)
    # One logit is that of the second of two classes, and the first has 0. One label that has a name
    # stays a label.
    lone = reader.votes == "sigmoid" and named is not None and len(named) == 1
    is_binary = outputs == 1 and not lone
    count = 2 if is_binary else outputs
    several = reader.votes == "sigmoid" and not is_binary
    stages, order = nest(reader.steps, start)
    head = {
        "hidden": [layer.sizes[0] for layer in layers[:-1]],
        "labels": "several" if several else "one",
    }
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._")[:60] or "imported"
    spec = load({"name": name, "stages": stages, "head": {"voting": head}})
    spec, own = _with_adapter(spec, reader)
    names, notes = _classes(named, count, must=classes is not None)
    network = Network(spec, spec.adapter.shape(), classes=count)  # type: ignore[union-attr]
    try:
        model = Model(spec, names, _parameters(network, order, layers, outputs))
    except ValueError as error:  # numbers that are not finite, or names that are not different
        raise UserError(f"{file} cannot be imported: {error}") from None
    if is_binary:
        notes.append(
            "the file ends with one vote, read as that of the second of two classes; a network "
            "that predicts a number is not a classifier"
        )
    elif not reader.votes:
        notes.append("the file ends with logits; votes are their softmax")
    if not own:
        notes.append(
            "the file does not say how items become arrays, so the model takes arrays; you can "
            "name another adapter in the spec"
        )
    twice = len(order) - len({id(step) for step in order})
    if twice:
        notes.append(
            f"branches share {twice} of the stages; each branch now has its own copy, with the "
            "same weights"
        )
    difference = _difference(model, given, reader)
    if not difference <= _TOLERANCE:
        raise UserError(
            f"{file} is not imported: the votes of the imported network differ, by up to "
            f"{difference:.2g}; this is a bug in gridcnn, please report it"
        )
    return Imported(model, difference, tuple(notes))


def _head(steps: Sequence[Step], result: int) -> tuple[list[Step], int]:
    """Return the fully connected layers at the end, and the number of the input of the first."""
    layers: list[Step] = []
    value = result
    while value and steps[value - 1].is_dense:
        step = steps[value - 1]
        layers.insert(0, step)
        (value,) = step.sources
        before = steps[value - 1] if value else None
        if before is None or before.kind != "rectification" or before.settings:
            break
        inner = before.sources[0]
        if not inner or not steps[inner - 1].is_dense:
            break
        if any(_readers(steps, each) > 1 for each in (value, inner)):
            break
        value = inner
    return layers, value


def _readers(steps: Sequence[Step], value: int) -> int:
    return sum(value in step.sources for step in steps)


def _with_adapter(spec: Spec, reader: Reader) -> tuple[Spec, bool]:
    """Return the spec with its adapter, and whether the file itself has named it."""
    metadata = reader.trace.metadata
    if "gridcnn" in metadata and metadata.get("input") == "grid":
        try:
            adapter = load({"adapter": json.loads(metadata["adapter"]), "stages": []}).adapter
        except (KeyError, ValueError):
            adapter = None
        if adapter is not None and adapter.shape().sizes == reader.sizes:
            return spec.model_copy(update={"adapter": adapter}), True
    channels, rows, columns = reader.sizes
    settings = {
        "size": [rows, columns],
        "channels": channels,
        "channel_order": "last" if reader.channels_last else "first",
        "scaling": "none",
    }
    adapter = load({"adapter": {"array": settings}, "stages": []}).adapter
    return spec.model_copy(update={"adapter": adapter}), False


def _refuse_no_votes(
    file: Path, given: Trace, reader: Reader, layers: Sequence[Step], start: int
) -> None:
    """Raise `UserError` if the output is not votes for classes."""
    shape = given.shapes[given.output][1:]
    if not layers and not start:
        reason = "it has no operation that could become a stage"
    elif not layers and sum(size > 1 for size in shape) > 1:
        sizes = " x ".join(map(str, shape))
        reason = f"its output is maps of {sizes}, not votes"
    elif max(shape, default=1) == 1 and reader.votes in ("softmax", "logsoftmax"):
        reason = "it votes for a single class, which always has all votes"
    else:
        return
    raise UserError(
        f"{file} cannot be imported: {reason}; a network has to end with one vote for each of at "
        "least two classes"
    )


def _named(given: Trace) -> list[str | int] | None:
    """Return the names of the classes in a file of gridcnn; None if there are none."""
    if "gridcnn" not in given.metadata:
        return None
    try:
        named = json.loads(given.metadata.get("classes", ""))
    except ValueError:
        return None
    return named if isinstance(named, list) else None


def _classes(
    named: list[str | int] | None, count: int, *, must: bool
) -> tuple[list[str | int], list[str]]:
    """Return the names of the classes, and notes; raise `SpecError` if they `must` be as many."""
    if named is not None and len(named) == count:
        return named, []
    if named is not None and must:
        raise SpecError(
            f"the network votes for {count} classes; got {len(named)} "
            f"{'name' if len(named) == 1 else 'names'} of classes"
        )
    last = count - 1
    return list(range(count)), [f"the file names no classes; they are called 0 to {last}"]


def _parameters(
    network: Network, order: Sequence[Step], layers: Sequence[Step], outputs: int
) -> Array:
    """Return the flat vector of a network whose operations are these steps, in their order.

    If it has more classes than there are `outputs`, the first ones have logits of 0.
    """
    vector = np.zeros(network.parameters, np.float32)
    ops = [op for op in network.ops if op.stage_name not in ("sum", "join")]
    *body, head = ops
    for op, step in zip(body, order, strict=True):
        for name, view in op.views(vector).items():
            view[...] = step.parameters[name].reshape(view.shape)
    views = head.views(vector)
    if not layers:  # the output is votes already
        views["votes.weights"][-outputs:] = np.eye(outputs)
        return vector
    names = [*(f"hidden{number}" for number in range(1, len(layers))), "votes"]
    for name, layer in zip(names, layers, strict=True):
        weights = views[f"{name}.weights"][-layer.sizes[0] :]
        weights[...] = layer.parameters["weights"].reshape(weights.shape)
        if "bias" in layer.parameters:
            views[f"{name}.bias"][-layer.sizes[0] :] = layer.parameters["bias"]
    return vector


def _difference(model: Model, given: Trace, reader: Reader) -> float:
    """Return by how much votes of random arrays differ at most."""
    grids = np.random.default_rng(0).normal(0, 1, (_ITEMS, *reader.sizes)).astype(np.float32)
    laid = grids.transpose(0, 2, 3, 1) if reader.channels_last else grids
    laid = laid.reshape(-1, *given.shapes[given.input][1:])
    session = session_of(given.content)
    parts = [laid[n : n + 1] for n in range(_ITEMS)] if given.is_fixed else [laid]
    votes = np.concatenate(
        [
            session.run([given.output], {given.input: np.ascontiguousarray(part)})[0]
            for part in parts
        ]
    ).reshape(_ITEMS, -1)
    if votes.shape[1] < len(model.classes):  # of two classes, the vote for the second
        first = 1 - votes if reader.votes else np.zeros_like(votes)
        votes = np.concatenate([first, votes], axis=1)
    if reader.votes == "logsoftmax":
        votes = np.exp(votes)
    if not reader.votes:
        votes = model.head.votes(votes)
    return float(np.abs(model.votes_of_grids(grids) - votes).max())
