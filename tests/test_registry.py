"""Registries: names that load when they are asked for, from here and from other packages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from gridcnn import registry as room
from gridcnn.errors import SpecError, UnknownNameError
from gridcnn.registry import Registry
from gridcnn.settings.base import Settings
from gridcnn.spec.augmentations import AUGMENTATIONS
from gridcnn.spec.models import ADAPTERS, HEADS, SOURCES, STAGES
from gridcnn.spec.optimizers import OPTIMIZERS, SCHEDULES

BUILT_IN = {"path": "pathlib:Path", "counter": "collections:Counter", "hidden": "json:loads"}
Install = Callable[[dict[str, str]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that makes names appear as those of other packages."""

    def installed(points: dict[str, str]) -> None:
        found = [EntryPoint(name, value, "gridcnn.odd_things") for name, value in points.items()]
        monkeypatch.setattr(
            room, "entry_points", lambda group: found if group == "gridcnn.odd_things" else []
        )

    return installed


def made() -> Registry:
    return Registry(
        "odd thing", BUILT_IN, foreign={"tally": "counter"}, unlisted=frozenset({"hidden"})
    )


def test_names_load_what_they_stand_for() -> None:
    """A registry is a mapping; unlisted names work, and are not shown."""
    import collections

    registry = made()

    assert registry["counter"] is collections.Counter
    assert list(registry) == ["path", "counter", "hidden"]
    assert registry.names() == ["path", "counter"]
    assert len(registry) == 3
    assert "hidden" in registry
    assert "other" not in registry
    assert registry.get("path") is Path
    assert registry.get("other") is None
    assert registry.get("other", 3) == 3


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """And with the nearest, or with ours where another system's is given."""
    registry = made()

    with pytest.raises(UnknownNameError, match="'conter' is not an odd thing; did you mean"):
        registry["conter"]
    assert registry.unknown("x") == "'x' is not an odd thing. Known: path, counter"
    for other in ("tally", "Tally", "TAL_LY", "tal-ly"):
        assert "; here it is written 'counter'. Known:" in registry.unknown(other)
    assert registry.unknown("k" * 10_000).startswith("'kkkk")
    assert len(registry.unknown("k" * 10_000)) < 200
    assert registry.unknown("\x1b[31m").isprintable()


def test_other_packages_add_names(install: Install) -> None:
    """They stand behind the built-in ones, and load once."""
    install({"deque": "collections:deque"})
    import collections

    registry = made()

    assert registry["deque"] is collections.deque
    assert registry.names() == ["path", "counter", "deque"]


def test_a_closed_registry_takes_no_other_names(install: Install) -> None:
    """Where a name needs arithmetic that only gridcnn has, packages cannot add one."""
    install({"deque": "collections:deque"})

    registry = Registry(made().kind, BUILT_IN, closed=True)

    assert "deque" in made()
    assert "deque" not in registry
    assert list(registry) == list(BUILT_IN)


def test_a_built_in_name_cannot_be_replaced(install: Install) -> None:
    """Another package's entry of the same name is passed over."""
    install({"counter": "collections:deque"})
    import collections

    registry = made()

    assert registry["counter"] is collections.Counter
    assert list(registry) == list(BUILT_IN)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("no_such_module:Thing", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("collections:NoSuchThing", "AttributeError: .*NoSuchThing"),
        ("broken_plugin:Thing", "RuntimeError: at import"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named(
    install: Install, place: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told which one and why, when its name is used; other names go on working."""

    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("at import")

    monkeypatch.setitem(sys.modules, "broken_plugin", Broken("broken_plugin"))
    install({"bad": place})
    registry = made()

    with pytest.raises(SpecError, match=f"the odd thing 'bad' of the package .* {reason}"):
        registry["bad"]
    assert registry["path"]
    assert "bad" in registry.names()


@pytest.mark.parametrize(
    "registry",
    [STAGES, HEADS, ADAPTERS, SOURCES, OPTIMIZERS, SCHEDULES, AUGMENTATIONS],
    ids=lambda r: r.kind,
)
def test_everything_built_in_loads(registry: Registry) -> None:
    """Every name of a spec stands for documented settings, titled as they are named."""
    for name in registry:
        cls = registry[name]

        assert issubclass(cls, Settings)
        assert cls.title == name
        assert cls.__doc__
        assert cls.descriptions().keys() >= cls.model_fields.keys()


@pytest.mark.parametrize(
    ("registry", "given", "ours"),
    [
        (STAGES, "conv2d", "convolution"),
        (STAGES, "Conv2D", "convolution"),
        (STAGES, "conv", "convolution"),
        (STAGES, "relu", "rectification"),
        (STAGES, "ReLU", "rectification"),
        (STAGES, "maxpool", "pooling"),
        (STAGES, "max_pool2d", "pooling"),
        (STAGES, "MaxPooling2D", "pooling"),
        (STAGES, "avg_pool", "pooling: {mode: mean}"),
        (STAGES, "AveragePooling2D", "pooling: {mode: mean}"),
        (STAGES, "GlobalAveragePooling2D", "pooling: {window: all, mode: mean}"),
        (STAGES, "MaxPool2d", "pooling"),
        (STAGES, "global_average_pooling", "pooling: {window: all, mode: mean}"),
        (STAGES, "gap", "pooling: {window: all, mode: mean}"),
        (HEADS, "dense", "voting"),
        (HEADS, "fully_connected", "voting"),
        (ADAPTERS, "picture", "image"),
        (ADAPTERS, "numpy", "array"),
        (ADAPTERS, "strings", "text"),
        (ADAPTERS, "SMILES", "molecule"),
        (SCHEDULES, "CosineAnnealingLR", "cosine"),
        (SCHEDULES, "step_lr", "step"),
        (OPTIMIZERS, "gradient_descent", "sgd"),
        (AUGMENTATIONS, "RandomHorizontalFlip", "flip: columns"),
        (AUGMENTATIONS, "cutout", "mask: {form: box}"),
        (AUGMENTATIONS, "random_rotation", "rotate"),
    ],
)
def test_other_systems_names_are_answered_with_ours(
    registry: Registry, given: str, ours: str
) -> None:
    """Whoever knows another system is told how it is written here."""
    assert f"here it is written '{ours}'" in registry.unknown(given)
