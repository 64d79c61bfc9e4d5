"""PyTorch: eager, with channels last, and compiled."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np

from benchmarks.peers.base import Answer, Contestant, Way, Ways, window_table, window_weights
from benchmarks.peers.case import (
    BETA1,
    BETA2,
    EPSILON,
    RATE,
    Array,
    Case,
    Convolution,
    Dense,
    Layer,
    Normalization,
    Parallel,
    Pooling,
    Rectification,
    Skip,
    flatten,
    split,
    split_normalization,
)

torch: Any = import_module("torch")
nn: Any = import_module("torch.nn")

CONVOLVED, EMBEDDED = "convolution", "embedding"
RECTIFIED_FIRST, POOLED_FIRST = "rectified, pooled", "pooled, rectified"
"""Which comes first makes no difference to what comes out, and a rectification of fewer cells is
quicker where nothing fuses the two."""


class Lookup(nn.Module):  # type: ignore[misc]
    """The first convolution of one-hot grids, as a sum of rows of a table."""

    def __init__(self, case: Case, layer: Convolution) -> None:
        super().__init__()
        table = torch.from_numpy(window_table(case, layer))
        self.columns = case.shape[2]
        self.number = case.first_convolutions.index(layer)
        self.table = nn.EmbeddingBag.from_pretrained(
            table, freeze=False, mode="sum", padding_idx=len(table) - 1
        )
        self.bias = nn.Parameter(torch.from_numpy(case.weights(layer)[1].copy()))

    def forward(self, windows: Any) -> Any:
        """Return the maps `(items, filters, 1, columns)`.

        `windows` has for each first convolution the rows of its table,
        `(items * columns, kernel)`.
        """
        found = self.table(windows[self.number]) + self.bias
        return found.reshape(-1, 1, self.columns, found.shape[1]).permute(0, 3, 1, 2)


class Skipped(nn.Module):  # type: ignore[misc]
    """Adds what enters to what a chain makes of it."""

    def __init__(self, layers: Any, shortcut: Any) -> None:
        super().__init__()
        self.layers, self.shortcut = layers, shortcut

    def forward(self, grids: Any) -> Any:
        """Return the sum."""
        return self.shortcut(grids) + self.layers(grids)


class Joined(nn.Module):  # type: ignore[misc]
    """Puts the maps of several chains beside each other."""

    def __init__(self, branches: Sequence[Any]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, grids: Any) -> Any:
        """Return the maps of all branches."""
        return torch.cat([branch(grids) for branch in self.branches], dim=1)


class PyTorch(Contestant):
    """PyTorch in one of its modes: `eager`, `channels-last` or `compile`.

    Raises:
        RuntimeError: something is to be compiled, and there is no C++ compiler.
    """

    packages = ("torch",)

    def __init__(self, case: Case, threads: int, *, mode: str) -> None:
        super().__init__(case, threads)
        self.compiled, self.mode = mode == "compile", mode
        torch.set_num_threads(threads)
        if self.compiled and not _compiler():
            raise RuntimeError("there is no C++ compiler on this machine")

    def ways(self, task: str) -> Ways:
        """Return both forms of one-hot grids; both orders, or both layouts if compiled."""
        orders = (RECTIFIED_FIRST, POOLED_FIRST) if self._pools() else (RECTIFIED_FIRST,)
        forms = (CONVOLVED, EMBEDDED) if self.case.one_hot else (CONVOLVED,)
        found: dict[str, Callable[[], Way]] = {}
        if not self.compiled:
            last = self.mode == "channels-last"
            for form, order in itertools.product(forms, orders):
                found[f"{form}, {order}"] = partial(self._way, task, form, order, last)
            return found
        freezings = (False,) if task == "train" else (True, False)
        for form, last, freezing in itertools.product(forms, (False, True), freezings):
            names = [form, *["channels last"] * last, *["frozen"] * freezing]
            found[", ".join(names)] = partial(
                self._way, task, form, RECTIFIED_FIRST, last, freezing=freezing
            )
        return found

    def _pools(self) -> bool:
        """Return whether the largest cells are kept anywhere."""
        layers = flatten(self.case.layers)
        return any(isinstance(layer, Pooling) and not layer.mean for layer in layers)

    def _way(self, task: str, form: str, order: str, last: bool, *, freezing: bool = False) -> Way:
        model = self._model(form, order)
        if last:
            model = model.to(memory_format=torch.channels_last)
        inputs = [self._input(batch, form, last=last) for batch in range(self.case.batches)]
        if task == "train":
            return self._training(model, inputs)
        model.eval().requires_grad_(False)
        if self.compiled:
            _set("torch._inductor.config", "freezing", freezing)
            model = _compiled(lambda grids, network=model: network(grids))
        if task == "predict":
            return self._batches(model, inputs)
        return self._items(model, inputs[0], self.case.shape[2] if form == EMBEDDED else 1)

    def _training(self, model: Any, inputs: Sequence[Any]) -> Way:
        targets = [torch.from_numpy(right) for right in self.case.targets]
        values = list(model.parameters())
        start = [value.detach().clone() for value in values]
        optimizer = _quickest_adam(values)
        following = self.turn()

        def loss_of(grids: Any, right: Any) -> Any:
            return nn.functional.cross_entropy(model(grids), right)

        compute = _compiled(loss_of) if self.compiled else loss_of

        def run() -> None:
            batch = following()
            optimizer.zero_grad(set_to_none=True)
            compute(inputs[batch], targets[batch]).backward()
            optimizer.step()

        def answer() -> Answer:
            optimizer.zero_grad(set_to_none=True)
            loss = compute(inputs[0], targets[0])
            loss.backward()
            return {
                "loss": loss.detach().numpy(),
                "gradient": self._flat(model, lambda value: value.grad),
                "parameters": self._flat(model, lambda value: value.detach()),
            }

        def reset() -> None:
            with torch.no_grad():
                for value, first in zip(values, start, strict=True):
                    value.copy_(first)

        return Way(run, answer, reset=reset)

    def _batches(self, model: Any, inputs: Sequence[Any]) -> Way:
        following = self.turn()

        def run() -> None:
            with torch.inference_mode():
                model(inputs[following()])

        def answer() -> Answer:
            with torch.inference_mode():
                return {"logits": model(inputs[0]).numpy()}

        return Way(run, answer)

    def _items(self, model: Any, batch: Any, rows: int) -> Way:
        if isinstance(batch, tuple):
            items: list[Any] = list(zip(*(whole.split(rows) for whole in batch), strict=True))
        else:
            items = [part.clone(memory_format=torch.preserve_format) for part in batch.split(rows)]

        def run() -> None:
            with torch.inference_mode():
                for item in items:
                    model(item)

        def answer() -> Answer:
            with torch.inference_mode():
                return {"logits": np.concatenate([model(item).numpy() for item in items])}

        return Way(run, answer, calls=len(items))

    def _input(self, batch: int, form: str, *, last: bool) -> Any:
        if form == EMBEDDED:
            wanted = [
                self.case.windows(batch, layer.weights[3], layer.borders[1][0])
                for layer in self.case.first_convolutions
            ]
            return tuple(torch.from_numpy(rows.reshape(-1, rows.shape[2])) for rows in wanted)
        grids = torch.from_numpy(self.case.grids(batch))
        return grids.contiguous(memory_format=torch.channels_last) if last else grids

    def _model(self, form: str, order: str) -> Any:
        """Return the network with the case's weights."""
        looked_up = self.case.first_convolutions if form == EMBEDDED else ()
        return self._chain(self.case.layers, order, looked_up)

    def _chain(self, layers: Sequence[Layer], order: str, looked_up: Sequence[Convolution]) -> Any:
        modules: list[Any] = []
        for number, layer in enumerate(layers):
            before = layers[number - 1] if number else None
            if isinstance(layer, Pooling):
                kind = nn.AvgPool2d if layer.mean else nn.MaxPool2d
                pool = kind(layer.window, layer.stride, ceil_mode=any(layer.beyond))
                sooner = order == POOLED_FIRST and not layer.mean
                sooner = sooner and isinstance(before, Rectification)
                modules.insert(len(modules) - sooner, pool)
            elif isinstance(layer, Rectification):
                # In place it is quicker, but what enters a chain may be read by others as well.
                modules.append(nn.ReLU(inplace=before is not None))
            elif isinstance(layer, Convolution):
                if layer in looked_up:
                    modules.append(self._belongs(Lookup(self.case, layer), layer))
                else:
                    modules += self._convolution(layer)
            elif isinstance(layer, Normalization):
                modules.append(self._normalization(layer))
            elif isinstance(layer, Skip):
                inner = self._chain(layer.layers, order, looked_up)
                modules.append(Skipped(inner, self._chain(layer.shortcut, order, looked_up)))
            elif isinstance(layer, Parallel):
                branches = [self._chain(each, order, looked_up) for each in layer.branches]
                modules.append(Joined(branches))
            else:
                if not isinstance(before, Dense):
                    modules.append(nn.Flatten())
                modules += self._dense(layer)
        return nn.Sequential(*modules)

    def _convolution(self, layer: Convolution) -> list[Any]:
        filters, channels, *kernel = layer.weights
        (above, below), (left, right) = layer.borders
        even = above == below and left == right
        module = nn.Conv2d(
            channels * layer.groups,
            filters,
            tuple(kernel),
            layer.stride,
            (above, left) if even else 0,
            groups=layer.groups,
            bias=layer.biased,
        )
        self._fill(module, layer)
        return [module] if even else [nn.ZeroPad2d((left, right, above, below)), module]

    def _normalization(self, layer: Normalization) -> Any:
        module = nn.BatchNorm2d(layer.channels, layer.epsilon, 1 - layer.momentum)
        values = (module.weight, module.bias, module.running_mean, module.running_var)
        with torch.no_grad():
            rows = split_normalization(self.case.parameters, layer)
            for value, row in zip(values, rows, strict=True):
                value.copy_(torch.from_numpy(row))
        return self._belongs(module, layer)

    def _dense(self, layer: Dense) -> list[Any]:
        module = nn.Linear(layer.weights[1], layer.weights[0])
        self._fill(module, layer)
        return [module, nn.ReLU()] if layer.rectified else [module]

    def _fill(self, module: Any, layer: Convolution | Dense) -> None:
        weights, bias = self.case.weights(layer)
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(weights))
            if module.bias is not None:
                module.bias.copy_(torch.from_numpy(bias))
        self._belongs(module, layer)

    def _belongs(self, module: Any, layer: Layer) -> Any:
        module.described_by = layer
        return module

    def _flat(self, model: Any, pick: Callable[[Any], Any]) -> Array:
        """Return what is picked of each parameter, in the order of the case's vector.

        Running means and variances, which Adam does not move, are those of the case.
        """
        vector = np.where(self.case.learned, 0, self.case.parameters)
        for module in model.modules():
            layer = getattr(module, "described_by", None)
            if isinstance(layer, Normalization):
                gain, bias, *_ = split_normalization(vector, layer)
                gain[...], bias[...] = (pick(each).numpy() for each in (module.weight, module.bias))
                continue
            if layer is None:
                continue
            weights, bias = split(vector, layer)
            if module.bias is not None:
                bias[...] = pick(module.bias).numpy()
            if isinstance(module, Lookup):
                weights[...] = window_weights(pick(module.table.weight).numpy(), layer)
            else:
                weights[...] = pick(module.weight).numpy()
        return vector


def _quickest_adam(values: Sequence[Any]) -> Any:
    """Return Adam in the form that moves these parameters most quickly."""
    forms: tuple[dict[str, bool], ...] = ({"fused": True}, {"foreach": True}, {})
    times = [_time_of_adam(values, form) for form in forms]
    return _adam(values, RATE, forms[times.index(min(times))])


def _time_of_adam(values: Sequence[Any], form: dict[str, bool]) -> float:
    optimizer = _adam(values, 0.0, form)  # which moves nothing
    for value in values:
        value.grad = torch.ones_like(value)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        optimizer.step()
        times.append(time.perf_counter() - start)
    optimizer.zero_grad(set_to_none=True)
    return sorted(times)[len(times) // 2]


def _adam(values: Sequence[Any], rate: float, form: dict[str, bool]) -> Any:
    return torch.optim.Adam(values, lr=rate, betas=(BETA1, BETA2), eps=EPSILON, **form)


def _compiled(function: Any) -> Any:
    """Return a function compiled for one shape.

    PyTorch keeps what it has compiled with the function's code, and looks through all of it at each
    call, up to eight; so each way is given code of its own.
    """
    code = function.__code__.replace()
    own = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    _set("torch._dynamo.config", "fail_on_recompile_limit_hit", True)
    return torch.compile(own, dynamic=False)


def _set(module: str, name: str, value: bool) -> None:
    setattr(import_module(module), name, value)


def _compiler() -> str | None:
    """Return the C++ compiler that PyTorch would use, or None."""
    names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    return next(filter(None, (shutil.which(name) for name in names if name)), None)
