"""The trials of a study: what they tried, how they ended, and which settings mattered."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gridcnn.spec.models import SelectBy
from gridcnn.tuning.space import Dimension, Label, Value
from gridcnn.tuning.study import value_of
from gridcnn.tuning.trial import Score

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

State = Literal["complete", "pruned", "failed"]
_LEAST = 4
"""Complete trials from which it is computed what mattered."""


@dataclass(frozen=True)
class TuneTrial:
    """One trial of a search.

    Attributes:
        number: from 1, in the order in which they started.
        state: `complete`; `pruned`, which means given up before its end; or `failed`, if it could
            not be trained.
        values: what each setting was; those that the trial did not ask for are missing.
        score: how well it did; None if it had no epoch.
        seconds: how long it took.
        reason: why it was pruned or failed.
        picked: the values as the space knows them; see `gridcnn.tuning.space.Value`.
    """

    number: int
    state: State
    values: Mapping[str, Label]
    score: Score | None
    seconds: float
    reason: str = ""
    picked: Mapping[str, Value] = field(default_factory=dict, repr=False)

    def plain(self) -> dict[str, Any]:
        """Return everything as plain data for JSON and tables."""
        score = self.score
        return {
            "trial": self.number,
            "state": self.state,
            "validation_accuracy": None if score is None else score.accuracy,
            "validation_loss": None if score is None else score.loss,
            "validation_score": None if score is None else score.other,
            "epochs": None if score is None else score.epochs,
            "best_epoch": None if score is None else score.best_epoch,
            "seconds": self.seconds,
            "signs": [] if score is None else list(score.signs),
            "reason": self.reason,
            "values": dict(self.values),
        }


def read_trials(study: Study, dimensions: Mapping[str, Dimension]) -> list[TuneTrial]:
    """Return the trials that have ended; those that were lost are left out."""
    from optuna.trial import TrialState

    trials: list[TuneTrial] = []
    failed = 0
    for frozen in study.get_trials(deepcopy=False):
        failed += frozen.state == TrialState.FAIL
        if frozen.state in (TrialState.COMPLETE, TrialState.PRUNED):
            trials.append(_read(frozen, frozen.number + 1 - failed, dimensions))
    return trials


def _read(frozen: FrozenTrial, number: int, dimensions: Mapping[str, Dimension]) -> TuneTrial:
    attributes = frozen.user_attrs
    score = attributes.get("score")
    picked = {
        name: value_of(each, frozen.params[name])
        for name, each in dimensions.items()
        if name in frozen.params
    }
    return TuneTrial(
        number,
        attributes.get("state", "complete"),
        {name: dimensions[name].label(value) for name, value in picked.items()},
        None if score is None else Score(**{**score, "signs": tuple(score["signs"])}),
        attributes.get("seconds", 0.0),
        attributes.get("reason", ""),
        picked,
    )


def best_of(trials: Iterable[TuneTrial], by: SelectBy) -> TuneTrial | None:
    """Return the best complete trial, of equal ones the first; None if there is none.

    Trials whose results are equal are compared by their loss, those of equal loss by their
    accuracy: the rule by which an epoch is chosen.
    """

    def rank(trial: TuneTrial) -> tuple[float, float, int]:
        score = trial.score
        assert score is not None
        if by == "loss":
            return score.loss, -score.accuracy, trial.number
        return -score.value(by), score.loss, trial.number

    return min((each for each in trials if each.state == "complete"), key=rank, default=None)


def importances(study: Study, dimensions: Sequence[str], seed: int) -> dict[str, float]:
    """Return how much each setting mattered, from 0 to 1 and 1 in all, the most first.

    It is the part of the variance of the results that a forest of trees explains by that setting
    alone: functional ANOVA (Hutter, Hoos and Leyton-Brown, 2014), as Optuna has it. Settings that
    not every trial has are left out. Empty if there are too few trials, or all results are equal.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _LEAST or len({trial.value for trial in complete}) == 1:
        return {}
    common = [name for name in dimensions if all(name in trial.params for trial in complete)]
    varied = [name for name in common if len({trial.params[name] for trial in complete}) > 1]
    if not varied:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = FanovaImportanceEvaluator(seed=seed)
        parts = get_param_importances(study, evaluator=evaluator, params=varied)
    total = sum(parts.values())
    return {name: float(part / total) for name, part in parts.items()} if total > 0 else {}
