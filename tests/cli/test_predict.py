"""`gridcnn predict` for texts, rows of tables and arrays, and `gridcnn init` on data."""

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli.evaluate import say_scores
from gridcnn.cli.main import app
from gridcnn.contracts.source import Request
from gridcnn.datasets.makers.made import write_files, write_table
from gridcnn.datasets.makers.phrases import Phrases
from gridcnn.datasets.makers.xo import XO
from gridcnn.network import Network
from gridcnn.runs.questions import Questions

TEXTS = ["tea for two", "tea time", "sun and sea", "sun at noon"] * 8
TEXT_STAGES = [
    {"convolution": {"filters": 4, "kernel_size": ["all", 3]}},
    {"pooling": {"window": "all"}},
]
ROW_STAGES = [{"convolution": {"filters": 4, "kernel_size": [1, 3]}}, "rectification"]
QUICK = {"training.epochs": 3, "training.batch_size": 8, "training.learning_rate": 0.02}


def within(*arguments: Any, folder: Path, stdin: bytes = b"") -> Any:
    """Run the command in `folder` and in this process."""
    environment = {"COLUMNS": "200", "NO_COLOR": "1"}
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, [*map(str, arguments)], input=stdin, env=environment)


def answers(*arguments: Any, folder: Path, stdin: bytes = b"") -> dict[str, list[float]]:
    """Return the votes for each name, as `predict --csv` prints them."""
    done = within("predict", *arguments, "--csv", folder=folder, stdin=stdin)
    assert done.exit_code in (0, 2), done.output
    rows = list(csv.reader(io.StringIO(done.stdout)))[1:]
    return {row[0]: [float(vote) for vote in row[2:]] for row in rows}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with models of texts, rows and arrays, and tables; read it only."""
    folder = tmp_path_factory.mktemp("work")
    random = np.random.default_rng(0)
    rows = random.normal(size=(32, 6)).round(3)
    texts = pd.DataFrame({"kind": ["tea", "tea", "sun", "sun"] * 8, "text": TEXTS})
    numbers = pd.DataFrame(rows, columns=list("abcdef"))
    numbers = numbers.assign(kind=["x", "y"] * 16, who=np.arange(32) // 4)
    texts.to_csv(folder / "texts.csv", index=False)
    numbers.to_csv(folder / "numbers.csv", index=False)
    np.savez(folder / "stack.npz", X=rows.reshape(32, 2, 3), y=["x", "y"] * 16)
    with contextlib.chdir(folder):
        table = {"path": "texts.csv", "input": "text", "label": "kind"}
        spec = {"data": {"source": {"table": table}}, "stages": TEXT_STAGES, "head": "voting"}
        gridcnn.run(spec, changes=QUICK, out="words")
        gridcnn.run(
            {**spec, "data": None}, data=(TEXTS, texts["kind"]), changes=QUICK, out="memory"
        )
        table = {"path": "numbers.csv", "label": "kind"}
        spec = {"data": {"source": {"table": table}, "group": "who"}, "adapter": "table"}
        gridcnn.run({**spec, "stages": ROW_STAGES, "head": "voting"}, changes=QUICK, out="rows")
        grids = {"stages": [{"convolution": {"filters": 2, "kernel_size": 2}}], "head": "voting"}
        gridcnn.run(grids, data="stack.npz", changes=QUICK, out="grids")
    return folder


def test_texts_on_the_line_are_answered_as_in_python(work: Path) -> None:
    found = answers("words", "--text", "tea sir", "--text", "sun, too", folder=work)

    assert list(found) == ["text 1", "text 2"]
    expected = gridcnn.load(work / "words").votes(["tea sir", "sun, too"])
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-6)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("model", ["words", "rows"])
def test_each_row_of_a_table_is_answered(
    work: Path, tmp_path: Path, model: str, ending: str
) -> None:
    """In every form, without its label, and named by its place; more rows than one batch."""
    column = {"words": "text", "rows": list("abcdef")}[model]
    frame = pd.read_csv(work / f"{'texts' if model == 'words' else 'numbers'}.csv")
    frame = pd.concat([frame] * 10, ignore_index=True).drop(columns="kind")
    file = tmp_path / f"new{ending}"
    if ending == ".parquet":
        frame.to_parquet(file)
    elif ending == ".jsonl":
        frame.to_json(file, orient="records", lines=True)
    else:
        frame.to_csv(file, index=False, sep="\t" if ending == ".tsv" else ",")

    found = answers(work / model, f"new{ending}", folder=tmp_path)

    first = {".jsonl": "new.jsonl:1", ".parquet": "new.parquet, row 0"}.get(
        ending, f"new{ending}:2"
    )
    assert next(iter(found)) == first
    expected = gridcnn.load(work / model).votes(frame[column].to_numpy().tolist())
    np.testing.assert_allclose(list(found.values()), expected, atol=2e-6)


def test_standard_input_is_a_text_or_one_in_each_line(work: Path) -> None:
    given = "tea für zwei\n\nsun\n".encode()
    whole = answers("words", "-", folder=work, stdin=given)
    lines = answers("words", "-", "--lines", folder=work, stdin=given)

    model = gridcnn.load(work / "words")
    np.testing.assert_allclose(
        whole["standard input"], model.votes("tea für zwei\n\nsun")[0], atol=1e-6
    )
    assert list(lines) == ["standard input:1", "standard input:3"]
    np.testing.assert_allclose(
        list(lines.values()), model.votes(["tea für zwei", "sun"]), atol=1e-6
    )


def test_files_of_text_are_texts(work: Path, tmp_path: Path) -> None:
    """Alone and in folders; with --lines each line is one."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.txt").write_text("sun\nsea\n")
    (tmp_path / "in" / "a.txt").write_text("tea")
    (tmp_path / "in" / "other.md").write_text("no")

    assert list(answers(work / "words", "in", folder=tmp_path)) == ["in/a.txt", "in/b.txt"]
    assert list(answers(work / "words", "in", "in/other.md", "--lines", folder=tmp_path)) == [
        "in/a.txt:1",
        "in/b.txt:1",
        "in/b.txt:2",
        "in/other.md:1",
    ]


def test_other_columns_are_named(work: Path, tmp_path: Path) -> None:
    """A model of texts from Python needs the name of a column; others take another."""
    (tmp_path / "new.csv").write_text("words,text\nsun,tea\n")
    (tmp_path / "wide.csv").write_text("z,a,b,c,d,e,f\n" + "0,1,2,3,4,5,6\n")

    refused = within("predict", work / "memory", "new.csv", folder=tmp_path)
    found = answers(work / "memory", "new.csv", "--input", "words", folder=tmp_path)
    usual = answers(work / "words", "new.csv", folder=tmp_path)
    wide = within("predict", work / "rows", "wide.csv", folder=tmp_path)
    six = [option for name in "abcdef" for option in ("--input", name)]
    picked = answers(work / "rows", "wide.csv", *six, folder=tmp_path)

    assert refused.exit_code == 2
    assert "new.csv: this model was trained on texts that came from no table" in refused.stderr
    np.testing.assert_allclose(
        found["new.csv:2"], gridcnn.load(work / "memory").votes("sun")[0], atol=1e-6
    )
    np.testing.assert_allclose(
        usual["new.csv:2"], gridcnn.load(work / "words").votes("tea")[0], atol=1e-6
    )
    assert wide.exit_code == 0
    assert wide.stderr == (
        "note: wide.csv: not columns of the training, and ignored: the column 'z'\n"
    )
    assert list(picked) == ["wide.csv:2"]


def test_numbers_come_by_standard_input_too(work: Path) -> None:
    """A CSV table, read row by row, or a stored array; labels and groups say nothing."""
    table = answers("rows", "-", folder=work, stdin=(work / "numbers.csv").read_bytes())
    stack = answers("grids", "-", folder=work, stdin=(work / "stack.npz").read_bytes())
    file = answers("rows", "numbers.csv", folder=work)

    assert [name.split(":")[1] for name in table] == [name.split(":")[1] for name in file]
    assert list(table.values()) == list(file.values())
    assert stack == {
        name.replace("stack.npz", "standard input"): votes
        for name, votes in answers("grids", "stack.npz", folder=work).items()
    }


def test_stored_arrays_are_items_or_stacks(work: Path, tmp_path: Path) -> None:
    """As the shape of the model's items tells."""
    stack = np.load(work / "stack.npz")["X"]
    np.save(tmp_path / "one.npy", stack[3])
    np.save(tmp_path / "many.npy", stack[:2])
    np.save(tmp_path / "wrong.npy", np.zeros((4, 4)))

    done = within("predict", work / "grids", "one.npy", "many.npy", "wrong.npy", folder=tmp_path)
    found = answers(work / "grids", "one.npy", "many.npy", folder=tmp_path)

    assert done.exit_code == 2
    assert done.stderr.count("error:") == 1
    assert "error: wrong.npy: the item is 1 x 4 x 4" in done.stderr
    assert list(found) == ["one.npy", "many.npy, item 0", "many.npy, item 1"]
    expected = gridcnn.load(work / "grids").votes(stack[[3, 0, 1]])
    np.testing.assert_allclose(list(found.values()), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "good", "problem"),
    [
        (
            b"text\ntea\nca\xf6\nsun\n",
            ["new.csv:2"],
            "new.csv:3: is not UTF-8 text from here on (byte 0xf6)",
        ),
        (b"text\ntea\na,b\nsun\n", ["new.csv:2", "new.csv:4"], "new.csv:3: has 2 cells"),
        (b"txt\ntea\n", [], "new.csv:1: has no column 'text'; did you mean 'txt'?"),
        (b"", [], "new.csv:1: is empty"),
        (b"text,n\n,1\nsun,2\n", ["new.csv:3"], "new.csv:2: it has no characters"),
    ],
)
def test_wrong_tables_are_told_and_the_rest_is_answered(
    work: Path, tmp_path: Path, content: bytes, good: list[str], problem: str
) -> None:
    """One line for each problem, and the next file is answered all the same."""
    (tmp_path / "new.csv").write_bytes(content)
    (tmp_path / "next.txt").write_text("tea")

    done = within("predict", work / "words", "new.csv", "next.txt", "--json", folder=tmp_path)

    assert done.exit_code == 2
    assert [each["file"] for each in json.loads(done.stdout)] == [*good, "next.txt"]
    assert done.stderr.count("error:") == 1
    assert problem in done.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["rows"], b"", "there is nothing to classify"),
        (
            ["rows", "--text", "x"],
            b"",
            "--text is for models of texts",
        ),
        (["grids", "numbers.csv", "--lines"], b"", "--lines is for models of texts"),
        (["words", "-", "--input", "a", "--input", "b"], b"", "--input is given once"),
        (["words", "hello there"], b"", "a text itself is given with --text"),
        (["words", "-"], b"", "standard input is empty"),
        (["words", "-", "--lines"], b"\n\n", "has no lines of text"),
        (["words", "-"], b"ca\xf6", "is not UTF-8 text from here on (byte 0xf6)"),
        (["rows", "-"], b"", "standard input is empty"),
        (
            ["rows", "-"],
            b"a,b\n1,2\n",
            "has no columns 'c', 'd', 'e', 'f'. The model was trained on",
        ),
        (["words", "words/model.safetensors"], b"", "is not UTF-8 text"),
        (["rows", "words/model.safetensors"], b"", "a table is .csv, .tsv"),
        (["words", "--text", ""], b"", "text 1: it has no characters"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(
    work: Path, arguments: list[str], stdin: bytes, message: str
) -> None:
    done = within("predict", *arguments, folder=work, stdin=stdin)

    assert done.exit_code == 2
    assert done.output.count("error:") == 1
    assert message in done.output
    assert "Traceback" not in done.output


def test_show_draws_a_text_and_an_array(work: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("tea")
    np.save(tmp_path / "one.npy", np.zeros((2, 3)))

    text = within("show", "note.txt", "--spec", work / "words", folder=tmp_path)
    array = within("show", "one.npy", "--spec", work / "grids", folder=tmp_path)
    table = within("show", "texts.csv", "--spec", "words", folder=work)

    assert text.exit_code == array.exit_code == 0
    assert "note.txt: 1 x " in text.stdout
    assert "one.npy: 1 x 2 x 3" in array.stdout
    assert table.exit_code == 2
    assert "texts.csv holds several things, such as texts.csv:2; show takes one" in table.stderr


def test_init_looks_at_data_or_takes_a_name(tmp_path: Path) -> None:
    """What is there is data; a known name has its ready spec; all else is a name."""
    write_files(XO(count=8, size=(12, 12)), tmp_path / "my pictures")
    write_table(Phrases(count=60), tmp_path / "phrases.csv")

    folder = within("init", "my pictures", folder=tmp_path)
    table = within("init", "phrases.csv", "--name", "texts", folder=tmp_path)
    known = within("init", "digits", "--name", "mine", folder=tmp_path)
    name = within("init", "pets", folder=tmp_path)

    assert folder.stdout.startswith("found 8 pictures, 2 classes\nmy-pictures.yaml written")
    assert "found a table of texts" in table.stdout
    assert "found the ready spec digits" in known.stdout
    assert name.stdout.startswith("pets.yaml written")
    for file, title in (("my-pictures", "image"), ("texts", "text"), ("mine", "image")):
        text = (tmp_path / f"{file}.yaml").read_text()
        assert f'name: "{file}"' in text
        assert f"\n  {title}:" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothere.csv"], "nothere.csv: there is no such file or folder"),
        (["no/where"], "no/where: there is no such file or folder"),
        (["pets", "--label", "kind"], "--label and --input are for a table"),
        (["texts.csv", "--label", "knd"], "has no column 'knd'; did you mean 'kind'?"),
        (["stack.npz", "--input", "X"], "is not a table of texts or numbers"),
        (["words"], "has no class folders"),
    ],
)
def test_init_tells_what_it_cannot_look_at(work: Path, arguments: list[str], message: str) -> None:
    """In one line, and nothing is written."""
    before = sorted(work.iterdir())

    done = within("init", *arguments, folder=work)

    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("error:") == 1
    assert sorted(work.iterdir()) == before


def test_made_texts_are_a_table_that_is_read_back(tmp_path: Path) -> None:
    """The same texts and labels, and an existing file is never replaced."""
    done = within("datasets", "make", "phrases", "p.tsv", "--count", 9, folder=tmp_path)
    again = within("datasets", "make", "phrases", "p.tsv", folder=tmp_path)
    odd = within("datasets", "make", "phrases", "p", folder=tmp_path)

    assert done.stdout == "9 texts written to p.tsv\n"
    read = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    made = Phrases(count=9).open(Request())
    assert read["text"].tolist() == list(made.things)
    assert read["label"].tolist() == list(made.labels)
    assert again.exit_code == odd.exit_code == 2
    assert "exists already" in again.stderr
    assert "ends in .csv or .tsv" in odd.stderr


CLASSES = ["\x1b[31mred", "k\0", "\x9b2J\u202e"]


@pytest.fixture(scope="module")
def odd(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of large weights and classes that steer a terminal; its data."""
    folder = tmp_path_factory.mktemp("odd")
    trained = gridcnn.load(work / "grids")
    spec = trained.spec
    grids = np.random.default_rng(0).normal(size=(4, 2, 3))
    network = Network(spec, trained.shape, classes=3)
    parameters = network.starting_parameters() * np.float32(1e10)
    gridcnn.Model(spec, CLASSES, parameters).save(folder / "model")
    np.save(folder / "near.npy", grids)
    grids[1] = 3e30
    np.save(folder / "far.npy", grids)
    np.savez(folder / "data.npz", X=grids[[0, 2, 3, 0, 2, 3]], y=np.arange(6))
    return folder


@pytest.mark.parametrize("form", [[], ["--csv"], ["--json"]])
def test_items_without_finite_votes_are_told_and_the_rest_is_answered(
    odd: Path, form: list[str]
) -> None:
    """No form has a NaN in it, and none answers the first class."""
    done = within("predict", "model", "far.npy", *form, folder=odd)

    assert done.exit_code == 2
    assert "far.npy, item 1: its votes are not finite numbers" in done.stderr
    assert "nan" not in done.stdout.lower()
    assert "far.npy, item 1" not in done.stdout
    assert all(f"far.npy, item {number}" in done.stdout for number in (0, 2, 3))


def test_labels_never_steer_the_terminal(odd: Path) -> None:
    """Texts and JSON have escapes, and JSON and CSV read back as what the labels are."""
    text = within("predict", "model", "near.npy", folder=odd).stdout
    as_json = within("predict", "model", "near.npy", "--json", folder=odd).stdout
    as_csv = within("predict", "model", "near.npy", "--csv", folder=odd).stdout

    for printed in (text, as_json):
        assert printed.replace("\n", "").isprintable()
    assert "\\x1b[31mred" in text
    assert list(json.loads(as_json)[0]["votes"]) == CLASSES
    header = next(csv.reader(io.StringIO(as_csv)))
    assert header[2:] == [f"votes.{label}" for label in CLASSES]


def test_tables_of_labels_never_steer_the_terminal(odd: Path) -> None:
    """The scores of each class, and the confusion."""
    with np.load(odd / "data.npz") as data:
        labels = [CLASSES[number % 3] for number in data["y"]]
        dataset = data["X"], labels
    found = gridcnn.evaluate(odd / "model", dataset)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        say_scores(found)

    assert list(found.classes) == CLASSES
    assert printed.getvalue().replace("\n", "").isprintable()
    assert "\\x1b[31mred" in printed.getvalue()


def test_whether_a_stack_fits_takes_no_memory(work: Path) -> None:
    """A mapped file may be larger than any memory."""
    questions = Questions(gridcnn.load(work / "grids").adapter, None)

    assert not questions._fits((2**20, 2**20, 2**20))
    assert questions._fits((2, 3))


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_gets_drawings(tmp_path: Path) -> None:
    """A few items are drawn with their votes; --plain, and a simple terminal, have a line each."""
    write_files(XO(count=8, size=(12, 12)), tmp_path / "pictures", seed=5)
    spec = {
        "name": "tiny",
        "adapter": {"image": {"size": [12, 12]}},
        "stages": ["pooling"],
        "head": "voting",
        "training": {"epochs": 1},
    }
    gridcnn.run(spec, data=tmp_path / "pictures", out=tmp_path / "run")
    picture = sorted((tmp_path / "pictures").rglob("*.png"))[0]

    drawn = _on_a_terminal("run", picture, folder=tmp_path)
    plain = _on_a_terminal("run", picture, "--plain", folder=tmp_path)
    many = _on_a_terminal("run", "pictures", folder=tmp_path)
    dumb = _on_a_terminal("run", picture, folder=tmp_path, TERM="dumb")

    assert drawn.count("▀") >= 12 * 6
    assert re.search(r"> [OX]  █+.* 0\.\d{3}", drawn)
    assert "▀" not in plain + many + dumb
    assert plain == dumb
    assert re.search(r"\.png  [OX]  O 0\.\d{3}  X 0\.\d{3}", plain)
    assert many.count(".png") == 8


def _on_a_terminal(*arguments: Any, folder: Path, **more: str) -> str:
    """Return what `gridcnn predict` prints on a terminal of 80 columns, without colours."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    left_out = ("COLUMNS", "LINES", "NO_COLOR", "CI")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"TERM": "xterm-256color", "PYTHONUTF8": "1", **more}
    command = [sys.executable, "-m", "gridcnn", "predict", *map(str, arguments)]
    printed = b""
    with subprocess.Popen(command, cwd=folder, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # Linux says so when the other side is closed
                break
            if not part:
                break
            printed += part
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode())


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("_write", "stopped; the same command continues in answers\n"),
        ("load", "stopped; nothing was written\n"),
    ],
)
def test_stopping_answers_in_files_says_how_to_go_on(
    where: str, said: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command then answers all rows."""

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    command = ("predict", work / "rows", work / "numbers.csv", "--out", "answers")
    with monkeypatch.context() as patched:
        patched.setattr(f"gridcnn.answering.{where}", stop)
        stopped = within(*command, folder=tmp_path)
    again = within(*command, folder=tmp_path)

    assert (stopped.exit_code, stopped.output) == (130, said)
    assert (again.exit_code, again.output) == (0, "32 items, 32 answered now: answers\n")
