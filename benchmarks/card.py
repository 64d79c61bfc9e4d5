"""The torch engine on a graphics card, against plain PyTorch there and the native engine here.

    python -m benchmarks.card [--device cuda] [--precision NAME] [--only NAME ...] [--rounds N]

For each network: training steps and votes of a batch, in items per second, with the batches sent to
the card each time, as training does. The three take turns, round after round, so that what slows
the machine slows all of them; medians are printed. The ratios are those to plain PyTorch, which is
asked to be 0.95 at least, and to the native engine: above 1 the card pays. `--device cpu` shows
that everything runs, on a machine without a card.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.peers.case import BETA1, BETA2, EPSILON, RATE, Case
from benchmarks.peers.ours import SYMBOLS, Ours
from benchmarks.peers.pytorch import CONVOLVED, RECTIFIED_FIRST, PyTorch
from benchmarks.workloads import WORKLOADS
from gridcnn.cores import usable_cores
from gridcnn.engines.base import choose_engine
from gridcnn.engines.torch.device import find_device

torch: Any = import_module("torch")

NETWORKS = ("fashion", "resnet", "text")
ENGINE, PLAIN, HOST = "torch engine", "plain PyTorch", "native engine"
TASKS = ("train", "predict")
_SECONDS = 0.5  # of each contestant in each round
_WARM_UP = 5  # calls; the first ones choose algorithms and compile


def plain(case: Case, task: str, device: str, precision: str) -> Callable[[], object]:
    """Return what does a task once with the same network in plain PyTorch, channels last."""
    model = PyTorch(case, usable_cores(), mode="channels-last")._model(CONVOLVED, RECTIFIED_FIRST)
    model = model.to(device).to(memory_format=torch.channels_last)
    on_card = device.startswith("cuda")
    batches = [torch.from_numpy(case.grids(number)) for number in range(case.batches)]
    batches = [batch.pin_memory() if on_card else batch for batch in batches]
    targets = [torch.from_numpy(right).to(device) for right in case.targets]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=RATE, betas=(BETA1, BETA2), eps=EPSILON, fused=True
    )
    kind = device.partition(":")[0]

    def sent(number: int) -> Any:
        grids = batches[number].to(device, non_blocking=True)
        return grids.contiguous(memory_format=torch.channels_last)

    def train(number: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(sent(number)).float(), targets[number])
        loss.backward()
        optimizer.step()
        loss.item()  # what a training loop prints

    def predict(number: int) -> None:
        with torch.inference_mode():
            model(sent(number)).float().cpu()

    count = -1

    def run() -> None:
        nonlocal count
        count = (count + 1) % case.batches
        with torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"):
            (train if task == "train" else predict)(count)

    return run


def contestants(
    case: Case, task: str, device: str, precision: str
) -> dict[str, tuple[Callable[[], object], int]]:
    """Return what does a task, and how many batches it does, by name."""
    chosen = choose_engine("torch", device, precision)
    found: dict[str, tuple[Callable[[], object], int]] = {}
    for name, engine in ((ENGINE, chosen), (HOST, "native")):
        ways = Ours(case, usable_cores(), engine=engine or "").ways(task)
        way = ways[SYMBOLS if SYMBOLS in ways else next(iter(ways))]()
        found[name] = (way.run, way.calls)
    found[PLAIN] = (plain(case, task, device, precision), 1)
    return found


def items_per_second(run: Callable[[], object], items: int, device: str) -> float:
    """Return how many items are done in a second, with the card's work at an end."""
    done, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < _SECONDS or not done:
        run()
        done += items
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
        spent = time.perf_counter() - start
    return done / spent


def measure(name: str, device: str, precision: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return the median items per second of each contestant, by task."""
    case = WORKLOADS[name].case()
    results: dict[str, dict[str, float]] = {}
    for task in TASKS:
        runs = contestants(case, task, device, precision)
        for run, _ in runs.values():
            for _ in range(_WARM_UP):
                run()
        speeds: dict[str, list[float]] = {each: [] for each in runs}
        for _ in range(rounds):
            for each, (run, calls) in runs.items():
                items = WORKLOADS[name].batch * calls
                speeds[each].append(items_per_second(run, items, device))
        results[task] = {each: statistics.median(found) for each, found in speeds.items()}
    return results


def main() -> int:
    """Measure, and print a table, and all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--only", nargs="+", default=NETWORKS, choices=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    device = find_device(given.device, given.precision)
    figures: dict[str, Any] = {"device": device, "precision": given.precision}
    if device.startswith("cuda"):
        figures["card"] = torch.cuda.get_device_name(device)
    print(f"{'':10} {'':8} {ENGINE:>14} {PLAIN:>14} {HOST:>14}   to PyTorch   to native")
    for name in given.only:
        figures[name] = measure(name, device, given.precision, given.rounds)
        for task, speeds in figures[name].items():
            numbers = " ".join(f"{speeds[each]:14,.0f}" for each in (ENGINE, PLAIN, HOST))
            ratios = [speeds[ENGINE] / speeds[each] for each in (PLAIN, HOST)]
            print(f"{name:10} {task:8} {numbers} {ratios[0]:12.2f} {ratios[1]:11.2f}")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
