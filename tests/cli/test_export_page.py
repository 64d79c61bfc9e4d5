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


def test_a_page_cannot_be_checked_here(work: Path) -> None:
    """One line says so."""
    (work / "a.txt").write_text("")
    done = cli("export", "tiny", "--to", "page", "-o", "b.html", "--input", "grid", folder=work)

    assert done.exit_code == 2
    assert done.stderr == "error: the option 'input' is for --to onnx; got --to page\n"
