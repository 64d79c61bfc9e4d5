"""Embeddings: features that a computation made, in the order in which it happened to."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import PERMUTABLE, Answer, Made, Random, Table, classes_by, family


def _hidden(random: Random, rows: int, factors: int) -> tuple[Table, Table]:
    """Return hidden features of clusters, and a score that depends on them."""
    centres = random.normal(size=(5, factors)) * 1.2
    hidden = centres[random.integers(0, 5, rows)] + random.normal(size=(rows, factors))
    return hidden, hidden[:, 0] + np.abs(hidden[:, 1])


@family(
    "embeddings",
    {"rows": 500, "columns": 32, "factors": 6},
    {"rows": 400, "columns": 96, "factors": 10},
)
def rotated_features(random: Random, rows: int, columns: int, factors: int) -> Made:
    """Vectors of an encoder: a random rotation of a few hidden features.

    Permutable: any rotation would be as good.
    """
    hidden, score = _hidden(random, rows, factors)
    X = hidden @ random.normal(size=(factors, columns)) + 0.3 * random.normal(size=(rows, columns))
    return Made(X, classes_by(score, random), PERMUTABLE)


@family("embeddings", {"rows": 500, "columns": 10}, {"rows": 500, "columns": 30})
def component_scores(random: Random, rows: int, columns: int) -> Made:
    """Scores of principal components, the largest variance first.

    Permutable: components do not correlate, so that none is a neighbour of another. "Undecided" is
    right, too: columns that do not depend on each other show no order.
    """
    hidden, score = _hidden(random, rows, columns)
    raw = hidden @ (random.normal(size=(columns, 60)) * np.exp(random.normal(size=(columns, 1))))
    raw += random.normal(size=raw.shape)
    raw -= raw.mean(axis=0)
    _, directions = np.linalg.eigh(raw.T @ raw)  # the smallest variance first
    X = raw @ directions[:, ::-1][:, :columns]
    return Made(X, classes_by(score, random), Answer("permutable", undecided=True))


@family("embeddings", {"rows": 500, "columns": 40}, {"rows": 300, "columns": 70})
def hidden_units(random: Random, rows: int, columns: int) -> Made:
    """Activations of a hidden layer of a network: many are 0.

    Permutable: hidden units can change places.
    """
    hidden, score = _hidden(random, rows, 8)
    X = np.maximum(hidden @ random.normal(size=(8, columns)) + random.normal(size=columns), 0)
    return Made(X, classes_by(score, random), PERMUTABLE)


@family("embeddings", {"rows": 500, "columns": 20}, {"rows": 500, "columns": 60})
def distances_to_prototypes(random: Random, rows: int, columns: int) -> Made:
    """Distances to randomly chosen prototypes.

    Permutable: prototypes are in no order.
    """
    hidden, score = _hidden(random, rows, 5)
    prototypes = hidden[random.choice(rows, columns, replace=False)]
    X = np.linalg.norm(hidden[:, None] - prototypes, axis=2)
    return Made(X, classes_by(score, random), PERMUTABLE)


@family("embeddings", {"rows": 600, "columns": 24}, {"rows": 600, "columns": 48})
def two_encoders(random: Random, rows: int, columns: int) -> Made:
    """Features of two encoders, one set behind the other: a mixture of two blocks.

    Permutable: two blocks, each without order.
    """
    halves = [_hidden(random, rows, 4) for _ in range(2)]
    parts = [hidden @ random.normal(size=(4, columns // 2)) for hidden, _ in halves]
    X = np.hstack(parts) + 0.5 * random.normal(size=(rows, columns))
    return Made(X, classes_by(halves[0][1] + halves[1][1], random), PERMUTABLE)


@family("embeddings", {"rows": 500, "bits": 64})
def fingerprints(random: Random, rows: int, bits: int) -> Made:
    """Bits of hashed fragments, as fingerprints of molecules are.

    Permutable: hashing puts a fragment anywhere.
    """
    hidden, score = _hidden(random, rows, 6)
    X = (hidden @ random.normal(size=(6, bits)) + random.normal(-1, 1, bits) > 0) * 1.0
    return Made(X, classes_by(score, random), PERMUTABLE)
