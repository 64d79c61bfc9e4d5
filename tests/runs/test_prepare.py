"""From a spec to labelled grids."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.datasets.makers.made import write_files
from gridcnn.datasets.makers.sounds import Sounds
from gridcnn.errors import DataError
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Prepared, prepare
from gridcnn.spec.load import load


def _prepared(spec: dict[str, Any], data: Any = None, base: Path = Path()) -> Prepared:
    return prepare(locate(load(spec), data, base))


XO: dict[str, Any] = {
    "data": {"source": {"xo": {"count": 100}}, "test": 0.2, "validation": 0.25},
    "adapter": {"image": {"size": [10, 12]}},
}


def test_every_item_is_in_one_part() -> None:
    """The parts have their shares, and no item stands in two of them."""
    prepared = _prepared(XO)

    names = [
        name for part in (prepared.train, prepared.validation, prepared.test) for name in part.names
    ]
    assert (len(prepared.train), len(prepared.validation), len(prepared.test)) == (60, 20, 20)
    assert len(set(names)) == 100
    assert prepared.train.data.grids.shape == (60, 1, 10, 12)
    assert prepared.shape.sizes == (1, 10, 12)


def test_grids_and_labels_stay_together() -> None:
    """Each name's grid and class are those of the item, whatever part it is in."""
    pictures = np.random.default_rng(0).integers(0, 256, (40, 6, 6), np.uint8)
    labels = [int(picture[0, 0]) % 2 for picture in pictures]

    prepared = _prepared({"adapter": {"image": {"size": [6, 6]}}}, data=(pictures, labels))

    for part in (prepared.train, prepared.validation, prepared.test):
        grids = np.asarray(part.data.grids)
        for name, grid, target in zip(part.names, grids, part.data.targets, strict=True):
            index = int(name.split()[-1])
            np.testing.assert_allclose(grid[0], pictures[index] / 127.5 - 1, atol=1e-6)
            assert prepared.classes[target] == labels[index]


def test_the_adapter_learns_from_training_items_alone() -> None:
    """The range of an array adapter is that of the training part."""
    values = np.random.default_rng(0).normal(size=(50, 3, 4))

    prepared = _prepared({"adapter": {"array": {"scaling": "range"}}}, data=(values, [0, 1] * 25))

    adapter = prepared.spec.adapter
    assert isinstance(adapter, ArrayAdapter)
    chosen = [int(name.split()[-1]) for name in prepared.train.names]
    assert adapter.low == pytest.approx(values[chosen].min())
    assert adapter.high == pytest.approx(values[chosen].max())
    assert np.asarray(prepared.train.data.grids).min() == pytest.approx(-1)


def test_without_an_adapter_the_things_decide(photographs: Path) -> None:
    """Files are taken for images, arrays for grids."""
    arrays = np.random.default_rng(0).normal(size=(20, 3, 4))

    of_files = _prepared({}, data=str(photographs))
    of_arrays = _prepared({}, data=(arrays, [0, 1] * 10))

    assert isinstance(of_files.spec.adapter, ImageAdapter)
    assert isinstance(of_arrays.spec.adapter, ArrayAdapter)


def test_skipping_must_leave_every_class_something(tmp_path: Path) -> None:
    """A class that loses all its training items to damage is named."""
    for label, good in (("cat", True), ("dog", False)):
        (tmp_path / label).mkdir()
        for number in range(10):
            file = tmp_path / label / f"{number}.png"
            if good:
                Image.new("L", (8, 8), number).save(file)
            else:
                file.write_bytes(b"nothing")
    spec = {"adapter": "image", "data": {"source": str(tmp_path), "bad_items": "skip"}}

    with pytest.raises(DataError, match="left of the classes dog"):
        _prepared(spec)


def test_bad_items_are_told_in_order_and_not_endlessly(tmp_path: Path) -> None:
    """The first twenty are named, in the order of the data, with the line of the manifest.

    What is wrong with all of them alike is said once.
    """
    for number in range(40):
        good = tmp_path / f"{number:02}.png"
        Image.new("L", (8, 8), number).save(good)
        if number % 2:
            good.write_bytes(b"nothing")
    lines = [f"{number:02}.png,{'a' if number < 20 else 'b'}" for number in range(40)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *lines]))

    with pytest.raises(DataError) as caught:
        _prepared({"adapter": "image"}, data=tmp_path / "list.csv")
    for number in range(0, 40, 2):
        (tmp_path / f"{number:02}.png").write_bytes(b"nothing")
    with pytest.raises(DataError) as all_bad:
        _prepared({"adapter": "image"}, data=tmp_path / "list.csv")

    told = [str(problem) for problem in caught.value.problems]
    assert told[0].startswith(f"{tmp_path / 'list.csv'}:3: 01.png: ")
    assert "(the same in 19 more: line 5: 03.png, line 7: 05.png, " in told[0]
    assert told[0].endswith("line 41: 39.png)")
    assert told[1].startswith("20 of 40 items cannot be read; correct or remove them")
    assert len(told) == 2
    assert str(all_bad.value.problems[-1]) == "none of the 40 items can be read"
    assert "line 21: 19.png and 20 more)" in str(all_bad.value)


def test_what_is_there_goes_before_a_known_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder called xo is read, and not the known data set; without it, the data set is made."""
    monkeypatch.chdir(tmp_path)
    known = locate(load({}), "xo", tmp_path)
    (tmp_path / "xo").mkdir()
    there = locate(load({}), "xo", tmp_path)

    assert list(known.data.model_dump(mode="json")["source"]) == ["xo"]
    assert there.data.model_dump(mode="json")["source"] == str(tmp_path / "xo")


def test_settings_of_data_need_no_source_where_data_is_given() -> None:
    """The parts can be set in a spec that is for any data."""
    pictures = np.zeros((40, 8, 8), np.uint8)

    prepared = _prepared(
        {"adapter": "image", "data": {"test": 0, "validation": 0}}, data=(pictures, [0, 1] * 20)
    )

    assert (len(prepared.train), len(prepared.test)) == (40, 0)
    with pytest.raises(DataError, match="names no data"):
        _prepared({"adapter": "image", "data": {"test": 0}})


def test_exemplars_are_items_that_can_be_read() -> None:
    """Unreadable items that are skipped are not drawn as exemplars either."""
    pictures: list[Any] = [np.full((8, 8), n, np.uint8) for n in range(200)]
    for bad in range(0, 190, 2):
        pictures[bad] = b"nothing"
    spec = {"adapter": {"image": {"fit": "ink"}}, "data": {"bad_items": "skip"}}

    prepared = _prepared(spec, data=(pictures, [n // 2 % 2 for n in range(200)]))

    assert prepared.literal is not None
    assert len(prepared.literal[0]) == 20
    assert len(prepared.literal[1]) == len(prepared.test)


def test_the_fingerprint_follows_spec_and_data() -> None:
    """It is the same for the same run, and changes with a setting or a picture."""
    same = _prepared(XO).fingerprint

    assert _prepared(XO).fingerprint == same
    assert _prepared({**XO, "training": {"batch_size": 3}}).fingerprint != same
    other = {**XO["data"], "source": {"xo": {"count": 100, "seed": 5}}}
    assert _prepared({**XO, "data": other}).fingerprint != same


def test_the_fingerprint_does_not_follow_when_training_ends() -> None:
    """A run may go on for more epochs, unless the learning rate of each depends on how many."""

    def fingerprint(**training: Any) -> str:
        return _prepared({**XO, "training": training}).fingerprint

    assert len({fingerprint(epochs=3), fingerprint(epochs=4, patience=2), fingerprint()}) == 1
    assert fingerprint(epochs=3, schedule="cosine") != fingerprint(epochs=4, schedule="cosine")


def test_the_literal_comparison_sees_pictures_as_they_are() -> None:
    """Where the adapter looks for ink, those of the comparison do without."""
    spec = {**XO, "adapter": {"image": {"size": [32, 32], "fit": "ink", "polarity": "ink"}}}

    prepared = _prepared(spec)
    plain = _prepared({**XO, "adapter": {"image": {"size": [32, 32]}}})

    assert prepared.literal is not None
    assert plain.literal is not None
    np.testing.assert_array_equal(prepared.literal[1].grids, plain.test.data.grids)
    np.testing.assert_array_equal(prepared.literal[0].grids, plain.literal[0].grids)
    assert not np.array_equal(prepared.test.data.grids, plain.test.data.grids)


def test_an_adapter_without_files_refuses_a_folder(photographs: Path) -> None:
    """A folder of pictures for the text adapter is one clear error, not one for each item."""
    spec = load({"adapter": "text", "data": {"source": str(photographs)}, "head": "voting"})

    with pytest.raises(DataError, match="the adapter reads no files; texts and numbers"):
        prepare(locate(spec, None, photographs))


def test_without_an_adapter_what_lies_in_a_folder_decides(tmp_path: Path) -> None:
    """Sounds and arrays get their adapter, and the run says so; two kinds are refused."""
    write_files(Sounds(count=24, duration=0.25), tmp_path / "clips", seed=0)
    for label in ("a", "b"):
        for number in range(6):
            file = tmp_path / "arrays" / label / f"{number}.npy"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, np.full((2, 3), number))

    sounds = _prepared({}, data=tmp_path / "clips")
    arrays = _prepared({}, data=tmp_path / "arrays")
    (tmp_path / "arrays" / "labels.wav").touch()  # beside the class folders: none of the items
    (tmp_path / "clips" / "noise" / "x.png").touch()

    assert isinstance(sounds.spec.adapter, AudioAdapter)
    assert sounds.notes == ("the spec names no adapter; items are read with adapter: audio",)
    assert isinstance(arrays.spec.adapter, ArrayAdapter)
    assert arrays.shape.sizes == (1, 2, 3)
    assert _prepared({}, data=tmp_path / "arrays").shape == arrays.shape
    with pytest.raises(DataError, match="1 picture, 24 sounds; name one kind in the spec"):
        _prepared({}, data=tmp_path / "clips")
    # A named adapter reads its own files, as ever.
    assert _prepared({"adapter": "audio"}, data=tmp_path / "clips").notes[0].startswith("1 file")


def test_a_manifest_of_arrays_is_read(tmp_path: Path) -> None:
    lines = ["path,label"]
    for number in range(12):
        np.save(tmp_path / f"{number}.npy", np.full(4, number))
        lines.append(f"{number}.npy,{'ab'[number % 2]}")
    (tmp_path / "list.csv").write_text("\n".join(lines))

    prepared = _prepared({}, data=tmp_path / "list.csv")

    assert isinstance(prepared.spec.adapter, ArrayAdapter)
    assert prepared.shape.sizes == (1, 1, 4)


def test_texts_in_memory_are_texts_or_paths(tmp_path: Path) -> None:
    """Texts without an adapter are texts, unless most of them are files."""
    labels = ["x", "y"] * 10
    texts = [f"{word} {letter}" for letter in "abcdefghij" for word in ("tea", "sun")]
    files = []
    for number in range(20):
        file = tmp_path / f"{number}"
        Image.new("L", (9, 9), 12 * number).save(file, "PNG")
        files.append(str(file))

    taken = _prepared({}, data=(texts, labels))
    pictures = _prepared({}, data=(files, labels))

    assert isinstance(taken.spec.adapter, TextAdapter)
    assert taken.notes == ("the spec names no adapter; items are read with adapter: text",)
    assert isinstance(pictures.spec.adapter, ImageAdapter)
    assert pictures.notes == ()
    with pytest.raises(DataError, match="there is no such file"):
        _prepared({}, data=([f"cat-{text}.png" for text in texts], labels))


@pytest.mark.parametrize("adapter", [None, "array", "table"])
def test_rows_of_numbers_in_memory_are_items(adapter: str | None) -> None:
    """An array of two dimensions and a DataFrame of numbers give the same grids of one row."""
    rows = np.random.default_rng(0).normal(size=(30, 5))
    labels = ["x", "y", "z"] * 10
    spec = {} if adapter is None else {"adapter": adapter}

    array = _prepared(spec, data=(rows, labels))
    frame = _prepared(spec, data=(pd.DataFrame(rows), labels))
    listed = _prepared(spec, data=(list(rows), labels))

    assert array.shape.sizes == (1, 1, 5)
    for other in (frame, listed):
        np.testing.assert_array_equal(other.train.data.grids, array.train.data.grids)
        assert other.classes == array.classes


def test_rows_of_numbers_are_no_pictures_but_may_be_sounds(tmp_path: Path) -> None:
    """The image adapter says so once; with the audio adapter each row is a clip."""
    rows = np.random.default_rng(0).uniform(-1, 1, (24, 800))
    labels = ["x", "y"] * 12
    np.savez(tmp_path / "rows.npz", X=rows, y=labels)
    audio = {"adapter": {"audio": {"sample_rate": 8000, "n_fft": 128, "n_mels": 8}}}

    for data in ((rows, labels), tmp_path / "rows.npz"):
        with pytest.raises(DataError, match=r"reshape\(-1, rows, columns\)") as caught:
            _prepared({"adapter": "image"}, data=data)
        assert len(caught.value.problems) == 1
        assert _prepared(audio, data=data).shape.rows == 8


def test_a_table_with_missing_numbers_in_memory_is_filled() -> None:
    """A DataFrame's missing values, of NumPy or of pandas, are what the table adapter fills."""
    frame = pd.DataFrame({"a": [1.0, np.nan] * 10, "b": pd.array([1, None] * 10, "Int64")})
    spec = {"adapter": {"table": {"missing": "zero", "scaling": "none"}}}

    prepared = _prepared(spec, data=(frame, ["x", "y"] * 10))

    grids, targets = prepared.train.data.grids, prepared.train.data.targets
    expected = np.where(targets == 0, 1, 0)[:, None] * [1, 1]
    np.testing.assert_array_equal(np.asarray(grids)[:, 0, 0], expected)


def test_a_class_with_two_rows_is_trained_and_tested_with_a_note() -> None:
    rows = np.random.default_rng(0).normal(size=(32, 6))
    labels = ["a"] * 15 + ["b"] * 15 + ["c"] * 2

    prepared = _prepared({"adapter": "table", "head": "voting"}, (rows, labels))

    sizes = [
        np.bincount(part.data.targets, minlength=3)[2]
        for part in (prepared.train, prepared.validation, prepared.test)
    ]
    assert sizes == [1, 0, 1]
    assert any("'c' has 2): validation has none of 'c'" in note for note in prepared.notes)
