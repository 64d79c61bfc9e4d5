"""Errors: one line for each problem, fit for a terminal, for pickling and for `except`."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridcnn import errors
from gridcnn.errors import (
    GridcnnError,
    Problem,
    SpecError,
    TrainingInterrupted,
    UserError,
    how_many,
    listed,
    printable,
    quoted,
    shown,
    suggestion,
)

USER_ERRORS = sorted(
    (
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, UserError)
    ),
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("wrong"), "wrong"),
        (Problem("wrong", path="a.b"), "a.b: wrong"),
        (Problem("wrong", path="a.b", source="--set a.b=1"), "--set a.b=1: wrong"),
        (Problem("wrong", path="a.b", source="x.yaml", line=3, column=5), "x.yaml:3:5: wrong"),
        (Problem("wrong", source="x.yaml", line=3), "x.yaml:3: wrong"),
        (Problem("wrong", line=3, column=5), "line:3:5: wrong"),
    ],
)
def test_a_problem_starts_with_its_place(problem: Problem, text: str) -> None:
    """The path through the spec is shown where no file or option tells the place."""
    assert str(problem) == text


@given(st.text(), st.text())
def test_a_problem_is_one_line_without_steering_characters(message: str, source: str) -> None:
    """Line breaks, escape sequences and direction marks never reach a terminal."""
    assert str(Problem(message, source=source)).isprintable()


def test_steering_characters_are_shown_as_escapes() -> None:
    """What would colour, erase or turn around text is shown as what it is."""
    assert printable("a\x1b[31mb\u202ec\x00d") == r"a\x1b[31mb\u202ec\x00d"
    assert printable("one\r\n  two\tthree") == "one two three"
    assert printable("Größe 大小 🙂") == "Größe 大小 🙂"


def test_one_thing_is_singular() -> None:
    """Any other number is plural, and thousands are marked."""
    assert how_many(1, "class", "classes") == "1 class"
    assert how_many(0, "class", "classes") == "0 classes"
    assert how_many(1200, "label") == "1,200 labels"


def test_an_error_has_a_line_for_each_problem() -> None:
    """Texts become problems, and problems become lines."""
    error = SpecError("first\nstill first", Problem("second", path="a"))

    assert str(error) == "first still first\na: second"
    assert [problem.path for problem in error.problems] == ["", "a"]


@pytest.mark.parametrize("cls", USER_ERRORS)
def test_errors_survive_pickling_and_copying(cls: type[UserError]) -> None:
    """A worker process hands back the same error, problems and all."""
    error = cls(Problem("wrong", "a.b", "x.yaml", 1, 2), "also wrong")

    for same in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(same) is cls
        assert same.problems == error.problems
        assert str(same) == str(error)


def test_an_interruption_keeps_its_folder() -> None:
    """What `resume` needs is pickled too."""
    error = TrainingInterrupted("stopped", folder=Path("runs") / "1")

    same = pickle.loads(pickle.dumps(error))

    assert (str(same), same.folder) == ("stopped", Path("runs") / "1")


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("SpecError", ValueError),
        ("ShapeError", ValueError),
        ("DataError", ValueError),
        ("UnknownNameError", LookupError),
        ("ModelFileError", ValueError),
        ("RunFolderError", ValueError),
        ("TrainingError", RuntimeError),
        ("EngineError", RuntimeError),
        ("ColumnPermutableError", ValueError),
    ],
)
def test_errors_are_caught_as_what_python_calls_them(name: str, builtin: type[Exception]) -> None:
    """Whoever does not know gridcnn's errors catches the usual one."""
    assert issubclass(getattr(errors, name), builtin)
    assert issubclass(getattr(errors, name), GridcnnError)


def test_values_are_cut_where_a_message_quotes_them() -> None:
    """A message stays readable whatever it quotes."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert shown("a" * 1000) == "'" + "a" * 56 + "..."
    assert shown(3) == "3"
    assert shown(2**200) == "a whole number of 201 bits"
    assert shown([10**5000, (1,)]) == "[a whole number of 16610 bits, (1,)]"
    assert shown([[2**200]], limit=20) == "[[a whole number ..."
    assert shown(list(range(10**6))) == shown(list(range(50)))
    assert shown((1, [2.5, "a"], ())) == "(1, [2.5, 'a'], ())"
    assert shown([Broken()]) == "a list that cannot be shown"
    assert shown(Broken()) == "a Broken that cannot be shown"


def test_names_are_quoted_whole_or_cut() -> None:
    """A name keeps its quotes, however long and strange it is."""
    assert quoted("size") == "'size'"
    assert quoted("it's") == "'it's'"
    assert quoted("\x1b[0m") == r"'\x1b[0m'"
    assert quoted("k" * 5000) == "'" + "k" * 57 + "...'"


def test_the_nearest_name_is_suggested() -> None:
    """A slip is answered; something else is not."""
    assert suggestion("fliters", ["filters", "stride"]) == "; did you mean 'filters'?"
    assert suggestion("FILTERS", ["filters"]) == "; did you mean 'filters'?"
    assert suggestion("banana", ["filters", "stride"]) == ""


def test_long_lists_of_names_are_counted() -> None:
    """Twenty names are enough for a line."""
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(25)]).endswith("18, 19 and 5 more")
    assert listed(["a" * 200, "b" * 201]) == "a" * 200 + ", " + "b" * 197 + "..."
