from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.engines.reference import ReferenceEngine
from gridcnn.errors import ModelFileError, TrainingError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load, load_data
from gridcnn.tensors import read_tensors, write_tensors
from gridcnn.training.checkpoint import (
    load_best,
    load_checkpoint,
    load_history,
    save_checkpoint,
)
from gridcnn.training.loop import Labelled, TrainingState, train


class Saver:
    """Saves every epoch under its number, as trained by an engine with these settings."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.engine = engine(**settings)

    def on_nudge(self, *_: Any) -> None:
        pass

    def on_sign(self, *_: Any) -> None:
        pass

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        pass

    def on_epoch(self, state: TrainingState) -> None:
        path = self.folder / f"{len(state.history)}"
        save_checkpoint(path, state, "mark", engine=self.engine, classes=["a", "b"])


def engine(**settings: Any) -> ReferenceEngine:
    spec = load(
        {
            "stages": [{"convolution": {"filters": 2}}, "rectification", "pooling"],
            "head": {"voting": {"hidden": [3], "dropout": 0.3}},
            "training": {"epochs": 4, "batch_size": 8, **settings},
        }
    )
    return ReferenceEngine(Network(spec, GridShape(1, 5, 5), classes=2))


def trained(
    watcher: Saver | None = None, state: TrainingState | None = None, **settings: Any
) -> TrainingState:
    made = engine(**settings)
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (40, 1, 5, 5)).astype(np.float32)
    targets = random.integers(0, 2, 40)
    training, validation = Labelled(grids[:30], targets[:30]), Labelled(grids[30:], targets[30:])
    return train(
        made,
        training,
        validation,
        made.network.spec.training,
        state=state,
        watcher=watcher,
    )


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    trained(Saver(tmp_path, epochs=1), epochs=1)
    return tmp_path / "1"


@pytest.mark.parametrize("optimizer", ["sgd", {"sgd": {"nesterov": True}}, "adam", "adamw"])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_training_resumed_from_a_file_ends_with_the_same_bits(
    optimizer: Any, epoch: int, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"optimizer": optimizer, "schedule": "cosine", "weight_decay": 0.02}
    whole = trained(Saver(tmp_path, **settings), **settings)

    resumed = trained(
        state=load_checkpoint(tmp_path / f"{epoch}", "mark", engine=engine(**settings)),
        **settings,
    )
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)
    np.testing.assert_array_equal(resumed.best, whole.best)
    assert resumed.best_epoch == whole.best_epoch
    assert [each.loss for each in resumed.history] == [each.loss for each in whole.history]


def test_what_is_saved_is_what_is_loaded(checkpoint: Path) -> None:
    state = trained(epochs=1)

    loaded = load_checkpoint(checkpoint, "mark", engine=engine())
    np.testing.assert_array_equal(loaded.parameters, state.parameters)
    np.testing.assert_array_equal(loaded.best, state.best)
    assert set(loaded.memory) == set(state.memory)
    assert (loaded.best_epoch, loaded.steps) == (1, 4)
    assert loaded.history[0].loss == state.history[0].loss


def test_the_best_weights_are_loaded_with_all_that_answers_need(tmp_path: Path) -> None:
    """The spec, the classes, and which epoch they are from."""
    saver = Saver(tmp_path)
    whole = trained(saver)

    best = load_best(tmp_path / "4")

    np.testing.assert_array_equal(best.parameters, whole.best)
    assert (best.epoch, best.epochs) == (whole.best_epoch, 4)
    assert best.classes == ["a", "b"]
    assert load_data(best.spec) == saver.engine.network.spec
    assert load_history(tmp_path / "4") == whole.history


def test_a_nudged_training_has_no_memory_to_save(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "method": "nudge",
        "epochs": 2,
        "batch_size": 30,
        "learning_rate": 0.1,
    }
    whole = trained(Saver(tmp_path, **settings), **settings)

    resumed = trained(
        state=load_checkpoint(tmp_path / "1", "mark", engine=engine(**settings)), **settings
    )
    np.testing.assert_array_equal(resumed.parameters, whole.parameters)


def test_a_checkpoint_of_another_run_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ModelFileError, match="with another spec or other data; a run resumes only"):
        load_checkpoint(checkpoint, "another mark", engine=engine())


def test_a_damaged_checkpoint_is_refused(checkpoint: Path) -> None:
    content = bytearray(checkpoint.read_bytes())
    content[-3] ^= 1
    checkpoint.write_bytes(content)

    with pytest.raises(ModelFileError, match="is damaged: its checksum is wrong"):
        load_checkpoint(checkpoint, "mark", engine=engine())


def test_a_missing_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match="does not exist; a gridcnn checkpoint file was expect"
    ):
        load_checkpoint(tmp_path / "none", "mark", engine=engine())


def test_a_model_is_no_checkpoint(tmp_path: Path) -> None:
    write_tensors(tmp_path / "model", "model", {}, {})

    with pytest.raises(ModelFileError, match="a gridcnn checkpoint file was expected"):
        load_checkpoint(tmp_path / "model", "mark", engine=engine())


def test_a_checkpoint_of_another_layout_is_refused(checkpoint: Path) -> None:
    for layout in (1, None):
        tensors, content = read_tensors(checkpoint, "checkpoint")
        write_tensors(checkpoint, "checkpoint", tensors, {**content, "format": layout})

        with pytest.raises(
            ModelFileError, match=f"has the layout {layout}; this gridcnn .* layout 2"
        ):
            load_checkpoint(checkpoint, "mark", engine=engine())


@pytest.mark.parametrize("lost", ["parameters", "best", "fingerprint", "history", "steps"])
def test_a_checkpoint_that_lacks_something_is_refused(checkpoint: Path, lost: str) -> None:
    tensors, content = read_tensors(checkpoint, "checkpoint")
    tensors.pop(lost, None)
    content.pop(lost, None)
    write_tensors(checkpoint, "checkpoint", tensors, content)

    with pytest.raises(ModelFileError, match=f"is damaged: .*{lost}"):
        load_checkpoint(checkpoint, "mark", engine=engine())


def resealed(checkpoint: Path, **changes: Any) -> None:
    """Write a checkpoint again with other content and vectors, and with a right checksum."""
    tensors, content = read_tensors(checkpoint, "checkpoint")
    for name, change in changes.items():
        (tensors if isinstance(change, np.ndarray) else content)[name.replace("_of_", ".")] = change
    write_tensors(checkpoint, "checkpoint", tensors, content)


def epoch(number: int = 1, **changes: Any) -> dict[str, Any]:
    figures = dict.fromkeys(("loss", "accuracy", "validation_loss", "validation_accuracy"), 0.5)
    return {"epoch": number, **figures, "learning_rate": 0.1, "seconds": 1.0, **changes}


SIZE = engine().network.parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -4}, "'steps' of the checkpoint must be at least 0"),
        ({"steps": True}, "'steps' of the checkpoint must be a whole number; got true"),
        ({"steps": 10**300}, "'steps' of the checkpoint must be at most"),
        ({"steps": 0}, "'steps' are 0, of an optimizer that remembers 2"),
        ({"best_epoch": 0}, "'best_epoch' of the checkpoint must be at least 1"),
        ({"best_epoch": 2}, ".*'best_epoch' is 2 of 1 epochs"),
        ({"best_epoch": 1.0}, "'best_epoch' of the checkpoint must be a whole number"),
        ({"history": []}, "'history' of the checkpoint must be a list of at least 1 entry"),
        ({"history": [[1]]}, "an epoch takes entries"),
        ({"history": [epoch(2)]}, ".*'history' has other epochs than 1, 2, 3"),
        ({"history": [epoch(accuracy=1.5)]}, "'accuracy' of an epoch must be at most 1"),
        ({"history": [epoch(loss="0.5")]}, "'loss' of an epoch must be a number"),
        ({"history": [epoch(seconds=-1.0)]}, "'seconds' of an epoch must be at least 0"),
        ({"history": [epoch(validation_loss=None)]}, ".*a validation for only some epochs"),
        ({"history": [epoch(), epoch(2), epoch(3)]}, ".*'steps' are 4, not the same for each of 3"),
        ({"engine": ["reference"]}, "'engine' of the checkpoint must be a text"),
        ({"best": np.zeros(3, np.float32)}, rf"best must be float32 \({SIZE},\); it is float32"),
        ({"parameters": np.zeros(SIZE)}, rf"parameters must be float32 \({SIZE},\); it is float64"),
        ({"best": np.full(SIZE, np.nan, np.float32)}, "best holds numbers that are NaN"),
        ({"parameters": np.full(SIZE, np.inf, np.float32)}, "parameters holds numbers that are"),
        ({"memory_of_mean": np.full(SIZE, -np.inf, np.float32)}, "memory.mean holds numbers that"),
        ({"memory_of_square": np.full(SIZE, -1, np.float32)}, "memory.square holds numbers below"),
        ({"memory_of_square": np.full(SIZE, np.nan, np.float32)}, "memory.square holds numbers b"),
        ({"memory_of_other": np.zeros(SIZE, np.float32)}, "it has vectors missing, .*memory.other"),
    ],
)
def test_a_checkpoint_that_makes_no_sense_is_damaged(
    checkpoint: Path, changes: dict[str, Any], message: str
) -> None:
    """However well it is sealed; the line says what is wrong, and what to do."""
    resealed(checkpoint, **changes)

    with pytest.raises(ModelFileError, match=f"is damaged: {message}") as caught:
        load_checkpoint(checkpoint, "mark", engine=engine())
    assert str(caught.value).endswith("; delete it to start over")


def test_another_method_goes_on_with_nothing_of_this_one(checkpoint: Path) -> None:
    """What one optimizer remembers is nothing to another."""
    for settings in ({"optimizer": "sgd"}, {"method": "nudge"}):
        with pytest.raises(ModelFileError, match=r"missing, or too many: memory\.mean"):
            load_checkpoint(checkpoint, "mark", engine=engine(**settings))


def test_a_mean_of_squares_may_be_infinite(checkpoint: Path) -> None:
    """So it is after a gradient of 1e20 in the last batch; training tells, stopped or not."""
    tensors, _ = read_tensors(checkpoint, "checkpoint")
    squares = tensors["memory.square"].copy()
    squares[0] = np.inf
    resealed(checkpoint, memory_of_square=squares)

    state = load_checkpoint(checkpoint, "mark", engine=engine())

    with pytest.raises(TrainingError, match="the loss is no longer a number"):
        trained(state=state, epochs=2)
