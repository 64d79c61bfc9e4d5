"""Runs in forked processes: many at once in one folder, and runs that are killed.

A process that has loaded everything forks its runs, which takes milliseconds; so hundreds of real
processes, with real locks and real kills, take a minute. It is started as

    python forked.py WHAT COUNT SEED

in an empty folder, and prints what came of it as JSON.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gridcnn
from gridcnn.cross_validation import cross_validate
from gridcnn.runs.run import run
from gridcnn.training.loop import Epoch

SPEC: dict[str, Any] = {
    "name": "tiny",
    "data": {"source": {"xo": {"count": 40, "size": [8, 8]}}, "test": 0.25, "validation": 0.2},
    "adapter": {"image": {"size": [8, 8]}},
    "stages": [{"convolution": {"filters": 2}}, "rectification", "pooling"],
    "head": "voting",
    "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.01},
}
EPOCHS = SPEC["training"]["epochs"]
ENGINE: dict[str, Any] = {"engine": "reference"}
REFUSED = 2


def fork(work: Callable[[], None], told: Path) -> int:
    """Do something in a child, and return its number; what it refuses is written to `told`."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except gridcnn.UserError as error:
        told.write_text(str(error))
        code = REFUSED
    except BaseException as error:
        told.write_text(f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """Return the exit code of a child; below 0, the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def figures(folder: Path) -> Any:
    """Return the metrics without what a clock has measured."""
    metrics = json.loads((folder / "metrics.json").read_text())
    for each in (metrics, *metrics.get("folds", ())):
        each.pop("seconds", None)
    return metrics


def content(folder: Path) -> dict[str, Any]:
    """Return what a finished folder holds, without what differs from run to run."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "metrics.json":
            found[name] = figures(path.parent)
        elif path.name == "history.csv":  # with seconds
            found[name] = [line.rpartition(",")[0] for line in path.read_text().splitlines()]
        elif path.name == "checkpoint.safetensors":  # with seconds
            found[name] = "there"
        elif path.is_file():
            found[name] = path.read_bytes().hex()
    return found


# At once ------------------------------------------------------------------------------------------


def pairs(count: int, seed: int) -> dict[str, int]:
    """Start two runs at once into one folder, again and again; every third is cross-validated."""
    works: list[Callable[[str], object]] = [
        lambda folder: run(SPEC, out=folder, seed=seed, **ENGINE),
        lambda folder: run(SPEC, out=folder, seed=seed + 1, **ENGINE),
        _folds,
    ]
    expected = []
    for number, work in enumerate(works):
        work(f"whole-{number}")
        expected.append(content(Path(f"whole-{number}")))
    found = {"won": 0, "mixed": 0, "refused": 0, "odd": 0}
    for number in range(count):
        folder = Path(f"pair-{number}")
        gate = os.pipe()
        two = (number % 3, (number + 1) % 3)
        told = [Path(f"told-{number}-{each}") for each in two]

        def compete(own: int, folder: Path = folder, gate: tuple[int, int] = gate) -> None:
            os.read(gate[0], 1)
            works[own](str(folder))

        children = [
            fork(lambda own=own: compete(own), text)  # type: ignore[misc]
            for own, text in zip(two, told, strict=True)
        ]
        os.write(gate[1], b"ab")
        codes = [wait(child) for child in children]
        for end in gate:
            os.close(end)
        for code, text in zip(codes, told, strict=True):
            if code == REFUSED:
                found["refused"] += _is_clear(text.read_text(), folder)
        if sorted(codes) == [0, REFUSED]:
            found["won"] += 1
            winner = two[codes.index(0)]
            found["mixed"] += content(folder) != expected[winner]
        else:
            found["odd"] += 1
    return found


def _is_clear(text: str, folder: Path) -> bool:
    """Return whether an error is one line that names the folder, and what is wrong with it."""
    wrong = (f"{folder} is in use by another run", f"{folder} is not empty", f"{folder} holds")
    return text.startswith(wrong) and "\n" not in text


def beside(count: int, seed: int) -> dict[str, int]:
    """Resume a run that is alive, again and again, at random moments."""
    draw = random.Random(seed)
    run(SPEC, out="whole", **ENGINE)
    ready, go = os.pipe(), os.pipe()

    class Waits(gridcnn.RunWatcher):
        def on_epoch(self, epoch: Epoch, epochs: int) -> None:
            os.write(ready[1], b"x")
            if epoch.epoch == 2:
                os.read(go[0], 1)
            time.sleep(0.2)

    living = fork(lambda: _print(run(SPEC, out="run", watcher=Waits(), **ENGINE)), Path("told"))
    os.read(ready[0], 1)  # an epoch has ended
    found = {"refused": 0, "odd": 0}
    for number in range(count):
        time.sleep(draw.uniform(0, 0.01))
        told = Path(f"told-{number}")
        code = wait(fork(lambda: _print(run(resume="run", **ENGINE)), told))
        clear = code == REFUSED and told.read_text().startswith("run is in use by another run (pro")
        found["refused" if clear else "odd"] += 1
    os.write(go[1], b"x")
    found["ended"] = int(wait(living) == 0)
    found["same"] = int(content(Path("run")) == content(Path("whole")))
    return found


def _print(_: object) -> None:
    """Do nothing with a result."""


# Kills --------------------------------------------------------------------------------------------

_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")


def _kill_at(moment: int, folder: str) -> list[int]:
    """Kill this process when a file in `folder` is touched for that time; return the count.

    An audit hook is called before each of these events, and so this is after the one before.
    """
    counted = [0]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS:
            return
        if event != "os.truncate" and folder not in str(arguments[0]):
            return
        counted[0] += 1
        if counted[0] == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return counted


def _new(folder: str) -> None:
    run(SPEC, out=folder, **ENGINE)


def _resumed(folder: str) -> None:
    run(resume=folder, **ENGINE)


def _longer(folder: str) -> None:
    run(resume=folder, changes={"training.epochs": EPOCHS}, **ENGINE)


def _folds(folder: str) -> None:
    cross_validate(SPEC, folds=2, out=folder, changes={"training.epochs": 1}, **ENGINE)


class _Stop(gridcnn.RunWatcher):
    def on_epoch(self, epoch: Epoch, epochs: int) -> None:
        raise KeyboardInterrupt


def _stopped(folder: str) -> None:
    """Leave a run that was stopped after its first epoch."""
    try:
        run(SPEC, out=folder, watcher=_Stop(), **ENGINE)
    except gridcnn.TrainingInterrupted:
        return


def _shorter(folder: str) -> None:
    """Leave a run that has ended, after fewer epochs."""
    run(SPEC, out=folder, changes={"training.epochs": 1}, **ENGINE)


def _nothing(_: str) -> None:
    """Leave nothing."""


KINDS: dict[str, tuple[Callable[[str], None], Callable[[str], None]]] = {
    "new": (_nothing, _new),
    "resumed": (_stopped, _resumed),
    "longer": (_shorter, _longer),
    "folds": (_nothing, _folds),
}


def kills(count: int, seed: int) -> dict[str, Any]:
    """Kill runs at moments that are spread over all that happens in their folders."""
    draw = random.Random(seed)
    whole: dict[str, Any] = {}
    moments: list[tuple[str, int]] = []
    for kind, (before, work) in KINDS.items():
        before(f"{kind}-whole")
        counts = Path(f"{kind}-counts")

        def counted(kind: str = kind, work: Any = work, counts: Path = counts) -> None:
            found = _kill_at(-1, f"{kind}-whole")
            work(f"{kind}-whole")
            number = found[0]
            counts.write_text(str(number))

        assert wait(fork(counted, Path(f"{kind}-told"))) == 0, Path(f"{kind}-told").read_text()
        whole[kind] = content(Path(f"{kind}-whole"))
        moments += [(kind, moment) for moment in range(1, int(counts.read_text()) + 1)]
    chosen = moments if count >= len(moments) else sorted(draw.sample(moments, count))
    found: dict[str, Any] = {"moments": len(moments), "killed": 0, "lost": []}
    states = dict.fromkeys(("claimable", "resumable", "finished"), 0)
    for kind, moment in chosen:
        folder = f"{kind}-{moment}"
        KINDS[kind][0](folder)

        def killed(kind: str = kind, moment: int = moment, folder: str = folder) -> None:
            _kill_at(moment, folder)
            KINDS[kind][1](folder)

        code = wait(fork(killed, Path(f"{folder}.told")))
        found["killed"] += code == -signal.SIGKILL
        state = _brought_to_its_end(kind, folder)
        if state not in states or content(Path(folder)) != whole[kind]:
            found["lost"].append([folder, state, sorted(map(str, Path(folder).rglob("*")))])
        else:
            states[state] += 1
        shutil.rmtree(folder, ignore_errors=True)
    return {**found, **states}


def at_random(count: int, seed: int, how: int = signal.SIGKILL) -> dict[str, Any]:
    """Send a signal to runs after a random time."""
    draw = random.Random(seed)
    start = time.perf_counter()
    run(SPEC, out="new-whole", **ENGINE)
    took = time.perf_counter() - start
    whole = content(Path("new-whole"))
    found: dict[str, Any] = {"lost": []}
    states = dict.fromkeys(("claimable", "resumable", "finished"), 0)
    for number in range(count):
        folder = f"new-{number}"
        child = fork(lambda folder=folder: _new(folder), Path(f"{folder}.told"))  # type: ignore[misc]
        time.sleep(draw.uniform(0, 1.2 * took))
        os.kill(child, how)
        wait(child)
        state = _brought_to_its_end("new", folder)
        if state not in states or content(Path(folder)) != whole:
            found["lost"].append([folder, state, sorted(map(str, Path(folder).rglob("*")))])
        else:
            states[state] += 1
        shutil.rmtree(folder, ignore_errors=True)
    return {**found, **states}


def _brought_to_its_end(kind: str, folder: str) -> str:
    """Do what the folder's own messages say until its run has ended; return what it was.

    Before, its model answers, or it is clear why there is none.
    """
    try:
        gridcnn.load(folder)
    except gridcnn.ModelFileError as error:
        if "\n" in str(error):
            return str(error)
    again = _folds if kind == "folds" else _new
    try:
        again(folder)
    except gridcnn.RunFolderError as error:
        text = str(error)
    else:
        return "claimable"
    if "holds a finished run" in text:
        if kind != "longer" or gridcnn.load(folder).spec.training.epochs == EPOCHS:
            return "finished"
        _longer(folder)
        return "finished"
    if f"gridcnn run --resume {folder}" not in text:
        return text
    if kind == "folds":
        cross_validate(resume=folder, **ENGINE)
    elif kind == "longer":
        run(resume=folder, changes={"training.epochs": EPOCHS}, **ENGINE)
    else:
        run(resume=folder, **ENGINE)
    return "resumable"


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", gridcnn.UnfinishedRunWarning)
    run(SPEC, out="warm", **ENGINE)  # so that children load nothing
    what: dict[str, Callable[[int, int], dict[str, Any]]] = {
        "pairs": pairs,
        "beside": beside,
        "kills": kills,
        "random": at_random,
        "interrupts": lambda count, seed: at_random(count, seed, signal.SIGINT),
    }
    print(json.dumps(what[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))))
