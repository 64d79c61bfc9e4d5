"""A search: its trials, what it chooses by, and what it writes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gridcnn
from gridcnn.contracts.source import Dataset
from gridcnn.errors import (
    ColumnPermutableError,
    RunFolderError,
    ShapeError,
    SpecError,
    TrainingError,
    TrainingInterrupted,
)
from gridcnn.runs import prepare
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, divide_items
from gridcnn.spec.load import load
from gridcnn.tuning.items import Items
from gridcnn.tuning.search import tune
from gridcnn.tuning.space import Dimension
from gridcnn.tuning.watcher import TuneWatcher

pytest.importorskip("optuna", reason="Optuna is not installed")

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 90, "size": [12, 12]}}, "validation": 0.2},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": {"voting": {"hidden": [8], "dropout": 0.1}},
    "training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.01},
}
RATES = {"log_range": [0.0005, 0.05]}


def spec_of(**training: Any) -> dict[str, Any]:
    return {**TINY, "training": {**TINY["training"], **training}}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Notes(TuneWatcher):
    """Keeps the notes on the space, and the parts."""

    def on_space(
        self, dimensions: Sequence[Dimension], parts: Sequence[Prepared], notes: Sequence[str]
    ) -> None:
        self.dimensions, self.parts, self.notes = dimensions, parts, notes


def names(folder: str = ".") -> list[str]:
    return sorted(each.name for each in Path(folder).iterdir())


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_of_the_best_spec_has_the_validation_figures_of_its_trial() -> None:
    """To the last bit: it divides and trains as the trial did."""
    result = tune(spec_of(learning_rate=RATES), trials=4)

    assert result.folder == Path("runs/tiny/tune")
    assert result.best == min(
        (each for each in result.trials if each.state == "complete"),
        key=lambda each: (-each.score.accuracy, each.score.loss),  # type: ignore[union-attr]
    )
    run = gridcnn.run(result.folder / "best.yaml")
    assert result.best.score is not None
    assert run.metrics["validation"]["accuracy"] == result.best.score.accuracy
    assert run.metrics["validation"]["loss"] == result.best.score.loss
    assert run.metrics["best_epoch"] == result.best.score.best_epoch
    assert run.model.spec.training == result.spec.training


def test_the_files_tell_of_every_trial_and_of_the_best() -> None:
    """The table, two pictures, and a spec that says where it comes from."""
    result = tune(spec_of(learning_rate=RATES, batch_size={"choose": [8, 16]}), trials=5, out="out")

    assert {each.name for each in Path("out").iterdir()} == {
        *("best.yaml", "history.png", "settings.png", "study.journal", "study.journal.lock"),
        *("trials.csv", "tune.json"),
    }
    table = rows(Path("out"))
    assert [row["trial"] for row in table] == ["1", "2", "3", "4", "5"]
    for row, trial in zip(table, result.trials, strict=True):
        assert trial.score is not None
        assert float(row["validation_accuracy"]) == trial.score.accuracy
        assert float(row["training.learning_rate"]) == trial.values["training.learning_rate"]
        assert int(row["training.batch_size"]) == trial.values["training.batch_size"]
        assert 0.0005 <= float(row["training.learning_rate"]) <= 0.05
        assert row["state"] == trial.state
    text = Path("out/best.yaml").read_text()
    assert f"# The best of 5 trials of `gridcnn tune`: trial {result.best.number},\n" in text
    assert "# gridcnn run out/best.yaml\n" in text
    assert load("out/best.yaml") == result.spec
    for name in ("history.png", "settings.png"):
        with Image.open(Path("out") / name) as picture:
            assert min(picture.size) > 300
            assert len(set(np.asarray(picture.convert("L")).ravel().tolist())) > 20
    frame = result.frame
    assert list(frame["validation_accuracy"]) == [
        float(row["validation_accuracy"]) for row in table
    ]
    assert json.loads(json.dumps(result.plain()))["best"]["trial"] == result.best.number


def test_the_seed_fixes_the_search() -> None:
    """Values and results are the same in another folder; another seed tries others."""

    def values(out: str, seed: int) -> list[tuple[Mapping[str, Any], Any]]:
        found = tune(spec_of(learning_rate=RATES), trials=4, out=out, seed=seed)
        return [(each.values, each.score) for each in found.trials]

    first = values("a", 0)

    assert values("b", 0) == first
    assert values("c", 1) != first


def test_a_spec_without_marks_is_tried_first_as_it_is() -> None:
    """So that the best is never worse than the spec."""
    result = tune(TINY, trials=2)

    own = result.trials[0].values
    assert own["training.learning_rate"] == 0.01
    assert own["filters"] == "x 1"
    assert own["head.voting.dropout"] == 0.1
    run = gridcnn.run(TINY)
    assert result.trials[0].score is not None
    assert result.trials[0].score.loss == run.metrics["validation"]["loss"]


def test_no_test_item_is_among_the_items() -> None:
    """Those of training and validation are the run's own."""
    spec = load(TINY)
    located = locate(spec, None, Path())
    dataset = located.open()
    _, division, _ = divide_items(located, dataset)

    items = Items(located, folds=None, watcher=TuneWatcher(), threads=1)
    [prepared] = items.prepare(spec)

    assert list(prepared.train.names) == [dataset.names[item] for item in division.train]
    assert list(prepared.validation.names) == [dataset.names[item] for item in division.validation]
    assert len(prepared.test) == 0
    assert len(division.test) == 18


def test_each_fold_validates_other_items_and_none_of_the_test() -> None:
    """Every item of training and validation is validated once, groups stay whole."""
    random = np.random.default_rng(0)
    labels = [number % 2 for number in range(80)]
    things = random.normal(size=(80, 6, 8)) + np.array(labels)[:, None, None]
    groups = ["abcdefgh"[number // 2 % 8] for number in range(80)]
    names = [f"item {number}" for number in range(80)]
    dataset = Dataset(list(things), labels, names, groups=groups)
    spec = load({**TINY, "adapter": "array", "check": "off"})
    located = locate(spec, dataset, Path())
    _, division, _ = divide_items(located, dataset)

    parts = Items(located, folds=3, watcher=TuneWatcher(), threads=1).prepare(spec)

    validated = [name for part in parts for name in part.validation.names]
    tested = {names[item] for item in division.test}
    assert sorted(validated) == sorted(set(names) - tested)
    for part in parts:
        assert sorted([*part.train.names, *part.validation.names]) == sorted(set(names) - tested)
        inside = {groups[names.index(name)] for name in part.validation.names}
        assert not inside & {groups[names.index(name)] for name in part.train.names}


def test_folds_choose_by_their_mean() -> None:
    """A trial's figures are the means of trainings of their own."""
    result = tune(spec_of(learning_rate={"choose": [0.01]}), trials=1, folds=2)

    items = Items(locate(load(TINY), None, Path()), folds=2, watcher=TuneWatcher(), threads=1)
    losses = []
    for part in items._of_parts:
        assert part.dataset is not None
        each = gridcnn.run({**TINY, "data": {"test": 0.0, "validation": 0}}, data=part.dataset)
        losses.append(each.metrics["validation"]["loss"])
    assert result.best.score is not None
    assert result.best.score.loss == pytest.approx(np.mean(losses), rel=1e-12)


def test_bad_trials_are_given_up_early() -> None:
    """Those that are worse than others after as many epochs; the best one is never of them."""
    spec = spec_of(learning_rate={"log_range": [1e-7, 0.02]}, epochs=8)

    result = tune(spec, trials=12)
    whole = tune(spec, trials=12, pruner="none", out="whole")

    pruned = [each for each in result.trials if each.state == "pruned"]
    assert pruned
    assert all(each.score and each.score.epochs < 8 for each in pruned)
    reason = r"worse than other trials after epoch \d|its training fails: \w+( \w+)?"
    assert all(re.fullmatch(reason, each.reason) for each in pruned)
    assert {each.state for each in whole.trials} == {"complete"}


def test_a_trial_is_not_given_up_after_its_last_epoch() -> None:
    """It has cost its time, and is complete."""
    result = tune(spec_of(learning_rate={"log_range": [1e-6, 0.02]}, epochs=2), trials=6)

    assert {each.state for each in result.trials} == {"complete"}


def test_items_with_several_labels_are_searched_by_the_loss() -> None:
    """As an epoch of theirs is chosen, if the spec names no other result."""
    lines = [
        f"{'foo' if first else 'bar'} {'zip' if second else 'top'} {number},{first},{second}"
        for number, (first, second) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)] * 15)
    ]
    Path("texts.csv").write_text("\n".join(["text,a,b", *lines]))
    source = {"table": {"path": "texts.csv", "input": "text", "label": ["a", "b"]}}
    spec = {
        "data": {"source": source, "validation": 0.2},
        "adapter": {"text": {"length": 12}},
        "stages": [{"convolution": {"filters": 4, "kernel_size": ["all", 3]}}, "rectification"],
        "head": {"voting": {"labels": "several"}},
        "training": {"epochs": 2, "batch_size": 8, "learning_rate": RATES},
    }

    result = tune(spec, trials=3, pruner="none")

    assert result.by == "loss"
    losses = [each.score.loss for each in result.trials if each.score is not None]
    assert result.best.score is not None
    assert result.best.score.loss == min(losses)
    run = gridcnn.run(result.folder / "best.yaml")
    assert run.metrics["validation"]["loss"] == min(losses)


def test_a_trial_that_collapses_is_given_up_at_once() -> None:
    """Also if there are no others to compare it with; without a pruner it is trained to its end."""
    stages = [{"pooling": {"window": 12}}, {"convolution": {"filters": 2}}, "rectification"]
    spec = {**spec_of(learning_rate={"choose": [0.3]}, epochs=9), "stages": stages}

    message = "none of 1 trials has finished: its training fails: collapsed"
    with pytest.raises(TrainingError, match=message):
        tune(spec, trials=1)

    [row] = rows(Path("runs/tiny/tune"))
    assert (row["state"], row["reason"]) == ("pruned", "its training fails: collapsed")
    assert int(row["epochs"]) < 9
    whole = tune(spec, trials=1, pruner="none", out="whole").best
    assert whole.score is not None
    assert whole.score.epochs == 9


def test_the_loss_can_choose() -> None:
    """Lower is better then."""
    result = tune(spec_of(learning_rate=RATES, select_by="loss"), trials=4, pruner="none")

    losses = [each.score.loss for each in result.trials if each.score is not None]
    assert result.best.score is not None
    assert result.best.score.loss == min(losses)


def test_the_result_that_the_spec_names_chooses() -> None:
    """As it chooses an epoch; the run of the best has the same figure."""
    result = tune(spec_of(learning_rate=RATES, select_by="macro_f1"), trials=4, pruner="none")

    scores = [each.score.other for each in result.trials if each.score is not None]
    assert result.best.score is not None
    assert result.best.score.other == max(score for score in scores if score is not None)
    run = gridcnn.run(result.spec)
    assert run.history[run.metrics["best_epoch"] - 1].validation_score == result.best.score.other
    assert float(rows(result.folder)[0]["validation_score"]) == scores[0]


def test_weights_of_classes_can_be_searched() -> None:
    """The grids are the same, and not the weights of items."""
    choice = {"choose": [None, "balanced", {"X": 9, "O": 1}]}

    result = tune(spec_of(class_weights=choice, select_by="loss"), trials=8, pruner="none")

    losses = {each.values["training.class_weights"]: each.score for each in result.trials}
    for weights, label in ((None, None), ({"X": 9, "O": 1}, "{X: 9, O: 1}")):
        run = gridcnn.run(spec_of(class_weights=weights, select_by="loss"))
        score = losses[label]
        assert score is not None
        assert run.metrics["validation"]["loss"] == score.loss


def test_a_search_may_start_from_a_model() -> None:
    """Which is taken over for each trial; its path is relative to the spec."""
    Path("specs").mkdir()
    gridcnn.run(TINY, out="specs/first")
    spec = spec_of(learning_rate={"choose": [0.01, 0.001]}, start_from="first", epochs=1)
    Path("specs/spec.yaml").write_text(json.dumps(spec))

    result = tune("specs/spec.yaml", trials=2, out="out")

    run = gridcnn.run("out/best.yaml")
    assert result.best.score is not None
    assert run.metrics["validation"]["loss"] == result.best.score.loss


def test_augmentations_of_things_can_be_searched() -> None:
    """Each has forms of its own, which are those of a run."""
    texts = [word * number for number in range(3, 23) for word in ("ab", "cd")]
    labels = ["ab", "cd"] * 20
    spec: dict[str, Any] = {
        "data": {"validation": 0.2},
        "adapter": {"text": {"length": 48}},
        "stages": [{"convolution": {"filters": 4, "kernel_size": ["all", 3]}}, "rectification"],
        "head": "voting",
        "training": {"epochs": 2, "batch_size": 8, "select_by": "loss"},
    }
    choice = {"choose": [[], [{"typos": 0.3}], [{"typos": 0.6}]]}

    searched = {**spec, "training": {**spec["training"], "augmentation": choice}}
    result = tune(searched, data=(texts, labels), trials=8, pruner="none")

    scores = {each.values["training.augmentation"]: each.score for each in result.trials}
    for label, augmentation in (("[]", []), ("[{typos: 0.6}]", [{"typos": 0.6}])):
        changes = {"training.augmentation": augmentation}
        run = gridcnn.run(spec, data=(texts, labels), changes=changes)
        score = scores[label]
        assert score is not None
        assert run.metrics["validation"]["loss"] == score.loss


def test_minutes_end_a_search_but_not_before_one_trial_is_complete() -> None:
    """The trial that runs then is given up."""
    result = tune(spec_of(learning_rate=RATES), minutes=1e-9)

    assert [each.state for each in result.trials] == ["complete"]


def test_a_trial_that_cannot_be_trained_fails_and_the_search_goes_on() -> None:
    """Its reason is in the table; its values were noted before the first trial."""
    watcher = Notes()
    stages = [
        {"convolution": {"filters": 4, "padding": "valid", "kernel_size": {"choose": [3, 20]}}}
    ]

    result = tune({**TINY, "stages": stages}, trials=4, watcher=watcher)

    states = {each.values["stages[0].convolution.kernel_size"]: each for each in result.trials}
    assert (states[3].state, states[20].state) == ("complete", "failed")
    assert "does not fit into 12 x 12 cells" in states[20].reason
    assert states[20].score is None
    [note] = watcher.notes
    assert "does not fit into 12 x 12 cells" in note
    assert note.endswith("; trials like this fail at once")


def test_a_space_that_fits_no_grid_is_refused_before_the_first_trial() -> None:
    """Nothing is written."""
    stages = [
        {"convolution": {"filters": {"choose": [2, 4]}, "padding": "valid", "kernel_size": 20}}
    ]

    with pytest.raises(ShapeError, match="does not fit into 12 x 12 cells"):
        tune({**TINY, "stages": stages})

    assert not Path("runs").exists()


def test_trials_whose_loss_explodes_end_the_search_if_there_are_no_others() -> None:
    """After ten of them."""
    with pytest.raises(TrainingError, match="none of 10 trials has finished: the loss "):
        tune(spec_of(learning_rate={"range": [1e7, 1e8]}, optimizer="sgd"), trials=12)


def test_grids_are_made_once_for_each_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that varies the size of pictures reads them again for each size alone."""
    sizes: list[Any] = []
    made = prepare.prepare

    def counted(located: Any, **settings: Any) -> Any:
        sizes.append(located.spec.adapter.size)
        return made(located, **settings)

    monkeypatch.setattr("gridcnn.tuning.items.prepare", counted)
    adapter = {"image": {"size": {"choose": [[8, 8], [12, 12]]}}}

    tune({**TINY, "adapter": adapter}, trials=6)

    assert sorted(sizes) == [(8, 8), (12, 12)]


def test_data_whose_order_means_nothing_is_refused() -> None:
    """As a run refuses it."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 250)
    table = random.normal(size=(250, 9)) + labels[:, None] * random.normal(size=9)
    spec = {
        "adapter": {"array": {"size": [1, 9], "channels": 1}},
        "stages": [{"convolution": {"filters": 2, "kernel_size": [1, 3]}}],
        "head": "voting",
        "training": {"epochs": 1},
    }

    with pytest.raises(ColumnPermutableError):
        tune(spec, data=(table, labels), trials=1)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trials": 0}, "trials must be a whole number from 1 on; got 0"),
        ({"trials": 2.5}, "trials must be a whole number from 1 on; got 2.5"),
        ({"minutes": 0}, "minutes must be a number above 0; got 0"),
        ({"minutes": float("nan")}, "minutes must be a number above 0; got nan"),
        ({"minutes": "3"}, "minutes must be a number above 0; got '3'"),
        ({"folds": 1}, "folds must be a whole number from 2 to 1,000; got 1"),
        ({"folds": "groups"}, "folds must be a whole number from 2 to 1,000; got 'groups'"),
        (
            {"changes": ["training.minutes=3"]},
            "--set training.minutes=3: trials of a search have a number of epochs, so that they "
            "can be compared; set training.epochs in place of training.minutes",
        ),
        ({"pruner": "best"}, "the pruner must be one of median, hyperband, none; got 'best'"),
        (
            {"changes": ["data.validation=0"]},
            "--set data.validation=0: a search chooses by validation items, and there are none; "
            "set data.validation above 0, or search with --folds 5",
        ),
        (
            {"changes": ["head="]},
            "a network without a head has nothing to train on; add head: voting",
        ),
    ],
)
def test_wrong_settings_are_one_line(settings: dict[str, Any], message: str) -> None:
    """Nothing is written."""
    with pytest.raises(SpecError) as caught:
        tune(TINY, **settings)

    assert str(caught.value) == message
    assert names() == []


def test_a_folder_of_something_else_is_left_alone() -> None:
    """Also that of another search."""
    Path("notes").mkdir()
    Path("notes/todo.txt").write_text("x")
    tune(spec_of(learning_rate=RATES), trials=1, out="search")
    before = names("search")

    with pytest.raises(RunFolderError, match="notes is not empty, and holds no search"):
        tune(TINY, out="notes")
    with pytest.raises(RunFolderError, match=r"todo\.txt is a file"):
        tune(TINY, out="notes/todo.txt")
    for change, what in (
        ({"seed": 3}, "has another seed"),
        ({"folds": 2}, "has other folds"),
        ({"pruner": "none"}, "has another pruner"),
        ({"engine": "reference"}, "was started with another engine"),
        ({"changes": {"training.epochs": 4}}, "searches other settings"),
        ({"data": "digits"}, "has other items"),
    ):
        with pytest.raises(RunFolderError, match=f"search holds another search, which {what}"):
            tune(spec_of(learning_rate=RATES), out="search", **change)

    assert names("notes") == ["todo.txt"]
    assert names("search") == before


def test_a_damaged_mark_of_a_search_is_one_line() -> None:
    """It is not taken for a new folder."""
    Path("search").mkdir()
    Path("search/tune.json").write_text("[1")

    with pytest.raises(RunFolderError, match=r"search/tune\.json is damaged: "):
        tune(TINY, out="search")


class Stops(TuneWatcher):
    """Presses Ctrl-C in the second epoch of a trial."""

    def __init__(self, number: int) -> None:
        self.number, self.now = number, 0

    def on_trial(self, number: int, trials: int | None, values: Any) -> None:
        self.now = number

    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if self.now == self.number and epoch == 2:
            raise KeyboardInterrupt


def test_a_stopped_search_goes_on_as_if_it_had_not_been_stopped() -> None:
    """The same call makes the trial again that was running, and then the others."""
    spec = spec_of(learning_rate=RATES, batch_size={"choose": [8, 16]})
    whole = tune(spec, trials=4, out="whole")

    with pytest.raises(TrainingInterrupted, match="the same command continues the search in part"):
        tune(spec, trials=4, out="part", watcher=Stops(3))
    assert len(rows(Path("part"))) == 2
    assert Path("part/best.yaml").is_file()
    result = tune(spec, trials=4, out="part")

    assert [(each.values, each.score) for each in result.trials] == [
        (each.values, each.score) for each in whole.trials
    ]
    assert [each.number for each in result.trials] == [1, 2, 3, 4]
    again = tune(spec, trials=4, out="part")
    assert again.trials == result.trials
    more = tune(spec, trials=5, out="part")
    assert len(more.trials) == 5


def test_a_search_that_is_stopped_before_its_first_trial_writes_nothing() -> None:
    """And says so."""

    class AtOnce(TuneWatcher):
        def on_reading(self, progress: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match="stopped before the first trial; nothing was"):
        tune(TINY, watcher=AtOnce())
    assert names() == []
