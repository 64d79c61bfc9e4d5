"""Going on: a run that was stopped, or has ended, and the model that it leaves in between."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gridcnn
from gridcnn import RunWatcher, StopTraining
from gridcnn.errors import (
    ModelFileError,
    RunFolderError,
    TrainingInterrupted,
    UnfinishedRunWarning,
)
from gridcnn.runs.outcome import Run
from gridcnn.training.loop import Epoch

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 120, "size": [12, 12]}}, "test": 0.25, "validation": 0.2},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [8], "dropout": 0.1}},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class _Raises(RunWatcher):
    """Raises an error in the first batch after an epoch, or when the epoch is over."""

    def __init__(self, error: type[BaseException], after: int, *, at_end: bool = False) -> None:
        self.error, self.after, self.at_end = error, after, at_end

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if epoch > self.after:
            raise self.error

    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        if self.at_end and epoch.epoch == self.after:
            raise self.error


def run(out: str, epochs: int, changes: Any = (), **options: Any) -> Run:
    return gridcnn.run(
        TINY, out=out, changes={**dict(changes), "training.epochs": epochs}, **options
    )


def stop(out: str, epochs: int, after: int, changes: Any = ()) -> None:
    """Press Ctrl-C after an epoch."""
    with pytest.raises(TrainingInterrupted):
        run(out, epochs, changes, watcher=_Raises(KeyboardInterrupt, after))


def figures(folder: str | Path) -> dict[str, Any]:
    """Return the metrics without what a clock has measured."""
    metrics: dict[str, Any] = json.loads(Path(folder, "metrics.json").read_text())
    del metrics["seconds"]
    return metrics


def assert_same(folder: str, whole: str) -> None:
    """Check that two runs have the same results, bit for bit."""
    for name in ("spec.yaml", "model.safetensors", "predictions.csv"):
        assert Path(folder, name).read_bytes() == Path(whole, name).read_bytes(), name
    assert figures(folder) == figures(whole)
    names = [{each.name for each in Path(name).iterdir()} for name in (folder, whole)]
    assert names[0] == names[1]


def contents(folder: str) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in Path(folder).iterdir()}


# A run that was stopped leaves a model


def test_a_stopped_run_answers_with_its_best_weights_so_far() -> None:
    """As a run of so many epochs would; and says so."""
    shorter = run("shorter", 2)
    stop("stopped", 5, after=2)
    best = shorter.metrics["best_epoch"]

    with pytest.warns(
        UnfinishedRunWarning,
        match=rf"^the run in stopped has not ended: answers are those of epoch {best}, the best of "
        r"2 so far \(of 5\)$",
    ):
        model = gridcnn.load("stopped")
    with pytest.warns(UnfinishedRunWarning):
        found = gridcnn.evaluate("stopped", "xo")

    assert model.parameters.tobytes() == shorter.model.parameters.tobytes()
    assert model.classes == ("O", "X")
    assert found.accuracy == gridcnn.evaluate("shorter", "xo").accuracy


def test_the_engine_of_an_unfinished_model_is_chosen_like_any() -> None:
    stop("stopped", 5, after=1)

    with pytest.warns(UnfinishedRunWarning):
        model = gridcnn.load("stopped", engine="reference")

    assert model._engine.name == "reference"
    with pytest.raises(gridcnn.UnknownNameError, match="'warp' is not an engine"):
        gridcnn.load("stopped", engine="warp")


def test_without_a_whole_epoch_there_is_no_model() -> None:
    """The error says what to do, and that works."""
    stop("stopped", 2, after=0)

    with pytest.raises(
        ModelFileError,
        match="no epoch of its run has ended; continue with: gridcnn run --resume stop",
    ):
        gridcnn.load("stopped")
    gridcnn.run(resume="stopped")
    assert gridcnn.load("stopped").classes == ("O", "X")


def test_a_watcher_stops_a_run_which_then_ends_like_any_other() -> None:
    """With the last whole epoch; a batch that is only begun does not count."""
    whole = run("whole", 2)

    at_end = run("at_end", 5, watcher=_Raises(StopTraining, 2, at_end=True))
    inside = run("inside", 5, watcher=_Raises(StopTraining, 2))

    assert whole.metrics["stopped"] is None
    for stopped in (at_end, inside):
        assert stopped.metrics["stopped"] == "watcher"
        assert stopped.metrics["epochs"] == 2
        assert stopped.model.parameters.tobytes() == whole.model.parameters.tobytes()
        assert stopped.metrics["test"] == whole.metrics["test"]
        assert gridcnn.load(stopped.folder).parameters.tobytes() == (
            whole.model.parameters.tobytes()
        )


def test_a_watcher_that_stops_before_any_epoch_leaves_a_run_to_go_on() -> None:
    """There is nothing to end with; before training there is nothing at all."""

    class AtOnce(RunWatcher):
        def on_reading(self, progress: Any) -> None:
            raise StopTraining

    with pytest.raises(
        TrainingInterrupted, match=r"^stopped; continue with: gridcnn run --resume st"
    ):
        run("stopped", 2, watcher=_Raises(StopTraining, 0))
    with pytest.raises(TrainingInterrupted, match="nothing was written"):
        run("nothing", 2, watcher=AtOnce())

    assert not Path("nothing").exists()
    assert gridcnn.run(resume="stopped").metrics["epochs"] == 2


def test_a_run_that_a_watcher_has_stopped_goes_on_to_its_end() -> None:
    """Whatever the schedule: its number of epochs stays the same."""
    cosine = {"training.schedule": "cosine"}
    run("whole", 4, cosine)
    run("stopped", 4, cosine, watcher=_Raises(StopTraining, 2))

    gridcnn.run(resume="stopped")

    assert_same("stopped", "whole")


def test_a_resumed_run_may_be_stopped_by_its_watcher_at_once() -> None:
    """It ends with the epochs that it had."""
    whole = run("whole", 2)
    stop("stopped", 5, after=2)

    ended = gridcnn.run(resume="stopped", watcher=_Raises(StopTraining, 2))

    assert ended.metrics["stopped"] == "watcher"
    assert ended.model.parameters.tobytes() == whole.model.parameters.tobytes()


def test_each_fold_that_a_watcher_stops_ends_by_itself() -> None:
    """The others go on."""
    changes = {"training.epochs": 5, "data.source.xo.count": 60}

    found = gridcnn.cross_validate(
        TINY, folds=2, changes=changes, watcher=_Raises(StopTraining, 1, at_end=True)
    )

    assert [fold.metrics["epochs"] for fold in found.folds] == [1, 1]
    assert [fold.metrics["stopped"] for fold in found.folds] == ["watcher", "watcher"]


# A run goes on to another end


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training.optimizer": "sgd", "training.warm_up": 2.5},
        {"training.schedule": {"step": {"every": 1, "factor": 0.5}}, "data.validation": 0},
    ],
)
def test_a_run_that_has_ended_goes_on_for_more_epochs(changes: Any) -> None:
    """As if it had had so many from the start, bit for bit."""
    run("whole", 4, changes)
    run("longer", 2, changes)

    longer = gridcnn.run(resume="longer", changes={"training.epochs": 4})

    assert [epoch.epoch for epoch in longer.history] == [1, 2, 3, 4]
    assert longer.model.spec.training.epochs == 4
    assert_same("longer", "whole")


def test_a_run_that_was_stopped_goes_on_to_another_end_too() -> None:
    """A later one, or at once, with the epochs that it has."""
    run("longer", 4)
    run("shorter", 2)
    for out, epochs in (("stopped", 4), ("halted", 2)):
        stop(out, 3, after=2)
        gridcnn.run(TINY, resume=out, changes=[f"training.epochs={epochs}"])

    assert_same("stopped", "longer")
    assert_same("halted", "shorter")


def test_a_run_that_goes_on_can_be_stopped_in_between() -> None:
    """It is unfinished then, and answers with its best weights."""
    run("whole", 6)
    run("longer", 2)
    three = run("three", 3)

    with pytest.raises(TrainingInterrupted, match="use the best weights so far: gridcnn predict"):
        gridcnn.run(
            resume="longer",
            changes={"training.epochs": 6},
            watcher=_Raises(KeyboardInterrupt, 3),
        )
    with pytest.warns(UnfinishedRunWarning, match=r"of 3 so far \(of 6\)"):
        model = gridcnn.load("longer")
    assert model.parameters.tobytes() == three.model.parameters.tobytes()
    gridcnn.run(resume="longer")

    assert_same("longer", "whole")


def test_what_depends_on_the_number_of_epochs_is_not_changed_halfway() -> None:
    """A cosine would have gone another way from the first epoch on."""
    run("ended", 2, {"training.schedule": "cosine"})
    stop("stopped", 4, after=1, changes={"training.schedule": "cosine"})
    before = contents("ended")

    for out in ("ended", "stopped"):
        with pytest.raises(
            RunFolderError,
            match=rf"with schedule: cosine the .* again: gridcnn run {out}/spec.yaml --set training"
            r".epochs=6$",
        ):
            gridcnn.run(resume=out, changes={"training.epochs": 6})
    assert contents("ended") == before
    assert gridcnn.run("ended/spec.yaml", changes="training.epochs=3").metrics["epochs"] == 3


def test_a_run_whose_schedule_has_ended_advises_what_is_allowed() -> None:
    """Not more epochs for the run itself, which would be refused."""
    run("ended", 2, {"training.schedule": "cosine"})

    with pytest.raises(
        RunFolderError,
        match=r"after 2 epochs, the last of its schedule: cosine; for more, run its spec again: "
        r"gridcnn run ended/spec.yaml --set training.epochs=4$",
    ):
        gridcnn.run(resume="ended")


def test_a_run_that_has_nothing_left_to_do_says_so() -> None:
    """Fewer epochs than it has, as many, or none given; it stays as it was."""
    run("ended", 3)
    stop("stopped", 5, after=3)
    before = contents("ended")

    for changes in ((), {"training.epochs": 3}):
        with pytest.raises(RunFolderError, match=r"after 3 epochs; .* --set training\.epochs=6$"):
            gridcnn.run(resume="ended", changes=changes)
    for out in ("ended", "stopped"):
        with pytest.raises(RunFolderError, match=r"has done 3 epochs; .* ended after epoch 2$"):
            gridcnn.run(resume=out, changes={"training.epochs": 2})
    Path("ended/checkpoint.safetensors").unlink()
    with pytest.raises(
        RunFolderError,
        match=r"cannot continue without its "
        r"checkpoint\.safetensors; ",
    ):
        gridcnn.run(resume="ended", changes={"training.epochs": 6})
    assert contents("ended") == {
        name: content for name, content in before.items() if name != "checkpoint.safetensors"
    }


def test_a_run_that_lost_patience_goes_on_with_more() -> None:
    """More epochs alone would have ended it in the same place."""
    impatient = {"training.patience": 1}
    run("whole", 12)
    ended = run("longer", 12, impatient)
    done = ended.metrics["epochs"]
    assert ended.metrics["stopped"] == "patience"
    assert done < 12

    with pytest.raises(RunFolderError, match=r"since 1 brought no .* training\.patience=null$"):
        gridcnn.run(resume="longer", changes={"training.epochs": 40})
    gridcnn.run(resume="longer", changes=["training.epochs=12", "training.patience=null"])
    assert_same("longer", "whole")
    with pytest.raises(RunFolderError, match=f"it would have ended after epoch {done}$"):
        gridcnn.run(resume="longer", changes=["training.epochs=20", "training.patience=1"])


def test_results_stay_where_a_run_cannot_go_on() -> None:
    """Other data, another engine: what was there before is there afterwards."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    data = (pictures, np.arange(40) % 2)
    run("ended", 1, data=data)
    before = contents("ended")
    more: Any = {"resume": "ended", "changes": {"training.epochs": 2}}

    with pytest.raises(ModelFileError, match="another spec or other data"):
        gridcnn.run(**more, data=(255 - pictures, data[1]))
    with pytest.raises(ModelFileError, match="continue with --engine native"):
        gridcnn.run(**more, data=data, engine="reference")
    with pytest.raises(gridcnn.DataError, match="given in memory"):
        gridcnn.run(**more)

    assert contents("ended") == before
    assert gridcnn.run(**more, data=data).metrics["epochs"] == 2


def test_a_fold_does_not_go_on_by_itself() -> None:
    """Neither does a cross-validation as a whole."""
    found = gridcnn.cross_validate(TINY, folds=2, out="folds", changes={"training.epochs": 1})
    more: Any = {"changes": {"training.epochs": 2}}

    assert not (found.folds[0].folder / "checkpoint.safetensors").exists()
    with pytest.raises(RunFolderError, match="folds/fold-1 belongs to a cross-validation"):
        gridcnn.run(resume=found.folds[0].folder, **more)
    with pytest.raises(RunFolderError, match="folds belongs to a cross-validation"):
        gridcnn.cross_validate(resume="folds", **more)
    with pytest.raises(RunFolderError, match="folds has ended; there is nothing to resume"):
        gridcnn.cross_validate(resume="folds")


def test_a_model_copied_out_of_an_unfinished_folder_is_found() -> None:
    """A folder with a model file alone is a model, as ever."""
    run("ended", 1)
    Path("copied").mkdir()
    shutil.copy("ended/model.safetensors", "copied")

    assert gridcnn.load("copied").classes == ("O", "X")
