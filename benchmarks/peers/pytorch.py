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
    Pooling,
    split,
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
        self.table = nn.EmbeddingBag.from_pretrained(
            table, freeze=False, mode="sum", padding_idx=len(table) - 1
        )
        self.bias = nn.Parameter(torch.from_numpy(case.weights(layer)[1].copy()))

    def forward(self, windows: Any) -> Any:
        """Return the maps `(items, filters, 1, columns)` of `(items * columns, kernel)`."""
        found = self.table(windows) + self.bias
        return found.reshape(-1, 1, self.columns, found.shape[1]).permute(0, 3, 1, 2)


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
        forms = (CONVOLVED, EMBEDDED) if self.case.one_hot else (CONVOLVED,)
        found: dict[str, Callable[[], Way]] = {}
        if not self.compiled:
            last = self.mode == "channels-last"
            for form, order in itertools.product(forms, (RECTIFIED_FIRST, POOLED_FIRST)):
                found[f"{form}, {order}"] = partial(self._way, task, form, order, last)
            return found
        freezings = (False,) if task == "train" else (True, False)
        for form, last, freezing in itertools.product(forms, (False, True), freezings):
            names = [form, *["channels last"] * last, *["frozen"] * freezing]
            found[", ".join(names)] = partial(
                self._way, task, form, RECTIFIED_FIRST, last, freezing=freezing
            )
        return found

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
            layer = self.case.layers[0]
            assert isinstance(layer, Convolution)
            windows = self.case.windows(batch, layer.weights[3], layer.borders[1][0])
            return torch.from_numpy(windows.reshape(-1, windows.shape[2]))
        grids = torch.from_numpy(self.case.grids(batch))
        return grids.contiguous(memory_format=torch.channels_last) if last else grids

    def _model(self, form: str, order: str) -> Any:
        """Return the network with the case's weights."""
        modules: list[Any] = []
        for number, layer in enumerate(self.case.layers):
            if isinstance(layer, Pooling):
                pool = nn.MaxPool2d(layer.window, layer.stride, ceil_mode=any(layer.beyond))
                modules.insert(len(modules) - (order == POOLED_FIRST), pool)
            elif isinstance(layer, Convolution):
                looked_up = number == 0 and form == EMBEDDED
                modules += [Lookup(self.case, layer)] if looked_up else self._convolution(layer)
                modules.append(nn.ReLU())
            else:
                if not isinstance(self.case.layers[number - 1], Dense):
                    modules.append(nn.Flatten())
                modules += self._dense(layer)
        return nn.Sequential(*modules)

    def _convolution(self, layer: Convolution) -> list[Any]:
        filters, channels, *kernel = layer.weights
        (above, below), (left, right) = layer.borders
        even = above == below and left == right
        module = nn.Conv2d(
            channels, filters, tuple(kernel), layer.stride, (above, left) if even else 0
        )
        self._fill(module, layer)
        return [module] if even else [nn.ZeroPad2d((left, right, above, below)), module]

    def _dense(self, layer: Dense) -> list[Any]:
        module = nn.Linear(layer.weights[1], layer.weights[0])
        self._fill(module, layer)
        return [module, nn.ReLU()] if layer.rectified else [module]

    def _fill(self, module: Any, layer: Convolution | Dense) -> None:
        weights, bias = self.case.weights(layer)
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(weights))
            module.bias.copy_(torch.from_numpy(bias))

    def _flat(self, model: Any, pick: Callable[[Any], Any]) -> Array:
        """Return what is picked of each parameter, in the order of the case's vector."""
        vector = np.zeros_like(self.case.parameters)
        layers = [layer for layer in self.case.layers if not isinstance(layer, Pooling)]
        modules = [module for module in model if isinstance(module, Lookup | nn.Conv2d | nn.Linear)]
        for layer, module in zip(layers, modules, strict=True):
            weights, bias = split(vector, layer)
            bias[...] = pick(module.bias).numpy()
            if isinstance(module, Lookup):
                assert isinstance(layer, Convolution)
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
