"""Files that verbs write: whole or not at all, and never over a file of somebody else."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from gridcnn.cli.main import app

SPEC = """
name: tiny
data: {source: {xo: {count: 40, size: [8, 8]}}}
adapter: {image: {size: [8, 8]}}
stages: [pooling]
head: voting
training: {epochs: 1}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with a picture and a table."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.new("L", (8, 8), 9).save("in/picture.png")
    rows = np.random.default_rng(0).normal(size=(60, 4)).cumsum(axis=1)
    np.savetxt("in/table.csv", rows, delimiter=",")
    Path("in/tiny.yaml").write_text(SPEC)


CASES = [
    (["init", "starter"], "starter.yaml"),
    (["check", "in/table.csv", "--report", "page.html"], "page.html"),
    (["show", "in/picture.png", "--spec", "in/tiny.yaml", "--png", "grid.png"], "grid.png"),
]


def within(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.mark.parametrize(("arguments", "name"), CASES)
def test_a_file_of_somebody_else_is_replaced_only_by_force(arguments: list[str], name: str) -> None:
    """In one line that says so, and before anything is computed."""
    Path(name).write_text("mine")

    refused = within(*arguments)
    forced_after = Path(name).read_text()
    forced = within(*arguments, "--force")

    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"error: {name} exists already")
    assert refused.stderr.endswith("give another name, or --force\n")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""
    assert forced_after == "mine"
    assert forced.exit_code in (0, 3), forced.stderr
    assert Path(name).read_bytes() != b"mine"


@pytest.mark.parametrize(("arguments", "name"), CASES[1:])
def test_what_the_same_command_has_written_is_replaced(arguments: list[str], name: str) -> None:
    """So that a command can be repeated."""
    within(*arguments)
    before = Path(name).read_bytes()

    again = within(*arguments)

    assert again.exit_code in (0, 3), again.stderr
    assert Path(name).read_bytes() == before


def test_a_spec_is_never_replaced_without_force() -> None:
    """Starters are written to be edited; a link that leads nowhere is a file as well."""
    within("init", "starter")
    Path("link.yaml").symlink_to("nowhere.yaml")

    for name in ("starter", "link"):
        again = within("init", name)
        assert again.exit_code == 2
        assert again.stderr == (
            f"error: {name}.yaml exists already; give another name, or --force\n"
        )
    assert not Path("nowhere.yaml").exists()


@pytest.mark.parametrize(("arguments", "name"), CASES)
def test_force_replaces_files_alone(arguments: list[str], name: str) -> None:
    """No folder, and no pipe."""
    Path(name).mkdir()

    forced = within(*arguments, "--force")

    assert forced.exit_code == 2
    assert f"error: {name} cannot be written: it is not an ordinary file" in forced.stderr
    assert list(Path(name).iterdir()) == []


def test_what_comes_in_between_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program has made since the command looked."""
    from gridcnn.runs import starter

    written = starter.starter

    def slow(*arguments: Any) -> str:
        Path("starter.yaml").write_text("mine")
        return written(*arguments)

    monkeypatch.setattr(starter, "starter", slow)

    done = within("init", "starter")

    assert done.exit_code == 2
    assert "starter.yaml exists already" in done.stderr
    assert Path("starter.yaml").read_text() == "mine"


# A full disk --------------------------------------------------------------------------------------

_FULL = """
import resource, sys
# The system refuses every file that becomes longer, as it does on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from gridcnn.cli.main import main
main(sys.argv[2:])
"""


def tree() -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in Path().rglob("*") if each.is_file()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of files")
@pytest.mark.parametrize(
    ("bytes_allowed", "arguments"),
    [
        *((10, each) for each, _ in CASES),
        (10, ["datasets", "make", "xo", "pictures", "--count", "4"]),
        (10, ["datasets", "make", "phrases", "phrases.csv", "--count", "40"]),
        (10, ["run", "in/tiny.yaml", "--engine", "reference", "--out", "new/out"]),
        # Enough for the lock of the folder, and not for the spec or the folds.
        (150, ["run", "in/tiny.yaml", "--engine", "reference"]),
        (150, ["run", "in/tiny.yaml", "--engine", "reference", "--folds", "2"]),
    ],
)
def test_a_full_disk_leaves_nothing_behind(bytes_allowed: int, arguments: list[str]) -> None:
    """One line says what could not be written, and why."""
    before = tree()
    environment = {**os.environ, "GRIDCNN_CACHE": "0", "PYTHONDONTWRITEBYTECODE": "1"}

    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(bytes_allowed), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "File too large" in done.stderr
    assert tree() == before
    assert {each.name for each in Path().iterdir()} == {"in"}
