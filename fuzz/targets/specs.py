"""Specs as YAML and JSON, and changes of settings as the command line takes them."""

from __future__ import annotations

from pathlib import Path

import yaml

from fuzz.changes import Changes
from fuzz.sealed import as_json, text_changed, yaml_changed
from fuzz.target import Target, require
from gridcnn.pipelines import ready
from gridcnn.spec.load import load, load_data
from gridcnn.spec.models import Spec
from gridcnn.spec.write import to_yaml

_SPEC = {
    "name": "all",
    "data": {
        "source": {"table": {"path": "a.csv", "input": ["x", "y"], "label": "z", "decimal": ","}},
        "group": {"pattern": "([a-z])_"},
        "test": 0.2,
        "validation": 10,
    },
    "adapter": {"table": {"size": [2, 1], "means": [0.0, 1.0], "deviations": [1.0, 2.0]}},
    "stages": [
        {"convolution": {"features": [[[[1, 0], [0, -1]]]]}},
        "rectification",
        {"convolution": {"filters": 4, "kernel_size": [1, 1], "padding": 1}},
        {"pooling": {"window": "all"}},
    ],
    "head": {"voting": {"hidden": [3, 4]}},
    "training": {
        "epochs": 3,
        "optimizer": {"sgd": {"momentum": 0.9}},
        "schedule": "cosine",
        "augmentation": [{"noise": 0.1}, {"shift": 1}, {"flip": "horizontal"}],
    },
    "check": "warn",
}
_ANCHORS = b"""a: &a {epochs: 3}
training: *a
stages: &s [pooling, "rectification", {pooling: {window: [2, 0x2]}}]  # so
name: >-
  folded
  text
"""
_CHANGES = (
    "training.epochs=3",
    "training.optimizer.sgd.momentum=0.5",
    "stages[0].convolution.filters=4",
    "stages.1=pooling",
    "data.source={table: {path: a.csv, label: x}}",
    "adapter.image.size=[8, 8]",
    "training.augmentation=[{noise: 0.1}]",
    "head=",
    "name='a b'",
)


def _seeds() -> list[bytes]:
    return [*ready().values(), yaml.safe_dump(_SPEC).encode(), as_json(_SPEC), _ANCHORS, b"{}"]


def _read(content: bytes, folder: Path) -> None:
    file = folder / "spec.yaml"
    file.write_bytes(content)
    _same_again(load(file), folder)


def _same_again(spec: Spec, folder: Path) -> None:
    """Raise `WrongError` unless a spec is read as it was written, from YAML and from plain data."""
    again = folder / "again.yaml"
    again.write_bytes(to_yaml(spec).encode("utf-8"))
    require(load(again) == spec, "a spec is not what is read of what was written of it")
    require(
        load_data(spec.model_dump(mode="json")) == spec,
        "a spec is not what is read of its plain data",
    )


def _change(content: bytes, folder: Path) -> None:
    """Take the first line as the name of a spec, and the others as changes."""
    name, *changes = content.decode("utf-8", "surrogateescape").split("\n")
    spec = load(name if name in ready() else "xo", changes=changes, ready=ready())
    _same_again(spec, folder)


def _lines_changed(content: bytes, changes: Changes) -> bytes:
    if changes.one_in(3):
        more = changes.random.choice(_CHANGES)
        return content + b"\n" + changes.text(more).encode("utf-8", "replace")
    return text_changed(content, changes)


TARGETS = (
    Target("spec", "specs in YAML and JSON", _seeds, _read, yaml_changed),
    Target(
        "set",
        "changes of settings, as --set takes them",
        lambda: [
            *(f"xo\n{change}".encode() for change in _CHANGES),
            "\n".join(("sms", *_CHANGES)).encode(),
        ],
        _change,
        _lines_changed,
    ),
)
