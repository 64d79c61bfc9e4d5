"""`gridcnn export`: files, their facts, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gridcnn
from gridcnn.spec.load import load
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


def test_a_check_compares_votes_on_files(work: Path) -> None:
    """In folders and beside each other; nothing is written if some cannot be read."""
    random = np.random.default_rng(0)
    (work / "in").mkdir()
    for name in "abc":
        pixels = random.integers(0, 256, (20, 30, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(work / "in" / f"{name}.png")
    Image.new("L", (12, 12), 7).save(work / "d.png")
    (work / "bad.png").write_bytes(b"nothing")
    (work / "empty.png").write_bytes(b"")
    command = ["export", "tiny", "--to", "onnx", "--check", "in", "d.png", "-o"]

    done = cli(*command, "checked.onnx", "--json", folder=work)
    bad = cli(*command, "unchecked.onnx", "bad.png", "empty.png", "none.png", folder=work)

    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["items_checked"] == 4
    assert facts["largest_difference"] < 1e-5
    assert bad.exit_code == 2
    assert [line.split(": ")[:2] for line in bad.stderr.splitlines()] == [
        ["error", "bad.png"],
        ["error", "empty.png"],
        ["error", "none.png"],
    ]
    assert not bad.stdout
    assert not (work / "unchecked.onnx").exists()


@pytest.mark.parametrize(
    ("to", "name", "ending", "like"),
    [
        ("page", "x.onnx", ".html", "x.html"),
        ("onnx", "foo.html", ".onnx", "foo.onnx"),
        ("c", "c2.txt", ".h", "c2.h"),
        ("c", "c2.o", ".h", "c2.h"),
        ("pytorch", "net.safetensors", ".py", "net.py"),
        ("onnx", "..", ".onnx", "tiny.onnx"),
        ("onnx", ".onnx", ".onnx", "tiny.onnx"),
        ("onnx", "digits", ".onnx", "digits.onnx"),
    ],
)
def test_a_name_with_another_ending_is_refused(
    work: Path, to: str, name: str, ending: str, like: str
) -> None:
    before = sorted(work.iterdir())

    done = cli("export", "tiny", "--to", to, "-o", name, folder=work)

    assert done.exit_code == 2
    assert done.stderr == (
        f"error: --to {to} writes a file whose name ends with {ending}; got '{name}'; give a name "
        f"such as {like}\n"
    )
    assert sorted(work.iterdir()) == before


def test_a_model_exports_itself(work: Path) -> None:
    """From Python as from the shell; the answer is the place of the class."""
    runtime: Any = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    model = gridcnn.load(work / "tiny")
    pictures = np.random.default_rng(0).integers(0, 256, (5, 9, 14, 1)).astype(np.uint8)

    path = model.export("onnx", work / "own.onnx", opset=13)

    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    votes, answer = session.run(["votes", "answer"], {"pixels": pictures})
    np.testing.assert_allclose(votes, model.votes(list(pictures)), atol=1e-5)
    assert [model.classes[each] for each in answer] == model.predict(list(pictures)).tolist()


def test_several_labels_are_answered_by_their_thresholds(work: Path) -> None:
    runtime: Any = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    spec = {
        "adapter": {"table": {"size": [1, 4], "scaling": "none"}},
        "stages": [],
        "head": {"voting": {"labels": "several"}},
    }
    random = np.random.default_rng(0)
    parameters = random.normal(0, 1, 15).astype(np.float32)
    model = gridcnn.Model(load(spec), ["a", "b", "c"], parameters, thresholds=[0.3, 0.5, 0.8])
    rows = random.normal(0, 1, (50, 4)).astype(np.float32)

    path = model.export("onnx", work / "labels.onnx")

    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    votes, answer = session.run(["votes", "answer"], {"numbers": rows})
    np.testing.assert_allclose(votes, model.votes(rows), atol=1e-5)
    assert (answer == model.predict(rows)).all()
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["thresholds"]) == [0.3, 0.5, 0.8]
