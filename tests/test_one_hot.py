"""Texts as one-hot grids, from the data to the answers, as an adapter of another package has them.

Every check is against the same adapter with its grids as arrays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli.main import app
from gridcnn.contracts.adapter import Adapted, OneHotAdapter, Things
from gridcnn.errors import DataError
from gridcnn.grid import Array, Axis, Grids, GridShape, OneHot
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.spec.load import load
from gridcnn.spec.models import ADAPTERS

LETTERS = "acgt"
every_engine = pytest.mark.parametrize("engine", ["native", "reference"])


class Bases(OneHotAdapter):
    """Texts of twelve bases, or files of them."""

    title: ClassVar[str] = "bases"
    suffixes: ClassVar[frozenset[str]] = frozenset({".txt"})

    def shape(self) -> GridShape:
        letters = Axis("base", labels=tuple(LETTERS), ordered=False)
        return GridShape(1, len(LETTERS), 12, letters, Axis("position"))

    def indices(self, thing: Any) -> NDArray[np.int32]:
        text = Path(thing).read_text() if str(thing).endswith(".txt") else thing
        if len(text) != 12:
            raise DataError(f"it has {len(text)} bases; 12 were expected")
        return np.array([LETTERS.find(letter) for letter in text], np.int32)


class DenseBases(Bases):
    """The same, as arrays."""

    title: ClassVar[str] = "dense"

    def adapt_all(self, things: Things, **options: Any) -> Adapted:
        adapted = super().adapt_all(things, **options)
        dense = Grids(np.asarray(adapted.grids.values), adapted.grids.shape)
        return Adapted(dense, adapted.kept, adapted.problems)


@pytest.fixture(autouse=True)
def _registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, adapter in (("bases", Bases), ("dense", DenseBases)):
        monkeypatch.setitem(ADAPTERS._places, name, "nowhere:nothing")
        monkeypatch.setitem(ADAPTERS._loaded, name, adapter)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def largest(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Return how many items every array had that was made of one-hot grids."""
    made: list[int] = []
    original = OneHot.__array__

    def watched(self: OneHot, dtype: Any = None, copy: bool | None = None) -> Array:
        made.append(len(self))
        return original(self, dtype, copy)

    monkeypatch.setattr(OneHot, "__array__", watched)
    yield made
    made.clear()
    np.asarray(OneHot(np.zeros((3, 2), np.int32), 4))
    assert made == [3]  # the watch works


def spec(adapter: str = "bases", **training: Any) -> dict[str, Any]:
    return {
        "name": "bases",
        "adapter": adapter,
        "data": {"test": 0.25, "validation": 0.2},
        "stages": [
            {"convolution": {"filters": 6, "kernel_size": ["all", 3]}},
            "rectification",
            {"pooling": {"window": "all"}},
        ],
        "head": {"voting": {"hidden": [8], "dropout": 0.1}},
        "training": {"epochs": 6, "batch_size": 16, "learning_rate": 0.01, **training},
    }


def texts(count: int) -> tuple[list[str], list[str]]:
    """Return different texts, and whether "tat" stands in them."""
    random = np.random.default_rng(0)
    found: list[str] = []
    for index in range(count):
        letters = "".join(random.choice(list(LETTERS + "-"), 12)).replace("tat", "tac")
        place = random.integers(9)
        found.append(letters[:place] + "tat" + letters[place + 3 :] if index % 2 else letters)
    assert len(set(found)) == count
    return found, ["with" if "tat" in text else "without" for text in found]


def prepared(adapter: str, data: Any) -> Prepared:
    return prepare(locate(load(spec(adapter)), data, Path()))


def figures(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "seconds"}


def near(engine: str) -> Any:
    """Return how near numbers must be: looking features up adds in another order."""
    return {"atol": 0, "rtol": 0} if engine == "reference" else {"atol": 1e-4, "rtol": 1e-4}


@every_engine
def test_a_run_on_one_hot_grids_is_the_run_on_their_array(engine: str) -> None:
    """Data from memory: the same metrics, the same numbers learned, and they are learned well."""
    data = texts(400)

    run, dense = (
        gridcnn.run(spec(name), data=data, out=name, engine=engine) for name in ("bases", "dense")
    )

    found, expected = figures(run.metrics), figures(dense.metrics)
    for part in ("test", "validation", "train"):
        losses = [metrics[part].pop("loss") for metrics in (found, expected)]
        np.testing.assert_allclose(*losses, **near(engine))
    # Votes that differ in their last bits have other means.
    errors = [metrics["test"].pop("reliability")["error"] for metrics in (found, expected)]
    assert errors[0] == pytest.approx(errors[1], abs=1e-4)
    assert found == expected
    assert run.metrics["test"]["accuracy"] > 0.75
    assert "literal_comparison" in run.metrics
    np.testing.assert_allclose(run.model.parameters, dense.model.parameters, **near(engine))


def test_the_parts_of_a_run_are_kept_as_indices() -> None:
    """So are the exemplars; things that cannot be read are told of as ever."""
    X, y = texts(100)

    found = prepared("bases", (X, y))
    parts = [each.data for each in (found.train, found.validation, found.test)]
    assert found.literal is not None
    for part in (*parts, *found.literal):
        assert isinstance(part.grids, OneHot)
        assert len(part.grids) == len(part.targets)
    with pytest.raises(DataError, match="it has 3 bases; 12 were expected"):
        prepared("bases", (["tat", *X], ["with", *y]))


def test_the_fingerprint_follows_one_hot_grids() -> None:
    """It is the same for the same texts, and another one where a letter differs."""
    X, y = texts(100)
    letter = "c" if X[0][0] == "a" else "a"

    same = prepared("bases", (X, y)).fingerprint
    assert prepared("bases", (X, y)).fingerprint == same
    assert prepared("bases", ([letter + X[0][1:], *X[1:]], y)).fingerprint != same


def test_a_stopped_run_on_one_hot_grids_goes_on() -> None:
    """To the very numbers of one that was not stopped."""

    class Stopper(gridcnn.RunWatcher):
        def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
            if epoch > 2:
                raise KeyboardInterrupt

    data = texts(100)
    whole = gridcnn.run(spec(), data=data, out="whole")
    with pytest.raises(gridcnn.TrainingInterrupted):
        gridcnn.run(spec(), data=data, out="stopped", watcher=Stopper())

    resumed = gridcnn.run(resume="stopped", data=data)
    assert resumed.model.parameters.tobytes() == whole.model.parameters.tobytes()


@every_engine
def test_a_run_never_makes_one_array_of_all_grids(
    engine: str, largest: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training, validation, metrics and the literal comparison look at a few items at a time.

    Where features are looked up, nothing needs arrays at all.
    """
    monkeypatch.setattr("gridcnn.engines.reference.CHUNK_BYTES", 20_000)

    gridcnn.run(spec(epochs=1), data=texts(400), engine=engine)
    assert max(largest, default=0) <= 20
    assert sum(largest) > 400 if engine == "reference" else not largest


@every_engine
def test_a_model_votes_on_texts(engine: str) -> None:
    """One text or many, a bad one is named, its maps are arrays, and it can be evaluated."""
    X, y = texts(300)
    run, dense = (
        gridcnn.run(spec(name), data=(X, y), out=name, engine=engine) for name in ("bases", "dense")
    )
    model = gridcnn.load(run.folder, engine=engine)

    votes = model.votes(X)
    np.testing.assert_allclose(votes, dense.model.votes(X), **near(engine))
    np.testing.assert_array_equal(model.votes(X[7]), votes[7:8])
    for after in (0, 1, None):
        maps = model.maps(X, after=after)
        assert isinstance(maps, np.ndarray)
        np.testing.assert_allclose(maps, dense.model.maps(X, after=after), **near(engine))
    with pytest.raises(DataError, match="tat: it has 3 bases"):
        model.votes([*X, "tat"])
    found, expected = (gridcnn.evaluate(each, (X, y)) for each in (model, dense.model))
    assert found.accuracy == (model.predict(X) == y).mean()
    np.testing.assert_array_equal(found.confusion, expected.confusion)


@every_engine
@pytest.mark.parametrize("part", [0.0, 0.25])
def test_an_estimator_learns_from_texts(engine: str, part: float) -> None:
    """With and without validation items, as from the array."""
    X, y = texts(200)

    first, second = (
        gridcnn.GridClassifier(
            spec(name), validation_fraction=part, random_state=0, engine=engine
        ).fit(X, y)
        for name in ("bases", "dense")
    )
    np.testing.assert_allclose(first.predict_proba(X), second.predict_proba(X), **near(engine))
    found, expected = ([epoch.loss for epoch in each.history_] for each in (first, second))
    np.testing.assert_allclose(found, expected, **near(engine))


def test_a_pipeline_makes_maps_of_texts() -> None:
    feature = {"features": [np.eye(4)[:, [3, 0, 3]].tolist()], "padding": "valid"}
    pipeline = gridcnn.Pipeline({"adapter": "bases", "stages": [{"convolution": feature}]})

    assert pipeline.transform(["cctatgggcccc"])[0, 0, 0].tolist()[1:4] == [0, 3, 0]
    grid = pipeline.transform(["cctatgggcccc"], after=0)
    assert isinstance(grid, np.ndarray)
    assert grid.sum() == 12


def test_the_command_line_shows_and_answers_texts() -> None:
    """From files, which are found by the adapter's suffixes."""
    X, y = texts(200)
    for index, (text, label) in enumerate(zip(X, y, strict=True)):
        Path("data", label).mkdir(parents=True, exist_ok=True)
        Path("data", label, f"{index}.txt").write_text(text)
    folder = gridcnn.run(spec(), data="data").folder
    invoke: Callable[..., Any] = CliRunner().invoke

    shown = invoke(app, ["show", "data/without/0.txt", "--spec", str(folder), "--json"])
    cells = np.array(json.loads(shown.stdout)["cells"])
    np.testing.assert_array_equal(cells, Bases().adapt(X[0]))
    drawn = invoke(app, ["show", "data/without/0.txt", "--spec", str(folder), "--png", "0.png"])
    assert "1 x 4 x 12 (channels x rows x columns), cells from 0.00 to 1.00" in drawn.stdout
    assert Path("0.png").is_file()
    answered = invoke(app, ["predict", str(folder), "data", "--csv"])
    assert answered.exit_code == 0
    assert len(answered.stdout.splitlines()) == 201
