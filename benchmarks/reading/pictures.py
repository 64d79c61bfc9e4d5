"""Pictures: large photographs, small JPEG files and PNG files, each read by both in turn.

`python -m benchmarks.reading.pictures [ROUNDS]` (the extra `bench`)

The peer is PyTorch's DataLoader with two workers. Each picture is opened by Pillow, decoded at the
size that is needed (`draft`), resized with the same filter, and becomes a tensor of -1 to 1. Two
epochs are measured: the first one starts the workers, the second ("steady") has them. Both sides
get the files in the disk's cache, and use two threads or two
processes. What is printed are medians of the rounds' ratios; above 1 we are faster.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import gridcnn
from benchmarks.machine import describe, load, versions

_ROUNDS = 7
_WORKERS = 2
_BATCH = 64
_SIZE = (64, 64)


@dataclass(frozen=True)
class Kind:
    """A kind of files: how many, the ending, the sizes of the pictures, and those of the grids."""

    name: str
    count: int
    suffix: str
    sizes: tuple[tuple[int, int], ...]
    grid: tuple[int, int]
    channels: int
    distinct: int


KINDS = (
    Kind("photographs 1800x1200", 120, ".jpg", ((1200, 1800),), (64, 64), 3, 12),
    Kind("the same, grey", 120, ".jpg", ((1200, 1800),), (64, 64), 1, 12),
    Kind("small JPEG", 4000, ".jpg", ((64, 64), (48, 64), (32, 32), (56, 40)), (32, 32), 3, 200),
    Kind(
        "the same, grey", 4000, ".jpg", ((64, 64), (48, 64), (32, 32), (56, 40)), (32, 32), 1, 200
    ),
    Kind("PNG 300x400", 200, ".png", ((300, 400),), (64, 64), 3, 20),
    Kind("small PNG", 4000, ".png", ((32, 32), (28, 28)), (32, 32), 3, 200),
)


def photograph(rows: int, columns: int, random: np.random.Generator) -> Image.Image:
    """Return a picture with the detail of a photograph: large shapes, texture, and fine noise."""
    total = np.zeros((rows, columns, 3), np.float32)
    for detail, weight in ((4, 120.0), (24, 50.0), (160, 25.0)):
        cells = max(2, min(detail, rows // 2)), max(2, min(detail, columns // 2))
        coarse = random.normal(0, 1, (*cells, 3)).astype(np.float32)
        for channel in range(3):
            plane = Image.fromarray(np.ascontiguousarray(coarse[:, :, channel]))
            grown = plane.resize((columns, rows), Image.Resampling.BICUBIC)
            total[:, :, channel] += weight / 2 * np.asarray(grown)
    total += random.normal(0, 3, total.shape).astype(np.float32)
    return Image.fromarray(np.clip(128 + total, 0, 255).astype(np.uint8))


def write(kind: Kind, folder: Path) -> list[str]:
    """Write the files of a kind, and return where they are; some of them are copies."""
    random = np.random.default_rng(0)
    contents: list[bytes] = []
    for number in range(kind.distinct):
        place = folder / f"made{kind.suffix}"
        photograph(*kind.sizes[number % len(kind.sizes)], random).save(place, quality=90)
        contents.append(place.read_bytes())
        place.unlink()
    for number in range(kind.count):
        (folder / f"{number:05}{kind.suffix}").write_bytes(contents[number % len(contents)])
    return sorted(map(str, folder.iterdir()))


class Pictures:
    """The peer's data set: paths to tensors `(channels, rows, columns)`, -1 to 1."""

    def __init__(self, paths: list[str], kind: Kind) -> None:
        self.paths = paths
        self.size = kind.grid[::-1]
        self.mode = "L" if kind.channels == 1 else "RGB"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Any:
        torch: Any = import_module("torch")
        with Image.open(self.paths[index]) as image:
            image.draft(self.mode, self.size)
            shown = image.convert(self.mode).resize(self.size, Image.Resampling.BILINEAR)
        values = torch.from_numpy(np.array(shown))
        planes = values[None] if self.mode == "L" else values.permute(2, 0, 1)
        return planes.to(torch.float32).div_(127.5).sub_(1)


def peer(paths: list[str], kind: Kind) -> tuple[float, float]:
    """Return the seconds of an epoch that starts the workers, and of the next, which has them."""
    pictures: Any = Pictures(paths, kind)
    start = time.perf_counter()
    loader: Any = import_module("torch.utils.data").DataLoader(
        pictures, batch_size=_BATCH, num_workers=_WORKERS, persistent_workers=True
    )
    seconds = []
    for _ in range(2):
        assert sum(len(batch) for batch in loader) == len(paths)
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
    return seconds[0], seconds[1]


def ours(kind: Kind) -> Callable[[list[str]], NDArray[np.float32]]:
    """Return what reads paths as the spec says, by `Pipeline.transform`."""
    image = {"size": list(kind.grid), "channels": kind.channels, "fit": "stretch"}
    return gridcnn.Pipeline({"adapter": {"image": image}}, threads=_WORKERS).transform


def main(rounds: int = _ROUNDS) -> None:
    """Measure all kinds, and print a table."""
    for name, value in {**describe(), **versions("gridcnn", "pillow", "torch")}.items():
        print(f"{name}: {value}")
    print(f"load before: {load()}; {rounds} rounds, two workers each\n")
    heads = ("pictures", "ours", "peer", "ratio", "steady", "ratio")
    print(f"{heads[0]:<24}" + "".join(f"{head:>10}" for head in heads[1:]) + "   (a second)")
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            paths = write(kind, Path(name))
            read = ours(kind)
            rows = []
            for turn in range(rounds + 1):
                start = time.perf_counter()
                read(paths)
                took = time.perf_counter() - start
                whole, steady = peer(paths, kind)
                if turn:  # the first one warms caches and loads libraries
                    rows.append((took, whole, steady))
        mine, whole, steady = (statistics.median(column) for column in zip(*rows, strict=True))
        with_start = statistics.median(row[1] / row[0] for row in rows)
        without = statistics.median(row[2] / row[0] for row in rows)
        count = len(paths)
        print(
            f"{kind.name:<24}{count / mine:>10.0f}{count / whole:>10.0f}{with_start:>9.2f}x"
            f"{count / steady:>10.0f}{without:>9.2f}x",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _ROUNDS)
