"""The documentation: what it shows runs, what it links exists, and nothing is missing from it.

Every block of Python, and every command after a `$ ` in a console, runs in the order of its page,
in an empty folder, as for a reader who copies one after the other. What a page shows below a
command is compared with what the command prints, but for numbers.

A block that begins with the line `# not tested: REASON`, which readers see as well, is left alone:
it needs the network, much data, or a file that only the reader has.

A comment before a block says more:

- `<!-- file: NAME -->`: the reader saves it as a file; the text beside it says the name;
- `<!-- output -->`: what the block before it prints;
- `<!-- output, other numbers -->`: the same, but for the numbers;
- `<!-- needs: NAME -->` leaves it alone if that package is not installed;
- `<!-- wrong on purpose -->` marks a spec with problems;
- `<!-- search space -->` marks one that stands for many.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import gridcnn
from gridcnn.cli.main import app
from gridcnn.contracts.stage import Composite
from gridcnn.datasets.known import known
from gridcnn.engines.native.kernels.registry import has_kernel
from gridcnn.errors import SpecError
from gridcnn.pipelines import ready
from gridcnn.registry import Registry
from gridcnn.settings.document import parse
from gridcnn.spec.augmentations import AUGMENTATIONS
from gridcnn.spec.load import load, validate
from gridcnn.spec.models import ADAPTERS, HEADS, STAGES
from gridcnn.spec.optimizers import OPTIMIZERS, SCHEDULES
from gridcnn.tuning.space import read_space

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
_MARK = re.compile(r"<!-- (.+?) -->")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# On a machine that does much else, seconds may be minutes.
_NUMBER = re.compile(r"(\d+ min )?\d[\d,.]*(e[-+]?\d+)?( ([kMG]B|bytes)\b)?")

_SHELL = ("|", ">", "&&", ";", "<")
"""Words of a command that make it one for a shell."""

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@dataclass(frozen=True)
class Block:
    """A block of code on a page; `line` is that of its first line, from 1."""

    page: str
    line: int
    language: str
    text: str
    marks: tuple[str, ...]

    def named(self, kind: str) -> str:
        """Return what the mark `kind: ...` says, or nothing."""
        begins = f"{kind}: "
        return next((m.removeprefix(begins) for m in self.marks if m.startswith(begins)), "")

    @property
    def needs(self) -> list[str]:
        """The packages and programs without which it is not tested."""
        return [m.removeprefix("needs: ") for m in self.marks if m.startswith("needs: ")]

    @property
    def exemption(self) -> str:
        """Why it is not tested, as its first line says; nothing if it is."""
        if {"run command", "test command"} & set(self.marks):
            return "it installs packages from the network"  # as the text below them says
        begins = "# not tested: "
        first = self.text.partition("\n")[0]
        return first.removeprefix(begins) if first.startswith(begins) else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    found: list[Block] = []
    marks: list[str] = []
    fence, language, start = "", "", 0
    kept: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if fence:
            if line.strip() == fence:
                text = "".join(f"{each}\n" for each in kept)
                found.append(Block(page.name, start, language, text, tuple(marks)))
                fence, marks, kept = "", [], []
            else:
                kept.append(line)
        elif line.startswith("```"):
            fence, language, start = "```", line.removeprefix("```").strip(), number + 1
        elif mark := _MARK.fullmatch(line.strip()):
            marks.append(mark[1])
        else:
            marks = []
    assert not fence, f"{page.name}: a block of code is not closed"
    return found


def all_blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """Return `docs/reference.py`: under importlib's import mode tests import nothing by name."""
    spec = importlib.util.spec_from_file_location("docs_reference", DOCS / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# Links and completeness -------------------------------------------------------------------------


def test_every_page_is_linked_from_the_index() -> None:
    """docs/index.md is the map of all pages."""
    linked = set(_LINK.findall((DOCS / "index.md").read_text(encoding="utf-8")))

    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= linked


@by_page
def test_relative_links_resolve(page: Path) -> None:
    """Every link leads to a file that is there, and to a heading that it has."""
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name} links to {link}"
        if heading:
            assert heading in _anchors(target), f"{page.name} links to {link}"


def _anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", text.lower()).strip().replace(" ", "-") for text in headings}


@by_page
def test_pages_hold_nothing_of_the_machine_they_were_written_on(page: Path) -> None:
    """No absolute path stands on a page."""
    found = re.findall(r"(?<![\w.])/(?:work|tmp|home|root|Users)/\S*", page.read_text("utf-8"))

    assert not found


def test_generated_pages_are_up_to_date(reference: ModuleType) -> None:
    """`python -m docs.reference` would change nothing."""
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert reference.written(text) == text, f"run python -m docs.reference: {page.name}"


def test_every_part_that_can_be_generated_stands_on_a_page(reference: ModuleType) -> None:
    """No section of the spec and no verb is forgotten."""
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))

    missing = [name for name in reference.parts() if f"<!-- generated: {name} -->" not in text]
    assert missing == []


def test_every_verb_and_option_stands_in_the_page_of_commands(reference: ModuleType) -> None:
    """The page of the command line leaves nothing out that the commands take."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")

    for verb, function in reference.verbs().items():
        assert f"gridcnn {verb}" in page
        for form, _, _, _ in reference.parameters(function):
            assert form.replace("|", "\\|") in page, f"{verb} {form}"


@pytest.mark.parametrize(
    "registry",
    [STAGES, HEADS, ADAPTERS, OPTIMIZERS, SCHEDULES, AUGMENTATIONS],
    ids=lambda each: str(each.kind),
)
def test_everything_that_a_spec_may_name_has_a_heading(registry: Registry) -> None:
    """Every stage, head, adapter, optimizer, schedule and augmentation is told of in spec.md."""
    anchors = _anchors(DOCS / "spec.md")

    assert set(_own(registry)) <= anchors


def _own(registry: Registry) -> list[str]:
    return [n for n in registry.names() if registry[n].__module__.startswith("gridcnn.")]


def test_every_data_set_and_ready_spec_is_mentioned() -> None:
    """Known data sets stand in data.md and spec.md, ready specs in index.md and spec.md."""
    spec = (DOCS / "spec.md").read_text(encoding="utf-8")
    data = (DOCS / "data.md").read_text(encoding="utf-8")
    index = (DOCS / "index.md").read_text(encoding="utf-8")

    for each in known():
        assert f"### {each.name}" in spec
        assert f"`{each.name}`" in data
    for name in ready():
        assert f"`{name}`" in spec
        assert f"gridcnn run {name}" in index


def test_the_page_of_engines_names_every_stage_without_a_kernel() -> None:
    """A user who wonders why a stage is slow finds it under "What falls back"."""
    page = (DOCS / "engines.md").read_text(encoding="utf-8")
    told = page.partition("## What falls back")[2].partition("\n## ")[0]
    settings: dict[str, Any] = {"activation": "tanh", "dropout": 0.5, "convolution": {"filters": 4}}

    for name in _own(STAGES):
        if not issubclass(STAGES[name], Composite):
            stages = [{name: settings.get(name, {})}]
            [op] = gridcnn.Network(load({"stages": stages}), gridcnn.GridShape(4, 8, 8)).ops
            assert has_kernel(op) or f"`{name}`" in told


def test_the_glossary_has_every_word_once() -> None:
    """The terms of the product are there, and no word is both a term and another's "not"."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Glossary")[2]
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| **")]
    terms = [term for row in rows for term in re.findall(r"\*\*(.+?)\*\*", row[0])]
    others = {
        re.sub(r"\(.*?\)", "", each).strip(" |") for row in rows for each in row[2].split(",")
    }
    wanted = re.findall(
        r"\w+",
        "item grid channel cell feature stage head vote adapter source part fold group note run "
        "model checkpoint spec engine loss epoch class label thing map network watcher",
    )

    assert len(terms) == len(set(terms))
    assert set(wanted) <= set(terms)
    assert set(terms) & others - {"kernel"} == set()  # a kernel is code, and no feature


def test_every_error_stands_in_the_page_of_python() -> None:
    """The tree of exceptions in python.md has every public one."""
    page = (DOCS / "python.md").read_text(encoding="utf-8")

    for name in gridcnn.__all__:
        if name.endswith(("Error", "Interrupted")):
            assert name in page


# Code -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the validation loss was:gridcnn.TrainingWarning")
@by_page
def test_code_on_the_page_runs(
    page: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a reader who begins with an empty folder, and copies one block after the other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("PYTHONUTF8", "1")
    monkeypatch.delenv("GRIDCNN_DATA", raising=False)  # what is here differs
    if page.name == "engines.md":  # it clears the cache, which other processes use
        monkeypatch.setenv("GRIDCNN_CACHE", str(tmp_path / "kept"))
    monkeypatch.syspath_prepend(tmp_path)  # where a reader's Python finds the files of the page
    installs = page.name == "extending.md"
    if installs:  # its package is installed for the processes that it starts
        monkeypatch.setenv("PYTHONPATH", str(request.getfixturevalue("installed")))
    names: dict[str, Any] = {"__name__": "page"}
    printed = ""
    for block in blocks_of(page):
        if not all(map(_is_here, block.needs)):
            continue
        if file := block.named("file"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(block.text, encoding="utf-8")
        elif block.exemption:
            continue
        elif block.language == "python":
            printed = _executed(block, names)
        elif block.language in ("console", "sh"):
            _check_console(block, apart=installs)
        elif "output" in block.marks:
            assert _trimmed(printed) == _trimmed(block.text), block
        elif "output, other numbers" in block.marks:
            assert _masked(printed) == _masked(block.text), block


@pytest.mark.parametrize("block", all_blocks("python", "console", "sh"), ids=str)
def test_what_is_not_tested_says_why(block: Block) -> None:
    """Where readers see it, in words that tell what is missing: the network, data, a package."""
    about = ("network", "data", "minutes", "your own", "depends on")

    if "not tested" in block.text:
        assert block.exemption
        assert any(word in block.exemption for word in about), block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_text_beside_a_file_names_it(page: Path) -> None:
    """A reader knows under which name to save it: it is in the lines around the block."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for block in blocks_of(page):
        if file := block.named("file"):
            end = block.line + len(block.text.splitlines())
            around = [*lines[max(0, block.line - 12) : block.line - 1], *lines[end : end + 8]]
            assert any(f"`{file}`" in line for line in around), f"{block}: {file}"


def _is_here(name: str) -> bool:
    """Return whether a package or a program is installed."""
    return importlib.util.find_spec(name) is not None or shutil.which(name) is not None


def _executed(block: Block, names: dict[str, Any]) -> str:
    printed = io.StringIO()
    # Empty lines before it, so that a traceback shows the line of the page.
    code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, names)
    return printed.getvalue()


def _check_console(block: Block, *, apart: bool) -> None:
    """Run the commands after `$ `, and compare what stands below them, but for its numbers.

    `apart` runs each in a process of its own; others do so only if they need a shell.
    """
    for command, expected in _commands(block):
        if apart or set(shlex.split(command)) & set(_SHELL):
            code, printed = _in_a_shell(command)
        else:
            words = shlex.split(command)
            assert words[0] == "gridcnn", block
            result = CliRunner().invoke(app, words[1:])
            code, printed = result.exit_code, result.output
        assert code in (0, 2, 3), f"{block}: {command}: {printed}"
        assert code == 0 or expected, f"{block}: {command}: {printed}"
        if expected:
            assert _masked(printed) == _masked(expected), f"{block}: {command}"


def _in_a_shell(command: str) -> tuple[int, str]:
    """Return the exit status of a line, and what it prints; `gridcnn` is that of this Python."""
    here = f"{shlex.quote(sys.executable)} -m gridcnn "
    line = re.sub(r"(^|(?<=\| )|(?<=&& ))gridcnn ", lambda _: here, command)
    done = subprocess.run(
        line,
        shell=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout


def _commands(block: Block) -> list[tuple[str, str]]:
    """Return each command of a console, and what it shows below it; of `sh`, each line."""
    if block.language == "sh":
        return [(line, "") for line in block.text.splitlines()]
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    joined = [part.replace("\\\n", " ") for part in parts]
    return [(first, rest) for first, _, rest in (part.partition("\n") for part in joined)]


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def _masked(text: str) -> list[str]:
    """Return lines without their numbers, and with single spaces and strokes.

    Drawings are left out, since a cell may turn from one version of Pillow to the next; and that
    grids are kept, which depends on how long it took to make them.
    """
    kept = (
        line for line in text.splitlines() if line.strip(" ▀▄█") and not line.startswith("grids: ")
    )
    squeezed = (_NUMBER.sub("#", re.sub(r"─+", "─", line)) for line in kept)
    return [" ".join(line.split()) for line in squeezed]


def _specs() -> list[Block]:
    return [block for block in all_blocks("yaml") if "needs the package above" not in block.marks]


@pytest.mark.parametrize("block", _specs(), ids=str)
def test_specs_on_the_pages_load(block: Block) -> None:
    """Every block of YAML is a spec, or a part of one, without a problem but those on purpose."""
    on_purpose = "wrong on purpose" in block.marks
    if "search space" in block.marks:
        assert read_space(parse(block.text, str(block))).dimensions
        return

    with pytest.raises(SpecError) if on_purpose else contextlib.nullcontext():
        validate(parse(block.text, str(block)))


def _gridcnn_lines() -> list[Any]:
    found = []
    for block in all_blocks("console", "sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            command = line.removeprefix("$ ")
            if (block.language == "sh" or command != line) and "gridcnn" in command:
                found.append(pytest.param(command, id=f"{block} {command}"))
    return found


@pytest.mark.parametrize("line", _gridcnn_lines())
def test_commands_on_the_pages_exist(line: str) -> None:
    """Every `gridcnn ...` that a page shows has a verb and options that there are."""
    words = shlex.split(line, comments=True)
    for place, word in enumerate(words):
        if word.rpartition("/")[2] != "gridcnn" or words[place - 1 : place] == ["import"]:
            continue
        rest = words[place + 1 :]
        stop = next((number for number, each in enumerate(rest) if each in _SHELL), len(rest))
        _parse([each for each in rest[:stop] if each != "--debug"])


def _parse(arguments: list[str]) -> None:
    """Parse arguments as the command line would, without running anything."""
    command: Any = typer.main.get_command(app)
    shown = {"--help", "-h", "--version"}
    while hasattr(command, "commands"):
        if not arguments or arguments[0] in shown:
            return
        assert arguments[0] in command.commands, f"there is no verb {arguments[0]}"
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if not shown & set(arguments):
        command.make_context("gridcnn", list(arguments))


# Extending --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder where pip has installed the package of docs/extending.md."""
    if not all(importlib.util.find_spec(name) for name in ("pip", "setuptools")):
        pytest.skip("needs pip and setuptools")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    _write_files_of_extending(source)
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", *offline, "--target", target, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def package(installed: Path, tmp_path: Path) -> Path:
    """Return a folder with all files of docs/extending.md, where its package is installed too."""
    _write_files_of_extending(tmp_path)
    shutil.rmtree(tmp_path / "gridcnn_extras")
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    return tmp_path


def _write_files_of_extending(folder: Path) -> None:
    for block in blocks_of(DOCS / "extending.md"):
        if file := block.named("file"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(block.text, encoding="utf-8")


def extended(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the package importable, in its folder."""
    return subprocess.run(
        [sys.executable, "-m", "gridcnn", *arguments],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package), "NO_COLOR": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.slow
def test_the_package_of_extending_runs(package: Path) -> None:
    """A stage and a data source of another package train, are listed, and are in the schema."""
    done = extended(package, "run", "stripes.yaml", "--out", "run", "--json")
    listed = extended(package, "datasets", "list")
    again = extended(package, "evaluate", "run", "stripes")

    assert done.returncode == 0, done.stderr
    assert "slope: 0.2" in (package / "run" / "spec.yaml").read_text(encoding="utf-8")
    assert "A horizontal or a vertical stripe, in noise." in listed.stdout
    assert again.returncode == 0, again.stderr
    assert re.search(r"accuracy (9\d|100)\.\d %", again.stdout)


@pytest.mark.slow
def test_the_head_of_extending_trains_by_its_loss(package: Path) -> None:
    """A model with a head of another package is trained, saved and evaluated."""
    done = extended(package, "run", "margin.yaml", "--out", "run", "--json")
    again = extended(package, "evaluate", "run", "stripes")

    assert done.returncode == 0, done.stderr
    assert again.returncode == 0, again.stderr
    assert re.search(r"accuracy (9\d|100)\.\d %", again.stdout)


@pytest.mark.slow
def test_the_composite_stage_of_extending_is_a_group_of_operations(package: Path) -> None:
    """The plan has what it expands into; too many filters are a mistake in the spec."""
    shown = extended(package, "show", "stripes.yaml")
    refused = extended(package, "show", "stripes.yaml", "--set", "stages.3.bottleneck=4")

    assert shown.returncode == 0, shown.stderr
    assert re.search(r"^ 4 bottleneck ", shown.stdout, re.MULTILINE)
    assert re.findall(r"^   (4\S* \w+)", shown.stdout, re.MULTILINE) == [
        "4.1 convolution",
        "4.2 rectification",
        "4.3 convolution",
        "4.4 rectification",
        "4.5 convolution",
        "4 sum",
    ]
    assert refused.returncode == 2
    assert "4 bottleneck: 'filters' (=4) must be fewer than the 4 maps" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["stripes.yaml", "margin.yaml"])
def test_the_gradient_of_extending_is_right(package: Path, spec: str) -> None:
    """The page's own check of its stage passes, and that of its head."""
    check = package / "check_gradient.py"
    check.write_text(check.read_text("utf-8").replace("stripes.yaml", spec), "utf-8")

    done = subprocess.run(
        [sys.executable, "check_gradient.py"],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "the gradient is right\n", done.stderr


@pytest.mark.slow
def test_the_adapter_of_extending_reads_its_files(package: Path) -> None:
    """An adapter of another package trains on class folders and answers for files."""
    for number in range(20):
        for name, foot in (("I", "....."), ("L", ".###.")):
            column = "." * (number % 5) + "#" + "." * (4 - number % 5)
            file = package / "letters" / name / f"{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join([column] * 4 + [foot if name == "L" else column]))
    (package / "letters" / "I" / "short.txt").write_text("#")

    refused = extended(package, "run", "letters.yaml", "--quiet")
    done = extended(
        package, "run", "letters.yaml", "--quiet", "--out", "run", "--set", "data.bad_items=skip"
    )
    answered = extended(package, "predict", "run", "letters/I/0.txt")

    assert refused.returncode == 2
    assert "I/short.txt: 5 lines of 5 characters were expected" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.startswith("letters/I/0.txt  I")


def test_the_adapter_of_extending_is_short() -> None:
    """The page promises an adapter in 30 lines."""
    [adapter] = [
        b for b in blocks_of(DOCS / "extending.md") if b.named("file").endswith("letters.py")
    ]

    assert len(adapter.text.splitlines()) <= 30


@pytest.mark.slow
def test_the_checker_of_extending_refuses_a_table(package: Path) -> None:
    """A checker of another package ends a run on noise with exit code 3 and its evidence."""
    X = np.random.default_rng(0).normal(size=(80, 6, 12))
    np.savez(package / "noise.npz", X=X, y=np.array(["a", "b"] * 40))

    done = extended(package, "run", "stripes.yaml", "--data", "noise.npz")

    assert done.returncode == 3
    assert "any two columns by" in done.stderr
    assert not (package / "runs").exists()


# Recipes ----------------------------------------------------------------------------------------


def test_the_server_of_the_recipes_is_short() -> None:
    """The code that answers has 15 lines or fewer, without imports and empty ones."""
    [server] = [b for b in blocks_of(DOCS / "recipes.md") if b.named("file") == "server.py"]

    lines = [line for line in server.text.splitlines() if line.strip()]
    assert len([line for line in lines if "import" not in line]) <= 15


# README and changelog ---------------------------------------------------------------------------


def _marked(mark: str) -> str:
    """Return the one block of the README that follows a comment."""
    found = [block for block in blocks_of(ROOT / "README.md") if mark in block.marks]
    assert len(found) == 1
    assert found[0].language == "sh"
    assert "\n" not in found[0].text.strip()  # one line to copy
    return found[0].text.strip()


def test_the_test_command_of_the_readme_is_what_ci_runs() -> None:
    """The README's command stands literally in .ci/run."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert _marked("test command") in script


def test_the_readme_has_a_run_command() -> None:
    """It sets up an environment and runs a ready spec."""
    command = _marked("run command")

    assert "-m venv" in command
    assert re.search(rf"gridcnn run ({'|'.join(ready())})$", command)


def test_every_figure_of_the_readme_is_where_it_was_measured() -> None:
    """The page that a table row, or the text above the table, links to has the very figure."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    figure = re.compile(r"\d+\.\d+(?: %|x)")
    sections = re.split(r"^## ", readme, flags=re.MULTILINE)
    measured = {name: text for text in sections for name in [text.partition("\n")[0]]}
    for name, count in (("How often it is right", 10), ("How fast it is", 30)):
        rows = [line for line in measured[name].splitlines() if line.startswith("|")]
        target = next(t for t in _LINK.findall(measured[name]) if t.endswith("results.md"))
        page = (ROOT / target).read_text(encoding="utf-8")
        figures = [each for row in rows for each in figure.findall(row)]
        assert len(figures) == count
        assert [each for each in figures if each not in page] == []


def test_the_first_screen_of_the_readme_makes_the_claim_of_its_table() -> None:
    """It says "2 to 6 times as fast": the least and the most of the table, rounded."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    times = [float(each) for each in re.findall(r"^\|[^|]+\| ([\d.]+)x as", readme, re.MULTILINE)]

    assert f"{min(times):.0f} to {max(times):.0f} times as fast" in readme


def test_the_changelog_begins_with_this_version() -> None:
    """CHANGELOG.md has the form of Keep a Changelog; its top version is the package's."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", text, re.MULTILINE)
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    versions = [version for version, _ in headings if version != "Unreleased"]

    assert text.startswith("# Changelog\n")
    assert versions[0] == gridcnn.__version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for name, date in headings if date)
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
