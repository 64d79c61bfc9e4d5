"""`gridcnn check`: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from gridcnn.cli.drawing import accuracy_lines, lag_lines
from gridcnn.cli.main import app
from gridcnn.order.lags import Lags
from gridcnn.order.usefulness import Usefulness


def table(folder: Path, values: NDArray[np.float64], *, label: bool = True) -> str:
    names = [f"c{n}" for n in range(values.shape[1])] + ["kind"] * label
    rows = [",".join(f"{v:.5f}" for v in row) for row in values]
    lines = [f"{row},{'ab'[n % 2]}" if label else row for n, row in enumerate(rows)]
    path = folder / "table.csv"
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> str:
    X = np.cumsum(np.random.default_rng(0).normal(size=(80, 12)), axis=1)
    return table(tmp_path_factory.mktemp("walks"), X)


@pytest.fixture(scope="module")
def factors(tmp_path_factory: pytest.TempPathFactory) -> str:
    random = np.random.default_rng(1)
    X = random.normal(size=(200, 2)) @ random.normal(size=(2, 12))
    X += 0.3 * random.normal(size=X.shape)
    return table(tmp_path_factory.mktemp("factors"), X, label=False)


def run(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["check", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_a_verdict_is_told_within_eighty_columns(walks: str) -> None:
    """Decision, evidence, advice and drawings, in this order."""
    text = run(walks, "--label", "kind", "--threads", "1")

    lines = text.splitlines()
    parts = ["evidence", "advice", "association of columns", "accuracy of a small network"]
    places = [next(n for n, line in enumerate(lines) if line.startswith(part)) for part in parts]
    assert lines[0] == "verdict: grid (the order carries information)"
    assert places == sorted(places)
    assert "    adapter: {table: {size: [1, 12]}}" in lines
    assert max(len(line) for line in lines if "sklearn" not in line) <= 80


def test_no_grid_is_exit_code_three(factors: str) -> None:
    """And what to use instead is told."""
    text = run(factors, code=3)

    assert "verdict: permutable (the order carries no information)" in text
    assert "    HistGradientBoostingClassifier().fit(X, y)" in text


def test_quiet_leaves_the_exit_code(factors: str) -> None:
    """Nothing is printed."""
    assert run(factors, "--quiet", code=3) == ""


def test_json_is_the_whole_verdict(factors: str) -> None:
    """With the same exit code."""
    done = CliRunner().invoke(app, ["check", factors, "--json"])
    data = json.loads(done.stdout)  # a warning of a library would go to stderr

    assert done.exit_code == 3
    assert data["decision"] == "permutable"
    assert data["adapter"] is None
    assert len(data["lags"]["given"]) == 10


def test_a_report_is_written(factors: str, tmp_path: Path) -> None:
    """Beside what is printed, and also where the order means nothing."""
    out = tmp_path / "order.html"

    text = run(factors, "--report", str(out), code=3)

    assert f"{out} written" in text
    assert "<strong>permutable</strong>" in out.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "3"], "--shape is rows and columns, such as 28,28; got '3'"),
        (["--shape", "0,3"], "--shape is rows and columns"),
        (["--shape", "5,5"], "a grid of 5 x 5 has 25 cells, but there are 12 columns"),
        (["--label", "kinds"], "has no column 'kinds'; did you mean 'kind'?"),
        (["--report", "x.pdf"], "--report writes a page; give a name such as x.html"),
        (["--report", "/nowhere/x.html", "--no-header"], "/nowhere/x.html cannot be written"),
    ],
)
def test_bad_options_are_exit_code_two(walks: str, arguments: list[str], message: str) -> None:
    """One line says what is wrong."""
    text = run(walks, *arguments, code=2)

    assert message in text
    assert text.count("error: ") == 1


def test_files_that_cannot_be_read_are_exit_code_two(tmp_path: Path) -> None:
    """With the place."""
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n1,2\n")

    assert f"error: {path}:2: has 2 cells" in run(str(path), code=2)
    assert "there is no such file" in run(str(tmp_path / "y.csv"), code=2)


# Drawings ---------------------------------------------------------------------------------------


def lags(given: list[float]) -> Lags:
    count = len(given)
    nothing = np.zeros((2, 2), np.float32)
    return Lags(
        np.arange(count) + 1,
        np.array(given),
        np.full(count, 0.2),
        np.full(count, 0.3),
        nothing,
        nothing,
    )


@pytest.mark.parametrize("count", [2, 7, 59, 60, 61, 120])
@pytest.mark.parametrize("plain", [False, True])
def test_drawings_fit_and_have_a_mark_for_each_place(count: int, plain: bool) -> None:
    """Whatever the number of distances."""
    lines = lag_lines(lags(np.linspace(0.9, 0.1, count).tolist()), plain=plain)

    mark = "*" if plain else "●"
    drawn = [line[7:] for line in lines[:9]]
    columns = sorted(line.index(mark) for line in drawn if mark in line)
    assert max(map(len, lines)) <= 72
    assert sum(line.count(mark) for line in drawn) == min(count, 60)
    assert drawn[0].startswith(mark)
    assert mark in drawn[-1]
    assert columns == sorted(set(columns))
    assert all(line.isascii() for line in lines) == plain


def test_flat_associations_are_drawn() -> None:
    """Nothing is divided by zero."""
    flat = lags([0.25, 0.25, 0.25])
    same = Lags(flat.lags, flat.given, flat.given, flat.given, flat.matrix, flat.shuffled)

    assert len(lag_lines(same, plain=True)) == 12


def test_accuracies_stand_where_they_are() -> None:
    """The lowest at the left, the highest at the right; the usual guess where it is near."""
    first, second = accuracy_lines(Usefulness(0.8, (0.5, 0.65), 0.1, 0.01, 99, 2), plain=True)
    near, told = accuracy_lines(Usefulness(0.8, (0.5, 0.65), 0.4, 0.01, 99, 2), plain=True)

    signs = first.split()[1]
    assert (signs[0], signs[-1]) == ("o", "*")
    assert signs.index("o", 1) in (29, 30)
    assert "|" not in first + second
    assert near.split()[1][0] == "|"
    assert "| most frequent class: 40.0%" in told
