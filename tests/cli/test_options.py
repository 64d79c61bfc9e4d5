"""Options that verbs share: each verb has those of its sisters, or a reason not to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

from gridcnn.cli.main import app
from tests.cli.invoke import TINY, cli

ANSWERS = "what it prints is what it is for"
DECIDES = "takes the place of a folder that is there by its own rules"
MODELS = {"predict", "evaluate", "explain", "features"}
TRAINING = {"run", "train", "fit", "tune"}
WRITING = {"walkthrough", "export", "explain", "features", "import", "init", "report"}

# For each option the verbs that have it, and those of the same kind that do not, with the reason.
TABLE: dict[str, tuple[set[str], dict[str, str]]] = {
    "--json": (
        {*TRAINING, *MODELS, "export", "compare", "show", "check", "cache"}
        | {"datasets list", "datasets get"},
        {
            "import": "prints what it has written",
            "report": "writes report.json as well",
            "init": "writes a file for people",
            "schema": "prints nothing but JSON",
            "serve": "answers requests as JSON",
            "walkthrough": "makes a page for people",
            "datasets make": "writes files that are read like any others",
        },
    ),
    "--quiet": (
        {*TRAINING, *WRITING, "check", "datasets get", "datasets make"},
        {
            "predict": ANSWERS,
            "evaluate": ANSWERS,
            "compare": ANSWERS,
            "show": ANSWERS,
            "schema": ANSWERS,
            "cache": ANSWERS,
            "datasets list": ANSWERS,
            "serve": "its log goes to standard error",
        },
    ),
    "--strict": (
        {"run", "train", "fit", "predict", "evaluate", "explain", "show", "check", "init"},
        {
            "tune": "the run of the best trial says it",
            "features": "looks at data that a run has looked at",
            "report": "tells again what a run has told",
            "compare": "reads results, and no data",
            "export": "its notes are about the form, and not about data",
            "import": "its notes are about the form, and not about data",
            "walkthrough": "makes its own data",
            "schema": "reads no data",
            "serve": "refuses a request, or answers it",
            "cache": "reads no data",
            "datasets list": "reads no data",
            "datasets get": "checks what it gets by its hash",
            "datasets make": "reads no data",
        },
    ),
    "--force": (
        (WRITING - {"report"}) | {"compare", "show", "check"},
        {
            "run": DECIDES,
            "train": DECIDES,
            "fit": DECIDES,
            "tune": DECIDES,
            "report": "replaces the page of its own run",
            "predict": "goes on with a folder of answers",
            "evaluate": "writes nothing",
            "datasets get": "keeps what is there if it is right",
            "datasets make": "never replaces data",
            "datasets list": "writes nothing",
            "schema": "writes nothing",
            "serve": "writes nothing",
            "cache": "writes nothing",
        },
    ),
    "--threads": (
        {*TRAINING, *MODELS, "walkthrough", "show", "check", "serve"},
        {
            "export": "its checks compare a few items",
            "import": "compares a few arrays",
            "report": "adapts a few items",
            "compare": "computes no network",
            "init": "only its check takes time, which ends within seconds",
            "schema": "computes no network",
            "cache": "computes no network",
            "datasets list": "computes no network",
            "datasets get": "computes no network",
            "datasets make": "computes no network",
        },
    ),
    "--engine": (
        {*TRAINING, *MODELS, "show", "serve"},
        {
            "walkthrough": "its network is small",
            "export": "the file has an engine of its own",
            "import": "the file has an engine of its own",
            "report": "computes no network",
            "compare": "computes no network",
            "init": "computes no network",
            "check": "trains small networks of its own",
            "schema": "computes no network",
            "cache": "computes no network",
            "datasets list": "computes no network",
            "datasets get": "computes no network",
            "datasets make": "computes no network",
        },
    ),
}
TABLE["--device"] = TABLE["--precision"] = TABLE["--engine"]


def verbs(command: Any, name: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield every verb with the names of its options."""
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from verbs(inner, f"{name} {word}".strip())
    else:
        yield name, {option for each in command.params for option in each.opts}


VERBS = dict(verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("option", TABLE)
def test_every_verb_has_a_common_option_or_a_reason(option: str) -> None:
    having, lacking = TABLE[option]

    assert {verb for verb, options in VERBS.items() if option in options} == having
    assert lacking.keys() == VERBS.keys() - having
    assert all(lacking.values())


def test_short_names_mean_the_same_everywhere() -> None:
    """`-q` is `--quiet`, and `-o` is `--out`, wherever there are these."""
    for verb, options in VERBS.items():
        assert ("-q" in options) == ("--quiet" in options), verb
        assert "-o" not in options or "--out" in options, verb


def test_quiet_verbs_write_and_say_nothing(tmp_path: Path) -> None:
    """They say their errors all the same."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    for label in ("up", "down"):
        (tmp_path / "drawings" / label).mkdir(parents=True)
        Image.fromarray(np.eye(12, dtype=np.uint8)).save(tmp_path / "drawings" / label / "1.png")

    for file, *words in (
        ("run", "run", "tiny.yaml", "--out", "run"),
        ("run/report.html", "report", "run"),
        ("a.onnx", "export", "run", "--to", "onnx", "--input", "grid", "-o", "a.onnx"),
        ("imported", "import", "a.onnx", "-o", "imported"),
        ("page.html", "explain", "run", "drawings/up/1.png", "-o", "page.html"),
        ("drawings.yaml", "init", "drawings"),
    ):
        done = cli(*words, "--quiet", folder=tmp_path)
        assert (done.exit_code, done.output) == (0, ""), done.output
        assert (tmp_path / file).exists()

    for words in (["report", "no"], ["init", "no/where"], ["export", "no", "--to", "onnx"]):
        assert cli(*words, "-q", folder=tmp_path).stderr.startswith("error: no")
