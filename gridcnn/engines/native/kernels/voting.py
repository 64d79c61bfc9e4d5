"""The voting head: its layers over all items of a shard, the loss, and the way back.

Each layer reads its weights once for several items, so items are not done one by one here. A
training step keeps the rows of the whole batch: the gradient of the weights is made from them after
the last shard. Made shard by shard, it would take memory as large as the weights for each shard.

    forward     row of values 0 -> layer 0 -> values 1 -> layer 1 -> logits -> loss
    backward    gradient of the input <- gradients 0 <- gradients 1, where the logits were
    reduce      values and gradients of all items -> gradient of weights and bias, layer by layer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from gridcnn.contracts.stage import Stage
from gridcnn.engines.native.emitter import INT, PTR, Number, Value
from gridcnn.engines.native.kernels import loss, matrix
from gridcnn.engines.native.kernels.base import (
    NO_GRADIENT,
    REDUCE_PARTS,
    Area,
    Description,
    Frame,
    HeadKernel,
    Job,
    Site,
    Step,
    part_of,
)
from gridcnn.engines.native.kernels.matrix import Layer
from gridcnn.engines.native.processor import Processor
from gridcnn.engines.native.program import Argument
from gridcnn.network import Op
from gridcnn.stages.voting import IndependentVotes, Votes, VotingLayers


@dataclass(frozen=True)
class VotingLayer:
    """A voting layer, and the names of its parameters; `dropout` is that of its input."""

    layer: Layer
    weights: str
    bias: str
    dropout: float


@dataclass(frozen=True)
class Voting(HeadKernel):
    """The layers of the voting head."""

    stage: ClassVar[type[Stage]] = Votes

    layers: tuple[VotingLayer, ...]

    @classmethod
    def take(cls, op: Op, processor: Processor) -> Self:
        """Return the kernel for a voting head."""
        assert isinstance(op.stage, VotingLayers)
        sizes = op.stage.layers(op.input.cells)
        layers = []
        for number, (name, inputs, outputs) in enumerate(sizes):
            rectified = number < len(sizes) - 1
            # Dropout of the input of the first layer, where it is the only one.
            dropout = op.stage.dropout if number or len(sizes) == 1 else 0.0
            layer = Layer(inputs, outputs, processor.lanes, rectified=rectified)
            layers.append(VotingLayer(layer, f"{name}.weights", f"{name}.bias", dropout))
        return cls(tuple(layers))

    @property
    def weights(self) -> int:
        """How many weights all layers have."""
        return sum(layer.layer.inputs * layer.layer.outputs for layer in self.layers)

    @property
    def dropouts(self) -> Sequence[tuple[int, float]]:
        """How many values dropout multiplies for each item, and its rate, layer after layer."""
        return [(layer.layer.inputs, layer.dropout) for layer in self.layers if layer.dropout]

    @property
    def scales_input(self) -> bool:
        """Whether dropout multiplies the numbers that enter."""
        return bool(self.layers[0].dropout)

    @property
    def parts(self) -> Sequence[int]:
        """The outputs of each layer."""
        return [layer.layer.outputs for layer in self.layers]

    def lay_out(self, site: Site) -> None:
        """Take rows for values and gradients, and workspace for the gradient of the input."""
        for number, each in enumerate(self.layers):
            site.take(Area.ROWS, f"values {number}", each.layer.entering)
        if not site.training:
            site.take(Area.ROWS, "logits", self.layers[-1].layer.leaving)
            return
        for number, each in enumerate(self.layers):
            site.take(Area.ROWS, f"gradients {number}", each.layer.leaving)
        size = site.together * self.layers[0].layer.entering
        site.take(Area.WORKSPACE, "gradient of what enters", size)

    def entry(self, frame: Frame, number: Number, item: Number) -> Value:
        """Return where an item's numbers go."""
        return frame.row("values 0", number, item)

    def entry_factors(self, frame: Frame, item: Value) -> Value:
        """Return the address of the factors of the input; 0 for none."""
        return self._factors(frame, 0, item)

    def entry_gradient(self, frame: Frame, number: Value) -> Value:
        """Return where the gradient of an item's numbers is."""
        place, _ = frame.site.place(Area.WORKSPACE, "gradient of what enters")
        return frame.code.at(frame.workspace, number * self.layers[0].layer.entering + place)

    def _factors(self, frame: Frame, number: int, first: Value) -> Value:
        """Return the factors of the input of a layer, from an item on; 0 for none."""
        if not frame.site.training or not self.layers[number].dropout:
            return Value(frame.code, PTR, "null")
        sizes = [layer.layer.inputs if layer.dropout else 0 for layer in self.layers]
        items = frame.arguments.number(Argument.ITEMS)
        place = items * sum(sizes[:number]) + first * sizes[number]
        return frame.arguments.optional_address(Argument.FACTORS, place)

    # Forward

    def emit_forward(self, site: Site) -> None:
        """Emit `vote<layer>`, see `matrix.forward`."""
        for number, each in enumerate(self.layers):
            matrix.forward(site.module, f"vote{number}", each.layer)

    def _vote(
        self,
        frame: Frame,
        number: int,
        rows: tuple[Value, Value],
        count: Number,
        factors: Value,
        outputs: tuple[Number, Number],
    ) -> None:
        each = self.layers[number]
        weights, bias = frame.parameter(each.weights), frame.parameter(each.bias)
        values, sums = rows
        frame.code.run(f"vote{number}", values, weights, bias, factors, sums, count, *outputs)

    def _rows(self, frame: Frame) -> list[str]:
        """Return the names of the rows before each layer, and behind the last."""
        logits = f"gradients {len(self.layers) - 1}" if frame.site.training else "logits"
        return [*(f"values {number}" for number in range(len(self.layers))), logits]

    def run_forward(self, frame: Frame, first: Value, count: Value) -> None:
        """Emit the logits of some items, for which rows are there."""
        code, names = frame.code, self._rows(frame)
        for number, each in enumerate(self.layers):
            rows = frame.row(names[number], 0, first), frame.row(names[number + 1], 0, first)
            nothing = self._no_factors(frame)
            self._vote(frame, number, rows, count, nothing, (0, each.layer.outputs))
        classes = self.layers[-1].layer.outputs
        # Rows are padded, and the output is not.
        with code.loop(count) as item:
            source = frame.row("logits", item, first)
            target = frame.arguments.address(Argument.OUTPUT, (first + item) * classes)
            code.copy(target, source, classes)

    def run_part(self, frame: Frame, layer: int, part: tuple[Value, Value]) -> None:
        """Emit some outputs of a layer, for one item."""
        values = frame.row(f"values {layer}", 0, 0)
        if layer == len(self.layers) - 1:
            target = frame.arguments.address(Argument.OUTPUT)
        else:
            target = frame.row(f"values {layer + 1}", 0, 0)
        self._vote(frame, layer, (values, target), 1, self._no_factors(frame), part)

    @staticmethod
    def _no_factors(frame: Frame) -> Value:
        return Value(frame.code, PTR, "null")

    # Training

    def emit_backward(self, site: Site) -> None:
        """Emit the loss, and what goes back through the layers."""
        module = site.module
        for number, each in enumerate(self.layers):
            if number or site.step.passes_on:
                matrix.backward(module, f"vote_back{number}", each.layer)
            matrix.by_weights(module, f"vote_weights{number}", each.layer)
            matrix.by_bias(module, f"vote_bias{number}", each.layer)
            if each.layer.rectified:
                matrix.mask_back(module, f"vote_mask{number}", each.layer)
        self._emit_loss(site)
        if self.scales_input:
            matrix.scale(module, "scale", self.layers[0].layer)

    def run_step(self, frame: Frame, first: Value, count: Value) -> None:
        """Emit logits, loss, and gradients back to what entered."""
        code, last = frame.code, len(self.layers) - 1
        values = [frame.row(f"values {number}", 0, first) for number in range(last + 1)]
        flows = [frame.row(f"gradients {number}", 0, first) for number in range(last + 1)]
        for number, each in enumerate(self.layers):
            # The logits are written where their gradient will be.
            target = values[number + 1] if number < last else flows[-1]
            factors = self._no_factors(frame)
            if number < last:
                factors = self._factors(frame, number + 1, first)
            outputs = (0, each.layer.outputs)
            self._vote(frame, number, (values[number], target), count, factors, outputs)
        # A number of the table has 8 bytes, of which this one fills 4.
        factor = code.load(frame.arguments.table, int(Argument.FACTOR) * 2)
        self._run_loss(frame, flows[-1], first, count, factor)
        for number in range(last, -1, -1):
            if not number and not frame.site.step.passes_on:
                break
            place, _ = frame.site.place(Area.WORKSPACE, "gradient of what enters")
            target = flows[number - 1] if number else code.at(frame.workspace, place)
            weights = frame.parameter(self.layers[number].weights)
            code.run(f"vote_back{number}", flows[number], weights, target, count)
            factors = self._factors(frame, number, first)
            if number:
                code.run(f"vote_mask{number - 1}", values[number], factors, target, count)
            elif self.scales_input:
                code.run("scale", factors, target, count)

    def _emit_loss(self, site: Site) -> None:
        """Emit the functions that `_run_loss` calls."""
        classes = self.layers[-1].layer.outputs
        loss.loss(site.module, "loss", classes)
        loss.soft_loss(site.module, "soft_loss", classes)

    def _run_loss(
        self, frame: Frame, logits: Value, first: Value, count: Value, factor: Value
    ) -> None:
        """Emit the gradient of the loss in place of the logits, times `factor`."""
        code = frame.code
        targets = code.at(frame.arguments.address(Argument.TARGETS), first, INT)
        results = frame.arguments.address(Argument.RESULTS, first * 3)
        classes = self.layers[-1].layer.outputs
        soft = frame.arguments.optional_address(Argument.SOFT_TARGETS, first * classes)
        address = code.cast("ptrtoint", soft, INT)
        with code.when(code.test("eq", address, 0)):
            code.run("loss", logits, targets, results, count, factor)
        with code.when(code.test("ne", address, 0)):
            code.run("soft_loss", logits, targets, soft, results, count, factor)

    def reduce(self, site: Site) -> list[Job]:
        """Return the jobs that make the gradient of weights and bias, over the whole batch."""
        return [self._reduce(number) for number in range(len(self.layers))]

    def _reduce(self, number: int) -> Job:
        each = self.layers[number]
        layer = each.layer
        vectors = -(-layer.inputs // layer.lanes)
        parts = min(vectors, REDUCE_PARTS)

        def emit(frame: Frame, part: Value) -> None:
            code = frame.code
            items = frame.arguments.number(Argument.ITEMS)
            # Whole vectors of inputs, so that no two tasks write into the same one.
            first, end = part_of(code, part, vectors, parts)
            values = frame.row(f"values {number}", 0, 0)
            flow = frame.row(f"gradients {number}", 0, 0)
            code.run(
                f"vote_weights{number}",
                values,
                flow,
                frame.gradient(each.weights),
                items,
                first * layer.lanes,
                code.least(end * layer.lanes, layer.inputs),
            )
            with code.when(code.test("eq", part, 0)):
                code.run(f"vote_bias{number}", flow, frame.gradient(each.bias), items)

        return Job(parts, emit)

    # Describing

    def describe(self, step: Step[Any], processor: Processor) -> Description:
        """Return what the plan says of the head."""
        notes = [
            f"{layer.layer.inputs:,} values to {layer.layer.outputs:,} votes, in vectors of "
            f"{layer.layer.lanes} values"
            + (f", dropout {layer.dropout:g}" if layer.dropout else "")
            for layer in self.layers
        ]
        notes.append("gradient of the weights, over the whole batch after the last shard")
        if not step.passes_on:
            notes.append(f"gradient of the grid, {NO_GRADIENT}")
        layers = [
            {"inputs": each.layer.inputs, "outputs": each.layer.outputs, "lanes": each.layer.lanes}
            for each in self.layers
        ]
        return Description("matrix product", tuple(notes), {"layers": layers})


@dataclass(frozen=True)
class IndependentVoting(Voting):
    """The layers of the voting head for items with several labels."""

    stage = IndependentVotes

    def _emit_loss(self, site: Site) -> None:
        loss.label_loss(site.module, "label_loss", self.layers[-1].layer.outputs)

    def _run_loss(
        self, frame: Frame, logits: Value, first: Value, count: Value, factor: Value
    ) -> None:
        labels = self.layers[-1].layer.outputs
        wanted = frame.arguments.address(Argument.SOFT_TARGETS, first * (2 * labels))
        output = frame.arguments.address(Argument.OUTPUT, first * labels)
        frame.code.run("label_loss", logits, wanted, output, count, factor)
