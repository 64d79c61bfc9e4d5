"""The spec as typed models."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from gridcnn.adapters.image import ImageAdapter
from gridcnn.errors import ShapeError, SpecError
from gridcnn.grid import GridShape
from gridcnn.network import Network
from gridcnn.settings.document import parse
from gridcnn.spec.load import load, validate
from gridcnn.spec.models import Data, Spec, Training
from gridcnn.spec.optimizers import Adam, AdamW, Sgd
from gridcnn.stages.convolution import Convolution
from gridcnn.stages.pooling import Pooling
from gridcnn.stages.rectification import Rectification
from gridcnn.stages.voting import Voting

TEXT = """\
name: small
stages:
  - convolution: {filters: 8, kernel_size: 3, padding: valid}
  - rectification
  - pooling: {window: 4, edges: drop}
  - convolution:
      filters: 16
      kernel_size: 5
      padding: valid
head: voting
"""


def test_everything_has_a_default() -> None:
    """The empty spec is a spec."""
    spec = Spec()

    assert spec.name == "run"
    assert spec.stages == ()
    assert spec.training.optimizer == Adam()
    assert spec.document.data is None


def test_typed_objects_make_the_spec_that_text_makes() -> None:
    """Whoever writes Python is free to."""
    typed = Spec(
        name="small",
        stages=(
            Convolution(filters=8, kernel_size=(3, 3), padding="valid"),
            Rectification(),
            Pooling(window=(4, 4), edges="drop"),
            Convolution(filters=16, kernel_size=(5, 5), padding="valid"),
        ),
        head=Voting(),
    )

    read = validate(parse(TEXT, "small.yaml"))

    assert typed == read
    assert hash(typed) == hash(read)
    assert typed != Spec(name="small")
    assert typed != "small"


def test_a_spec_is_copied_and_pickled_with_its_places() -> None:
    """A worker process knows the lines of the file too."""
    spec = validate(parse(TEXT, "small.yaml"))

    for same in (pickle.loads(pickle.dumps(spec)), copy.copy(spec), copy.deepcopy(spec)):
        assert same == spec
        assert same.document == spec.document


def test_where_a_spec_was_read_is_no_part_of_it() -> None:
    """The same settings in another file are the same spec."""
    assert validate(parse(TEXT, "a.yaml")) == validate(parse("\n\n" + TEXT, "b.yaml"))


@pytest.mark.parametrize(
    ("optimizer", "given", "decay"),
    [
        ("adam", {}, 0.0),
        ("adamw", {}, 0.01),
        ("adamw", {"weight_decay": None}, 0.01),
        ("adamw", {"weight_decay": 0.5}, 0.5),
        ("adamw", {"weight_decay": 0}, 0.0),
    ],
)
def test_weight_decay_follows_the_optimizer(
    optimizer: str, given: dict[str, Any], decay: float
) -> None:
    """Unless it is given."""
    spec = load({"training": {"optimizer": optimizer, **given}})

    assert spec.training.weight_decay == decay
    assert load(spec).training.weight_decay == decay


def test_what_follows_another_setting_goes_on_following_it() -> None:
    """A default that was filled in is filled in again when a spec is changed."""
    spec = load({"stages": [{"convolution": {"features": [[[1, 0], [0, 1]]]}}]})

    changed = load(
        spec,
        changes={
            "training.optimizer": "adamw",
            "stages[0].convolution.features": [[[1]], [[2]], [[3]]],
        },
    )

    assert changed.training.weight_decay == 0.01
    assert changed.stages[0] == Convolution(features=(((1.0,),), ((2.0,),), ((3.0,),)))
    assert load(spec, changes={"training.optimizer": AdamW()}).training.weight_decay == 0.01


def test_empty_sections_have_their_defaults() -> None:
    """A section whose settings are all commented out is as good as none."""
    text = "data:\nadapter:\nstages:\nhead:\ntraining:\n"

    assert validate(parse(text, "x.yaml")) == Spec()


@pytest.mark.parametrize("name", ["x", "X-1.2_b", "0", "a" * 64])
def test_names_of_run_folders_are_allowed(name: str) -> None:
    """Letters, digits, dots, underscores, hyphens."""
    assert Spec(name=name).name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "-x", "_x", "a/b", "a\\b", "a b", "ä", "a" * 65, "a\n", "con:", "\x1b[m"],
)
def test_names_that_are_no_folder_are_refused(name: str) -> None:
    """A name can never lead out of the folder of runs."""
    with pytest.raises(SpecError, match="'name' of the spec must be up to 64 letters, digits"):
        Spec(name=name)


def test_there_is_a_limit_to_descriptions_and_none_to_stages() -> None:
    """2,000 characters are enough; the number of stages is bounded by the network."""
    Spec(stages=(Rectification(),) * 3000, description="x" * 2000)

    with pytest.raises(SpecError) as caught:
        Spec(description="x" * 2001)

    assert [problem.path for problem in caught.value.problems] == ["description"]
    assert "a text of at most 2000 characters" in str(caught.value)


def test_wrong_typed_settings_are_told_with_their_path() -> None:
    """Wherever the mistake is made."""
    with pytest.raises(SpecError, match=r"^stages\[1\]: Adam is not registered as a stage$"):
        Spec(stages=(Rectification(), Adam()))
    with pytest.raises(SpecError, match=r"^training: training takes settings, .*; got settings of"):
        Spec(training=Sgd())
    with pytest.raises(SpecError, match=r"^source: Sgd is not registered as a data source$"):
        Data(source=Sgd())
    with pytest.raises(SpecError, match=r"^epochs: 'epochs' of training must be at least 1; got 0"):
        Training(epochs=0)


def test_impossible_shapes_are_explained_where_they_stand() -> None:
    """The stage's line, the shapes that led there, and what would fit."""
    spec = validate(parse(TEXT, "small.yaml"))

    with pytest.raises(ShapeError) as caught:
        Network(spec, GridShape(1, 12, 12), classes=2)

    assert str(caught.value) == (
        "small.yaml:6:5: 4 convolution: a kernel of 5 x 5 does not fit into 2 x 2 cells; a kernel "
        "of at most 2 x 2 fits, or padding: same. The grids: 1 x 12 x 12 (channels x rows x "
        "columns), 8 x 10 x 10 after 1 convolution, 8 x 10 x 10 after 2 rectification, 8 x 2 x 2 "
        "after 3 pooling"
    )
    assert caught.value.problems[0].path == "stages[3]"


def test_shapes_that_a_change_makes_impossible_name_the_change() -> None:
    """And not the line of the file where all was well."""
    text = TEXT.replace("kernel_size: 5", "kernel_size: 2")
    document = parse(text, "small.yaml")
    Network(validate(document), GridShape(1, 12, 12))
    spec = load(validate(document), changes=["stages[3].convolution.kernel_size=5"])

    with pytest.raises(ShapeError) as caught:
        Network(spec, GridShape(1, 12, 12))

    assert str(caught.value).startswith("--set stages[3].convolution.kernel_size=5: 4 convolution:")


def test_networks_larger_than_any_memory_are_refused_where_they_grow() -> None:
    """With their place, before anything is allocated."""
    text = "stages:\n  - convolution: {filters: 65536, kernel_size: 100}\nhead: voting\n"
    spec = validate(parse(text, "large.yaml"))

    with pytest.raises(ShapeError, match=r"^large.yaml:2:5: 1 convolution: .* parameters so far"):
        Network(spec, GridShape(3, 100, 100), classes=2)


def test_an_adapter_with_learned_settings_stays_learned() -> None:
    """What `model_copy` puts into a spec is read back."""
    spec = Spec().model_copy(update={"adapter": ImageAdapter(size=(8, 8))})

    assert load(spec).adapter == ImageAdapter(size=(8, 8))
