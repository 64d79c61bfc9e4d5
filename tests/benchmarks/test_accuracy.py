"""The measurement of accuracies: its plain methods, its figures, and the page written from them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.accuracy import __main__ as program
from benchmarks.accuracy import measuring
from benchmarks.accuracy.baselines import (
    CEPSTRAL,
    LOGISTIC,
    LOGISTIC_ONE_HOT,
    NEAREST,
    SMILES_OF_LABELS,
    Baseline,
    Items,
    fit,
)
from benchmarks.accuracy.catalogue import (
    ACCURACY,
    AREA,
    F1,
    LEAD,
    OVER_FOLDS,
    Case,
    Goal,
    Published,
    Trial,
    cases,
)
from benchmarks.accuracy.measuring import BUSY, OURS, TEST, Answers, Outcome
from benchmarks.accuracy.page import page, percent, reached
from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.phrases import Phrases
from gridcnn.grid import OneHot
from gridcnn.measures import measures
from gridcnn.pipelines import ready

ROOT = Path(__file__).parents[2]
ADAPTER = ArrayAdapter()


def items(count: int, seed: int) -> Items:
    """Return noisy grids of 2 x 3 cells, of three classes."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 3, count)
    grids = random.normal(size=(count, 1, 2, 3)).astype(np.float32)
    grids[np.arange(count), 0, 0, targets] += 2
    return Items([""] * count, grids, targets)


# Plain methods ----------------------------------------------------------------------------------


def test_one_hot_grids_are_the_same_cells_as_dense_ones() -> None:
    """The sparse matrix has a row for each grid, with its cells in the order of an array."""
    grids = OneHot(np.array([[0, 2, -1], [1, 1, 0]], np.int32), 3)
    sparse = LOGISTIC_ONE_HOT.features(Items(["", ""], grids, np.array([0, 1])), ADAPTER)

    assert (sparse.toarray() == np.asarray(grids).reshape(2, -1)).all()


@pytest.mark.parametrize("baseline", [LOGISTIC, NEAREST], ids=lambda each: each.title)
def test_the_settings_are_those_that_do_best_on_validation(baseline: Baseline) -> None:
    """Every choice is fitted on the training items alone, and the first of the best is taken."""
    train, validation, test = items(120, 0), items(60, 1), items(90, 2)

    found = fit(baseline, train, validation, ADAPTER)

    flat = [each.grids.reshape(len(each.targets), -1) for each in (train, validation, test)]  # type: ignore[union-attr]
    made = {label: make().fit(flat[0], train.targets) for label, make in baseline.choices.items()}
    scores = {label: each.score(flat[1], validation.targets) for label, each in made.items()}
    assert found.chosen == max(scores, key=lambda label: scores[label])
    assert found.validation == scores[found.chosen]
    votes = found.votes(test, ADAPTER, 3)
    assert votes == pytest.approx(made[found.chosen].predict_proba(flat[2]))


def test_a_class_without_training_items_gets_no_votes() -> None:
    """The columns are those of all classes."""
    train = items(60, 0)
    some = train.targets != 1
    train = Items(train.things, train.grids[some], train.targets[some])
    asked = items(10, 1)

    votes = fit(NEAREST, train, train, ADAPTER).votes(asked, ADAPTER, 3)

    known = KNeighborsClassifier(1).fit(train.grids.reshape(len(train.targets), -1), train.targets)  # type: ignore[union-attr]
    flat = asked.grids.reshape(10, -1)  # type: ignore[union-attr]
    assert (votes[:, 1] == 0).all()
    assert (votes[:, [0, 2]] == known.predict_proba(flat)).all()


def test_clips_are_told_by_the_statistics_of_their_cepstrum(librosa: Any) -> None:
    """Mean and standard deviation over time, as librosa's coefficients have them."""
    random = np.random.default_rng(0)
    clips = [random.normal(size=4000).astype(np.float32) / 8 for _ in range(2)]
    adapter = AudioAdapter(sample_rate=8000, n_fft=256, hop_length=128, n_mels=32)

    found = CEPSTRAL.features(Items(clips, np.zeros((2, 1, 1, 1)), np.array([0, 1])), adapter)

    expected = librosa.feature.mfcc(
        y=clips[1], sr=8000, n_mfcc=20, n_fft=256, hop_length=128, n_mels=32
    )
    assert found.shape == (2, 40)
    assert found[1, :20] == pytest.approx(expected.mean(axis=1), rel=1e-4)
    assert found[1, 20:] == pytest.approx(expected.std(axis=1), rel=1e-4)


# Measuring --------------------------------------------------------------------------------------


def others() -> tuple[Sequence[Any], Sequence[str]]:
    made = Phrases(count=40, seed=7).open(Request())
    return made.things, [str(label) for label in made.labels]


SMALL = Case(
    name="small",
    spec="phrases",
    data="A few texts.",
    split="a fifth for the test.",
    options=("--set", "data.source.phrases.count=240", "--set", "training.epochs=3"),
    baselines=(NEAREST,),
    goals=(Goal(ACCURACY, 0.0),),
    trials=(Trial("other texts", "40 of them.", others),),
)


@pytest.fixture(scope="module")
def small() -> Outcome:
    """Return what is measured of a small case."""
    return measuring.measure(SMALL)


@pytest.mark.slow
def test_everyone_is_asked_about_the_same_items(small: Outcome) -> None:
    """The network and each plain method, about the test items and about others."""
    assert small.items == {"train": 172, "validation": 20, "test": 48}
    assert list(small.answers) == [TEST, "other texts"]
    for about, count in ((TEST, 48), ("other texts", 40)):
        assert [each.who for each in small.answers[about]] == [OURS, NEAREST.title]
        assert [each.measures["items"] for each in small.answers[about]] == [count, count]
        for each in small.answers[about]:
            sizes = [scores["items"] for scores in each.measures["classes"].values()]
            assert sizes == [count / 4] * 4
    assert small.parameters > 0
    assert small.epochs == 3
    assert 0 < small.seconds_per_epoch < small.seconds_in_all
    assert small.answers[TEST][1].chosen in NEAREST.choices


@pytest.mark.slow
def test_what_was_measured_reads_back(
    small: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The JSON file holds all of it, and what is measured again replaces its own entry alone."""
    data, shown = tmp_path / "accuracy.json", tmp_path / "results.md"
    known = {"small": SMALL, "more": dataclasses.replace(SMALL, name="more")}
    for place in ("__main__", "page"):
        monkeypatch.setattr(f"benchmarks.accuracy.{place}.cases", lambda: known)
    both = {"small": small, "more": dataclasses.replace(small, parameters=7)}

    program.write(both, data, shown)
    program.write(measuring.read(data) | {"small": small}, data, shown)

    assert measuring.read(data) == both
    assert shown.read_text("utf-8") == page(both)
    assert "### small: other texts" in page(both)
    assert measuring.read(tmp_path / "nowhere.json") == {}


def test_of_several_labels_the_areas_are_told() -> None:
    """With the thresholds of the model for it, and 0.5 for plain methods; there is no confusion."""
    targets = np.array([[1, 0], [0, 1], [1, np.nan], [0, 0]], np.float32)
    votes = np.array([[0.4, 0.1], [0.2, 0.9], [0.3, 0.9], [0.1, 0.2]])
    asked = Items([""] * 4, np.zeros((4, 1, 1, 1), np.float32), targets)
    turn: Any = SimpleNamespace(
        name="run",
        votes=lambda who, items: votes,
        model=SimpleNamespace(classes=("a", "b"), thresholds=(0.25, 0.5)),
        fitted=[SimpleNamespace(baseline=SMILES_OF_LABELS, chosen="C", validation=0.7, seconds=1)],
        metrics={"validation": {"accuracy": 0.1, "auc": 0.8}, "seconds": {"training": 2}},
    )

    both = [measuring._answers([turn], who, [asked]) for who in (0, 1)]
    text = page({"nudge": dataclasses.replace(outcome(*both), classes=["a", "b"])})

    assert [each.validation for each in both] == [0.8, 0.7]
    assert [each.measures["auc"] for each in both] == [1.0, 1.0]
    assert [each.measures["labels"]["a"]["f1"] for each in both] == [1.0, 0.0]
    flat = " ".join(text.split())
    assert "| AUC 1.0000, SMILES n-grams |" in flat
    assert "| a | 1.0000 | 1.0000 | 1.0000 | 2 | 4 |" in flat
    assert "| b | 1.0000 | 1.0000 | 1.0000 | 1 | 3 |" in flat
    assert "confusion" not in flat


def test_a_regression_for_each_label_learns_from_what_is_known() -> None:
    texts = ["CCO", "CCN", "c1ccccc1", "c1ccncc1"] * 5
    targets = np.array([[1, 0], [1, 1], [0, 0], [0, 1]] * 5, np.float32)
    targets[1, 0] = np.nan
    given = Items(texts, np.zeros((20, 1, 1, 1), np.float32), targets)

    found = fit(SMILES_OF_LABELS, given, given, ADAPTER)

    assert found.validation == 1.0
    assert found.chosen in SMILES_OF_LABELS.choices
    votes = found.votes(given, ADAPTER, 2)
    assert ((votes > 0.5) == (targets == 1))[~np.isnan(targets)].all()


def test_the_folds_of_a_run_count_together(tmp_path: Path) -> None:
    """Answers of all folds are one set; each fold's accuracy is kept by its name."""
    for number in (10, 2, 1):
        (tmp_path / f"fold-{number}").mkdir()
    folders = measuring._run_folders(tmp_path)
    assert [each.name for each in folders] == ["fold-1", "fold-2", "fold-10"]
    assert measuring._run_folders(tmp_path / "fold-1") == [tmp_path / "fold-1"]

    votes = [np.eye(2)[[0, 1, 1]], np.eye(2)[[0]]]
    asked = [items(3, 0), items(1, 0)]
    targets = [np.array([0, 1, 0]), np.array([1])]
    turns = [
        SimpleNamespace(
            name=f"speaker {number}",
            votes=lambda who, items, number=number: votes[number],
            model=SimpleNamespace(classes=("a", "b")),
            fitted=[],
            metrics={"validation": {"accuracy": 0.5 + number / 4}, "seconds": {"training": 2}},
        )
        for number in range(2)
    ]
    told = [
        Items(each.things, each.grids, right) for each, right in zip(asked, targets, strict=True)
    ]

    found = measuring._answers(cast("Any", turns), 0, told)

    assert found.folds == {"speaker 0": pytest.approx(2 / 3), "speaker 1": 0}
    assert found.measures["accuracy"] == 0.5
    assert found.measures["confusion"] == [[1, 1], [1, 1]]
    assert found.validation == 0.625


# The page ---------------------------------------------------------------------------------------


def answers(who: str, right: int, *, folds: dict[str, float] | None = None) -> Answers:
    """Return answers to 100 items of two classes, of which so many are right."""
    targets = np.arange(100) % 2
    given = np.where(np.arange(100) < right, targets, 1 - targets)
    found = measures(targets, given, 2, votes=np.eye(2)[given] * 0.8 + 0.1)
    sees, chosen = ("", "") if who == OURS else ("the cells", "C = 1")
    return Answers(who, sees, chosen, right / 100, 1.5, found.plain(["ham", "spam"]), folds or {})


def outcome(*contestants: Answers) -> Outcome:
    return Outcome(
        date="2026-01-01",
        machine={"processor": "a processor", "cores": "2 of 4", BUSY: "0.1"},
        versions={"numpy": "2.0"},
        settings="0",
        threads=2,
        items={"train": 300, "validation": 50, "test": 100},
        classes=["ham", "spam"],
        parameters=1234,
        epochs=5,
        seconds_per_epoch=0.25,
        seconds_in_all=4.125,
        processor_seconds=6,
        answers={TEST: list(contestants)},
    )


def test_goals_are_held_against_what_was_measured() -> None:
    """Accuracy, area, one class's F1, the mean over folds, and the lead over a plain method."""
    case = Case(
        name="a case",
        spec="xo",
        data="Things.",
        split="somehow.",
        goals=(
            Goal(ACCURACY, 0.9),
            Goal(ACCURACY, 0.8),
            Goal(AREA, 0.91),
            Goal(f"{F1}spam", 0.9),
            Goal(OVER_FOLDS, 0.85),
            Goal(f"{LEAD}plain", 0.0),
            Goal(f"{LEAD}strong", 0.0),
        ),
    )
    ours = answers(OURS, 90, folds={"a": 0.95, "b": 0.85})

    found = reached(case, outcome(ours, answers("plain", 89), answers("strong", 90)))

    values = [0.9, 0.9, 0.9, 0.9, 0.9, 1.0, 0.0]
    assert [each.value for each in found] == pytest.approx(values)
    assert [each.met for each in found] == [True, True, False, True, True, True, False]
    assert [each.sure for each in found] == [False, True, True, True, True, True, True]


def test_long_times_are_whole_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """They keep all digits of their whole part, and have no power of ten."""
    monkeypatch.setattr("benchmarks.accuracy.page.cases", lambda: {"xo": cases()["xo"]})
    measured = dataclasses.replace(
        outcome(answers(OURS, 90), answers("plain", 80)),
        seconds_per_epoch=99.7,
        seconds_in_all=2172.05,
        processor_seconds=1302.42,
    )

    text = " ".join(page({"xo": measured}).split())

    assert "100 s for each, 2,172 s in all, 1,302 s of processor time" in text
    assert "| 100 | 2,172 |" in text


def test_the_page_tells_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures with intervals, what was not reached, classes, confusion, and who published what."""
    case = Case(
        name="letters",
        spec="xo",
        data="Things to tell apart.",
        split="as it comes.",
        options=("--seed", "1"),
        goals=(Goal(ACCURACY, 0.95),),
        published=(
            Published("93 %", "some network", "a paper", same_split=False, checked=False),
            Published("94 %", "another network", "a book", same_split=True),
        ),
        notes=("It is hard.",),
    )
    monkeypatch.setattr("benchmarks.accuracy.page.cases", lambda: {"letters": case})
    folds = {"a": 0.95, "b": 0.85}

    both = [answers(OURS, 90, folds=folds), answers("plain", 80, folds=folds)]
    text = page({"letters": outcome(*both)})

    flat = " ".join(text.split())
    assert "| [letters](#letters) | 80.00 %, plain | 93 %; 94 % | 100 | 90.00 % |" in flat
    assert "82.56 to 94.48" in flat  # Wilson's, for 90 of 100
    assert "- letters: accuracy 90.00 %; the goal was at least 95.00 %" in flat
    assert "It teaches the four bricks." in flat
    assert "300 items for training, 50 for validation and 100 for the test on average" in flat
    assert "1,234 parameters, 5 epochs on average; 0.25 s for each, 4.12 s in all" in flat
    assert "- It is hard." in flat
    assert "- Command: `gridcnn run xo --seed 1`" in flat
    assert "| ham | 45 | 5 |" in flat
    assert "| mean | 90.00 % | 90.00 % |" in flat
    assert (
        "- 93 %: some network (a paper; not the same split; quoted from memory, not checked)."
        in flat
    )
    assert "- 94 %: another network (a book; the same split)." in flat
    assert "a processor" in text
    assert "longer than they need be" not in text

    crowded = outcome(*both)
    crowded.machine[BUSY] = "2.1"
    flat = " ".join(page({"letters": crowded}).split())
    assert "When letters began, more threads were ready to run" in flat


def test_a_share_is_never_rounded_up_to_everything() -> None:
    """One wrong answer of many thousands still shows."""
    assert [percent(each) for each in (1, 0.99999, 0.5)] == ["100.00 %", "99.99 %", "50.00 %"]


# What is shipped --------------------------------------------------------------------------------


def test_every_ready_spec_is_in_the_catalogue() -> None:
    """With a source for each figure of others."""
    assert {case.spec for case in cases().values()} == set(ready())
    for name, case in cases().items():
        assert case.name == name
        assert all(each.source for each in case.published)
        assert case.baselines


def test_the_page_is_what_was_measured() -> None:
    """`python -m benchmarks.accuracy --page` would change nothing."""
    assert program.PAGE.read_text("utf-8") == page(measuring.read(program.DATA))


def test_the_results_are_those_of_the_specs_as_they_are() -> None:
    """Whoever changes a ready spec, or asks it about more items, measures it again."""
    known = cases()
    changed = [
        name
        for name, outcome in measuring.read(program.DATA).items()
        if name not in known
        or outcome.settings != measuring.digest(known[name])
        or set(outcome.answers) != {TEST, *(trial.name for trial in known[name].trials)}
    ]

    assert not changed, f"run python -m benchmarks.accuracy {' '.join(map(repr, changed))}"


def test_comments_alone_change_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec's settings and a case's options do."""
    text, case = ready()["xo"], cases()["xo"]
    before = measuring.digest(case)

    def shipped(text: bytes) -> None:
        monkeypatch.setattr(measuring, "ready", lambda: {"xo": text})

    shipped(b"# more\n" + text.replace(b"An X or an O", b"A letter"))
    assert measuring.digest(case) == before
    assert measuring.digest(dataclasses.replace(case, options=("--seed", "1"))) != before
    shipped(text.replace(b"epochs: 6", b"epochs: 7"))
    assert measuring.digest(case) != before


def test_a_spec_without_data_gets_a_folder() -> None:
    """It is in the command and in the digest, and starts in GRIDCNN_DATA."""
    case = cases()["photos"]

    assert case.command == "gridcnn run photos --data images_cifar10"
    other = dataclasses.replace(case, folder="other_pictures")
    assert measuring.digest(case) != measuring.digest(other)


def test_the_data_is_plain_json() -> None:
    """Nothing in it is beyond what other programs read."""
    told = json.loads(program.DATA.read_text("utf-8"))

    assert set(told) <= set(cases())
