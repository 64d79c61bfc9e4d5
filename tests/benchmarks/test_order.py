from __future__ import annotations

import argparse
import json
import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.order import made
from benchmarks.order.case import (
    EITHER,
    PERMUTABLE,
    Answer,
    Case,
    Grid,
    Made,
    cases,
    classes_by,
    families,
    grid,
)
from benchmarks.order.judging import Judgement, Result, judge
from benchmarks.order.report import as_json, page

FAMILIES = families()
by_family = pytest.mark.parametrize("name", [each.name for each in FAMILIES])
FAMILY = {each.name: each for each in FAMILIES}
LINE, SQUARE = Grid(1, 16), Grid(4, 4)


def first_cases(name: str, seed: int = 0) -> list[Case]:
    return list(cases([FAMILY[name]], [seed]))


def judgements(*decisions: str, layout: Grid | None = None) -> tuple[Judgement, ...]:
    return tuple(Judgement(seed, each, layout) for seed, each in enumerate(decisions))


def named(*parts: tuple[int, int]) -> Judgement:
    return Judgement(0, "permutable", parts=parts)


def same(first: Made, second: Made) -> bool:
    return bool(np.array_equal(first.X, second.X, equal_nan=first.X.dtype.kind == "f"))


def columns_of(data: Made) -> list[bytes]:
    kind = np.float64 if data.X.dtype.kind == "f" else str
    return sorted(np.ascontiguousarray(column, kind).tobytes() for column in data.X.T)


# Families -----------------------------------------------------------------------------------------


def test_there_are_as_many_families_and_cases_as_the_documentation_says() -> None:
    """At least 100 families, and with one seed at least 300 cases, in both halves and all kinds."""
    every = list(cases(FAMILIES, [0]))

    assert len(FAMILIES) >= 100
    assert len(every) >= 300
    assert len({each.name for each in every}) == len(every)
    held = sum(each.held_out for each in FAMILIES)
    assert 0.4 <= held / len(FAMILIES) <= 0.6
    kinds = Counter(each.made().answer.kind for each in every if each.variant == 0)
    assert set(kinds) == {"permutable", "grid", "part", "either"}


def test_both_halves_have_families_of_every_group() -> None:
    """So figures of the held-out half tell of all groups."""
    halves = {(each.group, each.held_out) for each in FAMILIES}

    groups = {each.group for each in FAMILIES}
    assert halves == {(group, held) for group in groups for held in (False, True)}


@by_family
def test_a_maker_says_what_it_imitates_and_why_its_answer_is_right(name: str) -> None:
    """The docstring has a first line, and below it the answer in words."""
    text = FAMILY[name].make.__doc__ or ""

    first, *reasons = text.strip().split("\n\n")
    assert first.endswith(".")
    words = " ".join(reasons).lower()
    assert any(word in words for word in ("permutable", "grid", "either", "ordered", "undecided"))


@by_family
def test_a_case_is_always_the_same(name: str) -> None:
    """The same variant and seed give the same data, another seed gives other data."""
    for case, other in zip(first_cases(name), first_cases(name, seed=1), strict=True):
        once, again = case.made(), case.made()

        assert same(once, again)
        assert once.answer == again.answer
        np.testing.assert_array_equal(once.y, again.y)
        assert not same(once, other.made())


@by_family
def test_data_labels_and_answer_fit_each_other(name: str) -> None:
    """Layouts fill all columns, parts lie within them, and every class has several rows."""
    for case in first_cases(name):
        data = case.made()

        assert len(data.X) == case.family.variants[case.variant]["rows"]
        if data.y is not None:
            assert data.y.shape == (len(data.X),)
            assert np.bincount(data.y).min() >= 6
        columns = data.X.shape[1]
        for layout in data.answer.layouts:
            assert layout.rows * layout.columns * layout.channels == columns
        if data.answer.part is not None:
            first, stop = data.answer.part
            assert 0 <= first < stop <= columns
            assert stop - first < columns
        if data.X.dtype.kind == "f":
            assert not np.isinf(data.X).any()
            assert not np.isnan(data.X).all(axis=0).any()


@by_family
def test_every_grid_of_columns_comes_shuffled_as_well(name: str) -> None:
    """Shuffled twins have the same columns in another order, and are permutable."""
    family = FAMILY[name]
    as_made = [case.made() for case in first_cases(name) if not case.shuffled]
    twins = [case.made() for case in first_cases(name) if case.shuffled]

    # A text is one column, which has no order.
    grids = all(data.answer.kind == "grid" and data.X.shape[1] > 1 for data in as_made)
    assert family.shuffles >= grids
    assert len(twins) == (len(as_made) if family.shuffles else 0)
    for data, twin in zip(as_made, twins, strict=False):
        assert data.answer.kind in ("grid", "either")
        assert twin.answer.kind == "permutable"
        assert twin.answer.undecided == family.undecided_if_shuffled
        assert not same(data, twin)
        assert columns_of(data) == columns_of(twin)
        np.testing.assert_array_equal(data.y, twin.y)


def test_a_case_can_go_to_another_process() -> None:
    """What a process receives makes the same data."""
    case = first_cases("spreadsheet")[0]

    assert same(pickle.loads(pickle.dumps(case)).made(), case.made())


def test_classes_follow_the_score() -> None:
    """Without noise the higher half is class 1; classes are equally large."""
    score = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0])

    found = classes_by(score, np.random.default_rng(0), noise=0)

    assert found.tolist() == [1, 0, 1, 0, 0, 1]


# Judging ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "decision", "outcome"),
    [
        (PERMUTABLE, "permutable", "right"),
        (PERMUTABLE, "grid", "wrong"),
        (PERMUTABLE, "undecided", "undecided"),
        (PERMUTABLE, "refused", "undecided"),
        (Answer("permutable", undecided=True), "undecided", "right"),
        (Answer("permutable", undecided=True), "grid", "wrong"),
        (grid(LINE), "grid", "right"),
        (grid(LINE), "permutable", "wrong"),
        (EITHER, "grid", "right"),
        (EITHER, "undecided", "right"),
        (Answer("part", part=(3, 15)), "permutable", "wrong"),
        (Answer("part", part=(3, 15)), "undecided", "undecided"),
    ],
)
def test_a_decision_is_right_wrong_or_undecided(
    answer: Answer, decision: str, outcome: str
) -> None:
    """Undecided is right only if the answer allows it; a refusal counts as undecided."""
    assert Judgement(0, decision).outcome(answer) == outcome


def test_a_part_must_be_named_nearly_as_it_is() -> None:
    """One column too many of twelve is close enough; a part of a whole table is not."""
    answer = Answer("part", part=(3, 15))

    assert named((3, 16)).outcome(answer) == "right"
    assert named((0, 20)).outcome(answer) == "wrong"
    assert named((3, 15), (16, 20)).outcome(answer) == "wrong"


def test_a_part_that_is_not_ordered_is_a_wrong_claim() -> None:
    """Whatever the decision on the whole is."""
    assert named((3, 15)).outcome(PERMUTABLE) == "wrong"
    assert named((3, 15)).outcome(grid(LINE)) == "wrong"


def test_a_layout_is_compared_in_one_form() -> None:
    """A column is a line, and the order of one channel does not matter."""
    column = Grid.from_settings({"size": [16, 1], "order": "interleaved"})

    assert column == LINE
    assert Judgement(0, "grid", column).has_right_layout(grid(LINE)) is True
    assert Judgement(0, "grid", SQUARE).has_right_layout(grid(LINE)) is False
    assert Judgement(0, "undecided").has_right_layout(grid(LINE)) is None


def test_the_checker_is_asked_with_every_seed() -> None:
    """A case has one judgement for each seed of the checker."""
    result = judge(first_cases("texts_and_numbers")[0], [0, 7])

    assert [each.seed for each in result.judgements] == [0, 7]
    assert result.seconds > 0


# The figures --------------------------------------------------------------------------------------


def results() -> Sequence[Result]:
    right = first_cases("spreadsheet")[0]
    unstable = first_cases("likert_blocks")[0]
    line = first_cases("random_walks")[0]
    return [
        Result(right, PERMUTABLE, judgements("permutable", "permutable"), 1.0),
        Result(unstable, PERMUTABLE, judgements("grid", "undecided"), 1.0),
        Result(line, grid(LINE), judgements("grid", "grid", layout=SQUARE), 2.0),
    ]


def test_the_page_counts_verdicts_and_names_what_fails() -> None:
    """Shares are those of all verdicts; families that are wholly right are not named again."""
    lines = page(results(), seconds=4).splitlines()

    whole = next(line for line in lines if "**all**" in line)
    assert whole == "| **all** | 3 | 3 | 66.7% | 16.7% | 16.7% | 0.0% | 66.7% | 4 |"
    failing = lines[next(i for i, line in enumerate(lines) if "that fails" in line) + 2 : -2]
    assert [line.split(" | ")[0] for line in failing] == ["| likert_blocks", "| random_walks"]
    assert "[4, 4] 2" in failing[1]


def test_held_out_families_are_not_named_among_those_that_fail() -> None:
    """Whoever improves the checker by the page learns nothing about them but their figures."""
    case = first_cases("few_rows")[0]
    assert case.family.held_out

    text = page([Result(case, PERMUTABLE, judgements("grid"), 1.0)], seconds=1)

    assert "few_rows" not in text
    assert "few_rows" in page(
        [Result(case, PERMUTABLE, judgements("grid"), 1.0)], seconds=1, name_held_out=True
    )


def test_json_has_every_verdict() -> None:
    """It is plain data, in the order of names, with the outcome of each verdict."""
    found = json.loads(json.dumps(as_json(results())))

    assert [each["family"] for each in found] == ["likert_blocks", "random_walks", "spreadsheet"]
    assert [each["outcome"] for each in found[0]["verdicts"]] == ["wrong", "undecided"]
    assert found[1]["verdicts"][0]["layout_right"] is False


# The command --------------------------------------------------------------------------------------


def parsed(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    made.add_options(parser)
    return parser.parse_args(options)


def test_options_choose_families(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, group and half."""
    made.run(parsed("--list", "--group", "ledgers", "--tuned"))

    printed = capsys.readouterr().out
    assert "subtotals" in printed
    assert "powers_and_logarithms" not in printed
    assert "spreadsheet" not in printed


def test_an_unknown_family_is_an_error_with_the_closest_name() -> None:
    """So a slip of a letter does not judge nothing."""
    with pytest.raises(SystemExit, match="no family is named 'spredsheet'; did you mean"):
        made.run(parsed("--family", "spredsheet"))


def test_the_command_judges_and_writes_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One family with one seed of the checker."""
    file = tmp_path / "verdicts.json"

    options = (
        "--family",
        "texts_and_numbers",
        "--check-seeds",
        "1",
        "--jobs",
        "1",
        "--json",
        str(file),
    )
    made.run(parsed(*options))

    assert "2 cases in" in capsys.readouterr().out
    assert len(json.loads(file.read_text())) == 2
