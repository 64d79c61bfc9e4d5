"""Spectra: intensities at rising wavelengths, masses or frequencies."""

from __future__ import annotations

import numpy as np

from benchmarks.order.case import Made, Random, Table, classes_by, family, line


def _peaks(
    random: Random, rows: int, length: int, count: int, width: float, *, fixed: bool
) -> tuple[Table, Table]:
    """Return sums of peaks, at the same places in all rows if `fixed`, and their heights."""
    place = random.uniform(0, length, (1 if fixed else rows, count, 1))
    height = np.exp(0.6 * random.normal(size=(rows, count)))
    X = np.zeros((rows, length))
    for peak in range(count):
        X += height[:, peak, None] * np.exp(
            -np.square((np.arange(length) - place[:, peak]) / width) / 2
        )
    return X, height


@family(
    "spectra",
    {"rows": 600, "length": 200, "count": 4, "width": 15.0},
    {"rows": 300, "length": 80, "count": 3, "width": 8.0},
    {"rows": 100, "length": 150, "count": 5, "width": 12.0},
    {"rows": 600, "length": 100, "count": 3, "width": 15.0},
    shuffles=True,
)
def broad_peaks(random: Random, rows: int, length: int, count: int, width: float) -> Made:
    """Smooth curves of a few broad peaks at fixed places, with a little noise.

    A grid along the line of wavelengths. Shuffled they are permutable.
    """
    X, height = _peaks(random, rows, length, count, width, fixed=True)
    X += 0.01 * random.normal(size=X.shape)
    return Made(X, classes_by(height[:, 0] - height[:, 1], random), line(length))


@family(
    "spectra",
    {"rows": 600, "length": 100, "labels": True},
    {"rows": 200, "length": 200, "labels": False},
    shuffles=True,
)
def very_smooth_curves(random: Random, rows: int, length: int, labels: bool) -> Made:
    """Curves of which far columns say nearly as much as near ones: three bends and no noise.

    A grid along the line of wavelengths.
    """
    away = np.linspace(-1, 1, length)
    weights = random.normal(size=(rows, 4)) * np.array([1, 0.7, 0.5, 0.3])
    X = np.stack([weights @ np.array([away**power for power in range(4)])])[0]
    y = classes_by(weights[:, 2], random) if labels else None
    return Made(X + 1e-3 * random.normal(size=X.shape), y, line(length))


@family(
    "spectra",
    {"rows": 300, "length": 150, "count": 20, "width": 2.0},
    {"rows": 500, "length": 80, "count": 10, "width": 1.5},
    shuffles=True,
)
def narrow_peaks(random: Random, rows: int, length: int, count: int, width: float) -> Made:
    """Many narrow peaks at fixed places, as in Raman or NMR spectra of mixtures.

    A grid along the line: a peak covers a few neighbouring columns.
    """
    X, height = _peaks(random, rows, length, count, width, fixed=True)
    X += 0.05 * random.normal(size=X.shape)
    return Made(X, classes_by(height[:, 0] - height[:, 1], random), line(length))


@family(
    "spectra",
    {"rows": 500, "length": 100, "count": 5, "width": 3.0},
    {"rows": 1_000, "length": 60, "count": 4, "width": 2.5},
    shuffles=True,
)
def shifted_peaks(random: Random, rows: int, length: int, count: int, width: float) -> Made:
    """Peaks at other places in every row; the class is how many are high.

    A grid along the line: the place of a peak does not matter, its shape does.
    """
    X, height = _peaks(random, rows, length, count, width, fixed=False)
    X += 0.05 * random.normal(size=X.shape)
    return Made(X, classes_by(height.max(axis=1), random), line(length))


@family(
    "spectra",
    {"rows": 500, "length": 100, "noise": 0.5},
    {"rows": 800, "length": 80, "noise": 1.0},
    shuffles=True,
)
def noisy_spectra(random: Random, rows: int, length: int, noise: float) -> Made:
    """Peaks of medium width, measured in a hurry: the noise is as high as most peaks.

    A grid along the line of wavelengths.
    """
    X, height = _peaks(random, rows, length, 6, 6.0, fixed=True)
    X += noise * random.normal(size=X.shape)
    return Made(X, classes_by(height[:, 0], random), line(length))


@family("spectra", {"rows": 200, "length": 100}, {"rows": 60, "length": 250}, shuffles=True)
def spectra_on_a_slope(random: Random, rows: int, length: int) -> Made:
    """Near-infrared spectra: a large baseline that scatter tilts, and small broad bands on it.

    A grid along the line of wavelengths.
    """
    X, height = _peaks(random, rows, length, 5, length / 20, fixed=True)
    away = np.linspace(0, 1, length)
    base = random.normal(3, 1, (rows, 1)) + random.normal(0, 1, (rows, 1)) * away
    X = base + 0.1 * X + 0.005 * random.normal(size=X.shape)
    return Made(X, classes_by(height[:, 0], random), line(length))


@family("spectra", {"rows": 500, "length": 48}, {"rows": 500, "length": 96}, shuffles=True)
def power_spectra(random: Random, rows: int, length: int) -> Made:
    """Logarithms of the power of sounds at rising frequencies: a resonance and rough noise.

    A grid along the line of frequencies.
    """
    away = np.arange(length)
    centre = random.uniform(5, length - 5, (rows, 1))
    shape = 3 * np.exp(-np.square((away - centre) / 6) / 2) + 2 * np.exp(-away / length * 3)
    X = shape + np.log(random.exponential(size=(rows, length)) + 1e-3)
    return Made(X, classes_by(centre[:, 0], random, classes=3), line(length))


@family(
    "spectra",
    {"rows": 400, "length": 120, "light": 8.0},
    {"rows": 600, "length": 60, "light": 2.0},
    shuffles=True,
)
def counted_photons(random: Random, rows: int, length: int, light: float) -> Made:
    """Spectra in little light: each channel counts a few photons, more of them under a peak.

    A grid along the line of wavelengths.
    """
    X, height = _peaks(random, rows, length, 5, length / 20, fixed=True)
    counts: Table = random.poisson(light * (X + 0.2)).astype(np.float64)
    return Made(counts, classes_by(height[:, 0], random), line(length))


@family("spectra", {"rows": 300, "length": 100}, {"rows": 500, "length": 64}, shuffles=True)
def chromatograms(random: Random, rows: int, length: int) -> Made:
    """Peaks with tails, at places that drift a little from run to run, on a base that drifts too.

    A grid along the line of time.
    """
    place = random.uniform(5, length - 15, 6) + random.normal(size=(rows, 1))
    height = np.exp(0.7 * random.normal(size=(rows, 6)))
    away = np.arange(length) - place[:, :, None]
    tails = np.where(away < 0, np.exp(-np.square(away) / 2), np.exp(-np.abs(away) / 4))
    X = (height[:, :, None] * tails).sum(axis=1) + random.normal(0, 0.3, (rows, 1))
    X += random.normal(0, 0.3, (rows, 1)) * np.linspace(0, 1, length)
    X += 0.15 * random.normal(size=X.shape)
    return Made(X, classes_by(height[:, 0] - height[:, 1], random), line(length))
