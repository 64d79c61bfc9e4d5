"""The families of made tables: one file for each group, which adds its makers when imported."""

from __future__ import annotations

from benchmarks.order.families import (
    attributes,
    counts,
    embeddings,
    genes,
    images,
    ledgers,
    one_hot,
    parts,
    questionnaires,
    sensors,
    sequences,
    series,
    sorted_features,
    spectra,
)

__all__ = [
    "attributes",
    "counts",
    "embeddings",
    "genes",
    "images",
    "ledgers",
    "one_hot",
    "parts",
    "questionnaires",
    "sensors",
    "sequences",
    "series",
    "sorted_features",
    "spectra",
]
