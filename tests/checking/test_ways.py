"""The same data has the same verdict, whichever way it comes in."""

from __future__ import annotations

import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_wine

import gridcnn
from gridcnn import Verdict
from gridcnn.errors import DataError
from gridcnn.order import sample as sample_module
from gridcnn.order.guard import Checked
from gridcnn.runs.run import RunWatcher

Floats = NDArray[np.float64]
ALL: dict[str, Any] = {"test": 0.0, "validation": 0.0}
NETWORK: dict[str, Any] = {
    "name": "ways",
    "stages": [{"convolution": {"filters": 2, "kernel_size": 1}}, "rectification"],
    "head": "voting",
    "training": {"epochs": 1},
    "check": "warn",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::gridcnn.order.guard.PermutableWarning"),
    pytest.mark.filterwarnings("ignore:.*far from all others:UserWarning"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@dataclass
class Hears(RunWatcher):
    """Keeps the verdicts of gridcnn's own checker."""

    verdicts: list[Verdict] = field(default_factory=list)

    def on_check(self, checked: Checked) -> None:
        self.verdicts.append(checked.verdicts["order"])


def walks(rows: int = 150, columns: int = 20) -> Floats:
    """Return series, whose columns are ordered."""
    return np.cumsum(np.random.default_rng(0).normal(size=(rows, columns)), axis=1)


def wines() -> Floats:
    """Return a table whose columns are in no order."""
    values: Floats = load_wine().data
    return values


def noise() -> Floats:
    """Return columns that do not depend on each other."""
    return np.random.default_rng(5).normal(size=(100, 12))


def odd() -> Floats:
    """Return a table that adapters change: a column counts its rows, some numbers are far off."""
    values = np.column_stack([np.arange(150) + 1.0, walks()])
    values[3, 5], values[77, 9] = 1e7, -1e6
    return values


def labels(values: Floats) -> NDArray[np.int64]:
    """Return two classes that follow the last column; of wines their own, of noise any."""
    if values.shape == wines().shape:
        return np.asarray(load_wine().target)
    if values.shape == noise().shape:
        return np.random.default_rng(9).integers(0, 2, len(values))
    return (values[:, -1] < np.median(values[:, -1])).astype(np.int64)


def table_file(values: Floats, name: str = "table.csv") -> str:
    frame = pd.DataFrame(values, columns=[f"c{n}" for n in range(values.shape[1])])
    frame.assign(y=labels(values)).to_csv(name, index=False)
    return str(Path(name).absolute())


def table_spec(path: str, adapter: Any = "table", **data: Any) -> dict[str, Any]:
    source = {"table": {"path": path, "label": "y"}}
    return {**NETWORK, "adapter": adapter, "data": {"source": source, **data}}


def verdict_of_run(spec: dict[str, Any], data: Any = None, *, folds: int | None = None) -> Verdict:
    hears = Hears()
    if folds is None:
        gridcnn.run(spec, data=data, watcher=hears, threads=1)
    else:
        gridcnn.cross_validate(spec, folds=folds, data=data, watcher=hears, threads=1)
    return hears.verdicts[0]


def verdict_of_fit(values: Any, y: Any, **changes: Any) -> Verdict:
    estimator = gridcnn.GridClassifier(check="warn", epochs=1, threads=1, **changes)
    found: Verdict = estimator.fit(values, y).verdicts_["order"]
    return found


def figures(verdict: Verdict) -> tuple[Any, ...]:
    """Return what a verdict rests on, to the last bit."""
    return verdict.decision, verdict.layout, verdict.neighbours, verdict.axes


@pytest.mark.parametrize(
    ("values", "decision"),
    [(walks(), "grid"), (wines(), "permutable"), (noise(), "undecided"), (odd(), "grid")],
    ids=["walks", "wines", "noise", "odd"],
)
def test_a_table_has_one_verdict(values: Floats, decision: str) -> None:
    """Every figure is the same to the last bit if all rows are trained on, else the decision."""
    y, path = labels(values), table_file(values)
    frame = pd.read_csv(path)
    np.savez("table.npz", X=values, y=y)
    np.save("table.npy", values)

    expected = gridcnn.check(values, y, threads=1)

    assert expected.decision == decision
    ways = {
        "csv": gridcnn.check(path, "y", threads=1),
        "frame": gridcnn.check(frame, "y", threads=1),
        "npz": gridcnn.check("table.npz", threads=1),
        "npy": gridcnn.check("table.npy", y, threads=1),
        "spec": gridcnn.check(table_spec(path, **ALL), threads=1),
        "run": verdict_of_run(table_spec(path, **ALL)),
        "run of arrays": verdict_of_run({**NETWORK, "data": ALL}, (values, y)),
        "fit": verdict_of_fit(values, y),
        "fit of a frame": verdict_of_fit(frame.drop(columns="y"), frame["y"]),
    }
    for name, found in ways.items():
        assert figures(found) == figures(expected), name
        if found.usefulness is not None:
            assert found.usefulness == expected.usefulness, name
    few = {
        "run": verdict_of_run(table_spec(path)),
        "folds": verdict_of_run(table_spec(path), folds=3),
        "fit": verdict_of_fit(values, y, validation_fraction=0.2),
    }
    assert {name: found.decision for name, found in few.items()} == dict.fromkeys(few, decision)
    assert figures(gridcnn.check(table_spec(path), threads=1)) == figures(few["run"])


def test_missing_numbers_are_missing_in_every_way() -> None:
    """Whatever the adapter puts in their place."""
    values = walks()
    values[::3, 4] = values[::7, 11] = np.nan
    path = table_file(values)
    expected = gridcnn.check(path, "y", threads=1)

    for missing in ("mean", "zero"):
        spec = table_spec(path, {"table": {"missing": missing}}, **ALL)
        assert figures(verdict_of_run(spec)) == figures(expected)
        assert figures(gridcnn.check(spec, threads=1)) == figures(expected)


def test_the_rows_that_are_drawn_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many some, by the seed of the spec, from the training items alone."""
    monkeypatch.setattr(sample_module, "ROWS", 60)
    values = np.vstack([walks(), noise() @ np.ones((12, 20))])
    path = table_file(values)
    spec = {**table_spec(path), "training": {"epochs": 1, "seed": 7}}

    ran, checked = verdict_of_run(spec), gridcnn.check(spec, threads=1)

    assert figures(ran) == figures(checked)
    assert ran.rows == checked.rows < len(values)
    assert "looked at 60 of" in " ".join(ran.evidence)
    other = gridcnn.check(spec, seed=8, threads=1)
    assert figures(other) != figures(checked)
    changed = {**spec, "training": {"epochs": 1, "seed": 8}}
    assert figures(verdict_of_run(changed)) == figures(other)
    same = {**table_spec(path, **ALL), "training": {"epochs": 1, "seed": 7}}
    assert figures(verdict_of_run(same)) == figures(gridcnn.check(path, "y", seed=7, threads=1))


def test_stacks_of_grids_have_one_verdict() -> None:
    """With channels last, and numbers far from all others."""
    random = np.random.default_rng(0)
    stack = np.cumsum(np.cumsum(random.normal(size=(60, 7, 8, 3)), axis=1), axis=2)
    stack[5, 2, 3, 1] = 1e6
    y = (stack[:, 3, 4, 0] > 0).astype(np.int64)

    expected = gridcnn.check(stack, y, threads=1)

    assert expected.decision == "grid"
    assert [axis.size for axis in expected.axes] == [7, 8]
    assert figures(verdict_of_fit(stack, y)) == figures(expected)
    spec = {**NETWORK, "data": ALL}
    assert figures(verdict_of_run(spec, (stack, y))) == figures(expected)


def test_a_layout_in_the_spec_is_judged_as_it_stands() -> None:
    """By axes, for the check and the run alike."""
    random = np.random.default_rng(3)
    pictures = np.cumsum(np.cumsum(random.normal(size=(80, 6, 7)), axis=1), axis=2)
    path = table_file(pictures.reshape(80, -1))
    spec = table_spec(path, {"table": {"size": [6, 7]}})

    ran, checked = verdict_of_run(spec), gridcnn.check(spec, threads=1)

    assert [axis.size for axis in ran.axes] == [6, 7]
    assert figures(ran) == figures(checked)


def test_rows_that_are_scaled_each_by_itself_are_judged_scaled() -> None:
    """By what they depend on each other then, in the check and the run alike."""
    path = table_file(walks())
    spec = table_spec(path, {"table": {"scaling": "row"}})

    ran, checked = verdict_of_run(spec), gridcnn.check(spec, threads=1)

    assert figures(ran) == figures(checked)
    assert figures(ran) != figures(gridcnn.check(table_spec(path), threads=1))


def test_a_folder_of_arrays_has_one_verdict() -> None:
    """Named alone, in a spec, and in a run; unreadable and equal files are no difference."""
    rows = walks()
    for number, (row, label) in enumerate(zip(rows, labels(rows), strict=True)):
        folder = Path("arrays", f"class{label}")
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{number}.npy", row)
        if number % 5 == 0:
            np.save(folder / f"{number}-again.npy", row)
    Path("arrays/class0/bad.npy").write_bytes(b"no array")
    data = {"source": "arrays", "duplicates": "drop", "bad_items": "skip"}
    spec = {**NETWORK, "data": data}

    ran, checked, named = (
        verdict_of_run(spec),
        gridcnn.check(spec, threads=1),
        gridcnn.check("arrays", threads=1),
    )

    assert ran.decision == "grid"
    assert figures(ran) == figures(checked) == figures(named)


def test_texts_have_one_verdict() -> None:
    """As a lone column of a table, and as the items of a spec."""
    random = np.random.default_rng(0)
    steps = random.integers(-2, 3, (200, 30)).cumsum(axis=1) % 20
    texts = ["".join(chr(ord("a") + step) for step in row) for row in steps.tolist()]
    frame = pd.DataFrame({"text": texts, "y": random.integers(0, 2, 200)})
    frame.to_csv("texts.csv", index=False)
    source = {"table": {"path": "texts.csv", "input": "text", "label": "y"}}

    found = gridcnn.check("texts.csv", "y", threads=1)
    of_spec = gridcnn.check({"data": {"source": source, **ALL}}, threads=1)

    assert found.decision == "grid"
    assert figures(of_spec) == figures(found)
    assert of_spec.usefulness == found.usefulness
    part = gridcnn.check({"data": {"source": source}}, threads=1)
    assert part.decision == "grid"
    assert part.rows < 200


def test_pictures_have_one_verdict() -> None:
    """As a folder, and as the data of a spec; a run takes their order for granted."""
    random = np.random.default_rng(0)
    down, right = np.mgrid[:12, :12]
    for number in range(60):
        middle = random.uniform(3, 9, 2)
        far = np.square(down - middle[0]) + np.square(right - middle[1])
        folder = Path("pictures", f"class{int(middle[0] > 6)}")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(255 * np.exp(-far / 9))).save(folder / f"{number}.png")
    spec = {**NETWORK, "data": {"source": "pictures"}}
    hears = Hears()

    named, of_spec = gridcnn.check("pictures", threads=1), gridcnn.check(spec, threads=1)
    gridcnn.run(spec, watcher=hears, threads=1)

    assert named.decision == "grid"
    assert figures(named) == figures(of_spec)
    assert not hears.verdicts


def test_few_sounds_are_too_few_in_every_way() -> None:
    """The items that would be trained on are counted."""
    random = np.random.default_rng(0)
    for number in range(16):
        folder = Path("clips", f"class{number % 2}")
        folder.mkdir(parents=True, exist_ok=True)
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8_000)
            file.writeframes(random.integers(-9_000, 9_000, 4_000).astype("<i2").tobytes())

    for data in ("clips", {**NETWORK, "data": {"source": "clips"}}):
        with pytest.raises(DataError, match="rows are too few to compare columns by"):
            gridcnn.check(data, threads=1)


def test_too_little_for_a_verdict_is_an_error_or_undecided() -> None:
    """An error if one asked for it; a run that was not asked goes on."""
    values = walks(15)
    path = table_file(values)

    for data in (table_spec(path), path):
        with pytest.raises(DataError, match="rows are too few to compare columns by"):
            gridcnn.check(data, "y" if data is path else None)
    assert verdict_of_run(table_spec(path)).decision == "undecided"
    assert verdict_of_fit(values, labels(values)).decision == "undecided"
