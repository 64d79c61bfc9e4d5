"""X or O in figures: seconds, accuracy, pictures by others, and when comparing literally is enough.

    python -m benchmarks.xo [DRAWINGS] [SEED]

The pictures are those of `benchmarks.drawings` and `benchmarks.framed`, which share nothing with
the training data. Seeds 1 to 30 of theirs were looked at while settings were chosen; take another
one for a figure to quote.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import gridcnn
from benchmarks.drawings import draw
from benchmarks.framed import photograph
from gridcnn.datasets.makers.xo import XO
from gridcnn.pipelines import ready
from gridcnn.runs.literal import literal_comparison
from gridcnn.runs.located import Located, locate
from gridcnn.runs.prepare import prepare
from gridcnn.spec.load import load
from gridcnn.training.loop import Labelled

_EXEMPLARS = (1, 10, 100, 1000)


def main(drawings: int, seed: int) -> None:
    """Run the ready spec, and print a table of figures."""
    start = time.perf_counter()
    XO(count=10_000).pictures(0)
    print(f"10,000 pictures of 32 x 32 drawn in {time.perf_counter() - start:.2f} s")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = gridcnn.run("xo", out=Path(folder) / "run")
    spent = time.perf_counter() - start
    test = result.metrics["test"]
    print(f"gridcnn run xo: {spent:.1f} s, test {test['accuracy']:.2%} of {test['items']:,}")

    for name, maker in (("foreign drawings", draw), ("photographed cells", photograph)):
        pictures, truth = zip(*maker(drawings, seed), strict=True)
        answers = result.model.predict(list(pictures))
        right = float(np.mean([a == t for a, t in zip(answers, truth, strict=True)]))
        print(f"{name}: {right:.2%} of {drawings:,} (seed {seed})")

    print("\nnearest exemplar, cell by cell     pictures as they are     ink cut out")
    tables = []
    for change in ({"adapter.image.fit": "pad", "adapter.image.polarity": "keep"}, {}):
        located = locate(load("xo", changes=change, ready=ready()), None, Path.cwd())
        tables.append(_by_exemplars(located))
    for count, plain, cut in zip((*_EXEMPLARS, 0), *tables, strict=True):
        label = f"{count} exemplars of each class" if count else "all training pictures"
        print(f"{label:<30}{plain:>24.1%}{cut:>16.1%}")


def _by_exemplars(located: Located) -> list[float]:
    prepared = prepare(located)
    training, found = prepared.train.data, []
    random = np.random.default_rng(0)
    members = [random.permutation(np.flatnonzero(training.targets == label)) for label in (0, 1)]
    for count in (*_EXEMPLARS, len(training)):
        kept = np.concatenate([each[:count] for each in members])
        exemplars = Labelled(training.grids[kept], training.targets[kept])
        found.append(literal_comparison(exemplars, prepared.test.data).accuracy)
    return found


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    main(*(numbers + [1000, 100][len(numbers) :]))
