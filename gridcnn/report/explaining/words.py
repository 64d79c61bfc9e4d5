"""What each stage does, in a plain sentence, and where a cell of the grid stands."""

from __future__ import annotations

import inspect

from gridcnn.grid import Axis
from gridcnn.network import Op
from gridcnn.stages.activation import Activation
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.dropout import Dropout
from gridcnn.stages.merging import Join, Sum
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import VotingLayers


def sentence_of(op: Op) -> str:
    """Return what an operation does, for people who have not seen such networks before."""
    stage = op.stage
    if isinstance(stage, Convolution):
        return _of_convolution(op, stage)
    if isinstance(stage, Pooling):
        return _of_pooling(op, stage)
    if isinstance(stage, VotingLayers):
        hidden = ", then ".join(f"{size} hidden units" for size in stage.hidden)
        through = f", through {hidden}" if hidden else ""
        return (
            f"Each of the {op.input.cells:,} cells votes for {_classes(op.output.channels, stage)}"
            f"{through}; some votes weigh more than others."
        )
    if isinstance(stage, Rectification):
        leak = stage.leak
        return (
            f"Cells below 0 are multiplied by {leak:g}; others stay."
            if leak
            else "Cells below 0 become 0: what is left is where a feature matches."
        )
    if isinstance(stage, Dropout):
        return "In training it leaves out cells at random; in answers it changes nothing."
    if isinstance(stage, Sum):
        return "Adds what several branches have made, cell by cell."
    if isinstance(stage, Join):
        return "Puts the maps of several branches one after the other."
    if isinstance(stage, Activation):
        return f"Each cell goes through the function {stage.function}."
    return (inspect.getdoc(type(stage)) or "").partition("\n")[0]


def _classes(count: int, stage: VotingLayers) -> str:
    one, many = ("label", "labels") if stage.several else ("class", "classes")
    return f"each of {count} {many}" if count > 1 else f"one {one}"


def _of_convolution(op: Op, stage: Convolution) -> str:
    rows, columns = stage.kernel(op.input)
    inside = op.input.channels // stage.group_count(op.input.channels)
    deep = f"{inside} x " if inside > 1 else ""
    cells = inside * rows * columns
    steps = ["multiply cell by cell", "add up"]
    steps += [f"divide by {cells:,}"] if stage.scale == "match" else []
    steps += ["add the feature's bias"] if stage.bias else []
    return (
        f"Each of {op.output.channels} features, {deep}{rows} x {columns} cells, is laid over "
        f"every patch of that size: {', '.join(steps[:-1])} and {steps[-1]}. Its map shows where "
        "it matches (orange), and where its negative does (violet)."
    )


def _of_pooling(op: Op, stage: Pooling) -> str:
    rows, columns = stage.sizes(op.input)[0]
    whole = rows >= op.input.rows and columns >= op.input.columns
    window = "All cells of a map are one window" if whole else f"Each window of {rows} x {columns}"
    if stage.mode == "mean":
        return (
            f"{window}, of which the mean is kept."
            if whole
            else f"{window} cells keeps its mean, so that exact position matters less."
        )
    return (
        f"{window}: only the best match of each feature is kept, wherever it is."
        if whole
        else f"{window} cells keeps its best match, so that exact position matters less."
    )


def place_on(axis: Axis, first: int, last: int) -> str:
    """Return where the cells `first` to `last` (included) stand on an axis, as `time 0.1 s`.

    Cells without labels are counted from 1.
    """
    labels = axis.labels
    ends = [labels[at] if labels else f"{at + 1}" for at in dict.fromkeys((first, last))]
    unit = f" {axis.unit}" if axis.unit and labels else ""
    return f"{axis.name} {' to '.join(ends)}{unit}"
