"""`gridcnn export --to c` and `gridcnn show --target`: files, sizes, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gridcnn
from tests.cli.invoke import TINY, cli

DEVICE = ("--target", "thumbv7em-none-eabihf")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of pictures, `tiny`, and a few pictures."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "tiny.yaml").write_text(TINY)
    done = cli("run", "tiny.yaml", "--out", "tiny", folder=folder)
    assert done.exit_code == 0, done.output
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 12)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_model_is_written_as_an_object_file_and_a_header(work: Path) -> None:
    done = cli("export", "tiny", "--to", "c", *DEVICE, folder=work)

    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "tiny.h written",
        "tiny.o written",
        "target: thumbv7em-none-eabihf, cortex-m4",
    ]
    assert "function: int32_t tiny_run(const float *grid, float *votes, void *work)" in lines
    assert '#define TINY_CLASS_NAMES {"O", "X"}' in (work / "tiny.h").read_text()


def test_weights_may_be_in_a_file_of_their_own(work: Path) -> None:
    path = gridcnn.load(work / "tiny").export(
        "c", work / "apart.h", target="aarch64-linux-gnu", weights="file", name="net"
    )

    assert path == work / "apart.h"
    text = path.read_text()
    assert f"#define NET_WEIGHTS_FILE_BYTES {(work / 'apart.weights').stat().st_size}\n" in text
    assert "apart.weights" in text


def test_files_of_gridcnn_are_replaced_and_no_others(work: Path) -> None:
    again = [cli("export", "tiny", "--to", "c", "-o", "a.h", folder=work) for _ in range(2)]
    (work / "b.o").write_bytes(b"mine")
    refused = cli("export", "tiny", "--to", "c", "-o", "b.h", folder=work)

    assert [done.exit_code for done in again] == [0, 0]
    assert refused.exit_code == 2
    assert "b.o exists already, and gridcnn did not write it" in refused.stderr
    assert (work / "b.o").read_bytes() == b"mine"
    assert not (work / "b.h").exists()


@pytest.mark.parametrize("options", [[], [*DEVICE, "--weights", "file"]])
def test_votes_of_the_kernels_are_those_of_the_model(work: Path, options: list[str]) -> None:
    done = cli(
        *("export", "tiny", "--to", "c", *options, "--json", "-o", "checked.h", "--force"),
        *("--check", "0.png", "1.png", "2.png"),
        folder=work,
    )

    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["items_checked"] == 3
    assert facts["largest_difference"] < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "x86"], "LLVM has no target"),
        ([*DEVICE, "--cpu", "cortex-m9"], "LLVM knows no processor 'cortex-m9'"),
        (["--name", "2d"], "must be a name in C"),
        (["--optimize", "fast"], "optimize"),
        (["--opset", "17"], "the option 'opset' is for --to onnx; got --to c"),
    ],
)
def test_wrong_options_are_one_line(work: Path, options: list[str], message: str) -> None:
    done = cli("export", "tiny", "--to", "c", *options, folder=work)

    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("others", [[], ["0.png"]])
def test_items_that_cannot_be_read_are_a_line_each(work: Path, others: list[str]) -> None:
    """Nothing is written then."""
    (work / "empty.png").write_bytes(b"")
    (work / "bad.png").write_bytes(b"nothing")

    done = cli(
        *("export", "tiny", "--to", "c", "-o", "unread.h", "--check", *others),
        *("empty.png", "bad.png"),
        folder=work,
    )

    assert done.exit_code == 2, done.output
    lines = done.stderr.splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["error", "empty.png"],
        ["error", "bad.png"],
    ]
    assert not list(work.glob("unread.*"))


def test_show_says_what_a_network_will_take(work: Path) -> None:
    text = cli("show", "tiny.yaml", *DEVICE, folder=work)
    facts = json.loads(cli("show", "tiny.yaml", *DEVICE, "--json", folder=work).stdout)["compiled"]
    made = json.loads(
        cli(
            *("export", "tiny", "--to", "c", *DEVICE, "--json", "-o", "shown.h"), folder=work
        ).stdout
    )

    assert text.stdout.splitlines()[-1] == (
        f"compiled for thumbv7em-none-eabihf, cortex-m4: code {made['code_bytes']:,} bytes, "
        f"weights {made['weights_bytes']:,}, work area {made['work_bytes']:,}, stack at most "
        f"{made['stack_bytes']:,}"
    )
    assert {name: made[name] for name in facts} == facts


def test_show_of_a_file_has_no_target(work: Path) -> None:
    done = cli("show", "0.png", *DEVICE, folder=work)

    assert done.exit_code == 2
    assert "--target shows a spec" in done.stderr
