"""The house: rooms, their names, and what imports what."""

from __future__ import annotations

import ast
import functools
import importlib
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import gridcnn
from gridcnn import errors

ROOT = Path(__file__).parents[1]
OUTSIDE = ("adapters", "datasets", "pipelines")
HEAVY = (
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "librosa",
    "soundfile",
    "soxr",
    "llvmlite",
    "matplotlib",
    "PIL",
    "pooch",
    "requests",
    "pydantic",
    "yaml",
)
LOSSES = {"softmax", "log_softmax", "cross_entropy"}
VOTING = "gridcnn/stages/voting.py"
ON_CARDS = "gridcnn/engines/torch/losses.py"  # the same loss, where the logits are
HEAD, TARGETS = "gridcnn/contracts/stage.py", "gridcnn/contracts/targets.py"
NO_VOTES = {
    "gridcnn/contracts/targets.py",  # the class that an item is most of
    "gridcnn/cluster/holding.py",  # the worker that draws the highest number for a block
    "gridcnn/grid.py",  # the row of the 1 in a one-hot column
    "gridcnn/order/alphabet.py",  # windows over symbols
    "gridcnn/order/blocks.py",  # the column of the 1 in a block
    "gridcnn/order/prediction.py",  # the predictor that explains most
    "gridcnn/order/sample.py",  # the label that divides the items most evenly
    "gridcnn/stages/pooling.py",  # the first cell that is the largest of a map
    "gridcnn/report/walkthrough.py",  # the number of a feature that the error depends on most
    "adapters/frame.py",  # the edges of frames
    "datasets/division/splits.py",  # the most frequent kind of items
    "adapters/outliers.py",  # the most frequent value
}
"""Where `argmax` is not about votes."""

pytestmark = pytest.mark.skipif(
    not (ROOT / "adapters").is_dir(), reason="the tests run outside of a checkout"
)


def run(program: str, *, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )


def test_every_room_is_declared() -> None:
    """The packages that setuptools installs are those of the tree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    declared = project["tool"]["setuptools"]
    inside = [path.parent for path in (ROOT / "gridcnn").glob("**/__init__.py")]
    found = {".".join(folder.relative_to(ROOT).parts) for folder in inside}
    for room in OUTSIDE:
        for path in (ROOT / room).glob("**/__init__.py"):
            found.add(".".join(("gridcnn", *path.parent.relative_to(ROOT).parts)))

    assert sorted(declared["packages"]) == sorted(found)
    assert declared["package-dir"] == {"gridcnn": "gridcnn"} | {
        f"gridcnn.{room}": room for room in OUTSIDE
    }


@pytest.mark.parametrize("room", OUTSIDE)
def test_rooms_outside_are_linked_into_the_package(room: str) -> None:
    """Type checkers and editors find them by way of a relative link."""
    link = ROOT / "gridcnn" / room

    if not link.is_symlink():
        pytest.skip("this checkout has no symbolic links")
    assert link.readlink() == Path("..") / room


@pytest.mark.parametrize("room", OUTSIDE)
def test_rooms_outside_have_no_name_of_their_own(room: str) -> None:
    """`import adapters` in the checkout tells the right name, instead of loading things twice."""
    done = run(f"import {room}")

    assert done.returncode == 1
    assert f"ImportError: this folder is the package gridcnn.{room}; import it by" in done.stderr


def test_rooms_import_in_one_direction() -> None:
    """The contracts in pyproject.toml are kept."""
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("import-linter is not installed")

    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_the_loss_is_known_to_the_voting_head_alone() -> None:
    """All others ask the head of a network, which may be one with another loss."""
    found = {name for name, tree in _modules() if LOSSES & set(_names(tree))}

    assert found == {VOTING, ON_CARDS}


def test_answers_are_known_to_the_contract_of_heads_alone() -> None:
    """One place finds the class with the most votes; elsewhere `argmax` is of other things."""
    found = {name for name, tree in _modules() if {"argmax", "nanargmax"} & set(_names(tree))}

    assert found == {HEAD} | NO_VOTES


def test_what_targets_are_is_written_in_one_place() -> None:
    """They are annotated as `Targets`, and so are answers as class indices."""
    found = {
        f"{name}:{line}"
        for name, tree in _modules()
        for line, annotated, annotation in _annotations(tree)
        if annotated in {"targets", "answers"} and "int64" in ast.unparse(annotation)
    }

    assert not found
    assert "Targets = NDArray[np.int64]" in (ROOT / TARGETS).read_text("utf-8")


@functools.cache
def _modules() -> list[tuple[str, ast.Module]]:
    """Return the path and the syntax tree of every module of the package."""
    paths = [path for room in ("gridcnn", *OUTSIDE) for path in (ROOT / room).rglob("*.py")]
    return [
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))) for path in paths
    ]


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield every name that code defines, imports or uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias | ast.FunctionDef):
            yield node.name


def _annotations(tree: ast.Module) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield the line, the name and the annotation of all that is annotated."""
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            yield node.lineno, node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign):
            yield node.lineno, ast.unparse(node.target), node.annotation
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield node.lineno, node.name, node.returns


def test_public_names_are_those_that_load() -> None:
    """`gridcnn.__all__` is sorted and whole, and every name in it is there."""
    lazy = {*gridcnn._HOMES, "__version__"}

    assert set(gridcnn.__all__) == lazy
    assert len(gridcnn.__all__) == len(lazy)
    assert set(gridcnn.__all__) <= set(dir(gridcnn))
    for name, home in gridcnn._HOMES.items():
        assert getattr(gridcnn, name) is getattr(importlib.import_module(home), name)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = gridcnn.Nothing


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    """`import gridcnn` costs next to nothing."""
    done = run("import gridcnn, sys; print(*sys.modules)", folder=tmp_path)

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "gridcnn" in loaded
    assert not loaded & set(HEAVY)


def test_reading_a_spec_loads_no_learning_library(tmp_path: Path) -> None:
    """Checking a spec waits neither for scikit-learn, nor for pandas, nor for LLVM."""
    program = (
        "import sys\n"
        "from gridcnn.pipelines import ready\n"
        "from gridcnn.spec.load import load\n"
        "load('xo', ready=ready())\n"
        "print(*sys.modules)\n"
    )

    done = run(program, folder=tmp_path)

    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "gridcnn" in loaded, done.stderr
    assert not loaded & {"sklearn", "pandas", "librosa", "llvmlite", "matplotlib"}


def test_the_tree_of_errors_is_drawn_in_full() -> None:
    """Every error has a sentence of its own and a line in the module's drawing."""
    found = [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type)
        and issubclass(cls, Exception)
        and cls.__module__ == errors.__name__
    ]
    drawn = [line.split()[-1] for line in _drawing()]

    assert sorted(drawn) == sorted(cls.__name__ for cls in found)
    assert all(cls.__doc__ for cls in found)
    assert {cls.__name__ for cls in found} <= set(gridcnn.__all__)


def test_the_tree_of_errors_is_drawn_right() -> None:
    """Each error stands under the one that it is a case of."""
    above: dict[int, str] = {}
    for line in _drawing():
        name = line.split()[-1]
        depth = line.index(name)
        parents = [above[other] for other in above if other < depth]
        above = {other: known for other, known in above.items() if other < depth} | {depth: name}
        if parents:
            assert getattr(errors, parents[-1]) in getattr(errors, name).__bases__


def _drawing() -> list[str]:
    """Return the lines of the drawing, each up to the name of its error."""
    lines = (errors.__doc__ or "").splitlines()
    drawn = [line for line in lines if line.startswith("    ")]
    ends = [len(line) - len(line.lstrip("│├└─ ")) for line in drawn]
    return [line[:end] + line[end:].split()[0] for line, end in zip(drawn, ends, strict=True)]


def test_no_text_stands_alone() -> None:
    """A string that is a statement, and no docstring, is the lost second half of a message."""
    lost = [
        f"{file.relative_to(ROOT)}:{statement.lineno}"
        for room in ("gridcnn", "adapters", "datasets")
        for file in sorted((ROOT / room).rglob("*.py"))
        for lines in [file.read_text(encoding="utf-8").splitlines()]
        for statement in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
        and '"""' not in lines[statement.lineno - 1]
    ]

    assert not lost
