"""What librosa computes: pitch classes, tempi, further steps on bands, and changed sounds.

To import librosa takes a second or more, and numba compiles parts of it when it is used for the
first time on a machine. So it is imported by the first clip that needs it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.spectrogram import Values

C1 = 440 * 2 ** (-45 / 12)
"""The frequency of the note C1, 32.7 Hz, if A4 has 440 Hz."""
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LONGEST_FILTER = 30.0
"""Seconds that the filter of the lowest note may last."""

_WINDOW_BANDWIDTH = 1.50018310546875  # of a Hann window, in lines; from `librosa.filters`
_ERB = 24.7 / 0.108  # Hz: where the bandwidth of hearing stops to be a constant part of a pitch
_FULL_SCALE = 2.0**31  # PCEN was made for whole numbers, as those in a file


@dataclass(frozen=True)
class Notes:
    """Filters of equal distance in pitch.

    Attributes:
        lowest: the frequency of the lowest, in Hz.
        count: how many there are.
        per_octave: how many of them make an octave.
        gamma: Hz by which each filter is wider than a constant part of its frequency; None: as
            wide as the ear's.
    """

    lowest: float
    count: int
    per_octave: int
    gamma: float | None

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """The frequency of each in Hz, lowest first, `(count)`."""
        with np.errstate(over="ignore"):  # none that is so high can be heard
            steps: NDArray[np.float64] = 2.0 ** (np.arange(self.count) / self.per_octave)
            return self.lowest * steps

    @property
    def highest_reach(self) -> float:
        """The highest frequency that a filter lets through, in Hz (`filters.wavelet_lengths`)."""
        top = float(self.frequencies[-1])
        return top * (1 + 0.5 * _WINDOW_BANDWIDTH * self.bandwidth) + 0.5 * self._widening

    @property
    def longest(self) -> float:
        """How long the filter of the lowest note lasts, in seconds."""
        return 1 / max(self.bandwidth * self.lowest + self._widening, 1e-300)

    @property
    def bandwidth(self) -> float:
        """The width of a filter as a part of its frequency."""
        ratio = float(4.0 ** (1 / self.per_octave))
        return (ratio - 1) / (ratio + 1)

    @property
    def _widening(self) -> float:
        return self.bandwidth * _ERB if self.gamma is None else self.gamma


@functools.lru_cache(maxsize=16)
def pitch_class_weights(sample_rate: int, n_fft: int) -> Values:
    """Return the weights of each pitch class, C first, `(12, n_fft // 2 + 1)`.

    They are those of `librosa.filters.chroma`, for A4 at 440 Hz.
    """
    weights: Values = load_librosa().filters.chroma(sr=sample_rate, n_fft=n_fft, tuning=0.0)
    return weights.astype(np.float32, copy=False)


def normalize_frames(bands: Values) -> Values:
    """Return bands, scaled so that the strongest in each frame is 1, unless there is silence.

    Of pitch classes these are `librosa.feature.chroma_stft`; `bands` are `(clips, bands, frames)`.
    """
    normalized: Values = load_librosa().util.normalize(bands, norm=np.inf, axis=-2)
    return normalized


def normalized_energy(
    magnitudes: Values,
    *,
    sample_rate: int,
    hop_length: int,
    gain: float,
    bias: float,
    power: float,
    time_constant: float,
) -> Values:
    """Return bands after per-channel energy normalization, `(clips, bands, frames)`.

    Each band is divided by its own mean over the last moments, so that what is always there
    disappears (Wang et al., 2017; `librosa.pcen`, whose arguments these are).

    Args:
        magnitudes: `(clips, bands, frames)`, of samples from -1 to 1.
        sample_rate: samples per second.
        hop_length: samples from one frame to the next.
        gain: how much of the mean is divided by.
        bias: what is added before, and subtracted after, the root.
        power: the exponent of that root.
        time_constant: seconds over which the mean goes.
    """
    settings = {"gain": gain, "bias": bias, "power": power, "time_constant": time_constant}
    pcen = load_librosa().pcen
    with np.errstate(divide="ignore"):  # without a bias it takes the logarithm of silence
        return _stack(
            [
                pcen(each, sr=sample_rate, hop_length=hop_length, **settings)
                for each in magnitudes * np.float32(_FULL_SCALE)
            ]
        )


def tempi(
    bands: Values, *, sample_rate: int, n_fft: int, hop_length: int, window: int, lags: slice
) -> Values:
    """Return how strongly onsets are repeated after each lag, `(clips, lags, frames)`.

    In each frame a repetition after no time is 1 (`librosa.feature.tempogram` of
    `librosa.onset.onset_strength`).

    Args:
        bands: power in bands, `(clips, bands, frames)`.
        sample_rate: samples per second.
        n_fft: samples under the window of a frame.
        hop_length: samples from one frame to the next.
        window: frames around each frame that are compared.
        lags: which lags, in frames.
    """
    librosa = load_librosa()
    time = {"sr": sample_rate, "hop_length": hop_length}
    tempo_rows = []
    for own in bands:
        onsets = librosa.onset.onset_strength(S=librosa.power_to_db(own), n_fft=n_fft, **time)
        tempo_rows.append(
            librosa.feature.tempogram(onset_envelope=onsets, win_length=window, **time)[lags]
        )
    return _stack(tempo_rows)


def harmonic_and_percussive(magnitudes: Values, *, kernel: int, margin: float) -> Values:
    """Return spectra as what lasts and what is short, `(clips, 2, frequencies, frames)`.

    Medians over time and over frequency separate them (Fitzgerald, 2010;
    `librosa.decompose.hpss`).

    Args:
        magnitudes: `(clips, frequencies, frames)`.
        kernel: over how many frames, and over how many frequencies.
        margin: by how much one has to be stronger than the other.
    """
    hpss = load_librosa().decompose.hpss
    return _stack([np.stack(hpss(own, kernel_size=kernel, margin=margin)) for own in magnitudes])


def shift_pitch(samples: Values, steps: float, *, sample_rate: int) -> Values:
    """Return a sound that is so many halftones higher, as long as before.

    This is `librosa.effects.pitch_shift`, with a window of about 0.1 s.
    """
    librosa = load_librosa()
    padded, rate = _pad(samples, _effects_window(sample_rate)), 2.0 ** (-steps / 12)
    stretched = _stretch(padded, rate, sample_rate=sample_rate)
    rates = {"orig_sr": sample_rate / rate, "target_sr": sample_rate}
    shifted: Values = librosa.resample(stretched, **rates, res_type="soxr_hq")
    shifted = librosa.util.fix_length(shifted, size=len(padded))
    return shifted[: len(samples)]


def stretch_time(samples: Values, rate: float, *, sample_rate: int) -> Values:
    """Return a sound that is so many times as fast, of the same pitch.

    This is `librosa.effects.time_stretch`, with a window of about 0.1 s.
    """
    padded = _pad(samples, _effects_window(sample_rate))
    stretched = _stretch(padded, rate, sample_rate=sample_rate)
    return stretched[: max(1, round(len(samples) / rate))]


def _stretch(samples: Values, rate: float, *, sample_rate: int) -> Values:
    """Return as `librosa.effects.time_stretch`, which warns in 1.0 of what it does itself."""
    librosa, n_fft = load_librosa(), _effects_window(sample_rate)
    spectrum = librosa.stft(samples, n_fft=n_fft)
    with np.errstate(invalid="ignore"):  # numba's code for 1.0 leaves that flag, of finite numbers
        spectrum = librosa.phase_vocoder(spectrum, rate=rate)
    stretched: Values = librosa.istft(
        spectrum, n_fft=n_fft, dtype=samples.dtype, length=round(len(samples) / rate)
    )
    return stretched


def _effects_window(sample_rate: int) -> int:
    """Return librosa's usual window, 2048 samples at 22,050 Hz, for another rate.

    It is a power of two: at 8000 Hz, 2048 samples would blur all that is shorter than 0.26 s.
    """
    return int(2 ** math.floor(math.log2(2048 * max(sample_rate, 1000) / 22_050)))


def _pad(samples: Values, least: int) -> Values:
    """Return samples with silence after them, if they are fewer than those under a window."""
    return np.pad(samples, (0, max(0, least - len(samples))))


def note_label(frequency: float) -> str:
    """Return the name of a note, as `C#4`, and the cents above or below it, as `C4+33`."""
    steps = 69 + 12 * math.log2(frequency / 440)
    nearest = round(steps)
    cents = round(100 * (steps - nearest))
    name = f"{PITCH_CLASSES[nearest % 12]}{nearest // 12 - 1}"
    return f"{name}{cents:+d}" if cents else name


def _stack(arrays: list[Any]) -> Values:
    stacked: Values = np.stack(arrays).astype(np.float32, copy=False)
    return stacked


@functools.cache
def load_librosa() -> Any:
    """Return librosa, imported now at the latest."""
    import librosa

    return librosa
