from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.contracts.stage import Composite, Graph
from gridcnn.errors import ShapeError, UserError
from gridcnn.grid import Axis, GridShape
from gridcnn.network import MAX_PARAMETERS, Network
from gridcnn.settings.document import parse
from gridcnn.spec import models
from gridcnn.spec.load import load, validate
from gridcnn.stages.rectification import Rectification

STAGES: list[Any] = [
    {"convolution": {"filters": 4}},
    "rectification",
    "pooling",
    {"convolution": {"features": [[[1, 0]], [[0, 1]]], "trainable": False, "bias": False}},
]


def network(
    stages: list[Any], shape: GridShape, *, hidden: tuple[int, ...] = (), **training: Any
) -> Network:
    spec = load({"stages": stages, "head": {"voting": {"hidden": hidden}}, "training": training})
    return Network(spec, shape, classes=3)


@pytest.fixture
def small() -> Network:
    """Return a network of two convolutions, the second one written out, and a hidden layer."""
    written = {"features": np.ones((2, 4, 1, 2)).tolist(), "trainable": False, "bias": False}
    return network([*STAGES[:3], {"convolution": written}], GridShape(1, 6, 7), hidden=(5,))


def test_every_shape_is_known(small: Network) -> None:
    assert [str(op.output) for op in small.ops] == [
        "4 x 6 x 7",
        "4 x 6 x 7",
        "4 x 3 x 4",
        "2 x 3 x 4",
        "3 x 1 x 1",
    ]
    assert [op.label for op in small.ops] == [
        "1 convolution",
        "2 rectification",
        "3 pooling",
        "4 convolution",
        "5 voting",
    ]
    assert small.output.sizes == (3, 1, 1)


def test_a_number_of_the_flat_vector_has_a_name(small: Network) -> None:
    """The name is the place of the number in the named parameter."""
    vector = np.arange(small.parameters, dtype=np.float32)

    named = small.named(vector)

    assert small.value_name(0) == "1.convolution.weights[0,0,0,0]"
    for index in range(small.parameters):
        name, _, place = small.value_name(index).removesuffix("]").partition("[")
        assert named[name][tuple(map(int, place.split(",")))] == index
    with pytest.raises(IndexError, match=f"the vector has {small.parameters:,}"):
        small.value_name(small.parameters)


def test_parameters_lie_in_the_order_of_the_stages(small: Network) -> None:
    """The flat vector is the documented layout: filters, channels, rows, columns, then biases."""
    vector = np.arange(small.parameters, dtype=np.float32)

    named = small.named(vector)
    assert {name: (view.shape, view.flat[0]) for name, view in named.items()} == {
        "1.convolution.weights": ((4, 1, 3, 3), 0),
        "1.convolution.bias": ((4,), 36),
        "4.convolution.weights": ((2, 4, 1, 2), 40),
        "5.voting.hidden1.weights": ((5, 24), 56),
        "5.voting.hidden1.bias": ((5,), 176),
        "5.voting.votes.weights": ((3, 5), 181),
        "5.voting.votes.bias": ((3,), 196),
    }
    assert small.parameters == 199
    np.testing.assert_array_equal(np.concatenate([view.ravel() for view in named.values()]), vector)


def test_named_parameters_are_views(small: Network) -> None:
    vector = np.zeros(small.parameters, np.float32)

    small.named(vector)["5.voting.votes.bias"][:] = 1
    assert vector[-3:].tolist() == [1, 1, 1]
    assert vector.sum() == 3


def test_a_vector_is_made_of_named_parameters(small: Network) -> None:
    vector = np.arange(small.parameters, dtype=np.float32)

    np.testing.assert_array_equal(small.vector(small.named(vector)), vector)


def test_named_parameters_that_do_not_fit_are_told(small: Network) -> None:
    named = small.named(np.zeros(small.parameters, np.float32))
    bias = named.pop("1.convolution.bias")

    with pytest.raises(ValueError, match=r"do not fit the network: 1\.convolution\.bias"):
        small.vector(named)
    with pytest.raises(ValueError, match=r"do not fit the network: other"):
        small.vector({**named, "1.convolution.bias": bias, "other": bias})
    with pytest.raises(ValueError, match=r"bias must be float32 \(4,\); got float32 \(1,\)"):
        small.vector({**named, "1.convolution.bias": bias[:1]})
    with pytest.raises(ValueError, match=r"bias must be float32 \(4,\); got float64 \(4,\)"):
        small.vector({**named, "1.convolution.bias": bias.astype(float)})


def test_masks_tell_what_is_trained_and_what_decays(small: Network) -> None:
    """Written-out features may stay as they are; biases never decay."""
    trainable = small.named(small.mask("trainable"))
    decays = small.named(small.mask("decays"))

    assert [name for name, mask in trainable.items() if not mask.all()] == ["4.convolution.weights"]
    assert not trainable["4.convolution.weights"].any()
    assert [name for name, mask in decays.items() if not mask.any()] == [
        "1.convolution.bias",
        "5.voting.hidden1.bias",
        "5.voting.votes.bias",
    ]


def test_costs_are_added_up(small: Network) -> None:
    convolutions = 4 * 6 * 7 * 9 + 2 * 3 * 4 * 4 * 2
    assert small.multiply_adds == convolutions + 168 + 4 * 12 * 4 + (24 * 5 + 5 * 3)


@pytest.mark.parametrize(
    ("start", "convolution", "hidden"),
    [("he", np.sqrt(2 / 36), np.sqrt(2 / 400)), ("glorot", np.sqrt(2 / 936), np.sqrt(2 / 600))],
)
def test_starting_weights_have_the_spread_that_was_asked_for(
    start: str, convolution: float, hidden: float
) -> None:
    """Weights have mean 0 and He's or Glorot's spread; biases are 0."""
    made = network(
        [{"convolution": {"filters": 100}}], GridShape(4, 2, 2), hidden=(200,), start=start
    )
    named = made.named(made.starting_parameters())

    weights = named["1.convolution.weights"]
    assert weights.std() == pytest.approx(convolution, rel=0.05)
    assert abs(weights.mean()) < 4 * convolution / np.sqrt(weights.size)
    assert named["2.voting.hidden1.weights"].std() == pytest.approx(hidden, rel=0.02)
    assert not named["1.convolution.bias"].any()
    assert not named["2.voting.votes.bias"].any()


def test_matches_start_with_the_usual_spread_of_maps() -> None:
    """Under `scale: match` starting features are larger by what the maps are divided by."""
    shape = GridShape(4, 2, 2)
    plain = network([{"convolution": {"filters": 9}}], shape).starting_parameters()
    match = network(
        [{"convolution": {"filters": 9, "scale": "match"}}], shape
    ).starting_parameters()

    np.testing.assert_allclose(match[: 9 * 36], 36 * plain[: 9 * 36], rtol=1e-6)


def test_written_features_start_as_they_are_written() -> None:
    for scale in ("sum", "match"):
        written = {"features": [[[1, -0.5]]], "scale": scale}
        made = network([{"convolution": written}], GridShape(1, 3, 3))

        assert made.starting_parameters()[:2].tolist() == [1, -0.5]


def test_the_seed_fixes_the_starting_weights() -> None:
    first, again, other = (
        network(STAGES[:1], GridShape(1, 4, 4), seed=seed).starting_parameters()
        for seed in (3, 3, 4)
    )

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_without_a_head_or_classes_it_ends_with_maps() -> None:
    spec = load({"stages": STAGES[:3]})

    assert Network(spec, GridShape(1, 8, 8)).output.sizes == (4, 4, 4)
    assert Network(spec, GridShape(1, 8, 8), classes=2).output.sizes == (4, 4, 4)
    assert Network(load({}), GridShape(1, 8, 8)).output.sizes == (1, 8, 8)
    assert Network(load({}), GridShape(1, 8, 8)).parameters == 0


def test_an_impossible_shape_names_the_stage_the_chain_and_what_would_fit() -> None:
    text = b"""stages:
  - convolution: {filters: 2, padding: valid}
  - pooling
  - convolution: {filters: 2, kernel_size: 5, padding: valid}
"""
    spec = validate(parse(text, "deep.yaml"))

    with pytest.raises(ShapeError) as caught:
        Network(spec, GridShape(1, 10, 8))
    assert str(caught.value) == (
        "deep.yaml:4:5: 3 convolution: a kernel of 5 x 5 does not fit into 4 x 3 cells; a kernel "
        "of at most 4 x 3 fits, or padding: same. The grids: 1 x 10 x 8 (channels x rows x "
        "columns), 2 x 8 x 6 after 1 convolution, 2 x 4 x 3 after 2 pooling"
    )


def test_axis_meaning_reaches_the_stages() -> None:
    """An axis without order stays one from stage to stage."""
    shape = GridShape(1, 26, 9, row_axis=Axis("character", ordered=False))
    across = {"convolution": {"filters": 2, "kernel_size": [1, 3]}}

    with pytest.raises(ShapeError, match=r"2 pooling: the rows are the axis 'character'.*\[all, 2"):
        Network(load({"stages": [across, "pooling"]}), shape)
    whole = {"convolution": {"filters": 2, "kernel_size": ["all", 3]}}
    assert Network(load({"stages": [whole, "pooling"]}), shape).output.sizes == (2, 1, 5)


def test_a_network_larger_than_any_memory_is_refused_before_it_is_made() -> None:
    with pytest.raises(ShapeError, match=r"parameters so far .* use fewer filters, smaller layers"):
        network([], GridShape(1, 2000, 2000), hidden=(65_536,))
    with pytest.raises(ShapeError, match="3,276,800,000 cells for each item"):
        network([{"convolution": {"filters": 50_000}}], GridShape(1, 256, 256))
    assert network([], GridShape(1, 1, 1)).parameters < MAX_PARAMETERS


# Stages inside stages ---------------------------------------------------------------------------

BLOCK: list[Any] = [{"convolution": {"filters": 4}}, "rectification"]
NESTED: list[Any] = [
    {"convolution": {"filters": 4}},
    {"repeat": {"times": 2, "stages": [{"skip": BLOCK}]}},
    {"parallel": [["pooling"], [{"convolution": {"filters": 2, "stride": 2}}], ["pooling"]]},
    {"skip": {"stages": [{"convolution": {"filters": 3}}], "shortcut": "projection"}},
]


def test_labels_number_what_is_inside() -> None:
    """A stage has the numbers of all that it is inside of, and a merge that of its composite."""
    made = network(NESTED, GridShape(1, 6, 6))

    assert [op.label for op in made.ops] == [
        "1 convolution",
        "2.1.1.1 convolution",
        "2.1.1.2 rectification",
        "2.1.1 sum",
        "2.2.1.1 convolution",
        "2.2.1.2 rectification",
        "2.2.1 sum",
        "3.1.1 pooling",
        "3.2.1 convolution",
        "3.3.1 pooling",
        "3 join",
        "4.1 convolution",
        "4 shortcut",
        "4 sum",
        "5 voting",
    ]
    assert [op.sources for op in made.ops][3:11] == [
        (1, 3),
        (4,),
        (5,),
        (4, 6),
        (7,),
        (7,),
        (7,),
        (8, 9, 10),
    ]
    assert [op.target for op in made.ops] == list(range(1, 16))
    assert "2.2.1.1.convolution.weights" in made.named(made.starting_parameters())


def test_groups_are_the_operations_of_composites_and_of_their_chains() -> None:
    groups = network(NESTED, GridShape(1, 6, 6)).groups

    assert {group.label: (group.depth, group.start, group.stop) for group in groups} == {
        "2 repeat": (0, 1, 7),
        "2.1": (1, 1, 4),
        "2.1.1 skip": (2, 1, 4),
        "2.2": (1, 4, 7),
        "2.2.1 skip": (2, 4, 7),
        "3 parallel": (0, 7, 11),
        "3.1": (1, 7, 8),
        "3.2": (1, 8, 9),
        "3.3": (1, 9, 10),
        "4 skip": (0, 11, 14),
    }


def test_values_are_found_by_number_and_by_label() -> None:
    """A number alone is that of a stage of the spec; all that is inside has a label."""
    made = network(NESTED, GridShape(1, 6, 6))

    assert [made.value_after(number) for number in range(6)] == [0, 1, 7, 11, 14, 15]
    assert [made.value_after(str(number)) for number in range(6)] == [0, 1, 7, 11, 14, 15]
    assert made.value_after("2.1") == made.value_after("2.1.1 skip") == 4
    assert made.value_after("2.1.1.2 rectification") == made.value_after("2.1.1.2") == 3
    assert (made.value_after("4.1"), made.value_after("4 shortcut")) == (12, 13)


@pytest.mark.parametrize("stage", [6, -1, True, 1.0, None, "2.3", "2 skip", ""])
def test_a_value_that_is_not_there_is_answered_with_those_that_are(stage: Any) -> None:
    expected = (
        f"there is no stage {stage}; 0 is the grid itself, then: 1 convolution, 2 repeat, "
        "3 parallel, 4 skip, 5 voting, and inside of them, as text, such as '2.1.1.1 convolution'"
    )
    with pytest.raises(UserError) as caught:
        network(NESTED, GridShape(1, 6, 6)).value_after(stage)
    assert str(caught.value).startswith(expected)


def test_a_label_with_a_slip_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean '4 shortcut'"):
        network(NESTED, GridShape(1, 6, 6)).value_after("4 short cut")


@pytest.mark.parametrize(
    ("text", "place", "chain"),
    [
        (
            """stages:
  - pooling
  - skip:
      stages:
        - rectification
        - convolution: {filters: 2, kernel_size: 5, padding: valid}
""",
            "6:11: 2.2 convolution",
            "1 x 4 x 4 after 1 pooling, 1 x 4 x 4 after 2.1 rectification",
        ),
        (
            """stages:
  - pooling
  - skip:
    - rectification
    - convolution: {filters: 2, kernel_size: 5, padding: valid}
""",
            "5:7: 2.2 convolution",
            "1 x 4 x 4 after 1 pooling, 1 x 4 x 4 after 2.1 rectification",
        ),
        (
            """stages:
  - parallel:
      branches:
        - - pooling
        - - rectification
          - convolution: {filters: 2, kernel_size: 9, padding: valid}
""",
            "6:13: 1.2.2 convolution",
            "(channels x rows x columns), 1 x 8 x 8 after 1.2.1 rectification",
        ),
        (
            """stages:
  - parallel:
    - [pooling]
    - - repeat:
          times: 3
          stages:
            - convolution: {filters: 2, kernel_size: 4, padding: valid}
""",
            "7:15: 1.2.1.3.1 convolution",
            "2 x 5 x 5 after 1.2.1.1.1 convolution, 2 x 2 x 2 after 1.2.1.2.1 convolution",
        ),
    ],
    ids=["skip in full", "skip as a list", "parallel in full", "parallel as a list"],
)
def test_an_error_inside_has_its_own_place_and_its_own_chain(
    text: str, place: str, chain: str
) -> None:
    """Line and column are those of the stage inside; the shapes are those that led to it."""
    with pytest.raises(ShapeError) as caught:
        Network(validate(parse(text.encode(), "deep.yaml")), GridShape(1, 8, 8))

    assert str(caught.value).startswith(f"deep.yaml:{place}: a kernel of ")
    assert str(caught.value).endswith(chain)
    assert "pooling" not in str(caught.value) or "1 pooling" in chain  # of another branch


def test_an_error_of_the_composite_itself_has_its_place() -> None:
    """Branches that cannot be joined are a problem of the stage that joins them."""
    text = b"stages:\n  - rectification\n  - parallel: [[pooling], [rectification]]\n"

    with pytest.raises(ShapeError) as caught:
        Network(validate(parse(text, "deep.yaml")), GridShape(1, 8, 8))
    assert str(caught.value).startswith("deep.yaml:3:5: 2 join: maps of 1 x 4 x 4 and 1 x 8 x 8 ")


class Odd(Composite):
    """A composite stage with a fault."""

    fault: str

    def expand(self, graph: Graph, value: int) -> int:
        stages = (Rectification(), Rectification())
        if self.fault == "labels":
            value = graph.chain(stages, value, place=())
            return graph.chain(stages, value, place=())
        if self.fault == "unread":
            graph.chain(stages, value, place=())
            return value
        if self.fault == "none":
            return None  # type: ignore[return-value] # as without `return`
        if self.fault == "number":
            return 99
        return graph.chain((self,), value, place=())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("labels", r"1\.1 rectification: there are two operations of this label; .*'part'.*'name'"),
        ("unread", r"1\.2 rectification: nothing uses its output"),
        ("endless", r"1\.1.*\.1 odd: its composite stage is broken: it expands into itself"),
        ("none", "1 odd: its composite stage is broken: expand returned None, not a value"),
        ("number", "1 odd: its composite stage is broken: expand returned 99, not a value"),
    ],
)
def test_a_composite_stage_that_is_broken_is_told(
    fault: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No two operations have one label, each is used, none is inside of itself, one comes out."""
    monkeypatch.setitem(models.STAGES._loaded, "odd", Odd)
    monkeypatch.setitem(models.STAGES._places, "odd", "")
    spec = load({"stages": ["rectification"]}).model_copy(update={"stages": (Odd(fault=fault),)})

    with pytest.raises(ShapeError, match=message):
        Network(spec, GridShape(1, 4, 4))
