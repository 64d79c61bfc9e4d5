from __future__ import annotations

import copy
import io
import json
import os
import pickle
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import save_file
from scipy.sparse import csr_matrix

import gridcnn
from gridcnn.contracts.adapter import Adapter
from gridcnn.datasets.labels import labels_array
from gridcnn.engines.base import make_engine
from gridcnn.errors import (
    DataError,
    EngineError,
    ModelFileError,
    RunFolderError,
    SpecError,
    UnknownNameError,
    UserError,
)
from gridcnn.model import FILE_NAME, KIND, Model, answer_logits, load
from gridcnn.network import Network
from gridcnn.spec.load import load as load_spec
from gridcnn.stages.voting import Voting
from gridcnn.tensors import read_tensors, write_tensors
from tests.networks import INSTALLED

CLASSES = ["x", "o", "neither"]
SIZES = {"size": [6, 7], "channels": 1, "low": -1.0, "high": 1.0}


def made(adapter: Any, classes: Sequence[str | int] = CLASSES) -> Model:
    spec = load_spec(
        {
            "adapter": adapter,
            "stages": [{"convolution": {"filters": 3}}, "rectification", "pooling"],
            "head": {"voting": {"hidden": [5], "dropout": 0.5}},
        }
    )
    assert isinstance(spec.adapter, Adapter)
    network = Network(spec, spec.adapter.shape(), classes=len(classes))
    return Model(spec, classes, network.starting_parameters())


@pytest.fixture
def pictures() -> Model:
    """Return a model of pictures of 8 x 8 cells."""
    return made({"image": {"size": [8, 8]}})


@pytest.fixture
def arrays() -> Model:
    """Return a model of arrays of 6 x 7 cells."""
    return made({"array": SIZES})


@pytest.fixture
def stack() -> Any:
    """Return 300 arrays for that model: more than one batch."""
    return np.random.default_rng(0).uniform(-1, 1, (300, 6, 7)).astype(np.float32)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return five files of pictures."""
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, (9, 11), np.uint8)).save(path)
    return paths


class Lazy(Sequence[Any]):
    """A sequence that gives its items one by one and cannot be sliced."""

    def __init__(self, things: Sequence[Any]) -> None:
        self.things = things
        self.given = 0

    def __len__(self) -> int:
        return len(self.things)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        assert not isinstance(index, slice)
        self.given += 1
        return self.things[index]


def test_votes_are_parts_of_one(arrays: Model, stack: Any) -> None:
    votes = arrays.votes(stack)

    assert votes.shape == (300, 3)
    assert votes.dtype == np.float32
    assert (votes >= 0).all()
    np.testing.assert_allclose(votes.sum(axis=1), 1, rtol=1e-6)


def test_an_items_votes_do_not_depend_on_the_others(arrays: Model, stack: Any) -> None:
    """Alone, in a batch of any size, and in any order, the votes are the same bits."""
    votes = arrays.votes(stack)

    np.testing.assert_array_equal(np.concatenate([arrays.votes([one]) for one in stack]), votes)
    np.testing.assert_array_equal(arrays.votes(stack[::-1])[::-1], votes)
    np.testing.assert_array_equal(arrays.votes(stack[17:290]), votes[17:290])


@pytest.mark.parametrize(
    "form", [list, tuple, iter, deque, Lazy, lambda stack: (one for one in stack)]
)
def test_things_come_in_any_collection(arrays: Model, stack: Any, form: Any) -> None:
    """A list, a generator, a queue, or a sequence that reads its items when asked for them."""
    np.testing.assert_array_equal(arrays.votes(form(stack)), arrays.votes(stack))


def test_a_lazy_sequence_is_asked_once_for_each_thing(arrays: Model, stack: Any) -> None:
    lazy = Lazy(stack)

    arrays.votes(lazy)
    assert lazy.given == 300


def test_stacked_arrays_may_lie_in_memory_in_any_form(arrays: Model, stack: Any) -> None:
    votes = arrays.votes(stack)
    read_only = stack.copy()
    read_only.setflags(write=False)

    for odd in (np.asfortranarray(stack), stack.astype(">f4"), stack[:, None], read_only):
        np.testing.assert_array_equal(arrays.votes(odd), votes)


def test_paths_pictures_bytes_and_arrays_of_one_picture_vote_alike(
    pictures: Model, files: list[Path]
) -> None:
    """One thing or many, in every form, get the same votes."""
    votes = pictures.votes(files)

    assert votes.shape == (5, 3)
    for many in (
        [str(path) for path in files],
        [path.read_bytes() for path in files],
        [Image.open(path) for path in files],
        [np.asarray(Image.open(path)) for path in files],
        np.stack([np.asarray(Image.open(path)) for path in files]),
        pd.Series(files, index=range(10, 15)),
        np.array(files, object),
    ):
        np.testing.assert_array_equal(pictures.votes(many), votes)
    first = files[0]
    for one in (
        first,
        str(first),
        first.read_bytes(),
        io.BytesIO(first.read_bytes()),
        Image.open(first),
        np.asarray(Image.open(first)),
        np.array(str(first)),
    ):
        np.testing.assert_array_equal(pictures.votes(one), votes[:1])


def test_no_things_get_no_votes(pictures: Model, arrays: Model) -> None:
    for model in (pictures, arrays):
        assert model.votes([]).shape == (0, 3)
        assert model.predict([]).shape == (0,)
        assert model.maps([]).shape[0] == 0
    assert arrays.votes(np.zeros((0, 6, 7))).shape == (0, 3)


@pytest.mark.parametrize("things", [3, None, {"a.png"}, {"a.png": 1}])
def test_what_holds_no_things_in_order_is_refused(pictures: Model, things: Any) -> None:
    kind = type(things).__name__

    with pytest.raises(DataError, match=f"things to classify must be a list; got a {kind}"):
        pictures.votes(things)


def test_a_sparse_matrix_is_to_be_an_array(arrays: Model) -> None:
    with pytest.raises(DataError, match=r"a sparse csr_matrix; give things\.toarray\(\)"):
        arrays.votes(csr_matrix(np.eye(3)))


def test_an_array_is_many_things_where_that_is_said(pictures: Model) -> None:
    """Three rows of colours may be one picture, or three."""
    stack = np.zeros((3, 8, 3), np.uint8)

    assert pictures.votes(stack).shape == (1, 3)
    assert pictures.votes_of_many(stack).shape == (3, 3)


def test_every_bad_thing_is_named(pictures: Model, files: list[Path], tmp_path: Path) -> None:
    """All of them come together, by path or by their place among all, over several batches."""
    text = tmp_path / "text.png"
    text.write_text("no picture")
    things = [files[0], tmp_path / "gone.png", text, *[files[0]] * 297, b"no picture", 7]

    with pytest.raises(DataError) as caught:
        pictures.votes(things)
    places = [problem.source for problem in caught.value.problems]
    assert places == [str(tmp_path / "gone.png"), str(text), "item 300", "item 301"]


def test_bad_things_are_called_what_the_caller_calls_them(arrays: Model, stack: Any) -> None:
    spoiled = stack.copy()
    spoiled[299] = np.nan
    names = [f"row {number}" for number in range(1, 301)]

    with pytest.raises(DataError) as caught:
        arrays.votes(spoiled, names=names)
    assert [problem.source for problem in caught.value.problems] == ["row 300"]


def test_the_answer_is_the_class_with_the_most_votes(arrays: Model, stack: Any) -> None:
    answers = arrays.predict(stack)

    assert answers.tolist() == [CLASSES[best] for best in arrays.votes(stack).argmax(axis=1)]
    assert len(set(answers.tolist())) > 1


def test_among_equal_votes_the_first_class_wins(arrays: Model) -> None:
    votes = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])

    assert arrays.answers(votes).tolist() == ["x", "o"]


@pytest.mark.parametrize("ask", ["votes", "predict", "predict_frame", "votes_of_many"])
def test_what_looks_wrong_about_things_and_votes_is_a_warning(ask: str) -> None:
    """As on the command line, once, and where it was asked for."""
    model = made({"array": {**SIZES, "low": 0.0, "high": 1.0, "limit": 2.0}})

    with pytest.warns(UserWarning, match="items") as caught:
        getattr(model, ask)(np.full((1100, 6, 7), 9.0))

    first, second = (str(each.message) for each in caught)
    assert first.startswith("1,100 items with numbers far from all others, which lie from 0 to 1:")
    assert second.startswith("the votes are the same for all 1,100 items: if these differ,")
    assert {each.filename for each in caught} == {__file__}
    getattr(model, ask)(np.ones((4, 6, 7)))


@pytest.mark.parametrize(
    ("classes", "kind"), [(["a", "b"], "U"), ([1, 2], "i"), (["a", 2], "O"), ([True, False], "b")]
)
def test_classes_keep_their_kind(classes: list[Any], kind: str) -> None:
    labels = labels_array(classes)

    assert labels.dtype.kind == kind
    assert labels.tolist() == classes


def test_maps_come_out_after_any_stage(arrays: Model, stack: Any) -> None:
    """0 is the grid itself, stages count from 1, and the last is the head."""
    sizes = [arrays.maps(stack[:2], after=after).shape for after in (0, 1, 2, 3, 4, None)]

    assert sizes == [
        (2, 1, 6, 7),
        (2, 3, 6, 7),
        (2, 3, 6, 7),
        (2, 3, 3, 4),
        (2, 3, 1, 1),
        (2, 3, 1, 1),
    ]
    np.testing.assert_array_equal(arrays.maps(stack, after=0)[:, 0], stack)
    rectified = arrays.maps(stack, after=1).clip(min=0)
    np.testing.assert_array_equal(arrays.maps(stack, after=2), rectified)


def test_a_stage_that_is_not_there_is_answered_with_those_that_are(
    arrays: Model, stack: Any
) -> None:
    with pytest.raises(
        UserError, match="no stage 5; 0 is the grid itself, then: 1 convolution, 2 r"
    ):
        arrays.maps(stack, after=5)


def test_a_model_needs_an_adapter_a_head_and_parameters_that_fit(arrays: Model) -> None:
    parameters = arrays.parameters

    with pytest.raises(SpecError, match="a model needs a spec with an adapter"):
        Model(arrays.spec.model_copy(update={"adapter": None}), CLASSES, parameters)
    with pytest.raises(SpecError, match="a model needs a spec with a head"):
        Model(arrays.spec.model_copy(update={"head": None}), CLASSES, parameters)
    with pytest.raises(ValueError, match=r"has 233 parameters; got an array of shape \(232,\)"):
        Model(arrays.spec, CLASSES, parameters[1:])


@pytest.mark.parametrize("classes", [CLASSES, [3, 1, 2], ["1", 2, "ä\n€"]])
def test_a_saved_model_votes_the_same_bits(
    classes: list[str | int], stack: Any, tmp_path: Path
) -> None:
    model = made({"array": SIZES}, classes)
    path = model.save(tmp_path / "model")

    loaded = load(path)
    assert loaded.classes == tuple(classes)
    assert loaded.spec == model.spec
    np.testing.assert_array_equal(loaded.parameters, model.parameters)
    np.testing.assert_array_equal(loaded.votes(stack), model.votes(stack))
    assert loaded.predict(stack).tolist() == model.predict(stack).tolist()


def test_a_model_is_loaded_by_its_file_or_its_folder(arrays: Model, tmp_path: Path) -> None:
    arrays.save(tmp_path / FILE_NAME)

    for place in (tmp_path, str(tmp_path), tmp_path / FILE_NAME):
        np.testing.assert_array_equal(load(place).parameters, arrays.parameters)


def test_saving_replaces_a_model_and_nothing_else(arrays: Model, tmp_path: Path) -> None:
    """A file of another kind, or of somebody else, is replaced only if that is wanted."""
    path = arrays.save(tmp_path / "model")
    before = path.read_bytes()
    assert arrays.save(path).read_bytes() == before
    write_tensors(tmp_path / "checkpoint", "checkpoint", {}, {})
    (tmp_path / "thesis").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    for name in ("checkpoint", "thesis", "link"):
        place = tmp_path / name
        with pytest.raises(RunFolderError, match=f"{name} exists already, and is not a gridc"):
            arrays.save(place)
        assert arrays.save(place, overwrite=True) == place
        np.testing.assert_array_equal(load(place).parameters, arrays.parameters)


def test_an_unknown_engine_is_no_fault_of_the_file(arrays: Model, tmp_path: Path) -> None:
    path = arrays.save(tmp_path / "model")

    assert load(path, engine="reference").votes([]).shape == (0, 3)
    with pytest.raises(UnknownNameError, match="'refrence' is not an engine; did you mean"):
        load(path, engine="refrence")


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r"holds no model\.safetensors; name a model file or a run folder"
    ):
        load(tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="none does not exist; a gridcnn model file was expec"):
        load(tmp_path / "none")


def test_damage_anywhere_is_noticed(arrays: Model, tmp_path: Path) -> None:
    """Any byte that is changed and any end that is cut off is told as damage."""
    path = arrays.save(tmp_path / "model")
    content = path.read_bytes()

    for place in [*range(0, len(content), 41), len(content) - 1]:
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError):
            load(path)
    for length in (0, 1, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match="damaged"):
            load(path)


def test_foreign_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in (b"\x80\x04K\x01.", b"PK\x03\x04" + bytes(60), b"text\n"):
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match="not a gridcnn model file"):
            load(path)
    save_file({"weight": np.zeros(3, np.float32)}, path)
    with pytest.raises(ModelFileError, match="a gridcnn model file was expected"):
        load(path)
    write_tensors(path, "checkpoint", {}, {})
    with pytest.raises(ModelFileError, match=r"checkpoint.*; a gridcnn model file was expected"):
        load(path)


def changed(path: Path, **changes: Any) -> None:
    """Write a model file again, sealed, with other content; None takes a part away."""
    tensors, content = read_tensors(path, KIND)
    content = {name: value for name, value in {**content, **changes}.items() if value is not None}
    write_tensors(path, KIND, tensors, content)


@pytest.mark.parametrize("layout", [2, 99, "new"])
def test_a_file_of_a_newer_gridcnn_is_told(arrays: Model, tmp_path: Path, layout: Any) -> None:
    path = arrays.save(tmp_path / "model")
    changed(path, format=layout, version="9.1")

    told = rf"written by gridcnn 9\.1 in layout '?{layout}'?; .* install a newer one"
    with pytest.raises(ModelFileError, match=told):
        load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classes": ["x", "o"]},
            r"4\.voting\.votes\.weights must be float32 \(2, 5\); got float32",
        ),
        ({"classes": ["x", "o", "x"]}, "its classes must be different texts or whole numbers"),
        ({"classes": ["x", "o", 1.5]}, "its classes must be different texts or whole numbers"),
        ({"classes": ["1", 1, "o"]}, "its classes must be different texts or whole numbers"),
        ({"classes": ["x", "o", ["y"]]}, "its classes must be different texts or whole numbers"),
        ({"classes": "xoy"}, "its classes are not a list"),
        ({"classes": []}, "its classes are not a list"),
        ({"classes": None}, "it has no 'classes'"),
        ({"spec": None}, "it has no 'spec'"),
        ({"spec": {"stages": "unknown"}}, "stages"),
        ({"spec": {"head": "voting"}}, "its spec has no adapter, or no head"),
        ({"spec": {"adapter": {"array": SIZES}}}, "its spec has no adapter, or no head"),
        ({"spec": {"adapter": "array", "head": "voting"}}, "has not learned the shape"),
        ({"spec": 7}, "a spec is a mapping"),
    ],
)
def test_content_that_does_not_fit_is_told(
    arrays: Model, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = arrays.save(tmp_path / "model")
    changed(path, **changes)

    with pytest.raises(ModelFileError, match=message):
        load(path)


def test_missing_and_foreign_tensors_are_told(arrays: Model, tmp_path: Path) -> None:
    path = arrays.save(tmp_path / "model")
    tensors, content = read_tensors(path, KIND)

    lacking = {name: each for name, each in tensors.items() if name != "1.convolution.bias"}
    write_tensors(path, KIND, lacking, content)
    with pytest.raises(ModelFileError, match=r"do not fit the network: 1\.convolution\.bias"):
        load(path)
    write_tensors(path, KIND, {**tensors, "more": tensors["1.convolution.bias"]}, content)
    with pytest.raises(ModelFileError, match="do not fit the network: more"):
        load(path)


def test_a_model_file_holds_data_only(arrays: Model, tmp_path: Path) -> None:
    """It is a safetensors file: a JSON header, and then numbers, and nothing else."""
    path = arrays.save(tmp_path / "model")
    written = path.read_bytes()

    length = int.from_bytes(written[:8], "little")
    header = json.loads(written[8 : 8 + length])
    assert all(isinstance(text, str) for text in header.pop("__metadata__").values())
    assert {tensor["dtype"] for tensor in header.values()} == {"F32"}
    assert len(written) == 8 + length + arrays.parameters.nbytes
    assert set(read_tensors(path, KIND)[1]) == {"format", "version", "spec", "classes"}


def test_a_spec_in_a_file_cannot_name_code(arrays: Model, tmp_path: Path) -> None:
    """What is no registered name is refused, whatever it looks like."""
    path = arrays.save(tmp_path / "model")
    witness = tmp_path / "witness"
    call = f"!!python/object/apply:pathlib.Path.touch [{witness}]"
    for stage in (call, "os:system", {"pathlib:Path.touch": {"self": str(witness)}}):
        changed(path, spec={**arrays.spec.model_dump(mode="json"), "stages": [stage]})

        with pytest.raises(ModelFileError, match=re.escape(str(path))):
            load(path)
    assert not witness.exists()


# Engines and threads ----------------------------------------------------------------------------


def test_a_model_keeps_its_own_vector_which_nobody_changes(arrays: Model, stack: Any) -> None:
    """What it was made from may go on changing; its own numbers cannot be written to."""
    given = arrays.parameters.copy()
    model = Model(arrays.spec, CLASSES, given)
    votes = model.votes(stack)

    given[:] = 0
    np.testing.assert_array_equal(model.votes(stack), votes)
    with pytest.raises(ValueError, match="read-only"):
        model.parameters[0] = 1
    assert model.parameters.base is None


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copied_model_votes_the_same_and_is_as_fixed(
    arrays: Model, stack: Any, copied: Any
) -> None:
    """Also after a pickle, which knows nothing of arrays that cannot be changed."""
    other = copied(arrays)

    np.testing.assert_array_equal(other.votes(stack), arrays.votes(stack))
    assert not other.parameters.flags.writeable
    assert other.parameters.base is None


@pytest.mark.parametrize("engine", INSTALLED)
def test_votes_do_not_depend_on_the_threads(
    arrays: Model, stack: Any, tmp_path: Path, engine: str
) -> None:
    path = arrays.save(tmp_path / "model")

    votes = [load(path, engine=engine, threads=count).votes(stack) for count in (1, 2, 5)]
    np.testing.assert_array_equal(votes[0], votes[1])
    np.testing.assert_array_equal(votes[0], votes[2])


def test_engines_agree_within_float32(arrays: Model, stack: Any, tmp_path: Path) -> None:
    path = arrays.save(tmp_path / "model")

    votes = [load(path, engine=engine).votes(stack) for engine in INSTALLED]
    np.testing.assert_allclose(votes[0], votes[1], atol=1e-6)


def test_threads_that_make_no_sense_are_told(arrays: Model, tmp_path: Path) -> None:
    path = arrays.save(tmp_path / "model")

    with pytest.raises(EngineError, match="threads must be a whole number of at least 1; got 0"):
        load(path, threads=0)


def test_an_engine_that_is_there_is_used(arrays: Model, stack: Any) -> None:
    """A finished training hands its engine on, and nothing is made twice."""
    engine = make_engine(arrays.network, "reference")
    model = Model(arrays.spec, CLASSES, arrays.parameters, engine=engine)

    assert model._engine is engine
    assert model.network is engine.network
    np.testing.assert_allclose(model.votes(stack), arrays.votes(stack), atol=1e-6)


# What a file may say ------------------------------------------------------------------------------


def test_text_in_place_of_a_spec_is_never_taken_for_a_path(arrays: Model, tmp_path: Path) -> None:
    """Else loading a model could read any file, and print parts of it."""
    secret = tmp_path / "secret.yaml"
    secret.write_text("name: swordfish\nadapter: array\nhead: voting\n")
    path = arrays.save(tmp_path / "model")

    for text in (str(secret), str(tmp_path), "xo", "name: swordfish"):
        changed(path, spec=text)
        with pytest.raises(ModelFileError, match="a spec is a mapping of 'name: value'") as caught:
            load(path)
        assert "swordfish" not in str(caught.value) or text.startswith("name")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders")
def test_data_that_a_model_was_trained_on_is_never_opened(
    arrays: Model, tmp_path: Path, stack: Any
) -> None:
    """Neither its source, which would wait for ever here, nor a pattern that takes years."""
    os.mkfifo(tmp_path / "pipe.npz")
    path = arrays.save(tmp_path / "model")
    data = {"source": str(tmp_path / "pipe.npz"), "group": {"pattern": "(a+)+$"}}
    changed(path, spec={**arrays.spec.model_dump(mode="json"), "data": data})

    loaded = load(path)

    np.testing.assert_array_equal(loaded.votes(stack), arrays.votes(stack))
    assert gridcnn.evaluate(loaded, (stack[:9], CLASSES * 3)).items == 9


def test_a_file_tells_of_many_mistakes_in_one_line(arrays: Model, tmp_path: Path) -> None:
    """Of a hundred thousand odd settings too, and in no time."""
    path = arrays.save(tmp_path / "model")
    for count, message in ((30, "29 more problems"), (100_000, "a spec may hold 60,000 values")):
        spec = {**arrays.spec.model_dump(mode="json"), **{f"x{n}": 1 for n in range(count)}}
        changed(path, spec=spec)

        with pytest.raises(ModelFileError, match=message) as caught:
            load(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(
    arrays: Model, tmp_path: Path, value: float
) -> None:
    """From a file and from Python, with the name of what has them; else all would be the first."""
    path = arrays.save(tmp_path / "model")
    tensors, content = read_tensors(path, KIND)
    tensors["1.convolution.bias"][1] = value
    write_tensors(path, KIND, tensors, content)

    with pytest.raises(ModelFileError, match=r"NaN or infinite ones in 1\.convolution\.bias$"):
        load(path)
    parameters = arrays.parameters.copy()
    parameters[-1] = value
    with pytest.raises(ValueError, match=r"NaN or infinite ones in 4\.voting\.votes\.bias$"):
        Model(arrays.spec, CLASSES, parameters)


def test_parameters_are_kept_as_a_file_has_them(arrays: Model, tmp_path: Path, stack: Any) -> None:
    """A model that was made from float64 reads back as the same; whole numbers are none."""
    model = Model(arrays.spec, CLASSES, arrays.parameters.astype(np.float64))

    assert model.parameters.dtype == np.float32
    np.testing.assert_array_equal(
        load(model.save(tmp_path / "model")).votes(stack), arrays.votes(stack)
    )
    with pytest.raises(ValueError, match="must be float32; they are int64"):
        Model(arrays.spec, CLASSES, arrays.parameters.astype(np.int64))
    with pytest.raises(ValueError, match="NaN or infinite"):
        Model(arrays.spec, CLASSES, np.full(arrays.parameters.shape, 1e39))


@pytest.mark.parametrize(
    "classes", [["x", "o", "x"], ["1", 1, "x"], ["x", "o", 1.5], ["x", "o", None], [0, 1, True]]
)
def test_classes_that_cannot_be_any_are_refused(arrays: Model, classes: Any) -> None:
    """From Python as from a file, where a class is known by its text."""
    with pytest.raises(ValueError, match="its classes must be different texts or whole numbers"):
        Model(arrays.spec, classes, arrays.parameters)


def test_votes_that_overflow_are_an_error_for_their_items(arrays: Model, stack: Any) -> None:
    """All weights and cells are finite, and a sum of them is not: the first class is no answer."""
    model = Model(arrays.spec, CLASSES, arrays.parameters * np.float32(1e10))
    far = stack.copy()
    far[[3, 299]] = 1e30
    names = [f"row {number}" for number in range(300)]

    for votes in (model.votes, model.predict):
        with pytest.raises(DataError, match="its votes are not finite numbers") as caught:
            votes(far)
        assert [each.source for each in caught.value.problems] == ["item 3", "item 299"]
    with pytest.raises(DataError) as caught:
        model.votes(far, names=names)
    assert [each.source for each in caught.value.problems] == ["row 3", "row 299"]

    grids = model.adapter.grids(far).values
    with pytest.raises(DataError, match="row 3: its votes are not finite"):
        model.votes_of_grids(grids, names=names)
    answers = model.answered(grids)
    assert len(answers.problems) == 2
    assert len(answers.votes) == 298
    assert not {3, 299} & set(answers.kept.tolist())
    np.testing.assert_array_equal(answers.votes, model.votes(np.delete(stack, [3, 299], axis=0)))


@pytest.mark.parametrize(
    "odd",
    [
        [np.nan, 0, 0],
        [np.inf, 0, 0],
        [-np.inf, 0, 0],
        [-np.inf, -np.inf, -np.inf],
        [3e38, -3e38, 0],
    ],
)
def test_logits_without_a_finite_loss_are_no_votes(odd: list[float]) -> None:
    """Even where softmax makes 0 and 1 of them, so that no figure of them is infinite."""
    logits = np.array([[1, 2, 3], odd, [5, 5, 5]], np.float32)

    head = Voting().stage(3)

    found = answer_logits(head, logits)

    assert found.kept.tolist() == [0, 2]
    assert [each.source for each in found.problems] == ["item 1"]
    with np.errstate(over="ignore", invalid="ignore"):
        losses, _ = head.losses(logits, np.array([0, 0, 0]))
    assert np.isfinite(losses[found.kept]).all()
    assert answer_logits(head, logits[:0]).votes.shape == (0, 3)


@pytest.mark.parametrize(
    "classes",
    [
        ["k", "k\0"],
        ["k\0", "k\0\0", "k"],
        [-1, 2**63],
        [2**64, 1],
        [2**63, 2**63 + 1],
        ["1", 2],
        ["a", "A", " a", "a ", "e\u0301", "\u00e9", "\x1b[2J", "\ud800"],
    ],
)
def test_classes_stay_what_they_are(
    classes: list[Any], arrays: Model, tmp_path: Path, stack: Any
) -> None:
    """NumPy cuts texts at trailing NULs, and makes floats of whole numbers."""
    assert labels_array(classes).tolist() == classes
    loaded = load(made({"array": SIZES}, classes).save(tmp_path / "model"))

    assert list(loaded.classes) == classes
    answers = loaded.predict(stack).tolist()
    assert answers == [classes[index] for index in loaded.votes(stack).argmax(axis=1)]
    assert {type(answer) for answer in answers} <= {type(label) for label in classes}
