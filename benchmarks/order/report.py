"""The figures of made cases: by group, tuned and held out, and the families that fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.order.judging import Result


def page(results: Sequence[Result], *, seconds: float, name_held_out: bool = False) -> str:
    """Return the tables of all results. Shares are those of verdicts: one for each checker seed.

    Held-out families that fail are not named unless asked for: a checker that is improved by their
    names is no longer judged by families that it has not seen.
    """
    held = [each for each in results if each.case.family.held_out]
    tuned = [each for each in results if not each.case.family.held_out]
    groups = sorted({each.case.family.group for each in results})
    lines = [
        "| group | families | cases | right | undecided | wrong | layout right | stable | "
        "processor seconds |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(name, [r for r in results if r.case.family.group == name]) for name in groups),
    ]
    lines += [_row("**tuned**", tuned), _row("**held out**", held), _row("**all**", results)]
    failing = list(_failing(results if name_held_out else tuned))
    if failing:
        lines += [
            "",
            "| family that fails | wanted | verdicts | right | undecided | wrong | wrong layouts | "
            "unstable cases |",
            "|---|---|---|---|---|---|---|---|",
            *failing,
        ]
    lines += ["", f"{len(results)} cases in {seconds:.0f} seconds"]
    return "\n".join(lines)


def _row(name: str, results: Sequence[Result]) -> str:
    outcomes = Counter(outcome for each in results for outcome in each.outcomes)
    layouts = [right for each in results for right in each.layouts]
    cells = [
        name,
        str(len({each.case.family.name for each in results})),
        str(len(results)),
        *(_share(outcomes[each], outcomes.total()) for each in ("right", "undecided", "wrong")),
        _share(sum(layouts), len(layouts)),
        _share(sum(each.is_stable for each in results), len(results)),
        f"{sum(each.seconds for each in results):.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "-"


def _failing(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each family, as made and shuffled apart, that is not wholly right."""
    kinds = sorted({_kind(each) for each in results})
    for kind in kinds:
        some = [each for each in results if _kind(each) == kind]
        outcomes = Counter(outcome for each in some for outcome in each.outcomes)
        wrong_layouts = Counter(
            _plain(judgement.layout)
            for each in some
            for judgement in each.judgements
            if judgement.has_right_layout(each.answer) is False
        )
        unstable = sum(not each.is_stable for each in some)
        if outcomes["right"] == outcomes.total() and not wrong_layouts and not unstable:
            continue
        decisions = Counter(judgement.decision for each in some for judgement in each.judgements)
        cells = [
            " ".join(kind),
            some[0].answer.kind,
            _told(decisions),
            *(str(outcomes[outcome]) for outcome in ("right", "undecided", "wrong")),
            _told(wrong_layouts),
            f"{unstable} of {len(some)}",
        ]
        yield f"| {' | '.join(cells)} |"


def _kind(result: Result) -> tuple[str, ...]:
    family = result.case.family
    told = (family.name, "shuffled") if result.case.shuffled else (family.name,)
    return (*told, "(held out)") if family.held_out else told


def _plain(layout: Any) -> str:
    if layout is None:
        return "none"
    channels = f" x {layout.channels} {layout.order}" if layout.channels > 1 else ""
    return f"[{layout.rows}, {layout.columns}]{channels}"


def _told(counts: Counter[str]) -> str:
    some = [f"{name} {count}" for name, count in counts.most_common(4)]
    return ", ".join(some) + (", ..." if len(counts) > 4 else "")


def as_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return all results as plain values, in the order of their names."""
    by_name: Callable[[Result], str] = lambda each: each.case.name  # noqa: E731
    return [
        {
            "case": each.case.name,
            "family": each.case.family.name,
            "group": each.case.family.group,
            "held_out": each.case.family.held_out,
            "shuffled": each.case.shuffled,
            "wanted": each.answer.kind,
            "stable": each.is_stable,
            "seconds": round(each.seconds, 2),
            "verdicts": [
                {
                    "seed": judgement.seed,
                    "decision": judgement.decision,
                    "layout": None if judgement.layout is None else _plain(judgement.layout),
                    "parts": judgement.parts,
                    "outcome": outcome,
                    "layout_right": judgement.has_right_layout(each.answer),
                }
                for judgement, outcome in zip(each.judgements, each.outcomes, strict=True)
            ],
        }
        for each in sorted(results, key=by_name)
    ]
