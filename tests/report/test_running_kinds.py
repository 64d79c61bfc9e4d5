"""Reports of runs of all kinds of data, of folds and repetitions, and of comparisons."""

from __future__ import annotations

import html
import json
import re
import wave
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gridcnn
from gridcnn.errors import RunFolderError
from gridcnn.report.comparison_page import comparison_page
from gridcnn.report.running.writing import make_report
from tests.browser import Pages, faults_at_widths
from tests.cli.invoke import cli

pytestmark = pytest.mark.slow

WILD = '</script><script>alert("&")</script>'
LABELS = (WILD, "plain")


def data_of(page: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found)


def numbers_of(page: str) -> set[float]:
    return {float(value) for value in re.findall(r'<data value="([^"]*)">', page)}


def is_shown(pages: Pages, path: Path) -> Any:
    """Check that a browser shows a page at all widths, and return the page."""
    opened = pages.open(path)
    assert faults_at_widths(opened) == []
    return opened


def spec_of(**more: Any) -> dict[str, Any]:
    return {
        "name": "kinds",
        "head": "voting",
        "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
        "data": {"test": 0.4, "validation": 0.2},
        **more,
    }


def run_sounds(out: Path) -> gridcnn.Run:
    times = np.arange(8_000) / 8_000
    random = np.random.default_rng(0)
    clips = [
        np.sin(2 * np.pi * (400 + 800 * (item % 2)) * times + random.random()).astype(np.float32)
        for item in range(24)
    ]
    labels = [LABELS[item % 2] for item in range(24)]
    spec = spec_of(
        adapter={"audio": {"sample_rate": 8000, "duration": 1.0, "n_mels": 16}},
        stages=[{"convolution": {"filters": 2}}, "rectification", {"pooling": {"window": 4}}],
    )
    return gridcnn.run(spec, data=(clips, labels), out=out, report=True)


def run_texts(out: Path) -> gridcnn.Run:
    texts = [f"{'good' if item % 2 else 'bad'} news {item} {WILD}" for item in range(40)]
    spec = spec_of(
        adapter={"text": {"length": 30}},
        stages=[
            {"convolution": {"filters": 4, "kernel_size": ["all", 3]}},
            {"pooling": {"window": "all"}},
        ],
    )
    labels = [LABELS[item % 2] for item in range(40)]
    return gridcnn.run(spec, data=(texts, labels), out=out, report=True)


def run_molecules(out: Path) -> gridcnn.Run:
    names = ["CCO", "CCN", "c1ccccc1", "CC(=O)O", "CNC", "CCCl"]
    molecules = ["C" * (item % 7) + names[item % 6] for item in range(48)]
    spec = spec_of(
        adapter={"molecule": {"length": 24}},
        stages=[
            {"convolution": {"filters": 4, "kernel_size": ["all", 3]}},
            {"pooling": {"window": "all"}},
        ],
    )
    labels = [LABELS["O" in each] for each in molecules]
    return gridcnn.run(spec, data=(molecules, labels), out=out, report=True)


def run_rows(out: Path) -> gridcnn.Run:
    random = np.random.default_rng(0)
    rows = np.cumsum(random.normal(size=(80, 24)), axis=1)
    rows[::2] += np.linspace(0, 9, 24)
    labels = [LABELS[item % 2] for item in range(80)]
    spec = spec_of(
        adapter="table",
        stages=[{"convolution": {"filters": 2, "kernel_size": [1, 3]}}, "rectification"],
    )
    return gridcnn.run(spec, data=(rows, labels), out=out, report=True)


def run_labels(out: Path) -> gridcnn.Run:
    random = np.random.default_rng(0)
    targets = (random.random((60, 3)) < 0.4).astype(np.float32)
    grids = random.normal(0, 0.3, (60, 6, 6)).astype(np.float32)
    for label in range(3):
        grids[targets[:, label] == 1, 2 * label : 2 * label + 2] += 1
    targets[::9, 1] = np.nan
    spec = spec_of(
        adapter={"array": {"scaling": "none"}},
        stages=[{"convolution": {"filters": 3}}, "rectification", "pooling"],
        head={"voting": {"labels": "several"}},
        check="off",
    )
    y = pd.DataFrame(targets, columns=["ham", WILD, "eggs"])
    return gridcnn.run(spec, data=(grids, y), out=out, report=True)


KINDS = {
    "sounds": run_sounds,
    "texts": run_texts,
    "molecules": run_molecules,
    "rows": run_rows,
    "labels": run_labels,
}


class Runs:
    """Runs of each kind of data, with a report, made when they are asked for; for reading only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, gridcnn.Run] = {}

    def __getitem__(self, kind: str) -> gridcnn.Run:
        if kind not in self._made:
            self._made[kind] = KINDS[kind](self._folder / kind)
        return self._made[kind]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("kinds"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_has_a_page(pages: Pages, runs: Runs, kind: str) -> None:
    """Its items are shown, its numbers are those of the run, and no name is code."""
    path = runs[kind].folder / "report.html"

    opened = is_shown(pages, path)

    page, test = path.read_text("utf-8"), runs[kind].metrics["test"]
    assert {test["accuracy"], test["items"], test["macro_f1"]} <= numbers_of(page)
    assert "<script>alert" not in page
    assert opened.locator("#unsure + p + .items .item").count() == 12 - 2 * (kind == "sounds")
    assert path.stat().st_size < 3_000_000


def test_sounds_can_be_played(runs: Runs) -> None:
    """A sound in a page is that of the item."""
    looks = json.loads((runs["sounds"].folder / "report.json").read_text("utf-8"))["examples"]
    content = b64decode(looks["plain"][0]["sound"].partition(",")[2])

    with wave.open(BytesIO(content)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()

    pitch = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
    assert pitch == pytest.approx(1200, abs=2)


def test_texts_show_their_characters(runs: Runs) -> None:
    """All that was given, also what is no letter."""
    items = data_of((runs["texts"].folder / "report.html").read_text("utf-8"))["items"]

    assert any(WILD in item["look"]["text"] for item in items.values() if item["look"])


def test_a_row_is_a_curve(runs: Runs) -> None:
    """Its points are the cells of the grid; the evidence of the check stands below."""
    folder = runs["rows"].folder
    looks = json.loads((folder / "report.json").read_text("utf-8"))["examples"]["plain"]

    assert [len(curve) for curve in looks[0]["curves"]] == [24]
    page = (folder / "report.html").read_text("utf-8")
    for sentence in runs["rows"].metrics["check"]["verdicts"][0]["evidence"]:
        assert sentence.split(",")[0].split("'")[0] in page


def test_labels_have_figures_of_their_own(runs: Runs) -> None:
    """Each label's scores, and how many items were found, missed, or wrongly given it."""
    run = runs["labels"]
    page = (run.folder / "report.html").read_text("utf-8")
    numbers, frame = numbers_of(page), run.predictions_frame

    for scores in run.metrics["test"]["labels"].values():
        assert {scores["auc"], scores["recall"], scores["threshold"]} <= numbers
    cells = {(c["row"], c["column"]): c["count"] for c in data_of(page)["cells"]}
    truth, answer = frame["truth.ham"], frame["answer.ham"]
    wanted = [(truth == t) & (answer == a) for t, a in ((1, 1), (1, 0), (0, 1), (0, 0))]
    assert [cells.get((0, kind), 0) for kind in range(4)] == [int(each.sum()) for each in wanted]


def test_labels_say_which_thresholds_their_figures_have(runs: Runs, tmp_path: Path) -> None:
    """Curves are of votes from 0.5 on; final figures of thresholds chosen after the training."""
    run = runs["labels"]
    exact = run.metrics["validation"]["accuracy"]
    chosen = run.model.thresholds
    assert chosen is not None
    assert set(chosen) != {0.5}

    page = (run.folder / "report.html").read_text("utf-8")
    assert "thresholds that were chosen on the validation items after the training" in page
    assert page.count("each label is an answer from a vote of 0.5 on") == 1
    piece = run._repr_html_()
    assert "with thresholds that were chosen on the validation items after the training" in piece
    assert "each label is an answer from a vote of 0.5 on" in piece

    found = gridcnn.compare([run, KINDS["labels"](tmp_path / "again")])
    page = comparison_page(found, beside=tmp_path)
    for each in found.runs:
        assert each.figures["validation_exact_match"] == exact
        assert not {"test_accuracy", "validation_accuracy"} & set(each.figures)
    for said in (
        "exact match of test items",
        "exact match of validation items, with thresholds chosen on them",
        "Validation exact match",
        "each label is an answer from a vote of 0.5 on",
        "Mean area under the ROC curve",
    ):
        assert said in page
    assert "est accuracy" not in page
    assert "alidation accuracy" not in page


def test_equal_items_are_told_once(tmp_path: Path) -> None:
    """A note names the first two, and what can be done; no other line says the same."""
    random = np.random.default_rng(0)
    grids = random.normal(size=(40, 6, 6)).astype(np.float32)
    grids[20:] = grids[:20]
    spec = spec_of(adapter={"array": {"scaling": "none"}}, stages=[], check="off")
    made = gridcnn.run(spec, data=(grids, ["a", "b"] * 20), out=tmp_path / "out", report=True)
    page = (made.folder / "report.html").read_text("utf-8")

    (note,) = (note for note in made.metrics["notes"] if "test items have the same grids" in note)
    assert html.unescape(page).count(note) == 1
    assert page.count("have the same grids as training items") == 1
    assert "equal to one of another part" not in page
    assert "as grids, to an earlier one" in page


TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 90, "size": [12, 12]}}},
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 4}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def folds(tmp_path_factory: pytest.TempPathFactory) -> gridcnn.CrossValidation:
    """Return a cross-validation with a report."""
    out = tmp_path_factory.mktemp("folds") / "out"
    return gridcnn.cross_validate(TINY, folds=3, out=out, report=True)


def test_folds_have_a_page(pages: Pages, folds: gridcnn.CrossValidation) -> None:
    """It has all answers together, how to run them again, and leads to the page of each fold."""
    path = folds.folder / "report.html"

    opened = is_shown(pages, path)
    assert opened.get_by_text(f"gridcnn run {folds.folder}/spec.yaml --folds 3").is_visible()

    numbers = numbers_of(path.read_text("utf-8"))
    metrics = folds.metrics
    assert {*metrics["test"]["accuracy"].values(), metrics["out_of_fold"]["accuracy"]} <= numbers
    assert {each["test"]["loss"] for each in metrics["folds"]} <= numbers
    opened.locator(".confusion button").first.click()
    assert opened.locator("#chosen .item img").count() > 0
    opened.get_by_role("link", name="fold 2 of 3").click()
    assert opened.title().startswith("tiny: ")
    assert opened.url.endswith("fold-2/report.html")


def test_pictures_of_folds_are_those_of_their_items(folds: gridcnn.CrossValidation) -> None:
    """An item's number among all answers leads to the same name, and the picture of its fold."""
    items = data_of((folds.folder / "report.html").read_text("utf-8"))["items"]
    seen = {(item["name"], item["look"]["picture"]) for item in items.values() if item.get("look")}

    of_folds = set()
    for fold in folds.folds:
        own = data_of((fold.folder / "report.html").read_text("utf-8"))["items"]
        of_folds |= {
            (item["name"], item["look"]["picture"]) for item in own.values() if item.get("look")
        }
    assert seen
    assert seen <= of_folds


def test_repetitions_have_a_page(pages: Pages, tmp_path: Path) -> None:
    """It is made again when the runs have moved."""
    repeated = gridcnn.repeat(TINY, repeats=2, out=tmp_path / "out", report=True)
    moved = repeated.folder.rename(tmp_path / "moved")

    path = make_report(moved)

    opened = is_shown(pages, path)
    assert opened.get_by_text(f"gridcnn run {moved}/spec.yaml --repeat 2").is_visible()
    metrics = repeated.metrics
    wanted = {*metrics["test"]["accuracy"].values(), metrics["runs"][1]["test"]["accuracy"]}
    assert wanted <= numbers_of(path.read_text("utf-8"))


def test_folds_without_report_have_none(tmp_path: Path) -> None:
    """Neither the whole nor a fold has one; it is made when it is asked for."""
    found = gridcnn.cross_validate(TINY, folds=2, out=tmp_path / "out")

    assert not list(found.folder.rglob("report.*"))
    assert make_report(found.folder).is_file()


@pytest.mark.parametrize("content", ["{}", "[]", '{"test": {"accuracy": {"mean": "x"}}}'])
def test_damaged_folds_are_a_line(
    folds: gridcnn.CrossValidation, tmp_path: Path, content: str
) -> None:
    """What no cross-validation has written is said to be damaged."""
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(folds.folder, folder)
    (folder / "metrics.json").write_text(content)

    with pytest.raises(RunFolderError, match=r"metrics\.json is damaged"):
        make_report(folder)


def test_a_comparison_has_a_page(
    pages: Pages, folds: gridcnn.CrossValidation, tmp_path: Path
) -> None:
    """It has the figures of all runs and the settings that differ, and leads to their pages.

    Curves are drawn of all runs, of folds those of their means.
    """
    first = gridcnn.run(TINY, out=tmp_path / "first", report=True)
    second = gridcnn.run(TINY, out=tmp_path / "second", changes={"training.epochs": 3})

    done = cli("compare", "first", "second", folds.folder, "--report", "c.html", folder=tmp_path)

    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("c.html written\n")
    opened = is_shown(pages, tmp_path / "c.html")
    numbers = numbers_of((tmp_path / "c.html").read_text("utf-8"))
    wanted = {r.metrics["test"]["loss"] for r in (first, second)}
    assert wanted | {folds.metrics["test"]["accuracy"]["mean"]} <= numbers
    assert opened.get_by_text("training.epochs").count() == 1
    losses = [pd.read_csv(fold.folder / "history.csv")["loss"].iloc[-1] for fold in folds.folds]
    drawn = opened.get_by_role("img", name="Training loss").get_attribute("aria-label") or ""
    assert f"to {np.mean(losses):.3g}" in drawn
    assert drawn.count(" goes from ") == 3
    opened.get_by_role("link", name="first").first.click()
    assert opened.url.endswith("first/report.html")


def test_a_comparison_overwrites_no_other_file(tmp_path: Path) -> None:
    """It is refused before anything is read."""
    (tmp_path / "c.html").write_text("mine")

    taken = cli("compare", "a", "b", "--report", "c.html", folder=tmp_path)
    wrong = cli("compare", "a", "b", "--report", "c.txt", folder=tmp_path)

    assert taken.exit_code == wrong.exit_code == 2
    assert "c.html exists already, and gridcnn did not write it" in taken.stderr
    assert "--report writes a page; give a name such as c.html" in wrong.stderr


def test_a_comparison_of_wild_names_has_no_code(tmp_path: Path) -> None:
    """A folder called like a script is a text."""
    wild = tmp_path / "<script>alert(1)<"
    first = gridcnn.run(TINY, out=wild / "a")
    second = gridcnn.run(TINY, out=wild / "b")

    page = comparison_page(gridcnn.compare([first, second]), beside=tmp_path)

    assert "<script>" not in page
