"""ONNX Runtime and OpenVINO, which only predict: both read the same ONNX model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.peers.base import Answer, Contestant, Way, Ways, window_table
from benchmarks.peers.case import (
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
    split_normalization,
)

helper: Any = import_module("onnx.helper")
numbers: Any = import_module("onnx.numpy_helper")
kinds: Any = import_module("onnx").TensorProto

OPERATORS, LAYOUT = 17, 8
"""The versions of ONNX's operators and files; every runtime of the last years reads them."""
CONVOLVED, GATHERED = "convolution", "gather"


class Graph:
    """A case as an ONNX model of a fixed number of items.

    Args:
        case: what is computed.
        items: how many of it at a time.
        form: whether one-hot first layers multiply grids, or look symbols up: of each of them and
            each place in its kernel, `(items, columns)` whole numbers name the rows of a table.
    """

    def __init__(self, case: Case, items: int, form: str) -> None:
        self.case = case
        self.items = items
        self.outputs = 0
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.looked_up = case.first_convolutions if form == GATHERED else ()
        shapes, kind = [[items, *case.shape]], kinds.FLOAT
        if form == GATHERED:
            shapes = [[layer.weights[3], items, case.shape[2]] for layer in self.looked_up]
            kind = kinds.INT64
        self.inputs = [
            helper.make_tensor_value_info(input_name(number), kind, shape)
            for number, shape in enumerate(shapes)
        ]
        self.last = input_name(0)
        self._chain(case.layers)

    def _chain(self, layers: Sequence[Layer]) -> None:
        following = iter(enumerate(layers))
        for number, layer in following:
            if isinstance(layer, Pooling):
                self._pool(layer)
            elif isinstance(layer, Rectification):
                self._node("Relu", self.last)
            elif isinstance(layer, Normalization):
                self._normalize(layer)
            elif isinstance(layer, Dense):
                if not isinstance(layers[number - 1], Dense):
                    self._node("Flatten", self.last)
                self._dense(layer)
            elif isinstance(layer, Skip):
                self._skip(layer)
            elif isinstance(layer, Parallel):
                self._branch(layer)
            elif layer in self.looked_up:
                assert isinstance(layers[1], Rectification)
                pooled = layers[2] if len(layers) > 2 else None
                if isinstance(pooled, Pooling) and not pooled.mean:
                    next(following)
                else:
                    pooled = None
                self._gather(layer, pooled)
                next(following)
            else:
                self._convolve(layer)

    def _skip(self, layer: Skip) -> None:
        entered = self.last
        self._chain(layer.layers)
        made, self.last = self.last, entered
        self._chain(layer.shortcut)
        self._node("Add", self.last, made)

    def _branch(self, layer: Parallel) -> None:
        entered, ends = self.last, []
        for branch in layer.branches:
            self.last = entered
            self._chain(branch)
            ends.append(self.last)
        self._node("Concat", *ends, axis=1)

    def model(self) -> bytes:
        """Return the model as its file's content."""
        shape = [self.items, self.outputs]
        output = helper.make_tensor_value_info(self.last, kinds.FLOAT, shape)
        graph = helper.make_graph(self.nodes, self.case.name, self.inputs, [output], self.constants)
        opsets = [helper.make_opsetid("", OPERATORS)]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=LAYOUT)
        return bytes(made.SerializeToString())

    def _constant(self, kind: str, array: Array) -> str:
        name = f"{kind}{len(self.constants)}"
        self.constants.append(numbers.from_array(np.asarray(array, order="C"), name))
        return name

    def _node(self, operator: str, *inputs: str, **settings: Any) -> None:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, **settings))
        self.last = name

    def _convolve(self, layer: Convolution) -> None:
        weights, bias = self.case.weights(layer)
        (above, below), (left, right) = layer.borders
        constants = [self._constant("weights", weights)]
        constants += [self._constant("bias", bias)] if layer.biased else []
        self._node(
            "Conv",
            self.last,
            *constants,
            kernel_shape=layer.weights[2:],
            strides=layer.stride,
            pads=[above, left, below, right],
            group=layer.groups,
        )

    def _normalize(self, layer: Normalization) -> None:
        rows = split_normalization(self.case.parameters, layer)
        names = ("gain", "bias", "mean", "variance")
        constants = [self._constant(name, row) for name, row in zip(names, rows, strict=True)]
        self._node("BatchNormalization", self.last, *constants, epsilon=layer.epsilon)

    def _gather(self, layer: Convolution, pooled: Pooling | None) -> None:
        """Look symbols up, and pool; the filters stay last until as little as possible is left."""
        rows = input_name(self.looked_up.index(layer))
        table = self._constant("table", window_table(self.case, layer))
        sums = []
        for place in range(layer.weights[3]):
            axis = self._constant("place", np.array(place))
            self._node("Gather", rows, axis, axis=0)
            self._node("Gather", table, self.last, axis=0)
            sums.append(self.last)
        self._node("Sum", *sums, self._constant("bias", self.case.weights(layer)[1]))
        self._node("Unsqueeze", self.last, self._constant("rows", np.array([1])))
        if pooled is not None:  # columns stand where rows are, and filters where columns are
            window, stride, beyond = pooled.window[1], pooled.stride[1], pooled.beyond[1]
            self._pool(Pooling((window, 1), (stride, 1), (beyond, 0)))
        self._node("Relu", self.last)
        self._node("Transpose", self.last, perm=[0, 3, 1, 2])

    def _pool(self, layer: Pooling) -> None:
        self._node(
            "AveragePool" if layer.mean else "MaxPool",
            self.last,
            kernel_shape=layer.window,
            strides=layer.stride,
            pads=[0, 0, *layer.beyond],
        )

    def _dense(self, layer: Dense) -> None:
        weights, bias = self.case.weights(layer)
        self._node(
            "Gemm",
            self.last,
            self._constant("weights", weights),
            self._constant("bias", bias),
            transB=1,
        )
        self.outputs = layer.weights[0]
        if layer.rectified:
            self._node("Relu", self.last)


def input_name(number: int) -> str:
    """Return what an input of the graph is called."""
    return f"grids{number}"


class Runtime(Contestant):
    """What both runtimes have in common: the forms of a model, and its inputs."""

    def forms(self) -> tuple[str, ...]:
        """Return the forms of the first layer."""
        return (CONVOLVED, GATHERED) if self.case.one_hot else (CONVOLVED,)

    def inputs(self, form: str, batch: int) -> list[Array]:
        """Return the inputs of a batch; gathered, each is `(kernel, items, columns)`."""
        if form == CONVOLVED:
            return [self.case.grids(batch)]
        wanted = [
            self.case.windows(batch, layer.weights[3], layer.borders[1][0])
            for layer in self.case.first_convolutions
        ]
        return [np.ascontiguousarray(windows.transpose(2, 0, 1)) for windows in wanted]

    def parts(self, form: str, batch: int, count: int) -> list[list[Array]]:
        """Return the inputs of a batch as those of `count` equal parts of it."""
        axis = 1 if form == GATHERED else 0
        parts = [np.split(whole, count, axis) for whole in self.inputs(form, batch)]
        return [[np.ascontiguousarray(each) for each in part] for part in zip(*parts, strict=True)]

    def items(self, form: str) -> list[list[Array]]:
        """Return the inputs of the first batch's items, one by one."""
        return self.parts(form, 0, self.case.items)

    def votes(self) -> tuple[int]:
        """Return the shape of an item's votes."""
        last = self.case.layers[-1]
        assert isinstance(last, Dense)
        return (last.weights[0],)

    def threadings(self, task: str) -> tuple[int, ...]:
        """Return how many threads to try; for one item fewer may be quicker."""
        return (self.threads, 1) if task == "one" and self.threads > 1 else (self.threads,)


class OnnxRuntime(Runtime):
    """ONNX Runtime with its usual optimizations."""

    packages = ("onnxruntime", "onnx")

    def ways(self, task: str) -> Ways:
        """Return both forms of one-hot grids; one item also with one thread, and with binding."""
        found: dict[str, Callable[[], Way]] = {}
        bindings = (False, True) if task == "one" else (False,)
        for form, threads, bound in itertools.product(
            self.forms(), self.threadings(task), bindings
        ):
            names = [form, _of(threads, "thread"), *["bound"] * bound]
            make = partial(self._bound, form) if bound else partial(self._plain, task, form)
            found[", ".join(names)] = partial(make, threads)
        return found

    def _session(self, form: str, items: int, threads: int) -> Any:
        runtime: Any = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return runtime.InferenceSession(
            Graph(self.case, items, form).model(), options, providers=["CPUExecutionProvider"]
        )

    def _plain(self, task: str, form: str, threads: int) -> Way:
        one = task == "one"
        session = self._session(form, 1 if one else self.case.items, threads)
        if not one:
            feeds = [_named(self.inputs(form, batch)) for batch in range(self.case.batches)]
            following = self.turn()
            return Way(
                lambda: session.run(None, feeds[following()]),
                lambda: {"logits": session.run(None, feeds[0])[0]},
            )
        singles = [_named(item) for item in self.items(form)]

        def run() -> None:
            for single in singles:
                session.run(None, single)

        def answer() -> Answer:
            return {"logits": np.concatenate([session.run(None, each)[0] for each in singles])}

        return Way(run, answer, calls=len(singles))

    def _bound(self, form: str, threads: int) -> Way:
        """Return the way that copies each item to where the session reads it."""
        runtime: Any = import_module("onnxruntime")
        session = self._session(form, 1, threads)
        items = self.items(form)
        cells = [np.empty_like(each) for each in items[0]]
        binding = session.io_binding()
        kept = [runtime.OrtValue.ortvalue_from_numpy(array) for array in cells]
        for number, each in enumerate(kept):
            binding.bind_ortvalue_input(input_name(number), each)
        out = runtime.OrtValue.ortvalue_from_numpy(np.empty((1, *self.votes()), np.float32))
        binding.bind_ortvalue_output(session.get_outputs()[0].name, out)

        def one(item: list[Array]) -> Array:
            for into, each in zip(cells, item, strict=True):
                np.copyto(into, each)
            session.run_with_iobinding(binding)
            found: Array = out.numpy()
            return found

        def run() -> None:
            for item in items:
                one(item)

        def answer() -> Answer:
            return {"logits": np.concatenate([one(item).copy() for item in items])}

        return Way(run, answer, calls=len(items))


class OpenVino(Runtime):
    """OpenVINO's CPU device, in float32."""

    packages = ("openvino", "onnx")

    def ways(self, task: str) -> Ways:
        """Return both forms; a batch at once, or as many parts of it as there are threads."""
        found: dict[str, Callable[[], Way]] = {}
        for form, threads in itertools.product(self.forms(), self.threadings(task)):
            make = self._items if task == "one" else self._batches
            found[f"{form}, {_of(threads, 'thread')}"] = partial(make, form, threads)
            if task == "predict" and threads > 1 and self.case.items % threads == 0:
                found[f"{form}, {_of(threads, 'stream')}"] = partial(self._parts, form, threads)
        return found

    def _compiled(self, form: str, items: int, threads: int, streams: int) -> Any:
        core = import_module("openvino").Core()
        model = core.read_model(Graph(self.case, items, form).model())
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            "PERFORMANCE_HINT": "LATENCY" if streams == 1 else "THROUGHPUT",
            # On processors that have it, OpenVINO would compute in bfloat16.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        return core.compile_model(model, "CPU", settings)

    def _batches(self, form: str, threads: int) -> Way:
        request = self._compiled(form, self.case.items, threads, 1).create_infer_request()
        inputs = [self.inputs(form, batch) for batch in range(self.case.batches)]
        following = self.turn()

        def votes(batch: int) -> Array:
            found: Array = request.infer(inputs[batch], share_inputs=True, share_outputs=True)[0]
            return found

        return Way(lambda: votes(following()), lambda: {"logits": votes(0).copy()})

    def _parts(self, form: str, streams: int) -> Way:
        size = self.case.items // streams
        compiled = self._compiled(form, size, self.threads, streams)
        requests = [compiled.create_infer_request() for _ in range(streams)]
        inputs = [self.parts(form, batch, streams) for batch in range(self.case.batches)]
        following = self.turn()

        def votes(batch: int) -> list[Array]:
            for request, part in zip(requests, inputs[batch], strict=True):
                request.start_async(part, share_inputs=True)
            for request in requests:
                request.wait()
            return [request.get_output_tensor().data for request in requests]

        return Way(lambda: votes(following()), lambda: {"logits": np.concatenate(votes(0))})

    def _items(self, form: str, threads: int) -> Way:
        request = self._compiled(form, 1, threads, 1).create_infer_request()
        items = self.items(form)

        def votes(item: list[Array]) -> Array:
            found: Array = request.infer(item, share_inputs=True, share_outputs=True)[0]
            return found

        def run() -> None:
            for item in items:
                votes(item)

        def answer() -> Answer:
            return {"logits": np.concatenate([votes(item).copy() for item in items])}

        return Way(run, answer, calls=len(items))


def _named(inputs: Sequence[Array]) -> dict[str, Array]:
    return {input_name(number): array for number, array in enumerate(inputs)}


def _of(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count > 1)}"
