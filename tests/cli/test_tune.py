"""Searches on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.invoke import cli

pytest.importorskip("optuna", reason="Optuna is not installed")

SPEC = """
name: tiny
data: {source: {xo: {count: 90, size: [12, 12]}}, validation: 0.2}
adapter: {image: {size: [12, 12]}}
stages: [{convolution: {filters: {choose: [2, 4]}}}, rectification, pooling]
head: voting
training: {epochs: 2, batch_size: 16, learning_rate: {log_range: [0.001, 0.1]}}
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a folder with a search space."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path


def test_a_search_tells_what_it_searches_each_trial_and_the_best(work: Path) -> None:
    """And how the best is trained and tested."""
    done = cli("tune", "tiny.yaml", "--trials", 5, folder=work)

    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:5] == [
        "searching:",
        "  stages[0].convolution.filters: 2, 4",
        "  training.learning_rate: 0.001 to 0.1, evenly by its logarithm",
        "items: 58 training, 14 validation; 2 classes; test items are left out",
        "",
    ]
    trial = (
        r"trial (\d)/5 [ *] validation accuracy \d+\.\d %, loss \d+\.\d{4}, \d+(\.\d)? s; "
        r"filters [24], learning_rate 0\.\d+"
    )
    matches = [re.fullmatch(trial, line) for line in lines[5:10]]
    assert [match and match[1] for match in matches] == ["1", "2", "3", "4", "5"]
    assert re.fullmatch(r"best: trial \d of 5, validation accuracy \d+\.\d %, loss .*", lines[11])
    assert lines[-2] == "train it and test it: gridcnn run runs/tiny/tune/best.yaml"
    assert lines[-1] == ("results: runs/tiny/tune, with trials.csv, history.png and settings.png")

    run = cli("run", "runs/tiny/tune/best.yaml", folder=work)
    again = cli("tune", "tiny.yaml", "--trials", 6, folder=work)

    assert run.exit_code == 0, run.stderr
    assert "test accuracy" in run.stdout
    assert [line[:9] for line in again.stdout.splitlines() if line.startswith("trial ")] == [
        "trial 6/6"
    ]


def test_a_search_can_print_json_or_nothing(work: Path) -> None:
    """One document; or errors alone."""
    quiet = cli("tune", "tiny.yaml", "--trials", 2, "-q", "--out", "out", folder=work)
    done = cli("tune", "tiny.yaml", "--trials", 2, "--json", "--out", "out", folder=work)

    assert (quiet.exit_code, quiet.output) == (0, "")
    printed = json.loads(done.stdout)
    assert printed["folder"] == "out"
    assert [each["trial"] for each in printed["trials"]] == [1, 2]
    assert printed["best"] in printed["trials"]
    assert (
        printed["spec"]["training"]["learning_rate"]
        == (printed["best"]["values"]["training.learning_rate"])
    )


def test_values_to_search_can_come_with_an_option(work: Path) -> None:
    """They replace those of the spec, as any value does."""
    choice = "training.learning_rate={choose: [0.01, 0.02]}"

    done = cli("tune", "tiny.yaml", "--trials", 1, "--set", choice, folder=work)

    assert "  training.learning_rate: 0.01, 0.02\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("run", "tiny.yaml"),
            "tiny.yaml:5:25: 'stages[0].convolution.filters' is {choose: ...}, ",
        ),
        (
            ("tune", "tiny.yaml", "--set", "training.epochs={range: [5, 2]}"),
            "--set training.epochs={range: [5, 2]}: range goes from the lowest to the highest; ",
        ),
        (("tune", "tiny.yaml", "--minutes", "-1"), "minutes must be a number above 0; got -1.0"),
        (("tune", "tiny.yaml", "--storage", "."), ".: the study cannot be kept there: it is a f"),
        (("tune", "none.yaml"), "there is no file none.yaml"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], message: str, work: Path) -> None:
    """With exit code 2, and nothing is written."""
    done = cli(*arguments, folder=work)

    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not (work / "runs").exists()
