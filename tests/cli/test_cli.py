"""The command line, as a person uses it: real processes, real files."""

import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from sklearn.datasets import load_wine
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli import screen
from gridcnn.cli.display import check_lines
from gridcnn.cli.main import app
from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.made import write_files
from gridcnn.datasets.makers.xo import XO
from gridcnn.engines.base import DEFAULT_ENGINE
from gridcnn.order.guard import Checked, Verdict
from tests.cli.invoke import words

SPEC = """
name: tiny
data: {source: {xo: {count: 160, size: [12, 12]}}, test: 0.25}
adapter: {image: {size: [12, 12]}}
stages:
  - convolution: {filters: 4}
  - rectification
  - pooling
head: {voting: {hidden: [8]}}
training: {epochs: 4, batch_size: 16, learning_rate: 0.01}
"""
Completed = subprocess.CompletedProcess[str]


def gridcnn_(*arguments: Any, folder: Path, stdin: bytes = b"") -> Completed:
    """Run the command in `folder`, as `python -m gridcnn`."""
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "gridcnn", *words(*arguments)],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env=environment,
        check=False,
    )
    output, errors = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in errors, errors
    return subprocess.CompletedProcess(done.args, done.returncode, output, errors)


def within(*arguments: Any, folder: Path) -> Completed:
    """Run the command in `folder` and in this process, which is quicker."""
    environment = {"COLUMNS": "200", "NO_COLOR": "1"}
    given = words(*arguments)
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, given, env=environment)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return subprocess.CompletedProcess(given, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a spec, pictures, and a finished run under `run`; read it only."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "tiny.yaml").write_text(SPEC)
    write_files(XO(count=20, size=(12, 12)), folder / "pictures", seed=5)
    done = gridcnn_("run", "tiny.yaml", "--out", "run", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("verb", ["run", "train", "fit"])
def test_run_prints_plan_epochs_and_result(verb: str, work: Path, tmp_path: Path) -> None:
    """run, train and fit are one: the plan, a line for each epoch, the test result."""
    done = within(
        verb, "--set", "training.epochs=2", work / "tiny.yaml", "--seed", 3, folder=tmp_path
    )

    assert done.returncode == 0
    assert re.search(r"1 convolution\s+4 x 12 x 12\s+40\s+5,184", done.stdout)
    assert re.search(r"epoch 2/2 .*accuracy \d+\.\d %", done.stdout)
    assert re.search(
        r"test accuracy \d+\.\d % on 40 items \(95 % interval \d+\.\d to \d+\.\d %\)", done.stdout
    )
    assert re.search(r"literal comparison \d+\.\d %   this network \d+\.\d %", done.stdout)
    assert (tmp_path / "runs/tiny/1/model.safetensors").is_file()
    assert "seed: 3" in (tmp_path / "runs/tiny/1/spec.yaml").read_text()


def test_run_as_json_is_one_document(work: Path, tmp_path: Path) -> None:
    """--json prints what metrics.json holds, and the folder."""
    done = within("run", work / "tiny.yaml", "--json", "--out", "out", folder=tmp_path)

    printed = json.loads(done.stdout)
    assert printed.pop("folder") == "out"
    assert printed == json.loads((tmp_path / "out/metrics.json").read_text())


def test_run_quietly_says_nothing(work: Path, tmp_path: Path) -> None:
    """--quiet prints errors alone."""
    done = gridcnn_("run", work / "tiny.yaml", "--quiet", folder=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_run_takes_other_data(work: Path, tmp_path: Path) -> None:
    """--data reads a folder of class folders instead of the spec's data."""
    done = within("run", work / "tiny.yaml", "--data", work / "pictures", "--json", folder=tmp_path)

    assert json.loads(done.stdout)["test"]["items"] == 6  # 2.5 of each class, rounded up


def test_every_problem_of_a_spec_has_its_line(tmp_path: Path) -> None:
    """A wrong spec exits with 2 and one line for each problem, with file, line and column."""
    (tmp_path / "bad.yaml").write_text(
        "stages:\n  - convolution: {filter: 8}\n  - relu\ntraining: {epochs: 0}\n"
    )

    done = within("run", "bad.yaml", folder=tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: bad.yaml:2:19: convolution has no setting 'filter'; did you")
    assert any("bad.yaml:3:5: 'relu' is not a stage; here it is written" in line for line in lines)
    assert any("bad.yaml:4:12: 'epochs' of training must be at least 1" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nope"], "'nope' is neither a file nor a ready spec"),
        (["run", "xoo"], "did you mean 'xo'?"),
        (["run"], "needs a spec"),
        (["run", "none.yaml"], "there is no file none.yaml"),
        (["run", "xo", "--set", "training.epochs"], "write it as key=value"),
        (["run", "xo", "--set", "training.epoch=3"], "did you mean 'epochs'?"),
        (["run", "xo", "--data", "nowhere"], "nowhere"),
        (["run", "xo", "--engine", "warp"], "'warp' is not an engine"),
        (["predict", "nowhere", "a.png", "--engine", "warp"], "nowhere does not exist"),
        (["show", "xo", "--engine", "nativ"], "did you mean 'native'?"),
        (["show", "a.png", "--spec", "xo", "--plan"], "--plan shows a spec"),
        (["run", "--resume", "nowhere"], "holds no run"),
        (["predict", "nowhere", "a.png"], "nowhere does not exist"),
        (["evaluate", "nowhere", "xo"], "nowhere does not exist"),
        (["show", "xo", "--png", "a.png"], "--spec"),
        (["show", "a.png", "--spec", "xo"], "there is no such file"),
        (["show", "a" * 300, "--spec", "xo"], "aaaa"),
        (["run", "xo", "--out", "a" * 300], "aaaa"),
        (["datasets", "make", "xoo", "folder"], "did you mean 'xo'?"),
        (["datasets", "make", "xo", "folder", "--count", "0"], "'count' of xo must be at least 1"),
        (["init", "--name", "a/b/c"], "cannot be written"),
        (["init", "a/b/c"], "a/b/c: there is no such file or folder"),
        (["init", "what a name"], "'name' of the spec must be"),
    ],
)
def test_what_the_user_gets_wrong_is_one_clear_line(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    """A wrong argument exits with 2 and says what is wrong, without a traceback."""
    done = within(*arguments, folder=tmp_path)

    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


@pytest.fixture
def wines(tmp_path: Path) -> Path:
    """Return a folder with a table whose columns may stand in any order, and a spec for it."""
    frame = load_wine(as_frame=True).frame
    frame.to_csv(tmp_path / "wine.csv", index=False)
    (tmp_path / "wine.yaml").write_text(
        "name: wine\ndata: {source: {table: {path: wine.csv, label: target}}}\nadapter: table\n"
        "stages: [rectification]\nhead: voting\ntraining: {epochs: 1}\n"
    )
    return tmp_path


def test_data_that_is_no_grid_ends_with_3(wines: Path) -> None:
    """One error, whose evidence and advice stand indented below it; nothing is written."""
    done = gridcnn_("run", "wine.yaml", folder=wines)

    assert done.returncode == 3
    assert done.stdout == ""
    first, *others = done.stderr.splitlines()
    assert first.startswith("error: the data is no grid")
    assert others
    assert all(line.startswith("  ") for line in others)
    assert not (wines / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "told"),
    [
        ("warn", "check: permutable, the order of this data means nothing; training continues"),
        ("off", "check: off, so the order of this data was not checked"),
    ],
)
def test_a_run_says_that_the_check_was_overridden(wines: Path, check: str, told: str) -> None:
    # In a process of its own: here, warnings are errors.
    done = gridcnn_("run", "wine.yaml", "--set", f"check={check}", folder=wines)

    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert ("warning: the data is no grid" in done.stderr) == (check == "warn")


def test_a_check_is_told_in_a_line_or_two() -> None:
    """With one checker its name is left out."""
    grid = Verdict("grid", ("much evidence",), ("lay it out as 28 x 28",))
    few = Verdict("undecided", ("few rows",), ("more rows are needed",))

    assert check_lines(Checked("reject", {"order": grid})) == [
        "check: grid, the order of this data carries information",
        "check: lay it out as 28 x 28",
    ]
    assert check_lines(Checked("warn", {"order": few, "other": Verdict("undecided")})) == [
        "check (order): undecided; more rows are needed",
        "check (other): undecided",
    ]
    assert check_lines(Checked("reject")) == []


def test_predict_answers_files_and_folders(work: Path) -> None:
    """Each line has the file, the answer and the votes of each class; options stand anywhere."""
    model = gridcnn.load(work / "run")

    done = within("predict", "run", "pictures", folder=work)

    lines = done.stdout.splitlines()
    assert len(lines) == 20
    file, answer, *votes = lines[0].split()
    assert file == str(Path("pictures/O/00001.png"))
    assert answer == model.predict(work / file)[0]
    assert votes[::2] == ["O", "X"]
    assert sum(map(float, votes[1::2])) == pytest.approx(1, abs=2e-3)


def test_predict_as_json_and_as_csv_give_the_same_votes(work: Path) -> None:
    """Both give every class's votes, as Python gives them."""
    file = Path("pictures/X/00001.png")
    expected = gridcnn.load(work / "run").votes(work / file)[0]

    as_json = json.loads(within("predict", "--json", "run", file, folder=work).stdout)
    as_csv = list(
        csv.DictReader(io.StringIO(within("predict", "run", file, "--csv", folder=work).stdout))
    )

    assert as_json[0]["file"] == as_csv[0]["file"] == str(file)
    assert [as_json[0]["votes"][label] for label in "OX"] == pytest.approx(expected, abs=1e-6)
    assert [float(as_csv[0][f"votes.{label}"]) for label in "OX"] == pytest.approx(
        expected, abs=1e-6
    )


def test_predict_top_shows_the_most_votes_first(work: Path) -> None:
    """--top K lists K classes, most votes first."""
    done = within("predict", "run", "pictures/X/00001.png", "--top", 1, "--json", folder=work)

    item = json.loads(done.stdout)[0]
    assert list(item["votes"]) == [item["answer"]]


def test_predict_reads_standard_input(work: Path) -> None:
    """- stands for one picture on standard input."""
    picture = (work / "pictures/X/00001.png").read_bytes()

    done = gridcnn_("predict", "run", "-", "--json", folder=work, stdin=picture)

    direct = within("predict", "run", "pictures/X/00001.png", "--json", folder=work)
    assert json.loads(done.stdout)[0]["votes"] == json.loads(direct.stdout)[0]["votes"]


def test_predict_answers_what_it_can_and_reports_the_rest(work: Path, tmp_path: Path) -> None:
    """A damaged and a missing file are reported by name, and the others are answered."""
    good = tmp_path / "good.png"
    good.write_bytes((work / "pictures/O/00002.png").read_bytes())
    (tmp_path / "bad.png").write_text("this is not a picture")

    done = within("predict", work / "run", good, "bad.png", "gone.png", folder=tmp_path)

    assert done.returncode == 2
    assert done.stdout.split()[0] == str(good)
    assert len(done.stdout.splitlines()) == 1
    assert re.search(r"^error: bad.png: ", done.stderr, re.MULTILINE)
    assert re.search(r"^error: gone.png: there is no such file", done.stderr, re.MULTILINE)


def test_evaluate_prints_measures_and_confusion(work: Path) -> None:
    """The table and the JSON agree with scikit-learn's measures."""
    from sklearn.metrics import classification_report, confusion_matrix, roc_auc_score

    files = sorted((work / "pictures").rglob("*.png"))
    truth = [file.parent.name for file in files]
    model = gridcnn.load(work / "run")
    answers, votes = model.predict(files), model.votes(files)

    done = within("evaluate", "run", "pictures", folder=work)
    printed = json.loads(within("evaluate", "run", "pictures", "--json", folder=work).stdout)

    report = classification_report(truth, answers, output_dict=True, zero_division=0)
    assert printed["accuracy"] == pytest.approx(report["accuracy"])
    for label in "OX":
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert printed["classes"][label][ours] == pytest.approx(report[label][theirs])
    assert printed["confusion"] == confusion_matrix(truth, answers).tolist()
    area = roc_auc_score([label == "X" for label in truth], votes[:, 1])
    assert printed["auc"] == pytest.approx(area, abs=1e-6)
    low, high = printed["interval"]
    assert low <= printed["accuracy"] <= high
    assert (
        f"accuracy {screen.percent(report['accuracy'])} on all items, 20 items "
        f"({screen.interval([low, high])})\n"
        "balanced accuracy 100.0 %; always answering 'O' gets 50.0 %; worst class 'O', found in "
        f"100.0 % of its 10 items\narea under the ROC curve {printed['auc']:.3f}\n"
    ) in done.stdout
    assert re.search(r"class +precision +recall +F1 +AUC +items", done.stdout)


def test_evaluate_shows_no_area_where_there_is_none(work: Path, tmp_path: Path) -> None:
    """Of pictures of one class alone there is no ROC curve."""
    (tmp_path / "X").mkdir()
    shutil.copy(work / "pictures" / "X" / "00001.png", tmp_path / "X")

    done = within("evaluate", "run", tmp_path, folder=work)

    assert done.returncode == 0
    assert "ROC" not in done.stdout
    assert re.search(r"X .* -  +1 *$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.9732, 0.99946), "95 % interval 97.3 to 99.9 %"),
        ((0.5, 0.99999), "95 % interval 50.0 to 99.9 %"),
        ((0.0, 1.0), "95 % interval 0.0 to 100.0 %"),
    ],
)
def test_an_interval_is_never_rounded_to_certainty(ends: tuple[float, float], text: str) -> None:
    """Its upper end is 100.0 % only where it is exactly that."""
    assert screen.interval(ends) == text


def test_show_prints_the_plan(work: Path) -> None:
    """Every stage has its shape, parameters, cost and share; memory is given."""
    done = within("show", "tiny.yaml", folder=work)

    assert re.search(r"3 pooling\s+4 x 6 x 6\s+0\s+576", done.stdout)
    assert re.search(r"in all\s+1,218\s", done.stdout)
    assert "memory:" in done.stdout
    plan = json.loads(within("show", "tiny.yaml", "--json", folder=work).stdout)
    assert plan["stages"][0] == {
        "stage": "1 convolution",
        "reads": [0],
        "output": [4, 12, 12],
        "parameters": 40,
        "multiply_adds": 5184,
        "share": pytest.approx(5184 / plan["multiply_adds"], abs=1e-6),
    }
    assert plan["groups"] == []


def test_show_tells_the_memory_and_the_engine(work: Path) -> None:
    """In one line, and as data; training comes with the batches of the spec."""
    told = within("show", "tiny.yaml", "--threads", 3, folder=work).stdout
    plan = json.loads(within("show", "tiny.yaml", "--threads", 3, "--json", folder=work).stdout)

    line = next(line for line in told.splitlines() if line.startswith("memory:"))
    assert re.fullmatch(
        r"memory: [\d.]+ MB to train, [\d.]+ MB to answer; engine: native, threads: 3", line
    )
    assert (plan["engine"], plan["threads"]) == ("native", 3)
    assert plan["memory"]["training"] > plan["memory"]["prediction"] > 0
    assert (plan["memory"]["training_batch"], plan["memory"]["prediction_batch"]) == (16, 256)


def test_show_says_where_a_network_does_not_fit(tmp_path: Path) -> None:
    """The plan is shown all the same; the run is refused, and leaves nothing behind."""
    (tmp_path / "large.yaml").write_text(
        "data: {source: xo}\nadapter: {image: {size: [1024, 1024]}}\n"
        "head: {voting: {hidden: [450]}}\n"
    )

    shown = within("show", "large.yaml", folder=tmp_path)
    refused = within("run", "large.yaml", folder=tmp_path)

    if "does not fit" not in shown.stdout:
        pytest.skip("this machine has room for it")
    assert shown.returncode == 0
    assert re.search(
        r"^training does not fit into memory here: .* usable$", shown.stdout, re.MULTILINE
    )
    assert refused.returncode == 2
    assert re.match(r"error: training needs [\d.]+ GB of memory beside the data", refused.stderr)
    assert [each.name for each in tmp_path.iterdir()] == ["large.yaml"]


def test_show_prints_what_is_done_together(work: Path) -> None:
    """--plan names the kernels, the processor and the cache, and gives the same as data."""
    told = within("show", "tiny.yaml", "--plan", folder=work).stdout.splitlines()
    plan = json.loads(within("show", "tiny.yaml", "--plan", "--json", folder=work).stdout)["plan"]

    assert "1 convolution, 2 rectification, 3 pooling: fused convolution" in told
    assert "4 voting: matrix product" in told
    for name in ("processor", "cache", "training"):
        assert any(line.startswith(f"{name}: ") for line in told)
    assert [work["kernel"] for work in plan["parts"]] == ["fused convolution", "matrix product"]
    assert plan["facts"]["processor"]["lanes"] in (4, 8, 16)
    reference = within("show", "tiny.yaml", "--plan", "--engine", "reference", folder=work)
    assert "2 rectification: reference arithmetic" in reference.stdout.splitlines()


@pytest.mark.parametrize("verb", ["run", "predict", "evaluate", "show"])
def test_verbs_that_compute_take_engine_and_threads(verb: str, tmp_path: Path) -> None:
    """Their help names every engine that gridcnn brings; threads are 1 or more."""
    words = " ".join(within(verb, "--help", folder=tmp_path).stdout.replace("│", " ").split())

    assert "--engine NAME" in words
    assert "--threads N" in words
    for name in ("native", "reference", "torch"):
        assert f" {name} (" in words
    assert f"Default: {DEFAULT_ENGINE}." in words
    more = {"predict": ["a"], "evaluate": ["xo"]}.get(verb, [])
    refused = within(verb, "xo", *more, "--threads", 0, folder=tmp_path)
    assert refused.returncode == 2
    assert "Invalid value for '--threads'" in refused.stderr


def test_answers_do_not_depend_on_the_threads(work: Path) -> None:
    """Nor do measures; the engines agree in what is shown."""
    for verb, what in (("predict", "pictures"), ("evaluate", "pictures")):
        printed = {
            within(verb, "run", what, *more, folder=work).stdout
            for more in (["--threads", 1], ["--threads", 4], ["--engine", "reference"])
        }
        assert len(printed) == 1


def test_a_processor_that_is_not_there_is_told(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read or written."""
    monkeypatch.setenv("GRIDCNN_CPU", "z80")

    for arguments in (["run", work / "tiny.yaml"], ["predict", work / "run", work / "pictures"]):
        done = within(*arguments, folder=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("error: GRIDCNN_CPU='z80': there is no such processor.")
    assert list(tmp_path.iterdir()) == []


def test_show_draws_the_grid_of_a_file(work: Path, tmp_path: Path) -> None:
    """The very grid is drawn with half blocks, and written as a PNG of square cells."""
    picture = work / "pictures/X/00003.png"
    grid = gridcnn.load(work / "run").maps(picture, after=0)[0, 0]

    done = within("show", picture, "--spec", work / "run", "--png", "seen.png", folder=tmp_path)

    assert done.returncode == 0
    drawn = done.stdout.splitlines()[:6]
    upper = np.array([[c in "▀█" for c in line.ljust(12)] for line in drawn])
    lower = np.array([[c in "▄█" for c in line.ljust(12)] for line in drawn])
    assert (upper == (grid[::2] > 0)).all()
    assert (lower == (grid[1::2] > 0)).all()
    with Image.open(tmp_path / "seen.png") as image:
        side = image.width // 12
        cells = np.asarray(image.convert("L"))[side // 2 :: side, side // 2 :: side]
    assert np.abs(cells / 127.5 - 1 - grid).max() <= 1 / 255 + 1e-6


HAND_BUILT = "stages: [convolution: {features: [[[1, -1], [-1, 1]]]}, rectification]"


@pytest.mark.parametrize("options", [(), ("--spec", "hand.yaml")])
def test_show_needs_no_adapter_for_a_file(options: tuple[str, ...], tmp_path: Path) -> None:
    """Without one, and without a spec, its ending tells: a picture, an array, a sound or a text."""
    (tmp_path / "hand.yaml").write_text(HAND_BUILT)
    Image.fromarray(np.full((5, 7), 255, np.uint8)).save(tmp_path / "white.png")
    np.save(tmp_path / "slope.npy", np.linspace(-1, 1, 12).reshape(3, 4))
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(16_000) / 5), 16_000)
    (tmp_path / "short.txt").write_text("hello")

    shown = {
        name: within("show", name, *options, folder=tmp_path)
        for name in ("white.png", "slope.npy", "tone.wav", "short.txt")
    }

    assert "white.png: 1 x 32 x 32 (channels x rows x columns), cells from 1.00" in (
        shown["white.png"].stdout
    )
    assert "slope.npy: 1 x 3 x 4 (channels x rows x columns), cells from -1.00 to 1.00" in (
        shown["slope.npy"].stdout
    )
    for name, adapter in (("slope.npy", "array"), ("tone.wav", "audio"), ("short.txt", "text")):
        assert f"{name}: 1 x " in shown[name].stdout
        assert shown[name].stderr == (
            f"note: no adapter is named; {name} is read by adapter: {adapter}\n"
        )
    assert shown["white.png"].stderr == ""
    for arguments in (("--json",), ("--png", "seen.png")):
        done = within("show", "white.png", *options, *arguments, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "seen.png").is_file()


def test_init_writes_a_spec_that_runs(tmp_path: Path) -> None:
    """The starter spec is commented, is read without a problem, and is never overwritten."""
    done = within("init", "pets", folder=tmp_path)

    text = (tmp_path / "pets.yaml").read_text()
    assert done.returncode == 0
    assert 'name: "pets"' in text
    assert text.count("#") > 8
    assert within("show", "pets.yaml", folder=tmp_path).returncode == 0
    (tmp_path / "pets.yaml").write_text("mine")
    assert within("init", "pets", folder=tmp_path).returncode == 2
    assert (tmp_path / "pets.yaml").read_text() == "mine"


def test_made_files_read_back_the_same(tmp_path: Path) -> None:
    """A run on the written PNG files gets the same pictures as a run on the made data."""
    done = within("datasets", "make", "xo", "pictures", "--count", 30, "--seed", 4, folder=tmp_path)

    made = XO(count=30).open(Request(seed=4))
    read = sorted((tmp_path / "pictures").rglob("*.png"))
    assert done.returncode == 0
    assert len(read) == 30
    for label in "OX":
        ours = [
            thing for thing, each in zip(made.things, made.labels, strict=True) if each == label
        ]
        files = [file for file in read if file.parent.name == label]
        for array, file in zip(ours, files, strict=True):
            assert (np.asarray(Image.open(file)) == array).all()


def test_datasets_are_listed(tmp_path: Path) -> None:
    """The list has every known data set, as a table and as JSON."""
    names = [
        each["name"]
        for each in json.loads(within("datasets", "list", "--json", folder=tmp_path).stdout)
    ]

    table = within("datasets", "list", folder=tmp_path).stdout
    assert {"xo", "digits"} <= set(names)
    assert all(name in table for name in names)


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "train",
        "fit",
        "predict",
        "evaluate",
        "show",
        "init",
        "schema",
        "datasets",
        "datasets list",
        "datasets get",
        "datasets make",
        "cache",
    ],
)
def test_every_verb_has_help_with_an_example(verb: str, tmp_path: Path) -> None:
    """--help works everywhere, and shows an example."""
    done = within(*verb.split(), "--help", folder=tmp_path)

    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"gridcnn {verb}" in done.stdout


def test_the_cache_is_shown_and_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All kinds of what is kept, with their places and sizes; fetched data is not cleared."""
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "kept"))
    within("run", "xo", "--set", "data.source.xo.count=60", "--set", "training.epochs=1",
             folder=tmp_path)  # fmt: skip
    fetched = tmp_path / "kept" / "data" / "sms" / "part"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(bytes(1234))
    kinds = json.loads(within("cache", "--json", folder=tmp_path).stdout)
    code, grids, learned, data = kinds

    assert code["bytes"] > 0
    assert (grids["bytes"], learned["bytes"], data["bytes"]) == (0, 0, 1234)
    folders = [str(tmp_path / "kept" / name) for name in ("objects", "grids", "grids", "data")]
    assert [kind["folder"] for kind in kinds] == folders
    assert [kind["limit"] is None for kind in kinds] == [False, False, False, True]
    cleared = within("cache", "--clear", folder=tmp_path)
    assert "machine code: 0 bytes of at most 256.0 MB in" in cleared.stdout
    assert "fetched data: 1.2 kB in" in cleared.stdout
    assert fetched.is_file()
    monkeypatch.setenv("GRIDCNN_CACHE", "off")
    assert "grids: nothing is kept" in within("cache", folder=tmp_path).stdout
    monkeypatch.setenv("GRIDCNN_CACHE_SIZE", "much")
    wrong = within("cache", folder=tmp_path)
    assert wrong.returncode == 2
    assert "error: GRIDCNN_CACHE_SIZE must be a size" in wrong.stderr


def test_a_fault_of_ours_is_no_traceback(work: Path, tmp_path: Path) -> None:
    """An unexpected error exits with 1 and asks for --debug, which shows where it comes from."""
    code = (
        "import sys; from gridcnn.cli import main, show\n"
        "import gridcnn.spec.load\n"
        "gridcnn.spec.load.load = lambda *a, **k: 1 / 0\n"
        "main.main(sys.argv[1:])"
    )

    plain = subprocess.run(
        [sys.executable, "-c", code, "show", "xo"], capture_output=True, text=True, check=False
    )
    debug = subprocess.run(
        [sys.executable, "-c", code, "show", "xo", "--debug"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert plain.returncode == debug.returncode == 1
    assert "Traceback" not in plain.stderr
    assert "gridcnn failed because of a bug: ZeroDivisionError" in plain.stderr
    assert "Traceback" in debug.stderr


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on(
    stop: signal.Signals, code: int, tmp_path: Path
) -> None:
    """So does SIGTERM. It ends the run long before its last epoch; the run resumes to the end."""
    (tmp_path / "long.yaml").write_text(SPEC.replace("epochs: 4", "epochs: 100000"))
    process = subprocess.Popen(
        [sys.executable, "-m", "gridcnn", "run", "long.yaml", "--out", "run"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    history = tmp_path / "run/history.csv"
    deadline = time.monotonic() + 240
    try:
        while not history.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert history.exists()
        process.send_signal(stop)
        # Two seconds at the most are meant; a machine that does much else may take far longer.
        _, errors = process.communicate(timeout=240)
    finally:
        process.kill()

    assert process.returncode == code
    assert "stopped; continue with: gridcnn run --resume run" in errors
    assert "Traceback" not in errors
    # One more than the history has: a stop may come between a checkpoint and its line there.
    epochs = len(history.read_text().splitlines())
    spec = tmp_path / "run/spec.yaml"
    before = spec.read_text()
    spec.write_text(before.replace("batch_size: 16", "batch_size: 17"))
    # The spec was changed by hand, which the checkpoint notices.
    refused = within("run", "--resume", "run", folder=tmp_path)
    assert refused.returncode == 2
    assert "another spec or other data" in refused.stderr
    spec.write_text(before)
    ended = within("run", "--resume", "run", "--set", f"training.epochs={epochs}", folder=tmp_path)
    assert ended.returncode == 0
    assert len(history.read_text().splitlines()) - 1 == epochs


def _imported(times: str) -> set[str]:
    """Return the packages that `-X importtime` tells of."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in times.splitlines()}


def test_start_up_loads_nothing_heavy(tmp_path: Path) -> None:
    """Neither `import gridcnn` nor `gridcnn --help` loads what they do not need."""
    heavy = {"sklearn", "pandas", "librosa", "llvmlite", "matplotlib", "scipy", "numpy", "PIL"}
    code = "import sys, gridcnn; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    helped = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gridcnn", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert not heavy & set(loaded.stdout.split())
    modules = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in helped.stderr.split("\n")
    }
    assert not heavy & modules


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "bad.yaml"],
        ["run", "none.yaml"],
        ["predict", "run", "none", "--engine", "reference"],
    ],
)
def test_llvm_is_loaded_only_for_its_engine(
    arguments: list[str], work: Path, tmp_path: Path
) -> None:
    """Neither a spec's problems nor another engine's answers wait for it."""
    (tmp_path / "bad.yaml").write_text("stages: [relu]\n")
    (tmp_path / "run").symlink_to(work / "run", target_is_directory=True)

    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gridcnn", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "llvmlite" not in _imported(done.stderr)


def test_predicting_loads_nothing_heavy(work: Path) -> None:
    """Answering for a picture does without scikit-learn, pandas, SciPy and Matplotlib."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gridcnn", "predict", "run", "pictures"],
        capture_output=True,
        text=True,
        check=True,
        cwd=work,
    )

    modules = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.split("\n")
    }
    assert "numpy" in modules
    assert not {"sklearn", "pandas", "librosa", "matplotlib", "scipy"} & modules


def test_a_run_goes_on_when_nobody_reads_what_it_says(work: Path, tmp_path: Path) -> None:
    """`gridcnn run ... | head -1` trains to the end: the results are in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gridcnn", *words("run", str(work / "tiny.yaml"), "--out", "run")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()

    _, errors = process.communicate(timeout=240)

    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert (tmp_path / "run/metrics.json").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [["--help"], ["show", "xo"], ["schema"]])
def test_output_that_cannot_be_written_is_told(arguments: list[str]) -> None:
    """A full disk behind standard output is one line, and exit code 2."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gridcnn", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr
    assert done.returncode != 0


def test_an_empty_name_is_no_folder(work: Path) -> None:
    """An unset variable of the shell does not stand for the current folder."""
    done = gridcnn_("predict", "run", "", folder=work)

    assert done.returncode == 2
    assert "a file name is empty" in done.stderr
    assert done.stdout == ""


def test_a_reader_that_stops_reading_is_no_error(work: Path) -> None:
    """`gridcnn predict ... | head -1` ends without a word."""
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'gridcnn', 'schema'],"
        " stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "p.stdout.read(10); p.stdout.close()\n"
        "print(p.stderr.read().decode()); sys.exit(p.wait())"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "Traceback" not in done.stdout
    assert "Error" not in done.stdout


def test_json_has_escapes_where_the_output_is_not_utf_8(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Windows console's encoding lacks characters; JSON loses none of them."""
    written = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors="replace")
    monkeypatch.setattr(sys, "stdout", written)

    screen.say_json({"file": "\u732b.png"})

    written.flush()
    assert json.loads(written.buffer.getvalue()) == {"file": "\u732b.png"}
