"""The space of a spec without marks: what usually matters, around the values that it has.

Its first trial is the spec as it is, so that a search never ends worse than it began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gridcnn.settings.document import Document, Path
from gridcnn.spec.marks import Mark
from gridcnn.spec.models import Spec
from gridcnn.stages.voting import Voting
from gridcnn.tuning.space import Dimension, Space, Value

_WIDTHS = (0.5, 1.0, 2.0)
_DROPOUTS = (0.0, 0.5, 1.0, 1.5)
_MOST_DROPPED = 0.8
_DECAYS = (0.0, 0.0001, 0.001, 0.01)


def default_space(spec: Spec) -> tuple[Space, dict[str, Value]]:
    """Return the space around a spec, and the values with which it is the spec itself.

    Learning rate, batch size and weight decay are searched, and as far as the spec has them the
    filters and the sizes of hidden layers (all together by one factor), the dropout, and the
    schedule.
    """
    maker = _Maker(spec)
    maker.add_training()
    convolutions = [
        (path, settings["filters"], settings.get("groups", 1))
        for path, settings in _stages(maker.data.get("stages") or (), "convolution")
        if settings.get("filters") and not settings.get("features")
    ]
    maker.add_factor(
        "filters",
        [((*path, "filters"), filters) for path, filters, _ in convolutions],
        _WIDTHS,
        lambda number: (groups := convolutions[number][2]) == "channels" or groups,
    )
    dropped = [
        ((*path, "rate"), settings["rate"])
        for path, settings in _stages(maker.data.get("stages") or (), "dropout")
        if settings.get("rate")
    ]
    maker.add_rates("dropout of stages", dropped)
    if isinstance(spec.head, Voting):
        maker.add_head(spec.head)
    return maker.space(), maker.own


class _Maker:
    """Collects marks, and the values with which they are the spec itself."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.data: dict[str, Any] = spec.model_dump(mode="json", exclude_unset=True)
        self.marks: dict[Path, Mark] = {}
        self.dimensions: dict[Path, Dimension] = {}
        self.own: dict[str, Value] = {}

    def space(self) -> Space:
        known = self.spec.document
        document = Document(self.data, known.source, dict(known.places), dict(known.overridden))
        return Space(document, self.marks, self.dimensions)

    def add_training(self) -> None:
        training = self.spec.training
        self.data["training"] = {**(self.data.get("training") or {})}
        rate, decay, batch = training.learning_rate, training.weight_decay, training.batch_size
        self.log_range("learning_rate", rate, 10)
        self.choose("batch_size", sorted({max(1, batch // 2), batch, 2 * batch}), batch)
        if training.method == "backpropagation":
            if decay:
                self.log_range("weight_decay", decay, 10)
            else:
                self.choose("weight_decay", _DECAYS, 0.0)
            if training.schedule.title == "constant":
                self.choose("schedule", ("constant", "cosine"), "constant")

    def log_range(self, setting: str, own: float, factor: float) -> None:
        low, high = (float(f"{end:.3g}") for end in (own / factor, own * factor))
        path = ("training", setting)
        self.data["training"].setdefault(setting, own)
        self.marks[path] = Mark("log_range", low=low, high=high)
        self.dimensions[path] = Dimension(f"training.{setting}", "log_range", low=low, high=high)
        self.own[f"training.{setting}"] = own

    def choose(self, setting: str, values: Sequence[Any], own: Any) -> None:
        path, name = ("training", setting), f"training.{setting}"
        self.data["training"].setdefault(setting, own)
        self.marks[path] = Mark("choose", tuple(values))
        self.dimensions[path] = Dimension(name, "choose", labels=tuple(values))
        self.own[name] = list(values).index(own)

    def add_factor(
        self,
        name: str,
        sizes: Sequence[tuple[Path, int]],
        factors: Sequence[float],
        divisor: Callable[[int], int] = lambda _: 1,
    ) -> None:
        """Let sizes vary together, by factors that leave allowed whole numbers."""
        usable = [
            factor
            for factor in factors
            if all(
                size * factor >= 1 and (size * factor) % divisor(number) == 0
                for number, (_, size) in enumerate(sizes)
            )
        ]
        self.add_shared(
            name, [(p, [int(size * factor) for factor in usable]) for p, size in sizes], usable
        )

    def add_rates(self, name: str, rates: Sequence[tuple[Path, float]]) -> None:
        """Let rates of dropout vary together."""
        self.add_shared(
            name,
            [
                (path, [1.0 and min(max(rate, _MOST_DROPPED), rate * f) for f in _DROPOUTS])
                for path, rate in rates
            ],
            _DROPOUTS,
        )

    def add_shared(
        self, name: str, values: Sequence[tuple[Path, list[Any]]], factors: Sequence[float]
    ) -> None:
        """Let values vary together; the spec's own have the factor 1."""
        if not values or len(factors) < 2:
            return
        dimension = Dimension(name, "choose", labels=tuple(f"x {f:g}" for f in factors))
        for path, each in values:
            self.marks[path], self.dimensions[path] = Mark("choose", tuple(each)), dimension
        self.own[name] = list(factors).index(1.0)

    def add_head(self, head: Voting) -> None:
        own = head.model_dump(mode="json", exclude_unset=True)
        settings = {**own, "hidden": list(head.hidden), "dropout": head.dropout}
        self.data["head"] = {"voting": settings}
        hidden = [(("head", "voting", "hidden", i), size) for i, size in enumerate(head.hidden)]
        self.add_factor("hidden units", hidden, _WIDTHS)
        path, name, high = ("head", "voting", "dropout"), "head.voting.dropout", 0.6
        high = max(high, head.dropout)
        self.marks[path] = Mark("range", low=0.0, high=high)
        self.dimensions[path] = Dimension(name, "range", low=0.0, high=high)
        self.own[name] = head.dropout


def _stages(value: Any, name: str, path: Path = ("stages",)) -> Iterator[tuple[Path, Any]]:
    """Yield the place and the settings of every stage of a name, also inside of others."""
    if isinstance(value, Mapping):
        for key, inside in value.items():
            if key == name and isinstance(inside, Mapping):
                yield (*path, key), inside
            else:
                yield from _stages(inside, name, (*path, key))
    elif isinstance(value, list | tuple):
        for number, inside in enumerate(value):
            yield from _stages(inside, name, (*path, number))
