"""Plain words: what users and developers read says things in the usual way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("gridcnn", "adapters", "datasets")

ODD = re.compile(
    r"\b(whoever|nobody|anew|ha(s|ve) no say|(is|are) told|begun with|not one (row|item|word)"
    r"|go(es)? on with|by way of|phantom|fault of (its|their) own"
    r"|(?<!there )is no (picture|sound|text|number|spec|file|array|table))\b"
)
"""Words that a newcomer stumbles over; there is a usual way to say each."""

PARTICIPLES = re.compile(
    r"_*(?!need|seed|speed)([a-z]+ed|built|drawn|found|given|kept|made|shown|taken|told|written)"
)
"""Names that say what happened, and not what a function does or returns."""

USUAL = {
    "adapted": "of public classes",
    "answered": "of public classes",
    "chosen": "of public classes",
    "fitted": "of public classes",
    "resized": "of public classes",
    "resolved": "of public classes",
    "listed": "gives a text for a message, as sorted gives a list",
    "quoted": "gives a text for a message",
    "shown": "gives a text for a message",
    "sized": "gives a text for a message",
    "named": "of public classes",
    "unlearned": "of public classes",
}
"""Participles that stay, and why."""

pytestmark = pytest.mark.skipif(
    not (ROOT / "adapters").is_dir(), reason="the tests run outside of a checkout"
)


def _files() -> list[Path]:
    """Return the package's files; rooms that are links in it are listed once."""
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if _is_own(path)]


def _is_own(path: Path) -> bool:
    return not any(folder.is_symlink() for folder in path.parents)


def _texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the texts in a module, with their lines: messages, help, and what they are made of."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            yield node.lineno, node.value


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the names of functions in a module, with their lines; properties are no functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            marks = {each.id for each in node.decorator_list if isinstance(each, ast.Name)}
            if not marks & {"property", "cached_property"}:
                yield node.lineno, node.name


def test_messages_have_no_odd_words() -> None:
    """Errors, notes and help name people and things, and use the usual words."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path in _files()
        for line, text in _texts(ast.parse(path.read_text("utf-8")))
        if (match := ODD.search(text))
    ]

    assert not found, "\n".join(found)


def test_functions_are_called_by_what_they_do() -> None:
    """A function's name is a verb, or a noun for what it returns: `divide`, and not `divided`."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in _files()
        for line, name in _names(ast.parse(path.read_text("utf-8")))
        if PARTICIPLES.fullmatch(name) and name.strip("_") not in USUAL
    ]

    assert not found, "\n".join(found)


@pytest.mark.parametrize("odd", ["is told that", "Nobody may", "is no picture;", "begin anew"])
def test_odd_words_are_noticed(odd: str) -> None:
    """The search for them can fail."""
    assert ODD.search(odd.lower())


@pytest.mark.parametrize(
    ("name", "is_odd"),
    [("divided", True), ("_told", True), ("divide", False), ("speed", False), ("is_packed", False)],
)
def test_participles_are_noticed(name: str, is_odd: bool) -> None:
    """So can the search for participles."""
    assert bool(PARTICIPLES.fullmatch(name)) is is_odd
