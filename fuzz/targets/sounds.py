"""Sounds in each format."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fuzz.changes import Changes
from fuzz.sealed import ogg_changed
from fuzz.target import Target, refused, require
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.errors import DataError
from gridcnn.runs.starter import starter_for

_ADAPTER = AudioAdapter(
    sample_rate=8000, n_fft=64, hop_length=64, n_mels=8, duration=0.1, max_duration=20
)
_KINDS = (
    ("WAV", "PCM_16"), ("WAV", "PCM_U8"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"),
    ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("AIFF", "PCM_16"),
    ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
    ("CAF", "PCM_16"), ("AU", "PCM_16"), ("W64", "PCM_16"),
)  # fmt: skip


def _seeds() -> Sequence[bytes]:
    import soundfile

    time = np.arange(1200) / 8000
    tone = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    found = []
    for kind, subtype in _KINDS:
        for sound in (tone, np.stack([tone, -tone], 1)):
            written = io.BytesIO()
            try:
                soundfile.write(written, sound, 8000, format=kind, subtype=subtype)
            except (soundfile.LibsndfileError, ValueError):  # an older library writes fewer
                continue
            found.append(written.getvalue())
    return found


def _listen(content: bytes, folder: Path) -> None:
    with refused(DataError):
        grid = _ADAPTER.adapt(content)
        require(grid.shape == _ADAPTER.shape().sizes, "a grid has another shape")
        require(bool(np.isfinite(grid).all()), "cells are not finite")
    for name in ("x/a.wav", "o/b.wav"):
        file = folder / name
        file.parent.mkdir()
        file.write_bytes(content)
    with refused(DataError):
        _ADAPTER.adapt(file)
    with refused(DataError):
        AudioAdapter(max_duration=20).fitted([file]).shape()
    with refused(DataError):
        starter_for("a name", "spec.yaml", str(folder))


def _changed(content: bytes, changes: Changes) -> bytes:
    return ogg_changed(content, changes) if content[:4] == b"OggS" else changes.raw(content)


TARGETS = (Target("sound", "WAV, FLAC, OGG, MP3, AIFF and more", _seeds, _listen, _changed),)
