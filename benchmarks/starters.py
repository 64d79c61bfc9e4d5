"""Whether the first run of a starter spec depends on luck: many data sets, each with many seeds.

    python -m benchmarks.starters [NAME ...] [--seeds 20]

For each set, `gridcnn init` writes a spec for its files, and that is run as it is with each of the
seeds. Beside it stand two plain methods on the very same grids and division: the nearest training
item, and logistic regression. Of the two, the one that is right more often on the validation items
is the baseline. A run fails if it is worse on the test items by more than two points. What was
measured is kept in `benchmarks/starters.json`, where a set that is measured again replaces its own
entry alone, and `docs/results.md` is written from it. Sets that are not made need `GRIDCNN_DATA`.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import math
import os
import shutil
import struct
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks import machine
from benchmarks.report import table
from benchmarks.series import judge
from gridcnn.files import json_text, write_text
from gridcnn.grid import Cells, OneHot
from gridcnn.runs.located import locate
from gridcnn.runs.prepare import Part, prepare
from gridcnn.runs.run import run
from gridcnn.runs.starter import starter_for
from gridcnn.runs.watcher import RunWatcher
from gridcnn.spec.load import load
from gridcnn.training.signs import Sign

DATA = Path(__file__).with_name("starters.json")
SEEDS = 20
TEST = 0.2
"""The part of the items that starters keep for the test."""
ALLOWED = 0.02
"""How much worse than the baseline a run may be."""
_TITLE = "Starter specs"
_STEPS = 200
"""Steps of a logistic regression, at most."""


@dataclass(frozen=True)
class Set:
    """A data set as files, as a user has it.

    Attributes:
        about: what it is, in a few words.
        make: writes it into an empty folder, and returns the path for `gridcnn init`.
        real: whether it is copied from the folder that `GRIDCNN_DATA` names.
    """

    about: str
    make: Callable[[Path], Path]
    real: bool = False


@dataclass(frozen=True)
class Measured:
    """What came out for one set, with an entry for each seed in each list.

    Attributes:
        items, classes: what the set has.
        accuracy: the part of right answers on the test items.
        baseline: that of the baseline, on the same items.
        method: which method that was.
        signs: the kinds of signs that training failed.
        restarts: how often training began again.
        seconds: what the runs took in all.
        about: the machine, and what else it did.
    """

    items: int
    classes: int
    accuracy: list[float]
    baseline: list[float]
    method: list[str]
    signs: list[list[str]]
    restarts: list[int]
    seconds: float
    about: Mapping[str, str]

    @property
    def failed(self) -> int:
        """How many runs are worse than the baseline by more than is allowed."""
        return sum(
            ours < theirs - ALLOWED
            for ours, theirs in zip(self.accuracy, self.baseline, strict=True)
        )

    @property
    def surely_failed(self) -> int:
        """How many of these differ from the baseline by more than two standard errors.

        Of 40 test items one is 2.5 points. The errors are those of two independent parts; that both
        are asked about the same items makes the difference a little surer than that.
        """
        items = TEST * self.items
        return sum(
            theirs - ours > max(ALLOWED, 2 * math.sqrt((_var(ours) + _var(theirs)) / items))
            for ours, theirs in zip(self.accuracy, self.baseline, strict=True)
        )

    @property
    def worst(self) -> float:
        """The smallest difference to the baseline."""
        return min(a - b for a, b in zip(self.accuracy, self.baseline, strict=True))


def _var(part: float) -> float:
    return part * (1 - part)


class _Quiet(RunWatcher):
    def on_sign(self, sign: Sign) -> None:
        pass


def measure(given: Set, seeds: int, folder: Path) -> Measured:
    """Return what comes out for a set; `folder` is an empty one."""
    (folder / "data").mkdir()
    path = given.make(folder / "data")
    spec = folder / "starter.yaml"
    write_text(spec, starter_for("starter", spec.name, str(path), judge=judge).text)
    runs, baselines, start = [], [], time.perf_counter()
    for seed in range(seeds):
        loaded = load(spec, changes={"training.seed": seed})
        prepared = prepare(locate(loaded, None, folder))
        baselines.append(_baseline(prepared.train, prepared.validation, prepared.test))
        result = run(loaded, out=folder / f"run-{seed}", watcher=_Quiet())
        runs.append(result.metrics)
        shutil.rmtree(folder / f"run-{seed}")
    return Measured(
        items=sum(len(part) for part in (prepared.train, prepared.validation, prepared.test)),
        classes=len(prepared.classes),
        accuracy=[each["test"]["accuracy"] for each in runs],
        baseline=[accuracy for _, accuracy in baselines],
        method=[name for name, _ in baselines],
        signs=[[sign["kind"] for sign in each["signs"]] for each in runs],
        restarts=[each["restarts"] for each in runs],
        seconds=time.perf_counter() - start,
        about={**machine.describe(), "load": machine.load()},
    )


def _baseline(train: Part, validation: Part, test: Part) -> tuple[str, float]:
    """Return the plain method that validation chooses, and its accuracy on the test items."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    cells = [_features(part.data.grids) for part in (train, validation, test)]
    targets = [part.data.targets for part in (train, validation, test)]
    scaled = StandardScaler(with_mean=isinstance(cells[0], np.ndarray))
    methods: dict[str, Any] = {
        "logistic regression": make_pipeline(scaled, LogisticRegression(max_iter=_STEPS)),
        "nearest neighbour": KNeighborsClassifier(1),
    }
    best = ("", -1.0, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        for name, method in methods.items():
            method.fit(cells[0], targets[0])
            chosen = method.score(cells[1], targets[1]) if len(validation) else 0.0
            tested = float(method.score(cells[2], targets[2]))
            # Without validation items the better one on the test items: the harder comparison.
            score = chosen if len(validation) else tested
            if score > best[1]:
                best = (name, score, tested)
    return best[0], best[2]


def _features(grids: Cells) -> Any:
    """Return the cells of grids, a row for each item; sparse if they are one-hot."""
    if not isinstance(grids, OneHot):
        return np.asarray(grids, np.float32).reshape(len(grids), int(np.prod(grids.shape[1:])))
    from scipy.sparse import csr_matrix

    return csr_matrix(np.asarray(grids, np.float32).reshape(len(grids), -1))


# The sets ---------------------------------------------------------------------------------------


def _letters(folder: Path) -> Path:
    """Write 10,000 letters of 28 x 28 cells as IDX files: turned, moved, noisy."""
    count, random = 10_000, np.random.default_rng(0)
    letters = "ABCDEFGHIJ"
    labels = random.integers(0, len(letters), count)
    pictures = np.zeros((count, 28, 28), np.uint8)
    fonts = [ImageFont.load_default(size) for size in (14, 16, 18, 20)]
    for number, label in enumerate(labels.tolist()):
        picture = Image.new("L", (28, 28))
        place = tuple(random.integers(3, 10, 2).tolist())
        font = fonts[int(random.integers(len(fonts)))]
        ImageDraw.Draw(picture).text(place, letters[label], fill=255, font=font)
        turned = picture.rotate(float(random.uniform(-20, 20)), Image.Resampling.BILINEAR)
        noisy = np.asarray(turned, np.float64) + random.normal(0, 40, (28, 28))
        pictures[number] = np.clip(noisy, 0, 255).astype(np.uint8)
    _write_idx(folder / "train-images-idx3-ubyte", pictures)
    _write_idx(folder / "train-labels-idx1-ubyte", labels.astype(np.uint8))
    return folder


def _write_idx(path: Path, numbers: NDArray[np.uint8]) -> None:
    sizes = struct.pack(f">{numbers.ndim}I", *numbers.shape)
    path.write_bytes(bytes([0, 0, 8, numbers.ndim]) + sizes + numbers.tobytes())


def _digits(folder: Path) -> Path:
    """Write scikit-learn's digits as an array file."""
    from sklearn.datasets import load_digits

    found = load_digits()
    np.savez(folder / "digits.npz", X=found.images.astype(np.uint8), y=found.target)
    return folder / "digits.npz"


def _made(name: str, count: int, file: str = "") -> Callable[[Path], Path]:
    """Return what writes a made data set, as `gridcnn datasets make` does."""

    def make(folder: Path) -> Path:
        from typer.testing import CliRunner

        from gridcnn.cli.main import app

        path = folder / (file or "items")
        words = ["datasets", "make", name, str(path), "--count", str(count), "--quiet"]
        result = CliRunner().invoke(app, words)
        if result.exit_code:
            raise RuntimeError(result.output)
        return path

    return make


def _real(name: str) -> Path:
    return Path(os.environ["GRIDCNN_DATA"]) / name


def _fashion(folder: Path) -> Path:
    """Write the first 4,000 of the training pictures as IDX files."""
    for kind in ("images-idx3", "labels-idx1"):
        source = _real("images_fashion_mnist") / f"train-{kind}-ubyte.gz"
        with gzip.open(source) as file:
            content = file.read()
        sizes = struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]])
        flat = np.frombuffer(content, np.uint8, offset=4 + 4 * content[3])
        _write_idx(folder / f"train-{kind}-ubyte", flat.reshape(sizes)[:4_000])
    return folder


def _spoken(folder: Path) -> Path:
    """Copy a third of the spoken digits into class folders."""
    for path in sorted((_real("audio_fsdd") / "train").rglob("*.wav"))[::3]:
        target = folder / "clips" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder / "clips"


def _sms(folder: Path) -> Path:
    """Write every second message as a table."""
    path = _real("text_sms_spam") / "SMSSpamCollection.original.tsv"
    lines = path.read_text("utf-8").splitlines()
    text = "label\ttext\n" + "\n".join(lines[::2]) + "\n"
    (folder / "sms.tsv").write_text(text, "utf-8")
    return folder / "sms.tsv"


def _table(name: str) -> Callable[[Path], Path]:
    """Return what copies a table of readings."""

    def copy(folder: Path) -> Path:
        return Path(shutil.copy(_real("checker/ordered") / f"{name}.csv", folder))

    return copy


SETS: dict[str, Set] = {
    "letters": Set("letters of 28 x 28 cells in IDX files", _letters),
    "digits": Set("digits of 8 x 8 cells in an .npz file", _digits),
    "xo": Set("few pictures in class folders", _made("xo", 120)),
    "sounds": Set("few sounds in class folders", _made("sounds", 200)),
    "phrases": Set("texts in a CSV file", _made("phrases", 800, "phrases.csv")),
    "charts": Set("rows of readings in a CSV file", _made("charts", 300, "charts.csv")),
    "fashion": Set("pictures of clothes in IDX files", _fashion, real=True),
    "spoken digits": Set("clips in class folders", _spoken, real=True),
    "sms": Set("messages in a table, unequal classes", _sms, real=True),
    "ecg200": Set("rows of readings, two classes", _table("ecg200"), real=True),
    "arrowhead": Set("rows of readings, three classes", _table("arrowhead"), real=True),
    "phonemes": Set("spectra, five classes", _table("phoneme_periodogram"), real=True),
}


# The page ---------------------------------------------------------------------------------------


def read(data: Path = DATA) -> dict[str, Measured]:
    """Return what was measured, by the names of the sets."""
    if not data.is_file():
        return {}
    return {name: Measured(**entry) for name, entry in json.loads(data.read_text("utf-8")).items()}


def section(measured: Mapping[str, Measured]) -> str:
    """Return the section of `docs/results.md`; nothing if nothing was measured."""
    if not measured:
        return ""
    rows = []
    for name, each in measured.items():
        accuracies = np.array(each.accuracy)
        methods = max(set(each.method), key=each.method.count)
        rows.append(
            (
                f"{name}: {SETS[name].about}" if name in SETS else name,
                f"{each.items:,}",
                f"{each.classes}",
                f"{len(accuracies)}",
                f"{accuracies.mean():.1%}",
                f"{accuracies.min():.1%}",
                f"{np.mean(each.baseline):.1%}, {methods}",
                f"{100 * each.worst:+.1f}",
                f"{each.failed}",
                f"{each.surely_failed}",
                f"{sum(each.restarts)}",
            )
        )
    heads = (
        *("set", "items", "classes", "seeds", "mean", "lowest", "baseline"),
        *("worst difference", "failed", "beyond chance", "restarts"),
    )
    failed = sum(each.failed for each in measured.values())
    runs = sum(len(each.accuracy) for each in measured.values())
    abouts = list(measured.values())
    return "\n\n".join(
        (
            f"## {_TITLE}",
            "The spec that `gridcnn init` writes for the files of each set, run as it is with many "
            "seeds. Accuracies are\nthose of the test items.",
            table(heads, rows),
            f"- {failed} of {runs} runs fail: they are worse than the baseline by more than two "
            f"points. {sum(each.surely_failed for each in abouts)} of them\n  differ by more than "
            "two standard errors as well: a fifth of the items are for the test, and of 200\n  "
            "items in all one counts 2.5 points.\n"
            "- The baseline is the nearest training item or logistic regression, on the same grids "
            "and the same\n  division, whichever the validation items prefer; the worst difference "
            "is in points.\n"
            "- A seed decides the division, the starting weights, the order of the items and their "
            "augmentation.\n"
            f"- Machine: {abouts[0].about['processor']}, {abouts[0].about['cores']}.\n"
            "- Command: `python -m benchmarks.starters`",
        )
    )


def main() -> None:
    """Measure the sets, and write what came out."""
    # The page imports this module.
    from benchmarks.accuracy import __main__ as accuracy
    from benchmarks.accuracy import measuring

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.starters", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a set, such as letters; all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"{SEEDS}")
    given = parser.parse_args()
    for name in given.names:
        if name not in SETS:
            parser.error(f"there is no '{name}'; take {', '.join(SETS)}")
    for name in given.names or SETS:
        if SETS[name].real and "GRIDCNN_DATA" not in os.environ:
            print(f"{name}: GRIDCNN_DATA names no folder, so this set is left out")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found = measure(SETS[name], given.seeds, Path(folder))
        print(
            f"{name}: mean {np.mean(found.accuracy):.1%}, lowest {min(found.accuracy):.1%}, "
            f"baseline {np.mean(found.baseline):.1%}, worst difference {100 * found.worst:+.1f}, "
            f"{found.failed} of {given.seeds} failed, {sum(found.restarts)} restarts, "
            f"{found.seconds:.0f} s",
            flush=True,
        )
        measured = read() | {name: found}
        told = {each: dataclasses.asdict(measured[each]) for each in SETS if each in measured}
        write_text(DATA, json_text(told) + "\n")
    accuracy.write(measuring.read(accuracy.DATA))


if __name__ == "__main__":
    main()
