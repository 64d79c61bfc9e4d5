"""Notes by octaves: beside librosa, and the same with each of its versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gridcnn.adapters.by_librosa import C1, Notes
from gridcnn.adapters.octaves import least_samples, note_magnitudes, octaves_of

RATE = 8000


def _noise(samples: int) -> Any:
    return np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.filterwarnings("ignore:n_fft=")
@pytest.mark.parametrize(
    ("notes", "hop"),
    [
        (Notes(C1, 60, 24, None), 96),
        (Notes(C1, 60, 12, 20.0), 75),
        (Notes(C1, 24, 12, 0.0), 256),
        (Notes(440.0, 1, 12, 0.0), 128),
        (Notes(300.0, 3, 1, 3000.0), 128),
    ],
)
@pytest.mark.parametrize("samples", [300, RATE])
def test_note_magnitudes_are_those_of_librosa(
    librosa: Any, notes: Notes, hop: int, samples: int
) -> None:
    """For all distances of pitch, widths and steps; with silence after a short clip."""
    clip = _noise(samples)
    padded = np.pad(clip, (0, max(0, least_samples(notes, RATE) - samples)))
    frames = 1 + samples // hop
    wanted = librosa.vqt(
        padded, sr=RATE, hop_length=hop, fmin=notes.lowest, n_bins=notes.count,
        bins_per_octave=notes.per_octave, gamma=notes.gamma,
    )  # fmt: skip
    wanted = np.abs(wanted[:, :frames])

    found = note_magnitudes(clip[None], notes, sample_rate=RATE, hop_length=hop, frames=frames)[0]

    np.testing.assert_allclose(found, wanted, atol=1e-5 * wanted.max())


@pytest.mark.usefixtures("librosa")
def test_high_notes_are_the_same_with_every_version_of_librosa() -> None:
    """From 1.0 on it halves the samples later if a note is above two fifths of their rate."""
    notes = Notes(C1, 82, 12, 0.0)
    assert notes.frequencies[-1] > 0.4 * RATE
    clip = _noise(2000)

    octaves = octaves_of(notes, sample_rate=RATE, hop_length=128)
    found = note_magnitudes(clip[None], notes, sample_rate=RATE, hop_length=128, frames=16)[0]

    assert [octave.ratio for octave in octaves] == [1, 2, 2, 2, 2, 2, 2]
    # Of librosa 0.10.2 and 0.11.0, for the second octave.
    wanted = np.array(
        [
            *(0.037069, 0.133683, 0.226267, 0.111533, 0.020338, 0.028628),
            *(0.044844, 0.080251, 0.090087, 0.014850, 0.059275, 0.091498),
        ]
    )
    np.testing.assert_allclose(found[58:70, 8], wanted, rtol=1e-3)
