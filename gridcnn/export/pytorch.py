"""The format `pytorch`: a readable Python file that builds the network, and its weights."""

from __future__ import annotations

import json
import keyword
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gridcnn.errors import Problem, UserError
from gridcnn.export.format import Exported, Format
from gridcnn.grid import Array, Axis, GridShape
from gridcnn.model import Model
from gridcnn.network import Network, Op
from gridcnn.spec.write import to_yaml
from gridcnn.stages.activation import Activation
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.dropout import Dropout
from gridcnn.stages.gate import Gate
from gridcnn.stages.merging import Join, Sum
from gridcnn.stages.normalization import Normalization
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import IndependentVotes, Votes, VotingLayers
from gridcnn.version import VERSION

_WIDTH = 96


class PyTorch(Format):
    """A Python file that needs PyTorch and safetensors, and nothing of gridcnn."""

    title: ClassVar[str] = "pytorch"
    endings: ClassVar[tuple[str, ...]] = (".py", ".safetensors")

    def export(self, model: Model, path: Path) -> Exported:
        """Return the file and its weights; raise `UserError` that names what has no counterpart."""
        weights = path.with_suffix(".safetensors").name
        code, state = program(model.network, model.parameters)
        text = _file(model, weights, code)
        contents = {".py": text.encode(), ".safetensors": _tensors(state)}
        shape = ", ".join(map(str, model.shape.sizes))
        facts = {"input": f"grids (items, {shape}), float32", "needs": "torch, safetensors"}
        return Exported(contents, facts)


@dataclass
class Code:
    """A network as lines of Python.

    Attributes:
        modules: the lines that make its modules.
        forward: the lines that compute.
        result: the name of the output.
    """

    modules: list[str]
    forward: list[str]
    result: str


def program(network: Network, parameters: Array) -> tuple[Code, dict[str, Array]]:
    """Return a network as code, and the values of its state by their names in PyTorch.

    Raises:
        UserError: stages of another package, which are all named.
    """
    code, state = Code([], [], "grids"), dict[str, Array]()
    names = ["grids"]
    problems = []
    for op in network.ops:
        writer = _WRITERS.get(type(op.stage))
        if writer is None:
            problems.append(Problem(f"{op.label}: this stage has no counterpart in PyTorch"))
            names.append("")
            continue
        number, _, word = op.label.partition(" ")
        name = re.sub(r"\W", "_", f"{word}{number}")
        name = f"{name}_" if keyword.iskeyword(name) else name
        line = _Line(op, name, [names[source] for source in op.sources], code, state)
        writer(line, op.views(parameters))
        names.append(line.result)
    if problems:
        raise UserError(*problems)
    code.result = names[network.result]
    return code, state


class _Line:
    """One operation: what it reads, and where its code goes."""

    def __init__(
        self, op: Op, name: str, sources: list[str], code: Code, state: dict[str, Array]
    ) -> None:
        self.op = op
        self.name = name
        self.sources = sources
        self.result = f"x{op.target}"
        self._code = code
        self._state = state

    def module(self, made: str, state: Mapping[str, Array] | None = None, suffix: str = "") -> str:
        """Make a module, with its state; return the code that stands for it."""
        name = f"{self.name}{suffix}"
        self._code.modules.append(f"self.{name} = nn.{made}")
        for key, values in (state or {}).items():
            self._state[f"{name}.{key}"] = values
        return f"self.{name}"

    def frozen(self, module: str) -> None:
        """Keep training from changing a module."""
        self._code.modules.append(f"{module}.requires_grad_(False)")

    def compute(self, code: str) -> None:
        """Compute the result; what is long is computed in several lines."""
        self._code.forward.append(f"{self.result} = {code}")

    @property
    def source(self) -> str:
        """The (first) value that is read."""
        return self.sources[0]


def _convolution(line: _Line, weights: Mapping[str, Array]) -> None:
    stage, shape = line.op.stage, line.op.input
    assert isinstance(stage, Convolution)
    features = weights["weights"]
    if stage.scale == "match":
        features = features / np.float32(features[0].size)
    (above, below), (left, right) = stage.borders(shape)
    settings = [str(shape.channels), str(len(features)), str(stage.kernel(shape))]
    if stage.stride != (1, 1):
        settings.append(f"stride={stage.stride}")
    even = above == below and left == right
    if even and (above or left):
        settings.append(f"padding={(above, left)}")
    if stage.dilation != (1, 1):
        settings.append(f"dilation={stage.dilation}")
    groups = stage.group_count(shape.channels)
    if groups > 1:
        settings.append(f"groups={groups}")
    if not stage.bias:
        settings.append("bias=False")
    state = {"weight": features} | ({"bias": weights["bias"]} if stage.bias else {})
    module = line.module(f"Conv2d({', '.join(settings)})", state)
    if not stage.trainable:
        line.frozen(module)
    source = line.source if even else f"F.pad({line.source}, {(left, right, above, below)})"
    line.compute(f"{module}({source})")


def _pooling(line: _Line, _: Mapping[str, Array]) -> None:
    stage, shape = line.op.stage, line.op.input
    assert isinstance(stage, Pooling)
    window, stride = stage.sizes(shape)
    is_mean = stage.mode == "mean"
    if window[0] >= shape.rows and window[1] >= shape.columns:
        kind = "mean" if is_mean else "amax"
        line.compute(f"{line.source}.{kind}((2, 3), keepdim=True)")
        return
    window = (min(window[0], shape.rows), min(window[1], shape.columns))
    settings = [str(window), f"stride={stride}"]
    if stage.edges == "keep":
        settings.append("ceil_mode=True")
    if is_mean:
        settings.append("count_include_pad=False")
    kind = "AvgPool2d" if is_mean else "MaxPool2d"
    module = line.module(f"{kind}({', '.join(settings)})")
    line.compute(f"{module}({line.source})")


def _rectification(line: _Line, _: Mapping[str, Array]) -> None:
    stage = line.op.stage
    assert isinstance(stage, Rectification)
    code = f"F.leaky_relu({line.source}, {stage.leak})" if stage.leak else f"F.relu({line.source})"
    line.compute(code)


def _activation(line: _Line, _: Mapping[str, Array]) -> None:
    stage = line.op.stage
    assert isinstance(stage, Activation)
    where = "F" if stage.function in ("gelu", "silu") else "torch"
    line.compute(f"{where}.{stage.function}({line.source})")


def _normalization(line: _Line, weights: Mapping[str, Array]) -> None:
    stage, channels = line.op.stage, line.op.input.channels
    assert isinstance(stage, Normalization)
    state = {"weight": weights["gain"], "bias": weights["bias"]}
    if stage.kind == "batch":
        state |= {
            "running_mean": weights["mean"],
            "running_var": weights["variance"],
            "num_batches_tracked": np.array(0, np.int64),
        }
        momentum = round(1 - stage.momentum, 12)
        code = f"BatchNorm2d({channels}, eps={stage.epsilon}, momentum={momentum})"
    else:
        groups = stage.group_count(line.op.input)
        code = f"GroupNorm({groups}, {channels}, eps={stage.epsilon})"
    line.compute(f"{line.module(code, state)}({line.source})")


def _gate(line: _Line, weights: Mapping[str, Array]) -> None:
    hidden, gate = (_linear(line, weights, part, f"_{part}") for part in ("hidden", "gate"))
    means = f"{line.source}.mean((2, 3))"
    gates = f"torch.sigmoid({gate}(F.relu({hidden}({means}))))"
    line.compute(f"{line.source} * {gates}[:, :, None, None]")


def _linear(line: _Line, weights: Mapping[str, Array], layer: str, suffix: str) -> str:
    values = weights[f"{layer}.weights"]
    outputs, inputs = values.shape
    state = {"weight": values, "bias": weights[f"{layer}.bias"]}
    return line.module(f"Linear({inputs}, {outputs})", state, suffix)


def _dropout(line: _Line, _: Mapping[str, Array]) -> None:
    stage = line.op.stage
    assert isinstance(stage, Dropout)
    kind = "Dropout2d" if stage.of == "maps" else "Dropout"
    line.compute(f"{line.module(f'{kind}({stage.rate})')}({line.source})")


def _sum(line: _Line, _: Mapping[str, Array]) -> None:
    line.compute(" + ".join(line.sources))


def _join(line: _Line, _: Mapping[str, Array]) -> None:
    line.compute(f"torch.cat([{', '.join(line.sources)}], 1)")


def _voting(line: _Line, weights: Mapping[str, Array]) -> None:
    stage = line.op.stage
    assert isinstance(stage, VotingLayers)
    value = f"{line.source}.flatten(1)"
    layers = stage.layers(line.op.input.cells)
    dropout = line.module(f"Dropout({stage.dropout})", suffix="_dropout") if stage.dropout else ""
    for number, (layer, _, _) in enumerate(layers):
        module = _linear(line, weights, layer, f"_{layer}")
        value = f"F.relu({value})" if number else value
        value = f"{dropout}({value})" if dropout and (number or len(layers) == 1) else value
        line.compute(f"{module}({value})")
        value = line.result


_WRITERS: dict[type[Any], Callable[[_Line, Mapping[str, Array]], None]] = {
    Convolution: _convolution,
    Pooling: _pooling,
    Rectification: _rectification,
    Activation: _activation,
    Normalization: _normalization,
    Gate: _gate,
    Dropout: _dropout,
    Sum: _sum,
    Join: _join,
    Votes: _voting,
    IndependentVotes: _voting,
}
"""By the exact class: a subclass may compute something else."""


_CLASS = '''class Network(nn.Module):
    """Grids `(items, {shape})` in, a logit for each class out."""

    def __init__(self):
        super().__init__()
{modules}

    def forward(self, grids):
{forward}
        return {result}
'''


def class_text(code: Code, shape: GridShape) -> str:
    """Return the class of a network, as Python."""
    indent = " " * 8
    return _CLASS.format(
        shape=", ".join(map(str, shape.sizes)),
        modules="\n".join(indent + each for each in code.modules) or f"{indent}pass",
        forward="\n".join(indent + each for each in code.forward),
        result=code.result,
    )


# The file -----------------------------------------------------------------------------------------

_FILE = '''"""{title}: a network of gridcnn {version}, in PyTorch. Its weights are in {weights}.

{about}

    network = load()
    votes = vote(network, grids)             # (items, {classes}), in the order of CLASSES

To continue training, call `network.train()`; `network(grids)` returns the logits.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

CLASSES = {names}
WEIGHTS = Path(__file__).with_name({quoted})


{network}

def load(weights=WEIGHTS):
    """Return the network with its weights, ready to answer."""
    network = Network()
    network.load_state_dict(load_file(weights))
    return network.eval()


@torch.no_grad()
def vote(network, grids):
    """Return the votes for grids, `(items, classes)`: 0 to 1{sums}."""
    grids = torch.as_tensor(grids, dtype=torch.float32)
    return {votes}
'''


def _file(model: Model, weights: str, code: Code) -> str:
    """Return the text of the file."""
    votes = "torch.sigmoid(network(grids))" if model.several else "network(grids).softmax(1)"
    names = json.dumps(list(model.classes), ensure_ascii=True)
    if len(names) > _WIDTH - 10:
        lines = "".join(f"    {json.dumps(label, ensure_ascii=True)},\n" for label in model.classes)
        names = f"[\n{lines}]"
    return _FILE.format(
        title=model.spec.name,
        version=VERSION,
        weights=weights,
        quoted=json.dumps(weights, ensure_ascii=True),
        about=_about(model),
        classes=len(model.classes),
        names=names,
        network=class_text(code, model.shape),
        sums="" if model.several else ", and they add up to 1",
        votes=votes,
    )


def _about(model: Model) -> str:
    """Return what goes in, and how gridcnn makes it of items."""
    shape = model.shape
    channels = "1 channel" if shape.channels == 1 else f"{shape.channels} channels"
    sentence = (
        f"The input is grids, float32 (items, {', '.join(map(str, shape.sizes))}): {channels}, "
        f"rows ({_axis(shape.row_axis)}) and columns ({_axis(shape.column_axis)}). gridcnn makes "
        f"them from items with the adapter `{model.adapter.title}` and these settings; "
        "`gridcnn.load(MODEL).adapted(things).grids.values` returns them:"
    )
    settings = to_yaml(model.spec.model_copy(update={"stages": (), "head": None, "data": None}))
    match = re.search(r"^adapter:\n((?:[ \t]+.*\n|\n)*)", settings, re.MULTILINE)
    lines = textwrap.indent(match[1] if match else "", "  ").rstrip()
    # What is in a docstring must not end it.
    lines = lines.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = lines.encode("ascii", "backslashreplace").decode()
    return f"{textwrap.fill(sentence, _WIDTH)}\n\n{lines}"


def _axis(axis: Axis) -> str:
    return f"{axis.name}, in {axis.unit}" if axis.unit else axis.name


def _tensors(state: Mapping[str, Array]) -> bytes:
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(values) for name, values in state.items()}
    return bytes(save(plain, {"made by": f"gridcnn {VERSION}"}))
