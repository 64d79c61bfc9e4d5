"""The report of a run: its numbers are those of the run's files, and a browser shows all of it."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import gridcnn
from gridcnn.contracts.source import PARTS
from gridcnn.errors import ReportWarning, RunFolderError
from gridcnn.grid import OneHot
from gridcnn.report.running import writing
from gridcnn.report.running.baseline import fit_baseline
from gridcnn.report.running.choosing import choose
from gridcnn.report.running.stored import read_run
from gridcnn.report.running.writing import make_report
from gridcnn.runs.run import RunWatcher
from gridcnn.training.loop import Labelled
from tests.browser import Pages, faults_at_widths, faults_of, overflows
from tests.cli.invoke import TINY, cli

WILD = '<script>alert("&")<'
SMALL: dict[str, Any] = {
    "name": "small",
    "adapter": {"image": {"size": [12, 12]}},
    "stages": [{"convolution": {"filters": 3}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 0.01},
    "data": {"test": 0.4, "validation": 0.2},
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three class folders, one with a wild name; a file has a wild name too."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number, label in enumerate((WILD, "bars", "dots")):
        (folder / label).mkdir()
        for item in range(24):
            cells = random.integers(0, 120, (12, 12)).astype(np.uint8)
            cells[number * 4 : number * 4 + 3] += 90
            name = f"{WILD}.png" if item == 0 else f"{item}.png"
            Image.fromarray(cells).save(folder / label / name)
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> gridcnn.Run:
    """Return a run with a report; for reading only."""
    return gridcnn.run(
        SMALL, data=pictures, out=tmp_path_factory.mktemp("run") / "out", report=True
    )


def page_of(run: gridcnn.Run) -> str:
    return (run.folder / "report.html").read_text("utf-8")


def data_of(page: str) -> Any:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(found)


def numbers_of(page: str) -> list[float]:
    return [float(value) for value in re.findall(r'<data value="([^"]*)">', page)]


def test_the_numbers_of_a_page_are_those_of_the_run(run: gridcnn.Run) -> None:
    """Each is there exactly, for programs, beside the digits that people read."""
    numbers, test = numbers_of(page_of(run)), run.metrics["test"]

    wanted = [test["accuracy"], *test["interval"], run.metrics["literal_comparison"]["accuracy"]]
    wanted += [test["majority"]["accuracy"], test["reliability"]["error"], test["macro_f1"]]
    wanted += [each[name] for each in test["classes"].values() for name in ("recall", "precision")]
    wanted += [count for row in test["confusion"] for count in row if count]
    wanted += run.metrics["seconds"].values()
    assert set(wanted) <= set(numbers)


def test_items_of_a_confusion_are_those_of_the_predictions(run: gridcnn.Run) -> None:
    """Each cell has its items, by name, and their number is that of the confusion matrix."""
    data = data_of(page_of(run))
    with (run.folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    for cell in data["cells"]:
        truth, answer = data["classes"][cell["row"]], data["classes"][cell["column"]]
        named = {row["item"] for row in rows if (row["truth"], row["answer"]) == (truth, answer)}
        assert {data["items"][str(item)]["name"] for item in cell["items"]} == named
        assert cell["count"] == run.metrics["test"]["confusion"][cell["row"]][cell["column"]]


def test_mistakes_and_uncertain_items_are_in_order(run: gridcnn.Run) -> None:
    """The mistake with the most votes stands first, and the item with the closest votes."""
    answers = read_run(run.folder).answers
    assert answers is not None
    choice = choose(answers)
    frame = run.predictions_frame
    votes = frame.filter(like="votes.").to_numpy()

    wrong = (frame["truth"] != frame["answer"]).to_numpy()
    sure = votes.max(axis=1)
    two = np.sort(votes, axis=1)
    margins = two[:, -1] - two[:, -2]
    assert sorted(choice.mistakes) == np.flatnonzero(wrong).tolist()[: len(choice.mistakes)]
    assert [sure[item] for item in choice.mistakes] == sorted(sure[wrong], reverse=True)
    assert [margins[item] for item in choice.unsure] == sorted(margins)[:12]


def test_counts_are_those_of_the_data(run: gridcnn.Run) -> None:
    """Every item is in one part, and each class has 24."""
    gathered = json.loads((run.folder / "report.json").read_text("utf-8"))
    counts = gathered["data"]["counts"]

    assert [counts[part]["items"] for part in PARTS] == [
        run.metrics[part]["items"] for part in PARTS
    ]
    assert [sum(counts[part]["classes"][c] for part in PARTS) for c in run.metrics["classes"]] == [
        24
    ] * 3


def test_pictures_are_those_of_the_grids(run: gridcnn.Run, pictures: Path) -> None:
    """An example is, pixel by pixel, the file that was read."""
    import base64
    import io

    look = json.loads((run.folder / "report.json").read_text("utf-8"))["examples"]["bars"][0]
    content = base64.b64decode(look["picture"].partition(",")[2])
    shown = np.asarray(Image.open(io.BytesIO(content)))

    files = [np.asarray(Image.open(path)) for path in (pictures / "bars").glob("*.png")]
    assert any(np.abs(shown.astype(int) - file).max() <= 1 for file in files)


def test_the_same_page_is_made_again(run: gridcnn.Run, tmp_path: Path) -> None:
    """From the folder alone: neither the data nor the run is asked."""
    folder = tmp_path / "moved"
    shutil.copytree(run.folder, folder)
    before = page_of(run).replace(str(run.folder), "RUN")

    made = make_report(folder)

    assert made == folder / "report.html"
    assert made.read_text("utf-8").replace(str(folder), "RUN") == before


def test_nothing_in_a_page_is_code(run: gridcnn.Run) -> None:
    """A class and a file called like a script are texts, everywhere."""
    page = page_of(run)

    assert "<script>alert" not in page
    assert html.escape(WILD, quote=False).split("&quot")[0].split('"')[0] in page
    assert any(WILD in item["name"] for item in data_of(page)["items"].values())


def test_a_browser_shows_a_run(pages: Pages, run: gridcnn.Run) -> None:
    """Every picture is drawn, nothing is said in the console, and nobody is kept out."""
    opened = pages.open(run.folder / "report.html")

    opened.locator(".confusion button").first.click()
    assert faults_at_widths(opened) == []


def test_a_dark_page_is_readable(pages: Pages, run: gridcnn.Run) -> None:
    """All text has contrast there as well."""
    opened = pages.open(run.folder / "report.html", color_scheme="dark")

    assert faults_of(opened) == []


def test_the_keyboard_reaches_the_items_of_a_confusion(pages: Pages, run: gridcnn.Run) -> None:
    """The matrix is one stop of the Tab key; arrows move, and Enter shows the items."""
    opened = pages.open(run.folder / "report.html")
    reached = "document.activeElement.closest('.confusion') !== null"
    for _ in range(60):
        opened.keyboard.press("Tab")
        if opened.evaluate(reached):
            break
    assert opened.evaluate(reached)

    first = opened.evaluate("document.activeElement.dataset.column")
    opened.keyboard.press("ArrowRight")
    if opened.evaluate("document.activeElement.dataset.column") == first:
        opened.keyboard.press("ArrowDown")
    opened.keyboard.press("Enter")

    row, column = (
        int(opened.evaluate(f"document.activeElement.dataset.{n}")) for n in ("row", "column")
    )
    count = run.metrics["test"]["confusion"][row][column]
    assert re.search(rf": {count} items?$", opened.locator("#chosen h3").inner_text())
    assert opened.locator("#chosen .item").count() == min(count, 12)


def test_a_run_without_test_items_has_a_page(pictures: Path, tmp_path: Path) -> None:
    """There is nothing to compare, and all else is there."""
    spec = {**SMALL, "data": {"test": 0, "validation": 0}}

    made = gridcnn.run(spec, data=pictures, out=tmp_path / "out", report=True)

    assert "no items were kept for a test" in page_of(made)


def test_the_command_line_writes_a_page(tmp_path: Path) -> None:
    """`gridcnn run` says where it is; --no-report leaves it, and `gridcnn report` makes it."""
    (tmp_path / "tiny.yaml").write_text(TINY)

    done = cli("run", "tiny.yaml", "--out", "with", folder=tmp_path, report=True)
    without = cli("run", "tiny.yaml", "--out", "without", "--no-report", folder=tmp_path)
    again = cli("report", "without", folder=tmp_path)

    assert "report: with/report.html" in done.stdout
    assert "report:" not in without.stdout
    assert again.stdout == "report: without/report.html\n"
    first, second = (
        (tmp_path / name / "report.html").read_text("utf-8") for name in ("with", "without")
    )
    assert data_of(second) == data_of(first)


def test_a_run_without_data_has_a_page_without_pictures(pictures: Path, tmp_path: Path) -> None:
    """The page says so, and so does the command."""
    shutil.copytree(pictures, tmp_path / "pictures")
    made = gridcnn.run(SMALL, data=tmp_path / "pictures", out=tmp_path / "out")
    (tmp_path / "pictures").rename(tmp_path / "gone")

    done = cli("report", "out", folder=tmp_path)

    assert done.exit_code == 0, done.output
    assert re.search(r"note: the page has no pictures of items: .*pictures", done.stderr)
    page = page_of(made)
    assert "the folder has no report.json" in page
    assert made.metrics["test"]["accuracy"] in numbers_of(page)


def test_other_data_is_not_shown_for_that_of_a_run(pictures: Path, tmp_path: Path) -> None:
    """If files have come or gone since, pictures would stand beside the wrong answers."""
    shutil.copytree(pictures, tmp_path / "pictures")
    made = gridcnn.run(SMALL, data=tmp_path / "pictures", out=tmp_path / "out")
    for path in sorted((tmp_path / "pictures/dots").iterdir())[:9]:
        path.unlink()

    done = cli("report", "out", folder=tmp_path)

    assert "the test items of the data are no longer those of the run" in done.stderr
    assert not (made.folder / "report.json").exists()


def test_an_older_run_has_a_page(run: gridcnn.Run, tmp_path: Path) -> None:
    """What its files do not have is left out."""
    folder = tmp_path / "old"
    shutil.copytree(run.folder, folder)
    (folder / "report.json").unlink()
    (folder / "model.safetensors").write_bytes(b"of another version")
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    new = ("interval", "auc", "majority", "worst", "reliability", "notes", "macro_f1")
    for name in (*new, "balanced_accuracy", "average_precision"):
        metrics["test"].pop(name)
    for scores in metrics["test"]["classes"].values():
        scores.pop("average_precision")
    for name in ("signs", "stopped", "restarts", "notes"):
        metrics.pop(name)
    (folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")

    page = make_report(folder).read_text("utf-8")

    assert "the pipeline is not drawn: " in page
    assert metrics["test"]["accuracy"] in numbers_of(page)


def test_a_report_that_fails_is_a_warning(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has succeeded, whatever happens to the page about it."""

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no room")

    monkeypatch.setattr(writing, "gather", fail)
    with pytest.warns(ReportWarning, match=r"has succeeded.*RuntimeError: no room.*gridcnn report"):
        made = gridcnn.run(SMALL, data=pictures, out=tmp_path / "out", report=True)

    assert made.metrics["test"]["items"] == 30
    assert not (made.folder / "report.html").exists()


def test_ctrl_c_while_the_report_is_made_loses_no_result(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says where the results are, and not that training should go on."""

    def press(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "gather", press)
    out = tmp_path / "out"
    with pytest.raises(gridcnn.TrainingInterrupted, match="all results of the run are in") as error:
        gridcnn.run(SMALL, data=pictures, out=out, report=True)

    assert error.value.folder == out
    assert gridcnn.load(out).classes == ('<script>alert("&")<', "bars", "dots")


def test_a_folder_that_cannot_be_written_to_is_a_line(run: gridcnn.Run, tmp_path: Path) -> None:
    """A folder called report.html is kept."""
    folder = tmp_path / "copy"
    shutil.copytree(run.folder, folder)
    (folder / "report.html").unlink()
    (folder / "report.html").mkdir()

    with pytest.raises(RunFolderError, match=r"report\.html cannot be written: it is not an ord"):
        make_report(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"layout": 2}, "layout"),
        ({"items": {"0": {"picture": "https://example.org/x.png"}}}, "picture"),
        ({"examples": 3}, "examples"),
    ],
)
def test_a_changed_file_is_a_line(
    run: gridcnn.Run, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    """Nothing but pictures that stand in it gets into a page."""
    folder = tmp_path / "copy"
    shutil.copytree(run.folder, folder)
    content = json.loads((folder / "report.json").read_text("utf-8"))
    (folder / "report.json").write_text(json.dumps({**content, **change}), "utf-8")

    with pytest.raises(RunFolderError, match=rf"report\.json is damaged: .*{told}.*delete it"):
        make_report(folder)


def test_an_unfinished_run_is_a_line(pictures: Path, tmp_path: Path) -> None:
    """It says how to continue; a folder without a run says so."""

    class Stop(RunWatcher):
        def on_batch(self, epoch: int, done: int, batches: int, loss: float) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(gridcnn.TrainingInterrupted):
        gridcnn.run(SMALL, data=pictures, out=out, watcher=Stop(), report=True)

    with pytest.raises(RunFolderError, match=r"has not ended.*gridcnn run --resume"):
        make_report(out)
    with pytest.raises(RunFolderError, match="holds no run"):
        make_report(tmp_path)
    gridcnn.run(resume=out, data=pictures, report=True)
    assert (out / "report.html").is_file()


def test_a_resumed_run_loses_its_old_page(pictures: Path, tmp_path: Path) -> None:
    """What it shows is no longer true."""
    out = tmp_path / "out"
    gridcnn.run(SMALL, data=pictures, out=out, report=True)

    gridcnn.run(resume=out, data=pictures, changes={"training.epochs": 3})

    assert not (out / "report.html").exists()
    assert not (out / "report.json").exists()


def test_the_baseline_is_logistic_regression() -> None:
    """On all items of two small parts it has the accuracy that scikit-learn's has."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(3, 1, 4, 5))
    targets = np.arange(90) % 3
    grids = (centres[targets] + random.normal(size=(90, 1, 4, 5))).astype(np.float32)
    train, test = Labelled(grids[:60], targets[:60]), Labelled(grids[60:], targets[60:])

    found = fit_baseline(train, test, seed=0)

    flat = grids.reshape(90, -1)
    scaler = StandardScaler(with_std=False).fit(flat[:60])
    scale = scaler.transform(flat[:60]).std()
    model = LogisticRegression(max_iter=1000).fit(scaler.transform(flat[:60]) / scale, targets[:60])
    assert found is not None
    expected = model.score(scaler.transform(flat[60:]) / scale, targets[60:])
    assert found["accuracy"] == pytest.approx(expected)
    assert found["train_items"] == 60


def test_the_baseline_of_one_hot_grids_is_that_of_their_cells() -> None:
    """The few 1s are kept as such: the answers are those to all the cells."""
    random = np.random.default_rng(4)
    targets = np.arange(80) % 2
    indices = random.integers(-1, 6, (80, 9)).astype(np.int32)
    indices[:, 0] = np.where(random.random(80) < 0.8, targets, 1 - targets)
    grids = OneHot(indices, 6)
    train = Labelled(grids[:50], targets[:50])

    found = fit_baseline(train, Labelled(grids[50:], targets[50:]), seed=0)

    cells = np.asarray(grids).reshape(80, -1)
    model = LogisticRegression(max_iter=1000).fit(cells[:50], targets[:50])
    assert found is not None
    assert found["accuracy"] == pytest.approx(model.score(cells[50:], targets[50:]))


def test_many_classes_are_a_picture(pages: Pages, tmp_path: Path) -> None:
    """Arrow keys tell its cells, and Enter shows the items of one."""
    random = np.random.default_rng(0)
    spec = {**SMALL, "adapter": {"array": {"scaling": "none"}}, "check": "off", "stages": []}
    spec |= {"data": {"test": 0.5, "validation": 0}}
    labels = np.arange(120) % 30
    grids = (random.normal(size=(30, 4, 4))[labels]).astype(np.float32)
    made = gridcnn.run(spec, data=(grids, labels), out=tmp_path / "out", report=True)
    confusion = np.array(made.metrics["test"]["confusion"])

    opened = pages.open(made.folder / "report.html", width=360)
    opened.locator("[data-part=large-confusion] canvas").focus()
    answer = int(confusion[1].argmax())
    for key in ("ArrowDown", *["ArrowRight"] * answer, "Enter"):
        opened.keyboard.press(key)

    told = f"truth 1, answer {answer}: {confusion[1, answer]} item"
    assert opened.locator("#tip").inner_text().startswith(told)
    assert opened.locator("#chosen h3").inner_text().startswith(told)
    assert opened.locator("#chosen .item").count() == confusion[1, answer]
    assert not overflows(opened)
    assert faults_of(opened) == []
