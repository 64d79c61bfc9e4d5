"""Model files and checkpoints, changed behind their checksum."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.sealed import tensors_changed
from fuzz.target import Target, kept, refused, require
from gridcnn.engines.base import Engine, make_engine
from gridcnn.errors import ModelFileError, UserError
from gridcnn.grid import GridShape
from gridcnn.model import Model, load
from gridcnn.network import Network
from gridcnn.spec.load import load as load_spec
from gridcnn.training.checkpoint import load_best, load_checkpoint, load_history, save_checkpoint
from gridcnn.training.loop import Labelled, train

_MOST = 5_000_000
"""Multiplications for an item of a network that is tried: others are right, and take long."""
_ADAPTERS: dict[str, tuple[Any, Any]] = {
    "array": (
        {"array": {"size": [6, 7], "channels": 1, "low": -1.0, "high": 1.0}},
        np.zeros((2, 6, 7)),
    ),
    "text": ({"text": {"alphabet": "abc", "length": 7}}, ["abc", "cab"]),
    "table": (
        {"table": {"size": [2, 3], "means": [0.0] * 6, "deviations": [1.0] * 6}},
        np.zeros((2, 6)),
    ),
    "image": ({"image": {"size": [8, 8]}}, [np.zeros((9, 11), np.uint8)] * 2),
    "molecule": ({"molecule": {"alphabet": ["C", "O", "(", ")"], "length": 9}}, ["CCO", "C(C)O"]),
    "audio": (
        {
            "audio": {
                "sample_rate": 8000,
                "n_fft": 64,
                "hop_length": 64,
                "n_mels": 8,
                "duration": 0.1,
            }
        },
        [np.zeros(800, np.float32)] * 2,
    ),
}


def _spec_of(name: str, adapter: Any) -> Any:
    window = ["all", 3] if name in ("text", "molecule") else 2
    return {
        "name": name,
        "data": {"source": "photos", "group": {"pattern": "([a-z])_"}},
        "adapter": adapter,
        "stages": [{"convolution": {"filters": 2, "kernel_size": window}}, "rectification"],
        "head": {"voting": {"hidden": [3]}},
        "training": {"epochs": 3, "optimizer": "adam", "augmentation": [{"noise": 0.1}]},
    }


def _models() -> Sequence[bytes]:
    found = []
    for name, (adapter, _) in _ADAPTERS.items():
        spec = load_spec(_spec_of(name, adapter))
        assert spec.adapter is not None
        network = Network(spec, spec.adapter.shape(), classes=3)
        path = kept() / f"{name}.safetensors"
        Model(spec, ["x", "o", 7], network.starting_parameters(), engine="reference").save(path)
        found.append(path.read_bytes())
    return found


def ask(model: Model) -> None:
    """Let a model answer; raise `WrongError` where what it says is no answer."""
    require(bool(np.isfinite(model.parameters).all()), "the weights of a model are not finite")
    things = _ADAPTERS.get(model.adapter.title, (None, None))[1]
    small = model.network.multiply_adds < _MOST and model.shape.cells < _MOST
    if things is None or not small:
        return
    with refused(UserError):
        votes = model.votes(things)
        require(bool(np.isfinite(votes).all()), "the votes of a model are not finite")
        require(len(model.answers(votes)) == len(things), "a model does not answer everything")


def _ask_model(content: bytes, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    with refused(ModelFileError):
        ask(load(path, engine="reference"))


def _labelled() -> Labelled:
    random = np.random.default_rng(0)
    return Labelled(
        random.normal(0, 1, (12, 1, 5, 5)).astype(np.float32), np.arange(12, dtype=np.int64) % 2
    )


@functools.cache
def _engines() -> tuple[Engine, ...]:
    """Return engines that train with optimizers that keep different things in mind."""
    methods = ({"optimizer": "adam"}, {"optimizer": "sgd"}, {"method": "nudge"})
    specs = [
        load_spec(
            {
                "adapter": _ADAPTERS["array"][0],
                "stages": [{"convolution": {"filters": 1}}, {"pooling": {"window": "all"}}],
                "head": "voting",
                "training": {"epochs": 2, "batch_size": 6, **method},
            }
        )
        for method in methods
    ]
    networks = [Network(spec, GridShape(1, 5, 5), classes=2) for spec in specs]
    return tuple(make_engine(network, "reference") for network in networks)


def _checkpoints() -> Sequence[bytes]:
    found = []
    path = kept() / "checkpoint.safetensors"
    for engine in _engines():
        state = train(engine, _labelled(), _labelled(), engine.network.spec.training)
        save_checkpoint(path, state, "mark", engine=engine, classes=["a", "b"])
        found.append(path.read_bytes())
    return found


def _go_on(content: bytes, folder: Path) -> None:
    """Go on from a checkpoint with each engine, and ask the best weights in it."""
    path = folder / "checkpoint.safetensors"
    path.write_bytes(content)
    for engine in _engines():
        with refused(ModelFileError):
            state = load_checkpoint(path, "mark", engine=engine)
            longer = engine.network.spec.training.model_copy(update={"epochs": 3})
            with refused(UserError):
                ended = train(engine, _labelled(), _labelled(), longer, state=state)
                require(bool(np.isfinite(ended.best).all()), "training ends with odd weights")
    with refused(ModelFileError):
        require(len(load_history(path)) >= load_best(path).epoch, "the best epoch is to come")
    with refused(ModelFileError):
        ask(load(folder, engine="reference"))


TARGETS = (
    Target("model", "model files", _models, _ask_model, tensors_changed),
    Target("checkpoint", "checkpoints", _checkpoints, _go_on, tensors_changed),
)
