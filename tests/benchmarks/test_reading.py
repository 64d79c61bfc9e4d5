"""The benchmark of reading: its pictures, and what it reads them with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.reading import pictures, sounds
from gridcnn.adapters.audio import AudioAdapter


@pytest.mark.parametrize("kind", pictures.KINDS, ids=lambda kind: kind.name)
def test_files_are_what_their_kind_says(kind: pictures.Kind, tmp_path: Path) -> None:
    """And our side reads them all, in their order, as the grids that the peer makes, nearly."""
    few = pictures.Kind(kind.name, 4, kind.suffix, kind.sizes, kind.grid, kind.channels, distinct=2)

    paths = pictures.write(few, tmp_path)
    grids = pictures.ours(few)(paths)

    assert len(paths) == 4
    for path, grid in zip(paths, grids, strict=True):
        with Image.open(path) as image:
            assert image.size[::-1] in kind.sizes
            shown = image.convert("L" if kind.channels == 1 else "RGB")
            peers = np.asarray(shown.resize(kind.grid[::-1], Image.Resampling.BILINEAR))
        planes = peers.reshape(*kind.grid, kind.channels).transpose(2, 0, 1)
        assert np.abs(grid - (planes / 127.5 - 1)).mean() < 0.02


@pytest.mark.usefixtures("librosa")
@pytest.mark.parametrize("ending", ["wav", "ogg", "flac", "mp3"])
def test_the_loader_of_sounds_makes_our_grids(ending: str, tmp_path: Path) -> None:
    """But for the edges, where it resamples without what lies beside."""
    kind = sounds.Kind(ending, 44_100, 2, seconds=3, used=1, count=5)
    adapter = AudioAdapter(duration=1.0)

    files = sounds.made(tmp_path, kind, count=5)

    assert len(files) == 5
    for file in files:
        difference = np.abs(adapter.adapt(file) - sounds.loaded(str(file), used=1.0))
        assert np.median(difference) < 1e-3
