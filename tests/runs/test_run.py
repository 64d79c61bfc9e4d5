"""Runs: from a spec to a run folder, reproducible and resumable."""

import csv
import errno
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

import gridcnn
import gridcnn.files
import gridcnn.runs.folder
from gridcnn.adapters.table import TableAdapter
from gridcnn.datasets.makers.made import write_files
from gridcnn.datasets.makers.xo import XO
from gridcnn.engines.base import Engine, Memory
from gridcnn.errors import (
    ColumnPermutableError,
    DataError,
    RunFolderError,
    ShapeError,
    SpecError,
    TrainingError,
    TrainingInterrupted,
)
from gridcnn.files import write_text
from gridcnn.order import guard as guard_module
from gridcnn.progress import Progress
from gridcnn.runs.run import RunWatcher
from gridcnn.spec.load import load as load_spec
from gridcnn.spec.write import to_yaml
from gridcnn.training.loop import Epoch

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 120, "size": [12, 12]}}, "test": 0.25, "validation": 0.2},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [8], "dropout": 0.1}},
    "training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.01},
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class _StopAfter(RunWatcher):
    """Presses Ctrl-C in the first batch after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if epoch > self.epoch:
            raise KeyboardInterrupt


def test_the_test_part_is_measured_as_scikit_learn_would() -> None:
    """metrics.json has the interval, the scores of each class, the confusion and the area."""
    result = gridcnn.run(TINY)

    test = result.metrics["test"]
    with (result.folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    truth, answers = [row["truth"] for row in rows], [row["answer"] for row in rows]
    assert test["confusion"] == confusion_matrix(truth, answers, labels=["O", "X"]).tolist()
    precision, recall, f1, items = precision_recall_fscore_support(
        truth, answers, labels=["O", "X"], zero_division=0
    )
    for place, name in enumerate(["O", "X"]):
        scores = test["classes"][name]
        expected = [precision[place], recall[place], f1[place], items[place], test["auc"]]
        assert list(scores.values())[:-1] == pytest.approx(expected)
    low, high = test["interval"]
    assert 0 <= low <= test["accuracy"] <= high <= 1
    votes = [float(row["votes.X"]) for row in rows]
    assert test["auc"] == pytest.approx(roc_auc_score(np.array(truth) == "X", votes), abs=0.01)
    assert '"interval": [0.' in (result.folder / "metrics.json").read_text()


def _parameters(folder: Path) -> Any:
    return gridcnn.load(folder).parameters


def test_a_run_writes_all_its_results() -> None:
    """The run folder holds the model, the resolved spec, the history, figures and answers."""
    result = gridcnn.run(TINY)

    assert result.folder == Path("runs/tiny/1")
    assert {file.name for file in result.folder.iterdir()} == {
        "model.safetensors",
        "spec.yaml",
        "history.csv",
        "metrics.json",
        "predictions.csv",
        "checkpoint.safetensors",
    }
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics == result.metrics
    assert metrics["test"]["items"] == 30
    assert metrics["validation"]["items"] == 18
    with (result.folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert float(history[0]["loss"]) == result.history[0].loss


def test_predictions_agree_with_the_model_and_the_metrics() -> None:
    """predictions.csv has item, truth, answer and votes, and its hits are the test accuracy."""
    result = gridcnn.run(TINY)

    with (result.folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["item", "truth", "answer", "votes.O", "votes.X"]
    hits = sum(row["truth"] == row["answer"] for row in rows) / len(rows)
    assert hits == pytest.approx(result.metrics["test"]["accuracy"])
    for row in rows:
        votes = {"O": float(row["votes.O"]), "X": float(row["votes.X"])}
        assert sum(votes.values()) == pytest.approx(1, abs=2e-6)
        assert max(votes, key=lambda label: votes[label]) == row["answer"]


def test_runs_are_numbered() -> None:
    """Each run gets the number after the highest there is."""
    gridcnn.run(TINY, changes={"training.epochs": 1})
    Path("runs/tiny/7").mkdir()

    assert gridcnn.run(TINY, changes={"training.epochs": 1}).folder == Path("runs/tiny/8")


def test_the_same_seed_gives_the_same_model_bit_for_bit() -> None:
    """Two runs with one seed agree in every bit, and another seed gives another model."""
    first, second = gridcnn.run(TINY), gridcnn.run(TINY)
    other = gridcnn.run(TINY, seed=1)

    assert first.model.parameters.tobytes() == second.model.parameters.tobytes()
    assert first.model.parameters.tobytes() != other.model.parameters.tobytes()


def test_the_resolved_spec_gives_the_same_model_again() -> None:
    """Running the spec.yaml of a run folder gives the same model, bit for bit."""
    first = gridcnn.run(TINY, seed=3)

    again = gridcnn.run(first.folder / "spec.yaml")

    assert first.model.parameters.tobytes() == again.model.parameters.tobytes()
    assert (first.folder / "spec.yaml").read_bytes() == (again.folder / "spec.yaml").read_bytes()


def test_a_saved_model_gives_the_same_votes_bit_for_bit() -> None:
    """Votes before saving and after loading are the same bits."""
    result = gridcnn.run(TINY)
    pictures = np.random.default_rng(0).integers(0, 256, (9, 20, 30), np.uint8)

    loaded = gridcnn.load(result.folder)

    assert result.model.votes(pictures).tobytes() == loaded.votes(pictures).tobytes()


@pytest.mark.parametrize("stopped_after", [0, 1, 2])
def test_a_resumed_run_ends_as_if_it_had_not_been_stopped(stopped_after: int) -> None:
    """Stopped in any epoch, even the first, a resumed run ends with the same bits."""
    whole = gridcnn.run(TINY, out="whole")
    with pytest.raises(TrainingInterrupted, match="gridcnn run --resume stopped") as caught:
        gridcnn.run(TINY, out="stopped", watcher=_StopAfter(stopped_after))
    assert caught.value.folder == Path("stopped")

    resumed = gridcnn.run(resume="stopped")

    assert resumed.model.parameters.tobytes() == whole.model.parameters.tobytes()
    assert [epoch.loss for epoch in resumed.history] == [epoch.loss for epoch in whole.history]
    for name in ("predictions.csv", "spec.yaml", "model.safetensors"):
        assert Path("stopped", name).read_bytes() == Path("whole", name).read_bytes()
    assert not Path("stopped/run.lock").exists()


def test_the_way_to_go_on_is_quoted_for_the_shell() -> None:
    """The last line can be copied, whatever the folder is called."""
    with pytest.raises(TrainingInterrupted, match="--resume 'my runs/a'"):
        gridcnn.run(TINY, out="my runs/a", watcher=_StopAfter(0))


def test_a_run_resumes_only_as_itself() -> None:
    """Other settings, an ended run and a folder without a run are refused."""
    with pytest.raises(TrainingInterrupted):
        gridcnn.run(TINY, out="stopped", watcher=_StopAfter(1))
    gridcnn.run(TINY, out="ended", changes={"training.epochs": 1})

    Path("project").mkdir()
    shutil.copy("ended/spec.yaml", "project")

    others: list[tuple[dict[str, Any], str]] = [
        ({"training.batch_size": 9}, "training"),
        ({"training.seed": 9}, "training"),
        ({"stages": ["pooling"]}, "stages"),
    ]
    for change, part in others:
        for given in (TINY, None):
            with pytest.raises(RunFolderError, match=f"other settings under '{part}' than this"):
                gridcnn.run(given, resume="stopped", changes=change)
    for text in ("data.test=0.5", "adapter.image.size=[9, 9]", "check=off", "name=other"):
        with pytest.raises(RunFolderError, match="other settings under '"):
            gridcnn.run(resume="stopped", changes=text)
    with pytest.raises(RunFolderError, match="ended has ended after 1 epochs"):
        gridcnn.run(resume="ended")
    with pytest.raises(RunFolderError, match="nowhere holds no run"):
        gridcnn.run(resume="nowhere")
    with pytest.raises(RunFolderError, match=r"to continue; run it with: gridcnn run project$"):
        gridcnn.run(resume="project")
    assert gridcnn.run(TINY, resume="stopped").metrics["epochs"] == 3


def test_a_run_does_not_resume_with_other_data() -> None:
    """When the files have changed since, the checkpoint is refused."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    np.savez("data.npz", X=pictures, y=np.arange(40) % 2)
    with pytest.raises(TrainingInterrupted):
        gridcnn.run(TINY, data="data.npz", out="stopped", watcher=_StopAfter(1))
    np.savez("data.npz", X=255 - pictures, y=np.arange(40) % 2)

    with pytest.raises(gridcnn.ModelFileError, match="another spec or other data"):
        gridcnn.run(resume="stopped")


def test_a_run_resumes_where_its_data_has_moved() -> None:
    """The same pictures at another path are the same data."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    np.savez("data.npz", X=pictures, y=np.arange(40) % 2)
    whole = gridcnn.run(TINY, data="data.npz", out="whole")
    with pytest.raises(TrainingInterrupted):
        gridcnn.run(TINY, data="data.npz", out="stopped", watcher=_StopAfter(1))
    Path("data.npz").rename("moved.npz")

    resumed = gridcnn.run(resume="stopped", data="moved.npz")

    assert resumed.model.parameters.tobytes() == whole.model.parameters.tobytes()


def test_what_a_killed_run_left_half_written_is_swept() -> None:
    """A finished run holds its results and nothing else."""
    with pytest.raises(TrainingInterrupted):
        gridcnn.run(TINY, out="stopped", watcher=_StopAfter(1))
    Path("stopped/.history.csv.0123.part").write_text("half")

    resumed = gridcnn.run(resume="stopped")

    assert not [each.name for each in resumed.folder.iterdir() if each.name.startswith(".")]


def test_a_run_resumes_with_its_own_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another engine agrees to a few bits, which is not enough for the same end."""
    from gridcnn.engines.base import ENGINES
    from gridcnn.engines.reference import ReferenceEngine

    class Other(ReferenceEngine):
        name = "other"

    monkeypatch.setitem(ENGINES._places, "other", "nowhere:nothing")
    monkeypatch.setitem(ENGINES._loaded, "other", Other)
    with pytest.raises(TrainingInterrupted, match=r"--resume stopped --engine other\n"):
        gridcnn.run(TINY, out="stopped", engine="other", watcher=_StopAfter(1))

    with pytest.raises(gridcnn.ModelFileError, match="continue with --engine other"):
        gridcnn.run(resume="stopped")
    assert gridcnn.run(resume="stopped", engine="other").metrics["engine"] == "other"


def test_a_folder_that_holds_something_is_refused() -> None:
    """Nothing is ever written into a folder that is in use."""
    Path("used").mkdir()
    Path("used/thesis.txt").write_text("mine")
    Path("file").write_text("")

    with pytest.raises(RunFolderError, match=r"used is not empty \(it holds thesis.txt\)"):
        gridcnn.run(TINY, out="used")
    with pytest.raises(RunFolderError, match="file is a file"):
        gridcnn.run(TINY, out="file")
    assert [each.name for each in Path("used").iterdir()] == ["thesis.txt"]


def test_a_run_that_fails_at_once_leaves_no_folder() -> None:
    """A loss that explodes in the first epoch leaves nothing behind."""
    with pytest.raises(TrainingError, match=r"try training.learning_rate"):
        gridcnn.run(TINY, changes={"training.learning_rate": 1e30, "training.optimizer": "sgd"})

    assert not Path("runs").exists()


def test_an_impossible_shape_is_refused_before_data_is_read() -> None:
    """The shapes are checked first where the adapter tells them."""
    stages = [{"convolution": {"filters": 2, "kernel_size": 40, "padding": "valid"}}]

    with pytest.raises(ShapeError, match="does not fit into 12 x 12"):
        gridcnn.run({**TINY, "stages": stages, "data": {"source": "/nowhere"}})


def test_what_a_run_lacks_is_said() -> None:
    """No spec, no head, no data: each is one clear sentence."""
    with pytest.raises(SpecError, match="needs a spec"):
        gridcnn.run()
    with pytest.raises(SpecError, match="add head: voting"):
        gridcnn.run({**TINY, "head": None})
    with pytest.raises(DataError, match="names no data"):
        gridcnn.run({**TINY, "data": None})


def test_data_in_memory_takes_the_same_way() -> None:
    """Arrays with labels give a run; its resolved spec says that the data has to be given again."""
    pictures = np.random.default_rng(0).integers(0, 100, (60, 12, 12), np.uint8)
    pictures[1::3, :6] += 100
    pictures[2::3, :, :6] += 100

    result = gridcnn.run(TINY, data=(pictures, ["a", "b", "c"] * 20))

    assert result.model.classes == ("a", "b", "c")
    with pytest.raises(DataError, match="given in memory"):
        gridcnn.run(result.folder / "spec.yaml")


def test_labels_keep_their_kind() -> None:
    """Whole numbers as labels come back as whole numbers, also after loading."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)

    result = gridcnn.run(TINY, data=(pictures, np.arange(40) % 2 + 5))

    answers = gridcnn.load(result.folder).predict(pictures)
    assert answers.dtype.kind == "i"
    assert set(answers.tolist()) <= {5, 6}


def test_relative_paths_start_at_the_spec(tmp_path: Path) -> None:
    """A source in a spec file is found from the folder of that file, wherever one stands."""
    Path("project").mkdir()
    pictures = np.random.default_rng(0).integers(0, 256, (40, 12, 12), np.uint8)
    np.savez("project/data.npz", X=pictures, y=np.arange(40) % 2)
    Path("project/spec.yaml").write_text(
        "data: {source: data.npz}\nstages: [pooling]\nhead: voting\ntraining: {epochs: 1}\n"
    )

    result = gridcnn.run("project/spec.yaml")

    assert str(tmp_path / "project" / "data.npz") in (result.folder / "spec.yaml").read_text()


def test_bad_items_stop_a_run_or_are_listed(photographs: Path) -> None:
    """An unreadable picture stops the run before it starts, unless it may be skipped."""
    shutil.copytree(photographs, "photos")
    first = sorted(folder for folder in Path("photos").iterdir() if folder.is_dir())[0]
    (first / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    spec = {**TINY, "data": {"source": str(Path("photos").absolute()), "test": 0.25}}

    with pytest.raises(DataError) as caught:
        gridcnn.run(spec)
    assert "broken.png" in str(caught.value)
    assert "data.bad_items: skip" in str(caught.value)
    assert not Path("runs").exists()

    result = gridcnn.run(spec, changes={"data.bad_items": "skip"})
    assert result.metrics["skipped_items"] == 1
    assert "broken.png" in (result.folder / "skipped.csv").read_text()


def test_early_stopping_ends_a_run() -> None:
    """With patience, training ends when the validation result gets no better."""
    result = gridcnn.run(TINY, changes={"training.epochs": 200, "training.patience": 2})

    assert len(result.history) < 200
    assert len(result.history) == result.metrics["best_epoch"] + 2


def test_patience_needs_validation_items() -> None:
    """There is nothing to wait for without them, and the setting is not ignored."""
    with pytest.raises(SpecError, match=r"set data\.validation above 0"):
        gridcnn.run(TINY, changes={"training.patience": 2, "data.validation": 0})


def test_what_epochs_are_chosen_by_needs_validation_items() -> None:
    """Each setting has a line of its own; accuracy and loss stand there without being written."""
    changes = {"training.select_by": "auc", "training.patience": 2, "data.validation": 0}
    with pytest.raises(SpecError) as caught:
        gridcnn.run(TINY, changes=changes)
    lines = [problem.message for problem in caught.value.problems]
    assert [line.split(",")[0] for line in lines] == [
        "training.patience waits for a better validation result",
        "training.select_by: auc is a result of validation items",
    ]
    assert all("set data.validation above 0" in line for line in lines)


def test_no_test_part_and_no_validation_part() -> None:
    """Both may be 0; then there are no answers to write, and the last epoch counts."""
    result = gridcnn.run(TINY, changes={"data.test": 0, "data.validation": 0})

    assert "test" not in result.metrics
    assert result.metrics["best_epoch"] == 3
    assert not (result.folder / "predictions.csv").exists()


@pytest.mark.slow
def test_arrays_are_guarded_by_the_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a checker calls permutable is refused, unless the spec says otherwise."""
    verdict = guard_module.Verdict("permutable", ("columns say nothing",))
    monkeypatch.setitem(guard_module.CHECKERS._loaded, "fake", lambda *_: verdict)
    monkeypatch.setitem(guard_module.CHECKERS._places, "fake", "nowhere:nothing")
    values = np.random.default_rng(0).normal(size=(40, 1, 6))
    spec = {"stages": ["rectification"], "head": "voting", "training": {"epochs": 1}}
    data = (values, np.arange(40) % 2)

    with pytest.raises(ColumnPermutableError, match="columns say nothing"):
        gridcnn.run(spec, data=data)
    with pytest.warns(guard_module.PermutableWarning):
        gridcnn.run({**spec, "check": "warn"}, data=data)
    gridcnn.run({**spec, "check": "off"}, data=data)


_KILLED = """
import os, signal, sys
import gridcnn

class Kill(gridcnn.RunWatcher):
    def on_batch(self, epoch, done, batches, loss):
        if epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)

gridcnn.run(sys.argv[1], out=sys.argv[2], watcher=Kill())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_run_resumes(tmp_path: Path) -> None:
    """A kill -9 within an epoch leaves a folder from which the run goes on to the same end."""
    spec = tmp_path / "spec.yaml"
    from gridcnn.spec.load import load
    from gridcnn.spec.write import to_yaml

    spec.write_text(to_yaml(load(TINY, changes={"training.epochs": 6})))
    whole = gridcnn.run(spec, out="whole")
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(spec), "killed"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(Path("killed/history.csv").read_text("utf-8").splitlines()) == 1 + 2

    resumed = gridcnn.run(resume="killed")

    assert resumed.model.parameters.tobytes() == whole.model.parameters.tobytes()
    assert len(resumed.history) == 6


def test_watchers_are_told_everything() -> None:
    """Reading, the plan, every batch and every epoch are reported, in that order."""
    told: list[str] = []

    class Listener(RunWatcher):
        def on_reading(self, progress: Progress) -> None:
            assert progress.done <= progress.total
            told.append("reading")

        def on_plan(self, *_: Any) -> None:
            told.append("plan")

        def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
            told.append(f"batch {epoch}.{done}/{batches}")

        def on_epoch(self, epoch: Epoch, epochs: int) -> None:
            told.append(f"epoch {epoch.epoch}/{epochs}")

    gridcnn.run(TINY, changes={"training.epochs": 2}, watcher=Listener())

    events = [event for event in told if event != "reading"]
    assert events[0] == "plan"
    assert events[1:6] == [f"batch 1.{n}/5" for n in range(1, 6)]
    assert events[6] == "epoch 1/2"
    assert events[-1] == "epoch 2/2"


def test_a_lone_text_of_changes_goes_with_a_seed() -> None:
    """`seed` is added to one change as to many."""
    result = gridcnn.run(TINY, changes="training.epochs=1", seed=7)

    assert result.metrics["epochs"] == 1
    assert result.model.spec.training.seed == 7


def test_relative_paths_start_at_the_folder_of_a_spec_given_by_its_folder() -> None:
    """`run("pets")` reads pets/spec.yaml, whose data is in pets."""
    write_files(XO(count=20, size=(12, 12)), "pets/pictures")
    spec = {**TINY, "data": {"source": "pictures"}, "training": {"epochs": 1}}
    Path("pets/spec.yaml").write_text(json.dumps(spec))

    assert gridcnn.run("pets").metrics["epochs"] == 1


def test_a_full_disk_is_told_and_what_is_saved_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder and how to go on; with nothing saved the folder goes away."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(gridcnn.files, "write_bytes", full)
        with pytest.raises(RunFolderError, match=r"written there: No space left on device$"):
            gridcnn.run(TINY, out="first")
    assert not Path("first").exists()

    with monkeypatch.context() as patch:
        patch.setattr(gridcnn.runs.folder, "write_table", full)
        with pytest.raises(
            RunFolderError, match="device; once that is fixed, continue with: gridc"
        ):
            gridcnn.run(TINY, out="second")
    assert gridcnn.run(resume="second").metrics["epochs"] == 3

    with monkeypatch.context() as patch:
        patch.setattr(gridcnn.model, "write_tensors", full)
        with pytest.raises(
            RunFolderError, match="device; once that is fixed, continue with: gridc"
        ):
            gridcnn.run(TINY, out="third")
    assert gridcnn.run(resume="third").metrics["epochs"] == 3


def test_results_do_not_depend_on_the_threads() -> None:
    """Any number gives the same files, bit for bit; a resumed run may have another one."""
    first = gridcnn.run(TINY, out="one", threads=1)
    second = gridcnn.run(TINY, out="three", threads=3)
    with pytest.raises(TrainingInterrupted):
        gridcnn.run(TINY, out="stopped", threads=3, watcher=_StopAfter(1))
    gridcnn.run(resume="stopped", threads=2)

    assert (first.metrics["engine"], first.metrics["threads"]) == ("native", 1)
    assert second.metrics["threads"] == 3
    for name in ("model.safetensors", "predictions.csv"):
        contents = {Path(folder, name).read_bytes() for folder in ("one", "three", "stopped")}
        assert len(contents) == 1


@pytest.mark.parametrize("choice", [{"threads": 0}, {"engine": "warp"}])
def test_a_wrong_engine_is_told_before_data_is_read(choice: dict[str, Any]) -> None:
    with pytest.raises(gridcnn.UserError, match=r"threads must be|'warp' is not an engine"):
        gridcnn.run({**TINY, "data": {"source": "/nowhere"}}, **choice)


def test_a_network_that_cannot_fit_is_refused_before_data_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the shape is known beforehand, and without an engine; else before the run has a folder."""
    monkeypatch.setattr("gridcnn.training.memory.usable_memory", lambda: 1_000_000)
    large = {**TINY, "head": {"voting": {"hidden": [200]}}, "data": {"source": "/nowhere"}}

    with monkeypatch.context() as patch:
        patch.setattr("gridcnn.engines.base.make_engine", None)
        with pytest.raises(TrainingError, match=r"training needs .* and 1\.0 MB are usable here"):
            gridcnn.run(large)
    with pytest.raises(TrainingError, match=r"and 1\.0 MB are usable here"):
        gridcnn.run({**TINY, "adapter": "array"}, data=(np.zeros((40, 6, 6)), [0, 1] * 20))
    assert not Path("runs").exists()


def test_a_run_and_its_model_share_one_engine() -> None:
    """What was compiled is not compiled again; what only training needs is given back."""
    engines: list[Engine] = []

    class Listener(RunWatcher):
        def on_engine(self, engine: Engine, memory: Memory) -> None:
            assert memory.training > memory.prediction > 0
            engines.append(engine)

        def on_plan(self, *_: Any) -> None:
            assert len(engines) == 1

    result = gridcnn.run(TINY, watcher=Listener())

    assert result.model._engine is engines[0]
    (chain,) = engines[0]._chains.values()  # type: ignore[attr-defined]
    assert "training" not in vars(chain)


def test_test_items_whose_votes_overflow_are_told_and_the_training_is_kept() -> None:
    """No figure in `metrics.json` is NaN; once the item is corrected, the run goes on."""
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (40, 4, 4))
    labels = np.array(["a", "b"] * 20)
    far = grids[30:].copy()
    far[3] = 3e38
    np.savez("far.npz", X_train=grids[:30], y_train=labels[:30], X_test=far, y_test=labels[30:])
    spec = {
        "data": {"source": "far.npz"},
        "adapter": {"array": {"low": -1.0, "high": 1.0}},
        "check": "off",
        "stages": [{"convolution": {"filters": 2, "features": [[[4, 4], [4, 4]]] * 2}}],
        "head": "voting",
        "training": {"epochs": 1},
    }

    with pytest.raises(DataError, match="test item 3: its votes are not finite") as caught:
        gridcnn.run(spec, out="far")
    assert "1 of 10 items have no finite votes; the training is saved" in str(caught.value)
    assert not Path("far/metrics.json").exists()
    np.savez(
        "far.npz", X_train=grids[:30], y_train=labels[:30], X_test=grids[30:], y_test=labels[30:]
    )
    assert gridcnn.run(resume="far").metrics["test"]["items"] == 10


def test_a_run_reads_back_what_the_widest_table_learns() -> None:
    """Three numbers for each of 16,384 columns are more than a spec of a person ever holds."""
    table = TableAdapter(missing="mean").fitted(
        np.random.default_rng(0).normal(0, 1e-7, (3, 16_384))
    )
    spec = load_spec({"adapter": table, "stages": ["pooling"], "head": "voting"})
    write_text(Path("spec.yaml"), to_yaml(spec))

    assert load_spec("spec.yaml") == spec
