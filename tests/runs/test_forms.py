"""Runs whose augmentation changes texts and sounds themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import gridcnn
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.cross_validation import cross_validate
from gridcnn.errors import SpecError, TrainingInterrupted
from gridcnn.estimator import GridClassifier
from gridcnn.grid import OneHot
from gridcnn.runs import adapting
from gridcnn.runs.forms import ChangedThings, join_forms
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.runs.run import RunWatcher
from gridcnn.spec.load import load

TEXTS = [f"{word} number {at}" for at in range(20) for word in ("apple", "pear")]
LABELS = ["apple", "pear"] * 20
SPEC: dict[str, Any] = {
    "name": "typed",
    "adapter": {"text": {"length": 20}},
    "stages": [{"convolution": {"filters": 4, "kernel_size": ["all", 3]}}, "rectification"],
    "head": "voting",
    "training": {
        "epochs": 3, "batch_size": 8, "forms": 5, "restarts": 0,
        "augmentation": [{"typos": 0.2}, {"case": {"upper": 0.3}}, {"shift": {"columns": 2}}],
    },
}  # fmt: skip


def prepared(changes: Any = (), data: Any = (TEXTS, LABELS), spec: Any = SPEC) -> Prepared:
    return prepare(locate(load(spec, changes=changes), data, Path()))


class StopAfterOne(RunWatcher):
    def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
        if epoch > 1:
            raise KeyboardInterrupt


def test_a_run_repeats_and_resumes_with_the_same_bits(tmp_path: Path) -> None:
    """With any number of threads; without the augmentation it ends elsewhere."""
    data = (TEXTS, LABELS)
    whole = gridcnn.run(SPEC, data=data, out=tmp_path / "whole", threads=2)
    with pytest.raises(TrainingInterrupted):
        gridcnn.run(SPEC, data=data, out=tmp_path / "stopped", watcher=StopAfterOne())

    resumed = gridcnn.run(data=data, resume=tmp_path / "stopped")
    again = gridcnn.run(tmp_path / "whole" / "spec.yaml", data=data, out=tmp_path / "again")
    changes: list[dict[str, Any]] = [
        {"training.augmentation": []}, {"training.forms": 4}, {"training.seed": 1},
    ]  # fmt: skip
    others = [
        gridcnn.run(SPEC, data=data, out=tmp_path / str(number), changes=each)
        for number, each in enumerate(changes)
    ]

    bits = whole.model.parameters.tobytes()
    assert resumed.model.parameters.tobytes() == bits
    assert again.model.parameters.tobytes() == bits
    assert all(other.model.parameters.tobytes() != bits for other in others)


def test_a_model_answers_without_it(tmp_path: Path) -> None:
    """What a model is asked about is never changed, and neither are validation and test items."""
    run = gridcnn.run(SPEC, data=(TEXTS, LABELS), out=tmp_path / "run")
    plain = prepared({"training.augmentation": []})
    changed = prepared()

    for part in ("train", "validation", "test"):
        ours, others = (getattr(each, part).data.grids for each in (changed, plain))
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(others))
    assert changed.validation.data.forms is None
    assert changed.test.data.forms is None
    votes = run.model.votes(TEXTS[:3])
    np.testing.assert_array_equal(gridcnn.load(tmp_path / "run").votes(TEXTS[:3]), votes)


def test_forms_are_those_of_the_items() -> None:
    """As many of each; each is the grid of the changed text."""
    made = prepared()
    forms, adapter = made.train.data.forms, made.fitted.adapter
    assert forms is not None
    assert isinstance(forms.grids, OneHot)
    assert forms.places.shape == (len(made.train), 5)
    assert sorted(forms.places.ravel().tolist()) == list(range(5 * len(made.train)))
    chosen = np.array([TEXTS.index(_text(name, made)) for name in range(len(made.train))])
    things = ChangedThings(TEXTS, chosen, adapter, made.spec.training)

    for item, form in ((0, 0), (3, 4), (7, 2)):
        own = np.asarray(forms.grids)[forms.places[item, form]]
        np.testing.assert_array_equal(own, adapter.adapt(things[5 * item + form]))
    letters = [sorted(things[index]) for index in range(5)]
    assert len({"".join(each) for each in letters}) > 2


def _text(item: int, made: Prepared) -> str:
    """Return the text of a training item, by its grid."""
    adapter = made.fitted.adapter
    grid = np.asarray(made.train.data.grids)[item]
    (text,) = [text for text in TEXTS if (adapter.adapt(text) == grid).all()]
    return text


def test_a_form_does_not_depend_on_what_else_is_chosen() -> None:
    """But on the place of its item in the data, and the seed."""
    adapter = TextAdapter(length=20).fitted(TEXTS)
    settings = load(SPEC).training
    every = ChangedThings(TEXTS, np.arange(40), adapter, settings)
    some = ChangedThings(TEXTS, np.array([7, 3]), adapter, settings)

    assert some[:] == [*every[35:40], *every[15:20]]
    assert len(every) == 200


def test_a_form_that_cannot_be_read_is_like_its_item() -> None:
    """Such as a text of which only spaces are left."""
    adapter = TextAdapter(unit="word", alphabet=["a"], length=3)
    training = {"augmentation": [{"typos": {"delete": 0.6}}], "forms": 20}
    settings = load({"training": training}).training
    things = ChangedThings(["a  ", "a a a a a"], np.arange(2), adapter, settings)

    forms = join_forms(things, adapter.adapt_all(things))

    assert (forms.places[0] == -1).any()
    assert len(forms.grids) == (forms.places >= 0).sum()
    items = adapter.grids(["a  ", "a a a a a"]).values
    same = int(np.flatnonzero(forms.places[0] == -1)[0]) + 1
    np.testing.assert_array_equal(
        np.asarray(forms.put(items, np.array([same, 0]))), np.asarray(items)
    )


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Return a folder with class folders of short sounds, and noises beside it."""
    random = np.random.default_rng(0)
    time = np.arange(2000) / 8000
    for name, hertz in (("low", 300), ("high", 1500)):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for number in range(10):
            samples = 0.3 * np.sin(2 * np.pi * (hertz + 10 * number) * time)
            soundfile.write(tmp_path / "clips" / name / f"{number}.wav", samples, 8000)
    (tmp_path / "noises").mkdir()
    soundfile.write(tmp_path / "noises" / "wind.wav", 0.1 * random.standard_normal(3000), 8000)
    (tmp_path / "low.yaml").write_text(SOUNDS)
    return tmp_path


SOUNDS = """
name: low
data: {source: clips}
adapter: {audio: {sample_rate: 8000, n_fft: 256, hop_length: 128, n_mels: 16, reference: 1.0}}
stages: [{convolution: {filters: 4}}, rectification, pooling]
head: voting
training:
  epochs: 2
  batch_size: 8
  forms: 2
  augmentation: [pitch: 1, stretch: 0.1, background: noises, loudness: 3]
"""


@pytest.mark.usefixtures("librosa")
def test_forms_of_sounds_are_kept_on_disk(
    recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take long. Other noises, and other settings, are other forms."""
    monkeypatch.setattr(adapting, "WORTH", 0.0)
    monkeypatch.setenv("GRIDCNN_CACHE", str(recordings / "cache"))
    calls: list[Any] = []
    change = AudioAdapter.open_thing

    def open_thing(self: AudioAdapter, thing: Any, *, reach: float = 1.0) -> Any:
        calls.append(thing)
        return change(self, thing, reach=reach)

    monkeypatch.setattr(AudioAdapter, "open_thing", open_thing)

    def made(changes: Any = ()) -> tuple[int, Prepared]:
        calls.clear()
        spec = load(recordings / "low.yaml", changes=changes)
        found = prepare(locate(spec, None, recordings))
        return len(calls), found

    first, before = made()
    second, after = made()
    third, other = made({"training.seed": 1})
    soundfile.write(recordings / "noises" / "wind.wav", np.ones(3000) / 9, 8000)
    fourth, windy = made()

    # Some are made to see how long they take.
    assert first >= len(before.train) * 2
    assert second < first
    assert third >= len(before.train) * 2
    assert fourth >= len(before.train) * 2
    own, again = before.train.data.forms, after.train.data.forms
    assert own is not None
    assert again is not None
    np.testing.assert_array_equal(own.grids, again.grids)
    assert before.fingerprint == after.fingerprint
    assert len({before.fingerprint, other.fingerprint, windy.fingerprint}) == 3


@pytest.mark.usefixtures("librosa")
def test_sounds_are_trained_on_in_forms(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolved spec says where noises are, and runs from anywhere."""
    first = gridcnn.run(recordings / "low.yaml", out=recordings / "run", threads=1)
    monkeypatch.chdir(recordings / "noises")

    again = gridcnn.run(recordings / "run" / "spec.yaml", out=recordings / "again", threads=2)

    assert again.model.parameters.tobytes() == first.model.parameters.tobytes()
    written = first.model.spec.training.augmentation[2]
    assert written.folder == str(recordings / "noises")  # type: ignore[union-attr]


def test_folds_and_the_estimator_have_forms_too(tmp_path: Path) -> None:
    """The estimator learns something else with them, and the same each time."""
    options: dict[str, Any] = {"spec": SPEC, "random_state": 0}

    first = GridClassifier(**options).fit(TEXTS, LABELS)
    again = GridClassifier(**options).fit(TEXTS, LABELS)
    plain = GridClassifier(**options, changes={"training.augmentation": []}).fit(TEXTS, LABELS)
    folds = cross_validate(SPEC, data=(TEXTS, LABELS), folds=2, out=tmp_path / "folds")

    assert first.model_.parameters.tobytes() == again.model_.parameters.tobytes()
    assert first.model_.parameters.tobytes() != plain.model_.parameters.tobytes()
    assert len(folds.folds) == 2


def test_a_misfit_is_told_before_the_data_is_read(tmp_path: Path) -> None:
    """In a run, a plan and an estimator; with an adapter that is inferred, once it is known."""
    changes = {"training.augmentation": [{"pitch": 2}], "data.source": "nowhere"}
    message = "it changes sounds, and the items are read with adapter: text; leave it out"

    with pytest.raises(SpecError, match=message):
        gridcnn.run(SPEC, changes=changes, out=tmp_path / "run")
    with pytest.raises(SpecError, match=message):
        GridClassifier(SPEC, changes={"training.augmentation": [{"pitch": 2}]}).fit(TEXTS, LABELS)
    inferred = {**SPEC, "adapter": None, "check": "off"}
    arrays = (np.zeros((8, 4, 4)), LABELS[:8])
    with pytest.raises(SpecError, match="with adapter: array"):
        gridcnn.run(inferred, data=arrays, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
