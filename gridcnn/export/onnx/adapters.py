"""The adapters as nodes of ONNX: how each turns an item into a grid, inside the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import SpecError, UserError
from gridcnn.export.onnx.graph import Graph
from gridcnn.export.onnx.values import Value


@dataclass(frozen=True)
class Feed:
    """The grids that a file computes from its input, and the input that it needs.

    Attributes:
        grids: the value, float32 `(items, channels, rows, columns)`; empty if there are `indices`.
        about: what goes in, in one sentence.
        name: the name of the input.
        tables: what callers need as well, such as the tokens in the order of their numbers.
        notes: sentences to print once.
        indices: of one-hot grids, the row of each column's 1, int32 `(items, columns)`; -1 for no
            1.
    """

    grids: str
    about: str
    name: str
    tables: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    indices: Value | None = None


_PLACES: dict[str, str] = {
    "gridcnn.adapters.array:ArrayAdapter": "gridcnn.export.onnx.numbers:add_arrays",
    "gridcnn.adapters.audio:AudioAdapter": "gridcnn.export.onnx.sounds:add_sounds",
    "gridcnn.adapters.image:ImageAdapter": "gridcnn.export.onnx.pictures:add_pictures",
    "gridcnn.adapters.molecule:MoleculeAdapter": "gridcnn.export.onnx.symbols:add_molecules",
    "gridcnn.adapters.table:TableAdapter": "gridcnn.export.onnx.numbers:add_tables",
    "gridcnn.adapters.text:TextAdapter": "gridcnn.export.onnx.symbols:add_texts",
}
"""What adds each adapter, as `module:function`, by the adapter's class."""


_SPOKEN = {
    "pixels": "--pixels is for models of pictures",
    "without": "--without frames is for models of pictures",
    "numbers": "--input number is for models of texts of words",
}


def add_adapter(graph: Graph, adapter: Adapter, **options: Any) -> Feed:
    """Add the input and all that an adapter does with it.

    Args:
        graph: the graph in the making.
        adapter: of the model.
        options: `pixels`, the type of the pixels of pictures; `without`, what may be left out;
            `numbers`, whether words go in as numbers.

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
    for option, title in (("pixels", "image"), ("without", "image"), ("numbers", "text")):
        if option in options and adapter.title != title:
            raise SpecError(f"{_SPOKEN[option]}; this one's adapter is {adapter.title}")
    module, _, name = place.partition(":")
    add: Callable[..., Feed] = getattr(import_module(module), name)
    return add(graph, adapter, **options)


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
