"""Entries of caches: grids, what adapters have learned, and recipes of machine code."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from fuzz.changes import Changes
from fuzz.sealed import as_json, json_changed
from fuzz.target import Target, kept, require
from gridcnn.caches import Entries, key_of
from gridcnn.contracts.adapter import Adapted, Adapter
from gridcnn.engines.native import recipes
from gridcnn.engines.native.program import Arena, Program
from gridcnn.grid import Grids, GridShape, OneHot
from gridcnn.runs import grids_cache
from gridcnn.runs.adapting import _validate
from gridcnn.runs.grids_cache import GridsCache
from gridcnn.spec.load import load

_KEY = key_of("entry")
_THINGS = 3
_SHAPES = (GridShape(1, 2, 2), GridShape(1, 4, 3))

# Grids --------------------------------------------------------------------------------------------


def _grids() -> Sequence[bytes]:
    cache = GridsCache(kept() / "grids")
    values: tuple[Any, ...] = (
        np.ones((2, 1, 2, 2), np.float32),
        OneHot(np.zeros((2, 3), np.int32), 4),
    )
    found = []
    for each, shape in zip(values, _SHAPES, strict=True):
        adapted = Adapted(Grids(each, shape), np.array([0, 2]), ())
        cache.put(_KEY, [(_THINGS, adapted)], things=_THINGS, size=each.nbytes)
        assert cache.folder is not None
        found.append((cache.folder / f"{_KEY}.grids").read_bytes())
    return found


def _grids_changed(content: bytes, changes: Changes) -> bytes:
    """Change the header, the grids or which things they are of, and seal all of it again."""
    start, sealed = grids_cache._START, grids_cache._HEADER.size
    head, grids, mask = content[:sealed], content[start:-1], content[-1:]
    what = changes.random.randrange(6)
    if what == 0 or len(content) < start:
        return changes.raw(content)
    if what == 1:
        head = changes.plain(head)[:sealed].ljust(sealed, b"\0")
    elif what == 2:
        mask = bytes([changes.random.randrange(256)])
    else:
        grids = changes.plain(grids)
    if what > 1:
        head = head[:-32] + hashlib.sha256(grids).digest()
    head += hashlib.sha256(head + mask).digest()
    return head.ljust(start, b"\0") + grids + mask


def _take_grids(content: bytes, folder: Path) -> None:
    place = folder / "grids"
    place.mkdir(mode=0o700)
    (place / f"{_KEY}.grids").write_bytes(content)
    cache = GridsCache(place)
    for shape in _SHAPES:
        found = cache.get(_KEY, things=_THINGS, shape=shape)
        if found is not None:
            values = np.asarray(found.grids[:])
            require(values.shape == (found.made.sum(), *shape.sizes), "grids have another shape")
            require(bool(np.isfinite(values).all()), "grids are not finite")


# Adapters -----------------------------------------------------------------------------------------


@functools.cache
def _adapters() -> tuple[tuple[Adapter, Adapter], ...]:
    """Return adapters as they are given, and as they are once they have learned."""
    given: tuple[tuple[Any, Any], ...] = (
        ({"text": {"lower": True, "length": "auto"}}, {"alphabet": ["a", "b"], "length": 7}),
        ({"audio": {"sample_rate": 8000}}, {"duration": 1.5}),
        ({"molecule": {}}, {"alphabet": ["C", "O"], "length": 7}),
        ({"table": {"size": [1, 2]}}, {"means": [0.0, 1.0], "deviations": [1.0, 2.0]}),
        (
            {"array": {"channel_order": "last"}},
            {"size": (2, 2), "channels": 1, "low": 0.0, "high": 1.0},
        ),
    )
    found = []
    for settings, learned in given:
        adapter = load({"adapter": settings}).adapter
        assert adapter is not None
        whole = type(adapter).model_validate({**adapter.model_dump(), **learned})
        found.append((adapter, whole))
    return tuple(found)


def _take_adapter(content: bytes, folder: Path) -> None:  # noqa: ARG001 - as the others
    for adapter, whole in _adapters():
        found = _validate(adapter, content)
        if found is not None:
            require(found.shape().cells > 0, "an adapter has no shape")
            learned = {
                name
                for name in adapter.setting_names()
                if getattr(adapter, name) != getattr(whole, name)
            }
            for name in set(adapter.setting_names()) - learned:
                asked = getattr(adapter, name)
                require(asked in (None, "auto", getattr(found, name)), f"{name} is another")


# Recipes ------------------------------------------------------------------------------------------


def program() -> Program:
    """Return a program whose recipe is kept, with parts in one of its arenas."""
    arena = Arena(2, 100, [("grid", 2, 60), ("maps", 64, 16)])
    return Program("text", 4, key_of("code"), 3, arena, Arena(), 0, Arena(), 8, shared=False)


def _recipes() -> Sequence[bytes]:
    entries = Entries(kept() / "recipes", kind="object", limit=10**6)
    with mock.patch.object(recipes, "object_cache", return_value=entries):
        recipes.keep(_KEY, program())
    content = entries.get(_KEY)
    assert content is not None
    return [content]


def _take_recipe(content: bytes, folder: Path) -> None:
    entries = Entries(folder / "recipes", kind="object", limit=10**6)
    entries.put(_KEY, content)
    with mock.patch.object(recipes, "object_cache", return_value=entries):
        found = recipes.find(_KEY)
    if found is not None:
        for each in (found.workspace, found.packed, found.sums):
            inside = all(0 <= start <= start + size <= each.size for _, start, size in each.parts)
            require(inside, "a part lies outside of its arena")


TARGETS = (
    Target("grids", "kept grids", _grids, _take_grids, _grids_changed),
    Target(
        "fitted",
        "what adapters have learned",
        lambda: [as_json(json.loads(whole.model_dump_json())) for _, whole in _adapters()],
        _take_adapter,
        json_changed,
    ),
    Target("recipe", "recipes of machine code", _recipes, _take_recipe, json_changed),
)
