"""What starting costs: our commands against `import numpy`, in turn, medians of many runs.

`python -m benchmarks.startup [RUNS]`
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gridcnn
from gridcnn.datasets.makers.made import write_files
from gridcnn.datasets.makers.xo import XO

_PEER = "import numpy"


def main(runs: int) -> None:
    """Time every command `runs` times, and print medians and ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changes = {"data.source": {"xo": {"count": 400}}, "training.epochs": 1}
        gridcnn.run("xo", changes=changes, out=folder / "run")
        write_files(XO(count=2), folder / "pictures")
        picture = next((folder / "pictures").rglob("*.png"))
        python = [sys.executable]
        commands = {
            _PEER: [*python, "-c", _PEER],
            "import gridcnn": [*python, "-c", "import gridcnn"],
            "gridcnn --help": [*python, "-m", "gridcnn", "--help"],
            "gridcnn show xo": [*python, "-m", "gridcnn", "show", "xo"],
            "gridcnn predict": [*python, "-m", "gridcnn", "predict", f"{folder}/run", str(picture)],
        }
        times: dict[str, list[float]] = {label: [] for label in commands}
        for turn in range(runs + 1):
            for label, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                if turn:  # the first turn warms the disk's cache
                    times[label].append(time.perf_counter() - start)
    peer = statistics.median(times[_PEER])
    print(f"{'command':<18}{'median':>9}{'of numpy':>10}   ({runs} runs, in turn)")
    for label, taken in times.items():
        median = statistics.median(taken)
        print(f"{label:<18}{median:>7.3f} s{median / peer:>9.2f}x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
