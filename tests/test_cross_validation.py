"""Cross-validation: a run for each fold, and what all of them come to."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

import gridcnn
from gridcnn.contracts.source import Dataset
from gridcnn.errors import (
    DataError,
    RunFolderError,
    SpecError,
    TrainingError,
    TrainingInterrupted,
)
from gridcnn.runs.run import RunWatcher
from gridcnn.runs.several import summary
from gridcnn.spec.parts import Fold, GroupOut

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 90, "size": [12, 12]}}, "validation": 0.2},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [8], "dropout": 0.1}},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
}
SOUNDS = {**TINY, "data": {"validation": 0.2}, "adapter": "array", "check": "off"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def speakers(parts: list[str] | None = None) -> Dataset:
    """Return grids of five speakers, each with items of both classes."""
    random = np.random.default_rng(0)
    labels = [number % 2 for number in range(80)]
    things = random.normal(size=(80, 6, 8)) + np.array(labels)[:, None, None]
    names = [f"item {number}" for number in range(80)]
    groups = ["abcde"[number // 2 % 5] for number in range(80)]
    return Dataset(list(things), labels, names, parts, groups=groups)


class _Stop(RunWatcher):
    """Presses Ctrl-C in a fold, in the first batch after an epoch."""

    def __init__(self, fold: int, epoch: int) -> None:
        self.fold, self.epoch, self.now = fold, epoch, 0

    def on_fold(self, number: int, folds: int, test: Any) -> None:
        self.now = number

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if self.now == self.fold and epoch > self.epoch:
            raise KeyboardInterrupt


def answers(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def figures(folder: Path) -> dict[str, Any]:
    """Return the metrics without what a clock has measured."""
    metrics: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    del metrics["seconds"]
    return metrics


def test_every_item_is_answered_once_by_a_run_that_has_not_seen_it() -> None:
    """Each fold has a whole run folder; the answers of all are put together."""
    result = gridcnn.cross_validate(TINY, folds=3)

    assert result.folder == Path("runs/tiny/1")
    assert {each.name for each in result.folder.iterdir()} == {
        *("fold-1", "fold-2", "fold-3"),
        *("spec.yaml", "folds.json", "predictions.csv", "metrics.json"),
    }
    for number, fold in enumerate(result.folds, 1):
        assert fold.test == Fold(fold=number, of=3)
        assert fold.folder == result.folder / f"fold-{number}"
        assert {each.name for each in fold.folder.iterdir()} == {
            *("spec.yaml", "history.csv", "metrics.json", "predictions.csv", "model.safetensors"),
        }
        assert fold.metrics == json.loads((fold.folder / "metrics.json").read_text())
        assert [fold.metrics[part]["items"] for part in ("train", "validation", "test")] == [
            48,
            12,
            30,
        ]
    rows = answers(result.folder)
    assert sorted(row["item"] for row in rows) == sorted(f"item {number}" for number in range(90))
    own = [row for fold in result.folds for row in answers(fold.folder)]
    assert [{k: v for k, v in row.items() if k != "fold"} for row in rows] == own
    assert [row["fold"] for row in rows] == ["1"] * 30 + ["2"] * 30 + ["3"] * 30
    assert result.metrics == json.loads((result.folder / "metrics.json").read_text())


def test_figures_are_those_of_numpy_and_scikit_learn() -> None:
    """Mean and spread over the folds, and the scores of all answers."""
    result = gridcnn.cross_validate(TINY, folds=3)

    metrics = result.metrics
    for part in ("test", "validation", "train"):
        for figure in ("accuracy", "loss"):
            each = np.array([fold.metrics[part][figure] for fold in result.folds])
            found = metrics[part][figure]
            assert found["mean"] == pytest.approx(each.mean())
            assert found["std"] == pytest.approx(np.sqrt(((each - each.mean()) ** 2).sum() / 2))
            assert (found["min"], found["max"]) == (each.min(), each.max())
    rows = answers(result.folder)
    truths, given = [row["truth"] for row in rows], [row["answer"] for row in rows]
    whole = metrics["out_of_fold"]
    assert whole["accuracy"] == pytest.approx(accuracy_score(truths, given))
    assert whole["confusion"] == confusion_matrix(truths, given).tolist()
    theirs = np.array(precision_recall_fscore_support(truths, given)).T
    measures = ("precision", "recall", "f1", "items")
    ours = [[scores[each] for each in measures] for scores in whole["classes"].values()]
    np.testing.assert_allclose(ours, theirs)
    first, second = whole["classes"]
    votes = [float(row[f"votes.{second}"]) for row in rows]
    wanted = roc_auc_score(np.array(truths) == second, votes)
    assert whole["auc"] == pytest.approx(wanted)
    assert whole["classes"][first]["auc"] == pytest.approx(wanted)
    assert result.evaluation.confusion.tolist() == whole["confusion"]
    assert [each["test"] for each in metrics["folds"]] == [f.metrics["test"] for f in result.folds]


def test_a_model_is_loaded_from_a_fold() -> None:
    """The whole has none, and says where they are."""
    result = gridcnn.cross_validate(TINY, folds=2)

    with pytest.raises(gridcnn.ModelFileError, match=r"name one of its folds, as \S+fold-1$"):
        gridcnn.load(result.folder)
    assert gridcnn.load(result.folds[1].folder).classes == ("O", "X")


def test_a_folds_spec_gives_that_folds_model_again() -> None:
    """Bit for bit, by an ordinary run."""
    result = gridcnn.cross_validate(TINY, folds=2, seed=4)

    again = gridcnn.run(result.folds[1].folder / "spec.yaml")

    first = gridcnn.load(result.folds[1].folder)
    assert again.model.parameters.tobytes() == first.parameters.tobytes()
    assert answers(again.folder) == answers(result.folds[1].folder)
    spec = (again.folder / "spec.yaml").read_text()
    assert spec == (result.folds[1].folder / "spec.yaml").read_text()
    assert "\n  test:\n    fold: 2\n    of: 2\n" in spec


@pytest.mark.parametrize(("fold", "epoch"), [(1, 0), (2, 1)])
def test_a_stopped_cross_validation_goes_on_to_the_same_end(fold: int, epoch: int) -> None:
    """With the unfinished fold; finished ones are not run again."""
    whole = gridcnn.cross_validate(TINY, folds=2, out="whole")
    with pytest.raises(
        TrainingInterrupted, match=r"^stopped; continue with: gridcnn run --resume stopped$"
    ) as caught:
        gridcnn.cross_validate(TINY, folds=2, out="stopped", watcher=_Stop(fold, epoch))
    assert caught.value.folder == Path("stopped")
    assert not Path("stopped/metrics.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in Path("stopped").glob("*/model.safetensors")}
    assert len(kept) == fold - 1

    resumed = gridcnn.cross_validate(resume="stopped")

    assert figures(resumed.folder) == figures(whole.folder)
    for path in whole.folder.rglob("*"):
        if path.is_file() and path.name not in ("metrics.json", "history.csv"):
            other = resumed.folder / path.relative_to(whole.folder)
            assert other.read_bytes() == path.read_bytes(), path
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_an_end_that_was_cut_off_is_made_up_for() -> None:
    """Killed after the last fold, before the figures of all were written."""
    whole = gridcnn.cross_validate(TINY, folds=2)
    expected = figures(whole.folder)
    (whole.folder / "metrics.json").unlink()
    (whole.folder / "predictions.csv").unlink()
    (whole.folder / ".metrics.json.0123.part").write_text("{")
    (whole.folder / "fold-2" / "metrics.json").unlink()  # and that of the fold, too

    resumed = gridcnn.cross_validate(resume=whole.folder)

    assert figures(resumed.folder) == expected
    assert len(answers(resumed.folder)) == 90
    assert not list(whole.folder.glob(".*"))


def test_a_fold_whose_folder_was_only_begun_is_run() -> None:
    """Killed between making the folder and writing into it."""
    with pytest.raises(TrainingInterrupted):
        gridcnn.cross_validate(TINY, folds=2, out="stopped", watcher=_Stop(2, 0))
    shutil.rmtree("stopped/fold-2")
    Path("stopped/fold-2").mkdir()
    Path("stopped/fold-2/.spec.yaml.01.part").write_text("na")

    assert len(gridcnn.cross_validate(resume="stopped").folds) == 2


def test_each_group_is_left_out_in_turn() -> None:
    """Test part and training part have no speaker in common, nor has the validation part."""
    data = speakers()

    result = gridcnn.cross_validate(SOUNDS, folds="groups", data=data)

    assert [fold.test for fold in result.folds] == [GroupOut(group=name) for name in "abcde"]
    assert data.groups is not None
    for fold in result.folds:
        tested = {data.groups[int(row["item"].split()[1])] for row in answers(fold.folder)}
        assert isinstance(fold.test, GroupOut)
        assert tested == {fold.test.group}
    assert [each["group"] for each in result.metrics["folds"]] == list("abcde")
    assert result.metrics["test"]["items"] == 80


def test_parts_that_the_data_names_are_used_or_ignored() -> None:
    """The named test part is not touched, unless all items are to be divided anew."""
    data = speakers(parts=["test" if number % 8 < 2 else "train" for number in range(80)])

    used = gridcnn.cross_validate(SOUNDS, folds=3, data=data)
    ignored = gridcnn.cross_validate(
        SOUNDS, folds="groups", data=data, changes={"data.parts": "ignore"}
    )

    assert data.parts is not None
    tested = {int(row["item"].split()[1]) for row in answers(used.folder)}
    assert tested == {number for number in range(80) if data.parts[number] == "train"}
    assert len({row["item"] for row in answers(ignored.folder)}) == 80


def test_parts_can_be_ignored_by_a_single_run() -> None:
    """Then the data is divided as if it named none; otherwise divided groups are an error."""
    data = speakers(parts=["test" if number % 8 < 2 else "train" for number in range(80)])

    result = gridcnn.run(SOUNDS, data=data, changes={"data.parts": "ignore"})
    plain = gridcnn.run(SOUNDS, data=speakers())

    assert result.model.parameters.tobytes() == plain.model.parameters.tobytes()
    with pytest.raises(DataError, match=r"into one part, or set data\.parts: ignore"):
        gridcnn.run(SOUNDS, data=data)


def test_the_adapter_learns_from_each_folds_training_part_alone() -> None:
    """The range of the cells is that of the fold's training items, whatever the others hold."""
    random = np.random.default_rng(0)
    grids = random.normal(size=(60, 5, 5))
    grids[7] *= 100  # is in one fold's test part

    changes = {"data.validation": 0, "adapter.array.scaling": "range"}
    result = gridcnn.cross_validate(SOUNDS, folds=3, data=(grids, [0, 1] * 30), changes=changes)

    for fold in result.folds:
        tested = [int(row["item"].split()[1]) for row in answers(fold.folder)]
        rest = np.delete(grids, tested, axis=0)
        adapter: Any = gridcnn.load(fold.folder).adapter
        assert adapter.high == pytest.approx(rest.max(), rel=1e-6)
        assert adapter.low == pytest.approx(rest.min(), rel=1e-6)


def test_data_from_memory_is_given_again() -> None:
    """And has to be the same."""
    data = speakers()
    with pytest.raises(
        TrainingInterrupted, match=r"gridcnn\.cross_validate\(resume='stopped', data=\.\.\.\)"
    ):
        gridcnn.cross_validate(SOUNDS, folds=2, data=data, out="stopped", watcher=_Stop(2, 1))

    with pytest.raises(DataError, match="given in memory; pass it again"):
        gridcnn.cross_validate(resume="stopped")
    other = Dataset(data.things[:70], data.labels[:70], data.names[:70], groups=data.groups[:70])  # type: ignore[index]
    with pytest.raises(RunFolderError, match="was started with other data"):
        gridcnn.cross_validate(resume="stopped", data=other)
    assert gridcnn.cross_validate(resume="stopped", data=data).metrics["test"]["items"] == 80


def test_items_that_cannot_be_read_are_left_out_of_all_folds(photographs: Path) -> None:
    """They are counted once, and each fold lists them."""
    shutil.copytree(photographs, "photos")
    folder = sorted(each for each in Path("photos").iterdir() if each.is_dir())[0]
    (folder / "broken.png").write_bytes(b"nothing")
    spec = {**TINY, "data": {"source": str(Path("photos").absolute())}}

    with pytest.raises(DataError, match="1 of 73 items cannot be read"):
        gridcnn.cross_validate(spec, folds=2)
    assert not Path("runs").exists()
    result = gridcnn.cross_validate(spec, folds=2, changes={"data.bad_items": "skip"})

    assert result.metrics["skipped_items"] == 1
    assert result.metrics["test"]["items"] == 72
    assert all((fold.folder / "skipped.csv").is_file() for fold in result.folds)


@pytest.mark.parametrize(
    "folds", [1, 0, -2, True, 2.0, "banana", "5", "", [3], 10**30, float("nan"), np.zeros(2)]
)
def test_what_is_no_number_of_folds_is_refused(folds: Any) -> None:
    """In one line, whatever it is."""
    with pytest.raises(SpecError, match=r"^folds must be a whole number from 2 on, or 'groups'; "):
        gridcnn.cross_validate(TINY, folds=folds)


def test_what_cannot_be_cross_validated_is_refused_before_anything_is_written() -> None:
    """One line for each mistake."""
    with pytest.raises(SpecError, match="a cross-validation needs a spec"):
        gridcnn.cross_validate()
    for change in ({"data.test": 0}, ["data.test=0.3"], "data.test.fold=2"):
        with pytest.raises(SpecError, match=r"leave the change of data\.test out"):
            gridcnn.cross_validate(TINY, changes=change)
    with pytest.raises(DataError, match="the data has no groups") as caught:
        gridcnn.cross_validate(TINY, folds="groups")
    assert len(caught.value.problems) == 1
    with pytest.raises(DataError, match="too few for 46 folds"):
        gridcnn.cross_validate(TINY, folds=46)
    with pytest.raises(DataError, match="too few for 6 folds of whole groups; use at most 5"):
        gridcnn.cross_validate(SOUNDS, folds=6, data=speakers())
    with pytest.raises(DataError, match="names no data"):
        gridcnn.cross_validate(SOUNDS)
    assert not Path("runs").exists()


def test_too_many_and_too_few_groups_are_refused() -> None:
    """A training for each of hundreds of groups is not meant."""
    labels = [number % 2 for number in range(104)]
    things, names = list(np.zeros((104, 4, 4))), [f"item {number}" for number in range(104)]

    def grouped(count: int) -> Dataset:
        groups = [f"g{number // 2 % count}" for number in range(104)]
        return Dataset(things, labels, names, groups=groups)

    with pytest.raises(DataError, match=r"has 52 groups, and at most 50 .*; take a number"):
        gridcnn.cross_validate(SOUNDS, folds="groups", data=grouped(52))
    with pytest.raises(DataError, match=r"has 1 group, and nothing is left to train on"):
        gridcnn.cross_validate(SOUNDS, folds="groups", data=grouped(1))
    with pytest.raises(DataError, match=r"1 for training and 1 for validation; .*validation: 0"):
        gridcnn.cross_validate(SOUNDS, folds="groups", data=grouped(2))
    assert not Path("runs").exists()


def test_it_resumes_only_as_itself() -> None:
    """A single run is none, and none is a single run; folds, engine and settings are its own."""
    with pytest.raises(TrainingInterrupted):
        gridcnn.cross_validate(TINY, folds=2, out="stopped", watcher=_Stop(2, 1))
    gridcnn.run(TINY, out="single", changes={"training.epochs": 1})
    Path("single/metrics.json").unlink()

    with pytest.raises(RunFolderError, match=r"continue with gridcnn\.cross_validate\(resume="):
        gridcnn.run(resume="stopped")
    with pytest.raises(RunFolderError, match="single holds a single run and no cross-validation"):
        gridcnn.cross_validate(resume="single")
    with pytest.raises(RunFolderError, match="leave folds out"):
        gridcnn.cross_validate(resume="stopped", folds=2)
    with pytest.raises(RunFolderError, match=r"settings under .*; it resumes with its own$"):
        gridcnn.cross_validate(resume="stopped", seed=1)
    with pytest.raises(RunFolderError, match="continue with --engine native"):
        gridcnn.cross_validate(resume="stopped", engine="reference")
    with pytest.raises(RunFolderError, match="or continue its run: gridcnn run --resume stopped"):
        gridcnn.cross_validate(TINY, out="stopped")
    Path("stopped/folds.json").write_text('{"folds": 3}')
    with pytest.raises(RunFolderError, match=r"folds\.json is damaged"):
        gridcnn.cross_validate(resume="stopped")
    Path("stopped/folds.json").write_text("{")
    with pytest.raises(RunFolderError, match=r"folds\.json is damaged: .*; start over"):
        gridcnn.cross_validate(resume="stopped")


def test_a_failure_tells_its_fold_and_keeps_the_folds_before_it() -> None:
    """Of the first fold nothing is kept, since nothing is worth it."""

    class Fails(RunWatcher):
        def __init__(self, fold: int) -> None:
            self.fold, self.now = fold, 0

        def on_fold(self, number: int, folds: int, test: Any) -> None:
            self.now = number

        def on_epoch(self, epoch: Any, epochs: int) -> None:
            if self.now == self.fold:
                raise TrainingError("it broke")

    with pytest.raises(TrainingError, match=r"^fold 2 of 3: it broke$"):
        gridcnn.cross_validate(TINY, folds=3, out="broken", watcher=Fails(2))
    assert len(gridcnn.cross_validate(resume="broken").folds) == 3

    explodes = {"training.learning_rate": 1e30, "training.optimizer": "sgd"}
    with pytest.raises(TrainingError, match=r"try training.learning_rate"):
        gridcnn.cross_validate(TINY, folds=3, changes=explodes)
    assert not Path("runs").exists()


def test_a_watcher_is_told_of_every_fold() -> None:
    """Of its beginning and its end; of a finished one only what it came to."""

    class Hears(_Stop):
        def __init__(self, fold: int) -> None:
            super().__init__(fold, 0)
            self.heard: list[Any] = []

        def on_fold(self, number: int, folds: int, test: Any) -> None:
            super().on_fold(number, folds, test)
            self.heard.append((number, folds, str(test)))

        def on_fold_end(self, number: int, folds: int, test: Any, metrics: Any) -> None:
            self.heard.append(metrics["test"]["items"])

    first, second = Hears(2), Hears(0)
    with pytest.raises(TrainingInterrupted):
        gridcnn.cross_validate(TINY, folds=2, out="stopped", watcher=first)
    gridcnn.cross_validate(resume="stopped", watcher=second)

    assert first.heard == [(1, 2, "fold 1 of 2"), 45, (2, 2, "fold 2 of 2")]
    assert second.heard == [45, (2, 2, "fold 2 of 2"), 45]


def test_the_spread_of_equal_figures_is_zero() -> None:
    """And that of a single one, too."""
    assert summary([0.5, 0.5]) == {"mean": 0.5, "std": 0.0, "min": 0.5, "max": 0.5}
    assert summary([0.25])["std"] == 0
