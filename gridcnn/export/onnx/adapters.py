"""The adapters as nodes of ONNX: what each makes of an item, inside the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import UserError
from gridcnn.export.onnx.graph import Graph


@dataclass(frozen=True)
class Feed:
    """The grids that a file makes of its input, and what has to go in.

    Attributes:
        grids: the value, float32 `(items, channels, rows, columns)`.
        about: what goes in, in one sentence.
        name: the name of the input.
        tables: what callers need beside it, such as the tokens in the order of their numbers.
        notes: sentences to print once.
    """

    grids: str
    about: str
    name: str
    tables: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


_PLACES: dict[str, str] = {}
"""What adds each adapter, as `module:function`, by the adapter's class."""


def add_adapter(graph: Graph, adapter: Adapter) -> Feed:
    """Add the input and all that an adapter does with it.

    Raises:
        UserError: it has settings that cannot be expressed; each is named.
    """
    # By the exact class: a subclass may make something else.
    place = _PLACES.get(f"{type(adapter).__module__}:{type(adapter).__name__}")
    if place is None:
        raise UserError(
            f"the adapter {adapter.title} cannot be expressed in ONNX; give --input grid to export "
            "the network alone"
        )
    module, _, name = place.partition(":")
    add: Callable[[Graph, Any], Feed] = getattr(import_module(module), name)
    return add(graph, adapter)


def refuse(settings: Sequence[str], why: str) -> None:
    """Raise `UserError` for settings of an adapter that cannot be expressed, if there are any."""
    if settings:
        raise UserError(
            *(
                f"{setting} cannot be expressed in ONNX{why}; give --input grid to export the "
                "network alone"
                for setting in settings
            )
        )
