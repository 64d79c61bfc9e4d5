"""Normalizations of a file: of batches, groups and instances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gridcnn.export.importing.reader import (
    Reader,
    Unsupported,
    Value,
    grid_of,
)
from gridcnn.export.importing.trace import Node


def read_normalization(reader: Reader, node: Node) -> Value:
    """Return what a batch normalization makes."""
    value = grid_of(reader, node)
    names = ("gain", "bias", "mean", "variance")
    parameters = {
        name: np.asarray(reader.need(node, place), np.float32)
        for place, name in enumerate(names, 1)
    }
    settings: dict[str, Any] = {"kind": "batch", "epsilon": _epsilon(node)}
    return reader.add("normalization", settings, [value], reader.sizes_of(value), parameters)


def _epsilon(node: Node) -> float:
    return max(float(f"{float(node.settings.get('epsilon', 1e-5)):.7g}"), 1e-9)


def read_group_normalization(reader: Reader, node: Node) -> Value:
    """Return what a group normalization makes."""
    value = grid_of(reader, node)
    channels = reader.sizes_of(value)[0]
    gain, bias = (np.ravel(reader.need(node, place)).astype(np.float32) for place in (1, 2))
    if len(gain) != channels:
        raise Unsupported("a gain for each channel can be imported, and not one for each group")
    groups = int(node.settings["num_groups"])
    settings = {"kind": "group", "groups": groups, "epsilon": _epsilon(node)}
    parameters = {"gain": gain, "bias": bias}
    return reader.add("normalization", settings, [value], reader.sizes_of(value), parameters)


def read_instance_normalization(reader: Reader, node: Node) -> Value:
    """Return a normalization of groups: written as one of reshaped maps, as PyTorch does it."""
    value = reader.data(node)
    groups = value.groups
    channels = reader.sizes_of(value)[0]
    gain, bias = (np.ravel(reader.need(node, place)).astype(np.float32) for place in (1, 2))
    if not groups:
        if value.form not in ("grid", "row"):
            raise Unsupported("its input is not a grid")
        groups = channels
    gain, bias = (np.repeat(each, channels // groups) for each in (gain, bias))
    settings = {"kind": "group", "groups": groups, "epsilon": _epsilon(node)}
    result = reader.add(
        "normalization",
        settings,
        [value],
        reader.sizes_of(value),
        {"gain": gain, "bias": bias},
    )
    return replace(result, groups=value.groups)
