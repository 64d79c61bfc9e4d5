"""Writing specs: what is written reads back, here and elsewhere, and follows the schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gridcnn.errors import SpecError
from gridcnn.pipelines import ready
from gridcnn.settings.document import parse
from gridcnn.spec.load import load, validate
from gridcnn.spec.models import Spec
from gridcnn.spec.write import json_schema, to_yaml

EXAMPLE = """\
name: xo
data:
  source: xo                     # a known data set, a folder of class folders, a manifest, ...
  test: 0.2
adapter:
  image: {size: [32, 32], channels: 1}
stages:
  - convolution: {filters: 8, kernel_size: 3}
  - rectification
  - pooling: {window: 2, stride: 2}
  - convolution: {filters: 16, kernel_size: 3}
  - rectification
  - pooling: {window: 2, stride: 2}
head:
  voting: {hidden: [32]}
training: {epochs: 10, batch_size: 64, optimizer: adam, learning_rate: 0.003, seed: 0}
"""
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

lengths = st.integers(1, 16_384)
counts = st.integers(1, 65_536)
many = st.integers(1, 10**9)
parts = st.floats(0, 1, exclude_max=True)
above = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
not_below = st.floats(min_value=0, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=30)
WORDS = (
    "1e5 0o10 0x1F 09 1_000 .5 1. on No y null ~ = << --- 2020-01-01 12:30:45 %x @x `x !x &x *x "
    "? | > ' \" \x1b[31m \U0001f642"
)
LINES = ["a: b", "a #b", "- a", " a ", "\ta", "a\n\nb\n ", "\x85", "a\u2028", "\ufeff"]
awkward = st.sampled_from([*WORDS.split(" "), *LINES])


def both(of: st.SearchStrategy[Any], *words: str) -> st.SearchStrategy[Any]:
    """Return sizes along both axes in each of their forms; words may stand for either axis."""
    one = of | st.sampled_from(words) if words else of
    return one | st.lists(one, min_size=2, max_size=2)


def some(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


def chosen(name: str, inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([name, {name: None}]) | inside.map(lambda value: {name: value})


features = st.tuples(
    st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.booleans()
).flatmap(
    lambda sizes: st.lists(
        st.lists(
            st.lists(
                st.lists(
                    st.floats(-9, 9) | st.integers(-9, 9), min_size=sizes[3], max_size=sizes[3]
                ),
                min_size=sizes[2],
                max_size=sizes[2],
            ),
            min_size=sizes[1],
            max_size=sizes[1],
        ).map(lambda images: images[0] if sizes[4] else images),
        min_size=sizes[0],
        max_size=sizes[0],
    )
)
windows = {
    "stride": both(lengths),
    "padding": both(st.integers(0, 16_384)) | st.sampled_from(["same", "valid"]),
    "dilation": both(lengths),
    "bias": st.booleans(),
    "scale": st.sampled_from(["sum", "match"]),
    "trainable": st.booleans(),
}
convolution = st.fixed_dictionaries(
    {"filters": counts},
    optional={**windows, "kernel_size": both(lengths, "all"), "features": st.none()},
) | st.fixed_dictionaries({"features": features}, optional={**windows, "filters": st.none()})
pooling = some(
    window=both(lengths, "all"),
    stride=st.none() | both(lengths),
    mode=st.sampled_from(["max", "mean"]),
    edges=st.sampled_from(["keep", "drop"]),
)
stages = st.lists(
    convolution.map(lambda value: {"convolution": value})
    | chosen("rectification", st.just({}))
    | chosen("pooling", pooling),
    max_size=6,
)
image = some(
    size=both(lengths),
    channels=st.sampled_from([1, 3]),
    fit=st.sampled_from(["pad", "crop", "stretch", "ink"]),
    margin=st.floats(0, 4) | st.just(1),
    polarity=st.sampled_from(["keep", "invert", "ink"]),
    background=st.sampled_from(["auto", "white", "#102030"]),
    range=st.tuples(st.floats(-9, 0), st.floats(1, 9)).map(list),
)
array = some(
    size=st.none() | both(lengths),
    channels=st.none() | counts,
    channel_order=st.sampled_from(["auto", "first", "last"]),
    scaling=st.sampled_from(["range", "none"]),
    low=st.none() | st.floats(-9, 0),
    high=st.none() | st.floats(0, 9),
)
made = some(count=st.integers(1, 1000), seed=st.none() | st.integers(0, 2**31), noise=parts)
sources = (
    chosen("xo", made)
    | st.just("digits")
    | texts.filter(bool)
    | awkward
    | texts.filter(bool).map(lambda path: {"files": {"path": path}})
    | st.just({"memory": None})
)
adam = some(beta1=parts, beta2=parts, epsilon=above)
fill = st.none() | st.just("edge") | st.floats(-9, 9) | st.integers(-9, 9)
probability = st.floats(0, 1, exclude_min=True, exclude_max=True)


def along(of: st.SearchStrategy[Any], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return settings for rows and columns, or one number for both."""
    return of | st.fixed_dictionaries({"columns": of}, optional={"rows": of, **more})


augmentation = st.lists(
    along(lengths, fill=fill).map(lambda value: {"shift": value})
    | along(
        lengths,
        count=st.integers(1, 64),
        form=st.just("bands"),
        fill=st.floats(-9, 9),
    ).map(lambda value: {"mask": value})
    | along(probability, fill=fill).map(lambda value: {"zoom": value})
    | (
        st.sampled_from(["rows", "columns"])
        | st.fixed_dictionaries(
            {"axis": st.sampled_from(["rows", "columns"])}, optional={"probability": probability}
        )
    ).map(lambda value: {"flip": value})
    | (
        st.floats(1, 180)
        | st.fixed_dictionaries({"degrees": st.integers(1, 180)}, optional={"fill": fill})
    ).map(lambda value: {"rotate": value})
    | (probability | probability.map(lambda value: {"probability": value})).map(
        lambda value: {"drop": value}
    )
    | (above | above.map(lambda value: {"deviation": value})).map(lambda value: {"noise": value})
    | (probability | above.map(lambda value: {"offset": value})).map(lambda value: {"gain": value}),
    max_size=4,
)
training = some(
    method=st.sampled_from(["backpropagation", "nudge"]),
    epochs=many,
    batch_size=many,
    optimizer=chosen("sgd", some(momentum=parts, nesterov=st.booleans()))
    | chosen("adam", adam)
    | chosen("adamw", adam),
    learning_rate=above | st.just(1),
    schedule=chosen("constant", st.just({}))
    | chosen("cosine", some(final=not_below))
    | chosen("step", some(every=many, factor=above)),
    warm_up=not_below,
    weight_decay=st.none() | not_below,
    gradient_clip=st.none() | above,
    patience=st.none() | counts,
    augmentation=st.none() | augmentation,
    start=st.sampled_from(["he", "glorot"]),
    seed=st.integers(0, 10**9),
)
specs = some(
    name=st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
    | st.sampled_from(["1e5", "on", "0o7"]),
    description=texts | awkward,
    data=st.none()
    | st.fixed_dictionaries(
        {"source": sources},
        optional={
            "test": parts,
            "validation": parts,
            "bad_items": st.sampled_from(["stop", "skip"]),
        },
    ),
    adapter=st.none() | chosen("image", image) | chosen("array", array),
    check=st.sampled_from(["reject", "warn", "off"]),
    stages=st.none() | stages,
    head=st.none()
    | chosen("voting", some(hidden=st.lists(counts, max_size=3), dropout=parts)),
    training=st.none() | training,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(specs)
def test_what_is_written_reads_back(drawn: dict[str, Any]) -> None:
    """Here as an equal spec, and as the same data by any reader of YAML 1.1."""
    spec = load(drawn)

    text = to_yaml(spec)
    document = parse(text, "resolved.yaml")

    assert document.problems == []
    assert validate(document) == spec
    assert load(spec) == spec
    assert to_yaml(validate(document)) == text
    data = spec.model_dump(mode="json")
    assert document.data == data
    assert yaml.safe_load(text) == data


@settings(max_examples=150, deadline=None)
@given(specs)
def test_what_is_read_follows_the_schema(drawn: dict[str, Any]) -> None:
    """As it was given, and with every default filled in."""
    spec = load(drawn)

    for data in (drawn, spec.model_dump(mode="json")):
        error = jsonschema.exceptions.best_match(VALIDATOR.iter_errors(data))
        assert error is None, error.message


@settings(max_examples=150, deadline=None)
@given(specs, st.data())
def test_what_the_schema_refuses_is_refused(drawn: dict[str, Any], data: st.DataObject) -> None:
    """A value that editors mark as wrong is never read."""
    inside: Any = drawn
    while isinstance(inside, dict) and inside:
        key = data.draw(st.sampled_from(sorted(inside)))
        if not isinstance(inside[key], dict) or data.draw(st.booleans()):
            inside[key] = data.draw(
                st.none() | st.booleans() | st.integers(-2, 3) | st.floats(-2, 2) | awkward
                | st.lists(st.integers(-1, 3), max_size=3)
            )  # fmt: skip
            break
        inside = inside[key]
    try:
        load(drawn)
    except SpecError:
        return
    assert VALIDATOR.is_valid(drawn)


def test_resolved_specs_are_pleasant_to_read() -> None:
    """Every default is written out, short lists on one line, no tags and no anchors."""
    spec = validate(parse(EXAMPLE, "xo.yaml"))

    text = to_yaml(spec)

    assert "- rectification:\n    leak: 0.0\n" in text
    assert "kernel_size: [3, 3]" in text
    assert "epsilon: 1.0e-08" in text
    assert "weight_decay: 0.0" in text
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        assert getattr(event, "anchor", None) is None
        assert getattr(event, "tag", None) is None
    assert max(map(len, text.splitlines())) <= 100


def test_written_out_features_are_written_as_rows() -> None:
    """A mini-image looks like one."""
    text = to_yaml(load({"stages": [{"convolution": {"features": [[[1, -1], [-1, 1]]]}}]}))

    assert "[1.0, -1.0]\n" in text
    assert "[-1.0, 1.0]\n" in text


@pytest.mark.parametrize(
    "word", ["1e5", "0o10", "010", "on", "no", "null", "~", ".inf", "2020-01-01"]
)
def test_words_that_look_like_something_else_are_quoted(word: str) -> None:
    """For this reader and for others."""
    text = to_yaml(Spec(description=word))

    assert f"description: '{word}'" in text or f'description: "{word}"' in text


def test_the_schema_is_a_schema() -> None:
    """Of the draft that it names."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert SCHEMA["title"] == "gridcnn pipeline spec"


def test_the_schema_explains_every_setting() -> None:
    """Editors show the sentence beside the name."""
    for name, setting in SCHEMA["properties"].items():
        assert setting.get("description"), name
    for definition in SCHEMA["$defs"].values():
        assert definition["description"]
        assert all("description" in each for each in definition.get("properties", {}).values())


@pytest.mark.parametrize("text", [EXAMPLE.encode(), *ready().values()], ids=["example", *ready()])
def test_the_schema_takes_every_ready_spec(text: bytes) -> None:
    """And the example of the documentation."""
    document = parse(text, "x.yaml")

    VALIDATOR.validate(document.data)
    VALIDATOR.validate(validate(document).model_dump(mode="json"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: xo", "nmae: xo"),
        ("test: 0.2", "tset: 0.2"),
        ("filters: 8", "filter: 8"),
        ("pooling: {window: 2", "poling: {window: 2"),
        ("filters: 8", "filters: eight"),
        ("filters: 8", "filters: 0"),
        ("filters: 8", "filters: 8.5"),
        ("kernel_size: 3", "kernel_size: [3]"),
        ("[32, 32]", "[32, 0]"),
        ("channels: 1", "channels: 2"),
        ("channels: 1", "channels: true"),
        ("hidden: [32]", "hidden: 32"),
        ("optimizer: adam", "optimizer: adma"),
        ("learning_rate: 0.003", "learning_rate: 0"),
        ("test: 0.2", "test: 1.0"),
        ("- rectification", "- relu"),
        ("name: xo", "name: x/o"),
        ("epochs: 10", "epochs: null"),
        ("epochs: 10", "augmentation: [{noise: true}]"),
        ("epochs: 10", "augmentation: [{flip: diagonal}]"),
        ("epochs: 10", "augmentation: [{shift: {rows: 1, fill: white}}]"),
        ("epochs: 10", "augmentation: {flip: rows}"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(old: str, new: str) -> None:
    """An unknown key, a wrong type, a value out of its limits."""
    text = EXAMPLE.replace(old, new)
    document = parse(text, "x.yaml")

    assert not VALIDATOR.is_valid(document.data)
    with pytest.raises(SpecError):
        validate(document)
