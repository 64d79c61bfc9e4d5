"""The page of results, `docs/results.md`, written from what was measured."""

from __future__ import annotations

import re
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import series, starters
from benchmarks.accuracy.catalogue import (
    ACCURACY,
    AREA,
    F1,
    LEAD,
    OVER_FOLDS,
    Case,
    Goal,
    Trial,
    cases,
)
from benchmarks.accuracy.measuring import BUSY, OURS, TEST, Answers, Outcome, slug
from benchmarks.report import table
from gridcnn.errors import listed
from gridcnn.pipelines import ready

_INTRODUCTION = """\
# Results

This page shows how often the ready specs are right on items that they have not seen. It compares
them with plain methods on the same items, and with published figures.

- Every spec is run once, as it is shipped, with its own seed. The validation items choose the epoch
  whose weights count, and also the settings of the plain methods, which learn from the same
  training items. If a spec keeps no items for validation, its last epoch counts, and a part of the
  training items chooses for the plain methods. The settings of the specs were chosen on validation
  items as well. The test items choose nothing; if they were used more than once, the section says
  so.
- Accuracies have a 95 % [interval](runs.md#metricsjson). If two intervals overlap a lot, the data
  does not show which is better.
- Seconds are those of the [machine](#the-machine) below, which others used at the same time. The
  seconds for an epoch are the median. The seconds in all are for the whole command: starting
  Python, reading and adapting the data, compiling with an empty cache, training, and the test. The
  sections also have the processor time of all cores together, which hardly depends on the load.

`python -m benchmarks.accuracy NAME` measures one of them again and writes this page; without a name
it measures all. It needs `pip install -e ".[test]"`, and under `GRIDCNN_DATA` the files of the sets
that gridcnn does not make.
"""


@dataclass(frozen=True)
class Reached:
    """A goal of some items, what came out, and whether the interval reaches no lower than the goal.

    Where there is no interval, nothing is known to be lower.
    """

    about: str
    goal: Goal
    value: float
    sure: bool

    @property
    def met(self) -> bool:
        """Whether that is enough; to be above another it has to be really above."""
        if self.goal.measure.startswith(LEAD):
            return self.value > self.goal.at_least
        return self.value >= self.goal.at_least


def page(outcomes: Mapping[str, Outcome]) -> str:
    """Return the whole page, for outcomes by the names of their cases."""
    known = cases()
    shown = [(known[name], outcomes[name]) for name in known if name in outcomes]
    parts = [
        _INTRODUCTION.strip(),
        _overview(shown),
        _goals(shown),
        *(_section(case, outcome) for case, outcome in shown),
        series.section(series.read()),
        starters.section(starters.read()),
        _machines(shown),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def percent(part: float) -> str:
    """Return a part of 1 as `99.93 %`, never rounded up to a whole that it is not."""
    text = f"{part * 100:.2f}"
    return "99.99 %" if text == "100.00" and part < 1 else f"{text} %"


def _short(number: float, digits: int) -> str:
    """Return a number with so many significant digits, but always all of its whole part."""
    text = f"{number:.{digits}g}"
    return f"{number:,.0f}" if "e+" in text else text


def _filled(text: str) -> str:
    """Return a sentence or an entry of a list in lines of the usual length."""
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _interval(measures: Mapping[str, Any]) -> str:
    low, high = (percent(end).removesuffix(" %") for end in measures["interval"])
    return f"{low} to {high}"


def _part(value: float | None) -> str:
    """Return a part of 1 with four digits, never rounded up to a whole that it is not."""
    if value is None:
        return "-"
    return "0.9999" if value < 1 and f"{value:.4f}" == "1.0000" else f"{value:.4f}"


def _ours(outcome: Outcome, about: str) -> Answers:
    return next(each for each in outcome.answers[about] if each.who == OURS)


def _best_plain(outcome: Outcome, about: str) -> Answers | None:
    """Return the baseline that the validation items would choose."""
    plain = [each for each in outcome.answers[about] if each.who != OURS]
    return max(plain, key=lambda each: each.validation or 0.0) if plain else None


def _trials(case: Case, outcome: Outcome) -> list[Trial]:
    """Return the other items that were asked about when the case was measured."""
    return [trial for trial in case.trials if trial.name in outcome.answers]


def _asked(case: Case, outcome: Outcome) -> list[tuple[str, str, tuple[Goal, ...]]]:
    """Return what tables call each set of items, its name among the answers, and its goals."""
    trials = _trials(case, outcome)
    others = [(f"{case.name}, {each.name}", each.name, each.goals) for each in trials]
    return [(case.name, TEST, case.goals), *others]


def _overview(shown: Sequence[tuple[Case, Outcome]]) -> str:
    rows = []
    for case, outcome in shown:
        for title, about, _ in _asked(case, outcome):
            ours, plain = _ours(outcome, about), _best_plain(outcome, about)
            first = about == TEST
            told = [*dict.fromkeys(each.figure for each in case.published)] if first else []
            rows.append(
                (
                    f"[{title}](#{slug(case.name)})",
                    "-" if plain is None else f"{_figure(plain)}, {plain.who}",
                    "; ".join(told) or "-",
                    f"{ours.measures['items']:,}",
                    "-" if _is_of_labels(ours) else percent(ours.measures["accuracy"]),
                    "-" if _is_of_labels(ours) else _interval(ours.measures),
                    _part(ours.measures["auc"]),
                    f"{outcome.parameters:,}" if first else "",
                    _short(outcome.seconds_per_epoch, 2) if first else "",
                    _short(outcome.seconds_in_all, 3) if first else "",
                )
            )
    heads = (
        "spec",
        "plain method",
        "published",
        "items",
        "accuracy",
        "95 % interval",
        "AUC",
        "parameters",
        "s per epoch",
        "s in all",
    )
    text = (
        "The plain method is the one that was best on the validation items. AUC is the area under "
        "the ROC curve; for more than two classes, or several labels, it is the mean. Not every "
        "published figure was measured on the same division; the sections below say which."
    )
    crowded = [case.name for case, outcome in shown if _was_crowded(outcome)]
    if crowded:
        text += (
            f" When {listed(crowded)} began, more threads were ready to run than the machine has "
            "cores: there, the seconds are too long."
        )
    return f"{table(heads, rows, left=3)}\n\n{_filled(text)}"


def _is_of_labels(answers: Answers) -> bool:
    """Return whether the items may have several labels."""
    return "labels" in answers.measures


def _figure(answers: Answers) -> str:
    """Return the figure that tells most about answers: of several labels, the area."""
    if _is_of_labels(answers):
        return f"AUC {_part(answers.measures['auc'])}"
    return percent(answers.measures["accuracy"])


def _was_crowded(outcome: Outcome) -> bool:
    """Return whether more threads wanted to run than there are cores, as far as that is known."""
    busy = re.match(r"[\d.]+", outcome.machine[BUSY])
    cores = re.match(r"\d+", outcome.machine["cores"])
    return busy is not None and cores is not None and float(busy[0]) > int(cores[0])


def reached(case: Case, outcome: Outcome) -> list[Reached]:
    """Return every goal of a case with what came out."""
    return [
        Reached(title, goal, _value(goal, outcome, about), _sure(goal, outcome, about))
        for title, about, goals in _asked(case, outcome)
        for goal in goals
    ]


def _value(goal: Goal, outcome: Outcome, about: str) -> float:
    ours = _ours(outcome, about)
    found: dict[str, Any] = ours.measures
    if goal.measure == ACCURACY:
        return float(found["accuracy"])
    if goal.measure == AREA:
        return float(found["auc"])
    if goal.measure == OVER_FOLDS:
        return statistics.mean(ours.folds.values())
    if goal.measure.startswith(F1):
        return float(found["classes"][goal.measure.removeprefix(F1)]["f1"])
    rival = goal.measure.removeprefix(LEAD)
    theirs = next(each for each in outcome.answers[about] if each.who == rival)
    return 100 * float(found["accuracy"] - theirs.measures["accuracy"])


def _sure(goal: Goal, outcome: Outcome, about: str) -> bool:
    if goal.measure != ACCURACY:
        return True
    lowest: float = _ours(outcome, about).measures["interval"][0]
    return lowest >= goal.at_least


def _goals(shown: Sequence[tuple[Case, Outcome]]) -> str:
    found = [each for case, outcome in shown for each in reached(case, outcome)]
    if not found:
        return ""
    rows = [
        (
            each.about,
            each.goal.measure,
            _wanted(each.goal),
            _told(each.goal, each.value),
            _met(each),
        )
        for each in found
    ]
    missed = [each for each in found if not each.met]
    text = "All goals are reached."
    if missed:
        lines = [
            f"- {each.about}: {each.goal.measure} {_told(each.goal, each.value)}; the goal was "
            f"{_wanted(each.goal)}"
            for each in missed
        ]
        text = "\n".join(["These goals are not reached:", "", *lines])
    heads = ("", "measure", "goal", "reached", "met")
    return f"## Goals\n\n{table(heads, rows, left=5)}\n\n{text}"


def _met(reached: Reached) -> str:
    if not reached.met:
        return "**no**"
    return "yes" if reached.sure else "yes; the interval reaches lower"


def _wanted(goal: Goal) -> str:
    if goal.measure.startswith(LEAD):
        return f"more than {goal.at_least:g}"
    return f"at least {_told(goal, goal.at_least)}"


def _told(goal: Goal, value: float) -> str:
    if goal.measure.startswith(LEAD):
        return f"{value:+.2f}"
    whole = goal.measure in (ACCURACY, OVER_FOLDS)
    return percent(value) if whole else _part(value)


def _section(case: Case, outcome: Outcome) -> str:
    of_folds = " on average" if _ours(outcome, TEST).folds else ""
    items = outcome.items
    sizes = (
        f"{items['train']:,.0f} items for training, {items['validation']:,.0f} for validation and "
        f"{items['test']:,.0f} for the test{of_folds}"
    )
    lines = [
        f"- Data: {case.data}",
        f"- Split: {case.split} That makes {sizes}.",
        f"- Network: {outcome.parameters:,} parameters, {outcome.epochs:.3g} epochs{of_folds}; "
        f"{_short(outcome.seconds_per_epoch, 2)} s for each, "
        f"{_short(outcome.seconds_in_all, 3)} s in all, "
        f"{_short(outcome.processor_seconds, 3)} s of processor time.",
        *(f"- {note}" for note in case.notes),
    ]
    parts = [
        f"## {case.name}",
        _teaches(case.spec),
        "\n".join([*map(_filled, lines), f"- Command: `{case.command}`"]),
        _contestants(outcome, TEST),
        _folds(outcome),
        _classes(_ours(outcome, TEST)),
        _confusion(outcome.classes, _ours(outcome, TEST)),
        _published(case),
        *(_trial(case, outcome, trial) for trial in _trials(case, outcome)),
    ]
    return "\n\n".join(part for part in parts if part)


def _teaches(spec: str) -> str:
    """Return what a ready spec says that it teaches: a paragraph of its first comment."""
    comment = re.match(r"(?:#.*\n)+", ready()[spec].decode())
    assert comment is not None
    lines = [line.removeprefix("#").strip() for line in comment[0].splitlines()]
    paragraphs = "\n".join(lines).split("\n\n")
    return next(each for each in paragraphs if "It teaches" in each)


def _contestants(outcome: Outcome, about: str) -> str:
    if _is_of_labels(_ours(outcome, about)):
        return _contestants_for_labels(outcome, about)
    rows = [
        (
            each.who if each.who != OURS else f"**{OURS}**",
            each.sees or "the grids",
            each.chosen or "-",
            percent(each.measures["accuracy"]),
            _interval(each.measures),
            _part(each.measures["auc"]),
            "-" if each.validation is None else percent(each.validation),
        )
        for each in outcome.answers[about]
    ]
    heads = ("", "sees", "chosen", "accuracy", "95 % interval", "AUC", "on validation")
    return table(heads, rows, left=3)


def _contestants_for_labels(outcome: Outcome, about: str) -> str:
    rows = [
        (
            each.who if each.who != OURS else f"**{OURS}**",
            each.sees or "the grids",
            each.chosen or "-",
            _part(each.measures["auc"]),
            _part(each.measures["average_precision"]),
            _part(each.measures["macro_f1"]),
            _part(each.validation),
        )
        for each in outcome.answers[about]
    ]
    heads = ("", "sees", "chosen", "mean AUC", "mean average precision", "mean F1")
    return table((*heads, "AUC on validation"), rows, left=3)


def _folds(outcome: Outcome) -> str:
    ours = _ours(outcome, TEST)
    if not ours.folds:
        return ""
    everyone = outcome.answers[TEST]
    rows = [
        (fold, *(percent(each.folds[fold]) for each in everyone)) for fold in sorted(ours.folds)
    ]
    for label, reduce in (("mean", statistics.mean), ("standard deviation", statistics.stdev)):
        rows.append((label, *(percent(reduce(each.folds.values())) for each in everyone)))
    heads = ("the test is", *(each.who for each in everyone))
    return f"Accuracy of each fold:\n\n{table(heads, rows)}"


def _labels(answers: Answers) -> str:
    rows = [
        (
            label,
            *(_part(scores[name]) for name in ("auc", "average_precision", "f1")),
            *(f"{scores[name]:,}" for name in ("positives", "known")),
        )
        for label, scores in answers.measures["labels"].items()
    ]
    heads = ("label", "AUC", "average precision", "F1", "items that have it", "known of")
    return f"The network, label by label:\n\n{table(heads, rows)}"


def _classes(answers: Answers) -> str:
    if _is_of_labels(answers):
        return _labels(answers)
    rows = [
        (
            label,
            *(_part(scores[name]) for name in ("precision", "recall", "f1", "auc")),
            f"{scores['items']:,}",
        )
        for label, scores in answers.measures["classes"].items()
    ]
    heads = ("class", "precision", "recall", "F1", "AUC", "items")
    return f"The network, class by class:\n\n{table(heads, rows)}"


def _confusion(classes: Sequence[str], answers: Answers) -> str:
    if _is_of_labels(answers):
        return ""
    rows = [
        (label, *(f"{count:,}" for count in row))
        for label, row in zip(classes, answers.measures["confusion"], strict=True)
    ]
    text = "Its confusion matrix, with the truth by row and the answer by column:"
    return f"{text}\n\n{table(('truth', *classes), rows)}"


def _published(case: Case) -> str:
    if not case.published:
        return "No published figure is known."
    lines = ["Published by others:", ""]
    for each in case.published:
        split = "the same split" if each.same_split else "not the same split"
        sure = "" if each.checked else "; quoted from memory, not checked"
        lines.append(_filled(f"- {each.figure}: {each.what} ({each.source}; {split}{sure})."))
    return "\n".join(lines)


def _trial(case: Case, outcome: Outcome, trial: Trial) -> str:
    ours = _ours(outcome, trial.name)
    parts = [
        f"### {case.name}: {trial.name}",
        _filled(f"{trial.what} The network and the plain methods are those above."),
        _contestants(outcome, trial.name),
        _classes(ours),
        _confusion(outcome.classes, ours),
    ]
    return "\n\n".join(parts)


def _machines(shown: Sequence[tuple[Case, Outcome]]) -> str:
    """Return where and when everything was measured; cases that share that share a column."""
    kinds: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for case, outcome in shown:
        facts = {
            "date": outcome.date,
            **{name: text for name, text in outcome.machine.items() if name != BUSY},
            "threads": str(outcome.threads),
            "versions": ", ".join(f"{name} {no}" for name, no in outcome.versions.items()),
        }
        kinds.setdefault(tuple(facts.items()), []).append(case.name)
    parts = ["## The machine"]
    for facts_of, names in kinds.items():
        busy = [
            f"{outcome.machine[BUSY]} ({case.name})"
            for case, outcome in shown
            if case.name in names
        ]
        rows = [
            ("specs", "; ".join(names)),
            *facts_of,
            (BUSY, ", ".join(busy)),
        ]
        parts.append(table(("", ""), rows, left=2))
    return "\n\n".join(parts)
