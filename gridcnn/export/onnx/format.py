"""The format `onnx`: one file that holds the adapter and the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic import Strict

from gridcnn.contracts.adapter import Things
from gridcnn.errors import SpecError
from gridcnn.export.format import Exported, Format
from gridcnn.export.onnx.adapters import Feed, add_adapter
from gridcnn.export.onnx.graph import HIGHEST, LOWEST, USUAL, Graph
from gridcnn.export.onnx.network import add_network
from gridcnn.model import Model
from gridcnn.version import VERSION

Opset = Annotated[int, Strict(), Ge(LOWEST), Le(HIGHEST)]
"""A version of ONNX's operators."""


class Onnx(Format):
    """ONNX, which ONNX Runtime, OpenVINO, browsers, phones and many others run."""

    title: ClassVar[str] = "onnx"
    endings: ClassVar[tuple[str, ...]] = (".onnx",)

    input: Literal["item", "number", "grid"] = "item"
    """What goes in. `item`: items, as pixels, samples, characters, words or numbers; `number`:
    of texts of words, the numbers of words in a table, for programs that know no texts; `grid`:
    the grids that the adapter makes, if other code makes them."""
    opset: Opset = USUAL
    """The version of the operators, 13 to 21; runtimes of browsers and phones read 17."""
    pixels: Literal["uint8", "float32"] | None = None
    """Of pictures, the type of the pixels: `uint8` (the default) or `float32`."""
    without: Literal["frames"] | None = None
    """What is left out of the adapter. `frames`: of pictures with a search for ink, that page edges
    and ruled lines are taken off their sides; for programs without the operators If and Loop."""

    labels: Annotated[bool, Strict()] = False
    """Whether the class of the answer comes out as well, as a text; for programs with texts."""

    def export(self, model: Model, path: Path) -> Exported:  # noqa: ARG002 - one file
        """Return the file; raise `UserError` that names what cannot be expressed."""
        if self.labels and model.several:
            raise SpecError(
                "--labels is for models that give each item one class; of several labels, `answer` "
                "has 1 or 0 for each, and their names are in the metadata"
            )
        graph = Graph(self.opset)
        if self.input == "grid":
            grids = graph.input("grids", np.float32, ("items", *model.shape.sizes))
            feed = Feed(grids, "the grids", "grids")
        else:
            more: dict[str, Any] = {} if self.pixels is None else {"pixels": self.pixels}
            more |= {"numbers": True} if self.input == "number" else {}
            more |= {} if self.without is None else {"without": self.without}
            feed = add_adapter(graph, model.adapter, **more)
        votes = add_network(graph, model.network, model.parameters, feed.grids, feed.indices)
        classes = len(model.classes)
        graph.output(votes, "votes", np.float32, ("items", classes))
        sizes: tuple[int | str, ...] = ("items", classes) if model.several else ("items",)
        answers = _answers(graph, model, votes)
        graph.output(answers, "answer", np.int64, sizes)
        if self.labels:
            # Numbers that are classes stay numbers.
            numbers = all(isinstance(each, int) for each in model.classes)
            kind = np.dtype(np.int64 if numbers else object)
            names = model.classes if numbers else list(map(str, model.classes))
            label = graph.node("Gather", graph.constant(names, kind, "names"), answers, axis=0)
            graph.output(label, "label", kind, sizes)
        content = graph.content(model.spec.name, _metadata(self, model, feed))
        facts: dict[str, Any] = {
            "opset": self.opset,
            "inputs": {input_.name: _describe(input_) for input_ in graph.inputs},
            "outputs": {output.name: _describe(output) for output in graph.outputs},
            "input": feed.about,
        }
        return Exported({".onnx": content}, facts, feed.notes)

    def refuse_check(self) -> None:
        """Raise `UserError` if ONNX Runtime is not installed."""
        from gridcnn.export.onnx.checking import need_runtime

        need_runtime()

    def largest_difference(self, model: Model, made: Exported, things: Things) -> float:
        """Return by how much votes in ONNX Runtime differ from those of the model, at most."""
        from gridcnn.export.onnx.checking import largest_difference

        return largest_difference(model, made.contents[".onnx"], things)


def _answers(graph: Graph, model: Model, votes: str) -> str:
    """Return the index of the class with the most votes; of several labels, 1 or 0 for each."""
    if model.thresholds is not None:
        enough = graph.binary("Less", votes, np.array([model.thresholds], np.float32))
        return graph.cast(graph.node("Not", enough), np.int64)
    return graph.node("ArgMax", votes, axis=1, keepdims=0)


def _metadata(settings: Onnx, model: Model, feed: Feed) -> dict[str, str]:
    """Return what the file says about itself: each value is a text, most of them JSON."""
    content: dict[str, Any] = {
        **feed.tables,
        "classes": list(model.classes),
        "adapter": {model.adapter.title: model.adapter.model_dump(mode="json")},
        "grid": list(model.shape.sizes),
        "spec": model.spec.model_dump(mode="json"),
    }
    if model.thresholds is not None:
        content["thresholds"] = list(model.thresholds)
    plain = {"gridcnn": VERSION, "input": settings.input, "about": feed.about}
    return {**plain, **{key: json.dumps(value) for key, value in content.items()}}


def _describe(value: Any) -> str:
    """Return the type and the shape of an input or output, as `float32 (items, 2)`."""
    from onnx import helper

    tensor = value.type.tensor_type
    kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    sizes = [each.dim_param or str(each.dim_value) for each in tensor.shape.dim]
    return f"{'text' if kind.kind == 'O' else kind} ({', '.join(sizes)}{',' * (len(sizes) == 1)})"
