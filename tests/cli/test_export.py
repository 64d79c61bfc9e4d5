"""`gridcnn export`: files, their facts, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

import gridcnn
from tests.cli.invoke import TINY, cli

onnx: Any = pytest.importorskip("onnx", reason="the package onnx is not installed")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of pictures, `tiny`."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "tiny.yaml").write_text(TINY)
    done = cli("run", "tiny.yaml", "--out", "tiny", folder=folder)
    assert done.exit_code == 0, done.output
    return folder


def test_a_model_is_written_as_onnx(work: Path) -> None:
    done = cli("export", "tiny", "--to", "onnx", "--input", "grid", "-o", "a.onnx", folder=work)

    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "a.onnx written"
    assert "grids: float32 (items, 1, 12, 12)" in done.stdout
    metadata = {each.key: each.value for each in onnx.load(work / "a.onnx").metadata_props}
    assert json.loads(metadata["classes"]) == ["O", "X"]
    assert metadata["gridcnn"] == gridcnn.__version__
    assert json.loads(metadata["spec"])["name"] == "tiny"
    assert json.loads(metadata["adapter"])["image"]["size"] == [12, 12]


def test_the_file_has_the_name_of_the_spec_unless_another_is_given(work: Path) -> None:
    first = cli("export", "tiny", "--to", "onnx", "--input", "grid", folder=work)
    again = cli("export", "tiny", "--to", "onnx", "--input", "grid", folder=work)

    assert first.exit_code == again.exit_code == 0
    assert (work / "tiny.onnx").is_file()


def test_a_file_of_somebody_else_is_kept(work: Path) -> None:
    (work / "mine.onnx").write_bytes(b"mine")

    refused = cli("export", "tiny", "--to", "onnx", "-o", "mine.onnx", folder=work)

    assert refused.exit_code == 2
    assert refused.stderr == (
        "error: mine.onnx exists already, and gridcnn did not write it; give another name, or "
        "--force\n"
    )
    assert (work / "mine.onnx").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "onxx"], "'onxx' is not an export format; did you mean 'onnx'?"),
        (["--to", "onnx", "--opset", "3"], "opset"),
        (["--to", "onnx", "--input", "girl"], "input"),
        (["--to", "onnx", "extra"], "items are for --check; give --check before them"),
    ],
)
def test_wrong_options_are_one_line(work: Path, options: list[str], message: str) -> None:
    done = cli("export", "tiny", *options, folder=work)

    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
