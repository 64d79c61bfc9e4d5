"""`gridcnn datasets list` and `get`, and runs on public sets, without a network."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gridcnn.cli.main import app
from gridcnn.datasets.public import fetching

MESSAGES = "".join(f"ham\tyes {number}\nspam\tno {number}\n" for number in range(20))
SPEC = """
data: {source: sms}
adapter: {text: {length: 8}}
stages: [{convolution: {filters: 2, kernel_size: [all, 3]}}, rectification]
head: voting
training: {epochs: 1}
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GRIDCNN_DATA", raising=False)
    monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fetching write messages, and tell of it."""

    def fetch(wanted: Any, folder: Path) -> None:
        folder.mkdir(parents=True)
        for file in wanted:
            (folder / file.name).write_text(MESSAGES)

    monkeypatch.setattr(fetching, "fetch", fetch)


def within(*arguments: Any, folder: Path) -> Any:
    environment = {"COLUMNS": "200", "NO_COLOR": "1"}
    with contextlib.chdir(folder):
        return CliRunner().invoke(app, [*map(str, arguments)], env=environment)


def test_the_list_tells_licences_and_what_is_here(tmp_path: Path, network: None) -> None:
    """As a table, and as JSON with the address and digest of every file."""
    table = within("datasets", "list", folder=tmp_path).output
    (line,) = [line for line in table.splitlines() if line.lstrip().startswith("sms ")]
    assert "477.9 kB" in line
    assert "CC BY 4.0" in line

    within("datasets", "get", "sms", folder=tmp_path)

    table = within("datasets", "list", folder=tmp_path).output
    (line,) = [line for line in table.splitlines() if line.lstrip().startswith("sms ")]
    assert " here " in line
    sets = json.loads(within("datasets", "list", "--json", folder=tmp_path).output)
    by_name = {each["name"]: each["public"] for each in sets}
    assert by_name["xo"] is None
    assert by_name["mnist"]["here"] is None
    assert by_name["sms"]["here"] == str(tmp_path / "cache" / "data" / "text_sms_spam")
    (file,) = by_name["sms"]["files"]
    assert file["bytes"] == by_name["sms"]["bytes"] == 477_907
    assert len(file["sha256"]) == 64
    assert file["addresses"][0].endswith("/SMSSpamCollection")
    assert by_name["esc50"]["files"][0]["sha256"] is None


def test_getting_tells_where_it_is(tmp_path: Path, network: None) -> None:
    """Once fetched, and then here; as JSON for programs, or in silence."""
    folder = tmp_path / "all" / "text_sms_spam"

    first = within("datasets", "get", "sms", "--out", "all", folder=tmp_path)
    again = within("datasets", "get", "sms", "sms", "--out", "all", folder=tmp_path)
    as_json = within("datasets", "get", "sms", "--out", "all", "--json", folder=tmp_path)
    quiet = within("datasets", "get", "sms", "--quiet", folder=tmp_path)

    assert first.exit_code == again.exit_code == as_json.exit_code == quiet.exit_code == 0
    assert f"sms: fetched, and is in {folder}" in first.output
    assert "Almeida" in first.output
    assert "licence: CC BY 4.0" in first.output
    assert again.output.count(f"sms: here in {folder}") == 1
    assert json.loads(as_json.output) == [{"name": "sms", "folder": str(folder), "fetched": False}]
    assert quiet.output == ""


def test_what_cannot_be_got_is_an_error_of_the_user(tmp_path: Path) -> None:
    """A name that is none is told before anything is fetched; so is a missing network."""
    wrong = within("datasets", "get", "sms", "xo", folder=tmp_path)
    offline = within("datasets", "get", "sms", folder=tmp_path)

    assert wrong.exit_code == offline.exit_code == 2
    assert wrong.output.startswith("error: 'xo' needs no fetching. Known: fashion, mnist")
    assert offline.output.startswith("error: sms: the files of the SMS Spam Collection are not h")
    assert offline.output.count("\n") == 1


def test_a_file_is_no_place_for_sets(tmp_path: Path) -> None:
    """The file is left as it was, and nothing is fetched."""
    (tmp_path / "notes").write_text("mine")

    done = within("datasets", "get", "sms", "--out", "notes", folder=tmp_path)

    assert done.exit_code == 2
    assert done.output == "error: notes: this is a file; give a folder\n"
    assert (tmp_path / "notes").read_text() == "mine"


def test_stopping_says_that_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Any, __: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "fetch", stop)
    done = within("datasets", "get", "sms", folder=tmp_path)

    assert done.exit_code == 130
    assert done.output == "stopped; the same command continues the download from here\n"


def test_a_run_fetches_what_it_needs(tmp_path: Path, network: None) -> None:
    """It says so, and a second run of what it wrote finds the files again by the name."""
    (tmp_path / "sms.yaml").write_text(SPEC)

    done = within("run", "sms.yaml", "--out", "result", folder=tmp_path)

    assert done.exit_code == 0
    assert "note: the SMS Spam Collection was fetched (477.9 kB), and is kept in" in done.output
    assert "path: null" in (tmp_path / "result" / "spec.yaml").read_text()
    again = within("run", "result/spec.yaml", "--out", "again", folder=tmp_path)
    assert again.exit_code == 0
    assert "was fetched" not in again.output


def test_a_run_without_a_network_ends_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "sms.yaml").write_text(SPEC)

    done = within("run", "sms.yaml", "--out", "result", folder=tmp_path)

    assert done.exit_code == 2
    assert done.output.startswith("error: sms: the files of the SMS Spam Collection are not here")
    assert "put SMSSpamCollection, from https://" in done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / "result").exists()
