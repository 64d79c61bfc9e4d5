"""`gridcnn export --to page`: one file, and what is refused."""

import re
from pathlib import Path

import pytest

from tests.cli.invoke import TINY, cli


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of pictures, `tiny`."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "tiny.yaml").write_text(TINY)
    done = cli("run", "tiny.yaml", "--out", "tiny", folder=folder)
    assert done.exit_code == 0, done.output
    return folder


def test_a_model_is_written_as_a_page_and_again(work: Path) -> None:
    """The page is one file that loads nothing; its own file is replaced."""
    for _ in range(2):
        done = cli("export", "tiny", "--to", "page", "-o", "app.html", folder=work)
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[0] == "app.html written"

    page = (work / "app.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "default-src &#39;none&#39;" in page
    assert not re.search(r"(src|href)=.?https?:", page)


@pytest.mark.parametrize(("to", "name"), [("page", "c.html"), ("pytorch", "c.py")])
def test_what_cannot_be_checked_here_is_not_written(work: Path, to: str, name: str) -> None:
    """Whether there are such items is not asked any more."""
    done = cli("export", "tiny", "--to", to, "-o", name, "--check", "none.png", folder=work)

    assert done.exit_code == 2
    assert done.stderr == f"error: 'check' is not for --to {to}, which cannot be run here\n"
    assert not list(work.glob("c.*"))


def test_a_page_has_no_input(work: Path) -> None:
    """One line says so."""
    done = cli("export", "tiny", "--to", "page", "-o", "b.html", "--input", "grid", folder=work)

    assert done.exit_code == 2
    assert done.stderr == "error: the option 'input' is for --to onnx; got --to page\n"


def test_a_page_may_end_with_htm(work: Path) -> None:
    done = cli("export", "tiny", "--to", "page", "-o", "d.HTM", folder=work)

    assert done.exit_code == 0, done.output
    assert (work / "d.HTM").is_file()
