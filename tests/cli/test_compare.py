"""Comparing runs on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

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


def test_a_folder_without_a_run_is_one_line(work: Path) -> None:
    """With exit code 2."""
    done = cli("compare", "runs/tiny/1", "runs", folder=work)

    assert (done.exit_code, done.stderr) == (
        2,
        "error: runs holds no run (metrics.json is missing); name a folder such as runs/xo/1\n",
    )
