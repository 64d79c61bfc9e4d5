"""Files that are sealed, and wrong inside: each that is read back is used as it is, or refused.

Every file is valid, is changed in a few places, and gets a right checksum again. What comes out is
one of our errors, in short lines that steer no terminal, or something that works.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gridcnn
from gridcnn.caches import Entries, key_of
from gridcnn.contracts.adapter import Adapted
from gridcnn.engines.base import make_engine
from gridcnn.engines.native import recipes
from gridcnn.errors import GridcnnError, ModelFileError, RunFolderError, UserError
from gridcnn.grid import Grids, GridShape, OneHot
from gridcnn.model import KIND, Model, load
from gridcnn.network import Network
from gridcnn.runs import grids_cache
from gridcnn.runs.adapting import _validate
from gridcnn.runs.folder import read_check
from gridcnn.runs.grids_cache import GridsCache
from gridcnn.spec.load import load as load_spec
from gridcnn.tensors import read_tensors, write_tensors
from gridcnn.training import checkpoint
from gridcnn.training.checkpoint import load_checkpoint, save_checkpoint
from gridcnn.training.loop import Labelled, train

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=4_000, deadline=None, suppress_health_check=list(HealthCheck))


@contextlib.contextmanager
def told(*kinds: type[GridcnnError], other: str = "\0") -> Iterator[None]:
    """Let only such errors pass, in short lines that can be printed, and do not say `other`."""
    try:
        yield
    except kinds as error:
        told = str(error)
    else:
        return
    assert other not in told
    for line in told.split("\n"):
        assert line.isprintable()
        assert len(line) < 1_000


# Models -------------------------------------------------------------------------------------------

ADAPTERS: dict[str, tuple[dict[str, Any], Any]] = {
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
}


def spec_of(adapter: Any) -> Any:
    window = ["all", 3] if "text" in adapter else 2
    return {
        "name": "sealed",
        "data": {"source": "photos", "group": {"pattern": "([a-z])_"}},
        "adapter": adapter,
        "stages": [{"convolution": {"filters": 2, "kernel_size": window}}, "rectification"],
        "head": {"voting": {"hidden": [3]}},
        "training": {"epochs": 3, "optimizer": "adam", "augmentation": [{"noise": 0.1}]},
    }


@pytest.fixture(scope="module", params=sorted(ADAPTERS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the file of a model, what is in it, and things that it answers."""
    adapter, things = ADAPTERS[request.param]
    spec = load_spec(spec_of(adapter))
    assert spec.adapter is not None
    network = Network(spec, spec.adapter.shape(), classes=3)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    Model(spec, ["x", "o", 7], network.starting_parameters(), engine="reference").save(path)
    return path.with_name("changed"), *read_tensors(path, KIND), things


def look_at_model(model: Any, changes: ModuleType, data: st.DataObject) -> None:
    path, tensors, content, things = model
    if data.draw(st.booleans()):
        content = data.draw(changes.changed_data(content))
    else:
        tensors = data.draw(changes.changed_arrays(tensors))
    write_tensors(path, KIND, tensors, content)

    with told(ModelFileError):
        loaded = load(path, engine="reference")
        assert np.isfinite(loaded.parameters).all()
        if loaded.shape.cells < 1_000_000:
            with told(UserError):
                votes = loaded.votes(things)
                assert np.isfinite(votes).all()
                assert len(loaded.answers(votes)) == 2


@FEW
@given(st.data())
def test_a_model_that_is_changed_inside(
    model: Any, mutations: ModuleType, data: st.DataObject
) -> None:
    """Its spec, its classes, its layout, its weights."""
    look_at_model(model, mutations, data)


@pytest.mark.long
@MANY
@given(st.data())
def test_thousands_of_models(model: Any, mutations: ModuleType, data: st.DataObject) -> None:
    """The same."""
    look_at_model(model, mutations, data)


# Checkpoints --------------------------------------------------------------------------------------


def labelled() -> Labelled:
    random = np.random.default_rng(0)
    return Labelled(
        random.normal(0, 1, (12, 1, 5, 5)).astype(np.float32), np.arange(12, dtype=np.int64) % 2
    )


@pytest.fixture(scope="module", params=["adam", "sgd", "nudge"])
def stopped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the file of a checkpoint after two of three epochs, what is in it, and its engine."""
    method = {"method": "nudge"} if request.param == "nudge" else {"optimizer": request.param}
    spec = load_spec(
        {
            "stages": [{"convolution": {"filters": 1}}, {"pooling": {"window": "all"}}],
            "head": "voting",
            "training": {"epochs": 2, "batch_size": 6, **method},
        }
    )
    engine = make_engine(Network(spec, GridShape(1, 5, 5), classes=2), "reference")
    state = train(engine, labelled(), labelled(), spec.training)
    path = tmp_path_factory.mktemp("stopped") / "checkpoint.safetensors"
    save_checkpoint(path, state, "mark", engine=engine, classes=["a", "b"])
    return path, *read_tensors(path, checkpoint.KIND), engine


def look_at_checkpoint(stopped: Any, changes: ModuleType, data: st.DataObject) -> None:
    path, tensors, content, engine = stopped
    if data.draw(st.booleans()):
        content = data.draw(changes.changed_data(content, odd=("mark", "reference")))
    else:
        tensors = data.draw(changes.changed_arrays(tensors))
    write_tensors(path, checkpoint.KIND, tensors, content)
    longer = engine.network.spec.training.model_copy(update={"epochs": 3})

    with told(ModelFileError):
        state = load_checkpoint(path, "mark", engine=engine)
        with told(UserError):
            ended = train(engine, labelled(), labelled(), longer, state=state)
            assert np.isfinite(ended.best).all()
            assert len(ended.history) >= 3


@FEW
@given(st.data())
def test_a_checkpoint_that_is_changed_inside(
    stopped: Any, mutations: ModuleType, data: st.DataObject
) -> None:
    """Its vectors, its history, its counts: training goes on, or it is said to be damaged."""
    look_at_checkpoint(stopped, mutations, data)


@pytest.mark.long
@MANY
@given(st.data())
def test_thousands_of_checkpoints(stopped: Any, mutations: ModuleType, data: st.DataObject) -> None:
    """The same."""
    look_at_checkpoint(stopped, mutations, data)


# Folders ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the folder of a cross-validation all of whose folds have ended, and its data."""
    folder = tmp_path_factory.mktemp("validated")
    random = np.random.default_rng(0)
    grids = random.normal(0, 1, (24, 4, 4))
    spec = {"stages": ["pooling"], "head": "voting", "training": {"epochs": 1}}
    result = gridcnn.cross_validate(
        spec,
        folds=2,
        data=(grids, ["a", "b\r"] * 12),
        out=folder / "whole",
        changes={"check": "warn", "data.validation": 0.2},
        engine="reference",
    )
    assert result.metrics["out_of_fold"]["items"] == 24
    (folder / "whole/metrics.json").unlink()
    return folder / "whole", (grids, ["a", "b\r"] * 12)


def look_at_folder(validated: Any, changes: ModuleType, data: st.DataObject, place: Path) -> None:
    whole, items = validated
    folder = place / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    name = data.draw(
        st.sampled_from(
            ("folds.json", "fold-1/metrics.json", "fold-2/metrics.json", "fold-2/predictions.csv")
        )
    )
    file = folder / name
    text = file.read_bytes().decode("utf-8")
    if name.endswith(".csv"):
        rows = list(csv.reader(io.StringIO(text, newline="")))
        written = io.StringIO()
        for row in data.draw(changes.changed_data(rows)):
            csv.writer(written).writerow(row if isinstance(row, list) else [row])
        file.write_bytes(written.getvalue().encode("utf-8", "surrogatepass"))
    else:
        odd = (float("nan"), float("inf"), -1e-9)
        changed = data.draw(changes.changed_data(json.loads(text), odd=odd))
        file.write_text(json.dumps(changed), "utf-8")

    with told(RunFolderError, other="cannot be written"):
        result = gridcnn.cross_validate(resume=folder, data=items, engine="reference")
        assert np.isfinite(result.metrics["out_of_fold"]["accuracy"])
        json.dumps(result.metrics, allow_nan=False)


@FEW
@given(st.data())
def test_a_folder_of_folds_that_is_changed_inside(
    validated: Any, mutations: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """The list of folds, figures and predictions."""
    look_at_folder(validated, mutations, data, tmp_path_factory.getbasetemp())


@pytest.mark.long
@settings(MANY, max_examples=1_000)
@given(st.data())
def test_thousands_of_folders(
    validated: Any, mutations: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """The same."""
    look_at_folder(validated, mutations, data, tmp_path_factory.getbasetemp())


CHECK = {
    "setting": "warn",
    "decision": "grid",
    "overridden": False,
    "verdicts": [{"checker": "order", "decision": "grid", "evidence": ["so"], "advice": []}],
}


@FEW
@given(st.data())
def test_what_a_check_has_found_is_known_or_asked_again(
    mutations: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Whatever `check.json` holds."""
    folder = tmp_path_factory.getbasetemp()
    changed = data.draw(mutations.changed_data(CHECK, odd=(float("nan"),)))
    (folder / "check.json").write_text(json.dumps(changed), "utf-8")

    found = read_check(folder)

    assert found is None or found.decision in ("grid", "permutable", "undecided", None)


# Caches -------------------------------------------------------------------------------------------


def entry(cache: GridsCache, values: Any, shape: GridShape) -> str:
    key = key_of("entry")
    adapted = Adapted(Grids(values, shape), np.arange(len(values)), ())
    cache.put(key, [(len(values), adapted)], things=len(values), size=values.nbytes)
    return key


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_kept_grids_are_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    """An entry that is whole and holds anything else counts as none."""
    cache, shape = GridsCache(tmp_path / "grids"), GridShape(1, 2, 2)
    values = np.zeros((3, 1, 2, 2), np.float32)
    key = entry(cache, values, shape)
    assert cache.get(key, things=3, shape=shape) is not None

    values[1, 0, 1, 1] = value
    entry(cache, values, shape)
    assert cache.get(key, things=3, shape=shape) is None


@pytest.mark.parametrize("index", [-2, 4, 2**31 - 1])
def test_kept_indices_are_rows(tmp_path: Path, index: int) -> None:
    """Nothing is ever looked up beside the grid."""
    cache, shape = GridsCache(tmp_path / "grids"), GridShape(1, 4, 3)
    values = OneHot(np.zeros((2, 3), np.int32), 4)
    key = entry(cache, values, shape)
    assert cache.get(key, things=2, shape=shape) is not None

    values.indices[1, 1] = index
    entry(cache, values, shape)
    assert cache.get(key, things=2, shape=shape) is None


@FEW
@given(
    st.integers(0, grids_cache._HEADER.size - 65),
    st.integers(0, 255),
    st.integers(0, 4096 + 48),
)
def test_a_changed_head_of_kept_grids_counts_as_none(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: int
) -> None:
    """Sealed again: the counts in it are those that were asked for, or it is none."""
    cache = GridsCache(tmp_path_factory.getbasetemp() / "changed-grids")
    shape = GridShape(1, 2, 2)
    key = entry(cache, np.ones((3, 1, 2, 2), np.float32), shape)
    assert cache.folder is not None
    file = cache.folder / f"{key}.grids"
    content = bytearray(file.read_bytes())
    content[place] = value
    sealed = grids_cache._HEADER.size
    mask = bytes(content[-1:])
    content[sealed : sealed + 32] = hashlib.sha256(bytes(content[:sealed]) + mask).digest()
    file.write_bytes(content[: len(content) - cut % 3])

    found = cache.get(key, things=3, shape=shape)

    assert found is None or np.asarray(found.grids).shape[1:] == shape.sizes


FITTED = [
    ({"text": {"lower": True, "length": "auto"}}, {"alphabet": ["a", "b"], "length": 7}),
    ({"audio": {"sample_rate": 8000}}, {"duration": 1.5}),
    (
        {"array": {"channel_order": "last"}},
        {"size": (2, 2), "channels": 1, "low": 0.0, "high": 1.0},
    ),
]


@pytest.mark.parametrize(("given_", "learned"), FITTED)
@FEW
@given(data=st.data())
def test_a_fitted_adapter_is_the_one_that_was_asked_for(
    mutations: ModuleType, given_: Any, learned: Any, data: Any
) -> None:
    """What an entry says beside what is learned, is as it was given."""
    adapter = load_spec({"adapter": given_}).adapter
    assert adapter is not None
    kind = type(adapter)
    whole = kind.model_validate({**adapter.model_dump(), **learned})
    content = json.loads(whole.model_dump_json())
    assert _validate(adapter, json.dumps(content).encode()) == whole

    changed = data.draw(mutations.changed_data(content, odd=(float("nan"),)))
    found = _validate(adapter, json.dumps(changed).encode())

    if found is not None:
        found.shape()
        for name in set(kind.setting_names()) - set(learned):
            asked = getattr(adapter, name)
            assert asked is None or getattr(found, name) == asked


@FEW
@given(st.data())
def test_a_changed_recipe_counts_as_none(
    mutations: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Or is a program whose memory holds its parts."""
    program = mutations.program()
    kept = Entries(tmp_path_factory.getbasetemp() / "kept", kind="object", limit=10**6)
    key = key_of("recipe")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "object_cache", lambda: kept)
        recipes.keep(key, program)
        whole = recipes.find(key)
        assert whole is not None
        assert whole.workspace.parts == program.workspace.parts
        content = kept.get(key)
        assert content is not None

        kept.put(key, json.dumps(data.draw(mutations.changed_data(json.loads(content)))).encode())
        found = recipes.find(key)

    if found is not None:
        for each in (found.workspace, found.packed, found.sums):
            assert all(0 <= start <= start + count <= each.size for _, start, count in each.parts)
