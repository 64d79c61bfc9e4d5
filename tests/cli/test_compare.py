"""Comparing runs on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gridcnn.cli.compare import _wrap_name
from tests.cli.invoke import TINY, cli


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a folder with two runs."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    cli("run", "tiny.yaml", "-q", folder=tmp_path)
    changes = ("--set", "training.optimizer=sgd", "--set", "stages=[rectification, pooling]")
    cli("run", "tiny.yaml", *changes, "-q", folder=tmp_path)
    return tmp_path


def test_a_table_has_what_differs_and_the_figures(work: Path) -> None:
    """Then one sentence."""
    done = cli("compare", "runs/tiny/1", "runs/tiny/2", folder=work)

    assert done.exit_code == 0, done.stderr
    for line in (
        r" +runs/tiny/1 +runs/tiny/2",
        r" stages +\[convolution, rectification, pooling\] +\[rectification, pooling\]",
        r" training\.optimizer +adam +sgd",
        r" test accuracy +\d+\.\d % +\d+\.\d %",
        r" 95 % interval +\d+\.\d % to \d+\.\d % +\d+\.\d % to \d+\.\d %",
        r" test items +18 +18",
        r" in all +\d.* s +\d.* s",
    ):
        assert re.search(rf"^{line}", done.stdout, re.MULTILINE), line
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(r"of 18 test items, \d+ are right in runs/tiny/\d alone, and .*", last)


def test_a_comparison_can_be_json(work: Path) -> None:
    """One document."""
    done = cli("compare", "runs/tiny/1", "runs/tiny/2", "--json", folder=work)

    printed = json.loads(done.stdout)
    assert [run["folder"] for run in printed["runs"]] == ["runs/tiny/1", "runs/tiny/2"]
    assert printed["tests"][0]["items"] == 18
    assert list(printed["settings"]) == ["stages", "training.optimizer"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("runs", "runs holds no run itself; name one of those in it, such as runs/tiny/1"),
        ("runs/tiny", "runs/tiny holds no run itself; name one of those in it, such as"),
        ("tiny.yaml", "tiny.yaml is not a folder; name a run folder, such as runs/xo/1"),
        ("nope", "nope does not exist; name a run folder, such as runs/xo/1"),
    ],
)
def test_what_is_no_run_folder_is_one_line(given: str, said: str, work: Path) -> None:
    """With exit code 2, also where a page about it is asked for."""
    for done in (
        cli("compare", "runs/tiny/1", given, folder=work),
        cli("report", given, folder=work),
    ):
        assert done.exit_code == 2
        assert done.stderr.startswith(f"error: {said}")
        assert done.stderr.count("\n") == 1


def test_names_are_broken_behind_a_dot_or_at_a_space() -> None:
    """On a narrow terminal, and nowhere within a word."""
    assert _wrap_name("stages[2].pooling.window", 16) == "stages[2].\npooling.window"
    assert _wrap_name("area under the ROC curve", 16) == "area under the\nROC curve"
    assert _wrap_name("stages[2].pooling.window", 26) == "stages[2].pooling.window"
