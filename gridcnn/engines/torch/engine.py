"""The PyTorch engine: one network on a graphics card, or on the processor.

Grids, parameters and targets are sent to the device; the gradient comes back as one flat vector.
On the way there is nothing that waits for the device, so that it computes while Python prepares
the next operation:

    processor   grids, parameters ->                                    -> gradient, logits
    device                           forward -> loss's slope -> backward

Losses and hits are then counted from the logits, by the head's own arithmetic.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gridcnn.contracts.stage import HeadStage
from gridcnn.contracts.targets import SoftTargets, Targets, check_weights
from gridcnn.cores import usable_cores
from gridcnn.engines.base import (
    Engine,
    EngineChoice,
    Memory,
    PlanDescription,
    PlanPart,
    StepResult,
    generators,
    take_running,
)
from gridcnn.engines.kept import KeptCells, sent_form
from gridcnn.engines.native.moves import move
from gridcnn.engines.native.processor import processor
from gridcnn.engines.torch.device import find_device
from gridcnn.engines.torch.losses import slopes_of
from gridcnn.engines.torch.stages import Pass, compute, is_known
from gridcnn.grid import Array, Cells, OneHot
from gridcnn.network import GROUP, Network, groups_of

_ROUND_BYTES = {"cpu": 2**28, "cuda": 2**32}
"""About how many bytes of values a round of items has; more are done in rounds."""


class TorchEngine(Engine):
    """Computes with PyTorch, in float32, or in bfloat16 where PyTorch's autocast allows it.

    Args:
        network: the network to compute.
        threads: the most threads on the processor; None leaves PyTorch's own number.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; None: the first graphics card, or else `cpu`.
        precision: `float32` or `bfloat16`.

    Raises:
        EngineError: there is no such device here, or it cannot compute in this precision.
    """

    name = "torch"
    same_bits = False

    def __init__(
        self,
        network: Network,
        *,
        threads: int | None = None,
        device: str | None = None,
        precision: str = "float32",
    ) -> None:
        super().__init__(network, threads=threads)
        self.device = find_device(device, precision)
        self.precision = precision
        # A checkpoint goes on in its precision, and on any device.
        self.name = str(EngineChoice("torch", precision=precision))
        self._sizes = [slot.parameter.size for op in network.ops for slot in op.slots]

    @property
    def workers(self) -> int | None:
        """The most threads on the processor; None on a graphics card."""
        return (self.threads or int(torch.get_num_threads())) if self.device == "cpu" else None

    def plan(self) -> PlanDescription:
        """Return the stages one by one, and on which device they are computed."""
        parts = tuple(
            PlanPart(
                (op.label,),
                "PyTorch" if is_known(op) else "reference arithmetic, on the processor",
            )
            for op in self.network.ops
        )
        where = self.device if self.device == "cpu" else f"{self.device} ({_name(self.device)})"
        facts = {"device": self.device, "precision": self.precision, "torch": torch.__version__}
        notes = (f"on {where}, in {self.precision}, with PyTorch {torch.__version__}",)
        return PlanDescription(self.name, self.workers, parts, notes, facts)

    def memory(self, batch_size: int) -> Memory:
        """Return what batches of so many items take on the processor, or on the card."""
        together = min(batch_size, self._items_together)
        forward = self._item_bytes * together
        answers = 4 * self.network.output.cells * batch_size
        return Memory(2 * forward + 12 * self.network.parameters, forward + answers)

    def maps(self, parameters: Array, grids: Cells, *, after: int | None = None) -> Array:
        """Return the grids after an operation."""
        stop = self.network.result if after is None else after + 1
        out = np.empty((len(grids), *self.network.values[stop].sizes), parameters.dtype)
        if not stop:
            out[...] = np.asarray(grids)
            return out
        with self._working(), torch.no_grad():
            weights = self._split(_sent(parameters, self.device))
            for part in _rounds(len(grids), self._items_together):
                values = self._enter(grids[part], parameters)
                made = self._forward(stop, values, weights, Pass(len(values)))
                out[part] = made.to("cpu", _torch_type(parameters)).numpy()
        return out

    def step(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        *,
        weights: Array | None = None,
        random: np.random.Generator | None = None,
    ) -> StepResult:
        """Return loss and gradient of a batch, done in rounds."""
        items = len(grids)
        targets = self.head.check_targets(targets, items=items, classes=self.network.output.cells)
        if weights is not None:
            weights = check_weights(weights, items=items)
        if not items:
            return StepResult(0.0, 0, np.zeros_like(parameters))
        gradient, logits = self._sum_all(parameters, grids, targets, weights, random)
        loss, hits = _count(self.head, logits, targets, weights)
        gradient /= items
        for slot in (slot for op in self.network.ops for slot in op.slots):
            if slot.parameter.role == "fixed":
                gradient[slot.part] = 0
        running = take_running(self.network, parameters, gradient)
        return StepResult(loss / items, hits, gradient, running)

    def _sum_all(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        weights: Array | None,
        random: np.random.Generator | None,
    ) -> tuple[Array, Array]:
        """Return the sum of the gradients of a batch, and the logits of its items.

        There is at least one item, and what is given is sound. The caller may write to the sum.
        """
        chances = generators(self.network, random)
        total, logits = self.sum_up(parameters, grids, targets, weights, chances)
        flat: Array = np.array(total.cpu().numpy(), parameters.dtype.newbyteorder("="))
        return flat, np.concatenate([part.cpu().numpy() for part in logits])

    def sum_up(
        self,
        parameters: Array,
        grids: Cells,
        targets: Targets | SoftTargets,
        weights: Array | None,
        chances: Sequence[np.random.Generator | None],
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the sum of the items' gradients, on the device, and the logits of each round.

        The device may still be at work. There is at least one item, and what is given is sound.
        """
        gradient: Tensor | None = None
        logits = []
        with self._working():
            vector = _sent(parameters, self.device).requires_grad_()
            for part in self._training_rounds(len(grids)):
                wanted = (targets[part], None if weights is None else weights[part])
                values = self._enter(grids[part], parameters)
                run = Pass(len(values), training=True, chances=chances)
                found, slopes = self._learn(vector, values, wanted, run)
                gradient = slopes if gradient is None else gradient + slopes
                logits.append(found)
        assert gradient is not None
        return gradient, logits

    def keep(self, cells: Cells, *, learns: bool) -> Cells:  # noqa: ARG002
        """Return the same grids, sent to the card once, if they take at most half of its memory."""
        array = sent_form(cells)
        if array is None or not 0 < array.nbytes <= _room(self.device):
            return cells
        # Not by way of memory that is not paged: PyTorch would not give that back.
        sent = _tensor(array).to(self.device)
        if sent.ndim == 4:  # as the stages want it
            sent = sent.contiguous(memory_format=torch.channels_last)
        return KeptCells(cells, sent)  # type: ignore[return-value]

    def move(self, name: str, vectors: Sequence[Array], numbers: Sequence[float]) -> bool:
        """Do the optimizer's step on the processor, with the native engine's code."""
        return move(name, vectors, numbers, processor(), self.threads or usable_cores())

    def settle(self) -> None:
        """Give back the card's memory that is not in use."""
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    # One pass

    def _forward(self, stop: int, grids: Tensor, weights: Sequence[Tensor], run: Pass) -> Tensor:
        """Return the value with the number `stop`; others are freed as soon as they can be."""
        values, start = {0: grids}, 0
        for number, op in enumerate(self.network.ops[:stop]):
            own = {
                slot.parameter.name: flat.view(slot.parameter.shape)
                for slot, flat in zip(op.slots, weights[start:], strict=False)
            }
            start += len(op.slots)
            sources = [values[source] for source in op.sources]
            for source in set(op.sources):
                if self.network.last_readers[source] == number and source != stop:
                    del values[source]
            values[op.target] = compute(op, sources, own, run)
        return values[stop]

    def _learn(
        self,
        vector: Tensor,
        grids: Tensor,
        wanted: tuple[Targets | SoftTargets, Array | None],
        run: Pass,
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of a round, and the gradient of the sum of its losses."""
        out = self._forward(self.network.result, grids, self._split(vector), run)
        logits = out.reshape(run.items, -1)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        flow = self._slopes(logits.detach(), *wanted)
        gradient = torch.zeros_like(vector, requires_grad=False)
        if logits.requires_grad:  # there may be no parameters at all
            (slopes,) = torch.autograd.grad(logits, vector, flow, allow_unused=True)
            gradient = gradient if slopes is None else slopes.clone()
        for op in self.network.ops:
            for slot in op.slots:
                if slot.start in run.foreign:
                    gradient[slot.part] = torch.from_numpy(run.foreign[slot.start]).to(gradient)
                elif slot.parameter.role == "running" and slot.start in run.observed:
                    gradient[slot.part] = run.observed[slot.start].to(gradient.dtype)
        return logits.detach(), gradient

    def _slopes(
        self, logits: Tensor, targets: Targets | SoftTargets, counts: Array | None
    ) -> Tensor:
        """Return the gradient of the items' losses by their logits, each times its weight."""
        slopes = slopes_of(self.head, logits, targets)
        if counts is None:
            return slopes
        return slopes * _sent(counts, self.device).to(logits.dtype)[:, None]

    def _split(self, vector: Tensor) -> Sequence[Tensor]:
        """Return the parameters one by one, in their order."""
        # One split: a slice for each would write the whole gradient once for each.
        return torch.split(vector, self._sizes) if self._sizes else ()

    def _enter(self, grids: Cells, parameters: Array) -> Tensor:
        """Return grids as a tensor on the device, channels last."""
        kind = _torch_type(parameters)
        held: Any = grids
        if isinstance(held, KeptCells):
            values = held.sent.index_select(0, _sent(held.items, self.device))
            values = values.to(kind) if held.rows is None else _unfold(values, held.rows, kind)
        elif isinstance(grids, OneHot):
            # The indices are a small part of the cells, and the cells are made on the device.
            values = _unfold(_sent(grids.indices, self.device), grids.rows, kind)
        else:
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
                cells = np.ascontiguousarray(grids, parameters.dtype.newbyteorder("="))
            values = _sent(cells, self.device)
        if values.shape[1:] != self.network.shape.sizes:
            raise ValueError(
                f"grids of {self.network.shape} were expected; got an array {tuple(values.shape)}"
            )
        return values.contiguous(memory_format=torch.channels_last)

    @property
    def _items_together(self) -> int:
        """How many items are worked on at a time."""
        most = _ROUND_BYTES.get(self.device.partition(":")[0], 2**30)
        return max(GROUP, most // max(2 * self._item_bytes, 1))

    @property
    def _item_bytes(self) -> int:
        """Bytes of all values of one item; PyTorch lays no patches side by side."""
        return 4 * sum(shape.cells for shape in self.network.values)

    def _training_rounds(self, items: int) -> Iterator[slice]:
        """Yield the rounds of a step; a group of items that are mixed is in one of them."""
        together = self._items_together
        if not self.network.mixes_items or items <= together:
            yield from _rounds(items, together)
            return
        # A group alone is a group again; several might be divided in another way.
        yield from groups_of(items)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """Compute in the precision that is asked for, with the threads that are allowed."""
        before = int(torch.get_num_threads())
        changes = self.device == "cpu" and self.threads not in (None, before)
        if changes:
            torch.set_num_threads(self.threads)
        kind = self.device.partition(":")[0]
        try:
            if self.precision == "bfloat16":
                with torch.autocast(kind, torch.bfloat16):
                    yield
            else:
                yield
        finally:
            if changes:
                torch.set_num_threads(before)


def _count(
    head: HeadStage, logits: Array, targets: Targets | SoftTargets, weights: Array | None
) -> tuple[float, int]:
    """Return the sum of the losses, and how many answers are right."""
    with np.errstate(over="ignore", invalid="ignore"):
        losses, _ = head.losses(logits, targets)
        losses = losses if weights is None else losses * weights
        return float(losses.sum(dtype=np.float64)), int(head.hits(logits, targets).sum())


def _tensor(array: Any) -> Tensor:
    """Return NumPy's numbers as a tensor on the processor, in the same memory if that can be."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    # PyTorch warns of memory that it must not write to, and refuses strides below 0, which an array
    # of a single item may have.
    if not array.flags.writeable or min(array.strides, default=0) < 0:
        array = array.copy()
    return torch.from_numpy(array)


def _sent(array: Any, device: str) -> Tensor:
    """Return NumPy's numbers as a tensor on the device; on the processor in the same memory.

    To a graphics card they go by way of memory that is not paged, and nobody waits for them.
    """
    tensor = _tensor(array)
    if device.startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _unfold(indices: Tensor, rows: int, kind: Any) -> Tensor:
    """Return one-hot grids `(items, 1, rows, columns)` of their indices `(items, columns)`."""
    numbers = torch.arange(rows, device=indices.device, dtype=indices.dtype)
    return (indices[:, None, None, :] == numbers[:, None]).to(kind)


def _room(device: str) -> int:
    """Return how many bytes of grids may be kept on a device; none where they are already."""
    if not device.startswith("cuda"):
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) // 2


def _torch_type(parameters: Array) -> Any:
    return torch.float64 if parameters.dtype == np.float64 else torch.float32


def _rounds(items: int, together: int) -> Iterator[slice]:
    for start in range(0, items, together):
        yield slice(start, min(start + together, items))


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
