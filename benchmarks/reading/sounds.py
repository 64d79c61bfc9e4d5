"""Sounds: files as spectrograms, ours against a loader of two worker processes, in turn.

`main()` prints, for each kind of files, the median of items per second and of the paired ratios,
and how many microseconds of the processor an item takes, which other programs hardly change.

The loader is what one would write for PyTorch or for a process pool: soundfile reads only the part
that is used, soxr resamples it, scipy transforms it, and the mel filters of librosa are kept. Its
two processes are started before the clock is. Both make the same grids, which is checked first.
"""

from __future__ import annotations

import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe
from gridcnn import Pipeline
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.runs.adapting import Adapting

RATE = 16_000
N_FFT, HOP, MELS, FLOOR_DB = 512, 256, 64, 80.0
WORKERS = 2
_DISTINCT = 4  # files that are encoded, which takes longer than all else
_BLOCK = 65_536  # samples written at a time: of more, the Vorbis encoder overflows its stack


@dataclass(frozen=True)
class Kind:
    """One kind of files, and how much of each is used.

    Attributes:
        ending: of the files, which is their format.
        rate: samples per second.
        channels: 1 or 2.
        seconds: how long each file is.
        used: seconds of it, around its centre, that become a grid.
        count: how many files there are.
    """

    ending: str
    rate: int
    channels: int
    seconds: float
    used: float
    count: int


KINDS = {
    "WAV of 1 s, 16 kHz": Kind("wav", 16_000, 1, 1, 1, 800),
    "WAV of 1 s, 44.1 kHz": Kind("wav", 44_100, 1, 1, 1, 400),
    "OGG of 3 minutes, 10 s used": Kind("ogg", 44_100, 2, 180, 10, 40),
    "FLAC of 3 minutes, 10 s used": Kind("flac", 44_100, 2, 180, 10, 40),
    "MP3 of 3 minutes, 10 s used": Kind("mp3", 44_100, 2, 180, 10, 40),
    "OGG of 2 minutes, all used": Kind("ogg", 44_100, 2, 120, 120, 12),
    "FLAC of 2 minutes, all used": Kind("flac", 44_100, 2, 120, 120, 12),
    "MP3 of 2 minutes, all used": Kind("mp3", 44_100, 2, 120, 120, 12),
}


class Taken(NamedTuple):
    """What an item takes: seconds, and seconds of the processor by all threads and processes."""

    seconds: float
    worked: float


def main(rounds: int = 9, *, scale: float = 1.0) -> None:
    """Measure every kind of files `rounds` times, and print a line for each.

    `scale` makes the number of files smaller or larger.
    """
    os.environ["GRIDCNN_CACHE"] = "off"  # or the second round would find the grids of the first
    # As PyTorch's workers have it: threads of two processes would wait for each other.
    os.environ.update({f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")})
    print(", ".join(f"{name}: {told}" for name, told in describe().items()))
    print(
        f"{'files':<30}{'loader':>9}{'transform':>11}{'run':>9}   items/s"
        f"{'transform':>13}{'run':>8}   (medians of {rounds} paired ratios)"
        f"{'loader':>9}{'transform':>11}{'run':>9}   us of the processor for an item"
    )
    context = get_context("spawn")
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(WORKERS, context) as pool:
        for label, kind in KINDS.items():
            files = made(Path(name), kind, count=max(WORKERS, round(kind.count * scale)))
            print(line(label, measured(files, kind, pool, rounds=rounds)), flush=True)
            for file in files:
                file.unlink()


def line(label: str, taken: dict[str, list[Taken]]) -> str:
    """Return a line of the table of `loader`, `transform` and `run`.

    A ratio above 1 says that ours is faster.
    """
    seconds = {way: [each.seconds for each in rounds] for way, rounds in taken.items()}
    loader = seconds["loader"]
    speeds = [1 / statistics.median(each) for each in seconds.values()]
    ratios = [
        statistics.median(theirs / mine for theirs, mine in zip(loader, seconds[way], strict=True))
        for way in ("transform", "run")
    ]
    told = "".join(f"{speed:>{width}.1f}" for speed, width in zip(speeds, (9, 11, 9), strict=True))
    worked = [1e6 * statistics.median(each.worked for each in rounds) for rounds in taken.values()]
    told_work = "".join(
        f"{each:>{width}.0f}" for each, width in zip(worked, (42, 11, 9), strict=True)
    )
    return f"{label:<30}{told}{ratios[0]:>22.2f}x{ratios[1]:>7.2f}x{told_work}"


def made(folder: Path, kind: Kind, *, count: int) -> list[Path]:
    """Write so many sound files, most of them copies: a glide in noise that comes and goes."""
    import soundfile

    files = []
    times = np.arange(round(kind.seconds * kind.rate)) / kind.rate
    for number in range(min(count, _DISTINCT)):
        random = np.random.default_rng(number)
        tone = np.sin(2 * np.pi * (300 + 40 * number % 1500) * times * (1 + times / 999))
        loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 0.3 * times)
        samples = loudness * (0.3 * tone + 0.1 * random.standard_normal(len(times)))
        if kind.channels == 2:
            samples = np.stack([samples, samples[::-1]], axis=1)
        file = folder / f"{number:04d}.{kind.ending}"
        with soundfile.SoundFile(file, "w", kind.rate, kind.channels) as sound:
            for start in range(0, len(samples), _BLOCK):
                sound.write(samples[start : start + _BLOCK])
        files.append(file)
    for number in range(_DISTINCT, count):
        file = folder / f"{number:04d}.{kind.ending}"
        file.write_bytes(files[number % _DISTINCT].read_bytes())
        files.append(file)
    return files


def measured(
    files: Sequence[Path], kind: Kind, pool: ProcessPoolExecutor, *, rounds: int
) -> dict[str, list[Taken]]:
    """Return what an item takes in each way, in every round; the ways take turns."""
    adapter = AudioAdapter(
        sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=MELS, floor_db=FLOOR_DB,
        duration=float(kind.used),
    )  # fmt: skip
    pipeline = Pipeline({"adapter": {"audio": adapter.model_dump()}, "stages": ["rectification"]})
    places = [str(file) for file in files]
    every = np.arange(len(places))
    load = functools.partial(timed, used=kind.used)
    chunk = max(1, len(places) // (WORKERS * 8))

    in_workers = [0.0]  # seconds of the processor, in this round

    def of_loader() -> NDArray[np.float32]:
        found = list(pool.map(load, places, chunksize=chunk))
        in_workers[0] = sum(worked for _, worked in found)
        return np.stack([grid for grid, _ in found])

    def of_transform() -> Any:
        return pipeline.transform(places, after=0)

    def of_run() -> Any:
        return Adapting(places, places).parts(adapter, {"train": every}).made["train"].grids.values

    ways: dict[str, Callable[[], Any]] = {
        "loader": of_loader,
        "transform": of_transform,
        "run": of_run,
    }
    wanted = of_loader()  # what is read once is in the disk's cache, for all ways
    for way in (of_transform, of_run):
        # The loader resamples without what lies beside its part, which shows at the edges.
        difference = float(np.median(np.abs(np.asarray(way()) - wanted)))
        if difference > 1e-3:
            raise AssertionError(f"grids differ by {difference:g}: one of both is wrong")
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for number in range(rounds):
        # Who goes first changes, so that no one always follows the same other.
        order = list(ways) if number % 2 else list(reversed(ways))
        for name in order:
            in_workers[0] = 0.0
            start, before = time.perf_counter(), time.process_time()
            ways[name]()
            seconds = time.perf_counter() - start
            worked = time.process_time() - before + in_workers[0]
            taken[name].append(Taken(seconds / len(places), worked / len(places)))
    return taken


# The loader, in a process of its own ------------------------------------------------------------


def timed(place: str, *, used: float) -> tuple[NDArray[np.float32], float]:
    """Return what `loaded` returns, and the seconds of the processor that it took."""
    start = time.process_time()
    grid = loaded(place, used=used)
    return grid, time.process_time() - start


def loaded(place: str, *, used: float) -> NDArray[np.float32]:
    """Return the mel bands of a file's centre, float32 `(1, bands, frames)`, from -1 to 1."""
    import scipy.fft
    import soundfile
    import soxr

    wanted = round(used * RATE)
    with soundfile.SoundFile(place) as sound:
        frames = min(sound.frames, round(used * sound.samplerate))
        sound.seek((sound.frames - frames) // 2)
        samples = sound.read(frames, dtype="float32")
        rate = sound.samplerate
    if samples.ndim == 2:
        # Ten times as fast as the mean of each row.
        samples = samples @ np.full(samples.shape[1], 1 / samples.shape[1], np.float32)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE)
    samples = np.pad(samples[:wanted], (0, max(0, wanted - len(samples))))
    padded = np.pad(samples, N_FFT // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    mel, hann = _filters()
    spectrum = scipy.fft.rfft(windows * hann)
    bands = mel @ (spectrum.real**2 + spectrum.imag**2).T
    levels = 10 * np.log10(np.maximum(bands / bands.max(), 10 ** (-FLOOR_DB / 10)))
    grid: NDArray[np.float32] = (levels * (2 / FLOOR_DB) + 1)[::-1].astype(np.float32)
    return grid[None]


@functools.cache
def _filters() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mel filters and the window: an independent answer, as the loader is."""
    import librosa
    import scipy.signal

    mel = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=MELS)
    return mel, scipy.signal.get_window("hann", N_FFT).astype(np.float32)


if __name__ == "__main__":
    main()
