"""Sequences and boards: columns, or texts, of symbols of one alphabet."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import Answer, Grid, Made, Random, classes_by, family, grid, line

_BASES = np.array(list("ACGT"), object)


@family(
    "sequences",
    {"rows": 1_000, "length": 30},
    {"rows": 1_500, "length": 60},
    shuffles=True,
    undecided_if_shuffled=True,
)
def dna_with_motif(random: Random, rows: int, length: int) -> Made:
    """Bases, one in each column; half of the rows hold a motif of eight bases somewhere.

    A grid along the line. Shuffled, "undecided" is right, too: columns of one alphabet look like a
    sequence even if their order is lost.
    """
    bases = random.integers(0, 4, (rows, length))
    y = np.arange(rows) % 2
    word = random.integers(0, 4, 8)
    for row in np.flatnonzero(y):
        start = int(random.integers(0, length - 8))
        bases[row, start : start + 8] = word
    return Made(_BASES[bases], y, line(length, undecided=True))


@family(
    "sequences",
    {"rows": 800, "length": 40},
    {"rows": 400, "length": 80},
    shuffles=True,
    undecided_if_shuffled=True,
)
def dna_without_labels(random: Random, rows: int, length: int) -> Made:
    """Bases in which the last base decides much about the next (repeats, islands).

    A grid along the line, shown by neighbours alone.
    """
    chances = random.dirichlet(np.full(4, 0.35), 4).cumsum(axis=1)
    bases = np.empty((rows, length), np.int64)
    bases[:, 0] = random.integers(0, 4, rows)
    for place in range(1, length):
        drawn = random.random((rows, 1))
        bases[:, place] = (drawn > chances[bases[:, place - 1], :3]).sum(axis=1)
    return Made(_BASES[bases], None, line(length))


@family("sequences", {"rows": 500, "length": 30}, shuffles=True, undecided_if_shuffled=True)
def random_bases(random: Random, rows: int, length: int) -> Made:
    """Bases without any rule and without labels.

    "Undecided" is the best answer; that it looks like a sequence or like nothing is right, too.
    """
    bases = _BASES[random.integers(0, 4, (rows, length))]
    return Made(bases, None, Answer("either", undecided=True))


@family(
    "sequences",
    {"rows": 900, "side": 3},
    {"rows": 900, "side": 6},
    shuffles=True,
    undecided_if_shuffled=True,
)
def boards(random: Random, rows: int, side: int) -> Made:
    """Boards with x, o and empty cells; the class is whether some row or column has three x.

    A grid of side x side. "Undecided" is right, too: cells hardly depend on each other.
    """
    cells = random.integers(0, 3, (rows, side, side))
    three = (cells == 0).astype(np.int64)
    across = three[:, :, :-2] & three[:, :, 1:-1] & three[:, :, 2:]
    down = three[:, :-2] & three[:, 1:-1] & three[:, 2:]
    y = (across.any(axis=(1, 2)) | down.any(axis=(1, 2))).astype(np.int64)
    X = np.array(["x", "o", "b"], object)[cells].reshape(rows, -1)
    return Made(X, y, grid(Grid(side, side), undecided=True))


@family("sequences", {"rows": 600, "labels": True}, {"rows": 600, "labels": False})
def molecules(random: Random, rows: int, labels: bool) -> Made:
    """Texts like SMILES, of unequal lengths: chains of atoms with branches, rings and bonds.

    A grid along the line: what follows what is the molecule.
    """
    pieces = ["C", "CC", "N", "O", "C(=O)", "c1ccccc1", "C(C)", "Cl", "C#N", "S", "C=C"]
    counts = random.integers(4, 14, rows)
    chosen = [random.integers(0, len(pieces), count) for count in counts]
    texts = ["".join(pieces[piece] for piece in each) for each in chosen]
    rings = np.array([float((each == 5).sum()) for each in chosen])
    y = classes_by(rings, random, noise=0.1) if labels else None
    return Made(np.array(texts, object)[:, None], y, Answer("grid"))


@family("sequences", {"rows": 500, "length": 40}, {"rows": 500, "length": 90})
def sentences(random: Random, rows: int, length: int) -> Made:
    """Texts of made words from two vocabularies.

    A grid along the line: letters make words.
    """
    sounds = ["ba", "ko", "li", "mu", "ren", "sta", "tor", "va", "zi", "que"]
    words = ["".join(random.choice(sounds, 2)) for _ in range(40)]
    y = np.arange(rows) % 2
    texts = []
    for label in y:
        some = random.integers(0, 25, length // 5) + 15 * label
        texts.append(" ".join(words[word] for word in some)[:length])
    return Made(np.array(texts, object)[:, None], y, Answer("grid"))
