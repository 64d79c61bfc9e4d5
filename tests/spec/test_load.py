"""Reading specs: from everywhere, with changes, and with every mistake told."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.datasets.makers.made import MAKERS
from gridcnn.datasets.makers.xo import XO
from gridcnn.errors import SpecError, UnknownNameError, UserError
from gridcnn.pipelines import ready
from gridcnn.settings.document import parse
from gridcnn.spec.load import load, load_choice, load_data, validate
from gridcnn.spec.models import Spec
from gridcnn.spec.optimizers import Adam, Sgd
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification

TEXT = """\
name: xo
data:
  source: xo
  test: 0.2
adapter:
  image: {size: [32, 32], channels: 1}
stages:
  - convolution: {filters: 8, kernel_size: 3}
  - rectification
  - pooling: {window: 2, stride: 2}
head:
  voting: {hidden: [32]}
training: {epochs: 10, batch_size: 64, optimizer: adam, learning_rate: 0.003, seed: 0}
"""


def read(text: str | bytes) -> Spec:
    return validate(parse(text, "xo.yaml"))


def wrong(text: str | bytes) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(text)
    return str(caught.value).split("\n")


def changed(*changes: str, text: str = TEXT) -> Spec:
    return load("xo", changes=changes, ready={"xo": text.encode()})


def refused(*changes: str, text: str = TEXT) -> str:
    with pytest.raises(SpecError) as caught:
        changed(*changes, text=text)
    return str(caught.value)


class TestErrors:
    """What is wrong in a file."""

    def test_every_error_has_its_line_and_column(self) -> None:
        """And all of them are reported together, in the order of the file."""
        text = TEXT.replace("test: 0.2", "test: 1.2\n  tset: 0.2")
        text = text.replace("filters: 8", "filter: 8").replace("window: 2", "window: two")
        text = text.replace("adam,", "adma,").replace("[32]}", "[32, 0]}") + "name: again\n"

        assert [line.partition(" must ")[0] for line in wrong(text)] == [
            "xo.yaml:4:3: 'test' of data",
            "xo.yaml:5:3: data has no setting 'tset'; did you mean 'test'? It takes: source, test, "
            "validation, parts, bad_items, duplicates, group, label",
            "xo.yaml:9:19: convolution has no setting 'filter'; did you mean 'filters'? It takes: "
            "filters, kernel_size, stride, padding, dilation, groups, bias, scale, features, "
            "trainable",
            "xo.yaml:11:15: 'window' of pooling",
            "xo.yaml:13:25: 'hidden[1]' of voting",
            "xo.yaml:14:40: 'adma' is not an optimizer; did you mean 'adam'? Known: sgd, adam, "
            "adamw",
            "xo.yaml:15:1: 'name' is given twice; first on line 1",
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("hello", "xo.yaml:1:1: a spec is a mapping of 'name: value'; got 'hello'"),
            ("# x\n- a", "xo.yaml:2:1: a spec is a mapping of 'name: value'; got ['a']"),
            ("null", "xo.yaml:1:1: a spec is a mapping of 'name: value'; got null"),
            ("3: 4", "xo.yaml:1:1: the spec has no setting '3'. It takes: name, description, "),
            ("null: 4", "xo.yaml:1:1: the spec has no setting 'null'"),
            ("data: {source: {files: {}}}", "xo.yaml:1:17: files needs the setting 'path'"),
            ("data: 3", "xo.yaml:1:1: data takes settings, as 'name: value'; got 3"),
            ("stages: pooling", "xo.yaml:1:1: 'stages' of the spec must be a list; got 'pooling'"),
            ("stages: {pooling: {}}", "xo.yaml:1:1: 'stages' of the spec must be a list; got {'p"),
            ("stages: [[pooling]]", "xo.yaml:1:10: a stage is written 'name' or 'name: {settings"),
            (
                "stages:\n- convolution:\n  filters: 3",
                "xo.yaml:2:3: a stage is written 'name' or 'name: {settings}'; got 2 names at ",
            ),
            (
                "training: {epochs: 1e3}",
                "xo.yaml:1:12: 'epochs' of training must be a whole number",
            ),
            (
                "training: {epochs: 010x}",
                "xo.yaml:1:12: 'epochs' of training must be a whole numbe",
            ),
            ("training: {seed: off}", "xo.yaml:1:12: 'seed' of training must be a whole number; g"),
            ("training: {learning_rate: 1e400}", "xo.yaml:1:12: 'learning_rate' of training must"),
            ("training: {learning_rate: .nan}", "xo.yaml:1:12: 'learning_rate' of training must"),
            (
                "training: {seed: " + "9" * 40 + "}",
                "xo.yaml:1:12: 'seed' of training must be at mo",
            ),
            ("name: " + "k" * 50_000, "xo.yaml:1:1: 'name' of the spec must be up to 64 letters"),
            ('"' + "k" * 900 + '": 1', "xo.yaml:1:1: the spec has no setting 'kkk"),
            ('"\\e[31mx\\u202e\\n": 1', r"xo.yaml:1:1: the spec has no setting '\x1b[31mx\u202e'"),
            ("a\u202eb: 1", r"xo.yaml:1:1: the spec has no setting 'a\u202eb'"),
            ("name: [\u202e]", "xo.yaml:1:1: 'name' of the spec must be a text; got ['\\u202e']"),
            ("name: 2020-01-01\ncheck: of", "xo.yaml:2:1: 'check' of the spec must be 'reject', "),
            ("check: off\nname: 0o10", "xo.yaml:2:1: 'name' of the spec must be a text; got 8"),
            ("a: &a {b: 1}\ntraining: *a", "xo.yaml:1:1: the spec has no setting 'a'"),
        ],
    )
    def test_each_mistake_has_its_sentence(self, text: str, message: str) -> None:
        """In one short line, fit for a terminal."""
        first = wrong(text)[0]

        assert first.startswith(message)
        assert first.isprintable()
        assert len(first) < 400

    def test_an_error_inside_an_alias_stands_at_the_alias(self) -> None:
        """Where the wrong use is."""
        text = "stages:\n  - pooling: &p {window: 0}\n  - pooling: *p\n"

        assert [line.partition(": ")[0] for line in wrong(text)] == ["xo.yaml:2:18", "xo.yaml:3:5"]

    def test_thousands_of_errors_are_counted(self) -> None:
        """The first hundred are told, in less than a second."""
        start = time.perf_counter()
        lines = wrong("".join(f"key{number}: 1\n" for number in range(9_000)))

        assert time.perf_counter() - start < 20
        assert len(lines) == 101
        assert lines[0].startswith("xo.yaml:1:1: ")
        assert lines[-1] == "xo.yaml: and 8,900 more problems"


class TestSources:
    """Everything that a spec is read from."""

    def test_a_name_a_file_a_folder_a_mapping_and_a_spec_are_the_same(self, tmp_path: Path) -> None:
        """Whatever is at hand."""
        spec = read(TEXT)
        (tmp_path / "spec.yaml").write_text(TEXT)
        mapping = {
            "name": "xo",
            "data": {"source": "xo", "test": 0.2},
            "adapter": {"image": {"size": (32, 32), "channels": 1}},
            "stages": [
                Convolution(filters=8),
                "rectification",
                {"pooling": {"window": 2, "stride": 2}},
            ],
            "head": {"voting": {"hidden": np.array([32]).tolist()}},
            "training": {"epochs": np.int64(10), "learning_rate": 0.003, "seed": np.uint8(0)},
        }

        assert load("xo", ready={"xo": TEXT.encode()}) == spec
        assert load(tmp_path / "spec.yaml") == spec
        assert load(str(tmp_path / "spec.yaml")) == spec
        assert load(tmp_path) == spec
        assert load(mapping) == spec
        assert load(spec) == spec

    def test_places_name_the_file(self, tmp_path: Path) -> None:
        """Also for a ready spec."""
        file = tmp_path / "mine.yaml"
        file.write_text("nmae: x")

        with pytest.raises(SpecError, match=rf"^{re.escape(str(file))}:1:1: the spec has no"):
            load(file)
        with pytest.raises(SpecError, match=r"^xo.yaml:1:1: the spec has no setting 'nmae'"):
            load("xo", ready={"xo": b"nmae: x"})

    def test_a_mapping_has_paths_instead_of_lines(self) -> None:
        """And is not changed itself."""
        mapping = {"stages": ["relu", {"pooling": {"window": 0}}], "training": {"epochs": 0}}
        before = json.dumps(mapping)

        with pytest.raises(SpecError) as caught:
            load(mapping, changes={"training.seed": 3})

        assert [line.partition(": ")[0] for line in str(caught.value).split("\n")] == [
            "stages[0]",
            "stages[1].pooling.window",
            "training.epochs",
        ]
        assert json.dumps(mapping) == before

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({3: 4}, r"\[3\]: the spec has no setting '3'"),
            ({("a",): 4}, r"the spec has no setting"),
            ({"training": {None: 4}}, "training has no setting 'None'"),
            ({"training": {"epochs": np.array([1, 2])}}, "'epochs' of training must be a whole"),
            ({"description": "\ud800"}, "must be a text that UTF-8 can hold"),
            ({"training": {"seed": 2**5000}}, "got a whole number of 5001 bits"),
            ({"name": object()}, "'name' of the spec must be a text; got <object object"),
        ],
    )
    def test_a_mapping_may_hold_anything(self, mapping: Any, message: str) -> None:
        """What is no spec is told as such."""
        with pytest.raises(SpecError, match=message) as caught:
            load(mapping)
        assert str(caught.value).isprintable()

    def test_a_mapping_may_hold_itself(self) -> None:
        """Endless data ends at the deepest level that a spec may have."""
        endless: dict[str, Any] = {}
        endless["data"] = endless
        deep: Any = "pooling"
        for _ in range(5_000):
            deep = [deep]

        with pytest.raises(SpecError, match=r"^data.data: a spec may be nested 40 levels deep"):
            load(endless)
        with pytest.raises(SpecError, match="40 levels deep"):
            load({"stages": deep})

    @pytest.mark.parametrize("source", [None, 3, b"xo", ["xo"], object(), True])
    def test_other_things_are_no_spec(self, source: Any) -> None:
        """The forms that there are are told."""
        with pytest.raises(
            SpecError, match="a spec is a file, the name of a ready spec, a mapping"
        ):
            load(source)

    @pytest.mark.parametrize(
        ("source", "error", "message"),
        [
            (
                "xoo",
                UnknownNameError,
                "'xoo' is neither a file nor a ready spec; did you mean 'xo'?",
            ),
            ("XO", UnknownNameError, "did you mean 'xo'"),
            ("", UnknownNameError, "'' is neither a file nor a ready spec. Ready specs: "),
            ("a\0b", UnknownNameError, r"'a\\x00b' is neither a file"),
            ("name: x\nstages: []", UnknownNameError, "'name: x stages: \\[\\]' is neither a file"),
            ("none.yaml", SpecError, "there is no file none.yaml; `gridcnn init` writes a starter"),
            ("pipelines/xo.yml", SpecError, "there is no file .*; the ready spec is called 'xo'"),
            ("/none/\x1b[31m.yaml", SpecError, r"there is no file /none/\\x1b\[31m.yaml; "),
            ("n" * 5_000, SpecError, "n\\.\\.\\. cannot be read: File name too long"),
            ("/" + "n" * 5_000, SpecError, "cannot be read: File name too long"),
        ],
    )
    def test_what_is_not_there_is_told(
        self, source: str, error: type[UserError], message: str
    ) -> None:
        """With the name that was probably meant."""
        with pytest.raises(error, match=message) as caught:
            load(source, ready={"xo": b"", "digits": b""})
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500

    def test_special_files_are_refused_and_never_waited_for(self, tmp_path: Path) -> None:
        """Folders, pipes and endless devices."""
        (tmp_path / "file").touch()
        (tmp_path / "x.CSV").touch()
        (tmp_path / "folder").mkdir()
        (tmp_path / "pipe").mkdir()
        cases = {
            tmp_path / "folder": "is a folder without a spec.yaml; name a spec file, or write one "
            f"for the data in it: gridcnn init {tmp_path / 'folder'}",
            tmp_path / "x.CSV": "is data and not a spec; write a spec for it with: gridcnn init ",
            tmp_path / "file" / "x.yaml": "there is no file",
        }
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / "pipe" / "spec.yaml")
            cases[tmp_path / "pipe" / "spec.yaml"] = "is not an ordinary file; name a spec file"
            cases[tmp_path / "pipe"] = "is not an ordinary file; name a spec file"
            cases[Path("/dev/zero")] = "/dev/zero is not an ordinary file; name a spec file"
        start = time.perf_counter()

        for path, message in cases.items():
            with pytest.raises(SpecError, match=re.escape(message)):
                load(path)
        assert time.perf_counter() - start < 20

    def test_a_huge_file_is_refused_without_being_read(self, tmp_path: Path) -> None:
        """50 MB in an instant."""
        path = tmp_path / "huge.yaml"
        with path.open("wb") as file:
            file.truncate(50_000_000)
        start = time.perf_counter()

        with pytest.raises(
            SpecError, match="a spec may have 4,000,000 bytes; this one has 50,000,"
        ):
            load(path)
        assert time.perf_counter() - start < 20

    def test_a_file_that_may_not_be_read_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The system's reason is handed on."""

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        path = tmp_path / "mine.yaml"
        path.write_text(TEXT)

        monkeypatch.setattr(Path, "open", refuse)
        with pytest.raises(SpecError, match=r"mine.yaml cannot be read: Permission denied"):
            load(path)
        monkeypatch.setattr(Path, "stat", refuse)
        with pytest.raises(SpecError, match=r"mine.yaml cannot be read: Permission denied"):
            load(path)


class TestChanges:
    """Changes by `--set`, and from Python."""

    def test_settings_are_replaced(self) -> None:
        """Anywhere in the spec, also where nothing was written."""
        spec = changed(
            "training.epochs=3",
            "training.warm_up=0.5",
            " check =off",
            "stages[0].convolution.filters=4",
            "stages.0.convolution.kernel_size=[all, 7]",
            "stages[1]=pooling",
            "head.voting.hidden[0]=5",
            "adapter.image.size[1]=16",
        )

        assert (spec.training.epochs, spec.training.warm_up, spec.check) == (3, 0.5, "off")
        assert spec.stages[0] == Convolution(filters=4, kernel_size=("all", 7))
        assert spec.stages[1] == Pooling()
        head = {"labels": "one", "hidden": [5], "dropout": 0.0}
        assert spec.model_dump(mode="json")["head"] == {"voting": head}
        assert spec.model_dump(mode="json")["adapter"]["image"]["size"] == [32, 16]

    @pytest.mark.parametrize(
        ("change", "value"),
        [
            ("description=a=b", "a=b"),
            ('description="a: b"', "a: b"),
            ("description='#1'", "#1"),
            ("description=''", ""),
            ("description=no", "no"),
            ("description=2020-01-01", "2020-01-01"),
            ("description=a # not this", "a"),
            ("description=--set", "--set"),
            ("description=Größe 🙂", "Größe 🙂"),
        ],
    )
    def test_values_are_read_as_in_a_file(self, change: str, value: str) -> None:
        """With quotes where they are needed."""
        assert changed(change).description == value

    @pytest.mark.parametrize(
        ("change", "optimizer"),
        [
            ("training.optimizer=sgd", Sgd()),
            ("training.optimizer.sgd.momentum=0.5", Sgd(momentum=0.5)),
            ("training.optimizer.adam.beta1=0.5", Adam(beta1=0.5)),
            ("training.optimizer={sgd: {momentum: 0.5}}", Sgd(momentum=0.5)),
            ("training.optimizer.sgd=", Sgd()),
        ],
    )
    @pytest.mark.parametrize("written", ["adam", "{adam: {beta2: 0.9}}", "{adam: null}", "null"])
    def test_naming_a_setting_chooses_its_owner(
        self, change: str, optimizer: Any, written: str
    ) -> None:
        """Whatever was chosen before, and however it was written."""
        text = TEXT.replace("optimizer: adam", f"optimizer: {written}")
        expected = optimizer
        if "adam.beta1" in change and "beta2" in written:
            expected = Adam(beta1=0.5, beta2=0.9)

        assert changed(change, text=text).training.optimizer == expected

    def test_a_whole_section_is_replaced_or_emptied(self) -> None:
        """Nothing of the old one is left."""
        spec = changed("training={epochs: 2}", "stages=", "data=", "head={voting: {dropout: 0.5}}")

        assert (spec.training.epochs, spec.training.batch_size, spec.training.learning_rate) == (
            2,
            64,
            0.001,
        )
        assert (spec.stages, spec.data) == ((), None)

    def test_later_changes_see_earlier_ones(self) -> None:
        """They are made in their order."""
        spec = changed(
            "training={epochs: 2}",
            "training.epochs=4",
            "stages=[pooling]",
            "stages[0].pooling.window=3",
        )

        assert spec.training.epochs == 4
        assert spec.stages == (Pooling(window=(3, 3)),)

    def test_changing_an_alias_changes_one_place(self) -> None:
        """The anchored settings stay."""
        text = "stages:\n  - pooling: &p {window: 2}\n  - pooling: *p\n"

        spec = changed("stages[1].pooling.window=3", text=text)

        assert spec.stages == (Pooling(window=(2, 2)), Pooling(window=(3, 3)))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ("training.epochs=0", "'epochs' of training must be at least 1; got 0"),
            ("training.epochs=", "'epochs' of training must be a whole number; got null"),
            ("training.epochs=a=b", "'epochs' of training must be a whole number; got 'a=b'"),
            ("training={epochs: 0}", "'epochs' of training must be at least 1; got 0"),
            (
                "training.epoch=1",
                "training has no setting 'epoch'; did you mean 'epochs'? It takes",
            ),
            ("trainng.epochs=1", "the spec has no setting 'trainng'; did you mean 'training'? It "),
            ("training.0=1", "training has no setting '0'. It takes: method, "),
            ("training=3", "training takes settings, as 'name: value'; got 3"),
            ("name.x=1", "name is 'xo', which has nothing inside"),
            ("training.epochs.x=1", "training.epochs is 10, which has nothing inside"),
            ("stages[3]=pooling", "stages has the entries 0 to 2; got 3"),
            (
                "stages[-1]=pooling",
                "'stages[-1]' is not a name; an entry of a list is written with",
            ),
            (
                "stages[x]=pooling",
                "'stages[x]' is not a name; an entry of a list is written with its",
            ),
            (
                "stages[99999999]=pooling",
                "'stages[99999999]' is not a name; an entry of a list is w",
            ),
            ("stages.x=1", "stages has the entries 0 to 2; got 'x'"),
            (
                "stages[1].filters=1",
                "'filters' is not a stage. Known: convolution, rectification, ",
            ),
            (
                "stages[0].convolution.stride[0]=1",
                "stages[0].convolution.stride has no entries yet",
            ),
            (
                "stages[0].convolution.kernel_size[0]=1",
                "stages[0].convolution.kernel_size is 3, wh",
            ),
            (
                "training.optimizer.momentum=0.5",
                "'momentum' is not an optimizer. Known: sgd, adam, adamw. A setting of sgd is "
                "changed as training.optimizer.sgd.momentum",
            ),
            ("adapter.image.channels=2", "'channels' of image must be 1 or 3; got 2"),
            ("stages[0].convolution.features=[[[1]]]", "convolution: 'filters' (=8) must be the"),
            ("data.source={ox: {}}", "'ox' is not a data source"),
            ("training..epochs=1", "'training..epochs' has an empty part between dots"),
            (".=1", "'.' has an empty part between dots"),
            ("=1", "write it as key=value, for example training.epochs=3"),
            ("training", "write it as key=value, for example training.epochs=3"),
            ("", "write it as key=value, for example training.epochs=3"),
            ("name=[", "this is not YAML: "),
            ("name=a: b: c", "this is not YAML: mapping values are not allowed in this context"),
            ("name=!!python/name:os.system", "a spec holds plain data; the tag 'tag:yaml.org,2002"),
            ("data={source: xo, source: xo}", "'source' is given twice; first on line 1"),
            ("name=\x1b[31m", "the character U+001B is not allowed in a spec as it is; "),
        ],
    )
    def test_a_change_that_fails_names_itself(self, change: str, message: str) -> None:
        """One line, which starts with the option."""
        text = refused(change)

        assert text.startswith(f"--set {change}: {message}".replace("\x1b", r"\x1b"))
        assert text.isprintable()

    def test_all_changes_that_fail_are_told_with_what_is_wrong_in_the_file(self) -> None:
        """Together, the file's lines first."""
        text = TEXT.replace("filters: 8", "filters: 0")

        assert [
            line.rpartition(": ")[0].partition(": '")[0]
            for line in refused("stages[9]=x", "training.seed=-1", "x", text=text).split("\n")
        ] == ["xo.yaml:8:19", "--set stages[9]=x", "--set x", "--set training.seed=-1"]

    def test_long_changes_are_cut(self) -> None:
        """In every message that repeats them."""
        for change in (
            "k" * 5_000 + "=1",
            "name=" + "k" * 5_000,
            "a." * 5_000 + "b=1",
            "k" * 5_000,
        ):
            assert len(refused(change)) < 400

    def test_a_mapping_of_changes_names_itself(self) -> None:
        """The estimator and `run` give changes as a mapping."""
        assert load({}, changes={"training.epochs": 3}).training.epochs == 3
        with pytest.raises(
            SpecError, match=r"^change of training.epochs: 'epochs' of training mus"
        ):
            load({}, changes={"training.epochs": 0})
        with pytest.raises(SpecError, match=r"^change of 3: the spec has no setting '3'"):
            load({}, changes={3: 4})  # type: ignore[dict-item]

    def test_one_change_may_be_given_alone(self) -> None:
        """A text is one change, and not a change for each of its letters."""
        assert load({}, changes="training.epochs=3").training.epochs == 3
        with pytest.raises(SpecError, match=r"^--set 3: write it as key=value"):
            load({}, changes=[3])  # type: ignore[list-item]

    def test_values_from_python_are_copied_as_plain_data(self) -> None:
        """NumPy's numbers are numbers, and what the user gave is not written to."""
        mine = {"adam": {"beta1": 0.5}}
        changes = {
            "training.epochs": np.int64(3),
            "training.optimizer": mine,
            "training.optimizer.adam.beta2": 0.7,
        }

        training = load({}, changes=changes).training

        assert training.epochs == 3
        assert training.optimizer == Adam(beta1=0.5, beta2=0.7)
        assert mine == {"adam": {"beta1": 0.5}}

    def test_typed_settings_can_be_changed(self) -> None:
        """A `Spec`, and objects inside a mapping."""
        mapping = {
            "stages": [Convolution(filters=8), Rectification()],
            "training": Spec().training,
            "head": "voting",
        }
        changes = [
            "stages[0].convolution.filters=4",
            "training.epochs=3",
            "training.optimizer.sgd.momentum=0.5",
            "stages[1].pooling.window=3",
        ]

        for source in (mapping, load(mapping)):
            spec = load(source, changes=changes)

            assert spec.stages == (Convolution(filters=4), Pooling(window=(3, 3)))
            assert spec.training.epochs == 3
            assert spec.training.optimizer == Sgd(momentum=0.5)

    def test_a_changed_spec_keeps_its_places(self) -> None:
        """Errors of a `Spec` that was read from a file still have the file's lines."""
        spec = read(TEXT)

        with pytest.raises(SpecError, match=r"^--set training.epochs=0: 'epochs' of training"):
            load(spec, changes=["training.epochs=0"])
        assert load(spec, changes=["training.seed=3"]).document.places[("stages", 0)] == (8, 5)

    def test_nothing_is_changed_in_what_is_no_spec(self) -> None:
        """What is wrong with the file is told instead."""
        assert refused("name=x", text="- a").startswith("xo.yaml:1:1: a spec is a mapping")


class TestOneChoice:
    """Settings of a single thing, as `gridcnn datasets make` takes them."""

    def test_settings_are_read_as_texts(self) -> None:
        """Each as `name=value`."""
        assert load_choice(MAKERS, "xo", changes=["noise=0.2", "size=[8, 9]"]) == XO(
            noise=0.2, size=(8, 9)
        )

    @pytest.mark.parametrize(
        ("name", "changes", "message"),
        [
            ("ox", [], "^'ox' is not a maker"),
            ("ox", ["noise=1"], "^'ox' is not a maker"),
            ("xo", ["noise=-1"], "^--set noise=-1: 'noise' of xo must be at least 0; got -1"),
            ("xo", ["nosie=1"], "^--set nosie=1: xo has no setting 'nosie'; did you mean 'noise'"),
            ("xo", ["count=0", "x"], "(?s)^--set x: write.*\n--set count=0: 'count' of xo must be"),
            ("xo", ["x"], "^--set x: write it as key=value"),
        ],
    )
    def test_mistakes_are_told(self, name: str, changes: list[str], message: str) -> None:
        """As in a spec."""
        with pytest.raises(SpecError, match=message):
            load_choice(MAKERS, name, changes=changes)


READY = sorted(ready().values())
LEAKS = re.compile(
    r"pydantic|https?://|Input should|[Vv]alidation error|Chosen_|<class|NoneType|Traceback|"
    r"\bobject at 0x|\b(Spec|Settings|Convolution|Pooling|Voting|ImageAdapter|Training)\b"
)


def check(text: str | bytes) -> None:
    """Read a text; whatever happens, it is a spec or a list of clear problems."""
    found: UserError | None = None
    try:
        read(text)
    except (SpecError, UnknownNameError) as error:
        found = error
    for line in str(found).split("\n") if found else ():
        assert re.match(r"xo\.yaml(:\d+:\d+)?: \S", line)
        assert line.isprintable()
        given = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        # A message may repeat a key that is given, such as a comment that has lost its sign.
        assert all(leak[0] in given for leak in LEAKS.finditer(line))
    if found:
        assert len(str(found).split("\n")) == len(found.problems)
        assert all(problem.line for problem in found.problems)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_specs_are_told(data: st.DataObject) -> None:
    """Ready specs with parts cut out, put in or moved."""
    text = data.draw(st.sampled_from(READY))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 20)))
        other = data.draw(st.integers(0, len(text)))
        part = data.draw(
            st.binary(max_size=4)
            | st.sampled_from(
                [b"", b"0", b"-1", b"1e9", b"null", b"[]", b"{}", b": ", b"\n", b"\t"]
            )
            | st.just(text[other : other + 20])
        )
        text = text[:start] + part + text[stop:]

    check(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 70_000)
    | st.floats()
    | st.sampled_from(
        ["all", "same", "xo", "adam", "convolution", "pooling", "image", "", "x" * 99]
    )
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(["filters", "window", "adam", "voting", "\x1b", "x"]), inside
        )
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_specs_with_other_values_are_told(data: st.DataObject) -> None:
    """Ready specs in which anything stands in the place of anything."""
    tree = parse(data.draw(st.sampled_from(READY)), "xo.yaml").data
    for _ in range(data.draw(st.integers(1, 3))):
        inside, key = data.draw(st.sampled_from(list(_places(tree))))
        if data.draw(st.booleans()) and isinstance(inside, dict):
            key = data.draw(st.sampled_from([*inside, "filters", "size", "\x1b[31m", "x" * 99]))
        inside[key] = data.draw(VALUES)

    check(json.dumps(tree).replace("NaN", ".nan").replace("Infinity", ".inf"))


def _places(tree: Any) -> Any:
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "stages",
                    "[0]",
                    "[9]",
                    ".0",
                    "convolution",
                    "filters",
                    "training",
                    "optimizer",
                    "adam",
                    "sgd",
                    "momentum",
                    ".",
                    "data",
                    "source",
                    "xo",
                    "name",
                    "hidden",
                    "voting",
                ]
            ),
            st.sampled_from([".", "", "."]),
        ).map("".join),
        max_size=6,
    ).map("".join),
    st.sampled_from(["=", "", "=="]),
    st.text(max_size=8) | st.sampled_from(["3", "[]", "{}", "pooling", "adam", "0.5", "null"]),
)
def test_any_change_is_made_or_told(key: str, equals: str, value: str) -> None:
    """No text after `--set` does anything else."""
    try:
        changed(f"{key}{equals}{value}")
    except SpecError as error:
        for line in str(error).split("\n"):
            assert line.startswith(("--set ", "xo.yaml:"))
            assert line.isprintable()
            assert not LEAKS.search(line)


def test_data_from_a_file_is_a_mapping(tmp_path: Path) -> None:
    """Text is not taken for a path or for a ready spec."""
    path = tmp_path / "spec.yaml"
    path.write_text("name: secret\n")

    assert load_data({"name": "a"}).name == "a"
    contents: list[object] = [str(path), path, "xo", [], None, 3]
    for content in contents:
        with pytest.raises(SpecError, match="a spec is a mapping of 'name: value'; got"):
            load_data(content)


@pytest.mark.parametrize("pattern", ["(" * 490 + "a" + ")" * 490, "(a{99999999999})", "(a", "a"])
def test_patterns_that_are_none_are_told(pattern: str) -> None:
    """Also those that are nested too deeply, or repeat too often, for Python."""
    with pytest.raises(SpecError, match="'pattern' of group must be a regular expression"):
        load({"data": {"group": {"pattern": pattern}}})


def test_a_mapping_may_hold_as_much_as_a_file(tmp_path: Path) -> None:
    """So that no error about a hundred thousand odd settings takes minutes."""
    start = time.process_time()
    with pytest.raises(SpecError, match="a spec may hold 60,000 values; this one holds more"):
        load({f"x{number}": 1 for number in range(100_000)})
    assert time.process_time() - start < 2


@pytest.mark.parametrize("content", [{10**5000: 1}, {"training": {10**5000: 1}}])
def test_a_key_of_thousands_of_digits_is_an_unknown_setting(content: Any) -> None:
    """Python turns no such number into a text."""
    with pytest.raises(SpecError, match="has no setting"):
        load(content)
    with pytest.raises(SpecError, match="has no setting"):
        load({}, changes=content)
