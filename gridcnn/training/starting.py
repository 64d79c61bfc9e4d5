"""A start from another model: stages whose values are taken over, and stages that stay so."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gridcnn.errors import SpecError, how_many, listed, quoted
from gridcnn.grid import Array
from gridcnn.network import Network, Op
from gridcnn.spec.models import StartFrom


class Trained(Protocol):
    """A trained model, as far as a start needs it."""

    @property
    def network(self) -> Network:
        """Its network."""

    @property
    def parameters(self) -> Array:
        """Its flat vector."""

    @property
    def classes(self) -> tuple[str | int, ...]:
        """Its classes, in the order of the votes."""


@dataclass(frozen=True)
class Start:
    """Values of a model that training starts from.

    Attributes:
        values: float32, as long as the flat vector.
        taken: which of them are taken over, bool.
        frozen: which of them stay so.
        labels: the operations that are taken over.
    """

    values: Array
    taken: NDArray[np.bool_]
    frozen: NDArray[np.bool_]
    labels: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Changes with what is taken over, and with what is frozen."""
        digest = hashlib.sha256(np.ascontiguousarray(self.values[self.taken]).data)
        digest.update(self.taken.data)
        digest.update(self.frozen.data)
        return digest.hexdigest()

    def put_into(self, parameters: Array) -> None:
        """Write the values that are taken over."""
        parameters[self.taken] = self.values[self.taken]


def start_from(
    settings: StartFrom, model: Trained, network: Network, classes: tuple[str | int, ...]
) -> Start:
    """Return the values that a network takes over from a model.

    A stage is taken over if the model has one with the same number and name, whose parameters have
    the same shapes. The head is a new one unless it votes for the very same classes.

    Args:
        settings: which model, and which of its stages.
        model: that model.
        network: the network that is to be trained.
        classes: the classes that it votes for.

    Raises:
        SpecError: a stage that is asked for cannot be taken over, or none can.
    """
    wanted = _wanted_stages(settings, network)
    ops = {op.label: op for op in model.network.ops}
    stages = network.ops[:-1] if network.head is not None else network.ops
    pairs: list[tuple[Op, Op]] = []
    for op in stages:
        if not op.slots or _stage_number(op) > wanted:
            continue
        reason = _difference(op, ops.get(op.label))
        if not reason:
            pairs.append((op, ops[op.label]))
        elif not pairs or settings.stages is not None or _stage_number(op) <= settings.frozen:
            raise _refusal(
                network,
                f"stage {quoted(op.label)} cannot be taken over from {settings.model}: {reason}",
                "model" if not pairs else "frozen" if settings.stages is None else "stages",
            )
        else:
            break
    else:
        pairs += _heads(model, network, classes) if wanted == len(network.spec.stages) else []
    if not pairs:
        raise _refusal(network, "no stage is taken over that has learned anything", "stages")
    values = np.zeros(network.parameters, np.float32)
    taken, frozen = (np.zeros(network.parameters, np.bool_) for _ in range(2))
    for op, other in pairs:
        for slot, source in zip(op.slots, other.slots, strict=True):
            values[slot.part] = model.parameters[source.part]
            taken[slot.part] = True
            frozen[slot.part] = _stage_number(op) <= settings.frozen
    return Start(values, taken, frozen, tuple(op.label for op, _ in pairs))


def _refusal(network: Network, text: str, setting: str) -> SpecError:
    place = ("training", "start_from", setting)
    return SpecError(network.spec.document.problem(place, f"start_from: {text}"))


def _wanted_stages(settings: StartFrom, network: Network) -> int:
    """Return how many of the first stages are to be taken over; all if the settings name none."""
    last = len(network.spec.stages)
    wanted = last if settings.stages is None else settings.stages
    if wanted > last:
        raise _refusal(
            network, f"stages is {wanted}, and the spec has {last}; give at most {last}", "stages"
        )
    if settings.frozen > wanted:
        taken = how_many(wanted, "stage is", "stages are")
        raise _refusal(
            network,
            f"frozen is {settings.frozen}, and {taken} taken over; only these can be frozen",
            "frozen",
        )
    return wanted


def _heads(model: Trained, network: Network, classes: tuple[str | int, ...]) -> list[tuple[Op, Op]]:
    """Return both heads if they vote for the same classes by the same layers, else nothing."""
    if network.head is None or classes != model.classes:
        return []
    ours, theirs = network.ops[-1], model.network.ops[-1]
    if type(ours.stage) is not type(theirs.stage):  # one class, and several labels
        return []
    return [] if _difference(ours, theirs) else [(ours, theirs)]


def _stage_number(op: Op) -> int:
    """Return the number of an operation's stage in the spec, from 1."""
    return int(op.label.partition(" ")[0].partition(".")[0])


def _difference(ours: Op, other: Op | None) -> str:
    """Return why a stage cannot be taken over; an empty text if it can."""
    if other is None:
        return f"the model has no stage {quoted(ours.label)}"
    here, there = (
        {slot.parameter.name: slot.parameter.shape for slot in op.slots} for op in (ours, other)
    )
    if here.keys() != there.keys():
        return f"it has {listed(list(there))} there, and {listed(list(here))} here"
    for name, shape in here.items():
        if there[name] != shape:
            return f"its {name} have the shape {there[name]} there, and {shape} here"
    return ""
