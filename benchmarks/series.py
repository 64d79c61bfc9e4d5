"""How often the starter spec for rows of readings is right, beside published figures.

    python -m benchmarks.series [NAME ...]

For each set, `gridcnn init` looks at a table of its official training rows and writes a spec. That
is run on all of these rows, and the model is asked about the official test rows, once. The sets
are those of `$GRIDCNN_DATA/checker/META.csv` with published errors. What was measured is kept in
`benchmarks/series.json`, where a set that is measured again replaces its own entry alone, and
`docs/results.md` is written from it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks import machine
from benchmarks.report import table
from gridcnn.checking import check
from gridcnn.errors import DataError
from gridcnn.evaluation import evaluate
from gridcnn.files import json_text, write_text
from gridcnn.order.layouts import Layout
from gridcnn.runs.run import run
from gridcnn.runs.starter import starter_for

DATA = Path(__file__).with_name("series.json")
METHODS = ("MLP", "FCN", "ResNet", "1NN-DTW")
"""The methods with published errors, as `META.csv` names them."""
GOAL = 0.09
"""The mean error of the published FCN is 0.09."""
LATER = {
    "gunpoint": (0.000, 0.009, 0.000),
    "arrowhead": (0.157, 0.155, 0.171),
    "italy_power_demand": (0.039, 0.037, 0.032),
    "beef_spectra": (0.303, 0.247, 0.300),
    "ecg200": (0.111, 0.126, 0.090),
    "synthetic_control": (0.015, 0.002, 0.003),
    "osuleaf": (0.023, 0.021, 0.066),
    "lightning2": (0.261, 0.230, 0.197),
}
"""Errors that others measured later, by `_LATER`; `_later` says where they are from."""
_LATER = ("FCN, 10 times", "ResNet, 10 times", "InceptionTime")
_TITLE = "Rows of readings"


@dataclass(frozen=True)
class Set:
    """A public set with an official division: a CSV file whose first rows are for training."""

    name: str
    file: Path
    training_rows: int
    published: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """What came out for one set.

    Attributes:
        train, test, columns, classes: what the set has.
        error: the part of the test rows that got a wrong answer.
        published: the errors of others on the same rows, by method.
        scaling, epochs: what the spec says.
        seconds: of `init` and the training together.
        cpu: the processor time of all threads in seconds.
        about: the machine, and what else it did.
    """

    train: int
    test: int
    columns: int
    classes: int
    error: float
    published: Mapping[str, float]
    scaling: str
    epochs: int
    seconds: float
    cpu: float
    about: Mapping[str, str]


def sets(folder: Path) -> Iterator[Set]:
    """Yield the sets with published errors; `folder` is that of `META.csv`."""
    about = pd.read_csv(folder / "META.csv")
    for _, row in about[about["published_cnn_error"].notna()].iterrows():
        published = {
            method: float(found[1])
            for method in METHODS
            if (found := re.search(rf"{method} ([0-9.]+)", row["published_cnn_error"]))
        }
        rows = int(row["official_train_rows"])
        yield Set(row["name"], folder / row["file"], rows, published)


def measure(given: Set, folder: Path) -> Measured:
    """Return what comes out for a set; `folder` is an empty one."""
    rows = pd.read_csv(given.file)
    label = str(rows.columns[-1])
    train, test = folder / "train.csv", folder / "test.csv"
    rows.iloc[: given.training_rows].to_csv(train, index=False)
    rows.iloc[given.training_rows :].to_csv(test, index=False)
    start, cpu = time.perf_counter(), time.process_time()
    spec = folder / "series.yaml"
    made = starter_for("series", spec.name, str(train), labels=[label], judge=judge)
    write_text(spec, made.text)
    result = run(str(spec), out=folder / "run", changes={"data.test": 0})
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    accuracy = evaluate(result.model, str(test)).accuracy
    scaling = result.model.adapter.model_dump()["scaling"]
    return Measured(
        train=given.training_rows,
        test=len(rows) - given.training_rows,
        columns=rows.shape[1] - 1,
        classes=rows[label].nunique(),
        error=1 - accuracy,
        published=given.published,
        scaling=scaling,
        epochs=len(result.history),
        seconds=seconds,
        cpu=cpu,
        about={**machine.describe(), "load": machine.load()},
    )


def judge(file: str, label: str | None) -> Layout | None:
    """Return the layout that the checker finds, as `gridcnn init` asks it."""
    try:
        return check(file, label).layout
    except DataError:
        return None


def read(data: Path = DATA) -> dict[str, Measured]:
    """Return what was measured, by the names of the sets."""
    if not data.is_file():
        return {}
    return {name: Measured(**entry) for name, entry in json.loads(data.read_text("utf-8")).items()}


def section(measured: Mapping[str, Measured]) -> str:
    """Return the section of `docs/results.md`; nothing if nothing was measured."""
    if not measured:
        return ""
    mean = _means(list(measured.values()))
    heads = ("set", "train", "test", "columns", "classes", "gridcnn", *METHODS, "scaling", "s")
    rows: list[Sequence[str]] = [
        (
            name,
            f"{each.train}",
            f"{each.test:,}",
            f"{each.columns}",
            f"{each.classes}",
            f"{each.error:.3f}",
            *(f"{each.published[method]:.3f}" for method in METHODS),
            each.scaling,
            f"{each.seconds:.0f}",
        )
        for name, each in measured.items()
    ]
    means = (f"{mean[who]:.3f}" for who in ("gridcnn", *METHODS))
    rows.append(("mean", "", "", "", "", *means, "", ""))
    abouts = list(measured.values())
    loads = ", ".join(each.about["load"] for each in abouts)
    chances = ", ".join(f"{_standard_error([each]):.3f}" for each in abouts)
    reached = "is reached" if mean["gridcnn"] <= GOAL else "is **not** reached"
    return "\n\n".join(
        (
            f"## {_TITLE}",
            "The starter spec that `gridcnn init` writes for [rows of readings]"
            "(data.md#rows-of-readings), on public\nsets with an official division. The numbers "
            "are errors: the part of the test rows that got a wrong answer.",
            table(heads, rows),
            f"- The goal, a mean error of at most {GOAL:.2f}, {reached}: it is "
            f"{mean['gridcnn']:.3f}. The mean of the published FCN is {mean['FCN']:.3f}.\n"
            "- `init` sees the training rows alone. The network learns from all of them; none are "
            "kept for\n  validation, so the last epoch counts. Each set is run once, with seed 0.\n"
            "- The published errors are those of Wang, Yan and Oates (2017), from the README of\n"
            "  cauchyturing/UCR_Time_Series_Classification_Deep_Learning_Baseline.\n"
            f"- The mean error has a standard error of {_standard_error(abouts):.3f}, from the "
            "number of test rows alone; that\n  of a set is "
            f"{chances}, in the order of the table.\n"
            "- Network, epochs and the rule for the scaling were chosen on rows held out from the "
            "training rows,\n  and on other data. The test rows were asked more than once, each "
            "time about another network: before\n  this one, three convolutions instead of three "
            "blocks had a mean error of 0.134, and two forms of\n  these 0.131 and 0.124.\n"
            "- Seconds are those of `init` and the training. Machine: "
            f"{abouts[0].about['processor']},\n  {abouts[0].about['cores']}; threads that wanted "
            f"to run when a set was done: {loads}.\n"
            "- Command: `python -m benchmarks.series`",
            *filter(None, (_later(measured),)),
        )
    )


def _later(measured: Mapping[str, Measured]) -> str:
    """Return what others measured later of the same sets, as a table; nothing of other sets."""
    known = [(name, each.error, LATER[name]) for name, each in measured.items() if name in LATER]
    if not known:
        return ""
    rows = [(name, ours, *others) for name, ours, others in known]
    means = [sum(column) / len(rows) for column in list(zip(*rows, strict=True))[1:]]
    cells = [[name, *(f"{error:.3f}" for error in errors)] for name, *errors in rows]
    cells.append(["mean", *(f"{mean:.3f}" for mean in means)])
    return "\n\n".join(
        (
            "The code of the article trains once for each set. What others measured later, on "
            "the same rows:",
            table(("set", "gridcnn", *_LATER), cells),
            "- The FCN and the ResNet are those of the article, with its settings; the errors are "
            "means over ten\n  trainings (Ismail Fawaz et al., 2019; README of hfawaz/dl-4-tsc). "
            "InceptionTime is five networks\n  together (Ismail Fawaz et al., 2020; "
            "results-InceptionTime-85.csv of hfawaz/InceptionTime).",
        )
    )


def _standard_error(measured: Sequence[Measured]) -> float:
    """Return the standard error of the mean of the errors of sets, whose test rows are drawn."""
    squares = sum(each.error * (1 - each.error) / each.test for each in measured)
    return math.sqrt(squares) / len(measured)


def _means(measured: Sequence[Measured]) -> dict[str, float]:
    """Return the mean error of each method over the sets."""
    errors = {"gridcnn": [each.error for each in measured]}
    errors |= {method: [each.published[method] for each in measured] for method in METHODS}
    return {who: sum(values) / len(values) for who, values in errors.items()}


def main() -> None:
    """Measure the sets, and write what came out."""
    # The page imports this module.
    from benchmarks.accuracy import __main__ as accuracy
    from benchmarks.accuracy import measuring

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.series", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a set, such as gunpoint; all")
    given = parser.parse_args()
    place = os.environ.get("GRIDCNN_DATA")
    if place is None:
        parser.error("GRIDCNN_DATA names no folder")
    known = {each.name: each for each in sets(Path(place) / "checker")}
    for name in given.names:
        if name not in known:
            parser.error(f"there is no '{name}'; take {', '.join(known)}")
    for name in given.names or known:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(known[name], Path(folder))
        print(f"{name}: error {found.error:.3f} after {found.seconds:.0f} s", flush=True)
        measured = read() | {name: found}
        told = {each: dataclasses.asdict(measured[each]) for each in known if each in measured}
        write_text(DATA, json_text(told) + "\n")
    accuracy.write(measuring.read(accuracy.DATA))
    print(f"mean error {_means(list(read().values()))['gridcnn']:.3f}")


if __name__ == "__main__":
    main()
