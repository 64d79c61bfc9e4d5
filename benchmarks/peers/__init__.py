"""Contestants: gridcnn and the libraries it is measured against, each in a process of its own.

A contestant is given a `Case` (a network, its weights and batches as plain arrays) and offers, for
each task, the ways in which it can be done; the quickest one is the one that counts. Peers never
import gridcnn, so that what they need is theirs alone.
"""

from __future__ import annotations

from dataclasses import dataclass

TRAIN, PREDICT, ONE = "train", "predict", "one"
TASKS = {
    TRAIN: "a training step: forward, backward and Adam",
    PREDICT: "the votes of one batch",
    ONE: "the votes of one item, asked for from Python",
}

LAYER = "layer "
"""How the tasks begin that are one convolution of gridcnn; its number, from 1, follows."""


@dataclass(frozen=True)
class Contestant:
    """Who takes part, and in what.

    Attributes:
        title: what tables call it.
        place: the module below `benchmarks.peers` and the class in it, `module:class`.
        tasks: what it can do.
        settings: what the class is given by name.
    """

    title: str
    place: str
    tasks: tuple[str, ...] = (TRAIN, PREDICT, ONE)
    settings: tuple[tuple[str, str], ...] = ()


OURS = "gridcnn"
PYTORCH = ("pytorch", "pytorch-channels-last", "pytorch-compile")
RUNTIMES = ("onnxruntime", "openvino")
CONTESTANTS = {
    OURS: Contestant("gridcnn", "ours:Ours"),
    "pytorch": Contestant("PyTorch eager", "pytorch:PyTorch", settings=(("mode", "eager"),)),
    "pytorch-channels-last": Contestant(
        "PyTorch channels-last", "pytorch:PyTorch", settings=(("mode", "channels-last"),)
    ),
    "pytorch-compile": Contestant(
        "torch.compile", "pytorch:PyTorch", settings=(("mode", "compile"),)
    ),
    "onnxruntime": Contestant("ONNX Runtime", "runtimes:OnnxRuntime", (PREDICT, ONE)),
    "openvino": Contestant("OpenVINO", "runtimes:OpenVino", (PREDICT, ONE)),
    "jax": Contestant("JAX (jit)", "xla:Jax"),
}
