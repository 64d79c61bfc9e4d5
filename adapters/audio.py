"""The audio adapter: sound clips of any format, rate and length as spectrograms of one shape."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Gt, Le, MaxLen
from numpy.typing import NDArray
from pydantic import (
    AllowInfNan,
    PlainValidator,
    Strict,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from gridcnn.adapters.by_librosa import (
    C1,
    LONGEST_FILTER,
    PITCH_CLASSES,
    Notes,
    harmonic_and_percussive,
    normalize_frames,
    normalized_energy,
    note_label,
    pitch_class_weights,
    tempi,
)
from gridcnn.adapters.excerpt import Excerpt
from gridcnn.adapters.octaves import note_magnitudes
from gridcnn.adapters.samples import MOST_CHANNELS, SUFFIXES, Samples, samples_of
from gridcnn.adapters.spectrogram import (
    band_weights,
    cosines,
    decibels,
    frames_at_once,
    frames_of,
    frequencies,
    mel_edges,
    mel_weights,
    power_in_bands,
    sounding,
    sum_bands,
)
from gridcnn.contracts.adapter import Adapted, Adapter, Things, fill
from gridcnn.errors import DataError, Problem, shown
from gridcnn.grid import Axis, Grids, GridShape
from gridcnn.settings.base import (
    Count,
    Fraction,
    NotNegative,
    Number,
    Positive,
    Share,
    explain,
    wanted_error,
)

Rate = Annotated[int, Strict(), Ge(100), Le(384_000)]
"""Samples per second."""
Window = Annotated[int, Strict(), Ge(16), Le(65_536)]
"""Samples under a window."""
Rows = Annotated[int, Strict(), Ge(1), Le(1024)]
"""A number of bands."""
Exponent = Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(4)]
"""The exponent of absolute values."""
Decibels = Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(150)]
"""A difference of loudness."""
Seconds = Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(86_400)]
"""A time of at most a day."""
Tempo = Annotated[float, Strict(), AllowInfNan(False), Ge(1), Le(10_000)]
"""Beats per minute."""
Percentile = Annotated[float, Strict(), AllowInfNan(False), Gt(0), Le(100)]
"""A part of all, in percent."""
Frequency = Annotated[float, Strict(), AllowInfNan(False), Ge(0)]
"""A frequency, in Hz."""

_LONGEST = 16_384
"""Chunks of time in a grid, at most; as for the sizes of pictures."""
_NARROWEST = 1e-6  # Hz, of a mel band
_NOTES = ("cqt", "vqt")
_PLAIN = ("mel", "linear", "bands", "mfcc")
"""The kinds that gridcnn computes itself."""
_DECIBELS = (*_PLAIN, *_NOTES, "hpss")
_MELS = ("mel", "mfcc", "pcen", "tempogram", "hpss")
_TAKEN_BY = {
    "bands": ("bands",),
    "n_mels": _MELS,
    "n_mfcc": ("mfcc",),
    "n_bins": _NOTES,
    "bins_per_octave": _NOTES,
    "gamma": ("vqt",),
    "fmin": ("linear", *_MELS, *_NOTES),
    "fmax": ("linear", *_MELS),
    "pcen_gain": ("pcen",),
    "pcen_bias": ("pcen",),
    "pcen_power": ("pcen",),
    "pcen_seconds": ("pcen",),
    "slowest": ("tempogram",),
    "fastest": ("tempogram",),
    "tempo_window": ("tempogram",),
    "hpss_kernel": ("hpss",),
    "hpss_margin": ("hpss",),
    "power": (*_PLAIN, "chroma", "hpss"),
    "reference": (*_DECIBELS, "pcen"),
    "floor_db": _DECIBELS,
}
"""The kinds that take a setting; for the others it has to keep its default ..."""
_IGNORED = ("n_mels", "n_mfcc", "fmin", "fmax")
"""... but for these, which `_PLAIN` kinds have always ignored, and specs may hold."""


def _reference(value: Any) -> float | str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared with the largest float: a whole number may be larger, and is not infinite.
    if value == "max" or (number and 0 < value <= sys.float_info.max):
        return value if isinstance(value, str) else float(value)
    raise wanted_error("a number above 0, or 'max'")


Reference = Annotated[
    float | str,
    PlainValidator(_reference),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"enum": ["max"]}]}),
]
"""The value of 0 decibels."""


class AudioAdapter(Adapter):
    """Sound clips: files, encoded bytes, open binary files and arrays, as spectrograms.

    A grid has a row for each band of frequency, the lowest at the bottom, and a column for each
    chunk of time. What is null is learned from the training clips.
    """

    title: ClassVar[str] = "audio"
    suffixes: ClassVar[frozenset[str]] = SUFFIXES
    threads: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = ("soundfile", "soxr", "librosa", "scipy")

    sample_rate: Rate = 16_000
    """The sample rate, in Hz, to which every file is converted; arrays must have it. Frequencies
    above half of it are lost."""
    kind: Literal[
        "mel", "linear", "bands", "mfcc", "cqt", "vqt", "chroma", "pcen", "tempogram", "hpss"
    ] = "mel"
    """What the rows are. `mel`: bands spaced as the ear hears pitch; `linear`: every frequency of
    the transform; `bands`: those between the edges that `bands` names; `mfcc`: mel-frequency
    cepstral coefficients, the first at the bottom: the shape of the mel bands, from coarse to
    fine. librosa computes the others. `cqt`: notes of equal distance in pitch (constant-Q
    transform); `vqt`: the same, with shorter filters for low notes; `chroma`: the 12 pitch classes,
    C at the bottom; `pcen`: mel bands from which a steady background is removed; `tempogram`: how
    strongly onsets repeat, for each tempo; `hpss`: mel bands in two channels, what lasts and what
    is short (harmonic and percussive)."""
    n_fft: Window = 512
    """Samples in the window of one chunk of time: more of them separate frequencies better, and
    moments worse."""
    hop_length: Count = 256
    """Samples from one chunk of time to the next."""
    n_mels: Rows = 64
    """Mel bands, for `mel`, `mfcc`, `pcen` and `hpss`, and for the onsets of `tempogram`."""
    n_mfcc: Rows = 20
    """Coefficients, for `mfcc`."""
    bands: Annotated[tuple[Frequency, ...], MaxLen(1025)] | None = None
    """For `bands`: where they begin and end, in Hz, such as `[20, 250, 4000, 8000]` for three."""
    n_bins: Rows = 84
    """Notes, for `cqt` and `vqt`: 84 are seven octaves of twelve."""
    bins_per_octave: Rows = 12
    """How many notes make an octave, for `cqt` and `vqt`: 12 are the usual halftones."""
    gamma: NotNegative | None = None
    """For `vqt`: by how many Hz each filter is wider than one of `cqt`; null: as wide as the
    filters of the ear."""
    fmin: Frequency = 0.0
    """The lowest frequency, in Hz, for all kinds but `bands` and `chroma`. For `cqt` and `vqt` that
    of the lowest note; 0: the note C1, 32.7 Hz."""
    fmax: Positive | None = None
    """The highest frequency, in Hz, for all kinds but `bands`, `chroma`, `cqt` and `vqt`; null:
    half of `sample_rate`."""
    pcen_gain: Fraction = 0.98
    """For `pcen`: how much of a band's mean it is divided by."""
    pcen_bias: Annotated[NotNegative, Le(1e6)] = 2.0
    """For `pcen`: what is added before the root is taken, and subtracted after it."""
    pcen_power: Share = 0.5
    """For `pcen`: the exponent of the root."""
    pcen_seconds: Annotated[Seconds, Ge(0.001)] = 0.4
    """For `pcen`: the time over which the mean of a band is taken, in seconds."""
    slowest: Tempo = 30.0
    """For `tempogram`: the lowest tempo, in beats per minute."""
    fastest: Tempo = 300.0
    """For `tempogram`: the highest tempo, in beats per minute."""
    tempo_window: Annotated[Count, Le(4096)] = 384
    """For `tempogram`: chunks of time around each chunk in which repetitions are looked for."""
    hpss_kernel: Annotated[Count, Le(1024)] = 31
    """For `hpss`: over how many chunks of time, and over how many frequencies, a median is
    taken."""
    hpss_margin: Annotated[float, Strict(), AllowInfNan(False), Ge(1)] = 1.0
    """For `hpss`: by how much one of both has to be stronger; above 1, what is neither is left
    out."""
    power: Exponent = 2.0
    """1: magnitudes are summed in a band; 2: power is."""
    reference: Reference = "max"
    """The value of 0 dB: a number, such as 1.0, or `max`: the largest value in the clip, so that
    loud and quiet clips look alike. `pcen` has no decibels, but a reference. `chroma` and
    `tempogram` are divided by the largest value of each chunk instead."""
    floor_db: Decibels = 80.0
    """How many decibels below the reference silence is; lower values are raised to this. Not for
    `chroma`, `pcen` and `tempogram`, whose values are no decibels."""
    duration: Seconds | None = None
    """The length of every clip, in seconds; null: learned, see `duration_percentile`."""
    duration_percentile: Percentile = 95.0
    """If `duration` is learned: the percentage of the training clips that are not longer."""
    longer: Literal["centre", "start"] = "centre"
    """The part of longer clips that is kept: their `centre`, or their `start`."""
    shorter: Literal["pad", "centre", "repeat"] = "pad"
    """How shorter clips are filled up. `pad`: with silence at the end; `centre`: with silence
    before and after; `repeat`: by repeating them."""
    trim_db: Decibels | None = None
    """Cuts silence off both ends, before anything else: all before the first and after the last
    chunk whose mean square is less than so many decibels under that of the loudest; null: nothing
    is cut off."""
    scaling: Literal["range", "clip", "band"] = "range"
    """`range`: the floor becomes -1 and the reference 1 (with `mfcc`, before the cosine transform,
    which is then divided by the root of `n_mels`; with `chroma`, `pcen` and `tempogram` 0 becomes
    -1); `clip`: the cells of every clip get the mean 0 and the standard deviation 1; `band`: those
    of every row do, by `means` and `deviations`."""
    means: tuple[Number, ...] | None = None
    """With `scaling: band`, what becomes 0 in each row, from the top (with `hpss`, of the first and
    then of the second channel); null: the mean of the row in the training clips."""
    deviations: tuple[Positive, ...] | None = None
    """With `scaling: band`, what becomes 1 more in each row, from the top; null: the standard
    deviation of the row in the training clips, or 1 if that is 0."""
    max_duration: Seconds = 600.0
    """Files that last longer, in seconds, are refused."""

    @model_validator(mode="after")
    def _frequencies_fit(self) -> Self:
        self._refuse_settings_of_other_kinds()
        if self.kind == "bands":
            self._check_bands()
        elif self.kind in _NOTES:
            self._check_notes()
        elif self.kind == "chroma":
            pass
        elif not self.fmin < self._fmax <= self.sample_rate / 2:
            raise ValueError(
                "'fmin' must be below 'fmax', and 'fmax' at most half of 'sample_rate', "
                f"{self.sample_rate / 2:g} Hz; got {self.fmin:g} and {self._fmax:g}"
            )
        elif self.kind == "linear":
            self._check_linear()
        else:
            self._check_mels()
        if self.kind == "tempogram":
            self._check_tempi()
        return self

    def _refuse_settings_of_other_kinds(self) -> None:
        for name, kinds in _TAKEN_BY.items():
            ignored = self.kind in _PLAIN and name in _IGNORED
            default = type(self).model_fields[name].default
            if self.kind in kinds or ignored or getattr(self, name) == default:
                continue
            verb, others = "are" if name == "bands" else "is", ", ".join(kinds[:-1])
            some = f"{others} or {kinds[-1]}" if others else kinds[-1]
            raise ValueError(f"{name!r} {verb} for kind: {some}; got kind: {self.kind}")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.duration is not None and self._frames > _LONGEST:
            raise ValueError(
                f"{self.duration:g} s with a 'hop_length' of {self.hop_length} are {self._frames:,}"
                f" chunks of time; at most {_LONGEST:,} make a grid, so raise 'hop_length' or "
                "lower 'duration'"
            )
        for name in ("means", "deviations"):
            numbers = getattr(self, name)
            if numbers is None:
                continue
            if self.scaling != "band":
                raise ValueError(f"{name!r} are for scaling: band; got scaling: {self.scaling}")
            if len(numbers) != self._channels * self._rows:
                of = f" in each of {self._channels} channels" if self._channels > 1 else ""
                raise ValueError(
                    f"{name!r} must have one number for each of the {self._rows} rows{of}; got "
                    f"{len(numbers)}"
                )
        return self

    def _check_bands(self) -> None:
        edges = self.bands
        if edges is None:
            raise ValueError("kind: bands needs 'bands', edges in Hz, such as [20, 250, 4000]")
        if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
            raise ValueError(
                f"'bands' must be two or more edges in Hz, each above the one before; got "
                f"{shown(list(edges))}"
            )
        if edges[-1] > self.sample_rate / 2:
            raise ValueError(
                f"'bands' must end at half of 'sample_rate', {self.sample_rate / 2:g} Hz, or "
                f"below; got {edges[-1]:g}"
            )
        self._refuse_deaf(self._weights, list(pairwise(edges)))

    def _check_linear(self) -> None:
        if not self._lines.stop > self._lines.start:
            raise ValueError(
                f"the transform has no frequency from {self.fmin:g} to {self._fmax:g} Hz; "
                "raise 'n_fft', or widen 'fmin' and 'fmax'"
            )

    def _check_mels(self) -> None:
        if self.kind == "mfcc" and self.n_mfcc > self.n_mels:
            raise ValueError(f"'n_mfcc' must be at most 'n_mels', {self.n_mels}; got {self.n_mfcc}")
        edges = mel_edges(self.n_mels, self.fmin, self._fmax)
        ranges = list(zip(edges, edges[2:], strict=False))
        # Nothing can be divided by the width of such bands.
        if float(np.diff(edges).min()) < _NARROWEST:
            self._refuse_deaf(np.zeros((1, 1), np.float32), ranges)
        self._refuse_deaf(self._weights, ranges)

    def _check_notes(self) -> None:
        notes = self.notes
        if notes.highest_reach > self.sample_rate / 2:
            raise ValueError(
                f"the filter of the highest note, {notes.frequencies[-1]:,.1f} Hz, reaches up to "
                f"{notes.highest_reach:,.1f} Hz, more than half of 'sample_rate', "
                f"{self.sample_rate / 2:g} Hz; lower 'n_bins' or 'fmin', or raise 'sample_rate'"
            )
        if notes.longest > LONGEST_FILTER:
            raise ValueError(
                f"the filter of the lowest note, {notes.lowest:g} Hz, lasts {notes.longest:,.1f} s;"
                f" at most {LONGEST_FILTER:g} s are supported, so raise 'fmin', or lower "
                "'bins_per_octave'"
            )

    def _check_tempi(self) -> None:
        if not self.slowest < self.fastest:
            raise ValueError(
                f"'slowest' must be below 'fastest'; got {self.slowest:g} and {self.fastest:g}"
            )
        lags = self.lags
        if lags.stop > self.tempo_window:
            raise ValueError(
                f"at {self.slowest:g} beats per minute there are {lags.stop - 1:,} chunks of time "
                f"from beat to beat, and 'tempo_window' has {self.tempo_window}; raise 'slowest', "
                "'hop_length' or 'tempo_window'"
            )
        if lags.stop <= lags.start:
            raise ValueError(
                f"no whole number of chunks of time makes a tempo from {self.slowest:g} to "
                f"{self.fastest:g} beats per minute; lower 'hop_length' or 'slowest', or raise "
                "'fastest'"
            )

    def _refuse_deaf(self, weights: NDArray[np.float32], ranges: list[tuple[Any, Any]]) -> None:
        """Raise `ValueError` if no frequency of the transform lies in a band."""
        deaf = np.flatnonzero(weights.max(axis=1) <= 0)
        if len(deaf):
            low, high = ranges[deaf[0]]
            step = self.sample_rate / self.n_fft
            raise ValueError(
                f"the band from {low:.1f} to {high:.1f} Hz has no frequency of the transform, "
                f"which has one every {step:.1f} Hz; raise 'n_fft', or set fewer or wider bands"
            )

    @property
    def _fmax(self) -> float:
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def _lines(self) -> slice:
        """Which frequencies of the transform are rows, with `linear`."""
        lines = np.flatnonzero((self._frequencies >= self.fmin) & (self._frequencies <= self._fmax))
        return slice(int(lines[0]), int(lines[-1]) + 1) if len(lines) else slice(0, 0)

    @property
    def _frequencies(self) -> NDArray[np.float64]:
        return frequencies(self.sample_rate, self.n_fft)

    @property
    def _weights(self) -> NDArray[np.float32]:
        """The weights of each frequency in each band, lowest first, for `bands` and mel bands."""
        if self.kind == "bands":
            assert self.bands is not None
            return band_weights(self.sample_rate, self.n_fft, self.bands)
        return mel_weights(self.sample_rate, self.n_fft, self.n_mels, self.fmin, self._fmax)

    @property
    def notes(self) -> Notes:
        """The filters of `cqt` and `vqt`."""
        gamma = 0.0 if self.kind == "cqt" else self.gamma
        return Notes(self.fmin or C1, self.n_bins, self.bins_per_octave, gamma)

    @property
    def lags(self) -> slice:
        """The rows of `tempogram`, as chunks of time from beat to beat: the highest tempo first."""
        chunks = 60 * self.sample_rate / self.hop_length  # in a minute
        first, last = math.ceil(chunks / self.fastest), math.floor(chunks / self.slowest)
        return slice(max(1, first), last + 1)

    @property
    def _channels(self) -> int:
        return 2 if self.kind == "hpss" else 1

    @property
    def _rows(self) -> int:
        if self.kind in ("linear", "tempogram"):
            rows = self._lines if self.kind == "linear" else self.lags
            return int(rows.stop) - int(rows.start)
        if self.kind == "bands":
            assert self.bands is not None
            return len(self.bands) - 1
        of_kind = {"mfcc": self.n_mfcc, "chroma": len(PITCH_CLASSES)}
        return self.n_bins if self.kind in _NOTES else of_kind.get(self.kind, self.n_mels)

    @property
    def _samples(self) -> int:
        """The number of samples of every clip."""
        if self.duration is None:
            raise self.unlearned("how long its clips are", "or set 'duration'")
        return max(1, round(self.duration * self.sample_rate))

    @property
    def _frames(self) -> int:
        if self.kind in _NOTES:
            return 1 + self._samples // self.hop_length
        return frames_of(self._samples, n_fft=self.n_fft, hop_length=self.hop_length)

    @property
    def keeps_loudness(self) -> bool:
        """Whether loud and quiet clips have different grids."""
        own = self.kind in _DECIBELS and self.scaling != "clip"
        return own and not isinstance(self.reference, str)

    @property
    def _learns_bands(self) -> bool:
        return self.scaling == "band" and (self.means is None or self.deviations is None)

    def takes_array(self, dimensions: int) -> bool:
        """Return whether a clip may be an array of this number of dimensions: 1 or 2."""
        return dimensions in (1, 2)

    def is_lone(self, array: NDArray[Any]) -> bool:
        """Return whether an array is one clip: `(samples)`, or `(samples, channels)`.

        The last could be a stack as well, `(clips, samples)`; it is read as one clip if the second
        dimension is the smaller one, and small enough for channels.
        """
        if array.ndim == 2:
            samples, channels = array.shape
            return bool(channels <= min(MOST_CHANNELS, samples))
        return array.ndim < 2

    def open_thing(self, thing: Any, *, reach: float = 1.0) -> Samples:
        """Return the samples of a clip, `(samples)`, at the sample rate.

        Of a long clip only the part that is used, or `reach` times as much.
        """
        excerpt = self._excerpt
        return samples_of(
            thing,
            sample_rate=self.sample_rate,
            max_duration=self.max_duration,
            excerpt=None
            if self.trim_db is not None
            else Excerpt(math.ceil(reach * excerpt.samples), excerpt.centred),
        )

    def literal(self) -> Self:
        """Return the adapter that shows all of each clip, with its silence."""
        return self.model_copy(update={"trim_db": None})

    def fitted(self, things: Things) -> Self:
        """Return an adapter with the duration and the scaling of the training clips filled in.

        Clips that cannot be used are skipped here; `adapt_all` reports them.

        Raises:
            DataError: there is no clip to learn from, or clips are too long for a grid.
        """
        adapter = self
        if adapter.duration is None:
            lengths = [len(clip) for clip in adapter._readable(things)]
            if not lengths:
                raise DataError("there is no usable clip to learn 'duration' of audio from")
            samples = int(np.ceil(np.percentile(lengths, adapter.duration_percentile)))
            adapter = adapter._with(duration=samples / adapter.sample_rate)
        if adapter._learns_bands:
            adapter = adapter._with(**adapter._learn_bands(things))
        return adapter

    def _with(self, **changes: Any) -> Self:
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise DataError(*(text for _, text in explain(error))) from None

    def _learn_bands(self, things: Things) -> dict[str, tuple[float, ...]]:
        """Return mean and standard deviation of every row, in all cells of the training clips."""
        rows = self._channels * self._rows
        count, sums, squares = 0, np.zeros(rows), np.zeros(rows)
        for clip in self._readable(things, self._excerpt):
            cells = self._levels(self._of_one_length(clip)[None])[0]
            levels = cells.reshape(rows, -1).astype(np.float64)
            count += levels.shape[1]
            sums += levels.sum(axis=1)
            squares += (levels**2).sum(axis=1)
        if not count:
            raise DataError("there is no usable clip to learn the scaling of audio from")
        means = sums / count
        deviations = np.sqrt(np.maximum(squares / count - means**2, 0))
        # The rounding error of a constant row is not a deviation.
        deviations[deviations < 1e-4] = 1.0
        learned: dict[str, tuple[float, ...]] = {}
        if self.means is None:
            learned["means"] = tuple(means.tolist())
        if self.deviations is None:
            learned["deviations"] = tuple(deviations.tolist())
        return learned

    def _readable(self, things: Things, excerpt: Excerpt | None = None) -> Iterator[Samples]:
        for thing in things:
            try:
                yield self._clip(thing, excerpt)
            except DataError:
                continue

    def shape(self) -> GridShape:
        """Return the shape of every grid; raise `DataError` while `duration` is not known.

        The labels of rows are the centres of their bands, in Hz, or the numbers of coefficients;
        those of columns are the middles of their windows, in seconds.
        """
        columns = _time_axis(self._frames, self.hop_length, self.sample_rate)
        return GridShape(self._channels, self._rows, self._frames, self._row_axis(), columns)

    def _row_axis(self) -> Axis:
        """Return the axis of rows, the highest first.

        Pitch classes are ordered: from each to the next it is a halftone, so that a chord looks the
        same in every key. Only the step from B to C leads from one end to the other.
        """
        if self.kind in _NOTES:
            notes = self.notes.frequencies[::-1].tolist()
            return Axis("note", labels=tuple(note_label(at) for at in notes))
        if self.kind == "chroma":
            return Axis("pitch class", labels=PITCH_CLASSES[::-1])
        if self.kind == "tempogram":
            lags = np.arange(self.lags.start, self.lags.stop)
            return Axis(
                "tempo", "bpm", _number_labels(60 * self.sample_rate / self.hop_length / lags)
            )
        labels = _number_labels(self._centres()[::-1])
        return (
            Axis("coefficient", labels=labels)
            if self.kind == "mfcc"
            else Axis("frequency", "Hz", labels)
        )

    def _centres(self) -> NDArray[np.float64]:
        """Return the middle of each band in Hz, lowest first; of `mfcc`, its number from 0."""
        if self.kind == "mfcc":
            return np.arange(float(self.n_mfcc))
        if self.kind == "linear":
            return self._frequencies[self._lines]
        if self.kind == "bands":
            edges = np.array(self.bands)
            middles: NDArray[np.float64] = (edges[1:] + edges[:-1]) / 2
            return middles
        return mel_edges(self.n_mels, self.fmin, self._fmax)[1:-1]

    def adapt(self, thing: Any) -> NDArray[np.float32]:
        """Return one clip as float32 `(channels, rows, columns)`: bands, highest first, and time.

        Args:
            thing: a path (text is always a path), the bytes of a sound file, a file open in binary
                mode, or an array `(samples)` or `(samples, channels)` that has the setting's
                `sample_rate`: floats from -1 to 1, or whole numbers of 8, 16 or 32 bits, whose full
                range becomes that.

        Raises:
            DataError: it is not a sound, cannot be read, or lasts longer than `max_duration`.
        """
        grid: NDArray[np.float32] = self._grids(self._read(thing)[None])[0]
        return grid

    def adapt_all(
        self,
        things: Things,
        *,
        names: Sequence[str] | None = None,
        advance: Callable[[int], None] | None = None,
    ) -> Adapted:
        """Return all clips as grids, and a problem for each that cannot be read.

        Short clips are read one by one, and transformed some at a time: each call to NumPy then
        does more, so that threads wait for each other less often.
        """
        together = frames_at_once(self.n_fft) // self._frames
        if together <= 1:
            return super().adapt_all(things, names=names, advance=advance)
        shape, count = self.shape(), len(things)
        values = np.empty((count, *shape.sizes), np.float32)
        clips = np.empty((min(together, count), self._samples), np.float32)
        read: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        problems: list[Problem] = []
        length = 0
        for start in range(0, count, together):
            numbers = range(start, min(start + together, count))
            readable, bad = fill(
                clips, self._read, things, numbers=numbers, names=names, advance=advance
            )
            read.append(readable)
            problems.extend(bad)
            if len(readable):
                values[length : length + len(readable)] = self._grids(clips[: len(readable)])
                length += len(readable)
        return Adapted(Grids(values[:length], shape), np.concatenate(read), tuple(problems))

    def _read(self, thing: Any) -> Samples:
        """Return the samples of a clip that are used, as many for every clip."""
        return self._of_one_length(self._clip(thing, self._excerpt))

    def _grids(self, clips: Samples) -> NDArray[np.float32]:
        """Return clips of one length, `(clips, samples)`, as grids."""
        return self._scale(self._levels(clips))

    @property
    def _excerpt(self) -> Excerpt:
        """The part of longer clips that is used."""
        return Excerpt(self._samples, centred=self.longer == "centre")

    def _clip(self, thing: Any, excerpt: Excerpt | None = None) -> Samples:
        """Return a thing's samples, at the sample rate, without the silence that is cut off.

        Of a longer clip, an excerpt is enough, unless its silence has to be found first.
        """
        samples = samples_of(
            thing,
            sample_rate=self.sample_rate,
            max_duration=self.max_duration,
            excerpt=excerpt if self.trim_db is None else None,
        )
        if self.trim_db is None:
            return samples
        window = {"n_fft": self.n_fft, "hop_length": self.hop_length}
        return samples[sounding(samples, **window, trim_db=self.trim_db)]

    def _of_one_length(self, samples: Samples) -> Samples:
        samples = samples[self._excerpt.of(len(samples))]
        missing = self._samples - len(samples)
        if missing == 0:
            return samples
        if self.shorter == "repeat":
            return np.resize(samples, self._samples)
        before = missing // 2 if self.shorter == "centre" else 0
        return np.pad(samples, (before, missing - before))

    def _levels(self, clips: Samples) -> NDArray[np.float32]:
        """Return what cells are before they are scaled, highest row first.

        These are decibels, of these the coefficients, or numbers from 0. Of clips
        `(clips, samples)` they are `(clips, channels, rows, columns)`.
        """
        if self.kind == "tempogram":  # whose first row is the highest tempo already
            return self._tempi(clips)[:, None]
        if self.kind == "hpss":
            bands = self._harmonic_and_percussive(clips)
            # Both beside the loudest cell of the two, by which the one can be louder.
            levels = self._decibels(bands.reshape(len(bands), -1, bands.shape[-1]))
            levels = levels.reshape(bands.shape)
        elif self.kind in _NOTES:
            time = {"sample_rate": self.sample_rate, "hop_length": self.hop_length}
            levels = note_magnitudes(clips, self.notes, **time, frames=self._frames)
            levels = self._decibels(levels, power=1)
        elif self.kind == "chroma":
            classes = pitch_class_weights(self.sample_rate, self.n_fft)
            levels = normalize_frames(self._bands(clips, classes, self.power))
        elif self.kind == "pcen":
            levels = self._normalized_energy(clips)
        else:
            weights = self._lines if self.kind == "linear" else self._weights
            levels = self._decibels(self._bands(clips, weights, self.power))
        if self.kind == "mfcc":
            if self.scaling == "range":
                levels = self._in_range(levels) / np.float32(np.sqrt(self.n_mels))
            levels = cosines(self.n_mfcc, self.n_mels) @ levels
        levels = levels[..., ::-1, :]
        return levels if levels.ndim == 4 else levels[:, None]

    @property
    def _window(self) -> dict[str, int]:
        return {
            "sample_rate": self.sample_rate,
            "n_fft": self.n_fft,
            "hop_length": self.hop_length,
        }

    def _bands(
        self, clips: Samples, weights: NDArray[np.float32] | slice, power: float
    ) -> NDArray[np.float32]:
        return power_in_bands(
            clips, weights, n_fft=self.n_fft, hop_length=self.hop_length, power=power
        )

    def _tempi(self, clips: Samples) -> NDArray[np.float32]:
        bands = self._bands(clips, self._weights, 2)
        return tempi(bands, **self._window, window=self.tempo_window, lags=self.lags)

    def _normalized_energy(self, clips: Samples) -> NDArray[np.float32]:
        return normalized_energy(
            self._bands(clips, self._weights, 1),
            sample_rate=self.sample_rate,
            hop_length=self.hop_length,
            gain=self.pcen_gain,
            bias=self.pcen_bias,
            power=self.pcen_power,
            time_constant=self.pcen_seconds,
        )

    def _harmonic_and_percussive(self, clips: Samples) -> NDArray[np.float32]:
        """Return the mel bands of both, `(clips, 2, n_mels, columns)`."""
        magnitudes = self._bands(clips, slice(0, self.n_fft // 2 + 1), 1)
        both = harmonic_and_percussive(magnitudes, kernel=self.hpss_kernel, margin=self.hpss_margin)
        both **= np.float32(self.power)
        return sum_bands(both.swapaxes(-1, -2), self._weights).swapaxes(-1, -2)

    def _decibels(
        self, bands: NDArray[np.float32], *, power: float | None = None
    ) -> NDArray[np.float32]:
        return decibels(
            bands,
            power=power or self.power,
            reference=None if isinstance(self.reference, str) else self.reference,
            floor_db=self.floor_db,
        )

    def _in_range(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return levels, the lowest of which are -1, and the reference 1."""
        if self.kind in ("chroma", "tempogram"):
            return levels * np.float32(2) - np.float32(1)
        if self.kind != "pcen":
            return levels * np.float32(2 / self.floor_db) + np.float32(1)
        if isinstance(self.reference, str):
            top = levels.max(axis=(1, 2, 3), keepdims=True)
            factors = np.float32(2) / np.where(top > 0, top, np.float32(1))
            return levels * factors.astype(np.float32) - np.float32(1)
        return levels * np.float32(2 / self.reference) - np.float32(1)

    def _scale(self, levels: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.scaling == "range":
            return levels if self.kind == "mfcc" else self._in_range(levels)
        if self.scaling == "clip":
            return np.stack([_standardize(of_clip) for of_clip in levels])
        if self.means is None or self.deviations is None:
            raise self.unlearned(
                "the scaling of its rows", "or set 'means' and 'deviations', or another 'scaling'"
            )
        sizes = (self._channels, self._rows, 1)
        means = np.array(self.means, np.float32).reshape(sizes)
        return (levels - means) / np.array(self.deviations, np.float32).reshape(sizes)


def _standardize(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cells of a clip with the mean 0 and the standard deviation 1."""
    spread = float(levels.std(dtype=np.float64))
    centred = levels - np.float32(levels.mean(dtype=np.float64))
    # A silent clip is the same everywhere, but for rounding.
    return centred / np.float32(spread if spread > 1e-4 else 1)


def _number_labels(numbers: NDArray[np.float64]) -> tuple[str, ...]:
    """Return numbers as labels, with one digit after the point."""
    return tuple(f"{at:g}" for at in np.round(numbers, 1).tolist())


@functools.lru_cache(maxsize=16)
def _time_axis(frames: int, hop_length: int, sample_rate: int) -> Axis:
    """Return the axis of columns; making its labels takes longer than transforming a short clip."""
    times = np.arange(frames) * hop_length / sample_rate
    return Axis("time", "s", tuple(f"{at:g}" for at in np.round(times, 4).tolist()))
